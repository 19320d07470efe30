# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/look.sh: what a machine holds, seen by a privileged pod of it (hostPID, image nft); to be fed to a
# shell in that pod. One line each, "role NAME OWN-KiB DESCRIPTORS CPU-ms PSS-KiB" for PID 1 and the roles, and
# "count WHAT N". OWN is anonymous memory; PSS counts what is shared, the program first of all, once for all who share
# it. Few processes: machines are emulated.
for p in $({ echo 1; grep -l '^keelson' /proc/[0-9]*/cmdline | cut -d/ -f3; } | sort -nu); do
	name=$(tr '\0' ' ' </proc/$p/cmdline | cut -d' ' -f2)
	[ "$p" != 1 ] || name=init
	own=$(awk '/^RssAnon:/ { print $2 }' /proc/$p/status)
	pss=$(awk '/^Pss:/ { print $2 }' /proc/$p/smaps_rollup)
	cpu=$(sed 's/.*) //' /proc/$p/stat | awk '{ print ($12 + $13) * 10 }')
	set -- /proc/$p/fd/*
	echo "role $name $own $# $cpu $pss"
done
ls -l /proc/[0-9]*/ns/ | sed -n 's/.* -> \([a-z]*\):\(.*\)/\1 \2/p' | sort -u | awk '
	/^(net|ipc|uts|mnt|pid) / { n[$1]++ } END { for (k in n) print "count namespaces-" k, n[k] }' | sort
# what holds a namespace without a process is a mount of it
awk '/ - nsfs / { kept++ } END { print "count namespaces-kept", kept + 0; print "count mounts", NR }' /proc/1/mountinfo
awk '/^ *kp[0-9]/ { veths++ } END { print "count interfaces", NR - 2; print "count veths", veths + 0 }' /proc/1/net/dev
awk 'END { print "count routes", NR - 1 }' /proc/1/net/route
find /proc/1/root/sys/fs/cgroup -type d | awk 'END { print "count cgroups", NR }'
# Rules are not looked at: nft cannot print some of ours. An element stands between braces, with commas.
nft=$(nsenter --net=/proc/1/ns/net nft 'list sets; list maps; list chains') || exit 1
echo "$nft" | awk '
	/^\t(set|map) / { sets++ }
	/^\tchain / { chains++ }
	/elements = \{/ { inside = 1; n++ }
	inside { n += gsub(/,/, ""); if (/\}/) inside = 0 }
	END { print "count nf_tables-sets", sets + 0; print "count nf_tables-chains", chains + 0; print "count nf_tables-elements", n + 0 }'
# those of the last ten seconds may be on their way: pods and this script run commands
cat /proc/[0-9]*/stat 2>/dev/null | sed 's/^[0-9]* (\(.*\)) /\1|/' | awk -F '|' -v up="$(cut -d' ' -f1 /proc/uptime)" '
	{ split($2, f, " "); gsub(/ /, "_", $1) }
	f[2] != 2 && $1 != "kthreadd" && up - f[20] / 100 >= 10 { n[$1]++ }
	END { for (k in n) print "count processes-" k, n[k] }' | sort
