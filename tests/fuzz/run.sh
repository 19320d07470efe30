#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/fuzz/run.sh SECONDS FOUND PROGRAM...: runs each fuzz target for so long from its committed
# corpus (tests/fuzz/corpus/<name>/); what it finds to crash is left below FOUND, and the run goes on
# with the next. New inputs stay in FOUND/corpus, not in the tree.
set -u

seconds=$1 found=$2
shift 2
passed=0 failed=0
for program in "$@"; do
	name=$(basename "$program")
	mkdir -p "$found/corpus/$name" "tests/fuzz/corpus/$name"
	if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
		-artifact_prefix="$found/$name-" "$found/corpus/$name" "tests/fuzz/corpus/$name" \
		>"$found/$name.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok   $name: $(grep -c . "$found/$name.log") lines, $(tail -1 "$found/$name.log")"
	else
		failed=$((failed + 1))
		tail -30 "$found/$name.log"
		echo "FAIL $name: log and input in $found"
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
