/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_crd_schema: is the OpenAPI schema of a CustomResourceDefinition one that custom resources can be served
 * by: structural (every value's type is said outside of conditions), without what is not supported, with defaults
 * that are valid themselves.
 *
 * Invariants: adds causes only; walks stop at SCHEMA_MAX_WALK. Of expressions in CEL what is said here is about the
 * members around them; the rest is structural_rules'.
 * Source: apiextensions-apiserver pkg/apiserver/schema (validation.go, complete.go, convert.go), pkg/apis/
 * apiextensions/validation (ValidateCustomResourceDefinitionOpenAPISchema); KEP-1693: behaviour and texts. */
#include "orchestrator/schema/checks_crd_int.h"
#include "orchestrator/schema/structural_int.h"

#include <stdlib.h>

struct walk {
	struct schema_errors *errs;
	struct str base;
};

static struct str
where(struct walk *w, const struct step *at)
{
	struct str s = step_text(w->errs->a, at, STEP_PATH);

	return s.n ? arena_fmt(w->errs->a, STR_FMT ".%.*s", STR_ARG(w->base), STR_ARG(s)) : w->base;
}

static struct str
below(struct walk *w, const struct step *at, const char *name)
{
	return arena_fmt(w->errs->a, STR_FMT ".%s", STR_ARG(where(w, at)), name);
}

static bool
has(const struct doc *d, const char *name)
{
	const struct doc *v = get(d, name);

	return v && v->type != DOC_NULL;
}

static bool
filled(const struct doc *d, const char *name)
{
	return !doc_is_zero(get(d, name));
}

#define STEP(up, word) ((struct step){up, STEP_NAME, STR(word), 0, NULL})
#define STEP_AT(up, n) ((struct step){up, STEP_INDEX, STR_NONE, n, NULL})
#define STEP_OF(up, k) ((struct step){up, STEP_KEY, k, 0, NULL})

/* ---- what cannot be made a structural schema at all ---- */

static const struct {
	const char *name;
	const char *text; /* as conversion says it; NULL: only the other words are used */
	const char *forbidden;
} unsupported[] = {
	{"id", "OpenAPIV3Schema 'id' is not supported", "id is not supported"},
	{"additionalItems", "OpenAPIV3Schema 'additionalItems' is not supported",
		"additionalItems is not supported"},
	{"patternProperties", "OpenAPIV3Schema 'patternProperties' is not supported",
		"patternProperties is not supported"},
	{"definitions", "OpenAPIV3Schema 'definitions' is not supported",
		"definitions is not supported"},
	{"dependencies", "OpenAPIV3Schema 'dependencies' is not supported",
		"dependencies is not supported"},
	{"$ref", "OpenAPIV3Schema '$ref' is not supported", "$ref is not supported"},
	{"$schema", "OpenAPIV3Schema 'schema' is not supported", NULL},
};

static const char *const lists[] = {"allOf", "anyOf", "oneOf"};

/* Why it cannot be converted; NULL = it can. */
static const char *
inconvertible(const struct doc *d, size_t depth)
{
	const struct doc *items = get(d, "items"), *more = get(d, "additionalProperties");
	const char *why = NULL;

	if (d == NULL || d->type != DOC_MAP)
		return NULL;
	if (depth > SCHEMA_MAX_WALK)
		return "the schema is nested too deeply";
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		if (filled(d, unsupported[i].name))
			return unsupported[i].text;
	if (has(d, "x-kubernetes-preserve-unknown-fields") &&
		!flag(d, "x-kubernetes-preserve-unknown-fields"))
		return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or "
		       "undefined";
	if (items && items->type == DOC_LIST && items->n)
		return "OpenAPIV3Schema 'items' must be a schema, but is an array";
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		DOC_EACH (x, get(d, lists[i]))
			why = why ? why : inconvertible(x, depth + 1);
	DOC_EACH (x, get(d, "properties"))
		why = why ? why : inconvertible(x, depth + 1);
	why = why ? why : inconvertible(get(d, "not"), depth + 1);
	why = why ? why : inconvertible(items, depth + 1);
	return why ? why : inconvertible(more, depth + 1);
}

/* ---- structural ---- */

enum level { LEVEL_ROOT, LEVEL_ITEM, LEVEL_FIELD };

static void nested(struct walk *w, const struct doc *d, bool skip_any, const struct step *at);

static bool
is_type_alone(const struct doc *d, const char *type)
{
	return d && d->type == DOC_MAP && d->n == 1 && is(d, "type", type);
}

/* [{type: integer}, {type: string}] */
static bool
is_int_or_string(const struct doc *any)
{
	return doc_len(any) == 2 && is_type_alone(any->first, "integer") &&
		is_type_alone(any->last, "string");
}

static void
conditions(
	struct walk *w, const struct doc *d, bool skip_any, bool skip_first, const struct step *at)
{
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct step list = {at, STEP_NAME, str_c(lists[l]), 0, NULL};
		size_t i = 0;

		if (l == 1 && skip_any)
			continue;
		DOC_EACH (x, get(d, lists[l])) {
			struct step s = STEP_AT(&list, i);

			nested(w, x, l == 0 && i == 0 && skip_first, &s);
			i++;
		}
	}
	if (has(d, "not")) {
		struct step s = STEP(at, "not");

		nested(w, get(d, "not"), false, &s);
	}
	if (text(d, "pattern").n) {
		struct err e = {0};
		const struct regex *re = NULL;

		if (regex_compile(w->errs->a, text(d, "pattern"), &re, &e) < 0)
			schema_error_fmt(w->errs, SCHEMA_CAUSE_INVALID, below(w, at, "pattern"),
				get(d, "pattern"),
				"must be a valid regular expression, but isn't: %s", e.msg);
	}
}

