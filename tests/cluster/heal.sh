# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area heal: what ends is started again, what does not answer is left out, and what was on a lost node
# is made elsewhere. One node loses its power, another its link to the control node; while the minute of grace
# passes, the rest is looked at. Before that roles of a machine are killed.
h() { k -n heal "$@"; }
heal_apply() {
	apply <"$top/tests/cluster/heal.yaml" &&
		sed "s,image: nginx$,image: $(image nginx:1)," "$top/examples/web.yaml" | k apply -f -
}
# state POD PATH...: fields of its first container's status.
state() {
	pod=$1
	shift
	h get pod "$pod" -o "jsonpath=$(printf '{.status.containerStatuses[0].%s} ' "$@")"
}
conditions() { k get node "$1" -o "jsonpath={range .status.conditions[*]}{.type}={.status}/{.reason}/{.message};{end}"; }
taints() { k get node "$1" -o 'jsonpath={range .spec.taints[*]}{.key}:{.effect};{end}'; }
# web_on: the nodes of the replicas that are Ready and not going.
web_on() {
	k -n web get pods -l app=web -o 'go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{$n := .spec.nodeName}}{{range .status.conditions}}{{if and (eq .type "Ready") (eq .status "True")}}{{$n}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}' |
		sort | uniq -c | tr '\n' ' '
}
# gaps: how long the pod crash stayed away before each of its runs, as the watch saw it.
gaps() {
	last=
	grep Z "$tmp/crashes" | sort -u | while read -r began ended; do
		[ -z "$last" ] || printf '%d ' $(($(date -d "$began" +%s) - $(date -d "$last" +%s)))
		last=$ended
	done
}
elapsed() { echo $(($(date +%s) - lost_at)); }

