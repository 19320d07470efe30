# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area workload: a web service as people run one (examples/web.yaml), and what they do with it by
# kubectl: look, log, exec, attach, copy, forward, scale, update without a lost request, go back, drain, delete.
w() { k -n web "$@"; }
wk() { k -n work "$@"; }
work() { apply <"$top/tests/cluster/workload.yaml"; }
web() { sed "s,image: nginx$,image: $(image nginx:1)," "$top/examples/web.yaml"; }
web_apply() { web | k apply -f -; }
# web_pod [N]: the name of one of its pods that are not going.
web_pod() {
	w get pods -l app=web -o go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}' |
		sed -n "${1:-1}p"
}
web_nodes() { w get pods -l app=web -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort -u | wc -l; }
web_ready() { w rollout status deploy/web --timeout=120s; }
web_image() { w get pods -l app=web -o 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | sort | uniq -c; }
# stopped SECONDS COMMAND...: a command that never ends by itself.
stopped() {
	timeout "$@"
	[ $? -eq 124 ]
}

check 'work to do' 'namespace/work created.*pod/talker created.*deployment.apps/family created' work
check 'apply a service' 'namespace/web created.*configmap/page created.*secret/key created.*deployment.apps/web created.*service/web created' \
	web_apply
check 'rollout status' 'deployment "web" successfully rolled out' web_ready
check 'apply again' 'namespace/web unchanged.*configmap/page unchanged.*secret/key (configured|unchanged).*deployment.apps/web unchanged.*service/web unchanged' \
	web_apply
check 'one replica on each node' '^3' web_nodes

# ---- looking at it
check 'get all: pods' 'NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES pod/web-[0-9a-z]+-[0-9a-z]{5} +1/1 +Running +0 +[0-9ms]+ +10\.244\.[0-9.]+ +node-[123] +<none> +<none>' \
	w get all -o wide
check 'get all: services' 'NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR service/web +NodePort +10\.96\.[0-9.]+ +<none> +80:30080/TCP +[0-9ms]+ +app=web' \
	w get all -o wide
check 'get all: deployments' 'NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR deployment.apps/web +3/3 +3 +3 +[0-9ms]+ +web +[^ ]+/nginx:1 +app=web' \
	w get all -o wide
check 'get all: replica sets' 'NAME +DESIRED +CURRENT +READY +AGE +CONTAINERS +IMAGES +SELECTOR replicaset.apps/web-[0-9a-z]+ +3 +3 +3 +[0-9ms]+ +web +[^ ]+/nginx:1 +app=web,pod-template-hash=' \
	w get all -o wide
check 'describe deployment' 'Selector: +app=web Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable StrategyType: +RollingUpdate .*RollingUpdateStrategy: +0 max unavailable, 1 max surge.*Available +True +MinimumReplicasAvailable +Progressing +True +NewReplicaSetAvailable.*NewReplicaSet: +web-[0-9a-z]+ \(3/3 replicas created\).*Normal +ScalingReplicaSet +[0-9ms]+ +deployment-controller +Scaled up replica set web-[0-9a-z]+ from 0 to 3' \
	w describe deployment web
check 'describe replica set' 'Controlled By: +Deployment/web Replicas: +3 current / 3 desired Pods Status: +3 Running / 0 Waiting / 0 Succeeded / 0 Failed.*SuccessfulCreate .* Created pod: web-' \
	w describe rs -l app=web
check 'describe pod' 'Controlled By: +ReplicaSet/web-.*Image ID: +[^ ]+@sha256:[0-9a-f]{64} +Port: +80/TCP \(http\).*State: +Running.*Ready: +True +Restart Count: +0 +Limits: +cpu: +500m +memory: +64Mi +Requests: +cpu: +20m +memory: +16Mi +Liveness: +http-get http://:http/ delay=0s timeout=1s period=10s #success=1 #failure=3.*TOKEN: +<set to the key .token. in secret .key.> .*PodReadyToStartContainers +True +Initialized +True +Ready +True +ContainersReady +True +PodScheduled +True.*QoS Class: +Burstable' \
	w describe pod "$(web_pod)"
