# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area roles: the roles of a machine are killed at random times, each many times, by a pod on that
# machine that sees its processes. Nothing that was acknowledged is lost, no container is restarted, the nodes
# stay Ready, and a pod that asks another by its Service's name never goes without an answer.
cluster

# on_node_1 NAME COMMANDS: a pod that runs them once, on node-1, whose processes it sees.
on_node_1() {
	apply <<-E
		apiVersion: v1
		kind: Pod
		metadata: {name: $1}
		spec:
		  nodeName: node-1
		  hostPID: true
		  restartPolicy: Never
		  terminationGracePeriodSeconds: 0
		  containers:
		  - name: main
		    image: "%IMAGE(busybox:latest)%"
		    securityContext: {privileged: true}
		    command: [sh, -c]
		    args:
		    - |
		$(printf '%s\n' "$2" | sed 's/^\t*/      /')
	E
}

# killer ROLE N: N kills, so far apart that an emulated machine mostly serves in between (PID 1 slows down a
# role that ends ten times in ten seconds; a node that is never heard of for 40 s is NotReady, rightly).
killer() {
	draw 1000000
	case $1 in
	control) least=1.5 more=3 ;;
	node) least=3 more=4 ;;
	dns) least=0.8 more=1.6 ;;
	esac
	on_node_1 "kill-$1" "
		for t in \$(awk 'BEGIN { srand($drawn); for (i = 0; i < $2; i++) print $least + $more * rand() }'); do
			sleep \$t
			kill -9 \$(ps -o pid,args | awk '/ keelson $1\$/ { print \$1 }') || exit 1
		done"
}
killed() { tail -n +"$from" "$tmp/c/node-1/console.log" | grep -c "$1: killed by signal 9"; }
over() { k get pod "$1" -o 'jsonpath={.status.phase}' | grep -E 'Succeeded|Failed'; }
# unchanged: nothing but the killers differs from what was noted before.
unchanged() { eventually 30 steady >"$tmp/steady" && diff "$tmp/before" "$tmp/steady" && echo same; }

amount 2 20
for role in control node dns; do
	from=$(($(wc -l <"$tmp/c/node-1/console.log") + 1))
	steady >"$tmp/before"
	load_start "$role"
	check "a pod that kills $role" 'created' killer "$role" "$n"
	check "$n kills of $role" 'Succeeded' eventually 400 over "kill-$role"
	check 'so many were counted' "^$n " killed "$role"
	load_end "$role"
	check 'containers and nodes are as they were' 'same' unchanged
	figure roles "$role served again: $(ready_times node-1 "$role" "$from")"
done

# names_alone: control hangs, dns is killed, and the next one is asked for a name, at once: it knows what the one before it
# knew. (Asked of the API, the answer came only when control went on: nslookup gives up after five seconds.)
names_alone() {
	on_node_1 names-alone '
		of() { ps -o pid,args | awk "/ keelson $1\$/ { print \$1 }"; }
		control=$(of control)
		kill -STOP $control
		kill -9 $(of dns)
		nslookup -type=a web.default.svc.cluster.local && ! nslookup -type=a none.default.svc.cluster.local
		status=$?
		kill -CONT $control
		exit $status'
}
check 'a pod that hangs control and kills dns' 'created' names_alone
check 'the next dns knows the names' 'Succeeded' eventually 60 over names-alone
check 'no request of a pod went without an answer' '^0 ' unanswered
