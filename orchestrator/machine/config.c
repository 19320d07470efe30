/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * config: decoding of the machine configuration, see machine.h. One table of fields says where a value
 * goes and how it is read; one walk over the document uses it, so that a field that no row names is
 * an error by construction. */
#include "orchestrator/machine/machine.h"

#include "base/disk.h"

#include <assert.h>
#include <stdio.h>

struct decode {
	struct arena *a;
	struct machine_config *c;
	struct err *e;
};

typedef int read_fn(struct decode *d, const struct doc *v, void *at, const char *path);

struct field {
	const char *path; /* "cluster.name" */
	read_fn *read;
	size_t offset;
};

static int
wrong(struct decode *d, const char *path, const char *want)
{
	return err_set(
		d->e, -EINVAL, R_INVALID, "machine configuration: '%s' must be %s", path, want);
}

static int
read_str(struct decode *d, const struct doc *v, void *at, const char *path)
{
	if (v->type != DOC_STR)
		return wrong(d, path, "a string");
	*(struct str *)at = v->s;
	return 0;
}

static int
read_bool(struct decode *d, const struct doc *v, void *at, const char *path)
{
	if (v->type != DOC_BOOL)
		return wrong(d, path, "true or false");
	*(bool *)at = v->b;
	return 0;
}

/* A DNS-1123 subdomain (RFC 1123; at most 253 bytes, labels of 63). */
static int
read_name(struct decode *d, const struct doc *v, void *at, const char *path)
{
	struct str s = doc_as_str(v), rest = s, label;
	bool ok = s.n > 0 && s.n <= 253;
	while (ok && str_next(&rest, '.', &label)) {
		ok = label.n > 0 && label.n <= 63 && label.p[0] != '-' &&
			label.p[label.n - 1] != '-';
		for (size_t i = 0; ok && i < label.n; i++)
			ok = (label.p[i] >= 'a' && label.p[i] <= 'z') || label.p[i] == '-' ||
				(label.p[i] >= '0' && label.p[i] <= '9');
	}
	if (!ok)
		return wrong(d, path, "a DNS name in lower case");
	*(struct str *)at = s;
	return 0;
}

static int
read_roles(struct decode *d, const struct doc *v, void *at, const char *path)
{
	(void)at;
	if (v->type != DOC_LIST)
		return wrong(d, path, "a list of 'control' and 'node'");
	DOC_EACH (item, v) {
		if (str_eq_c(doc_as_str(item), "control"))
			d->c->control = true;
		else if (str_eq_c(doc_as_str(item), "node"))
			d->c->node = true;
		else
			return wrong(d, path, "a list of 'control' and 'node'");
	}
	return 0;
}

static int
read_addrs(struct decode *d, const struct doc *v, void *at, const char *path)
{
	struct machine_addrs *out = at;
	if (v->type != DOC_LIST || doc_len(v) > MACHINE_ADDRS_MAX)
		return wrong(d, path, "a list of at most 16 addresses");
	DOC_EACH (item, v)
		if (ip_parse(doc_as_str(item), &out->at[out->n++]) < 0)
			return wrong(d, path, "a list of addresses");
	return 0;
}

static int
read_prefixes(struct decode *d, const struct doc *v, void *at, const char *path)
{
	struct machine_prefixes *out = at;
	if (v->type != DOC_LIST || doc_len(v) > MACHINE_ADDRS_MAX)
		return wrong(d, path, "a list of at most 16 addresses with prefix lengths");
	DOC_EACH (item, v)
		if (ip_prefix_parse(doc_as_str(item), &out->at[out->n++]) < 0)
			return wrong(d, path, "a list of addresses with prefix lengths");
	return 0;
}

/* At most one address of each family, at[0] for IPv4 and at[1] for IPv6. */
static int
read_dns(struct decode *d, const struct doc *v, void *at, const char *path)
{
	struct ip_addr *out = at;
	if (v->type != DOC_LIST)
		return wrong(d, path, "a list of at most one address of each family");
	DOC_EACH (item, v) {
		struct ip_addr a;
		if (ip_parse(doc_as_str(item), &a) < 0 || ip_is_set(&out[a.family == 6]))
			return wrong(d, path, "a list of at most one address of each family");
		out[a.family == 6] = a;
	}
	return 0;
}

