/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema: looking things up in the tables. Kinds are ordered by (group, version, kind), types likewise,
 * fields have an index by name and one by protobuf number; the rest is a walk over some eighty rows.
 * Must not: change a table. */
#include "orchestrator/schema/schema.h"

extern const struct schema schema_tables; /* gen/kinds/tables.c */

const struct schema *
schema_builtin(void)
{
	return &schema_tables;
}

static int
order(const char *g1, const char *v1, const char *n1, struct str g2, struct str v2, struct str n2)
{
	int c = str_cmp(str_c(g1), g2);

	if (c == 0)
		c = str_cmp(str_c(v1), v2);
	return c ? c : str_cmp(str_c(n1), n2);
}

const struct schema *
schema_extend(struct arena *a, const struct schema *base, const struct schema_kind *const *kinds,
	size_t n)
{
	struct schema *s = ARENA_NEW(a, struct schema);
	const struct schema_kind **all = ARENA_ARRAY(
		a, const struct schema_kind *, base->n_kinds + n);
	struct schema_group_version *groups = ARENA_ARRAY(
		a, struct schema_group_version, base->n_groups + n);

	if (s == NULL || all == NULL || groups == NULL)
		return NULL;
	*s = *base;
	memcpy(all, base->kinds, base->n_kinds * sizeof(*all));
	memcpy(groups, base->groups, base->n_groups * sizeof(*groups));
	for (size_t i = 0; i < n; i++) {
		const struct schema_kind *k = kinds[i];
		size_t at = s->n_kinds;
		bool known = false;

		while (at > 0 &&
			order(all[at - 1]->group, all[at - 1]->version, all[at - 1]->kind,
				str_c(k->group), str_c(k->version), str_c(k->kind)) > 0) {
			all[at] = all[at - 1];
			at--;
		}
		all[at] = k;
		s->n_kinds++;
		for (size_t j = 0; j < s->n_groups; j++)
			known |= strcmp(groups[j].group, k->group) == 0 &&
				strcmp(groups[j].version, k->version) == 0;
		if (!known)
			groups[s->n_groups++] = (struct schema_group_version){k->group, k->version};
	}
	s->kinds = all;
	s->groups = groups;
	return s;
}

const struct schema_kind *
schema_kind_find(const struct schema *s, struct str group, struct str version, struct str kind)
{
	size_t lo = 0, hi = s->n_kinds;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_kind *k = s->kinds[mid];
		int c = order(k->group, k->version, k->kind, group, version, kind);

		if (c == 0)
			return k;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct schema_kind *
schema_resource_find(
	const struct schema *s, struct str group, struct str version, struct str plural)
{
	const struct schema_kind *found = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		if (!str_eq_c(plural, k->plural) || !str_eq_c(group, k->group))
			continue;
		if (version.n) {
			if (str_eq_c(version, k->version))
				return k;
			continue;
		}
		for (size_t j = 0; j < s->n_groups && j < best; j++) {
			if (strcmp(s->groups[j].group, k->group) == 0 &&
				strcmp(s->groups[j].version, k->version) == 0) {
				best = j;
				found = k;
			}
		}
	}
	return found;
}

static bool
has_name(const struct schema_kind *k, struct str name)
{
	if (str_eq_nocase(name, str_c(k->plural)) || str_eq_nocase(name, str_c(k->singular)) ||
		str_eq_nocase(name, str_c(k->kind)))
		return true;
	for (const char *const *p = k->short_names; *p; p++)
		if (str_eq_c(name, *p))
			return true;
	return false;
}

const struct schema_kind *
schema_resource_any(const struct schema *s, struct str name)
{
	for (size_t g = 0; g < s->n_groups; g++) {
		for (size_t i = 0; i < s->n_kinds; i++) {
			const struct schema_kind *k = s->kinds[i];

			if ((k->flags & SCHEMA_KIND_SERVED) &&
				strcmp(k->group, s->groups[g].group) == 0 &&
				strcmp(k->version, s->groups[g].version) == 0 && has_name(k, name))
				return k;
		}
	}
	return NULL;
}

