/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * std: the operators and conversions of the language. Source: cel-spec langdef.md (standard definitions); cel-go
 * common/stdlib, common/types/overflow.go (texts). */
#include "orchestrator/cel/cel_int.h"

#define SECOND 1000000000
#define MIN_SEC (-62135596800)
#define MAX_SEC 253402300799

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static struct cel_value
overflow(struct cel_eval *e, const char *what)
{
	return cel_fault(e, "%s overflow", what);
}

FN(not )
{
	(void)e;
	return cel_of_bool(!args[0].b);
}

FN(negate)
{
	if (args[0].kind == CEL_DOUBLE)
		return cel_of_double(-args[0].d);
	return args[0].i == INT64_MIN ? overflow(e, "integer") : cel_of_int(-args[0].i);
}

/* ---- arithmetic ---- */

static struct cel_value
add_ns(struct cel_eval *e, const struct cel_value *time, int64_t ns)
{
	int64_t sec = time->time.sec + ns / SECOND;
	int64_t part = time->time.nsec + ns % SECOND;
	sec += part >= SECOND ? 1 : part < 0 ? -1 : 0;
	part += part >= SECOND ? -SECOND : part < 0 ? SECOND : 0;
	if (sec < MIN_SEC || sec > MAX_SEC)
		return overflow(e, "timestamp");
	struct cel_value sum = cel_of_time(sec, (int32_t)part);
	sum.time.offset = time->time.offset;
	return sum;
}

static struct cel_value
joined(struct cel_eval *e, struct str x, struct str y, bool bytes)
{
	struct str parts[] = {x, y};
	struct str s = arena_cat(e->a, parts, 2);
	if (!str_is_set(s)) {
		e->stop = -ENOMEM;
		return cel_fault(e, "out of memory");
	}
	return bytes ? cel_of_bytes(s) : cel_of_string(s);
}

