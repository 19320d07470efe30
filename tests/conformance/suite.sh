#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/suite.sh O: `make suite-conformance`: the runner itself, against a real server and reports that
# ginkgo wrote (recorded.sh): each spec is counted as what it is, and a run that was stopped goes on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
O=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
t=$(printf '\t')
for spec in "server$t[sig-apps] Recorded passes" "server$t[sig-apps] Recorded fails" \
	"server$t[sig-apps] Recorded is [Slow] and times out" "server$t[sig-apps] Recorded is missing" \
	"server$t[sig-apps] Recorded has no ground" "server$t[sig-node] Recorded hangs" \
	"server$t[sig-node] Recorded breaks down" "server$t[sig-apps] Recorded is flaky" \
	"qemu$t[sig-node] Recorded passes"; do
	echo "$spec"
done >"$tmp/specs"
mkdir -p "$tmp/o"
ln -s "$O/bin" "$tmp/o/bin"

# run VARIABLE...: the runner on a build folder of its own; a spec may take 2 s.
run() {
	env E2E="$here/recorded.sh" KUBECTL=/bin/false SPECS="$tmp/specs" COUNT="$tmp/count" LIMIT=2 GRACE=0 "$@" \
		"$here/run.sh" "$tmp/o" >"$tmp/out" 2>&1
}
runs() { cut -f7 "$tmp/o/conformance/runs.tsv" | sed 's/.*Recorded //' | sort | tr '\n' ','; }
# result NAME: its line of results.tsv without when and how long.
result() { awk -F '\t' -v s="$1" -v OFS='|' '$9 == s { print $3, $4 " of " $5, $8 }' "$tmp/o/conformance/results.tsv"; }
same() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
		echo "ok   $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: want"
		echo "     $2, not"
		echo "     $3"
		sed 's/^/     | /' "$tmp/out" | tail -25
	fi
}

run MINUTES=0
same 'when time is over nothing runs' '' "$(runs)"
same 'and all is not run' '0 passed, 0 failed, 9 skipped' "$(tail -1 "$tmp/out")"
run SHARD=1/4
same 'a shard is every fourth' 'has no ground,passes,' "$(runs)"
run JOBS=3
same 'what ran last comes last, the rest is run; another ground is left alone' \
	'breaks down,fails,hangs,has no ground,has no ground,is [Slow] and times out,is flaky,is missing,passes,passes,' "$(runs)"
same 'a spec that passed' 'passed|2 of 2|' "$(result '[sig-apps] Recorded passes')"
same 'a spec that failed' 'failed|0 of 1|expected 200 OK, got 404' "$(result '[sig-apps] Recorded fails')"
same 'a spec that ginkgo ended' 'failed|0 of 1|timedout at: waiting for something that does not come' \
	"$(result '[sig-apps] Recorded is [Slow] and times out')"
same 'a spec that hung' 'failed|0 of 1|it hung: ended by the runner' "$(result '[sig-node] Recorded hangs')"
same 'a suite that broke down' 'failed|0 of 1|e2e.test ended with 2 and left no report: panic: at the disco' \
	"$(result '[sig-node] Recorded breaks down')"
same 'a suite that did not start' \
	'failed|0 of 2|SynchronizedBeforeSuite: failed to load kubeconfig: connection refused' \
	"$(result '[sig-apps] Recorded has no ground')"
same 'a spec that e2e.test does not have did not run' 'not run|0 of 0|e2e.test has no such spec' \
	"$(result '[sig-apps] Recorded is missing')"
run FOCUS=flaky
run FOCUS=flaky AREA=sig-apps
run FOCUS=flaky AREA=sig-node
same 'a spec that passes now and then' 'flaky|2 of 3|' \
	"$(result '[sig-apps] Recorded is flaky' | sed 's/|e2e.test ended with 2.*/|/')"
same 'is said so' 'flaky: passed 2 of 3: [sig-apps] Recorded is flaky' "$(grep '^flaky:' "$tmp/out")"
same 'the table counts each once' 'sig-apps 1 3 1 1 6|sig-node 0 2 0 1 3|all 1 5 1 2 9|' \
	"$(grep -E '^(sig|all)' "$tmp/out" | awk -v ORS='|' '{ $1 = $1; print }')"
same 'and closes with their sum' '1 passed, 6 failed, 2 skipped' "$(tail -1 "$tmp/out")"
n=$(wc -l <"$tmp/o/conformance/runs.tsv")
run FAILED=1 FOCUS='fails|passes'
same 'FAILED=1 leaves out what passed' "$((n + 1))" "$(wc -l <"$tmp/o/conformance/runs.tsv")"
sed -i 's/\t[0-9a-f]*\tserver\tpassed/\tanother-build\tserver\tpassed/' "$tmp/o/conformance/runs.tsv"
run FOCUS='flaky'
same 'a newer build is counted anew' 'failed|0 of 1|' \
	"$(result '[sig-apps] Recorded is flaky' | sed 's/|e2e.test ended with 2.*/|/')"
# A run that is ended under way: until the spec that hangs runs, then until nothing does (it is deaf for 5 s).
running() { pgrep -f "$tmp/"; }
until_ok() {
	end=$(($(date +%s) + 30))
	until "$@" >/dev/null; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.1
	done
}
none() { ! running; }
env E2E="$here/recorded.sh" KUBECTL=/bin/false SPECS="$tmp/specs" LIMIT=60 FOCUS=hangs "$here/run.sh" "$tmp/o" \
	>"$tmp/out" 2>&1 &
ended=$!
until_ok pgrep -f "^timeout .*$tmp/o/conformance" && kill $ended
wait $ended
same 'a run that is ended says so' 1 $?
until_ok none
same 'nothing is left running' '' "$(running | tr '\n' ' ')"
same 'the list is all of the release' '462' "$(awk -F '\t' '!/^#/ && NF == 2' "$here/specs" | sort -u | wc -l)"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
