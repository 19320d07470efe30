/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_optional: values that may be none. or and orValue are the evaluator's: they look at their argument only when it
 * is needed. Source: cel-go cel/library.go (OptionalTypes). */
#include "orchestrator/cel/cel_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

FN(none)
{
	(void)e;
	(void)args;
	return cel_none();
}

FN(some)
{
	return cel_some(e, args[0]);
}

static bool
is_zero(const struct cel_value *v)
{
	switch (v->kind) {
	case CEL_NULL:
		return true;
	case CEL_BOOL:
		return !v->b;
	case CEL_INT:
	case CEL_UINT:
	case CEL_DURATION:
		return v->u == 0;
	case CEL_DOUBLE:
		return v->d == 0;
	case CEL_STRING:
	case CEL_BYTES:
		return v->s.n == 0;
	case CEL_LIST:
	case CEL_MAP:
		return cel_size(v) == 0;
	case CEL_OBJECT:
		return v->from_doc && cel_size(v) == 0;
	case CEL_TIMESTAMP:
		return v->time.sec == -62135596800 && v->time.nsec == 0;
	case CEL_OPTIONAL:
		return !cel_has_value(v);
	case CEL_DYN:
	case CEL_TYPE:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	return false;
}

FN(of_non_zero)
{
	return is_zero(&args[0]) ? cel_none() : cel_some(e, args[0]);
}

FN(value)
{
	return cel_has_value(&args[0]) ? cel_unwrap(&args[0])
				       : cel_fault(e, "optional.none() dereference");
}

FN(has_value)
{
	(void)e;
	return cel_of_bool(cel_has_value(&args[0]));
}

FN(first)
{
	return cel_size(&args[0]) ? cel_some(e, cel_list_get(e, &args[0], 0)) : cel_none();
}

FN(last)
{
	size_t size = cel_size(&args[0]);
	return size ? cel_some(e, cel_list_get(e, &args[0], size - 1)) : cel_none();
}

FN(unwrap)
{
	size_t count = 0;
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, cel_size(&args[0])), k, v;
	for (struct cel_iter it = {.of = &args[0]}; items && cel_next(e, &it, &k, &v);) {
		if (v.kind != CEL_OPTIONAL) {
			struct str text = cel_to_text(e, &v);
			return cel_fault(e, "value %.*s is not optional", STR_ARG(text));
		}
		if (cel_has_value(&v))
			items[count++] = cel_unwrap(&v);
	}
	return cel_list_of(e, items, count);
}

#define OPT "optional_type(V)"
static const struct cel_fn_row rows[] = {
	{"_?._", "select_optional_field", OPT "(dyn, string)", NULL, COST_ONE},
	{"_[?_]", "list_optindex_optional_int", OPT "(list(V), int)", NULL, COST_ONE},
	{"_[?_]", "optional_list_optindex_optional_int", OPT "(optional_type(list(V)), int)", NULL,
		COST_ONE},
	{"_[?_]", "map_optindex_optional_value", OPT "(map(K, V), K)", NULL, COST_ONE},
	{"_[?_]", "optional_map_optindex_optional_value", OPT "(optional_type(map(K, V)), K)", NULL,
		COST_ONE},
	{"cel.@mapInsert", "@mapInsert_map_key_value", "map(K, V)(map(K, V), K, V)", NULL,
		COST_ONE},
	{"cel.@mapInsert", "@mapInsert_map_map", "map(K, V)(map(K, V), map(K, V))", NULL, COST_ONE},
	{"first", "list_first", "." OPT "(list(V))", first, COST_ONE},
	{"last", "list_last", "." OPT "(list(V))", last, COST_ONE},
	{"hasValue", "optional_hasValue", ".bool(optional_type(V))", has_value, COST_ONE},
	{"optional.none", "optional_none", OPT "()", none, COST_ONE},
	{"optional.of", "optional_of", OPT "(V)", some, COST_ONE},
	{"optional.ofNonZeroValue", "optional_ofNonZeroValue", OPT "(V)", of_non_zero, COST_ONE},
	{"optional.unwrap", "optional_unwrap", "list(V)(list(optional_type(V)))", unwrap, COST_ONE},
	{"unwrapOpt", "optional_unwrapOpt", ".list(V)(list(optional_type(V)))", unwrap, COST_ONE},
	{"or", "optional_or_optional", "." OPT "(optional_type(V), optional_type(V))", NULL,
		COST_ONE},
	{"orValue", "optional_orValue_value", ".V(optional_type(V), V)", NULL, COST_ONE},
	{"value", "optional_value", ".V(optional_type(V))", value, COST_ONE},
};
const struct cel_fn_table cel_fns_optional = {rows, ARRAY_LEN(rows)};
