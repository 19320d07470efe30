/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * facts: what this machine is: processors, memory, disk, addresses, identities; read once from /proc, /sys
 * and the kernel's interface list. Source: proc(5), getifaddrs(3). */
#include "orchestrator/node/node_int.h"

#include "base/disk.h"
#include "base/rand.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

static void
line_of(const char *path, char *out, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	out[0] = 0;
	if (disk_read_file(path, 4096, &b) == 0)
		str_copy_c(str_trim(buf_view(&b)), out, size);
}

static int64_t
meminfo(const char *field)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t kb = 0;
	if (disk_read_file("/proc/meminfo", 65536, &b) < 0)
		return 0;
	struct str rest = buf_view(&b), line, name, value;
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(line, ':', &name, &value) || !str_eq_c(name, field))
			continue;
		str_cut(str_trim(value), ' ', &value, &name);
		str_to_i64(value, &kb);
	}
	return kb * 1024;
}

int64_t
facts_memory_available(void)
{
	return meminfo("MemAvailable");
}

/* addr_score: how good an address is as the node's: global ones of the wanted interface. */
static bool
addr_usable(const struct ip_addr *a)
{
	if (ip_is_loopback(a) || (a->family == 4 && a->b[0] == 169 && a->b[1] == 254))
		return false;
	return !(a->family == 6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

static void
addrs_read(struct node *n)
{
	struct node_facts *f = &n->facts;
	struct ifaddrs *all = NULL;
	struct ip_addr found[2] = {0};
	char want[16];
	str_copy_c(n->cfg->network.interface, want, sizeof(want));
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct ip_addr a = {0};
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) ||
			(want[0] && strcmp(want, i->ifa_name) != 0) ||
			strncmp(i->ifa_name, "kp", 2) == 0 ||
			strncmp(i->ifa_name, "keelson", 7) == 0)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			a.family = 4;
			memcpy(a.b, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, 4);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			a.family = 6;
			memcpy(a.b, &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr, 16);
		}
		struct ip_addr *slot = &found[a.family == 6];
		if (!a.family || !addr_usable(&a) || slot->family)
			continue;
		if (f->uplink[0] && strcmp(f->uplink, i->ifa_name) != 0)
			continue;
		str_copy_c(str_c(i->ifa_name), f->uplink, sizeof(f->uplink));
		*slot = a;
	}
	freeifaddrs(all);
	f->n_ips = 0;
	for (size_t i = 0; i < 2; i++)
		if (found[i].family)
			f->ips[f->n_ips++] = found[i];
}

/* machine_id_keep: the id of /etc or one of our own, kept with the node's state. */
static void
machine_id_keep(struct node *n)
{
	char path[NODE_PATH], uuid[37];
	snprintf(path, sizeof(path), "%s/machine-id", n->dir);
	line_of("/etc/machine-id", n->facts.machine_id, sizeof(n->facts.machine_id));
	if (!n->facts.machine_id[0])
		line_of(path, n->facts.machine_id, sizeof(n->facts.machine_id));
	if (n->facts.machine_id[0])
		return;
	rand_uuid(uuid);
	size_t k = 0;
	for (size_t i = 0; uuid[i]; i++)
		if (uuid[i] != '-')
			n->facts.machine_id[k++] = uuid[i];
	n->facts.machine_id[k] = 0;
	disk_write_file(path, str_c(n->facts.machine_id), 0644);
}

int
facts_read(struct node *n, struct err *e)
{
	struct node_facts *f = &n->facts;
	cpu_set_t set;
	struct statvfs v;
	struct utsname u;
	CPU_ZERO(&set);
	f->cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	f->memory_bytes = meminfo("MemTotal");
	if (statvfs(n->dir, &v) == 0)
		f->disk_bytes = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
	f->pods = 110;
	if (uname(&u) == 0)
		str_copy_c(str_c(u.release), f->kernel, sizeof(f->kernel));
	line_of("/proc/sys/kernel/random/boot_id", f->boot_id, sizeof(f->boot_id));
	line_of("/sys/class/dmi/id/product_uuid", f->system_uuid, sizeof(f->system_uuid));
	machine_id_keep(n);
	if (!f->system_uuid[0])
		str_copy_c(str_c(f->machine_id), f->system_uuid, sizeof(f->system_uuid));
	addrs_read(n);
	if (f->n_ips == 0)
		return err_set(e, -EADDRNOTAVAIL, R_UNKNOWN, "no address on any interface");
	return 0;
}
