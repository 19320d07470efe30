/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * formats: is a text a DNS label, a label key, an address...? and if not, what upstream says about it,
 * word for word (clients and tests of clients compare these texts). The regular expressions are only quoted:
 * each is a few lines of code here.
 * Source: k8s.io/apimachinery util/validation, api/validate/content (behaviour and texts). */
#include "base/ip.h"
#include "orchestrator/schema/schema.h"

const char format_text_port[] = "must be between 1 and 65535, inclusive";
const char format_text_not_negative[] = "must be greater than or equal to 0";
const char format_text_immutable[] = "field is immutable";

#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define KEY_RE "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

static const char text_label[] =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
	"start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
	"validation is '" LABEL_RE "')";
static const char text_subdomain[] =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
	"and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
	"validation is '" LABEL_RE "(\\." LABEL_RE ")*')";
static const char text_1035[] =
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
	"alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex "
	"used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
#define KEY_TEXT                                                                                    \
	"must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " \
	"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "      \
	"validation is '" KEY_RE "')"
static const char text_label_value[] =
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
	"must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
	"regex used for validation is '(" KEY_RE ")?')";
static const char text_config_key[] =
	"a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
	"'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
static const char text_percent[] =
	"a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
	"regex used for validation is '[0-9]+%')";
static const char text_c_identifier[] =
	"a valid C identifier must start with alphabetic character or '_', followed by a string of "
	"alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
	"validation is '[A-Za-z_][A-Za-z0-9_]*')";
static const char text_env[] =
	"a valid environment variable name must consist only of printable ASCII characters other than '='";

struct faults {
	struct arena *a;
	const char **out;
	size_t n;
};

