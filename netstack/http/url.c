/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * url: URLs, percent-encoding, query strings, host:port texts; see message.h.
 * Place in the flow: routing and selectors above the server; targets of the client.
 * Invariants: total functions over slices. Source: RFC 3986; WHATWG URL for query strings. */
#include "netstack/http/message.h"

#include <errno.h>
#include <stdio.h>

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_';
}

/* host_port: "h", "h:p", "[v6]", "[v6]:p". *port keeps its value when none is given. */
static int
host_port(struct str s, struct str *ret_host, uint16_t *port)
{
	struct str host = s, digits = STR_NONE;

	if (s.n > 0 && s.p[0] == '[') {
		ptrdiff_t end = str_find_char(s, ']');
		struct ip_addr ip;
		if (end < 0)
			return -EINVAL;
		host = str_sub(s, 1, (size_t)end);
		if (ip_parse(host, &ip) < 0 || ip.family != 6)
			return -EINVAL;
		struct str rest = str_sub(s, (size_t)end + 1, SIZE_MAX);
		if (rest.n > 0) {
			if (rest.p[0] != ':')
				return -EINVAL;
			digits = str_sub(rest, 1, SIZE_MAX);
		}
	} else {
		if (str_cut(s, ':', &host, &digits) && !str_is_set(digits))
			digits = STR("");
		for (size_t i = 0; i < host.n; i++)
			if (!is_host_char(host.p[i]))
				return -EINVAL;
	}
	if (host.n == 0 || host.n > 255)
		return -EINVAL;
	if (str_is_set(digits)) {
		uint64_t v = 0;
		if (digits.n > 5 || str_to_u64(digits, &v) < 0 || v > 65535)
			return -EINVAL;
		*port = (uint16_t)v;
	}
	*ret_host = host;
	return 0;
}

int
http_url_parse(struct str text, struct http_url *ret)
{
	struct http_url u = {0};
	struct str rest = STR_NONE;

	if (text.n > 8 && str_eq_nocase(str_sub(text, 0, 8), STR("https://"))) {
		u.tls = true;
		rest = str_sub(text, 8, SIZE_MAX);
	} else if (text.n > 7 && str_eq_nocase(str_sub(text, 0, 7), STR("http://"))) {
		rest = str_sub(text, 7, SIZE_MAX);
	} else {
		return -EINVAL;
	}
	size_t end = 0;
	while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#')
		end++;
	u.port = u.tls ? 443 : 80;
	int r = host_port(str_sub(rest, 0, end), &u.host, &u.port);
	if (r < 0 || u.port == 0)
		return -EINVAL;
	u.target = str_sub(rest, end, SIZE_MAX);
	ptrdiff_t hash = str_find_char(u.target, '#');
	if (hash >= 0)
		u.target = str_sub(u.target, 0, (size_t)hash);
	for (size_t i = 0; i < u.target.n; i++)
		if ((uint8_t)u.target.p[i] <= ' ' || (uint8_t)u.target.p[i] >= 0x7f)
			return -EINVAL;
	*ret = u;
	return 0;
}

int
http_url_decode(struct arena *a, struct str s, bool plus, struct str *ret)
{
	size_t at = 0;

	while (at < s.n && s.p[at] != '%' && !(plus && s.p[at] == '+'))
		at++;
	if (at == s.n) {
		*ret = str_is_set(s) ? s : STR("");
		return 0;
	}
	char *out = arena_alloc_raw(a, s.n, 1);
	if (!out)
		return -ENOMEM;
	memcpy(out, s.p, at);
	size_t n = at;
	while (at < s.n) {
		char c = s.p[at];
		if (c == '%') {
			int hi = at + 2 < s.n ? hex_digit(s.p[at + 1]) : -1;
			int lo = at + 2 < s.n ? hex_digit(s.p[at + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -EINVAL;
			out[n++] = (char)(hi * 16 + lo);
			at += 3;
		} else {
			out[n++] = plus && c == '+' ? ' ' : c;
			at++;
		}
	}
	*ret = str_from(out, n);
	return 0;
}

void
http_url_encode(struct buf *b, struct str s, bool path)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];
		bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || (c && strchr("-._~", c)) ||
			(path && c && strchr("/:@!$&'()*+,;=", c));
		if (keep) {
			buf_char(b, (char)c);
		} else {
			buf_char(b, '%');
			buf_char(b, hex[c >> 4]);
			buf_char(b, hex[c & 15]);
		}
	}
}

int
http_query_next(struct arena *a, struct str *rest, struct str *ret_key, struct str *ret_value)
{
	struct str part = STR_NONE;

	do {
		if (!str_is_set(*rest) || !str_next(rest, '&', &part))
			return 0;
	} while (part.n == 0);
	struct str k = STR_NONE, v = STR_NONE;
	if (!str_cut(part, '=', &k, &v))
		v = STR("");
	struct str key = STR_NONE, value = STR_NONE;
	int r = http_url_decode(a, k, true, &key);
	if (r == 0)
		r = http_url_decode(a, v, true, &value);
	if (r < 0)
		return r;
	*ret_key = key;
	*ret_value = value;
	return 1;
}

struct str
http_query_get(struct arena *a, struct str query, struct str key)
{
	struct str k = STR_NONE, v = STR_NONE;
	int r = 0;

	while ((r = http_query_next(a, &query, &k, &v)) != 0) {
		if (r == -ENOMEM)
			break;
		if (r > 0 && str_eq(k, key))
			return v;
	}
	return STR_NONE;
}

int
http_addr_parse(struct str s, struct http_addr *ret)
{
	struct http_addr a = {0};
	struct str host = STR_NONE;
	ptrdiff_t colon = str_rfind_char(s, ':');

	if (colon < 0 || (size_t)colon + 1 == s.n || s.p[s.n - 1] == ']')
		return -EINVAL;
	int r = host_port(s, &host, &a.port);
	if (r == 0)
		r = ip_parse(host, &a.ip);
	if (r < 0)
		return -EINVAL;
	*ret = a;
	return 0;
}

size_t
http_addr_format(const struct http_addr *a, char out[HTTP_ADDR_TEXT])
{
	char ip[IP_TEXT_MAX] = "";

	ip_format(&a->ip, ip);
	int n = snprintf(out, HTTP_ADDR_TEXT, a->ip.family == 6 ? "[%s]:%u" : "%s:%u", ip, a->port);
	return n > 0 ? (size_t)n : 0;
}
