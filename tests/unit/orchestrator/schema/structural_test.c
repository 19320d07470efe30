/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_test: definitions of custom resources that are refused, and why; what their schemas make of objects:
 * pruned, defaulted, refused with upstream's texts. */
#include "tests/unit/test.h"

#include "orchestrator/schema/structural_int.h"

static struct arena *a;

static struct doc *
parse(const char *json)
{
	struct doc *d = NULL;
	struct err e = {0};
	struct str text = arena_str(a, str_c(json));

	if (doc_parse_json(a, text, NULL, &d, &e) != 0)
		TEST_FAIL_("%s: %s", json, e.msg);
	return d;
}

static const struct structural *
schema(const char *json)
{
	const struct structural *n = NULL;

	CHECK_INT(structural_compile(a, parse(json), &n), 0);
	return n;
}

static struct str
written(const struct doc *d)
{
	struct buf b;

	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

/* ---- definitions ---- */

static const char crd_text[] =
	"{\"apiVersion\":\"apiextensions.k8s.io/v1\",\"kind\":\"CustomResourceDefinition\","
	"\"metadata\":{\"name\":\"foos.example.com\"},\"spec\":{\"group\":\"example.com\",\"scope\":"
	"\"Namespaced\",\"names\":{\"plural\":\"foos\",\"singular\":\"foo\",\"kind\":\"Foo\","
	"\"listKind\":\"FooList\"},\"versions\":[{\"name\":\"v1\",\"served\":true,\"storage\":true,"
	"\"schema\":{\"openAPIV3Schema\":%s}%s}]},\"status\":{\"storedVersions\":[\"v1\"]}}";

static struct str
faults(const struct doc *crd, const struct doc *old)
{
	const struct schema_kind *k = schema_kind_find(schema_builtin(),
		STR("apiextensions.k8s.io"), STR("v1"), STR("CustomResourceDefinition"));
	struct schema_errors errs = {.a = a};

	schema_validate(k, crd, old, &errs);
	return schema_errors_message(&errs);
}

static struct doc *
crd_with(const char *openapi, const char *more)
{
	return parse(arena_cstr(a, arena_fmt(a, crd_text, openapi, more)));
}

#define AT_SCHEMA "spec.versions[0].schema.openAPIV3Schema"

TEST(schemas_that_are_not_structural_are_refused)
{
	static const struct {
		const char *schema, *fault;
	} rows[] = {
		{"{\"type\":\"object\"}", ""},
		{"{}", AT_SCHEMA ".type: Required value: must not be empty at the root"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{}}}",
			AT_SCHEMA ".properties[a].type: Required value: must not be empty for "
				  "specified object fields"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\"}}}",
			AT_SCHEMA ".properties[a].items: Required value: must be specified"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"x-kubernetes-int-or-string\":true,"
		 "\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}}}",
			""},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"anyOf\":[{\"type\":"
		 "\"integer\"}]}}}",
			AT_SCHEMA ".properties[a].anyOf[0].type: Forbidden: must be empty to be "
				  "structural"},
		{"{\"type\":\"object\",\"not\":{\"properties\":{\"b\":{\"minimum\":1}}}}",
			AT_SCHEMA
			".properties[b]: Required value: because it is defined in " AT_SCHEMA
			".not.properties[b]"},
		{"{\"type\":\"object\",\"additionalProperties\":true}",
			AT_SCHEMA ".additionalProperties: Forbidden: must not be used at the root"},
		{"{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\",\"properties\":{"
		 "\"name\":{\"type\":\"string\",\"pattern\":\"^x\"}}}}}",
			""},
		{"{\"type\":\"object\",\"properties\":{\"metadata\":{\"type\":\"object\",\"properties\":{"
		 "\"labels\":{\"type\":\"object\"}}}}}",
			AT_SCHEMA
			".properties[metadata]: Forbidden: must not specify anything other "
			"than name and generateName, but metadata is implicitly specified"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"(\"}}}",
			AT_SCHEMA
			".properties[a].pattern: Invalid value: \"(\": must be a valid "
			"regular expression, but isn't: error parsing regexp: missing closing ): "
			"`(`"},
		{"{\"type\":\"object\",\"$ref\":\"#/x\"}",
			AT_SCHEMA ".$ref: Forbidden: $ref is not supported"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"uniqueItems\":true}}}",
			AT_SCHEMA
			".properties[a].uniqueItems: Forbidden: uniqueItems cannot be set "
			"to true since the runtime complexity becomes quadratic"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":"
		 "\"object\",\"properties\":{\"k\":{\"type\":\"string\"}}},\"x-kubernetes-list-type\":"
		 "\"map\",\"x-kubernetes-list-map-keys\":[\"k\"]}}}",
			AT_SCHEMA
			".properties[a].items.properties[k].default: Required value: this "
			"property is in x-kubernetes-list-map-keys, so it must have a default or "
			"be a required property"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{"
		 "\"type\":\"string\"}},\"default\":{\"c\":1}}}}",
			AT_SCHEMA ".properties[a].default: Invalid value: {\"c\":1}: must not have "
				  "unknown fields"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":5}}}",
			AT_SCHEMA
			".properties[a].default: Invalid value: \"integer\":  in body must "
			"be of type string: \"integer\""},
		{"{\"type\":\"object\",\"nullable\":true}",
			AT_SCHEMA ".nullable: Forbidden: nullable cannot be true at the root"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\","
		 "\"x-kubernetes-preserve-unknown-fields\":false}}}",
			AT_SCHEMA
			".properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: "
			"false: must be true or undefined"},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str got = faults(crd_with(rows[i].schema, ""), NULL);

		if (!str_eq_c(got, rows[i].fault))
			TEST_FAIL_("%s\n     is  " STR_FMT "\n     not %s", rows[i].schema,
				STR_ARG(got), rows[i].fault);
	}
	arena_free(a);
}

