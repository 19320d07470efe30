#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/peers/build.sh NAME...: builds upstream's own programs, and prints the path of each.
#
# The peers Keelson is measured against: kubectl and kube-apiserver, e2e.test with ginkgo and what its pods run
# (agnhost, nonewprivs, sample-apiserver), of the release that go.mod pins; and etcd, of the release it is made
# for (etcd/go.mod). Place in the flow: called by the tests that need one. go.mod and go.sum are all that is
# kept here; the sources come as Go modules, verified by go.sum.
# Invariants: a program is stamped with its release; it is kept in the project's cache under a key of all
# that went in (go.mod, go.sum, how this file builds, the compiler), so that a second call takes no time.
# Must not: write into the tree, name a host.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=$("$here/../../deps/fetch.sh" --cache)/peers

command -v go >/dev/null || {
	echo "peers: the Go compiler is needed ($(awk '$1 == "go" { print $2 }' "$here/go.mod"), or any since 1.21)" >&2
	exit 1
}
export GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" GOFLAGS=-mod=readonly CGO_ENABLED=0
release=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }' "$here/go.mod")
minor=${release#v1.}
stamp=
for at in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	stamp="$stamp -X $at.gitVersion=$release -X $at.gitMajor=1 -X $at.gitMinor=${minor%%.*}"
	stamp="$stamp -X $at.gitTreeState=archive -X $at.buildDate=1970-01-01T00:00:00Z"
done
for name in "$@"; do
	module=$here
	case $name in
	kubectl | kube-apiserver) how=build what=k8s.io/kubernetes/cmd/$name ;;
	e2e.test) how="test -c -vet=off" what=k8s.io/kubernetes/test/e2e ;;
	etcd) how=build what=go.etcd.io/etcd/server/v3 module=$here/etcd ;;
	ginkgo) how=build what=github.com/onsi/ginkgo/v2/ginkgo ;;
	agnhost | nonewprivs) how=build what=k8s.io/kubernetes/test/images/$name ;;
	sample-apiserver) how=build what=k8s.io/sample-apiserver ;;
	*) echo "peers: no program is called '$name'" >&2 && exit 1 ;;
	esac
	cd "$module"
	key=$({ cat go.mod go.sum && sed '/) how=/d' "$here/build.sh" && go version; } | sha256sum | cut -c1-16)
	to=$cache/$name-$release-$key
	if ! [ -x "$to/$name" ]; then
		echo "peers: building $name $release" >&2
		mkdir -p "$to"
		# shellcheck disable=SC2086
		nice go $how -p 2 -trimpath -ldflags "-s -w$stamp" -o "$to/$name.$$" $what >&2
		mv "$to/$name.$$" "$to/$name"
	fi
	echo "$to/$name"
done
