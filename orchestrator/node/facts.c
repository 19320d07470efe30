/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * facts: what this machine is: processors, memory, disk, identities; read once from /proc and /sys. Its
 * addresses are addresses.c's. Source: proc(5). */
#include "orchestrator/node/node_int.h"

#include "base/disk.h"
#include "base/rand.h"

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

/* huge_read: what the kernel reserved for huge pages of that size. */
static void
huge_read(struct node_huge *h, const char *name, int64_t bytes)
{
	char path[100], text[24];
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%lldkB/nr_hugepages",
		(long long)bytes / 1024);
	line_of(path, text, sizeof(text));
	*h = (struct node_huge){.bytes = bytes};
	if (text[0] && str_to_i64(str_c(text), &h->n) == 0)
		h->name = name;
}

void
facts_read(struct node *n)
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
	huge_read(&f->huge[0], "1Gi", 1LL << 30);
	huge_read(&f->huge[1], "2Mi", 2LL << 20);
	if (uname(&u) == 0)
		str_copy_c(str_c(u.release), f->kernel, sizeof(f->kernel));
	line_of("/proc/sys/kernel/random/boot_id", f->boot_id, sizeof(f->boot_id));
	line_of("/sys/class/dmi/id/product_uuid", f->system_uuid, sizeof(f->system_uuid));
	machine_id_keep(n);
	if (!f->system_uuid[0])
		str_copy_c(str_c(f->machine_id), f->system_uuid, sizeof(f->system_uuid));
}
