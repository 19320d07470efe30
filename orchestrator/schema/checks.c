/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks: values that checks of several types ask about: shares, ports, paths, labels, resources, signers.
 * Source: k8s.io/kubernetes pkg/apis/core/validation and apimachinery api/validation (behaviour, texts). */
#include "orchestrator/schema/checks_int.h"

#include "base/hash.h"
#include "base/ip.h"

struct str
spot_at(const struct schema_spot *s, const char *fmt, ...)
{
	struct arena *a = s->errs->a;
	struct str here = step_text(a, s->at, STEP_PATH), below = STR_NONE;
	va_list ap;
	struct buf b;

	va_start(ap, fmt);
	below = arena_vfmt(a, fmt, ap);
	va_end(ap);
	buf_init_arena(&b, a);
	buf_str(&b, s->base);
	if (b.len && here.n && here.p[0] != '[')
		buf_char(&b, '.');
	buf_str(&b, here);
	if (b.len && below.n && below.p[0] != '[')
		buf_char(&b, '.');
	buf_str(&b, below);
	return b.failed ? STR_NONE : buf_view(&b);
}

/* ---- documents ---- */

bool
has_text(const struct doc *list, struct str s)
{
	DOC_EACH (item, list)
		if (str_eq(doc_as_str(item), s))
			return true;
	return false;
}

bool
one_of(const char *const *set, struct str s)
{
	for (; *set; set++)
		if (str_eq_c(s, *set))
			return true;
	return false;
}

bool
differs(const struct doc *x, const struct doc *y)
{
	return !(doc_is_zero(x) && doc_is_zero(y)) && !doc_equal(x, y);
}

size_t
count_members(const struct doc *d, const char *const *names)
{
	size_t n = 0;

	for (; *names; names++)
		n += get(d, *names) != NULL;
	return n;
}

struct str
lower_text(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; p && i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	return str_from(p, p ? s.n : 0);
}

/* ---- names ---- */

struct names
names_new(struct arena *a, size_t max)
{
	size_t n = 8;

	while (n < max * 2)
		n *= 2;
	return (struct names){max ? ARENA_ARRAY(a, struct names_slot, n) : NULL, n - 1};
}

/* slot_of: where key is, or would be put. */
static struct names_slot *
slot_of(const struct names *n, struct str key)
{
	size_t i = hash_bytes(key.p, key.n) & n->mask;

	while (n->slots[i].doc && !str_eq(n->slots[i].key, key))
		i = (i + 1) & n->mask;
	return &n->slots[i];
}

bool
names_add(struct names *n, struct str key, const struct doc *d)
{
	struct names_slot *at = n->slots ? slot_of(n, key) : NULL;

	if (at == NULL)
		return true;
	if (at->doc)
		return false;
	*at = (struct names_slot){key, d};
	return true;
}

const struct doc *
names_find(const struct names *n, struct str key)
{
	return n->slots ? slot_of(n, key)->doc : NULL;
}

struct names
names_of(struct arena *a, const struct doc *list, const char *member)
{
	struct names n = names_new(a, doc_len(list));

	DOC_EACH (x, list)
		names_add(&n, text(x, member), x);
	return n;
}

struct names
keys_of(struct arena *a, const struct doc *map)
{
	struct names n = names_new(a, doc_len(map));

	DOC_EACH (m, map)
		names_add(&n, m->key, m);
	return n;
}

/* ---- numbers ---- */

void
check_not_negative(const struct schema_spot *s, const struct doc *d, const char *const *names)
{
	for (; *names; names++)
		if (number(d, *names) < 0)
			INVALID_INT(number(d, *names), format_text_not_negative, "%s", *names);
}

void
check_immutable_member(
	const struct schema_spot *s, const struct doc *d, const struct doc *old, const char *name)
{
	const struct doc *now = get(d, name);

	if (old && differs(now, get(old, name)))
		INVALID_DOC(now ? now : doc_null(s->errs->a), format_text_immutable, "%s", name);
}

static const char text_percent_most[] = "must not be greater than 100%";

