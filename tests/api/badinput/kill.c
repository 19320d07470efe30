/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * kill: 1,000 objects are read page by page while a writer changes them, and the server is killed in between. The
 * pages behind the first show what the first one showed, whatever was written, and nothing that was acknowledged is
 * lost. A server of its own, again on its data and port. */
#include "tests/api/badinput/badinput.h"

#include "base/rand.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CMS "api/v1/namespaces/default/configmaps"
#define SELECTED CMS "?labelSelector=pages&limit=100"
#define N_OBJECTS 1000
#define ROUNDS 3
#define WRITES_BEFORE 30 /* acknowledged, before the kill */

static bool
put(struct arena *a, struct server *s, const char *method, const char *path, int name, int value)
{
	struct answer an;

	call(a, s,
		&(struct call){.method = method,
			.path = path,
			.body = arena_fmt(a,
				"{\"metadata\":{\"name\":\"p%04d\",\"labels\":{\"pages\":\"yes\"}},\"data\":{\"v\":\"%d\"}}",
				name, value)},
		&an);
	return an.http / 100 == 2;
}

static const char *
path_of(struct arena *a, int name)
{
	return arena_fmt(a, CMS "/p%04d", name).p;
}

/* ---- the writer: a process of its own, until its server is gone ---- */

/* Each step changes an object, deletes one, and makes a new one; then its number is told. */
static void
write_on(struct server *s, int out, int round)
{
	for (int n = 0;; n++) {
		struct arena *a = arena_new(0);
		int changed = (int)rand_below(N_OBJECTS), gone = (int)rand_below(N_OBJECTS);
		int new = N_OBJECTS + round * 100000 + n;
		struct answer an;
		bool ok = false;

		if (changed != gone)
			put(a, s, "PUT", path_of(a, changed), changed, n);
		call(a, s, &(struct call){.method = "DELETE", .path = path_of(a, gone)}, &an);
		ok = put(a, s, "POST", CMS, new, n);
		arena_free(a);
		if (!ok || dprintf(out, "%d\n", new) < 0)
			_exit(0);
	}
}

static int
writer_start(struct server *s, int round, int *ret_fd)
{
	int fds[2], pid = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	fflush(stdout);
	conn_free(s->conn); /* it would be two processes' */
	s->conn = NULL;
	pid = fork();
	if (pid == 0)
		write_on(s, fds[1], round);
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

/* told: what the writer has told so far, as text. */
static void
told(int fd, struct buf *b, int wait_ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	char bytes[4096];

	while (poll(&p, 1, wait_ms) > 0) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n <= 0)
			return;
		buf_add(b, bytes, (size_t)n);
		wait_ms = 0;
	}
}

static size_t
lines_of(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

/* ---- the reader ---- */

/* read_page: adds "name=value " of each object; the token of the next page, "" at the end. False: said why. */
static bool
read_page(
	struct arena *a, struct server *s, struct str *token, struct buf *seen, struct str *version)
{
	struct answer an;
	struct str rv = STR_NONE;

	call(a, s,
		&(struct call){.method = "GET",
			.path = arena_fmt(a, SELECTED "%s" STR_FMT, token->n ? "&continue=" : "",
				STR_ARG(*token))
					.p},
		&an);
	if (!says(&an, 200, NULL, NULL, "a page"))
		return false;
	DOC_EACH (o, doc_get(an.doc, STR("items")))
		buf_fmt(seen, STR_FMT "=" STR_FMT " ",
			STR_ARG(doc_as_str(doc_at(o, "metadata.name"))),
			STR_ARG(doc_as_str(doc_at(o, "data.v"))));
	rv = doc_as_str(doc_at(an.doc, "metadata.resourceVersion"));
	check(version->n == 0 || str_eq(rv, *version),
		"a page of version " STR_FMT ", not " STR_FMT, STR_ARG(rv), STR_ARG(*version));
	*version = rv;
	*token = doc_as_str(doc_at(an.doc, "metadata.continue"));
	return true;
}

/* whole: all objects as read_page shows them, of one answer. */
static void
whole(struct arena *a, struct server *s, struct buf *seen)
{
	struct answer an;

	call(a, s, &(struct call){.method = "GET", .path = CMS "?labelSelector=pages"}, &an);
	DOC_EACH (o, doc_get(an.doc, STR("items")))
		buf_fmt(seen, STR_FMT "=" STR_FMT " ",
			STR_ARG(doc_as_str(doc_at(o, "metadata.name"))),
			STR_ARG(doc_as_str(doc_at(o, "data.v"))));
}

static void
check_acknowledged(struct arena *a, struct server *s, struct str names)
{
	struct str name = STR_NONE;
	size_t n = 0, lost = 0;

	while (str_next(&names, '\n', &name)) {
		int64_t number = 0;
		struct answer an;

		if (str_to_i64(name, &number) != 0)
			continue;
		call(a, s, &(struct call){.method = "GET", .path = path_of(a, (int)number)}, &an);
		lost += an.http != 200;
		n++;
	}
	check(n >= WRITES_BEFORE && lost == 0, "%zu of %zu acknowledged objects are lost", lost, n);
}

static void
check_round(struct server *s, int round)
{
	struct arena *a = arena_new(0);
	struct buf before, pages, names;
	struct str token = STR(""), version = STR("");
	const char *program = s->program;
	char dir[256];
	int fd = -1, writer = 0, port = s->port;
	int64_t deadline = now_ms() + 60000;

	buf_init_arena(&before, a);
	buf_init_arena(&pages, a);
	buf_init_arena(&names, a);
	whole(a, s, &before);
	read_page(a, s, &token, &pages, &version);
	writer = writer_start(s, round, &fd);
	for (int i = 0; i < round && token.n; i++)
		read_page(a, s, &token, &pages, &version);
	while (lines_of(&names) < WRITES_BEFORE && now_ms() < deadline)
		told(fd, &names, 100);
	snprintf(dir, sizeof(dir), "%s", s->dir);
	server_end(s, SIGKILL);
	waitpid(writer, NULL, 0); /* its next write fails */
	told(fd, &names, 0);
	close(fd);
	if (!check(server_start(s, program, dir, port), "the server does not start again"))
		return;
	while (token.n && read_page(a, s, &token, &pages, &version)) {}
	check(str_eq(buf_view(&pages), buf_view(&before)),
		"the pages of round %d are not what the first one showed", round);
	check_acknowledged(a, s, buf_view(&names));
	arena_free(a);
}

void
group_kill(struct server *own)
{
	struct server s = {0};
	char dir[300];

	snprintf(dir, sizeof(dir), "%s-kill", own->dir);
	if (!check(server_start(&s, own->program, dir, 0), "the server does not start"))
		return;
	for (int i = 0; i < N_OBJECTS; i++) {
		struct arena *a = arena_new(0);

		check(put(a, &s, "POST", CMS, i, 0), "object %d is not made", i);
		arena_free(a);
	}
	for (int round = 0; round < ROUNDS && server_alive(&s); round++)
		check_round(&s, round);
	check(server_end(&s, SIGTERM), "the server does not end by SIGTERM");
}
