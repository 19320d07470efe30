// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// The facts of the API (tests/api/facts) and the valid objects (objects.json), and values of every form.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
)

type object = map[string]any

type field struct {
	name, form string
	required   bool
}

type kind struct {
	group, version, name, plural string
	namespaced                   bool
	verbs                        string
	subs                         []subresource
	label                        string // what its cases are called after
	typ                          string
	bases                        []object
	count                        int // of names given out
}

type subresource struct{ name, typ, verbs string }

type facts struct {
	types map[string][]field
	kinds []*kind
	bases map[string][]object
}

func lines(path string) []string {
	f, err := os.Open(path)
	check(err)
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if t := s.Text(); t != "" && t[0] != '#' {
			all = append(all, t)
		}
	}
	return all
}

func readFacts(dir, objects string) *facts {
	f := &facts{types: map[string][]field{}, bases: map[string][]object{}}
	typ := ""
	for _, l := range lines(dir + "/types.txt") {
		w := strings.Fields(l)
		switch w[0] {
		case "T":
			typ = w[1]
			f.types[typ] = []field{}
		case "I":
		default:
			f.types[typ] = append(f.types[typ], field{w[0], w[1], strings.Contains(l, " required")})
		}
	}
	f.readBases(objects)
	seen := map[string]bool{}
	for _, l := range lines(dir + "/kinds.txt") {
		w := strings.Fields(l)
		k := &kind{group: w[0], version: w[1], name: w[2], plural: w[4], namespaced: w[8] == "Namespaced", verbs: w[9]}
		k.label, k.typ = k.name, k.group+"/"+k.version+"/"+k.name
		if seen[k.label] {
			k.label = k.name + "." + strings.Split(k.group, ".")[0] + "." + k.version
		}
		seen[k.label] = true
		for _, s := range strings.Split(w[11], ",") {
			if p := strings.Split(s, ":"); len(p) == 3 {
				k.subs = append(k.subs, subresource{p[0], p[1], p[2]})
			}
		}
		k.bases = f.bases[k.group+"/"+k.version+" "+k.name]
		f.kinds = append(f.kinds, k)
	}
	return f
}

func (f *facts) readBases(path string) {
	text, err := os.ReadFile(path)
	check(err)
	var all map[string]json.RawMessage
	check(json.Unmarshal(text, &all))
	for name, raw := range all {
		if name[0] != '@' {
			raw = []byte(strings.ReplaceAll(string(raw), `"@template"`, string(all["@template"])))
			var list []object
			check(json.Unmarshal(raw, &list))
			f.bases[name] = list
		}
	}
}

func (k *kind) apiVersion() string {
	if k.group == "core" {
		return k.version
	}
	return k.group + "/" + k.version
}

func (k *kind) root() string {
	if k.group == "core" {
		return "/api/" + k.version
	}
	return "/apis/" + k.group + "/" + k.version
}

func (k *kind) ns() string {
	return "oracle-" + strings.ToLower(strings.ReplaceAll(k.label, ".", "-"))
}

func (k *kind) collection() string {
	if k.namespaced {
		return k.root() + "/namespaces/" + k.ns() + "/" + k.plural
	}
	return k.root() + "/" + k.plural
}

func (k *kind) can(verb string) bool {
	return strings.Contains(","+k.verbs+",", ","+verb+",")
}

// A question rather than an object: it has no name.
func (k *kind) isReview() bool { return !k.can("get") && k.name != "Binding" }

// Values of a form: of another type, of the type but odd, plausible. ok = there is one.
func wrong(form string) (any, bool) {
	switch form {
	case "string", "bytes":
		return 7, true
	case "any":
		return nil, false
	case "IntOrString":
		return true, true
	}
	return "x!", true
}

func odd(form string) (any, bool) {
	if s, ok := strings.CutPrefix(form, "[]"); ok {
		if v, ok := odd(s); ok {
			return []any{v}, true
		}
		return nil, false
	}
	if s, ok := strings.CutPrefix(form, "{}"); ok {
		if v, ok := odd(s); ok {
			return object{"Odd Key!": v}, true
		}
		return nil, false
	}
	switch form {
	case "string":
		return "Odd Value!", true
	case "int32", "int64", "double":
		return -1, true
	case "bool":
		return true, true
	case "bytes":
		return "!!", true
	case "Quantity":
		return "-1.5", true
	case "Time":
		return "2020-01-01T00:00:00+02:00", true
	case "MicroTime":
		return "2020-01-01T00:00:00.123Z", true
	case "Duration":
		return "-1s", true
	case "IntOrString":
		return "200%", true
	case "object", "any":
		return object{"a": object{"b": []any{1}}}, true
	}
	return object{}, !strings.Contains(form, "|")
}

func good(form string) (any, bool) {
	if s, ok := strings.CutPrefix(form, "[]"); ok {
		if v, ok := good(s); ok {
			return []any{v}, true
		}
		return nil, false
	}
	if s, ok := strings.CutPrefix(form, "{}"); ok {
		if v, ok := good(s); ok {
			return object{"abc": v}, true
		}
		return nil, false
	}
	switch form {
	case "string":
		return "abc", true
	case "int32", "int64", "IntOrString", "double":
		return 1, true
	case "bool":
		return false, true
	case "bytes":
		return "YWJj", true
	case "Quantity":
		return "1500m", true
	case "Time":
		return "2020-01-01T00:00:00Z", true
	case "MicroTime":
		return "2020-01-01T00:00:00.000000Z", true
	case "Duration":
		return "1m", true
	}
	return nil, false
}

// A number that the form cannot hold.
func big(form string) (any, bool) {
	switch form {
	case "int32":
		return 3000000000, true
	case "int64":
		return 1.5, true
	}
	return nil, false
}
