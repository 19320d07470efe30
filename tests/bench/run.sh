#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/bench/run.sh O PART...: `make bench`: figures, each with the floor of today and the target, under their
# conditions. A part is a file beside this one, in the words of lib.sh, or a program that prints its rows (figures.h).
# Figures judge nothing: the status is 0 unless a part could not run.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
O=$(cd "$1" && pwd)
shift
tmp=$(mktemp -d)
. "$top/tests/bench/lib.sh"
bench_end() { :; } # a part that holds something sets it
trap 'bench_end; server_stop; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

kvm=no
[ -w /dev/kvm ] && kvm=yes
echo "conditions: $(nproc) cores of '$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)'," \
	"load $(cut -d' ' -f1 /proc/loadavg), KVM $kvm, kernel $(uname -r)," \
	"build $(git -C "$top" describe --always --dirty 2>/dev/null || echo unknown) with gcc $(gcc -dumpversion)"
status=0
for part in "$@"; do
	echo "== $part"
	if [ -e "$top/tests/bench/$part.sh" ]; then
		. "$top/tests/bench/$part.sh" || status=1
	else
		"$O/musl/bench/${part}_bench" >"$tmp/rows" || status=1
		rows <"$tmp/rows"
	fi
done
exit $status
