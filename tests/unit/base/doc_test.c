/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_test: the tree, JSON both ways, protobuf fields. */
#include "tests/unit/test.h"

#include "base/doc.c"
#include "base/doc_json.c"
#include "base/doc_json_err.c"
#include "base/doc_proto.c"

static struct doc *
parse(struct arena *a, const char *text)
{
	struct doc *d = NULL;
	struct err e = {0};
	int rc = doc_parse_json(a, str_c(text), NULL, &d, &e);
	if (rc < 0)
		printf("     %s: %s\n", text, e.msg);
	CHECK_INT(rc, 0);
	return d;
}

static struct str
written(struct arena *a, const struct doc *d)
{
	struct buf b = {.a = a};
	doc_write_json(&b, d);
	CHECK(!b.failed);
	return buf_view(&b);
}

TEST(json_round_trip_keeps_order_and_values)
{
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-1",
		"9223372036854775807",
		"-9223372036854775808",
		"1.5",
		"0.1",
		"1e-7",
		"1e+21",
		"100000000000000000000",
		"123456789.125",
		"0.000001",
		"-2.5e-9",
		"\"\"",
		"\"abc\"",
		"\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\"",
		"[]",
		"{}",
		"[1,[2,[3]],{}]",
		"{\"b\":1,\"a\":{\"z\":[],\"y\":null}}",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\\u2028\\u2029\"",
		"\"12345678901234567890123456789012\"",
		"\"1234567\\\"90123456\\\\8901234567890\"",
		"\"<a>&\"",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct arena *a = arena_new(0);
		CHECK_STR(written(a, parse(a, texts[i])), texts[i]);
		arena_free(a);
	}
}

TEST(json_normalizes_numbers_and_escapes_as_encoding_json)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"1.0", "1"},
		{"1E2", "100"},
		{"18446744073709551615", "18446744073709552000"},
		{"1e20", "100000000000000000000"},
		{"12345678901234567890123", "1.2345678901234568e+22"},
		{"0.0000001", "1e-7"},
		{"\"\\u00e9\\/\"", "\"\xc3\xa9/\""},
		{"\"\\u007f\"", "\"\x7f\""},
		{" [ 1 , 2 ] ", "[1,2]"},
		{"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
		{"5e-324", "5e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e+308"},
		{"0.30000000000000004", "0.30000000000000004"},
		{"-0.0", "-0"},
		{"1e5", "100000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		CHECK_STR(written(a, parse(a, rows[i].in)), rows[i].out);
		arena_free(a);
	}
}

TEST(json_writer_replaces_bytes_that_are_not_utf8)
{
	struct buf b = BUF_INIT;
	doc_json_string(&b,
		STR("a\xff"
		    "b\xe2\x82"));
	CHECK_STR(buf_view(&b), "\"a\\ufffdb\\ufffd\\ufffd\"");
	buf_release(&b);
}

/* Strings are copied by words: each length, with what needs an escape at each place of it. */
TEST(json_writer_escapes_at_every_place_of_names_and_values)
{
	char text[24], expect[160];
	for (size_t n = 1; n < sizeof(text); n++) {
		for (size_t at = 0; at < n; at++) {
			struct arena *a = arena_new(0);
			memset(text, 'x', n);
			text[at] = at % 2 ? '"' : '\\';
			struct str s = str_from(text, n);
			struct doc *map = doc_map(a), *list = doc_list(a);
			doc_set(map, STR("first"), doc_bool(a, false));
			doc_set(map, s, doc_str(a, STR("1")));
			doc_append(list, doc_str(a, s));
			doc_append(list, doc_null(a));
			doc_append(list, doc_bool(a, true));
			doc_set(map, STR("l"), list);
			char quoted[32];
			int q = snprintf(quoted, sizeof(quoted), "%.*s\\%.*s", (int)at, text,
				(int)(n - at), text + at);
			snprintf(expect, sizeof(expect),
				"{\"first\":false,\"%.*s\":\"1\",\"l\":[\"%.*s\",null,true]}", q,
				quoted, q, quoted);
			CHECK_STR(written(a, map), expect);
			arena_free(a);
		}
	}
}

