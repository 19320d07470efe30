/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  log_test: one event is one line, whatever is in it. */
#include "tests/unit/test.h"

#include "base/log.c"

static char last[4096];

static void
capture(void *arg, const char *line)
{
	(void)arg;
	snprintf(last, sizeof(last), "%s", line);
}

TEST(lines)
{
	log_capture(capture, NULL);
	log_setup("node", LOG_INFO);
	log_debug("not shown");
	CHECK_STR(last, "");
	log_info("a=%d\n\x1b[0mb", 1);
	CHECK(strstr(last, "Z info node a=1  [0mb") != NULL);
	CHECK_INT(last[10], 'T');
	char text[5000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	CHECK_INT(strlen(last), 2046);
	log_capture(NULL, NULL);
}
