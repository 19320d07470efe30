#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/causes.sh DIR: why specs failed, as rows of a table: how many, and the first line of their errors
# without names, numbers and times of one object, most frequent first.
set -eu
awk -F '\t' '$3 == "failed" || $3 == "flaky" { print $8 }' "$1/results.tsv" |
	sed -E 's/"[^"]*-[0-9]+"/"..."/g; s/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.../g; s/[a-z0-9-]+-[0-9]{2,}(-[a-z0-9]+)?/.../g; s/[0-9]+(\.[0-9]+)?m?s\b/N s/g; s/127\.0\.0\.1:[0-9]+/server/g; s/\|/\\|/g' |
	sort | uniq -c | sort -rn | sed -E 's/^ *([0-9]+) (.*)$/| \1 | \2 |/'
