/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy_html: see proxy_html.h.
 *
 *   text -> a tag, held until its > -> its attributes that are URLs are changed in place -> text
 * Comments are tags here that nobody knows; what stands in script and style is text until it is closed. */
#include "orchestrator/api/proxy_html.h"

/* Which attributes of which elements are URLs. */
static const struct {
	const char *element, *attributes;
} links[] = {
	{"a", "href"},
	{"applet", "codebase"},
	{"area", "href"},
	{"audio", "src"},
	{"base", "href"},
	{"blockquote", "cite"},
	{"body", "background"},
	{"button", "formaction"},
	{"command", "icon"},
	{"del", "cite"},
	{"embed", "src"},
	{"form", "action"},
	{"frame", "longdesc,src"},
	{"head", "profile"},
	{"html", "manifest"},
	{"iframe", "longdesc,src"},
	{"img", "longdesc,src,usemap"},
	{"input", "formaction,src,usemap"},
	{"ins", "cite"},
	{"link", "href"},
	{"object", "classid,codebase,data,usemap"},
	{"q", "cite"},
	{"script", "src"},
	{"source", "src"},
};
static const char *const raw_elements[] = {"script", "style"};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* name_at: the name of an element or attribute at the beginning of s. */
static struct str
name_at(struct str s)
{
	size_t n = 0;
	while (n < s.n && !is_blank(s.p[n]) && s.p[n] != '>' && s.p[n] != '/' && s.p[n] != '=')
		n++;
	return str_sub(s, 0, n);
}

static bool
is_link(struct str element, struct str attribute)
{
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		struct str rest = str_c(links[i].attributes), one;
		if (!str_eq_nocase(element, str_c(links[i].element)))
			continue;
		while (str_next(&rest, ',', &one))
			if (str_eq_nocase(attribute, one))
				return true;
	}
	return false;
}

/* ---- URLs ------------------------------------------------------------------------------------------ */

static void
put_path(const struct proxy_html *h, struct str path, struct buf *out)
{
	bool there = str_starts(path, h->prefix) &&
		(path.n == h->prefix.n || path.p[h->prefix.n] == '/');
	if (!there)
		buf_str(out, h->prefix);
	buf_str(out, path);
}

void
proxy_html_link(const struct proxy_html *h, struct str url, struct buf *out)
{
	ptrdiff_t scheme = str_find(url, STR("://"));
	if (scheme < 0) {
		bool ours = str_starts(url, STR("/")) && !str_starts(url, STR("//"));
		if (ours)
			put_path(h, url, out);
		else
			buf_str(out, url);
		return;
	}
	struct str rest = str_sub(url, (size_t)scheme + 3, SIZE_MAX);
	ptrdiff_t slash = str_find_char(rest, '/');
	struct str host = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash);
	bool asked = h->host.n && str_eq(host, h->host), behind = str_eq(host, h->backend);
	if (slash < 0 || (!asked && !behind)) {
		buf_str(out, url);
		return;
	}
	if (asked)
		buf_str(out, str_sub(url, 0, (size_t)scheme + 3 + host.n));
	put_path(h, str_sub(rest, (size_t)slash, SIZE_MAX), out);
}

/* ---- tags ------------------------------------------------------------------------------------------ */

static struct str
skip_blank(struct str s)
{
	size_t n = 0;
	while (n < s.n && (is_blank(s.p[n]) || s.p[n] == '/'))
		n++;
	return str_sub(s, n, SIZE_MAX);
}

/* value_at: the value behind an = at the beginning of s, without its quotes; *ret_rest: what stands behind it. */
static struct str
value_at(struct str s, struct str *ret_rest)
{
	size_t at = 1, end;
	while (at < s.n && is_blank(s.p[at]))
		at++;
	char quote = at < s.n && (s.p[at] == '"' || s.p[at] == '\'') ? s.p[at] : 0;
	at += quote != 0;
	for (end = at; end < s.n; end++)
		if (quote ? s.p[end] == quote : is_blank(s.p[end]) || s.p[end] == '>')
			break;
	*ret_rest = str_sub(s, end + (quote != 0 && end < s.n), SIZE_MAX);
	return str_sub(s, at, end);
}

