/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fns: the table of functions: the rows of all libraries, their signatures read once, grouped by name. Immutable and
 * shared by all threads when made. */
#include "orchestrator/cel/cel_int.h"

#include <pthread.h>

static const struct cel_fn_table *const tables[] = {&cel_fns_std, &cel_fns_compare, &cel_fns_time,
	&cel_fns_optional, &cel_fns_strings, &cel_fns_lists, &cel_fns_sets, &cel_fns_regex,
	&cel_fns_url, &cel_fns_net, &cel_fns_quantity, &cel_fns_semver, &cel_fns_names,
	&cel_fns_patch, &cel_fns_authz};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct arena *kept __attribute__((used)); /* for the life of the process */
static struct cel_fn_group *groups;
static size_t n_groups;

struct signature {
	struct arena *a;
	struct str rest;
	struct str vars[4];
	uint8_t n_vars;
};

static struct str
word(struct signature *s)
{
	size_t n = 0;
	while (n < s->rest.n && !strchr("(), ", s->rest.p[n]))
		n++;
	struct str w = str_sub(s->rest, 0, n);
	s->rest = str_sub(s->rest, n, SIZE_MAX);
	return w;
}

static bool
skip(struct signature *s, char c)
{
	if (s->rest.n == 0 || s->rest.p[0] != c)
		return false;
	s->rest = str_sub(s->rest, 1, SIZE_MAX);
	while (s->rest.n && s->rest.p[0] == ' ')
		s->rest = str_sub(s->rest, 1, SIZE_MAX);
	return true;
}

static const struct cel_type *
variable(struct signature *s, struct str name)
{
	uint8_t i = 0;
	while (i < s->n_vars && !str_eq(s->vars[i], name))
		i++;
	if (i == s->n_vars) {
		BUG_ON(s->n_vars == ARRAY_LEN(s->vars));
		s->vars[s->n_vars++] = name;
	}
	struct cel_type *t = ARENA_NEW(s->a, struct cel_type);
	BUG_ON(!t);
	*t = (struct cel_type){.kind = CEL__PARAM, .name = name, .number = i, .max = CEL_NO_MAX};
	return t;
}

/* No deeper than the signatures of the tables are. */
static const struct cel_type *
read_type(struct signature *s)
{
	struct str w = word(s);
	if (w.n == 1)
		return variable(s, w);
	const struct cel_type *x = NULL, *y = NULL;
	if (str_eq_c(w, "list") || str_eq_c(w, "optional_type") || str_eq_c(w, "map") ||
		(str_eq_c(w, "type") && s->rest.n && s->rest.p[0] == '(')) {
		skip(s, '(');
		x = read_type(s);
		if (skip(s, ','))
			y = read_type(s);
		skip(s, ')');
		return y                      ? cel_type_map(s->a, x, y, 0)
			: str_eq_c(w, "list") ? cel_type_list(s->a, x, 0)
			: str_eq_c(w, "type") ? cel_type_of_type(s->a, x)
					      : cel_type_optional(s->a, x);
	}
	if (str_eq_c(w, "dyn"))
		return cel_type_basic(CEL_DYN);
	if (str_eq_c(w, "timestamp"))
		return cel_type_basic(CEL_TIMESTAMP);
	if (str_eq_c(w, "duration"))
		return cel_type_basic(CEL_DURATION);
	x = cel_type_named(w);
	BUG_ON(!x);
	return x;
}

static const struct cel_fn *
read_row(struct arena *a, const struct cel_fn_row *row)
{
	struct cel_fn *fn = ARENA_NEW(a, struct cel_fn);
	struct signature s = {.a = a, .rest = str_c(row->signature)};
	BUG_ON(!fn);
	fn->row = row;
	fn->member = skip(&s, '.');
	fn->result = read_type(&s);
	skip(&s, '(');
	while (!skip(&s, ')')) {
		BUG_ON(fn->n_args == ARRAY_LEN(fn->args) || s.rest.n == 0);
		fn->args[fn->n_args++] = read_type(&s);
		skip(&s, ',');
	}
	fn->n_vars = s.n_vars;
	return fn;
}

static struct cel_fn_group *
group_of(struct arena *a, struct str name)
{
	for (size_t i = 0; i < n_groups; i++)
		if (str_eq(groups[i].name, name))
			return &groups[i];
	struct cel_fn_group *g = ARENA_PUSH(a, groups, n_groups);
	BUG_ON(!g);
	g->name = name;
	return g;
}

static void
make(void)
{
	struct arena *a = kept = arena_new(0);
	BUG_ON(!a);
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (size_t i = 0; i < tables[t]->n; i++) {
			const struct cel_fn_row *row = &tables[t]->rows[i];
			struct cel_fn_group *g = group_of(a, str_c(row->name));
			const struct cel_fn **fns = NULL;
			fns = (const struct cel_fn **)(uintptr_t)g->fns;
			const struct cel_fn **slot = ARENA_PUSH(a, fns, g->n);
			BUG_ON(!slot);
			*slot = read_row(a, row);
			g->fns = fns;
		}
}

const struct cel_fn_group *
cel_fns_find(struct str name)
{
	BUG_ON(pthread_once(&once, make) != 0);
	for (size_t i = 0; i < n_groups; i++)
		if (str_eq(groups[i].name, name))
			return &groups[i];
	return NULL;
}
