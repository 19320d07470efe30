// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// The corpus as text (its form: tests/oracle/oracle.h), and objects with a name and with a change.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type emitter struct {
	w     *bufio.Writer
	steps map[string]int
	n     int
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func (e *emitter) caseOf(name string) {
	fmt.Fprintln(e.w, "C", name)
	e.steps = map[string]int{}
}

// Options of a step are lines of their own.
func header(name, value string) string { return "H " + name + ": " + value }
func capture(name, path string) string { return "V " + name + " " + path }
func events(n int) string              { return fmt.Sprint("W ", n) }
func parts(path string) string         { return "P " + path }
func accept(value string) string       { return header("Accept", value) }

const (
	jsonType  = "application/json"
	tableType = "application/json;as=Table;v=v1;g=meta.k8s.io"
)

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	check(err)
	return string(b)
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "\n", `\n`)
}

func (e *emitter) raw(name, method, target, contentType, body string, opts ...string) {
	if e.steps[name]++; e.steps[name] > 1 {
		name = fmt.Sprintf("%s-%d", name, e.steps[name])
	}
	e.n++
	fmt.Fprintf(e.w, "S %s\nM %s\nT %s\n", name, method, target)
	accepts := false
	for _, o := range opts {
		accepts = accepts || strings.HasPrefix(o, "H Accept:")
	}
	if !accepts {
		fmt.Fprintln(e.w, "H Accept: "+jsonType)
	}
	if contentType != "" {
		fmt.Fprintln(e.w, "H Content-Type: "+contentType)
	}
	if body != "" {
		fmt.Fprintln(e.w, "B "+escape(body))
	}
	for _, o := range opts {
		fmt.Fprintln(e.w, o)
	}
}

func (e *emitter) get(name, target string, opts ...string) {
	e.raw(name, "GET", target, "", "", opts...)
}
func (e *emitter) post(name, target string, body any, opts ...string) {
	e.raw(name, "POST", target, jsonType, text(body), opts...)
}
func (e *emitter) put(name, target string, body any, opts ...string) {
	e.raw(name, "PUT", target, jsonType, text(body), opts...)
}
func (e *emitter) del(name, target string, body any, opts ...string) {
	t := ""
	if body != nil {
		t = jsonType
	}
	e.raw(name, "DELETE", target, t, text(body), opts...)
}

var patchTypes = map[string]string{"json": "application/json-patch+json", "merge": "application/merge-patch+json",
	"strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml"}

func (e *emitter) patch(name, target, how string, body any, opts ...string) {
	e.raw(name, "PATCH", target, patchTypes[how], text(body), opts...)
}

// clone: a copy of any value.
func clone(v any) any {
	switch v := v.(type) {
	case object:
		m := object{}
		for k, x := range v {
			m[k] = clone(x)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = clone(x)
		}
		return l
	}
	return v
}

func child(o object, name string) object {
	m, ok := o[name].(object)
	if !ok {
		m = object{}
		o[name] = m
	}
	return m
}

// with: o with the value at the path; names, and "[]" for the first item of a list, "{}" for a key of a map.
func with(o any, path []string, v any) any {
	if len(path) == 0 {
		return v
	}
	switch path[0] {
	case "[]":
		l, _ := o.([]any)
		if len(l) == 0 {
			l = []any{object{}}
		}
		l[0] = with(l[0], path[1:], v)
		return l
	case "{}":
		m, _ := o.(object)
		key := "key"
		if m == nil {
			m = object{}
		}
		m[key] = with(m[key], path[1:], v)
		return m
	}
	m, ok := o.(object)
	if !ok {
		m = object{}
	}
	m[path[0]] = with(m[path[0]], path[1:], v)
	return m
}

// named: the i-th valid object of the kind under a name of its own; and that name.
func (k *kind) named(i int, tag string) (object, string) {
	k.count++
	o := clone(k.bases[i]).(object)
	o["apiVersion"], o["kind"] = k.apiVersion(), k.name
	meta := child(o, "metadata")
	if _, ok := meta["name"]; !ok && !k.isReview() {
		meta["name"] = tag
	}
	if k.namespaced {
		meta["namespace"] = k.ns()
	}
	r := strings.NewReplacer("@ns", k.ns(), "@name", tag, "192.168.7.@n", fmt.Sprintf("192.168.%d.%d", k.count/250, k.count%250+1))
	var out object
	check(json.Unmarshal([]byte(r.Replace(text(o))), &out))
	given, _ := child(out, "metadata")["name"].(string)
	return out, given
}

func labelled(o object, key, value string) object {
	return with(clone(o), []string{"metadata", "labels", key}, value).(object)
}

func set(o object, v any, path ...string) object { return with(clone(o), path, v).(object) }
