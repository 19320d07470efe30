/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * devices: see devices.h. The program: one block of at most 8 instructions per rule; a block that
 * matches ends with 1 (allowed), behind the last one stands 0. */
#include "orchestrator/runtime/devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_RULES 400
#define MAX_HOST_NODES 2048
#define INSNS_PER_RULE 8

const struct device_node devices_default[] = {
	{"/dev/null", false, 1, 3, 0666, 0, 0},
	{"/dev/zero", false, 1, 5, 0666, 0, 0},
	{"/dev/full", false, 1, 7, 0666, 0, 0},
	{"/dev/random", false, 1, 8, 0666, 0, 0},
	{"/dev/urandom", false, 1, 9, 0666, 0, 0},
	{"/dev/tty", false, 5, 0, 0666, 0, 0},
};
const size_t devices_n_default = ARRAY_LEN(devices_default);

static const struct device_rule default_rules[] = {
	{false, true, -1, -1, false, false, true}, /* nodes of any kind may be made, not opened */
	{false, false, 1, 3, true, true, true}, {false, false, 1, 5, true, true, true},
	{false, false, 1, 7, true, true, true}, {false, false, 1, 8, true, true, true},
	{false, false, 1, 9, true, true, true}, {false, false, 5, 0, true, true, true},
	{false, false, 5, 1, true, true, true},    /* console */
	{false, false, 5, 2, true, true, true},    /* ptmx */
	{false, false, 136, -1, true, true, true}, /* pts */
};

static int
node_add(struct arena *a, const char *host, struct str target, struct device_node **nodes,
	size_t *n_nodes, struct device_node *ret, struct err *e)
{
	struct stat st = {0};
	struct device_node *d = NULL;

	if (stat(host, &st))
		return err_errno(e, -errno, "device '%s'", host);
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL, R_INVALID, "'%s' is not a device node", host);
	d = ARENA_PUSH(a, *nodes, *n_nodes);
	if (!d)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	*d = (struct device_node){arena_cstr(a, target), S_ISBLK(st.st_mode), major(st.st_rdev),
		minor(st.st_rdev), st.st_mode & 0777, st.st_uid, st.st_gid};
	*ret = *d;
	return 0;
}

/* Privileged: what lies in the host's /dev, the terminals' folder and shared memory left out. */
static int
host_nodes(struct arena *a, const char *dir, struct device_node **nodes, size_t *n, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *de = NULL;

	while (d && (de = readdir(d)) && *n < MAX_HOST_NODES) {
		struct device_node unused = {0};
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		if (de->d_type != DT_CHR && de->d_type != DT_BLK)
			continue;
		if (strcmp(de->d_name, "console") == 0 || strcmp(de->d_name, "ptmx") == 0)
			continue;
		node_add(a, path, str_c(path), nodes, n, &unused, e); /* may have gone meanwhile */
	}
	if (d)
		closedir(d);
	return 0;
}

int
devices_resolve(struct arena *a, const struct runtime_container_spec *s,
	struct device_node **ret_nodes, size_t *ret_n_nodes, struct device_rule **ret_rules,
	size_t *ret_n_rules, struct err *e)
{
	static const char *const folders[] = {"/dev", "/dev/net", "/dev/dri", "/dev/mapper",
		"/dev/input", "/dev/snd", "/dev/vfio", "/dev/bus/usb"};
	struct device_node *nodes = NULL;
	struct device_rule *rules = NULL;
	size_t n_nodes = 0;
	size_t n_rules = 0;

	for (size_t i = 0; s->privileged && i < ARRAY_LEN(folders); i++)
		host_nodes(a, folders[i], &nodes, &n_nodes, NULL);
	if (s->privileged) {
		struct device_rule *r = ARENA_PUSH(a, rules, n_rules);

		if (r)
			*r = (struct device_rule){false, true, -1, -1, true, true, true};
	}
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct runtime_device *d = &s->devices[i];
		struct device_node node = {0};
		struct device_rule *r = NULL;
		char *host = arena_cstr(a, d->source);
		int rc = host ? node_add(a, host, d->target, &nodes, &n_nodes, &node, e)
			      : err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");

		if (rc)
			return rc;
		r = ARENA_PUSH(a, rules, n_rules);
		if (!r)
			return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		*r = (struct device_rule){
			node.block, false, node.major, node.minor, d->read, d->write, d->mknod};
	}
	if (n_rules > MAX_RULES - ARRAY_LEN(default_rules))
		return err_set(e, -E2BIG, R_INVALID, "too many devices");
	*ret_nodes = nodes;
	*ret_n_nodes = n_nodes;
	*ret_rules = rules;
	*ret_n_rules = n_rules;
	return arena_failed(a) ? err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory") : 0;
}

