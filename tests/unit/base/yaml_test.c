/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * yaml_test: streams, how scalars resolve (expected values are those of sigs.k8s.io/yaml), anchors,
 * merge keys, limits, and that what is written reads back. */
#include "tests/unit/test.h"

#include "base/doc_yaml.c"
#include "base/doc_yaml_write.c"

/* Made by running sigs.k8s.io/yaml's YAMLToJSON on the left side. */
static const struct {
	const char *yaml, *json;
} rows[] = {
#include "tests/unit/base/yaml_rows.inc"
};

TEST(yaml_means_what_sigs_yaml_says)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct str rest = str_c(rows[i].yaml);
		struct doc *d = NULL, *want = NULL;
		struct buf b = {.a = a};
		struct err e = {0};
		int rc = doc_parse_yaml(a, &rest, NULL, &d, &e);
		if (rc == -ENODATA) /* sigs.k8s.io/yaml has null for an empty text */
			d = doc_null(a);
		CHECK_INT(doc_parse_json(a, str_c(rows[i].json), NULL, &want, NULL), 0);
		doc_write_json(&b, d);
		if (!doc_equal(d, want)) {
			printf("     yaml: %s\n", rows[i].yaml);
			CHECK_STR(rc < 0 ? str_c(e.msg) : buf_view(&b), rows[i].json);
		}
		arena_free(a);
	}
}

TEST(yaml_errors)
{
	static const struct {
		const char *yaml, *msg;
	} bad[] = {
		{"a: b: c", "yaml: mapping values are not allowed in this context"},
		{"a: 1\n b: 2", "yaml: line 2: mapping values are not allowed in this context"},
		{"a: 1\nb: [1, 2\nc: 3", "yaml: line 2: did not find expected ',' or ']'"},
		{"a: 1\n\tb: 2", "yaml: line 2: found a tab character that violates indentation"},
		{"a: *x", "yaml: unknown anchor 'x' referenced"},
		{"a: &x [*x]", "yaml: anchor 'x' value contains itself"},
		{"[a]: 1", "yaml: line 1: invalid map key"},
		{"a:\n  ? {b: c}\n  : d", "yaml: line 2: invalid map key"},
		{"~: 1", "yaml: line 1: unsupported map key of type: null"},
		{"a: .inf", "yaml: line 1: unsupported value: +Inf"},
		{"<<: 1", "yaml: map merge requires map or sequence of maps as the value"},
		{"<<: [1]", "yaml: map merge requires map or sequence of maps as the value"},
		{"a: !!int x", "yaml: line 1: cannot decode the value as what its tag says"},
		{"\"\\x\"", "yaml: did not find expected hexdecimal number"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena *a = arena_new(0);
		struct str rest = str_c(bad[i].yaml);
		struct doc *d = NULL;
		struct err e = {0};
		CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, &e), -EINVAL);
		CHECK_STR(e.msg, bad[i].msg);
		CHECK(d == NULL);
		arena_free(a);
	}
}

TEST(yaml_stream)
{
	static const char text[] =
		"# head\n%YAML 1.1\n---\na: 1\n---\n# nothing\n---\nb: |\n  x\n  --- y\n"
		"...\n--- \"s\"\n---\n{\"j\": [1]}\n---\nnull\n--- # end\n";
	static const char *const want[] = {
		"{\"a\":1}", "{\"b\":\"x\\n--- y\\n\"}", "\"s\"", "{\"j\":[1]}", "null"};
	struct arena *a = arena_new(0);
	struct str rest = str_c(text);
	struct doc *d = NULL;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct err e = {0};
		CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, &e), 0);
		struct buf b = {.a = a};
		doc_write_json(&b, d);
		CHECK_STR(buf_view(&b), want[i]);
	}
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), -ENODATA);
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), -ENODATA);
	rest = STR("");
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), -ENODATA);
	rest = STR("# only this\n\n---\n...\n---\n");
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), -ENODATA);
	rest = STR("\xef\xbb\xbf"
		   "a: 1\r\nb: 2\r\n");
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), 0);
	CHECK_INT(doc_get_int(d, STR("b"), 0), 2);
	arena_free(a);
}

TEST(yaml_lines_and_duplicates)
{
	struct arena *a = arena_new(0);
	struct str rest = STR("a: 1\nb:\n  c: 2\n  d: [3,\n    4]\nb: 5\n");
	struct doc *d = NULL;
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), 0);
	CHECK_INT(doc_get(d, STR("a"))->line, 1);
	CHECK_INT(doc_at(d->first->next, "d[1]")->line, 5);
	CHECK(d->last->dup);
	CHECK_INT(d->last->line, 6);
	CHECK_INT(doc_get_int(d, STR("b"), 0), 5);
	arena_free(a);
}

