/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_bench: what one item more costs in lists a client may make long: the same in a long list as in a short one,
 * or a request of 3 MiB would hold a worker for minutes. */
#include "base/clock.h"
#include "orchestrator/schema/schema.h"
#include "tests/bench/figures.h"

#include <stdio.h>

/* A list or map within an object; an item is its three parts with its number between them. */
struct list {
	const char *kind, *head, *item[3], *tail;
};

#define HEAD "{\"metadata\":{\"name\":\"x\",\"namespace\":\"d\"},"

/* checked_ns: decoding, defaulting and validating an object with n items; the least of three. */
static int64_t
checked_ns(const struct list *l, size_t n)
{
	const struct schema_kind *k = schema_kind_find(
		schema_builtin(), STR(""), STR("v1"), str_c(l->kind));
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t least_ns = INT64_MAX;

	buf_cstr(&b, l->head);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%zu%s%zu%s", l->item[0], i, l->item[1], i, l->item[2]);
	buf_cstr(&b, l->tail);
	for (int i = 0; i < 3 && !b.failed; i++) {
		struct arena *a = arena_new(0);
		struct schema_strict strict = {0};
		struct schema_errors errs = {.a = a};
		struct doc *d = NULL;
		struct err e = {0};
		int64_t from_ns = clock_mono_ns();

		if (schema_decode(a, k->type, buf_view(&b), SCHEMA_JSON, &d, &strict, &e) == 0) {
			schema_default(a, k->type, d);
			schema_validate(k, d, NULL, &errs);
		}
		int64_t took_ns = clock_mono_ns() - from_ns;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
		arena_free(a);
	}
	return least_ns;
}

int
main(void)
{
	static const struct list rows[] = {
		{"ConfigMap", HEAD "\"binaryData\":{\"z\":\"\"},\"data\":{\"a\":\"\"",
			{",\"k", "\":\"", "\""}, "}}"},
		{"Service", HEAD "\"spec\":{\"ports\":[{}", {",{\"name\":\"p", "\",\"port\":", "}"},
			"]}}"},
		{"Pod",
			HEAD "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
			     "\"volumeMounts\":[{}",
			{",{\"name\":\"v", "\",\"mountPath\":\"/", "\"}"}, "]}]}}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char what[80];
		double few = (double)checked_ns(&rows[i], 2000) / 2000 / 1000;
		double many = (double)checked_ns(&rows[i], 20000) / 20000 / 1000;
		snprintf(what, sizeof(what), "%s: an item of 2,000", rows[i].kind);
		figure(what, few, "us", "<=", "-", "-", true);
		snprintf(what, sizeof(what), "%s: times dearer of 20,000", rows[i].kind);
		figure(what, many / few, "", "<=", "4", "1.5", false);
	}
	return 0;
}
