/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cost: the estimate of what an expression may cost at worst, from its nodes and from the sizes that schemas allow.
 * What it says decides which rules are accepted, so it follows upstream number by number, the odd ones too.
 * Source: cel-go checker/cost.go; k8s.io/apiserver pkg/cel/library/cost.go, apiextensions schema/cel/compilation.go. */
#include "orchestrator/cel/cel_int.h"

struct range {
	uint64_t min, max;
};
/* Where in the declared types an expression is: some without `at` leads nowhere. */
struct path {
	bool some;
	const struct cel_type *at;
};
struct entry_size {
	bool some, list;
	struct range key, value;
};
struct cel_estimate {
	struct path path;
	bool has_size;
	struct range size;
	struct entry_size entry;
};
struct local {
	struct str name;
	struct path path;
	bool has_size;
	struct range size;
	struct entry_size entry;
};
struct coster {
	struct arena *a;
	const struct cel_type *root;
	struct local *locals;
	size_t n_locals;
	bool failed;
};
/* One argument as the rules of functions see it. */
struct operand {
	const struct cel_node *n;
	struct path path;
	bool has_size;
	struct range size;
};
struct call_cost {
	struct range cost;
	bool has_size;
	struct range size;
};

static const struct range unknown = {0, UINT64_MAX};

static uint64_t
add(uint64_t x, uint64_t y)
{
	return y > UINT64_MAX - x ? UINT64_MAX : x + y;
}

static uint64_t
times(uint64_t x, uint64_t y)
{
	return y && x > UINT64_MAX / y ? UINT64_MAX : x * y;
}

static uint64_t
ceil_up(double d)
{
	if (d >= 18446744073709551616.0)
		return UINT64_MAX;
	uint64_t u = (uint64_t)d;
	return u + ((double)u < d);
}

static uint64_t
scale1(uint64_t x, double by)
{
	double d = (double)x;
	if (d > 0 && by > 0 && d > 18446744073709551615.0 / by)
		return UINT64_MAX;
	return ceil_up(d * by);
}

static struct range
fixed(uint64_t n)
{
	return (struct range){n, n};
}

static struct range
sum(struct range x, struct range y)
{
	return (struct range){add(x.min, y.min), add(x.max, y.max)};
}

static struct range
product(struct range x, struct range y)
{
	return (struct range){times(x.min, y.min), times(x.max, y.max)};
}

static struct range
scale(struct range x, double by)
{
	return (struct range){scale1(x.min, by), scale1(x.max, by)};
}

static struct range
unite(struct range x, struct range y)
{
	return (struct range){x.min < y.min ? x.min : y.min, x.max > y.max ? x.max : y.max};
}

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

enum hop { HOP_FIELD, HOP_ITEMS, HOP_KEYS, HOP_INDICES };

static struct path
hop(const struct coster *c, struct path p, enum hop how, struct str name)
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

static struct entry_size
entry_of(struct coster *c, struct cel_node *n)
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

static bool
path_size(struct path p, struct range *ret)
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
	if (path_size(path_of(c, n), ret)) {
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
	struct range r = unknown;
	return size_of(c, n, &r) ? r : unknown;
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
	struct operand o = {.n = n, .path = path_of(c, n), .size = unknown};
	o.has_size = size_of(c, n, &o.size);
	return o;
}

/* As the libraries of Kubernetes ask: what was computed, else what the path says. */
static struct range
lib_size(const struct operand *o)
{
	struct range r = unknown;
	return o->has_size ? o->size : path_size(o->path, &r) ? r : unknown;
}

static struct range
seen(const struct operand *o)
{
	return o->has_size ? o->size : unknown;
}

/* ---- functions ---- */

struct call {
	struct coster *c;
	struct cel_node *n;
	enum cel_cost rule;
	const struct operand *target; /* NULL = a function */
	const struct operand *args;
	size_t n_args;
	const struct range *costs; /* of the arguments, not of the target */
};