TEST(json_pretty)
{
	struct arena *a = arena_new(0);
	struct buf b = {.a = a};
	doc_write_json_pretty(&b, parse(a, "{\"a\":[1,{}],\"b\":[]}"), 2);
	CHECK_STR(buf_view(&b), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
	arena_free(a);
}

TEST(json_errors_in_the_words_of_encoding_json)
{
	static const struct {
		const char *text, *msg;
	} rows[] = {
		{"", "unexpected end of JSON input (offset 0)"},
		{"{", "unexpected end of JSON input (offset 1)"},
		{"x", "invalid character 'x' looking for beginning of value (offset 0)"},
		{"[1,]", "invalid character ']' looking for beginning of value (offset 3)"},
		{"{\"a\":1,}",
			"invalid character '}' looking for beginning of object key string (offset 7)"},
		{"{a:1}",
			"invalid character 'a' looking for beginning of object key string (offset 1)"},
		{"{\"a\" 1}", "invalid character '1' after object key (offset 5)"},
		{"{\"a\":1 2}", "invalid character '2' after object key:value pair (offset 7)"},
		{"[1 2]", "invalid character '2' after array element (offset 3)"},
		{"1 2", "invalid character '2' after top-level value (offset 2)"},
		{"\"a\nb\"", "invalid character '\\n' in string literal (offset 2)"},
		{"\"\\x\"", "invalid character 'x' in string escape code (offset 2)"},
		{"\"\\u12g4\"",
			"invalid character 'g' in \\u hexadecimal character escape (offset 5)"},
		{"-x", "invalid character 'x' in numeric literal (offset 1)"},
		{"1.x", "invalid character 'x' after decimal point in numeric literal (offset 2)"},
		{"1ex", "invalid character 'x' in exponent of numeric literal (offset 2)"},
		{"01", "invalid character '1' after top-level value (offset 1)"},
		{"trie", "invalid character 'i' in literal true (expecting 'u') (offset 2)"},
		{"[[1],[2}]", "invalid character '}' after array element (offset 7)"},
		{"'", "invalid character '\\'' looking for beginning of value (offset 0)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct doc *d = NULL;
		struct err e = {0};
		CHECK_INT(doc_parse_json(a, str_c(rows[i].text), NULL, &d, &e), -EINVAL);
		CHECK_STR(e.msg, rows[i].msg);
		CHECK(d == NULL);
		CHECK_INT(e.reason, R_BAD_REQUEST);
		arena_free(a);
	}
}

TEST(json_refuses_what_is_not_utf8_or_not_finite)
{
	static const struct str texts[] = {STR_INIT("\"\xff\""), STR_INIT("\"\xc0\x80\""),
		STR_INIT("1e999"), STR_INIT("\"\\ud800\""), STR_INIT("NaN"),
		STR_INIT("\xef\xbb\xbf{}"), STR_INIT("[1]\0")};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct arena *a = arena_new(0);
		struct doc *d = NULL;
		struct err e = {0};
		CHECK_INT(doc_parse_json(a, texts[i], NULL, &d, &e), -EINVAL);
		CHECK(e.msg[0] != '\0');
		arena_free(a);
	}
}

TEST(json_depth_and_nodes_are_bounded)
{
	struct arena *a = arena_new(0);
	struct buf b = {.a = a};
	for (int i = 0; i < 64; i++)
		buf_char(&b, '[');
	size_t open = b.len;
	for (int i = 0; i < 64; i++)
		buf_char(&b, ']');
	struct doc *d = NULL;
	struct err e = {0};
	CHECK_INT(doc_parse_json(a, buf_view(&b), NULL, &d, &e), 0);
	struct doc_limits lim = {.max_depth = 63};
	CHECK_INT(doc_parse_json(a, buf_view(&b), &lim, &d, &e), -E2BIG);
	b.len = open;
	for (int i = 0; i < 100000; i++)
		buf_char(&b, '[');
	CHECK_INT(doc_parse_json(a, buf_view(&b), NULL, &d, &e), -EINVAL);
	lim = (struct doc_limits){.max_nodes = 3};
	CHECK_INT(doc_parse_json(a, STR("[1,2]"), &lim, &d, &e), 0);
	CHECK_INT(doc_parse_json(a, STR("[1,2,3]"), &lim, &d, &e), -E2BIG);
	arena_free(a);
}

TEST(json_small_arena_gives_enomem)
{
	struct arena *a = arena_new(256);
	struct doc *d = NULL;
	struct err e = {0};
	CHECK_INT(doc_parse_json(a, STR("[1,2,3,4,5,6,7,8,9,10]"), NULL, &d, &e), -ENOMEM);
	CHECK(arena_failed(a));
	arena_free(a);
}

TEST(json_duplicates_are_flagged_and_the_last_wins)
{
	struct arena *a = arena_new(0);
	struct doc *d = parse(a, "{\"a\":1,\"b\":2,\"a\":3}");
	CHECK_INT(d->n, 3);
	CHECK(!d->first->dup);
	CHECK(d->last->dup);
	CHECK_INT(doc_get_int(d, STR("a"), 0), 3);
	doc_set_int(a, d, STR("a"), 4);
	CHECK_STR(written(a, d), "{\"a\":4,\"b\":2}");
	struct buf b = {.a = a};
	buf_char(&b, '{');
	for (int i = 0; i < 1000; i++)
		buf_fmt(&b, "%s\"k%d\":%d", i ? "," : "", i % 999, i);
	buf_char(&b, '}');
	CHECK_INT(doc_parse_json(a, buf_view(&b), NULL, &d, NULL), 0);
	CHECK(d->last->dup);
	CHECK_INT(doc_get_int(d, STR("k0"), -1), 999);
	size_t flagged = 0;
	DOC_EACH (m, d)
		flagged += m->dup;
	CHECK_INT(flagged, 1);
	arena_free(a);
}

TEST(json_tree_does_not_need_the_text)
{
	struct arena *a = arena_new(0);
	char text[] = "{\"name\":\"web\"}";
	struct doc *d = NULL;
	CHECK_INT(doc_parse_json(a, str_c(text), NULL, &d, NULL), 0);
	memset(text, 'x', sizeof(text) - 1);
	CHECK_STR(doc_get_str(d, STR("name")), "web");
	arena_free(a);
}

TEST(access_accepts_anything)
{
	struct arena *a = arena_new(0);
	struct doc *d = parse(a,
		"{\"spec\":{\"containers\":[{\"image\":\"x\"},{\"image\":\"y\"}],"
		"\"app.kubernetes.io/name\":\"n\",\"replicas\":3,\"half\":0.5,\"whole\":2.0,\"on\":true}}");
	CHECK_STR(doc_as_str(doc_at(d, "spec.containers[1].image")), "y");
	CHECK_STR(doc_as_str(doc_at(d, "spec[\"app.kubernetes.io/name\"]")), "n");
	CHECK(doc_at(d, "spec.containers[2].image") == NULL);
	CHECK(doc_at(d, "spec.containers[x]") == NULL);
	CHECK(doc_at(d, "spec.nothing.more") == NULL);
	CHECK_INT(doc_as_int(doc_at(d, "spec.replicas"), -1), 3);
	CHECK_INT(doc_as_int(doc_at(d, "spec.half"), -1), -1);
	CHECK_INT(doc_as_int(doc_at(d, "spec.whole"), -1), 2);
	CHECK(doc_as_bool(doc_at(d, "spec.on"), false));
	CHECK(doc_get(NULL, STR("a")) == NULL);
	CHECK(doc_get(doc_at(d, "spec.replicas"), STR("a")) == NULL);
	CHECK(!str_is_set(doc_get_str(d, STR("spec"))));
	CHECK_INT(doc_len(doc_at(d, "spec.containers")), 2);
	CHECK_INT(doc_len(NULL), 0);
	CHECK(doc_is_empty(NULL));
	CHECK(!doc_is_empty(d));
	CHECK_STR(doc_get_str(doc_index(doc_at(d, "spec.containers"), 0), STR("image")), "x");
	arena_free(a);
}

TEST(change_in_place)
{
	struct arena *a = arena_new(0);
	struct doc *d = parse(a, "{\"a\":1,\"b\":2,\"c\":3}");
	doc_set_str(a, d, STR("b"), STR("x"));
	doc_set(d, STR("c"), NULL);
	doc_set_bool(a, d, STR("d"), true);
	doc_set(d, STR("nothing"), NULL);
	CHECK_STR(written(a, d), "{\"a\":1,\"b\":\"x\",\"d\":true}");
	doc_remove(d, d->last);
	doc_remove(d, d->first);
	CHECK_STR(written(a, d), "{\"b\":\"x\"}");
	struct doc *list = doc_ensure_list(a, d, STR("l"));
	doc_append(list, doc_int(a, 1));
	doc_insert(list, 0, doc_int(a, 0));
	doc_insert(list, 2, doc_int(a, 2));
	doc_replace(doc_index(list, 1), doc_at(d, "b"));
	CHECK(doc_ensure_map(a, d, STR("l")) == NULL);
	doc_set(d, STR("n"), doc_null(a));
	doc_set_int(a, doc_ensure_map(a, d, STR("n")), STR("i"), 7);
	CHECK_STR(written(a, d), "{\"b\":\"x\",\"l\":[0,\"x\",2],\"n\":{\"i\":7}}");
	doc_remove(list, list->last);
	doc_append(list, doc_double(a, 0.5));
	CHECK_INT(list->n, 3);
	CHECK_STR(written(a, list), "[0,\"x\",0.5]");
	arena_free(a);
}

TEST(each_goes_on_after_a_removal)
{
	struct arena *a = arena_new(0);
	struct doc *d = parse(a, "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}");
	DOC_EACH (m, d)
		if (m->i % 2)
			doc_remove(d, m);
	CHECK_STR(written(a, d), "{\"b\":2,\"d\":4}");
	arena_free(a);
}

TEST(copy_outlives_its_source)
{
	struct arena *a = arena_new(0), *c = arena_new(0);
	struct doc *copy = doc_copy(
		c, doc_get(parse(a, "{\"x\":{\"a\":[1,\"two\",null,true,0.5]}}"), STR("x")));
	arena_free(a);
	CHECK(!str_is_set(copy->key));
	CHECK_STR(written(c, copy), "{\"a\":[1,\"two\",null,true,0.5]}");
	arena_free(c);
}

TEST(equal_without_regard_to_member_order)
{
	static const struct {
		const char *x, *y;
		bool same;
	} rows[] = {
		{"{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", true},
		{"[1,2]", "[2,1]", false},
		{"1", "1.0", true},
		{"1", "\"1\"", false},
		{"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
		{"{\"a\":null}", "{\"b\":null}", false},
		{"{\"a\":1,\"a\":2}", "{\"a\":3,\"a\":2}", true},
		{"[1]", "[1,2]", false},
		{"null", "null", true},
		{"\"a\"", "\"a\"", true},
		{"true", "false", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		CHECK(doc_equal(parse(a, rows[i].x), parse(a, rows[i].y)) == rows[i].same);
		arena_free(a);
	}
	struct arena *a = arena_new(0);
	struct doc *x = doc_map(a), *y = doc_map(a);
	for (int i = 0; i < 200; i++) {
		doc_set_int(a, x, arena_fmt(a, "k%d", i), i);
		doc_set_int(a, y, arena_fmt(a, "k%d", 199 - i), 199 - i);
	}
	CHECK(doc_equal(x, y));
	doc_set_int(a, y, STR("k7"), 0);
	CHECK(!doc_equal(x, y));
	CHECK(!doc_equal(x, NULL));
	arena_free(a);
}

TEST(proto_fields_both_ways)
{
	struct buf b = BUF_INIT;
	proto_put_varint(&b, 1, 300);
	proto_put_bytes(&b, 2, STR("abc"));
	proto_put_double(&b, 536870911, 1.5);
	struct reader r = reader_of(buf_view(&b));
	struct proto_field f = {0};
	CHECK_INT(proto_next(&r, &f), 1);
	CHECK_INT(f.number, 1);
	CHECK_INT(f.value, 300);
	CHECK_INT(proto_next(&r, &f), 1);
	CHECK_INT(f.wire, PROTO_LEN);
	CHECK_STR(f.bytes, "abc");
	CHECK_INT(proto_next(&r, &f), 1);
	CHECK_INT(f.number, 536870911);
	CHECK_INT(f.wire, PROTO_I64);
	CHECK(f.value == 0x3ff8000000000000ULL);
	CHECK_INT(proto_next(&r, &f), 0);
	buf_release(&b);
}

TEST(proto_malformed)
{
	static const struct str texts[] = {
		STR_INIT("\x00\x01"),
		STR_INIT("\x0b"),
		STR_INIT("\x0c"),
		STR_INIT("\x0e\x01"),
		STR_INIT("\x12\x05"
			 "abc"),
		STR_INIT("\x08"),
		STR_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		STR_INIT("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		STR_INIT("\x09\x01\x02"),
		STR_INIT("\x0d\x01"),
		STR_INIT("\xff\xff\xff\xff\xff\x01\x00"),
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct reader r = reader_of(texts[i]);
		struct proto_field f = {0};
		CHECK_INT(proto_next(&r, &f), -EINVAL);
		CHECK_INT(proto_next(&r, &f), -EINVAL);
		CHECK_INT(f.number, 0);
	}
}

TEST(members_are_sorted_at_every_depth_and_equal_names_keep_their_order)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	struct buf b = BUF_INIT;
	CHECK_INT(
		doc_parse_json(a,
			STR("{\"c\":1,\"a\":[{\"z\":1,\"y\":2}],\"b\":{\"d\":3,\"c\":{}},\"e\":0,\"a\":4}"),
			NULL, &d, NULL),
		0);
	doc_sort(d);
	doc_write_json(&b, d);
	CHECK_STR(buf_view(&b),
		"{\"a\":[{\"y\":2,\"z\":1}],\"a\":4,\"b\":{\"c\":{},\"d\":3},\"c\":1,\"e\":0}");
	CHECK_INT(doc_len(d), 5);
	doc_set_int(a, d, STR("f"), 5);
	CHECK_INT(doc_as_int(d->last, 0), 5);
	buf_release(&b);
	arena_free(a);
}

TEST(a_raw_value_is_copied_and_written_as_it_is_until_it_is_expanded)
{
	struct arena *a = arena_new(0);
	struct doc *d = doc_map(a), *c = NULL;
	struct buf b;
	buf_init_arena(&b, a);
	doc_set(d, STR("x"), doc_raw(a, STR("[{\"b\":1, \"a\":2}]")));
	doc_set(d, STR("y"), doc_str(a, STR("[{\"b\":1, \"a\":2}]")));
	c = doc_copy(a, d);
	doc_write_json(&b, c);
	CHECK_STR(buf_view(&b),
		"{\"x\":[{\"b\":1, \"a\":2}],\"y\":\"[{\\\"b\\\":1, \\\"a\\\":2}]\"}");
	CHECK(doc_equal(c, d) && !doc_equal(doc_get(d, STR("x")), doc_get(d, STR("y"))));
	CHECK_INT(doc_expand(a, c), 0);
	CHECK_INT(doc_get_int(doc_at(c, "x[0]"), STR("a"), 0), 2);
	CHECK(!doc_equal(c, d));
	doc_set(c, STR("x"), doc_raw(a, STR("[")));
	CHECK_INT(doc_expand(a, c), -EINVAL);
	arena_free(a);
}
