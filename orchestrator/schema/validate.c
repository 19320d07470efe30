/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * validate: the rules that stand in the kind files: needed, min, max, lengths, formats, closed sets,
 * immutable; and the checks of types that are marked `check`. What needs other objects is code in kinds/.
 *
 * Invariants: adds causes only; the document is conformed and defaulted. Paths are built on the stack and
 * rendered only for a cause.
 * Source: k8s.io/apimachinery api/validate (texts); reference rules of the kinds. */
#include "orchestrator/schema/checks_int.h"
#include "orchestrator/schema/validate_int.h"

struct check {
	struct schema_errors *errs;
	struct str base; /* path in front of the chain */
};

static struct str
path_of(struct check *c, const struct step *at)
{
	struct str s = step_text(c->errs->a, at, STEP_PATH);

	if (c->base.n == 0)
		return s;
	return arena_fmt(c->errs->a, STR_FMT "%s" STR_FMT, STR_ARG(c->base),
		s.n && s.p[0] != '[' ? "." : "", STR_ARG(s));
}

static void
check_range(struct check *c, const struct step *at, const struct schema_rules *r, int64_t v)
{
	const char *text = NULL;

	if (r->format == FORMAT_PORT && (v < 1 || v > 65535))
		text = format_text_port;
	else if (r->has_min && r->has_max && (v < r->min || v > r->max))
		text = arena_fmt(c->errs->a, "must be between %lld and %lld, inclusive",
			(long long)r->min, (long long)r->max)
			       .p;
	else if (r->has_min && v < r->min)
		text = arena_fmt(
			c->errs->a, "must be greater than or equal to %lld", (long long)r->min)
			       .p;
	else if (r->has_max && v > r->max)
		text = arena_fmt(
			c->errs->a, "must be less than or equal to %lld", (long long)r->max)
			       .p;
	if (text)
		schema_err_invalid_int(c->errs, path_of(c, at), v, text);
}

static bool
in_set(const char *const *set, struct str s)
{
	for (; *set; set++)
		if (str_eq_c(s, *set))
			return true;
	return false;
}

/* check_scalar: a value that is there: a member or an item of a list of scalars. */
static void
check_scalar(
	struct check *c, const struct step *at, const struct schema_field *f, const struct doc *v)
{
	const struct schema_rules *r = f->rules;

	if (v->type == DOC_INT) {
		check_range(c, at, r, v->i);
		return;
	}
	if (v->type != DOC_STR || v->s.n == 0)
		return;
	if ((f->flags & SCHEMA_CHECKED_ENUM) && r->enums && !in_set(r->enums, v->s))
		schema_err_unsupported(c->errs, path_of(c, at), v->s, r->enums);
	if (r->max_length && v->s.n > r->max_length)
		schema_err_too_long(c->errs, path_of(c, at), r->max_length);
	if (r->format && r->format != FORMAT_PORT)
		schema_err_format(c->errs, path_of(c, at), (enum schema_format)r->format, v->s);
}

static void
check_rules(
	struct check *c, const struct step *at, const struct schema_field *f, const struct doc *v)
{
	size_t i = 0;

	if (f->rules == NULL)
		return;
	if (f->rules->max_items && f->shape != SCHEMA_ONE && v->n > f->rules->max_items)
		schema_err_too_many(c->errs, path_of(c, at), v->n, f->rules->max_items);
	if (f->shape == SCHEMA_ONE) {
		check_scalar(c, at, f, v);
	} else if (f->shape == SCHEMA_LIST && f->type == NULL) {
		DOC_EACH (item, v) {
			struct step s = {at, STEP_INDEX, STR_NONE, i++, NULL};

			check_scalar(c, &s, f, item);
		}
	}
}

static void check_struct(struct check *c, const struct step *at, const struct schema_type *t,
	const struct doc *d, const struct doc *old);

static void
check_members(struct check *c, const struct step *at, const struct schema_field *f,
	const struct doc *v, const struct doc *old)
{
	size_t i = 0;

	if (f->type == NULL || (f->flags & SCHEMA_UNCHECKED))
		return;
	if (f->shape == SCHEMA_ONE) {
		if (schema_child(f, v) && v->type == DOC_MAP)
			check_struct(c, at, f->type, v, old && old->type == DOC_MAP ? old : NULL);
		return;
	}
	DOC_EACH (item, v) {
		struct step s = {
			at, f->shape == SCHEMA_LIST ? STEP_INDEX : STEP_KEY, item->key, i++, NULL};

		if (schema_child(f, item) && item->type == DOC_MAP)
			check_struct(c, &s, f->type, item, NULL);
	}
}

