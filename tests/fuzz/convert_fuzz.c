/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * convert_fuzz: any bytes as what a conversion webhook answers. The first byte chooses the version of the review. Holds:
 * what was taken has the name, namespace and uid of what was sent, and its version is the one that was asked for. */
#include "orchestrator/api/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sent_text[] =
	"{\"kind\":\"Host\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":\"a\","
	"\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{\"x\":\"y\"}},\"spec\":{}}";

static void
take(struct arena *a, const struct doc *sent, const struct doc *answer, ptrdiff_t index)
{
	static const char *const kept[] = {"name", "namespace", "uid"};
	struct doc *out = NULL;
	struct str why = STR_NONE;
	if (convert_answer_take(a, STR("example.com/v2"), index, sent, answer, &out, &why) < 0) {
		BUG_ON(why.n == 0 && !arena_failed(a));
		return;
	}
	BUG_ON(!str_eq(doc_get_str(out, STR("apiVersion")), STR("example.com/v2")));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		BUG_ON(!str_eq(doc_get_str(meta_of(out), str_c(kept[i])),
			doc_get_str(meta_of(sent), str_c(kept[i]))));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct doc *sent = NULL;
	const struct doc *list = NULL;
	struct str why = STR_NONE;
	if (!a || size == 0 || doc_parse_json(a, str_c(sent_text), NULL, &sent, NULL) < 0) {
		arena_free(a);
		return 0;
	}
	struct str body = str_from((const char *)data + 1, size - 1);
	if (convert_answer_parse(a, body, STR("u"), data[0] & 1 ? "v1" : "v1beta1", &list, &why) <
		0) {
		BUG_ON(why.n == 0 && !arena_failed(a));
		arena_free(a);
		return 0;
	}
	DOC_EACH (x, list)
		take(a, sent, x, data[0] & 2 ? 0 : -1);
	arena_free(a);
	return 0;
}