check 'where it was put is an event' 'Scheduled +[0-9ms]+ +[a-z-]+ +Successfully assigned web/web-[^ ]+ to node-' \
	w describe pod "$(web_pod)"
# Those of its node are in order: events of other machines may be of another second. The image is there when area images ran.
check 'its events are in order' '((Pulling .*Pulling image "[^"]+/nginx:1" .*Pulled .*Successfully pulled image "[^"]+/nginx:1" in [0-9.]+m?s \([0-9.]+m?s including waiting\)\. Image size: [0-9]+ bytes\.)|Pulled .*image "[^"]+/nginx:1" already present on machine).* .*Created .*Container created.*Started .*Container started' \
	w describe pod "$(web_pod)"
# Which family's slice is first is chance, as its name is.
check 'describe service' 'Type: +NodePort IP Family Policy: +PreferDualStack IP Families: +IPv4,IPv6 IP: +10\.96\..* IPs: +10\.96\.[0-9.]+,fd.*Port: +http +80/TCP TargetPort: +http/TCP NodePort: +http +30080/TCP Endpoints: +[^ ]+:80,[^ ]+:80,[^ ]+:80 \+ 3 more.*Session Affinity: +None External Traffic Policy: +Cluster' \
	w describe service web
check 'describe node' 'Taints: +<none> Unschedulable: +false.*MemoryPressure +False.*KubeletHasSufficientMemory.*Ready +True .*KubeletReady +kubelet is posting ready status.*InternalIP: +10\.77\.0\..*Capacity:.*Allocatable:.*Kubelet Version: +v1\.37\..*PodCIDRs?: .*Non-terminated Pods: +\([0-9]+ in total\).*web +web-[^ ]+ +20m \(2%\) +500m \(50%\) +16Mi \([0-9]+%\) +64Mi \([0-9]+%\).*Allocated resources:' \
	k describe node node-2
check 'its events tell that it became Ready' 'NodeReady +[0-9msh]+ +kubelet +Node node-2 status is now: NodeReady' \
	k describe node node-2
check 'events' 'Deployment/web +Scaled up replica set' w events --for deployment/web
check 'events as a table' 'LAST SEEN +TYPE +REASON +OBJECT +MESSAGE.*Normal +Scheduled +pod/web-' w get events
check 'explain' 'FIELD: strategy <DeploymentStrategy>.*rollingUpdate' k explain deployment.spec.strategy
check 'api-resources' 'pods +po +v1 +true +Pod .*deployments +deploy +apps/v1 +true +Deployment' k api-resources
refuse 'top: there are no metrics' 'Metrics API not available' k top nodes

# ---- logs
check 'logs -f' 'line 0 line 1 line 2 .*line 9' stopped 5 "$kubectl" -n work logs -f talker
check 'logs -f ends with its container' 'word 1 word 2 word 3 *$' wk logs -f once
check 'logs --tail' '^line [0-9]+ line [0-9]+ *$' wk logs --tail=2 talker
check 'logs --timestamps' '^20[0-9-]+T[0-9:]+\.[0-9]+Z line [0-9]+ *$' wk logs --timestamps --tail=1 -l app=talker
# How many lines a writer comes to in a window depends on what else the machine does.
since() {
	n=$(wk logs --since=5s talker | grep -c '^line ')
	all=$(wk logs talker | grep -c '^line ')
	echo "$n of $all"
	[ "$n" -gt 0 ] && [ "$n" -lt "$all" ]
}
check 'logs --since: the last ones, not all' ' of ' since
check 'logs of a selector' '\[pod/talker/c\] line' wk logs -l app=talker --prefix
check 'logs of all pods of a deployment' 'GET / HTTP/1\.1" 200 .*kube-probe/' w logs deploy/web --all-pods
check 'a container that ends is started again' 'CrashLoopBackOff' eventually 60 matches '^[2-9] CrashLoopBackOff' \
	wk get pod crash -o 'jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.reason}'
