/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cgroup: see cgroup.h. */
#include "orchestrator/runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "orchestrator/runtime/fsutil.h"

#define PATH_BYTES 512
#define FILE_BYTES 7168

static const char *const controller_names[CGROUP__COUNT] = {
	[CGROUP_CPU] = "cpu",
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_CPUSET] = "cpuset",
	[CGROUP_IO] = "io",
	[CGROUP_HUGETLB] = "hugetlb",
};

static const char *const qos_folder[] = {
	[RUNTIME_QOS_GUARANTEED] = "",
	[RUNTIME_QOS_BURSTABLE] = "/burstable",
	[RUNTIME_QOS_BEST_EFFORT] = "/besteffort",
};

/* The text of one small file; "" when it is not there. */
static struct str
file_text(const struct cgroups *c, const char *path, const char *file, char *buf, size_t size)
{
	char full[PATH_BYTES];
	_cleanup_fd_ int fd = -1;
	ssize_t n = 0;

	snprintf(full, sizeof(full), "%s/%s", *path ? path : ".", file);
	fd = openat(c->mount, full, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, size);
	return str_from(buf, n > 0 ? (size_t)n : 0);
}

static int
file_write(const struct cgroups *c, const char *path, const char *file, const char *text)
{
	char full[PATH_BYTES];

	snprintf(full, sizeof(full), "%s/%s", *path ? path : ".", file);
	return fs_write_text(c->mount, full, text);
}

static unsigned
controllers_in(const struct cgroups *c, const char *path)
{
	char buf[FILE_BYTES];
	struct str rest = str_trim(file_text(c, path, "cgroup.controllers", buf, sizeof(buf)));
	struct str word = STR_NONE;
	unsigned set = 0;

	while (rest.n && str_next(&rest, ' ', &word))
		for (size_t i = 0; i < CGROUP__COUNT; i++)
			if (str_eq_c(word, controller_names[i]))
				set |= 1u << i;
	return set;
}

/* One at a time: one that cannot be had (threads of real time, other users) does not take the others along. */
static void
delegate(const struct cgroups *c, const char *path)
{
	unsigned have = controllers_in(c, path);

	for (size_t i = 0; i < CGROUP__COUNT; i++) {
		char word[32];

		if (!(have >> i & 1))
			continue;
		snprintf(word, sizeof(word), "+%s", controller_names[i]);
		file_write(c, path, "cgroup.subtree_control", word);
	}
}

int
cgroup_make(const struct cgroups *c, const char *path, bool give, struct err *e)
{
	if (mkdirat(c->mount, path, 0755) && errno != EEXIST)
		return err_errno(e, -errno, "making the cgroup '%s'", path);
	if (give)
		delegate(c, path);
	return 0;
}

int
cgroups_open(struct cgroups *c, const struct runtime_config *cfg, struct err *e)
{
	char path[PATH_BYTES];
	struct str rest = cfg->cgroup_parent;
	struct str part = STR_NONE;
	size_t n = 0;

	*c = (struct cgroups){.mount = -1, .allow_missing = cfg->allow_missing_controllers};
	if (!str_copy_c(cfg->cgroup_parent, c->parent, sizeof(c->parent)) ||
		!str_copy_c(cfg->cgroup_mount, path, sizeof(path)))
		return err_set(e, -EINVAL, R_INVALID, "cgroup path is too long");
	c->mount = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->mount < 0)
		return err_errno(e, -errno, "opening '%s'", path);
	if (faccessat(c->mount, "cgroup.controllers", F_OK, 0))
		return err_set(e, -ENODEV, R_INTERNAL_ERROR, "'%s' is not cgroup v2", path);
	delegate(c, "");
	while (str_next(&rest, '/', &part)) {
		n += (size_t)snprintf(
			path + n, sizeof(path) - n, "%s" STR_FMT, n ? "/" : "", STR_ARG(part));
		if (cgroup_make(c, path, true, e))
			return e ? e->code : -EIO;
	}
	for (size_t q = RUNTIME_QOS_BURSTABLE; q <= RUNTIME_QOS_BEST_EFFORT; q++) {
		snprintf(path, sizeof(path), "%s%s", c->parent, qos_folder[q]);
		if (cgroup_make(c, path, true, e))
			return e ? e->code : -EIO;
	}
	c->have = controllers_in(c, path);
	return 0;
}

