# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area power: machines that are switched off in order and that lose their power keep what was
# acknowledged. Last of the areas: it ends every machine.
ended_roles() { grep -hE 'ended with|killed by' "$tmp"/c/*/console.log | tee "$tmp/ended"; wc -l <"$tmp/ended"; }

check 'no role ended by itself' "(^| )$role_kills \$" ended_roles
check 'the power button' '' ctl down
check 'power-on' '3 of 3 nodes are Ready' up
check 'what was written is there' 'kept' k get configmap kept
check 'a power cut of the control node' '' ctl kill node-1
check 'it comes back' 'nodes are Ready' up
check 'what was written is still there' 'kept' k get configmap kept
check 'all nodes are Ready again' 'condition met' k wait --for=condition=Ready node --all --timeout=60s
