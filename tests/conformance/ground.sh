# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/ground.sh: what the specs run on. Sourced by run.sh, which sets O, top, tmp and ON.
#
#   ground_program        the program under test, whose content names the build
#   ground_start          brings it up and exports KUBECONFIG; ground_stop takes it down, also half of it
#   ground_alive          it is still there; ground_why: what is known of why not
#
# A ground is three functions, NAME_start, NAME_alive and NAME_stop; processes in ground_pids end by themselves.
ground_pids=
. "$top/tests/images/registry.sh"

ground_program() { echo "$O/bin/keelson"; }
ground_start() { "${ON}_start"; }
ground_alive() { "${ON}_alive"; }
ground_why() { tail -3 "$tmp"/ground/*.log "$tmp"/ground/*/*.log 2>/dev/null; }
ground_stop() {
	"${ON}_stop"
	for p in $ground_pids; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	ground_pids=
}

# ground_await SECONDS REGEX FILE PID: until a line of FILE matches; false when the process ends or time is over.
ground_await() {
	end=$(($(date +%s) + $1))
	until grep -Eq -- "$2" "$3" 2>/dev/null; do
		[ "$(date +%s)" -lt $end ] && kill -0 "$4" 2>/dev/null || return 1
		sleep 0.1
	done
}

# ---- server: one API server with its controllers, two nodes that only pretend ----
server_start() {
	mkdir -p "$tmp/ground"
	"$O/bin/keelson" server --data-dir "$tmp/ground/data" --listen 127.0.0.1:0 >"$tmp/ground/server.log" 2>&1 &
	ground_pids=$!
	ground_await 30 'ready on' "$tmp/ground/server.log" "$ground_pids" || return 1
	export KUBECONFIG="$tmp/ground/data/kubeconfig"
	"$O/bin/keelson" hollow --kubeconfig "$KUBECONFIG" --nodes 2 >"$tmp/ground/hollow.log" 2>&1 &
	ground_pids="$! $ground_pids"
	ground_await 60 'nodes are ready' "$tmp/ground/hollow.log" "${ground_pids% *}"
}
server_alive() {
	for p in $ground_pids; do
		kill -0 "$p" 2>/dev/null || return 1
	done
}
server_stop() { :; }

# ---- qemu: a control node and two workers, the images of the suite in a real registry ----
qemu_start() {
	mkdir -p "$tmp/ground"
	images=$("$here/images.sh") || return 1
	registry_start "$tmp/registry" '' "$images" || return 1
	printf 'promoterE2eRegistry: %s/e2e\ngcRegistry: %s\ngcEtcdRegistry: %s\n' \
		"$registry" "$registry" "$registry" >"$tmp/ground/repositories"
	export KUBE_TEST_REPO_LIST="$tmp/ground/repositories" KUBECONFIG="$tmp/ground/kubeconfig"
	"$O/bin/keelctl" cluster up --dir "$tmp/ground/c" --nodes "${NODES:-3}" --mem "${MEM:-1024}" --backend "${BACKEND:-auto}" \
		--kernel "$O/image/vmlinuz" --initramfs "$O/image/initramfs" --kubeconfig "$KUBECONFIG" --timeout 600 \
		--host registry.test=10.77.0.1 --registry "$registry=$registry_ca" >"$tmp/ground/up.log" 2>&1
}
# qemu_alive: the API server answers within a minute, and all nodes are ready again within five.
qemu_alive() {
	timeout 60 "$kubectl" get --raw /readyz >/dev/null 2>&1 &&
		timeout 300 "$kubectl" wait --for=condition=Ready nodes --all >/dev/null 2>&1
}
qemu_stop() {
	[ ! -d "$tmp/ground/c" ] || "$O/bin/keelctl" cluster down --dir "$tmp/ground/c" --grace 0 --forget >/dev/null 2>&1
	registry_stop
}
