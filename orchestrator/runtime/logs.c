/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * logs: see logs.h. */
#include "orchestrator/runtime/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"

#define BATCH_BYTES 65536
#define BATCHES_PER_TURN 4
#define DEFAULT_MAX_BYTES (10u << 20)
#define DEFAULT_MAX_FILES 5
#define JOURNAL_FILE "log-journal"

/* ---- files ---- */

static int
file_open(struct log_file *f)
{
	struct stat st = {0};
	char *slash = strrchr(f->path, '/');

	f->fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->fd < 0 && errno == ENOENT && slash && slash != f->path) {
		*slash = '\0';
		disk_mkdirs(f->path, 0755);
		*slash = '/';
		f->fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	}
	if (f->fd < 0 || fstat(f->fd, &st))
		return -errno;
	f->size = (uint64_t)st.st_size;
	return 0;
}

int
log_file_open(struct log_file *f, struct str path, uint64_t max_bytes, uint32_t max_files)
{
	*f = (struct log_file){.fd = -1,
		.max_bytes = max_bytes ? max_bytes : DEFAULT_MAX_BYTES,
		.max_files = max_files ? max_files : DEFAULT_MAX_FILES};
	if (path.n == 0)
		return 0;
	f->path = strndup(path.p, path.n);
	return f->path ? file_open(f) : -ENOMEM;
}

void
log_file_close(struct log_file *f)
{
	cleanup_fd(&f->fd);
	f->fd = -1;
	free(f->path);
	f->path = NULL;
}

int
log_file_reopen(struct log_file *f)
{
	cleanup_fd(&f->fd);
	f->fd = -1;
	return f->path ? file_open(f) : 0;
}

/* The oldest of "<base>.<time>" go until one less than max_files is left beside the current one. */
static void
old_remove(struct log_file *f)
{
	char *slash = strrchr(f->path, '/');
	const char *base = slash + 1;
	size_t n_base = strlen(base);

	for (;;) {
		char oldest[NAME_MAX + 1] = "";
		uint32_t n = 0;
		struct dirent *de = NULL;
		DIR *d = NULL;

		*slash = '\0';
		d = opendir(f->path);
		*slash = '/';
		while (d && (de = readdir(d))) {
			if (strncmp(de->d_name, base, n_base) != 0 || de->d_name[n_base] != '.')
				continue;
			n++;
			if (!*oldest || strcmp(de->d_name, oldest) < 0)
				str_copy_c(str_c(de->d_name), oldest, sizeof(oldest));
		}
		if (d && n + 1 > f->max_files)
			unlinkat(dirfd(d), oldest, 0);
		if (d)
			closedir(d);
		if (!d || n <= f->max_files)
			return;
	}
}

