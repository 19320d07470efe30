/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_values: is a value what its schema wants? Types, bounds, lengths, patterns, formats, closed sets,
 * required members, and the combinations allOf, anyOf, oneOf, not.
 *
 * Of alternatives that all fail the one with the most conditions met says why. What an update does not change is
 * not looked at again. Invariants: adds causes only; no more than STEPS_MAX nodes are looked at for one object.
 * Source: kube-openapi pkg/validation/validate and errors (behaviour and texts); KEP-4008. */
#include "orchestrator/schema/structural_int.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define STEPS_MAX 5000000

struct check {
	struct schema_errors *errs;
	struct str base;
	size_t *steps;  /* left */
	size_t matched; /* conditions met and looked at */
};

static void check_node(struct check *c, const struct structural *n, const struct doc *d,
	const struct doc *old, const struct step *at);

/* The place within what is validated ("" = it itself), and as a cause names it. */
static struct str
inner(struct check *c, const struct step *at)
{
	return step_text(c->errs->a, at, STEP_PATH);
}

static struct str
field(struct check *c, const struct step *at)
{
	struct str s = inner(c, at);

	if (c->base.n == 0)
		return s.n ? s : STR("<nil>");
	return s.n ? arena_fmt(c->errs->a, STR_FMT ".%.*s", STR_ARG(c->base), STR_ARG(s)) : c->base;
}

static void
invalid(struct check *c, const struct step *at, const struct doc *v, struct str text)
{
	schema_error_fmt(c->errs, SCHEMA_CAUSE_INVALID, field(c, at), v,
		STR_FMT " in body " STR_FMT, STR_ARG(inner(c, at)), STR_ARG(text));
}

static void
composite(struct check *c, const struct step *at, const char *text)
{
	schema_error_fmt(c->errs, SCHEMA_CAUSE_INVALID, c->base.n ? c->base : STR("<nil>"),
		doc_str(c->errs->a, STR("")), "\"" STR_FMT "\" %s", STR_ARG(inner(c, at)), text);
}

/* ---- types ----------------------------------------------------------------------------------------- */

static unsigned
types_of(const struct doc *d)
{
	switch (d->type) {
	case DOC_NULL:
		return 0;
	case DOC_BOOL:
		return STRUCTURAL_BOOLEAN;
	case DOC_INT:
		return STRUCTURAL_INTEGER | STRUCTURAL_NUMBER;
	case DOC_DOUBLE:
		return STRUCTURAL_NUMBER |
			(floor(d->d) == d->d && fabs(d->d) < 9007199254740992.0 ? STRUCTURAL_INTEGER
										: 0);
	case DOC_STR:
		return STRUCTURAL_STRING;
	case DOC_LIST:
		return STRUCTURAL_ARRAY;
	case DOC_MAP:
		return STRUCTURAL_OBJECT;
	}
	return 0;
}

static struct str
type_text(struct arena *a, unsigned types)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{STRUCTURAL_INTEGER, "integer"}, {STRUCTURAL_NUMBER, "number"},
		{STRUCTURAL_STRING, "string"}, {STRUCTURAL_BOOLEAN, "boolean"},
		{STRUCTURAL_ARRAY, "array"}, {STRUCTURAL_OBJECT, "object"}};
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (types & names[i].bit)
			buf_fmt(&b, "%s%s", b.len ? "," : "", names[i].name);
	return buf_view(&b);
}

static const char *
type_name(const struct doc *d)
{
	static const char *const names[] = {[DOC_NULL] = "null",
		[DOC_BOOL] = "boolean",
		[DOC_INT] = "integer",
		[DOC_DOUBLE] = "number",
		[DOC_STR] = "string",
		[DOC_LIST] = "array",
		[DOC_MAP] = "object"};

	return names[d->type];
}

static bool
check_type(struct check *c, const struct structural *n, const struct doc *d, const struct step *at)
{
	struct arena *a = c->errs->a;
	bool none = d->type == DOC_NULL;

	if (n->types == 0 || (none && n->nullable) || (n->types & types_of(d)))
		return true;
	/* a format stands for its type: what it is of is said by the format */
	if (n->format && d->type == DOC_STR && (n->types & STRUCTURAL_STRING))
		return true;
	schema_error_fmt(c->errs, SCHEMA_CAUSE_TYPE_INVALID, field(c, at),
		doc_str(a, str_c(type_name(d))),
		STR_FMT " in body must be of type " STR_FMT ": \"%s\"", STR_ARG(inner(c, at)),
		STR_ARG(type_text(a, n->types)), type_name(d));
	return false;
}