static struct range
cost_traverse(const struct call *k)
{
	const struct operand *t = k->target;
	if (t->n->type->n_params > 0) {
		const struct cel_type *item = t->n->type->params[0];
		struct range each = fixed(1);
		if (item->kind == CEL_STRING || item->kind == CEL_BYTES) {
			struct range size = unknown;
			struct path p = {t->path.some, NULL};
			p = t->path.some ? hop(k->c, t->path, HOP_ITEMS, STR_NONE) : p;
			path_size(p, &size);
			each = sum(each, scale(size, 0.1));
		}
		return product(lib_size(t), each);
	}
	return scale(lib_size(t), 0.1);
}

static void
cost_replace(const struct call *k, struct call_cost *r)
{
	struct range sz = lib_size(k->target), from = lib_size(&k->args[0]), to = lib_size(&k->args[1]);
	struct range count = {0, 0}, kept = {0, 0};
	if (from.min == 0) {
		count.max = add(sz.max, 1);
		kept.max = sz.max;
	} else if (to.max <= from.min) {
		kept.max = sz.max;
	} else {
		count.max = ceil_up((double)sz.max / (double)from.min);
	}
	if (from.max == 0) {
		count.min = add(sz.min, 1);
		kept.min = sz.min;
	} else if (from.max <= to.min) {
		kept.min = sz.min;
	} else {
		count.min = ceil_up((double)sz.min / (double)from.max);
	}
	r->cost = scale(sz, 0.2);
	r->has_size = true;
	r->size = sum(product(count, to), kept);
}

static void
cost_join(const struct call *k, struct call_cost *r)
{
	struct range list = lib_size(k->target), size = {0, 0};
	if (k->target->n->type->n_params) {
		struct range item = unknown;
		struct path p = {k->target->path.some, NULL};
		p = p.some ? hop(k->c, k->target->path, HOP_ITEMS, STR_NONE) : p;
		path_size(p, &item);
		size = product(list, item);
	}
	if (k->n_args) {
		struct range between = {list.min ? list.min - 1 : 0, list.max ? list.max - 1 : 0};
		size = sum(size, product(lib_size(&k->args[0]), between));
	}
	r->cost = scale(size, 0.1);
	r->has_size = true;
	r->size = size;
}

static struct range
cost_regex(struct range text, struct range pattern)
{
	return product(scale(sum(text, fixed(1)), 0.1), scale(pattern, 0.25));
}

static struct range
cost_contains_ip(const struct call *k, bool cidr, bool text)
{
	struct range size = {4, 16};
	struct range cost = scale(sum(size, size), 0.1);
	if (cidr)
		cost = sum(sum(cost, scale(size, 0.1)), fixed(1));
	return text ? sum(cost, scale(lib_size(&k->args[0]), 0.1)) : cost;
}

static bool
is_opaque_pair(const struct call *k)
{
	return k->n_args == 2 && k->args[0].n->type->kind == CEL_OPAQUE &&
		cel_type_same(k->args[0].n->type, k->args[1].n->type);
}

/* _==_ of two values of a library; false = as any. */
static bool
cost_opaque_equal(const struct call *k, struct range *ret)
{
	if (!str_eq_c(k->n->name, "_==_") || !is_opaque_pair(k))
		return false;
	uint32_t which = k->args[0].n->type->number;
	*ret = fixed(1);
	if (which == OPAQUE_FORMAT)
		*ret = scale((struct range){1, 64}, 0.1);
	if (which == OPAQUE_URL)
		*ret = scale((struct range){1, k->args[1].has_size ? k->args[1].size.max : 1}, 0.1);
	return true;
}

static struct range
cost_compare(const struct call *k)
{
	struct range x = seen(&k->args[0]), y = seen(&k->args[1]), r = {0, 0};
	if (cost_opaque_equal(k, &r))
		return r;
	uint64_t most = x.max < y.max ? x.max : y.max;
	return scale((struct range){most > 0, most}, 0.1);
}

