# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part size: bytes of what is shipped. The same on every machine.
mib() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1048576 }'; }
bytes() { wc -c <"$1"; }

strip -s -o "$tmp/init" "$O/bin/keelson"
row 'program, stripped' "$(mib "$(bytes "$tmp/init")")" MiB '<=' - -
row 'initramfs (the program, compressed)' "$(mib "$(bytes "$O/image/initramfs")")" MiB '<=' - -
row 'kernel' "$(mib "$(bytes "$O/image/vmlinuz")")" MiB '<=' - -
row 'image: kernel and everything' "$(mib "$(cat "$O/image/vmlinuz" "$O/image/initramfs" | wc -c)")" MiB '<=' 24 16
