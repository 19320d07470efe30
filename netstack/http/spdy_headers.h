/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy_headers: header blocks of SPDY/3.1: name and value pairs, packed by zlib with a dictionary both
 * sides know. Private to this folder. One packer and one unpacker a connection, used in frame order. */
#ifndef NETSTACK_HTTP_SPDY_HEADERS_H
#define NETSTACK_HTTP_SPDY_HEADERS_H

#include "netstack/http/message.h"

struct spdy_packer;
/* spdy_packer_new: both directions. Returns owned. -ENOMEM. */
int spdy_packer_new(struct spdy_packer **ret);
void spdy_packer_free(struct spdy_packer *p); /* NULL allowed */
/* spdy_pack: appends the packed block. 0 or -ENOMEM. */
int spdy_pack(struct spdy_packer *p, const struct http_header *h, size_t n, struct buf *out);
/* spdy_unpack: -EPROTO malformed or larger than HTTP_HEAD_BYTES_MAX unpacked, -ENOMEM. A value of
 * several parts (NUL between them) becomes several headers. arena. */
int spdy_unpack(
	struct spdy_packer *p, struct arena *a, struct str packed, struct http_headers *ret);

#endif
