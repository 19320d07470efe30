/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Names and messages: what is read, what is refused, and that nothing is read beyond its end. */
#include "netstack/dns/msg.c"

#include "base/rand.h"
#include "tests/unit/netstack/dns/text.h"

static const struct {
	const char *text;
	int n; /* -1: refused */
} texts[] = {{"", 1}, {".", 1}, {"a", 3}, {"a.", 3}, {"a.bc", 6}, {"..", -1}, {"a..b", -1},
	{".a", -1}, {"x123456789x123456789x123456789x123456789x123456789x123456789xyz", 65},
	{"x123456789x123456789x123456789x123456789x123456789x123456789xyza", -1}};

TEST(names_from_text)
{
	struct dname d = {0};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		int code = dname_from_text(str_c(texts[i].text), &d);

		CHECK_INT(code < 0 ? -1 : d.n, texts[i].n);
	}
	CHECK_INT(dname_from_text(STR("WWW.Example"), &d), 0);
	CHECK(memcmp(d.b, "\3www\7example", 13) == 0);
	CHECK_INT(dname_prepend(&d, STR("a.b")), -EINVAL);
	CHECK_INT(dname_prepend(&d, STR("")), -EINVAL);
	for (int i = 0; i < 60; i++)
		dname_prepend(&d, STR("abc"));
	CHECK(d.n <= DNS_NAME_MAX);
	CHECK_INT(dname_prepend(&d, STR("abcdefghij")), -EINVAL);
}

TEST(names_of_addresses)
{
	static const char *const ips[] = {"10.96.0.10", "255.0.0.1", "fd00::1", "2001:db8::ff"};
	struct ip_addr a = {0}, b = {0};
	struct dname d = {0};

	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		CHECK_INT(ip_parse(str_c(ips[i]), &a), 0);
		dname_of_ip(&a, &d);
		CHECK(dname_to_ip(&d, &b));
		CHECK(ip_eq(&a, &b));
	}
	CHECK_INT(dname_from_text(STR("1.0.0.10.in-addr.arpa"), &d), 0);
	CHECK(dname_to_ip(&d, &a));
	CHECK_INT(dname_from_text(STR("0.10.in-addr.arpa"), &d), 0);
	CHECK(!dname_to_ip(&d, &a));
	CHECK_INT(dname_from_text(STR("01.0.0.10.in-addr.arpa"), &d), 0);
	CHECK(!dname_to_ip(&d, &a));
	CHECK_INT(dname_from_text(STR("1.1.0.0.10.in-addr.arpa"), &d), 0);
	CHECK(!dname_to_ip(&d, &a));
}

TEST(under_is_at_label_borders)
{
	struct dname top = {0}, d = {0};

	CHECK_INT(dname_from_text(STR("cluster.local"), &top), 0);
	CHECK_INT(dname_from_text(STR("a.cluster.local"), &d), 0);
	CHECK(dname_is_under(&d, &top));
	CHECK(dname_is_under(&top, &top));
	CHECK_INT(dname_from_text(STR("acluster.local"), &d), 0);
	CHECK(!dname_is_under(&d, &top));
	CHECK_INT(dname_from_text(STR("local"), &d), 0);
	CHECK(!dname_is_under(&d, &top));
}

TEST(compression_pointers_only_lead_backwards)
{
	/* 12: "a" 0; 15: "b" -> 12; 19: -> 19; 21: -> 23; 23: "c" -> 15 */
	static const char msg[] = "............"
				  "\1a\0"
				  "\1b\300\014"
				  "\300\023"
				  "\300\027"
				  "\1c\300\017";
	struct str m = str_from(msg, sizeof(msg) - 1);
	struct dname d = {0};
	size_t at = 15;

	CHECK_INT(dname_parse(m, &at, &d), 0);
	CHECK_INT(at, 19);
	CHECK(memcmp(d.b, "\1b\1a", 5) == 0);
	at = 19;
	CHECK_INT(dname_parse(m, &at, &d), -EBADMSG); /* itself */
	at = 21;
	CHECK_INT(dname_parse(m, &at, &d), -EBADMSG); /* forwards */
	at = 23;
	CHECK_INT(dname_parse(m, &at, &d), 0);
	CHECK(memcmp(d.b, "\1c\1b\1a", 7) == 0);
	at = 14;
	m.n = 14;
	CHECK_INT(dname_parse(m, &at, &d), -EBADMSG);
}

