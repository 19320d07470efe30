#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/image/run.sh O: what the image is held to: the same sources give the same bytes wherever they lie and
# wherever they are built to (program with its debug information, and initramfs), and kernel and initramfs are
# small. The program is compiled a second time here, without a compiler cache; the kernel is not: its own
# recipe fixes user, host, time and version (kernel-config/build.sh).
set -u

O=$1
image_max=$((24 << 20))
passed=0 failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ok() { passed=$((passed + 1)); echo "ok   $*"; }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }

same() {
	if cmp -s "$O/$1" "$tmp/out/$1"; then
		ok "$1 is the same bytes from another folder: $(sha256sum <"$O/$1" | cut -c1-16)"
	else
		bad "$1 differs: $(cmp "$O/$1" "$tmp/out/$1" 2>&1)"
	fi
}

mkdir -p "$tmp/some/where/else"
git ls-files -co --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done |
	tar -cf - -T - | tar -xf - -C "$tmp/some/where/else"
if ${MAKE:-make} -C "$tmp/some/where/else" O="$tmp/out" CC=musl-gcc image >"$tmp/log" 2>&1; then
	same bin/keelson
	same image/initramfs
else
	tail -20 "$tmp/log"
	bad "building in another folder"
fi
size=$(cat "$O/image/vmlinuz" "$O/image/initramfs" | wc -c)
if [ "$size" -le $image_max ]; then
	ok "kernel and initramfs are $size bytes, at most $image_max"
else
	bad "kernel and initramfs are $size bytes, more than $image_max"
fi
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
