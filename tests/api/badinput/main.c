/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * main: the groups, one after the other, and the closing line. badinput KEELSON [GROUP...] */
#include "tests/api/badinput/badinput.h"

#include "base/clock.h"
#include "base/rand.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static size_t passed, failed, skipped;
static char group[32];

bool
check(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok) {
		passed++;
		return true;
	}
	failed++;
	printf("FAIL %s: ", group);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return false;
}

void
skip(const char *fmt, ...)
{
	va_list ap;

	skipped++;
	printf("skip %s: ", group);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

int64_t
now_ms(void)
{
	return clock_mono_ns() / 1000000;
}

static const struct {
	const char *name;
	void (*run)(struct server *s);
} groups[] = {
	{"wire", group_wire},
	{"bodies", group_bodies},
	{"patches", group_patches},
	{"options", group_options},
	{"validation", group_validation},
	{"limits", group_limits},
	{"kill", group_kill},
	{"disk", group_disk},
	{"slow", group_slow},
};

#define MORE_FDS 8 /* the pools of loops and store may have grown */

/* after: the server lives, answers, and has let go of what the group opened. */
static void
after(struct server *s, int fds_before)
{
	int64_t deadline = now_ms() + 10000;
	int fds = 0;

	conn_free(s->conn);
	s->conn = NULL;
	if (!check(server_alive(s), "the server has died"))
		return;
	check(get_ok(s, "readyz"), "the server does not answer any more");
	conn_free(s->conn);
	s->conn = NULL;
	do {
		fds = server_fds(s);
		poll_wait(20);
	} while (fds > fds_before + MORE_FDS && now_ms() < deadline);
	check(fds <= fds_before + MORE_FDS, "%d descriptors, %d before the group", fds, fds_before);
}

static bool
wanted(char **names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return n == 0;
}

int
main(int argc, char **argv)
{
	char dir[] = "/tmp/keelson-badinput-XXXXXX", data[64], *seed_text = getenv("SEED");
	uint64_t seed = 20260801;
	struct server s = {0};

	if (argc < 2 || mkdtemp(dir) == NULL) {
		fprintf(stderr, "badinput KEELSON [GROUP...]\n");
		return 2;
	}
	if (seed_text)
		str_to_u64(str_c(seed_text), &seed);
	rand_set_seed(seed);
	printf("seed %llu\n", (unsigned long long)seed);
	snprintf(data, sizeof(data), "%s/d", dir);
	snprintf(group, sizeof(group), "start");
	if (check(server_start(&s, argv[1], data, 0), "the server does not start")) {
		if (wanted(argv + 2, argc - 2, "slow"))
			slow_start(&s);
		else if (wanted(argv + 2, argc - 2, "limits"))
			make_large(&s);
		for (size_t i = 0; i < ARRAY_LEN(groups) && server_alive(&s); i++) {
			int64_t begin = now_ms();
			size_t had = failed;
			int fds = server_fds(&s);

			if (!wanted(argv + 2, argc - 2, groups[i].name))
				continue;
			snprintf(group, sizeof(group), "%s", groups[i].name);
			groups[i].run(&s);
			after(&s, fds);
			printf("%s %s, %lld ms\n", failed == had ? "ok  " : "FAIL", group,
				(long long)(now_ms() - begin));
			fflush(stdout);
		}
		snprintf(group, sizeof(group), "end");
		slow_stop();
		check(server_alive(&s), "the server has died");
		check(server_end(&s, SIGTERM), "the server does not end by SIGTERM");
	}
	remove_tree(dir);
	printf("%zu passed, %zu failed, %zu skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}
