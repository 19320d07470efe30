# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part boot: two machines in QEMU, one of them the control node: from power-on to Ready, memory and CPU of
# each role at rest, pods. Without KVM times say little: they are printed and not judged. BACKEND=auto|kvm|tcg, PODS=110.
O_cluster=$tmp/c
passed=0 failed=0 skipped=0
. "$top/tests/cluster/lib.sh"
. "$top/tests/images/registry.sh"
bench_end() {
	ctl down --grace 0 --forget >/dev/null 2>&1
	registry_stop
}
kubectl=$(kubectl_program kubectl-1.36) || return 1
registry_start "$tmp/registry" busybox && registry_push "https://localhost:${registry##*:}/v2" nft || return 1
export KUBECONFIG="$tmp/kubeconfig" HOME="$tmp"
console() { cat "$O_cluster/$1/console.log"; }
machines() {
	ctl up --nodes 2 --backend "${BACKEND:-auto}" --kernel "$O/image/vmlinuz" --initramfs "$O/image/initramfs" \
		--kubeconfig "$KUBECONFIG" --timeout 300 --host registry.test=10.77.0.1 --registry "$registry=$registry_ca"
}

# ---- from power-on to Ready ----
machines >"$tmp/up" || { cat "$tmp/up"; return 1; }
sed 's/^/     /' "$tmp/up"
backend=$(sed -n 's/.*[ (]\(tcg\|kvm\)[ ,).].*/\1/p' "$tmp/up" | head -1)
ground=$(busy)
[ "$backend" = kvm ] || ground="not with KVM"
# at FILE REGEX: the seconds that stand before the first line that matches.
at() { sed -n "s/^ *\([0-9.]*\) s  .*$1.*/\1/p" "$tmp/up" | head -1; }
ms() { console "$1" | sed -n "s/.*$2.*/\1/p" | head -1; }
row 'PID 1 ready, control node, after the kernel began' "$(ms node-1 'booted in \([0-9]*\) ms')" ms '<=' - - "$ground"
for role in network control node dns; do
	row "role $role ready after its start" "$(ms node-1 "$role: ready after \([0-9]*\) ms")" ms '<=' - - "$ground"
done
row 'all roles serve, after the kernel began' "$(ms node-1 'all roles serve, \([0-9]*\) ms')" ms '<=' - - "$ground"
row 'API answers, after power-on' "$(at 'the API answers')" s '<=' - 0.5 "$ground"
row 'control node Ready, after power-on' "$(at 'node-1 is Ready')" s '<=' - 1.0 "$ground"
row 'both nodes Ready, after power-on' "$(at '2 of 2 nodes are Ready')" s '<=' - - "$ground"

# ---- at rest ----
for node in node-1 node-2; do
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
done | apply >/dev/null
k wait --for=condition=Ready pod/look-node-1 pod/look-node-2 --timeout=60s >/dev/null || return 1
look() { k exec -i "look-$1" -- sh <"$top/tests/cluster/look.sh" 2>/dev/null | grep '^role'; }
rest 20
for node in node-1 node-2; do look $node >"$tmp/$node.a"; done
rest 30
for node in node-1 node-2; do look $node >"$tmp/$node.b"; done
pss() { awk -v role="$2" '$2 == role { printf "%.1f", $6 / 1024 }' "$tmp/$1.b"; }
all() { awk '{ n += $6 } END { printf "%.1f", n / 1024 }' "$tmp/$1.b"; }
own() { awk '{ n += $3 } END { printf "%.1f", n / 1024 }' "$tmp/$1.b"; }
cpu() {
	awk -v role="$2" 'NR == FNR { was[$2] = $5; next } $2 == role { printf "%.2f", ($5 - was[$2]) / 30e3 * 100 }' \
		"$tmp/$1.a" "$tmp/$1.b"
}
for node in node-1 node-2; do
	for role in $(awk '{ print $2 }' "$tmp/$node.b"); do
		row "$node at rest: $role: memory (PSS)" "$(pss $node "$role")" MiB '<=' - -
		row "$node at rest: $role: CPU" "$(cpu $node "$role")" '% of one' '<=' - "$([ "$role" = control ] && echo 0.2 || echo -)" \
			"$([ "$backend" = kvm ] || echo 'not with KVM')"
	done
done
row 'control and node at rest: memory of all (PSS)' "$(all node-1)" MiB '<=' 64 48
note "of it anonymous $(own node-1) MiB"
row 'worker at rest: memory of all (PSS)' "$(all node-2)" MiB '<=' 24 12
note "of it anonymous $(own node-2) MiB"

# ---- pods ----
pods_load() { "$load" --kubeconfig "$KUBECONFIG" --image "$(image busybox:latest)" --node node-2 --seconds 300 "$@"; }
pods_gone() { [ "$(k get pods -l app=load --no-headers 2>/dev/null | wc -l)" -eq 0 ] && echo gone; }
# steps FROM: what the node says of each start from line FROM of its console on: step, median, maximum.
steps() {
	console node-2 | tail -n +"$1" | sed -n 's/.* runs, ms since it was seen: //p' | tr ' ' '\n' | tr '=' ' ' |
		sort -k2 -n | awk '{ v[$1, ++n[$1]] = $2 } END { for (k in n) print k, v[k, int((n[k] + 1) / 2)], v[k, n[k]] }' |
		sort -k2 -n
}
pods_clean() { "$load" --kubeconfig "$KUBECONFIG" --resource pods clean >/dev/null && eventually 120 pods_gone >/dev/null; }
pods_load --objects 2 --conns 1 pods >/dev/null && pods_clean # the image is there then
line=$(pods_load --objects 30 --conns 1 pods)
note "$line"
row 'pod, image present: create to Running, p50' "$(word "$line" p50_us | awk '{ print $1 / 1000 }')" ms '<=' - 8 "$ground"
row 'pod, image present: create to Running, p99' "$(word "$line" p99_us | awk '{ print $1 / 1000 }')" ms '<=' - 30 "$ground"
pods_clean
n=${PODS:-110}
n=$((n - $(k get pods --no-headers -o wide | grep -c node-2))) # those that are there count
from=$(console node-2 | wc -l)
line=$(pods_load --objects $n --conns $n pods)
note "$line"
row "$n more pods at once on a node: half of them Running" "$(word "$line" p50_us | awk '{ print $1 / 1e6 }')" s '<=' - - "$ground"
row "$n more pods at once on a node: all Running" "$(word "$line" wall_ms | awk '{ print $1 / 1000 }')" s '<=' - 1 "$ground"
steps $((from + 1)) | while read -r step p50 max; do note "since the node saw the pod: $step p50 $p50 ms, max $max ms"; done
look node-2 >"$tmp/node-2.b"
row 'worker with these pods: memory of all (PSS)' "$(all node-2)" MiB '<=' - -
pods_clean
bench_end
