/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cgroup: cgroup v2 folders: kubepods / burstable | besteffort / pod<uid> / <container id>. Paths are
 * relative to the mount ("kubepods/burstable/pod1/ab..."). Plain file operations of a few µs each: the
 * kernel's memory, no disk. Must not: poll; changes are seen by inotify on cgroup.events and memory.events.
 * Source: Documentation/admin-guide/cgroup-v2.rst; kubelet's names and conversions. */
#ifndef RUNTIME_CGROUP_H
#define RUNTIME_CGROUP_H

#include "base/arena.h"
#include "base/err.h"
#include "orchestrator/runtime/runtime.h"

enum cgroup_controller {
	CGROUP_CPU,
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_CPUSET,
	CGROUP_IO,
	CGROUP_HUGETLB,
	CGROUP__COUNT
};

struct cgroups {
	int mount;        /* folder of the mount */
	char parent[128]; /* "kubepods" */
	unsigned have;    /* bit per controller that is delegated to kubepods */
	bool allow_missing;
};

/* cgroups_open: makes kubepods and its two classes with all controllers. 0 or -errno (e). */
int cgroups_open(struct cgroups *c, const struct runtime_config *cfg, struct err *e);
void cgroups_close(struct cgroups *c);
/* cgroup_pod_path: arena. */
struct str cgroup_pod_path(
	const struct cgroups *c, struct arena *a, enum runtime_qos qos, struct str pod_uid);
struct str cgroup_qos_path(const struct cgroups *c, struct arena *a, enum runtime_qos qos);
/* cgroup_make: the folder (parents exist); delegate: controllers for its children too. 0, -errno (e). */
int cgroup_make(const struct cgroups *c, const char *path, bool delegate, struct err *e);
/* cgroup_apply: limits. Errors: -EOPNOTSUPP controller missing, -errno (e names the file). */
int cgroup_apply(
	const struct cgroups *c, const char *path, const struct runtime_limits *l, struct err *e);
/* cgroup_open_dir: O_PATH descriptor for CLONE_INTO_CGROUP, or -errno. */
int cgroup_open_dir(const struct cgroups *c, const char *path);
/* cgroup_kill: SIGKILL to all in it and below. Missing is success. 0 or -errno. */
int cgroup_kill(const struct cgroups *c, const char *path);
/* cgroup_remove: the folder and those below (depth-bounded). -EBUSY: processes are still there. 0 or -errno. */
int cgroup_remove(const struct cgroups *c, const char *path);
/* cgroup_populated: 1, 0, or -errno (-ENOENT gone). */
int cgroup_populated(const struct cgroups *c, const char *path);
/* cgroup_oom_kills: memory.events oom_kill; 0 when not known. */
uint64_t cgroup_oom_kills(const struct cgroups *c, const char *path);
int cgroup_stats(const struct cgroups *c, const char *path, struct runtime_stats *ret);
/* cgroup_keyed: value behind "key " at a line's start in a flat keyed file's text; 0 if absent. */
uint64_t cgroup_keyed(struct str text, const char *key);
/* cgroup_weight: CRI shares 2..262144 to cpu.weight 1..10000. */
uint64_t cgroup_weight(int64_t shares);

#endif