void
cgroups_close(struct cgroups *c)
{
	cleanup_fd(&c->mount);
	c->mount = -1;
}

struct str
cgroup_qos_path(const struct cgroups *c, struct arena *a, enum runtime_qos qos)
{
	return arena_fmt(a, "%s%s", c->parent, qos_folder[qos]);
}

struct str
cgroup_pod_path(const struct cgroups *c, struct arena *a, enum runtime_qos qos, struct str pod_uid)
{
	return arena_fmt(a, "%s%s/pod" STR_FMT, c->parent, qos_folder[qos], STR_ARG(pod_uid));
}

int
cgroup_open_dir(const struct cgroups *c, const char *path)
{
	int fd = openat(c->mount, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* ---- limits ---- */

uint64_t
cgroup_weight(int64_t shares)
{
	int64_t s = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;

	return (uint64_t)(1 + (s - 2) * 9999 / 262142);
}

static int
set(const struct cgroups *c, const char *path, enum cgroup_controller k, const char *file,
	const char *value, struct err *e)
{
	int rc = 0;

	if (!(c->have >> k & 1)) {
		if (c->allow_missing)
			return 0;
		return err_set(e, -EOPNOTSUPP, R_INTERNAL_ERROR,
			"setting %s: the %s controller is not there", file, controller_names[k]);
	}
	rc = file_write(c, path, file, value);
	return rc ? err_errno(e, rc, "setting %s of cgroup '%s' to '%s'", file, path, value) : 0;
}

static void
number_or_max(char out[static 24], int64_t v)
{
	if (v > 0)
		snprintf(out, 24, "%lld", (long long)v);
	else
		snprintf(out, 24, "max");
}

int
cgroup_apply(
	const struct cgroups *c, const char *path, const struct runtime_limits *l, struct err *e)
{
	char v[64];
	int rc = 0;

	if (l->memory_bytes > 0) {
		number_or_max(v, l->memory_bytes);
		rc = set(c, path, CGROUP_MEMORY, "memory.max", v, e);
		if (!rc && c->have >> CGROUP_MEMORY & 1) {
			/* Kernels without swap have no such file. */
			snprintf(v, sizeof(v), "%lld", (long long)l->swap_bytes);
			file_write(c, path, "memory.swap.max", v);
		}
	}
	if (!rc && l->memory_high_bytes > 0) {
		number_or_max(v, l->memory_high_bytes);
		rc = set(c, path, CGROUP_MEMORY, "memory.high", v, e);
	}
	if (!rc && l->memory_min_bytes > 0) {
		number_or_max(v, l->memory_min_bytes);
		rc = set(c, path, CGROUP_MEMORY, "memory.min", v, e);
	}
	if (!rc && l->cpu_shares > 0) {
		snprintf(v, sizeof(v), "%llu", (unsigned long long)cgroup_weight(l->cpu_shares));
		rc = set(c, path, CGROUP_CPU, "cpu.weight", v, e);
	}
	if (!rc && (l->cpu_quota_us > 0 || l->cpu_period_us > 0)) {
		long long period = l->cpu_period_us > 0 ? l->cpu_period_us : 100000;

		if (l->cpu_quota_us > 0)
			snprintf(v, sizeof(v), "%lld %lld", (long long)l->cpu_quota_us, period);
		else
			snprintf(v, sizeof(v), "max %lld", period);
		rc = set(c, path, CGROUP_CPU, "cpu.max", v, e);
	}
	if (!rc && l->pids > 0) {
		number_or_max(v, l->pids);
		rc = set(c, path, CGROUP_PIDS, "pids.max", v, e);
	}
	if (!rc && l->cpuset_cpus.n && str_copy_c(l->cpuset_cpus, v, sizeof(v)))
		rc = set(c, path, CGROUP_CPUSET, "cpuset.cpus", v, e);
	if (!rc && l->cpuset_mems.n && str_copy_c(l->cpuset_mems, v, sizeof(v)))
		rc = set(c, path, CGROUP_CPUSET, "cpuset.mems", v, e);
	return rc;
}

/* ---- ending ---- */

int
cgroup_kill(const struct cgroups *c, const char *path)
{
	int rc = file_write(c, path, "cgroup.kill", "1");

	return rc == -ENOENT ? 0 : rc;
}

int
cgroup_remove(const struct cgroups *c, const char *path)
{
	char sub[PATH_BYTES];
	int result = 0;
	int fd = -1;
	DIR *d = NULL;
	struct dirent *de = NULL;

	if (unlinkat(c->mount, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	/* A container with a cgroup namespace may have made folders below its own. One level is walked
	 * here at a time; deeper ones come with the next call, as the caller repeats while it is -EAGAIN. */
	fd = openat(c->mount, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		cleanup_fd(&fd);
		return -EBUSY;
	}
	while ((de = readdir(d))) {
		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", path, de->d_name) >= (int)sizeof(sub)) {
			result = -ENAMETOOLONG;
			break;
		}
		if (unlinkat(c->mount, sub, AT_REMOVEDIR) && errno != ENOENT) {
			result = cgroup_remove(c, sub);
			if (result)
				break;
		}
	}
	closedir(d);
	if (result)
		return result;
	return unlinkat(c->mount, path, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

/* ---- reading ---- */

uint64_t
cgroup_keyed(struct str text, const char *key)
{
	struct str rest = text;
	struct str line = STR_NONE;
	struct str name = STR_NONE;
	struct str value = STR_NONE;
	uint64_t v = 0;

	while (str_next(&rest, '\n', &line))
		if (str_cut(line, ' ', &name, &value) && str_eq_c(name, key) &&
			str_to_u64(str_trim(value), &v) == 0)
			return v;
	return 0;
}

static uint64_t
single(const struct cgroups *c, const char *path, const char *file)
{
	char buf[64];
	uint64_t v = 0;

	if (str_to_u64(str_trim(file_text(c, path, file, buf, sizeof(buf))), &v))
		return 0;
	return v;
}

int
cgroup_populated(const struct cgroups *c, const char *path)
{
	char buf[256];
	struct str t = file_text(c, path, "cgroup.events", buf, sizeof(buf));

	return t.n == 0 ? -ENOENT : cgroup_keyed(t, "populated") != 0;
}

uint64_t
cgroup_oom_kills(const struct cgroups *c, const char *path)
{
	char buf[512];

	return cgroup_keyed(file_text(c, path, "memory.events", buf, sizeof(buf)), "oom_kill");
}

int
cgroup_stats(const struct cgroups *c, const char *path, struct runtime_stats *ret)
{
	char buf[FILE_BYTES];
	struct str t = STR_NONE;
	uint64_t inactive = 0;
	struct runtime_stats s = {.at_ns = clock_wall_ns()};

	t = file_text(c, path, "cpu.stat", buf, sizeof(buf));
	if (t.n == 0 && faccessat(c->mount, *path ? path : ".", F_OK, 0))
		return -ENOENT;
	s.cpu_usage_ns = cgroup_keyed(t, "usage_usec") * 1000;
	s.cpu_user_ns = cgroup_keyed(t, "user_usec") * 1000;
	s.cpu_system_ns = cgroup_keyed(t, "system_usec") * 1000;
	s.cpu_throttled_ns = cgroup_keyed(t, "throttled_usec") * 1000;
	t = file_text(c, path, "memory.stat", buf, sizeof(buf));
	inactive = cgroup_keyed(t, "inactive_file");
	s.memory_rss_bytes = cgroup_keyed(t, "anon");
	s.memory_page_faults = cgroup_keyed(t, "pgfault");
	s.memory_major_page_faults = cgroup_keyed(t, "pgmajfault");
	s.memory_usage_bytes = single(c, path, "memory.current");
	/* The root has no memory.current: what its memory.stat adds up to. */
	if (!s.memory_usage_bytes)
		s.memory_usage_bytes = s.memory_rss_bytes + cgroup_keyed(t, "file") +
			cgroup_keyed(t, "kernel");
	s.memory_working_set_bytes = s.memory_usage_bytes > inactive
		? s.memory_usage_bytes - inactive
		: 0;
	s.memory_limit_bytes = single(c, path, "memory.max");
	s.swap_bytes = single(c, path, "memory.swap.current");
	s.pids = single(c, path, "pids.current");
	s.oom_kills = cgroup_oom_kills(c, path);
	*ret = s;
	return 0;
}
