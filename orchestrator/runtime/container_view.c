/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * container_view: what the caller sees of containers and may set on them; statistics and disk usage. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/runtime_int.h"

static struct runtime_container
view(const struct container *c)
{
	static const enum runtime_container_state states[] = {
		[PHASE_CREATED] = RUNTIME_CONTAINER_CREATED,
		[PHASE_STARTING] = RUNTIME_CONTAINER_CREATED,
		[PHASE_RUNNING] = RUNTIME_CONTAINER_RUNNING,
		[PHASE_EXITED] = RUNTIME_CONTAINER_EXITED,
	};
	const struct container_rec *r = &c->rec;
	bool over = r->phase == PHASE_EXITED;

	return (struct runtime_container){.id = r->id,
		.sandbox_id = r->spec.sandbox_id,
		.name = r->spec.name,
		.attempt = r->spec.attempt,
		.image = r->spec.image,
		.image_id = r->image_id,
		.state = states[r->phase],
		.created_ns = r->created_ns,
		.started_ns = r->started_ns,
		.finished_ns = over ? r->finished_ns : 0,
		.exit_code = over ? r->exit_code : 0,
		.signal = over ? r->signal : 0,
		.oom_killed = over && r->oom_killed,
		.reason = over && r->reason.n ? r->reason.p : "",
		.message = r->message,
		.pid = r->phase == PHASE_RUNNING && !c->exited ? r->pid : 0,
		.uid = r->uid,
		.gid = r->gid,
		.tty = r->spec.tty,
		.open_stdin = r->spec.open_stdin,
		.stdin_once = r->spec.stdin_once,
		.log_path = r->spec.log_path,
		.data = r->spec.data};
}

int
runtime_container_get(struct runtime *rt, struct str id, struct runtime_container *ret)
{
	struct container *c = container_find(rt, id);

	if (!c)
		return -ENOENT;
	*ret = view(c);
	return 0;
}

bool
runtime_container_next(
	struct runtime *rt, struct str sandbox_id, size_t *pos, struct runtime_container *ret)
{
	struct container *c = NULL;

	while (map_next(&rt->containers, pos, NULL, (void **)&c)) {
		if (str_is_set(sandbox_id) && !str_eq(c->rec.spec.sandbox_id, sandbox_id))
			continue;
		*ret = view(c);
		return true;
	}
	return false;
}

int
runtime_container_set_data(struct runtime *rt, struct str id, struct str data)
{
	struct container *c = container_find(rt, id);
	int rc = c ? data_replace(&c->data, data, &c->rec.spec.data) : -ENOENT;

	return rc < 0 ? rc : container_save(c);
}

int
runtime_container_set_limits(
	struct runtime *rt, struct str id, const struct runtime_limits *lim, struct err *e)
{
	struct container *c = container_find(rt, id);

	if (!c || !container_live(c))
		return err_set(e, -ENOENT, R_NOT_FOUND, "no such running container");
	return cgroup_apply(&rt->cgroups, c->rec.cgroup.p, lim, e);
}

int
runtime_container_stats(struct runtime *rt, struct str id, struct runtime_stats *ret)
{
	struct container *c = container_find(rt, id);

	return c ? cgroup_stats(&rt->cgroups, c->rec.cgroup.p, ret) : -ENOENT;
}

int
runtime_log_reopen(struct runtime *rt, struct str container_id)
{
	struct container *c = container_find(rt, container_id);

	return c ? log_file_reopen(&c->log) : -ENOENT;
}

/* ---- disk usage ---- */

struct usage_job {
	struct job job;
	void (*done)(void *arg, uint64_t bytes, uint64_t inodes, const struct err *e);
	void *arg;
	int dir;
	uint64_t bytes, inodes;
	int rc;
};

static void
usage_work(struct job *job)
{
	struct usage_job *j = CONTAINER_OF(job, struct usage_job, job);

	j->rc = j->dir < 0 ? 0 : fs_usage(j->dir, &j->bytes, &j->inodes);
}

static void
usage_done(struct job *job, bool dead)
{
	struct usage_job *j = CONTAINER_OF(job, struct usage_job, job);
	struct err e = {0};

	if (j->rc)
		err_errno(&e, j->rc, "looking at the container's files");
	if (!dead)
		j->done(j->arg, j->bytes, j->inodes, j->rc ? &e : NULL);
	cleanup_fd(&j->dir);
	free(j);
}

int
runtime_container_disk_usage(struct runtime *rt, struct str id,
	void (*done)(void *arg, uint64_t bytes, uint64_t inodes, const struct err *e), void *arg)
{
	struct container *c = container_find(rt, id);
	struct usage_job *j = NULL;
	char path[RUNTIME_ID_LEN + 16];

	if (!c)
		return -ENOENT;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	snprintf(path, sizeof(path), STR_FMT "/upper", STR_ARG(c->rec.id));
	*j = (struct usage_job){.job = {.work = usage_work, .done = usage_done},
		.done = done,
		.arg = arg,
		.dir = openat(rt->containers_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	if (job_start(rt, &j->job)) {
		cleanup_fd(&j->dir);
		free(j);
		return -ENOMEM;
	}
	return 0;
}