runs=$(($(wk get pod crash -o 'jsonpath={.status.containerStatuses[0].restartCount}') + 1))
check 'logs --previous: of the run that ended last' "this is run ($runs|$((runs + 1)))" wk logs --previous crash
refuse 'logs --previous of one that never ended' 'previous terminated container "c" in pod "talker" not found' wk logs --previous talker
check 'restarts are counted' 'crash +0/1 +(CrashLoopBackOff|Error|Completed) +[2-9] \([0-9ms]+ ago\)' wk get pod crash
check 'describe tells of the last end' 'State: +Waiting +Reason: +CrashLoopBackOff +Last State: +Terminated +Reason: +Error +Exit Code: +3 .*Back-off restarting failed container c in pod crash_work' \
	wk describe pod crash

# ---- exec, attach, cp, port-forward
exits() { wk exec talker -- sh -c "exit $1" 2>&1; [ $? -eq "$1" ]; }
piped() { echo 'through and through' | wk exec -i talker -- sed 's/through/in/'; }
big() { head -c 1000000 /dev/zero | wk exec -i talker -- wc -c; }
check 'exec' '^talker *$' wk exec talker -- hostname
check 'exec: exit code' 'command terminated with exit code 7' exits 7
check 'exec: streams' '^out ' sh -c "'$kubectl' -n work exec talker -- sh -c 'echo out; echo err >&2' 2>/dev/null"
check 'exec: standard input' 'in and through' piped
check 'exec: a megabyte of input' '^1000000' big
refuse 'exec: no such program' 'no such file|not found' wk exec talker -- nonsense
# sized ROWS COLS: a shell command that waits until its terminal is that large, and says so.
sized() { echo "until [ \"\$(stty size)\" = \"$1 $2\" ]; do usleep 50000; done; stty size"; }
check 'exec: terminal of our size' '33 101' terminal 33 101 "$kubectl -n work exec -it talker -- sh -c '$(sized 33 101)'"
check 'exec: the terminal grows' '33 101.*44 122' terminal_resized 33 101 44 122 \
	"$kubectl -n work exec -it talker -- sh -c '$(sized 33 101); $(sized 44 122)'"
attached() { echo "$1" | timeout 30 "$kubectl" -n work attach -i echo; }
typed() { printf '%s\n' "$1" "exit" | terminal 30 99 "$2"; }
check 'attach: input and output' 'echo: hello' attached hello
check 'its container ended with its input' 'Succeeded' eventually 20 matches Succeeded wk get pod echo -o 'jsonpath={.status.phase}'
check 'attach: a terminal' 'sum 7.*30 99' typed "echo sum \$((3 + 4)); $(sized 30 99)" "$kubectl -n work attach -it shell"
check 'run --rm -it' 'sum 23.*pod "ad-hoc" deleted' typed 'echo sum $((3 + 20))' \
	"$kubectl -n work run ad-hoc --rm -it --restart=Never --image=$(image busybox:latest) -- sh"
head -c 1000000 /dev/urandom >"$tmp/random"
check 'cp to a container' '' wk cp "$tmp/random" talker:/tmp/file
check 'cp from a container' '' wk cp talker:/tmp/file "$tmp/file"
check 'both are the same' '' cmp "$tmp/random" "$tmp/file"
# forwarded WHAT: the page through kubectl port-forward.
forwarded() {
	: >"$tmp/forward" # not the last one's line
	timeout 60 "$kubectl" -n web port-forward "$1" :80 >"$tmp/forward" 2>&1 &
	pid=$!
	eventually 30 grep -q '^Forwarding from 127' "$tmp/forward" &&
		curl -sS -m 10 "http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$tmp/forward")/"
	rc=$?
	kill $pid
	wait $pid
	[ $rc -eq 0 ] || cat "$tmp/forward"
	return $rc
}
check 'port-forward to a pod' '<h1>Keelson</h1>' forwarded "pod/$(web_pod)"
check 'port-forward to a service' '<h1>Keelson</h1>' forwarded service/web

