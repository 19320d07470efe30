/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * set_test: sets as FieldsV1, and what is done with two of them. Rows: x, y, result. */
#include "tests/unit/test.h"

#include "orchestrator/fields/fields.h"

static struct arena *a;

static const struct fields *
set(const char *json)
{
	const struct fields *f = NULL;
	struct err e = {0};
	if (fields_parse(a, str_c(json), &f, &e) < 0)
		TEST_FAIL_("%s: %s", json, e.msg);
	return f;
}

static struct str
text(const struct fields *f)
{
	struct buf b;
	buf_init_arena(&b, a);
	fields_write(&b, f);
	return buf_view(&b);
}

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
}

TEST(what_is_read_is_written_in_canonical_form)
{
	static const char *const rows[][2] = {
		{"{}", "{}"},
		{"{\"f:a\":{}}", "{\"f:a\":{}}"},
		{"{\"f:b\":{},\"f:a\":{\"f:x\":{}}}", "{\"f:a\":{\"f:x\":{}},\"f:b\":{}}"},
		{"{ \"f:a\" : { \"f:x\" : {} , \".\" : {} } }", "{\"f:a\":{\".\":{},\"f:x\":{}}}"},
		{"{\"i:10\":{},\"i:9\":{},\"v:\\\"a\\\"\":{},\"v:2\":{},\"k:{\\\"name\\\":\\\"a\\\"}\":{},\"f:z\":{}}",
			"{\"f:z\":{},\"k:{\\\"name\\\":\\\"a\\\"}\":{},\"v:2\":{},\"v:\\\"a\\\"\":{},\"i:9\":{},\"i:10\":{}}"},
		{"{\"k:{\\\"protocol\\\":\\\"TCP\\\",\\\"port\\\":443}\":{},\"k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{}}",
			"{\"k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":{},"
			"\"k:{\\\"port\\\":443,\\\"protocol\\\":\\\"TCP\\\"}\":{}}"},
		/* a step of a kind nobody knows goes; what led to it is then a member */
		{"{\"f:a\":{\"x:y\":{\"f:b\":{}}}}", "{\"f:a\":{}}"},
		{"{\"f:a\":{},\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}"},
		{"{\"f:a\\u0062\\\"\":{}}", "{\"f:ab\\\"\":{}}"},
	};
	fresh();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(text(set(rows[i][0])), rows[i][1]);
}

TEST(what_is_no_set_is_refused)
{
	static const char *const rows[] = {"", "[]", "{", "{\"f:a\"}", "{\"f:a\":1}", "{\"f:a\":{}",
		"{\"f\":{}}", "{\"fx\":{}}", "{\"i:x\":{}}", "{\"k:[]\":{}}", "{\"k:{\":{}}",
		"{\"v:\":{}}", "{\"f:a\":{}}x", "{\"f:a\":{} \"f:b\":{}}"};
	fresh();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct fields *f = NULL;
		CHECK_INT(fields_parse(a, str_c(rows[i]), &f, NULL), -EINVAL);
	}
}

TEST(a_set_nested_too_deeply_is_refused)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct fields *f = NULL;
	fresh();
	for (size_t i = 0; i < 100000; i++)
		buf_cstr(&b, "{\"f:a\":");
	CHECK_INT(fields_parse(a, buf_view(&b), &f, NULL), -E2BIG);
}

TEST(two_sets)
{
	static const struct {
		const char *x, *y, *join, *meet, *minus, *without;
	} rows[] = {
		{"{\"f:a\":{},\"f:b\":{}}", "{\"f:b\":{},\"f:c\":{}}",
			"{\"f:a\":{},\"f:b\":{},\"f:c\":{}}", "{\"f:b\":{}}", "{\"f:a\":{}}",
			"{\"f:a\":{}}"},
		/* a path and what is below it are different paths */
		{"{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{}}", "{\"f:a\":{\".\":{},\"f:b\":{}}}", "{}",
			"{\"f:a\":{\"f:b\":{}}}", "{}"},
		{"{\"f:a\":{\".\":{},\"f:b\":{},\"f:c\":{}}}", "{\"f:a\":{\"f:b\":{}}}",
			"{\"f:a\":{\".\":{},\"f:b\":{},\"f:c\":{}}}", "{\"f:a\":{\"f:b\":{}}}",
			"{\"f:a\":{\".\":{},\"f:c\":{}}}", "{\"f:a\":{\".\":{},\"f:c\":{}}}"},
		{"{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\"f:b\":{}}}", "{\"f:a\":{\"f:b\":{}}}",
			"{\"f:a\":{\"f:b\":{}}}", "{}", "{}"},
		{"{}", "{\"f:a\":{}}", "{\"f:a\":{}}", "{}", "{}", "{}"},
		{"{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:x\":{}}}",
			"{\"k:{\\\"name\\\":\\\"b\\\"}\":{}}",
			"{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:x\":{}},\"k:{\\\"name\\\":\\\"b\\\"}\":{}}",
			"{}", "{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:x\":{}}}",
			"{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:x\":{}}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		const struct fields *x = set(rows[i].x), *y = set(rows[i].y);
		CHECK_STR(text(fields_union(a, x, y)), rows[i].join);
		CHECK_STR(text(fields_meet(a, x, y)), rows[i].meet);
		CHECK_STR(text(fields_minus(a, x, y)), rows[i].minus);
		CHECK_STR(text(fields_without(a, x, y)), rows[i].without);
		CHECK(fields_equal(fields_union(a, x, y), fields_union(a, y, x)));
		CHECK(fields_equal(x, x) &&
			fields_equal(x, y) == (strcmp(rows[i].x, rows[i].y) == 0));
		/* the sources are as they were */
		CHECK_STR(text(x), rows[i].x);
		CHECK_STR(text(y), rows[i].y);
	}
}

TEST(a_path_by_its_text)
{
	fresh();
	CHECK_STR(text(fields_path(a, "metadata.labels")), "{\"f:metadata\":{\"f:labels\":{}}}");
}

static void
note_path(void *arg, struct str path)
{
	struct buf *b = arg;
	buf_str(b, path);
	buf_char(b, '\n');
}

TEST(paths_as_messages_name_them)
{
	struct buf b;
	fresh();
	buf_init_arena(&b, a);
	fields_each(a,
		set("{\"f:spec\":{\"f:a\":{\"f:b\":{}},\"f:c\":{},\"f:l\":{\".\":{},"
		    "\"k:{\\\"port\\\":80,\\\"name\\\":\\\"x\\\"}\":{},\"v:\\\"s\\\"\":{},\"i:3\":{}}}}"),
		note_path, &b);
	CHECK_STR(buf_view(&b),
		".spec.c\n.spec.l\n.spec.a.b\n.spec.l[name=\"x\",port=80]\n"
		".spec.l[=\"s\"]\n.spec.l[3]\n");
}

TEST(many_items_that_come_in_any_order)
{
	fresh();
	struct fields *root = ARENA_NEW(a, struct fields);
	for (size_t i = 0; i < 50000; i++) {
		struct field_elem at = {.kind = FIELD_INDEX, .index = (int64_t)(i * 7919 % 50000)};
		fields_add(a, root, &at)->member = true;
	}
	const struct fields *f = fields_sort(root);
	int64_t n = 0;
	for (const struct fields *m = f->first; m; m = m->next, n++)
		CHECK_INT(m->at.index, n);
	CHECK_INT(n, 50000);
}
