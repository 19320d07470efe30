/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * check: the types of an expression: names are resolved, overloads chosen, variables of types unified. Goes on after an
 * error so that all are told. Source: cel-spec langdef.md (gradual type checking); cel-go checker (texts, positions). */
#include "orchestrator/cel/cel_int.h"

/* What a variable of types stands for; undone by shrinking the trail. */
struct binding {
	uint32_t number;
	const struct cel_type *was;
};
struct checker {
	struct cel_compiler *c;
	struct arena *a;
	const struct cel_type **subst; /* by number; NULL = free */
	size_t n_vars;
	struct binding *trail;
	size_t n_trail;
	struct scope {
		struct str name;
		const struct cel_type *type;
		int32_t local;
	} * scopes;
	size_t n_scopes;
	unsigned depth;
	size_t work; /* steps of unification that are left */
};

static const struct cel_type *
basic(enum cel_kind k)
{
	return cel_type_basic(k);
}

static bool
is_dyn(const struct cel_type *t)
{
	return t->kind == CEL_DYN;
}

static bool
is_dyn_or_error(const struct cel_type *t)
{
	return t->kind == CEL_DYN || t->kind == CEL_ERROR;
}

static const struct cel_type *
or_error(struct checker *k, const struct cel_type *t)
{
	if (t)
		return t;
	k->c->failed = true;
	return basic(CEL_ERROR);
}

static const struct cel_type *
new_var(struct checker *k)
{
	struct cel_type *t = ARENA_NEW(k->a, struct cel_type);
	const struct cel_type **slot = t ? ARENA_PUSH(k->a, k->subst, k->n_vars) : NULL;
	if (!slot) {
		k->c->failed = true;
		return basic(CEL_ERROR);
	}
	uint32_t number = (uint32_t)k->n_vars - 1;
	*t = (struct cel_type){.kind = CEL__PARAM,
		.number = number,
		.name = arena_fmt(k->a, "_var%u", number),
		.max = CEL_NO_MAX};
	return t;
}

/* ---- unification ---- */

static void
bind_var(struct checker *k, const struct cel_type *var, const struct cel_type *to)
{
	struct binding *b = ARENA_PUSH(k->a, k->trail, k->n_trail);
	if (!b) {
		k->c->failed = true;
		return;
	}
	b->number = var->number;
	b->was = k->subst[var->number];
	k->subst[var->number] = to;
}

static void
undo(struct checker *k, size_t mark)
{
	while (k->n_trail > mark) {
		const struct binding *b = &k->trail[--k->n_trail];
		k->subst[b->number] = b->was;
	}
}

static bool
spend(struct checker *k)
{
	if (k->work == 0) {
		k->c->failed = true;
		return false;
	}
	k->work--;
	return true;
}

static const struct cel_type *
substitute(struct checker *k, const struct cel_type *t, bool to_dyn, unsigned depth)
{
	while (t->kind == CEL__PARAM && k->subst[t->number])
		t = k->subst[t->number];
	if (t->kind == CEL__PARAM)
		return to_dyn ? basic(CEL_DYN) : t;
	if (t->n_params == 0 || depth > CEL_MAX_DEPTH || !spend(k))
		return t;
	const struct cel_type *x = substitute(k, t->params[0], to_dyn, depth + 1);
	const struct cel_type *y = t->n_params == 2 ? substitute(k, t->params[1], to_dyn, depth + 1)
						    : NULL;
	if (x == t->params[0] && y == t->params[1])
		return t;
	struct cel_type *out = ARENA_NEW(k->a, struct cel_type);
	if (!out)
		return or_error(k, NULL);
	*out = *t;
	out->params[0] = x;
	out->params[1] = y;
	return out;
}

/* Does the variable not stand inside t? */
static bool
apart(struct checker *k, const struct cel_type *var, const struct cel_type *t, unsigned depth)
{
	if (!spend(k) || depth > CEL_MAX_DEPTH)
		return false;
	if (t->kind == CEL__PARAM)
		return t->number != var->number &&
			(!k->subst[t->number] || apart(k, var, k->subst[t->number], depth + 1));
	for (size_t i = 0; i < t->n_params; i++)
		if (!apart(k, var, t->params[i], depth + 1))
			return false;
	return true;
}

