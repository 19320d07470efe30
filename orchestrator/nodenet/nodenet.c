/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * nodenet: watches, and what is told to podnet and proxy. See nodenet.h.
 *
 *   change of a Service or slice -> its key is dirty -> at the end of the turn: mapped and set (proxy sends
 *   one batch for all). Until both informers have synced keys only collect; then proxy_sync, once.
 * The ports of a Service that were set are remembered by name, so that a port that goes is deleted at a cost that
 * does not depend on how many other Services there are. */
#include "orchestrator/nodenet/nodenet.h"

#include "base/disk.h"
#include "base/hash.h"
#include "base/log.h"
#include "orchestrator/nodenet/dns_role.h"
#include "orchestrator/nodenet/map.h"
#include "orchestrator/nodenet/netpol.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_NS NS_PER_SEC
#define KEY_MAX 200
enum { INDEX_SERVICE, ADDRS_MAX = 32 };

/* What proxy has of one key: how many host ports, or the names of a Service's ports, NUL behind each. */
struct told {
	size_t n;
	struct buf names;
};

struct nodenet {
	struct loop *loop;
	struct nodenet_config c;
	struct ip_addr addrs[ADDRS_MAX]; /* c.node_ips */
	struct proxy *proxy;
	struct netpol *policies;
	struct informer *nodes, *services, *slices;
	struct map dirty;     /* Service keys */
	struct map told;      /* Service key -> struct told */
	struct map hostports; /* pod key -> struct told */
	struct loop_work work;
	struct loop_timer retry;
	struct ip_addr own[2]; /* the name server's addresses */
	size_t n_own;
	char zone[128];
	bool live; /* proxy_sync has been called: no earlier rules to take over */
	bool all, hostports_known, nodes_swept, ready;
};

static void
told_free(struct told *t)
{
	if (t)
		buf_release(&t->names);
	free(t);
}

static void
work_soon(struct nodenet *a)
{
	loop_defer(a->loop, &a->work);
}

static void
again_later(struct nodenet *a)
{
	loop_timer_after(a->loop, &a->retry, RETRY_NS);
}

/* ---- Services ---- */

static void
mark(void *ctx, struct str key)
{
	struct nodenet *a = ctx;
	if (map_put(&a->dirty, key, a, NULL) < 0)
		a->all = true;
	work_soon(a);
}

static void
on_service(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	mark(arg, (new_ ? new_ : old)->key);
}

static void
slice_key(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	struct str name = map_slice_service(o->obj);
	_cleanup_buf_ struct buf key = BUF_INIT;
	buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(name));
	if (name.n && !key.failed)
		put(ctx, buf_view(&key));
}

static void
on_slice(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	if (old)
		slice_key(old, mark, arg);
	if (new_)
		slice_key(new_, mark, arg);
}

static bool
names_have(struct str names, struct str one)
{
	struct str name;
	while (str_next(&names, '\0', &name))
		if (name.n && str_eq(name, one))
			return true;
	return false;
}

/* service_told: `now` is set; what was set before and is no longer wanted is deleted. Takes the content of now. */
static int
service_told(struct nodenet *a, struct str key, struct buf *now)
{
	struct told *t = map_get(&a->told, key);
	struct str rest = t ? buf_view(&t->names) : STR_NONE, name;
	while (str_next(&rest, '\0', &name))
		if (name.n && !names_have(buf_view(now), name))
			proxy_service_del(a->proxy, name);
	if (!now->len) {
		told_free(map_del(&a->told, key));
		return 0;
	}
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t || map_put(&a->told, key, t, NULL) < 0) {
			free(t);
			return -ENOMEM;
		}
	}
	buf_release(&t->names);
	t->names = *now;
	*now = (struct buf)BUF_INIT;
	return 0;
}

