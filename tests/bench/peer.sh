# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part peer (`make bench PEER=1`): `keelson server` beside upstream's kube-apiserver with its etcd, both with
# their data on the same disk, without controllers, asked by the same load program over TLS with a client
# certificate. Each figure is the median of ROUNDS=3 measurements of SECONDS_EACH=3 s, the two sides taking
# turns. CPU is that of the server's processes; a ratio says how many times better ours is. Wants Go.
seconds=${SECONDS_EACH:-3}
rounds=${ROUNDS:-3}
pki=$tmp/ours/pki
. "$top/tests/peers/pair.sh"
bench_end() { pair_stop; }

ours_do() { "$load" --kubeconfig "$server_config" --pid "$server_pid" --seconds "$seconds" "$@"; }
theirs_do() {
	"$load" --server "$pair_url" --ca "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" \
		--pid "${pair_pids% *}" --pid "${pair_pids#* }" --seconds "$seconds" "$@"
}
both_do() { ours_do "$@" >/dev/null && theirs_do "$@" >/dev/null; }
# figure SIDE WORD: the median of it over the rounds.
figure() { while read -r line; do word "$line" "$2"; done <"$tmp/$1.lines" | median; }
# peak PID...: MiB that the processes held at most.
peak() { for p in "$@"; do sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$p/status"; done | awk '{ n += $1 } END { printf "%.0f", n / 1024 }'; }

# tell: prints a line of input, which stays in O/bench/peer as well, for docs/compatibility.md.
tell() { tee -a "$O/bench/peer"; }
line_of() { printf '%-31s %-6s %9s %9s %10s %12s  %s\n' "$@" | tell; }

# versus WHAT TARGET OPTION... OPERATION: both sides in turn; TARGET is how many times more our side shall do in a
# second of CPU (design/targets; - = not said).
versus() {
	what=$1 target=$2
	shift 2
	: >"$tmp/ours.lines"
	: >"$tmp/theirs.lines"
	for _ in $(seq "$rounds"); do
		ours_do "$@" >>"$tmp/ours.lines" && theirs_do "$@" >>"$tmp/theirs.lines" || return 1
	done
	for side in ours theirs; do
		for word in rate cpu_us p50_us p99_us; do eval "${side}_$word=\$(figure $side $word)"; done
		eval "per=\$(awk -v us=\"\$${side}_cpu_us\" 'BEGIN { printf \"%.0f\", us ? 1e6 / us : 0 }') rate=\$${side}_rate p50=\$${side}_p50_us p99=\$${side}_p99_us"
		line_of "$what" "$side" "$rate" "$p50" "$p99" "$per" ''
		[ "$(awk -F'errors=' '{ split($2, w, " "); n += w[1] } END { print n + 0 }' "$tmp/$side.lines")" = 0 ] ||
			note "errors: $(grep -v ' errors=0 ' "$tmp/$side.lines" | head -1)"
	done
	# shellcheck disable=SC2154
	awk -v what="$what" -v target="$target" -v r="$ours_rate" -v R="$theirs_rate" -v c="$ours_cpu_us" -v C="$theirs_cpu_us" \
		-v p="$ours_p50_us" -v P="$theirs_p50_us" -v q="$ours_p99_us" -v Q="$theirs_p99_us" 'BEGIN {
		printf "%-31s %-6s %8.1fx %8.1fx %9.1fx %11.1fx  %s\n", what, "ratio", r / R, P / p, Q / q, C / c,
			target == "-" ? "" : sprintf(">= %sx: %s", target, C / c >= target ? "met" : "not met") }' | tell
}

server_start "$tmp/ours" --api-only && pair_start "$tmp/theirs" "$pki" || return 1
mkdir -p "$O/bench"
: >"$O/bench/peer"
line_of operation side a-second p50-us p99-us a-CPU-second target
both_do --objects 500 fill || return 1
for c in 1 16 64; do
	writes=10
	[ $c = 1 ] && writes=6 # what a flush costs is for one write alone
	versus "get, $c connections" 25 --conns $c --objects 500 get
	versus "update, $c connections" $writes --conns $c --objects 500 update
	versus "contend for 8 objects, $c" - --conns $c --objects 8 contend
	versus "list of 500, $c connections" 12 --conns $c listall
	versus "create, $c connections" $writes --conns $c create
	both_do clean && both_do --objects 500 fill || return 1
done
# Without controllers nobody makes the account that a pod runs as.
for url in "$pair_url" "$(sed -n 's/^ *server: *//p' "$server_config")"; do
	curl -sf --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" -H 'Content-Type: application/json' \
		-d '{"metadata":{"name":"default"}}' "$url/api/v1/namespaces/default/serviceaccounts" >/dev/null || return 1
done
versus 'create of a pod, 16 connections' 10 --conns 16 --resource pods create
both_do --resource pods clean
versus 'event to one of 200 watchers' 20 --conns 4 --objects 500 --watchers 200 watch
versus 'new connection, 4 at a time' 1.5 --conns 4 connect
both_do --objects 10000 fill || return 1
versus 'list of 10,000 by pages of 500' 12 --conns 4 page
versus 'list of 10,000 whole' 12 --conns 4 listall
# shellcheck disable=SC2086
o=$(peak "$server_pid") t=$(peak $pair_pids)
line_of 'peak memory, MiB' ours "$o" '' '' '' ''
line_of 'peak memory, MiB' theirs "$t" '' '' '' "kube-apiserver $(peak "${pair_pids#* }"), etcd $(peak "${pair_pids% *}")"
line_of 'peak memory' ratio "$(awk -v o="$o" -v t="$t" 'BEGIN { printf "%.1fx", t / o }')" '' '' '' ''
note 'both keep managedFields and authorize by Node and RBAC, neither audits; writes are on the disk when they are answered'
pair_stop
server_stop
