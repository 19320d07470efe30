# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area certificates: trust anchors and certificates in pods' volumes. The signer is openssl here, which
# does what a signer in a cluster does: it watches for requests, and issues, denies or fails them.
c() { k -n certs "$@"; }
as() {
	pod=$1
	shift
	c exec "$pod" -- "$@"
}
put() { c apply -f - >"$tmp/out" 2>&1; }
running() { c wait --for=condition=Ready "$@" --timeout=55s; }
events() { c get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}{": "}{.message}{"\n"}{end}'; }

# ---- authorities and their bundles

authority() { # NAME
	openssl req -x509 -newkey ed25519 -nodes -keyout "$tmp/$1.key" -out "$tmp/$1.crt" -days 30 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE 2>/dev/null
}
bundle() { # NAME SIGNER LABELS FILE...
	name=$1 signer=$2 labels=$3
	shift 3
	printf -- '---\napiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {name: "%s", labels: {%s}}\nspec:\n' "$name" "$labels"
	printf '  signerName: "%s"\n  trustBundle: |\n' "$signer"
	cat "$@" | sed 's/^/    /'
}
# sleeper NAME SOURCES SPEC-MEMBERS: a pod with one projected volume at /v.
sleeper() {
	cat <<-P
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1}
		spec: {terminationGracePeriodSeconds: 1, ${3:-}${3:+, }containers: [
		  {name: c, image: "$(image busybox:latest)", command: [tail, -f, /dev/null], volumeMounts: [{name: v, mountPath: /v}]}],
		  volumes: [{name: v, projected: {sources: [$2]}}]}
	P
}

check 'a namespace' 'created' k create namespace certs
check 'its account' '' eventually 20 c get serviceaccount default
for a in one two three; do authority $a; done
{
	bundle plain '' '' "$tmp/one.crt"
	bundle test.test:s:a test.test/s 'alive: "yes"' "$tmp/two.crt"
	bundle test.test:s:b test.test/s '' "$tmp/two.crt" "$tmp/three.crt"
} | k apply -f - >"$tmp/out" 2>&1
check 'bundles' 'plain +<none> .*test.test:s:a +test.test/s' k get clustertrustbundles
check 'one of the API server' 'kubernetes.io:kube-apiserver-serving:[0-9a-f]{24} +kubernetes.io/kube-apiserver-serving' k get clustertrustbundles
cat >"$tmp/empty.yaml" <<-B
	apiVersion: certificates.k8s.io/v1
	kind: ClusterTrustBundle
	metadata: {name: empty}
	spec: {trustBundle: none}
B
refuse 'what is no authority is no anchor' 'at least one trust anchor must be provided' k create -f "$tmp/empty.yaml"

# ---- bundles in volumes

by_signer='clusterTrustBundle: {signerName: test.test/s, path: all.pem, labelSelector: {}}'
sleeper anchors "{clusterTrustBundle: {name: plain, path: one.pem}}, {$by_signer},
	{clusterTrustBundle: {signerName: test.test/s, path: alive.pem, labelSelector: {matchLabels: {alive: 'yes'}}}},
	{clusterTrustBundle: {signerName: test.test/s, path: none.pem, optional: true}},
	{clusterTrustBundle: {name: nowhere, path: later.pem, optional: true}}" | put
sleeper owned "{$by_signer}" 'securityContext: {runAsUser: 1000, fsGroup: 2000}' | put
sleeper missing '{clusterTrustBundle: {name: missing, path: ca.pem}}' | put
check 'pods with them run' 'met.*met' running pod/anchors pod/owned
check 'by name' '^same *$' eval 'as anchors cat /v/one.pem | cmp - "$tmp/one.crt" && echo same'
check 'by signer: all, each once' '^2 *$' as anchors grep -c BEGIN /v/all.pem
check 'by labels' '^same *$' eval 'as anchors cat /v/alive.pem | cmp - "$tmp/two.crt" && echo same'
check 'optional ones are empty files' '^0 0 644 *$' as anchors sh -c 'echo $(stat -Lc %s /v/none.pem /v/later.pem) $(stat -Lc %a /v/none.pem)'
check 'of user and group' '^1000 2000 640 *$' as owned stat -Lc '%u %g %a' /v/all.pem
check 'one that is missing holds its pod' 'MountVolume.SetUp failed for volume "v" : while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "missing" not found' \
	eventually 20 matches 'not found' events missing
bundle missing '' '' "$tmp/three.crt" | k apply -f - >"$tmp/out" 2>&1
check 'until it is there' 'met' running pod/missing
bundle nowhere '' '' "$tmp/three.crt" | k apply -f - >"$tmp/out" 2>&1
check 'a running pod sees it' '^1 *$' eventually 30 matches '^1' as anchors grep -c BEGIN /v/later.pem
k delete clustertrustbundle test.test:s:b >"$tmp/out" 2>&1
check 'and what goes' '^1 *$' eventually 30 matches '^1' as anchors grep -c BEGIN /v/all.pem

# ---- a signer

