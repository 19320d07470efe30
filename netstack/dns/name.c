/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Domain names in wire form. Total functions over bytes: labels <= 63, names <= 255, compression pointers
 * only backwards, so that every name ends. Source: RFC 1035 2.3.4, 3.1, 4.1.4; RFC 4343 (case). */
#include <errno.h>
#include <stdio.h>

#include "netstack/dns/dns_int.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int
append(struct dname *d, const uint8_t *label, size_t n)
{
	if (n == 0 || n > DNS_LABEL_MAX || d->n + 1 + n + 1 > DNS_NAME_MAX)
		return -EINVAL;
	d->b[d->n++] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		d->b[d->n++] = lower(label[i]);
	return 0;
}

int
dname_from_text(struct str text, struct dname *ret)
{
	struct dname d = {0};
	struct str label = STR_NONE;

	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	if (text.n == 0)
		text = STR_NONE;
	while (str_next(&text, '.', &label))
		if (append(&d, (const uint8_t *)label.p, label.n) < 0)
			return -EINVAL;
	d.b[d.n++] = 0;
	*ret = d;
	return 0;
}

int
dname_prepend(struct dname *d, struct str label)
{
	struct dname r = {0};

	if (str_find_char(label, '.') >= 0 || append(&r, (const uint8_t *)label.p, label.n) < 0 ||
		r.n + d->n > DNS_NAME_MAX)
		return -EINVAL;
	memcpy(r.b + r.n, d->b, d->n);
	r.n = (uint8_t)(r.n + d->n);
	*d = r;
	return 0;
}

bool
dname_eq(const struct dname *a, const struct dname *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

bool
dname_is_under(const struct dname *d, const struct dname *top)
{
	size_t at = 0;

	if (d->n < top->n)
		return false;
	while (d->n - at > top->n)
		at += 1u + d->b[at];
	return d->n - at == top->n && memcmp(d->b + at, top->b, top->n) == 0;
}

void
dname_parent(const struct dname *d, struct dname *ret)
{
	size_t skip = d->n > 1 ? 1u + d->b[0] : 0;

	ret->n = (uint8_t)(d->n - skip);
	memmove(ret->b, d->b + skip, ret->n);
}

struct str
dname_label(const struct dname *d)
{
	return str_from((const char *)d->b + 1, d->b[0]);
}

int
dname_parse(struct str msg, size_t *at, struct dname *ret)
{
	size_t pos = *at, lowest = *at, end = 0;
	struct dname d = {0};

	for (;;) {
		uint8_t c = pos < msg.n ? (uint8_t)msg.p[pos] : 0xff;

		if (pos >= msg.n)
			return -EBADMSG;
		if (c == 0)
			break;
		if ((c & 0xc0) == 0xc0) {
			size_t to = 0;

			if (pos + 2 > msg.n)
				return -EBADMSG;
			to = dns_u16(msg, pos) & 0x3fff;
			if (end == 0)
				end = pos + 2;
			/* strictly backwards: at most as many jumps as there are bytes */
			if (to >= lowest || to < DNS_HEADER)
				return -EBADMSG;
			lowest = pos = to;
			continue;
		}
		if (c > DNS_LABEL_MAX || pos + 1 + c > msg.n ||
			append(&d, (const uint8_t *)msg.p + pos + 1, c) < 0)
			return -EBADMSG;
		pos += 1u + c;
	}
	d.b[d.n++] = 0;
	*at = end != 0 ? end : pos + 1;
	*ret = d;
	return 0;
}

void
dname_of_ip(const struct ip_addr *a, struct dname *ret)
{
	static const char hex[] = "0123456789abcdef";
	struct dname d = {0};
	char text[4];

	for (size_t i = ip_size(a); i-- > 0;) {
		if (a->family == 4) {
			int n = snprintf(text, sizeof(text), "%u", a->b[i]);

			append(&d, (const uint8_t *)text, (size_t)n);
			continue;
		}
		append(&d, (const uint8_t *)&hex[a->b[i] & 15], 1);
		append(&d, (const uint8_t *)&hex[a->b[i] >> 4], 1);
	}
	if (a->family == 4)
		append(&d, (const uint8_t *)"in-addr", 7);
	else
		append(&d, (const uint8_t *)"ip6", 3);
	append(&d, (const uint8_t *)"arpa", 4);
	d.b[d.n++] = 0;
	*ret = d;
}

bool
dname_to_ip(const struct dname *d, struct ip_addr *ret)
{
	static const uint8_t v4[] = "\7in-addr\4arpa", v6[] = "\3ip6\4arpa";
	bool is4 = d->n > sizeof(v4) && memcmp(d->b + d->n - sizeof(v4), v4, sizeof(v4)) == 0;
	bool is6 = d->n == 64 + sizeof(v6) && memcmp(d->b + 64, v6, sizeof(v6)) == 0;
	struct ip_addr a = {.family = is4 ? 4 : 6};
	struct dname back;
	size_t at = 0;

	if (!is4 && !is6)
		return false;
	for (unsigned i = 0; is4 && i < 4 && at < d->n - sizeof(v4); i++) {
		uint64_t v = 0;

		if (str_to_u64(str_from((const char *)d->b + at + 1, d->b[at]), &v) < 0 || v > 255)
			return false;
		a.b[3 - i] = (uint8_t)v;
		at += 1u + d->b[at];
	}
	for (unsigned i = 0; is6 && i < 32; i++) {
		uint8_t c = d->b[2 * i + 1];
		unsigned v = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);

		if (d->b[2 * i] != 1 || v > 15)
			return false;
		a.b[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	dname_of_ip(&a, &back); /* the one spelling, nothing more and nothing less */
	if (!dname_eq(&back, d))
		return false;
	*ret = a;
	return true;
}
