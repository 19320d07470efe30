# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/fault/lib.sh: what the areas of the fault suite are written in, besides tests/cluster/lib.sh. Sourced
# by run.sh, which sets O, top, tmp, tools (the suite's programs), round and seed.
#
#   amount SHORT FULL                how many faults of a kind, in $n
#   draw N                          a number from 0 to N-1 by the seed, in $drawn
#   moment FROM_MS TO_MS            lets a random time pass: when a fault happens is what is tested, not awaited
#   background NAME COMMAND...      starts it; its output in $tmp/NAME.out, its pid in $pid
#   said NAME REGEX                 succeeds when it was started in the background and said so; for eventually
#   load_start NAME [OPTION...]     writers and watchers with $KUBECONFIG; history in $tmp/NAME
#   load_end NAME [OPTION...]       ends them in good order, and checks the history (options of check)
#   up [OPTION...]                  boots the cluster, or goes on with its disks
#   cluster                         three machines and the pods that faults must not touch, once
#   asked                           succeeds when the one pod is answered by the other
#   steady                          containers with their ids and restarts, since when nodes are Ready, the files of "asks"
#   unanswered                      requests between the pods that failed: how many, then each with what it had found
#   served NODE N                   succeeds when the machine has come to serve N times since it was made
#   count NODE                      how often it did
#   ready_times NODE ROLE FROM      how long the role took to serve each time, from line FROM of the console
running=

amount() {
	n=$2
	[ "$round" = full ] || n=$1
}
draw() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	drawn=$((seed / 65536 % $1))
}
moment() {
	draw $(($2 - $1 + 1))
	sleep "$(awk "BEGIN { print ($1 + $drawn) / 1000 }")"
}

said() { grep -Eq -- "$2" "$tmp/$1.out" && grep -E -- "$2" "$tmp/$1.out"; }

background() {
	out=$tmp/$1.out
	shift
	"$@" >"$out" 2>&1 </dev/null &
	pid=$!
	running="$running $pid"
}

load_start() {
	name=$1
	shift
	draw 1000000
	background "$name" "$tools/load" --kubeconfig "$KUBECONFIG" --out "$tmp/$name" --namespace "load-$name" --seed "$drawn" "$@"
	load_pid=$pid
	check "writers and watchers begin" 'loading' eventually 60 said "$name" loading
}

# load_wait NAME: ends the load; its status.
load_wait() {
	kill -TERM "$load_pid"
	wait "$load_pid"
	status=$?
	cat "$tmp/$1.out"
	return $status
}
load_end() {
	name=$1
	shift
	check 'the last write is seen by every watcher' 'writes' load_wait "$name"
	figure load "$(tail -1 "$tmp/$name.out")"
	check 'nothing is lost, doubled, missed or torn' ' 0 faults' "$tools/check" "$@" "$tmp/$name"
	figure load "$(tail -1 "$tmp/out")"
}

up() {
	ctl up --kernel "$O/image/vmlinuz" --initramfs "$O/image/initramfs" --kubeconfig "$KUBECONFIG" \
		--timeout 180 "$@"
}
# cluster: on each machine a pod that only runs; "web", which answers; and "asks", which asks it by the name
# of its Service: names, Service, and pod network in one.
ask='ip=$(nslookup -type=a web.default.svc.cluster.local | awk "/^Address:/ { ip = \$2 } END { print ip }")
	printf "GET / HTTP/1.0\r\n\r\n" | nc -w 10 $ip 80 | grep -q "^ok"'
cluster() {
	[ ! -d "$tmp/c" ] || return 0
	check 'a registry' '' registry_start "$tmp/registry" busybox
	check 'three machines become Ready' '3 of 3 nodes are Ready' up --nodes 3 --host registry.test=10.77.0.1 \
		--registry "$registry=$registry_ca"
	for node in node-1 node-2 node-3; do
		pod "runs-$node" "$node" 'while :; do sleep 1; done'
	done >"$tmp/pods"
	{
		pod web node-2 'echo ok >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
		pod asks node-1 "while sleep 0.2; do if $(joined "$ask"); then touch /tmp/began; elif [ -e /tmp/began ]; then echo \"\$(date +%T) unanswered, address '\$ip'\"; fi; done"
		cat <<-E
			apiVersion: v1
			kind: Service
			metadata: {name: web}
			spec: {selector: {name: web}, ports: [{port: 80}]}
		E
	} >>"$tmp/pods"
	check 'pods are made' 'service/web created' pods_make
	check 'they run' '^5 ' eventually 120 running_pods
	check 'one asks the other' '' eventually 60 k exec asks -- test -e /tmp/began
}
pods_make() { apply <"$tmp/pods"; }
pod() {
	cat <<-E
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, labels: {name: $1, steady: "yes"}}
		spec:
		  nodeName: $2
		  terminationGracePeriodSeconds: 0
		  containers:
		  - name: main
		    image: "%IMAGE(busybox:latest)%"
		    command: [sh, -c]
		    args:
		    - |
		      $3
		---
	E
}
joined() { printf %s "$1" | tr -s '\n\t' '; '; }
asked() { k exec asks -- sh -c "$ask" && echo answered; }
running_pods() { k get pods -l steady=yes --no-headers | awk '$3 == "Running" { n++ } END { print n; exit n != 5 }'; }
ready_nodes() { k get nodes --no-headers | awk '$2 == "Ready" { n++ } END { print n; exit n != 3 }'; }
steady() {
	k get pods -l steady=yes -o 'jsonpath={range .items[*]}{.metadata.name}{range .status.containerStatuses[*]} {.containerID} {.restartCount}{end}{"\n"}{end}' &&
		k get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].lastTransitionTime}{"\n"}{end}' &&
		k exec asks -- stat -c '%n %i %y' /etc/hosts /etc/resolv.conf /etc/hostname
}
unanswered() {
	k logs asks >"$tmp/asks" || return 1
	echo "$(grep -c unanswered "$tmp/asks") of the requests"
	grep unanswered "$tmp/asks"
	:
}

on() { ctl start "$1" --kernel "$O/image/vmlinuz"; }
count() { cat "$tmp/c/$1/console.log" 2>/dev/null | grep -c 'all roles serve'; }
served() { [ "$(count "$1")" -ge "$2" ] && echo serves; }
ready_times() {
	tail -n +"$3" "$tmp/c/$1/console.log" | sed -n "s/.*$2: ready after \([0-9]*\) ms.*/\1/p" | sort -n |
		awk '{ t[NR] = $1 } END { if (NR) printf "%d times, p50 %d ms, max %d ms", NR, t[int((NR + 1) / 2)], t[NR] }'
}
