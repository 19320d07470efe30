/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * recover: after this process was killed: descriptors from PID 1 and state files become sandboxes and
 * containers again. What is not in both is half made and goes: a descriptor without a file, a folder without
 * a container, a cgroup nobody knows. Runs once at start, before any other call. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/runtime_int.h"

#define LIST_MS 5000
#define LOST_NS (2 * NS_PER_SEC)

struct kept {
	struct map fds; /* name -> fd + 1 as pointer */
};

static void
on_fd(void *arg, struct str name, int fd)
{
	struct kept *k = arg;
	void *old = NULL;

	if (map_put(&k->fds, name, (void *)(intptr_t)(fd + 1), &old)) {
		close(fd);
		return;
	}
	if (old)
		close((int)(intptr_t)old - 1);
}

static int
take(struct kept *k, char kind, struct str id, const char *what)
{
	char name[INIT_NAME_MAX];
	void *v = map_del(&k->fds, rt_fd_name(name, kind, id, what));

	return v ? (int)(intptr_t)v - 1 : -1;
}

/* ---- sandboxes ---- */

static void
sandbox_recover(struct runtime *rt, struct kept *k, const char *name)
{
	struct arena *a = arena_new(4u << 20);
	struct sandbox *s = a ? sandbox_new(rt, a) : NULL;
	const struct runtime_sandbox_spec *p = NULL;
	bool whole = true;

	if (!s || state_read(rt->state_dir, name, &state_sandbox_table, a, &s->rec) ||
		s->rec.id.n != RUNTIME_ID_LEN || map_get(&rt->sandboxes, s->rec.id)) {
		unlinkat(rt->state_dir, name, 0);
		arena_free(a);
		return;
	}
	p = &s->rec.spec;
	for (size_t i = 0; i < NS__COUNT; i++)
		s->ns[i] = take(k, 's', s->rec.id, rt_ns_names[i]);
	whole = str_eq(s->rec.boot_id, rt->boot_id) && (p->host_network || s->ns[NS_NET] >= 0) &&
		(p->host_ipc || s->ns[NS_IPC] >= 0) && (!p->share_pid || s->ns[NS_PID] >= 0);
	if (map_put(&rt->sandboxes, s->rec.id, s, NULL)) {
		sandbox_free(s);
		return;
	}
	if (!whole && !s->rec.stopped) {
		s->rec.stopped = true;
		sandbox_save(s);
	}
	if (s->rec.init_pid && whole)
		sandbox_init_watch(s);
}

/* ---- containers ---- */

static void
on_lost(struct loop_timer *t)
{
	struct container *c = t->arg;

	/* Neither a process nor a record of its end. */
	container_ended(c, false, 0, 0);
}

