/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_url: URLs as Go parses them. Source: Go net/url (ParseRequestURI); k8s.io/apiserver pkg/cel/library/urls.go. */
#include "orchestrator/cel/lib_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The first escape that is none; STR_NONE = all are good. */
static struct str
bad_escape(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%') {
			if (i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
				return str_sub(s, i, i + 3);
			i += 2;
		}
	return STR_NONE;
}

static struct str
unescape(struct arena *a, struct str s, bool plus)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		uint64_t v = 0;
		if (s.p[i] == '%' && i + 2 < s.n &&
			str_to_u64_hex(str_sub(s, i + 1, i + 3), &v) == 0) {
			buf_char(&b, (char)v);
			i += 2;
		} else {
			buf_char(&b, plus && s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
	return buf_view(&b);
}

/* Of paths: what may stand as it is. */
static bool
plain(char c, bool given)
{
	return is_alnum(c) || (c && strchr("-_.~$&+,/:;=@", c)) ||
		(given && c && strchr("!'()*[]%", c));
}

static struct str
escape_path(struct arena *a, struct str s)
{
	bool good = true;
	for (size_t i = 0; i < s.n; i++)
		good = good && plain(s.p[i], true);
	if (good)
		return s;
	struct str raw = unescape(a, s, false);
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < raw.n; i++)
		if (plain(raw.p[i], false))
			buf_char(&b, raw.p[i]);
		else
			buf_fmt(&b, "%%%02X", (uint8_t)raw.p[i]);
	return buf_view(&b);
}

/* "scheme:" at the beginning; NULL or why it is wrong. */
static const char *
take_scheme(struct arena *a, struct str *s, struct str *scheme)
{
	for (size_t i = 0; i < s->n; i++) {
		char c = s->p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (letter || (i && (is_alnum(c) || c == '+' || c == '-' || c == '.')))
			continue;
		if (c == ':') {
			if (i == 0)
				return "missing protocol scheme";
			char *out = arena_cstr(a, str_sub(*s, 0, i));
			for (char *p = out; p && *p; p++)
				*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
			*scheme = str_c(out);
			*s = str_sub(*s, i + 1, SIZE_MAX);
		}
		return NULL;
	}
	return NULL;
}

static bool
good_port(struct str s)
{
	if (s.n == 0)
		return true;
	if (s.p[0] != ':')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static struct str
authority(struct arena *a, struct str s, struct cel_url *u)
{
	ptrdiff_t at = str_rfind_char(s, '@');
	if (at >= 0)
		s = str_sub(s, (size_t)at + 1, SIZE_MAX);
	ptrdiff_t close = str_rfind_char(s, ']');
	bool bracket = s.n && s.p[0] == '[';
	if (bracket && close < 0)
		return STR("missing ']' in host");
	ptrdiff_t colon = bracket ? close + 1 : str_rfind_char(s, ':');
	struct str port = colon < 0 ? STR("") : str_sub(s, (size_t)colon, SIZE_MAX);
	if (!good_port(port))
		return arena_fmt(a, "invalid port \"%.*s\" after host", STR_ARG(port));
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ' || (s.p[i] && strchr("\"<>\\^`{|}#", s.p[i])))
			return arena_fmt(a, "invalid character \"%c\" in host name", s.p[i]);
	struct str bad = bad_escape(s);
	if (str_is_set(bad))
		return arena_fmt(a, "invalid URL escape \"%.*s\"", STR_ARG(bad));
	u->host = unescape(a, s, false);
	return STR_NONE;
}

/* STR_NONE and *u, or why it is none. */
struct str
cel_url_parse(struct arena *a, struct str text, struct cel_url *u)
{
	struct str s = text, rest = STR_NONE, tail = STR_NONE;
	*u = (struct cel_url){.text = text,
		.scheme = STR(""),
		.host = STR(""),
		.path = STR(""),
		.query = STR("")};
	for (size_t i = 0; i < s.n; i++)
		if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return STR("net/url: invalid control character in URL");
	if (s.n == 0)
		return STR("empty url");
	if (str_eq_c(s, "*")) {
		u->path = s;
		return STR_NONE;
	}
	const char *why = take_scheme(a, &s, &u->scheme);
	if (why)
		return str_c(why);
	if (str_cut(s, '?', &rest, &tail)) {
		s = rest;
		u->query = tail;
	}
	if (!str_starts(s, STR("/")))
		return u->scheme.n ? STR_NONE : STR("invalid URI for request");
	if (str_starts(s, STR("//")) && (u->scheme.n || !str_starts(s, STR("///")))) {
		struct str host = str_sub(s, 2, SIZE_MAX);
		ptrdiff_t slash = str_find_char(host, '/');
		s = slash < 0 ? STR("") : str_sub(host, (size_t)slash, SIZE_MAX);
		host = slash < 0 ? host : str_sub(host, 0, (size_t)slash);
		ptrdiff_t mark = str_find_char(host, '#'); /* a fragment straight behind the host */
		struct str bad = authority(a, mark < 0 ? host : str_sub(host, 0, (size_t)mark), u);
		if (str_is_set(bad))
			return bad;
	}
	struct str bad = bad_escape(s);
	if (str_is_set(bad))
		return arena_fmt(a, "invalid URL escape \"%.*s\"", STR_ARG(bad));
	ptrdiff_t mark = str_find_char(s, '#');
	if (mark >= 0) {
		s = str_sub(s, 0, (size_t)mark);
		u->query = STR("");
	}
	mark = str_find_char(u->query, '#');
	if (mark >= 0)
		u->query = str_sub(u->query, 0, (size_t)mark);
	u->path = escape_path(a, s);
	return STR_NONE;
}

static struct str
parse_error(struct arena *a, struct str text, struct str why)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	buf_cstr(&b, "parse ");
	doc_json_string(&b, text);
	buf_cstr(&b, ": ");
	buf_str(&b, why);
	return buf_view(&b);
}

