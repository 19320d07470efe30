/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * state: see state.h. Field numbers are the format: new fields get new numbers. */
#include "orchestrator/runtime/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "orchestrator/runtime/fsutil.h"

#define MAGIC 0x4b4c5231u /* "KLR1" */
#define STATE_MAX (8u << 20)

static_assert(sizeof(enum container_phase) == 4, "packed as 32 bits");
static_assert(sizeof(int) == 4, "packed as 32 bits");

#define TABLE(name, type)                                                                          \
	{                                                                                          \
		sizeof(type), ARRAY_LEN(name), name                                                \
	}

#define T struct runtime_limits
static const struct pack_field limits_fields[] = {
	PACK_FIELD(1, PACK_64, T, memory_bytes),
	PACK_FIELD(2, PACK_64, T, memory_min_bytes),
	PACK_FIELD(3, PACK_64, T, memory_high_bytes),
	PACK_FIELD(4, PACK_64, T, swap_bytes),
	PACK_FIELD(5, PACK_64, T, cpu_shares),
	PACK_FIELD(6, PACK_64, T, cpu_quota_us),
	PACK_FIELD(7, PACK_64, T, cpu_period_us),
	PACK_FIELD(8, PACK_64, T, pids),
	PACK_FIELD(9, PACK_STR, T, cpuset_cpus),
	PACK_FIELD(10, PACK_STR, T, cpuset_mems),
};
static const struct pack_table limits_table = TABLE(limits_fields, T);
#undef T

#define T struct runtime_pair
static const struct pack_field pair_fields[] = {
	PACK_FIELD(1, PACK_STR, T, name),
	PACK_FIELD(2, PACK_STR, T, value),
};
static const struct pack_table pair_table = TABLE(pair_fields, T);
#undef T

#define T struct runtime_mount
static const struct pack_field mount_fields[] = {
	PACK_FIELD(1, PACK_STR, T, source),
	PACK_FIELD(2, PACK_STR, T, sub),
	PACK_FIELD(3, PACK_BOOL, T, sub_create),
	PACK_FIELD(4, PACK_STR, T, target),
	PACK_FIELD(5, PACK_BOOL, T, read_only),
	PACK_FIELD(6, PACK_BOOL, T, recursive_read_only),
	PACK_FIELD(7, PACK_BOOL, T, noexec),
	PACK_FIELD(8, PACK_32, T, propagation),
	PACK_FIELD(9, PACK_STR, T, image),
};
static const struct pack_table mount_table = TABLE(mount_fields, T);
#undef T

#define T struct runtime_device
static const struct pack_field device_fields[] = {
	PACK_FIELD(1, PACK_STR, T, source),
	PACK_FIELD(2, PACK_STR, T, target),
	PACK_FIELD(3, PACK_BOOL, T, read),
	PACK_FIELD(4, PACK_BOOL, T, write),
	PACK_FIELD(5, PACK_BOOL, T, mknod),
};
static const struct pack_table device_table = TABLE(device_fields, T);
#undef T

#define T struct runtime_rlimit
static const struct pack_field rlimit_fields[] = {
	PACK_FIELD(1, PACK_32, T, resource),
	PACK_FIELD(2, PACK_64, T, soft),
	PACK_FIELD(3, PACK_64, T, hard),
};
static const struct pack_table rlimit_table = TABLE(rlimit_fields, T);
#undef T

#define T struct runtime_sandbox_spec
static const struct pack_field sandbox_spec_fields[] = {
	PACK_FIELD(1, PACK_STR, T, pod_uid),
	PACK_FIELD(2, PACK_STR, T, pod_name),
	PACK_FIELD(3, PACK_STR, T, pod_namespace),
	PACK_FIELD(4, PACK_32, T, attempt),
	PACK_FIELD(5, PACK_STR, T, hostname),
	PACK_FIELD(6, PACK_BOOL, T, host_network),
	PACK_FIELD(7, PACK_BOOL, T, host_pid),
	PACK_FIELD(8, PACK_BOOL, T, host_ipc),
	PACK_FIELD(9, PACK_BOOL, T, share_pid),
	PACK_FIELD(10, PACK_32, T, qos),
	PACK_SUB(11, T, limits, &limits_table),
	PACK_SUBS(12, T, sysctls, n_sysctls, &pair_table),
	PACK_FIELD(13, PACK_64, T, shm_bytes),
	PACK_FIELD(14, PACK_STR, T, data),
};
const struct pack_table state_sandbox_spec_table = TABLE(sandbox_spec_fields, T);
#undef T