static int
service_map(struct nodenet *a, struct arena *mem, const struct informer_obj *o,
	struct map_port **ret, size_t *ret_n)
{
	const struct discovery_v1_endpoint_slice **slices = NULL;
	const struct informer_obj *s;
	size_t n = 0;
	for (size_t pos = 0; (s = informer_index_next(a->slices, INDEX_SERVICE, o->key, &pos));) {
		const struct discovery_v1_endpoint_slice **slot = ARENA_PUSH(mem, slices, n);
		if (!slot)
			return -ENOMEM;
		*slot = s->obj;
	}
	struct map_input in = {o->ns, o->name, o->obj, slices, n};
	struct map_place at = {a->c.cfg->name, str_c(a->zone), a->own, a->n_own};
	return map_service(mem, &in, &at, ret, ret_n);
}

/* service_sync: the Service of the key, or what is left of it. -ENOMEM: to be tried again. */
static int
service_sync(struct nodenet *a, struct str key)
{
	const struct informer_obj *o = informer_get(a->services, key);
	_cleanup_buf_ struct buf now = BUF_INIT;
	struct arena *mem = arena_new(0);
	struct map_port *ports = NULL;
	size_t n = 0;
	int rc = mem ? 0 : -ENOMEM;
	if (rc == 0 && o)
		rc = service_map(a, mem, o, &ports, &n);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = proxy_service_set(a->proxy, ports[i].name, &ports[i].s);
		if (rc == -ENOMEM)
			break;
		if (rc < 0)
			log_warn("service port " STR_FMT ": %s", STR_ARG(ports[i].name),
				strerror(-rc));
		rc = 0;
		buf_str(&now, ports[i].name);
		buf_char(&now, '\0');
	}
	if (rc == 0)
		rc = now.failed ? -ENOMEM : service_told(a, key, &now);
	arena_free(mem);
	return rc;
}

static void
mark_all(struct nodenet *a)
{
	const struct informer_obj *o;
	struct str key;
	void *v;
	a->all = false;
	for (size_t pos = 0; (o = informer_next(a->services, &pos));)
		mark(a, o->key);
	for (size_t pos = 0; map_next(&a->told, &pos, &key, &v);)
		mark(a, key);
}

/* services_flush: 0 when nothing is left to be done, -ENOMEM. */
static int
services_flush(struct nodenet *a)
{
	struct str key;
	void *v;
	int rc = 0;
	if (a->all)
		mark_all(a);
	for (size_t pos = 0; rc == 0 && map_next(&a->dirty, &pos, &key, &v);) {
		rc = service_sync(a, key);
		if (rc == 0)
			map_del(&a->dirty, key);
	}
	return a->all ? -ENOMEM : rc;
}

/* ---- Nodes ---- */

/* proxy_ranges: who is inside, what is a Service's, where node ports are served. */
static int
proxy_ranges(struct nodenet *a, const struct core_v1_node *own)
{
	const typeof(((struct machine_config *)0)->cluster) *k = &a->c.cfg->cluster;
	const struct ip_prefix *const pods[] = {&k->pod4, &k->pod6};
	const struct ip_prefix *const vips[] = {&k->service4, &k->service6};
	struct ip_addr addrs[2 * ADDRS_MAX], said[ADDRS_MAX];
	struct ip_prefix inside[2], services[2];
	struct proxy_config c = {.inside = inside, .service_cidrs = services, .node_addrs = addrs};
	for (size_t i = 0; i < 2; i++) {
		if (ip_is_set(&pods[i]->addr))
			inside[c.n_inside++] = *pods[i];
		if (ip_is_set(&vips[i]->addr))
			services[c.n_service_cidrs++] = *vips[i];
	}
	c.n_node_addrs = a->c.n_node_ips;
	memcpy(addrs, a->addrs, sizeof(a->addrs));
	size_t n_said = own ? map_node_addrs(own, said, ADDRS_MAX) : 0;
	for (size_t i = 0; i < n_said; i++) {
		bool known = false;
		for (size_t j = 0; j < c.n_node_addrs; j++)
			known |= ip_eq(&addrs[j], &said[i]);
		if (!known)
			addrs[c.n_node_addrs++] = said[i];
	}
	return proxy_config_set(a->proxy, &c);
}

