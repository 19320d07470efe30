/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * typed_test: objects by their schema: the set of one, the difference of two, merging, taking out. Rows are of
 * the kind Pod, Deployment or Service. */
#include "tests/unit/test.h"

#include "orchestrator/fields/fields.h"

static struct arena *a;

static const struct schema_type *
type_of(const struct doc *d)
{
	struct str group, version;
	schema_api_version_split(doc_get_str(d, STR("apiVersion")), &group, &version);
	const struct schema_kind *k = schema_kind_find(
		schema_builtin(), group, version, doc_get_str(d, STR("kind")));
	if (!k)
		TEST_FAIL_("no such kind");
	return k->type;
}

static struct doc *
doc(const char *json)
{
	struct doc *d = NULL;
	struct err e = {0};
	if (doc_parse_json(a, str_c(json), NULL, &d, &e) < 0)
		TEST_FAIL_("%s: %s", json, e.msg);
	return d;
}

static struct str
text(const struct fields *f)
{
	struct buf b;
	buf_init_arena(&b, a);
	fields_write(&b, f);
	return buf_view(&b);
}

static struct str
json(const struct doc *d)
{
	struct buf b;
	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
}

#define POD "\"apiVersion\":\"v1\",\"kind\":\"Pod\""
#define GVK "{\"f:apiVersion\":{},\"f:kind\":{}"