TEST(definitions_are_checked)
{
	static const struct {
		const char *at, *value, *fault;
	} rows[] = {
		{"spec.group", "\"example\"",
			"spec.group: Invalid value: \"example\": should be a domain with at least one "
			"dot"},
		{"spec.names.kind", "\"foo_\"", "may have mixed case, but should otherwise match"},
		{"spec.names.listKind", "\"Foo\"",
			"spec.names.listKind: Invalid value: \"Foo\": kind and listKind may not be the "
			"same"},
		{"spec.names.singular", "\"\"", "spec.names.singular: Required value"},
		{"spec.preserveUnknownFields", "true",
			"spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
			"x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema "
			"instead"},
		{"spec.versions", "[]",
			"spec.versions: Invalid value: []: must have exactly one version marked as "
			"storage version"},
		{"spec.conversion", "{\"strategy\":\"Webhook\"}",
			"spec.conversion.webhookClientConfig: Required value: required when strategy is "
			"set to Webhook"},
		{"status.storedVersions", "[\"v0\",\"v1\"]",
			"status.storedVersions[0]: Invalid value: \"v0\": missing from spec.versions"},
		{"metadata.name", "\"bar.example.com\"",
			"metadata.name: Invalid value: \"bar.example.com\": must be "
			"spec.names.plural+\".\"+spec.group"},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct doc *d = crd_with("{\"type\":\"object\"}", "");
		struct str head, tail;
		struct doc *outer = d;

		str_rcut(str_c(rows[i].at), '.', &head, &tail);
		outer = doc_at(d, arena_cstr(a, head));
		doc_set(outer, tail, parse(rows[i].value));
		struct str got = faults(d, NULL);
		if (str_find(got, str_c(rows[i].fault)) < 0)
			TEST_FAIL_("%s: " STR_FMT, rows[i].at, STR_ARG(got));
	}
	arena_free(a);
}

TEST(what_is_served_keeps_its_scope_and_kind)
{
	a = arena_new(0);
	struct doc *old = crd_with("{\"type\":\"object\"}", ""), *d = doc_copy(a, old);
	doc_set(doc_at(d, "spec"), STR("scope"), parse("\"Cluster\""));
	CHECK_STR(faults(d, old), "");
	doc_set(doc_at(old, "status"), STR("conditions"),
		parse("[{\"type\":\"Established\",\"status\":\"True\"}]"));
	CHECK_STR(faults(d, old), "spec.scope: Invalid value: \"Cluster\": field is immutable");
	arena_free(a);
}

/* ---- objects ---- */

