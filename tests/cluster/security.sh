# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area security: who gets in, what each may do, and what a container may not. Credentials are real
# ones: those of machines are read from them by a privileged pod, certificates are requested with them, and a
# machine that shows another's certificate is one more server on its address.

# ---- words

s() { k -n sec "$@"; }
in_pod() { s exec "$1" -- sh -c "$2"; }
server=$(k config view -o 'jsonpath={.clusters[0].cluster.server}')
ca=$tmp/cluster-ca.crt
k config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$ca"
# as TOKEN ARGS...: kubectl with that token and nothing else.
as() {
	token=$1
	shift
	timeout 60 "$kubectl" --kubeconfig=/dev/null --server="$server" --certificate-authority="$ca" --token="$token" "$@"
}
# of_self POD: what the kernel says of a process in the container.
of_self() { in_pod "$1" "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status" | tr '\t\n' '  '; }
# status PATH OPTION...: of an answer to curl, which has no credentials of its own.
status() {
	path=$1
	shift
	curl -s --max-time 10 --cacert "$ca" -o "$tmp/body" -w '%{http_code}\n' "$@" "$server$path" && cat "$tmp/body"
}
# request NAME SIGNER USAGE SUBJECT NAMES KUBECTL-OPTION...: a certificate is asked for with somebody's credentials.
request() {
	name=$1 signer=$2 usage=$3 subject=$4 names=$5
	shift 5
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/$name.key" -subj "$subject" \
		${names:+-addext "subjectAltName=$names"} -out "$tmp/$name.csr" 2>/dev/null
	k create -f - "$@" <<-Y
		apiVersion: certificates.k8s.io/v1
		kind: CertificateSigningRequest
		metadata: {name: $name}
		spec:
		  signerName: kubernetes.io/$signer
		  usages: [digital signature, $usage]
		  request: $(base64 -w0 "$tmp/$name.csr")
	Y
}

# ---- objects

pod() { # NAME NODE IMAGE CONTAINER-FIELDS POD-FIELDS
	cat <<-Y
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, namespace: sec}
		spec:
		  nodeName: node-$2
		  terminationGracePeriodSeconds: 0
		  containers: [{name: c, image: "%IMAGE($3)%", command: [sleep, "100000"]${4:+, $4}}]
		  ${5:-restartPolicy: Always}
	Y
}
objects() {
	cat <<-Y
		apiVersion: v1
		kind: Namespace
		metadata: {name: sec}
		---
		apiVersion: v1
		kind: ServiceAccount
		metadata: {name: looker, namespace: sec}
		---
		apiVersion: v1
		kind: ServiceAccount
		metadata: {name: asker, namespace: sec}
		---
		apiVersion: v1
		kind: ServiceAccount
		metadata: {name: goer, namespace: sec}
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: Role
		metadata: {name: looks, namespace: sec}
		rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: RoleBinding
		metadata: {name: looks, namespace: sec}
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: looks}
		subjects: [{kind: ServiceAccount, name: looker, namespace: sec}]
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: ClusterRoleBinding
		metadata: {name: sec-asks}
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:auth-delegator'}
		subjects: [{kind: ServiceAccount, name: asker, namespace: sec}]
		---
		apiVersion: v1
		kind: Secret
		metadata: {name: mine-1, namespace: sec}
		stringData: {k: one}
		---
		apiVersion: v1
		kind: Secret
		metadata: {name: mine-2, namespace: sec}
		stringData: {k: two}
	Y
	secret='env: [{name: K, valueFrom: {secretKeyRef: {key: k, name: mine-'
	pod plain 1 curl:latest "${secret}1}}}]" 'serviceAccountName: asker'
	pod other 2 busybox:latest "${secret}2}}}]" 'serviceAccountName: looker'
	pod strict 2 busybox:latest 'securityContext: {allowPrivilegeEscalation: false, runAsUser: 1000}' 'serviceAccountName: goer'
	pod open 2 busybox:latest 'securityContext: {capabilities: {add: [SYS_TIME], drop: [CHOWN]}, seccompProfile: {type: Unconfined}}'
	for i in 1 2 3; do pod root-$i $i busybox:latest 'securityContext: {privileged: true}' 'hostPID: true'; done
}
make_objects() { objects | apply; }
before=$failed
check 'pods and accounts are made' 'root-3 created' make_objects
check 'the pods run' 'plain condition met' eventually 120 s wait --for=condition=Ready pod --all --timeout=30s
[ $failed = "$before" ] || return