static bool
less_specific(const struct cel_type *x, const struct cel_type *y, unsigned depth)
{
	if (is_dyn(x) || x->kind == CEL__PARAM)
		return true;
	if (is_dyn(y) || y->kind == CEL__PARAM || x->kind != y->kind || depth > CEL_MAX_DEPTH)
		return false;
	if (x->kind == CEL_TYPE)
		return true;
	if (x->kind == CEL_OBJECT || x->n_params == 0)
		return cel_type_same(x, y);
	if (x->n_params != y->n_params)
		return false;
	for (size_t i = 0; i < x->n_params; i++)
		if (!less_specific(x->params[i], y->params[i], depth + 1))
			return false;
	return true;
}

static const struct cel_type *
most_general(const struct cel_type *x, const struct cel_type *y)
{
	return less_specific(x, y, 0) ? x : y;
}

static bool assignable(
	struct checker *k, const struct cel_type *x, const struct cel_type *y, unsigned depth);

static bool
valid_substitution(struct checker *k, const struct cel_type *t, const struct cel_type *var,
	bool *has, unsigned depth)
{
	*has = true;
	if (t->kind == CEL__PARAM && t->number == var->number)
		return true;
	const struct cel_type *sub = k->subst[var->number];
	if (sub) {
		if (t->kind == sub->kind && cel_type_same(t, sub))
			return true;
		if (!assignable(k, t, sub, depth + 1))
			return false;
		const struct cel_type *general = most_general(t, sub);
		if (apart(k, var, general, 0))
			bind_var(k, var, general);
		return true;
	}
	*has = false;
	if (!apart(k, var, t, 0))
		return false;
	bind_var(k, var, t);
	return true;
}

static bool
nullable(const struct cel_type *t)
{
	return t->kind == CEL_OPAQUE || t->kind == CEL_OPTIONAL || t->kind == CEL_OBJECT ||
		t->kind == CEL_DURATION || t->kind == CEL_TIMESTAMP || t->kind == CEL_NULL;
}

static bool
assignable(struct checker *k, const struct cel_type *x, const struct cel_type *y, unsigned depth)
{
	bool has = false;
	if (!spend(k) || depth > CEL_MAX_DEPTH)
		return false;
	if (y->kind == CEL__PARAM) {
		if (valid_substitution(k, x, y, &has, depth))
			return true;
		if (has)
			return false;
	}
	if (x->kind == CEL__PARAM)
		return valid_substitution(k, y, x, &has, depth);
	if (is_dyn_or_error(x) || is_dyn_or_error(y))
		return true;
	if (x->kind == CEL_NULL)
		return nullable(y);
	if (y->kind == CEL_NULL)
		return nullable(x);
	if (x->kind == CEL_TYPE)
		return y->kind == CEL_TYPE;
	if (x->kind != y->kind || x->n_params != y->n_params)
		return false;
	if (x->n_params == 0)
		return cel_type_same(x, y);
	for (size_t i = 0; i < x->n_params; i++)
		if (!assignable(k, x->params[i], y->params[i], depth + 1))
			return false;
	return true;
}

static bool
try_assign(struct checker *k, const struct cel_type *x, const struct cel_type *y)
{
	size_t mark = k->n_trail;
	if (assignable(k, x, y, 0))
		return true;
	undo(k, mark);
	return false;
}

bool
cel_assignable(struct arena *a, const struct cel_type *to, const struct cel_type *from)
{
	struct cel_compiler c = {.a = a};
	struct checker k = {.c = &c, .a = a, .work = 100000};
	return assignable(&k, to, from, 0);
}

/* ---- errors ---- */

static const char *
shown(struct checker *k, const struct cel_type *t)
{
	const char *z = arena_cstr(k->a, cel_type_name(k->a, t));
	return z ? z : "";
}

static void
mismatch(struct checker *k, uint32_t at, const struct cel_type *want, const struct cel_type *got)
{
	cel_issue(k->c, at, "expected type '%s' but found '%s'", shown(k, want), shown(k, got));
}

static void
undeclared(struct checker *k, uint32_t at, struct str name)
{
	cel_issue(k->c, at, "undeclared reference to '%.*s' (in container '')", STR_ARG(name));
}

/* ---- names ---- */

static const struct scope *
local_find(const struct checker *k, struct str name)
{
	for (size_t i = k->n_scopes; i; i--)
		if (str_eq(k->scopes[i - 1].name, name))
			return &k->scopes[i - 1];
	return NULL;
}

