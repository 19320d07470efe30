/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * track_test: who owns what after which writes. A row is a sequence of writes of a ConfigMap, a line each
 * ("update NAME OBJECT", "apply NAME CONFIG", "force NAME CONFIG"), and what is there after the last one: the
 * object, and each entry as manager/operation: fields; or the message of a conflict. */
#include "tests/unit/test.h"

#include "orchestrator/fields/fields.h"

static struct arena *a;
static const struct schema_type *custom; /* the objects are of this type; NULL = ConfigMaps */

static const struct schema_type *
config_map(void)
{
	return custom
		? custom
		: schema_kind_find(schema_builtin(), STR(""), STR("v1"), STR("ConfigMap"))->type;
}

static struct doc *
doc(struct str json)
{
	struct doc *d = NULL;
	struct err e = {0};
	if (doc_parse_json(a, json, NULL, &d, &e) < 0)
		TEST_FAIL_(STR_FMT ": %s", STR_ARG(json), e.msg);
	if (schema_order(a, config_map(), d) < 0)
		TEST_FAIL_("order");
	return d;
}

static struct str
json(const struct doc *d)
{
	struct buf b;
	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

struct world {
	struct doc *obj; /* without managedFields */
	struct doc *entries;
	struct str failure;
	int64_t writes;
};

static void
write_one(struct world *w, struct str line)
{
	struct str verb, rest, name, body;
	str_cut(line, ' ', &verb, &rest);
	str_cut(rest, ' ', &name, &body);
	struct managed m = {0};
	struct managed_op op = {.a = a,
		.type = config_map(),
		.manager = name,
		.api_version = STR("v1"),
		.now = arena_fmt(a, "2026-01-01T00:00:%02lldZ", (long long)w->writes++)};
	struct doc *before = w->obj ? w->obj : doc(STR("{}"));
	struct doc *d = doc(arena_fmt(
		a, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"," STR_FMT "}", STR_ARG(body)));
	CHECK_INT(managed_read(a, w->entries, &m, NULL), 0);
	if (str_eq_c(verb, "update")) {
		CHECK_INT(managed_update(&op, &m, before, d), 0);
		w->obj = d;
	} else {
		struct managed_applied done = {0};
		struct err e = {0};
		int rc = managed_apply(&op, &m, before, d, str_eq_c(verb, "force"), &done, &e);
		if (rc == -EEXIST) {
			w->failure = managed_conflict_message(a, &done);
			return;
		}
		CHECK_INT(rc, 0);
		w->obj = done.obj ? done.obj : before;
	}
	w->entries = managed_write(a, &m);
}

static struct str
entries_text(const struct world *w)
{
	struct managed m = {0};
	struct buf b;
	buf_init_arena(&b, a);
	CHECK_INT(managed_read(a, w->entries, &m, NULL), 0);
	for (size_t i = 0; i < m.n; i++) {
		buf_fmt(&b, STR_FMT "/%s: ", STR_ARG(m.v[i].manager),
			m.v[i].applied ? "Apply" : "Update");
		fields_write(&b, m.v[i].set);
		buf_char(&b, '\n');
	}
	return buf_view(&b);
}

#define D(x) "\"data\":{" x "}"
#define F(x) "{\"f:data\":{" x "}}"

TEST(who_owns_what)
{
	static const struct {
		const char *writes, *obj, *entries;
	} rows[] = {
		{"update a " D("\"x\":\"1\""), D("\"x\":\"1\""),
			"a/Update: " F("\".\":{},\"f:x\":{}") "\n"},
		/* what another changes is the other's */
		{"update a " D("\"x\":\"1\",\"y\":\"1\"") "\n"
							  "update b " D("\"x\":\"2\",\"y\":\"1\""),
			D("\"x\":\"2\",\"y\":\"1\""),
			"a/Update: " F("\".\":{},\"f:y\":{}") "\nb/Update: " F("\"f:x\":{}") "\n"},
		/* what goes is nobody's; an entry of nothing goes */
		{"update a " D("\"x\":\"1\"") "\nupdate b " D(
			 "\"x\":\"1\",\"y\":\"1\"") "\nupdate a " D("\"x\":\"1\""),
			D("\"x\":\"1\""), "a/Update: " F("\".\":{},\"f:x\":{}") "\n"},
		/* a write that changes nothing leaves everything alone */
		{"update a " D("\"x\":\"1\"") "\nupdate b " D("\"x\":\"1\""), D("\"x\":\"1\""),
			"a/Update: " F("\".\":{},\"f:x\":{}") "\n"},
		/* applied, then not: it goes */
		{"apply a " D("\"x\":\"1\",\"y\":\"1\"") "\napply a " D("\"x\":\"1\""),
			D("\"x\":\"1\""), "a/Apply: " F("\"f:x\":{}") "\n"},
		/* but not what another has too */
		{"apply a " D("\"x\":\"1\",\"y\":\"1\"") "\napply b " D(
			 "\"y\":\"1\"") "\napply a " D("\"x\":\"1\""),
			D("\"x\":\"1\",\"y\":\"1\""),
			"b/Apply: " F("\"f:y\":{}") "\na/Apply: " F("\"f:x\":{}") "\n"},
		/* force takes over */
		{"apply a " D("\"x\":\"1\",\"y\":\"1\"") "\nforce b " D("\"x\":\"2\""),
			D("\"x\":\"2\",\"y\":\"1\""),
			"a/Apply: " F("\"f:y\":{}") "\nb/Apply: " F("\"f:x\":{}") "\n"},
		/* the same value is shared without force */
		{"apply a " D("\"x\":\"1\"") "\napply b " D("\"x\":\"1\""), D("\"x\":\"1\""),
			"b/Apply: " F("\"f:x\":{}") "\na/Apply: " F("\"f:x\":{}") "\n"},
		/* an update of what was applied makes it the updater's; applying again is a conflict */
		{"apply a " D("\"x\":\"1\"") "\nupdate b " D("\"x\":\"2\"") "\napply a " D(
			 "\"x\":\"1\""),
			"", "Apply failed with 1 conflict: conflict with \"b\" using v1: .data.x"},
		{"apply a " D("\"x\":\"1\",\"y\":\"1\",\"z\":\"1\"") "\napply b " D(
			 "\"z\":\"1\"") "\n"
					"apply c " D("\"x\":\"2\",\"y\":\"2\",\"z\":\"2\""),
			"",
			"Apply failed with 4 conflicts: conflicts with \"a\":\n- .data.x\n- .data.y\n- .data.z\n"
			"conflicts with \"b\":\n- .data.z"},
		/* an item of an updater that nobody applied stays */
		{"update u " D("\"x\":\"1\"") "\napply a " D(
			 "\"y\":\"1\"") "\napply a \"metadata\":{}",
			D("\"x\":\"1\""), "u/Update: " F("\".\":{},\"f:x\":{}") "\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		arena_free(a);
		a = arena_new(0);
		struct world w = {0};
		struct str rest = str_c(rows[i].writes), line;
		while (str_next(&rest, '\n', &line))
			write_one(&w, line);
		if (str_is_set(w.failure)) {
			CHECK_STR(w.failure, rows[i].entries);
			continue;
		}
		CHECK_STR(entries_text(&w), rows[i].entries);
		CHECK_STR(json(doc_get(w.obj, STR("data"))),
			arena_cstr(a, str_sub(str_c(rows[i].obj), 7, SIZE_MAX)));
	}
}

#define S(x) "\"spec\":{" x "}"
#define FS(x) "{\"f:spec\":{" x "}}"

TEST(lists_and_maps_of_custom_resources_are_owned_as_their_schema_says)
{
	static const char schema[] =
		"{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
		"\"set\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":"
		"\"string\"}},"
		"\"map\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
		"\"x-kubernetes-list-map-keys\":[\"name\",\"proto\"],\"items\":{\"type\":\"object\","
		"\"properties\":{\"name\":{\"type\":\"string\"},\"proto\":{\"type\":\"string\",\"default\":"
		"\"TCP\"},\"n\":{\"type\":\"integer\"}}}},"
		"\"whole\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
		"\"atom\":{\"type\":\"object\",\"x-kubernetes-map-type\":\"atomic\",\"properties\":{\"a\":"
		"{\"type\":\"string\"},\"b\":{\"type\":\"string\"}}},"
		"\"free\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}"
		"}}}}";
	static const struct {
		const char *writes, *obj, *entries;
	} rows[] = {
		{"apply a " S("\"set\":[\"x\"]") "\napply b " S("\"set\":[\"y\"]"),
			S("\"set\":[\"x\",\"y\"]"),
			"a/Apply: " FS("\"f:set\":{\"v:\\\"x\\\"\":{}}") "\nb/Apply: " FS(
				"\"f:set\":{\"v:\\\"y\\\"\":{}}") "\n"},
		/* a key that is left out has its default */
		{"apply a " S("\"map\":[{\"name\":\"x\",\"n\":1}]") "\napply b " S(
			 "\"map\":[{\"name\":\"y\",\"proto\":\"UDP\",\"n\":2}]"),
			S("\"map\":[{\"n\":1,\"name\":\"x\"},{\"n\":2,\"name\":\"y\",\"proto\":\"UDP\"}]"),
			"a/Apply: " FS(
				"\"f:map\":{\"k:{\\\"name\\\":\\\"x\\\",\\\"proto\\\":"
				"\\\"TCP\\\"}\":{\".\":{},\"f:n\":{},\"f:name\":{}}}") "\n"
										       "b/Apply: " FS(
											       "\"f:map\":{\"k:{\\\"name\\\":\\\"y\\\",\\\"proto\\\":"
											       "\\\"UDP\\\"}\":{\".\":{},\"f:n\":{},\"f:name\":{},"
											       "\"f:proto\":{}}}") "\n"},
		{"apply a " S("\"whole\":[\"x\"]") "\nforce b " S("\"whole\":[\"y\"]"),
			S("\"whole\":[\"y\"]"), "b/Apply: " FS("\"f:whole\":{}") "\n"},
		{"apply a " S("\"atom\":{\"a\":\"1\"}") "\nforce b " S("\"atom\":{\"b\":\"1\"}"),
			S("\"atom\":{\"b\":\"1\"}"), "b/Apply: " FS("\"f:atom\":{}") "\n"},
		{"update a " S("\"free\":{\"x\":\"1\"}") "\nupdate b " S(
			 "\"free\":{\"x\":\"1\",\"y\":\"1\"}"),
			S("\"free\":{\"x\":\"1\",\"y\":\"1\"}"),
			"a/Update: " FS(
				"\".\":{},\"f:free\":{\".\":{},\"f:x\":{}}") "\n"
									     "b/Update: " FS(
										     "\"f:free\":{\"f:y\":{}}") "\n"},
		{"apply a " S("\"map\":[{\"name\":\"x\",\"n\":1}]") "\napply b " S(
			 "\"map\":[{\"name\":\"x\",\"n\":2}]"),
			"",
			"Apply failed with 1 conflict: conflict with \"a\": "
			".spec.map[name=\"x\",proto=\"TCP\"].n"},
	};
	struct arena *own = arena_new(0);
	struct doc *d = NULL;
	struct schema_type t = *config_map();
	static const uint16_t first[] = {0};
	CHECK_INT(doc_parse_json(own, str_c(schema), NULL, &d, NULL), 0);
	CHECK_INT(structural_compile(own, d, &t.structural), 0);
	t.fields = schema_field_find(config_map(), STR("metadata"));
	t.by_name = first;
	t.n_fields = 1;
	t.preserve_unknown = true;
	custom = &t;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		arena_free(a);
		a = arena_new(0);
		struct world w = {0};
		struct str rest = str_c(rows[i].writes), line;
		while (str_next(&rest, '\n', &line))
			write_one(&w, line);
		if (str_is_set(w.failure)) {
			CHECK_STR(w.failure, rows[i].entries);
			continue;
		}
		CHECK_STR(entries_text(&w), rows[i].entries);
		CHECK_STR(json(doc_get(w.obj, STR("spec"))),
			arena_cstr(a, str_sub(str_c(rows[i].obj), 7, SIZE_MAX)));
	}
	custom = NULL;
	arena_free(own);
}

TEST(a_time_changes_only_when_something_does)
{
	struct world w = {0};
	arena_free(a);
	a = arena_new(0);
	write_one(&w, STR("update a " D("\"x\":\"1\"")));
	struct str first = w.entries->s;
	write_one(&w, STR("update a " D("\"x\":\"1\"")));
	CHECK_STR(w.entries->s, arena_cstr(a, first));
	write_one(&w, STR("update a " D("\"x\":\"2\"")));
	CHECK(!str_eq(w.entries->s, first));
	CHECK_STR(w.entries->s,
		"[{\"manager\":\"a\",\"operation\":\"Update\",\"apiVersion\":\"v1\","
		"\"time\":\"2026-01-01T00:00:02Z\",\"fieldsType\":\"FieldsV1\","
		"\"fieldsV1\":{\"f:data\":{\".\":{},\"f:x\":{}}}}]");
	write_one(&w, STR("apply b " D("\"y\":\"2\"")));
	first = w.entries->s;
	write_one(&w, STR("apply b " D("\"y\":\"2\"")));
	CHECK_STR(w.entries->s, arena_cstr(a, first));
}

TEST(the_oldest_updates_become_one_entry)
{
	struct world w = {0};
	struct managed m = {0};
	arena_free(a);
	a = arena_new(0);
	struct buf data;
	buf_init_arena(&data, a);
	for (size_t i = 0; i < 14; i++) {
		buf_fmt(&data, "%s\"k%02zu\":\"1\"", i ? "," : "", i);
		write_one(&w,
			arena_fmt(a, "update m%02zu \"data\":{" STR_FMT "}", i,
				STR_ARG(buf_view(&data))));
	}
	CHECK_INT(managed_read(a, w.entries, &m, NULL), 0);
	CHECK_INT(m.n, 10);
	CHECK_STR(m.v[0].manager, "ancient-changes");
	CHECK_STR(m.v[0].text,
		F("\".\":{},\"f:k00\":{},\"f:k01\":{},\"f:k02\":{},\"f:k03\":{},\"f:k04\":{}"));
	CHECK_STR(m.v[0].time, "2026-01-01T00:00:04Z");
	CHECK_STR(m.v[9].manager, "m13");
}

TEST(kubectl_takes_over_what_it_applied_from_its_side)
{
	static const char
		*const ann = "\"metadata\":{\"annotations\":{"
			     "\"kubectl.kubernetes.io/last-applied-configuration\":"
			     "\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"ConfigMap\\\","
			     "\\\"data\\\":{\\\"x\\\":\\\"1\\\"}}\"}},";
	struct world w = {0};
	arena_free(a);
	a = arena_new(0);
	write_one(&w,
		arena_fmt(a, "update kubectl-client-side-apply %s" D("\"x\":\"1\",\"y\":\"1\""),
			ann));
	write_one(&w, STR("apply kubectl " D("\"x\":\"2\"")));
	CHECK(!str_is_set(w.failure));
	CHECK_STR(doc_get_str(doc_get(w.obj, STR("data")), STR("x")), "2");
	write_one(&w, STR("apply kubectl " D("\"y\":\"2\"")));
	CHECK_STR(w.failure,
		"Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.y");
}

/* The items of a list went, all of them, when of one somebody owned the item but not its name. */
TEST(an_item_whose_name_nobody_owns_takes_no_other_with_it)
{
	static const char pod[] =
		"{\"metadata\":{\"labels\":{\"l\":\"1\"}},\"spec\":{\"containers\":["
		"{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}]}}";
	static const char config[] =
		"{\"metadata\":{\"labels\":{\"m\":\"1\"}},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}";
	static const char entries[] =
		"[{\"manager\":\"me\",\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":"
		"{\"f:metadata\":{\"f:labels\":{\"f:l\":{}}},\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\".\":{},\"f:name\":{}}}}}},"
		"{\"manager\":\"other\",\"operation\":\"Update\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":"
		"{\"f:spec\":{\"f:containers\":{\"k:{\\\"name\\\":\\\"b\\\"}\":{\".\":{},\"f:image\":{}}}}}}]";
	arena_free(a);
	a = arena_new(0);
	custom = schema_kind_find(schema_builtin(), STR(""), STR("v1"), STR("Pod"))->type;
	struct managed_op op = {.a = a,
		.type = custom,
		.manager = STR("me"),
		.api_version = STR("v1"),
		.now = STR("2026-01-01T00:00:00Z")};
	struct managed m = {0};
	struct managed_applied done = {0};
	struct doc *read = NULL;
	CHECK_INT(doc_parse_json(a, str_c(entries), NULL, &read, NULL), 0);
	CHECK_INT(managed_read(a, read, &m, NULL), 0);
	CHECK_INT(
		managed_apply(&op, &m, doc(str_c(pod)), doc(str_c(config)), false, &done, NULL), 0);
	CHECK_STR(json(done.obj),
		"{\"metadata\":{\"labels\":{\"m\":\"1\"}},\"spec\":{\"containers\":["
		"{\"name\":\"a\",\"image\":\"x\",\"resources\":{}},"
		"{\"name\":\"b\",\"image\":\"y\",\"resources\":{}}]},\"status\":{}}");
	custom = NULL;
}

TEST(entries_that_cannot_be_read)
{
	static const char *const rows[][2] = {
		{"[{}]", "operation must be `Apply` or `Update`"},
		{"[{\"operation\":\"Frob\"}]", "operation must be `Apply` or `Update`"},
		{"[{\"operation\":\"Apply\"}]", "apiVersion must not be empty"},
		{"[{\"operation\":\"Apply\",\"apiVersion\":\"v1\"}]",
			"missing fieldsType in managed fields entry 0"},
		{"[{\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"x\"}]",
			"invalid fieldsType \"x\" in managed fields entry 0"},
		{"[{\"operation\":\"Apply\",\"apiVersion\":\"v1\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"a\":1}}]",
			"fieldsV1: key must be 2 characters long: (offset 5)"},
	};
	arena_free(a);
	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct managed m = {0};
		struct err e = {0};
		struct doc *d = NULL;
		CHECK_INT(doc_parse_json(a, str_c(rows[i][0]), NULL, &d, NULL), 0);
		CHECK_INT(managed_read(a, d, &m, &e), -EINVAL);
		CHECK_STR(e.msg, rows[i][1]);
		CHECK(managed_is_reset(d) == (i == 0));
	}
	CHECK(managed_is_reset(doc_list(a)));
	CHECK(!managed_is_reset(NULL));
}

