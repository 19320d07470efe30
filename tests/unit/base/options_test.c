/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * options_test: every form, and what is refused. */
#include "base/options.c"
#include "tests/unit/test.h"

struct given {
	const char *dir;
	struct str cidr;
	unsigned n;
	bool quick;
};
static const struct option_row rows[] = {
	{"--dir", "DIR", "where", OPTION_CSTR, offsetof(struct given, dir), 0},
	{"--cidr", "CIDR", "addresses", OPTION_TEXT, offsetof(struct given, cidr), 0},
	{"--n", "N", "how many", OPTION_UINT, offsetof(struct given, n), 64},
	{"--quick", "", "no waiting", OPTION_FLAG, offsetof(struct given, quick), 0},
};

static int
parse(struct given *g, struct err *e, const char *a, const char *b)
{
	char *argv[] = {(char[]){"x"}, (char *)(uintptr_t)a, (char *)(uintptr_t)b};
	*g = (struct given){.dir = "here", .n = 3};
	return options_parse(rows, ARRAY_LEN(rows), b ? 3 : 2, argv, g, e);
}

TEST(a_value_follows_or_is_joined)
{
	struct given g;
	CHECK_INT(parse(&g, NULL, "--dir", "there"), 0);
	CHECK_STR(g.dir, "there");
	CHECK_INT(g.n, 3);
	CHECK_INT(parse(&g, NULL, "--cidr=10.0.0.0/8", "--n=64"), 0);
	CHECK_STR(g.cidr, "10.0.0.0/8");
	CHECK_INT(g.n, 64);
	CHECK_STR(g.dir, "here");
	CHECK_INT(parse(&g, NULL, "--quick", "--dir="), 0);
	CHECK(g.quick);
	CHECK_STR(g.dir, "");
}

TEST(what_cannot_be_read_is_named)
{
	static const struct {
		const char *a, *b, *why;
	} bad[] = {{"--no", NULL, "unknown option '--no'"}, {"word", NULL, "unknown option 'word'"},
		{"--dir", NULL, "--dir needs a value"},
		{"--quick=1", NULL, "--quick needs no value"}, {"--n", "65", "bad value for --n"},
		{"--n=x", NULL, "bad value for --n"}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct given g;
		struct err e = {0};
		CHECK_INT(parse(&g, &e, bad[i].a, bad[i].b), -EINVAL);
		CHECK_STR(e.msg, bad[i].why);
	}
}
