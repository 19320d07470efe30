/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ip: addresses and prefixes as values; contracts in ip.h. Parsing is a total function over the slice:
 * a bounded state per group, no library call that wants a C string. */
#include "base/ip.h"

#include <errno.h>
#include <stdio.h>

struct ip_addr
ip_v4(uint32_t host_order)
{
	struct ip_addr a = {.family = 4};

	for (unsigned i = 0; i < 4; i++)
		a.b[i] = (uint8_t)(host_order >> (24 - 8 * i));
	return a;
}

struct ip_addr
ip_from_bytes(const void *p, size_t n)
{
	struct ip_addr a = {0};

	if (n != 4 && n != 16)
		return a;
	a.family = n == 4 ? 4 : 6;
	memcpy(a.b, p, n);
	return a;
}

/* Four decimal parts into out[4]; no leading zeros (they mean octal elsewhere). */
static int
parse_v4(struct str s, uint8_t *out)
{
	unsigned part = 0, digits = 0, value = 0;

	for (size_t i = 0; i <= s.n; i++) {
		char c = i < s.n ? s.p[i] : '.';

		if (c == '.') {
			if (digits == 0 || part > 3)
				return -1;
			out[part++] = (uint8_t)value;
			digits = value = 0;
			continue;
		}
		if (c < '0' || c > '9' || (digits > 0 && value == 0))
			return -1;
		value = value * 10 + (unsigned)(c - '0');
		digits++;
		if (value > 255)
			return -1;
	}
	return part == 4 ? 0 : -1;
}

/* One group of 1..4 hex digits at s[*i]; -1 when there is none or it is too long. */
static int
parse_group(struct str s, size_t *i)
{
	int value = 0, digits = 0;

	while (*i < s.n && hex_digit(s.p[*i]) >= 0) {
		if (++digits > 4)
			return -1;
		value = value * 16 + hex_digit(s.p[(*i)++]);
	}
	return digits > 0 ? value : -1;
}

static int
parse_v6(struct str s, uint8_t *out)
{
	uint8_t bytes[16] = {0};
	size_t n = 0, i = 0;
	ptrdiff_t gap = -1;

	if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
		gap = 0;
		i = 2;
	}
	while (i < s.n) {
		size_t start = i;
		int group = parse_group(s, &i);

		if (group < 0 || n > 14)
			return -1;
		if (i < s.n && s.p[i] == '.') {
			if (n > 12 || parse_v4(str_sub(s, start, SIZE_MAX), bytes + n) < 0)
				return -1;
			n += 4;
			break;
		}
		bytes[n++] = (uint8_t)(group >> 8);
		bytes[n++] = (uint8_t)group;
		if (i == s.n)
			break;
		if (s.p[i++] != ':' || i == s.n)
			return -1;
		if (s.p[i] == ':') {
			if (gap >= 0)
				return -1;
			gap = (ptrdiff_t)n;
			i++;
		}
	}
	if (gap < 0 ? n != 16 : n > 14)
		return -1;
	if (gap >= 0) {
		size_t tail = n - (size_t)gap;

		memmove(bytes + 16 - tail, bytes + gap, tail);
		memset(bytes + gap, 0, 16 - n);
	}
	memcpy(out, bytes, 16);
	return 0;
}

int
ip_parse(struct str s, struct ip_addr *ret)
{
	struct ip_addr a = {0};

	if (s.n == 0 || s.n > 45)
		return -EINVAL;
	if (str_find_char(s, ':') >= 0) {
		a.family = 6;
		if (parse_v6(s, a.b) < 0)
			return -EINVAL;
	} else {
		a.family = 4;
		if (parse_v4(s, a.b) < 0)
			return -EINVAL;
	}
	*ret = a;
	return 0;
}

static size_t
format_v6(const uint8_t *b, char *out)
{
	unsigned group[8];
	int best = -1, best_len = 1; /* RFC 5952: a single zero group is not shortened */
	size_t n = 0;

	for (int i = 0; i < 8; i++)
		group[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
	for (int i = 0; i < 8; i++) {
		int len = 0;

		while (i + len < 8 && group[i + len] == 0)
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
		i += len > 0 ? len - 1 : 0;
	}
	if (best == 0 && best_len == 5 && group[5] == 0xffff)
		return (size_t)snprintf(
			out, IP_TEXT_MAX, "::ffff:%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "::");
			i += best_len - 1;
			continue;
		}
		n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "%s%x",
			i > 0 && out[n - 1] != ':' ? ":" : "", group[i]);
	}
	return n;
}

