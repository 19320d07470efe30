# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area soak (`make soak MINUTES=60`, not part of make test): on three machines pods come and go,
# Deployments roll, Services change and roles are killed, for MINUTES. Then, when all of it is deleted: nothing is left behind
# (namespaces, mounts, interfaces, routes, cgroups, elements of nf_tables, processes, descriptors), each role's memory did not
# grow, and no log has an error that was not asked for.
minutes=${MINUTES:-60}
looks=$tmp/looks
mkdir -p "$looks"
cluster
check 'an image that looks' '' registry_push "https://localhost:${registry##*:}/v2" nft

# ---- what the machines hold ----
lookers() {
	for node in node-1 node-2 node-3; do
		cat <<-E
			apiVersion: v1
			kind: Pod
			metadata: {name: look-$node}
			spec:
			  nodeName: $node
			  hostPID: true
			  terminationGracePeriodSeconds: 0
			  containers:
			  - name: look
			    image: "%IMAGE(nft:latest)%"
			    securityContext: {privileged: true}
			    command: [sleep, "1000000"]
			---
		E
	done | apply
}
looking() { k wait --for=condition=Ready pod/look-node-1 pod/look-node-2 pod/look-node-3 --timeout=60s; }
# look NAME: of all machines into $looks/NAME; lines "NODE what...".
look() {
	for node in node-1 node-2 node-3; do
		k exec -i "look-$node" -- sh <"$top/tests/cluster/look.sh" >"$tmp/look.out" 2>"$tmp/look.err" || return 1
		sed "s/^/$node /" "$tmp/look.out"
	done >"$looks/$1"
	grep -c ' role ' "$looks/$1"
}
# first: not before the pods that look have run for so long that they count themselves.
first() { look before && [ "$(grep -c ' processes-sleep ' "$looks/before")" -eq 3 ]; }
counts() { sed -n 's/ count / /p' "$looks/$1"; }
descriptors() { awk '$2 == "role" { print $1, "descriptors-of-" $3, $5 }' "$looks/$1"; }
# settled: what is held is what was held before, but for descriptors: connections that idle out come and go.
settled() { look after >/dev/null && [ "$(counts before)" = "$(counts after)" ] && echo same; }
# held: awaits it, and says each time something else is waited for: "10 s: node-2 processes 31 -> 33".
held() {
	from_s=$(date +%s)
	awaited=
	until settled >/dev/null; do
		differ=$(counts before >"$tmp/counts" && counts after | awk 'NR == FNR { was[$1 " " $2] = $3; next }
			{ is[$1 " " $2] = $3 }
			END {
				for (k in was) if (is[k] != was[k]) printf "%s%s %d -> %d", (n++ ? ", " : ""), k, was[k], is[k]
				for (k in is) if (!(k in was)) printf "%s%s 0 -> %d", (n++ ? ", " : ""), k, is[k]
			}' "$tmp/counts" -)
		[ "$differ" = "$awaited" ] || echo "$(($(date +%s) - from_s)) s: $differ"
		awaited=$differ
		[ $(($(date +%s) - from_s)) -le 180 ] || return 1
	done
	echo "same, after $(($(date +%s) - from_s)) s"
}
# few_descriptors: no role holds 8 more than before.
few_descriptors() {
	descriptors before >"$tmp/fds"
	descriptors after | awk 'NR == FNR { was[$1 $2] = $3; next } $3 > was[$1 $2] + 8 { print $1, $2, was[$1 $2], "->", $3; bad = 1 }
		END { exit bad }' "$tmp/fds" - && echo few
}
# flat: the rule for memory: of the looks in order, the median of the last quarter is at most a tenth and 1 MiB above the
# most of the first half, in which caches fill. (A role that was killed begins anew, and is smaller for a while.)
flat() {
	cat $(ls "$looks"/round-* | sort -t- -k2 -n) | awk '
	$2 == "role" { key = $1 " " $3; v[key, ++n[key]] = $4 }
	function median(key, from, to,    i, j, t, m) {
		m = 0
		for (i = from; i <= to; i++) s[++m] = v[key, i]
		for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (s[j] < s[i]) { t = s[i]; s[i] = s[j]; s[j] = t }
		return s[int((m + 1) / 2)]
	}
	END {
		for (key in n) {
			q = int(n[key] / 4)
			if (q < 1) continue
			a = 0
			for (i = 1; i <= 2 * q; i++) if (v[key, i] > a) a = v[key, i]
			b = median(key, n[key] - q + 1, n[key])
			grows = b > a * 1.1 + 1024
			printf "%s: %d looks, %d KiB -> %d KiB%s\n", key, n[key], a, b, grows ? ": GROWS" : ""
			bad = bad || grows
			judged++
		}
		if (bad || !judged) exit 1
		print "flat"
	}' | sort
}

# table: of every role memory (anonymous and PSS, KiB) and descriptors, and of all that is counted: before, the most of
# all rounds, and after.
table() {
	cat "$looks/before" $(ls "$looks"/round-* | sort -t- -k2 -n) "$looks/after" | awk '
	function seen(key, value) {
		if (!(key in first)) { first[key] = max[key] = value; order[++n] = key }
		if (value > max[key]) max[key] = value
		last[key] = value
	}
	$2 == "role" {
		seen($1 " " $3 " memory", $4)
		seen($1 " " $3 " memory-PSS", $7)
		seen($1 " " $3 " descriptors", $5)
	}
	$2 == "count" { seen($1 " " $3, $4) }
	END {
		printf "%-36s %9s %9s %9s\n", "", "before", "most", "after"
		for (i = 1; i <= n; i++) printf "%-36s %9d %9d %9d\n", order[i], first[order[i]], max[order[i]], last[order[i]]
	}'
}

# ---- what happens to them ----
churn() {
	cat <<-E
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: churn, labels: {soak: "yes"}}
		spec:
		  replicas: $2
		  selector: {matchLabels: {app: churn}}
		  template:
		    metadata: {labels: {app: churn}}
		    spec:
		      terminationGracePeriodSeconds: 0
		      volumes: [{name: v, emptyDir: {}}, {name: c, configMap: {name: kube-root-ca.crt, optional: true}}]
		      containers:
		      - name: c
		        image: "%IMAGE(busybox:latest)%"
		        command: [sh, -c, 'echo $1; exec tail -f /dev/null']
		        volumeMounts: [{name: v, mountPath: /v}, {name: c, mountPath: /c}]
		---
		apiVersion: v1
		kind: Service
		metadata: {name: churn-$(($1 % 3)), labels: {soak: "yes"}}
		spec: {selector: {app: churn}, ports: [{port: 80}]}
	E
}
singles() {
	for i in 1 2 3; do
		pod "single-$i" "node-$i" 'exit 0' | sed 's/steady: "yes"/soak: "yes"/'
	done | apply
}
churned() { churn "$1" $((2 + $1 % 3 * 3)) | apply && k rollout status deployment/churn --timeout=120s; }
kills() { cat "$tmp"/c/*/console.log | grep -c 'killed by signal 9'; }
more_kills() { [ "$(kills)" -gt "$was" ]; }
role_killed() {
	draw 3 && role=$(echo control node dns | cut -d' ' -f$((drawn + 1)))
	draw 3 && node=node-$((drawn + 1))
	[ "$role" != control ] || node=node-1
	was=$(kills)
	# the command's own connection goes through two of the three roles: it may break
	k exec "look-$node" -- sh -c "kill -9 \$(ps -o pid,args | awk '/ keelson $role\$/ { print \$1 }')" || :
	eventually 30 more_kills
}
around() {
	round_n=0
	until_s=$(($(date +%s) + minutes * 60))
	while [ "$(date +%s)" -lt $until_s ]; do
		round_n=$((round_n + 1))
		churned $round_n && singles >/dev/null && role_killed &&
			eventually 60 look "round-$round_n" && k delete svc,pod -l soak=yes --wait=false >/dev/null || return 1
	done
	echo "$round_n rounds"
}
emptied() { k delete deploy,svc,pod -l soak=yes && eventually 120 matches '^0' churn_pods; }
churn_pods() { k get pods -l app=churn --no-headers 2>/dev/null | wc -l; }

# ---- what they said ----
# Errors that a killed role makes its peers and its successor say.
asked_for='killed by signal 9|ended with|onnection re(fused|set)|closed the connection|broken pipe|the server is shutting down|watch|lease|status of'
unexplained() {
	grep -hE ' (warn|error) |BUG|panic|Oops|Call Trace|UBSAN|out of memory' "$tmp"/c/*/console.log | grep -vE "$asked_for" |
		sed 's/^[^ ]* //' | sort | uniq -c | sort -rn | head -20
}

check 'a pod on each machine looks' created lookers
check 'they run' 'condition met' looking
check 'a first round' 'successfully rolled out' churned 0
check 'is deleted' '' emptied
check 'what the machines hold' '1[0-9]|9' eventually 60 first
check "$minutes minutes of pods, rollouts, Services and kills" 'rounds' around
figure soak "$(tail -1 "$tmp/out"), $(kills) roles killed"
check 'all of it is deleted' '' emptied
check 'nothing is left behind' 'same' held
sed 's/^/     soak: /' "$tmp/out"
check 'no role holds more descriptors' 'few' few_descriptors
check 'memory of the roles is flat' 'flat' flat
sed 's/^/     soak: /' "$tmp/out"
table | sed 's/^/     soak: /'
check 'no error that was not asked for' '^ *$' unexplained
check 'no request of a pod went without an answer' '^0 ' unanswered