static void
scope_push(struct checker *k, struct str name, const struct cel_type *type, int32_t local)
{
	struct scope *s = ARENA_PUSH(k->a, k->scopes, k->n_scopes);
	if (!s) {
		k->c->failed = true;
		return;
	}
	*s = (struct scope){name, type, local};
}

/* A variable of the environment or the name of a type. */
static bool
resolve_global(struct checker *k, struct cel_node *n, struct str name)
{
	const struct cel_env *env = k->c->env;
	if (str_starts(name, STR(".")))
		name = str_sub(name, 1, SIZE_MAX);
	for (size_t i = 0; i < env->n_vars; i++)
		if (str_eq(env->vars[i].name, name)) {
			n->kind = NODE_IDENT;
			n->name = name;
			n->slot = (int32_t)i;
			n->n = 0;
			n->type = env->vars[i].type;
			return true;
		}
	const struct cel_type *t = cel_type_named(name);
	if (t && t->kind == CEL_OPAQUE && t->number != OPAQUE_IP && t->number != OPAQUE_CIDR)
		t = NULL; /* they have functions, no names */
	for (size_t i = 0; !t && i < env->n_types; i++)
		if (str_eq(env->types[i]->name, name))
			t = env->types[i];
	if (!t)
		return false;
	n->kind = NODE_CONST;
	n->name = name;
	n->n = 0;
	n->value = cel_of_type(t);
	n->type = or_error(k, cel_type_of_type(k->a, t));
	return true;
}

static void
check_ident(struct checker *k, struct cel_node *n)
{
	const struct scope *s = local_find(k, n->name);
	if (s) {
		n->local = s->local;
		n->type = s->type;
		return;
	}
	if (resolve_global(k, n, n->name))
		return;
	n->type = basic(CEL_ERROR);
	undeclared(k, n->at, n->name);
}

/* "a.b.c" of an expression that is nothing but names; STR_NONE = it is more. */
static struct str
qualified(struct checker *k, const struct cel_node *n)
{
	size_t parts = 0;
	const struct cel_node *at = n;
	for (; at->kind == NODE_SELECT && parts < CEL_MAX_DEPTH; parts++)
		at = at->args[0];
	if (at->kind != NODE_IDENT)
		return STR_NONE;
	struct str s = at->name;
	for (; parts; parts--) {
		const struct cel_node *m = n;
		for (size_t i = 1; i < parts; i++)
			m = m->args[0];
		s = arena_fmt(k->a, "%.*s.%.*s", STR_ARG(s), STR_ARG(m->name));
	}
	return s;
}

static struct str
first_name(const struct cel_node *n)
{
	while (n->kind == NODE_SELECT)
		n = n->args[0];
	return n->kind == NODE_IDENT ? n->name : STR_NONE;
}

static void check_node(struct checker *k, struct cel_node *n);

static const struct cel_type *
field_of(struct checker *k, struct cel_node *n, struct cel_node *operand, struct str field,
	bool optional)
{
	check_node(k, operand);
	const struct cel_type *t = substitute(k, operand->type, false, 0);
	bool was_optional = t->kind == CEL_OPTIONAL;
	if (was_optional)
		t = t->params[0];
	const struct cel_type *result = basic(CEL_ERROR);
	if (t->kind == CEL_MAP) {
		result = t->params[1];
	} else if (t->kind == CEL_OBJECT) {
		const struct cel_type *f = cel_type_field(k->a, t, field);
		if (f)
			result = f;
		else
			cel_issue(k->c, n->at, "undefined field '%.*s'", STR_ARG(field));
	} else if (t->kind == CEL__PARAM) {
		try_assign(k, basic(CEL_DYN), t);
		result = basic(CEL_DYN);
	} else {
		if (!is_dyn_or_error(t))
			cel_issue(k->c, n->at, "type '%s' does not support field selection",
				shown(k, t));
		result = basic(CEL_DYN);
	}
	return was_optional || optional ? or_error(k, cel_type_optional(k->a, result)) : result;
}

