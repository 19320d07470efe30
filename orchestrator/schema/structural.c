/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural: makes the nodes of a custom resource's schema. See schema_structural.h. */
#include "orchestrator/schema/structural_int.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
	struct str name;
	unsigned bit;
} type_names[] = {
	{STR_INIT("string"), STRUCTURAL_STRING},
	{STR_INIT("integer"), STRUCTURAL_INTEGER},
	{STR_INIT("number"), STRUCTURAL_NUMBER},
	{STR_INIT("boolean"), STRUCTURAL_BOOLEAN},
	{STR_INIT("array"), STRUCTURAL_ARRAY},
	{STR_INIT("object"), STRUCTURAL_OBJECT},
};

unsigned
structural_types_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (str_eq(name, type_names[i].name))
			return type_names[i].bit;
	return 0;
}

struct compile {
	struct arena *a;
	int rc;
};

static const struct structural *node_of(struct compile *c, const struct doc *d, size_t depth);

static int
by_name(const void *x, const void *y)
{
	const struct structural_prop *a = x, *b = y;

	return str_cmp(a->name, b->name);
}

static void
list_of(struct compile *c, const struct doc *d, struct structural_list_of *out, size_t depth)
{
	DOC_EACH (x, d) {
		const struct structural *n = node_of(c, x, depth);
		const struct structural **slot = n ? ARENA_PUSH(c->a, out->nodes, out->n) : NULL;

		if (slot)
			*slot = n;
	}
}

static const struct doc *
number_of(const struct doc *d, const char *name)
{
	const struct doc *v = doc_get(d, str_c(name));

	return v && (v->type == DOC_INT || v->type == DOC_DOUBLE) ? v : NULL;
}

static const struct doc *
list_member(const struct doc *d, const char *name)
{
	const struct doc *v = doc_get(d, str_c(name));

	return v && v->type == DOC_LIST && v->n ? v : NULL;
}

static bool
has_values(const struct doc *d)
{
	static const struct str names[] = {STR_INIT("enum"), STR_INIT("required"),
		STR_INIT("minimum"), STR_INIT("maximum"), STR_INIT("multipleOf"),
		STR_INIT("minLength"), STR_INIT("maxLength"), STR_INIT("minItems"),
		STR_INIT("maxItems"), STR_INIT("minProperties"), STR_INIT("maxProperties"),
		STR_INIT("pattern"), STR_INIT("allOf"), STR_INIT("anyOf"), STR_INIT("oneOf"),
		STR_INIT("not")};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (doc_get(d, names[i]))
			return true;
	return false;
}

static void
values_of(struct compile *c, const struct doc *d, struct structural *n, size_t depth)
{
	struct structural_values *v = NULL;
	const struct doc *not_ = doc_get(d, STR("not"));

	if (!has_values(d))
		return;
	v = ARENA_NEW(c->a, struct structural_values);
	if (v == NULL)
		return;
	*v = (struct structural_values){.enums = list_member(d, "enum"),
		.required = list_member(d, "required"),
		.minimum = number_of(d, "minimum"),
		.maximum = number_of(d, "maximum"),
		.multiple_of = number_of(d, "multipleOf"),
		.min_length = number_of(d, "minLength"),
		.max_length = number_of(d, "maxLength"),
		.min_items = number_of(d, "minItems"),
		.max_items = number_of(d, "maxItems"),
		.min_properties = number_of(d, "minProperties"),
		.max_properties = number_of(d, "maxProperties"),
		.pattern = doc_get_str(d, STR("pattern")),
		.above_minimum = doc_get_bool(d, STR("exclusiveMinimum"), false),
		.below_maximum = doc_get_bool(d, STR("exclusiveMaximum"), false)};
	n->values = v;
	if (v->pattern.n) {
		struct err e = {0};
		int rc = regex_compile(c->a, v->pattern, &v->regex, &e);

		if (rc == -ENOMEM)
			c->rc = rc;
	}
	list_of(c, doc_get(d, STR("allOf")), &v->all_of, depth);
	list_of(c, doc_get(d, STR("anyOf")), &v->any_of, depth);
	list_of(c, doc_get(d, STR("oneOf")), &v->one_of, depth);
	if (not_ && not_->type == DOC_MAP)
		v->not_ = node_of(c, not_, depth);
}