FN(add)
{
	const struct cel_value *x = &args[0], *y = &args[1];
	int64_t i = 0;
	uint64_t u = 0;
	switch (x->kind) {
	case CEL_INT:
		return __builtin_add_overflow(x->i, y->i, &i) ? overflow(e, "integer")
							      : cel_of_int(i);
	case CEL_UINT:
		return __builtin_add_overflow(x->u, y->u, &u) ? overflow(e, "unsigned integer")
							      : cel_of_uint(u);
	case CEL_DOUBLE:
		return cel_of_double(x->d + y->d);
	case CEL_STRING:
	case CEL_BYTES:
		return joined(e, x->s, y->s, x->kind == CEL_BYTES);
	case CEL_DURATION:
		if (y->kind == CEL_TIMESTAMP)
			return add_ns(e, y, x->ns);
		return __builtin_add_overflow(x->ns, y->ns, &i) ? overflow(e, "duration")
								: cel_of_ns(i);
	case CEL_TIMESTAMP:
		return add_ns(e, x, y->ns);
	case CEL_LIST:
		return cel_list_add(e, x, y);
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_MAP:
	case CEL_OBJECT:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return cel_no_overload(e);
}

FN(subtract)
{
	const struct cel_value *x = &args[0], *y = &args[1];
	int64_t i = 0;
	uint64_t u = 0;
	if (x->kind == CEL_INT)
		return __builtin_sub_overflow(x->i, y->i, &i) ? overflow(e, "integer")
							      : cel_of_int(i);
	if (x->kind == CEL_UINT)
		return __builtin_sub_overflow(x->u, y->u, &u) ? overflow(e, "unsigned integer")
							      : cel_of_uint(u);
	if (x->kind == CEL_DOUBLE)
		return cel_of_double(x->d - y->d);
	if (x->kind == CEL_DURATION)
		return __builtin_sub_overflow(x->ns, y->ns, &i) ? overflow(e, "duration")
								: cel_of_ns(i);
	if (y->kind == CEL_DURATION)
		return y->ns == INT64_MIN ? overflow(e, "timestamp") : add_ns(e, x, -y->ns);
	__int128 ns = ((__int128)x->time.sec - y->time.sec) * SECOND + x->time.nsec - y->time.nsec;
	return ns > INT64_MAX || ns < INT64_MIN ? overflow(e, "integer") : cel_of_ns((int64_t)ns);
}

FN(multiply)
{
	const struct cel_value *x = &args[0], *y = &args[1];
	int64_t i = 0;
	uint64_t u = 0;
	if (x->kind == CEL_INT)
		return __builtin_mul_overflow(x->i, y->i, &i) ? overflow(e, "integer")
							      : cel_of_int(i);
	if (x->kind == CEL_UINT)
		return __builtin_mul_overflow(x->u, y->u, &u) ? overflow(e, "unsigned integer")
							      : cel_of_uint(u);
	return cel_of_double(x->d * y->d);
}

FN(divide)
{
	const struct cel_value *x = &args[0], *y = &args[1];
	if (x->kind == CEL_DOUBLE)
		return cel_of_double(x->d / y->d);
	if (y->u == 0)
		return cel_fault(e, "division by zero");
	if (x->kind == CEL_UINT)
		return cel_of_uint(x->u / y->u);
	return x->i == INT64_MIN && y->i == -1 ? overflow(e, "integer") : cel_of_int(x->i / y->i);
}

FN(modulo)
{
	const struct cel_value *x = &args[0], *y = &args[1];
	if (y->u == 0)
		return cel_fault(e, "modulus by zero");
	if (x->kind == CEL_UINT)
		return cel_of_uint(x->u % y->u);
	return x->i == INT64_MIN && y->i == -1 ? overflow(e, "integer") : cel_of_int(x->i % y->i);
}

FN(equals)
{
	return cel_of_bool(cel_equal(e, &args[0], &args[1]));
}

FN(differs)
{
	return cel_of_bool(!cel_equal(e, &args[0], &args[1]));
}

FN(in_list)
{
	struct cel_value k, v;
	for (struct cel_iter it = {.of = &args[1]}; cel_next(e, &it, &k, &v);)
		if (cel_equal(e, &v, &args[0]))
			return cel_of_bool(true);
	return cel_of_bool(false);
}

FN(in_map)
{
	struct cel_value v;
	if (args[1].kind == CEL_OBJECT)
		return cel_of_bool(
			args[0].kind == CEL_STRING && cel_field_find(e, &args[1], args[0].s, &v));
	int found = cel_map_find(e, &args[1], &args[0], &v);
	return found < 0 ? v : cel_of_bool(found > 0);
}

FN(size)
{
	(void)e;
	return cel_of_int((int64_t)cel_size(&args[0]));
}

/* ---- conversions ---- */

static struct cel_value
no_conversion(struct cel_eval *e, const struct cel_value *v, const char *to)
{
	struct str from = cel_type_runtime_name(cel_value_type(e, v));
	return cel_fault(e, "type conversion error from '%.*s' to '%s'", STR_ARG(from), to);
}

FN(same)
{
	(void)e;
	return args[0];
}

FN(type_of)
{
	return cel_of_type(cel_value_type(e, &args[0]));
}

FN(to_bool)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_eq_c(args[0].s, yes[i]) || str_eq_c(args[0].s, no[i]))
			return cel_of_bool(str_eq_c(args[0].s, yes[i]));
	return no_conversion(e, &args[0], "bool");
}

FN(to_bytes)
{
	(void)e;
	return cel_of_bytes(args[0].s);
}