# answer SIGNER TYPE: every request that waits for it is Issued, or refused with the type.
answer() {
	c get podcertificaterequests -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.spec.signerName}{" "}{.spec.stubPKCS10Request}{" "}{.status.conditions[*].type}{"\n"}{end}' |
		while read -r name signer request type; do
			[ "$signer" = "$1" ] && [ -z "$type" ] || continue
			now=$(date -u +%FT%TZ)
			condition="\"conditions\":[{\"type\":\"$2\",\"status\":\"True\",\"reason\":\"Test\",\"message\":\"by the test\",\"lastTransitionTime\":\"$now\"}]"
			more=
			[ "$2" != Issued ] || more=,$(issue "$request")
			c patch podcertificaterequest "$name" --subresource=status --type=merge -p "{\"status\":{$condition$more}}"
		done
}
issue() {
	echo "$1" | base64 -d >"$tmp/pod.csr"
	openssl x509 -req -inform DER -in "$tmp/pod.csr" -CA "$tmp/two.crt" -CAkey "$tmp/two.key" -days 1 \
		-set_serial "0x$(openssl rand -hex 8)" -out "$tmp/pod.crt" 2>/dev/null
	from=$(date -u -d "$(openssl x509 -in "$tmp/pod.crt" -noout -startdate | cut -d= -f2)" +%s)
	end=$(date -u -d "$(openssl x509 -in "$tmp/pod.crt" -noout -enddate | cut -d= -f2)" +%s)
	printf '"certificateChain":"%s","notBefore":"%s","beginRefreshAt":"%s","notAfter":"%s"' \
		"$(sed 's/$/\\n/' "$tmp/pod.crt" | tr -d '\n')" "$(date -u -d "@$from" +%FT%TZ)" \
		"$(date -u -d "@$((from + 7200))" +%FT%TZ)" "$(date -u -d "@$end" +%FT%TZ)"
}
# fits POD KEY CHAIN: the key is the certificate's, which the authority signed.
fits() {
	as "$1" cat "/v/$2" >"$tmp/have.key" && as "$1" cat "/v/$3" >"$tmp/have.crt" &&
		[ "$(openssl pkey -in "$tmp/have.key" -pubout)" = "$(openssl x509 -in "$tmp/have.crt" -noout -pubkey)" ] &&
		openssl verify -CAfile "$tmp/two.crt" "$tmp/have.crt" && openssl pkey -in "$tmp/have.key" -noout -text | head -1
}
# wanted POD TYPE SPEC-MEMBERS: a pod that wants a certificate of signer test.test/POD.
wanted() {
	sleeper "$1" "{podCertificate: {signerName: test.test/$1, keyType: $2, maxExpirationSeconds: 172800, userAnnotations: {test.test/who: $1},
		credentialBundlePath: both.pem, keyPath: key.pem, certificateChainPath: chain.pem}}" "${3:-}" | put
}
requested() { c get podcertificaterequests -o 'jsonpath={range .items[*]}{.spec.podName}{"="}{.spec.unverifiedUserAnnotations}{"\n"}{end}' | grep "^$1="; }

for type in RSA3072 RSA4096 ECDSAP256 ECDSAP384 ECDSAP521 ED25519; do
	name=$(echo "$type" | tr A-Z a-z)
	wanted "$name" $type
	check "$type: a request" "test.test/who.*$name" eventually 240 requested "$name"
	check "$type: is issued" 'patched' answer "test.test/$name" Issued
	check "$type: the pod runs" 'met' running "pod/$name"
	check "$type: key and chain fit" 'OK.*Private-Key' fits "$name" key.pem chain.pem
	check "$type: and stand in one file" 'OK.*Private-Key' fits "$name" both.pem both.pem
done
check 'in memory' '^tmpfs 644 *$' as ed25519 sh -c 'echo $(stat -fc %T /v) $(stat -Lc %a /v/key.pem)'
wanted denied ED25519
check 'a request that is denied' 'patched' eventually 30 matches patched answer test.test/denied Denied
check 'holds its pod and is told' 'PodCertificateRequest certs/req-[a-z0-9]+ was denied, reason="Test", message="by the test"' \
	eventually 30 matches 'was denied' events denied
check 'on the volume too' 'PodCertificateRequest was permanently denied: reason="Test" message="by the test"' \
	eventually 30 matches 'permanently denied' events denied
wanted owner ECDSAP256 'securityContext: {runAsUser: 1000}'
check 'for one user' 'patched' eventually 30 matches patched answer test.test/owner Issued
check 'a pod of that user runs' 'met' running pod/owner
check 'and only it reads the key' '^1000 600 *$' as owner stat -Lc '%u %a' /v/key.pem
cat >"$tmp/long.yaml" <<-P
	apiVersion: v1
	kind: Pod
	metadata: {name: long}
	spec: {containers: [{name: c, image: i}], volumes: [{name: v, projected: {sources: [
	  {podCertificate: {signerName: test.test/s, keyType: ED25519, keyPath: k, maxExpirationSeconds: 7862401}}]}}]}
P
refuse 'nobody asks for longer than the signer may give' 'if provided, maxExpirationSeconds must be <= 7862400' c create -f "$tmp/long.yaml"
check 'all goes' 'deleted' k delete namespace certs --timeout=100s
k delete clustertrustbundle plain test.test:s:a missing nowhere >"$tmp/out" 2>&1
