/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The zone as data: services become records under their owner names, whose data is ready to be sent.
 * Invariants: a node has records, or children, or is the zone's own; every ancestor of a name
 * inside the zone is a node (so that "exists but not of this type" is told from "does not exist").
 * Source: Kubernetes DNS specification 1.1.0; RFC 2782; RFC 8020 (empty non-terminals). */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "netstack/dns/zone_int.h"

/* ---- nodes ---- */

static void
node_free_if_idle(struct dns_zone *z, struct znode *n)
{
	while (n != NULL && n->n == 0 && n->children == 0) {
		struct znode *parent = NULL;
		struct dname up;

		if (dname_is_under(&n->name, &z->domain) && !dname_eq(&n->name, &z->domain)) {
			dname_parent(&n->name, &up);
			parent = map_get(&z->nodes, dname_str(&up));
		}
		map_del(&z->nodes, dname_str(&n->name));
		free(n->rrs);
		free(n);
		if (parent != NULL)
			parent->children--;
		n = parent;
	}
}

static struct znode *
node_new(struct dns_zone *z, const struct dname *name)
{
	struct znode *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->name = *name;
	if (map_put(&z->nodes, dname_str(name), n, NULL) < 0) {
		free(n);
		return NULL;
	}
	return n;
}

/* The node of the name, with all between it and the zone's top. */
static struct znode *
node_ensure(struct dns_zone *z, const struct dname *name)
{
	struct znode *n = map_get(&z->nodes, dname_str(name)), *lower = NULL, *first = n;
	struct dname at = *name;

	if (n != NULL)
		return n;
	first = lower = node_new(z, name);
	while (lower != NULL && dname_is_under(&at, &z->domain) && !dname_eq(&at, &z->domain)) {
		dname_parent(&at, &at);
		n = map_get(&z->nodes, dname_str(&at));
		if (n != NULL) {
			n->children++;
			return first;
		}
		n = node_new(z, &at);
		if (n == NULL) {
			node_free_if_idle(z, first);
			return NULL;
		}
		n->children++;
		lower = n;
	}
	return first;
}

/* ---- records ---- */

static bool
has_rr(const struct znode *n, uint16_t type, const void *data, size_t len, const struct zsvc *owner)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (n->rrs[i].type == type && n->rrs[i].n == len && n->rrs[i].owner == owner &&
			memcmp(zrr_data(&n->rrs[i]), data, len) == 0)
			return true;
	return false;
}

/* Once a service and node: within one filling nobody else sets the mark. */
static int
svc_note(struct zsvc *s, struct znode *n)
{
	struct znode **more = NULL;

	if (n->mark == s)
		return 0;
	more = realloc(s->nodes, (s->n_nodes + 1) * sizeof(struct znode *));
	if (more == NULL)
		return -ENOMEM;
	s->nodes = more;
	s->nodes[s->n_nodes++] = n;
	n->mark = s;
	return 0;
}