FN(to_double)
{
	double d = 0;
	if (args[0].kind == CEL_INT)
		return cel_of_double((double)args[0].i);
	if (args[0].kind == CEL_UINT)
		return cel_of_double((double)args[0].u);
	static const struct {
		const char *text;
		double d;
	} special[] = {{"NaN", __builtin_nan("")}, {"nan", __builtin_nan("")},
		{"Inf", __builtin_inf()}, {"+Inf", __builtin_inf()}, {"-Inf", -__builtin_inf()},
		{"Infinity", __builtin_inf()}, {"-Infinity", -__builtin_inf()},
		{"inf", __builtin_inf()}, {"-inf", -__builtin_inf()}, {"infinity", __builtin_inf()},
		{"-infinity", -__builtin_inf()}};
	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (str_eq_c(args[0].s, special[i].text))
			return cel_of_double(special[i].d);
	return str_to_double(args[0].s, &d) == 0 ? cel_of_double(d)
						 : no_conversion(e, &args[0], "double");
}

FN(to_int)
{
	const struct cel_value *v = &args[0];
	int64_t i = 0;
	if (v->kind == CEL_DOUBLE)
		return v->d > -9223372036854775808.0 && v->d < 9223372036854775808.0
			? cel_of_int((int64_t)v->d)
			: overflow(e, "integer");
	if (v->kind == CEL_UINT)
		return v->u > (uint64_t)INT64_MAX ? overflow(e, "integer")
						  : cel_of_int((int64_t)v->u);
	if (v->kind == CEL_TIMESTAMP)
		return cel_of_int(v->time.sec);
	if (v->kind == CEL_DURATION)
		return cel_of_int(v->ns);
	struct str s = v->s;
	if (s.n > 1 && s.p[0] == '+' && s.p[1] >= '0' && s.p[1] <= '9')
		s = str_sub(s, 1, SIZE_MAX);
	return str_to_i64(s, &i) == 0 ? cel_of_int(i) : no_conversion(e, v, "int");
}

FN(to_uint)
{
	const struct cel_value *v = &args[0];
	uint64_t u = 0;
	if (v->kind == CEL_DOUBLE)
		return v->d >= 0 && v->d < 18446744073709551616.0 ? cel_of_uint((uint64_t)v->d)
								  : overflow(e, "unsigned integer");
	if (v->kind == CEL_INT)
		return v->i < 0 ? overflow(e, "unsigned integer") : cel_of_uint((uint64_t)v->i);
	return str_to_u64(v->s, &u) == 0 ? cel_of_uint(u) : no_conversion(e, v, "uint");
}

FN(to_duration)
{
	int64_t ns = 0;
	return cel_parse_duration(args[0].s, &ns)
		? cel_of_ns(ns)
		: no_conversion(e, &args[0], "google.protobuf.Duration");
}

FN(to_timestamp)
{
	struct cel_value v;
	if (args[0].kind == CEL_INT)
		return args[0].i < MIN_SEC || args[0].i > MAX_SEC ? overflow(e, "timestamp")
								  : cel_of_time(args[0].i, 0);
	return cel_parse_time(args[0].s, &v)
		? v
		: no_conversion(e, &args[0], "google.protobuf.Timestamp");
}

FN(to_string)
{
	const struct cel_value *v = &args[0];
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	switch (v->kind) {
	case CEL_BOOL:
		buf_cstr(&b, v->b ? "true" : "false");
		break;
	case CEL_INT:
		buf_i64(&b, v->i);
		break;
	case CEL_UINT:
		buf_u64(&b, v->u);
		break;
	case CEL_DOUBLE:
		cel_put_double(&b, v->d);
		break;
	case CEL_DURATION:
		cel_put_duration(&b, v->ns);
		break;
	case CEL_TIMESTAMP:
		cel_put_time(&b, v);
		break;
	case CEL_BYTES:
		if (!str_is_utf8(v->s))
			return cel_fault(e, "invalid UTF-8 in bytes, cannot convert to string");
		return cel_of_string(v->s);
	case CEL_DYN:
	case CEL_NULL:
	case CEL_STRING:
	case CEL_LIST:
	case CEL_MAP:
	case CEL_OBJECT:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		return cel_no_overload(e);
	}
	return cel_of_string(buf_view(&b));
}

/* ---- strings of the language itself ---- */

