/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_signals_test: a program is told to end. */
#include "base/loop_signals.c"

#include "tests/unit/test.h"

TEST(a_signal_stops_the_loop)
{
	static const int signals[] = {SIGTERM, SIGINT};
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct loop *l = loop_new(NULL, "test");
		struct loop_fd w = {0};
		CHECK_INT(loop_signals_take(l, &w), 0);
		CHECK_INT(kill(getpid(), signals[i]), 0);
		CHECK_INT(loop_run(l), 0);
		loop_signals_release(&w);
		loop_free(l);
	}
}

TEST(a_reader_that_went_is_no_end)
{
	struct loop *l = loop_new(NULL, "test");
	struct loop_fd w = {0};
	int ends[2];
	CHECK_INT(loop_signals_take(l, &w), 0);
	CHECK_INT(pipe(ends), 0);
	close(ends[0]);
	CHECK_INT(write(ends[1], "x", 1), -1);
	CHECK_INT(errno, EPIPE);
	close(ends[1]);
	loop_signals_release(&w);
	loop_signals_release(&w); /* not taken is allowed */
	loop_free(l);
}
