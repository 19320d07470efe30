/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * access: see access.h. */
#include "tests/fault/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAD_MAX 1500

static int
order(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
	return a < b ? -1 : a > b;
}

void
access_times(int64_t *ns, size_t n, char *out, size_t size)
{
	if (n)
		qsort(ns, n, sizeof(*ns), order);
	snprintf(out, size, "p50 %.1f ms, max %.1f ms", n ? (double)ns[n / 2] / NS_PER_MS : 0,
		n ? (double)ns[n - 1] / NS_PER_MS : 0);
}

/* ---- objects --------------------------------------------------------------------------------------- */

static size_t
pad_len(uint64_t op)
{
	return (size_t)(op * 37 % PAD_MAX);
}

void
access_object_write(struct buf *b, const char *ns, const char *name, uint64_t op, uint64_t rev)
{
	buf_fmt(b,
		"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":\"%s\",\"labels\":{\"load\":\"yes\"}",
		name, ns);
	if (rev)
		buf_fmt(b, ",\"resourceVersion\":\"%" PRIu64 "\"", rev);
	buf_fmt(b, "},\"data\":{\"a\":\"%" PRIu64 "\",\"pad\":\"", op);
	for (size_t i = 0; i < pad_len(op); i++)
		buf_char(b, (char)('a' + op % 26));
	buf_fmt(b, "\",\"z\":\"%" PRIu64 "\"}}", op);
}

bool
access_object_read(const struct doc *d, struct access_object *ret)
{
	const struct doc *meta = doc_get(d, STR("metadata")), *data = doc_get(d, STR("data"));
	struct str a = doc_get_str(data, STR("a")), pad = doc_get_str(data, STR("pad"));
	*ret = (struct access_object){.name = doc_get_str(meta, STR("name"))};
	str_to_u64(doc_get_str(meta, STR("resourceVersion")), &ret->rev);
	if (!str_starts(ret->name, STR("load-")))
		return false;
	bool whole = str_to_u64(a, &ret->value) == 0 && str_eq(a, doc_get_str(data, STR("z"))) &&
		pad.n == pad_len(ret->value);
	for (size_t i = 0; whole && i < pad.n; i++)
		whole = pad.p[i] == (char)('a' + ret->value % 26);
	if (!whole)
		ret->value = 0;
	return true;
}
