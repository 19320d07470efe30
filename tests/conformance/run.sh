#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/run.sh O: `make conformance`: upstream's conformance suite against Keelson, one spec after
# the other, each by a process of e2e.test of its own, so that a spec that hangs or brings the suite down is only
# itself. What each run of a spec came to is a line of O/conformance/runs.tsv (fold.awk says which words it has);
# a run may be stopped at any time, and the next goes on: specs that never ran come first, then the oldest.
# Logs and ginkgo's reports of the last run of each are in O/conformance/logs.
#
#   ON=server|qemu   the ground [server]: an API server with nodes that only pretend to run pods, for the specs
#                    that need no more (file specs); or a cluster of machines in QEMU, for all
#   FOCUS=REGEX      only specs whose name matches (grep -E); AREA=sig-apps: of one area
#   FAILED=1         only those whose last run did not pass; SHARD=2/8: every eighth, beginning with the second
#   MINUTES=60       no spec begins after that; JOBS=2: so many at a time, [Serial] ones after them alone
#   NODES=3 MEM=1024 BACKEND=auto    of ON=qemu: machines, MiB of each, kvm or tcg
#   LIMIT=600        seconds a spec may take; those that are [Slow] three times that
#   E2E=, SPECS=     another e2e.test, another list of specs (tests)
#
# Closes with the table of all areas, over all runs so far, and "N passed, N failed, N skipped" of the list.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
O=$(cd "$1" && pwd)
ON=${ON:-server} JOBS=${JOBS:-1} LIMIT=${LIMIT:-600} SHARD=${SHARD:-1/1} SPECS=${SPECS:-$here/specs}
out=$O/conformance
mkdir -p "$out/logs"
tmp=$(mktemp -d)
. "$here/ground.sh"
. "$here/spec.sh"

lanes=
finish() {
	# shellcheck disable=SC2086
	[ -z "$lanes" ] || { kill $lanes && wait $lanes; } 2>/dev/null
	ground_stop
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

until_s=$(($(date +%s) + ${MINUTES:-100000} * 60))

# chosen: the names of the specs to run, in their order.
chosen() {
	"$here/results.sh" "$out" "$SPECS" >/dev/null
	sort -t "$(printf '\t')" -s -n -k6 "$out/results.tsv" | awk -F '\t' -v on="$ON" -v area="${AREA:-}" \
		-v failed="${FAILED:-}" '(on == "qemu" || $2 == on) && (area == "" || $1 == area) &&
		(failed == "" || $3 == "failed" || $3 == "flaky") { print $9 }' |
		grep -E -- "${FOCUS:-.}" | awk -v i="${SHARD%/*}" -v n="${SHARD#*/}" 'NR % n == i % n'
}

# claim LIST: the next of the list that no lane has taken, until time is over.
claim() {
	[ "$(date +%s)" -lt $until_s ] || return 0
	{
		flock 9
		sed -n 1p "$1"
		sed -i 1d "$1"
	} 9>"$tmp/claim"
}

# lane LIST: runs specs one after the other, as long as there are any. It is a process of its own, which ends the
# spec under way when it is ended itself.
lane() {
	# shellcheck disable=SC2154
	trap 'kill $spec 2>/dev/null; exit 1' TERM
	spec=
	while name=$(claim "$1") && [ -n "$name" ]; do
		spec "$name"
		ground_alive || { echo "conformance: $(ground_why)" >&2; return 1; }
	done
}

# lanes_run N LIST: N lanes until all are done.
lanes_run() {
	ended=0
	for _ in $(seq "$1"); do
		lane "$2" &
		lanes="$lanes $!"
	done
	for pid in $lanes; do
		wait "$pid" || ended=1
	done
	lanes=
	return $ended
}

chosen >"$tmp/chosen"
grep -F '[Serial]' "$tmp/chosen" >"$tmp/serial"
grep -vF '[Serial]' "$tmp/chosen" >"$tmp/together"
if [ -s "$tmp/chosen" ]; then
	e2e=${E2E:-$("$top/tests/peers/build.sh" e2e.test)} || exit 1
	kubectl=${KUBECTL:-$("$top/tests/peers/build.sh" kubectl)} || exit 1
	build=$(sha256sum "$(ground_program)" | cut -c1-12)
	ground_start || { ground_why; exit 1; }
	lanes_run "$JOBS" "$tmp/together" && lanes_run 1 "$tmp/serial" || exit 1
fi
"$here/results.sh" "$out" "$SPECS"
