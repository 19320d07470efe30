/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * disk: a disk that is full: writes are refused with a Status that says so, reads go on; with space again so do
 * writes, and nothing that was acknowledged is lost, not even when the server is killed then. A server of its own, on
 * a small file system of its own (as root only). */
#include "tests/api/badinput/badinput.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define CMS "api/v1/namespaces/default/configmaps"
#define SIZE "size=48m"
#define WRITES_MAX 400 /* of 200 KB: more than there is room for */

static bool
write_one(struct arena *a, struct server *s, int n, struct str text, struct answer *an)
{
	call(a, s,
		&(struct call){.method = "POST",
			.path = CMS,
			.body = arena_fmt(a,
				"{\"metadata\":{\"name\":\"d%d\"},\"data\":{\"a\":\"" STR_FMT
				"\"}}",
				n, STR_ARG(text))},
		an);
	return an->http == 201;
}

/* fill: writes until one is refused. Which; WRITES_MAX: none was. */
static int
fill(struct server *s, struct str text, int from, struct answer *an, struct arena *keep)
{
	for (int n = from; n < WRITES_MAX; n++) {
		struct arena *a = arena_new(0);
		bool ok = write_one(a, s, n, text, an);

		if (!ok) {
			an->body = arena_str(keep, an->body);
			an->doc = doc_copy(keep, an->doc);
			arena_free(a);
			return n;
		}
		arena_free(a);
	}
	return WRITES_MAX;
}

static void
check_there(struct server *s, int n, struct str text, const char *when)
{
	int lost = 0;

	for (int i = 0; i < n; i++) {
		struct arena *a = arena_new(0);
		struct answer an;

		call(a, s, &(struct call){.method = "GET", .path = arena_fmt(a, CMS "/d%d", i).p},
			&an);
		lost += an.http != 200 || !str_eq(doc_as_str(doc_at(an.doc, "data.a")), text);
		arena_free(a);
	}
	check(lost == 0, "%d of %d acknowledged objects are lost %s", lost, n, when);
}

/* refused: what is said of a full disk. */
static void
refused(const struct answer *an, const char *what)
{
	check((an->http == 500 || an->http == 507) &&
			str_eq_c(answer_reason(an), "InternalError") &&
			str_find(answer_message(an), STR("the disk of the object store is full")) >=
				0,
		"%s on a full disk: %d " STR_FMT, what, an->http,
		STR_ARG(str_sub(an->body, 0, 300)));
}

static void
check_full(struct server *s, const char *dir, const char *program)
{
	struct arena *a = arena_new(0);
	struct str text = repeated(a, "x", 200 * 1000);
	char ballast[320], data[300];
	int64_t deadline = now_ms() + 30000;
	struct answer an;
	int made = 0, port = s->port, fd = -1;

	snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
	snprintf(data, sizeof(data), "%s", s->dir);
	fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0 && posix_fallocate(fd, 0, 24 << 20) == 0, "no room for the ballast");
	close(fd);
	made = fill(s, text, 0, &an, a);
	check(made > 0 && made < WRITES_MAX, "%d writes went onto a full disk", made);
	refused(&an, "a create");
	call(a, s,
		&(struct call){"PATCH", CMS "/d0", "application/merge-patch+json", NULL,
			arena_fmt(a, "{\"data\":{\"b\":\"" STR_FMT "\"}}", STR_ARG(text))},
		&an);
	refused(&an, "a patch");
	check(get_ok(s, "readyz") && get_ok(s, CMS "/d0"), "no reads on a full disk");
	check_there(s, made, text, "on a full disk");
	unlink(ballast);
	while (!write_one(a, s, made, text, &an) && now_ms() < deadline)
		poll_wait(100);
	says(&an, 201, NULL, NULL, "a create with space again");
	made++;
	check_there(s, made, text, "with space again");
	server_end(s, SIGKILL);
	if (check(server_start(s, program, data, port), "the server does not start again"))
		check_there(s, made, text, "after a kill");
	arena_free(a);
}

void
group_disk(struct server *own)
{
	struct server s = {0};
	char dir[300], data[310];

	snprintf(dir, sizeof(dir), "%s-disk", own->dir);
	snprintf(data, sizeof(data), "%s/d", dir);
	mkdir(dir, 0700);
	if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, SIZE) < 0) {
		skip("a full disk: a file system of its own needs root");
		return;
	}
	if (check(server_start(&s, own->program, data, 0), "the server does not start")) {
		check_full(&s, dir, own->program);
		check(server_end(&s, SIGTERM), "the server does not end by SIGTERM");
	}
	check(umount2(dir, MNT_DETACH) == 0, "the file system stays mounted");
}
