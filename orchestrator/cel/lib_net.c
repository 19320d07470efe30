/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_net: addresses and networks. Source: k8s.io/apiserver pkg/cel/library (ip.go, cidr.go); Go net/netip (texts). */
#include "orchestrator/cel/lib_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static bool
is_mapped(const struct ip_addr *a)
{
	static const uint8_t head[12] = {[10] = 0xff, [11] = 0xff};
	return a->family == 6 && memcmp(a->b, head, sizeof(head)) == 0;
}

static struct str
quoted(struct cel_eval *e, struct str s)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	doc_json_string(&b, s);
	return buf_view(&b);
}

/* Why netip would not have four decimal parts. */
static struct str
why_no_v4(struct arena *a, struct str s)
{
	struct str rest = s, part = STR_NONE;
	size_t parts = 0;
	while (str_next(&rest, '.', &part)) {
		uint64_t v = 0;
		if (++parts > 4)
			return STR("IPv4 address too long");
		for (size_t i = 0; i < part.n; i++)
			if (part.p[i] < '0' || part.p[i] > '9') {
				struct str from = str_sub(s, (size_t)(part.p - s.p) + i, SIZE_MAX);
				return arena_fmt(
					a, "unexpected character (at \"%.*s\")", STR_ARG(from));
			}
		if (part.n == 0 && !str_is_set(rest))
			return STR("IPv4 field must have at least one digit (at \".\")");
		if (part.n == 0) {
			struct str from = str_sub(s, (size_t)(part.p - s.p), SIZE_MAX);
			return arena_fmt(a, "IPv4 field must have at least one digit (at \"%.*s\")",
				STR_ARG(from));
		}
		if (part.n > 1 && part.p[0] == '0')
			return STR("IPv4 field has octet with leading zero");
		if (str_to_u64(part, &v) < 0 || v > 255)
			return STR("IPv4 field has value >255");
	}
	return parts < 4 ? STR("IPv4 address too short") : STR("unexpected character");
}

static struct str
why_no_ip(struct arena *a, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.')
			return why_no_v4(a, s);
		if (s.p[i] == ':')
			return STR("unexpected character");
		if (s.p[i] == '%')
			return STR("missing IPv6 address");
	}
	return STR("unable to parse IP");
}

/* true, or a fault in *ret. */
static bool
parse_ip(struct cel_eval *e, struct str s, struct ip_addr *ip, struct cel_value *ret)
{
	struct str q = quoted(e, s), zone = STR_NONE, head = s;
	bool zoned = str_find_char(s, ':') >= 0 && str_cut(s, '%', &head, &zone) && zone.n;
	if (ip_parse(zoned ? head : s, ip) < 0) {
		struct str why = why_no_ip(e->a, s);
		*ret = cel_fault(e,
			"IP Address %.*s parse error during conversion from string: ParseAddr(%.*s): %.*s",
			STR_ARG(q), STR_ARG(q), STR_ARG(why));
		return false;
	}
	if (zoned) {
		*ret = cel_fault(e, "IP address %.*s with zone value is not allowed", STR_ARG(q));
		return false;
	}
	if (is_mapped(ip)) {
		*ret = cel_fault(e, "IPv4-mapped IPv6 address %.*s is not allowed", STR_ARG(q));
		return false;
	}
	return true;
}

static struct cel_value
of_ip(struct cel_eval *e, const struct ip_addr *ip)
{
	struct ip_addr *own = ARENA_NEW(e->a, struct ip_addr);
	if (!own)
		return cel_fault(e, "out of memory");
	*own = *ip;
	return cel_of_opaque(OPAQUE_IP, own);
}

FN(to_ip)
{
	struct ip_addr ip = {0};
	struct cel_value fault = cel_null();
	return parse_ip(e, args[0].s, &ip, &fault) ? of_ip(e, &ip) : fault;
}

FN(is_ip)
{
	struct ip_addr ip = {0};
	struct cel_value fault = cel_null();
	return cel_of_bool(parse_ip(e, args[0].s, &ip, &fault));
}

FN(is_canonical)
{
	struct ip_addr ip = {0};
	struct cel_value fault = cel_null();
	char out[IP_TEXT_MAX];
	if (!parse_ip(e, args[0].s, &ip, &fault))
		return fault;
	size_t len = ip_format(&ip, out);
	return cel_of_bool(str_eq(args[0].s, str_from(out, len)));
}

