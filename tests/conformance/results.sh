#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/results.sh DIR SPECS: folds DIR/runs.tsv into DIR/results.tsv, and prints the table: areas by
# passed, failed, flaky, not run and all of the release's list; flaky specs as "passed k of n"; and
# "N passed, N failed, N skipped", where whatever did not pass reliably has failed and skipped are those not run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -e "$1/runs.tsv" ] || : >"$1/runs.tsv"
awk -f "$here/fold.awk" "$2" "$1/runs.tsv" >"$1/results.tsv.$$"
mv "$1/results.tsv.$$" "$1/results.tsv"
awk -F '\t' '
	function row(name, k) {
		printf "%-22s %7d %7d %7d %8d %7d\n", name, c[k, "passed"], c[k, "failed"], c[k, "flaky"], c[k, "not run"], all[k]
	}
	{
		if (!($1 in all)) area[++n] = $1
		c[$1, $3]++; c["", $3]++; all[$1]++; all[""]++
		if ($3 == "flaky") flaky = flaky sprintf("flaky: passed %d of %d: %s\n", $4, $5, $9)
	}
	END {
		printf "%-22s %7s %7s %7s %8s %7s\n", "area", "passed", "failed", "flaky", "not run", "total"
		for (i = 1; i <= n; i++) row(area[i], area[i])
		row("all", "")
		printf "%s", flaky
		printf "%d passed, %d failed, %d skipped\n", c["", "passed"], c["", "failed"] + c["", "flaky"], c["", "not run"]
	}' "$1/results.tsv"
