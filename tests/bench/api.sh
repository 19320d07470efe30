# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part api: work of the API server by one load program; CPU is the server's. What it is beside
# kube-apiserver and etcd in the same run is part peer. SECONDS_EACH=2 is the length of a measurement.
seconds=${SECONDS_EACH:-2}
ours() { "$load" --kubeconfig "$server_config" --pid "$server_pid" --seconds "$seconds" "$@"; }

# measured WHAT OPTION... OPERATION
measured() {
	what=$1
	shift
	line=$(ours "$@")
	[ "$(word "$line" errors)" = 0 ] || note "errors: $line"
	row "$what: CPU of one" "$(word "$line" cpu_us)" us '<=' - -
	note "$(word "$line" rate) a second, p50 $(word "$line" p50_us) us, p99 $(word "$line" p99_us) us"
}

server_start "$tmp/api" || return 1
ours --objects 1000 fill >/dev/null
ours --objects 1000 --resource pods fill >/dev/null
line=$(ours --conns 1000 --objects 1000 idle)
row 'idle connection: memory (PSS)' "$(word "$line" kib)" KiB '<=' - 4
note "of $(word "$line" conns) that came a thousand at a time, with what their handshakes left"
for c in 1 16 64; do
	measured "get, $c connections" --conns $c get
	measured "update, $c connections" --conns $c update
	measured "patch, $c connections" --conns $c patch
	measured "create, $c connections" --conns $c create
	ours clean >/dev/null && ours --objects 1000 fill >/dev/null
done
measured 'create of a pod, 16 connections' --conns 16 --resource pods create
ours --resource pods clean >/dev/null && ours --objects 1000 --resource pods fill >/dev/null
measured 'list of 1,000 pods' --conns 4 --resource pods list
line=$(ours --conns 4 --resource pods list)
row 'list: CPU of one pod' "$(awk -v us="$(word "$line" cpu_us)" 'BEGIN { printf "%.2f", us / 1000 }')" us '<=' - 5
measured 'watch event to one of 200 watchers' --conns 4 --watchers 200 watch
measured 'new connection with a client certificate' --conns 4 connect
server_stop
