/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * runtime: the object that holds all others; exits from PID 1 to who waits for them; inotify; jobs; and
 * the image functions of the front door, which only pass on. */
#include "orchestrator/runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/rand.h"
#include "orchestrator/runtime/runtime_int.h"

const char *const rt_ns_names[NS__COUNT] = {
	[NS_NET] = "net",
	[NS_IPC] = "ipc",
	[NS_UTS] = "uts",
	[NS_PID] = "pid",
};

/* ---- jobs and completions ---- */

static void
runtime_release(struct runtime *rt)
{
	cleanup_fd(&rt->state_dir);
	cleanup_fd(&rt->containers_dir);
	cleanup_fd(&rt->run_dir);
	for (size_t i = 0; i < NS__COUNT; i++)
		cleanup_fd(&rt->env.host_ns[i]);
	cgroups_close(&rt->cgroups);
	map_release(&rt->sandboxes);
	map_release(&rt->containers);
	map_release(&rt->pids);
	arena_free(rt->a);
}

static void
idle(struct runtime *rt)
{
	rt->busy--;
	if (rt->dead && !rt->busy)
		runtime_release(rt);
}

static void
job_work(void *arg)
{
	struct job *j = arg;

	j->work(j);
}

static void
job_done(void *arg)
{
	struct job *j = arg;
	struct runtime *rt = j->rt;

	j->done(j, rt->dead);
	idle(rt);
}

int
job_start(struct runtime *rt, struct job *j)
{
	j->rt = rt;
	if (loop_blocking(rt->loop, job_work, job_done, j))
		return -ENOMEM;
	rt->busy++;
	return 0;
}

struct later {
	struct runtime *rt;
	runtime_done_fn *done;
	void *arg;
	struct err e;
};

static void
later_call(void *arg)
{
	struct later *l = arg;
	struct runtime *rt = l->rt;

	if (!rt->dead)
		l->done(l->arg, l->e.code ? &l->e : NULL);
	free(l);
	idle(rt);
}

int
rt_done_later(struct runtime *rt, runtime_done_fn *done, void *arg, const struct err *e)
{
	struct later *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct later){.rt = rt, .done = done, .arg = arg};
	if (e)
		l->e = *e;
	if (loop_post(rt->loop, later_call, l)) {
		free(l);
		return -ENOMEM;
	}
	rt->busy++;
	return 0;
}

int
waiter_add(struct waiter **list, runtime_done_fn *done, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct waiter){NULL, done, arg};
	while (*list)
		list = &(*list)->next;
	*list = w;
	return 0;
}

void
waiters_end(struct waiter **list, const struct err *e)
{
	struct waiter *w = TAKE_PTR(*list);

	while (w) {
		struct waiter *next = w->next;

		if (w->done)
			w->done(w->arg, e);
		free(w);
		w = next;
	}
}

/* ---- exits ---- */

static struct str
pid_key(const int *pid)
{
	return str_from((const char *)pid, sizeof(*pid));
}

static void
on_exit_record(void *arg, int pid, int status, int64_t at_ns)
{
	struct runtime *rt = arg;
	struct pid_watch *w = map_del(&rt->pids, pid_key(&pid));

	if (!w)
		return;
	w->on = false;
	init_exit_forget(rt->init, pid);
	w->fn(w, status, at_ns);
}

int
pid_watch_start(struct runtime *rt, struct pid_watch *w)
{
	int rc = map_put(&rt->pids, pid_key(&w->pid), w, NULL);

	if (rc)
		return rc;
	w->on = true;
	return init_exit_query(rt->init, w->pid);
}

void
pid_watch_stop(struct runtime *rt, struct pid_watch *w, bool forget)
{
	if (!w->on)
		return;
	w->on = false;
	if (map_get(&rt->pids, pid_key(&w->pid)) == w)
		map_del(&rt->pids, pid_key(&w->pid));
	if (forget)
		init_exit_forget(rt->init, w->pid);
}

uint64_t
pid_start_time(int pid)
{
	char path[48];
	char buf[1024];
	_cleanup_fd_ int fd = -1;
	ssize_t n = 0;
	struct str rest = STR_NONE;
	struct str field = STR_NONE;
	uint64_t v = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	if (n <= 0)
		return 0;
	/* The name in brackets may hold anything; field 3 stands behind the last one. */
	str_rcut(str_from(buf, (size_t)n), ')', &field, &rest);
	rest = str_trim(rest);
	for (int i = 3; i <= 22; i++) {
		if (!str_next(&rest, ' ', &field))
			return 0;
		if (i == 3 && field.n && (field.p[0] == 'Z' || field.p[0] == 'X'))
			return 0; /* ended, not yet collected */
	}
	return str_to_u64(field, &v) ? 0 : v;
}

/* ---- inotify ---- */

