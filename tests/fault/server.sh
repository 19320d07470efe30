# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area server: `keelson server` as one ordinary process, killed at random under load, started
# again on the same folder.
amount 4 20
draw 1000000
background serve "$tools/serve" "$O/bin/keelson" "$tmp/s" "$n" "$drawn" 200 1500
serve_pid=$pid
check 'a server serves' 'serving' eventually 60 said serve serving
KUBECONFIG=$tmp/s/kubeconfig
load_start server --pause 5
check "$n kills, each time it serves again" 'serves again' eventually 240 said serve 'serves again'
figure server "$(said serve 'serves again')"
load_end server
serve_end() {
	kill -TERM "$serve_pid"
	wait "$serve_pid"
}
check 'it ends in good order' '' serve_end
KUBECONFIG=$tmp/kubeconfig
