/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fold: what can be known before there are values: lists and maps of constants, conversions of constants, and faults of
 * literals that are told when a rule is written. Folded nodes cost nothing when they run, as upstream has it.
 * Source: cel-go interpreter/decorators.go, cel/validator.go. */
#include "base/regex.h"
#include "orchestrator/cel/cel_int.h"

static bool
is_const(const struct cel_node *n)
{
	return n->kind == NODE_CONST;
}

static bool
all_const(const struct cel_node *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (!is_const(n->args[i]))
			return false;
	return true;
}

static bool
is_conversion(struct str name)
{
	static const char *const names[] = {"bool", "bytes", "double", "duration", "dyn", "int",
		"string", "timestamp", "type", "uint"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq_c(name, names[i]))
			return true;
	return false;
}

/* The value of a node without variables. */
static int
to_const(struct cel_compiler *c, struct cel_node *n, struct err *e)
{
	struct cel_world w = {.slots = NULL};
	struct cel_eval ev = {.a = c->a, .w = &w, .limit = UINT64_MAX, .err = e};
	struct cel_value v = cel_run(&ev, n);
	if (ev.stop)
		return ev.stop;
	if (cel_is_fault(&v))
		return err_set(e, -EDOM, R_INVALID, STR_FMT, STR_ARG(cel_fault_text(&v)));
	n->kind = NODE_CONST;
	n->value = v;
	n->n = 0;
	return 0;
}

/* `x in [constants]`: as a set of upstream's, which is not counted. */
static void
note_set(struct cel_node *n)
{
	/* of an empty list it is not even evaluated what is looked for */
	const struct cel_node *list = n->args[1];
	if (n->n_fns != 1 || !str_eq_c(str_c(n->fns[0]->row->id), "in_list") || !is_const(list))
		return;
	const struct cel_list *l = list->value.own;
	if (l->n == 0) {
		n->kind = NODE_CONST;
		n->value = cel_of_bool(false);
		n->n = 0;
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		enum cel_kind k = l->items[i].kind;
		if (k != CEL_BOOL && k != CEL_INT && k != CEL_UINT && k != CEL_DOUBLE &&
			k != CEL_STRING)
			return;
	}
	n->folded = true;
}

static int
compile_pattern(
	struct cel_compiler *c, struct cel_node *n, const struct cel_node *pattern, struct err *e)
{
	const struct regex *re = NULL;
	if (!is_const(pattern) || pattern->value.kind != CEL_STRING)
		return 0;
	struct err why = {0};
	int rc = regex_compile(c->a, pattern->value.s, &re, &why);
	if (rc < 0)
		return err_set(e, rc == -EINVAL ? -EDOM : rc, R_INVALID, "%s", why.msg);
	n->regex = re;
	return 0;
}

static int
fold(struct cel_compiler *c, struct cel_node *n, unsigned depth, struct err *e)
{
	if (depth > CEL_MAX_WALK)
		return -E2BIG;
	for (size_t i = 0; i < n->n; i++) {
		int rc = fold(c, n->args[i], depth + 1, e);
		if (rc < 0)
			return rc;
	}
	if ((n->kind == NODE_LIST || n->kind == NODE_MAP) && all_const(n))
		return to_const(c, n, e);
	if (n->kind != NODE_CALL)
		return 0;
	if (n->n == 1 && !n->member && is_conversion(n->name) && is_const(n->args[0]))
		return to_const(c, n, e);
	if (str_eq_c(n->name, "@in"))
		note_set(n);
	if (str_eq_c(n->name, "matches") || str_eq_c(n->name, "find") ||
		str_eq_c(n->name, "findAll"))
		return n->n > 1 ? compile_pattern(c, n, n->args[1], e) : 0;
	return 0;
}

int
cel_fold(struct cel_compiler *c, struct cel_node *root, struct err *e)
{
	return fold(c, root, 0, e);
}

/* ---- literals ---- */

static bool
good_duration(struct cel_compiler *c, struct str s)
{
	int64_t ns = 0;
	(void)c;
	return cel_parse_duration(s, &ns);
}

static bool
good_time(struct cel_compiler *c, struct str s)
{
	struct cel_value v;
	(void)c;
	return cel_parse_time(s, &v);
}

static bool
good_regex(struct cel_compiler *c, struct str s)
{
	const struct regex *re = NULL;
	return regex_compile(c->a, s, &re, NULL) == 0;
}

static const struct {
	const char *fn;
	size_t arg;
	bool (*good)(struct cel_compiler *c, struct str s);
} literals[] = {
	{"duration", 0, good_duration},
	{"timestamp", 0, good_time},
	{"matches", 1, good_regex},
};

static void
mismatch(struct cel_compiler *c, uint32_t at, const struct cel_type *want,
	const struct cel_type *got)
{
	struct str w = cel_type_name(c->a, want), g = cel_type_name(c->a, got);
	cel_issue(c, at, "expected type '%.*s' but found '%.*s'", STR_ARG(w), STR_ARG(g));
}

static const struct cel_type *
element_type(const struct cel_node *n, size_t i, size_t optional)
{
	const struct cel_type *t = n->args[i]->type;
	return n->optional && n->optional[optional] && t->kind == CEL_OPTIONAL ? t->params[0] : t;
}

/* Elements of one type, keys of one type, values of one type. */
static void
homogeneous(struct cel_compiler *c, const struct cel_node *n)
{
	bool map = n->kind == NODE_MAP;
	for (size_t i = map ? 2 : 1; i < n->n; i++) {
		const struct cel_type *first = element_type(n, map ? i % 2 : 0, 0);
		const struct cel_type *t = element_type(n, i, map ? i / 2 : i);
		if (cel_type_same(first, t))
			continue;
		mismatch(c, n->args[i]->at, first, t);
		if (!map)
			return;
	}
}

/* free: inside of a call of format, where lists may be of anything. */
static void
validate(struct cel_compiler *c, const struct cel_node *n, bool free, unsigned depth)
{
	if (depth > CEL_MAX_WALK)
		return;
	bool format = n->kind == NODE_CALL && str_eq_c(n->name, "format");
	if (format)
		cel_format_check(c, n);
	for (size_t i = 0; i < n->n; i++)
		validate(c, n->args[i], free || format, depth + 1);
	if (!free && (n->kind == NODE_LIST || n->kind == NODE_MAP))
		homogeneous(c, n);
	for (size_t i = 0; n->kind == NODE_CALL && i < ARRAY_LEN(literals); i++) {
		if (!str_eq_c(n->name, literals[i].fn) || n->n <= literals[i].arg)
			continue;
		const struct cel_node *arg = n->args[literals[i].arg];
		bool late = arg->kind == NODE_CONST && arg->value.kind == CEL_INT &&
			literals[i].good == good_time &&
			(arg->value.i < -62135596800 || arg->value.i > 253402300799);
		if (late ||
			(arg->kind == NODE_CONST && arg->value.kind == CEL_STRING &&
				!literals[i].good(c, arg->value.s)))
			cel_issue(c, arg->at, "invalid %s argument", literals[i].fn);
	}
}

void
cel_validate_literals(struct cel_compiler *c, struct cel_node *root)
{
	validate(c, root, false, 0);
}
