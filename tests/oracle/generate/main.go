// Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0

// generate: writes the corpus that both servers are asked (its form: tests/oracle/oracle.h): for every kind of
// the facts its life, lists, watches, deletions, errors and every field wrong in turn; and what belongs to no kind.
//
//	generate FACTS-DIR OBJECTS CORPUS
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
)

func sortedKeys(o object) []string {
	var all []string
	for k := range o {
		all = append(all, k)
	}
	sort.Strings(all)
	return all
}

// Kinds whose objects change what the server itself serves come last.
func late(k *kind) bool {
	return k.name == "CustomResourceDefinition" || k.name == "APIService" || k.name == "ServiceCIDR"
}

func (e *emitter) kind(f *facts, k *kind) {
	e.creates(k)
	if k.can("get") {
		e.life(k)
		e.lists(k)
		e.watches(k)
		e.deletes(k)
		e.subresources(f, k)
		e.statusFields(f, k)
	}
	e.errors(k)
	e.strict(k)
	e.fields(f, k)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: generate FACTS-DIR OBJECTS CORPUS")
		os.Exit(2)
	}
	f := readFacts(os.Args[1], os.Args[2])
	out, err := os.Create(os.Args[3])
	check(err)
	e := &emitter{w: bufio.NewWriter(out)}
	e.server(f)
	e.prepare(f)
	for _, last := range []bool{false, true} {
		for _, k := range f.kinds {
			if late(k) != last || k.name == "ComponentStatus" {
				continue
			}
			if len(k.bases) == 0 {
				fmt.Fprintln(os.Stderr, "generate: no object of", k.typ)
				os.Exit(1)
			}
			e.kind(f, k)
		}
	}
	check(e.w.Flush())
	check(out.Close())
	fmt.Println(e.n, "requests")
}
