/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * yaml_fuzz: any bytes as a YAML stream: every document is refused with a reason, or is written as YAML
 * and as JSON and reads back equal. */
#include "base/doc.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct str rest = str_from((const char *)data, size);
	struct doc_limits lim = {.max_nodes = 10000};
	BUG_ON(!a);
	for (int i = 0; i < 100; i++) {
		struct doc *d = NULL, *back = NULL;
		struct err e = {0};
		int rc = doc_parse_yaml(a, &rest, &lim, &d, &e);
		BUG_ON(rc < 0 && rc != -ENODATA && e.msg[0] == '\0');
		if (rc < 0)
			break;
		struct buf yaml = {.a = a}, json = {.a = a};
		doc_write_yaml(&yaml, d);
		doc_write_json(&json, d);
		BUG_ON(yaml.failed || json.failed);
		BUG_ON(doc_parse_json(a, buf_view(&json), NULL, &back, &e) < 0 ||
			!doc_equal(d, back));
		struct str text = buf_view(&yaml);
		rc = doc_parse_yaml(a, &text, NULL, &back, &e);
		BUG_ON(rc < 0 || !doc_equal(d, back));
	}
	arena_free(a);
	return 0;
}
