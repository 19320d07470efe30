/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The history checker on a history that is right, and on the same one broken in every way it must find. */
#include "tests/fault/checker.c"
#include "tests/unit/test.h"

/* Write 3 has no answer and was done, write 4 has none and was not, write 6 was refused. */
static const char right[] = "look 1\nlist 1 10\nlisted 1\n"
			    "look 2\nlist 2 10\nlisted 2\n"
			    "send 1 create a 0\n"
			    "done 1 11\n"
			    "event 1 A a 11 1\n"
			    "event 2 A a 11 1\n"
			    "at 4096\n"
			    "send 2 update a 11\n"
			    "event 1 M a 12 2\n"
			    "done 2 12\n"
			    "event 2 M a 12 2\n"
			    "send 3 create b 0\n"
			    "send 4 update a 12\n"
			    "open 3 reset\n"
			    "open 4 reset\n"
			    "ask 1 b\n"
			    "saw 1 13 3\n"
			    "ask 2 a\n"
			    "saw 2 12 2\n"
			    "event 1 A b 13 3\n"
			    "event 2 A b 13 3\n"
			    "mark 2 14\n"
			    "at 8192\n"
			    "send 5 delete a 12\n"
			    "done 5 0\n"
			    "event 1 D a 15 2\n"
			    "event 2 D a 15 2\n"
			    "send 6 create a 0\n"
			    "none 6 429\n"
			    "ask 3 a\n"
			    "gone 3\n"
			    "send 7 create c 0\n"
			    "done 7 16\n"
			    "event 2 A c 16 7\n"
			    "event 1 A c 16 7\n"
			    "look 0\nlist 0 17\n"
			    "item 0 b 13 3\n"
			    "item 0 c 16 7\n"
			    "listed 0\n";

/* judge: right with `find` replaced (and then find2, unless NULL); what is found goes into out. */
static size_t
judge(const char *text, const struct checker_options *o, uint64_t until, struct buf *out,
	struct checker_sum *sum)
{
	struct checker *c = checker_new();
	CHECK(c);
	checker_read(c, str_c(text), until);
	size_t faults = checker_judge(c, o, out, sum);
	checker_free(c);
	return faults;
}

static void
change(struct buf *text, const char *find, const char *with)
{
	if (!find)
		return;
	ptrdiff_t at = str_find(buf_view(text), str_c(find));
	CHECK(at >= 0);
	struct buf out = BUF_INIT;
	buf_add(&out, text->data, (size_t)at);
	buf_cstr(&out, with);
	buf_str(&out, str_sub(buf_view(text), (size_t)at + strlen(find), SIZE_MAX));
	buf_release(text);
	*text = out;
}

TEST(a_right_history_has_no_fault)
{
	struct checker_sum sum;
	struct buf out = BUF_INIT;
	size_t faults = judge(right, &(struct checker_options){0}, UINT64_MAX, &out, &sum);
	CHECK_STR(buf_view(&out), "");
	CHECK_INT(faults, 0);
	CHECK_INT(sum.writes, 7);
	CHECK_INT(sum.acked, 4);
	CHECK_INT(sum.open, 2);
	CHECK_INT(sum.refused, 1);
	CHECK_INT(sum.changes, 5);
	CHECK_INT(sum.watchers, 2);
	buf_release(&out);
}

