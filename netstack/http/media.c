/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * media: media types with parameters, and what an Accept header prefers; see message.h.
 * Place in the flow: content negotiation of the API server and of image registries.
 * Invariants: total functions over slices. Source: RFC 9110 sections 8.3 and 12.5.1; upstream's
 * munnerlyn/goautoneg for the order of clauses. */
#include "netstack/http/message.h"

#include <errno.h>

static bool
is_tchar(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_tchar(s.p[i]))
			return false;
	return s.n > 0;
}

/* param_cut: takes one parameter (up to a ';' outside quotes) off *rest. */
static struct str
param_cut(struct str *rest)
{
	size_t i = 0;
	bool quoted = false;

	for (; i < rest->n; i++) {
		if (rest->p[i] == '"')
			quoted = !quoted;
		else if (rest->p[i] == ';' && !quoted)
			break;
	}
	struct str part = str_trim(str_sub(*rest, 0, i));
	*rest = str_sub(*rest, i + 1 < rest->n ? i + 1 : rest->n, SIZE_MAX);
	return part;
}

/* q_parse: "1", "0.5", "0.123" -> thousandths. */
static int
q_parse(struct str s)
{
	int q = 0, digits = 0;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1'))
		return -EINVAL;
	q = (s.p[0] - '0') * 1000;
	if (s.n > 1 && s.p[1] != '.')
		return -EINVAL;
	for (size_t i = 2, weight = 100; i < s.n; i++, weight /= 10, digits++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -EINVAL;
		q += (s.p[i] - '0') * (int)weight;
	}
	return q <= 1000 ? q : -EINVAL;
}

/* Clients of OpenAPI name "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", which is none by the RFC. */
static bool
is_subtype(struct str s)
{
	struct str part = STR_NONE;

	while (str_next(&s, '@', &part))
		if (!is_token(part))
			return false;
	return true;
}

int
http_media_parse(struct str s, struct http_media *ret)
{
	struct http_media m = {.q = 1000};
	struct str rest = s, main_type = STR_NONE, sub = STR_NONE;

	m.type = param_cut(&rest);
	if (!str_cut(m.type, '/', &main_type, &sub) || !is_token(main_type) || sub.n == 0 ||
		!is_subtype(sub))
		return -EINVAL;
	while (rest.n > 0) {
		struct str part = param_cut(&rest), name = STR_NONE, value = STR_NONE;
		if (part.n == 0)
			continue;
		if (!str_cut(part, '=', &name, &value))
			return -EINVAL;
		name = str_trim(name);
		value = str_trim(value);
		if (!is_token(name))
			return -EINVAL;
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"') {
			value = str_sub(value, 1, value.n - 1);
			if (str_find_char(value, '\\') >= 0 || str_find_char(value, '"') >= 0)
				return -EINVAL;
		} else if (str_find_char(value, '"') >= 0) {
			return -EINVAL;
		}
		if (str_eq_nocase(name, STR("q"))) {
			m.q = q_parse(value);
			if (m.q < 0)
				return -EINVAL;
			continue;
		}
		if (m.n_params == HTTP_MEDIA_PARAMS)
			return -E2BIG;
		m.params[m.n_params++] = (struct http_header){name, value};
	}
	*ret = m;
	return 0;
}

struct str
http_media_param(const struct http_media *m, struct str name)
{
	for (size_t i = 0; i < m->n_params; i++)
		if (str_eq_nocase(m->params[i].name, name))
			return m->params[i].value;
	return STR_NONE;
}

/* specificity: 0 for any type, 1 for any of one kind, 2 for a full type, more with parameters. */
static size_t
specificity(const struct http_media *m)
{
	if (str_eq(m->type, STR("*/*")))
		return 0;
	return (str_ends(m->type, STR("/*")) ? 1 : 2) + m->n_params;
}

static bool
is_before(const struct http_media *x, const struct http_media *y)
{
	if (x->q != y->q)
		return x->q > y->q;
	return specificity(x) > specificity(y);
}

int
http_accept_parse(
	struct arena *a, const struct http_headers *h, struct http_media **ret, size_t *ret_n)
{
	enum { MAX_CLAUSES = 32 };
	struct http_media *v = ARENA_ARRAY(a, struct http_media, MAX_CLAUSES);
	size_t n = 0, pos = 0;
	struct str value = STR_NONE, item = STR_NONE;
	bool present = false;

	if (!v)
		return -ENOMEM;
	while (http_headers_next(h, STR("Accept"), &pos, &value)) {
		while (n < MAX_CLAUSES && http_token_next(&value, &item)) {
			struct http_media m = {0};
			present = true;
			if (http_media_parse(item, &m) < 0 || m.q == 0)
				continue;
			size_t at = n++;
			while (at > 0 && is_before(&m, &v[at - 1])) {
				v[at] = v[at - 1];
				at--;
			}
			v[at] = m;
		}
	}
	if (!present)
		v[n++] = (struct http_media){.type = STR_INIT("*/*"), .q = 1000};
	*ret = v;
	*ret_n = n;
	return 0;
}

bool
http_media_matches(const struct http_media *clause, struct str type)
{
	if (str_eq(clause->type, STR("*/*")) || str_eq_nocase(clause->type, type))
		return true;
	if (!str_ends(clause->type, STR("/*")))
		return false;
	size_t n = clause->type.n - 1;
	return type.n > n && str_eq_nocase(str_sub(type, 0, n), str_sub(clause->type, 0, n));
}