int
zone_rr_add(struct dns_zone *z, struct zsvc *s, const struct dname *name, uint16_t type,
	const void *data, size_t len)
{
	struct znode *n = node_ensure(z, name);
	struct zrr r = {.type = type, .n = (uint16_t)len, .owner = s};
	uint8_t *to = r.data.in;

	if (n == NULL || svc_note(s, n) < 0)
		return -ENOMEM;
	if (type != T_A && type != T_AAAA && has_rr(n, type, data, len, s))
		return 0;
	if (n->n == n->cap) {
		uint32_t cap = n->cap > 0 ? 2 * n->cap : 1;
		struct zrr *more = realloc(n->rrs, cap * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		n->rrs = more;
		n->cap = cap;
	}
	if (len > sizeof(r.data.in)) {
		to = r.data.p = malloc(len);
		if (to == NULL)
			return -ENOMEM;
	}
	memcpy(to, data, len);
	n->rrs[n->n++] = r;
	return 0;
}

static int
add_address(struct dns_zone *z, struct zsvc *s, const struct dname *name, const struct ip_addr *a)
{
	return zone_rr_add(z, s, name, a->family == 4 ? T_A : T_AAAA, a->b, ip_size(a));
}

static int
add_name(struct dns_zone *z, struct zsvc *s, const struct dname *name, uint16_t type,
	const struct dname *target)
{
	return zone_rr_add(z, s, name, type, target->b, target->n);
}

static int
add_reverse(struct dns_zone *z, struct zsvc *s, const struct ip_addr *a, const struct dname *target)
{
	struct dname name;

	dname_of_ip(a, &name);
	return add_name(z, s, &name, T_PTR, target);
}

static int
add_service_port(struct dns_zone *z, struct zsvc *s, const struct dname *svc,
	const struct dns_port *p, const struct dname *target, size_t share)
{
	const char *proto = p->proto == IPPROTO_UDP ? "_udp"
		: p->proto == IPPROTO_SCTP          ? "_sctp"
						    : "_tcp";
	uint16_t weight = (uint16_t)(share > 100 ? 1 : 100 / (share > 0 ? share : 1));
	uint8_t data[6 + DNS_NAME_MAX] = {0, 0, (uint8_t)(weight >> 8), (uint8_t)weight,
		(uint8_t)(p->port >> 8), (uint8_t)p->port};
	struct dname name = *svc;
	char label[DNS_LABEL_MAX + 1];
	int n = 0;

	if (p->name.n == 0)
		return 0;
	n = snprintf(label, sizeof(label), "_" STR_FMT, STR_ARG(p->name));
	if (n >= (int)sizeof(label) || dname_prepend(&name, str_c(proto)) < 0 ||
		dname_prepend(&name, str_from(label, (size_t)n)) < 0)
		return -EINVAL;
	memcpy(data + 6, target->b, target->n);
	return zone_rr_add(z, s, &name, T_SRV, data, 6u + target->n);
}

/* ---- services ---- */

/* The label of an endpoint without a host name: its address with dashes. */
static struct str
endpoint_label(const struct dns_endpoint *e, char text[IP_TEXT_MAX])
{
	size_t n = 0;

	if (e->hostname.n > 0)
		return e->hostname;
	n = ip_format(&e->addr, text);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '.' || text[i] == ':')
			text[i] = '-';
	return str_from(text, n);
}

static int
fill_headless(
	struct dns_zone *z, struct zsvc *s, const struct dns_service *d, const struct dname *svc)
{
	int code = 0;

	for (size_t i = 0; i < d->n_endpoints && code == 0; i++) {
		const struct dns_endpoint *e = &d->endpoints[i];
		const struct dns_port *ports = e->ports != NULL ? e->ports : d->ports;
		size_t n_ports = e->ports != NULL ? e->n_ports : d->n_ports;
		struct dname host = *svc;
		char text[IP_TEXT_MAX];

		if (dname_prepend(&host, endpoint_label(e, text)) < 0)
			return -EINVAL;
		code = add_address(z, s, svc, &e->addr);
		if (code == 0)
			code = add_address(z, s, &host, &e->addr);
		if (code == 0)
			code = add_reverse(z, s, &e->addr, &host);
		for (size_t k = 0; k < n_ports && code == 0; k++)
			code = add_service_port(z, s, svc, &ports[k], &host, d->n_endpoints);
	}
	return code;
}

static int
fill_cluster(
	struct dns_zone *z, struct zsvc *s, const struct dns_service *d, const struct dname *svc)
{
	int code = 0;

	for (size_t i = 0; i < d->n_cluster_ips && code == 0; i++) {
		code = add_address(z, s, svc, &d->cluster_ips[i]);
		if (code == 0)
			code = add_reverse(z, s, &d->cluster_ips[i], svc);
	}
	for (size_t k = 0; k < d->n_ports && code == 0; k++)
		code = add_service_port(z, s, svc, &d->ports[k], svc, 1);
	return code;
}

