#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/compatibility.sh O: docs/compatibility.md, to standard output, of the results in
# O/conformance (make conformance-docs).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1/conformance
"$here/results.sh" "$out" "$here/specs" >"$out/table"
release=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }' "$here/../peers/go.mod")
cat <<E
# Compatibility

Made by \`make conformance-docs\` on $(date -u +%Y-%m-%d), of what \`make conformance\` (docs/building.md) had run until
then: upstream's conformance specs of $release. A spec has passed when all its runs with the newest build that ran it
passed; one that did not run has not passed. It is no certification: that is one run of all specs.

| area | passed | failed | flaky | not run | specs |
|---|---|---|---|---|---|
$(awk '/^(sig-|all )/ { print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$out/table")

Runs by ground: $(awk -F '\t' '{ n[$3]++ } END { for (g in n) printf "%s%s %d", s++ ? ", " : "", g, n[g] }' "$out/runs.tsv").
On the ground \`server\` nodes only pretend to run pods (docs/hollow.md); specs that look at containers run on \`qemu\` alone.

## What did not pass

First lines of errors, most frequent first, with what stands for one object taken out.

| specs | error |
|---|---|
$("$here/causes.sh" "$out" | head -25)
E