static int
own_node(struct nodenet *a, const struct core_v1_node *node)
{
	struct str zone = map_node_zone(node);
	if (!str_eq(zone, str_c(a->zone))) {
		str_copy_c(zone, a->zone, sizeof(a->zone));
		a->all = true; /* hints mean something else now */
		work_soon(a);
	}
	return proxy_ranges(a, node);
}

static bool
has_routes(const struct nodenet *a)
{
	return a->c.net && podnet_is_configured(a->c.net);
}

static int
node_apply(struct nodenet *a, const struct informer_obj *o, struct err *e)
{
	struct podnet_node n;
	char name[256];
	if (str_eq(o->name, a->c.cfg->name))
		return own_node(a, o->obj);
	if (!has_routes(a) || !str_copy_c(o->name, name, sizeof(name)))
		return 0;
	map_node(o->obj, &n);
	return podnet_node_set(a->c.net, name, &n, e);
}

/* nodes_apply: all of them; unchanged ones cost nothing. False: to be done again. */
static bool
nodes_apply(struct nodenet *a)
{
	const struct informer_obj *o;
	struct err e = {0};
	int rc = 0;
	for (size_t pos = 0; (o = informer_next(a->nodes, &pos));) {
		int one = node_apply(a, o, &e);
		rc = one < 0 ? one : rc;
	}
	if (rc == 0 && has_routes(a) && !a->nodes_swept && informer_synced(a->nodes)) {
		rc = podnet_nodes_synced(a->c.net, &e);
		a->nodes_swept = rc == 0;
	}
	if (rc < 0)
		log_warn("routes to nodes: %s", e.code ? e.msg : strerror(-rc));
	return rc == 0 && (a->nodes_swept || !a->c.net);
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct nodenet *a = arg;
	struct err e = {0};
	char name[256];
	int rc = 0;
	if (new_)
		rc = node_apply(a, new_, &e);
	else if (a->c.net && str_copy_c(old->name, name, sizeof(name)))
		rc = podnet_node_del(a->c.net, name, &e);
	if (rc < 0) {
		log_warn("node " STR_FMT ": %s", STR_ARG((new_ ? new_ : old)->name),
			e.code ? e.msg : strerror(-rc));
		again_later(a);
	}
}

void
nodenet_podnet_configured(struct nodenet *a)
{
	if (!nodes_apply(a))
		again_later(a);
}

/* ---- once all is known ---- */

static void
on_work(struct loop_work *w)
{
	struct nodenet *a = w->arg;
	struct err e = {0};
	if (!informer_synced(a->services) || !informer_synced(a->slices))
		return;
	int rc = services_flush(a);
	if (rc < 0)
		err_errno(&e, rc, "mapping");
	if (rc == 0 &&
		(a->ready || !informer_synced(a->nodes) ||
			(a->c.wait_hostports && !a->hostports_known)))
		return;
	if (rc == 0)
		rc = a->live ? proxy_flush(a->proxy, &e) : proxy_sync(a->proxy, &e);
	if (rc < 0) {
		log_warn("services: %s", e.msg);
		again_later(a);
		return;
	}
	a->ready = a->live = true;
	log_info("services: %zu in the kernel", informer_len(a->services));
	if (a->c.on_ready)
		a->c.on_ready(a->c.arg);
}

static void
on_retry(struct loop_timer *t)
{
	work_soon(t->arg);
	nodenet_podnet_configured(t->arg);
}

static void
on_synced(void *arg)
{
	work_soon(arg);
}

static void
on_nodes_synced(void *arg)
{
	work_soon(arg);
	nodenet_podnet_configured(arg);
}

static void
on_proxy_error(void *arg, const struct err *e)
{
	(void)arg;
	log_warn("services: %s", e->msg);
}

/* ---- host ports ---- */

/* hostport_name: "<key>/<i>". */
static struct str
hostport_name(char out[KEY_MAX + 24], struct str key, size_t i)
{
	int n = snprintf(out, KEY_MAX + 24, STR_FMT "/%zu", STR_ARG(key), i);
	return str_from(out, (size_t)n);
}

