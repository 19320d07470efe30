/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * std_compare: the order of values: <, <=, >, >= and their many overloads. Source: cel-go common/stdlib. */
#include "orchestrator/cel/cel_int.h"

#define ORDER(name, test)                                                                          \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args, size_t n)   \
	{                                                                                          \
		(void)e;                                                                           \
		(void)n;                                                                           \
		int c = cel_compare(&args[0], &args[1]);                                           \
		return cel_of_bool(c != CEL_UNORDERED && c test 0);                                \
	}
ORDER(less, <)
ORDER(less_equals, <=)
ORDER(greater, >)
ORDER(greater_equals, >=)

#define OVERLOADS(op, id, fn)                                                                      \
	{op, id "_bool", "bool(bool, bool)", fn, COST_ONE},                                        \
		{op, id "_int64", "bool(int, int)", fn, COST_ONE},                                 \
		{op, id "_int64_double", "bool(int, double)", fn, COST_ONE},                       \
		{op, id "_int64_uint64", "bool(int, uint)", fn, COST_ONE},                         \
		{op, id "_uint64", "bool(uint, uint)", fn, COST_ONE},                              \
		{op, id "_uint64_double", "bool(uint, double)", fn, COST_ONE},                     \
		{op, id "_uint64_int64", "bool(uint, int)", fn, COST_ONE},                         \
		{op, id "_double", "bool(double, double)", fn, COST_ONE},                          \
		{op, id "_double_int64", "bool(double, int)", fn, COST_ONE},                       \
		{op, id "_double_uint64", "bool(double, uint)", fn, COST_ONE},                     \
		{op, id "_string", "bool(string, string)", fn, COST_COMPARE},                      \
		{op, id "_bytes", "bool(bytes, bytes)", fn, COST_COMPARE},                         \
		{op, id "_timestamp", "bool(timestamp, timestamp)", fn, COST_ONE},                 \
	{                                                                                          \
		op, id "_duration", "bool(duration, duration)", fn, COST_ONE                       \
	}

static const struct cel_fn_row rows[] = {
	OVERLOADS("_<_", "less", less),
	OVERLOADS("_<=_", "less_equals", less_equals),
	OVERLOADS("_>_", "greater", greater),
	OVERLOADS("_>=_", "greater_equals", greater_equals),
};
const struct cel_fn_table cel_fns_compare = {rows, ARRAY_LEN(rows)};
