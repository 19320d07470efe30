// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// What is asked of every kind: its life, its lists, watches, deletions, subresources.
package main

import (
	"fmt"
	"strings"
)

type jsonPatch = []any

func op(name, path string, value any) object {
	return object{"op": name, "path": path, "value": value}
}

func label(key, value any) object {
	return object{"metadata": object{"labels": object{key.(string): value}}}
}

func (e *emitter) creates(k *kind) {
	e.caseOf(k.label + "/creates")
	for i := range k.bases {
		o, name := k.named(i, fmt.Sprintf("create-%d", i))
		e.post(fmt.Sprint("dry-", i), k.collection()+"?dryRun=All", o)
		e.post(fmt.Sprint("create-", i), k.collection(), o)
		if !k.can("get") {
			continue
		}
		item := k.collection() + "/" + name
		e.get(fmt.Sprint("get-", i), item)
		e.get(fmt.Sprint("table-", i), item, accept(tableType))
		e.put(fmt.Sprint("put-", i), item+"?dryRun=All", o)
		e.del(fmt.Sprint("delete-", i), item+"?gracePeriodSeconds=0", nil)
	}
}

func (e *emitter) life(k *kind) {
	e.caseOf(k.label + "/life")
	o, name := k.named(0, "life")
	all, item := k.collection(), k.collection()+"/"+name
	_, other := k.named(0, "other")
	keep := []string{capture("rv", "metadata.resourceVersion"), capture("uid", "metadata.uid")}

	e.post("create", all, o, append(keep, capture("old", "metadata.resourceVersion"))...)
	e.post("again", all, o)
	e.post("again-dry", all+"?dryRun=All", o)
	e.get("get", item)
	e.get("get-table", item, accept(tableType))
	e.get("get-table-objects", item+"?includeObject=Object", accept(tableType))
	e.get("get-table-none", item+"?includeObject=None", accept(tableType))
	e.get("get-metadata", item, accept("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"))
	e.get("get-yaml", item, accept("application/yaml"))
	e.get("get-rv0", item+"?resourceVersion=0")
	e.get("get-rv-bad", item+"?resourceVersion=abc")
	e.get("get-missing", all+"/"+other)
	e.get("get-missing-table", all+"/"+other, accept(tableType))

	e.put("put-same", item, o, keep...)
	e.put("put-label", item, labelled(set(o, "${rv}", "metadata", "resourceVersion"), "a", "1"), keep...)
	e.put("put-stale", item, labelled(set(o, "${old}", "metadata", "resourceVersion"), "a", "2"))
	e.put("put-rv-bad", item, set(o, "abc", "metadata", "resourceVersion"))
	e.put("put-other-name", item, set(o, other, "metadata", "name"))
	e.put("put-no-name", item+"?dryRun=All", set(o, "", "metadata", "name"))
	e.put("put-other-uid", item, set(set(o, "${rv}", "metadata", "resourceVersion"), "00000000-0000-4000-8000-000000000009", "metadata", "uid"))
	e.put("put-uid", item, set(set(o, "${rv}", "metadata", "resourceVersion"), "${uid}", "metadata", "uid"), keep...)
	e.put("put-created", item, set(set(o, "${rv}", "metadata", "resourceVersion"), "2020-01-01T00:00:00Z", "metadata", "creationTimestamp"), keep...)
	e.put("put-missing", all+"/"+other+"?dryRun=All", set(o, other, "metadata", "name"))
	e.put("put-missing-rv", all+"/"+other+"?dryRun=All", set(set(o, other, "metadata", "name"), "${rv}", "metadata", "resourceVersion"))
	e.put("put-dry", item+"?dryRun=All", labelled(set(o, "${rv}", "metadata", "resourceVersion"), "dry", "1"))
	e.put("put-table", item+"?dryRun=All", labelled(set(o, "${rv}", "metadata", "resourceVersion"), "dry", "1"), accept(tableType))

	e.patch("json-add", item, "json", jsonPatch{op("add", "/metadata/labels", object{"j": "1"})}, keep...)
	e.patch("json-replace", item, "json", jsonPatch{op("test", "/metadata/labels/j", "1"), op("replace", "/metadata/labels/j", "2")})
	e.patch("json-test", item, "json", jsonPatch{op("test", "/metadata/labels/j", "no")})
	e.patch("json-op", item, "json", jsonPatch{op("frob", "/metadata/labels/j", "no")})
	e.patch("json-missing", item, "json", jsonPatch{object{"op": "remove", "path": "/metadata/labels/none"}})
	e.patch("json-replace-missing", item, "json", jsonPatch{op("replace", "/metadata/none/x", "1")})
	e.patch("json-no-op", item, "json", jsonPatch{})
	e.patch("json-map", item, "json", object{"op": "add"})
	e.patch("json-text", item, "json", "not json")
	e.patch("json-type", item, "json", jsonPatch{op("add", "/metadata/labels", 7)})
	e.patch("json-rv", item, "json", jsonPatch{op("test", "/metadata/resourceVersion", "${old}")})
	e.patch("merge-label", item, "merge", label("m", "1"), keep...)
	e.patch("merge-null", item, "merge", label("m", nil))
	e.patch("merge-again", item, "merge", label("m", nil))
	e.patch("merge-list", item, "merge", jsonPatch{1})
	e.patch("merge-type", item, "merge", object{"metadata": object{"labels": 7}})
	e.patch("merge-value", item, "merge", label("m", "not a value"))
	e.patch("merge-dry", item+"?dryRun=All", "merge", label("dry", "1"))
	e.patch("merge-name", item, "merge", object{"metadata": object{"name": other}})
	e.patch("merge-rv-old", item, "merge", object{"metadata": object{"resourceVersion": "${old}", "labels": object{"m": "2"}}})
	e.patch("merge-uid", item, "merge", object{"metadata": object{"uid": "00000000-0000-4000-8000-000000000009"}})
	e.patch("merge-kind", item, "merge", object{"kind": "Other"})
	e.patch("merge-missing", all+"/"+other, "merge", label("m", "1"))
	e.patch("merge-unknown", item+"?fieldValidation=Strict", "merge", object{"spek": 1})
	e.patch("merge-unknown-warn", item+"?fieldValidation=Warn&dryRun=All", "merge", object{"spek": 1})
	e.patch("strategic-label", item, "strategic", label("s", "1"))
	e.patch("strategic-replace", item, "strategic", object{"metadata": object{"labels": object{"$patch": "replace", "only": "1"}}}, keep...)
	e.patch("strategic-delete", item, "strategic", label("only", nil))
	e.patch("strategic-directive", item, "strategic", object{"metadata": object{"labels": object{"$patch": "frob"}}})
	e.patch("strategic-type", item, "strategic", object{"metadata": 7})
	e.patch("strategic-finalizers", item+"?dryRun=All", "strategic", object{"metadata": object{"finalizers": []any{"example.com/a"}, "$setElementOrder/finalizers": []any{"example.com/a"}}})
	e.patch("apply", item+"?fieldManager=one", "apply", set(label("p", "1"), k.apiVersion(), "apiVersion"), keep...)
	apply := func(value string) object {
		a := object{"apiVersion": k.apiVersion(), "kind": k.name}
		m := object{"name": name, "labels": object{"p": value}}
		a["metadata"] = m
		return a
	}
	e.patch("apply-named", item+"?fieldManager=one", "apply", apply("1"), keep...)
	e.patch("apply-again", item+"?fieldManager=one", "apply", apply("1"))
	e.patch("apply-conflict", item+"?fieldManager=two", "apply", apply("2"))
	e.patch("apply-force", item+"?fieldManager=two&force=true", "apply", apply("2"))
	e.patch("apply-no-manager", item, "apply", apply("2"))
	e.patch("apply-new", all+"/"+other+"?fieldManager=one&dryRun=All", "apply", set(o, other, "metadata", "name"))
	e.patch("force", item+"?force=true", "merge", label("m", "1"))
	e.raw("patch-type", "PATCH", item, jsonType, text(label("m", "1")))
	e.raw("patch-no-type", "PATCH", item, "", text(label("m", "1")))
	e.patch("patch-manager", item+"?fieldManager="+strings.Repeat("m", 129), "merge", label("m", "1"))
	e.patch("patch-dry-bad", item+"?dryRun=Some", "merge", label("m", "1"))
	e.get("end", item)
	e.del("delete", item+"?gracePeriodSeconds=0", nil)
	e.get("gone", item)
	e.del("delete-again", item, nil)
}

