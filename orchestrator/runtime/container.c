/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * container: the life of a container on the loop, up to its removal; starting is in container_start.c.
 *
 *   creating -> CREATED -> starting -> RUNNING -> (process ended) -> (log complete) EXITED -> removed */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "orchestrator/runtime/container_spec.h"
#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/runtime_int.h"
#include "orchestrator/runtime/user.h"

#define DRAIN_NS (2 * NS_PER_SEC)
#define PASSWD_MAX (4u << 20)

struct container *
container_find(struct runtime *rt, struct str id)
{
	return map_get(&rt->containers, id);
}

bool
container_live(const struct container *c)
{
	return c->starting || c->rec.phase == PHASE_RUNNING || c->rec.phase == PHASE_STARTING ||
		c->ending;
}

struct container *
container_new(struct runtime *rt, struct arena *a)
{
	struct container *c = ARENA_NEW(a, struct container);

	if (!c)
		return NULL;
	c->rt = rt;
	c->a = a;
	c->pidfd = c->stdin_fd = c->tty_fd = -1;
	c->log.fd = -1;
	c->oom.wd = c->events.wd = -1;
	return c;
}

static void
waiters_free(struct waiter **list)
{
	while (*list) {
		struct waiter *w = *list;

		*list = w->next;
		free(w);
	}
}

/* Lets go of everything this process holds; what runs, runs on. */
void
container_free(struct container *c)
{
	attach_end(c);
	exec_container_gone(c);
	pid_watch_stop(c->rt, &c->watch, false);
	file_watch_del(c->rt, &c->oom);
	file_watch_del(c->rt, &c->events);
	loop_timer_cancel(&c->drain);
	loop_timer_cancel(&c->stop);
	loop_timer_cancel(&c->lost);
	log_source_close(&c->out);
	log_source_close(&c->err);
	log_file_close(&c->log);
	if (c->sock.loop)
		loop_fd_del(&c->sock);
	if (!c->busy)
		launch_free(c->launch);
	cleanup_fd(&c->pidfd);
	cleanup_fd(&c->stdin_fd);
	cleanup_fd(&c->tty_fd);
	c->pidfd = c->stdin_fd = c->tty_fd = -1;
	waiters_free(&c->stopping);
	waiters_free(&c->removed);
	free(c->data);
	c->data = NULL;
	if (!c->busy)
		arena_free(c->a);
}

int
container_save(struct container *c)
{
	return state_write(
		c->rt->state_dir, STATE_CONTAINER, c->rec.id, &state_container_table, &c->rec);
}

void
container_images_count(struct container *c, int by)
{
	const struct runtime_container_spec *s = &c->rec.spec;

	for (size_t i = 0; i <= s->n_mounts; i++) {
		struct str id = i < s->n_mounts ? s->mounts[i].image : c->rec.image_id;
		struct image *img = id.n ? image_store_get(c->rt->store, id) : NULL;

		if (img)
			img->containers = by > 0 ? img->containers + 1
						 : img->containers - (img->containers > 0);
	}
}

/* ---- create ---- */

struct create_job {
	struct job job;
	struct container *c;
	runtime_done_fn *done;
	void *arg;
	struct user_want want;
	struct arena *a;
	struct user_found user;
	struct err err;
};

static struct str
file_in(int root, struct arena *a, const char *path)
{
	_cleanup_fd_ int fd = fs_open_in(root, path, O_RDONLY | O_NONBLOCK);
	struct buf b;
	struct stat st = {0};
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return STR("");
	buf_init_arena(&b, a);
	b.max = PASSWD_MAX;
	do {
		char *to = buf_reserve(&b, 8192);

		n = to ? read(fd, to, 8192) : 0;
		if (n > 0)
			buf_commit(&b, (size_t)n);
	} while (n > 0);
	return buf_view(&b);
}

static void
create_work(struct job *job)
{
	struct create_job *j = CONTAINER_OF(job, struct create_job, job);
	const struct container_rec *r = &j->c->rec;
	struct runtime *rt = j->c->rt;
	_cleanup_fd_ int root = -1;
	char name[RUNTIME_ID_LEN + 1];

	str_copy_c(r->id, name, sizeof(name));
	if (mkdirat(rt->containers_dir, name, 0700)) {
		err_errno(&j->err, -errno, "making the container's folder");
		return;
	}
	root = launch_overlay(&rt->env, j->a, r->layers, r->n_layers, NULL, NULL, &j->err);
	if (root < 0)
		return;
	user_resolve(j->a, file_in(root, j->a, "etc/passwd"), file_in(root, j->a, "etc/group"),
		&j->want, &j->user, &j->err);
}

