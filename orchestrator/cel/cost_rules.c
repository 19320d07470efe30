/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cost_rules: what a call of each function may cost at worst, and how large its result may be, by the sizes of what it is
 * given. Source: cel-go checker/cost.go, ext (lists, sets); k8s.io/apiserver pkg/cel/library/cost.go. */
#include "orchestrator/cel/cost_int.h"

/* As the libraries of Kubernetes ask: what was computed, else what the path says. */
static struct range
lib_size(const struct operand *o)
{
	struct range r = UNKNOWN;
	return o->has_size ? o->size : cel_cost_path_size(o->path, &r) ? r : UNKNOWN;
}

static struct range
seen(const struct operand *o)
{
	return o->has_size ? o->size : UNKNOWN;
}

static struct range
cost_traverse(const struct call *k)
{
	const struct operand *t = k->target;
	if (t->n->type->n_params > 0) {
		const struct cel_type *item = t->n->type->params[0];
		struct range each = fixed(1);
		if (item->kind == CEL_STRING || item->kind == CEL_BYTES) {
			struct range size = UNKNOWN;
			struct path p = {t->path.some, NULL};
			p = t->path.some ? cel_cost_hop(k->c, t->path, HOP_ITEMS, STR_NONE) : p;
			cel_cost_path_size(p, &size);
			each = sum(each, scale(size, 0.1));
		}
		return product(lib_size(t), each);
	}
	return scale(lib_size(t), 0.1);
}

static void
cost_replace(const struct call *k, struct call_cost *r)
{
	struct range sz = lib_size(k->target), from = lib_size(&k->args[0]),
		     to = lib_size(&k->args[1]);
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
		struct range item = UNKNOWN;
		struct path p = {k->target->path.some, NULL};
		p = p.some ? cel_cost_hop(k->c, k->target->path, HOP_ITEMS, STR_NONE) : p;
		cel_cost_path_size(p, &item);
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

struct call_cost
cel_cost_function(const struct call *k)
{
	struct call_cost r = {.has_size = false};
	if (k->rule == COST_LOGIC) {
		r.cost = (struct range){k->costs[0].min, add(k->costs[0].max, k->costs[1].max)};
		return r;
	}
	if (k->rule == COST_CONDITIONAL) {
		struct entry_size e = unite_entries(
			cel_cost_entry(k->c, k->n->args[1]), cel_cost_entry(k->c, k->n->args[2]));
		if (e.some)
			cel_cost_entry_set(k->c, k->n, e);
		r.cost = sum(k->costs[0], unite(k->costs[1], k->costs[2]));
		r.has_size = true;
		r.size = unite(seen(&k->args[1]), seen(&k->args[2]));
		return r;
	}
	if (k->rule == COST_CONCAT || k->rule == COST_CONCAT_LIST) {
		struct entry_size e = unite_entries(
			cel_cost_entry(k->c, k->n->args[0]), cel_cost_entry(k->c, k->n->args[1]));
		if (e.some)
			cel_cost_entry_set(k->c, k->n, e);
	}
	r = cost_rule(k);
	r.cost = sum(r.cost, total(k));
	return r;
}
