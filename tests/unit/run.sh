#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/unit/run.sh PROGRAM...: runs test programs one after the other, prints one line for each (all
# of a program's output when it failed, or V=1) and the sum as a closing line. A program that dies or
# does not end with its own closing line counts as one failure more.
set -u

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
	"$program" >"$log" 2>&1
	status=$?
	sum=$(tail -1 "$log" | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$') || sum=
	if [ -n "$sum" ]; then
		set -- $(echo "$sum" | tr -d ',')
		passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
		[ $status -ne 0 ] && [ "$3" -eq 0 ] && failed=$((failed + 1)) && sum="$sum, status $status"
	else
		failed=$((failed + 1)) sum="died, status $status"
	fi
	if [ $status -ne 0 ] || [ -n "${V:-}" ]; then
		cat "$log"
	else
		grep -E '^skip ' "$log"
	fi
	echo "$program: $sum"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