void
check_share(const struct schema_spot *s, const struct doc *d, const char *name, const char *at,
	int most)
{
	const struct doc *v = get(d, name);
	int64_t n = 0;

	if (v && v->type == DOC_INT && v->i < 0)
		INVALID_INT(v->i, format_text_not_negative, "%s", at);
	if (v == NULL || v->type != DOC_STR)
		return;
	FORMAT(FORMAT_PERCENT, v->s, "%s", at);
	if (most && percent_ok(v->s) &&
		(str_to_i64(str_sub(v->s, 0, v->s.n - 1), &n) != 0 || n > most))
		INVALID(v->s, text_percent_most, "%s", at);
}

bool
share_is_zero(const struct doc *v)
{
	return v == NULL || (v->type == DOC_INT && v->i == 0) || str_eq_c(doc_as_str(v), "0%");
}

void
check_port_or_name(const struct schema_spot *s, const struct doc *v, const char *at)
{
	if (v && v->type == DOC_INT && !is_port(v->i))
		INVALID_INT(v->i, format_text_port, "%s", at);
	if (v && v->type == DOC_STR)
		FORMAT(FORMAT_PORT_NAME, v->s, "%s", at);
}

/* ---- paths ---- */

void
check_no_dots(const struct schema_spot *s, struct str path, const char *at)
{
	struct str rest = path, part = STR_NONE;

	while (str_next(&rest, '/', &part)) {
		if (!str_eq_c(part, ".."))
			continue;
		INVALID(path, "must not contain '..'", "%s", at);
		return;
	}
}

void
check_relative(const struct schema_spot *s, struct str path, const char *at)
{
	if (str_starts(path, STR("/")))
		INVALID(path, "must be a relative path", "%s", at);
	check_no_dots(s, path, at);
}

void
check_local_path(const struct schema_spot *s, struct str path, const char *at)
{
	check_relative(s, path, at);
	if (str_starts(path, STR("..")) && !str_starts(path, STR("../")))
		INVALID(path, "must not start with '..'", "%s", at);
}

/* ---- names ---- */

void
check_pairs(const struct schema_spot *s, const struct doc *map, const char *at)
{
	DOC_EACH (m, map) {
		FORMAT(FORMAT_QUALIFIED_NAME, m->key, "%s", at);
		FORMAT(FORMAT_LABEL_VALUE, doc_as_str(m), "%s", at);
	}
}

void
check_driver(const struct schema_spot *s, struct str name, const char *at)
{
	if (name.n == 0) {
		REQUIRED(NULL, "%s", at);
		return;
	}
	if (name.n > 63)
		schema_err_too_long(s->errs, AT("%s", at), 63);
	const char *why = format_check(
		s->errs->a, FORMAT_DNS_SUBDOMAIN, lower_text(s->errs->a, name));

	if (why)
		INVALID(name, why, "%s", at);
}

/* ---- addresses ---- */

void
check_endpoint_ip(const struct schema_spot *s, struct str ip, const char *at)
{
	struct ip_addr a = {0};
	bool v4 = false;

	FORMAT(FORMAT_IP, ip, "%s", at);
	if (ip_parse(ip, &a) != 0)
		return;
	v4 = a.family == 4;
	if (ip_is_unspecified(&a))
		INVALID(ip,
			arena_fmt(s->errs->a, "may not be unspecified (" STR_FMT ")", STR_ARG(ip))
				.p,
			"%s", at);
	if (ip_is_loopback(&a))
		INVALID(ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)", "%s", at);
	if (v4 ? a.b[0] == 169 && a.b[1] == 254 : a.b[0] == 0xfe && (a.b[1] & 0xc0) == 0x80)
		INVALID(ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)", "%s",
			at);
	if (v4 ? a.b[0] == 224 && a.b[1] == 0 && a.b[2] == 0 : a.b[0] == 0xff && a.b[1] == 2)
		INVALID(ip,
			"may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
			"%s", at);
}