TEST(managed_fields_are_cut_out_of_a_body)
{
	static const char *const rows[][3] = {
		{"{\"metadata\":{\"name\":\"x\",\"managedFields\":[{\"a\":\"]}\"}]},\"spec\":{}}",
			"{\"metadata\":{\"name\":\"x\"},\"spec\":{}}", "[{\"a\":\"]}\"}]"},
		{"{\"metadata\":{\"managedFields\":[],\"name\":\"x\"}}",
			"{\"metadata\":{\"name\":\"x\"}}", "[]"},
		{"{\"a\":\"\\\"metadata\",\"metadata\":{\"managedFields\":[]}}",
			"{\"a\":\"\\\"metadata\",\"metadata\":{}}", "[]"},
		{"{\"metadata\":{\"name\":\"x\"},\"spec\":{\"managedFields\":[]}}", NULL, NULL},
		{"{\"spec\":{\"metadata\":{\"managedFields\":[]}}}", NULL, NULL},
		{"", NULL, NULL},
		{"[]", NULL, NULL},
	};
	arena_free(a);
	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str list, rest;
		bool cut = managed_cut(a, str_c(rows[i][0]), &list, &rest);
		CHECK_INT(cut, rows[i][1] != NULL);
		if (!cut)
			continue;
		CHECK_STR(rest, rows[i][1]);
		CHECK_STR(list, rows[i][2]);
	}
}
