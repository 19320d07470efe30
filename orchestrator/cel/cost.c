/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cost: the estimate of what an expression may cost at worst, from its nodes and from the sizes that schemas allow.
 * What it says decides which rules are accepted, so it follows upstream number by number, the odd ones too.
 * Source: cel-go checker/cost.go; k8s.io/apiserver pkg/cel/library/cost.go, apiextensions schema/cel/compilation.go. */
#include "orchestrator/cel/cost_int.h"

static struct cel_estimate *
of(struct coster *c, struct cel_node *n)
{
	static struct cel_estimate none;
	if (!n->estimate)
		n->estimate = ARENA_NEW(c->a, struct cel_estimate);
	if (!n->estimate) {
		c->failed = true;
		return &none;
	}
	return n->estimate;
}

/* ---- paths ---- */

struct path
cel_cost_hop(const struct coster *c, struct path p, enum hop how, struct str name)
{
	if (!p.some) /* the first name of a path is taken for the variable's, whatever it is */
		return (struct path){true, c->root};
	const struct cel_type *t = p.at;
	struct path out = {true, NULL};
	if (!t)
		return out;
	if (how == HOP_ITEMS && t->kind == CEL_LIST)
		out.at = t->params[0];
	else if (how == HOP_ITEMS && t->kind == CEL_MAP)
		out.at = t->params[1];
	else if (how == HOP_KEYS && t->kind == CEL_MAP)
		out.at = t->params[0];
	else if (how == HOP_FIELD && t->kind == CEL_OBJECT)
		out.at = cel_type_field(c->a, t, name);
	return out;
}

static const struct local *
find_local(const struct coster *c, struct str name)
{
	for (size_t i = c->n_locals; i; i--)
		if (str_eq(c->locals[i - 1].name, name))
			return &c->locals[i - 1];
	return NULL;
}

static struct path
path_of(struct coster *c, struct cel_node *n)
{
	const struct local *l = n->kind == NODE_IDENT ? find_local(c, n->name) : NULL;
	return l ? l->path : of(c, n)->path;
}

struct entry_size
cel_cost_entry(struct coster *c, struct cel_node *n)
{
	struct cel_estimate *e = of(c, n);
	if (e->entry.some)
		return e->entry;
	const struct local *l = n->kind == NODE_IDENT ? find_local(c, n->name) : NULL;
	return l ? l->entry : (struct entry_size){.some = false};
}

/* ---- sizes ---- */

static bool
is_scalar(const struct cel_type *t)
{
	while (t->kind == CEL_OPTIONAL)
		t = t->params[0];
	return t->kind == CEL_BOOL || t->kind == CEL_DOUBLE || t->kind == CEL_DURATION ||
		t->kind == CEL_INT || t->kind == CEL_TIMESTAMP || t->kind == CEL_UINT;
}

bool
cel_cost_path_size(struct path p, struct range *ret)
{
	if (!p.some || !p.at || p.at->max == CEL_NO_MAX)
		return false;
	*ret = (struct range){0, p.at->max};
	return true;
}

static bool
size_of(struct coster *c, struct cel_node *n, struct range *ret)
{
	struct cel_estimate *e = of(c, n);
	if (e->has_size) {
		*ret = e->size;
		return true;
	}
	if (n->kind == NODE_CONST && n->value.kind != CEL_TYPE) {
		*ret = fixed(n->value.kind == CEL_STRING || n->value.kind == CEL_BYTES
				? cel_size(&n->value)
				: 1);
		return true;
	}
	if (n->kind == NODE_LIST || n->kind == NODE_MAP) {
		*ret = fixed(n->kind == NODE_MAP ? n->n / 2 : n->n);
		return true;
	}
	if (cel_cost_path_size(path_of(c, n), ret)) {
		e->has_size = true;
		e->size = *ret;
		return true;
	}
	if (is_scalar(n->type)) {
		*ret = fixed(1);
		return true;
	}
	const struct local *l = n->kind == NODE_IDENT ? find_local(c, n->name) : NULL;
	if (l && l->has_size)
		*ret = l->size;
	return l && l->has_size;
}

static struct range
size_or_unknown(struct coster *c, struct cel_node *n)
{
	struct range r = UNKNOWN;
	return size_of(c, n, &r) ? r : UNKNOWN;
}

static void
set_size(struct coster *c, struct cel_node *n, struct range size)
{
	struct cel_estimate *e = of(c, n);
	e->has_size = true;
	e->size = size;
}

static struct operand
operand(struct coster *c, struct cel_node *n)
{
	struct operand o = {.n = n, .path = path_of(c, n), .size = UNKNOWN};
	o.has_size = size_of(c, n, &o.size);
	return o;
}

