#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/api/kubectl.sh: real kubectl against a `keelson server` on loopback: what users type, and what
# they read. Each check names what it expects; the first output that differs is printed.
#
#   tests/api/kubectl.sh KEELSON...   the program (with the word before its options, if any)
#   WEBHOOK=PROGRAM   an admission webhook (tests/api/webhook.c)
#   APISERVER=PROGRAM   an aggregated API server (tests/api/apiserver.c)
#   KUBECTL="a b"   kubectl programs to run it with; default: those of deps/lock (rows kubectl-*)
#
# Must not: use the network beyond loopback, leave processes behind.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d)
pid= hookpid= apipid=
passed=0 failed=0 skipped=0
server=$*

finish() {
	for p in $pid $hookpid $apipid; do
		kill "$p" 2>/dev/null && wait "$p" 2>/dev/null
	done
	rm -rf "$tmp"
}
trap finish EXIT INT TERM

# programs: unpacks the pinned packages into the cache of fetched sources.
programs() {
	for row in $(awk '$1 ~ /^kubectl-/ { print $1 }' "$top/deps/lock"); do
		deb=$("$top/deps/fetch.sh" "$row") || exit 1
		dir=$("$top/deps/fetch.sh" --cache)/$row-$(basename "$deb" | cut -c1-12)
		[ -x "$dir/usr/bin/kubectl" ] || dpkg-deb -x "$deb" "$dir"
		echo "$dir/usr/bin/kubectl"
	done
}

start() {
	: >"$tmp/log" # not the last one's line
	# shellcheck disable=SC2086
	$server --data-dir "$tmp/d" --listen 127.0.0.1:0 >"$tmp/log" 2>&1 &
	pid=$!
	n=0
	until grep -q ' ready on ' "$tmp/log"; do
		kill -0 $pid 2>/dev/null || { cat "$tmp/log"; exit 1; }
		n=$((n + 1))
		[ $n -gt 300 ] && { echo "not ready within 30 s"; cat "$tmp/log"; exit 1; }
		sleep 0.1
	done
	export KUBECONFIG="$tmp/d/kubeconfig" HOME="$tmp"
}

# say WHAT EXPECTED COMMAND...: runs it; its output (both streams) must contain EXPECTED (a regular
# expression of grep -E).
say() {
	what=$1 expected=$2
	shift 2
	if "$@" >"$tmp/out" 2>&1 </dev/null; rc=$?; tr '\n' ' ' <"$tmp/out" | grep -Eq -- "$expected"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s (exit %d)\n     wanted: %s\n' "$what" $rc "$expected"
		sed 's/^/     | /' "$tmp/out" | head -20
	fi
}

# give FILE-ON-STDIN: keeps stdin as $tmp/in for `-f`.
give() { cat >"$tmp/in"; }

# hooks MUTATING|VALIDATING PATH MEMBERS: a configuration of one webhook that answers as PATH.
hooks() {
	give <<-X
		{"apiVersion":"admissionregistration.k8s.io/v1","kind":"$1WebhookConfiguration","metadata":{"name":"hook"},
		 "webhooks":[{"name":"hook.example.com","sideEffects":"None","admissionReviewVersions":["v1"],$3,
		 "clientConfig":{"url":"https://127.0.0.1:$hookport$2","caBundle":"$hookca"}}]}
	X
	$k create -f "$tmp/in" 2>&1
}
unhook() { $k delete validatingwebhookconfigurations,mutatingwebhookconfigurations --all >/dev/null 2>&1; }

conversions() {
	give <<-X
		{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"hosts.conv.example.com"},
		 "spec":{"group":"conv.example.com","scope":"Namespaced","names":{"plural":"hosts","kind":"Host","shortNames":["ho"]},
		 "conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{
		 "url":"https://127.0.0.1:$hookport/convert","caBundle":"$hookca"}}},
		 "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{
		 "hostPort":{"type":"string"},"ports":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}}}},
		 {"name":"v2","served":true,"storage":false,
		 "additionalPrinterColumns":[{"name":"Port","type":"string","jsonPath":".port"}],"schema":{"openAPIV3Schema":{"type":"object",
		 "description":"where to knock","properties":{"host":{"type":"string"},"port":{"type":"string"},
		 "ports":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}}}}]}}
	X
	say "converting definition" 'created' $k create -f "$tmp/in"
	say "it is established" 'condition met' $k wait --for condition=established crd/hosts.conv.example.com --timeout=30s
	give <<-X
		{"apiVersion":"conv.example.com/v1","kind":"Host","metadata":{"name":"a","namespace":"t"},"hostPort":"localhost:80"}
	X
	say "stored version" 'host.conv.example.com/a created' $k create -f "$tmp/in"
	say "read in another" '^localhost 80$' $k get hosts.v2.conv.example.com a -n t -o 'jsonpath={.host} {.port}'
	say "its table" 'NAME +PORT a +80 ' $k get hosts.v2.conv.example.com -n t
	say "patched in another" 'patched' $k patch hosts.v2.conv.example.com a -n t --type merge -p '{"port":"8080"}'
	say "and read as stored" '^localhost:8080$' $k get hosts.v1.conv.example.com a -n t -o 'jsonpath={.hostPort}'
	give <<-X
		{"apiVersion":"conv.example.com/v1","kind":"Host","metadata":{"name":"a","namespace":"t"},"ports":["x"]}
	X
	$k apply --server-side --field-manager one -f "$tmp/in" >/dev/null 2>&1
	sed 's/"x"/"y"/' "$tmp/in" >"$tmp/in2"
	say "sets are owned item by item" '^\["x","y"\]$' sh -c "$k apply --server-side --field-manager two -f '$tmp/in2' >/dev/null &&
		$k get ho a -n t -o 'jsonpath={.ports}'"
	say "explain" 'DESCRIPTION:.*where to knock.*FIELDS:.*host' $k explain hosts --api-version=conv.example.com/v2
	say "explain metadata" "DESCRIPTION:.*Standard object's metadata.*creationTimestamp" $k explain hosts.metadata
	say "definition with its objects" 'deleted' $k delete crd hosts.conv.example.com
}

