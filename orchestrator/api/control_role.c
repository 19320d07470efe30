/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control_role: the control role of a machine: server_run with what the machine's configuration says. PID 1
 * has laid the cluster's authority into the data directory and fenced the role in before. */
#include "base/init_proto.h"
#include "base/log.h"
#include "netstack/http/http.h"
#include "orchestrator/api/server_int.h"
#include "orchestrator/machine/machine.h"

#define CONTROL_DATA "/data/control"

int control_role_main(const struct machine_config *c);

static struct str
prefix_text(struct arena *a, const struct ip_prefix *p)
{
	char text[IP_TEXT_MAX];
	if (!ip_is_set(&p->addr))
		return STR("");
	size_t n = ip_prefix_format(p, text);
	return arena_str(a, str_from(text, n));
}

static struct str
ip_text(struct arena *a, const struct ip_addr *ip)
{
	char text[IP_TEXT_MAX];
	if (!ip_is_set(ip))
		return STR("");
	size_t n = ip_format(ip, text);
	return arena_str(a, str_from(text, n));
}

int
control_role_main(const struct machine_config *c)
{
	struct arena *a = arena_new(0);
	struct http_url url;
	struct ip_addr ip;
	if (!a)
		return 1;
	struct server_options o = {
		.data_dir = CONTROL_DATA,
		.listen = "[::]:6443",
		.service_cidr4 = prefix_text(a, &c->cluster.service4),
		.service_cidr6 = prefix_text(a, &c->cluster.service6),
		.pod_cidr4 = prefix_text(a, &c->cluster.pod4),
		.pod_cidr6 = prefix_text(a, &c->cluster.pod6),
		.cluster_dns4 = ip_text(a, &c->cluster.dns4),
		.cluster_dns6 = ip_text(a, &c->cluster.dns6),
		.cluster_domain = c->cluster.dns_domain,
		.machine = c->name,
		.server_url = c->cluster.endpoint,
		.bootstrap_token = c->cluster.bootstrap_token,
		.no_kubeconfig = !c->cluster.admin_kubeconfig,
		.init_fd = INIT_FD,
	};
	struct str *names = NULL, *ips = NULL;
	const struct str first[2] = {
		prefix_text(a, &c->cluster.service4), prefix_text(a, &c->cluster.service6)};
	if (http_url_parse(c->cluster.endpoint, &url) == 0) {
		struct str *slot = NULL;
		if (ip_parse(url.host, &ip) == 0) {
			slot = ARENA_PUSH(a, ips, o.n_server_ips);
			*(ip.family == 6 ? &o.advertise_ip6 : &o.advertise_ip4) = url.host;
		} else {
			slot = ARENA_PUSH(a, names, o.n_server_names);
		}
		if (slot)
			*slot = url.host;
	}
	/* the addresses of service `kubernetes` */
	for (size_t i = 0; i < 2; i++) {
		struct ip_prefix p;
		if (first[i].n == 0 || ip_prefix_parse(first[i], &p) < 0)
			continue;
		p = ip_prefix_masked(&p);
		p.addr.b[ip_size(&p.addr) - 1] |= 1;
		struct str *slot = ARENA_PUSH(a, ips, o.n_server_ips);
		if (slot)
			*slot = ip_text(a, &p.addr);
	}
	struct str *own = ARENA_PUSH(a, names, o.n_server_names);
	if (own)
		*own = c->name;
	o.server_ips = ips;
	o.server_names = names;
	int status = arena_failed(a) ? 1 : server_run(&o);
	arena_free(a);
	return status;
}