static const struct ip_addr *
ip_of(const struct cel_value *v)
{
	return v->own;
}

FN(family)
{
	(void)e;
	return cel_of_int(ip_of(&args[0])->family);
}

FN(unspecified)
{
	(void)e;
	return cel_of_bool(ip_is_unspecified(ip_of(&args[0])));
}

FN(loopback)
{
	(void)e;
	return cel_of_bool(ip_is_loopback(ip_of(&args[0])));
}

FN(link_local_multicast)
{
	(void)e;
	const struct ip_addr *a = ip_of(&args[0]);
	return cel_of_bool(a->family == 4 ? a->b[0] == 224 && a->b[1] == 0 && a->b[2] == 0
					  : a->b[0] == 0xff && (a->b[1] & 0x0f) == 0x02);
}

static bool
is_link_local(const struct ip_addr *a)
{
	return a->family == 4 ? a->b[0] == 169 && a->b[1] == 254
			      : a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

FN(link_local_unicast)
{
	(void)e;
	return cel_of_bool(is_link_local(ip_of(&args[0])));
}

FN(global_unicast)
{
	(void)e;
	const struct ip_addr *a = ip_of(&args[0]);
	bool multicast = a->family == 4 ? (a->b[0] & 0xf0) == 0xe0 : a->b[0] == 0xff;
	static const uint8_t all[4] = {255, 255, 255, 255};
	bool broadcast = a->family == 4 && memcmp(a->b, all, 4) == 0;
	return cel_of_bool(!multicast && !broadcast && !is_link_local(a) && !ip_is_loopback(a) &&
		!ip_is_unspecified(a));
}

FN(ip_text)
{
	char out[IP_TEXT_MAX];
	size_t len = ip_format(ip_of(&args[0]), out);
	return cel_of_string(arena_str(e->a, str_from(out, len)));
}

/* ---- networks ---- */

static const struct ip_prefix *
cidr_of(const struct cel_value *v)
{
	return v->own;
}

static struct str
why_no_cidr(struct arena *a, struct str s)
{
	struct str address = STR_NONE, bits = STR_NONE;
	struct ip_addr ip = {0};
	uint64_t v = 0;
	if (!str_rcut(s, '/', &address, &bits))
		return STR("no '/'");
	if (ip_parse(address, &ip) < 0) {
		struct str why = why_no_ip(a, address);
		return arena_fmt(a, "ParseAddr(\"%.*s\"): %.*s", STR_ARG(address), STR_ARG(why));
	}
	if (str_to_u64(bits, &v) < 0 || (bits.n > 1 && bits.p[0] == '0'))
		return arena_fmt(a, "bad bits after slash: \"%.*s\"", STR_ARG(bits));
	return STR("prefix length out of range");
}

static bool
parse_cidr(struct cel_eval *e, struct str s, struct ip_prefix *p, struct cel_value *ret)
{
	struct str q = quoted(e, s);
	static const char what[] = "network address parse error during conversion from string: ";
	if (ip_prefix_parse(s, p) < 0) {
		struct str why = why_no_cidr(e->a, s);
		*ret = cel_fault(e, "%s%snetip.ParsePrefix(%.*s): %.*s", what, what, STR_ARG(q),
			STR_ARG(why));
		return false;
	}
	if (is_mapped(&p->addr)) {
		*ret = cel_fault(
			e, "%sIPv4-mapped IPv6 address %.*s is not allowed", what, STR_ARG(q));
		return false;
	}
	return true;
}

static struct cel_value
of_cidr(struct cel_eval *e, const struct ip_prefix *p)
{
	struct ip_prefix *own = ARENA_NEW(e->a, struct ip_prefix);
	if (!own)
		return cel_fault(e, "out of memory");
	*own = *p;
	return cel_of_opaque(OPAQUE_CIDR, own);
}

FN(to_cidr)
{
	struct ip_prefix p = {{0}, 0};
	struct cel_value fault = cel_null();
	return parse_cidr(e, args[0].s, &p, &fault) ? of_cidr(e, &p) : fault;
}

FN(is_cidr)
{
	struct ip_prefix p = {{0}, 0};
	struct cel_value fault = cel_null();
	return cel_of_bool(parse_cidr(e, args[0].s, &p, &fault));
}

FN(contains_ip)
{
	struct ip_addr ip = {0};
	struct cel_value fault = cel_null();
	if (args[1].kind == CEL_OPAQUE)
		ip = *ip_of(&args[1]);
	else if (!parse_ip(e, args[1].s, &ip, &fault))
		return cel_no_overload(e);
	return cel_of_bool(ip_prefix_contains(cidr_of(&args[0]), &ip));
}

FN(contains_cidr)
{
	struct ip_prefix p = {{0}, 0};
	struct cel_value fault = cel_null();
	const struct ip_prefix *of = cidr_of(&args[0]);
	if (args[1].kind == CEL_OPAQUE)
		p = *cidr_of(&args[1]);
	else if (!parse_cidr(e, args[1].s, &p, &fault))
		return fault;
	return cel_of_bool(ip_prefix_contains(of, &p.addr) && of->len <= p.len);
}

FN(cidr_ip)
{
	return of_ip(e, &cidr_of(&args[0])->addr);
}

FN(prefix_length)
{
	(void)e;
	return cel_of_int(cidr_of(&args[0])->len);
}

FN(masked)
{
	struct ip_prefix p = ip_prefix_masked(cidr_of(&args[0]));
	return of_cidr(e, &p);
}

FN(cidr_text)
{
	char out[IP_TEXT_MAX];
	size_t len = ip_prefix_format(cidr_of(&args[0]), out);
	return cel_of_string(arena_str(e->a, str_from(out, len)));
}

static const struct cel_fn_row rows[] = {
	{"ip", "string_to_ip", "net.IP(string)", to_ip, COST_PARSE},
	{"ip", "cidr_ip", ".net.IP(net.CIDR)", cidr_ip, COST_FIXED},
	{"ip.isCanonical", "ip_is_canonical", "bool(string)", is_canonical, COST_CANONICAL},
	{"isIP", "is_ip", "bool(string)", is_ip, COST_PARSE},
	{"family", "ip_family", ".int(net.IP)", family, COST_FIXED},
	{"isUnspecified", "ip_is_unspecified", ".bool(net.IP)", unspecified, COST_FIXED},
	{"isLoopback", "ip_is_loopback", ".bool(net.IP)", loopback, COST_FIXED},
	{"isLinkLocalMulticast", "ip_is_link_local_multicast", ".bool(net.IP)",
		link_local_multicast, COST_FIXED},
	{"isLinkLocalUnicast", "ip_is_link_local_unicast", ".bool(net.IP)", link_local_unicast,
		COST_FIXED},
	{"isGlobalUnicast", "ip_is_global_unicast", ".bool(net.IP)", global_unicast, COST_FIXED},
	{"string", "ip_to_string", "string(net.IP)", ip_text, COST_ONE},
	{"cidr", "string_to_cidr", "net.CIDR(string)", to_cidr, COST_PARSE},
	{"isCIDR", "is_cidr", "bool(string)", is_cidr, COST_PARSE},
	{"containsIP", "cidr_contains_ip_string", ".bool(net.CIDR, string)", contains_ip,
		COST_CONTAINS_IP_TEXT},
	{"containsIP", "cidr_contains_ip_ip", ".bool(net.CIDR, net.IP)", contains_ip,
		COST_CONTAINS_IP},
	{"containsCIDR", "cidr_contains_cidr_string", ".bool(net.CIDR, string)", contains_cidr,
		COST_CONTAINS_CIDR_TEXT},
	{"containsCIDR", "cidr_contains_cidr", ".bool(net.CIDR, net.CIDR)", contains_cidr,
		COST_CONTAINS_CIDR},
	{"prefixLength", "cidr_prefix_length", ".int(net.CIDR)", prefix_length, COST_FIXED},
	{"masked", "cidr_masked", ".net.CIDR(net.CIDR)", masked, COST_FIXED},
	{"string", "cidr_to_string", "string(net.CIDR)", cidr_text, COST_ONE},
};
const struct cel_fn_table cel_fns_net = {rows, ARRAY_LEN(rows)};
