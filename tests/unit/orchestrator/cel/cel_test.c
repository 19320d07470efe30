/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_test: expressions against what upstream's environment says of them (cases.tsv: expression, type or COMPILE, result
 * or error with \n for line ends, estimate and cost), and what the file cannot say: limits, lazy slots, messages,
 * authorisation, documents. */
#include "tests/unit/test.h"

#include "orchestrator/cel/compile.c"

#include "base/disk.h"

#define CASES "tests/unit/orchestrator/cel/cases.tsv"
#define N_VARS 7

struct bench {
	struct arena *a;
	struct cel_variable vars[N_VARS];
	struct cel_value slots[N_VARS];
	const struct cel_env *env;
};

static void
bench_init(struct bench *b)
{
	static const struct {
		const char *name;
		enum cel_kind kind;
		const char *json;
	} vars[N_VARS] = {
		{"self", CEL_DYN,
			"{\"a\":{\"b\":1,\"c\":\"x\"},\"list\":[1,2,3],\"s\":\"str\",\"n\":null,\"d\":1.5,\"m\":{\"k\":\"v\"}}"},
		{"s", CEL_STRING, "\"hello\""},
		{"i", CEL_INT, "7"},
		{"l", CEL_LIST, "[5,1,3]"},
		{"m", CEL_MAP, "{\"k\":\"v\",\"k2\":\"v2\"}"},
		{"b", CEL_BOOL, "true"},
		{"sl", CEL_LIST, "[\"b\",\"a\",\"c\"]"},
	};
	b->a = arena_new(0);
	for (size_t i = 0; i < N_VARS; i++) {
		struct doc *d = NULL;
		const struct cel_type *text = cel_type_basic(CEL_STRING);
		const struct cel_type *t = vars[i].kind == CEL_LIST
			? cel_type_list(b->a, i == 3 ? cel_type_basic(CEL_INT) : text, 0)
			: vars[i].kind == CEL_MAP ? cel_type_map(b->a, text, text, 0)
						  : cel_type_basic(vars[i].kind);
		b->vars[i] = (struct cel_variable){str_c(vars[i].name), t};
		CHECK_INT(doc_parse_json(b->a, str_c(vars[i].json), NULL, &d, NULL), 0);
		b->slots[i] = cel_of_doc(t, d);
	}
	b->env = cel_env_new(b->a, b->vars, N_VARS);
}

static void
put_lines(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n')
			buf_cstr(out, "\\n");
		else
			buf_char(out, s.p[i]);
}

/* The line of the file that an expression should be. */
static void
answer(struct bench *b, struct str source, struct buf *out)
{
	const struct cel_program *p = NULL;
	struct str text = STR("");
	struct err e = {0};
	int rc = cel_compile_text(b->a, b->env, source, NULL, &p, &text, &e);
	buf_str(out, source);
	if (rc < 0) {
		buf_fmt(out, "\tCOMPILE%d\t", rc == -EDOM);
		put_lines(out, text);
		buf_char(out, '\t');
		return;
	}
	struct cel_value slots[N_VARS], v;
	struct cel_world w = {.slots = slots};
	struct doc *d = NULL;
	uint64_t cost = 0;
	memcpy(slots, b->slots, sizeof(slots));
	rc = cel_eval_cost(b->a, p, &w, &v, &cost, &e);
	buf_char(out, '\t');
	buf_str(out, cel_type_name(b->a, cel_result_type(p)));
	buf_char(out, '\t');
	if (rc < 0) {
		put_lines(out, str_c(e.msg));
	} else if ((v.kind == CEL_DOUBLE && v.d - v.d != 0) || cel_to_doc(b->a, &v, &d, &e) < 0) {
		buf_cstr(out, "NODOC");
	} else {
		doc_sort(d);
		doc_write_json(out, d);
	}
	buf_fmt(out, "\t%llu..%llu %llu", (unsigned long long)p->cost_min,
		(unsigned long long)p->cost_max, (unsigned long long)cost);
}

TEST(every_case_is_as_upstream_answers)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	size_t n = 0;
	CHECK_INT(disk_read_file(CASES, 1u << 20, &file), 0);
	struct str rest = buf_view(&file), line = STR_NONE;
	while (str_next(&rest, '\n', &line)) {
		struct bench b;
		struct str source = line, tail = STR_NONE;
		struct buf out = BUF_INIT;
		if (line.n == 0)
			continue;
		bench_init(&b);
		str_cut(line, '\t', &source, &tail);
		buf_init_arena(&out, b.a);
		answer(&b, source, &out);
		CHECK_STR(buf_view(&out), line);
		arena_free(b.a);
		n++;
	}
	CHECK(n > 1000);
}

