#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/compatibility.sh O: docs/compatibility.md, to standard output, of the results that are there
# (make conformance-docs): of make conformance in O/conformance, of make oracle in O/oracle/table, of
# make bench PEER=1 in O/bench/peer. What was not run is said to be missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1/conformance
"$here/results.sh" "$out" "$here/specs" >"$out/table"
release=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }' "$here/../peers/go.mod")
oracle_table=$1/oracle/table
peer_table=$1/bench/peer
# of FILE COMMAND...: what the command makes of it, or that it is not there.
of() {
	[ -s "$1" ] || { echo 'Not run.' && return; }
	date -u -r "$1" '+Run on %Y-%m-%d.%n'
	shift
	"$@"
}
oracle() {
	echo '| kind | answers compared | equal | different | not served |'
	echo '|---|---|---|---|---|'
	awk '/^kind / { on = 1; next } /^$/ { exit }
		on { print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " |" }' "$oracle_table"
	printf '\nMost frequent causes of difference; @ stands for a path, # for a number:\n\n'
	awk '/^most frequent causes/ { on = 1; next } /^$/ { on = 0 } on && n++ < 25' "$oracle_table" |
		cut -c1-130 | sed 's/^/    /'
}
causes() {
	rows=$("$here/causes.sh" "$out" | head -25)
	[ "$rows" ] || { echo 'Nothing.' && return; }
	printf 'First lines of errors, most frequent first, with what stands for one object taken out.\n\n'
	printf '| specs | error |\n|---|---|\n%s\n' "$rows"
}
peer() {
	echo '```'
	cat "$peer_table"
	echo '```'
}
cat <<E
# Compatibility

Made by \`make conformance-docs\` on $(date -u +%Y-%m-%d), of what \`make conformance\` (docs/building.md) had run until
then: upstream's conformance specs of $release. A spec has passed when all its runs with the newest build that ran it
passed; one that did not run has not passed. It is no certification: that is one run of all specs.

| area | passed | failed | flaky | not run | specs |
|---|---|---|---|---|---|
$(awk '/^(sig-|all )/ { print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$out/table")

Runs by ground: $(awk -F '\t' '{ n[$3]++ } END { for (g in n) printf "%s%s %d", s++ ? ", " : "", g, n[g] }' "$out/runs.tsv").
Specs by the build of Keelson that ran them last: $(awk -F '\t' '{ last[$7] = $2; when[$2] = $1 }
	END { for (spec in last) n[last[spec]]++
		for (build in n) print when[build], n[build], build }' "$out/runs.tsv" | sort -rn |
	awk '{ printf "%s%d with %s", s++ ? ", " : "", $2, $3 }') (newest first).
On the ground \`server\` nodes only pretend to run pods (docs/hollow.md); specs that look at containers run on \`qemu\` alone.

Spec by spec: [conformance.tsv](conformance.tsv).

## What did not pass

$(causes)

## Answer by answer

The same requests to kube-apiserver $release and to \`keelson server\` (\`make oracle\`): for each kind valid objects, each field
wrong in turn, all verbs, patch types, selectors, Tables, watches. Equal is status, headers and body, error texts
included, but for times, ids, revisions and addresses.

$(of "$oracle_table" oracle)

## Work, beside kube-apiserver and etcd

\`make bench PEER=1\`: both sides on one machine, asked in turn by the same program; a ratio says how many times better
ours is.

$(of "$peer_table" peer)
E