webhooks() {
	cm='"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["configmaps"]}]'
	conditions='"matchConditions":[{"name":"c","expression":"object.metadata.name != '"'skip-me'"'"}]'
	say "webhook" 'mutatingwebhookconfiguration.admissionregistration.k8s.io/hook created' hooks Mutating /label "$cm"
	say "its table" 'NAME +WEBHOOKS +AGE hook +1 ' $k get mutatingwebhookconfigurations
	say "its defaults" '^Fail Equivalent 10 Never$' $k get mutatingwebhookconfigurations hook -o \
		'jsonpath={.webhooks[0].failurePolicy} {.webhooks[0].matchPolicy} {.webhooks[0].timeoutSeconds} {.webhooks[0].reinvocationPolicy}'
	say "changes an object" '"hooked":"yes"' $k create cm hooked -n t -o 'jsonpath={.metadata.labels}'
	unhook
	say "refusing webhook" 'created' hooks Validating /deny "$cm"
	say "refuses" 'admission webhook "hook.example.com" denied the request: not on Mondays' $k create cm no -n t
	say "refuses a deletion" 'denied the request: not on Mondays' $k delete cm hooked -n t
	unhook
	say "warning webhook" 'created' hooks Validating /warn "$cm"
	say "warns" 'Warning: mind the gap.*configmap/warned created' $k create cm warned -n t
	unhook
	say "webhook of connections" 'created' hooks Validating /deny \
		'"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CONNECT"],"resources":["pods/attach"]}]'
	$k run attached -n t --image=i >/dev/null 2>&1
	say "refuses to attach" 'denied the request: not on Mondays' $k attach attached -n t --pod-running-timeout=1s
	$k delete pod attached -n t --grace-period=0 --force >/dev/null 2>&1
	unhook
	say "webhook that is not there" 'created' hooks Validating /none "$cm"
	say "cannot be called" 'Internal error occurred: failed calling webhook "hook.example.com": failed to call webhook: ' \
		$k create cm no -n t
	unhook
	say "conditions" 'created' hooks Validating /deny "$cm,$conditions"
	say "that do not hold" 'configmap/skip-me created' $k create cm skip-me -n t
	say "that hold" 'denied the request: not on Mondays' $k create cm no -n t
	unhook
	say "bad condition" 'matchConditions\[0\].expression: Invalid value: "... \[\] bad expression": compilation failed: ERROR: <input>:1:2: Syntax error: ' \
		hooks Validating /allow "$cm,\"matchConditions\":[{\"name\":\"c\",\"expression\":\"... [] bad expression\"}]"
	say "bad webhook" 'timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds' \
		hooks Validating /allow "$cm,\"timeoutSeconds\":31"
	say "bad rule" 'rules\[0\].operations\[0\]: Unsupported value: "FROB"' hooks Validating /allow \
		'"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["FROB"],"resources":["configmaps"]}]'
}

# bound VALIDATING|MUTATING SPEC [BINDING]: a policy and its binding, both of the name p.
bound() {
	give <<-X
		{"apiVersion":"v1","kind":"List","items":[
		 {"apiVersion":"admissionregistration.k8s.io/v1","kind":"$1AdmissionPolicy","metadata":{"name":"p"},"spec":{$2}},
		 {"apiVersion":"admissionregistration.k8s.io/v1","kind":"$1AdmissionPolicyBinding","metadata":{"name":"p"},
		  "spec":{"policyName":"p"${3:+,$3}}}]}
	X
	$k create -f "$tmp/in" 2>&1
}
unbound() {
	for kind in validatingadmissionpolicies mutatingadmissionpolicies; do
		$k delete $kind --all >/dev/null 2>&1
	done
	$k delete validatingadmissionpolicybindings,mutatingadmissionpolicybindings --all >/dev/null 2>&1
}

