# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part api: work of the API server by one load program; CPU is the server's. With PEER_KUBECONFIG (and
# PEER_PIDS) of another API server the same load runs against it too, and the ratios are what is judged:
# targets are ratios of CPU to kube-apiserver and etcd in the same run. SECONDS_EACH=2 is the length of a measurement.
seconds=${SECONDS_EACH:-2}
peer=${PEER_KUBECONFIG:-}
peer_pids=
for p in ${PEER_PIDS:-}; do peer_pids="$peer_pids --pid $p"; done

ours() { "$load" --kubeconfig "$server_config" --pid "$server_pid" --seconds "$seconds" "$@"; }
# shellcheck disable=SC2086
theirs() { "$load" --kubeconfig "$peer" $peer_pids --seconds "$seconds" "$@"; }

# compared WHAT TARGET-RATIO OPTION... OPERATION: a row for ours, a row for the ratio.
compared() {
	what=$1 ratio=$2
	shift 2
	line=$(ours "$@")
	[ "$(word "$line" errors)" = 0 ] || note "errors: $line"
	us=$(word "$line" cpu_us)
	row "$what: CPU of one" "$us" us '<=' - -
	note "$(word "$line" rate) a second, p50 $(word "$line" p50_us) us, p99 $(word "$line" p99_us) us"
	if [ -z "$peer" ]; then
		row "$what: times cheaper than kube-apiserver" '' '' '>=' - "$ratio" 'no PEER_KUBECONFIG'
		return
	fi
	line=$(theirs "$@")
	row "$what: times cheaper than the peer" \
		"$(awk -v a="$(word "$line" cpu_us)" -v b="$us" 'BEGIN { printf "%.1f", a / b }')" '' '>=' - "$ratio"
	note "the peer: $line"
}

server_start "$tmp/api" || return 1
ours --objects 1000 fill >/dev/null
ours --objects 1000 --resource pods fill >/dev/null
[ -z "$peer" ] || { theirs --objects 1000 fill >/dev/null; theirs --objects 1000 --resource pods fill >/dev/null; }
line=$(ours --conns 1000 --objects 1000 idle)
row 'idle connection: memory (PSS)' "$(word "$line" kib)" KiB '<=' - 4
for c in 1 16 64; do
	compared "get, $c connections" 25 --conns $c get
	r=10
	[ $c = 1 ] && r=6
	compared "update, $c connections" $r --conns $c update
	compared "patch, $c connections" $r --conns $c patch
	compared "create, $c connections" $r --conns $c create
	ours clean >/dev/null && ours --objects 1000 fill >/dev/null
	[ -z "$peer" ] || { theirs clean >/dev/null && theirs --objects 1000 fill >/dev/null; }
done
compared 'create of a pod, 16 connections' 10 --conns 16 --resource pods create
ours --resource pods clean >/dev/null && ours --objects 1000 --resource pods fill >/dev/null
[ -z "$peer" ] || { theirs --resource pods clean && theirs --objects 1000 --resource pods fill; } >/dev/null
compared 'list of 1,000 pods' 12 --conns 4 --resource pods list
line=$(ours --conns 4 --resource pods list)
row 'list: CPU of one pod' "$(awk -v us="$(word "$line" cpu_us)" 'BEGIN { printf "%.2f", us / 1000 }')" us '<=' - 5
compared 'watch event to one of 200 watchers' 8 --conns 4 --watchers 200 watch
compared 'new connection with a client certificate' 1.5 --conns 4 connect
server_stop