/* Of sets.*: two lists, each against the other. */
static struct range
cost_sets(const struct call *k, double factor)
{
	struct range r = product(lib_size(&k->args[0]), lib_size(&k->args[1]));
	return sum(scale(r, factor), fixed(1));
}

/* What makes a list of `size` for `factor` an item. */
static void
cost_list(struct call_cost *r, double factor, struct range size)
{
	r->cost = sum(scale(size, factor), fixed(11));
	r->has_size = true;
	r->size = size;
}

static uint64_t
literal(const struct operand *o, uint64_t absent)
{
	if (o->n->kind != NODE_CONST || o->n->value.kind != CEL_INT)
		return absent;
	return o->n->value.i < 0 ? 0 : (uint64_t)o->n->value.i;
}

static void
cost_sort(const struct operand *keys, struct call_cost *r)
{
	struct range size = lib_size(keys);
	const struct cel_type *t = keys->n->type;
	enum cel_kind item = t->n_params ? t->params[0]->kind : CEL_DYN;
	cost_list(r, item == CEL_STRING || item == CEL_BYTES ? 2.1 : 2, product(size, size));
}

/* The cost of the call itself; arguments are added by the caller. */
static struct call_cost
cost_rule(const struct call *k)
{
	struct call_cost r = {.cost = fixed(1)};
	const struct operand *t = k->target, *x = &k->args[0], *y = &k->args[1];
	switch (k->rule) {
	case COST_ARG1:
		r.cost = scale(seen(x), 0.1);
		break;
	case COST_CONVERT:
		break;
	case COST_TO_BYTES:
		r.cost = scale(seen(x), 0.1);
		r.has_size = true;
		r.size = (struct range){seen(x).min, seen(x).max * 4};
		break;
	case COST_TO_STRING:
		r.cost = scale(seen(x), 0.1);
		r.has_size = true;
		r.size = (struct range){seen(x).min / 4, seen(x).max};
		break;
	case COST_QUOTE:
		r.cost = scale(seen(x), 0.1);
		r.has_size = true;
		r.size = (struct range){seen(x).min + 2, seen(x).max * 2 + 2};
		break;
	case COST_IN:
		r.cost = scale(seen(y), 1);
		break;
	case COST_COMPARE:
		r.cost = cost_compare(k);
		break;
	case COST_CONCAT:
	case COST_CONCAT_LIST:
		r.has_size = true;
		r.size = sum(seen(x), seen(y));
		r.cost = k->rule == COST_CONCAT ? scale(r.size, 0.1) : fixed(1);
		break;
	case COST_MATCHES:
		r.cost = t ? cost_regex(seen(t), seen(x)) : cost_regex(seen(x), seen(y));
		break;
	case COST_CONTAINS:
		r.cost = product(scale(seen(t), 0.1), scale(seen(x), 0.1));
		break;
	case COST_FORMAT:
		r.cost = scale(seen(t), 0.1);
		break;
	case COST_CHECK:
		r.cost = fixed(350000);
		break;
	case COST_SELECTOR:
		r.cost = sum(sum(fixed(10), scale(lib_size(x), 0.1)),
			scale(scale(lib_size(x), 0.5), 50));
		break;
	case COST_TRAVERSE:
		if (t)
			r.cost = cost_traverse(k);
		break;
	case COST_PARSE:
		r.cost = scale(lib_size(x), 0.1);
		break;
	case COST_URL:
		r.cost = scale(lib_size(x), 0.1);
		r.has_size = true;
		r.size = lib_size(x);
		break;
	case COST_SAME:
		r.cost = scale(lib_size(t), 0.1);
		r.has_size = true;
		r.size = lib_size(t);
		break;
	case COST_REPLACE:
		cost_replace(k, &r);
		break;
	case COST_SPLIT:
		r.cost = scale(lib_size(t), 0.2);
		r.has_size = true;
		r.size = (struct range){0, lib_size(t).max};
		if (k->n_args > 1 && y->n->kind == NODE_CONST && y->n->value.kind == CEL_INT)
			r.size.max = (uint64_t)y->n->value.i;
		break;
	case COST_JOIN:
		cost_join(k, &r);
		break;
	case COST_FIND:
		r.cost = cost_regex(lib_size(t), lib_size(x));
		r.has_size = true;
		r.size = (struct range){0, lib_size(t).max};
		break;
	case COST_CANONICAL:
		r.cost = scale(lib_size(x), 0.2);
		break;
	case COST_CONTAINS_IP:
	case COST_CONTAINS_IP_TEXT:
		r.cost = cost_contains_ip(k, false, k->rule == COST_CONTAINS_IP_TEXT);
		break;
	case COST_CONTAINS_CIDR:
	case COST_CONTAINS_CIDR_TEXT:
		r.cost = cost_contains_ip(k, true, k->rule == COST_CONTAINS_CIDR_TEXT);
		break;
	case COST_VALIDATE:
		r.cost = scale(scale(lib_size(x), 0.1), 128 * 0.25);
		break;
	case COST_SETS:
	case COST_SETS_EQUIVALENT:
		r.cost = cost_sets(k, k->rule == COST_SETS ? 1 : 2);
		break;
	case COST_SLICE:
		cost_list(&r, 1, fixed(literal(y, lib_size(t).max) - literal(x, 0)));
		break;
	case COST_RANGE:
		cost_list(&r, 1, fixed(literal(x, UINT64_MAX)));
		break;
	case COST_REVERSE:
		cost_list(&r, 1, lib_size(t));
		break;
	case COST_FLATTEN:
		cost_list(&r, k->n_args ? (double)literal(x, UINT64_MAX) : 1, lib_size(t));
		break;
	case COST_DISTINCT:
		cost_list(&r, 2, product(lib_size(t), lib_size(t)));
		break;
	case COST_SORT:
		cost_sort(t, &r);
		break;
	case COST_SORT_BY:
		cost_sort(x, &r);
		break;
	case COST_ONE:
	case COST_LOGIC:
	case COST_CONDITIONAL:
	case COST_INDEX_LIST:
	case COST_INDEX_MAP:
	case COST_FIXED:
	case COST__COUNT:
		break;
	}
	return r;
}

