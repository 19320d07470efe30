#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/oracle/run.sh COMMAND: brings servers up, has build/bin/oracle ask them, and compares.
#
#   ask      upstream's kube-apiserver (built from its Go modules) and `keelson server` are asked the
#            whole corpus; tables; differences in $O/oracle/diff/<Kind>.diff     (make oracle)
#   record   the same, and upstream's answers become the recorded ones           (make oracle-record)
#   suite    `keelson server` against the recorded answers: fails when what was equal is no more
#   hold     the same, and what is equal now is held from now on                 (make oracle-hold)
#   show K   prints the differences of a kind as the last comparison left them   (make oracle SHOW=K)
#
# Recorded: recorded.zst, the corpus with upstream's answers; held: states.txt (report.c tells its form).
# Both servers run on loopback with data in memory, under one PKI (Keelson's), without controllers.
# Must not: leave a process behind, use the network beyond loopback.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/oracle
O=${O:-build}
case $O in /*) ;; *) O=$top/$O ;; esac
out=$O/oracle
oracle=$O/bin/oracle
mkdir -p "$out"
tmp=$(mktemp -d "$(test -w /dev/shm && echo /dev/shm || echo /tmp)/oracle.XXXXXX")
pids=
. "$top/tests/peers/pair.sh"

finish() {
	pair_stop
	[ -z "$pids" ] || { kill "$pids" && wait "$pids" || :; } 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

die() { echo "oracle: $*" >&2; exit 1; }

start_keelson() {
	: >"$out/keelson.log" # a line of an earlier run would be taken for this one's
	"$O/bin/keelson" server --data-dir "$tmp/k" --listen 127.0.0.1:0 --api-only >"$out/keelson.log" 2>&1 &
	pids=$!
	pair_await keelson "$out/keelson.log" "$pids" grep -q ' ready on ' "$out/keelson.log" || die 'no server'
	keelson=$(sed -n 's/.* ready on //p' "$out/keelson.log")
	pki=$tmp/k/pki
}

ask_keelson() { "$oracle" replay "$keelson" "$pki" "$1" "$out/ours"; }

ask() {
	(cd "$here/generate" && go build -o "$O/bin/oracle-generate" .)
	"$O/bin/oracle-generate" "$top/tests/api/facts" "$here/objects.json" "$out/corpus"
	start_keelson
	pair_start "$tmp/upstream" "$pki" || die 'no peer'
	upstream=$pair_url
	begin=$(date +%s)
	"$oracle" replay "$upstream" "$pki" "$out/corpus" "$out/theirs"
	middle=$(date +%s)
	ask_keelson "$out/corpus"
	echo "upstream $((middle - begin)) s, keelson $(($(date +%s) - middle)) s"
}

# compare OPTION...: the table, and what was printed in $out/table as well.
compare() {
	status=0
	"$oracle" compare "$@" >"$out/table" || status=$?
	cat "$out/table"
	return $status
}

ask_recorded() {
	zstd -dqf --long=27 "$here/recorded.zst" -o "$out/theirs"
	start_keelson
	ask_keelson "$out/theirs"
}

case ${1:-} in
ask)
	ask
	compare "$out/theirs" "$out/ours" "$out/diff"
	;;
record)
	ask
	zstd -q -19 --long=27 -f "$out/theirs" -o "$here/recorded.zst"
	compare "$out/theirs" "$out/ours" "$out/diff"
	cp "$out/diff/states" "$here/states.txt"
	;;
suite)
	ask_recorded
	compare "$out/theirs" "$out/ours" "$out/diff" "$here/states.txt"
	;;
hold)
	ask_recorded
	compare "$out/theirs" "$out/ours" "$out/diff"
	cp "$out/diff/states" "$here/states.txt"
	;;
show)
	[ -f "$out/diff/$2.diff" ] || die "nothing of '$2' was compared yet: make oracle, or make suite-oracle"
	cat "$out/diff/$2.diff"
	;;
*)
	die "ask, record, suite, hold or show KIND"
	;;
esac
