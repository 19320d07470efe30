/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * structural_formats: the `format` of texts in custom resources' schemas. A name nobody knows says nothing.
 * Most are regular expressions; they are compiled for the one check, which is rare and short.
 * Source: kube-openapi pkg/validation/strfmt, apiextensions-apiserver pkg/apiserver/validation/formats.go. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/ip.h"
#include "orchestrator/schema/structural_int.h"

struct structural_format {
	const char *name; /* without dashes */
	const char *pattern;
	bool (*holds)(struct arena *a, struct str s);
	unsigned types; /* 0 = texts */
};

static bool
any_text(struct arena *a, struct str s)
{
	(void)a;
	(void)s;
	return true;
}

static bool
is_ip4(struct arena *a, struct str s)
{
	struct ip_addr ip;

	(void)a;
	return ip_parse(s, &ip) == 0 && str_find_char(s, ':') < 0;
}

static bool
is_ip6(struct arena *a, struct str s)
{
	struct ip_addr ip;

	(void)a;
	return ip_parse(s, &ip) == 0 && str_find_char(s, ':') >= 0;
}

static bool
is_cidr(struct arena *a, struct str s)
{
	struct ip_prefix p;

	(void)a;
	return ip_prefix_parse(s, &p) == 0;
}

static bool
is_byte(struct arena *a, struct str s)
{
	struct buf b;

	buf_init_arena(&b, a);
	return base64_decode(&b, s) == 0;
}

static bool
is_date(struct arena *a, struct str s)
{
	int64_t sec = 0, ns = 0;

	return s.n == 10 &&
		rfc3339_parse_sec(arena_fmt(a, STR_FMT "T00:00:00Z", STR_ARG(s)), &sec, &ns) == 0;
}

/* Seconds may lack, as may the offset's colon: no. The date must be one, the time below 24:00:00. */
static bool
is_datetime(struct arena *a, struct str s)
{
	static const char pattern[] =
		"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|Z|([+-][0-9]{2}:[0-9]{2}))$";
	const struct regex *re = NULL;
	ptrdiff_t t = str_find_char(s, 'T');

	if (t < 0)
		t = str_find_char(s, 't');
	return t > 0 && is_date(a, str_sub(s, 0, (size_t)t)) &&
		regex_compile(a, str_c(pattern), &re, NULL) == 0 &&
		regex_match(re, str_sub(s, (size_t)t + 1, SIZE_MAX)) == 1;
}

/* An absolute URI or a path. */
static bool
is_uri(struct arena *a, struct str s)
{
	(void)a;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	if (s.n && s.p[0] == '/')
		return true;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';

		if (c == ':')
			return i > 0;
		if (!letter &&
			(i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			return false;
	}
	return false;
}

/* One address, with or without a name in front of it: x@y within <> or alone. */
static bool
is_email(struct arena *a, struct str s)
{
	ptrdiff_t open = str_find_char(s, '<'), at = 0;

	(void)a;
	s = str_trim(s);
	if (open >= 0 && str_ends(s, STR(">")))
		s = str_sub(s, (size_t)open + 1, s.n - 1);
	at = str_rfind_char(s, '@');
	if (at <= 0 || (size_t)at + 1 >= s.n || s.p[at + 1] == '.' || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == ',')
			return false;
	return true;
}

static bool
is_hostname(struct arena *a, struct str s)
{
	static const char pattern[] = "^([a-zA-Z0-9\\x{80}-\\x{10FFFF}]"
				      "((-?[a-zA-Z0-9\\x{80}-\\x{10FFFF}]{0,62})?)|"
				      "([a-zA-Z0-9\\x{80}-\\x{10FFFF}]"
				      "(([a-zA-Z0-9\\-\\x{80}-\\x{10FFFF}]{0,61}"
				      "[a-zA-Z0-9\\x{80}-\\x{10FFFF}])?)(\\.)){1,}"
				      "([a-zA-Z\\x{80}-\\x{10FFFF}]){2,63})$";
	const struct regex *re = NULL;
	struct str rest = s, part;

	if (s.n > 255 || regex_compile(a, str_c(pattern), &re, NULL) != 0 ||
		regex_match(re, s) != 1)
		return false;
	while (str_next(&rest, '.', &part))
		if (part.n > 63)
			return false;
	return true;
}

/* Digits (and an X) weighted, as ISBNs are. */
static bool
is_isbn10(struct arena *a, struct str s)
{
	int sum = 0, n = 0;

	(void)a;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '-' || c == ' ')
			continue;
		if (n == 9 && c == 'X')
			sum += 100;
		else if (c < '0' || c > '9' || n > 9)
			return false;
		else
			sum += (n + 1) * (c - '0');
		n++;
	}
	return n == 10 && sum % 11 == 0;
}