void
cel_cost_entry_set(struct coster *c, struct cel_node *n, struct entry_size e)
{
	of(c, n)->entry = e;
}

/* ---- nodes ---- */

static struct range cost_node(struct coster *c, struct cel_node *n, unsigned depth);

static struct range
cost_call(struct coster *c, struct cel_node *n, unsigned depth)
{
	struct operand args[4] = {{0}}, target = {0};
	struct range costs[4] = {{0, 0}}, all = {0, 0}, cost = {UINT64_MAX, 0};
	size_t skip = n->member ? 1 : 0;
	if (str_eq_c(n->name, "dyn") && n->n == 1) {
		all = sum(fixed(1), cost_node(c, n->args[0], depth + 1));
		struct range size = UNKNOWN;
		if (size_of(c, n->args[0], &size))
			set_size(c, n, size);
		struct entry_size e = cel_cost_entry(c, n->args[0]);
		if (e.some)
			of(c, n)->entry = e;
		return all;
	}
	if (n->n > ARRAY_LEN(args))
		return fixed(0);
	for (size_t i = skip; i < n->n; i++) {
		costs[i - skip] = cost_node(c, n->args[i], depth + 1);
		args[i - skip] = operand(c, n->args[i]);
	}
	if (str_eq_c(n->name,
		    "_?._")) /* upstream's reference has one overload, of no special cost */
		return sum(sum(fixed(1), costs[0]), costs[1]);
	if (n->member) {
		all = sum(all, cost_node(c, n->args[0], depth + 1));
		target = operand(c, n->args[0]);
	}
	bool has_size = false;
	struct range size = {0, 0};
	for (size_t i = 0; i < n->n_fns; i++) {
		struct call k = {c, n, n->fns[i]->row->cost, n->member ? &target : NULL, args,
			n->n - skip, costs};
		struct call_cost r = cel_cost_function(&k);
		cost = unite(cost, r.cost);
		if (r.has_size) {
			size = has_size ? unite(size, r.size) : r.size;
			has_size = true;
		}
		if (k.rule == COST_INDEX_LIST || k.rule == COST_INDEX_MAP) {
			struct entry_size e = cel_cost_entry(c, n->args[0]);
			has_size = e.some;
			size = e.value;
			of(c, n)->path = cel_cost_hop(
				c, path_of(c, n->args[0]), HOP_ITEMS, STR_NONE);
		}
		if (!has_size)
			has_size = size_of(c, n, &size);
	}
	if (has_size)
		set_size(c, n, size);
	return sum(all, n->n_fns ? cost : fixed(0));
}

static struct range
cost_select(struct coster *c, struct cel_node *n, unsigned depth)
{
	struct range r = cost_node(c, n->args[0], depth + 1);
	if (n->kind == NODE_TEST)
		return r;
	enum cel_kind k = n->args[0]->type->kind;
	if (k == CEL_MAP || k == CEL_OBJECT || k == CEL__PARAM)
		r = sum(r, fixed(1));
	of(c, n)->path = cel_cost_hop(c, path_of(c, n->args[0]), HOP_FIELD, n->name);
	return r;
}

static struct range
cost_literal(struct coster *c, struct cel_node *n, unsigned depth)
{
	bool map = n->kind == NODE_MAP;
	struct range all = {0, 0}, none = {n->n ? UINT64_MAX : 0, 0};
	struct entry_size e = {
		.some = true, .list = !map, .key = map ? none : fixed(1), .value = none};
	for (size_t i = 0; i < n->n; i++) {
		all = sum(all, cost_node(c, n->args[i], depth + 1));
		if (map && i % 2 == 0)
			e.key = unite(e.key, size_or_unknown(c, n->args[i]));
		else
			e.value = unite(e.value, size_or_unknown(c, n->args[i]));
	}
	if (n->kind == NODE_STRUCT)
		return sum(all, fixed(40));
	of(c, n)->entry = e;
	return sum(all, fixed(map ? 30 : 10));
}

static void
push_local(struct coster *c, struct local l)
{
	struct local *slot = ARENA_PUSH(c->a, c->locals, c->n_locals);
	if (slot)
		*slot = l;
	else
		c->failed = true;
}

static void
push_bound(struct coster *c, struct cel_node *n)
{
	struct cel_node *init = n->args[FOLD_INIT];
	struct local l = {
		.name = n->accu, .path = path_of(c, init), .entry = cel_cost_entry(c, init)};
	l.has_size = size_of(c, init, &l.size);
	push_local(c, l);
}