/* A condition: it must say nothing of what there is. */
static void
nested(struct walk *w, const struct doc *d, bool skip_any, const struct step *at)
{
	static const struct {
		const char *name, *why;
	} none[] = {
		{"type", "must be empty to be structural"},
		{"additionalProperties", "must be undefined to be structural"},
		{"default", "must be undefined to be structural"},
		{"title", "must be empty to be structural"},
		{"description", "must be empty to be structural"},
		{"nullable", "must be false to be structural"},
		{"x-kubernetes-preserve-unknown-fields", "must be false to be structural"},
		{"x-kubernetes-embedded-resource", "must be false to be structural"},
		{"x-kubernetes-int-or-string", "must be false to be structural"},
		{"x-kubernetes-list-map-keys", "must be empty to be structural"},
		{"x-kubernetes-list-type", "must be undefined to be structural"},
		{"x-kubernetes-map-type", "must be undefined to be structural"},
		{"x-kubernetes-validations", "must be empty to be structural"},
	};
	struct step items = STEP(at, "items"), props = STEP(at, "properties");

	if (d == NULL || d->type != DOC_MAP || step_depth(at) > 2 * SCHEMA_MAX_WALK)
		return;
	conditions(w, d, skip_any, false, at);
	nested(w, get(d, "items"), false, &items);
	DOC_EACH (x, get(d, "properties")) {
		struct step s = STEP_OF(&props, x->key);

		nested(w, x, false, &s);
	}
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (filled(d, none[i].name))
			schema_err_forbidden(w->errs, below(w, at, none[i].name), none[i].why);
	if (doc_get(get(d, "properties"), STR("metadata")))
		schema_err_forbidden(w->errs, below(w, at, "properties[metadata]"),
			"must not be specified in a nested context");
}

/* metadata at the root may restrict name and generateName, and nothing else. */
static void
root_metadata(struct walk *w, const struct doc *d, const struct step *at)
{
	static const struct str free[] = {
		STR_INIT("type"), STR_INIT("default"), STR_INIT("properties")};
	bool more = false;

	DOC_EACH (m, d) {
		bool known = doc_is_zero(m);

		for (size_t i = 0; i < ARRAY_LEN(free); i++)
			known |= str_eq(m->key, free[i]);
		more |= !known;
	}
	DOC_EACH (m, get(d, "properties"))
		more |= !str_eq_c(m->key, "name") && !str_eq_c(m->key, "generateName");
	if (more)
		schema_err_forbidden(w->errs, where(w, at),
			"must not specify anything other than name and generateName, but metadata "
			"is implicitly specified");
}

