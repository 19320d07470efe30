/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and prefixes: text both ways, and what is not an address. */
#include "base/ip.c"

#include "tests/unit/test.h"

static const struct {
	const char *in, *out; /* out NULL: must be refused */
} texts[] = {
	{"10.0.0.1", "10.0.0.1"},
	{"255.255.255.255", "255.255.255.255"},
	{"0.0.0.0", "0.0.0.0"},
	{"::", "::"},
	{"::1", "::1"},
	{"1::", "1::"},
	{"fe80::1", "fe80::1"},
	{"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
	{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
	{"::ffff:10.1.2.3", "::ffff:10.1.2.3"},
	{"64:ff9b::10.1.2.3", "64:ff9b::a01:203"},
	{"", NULL},
	{"1.2.3", NULL},
	{"1.2.3.4.5", NULL},
	{"01.2.3.4", NULL},
	{"1.2.3.256", NULL},
	{"1.2.3.", NULL},
	{"1.2.3.4 ", NULL},
	{":", NULL},
	{":::", NULL},
	{"1::2::3", NULL},
	{"1:2:3:4:5:6:7", NULL},
	{"1:2:3:4:5:6:7:8:9", NULL},
	{"1:2:3:4:5:6:7:8::", NULL},
	{"12345::", NULL},
	{"1:", NULL},
	{":1", NULL},
	{"fe80::1%eth0", NULL},
	{"::1.2.3", NULL},
	{"1:2:3:4:5:6:7:1.2.3.4", NULL},
};

TEST(texts_are_read_and_written)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ip_addr a = {0};
		char out[IP_TEXT_MAX] = "";
		int r = ip_parse(str_c(texts[i].in), &a);

		if (texts[i].out == NULL) {
			if (r != -EINVAL)
				TEST_FAIL_("'%s' was taken for an address", texts[i].in);
			continue;
		}
		CHECK_INT(r, 0);
		CHECK_INT(ip_format(&a, out), strlen(texts[i].out));
		CHECK_STR(out, texts[i].out);
	}
}

TEST(prefixes)
{
	struct ip_prefix p = {0}, q = {0};
	struct ip_addr a = {0};
	char out[IP_TEXT_MAX] = "";

	CHECK_INT(ip_prefix_parse(STR("10.244.3.7/22"), &p), 0);
	CHECK(!ip_prefix_is_masked(&p));
	p = ip_prefix_masked(&p);
	ip_prefix_format(&p, out);
	CHECK_STR(out, "10.244.0.0/22");
	a = ip_prefix_last(&p);
	ip_format(&a, out);
	CHECK_STR(out, "10.244.3.255");
	CHECK(ip_prefix_contains(&p, &a));
	a = ip_add(&a, 1);
	CHECK(!ip_prefix_contains(&p, &a));
	ip_format(&a, out);
	CHECK_STR(out, "10.244.4.0");
	CHECK_INT(ip_prefix_parse(STR("fd00::/64"), &q), 0);
	CHECK(!ip_prefix_contains(&q, &a));
	a = ip_add(&q.addr, 0x1ff);
	ip_format(&a, out);
	CHECK_STR(out, "fd00::1ff");
	CHECK_INT(ip_prefix_parse(STR("10.0.0.0/33"), &q), -EINVAL);
	CHECK_INT(ip_prefix_parse(STR("10.0.0.0/"), &q), -EINVAL);
	CHECK_INT(ip_prefix_parse(STR("10.0.0.0/08"), &q), -EINVAL);
	CHECK_INT(ip_prefix_parse(STR("10.0.0.0"), &q), -EINVAL);
}

TEST(kinds_of_addresses)
{
	struct ip_addr a = ip_v4(0x7f010203), b = {0};

	CHECK(ip_is_loopback(&a));
	CHECK(!ip_is_unspecified(&a));
	CHECK(!ip_is_unspecified(&b));
	CHECK_INT(ip_parse(STR("::"), &b), 0);
	CHECK(ip_is_unspecified(&b));
	b = ip_add(&b, 1);
	CHECK(ip_is_loopback(&b));
}

TEST(addresses_that_lead_elsewhere)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {{"10.244.0.3", true}, {"192.0.2.1", true}, {"fd00::1", true},
		{"2001:db8::1", true}, {"0.0.0.0", false}, {"127.0.0.1", false},
		{"169.254.169.254", false}, {"224.0.0.1", false}, {"239.1.2.3", false},
		{"255.255.255.255", false}, {"::", false}, {"::1", false}, {"fe80::1", false},
		{"febf::1", false}, {"ff02::1", false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_addr a;
		CHECK_INT(ip_parse(str_c(rows[i].text), &a), 0);
		CHECK_INT(ip_is_global_unicast(&a), rows[i].want);
	}
	CHECK(!ip_is_global_unicast(&(struct ip_addr){0}));
}
