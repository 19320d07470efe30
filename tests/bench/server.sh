# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part server: `keelson server` as a process: its start, and what it costs at rest.
server_rounds=9
port=16543

# started DIR: one start, from exec to the first 200 of /readyz.
started() {
	"$load" --server "https://127.0.0.1:$port" --insecure 1 ready -- "$O/bin/keelson" server \
		--data-dir "$1" --listen "127.0.0.1:$port" 2>>"$tmp/server.log"
}
starts() {
	for i in $(seq $server_rounds); do
		[ "$1" = first ] && rm -rf "$tmp/first"
		started "$tmp/first"
	done >"$tmp/starts"
	grep -q 'ok=0' "$tmp/starts" && { cat "$tmp/server.log"; return 1; }
	for w in wall_ms cpu_ms; do
		while read -r line; do word "$line" $w; done <"$tmp/starts" | median >"$tmp/$w"
	done
}

starts first || return 1
row 'start, no keys and objects yet: CPU' "$(cat "$tmp/cpu_ms")" ms '<=' - -
row 'start, no keys and objects yet: exec to /readyz 200' "$(cat "$tmp/wall_ms")" ms '<=' 100 50 "$(busy)"
starts again || return 1
row 'start with what is there: CPU' "$(cat "$tmp/cpu_ms")" ms '<=' - -
row 'start with what is there: exec to /readyz 200' "$(cat "$tmp/wall_ms")" ms '<=' 100 50 "$(busy)"

server_start "$tmp/idle" || return 1
rest 10 # at rest: what a start leaves to do is done
cpu_of() { cat /proc/"$server_pid"/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f", n }'; }
smaps() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/"$server_pid"/smaps_rollup; }
before=$(cpu_of)
rest 30
row 'at rest: CPU' "$(awk -v a="$before" -v b="$(cpu_of)" 'BEGIN { printf "%.4f", (b - a) / 30e9 * 100 }')" '% of one' '<=' - 0.2
kib() { awk -v n="$1" 'BEGIN { printf "%.1f", n / 1024 }'; }
row 'at rest: memory (PSS)' "$(kib "$(smaps Pss)")" MiB '<=' 24 24
note "of it anonymous $(kib "$(smaps Anonymous)") MiB; threads $(ls /proc/"$server_pid"/task | wc -l)"
server_stop
