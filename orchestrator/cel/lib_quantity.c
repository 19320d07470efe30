/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_quantity: amounts of resources. Source: k8s.io/apiserver pkg/cel/library/quantity.go. */
#include "orchestrator/cel/lib_int.h"

#define NANO 1000000000

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static const struct quantity *
quantity_of_value(const struct cel_value *v)
{
	const struct cel_quantity *q = v->own;
	return &q->q;
}

static struct cel_value
own(struct cel_eval *e, struct cel_quantity q)
{
	struct cel_quantity *made = ARENA_NEW(e->a, struct cel_quantity);
	if (!made)
		return cel_fault(e, "out of memory");
	*made = q;
	return cel_of_opaque(OPAQUE_QUANTITY, made);
}

/* Is the number one that upstream keeps as an integer of whole units? It does not look at the value but at how it was
 * written: "1.0" and "1000m" are none, "1.5Gi" neither. */
static bool
written_whole(struct str s)
{
	static const char *const small[] = {"n", "u", "m"};
	size_t digits = 0, i = s.n && (s.p[0] == '-' || s.p[0] == '+');
	while (i < s.n && s.p[i] == '0')
		i++;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		digits++;
	struct str suffix = str_sub(s, i, SIZE_MAX);
	bool binary = suffix.n == 2 && suffix.p[1] == 'i';
	size_t exponent = 0;
	for (size_t k = 0; binary && k < 6; k++)
		if (suffix.p[0] == "KMGTPE"[k])
			exponent = k * 10 + 10;
	if (suffix.n && suffix.p[0] == '.')
		return false;
	for (size_t k = 0; k < ARRAY_LEN(small); k++)
		if (str_eq_c(suffix, small[k]))
			return false;
	if (suffix.n > 1 && (suffix.p[0] == 'e' || suffix.p[0] == 'E') && suffix.p[1] == '-')
		return false;
	return binary ? digits + exponent * 3 / 10 + 1 <= 15 : digits <= 18;
}

FN(to_quantity)
{
	struct cel_quantity q = {{0, QUANTITY_SI}, written_whole(args[0].s)};
	return quantity_parse(args[0].s, &q.q) == 0 ? own(e, q)
						    : cel_fault(e, "%s", quantity_error_text);
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
	const struct cel_quantity *q = v->own;
	return q->whole && nano % NANO == 0 && nano / NANO <= INT64_MAX && nano / NANO >= INT64_MIN;
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

static struct cel_quantity
other(const struct cel_value *v)
{
	if (v->kind == CEL_INT)
		return (struct cel_quantity){quantity_of(v->i, QUANTITY_EXPONENT), true};
	return *(const struct cel_quantity *)v->own;
}

/* Is the sum still one? Beyond int64 it is not. */
static bool
stays_whole(const struct cel_quantity *x, const struct cel_quantity *y, int sign_of)
{
	__int128 sum = x->q.nano / NANO + sign_of * (y->q.nano / NANO);
	return x->whole && y->whole && sum <= INT64_MAX && sum >= INT64_MIN;
}

FN(add)
{
	struct cel_quantity q = other(&args[0]), y = other(&args[1]);
	q.whole = stays_whole(&q, &y, 1);
	quantity_add(&q.q, &y.q);
	return own(e, q);
}

FN(sub)
{
	struct cel_quantity q = other(&args[0]), y = other(&args[1]);
	q.whole = stays_whole(&q, &y, -1);
	quantity_sub(&q.q, &y.q);
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
