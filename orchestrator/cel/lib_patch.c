/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_patch: the objects that changes to others are written in: Object{}, Object.spec{} and so on, with members of any
 * name, and JSONPatch{}. See cel_admission.h.
 * Source: k8s.io/apiserver pkg/cel/mutation, pkg/cel/library/jsonpatch.go. */
#include "orchestrator/cel/lib_int.h"

static struct cel_value
escape_key(struct cel_eval *e, const struct cel_value *args, size_t n)
{
	struct str s = args[0].s;
	struct buf b;
	(void)n;
	buf_init_arena(&b, e->a);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '~')
			buf_cstr(&b, "~0");
		else if (s.p[i] == '/')
			buf_cstr(&b, "~1");
		else
			buf_char(&b, s.p[i]);
	return cel_of_string(buf_view(&b));
}

static const struct cel_fn_row rows[] = {
	{"jsonpatch.escapeKey", "string_jsonpatch_escapeKey_string", "string(string)", escape_key,
		COST_URL},
};
const struct cel_fn_table cel_fns_patch = {rows, ARRAY_LEN(rows)};

const struct cel_env *
cel_env_patches(struct arena *a, const struct cel_variable *vars, size_t n)
{
	const struct cel_env *made = cel_env_new(a, vars, n);
	struct cel_env *env = made ? ARENA_NEW(a, struct cel_env) : NULL;
	if (!env)
		return NULL;
	*env = *made;
	env->patches = true;
	return env;
}

const struct cel_type *
cel_patch_type(struct arena *a, struct str name)
{
	const struct cel_type *text = cel_type_basic(CEL_STRING);
	const struct cel_field members[] = {{STR("from"), text}, {STR("op"), text},
		{STR("path"), text}, {STR("value"), cel_type_basic(CEL_DYN)}};
	if (str_eq(name, STR("JSONPatch")))
		return cel_type_object(a, name, members, ARRAY_LEN(members));
	if (!str_eq(name, STR("Object")) && !str_starts(name, STR("Object.")))
		return NULL;
	struct cel_type *t = ARENA_NEW(a, struct cel_type);
	if (t)
		*t = (struct cel_type){.kind = CEL_OBJECT,
			.open = true,
			.name = arena_str(a, name),
			.max = CEL_NO_MAX,
			.min_size = 2};
	return t;
}

/* ---- are they in their places? --------------------------------------------------------------------- */

struct places {
	struct arena *a;
	struct buf said;
};

static void
place_wrong(struct places *p, struct str got, struct str want)
{
	buf_fmt(&p->said,
		"%sunexpected type name \"" STR_FMT "\", expected \"" STR_FMT
		"\", which matches field name path from root Object type",
		p->said.len ? "\n" : "", STR_ARG(got), STR_ARG(want));
}

/* Maps and lists between objects have no names. No deeper than the expression that made them. */
static void
place_check(struct places *p, const struct cel_value *v, struct str path, unsigned depth)
{
	if (v->from_doc || depth > CEL_MAX_DEPTH)
		return;
	if (v->kind == CEL_OBJECT && v->type && v->type->open) {
		const struct cel_message *m = v->own;
		if (!str_eq(v->type->name, path))
			place_wrong(p, v->type->name, path);
		for (size_t i = 0; i < m->n; i++)
			place_check(p, &m->values[i],
				arena_fmt(p->a, STR_FMT "." STR_FMT, STR_ARG(path),
					STR_ARG(m->names[i])),
				depth + 1);
	} else if (v->kind == CEL_LIST) {
		const struct cel_list *l = v->own;
		for (size_t i = 0; l && i < l->n; i++)
			place_check(p, &l->items[i], path, depth + 1);
	} else if (v->kind == CEL_MAP) {
		const struct cel_map *m = v->own;
		for (size_t i = 0; m && i < m->n; i++)
			place_check(p, &m->values[i], path, depth + 1);
	}
}

static void
root_check(struct places *p, const struct cel_value *v)
{
	if (v->kind == CEL_OBJECT && !v->from_doc && v->type && v->type->open)
		place_check(p, v, v->type->name, 0);
}

int
cel_check_patch(struct arena *a, const struct cel_value *v, struct err *e)
{
	struct places p = {.a = a};
	const struct cel_list *l = v->kind == CEL_LIST && !v->from_doc ? v->own : NULL;
	buf_init_arena(&p.said, a);
	root_check(&p, v);
	for (size_t i = 0; l && i < l->n; i++) {
		const struct cel_message *m = l->items[i].from_doc ? NULL : l->items[i].own;
		for (size_t k = 0; l->items[i].kind == CEL_OBJECT && m && k < m->n; k++)
			if (str_eq(m->names[k], STR("value")))
				root_check(&p, &m->values[k]);
	}
	if (arena_failed(a))
		return -ENOMEM;
	if (p.said.len == 0)
		return 0;
	return err_set(e, -EINVAL, R_INVALID, STR_FMT, STR_ARG(buf_view(&p.said)));
}