/* ---- numbers and texts ----------------------------------------------------------------------------- */

static double
real(const struct doc *d)
{
	return d->type == DOC_INT ? (double)d->i : d->d;
}

/* Integers are compared as integers, with what is left of the bound when it is cut to one. */
static int
compare(const struct doc *v, const struct doc *bound)
{
	double x = real(v), y = real(bound);

	if (v->type == DOC_INT && bound->type == DOC_INT)
		return v->i < bound->i ? -1 : v->i > bound->i;
	if (v->type == DOC_INT)
		y = trunc(y);
	return x < y ? -1 : x > y;
}

static struct str
number_text(struct arena *a, const struct doc *v, const struct doc *bound)
{
	struct buf b;
	struct doc cut = *bound;

	if (v->type == DOC_INT && bound->type == DOC_DOUBLE && fabs(bound->d) < 9.2e18)
		cut = (struct doc){.type = DOC_INT, .i = (int64_t)bound->d};
	buf_init_arena(&b, a);
	doc_write_json(&b, &cut);
	return buf_view(&b);
}

static bool
is_multiple(const struct doc *v, const struct doc *factor)
{
	double f = real(factor), q = 0;

	if (v->type == DOC_INT && f >= 1 && f < 9.2e18)
		return v->i % (int64_t)f == 0;
	q = f < 1 ? 1 / f * real(v) : real(v) / f;
	return fabs(q - nearbyint(q)) <= 1e-9 * fmax(1, fabs(q));
}

static void
bound_fails(struct check *c, const struct step *at, const struct doc *v, const struct doc *bound,
	const char *words)
{
	invalid(c, at, v,
		arena_fmt(c->errs->a, "should be %s " STR_FMT, words,
			STR_ARG(number_text(c->errs->a, v, bound))));
}

static void
check_number(
	struct check *c, const struct structural *n, const struct doc *d, const struct step *at)
{
	const struct structural_values *v = n->values;
	struct arena *a = c->errs->a;

	if (n->format && structural_format_int32(n->format) && n->types == STRUCTURAL_INTEGER &&
		(real(d) < -2147483648.0 || real(d) > 2147483647.0))
		schema_error_fmt(c->errs, SCHEMA_CAUSE_INVALID, c->base.n ? c->base : STR("<nil>"),
			doc_str(a, STR("")),
			"Checked value must be of type integer with format int32 in " STR_FMT,
			STR_ARG(inner(c, at)));
	if (v == NULL)
		return;
	if (v->multiple_of && real(v->multiple_of) > 0 && !is_multiple(d, v->multiple_of))
		bound_fails(c, at, d, v->multiple_of, "a multiple of");
	if (v->minimum && compare(d, v->minimum) < (v->above_minimum ? 1 : 0))
		bound_fails(c, at, d, v->minimum,
			v->above_minimum ? "greater than" : "greater than or equal to");
	if (v->maximum && compare(d, v->maximum) > (v->below_maximum ? -1 : 0))
		bound_fails(c, at, d, v->maximum,
			v->below_maximum ? "less than" : "less than or equal to");
}

