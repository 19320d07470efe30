/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_html: pages that come through a proxy subresource: links that begin at the root of the server behind it lead
 * through the proxy. Of a stream: what is not looked at passes as it is. Private to api.
 * Source: k8s.io/apimachinery pkg/util/proxy (Transport: rewriteURL, atomsToAttrs); HTML Living Standard, tokenization. */
#ifndef ORCHESTRATOR_API_PROXY_HTML_H
#define ORCHESTRATOR_API_PROXY_HTML_H

#include "base/buf.h"

#define HTML_TAG_MAX 65536 /* a longer tag passes as it is */

struct proxy_html {
	struct str prefix;  /* "/api/v1/namespaces/n/pods/p/proxy"; borrowed */
	struct str host;    /* by which the client asked; borrowed */
	struct str backend; /* host of the server behind; borrowed */
	struct buf held;    /* heap: a tag that has not ended */
	const char *raw;    /* the element whose content is no markup: "script"; NULL = none */
	char quote;         /* within a tag: the quote that is open */
};
/* proxy_html_link: where a URL of the page, or of a header, leads through the proxy. Appends to out. */
void proxy_html_link(const struct proxy_html *h, struct str url, struct buf *out);
/* proxy_html_data: appends what bytes become; proxy_html_end: what was held back. Failures are out's. */
void proxy_html_data(struct proxy_html *h, struct str bytes, struct buf *out);
void proxy_html_end(struct proxy_html *h, struct buf *out);
void proxy_html_release(struct proxy_html *h);

#endif
