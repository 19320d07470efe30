/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * access: see access.h. */
#include "tests/fault/access.h"

#include "base/disk.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAD_MAX 1500

/* credential: a base64 member of the kubeconfig. */
static struct str
credential(struct arena *a, const struct doc *d, const char *path)
{
	struct buf b;
	buf_init_arena(&b, a);
	return base64_decode(&b, doc_as_str(doc_at(d, path))) == 0 ? buf_view(&b) : STR_NONE;
}

int
access_client(struct loop *l, const char *kubeconfig, struct client **ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	int rc = a ? disk_read_file(kubeconfig, 1 << 20, &text) : -ENOMEM;
	struct str rest = buf_view(&text);
	if (rc == 0)
		rc = doc_parse_yaml(a, &rest, NULL, &d, e);
	if (rc < 0) {
		err_errno(e, rc, "reading '%s'", kubeconfig);
	} else {
		struct client_https_config cfg = {
			.server = doc_as_str(doc_at(d, "clusters[0].cluster.server")),
			.ca_pem = credential(
				a, d, "clusters[0].cluster.certificate-authority-data"),
			.cert_pem = credential(a, d, "users[0].user.client-certificate-data"),
			.key_pem = credential(a, d, "users[0].user.client-key-data"),
			.user_agent = STR("fault")};
		rc = client_https_new(l, &cfg, ret, e);
	}
	arena_free(a);
	return rc;
}

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