#define T struct runtime_container_spec
static const struct pack_field container_spec_fields[] = {
	PACK_FIELD(1, PACK_STR, T, sandbox_id),
	PACK_FIELD(2, PACK_STR, T, name),
	PACK_FIELD(3, PACK_32, T, attempt),
	PACK_FIELD(4, PACK_STR, T, image),
	PACK_ARRAY(5, PACK_STRS, T, command, n_command),
	PACK_ARRAY(6, PACK_STRS, T, args, n_args),
	PACK_ARRAY(7, PACK_STRS, T, env, n_env),
	PACK_FIELD(8, PACK_STR, T, cwd),
	PACK_FIELD(9, PACK_BOOL, T, has_uid),
	PACK_FIELD(10, PACK_BOOL, T, has_gid),
	PACK_FIELD(11, PACK_32, T, uid),
	PACK_FIELD(12, PACK_32, T, gid),
	PACK_ARRAY(13, PACK_32S, T, groups, n_groups),
	PACK_FIELD(14, PACK_BOOL, T, groups_strict),
	PACK_SUBS(15, T, mounts, n_mounts, &mount_table),
	PACK_SUBS(16, T, devices, n_devices, &device_table),
	PACK_ARRAY(17, PACK_STRS, T, caps_add, n_caps_add),
	PACK_ARRAY(18, PACK_STRS, T, caps_drop, n_caps_drop),
	PACK_FIELD(19, PACK_BOOL, T, privileged),
	PACK_FIELD(20, PACK_BOOL, T, no_new_privs),
	PACK_FIELD(21, PACK_BOOL, T, read_only_rootfs),
	PACK_FIELD(22, PACK_BOOL, T, unmasked_proc),
	PACK_FIELD(23, PACK_32, T, seccomp),
	PACK_FIELD(24, PACK_STR, T, seccomp_profile),
	PACK_SUB(25, T, limits, &limits_table),
	PACK_FIELD(26, PACK_32, T, oom_score_adj),
	PACK_FIELD(27, PACK_BOOL, T, tty),
	PACK_FIELD(28, PACK_BOOL, T, open_stdin),
	PACK_FIELD(29, PACK_BOOL, T, stdin_once),
	PACK_SUBS(30, T, rlimits, n_rlimits, &rlimit_table),
	PACK_FIELD(31, PACK_STR, T, stop_signal),
	PACK_FIELD(32, PACK_STR, T, hosts_path),
	PACK_FIELD(33, PACK_STR, T, resolv_conf_path),
	PACK_FIELD(34, PACK_STR, T, hostname_path),
	PACK_FIELD(35, PACK_STR, T, termination_path),
	PACK_FIELD(36, PACK_STR, T, termination_source),
	PACK_FIELD(37, PACK_STR, T, log_path),
	PACK_FIELD(38, PACK_64, T, log_max_bytes),
	PACK_FIELD(39, PACK_32, T, log_max_files),
	PACK_FIELD(40, PACK_STR, T, data),
	PACK_FIELD(41, PACK_STR, T, pids_of),
};
const struct pack_table state_container_spec_table = TABLE(container_spec_fields, T);
#undef T

#define T struct sandbox_rec
static const struct pack_field sandbox_fields[] = {
	PACK_FIELD(1, PACK_STR, T, id),
	PACK_FIELD(2, PACK_STR, T, boot_id),
	PACK_SUB(3, T, spec, &state_sandbox_spec_table),
	PACK_FIELD(4, PACK_STR, T, cgroup),
	PACK_FIELD(5, PACK_64, T, created_ns),
	PACK_FIELD(6, PACK_BOOL, T, stopped),
	PACK_FIELD(7, PACK_32, T, init_pid),
	PACK_FIELD(8, PACK_64, T, init_start),
};
const struct pack_table state_sandbox_table = TABLE(sandbox_fields, T);
#undef T

