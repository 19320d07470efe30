# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/conformance/spec.sh: one spec by one process of e2e.test, and what it came to as a line of runs.tsv.
# Sourced by run.sh, which sets out, e2e, kubectl, build, ON and LIMIT, and ends the process $spec when the run is
# ended; KUBECONFIG is the ground's.

# spec_limit NAME: the seconds it may take.
spec_limit() {
	case $1 in
	*'[Slow]'*) echo $((LIMIT * 3)) ;;
	*) echo "$LIMIT" ;;
	esac
}

# spec_verdict NAME DIR STATUS LIMIT: "<passed|failed|missing>\t<seconds>\t<first line of the error>" of the report
# in DIR, or of the way the process ended without one.
spec_verdict() {
	if jq -r --arg name "$1" -f "$here/verdict.jq" "$2/report.json" >"$2/verdict" 2>"$2/verdict.err" &&
		[ -s "$2/verdict" ]; then
		head -1 "$2/verdict"
	elif [ "$3" -eq 124 ] || [ "$3" -eq 137 ]; then
		printf 'failed\t%s\tit hung: ended by the runner\n' "$4"
	else
		printf 'failed\t0\te2e.test ended with %s and left no report: %s\n' "$3" \
			"$(grep -v '^[[:space:]]*$' "$2/log" | tail -1 | tr '\t' ' ' | cut -c1-200)"
	fi
}

# spec NAME: runs it. ginkgo ends it after its limit and still reports; when not even that happens, timeout does.
spec() {
	dir=$out/logs/$(printf %s "$1" | sha256sum | cut -c1-16)
	limit=$(spec_limit "$1")
	rm -rf "$dir"
	mkdir -p "$dir"
	focus=$(printf %s "$1" | sed 's/[][().*+?^${}|\\]/\\&/g')
	began=$(date +%s)
	timeout -k 5 $((limit + ${GRACE:-60})) "$e2e" --kubeconfig "$KUBECONFIG" --kubectl-path "$kubectl" --provider skeleton \
		--disable-log-dump --dump-logs-on-failure=false --minStartupPods=-1 --ginkgo.no-color --ginkgo.v \
		--ginkgo.focus "$focus\$" --ginkgo.timeout "${limit}s" --ginkgo.json-report "$dir/report.json" \
		>"$dir/log" 2>&1 </dev/null &
	spec=$!
	wait $spec
	verdict=$(spec_verdict "$1" "$dir" $? $(($(date +%s) - began)))
	spec=
	[ ! -e "$dir/report.json" ] || gzip -f "$dir/report.json"
	printf '%s\t%s\t%s\t%s\t%s\n' "$began" "$build" "$ON" "$verdict" "$1" >>"$out/runs.tsv"
	printf '%s\n' "$verdict" | awk -F '\t' -v name="$1" '{
		printf "%-7s %4d s  %s\n", $1, $2, name; if ($3 != "") print "                " $3 }'
}
