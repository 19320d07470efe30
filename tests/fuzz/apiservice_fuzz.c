/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_fuzz: any bytes as what an aggregated server answers when it is asked what it serves. The first byte chooses
 * the form. Holds: what was taken of it makes a document of ours that can be read again, with our own group in its
 * place. */
#include "orchestrator/api/apiservice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
merge(const struct foreign_docs *f, enum foreign_form form, const char *local, const char *list)
{
	struct arena *a = arena_new(0);
	struct buf out = BUF_INIT;
	struct doc *d = NULL;
	if (a && foreign_merge(f, form, STR("g.io"), str_c(local), &out) == 0) {
		BUG_ON(doc_parse_json(a, buf_view(&out), NULL, &d, NULL) < 0);
		if (list)
			BUG_ON(!str_eq(
				doc_get_str(doc_index(doc_get(d, str_c(list)), 0), STR("name")),
				STR("apiregistration.k8s.io")));
	}
	buf_release(&out);
	arena_free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct doc *d = NULL;
	struct buf text = BUF_INIT;
	if (!a || size == 0 ||
		doc_parse_json(a, str_from((const char *)data + 1, size - 1), NULL, &d, NULL) < 0) {
		arena_free(a);
		return 0;
	}
	struct doc *list = apiservice_resources(a, d, data[0] & 1, STR("g.io"), STR("v1"));
	struct str hash = apiservice_openapi_hash(a, d, STR("g.io"), STR("v1"));
	if (list)
		doc_write_json(&text, list);
	BUG_ON(hash.n > 128);
	if (!text.failed && !arena_failed(a)) {
		struct foreign_doc one = {.group = STR("g.io"),
			.version = STR("v1"),
			.of_group = 20000,
			.of_version = 1,
			.resources = buf_view(&text),
			.hash = hash};
		struct foreign_docs f = {.v = &one, .n = 1};
		merge(&f, FOREIGN_AGGREGATED, "{\"items\":[]}", NULL);
		merge(&f, FOREIGN_GROUPS,
			"{\"groups\":[{\"name\":\"apiregistration.k8s.io\",\"versions\":[{\"version\":"
			"\"v1\"}]}]}",
			"groups");
		merge(&f, FOREIGN_GROUP, "", NULL);
		merge(&f, FOREIGN_OPENAPI, "{\"paths\":{}}", NULL);
	}
	buf_release(&text);
	arena_free(a);
	return 0;
}
