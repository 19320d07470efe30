/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_names: named formats: format.dns1123Label().validate(text). And what is equal and how large among the values of
 * libraries. Source: k8s.io/apiserver pkg/cel/library/format.go. */
#include "orchestrator/cel/lib_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

/* A name that others are made from may end in a dash. */
static struct str
masked(struct arena *a, struct str s, bool prefix)
{
	if (!prefix || s.n < 2 || s.p[s.n - 1] != '-')
		return s;
	return arena_fmt(a, "%.*sa", STR_ARG(str_sub(s, 0, s.n - 2)));
}

static size_t
known(struct arena *a, struct str s, bool prefix, struct str *out, size_t most,
	enum schema_format f)
{
	const char *texts[FORMAT_FAULTS_MAX];
	size_t n = format_faults(a, f, masked(a, s, prefix), texts);
	for (size_t i = 0; i < n && i < most; i++)
		out[i] = str_c(texts[i]);
	return n < most ? n : most;
}

#define KNOWN(name, f)                                                                             \
	static size_t name(                                                                        \
		struct arena *a, struct str s, bool prefix, struct str *out, size_t most)          \
	{                                                                                          \
		return known(a, s, prefix, out, most, f);                                          \
	}
KNOWN(dns_label, FORMAT_DNS_LABEL)
KNOWN(dns_subdomain, FORMAT_DNS_SUBDOMAIN)
KNOWN(dns1035, FORMAT_DNS1035_LABEL)
KNOWN(qualified_name, FORMAT_QUALIFIED_NAME)
KNOWN(label_value, FORMAT_LABEL_VALUE)

static size_t
uri(struct arena *a, struct str s, bool prefix, struct str *out, size_t most)
{
	struct str why = cel_url_fault(a, s);
	(void)prefix;
	if (!str_is_set(why) || most == 0)
		return 0;
	out[0] = why;
	return 1;
}

static size_t
said(bool good, const char *why, struct str *out, size_t most)
{
	if (good || most == 0)
		return 0;
	out[0] = str_c(why);
	return 1;
}

static bool
is_uuid(struct str s)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};
	size_t at = 0;
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		if (g && at < s.n && s.p[at] == '-')
			at++;
		for (size_t i = 0; i < groups[g]; i++, at++)
			if (at >= s.n || !memchr("0123456789abcdefABCDEF", s.p[at], 22))
				return false;
	}
	return at == s.n;
}

static size_t
uuid(struct arena *a, struct str s, bool prefix, struct str *out, size_t most)
{
	(void)a;
	(void)prefix;
	return said(is_uuid(s), "does not match the UUID format", out, most);
}

static size_t
byte(struct arena *a, struct str s, bool prefix, struct str *out, size_t most)
{
	struct cel_eval e = {.a = a};
	struct doc d = {.type = DOC_STR, .s = s};
	struct cel_value v = cel_doc_value(&e, cel_type_basic(CEL_BYTES), &d);
	(void)prefix;
	return said(s.n % 4 == 0 && !cel_is_fault(&v), "invalid base64", out, most);
}

static size_t
date(struct arena *a, struct str s, bool prefix, struct str *out, size_t most)
{
	struct cel_value v;
	(void)prefix;
	bool good = s.n == 10 && cel_parse_time(arena_fmt(a, "%.*sT00:00:00Z", STR_ARG(s)), &v);
	return said(good, "invalid date", out, most);
}

static size_t
datetime(struct arena *a, struct str s, bool prefix, struct str *out, size_t most)
{
	struct cel_value v;
	(void)a;
	(void)prefix;
	return said(cel_parse_time(s, &v), "invalid datetime", out, most);
}

static const struct cel_format formats[] = {
	{"dns1123Label", "DNS1123Label", 30, dns_label, false},
	{"dns1123LabelPrefix", "DNS1123LabelPrefix", 30, dns_label, true},
	{"dns1123Subdomain", "DNS1123Subdomain", 60, dns_subdomain, false},
	{"dns1123SubdomainPrefix", "DNS1123SubdomainPrefix", 60, dns_subdomain, true},
	{"dns1035Label", "DNS1035Label", 30, dns1035, false},
	{"dns1035LabelPrefix", "DNS1035LabelPrefix", 30, dns1035, true},
	{"qualifiedName", "QualifiedName", 60, qualified_name, false},
	{"labelValue", "LabelValue", 40, label_value, false},
	{"uri", "URI", 1103, uri, false},
	{"uuid", "uuid", 70, uuid, false},
	{"byte", "byte", 84, byte, false},
	{"date", "date", 71, date, false},
	{"datetime", "datetime", 71, datetime, false},
};

