# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area links: the link between two machines, or between a machine and the world outside, is cut
# at random times and healed after random times. Connections live through it; nothing is lost, and no watcher
# has to list anew.
cluster
cuts() {
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		draw 6
		set -- "$1" $(echo 'node-1 node-2
			node-1 node-3
			node-2 node-3
			node-1 gateway
			node-2 gateway
			node-3 gateway' | sed -n "$((drawn + 1))p")
		ctl cut "$2" "$3" && moment 200 6000 && ctl heal "$2" "$3" || return 1
		moment 100 1000
	done
}
load_start links
amount 2 30
check "$n links are cut and healed" '' cuts "$n"
load_end links
check 'all nodes are Ready' '3 ' eventually 120 ready_nodes
check 'all pods run' '^5 ' eventually 120 running_pods
check 'one asks the other' 'answered' eventually 120 asked
