#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/recorded.sh: stands where e2e.test stands in the tests of the runner: leaves the report that
# the real one left for such a spec (recorded/NAME.json, NAME being the last word of the focus), or behaves
# as a suite that hangs or breaks down. "flaky" passes every other time, counted in $COUNT.
set -eu
report= focus=
while [ $# -gt 0 ]; do
	case $1 in
	--ginkgo.json-report) report=$2 && shift ;;
	--ginkgo.focus) focus=$2 && shift ;;
	esac
	shift
done
here=$(dirname "$0")/recorded
case $focus in
*' passes$') cp "$here/passed.json" "$report" ;;
*' fails$') cp "$here/failed.json" "$report" && exit 1 ;;
*' is \[Slow\] and times out$') cp "$here/timedout.json" "$report" && exit 1 ;;
*' is missing$') cp "$here/none.json" "$report" ;;
*' has no ground$') cp "$here/suite.json" "$report" && exit 1 ;;
*' hangs$') trap '' TERM && tail -f /dev/null ;;
*' breaks down$') echo 'panic: at the disco' && exit 2 ;;
*' is flaky$')
	echo >>"$COUNT"
	if [ $(($(wc -l <"$COUNT") % 2)) -eq 1 ]; then cp "$here/flaky.json" "$report"; else exit 2; fi
	;;
*) echo "no report was recorded for '$focus'" && exit 3 ;;
esac
