/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: every decoder of netlink answers over arbitrary bytes. */
#include "netstack/netlink/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk_attrs(struct str bytes)
{
	struct str stack[6] = {bytes}, payload = STR_NONE;
	unsigned depth = 1;
	uint16_t type = 0;

	while (depth > 0) {
		if (!nl_attr_next(&stack[depth - 1], &type, &payload)) {
			depth--;
			continue;
		}
		BUG_ON(payload.n > 0 &&
			(payload.p < bytes.p || payload.p + payload.n > bytes.p + bytes.n));
		if (depth < ARRAY_LEN(stack))
			stack[depth++] = payload;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from((const char *)data, size);
	struct rt_link l;
	struct rt_addr a;
	struct rt_route r;
	struct ct_entry c;
	struct nl_msg m;

	while (nl_msg_next(&rest, &m)) {
		walk_attrs(m.payload);
		if (rt_link_parse(&m, &l) == 0)
			BUG_ON(strlen(l.name) >= sizeof(l.name) ||
				strlen(l.kind) >= sizeof(l.kind));
		if (rt_addr_parse(&m, &a) == 0)
			BUG_ON(a.prefix.len > 8 * ip_size(&a.prefix.addr));
		if (rt_route_parse(&m, &r) == 0)
			BUG_ON(r.dst.len > 8 * ip_size(&r.dst.addr));
		if (ct_parse(&m, &c) == 0)
			BUG_ON(c.orig.src.family != c.orig.dst.family);
	}
	return 0;
}
