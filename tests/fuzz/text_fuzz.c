/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * text_fuzz: any bytes as the small texts that stand in objects, options and headers: addresses and prefixes,
 * times, durations, numbers, bytes in base64 and hex. What is taken is written again and reads back as the
 * same value. */
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
addresses(struct str s)
{
	struct ip_addr a = {0}, a2 = {0};
	struct ip_prefix p = {0}, p2 = {0};
	char out[IP_TEXT_MAX];

	if (ip_parse(s, &a) == 0) {
		size_t n = ip_format(&a, out);
		BUG_ON(n >= sizeof(out) || ip_parse(str_from(out, n), &a2) < 0);
		BUG_ON(!ip_eq(&a, &a2));
	}
	if (ip_prefix_parse(s, &p) == 0) {
		size_t n = ip_prefix_format(&p, out);
		BUG_ON(n >= sizeof(out) || ip_prefix_parse(str_from(out, n), &p2) < 0);
		BUG_ON(!ip_eq(&p.addr, &p2.addr) || p.len != p2.len);
		struct ip_prefix masked = ip_prefix_masked(&p);
		struct ip_addr last = ip_prefix_last(&p);
		BUG_ON(!ip_prefix_is_masked(&masked));
		BUG_ON(!ip_prefix_contains(&p, &p.addr) || !ip_prefix_contains(&p, &last));
	}
}

static void
times(struct str s)
{
	int64_t ns = 0, again = 0;
	char out[64];

	if (rfc3339_parse(s, &ns) == 0) {
		size_t n = rfc3339_format(ns, 9, out);
		BUG_ON(rfc3339_parse(str_from(out, n), &again) < 0 || again != ns);
	}
	if (duration_parse(s, &ns) == 0) {
		size_t n = duration_format(ns, out);
		BUG_ON(duration_parse(str_from(out, n), &again) < 0 || again != ns);
	}
}

static void
numbers(struct str s)
{
	int64_t i = 0;
	uint64_t u = 0;
	double d = 0;

	if (str_to_u64(s, &u) == 0 && u <= INT64_MAX)
		BUG_ON(str_to_i64(s, &i) < 0 || (uint64_t)i != u);
	if (str_to_i64(s, &i) == 0)
		BUG_ON(str_to_double(s, &d) < 0);
	str_to_u64_hex(s, &u);
}

/* What decodes is encoded and decodes to the same again. */
static void
encoded(struct str s, int (*decode)(struct buf *b, struct str s),
	void (*encode)(struct buf *b, struct str s))
{
	struct buf raw = BUF_INIT, text = BUF_INIT, back = BUF_INIT;

	if (decode(&raw, s) == 0) {
		encode(&text, buf_view(&raw));
		BUG_ON(decode(&back, buf_view(&text)) < 0);
		BUG_ON(!str_eq(buf_view(&raw), buf_view(&back)));
	}
	buf_release(&raw);
	buf_release(&text);
	buf_release(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_from((const char *)data, size);

	addresses(s);
	times(s);
	numbers(s);
	encoded(s, base64_decode, base64_encode);
	encoded(s, base64url_decode, base64url_encode);
	encoded(s, hex_decode, hex_encode);
	str_is_utf8(s);
	BUG_ON(str_trim(s).n > s.n);
	return 0;
}