# ---- who gets in

anyone=system:anonymous
refuse 'no plain HTTP' '' curl -sSf --max-time 5 "http${server#https}/version"
refuse 'no TLS 1.1' 'alert|error|no protocols' sh -c "openssl s_client -connect ${server#https://} -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null"
check 'a stranger sees the version' '^200 .*gitVersion' status /version
check 'and whether it is well' '^200 ok' status /readyz
check 'but no object' "^403 .*secrets is forbidden: User \\\\\"$anyone\\\\\" cannot list resource \\\\\"secrets\\\\\" in API group \\\\\"\\\\\" at the cluster scope" \
	status /api/v1/secrets
check 'nor what there is' "^403 .*forbidden: User \\\\\"$anyone\\\\\" cannot get path \\\\\"/api\\\\\"" status /api
check 'a token nobody gave is no stranger' '^401 .*Unauthorized' status /version -H 'Authorization: Bearer nonsense'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /O=system:masters/CN=liar \
	-keyout "$tmp/liar.key" -out "$tmp/liar.crt" 2>/dev/null
check 'nor is a certificate of another authority' '^401 .*Unauthorized' status /version --cert "$tmp/liar.crt" --key "$tmp/liar.key"
check 'admin may all' '\*\.\* +\[\] +\[\] +\[\*\].*\[\*\] +\[\] +\[\*\]' k auth can-i --list
can_i_list() { k auth can-i --list -n sec "$@" | sed 's/  */ /g'; }
refuse 'a stranger may not ask what it may' "User .$anyone. cannot create resource .selfsubjectrulesreviews" \
	k auth can-i --list --as=$anyone --as-group=system:unauthenticated
check 'an account may what its role says' 'pods \[\] \[\] \[get list watch\]' can_i_list --as=system:serviceaccount:sec:looker
check 'and ask about itself' 'selfsubjectaccessreviews\.authorization\.k8s\.io \[\] \[\] \[create\]' \
	can_i_list --as=system:serviceaccount:sec:looker
check 'of a node the list says that it is not whole' 'incomplete: node authorizer' can_i_list --as=system:node:node-1 --as-group=system:nodes
refuse 'who may not impersonate cannot' 'cannot impersonate resource "users"' as "$(s create token looker)" get pods --as=admin
check 'one who may make roles' 'created' k -n sec create role makes --verb=create,get --resource=roles.rbac.authorization.k8s.io
check 'has that role' 'created' k -n sec create rolebinding makes --role=makes --user=maker
refuse 'nobody gives what he has not' 'attempting to grant RBAC permissions not currently held' \
	s create role more --verb=get --resource=secrets --as=maker

# ---- a machine's credentials

for i in 1 2; do
	in_pod root-$i 'cat /proc/1/root/data/node/pki/client.pem' >"$tmp/node-$i.pem"
	k config set-credentials node-$i --client-certificate="$tmp/node-$i.pem" --client-key="$tmp/node-$i.pem" >/dev/null
done
node() { k --user=node-1 "$@"; }
# written BODY PATH: by node-1, without reading it first as kubectl does.
written() { status "$2" --cert "$tmp/node-1.pem" -X PATCH -H 'Content-Type: application/merge-patch+json' -d "$1"; }
here='node-1 is allowed|no relationship found between node .node-1. and this object'
check 'a machine is who it says' 'system:node:node-1 .*system:nodes' node auth whoami
check 'it reads a Secret of its own pod' '^b25l *$' node -n sec get secret mine-1 -o 'jsonpath={.data.k}'
refuse "not another's" "$here" node -n sec get secret mine-2
refuse 'nor all of them' 'cannot list resource "secrets".*No Object name found' node -n sec get secrets
refuse 'nor all pods' 'can only list/watch pods with spec.nodeName field selector' node get pods -A
check 'but its own' 'plain' node -n sec get pods --field-selector spec.nodeName=node-1
refuse "another's pod is not deleted" 'can only delete pods with spec.nodeName set to itself' node -n sec delete pod other
check 'nor its status written' '^403 .*with spec.nodeName set to itself' \
	written '{"status":{"message":"x"}}' /api/v1/namespaces/sec/pods/other/status
check 'but its own' '^200 ' written '{"status":{"message":"x"}}' /api/v1/namespaces/sec/pods/plain/status
check "nor another machine's" '^403 .*can only access objects with the same name as the requesting node' \
	written '{"status":{"phase":"Pending"}}' /api/v1/nodes/node-2/status
