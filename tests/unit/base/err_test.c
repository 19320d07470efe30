/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  err_test: texts, wrapping, reasons. */
#include "tests/unit/test.h"

#include "base/err.c"

TEST(set_wrap_clear)
{
	struct err e = {0};
	CHECK_INT(err_set(&e, -ENOENT, R_NOT_FOUND, "pod '%s' not found", "x"), -ENOENT);
	CHECK_INT(err_wrap(&e, "starting %d", 1), -ENOENT);
	CHECK_STR(e.msg, "starting 1: pod 'x' not found");
	CHECK_INT(e.reason, R_NOT_FOUND);
	CHECK_INT(err_errno(&e, -EACCES, "opening '%s'", "/x"), -EACCES);
	CHECK_STR(e.msg, "opening '/x': Permission denied");
	err_clear(&e);
	CHECK_INT(e.code, 0);
	CHECK_STR(e.msg, "");
	CHECK_INT(err_set(NULL, -1, R_GONE, "x"), -1);
	CHECK_INT(err_wrap(NULL, "x"), 0);
}

TEST(long_texts_are_cut_between_characters)
{
	struct err e = {0};
	char text[600];
	memset(text, 'x', sizeof(text));
	memcpy(text + 509, "\xe2\x82\xac", 3);
	text[599] = '\0';
	err_set(&e, -1, R_UNKNOWN, "%s", text);
	CHECK_INT(strlen(e.msg), 509);
	CHECK(str_is_utf8(str_c(e.msg)));
	for (int i = 0; i < 5; i++) {
		err_wrap(&e, "caf\xc3\xa9");
		CHECK(str_is_utf8(str_c(e.msg)));
		CHECK(strlen(e.msg) < sizeof(e.msg));
	}
	CHECK(str_starts(str_c(e.msg), STR("caf\xc3\xa9: caf\xc3\xa9: ")));
}

TEST(every_reason_has_a_name_and_a_status)
{
	for (int r = 1; r < R__COUNT; r++) {
		CHECK(reason_name((enum reason)r)[0] != '\0');
		CHECK_INT(reason_from_name(str_c(reason_name((enum reason)r))), r);
		CHECK(reason_http((enum reason)r) >= 400);
		CHECK(reason_from_http(reason_http((enum reason)r)) != R_UNKNOWN);
	}
	CHECK_INT(reason_from_name(STR("NoSuch")), R_UNKNOWN);
	CHECK_INT(reason_from_http(404), R_NOT_FOUND);
	CHECK_INT(reason_from_http(409), R_CONFLICT);
	CHECK_INT(reason_from_http(502), R_INTERNAL_ERROR);
	CHECK_INT(reason_from_http(418), R_UNKNOWN);
}

TEST(cleanup_closes_and_take_keeps)
{
	int fds[2];
	CHECK(pipe(fds) == 0);
	int kept = -1;
	{
		_cleanup_fd_ int a = fds[0];
		_cleanup_fd_ int b = fds[1];
		_cleanup_free_ char *p = malloc(3);
		CHECK(p != NULL);
		kept = TAKE_FD(a);
		CHECK_INT(a, -1);
		CHECK(b >= 0);
	}
	char c;
	CHECK_INT(read(kept, &c, 1), 0);
	close(kept);
}