static void
meta_members(struct walk *w, const struct doc *d, enum level level, const struct step *at)
{
	static const char *const names[] = {"kind", "apiVersion"};
	bool embedded = flag(d, "x-kubernetes-embedded-resource");
	const struct doc *props = get(d, "properties"), *meta = get(props, "metadata");
	struct step p = STEP(at, "properties"), m = STEP_OF(&p, STR("metadata"));

	for (size_t i = 0; (level == LEVEL_ROOT || embedded) && i < ARRAY_LEN(names); i++) {
		const struct doc *x = get(props, names[i]);
		struct step s = STEP_OF(&p, str_c(names[i]));

		if (x && !is(x, "type", "string"))
			schema_err_invalid(
				w->errs, below(w, &s, "type"), text(x, "type"), "must be string");
	}
	if (meta == NULL)
		return;
	if ((level == LEVEL_ROOT || embedded) && !is(meta, "type", "object"))
		schema_err_invalid(
			w->errs, below(w, &m, "type"), text(meta, "type"), "must be object");
	if (level == LEVEL_ROOT)
		root_metadata(w, meta, &m);
}

static void
node_type(struct walk *w, const struct doc *d, enum level level, const struct step *at)
{
	static const char *const empty[] = {[LEVEL_ROOT] = "must not be empty at the root",
		[LEVEL_ITEM] = "must not be empty for specified array items",
		[LEVEL_FIELD] = "must not be empty for specified object fields"};
	struct str type = text(d, "type");
	bool embedded = flag(d, "x-kubernetes-embedded-resource");
	bool preserve = flag(d, "x-kubernetes-preserve-unknown-fields");

	if (embedded && !str_eq_c(type, "object")) {
		if (type.n)
			schema_err_invalid(w->errs, below(w, at, "type"), type,
				"must be object if x-kubernetes-embedded-resource is true");
		else
			schema_err_required(w->errs, below(w, at, "type"),
				"must be object if x-kubernetes-embedded-resource is true");
	} else if (type.n == 0 && !flag(d, "x-kubernetes-int-or-string") && !preserve) {
		schema_err_required(w->errs, below(w, at, "type"), empty[level]);
	}
	if (embedded && has(d, "additionalProperties"))
		schema_err_forbidden(w->errs, below(w, at, "additionalProperties"),
			"must not be used if x-kubernetes-embedded-resource is set");
	if (level == LEVEL_ROOT && type.n && !str_eq_c(type, "object"))
		schema_err_invalid(
			w->errs, below(w, at, "type"), type, "must be object at the root");
	if (embedded && !preserve && doc_len(get(d, "properties")) == 0)
		schema_err_required(w->errs, below(w, at, "properties"),
			"must not be empty if x-kubernetes-embedded-resource is true without "
			"x-kubernetes-preserve-unknown-fields");
}

static void
structure(struct walk *w, const struct doc *d, enum level level, const struct step *at)
{
	const struct doc *more = get(d, "additionalProperties"), *all = get(d, "allOf");
	struct step items = STEP(at, "items"), props = STEP(at, "properties"),
		    rest = STEP(at, "additionalProperties");

	if (d == NULL || d->type != DOC_MAP || step_depth(at) > 2 * SCHEMA_MAX_WALK)
		return;
	if (is(d, "type", "array") && !has(d, "items"))
		schema_err_required(w->errs, where(w, &items), "must be specified");
	structure(w, get(d, "items"), LEVEL_ITEM, &items);
	DOC_EACH (x, get(d, "properties")) {
		struct step s = STEP_OF(&props, x->key);

		structure(w, x, LEVEL_FIELD, &s);
	}
	if (more && more->type != DOC_NULL && level == LEVEL_ROOT)
		schema_err_forbidden(w->errs, where(w, &rest), "must not be used at the root");
	structure(w, more, LEVEL_FIELD, &rest);
	if (flag(d, "x-kubernetes-int-or-string") &&
		flag(d, "x-kubernetes-preserve-unknown-fields"))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "x-kubernetes-preserve-unknown-fields"),
			doc_bool(w->errs->a, true),
			STR("must be false if x-kubernetes-int-or-string is true"));
	if (flag(d, "x-kubernetes-int-or-string") && flag(d, "x-kubernetes-embedded-resource"))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "x-kubernetes-embedded-resource"), doc_bool(w->errs->a, true),
			STR("must be false if x-kubernetes-int-or-string is true"));
	conditions(w, d, is_int_or_string(get(d, "anyOf")),
		doc_len(all) && is_int_or_string(get(all->first, "anyOf")), at);
	node_type(w, d, level, at);
	meta_members(w, d, level, at);
}

/* complete: what conditions speak of is there outside of them. v: in a condition; d: the structure. */
static void complete(struct walk *w, const struct doc *v, const struct doc *d,
	const struct step *v_at, const struct step *at);

