/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * patch_test: the three patch forms. Rows: object, patch, result (or the text of the error). */
#include "tests/unit/test.h"

#include "orchestrator/schema/schema.h"

struct row {
	const char *obj, *patch, *want;
};

enum form { JSON_PATCH, MERGE, STRATEGIC };

static struct arena *a;

static struct str
apply(enum form form, const struct row *r)
{
	const struct schema_kind *k = schema_kind_find(
		schema_builtin(), STR("apps"), STR("v1"), STR("Deployment"));
	struct doc *obj = NULL, *patch = NULL, *out = NULL;
	static struct err e;
	struct buf b;
	int rc = 0;

	arena_free(a);
	a = arena_new(0);
	err_clear(&e);
	if (doc_parse_json(a, str_c(r->obj), NULL, &obj, &e) ||
		doc_parse_json(a, str_c(r->patch), NULL, &patch, &e))
		return str_c(e.msg);
	if (form == JSON_PATCH)
		rc = schema_patch_json(a, obj, patch, &out, &e);
	else if (form == MERGE)
		rc = schema_patch_merge(a, obj, patch, &out, &e);
	else
		rc = schema_patch_strategic(a, k->type, obj, patch, &out, &e);
	if (rc != 0)
		return str_c(e.msg);
	buf_init_arena(&b, a);
	doc_write_json(&b, out);
	return buf_view(&b);
}

static void
rows(enum form form, const struct row *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		CHECK_STR(apply(form, &list[i]), list[i].want);
}

TEST(json_patch)
{
	static const struct row list[] = {
		{"{\"a\":1}",
			"[{\"op\":\"add\",\"path\":\"/b\",\"value\":[1]},{\"op\":\"add\",\"path\":\"/b/-\",\"value\":2},"
			"{\"op\":\"add\",\"path\":\"/b/0\",\"value\":0}]",
			"{\"a\":1,\"b\":[0,1,2]}"},
		{"{\"a\":{\"x/y\":1,\"~\":2}}",
			"[{\"op\":\"remove\",\"path\":\"/a/x~1y\"},{\"op\":\"replace\",\"path\":"
			"\"/a/~0\",\"value\":3}]",
			"{\"a\":{\"~\":3}}"},
		{"{\"a\":[1,2]}",
			"[{\"op\":\"test\",\"path\":\"/a/1\",\"value\":2},{\"op\":\"move\",\"from\":\"/a/0\","
			"\"path\":\"/b\"},{\"op\":\"copy\",\"from\":\"/b\",\"path\":\"/c\"}]",
			"{\"a\":[2],\"b\":1,\"c\":1}"},
		{"{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
			"testing value /a failed: test failed"},
		{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":2}]",
			"replace operation does not apply: doc is missing key: /b: missing value"},
		{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b/c\",\"value\":2}]",
			"replace operation does not apply: doc is missing path: /b/c: missing value"},
		{"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/b\"}]",
			"error in remove for path: '/b': Unable to remove nonexistent key: b: missing value"},
		{"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b/c\",\"value\":2}]",
			"add operation does not apply: doc is missing path: \"/b/c\": missing value"},
		{"{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/-1\"}]", "{\"a\":[]}"},
		{"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{}}]", "{}"},
		{"{\"a\":1}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", "Unexpected kind: frob"},
	};

	rows(JSON_PATCH, list, ARRAY_LEN(list));
}