/* ---- the program ---- */

struct prog {
	struct bpf_insn code[MAX_RULES * INSNS_PER_RULE + 16];
	size_t n;
};

static void
op(struct prog *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	p->code[p->n++] = (struct bpf_insn){
		.code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}

/* R2 = type, R3 = access, R4 = major, R5 = minor. A failed test jumps behind the rule's block. */
static void
rule(struct prog *p, const struct device_rule *r)
{
	size_t from = p->n;
	uint32_t access = (r->mknod ? BPF_DEVCG_ACC_MKNOD : 0) |
		(r->read ? BPF_DEVCG_ACC_READ : 0) | (r->write ? BPF_DEVCG_ACC_WRITE : 0);

	if (!r->any_type)
		op(p, BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0,
			r->block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	/* R1 = what is asked for beyond what the rule allows: must be nothing. */
	op(p, BPF_ALU | BPF_MOV | BPF_X, 1, 3, 0, 0);
	op(p, BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, (int32_t)~access);
	op(p, BPF_JMP | BPF_JNE | BPF_K, 1, 0, 0, 0);
	if (r->major >= 0)
		op(p, BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int32_t)r->major);
	if (r->minor >= 0)
		op(p, BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int32_t)r->minor);
	op(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
	op(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = from; i < p->n; i++)
		if (p->code[i].code == (BPF_JMP | BPF_JNE | BPF_K))
			p->code[i].off = (int16_t)(p->n - i - 1);
}

static long
bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int
devices_attach(int cgroup_fd, const struct device_rule *rules, size_t n, struct err *e)
{
	static const char license[] = "Apache-2.0";
	struct arena *a = arena_new(0);
	struct prog *p = a ? ARENA_NEW(a, struct prog) : NULL;
	union bpf_attr attr;
	_cleanup_fd_ int fd = -1;
	int rc = 0;

	if (!p || n > MAX_RULES - ARRAY_LEN(default_rules)) {
		arena_free(a);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	op(p, BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	op(p, BPF_ALU | BPF_MOV | BPF_X, 3, 2, 0, 0);
	op(p, BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
	op(p, BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
	op(p, BPF_LDX | BPF_MEM | BPF_W, 4, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	op(p, BPF_LDX | BPF_MEM | BPF_W, 5, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	for (size_t i = 0; i < ARRAY_LEN(default_rules); i++)
		rule(p, &default_rules[i]);
	for (size_t i = 0; i < n; i++)
		rule(p, &rules[i]);
	op(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	op(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)p->code;
	attr.insn_cnt = (uint32_t)p->n;
	attr.license = (uint64_t)(uintptr_t)license;
	fd = (int)bpf(BPF_PROG_LOAD, &attr);
	rc = fd < 0 ? -errno : 0;
	if (!rc) {
		memset(&attr, 0, sizeof(attr));
		attr.target_fd = (uint32_t)cgroup_fd;
		attr.attach_bpf_fd = (uint32_t)fd;
		attr.attach_type = BPF_CGROUP_DEVICE;
		attr.attach_flags = BPF_F_ALLOW_MULTI;
		rc = bpf(BPF_PROG_ATTACH, &attr) ? -errno : 0;
	}
	arena_free(a);
	return rc ? err_errno(e, rc, "device rules") : 0;
}