struct str
cel_url_fault(struct arena *a, struct str text)
{
	struct cel_url u;
	struct str why = cel_url_parse(a, text, &u);
	return str_is_set(why) ? parse_error(a, text, why) : STR_NONE;
}

FN(to_url)
{
	struct cel_url *u = ARENA_NEW(e->a, struct cel_url);
	if (!u)
		return cel_fault(e, "out of memory");
	struct str why = cel_url_parse(e->a, args[0].s, u);
	if (!str_is_set(why))
		return cel_of_opaque(OPAQUE_URL, u);
	why = parse_error(e->a, args[0].s, why);
	return cel_fault(e, "URL parse error during conversion from string: %.*s", STR_ARG(why));
}

FN(is_url)
{
	struct cel_url u;
	return cel_of_bool(!str_is_set(cel_url_parse(e->a, args[0].s, &u)));
}

static const struct cel_url *
url_of(const struct cel_value *v)
{
	return v->own;
}

/* Where the port begins in a host: at its colon, or at the end. */
static size_t
port_at(struct str host)
{
	ptrdiff_t close = str_rfind_char(host, ']'), colon = str_rfind_char(host, ':');
	return colon < 0 || (host.n && host.p[0] == '[' && colon < close) ? host.n : (size_t)colon;
}

FN(get_scheme)
{
	(void)e;
	return cel_of_string(url_of(&args[0])->scheme);
}

FN(get_host)
{
	(void)e;
	return cel_of_string(url_of(&args[0])->host);
}

FN(get_hostname)
{
	(void)e;
	struct str h = url_of(&args[0])->host;
	h = str_sub(h, 0, port_at(h));
	if (h.n > 1 && h.p[0] == '[' && h.p[h.n - 1] == ']')
		h = str_sub(h, 1, h.n - 1);
	return cel_of_string(h);
}

FN(get_port)
{
	(void)e;
	struct str h = url_of(&args[0])->host;
	size_t at = port_at(h);
	return cel_of_string(at < h.n ? str_sub(h, at + 1, SIZE_MAX) : STR(""));
}

FN(get_path)
{
	(void)e;
	return cel_of_string(url_of(&args[0])->path);
}

FN(get_query)
{
	struct cel_map *m = ARENA_NEW(e->a, struct cel_map);
	struct str rest = url_of(&args[0])->query, part = STR_NONE;
	if (!m)
		return cel_fault(e, "out of memory");
	while (str_next(&rest, '&', &part)) {
		struct str k = part, v = STR("");
		if (part.n == 0 || str_find_char(part, ';') >= 0)
			continue;
		str_cut(part, '=', &k, &v);
		if (str_is_set(bad_escape(k)) || str_is_set(bad_escape(v)))
			continue;
		struct cel_value key = cel_of_string(unescape(e->a, k, true));
		struct cel_value one = cel_of_string(
			str_is_set(v) ? unescape(e->a, v, true) : STR(""));
		const struct cel_value *old = cel_map_at(m, &key);
		struct cel_value *items = NULL;
		size_t count = 0;
		if (old) {
			items = ((const struct cel_list *)old->own)->items;
			count = ((const struct cel_list *)old->own)->n;
		}
		struct cel_value *slot = ARENA_PUSH(e->a, items, count);
		if (!slot)
			break;
		*slot = one;
		cel_map_put(e, m, key, cel_list_of(e, items, count));
	}
	return (struct cel_value){.kind = CEL_MAP, .own = m};
}

#define URL "kubernetes.URL"
static const struct cel_fn_row rows[] = {
	{"url", "string_to_url", URL "(string)", to_url, COST_URL},
	{"isURL", "is_url_string", "bool(string)", is_url, COST_ONE},
	{"getScheme", "url_get_scheme", ".string(" URL ")", get_scheme, COST_FIXED},
	{"getHost", "url_get_host", ".string(" URL ")", get_host, COST_FIXED},
	{"getHostname", "url_get_hostname", ".string(" URL ")", get_hostname, COST_FIXED},
	{"getPort", "url_get_port", ".string(" URL ")", get_port, COST_FIXED},
	{"getEscapedPath", "url_get_escaped_path", ".string(" URL ")", get_path, COST_FIXED},
	{"getQuery", "url_get_query", ".map(string, list(string))(" URL ")", get_query, COST_FIXED},
};
const struct cel_fn_table cel_fns_url = {rows, ARRAY_LEN(rows)};
