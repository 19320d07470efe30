# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/lib.sh: what the areas of the cluster suite are written in. Sourced by run.sh, which sets
# O (the build folder), top (the tree) and tmp (a folder that goes with the run).
#
#   check WHAT REGEX COMMAND...     the command must succeed within 120 s and its output (one line, blanks for
#                                   line ends) match REGEX (grep -E; '' for any)
#   refuse WHAT REGEX COMMAND...    the same for a command that must fail
#   eventually SECONDS COMMAND...   runs it again until it succeeds; prints its last output
#   matches REGEX COMMAND...        succeeds, and prints the output, when it matches; for eventually
#   skip WHAT WHY                   said and counted
#   figure WHAT VALUE               a figure for the reader, not judged
#   k ARGS...                       kubectl with the cluster's admin rights, 120 s at most
#   apply                           kubectl apply of standard input, where %IMAGE(name:tag)% is an image of
#                                   the test registry
#   image NAME:TAG                  the same reference for a command line
#   terminal ROWS COLS COMMAND      a shell command in a terminal of that size; standard input is typed
#   terminal_resized ROWS COLS ROWS COLS COMMAND   the same; the size changes when it has printed the first
#   ctl COMMAND ARGS...             keelctl cluster COMMAND --dir of this cluster
#   node_of POD [NAMESPACE]         the machine that runs the pod
#   role_kills                      roles that areas have killed: an area that kills one adds to it
#
# Waits are loops around a condition with a deadline; they live here and nowhere else.
passed=0 failed=0 skipped=0 role_kills=0

# kubectl_program VERSION-ROW: a pinned kubectl, unpacked into the cache.
kubectl_program() {
	deb=$("$top/deps/fetch.sh" "$1") || return 1
	dir=$("$top/deps/fetch.sh" --cache)/$1-$(basename "$deb" | cut -c1-12)
	[ -x "$dir/usr/bin/kubectl" ] || dpkg-deb -x "$deb" "$dir"
	echo "$dir/usr/bin/kubectl"
}

k() { timeout 120 "$kubectl" "$@"; }
image() { echo "$registry/$1"; }
apply() { sed "s,%IMAGE(\([^)]*\))%,$registry/\1,g" | k apply -f - "$@"; }
# Programs in a terminal stay in its foreground, or they may not read from it.
terminal() { timeout --foreground 60 script -qec "stty rows $1 cols $2; $3" /dev/null; }
terminal_resized() {
	timeout --foreground 60 script -qfec "stty rows $1 cols $2; {
		until tail -n +2 '$tmp/typed' | grep -q '$1 $2'; do sleep 0.1; done; stty rows $3 cols $4 </dev/tty; } & $5" "$tmp/typed"
}
ctl() {
	verb=$1
	shift
	"$O/bin/keelctl" cluster "$verb" "$@" --dir "$tmp/c"
}
node_of() { k get pod "$1" -n "${2:-default}" -o 'jsonpath={.spec.nodeName}'; }

one_line() {
	tr '\n' ' ' <"$1"
	echo
}
check() { judge 0 "$@"; }
refuse() { judge 1 "$@"; }
# judge FAILS WHAT REGEX COMMAND...: FAILS: whether the command has to. Its output stays in $tmp/out.
judge() {
	fails=$1 what=$2 want=$3 begin=$(date +%s%3N)
	shift 3
	"$@" >"$tmp/out" 2>&1 </dev/null
	rc=$?
	if [ $((rc != 0)) -eq "$fails" ] && one_line "$tmp/out" | grep -Eq -- "$want"; then
		pass
	else
		fail "$rc" "$want" "$@"
	fi
}
pass() {
	passed=$((passed + 1))
	printf 'ok   %-9s %s (%d ms)\n' "$area" "$what" $(($(date +%s%3N) - begin))
}
fail() {
	failed=$((failed + 1))
	printf 'FAIL %-9s %s (%d ms, exit %d): want /%s/ from:' "$area" "$what" $(($(date +%s%3N) - begin)) "$1" "$2"
	shift 2
	printf ' %s' "$@"
	echo
	sed 's/^/     | /' "$tmp/out" | tail -25
}
skip() {
	skipped=$((skipped + 1))
	echo "skip $area: $1: $2"
}
figure() { echo "     $area: $1: $2"; }

matches() {
	regex=$1
	shift
	"$@" >"$tmp/seen" 2>&1 </dev/null
	one_line "$tmp/seen" | grep -Eq -- "$regex" && cat "$tmp/seen"
}
eventually() {
	until_ms=$(($(date +%s%3N) + $1 * 1000))
	shift
	until "$@" >"$tmp/tried" 2>&1 </dev/null; do
		if [ "$(date +%s%3N)" -gt $until_ms ]; then
			cat "$tmp/tried" "$tmp/seen" 2>/dev/null
			return 1
		fi
		sleep 0.1
	done
	cat "$tmp/tried"
}
