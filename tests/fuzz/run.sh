#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/fuzz/run.sh SECONDS FOUND PROGRAM...: runs each fuzz target for so long, as many at a time as there are
# cores (JOBS=), from its committed corpus (tests/fuzz/corpus/<name>/). What a target finds to crash is left
# below FOUND, and the others go on. In the cache, so that work adds up over runs and trees, stay the inputs
# that reached something new (fuzz/corpus/<name>/) and the counts (fuzz/totals: name, executions, seconds of CPU).
set -u

# one SECONDS FOUND CACHE PROGRAM: leaves "name result executions CPU-seconds" in FOUND/<name>.result.
one() {
	seconds=$1 found=$2 kept=$3/corpus program=$4
	name=$(basename "$program")
	mkdir -p "$kept/$name" "tests/fuzz/corpus/$name" "$found/$name.tmp"
	result=FAIL
	TMPDIR=$found/$name.tmp "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-max_len=65536 -print_final_stats=1 -artifact_prefix="$found/$name-" \
		"$kept/$name" "tests/fuzz/corpus/$name" >"$found/$name.log" 2>&1 && result=ok
	rm -rf "$found/$name.tmp"
	times >"$found/$name.times"
	cpu=$(tail -1 "$found/$name.times" | tr 'ms' '  ' | awk '{ print $1 * 60 + $2 + $3 * 60 + $4 }')
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log" | tail -1)
	echo "$name $result ${runs:-0} $cpu" >"$found/$name.result"
	[ $result = ok ] || tail -30 "$found/$name.log"
}

if [ "$1" = --one ]; then
	shift
	one "$@"
	exit 0
fi

seconds=$1 found=$2
shift 2
cache=$(deps/fetch.sh --cache)/fuzz
mkdir -p "$found" "$cache"
rm -f "$found"/*.result
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" --one "$seconds" "$found" "$cache"

exec 9>"$cache/.lock"
flock 9
touch "$cache/totals"
cat "$found"/*.result | awk -v totals="$cache/totals" -v wanted=$# '
	BEGIN { while ((getline line <totals) > 0) { split(line, w, " "); runs[w[1]] = w[2]; cpu[w[1]] = w[3] } }
	{
		runs[$1] += $3; cpu[$1] += $4; all += $3; spent += $4
		$2 == "ok" ? passed++ : failed++
		printf "%-4s %-20s %12.0f executions in %6.1f s of CPU; %14.0f over all runs%s\n", $2, $1, $3, $4,
			runs[$1], $2 == "ok" ? "" : ": log and input in '"$found"'"
	}
	END {
		for (n in runs) { printf "%s %.0f %.1f\n", n, runs[n], cpu[n] >(totals ".new"); sum += runs[n]; hours += cpu[n] }
		printf "     sum: %.0f executions in %.1f s of CPU; over all runs %.0f in %.2f hours of CPU\n",
			all, spent, sum, hours / 3600
		failed += wanted - NR # a target that could not even be started
		printf "%d passed, %d failed, 0 skipped\n", passed, failed
		exit failed > 0
	}'
status=$?
mv "$cache/totals.new" "$cache/totals"
exit $status