policies() {
	deny='"validationActions":["Deny"]'
	on='"matchConstraints":{"resourceRules":[{"apiGroups":["apps"],"apiVersions":["v1"],"operations":["CREATE","UPDATE"],"resources":["deployments"]}]}'
	say "policy" 'validatingadmissionpolicy.admissionregistration.k8s.io/p created.*validatingadmissionpolicybinding.admissionregistration.k8s.io/p created' \
		bound Validating "$on"',"variables":[{"name":"replicas","expression":"object.spec.replicas"}],"validations":[
			{"expression":"variables.replicas > 1","messageExpression":"'"'wants replicas > 1, got ' + string(variables.replicas)"'"},
			{"expression":"namespaceObject.metadata.name == '"'t'"'"}]' "$deny"
	say "its table" 'NAME +VALIDATIONS +PARAMKIND +AGE p +2 +<unset> ' $k get validatingadmissionpolicies
	say "its binding's" 'NAME +POLICYNAME +PARAMREF +AGE p +p +<unset> ' $k get validatingadmissionpolicybindings
	say "refuses" "deployments.apps \"one\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: wants replicas > 1, got 1" \
		$k create deploy one -n t --image=i
	say "lets go" 'deployment.apps/two created' $k create deploy two -n t --image=i --replicas=2
	say "looks at an update" 'denied request: wants replicas > 1, got 1' $k patch deploy two -n t -p '{"spec":{"replicas":1}}'
	say "types were looked at" 'condition met' $k wait validatingadmissionpolicy/p --timeout=10s \
		'--for=jsonpath={.status.observedGeneration}=1'
	say "and fit" '^\{\}$' $k get validatingadmissionpolicy p -o 'jsonpath={.status.typeChecking}'
	$k delete deploy two -n t >/dev/null 2>&1
	unbound
	say "policy that warns" 'created' bound Validating "$on"',"validations":[{"expression":"false","message":"mind the gap"}]' '"validationActions":["Warn"]'
	say "warns" "Warning: Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': mind the gap.*created" \
		$k create deploy warned -n t --image=i
	$k delete deploy warned -n t >/dev/null 2>&1
	unbound
	say "policy that changes" 'mutatingadmissionpolicy.admissionregistration.k8s.io/p created' bound Mutating \
		"$on"',"reinvocationPolicy":"Never","mutations":[{"patchType":"ApplyConfiguration","applyConfiguration":{
		"expression":"Object{metadata: Object.metadata{annotations: {'"'mutated-by': 'policy'"'}}, spec: Object.spec{replicas: 3}}"}}]'
	say "changes" '^policy 3$' $k create deploy three -n t --image=i -o \
		'jsonpath={.metadata.annotations.mutated-by} {.spec.replicas}'
	$k delete deploy three -n t >/dev/null 2>&1
	unbound
	say "bad expression" 'spec.validations\[0\].expression: Invalid value: "object.x \+": compilation failed: ERROR: <input>:1:11: Syntax error' \
		bound Validating "$on"',"validations":[{"expression":"object.x +"}]' "$deny"
	unbound
}

# foreign [old]: an aggregated API server, and a Service without a selector that stands for it.
foreign() {
	: >"$tmp/foreign" # not the last one's line
	"$APISERVER" "$address" "toys.default" "$tmp/d/pki/front-proxy-ca.crt" ${1-} >"$tmp/foreign" 2>&1 &
	apipid=$!
	n=0
	until grep -q '^apiserver ' "$tmp/foreign" || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done
	read -r _ apiport apica <"$tmp/foreign"
	give <<-X
		{"kind":"List","apiVersion":"v1","items":[
		 {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
		  "metadata":{"name":"toys","namespace":"default","labels":{"kubernetes.io/service-name":"toys"}},
		  "endpoints":[{"addresses":["$address"]}],"ports":[{"name":"","port":$apiport,"protocol":"TCP"}]},
		 {"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.toys.example.com"},
		  "spec":{"group":"toys.example.com","version":"v1","groupPriorityMinimum":100,"versionPriority":10,
		   "caBundle":"$apica","service":{"namespace":"default","name":"toys"}}}]}
	X
	$k apply -f "$tmp/in" 2>&1
}
# soon EXPECTED COMMAND...: runs it until its output has it, for half a minute; prints the last output.
soon() {
	want=$1 n=0
	shift
	until "$@" 2>&1 | tee "$tmp/soon" | grep -Eq -- "$want" || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done
	cat "$tmp/soon"
}

# scaled: an autoscaler, which is part of the server, reads what the aggregated server measures: 7, of which each pod
# may have 2, so four of them.
scaled() {
	give <<-X
		{"kind":"List","apiVersion":"v1","items":[
		 {"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1beta1.external.metrics.k8s.io"},
		  "spec":{"group":"external.metrics.k8s.io","version":"v1beta1","groupPriorityMinimum":100,"versionPriority":10,
		   "caBundle":"$apica","service":{"namespace":"default","name":"toys"}}},
		 {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"busy","namespace":"t"},"spec":{"replicas":1,
		  "selector":{"matchLabels":{"app":"busy"}},"template":{"metadata":{"labels":{"app":"busy"}},
		  "spec":{"containers":[{"name":"c","image":"i"}]}}}}]}
	X
	$k apply -f "$tmp/in" >/dev/null 2>&1
	say "metrics of another server" 'True' soon '^True$' \
		$k get apiservice v1beta1.external.metrics.k8s.io -o 'jsonpath={.status.conditions[0].status}'
	give <<-X
		{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"busy","namespace":"t"},
		 "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"busy"},"minReplicas":1,
		 "maxReplicas":9,"metrics":[{"type":"External","external":{"metric":{"name":"load"},
		 "target":{"type":"AverageValue","averageValue":"2"}}}]}}
	X
	say "an autoscaler" 'created' $k create -f "$tmp/in"
	say "follows them" '^4$' soon '^4$' $k get deploy busy -n t -o 'jsonpath={.spec.replicas}'
	$k delete hpa,deploy busy -n t >/dev/null 2>&1
	$k delete apiservice v1beta1.external.metrics.k8s.io >/dev/null 2>&1
}

