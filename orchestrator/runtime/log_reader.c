/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * log_reader: what `kubectl logs` sees: a CRI log file from its start, its tail or a time on, optionally followed
 * through rotations until the container ends. One step of bounded work at a time, woken by inotify on
 * the file's folder, by the caller's resume, by the container's end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/runtime/runtime_int.h"

#define CHUNK 65536
#define LINE_MAX_BYTES (LOG_LINE_MAX + 256)

struct runtime_log {
	struct runtime_log *next; /* of the runtime */
	struct runtime *rt;
	struct runtime_log_spec spec; /* strings owned below */
	char *path, *base;
	char id[RUNTIME_ID_LEN + 1];
	struct runtime_log_ops ops;
	void *arg;
	int fd;
	off_t at;
	off_t until; /* not followed: no further than the file was when it was opened */
	struct buf raw, out;
	int64_t left;    /* of limit_bytes; -1 = no limit */
	bool line_start; /* the next text begins a line */
	bool rotated;    /* another file has the name by now */
	bool over, paused, ended, limited;
	struct file_watch watch;
	struct loop_work step;
};

static void
log_free(void *arg)
{
	struct runtime_log *r = arg;

	cleanup_fd(&r->fd);
	buf_release(&r->raw);
	buf_release(&r->out);
	free(r->path);
	free(r);
}

static void
drop(struct runtime_log *r)
{
	r->ended = true;
	for (struct runtime_log **at = &r->rt->logs; *at; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			break;
		}
	}
	loop_defer_cancel(&r->step);
	file_watch_del(r->rt, &r->watch);
	loop_free_later(r->rt->loop, log_free, r);
}

static void
end(struct runtime_log *r, const struct err *e)
{
	drop(r);
	r->ops.on_end(r->arg, e);
}

static void
wake(struct runtime_log *r)
{
	if (!r->paused && !r->ended)
		loop_defer(r->rt->loop, &r->step);
}

/* ---- positions ---- */

/* Where the last n lines begin; a last line without newline counts. */
static off_t
tail_start(int fd, off_t size, int64_t lines, char *buf)
{
	off_t end_at = size;
	int64_t seen = 0;

	if (lines == 0)
		return size;
	while (end_at > 0) {
		off_t from = end_at > CHUNK ? end_at - CHUNK : 0;
		ssize_t n = pread(fd, buf, (size_t)(end_at - from), from);

		for (ssize_t i = n; i-- > 0;) {
			if (buf[i] != '\n' || from + i == size - 1)
				continue;
			if (++seen == lines)
				return from + i + 1;
		}
		if (n <= 0)
			return 0;
		end_at = from;
	}
	return 0;
}

/* ---- lines ---- */

static void
put(struct runtime_log *r, struct str s)
{
	if (r->left >= 0 && (uint64_t)r->left < s.n) {
		s = str_sub(s, 0, (size_t)r->left);
		r->limited = true;
	}
	if (r->left >= 0)
		r->left -= (int64_t)s.n;
	buf_str(&r->out, s);
}

static void
line(struct runtime_log *r, struct str text)
{
	struct log_entry l = {0};

	if (log_format_parse(text, &l)) /* not ours: skipped, as everywhere */
		return;
	if (r->spec.since_ns && l.at_ns < r->spec.since_ns)
		return;
	if ((r->spec.only_stdout && l.stream != RUNTIME_STDOUT) ||
		(r->spec.only_stderr && l.stream != RUNTIME_STDERR))
		return;
	if (r->spec.timestamps && r->line_start) {
		put(r, l.time);
		put(r, STR(" "));
	}
	put(r, l.text);
	if (!l.partial)
		put(r, STR("\n"));
	r->line_start = !l.partial;
}

static void
lines(struct runtime_log *r)
{
	struct str rest = buf_view(&r->raw);
	size_t used = 0;

	while (!r->limited) {
		ptrdiff_t n = str_find_char(rest, '\n');

		if (n < 0)
			break;
		line(r, str_sub(rest, 0, (size_t)n));
		used += (size_t)n + 1;
		rest = str_sub(rest, (size_t)n + 1, SIZE_MAX);
	}
	buf_consume(&r->raw, used);
	/* No entry is that long: what stands there is no log. */
	if (r->raw.len > 4 * LINE_MAX_BYTES)
		buf_clear(&r->raw);
}

/* ---- files ---- */

static bool
is_rotated(struct runtime_log *r)
{
	struct stat now = {0};
	struct stat own = {0};

	return stat(r->path, &now) == 0 && fstat(r->fd, &own) == 0 &&
		(now.st_ino != own.st_ino || now.st_dev != own.st_dev);
}