TEST(unknown_members_are_pruned)
{
	static const struct {
		const char *schema, *in, *out, *told;
	} rows[] = {
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{"
		 "\"type\":\"string\"}}}}}",
			"{\"kind\":\"K\",\"metadata\":{\"x\":1},\"z\":1,\"a\":{\"b\":\"c\",\"d\":1}}",
			"{\"kind\":\"K\",\"metadata\":{\"x\":1},\"a\":{\"b\":\"c\"}}",
			"unknown field \"a.d\", unknown field \"z\""},
		{"{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true,\"properties\":{\"a\":"
		 "{\"type\":\"object\"}}}",
			"{\"q\":{\"r\":1},\"a\":{\"b\":1}}", "{\"q\":{\"r\":1},\"a\":{}}",
			"unknown field \"a.b\""},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"additionalProperties\":"
		 "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\"}}}}}}",
			"{\"a\":{\"x\":{\"b\":\"1\",\"c\":2}}}", "{\"a\":{\"x\":{\"b\":\"1\"}}}",
			"unknown field \"a.x.c\""},
		{"{\"type\":\"object\",\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"type\":"
		 "\"object\",\"properties\":{\"b\":{\"type\":\"string\"}}}}}}",
			"{\"l\":[{\"b\":\"1\"},{\"c\":2}]}", "{\"l\":[{\"b\":\"1\"},{}]}",
			"unknown field \"l[1].c\""},
		{"{\"type\":\"object\",\"properties\":{\"e\":{\"type\":\"object\","
		 "\"x-kubernetes-embedded-resource\":true,\"properties\":{\"spec\":{\"type\":\"object\"}}}}}",
			"{\"e\":{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\"},\"x\":1}}",
			"{\"e\":{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\"}}}",
			"unknown field \"e.x\""},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct doc *d = parse(rows[i].in);
		struct schema_strict strict = {0};
		struct str told = STR("");

		CHECK_INT(structural_prune(a, schema(rows[i].schema), d, true, &strict), 0);
		CHECK_STR(written(d), rows[i].out);
		told = schema_strict_join(a, &strict);
		CHECK(str_ends(told, str_c(rows[i].told)));
	}
	arena_free(a);
}

TEST(metadata_of_embedded_resources_is_pruned)
{
	static const uint16_t first[] = {0};
	struct schema_type t = {.name = "Foo",
		.group = "example.com",
		.version = "v1",
		.description = "",
		.fields = schema_field_find(
			schema_type_find(schema_builtin(), STR(""), STR("v1"), STR("ConfigMap")),
			STR("metadata")),
		.by_name = first,
		.n_fields = 1,
		.preserve_unknown = true,
		.root = true};
	struct schema_strict strict = {0};
	struct doc *d = NULL;

	a = arena_new(0);
	t.structural = schema(
		"{\"type\":\"object\",\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"type\":"
		"\"object\",\"x-kubernetes-embedded-resource\":true,"
		"\"x-kubernetes-preserve-unknown-fields\":true}}}}");
	d = parse(
		"{\"l\":[{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\",\"odd\":1,"
		"\"labels\":{\"a\":\"b\"}},\"odd\":1},{\"metadata\":{\"name\":7}}]}");
	CHECK_INT(schema_conform(a, &t, d, &strict, NULL), 0);
	CHECK_STR(written(d),
		"{\"l\":[{\"kind\":\"K\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\",\"labels\":{"
		"\"a\":\"b\"}},\"odd\":1},{\"metadata\":{\"name\":7}}]}");
	CHECK_STR(schema_strict_join(a, &strict),
		"strict decoding error: unknown field \"l[0].metadata.odd\"");
	arena_free(a);
}

TEST(defaults_are_filled_in)
{
	static const char text[] =
		"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"default\":\"x\"},\"n\":{"
		"\"type\":\"string\",\"nullable\":true,\"default\":\"y\"},\"p\":{\"type\":\"string\"},\"l\":{"
		"\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"integer\","
		"\"default\":0}}}}}}";
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"{}", "{\"a\":\"x\",\"n\":\"y\"}"},
		{"{\"a\":null,\"n\":null,\"p\":null}", "{\"a\":\"x\",\"n\":null}"},
		{"{\"a\":\"1\",\"n\":\"2\",\"l\":[{},{\"k\":5}]}",
			"{\"a\":\"1\",\"n\":\"2\",\"l\":[{\"k\":0},{\"k\":5}]}"},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct doc *d = parse(rows[i].in);

		structural_drop_nulls(schema(text), d);
		CHECK_INT(structural_default(a, schema(text), d), 0);
		CHECK_STR(written(d), rows[i].out);
	}
	arena_free(a);
}