/* The variables of a fold: how: what of the range they are. */
static void
push_iter(struct coster *c, struct cel_node *n, struct str name, bool key, bool single)
{
	struct cel_node *range = n->args[FOLD_RANGE];
	struct entry_size e = cel_cost_entry(c, range);
	bool list = e.some ? e.list : range->type->kind == CEL_LIST;
	bool items = single ? list : !key;
	struct local l = {.name = name, .has_size = e.some, .size = items ? e.value : e.key};
	enum hop how = items ? HOP_ITEMS : list ? HOP_INDICES : HOP_KEYS;
	l.path = cel_cost_hop(c, path_of(c, range), how, STR_NONE);
	push_local(c, l);
}

static bool
is_bind(const struct cel_node *n)
{
	const struct cel_node *r = n->args[FOLD_RANGE], *k = n->args[FOLD_CONDITION];
	return r->kind == NODE_LIST && r->n == 0 && k->kind == NODE_CONST &&
		k->value.kind == CEL_BOOL && !k->value.b;
}

static struct range
cost_bind(struct coster *c, struct cel_node *n, unsigned depth)
{
	struct cel_node *result = n->args[FOLD_RESULT];
	struct range size = UNKNOWN;
	struct range all = cost_node(c, n->args[FOLD_RANGE], depth + 1);
	all = sum(all, cost_node(c, n->args[FOLD_INIT], depth + 1));
	push_bound(c, n);
	all = sum(all, cost_node(c, result, depth + 1));
	c->n_locals -= c->n_locals > 0;
	if (size_of(c, result, &size))
		set_size(c, n, size);
	struct entry_size e = cel_cost_entry(c, result);
	if (e.some)
		of(c, n)->entry = e;
	return all;
}

static struct range
cost_fold(struct coster *c, struct cel_node *n, unsigned depth)
{
	if (is_bind(n))
		return cost_bind(c, n, depth);
	struct cel_node *init = n->args[FOLD_INIT];
	struct range all = cost_node(c, n->args[FOLD_RANGE], depth + 1);
	all = sum(all, cost_node(c, init, depth + 1));
	size_t mark = c->n_locals;
	push_bound(c, n);
	bool two = str_is_set(n->iter2);
	push_iter(c, n, n->iter, true, !two);
	if (two)
		push_iter(c, n, n->iter2, false, false);
	struct range each = cost_node(c, n->args[FOLD_CONDITION], depth + 1);
	each = sum(cost_node(c, n->args[FOLD_STEP], depth + 1), each);
	c->n_locals = c->failed ? 0 : mark + 1;
	all = sum(all, cost_node(c, n->args[FOLD_RESULT], depth + 1));
	c->n_locals = c->failed ? 0 : mark;
	struct range count = size_or_unknown(c, n->args[FOLD_RANGE]), size = UNKNOWN;
	all = sum(all, product(count, each));
	if (init->kind == NODE_CONST && size_of(c, init, &size))
		set_size(c, n, size);
	if (init->kind == NODE_LIST || init->kind == NODE_MAP) {
		set_size(c, n, count);
		struct entry_size e = cel_cost_entry(c, n->args[FOLD_STEP]);
		if (e.some)
			of(c, n)->entry = e;
	}
	return all;
}

static struct range
cost_node(struct coster *c, struct cel_node *n, unsigned depth)
{
	const struct local *l = NULL;
	if (c->failed || depth > CEL_MAX_WALK) {
		c->failed = true;
		return UNKNOWN;
	}
	switch (n->kind) {
	case NODE_CONST:
		if (!str_is_set(n->name))
			return fixed(0);
		of(c, n)->path = (struct path){
			true, c->root}; /* the name of a type is a name like others */
		return fixed(1);
	case NODE_IDENT:
		l = find_local(c, n->name);
		of(c, n)->path = l ? l->path : (struct path){true, c->root};
		return fixed(1);
	case NODE_SELECT:
	case NODE_TEST:
		return cost_select(c, n, depth);
	case NODE_CALL:
		return cost_call(c, n, depth);
	case NODE_LIST:
	case NODE_MAP:
	case NODE_STRUCT:
		return cost_literal(c, n, depth);
	case NODE_FOLD:
		return cost_fold(c, n, depth);
	}
	return UNKNOWN;
}

int
cel_estimate(struct arena *a, struct cel_program *p, struct cel_node *root)
{
	struct coster c = {
		.a = a, .root = p->env->n_vars ? p->env->vars[0].type : cel_type_basic(CEL_DYN)};
	if (c.root->kind == CEL_OPTIONAL)
		c.root = c.root->params[0];
	struct range r = cost_node(&c, root, 0);
	p->cost_min = r.min;
	p->cost_max = r.max;
	return c.failed ? -ENOMEM : 0;
}
