/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * state: what must outlive this process, one file per sandbox and container in <data_dir>/state, packed
 * and replaced by rename (no fsync: after a power cut nothing runs anyway; a torn file is dropped).
 *   file = "KLR1", length, FNV-1a 64 of the body, body (pack.h)                    */
#ifndef RUNTIME_STATE_H
#define RUNTIME_STATE_H

#include "base/arena.h"
#include "orchestrator/runtime/pack.h"
#include "orchestrator/runtime/runtime.h"

/* Life of a container as the files know it. STARTING: cloned, not yet told to go (see launch.h). */
enum container_phase {
	PHASE_CREATED,
	PHASE_STARTING,
	PHASE_RUNNING,
	PHASE_EXITED,
};

struct sandbox_rec {
	struct str id, boot_id;
	struct runtime_sandbox_spec spec;
	struct str cgroup;
	int64_t created_ns;
	bool stopped;
	int32_t init_pid; /* of a shared process namespace */
	uint64_t init_start;
};

struct container_rec {
	struct str id, boot_id;
	struct runtime_container_spec spec;
	struct str image_id;
	const struct str *layers; /* chain ids, topmost first */
	size_t n_layers;
	struct str cgroup;
	enum container_phase phase;
	int64_t created_ns, started_ns, finished_ns;
	int32_t exit_code, signal;
	bool oom_killed;
	struct str reason, message;
	int32_t pid;
	uint64_t pid_start; /* start time in ticks since boot: tells a reused pid */
	uint64_t oom_seen;
	/* resolved at create */
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t n_groups;
	uint64_t caps;
	int32_t stop_signal;
	const struct str *argv, *env; /* whole and final */
	size_t n_argv, n_env;
	struct str cwd;
};

extern const struct pack_table state_sandbox_table, state_container_table;
extern const struct pack_table state_sandbox_spec_table, state_container_spec_table;

enum state_kind { STATE_SANDBOX = 's', STATE_CONTAINER = 'c' };

/* state_write: rec is the struct of the kind's table. 0 or -errno. */
int state_write(
	int dir, enum state_kind kind, struct str id, const struct pack_table *t, const void *rec);
/* state_read: Errors: -ENOENT, -EBADMSG torn or foreign, -ENOMEM. */
int state_read(int dir, const char *name, const struct pack_table *t, struct arena *a, void *rec);
/* state_remove: missing is success. */
int state_remove(int dir, enum state_kind kind, struct str id);
/* state_parse: the bytes of a file. -EBADMSG, -ENOMEM. */
int state_parse(struct arena *a, const struct pack_table *t, struct str bytes, void *rec);

#endif
