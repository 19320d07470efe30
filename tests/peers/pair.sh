# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/peers/pair.sh: upstream's kube-apiserver with its etcd, on loopback, under the PKI that `keelson server`
# made in its data folder. Sourced by tests/oracle/run.sh and tests/bench/peer.sh, which set top and O; wants
# build/bin/oracle (free ports) and curl.
#
#   pair_start DIR PKI    data and logs (etcd.log, kube-apiserver.log) in DIR; sets pair_url and pair_pids, of which
#                         the caller ends those that were started, also when it fails (status 1, the reason said)
#   pair_stop             ends them at once: their data is thrown away, and kube-apiserver takes minutes without etcd
#   pair_await WHAT LOG PID COMMAND...    until the command succeeds, 120 s; false, and the log's end, when the process
#                         ends or time is over
pair_pids=

pair_await() {
	pair_what=$1 pair_log=$2 pair_pid=$3 pair_end=$(($(date +%s) + 120))
	shift 3
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pair_pid" 2>/dev/null && [ "$(date +%s)" -lt $pair_end ] || {
			tail -20 "$pair_log" >&2
			echo "$pair_what is not ready" >&2
			return 1
		}
		sleep 0.1
	done
}

pair_start() {
	pair_server=$("$top/tests/peers/build.sh" kube-apiserver) && pair_etcd=$("$top/tests/peers/build.sh" etcd) || return 1
	mkdir -p "$1"
	dir=$1 pki=$2
	# shellcheck disable=SC2046
	set -- $("$O/bin/oracle" ports 3)
	"$pair_etcd" --data-dir "$dir/etcd" --listen-client-urls "http://127.0.0.1:$1" \
		--advertise-client-urls "http://127.0.0.1:$1" --listen-peer-urls "http://127.0.0.1:$2" \
		--initial-advertise-peer-urls "http://127.0.0.1:$2" --initial-cluster "default=http://127.0.0.1:$2" \
		>"$dir/etcd.log" 2>&1 &
	pair_pids=$!
	pair_await etcd "$dir/etcd.log" $! curl -sf "http://127.0.0.1:$1/health" || return 1
	"$pair_server" --etcd-servers "http://127.0.0.1:$1" --bind-address 127.0.0.1 --secure-port "$3" \
		--cert-dir "$dir" --tls-cert-file "$pki/server.crt" --tls-private-key-file "$pki/server.key" \
		--client-ca-file "$pki/ca.crt" --authorization-mode Node,RBAC --allow-privileged \
		--enable-admission-plugins NodeRestriction --endpoint-reconciler-type none \
		--service-cluster-ip-range 10.96.0.0/16,fd00:10:96::/112 --service-account-key-file "$pki/sa.pub" \
		--service-account-signing-key-file "$pki/sa.key" \
		--service-account-issuer https://kubernetes.default.svc.cluster.local >"$dir/kube-apiserver.log" 2>&1 &
	pair_pids="$pair_pids $!"
	pair_url=https://127.0.0.1:$3
	pair_await kube-apiserver "$dir/kube-apiserver.log" $! curl -sf --cacert "$pki/ca.crt" --cert "$pki/admin.crt" \
		--key "$pki/admin.key" "$pair_url/readyz"
}

pair_stop() {
	for pair_pid in $pair_pids; do
		kill -9 "$pair_pid" && wait "$pair_pid" || : # what it ended with is no failure of the caller
	done 2>/dev/null
	pair_pids=
}