static void
check_select(struct checker *k, struct cel_node *n)
{
	if (n->kind == NODE_SELECT) {
		struct str first = first_name(n);
		if (str_is_set(first) && !local_find(k, first)) {
			struct str name = qualified(k, n);
			if (str_is_set(name) && resolve_global(k, n, name))
				return;
		}
	}
	const struct cel_type *t = field_of(k, n, n->args[0], n->name, false);
	n->type = n->kind == NODE_TEST ? basic(CEL_BOOL) : substitute(k, t, false, 0);
}

/* ---- calls ---- */

/* A type of a signature with its variables replaced by those from `first` on. */
static const struct cel_type *
instance(struct checker *k, const struct cel_type *t, const struct cel_type *const *vars)
{
	if (t->kind == CEL__PARAM)
		return vars[t->number];
	if (t->n_params == 0)
		return t;
	struct cel_type *out = ARENA_NEW(k->a, struct cel_type);
	if (!out)
		return or_error(k, NULL);
	*out = *t;
	for (size_t i = 0; i < t->n_params; i++)
		out->params[i] = instance(k, t->params[i], vars);
	return out;
}

static bool
overload_fits(struct checker *k, const struct cel_fn *fn, const struct cel_node *n,
	const struct cel_type **result)
{
	const struct cel_type *vars[4] = {NULL};
	if (fn->n_args != n->n || fn->member != n->member)
		return false;
	for (size_t i = 0; i < fn->n_vars; i++)
		vars[i] = new_var(k);
	size_t mark = k->n_trail;
	for (size_t i = 0; i < n->n; i++)
		if (!assignable(k, n->args[i]->type, instance(k, fn->args[i], vars), 0)) {
			undo(k, mark);
			return false;
		}
	*result = substitute(k, instance(k, fn->result, vars), false, 0);
	return true;
}

static void
no_match(struct checker *k, const struct cel_node *n)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, k->a);
	size_t i = 0;
	if (n->member) {
		buf_cstr(&b, shown(k, substitute(k, n->args[i++]->type, true, 0)));
		buf_char(&b, '.');
	}
	buf_char(&b, '(');
	for (size_t from = i; i < n->n; i++) {
		if (i > from)
			buf_cstr(&b, ", ");
		buf_cstr(&b, shown(k, substitute(k, n->args[i]->type, true, 0)));
	}
	buf_char(&b, ')');
	struct str args = buf_view(&b);
	cel_issue(k->c, n->at, "found no matching overload for '%.*s' applied to '%.*s'",
		STR_ARG(n->name), STR_ARG(args));
}

static void
check_logic(struct checker *k, struct cel_node *n, const struct cel_fn_group *g)
{
	bool bad = false;
	for (size_t i = 0; i < n->n; i++)
		if (!try_assign(k, n->args[i]->type, basic(CEL_BOOL))) {
			mismatch(k, n->args[i]->at, basic(CEL_BOOL), n->args[i]->type);
			bad = true;
		}
	n->fns = g->fns;
	n->n_fns = 1;
	n->type = basic(bad ? CEL_ERROR : CEL_BOOL);
}

static void
resolve(struct checker *k, struct cel_node *n, const struct cel_fn_group *g)
{
	if (str_eq_c(n->name, "_&&_") || str_eq_c(n->name, "_||_")) {
		check_logic(k, n, g);
		return;
	}
	const struct cel_fn **fns = NULL;
	size_t n_fns = 0;
	const struct cel_type *type = NULL;
	for (size_t i = 0; i < g->n && !k->c->failed; i++) {
		const struct cel_type *result = NULL;
		if (!overload_fits(k, g->fns[i], n, &result))
			continue;
		const struct cel_fn **slot = ARENA_PUSH(k->a, fns, n_fns);
		if (!slot) {
			k->c->failed = true;
			return;
		}
		*slot = g->fns[i];
		if (!type)
			type = result;
		else if (!is_dyn(type) && !cel_type_same(result, type))
			type = basic(CEL_DYN);
	}
	if (!type)
		no_match(k, n);
	n->fns = fns;
	n->n_fns = (uint32_t)n_fns;
	n->type = type ? type : basic(CEL_ERROR);
}