int
nodenet_hostports_set(
	struct nodenet *a, struct str key, const struct proxy_hostport *ports, size_t n)
{
	struct told *t = map_get(&a->hostports, key);
	char name[KEY_MAX + 24];
	int rc = 0;
	if (key.n == 0 || key.n > KEY_MAX)
		return -EINVAL;
	if (!t && n) {
		t = calloc(1, sizeof(*t));
		if (!t || map_put(&a->hostports, key, t, NULL) < 0) {
			free(t);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = proxy_hostport_set(a->proxy, hostport_name(name, key, i), &ports[i]);
		if (rc == 0 && i >= t->n)
			t->n = i + 1;
	}
	for (size_t i = n; rc == 0 && t && i < t->n; i++)
		proxy_hostport_del(a->proxy, hostport_name(name, key, i));
	if (rc == 0 && t)
		t->n = n;
	if (t && t->n == 0)
		told_free(map_del(&a->hostports, key));
	return rc;
}

static int
hostports_of(struct nodenet *a, struct str key, const struct core_v1_pod_spec *s,
	const struct ip_addr *ips, size_t n_ips)
{
	struct arena *mem = arena_new(0);
	struct proxy_hostport *ports = NULL;
	size_t n = 0;
	int rc = mem ? map_hostports(mem, s, ips, n_ips, &ports, &n) : -ENOMEM;
	if (rc == 0)
		rc = nodenet_hostports_set(a, key, ports, n);
	arena_free(mem);
	return rc;
}

/* ---- pods of this node ---- */

int
nodenet_pod_set(struct nodenet *a, struct str key, const struct core_v1_pod *pod,
	const struct ip_addr *ips, size_t n_ips)
{
	int rc = hostports_of(a, key, &pod->spec, ips, n_ips);
	return rc == 0 ? netpol_pod_set(a->policies, key, pod, ips, n_ips) : rc;
}

void
nodenet_pod_del(struct nodenet *a, struct str key)
{
	nodenet_hostports_set(a, key, NULL, 0);
	netpol_pod_del(a->policies, key);
}

void
nodenet_pods_synced(struct nodenet *a)
{
	a->hostports_known = true;
	netpol_pods_synced(a->policies);
	work_soon(a);
}

bool
nodenet_policies_hold(const struct nodenet *a, struct str key)
{
	return netpol_holds(a->policies, key);
}

/* ---- life ---- */

static int
watch_all(struct nodenet *a)
{
	const struct {
		struct informer **at;
		struct informer_spec spec;
	} rows[] = {
		{&a->nodes,
			{.resource = STR("nodes"),
				.type = SCHEMA_TYPE_OF(core_v1_node),
				.on_change = on_node,
				.on_synced = on_nodes_synced}},
		{&a->services,
			{.resource = STR("services"),
				.type = SCHEMA_TYPE_OF(core_v1_service),
				.on_change = on_service,
				.on_synced = on_synced}},
		/* Slices of headless Services are the name server's business. */
		{&a->slices,
			{.group = STR("discovery.k8s.io"),
				.resource = STR("endpointslices"),
				.label_selector = STR("!service.kubernetes.io/headless"),
				.type = SCHEMA_TYPE_OF(discovery_v1_endpoint_slice),
				.on_change = on_slice,
				.on_synced = on_synced}},
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++) {
		struct informer_spec spec = rows[i].spec;
		spec.version = STR("v1");
		spec.arg = a;
		rc = informer_new(a->c.client, &spec, rows[i].at);
	}
	return rc < 0 ? rc : informer_add_index(a->slices, INDEX_SERVICE, slice_key);
}

static void
addrs_take(struct nodenet *a, const struct ip_addr *ips, size_t n)
{
	a->c.n_node_ips = n < ADDRS_MAX ? n : ADDRS_MAX;
	for (size_t i = 0; i < a->c.n_node_ips; i++)
		a->addrs[i] = ips[i];
}

void
nodenet_addresses_set(struct nodenet *a, const struct ip_addr *ips, size_t n)
{
	const struct informer_obj *own = informer_get(a->nodes, a->c.cfg->name);
	addrs_take(a, ips, n);
	int rc = proxy_ranges(a, own ? own->obj : NULL);
	if (rc < 0) {
		log_warn("addresses of node ports: %s", strerror(-rc));
		again_later(a);
	}
}

static void
config_take(struct nodenet *a, const struct nodenet_config *c)
{
	a->c = *c;
	a->loop = c->client->loop;
	addrs_take(a, c->node_ips, c->n_node_ips);
	if (ip_is_set(&c->cfg->cluster.dns4))
		a->own[a->n_own++] = c->cfg->cluster.dns4;
	if (ip_is_set(&c->cfg->cluster.dns6))
		a->own[a->n_own++] = c->cfg->cluster.dns6;
}

int
nodenet_new(const struct nodenet_config *c, struct nodenet **ret, struct err *e)
{
	struct nodenet *a = calloc(1, sizeof(*a));
	if (!a)
		return err_errno(e, -ENOMEM, "services");
	config_take(a, c);
	map_init(&a->dirty);
	map_init(&a->told);
	map_init(&a->hostports);
	a->work = (struct loop_work){.fn = on_work, .arg = a};
	a->retry = (struct loop_timer){.fn = on_retry, .arg = a};
	int rc = proxy_open(a->loop, NULL, on_proxy_error, a, &a->proxy, e);
	if (rc == 0 && (rc = proxy_ranges(a, NULL)) < 0)
		err_errno(e, rc, "ranges of the service proxy");
	/* No rules yet: host ports of pods need not wait for the API. */
	a->live = rc == 0 && !proxy_found_state(a->proxy);
	if (a->live)
		rc = proxy_sync(a->proxy, e);
	if (rc == 0 && (rc = watch_all(a)) < 0)
		err_errno(e, rc, "watching services");
	if (rc == 0)
		rc = netpol_new(a->c.client, c->on_policies, c->arg, &a->policies, e);
	if (rc < 0) {
		nodenet_free(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void
nodenet_free(struct nodenet *a)
{
	struct str key;
	void *v;
	if (!a)
		return;
	loop_defer_cancel(&a->work);
	loop_timer_cancel(&a->retry);
	netpol_free(a->policies);
	informer_free(a->slices);
	informer_free(a->services);
	informer_free(a->nodes);
	for (size_t pos = 0; map_next(&a->told, &pos, &key, &v);)
		told_free(v);
	for (size_t pos = 0; map_next(&a->hostports, &pos, &key, &v);)
		told_free(v);
	map_release(&a->told);
	map_release(&a->hostports);
	map_release(&a->dirty);
	if (a->proxy)
		proxy_close(a->proxy);
	free(a);
}

/* ---- for the dns role ---- */

/* credentials_write: a new file, given to its reader before it gets its name: it is never seen half done or
 * unreadable. Not synced: a reboot makes a new /run. */
static int
credentials_write(const char *path, uid_t owner, struct str pem)
{
	char temp[200];
	snprintf(temp, sizeof(temp), "%s.new", path);
	unlink(temp);
	_cleanup_fd_ int fd = open(
		temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	if (fd < 0)
		return -errno;
	while (pem.n) {
		ssize_t n = write(fd, pem.p, pem.n);
		if (n < 0)
			return -errno;
		pem = str_sub(pem, (size_t)n, SIZE_MAX);
	}
	return fchown(fd, owner, owner) < 0 || rename(temp, path) < 0 ? -errno : 0;
}

int
nodenet_dns_credentials(struct str pem, struct err *e)
{
	int rc = disk_mkdirs(DNS_ROLE_DIR, 0755);
	if (rc == 0)
		rc = credentials_write(DNS_ROLE_CREDENTIALS, DNS_ROLE_UID, pem);
	return rc < 0 ? err_errno(e, rc, "credentials for the name server") : 0;
}