static int
run(struct bench *b, const char *source, struct cel_world *w, struct cel_value *v, struct err *e)
{
	const struct cel_program *p = NULL;
	int rc = cel_compile(b->a, b->env, str_c(source), NULL, &p, e);
	return rc < 0 ? rc : cel_eval(b->a, p, w, v, e);
}

TEST(error_in_the_second_line_points_there)
{
	struct bench b;
	const struct cel_program *p = NULL;
	struct str text = STR("");
	bench_init(&b);
	CHECK_INT(cel_compile_text(b.a, b.env, STR("i > 0 &&\n  x == 1"), NULL, &p, &text, NULL),
		-EINVAL);
	CHECK_STR(text,
		"ERROR: <input>:2:3: undeclared reference to 'x' (in container '')\n |   x == 1\n | ..^");
	arena_free(b.a);
}

TEST(wanted_type_is_asked_for)
{
	struct bench b;
	struct err e = {0};
	const struct cel_program *p = NULL;
	bench_init(&b);
	CHECK_INT(cel_compile(b.a, b.env, STR("i"), cel_type_basic(CEL_BOOL), &p, &e), -EINVAL);
	CHECK_STR(e.msg, "must evaluate to bool");
	CHECK_INT(cel_compile(b.a, b.env, STR("self"), cel_type_basic(CEL_BOOL), &p, &e), 0);
	CHECK(cel_uses(p, 0) && !cel_uses(p, 1));
	arena_free(b.a);
}

TEST(deep_nesting_is_refused_and_does_not_end_the_process)
{
	struct bench b;
	struct err e = {0};
	const struct cel_program *p = NULL;
	static char text[20000];
	bench_init(&b);
	memset(text, '(', 10000);
	CHECK_INT(cel_compile(b.a, b.env, str_from(text, 10000), NULL, &p, &e), -EINVAL);
	CHECK_STR(e.msg, "ERROR: <input>:-1:0: expression recursion limit exceeded: 250");
	struct buf s = BUF_INIT;
	buf_init_arena(&s, b.a);
	for (int i = 0; i < 200; i++)
		buf_cstr(&s, "[");
	buf_cstr(&s, "i");
	for (int i = 0; i < 200; i++)
		buf_cstr(&s, "]");
	struct cel_world w = {.slots = b.slots};
	struct cel_value v;
	CHECK_INT(cel_compile(b.a, b.env, buf_view(&s), NULL, &p, &e), 0);
	CHECK_INT(cel_eval(b.a, p, &w, &v, &e), 0);
	arena_free(b.a);
}

TEST(cost_limit_stops_what_would_run_for_long)
{
	struct bench b;
	struct err e = {0};
	struct cel_value v;
	uint64_t budget = 100;
	bench_init(&b);
	struct cel_world w = {.slots = b.slots};
	CHECK_INT(run(&b, "lists.range(9999).all(x, lists.range(9999).all(y, x + y >= 0))", &w, &v,
			  &e),
		-EDQUOT);
	CHECK_STR(e.msg, "operation cancelled: actual cost limit exceeded");
	w.budget = &budget;
	CHECK_INT(run(&b, "l.all(x, x > 0)", &w, &v, &e), 0);
	CHECK(budget < 100 && budget > 50);
	CHECK_INT(run(&b, "sl.all(x, sl.all(y, sl.all(z, x + y != z)))", &w, &v, &e), -EDQUOT);
	CHECK_STR(e.msg,
		"validation failed due to running out of cost budget, no further validation rules will be run");
	CHECK_INT((int)budget, 0);
	arena_free(b.a);
}

static int
make_slot(void *arg, size_t slot, struct cel_value *ret, struct err *e)
{
	size_t *made = arg;
	++*made;
	if (slot == 1)
		return err_set(e, -EINVAL, R_INVALID, "it has none");
	*ret = cel_of_int(41);
	return 0;
}

