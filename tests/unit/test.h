/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * test.h: the harness of unit tests. A test program includes the .c under test and this header, and
 * is one file of TEST(name) { ... } blocks; main is here. One line is printed a test, and
 * "N passed, N failed, N skipped" last; the exit status is 1 when one failed. An argument runs only
 * the tests whose name contains it; -l lists them.
 *
 *   TEST(arena_gives_aligned_blocks)
 *   {
 *           CHECK(p != NULL);
 *           CHECK_INT(arena_used(a), 64);
 *           CHECK_STR(name, "web");       C strings or struct str, either side
 *   }
 *
 * A failed CHECK prints both sides and ends the test (its heap blocks are lost: the leak check of the
 * sanitizer build is silent then). SKIP(reason) ends it too. TEST_TMP is a folder of its own for each
 * program, removed at the end. Nothing here is thread-safe: CHECK only in the test's own thread. */
#ifndef TEST_H
#define TEST_H

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

struct test_case {
	const char *name;
	void (*fn)(void);
	struct test_case *next;
};

static struct test_case *test_first, **test_last = &test_first;
static jmp_buf test_end;
static char test_tmp[64];
static bool test_failed_once;

#define TEST(name)                                                                                 \
	static void test_##name(void);                                                             \
	__attribute__((constructor)) static void test_add_##name(void)                             \
	{                                                                                          \
		static struct test_case c = {#name, test_##name, NULL};                            \
		*test_last = &c;                                                                   \
		test_last = &c.next;                                                               \
	}                                                                                          \
	static void test_##name(void)

enum { TEST_PASSED, TEST_FAILED = 1, TEST_SKIPPED };

#define TEST_FAIL_(...)                                                                            \
	do {                                                                                       \
		printf("     %s:%d: ", __FILE__, __LINE__);                                        \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		longjmp(test_end, TEST_FAILED);                                                    \
	} while (0)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL_("%s", #cond);                                                   \
	} while (0)

#define CHECK_INT(a, b)                                                                            \
	do {                                                                                       \
		long long test_a_ = (long long)(a), test_b_ = (long long)(b);                      \
		if (test_a_ != test_b_)                                                            \
			TEST_FAIL_("%s is %lld, not %s = %lld", #a, test_a_, #b, test_b_);         \
	} while (0)

static inline struct str
test_str_c(const char *s)
{
	return (struct str){s != NULL ? s : "(null)", s != NULL ? strlen(s) : 6};
}

static inline struct str
test_str_s(struct str s)
{
	return s;
}

#define TEST_STR_(x)                                                                               \
	_Generic((x), struct str : test_str_s, char * : test_str_c, const char * : test_str_c)(x)

#define CHECK_STR(a, b)                                                                            \
	do {                                                                                       \
		struct str test_a_ = TEST_STR_(a), test_b_ = TEST_STR_(b);                         \
		if (test_a_.n != test_b_.n ||                                                      \
			(test_a_.n > 0 && memcmp(test_a_.p, test_b_.p, test_a_.n) != 0))           \
			TEST_FAIL_("%s is\n     '%.*s', not\n     '%.*s'", #a, (int)test_a_.n,     \
				test_a_.p, (int)test_b_.n, test_b_.p);                             \
	} while (0)

#define SKIP(...)                                                                                  \
	do {                                                                                       \
		printf("     ");                                                                   \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		longjmp(test_end, TEST_SKIPPED);                                                   \
	} while (0)

#define TEST_TMP test_tmp_dir()

static int
test_tmp_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline const char *
test_tmp_dir(void)
{
	if (test_tmp[0] == '\0') {
		snprintf(test_tmp, sizeof test_tmp, "/tmp/keelson-test.XXXXXX");
		if (mkdtemp(test_tmp) == NULL) {
			perror(test_tmp);
			exit(2);
		}
	}
	return test_tmp;
}

#if defined(__SANITIZE_ADDRESS__)
const char *__lsan_default_options(void);
int __lsan_is_turned_off(void);

/* A test that failed left by longjmp and freed nothing. */
int
__lsan_is_turned_off(void)
{
	return test_failed_once;
}
#endif

/* A function of its own, so that nothing of main's is lost in longjmp. */
__attribute__((noinline)) static int
test_run(void (*fn)(void))
{
	int result = setjmp(test_end);
	if (result == 0)
		fn();
	return result;
}

int
main(int argc, char **argv)
{
	static const char *const word[] = {"ok  ", "FAIL", "skip"};
	int count[3] = {0};
	const char *filter = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test_case *c = test_first; c != NULL; c = c->next) {
		struct timespec from, to;
		if (strcmp(filter, "-l") == 0) {
			puts(c->name);
			continue;
		}
		if (strstr(c->name, filter) == NULL)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &from);
		int result = test_run(c->fn);
		clock_gettime(CLOCK_MONOTONIC, &to);
		count[result]++;
		test_failed_once |= result == TEST_FAILED;
		printf("%s %s (%lld ms)\n", word[result], c->name,
			(to.tv_sec - from.tv_sec) * 1000LL + (to.tv_nsec - from.tv_nsec) / 1000000);
	}
	if (test_tmp[0] != '\0')
		nftw(test_tmp, test_tmp_unlink, 16, FTW_DEPTH | FTW_PHYS);
	if (strcmp(filter, "-l") != 0)
		printf("%d passed, %d failed, %d skipped\n", count[0], count[1], count[2]);
	return count[TEST_FAILED] != 0;
}

#endif