/* At the end of the file: true = there is more to read in another. */
static bool
next_file(struct runtime_log *r)
{
	int fd = -1;

	if (r->fd >= 0 && !r->rotated) {
		/* The writer wrote to the old one until it renamed: look once more. */
		r->rotated = is_rotated(r);
		return r->rotated;
	}
	fd = open(r->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	cleanup_fd(&r->fd);
	r->fd = fd;
	r->at = 0;
	r->rotated = false;
	return true;
}

static bool
deliver(struct runtime_log *r)
{
	if (r->out.len) {
		r->paused = !r->ops.on_data(r->arg, buf_view(&r->out));
		buf_clear(&r->out);
	}
	return !r->ended && !r->paused;
}

static void
on_step(struct loop_work *w)
{
	struct runtime_log *r = w->arg;
	struct err e = {0};
	char *to = NULL;
	ssize_t n = 0;
	size_t most = CHUNK;

	if (r->ended || r->paused)
		return;
	if (!r->spec.follow && r->until - r->at < CHUNK)
		most = (size_t)(r->until - r->at);
	to = buf_reserve(&r->raw, CHUNK);
	n = !to ? -1 : r->fd < 0 ? 0 : pread(r->fd, to, most, r->at);
	if (n < 0) {
		err_errno(&e, to ? -errno : -ENOMEM, "reading the log");
		end(r, &e);
		return;
	}
	if (n > 0) {
		buf_commit(&r->raw, (size_t)n);
		r->at += n;
		lines(r);
		if (!deliver(r))
			return;
		if (r->limited || r->left == 0)
			end(r, NULL);
		else
			wake(r);
		return;
	}
	if (r->spec.follow && next_file(r)) {
		wake(r);
		return;
	}
	if (!r->spec.follow || r->over)
		end(r, NULL);
}

static void
on_change(struct file_watch *w, uint32_t mask, struct str name)
{
	struct runtime_log *r = w->arg;

	(void)mask;
	if (str_eq_c(name, r->base))
		wake(r);
}

static int
watch(struct runtime_log *r)
{
	int rc = 0;

	r->watch.fn = on_change;
	r->watch.arg = r;
	r->base[-1] = '\0';
	rc = file_watch_add(r->rt, &r->watch, r->path, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
	r->base[-1] = '/';
	return rc;
}

int
runtime_log_open(struct runtime *rt, const struct runtime_log_spec *spec,
	const struct runtime_log_ops *ops, void *arg, struct runtime_log **ret, struct err *e)
{
	struct container *c = str_is_set(spec->container_id)
		? container_find(rt, spec->container_id)
		: NULL;
	struct runtime_log *r = NULL;
	struct stat st = {0};
	int rc = 0;

	LOOP_ASSERT(rt->loop);
	if (spec->path.n < 2 || spec->path.p[0] != '/')
		return err_set(e, -EINVAL, R_BAD_REQUEST, "invalid log path");
	r = calloc(1, sizeof(*r));
	if (r)
		r->path = strndup(spec->path.p, spec->path.n);
	if (!r || !r->path) {
		free(r);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	r->rt = rt;
	r->spec = *spec;
	r->base = strrchr(r->path, '/') + 1;
	r->ops = *ops;
	r->arg = arg;
	r->watch.wd = -1;
	r->left = spec->limit_bytes > 0 ? spec->limit_bytes : -1;
	r->line_start = true;
	r->step.fn = on_step;
	r->step.arg = r;
	str_copy_c(str_is_set(spec->container_id) ? spec->container_id : STR(""), r->id,
		sizeof(r->id));
	r->over = !c || !container_live(c);
	r->spec.follow = spec->follow && str_is_set(spec->container_id);
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
	rc = r->fd < 0 ? -errno : 0;
	if (rc == -ENOENT && r->spec.follow && !r->over)
		rc = 0;
	if (!rc && r->spec.follow && !r->over)
		rc = watch(r);
	if (!rc && r->fd >= 0 && fstat(r->fd, &st))
		rc = -errno;
	r->until = st.st_size;
	if (!rc && r->fd >= 0 && spec->tail_lines >= 0) {
		char *buf = buf_reserve(&r->raw, CHUNK);

		rc = buf ? 0 : -ENOMEM;
		r->at = buf ? tail_start(r->fd, st.st_size, spec->tail_lines, buf) : 0;
	}
	if (rc) {
		err_errno(e, rc, "failed to open log file \"%s\"", r->path);
		file_watch_del(rt, &r->watch);
		log_free(r);
		return rc;
	}
	r->next = rt->logs;
	rt->logs = r;
	loop_defer(rt->loop, &r->step);
	*ret = r;
	return 0;
}

void
runtime_log_resume(struct runtime_log *r)
{
	r->paused = false;
	wake(r);
}

void
runtime_log_close(struct runtime_log *r)
{
	if (!r->ended)
		drop(r);
}

void
log_readers_container_ended(struct runtime *rt, struct str id)
{
	for (struct runtime_log *r = rt->logs; r; r = r->next) {
		if (!str_eq_c(id, r->id))
			continue;
		r->over = true;
		wake(r);
	}
}

void
log_readers_close(struct runtime *rt)
{
	while (rt->logs) {
		struct runtime_log *r = rt->logs;

		rt->logs = r->next;
		loop_defer_cancel(&r->step);
		file_watch_del(rt, &r->watch);
		log_free(r);
	}
}
