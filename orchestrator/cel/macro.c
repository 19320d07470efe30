/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * macro: the calls that are read as other expressions: has, all, exists, map, filter, optMap and their like, as one
 * table. What a macro makes stands where its opening parenthesis does.
 * Source: cel-spec langdef.md (macros); cel-go ext (two-variable comprehensions, lists). */
#include "orchestrator/cel/cel_int.h"

#define ACCU "@result"

struct macro_call {
	struct cel_compiler *c;
	uint32_t at;
	struct cel_node *target, **args;
	size_t n;
	int kind;
};

static struct cel_node *
fail(const struct macro_call *m, uint32_t at, const char *why)
{
	cel_issue(m->c, at, "%s", why);
	struct cel_node *n = cel_node_new(m->c, NODE_CONST, m->at);
	if (!m->c->failed)
		n->bad = true;
	return n;
}

static struct cel_node *
ident(const struct macro_call *m, struct str name)
{
	struct cel_node *n = cel_node_new(m->c, NODE_IDENT, m->at);
	if (!m->c->failed)
		n->name = name;
	return n;
}

static struct cel_node *
accu(const struct macro_call *m)
{
	return ident(m, STR(ACCU));
}

static struct cel_node *
constant(const struct macro_call *m, struct cel_value v)
{
	struct cel_node *n = cel_node_new(m->c, NODE_CONST, m->at);
	if (!m->c->failed)
		n->value = v;
	return n;
}

static struct cel_node *
call(const struct macro_call *m, const char *fn, size_t n, struct cel_node *x, struct cel_node *y,
	struct cel_node *z)
{
	return cel_node_call(m->c, m->at, fn, n, x, y, z);
}

static struct cel_node *
collection(const struct macro_call *m, enum cel_node_kind kind, struct cel_node *item)
{
	struct cel_node *n = cel_node_new(m->c, kind, m->at);
	if (m->c->failed || !item)
		return n;
	n->args = ARENA_NEW(m->c->a, struct cel_node *);
	if (!n->args) {
		m->c->failed = m->c->stop = true;
		return n;
	}
	n->args[0] = item;
	n->n = 1;
	return n;
}

struct fold_parts {
	struct cel_node *range;
	struct str iter, iter2, accu;
	struct cel_node *init, *condition, *step, *result;
};

static struct cel_node *
fold(const struct macro_call *m, const struct fold_parts *f)
{
	struct cel_node *n = cel_node_new(m->c, NODE_FOLD, m->at);
	struct cel_node **args = ARENA_ARRAY(m->c->a, struct cel_node *, FOLD__COUNT);
	if (m->c->failed || !args) {
		m->c->failed = m->c->stop = true;
		return n;
	}
	args[FOLD_RANGE] = f->range;
	args[FOLD_INIT] = f->init;
	args[FOLD_CONDITION] = f->condition;
	args[FOLD_STEP] = f->step;
	args[FOLD_RESULT] = f->result;
	n->args = args;
	n->n = FOLD__COUNT;
	n->iter = f->iter;
	n->iter2 = f->iter2;
	n->accu = f->accu;
	return n;
}

/* A copy of a tree for what is read twice. */
static struct cel_node *
copy(const struct macro_call *m, const struct cel_node *from, unsigned depth)
{
	struct cel_node *n = cel_node_new(m->c, from->kind, from->at);
	if (m->c->failed || depth > CEL_MAX_WALK)
		return n;
	*n = *from;
	n->args = ARENA_ARRAY(m->c->a, struct cel_node *, from->n);
	if (!n->args) {
		m->c->failed = m->c->stop = true;
		return n;
	}
	for (uint32_t i = 0; i < from->n; i++)
		n->args[i] = copy(m, from->args[i], depth + 1);
	return n;
}

static bool
is_accu(struct str name)
{
	return str_eq_c(name, ACCU) || str_eq_c(name, "__result__");
}

/* The names of the variables (1 or 2); an issue and the node it leaves = they are none. */
static struct cel_node *
variables(const struct macro_call *m, size_t n, const char *not_a_name, struct str *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (m->args[i]->kind != NODE_IDENT)
			return fail(m, m->args[i]->at, not_a_name);
		ret[i] = m->args[i]->name;
	}
	if (n == 2 && str_eq(ret[0], ret[1])) {
		struct str why = arena_fmt(
			m->c->a, "duplicate variable name: %.*s", STR_ARG(ret[0]));
		return fail(m, m->args[1]->at, why.p ? why.p : "");
	}
	for (size_t i = 0; i < n; i++)
		if (is_accu(ret[i]))
			return fail(m, m->args[i]->at,
				"iteration variable overwrites accumulator variable");
	return NULL;
}