TEST(merge_patch)
{
	static const struct row list[] = {
		{"{\"a\":\"b\",\"c\":{\"d\":\"e\",\"f\":\"g\"}}",
			"{\"a\":\"z\",\"c\":{\"f\":null}}", "{\"a\":\"z\",\"c\":{\"d\":\"e\"}}"},
		{"{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
		{"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
		{"{\"a\":\"x\"}", "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"c\"}}"},
		{"{}", "[1]", "the patch is not a JSON object"},
	};

	rows(MERGE, list, ARRAY_LEN(list));
}

#define POD(x) "{\"spec\":{\"template\":{\"spec\":{" x "}}}}"

TEST(strategic_merge_patch)
{
	static const struct row list[] = {
		/* items are merged by key, new ones come in */
		{POD("\"containers\":[{\"name\":\"a\",\"image\":\"1\"},{\"name\":\"b\"}]"),
			POD("\"containers\":[{\"name\":\"a\",\"image\":\"2\"}]"),
			POD("\"containers\":[{\"name\":\"a\",\"image\":\"2\"},{\"name\":\"b\"}]")},
		{POD("\"containers\":[{\"name\":\"b\"}]"),
			POD("\"$setElementOrder/containers\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"containers\":[{"
			    "\"name\":\"a\"}]"),
			POD("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]")},
		{POD("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]"),
			POD("\"$setElementOrder/containers\":[{\"name\":\"c\"},{\"name\":\"a\"}],\"containers\":[{"
			    "\"name\":\"b\",\"$patch\":\"delete\"}]"),
			POD("\"containers\":[{\"name\":\"c\"},{\"name\":\"a\"}]")},
		{POD("\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"),
			POD("\"containers\":[{\"$patch\":\"replace\"},{\"name\":\"z\"}]"),
			POD("\"containers\":[{\"name\":\"z\"}]")},
		{POD("\"containers\":[{\"name\":\"a\"}]"),
			POD("\"containers\":[{\"image\":\"x\"}]"),
			"map: {\"image\":\"x\"} does not contain declared merge key: name"},
		/* lists without a strategy are replaced, null removes */
		{POD("\"tolerations\":[{\"key\":\"a\"}],\"nodeName\":\"n\""),
			POD("\"tolerations\":[{\"key\":\"b\"}],\"nodeName\":null"),
			POD("\"tolerations\":[{\"key\":\"b\"}]")},
		/* primitives */
		{"{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
			"{\"metadata\":{\"finalizers\":[\"c\",\"a\"]}}",
			"{\"metadata\":{\"finalizers\":[\"c\",\"a\",\"b\"]}}"},
		{"{\"metadata\":{\"finalizers\":[\"a\",\"b\"]}}",
			"{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":[\"a\"]}}",
			"{\"metadata\":{\"finalizers\":[\"b\"]}}"},
		/* maps */
		{"{\"metadata\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}}",
			"{\"metadata\":{\"labels\":{\"a\":null,\"c\":\"3\"}}}",
			"{\"metadata\":{\"labels\":{\"b\":\"2\",\"c\":\"3\"}}}"},
		{"{\"metadata\":{\"labels\":{\"a\":\"1\"}}}",
			"{\"metadata\":{\"labels\":{\"$patch\":\"replace\",\"c\":\"3\"}}}",
			"{\"metadata\":{\"labels\":{\"c\":\"3\"}}}"},
		{"{\"spec\":{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}}}",
			"{\"spec\":{\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}}}",
			"{\"spec\":{\"strategy\":{\"type\":\"Recreate\"}}}"},
		{POD("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"),
			POD("\"volumes\":[{\"$retainKeys\":[\"configMap\",\"name\"],\"name\":\"v\",\"configMap\":{\"name\":"
			    "\"c\"}}]"),
			POD("\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"c\"}}]")},
		/* rollout undo */
		{POD("\"containers\":[{\"name\":\"a\"}]"),
			"{\"spec\":{\"template\":{\"$patch\":\"replace\",\"spec\":{\"containers\":[{\"name\":\"o\"}]}}}}",
			POD("\"containers\":[{\"name\":\"o\"}]")},
		/* keys of several parts: containerPort is the merge key */
		{POD("\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}]}]"),
			POD("\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80,\"name\":\"w\"}]}]"),
			POD("\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\","
			    "\"name\":\"w\"}]}]")},
		{"{}", "{\"metadata\":{\"labels\":{\"a\":null}}}",
			"{\"metadata\":{\"labels\":{}}}"},
		{"{}", "{\"spec\":{\"$patch\":\"frob\"}}", "{\"spec\":{}}"},
		{"{\"spec\":{}}", "{\"spec\":{\"$patch\":\"frob\"}}", "unknown patch type: frob"},
	};

	rows(STRATEGIC, list, ARRAY_LEN(list));
}

TEST(large_maps_are_patched_in_linear_time)
{
	struct buf b;
	struct row r = {.obj = "{\"metadata\":{\"annotations\":{}}}"};
	struct str got = STR_NONE;
	char *copy = NULL;

	buf_init(&b);
	buf_cstr(&b, "{\"metadata\":{\"annotations\":{");
	for (int i = 0; i < 150000; i++)
		buf_fmt(&b, "%s\"k%d\":\"v\"", i ? "," : "", i);
	buf_cstr(&b, "}}}");
	buf_char(&b, 0);
	r.patch = b.data;
	got = apply(STRATEGIC, &r);
	CHECK_INT(got.n, b.len - 1);
	copy = strdup(b.data);
	r.obj = copy;
	got = apply(MERGE, &r);
	CHECK_INT(got.n, b.len - 1);
	buf_release(&b);
	free(copy);
}

TEST(a_made_patch_turns_one_into_the_other)
{
	struct doc *from = NULL, *to = NULL, *patch = NULL, *out = NULL;

	arena_free(a);
	a = arena_new(0);
	CHECK_INT(doc_parse_json(
			  a, STR("{\"a\":1,\"b\":{\"c\":[1],\"d\":2},\"e\":5}"), NULL, &from, NULL),
		0);
	CHECK_INT(
		doc_parse_json(a, STR("{\"a\":2,\"b\":{\"c\":[1]},\"f\":6}"), NULL, &to, NULL), 0);
	patch = schema_patch_make(a, from, to);
	CHECK(patch != NULL);
	CHECK_INT(schema_patch_merge(a, from, patch, &out, NULL), 0);
	CHECK(doc_equal(out, to));
	CHECK(schema_patch_make(a, to, to) == NULL);
}