const struct schema_type *
schema_type_find(const struct schema *s, struct str group, struct str version, struct str name)
{
	size_t lo = 0, hi = s->n_types;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_type *t = s->types[mid];
		int c = order(t->group, t->version, t->name, group, version, name);

		if (c == 0)
			return t;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* "v2beta1" -> 2, 1 (0 alpha, 1 beta, 2 neither), 1; false: no such name. */
static bool
version_parts(struct str s, uint64_t *major, int *stage, uint64_t *minor)
{
	ptrdiff_t alpha = str_find(s, STR("alpha")), beta = str_find(s, STR("beta"));
	ptrdiff_t at = alpha > 0 ? alpha : beta;
	struct str tail = STR_NONE;

	*minor = 0;
	*stage = alpha > 0 ? 0 : beta > 0 ? 1 : 2;
	if (s.n < 2 || s.p[0] != 'v' || s.p[1] == '0')
		return false;
	if (at > 0)
		tail = str_sub(s, (size_t)at + (alpha > 0 ? 5 : 4), SIZE_MAX);
	return str_to_u64(str_sub(s, 1, at > 0 ? (size_t)at : SIZE_MAX), major) == 0 &&
		(at <= 0 || str_to_u64(tail, minor) == 0);
}

int
schema_version_compare(struct str a, struct str b)
{
	uint64_t major[2] = {0}, minor[2] = {0};
	int stage[2] = {0};
	bool x = version_parts(a, &major[0], &stage[0], &minor[0]);
	bool y = version_parts(b, &major[1], &stage[1], &minor[1]);

	if (x != y)
		return x ? -1 : 1;
	if (!x)
		return str_cmp(a, b);
	if (stage[0] != stage[1])
		return stage[1] - stage[0];
	if (major[0] != major[1])
		return major[0] > major[1] ? -1 : 1;
	return minor[0] == minor[1] ? 0 : minor[0] > minor[1] ? -1 : 1;
}

const struct schema_subresource *
schema_subresource_find(const struct schema_kind *k, struct str name)
{
	for (size_t i = 0; i < k->n_subs; i++)
		if (str_eq_c(name, k->subs[i].name))
			return &k->subs[i];
	return NULL;
}

const struct schema_field *
schema_field_find(const struct schema_type *t, struct str name)
{
	size_t lo = 0, hi = t->n_fields;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_field *f = &t->fields[t->by_name[mid]];
		int c = str_cmp(schema_field_name(f), name);

		if (c == 0)
			return f;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct schema_field *
schema_field_by_number(const struct schema_type *t, uint32_t number)
{
	size_t lo = 0, hi = t->n_numbers;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_field *f = &t->fields[t->by_number[mid]];

		if (f->number == number)
			return f;
		if (f->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct schema_field *
schema_field_at(const struct schema_type *t, struct str path)
{
	const struct schema_field *f = NULL;
	struct str part = STR_NONE;

	while (str_next(&path, '.', &part)) {
		ptrdiff_t bracket = str_find_char(part, '[');

		if (t == NULL)
			return NULL;
		f = schema_field_find(t, bracket < 0 ? part : str_sub(part, 0, (size_t)bracket));
		if (f == NULL)
			return NULL;
		t = f->type;
	}
	return f;
}

struct str
schema_api_version(struct arena *a, const char *group, const char *version)
{
	return group[0] ? arena_fmt(a, "%s/%s", group, version) : str_c(version);
}

void
schema_api_version_split(struct str api_version, struct str *ret_group, struct str *ret_version)
{
	struct str head = STR_NONE, tail = STR_NONE;

	if (str_cut(api_version, '/', &head, &tail)) {
		*ret_group = head;
		*ret_version = tail;
	} else {
		*ret_group = STR("");
		*ret_version = api_version;
	}
}