aggregation() {
	address=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$')
	if [ -z "$address" ]; then
		echo "skipped: aggregation: this machine has no address but loopback"
		skipped=$((skipped + 1))
		return
	fi
	toys=v1.toys.example.com
	say "local APIServices" 'v1\.apps +Local +True ' $k get apiservices
	say "are marked" '^onstart$' $k get apiservice v1.apps \
		-o 'jsonpath={.metadata.labels.kube-aggregator\.kubernetes\.io/automanaged}'
	say "what aggregated servers read" '^\["front-proxy-client"\] \["X-Remote-User"\]$' \
		$k get cm extension-apiserver-authentication -n kube-system \
		-o 'jsonpath={.data.requestheader-allowed-names} {.data.requestheader-username-headers}'
	$k create service clusterip toys --tcp=443:443 >/dev/null 2>&1
	$k patch svc toys --type=json -p '[{"op":"remove","path":"/spec/selector"},
		{"op":"remove","path":"/spec/ports/0/name"}]' >/dev/null 2>&1
	say "an aggregated server" 'apiservice.apiregistration.k8s.io/v1.toys.example.com created' foreign
	say "becomes available" 'True' soon '^True$' \
		$k get apiservice $toys -o 'jsonpath={.status.conditions[0].status}'
	say "its checks" '^Passed all checks passed$' $k get apiservice $toys \
		-o 'jsonpath={.status.conditions[0].reason} {.status.conditions[0].message}'
	say "its table" 'v1.toys.example.com +default/toys +True ' $k get apiservice $toys
	say "discovered" 'toys +ty +toys.example.com/v1 +true +Toy' soon '^toys ' \
		$k api-resources --api-group=toys.example.com
	say "in the old form" '"name":"toys.example.com","versions":\[\{"groupVersion":"toys.example.com/v1"' \
		$k get --raw /apis
	say "its group" '"preferredVersion":\{"groupVersion":"toys.example.com/v1"' $k get --raw /apis/toys.example.com
	say "asked" 'NAME +AGE ball ' $k get ty
	say "under the user's name" '^kubernetes-admin system:masters$' $k get toy ball \
		-o 'jsonpath={.metadata.annotations.user} {.metadata.annotations.group}'
	say "who it is, not who it says" '^alice$' $k get toy ball --as=alice --as-group=system:masters \
		-o 'jsonpath={.metadata.annotations.user}'
	say "authorized here" 'toys.toys.example.com "ball" is forbidden: User "bob" cannot get resource "toys" in API group "toys.example.com" in the namespace "default"' \
		$k get toy ball --as=bob
	say "what was seen is what is sent" '/namespaces/default/toys/a/b"' \
		$k get --raw '/apis/toys.example.com/v1/namespaces/default/toys/a%2Fb'
	say "watched" 'ADDED' sh -c "timeout 5 $k get toys --watch-only --output-watch-events"
	head -c 8000000 /dev/zero | tr '\0' 'x' >"$tmp/big"
	say "a body of any size" '"bytes":"8000000"' $k create --raw /apis/toys.example.com/v1/namespaces/default/toys -f "$tmp/big"
	say "no redirects" 'the backend attempted to redirect this request, which is not permitted' \
		$k get --raw /apis/toys.example.com/v1/namespaces/default/toys/away
	say "its OpenAPI" '"serverRelativeURL":"/openapi/v3/apis/toys.example.com/v1\?hash=AB12"' $k get --raw /openapi/v3
	say "explained" 'something to play with' $k explain toys
	scaled
	kill $apipid && wait $apipid 2>/dev/null
	apipid=
	say "dead" 'FailedDiscoveryCheck' soon FailedDiscoveryCheck sh -c "$k annotate --overwrite svc toys x=\$(date +%N) >/dev/null;
		$k get apiservice $toys -o 'jsonpath={.status.conditions[0].reason}'"
	say "says so" 'service unavailable|currently unable to handle the request' \
		$k get --raw /apis/toys.example.com/v1/namespaces/default/toys
	say "is no more counted on" '^0 *$' soon '^0' sh -c "$k api-resources --api-group=toys.example.com | grep -c '^toys'"
	say "all else works" 'configmap/while created' $k create cm while -n t
	say "an old server in its place" 'apiservice.apiregistration.k8s.io/v1.toys.example.com configured' foreign old
	say "is found" 'True' soon '^True$' \
		$k get apiservice $toys -o 'jsonpath={.status.conditions[0].status}'
	say "and discovered" 'toys +ty +toys.example.com/v1 +true +Toy' soon '^toys ' \
		$k api-resources --api-group=toys.example.com
	say "without its service" 'ServiceNotFound service/toys in "default" is not present' sh -c "
		$k delete svc toys >/dev/null; n=0
		until $k get apiservice $toys -o 'jsonpath={.status.conditions[0].reason} {.status.conditions[0].message}' |
			tee $tmp/soon | grep -q ServiceNotFound || [ \$n -gt 300 ]; do n=\$((n + 1)); sleep 0.1; done
		cat $tmp/soon"
	say "taken away" 'deleted' $k delete apiservice $toys
	say "is gone" 'could not find the requested resource' $k get --raw /apis/toys.example.com/v1
	say "everywhere" '^0 *$' soon '^0' sh -c "$k get --raw /apis | grep -c toys"
	say "a bad name" 'metadata.name: Invalid value: "x": must be `spec.version\+"."\+spec.group`: "v1.g"' sh -c "echo \
		'{\"apiVersion\":\"apiregistration.k8s.io/v1\",\"kind\":\"APIService\",\"metadata\":{\"name\":\"x\"},\"spec\":{
		\"group\":\"g\",\"version\":\"v1\",\"groupPriorityMinimum\":1,\"versionPriority\":1}}' | $k create -f -"
	[ -n "$apipid" ] && kill $apipid && wait $apipid 2>/dev/null
	apipid=
}