# ---- roles die: who comes meanwhile waits for the next process
# A request without TLS is enough: it is answered, too.
role_deaths() {
	apply <<-'E'
		apiVersion: v1
		kind: Pod
		metadata: {name: deaths}
		spec:
		  nodeName: node-1
		  hostPID: true
		  hostNetwork: true
		  restartPolicy: Never
		  containers:
		  - name: c
		    image: "%IMAGE(busybox:latest)%"
		    securityContext: {privileged: true}
		    command: [sh, -c]
		    args:
		    - |
		      for role in control:6443 node:10250; do
		        for i in 1 2 3; do
		          kill -9 $(ps -o pid,args | sed -n "s/^ *\([0-9]*\) .*keelson ${role%:*}\$/\1/p") || exit 1
		          printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 30 127.0.0.1 ${role#*:} | head -1
		        done
		      done
	E
}
deaths_over() { k get pod deaths -o 'jsonpath={.status.phase}' | grep -E 'Succeeded|Failed'; }
check 'a pod kills the API and the node API, and connects at once' 'pod/deaths created' role_deaths
role_kills=$((role_kills + 6))
check 'it ends well' 'Succeeded' eventually 120 deaths_over
check 'it was answered each time' '^(HTTP/1.0 400 Bad Request[[:space:]]*){6}$' k logs deaths
check 'the API serves' 'ok' eventually 30 k get --raw /readyz

check 'a service and pods to be hurt' 'pod/crash created.*service/web created' heal_apply
timeout 300 "$kubectl" -n heal get pod crash -w -o \
	'jsonpath={.status.containerStatuses[0].lastState.terminated.startedAt} {.status.containerStatuses[0].lastState.terminated.finishedAt}{"\n"}' \
	>"$tmp/crashes" 2>/dev/null &
watch_pid=$!
check 'the service is up' 'successfully rolled out' k -n web rollout status deploy/web --timeout=100s
check 'so are the pods' 'condition met' h wait --for=condition=Ready pod/live pod/ready pod/stays-2 pod/stays-3 pod/killed --timeout=58s
check 'all three serve' '1 node-1 +1 node-2 +1 node-3' eventually 30 matches '1 node-1 +1 node-2 +1 node-3' web_on

# ---- two nodes are lost
stays=$(h get pod stays-2 -o 'jsonpath={.status.containerStatuses[0].containerID}')
check 'the power of node-3 is cut' '' ctl kill node-3
check 'the link of node-2 to the control node is cut' '' ctl cut node-1 node-2
lost_at=$(date +%s)

# ---- meanwhile: restarts
check 'a process is killed' '' h exec killed -- sh -c 'kill $(pidof sleep)'
check 'its container runs again, its end is remembered' 'true 1 Error 143' eventually 20 matches 'true 1 Error 143' \
	state killed ready restartCount lastState.terminated.reason lastState.terminated.exitCode
check 'crash: its next restart waits' 'CrashLoopBackOff back-off ([124]0s|1m20s) restarting failed container=c pod=crash_heal\([0-9a-f-]+\)' \
	eventually 40 matches 'CrashLoopBackOff back-off' state crash state.waiting.reason state.waiting.message
check 'liveness: its file goes' '' h exec live -- rm /tmp/live
check 'it is started again, though it ended well' 'true 1 Completed 0' eventually 30 matches 'true 1 Completed 0' \
	state live ready restartCount lastState.terminated.reason lastState.terminated.exitCode
check 'which is told' 'Unhealthy .*Liveness probe failed: cat: .*Killing .*Container c failed liveness probe, will be restarted' \
	h describe pod live
check 'not one that runs once' 'Succeeded' eventually 30 matches 'Succeeded' h get pod live-once -o 'jsonpath={.status.phase}'
check 'it was ended, and that is all' 'Completed 0' state live-once state.terminated.reason restartCount
check 'slow: not started, not ready, not restarted' '^false false 0' state slow started ready restartCount
check 'it starts' '' h exec slow -- touch /tmp/started
check 'then it is Ready' 'condition met' h wait --for=condition=Ready pod/slow --timeout=20s
check 'and its liveness is looked at' '' h exec slow -- rm /tmp/started
check 'so it is started again' '^false false 1' eventually 30 matches '^false false 1' state slow started ready restartCount
check 'one that never starts is started again' '[1-9]' eventually 30 matches '^[1-9]' state never-starts restartCount
check 'why' 'Startup probe failed: dial tcp [0-9.]+:81: connect: connection refused' h describe pod never-starts
check 'what follows' 'Killing .*Container c failed startup probe, will be restarted' h describe pod never-starts

# ---- meanwhile: readiness
endpoints() { h get endpointslices -l kubernetes.io/service-name=ready -o 'jsonpath={range .items[*].endpoints[*]}{.conditions.ready} {.conditions.serving};{end}'; }
check 'ready: it serves' '^true true;' endpoints
check 'its page goes' '' h exec ready -- mv /tmp/www/index.html /tmp/www/away
check 'it is left out of its Service' '^false false;' eventually 20 matches '^false false;' endpoints
check 'not restarted' '^false 0' state ready ready restartCount
check 'why' 'Readiness probe failed: HTTP probe failed with statuscode: 404' h describe pod ready
check 'its page comes back' '' h exec ready -- mv /tmp/www/away /tmp/www/index.html
check 'it serves again' '^true true;' eventually 20 matches '^true true;' endpoints

# ---- the nodes are missed
check 'the silent nodes are Unknown' 'Ready=Unknown/NodeStatusUnknown/Kubelet stopped posting node status\.' \
	eventually 120 matches 'Ready=Unknown' conditions node-3
figure 'node-3 was Unknown after' "$(elapsed) s (grace 50 s)"
check 'in all they say' 'MemoryPressure=Unknown/NodeStatusUnknown.*DiskPressure=Unknown/.*PIDPressure=Unknown/' conditions node-3
check 'as users see it' 'node-3 +NotReady' k get node node-3
check 'tainted' 'node.kubernetes.io/unreachable:NoSchedule;.*node.kubernetes.io/unreachable:NoExecute;|node.kubernetes.io/unreachable:NoExecute;.*:NoSchedule;' \
	eventually 20 matches 'NoExecute' taints node-3
check 'node-2 too' 'Ready=Unknown' eventually 20 matches 'Ready=Unknown' conditions node-2
check 'its pods are not Ready' 'False' eventually 20 matches 'False' h get pod stays-2 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
check 'an event says so' 'NodeNotReady .*Node node-3 status is now: NodeNotReady' k describe node node-3
check 'what was there runs elsewhere' '^ *3 node-1 *$' eventually 60 matches '^ *3 node-1 *$' web_on
figure 'all replicas were elsewhere after' "$(elapsed) s (10 s tolerated)"
check 'the old ones wait for their nodes' '^2' sh -c "'$kubectl' -n web get pods --no-headers | grep -c Terminating"
check 'they were told to go' 'TaintManagerEviction' k -n web get events
check 'who tolerates it stays' 'stays-2.*stays-3' h get pods

# ---- they come back
check 'the link is back' '' ctl heal node-1 node-2
check 'node-2 is Ready' 'condition met' k wait --for=condition=Ready node/node-2 --timeout=55s
check 'its pod is Ready, the same run' "^$stays True" eventually 30 matches "^$stays True" \
	h get pod stays-2 -o 'jsonpath={.status.containerStatuses[0].containerID} {.status.conditions[?(@.type=="Ready")].status}'
check 'node-3 has power' '' ctl start node-3
check 'node-3 is Ready' 'condition met' k wait --for=condition=Ready node/node-3 --timeout=58s
check 'no taints are left' '' eventually 30 matches '^ *$' taints node-3
check 'nor on node-2' '' eventually 30 matches '^ *$' taints node-2
check 'the old pods are gone' '^3 *$' eventually 40 matches '^3 *$' sh -c "'$kubectl' -n web get pods --no-headers | wc -l"
check 'the pod that stayed runs again' '^true 1 ' eventually 40 matches '^true 1 ' state stays-3 ready restartCount
check 'the reboot was told' 'Rebooted .*Node node-3 has been rebooted' k describe node node-3
check 'new pods go there' 'successfully rolled out' sh -c "'$kubectl' -n web rollout restart deploy/web >/dev/null && '$kubectl' -n web rollout status deploy/web --timeout=100s"
check 'they serve there' '[1-3] node-3' web_on

# ---- and the pod that ends at once
# The watch may have missed the first; the machine may be slow.
runs='^([0-9] )?(1[0-9] )?[23][0-9] [4-7][0-9] '
check 'crash: at once, then after 10 s, 20 s, 40 s' "$runs" eventually 100 matches "$runs" gaps
kill $watch_pid
wait $watch_pid 2>/dev/null
check 'delete them' 'deleted' k delete ns heal web --timeout=58s
check 'and the pod that killed' 'deleted' k delete pod deaths --grace-period=0
