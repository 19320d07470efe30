/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cost_run: what one call has cost, by the values it was given. Source: cel-go interpreter/runtimecost.go;
 * k8s.io/apiserver pkg/cel/library/cost.go (CallCost). */
#include "orchestrator/cel/cel_int.h"

#define MAX_LEVELS 256

uint64_t
cel_actual_size(const struct cel_value *v)
{
	switch (v->kind) {
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_LIST:
	case CEL_MAP:
		return cel_size(v);
	case CEL_OBJECT:
		return v->from_doc ? cel_size(v) : 1;
	case CEL_OPTIONAL: {
		if (!cel_has_value(v))
			return 1;
		struct cel_value of = cel_unwrap(v);
		return of.kind == CEL_OPTIONAL ? 1 : cel_actual_size(&of);
	}
	case CEL_OPAQUE:
		return cel_opaque_size(v);
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_TYPE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return 1;
}

static uint64_t
up(uint64_t n, double by)
{
	double d = (double)n * by;
	uint64_t u = (uint64_t)d;
	return u + ((double)u < d);
}

/* The whole tree: strings by their bytes. */
static uint64_t
traversal(struct cel_eval *e, const struct cel_value *v, unsigned depth)
{
	if (v->kind == CEL_STRING || v->kind == CEL_BYTES)
		return (uint64_t)((double)v->s.n * 0.1);
	bool map = v->kind == CEL_MAP || v->kind == CEL_OBJECT;
	if ((v->kind != CEL_LIST && !map) || depth > MAX_LEVELS ||
		(v->kind == CEL_OBJECT && !v->from_doc))
		return 1;
	uint64_t cost = 0;
	struct cel_value k, item;
	for (struct cel_iter it = {.of = v}; cel_next(e, &it, &k, &item);) {
		cost += traversal(e, &item, depth + 1);
		if (map)
			cost += traversal(e, &k, depth + 1);
	}
	return cost;
}

static uint64_t
regex(uint64_t text, uint64_t pattern)
{
	return up(text + 1, 0.1) * up(pattern, 0.25);
}

/* Of lists that are compared with themselves. */
static uint64_t
self_compare(struct cel_eval *e, const struct cel_value *list)
{
	double factor = 2;
	if (list->kind != CEL_LIST)
		return 11;
	uint64_t n = cel_size(list);
	if (n) {
		struct cel_value first = cel_list_get(e, list, 0);
		if (first.kind == CEL_STRING || first.kind == CEL_BYTES)
			factor = 2.1;
	}
	return (uint64_t)((double)(n * n) * factor) + 11;
}

static enum cel_cost
rule_of(const struct cel_node *n)
{
	if (n->n_fns == 0)
		return COST_ONE;
	enum cel_cost rule = n->fns[0]->row->cost;
	/* a call of which more than one overload is possible has none for upstream: its name alone counts */
	return n->n_fns > 1 && rule < COST_NAMED ? COST_ONE : rule;
}

uint64_t
cel_call_cost(struct cel_eval *e, const struct cel_node *n, const struct cel_value *args,
	size_t n_args, const struct cel_value *result)
{
	uint64_t x = n_args > 0 ? cel_actual_size(&args[0]) : 1;
	uint64_t y = n_args > 1 ? cel_actual_size(&args[1]) : 1;
	switch (rule_of(n)) {
	case COST_ARG1:
		return up(y, 0.1);
	case COST_TO_BYTES:
	case COST_TO_STRING:
	case COST_QUOTE:
	case COST_FORMAT:
	case COST_PARSE:
	case COST_URL:
	case COST_SAME:
		return up(x, 0.1);
	case COST_IN:
		return y;
	case COST_COMPARE:
		if (args[0].kind == CEL_OPAQUE && str_eq_c(n->name, "_==_"))
			return 1;
		return up(x < y ? x : y, 0.1);
	case COST_CONCAT:
		return up(x + y, 0.1);
	case COST_MATCHES:
	case COST_FIND:
		return regex(x, y);
	case COST_CONTAINS:
		return up(x, 0.1) * up(y, 0.1);
	case COST_CHECK:
		return 350000;
	case COST_SELECTOR:
		return 10 + up(y, 0.1) + up(up(y, 0.5), 50);
	case COST_TRAVERSE:
		return traversal(e, &args[0], 0);
	case COST_REPLACE:
	case COST_SPLIT:
	case COST_CANONICAL:
		return up(x, 0.2);
	case COST_JOIN:
		return up(cel_actual_size(result), 0.2);
	case COST_CONTAINS_IP:
		return up(x + x, 0.1);
	case COST_CONTAINS_IP_TEXT:
		return up(x + x, 0.1) + up(y, 0.1);
	case COST_CONTAINS_CIDR:
		return up(x + x, 0.1) + up(x, 0.1) + 1;
	case COST_CONTAINS_CIDR_TEXT:
		return up(x + x, 0.1) + up(x, 0.1) + 1 + up(y, 0.1);
	case COST_VALIDATE:
		return regex(y, cel_opaque_size(&args[0]));
	case COST_SETS:
		return x * y + 1;
	case COST_SETS_EQUIVALENT:
		return x * y * 2 + 1;
	case COST_SLICE:
	case COST_RANGE:
	case COST_REVERSE:
		return cel_actual_size(result) + 11;
	case COST_FLATTEN:
		return (n_args > 1 && args[1].i >= 0 ? x * (uint64_t)args[1].i : x) + 11;
	case COST_DISTINCT:
	case COST_SORT:
		return self_compare(e, &args[0]);
	case COST_SORT_BY:
		return self_compare(e, &args[1]);
	case COST_ONE:
	case COST_CONVERT:
	case COST_CONCAT_LIST:
	case COST_LOGIC:
	case COST_CONDITIONAL:
	case COST_INDEX_LIST:
	case COST_INDEX_MAP:
	case COST_FIXED:
	case COST__COUNT:
		break;
	}
	return 1;
}
