# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Cluster suite, area network: pods of three machines reach each other, Services of both families and all policies
# lead to the pods they should and to no others, names are resolved as programs resolve them, and all of it goes on
# while the API is away. Servers are nginx (each answers with its host name), clients curl, getent and drill.

# ---- words

n() { k -n net "$@"; }
# in_pod POD SCRIPT: what the script says in the pod.
in_pod() { n exec "$1" -- sh -c "$2"; }
# of KIND NAME PATH: a field; pod_ip POD FAMILY, svc_ip SERVICE FAMILY: 0 is IPv4, 1 IPv6.
of() { n get "$1" "$2" -o "jsonpath=$3"; }
pod_ip() { of pod "$1" "{.status.podIPs[$2].ip}"; }
svc_ip() { of svc "$1" "{.spec.clusterIPs[$2]}"; }
# at HOST: as it stands in a URL.
at() { case $1 in *:*) echo "http://[$1]" ;; *) echo "http://$1" ;; esac; }

# counted: of answers on standard input, a line each: "60 answers, least 19: web-1 20 web-2 21 web-3 19".
counted() {
	sort | uniq -c | awk '{ s = s " " $2 " " $1; n += $1; if (!least || $1 < least) least = $1 }
		END { print n + 0 " answers, least " least + 0 ":" s }'
}
# asking URL COUNT: the command that asks so often, each time by a new connection.
asking() { echo "curl -s --max-time 5 -H 'Connection: close' '$1/hostname?[1-$2]'"; }
# count POD HOST COUNT [PORT]; count_here PORT COUNT: from a pod, from this host through a forwarded port.
count() { in_pod "$1" "$(asking "$(at "$2")${4:+:$4}" "$3")" | counted; }
forwarded() { ctl forward 0 "node-$1:$2" | sed 's/.*://'; }
count_here() { sh -c "$(asking "http://127.0.0.1:$1" "$2")" | counted; }
# seen_from SERVER-POD CLIENT-POD ADDRESS[:PORT]: the source the server's log has of a request.
seen_from() {
	mark=mark-$(date +%s%N)
	in_pod "$2" "curl -s --max-time 5 -A $mark -o /dev/null $3/" || return 1
	eventually 5 seen_mark "$1"
}
seen_mark() { n logs "$1" --tail=200 | awk -v m="$mark" 'index($0, m) { print "from", $1; f = 1 } END { exit !f }'; }

# resolved: each line of standard input is "WHAT|WANT|ARGUMENTS OF drill"; all are asked in cl-1 by one shell.
# WANT: "NOERROR [truncated]: data of the answers, sorted".
resolved() {
	sed '/^$/d' >"$tmp/names"
	while IFS='|' read -r _ _ query; do echo "echo '== $query'; drill $query"; done <"$tmp/names" >"$tmp/queries"
	in_pod cl-1 "$(cat "$tmp/queries")" >"$tmp/answers" 2>&1
	while IFS='|' read -r name want query; do
		check "$name" '' same "$want" answer "$query"
	done <"$tmp/names"
}
answer() { # QUERY: of $tmp/answers
	awk -v query="== $1" '
		/^== / { mine = $0 == query; p = 0 }
		!mine { next }
		/rcode:/ { sub(/,$/, "", $6); rcode = $6 }
		/flags:/ && / tc / { cut = " truncated" }
		/^;; ANSWER SECTION/ { p = 1; next }
		/^;;/ { p = 0 }
		p && NF { d = $5; for (i = 6; i <= NF; i++) d = d " " $i; all[++n] = d }
		END {
			for (i = 2; i <= n; i++)
				for (k = i; k > 1 && all[k - 1] > all[k]; k--) {
					d = all[k]
					all[k] = all[k - 1]
					all[k - 1] = d
				}
			s = rcode cut ":"
			for (i = 1; i <= n && !cut; i++) s = s " " all[i]
			print s
		}' "$tmp/answers"
}
# same AS COMMAND...: the output is that text.
same() {
	as=$1
	shift
	out=$("$@") || return 1
	echo "$out"
	[ "$out" = "$as" ] || { echo "not: $as"; return 1; }
}
# sh_in POD SCRIPT READY: the script, after which the pod comes to be ready (True) or not (False).
sh_in() { in_pod "$1" "$2" && n wait "--for=condition=Ready=$3" "pod/$1" --timeout=30s; }

# ---- objects

web() { # NAME NODE MORE
	cat <<-Y
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, namespace: net, labels: {app: web, nr: "$2"}}
		spec:
		  hostname: $1
		  subdomain: pages
		  nodeName: node-$2
		  containers: [{name: web, image: "%IMAGE(nginx:1)%", ports: [{containerPort: 80, name: http}]${3:-}}]
	Y
}
client() { # NAME NODE MORE [COMMAND]
	command=${4:-'sleep, "100000"'}
	cat <<-Y
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: $1, namespace: net, labels: {app: ${1%-*}}}
		spec:
		  nodeName: node-$2
		  serviceAccountName: looker
		  terminationGracePeriodSeconds: 0
		  containers: [{name: c, image: "%IMAGE(curl:latest)%", command: [$command]}]
		  ${3:-}
	Y
}
service() { # NAME SPEC [PORT]
	cat <<-Y
		---
		apiVersion: v1
		kind: Service
		metadata: {name: $1, namespace: net}
		spec: {$2, ports: [${3:-{name: http, port: 80, targetPort: http\}}]}
	Y
}
slice() { # NAME SERVICE PORT ADDRESS...: endpoints that no controller made
	printf -- '---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n'
	printf 'metadata: {name: %s, namespace: net, labels: {kubernetes.io/service-name: %s}}\n' "$1" "$2"
	case $4 in *:*) printf 'addressType: IPv6\n' ;; *) printf 'addressType: IPv4\n' ;; esac
	printf 'ports: [{name: http, protocol: TCP, port: %s}]\nendpoints:\n' "$3"
	shift 3
	for a in "$@"; do printf -- '- {addresses: ["%s"]}\n' "$a"; done
}
objects() {
	cat <<-Y
		apiVersion: v1
		kind: Namespace
		metadata: {name: net}
		---
		apiVersion: v1
		kind: ServiceAccount
		metadata: {name: looker, namespace: net}
		---
		apiVersion: rbac.authorization.k8s.io/v1
		kind: RoleBinding
		metadata: {name: looker, namespace: net}
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
		subjects: [{kind: ServiceAccount, name: looker, namespace: net}]
	Y
	for i in 1 2 3; do web web-$i $i; done
	web web-4 1 ', readinessProbe: {httpGet: {path: /ready, port: 80}, periodSeconds: 1}'
	client cl-1 1 'hostAliases: [{ip: 10.1.2.3, hostnames: [far, away]}]'
	client cl-2 2
	client host-1 1 'hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet'
	client host-2 2 'hostNetwork: true' 'httpd, -f, -vv, -p, "8099"'
	client dns-1 1 'dnsPolicy: Default'
	client dns-2 1 'dnsPolicy: None
  dnsConfig: {nameservers: [10.77.0.1, 10.96.0.10], searches: [one.test, two.test], options: [{name: ndots, value: "2"}, {name: rotate}]}'
	client udp-1 1 '' 'socat, "UDP6-RECVFROM:7777,fork", "EXEC:hostname"'
	client udp-2 2 '' 'socat, "UDP6-RECVFROM:7777,fork", "EXEC:hostname"'
	client self-3 3 '' 'httpd, -f, -p, "80", -h, /etc'
	client root-1 1 'hostPID: true' | sed 's/{name: c,/{name: c, securityContext: {privileged: true},/'
	service web 'type: NodePort, ipFamilyPolicy: RequireDualStack, selector: {app: web}'
	service sticky 'sessionAffinity: ClientIP, ipFamilyPolicy: PreferDualStack, selector: {app: web}'
	service near 'internalTrafficPolicy: Local, selector: {app: web, nr: "2"}'
	service here 'type: NodePort, externalTrafficPolicy: Local, selector: {app: web, nr: "2"}'
	service self 'ipFamilyPolicy: PreferDualStack, selector: {app: self}' '{name: http, port: 80}'
	service pages 'clusterIP: None, ipFamilyPolicy: PreferDualStack, selector: {app: web}'
	service single 'selector: {app: web}'
	service six 'ipFamilyPolicy: SingleStack, ipFamilies: [IPv6], selector: {app: web}'
	service bare 'ipFamilyPolicy: PreferDualStack' '{name: http, port: 8080}'
	service crowd 'clusterIP: None' '{name: http, port: 80}'
	service udp 'ipFamilyPolicy: PreferDualStack, selector: {app: udp}' '{name: echo, protocol: UDP, port: 7777}'
	service nobody 'selector: {app: nobody}' '{name: http, port: 80}'
	printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: ext, namespace: net}\n'
	printf 'spec: {type: ExternalName, externalName: registry.test}\n'
	# shellcheck disable=SC2046
	slice crowd crowd 80 $(seq -f 192.0.2.%g 1 90)
}