/* A map merged where it stands lost its members to the other map, and its alias had those of both. */
TEST(an_alias_of_a_map_that_was_merged_is_that_map)
{
	static const char *const merges[][2] = {
		{"<<: &x {a: 1}\nb: 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":{\"a\":1}}"},
		{"<<: &x {a: 1, b: {c: 2}}\na: 3\nd: *x\n",
			"{\"a\":1,\"b\":{\"c\":2},\"a\":3,\"d\":{\"a\":1,\"b\":{\"c\":2}}}"},
		{"<<: [&x {a: 1}, &y {a: 2, b: 2}]\nc: *x\nd: *y\n",
			"{\"a\":2,\"b\":2,\"a\":1,\"c\":{\"a\":1},\"d\":{\"a\":2,\"b\":2}}"},
		{"<<: &l [{a: 1}, {b: 2}]\nc: *l\n",
			"{\"b\":2,\"a\":1,\"c\":[{\"a\":1},{\"b\":2}]}"},
		{"x: &x {a: 1}\nw: {<<: *x, b: 2}\nz: *x\n",
			"{\"x\":{\"a\":1},\"w\":{\"a\":1,\"b\":2},\"z\":{\"a\":1}}"},
	};
	struct arena *a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(merges); i++) {
		struct str rest = str_c(merges[i][0]);
		struct buf json = {.a = a};
		struct doc *d = NULL;
		CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, NULL), 0);
		doc_write_json(&json, d);
		CHECK_STR(buf_view(&json), merges[i][1]);
	}
	arena_free(a);
}

TEST(yaml_alias_bomb_stops)
{
	struct arena *a = arena_new(0);
	struct buf b = {.a = a};
	buf_cstr(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++) {
		buf_fmt(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_fmt(&b, "%s*a%d", k ? "," : "", i - 1);
		buf_cstr(&b, "]\n");
	}
	struct str rest = buf_view(&b);
	struct doc *d = NULL;
	struct err e = {0};
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, &e), -E2BIG);
	CHECK_STR(e.msg, "yaml: document contains excessive aliasing or too many values");
	b.len = 0;
	buf_cstr(&b, "a0: &a0 [1]\n");
	for (int i = 1; i < 100; i++)
		buf_fmt(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	rest = buf_view(&b);
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, &e), -E2BIG);
	b.len = 0;
	for (int i = 0; i < 100; i++)
		buf_cstr(&b, "- ");
	rest = buf_view(&b);
	CHECK_INT(doc_parse_yaml(a, &rest, NULL, &d, &e), -E2BIG);
	arena_free(a);
}

TEST(yaml_written_as_kubectl_prints_it)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	CHECK_INT(
		doc_parse_json(a,
			STR("{\"apiVersion\":\"v1\",\"empty\":{},\"none\":[],\"s\":\"\","
			    "\"spec\":{\"containers\":[{\"args\":[\"-c\",\"a: b\"],\"name\":\"x\"},{\"name\":\"yes\"}],"
			    "\"n\":[[1,2],[]]},\"text\":\"one\\ntwo\\n\",\"t2\":\"one\\ntwo\",\"t3\":\"\\tx\","
			    "\"num\":\"1\",\"it's\":\"# it's\",\"z\":null,\"f\":0.5,\"b\":true}"),
			NULL, &d, NULL),
		0);
	struct buf b = {.a = a};
	doc_write_yaml(&b, d);
	CHECK_STR(buf_view(&b),
		"apiVersion: v1\n"
		"empty: {}\n"
		"none: []\n"
		"s: \"\"\n"
		"spec:\n"
		"  containers:\n"
		"  - args:\n"
		"    - -c\n"
		"    - 'a: b'\n"
		"    name: x\n"
		"  - name: \"yes\"\n"
		"  \"n\":\n"
		"  - - 1\n"
		"    - 2\n"
		"  - []\n"
		"text: |\n"
		"  one\n"
		"  two\n"
		"t2: |-\n"
		"  one\n"
		"  two\n"
		"t3: \"\\tx\"\n"
		"num: \"1\"\n"
		"it's: '# it''s'\n"
		"z: null\n"
		"f: 0.5\n"
		"b: true\n");
	arena_free(a);
}

TEST(yaml_written_reads_back)
{
	static const char *const parts[] = {"", "a", " ", "\n", ":", "#", "-", "'", "\"", "1",
		"0x1", "yes", "~", ": ", " #", "[", "{", "|", "\t", "\x7f", "\xc2\x85",
		"\xe2\x80\xa8", "\xef\xbb\xbf", "\xc3\xa9", "<<", "1:30", "2001-01-01", "%", "@",
		"*", "&", "!", "?", "---", "...", "\\", "=", ",", ".5", "1e3", "\r", "null", "-",
		"- "};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
			for (size_t m = 0; m < ARRAY_LEN(parts); m += 3) {
				struct arena *a = arena_new(0);
				struct str s = arena_fmt(a, "%s%s%s", parts[i], parts[k], parts[m]);
				struct doc *d = doc_map(a), *list = doc_list(a), *back = NULL;
				doc_append(list, doc_str(a, s));
				doc_append(list, doc_str(a, STR("z")));
				doc_set(d, s, list);
				doc_set(d, STR("last"), doc_str(a, s));
				struct buf b = {.a = a};
				struct err e = {0};
				doc_write_yaml(&b, d);
				struct str rest = buf_view(&b);
				if (doc_parse_yaml(a, &rest, NULL, &back, &e) < 0 ||
					!doc_equal(d, back))
					printf("     %s\n%.*s", e.msg, STR_ARG(buf_view(&b)));
				CHECK(doc_equal(d, back));
				arena_free(a);
			}
		}
	}
}