# ---- changing it, with two clients that must not notice: a pod through the Service, this host through the node port
port=$(ctl forward 0 node-2:30080 | grep -o '[0-9]*$')
host_load() {
	good=0 bad=0
	until [ -e "$tmp/stop" ]; do
		if curl -sf -m 5 -o /dev/null "http://127.0.0.1:$port/"; then
			good=$((good + 1))
		else
			bad=$((bad + 1))
		fi
	done
	echo "good $good bad $bad"
}
host_load >"$tmp/host_load" &
host_load_pid=$!
check 'the node port answers' '<h1>Keelson</h1>' curl -sf -m 10 "http://127.0.0.1:$port/"
check 'scale up' 'scaled.*successfully rolled out' sh -c "'$kubectl' -n web scale deploy web --replicas=5 && '$kubectl' -n web rollout status deploy/web --timeout=100s"
check 'five endpoints' '^5 *$' eventually 20 matches '^5 *$' \
	w get endpointslices -l kubernetes.io/service-name=web -o 'go-template={{range .items}}{{if eq .addressType "IPv4"}}{{len .endpoints}}{{end}}{{end}}'
check 'scale down' 'scaled' w scale deploy/web --replicas=3
check 'set image' 'deployment.apps/web image updated' w set image deploy/web "web=$(image nginx:2)"
check 'why' 'annotated' w annotate deploy/web kubernetes.io/change-cause='to 2'
check 'the update rolls' 'successfully rolled out' web_ready
check 'all pods have the new image' '^ *3 [^ ]+/nginx:2 *$' eventually 60 matches '^ *3 [^ ]+/nginx:2 *$' web_image
check 'one went as one came' 'Scaled up replica set web-[^ ]+ from 0 to 1 .*Scaled down replica set web-[^ ]+ from 3 to 2 .*from 1 to 2 .*from 2 to 1 .*from 2 to 3 .*from 1 to 0' \
	w describe deployment web
check 'rollout history' 'REVISION +CHANGE-CAUSE 1 +<none> 2 +to 2' w rollout history deploy/web
check 'one revision' 'with revision #2.*Image:[[:space:]]+[^ ]+/nginx:2' w rollout history deploy/web --revision=2
check 'rollout undo' 'rolled back' w rollout undo deploy/web
check 'it rolls back' 'successfully rolled out' web_ready
check 'the old revision is the newest' 'REVISION +CHANGE-CAUSE 2 +to 2 3 +<none>' w rollout history deploy/web
check 'rollout pause' 'paused' w rollout pause deploy/web
check 'a change while it is paused' 'env updated' w set env deploy/web COLOUR=blue
check 'changes nothing' 'DeploymentPaused' eventually 20 matches 'DeploymentPaused' \
	w get deploy web -o 'jsonpath={.status.conditions[*].reason}'
check 'no new pods' '^0' w get pods -l app=web -o 'go-template={{len .items}}' --field-selector=status.phase=Pending
check 'rollout resume' 'resumed' w rollout resume deploy/web
check 'the change comes' 'successfully rolled out' web_ready
check 'it is there' '^blue' w exec deploy/web -- sh -c 'echo $COLOUR'
check 'rollout restart' 'restarted' w rollout restart deploy/web
check 'all are new' 'successfully rolled out' web_ready
touch "$tmp/stop"
check 'requests through the Service' 'good [0-9]{2,} bad 0' sh -c "'$kubectl' -n work exec load -- touch /tmp/stop && timeout 30 '$kubectl' -n work logs -f load"
figure 'through the Service' "$(tail -1 "$tmp/out")"
wait $host_load_pid
check 'requests through the node port' 'good [0-9]{2,} bad 0' cat "$tmp/host_load"
figure 'through the node port' "$(cat "$tmp/host_load")"

# ---- editing
edited() {
	printf '#!/bin/sh\nsed -i "s/^  replicas: 3/  replicas: 2/" "$1"\n' >"$tmp/editor"
	chmod +x "$tmp/editor"
	KUBE_EDITOR=$tmp/editor w edit deploy/web
}
differs() { web | k diff -f -; [ $? -eq 1 ]; }
check 'edit' 'deployment.apps/web edited' edited
check 'edited' '^2' w get deploy web -o 'jsonpath={.spec.replicas}'
check 'diff' '-  replicas: 2 \+  replicas: 3' differs
check 'apply makes it as it is written' 'deployment.apps/web configured' web_apply
red=$(web_pod)
check 'label' 'labeled' w label pod "$red" colour=red
check 'the label selects' "^pod/$red *$" w get pod -l colour=red -o name
check 'annotate' 'annotated' w annotate deploy/web note=kept
refuse 'what has a label keeps it' "already has a value" w label pod "$red" colour=green
check 'wait' 'condition met' w wait --for=condition=Available deploy/web --timeout=60s
check 'wait for a field' 'condition met' wk wait --for='jsonpath={.status.phase}=Succeeded' pod/once --timeout=20s

