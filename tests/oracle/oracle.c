/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * oracle: two servers are asked the same, and what they answer differently is counted and shown. See oracle.h
 * for the text of a corpus, run.sh for how the servers come up. */
#include "tests/oracle/oracle.h"
#include "base/disk.h"
#include "base/log.h"
#include "netstack/http/http.h"

#include <stdio.h>
#include <unistd.h>

#define ANSWERS_MAX ((size_t)4 << 30)

static int
usage(void)
{
	fprintf(stderr,
		"usage: oracle replay URL PKI-DIR CORPUS ANSWERS   asks the server and keeps its answers\n"
		"       oracle compare THEIRS OURS DIR [KNOWN]     tables; differences in DIR; worse than KNOWN fails\n"
		"       oracle ports N                             prints N ports that are free\n");
	return 2;
}

static int
failed(const struct err *e)
{
	fprintf(stderr, "oracle: %s\n", e->msg);
	return 1;
}

static int
pki_read(struct arena *a, const char *dir, const char *name, struct str *ret, struct err *e)
{
	struct buf b;
	buf_init_arena(&b, a);
	char *path = arena_cstr(a, arena_fmt(a, "%s/%s", dir, name));
	int rc = path ? disk_read_file(path, 1 << 20, &b) : -ENOMEM;
	*ret = buf_view(&b);
	return rc < 0 ? err_errno(e, rc, "reading '%s/%s'", dir, name) : 0;
}

static int
replay(struct arena *a, char **argv)
{
	struct err e = {0};
	struct oracle_corpus c;
	struct replay_target to = {.url = str_c(argv[0])};
	if (pki_read(a, argv[1], "ca.crt", &to.ca_pem, &e) < 0 ||
		pki_read(a, argv[1], "admin.crt", &to.cert_pem, &e) < 0 ||
		pki_read(a, argv[1], "admin.key", &to.key_pem, &e) < 0 ||
		oracle_read(a, argv[2], &c, &e) < 0 || oracle_replay(a, &c, &to, &e) < 0)
		return failed(&e);
	int rc = oracle_write(argv[3], &c);
	return rc < 0 ? err_errno(&e, rc, "writing '%s'", argv[3]), failed(&e) : 0;
}

static int
compare(struct arena *a, char **argv, const char *known)
{
	struct err e = {0};
	struct oracle_corpus theirs, ours;
	if (oracle_read(a, argv[0], &theirs, &e) < 0 || oracle_read(a, argv[1], &ours, &e) < 0)
		return failed(&e);
	return oracle_compare(&theirs, &ours, argv[2], known);
}

/* All are bound before the first is let go, so that they are different ones. */
static int
ports(const char *n)
{
	uint64_t count = 0;
	int fds[16];
	if (str_to_u64(str_c(n), &count) < 0 || count > ARRAY_LEN(fds))
		return usage();
	struct http_addr at = {0}, bound;
	http_addr_parse(STR("127.0.0.1:0"), &at);
	for (size_t i = 0; i < count; i++) {
		struct err e = {0};
		if (http_listen(&at, false, &fds[i], &bound, &e) < 0)
			return failed(&e);
		printf("%u\n", bound.port);
	}
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	return 0;
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new(ANSWERS_MAX);
	log_setup("oracle", LOG_INFO);
	int rc = !a                                           ? 1
		: argc == 6 && strcmp(argv[1], "replay") == 0 ? replay(a, argv + 2)
		: (argc == 5 || argc == 6) && strcmp(argv[1], "compare") == 0
		? compare(a, argv + 2, argc == 6 ? argv[5] : NULL)
		: argc == 3 && strcmp(argv[1], "ports") == 0 ? ports(argv[2])
							     : usage();
	arena_free(a);
	return rc;
}