TEST(values_are_refused_with_upstreams_words)
{
	static const struct {
		const char *schema, *value, *fault;
	} rows[] = {
		{"{\"type\":\"string\"}", "5",
			"spec.v: Invalid value: \"integer\": spec.v in body must be of type string: "
			"\"integer\""},
		{"{\"type\":\"integer\"}", "5.5",
			"spec.v: Invalid value: \"number\": spec.v in body must be of type integer: "
			"\"number\""},
		{"{\"type\":\"integer\"}", "5.0", ""},
		{"{\"type\":\"number\"}", "5", ""},
		{"{\"type\":\"object\"}", "null",
			"spec.v: Invalid value: \"null\": spec.v in body must be of type object: "
			"\"null\""},
		{"{\"type\":\"object\",\"nullable\":true}", "null", ""},
		{"{\"x-kubernetes-int-or-string\":true}", "true",
			"spec.v: Invalid value: \"boolean\": spec.v in body must be of type "
			"integer,string: \"boolean\""},
		{"{\"type\":\"integer\",\"minimum\":1}", "0",
			"spec.v: Invalid value: 0: spec.v in body should be greater than or equal to "
			"1"},
		{"{\"type\":\"integer\",\"maximum\":3,\"exclusiveMaximum\":true}", "3",
			"spec.v: Invalid value: 3: spec.v in body should be less than 3"},
		{"{\"type\":\"number\",\"multipleOf\":0.1}", "0.3", ""},
		{"{\"type\":\"integer\",\"multipleOf\":5}", "7",
			"spec.v: Invalid value: 7: spec.v in body should be a multiple of 5"},
		{"{\"type\":\"string\",\"maxLength\":2}", "\"abc\"",
			"spec.v: Too long: may not be more than 2 bytes"},
		{"{\"type\":\"string\",\"maxLength\":2}", "\"\xc3\xa9\xc3\xa9\"", ""},
		{"{\"type\":\"string\",\"minLength\":2}", "\"a\"",
			"spec.v: Invalid value: \"a\": spec.v in body should be at least 2 chars long"},
		{"{\"type\":\"string\",\"pattern\":\"^a+$\"}", "\"b\"",
			"spec.v: Invalid value: \"b\": spec.v in body should match '^a+$'"},
		{"{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}", "\"z\"",
			"spec.v: Unsupported value: \"z\": supported values: \"x\", \"y\""},
		{"{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":1}",
			"[\"a\",\"b\"]", "spec.v: Too many: 2: must have at most 1 item"},
		{"{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1}", "[]",
			"spec.v: Invalid value: 0: spec.v in body should have at least 1 items"},
		{"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[\"a\",1]",
			"spec.v[1]: Invalid value: \"integer\": spec.v[1] in body must be of type "
			"string: \"integer\""},
		{"{\"type\":\"object\",\"required\":[\"a\"]}", "{}", "spec.v.a: Required value"},
		{"{\"type\":\"object\",\"maxProperties\":1}", "{\"a\":1,\"b\":2}",
			"spec.v: Too many: 2: must have at most 1 item"},
		{"{\"type\":\"string\",\"format\":\"date-time\"}", "\"2026-01-02\"",
			"spec.v: Invalid value: \"2026-01-02\": spec.v in body must be of type "
			"date-time: \"2026-01-02\""},
		{"{\"type\":\"string\",\"format\":\"date-time\"}", "\"2026-01-02T03:04:05Z\"", ""},
		{"{\"type\":\"string\",\"format\":\"nobody-knows\"}", "\"x\"", ""},
		{"{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
			"{}",
			"[<nil>: Invalid value: \"\": \"spec.v\" must validate one and only one schema "
			"(oneOf). Found none valid, spec.v.a: Required value]"},
		{"{\"type\":\"object\",\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
			"{\"a\":1,\"b\":1}",
			"<nil>: Invalid value: \"\": \"spec.v\" must validate one and only one schema "
			"(oneOf). Found 2 valid alternatives"},
		{"{\"type\":\"object\",\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
			"{\"b\":1}", ""},
		{"{\"type\":\"string\",\"not\":{\"enum\":[\"x\"]}}", "\"x\"",
			"<nil>: Invalid value: \"\": \"spec.v\" must not validate the schema (not)"},
		{"{\"type\":\"string\",\"allOf\":[{\"minLength\":3},{\"maxLength\":9}]}", "\"x\"",
			"[spec.v: Invalid value: \"x\": spec.v in body should be at least 3 chars "
			"long, <nil>: Invalid value: \"\": \"spec.v\" must validate all the schemas "
			"(allOf)]"},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str whole = arena_fmt(a,
			"{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":"
			"{\"v\":%s}}}}",
			rows[i].schema);
		const struct doc *d = parse(
			arena_cstr(a, arena_fmt(a, "{\"spec\":{\"v\":%s}}", rows[i].value)));
		struct schema_errors errs = {.a = a}, same = {.a = a};
		const struct structural *n = schema(arena_cstr(a, whole));

		structural_validate(n, d, NULL, STR(""), &errs);
		if (!str_eq_c(schema_errors_message(&errs), rows[i].fault))
			TEST_FAIL_("%s of %s\n     is  " STR_FMT "\n     not %s", rows[i].value,
				rows[i].schema, STR_ARG(schema_errors_message(&errs)),
				rows[i].fault);
		structural_validate(n, d, d, STR(""), &same);
		CHECK_INT(same.n, 0); /* what did not change is not refused */
	}
	arena_free(a);
}

