/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_html_fuzz: any bytes as a page that comes through a proxy. Holds: how the bytes are cut changes nothing, and
 * nothing is lost: without the prefix the page is what it was, but where hosts of links are dropped. */
#include "base/err.h"
#include "orchestrator/api/proxy_html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
page(struct str bytes, size_t piece, struct buf *out)
{
	struct proxy_html h = {.prefix = STR("/p"), .host = STR("h"), .backend = STR("b")};
	for (; bytes.n; bytes = str_sub(bytes, piece, SIZE_MAX))
		proxy_html_data(&h, str_sub(bytes, 0, piece), out);
	proxy_html_end(&h, out);
	proxy_html_release(&h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_from((const char *)data, size);
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	page(bytes, SIZE_MAX, &whole);
	page(bytes, 3, &cut);
	BUG_ON(!str_eq(buf_view(&whole), buf_view(&cut)));
	BUG_ON(str_find(bytes, STR("://")) < 0 && whole.len < size);
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