static const char simple_name[] = "argument must be a simple name";

static struct cel_node *
make_has(const struct macro_call *m)
{
	const struct cel_node *of = m->args[0];
	if (of->kind != NODE_SELECT)
		return fail(m, of->at, "invalid argument to has() macro");
	struct cel_node *n = cel_node_new(m->c, NODE_TEST, m->at);
	if (m->c->failed)
		return n;
	n->name = of->name;
	n->args = of->args;
	n->n = 1;
	return n;
}

enum { ALL, EXISTS, EXISTS_ONE };

/* kind: ALL.., plus 10 with two variables. */
static struct cel_node *
make_quantifier(const struct macro_call *m)
{
	struct str names[2] = {STR_NONE, STR_NONE};
	size_t n_vars = m->kind >= 10 ? 2 : 1;
	struct cel_node *bad = variables(m, n_vars, simple_name, names);
	if (bad)
		return bad;
	struct cel_node *test = m->args[n_vars];
	struct fold_parts f = {
		.range = m->target, .iter = names[0], .iter2 = names[1], .accu = STR(ACCU)};
	switch (m->kind % 10) {
	case ALL:
		f.init = constant(m, cel_of_bool(true));
		f.condition = call(m, "@not_strictly_false", 1, accu(m), NULL, NULL);
		f.step = call(m, "_&&_", 2, accu(m), test, NULL);
		f.result = accu(m);
		break;
	case EXISTS:
		f.init = constant(m, cel_of_bool(false));
		f.condition = call(m, "@not_strictly_false", 1,
			call(m, "!_", 1, accu(m), NULL, NULL), NULL, NULL);
		f.step = call(m, "_||_", 2, accu(m), test, NULL);
		f.result = accu(m);
		break;
	default:
		f.init = constant(m, cel_of_int(0));
		f.condition = constant(m, cel_of_bool(true));
		f.step = call(m, "_?_:_", 3, test,
			call(m, "_+_", 2, accu(m), constant(m, cel_of_int(1)), NULL), accu(m));
		f.result = call(m, "_==_", 2, accu(m), constant(m, cel_of_int(1)), NULL);
		break;
	}
	return fold(m, &f);
}

/* The step that adds to the accumulator, if there is a filter and it holds. */
static struct cel_node *
make_grown(const struct macro_call *m, struct fold_parts *f, struct cel_node *filter,
	struct cel_node *step, enum cel_node_kind init)
{
	if (!m->c->failed)
		step->append = true;
	f->accu = STR(ACCU);
	f->init = collection(m, init, NULL);
	f->condition = constant(m, cel_of_bool(true));
	f->step = filter ? call(m, "_?_:_", 3, filter, step, accu(m)) : step;
	f->result = accu(m);
	return fold(m, f);
}

static struct cel_node *
make_map_of(const struct macro_call *m, struct cel_node *range)
{
	struct str name = STR_NONE;
	struct cel_node *bad = variables(m, 1, "argument is not an identifier", &name);
	if (bad)
		return bad;
	struct fold_parts f = {.range = range, .iter = name};
	struct cel_node *item = collection(m, NODE_LIST, m->args[m->n - 1]);
	return make_grown(m, &f, m->n == 3 ? m->args[1] : NULL,
		call(m, "_+_", 2, accu(m), item, NULL), NODE_LIST);
}

static struct cel_node *
make_map(const struct macro_call *m)
{
	return make_map_of(m, m->target);
}

static struct cel_node *
make_filter(const struct macro_call *m)
{
	struct str name = STR_NONE;
	struct cel_node *bad = variables(m, 1, "argument is not an identifier", &name);
	if (bad)
		return bad;
	struct fold_parts f = {.range = m->target, .iter = name};
	struct cel_node *item = collection(m, NODE_LIST, m->args[0]);
	return make_grown(m, &f, m->args[1], call(m, "_+_", 2, accu(m), item, NULL), NODE_LIST);
}

enum { TO_LIST, TO_MAP, TO_ENTRY };

static struct cel_node *
make_transform(const struct macro_call *m)
{
	struct str names[2] = {STR_NONE, STR_NONE};
	struct cel_node *bad = variables(m, 2, simple_name, names);
	if (bad)
		return bad;
	struct fold_parts f = {.range = m->target, .iter = names[0], .iter2 = names[1]};
	struct cel_node *filter = m->n == 4 ? m->args[2] : NULL, *to = m->args[m->n - 1];
	switch (m->kind) {
	case TO_LIST:
		to = call(m, "_+_", 2, accu(m), collection(m, NODE_LIST, to), NULL);
		break;
	case TO_MAP:
		to = call(m, "cel.@mapInsert", 3, accu(m), ident(m, names[0]), to);
		break;
	default:
		to = call(m, "cel.@mapInsert", 2, accu(m), to, NULL);
		break;
	}
	return make_grown(m, &f, filter, to, m->kind == TO_LIST ? NODE_LIST : NODE_MAP);
}