make_objects() { objects | apply; }
check 'pods and Services are made' 'slice.*crowd created' make_objects
before=$failed
check 'the servers run' 'web-3 condition met' eventually 120 n wait --for=condition=Ready pod web-1 web-2 web-3 --timeout=30s
check 'the clients run' 'cl-1 condition met' eventually 120 n wait --for=condition=Ready pod \
	-l 'app in (cl,host,dns,udp,self,root)' --timeout=30s
check 'all nodes have said their IPv6 addresses' '' eventually 20 matches 'fd77::.*fd77::.*fd77::' \
	k get nodes -o 'jsonpath={.items[*].status.addresses[*].address}'
[ $failed = "$before" ] || return
node_ip() { k get node "node-$1" -o 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'; }

# ---- pods reach each other

cl1_4=$(pod_ip cl-1 0) cl1_6=$(pod_ip cl-1 1)
for f in 0 1; do
	from=$([ $f = 0 ] && echo "$cl1_4" || echo "$cl1_6") v=$([ $f = 0 ] && echo IPv4 || echo IPv6)
	web1=$(at "$(pod_ip web-1 $f)") web2=$(at "$(pod_ip web-2 $f)")
	check "pod to pod on one node by $v, its source kept" "from $from *\$" seen_from web-1 cl-1 "$web1"
	check "pod to pod across nodes by $v, its source kept" "from $from *\$" seen_from web-2 cl-1 "$web2"
	check "node to a pod of its own by $v" 'from' seen_from web-1 host-1 "$web1"
	check "node to another node's pod by $v" 'from' seen_from web-2 host-1 "$web2"
	node2=$(at "$(node_ip 2 | cut -d' ' -f$((f + 1)))")
	check "pod to another node by $v" '404' in_pod cl-1 "curl -s --max-time 5 -o /dev/null -w '%{http_code}' $node2:8099/"
	check "pod to its own node by $v" '404' in_pod cl-2 "curl -s --max-time 5 -o /dev/null -w '%{http_code}' $node2:8099/"
done

# ---- Services

three='60 answers, least ([89]|1[0-9]|20): web-1 [0-9]+ web-2 [0-9]+ web-3 [0-9]+ *$'
web4=$(svc_ip web 0) web6=$(svc_ip web 1) port=$(of svc web '{.spec.ports[0].nodePort}')
check 'a Service by IPv4 spreads over its ready pods' "$three" count cl-1 "$web4" 60
check 'a Service by IPv6' "$three" count cl-1 "$web6" 60
check 'from a node, by IPv4' '20 answers.*web-1 .*web-2 .*web-3' count host-1 "$web4" 20
check 'from a node, by IPv6' '20 answers.*web-1 .*web-2 .*web-3' count host-1 "$web6" 20
for i in 1 2 3; do
	fwd=$(forwarded $i "$port")
	[ $i != 1 ] || check 'a node port from outside' "$three" count_here "$fwd" 60
	[ $i = 1 ] || check "node-$i's" '20 answers.*web-1 .*web-2 .*web-3' count_here "$fwd" 20
done
through_api() { k get --raw "/api/v1/namespaces/net/$1"; }
check 'a pod through the API' 'nginx' through_api pods/web-1/proxy/
check 'a Service through the API' 'nginx' through_api services/http:web:http/proxy/
refuse 'a pod that speaks https, to which the API server does not show its own certificate' 'the server has asked for the client to provide credentials' \
	through_api pods/https:host-1:10250/proxy/pods
check "a node port by the node's IPv6 address" '20 answers.*web-1 .*web-2 .*web-3' count cl-1 \
	"$(node_ip 3 | cut -d' ' -f2)" 20 "$port"
check 'a pod becomes ready' 'met' sh_in web-4 'echo >/usr/share/nginx/html/ready' True
check 'it gets its share' 'web-4' eventually 5 matches 'web-1 .*web-2 .*web-3 .*web-4' count cl-1 "$web4" 40
check 'and is not ready any more' 'met' sh_in web-4 'mv /usr/share/nginx/html/ready /tmp' False
check 'then it gets none' "$three" eventually 5 matches "$three" count cl-1 "$web4" 60
check 'a client is kept to one pod' '30 answers, least 30' count cl-1 "$(svc_ip sticky 0)" 30
check 'by IPv6 as well' '30 answers, least 30' count cl-1 "$(svc_ip sticky 1)" 30
check 'internalTrafficPolicy Local: on the pod'\''s node' '5 answers, least 5: web-2' count cl-2 "$(svc_ip near 0)" 5
refuse 'elsewhere there is nobody' 'timed out' in_pod cl-1 "curl -sS --max-time 2 $(at "$(svc_ip near 0)")/hostname"
here=$(of svc here '{.spec.ports[0].nodePort}')
fwd=$(forwarded 2 "$here")
check 'externalTrafficPolicy Local: on the pod'\''s node' '5 answers, least 5: web-2' count_here "$fwd" 5
fwd=$(forwarded 1 "$here")
refuse 'elsewhere there is nobody, from outside' 'timed out' curl -sS --max-time 2 "http://127.0.0.1:$fwd/hostname"
check 'a pod reaches itself by its own Service' '^self-3 *$' in_pod self-3 "curl -sS --max-time 5 $(at "$(svc_ip self 0)")/hostname"
check 'by IPv6 as well' '^self-3 *$' in_pod self-3 "curl -sS --max-time 5 $(at "$(svc_ip self 1)")/hostname"
refuse 'a Service of no pods refuses at once' "Couldn.t connect" in_pod cl-1 "curl -sS --max-time 2 $(at "$(svc_ip nobody 0)")/"
refuse 'so does an address of no Service' "Couldn.t connect" in_pod cl-1 'curl -sS --max-time 2 http://10.96.255.254/'
udp_count() {
	in_pod cl-1 "for i in \$(seq 16); do (echo ? | socat -t 2 - UDP:$1) & done; wait" | counted
}
check 'a UDP Service spreads too' 'least [0-9]+: udp-1 [0-9]+ udp-2 [0-9]+ *$' udp_count "$(svc_ip udp 0):7777"
check 'by IPv6 as well' 'least [0-9]+: udp-1 [0-9]+ udp-2 [0-9]+ *$' udp_count "[$(svc_ip udp 1)]:7777"
families() { of svc "$1" '{.spec.ipFamilyPolicy} {.spec.ipFamilies} {.spec.clusterIPs}'; }
check 'one family unless more is asked for' '^SingleStack \["IPv4"\] \["10[^,]*"\]$' families single
check 'IPv6 alone' '^SingleStack \["IPv6"\] \["fd00[^,]*"\]$' families six
check 'it answers' '9 answers.*web' count cl-1 "$(svc_ip six 0)" 9
check 'two when they can be had' '^PreferDualStack \["IPv4","IPv6"\] \["10[^,]*","fd00[^,]*"\]$' families self
check 'two when they must be' '^RequireDualStack \["IPv4","IPv6"\] \["10[^,]*","fd00[^,]*"\]$' families web
by_hand() { { slice bare-4 bare 80 "$(pod_ip web-1 0)" && slice bare-6 bare 80 "$(pod_ip web-2 1)"; } | apply; }
check 'a Service without selector has no slice' '^No resources' n get endpointslices -l kubernetes.io/service-name=bare
check 'it gets one by hand' 'bare-6 created' by_hand
check 'that is where it leads' '5 answers, least 5: web-1' eventually 5 matches '5 answers.*web-1' count cl-1 "$(svc_ip bare 0)" 5 8080
check 'by IPv6 as well' '5 answers, least 5: web-2' eventually 5 matches '5 answers.*web-2' count cl-1 "$(svc_ip bare 1)" 5 8080

# ---- endpoints as objects

slices() {
	n get endpointslices -l "kubernetes.io/service-name=$1" -o 'jsonpath={range .items[*]}{.addressType}/{.ports[0].name}:{.ports[0].port}/{.metadata.ownerReferences[0].kind}/{.metadata.labels.endpointslice\.kubernetes\.io/managed-by}{"\n"}{range .endpoints[*]}{.targetRef.kind}/{.targetRef.name}@{.nodeName}={.conditions.ready},{.conditions.serving},{.conditions.terminating}{"\n"}{end}{end}' | sort
}
check 'one slice a family, owned by the Service' \
	'IPv4/http:80/Service/endpointslice-controller\.k8s\.io IPv6/http:80/Service/' slices web
check 'each pod with its node and conditions' 'Pod/web-2@node-2=true,true,false Pod/web-2@node-2=true,true,false' slices web
check 'those that are not ready, too' 'Pod/web-4@node-1=false,false,false Pod/web-4@node-1=false,false,false' slices web
check 'Endpoints: ready and not ready apart' 'web-[123] web-[123] web-[123] / web-4$' of endpoints web \
	'{.subsets[0].addresses[*].targetRef.name} / {.subsets[0].notReadyAddresses[*].targetRef.name}'

# ---- names

zone=net.svc.cluster.local
sorted_ips() { for p in "$@"; do pod_ip "$p" "$f" && echo; done | LC_ALL=C sort | xargs; }
f=0 all4=$(sorted_ips web-1 web-2 web-3) two4=$(pod_ip web-2 0) cl4=$(pod_ip cl-1 0)
f=1 all6=$(sorted_ips web-1 web-2 web-3) two6=$(pod_ip web-2 1)
port='0 16 80' of_pages=pages.$zone.
resolved <<-E
	A of a Service|NOERROR: $web4|web.$zone A
	AAAA|NOERROR: $web6|web.$zone AAAA
	SRV|NOERROR: 0 100 80 web.$zone.|_http._tcp.web.$zone SRV
	PTR of IPv4|NOERROR: web.$zone.|-x $web4
	PTR of IPv6|NOERROR: web.$zone.|-x $web6
	A of a headless Service: all ready pods|NOERROR: $all4|pages.$zone A
	AAAA of a headless Service: all ready pods|NOERROR: $all6|pages.$zone AAAA
	A of a pod by host name and subdomain|NOERROR: $two4|web-2.pages.$zone A
	AAAA of a pod by host name and subdomain|NOERROR: $two6|web-2.pages.$zone AAAA
	PTR of the pod by IPv4|NOERROR: web-2.pages.$zone.|-x $two4
	PTR of the pod by IPv6|NOERROR: web-2.pages.$zone.|-x $two6
	SRV of a headless Service|NOERROR: $port web-1.$of_pages $port web-2.$of_pages $port web-3.$of_pages|_http._tcp.pages.$zone SRV
	a pod by its address|NOERROR: $cl4|$(echo "$cl4" | tr . -).net.pod.cluster.local A
	an ExternalName is an alias of what it names|NOERROR: 10.77.0.1 registry.test.|ext.$zone A
	a name from outside comes through the gateway|NOERROR: 10.77.0.1|registry.test A
	in another spelling|NOERROR: 10.77.0.1|REGISTRY.Test A
	by TCP|NOERROR: 10.77.0.1|-t registry.test A
	the zone by TCP|NOERROR: $web4|-t web.$zone A
	by the IPv6 address of the name server|NOERROR: $web6|web.$zone @fd00:10:96::a AAAA
	and TCP|NOERROR: $web6|-t web.$zone @fd00:10:96::a AAAA
	no such Service|NXDOMAIN:|nobody-here.$zone A
	no such namespace|NXDOMAIN:|web.nowhere.svc.cluster.local A
	a Service without that type|NOERROR:|single.$zone AAAA
	an address without a pod|NXDOMAIN:|-x 10.244.77.77
	too many answers for a datagram|NOERROR truncated:|-u crowd.$zone A
E
check 'all of them by TCP' '^90 *$' in_pod cl-1 "drill -t crowd.$zone A | grep -c '^crowd.*192'"
check 'glibc goes on by TCP' '^90 *$' in_pod cl-1 'getent ahostsv4 crowd | grep -c STREAM'
check 'the search path: a Service of the same namespace' "^$web4 " in_pod cl-1 'getent ahostsv4 web'
check 'of another' '^10\.96\.0\.1 ' in_pod cl-1 'getent ahostsv4 kubernetes.default'
check 'with svc' '^10\.96\.0\.1 ' in_pod cl-1 'getent ahostsv4 kubernetes.default.svc'
check 'musl-like resolvers as well' "Address: $web4" in_pod web-1 "nslookup web.$zone"
check 'resolv.conf: ClusterFirst' '^search net\.svc\.cluster\.local svc\.cluster\.local cluster\.local options ndots:5 (nameserver fd00:10:96::a )?nameserver 10\.96\.0\.10 *$' \
	in_pod cl-1 'sort -r /etc/resolv.conf'
check 'Default is the node'\''s' '^nameserver 10\.77\.0\.1 *$' in_pod dns-1 'cat /etc/resolv.conf'
check 'None is what dnsConfig says' '^search one\.test two\.test options ndots:2 rotate nameserver 10\.96\.0\.10 nameserver 10\.77\.0\.1 *$' \
	in_pod dns-2 'sort -r /etc/resolv.conf'
check 'ClusterFirstWithHostNet' 'nameserver 10\.96\.0\.10' in_pod host-1 'cat /etc/resolv.conf'
check 'it resolves' "^$web4 " in_pod host-1 'getent ahostsv4 web'
check 'ClusterFirst in the node'\''s network is Default' '^nameserver 10\.77\.0\.1 *$' in_pod host-2 'cat /etc/resolv.conf'
check 'hosts: the pod'\''s own name' "$(pod_ip web-1 0)[[:space:]]+web-1\.pages\.$zone[[:space:]]+web-1" in_pod web-1 'cat /etc/hosts'
check 'hosts: aliases' '10\.1\.2\.3[[:space:]]+far[[:space:]]+away' in_pod cl-1 'cat /etc/hosts'

# ---- a pod and the API

trust='--cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
api() { # PATH...: the statuses
	in_pod cl-1 "curl -sS --max-time 20 $trust -H \"Authorization: Bearer \$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)\" \
		-w '%{http_code} ' $(printf -- '-o /dev/null https://kubernetes.default%s ' "$@")"
}
check 'a pod reads what its account may' '^200 403 200 403 *$' api /api/v1/namespaces/net/pods /api/v1/namespaces/net/secrets \
	/apis /api/v1/pods
check 'by the whole name' '^200 *$' in_pod cl-1 \
	"curl -sS --max-time 20 $trust -o /dev/null -w '%{http_code}' https://kubernetes.default.svc.cluster.local/version"
refuse 'another name is not in its certificate' 'SSL|certificate' in_pod cl-1 \
	"curl -sS --max-time 20 $trust --resolve other.test:443:10.96.0.1 https://other.test/version"

# ---- network policies

policy() { # NAME SPEC
	printf 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: net}\nspec: {%s}\n' "$1" "$2" | apply
}
# reaches POD TARGET [FAMILY]: the pod's answer; asked by its address.
reaches() { in_pod "$1" "curl -sS --max-time 2 $(at "$(pod_ip "$2" "${3:-0}")")/hostname"; }
unreached() { ! reaches "$@" 2>&1; }
check 'a policy that permits nothing' 'created' policy shut 'podSelector: {matchLabels: {app: web, nr: "2"}}, policyTypes: [Ingress]'
check 'nobody reaches the pod' 'timed out' eventually 10 unreached cl-1 web-2
refuse 'from its own node neither, nor by IPv6' 'timed out' reaches cl-2 web-2 1
check 'but the node itself does' '^web-2' reaches host-2 web-2
check 'others are as they were' '^web-1' reaches cl-2 web-1
check 'one that permits some pods a port by its name' 'created' policy some \
	'podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: cl}}}], ports: [{port: http}]}]'