suite() {
	k=$1
	say version 'Server Version: v1\.37' $k version
	say "discovery" 'deployments +deploy +apps/v1 +true +Deployment' $k api-resources
	say "first namespaces" 'default.*kube-node-lease.*kube-public.*kube-system' $k get namespaces
	say "who am I" 'kubernetes-admin.*system:masters' $k auth whoami
	say "ready" 'readyz check passed' $k get --raw '/readyz?verbose'
	say "create ns" 'namespace/t created' $k create ns t
	$k create sa default -n t >/dev/null 2>&1
	say "create" 'configmap/a created' $k create cm a -n t --from-literal=x=y
	say "exists" 'configmaps "a" already exists' $k create cm a -n t
	say "table" 'NAME +DATA +AGE a +1 ' $k get cm a -n t
	say "yaml" 'data: +x: "?y"?.*resourceVersion: "[0-9]+"' $k get cm a -n t -o yaml
	say "not found" 'NotFound.*configmaps "b" not found' $k get cm b -n t
	say "merge patch" 'patched' $k patch cm a -n t --type=merge -p '{"data":{"q":"1"}}'
	say "strategic patch" 'patched' $k patch cm a -n t -p '{"data":{"r":"2","x":null}}'
	say "json patch" 'patched' $k patch cm a -n t --type=json -p '[{"op":"add","path":"/data/z","value":"3"}]'
	say "patched" '^\{"q":"1","r":"2","z":"3"\}$' $k get cm a -n t -o 'jsonpath={.data}'
	say "bad json patch" 'nvalid' $k patch cm a -n t --type=json -p '[{"op":"test","path":"/data/z","value":"4"}]'
	say "label" 'labeled' $k label cm a -n t app=web
	say "selector hit" 'configmap/a' $k get cm -n t -l app=web -o name
	say "selector miss" 'No resources found' $k get cm -n t -l app=db
	say "bad selector" 'unable to parse requirement' $k get cm -n t -l 'app in (x'
	say "put to a collection" 'MethodNotAllowed|does not allow this method' sh -c \
		"$k get cm a -n t -o json | $k replace --raw /api/v1/namespaces/t/configmaps -f -"
	say "the first of two selectors counts" '^0 items' sh -c "$k get --raw \
		'/api/v1/namespaces/t/configmaps?fieldSelector=metadata.name%3Dnone&fieldSelector=' |
		grep -c '\"name\":' | sed 's/\$/ items/'"
	say "field selector" 'configmap/a' $k get cm -n t --field-selector metadata.name=a -o name
	say "bad field" 'field label not supported: foo' $k get pods -n t --field-selector foo=x
	say "dry run" 'configmap/dry created \(server dry run\)' $k create cm dry -n t --dry-run=server
	say "dry run is dry" 'NotFound' $k get cm dry -n t
	for i in 1 2 3 4 5; do $k create cm "p$i" -n t >/dev/null 2>&1; done
	say "pages" 'p1.*p2.*p3.*p4.*p5' $k get cm -n t --chunk-size=2
	say "remaining" '"remainingItemCount":[1-9]' $k get --raw '/api/v1/namespaces/t/configmaps?limit=2'
	say "a pod" 'pod/here created' $k run here -n t --image=i
	say "that says it is the machine itself" 'pod/here patched' $k patch pod here -n t --subresource=status --type=merge \
		-p '{"status":{"podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}}'
	say "is not reached through the API" 'address not allowed' $k get --raw /api/v1/namespaces/t/pods/here:22/proxy/
	say "and goes" 'pod "here" .*deleted' $k delete pod here -n t --grace-period=0 --force
	give <<-X
		{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},
		 "spec":{"foo":1,"containers":[{"name":"c","image":"i"}]}}
	X
	say "strict" 'strict decoding error: unknown field "spec.foo"' $k create -n t -f "$tmp/in"
	say "warn" 'Warning: unknown field "spec.foo".*pod/p created' $k create -n t --validate=warn -f "$tmp/in"
	say "pod defaults" 'Always ClusterFirst 30' $k get pod p -n t \
		-o 'jsonpath={.spec.restartPolicy} {.spec.dnsPolicy} {.spec.terminationGracePeriodSeconds}'
	give <<-X
		{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad_name"},"spec":{"containers":[{"name":"c"}]}}
	X
	say "causes" 'is invalid: .*metadata.name: Invalid value: "bad_name"' $k create -n t -f "$tmp/in"
	say "causes 2" 'spec.containers\[0\].image: Required value' $k create -n t -f "$tmp/in"
	say "unscheduled pod goes at once" 'pod "p" (force )?deleted' $k delete pod p -n t --timeout=10s
	give <<-X
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: d}
		spec:
		  replicas: 2
		  selector: {matchLabels: {app: d}}
		  template:
		    metadata: {labels: {app: d}}
		    spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
	X
	say "apply" 'deployment.apps/d created' $k apply -n t -f "$tmp/in"
	say "apply again" 'deployment.apps/d unchanged' $k apply -n t -f "$tmp/in"
	say "set image" 'image updated' $k set image -n t deploy/d c=i:2
	say "diff" '\+ +- image: i$|- image: i ' $k diff -n t -f "$tmp/in"
	say "apply back" 'configured' $k apply -n t -f "$tmp/in"
	say "generation" '^3$' $k get deploy d -n t -o 'jsonpath={.metadata.generation}'
	say "scale" 'scaled' $k scale deploy d -n t --replicas=4
	say "scaled" '^4$' $k get deploy d -n t -o 'jsonpath={.spec.replicas}'
	say "explain" 'FIELD: strategy' $k explain deployment.spec.strategy
	give <<-X
		{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"2"}}}
	X
	say "quota" 'created' $k create -n t -f "$tmp/in"
	say "status write" 'patched' $k patch quota q -n t --subresource=status --type=merge \
		-p '{"status":{"hard":{"pods":"2"}},"spec":{"hard":{"pods":"9"}}}'
	say "status only" '^2 2$' $k get quota q -n t -o 'jsonpath={.spec.hard.pods} {.status.hard.pods}'
	$k delete quota q -n t >/dev/null 2>&1
	webhooks
	policies
	aggregation
	conversions
	say "service" 'created' $k create service clusterip s -n t --tcp=80:80
	say "service address" '^10\.96\.' $k get svc s -n t -o 'jsonpath={.spec.clusterIP}'
	say "conflict" 'Conflict.*the object has been modified' sh -c "$k get cm a -n t -o json |
		sed 's/\"resourceVersion\": \"[0-9]*\"/\"resourceVersion\": \"1\"/' | $k replace -f -"
	say "finalizer" 'patched' $k patch cm a -n t --type=merge -p '{"metadata":{"finalizers":["x.io/y"]}}'
	say "held" 'deleted' $k delete cm a -n t --wait=false
	say "marked" '^20' $k get cm a -n t -o 'jsonpath={.metadata.deletionTimestamp}'
	say "no new finalizer" 'no new finalizers can be added' $k patch cm a -n t --type=merge \
		-p '{"metadata":{"finalizers":["x.io/y","x.io/z"]}}'
	say "let go" 'patched' $k patch cm a -n t --type=merge -p '{"metadata":{"finalizers":null}}'
	say "gone" 'NotFound' $k get cm a -n t
	say "token" '^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+ *$' $k create token default -n t
	token=$($k create token default -n t)
	say "token user" 'system:serviceaccount:t:default' $k --token="$token" --kubeconfig=/dev/null \
		--server="$url" --insecure-skip-tls-verify auth whoami
	say "token may not" 'Forbidden.*cannot list resource "secrets"' $k --token="$token" \
		--kubeconfig=/dev/null --server="$url" --insecure-skip-tls-verify get secrets -n t
	say "bad token" 'must be logged in|Unauthorized' $k --token=abc --kubeconfig=/dev/null \
		--server="$url" --insecure-skip-tls-verify get ns
	say "role" 'created' $k create role r -n t --verb=get,list --resource=secrets
	say "binding" 'created' $k create rolebinding r -n t --role=r --user=bob
	say "bob may" '^yes' $k auth can-i list secrets -n t --as=bob
	say "bob may not" '^no' $k auth can-i delete secrets -n t --as=bob
	say "no right to write roles" 'Forbidden.*cannot create resource "roles"' \
		$k create role e -n t --verb=delete --resource=secrets --as=eve
	$k create clusterrolebinding admins --clusterrole=admin --user=eve >/dev/null 2>&1
	say "escalation" 'attempting to grant RBAC permissions not currently held' \
		$k create role e -n t --verb=delete --resource=nodes --as=eve
	say "anonymous" 'Forbidden.*User "system:anonymous"' $k auth can-i get pods --as=system:anonymous
	say "rules" 'selfsubjectreviews' $k auth can-i --list --as=bob
	say "node: other secret" '^no' $k auth can-i get secret/x -n t --as=system:node:n1 --as-group=system:nodes
	say "node: all pods" '^no' $k auth can-i list pods -A --as=system:node:n1 --as-group=system:nodes
	say "node: other claims" '^no' $k auth can-i list pvc -n t --as=system:node:n1 --as-group=system:nodes
	give <<-X
		apiVersion: v1
		kind: PersistentVolume
		metadata:
		  name: pv-n1
		  labels: {kubernetes.io/hostname: n1}
		  annotations: {pv.kubernetes.io/provisioned-by: keelson.dev/local}
		  finalizers: [keelson.dev/local-data]
		spec:
		  capacity: {storage: 1Gi}
		  accessModes: [ReadWriteOnce]
		  persistentVolumeReclaimPolicy: Delete
		  local: {path: /data/volumes/pv-n1}
		  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [
		    {key: kubernetes.io/hostname, operator: In, values: [n1]}]}]}}
	X
	say "local volume" 'created' $k create -f "$tmp/in"
	n1='--as=system:node:n1 --as-group=system:nodes'
	n2='--as=system:node:n2 --as-group=system:nodes'
	say "node: own volumes" 'pv-n1' $k get pv -l kubernetes.io/hostname=n1 -o name $n1
	say "node: all volumes" 'Forbidden' $k get pv $n1
	say "node: another's volumes" 'Forbidden' $k get pv -l kubernetes.io/hostname=n1 $n2
	give <<-X
		{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}
	X
	say "its node" 'created' $k create -f "$tmp/in"
	say "volume goes with its data" 'deleted' $k delete pv pv-n1 --wait=false
	say "not before" '^\["keelson.dev/local-data"\]' sh -c "n=0
		until [ \"\$($k get pv pv-n1 -o 'jsonpath={.metadata.finalizers}')\" = '[\"keelson.dev/local-data\"]' ] ||
			[ \$n -gt 50 ]; do n=\$((n + 1)); sleep 0.2; done
		$k get pv pv-n1 -o 'jsonpath={.metadata.finalizers}'"
	say "another node may not let it go" 'Forbidden' $k patch pv pv-n1 --type=merge \
		-p '{"metadata":{"finalizers":null}}' $n2
	say "its node changes nothing else" 'can only remove the finalizer' $k patch pv pv-n1 --type=merge \
		-p '{"metadata":{"labels":{"a":"b"}}}' $n1
	say "nor deletes it" 'Forbidden' $k delete pv pv-n1 $n1
	say "its node lets it go" 'patched' $k patch pv pv-n1 --type=merge -p '{"metadata":{"finalizers":null}}' $n1
	$k wait --for=delete pv/pv-n1 --timeout=10s >/dev/null 2>&1
	say "gone with its data" 'NotFound' $k get pv pv-n1
	# The list is printed before the first write, so that both events come by the watch.
	say "watch" 'w1 .*w1 ' sh -c "$k get cm -n t -w --request-timeout=5s >'$tmp/watch' 2>&1 & w=\$!
		n=0; until grep -q NAME '$tmp/watch' || [ \$n -gt 100 ]; do n=\$((n + 1)); sleep 0.1; done
		$k create cm w1 -n t >/dev/null; $k patch cm w1 -n t -p '{\"data\":{\"a\":\"b\"}}' >/dev/null; wait \$w
		cat '$tmp/watch'"
	say "wait" 'condition met|deleted' sh -c "$k delete cm w1 -n t --wait=false;
		$k wait --for=delete cm/w1 -n t --timeout=10s"
	apply_suite "$k"
	$k create cm held -n t >/dev/null 2>&1
	$k patch cm held -n t --type=merge -p '{"metadata":{"finalizers":["x.io/y"]}}' >/dev/null 2>&1
	cat >"$tmp/crd" <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^\d+ \*$', description: when it runs}
              replicas:
                type: integer
                default: 1
                maximum: 9
                x-kubernetes-validations: [{rule: self >= oldSelf, message: replicas only grow}]
          status: {type: object, properties: {replicas: {type: integer}}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Wanted, type: integer, jsonPath: .spec.replicas}
END
	cat >"$tmp/cr" <<END
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: one, namespace: t}
spec: {cronSpec: "5 *"}
END
	say "crd with a rule that is none" "type 'int' does not support field selection" \
		sh -c "sed 's/self >= oldSelf/self.x == 1/' '$tmp/crd' | $k apply -f -"
	say "crd" 'created' $k apply -f "$tmp/crd"
	say "crd established" 'condition met' $k wait --for condition=established crd/crontabs.stable.example.com --timeout=30s
	say "cr" 'crontab.stable.example.com/one created' $k apply -f "$tmp/cr"
	say "cr columns and default" 'NAME +SPEC +WANTED one +5 \* +1' $k get ct -n t
	say "cr by category" 'crontab.stable.example.com/one' $k get all -n t
	say "cr explained" 'when it runs' $k explain crontab.spec.cronSpec
	say "cr refused" 'spec.cronSpec in body should match' sh -c "sed 's/5 \*/x/' '$tmp/cr' | $k apply -f -"
	say "cr strict" 'unknown field "spec.foo"' sh -c "sed 's/spec: {/spec: {foo: 1, /' '$tmp/cr' | $k apply -f -"
	say "cr scaled" 'scaled' $k scale ct one -n t --replicas=4
	say "cr edited" 'edited' env KUBE_EDITOR="sed -i 's/5 \*/6 \*/'" $k edit ct one -n t
	say "cr as edited" '^2 6 \* 4|^3 6 \* 4' $k get ct one -n t -o 'jsonpath={.metadata.generation} {.spec.cronSpec} {.spec.replicas}'
	say "cr breaks a rule" 'spec.replicas: Invalid value: 2: replicas only grow' \
		$k patch ct one -n t --type=merge -p '{"spec":{"replicas":2}}'
	say "cr status" 'patched' $k patch ct one -n t --subresource=status --type=merge -p '{"status":{"replicas":3}}'
	say "cr goes with its definition" 'deleted' $k delete crd crontabs.stable.example.com
	say "cr gone" "doesn't have a resource type|could not find" $k get ct -n t
	say "delete ns" 'namespace "t" deleted' $k delete ns t --wait=false
	say "terminating" 'Terminating' $k get ns t
	say "no new content" 'because it is being terminated' $k create cm late -n t
	say "let content go" 'patched' $k patch cm held -n t --type=merge -p '{"metadata":{"finalizers":null}}'
	# A namespace that is gone before the wait begins is awaited without a word (kubectl 1.32).
	say "ns gone" 'awaited' sh -c "$k wait --for=delete ns/t --timeout=30s && echo awaited"
	say "ns is gone" 'NotFound' $k get ns t
}