TEST(each_kind_of_broken_history_is_found)
{
	static const struct {
		const char *what, *find, *with, *find2, *with2, *want;
	} rows[] = {
		{"a lost write, told by the list", "item 0 c 16 7\n", "", NULL, NULL,
			"an acknowledged write of 'c' at 16 is lost"},
		{"a lost write nobody saw", "event 1 A c 16 7\n", "", "event 2 A c 16 7\n", "",
			"watcher 1 ended at 15, before 16"},
		{"a lost update", "item 0 b 13 3\n", "item 0 b 13 3\nitem 0 a 11 1\n", NULL, NULL,
			"although it was deleted"},
		{"a stale list", "list 0 17\n", "list 0 15\n", "item 0 c 16 7\n", "",
			"a list goes back"},
		{"an event twice", "event 1 A b 13 3\n", "event 1 A b 13 3\nevent 1 A b 13 3\n",
			NULL, NULL, "watcher 1 saw revision 13 twice"},
		{"an old event again", "event 1 D a 15 2\n", "event 1 D a 15 2\nevent 1 M a 12 2\n",
			NULL, NULL, "watcher 1 saw revision 12 twice"},
		{"a missed event", "event 1 A b 13 3\n", "", NULL, NULL,
			"watcher 1 missed revision 13"},
		{"a missed delete", "event 2 D a 15 2\n", "", NULL, NULL,
			"watcher 2 missed revision 15"},
		{"a bookmark beyond an event", "event 2 A b 13 3\n", "", NULL, NULL,
			"watcher 2 missed revision 13"},
		{"events out of order", "event 1 A b 13 3\n", "", "event 1 D a 15 2\n",
			"event 1 D a 15 2\nevent 1 A b 13 3\n", "saw revision 13 out of order"},
		{"a revision that goes back", "done 7 16\n", "done 7 14\n", NULL, NULL,
			"revisions go back: write 7 is 14"},
		{"a revision given twice", "done 7 16\n", "done 7 13\n", NULL, NULL,
			"revision 13 is"},
		{"a bookmark that goes back", "mark 2 14\n", "mark 2 12\n", NULL, NULL,
			"out of order, after 13"},
		{"a deleted object that is back", "item 0 b 13 3\n",
			"item 0 a 12 2\nitem 0 b 13 3\n", NULL, NULL,
			"is back: its delete, write 5, was acknowledged"},
		{"a deleted object that a read finds", "gone 3\n", "saw 3 12 2\n", NULL, NULL,
			"is back"},
		{"a lost delete", "event 1 D a 15 2\n", "", "event 2 D a 15 2\n", "",
			"acknowledged write 5 (delete of 'a') is lost"},
		{"a read of before", "saw 2 12 2\n", "saw 2 11 1\n", NULL, NULL,
			"although 12 was acknowledged"},
		{"a read of nothing", "saw 2 12 2\n", "gone 2\n", NULL, NULL,
			"although 12 was acknowledged"},
		{"a refused write that is there", "item 0 b 13 3\n",
			"item 0 a 17 6\nitem 0 b 13 3\n", NULL, NULL, "was refused, and is there"},
		{"an unanswered write that is there for one", "event 2 A b 13 3\n", "",
			"mark 2 14\n", "", "watcher 2 missed revision 13"},
		{"an unanswered write that is not there at the end", "item 0 b 13 3\n", "", NULL,
			NULL, "a seen write of 'b' at 13 is lost"},
		{"half a write", "event 1 A b 13 3\n", "event 1 A b 13 3/4\n", NULL, NULL,
			"an object is there half"},
		{"a write done twice", "event 1 D a 15 2\n", "event 1 M a 14 2\nevent 1 D a 15 2\n",
			NULL, NULL, "write 2 was done twice"},
		{"a write over another", "send 2 update a 11\n", "send 2 update a 10\n", NULL, NULL,
			"cannot go from A of 11 to M of 12"},
		{"something nobody wrote", "item 0 c 16 7\n", "item 0 c 16 9\n", NULL, NULL,
			"write 9 was never sent"},
		{"a watcher that lists anew", "event 1 D a 15 2\n",
			"lost 1\nlook 1\nlist 1 15\nitem 1 b 13 3\nlisted 1\n", NULL, NULL,
			"watcher 1 had to list anew 1 times"},
		{"no history", "event 1 D a 15 2\n", "evnt 1\n", NULL, NULL,
			"no line of a history"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct checker_sum sum;
		struct buf out = BUF_INIT, text = BUF_INIT;
		buf_cstr(&text, right);
		change(&text, rows[i].find, rows[i].with);
		change(&text, rows[i].find2, rows[i].with2);
		buf_char(&text, '\0');
		size_t faults = judge(
			text.data, &(struct checker_options){0}, UINT64_MAX, &out, &sum);
		if (faults == 0 || str_find(buf_view(&out), str_c(rows[i].want)) < 0)
			printf("     %s: " STR_FMT "\n", rows[i].what, STR_ARG(buf_view(&out)));
		CHECK(faults > 0);
		CHECK(str_find(buf_view(&out), str_c(rows[i].want)) >= 0);
		buf_release(&out);
		buf_release(&text);
	}
}

/* Both watchers were away from 13 on: unanswered writes may be hidden there, acknowledged ones not. */
static const char gap[] = "look 1\nlist 1 10\nlisted 1\n"
			  "send 1 create a 0\ndone 1 11\nevent 1 A a 11 1\n"
			  "send 2 delete a 11\nopen 2 reset\n"
			  "send 3 create a 0\ndone 3 15\n"
			  "send 4 update a 15\nopen 4 reset\n"
			  "lost 1\nlook 1\nlist 1 16\nitem 1 a 16 4\nlisted 1\n"
			  "send 5 delete a 16\ndone 5 0\nevent 1 D a 17 4\n"
			  "look 0\nlist 0 17\nlisted 0\n";

TEST(what_nobody_watched_may_hide_unanswered_writes_only)
{
	struct checker_sum sum;
	struct buf out = BUF_INIT, text = BUF_INIT;
	const struct checker_options o = {.relists = true};
	CHECK_INT(judge(gap, &o, UINT64_MAX, &out, &sum), 0);
	CHECK_INT(sum.relists, 1);
	buf_cstr(&text, gap);
	change(&text, "open 2 reset\n", "none 2 409\n");
	buf_char(&text, '\0');
	CHECK(judge(text.data, &o, UINT64_MAX, &out, &sum) > 0);
	CHECK(str_find(buf_view(&out), STR("'a' cannot go from A of 11 to A of 15")) >= 0);
	buf_release(&text);
	buf_release(&out);
}

/* A disk as of a cut: what was acknowledged by then must be there, what was sent may be. */
TEST(a_history_ends_where_the_disk_was_cut)
{
	static const struct {
		uint64_t until;
		const char *list;
		bool right;
	} rows[] = {
		{0, "look 0\nlist 0 10\nlisted 0\n", false},
		{0, "look 0\nlist 0 11\nitem 0 a 11 1\nlisted 0\n", true},
		{4096, "look 0\nlist 0 14\nitem 0 a 12 2\nitem 0 b 13 3\nlisted 0\n", true},
		{4096, "look 0\nlist 0 14\nitem 0 a 11 1\nitem 0 b 13 3\nlisted 0\n", false},
		{4096, "look 0\nlist 0 15\nitem 0 a 15 4\nitem 0 b 13 3\nlisted 0\n", true},
		{8192, "look 0\nlist 0 16\nitem 0 b 13 3\nitem 0 c 16 7\nlisted 0\n", true},
		{8192, "look 0\nlist 0 16\nitem 0 a 12 2\nitem 0 b 13 3\nitem 0 c 16 7\nlisted 0\n",
			false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct checker_sum sum;
		struct buf out = BUF_INIT;
		struct checker *c = checker_new();
		const struct checker_options o = {.cut = true, .relists = true};
		ptrdiff_t end = str_find(str_c(right), STR("look 0"));
		checker_read(c, str_from(right, (size_t)end), rows[i].until);
		checker_read(c, str_c(rows[i].list), UINT64_MAX);
		size_t faults = checker_judge(c, &o, &out, &sum);
		if ((faults == 0) != rows[i].right)
			printf("     row %zu: " STR_FMT "\n", i, STR_ARG(buf_view(&out)));
		CHECK((faults == 0) == rows[i].right);
		checker_free(c);
		buf_release(&out);
	}
}
