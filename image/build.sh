#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# image/build.sh O FILE: packs O/bin/keelson into the initramfs FILE. The same program gives the same
# bytes: image/mkcpio writes no times and owners, zstd runs with one thread's output.
set -eu

o=$1 file=$2
tmp=$file.tmp
mkdir -p "$tmp"
trap 'rm -rf "$tmp"' EXIT
strip -s -o "$tmp/init" "$o/bin/keelson"
sed "s,@INIT@,$tmp/init," image/initramfs.list >"$tmp/list"
"$o/bin/mkcpio" "$tmp/list" >"$tmp/cpio"
zstd -q -15 --single-thread --no-progress -f "$tmp/cpio" -o "$tmp/zst"
mv "$tmp/zst" "$file"
