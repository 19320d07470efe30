/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * compare_test: what makes two answers equal, and what does not; a comparer that calls all equal proves nothing. */
#include "tests/oracle/compare.c"
#include "tests/unit/test.h"

static struct arena *a;

static struct oracle_step
answer(int status, const char *body)
{
	struct str *d = ARENA_NEW(a, struct str);
	*d = oracle_escape(
		a, normal_body(a, &(struct normal){STR("127.0.0.1:1"), STR("a-")}, str_c(body)));
	return (struct oracle_step){.status = status, .data = d, .n_data = 1};
}

static struct units
compared(int s1, const char *b1, int s2, const char *b2)
{
	struct oracle_step x = answer(s1, b1), y = answer(s2, b2);
	return compare_step(a, &x, &y);
}

static char
letter(int s1, const char *b1, int s2, const char *b2)
{
	a = a ? a : arena_new(0);
	struct units u = compared(s1, b1, s2, b2);
	return u.n == 1 ? verdict_letters[u.v[0].verdict] : '?';
}

TEST(ids_times_and_revisions_of_a_run_are_no_difference)
{
	CHECK_INT(
		letter(200,
			"{\"metadata\":{\"uid\":\"0b8ab812-69a2-47c6-ae72-ecf9d43be952\",\"resourceVersion\":\"5\"}}",
			200,
			"{\"metadata\":{\"resourceVersion\":\"77\",\"uid\":\"1b8ab812-69a2-47c6-ae72-ecf9d43be952\"}}"),
		'E');
	CHECK_INT(
		letter(409,
			"{\"message\":\"UID in object meta: 0b8ab812-69a2-47c6-ae72-ecf9d43be952\"}",
			409,
			"{\"message\":\"UID in object meta: 1b8ab812-69a2-47c6-ae72-ecf9d43be952\"}"),
		'E');
	CHECK_INT(letter(200, "{\"generateName\":\"a-\",\"name\":\"a-x1234\"}", 200,
			  "{\"generateName\":\"a-\",\"name\":\"a-zzzzz\"}"),
		'E');
}

TEST(a_quoted_revision_that_is_normal_already_stays)
{
	CHECK_INT(letter(422, "{\"message\":\"resourceVersion\\\\\\\":\\\\\\\"5\\\\\\\"\"}", 422,
			  "{\"message\":\"resourceVersion\\\\\\\":\\\\\\\"17\\\\\\\"\"}"),
		'E');
	CHECK_INT(letter(422, "{\"message\":\"resourceVersion\\\\\\\":\\\\\\\"<rv>\\\\\\\"\"}", 422,
			  "{\"message\":\"resourceVersion\\\\\\\":\\\\\\\"17\\\\\\\"\"}"),
		'E');
}

TEST(an_absent_resource_version_is_a_difference)
{
	CHECK_INT(
		letter(200, "{\"metadata\":{\"resourceVersion\":\"5\"}}", 200, "{\"metadata\":{}}"),
		'D');
	CHECK_INT(letter(200, "{\"metadata\":{\"resourceVersion\":\"5\"}}", 200,
			  "{\"metadata\":{\"resourceVersion\":\"\"}}"),
		'D');
	CHECK_INT(letter(200, "{\"t\":\"2001-01-01T00:00:00Z\"}", 200,
			  "{\"t\":\"2002-01-01T00:00:00Z\"}"),
		'D');
}

TEST(status_text_and_order_of_items_count)
{
	CHECK_INT(letter(200, "{}", 201, "{}"), 'D');
	CHECK_INT(letter(200, "{\"a\":[1,2]}", 200, "{\"a\":[2,1]}"), 'D');
	CHECK_INT(letter(400, "{\"message\":\"a\"}", 400, "{\"message\":\"b\"}"), 'D');
	CHECK_INT(letter(200, "{\"a\":1,\"b\":2}", 200, "{\"b\":2,\"a\":1}"), 'E');
}

#define OWNER(name, second)                                                                        \
	"{\"manager\":\"" name "\",\"operation\":\"Update\",\"time\":\"2001-01-01T00:00:0" second  \
	"Z\"}"

TEST(owners_of_fields_count_but_not_their_order_which_is_by_time)
{
	CHECK_INT(letter(200, "{\"metadata\":{\"managedFields\":[{}]}}", 200, "{\"metadata\":{}}"),
		'D');
	CHECK_INT(letter(200, "{\"managedFields\":[" OWNER("a", "1") "," OWNER("b", "2") "]}", 200,
			  "{\"managedFields\":[" OWNER("b", "2") "," OWNER("a", "1") "]}"),
		'E');
	CHECK_INT(letter(200, "{\"managedFields\":[" OWNER("a", "1") "]}", 200,
			  "{\"managedFields\":[" OWNER("b", "1") "]}"),
		'D');
}

TEST(what_is_not_served_is_missing)
{
	CHECK_INT(letter(201, "{}", 404, "{}"), 'X');
	CHECK_INT(letter(404, "{}", 405, "{}"), 'D');
}

TEST(parts_of_a_document_count_one_by_one)
{
	a = a ? a : arena_new(0);
	struct oracle_step x = answer(
		200, "{\"openapi\":\"3\",\"s\":{\"a\":{\"description\":\"x\"},\"b\":1}}");
	struct oracle_step y = answer(
		200, "{\"openapi\":\"3\",\"s\":{\"a\":{\"description\":\"y\"},\"c\":1}}");
	x.parts = y.parts = STR("s");
	struct units u = compare_step(a, &x, &y);
	CHECK_INT(u.n, 4);
	CHECK_INT(u.v[0].verdict, SAME);
	CHECK_INT(u.v[1].verdict, SAME);
	CHECK_INT(u.v[2].verdict, MISSING);
	CHECK_INT(u.v[3].verdict, DIFFERENT);
}

TEST(values_survive_being_escaped)
{
	a = a ? a : arena_new(0);
	struct str s = STR("a\\n\n\\");
	CHECK_STR(oracle_unescape(a, oracle_escape(a, s)), s);
}

TEST(what_was_normalised_once_stays_as_it_is)
{
	a = a ? a : arena_new(0);
	static const char *const texts[] = {"kube-api-access-x1y2z",
		"0b8ab812-69a2-47c6-ae72-ecf9d43be952", "10.96.3.4", "10.96.0.0/16", "127.0.0.1:1",
		"object meta: 12", "X509SHA256=ab12", "a-x1y2z"};
	const struct normal n = {STR("127.0.0.1:1"), STR("a-")};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct str once = normal_text(a, &n, str_c(texts[i]));
		CHECK(str_eq(once, str_c(texts[i])) == (strcmp(texts[i], "10.96.0.0/16") == 0));
		CHECK_STR(normal_text(a, &n, once), once);
	}
}

TEST(a_uid_that_begins_with_eight_digits_is_no_revision)
{
	a = a ? a : arena_new(0);
	CHECK_STR(normal_text(a, &(struct normal){0},
			  STR("UID in object meta: 12345678-3933-423d-aeb9-8bb9de988e90")),
		STR("UID in object meta: <uid>"));
}
