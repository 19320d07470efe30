#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/boot.sh O: three machines in QEMU, from power-on to a cluster that keeps what it was told:
# join, certificates, labels, a pod's way as far as it needs no image, power-off and power-cut.
# Closes with "N passed, N failed, N skipped". Leaves nothing running. Waits are keelctl's and kubectl's
# own, each with a deadline.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
O=$1
tmp=$(mktemp -d)
passed=0 failed=0
ctl="$O/bin/keelctl"

finish() {
	"$ctl" cluster down --dir "$tmp/c" --grace 0 --forget >/dev/null 2>&1
	rm -rf "$tmp"
}
trap finish EXIT INT TERM

row=kubectl-1.36
deb=$("$top/deps/fetch.sh" $row) || exit 1
dir=$("$top/deps/fetch.sh" --cache)/$row-$(basename "$deb" | cut -c1-12)
[ -x "$dir/usr/bin/kubectl" ] || dpkg-deb -x "$deb" "$dir"
export KUBECONFIG="$tmp/kubeconfig" HOME="$tmp"
k() { timeout 60 "$dir/usr/bin/kubectl" "$@"; }

# check WHAT EXPECTED COMMAND...: its output must contain EXPECTED (grep -E).
check() {
	what=$1 want=$2
	shift 2
	if out=$("$@" 2>&1) && printf '%s\n' "$out" | grep -qE -- "$want"; then
		passed=$((passed + 1))
		echo "ok   $what"
	else
		failed=$((failed + 1))
		echo "FAIL $what: want /$want/ from: $*"
		printf '%s\n' "$out" | sed 's/^/     /' | tail -20
	fi
}

up() {
	"$ctl" cluster up --dir "$tmp/c" --kernel "$O/image/vmlinuz" --initramfs "$O/image/initramfs" \
		--kubeconfig "$KUBECONFIG" --timeout 120 "$@"
}

ready() { k wait --for=condition=Ready node --all --timeout=60s; }
versions() { k get nodes --no-headers | awk '$2 == "Ready" { print $5 }' | sort | uniq -c; }
# serving_names: on how many machines the name server says so, awaited for 30 s.
serving_names() {
	n=0
	until found=$(grep -lE 'names on [12] addresses' "$tmp"/c/*/console.log | wc -l); [ "$found" -eq 3 ] ||
		[ $n -gt 150 ]; do
		n=$((n + 1))
		sleep 0.2
	done
	echo "$found"
}
# certificates: at least two a node, and all signed, awaited for 30 s.
certificates() {
	n=0
	until k get csr --no-headers >"$tmp/csrs" && grep -c . "$tmp/csrs" | grep -qE '^([6-9]|[1-9][0-9]+)$' &&
		! grep -qv 'Approved,Issued' "$tmp/csrs"; do
		n=$((n + 1))
		[ $n -gt 60 ] && { cat "$tmp/csrs"; return 1; }
		sleep 0.5
	done
	echo 'all signed'
}
serving_addresses() {
	k get csr -o 'jsonpath={range .items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")]}{.status.certificate}{"\n"}{end}' |
		while read -r c; do
			echo "$c" | base64 -d | openssl x509 -noout -text | grep 'IP Address'
		done
}
consoles() { grep -hE 'ended with|killed by' "$tmp"/c/*/console.log || echo none; }

check 'three machines become Ready' '3 of 3 nodes are Ready' up --nodes 3
check 'their version' '3 v1\.37\.' versions
check 'the control node is labelled' 'node-1 .*control-plane' k get nodes
check 'no node has a taint' '^\[\]$|^$|none' k get nodes -o jsonpath='{.items[*].spec.taints}'
check 'each has its pod ranges' 'node-3 10\.244\.[0-9]+\.0/24 fd00:10:244:' k get nodes \
	-o 'jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDRs[0]} {.spec.podCIDRs[1]}{"\n"}{end}'
check 'each has an address of each family' 'node/node-3 condition met' k wait node --all --timeout=30s \
	--for='jsonpath={.status.addresses[1].type}=InternalIP'
check 'IPv4 first' '^10\.77\.0\.[0-9]+ fd77:' k get node node-3 \
	-o 'jsonpath={.status.addresses[0].address} {.status.addresses[1].address}'
check 'client and serving certificates were signed' '^all signed' certificates
check 'a serving certificate names both addresses' \
	'IP Address:10\.77\.0\.[0-9]+, IP Address:FD77:' serving_addresses
check 'the name server has its Service' '10\.96\.0\.10' k -n kube-system get svc kube-dns
check 'a write' 'created' k create configmap kept --from-literal=a=b
check 'a pod is placed' 'condition met' sh -c \
	"'$dir/usr/bin/kubectl' run p --image=none.invalid/x >/dev/null && '$dir/usr/bin/kubectl' wait \
	--for=condition=PodScheduled pod/p --timeout=30s"
cat >"$tmp/csr" <<-X
	apiVersion: certificates.k8s.io/v1
	kind: CertificateSigningRequest
	metadata: {name: ann}
	spec:
	  signerName: kubernetes.io/kube-apiserver-client
	  usages: [client auth]
	  request: $(openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-keyout "$tmp/ann.key" -subj /O=dev/CN=ann 2>/dev/null | base64 -w0)
X
check 'a user asks for a certificate with only "client auth"' 'approved' sh -c \
	"'$dir/usr/bin/kubectl' create -f '$tmp/csr' && '$dir/usr/bin/kubectl' certificate approve ann"
check 'it is issued' 'condition met' k wait --for='jsonpath={.status.certificate}' csr/ann --timeout=30s
check 'the user is who the certificate says' 'ann +|dev' sh -c \
	"'$dir/usr/bin/kubectl' get csr ann -o 'jsonpath={.status.certificate}' | base64 -d >'$tmp/ann.crt' &&
	'$dir/usr/bin/kubectl' config set-credentials ann --client-certificate='$tmp/ann.crt' \
	--client-key='$tmp/ann.key' && '$dir/usr/bin/kubectl' --user=ann auth whoami"
check 'each machine serves names' '^3$' serving_names
check 'no role ended' 'none' consoles
check 'power button and power-on' '3 of 3 nodes are Ready' sh -c \
	"'$ctl' cluster down --dir '$tmp/c' && '$ctl' cluster up --dir '$tmp/c' --kernel '$O/image/vmlinuz' \
	--initramfs '$O/image/initramfs' --kubeconfig '$KUBECONFIG' --timeout 120"
check 'what was written is there' 'kept' k get configmap kept
check 'a power cut of the control node' 'kept' sh -c \
	"'$ctl' cluster kill node-1 --dir '$tmp/c' && '$ctl' cluster up --dir '$tmp/c' --kernel '$O/image/vmlinuz' \
	--initramfs '$O/image/initramfs' --kubeconfig '$KUBECONFIG' --timeout 120 >/dev/null &&
	'$dir/usr/bin/kubectl' get configmap kept"
check 'all nodes are Ready again' 'condition met' ready
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
