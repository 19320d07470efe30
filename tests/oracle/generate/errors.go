// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// Requests that are wrong in themselves: bodies, media types, methods, names, fields that are no fields.
package main

import (
	"fmt"
	"strings"
)

func (e *emitter) errors(k *kind) {
	e.caseOf(k.label + "/errors")
	all := k.collection()
	dry := all + "?dryRun=All"
	o, name := k.named(0, "wrong")
	item := all + "/" + name
	body := text(o)
	e.raw("json-cut", "POST", dry, jsonType, body[:len(body)-1])
	e.raw("json-more", "POST", dry, jsonType, body+"}")
	e.raw("json-text", "POST", dry, jsonType, "not json")
	e.raw("json-list", "POST", dry, jsonType, "[]")
	e.raw("json-null", "POST", dry, jsonType, "null")
	e.raw("json-empty-object", "POST", dry, jsonType, "{}")
	e.raw("empty", "POST", dry, jsonType, "")
	e.raw("utf8", "POST", dry, jsonType, strings.Replace(body, "{", "{\"\\ud800\":1,", 1))
	e.raw("no-type", "POST", dry, "", body)
	e.raw("yaml", "POST", dry, "application/yaml", body)
	e.raw("yaml-bad", "POST", dry, "application/yaml", "a: b: c")
	e.raw("charset", "POST", dry, "application/json; charset=utf-8", body)
	e.raw("type-text", "POST", dry, "text/plain", body)
	e.raw("type-bad", "POST", dry, "frob", body)
	e.raw("type-form", "POST", dry, "application/x-www-form-urlencoded", "a=b")
	e.raw("protobuf-bad", "POST", dry, "application/vnd.kubernetes.protobuf", body)
	e.post("accept-xml", dry, o, accept("application/xml"))
	e.post("accept-any", dry, o, accept("*/*"))
	e.post("accept-second", dry, o, accept("application/xml,application/json;q=0.5"))
	e.post("accept-kind", dry, o, accept("application/json;as=Frob;v=v1;g=meta.k8s.io"))
	e.post("kind-other", dry, set(o, "Frob", "kind"))
	e.post("kind-known", dry, set(o, "List", "kind"))
	e.post("kind-none", dry, set(o, "", "kind"))
	e.post("version-other", dry, set(o, "example.com/v1", "apiVersion"))
	e.post("version-none", dry, set(o, "", "apiVersion"))
	e.post("version-bad", dry, set(o, "a/b/c", "apiVersion"))
	e.post("dry-bad", all+"?dryRun=Some", o)
	e.post("dry-twice", all+"?dryRun=All&dryRun=All", o)
	e.post("validation-bad", dry+"&fieldValidation=Frob", o)
	e.post("manager-long", dry+"&fieldManager="+strings.Repeat("m", 129), o)
	e.post("manager-bad", dry+"&fieldManager=a%0Ab", o)
	e.post("query-unknown", dry+"&frob=1", o)
	e.post("query-pretty", dry+"&pretty=true", o)

	for _, n := range []string{"", "UPPER", "-a", "a-", "a..b", "a/b", "a%25b", "..", "a_b", "a b", "ä", strings.Repeat("n", 64), strings.Repeat("n", 254), "a.b", "1", "a:b"} {
		e.post("name-"+n, dry, set(o, n, "metadata", "name"))
	}
	unnamed := set(o, "", "metadata", "name")
	for _, n := range []string{"gen-", "Gen-", strings.Repeat("g", 70), strings.Repeat("g", 260), "gen.", "gen_"} {
		e.post("generate-"+n, dry, set(unnamed, n, "metadata", "generateName"))
	}
	if k.namespaced {
		e.post("namespace-other", dry, set(o, "other", "metadata", "namespace"))
		e.post("namespace-none", dry, set(o, "", "metadata", "namespace"))
		e.post("namespace-missing", k.root()+"/namespaces/none/"+k.plural, set(o, "none", "metadata", "namespace"))
		e.post("namespace-bad", k.root()+"/namespaces/Not_Good/"+k.plural, set(o, "Not_Good", "metadata", "namespace"))
	} else {
		e.post("namespace-set", dry, set(o, "default", "metadata", "namespace"))
		e.get("namespace-path", k.root()+"/namespaces/default/"+k.plural)
	}
	meta := []struct {
		name  string
		path  []string
		value any
	}{
		{"label-key", []string{"labels", "a b"}, "v"}, {"label-prefix", []string{"labels", "-/a"}, "v"}, {"label-two", []string{"labels", "a/b/c"}, "v"}, {"label-value", []string{"labels", "a"}, "a b"},
		{"label-long", []string{"labels", "a"}, strings.Repeat("v", 64)}, {"label-key-long", []string{"labels", strings.Repeat("k", 64)}, "v"}, {"label-empty", []string{"labels", ""}, "v"},
		{"annotation-key", []string{"annotations", "a b"}, "v"}, {"annotation-upper", []string{"annotations", "A/b"}, "v"}, {"annotation-large", []string{"annotations", "a"}, strings.Repeat("v", 262145)},
		{"owner-empty", []string{"ownerReferences"}, []any{object{}}},
		{"owner-version", []string{"ownerReferences"}, []any{object{"apiVersion": "a/b/c", "kind": "A", "name": "a", "uid": "u"}}},
		{"owner-event", []string{"ownerReferences"}, []any{object{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "u"}}},
		{"owner-two", []string{"ownerReferences"}, []any{object{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "controller": true}, object{"apiVersion": "v1", "kind": "B", "name": "b", "uid": "w", "controller": true}}},
		{"owner-good", []string{"ownerReferences"}, []any{object{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u", "blockOwnerDeletion": true}}},
		{"finalizer-bad", []string{"finalizers"}, []any{"not valid"}}, {"finalizer-plain", []string{"finalizers"}, []any{"plain"}}, {"finalizer-good", []string{"finalizers"}, []any{"example.com/f", "orphan"}},
		{"finalizer-both", []string{"finalizers"}, []any{"orphan", "foregroundDeletion"}},
		{"rv-set", []string{"resourceVersion"}, "7"}, {"uid-set", []string{"uid"}, "abc"}, {"generation-set", []string{"generation"}, 7}, {"created-set", []string{"creationTimestamp"}, "2020-01-01T00:00:00Z"},
		{"deleted-set", []string{"deletionTimestamp"}, "2020-01-01T00:00:00Z"}, {"self-link", []string{"selfLink"}, "/x"},
		{"managed-bad", []string{"managedFields"}, []any{object{"manager": "m", "operation": "Frob"}}},
		{"managed-good", []string{"managedFields"}, []any{object{"manager": "m", "operation": "Update", "apiVersion": k.apiVersion(), "fieldsType": "FieldsV1", "fieldsV1": object{"f:metadata": object{}}}}},
	}
	for _, m := range meta {
		if m.name != "annotation-large" || k.name == "ConfigMap" || k.name == "Pod" {
			e.post(m.name, dry, with(clone(o), append([]string{"metadata"}, m.path...), m.value))
		}
	}
	for _, at := range []struct{ name, target string }{{"collection", all}, {"item", item}} {
		for _, m := range []string{"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FROB"} {
			if at.name == "collection" && (m == "POST" || m == "DELETE" && k.can("deletecollection")) {
				continue
			}
			e.raw(at.name+"-"+m, m, at.target, map[bool]string{true: patchTypes["merge"], false: jsonType}[m == "PATCH"], "{}")
		}
	}
	e.get("path-slash", all+"/")
	e.get("path-double", strings.Replace(all, k.plural, "/"+k.plural, 1))
	e.get("path-case", k.root()+"/"+strings.ToUpper(k.plural))
	e.get("path-singular", strings.TrimSuffix(all, "s"))
	e.get("path-name", all+"/Not%20A%20Name")
	e.get("version-path", strings.Replace(all, "/"+k.version+"/", "/v9/", 1))
}

const (
	unknownTop = `"frob":1,`
	doubled    = `"metadata":{"name":"twice"},`
)

func (e *emitter) strict(k *kind) {
	e.caseOf(k.label + "/strict")
	o, name := k.named(0, "strict")
	all := k.collection()
	wild := map[string]string{}
	top := text(o)
	wild["top"] = "{" + unknownTop + top[1:]
	wild["double"] = "{" + doubled + top[1:]
	wild["kind-double"] = `{"kind":"Frob",` + top[1:]
	wild["metadata"] = strings.Replace(top, `"metadata":{`, `"metadata":{`+unknownTop, 1)
	wild["metadata-double"] = strings.Replace(top, `"metadata":{`, `"metadata":{"name":"x",`, 1)
	wild["case"] = strings.Replace(top, `"metadata":{`, `"Metadata":{`, 1)
	if strings.Contains(top, `"spec":{`) {
		wild["spec"] = strings.Replace(top, `"spec":{`, `"spec":{`+unknownTop, 1)
		wild["many"] = strings.Replace(wild["spec"], `"metadata":{`, `"metadata":{"zzz":{"a":1},"aaa":2,"name":"y",`, 1)
		wild["spec-case"] = strings.Replace(top, `"spec":{`, `"Spec":{`, 1)
	}
	if strings.Contains(top, `"containers":[{`) {
		wild["container"] = strings.Replace(top, `"containers":[{`, `"containers":[{`+unknownTop+`"image":"twice",`, 1)
	}
	order := []string{"top", "double", "kind-double", "metadata", "metadata-double", "case", "spec", "many", "spec-case", "container"}
	for _, v := range []string{"", "&fieldValidation=Ignore", "&fieldValidation=Warn", "&fieldValidation=Strict"} {
		for _, w := range order {
			if b, ok := wild[w]; ok {
				e.raw("post-"+w+v, "POST", all+"?dryRun=All"+v, jsonType, b)
			}
		}
		e.raw("yaml-top"+v, "POST", all+"?dryRun=All"+v, "application/yaml", "frob: 1\n"+yamlOf(o))
		e.raw("yaml-double"+v, "POST", all+"?dryRun=All"+v, "application/yaml", yamlOf(o)+"kind: "+k.name+"\n")
	}
	if !k.can("update") {
		return
	}
	e.post("create", all, o)
	item := all + "/" + name + "?dryRun=All"
	for _, v := range []string{"", "&fieldValidation=Ignore", "&fieldValidation=Warn", "&fieldValidation=Strict"} {
		for _, w := range []string{"top", "metadata-double", "many"} {
			if b, ok := wild[w]; ok {
				e.raw("put-"+w+v, "PUT", item+v, jsonType, b)
			}
		}
		e.patch("json"+v, item+v, "json", jsonPatch{op("add", "/frob", 1), op("add", "/metadata/labels", object{"a": "b"})})
		e.patch("merge"+v, item+v, "merge", `{"frob":1,"metadata":{"zzz":1,"labels":{"a":"b","a":"c"}}}`)
		e.patch("strategic"+v, item+v, "strategic", `{"frob":1,"metadata":{"zzz":1,"labels":{"a":"b","a":"c"}}}`)
		e.patch("apply"+v, item+"&fieldManager=m"+v, "apply", fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"zzz":1,"labels":{"a":"b"}}}`, k.apiVersion(), k.name, name))
	}
}

// yamlOf: block style at the top, flow style (JSON) below.
func yamlOf(o object) string {
	s := ""
	for _, key := range []string{"apiVersion", "kind", "metadata"} {
		s += key + ": " + flow(o[key]) + "\n"
	}
	rest := clone(o).(object)
	for _, key := range []string{"apiVersion", "kind", "metadata"} {
		delete(rest, key)
	}
	if len(rest) == 0 {
		return s
	}
	for _, key := range sortedKeys(rest) {
		s += key + ": " + flow(rest[key]) + "\n"
	}
	return s
}

func flow(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return text(v)
}