static int
fill(struct dns_zone *z, struct zsvc *s, const struct dns_service *d, const struct dname *svc)
{
	struct dname target;

	if (d->external_name.n > 0)
		return dname_from_text(d->external_name, &target) < 0
			? -EINVAL
			: add_name(z, s, svc, T_CNAME, &target);
	return d->headless ? fill_headless(z, s, d, svc) : fill_cluster(z, s, d, svc);
}

/* A name comes before the names below it in the list, so that none is freed before its turn. */
static void
svc_clear(struct dns_zone *z, struct zsvc *s)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		struct znode *n = s->nodes[i];
		uint32_t kept = 0;

		for (uint32_t k = 0; k < n->n; k++) {
			if (n->rrs[k].owner != s)
				n->rrs[kept++] = n->rrs[k];
			else if (n->rrs[k].n > sizeof(n->rrs[k].data.in))
				free(n->rrs[k].data.p);
		}
		n->n = kept;
		n->mark = NULL;
		node_free_if_idle(z, n);
	}
	free(s->nodes);
	s->nodes = NULL;
	s->n_nodes = 0;
}

static int
svc_name(const struct dns_zone *z, struct str ns, struct str name, struct dname *ret)
{
	struct dname d = z->domain;

	if (dname_prepend(&d, STR("svc")) < 0 || dname_prepend(&d, ns) < 0 ||
		dname_prepend(&d, name) < 0)
		return -EINVAL;
	*ret = d;
	return 0;
}

/* Names in the description that no label could carry; checked before anything changes. */
static int
check_names(const struct dns_service *d, const struct dname *svc)
{
	struct dname probe = *svc;
	char text[IP_TEXT_MAX];

	if (d->external_name.n > 0)
		return dname_from_text(d->external_name, &probe);
	for (size_t k = 0; k < d->n_ports; k++)
		if (d->ports[k].name.n > DNS_LABEL_MAX - 1 ||
			str_find_char(d->ports[k].name, '.') >= 0)
			return -EINVAL;
	for (size_t i = 0; d->headless && i < d->n_endpoints; i++) {
		const struct dns_endpoint *e = &d->endpoints[i];

		probe = *svc;
		if (dname_prepend(&probe, endpoint_label(e, text)) < 0 || !ip_is_set(&e->addr))
			return -EINVAL;
		for (size_t k = 0; e->ports != NULL && k < e->n_ports; k++)
			if (e->ports[k].name.n > DNS_LABEL_MAX - 1 ||
				str_find_char(e->ports[k].name, '.') >= 0)
				return -EINVAL;
	}
	return 0;
}

struct zsvc *
zone_svc_ensure(struct dns_zone *z, struct str ns, struct str name)
{
	_cleanup_free_ char *key = malloc(ns.n + name.n + 2);
	struct zsvc *s = NULL;

	if (key == NULL)
		return NULL;
	snprintf(key, ns.n + name.n + 2, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(name));
	s = map_get(&z->services, str_c(key));
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL || map_put(&z->services, str_c(key), s, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->ns_len = ns.n;
	s->key = TAKE_PTR(key);
	return s;
}

int
dns_zone_service_set(struct dns_zone *z, const struct dns_service *d)
{
	struct dname svc;
	struct zsvc *s = NULL;
	int code = svc_name(z, d->ns, d->name, &svc);

	if (code == 0)
		code = check_names(d, &svc);
	if (code < 0)
		return code;
	s = zone_svc_ensure(z, d->ns, d->name);
	if (s == NULL)
		return -ENOMEM;
	svc_clear(z, s);
	z->serial++;
	code = fill(z, s, d, &svc);
	if (code < 0)
		svc_clear(z, s);
	return code;
}

void
dns_zone_service_del(struct dns_zone *z, struct str ns, struct str name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	struct zsvc *s = NULL;

	buf_str(&key, ns);
	buf_char(&key, '/');
	buf_str(&key, name);
	s = key.failed ? NULL : map_del(&z->services, buf_view(&key));
	if (s == NULL)
		return;
	svc_clear(z, s);
	z->serial++;
	free(s->key);
	free(s);
}

void
dns_zone_services(
	struct dns_zone *z, void (*fn)(void *arg, struct str ns, struct str name), void *arg)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	while (map_next(&z->services, &pos, &key, &value)) {
		struct zsvc *s = value;
		struct str whole = str_c(s->key);

		fn(arg, str_sub(whole, 0, s->ns_len), str_sub(whole, s->ns_len + 1, SIZE_MAX));
	}
}

