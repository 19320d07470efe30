/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * errors: causes of a 422 and their words. The value is shown as JSON (strings in quotes), as upstream
 * shows scalars; the rest is text of the caller.
 * Source: k8s.io/apimachinery util/validation/field/errors.go (behaviour). */
#include "orchestrator/schema/schema_errors.h"

#define MAX_ERRORS 256

static const struct {
	const char *reason, *words;
	bool value; /* the form shows the bad value */
} forms[SCHEMA_CAUSE__COUNT] = {
	[SCHEMA_CAUSE_NOT_FOUND] = {"FieldValueNotFound", "Not found", true},
	[SCHEMA_CAUSE_REQUIRED] = {"FieldValueRequired", "Required value", false},
	[SCHEMA_CAUSE_DUPLICATE] = {"FieldValueDuplicate", "Duplicate value", true},
	[SCHEMA_CAUSE_INVALID] = {"FieldValueInvalid", "Invalid value", true},
	[SCHEMA_CAUSE_NOT_SUPPORTED] = {"FieldValueNotSupported", "Unsupported value", true},
	[SCHEMA_CAUSE_FORBIDDEN] = {"FieldValueForbidden", "Forbidden", false},
	[SCHEMA_CAUSE_TOO_LONG] = {"FieldValueTooLong", "Too long", false},
	[SCHEMA_CAUSE_TOO_MANY] = {"FieldValueTooMany", "Too many", true},
	[SCHEMA_CAUSE_INTERNAL] = {"InternalError", "Internal error", false},
	[SCHEMA_CAUSE_TYPE_INVALID] = {"FieldValueTypeInvalid", "Invalid value", true},
};

const char *
schema_cause_reason(enum schema_cause c)
{
	return forms[c].reason;
}

static bool
known(const struct schema_errors *errs, enum schema_cause cause, struct str field,
	struct str message)
{
	for (size_t i = 0; i < errs->n; i++) {
		const struct schema_error *x = &errs->list[i];

		if (x->cause == cause && str_eq(x->field, field) &&
			(cause == SCHEMA_CAUSE_REQUIRED || str_eq(x->message, message)))
			return true;
	}
	return false;
}

void
schema_error_add(struct schema_errors *errs, enum schema_cause cause, struct str field,
	const struct doc *value, struct str text)
{
	struct schema_error *x = NULL;
	struct buf b;

	if (errs->n >= MAX_ERRORS)
		return;
	buf_init_arena(&b, errs->a);
	buf_cstr(&b, forms[cause].words);
	if (forms[cause].value && value) {
		buf_cstr(&b, ": ");
		doc_write_json(&b, value);
	}
	if (text.n) {
		buf_cstr(&b, ": ");
		buf_str(&b, text);
	}
	if (b.failed || known(errs, cause, field, buf_view(&b)))
		return;
	x = ARENA_PUSH(errs->a, errs->list, errs->n);
	if (x)
		*x = (struct schema_error){cause, arena_str(errs->a, field), buf_view(&b)};
}

void
schema_errors_append(struct schema_errors *errs, const struct schema_error *x)
{
	struct schema_error *slot = NULL;

	if (errs->n >= MAX_ERRORS || known(errs, x->cause, x->field, x->message))
		return;
	slot = ARENA_PUSH(errs->a, errs->list, errs->n);
	if (slot)
		*slot = *x;
}

void
schema_error_fmt(struct schema_errors *errs, enum schema_cause cause, struct str field,
	const struct doc *value, const char *fmt, ...)
{
	va_list ap;
	struct str text = STR_NONE;

	va_start(ap, fmt);
	text = arena_vfmt(errs->a, fmt, ap);
	va_end(ap);
	schema_error_add(errs, cause, field, value, text);
}

void
schema_err_required(struct schema_errors *errs, struct str field, const char *why)
{
	schema_error_add(errs, SCHEMA_CAUSE_REQUIRED, field, NULL, str_c(why));
}

void
schema_err_invalid(struct schema_errors *errs, struct str field, struct str value, const char *why)
{
	schema_error_add(errs, SCHEMA_CAUSE_INVALID, field, doc_str(errs->a, value), str_c(why));
}

void
schema_err_invalid_int(struct schema_errors *errs, struct str field, int64_t value, const char *why)
{
	schema_error_add(errs, SCHEMA_CAUSE_INVALID, field, doc_int(errs->a, value), str_c(why));
}

void
schema_err_forbidden(struct schema_errors *errs, struct str field, const char *why)
{
	schema_error_add(errs, SCHEMA_CAUSE_FORBIDDEN, field, NULL, str_c(why));
}

void
schema_err_duplicate(struct schema_errors *errs, struct str field, struct str value)
{
	schema_error_add(errs, SCHEMA_CAUSE_DUPLICATE, field, doc_str(errs->a, value), STR(""));
}