static void
complete_lists(struct walk *w, const struct doc *v, const struct doc *d, const struct step *v_at,
	const struct step *at)
{
	struct step not_ = STEP(v_at, "not");

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct step list = {v_at, STEP_NAME, str_c(lists[l]), 0, NULL};
		size_t i = 0;

		DOC_EACH (x, get(v, lists[l])) {
			struct step s = STEP_AT(&list, i++);

			complete(w, x, d, &s, at);
		}
	}
	complete(w, get(v, "not"), d, &not_, at);
}

static void
complete(struct walk *w, const struct doc *v, const struct doc *d, const struct step *v_at,
	const struct step *at)
{
	struct step v_items = STEP(v_at, "items"), items = STEP(at, "items");
	struct step v_props = STEP(v_at, "properties"), props = STEP(at, "properties");

	if (v == NULL || v->type != DOC_MAP || step_depth(v_at) > 2 * SCHEMA_MAX_WALK)
		return;
	if (d == NULL || d->type != DOC_MAP) {
		schema_err_required(w->errs, where(w, at),
			arena_fmt(w->errs->a, "because it is defined in " STR_FMT,
				STR_ARG(where(w, v_at)))
				.p);
		return;
	}
	complete_lists(w, v, d, v_at, at);
	complete(w, get(v, "items"), get(d, "items"), &v_items, &items);
	DOC_EACH (x, get(v, "properties")) {
		struct step vs = STEP_OF(&v_props, x->key), s = STEP_OF(&props, x->key);

		complete(w, x, doc_get(get(d, "properties"), x->key), &vs, &s);
	}
}

static int
by_words(const void *x, const void *y)
{
	const struct schema_error *a = x, *b = y;
	int c = str_cmp(a->field, b->field);

	return c ? c : str_cmp(a->message, b->message);
}

/* ---- defaults ---- */

static void
default_check(struct walk *w, const struct structural *n, const struct step *at)
{
	struct str path = below(w, at, "default");
	struct doc *pruned = doc_copy(w->errs->a, n->dflt);

	if (pruned == NULL)
		return;
	structural_prune(w->errs->a, n, pruned, n->embedded, NULL);
	if (!doc_equal(pruned, n->dflt))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID, path, n->dflt,
			STR("must not have unknown fields"));
	structural_validate(n, n->dflt, NULL, path, w->errs);
	structural_validate_embedded(n, n->dflt, w->errs);
}

static void
defaults(struct walk *w, const struct structural *n, const struct step *at)
{
	struct step items = STEP(at, "items"), rest = STEP(at, "additionalProperties"),
		    props = STEP(at, "properties");

	if (n == NULL || !n->defaults || step_depth(at) > 2 * SCHEMA_MAX_WALK)
		return;
	if (n->dflt)
		default_check(w, n, at);
	for (size_t i = 0; i < n->n_props; i++) {
		struct step s = STEP_OF(&props, n->props[i].name);

		defaults(w, n->props[i].node, &s);
	}
	defaults(w, n->items, &items);
	defaults(w, n->additional, &rest);
}

/* ---- OpenAPI ---- */

struct rules {
	const char *no_default; /* why there may be none; NULL: there may */
	bool in_meta;
};

static void openapi(
	struct walk *w, const struct doc *d, struct rules r, bool root, const struct step *at);

static void
plain_rules(struct walk *w, const struct doc *d, struct rules r, const struct step *at)
{
	static const char *const types[] = {
		"array", "boolean", "integer", "number", "object", "string", NULL};
	struct str type = text(d, "type");
	const struct doc *items = get(d, "items");

	if (type.n && !structural_types_of(type))
		schema_err_unsupported(w->errs, below(w, at, "type"), type, types);
	if (has(d, "default") && r.no_default)
		schema_err_forbidden(w->errs, below(w, at, "default"), r.no_default);
	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		if (unsupported[i].forbidden && filled(d, unsupported[i].name))
			schema_err_forbidden(w->errs, below(w, at, unsupported[i].name),
				unsupported[i].forbidden);
	if (str_eq_c(type, "null"))
		schema_err_forbidden(w->errs, below(w, at, "type"),
			"type cannot be set to null, use nullable as an alternative");
	if (items && items->type == DOC_LIST && items->n)
		schema_err_forbidden(w->errs, below(w, at, "items"),
			"items must be a schema object and not an array");
	if (r.in_meta && flag(d, "x-kubernetes-embedded-resource"))
		schema_err_forbidden(w->errs, below(w, at, "x-kubernetes-embedded-resource"),
			"must not be used inside of resource meta");
	if (flag(d, "uniqueItems"))
		schema_err_forbidden(w->errs, below(w, at, "uniqueItems"),
			"uniqueItems cannot be set to true since the runtime complexity becomes "
			"quadratic");
	if (has(d, "x-kubernetes-preserve-unknown-fields") &&
		!flag(d, "x-kubernetes-preserve-unknown-fields"))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "x-kubernetes-preserve-unknown-fields"),
			doc_bool(w->errs->a, false), STR("must be true or undefined"));
}