check 'as it may its own' '^200 ' written '{"status":{"phase":"Pending"}}' /api/v1/nodes/node-1/status
refuse 'it makes no pods' 'can only create mirror pods|may only create mirror pods' node -n sec run more --image=x
refuse 'it gives itself no role' 'is not allowed to modify the following labels' node label node node-1 node-restriction.kubernetes.io/x=y
refuse "no token of another's account" "$here|not allowed to create token" node -n sec create token looker
check 'a certificate for its own address' 'created' request own kubelet-serving 'server auth' /O=system:nodes/CN=system:node:node-1 \
	IP:10.77.0.11,DNS:node-1 --user=node-1
check 'is issued' 'Approved' k wait --for='jsonpath={.status.certificate}' csr/own --timeout=20s -o 'jsonpath={.status.conditions[*].type}'
check "one for another's address is asked for" 'created' request foreign kubelet-serving 'server auth' \
	/O=system:nodes/CN=system:node:node-1 IP:10.77.0.12 --user=node-1
check "one for another's name" 'created' request foreign-name kubelet-serving 'server auth' \
	/O=system:nodes/CN=system:node:node-1 DNS:node-2 --user=node-1
check 'one as another machine' 'created' request foreign-node kubelet-serving 'server auth' \
	/O=system:nodes/CN=system:node:node-2 IP:10.77.0.12 --user=node-1
check "one as another machine's client" 'created' request foreign-client kube-apiserver-client-kubelet 'client auth' \
	/O=system:nodes/CN=system:node:node-2 '' --user=node-1
# The controller takes requests in their order: what follows is decided after those before.
check 'a last one for itself' 'created' request last kubelet-serving 'server auth' /O=system:nodes/CN=system:node:node-1 \
	IP:10.77.0.11 --user=node-1
check 'is issued, too' 'Approved' k wait --for='jsonpath={.status.certificate}' csr/last --timeout=20s -o 'jsonpath={.status.conditions[*].type}'
check 'those between wait for somebody' '^ *$' k get csr foreign foreign-name foreign-node foreign-client \
	-o 'jsonpath={.items[*].status.conditions}{.items[*].status.certificate}'
check 'somebody approves one' 'approved' k certificate approve foreign
check 'and yet it is not signed' 'Failed' eventually 10 matches 'Failed' k get csr foreign -o 'jsonpath={.status.conditions[*].type}'
k delete csr own last foreign foreign-name foreign-node foreign-client >/dev/null 2>&1

# ---- who a machine is, for the API server: three of no machine, at the address of node-3, with a certificate of
# another authority, with node-2's, with node-3's own

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=liar \
	-addext subjectAltName=IP:10.77.0.13 -keyout "$tmp/bad.key" -out "$tmp/bad.crt" 2>/dev/null
cat "$tmp/bad.crt" "$tmp/bad.key" >"$tmp/bad.pem"
in_pod root-2 'cat /proc/1/root/data/node/pki/serving.pem' >"$tmp/other.pem"
in_pod root-3 'cat /proc/1/root/data/node/pki/serving.pem' >"$tmp/right.pem"
# the answer of a kubelet to whoever asks for a log
printf '#!/bin/sh\nprintf "HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 7\\r\\nConnection: close\\r\\n\\r\\nstolen\\n"\n' >"$tmp/answer"
s create secret generic liars --from-file="$tmp/bad.pem" --from-file="$tmp/other.pem" --from-file="$tmp/right.pem" \
	--from-file="$tmp/answer" >/dev/null
