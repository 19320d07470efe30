// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// What is asked of the server itself: discovery, OpenAPI, versions, health, paths that are none, and the objects
// every cluster begins with.
package main

import "strings"

const (
	discoveryV2      = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	discoveryV2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)

// prepare: a namespace for each kind of its own, with the account pods need.
func (e *emitter) prepare(f *facts) {
	e.caseOf("Server/prepare")
	for _, k := range f.kinds {
		if !k.namespaced {
			continue
		}
		e.post("namespace-"+k.label, "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": k.ns()}})
		e.post("account-"+k.label, "/api/v1/namespaces/"+k.ns()+"/serviceaccounts", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}})
	}
}

func (e *emitter) server(f *facts) {
	e.caseOf("Server/discovery")
	for _, path := range []string{"/api", "/apis"} {
		e.get("old"+path, path)
		e.get("v2"+path, path, accept(discoveryV2))
		e.get("v2beta1"+path, path, accept(discoveryV2beta1))
		e.get("both"+path, path, accept(discoveryV2+","+discoveryV2beta1+",application/json"))
		e.get("yaml"+path, path, accept("application/yaml"))
		e.get("slash"+path, path+"/")
		e.raw("post"+path, "POST", path, jsonType, "{}")
	}
	seen := map[string]bool{}
	for _, k := range f.kinds {
		if k.group != "core" && !seen[k.group] {
			seen[k.group] = true
			e.get("group-"+k.group, "/apis/"+k.group)
		}
		if !seen[k.root()] {
			seen[k.root()] = true
			e.get("resources-"+k.apiVersion(), k.root())
			e.get("resources-slash-"+k.apiVersion(), k.root()+"/")
			e.get("resources-table-"+k.apiVersion(), k.root(), accept(tableType))
		}
	}
	e.get("group-none", "/apis/none.example.com")
	e.get("version-none", "/apis/apps/v9")
	e.get("core-none", "/api/v2")

	e.caseOf("OpenAPI/v3")
	e.get("index", "/openapi/v3")
	for _, k := range f.kinds {
		if seen["o"+k.root()] {
			continue
		}
		seen["o"+k.root()] = true
		e.get("schemas-"+k.apiVersion(), "/openapi/v3"+k.root(), parts("components.schemas"))
		e.get("paths-"+k.apiVersion(), "/openapi/v3"+k.root(), parts("paths"))
	}
	for _, path := range []string{"api", "apis", "version", ".well-known/openid-configuration", "none"} {
		e.get("other-"+path, "/openapi/v3/"+path)
	}
	e.get("group", "/openapi/v3/apis/apps")
	e.caseOf("OpenAPI/v2")
	e.get("definitions", "/openapi/v2", parts("definitions"))
	e.get("paths", "/openapi/v2", parts("paths"))

	e.caseOf("Server/paths")
	for _, p := range []string{"/", "/version", "/version/", "/healthz", "/livez", "/readyz", "/healthz?verbose", "/livez?verbose=1", "/readyz?verbose", "/healthz/ping", "/livez/ping", "/readyz/ping", "/healthz/none", "/readyz?exclude=ping",
		"/none", "/api/v1/none", "/apis/apps/v1/none", "/api/v1/namespaces/default/none", "/api/v1/namespaces/default/none/x", "/api/v1/namespaces/default/pods/x/y/z", "/api/v1/namespaces/default/pods/x/status/z",
		"/.well-known/openid-configuration", "/openid/v1/jwks", "/api/v1/pods/x", "/api/v1/nodes/x/none", "/apis/none.example.com/v1/things", "/apis/apps/v1/namespaces/default/deployments/x/scale/y", "/healthz/etcd",
		"/api/v1/watch/pods?timeoutSeconds=1", "/api/v1/componentstatuses/none", "/logs", "/ui", "/swaggerapi", "/api/v1/namespaces/a/b/c/d/e"} {
		e.get(p, p)
	}
	for _, m := range []string{"POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
		for _, p := range []string{"/version", "/healthz", "/none", "/api/v1/none", "/openapi/v2", "/"} {
			e.raw(m+p, m, p, jsonType, "{}")
		}
	}
	e.get("impersonate", "/apis/authentication.k8s.io/v1/selfsubjectreviews", header("Impersonate-User", "nobody"))
	for _, p := range []string{"/api/v1/pods", "/apis/apps/v1/deployments", "/api/v1/namespaces/default/configmaps/x", "/api", "/healthz", "/metrics", "/api/v1/nodes/n/proxy/x", "/api/v1/namespaces/default/pods/p/log", "/none"} {
		e.get("nobody"+p, p, header("Impersonate-User", "nobody"))
		e.get("bad-token"+p, p, header("Authorization", "Bearer bad"))
	}
	e.raw("nobody-post", "POST", "/api/v1/namespaces/default/pods", jsonType, "{}", header("Impersonate-User", "nobody"))
	e.raw("nobody-patch", "PATCH", "/apis/apps/v1/namespaces/default/deployments/d/scale", jsonType, "{}", header("Impersonate-User", "nobody"))
	e.raw("review", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", jsonType, `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, header("Impersonate-User", "nobody"), header("Impersonate-Group", "g"),
		header("Impersonate-Extra-Scopes", "x"), header("Impersonate-Uid", "7"))
	e.get("impersonate-group-alone", "/api", header("Impersonate-Group", "g"))

	e.caseOf("Server/begin")
	for _, p := range []string{"/api/v1/namespaces/default", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-public", "/api/v1/namespaces/kube-node-lease", "/api/v1/namespaces/default/services/kubernetes",
		"/apis/scheduling.k8s.io/v1/priorityclasses", "/apis/networking.k8s.io/v1/servicecidrs", "/apis/networking.k8s.io/v1/ipaddresses", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
		"/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "/apis/storage.k8s.io/v1/storageclasses",
		"/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", "/apis/apiregistration.k8s.io/v1/apiservices", "/api/v1/namespaces", "/apis/rbac.authorization.k8s.io/v1/roles",
		"/apis/rbac.authorization.k8s.io/v1/rolebindings"} {
		e.get(p, p)
		e.get("table"+p, p, accept(tableType))
	}
	for _, r := range strings.Fields("admin cluster-admin edit view system:aggregate-to-admin system:aggregate-to-edit system:aggregate-to-view system:auth-delegator system:basic-user system:discovery system:heapster " +
		"system:kube-aggregator system:kube-controller-manager system:kube-dns system:kube-scheduler system:kubelet-api-admin system:monitoring system:node system:node-bootstrapper system:node-problem-detector system:node-proxier " +
		"system:persistent-volume-provisioner system:public-info-viewer system:service-account-issuer-discovery system:volume-scheduler system:certificates.k8s.io:certificatesigningrequests:nodeclient " +
		"system:certificates.k8s.io:kube-apiserver-client-approver system:certificates.k8s.io:kubelet-serving-approver system:controller:deployment-controller system:controller:replicaset-controller system:controller:namespace-controller " +
		"system:controller:generic-garbage-collector system:controller:endpoint-controller system:controller:job-controller system:controller:service-account-controller system:controller:pod-garbage-collector") {
		e.get("role-"+r, "/apis/rbac.authorization.k8s.io/v1/clusterroles/"+r)
		e.get("binding-"+r, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"+r)
	}
}