/* Several watches may share one descriptor, and a callback may take any of them away: each is marked
 * before the round and called at most once. */
static void
watches_call(struct runtime *rt, int wd, uint32_t mask, struct str name)
{
	struct file_watch *w = NULL;

	for (w = rt->watches; w; w = w->next)
		w->due = w->wd == wd;
	do {
		for (w = rt->watches; w && !w->due; w = w->next)
			continue;
		if (w) {
			w->due = false;
			w->fn(w, mask, name);
		}
	} while (w && !rt->dead);
}

static void
on_inotify(struct loop_fd *lw, uint32_t revents)
{
	struct runtime *rt = lw->arg;
	_Alignas(struct inotify_event) char buf[8192 - 64];
	ssize_t n = read(rt->inotify, buf, sizeof(buf));
	struct str rest = str_from(buf, n > 0 ? (size_t)n : 0);

	(void)revents;
	while (rest.n >= sizeof(struct inotify_event)) {
		struct inotify_event ev;
		struct str name = STR_NONE;

		memcpy(&ev, rest.p, sizeof(ev));
		name = str_sub(rest, sizeof(ev), sizeof(ev) + ev.len);
		if (str_find_char(name, '\0') >= 0)
			name.n = (size_t)str_find_char(name, '\0');
		rest = str_sub(rest, sizeof(ev) + ev.len, SIZE_MAX);
		watches_call(rt, ev.wd, ev.mask, name);
		if (rt->dead)
			return;
	}
}

int
file_watch_add(struct runtime *rt, struct file_watch *w, const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(rt->inotify, path, mask);

	if (wd < 0)
		return -errno;
	w->wd = wd;
	w->next = rt->watches;
	rt->watches = w;
	return 0;
}

void
file_watch_del(struct runtime *rt, struct file_watch *w)
{
	bool shared = false;

	if (w->wd < 0)
		return;
	for (struct file_watch **at = &rt->watches; *at;) {
		if (*at == w) {
			*at = w->next;
			continue;
		}
		shared = shared || (*at)->wd == w->wd;
		at = &(*at)->next;
	}
	if (!shared)
		inotify_rm_watch(rt->inotify, w->wd);
	w->wd = -1;
}

/* ---- small things ---- */