liar() { # NAME PORT: a server, the machine it plays, and a pod that is said to run there
	cat <<-Y
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: liar-$1, namespace: sec, labels: {app: liar}}
		spec:
		  nodeName: node-3
		  hostNetwork: true
		  terminationGracePeriodSeconds: 0
		  volumes: [{name: v, secret: {secretName: liars, defaultMode: 493}}]
		  containers: [{name: c, image: "%IMAGE(curl:latest)%", volumeMounts: [{name: v, mountPath: /v}],
		    command: [socat, "OPENSSL-LISTEN:$2,fork,reuseaddr,verify=0,cert=/v/$1.pem", "EXEC:/v/answer"]}]
		---
		apiVersion: v1
		kind: Node
		metadata: {name: liar-$1}
		status:
		  addresses: [{type: InternalIP, address: 10.77.0.13}]
		  daemonEndpoints: {kubeletEndpoint: {Port: $2}}
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: at-$1, namespace: sec}
		spec: {nodeName: liar-$1, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
	Y
}
liars() { for l in 'bad 10997' 'other 10998' 'right 10999'; do liar ${l% *} ${l#* }; done | apply; }
check 'three that play machines' 'at-right created' liars
check 'they serve' 'condition met' eventually 60 s wait --for=condition=Ready pod -l app=liar --timeout=30s
for l in bad other right; do
	s patch pod at-$l --subresource=status -p '{"status":{"phase":"Running","containerStatuses":[{"name":"c","image":"x","imageID":"x","ready":true,"restartCount":0,"state":{"running":{}}}]}}' >/dev/null
done
check "with the machine's own certificate it is believed" 'stolen' eventually 10 matches stolen s logs at-right
refuse 'a log from one of another authority is refused' 'x509|certificate signed by unknown authority' s logs at-bad
refuse "from one with another machine's certificate" 'x509|certificate is (not )?valid for' s logs at-other
refuse 'no command goes there' 'x509|certificate' s exec at-other -- true
refuse 'nor to the other' 'x509|certificate' s exec at-bad -- true
forward_to() { # POD: what is read through a forwarded port
	: >"$tmp/forward" # not the last one's line
	"$kubectl" -n sec port-forward "pod/$1" :80 >"$tmp/forward" 2>&1 &
	forward=$!
	eventually 10 grep -E 'Forwarding|rror' "$tmp/forward"
	curl -sf --max-time 5 "http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$tmp/forward")/"
	rc=$?
	kill $forward 2>/dev/null
	cat "$tmp/forward"
	return $rc
}
refuse 'nor a forwarded port' 'x509|certificate' forward_to at-other
k delete node liar-bad liar-other liar-right --wait=false >/dev/null 2>&1
s delete pod at-bad at-other at-right --force --grace-period=0 >/dev/null 2>&1
kubelet() { in_pod plain "curl -sk --max-time 10 -o /dev/null -w '%{http_code}' $* https://10.77.0.12:10250/pods"; }
check 'a machine answers no stranger' '^401 *$' kubelet
check 'nor an account without the right' '^403 *$' kubelet "-H 'Authorization: Bearer $(s create token looker)'"

# ---- controllers have the rights of their roles and no others

binding=system:controller:deployment-controller
k get clusterrolebinding $binding -o json | grep -v '"resourceVersion"\|"uid"' >"$tmp/binding.json"
check 'the binding of the Deployment controller goes' 'deleted' k delete clusterrolebinding $binding
deploy() { apply <<-Y
	apiVersion: apps/v1
	kind: Deployment
	metadata: {name: kept, namespace: sec}
	spec:
	  selector: {matchLabels: {app: kept}}
	  template:
	    metadata: {labels: {app: kept}}
	    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "%IMAGE(busybox:latest)%", command: [sleep, "100000"]}]}
Y
}
check 'a Deployment is made' 'created' deploy
forbidden() { grep 'system:serviceaccount:kube-system:deployment-controller' "$tmp/c/node-1/console.log" | grep -E 'cannot (create|update|patch)'; }
check 'its controller is told that it may not' 'cannot' eventually 20 forbidden
check 'nothing comes of it' '^No resources' s get rs,pods -l app=kept
check 'the binding is back' 'created' k create -f "$tmp/binding.json"
check 'and the Deployment goes on' 'condition met' s wait --for=condition=Available deployment/kept --timeout=55s

# ---- tokens

check 'no new privileges, when asked for; none for a user' \
	'^CapEff: 0000000000000000 CapBnd: 00000000a80425fb NoNewPrivs: 1 Seccomp: 2' of_self strict
