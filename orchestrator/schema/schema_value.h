/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_value: the scalar values of the API that are more than a string: quantities, int-or-string,
 * and the formats of names. Part of schema.h. All total functions over short strings.
 *
 * Source: k8s.io/apimachinery api/resource (quantities), util/intstr, util/validation (formats, texts). */
#ifndef ORCHESTRATOR_SCHEMA_VALUE_H
#define ORCHESTRATOR_SCHEMA_VALUE_H

#include "base/arena.h"

struct int_or_str;

/* ---- quantities ---- */
enum quantity_format { QUANTITY_SI, QUANTITY_BINARY, QUANTITY_EXPONENT };
/* A value in nano units (10^-9): exact for everything the API accepts (values beyond 2^63-1 units are cut
 * to that, as upstream does; finer than nano is rounded up). */
struct quantity {
	__int128 nano;
	enum quantity_format format;
};
/* quantity_parse: 0 or -EINVAL (the text of the error is quantity_error_text). */
int quantity_parse(struct str s, struct quantity *ret);
extern const char quantity_error_text[];
/* quantity_write: canonical form in out (>= 48 bytes); returns the length: no fraction, largest suffix
 * without loss ("1000m" -> "1", "0.5" -> "500m", "1024Mi" -> "1Gi"). */
size_t quantity_write(const struct quantity *q, char *out);
/* quantity_canonical: s in canonical form; STR_NONE = not a quantity. arena (s itself when it is). */
struct str quantity_canonical(struct arena *a, struct str s);
int quantity_cmp(const struct quantity *x, const struct quantity *y);
/* quantity_add / quantity_sub: into x; the format of x stays unless x is zero. Saturates. */
void quantity_add(struct quantity *x, const struct quantity *y);
void quantity_sub(struct quantity *x, const struct quantity *y);
static inline bool
quantity_is_zero(const struct quantity *q)
{
	return q->nano == 0;
}
/* quantity_value: whole units, rounded up (Quantity.Value). quantity_milli: 1/1000, rounded up. */
int64_t quantity_value(const struct quantity *q);
int64_t quantity_milli(const struct quantity *q);
struct quantity quantity_of(int64_t units, enum quantity_format f);
struct quantity quantity_of_milli(int64_t milli, enum quantity_format f);
/* quantity_value_of / quantity_milli_of: straight from text; `bad` when it is none. */
int64_t quantity_value_of(struct str s, int64_t bad);
int64_t quantity_milli_of(struct str s, int64_t bad);

/* ---- int or string ---- */
/* intstr_scaled: "25%" of total, rounded up or down; or the number. 0 or -EINVAL. */
int intstr_scaled(const struct int_or_str *v, int32_t total, bool round_up, int32_t *ret);
/* percent_ok: [0-9]+%. */
bool percent_ok(struct str s);

/* ---- formats ---- */
enum schema_format {
	FORMAT_NONE,
	FORMAT_DNS_LABEL,     /* RFC 1123 label */
	FORMAT_DNS_SUBDOMAIN, /* RFC 1123 subdomain */
	FORMAT_DNS1035_LABEL,
	FORMAT_QUALIFIED_NAME, /* [prefix/]name: label keys, resource names */
	FORMAT_LABEL_VALUE,
	FORMAT_PATH_SEGMENT, /* names of RBAC objects */
	FORMAT_CONFIG_KEY,   /* keys of ConfigMaps and Secrets */
	FORMAT_PORT,         /* 1..65535 (numbers) */
	FORMAT_PORT_NAME,    /* IANA_SVC_NAME */
	FORMAT_IP,
	FORMAT_CIDR,
	FORMAT_PERCENT,
	FORMAT_ENV_NAME,
	FORMAT_C_IDENTIFIER,
	FORMAT_UUID,
	FORMAT__COUNT
};
/* format_check: NULL = good; else upstream's whole text (with the regex explanation); static or, where the
 * text names the value, arena. Several faults are joined by ", " as upstream's list would be. */
const char *format_check(struct arena *a, enum schema_format f, struct str s);
/* format_faults: the same texts one by one (each is a cause of its own upstream); returns how many. */
#define FORMAT_FAULTS_MAX 6
size_t format_faults(
	struct arena *a, enum schema_format f, struct str s, const char *out[FORMAT_FAULTS_MAX]);
/* format_name: "dns-label" as the kind files write it; format_find: the reverse, < 0 unknown. */
const char *format_name(enum schema_format f);
int format_find(struct str name);
/* Texts for numbers. */
extern const char format_text_port[];         /* must be between 1 and 65535, inclusive */
extern const char format_text_not_negative[]; /* must be greater than or equal to 0 */
extern const char format_text_immutable[];    /* field is immutable */

#endif
