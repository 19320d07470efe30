/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_quantity: amounts of resources. Source: k8s.io/apiserver pkg/cel/library/quantity.go. */
#include "orchestrator/cel/lib_int.h"

#define NANO 1000000000

#define FN(name)                                                                                   \
	static struct cel_value name(                                                              \
		struct cel_eval *e, const struct cel_value *args, size_t n __attribute__((unused)))

static const struct quantity *
quantity_of_value(const struct cel_value *v)
{
	return v->own;
}

static struct cel_value
own(struct cel_eval *e, struct quantity q)
{
	struct quantity *made = ARENA_NEW(e->a, struct quantity);
	if (!made)
		return cel_fault(e, "out of memory");
	*made = q;
	return cel_of_opaque(OPAQUE_QUANTITY, made);
}

FN(to_quantity)
{
	struct quantity q = {0, QUANTITY_SI};
	return quantity_parse(args[0].s, &q) == 0 ? own(e, q) : cel_fault(e, "%s", quantity_error_text);
}

FN(is_quantity)
{
	struct quantity q = {0, QUANTITY_SI};
	(void)e;
	return cel_of_bool(quantity_parse(args[0].s, &q) == 0);
}

FN(sign)
{
	(void)e;
	__int128 v = quantity_of_value(&args[0])->nano;
	return cel_of_int((v > 0) - (v < 0));
}

static int
compare(const struct cel_value *args)
{
	int c = quantity_cmp(quantity_of_value(&args[0]), quantity_of_value(&args[1]));
	return (c > 0) - (c < 0);
}

FN(greater)
{
	(void)e;
	return cel_of_bool(compare(args) > 0);
}

FN(less)
{
	(void)e;
	return cel_of_bool(compare(args) < 0);
}

FN(compare_to)
{
	(void)e;
	return cel_of_int(compare(args));
}

FN(approximate)
{
	(void)e;
	return cel_of_double((double)quantity_of_value(&args[0])->nano / NANO);
}

static bool
is_whole(const struct cel_value *v)
{
	__int128 nano = quantity_of_value(v)->nano;
	return nano % NANO == 0 && nano / NANO <= INT64_MAX && nano / NANO >= INT64_MIN;
}

FN(is_integer)
{
	(void)e;
	return cel_of_bool(is_whole(&args[0]));
}

FN(as_integer)
{
	return is_whole(&args[0]) ? cel_of_int((int64_t)(quantity_of_value(&args[0])->nano / NANO))
				  : cel_fault(e, "cannot convert value to integer");
}

static struct quantity
other(const struct cel_value *v)
{
	return v->kind == CEL_INT ? quantity_of(v->i, QUANTITY_EXPONENT) : *quantity_of_value(v);
}

FN(add)
{
	struct quantity q = *quantity_of_value(&args[0]), y = other(&args[1]);
	quantity_add(&q, &y);
	return own(e, q);
}

FN(sub)
{
	struct quantity q = *quantity_of_value(&args[0]), y = other(&args[1]);
	quantity_sub(&q, &y);
	return own(e, q);
}

#define Q "kubernetes.Quantity"
static const struct cel_fn_row rows[] = {
	{"quantity", "string_to_quantity", Q "(string)", to_quantity, COST_PARSE},
	{"isQuantity", "is_quantity_string", "bool(string)", is_quantity, COST_PARSE},
	{"sign", "quantity_sign", "int(" Q ")", sign, COST_FIXED},
	{"isGreaterThan", "quantity_is_greater_than", ".bool(" Q ", " Q ")", greater, COST_FIXED},
	{"isLessThan", "quantity_is_less_than", ".bool(" Q ", " Q ")", less, COST_FIXED},
	{"compareTo", "quantity_compare_to", ".int(" Q ", " Q ")", compare_to, COST_FIXED},
	{"asApproximateFloat", "quantity_get_float", ".double(" Q ")", approximate, COST_FIXED},
	{"asInteger", "quantity_get_int", ".int(" Q ")", as_integer, COST_FIXED},
	{"isInteger", "quantity_is_integer", ".bool(" Q ")", is_integer, COST_FIXED},
	{"add", "quantity_add", "." Q "(" Q ", " Q ")", add, COST_FIXED},
	{"add", "quantity_add_int", "." Q "(" Q ", int)", add, COST_FIXED},
	{"sub", "quantity_sub", "." Q "(" Q ", " Q ")", sub, COST_FIXED},
	{"sub", "quantity_sub_int", "." Q "(" Q ", int)", sub, COST_FIXED},
};
const struct cel_fn_table cel_fns_quantity = {rows, ARRAY_LEN(rows)};
