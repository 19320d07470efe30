# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area join: what a cluster is when it has just come up: versions, labels, ranges, certificates, names.
versions() { k get nodes --no-headers | awk '$2 == "Ready" { print $5 }' | sort | uniq -c; }
# At least two a machine (a serving one more when an address came late), and all signed.
certificates() {
	k get csr --no-headers >"$tmp/csrs" && [ "$(grep -c . "$tmp/csrs")" -ge 6 ] &&
		! grep -v 'Approved,Issued' "$tmp/csrs" && echo 'all signed'
}
serving_addresses() {
	k get csr -o 'jsonpath={range .items[?(@.spec.signerName=="kubernetes.io/kubelet-serving")]}{.status.certificate}{"\n"}{end}' |
		while read -r c; do
			echo "$c" | base64 -d | openssl x509 -noout -text | grep 'IP Address'
		done
}
serving_names() { [ "$(grep -lE 'names on [12] addresses' "$tmp"/c/*/console.log | wc -l)" -eq 3 ] && echo all; }
all_serve() { [ "$(grep -l 'all roles serve' "$tmp"/c/*/console.log | wc -l)" -eq 3 ] && echo all; }

check 'their version' '3 v1\.37\.' versions
check 'the control node is labelled' 'node-1 .*control-plane' k get nodes
# the one of a node that is not ready goes a moment after the node is
check 'no node has a taint' '' eventually 15 matches '^ *$' k get nodes -o jsonpath='{.items[*].spec.taints}'
check 'each has its pod ranges' 'node-3 10\.244\.[0-9]+\.0/24 fd00:10:244:' k get nodes \
	-o 'jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDRs[0]} {.spec.podCIDRs[1]}{"\n"}{end}'
check 'each has an address of each family' 'node/node-3 condition met' k wait node --all --timeout=30s \
	--for='jsonpath={.status.addresses[1].type}=InternalIP'
check 'IPv4 first' '^10\.77\.0\.[0-9]+ fd77:' k get node node-3 \
	-o 'jsonpath={.status.addresses[0].address} {.status.addresses[1].address}'
check 'client and serving certificates were signed' 'all signed' eventually 30 certificates
check 'a serving certificate names both addresses' \
	'IP Address:10\.77\.0\.[0-9]+, IP Address:FD77:' serving_addresses
check 'the name server has its Service' '10\.96\.0\.10' k -n kube-system get svc kube-dns
check 'PID 1 of each machine has heard of all its roles' 'all' eventually 30 all_serve
check 'each machine serves names' 'all' eventually 30 serving_names
check 'a write' 'created' k create configmap kept --from-literal=a=b

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/ann.key" \
	-subj /O=dev/CN=ann -out "$tmp/ann.csr" 2>/dev/null
cat >"$tmp/csr" <<-E
	apiVersion: certificates.k8s.io/v1
	kind: CertificateSigningRequest
	metadata: {name: ann}
	spec:
	  signerName: kubernetes.io/kube-apiserver-client
	  usages: [client auth]
	  request: $(base64 -w0 "$tmp/ann.csr")
E
check 'a user asks for a certificate with only "client auth"' 'created' k create -f "$tmp/csr"
check 'it is approved' 'approved' k certificate approve ann
check 'it is issued' 'condition met' k wait --for='jsonpath={.status.certificate}' csr/ann --timeout=30s
k get csr ann -o 'jsonpath={.status.certificate}' | base64 -d >"$tmp/ann.crt"
k config set-credentials ann --client-certificate="$tmp/ann.crt" --client-key="$tmp/ann.key" >/dev/null
check 'the user is who the certificate says' 'ann.*dev' k --user=ann auth whoami
