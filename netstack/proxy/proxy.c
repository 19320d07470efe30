/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The proxy's front door: services and host ports by name, kept as descriptions of their own, and the
 * node's ranges and addresses. What a description means is in service.c and fronts.c. Contracts in
 * proxy.h. */
#include "netstack/proxy/proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <linux/netlink.h>

#include "netstack/proxy/proxy_int.h"

int
proxy_open(struct loop *l, const char *table, void (*on_error)(void *arg, const struct err *e),
	void *arg, struct proxy **ret, struct err *e)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int code = 0;

	if (p == NULL)
		return err_set(e, -ENOMEM, R_UNKNOWN, "no memory for the service proxy");
	p->loop = l;
	p->on_error = on_error;
	p->arg = arg;
	p->sock.fd = -1;
	map_init(&p->services);
	map_init(&p->fronts);
	map_init(&p->hairpins);
	map_init(&p->sids);
	map_init(&p->udp_removed);
	proxy_init(p);
	if (!str_copy_c(
		    str_c(table != NULL ? table : "keelson-services"), p->table, sizeof(p->table)))
		code = err_set(e, -EINVAL, R_UNKNOWN, "table name '%s' is too long", table);
	if (code == 0 && (code = nl_open(&p->sock, NETLINK_NETFILTER)) < 0)
		err_errno(e, code, "opening a netfilter socket");
	if (code == 0)
		code = proxy_sync_init(p, e);
	if (code < 0) {
		proxy_close(p);
		return code;
	}
	*ret = p;
	return 0;
}

static void
free_all(struct proxy *p, struct map *m)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	while (map_next(m, &pos, &key, &value))
		svc_free(p, value);
}

void
proxy_close(struct proxy *p)
{
	if (p == NULL)
		return;
	p->live = false; /* nothing of what follows is for the kernel */
	p->n_conflicts = 0;
	free_all(p, &p->services);
	loop_defer_cancel(&p->work);
	loop_timer_cancel(&p->retry);
	if (p->sock.fd >= 0)
		nl_close(&p->sock);
	map_release(&p->services);
	map_release(&p->fronts);
	map_release(&p->hairpins);
	map_release(&p->sids);
	map_release(&p->udp_removed);
	nl_batch_release(&p->batch);
	free(p->times);
	free(p->inside);
	free(p->cidrs);
	free(p->nodes);
	free(p);
}

bool
proxy_found_state(const struct proxy *p)
{
	return p->found;
}

/* ---- configuration ---- */

/* Replaces *have by a copy of want when they differ; ret_changed tells. 0 or -ENOMEM. */
static int
replace(void **have, size_t *n_have, const void *want, size_t n, size_t size, bool *ret_changed)
{
	void *copy = NULL;

	if (*n_have == n && (n == 0 || memcmp(*have, want, n * size) == 0))
		return 0;
	copy = calloc(n + 1, size);
	if (copy == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, want, n * size);
	free(*have);
	*have = copy;
	*n_have = n;
	*ret_changed = true;
	return 0;
}

int
proxy_config_set(struct proxy *p, const struct proxy_config *c)
{
	bool ranges = false, nodes = false;
	struct str key = STR_NONE;
	struct nl_batch *b = NULL;
	void *value = NULL;
	size_t pos = 0;
	int code = replace((void **)&p->inside, &p->n_inside, c->inside, c->n_inside,
		sizeof(*p->inside), &ranges);

	if (code == 0)
		code = replace((void **)&p->cidrs, &p->n_cidrs, c->service_cidrs,
			c->n_service_cidrs, sizeof(*p->cidrs), &ranges);
	if (code == 0)
		code = replace((void **)&p->nodes, &p->n_nodes, c->node_addrs, c->n_node_addrs,
			sizeof(*p->nodes), &nodes);
	if (ranges && (b = proxy_batch(p)) != NULL)
		chains_ranges(p, b);
	while (nodes && code == 0 && map_next(&p->services, &pos, &key, &value)) {
		struct svc *s = value;

		if (s->is_hostport || s->want.node_port != 0)
			code = fronts_apply(p, s);
	}
	if (nodes)
		fronts_reclaim(p);
	return code;
}

/* ---- services ---- */

/* A copy of the description, its arrays in one block (owned by the caller). */
static int
copy_service(const struct proxy_service *s, struct proxy_service *ret, void **ret_block)
{
	const struct {
		const void *from;
		size_t n, size;
		size_t to; /* offset of the pointer in struct proxy_service */
	} parts[] = {
		{s->cluster_ips, s->n_cluster_ips, sizeof(struct ip_addr),
			offsetof(struct proxy_service, cluster_ips)},
		{s->external_ips, s->n_external_ips, sizeof(struct ip_addr),
			offsetof(struct proxy_service, external_ips)},
		{s->lb_ips, s->n_lb_ips, sizeof(struct ip_addr),
			offsetof(struct proxy_service, lb_ips)},
		{s->lb_source_ranges, s->n_lb_source_ranges, sizeof(struct ip_prefix),
			offsetof(struct proxy_service, lb_source_ranges)},
		{s->endpoints, s->n_endpoints, sizeof(struct proxy_endpoint),
			offsetof(struct proxy_service, endpoints)},
	};
	size_t total = 16, at = 0;
	char *block = NULL;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		total += (parts[i].n * parts[i].size + 7) & ~(size_t)7;
	block = calloc(1, total);
	if (block == NULL)
		return -ENOMEM;
	*ret = *s;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const void *to = block + at;

		if (parts[i].n > 0)
			memcpy(block + at, parts[i].from, parts[i].n * parts[i].size);
		memcpy((char *)ret + parts[i].to, &to, sizeof(to));
		at += (parts[i].n * parts[i].size + 7) & ~(size_t)7;
	}
	*ret_block = block;
	return 0;
}