check 'these reach it' '^web-2' eventually 10 reaches cl-1 web-2
check 'by the Service too' '60 answers' count cl-1 "$web4" 60
check 'others do not' 'timed out' eventually 10 unreached udp-1 web-1
check 'one for what a pod sends' 'created' policy names \
	'podSelector: {matchLabels: {app: cl}}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]'
check 'it sends nothing else' 'timed out' eventually 10 unreached cl-1 web-2
check 'and that' "^$web4 " in_pod cl-1 'getent ahostsv4 web'
check 'the policies go' 'deleted' n delete networkpolicy --all
check 'and what they held back comes through' '^web-1' eventually 10 reaches udp-1 web-1
check 'in both directions' '^web-2' eventually 10 reaches cl-1 web-2

# ---- changes, and an API that is away

check 'another port' 'patched' n patch svc web --type=json -p '[{"op":"replace","path":"/spec/ports/0/port","value":81}]'
check 'is served' '9 answers' eventually 5 matches '9 answers.*web' count cl-1 "$web4" 9 81
refuse 'and the old one is not' "Couldn.t connect" in_pod cl-1 "curl -sS --max-time 2 $(at "$web4")/"
check 'a pod is deleted' 'deleted' n delete pod web-3
check 'it gets none' '60 answers, least [0-9]+: web-1 [0-9]+ web-2 [0-9]+ *$' count cl-1 "$web4" 60 81
f=0
resolved <<-E
	nor is it resolved|NOERROR: $(sorted_ips web-1 web-2)|pages.$zone A
	by its own name neither|NXDOMAIN:|web-3.pages.$zone A
