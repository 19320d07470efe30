/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * match: see match.h. */
#include "orchestrator/schedule/match.h"

struct str
node_label(const struct core_v1_node *n, struct str key)
{
	for (size_t i = 0; i < n->metadata.n_labels; i++)
		if (str_eq(n->metadata.labels[i].key, key))
			return n->metadata.labels[i].value.p ? n->metadata.labels[i].value
							     : STR("");
	return STR_NONE;
}

static bool
in_values(const struct core_v1_node_selector_requirement *r, struct str value)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (str_eq(r->values[i], value))
			return true;
	return false;
}

static bool
op_in(const struct core_v1_node_selector_requirement *r, struct str v)
{
	return str_is_set(v) && in_values(r, v);
}

static bool
op_not_in(const struct core_v1_node_selector_requirement *r, struct str v)
{
	return !str_is_set(v) || !in_values(r, v);
}

static bool
op_exists(const struct core_v1_node_selector_requirement *r, struct str v)
{
	(void)r;
	return str_is_set(v);
}

static bool
op_not_exists(const struct core_v1_node_selector_requirement *r, struct str v)
{
	(void)r;
	return !str_is_set(v);
}

static bool
two_numbers(const struct core_v1_node_selector_requirement *r, struct str v, int64_t *x, int64_t *y)
{
	return r->n_values == 1 && str_is_set(v) && str_to_i64(v, x) == 0 &&
		str_to_i64(r->values[0], y) == 0;
}

static bool
op_gt(const struct core_v1_node_selector_requirement *r, struct str v)
{
	int64_t x, y;
	return two_numbers(r, v, &x, &y) && x > y;
}

static bool
op_lt(const struct core_v1_node_selector_requirement *r, struct str v)
{
	int64_t x, y;
	return two_numbers(r, v, &x, &y) && x < y;
}

static const struct op_row {
	const char *name;
	bool (*holds)(const struct core_v1_node_selector_requirement *r, struct str v);
} ops[] = {
	{"In", op_in},
	{"NotIn", op_not_in},
	{"Exists", op_exists},
	{"DoesNotExist", op_not_exists},
	{"Gt", op_gt},
	{"Lt", op_lt},
};

static bool
requirement_holds(const struct core_v1_node_selector_requirement *r, struct str value)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (str_eq_c(r->operator, ops[i].name))
			return ops[i].holds(r, value);
	return false;
}

bool
match_node_term(const struct core_v1_node_selector_term *t, const struct core_v1_node *n)
{
	if (!t->n_match_expressions && !t->n_match_fields)
		return false; /* an empty term selects nothing */
	for (size_t i = 0; i < t->n_match_expressions; i++)
		if (!requirement_holds(
			    &t->match_expressions[i], node_label(n, t->match_expressions[i].key)))
			return false;
	for (size_t i = 0; i < t->n_match_fields; i++)
		if (!str_eq(t->match_fields[i].key, STR("metadata.name")) ||
			!requirement_holds(&t->match_fields[i], n->metadata.name))
			return false;
	return true;
}

bool
match_node_selector(const struct core_v1_node_selector *sel, const struct core_v1_node *n)
{
	for (size_t i = 0; i < sel->n_node_selector_terms; i++)
		if (match_node_term(&sel->node_selector_terms[i], n))
			return true;
	return false;
}

static bool
tolerates_one(const struct core_v1_toleration *t, const struct core_v1_taint *taint)
{
	if (t->effect.n && !str_eq(t->effect, taint->effect))
		return false;
	if (t->key.n && !str_eq(t->key, taint->key))
		return false;
	if (!t->key.n && !str_eq(t->operator, STR("Exists")))
		return false;
	int64_t x, y;
	if (str_eq(t->operator, STR("Gt")) || str_eq(t->operator, STR("Lt"))) {
		if (str_to_i64(taint->value, &x) < 0 || str_to_i64(t->value, &y) < 0)
			return false;
		return str_eq(t->operator, STR("Gt")) ? x > y : x < y;
	}
	return str_eq(t->operator, STR("Exists")) || str_eq(t->value, taint->value);
}

bool
tolerates(const struct core_v1_toleration *t, size_t n, const struct core_v1_taint *taint)
{
	for (size_t i = 0; i < n; i++)
		if (tolerates_one(&t[i], taint))
			return true;
	return false;
}

bool
match_pod_node(const struct core_v1_pod_spec *p, const struct core_v1_node *n)
{
	for (size_t i = 0; i < p->n_node_selector; i++) {
		struct str have = node_label(n, p->node_selector[i].key);
		if (!str_is_set(have) || !str_eq(have, p->node_selector[i].value))
			return false;
	}
	const struct core_v1_node_affinity *na = p->affinity ? p->affinity->node_affinity : NULL;
	const struct core_v1_node_selector *need = na
		? na->required_during_scheduling_ignored_during_execution
		: NULL;
	return !need || match_node_selector(need, n);
}

/* ---- host ports ---- */

static bool
ports_clash(const struct core_v1_container_port *x, const struct core_v1_container_port *y)
{
	struct str any = STR("0.0.0.0");
	struct str xip = x->host_ip.n ? x->host_ip : any, yip = y->host_ip.n ? y->host_ip : any;
	return x->host_port == y->host_port && str_eq(x->protocol, y->protocol) &&
		(str_eq(xip, yip) || str_eq(xip, any) || str_eq(yip, any));
}

const struct core_v1_container_port *
host_port_next(const struct core_v1_pod_spec *s, size_t *pos, size_t *port)
{
	for (; *pos < s->n_init_containers + s->n_containers; ++*pos, *port = 0) {
		bool init = *pos < s->n_init_containers;
		const struct core_v1_container *c = init
			? &s->init_containers[*pos]
			: &s->containers[*pos - s->n_init_containers];
		while ((!init || str_eq(c->restart_policy, STR("Always"))) && *port < c->n_ports)
			if (c->ports[(*port)++].host_port)
				return &c->ports[*port - 1];
	}
	return NULL;
}

bool
host_ports_clash(const struct core_v1_pod_spec *x, const struct core_v1_pod_spec *y)
{
	const struct core_v1_container_port *a, *b;
	for (size_t pos = 0, port = 0; (a = host_port_next(x, &pos, &port));)
		for (size_t i = 0, k = 0; (b = host_port_next(y, &i, &k));)
			if (ports_clash(a, b))
				return true;
	return false;
}
