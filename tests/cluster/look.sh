# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/look.sh: what a machine holds, seen by a privileged pod of it (hostPID, image nft); to be fed to a
# shell in that pod. One line each, "role NAME PSS-KiB DESCRIPTORS CPU-ns" for PID 1 and the roles, and "count WHAT N".
for p in /proc/[0-9]*; do
	line=$(tr '\0' ' ' <$p/cmdline)
	case $line in
	'keelson '*) name=${line#keelson } name=${name%% *} ;;
	*) [ $p = /proc/1 ] || continue; name=init ;;
	esac
	echo "role $name $(awk '/^Pss:/ { print $2 }' $p/smaps_rollup)" \
		"$(ls $p/fd | wc -l) $(cat $p/task/*/schedstat | awk '{ n += $1 } END { printf "%.0f", n }')"
done
count() { echo "count $1 $(wc -l)"; }
for kind in net ipc uts mnt pid; do
	for p in /proc/[0-9]*; do readlink $p/ns/$kind; done | sort -u | count "namespaces-$kind"
done
# what holds a namespace without a process is a mount of it
grep ' - nsfs ' /proc/1/mountinfo | count namespaces-kept
count mounts </proc/1/mountinfo
tail -n +3 /proc/1/net/dev | count interfaces
tail -n +2 /proc/1/net/route | count routes
find /proc/1/root/sys/fs/cgroup -type d | count cgroups
nsenter --net=/proc/1/ns/net nft list ruleset | count nf_tables
for p in /proc/[0-9]*; do tr '\0\n' '  ' <$p/cmdline; echo; done | grep -v '^$' | count processes