static int
read_cidrs(struct decode *d, const struct doc *v, void *at, const char *path)
{
	struct ip_prefix *out = at;
	if (v->type != DOC_LIST)
		return wrong(d, path, "a list of at most one range of each family");
	DOC_EACH (item, v) {
		struct ip_prefix p;
		if (ip_prefix_parse(doc_as_str(item), &p) < 0 ||
			ip_is_set(&out[p.addr.family == 6].addr))
			return wrong(d, path, "a list of at most one range of each family");
		out[p.addr.family == 6] = p;
	}
	return 0;
}

static int
read_registries(struct decode *d, const struct doc *v, void *at, const char *path)
{
	(void)at;
	if (v->type != DOC_LIST)
		return wrong(d, path, "a list");
	DOC_EACH (item, v) {
		struct machine_registry *r = ARENA_PUSH(d->a, d->c->registries, d->c->n_registries);
		if (!r)
			return -ENOMEM;
		DOC_EACH (m, item) {
			int rc = str_eq_c(m->key, "prefix")
				? read_str(d, m, &r->prefix, "registries.prefix")
				: str_eq_c(m->key, "ca") ? read_str(d, m, &r->ca, "registries.ca")
				: str_eq_c(m->key, "plainHTTP")
				? read_bool(d, m, &r->plain_http, "registries.plainHTTP")
				: wrong(d, path, "a list of prefix, ca, plainHTTP");
			if (rc < 0)
				return rc;
		}
		if (item->type != DOC_MAP || r->prefix.n == 0)
			return wrong(d, path, "a list of objects with a prefix");
	}
	return 0;
}