/* A member that stands for objects or lists only. */
static void
type_wanted(struct walk *w, const struct doc *d, const char *type, const char *why,
	const struct step *at)
{
	if (text(d, "type").n == 0)
		schema_err_required(w->errs, below(w, at, "type"), why);
	else if (!is(d, "type", type))
		schema_err_invalid(w->errs, below(w, at, "type"), text(d, "type"), why);
}

static void
set_items(struct walk *w, const struct doc *d, const struct step *at)
{
	const struct doc *x = get(d, "items");
	static const char why[] =
		"must be atomic as item of a list with x-kubernetes-list-type=set";

	if (x == NULL || x->type != DOC_MAP)
		return;
	if (is(x, "type", "array") && has(x, "x-kubernetes-list-type") &&
		!is(x, "x-kubernetes-list-type", "atomic"))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "items.x-kubernetes-list-type"),
			get(x, "x-kubernetes-list-type"), str_c(why));
	if (is(x, "type", "object") && !is(x, "x-kubernetes-map-type", "atomic"))
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "items.x-kubernetes-map-type"),
			has(x, "x-kubernetes-list-type") ? get(x, "x-kubernetes-list-type")
							 : doc_null(w->errs->a),
			str_c(why));
}

static void
map_key(struct walk *w, const struct doc *d, struct str key, const struct step *at)
{
	const struct doc *items = get(d, "items"), *x = doc_get(get(items, "properties"), key);
	struct step is_ = STEP(at, "items"), ps = STEP(&is_, "properties"), s = STEP_OF(&ps, key);

	if (x == NULL) {
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
			below(w, at, "x-kubernetes-list-map-keys"),
			get(d, "x-kubernetes-list-map-keys"),
			STR("entries must all be names of item properties"));
		return;
	}
	if (is(x, "type", "array") || is(x, "type", "object"))
		schema_err_invalid(w->errs, below(w, &s, "type"), text(items, "type"),
			"must be a scalar type if parent array's x-kubernetes-list-type is map");
	if (!has_text(get(items, "required"), key) && !has(x, "default"))
		schema_err_required(w->errs, below(w, &s, "default"),
			"this property is in x-kubernetes-list-map-keys, so it must have a default "
			"or be a required property");
	if (flag(x, "nullable"))
		schema_err_forbidden(w->errs, below(w, &s, "nullable"),
			"this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
}

static void
list_map(struct walk *w, const struct doc *d, const struct step *at)
{
	const struct doc *items = get(d, "items"), *keys = get(d, "x-kubernetes-list-map-keys");

	if (doc_len(keys) == 0)
		schema_err_required(w->errs, below(w, at, "x-kubernetes-list-map-keys"),
			"must not be empty if x-kubernetes-list-type is map");
	if (!has(d, "items"))
		schema_err_required(w->errs, below(w, at, "items"),
			"must have a schema if x-kubernetes-list-type is map");
	if (items == NULL || items->type != DOC_MAP)
		return;
	if (!is(items, "type", "object")) {
		schema_err_invalid(w->errs, below(w, at, "items.type"), text(items, "type"),
			"must be object if parent array's x-kubernetes-list-type is map");
		return;
	}
	DOC_EACH (k, keys) {
		map_key(w, d, doc_as_str(k), at);
		for (const struct doc *o = keys->first; o != k; o = o->next)
			if (doc_equal(o, k))
				schema_error_add(w->errs, SCHEMA_CAUSE_INVALID,
					below(w, at, "x-kubernetes-list-map-keys"), keys,
					STR("must not contain duplicate entries"));
	}
}