static int
pidfd_of(const struct container_rec *r)
{
	int fd = -1;

	if (!r->pid || pid_start_time(r->pid) != r->pid_start)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	/* Looked at again: the number may have changed hands in between. */
	if (fd >= 0 && pid_start_time(r->pid) != r->pid_start) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
container_resume(struct container *c, struct kept *k)
{
	struct runtime *rt = c->rt;
	struct container_rec *r = &c->rec;
	const struct runtime_container_spec *s = &r->spec;
	int out = take(k, 'c', r->id, s->tty ? "tty" : "out");
	int err = take(k, 'c', r->id, "err");
	int mine = -1;

	c->stdin_fd = take(k, 'c', r->id, "in");
	c->pidfd = pidfd_of(r);
	log_file_open(&c->log, s->log_path, (uint64_t)s->log_max_bytes, s->log_max_files);
	if (log_pump_pending(&rt->pump) && str_eq(str_c(log_pump_pending(&rt->pump)), r->id))
		log_pump_replay(&rt->pump, &c->log);
	if (s->tty && out >= 0) {
		mine = fcntl(out, F_DUPFD_CLOEXEC, 3);
		c->tty_fd = mine;
	}
	container_streams_open(c, out, err);
	if (c->pidfd >= 0 && r->phase == PHASE_STARTING) {
		/* It was told to go: the others have ended when the old socket closed. */
		r->started_ns = clock_wall_ns();
	}
	container_watch(c);
	if (c->pidfd < 0) {
		c->lost.fn = on_lost;
		c->lost.arg = c;
		loop_timer_after(rt->loop, &c->lost, LOST_NS);
	}
}

static void
container_recover(struct runtime *rt, struct kept *k, const char *name)
{
	struct arena *a = arena_new(16u << 20);
	struct container *c = a ? container_new(rt, a) : NULL;
	struct container_rec *r = c ? &c->rec : NULL;

	if (!c || state_read(rt->state_dir, name, &state_container_table, a, r) ||
		r->id.n != RUNTIME_ID_LEN || map_get(&rt->containers, r->id) ||
		!(c->sandbox = sandbox_find(rt, r->spec.sandbox_id)) ||
		map_put(&rt->containers, r->id, c, NULL)) {
		unlinkat(rt->state_dir, name, 0);
		arena_free(a);
		return;
	}
	c->sandbox->containers++;
	container_images_count(c, 1);
	if (r->phase == PHASE_EXITED || r->phase == PHASE_CREATED)
		return;
	if (str_eq(r->boot_id, rt->boot_id)) {
		container_resume(c, k);
		return;
	}
	r->phase = PHASE_EXITED;
	r->finished_ns = clock_wall_ns();
	r->exit_code = 255;
	r->reason = STR("Unknown");
	container_save(c);
}

static void
states_read(struct runtime *rt, struct kept *k, char kind)
{
	int fd = openat(rt->state_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de = NULL;

	if (!d) {
		cleanup_fd(&fd);
		return;
	}
	while ((de = readdir(d))) {
		if (de->d_name[0] != kind || de->d_name[1] != '-')
			continue;
		if (str_ends(str_c(de->d_name), STR(".new")))
			unlinkat(rt->state_dir, de->d_name, 0);
		else if (kind == STATE_SANDBOX)
			sandbox_recover(rt, k, de->d_name);
		else
			container_recover(rt, k, de->d_name);
	}
	closedir(d);
}

/* ---- what is left over ---- */

/* A child that was cloned but whose pid never reached the disk: it waits on a closed socket and ends by itself;
 * its folder and cgroup are known by name. Removed in a helper thread. */
struct sweep_job {
	struct job job;
	struct map *known; /* ids; owned */
};

static void
folder_sweep(int dir, const struct map *known)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de = NULL;

	while (d && (de = readdir(d)))
		if (de->d_name[0] != '.' && !map_get(known, str_c(de->d_name)))
			fs_remove_tree(dir, de->d_name);
	if (d)
		closedir(d);
	else
		cleanup_fd(&fd);
}

static void
shm_sweep(struct runtime *rt, const struct map *known)
{
	int fd = openat(rt->run_dir, "shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de = NULL;

	while (d && (de = readdir(d))) {
		char path[4400];

		if (de->d_name[0] == '.' || map_get(known, str_c(de->d_name)))
			continue;
		snprintf(path, sizeof(path), "%s/shm/%s", rt->run_path, de->d_name);
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
	if (d)
		closedir(d);
	else
		cleanup_fd(&fd);
}

static void
sweep_work(struct job *job)
{
	struct sweep_job *j = CONTAINER_OF(job, struct sweep_job, job);

	folder_sweep(job->rt->containers_dir, j->known);
	shm_sweep(job->rt, j->known);
}

static void
sweep_done(struct job *job, bool dead)
{
	struct sweep_job *j = CONTAINER_OF(job, struct sweep_job, job);

	(void)dead;
	map_release(j->known);
	free(j->known);
	free(j);
}

static void
sweep(struct runtime *rt)
{
	struct sweep_job *j = calloc(1, sizeof(*j));
	struct str id = STR_NONE;
	size_t pos = 0;
	int rc = j ? 0 : -ENOMEM;

	if (j) {
		j->known = calloc(1, sizeof(*j->known));
		rc = j->known ? 0 : -ENOMEM;
	}
	if (!rc)
		map_init(j->known);
	while (!rc && map_next(&rt->containers, &pos, &id, NULL))
		rc = map_put(j->known, id, j, NULL);
	pos = 0;
	while (!rc && map_next(&rt->sandboxes, &pos, &id, NULL))
		rc = map_put(j->known, id, j, NULL);
	if (!rc) {
		j->job = (struct job){.work = sweep_work, .done = sweep_done};
		if (job_start(rt, &j->job) == 0)
			return;
	}
	if (j && j->known)
		map_release(j->known);
	if (j)
		free(j->known);
	free(j);
}

static void
fds_drop(struct runtime *rt, struct kept *k)
{
	struct str name = STR_NONE;
	void *v = NULL;
	size_t pos = 0;

	while (map_next(&k->fds, &pos, &name, &v)) {
		/* Others of this role may keep descriptors there too: only ours are touched. */
		if (str_starts(name, STR("s/")) || str_starts(name, STR("c/")))
			init_fd_del(rt->init, name);
		close((int)(intptr_t)v - 1);
	}
	map_release(&k->fds);
}

static int
pump_open(struct runtime *rt, struct kept *k)
{
	int b[2] = {take(k, 'l', STR("log"), "0"), take(k, 'l', STR("log"), "1")};
	bool old = b[0] >= 0 && b[1] >= 0;
	int rc = log_pump_open(&rt->pump, rt->loop, rt->run_dir, old ? b : NULL);

	if (!old) {
		cleanup_fd(&b[0]);
		cleanup_fd(&b[1]);
	}
	if (!rc && !old)
		rc = rt_fd_keep(rt, 'l', STR("log"), "0", rt->pump.in_flight[0]);
	if (!rc && !old)
		rc = rt_fd_keep(rt, 'l', STR("log"), "1", rt->pump.in_flight[1]);
	return rc;
}

int
runtime_recover(struct runtime *rt, struct err *e)
{
	struct kept k;
	int rc = 0;
	int listed = 0;

	LOOP_ASSERT(rt->loop);
	map_init(&k.fds);
	listed = init_fd_list(rt->init, STR_NONE, LIST_MS, on_fd, &k);
	rc = pump_open(rt, &k);
	if (rc) {
		fds_drop(rt, &k);
		return err_errno(e, rc, "opening the log pump");
	}
	states_read(rt, &k, STATE_SANDBOX);
	states_read(rt, &k, STATE_CONTAINER);
	if (log_pump_pending(&rt->pump))
		log_pump_replay(&rt->pump, NULL);
	if (!listed)
		fds_drop(rt, &k);
	else
		map_release(&k.fds);
	sweep(rt);
	return listed ? err_errno(e, listed, "asking PID 1 for kept descriptors") : 0;
}
