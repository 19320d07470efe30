#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/run.sh SUITE...: `make test`. Each suite is a make target suite-<name> whose last line is
# "N passed, N failed, N skipped"; logs stay in $O/test/. Goes on after a failed suite. The closing
# line is the sum; a suite that ends without one counts as a failure.
set -u

out=${O:-build}/test
mkdir -p "$out"
passed=0 failed=0 skipped=0 table=
for suite in "$@"; do
	echo "=== $suite"
	begin=$(date +%s)
	{ ${MAKE:-make} "suite-$suite" 2>&1; echo $? >"$out/$suite.status"; } | tee "$out/$suite.log"
	status=$(cat "$out/$suite.status")
	seconds=$(($(date +%s) - begin))
	sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out/$suite.log" | tail -1)
	bad=0
	if [ -n "$sum" ]; then
		p=${sum%% *} s=${sum##*failed, } f=${sum#*passed, }
		f=${f%% *} s=${s%% *}
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)) bad=$f
	fi
	[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && failed=$((failed + 1)) && sum="failed: $out/$suite.log"
	table="$table$(printf '%-12s %5d s  %s' "$suite" "$seconds" "$sum")
"
done
printf '=== summary\n%s' "$table"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