func (e *emitter) lists(k *kind) {
	e.caseOf(k.label + "/lists")
	all := k.collection()
	and := "?labelSelector=oracle%3Dlists"
	for i, x := range []string{"1", "2", "3"} {
		o, _ := k.named(0, "list-"+x)
		o = labelled(labelled(o, "oracle", "lists"), "x", fmt.Sprint(i))
		if i == 2 {
			o = labelled(o, "y", "")
		}
		e.post("create-"+x, all, o)
	}
	e.get("list", all+and)
	e.get("list-table", all+and, accept(tableType))
	e.get("list-table-objects", all+and+"&includeObject=Object", accept(tableType))
	e.get("list-metadata", all+and, accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"))
	e.get("list-yaml", all+and, accept("application/yaml"))
	e.get("list-rv0", all+and+"&resourceVersion=0")
	e.get("list-pretty", all+and+"&pretty=true&limit=1")
	for _, s := range []string{"x%3D1", "x!%3D1", "x%3D%3D1", "x+in+(0,1)", "x+notin+(0,1)", "x", "!y", "y%3D", "x%3E0", "x+in+1", "%3D1", "x%3Da+b", "x,y", "x%3D1,x%3D2"} {
		e.get("label-"+s, all+and+","+s)
	}
	_, one := k.named(0, "list-1")
	for _, s := range []string{"metadata.name%3D" + one, "metadata.name!%3D" + one, "metadata.name%3D%3Dnone", "metadata.namespace%3D" + k.ns(), "metadata.namespace!%3D" + k.ns(), "spec.none%3D1", "status.phase%3DRunning",
		"metadata.name", "metadata.name%3E1", "metadata.name%3Da,metadata.name%3Db"} {
		e.get("field-"+strings.ReplaceAll(s, one, "1"), all+and+"&fieldSelector="+s)
	}
	next := capture("next", "metadata.continue")
	e.get("page-1", all+and+"&limit=2", next)
	e.get("page-2", all+and+"&limit=2&continue=${next}")
	e.get("page-rv", all+and+"&limit=2&continue=${next}&resourceVersion=1")
	e.get("page-one", all+and+"&limit=1", accept(tableType))
	for _, q := range []string{"limit=-1", "limit=abc", "continue=bad", "continue=" + strings.Repeat("QUFB", 10), "resourceVersion=abc", "resourceVersion=-1", "resourceVersionMatch=Exact", "resourceVersionMatch=Sometimes&resourceVersion=1",
		"resourceVersionMatch=NotOlderThan&resourceVersion=0", "resourceVersionMatch=Exact&resourceVersion=0", "sendInitialEvents=true", "timeoutSeconds=abc", "unknown=1", "includeObject=Wrong"} {
		if q == "includeObject=Wrong" {
			e.get(q, all+and+"&"+q, accept(tableType))
		} else {
			e.get(q, all+and+"&"+q)
		}
	}
	if k.namespaced {
		e.get("everywhere", k.root()+"/"+k.plural+and)
		e.get("everywhere-table", k.root()+"/"+k.plural+and, accept(tableType))
		e.get("no-namespace", k.root()+"/namespaces/none/"+k.plural)
		e.raw("post-everywhere", "POST", k.root()+"/"+k.plural, jsonType, "{}")
	}
	if k.can("deletecollection") {
		e.del("collection-dry", all+and+"&dryRun=All", nil)
		e.del("collection-selected", all+and+",x%3D0&gracePeriodSeconds=0", nil)
		e.get("list-after", all+and)
		e.del("collection-options", all+and, object{"propagationPolicy": "Frob"})
		e.del("collection-all", all+and+"&gracePeriodSeconds=0", nil)
		e.get("list-end", all+and)
		e.del("collection-none", all+and, nil)
	}
}

func (e *emitter) watches(k *kind) {
	e.caseOf(k.label + "/watches")
	o, name := k.named(0, "watched")
	all, item := k.collection(), k.collection()+"/"+name
	only := all + "?watch=true&fieldSelector=metadata.name%3D" + name
	rv := capture("rv", "metadata.resourceVersion")
	e.post("create", all, labelled(o, "w", "1"), rv)
	e.get("start", only, events(1))
	e.get("start-0", only+"&resourceVersion=0", events(1))
	e.get("start-table", only, accept(tableType), events(1))
	e.get("start-metadata", only, accept("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"), events(1))
	e.get("start-yaml", only, accept("application/yaml"), events(1))
	e.get("initial", only+"&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", events(2))
	e.get("initial-rv0", only+"&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=0", events(2))
	e.get("initial-no-match", only+"&sendInitialEvents=true", events(1))
	e.get("initial-exact", only+"&sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", events(1))
	e.get("match-alone", only+"&resourceVersionMatch=NotOlderThan", events(1))
	e.get("rv-bad", only+"&resourceVersion=abc", events(1))
	e.get("timeout-bad", only+"&timeoutSeconds=abc", events(1))
	e.get("limit", only+"&limit=abc", events(1))
	e.patch("change", item, "merge", label("w", "2"))
	e.patch("change", item, "merge", label("w", "3"))
	e.del("delete", item+"?gracePeriodSeconds=0", nil)
	e.get("all", only+"&resourceVersion=${rv}", events(3))
	e.get("all-table", only+"&resourceVersion=${rv}", accept(tableType), events(3))
	e.get("selected", only+"&resourceVersion=${rv}&labelSelector=w%3D2", events(2))
	e.get("selected-not", only+"&resourceVersion=${rv}&labelSelector=w!%3D2", events(3))
	e.get("field-bad", all+"?watch=true&fieldSelector=spec.none%3D1", events(1))
	e.get("watch-word", all+"?watch=1&fieldSelector=metadata.name%3D"+name+"&resourceVersion=${rv}", events(3))
	old := strings.Replace(k.root(), "/v", "/v", 1) + "/watch" + strings.TrimPrefix(item, k.root())
	e.get("old-path", old+"?resourceVersion=${rv}", events(3))
}

func (e *emitter) deletes(k *kind) {
	e.caseOf(k.label + "/deletes")
	all := k.collection()
	item := ""
	n := 0
	fresh := func(change ...any) {
		n++
		o, name := k.named(0, fmt.Sprintf("delete-%d", n))
		if len(change) == 1 {
			o = set(o, change[0], "metadata", "finalizers")
		}
		item = all + "/" + name
		e.post(fmt.Sprintf("create-%d", n), all, o, capture("uid", "metadata.uid"), capture("rv", "metadata.resourceVersion"))
	}
	fresh()
	e.del("dry", item+"?dryRun=All", nil)
	e.del("dry-body", item, object{"dryRun": []any{"All"}, "gracePeriodSeconds": 0})
	e.del("uid-other", item, object{"preconditions": object{"uid": "00000000-0000-4000-8000-000000000009"}})
	e.del("rv-other", item, object{"preconditions": object{"resourceVersion": "1"}})
	e.del("policy-bad", item+"?propagationPolicy=Frob", nil)
	e.del("policy-both", item, object{"propagationPolicy": "Orphan", "orphanDependents": true})
	e.del("body-kind", item, object{"kind": "Pod", "apiVersion": "v1"})
	e.del("body-unknown", item+"?dryRun=All", object{"frob": 1})
	e.del("body-type", item, object{"gracePeriodSeconds": "x"})
	e.raw("body-text", "DELETE", item, jsonType, "not json")
	e.raw("body-yaml", "DELETE", item+"?dryRun=All", "application/yaml", "kind: DeleteOptions\napiVersion: v1\npropagationPolicy: Background\n")
	e.del("dry-bad", item+"?dryRun=Some", nil)
	e.del("grace-bad", item+"?gracePeriodSeconds=x", nil)
	e.del("grace-negative", item+"?gracePeriodSeconds=-1&dryRun=All", nil)
	e.del("uid-right", item, object{"preconditions": object{"uid": "${uid}", "resourceVersion": "${rv}"}, "gracePeriodSeconds": 0})
	e.get("gone", item)
	for _, p := range []string{"Background", "Orphan", "Foreground"} {
		fresh()
		e.del(p, item+"?propagationPolicy="+p+"&gracePeriodSeconds=0", nil)
		e.get("after-"+p, item)
		e.del(p+"-again", item+"?propagationPolicy=Background&gracePeriodSeconds=0", nil)
		e.patch("release-"+p, item, "merge", object{"metadata": object{"finalizers": nil}})
		e.get("end-"+p, item)
	}
	fresh()
	e.del("body-kind-right", item, object{"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}, accept(tableType))
	fresh()
	e.del("body-kind-group", item, object{"kind": "DeleteOptions", "apiVersion": k.apiVersion(), "orphanDependents": false, "gracePeriodSeconds": 0})
	fresh([]any{"example.com/hold"})
	e.del("held", item+"?gracePeriodSeconds=0", nil)
	e.get("held-get", item)
	e.get("held-table", item, accept(tableType))
	e.del("held-again", item+"?gracePeriodSeconds=0", nil)
	e.patch("held-add", item, "merge", object{"metadata": object{"finalizers": []any{"example.com/hold", "example.com/more"}}})
	e.patch("held-undelete", item, "merge", object{"metadata": object{"deletionTimestamp": nil}})
	e.patch("held-release", item, "merge", object{"metadata": object{"finalizers": nil}})
	e.get("held-gone", item)
	fresh([]any{"not valid!"})
	fresh([]any{"kubernetes.io/other"})
	e.patch("tidy", item, "merge", object{"metadata": object{"finalizers": nil}})
	e.del("tidy-delete", item+"?gracePeriodSeconds=0", nil)
}

func (e *emitter) subresources(f *facts, k *kind) {
	if len(k.subs) == 0 || !k.can("create") {
		return
	}
	e.caseOf(k.label + "/subresources")
	o, name := k.named(0, "sub")
	all, item := k.collection(), k.collection()+"/"+name
	e.post("create", all, o, capture("rv", "metadata.resourceVersion"))
	for _, s := range k.subs {
		if s.name == "proxy" || strings.Contains("attach exec portforward log", s.name) {
			e.get(s.name+"-missing", all+"/none/"+s.name)
			continue
		}
		at := item + "/" + s.name
		body := o
		if s.typ != k.typ {
			parts := strings.Split(s.typ, "/")
			if b := f.bases[strings.Join(parts[:2], "/")+" "+parts[2]]; len(b) > 0 {
				body = clone(b[0]).(object)
			} else {
				body = object{}
			}
			body["kind"], body["apiVersion"] = parts[2], strings.TrimPrefix(strings.Join(parts[:2], "/"), "core/")
			body["metadata"] = object{"name": name}
			if k.namespaced {
				child(body, "metadata")["namespace"] = k.ns()
			}
		}
		if strings.Contains(s.verbs, "create") {
			e.post(s.name+"-dry", at+"?dryRun=All", body)
			e.post(s.name+"-other-name", at+"?dryRun=All", set(body, "zzz", "metadata", "name"))
			e.post(s.name+"-unknown", at+"?dryRun=All&fieldValidation=Strict", set(body, 1, "frob"))
			e.post(s.name+"-missing", all+"/none/"+s.name, set(body, "none", "metadata", "name"))
			e.post(s.name+"-kind", at, set(body, "Frob", "kind"))
			e.post(s.name+"-empty", at+"?dryRun=All", object{})
		}
		e.get(s.name+"-get", at)
		e.get(s.name+"-table", at, accept(tableType))
		e.get(s.name+"-get-missing", all+"/none/"+s.name)
		if !strings.Contains(s.verbs, "update") {
			e.put(s.name+"-put", at, body)
			continue
		}
		e.put(s.name+"-put", at, body)
		e.put(s.name+"-put-label", at, labelled(body, "sub", "1"))
		e.put(s.name+"-put-spec", at, set(body, object{}, "spec"))
		e.put(s.name+"-put-stale", at, set(body, "1", "metadata", "resourceVersion"))
		e.put(s.name+"-put-name", at, set(body, "zzz", "metadata", "name"))
		e.put(s.name+"-put-dry", at+"?dryRun=All", body)
		e.put(s.name+"-put-kind", at, set(body, "Frob", "kind"))
		e.put(s.name+"-put-missing", all+"/none/"+s.name, set(body, "none", "metadata", "name"))
		e.patch(s.name+"-merge", at, "merge", object{"status": object{}})
		e.patch(s.name+"-merge-both", at, "merge", set(label("s", "1"), object{"conditions": nil}, "status"))
		e.patch(s.name+"-merge-spec", at, "merge", object{"spec": object{"replicas": -1}})
		e.patch(s.name+"-merge-unknown", at+"?fieldValidation=Strict", "merge", object{"status": object{"frob": 1}})
		e.patch(s.name+"-strategic", at, "strategic", object{"status": object{"conditions": []any{object{"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "reason": "R", "message": "m"}}}})
		e.patch(s.name+"-json", at, "json", jsonPatch{op("add", "/status", 7)})
		e.patch(s.name+"-missing-patch", all+"/none/"+s.name, "merge", object{})
		e.del(s.name+"-delete", at, nil)
		e.get(s.name+"-end", item)
	}
	e.get("unknown", item+"/frob")
	e.post("unknown-post", item+"/frob", object{})
	e.get("unknown-deep", item+"/status/frob")
}