/* put_tag: a whole start tag, "<a href=/x>", with its links changed. */
static void
put_tag(const struct proxy_html *h, struct str tag, struct buf *out)
{
	struct str element = name_at(str_sub(tag, 1, SIZE_MAX));
	struct str rest = str_sub(tag, 1 + element.n, SIZE_MAX);
	const char *sent = tag.p;
	while ((rest = skip_blank(rest)).n && rest.p[0] != '>') {
		struct str name = name_at(rest), value = STR_NONE;
		if (!name.n) { /* a lone = */
			rest = str_sub(rest, 1, SIZE_MAX);
			continue;
		}
		rest = str_sub(rest, name.n, SIZE_MAX);
		struct str after = rest;
		while (after.n && is_blank(after.p[0]))
			after = str_sub(after, 1, SIZE_MAX);
		if (!after.n || after.p[0] != '=')
			continue;
		value = value_at(after, &rest);
		if (!value.n || !is_link(element, name))
			continue;
		buf_add(out, sent, (size_t)(value.p - sent));
		proxy_html_link(h, value, out);
		sent = value.p + value.n;
	}
	buf_add(out, sent, (size_t)(tag.p + tag.n - sent));
}

/* tag_take: the tag that is held is whole. */
static void
tag_take(struct proxy_html *h, struct buf *out)
{
	struct str tag = buf_view(&h->held), name = name_at(str_sub(tag, 1, SIZE_MAX));
	bool closes = tag.n > 1 && tag.p[1] == '/';
	struct str closed = closes ? name_at(str_sub(tag, 2, SIZE_MAX)) : STR_NONE;
	if (h->raw) {
		buf_str(out, tag);
		if (closes && str_eq_nocase(closed, str_c(h->raw)))
			h->raw = NULL;
	} else if (closes || (tag.n > 1 && (tag.p[1] == '!' || tag.p[1] == '?'))) {
		buf_str(out, tag);
	} else {
		put_tag(h, tag, out);
		for (size_t i = 0; i < ARRAY_LEN(raw_elements); i++)
			if (str_eq_nocase(name, str_c(raw_elements[i])))
				h->raw = raw_elements[i];
	}
	buf_clear(&h->held);
	h->quote = 0;
}

/* tag_ends: does c end the tag that is held with it? Quotes count in start tags; a comment ends with -->. */
static bool
tag_ends(struct proxy_html *h, char c)
{
	struct str tag = buf_view(&h->held);
	if (str_starts(tag, STR("<!--")))
		return c == '>' && tag.n >= 6 && str_ends(tag, STR("--"));
	if (h->raw || tag.n < 2 || tag.p[1] == '/' || tag.p[1] == '!')
		return c == '>';
	if (h->quote) {
		if (c == h->quote)
			h->quote = 0;
		return false;
	}
	/* a quote opens a value only behind an = */
	struct str before = str_trim(tag);
	if ((c == '"' || c == '\'') && str_ends(before, STR("=")))
		h->quote = c;
	return c == '>';
}

/* begins_tag: < is text where no name, /, ! or ? follows. */
static bool
begins_tag(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '!' || c == '?';
}

void
proxy_html_data(struct proxy_html *h, struct str bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.n; i++) {
		char c = bytes.p[i];
		if (!h->held.len) {
			ptrdiff_t open = str_find_char(str_sub(bytes, i, SIZE_MAX), '<');
			size_t n = open < 0 ? bytes.n - i : (size_t)open;
			buf_add(out, bytes.p + i, n);
			i += n;
			if (open >= 0)
				buf_char(&h->held, '<');
			continue;
		}
		bool text = (h->held.len == 1 && !begins_tag(c)) || h->held.len >= HTML_TAG_MAX;
		bool ends = !text && tag_ends(h, c);
		buf_char(&h->held, c);
		if (text) {
			buf_str(out, buf_view(&h->held));
			buf_clear(&h->held);
			h->quote = 0;
		} else if (ends) {
			tag_take(h, out);
		}
	}
	out->failed = out->failed || h->held.failed;
}

void
proxy_html_end(struct proxy_html *h, struct buf *out)
{
	buf_str(out, buf_view(&h->held));
	buf_clear(&h->held);
}

void
proxy_html_release(struct proxy_html *h)
{
	buf_release(&h->held);
}