FN(contains)
{
	(void)e;
	return cel_of_bool(str_find(args[0].s, args[1].s) >= 0);
}

FN(starts_with)
{
	(void)e;
	return cel_of_bool(str_starts(args[0].s, args[1].s));
}

FN(ends_with)
{
	(void)e;
	return cel_of_bool(str_ends(args[0].s, args[1].s));
}

static const struct cel_fn_row rows[] = {
	{"!_", "logical_not", "bool(bool)", not, COST_ONE},
	{"-_", "negate_double", "double(double)", negate, COST_ONE},
	{"-_", "negate_int64", "int(int)", negate, COST_ONE},
	{"@in", "in_list", "bool(A, list(A))", in_list, COST_IN},
	{"@in", "in_map", "bool(A, map(A, B))", in_map, COST_ONE},
	{"@not_strictly_false", "not_strictly_false", "bool(bool)", NULL, COST_ONE},
	{"_!=_", "not_equals", "bool(A, A)", differs, COST_COMPARE},
	{"_==_", "equals", "bool(A, A)", equals, COST_COMPARE},
	{"_%_", "modulo_int64", "int(int, int)", modulo, COST_ONE},
	{"_%_", "modulo_uint64", "uint(uint, uint)", modulo, COST_ONE},
	{"_&&_", "logical_and", "bool(bool, bool)", NULL, COST_LOGIC},
	{"_||_", "logical_or", "bool(bool, bool)", NULL, COST_LOGIC},
	{"_?_:_", "conditional", "A(bool, A, A)", NULL, COST_CONDITIONAL},
	{"_[_]", "index_list", "A(list(A), int)", NULL, COST_INDEX_LIST},
	{"_[_]", "index_map", "B(map(A, B), A)", NULL, COST_INDEX_MAP},
	{"_[_]", "optional_list_index_int", "optional_type(V)(optional_type(list(V)), int)", NULL,
		COST_ONE},
	{"_[_]", "optional_map_index_value", "optional_type(V)(optional_type(map(K, V)), K)", NULL,
		COST_ONE},
	{"_*_", "multiply_double", "double(double, double)", multiply, COST_ONE},
	{"_*_", "multiply_int64", "int(int, int)", multiply, COST_ONE},
	{"_*_", "multiply_uint64", "uint(uint, uint)", multiply, COST_ONE},
	{"_+_", "add_bytes", "bytes(bytes, bytes)", add, COST_CONCAT},
	{"_+_", "add_double", "double(double, double)", add, COST_ONE},
	{"_+_", "add_duration_duration", "duration(duration, duration)", add, COST_ONE},
	{"_+_", "add_duration_timestamp", "timestamp(duration, timestamp)", add, COST_ONE},
	{"_+_", "add_timestamp_duration", "timestamp(timestamp, duration)", add, COST_ONE},
	{"_+_", "add_int64", "int(int, int)", add, COST_ONE},
	{"_+_", "add_list", "list(A)(list(A), list(A))", add, COST_CONCAT_LIST},
	{"_+_", "add_string", "string(string, string)", add, COST_CONCAT},
	{"_+_", "add_uint64", "uint(uint, uint)", add, COST_ONE},
	{"_-_", "subtract_double", "double(double, double)", subtract, COST_ONE},
	{"_-_", "subtract_duration_duration", "duration(duration, duration)", subtract, COST_ONE},
	{"_-_", "subtract_int64", "int(int, int)", subtract, COST_ONE},
	{"_-_", "subtract_timestamp_duration", "timestamp(timestamp, duration)", subtract,
		COST_ONE},
	{"_-_", "subtract_timestamp_timestamp", "duration(timestamp, timestamp)", subtract,
		COST_ONE},
	{"_-_", "subtract_uint64", "uint(uint, uint)", subtract, COST_ONE},
	{"_/_", "divide_double", "double(double, double)", divide, COST_ONE},
	{"_/_", "divide_int64", "int(int, int)", divide, COST_ONE},
	{"_/_", "divide_uint64", "uint(uint, uint)", divide, COST_ONE},
	{"size", "size_bytes", "int(bytes)", size, COST_ONE},
	{"size", "bytes_size", ".int(bytes)", size, COST_ONE},
	{"size", "size_list", "int(list(A))", size, COST_ONE},
	{"size", "list_size", ".int(list(A))", size, COST_ONE},
	{"size", "size_map", "int(map(A, B))", size, COST_ONE},
	{"size", "map_size", ".int(map(A, B))", size, COST_ONE},
	{"size", "size_string", "int(string)", size, COST_ONE},
	{"size", "string_size", ".int(string)", size, COST_ONE},
	{"contains", "contains_string", ".bool(string, string)", contains, COST_CONTAINS},
	{"startsWith", "starts_with_string", ".bool(string, string)", starts_with, COST_ARG1},
	{"endsWith", "ends_with_string", ".bool(string, string)", ends_with, COST_ARG1},
	{"bool", "bool_to_bool", "bool(bool)", same, COST_ONE},
	{"bool", "string_to_bool", "bool(string)", to_bool, COST_ONE},
	{"bytes", "bytes_to_bytes", "bytes(bytes)", same, COST_ONE},
	{"bytes", "string_to_bytes", "bytes(string)", to_bytes, COST_TO_BYTES},
	{"double", "double_to_double", "double(double)", same, COST_ONE},
	{"double", "int64_to_double", "double(int)", to_double, COST_ONE},
	{"double", "string_to_double", "double(string)", to_double, COST_ONE},
	{"double", "uint64_to_double", "double(uint)", to_double, COST_ONE},
	{"duration", "duration_to_duration", "duration(duration)", same, COST_ONE},
	{"duration", "string_to_duration", "duration(string)", to_duration, COST_ONE},
	{"dyn", "to_dyn", "dyn(A)", same, COST_ONE},
	{"int", "int64_to_int64", "int(int)", same, COST_ONE},
	{"int", "double_to_int64", "int(double)", to_int, COST_ONE},
	{"int", "duration_to_int64", "int(duration)", to_int, COST_ONE},
	{"int", "string_to_int64", "int(string)", to_int, COST_ONE},
	{"int", "timestamp_to_int64", "int(timestamp)", to_int, COST_ONE},
	{"int", "uint64_to_int64", "int(uint)", to_int, COST_ONE},
	{"string", "string_to_string", "string(string)", same, COST_ONE},
	{"string", "bool_to_string", "string(bool)", to_string, COST_ONE},
	{"string", "bytes_to_string", "string(bytes)", to_string, COST_TO_STRING},
	{"string", "double_to_string", "string(double)", to_string, COST_ONE},
	{"string", "duration_to_string", "string(duration)", to_string, COST_ONE},
	{"string", "int64_to_string", "string(int)", to_string, COST_ONE},
	{"string", "timestamp_to_string", "string(timestamp)", to_string, COST_ONE},
	{"string", "uint64_to_string", "string(uint)", to_string, COST_ONE},
	{"timestamp", "timestamp_to_timestamp", "timestamp(timestamp)", same, COST_ONE},
	{"timestamp", "int64_to_timestamp", "timestamp(int)", to_timestamp, COST_ONE},
	{"timestamp", "string_to_timestamp", "timestamp(string)", to_timestamp, COST_ONE},
	{"type", "type", "type(A)(A)", type_of, COST_ONE},
	{"uint", "uint64_to_uint64", "uint(uint)", same, COST_ONE},
	{"uint", "double_to_uint64", "uint(double)", to_uint, COST_ONE},
	{"uint", "int64_to_uint64", "uint(int)", to_uint, COST_ONE},
	{"uint", "string_to_uint64", "uint(string)", to_uint, COST_ONE},
};
const struct cel_fn_table cel_fns_std = {rows, ARRAY_LEN(rows)};
