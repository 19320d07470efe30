# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Fault suite, area disk: one machine whose disk is recorded while clients write: whatever a power cut may
# leave of it, the file system and the object store open again, and nothing acknowledged is lost. Then power
# cuts of the machine itself, as QEMU is killed.
ctl down --grace 0 --forget >/dev/null 2>&1
disk=$tmp/c/node-1/data.img

# try COPY POSITION: run by replay for each disk: mended, read, its objects listed, and held against the
# history up to that moment.
cat >"$tmp/try" <<-E
	#!/bin/sh
	rm -rf "$tmp/control" "$tmp/cut.list"
	e2fsck -fy "\$1" >"$tmp/fsck.out" 2>&1
	[ \$? -lt 4 ] || { cat "$tmp/fsck.out"; exit 1; }
	debugfs -R 'rdump /control $tmp' "\$1" >"$tmp/debugfs.out" 2>&1
	"$tools/objects" "$tmp/control/store" load-disk >"$tmp/cut.list" || exit 1
	"$tools/check" --cut --relists --until "\$2" "$tmp/disk" "$tmp/cut.list" >"$tmp/cut.out" && exit 0
	cat "$tmp/cut.out"
	[ -z "${KEEP:-}" ] || cp "$tmp/cut.list" "$tmp/bad-\$2.list"
	exit 1
E
chmod +x "$tmp/try"

check 'a machine with a small disk' '1 machines started' up --nodes 1 --disk 1 --no-wait
check 'its power is cut' '' ctl kill node-1
check 'its disk is copied' '' cp --sparse=always "$disk" "$tmp/disk.img"
check 'it is up again, recorded' '' ctl start node-1 --kernel "$O/image/vmlinuz" --record-disk "$tmp/disk.log"
check 'it serves' 'serves' eventually 120 served node-1 1
from=$(stat -c %s "$tmp/disk.log")
load_start disk --disk "$tmp/disk.log" --pause 2
amount 5000 30000
moment "$n" "$n"
load_end disk
check 'its power is cut again' '' ctl kill node-1
amount 15 200
draw 1000000
check "$n disks as cuts may leave them" "$n of $n cuts left a good disk" \
	"$tools/replay" "$tmp/disk.log" "$tmp/disk.img" "$tmp/cut.img" "$drawn" "$n" "$from" "$tmp/try"
figure disk "$(tail -1 "$tmp/out")"
rm -f "$tmp"/disk.img "$tmp"/disk.log "$tmp"/cut.img

check 'the machine is up' '' on node-1
check 'it serves' 'serves' eventually 120 served node-1 2
load_start power
amount 1 20
power_cuts() {
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		moment 300 4000
		was=$(count node-1)
		ctl kill node-1 && on node-1 && eventually 120 served node-1 $((was + 1)) || return 1
	done
}
check "$n power cuts under load" '' power_cuts "$n"
load_end power --relists