#define T struct container_rec
static const struct pack_field container_fields[] = {
	PACK_FIELD(1, PACK_STR, T, id),
	PACK_FIELD(2, PACK_STR, T, boot_id),
	PACK_SUB(3, T, spec, &state_container_spec_table),
	PACK_FIELD(4, PACK_STR, T, image_id),
	PACK_ARRAY(5, PACK_STRS, T, layers, n_layers),
	PACK_FIELD(6, PACK_STR, T, cgroup),
	PACK_FIELD(7, PACK_32, T, phase),
	PACK_FIELD(8, PACK_64, T, created_ns),
	PACK_FIELD(9, PACK_64, T, started_ns),
	PACK_FIELD(10, PACK_64, T, finished_ns),
	PACK_FIELD(11, PACK_32, T, exit_code),
	PACK_FIELD(12, PACK_32, T, signal),
	PACK_FIELD(13, PACK_BOOL, T, oom_killed),
	PACK_FIELD(14, PACK_STR, T, reason),
	PACK_FIELD(15, PACK_STR, T, message),
	PACK_FIELD(16, PACK_32, T, pid),
	PACK_FIELD(17, PACK_64, T, pid_start),
	PACK_FIELD(18, PACK_64, T, oom_seen),
	PACK_FIELD(19, PACK_32, T, uid),
	PACK_FIELD(20, PACK_32, T, gid),
	PACK_ARRAY(21, PACK_32S, T, groups, n_groups),
	PACK_FIELD(22, PACK_64, T, caps),
	PACK_FIELD(23, PACK_32, T, stop_signal),
	PACK_ARRAY(24, PACK_STRS, T, argv, n_argv),
	PACK_ARRAY(25, PACK_STRS, T, env, n_env),
	PACK_FIELD(26, PACK_STR, T, cwd),
};
const struct pack_table state_container_table = TABLE(container_fields, T);
#undef T

static void
file_name(enum state_kind kind, struct str id, const char *suffix, char out[static 96])
{
	snprintf(out, 96, "%c-" STR_FMT "%s", (char)kind, STR_ARG(id), suffix);
}

int
state_write(
	int dir, enum state_kind kind, struct str id, const struct pack_table *t, const void *rec)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_fd_ int fd = -1;
	char name[96];
	char tmp[96];

	pack_put(&body, t, rec);
	buf_be32(&file, MAGIC);
	buf_be32(&file, (uint32_t)body.len);
	buf_be64(&file, hash_fnv64a(buf_view(&body)));
	buf_str(&file, buf_view(&body));
	if (body.failed || file.failed)
		return -ENOMEM;
	file_name(kind, id, "", name);
	file_name(kind, id, ".new", tmp);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || fs_write_all(fd, file.data, file.len))
		return -errno;
	return renameat(dir, tmp, dir, name) ? -errno : 0;
}

int
state_parse(struct arena *a, const struct pack_table *t, struct str bytes, void *rec)
{
	struct reader r = reader_of(bytes);
	uint32_t magic = reader_be32(&r);
	uint32_t n = reader_be32(&r);
	uint64_t sum = reader_be64(&r);
	struct str body = reader_bytes(&r, n);
	int rc = 0;

	if (r.bad || magic != MAGIC || r.n || hash_fnv64a(body) != sum)
		return -EBADMSG;
	rc = pack_get(a, t, body, rec);
	return rc == -EINVAL ? -EBADMSG : rc;
}

int
state_read(int dir, const char *name, const struct pack_table *t, struct arena *a, void *rec)
{
	_cleanup_fd_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_buf_ struct buf b = BUF_INIT;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	b.max = STATE_MAX;
	do {
		char *to = buf_reserve(&b, 16384);

		if (!to)
			return -ENOMEM;
		n = read(fd, to, 16384);
		if (n > 0)
			buf_commit(&b, (size_t)n);
	} while (n > 0);
	if (n < 0)
		return -errno;
	return state_parse(a, t, buf_view(&b), rec);
}

int
state_remove(int dir, enum state_kind kind, struct str id)
{
	char name[96];

	file_name(kind, id, "", name);
	return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
}
