/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cost_int: what the two halves of the estimate share: ranges and their arithmetic, paths into the declared types, what
 * is known of an expression. cost.c walks the nodes, cost_rules.c knows the functions. */
#ifndef ORCHESTRATOR_CEL_COST_INT_H
#define ORCHESTRATOR_CEL_COST_INT_H

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

enum hop { HOP_FIELD, HOP_ITEMS, HOP_KEYS, HOP_INDICES };
struct call {
	struct coster *c;
	struct cel_node *n;
	enum cel_cost rule;
	const struct operand *target; /* NULL = a function */
	const struct operand *args;
	size_t n_args;
	const struct range *costs; /* of the arguments, not of the target */
};

/* cel_cost_hop: one step further along a path. cel_cost_path_size: what the types say of the place; false = nothing. */
struct path cel_cost_hop(const struct coster *c, struct path p, enum hop how, struct str name);
bool cel_cost_path_size(struct path p, struct range *ret);
struct entry_size cel_cost_entry(struct coster *c, struct cel_node *n);
void cel_cost_entry_set(struct coster *c, struct cel_node *n, struct entry_size e);
/* cel_cost_function: of a call with its arguments, by the rule of one overload. */
struct call_cost cel_cost_function(const struct call *k);

#define UNKNOWN ((struct range){0, UINT64_MAX})

static inline uint64_t
add(uint64_t x, uint64_t y)
{
	return y > UINT64_MAX - x ? UINT64_MAX : x + y;
}

static inline uint64_t
times(uint64_t x, uint64_t y)
{
	return y && x > UINT64_MAX / y ? UINT64_MAX : x * y;
}

static inline uint64_t
ceil_up(double d)
{
	if (d >= 18446744073709551616.0)
		return UINT64_MAX;
	uint64_t u = (uint64_t)d;
	return u + ((double)u < d);
}

static inline uint64_t
scale1(uint64_t x, double by)
{
	double d = (double)x;
	if (d > 0 && by > 0 && d > 18446744073709551615.0 / by)
		return UINT64_MAX;
	return ceil_up(d * by);
}

static inline struct range
fixed(uint64_t n)
{
	return (struct range){n, n};
}

static inline struct range
sum(struct range x, struct range y)
{
	return (struct range){add(x.min, y.min), add(x.max, y.max)};
}

static inline struct range
product(struct range x, struct range y)
{
	return (struct range){times(x.min, y.min), times(x.max, y.max)};
}

static inline struct range
scale(struct range x, double by)
{
	return (struct range){scale1(x.min, by), scale1(x.max, by)};
}

static inline struct range
unite(struct range x, struct range y)
{
	return (struct range){x.min < y.min ? x.min : y.min, x.max > y.max ? x.max : y.max};
}

#endif
