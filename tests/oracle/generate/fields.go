// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// Every field of every kind, wrong in turn: creates (and updates of status) that are not kept.
package main

import "strings"

const maxDepth = 12

type visit func(path []string, f field)

// walk: every field below a type; lists by their first item, maps by one key. into says where to descend.
func (f *facts) walk(typ string, path []string, seen map[string]int, into func(path []string, typ string) bool, fn visit) {
	if len(path) > maxDepth || seen[typ] > 0 {
		return
	}
	seen[typ]++
	for _, x := range f.types[typ] {
		p := append(append([]string{}, path...), x.name)
		fn(p, x)
		form := x.form
		for strings.HasPrefix(form, "[]") || strings.HasPrefix(form, "{}") {
			p = append(p, form[:2])
			form = form[2:]
		}
		if _, ok := f.types[form]; ok && into(p, form) {
			f.walk(form, p, seen, into, fn)
		}
	}
	seen[typ]--
}

var every = []struct {
	name string
	of   func(form string) (any, bool)
}{{"wrong", wrong}, {"odd", odd}, {"good", good}, {"big", big},
	{"null", func(string) (any, bool) { return nil, true }}}

func inside(path []string, name string) bool {
	for _, p := range path {
		if p == name {
			return true
		}
	}
	return false
}

// What is asked of a field, by where it stands: everything once, the shared parts not again for each kind.
func variants(k *kind, path []string, inTemplate bool) string {
	switch {
	case inTemplate && k.name == "Deployment":
		return "odd"
	case inTemplate:
		return ""
	case path[0] == "metadata" && k.name == "ConfigMap":
		return "wrong odd good null"
	case path[0] == "metadata":
		return "odd"
	case k.name == "CustomResourceDefinition" && len(path) > 6:
		return "odd"
	}
	return "wrong odd good big null"
}

func (e *emitter) fields(f *facts, k *kind) {
	e.caseOf(k.label + "/fields")
	target := k.collection() + "?dryRun=All"
	base, _ := k.named(0, "fields")
	template := 0
	into := func(path []string, typ string) bool {
		if typ == "core/v1/PodTemplateSpec" && k.name != "Deployment" {
			return false
		}
		if typ == "meta/v1/ObjectMeta" && len(path) > 1 {
			return k.name == "Deployment"
		}
		return path[0] != "metadata" || k.name == "ConfigMap" || len(path) == 1
	}
	f.walk(k.typ, nil, map[string]int{}, into, func(path []string, x field) {
		if path[0] == "status" && len(path) > 1 {
			return
		}
		inTemplate := inside(path[:len(path)-1], "template")
		if inTemplate {
			template++
		}
		want := variants(k, path, inTemplate)
		for _, v := range every {
			value, ok := v.of(x.form)
			if ok && strings.Contains(want, v.name) {
				e.post(strings.Join(path, ".")+"/"+v.name, target, with(clone(base), path, value))
			}
		}
	})
}

// The fields of status, by updates of the subresource of one object.
func (e *emitter) statusFields(f *facts, k *kind) {
	has := false
	for _, s := range k.subs {
		has = has || s.name == "status" && s.typ == k.typ
	}
	if !has || !k.can("create") {
		return
	}
	e.caseOf(k.label + "/status-fields")
	base, name := k.named(0, "status-fields")
	e.post("create", k.collection(), base)
	target := k.collection() + "/" + name + "/status?dryRun=All"
	f.walk(k.typ, nil, map[string]int{}, func(path []string, _ string) bool { return path[0] == "status" }, func(path []string, x field) {
		if path[0] != "status" {
			return
		}
		for _, v := range every[:3] {
			if value, ok := v.of(x.form); ok {
				e.put(strings.Join(path, ".")+"/"+v.name, target, with(clone(base), path, value))
			}
		}
	})
}