static void
check_call(struct checker *k, struct cel_node *n)
{
	if (str_eq_c(n->name, "_?._")) {
		n->type = substitute(
			k, field_of(k, n, n->args[0], n->args[1]->value.s, true), false, 0);
		n->args[1]->type = basic(CEL_STRING);
		return;
	}
	for (size_t i = n->member; i < n->n; i++)
		check_node(k, n->args[i]);
	if (n->member) {
		struct str prefix = qualified(k, n->args[0]);
		struct str full = STR_NONE;
		if (str_is_set(prefix))
			full = arena_fmt(k->a, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(n->name));
		if (str_starts(full, STR(".")))
			full = str_sub(full, 1, SIZE_MAX);
		bool known = str_is_set(full) &&
			(k->c->env->patches || !str_starts(full, STR("jsonpatch.")));
		const struct cel_fn_group *g = known ? cel_fns_find(full) : NULL;
		if (g) {
			n->name = g->name;
			n->member = false;
			n->args++;
			n->n--;
			resolve(k, n, g);
			return;
		}
		check_node(k, n->args[0]);
	}
	struct str name = str_starts(n->name, STR(".")) ? str_sub(n->name, 1, SIZE_MAX) : n->name;
	const struct cel_fn_group *g = cel_fns_find(name);
	if (!g) {
		undeclared(k, n->at, n->name);
		n->type = basic(CEL_ERROR);
		return;
	}
	n->name = g->name;
	resolve(k, n, g);
}

/* ---- literals and folds ---- */

static const struct cel_type *
join(struct checker *k, const struct cel_type *before, const struct cel_type *t)
{
	if (!before)
		return t;
	if (try_assign(k, before, t))
		return most_general(before, t);
	return basic(CEL_DYN); /* cel_validate_literals tells of it */
}

/* The type of an element with "?" before it. */
static const struct cel_type *
without_optional(struct checker *k, const struct cel_node *n)
{
	const struct cel_type *t = n->type;
	if (t->kind == CEL_OPTIONAL)
		return t->params[0];
	if (!is_dyn(t))
		mismatch(k, n->at, or_error(k, cel_type_optional(k->a, t)), t);
	return t;
}

static void
check_list(struct checker *k, struct cel_node *n)
{
	const struct cel_type *item = NULL;
	for (size_t i = 0; i < n->n; i++) {
		check_node(k, n->args[i]);
		const struct cel_type *t = n->optional && n->optional[i]
			? without_optional(k, n->args[i])
			: n->args[i]->type;
		item = join(k, item, t);
	}
	n->type = or_error(k, cel_type_list(k->a, item ? item : new_var(k), 0));
}

static void
check_map(struct checker *k, struct cel_node *n)
{
	const struct cel_type *key = NULL, *value = NULL;
	for (size_t i = 0; i < n->n; i += 2) {
		check_node(k, n->args[i]);
		key = join(k, key, n->args[i]->type);
		check_node(k, n->args[i + 1]);
		const struct cel_type *t = n->optional && n->optional[i / 2]
			? without_optional(k, n->args[i + 1])
			: n->args[i + 1]->type;
		value = join(k, value, t);
	}
	key = key ? key : new_var(k);
	value = value ? value : new_var(k);
	n->type = or_error(k, cel_type_map(k->a, key, value, 0));
}

static const struct cel_type *
declared_type(struct checker *k, struct str name)
{
	if (str_starts(name, STR(".")))
		name = str_sub(name, 1, SIZE_MAX);
	for (size_t i = 0; i < k->c->env->n_types; i++)
		if (str_eq(k->c->env->types[i]->name, name))
			return k->c->env->types[i];
	const struct cel_type *t = k->c->env->patches ? cel_patch_type(k->a, name) : NULL;
	return t ? t : cel_type_named(name);
}

static void
check_struct(struct checker *k, struct cel_node *n)
{
	const struct cel_type *t = declared_type(k, n->name);
	if (!t) {
		undeclared(k, n->at, n->name);
		n->type = basic(CEL_ERROR);
		return;
	}
	bool object = t->kind == CEL_OBJECT;
	if (!object)
		cel_issue(k->c, n->at, "'%.*s' is not a message type", STR_ARG(n->name));
	n->type = object ? t : basic(CEL_ERROR);
	for (size_t i = 0; i < n->n; i++) {
		struct cel_node *v = n->args[i];
		check_node(k, v);
		const struct cel_type *f = object ? cel_type_field(k->a, t, n->names[i]) : NULL;
		if (object && !f)
			cel_issue(k->c, n->ats[i], "undefined field '%.*s'", STR_ARG(n->names[i]));
		const struct cel_type *got = n->optional && n->optional[i] ? without_optional(k, v)
									   : v->type;
		if (f && !try_assign(k, f, got))
			cel_issue(k->c, n->ats[i],
				"expected type of field '%.*s' is '%s' but provided type is '%s'",
				STR_ARG(n->names[i]), shown(k, f), shown(k, got));
	}
}

