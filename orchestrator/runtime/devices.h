/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * devices: which device nodes a container may make and open: a BPF program on its cgroup. Without it a
 * container that may mknod (the default) could read the node's disks.
 * Source: cgroup-v2.rst "Device controller", the default rules of runc. */
#ifndef RUNTIME_DEVICES_H
#define RUNTIME_DEVICES_H

#include "base/arena.h"
#include "base/err.h"
#include "orchestrator/runtime/runtime.h"

struct device_node {
	const char *path; /* in the container, "/dev/null" */
	bool block;
	uint32_t major, minor;
	uint32_t mode, uid, gid;
};
struct device_rule {
	bool block, any_type;
	int64_t major, minor; /* -1 = any */
	bool read, write, mknod;
};

/* devices_default: nodes every container has. */
extern const struct device_node devices_default[];
extern const size_t devices_n_default;

/* devices_resolve: nodes and rules of what the spec asks for, looked up on the host. privileged: every node of
 * the host's /dev. arena. Errors: -errno (e: names the source). */
int devices_resolve(struct arena *a, const struct runtime_container_spec *s,
	struct device_node **ret_nodes, size_t *ret_n_nodes, struct device_rule **ret_rules,
	size_t *ret_n_rules, struct err *e);
/* devices_attach: the program for the default rules and these, on the cgroup. 0 or -errno (e). */
int devices_attach(int cgroup_fd, const struct device_rule *rules, size_t n, struct err *e);

#endif