static const struct {
	const char *what;
	size_t at;
	uint8_t byte;
	int code;
} changed[] = {
	{"a response", 2, 0x81, -EBADMSG},
	{"another opcode", 2, 0x29, RC_NOTIMP},
	{"two questions", 5, 2, RC_FORMERR},
	{"no question", 5, 0, RC_FORMERR},
	{"records that are not there", 7, 1, RC_FORMERR},
	{"hundreds of records", 6, 1, RC_FORMERR},
	{"a pointer as the question", 12, 0xc0, RC_FORMERR},
	{"an unknown kind of label", 12, 0x41, RC_FORMERR},
	{"OPT of another name", 29, 1, RC_FORMERR},
	{"another EDNS version", 35, 1, RC_BADVERS},
	{"nothing wrong", 0, 0x12, 0},
};

TEST(queries_are_read_or_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
		uint8_t m[512];
		size_t n = query_of(m, "abc.example", T_A, 4096);
		struct dquery q;
		int code = 0;

		m[changed[i].at] = changed[i].byte;
		code = dquery_parse(str_from((char *)m, n), &q);
		if (code != changed[i].code)
			TEST_FAIL_("%s: %d, not %d", changed[i].what, code, changed[i].code);
	}
}

TEST(the_udp_size_is_bounded)
{
	static const uint16_t sizes[][2] = {
		{0, 512}, {100, 512}, {512, 512}, {900, 900}, {1232, 1232}, {65535, 1232}};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t m[512];
		size_t n = query_of(m, "a", T_A, sizes[i][0]);
		struct dquery q;

		CHECK_INT(dquery_parse(str_from((char *)m, n), &q), 0);
		CHECK_INT(q.udp_size, sizes[i][1]);
	}
}

TEST(cut_and_random_queries_end_well)
{
	uint8_t m[512], noise[512];
	size_t n = query_of(m, "a.longer.name.example", T_AAAA, 1232);
	struct dquery q;

	for (size_t k = 0; k < n; k++)
		CHECK(dquery_parse(str_from((char *)m, k), &q) != 0);
	rand_set_seed(5);
	for (unsigned round = 0; round < 50000; round++) {
		memcpy(noise, m, n);
		for (unsigned i = 0; i < 3; i++)
			noise[rand_below(n)] = (uint8_t)rand_u64();
		if (dquery_parse(str_from((char *)noise, n), &q) >= 0)
			CHECK(q.question_end <= n);
	}
}

TEST(written_names_are_compressed)
{
	uint8_t space[256] = {0};
	struct dout o = {.p = space, .n = DNS_HEADER, .max = sizeof(space)};
	struct dname a = {0}, b = {0}, back = {0};
	size_t at = DNS_HEADER;

	CHECK_INT(dname_from_text(STR("www.example.org"), &a), 0);
	CHECK_INT(dname_from_text(STR("mail.example.org"), &b), 0);
	dout_name(&o, &a, true);
	CHECK_INT(o.n, 12 + 17);
	dout_name(&o, &b, true);
	CHECK_INT(o.n, 12 + 17 + 7);
	dout_name(&o, &b, true);
	CHECK_INT(o.n, 12 + 17 + 7 + 2);
	dout_name(&o, &b, false);
	CHECK_INT(o.n, 12 + 17 + 7 + 2 + 18);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_INT(dname_parse(str_from((char *)space, o.n), &at, &back), 0);
		CHECK(dname_eq(&back, i == 0 ? &a : &b));
	}
	o.max = o.n + 3;
	dout_name(&o, &b, false);
	CHECK(o.full);
}