static int64_t
runes(struct str s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static int64_t
count(const struct doc *bound, int64_t absent)
{
	return bound ? doc_as_int(bound, absent) : absent;
}

static void
check_text(struct check *c, const struct structural *n, const struct doc *d, const struct step *at)
{
	const struct structural_values *v = n->values;
	struct arena *a = c->errs->a;

	if (v && (v->min_length || v->max_length)) {
		int64_t len = runes(d->s);

		if (len > count(v->max_length, INT64_MAX)) {
			schema_err_too_long(c->errs, field(c, at), (size_t)count(v->max_length, 0));
			return;
		}
		if (len < count(v->min_length, 0)) {
			invalid(c, at, d,
				arena_fmt(a, "should be at least %lld chars long",
					(long long)count(v->min_length, 0)));
			return;
		}
	}
	if (v && v->regex && regex_match(v->regex, d->s) != 1)
		invalid(c, at, d, arena_fmt(a, "should match '" STR_FMT "'", STR_ARG(v->pattern)));
	if (n->format && !structural_format_holds(a, n->format, d->s))
		schema_error_fmt(c->errs, SCHEMA_CAUSE_TYPE_INVALID, field(c, at), d,
			STR_FMT " in body must be of type " STR_FMT ": \"" STR_FMT "\"",
			STR_ARG(inner(c, at)), STR_ARG(n->format_name), STR_ARG(d->s));
}

/* ---- sets ------------------------------------------------------------------------------------------ */

static void
check_enum(struct check *c, const struct structural *n, const struct doc *d, const struct step *at)
{
	struct buf b;

	if (n->values == NULL || n->values->enums == NULL)
		return;
	if (d->type == DOC_NULL && n->nullable)
		return;
	DOC_EACH (x, n->values->enums)
		if (doc_equal(x, d))
			return;
	buf_init_arena(&b, c->errs->a);
	buf_cstr(&b, "supported values: ");
	DOC_EACH (x, n->values->enums) {
		struct buf one;

		buf_init_arena(&one, c->errs->a);
		if (x->type != DOC_STR)
			doc_write_json(&one, x);
		if (x != n->values->enums->first)
			buf_cstr(&b, ", ");
		doc_json_string(&b, x->type == DOC_STR ? x->s : buf_view(&one));
	}
	schema_error_add(c->errs, SCHEMA_CAUSE_NOT_SUPPORTED, field(c, at), d, buf_view(&b));
}

/* ---- lists and objects ----------------------------------------------------------------------------- */

/* The item of an old list that x is the next state of: by its keys. */
static const struct doc *
old_item(const struct structural *n, const struct doc *old, const struct doc *x)
{
	if (n->list != STRUCTURAL_LIST_MAP || n->map_keys == NULL || x->type != DOC_MAP)
		return NULL;
	DOC_EACH (o, old) {
		bool same = o->type == DOC_MAP;

		DOC_EACH (k, n->map_keys)
			same = same &&
				doc_equal(doc_get(o, doc_as_str(k)), doc_get(x, doc_as_str(k)));
		if (same)
			return o;
	}
	return NULL;
}

static void
check_list(struct check *c, const struct structural *n, const struct doc *d, const struct doc *old,
	const struct step *at)
{
	const struct structural_values *v = n->values;
	int64_t len = (int64_t)d->n;
	size_t i = 0;

	if (old && (old->type != DOC_LIST || d->n > 1000))
		old = NULL;
	DOC_EACH (x, d) {
		struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

		if (n->items == NULL)
			break;
		check_node(c, n->items, x, old ? old_item(n, old, x) : NULL, &s);
	}
	if (v && len < count(v->min_items, 0))
		invalid(c, at, doc_int(c->errs->a, len),
			arena_fmt(c->errs->a, "should have at least %lld items",
				(long long)count(v->min_items, 0)));
	if (v && len > count(v->max_items, INT64_MAX))
		schema_err_too_many(c->errs, field(c, at), d->n, (size_t)count(v->max_items, 0));
}

static void
check_member(struct check *c, const struct structural *n, const struct doc *m,
	const struct doc *old, const struct step *at)
{
	const struct structural *child = structural_prop_find(n, m->key);
	struct step s = {at, STEP_NAME, m->key, 0, NULL};

	if (child == NULL && n->closed)
		invalid(c, at, doc_str(c->errs->a, m->key), STR("is a forbidden property"));
	if (child == NULL)
		child = n->additional;
	if (child)
		check_node(
			c, child, m, old && old->type == DOC_MAP ? doc_get(old, m->key) : NULL, &s);
}

static void
check_map(struct check *c, const struct structural *n, const struct doc *d, const struct doc *old,
	const struct step *at)
{
	const struct structural_values *v = n->values;
	int64_t len = (int64_t)d->n;

	if (v && len < count(v->min_properties, 0))
		invalid(c, at, doc_int(c->errs->a, len),
			arena_fmt(c->errs->a, "should have at least %lld properties",
				(long long)count(v->min_properties, 0)));
	if (v && len > count(v->max_properties, INT64_MAX))
		schema_err_too_many(
			c->errs, field(c, at), d->n, (size_t)count(v->max_properties, 0));
	DOC_EACH (m, d)
		check_member(c, n, m, old, at);
	DOC_EACH (k, v ? v->required : NULL) {
		struct step s = {at, STEP_NAME, doc_as_str(k), 0, NULL};

		if (doc_get(d, doc_as_str(k)) == NULL)
			schema_err_required(c->errs, field(c, &s), NULL);
	}
}

/* ---- combinations ---------------------------------------------------------------------------------- */

/* One alternative: its causes apart. */
static bool
tried(struct check *c, const struct structural *n, const struct doc *d, const struct step *at,
	struct check *ret, struct schema_errors *errs)
{
	*errs = (struct schema_errors){.a = c->errs->a};
	*ret = (struct check){errs, c->base, c->steps, 0};
	check_node(ret, n, d, NULL, at);
	return errs->n == 0;
}

static void
merge(struct check *c, const struct schema_errors *from)
{
	for (size_t i = 0; i < from->n; i++)
		schema_errors_append(c->errs, &from->list[i]);
}

/* any: one is enough, the rest is not looked at. Returns how many hold; the best failure's causes in *ret. */
static size_t
alternatives(struct check *c, const struct structural_list_of *list, const struct doc *d,
	const struct step *at, bool any, struct schema_errors *ret)
{
	size_t good = 0, best = 0;

	*ret = (struct schema_errors){.a = c->errs->a};
	for (size_t i = 0; i < list->n && !(any && good); i++) {
		struct schema_errors errs;
		struct check one;

		if (tried(c, list->nodes[i], d, at, &one, &errs)) {
			good++;
			*ret = (struct schema_errors){.a = c->errs->a};
		} else if (good == 0 && (ret->n == 0 || one.matched > best)) {
			*ret = errs;
			best = one.matched;
		}
	}
	return good;
}

static void
check_combined(struct check *c, const struct structural_values *v, const struct doc *d,
	const struct step *at)
{
	struct schema_errors why, errs;
	struct check one;
	size_t good = 0;

	if (v->any_of.n && alternatives(c, &v->any_of, d, at, true, &why) == 0) {
		composite(c, at, "must validate at least one schema (anyOf)");
		merge(c, &why);
	}
	if (v->one_of.n) {
		good = alternatives(c, &v->one_of, d, at, false, &why);
		if (good != 1) {
			char text[120];

			snprintf(text, sizeof(text),
				good ? "must validate one and only one schema (oneOf). Found %zu valid "
				       "alternatives"
				     : "must validate one and only one schema (oneOf). Found none "
				       "valid",
				good);
			composite(c, at, text);
			merge(c, &why);
		}
	}
	good = 0;
	for (size_t i = 0; i < v->all_of.n; i++) {
		good += tried(c, v->all_of.nodes[i], d, at, &one, &errs);
		merge(c, &errs);
	}
	if (good != v->all_of.n)
		composite(c, at,
			good ? "must validate all the schemas (allOf)"
			     : "must validate all the schemas (allOf). None validated");
	if (v->not_ && tried(c, v->not_, d, at, &one, &errs))
		composite(c, at, "must not validate the schema (not)");
}

/* ---- one node -------------------------------------------------------------------------------------- */

static void
check_node(struct check *c, const struct structural *n, const struct doc *d, const struct doc *old,
	const struct step *at)
{
	size_t before = c->errs->n;

	if (*c->steps == 0 || step_depth(at) > SCHEMA_MAX_WALK)
		return;
	if (old && old->type == d->type && doc_equal(old, d))
		return;
	--*c->steps;
	check_type(c, n, d, at);
	if (d->type == DOC_NULL) {
		check_enum(c, n, d, at);
	} else {
		if (n->values)
			check_combined(c, n->values, d, at);
		if (d->type == DOC_STR)
			check_text(c, n, d, at);
		else if (d->type == DOC_INT || d->type == DOC_DOUBLE)
			check_number(c, n, d, at);
		else if (d->type == DOC_LIST)
			check_list(c, n, d, old, at);
		check_enum(c, n, d, at);
		if (d->type == DOC_MAP)
			check_map(c, n, d, old, at);
	}
	if (c->errs->n == before)
		c->matched++;
}

void
structural_validate(const struct structural *n, const struct doc *d, const struct doc *old,
	struct str path, struct schema_errors *errs)
{
	size_t steps = STEPS_MAX;
	struct check c = {errs, path, &steps, 0};

	check_node(&c, n, d, old, NULL);
	if (steps == 0)
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, path.n ? path : STR("<nil>"),
			doc_str(errs->a, STR("")),
			STR("the object and its schema are too large to be validated"));
}