TEST(slots_are_made_when_they_are_read)
{
	struct bench b;
	struct err e = {0};
	struct cel_value v;
	size_t made = 0;
	bench_init(&b);
	struct cel_world w = {.slots = b.slots, .make = make_slot, .arg = &made};
	b.slots[1] = b.slots[2] = (struct cel_value){.kind = CEL_ERROR};
	CHECK_INT(run(&b, "true || i == 0", &w, &v, &e), 0);
	CHECK_INT((int)made, 0);
	CHECK_INT(run(&b, "i + 1", &w, &v, &e), 0);
	CHECK_INT((int)v.i, 42);
	CHECK_INT((int)made, 1);
	CHECK_INT(run(&b, "s", &w, &v, &e), -EINVAL);
	CHECK_STR(e.msg, "it has none");
	arena_free(b.a);
}

TEST(messages_are_made_of_declared_types)
{
	struct arena *a = arena_new(0);
	const struct cel_type *text = cel_type_basic(CEL_STRING);
	const struct cel_field fields[] = {
		{STR("op"), text}, {STR("path"), text}, {STR("value"), cel_type_basic(CEL_DYN)}};
	const struct cel_type *patch = cel_type_object(a, STR("JSONPatch"), fields, 3);
	const struct cel_env *env = cel_env_types(a, NULL, 0, &patch, 1);
	const struct cel_program *p = NULL;
	struct cel_world w = {0};
	struct cel_value v;
	struct err e = {0};
	struct doc *d = NULL;
	CHECK_INT(cel_compile(a, env, STR("[JSONPatch{op: 'add', path: '/a', value: {'x': 1}}]"),
			  NULL, &p, &e),
		0);
	CHECK_STR(cel_type_name(a, cel_result_type(p)), "list(JSONPatch)");
	CHECK_INT(cel_eval(a, p, &w, &v, &e), 0);
	CHECK_INT(cel_to_doc(a, &v, &d, &e), 0);
	struct buf out = BUF_INIT;
	buf_init_arena(&out, a);
	doc_write_json(&out, d);
	CHECK_STR(buf_view(&out), "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{\"x\":1}}]");
	CHECK_INT(cel_compile(a, env, STR("JSONPatch{op: 1}"), NULL, &p, &e), -EINVAL);
	CHECK_STR(e.msg,
		"ERROR: <input>:1:13: expected type of field 'op' is 'string' but provided type is 'int'\n"
		" | JSONPatch{op: 1}\n | ............^");
	CHECK_INT(cel_compile(a, env, STR("JSONPatch{no: 1}"), NULL, &p, &e), -EINVAL);
	CHECK_STR(e.msg,
		"ERROR: <input>:1:13: undefined field 'no'\n | JSONPatch{no: 1}\n | ............^");
	arena_free(a);
}

static int
authorize(void *arg, const struct cel_authz *q, bool *allowed, struct str *reason, struct err *e)
{
	(void)arg;
	if (str_eq_c(q->verb, "fail"))
		return err_set(e, -EINVAL, R_INVALID, "cannot say");
	*allowed = (str_eq_c(q->group, "apps") && str_eq_c(q->resource, "deployments") &&
			   str_eq_c(q->namespace, "ns") && str_eq_c(q->name, "web") &&
			   str_eq_c(q->service_account, "sa")) ||
		str_eq_c(q->path, "/healthz");
	*reason = STR("because");
	return 0;
}

TEST(authorizer_asks_what_was_put_together)
{
	static const struct {
		const char *source;
		bool yes;
	} cases[] = {
		{"authorizer.serviceAccount('default', 'sa').group('apps').resource('deployments').namespace('ns')"
		 ".name('web').check('get').allowed()",
			true},
		{"authorizer.group('apps').resource('deployments').check('get').allowed()", false},
		{"authorizer.path('/healthz').check('get').allowed()", true},
		{"authorizer.path('/x').check('get').reason() == 'because'", true},
		{"authorizer.path('/x').check('fail').errored()", true},
		{"authorizer.path('/x').check('fail').error() == 'cannot say'", true},
		{"authorizer.path('/x').check('fail').allowed()", false},
	};
	struct arena *a = arena_new(0);
	const struct cel_variable var = {STR("authorizer"), cel_type_authorizer()};
	const struct cel_env *env = cel_env_new(a, &var, 1);
	struct cel_value slot = cel_of_authorizer(), v;
	struct cel_world w = {.slots = &slot, .authorize = authorize};
	struct err e = {0};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cel_program *p = NULL;
		CHECK_INT(cel_compile(a, env, str_c(cases[i].source), NULL, &p, &e), 0);
		CHECK_INT(cel_eval(a, p, &w, &v, &e), 0);
		CHECK(v.kind == CEL_BOOL && v.b == cases[i].yes);
		CHECK(cel_cost_max(p) >= 350000);
	}
	arena_free(a);
}
