#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/run.sh O [AREA...]: a cluster of three machines in QEMU, a real registry beside it, and what
# users do with them: each area is a file beside this one, all on one cluster, in the order of $areas.
# Closes with "N passed, N failed, N skipped". Leaves nothing running.
#
#   KEEP=1     on failure keep the machines and print how to reach them
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
O=$(cd "$1" && pwd)
shift
areas=${*:-$(sed 's/#.*//' "$top/tests/cluster/areas")}
tmp=$(mktemp -d)
. "$top/tests/cluster/lib.sh"
. "$top/tests/images/registry.sh"

finish() {
	if [ -n "${KEEP:-}" ] && [ $failed -ne 0 ]; then
		echo "kept: export KUBECONFIG=$KUBECONFIG; $O/bin/keelctl cluster down --dir $tmp/c --grace 0 --forget"
		return
	fi
	ctl down --grace 0 --forget >/dev/null 2>&1
	registry_stop
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

kubectl=$(kubectl_program kubectl-1.36) || exit 1
KEELSON_CACHE=$("$top/deps/fetch.sh" --cache) && export KEELSON_CACHE # HOME is another from here on
registry_start "$tmp/registry" || { echo "no registry"; exit 1; }
export KUBECONFIG="$tmp/kubeconfig" HOME="$tmp"

# up [OPTION...]: boots the cluster, or goes on with its disks.
up() {
	ctl up --kernel "$O/image/vmlinuz" --initramfs "$O/image/initramfs" --kubeconfig "$KUBECONFIG" \
		--timeout 180 --host registry.test=10.77.0.1 --registry "$registry=$registry_ca" \
		--registry "$registry_private=$registry_ca" "$@"
}

area=up
check 'three machines become Ready' '3 of 3 nodes are Ready' up --nodes 3
[ $failed -eq 0 ] || { cat "$tmp"/c/*/console.log | tail -60; exit 1; }
for area in $areas; do
	. "$top/tests/cluster/$area.sh"
done
[ $failed -eq 0 ] || for f in "$tmp"/c/*/console.log; do
	echo "--- the end of $(basename "$(dirname "$f")")'s console"
	tail -15 "$f"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