void
rt_random_id(char out[RUNTIME_ID_LEN + 1])
{
	uint8_t b[RUNTIME_ID_LEN / 2];

	rand_bytes(b, sizeof(b));
	for (size_t i = 0; i < sizeof(b); i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
}

struct str
rt_fd_name(char out[INIT_NAME_MAX], char kind, struct str id, const char *what)
{
	int n = snprintf(out, INIT_NAME_MAX, "%c/" STR_FMT "/%s", kind, STR_ARG(id), what);

	return str_from(out, (size_t)n);
}

int
rt_fd_keep(struct runtime *rt, char kind, struct str id, const char *what, int fd)
{
	char name[INIT_NAME_MAX];

	return init_fd_put(rt->init, rt_fd_name(name, kind, id, what), fd);
}

void
rt_fd_drop(struct runtime *rt, char kind, struct str id, const char *what)
{
	char name[INIT_NAME_MAX];

	init_fd_del(rt->init, rt_fd_name(name, kind, id, what));
}

void
rt_event(struct runtime *rt, enum runtime_event_type type, const struct container *c)
{
	struct runtime_event ev = {type, c->rec.spec.sandbox_id, c->rec.id};

	if (rt->cfg.on_event)
		rt->cfg.on_event(rt->cfg.arg, &ev);
}

struct init_client *
runtime_init(struct runtime *rt)
{
	return rt->init;
}

struct runtime_info
runtime_info(struct runtime *rt)
{
	unsigned have = rt->cgroups.have;

	return (struct runtime_info){.name = "keelson",
		.version = STR("1.0.0"),
		.cpu = have >> CGROUP_CPU & 1,
		.memory = have >> CGROUP_MEMORY & 1,
		.pids = have >> CGROUP_PIDS & 1,
		.cpuset = have >> CGROUP_CPUSET & 1,
		.io = have >> CGROUP_IO & 1,
		.hugetlb = have >> CGROUP_HUGETLB & 1};
}

/* ---- start ---- */

static int
open_folder(const char *base, const char *name, mode_t mode, int *ret, struct err *e)
{
	char path[4096];
	int rc = 0;

	snprintf(path, sizeof(path), "%s%s%s", base, *name ? "/" : "", name);
	rc = disk_mkdirs(path, mode);
	if (!rc) {
		*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = *ret < 0 ? -errno : 0;
	}
	return rc ? err_errno(e, rc, "opening '%s'", path) : 0;
}

static int
folders(struct runtime *rt, struct err *e)
{
	int stage = -1;
	int rc = open_folder(rt->data_path, "state", 0700, &rt->state_dir, e);

	if (!rc)
		rc = open_folder(rt->data_path, "containers", 0700, &rt->containers_dir, e);
	if (!rc)
		rc = open_folder(rt->run_path, "", 0700, &rt->run_dir, e);
	if (!rc)
		rc = open_folder(rt->run_path, "empty", 0755, &stage, e);
	cleanup_fd(&stage);
	return rc;
}

static int
host_namespaces(struct runtime *rt, struct err *e)
{
	for (size_t i = 0; i < NS__COUNT; i++) {
		char path[48];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", rt_ns_names[i]);
		rt->env.host_ns[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (rt->env.host_ns[i] < 0)
			return err_errno(e, -errno, "opening '%s'", path);
	}
	return 0;
}

static int
boot_id(struct runtime *rt, struct err *e)
{
	struct buf b;
	int rc = 0;

	buf_init_arena(&b, rt->a);
	rc = disk_read_file("/proc/sys/kernel/random/boot_id", 128, &b);
	rt->boot_id = str_trim(buf_view(&b));
	return rc ? err_errno(e, rc, "reading the boot id") : 0;
}

static int
watches_open(struct runtime *rt, struct err *e)
{
	int rc = 0;

	rt->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	rt->inotify_w = (struct loop_fd){.fd = rt->inotify,
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = on_inotify,
		.arg = rt};
	rc = rt->inotify < 0 ? -errno : loop_fd_add(rt->loop, &rt->inotify_w);
	return rc ? err_errno(e, rc, "inotify") : 0;
}

static int
images_open(struct runtime *rt, struct err *e)
{
	struct str dir = arena_fmt(rt->a, "%s/images", rt->data_path);
	int rc = 0;

	if (!str_is_set(dir))
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	rc = image_store_open(rt->loop, dir, &rt->store, e);
	return rc ? rc : image_fetcher_new(rt->loop, rt->store, &rt->cfg, &rt->fetcher, e);
}

static void
config_copy(struct runtime *rt, const struct runtime_config *cfg)
{
	struct arena *a = rt->a;

	rt->cfg = *cfg;
	rt->cfg.data_dir = arena_str(a, cfg->data_dir);
	rt->cfg.run_dir = arena_str(a, cfg->run_dir);
	rt->data_path = arena_cstr(a, cfg->data_dir);
	rt->run_path = arena_cstr(a, cfg->run_dir);
	rt->env.cgroups = &rt->cgroups;
	rt->env.data_path = rt->data_path;
	rt->env.layers = arena_fmt(a, "%s/images/layers", rt->data_path).p;
	rt->env.stage = arena_fmt(a, "%s/empty", rt->run_path).p;
	rt->env.seccomp_dir = arena_cstr(a, cfg->seccomp_dir);
}

int
runtime_new(struct loop *l, const struct runtime_config *cfg, struct runtime **ret, struct err *e)
{
	struct arena *a = arena_new(0);
	struct runtime *rt = a ? ARENA_NEW(a, struct runtime) : NULL;
	int rc = 0;

	if (!rt) {
		arena_free(a);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	rt->a = a;
	rt->loop = l;
	rt->state_dir = rt->containers_dir = rt->run_dir = rt->inotify = -1;
	rt->cgroups.mount = -1;
	for (size_t i = 0; i < NS__COUNT; i++)
		rt->env.host_ns[i] = -1;
	rt->pump = (struct log_pump){.in_flight = {-1, -1}, .copy = {-1, -1}};
	map_init(&rt->sandboxes);
	map_init(&rt->containers);
	map_init(&rt->pids);
	config_copy(rt, cfg);
	if (arena_failed(a))
		rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (!rc)
		rc = folders(rt, e);
	rt->env.containers = rt->containers_dir;
	if (!rc)
		rc = host_namespaces(rt, e);
	if (!rc)
		rc = boot_id(rt, e);
	if (!rc)
		rc = cgroups_open(&rt->cgroups, cfg, e);
	if (!rc)
		rc = watches_open(rt, e);
	if (!rc)
		rc = images_open(rt, e);
	if (!rc) {
		rc = init_client_new(l, cfg->init_fd, on_exit_record, rt, &rt->init);
		if (rc)
			err_errno(e, rc, "connecting to PID 1");
	}
	if (rc) {
		runtime_free(rt);
		return rc;
	}
	*ret = rt;
	return 0;
}

void
runtime_free(struct runtime *rt)
{
	size_t pos = 0;
	void *v = NULL;

	if (!rt)
		return;
	rt->dead = true;
	log_readers_close(rt);
	while (map_next(&rt->containers, &pos, NULL, &v))
		container_free(v);
	pos = 0;
	while (map_next(&rt->sandboxes, &pos, NULL, &v))
		sandbox_free(v);
	log_pump_close(&rt->pump);
	if (rt->fetcher)
		image_pulls_drop(rt->fetcher);
	image_fetcher_free(rt->fetcher);
	image_store_close(rt->store);
	init_client_free(rt->init);
	if (rt->inotify >= 0) {
		loop_fd_del(&rt->inotify_w);
		close(rt->inotify);
	}
	rt->busy++;
	idle(rt);
}

/* ---- images ---- */

int
runtime_image_find(struct runtime *rt, struct str ref, struct arena *a, struct runtime_image *ret)
{
	struct image *i = image_store_find(rt->store, ref);

	return i ? image_view(rt->store, i, a, ret) : -ENOENT;
}

int
runtime_image_list(struct runtime *rt, struct arena *a, struct runtime_image **ret, size_t *ret_n)
{
	struct runtime_image *list = ARENA_ARRAY(
		a, struct runtime_image, map_len(&rt->store->images) + 1);
	struct image *i = NULL;
	size_t n = 0;
	size_t pos = 0;

	while (list && map_next(&rt->store->images, &pos, NULL, (void **)&i))
		if (image_view(rt->store, i, a, &list[n++]))
			return -ENOMEM;
	*ret = list;
	*ret_n = n;
	return list ? 0 : -ENOMEM;
}

int
runtime_image_pull(struct runtime *rt, const struct runtime_pull_spec *spec,
	void (*done)(void *arg, struct str image_id, uint64_t size_bytes, const struct err *e),
	void *arg, struct runtime_pull **ret, struct err *e)
{
	return image_pull_start(rt->fetcher, spec, done, arg, ret, e);
}

void
runtime_image_pull_cancel(struct runtime_pull *p)
{
	image_pull_cancel(p);
}

bool
runtime_image_open_to(struct runtime *rt, const struct runtime_pull_spec *spec)
{
	return image_open_to(rt->store, spec);
}

int
runtime_image_remove(struct runtime *rt, struct str ref, runtime_done_fn *done, void *arg)
{
	return image_store_remove(rt->store, ref, done, arg);
}

int
runtime_image_pin(struct runtime *rt, struct str ref, bool pinned)
{
	struct image *i = image_store_find(rt->store, ref);

	if (!i)
		return -ENOENT;
	i->pinned = pinned;
	image_store_save(rt->store, NULL, NULL);
	return 0;
}

int
runtime_image_import(struct runtime *rt, struct str path,
	void (*done)(void *arg, struct str image_id, uint64_t size_bytes, const struct err *e),
	void *arg)
{
	return image_import_start(rt->store, path, done, arg);
}

static int
fs_usage_of(const char *path, struct runtime_fs_usage *ret)
{
	struct statvfs v = {0};

	if (statvfs(path, &v))
		return -errno;
	*ret = (struct runtime_fs_usage){.capacity_bytes = (uint64_t)v.f_blocks * v.f_frsize,
		.available_bytes = (uint64_t)v.f_bavail * v.f_frsize,
		.used_bytes = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize,
		.inodes = v.f_files,
		.inodes_free = v.f_ffree,
		.mountpoint = str_c(path)};
	return 0;
}

int
runtime_image_fs(struct runtime *rt, struct runtime_fs_usage *ret)
{
	struct image_layer *l = NULL;
	size_t pos = 0;
	uint64_t used = 0;
	int rc = fs_usage_of(rt->data_path, ret);

	while (map_next(&rt->store->layers, &pos, NULL, (void **)&l))
		used += l->bytes;
	if (!rc)
		ret->used_bytes = used;
	return rc;
}

int
runtime_container_fs(struct runtime *rt, struct runtime_fs_usage *ret)
{
	return fs_usage_of(rt->data_path, ret);
}

/* ---- data of callers ---- */

int
data_replace(char **own, struct str data, struct str *ret)
{
	if (data.n > RUNTIME_DATA_MAX)
		return -E2BIG;
	char *copy = malloc(data.n + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data.n ? data.p : "", data.n);
	free(*own);
	*own = copy;
	*ret = str_from(copy, data.n);
	return 0;
}

/* ---- cgroups ---- */

int
runtime_qos_limits(
	struct runtime *rt, enum runtime_qos qos, const struct runtime_limits *lim, struct err *e)
{
	struct arena *a = arena_new(0);
	struct str path = a ? cgroup_qos_path(&rt->cgroups, a, qos) : STR_NONE;
	int rc = str_is_set(path) ? cgroup_apply(&rt->cgroups, path.p, lim, e) : -ENOMEM;

	arena_free(a);
	return rc;
}

int
runtime_root_stats(struct runtime *rt, bool kubepods, struct runtime_stats *ret)
{
	return cgroup_stats(&rt->cgroups, kubepods ? rt->cgroups.parent : "", ret);
}
