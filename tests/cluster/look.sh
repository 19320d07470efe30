# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/look.sh: what a machine holds, seen by a privileged pod of it (hostPID, image nft); to be fed to a
# shell in that pod. One line each, "role NAME OWN-KiB DESCRIPTORS CPU-ms FILE-KiB" for PID 1 and the roles, and
# "count WHAT N". OWN is anonymous memory; FILE is what is mapped of files, the program first of all, of which all roles
# share one copy: the machine's kernel does not divide it among them (no smaps). Few processes: machines are emulated.
for p in $({ echo 1; grep -l '^keelson' /proc/[0-9]*/cmdline | cut -d/ -f3; } | sort -nu); do
	name=$(tr '\0' ' ' </proc/$p/cmdline | cut -d' ' -f2)
	[ "$p" != 1 ] || name=init
	own=$(awk '/^RssAnon:/ { own = $2 } /^RssFile:|^RssShmem:/ { n += $2 } END { print own, n }' /proc/$p/status)
	cpu=$(sed 's/.*) //' /proc/$p/stat | awk '{ print ($12 + $13) * 10 }')
	set -- /proc/$p/fd/*
	echo "role $name ${own% *} $# $cpu ${own#* }"
done
ls -l /proc/[0-9]*/ns/ | sed -n 's/.* -> \([a-z]*\):\(.*\)/\1 \2/p' | sort -u | awk '
	/^(net|ipc|uts|mnt|pid) / { n[$1]++ } END { for (k in n) print "count namespaces-" k, n[k] }' | sort
# what holds a namespace without a process is a mount of it
awk '/ - nsfs / { kept++ } END { print "count namespaces-kept", kept + 0; print "count mounts", NR }' /proc/1/mountinfo
awk 'END { print "count interfaces", NR - 2 }' /proc/1/net/dev
awk 'END { print "count routes", NR - 1 }' /proc/1/net/route
find /proc/1/root/sys/fs/cgroup -type d | awk 'END { print "count cgroups", NR }'
nsenter --net=/proc/1/ns/net nft list ruleset | awk 'END { print "count nf_tables", NR }'
grep -l . /proc/[0-9]*/cmdline | awk 'END { print "count processes", NR }'
