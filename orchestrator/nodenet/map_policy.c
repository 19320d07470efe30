/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * map_policy: see map_policy.h.
 *
 *   a pod of this node -> the policies that choose it -> isolated in the directions they name
 *   -> what these permit together, as one group; pods that the same policies choose share it
 *
 * Names of ports mean the port of that name of the pod that is connected to: of the pod itself for what comes in, of each
 * peer for what goes out. */
#include "orchestrator/nodenet/map_policy.h"

#include "orchestrator/schema/schema.h"

#include "kinds/networking_v1.h"

#include <errno.h>

/* A policy whose selector has been read. */
struct chooser {
	const struct networking_v1_network_policy *p;
	struct selector pods;
	bool in[POLICY__DIRECTIONS]; /* has this direction */
	bool named_in;               /* has ports by name for what comes in */
};
/* Addresses of one family a rule speaks of, and the pod they are of. */
struct range {
	struct ip_addr from, to;
	const struct map_pod *pod; /* NULL = none in particular */
};
struct ranges {
	struct range *v;
	size_t n;
};
/* What was made: which policies, and for which pod when ports by name count. */
struct made {
	const size_t *policies;
	size_t n;
	enum policy_direction d;
	const struct map_pod *pod; /* NULL = any */
};
struct mapping {
	struct arena *a;
	const struct map_policy_input *in;
	struct chooser *choosers;
	struct policy_group *groups;
	size_t n_groups;
	struct made *made; /* of each group */
	size_t n_made;
	struct policy_member *members;
	size_t n_members;
	/* of the group at hand */
	struct policy_rule *rules;
	size_t n_rules;
};

/* Of both directions, under one name. */
struct peers {
	const struct networking_v1_network_policy_peer *v;
	size_t n;
	const struct networking_v1_network_policy_port *ports;
	size_t n_ports;
};

static size_t
rules_of(const struct networking_v1_network_policy *p, enum policy_direction d)
{
	return d == POLICY_IN ? p->spec.n_ingress : p->spec.n_egress;
}

static struct peers
peers_of(const struct networking_v1_network_policy *p, enum policy_direction d, size_t i)
{
	if (d == POLICY_IN) {
		const struct networking_v1_network_policy_ingress_rule *r = &p->spec.ingress[i];
		return (struct peers){r->from, r->n_from, r->ports, r->n_ports};
	}
	const struct networking_v1_network_policy_egress_rule *r = &p->spec.egress[i];
	return (struct peers){r->to, r->n_to, r->ports, r->n_ports};
}

/* ---- peers ---- */

static int
range_put(struct mapping *m, struct ranges *r, const struct range *one)
{
	struct range *slot = ARENA_PUSH(m->a, r->v, r->n);
	if (!slot)
		return -ENOMEM;
	*slot = *one;
	return 0;
}

static int
pod_put(struct mapping *m, struct ranges *r, const struct map_pod *p)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < p->n_ips; i++)
		rc = range_put(m, r, &(struct range){p->ips[i], p->ips[i], p});
	return rc;
}

static int
everybody_put(struct mapping *m, struct ranges *r)
{
	struct range all4 = {.from = {.family = 4}, .to = {4, {255, 255, 255, 255}}};
	struct range all6 = {.from = {.family = 6}, .to = {.family = 6}};
	memset(all6.to.b, 255, sizeof(all6.to.b));
	int rc = range_put(m, r, &all4);
	return rc == 0 ? range_put(m, r, &all6) : rc;
}

/* without: what is left of ranges from `first` on when the prefix is taken out. */
static int
without(struct mapping *m, struct ranges *r, size_t first, const struct ip_prefix *p)
{
	struct ip_prefix base = ip_prefix_masked(p);
	struct ip_addr low = base.addr, high = ip_prefix_last(p);
	size_t n = r->n;
	for (size_t i = first; i < n; i++) {
		struct range one = r->v[i];
		if (one.from.family != low.family || memcmp(high.b, one.from.b, 16) < 0 ||
			memcmp(low.b, one.to.b, 16) > 0)
			continue;
		bool before = memcmp(one.from.b, low.b, 16) < 0;
		bool behind = memcmp(high.b, one.to.b, 16) < 0;
		struct range right = {ip_add(&high, 1), one.to, NULL};
		if (before)
			r->v[i].to = ip_before(&low);
		if (before && behind && range_put(m, r, &right) < 0)
			return -ENOMEM;
		if (!before && behind)
			r->v[i] = right;
		if (!before && !behind) /* nothing left: a range that is none */
			r->v[i].from.family = 0;
	}
	return 0;
}

static int
block_put(struct mapping *m, struct ranges *r, const struct networking_v1_ip_block *b)
{
	struct ip_prefix p, except;
	size_t first = r->n;
	if (ip_prefix_parse(b->cidr, &p) < 0)
		return 0;
	struct ip_prefix base = ip_prefix_masked(&p);
	int rc = range_put(m, r, &(struct range){base.addr, ip_prefix_last(&p), NULL});
	for (size_t i = 0; rc == 0 && i < b->n_except; i++)
		if (ip_prefix_parse(b->except[i], &except) == 0)
			rc = without(m, r, first, &except);
	return rc;
}