static void
list_rules(struct walk *w, const struct doc *d, const struct step *at)
{
	static const char *const maps[] = {"atomic", "granular", NULL};
	static const char *const kinds[] = {"atomic", "set", "map", NULL};
	struct str list = text(d, "x-kubernetes-list-type"), map = text(d, "x-kubernetes-map-type");
	bool keyed = list.n && (str_eq_c(list, "set") || str_eq_c(list, "map"));

	if (map.n)
		type_wanted(
			w, d, "object", "must be object if x-kubernetes-map-type is specified", at);
	if (map.n && !one_of(maps, map))
		schema_err_unsupported(w->errs, below(w, at, "x-kubernetes-map-type"), map, maps);
	if (list.n)
		type_wanted(
			w, d, "array", "must be array if x-kubernetes-list-type is specified", at);
	if (is(d, "type", "array") && str_eq_c(list, "set"))
		set_items(w, d, at);
	if (list.n && !one_of(kinds, list))
		schema_err_unsupported(
			w->errs, below(w, at, "x-kubernetes-list-type"), list, kinds);
	if (doc_len(get(d, "x-kubernetes-list-map-keys")) && list.n == 0)
		schema_err_required(w->errs, below(w, at, "x-kubernetes-list-type"),
			"must be map if x-kubernetes-list-map-keys is non-empty");
	else if (doc_len(get(d, "x-kubernetes-list-map-keys")) && !str_eq_c(list, "map"))
		schema_err_invalid(w->errs, below(w, at, "x-kubernetes-list-type"), list,
			"must be map if x-kubernetes-list-map-keys is non-empty");
	if (str_eq_c(list, "map"))
		list_map(w, d, at);
	if (keyed && flag(get(d, "items"), "nullable"))
		schema_err_forbidden(w->errs, below(w, at, "items.nullable"),
			arena_fmt(w->errs->a,
				"cannot be nullable when x-kubernetes-list-type is " STR_FMT,
				STR_ARG(list))
				.p);
}

static bool
has_line_break(struct str s)
{
	return str_find_char(s, '\n') >= 0 || str_find_char(s, '\r') >= 0;
}

static void
rule_words(struct walk *w, const struct doc *r, const struct step *at)
{
	struct str rule = str_trim(text(r, "rule")), msg = text(r, "message"),
		   expr = text(r, "messageExpression"), path = text(r, "fieldPath");

	if (rule.n == 0)
		schema_err_required(w->errs, below(w, at, "rule"), "rule is not specified");
	else if (msg.n && str_trim(msg).n == 0)
		schema_err_invalid(
			w->errs, below(w, at, "message"), msg, "must be non-empty if specified");
	else if (has_line_break(str_trim(msg)))
		schema_err_invalid(
			w->errs, below(w, at, "message"), msg, "must not contain line breaks");
	else if (has_line_break(rule) && str_trim(msg).n == 0)
		schema_err_required(w->errs, below(w, at, "message"),
			"message must be specified if rule contains line breaks");
	if (expr.n && str_trim(expr).n == 0)
		schema_err_required(w->errs, below(w, at, "messageExpression"),
			"messageExpression must be non-empty if specified");
	if (path.n && str_trim(path).n == 0)
		schema_err_invalid(
			w->errs, below(w, at, "fieldPath"), path, "must be non-empty if specified");
	if (has_line_break(path))
		schema_err_invalid(
			w->errs, below(w, at, "fieldPath"), path, "must not contain line breaks");
}

static void
openapi_children(
	struct walk *w, const struct doc *d, struct rules r, bool root, const struct step *at)
{
	const struct doc *more = get(d, "additionalProperties"), *props = get(d, "properties");
	struct step rest = STEP(at, "additionalProperties"), p = STEP(at, "properties"),
		    items = STEP(at, "items"), not_ = STEP(at, "not");
	struct rules inner = r;

	if (more && doc_len(props) && !(more->type == DOC_BOOL && more->b) &&
		more->type != DOC_NULL)
		schema_err_forbidden(w->errs, where(w, &rest),
			"additionalProperties and properties are mutual exclusive");
	if (r.in_meta)
		inner.no_default =
			"must not be set inside additionalProperties applying to object metadata";
	openapi(w, more, inner, false, &rest);
	DOC_EACH (x, props) {
		struct step s = STEP_OF(&p, x->key);

		inner = r;
		if ((root || flag(d, "x-kubernetes-embedded-resource")) &&
			structural_is_meta(x->key)) {
			inner.in_meta = true;
			if (root)
				inner.no_default = arena_fmt(w->errs->a,
					"must not be set in top-level " STR_FMT, STR_ARG(x->key))
							   .p;
		}
		openapi(w, x, inner, false, &s);
	}
	openapi(w, get(d, "not"), r, false, &not_);
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct step list = {at, STEP_NAME, str_c(lists[l]), 0, NULL};
		size_t i = 0;

