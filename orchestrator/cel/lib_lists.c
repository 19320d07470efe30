/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_lists: functions over lists, and lists as sets. Source: cel-go ext/lists.go (version 3), ext/sets.go;
 * k8s.io/apiserver pkg/cel/library/lists.go (version 0: includes is for what was stored by a later server). */
#include "orchestrator/cel/cel_int.h"

#define MAX_LEVELS 64

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

/* The items as an array; NULL = memory (e->stop). */
static struct cel_value *
items_of(struct cel_eval *e, const struct cel_value *list)
{
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, cel_size(list)), k, v;
	if (!items) {
		e->stop = -ENOMEM;
		return NULL;
	}
	for (struct cel_iter it = {.of = list}; cel_next(e, &it, &k, &v);)
		items[it.i - 1] = v;
	return items;
}

FN(is_sorted)
{
	struct cel_value k, v, before = cel_null();
	for (struct cel_iter it = {.of = &args[0]}; cel_next(e, &it, &k, &v); before = v)
		if (it.i > 1 && cel_compare(&before, &v) == 1)
			return cel_of_bool(false);
	return cel_of_bool(true);
}

static struct cel_value
sum_from(struct cel_eval *e, const struct cel_value *list, struct cel_value total)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = list}; cel_next(e, &it, &k, &v);) {
		if (v.kind != total.kind)
			return cel_no_overload(e);
		if (v.kind == CEL_DOUBLE)
			total.d += v.d;
		else if (v.kind == CEL_UINT && __builtin_add_overflow(total.u, v.u, &total.u))
			return cel_fault(e, "unsigned integer overflow");
		else if (v.kind != CEL_UINT && __builtin_add_overflow(total.i, v.i, &total.i))
			return cel_fault(
				e, v.kind == CEL_INT ? "integer overflow" : "duration overflow");
	}
	return total;
}

FN(sum_int)
{
	return sum_from(e, &args[0], cel_of_int(0));
}

FN(sum_uint)
{
	return sum_from(e, &args[0], cel_of_uint(0));
}

FN(sum_double)
{
	return sum_from(e, &args[0], cel_of_double(0));
}

FN(sum_duration)
{
	return sum_from(e, &args[0], cel_of_ns(0));
}

static struct cel_value
extreme(struct cel_eval *e, const struct cel_value *list, int better, const char *name)
{
	struct cel_value k, v, best = cel_null();
	struct cel_iter it = {.of = list};
	while (cel_next(e, &it, &k, &v))
		if (it.i == 1 || cel_compare(&best, &v) == better)
			best = v;
	return it.i ? best : cel_fault(e, "%s called on empty list", name);
}

FN(min_of)
{
	return extreme(e, &args[0], 1, "min");
}

FN(max_of)
{
	return extreme(e, &args[0], -1, "max");
}

FN(index_of)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = &args[0]}; cel_next(e, &it, &k, &v);)
		if (cel_equal(e, &v, &args[1]))
			return k;
	return cel_of_int(-1);
}

FN(last_index_of)
{
	struct cel_value k, v, found = cel_of_int(-1);
	for (struct cel_iter it = {.of = &args[0]}; cel_next(e, &it, &k, &v);)
		if (cel_equal(e, &v, &args[1]))
			found = k;
	return found;
}

static bool
has(struct cel_eval *e, const struct cel_value *list, const struct cel_value *item)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = list}; cel_next(e, &it, &k, &v);)
		if (cel_equal(e, &v, item))
			return true;
	return false;
}

/* ---- new lists ---- */

FN(range)
{
	int64_t size = args[0].i;
	if (size < 0)
		return cel_fault(
			e, "lists.range: size must be non-negative, got %lld", (long long)size);
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, (size_t)size);
	if (!items) {
		e->stop = -ENOMEM;
		return cel_fault(e, "out of memory");
	}
	for (int64_t i = 0; i < size; i++)
		items[i] = cel_of_int(i);
	return cel_list_of(e, items, (size_t)size);
}

FN(slice)
{
	long long from = args[1].i, to = args[2].i;
	if (from < 0 || to < 0)
		return cel_fault(
			e, "cannot slice(%lld, %lld), negative indexes not supported", from, to);
	if (from > to)
		return cel_fault(e,
			"cannot slice(%lld, %lld), start index must be less than or equal to end index",
			from, to);
	long long size = (long long)cel_size(&args[0]);
	if (size < to)
		return cel_fault(
			e, "cannot slice(%lld, %lld), list is length %lld", from, to, size);
	struct cel_value *items = items_of(e, &args[0]);
	return items ? cel_list_of(e, items + from, (size_t)(to - from)) : cel_null();
}

