/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules_test: rules of custom resources: which are refused with a definition and why, and what objects break. */
#include "tests/unit/test.h"

#include "orchestrator/cel/rules.c"

#include "base/disk.h"
#include "orchestrator/schema/schema_object.h"

/* of checks_crd_int.h, whose macros are not for here */
void crd_check_schema(
	const struct doc *schema, bool with_status, struct str path, struct schema_errors *errs);

static struct doc *
json(struct arena *a, const char *text)
{
	struct doc *d = NULL;
	if (text)
		CHECK_INT(doc_parse_json(a, str_c(text), NULL, &d, NULL), 0);
	return d;
}

/* "field: message" of each cause, a line each. */
static struct str
lines(struct schema_errors *errs)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, errs->a);
	for (size_t i = 0; i < errs->n; i++)
		buf_fmt(&b, "%s%.*s: %.*s", i ? "\n" : "", STR_ARG(errs->list[i].field),
			STR_ARG(errs->list[i].message));
	return buf_view(&b);
}

#define ROOT(rules, props)                                                                         \
	"{\"type\":\"object\",\"x-kubernetes-validations\":[" rules "],\"properties\":{" props "}}"
#define SPEC(rules, props) "{\"type\":\"object\",\"properties\":{\"spec\":" ROOT(rules, props) "}}"
#define RULE(text) "{\"rule\":\"" text "\"}"
#define INTS "\"x\":{\"type\":\"integer\"},\"y\":{\"type\":\"integer\"}"
#define SHOWN(text)                                                                                \
	"{\"Rule\":\"" text                                                                        \
	"\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\","       \
	"\"OptionalOldSelf\":null}"

TEST(definitions_are_refused_for_their_rules)
{
	static const struct {
		const char *schema, *why;
	} cases[] = {
		{SPEC(RULE("self.x + self.y > 0"), INTS), ""},
		{SPEC(RULE("self.x + self.z > 0"), INTS),
			"s.properties[spec].x-kubernetes-validations[0].rule: Invalid value: " SHOWN(
				"self.x + self.z \\u003e 0") ": compilation failed: ERROR: <input>:1:14: undefined field 'z'\n"
							     " | self.x + self.z > 0\n | .............^"},
		{SPEC(RULE("self = 42"), INTS),
			"s.properties[spec].x-kubernetes-validations[0].rule: Invalid value: " SHOWN(
				"self = 42") ": compilation failed: ERROR: <input>:1:6: Syntax error: token recognition error "
					     "at: '= '\n | self = 42\n | .....^\nERROR: <input>:1:8: Syntax error: extraneous "
					     "input '42' expecting <EOF>\n | self = 42\n | .......^"},
		{SPEC(RULE("self.x"), INTS),
			"s.properties[spec].x-kubernetes-validations[0].rule: Invalid value: " SHOWN(
				"self.x") ": cel expression must evaluate to a bool"},
		{SPEC(RULE("self.l.all(x, self.l.all(y, x == y))"),
			 "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"),
			"s.properties[spec].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget "
			"by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and "
			"maxLength where arrays, maps, and strings are declared)\n"
			"s.properties[spec].x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule cost "
			"total exceeding cost limit for entire OpenAPIv3 schema\n"
			"s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds "
			"budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and "
			"maxLength where arrays, maps, and strings are declared)"},
		{SPEC(RULE("self.l.all(x, self.l.all(y, x == y))"),
			 "\"l\":{\"type\":\"array\",\"maxItems\":10,\"items\":{\"type\":\"string\",\"maxLength\":10}}"),
			""},
		{SPEC(RULE("self.l.all(x, x > 0 && has(oldSelf.l))"),
			 "\"l\":{\"type\":\"array\",\"maxItems\":10,\"items\":{\"type\":\"integer\"}}"),
			""},
		{SPEC("",
			 "\"l\":{\"type\":\"array\",\"maxItems\":10,\"items\":{\"type\":\"integer\",\"x-kubernetes-"
			 "validations\":[" RULE("self == oldSelf") "]}}"),
			"s.properties[spec].properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self == "
			"oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within "
			"s.properties[spec].properties[l]"},
		{SPEC("{\"rule\":\"self.x > 0\",\"messageExpression\":\"self.x\"}", INTS),
			"s.properties[spec].x-kubernetes-validations[0].messageExpression: Invalid value: "
			"{\"Rule\":\"self.x \\u003e 0\",\"Message\":\"\",\"MessageExpression\":\"self.x\",\"Reason\":null,"
			"\"FieldPath\":\"\",\"OptionalOldSelf\":null}: messageExpression must evaluate to a string"},
		{SPEC("{\"rule\":\"self.x > 0\",\"optionalOldSelf\":true}", INTS),
			"s.properties[spec].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be "
			"set if oldSelf is not used in rule"},
		{SPEC("{\"rule\":\"self.x > 0\",\"fieldPath\":\".z\"}", INTS),
			"s.properties[spec].x-kubernetes-validations[0].fieldPath: Invalid value: \".z\": must be a valid "
			"path"},
		{ROOT(RULE("self.metadata.name != 'x' && self.kind == 'Foo'"), ""), ""},
		{ROOT(RULE("self.metadata.labels != {}"), ""),
			"s.x-kubernetes-validations[0].rule: Invalid value: " SHOWN(
				"self.metadata.labels != {}") ": compilation failed: ERROR: <input>:1:14: undefined field 'labels'\n"
							      " | self.metadata.labels != {}\n | .............^"},
	};
	cel_rules_install();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new(0);
		struct schema_errors errs = {.a = a};
		crd_check_schema(json(a, cases[i].schema), false, STR("s"), &errs);
		CHECK_STR(lines(&errs), cases[i].why);
		arena_free(a);
	}
}