void
schema_err_not_found(struct schema_errors *errs, struct str field, struct str value)
{
	schema_error_add(errs, SCHEMA_CAUSE_NOT_FOUND, field, doc_str(errs->a, value), STR(""));
}

void
schema_err_too_long(struct schema_errors *errs, struct str field, size_t max)
{
	schema_error_fmt(
		errs, SCHEMA_CAUSE_TOO_LONG, field, NULL, "may not be more than %zu bytes", max);
}

void
schema_err_too_many(struct schema_errors *errs, struct str field, size_t n, size_t max)
{
	schema_error_fmt(errs, SCHEMA_CAUSE_TOO_MANY, field, doc_int(errs->a, (int64_t)n),
		"must have at most %zu %s", max, max == 1 ? "item" : "items");
}

void
schema_err_unsupported_doc(struct schema_errors *errs, struct str field, const struct doc *value,
	const char *const *ok)
{
	struct buf b;

	buf_init_arena(&b, errs->a);
	buf_cstr(&b, "supported values: ");
	for (size_t i = 0; ok[i]; i++) {
		buf_cstr(&b, i ? ", " : "");
		doc_json_string(&b, str_c(ok[i]));
	}
	schema_error_add(errs, SCHEMA_CAUSE_NOT_SUPPORTED, field, value, buf_view(&b));
}

void
schema_err_unsupported(
	struct schema_errors *errs, struct str field, struct str value, const char *const *ok)
{
	schema_err_unsupported_doc(errs, field, doc_str(errs->a, value), ok);
}

void
schema_errors_drop(struct schema_errors *errs, struct str field)
{
	size_t kept = 0;

	for (size_t i = 0; i < errs->n; i++) {
		struct str at = errs->list[i].field;

		if (!str_starts(at, field) ||
			(at.n > field.n && at.p[field.n] != '.' && at.p[field.n] != '['))
			errs->list[kept++] = errs->list[i];
	}
	errs->n = kept;
}

struct str
schema_path(struct schema_errors *errs, const char *fmt, ...)
{
	va_list ap;
	struct str s = STR_NONE;

	va_start(ap, fmt);
	s = arena_vfmt(errs->a, fmt, ap);
	va_end(ap);
	return s;
}

struct str
schema_path_key(struct schema_errors *errs, struct str base, struct str key)
{
	return arena_fmt(errs->a, STR_FMT "[" STR_FMT "]", STR_ARG(base), STR_ARG(key));
}

struct str
schema_path_index(struct schema_errors *errs, struct str base, size_t i)
{
	return arena_fmt(errs->a, STR_FMT "[%zu]", STR_ARG(base), i);
}

struct str
schema_path_child(struct schema_errors *errs, struct str base, struct str name)
{
	return arena_fmt(
		errs->a, STR_FMT "%s" STR_FMT, STR_ARG(base), base.n ? "." : "", STR_ARG(name));
}

struct str
schema_errors_message(const struct schema_errors *errs)
{
	struct buf b;

	buf_init_arena(&b, errs->a);
	if (errs->n > 1)
		buf_char(&b, '[');
	for (size_t i = 0; i < errs->n; i++) {
		buf_cstr(&b, i ? ", " : "");
		if (errs->list[i].field.n) {
			buf_str(&b, errs->list[i].field);
			buf_cstr(&b, ": ");
		}
		buf_str(&b, errs->list[i].message);
	}
	if (errs->n > 1)
		buf_char(&b, ']');
	return b.failed ? STR_NONE : buf_view(&b);
}

struct doc *
schema_errors_causes(const struct schema_errors *errs)
{
	struct doc *list = doc_list(errs->a);

	for (size_t i = 0; list && i < errs->n; i++) {
		struct doc *c = doc_map(errs->a);

		if (c == NULL)
			return NULL;
		doc_set_str(errs->a, c, STR("reason"), str_c(forms[errs->list[i].cause].reason));
		doc_set_str(errs->a, c, STR("message"), errs->list[i].message);
		doc_set_str(errs->a, c, STR("field"), errs->list[i].field);
		doc_append(list, c);
	}
	return list;
}

const char *
schema_go_type(const struct doc *d)
{
	static const char *const names[] = {[DOC_NULL] = "<nil>",
		[DOC_BOOL] = "bool",
		[DOC_INT] = "int64",
		[DOC_DOUBLE] = "float64",
		[DOC_STR] = "string",
		[DOC_LIST] = "[]interface {}",
		[DOC_MAP] = "map[string]interface {}"};
	return d->type < ARRAY_LEN(names) && names[d->type] ? names[d->type] : "<nil>";
}
