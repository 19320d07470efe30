# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area machines: whole machines lose their power at random times and come back, the one that
# holds the store too. What was acknowledged is there; watchers may have to list anew, because history does
# not outlive the power; and all that ran before runs again.
cluster
machine_kills() {
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		moment 300 3000
		draw 3
		node=node-$((drawn + 1))
		was=$(count "$node")
		ctl kill "$node" && moment 0 3000 && on "$node" && eventually 120 served "$node" $((was + 1)) || return 1
	done
}
load_start machines
amount 2 30
check "$n machines lose their power" serves machine_kills "$n"
load_end machines --relists
check 'all nodes are Ready' '3 ' eventually 120 ready_nodes
check 'all pods run' '^5 ' eventually 120 running_pods
check 'one asks the other' 'answered' eventually 120 asked
