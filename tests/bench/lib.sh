# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/bench/lib.sh: what the parts of `make bench` are written in. Sourced by run.sh, which sets O (the build
# folder), top (the tree), tmp (a folder that goes with the run) and judged.
#
#   row WHAT VALUE UNIT CMP FLOOR TARGET [WHY]     one figure with what it must reach at least and what it is to
#                               reach in the end (- = nothing was set); CMP is <= or >=. VALUE "" or -: "not
#                               measured", with WHY. A value with a WHY is printed and not judged
#   rows                        rows that a program prints (figures.h) from standard input; its other lines are notes
#   note TEXT...                a line for the reader
#   word LINE NAME              the value of NAME=VALUE in a line of api_load
#   median                      of the numbers on standard input
#   server_start DIR [OPTION..] a `keelson server`; sets server_pid and server_config (a kubeconfig)
#   server_stop
#   rest SECONDS                lets time pass: what is measured is what happens when nothing is asked
#   busy                        prints why a time on the wall means little now; nothing when it does
load=$O/musl/bench/api_load
server_pid=

row() {
	awk -v what="$1" -v value="$2" -v unit="$3" -v cmp="$4" -v floor="$5" -v target="$6" -v why="${7:-}" '
	function holds(limit) { return cmp == "<=" ? value + 0 <= limit + 0 : value + 0 >= limit + 0 }
	function limit(x) { return x == "-" ? "-" : cmp " " x }
	BEGIN {
		if (value == "" || value == "-") { value = "-"; verdict = "not measured: " why }
		else if (why != "") verdict = "not judged: " why
		else if (target != "-" && holds(target)) verdict = "target met"
		else if (floor != "-" && !holds(floor)) verdict = "BELOW THE FLOOR"
		else if (floor != "-") verdict = "floor met"
		else if (target != "-") verdict = "target not met"
		printf "%-54s %10s %-9s %-10s %-10s %s\n", what, value, unit, limit(floor), limit(target), verdict
	}'
}

rows() {
	while IFS='|' read -r first what value unit cmp floor target why; do
		[ "$why" != wall ] || why=$(busy)
		case $first in
		row) row "$what" "$value" "$unit" "$cmp" "$floor" "$target" "$why" ;;
		'ok   '* | *' passed, '*) ;; # of a program in the words of the unit tests
		*) note "$first" ;;
		esac
	done
}

rest() { sleep "$1"; }
busy() {
	awk -v cores="$(nproc)" '$1 > cores { printf "load %s on %d cores", $1, cores }' /proc/loadavg
}
note() { echo "     $*"; }
word() { echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -1; }
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'; }

server_start() {
	dir=$1
	shift
	: >"$dir.log"
	"$O/bin/keelson" server --data-dir "$dir" --listen 127.0.0.1:0 "$@" >"$dir.log" 2>&1 &
	server_pid=$!
	server_config=$dir/kubeconfig
	n=0
	until grep -q ' ready on ' "$dir.log"; do
		n=$((n + 1))
		kill -0 $server_pid 2>/dev/null && [ $n -lt 600 ] || { cat "$dir.log"; return 1; }
		sleep 0.1
	done
}

server_stop() {
	[ -z "$server_pid" ] || { kill "$server_pid" && wait "$server_pid"; } 2>/dev/null
	server_pid=
}