static int
read_labels(struct decode *d, const struct doc *v, void *at, const char *path)
{
	(void)at;
	if (v->type != DOC_MAP)
		return wrong(d, path, "a map of strings");
	DOC_EACH (m, v) {
		struct machine_label *l = ARENA_PUSH(d->a, d->c->labels, d->c->n_labels);
		if (!l)
			return -ENOMEM;
		l->key = m->key;
		int rc = read_str(d, m, &l->value, path);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "key=value:Effect" or "key:Effect", as kubectl taint has it. */
static int
read_taints(struct decode *d, const struct doc *v, void *at, const char *path)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
	(void)at;
	if (v->type != DOC_LIST)
		return wrong(d, path, "a list of key=value:Effect");
	DOC_EACH (item, v) {
		struct machine_taint *t = ARENA_PUSH(d->a, d->c->taints, d->c->n_taints);
		struct str left;
		bool known = false;
		if (!t)
			return -ENOMEM;
		if (!str_rcut(doc_as_str(item), ':', &left, &t->effect))
			return wrong(d, path, "a list of key=value:Effect");
		if (!str_cut(left, '=', &t->key, &t->value))
			t->value = STR("");
		for (size_t i = 0; i < ARRAY_LEN(effects); i++)
			known |= str_eq_c(t->effect, effects[i]);
		if (!known || t->key.n == 0)
			return wrong(d, path, "a list of key=value:Effect");
	}
	return 0;
}

static int
read_fixed(struct decode *d, const struct doc *v, void *at, const char *path)
{
	(void)at;
	const char *want = strcmp(path, "kind") == 0 ? "MachineConfig" : "os.keelson.dev/v1alpha1";
	return str_eq_c(doc_as_str(v), want) ? 0 : wrong(d, path, want);
}

#define AT(member) offsetof(struct machine_config, member)
static const struct field fields[] = {
	{"apiVersion", read_fixed, 0},
	{"kind", read_fixed, 0},
	{"name", read_name, AT(name)},
	{"roles", read_roles, 0},
	{"network.interface", read_str, AT(network.interface)},
	{"network.dhcp", read_bool, AT(network.dhcp)},
	{"network.addresses", read_prefixes, AT(network.addresses)},
	{"network.gateways", read_addrs, AT(network.gateways)},
	{"network.nameservers", read_addrs, AT(network.nameservers)},
	{"disks.data", read_str, AT(data_disk)},
	{"cluster.name", read_name, AT(cluster.name)},
	{"cluster.endpoint", read_str, AT(cluster.endpoint)},
	{"cluster.ca", read_str, AT(cluster.ca)},
	{"cluster.caKey", read_str, AT(cluster.ca_key)},
	{"cluster.bootstrapToken", read_str, AT(cluster.bootstrap_token)},
	{"cluster.dnsDomain", read_name, AT(cluster.dns_domain)},
	{"cluster.dnsAddresses", read_dns, AT(cluster.dns4)},
	{"cluster.podCIDRs", read_cidrs, AT(cluster.pod4)},
	{"cluster.serviceCIDRs", read_cidrs, AT(cluster.service4)},
	{"cluster.adminKubeconfig", read_bool, AT(cluster.admin_kubeconfig)},
	{"registries", read_registries, 0},
	{"node.labels", read_labels, 0},
	{"node.taints", read_taints, 0},
};
static_assert(AT(cluster.dns6) == AT(cluster.dns4) + sizeof(struct ip_addr), "pairs by family");
static_assert(AT(cluster.pod6) == AT(cluster.pod4) + sizeof(struct ip_prefix), "pairs by family");
static_assert(AT(cluster.service6) == AT(cluster.service4) + sizeof(struct ip_prefix), "by family");
/* One level of nesting: a map whose name begins rows ("network.") is descended into. */
static int
decode_map(struct decode *d, const struct doc *map, const char *prefix)
{
	DOC_EACH (m, map) {
		char path[96];
		bool inner = false;
		const struct field *f = NULL;
		if (m->key.n > 40)
			return wrong(d, prefix, "without unknown fields");
		snprintf(path, sizeof(path), "%s%s" STR_FMT, prefix, *prefix ? "." : "",
			STR_ARG(m->key));
		if (m->dup)
			return wrong(d, path, "there once");
		for (size_t i = 0; i < ARRAY_LEN(fields) && !f; i++) {
			size_t n = strlen(path);
			if (strcmp(fields[i].path, path) == 0)
				f = &fields[i];
			else if (!strncmp(fields[i].path, path, n) && fields[i].path[n] == '.')
				inner = true;
		}
		if (!f && !inner)
			return err_set(d->e, -EINVAL, R_INVALID,
				"machine configuration: unknown field '%s'", path);
		if (m->type == DOC_NULL)
			continue;
		if (!f && m->type != DOC_MAP)
			return wrong(d, path, "a map");
		int rc = f ? f->read(d, m, (char *)d->c + f->offset, path) : decode_map(d, m, path);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
check(struct decode *d)
{
	struct machine_config *c = d->c;
	if (c->name.n == 0)
		return wrong(d, "name", "set");
	if (!c->control && !c->node)
		return wrong(d, "roles", "set");
	if (c->control && (c->cluster.ca.n == 0 || c->cluster.ca_key.n == 0))
		return wrong(d, "cluster.ca and cluster.caKey", "set on a control machine");
	if (c->node && !str_starts(c->cluster.endpoint, STR("https://")))
		return wrong(d, "cluster.endpoint", "an https URL");
	if (c->node && c->cluster.ca.n == 0)
		return wrong(d, "cluster.ca", "set");
	return 0;
}

int
machine_config_parse(struct arena *a, struct str text, struct machine_config *ret, struct err *e)
{
	struct machine_config c = {.name = STR(""), .data_disk = STR("")};
	struct decode d = {a, &c, e};
	struct str rest = text;
	struct doc *doc = NULL;
	struct str *strings[] = {&c.network.interface, &c.cluster.endpoint, &c.cluster.ca,
		&c.cluster.ca_key, &c.cluster.bootstrap_token};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		*strings[i] = STR("");
	c.cluster.name = STR("keelson");
	c.cluster.dns_domain = STR("cluster.local");
	c.network.dhcp = true;
	int rc = doc_parse_yaml(a, &rest, NULL, &doc, e);
	if (rc == -ENODATA)
		return err_set(e, -EINVAL, R_INVALID, "machine configuration is empty");
	if (rc < 0)
		return err_wrap(e, "machine configuration");
	if (doc->type != DOC_MAP)
		return wrong(&d, "the document", "a map");
	rc = decode_map(&d, doc, "");
	if (rc == 0)
		rc = check(&d);
	if (rc == -ENOMEM || (rc == 0 && arena_failed(a)))
		return err_set(
			e, -ENOMEM, R_UNKNOWN, "machine configuration needs too much memory");
	if (rc == 0)
		*ret = c;
	return rc;
}

int
machine_config_load(struct arena *a, const char *path, struct machine_config *ret, struct err *e)
{
	struct buf b;
	buf_init_arena(&b, a);
	int rc = disk_read_file(path, MACHINE_CONFIG_MAX, &b);
	if (rc < 0)
		return err_errno(e, rc, "reading '%s'", path);
	return machine_config_parse(a, buf_view(&b), ret, e);
}