TEST(sets_and_maps_hold_each_once)
{
	static const char text[] =
		"{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"array\",\"x-kubernetes-list-type\":"
		"\"set\",\"items\":{\"type\":\"string\"}},\"m\":{\"type\":\"array\",\"x-kubernetes-list-type\":"
		"\"map\",\"x-kubernetes-list-map-keys\":[\"k\"],\"items\":{\"type\":\"object\"}}}}";
	struct schema_errors errs = {0};

	a = arena_new(0);
	errs.a = a;
	structural_validate_lists(schema(text),
		parse("{\"s\":[\"a\",\"b\",\"a\",\"a\"],\"m\":[{\"k\":1,\"v\":1},{\"k\":2},{\"k\":1}]}"),
		&errs);
	CHECK_STR(schema_errors_message(&errs),
		"[s[2]: Duplicate value: \"a\", m[2]: Duplicate value: {\"k\":1}]");
	arena_free(a);
}

TEST(formats_hold_or_not)
{
	static const struct {
		const char *format, *good, *bad;
	} rows[] = {
		{"uuid", "01234567-89ab-CDEF-0123-456789abcdef", "0123"},
		{"ipv4", "10.0.0.1", "::1"},
		{"ipv6", "::1", "10.0.0.1"},
		{"cidr", "10.0.0.0/8", "10.0.0.0"},
		{"mac", "00:11:22:33:44:55", "00:11"},
		{"date", "2026-02-28", "2026-02-30"},
		{"datetime", "2026-02-28t23:59:59.5+01:00", "2026-02-28T24:00:00Z"},
		{"duration", "1h30m", "x"},
		{"byte", "YWJj", "Y!"},
		{"email", "Ann <ann@example.com>", "ann"},
		{"uri", "https://example.com/x", "nope"},
		{"hostname", "a-b.example.com", "a b"},
		{"isbn10", "0321751043", "0321751044"},
		{"isbn13", "978-0321751041", "978-0321751042"},
		{"ssn", "123-45-6789", "1"},
		{"hexcolor", "#FFF", "#FG"},
		{"bsonobjectid", "507f1f77bcf86cd799439011", "5"},
		{"k8s-short-name", "web-1", "Web"},
		{"k8s-long-name", "a.b", "a..b"},
	};

	a = arena_new(0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct structural_format *f = structural_format_find(
			STRUCTURAL_STRING, str_c(rows[i].format));

		CHECK(f != NULL);
		if (!structural_format_holds(a, f, str_c(rows[i].good)) ||
			structural_format_holds(a, f, str_c(rows[i].bad)))
			TEST_FAIL_("%s", rows[i].format);
	}
	arena_free(a);
}