static bool
is_missing(const struct schema_field *f, const struct doc *v)
{
	if (v == NULL || v->type == DOC_NULL)
		return true;
	/* A needed number that is no pointer has no other way to be absent than to be 0. */
	if (f->form == SCHEMA_STRING || f->form == SCHEMA_BYTES || f->form == SCHEMA_QUANTITY ||
		f->shape != SCHEMA_ONE ||
		(v->type == DOC_INT && (f->flags & SCHEMA_NEEDED) && !(f->flags & SCHEMA_PTR)))
		return doc_is_zero(v);
	return false;
}

static void
check_field(struct check *c, const struct step *at, const struct schema_type *t,
	const struct schema_field *f, const struct doc *d, const struct doc *old)
{
	const struct doc *v = doc_get(d, schema_field_name(f));
	const struct doc *was = old ? doc_get(old, schema_field_name(f)) : NULL;
	struct step s = {at, STEP_NAME, schema_field_name(f), 0, t};

	if ((f->flags & SCHEMA_IMMUTABLE) && old && !(doc_is_zero(v) && doc_is_zero(was)) &&
		!doc_equal(v, was))
		schema_error_add(c->errs, SCHEMA_CAUSE_INVALID, path_of(c, &s),
			v ? v : doc_null(c->errs->a), str_c(format_text_immutable));
	if (is_missing(f, v)) {
		if (f->flags & SCHEMA_NEEDED)
			schema_err_required(c->errs, path_of(c, &s), NULL);
		return;
	}
	check_rules(c, &s, f, v);
	check_members(c, &s, f, v, was);
}

static void
check_struct(struct check *c, const struct step *at, const struct schema_type *t,
	const struct doc *d, const struct doc *old)
{
	if (step_depth(at) > SCHEMA_MAX_WALK)
		return;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];

		if (f->rules || f->type || (f->flags & (SCHEMA_NEEDED | SCHEMA_IMMUTABLE)))
			check_field(c, at, t, f, d, old);
	}
	if (t->check)
		t->check(&(struct schema_spot){c->errs, c->base, at}, d, old);
}

void
schema_validate_type(const struct schema_type *t, const struct doc *d, const struct doc *old,
	struct str path, struct schema_errors *errs)
{
	struct check c = {errs, path};

	if (d && d->type == DOC_MAP)
		check_struct(&c, NULL, t, d, old);
}

/* Is something wrong that rules take for granted? */
static bool
blocks_rules(const struct schema_errors *errs)
{
	for (size_t i = 0; i < errs->n; i++)
		switch (errs->list[i].cause) {
		case SCHEMA_CAUSE_NOT_SUPPORTED:
		case SCHEMA_CAUSE_REQUIRED:
		case SCHEMA_CAUSE_TOO_LONG:
		case SCHEMA_CAUSE_TOO_MANY:
		case SCHEMA_CAUSE_TYPE_INVALID:
			return true;
		case SCHEMA_CAUSE_NOT_FOUND:
		case SCHEMA_CAUSE_DUPLICATE:
		case SCHEMA_CAUSE_INVALID:
		case SCHEMA_CAUSE_FORBIDDEN:
		case SCHEMA_CAUSE_INTERNAL:
		case SCHEMA_CAUSE__COUNT:
			break;
		}
	return false;
}

/* Lists that broke the rule before may go on to break it. */
static void
validate_structural(const struct structural *n, const struct doc *obj, const struct doc *old,
	struct schema_errors *errs)
{
	struct schema_errors before = {.a = errs->a};

	structural_validate(n, obj, old, STR(""), errs);
	structural_validate_embedded(n, obj, errs);
	if (old)
		structural_validate_lists(n, old, &before);
	if (before.n == 0)
		structural_validate_lists(n, obj, errs);
	if (n->rules && blocks_rules(errs))
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, STR("<nil>"), doc_null(errs->a),
			STR("some validation rules were not checked because the object was invalid; "
			    "correct the existing errors to complete validation"));
	else if (n->rules)
		structural_rules->validate(n->rules, obj, old, errs);
}

void
schema_validate(const struct schema_kind *k, const struct doc *obj, const struct doc *old,
	struct schema_errors *errs)
{
	schema_validate_metadata(k, obj, old, errs);
	schema_validate_type(k->type, obj, old, STR(""), errs);
	if (k->type->structural)
		validate_structural(k->type->structural, obj, old, errs);
}
