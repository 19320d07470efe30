/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_errors: what is wrong with an object, as causes of a 422 Status, worded as upstream does. Part
 * of schema.h. An empty list costs nothing; the same (cause, field, message) is kept once.
 *
 *   schema_err_required(errs, path, NULL)            spec.x: Required value
 *   schema_err_invalid(errs, path, v, "must be ...") spec.x: Invalid value: "v": must be ...
 *
 * Source: k8s.io/apimachinery util/validation/field (ErrorType, Error.ErrorBody), StatusCause. */
#ifndef ORCHESTRATOR_SCHEMA_ERRORS_H
#define ORCHESTRATOR_SCHEMA_ERRORS_H

#include "base/doc.h"
#include "orchestrator/schema/schema_value.h"

enum schema_cause {
	SCHEMA_CAUSE_NOT_FOUND,     /* FieldValueNotFound:     Not found: value */
	SCHEMA_CAUSE_REQUIRED,      /* FieldValueRequired:     Required value[: text] */
	SCHEMA_CAUSE_DUPLICATE,     /* FieldValueDuplicate:    Duplicate value: value */
	SCHEMA_CAUSE_INVALID,       /* FieldValueInvalid:      Invalid value: value: text */
	SCHEMA_CAUSE_NOT_SUPPORTED, /* FieldValueNotSupported: Unsupported value: value: text */
	SCHEMA_CAUSE_FORBIDDEN,     /* FieldValueForbidden:    Forbidden: text */
	SCHEMA_CAUSE_TOO_LONG,      /* FieldValueTooLong:      Too long: text */
	SCHEMA_CAUSE_TOO_MANY, /* FieldValueTooMany:      Too many: n: must have at most m items */
	SCHEMA_CAUSE_INTERNAL, /* InternalError:          Internal error: text */
	SCHEMA_CAUSE_TYPE_INVALID, /* FieldValueTypeInvalid:  Invalid value: value: text */
	SCHEMA_CAUSE__COUNT
};
/* schema_cause_reason: "FieldValueRequired"; static. */
const char *schema_cause_reason(enum schema_cause c);

struct schema_error {
	enum schema_cause cause;
	struct str field;   /* "spec.containers[0].name"; "" = the object */
	struct str message; /* "Required value" */
};
/* An expression among an object's members: what it is for, and the variables it may speak of. */
enum schema_expression_use {
	SCHEMA_EXPR_CONDITION,
	SCHEMA_EXPR_VARIABLE, /* names a value for those that follow */
	SCHEMA_EXPR_VALIDATION,
	SCHEMA_EXPR_MESSAGE,
	SCHEMA_EXPR_AUDIT,
	SCHEMA_EXPR_APPLY,
	SCHEMA_EXPR_JSON_PATCH,
};
struct schema_expression {
	enum schema_expression_use use;
	struct str name;        /* of a variable */
	struct str text, shown; /* shown: the value that a cause names */
};
struct schema_scope { /* of the expressions of one object; begins with own = NULL */
	bool params, variables;
	void *own; /* of who checks; in the list's arena */
};

/* Embedded by callers. a must be set before the first error. At most 256 are kept. */
struct schema_errors {
	struct arena *a;
	struct schema_error *list;
	size_t n;
	/* asked about each expression at `field`: adds causes. The language is a floor above; NULL = expressions
	 * are not looked into. */
	void (*expression)(struct schema_errors *errs, struct str field, struct schema_scope *scope,
		const struct schema_expression *x);
};

/* schema_error_add: message = the cause's words, the value as JSON (NULL: none; left out where the form
 * has none), then text ("" = none). Field and text are copied. */
void schema_error_add(struct schema_errors *errs, enum schema_cause cause, struct str field,
	const struct doc *value, struct str text);
void schema_error_fmt(struct schema_errors *errs, enum schema_cause cause, struct str field,
	const struct doc *value, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* One helper for each common form. why may be NULL. */
void schema_err_required(struct schema_errors *errs, struct str field, const char *why);
void schema_err_invalid(
	struct schema_errors *errs, struct str field, struct str value, const char *why);
void schema_err_invalid_int(
	struct schema_errors *errs, struct str field, int64_t value, const char *why);
void schema_err_forbidden(struct schema_errors *errs, struct str field, const char *why);
void schema_err_duplicate(struct schema_errors *errs, struct str field, struct str value);
void schema_err_not_found(struct schema_errors *errs, struct str field, struct str value);
void schema_err_too_long(struct schema_errors *errs, struct str field, size_t max);
/* schema_go_type: what Go calls a decoded value in messages about a wrong type ("int64", "[]interface {}"). Static. */
const char *schema_go_type(const struct doc *d);
void schema_err_too_many(struct schema_errors *errs, struct str field, size_t n, size_t max);
/* schema_err_unsupported: `Unsupported value: "x": supported values: "a", "b"`; ok is NULL-terminated and
 * shown in its order. */
void schema_err_unsupported(
	struct schema_errors *errs, struct str field, struct str value, const char *const *ok);
void schema_err_unsupported_doc(struct schema_errors *errs, struct str field,
	const struct doc *value, const char *const *ok);

/* schema_errors_append: one that was found before, elsewhere; text borrowed. */
void schema_errors_append(struct schema_errors *errs, const struct schema_error *x);
/* schema_errors_drop: forgets what was said of a field and of what is below it. */
void schema_errors_drop(struct schema_errors *errs, struct str field);
/* schema_err_format: one "Invalid value" for each fault of value; true when there is none. */
bool schema_err_format(
	struct schema_errors *errs, struct str field, enum schema_format f, struct str value);

/* schema_path: a field path in the arena: printf("spec.containers[%zu].name"). schema_path_key:
 * base + "[" + key + "]". schema_path_child: base + "." + name ("" base: the name). */
struct str schema_path(struct schema_errors *errs, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct str schema_path_key(struct schema_errors *errs, struct str base, struct str key);
struct str schema_path_index(struct schema_errors *errs, struct str base, size_t i);
struct str schema_path_child(struct schema_errors *errs, struct str base, struct str name);

/* schema_errors_message: what stands behind `Pod "x" is invalid: `: one error "field: message", more
 * "[a, b]". arena. schema_errors_causes: the list for Status.details.causes. */
struct str schema_errors_message(const struct schema_errors *errs);
struct doc *schema_errors_causes(const struct schema_errors *errs);

#endif