# cm NAME KEY=VALUE...: a ConfigMap as a file; its path is printed.
cm() {
	name=$1
	shift
	{
		printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: t\ndata:\n' "$name"
		for pair in "$@"; do printf '  %s: "%s"\n' "${pair%%=*}" "${pair#*=}"; done
	} >"$tmp/cm-$name-$#"
	echo "$tmp/cm-$name-$#"
}

# Server-side apply: who owns what, conflicts, what goes; and the way there from client-side apply.
apply_suite() {
	k=$1
	full=$(cm s a=1 b=1) less=$(cm s a=1) other=$(cm s a=2 c=1 d=1)
	say "apply on the server makes it" 'configmap/s serverside-applied' $k apply --server-side -f "$full"
	revision=$($k get cm s -n t -o 'jsonpath={.metadata.resourceVersion}')
	say "applied again nothing is written" "^$revision\$" sh -c "$k apply --server-side -f '$full' >/dev/null 2>&1
		$k get cm s -n t -o 'jsonpath={.metadata.resourceVersion}'"
	say "a dry run writes nothing" "^1\$" sh -c "$k apply --server-side --dry-run=server -f '$less' >/dev/null 2>&1
		$k get cm s -n t -o 'jsonpath={.data.b}'"
	say "a difference is shown" '- +b: "1"' $k diff --server-side -f "$less"
	say "what is no more applied goes" '^\{"a":"1"\}$' sh -c "$k apply --server-side -f '$less' >/dev/null 2>&1
		$k get cm s -n t -o 'jsonpath={.data}'"
	say "another manager meets a conflict" 'conflict with "kubectl": .data.a' \
		$k apply --server-side --field-manager=other -f "$other"
	say "force takes over" 'serverside-applied' \
		$k apply --server-side --field-manager=other --force-conflicts -f "$other"
	say "then the first one meets it" 'conflict with "other": .data.a' $k apply --server-side -f "$less"
	say "owners are hidden" '^0 *$' sh -c "$k get cm s -n t -o yaml | grep -c managedFields"
	say "owners are shown" 'fieldsV1: +f:data: +f:a: \{\} +f:c: \{\}.*manager: other +operation: Apply' \
		$k get cm s -n t -o yaml --show-managed-fields

	full=$(cm m a=1 b=1) less=$(cm m a=2)
	say "apply from the client" 'configmap/m created' $k apply -f "$full"
	say "what was applied last" 'b: "1"' $k apply view-last-applied cm m -n t
	say "then on the server, without a conflict" 'serverside-applied' $k apply --server-side -f "$less"
	say "the client's owner is gone" '^\{"a":"2"\}kubectl-last-applied kubectl $' $k get cm m -n t \
		-o 'jsonpath={.data}{range .metadata.managedFields[*]}{.manager} {end}'
	say "the annotation is kept up" 'a: "2"' $k apply view-last-applied cm m -n t
	say "and back on the client" 'configmap/m (configured|unchanged)' $k apply -f "$less"

	printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: owned, namespace: t}\nspec:
  replicas: 1\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}
    spec: {containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}\n' >"$tmp/dep"
	say "a deployment" 'deployment.apps/owned serverside-applied' $k apply --server-side -f "$tmp/dep"
	say "scaled" 'scaled' $k scale deploy owned -n t --replicas=3
	say "who scaled owns the replicas" 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' \
		$k apply --server-side -f "$tmp/dep"
	say "who does not say replicas leaves them" '^3$' sh -c "grep -v replicas '$tmp/dep' |
		$k apply --server-side -f - >/dev/null 2>&1; $k get deploy owned -n t -o 'jsonpath={.spec.replicas}'"
	say "an unknown field" 'field not declared in schema' sh -c "sed 's/replicas/replikas/' '$tmp/dep' |
		$k apply --server-side --validate=false -f -"
	say "deployment gone" 'deleted' $k delete deploy owned -n t

	$k create role patcher -n t --verb=get,patch --resource=configmaps >/dev/null 2>&1
	$k create rolebinding patcher -n t --role=patcher --user=patcher >/dev/null 2>&1
	say "who may patch may apply" 'serverside-applied' $k apply --server-side --force-conflicts \
		--as=patcher -f "$(cm s a=3)"
	say "but makes nothing" 'cannot create resource "configmaps"' $k apply --server-side \
		--as=patcher -f "$(cm new a=3)"
	say "nor is anything there" 'NotFound' $k get cm new -n t
}

kubectls=${KUBECTL:-$(programs)} # before start: the cache stands below the user's HOME
"$WEBHOOK" >"$tmp/webhook" &
hookpid=$!
n=0
until grep -q '^webhook ' "$tmp/webhook" || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done
read -r _ hookport hookca <"$tmp/webhook"
start
url=$(sed -n 's/.* ready on //p' "$tmp/log")
for k in $kubectls; do
	before=$failed
	suite "$k"
	echo "$($k version --client 2>/dev/null | head -1): $([ $before -eq $failed ] && echo good || echo FAILED)"
	# what is left of a namespace is of no use to the next one
	kill $pid && wait $pid
	rc=$?
	[ $rc -ne 0 ] && { echo "the server ended with $rc"; cat "$tmp/log"; failed=$((failed + 1)); }
	rm -rf "$tmp/d"
	start
	url=$(sed -n 's/.* ready on //p' "$tmp/log")
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