static int
user_take(struct container *c, const struct user_found *u)
{
	uint32_t *groups = ARENA_ARRAY(c->a, uint32_t, u->n_groups);

	if (!groups)
		return -ENOMEM;
	memcpy(groups, u->groups, u->n_groups * sizeof(*groups));
	c->rec.uid = u->uid;
	c->rec.gid = u->gid;
	c->rec.groups = groups;
	c->rec.n_groups = u->n_groups;
	return container_env_add(c->a, &c->rec, "HOME", arena_str(c->a, u->home));
}

static void
forget(struct container *c)
{
	struct sandbox *s = c->sandbox;

	map_del(&c->rt->containers, c->rec.id);
	container_images_count(c, -1);
	s->containers--;
	state_remove(c->rt->state_dir, STATE_CONTAINER, c->rec.id);
	container_free(c);
	sandbox_container_gone(s);
}

static void
create_done(struct job *job, bool dead)
{
	struct create_job *j = CONTAINER_OF(job, struct create_job, job);
	struct container *c = j->c;
	int rc = 0;

	c->busy--;
	if (dead) {
		container_free(c);
		arena_free(j->a);
		return;
	}
	c->creating = false;
	if (!j->err.code && user_take(c, &j->user))
		err_set(&j->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	rc = j->err.code ? 0 : container_save(c);
	if (rc)
		err_errno(&j->err, rc, "writing the container's state");
	if (j->err.code) {
		char name[RUNTIME_ID_LEN + 1];

		str_copy_c(c->rec.id, name, sizeof(name));
		unlinkat(c->rt->containers_dir, name, AT_REMOVEDIR);
	}
	/* The caller hears first: from then on the id is known or never was. */
	if (j->err.code)
		forget(c);
	else if (c->removed)
		runtime_container_remove(c->rt, c->rec.id, NULL, NULL);
	j->done(j->arg, j->err.code ? &j->err : NULL);
	arena_free(j->a);
}

/* Images of volumes by id from now on: a name may come to mean another one. */
static int
mount_images_fix(struct container *c, struct err *e)
{
	struct runtime_container_spec *s = &c->rec.spec;
	struct runtime_mount *list = ARENA_ARRAY(c->a, struct runtime_mount, s->n_mounts);

	for (size_t i = 0; list && i < s->n_mounts; i++) {
		struct image *img = NULL;

		list[i] = s->mounts[i];
		if (!list[i].image.n)
			continue;
		img = image_store_find(c->rt->store, list[i].image);
		if (!img)
			return err_set(e, -ENOENT, R_NOT_FOUND, "image \"" STR_FMT "\" not found",
				STR_ARG(list[i].image));
		list[i].image = arena_str(c->a, img->id);
	}
	s->mounts = list;
	return list ? 0 : err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
}

static int
rec_make(struct container *c, const struct runtime_container_spec *spec, const struct image *img,
	const char *id, struct err *e)
{
	struct arena *a = c->a;
	struct container_rec *r = &c->rec;
	struct str *layers = ARENA_ARRAY(a, struct str, img->n_layers);
	struct buf b;

	buf_init_arena(&b, a);
	pack_put(&b, &state_container_spec_table, spec);
	if (!layers || b.failed || pack_get(a, &state_container_spec_table, buf_view(&b), &r->spec))
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	for (size_t i = 0; i < img->n_layers; i++)
		layers[i] = arena_str(a, img->layers[img->n_layers - 1 - i]);
	if (mount_images_fix(c, e))
		return e ? e->code : -ENOENT;
	r->id = arena_str(a, str_c(id));
	r->boot_id = c->rt->boot_id;
	r->image_id = arena_str(a, img->id);
	r->layers = layers;
	r->n_layers = img->n_layers;
	r->cgroup = arena_fmt(a, STR_FMT "/%s", STR_ARG(c->sandbox->rec.cgroup), id);
	r->created_ns = clock_wall_ns();
	return container_spec_resolve(a, r, &img->config, c->sandbox->rec.spec.hostname, e);
}

int
runtime_container_create(struct runtime *rt, const struct runtime_container_spec *spec,
	char ret_id[RUNTIME_ID_LEN + 1], runtime_done_fn *done, void *arg, struct err *e)
{
	struct sandbox *s = sandbox_find(rt, spec->sandbox_id);
	struct image *img = image_store_find(rt->store, spec->image);
	struct arena *a = NULL;
	struct arena *ja = NULL;
	struct container *c = NULL;
	struct create_job *j = NULL;
	char id[RUNTIME_ID_LEN + 1];
	int rc = 0;

	LOOP_ASSERT(rt->loop);
	if (!s || s->removing)
		return err_set(e, -ENOENT, R_NOT_FOUND, "sandbox '" STR_FMT "' not found",
			STR_ARG(spec->sandbox_id));
	if (!img)
		return err_set(e, -ENOENT, R_NOT_FOUND, "image \"" STR_FMT "\" not found",
			STR_ARG(spec->image));
	rc = container_spec_check(spec, e);
	if (rc)
		return rc;
	a = arena_new(16u << 20);
	ja = arena_new(32u << 20);
	c = a ? container_new(rt, a) : NULL;
	j = ja ? ARENA_NEW(ja, struct create_job) : NULL;
	rc = c && j ? 0 : err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (!rc) {
		rt_random_id(id);
		c->sandbox = s;
		rc = rec_make(c, spec, img, id, e);
	}
	if (!rc && map_put(&rt->containers, c->rec.id, c, NULL))
		rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (rc) {
		arena_free(a);
		arena_free(ja);
		return rc;
	}
	*j = (struct create_job){.job = {.work = create_work, .done = create_done},
		.c = c,
		.done = done,
		.arg = arg,
		.a = ja};
	j->want = (struct user_want){.user = arena_str(ja, img->config.user),
		.has_uid = spec->has_uid,
		.has_gid = spec->has_gid,
		.uid = spec->uid,
		.gid = spec->gid,
		.groups = c->rec.spec.groups,
		.n_groups = c->rec.spec.n_groups,
		.strict = spec->groups_strict};
	if (job_start(rt, &j->job)) {
		map_del(&rt->containers, c->rec.id);
		arena_free(a);
		arena_free(ja);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	c->busy++;
	c->creating = true;
	container_images_count(c, 1);
	img->used_ns = c->rec.created_ns;
	s->containers++;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

/* ---- running: exit, OOM ---- */

static void
on_oom(struct file_watch *w, uint32_t mask, struct str name)
{
	struct container *c = w->arg;
	uint64_t n = cgroup_oom_kills(&c->rt->cgroups, c->rec.cgroup.p);

	(void)mask;
	(void)name;
	if (n > c->rec.oom_seen) {
		c->rec.oom_seen = n;
		rt_event(c->rt, RUNTIME_EVENT_OOM, c);
	}
}

static void
on_process_exit(struct pid_watch *w, int status, int64_t at_ns)
{
	container_ended(w->arg, true, status, at_ns);
}

int
container_watch(struct container *c)
{
	char path[4096];

	c->watch.pid = c->rec.pid;
	c->watch.fn = on_process_exit;
	c->watch.arg = c;
	if (c->rt->cgroups.have >> CGROUP_MEMORY & 1) {
		snprintf(path, sizeof(path), STR_FMT "/" STR_FMT "/memory.events",
			STR_ARG(c->rt->cfg.cgroup_mount), STR_ARG(c->rec.cgroup));
		c->oom.fn = on_oom;
		c->oom.arg = c;
		file_watch_add(c->rt, &c->oom, path, IN_MODIFY);
	}
	return pid_watch_start(c->rt, &c->watch);
}

void
container_kill_all(struct container *c)
{
	cgroup_kill(&c->rt->cgroups, c->rec.cgroup.p);
}

static void
stream_output(void *arg, enum runtime_stream s, struct str bytes)
{
	attach_output(arg, s, bytes);
}

static void finish(struct container *c);

static void
stream_eof(void *arg, enum runtime_stream s)
{
	struct container *c = arg;
	bool tty = c->rec.spec.tty;

	rt_fd_drop(c->rt, 'c', c->rec.id, tty ? "tty" : s == RUNTIME_STDOUT ? "out" : "err");
	if (c->exited)
		finish(c);
}

/* The pipes (or the terminal, as out) of a container; both are taken. */
int
container_streams_open(struct container *c, int out, int err)
{
	struct log_source *src[2] = {&c->out, &c->err};
	int fd[2] = {out, err};
	int rc = 0;

	for (size_t i = 0; i < 2; i++) {
		if (fd[i] < 0)
			continue;
		*src[i] = (struct log_source){.stream = i ? RUNTIME_STDERR : RUNTIME_STDOUT,
			.id = c->rec.id.p,
			.on_output = stream_output,
			.on_eof = stream_eof,
			.arg = c};
		rc = log_source_open(src[i], &c->rt->pump, &c->log, fd[i]);
		if (rc)
			close(fd[i]);
	}
	return rc;
}

static void
on_drain(struct loop_timer *t)
{
	struct container *c = t->arg;

	/* Something outside of it holds the other end: what is not here by now is not waited for. */
	log_source_close(&c->out);
	log_source_close(&c->err);
	finish(c);
}

void
container_ended(struct container *c, bool known, int status, int64_t at_ns)
{
	struct container_rec *r = &c->rec;
	bool oom = cgroup_oom_kills(&c->rt->cgroups, r->cgroup.p) > 0;

	if (c->exited || r->phase == PHASE_EXITED)
		return;
	pid_watch_stop(c->rt, &c->watch, false);
	loop_timer_cancel(&c->lost);
	if (c->starting && !container_start_settle(c))
		return;
	/* It never got the word to go: the start can be tried again. */
	if (known && r->phase == PHASE_STARTING && WIFEXITED(status) &&
		WEXITSTATUS(status) == CHILD_NOT_STARTED) {
		r->phase = PHASE_CREATED;
		r->pid = 0;
		container_save(c);
		return;
	}
	c->exited = true;
	c->ending = true;
	r->phase = PHASE_RUNNING;
	r->finished_ns = at_ns ? at_ns : clock_wall_ns();
	/* One that ends at once may be gone before it was seen to run. */
	if (r->started_ns > r->finished_ns)
		r->started_ns = r->finished_ns;
	r->exit_code = 255;
	r->reason = STR("Unknown");
	if (known) {
		r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		r->exit_code = r->signal ? 128 + r->signal : WEXITSTATUS(status);
		r->oom_killed = oom && r->exit_code != 0;
		r->reason = r->oom_killed ? STR("OOMKilled")
			: r->exit_code    ? STR("Error")
					  : STR("Completed");
	}
	/* Without a process namespace of its own others may live on: they are the container's too. */
	container_kill_all(c);
	loop_timer_cancel(&c->stop);
	c->drain.fn = on_drain;
	c->drain.arg = c;
	loop_timer_after(c->rt->loop, &c->drain, DRAIN_NS);
	finish(c);
}

static void
on_cgroup_event(struct file_watch *w, uint32_t mask, struct str name)
{
	struct container *c = w->arg;

	(void)mask;
	(void)name;
	if (cgroup_populated(&c->rt->cgroups, c->rec.cgroup.p) != 1)
		container_cgroup_remove(c);
}

/* Goes when its last process is gone, which the kernel tells. */
void
container_cgroup_remove(struct container *c)
{
	char path[4096];
	int rc = cgroup_remove(&c->rt->cgroups, c->rec.cgroup.p);

	if (rc != -EBUSY) {
		file_watch_del(c->rt, &c->events);
		return;
	}
	if (c->events.wd >= 0)
		return;
	snprintf(path, sizeof(path), STR_FMT "/" STR_FMT "/cgroup.events",
		STR_ARG(c->rt->cfg.cgroup_mount), STR_ARG(c->rec.cgroup));
	c->events.fn = on_cgroup_event;
	c->events.arg = c;
	if (file_watch_add(c->rt, &c->events, path, IN_MODIFY) == 0 &&
		cgroup_populated(&c->rt->cgroups, c->rec.cgroup.p) == 0 &&
		cgroup_remove(&c->rt->cgroups, c->rec.cgroup.p) == 0)
		file_watch_del(c->rt, &c->events);
}

/* The process has ended; when the log is complete too, the container has. */
static void
finish(struct container *c)
{
	struct sandbox *s = c->sandbox;

	if (!c->ending || c->out.open || c->err.open)
		return;
	loop_timer_cancel(&c->drain);
	c->ending = false;
	c->rec.phase = PHASE_EXITED;
	file_watch_del(c->rt, &c->oom);
	log_file_close(&c->log);
	rt_fd_drop(c->rt, 'c', c->rec.id, "*");
	cleanup_fd(&c->pidfd);
	cleanup_fd(&c->stdin_fd);
	cleanup_fd(&c->tty_fd);
	c->pidfd = c->stdin_fd = c->tty_fd = -1;
	container_save(c);
	attach_end(c);
	log_readers_container_ended(c->rt, c->rec.id);
	container_cgroup_remove(c);
	waiters_end(&c->stopping, NULL);
	rt_event(c->rt, RUNTIME_EVENT_EXITED, c);
	sandbox_container_gone(s);
}

/* ---- stop, signal ---- */

static int
send_signal(struct container *c, int sig)
{
	if (c->pidfd < 0)
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) ? -errno : 0;
}

static void
on_grace_over(struct loop_timer *t)
{
	container_kill_all(t->arg);
}

int
runtime_container_stop(
	struct runtime *rt, struct str id, int64_t grace_ns, runtime_done_fn *done, void *arg)
{
	struct container *c = container_find(rt, id);
	bool first = false;

	if (!c)
		return -ENOENT;
	if (!container_live(c))
		return done ? rt_done_later(rt, done, arg, NULL) : 0;
	first = !c->stopping && !loop_timer_is_set(&c->stop);
	if (waiter_add(&c->stopping, done, arg))
		return -ENOMEM;
	if (grace_ns <= 0) {
		loop_timer_cancel(&c->stop);
		container_kill_all(c);
		return 0;
	}
	if (first)
		send_signal(c, c->rec.stop_signal);
	if (!loop_timer_is_set(&c->stop) || loop_now_ns(rt->loop) + grace_ns < c->stop.at_ns) {
		c->stop.fn = on_grace_over;
		c->stop.arg = c;
		loop_timer_after(rt->loop, &c->stop, grace_ns);
	}
	return 0;
}

int
runtime_container_signal(struct runtime *rt, struct str id, int sig)
{
	struct container *c = container_find(rt, id);

	if (!c)
		return -ENOENT;
	return c->rec.phase == PHASE_RUNNING && !c->exited ? send_signal(c, sig) : -ESRCH;
}

/* ---- remove ---- */

struct remove_job {
	struct job job;
	struct container *c;
	int rc;
};

static void
remove_work(struct job *job)
{
	struct remove_job *j = CONTAINER_OF(job, struct remove_job, job);
	char name[RUNTIME_ID_LEN + 1];

	str_copy_c(j->c->rec.id, name, sizeof(name));
	if (fs_remove_tree(j->c->rt->containers_dir, name))
		j->rc = -errno;
}

static void
remove_done(struct job *job, bool dead)
{
	struct remove_job *j = CONTAINER_OF(job, struct remove_job, job);
	struct container *c = j->c;
	struct waiter *removed = NULL;
	struct err e = {0};

	c->busy--;
	if (dead) {
		container_free(c);
		free(j);
		return;
	}
	if (j->rc)
		err_errno(&e, j->rc, "removing the container's files");
	free(j);
	removed = TAKE_PTR(c->removed);
	c->removing = false;
	if (!e.code) {
		cgroup_remove(&c->rt->cgroups, c->rec.cgroup.p);
		forget(c);
	}
	waiters_end(&removed, e.code ? &e : NULL);
}

int
runtime_container_remove(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg)
{
	struct container *c = container_find(rt, id);
	struct remove_job *j = NULL;

	if (!c)
		return -ENOENT;
	if (container_live(c))
		return -EBUSY;
	if (done && waiter_add(&c->removed, done, arg))
		return -ENOMEM;
	if (c->removing)
		return 0;
	if (c->creating)
		return done || !waiter_add(&c->removed, NULL, NULL) ? 0 : -ENOMEM;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	*j = (struct remove_job){.job = {.work = remove_work, .done = remove_done}, .c = c};
	if (job_start(rt, &j->job)) {
		free(j);
		return -ENOMEM;
	}
	c->busy++;
	c->removing = true;
	return 0;
}