static struct cel_node *
member_call(const struct macro_call *m, const char *fn, size_t n, struct cel_node *target,
	struct cel_node *x)
{
	struct cel_node *c = call(m, fn, n, target, x, NULL);
	if (!m->c->failed)
		c->member = true;
	return c;
}

/* A variable that is bound to a value while `body` is evaluated. */
static struct cel_node *
bind(const struct macro_call *m, struct str name, struct cel_node *value, struct cel_node *body)
{
	struct fold_parts f = {.range = collection(m, NODE_LIST, NULL),
		.iter = STR("#unused"),
		.accu = name,
		.init = value,
		.condition = constant(m, cel_of_bool(false)),
		.step = ident(m, name),
		.result = body};
	return fold(m, &f);
}

/* kind 1: the body gives an optional itself. */
static struct cel_node *
make_opt_map(const struct macro_call *m)
{
	if (m->args[0]->kind != NODE_IDENT)
		return fail(m, m->args[0]->at,
			m->kind ? "optFlatMap() variable name must be a simple identifier"
				: "optMap() variable name must be a simple identifier");
	struct cel_node *value = member_call(m, "value", 1, copy(m, m->target, 0), NULL);
	struct cel_node *body = bind(m, m->args[0]->name, value, m->args[1]);
	if (!m->kind)
		body = call(m, "optional.of", 1, body, NULL, NULL);
	return call(m, "_?_:_", 3, member_call(m, "hasValue", 1, m->target, NULL), body,
		call(m, "optional.none", 0, NULL, NULL, NULL));
}

static struct cel_node *
make_sort_by(const struct macro_call *m)
{
	struct str input = STR("@__sortBy_input__");
	enum cel_node_kind k = m->target->kind;
	if (k != NODE_LIST && k != NODE_SELECT && k != NODE_TEST && k != NODE_IDENT &&
		k != NODE_FOLD && k != NODE_CALL)
		return fail(m, m->target->at,
			"sortBy can only be applied to a list, identifier, comprehension, call or select expression");
	struct cel_node *keys = make_map_of(m, ident(m, input));
	if (keys->bad)
		return keys;
	return bind(m, input, m->target,
		member_call(m, "@sortByAssociatedKeys", 2, ident(m, input), keys));
}

static const struct {
	const char *name;
	uint8_t n_args, kind;
	bool member;
	struct cel_node *(*make)(const struct macro_call *m);
} macros[] = {
	{"has", 1, 0, false, make_has},
	{"all", 2, ALL, true, make_quantifier},
	{"exists", 2, EXISTS, true, make_quantifier},
	{"exists_one", 2, EXISTS_ONE, true, make_quantifier},
	{"map", 2, 0, true, make_map},
	{"map", 3, 0, true, make_map},
	{"filter", 2, 0, true, make_filter},
	{"optMap", 2, 0, true, make_opt_map},
	{"optFlatMap", 2, 1, true, make_opt_map},
	{"all", 3, 10 + ALL, true, make_quantifier},
	{"exists", 3, 10 + EXISTS, true, make_quantifier},
	{"existsOne", 3, 10 + EXISTS_ONE, true, make_quantifier},
	{"exists_one", 3, 10 + EXISTS_ONE, true, make_quantifier},
	{"transformList", 3, TO_LIST, true, make_transform},
	{"transformList", 4, TO_LIST, true, make_transform},
	{"transformMap", 3, TO_MAP, true, make_transform},
	{"transformMap", 4, TO_MAP, true, make_transform},
	{"transformMapEntry", 3, TO_ENTRY, true, make_transform},
	{"transformMapEntry", 4, TO_ENTRY, true, make_transform},
	{"sortBy", 2, 0, true, make_sort_by},
};

struct cel_node *
cel_macro(struct cel_compiler *c, uint32_t at, struct str name, struct cel_node *target,
	struct cel_node **args, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		if (macros[i].n_args == n && macros[i].member == (target != NULL) &&
			str_eq_c(name, macros[i].name)) {
			struct macro_call m = {c, at, target, args, n, macros[i].kind};
			return macros[i].make(&m);
		}
	return NULL;
}
