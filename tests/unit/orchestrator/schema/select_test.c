/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * select_test: selectors as text, as LabelSelector and as fields; what they match; attributes. */
#include "tests/unit/test.h"

#include "orchestrator/schema/schema.h"
#include "storage/store/store.h"

static struct arena *a;
static struct err e;

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
	err_clear(&e);
}

static struct doc *
parse(const char *json)
{
	struct doc *d = NULL;

	return doc_parse_json(a, str_c(json), NULL, &d, &e) == 0 ? d : NULL;
}

static struct str
again(const char *text)
{
	struct selector s;

	fresh();
	return selector_parse(a, str_c(text), &s, &e) == 0 ? selector_write(a, &s) : str_c(e.msg);
}

TEST(selectors_are_parsed_and_written)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"a=b", "a=b"},
		{"z==1, a!=b ,c", "a!=b,c,z=1"},
		{"a in (c,b),!d,x notin (y)", "a in (c,b),!d,x notin (y)"},
		{"a in (,b)", "a in (,b)"},
		{"a=", "a="},
		{"kubernetes.io/x>5,y<3", "kubernetes.io/x>5,y<3"},
		{"in in (in)", "in in (in)"},
		{"a,", "found '', expected: identifier after ','"},
		{"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
		{"a in b", "unable to parse requirement: found 'b' expected: '('"},
		{"a in (b",
			"unable to parse requirement: found '', expected: ',', ')' or identifier"},
		{"=a", "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"},
		{"a>b",
			"unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the "
			"value must be an integer"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(again(rows[i][0]), rows[i][1]);
}

TEST(selectors_match_labels)
{
	static const struct str_pair labels[] = {
		{STR_INIT("a"), STR_INIT("1")}, {STR_INIT("e"), {NULL, 0}}};
	static const struct {
		const char *s;
		bool want;
	} rows[] = {{"", true}, {"a=1", true}, {"a=2", false}, {"a!=2", true}, {"b!=2", true},
		{"a in (0,1)", true}, {"a notin (1)", false}, {"b", false}, {"!b", true},
		{"e", true}, {"e=", true}, {"a>0", true}, {"a<1", false}, {"a=1,b", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct selector s;
		struct buf attrs;

		fresh();
		CHECK_INT(selector_parse(a, str_c(rows[i].s), &s, &e), 0);
		CHECK(selector_match_pairs(&s, labels, 2) == rows[i].want);
		CHECK(selector_match_doc(&s, parse("{\"a\":\"1\",\"e\":\"\"}")) == rows[i].want);
		buf_init_arena(&attrs, a);
		store_attr_put(&attrs, 'f', STR("b"), STR("x"));
		store_attr_put(&attrs, 'l', STR("a"), STR("1"));
		store_attr_put(&attrs, 'l', STR("e"), STR(""));
		CHECK(selector_match_attrs(&s, 'l', buf_view(&attrs)) == rows[i].want);
	}
}

TEST(label_selectors_of_objects)
{
	struct selector s;

	fresh();
	CHECK_INT(selector_from_doc(a, NULL, &s), 0);
	CHECK(!selector_match_doc(&s, NULL));
	CHECK_INT(selector_from_doc(a, parse("{}"), &s), 0);
	CHECK(selector_match_doc(&s, NULL));
	CHECK_INT(selector_from_doc(a,
			  parse("{\"matchLabels\":{\"b\":\"1\",\"a\":\"2\"},\"matchExpressions\":[{"
				"\"key\":\"c\",\"operator\":\"In\",\"values\":[\"y\",\"x\"]}]}"),
			  &s),
		0);
	CHECK_STR(selector_write(a, &s), "a=2,b=1,c in (x,y)");
	CHECK_INT(
		selector_from_doc(a,
			parse("{\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"Is\"}]}"), &s),
		-EINVAL);
	CHECK_INT(
		selector_from_doc(a,
			parse("{\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"In\"}]}"), &s),
		-EINVAL);
}

static const struct schema_kind *
kind(const char *group, const char *name)
{
	return schema_kind_find(schema_builtin(), str_c(group), STR("v1"), str_c(name));
}

static bool
field_match(const struct schema_kind *k, const char *selector, const char *obj)
{
	struct selector s;
	struct buf attrs;

	fresh();
	if (field_selector_parse(a, k, str_c(selector), &s, &e) != 0)
		return false;
	buf_init_arena(&attrs, a);
	schema_attrs(k, parse(obj), &attrs);
	return !attrs.failed && selector_match_attrs(&s, 'f', buf_view(&attrs));
}

TEST(field_selectors)
{
	const char *pod =
		"{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{\"nodeName\":\"x\"},"
		"\"status\":{\"phase\":\"Running\"}}";

	CHECK(field_match(kind("", "Pod"), "spec.nodeName=x,status.phase!=Failed", pod));
	CHECK(field_match(kind("", "Pod"), "spec.host=x", pod));
	CHECK(!field_match(kind("", "Pod"), "spec.nodeName=", pod));
	CHECK(field_match(kind("", "Pod"), "spec.hostNetwork=false", pod));
	CHECK(field_match(kind("", "Pod"), "metadata.name==p,metadata.namespace=n", pod));
	CHECK(field_match(kind("", "Pod"), "status.nominatedNodeName=", pod));
	CHECK(!field_match(kind("", "Pod"), "spec.foo=x", pod));
	CHECK_STR(e.msg, "field label not supported: spec.foo");
	CHECK(!field_match(kind("", "ConfigMap"), "data=x", pod));
	CHECK_STR(e.msg,
		"\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"");
	CHECK(!field_match(kind("", "Pod"), "spec.nodeName", pod));
	CHECK_STR(e.msg, "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'");
	CHECK(field_match(kind("", "Event"), "involvedObject.kind=Pod,source=kubelet",
		"{\"involvedObject\":{\"kind\":\"Pod\"},\"reportingComponent\":\"kubelet\"}"));
	CHECK(field_match(kind("events.k8s.io", "Event"),
		"regarding.kind=Pod,reportingController=kubelet",
		"{\"regarding\":{\"kind\":\"Pod\"},\"reportingController\":\"kubelet\"}"));
	CHECK(field_match(kind("", "Secret"), "type=a\\,b", "{\"type\":\"a,b\"}"));
	CHECK(field_match(kind("", "Node"), "spec.unschedulable=false", "{}"));
}

TEST(single_values_are_found_for_chained_watches)
{
	struct selector s;

	fresh();
	CHECK_INT(field_selector_parse(a, kind("", "Pod"), STR("spec.nodeName=x"), &s, &e), 0);
	CHECK_STR(selector_single(&s, STR("spec.nodeName")), "x");
	CHECK(!str_is_set(selector_single(&s, STR("metadata.name"))));
}