token=$(s create token goer --bound-object-kind=Pod --bound-object-name=strict)
check 'a token bound to a pod' 'system:serviceaccount:sec:goer' as "$token" auth whoami
other=$(s create token goer)
check 'one of its account alone' 'system:serviceaccount:sec:goer' as "$other" auth whoami
elsewhere=$(s create token goer --audience=elsewhere)
refuse 'one for elsewhere is none here' 'Unauthorized|must be logged in' as "$elsewhere" auth whoami
check 'the pod goes' 'deleted' s delete pod strict
refuse 'its token with it' 'Unauthorized|must be logged in' as "$token" auth whoami
check "the account's is good still" 'goer' as "$other" auth whoami
review() { # TOKEN [AUDIENCE]: by a pod with the rights of a delegate
	in_pod plain "d=/var/run/secrets/kubernetes.io/serviceaccount; curl -sS --max-time 20 --cacert \$d/ca.crt \
		-H \"Authorization: Bearer \$(cat \$d/token)\" -H 'Content-Type: application/json' \
		-d '{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":\"$1\"${2:+,\"audiences\":[\"$2\"]}}}' \
		https://kubernetes.default/apis/authentication.k8s.io/v1/tokenreviews"
}
check 'a pod reviews a token' '"authenticated": ?true.*system:serviceaccount:sec:goer' review "$other"
check 'for an audience' '"authenticated": ?true.*"audiences": ?\[ ?"elsewhere" ?\]' review "$elsewhere" elsewhere
check 'not for another' '"error": ?"[^"]*audience' review "$elsewhere"
access() { # VERB RESOURCE
	in_pod plain "d=/var/run/secrets/kubernetes.io/serviceaccount; curl -sS --max-time 20 --cacert \$d/ca.crt \
		-H \"Authorization: Bearer \$(cat \$d/token)\" -H 'Content-Type: application/json' \
		-d '{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\",\"spec\":{\"user\":\"system:serviceaccount:sec:looker\",\"resourceAttributes\":{\"namespace\":\"sec\",\"verb\":\"$1\",\"resource\":\"$2\"}}}' \
		https://kubernetes.default/apis/authorization.k8s.io/v1/subjectaccessreviews"
}
check 'it asks what an account may' '"allowed": ?true' access list pods
check 'and may not' '"allowed": ?false' access list secrets
check 'an account without the right reviews nothing' '^403 .*cannot create resource ..tokenreviews' \
	status /apis/authentication.k8s.io/v1/tokenreviews -H "Authorization: Bearer $other" -H 'Content-Type: application/json' \
	-d '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"x"}}'
check 'the account goes' 'deleted' s delete serviceaccount goer
refuse 'and all its tokens' 'Unauthorized|must be logged in' as "$other" auth whoami
check 'it is reviewed so, too' '"error": ?"' review "$other"

# ---- fences: of the roles, and of containers

role() { # NAME: what the kernel says of the process
	in_pod root-1 "p=\$(ps -o pid,args | awk '/ keelson $1\$/ { print \$1 }'); grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/\$p/status" | tr '\t\n' '  '
}
none='CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2'
check 'the API server has no rights' "^Uid: 900 900 900 900 $none" role control
check 'nor has the name server' "^Uid: 901 901 901 901 $none" role dns
check 'a container: the default capabilities, filtered' \
	'^CapEff: 00000000a80425fb CapBnd: 00000000a80425fb NoNewPrivs: 0 Seccomp: 2' of_self plain
check 'as asked; no filter where one says so' '^CapEff: 00000000aa0425fa CapBnd: 00000000aa0425fa NoNewPrivs: 0 Seccomp: 0' of_self open
check 'privileged' '^CapEff: 0000(01|03)ffffffffff .* Seccomp: 0' of_self root-1
for cmd in 'unshare -U true' 'unshare -m true' 'mount -t tmpfs none /tmp' 'swapoff /x' 'reboot -f'; do
	refuse "a container may not: $cmd" 'not permitted|denied' in_pod plain "$cmd"
done
check 'masked: the memory, keys, timers of the machine' '^0 0 0 0 *$' in_pod plain \
	'for f in kcore keys timer_list latency_stats; do [ -e /proc/$f ] && head -c1 /proc/$f | wc -c || echo 0; done'
check 'masked: firmware' '^0 *$' in_pod plain 'ls /sys/firmware | wc -l'
refuse 'read-only: /proc/sys' 'Read-only' in_pod plain 'echo x >/proc/sys/kernel/domainname'
refuse 'read-only: /proc/sysrq-trigger' 'Read-only' in_pod plain 'echo h >/proc/sysrq-trigger'
refuse 'read-only: /sys' 'Read-only' in_pod plain 'mkdir /sys/fs/cgroup/x'
refuse "no other device than a container's" 'not permitted' in_pod plain \
	'set -- $(awk "/ vda\$/ { print \$1, \$2 }" /proc/partitions); mknod /tmp/d b $1 $2 && head -c1 /tmp/d'
check 'all of it goes' 'deleted' k delete namespace sec --wait=false
k delete clusterrolebinding sec-asks >/dev/null