E
check 'an ExternalName becomes a ClusterIP' 'patched' n patch svc ext -p '{"spec":{"type":"ClusterIP","externalName":null,"ports":[{"port":80}]}}'
check 'and so does its name' '' eventually 10 matches "^$(svc_ip ext 0) " in_pod cl-1 'getent ahostsv4 ext'

# The API hangs, then is killed. Meanwhile, in the pod by itself: one connection that stays, new ones and names.
get='GET /hostname HTTP/1.1\r\nHost: x\r\n'
meanwhile="
	(printf '$get\r\n'
	until [ -e /tmp/back ]; do
		drill web.$zone | grep -q '$web4' && echo name || echo lost name
		curl -sf --max-time 5 -o /dev/null $(at "$web4"):81/hostname && echo answer || echo lost answer
	done >/tmp/asked
	printf '${get}Connection: close\r\n\r\n') | nc $web4 81 >/tmp/held"
control="ps -o pid,args | awk '/ keelson control\$/ { print \$1 }'"
background() { in_pod "$1" "($2) </dev/null >/dev/null 2>&1 &"; }
killed() { grep -c 'control: killed by signal 9' "$tmp/c/node-1/console.log"; }
check 'a client begins' '' background cl-2 "$meanwhile"
kills=$(killed)
check 'the API server is stopped for three seconds, then killed' '' background root-1 \
	"p=\$($control); kill -STOP \$p; timeout 3 tail -f /dev/null; kill -KILL \$p"
role_kills=$((role_kills + 1))
check 'it was' '' eventually 30 matches "^$((kills + 1)) *\$" killed
check 'it is back' 'ok' eventually 30 k get --raw /readyz
check 'the client is told' '' eventually 10 in_pod cl-2 ': >/tmp/back'
check 'its old connection went on' '^2 *$' eventually 20 matches '^2 *$' in_pod cl-2 'grep -c "^web-" /tmp/held'
check 'new ones were made, and names were resolved' 'answer.*name' in_pod cl-2 'sort /tmp/asked | uniq -c'
refuse 'and none was lost' '^0 *$|exit code 1' in_pod cl-2 'grep -c lost /tmp/asked'
check 'all of it goes' 'deleted' k delete namespace net --wait=false