size_t
ip_format(const struct ip_addr *a, char out[IP_TEXT_MAX])
{
	if (a->family == 4)
		return (size_t)snprintf(
			out, IP_TEXT_MAX, "%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]);
	if (a->family == 6)
		return format_v6(a->b, out);
	out[0] = '\0';
	return 0;
}

int
ip_prefix_parse(struct str s, struct ip_prefix *ret)
{
	struct str head = STR_NONE, tail = STR_NONE;
	struct ip_prefix p = {0};
	uint64_t len = 0;

	if (!str_cut(s, '/', &head, &tail) || tail.n == 0 || tail.n > 3 ||
		(tail.n > 1 && tail.p[0] == '0') || ip_parse(head, &p.addr) < 0 ||
		str_to_u64(tail, &len) < 0 || len > 8 * ip_size(&p.addr))
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

size_t
ip_prefix_format(const struct ip_prefix *p, char out[IP_TEXT_MAX])
{
	size_t n = ip_format(&p->addr, out);

	return n + (size_t)snprintf(out + n, IP_TEXT_MAX - n, "/%u", p->len);
}

struct ip_prefix
ip_prefix_masked(const struct ip_prefix *p)
{
	struct ip_prefix r = *p;

	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = p->len >= 8 * (i + 1) ? 8 : p->len <= 8 * i ? 0 : p->len - 8 * i;

		r.addr.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return r;
}

bool
ip_prefix_is_masked(const struct ip_prefix *p)
{
	struct ip_prefix m = ip_prefix_masked(p);

	return ip_eq(&m.addr, &p->addr);
}

bool
ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_prefix x = ip_prefix_masked(p), y = {*a, p->len};

	y = ip_prefix_masked(&y);
	return ip_eq(&x.addr, &y.addr);
}

struct ip_prefix
ip_host_prefix(const struct ip_addr *a)
{
	return (struct ip_prefix){*a, (uint8_t)(8 * ip_size(a))};
}

struct ip_addr
ip_add(const struct ip_addr *a, uint64_t n)
{
	struct ip_addr r = *a;
	uint64_t carry = n;

	for (size_t i = ip_size(a); i-- > 0 && carry > 0;) {
		uint64_t sum = (carry & 0xff) + r.b[i];

		r.b[i] = (uint8_t)sum;
		carry = (carry >> 8) + (sum >> 8);
	}
	return r;
}

struct ip_addr
ip_before(const struct ip_addr *a)
{
	struct ip_addr r = *a;

	for (size_t i = ip_size(a); i-- > 0 && r.b[i]-- == 0;)
		;
	return r;
}

struct ip_addr
ip_prefix_last(const struct ip_prefix *p)
{
	struct ip_prefix r = ip_prefix_masked(p);

	for (unsigned i = 0; i < ip_size(&p->addr); i++) {
		unsigned keep = p->len >= 8 * (i + 1) ? 8 : p->len <= 8 * i ? 0 : p->len - 8 * i;

		r.addr.b[i] |= (uint8_t)(0xff >> keep);
	}
	return r.addr;
}

bool
ip_is_loopback(const struct ip_addr *a)
{
	static const struct ip_addr v6 = {6, {[15] = 1}};

	return a->family == 4 ? a->b[0] == 127 : ip_eq(a, &v6);
}

bool
ip_is_unspecified(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	return a->family != 0 && memcmp(a->b, zero, 16) == 0;
}

bool
ip_is_global_unicast(const struct ip_addr *a)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (a->family == 0 || ip_is_unspecified(a) || ip_is_loopback(a))
		return false;
	if (a->family == 4)
		return (a->b[0] & 0xf0) != 0xe0 && (a->b[0] != 169 || a->b[1] != 254) &&
			memcmp(a->b, broadcast, 4) != 0;
	return a->b[0] != 0xff && (a->b[0] != 0xfe || (a->b[1] & 0xc0) != 0x80);
}
