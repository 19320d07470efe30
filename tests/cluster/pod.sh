# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area pod: what the description of a pod can ask for, each looked at from inside or in the status:
# init containers, restarts, last words, hooks, limits, variables, users and rights, namespaces of the host.
p() { k -n pod "$@"; }
pods_apply() { apply <"$top/tests/cluster/pod.yaml"; }
# status POD PATH: a field of the pod's status.
status() { p get pod "$1" -o "jsonpath={.status.$2}"; }
# becomes POD REGEX PATH...: what the fields come to, within 60 s.
becomes() {
	pod=$1 want_=$2
	shift 2
	eventually 60 matches "$want_" p get pod "$pod" -o "jsonpath=$(printf '{.status.%s} ' "$@")"
}
ctr=containerStatuses[0]
inside() { pod=$1; shift; p exec "$pod" -- "$@"; }
shell() { p exec "$1" -c "$2" -- sh -c "$3"; }

check 'all sorts of pods' 'pod/inits created.*pod/no-program created' pods_apply
check 'those that run are up' 'condition met' p wait --for=condition=Ready --timeout=58s \
	pod/hooks pod/http-hooks pod/env pod/guaranteed pod/user pod/root pod/host pod/shared

# ---- lives
check 'init containers run in order' 'Succeeded' becomes inits Succeeded phase
check 'each before the next' '^first second *$' p logs inits -c main
check 'their status' 'Completed Completed true' status inits \
	'initContainerStatuses[*].state.terminated.reason} {.status.initContainerStatuses[0].ready'
check 'a failed one fails the pod' 'Failed 5' becomes init-fails 'Failed 5' phase 'initContainerStatuses[0].state.terminated.exitCode'
check 'as users see it' 'init-fails +0/1 +Init:Error +0' p get pod init-fails
check 'its log' '^no' p logs init-fails -c bad
check 'a sidecar does not keep its pod' 'Succeeded' becomes sidecar Succeeded phase
check 'it was there first' '^side *$' p logs sidecar -c main
check 'and was told to end' 'side ends' p logs sidecar -c side
check 'OnFailure: once more, then done' 'Succeeded 1' becomes on-failure 'Succeeded 1' phase "$ctr.restartCount"
check 'its first end is remembered' 'Error 9' status on-failure "$ctr.lastState.terminated.reason} {.status.$ctr.lastState.terminated.exitCode"
check 'as users see it' 'on-failure +0/1 +Completed +1 \(' p get pod on-failure
check 'Never: failed, with the last of its log' 'Failed Error 4 the last words' becomes never 'Failed Error 4 the last words' \
	phase "$ctr.state.terminated.reason" "$ctr.state.terminated.exitCode" "$ctr.state.terminated.message"
check 'it is not started again' '^0' status never "$ctr.restartCount"
check 'a message of its own' 'Succeeded Completed my message' becomes message 'Succeeded Completed my message' \
	phase "$ctr.state.terminated.reason" "$ctr.state.terminated.message"
check 'too much memory' 'Failed OOMKilled 137' becomes oom 'Failed OOMKilled 137' \
	phase "$ctr.state.terminated.reason" "$ctr.state.terminated.exitCode"
check 'too much time' 'Failed DeadlineExceeded' becomes deadline 'Failed DeadlineExceeded' phase reason
check 'no such program' 'No such file' becomes no-program '(RunContainerError|CrashLoopBackOff) .*No such file' "$ctr.state.waiting.reason" \
	"$ctr.state.waiting.message" "$ctr.lastState.terminated.message"