# ---- nodes
on_node() { k get pods -A --no-headers --field-selector "spec.nodeName=$1,status.phase=Running" -o name | sort | tr '\n' ' '; }
check 'cordon' 'node/node-2 cordoned' k cordon node-2
check 'it says so' 'node-2 +Ready,SchedulingDisabled' k get node node-2
check 'drain' 'evicting pod work/loose.*node/node-2 drained' k drain node-2 --ignore-daemonsets --delete-emptydir-data --force
check 'nothing is left on it' '^ *$' on_node node-2
check 'all run elsewhere' 'successfully rolled out' web_ready
check 'uncordon' 'node/node-2 uncordoned' k uncordon node-2
check 'a taint' 'tainted' k taint node node-2 colour=red:NoSchedule
check 'a pod that does not tolerate it waits' '0/3 nodes are available: .*1 node\(s\) had untolerated taint' \
	sh -c "'$kubectl' -n work run shy --image=$(image busybox:latest) --overrides='{\"spec\":{\"nodeSelector\":{\"kubernetes.io/hostname\":\"node-2\"}}}' -- tail -f /dev/null >/dev/null
		'$kubectl' -n work wait pod/shy --for=condition=PodScheduled=False --timeout=20s && '$kubectl' -n work describe pod shy"
check 'untainted' 'untainted' k taint node node-2 colour-
check 'it runs' 'condition met' wk wait --for=condition=Ready pod/shy --timeout=60s

# ---- the end of things
sets() { wk get rs,pods -l app=family -o name | sed 's,/.*,,' | sort | uniq -c | tr '\n' ' '; }
check 'delete --cascade=orphan' 'deleted' wk delete deploy family --cascade=orphan
check 'its set and pods stay' '2 pod +1 replicaset' sets
family() { sed -n '/^# three generations/,$p' "$top/tests/cluster/workload.yaml" | apply; }
check 'it comes back' 'created' family
check 'and adopts them' 'Deployment/family' eventually 20 matches 'Deployment/family' wk describe rs -l app=family
check 'without a new one' '2 pod +1 replicaset' sets
check 'delete --cascade=foreground' 'deleted' wk delete deploy family --cascade=foreground --timeout=50s
check 'all went before it' '^ *$' sets
check 'once more' 'created' family
check 'it is up' 'successfully rolled out' wk rollout status deploy/family --timeout=60s
check 'delete' 'deleted' wk delete deploy family
check 'the rest goes behind it' '' eventually 30 matches '^ *$' sets

# ---- other kubectls
# other NAME PROGRAM REPLICAS: the main things with another kubectl.
other() {
	old=$2
	o() { timeout 100 "$old" -n "$@"; }
	check "$1: get all" 'deployment.apps/web +[23]/[23]' o web get all
	check "$1: describe" 'NewReplicaSet: +web-' o web describe deploy web
	check "$1: exec" '^talker' o work exec talker -- hostname
	check "$1: a terminal" '33 101' terminal 33 101 "$old -n work exec -it talker -- sh -c '$(sized 33 101)'"
	check "$1: logs" 'line [0-9]+' o work logs --tail=1 talker
	check "$1: scale" 'scaled' o web scale deploy/web --replicas="$3"
	check "$1: rollout status" 'successfully rolled out' o web rollout status deploy/web --timeout=90s
	check "$1: cp" '' o work cp "$tmp/random" talker:/tmp/file
}
other 'kubectl 1.32' "$(kubectl_program kubectl-1.32)" 2
if command -v go >/dev/null; then
	other 'kubectl 1.37' "$("$top/tests/peers/build.sh" kubectl)" 3
else
	skip 'kubectl 1.37' 'there is no Go compiler'
fi

check 'delete namespaces' 'namespace "web" deleted.*namespace "work" deleted' k delete ns web work --timeout=58s