static void
rotate(struct log_file *f)
{
	char to[4200];
	char stamp[40];
	time_t s = (time_t)(clock_wall_ns() / NS_PER_SEC);
	struct tm tm = {0};

	if (f->max_files < 2) {
		if (ftruncate(f->fd, 0) == 0)
			f->size = 0;
		return;
	}
	gmtime_r(&s, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	snprintf(to, sizeof(to), "%s.%s", f->path, stamp);
	if (access(to, F_OK) == 0)
		snprintf(to, sizeof(to), "%s.%s.%09lld", f->path, stamp,
			(long long)(clock_wall_ns() % NS_PER_SEC));
	if (rename(f->path, to) == 0 && log_file_reopen(f) == 0)
		old_remove(f);
}

/* Bytes that the disk does not take are lost: a full disk must not stop the container. */
static void
file_put(struct log_file *f, uint64_t at, struct str text)
{
	while (text.n) {
		ssize_t n = pwrite(f->fd, text.p, text.n, (off_t)at);

		if (n <= 0)
			return;
		at += (uint64_t)n;
		text = str_sub(text, (size_t)n, SIZE_MAX);
	}
	f->size = at;
}

/* ---- the pump ---- */

static int
journal_map(struct log_pump *p, int run_dir)
{
	_cleanup_fd_ int fd = openat(run_dir, JOURNAL_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *m = NULL;

	if (fd < 0 || ftruncate(fd, sizeof(struct log_journal)))
		return -errno;
	m = mmap(NULL, sizeof(struct log_journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return -errno;
	p->journal = m;
	p->journal->id[RUNTIME_ID_LEN] = '\0';
	return 0;
}

int
log_pump_open(struct log_pump *p, struct loop *l, int run_dir, const int b[2])
{
	int rc = 0;

	*p = (struct log_pump){.loop = l, .in_flight = {-1, -1}, .copy = {-1, -1}};
	p->bytes = malloc(BATCH_BYTES);
	if (!p->bytes)
		return -ENOMEM;
	if (b) {
		p->in_flight[0] = b[0];
		p->in_flight[1] = b[1];
	} else if (pipe2(p->in_flight, O_CLOEXEC | O_NONBLOCK)) {
		rc = -errno;
	}
	if (!rc && pipe2(p->copy, O_CLOEXEC | O_NONBLOCK))
		rc = -errno;
	if (!rc)
		rc = journal_map(p, run_dir);
	if (rc)
		log_pump_close(p);
	return rc;
}

void
log_pump_close(struct log_pump *p)
{
	for (size_t i = 0; i < 2; i++) {
		cleanup_fd(&p->in_flight[i]);
		cleanup_fd(&p->copy[i]);
		p->in_flight[i] = p->copy[i] = -1;
	}
	if (p->journal)
		munmap(p->journal, sizeof(*p->journal));
	p->journal = NULL;
	free(p->bytes);
	p->bytes = NULL;
	buf_release(&p->lines);
}

static int
bytes_in(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) ? 0 : n;
}

const char *
log_pump_pending(const struct log_pump *p)
{
	return bytes_in(p->in_flight[0]) > 0 && p->journal->active ? p->journal->id : NULL;
}

/* What is in flight, left where it is. */
static struct str
look(struct log_pump *p)
{
	ssize_t n = tee(p->in_flight[0], p->copy[1], BATCH_BYTES, SPLICE_F_NONBLOCK);
	size_t have = 0;

	while (n > 0 && have < (size_t)n) {
		ssize_t r = read(p->copy[0], p->bytes + have, (size_t)n - have);

		if (r <= 0)
			break;
		have += (size_t)r;
	}
	return str_from(p->bytes, have);
}

static void
settle(struct log_pump *p)
{
	static char waste[4096];

	while (read(p->in_flight[0], waste, sizeof(waste)) > 0)
		continue;
	p->journal->active = 0;
}

int
log_pump_replay(struct log_pump *p, struct log_file *f)
{
	const struct log_journal *j = p->journal;
	struct str text = look(p);

	if (f && f->fd >= 0 && j->offset <= f->size &&
		(j->stream == RUNTIME_STDOUT || j->stream == RUNTIME_STDERR)) {
		buf_clear(&p->lines);
		log_format_add(&p->lines, j->at_ns, (enum runtime_stream)j->stream, text);
		if (!p->lines.failed)
			file_put(f, j->offset, buf_view(&p->lines));
	}
	settle(p);
	return 0;
}

static ssize_t
take_batch(struct log_source *s)
{
	struct log_pump *p = s->pump;
	struct log_journal *j = p->journal;

	j->stream = (uint32_t)s->stream;
	j->at_ns = clock_wall_ns();
	j->offset = s->file->size;
	memcpy(j->id, s->id, RUNTIME_ID_LEN);
	__atomic_store_n(&j->active, 1, __ATOMIC_RELEASE);
	return splice(s->w.fd, NULL, p->in_flight[1], NULL, BATCH_BYTES, SPLICE_F_NONBLOCK);
}

static void
source_end(struct log_source *s)
{
	log_source_close(s);
	if (s->on_eof)
		s->on_eof(s->arg, s->stream);
}

static void
on_readable(struct loop_fd *w, uint32_t revents)
{
	struct log_source *s = w->arg;
	struct log_pump *p = s->pump;

	(void)revents;
	for (int i = 0; i < BATCHES_PER_TURN; i++) {
		ssize_t n = 0;
		struct str text = STR_NONE;

		/* Not before there is something to write: the newest lines stay in the current file. */
		if (s->file->fd >= 0 && s->file->size >= s->file->max_bytes &&
			bytes_in(s->w.fd) > 0)
			rotate(s->file);
		n = take_batch(s);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			p->journal->active = 0;
			return;
		}
		if (n <= 0) { /* a terminal ends with EIO */
			p->journal->active = 0;
			source_end(s);
			return;
		}
		text = look(p);
		if (s->file->fd >= 0) {
			buf_clear(&p->lines);
			log_format_add(&p->lines, p->journal->at_ns, s->stream, text);
			if (!p->lines.failed)
				file_put(s->file, p->journal->offset, buf_view(&p->lines));
		}
		settle(p);
		if (s->on_output)
			s->on_output(s->arg, s->stream, text);
		if (!s->open)
			return;
	}
}

int
log_source_open(struct log_source *s, struct log_pump *p, struct log_file *f, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int rc = 0;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	s->pump = p;
	s->file = f;
	s->w = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_readable, .arg = s};
	rc = loop_fd_add(p->loop, &s->w);
	s->open = rc == 0;
	return rc;
}

void
log_source_close(struct log_source *s)
{
	if (!s->open)
		return;
	s->open = false;
	loop_fd_del(&s->w);
	close(s->w.fd);
	s->w.fd = -1;
}
