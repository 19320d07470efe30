#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/fault/run.sh O short|full [AREA...]: faults at random times while clients write and watch: roles and
# machines are killed, links cut, disks left as a power cut may leave them; then check says whether anything
# was lost, doubled, missed or torn. Areas are the files beside this one, listed in areas; `short` is the round
# of `make test`, `full` that of `make fault`. Closes with "N passed, N failed, N skipped", leaves nothing running.
#
#   SEED=N     the times and the choices (printed; the machine's own timing is not repeated by it)
#   KEEP=1     on failure keep histories, disks and machines, and print where
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
O=$(cd "$1" && pwd)
round=$2
shift 2
areas=${*:-$(sed 's/#.*//' "$top/tests/fault/areas")}
tmp=$(mktemp -d)
tools=$O/musl/fault
begin_s=$(date +%s)
seed=${SEED:-$begin_s}
. "$top/tests/cluster/lib.sh"
. "$top/tests/images/registry.sh"
. "$top/tests/fault/lib.sh"

finish() {
	if [ -n "${KEEP:-}" ] && [ $failed -ne 0 ]; then
		echo "kept: $tmp; $O/bin/keelctl cluster down --dir $tmp/c --grace 0 --forget; kill $running $registry_pids"
		return
	fi
	for pid in $running; do
		kill -9 "$pid" 2>/dev/null
	done
	ctl down --grace 0 --forget >/dev/null 2>&1
	registry_stop
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

kubectl=$(kubectl_program kubectl-1.36) || exit 1
KEELSON_CACHE=$("$top/deps/fetch.sh" --cache)
export KEELSON_CACHE KUBECONFIG="$tmp/kubeconfig" HOME="$tmp"
echo "     SEED=$seed, round '$round'"
for area in $areas; do
	. "$top/tests/fault/$area.sh"
done
echo "     $(($(date +%s) - begin_s)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