/* ---- the zone's own ---- */

static int
own_records(struct dns_zone *z, const struct dns_zone_config *c)
{
	struct dname ns = z->domain, version = z->domain, svc = z->domain;
	int code = 0;

	if (dname_prepend(&ns, STR("dns")) < 0 || dname_prepend(&ns, STR("ns")) < 0 ||
		dname_prepend(&version, STR("dns-version")) < 0 ||
		dname_prepend(&svc, STR("svc")) < 0)
		return -EINVAL;
	code = add_name(z, &z->own, &z->domain, T_NS, &ns);
	if (code == 0)
		code = zone_rr_add(z, &z->own, &version, T_TXT, "\0051.1.0", 6);
	for (size_t i = 0; i < c->n_server_addrs && code == 0; i++)
		code = add_address(z, &z->own, &ns, &c->server_addrs[i]);
	/* these exist whatever is below them */
	if (code == 0 && node_ensure(z, &svc) == NULL)
		code = -ENOMEM;
	if (code == 0)
		((struct znode *)map_get(&z->nodes, dname_str(&svc)))->children++;
	if (code == 0 && z->pod_names) {
		if (node_ensure(z, &z->pod_domain) == NULL)
			return -ENOMEM;
		((struct znode *)map_get(&z->nodes, dname_str(&z->pod_domain)))->children++;
	}
	return code;
}

int
dns_zone_new(const struct dns_zone_config *c, struct dns_zone **ret)
{
	struct dns_zone *z = calloc(1, sizeof(*z));
	int code = z == NULL ? -ENOMEM : 0;

	if (code < 0)
		return code;
	map_init(&z->nodes);
	map_init(&z->services);
	z->ttl = c->ttl_s != 0 ? c->ttl_s : 5;
	z->serial = (uint32_t)(clock_wall_ns() / NS_PER_SEC);
	z->pod_names = c->pod_names;
	code = dname_from_text(str_c(c->domain), &z->domain);
	z->pod_domain = z->domain;
	if (code == 0 && z->domain.n == 1)
		code = -EINVAL;
	if (code == 0)
		code = dname_prepend(&z->pod_domain, STR("pod"));
	if (code == 0)
		code = own_records(z, c);
	if (code < 0) {
		dns_zone_free(z);
		return code;
	}
	*ret = z;
	return 0;
}

void
dns_zone_free(struct dns_zone *z)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	if (z == NULL)
		return;
	while (map_next(&z->nodes, &pos, &key, &value)) {
		struct znode *n = value;

		for (uint32_t i = 0; i < n->n; i++)
			if (n->rrs[i].n > sizeof(n->rrs[i].data.in))
				free(n->rrs[i].data.p);
		free(n->rrs);
		free(n);
	}
	for (pos = 0; map_next(&z->services, &pos, &key, &value);) {
		struct zsvc *s = value;

		free(s->nodes);
		free(s->key);
		free(s);
	}
	map_release(&z->nodes);
	map_release(&z->services);
	free(z->own.nodes);
	free(z);
}

int
dns_zone_reverse(struct dns_zone *z, const struct ip_prefix *p)
{
	if (z->n_reverse == ZONE_REVERSE_MAX)
		return -ENOSPC;
	z->reverse[z->n_reverse++] = *p;
	return 0;
}

size_t
dns_zone_names(const struct dns_zone *z)
{
	return map_len(&z->nodes);
}