TEST(objects_are_told_which_rule_they_break)
{
	static const struct {
		const char *schema, *obj, *old, *why;
	} cases[] = {
		{SPEC(RULE("self.x + self.y > 0"), INTS), "{\"spec\":{\"x\":1,\"y\":0}}", NULL, ""},
		{SPEC(RULE("self.x + self.y > 0"), INTS), "{\"spec\":{\"x\":-1,\"y\":0}}", NULL,
			"spec: Invalid value: failed rule: self.x + self.y > 0"},
		{SPEC(RULE("self.x + self.y > 0"), INTS), "{\"spec\":{\"x\":1}}", NULL,
			"spec: Invalid value: \"object\": no such key: y evaluating rule: self.x + self.y > 0"},
		{SPEC("{\"rule\":\"self.x > 0\",\"message\":\"x is small\"}", INTS),
			"{\"spec\":{\"x\":0}}", NULL, "spec: Invalid value: x is small"},
		{SPEC("{\"rule\":\"self.x > 0\",\"messageExpression\":\"'x is ' + string(self.x)\"}",
			 INTS),
			"{\"spec\":{\"x\":0}}", NULL, "spec: Invalid value: x is 0"},
		{SPEC("{\"rule\":\"self.x > 0\",\"messageExpression\":\"string(1 / self.x)\",\"message\":\"plain\"}",
			 INTS),
			"{\"spec\":{\"x\":0}}", NULL, "spec: Invalid value: plain"},
		{SPEC("{\"rule\":\"self.x > 0\",\"reason\":\"FieldValueForbidden\",\"fieldPath\":\".x\"}",
			 INTS),
			"{\"spec\":{\"x\":0}}", NULL, "spec.x: Forbidden: failed rule: self.x > 0"},
		{SPEC("",
			 "\"x\":{\"type\":\"integer\",\"x-kubernetes-validations\":[" RULE(
				 "self > 3") "]}"),
			"{\"spec\":{\"x\":2}}", NULL,
			"spec.x: Invalid value: 2: failed rule: self > 3"},
		{SPEC("",
			 "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"x-kubernetes-validations\":[" RULE(
				 "self.startsWith('a')") "]}}"),
			"{\"spec\":{\"l\":[\"ab\",\"b\"]}}", NULL,
			"spec.l[1]: Invalid value: \"b\": failed rule: self.startsWith('a')"},
		{SPEC(RULE("self.x == oldSelf.x"), INTS), "{\"spec\":{\"x\":1}}", NULL, ""},
		{SPEC(RULE("self.x == oldSelf.x"), INTS), "{\"spec\":{\"x\":1}}",
			"{\"spec\":{\"x\":2}}",
			"spec: Invalid value: failed rule: self.x == oldSelf.x"},
		{SPEC("{\"rule\":\"oldSelf.hasValue() ? self.x >= oldSelf.value().x : self.x == 0\",\"optionalOldSelf\":true}",
			 INTS),
			"{\"spec\":{\"x\":1}}", NULL,
			"spec: Invalid value: failed rule: oldSelf.hasValue() ? self.x >= oldSelf.value().x : self.x == 0"},
		/* what was wrong before and did not change is let pass */
		{SPEC(RULE("self.x > 0"), INTS), "{\"spec\":{\"x\":0},\"z\":1}",
			"{\"spec\":{\"x\":0}}", ""},
		{SPEC(RULE("self.x > 0"), INTS), "{\"spec\":{\"x\":0,\"y\":1}}",
			"{\"spec\":{\"x\":0}}", "spec: Invalid value: failed rule: self.x > 0"},
		/* items are matched by their keys */
		{SPEC("",
			 "\"l\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":[\"k\"],"
			 "\"items\":{\"type\":\"object\",\"required\":[\"k\"],\"properties\":{\"k\":{\"type\":\"string\"},"
			 "\"v\":{\"type\":\"integer\",\"x-kubernetes-validations\":[" RULE(
				 "self >= oldSelf") "]}}}}"),
			"{\"spec\":{\"l\":[{\"k\":\"b\",\"v\":1},{\"k\":\"a\",\"v\":1}]}}",
			"{\"spec\":{\"l\":[{\"k\":\"a\",\"v\":2},{\"k\":\"b\",\"v\":1}]}}",
			"spec.l[1].v: Invalid value: 1: failed rule: self >= oldSelf"},
		{SPEC(RULE("self.p == '50%' || self.p < 5"),
			 "\"p\":{\"x-kubernetes-int-or-string\":true}"),
			"{\"spec\":{\"p\":\"x\"}}", NULL,
			"spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
			"function or macro signature for rule: self.p == '50%' || self.p < 5"},
		{SPEC(RULE("self.t > timestamp('2020-01-01T00:00:00Z') && self.d < duration('1h')"),
			 "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"d\":{\"type\":\"string\",\"format\":\"duration\"}"),
			"{\"spec\":{\"t\":\"2021-01-01T00:00:00Z\",\"d\":\"30m\"}}", NULL, ""},
		{SPEC(RULE("self.s == ['a', 'b'] && size(self.s + ['a', 'c']) == 3"),
			 "\"s\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\",\"items\":{\"type\":\"string\"}}"),
			"{\"spec\":{\"s\":[\"b\",\"a\"]}}", NULL, ""},
		{ROOT(RULE("self.metadata.name.startsWith('a') && self.__namespace__ == 1 && self.a__dash__b == 2"),
			 "\"namespace\":{\"type\":\"integer\"},\"a-b\":{\"type\":\"integer\"}"),
			"{\"metadata\":{\"name\":\"abc\"},\"namespace\":1,\"a-b\":2}", NULL, ""},
	};
	cel_rules_install();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new(0);
		struct schema_errors errs = {.a = a};
		const struct structural *n = NULL;
		CHECK_INT(structural_compile(a, json(a, cases[i].schema), &n), 0);
		CHECK(n->rules != NULL);
		structural_rules->validate(
			n->rules, json(a, cases[i].obj), json(a, cases[i].old), &errs);
		CHECK_STR(lines(&errs), cases[i].why);
		arena_free(a);
	}
}