static bool
is_isbn13(struct arena *a, struct str s)
{
	int sum = 0, n = 0;

	(void)a;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '-' || c == ' ')
			continue;
		if (c < '0' || c > '9' || n > 12)
			return false;
		sum += (n++ % 2 ? 3 : 1) * (c - '0');
	}
	return n == 13 && sum % 10 == 0;
}

static bool
is_isbn(struct arena *a, struct str s)
{
	return is_isbn10(a, s) || is_isbn13(a, s);
}

static bool
is_short_name(struct arena *a, struct str s)
{
	return format_check(a, FORMAT_DNS_LABEL, s) == NULL;
}

/* As a subdomain, but for the length of its parts, which is not bounded. */
static bool
is_long_name(struct arena *a, struct str s)
{
	return format_check(a, FORMAT_DNS_SUBDOMAIN, s) == NULL;
}

#define HEX(n) "[0-9a-f]{" #n "}"
static const struct structural_format formats[] = {
	{"bsonobjectid", "^[0-9a-fA-F]{24}$", NULL, 0},
	{"uri", NULL, is_uri, 0},
	{"email", NULL, is_email, 0},
	{"hostname", NULL, is_hostname, 0},
	{"ipv4", NULL, is_ip4, 0},
	{"ipv6", NULL, is_ip6, 0},
	{"cidr", NULL, is_cidr, 0},
	{"mac",
		"^(([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5})|([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){7})|"
		"([0-9a-fA-F]{4}(\\.[0-9a-fA-F]{4}){2,3}))$",
		NULL, 0},
	{"uuid", "(?i)^" HEX(8) "-?" HEX(4) "-?" HEX(4) "-?" HEX(4) "-?" HEX(12) "$", NULL, 0},
	{"uuid3", "(?i)^" HEX(8) "-?" HEX(4) "-?3" HEX(3) "-?" HEX(4) "-?" HEX(12) "$", NULL, 0},
	{"uuid4", "(?i)^" HEX(8) "-?" HEX(4) "-?4" HEX(3) "-?[89ab]" HEX(3) "-?" HEX(12) "$", NULL,
		0},
	{"uuid5", "(?i)^" HEX(8) "-?" HEX(4) "-?5" HEX(3) "-?[89ab]" HEX(3) "-?" HEX(12) "$", NULL,
		0},
	{"isbn", NULL, is_isbn, 0},
	{"isbn10", NULL, is_isbn10, 0},
	{"isbn13", NULL, is_isbn13, 0},
	{"creditcard", "^([0-9][- ]?){12,18}[0-9]$", NULL, 0},
	{"ssn", "^\\d{3}[- ]?\\d{2}[- ]?\\d{4}$", NULL, 0},
	{"hexcolor", "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$", NULL, 0},
	{"rgbcolor",
		"^rgb\\(\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*,\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]"
		"\\d|25[0-5])\\s*,\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*\\)$",
		NULL, 0},
	{"byte", NULL, is_byte, 0},
	{"password", NULL, any_text, 0},
	{"date", NULL, is_date, 0},
	{"duration",
		"^[+-]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\\x{b5}s|\\x{3bc}s|ms|s|m|h))+)$|"
		"\\d+\\s*(?i)(ns|nano|us|\\x{b5}s|micro|ms|milli|s($|[^a-z])|sec|m($|[^a-z])|min|h($|[^a-z]"
		")|hr|hour|d($|[^a-z])|day|w($|[^a-z])|wk|week)",
		NULL, 0},
	{"datetime", NULL, is_datetime, 0},
	{"k8sshortname", NULL, is_short_name, 0},
	{"k8slongname", NULL, is_long_name, 0},
	{"int32", NULL, NULL, STRUCTURAL_INTEGER},
	{"int64", NULL, NULL, STRUCTURAL_INTEGER},
	{"float", NULL, NULL, STRUCTURAL_NUMBER},
	{"double", NULL, NULL, STRUCTURAL_NUMBER},
};

static bool
same_name(const char *known, struct str name)
{
	size_t at = 0;

	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '-')
			continue;
		if (known[at] == 0 || known[at] != name.p[i])
			return false;
		at++;
	}
	return known[at] == 0;
}

const struct structural_format *
structural_format_find(unsigned types, struct str name)
{
	unsigned want = types == 0 || types == STRUCTURAL_STRING ? 0 : types;

	if (name.n == 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (formats[i].types == want && same_name(formats[i].name, name))
			return &formats[i];
	return NULL;
}

bool
structural_format_known(struct str name)
{
	return structural_format_find(0, name) != NULL;
}

bool
structural_format_holds(struct arena *a, const struct structural_format *f, struct str s)
{
	const struct regex *re = NULL;

	if (f->holds)
		return f->holds(a, s);
	return f->pattern == NULL ||
		(regex_compile(a, str_c(f->pattern), &re, NULL) == 0 && regex_match(re, s) == 1);
}

bool
structural_format_int32(const struct structural_format *f)
{
	return strcmp(f->name, "int32") == 0;
}