static void
fault(struct faults *f, const char *text)
{
	if (f->n < FORMAT_FAULTS_MAX)
		f->out[f->n++] = text;
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool
label_ok(struct str s)
{
	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_lower(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

static bool
subdomain_ok(struct str s)
{
	struct str rest = s, part = STR_NONE;

	if (s.n == 0)
		return false;
	while (str_next(&rest, '.', &part))
		if (!label_ok(part))
			return false;
	return true;
}

/* key_ok: [A-Za-z0-9] at both ends, '-', '_', '.' inside. */
static bool
key_ok(struct str s)
{
	if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return true;
}

static void
check_label(struct faults *f, struct str s)
{
	if (s.n > 63)
		fault(f, "must be no more than 63 characters");
	if (!label_ok(s))
		fault(f, subdomain_ok(s) ? "must not contain dots" : text_label);
}

static void
check_subdomain(struct faults *f, struct str s)
{
	if (s.n > 253)
		fault(f, "must be no more than 253 characters");
	if (!subdomain_ok(s))
		fault(f, text_subdomain);
}

static void
check_1035(struct faults *f, struct str s)
{
	if (s.n > 63)
		fault(f, "must be no more than 63 characters");
	if (!label_ok(s) || is_digit(s.p[0]))
		fault(f, text_1035);
}

static void
check_key(struct faults *f, struct str s)
{
	struct str prefix = STR_NONE, name = STR_NONE;

	if (!str_cut(s, '/', &prefix, &name)) {
		name = s;
	} else if (str_find_char(name, '/') >= 0) {
		fault(f,
			"a valid label key " KEY_TEXT
			" with an optional DNS subdomain prefix and '/' "
			"(e.g. 'example.com/MyName')");
		return;
	} else if (prefix.n == 0) {
		fault(f, "prefix part must be non-empty");
	} else {
		if (prefix.n > 253)
			fault(f, "prefix part must be no more than 253 bytes");
		if (!subdomain_ok(prefix))
			fault(f, arena_fmt(f->a, "prefix part %s", text_subdomain).p);
	}
	if (name.n == 0)
		fault(f, "name part must be non-empty");
	else if (name.n > 63)
		fault(f, "name part must be no more than 63 bytes");
	if (!key_ok(name))
		fault(f, "name part " KEY_TEXT);
}

static void
check_label_value(struct faults *f, struct str s)
{
	if (s.n > 63)
		fault(f, "must be no more than 63 bytes");
	if (s.n && !key_ok(s))
		fault(f, text_label_value);
}

static void
check_segment(struct faults *f, struct str s)
{
	if (str_eq_c(s, "."))
		fault(f, "may not be '.'");
	else if (str_eq_c(s, ".."))
		fault(f, "may not be '..'");
	if (str_find_char(s, '/') >= 0)
		fault(f, "may not contain '/'");
	if (str_find_char(s, '%') >= 0)
		fault(f, "may not contain '%'");
}

static void
check_config_key(struct faults *f, struct str s)
{
	bool ok = s.n > 0;

	if (s.n > 253)
		fault(f, "must be no more than 253 characters");
	for (size_t i = 0; i < s.n; i++)
		ok &= is_alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '.';
	if (!ok)
		fault(f, text_config_key);
	if (str_eq_c(s, "."))
		fault(f, "must not be '.'");
	else if (str_eq_c(s, ".."))
		fault(f, "must not be '..'");
	else if (str_starts(s, STR("..")))
		fault(f, "must not start with '..'");
}

static void
check_port_name(struct faults *f, struct str s)
{
	bool ok = s.n > 0, letter = false;

	if (s.n > 15)
		fault(f, "must be no more than 15 characters");
	for (size_t i = 0; i < s.n; i++) {
		ok &= is_lower(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '-';
		letter |= is_lower(s.p[i]);
	}
	if (!ok)
		fault(f, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
	if (!letter)
		fault(f, "must contain at least one letter (a-z)");
	if (str_find(s, STR("--")) >= 0)
		fault(f, "must not contain consecutive hyphens");
	if (s.n && (s.p[0] == '-' || s.p[s.n - 1] == '-'))
		fault(f, "must not begin or end with a hyphen");
}

/* strip_zeros: without the zeros in front of its decimal numbers. */
static struct str
strip_zeros(struct arena *a, struct str s)
{
	bool front = true;
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		if (front && s.p[i] == '0' && i + 1 < s.n && is_digit(s.p[i + 1]))
			continue;
		buf_char(&b, s.p[i]);
		front = !is_digit(s.p[i]);
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

static bool
is_mapped(const struct ip_addr *ip)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return ip->family == 6 && memcmp(ip->b, prefix, sizeof(prefix)) == 0;
}

static void
check_ip(struct faults *f, struct str s)
{
	struct ip_addr ip = {0};
	char text[IP_TEXT_MAX];

	if (ip_parse(s, &ip) != 0)
		fault(f,
			ip_parse(strip_zeros(f->a, s), &ip) == 0
				? "must not have leading 0s"
				: "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
	else if (is_mapped(&ip))
		fault(f, "must not be an IPv4-mapped IPv6 address");
	else if (!str_eq(s, str_from(text, ip_format(&ip, text))))
		fault(f, arena_fmt(f->a, "must be in canonical form (\"%s\")", text).p);
}

static void
check_cidr(struct faults *f, struct str s)
{
	struct ip_prefix p = {0};
	char text[IP_TEXT_MAX];

	if (ip_prefix_parse(s, &p) != 0)
		fault(f,
			ip_prefix_parse(strip_zeros(f->a, s), &p) == 0
				? "must not have leading 0s in IP or prefix length"
				: "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
	else if (is_mapped(&p.addr))
		fault(f, "must not have an IPv4-mapped IPv6 address");
	else if (!ip_prefix_is_masked(&p))
		fault(f, "must not have bits set beyond the prefix length");
	else if (!str_eq(s, str_from(text, ip_prefix_format(&p, text))))
		fault(f, arena_fmt(f->a, "must be in canonical form (\"%s\")", text).p);
}

static void
check_percent(struct faults *f, struct str s)
{
	if (!percent_ok(s))
		fault(f, text_percent);
}

static void
check_env(struct faults *f, struct str s)
{
	if (s.n == 0)
		fault(f, "environment variable name must be non-empty");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '=') {
			fault(f, text_env);
			break;
		}
	}
}

static void
check_c_identifier(struct faults *f, struct str s)
{
	bool ok = s.n > 0 && !is_digit(s.p[0]);

	for (size_t i = 0; i < s.n; i++)
		ok &= is_alnum(s.p[i]) || s.p[i] == '_';
	if (!ok)
		fault(f, text_c_identifier);
}

static void
check_uuid(struct faults *f, struct str s)
{
	bool ok = s.n == 36;

	for (size_t i = 0; ok && i < s.n; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23)
			ok = s.p[i] == '-';
		else
			ok = is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'f');
	}
	if (!ok)
		fault(f, "must be a lowercase UUID in 8-4-4-4-12 format");
}

static void (*const checks[FORMAT__COUNT])(struct faults *f, struct str s) = {
	[FORMAT_DNS_LABEL] = check_label,
	[FORMAT_DNS_SUBDOMAIN] = check_subdomain,
	[FORMAT_DNS1035_LABEL] = check_1035,
	[FORMAT_QUALIFIED_NAME] = check_key,
	[FORMAT_LABEL_VALUE] = check_label_value,
	[FORMAT_PATH_SEGMENT] = check_segment,
	[FORMAT_CONFIG_KEY] = check_config_key,
	[FORMAT_PORT_NAME] = check_port_name,
	[FORMAT_IP] = check_ip,
	[FORMAT_CIDR] = check_cidr,
	[FORMAT_PERCENT] = check_percent,
	[FORMAT_ENV_NAME] = check_env,
	[FORMAT_C_IDENTIFIER] = check_c_identifier,
	[FORMAT_UUID] = check_uuid,
};

size_t
format_faults(
	struct arena *a, enum schema_format f, struct str s, const char *out[FORMAT_FAULTS_MAX])
{
	struct faults list = {a, out, 0};

	if (checks[f])
		checks[f](&list, s);
	for (size_t i = 0; i < list.n; i++)
		if (out[i] == NULL) /* the arena failed */
			out[i] = "is not valid";
	return list.n;
}

const char *
format_check(struct arena *a, enum schema_format f, struct str s)
{
	const char *out[FORMAT_FAULTS_MAX];
	size_t n = format_faults(a, f, s, out);
	struct buf b;

	if (n <= 1)
		return n ? out[0] : NULL;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++) {
		buf_cstr(&b, i ? ", " : "");
		buf_cstr(&b, out[i]);
	}
	buf_char(&b, 0);
	return b.failed ? out[0] : b.data;
}

bool
schema_err_format(
	struct schema_errors *errs, struct str field, enum schema_format f, struct str value)
{
	const char *out[FORMAT_FAULTS_MAX];
	size_t n = format_faults(errs->a, f, value, out);

	for (size_t i = 0; i < n; i++)
		schema_err_invalid(errs, field, value, out[i]);
	return n == 0;
}
