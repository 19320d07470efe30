/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cluster: a test cluster in QEMU: its folder, its keys, its machines and its fabric. `keelctl cluster`
 * is a thin table of commands over these calls, and `make up` calls keelctl.
 *
 * A cluster is a folder:
 *   cluster.yaml            how many machines, memory, ports: what `up` was first asked for
 *   pki/ca.crt ca.key       the cluster's authority; admin.crt admin.key; token (bootstrap)
 *   <node>/machine.yaml initrd data.img console.log pid
 *   fabric.log fabric.pid   and sockets in a short folder under /tmp (unix paths are short)
 * Blocking calls: a command-line tool. */
#ifndef QEMU_CLUSTER_H
#define QEMU_CLUSTER_H

#include "qemu/machine.h"

#define CLUSTER_NODES_MAX 50
#define CLUSTER_REGISTRIES_MAX 4

struct cluster_options {
	const char *dir; /* the cluster's folder */
	const char *kernel, *initramfs;
	const char *kubeconfig;                 /* written when up */
	unsigned nodes, control, mem_mib, cpus; /* 0 = as before, else 3, 1, 512, 1 */
	enum backend backend;
	/* "HOST[:PORT]=CA-FILE": image registries the machines may use; the first NULL ends them */
	const char *registries[CLUSTER_REGISTRIES_MAX];
	const char *host;        /* "NAME=ADDR": a name for the DNS relay; NULL */
	const char *record_disk; /* of cluster_node_start: see machine.h; NULL */
	unsigned disk_gib;       /* 0 = 8 (sparse) */
	bool wait;               /* until all nodes are Ready */
	int timeout_s;           /* of the wait; 0 = 300 */
};

struct cluster_node {
	char name[64];
	char dir[600];
	uint8_t mac[6];
	char v4[16];
	bool control;
};

struct cluster {
	char dir[512];
	char run_dir[64];
	unsigned n_nodes, n_control, mem_mib, cpus, disk_gib;
	enum backend backend;                         /* as asked for: may be AUTO */
	unsigned api_port;                            /* on the host's loopback */
	char registries[CLUSTER_REGISTRIES_MAX][600]; /* an empty one ends them */
	char host[200];
	struct cluster_node nodes[CLUSTER_NODES_MAX];
};

/* cluster_load: reads the folder's cluster.yaml. -ENOENT when there is none. */
int cluster_load(const char *dir, struct cluster *ret, struct err *e);
/* cluster_up: makes what is missing, starts what does not run, waits until the nodes are Ready; prints
 * progress and the time of each phase. Idempotent. */
int cluster_up(const struct cluster_options *o, struct err *e);
/* cluster_down: power button, then kill after grace_ms; ends the fabric. forget: removes the folder. */
int cluster_down(const char *dir, int grace_ms, bool forget, struct err *e);
int cluster_status(const char *dir, struct err *e);
/* cluster_node_start / _kill: one machine back up / off as in a power cut. */
int cluster_node_start(
	const struct cluster *c, const char *node, const struct cluster_options *o, struct err *e);
int cluster_node_kill(const struct cluster *c, const char *node, struct err *e);
/* cluster_console: the terminal becomes the machine's console until Ctrl-]. */
int cluster_console(const struct cluster *c, const char *node, struct err *e);
/* cluster_fabric: one command to the fabric (see fabric.h); its answer is appended to out. */
int cluster_fabric(const struct cluster *c, const char *command, struct buf *out, struct err *e);
const struct cluster_node *cluster_node_find(const struct cluster *c, const char *name);

/* ---- cluster_files.c: what a machine boots from ---- */
/* cluster_layout: fills names, folders, MACs and addresses from n_nodes and n_control. */
void cluster_layout(struct cluster *c);
int cluster_save(const struct cluster *c, struct err *e);
/* cluster_node_files: machine.yaml, initrd (image + config archive), data.img. */
int cluster_node_files(const struct cluster *c, const struct cluster_node *n, const char *initramfs,
	struct err *e);

/* ---- cluster_pki.c ---- */
/* cluster_pki_ensure: authority, admin certificate and bootstrap token, made when missing. */
int cluster_pki_ensure(const struct cluster *c, struct err *e);
int cluster_kubeconfig_write(const struct cluster *c, const char *path, struct err *e);

/* ---- cluster_wait.c ---- */
/* cluster_wait_ready: until the API answers and every node has condition Ready; prints changes. */
int cluster_wait_ready(const struct cluster *c, int timeout_s, int64_t start_ns, struct err *e);

#endif
