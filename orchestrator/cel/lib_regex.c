/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_regex: matches, find and findAll. Constant patterns are checked when the program is made. Source: RE2;
 * k8s.io/apiserver pkg/cel/library/regex.go. */
#include "base/regex.h"
#include "orchestrator/cel/cel_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static struct cel_value
broken(struct cel_eval *e, int rc)
{
	if (rc == -ENOMEM)
		e->stop = rc;
	return cel_fault(e, "regular expression takes too long");
}

/* The pattern, compiled; a fault = it is none. The last one is kept: in a fold it is the same again and again. */
static const struct regex *
compiled(struct cel_eval *e, struct str pattern, const char *what, struct cel_value *fault)
{
	if (e->regex && str_eq(pattern, e->pattern))
		return e->regex;
	struct err why = {0};
	const struct regex *re = NULL;
	int rc = regex_compile(e->a, pattern, &re, &why);
	if (rc == -ENOMEM)
		e->stop = rc;
	if (rc < 0) {
		*fault = cel_fault(e, "%s%s", what, why.msg);
		return NULL;
	}
	e->regex = re;
	e->pattern = pattern;
	return re;
}

FN(matches)
{
	struct cel_value fault = cel_null();
	const struct regex *re = compiled(e, args[1].s, "", &fault);
	int rc = re ? regex_match(re, args[0].s) : 0;
	if (rc < 0)
		return broken(e, rc);
	return re ? cel_of_bool(rc == 1) : fault;
}

FN(find)
{
	struct cel_value fault = cel_null();
	size_t from = 0, to = 0;
	const struct regex *re = compiled(e, args[1].s, "Illegal regex: ", &fault);
	int rc = re ? regex_find(re, args[0].s, 0, &from, &to) : 0;
	if (rc < 0)
		return broken(e, rc);
	return re ? cel_of_string(rc == 1 ? str_sub(args[0].s, from, to) : STR("")) : fault;
}

FN(find_all)
{
	struct cel_value fault = cel_null(), *items = NULL;
	size_t count = 0, pos = 0, from = 0, to = 0, end = SIZE_MAX;
	int64_t most = n > 2 ? args[2].i : -1;
	struct str s = args[0].s;
	const struct regex *re = compiled(e, args[1].s, "Illegal regex: ", &fault);
	if (!re)
		return fault;
	while (pos <= s.n && (most < 0 || (int64_t)count < most)) {
		int rc = regex_find(re, s, pos, &from, &to);
		if (rc < 0)
			return broken(e, rc);
		if (rc == 0)
			break;
		uint32_t r = 0;
		if (to > from || from != end) { /* an empty match right behind a match is none */
			struct cel_value *slot = ARENA_PUSH(e->a, items, count);
			if (!slot) {
				e->stop = -ENOMEM;
				break;
			}
			*slot = cel_of_string(str_sub(s, from, to));
			end = to;
		}
		pos = to > from ? to : from < s.n ? from + cel_rune_next(s, from, &r) : from + 1;
	}
	return cel_list_of(e, items, count);
}

static const struct cel_fn_row rows[] = {
	{"matches", "matches", "bool(string, string)", matches, COST_MATCHES},
	{"matches", "matches_string", ".bool(string, string)", matches, COST_MATCHES},
	{"find", "string_find_string", ".string(string, string)", find, COST_FIND},
	{"findAll", "string_find_all_string", ".list(string)(string, string)", find_all, COST_FIND},
	{"findAll", "string_find_all_string_int", ".list(string)(string, string, int)", find_all,
		COST_FIND},
};
const struct cel_fn_table cel_fns_regex = {rows, ARRAY_LEN(rows)};