void
check_lb_ingress(const struct schema_spot *s, const struct doc *d)
{
	struct str ip = text(d, "ip"), host = text(d, "hostname");
	struct ip_addr a = {0};

	if (ip.n && ip_parse(ip, &a) != 0)
		INVALID(ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", "ip");
	if (host.n == 0)
		return;
	FORMAT(FORMAT_DNS_SUBDOMAIN, host, "hostname");
	if (ip_parse(host, &a) == 0)
		INVALID(host, "must be a DNS name, not an IP address", "hostname");
}

/* ---- resources ---- */

static const char *const integer_resources[] = {"pods", "services", "replicationcontrollers",
	"resourcequotas", "secrets", "configmaps", "persistentvolumeclaims", "services.nodeports",
	"services.loadbalancers", NULL};
static const char *const container_resources[] = {"cpu", "memory", "ephemeral-storage", NULL};
static const char *const quota_resources[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu",
	"requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
	"limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services",
	"replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
	"services.nodeports", "services.loadbalancers", NULL};

bool
resource_is_native(struct str name)
{
	return str_find_char(name, '/') < 0 || str_find(name, STR("kubernetes.io/")) >= 0;
}

static bool
is_extended(struct str name)
{
	return !resource_is_native(name) && !str_starts(name, STR("requests."));
}

bool
resource_is_integer(struct str name)
{
	return one_of(integer_resources, name) || is_extended(name);
}

bool
resource_is_overcommitted(struct str name)
{
	return resource_is_native(name) && !str_starts(name, STR("hugepages-"));
}

static void
check_resource_name(
	const struct schema_spot *s, struct str name, const char *at, enum resource_use use)
{
	struct str path = AT("%s[" STR_FMT "]", at, STR_ARG(name));
	bool plain = str_find_char(name, '/') < 0;

	if (format_check(s->errs->a, FORMAT_QUALIFIED_NAME, name)) {
		schema_err_format(s->errs, path, FORMAT_QUALIFIED_NAME, name);
		return;
	}
	if (plain && !one_of(quota_resources, name) && !str_eq_c(name, "storage") &&
		!str_starts(name, STR("hugepages-")) &&
		!str_starts(name, STR("requests.hugepages-")))
		schema_err_invalid(
			s->errs, path, name, "must be a standard resource type or fully qualified");
	if (use == USE_CONTAINER && plain && !one_of(container_resources, name) &&
		!str_starts(name, STR("hugepages-")))
		schema_err_invalid(
			s->errs, path, name, "must be a standard resource for containers");
	else if (use == USE_CONTAINER && !plain && !resource_is_native(name) && !is_extended(name))
		schema_err_invalid(
			s->errs, path, name, "doesn't follow extended resource name standard");
	if (use == USE_QUOTA && plain && !one_of(quota_resources, name) &&
		!str_starts(name, STR("hugepages-")) &&
		!str_starts(name, STR("requests.hugepages-")))
		schema_err_invalid(s->errs, path, name, "must be a standard resource for quota");
}

void
check_resource(
	const struct schema_spot *s, const struct doc *q, const char *at, enum resource_use use)
{
	struct quantity v = {0};

	if (!one_of(container_resources, q->key))
		check_resource_name(s, q->key, at, use);
	if (quantity_parse(doc_as_str(q), &v) != 0)
		return;
	if (v.nano < 0)
		INVALID(doc_as_str(q), format_text_not_negative, "%s[" STR_FMT "]", at,
			STR_ARG(q->key));
	if (resource_is_integer(q->key) && v.nano % 1000000000 != 0)
		INVALID(doc_as_str(q), "must be an integer", "%s[" STR_FMT "]", at,
			STR_ARG(q->key));
}

/* ---- workloads ---- */

void
check_counters(const struct schema_spot *s, const struct doc *d, const struct doc *old,
	const char *const *all, const char *const *within, const char *above_ready)
{
	int64_t replicas = number(d, "replicas"), collisions = number(d, "collisionCount");

	check_not_negative(s, d, all);
	for (; *within; within++)
		if (number(d, *within) > replicas)
			INVALID_INT(number(d, *within), "cannot be greater than status.replicas",
				"%s", *within);
	if (above_ready && number(d, "availableReplicas") > number(d, "readyReplicas"))
		INVALID_INT(number(d, "availableReplicas"), above_ready, "availableReplicas");
	if (old && collisions < number(old, "collisionCount"))
		INVALID_INT(collisions, "cannot be decremented", "collisionCount");
}

void
check_pod_template(const struct schema_spot *s, const struct doc *spec, const char *kind)
{
	static const char *const only[] = {"Always", NULL};
	const struct doc *pod = get(get(spec, "template"), "spec");

	if (pod && !is(pod, "restartPolicy", "Always"))
		UNSUPPORTED(text(pod, "restartPolicy"), only, "template.spec.restartPolicy");
	if (get(pod, "activeDeadlineSeconds"))
		FORBIDDEN(
			arena_fmt(s->errs->a, "activeDeadlineSeconds in %s is not Supported", kind)
				.p,
			"template.spec.activeDeadlineSeconds");
}