		DOC_EACH (x, get(d, lists[l])) {
			struct step s = STEP_AT(&list, i++);

			openapi(w, x, r, false, &s);
		}
	}
	openapi(w, get(d, "items"), r, false, &items);
}

static void
openapi(struct walk *w, const struct doc *d, struct rules r, bool root, const struct step *at)
{
	struct step rules = STEP(at, "x-kubernetes-validations");
	size_t i = 0;

	if (d == NULL || d->type != DOC_MAP || step_depth(at) > 2 * SCHEMA_MAX_WALK)
		return;
	plain_rules(w, d, r, at);
	openapi_children(w, d, r, root, at);
	list_rules(w, d, at);
	DOC_EACH (x, get(d, "x-kubernetes-validations")) {
		struct step s = STEP_AT(&rules, i++);

		rule_words(w, x, &s);
	}
}

/* ---- the root ---- */

/* With a status subresource the schema of status must be all that is said of it. */
static void
root_members(struct walk *w, const struct doc *d)
{
	static const char *const ok[] = {"description", "type", "format", "title", "maximum",
		"exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength",
		"pattern", "maxItems", "minItems", "uniqueItems", "multipleOf", "required", "items",
		"properties", "externalDocs", "example", "x-kubernetes-preserve-unknown-fields",
		"x-kubernetes-validations", NULL};

	if (!is(d, "type", "object") && has(d, "type"))
		schema_err_invalid(w->errs, below(w, NULL, "type"), text(d, "type"),
			"only \"object\" is allowed as the type at the root of the schema if the "
			"status subresource is enabled");
	DOC_EACH (m, d) {
		if (doc_is_zero(m) || one_of(ok, m->key))
			continue;
		schema_error_add(w->errs, SCHEMA_CAUSE_INVALID, w->base, d,
			STR("only [Description Type Format Title Maximum ExclusiveMaximum Minimum "
			    "ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems "
			    "UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
			    "XPreserveUnknownFields XValidations] fields are allowed at the root of "
			    "the schema if the status subresource is enabled"));
		return;
	}
}

void
crd_structure(const struct doc *schema, struct str path, struct schema_errors *errs)
{
	struct schema_errors own = {.a = errs->a};
	struct walk w = {&own, path};

	structure(&w, schema, LEVEL_ROOT, NULL);
	complete_lists(&w, schema, schema, NULL, NULL);
	if (own.n)
		qsort(own.list, own.n, sizeof(*own.list), by_words);
	for (size_t i = 0; i < own.n; i++)
		schema_errors_append(errs, &own.list[i]);
}

bool
crd_is_structural(struct arena *a, const struct doc *schema)
{
	struct schema_errors errs = {.a = a};

	if (schema == NULL || schema->type != DOC_MAP)
		return true;
	if (inconvertible(schema, 0))
		return false;
	crd_structure(schema, STR(""), &errs);
	return errs.n == 0;
}

void
crd_check_schema(
	const struct doc *schema, bool with_status, struct str path, struct schema_errors *errs)
{
	const size_t before = errs->n;
	const char *why = inconvertible(schema, 0);
	struct walk w = {errs, path};

	if (with_status)
		root_members(&w, schema);
	if (flag(schema, "nullable"))
		schema_err_forbidden(
			errs, below(&w, NULL, "nullable"), "nullable cannot be true at the root");
	const struct structural *n = NULL;

	if (why == NULL) {
		size_t had = errs->n;

		crd_structure(schema, path, errs);
		if (errs->n == had && structural_compile(errs->a, schema, &n) == 0)
			defaults(&w, n, NULL);
	}
	openapi(&w, schema, (struct rules){0}, true, NULL);
	if (errs->n == before && why)
		schema_err_invalid(errs, path, STR(""), why);
	if (errs->n == before && n && structural_rules)
		structural_rules->check(n, path, errs);
}