# ---- hooks
check 'postStart: a command' 'after the start' inside hooks cat /tmp/started
check 'a container is Ready after its postStart' '' sh -c "'$kubectl' -n pod get pod http-hooks -o \
	go-template='{{(index .status.containerStatuses 0).state.running.startedAt}} {{range .status.conditions}}{{if eq .type \"Ready\"}}{{.lastTransitionTime}}{{end}}{{end}}' |
	{ read -r a b; [ \$((\$(date -d \"\$b\" +%s) - \$(date -d \"\$a\" +%s))) -ge 1 ]; }"
# last_log POD: its log while it is being deleted.
last_log() {
	timeout 60 "$kubectl" -n pod logs -f "$1" >"$tmp/last" 2>&1 &
	pid=$!
	p delete pod "$1" --timeout=50s >/dev/null
	wait $pid
	cat "$tmp/last"
}
check 'preStop: before the signal' 'before the end told to end' last_log hooks
check 'preStop: HTTP, whatever the answer' 'GET /goodbye HTTP/1.1" 404 .*kube-lifecycle/1\.37' last_log http-hooks
check 'a postStart that fails ends the container' 'Failed' becomes bad-hook Failed phase
check 'without what it printed' 'PostStartHook failed *$' p get events --no-headers \
	--field-selector involvedObject.name=bad-hook,reason=FailedPostStartHook

# ---- limits and variables
check 'QoS: Guaranteed' 'Guaranteed' status guaranteed qosClass
check 'QoS: Burstable' 'Burstable' status env qosClass
check 'QoS: BestEffort' 'BestEffort' status root qosClass
check 'limits in the cgroup' '^67108864 50000 100000 *$' inside env cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
vars=$(p get pod env -o 'jsonpath={.metadata.uid} {.spec.nodeName} {.status.podIP} {.status.hostIP}')
# shellcheck disable=SC2086
set -- $vars
check 'variables of fields' "A_ACCOUNT=default A_HOST=$4 A_IP=$3 A_IPS=$3,fd00:[0-9a-f:]+ A_LABEL=red A_NAME=env A_NAMESPACE=pod A_NODE=$2 A_NOTE=two words A_UID=$1 " \
	inside env sh -c 'env | grep ^A_ | sort'
check 'variables of resources' 'R_CPU=1 R_CPU_MILLI=20 R_MEMORY=64' inside env sh -c 'env | grep ^R_ | sort'
check 'variables of variables' 'E_EXPANDED=words of env, \$\(E_PLAIN\), \$\(E_UNKNOWN\)' inside env env

# ---- users and rights
check 'user and groups' 'uid=1000\(user\) gid=2000\(extra\) groups=2000\(extra\),3000,4000' inside user id
check 'a volume belongs to fsGroup' '^3000 ' inside user stat -c '%g %a' /d
refuse 'a root that can only be read' 'Read-only file system' inside user touch /file
check 'no new privileges, seccomp, no capabilities' 'CapEff:.0000000000000000 .*NoNewPrivs:.1 .*Seccomp:.2' \
	inside user grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status
check 'a sysctl' '^80' inside user cat /proc/sys/net/ipv4/ip_unprivileged_port_start
check 'root, usually' 'CapEff:.00000000a80425fb .*NoNewPrivs:.0 .*Seccomp:.2' shell root usual 'grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status'
check 'root with one capability' 'CapEff:.0000000000000400' shell root one 'grep CapEff /proc/self/status'
check 'privileged' 'CapEff:.0000[0-9a-f]*ffffffff' shell root all 'grep CapEff /proc/self/status'
check 'masked' '^c.* 1, +3 ' shell root usual 'ls -l /proc/interrupts'
check 'folders too' '^0' shell root usual 'ls -A /sys/firmware | wc -l'
refuse 'the kernel is not theirs' 'Read-only file system' shell root usual 'echo 1 >/proc/sys/vm/drop_caches'
check 'but of the privileged' '' shell root all 'echo 1 >/proc/sys/vm/drop_caches'
refuse 'no devices' 'Operation not permitted|not permitted' shell root usual 'mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg'
check 'all of them' 'kmsg' shell root all 'ls /dev/kmsg'
check 'runAsNonRoot of an image for root' 'CreateContainerConfigError container has runAsNonRoot and image will run as root \(pod: "non-root_pod\([0-9a-f-]+\)", container: c\)' \
	becomes non-root CreateContainerConfigError "$ctr.state.waiting.reason" "$ctr.state.waiting.message"
check 'runAsNonRoot and user 0' "CreateContainerConfigError container's runAsUser breaks non-root policy" \
	becomes non-root-0 CreateContainerConfigError "$ctr.state.waiting.reason" "$ctr.state.waiting.message"
check 'a sysctl of the whole machine' 'Failed SysctlForbidden Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted' \
	becomes sysctl Failed phase reason message
check 'a pod larger than its node' "Failed OutOfcpu Pod was rejected: Node didn't have enough resource: cpu, requested: 64000" \
	becomes too-large Failed phase reason message

# ---- the host's namespaces, the pod's
check "the host's network" '^10\.77\.0\.' status host podIP
check "the host's name and processes" '^node-[123] kthreadd' inside host sh -c 'hostname; cat /proc/2/comm'
check "the host's IPC" '^same' inside host sh -c '[ "$(readlink /proc/1/ns/ipc)" = "$(readlink /proc/self/ns/ipc)" ] && echo same'
check 'processes of the other container' 'sleep 3601.*sleep 3602' shell shared two 'ps -o args | sort'
check 'not its files' '^1' shell shared two 'ls -d /proc/1 | wc -l'
check 'delete the namespace' 'deleted' k delete ns pod --timeout=58s