TEST(a_rule_that_costs_too_much_ends_it)
{
	struct arena *a = arena_new(0);
	struct schema_errors errs = {.a = a};
	const struct structural *n = NULL;
	struct doc *obj = json(a, "{\"spec\":{\"l\":[]}}"), *list = doc_at(obj, "spec.l");
	for (int64_t i = 0; i < 800; i++)
		doc_append(list, doc_int(a, i));
	cel_rules_install();
	CHECK_INT(
		structural_compile(a,
			json(a,
				SPEC(RULE("self.l.all(x, self.l.all(y, x + y >= 0))") "," RULE(
					     "false"),
					"\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}")),
			&n),
		0);
	structural_rules->validate(n->rules, obj, NULL, &errs);
	CHECK_STR(lines(&errs),
		"spec: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation "
		"rules will be run due to call cost exceeds limit for rule: self.l.all(x, self.l.all(y, x + y >= 0))");
	arena_free(a);
}

/* costs.tsv: a schema, then rules and what upstream says each costs at worst. The numbers decide what is accepted. */
TEST(estimates_are_upstreams_numbers)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	size_t n = 0;
	CHECK_INT(disk_read_file("tests/unit/orchestrator/cel/costs.tsv", 1u << 20, &file), 0);
	struct str rest = buf_view(&file), line = STR_NONE;
	struct arena *a = arena_new(0);
	const struct structural *node = NULL;
	struct doc *schema = NULL;
	CHECK(str_next(&rest, '\n', &line));
	CHECK_INT(doc_parse_json(a, line, NULL, &schema, NULL), 0);
	CHECK_INT(structural_compile(a, schema, &node), 0);
	const struct cel_type *self = cel_type_structural(a, node, true);
	const struct cel_variable vars[] = {{STR("self"), self}, {STR("oldSelf"), self}};
	const struct cel_env *env = cel_env_new(a, vars, 2);
	while (str_next(&rest, '\n', &line)) {
		const struct cel_program *p = NULL;
		struct str rule = line, cost = STR_NONE;
		if (!str_cut(line, '\t', &rule, &cost))
			continue;
		CHECK_INT(cel_compile(a, env, rule, NULL, &p, NULL), 0);
		CHECK_STR(arena_fmt(a, "%.*s\t%llu", STR_ARG(rule),
				  (unsigned long long)cel_cost_max(p)),
			line);
		n++;
	}
	CHECK(n > 90);
	arena_free(a);
}