static void
iteration_types(
	struct checker *k, struct cel_node *n, const struct cel_type **x, const struct cel_type **y)
{
	const struct cel_node *of = n->args[FOLD_RANGE];
	const struct cel_type *range = substitute(k, of->type, false, 0);
	bool two = str_is_set(n->iter2);
	*x = *y = basic(CEL_DYN);
	if (range->kind == CEL_LIST) {
		*y = range->params[0];
		*x = two ? basic(CEL_INT) : range->params[0];
	} else if (range->kind == CEL_MAP) {
		*x = range->params[0];
		*y = range->params[1];
	} else if (is_dyn_or_error(range) || range->kind == CEL__PARAM) {
		try_assign(k, basic(CEL_DYN), range);
	} else {
		cel_issue(k->c, of->at,
			"expression of type '%s' cannot be range of a comprehension (must be list, map, or dynamic)",
			shown(k, range));
		*x = *y = basic(CEL_ERROR);
	}
}

static void
assert_type(struct checker *k, const struct cel_node *n, const struct cel_type *want)
{
	if (!try_assign(k, want, n->type))
		mismatch(k, n->at, want, n->type);
}

static void
check_fold(struct checker *k, struct cel_node *n)
{
	const struct cel_type *x = NULL, *y = NULL;
	size_t mark = k->n_scopes;
	check_node(k, n->args[FOLD_RANGE]);
	check_node(k, n->args[FOLD_INIT]);
	const struct cel_type *accu = n->args[FOLD_INIT]->type;
	n->local = (int32_t)k->c->n_locals;
	k->c->n_locals += 3;
	scope_push(k, n->accu, accu, n->local);
	iteration_types(k, n, &x, &y);
	scope_push(k, n->iter, x, n->local + 1);
	if (str_is_set(n->iter2))
		scope_push(k, n->iter2, y, n->local + 2);
	check_node(k, n->args[FOLD_CONDITION]);
	assert_type(k, n->args[FOLD_CONDITION], basic(CEL_BOOL));
	check_node(k, n->args[FOLD_STEP]);
	assert_type(k, n->args[FOLD_STEP], accu);
	k->n_scopes = k->c->failed ? 0 : mark + 1;
	check_node(k, n->args[FOLD_RESULT]);
	k->n_scopes = k->c->failed ? 0 : mark;
	n->type = substitute(k, n->args[FOLD_RESULT]->type, false, 0);
}

static void
check_kind(struct checker *k, struct cel_node *n)
{
	switch (n->kind) {
	case NODE_CONST:
		n->type = basic(n->bad ? CEL_ERROR : n->value.kind);
		break;
	case NODE_IDENT:
		check_ident(k, n);
		break;
	case NODE_SELECT:
	case NODE_TEST:
		check_select(k, n);
		break;
	case NODE_CALL:
		check_call(k, n);
		break;
	case NODE_LIST:
		check_list(k, n);
		break;
	case NODE_MAP:
		check_map(k, n);
		break;
	case NODE_STRUCT:
		check_struct(k, n);
		break;
	case NODE_FOLD:
		check_fold(k, n);
		break;
	}
}

static void
check_node(struct checker *k, struct cel_node *n)
{
	n->type = basic(CEL_ERROR);
	if (k->c->failed)
		return;
	if (k->depth >= CEL_MAX_WALK) {
		k->c->failed = true;
		return;
	}
	k->depth++;
	check_kind(k, n);
	k->depth--;
}

/* The types that are found last are those that count. */
static void
settle(struct checker *k, struct cel_node *n, unsigned depth)
{
	if (depth > CEL_MAX_WALK || k->c->failed)
		return;
	n->type = substitute(k, n->type ? n->type : basic(CEL_DYN), true, 0);
	for (size_t i = 0; i < n->n; i++)
		settle(k, n->args[i], depth + 1);
}

void
cel_check(struct cel_compiler *c, struct cel_node *root)
{
	struct checker k = {.c = c, .a = c->a, .work = 5000000};
	check_node(&k, root);
	settle(&k, root, 0);
}