static void
props_of(struct compile *c, const struct doc *d, struct structural *n, size_t depth)
{
	const struct doc *map = doc_get(d, STR("properties"));
	struct structural_prop *props = NULL;

	if (map == NULL || map->type != DOC_MAP || map->n == 0)
		return;
	props = ARENA_ARRAY(c->a, struct structural_prop, map->n);
	if (props == NULL)
		return;
	DOC_EACH (m, map) {
		const struct structural *child = m->dup ? NULL : node_of(c, m, depth);

		if (child == NULL)
			continue;
		props[n->n_props++] = (struct structural_prop){m->key, child};
		n->defaults |= child->defaults;
	}
	qsort(props, n->n_props, sizeof(*props), by_name);
	n->props = props;
}

static void
open_of(struct compile *c, const struct doc *d, struct structural *n, size_t depth)
{
	const struct doc *items = doc_get(d, STR("items"));
	const struct doc *more = doc_get(d, STR("additionalProperties"));

	if (items && items->type == DOC_MAP)
		n->items = node_of(c, items, depth);
	if (more && more->type == DOC_MAP)
		n->additional = node_of(c, more, depth);
	n->closed = more && more->type == DOC_BOOL && !more->b;
	n->any_additional = more && !n->closed;
	n->defaults |= (n->items && n->items->defaults) ||
		(n->additional && n->additional->defaults);
}

static const struct structural *
node_of(struct compile *c, const struct doc *d, size_t depth)
{
	struct structural *n = NULL;
	struct str list = doc_get_str(d, STR("x-kubernetes-list-type"));
	const struct doc *dflt = doc_get(d, STR("default"));

	if (depth > SCHEMA_MAX_WALK)
		c->rc = -E2BIG;
	if (c->rc != 0 || d->type != DOC_MAP)
		return NULL;
	n = ARENA_NEW(c->a, struct structural);
	if (n == NULL) {
		c->rc = -ENOMEM;
		return NULL;
	}
	n->source = d;
	n->types = (uint8_t)structural_types_of(doc_get_str(d, STR("type")));
	n->nullable = doc_get_bool(d, STR("nullable"), false);
	n->preserve = doc_get_bool(d, STR("x-kubernetes-preserve-unknown-fields"), false);
	n->embedded = doc_get_bool(d, STR("x-kubernetes-embedded-resource"), false);
	n->int_or_string = doc_get_bool(d, STR("x-kubernetes-int-or-string"), false);
	if (n->int_or_string)
		n->types = STRUCTURAL_INTEGER | STRUCTURAL_STRING;
	n->list = str_eq_c(list, "set") ? STRUCTURAL_LIST_SET
		: str_eq_c(list, "map") ? STRUCTURAL_LIST_MAP
					: STRUCTURAL_LIST_ATOMIC;
	n->map_keys = list_member(d, "x-kubernetes-list-map-keys");
	n->dflt = dflt && dflt->type != DOC_NULL ? dflt : NULL;
	n->defaults = n->dflt != NULL;
	n->format_name = doc_get_str(d, STR("format"));
	n->format = structural_format_find(n->types, n->format_name);
	props_of(c, d, n, depth + 1);
	open_of(c, d, n, depth + 1);
	values_of(c, d, n, depth + 1);
	return n;
}

const struct structural_rules *structural_rules;

int
structural_compile(struct arena *a, const struct doc *schema, const struct structural **ret)
{
	struct compile c = {.a = a};
	const struct structural *n = node_of(&c, schema, 0);

	if (c.rc != 0)
		return c.rc;
	if (n == NULL || arena_failed(a))
		return -ENOMEM;
	struct structural *root = ARENA_NEW(a, struct structural);
	if (root == NULL)
		return -ENOMEM;
	*root = *n;
	if (structural_rules)
		c.rc = structural_rules->compile(a, root, &root->rules);
	*ret = root;
	return c.rc;
}

const struct structural *
structural_prop_find(const struct structural *n, struct str name)
{
	size_t lo = 0, hi = n->n_props;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(n->props[mid].name, name);

		if (c == 0)
			return n->props[mid].node;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}