FN(validate)
{
	const struct cel_format *f = args[0].own;
	struct str texts[FORMAT_FAULTS_MAX];
	size_t count = f->faults(e->a, args[1].s, f->prefix, texts, ARRAY_LEN(texts));
	if (count == 0)
		return cel_none();
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, count);
	for (size_t i = 0; items && i < count; i++)
		items[i] = cel_of_string(texts[i]);
	return cel_some(e, cel_list_of(e, items, count));
}

FN(named)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (str_eq_c(args[0].s, formats[i].name))
			return cel_some(e, cel_of_opaque(OPAQUE_FORMAT, &formats[i]));
	return cel_none();
}

#define FORMAT(fn, i)                                                                              \
	FN(fn)                                                                                     \
	{                                                                                          \
		(void)e;                                                                           \
		(void)args;                                                                        \
		return cel_of_opaque(OPAQUE_FORMAT, &formats[i]);                                  \
	}
FORMAT(format_0, 0)
FORMAT(format_1, 1)
FORMAT(format_2, 2)
FORMAT(format_3, 3)
FORMAT(format_4, 4)
FORMAT(format_5, 5)
FORMAT(format_6, 6)
FORMAT(format_7, 7)
FORMAT(format_8, 8)
FORMAT(format_9, 9)
FORMAT(format_10, 10)
FORMAT(format_11, 11)
FORMAT(format_12, 12)

#define F "kubernetes.NamedFormat"
#define ROW(name, fn)                                                                              \
	{                                                                                          \
		"format." name, "format." name, F "()", fn, COST_ONE                               \
	}
static const struct cel_fn_row rows[] = {
	ROW("dns1123Label", format_0),
	ROW("dns1123LabelPrefix", format_1),
	ROW("dns1123Subdomain", format_2),
	ROW("dns1123SubdomainPrefix", format_3),
	ROW("dns1035Label", format_4),
	ROW("dns1035LabelPrefix", format_5),
	ROW("qualifiedName", format_6),
	ROW("labelValue", format_7),
	ROW("uri", format_8),
	ROW("uuid", format_9),
	ROW("byte", format_10),
	ROW("date", format_11),
	ROW("datetime", format_12),
	{"format.named", "format-named", "optional_type(" F ")(string)", named, COST_FIXED},
	{"validate", "format-validate", ".optional_type(list(string))(" F ", string)", validate,
		COST_VALIDATE},
};
const struct cel_fn_table cel_fns_names = {rows, ARRAY_LEN(rows)};

/* ---- of all libraries ---- */

bool
cel_opaque_equal(const struct cel_value *x, const struct cel_value *y)
{
	const struct cel_url *u = x->own, *w = y->own;
	const struct ip_prefix *p = x->own, *q = y->own;
	const struct cel_quantity *n = x->own, *m = y->own;
	switch ((enum cel_opaque)x->type->number) {
	case OPAQUE_QUANTITY:
		return quantity_cmp(&n->q, &m->q) == 0;
	case OPAQUE_URL:
		return str_eq(u->text, w->text);
	case OPAQUE_IP:
		return ip_eq(x->own, y->own);
	case OPAQUE_CIDR:
		return p->len == q->len && ip_eq(&p->addr, &q->addr);
	case OPAQUE_SEMVER:
		return cel_semver_compare(x->own, y->own) == 0;
	case OPAQUE_FORMAT:
	case OPAQUE_AUTHORIZER:
	case OPAQUE_PATH_CHECK:
	case OPAQUE_GROUP_CHECK:
	case OPAQUE_RESOURCE_CHECK:
	case OPAQUE_DECISION:
	case OPAQUE__COUNT:
		break;
	}
	return x->own == y->own;
}

uint64_t
cel_opaque_size(const struct cel_value *v)
{
	const struct ip_addr *ip = v->own;
	const struct ip_prefix *p = v->own;
	const struct cel_format *f = v->own;
	if (v->type->number == OPAQUE_IP)
		return ip_size(ip);
	if (v->type->number == OPAQUE_CIDR)
		return (p->len + 7u) / 8;
	return v->type->number == OPAQUE_FORMAT ? f->size : 1;
}