TEST(the_set_of_an_object)
{
	static const char *const rows[][2] = {
		{"{" POD ",\"metadata\":{\"name\":\"x\",\"labels\":{\"b\":\"1\",\"a\":\"2\"},"
		 "\"annotations\":{}}}",
			GVK
			",\"f:metadata\":{\"f:annotations\":{},\"f:labels\":{\"f:a\":{},\"f:b\":{}},"
			"\"f:name\":{}}}"},
		/* lists with keys, a key that has a default, sets, lists that are one leaf */
		{"{" POD
		 ",\"metadata\":{\"finalizers\":[\"b\",\"a\"]},\"spec\":{\"containers\":[{\"name\":\"c\","
		 "\"args\":[\"x\"],\"ports\":[{\"containerPort\":80}]}]}}",
			GVK
			",\"f:metadata\":{\"f:finalizers\":{\"v:\\\"a\\\"\":{},\"v:\\\"b\\\"\":{}}},"
			"\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:args\":{},"
			"\"f:name\":{},\"f:ports\":{\"k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":"
			"{\".\":{},\"f:containerPort\":{}}}}}}}"},
		/* a selector is one leaf; empty and null members count */
		{"{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"matchLabels\":"
		 "{\"a\":\"b\"}},\"replicas\":1,\"strategy\":{},\"template\":null}}",
			GVK ",\"f:spec\":{\"f:replicas\":{},\"f:selector\":{},\"f:strategy\":{},"
			    "\"f:template\":{}}}"},
		/* items of one key are owned together */
		{"{" POD
		 ",\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
		 "{\"name\":\"A\",\"value\":\"2\"}]}]}}",
			GVK
			",\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:env\":"
			"{\"k:{\\\"name\\\":\\\"A\\\"}\":{}},\"f:name\":{}}}}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		struct doc *d = doc(rows[i][0]);
		CHECK_STR(text(fields_of(a, type_of(d), d)), rows[i][1]);
	}
}

TEST(what_differs_between_two_objects)
{
	static const struct {
		const char *from, *to, *added, *modified, *removed;
	} rows[] = {
		{"{" POD "}", "{" POD "}", "{}", "{}", "{}"},
		{"{" POD ",\"metadata\":{}}", "{" POD ",\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
			"{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}}}", "{}", "{}"},
		{"{" POD ",\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"1\"}}}",
			"{" POD ",\"metadata\":{\"labels\":{\"a\":\"2\",\"c\":\"1\"}}}",
			"{\"f:metadata\":{\"f:labels\":{\"f:c\":{}}}}",
			"{\"f:metadata\":{\"f:labels\":{\"f:a\":{}}}}",
			"{\"f:metadata\":{\"f:labels\":{\"f:b\":{}}}}"},
		/* order of items says nothing, a whole list is one leaf */
		{"{" POD
		 ",\"spec\":{\"containers\":[{\"name\":\"a\",\"args\":[\"1\"]},{\"name\":\"b\"}]}}",
			"{" POD
			",\"spec\":{\"containers\":[{\"name\":\"b\"},{\"name\":\"a\",\"args\":[\"2\"]},"
			"{\"name\":\"c\"}]}}",
			"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{},\"f:name\":{}}}}}",
			"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:args\":{}}}}}",
			"{}"},
		/* one item became two of its key */
		{"{" POD ",\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]}}",
			"{" POD
			",\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"a\"}]}}",
			"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{}}}}", "{}",
			"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\".\":{},\"f:image\":{},"
			"\"f:name\":{}}}}}"},
		{"{" POD ",\"spec\":null}", "{" POD ",\"spec\":{\"nodeName\":\"n\"}}",
			"{\"f:spec\":{\"f:nodeName\":{}}}", "{}", "{}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		struct fields_change c = {0};
		struct doc *d = doc(rows[i].from);
		CHECK_INT(fields_compare(a, type_of(d), d, doc(rows[i].to), &c), 0);
		CHECK_STR(text(c.added), rows[i].added);
		CHECK_STR(text(c.modified), rows[i].modified);
		CHECK_STR(text(c.removed), rows[i].removed);
	}
}

TEST(an_object_is_of_its_type_or_told_why_not)
{
	static const char *const rows[][2] = {
		{"{" POD ",\"metadata\":{\"labels\":{\"a\":\"1\"}}}", ""},
		{"{" POD ",\"spek\":1}", ".spek: field not declared in schema"},
		{"{" POD ",\"metadata\":{\"zzz\":1}}",
			".metadata.zzz: field not declared in schema"},
		{"{" POD ",\"metadata\":7}", ".metadata: expected map, got &{7}"},
		{"{" POD ",\"spec\":{\"hostNetwork\":\"yes\"}}",
			".spec.hostNetwork: expected boolean, got &{yes}"},
		{"{" POD ",\"spec\":{\"priority\":\"1\"}}",
			".spec.priority: expected numeric (int or float), got string"},
		{"{" POD ",\"spec\":{\"nodeName\":7}}",
			".spec.nodeName: expected string, got &value.valueUnstructured{Value:7}"},
		{"{" POD ",\"spec\":{\"containers\":{}}}",
			".spec.containers: expected list, got &{map[]}"},
		{"{" POD ",\"spec\":{\"containers\":[{\"image\":\"i\"}]}}",
			".spec.containers: element 0: associative list with keys has an element that omits all "
			"key fields [\"name\"] (and doesn't have default values for any key fields)"},
		{"{" POD ",\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"a\"}]}}",
			".spec.containers: duplicate entries for key [name=\"a\"]"},
		{"{" POD ",\"metadata\":{\"zzz\":1},\"spec\":{\"zzz\":1}}",
			"errors:\n  .metadata.zzz: field not declared in schema\n"
			"  .spec.zzz: field not declared in schema"},
		{"{" POD ",\"spec\":{\"containers\":[{\"name\":\"a\",\"zzz\":1}]}}",
			".spec.containers[name=\"a\"].zzz: field not declared in schema"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		struct str why = STR("");
		struct doc *d = doc(rows[i][0]);
		int rc = fields_check(a, type_of(d), d, &why);
		CHECK_STR(why, rows[i][1]);
		CHECK_INT(rc, rows[i][1][0] ? -EINVAL : 0);
	}
}

#define LIST(items) "{" POD ",\"spec\":{\"containers\":[" items "]}}"
#define C(n) "{\"name\":\"" n "\"}"
#define CI(n) "{\"name\":\"" n "\",\"image\":\"i\"}"

TEST(a_configuration_is_laid_over_an_object)
{
	static const char *const rows[][3] = {
		{"{" POD ",\"metadata\":{\"labels\":{\"a\":\"1\",\"c\":\"1\"}}}",
			"{" POD ",\"metadata\":{\"labels\":{\"b\":\"1\",\"a\":\"2\"}}}",
			"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"labels\":{\"a\":\"2\",\"b\":\"1\","
			"\"c\":\"1\"}}}"},
		/* items come as the configuration orders them, others stay where they stood */
		{LIST(C("a") "," C("b") "," C("c")), LIST(CI("b")),
			LIST(C("a") "," CI("b") "," C("c"))},
		{LIST(C("a") "," C("b")), LIST(C("b") "," C("a")), LIST(C("b") "," C("a"))},
		{LIST(C("a") "," C("x") "," C("b")), LIST(C("b") "," C("n") "," C("a")),
			LIST(C("x") "," C("b") "," C("n") "," C("a"))},
		{LIST(C("a")), LIST(C("b")), LIST(C("a") "," C("b"))},
		{"{" POD "}", LIST(C("b")), LIST(C("b"))},
		/* a leaf is replaced as a whole */
		{LIST("{\"name\":\"a\",\"args\":[\"1\",\"2\"]}"),
			LIST("{\"name\":\"a\",\"args\":[\"3\"]}"),
			LIST("{\"name\":\"a\",\"args\":[\"3\"]}")},
		{"{" POD ",\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
			"{" POD ",\"metadata\":{\"finalizers\":[\"c\",\"b\"]}}",
			"{" POD ",\"metadata\":{\"finalizers\":[\"a\",\"c\",\"b\"]}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		struct doc *d = doc(rows[i][0]), *want = doc(rows[i][2]);
		struct doc *out = fields_merge(a, type_of(d), d, doc(rows[i][1]));
		if (!doc_equal(out, want))
			CHECK_STR(json(out), rows[i][2]);
	}
}

TEST(fields_are_taken_out)
{
	static const char *const rows[][3] = {
		{LIST(CI("a") "," CI("b")),
			"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\".\":{},\"f:name\":{}},"
			"\"k:{\\\"name\\\":\\\"b\\\"}\":{\"f:image\":{}}}}}",
			LIST(C("b"))},
		{"{" POD
		 ",\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"1\"},\"finalizers\":[\"x\",\"y\"]}}",
			"{\"f:metadata\":{\"f:labels\":{\"f:a\":{}},\"f:finalizers\":{\"v:\\\"x\\\"\":{}}}}",
			"{" POD ",\"metadata\":{\"labels\":{\"b\":\"1\"},\"finalizers\":[\"y\"]}}"},
		{"{" POD ",\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
			"{\"f:metadata\":{\"f:labels\":{\"f:a\":{}}}}",
			"{" POD ",\"metadata\":{\"labels\":null}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fresh();
		const struct fields *f = NULL;
		struct doc *d = doc(rows[i][0]);
		CHECK_INT(fields_parse(a, str_c(rows[i][1]), &f, NULL), 0);
		struct doc *out = fields_take_out(a, type_of(d), d, f);
		if (!doc_equal(out, doc(rows[i][2])))
			CHECK_STR(json(out), rows[i][2]);
	}
}

TEST(what_is_owned_as_a_whole_has_a_path)
{
	fresh();
	const struct doc *d = doc(
		"{" POD ",\"metadata\":{\"labels\":{\"a\":\"b\"},\"finalizers\":[\"x/y\"]},"
		"\"spec\":{\"nodeSelector\":{\"a\":\"b\"},\"containers\":[{\"name\":\"c\","
		"\"args\":[\"x\"]}]}}");
	CHECK_STR(arena_cstr(a, fields_atomic(a, type_of(d), d)),
		".spec.nodeSelector, .spec.containers[0].args");
	d = doc("{" POD ",\"spec\":{\"containers\":[{\"name\":\"c\"}]}}");
	CHECK_STR(arena_cstr(a, fields_atomic(a, type_of(d), d)), "");
}

TEST(members_of_structs_that_lead_to_a_path_are_added)
{
	const struct fields *f = NULL;
	fresh();
	CHECK_INT(
		fields_parse(a,
			STR("{\"f:metadata\":{\"f:labels\":{\"f:a\":{}}},\"f:spec\":{\"f:containers\":"
			    "{\"k:{\\\"name\\\":\\\"c\\\"}\":{\"f:image\":{}}}}}"),
			&f, NULL),
		0);
	CHECK_STR(text(fields_with_parents(a, type_of(doc("{" POD "}")), f)),
		"{\"f:metadata\":{\".\":{},\"f:labels\":{\".\":{},\"f:a\":{}}},\"f:spec\":{\".\":{},"
		"\"f:containers\":{\".\":{},\"k:{\\\"name\\\":\\\"c\\\"}\":{\"f:image\":{}}}}}");
}

TEST(a_list_of_many_items_with_one_key_takes_no_time)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fields_change c = {0};
	fresh();
	buf_cstr(&b, "{" POD ",\"spec\":{\"containers\":[{\"name\":\"c\",\"env\":[");
	for (size_t i = 0; i < 40000; i++)
		buf_fmt(&b, "%s{\"name\":\"n%zu\",\"value\":\"1\"}", i ? "," : "",
			i * 7919 % 40000);
	buf_cstr(&b, "]}]}}");
	buf_char(&b, 0);
	struct doc *d = doc(b.data), *e = doc("{" POD "}");
	CHECK_INT(fields_compare(a, type_of(d), e, d, &c), 0);
	struct doc *m = fields_merge(a, type_of(d), d, d);
	CHECK(doc_equal(m, d));
	CHECK_STR(json(fields_take_out(
			  a, type_of(d), d, fields_with_parents(a, type_of(d), c.added))),
		"{" POD "}");
}
