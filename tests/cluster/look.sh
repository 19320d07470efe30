# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/cluster/look.sh: what a machine holds, seen by a privileged pod of it (hostPID, image nft); to be fed to a
# shell in that pod. One line each, "role NAME OWN-KiB DESCRIPTORS CPU-ms FILE-KiB" for PID 1 and the roles, and
# "count WHAT N". OWN is anonymous memory; FILE is what is mapped of files, the program first of all, of which all roles
# share one copy: the machine's kernel does not divide it among them (no smaps).
for p in /proc/[0-9]*; do
	line=$(tr '\0' ' ' <$p/cmdline)
	case $line in
	'keelson '*) name=${line#keelson } name=${name%% *} ;;
	*) [ $p = /proc/1 ] || continue; name=init ;;
	esac
	file=$(awk '/^RssFile:|^RssShmem:/ { n += $2 } END { print n }' $p/status)
	echo "role $name $(awk '/^RssAnon:/ { print $2 }' $p/status) $(ls $p/fd | wc -l)" \
		"$(sed 's/.*) //' $p/stat | awk '{ print ($12 + $13) * 10 }') $file"
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