static struct str
key_of(struct buf *b, char kind, struct str name)
{
	buf_char(b, kind);
	buf_str(b, name);
	buf_char(b, '\0');
	return b->failed ? STR_NONE : str_from(b->data, b->len - 1);
}

static struct svc *
svc_find_or_make(struct proxy *p, char kind, struct str name)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str key = key_of(&b, kind, name);
	struct svc *s = str_is_set(key) ? map_get(&p->services, key) : NULL;

	if (s != NULL || !str_is_set(key))
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL || map_put(&p->services, key, s, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->key = TAKE_PTR(b.data);
	b = (struct buf)BUF_INIT;
	s->is_hostport = kind == 'h';
	p->stats.services += kind == 's';
	return s;
}

static bool
same_ranges(const struct proxy_service *a, const struct proxy_service *b)
{
	return a->n_lb_source_ranges == b->n_lb_source_ranges &&
		(a->n_lb_source_ranges == 0 ||
			memcmp(a->lb_source_ranges, b->lb_source_ranges,
				a->n_lb_source_ranges * sizeof(*a->lb_source_ranges)) == 0);
}

static int
service_put(struct proxy *p, char kind, struct str name, const struct proxy_service *want,
	const struct ip_addr *host_ip)
{
	struct proxy_service copy = {0};
	struct svc *s = NULL;
	void *block = NULL;
	int code = 0;

	if ((want->proto != IPPROTO_TCP && want->proto != IPPROTO_UDP &&
		    want->proto != IPPROTO_SCTP) ||
		want->port == 0)
		return -EINVAL;
	s = svc_find_or_make(p, kind, name);
	if (s == NULL || copy_service(want, &copy, &block) < 0)
		return -ENOMEM;
	/* elements of the old protocol and ranges are taken out while the old description is there */
	if (s->block != NULL && (s->want.proto != copy.proto || !same_ranges(&s->want, &copy)))
		fronts_drop(p, s);
	free(s->block);
	s->want = copy;
	s->block = block;
	s->host_ip = host_ip != NULL ? *host_ip : (struct ip_addr){0};
	code = svc_apply(p, s);
	fronts_reclaim(p);
	return code;
}

int
proxy_service_set(struct proxy *p, struct str name, const struct proxy_service *s)
{
	return service_put(p, 's', name, s, NULL);
}

int
proxy_hostport_set(struct proxy *p, struct str name, const struct proxy_hostport *h)
{
	const uint32_t flags = PROXY_EP_LOCAL | PROXY_EP_READY;
	struct proxy_endpoint eps[2];
	struct proxy_service s = {.proto = h->proto, .port = h->host_port, .endpoints = eps};

	if (ip_is_set(&h->pod4))
		eps[s.n_endpoints++] = (struct proxy_endpoint){h->pod4, h->pod_port, flags};
	if (ip_is_set(&h->pod6))
		eps[s.n_endpoints++] = (struct proxy_endpoint){h->pod6, h->pod_port, flags};
	return service_put(p, 'h', name, &s, &h->host_ip);
}

static void
service_del(struct proxy *p, char kind, struct str name)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str key = key_of(&b, kind, name);
	struct svc *s = str_is_set(key) ? map_del(&p->services, key) : NULL;

	if (s == NULL)
		return;
	p->stats.services -= kind == 's';
	svc_free(p, s);
	fronts_reclaim(p);
}

void
proxy_service_del(struct proxy *p, struct str name)
{
	service_del(p, 's', name);
}

void
proxy_hostport_del(struct proxy *p, struct str name)
{
	service_del(p, 'h', name);
}

void
proxy_services(struct proxy *p, void (*fn)(void *arg, struct str name), void *arg)
{
	struct str key = STR_NONE;
	void *value = NULL;
	size_t pos = 0;

	while (map_next(&p->services, &pos, &key, &value))
		if (!((struct svc *)value)->is_hostport)
			fn(arg, str_sub(str_c(((struct svc *)value)->key), 1, SIZE_MAX));
}

int
proxy_remove(struct proxy *p, struct err *e)
{
	_cleanup_nl_batch_ struct nl_batch b;
	int code = 0;

	nl_batch_init(&b);
	nft_begin(&b);
	nft_table_add(&b, p->table, 0);
	nft_table_del(&b, p->table);
	nft_end(&b);
	code = nl_commit(&p->sock, &b, NULL, e);
	if (code < 0)
		return err_wrap(e, "removing the service rules"), code;
	nl_batch_clear(&p->batch);
	p->live = p->synced = p->found = false;
	return 0;
}

void
proxy_stats_get(const struct proxy *p, struct proxy_stats *ret)
{
	*ret = p->stats;
}