static const struct map_ns *
ns_find(const struct map_policy_input *in, struct str name)
{
	for (size_t i = 0; i < in->n_namespaces; i++)
		if (str_eq(in->namespaces[i].name, name))
			return &in->namespaces[i];
	return NULL;
}

/* ns_chosen: false for a namespace that is not known. */
static bool
ns_chosen(struct mapping *m, const struct selector *s, struct str name)
{
	const struct map_ns *ns = ns_find(m->in, name);
	return ns && selector_match_pairs(s, ns->labels, ns->n_labels);
}

static int
pods_put(struct mapping *m, struct ranges *r, const struct networking_v1_network_policy_peer *peer,
	struct str own_ns)
{
	struct selector pods = {0}, namespaces = {0};
	if (peer->pod_selector && selector_from_struct(m->a, peer->pod_selector, &pods) < 0)
		return arena_failed(m->a) ? -ENOMEM : 0;
	if (peer->namespace_selector &&
		selector_from_struct(m->a, peer->namespace_selector, &namespaces) < 0)
		return arena_failed(m->a) ? -ENOMEM : 0;
	struct str last = STR_NONE;
	bool last_chosen = false;
	for (size_t i = 0; i < m->in->n_pods; i++) {
		const struct map_pod *p = &m->in->pods[i];
		if (!peer->namespace_selector && !str_eq(p->ns, own_ns))
			continue;
		if (peer->pod_selector && !selector_match_pairs(&pods, p->labels, p->n_labels))
			continue;
		if (peer->namespace_selector && !(str_is_set(last) && str_eq(last, p->ns))) {
			last = p->ns;
			last_chosen = ns_chosen(m, &namespaces, last);
		}
		if (peer->namespace_selector && !last_chosen)
			continue;
		if (pod_put(m, r, p) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
peers_ranges(struct mapping *m, const struct peers *p, struct str own_ns, struct ranges *ret)
{
	int rc = p->n ? 0 : everybody_put(m, ret);
	for (size_t i = 0; rc == 0 && i < p->n; i++)
		rc = p->v[i].ip_block ? block_put(m, ret, p->v[i].ip_block)
			: p->v[i].pod_selector || p->v[i].namespace_selector
			? pods_put(m, ret, &p->v[i], own_ns)
			: 0;
	return rc;
}

/* ---- ports ---- */

static int
rule_put(struct mapping *m, const struct range *r, uint8_t proto, uint16_t from, uint16_t to)
{
	if (!ip_is_set(&r->from))
		return 0;
	struct policy_rule *slot = ARENA_PUSH(m->a, m->rules, m->n_rules);
	if (!slot)
		return -ENOMEM;
	*slot = (struct policy_rule){r->from, r->to, proto, from, to};
	return 0;
}

static int
ranges_put(struct mapping *m, const struct ranges *r, uint8_t proto, uint16_t from, uint16_t to)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = rule_put(m, &r->v[i], proto, from, to);
	return rc;
}

/* named_put: the port `name` of pod `of`, for the peers in r. */
static int
named_put(struct mapping *m, const struct ranges *r, const struct map_pod *of, struct str name,
	uint8_t proto)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < of->n_ports; i++)
		if (of->ports[i].proto == proto && str_eq(of->ports[i].name, name))
			rc = ranges_put(m, r, proto, of->ports[i].port, of->ports[i].port);
	return rc;
}

/* named_out_put: of each pod among the peers its own port of that name; of all pods when all are peers. */
static int
named_out_put(
	struct mapping *m, const struct ranges *r, bool everybody, struct str name, uint8_t proto)
{
	struct ranges all = {0};
	int rc = 0;
	for (size_t i = 0; rc == 0 && everybody && i < m->in->n_pods; i++)
		rc = pod_put(m, &all, &m->in->pods[i]);
	const struct ranges *from = everybody ? &all : r;
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		if (from->v[i].pod)
			rc = named_put(
				m, &(struct ranges){&from->v[i], 1}, from->v[i].pod, name, proto);
	return rc;
}

static int
port_put(struct mapping *m, const struct ranges *r, const struct peers *p,
	const struct networking_v1_network_policy_port *port, enum policy_direction d,
	const struct map_pod *pod)
{
	uint8_t proto = map_proto(port->protocol);
	if (!port->port.has)
		return ranges_put(m, r, proto, 0, UINT16_MAX);
	if (port->port.is_str)
		return d == POLICY_IN ? named_put(m, r, pod, port->port.s, proto)
				      : named_out_put(m, r, !p->n, port->port.s, proto);
	int32_t last = port->has_end_port ? port->end_port : port->port.i;
	if (port->port.i < 1 || last < port->port.i || last > UINT16_MAX)
		return 0;
	return ranges_put(m, r, proto, (uint16_t)port->port.i, (uint16_t)last);
}

