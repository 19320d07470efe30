/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: names that an earlier process of the name server left, from arbitrary bytes: they are refused whole, or taken
 * so that they can be asked for, written and taken again, and deleted. */
#include "netstack/dns/zone_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dns_zone *
zone(void)
{
	struct dns_zone_config c = {.domain = "cluster.local"};
	struct dns_zone *z = NULL;

	BUG_ON(dns_zone_new(&c, &z) < 0);
	return z;
}

static void
drop(void *arg, struct str ns, struct str name)
{
	dns_zone_service_del(arg, ns, name);
}

/* Every name there is, asked for with each of its types. */
static void
ask(struct dns_zone *z)
{
	static uint8_t out[DNS_MSG_MAX];
	struct str key = STR_NONE;
	void *value = NULL;

	for (size_t pos = 0; map_next(&z->nodes, &pos, &key, &value);) {
		const struct znode *n = value;

		for (uint32_t i = 0; i < n->n && i < 8; i++) {
			_cleanup_buf_ struct buf q = BUF_INIT;
			size_t got = 0;

			buf_be32(&q, 0x12340100);
			buf_be32(&q, 0x00010000);
			buf_be32(&q, 0);
			buf_add(&q, n->name.b, n->name.n);
			buf_be16(&q, n->rrs[i].type);
			buf_be16(&q, 1);
			BUG_ON(dns_zone_answer(
				       z, buf_view(&q), true, true, out, sizeof(out), &got) == 2);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_zone *z = zone(), *again = NULL;
	size_t own = dns_zone_names(z);

	if (dns_zone_load(z, str_from((const char *)data, size)) == 0) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		ask(z);
		dns_zone_save(z, &b);
		again = zone();
		BUG_ON(dns_zone_load(again, buf_view(&b)) < 0);
		BUG_ON(dns_zone_names(again) != dns_zone_names(z));
		dns_zone_services(z, drop, z);
	}
	BUG_ON(dns_zone_names(z) != own);
	dns_zone_free(again);
	dns_zone_free(z);
	return 0;
}