FN(reverse)
{
	size_t size = cel_size(&args[0]);
	struct cel_value *items = items_of(e, &args[0]);
	for (size_t i = 0; items && i < size / 2; i++) {
		struct cel_value x = items[i];
		items[i] = items[size - 1 - i];
		items[size - 1 - i] = x;
	}
	return cel_list_of(e, items, size);
}

FN(distinct)
{
	size_t size = cel_size(&args[0]), count = 0;
	struct cel_value *items = items_of(e, &args[0]);
	for (size_t i = 0; items && i < size; i++) {
		size_t k = 0;
		while (k < count && !cel_equal(e, &items[k], &items[i]))
			k++;
		if (k == count)
			items[count++] = items[i];
	}
	return cel_list_of(e, items, count);
}

struct flat {
	struct cel_value *items;
	size_t n;
};

static void
flatten_into(struct cel_eval *e, const struct cel_value *list, int64_t level, struct flat *to,
	unsigned depth)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = list}; !e->stop && cel_next(e, &it, &k, &v);) {
		if (v.kind == CEL_LIST && level > 0 && depth < MAX_LEVELS) {
			flatten_into(e, &v, level - 1, to, depth + 1);
			continue;
		}
		struct cel_value *slot = ARENA_PUSH(e->a, to->items, to->n);
		if (slot)
			*slot = v;
		else
			e->stop = -ENOMEM;
	}
}

FN(flatten)
{
	struct flat to = {NULL, 0};
	if (n > 1 && args[1].i < 0)
		return cel_fault(e, "level must be non-negative");
	flatten_into(e, &args[0], n > 1 ? args[1].i : 1, &to, 0);
	return cel_list_of(e, to.items, to.n);
}

/* Positions in the order of their keys: a merge sort, stable. */
static void
merge_sort(const struct cel_value *keys, uint32_t *at, uint32_t *spare, size_t n)
{
	for (size_t run = 1; run < n; run *= 2)
		for (size_t from = 0; from < n; from += 2 * run) {
			size_t mid = from + run < n ? from + run : n;
			size_t end = from + 2 * run < n ? from + 2 * run : n;
			size_t x = from, y = mid;
			for (size_t k = from; k < end; k++) {
				bool left = x < mid &&
					(y >= end || cel_compare(&keys[at[y]], &keys[at[x]]) != -1);
				spare[k] = left ? at[x++] : at[y++];
			}
			for (size_t k = from; k < end; k++)
				at[k] = spare[k];
		}
}

static bool
is_comparable(enum cel_kind k)
{
	return k == CEL_BOOL || k == CEL_INT || k == CEL_UINT || k == CEL_DOUBLE ||
		k == CEL_STRING || k == CEL_BYTES || k == CEL_DURATION || k == CEL_TIMESTAMP;
}

static struct cel_value
sort_by(struct cel_eval *e, const struct cel_value *list, const struct cel_value *keys)
{
	size_t size = cel_size(list), n_keys = cel_size(keys);
	if (size != n_keys)
		return cel_fault(e,
			"@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got %zu and %zu elements respectively",
			size, n_keys);
	struct cel_value *items = items_of(e, list), *by = items ? items_of(e, keys) : NULL;
	uint32_t *at = ARENA_ARRAY(e->a, uint32_t, size * 2);
	struct cel_value *out = ARENA_ARRAY(e->a, struct cel_value, size);
	if (!by || !at || !out) {
		e->stop = -ENOMEM;
		return cel_fault(e, "out of memory");
	}
	for (size_t i = 0; i < size; i++) {
		at[i] = (uint32_t)i;
		if (!is_comparable(by[0].kind))
			return cel_fault(e, "list elements must be comparable");
		if (by[i].kind != by[0].kind)
			return cel_fault(e, "list elements must have the same type");
	}
	merge_sort(by, at, at + size, size);
	for (size_t i = 0; i < size; i++)
		out[i] = items[at[i]];
	return cel_list_of(e, out, size);
}

FN(sort)
{
	return sort_by(e, &args[0], &args[0]);
}

