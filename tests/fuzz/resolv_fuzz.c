/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resolv_fuzz: any bytes as a resolv.conf. Holds: at most as many servers as there is room for, none of them
 * one of our own addresses. */
#include "orchestrator/nodenet/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_upstream up[3];
	struct ip_addr own = ip_v4(0x0a600007);
	size_t n = map_resolvers(str_from((const char *)data, size), &own, 1, up, ARRAY_LEN(up));

	BUG_ON(n > ARRAY_LEN(up));
	for (size_t i = 0; i < n; i++)
		BUG_ON(!ip_is_set(&up[i].addr) || ip_eq(&up[i].addr, &own));
	return 0;
}
