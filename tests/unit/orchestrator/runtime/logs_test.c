/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * logs_test: the CRI line format, and the pump's promise: what was in flight when it died is written
 * once, to the byte. */
#include "orchestrator/runtime/log_format.h"
#include "orchestrator/runtime/logs.c"
#include "tests/unit/test.h"

TEST(lines_parts_and_long_lines)
{
	struct buf b = BUF_INIT;
	struct log_entry l = {0};
	static char big[LOG_LINE_MAX + 10];

	log_format_add(&b, 1475712429769794202, RUNTIME_STDOUT, STR("one\n\ntwo"));
	CHECK_STR(buf_view(&b),
		"2016-10-06T00:07:09.769794202Z stdout F one\n"
		"2016-10-06T00:07:09.769794202Z stdout F \n2016-10-06T00:07:09.769794202Z stdout P two\n");
	buf_clear(&b);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\n';
	log_format_add(&b, 0, RUNTIME_STDERR, str_from(big, sizeof(big)));
	CHECK(str_find(buf_view(&b), STR(" stderr P xxx")) > 0 &&
		str_ends(buf_view(&b), STR(" F xxxxxxxxx\n")));
	CHECK_INT(
		log_format_parse(STR("2016-10-06T00:17:09.669794202Z stdout F log  content "), &l),
		0);
	CHECK_STR(l.text, "log  content ");
	CHECK(!l.partial && l.stream == RUNTIME_STDOUT);
	CHECK_INT(log_format_parse(STR("2016-10-06T00:17:09.669794202Z stderr P:x "), &l), 0);
	CHECK(l.partial && l.text.n == 0);
	CHECK_INT(log_format_parse(STR("nonsense"), &l), -EINVAL);
	CHECK_INT(log_format_parse(STR("2016-10-06T00:17:09Z stdin F x"), &l), -EINVAL);
	CHECK_INT(log_format_parse(STR("2016-10-06T00:17:09Z stdout"), &l), -EINVAL);
	CHECK_INT(log_format_parse(STR(""), &l), -EINVAL);
	buf_release(&b);
}

/* Stops after each step of a batch, as a kill would, and goes on with a new pump on the same pipes. */
TEST(a_batch_cut_at_any_step_is_written_once)
{
	for (int step = 0; step < 5; step++) {
		struct loop *l = loop_new(NULL, "logs");
		struct log_pump p = {0};
		struct log_file f = {.fd = -1};
		struct log_source s = {
			.id = "0123456789012345678901234567890123456789012345678901234567890123",
			.stream = RUNTIME_STDOUT};
		int dir = open(TEST_TMP, O_RDONLY | O_DIRECTORY);
		int a[2], b[2];
		struct buf text = BUF_INIT;
		char path[160];
		struct str in = STR_NONE;

		snprintf(path, sizeof(path), "%s/log%d", TEST_TMP, step);
		CHECK_INT(log_file_open(&f, str_c(path), 0, 0), 0);
		CHECK_INT(log_pump_open(&p, l, dir, NULL), 0);
		CHECK_INT(pipe2(a, O_NONBLOCK), 0);
		CHECK_INT(write(a[1], "first\nsecond\n", 13), 13);
		s.pump = &p;
		s.file = &f;
		s.w.fd = a[0];
		if (step > 0)
			CHECK_INT(take_batch(&s), 13);
		if (step > 1)
			in = look(&p);
		if (step > 2) {
			log_format_add(&p.lines, p.journal->at_ns, RUNTIME_STDOUT, in);
			file_put(&f, p.journal->offset,
				str_sub(buf_view(&p.lines), 0, step == 3 ? 20 : SIZE_MAX));
		}
		b[0] = fcntl(p.in_flight[0], F_DUPFD_CLOEXEC, 0);
		b[1] = fcntl(p.in_flight[1], F_DUPFD_CLOEXEC, 0);
		log_pump_close(&p);
		log_file_close(&f);
		/* The next process. */
		CHECK_INT(log_file_open(&f, str_c(path), 0, 0), 0);
		CHECK_INT(log_pump_open(&p, l, dir, b), 0);
		CHECK((log_pump_pending(&p) != NULL) == (step > 0));
		if (log_pump_pending(&p)) {
			CHECK_STR(log_pump_pending(&p), s.id);
			log_pump_replay(&p, &f);
		}
		close(a[1]);
		s = (struct log_source){.id = s.id, .stream = RUNTIME_STDOUT};
		CHECK_INT(log_source_open(&s, &p, &f, a[0]), 0);
		while (s.open)
			loop_turn(l, NS_PER_SEC);
		CHECK_INT(disk_read_file(path, 1000, &text), 0);
		CHECK_INT(text.len, 2 * strlen("2016-10-06T00:17:09.669794202Z stdout F ") + 13);
		CHECK(str_find(buf_view(&text), STR("F first\n")) > 0);
		CHECK(str_ends(buf_view(&text), STR("F second\n")));
		log_file_close(&f);
		log_pump_close(&p);
		buf_release(&text);
		close(dir);
		loop_free(l);
	}
}