FN(sort_by_keys)
{
	return sort_by(e, &args[0], &args[1]);
}

#define COMPARABLE(X)                                                                              \
	X("int", "int"), X("uint", "uint"), X("double", "double"), X("bool", "bool"),              \
		X("duration", "google.protobuf.Duration"),                                         \
		X("timestamp", "google.protobuf.Timestamp"), X("string", "string"),                \
		X("bytes", "bytes")
#define SORTED(t, id)                                                                              \
	{                                                                                          \
		"isSorted", "list_" t "_is_sorted_bool", ".bool(list(" t "))", is_sorted,          \
			COST_TRAVERSE                                                              \
	}
#define MAXIMUM(t, id)                                                                             \
	{                                                                                          \
		"max", "list_" t "_max_" t, "." t "(list(" t "))", max_of, COST_TRAVERSE           \
	}
#define MINIMUM(t, id)                                                                             \
	{                                                                                          \
		"min", "list_" t "_min_" t, "." t "(list(" t "))", min_of, COST_TRAVERSE           \
	}
#define SORT(t, id)                                                                                \
	{                                                                                          \
		"sort", "list_" id "_sort", ".list(" t ")(list(" t "))", sort, COST_SORT           \
	}
#define SORT_BY(t, id)                                                                             \
	{                                                                                          \
		"@sortByAssociatedKeys", "list_" id "_sortByAssociatedKeys",                       \
			".list(T)(list(T), list(" t "))", sort_by_keys, COST_SORT_BY               \
	}

static const struct cel_fn_row rows[] = {
	COMPARABLE(SORTED),
	COMPARABLE(MAXIMUM),
	COMPARABLE(MINIMUM),
	COMPARABLE(SORT),
	COMPARABLE(SORT_BY),
	{"sum", "list_int_sum_int", ".int(list(int))", sum_int, COST_TRAVERSE},
	{"sum", "list_uint_sum_uint", ".uint(list(uint))", sum_uint, COST_TRAVERSE},
	{"sum", "list_double_sum_double", ".double(list(double))", sum_double, COST_TRAVERSE},
	{"sum", "list_duration_sum_duration", ".duration(list(duration))", sum_duration,
		COST_TRAVERSE},
	{"indexOf", "list_a_index_of_int", ".int(list(A), A)", index_of, COST_TRAVERSE},
	{"lastIndexOf", "list_a_last_index_of_int", ".int(list(A), A)", last_index_of,
		COST_TRAVERSE},
	{"lists.range", "lists_range", "list(int)(int)", range, COST_RANGE},
	{"slice", "list_slice", ".list(T)(list(T), int, int)", slice, COST_SLICE},
	{"reverse", "list_reverse", ".list(T)(list(T))", reverse, COST_REVERSE},
	{"distinct", "list_distinct", ".list(T)(list(T))", distinct, COST_DISTINCT},
	{"flatten", "list_flatten", ".list(T)(list(list(T)))", flatten, COST_FLATTEN},
	{"flatten", "list_flatten_int", ".list(dyn)(list(dyn), int)", flatten, COST_FLATTEN},
};
const struct cel_fn_table cel_fns_lists = {rows, ARRAY_LEN(rows)};

/* ---- sets ---- */

static bool
contains_all(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = y}; cel_next(e, &it, &k, &v);)
		if (!has(e, x, &v))
			return false;
	return true;
}

FN(set_contains)
{
	return cel_of_bool(contains_all(e, &args[0], &args[1]));
}

FN(set_equivalent)
{
	return cel_of_bool(
		contains_all(e, &args[0], &args[1]) && contains_all(e, &args[1], &args[0]));
}

FN(set_intersects)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = &args[0]}; cel_next(e, &it, &k, &v);)
		if (has(e, &args[1], &v))
			return cel_of_bool(true);
	return cel_of_bool(false);
}

static const struct cel_fn_row set_rows[] = {
	{"sets.contains", "list_sets_contains_list", "bool(list(T), list(T))", set_contains,
		COST_SETS},
	{"sets.equivalent", "list_sets_equivalent_list", "bool(list(T), list(T))", set_equivalent,
		COST_SETS_EQUIVALENT},
	{"sets.intersects", "list_sets_intersects_list", "bool(list(T), list(T))", set_intersects,
		COST_SETS},
};
const struct cel_fn_table cel_fns_sets = {set_rows, ARRAY_LEN(set_rows)};