static int
policy_rules(struct mapping *m, const struct networking_v1_network_policy *p,
	enum policy_direction d, const struct map_pod *pod)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < rules_of(p, d); i++) {
		struct peers peers = peers_of(p, d, i);
		struct ranges r = {0};
		rc = peers_ranges(m, &peers, p->metadata.namespace, &r);
		if (rc == 0 && !peers.n_ports)
			rc = ranges_put(m, &r, 0, 0, 0);
		for (size_t k = 0; rc == 0 && k < peers.n_ports; k++)
			rc = port_put(m, &r, &peers, &peers.ports[k], d, pod);
	}
	return rc;
}

/* ---- groups ---- */

static bool
same_ports(const struct map_pod *x, const struct map_pod *y)
{
	bool same = x->n_ports == y->n_ports;
	for (size_t i = 0; same && i < x->n_ports; i++)
		same = x->ports[i].proto == y->ports[i].proto &&
			x->ports[i].port == y->ports[i].port &&
			str_eq(x->ports[i].name, y->ports[i].name);
	return same;
}

static bool
made_for(const struct made *g, const struct made *want)
{
	return g->d == want->d && g->n == want->n &&
		memcmp(g->policies, want->policies, g->n * sizeof(*g->policies)) == 0 &&
		!g->pod == !want->pod && (!g->pod || same_ports(g->pod, want->pod));
}

/* group_of: the group of pods that just these policies choose; made when there is none. */
static int
group_of(struct mapping *m, const struct made *want, const struct map_pod *pod, size_t *ret)
{
	for (*ret = 0; *ret < m->n_groups; ++*ret)
		if (made_for(&m->made[*ret], want))
			return 0;
	m->rules = NULL;
	m->n_rules = 0;
	for (size_t i = 0; i < want->n; i++)
		if (policy_rules(m, m->choosers[want->policies[i]].p, want->d, pod) < 0)
			return -ENOMEM;
	struct made *made = ARENA_PUSH(m->a, m->made, m->n_made);
	struct policy_group *g = ARENA_PUSH(m->a, m->groups, m->n_groups);
	if (!made || !g)
		return -ENOMEM;
	*made = *want;
	*g = (struct policy_group){m->rules, m->n_rules};
	return 0;
}

static int
pod_isolate(struct mapping *m, const struct map_pod *pod, enum policy_direction d)
{
	size_t *list = NULL, n = 0, group = 0;
	struct made want = {.d = d};
	for (size_t i = 0; i < m->in->n_policies; i++) {
		const struct chooser *c = &m->choosers[i];
		if (!c->in[d] || !str_eq(c->p->metadata.namespace, pod->ns) ||
			!selector_match_pairs(&c->pods, pod->labels, pod->n_labels))
			continue;
		size_t *slot = ARENA_PUSH(m->a, list, n);
		if (!slot)
			return -ENOMEM;
		*slot = i;
		if (d == POLICY_IN && c->named_in)
			want.pod = pod;
	}
	want.policies = list;
	want.n = n;
	int rc = n ? group_of(m, &want, pod, &group) : 0;
	for (size_t i = 0; rc == 0 && n && i < pod->n_ips; i++) {
		struct policy_member *p = ARENA_PUSH(m->a, m->members, m->n_members);
		if (!p)
			return -ENOMEM;
		*p = (struct policy_member){pod->ips[i], d, group};
	}
	return rc;
}

static bool
names_ports(const struct networking_v1_network_policy *p)
{
	for (size_t i = 0; i < p->spec.n_ingress; i++)
		for (size_t k = 0; k < p->spec.ingress[i].n_ports; k++)
			if (p->spec.ingress[i].ports[k].port.is_str)
				return true;
	return false;
}

static int
chooser_make(struct arena *a, const struct networking_v1_network_policy *p, struct chooser *ret)
{
	*ret = (struct chooser){.p = p, .named_in = names_ports(p)};
	for (size_t i = 0; i < p->spec.n_policy_types; i++) {
		ret->in[POLICY_IN] |= str_eq(p->spec.policy_types[i], STR("Ingress"));
		ret->in[POLICY_OUT] |= str_eq(p->spec.policy_types[i], STR("Egress"));
	}
	int rc = selector_from_struct(a, &p->spec.pod_selector, &ret->pods);
	if (rc == -EINVAL)
		ret->pods.nothing = true;
	return rc == -EINVAL ? 0 : rc;
}

int
map_policies(struct arena *a, const struct map_policy_input *in, struct policy_state *ret)
{
	struct mapping m = {
		.a = a, .in = in, .choosers = ARENA_ARRAY(a, struct chooser, in->n_policies + 1)};
	int rc = m.choosers ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < in->n_policies; i++)
		rc = chooser_make(a, in->policies[i], &m.choosers[i]);
	for (size_t i = 0; rc == 0 && i < in->n_pods; i++)
		for (int d = 0; rc == 0 && in->pods[i].local && d < POLICY__DIRECTIONS; d++)
			rc = pod_isolate(&m, &in->pods[i], d);
	if (rc == 0)
		*ret = (struct policy_state){m.groups, m.n_groups, m.members, m.n_members};
	return rc;
}
