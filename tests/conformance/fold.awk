# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/fold.awk SPECS RUNS: what all runs came to: one line for each spec of the list.
#
#   runs.tsv      when, build, ground, passed|failed|missing, seconds, error, name       (a line a run, appended)
#   results.tsv   area, ground, result, passed runs, runs, when, seconds, error, name    (a line a spec)
#
# Result: "passed" and "failed" when all runs of the newest build that ran it agree, "flaky" when they do not,
# "not run" when there is none: e2e.test having no such spec is none either.
BEGIN { FS = OFS = "\t" }
/^#/ || NF == 0 { next }
FNR == NR { ground[$2] = $1; order[++n] = $2; next }
!($7 in ground) { next }
$4 == "missing" { error[$7] = $6; next }
{
	if ($2 != build[$7])
		passed[$7] = runs[$7] = 0
	build[$7] = $2
	runs[$7]++
	passed[$7] += $4 == "passed"
	when[$7] = $1; seconds[$7] = $5; error[$7] = $6
}
END {
	for (i = 1; i <= n; i++) {
		s = order[i]
		area = s; sub(/^\[/, "", area); sub(/\].*/, "", area)
		r = !runs[s] ? "not run" : passed[s] == runs[s] ? "passed" : passed[s] ? "flaky" : "failed"
		print area, ground[s], r, passed[s] + 0, runs[s] + 0, when[s] + 0, seconds[s] + 0, error[s], s
	}
}