static struct entry_size
unite_entries(struct entry_size x, struct entry_size y)
{
	struct entry_size r = {.some = x.some && y.some, .list = x.list};
	r.key = unite(x.key, y.key);
	r.value = unite(x.value, y.value);
	return r;
}

static struct range
total(const struct call *k)
{
	struct range r = {0, 0};
	for (size_t i = 0; i < k->n_args; i++)
		r = sum(r, k->costs[i]);
	return r;
}

static struct call_cost
function_cost(const struct call *k)
{
	struct call_cost r = {.has_size = false};
	if (k->rule == COST_LOGIC) {
		r.cost = (struct range){k->costs[0].min, add(k->costs[0].max, k->costs[1].max)};
		return r;
	}
	if (k->rule == COST_CONDITIONAL) {
		struct entry_size e = unite_entries(entry_of(k->c, k->n->args[1]), entry_of(k->c, k->n->args[2]));
		if (e.some)
			of(k->c, k->n)->entry = e;
		r.cost = sum(k->costs[0], unite(k->costs[1], k->costs[2]));
		r.has_size = true;
		r.size = unite(seen(&k->args[1]), seen(&k->args[2]));
		return r;
	}
	if (k->rule == COST_CONCAT || k->rule == COST_CONCAT_LIST) {
		struct entry_size e = unite_entries(entry_of(k->c, k->n->args[0]), entry_of(k->c, k->n->args[1]));
		if (e.some)
			of(k->c, k->n)->entry = e;
	}
	r = cost_rule(k);
	r.cost = sum(r.cost, total(k));
	return r;
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
		struct range size = unknown;
		if (size_of(c, n->args[0], &size))
			set_size(c, n, size);
		struct entry_size e = entry_of(c, n->args[0]);
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
	if (str_eq_c(n->name, "_?._")) /* upstream's reference has one overload, of no special cost */
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
		struct call_cost r = function_cost(&k);
		cost = unite(cost, r.cost);
		if (r.has_size) {
			size = has_size ? unite(size, r.size) : r.size;
			has_size = true;
		}
		if (k.rule == COST_INDEX_LIST || k.rule == COST_INDEX_MAP) {
			struct entry_size e = entry_of(c, n->args[0]);
			has_size = e.some;
			size = e.value;
			of(c, n)->path = hop(c, path_of(c, n->args[0]), HOP_ITEMS, STR_NONE);
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
	of(c, n)->path = hop(c, path_of(c, n->args[0]), HOP_FIELD, n->name);
	return r;
}

static struct range
cost_literal(struct coster *c, struct cel_node *n, unsigned depth)
{
	bool map = n->kind == NODE_MAP;
	struct range all = {0, 0}, none = {n->n ? UINT64_MAX : 0, 0};
	struct entry_size e = {.some = true, .list = !map, .key = map ? none : fixed(1), .value = none};
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
	struct local l = {.name = n->accu, .path = path_of(c, init), .entry = entry_of(c, init)};
	l.has_size = size_of(c, init, &l.size);
	push_local(c, l);
}

/* The variables of a fold: how: what of the range they are. */
static void
push_iter(struct coster *c, struct cel_node *n, struct str name, bool key, bool single)
{
	struct cel_node *range = n->args[FOLD_RANGE];
	struct entry_size e = entry_of(c, range);
	bool list = e.some ? e.list : range->type->kind == CEL_LIST;
	bool items = single ? list : !key;
	struct local l = {.name = name, .has_size = e.some, .size = items ? e.value : e.key};
	enum hop how = items ? HOP_ITEMS : list ? HOP_INDICES : HOP_KEYS;
	l.path = hop(c, path_of(c, range), how, STR_NONE);
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
	struct range size = unknown;
	struct range all = cost_node(c, n->args[FOLD_RANGE], depth + 1);
	all = sum(all, cost_node(c, n->args[FOLD_INIT], depth + 1));
	push_bound(c, n);
	all = sum(all, cost_node(c, result, depth + 1));
	c->n_locals -= c->n_locals > 0;
	if (size_of(c, result, &size))
		set_size(c, n, size);
	struct entry_size e = entry_of(c, result);
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
	struct range count = size_or_unknown(c, n->args[FOLD_RANGE]), size = unknown;
	all = sum(all, product(count, each));
	if (init->kind == NODE_CONST && size_of(c, init, &size))
		set_size(c, n, size);
	if (init->kind == NODE_LIST || init->kind == NODE_MAP) {
		set_size(c, n, count);
		struct entry_size e = entry_of(c, n->args[FOLD_STEP]);
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
		return unknown;
	}
	switch (n->kind) {
	case NODE_CONST:
		if (!str_is_set(n->name))
			return fixed(0);
		of(c, n)->path = (struct path){true, c->root}; /* the name of a type is a name like others */
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
	return unknown;
}

int
cel_estimate(struct arena *a, struct cel_program *p, struct cel_node *root)
{
	struct coster c = {.a = a,
		.root = p->env->n_vars ? p->env->vars[0].type : cel_type_basic(CEL_DYN)};
	if (c.root->kind == CEL_OPTIONAL)
		c.root = c.root->params[0];
	struct range r = cost_node(&c, root, 0);
	p->cost_min = r.min;
	p->cost_max = r.max;
	return c.failed ? -ENOMEM : 0;
}
