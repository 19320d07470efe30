/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * netpol: watches, and what is told to netstack/policy. See netpol.h. */
#include "orchestrator/nodenet/netpol.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "orchestrator/nodenet/map_policy.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"
#include "kinds/networking_v1.h"
#include "kinds/projections_v1.h"

#include <errno.h>
#include <stdlib.h>

enum { REST_FACTOR = 20, REST_FACTOR_WAITED_FOR = 1 };
#define RETRY_NS NS_PER_SEC
#define REST_MAX_NS NS_PER_SEC

/* A pod of this node as the kubelet told it; a holds all of it. */
struct local_pod {
	struct arena *a;
	struct str key; /* "ns/name" */
	struct map_pod view;
	bool holds;
};
struct netpol {
	struct loop *loop;
	struct client *client;
	struct policy *kernel;
	struct informer *policies;
	struct informer *pods, *namespaces; /* NULL while there is no policy */
	struct map local;                   /* uid -> struct local_pod */
	struct loop_work work;
	struct loop_timer again;
	int64_t done_ns, took_ns; /* the last time it was worked out */
	bool found, pods_synced;
	bool known;   /* it was worked out once */
	bool waiting; /* a local pod does not hold */
	void (*on_holds)(void *arg, struct str uid);
	void *arg;
};

static void
work_soon(struct netpol *p)
{
	loop_defer(p->loop, &p->work);
}

static void
on_synced(void *arg)
{
	work_soon(arg);
}

/* ---- what counts of an object ---- */

static bool
pod_counts(const struct pod_peer *p)
{
	return !p->spec.host_network && p->status.n_pod_ips &&
		!str_eq(p->status.phase, STR("Succeeded")) &&
		!str_eq(p->status.phase, STR("Failed"));
}

static bool
pairs_eq(const struct str_pair *x, size_t n_x, const struct str_pair *y, size_t n_y)
{
	bool same = n_x == n_y;
	for (size_t i = 0; same && i < n_x; i++)
		same = str_eq(x[i].key, y[i].key) && str_eq(x[i].value, y[i].value);
	return same;
}

static bool
pod_same(const struct pod_peer *x, const struct pod_peer *y)
{
	bool same = str_eq(x->metadata.uid, y->metadata.uid) && pod_counts(x) == pod_counts(y) &&
		x->status.n_pod_ips == y->status.n_pod_ips &&
		pairs_eq(x->metadata.labels, x->metadata.n_labels, y->metadata.labels,
			y->metadata.n_labels);
	for (size_t i = 0; same && i < x->status.n_pod_ips; i++)
		same = str_eq(x->status.pod_ips[i].ip, y->status.pod_ips[i].ip);
	return same;
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	if (!old || !new_ || !pod_same(old->obj, new_->obj))
		work_soon(arg);
}

static void
on_namespace(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	const struct namespace_labels *x = old ? old->obj : NULL, *y = new_ ? new_->obj : NULL;
	if (!x || !y ||
		!pairs_eq(x->metadata.labels, x->metadata.n_labels, y->metadata.labels,
			y->metadata.n_labels))
		work_soon(arg);
}

static void
on_policy(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)old;
	(void)new_;
	work_soon(arg);
}

/* ---- views ---- */

static int
port_put(
	struct arena *a, const struct core_v1_container_port *p, struct map_pod_port **v, size_t *n)
{
	if (p->container_port < 1 || p->container_port > UINT16_MAX)
		return 0;
	struct map_pod_port *slot = ARENA_PUSH(a, *v, *n);
	if (!slot)
		return -ENOMEM;
	*slot = (struct map_pod_port){
		arena_str(a, p->name), map_proto(p->protocol), (uint16_t)p->container_port};
	return 0;
}

/* PORTS_OF: the ports of containers and sidecars, of a pod or its projection: the structs differ, their members do
 * not. */
#define PORTS_OF(a, spec, v, n)                                                                    \
	do {                                                                                       \
		for (size_t i_ = 0; i_ < (spec)->n_init_containers; i_++)                          \
			for (size_t k_ = 0; str_eq((spec)->init_containers[i_].restart_policy,     \
						    STR("Always")) &&                              \
				k_ < (spec)->init_containers[i_].n_ports;                          \
				k_++)                                                              \
				port_put(a, &(spec)->init_containers[i_].ports[k_], v, n);         \
		for (size_t i_ = 0; i_ < (spec)->n_containers; i_++)                               \
			for (size_t k_ = 0; k_ < (spec)->containers[i_].n_ports; k_++)             \
				port_put(a, &(spec)->containers[i_].ports[k_], v, n);              \
	} while (0)

static void
peer_view(struct arena *a, const struct informer_obj *o, struct map_pod *ret)
{
	const struct pod_peer *p = o->obj;
	struct map_pod_port *ports = NULL;
	size_t n = 0;
	*ret = (struct map_pod){
		.ns = o->ns, .labels = p->metadata.labels, .n_labels = p->metadata.n_labels};
	for (size_t i = 0; i < p->status.n_pod_ips && ret->n_ips < ARRAY_LEN(ret->ips); i++)
		ret->n_ips += ip_parse(p->status.pod_ips[i].ip, &ret->ips[ret->n_ips]) == 0;
	PORTS_OF(a, &p->spec, &ports, &n);
	ret->ports = ports;
	ret->n_ports = n;
}

/* local_view: labels may have changed since the kubelet told of the pod. */
static struct map_pod
local_view(struct netpol *p, const struct local_pod *l, struct str uid)
{
	const struct informer_obj *o = informer_get(p->pods, l->key);
	struct map_pod view = l->view;
	if (o && str_eq(o->uid, uid)) {
		const struct pod_peer *peer = o->obj;
		view.labels = peer->metadata.labels;
		view.n_labels = peer->metadata.n_labels;
	}
	return view;
}

static int
pods_view(struct netpol *p, struct arena *a, struct map_policy_input *in)
{
	struct map_pod *v = ARENA_ARRAY(
		a, struct map_pod, informer_len(p->pods) + map_len(&p->local) + 1);
	const struct informer_obj *o;
	struct str uid;
	void *l;
	size_t n = 0;
	if (!v)
		return -ENOMEM;
	for (size_t pos = 0; map_next(&p->local, &pos, &uid, &l);)
		v[n++] = local_view(p, l, uid);
	for (size_t pos = 0; (o = informer_next(p->pods, &pos));)
		if (pod_counts(o->obj) && !map_get(&p->local, o->uid))
			peer_view(a, o, &v[n++]);
	in->pods = v;
	in->n_pods = n;
	return arena_failed(a) ? -ENOMEM : 0;
}

static int
others_view(struct netpol *p, struct arena *a, struct map_policy_input *in)
{
	const struct networking_v1_network_policy **policies = ARENA_ARRAY(
		a, const struct networking_v1_network_policy *, informer_len(p->policies) + 1);
	struct map_ns *ns = ARENA_ARRAY(a, struct map_ns, informer_len(p->namespaces) + 1);
	const struct informer_obj *o;
	if (!policies || !ns)
		return -ENOMEM;
	for (size_t pos = 0; (o = informer_next(p->policies, &pos));)
		policies[in->n_policies++] = o->obj;
	for (size_t pos = 0; (o = informer_next(p->namespaces, &pos));) {
		const struct namespace_labels *n = o->obj;
		ns[in->n_namespaces++] = (struct map_ns){
			o->name, n->metadata.labels, n->metadata.n_labels};
	}
	in->policies = policies;
	in->namespaces = ns;
	return 0;
}

/* ---- the work ---- */

static int
apply(struct netpol *p)
{
	struct arena *a = arena_new((size_t)1 << 30);
	struct map_policy_input in = {0};
	struct policy_state s = {0};
	struct err e = {0};
	int rc = a ? 0 : -ENOMEM;
	if (rc == 0 && p->pods) {
		rc = pods_view(p, a, &in);
		rc = rc == 0 ? others_view(p, a, &in) : rc;
		rc = rc == 0 ? map_policies(a, &in, &s) : rc;
	}
	if (rc == 0)
		rc = policy_set(p->kernel, &s);
	arena_free(a);
	if (rc == 0 && policy_flush(p->kernel, &e) < 0) {
		log_warn("%s", e.msg);
		return -EAGAIN;
	}
	if (rc < 0)
		log_warn("network policies: %s", strerror(-rc));
	return rc;
}

static int
choices_watch(struct netpol *p)
{
	struct informer_spec pods = {.version = STR("v1"),
		.resource = STR("pods"),
		.type = SCHEMA_TYPE_OF(pod_peer),
		.on_change = on_pod,
		.on_synced = on_synced,
		.arg = p};
	struct informer_spec namespaces = {.version = STR("v1"),
		.resource = STR("namespaces"),
		.type = SCHEMA_TYPE_OF(namespace_labels),
		.on_change = on_namespace,
		.on_synced = on_synced,
		.arg = p};
	int rc = p->pods ? 0 : informer_new(p->client, &pods, &p->pods);
	if (rc == 0 && !p->namespaces)
		rc = informer_new(p->client, &namespaces, &p->namespaces);
	return rc;
}

static void
choices_forget(struct netpol *p)
{
	informer_free(p->pods);
	informer_free(p->namespaces);
	p->pods = p->namespaces = NULL;
}

/* ready: is all known that decides? Starts to watch what policies choose among when there are some. */
static bool
ready(struct netpol *p, int *rc)
{
	if (!informer_synced(p->policies))
		return false;
	if (!informer_len(p->policies)) {
		choices_forget(p);
		return true;
	}
	*rc = choices_watch(p);
	return *rc == 0 && informer_synced(p->pods) && informer_synced(p->namespaces) &&
		(!p->found || p->pods_synced);
}

/* all_hold: what on_holds does of it must not set or remove pods. */
static void
all_hold(struct netpol *p)
{
	struct str uid;
	void *v;
	p->known = true;
	if (!p->waiting)
		return;
	p->waiting = false;
	for (size_t pos = 0; map_next(&p->local, &pos, &uid, &v);) {
		struct local_pod *l = v;
		bool held = l->holds;
		l->holds = true;
		if (!held && p->on_holds)
			p->on_holds(p->arg, uid);
	}
}

static int64_t
rest_left_ns(const struct netpol *p, int64_t now_ns)
{
	int64_t rest_ns = p->took_ns * (p->waiting ? REST_FACTOR_WAITED_FOR : REST_FACTOR);
	return p->done_ns + (rest_ns < REST_MAX_NS ? rest_ns : REST_MAX_NS) - now_ns;
}

static void
on_work(struct loop_work *w)
{
	struct netpol *p = w->arg;
	int64_t begun_ns = clock_mono_ns(), left_ns = rest_left_ns(p, begun_ns);
	int rc = 0;
	if (left_ns > 0) {
		loop_timer_after(p->loop, &p->again, left_ns);
		return;
	}
	if (!ready(p, &rc) && rc == 0)
		return;
	if (rc < 0)
		log_warn("network policies: %s", strerror(-rc));
	else
		rc = apply(p);
	if (rc < 0) {
		loop_timer_after(p->loop, &p->again, RETRY_NS);
		return;
	}
	p->done_ns = clock_mono_ns();
	p->took_ns = p->done_ns - begun_ns;
	all_hold(p);
}

static void
on_again(struct loop_timer *t)
{
	work_soon(t->arg);
}

static void
on_kernel_error(void *arg, const struct err *e)
{
	(void)arg;
	log_warn("%s", e->msg);
}

/* ---- pods of this node ---- */

static void
local_free(struct local_pod *l)
{
	if (l)
		arena_free(l->a);
}

static struct str_pair *
pairs_copy(struct arena *a, const struct str_pair *v, size_t n)
{
	struct str_pair *copy = ARENA_ARRAY(a, struct str_pair, n + 1);
	for (size_t i = 0; copy && i < n; i++)
		copy[i] = (struct str_pair){arena_str(a, v[i].key), arena_str(a, v[i].value)};
	return copy;
}

static struct local_pod *
local_new(const struct core_v1_pod *pod, const struct ip_addr *ips, size_t n_ips)
{
	struct arena *a = arena_new(0);
	struct local_pod *l = a ? ARENA_NEW(a, struct local_pod) : NULL;
	struct map_pod_port *ports = NULL;
	const struct meta_v1_object_meta *m = &pod->metadata;
	size_t n = 0;
	if (l) {
		*l = (struct local_pod){.a = a,
			.key = arena_fmt(
				a, STR_FMT "/" STR_FMT, STR_ARG(m->namespace), STR_ARG(m->name)),
			.view = {.ns = arena_str(a, m->namespace),
				.labels = pairs_copy(a, m->labels, m->n_labels),
				.n_labels = m->n_labels,
				.local = true}};
		for (size_t i = 0; i < n_ips && i < ARRAY_LEN(l->view.ips); i++)
			l->view.ips[l->view.n_ips++] = ips[i];
		PORTS_OF(a, &pod->spec, &ports, &n);
		l->view.ports = ports;
		l->view.n_ports = n;
	}
	if (l && !arena_failed(a))
		return l;
	arena_free(a);
	return NULL;
}

/* holds_at_once: of a pod that was not set before: an earlier process saw to it, or there is no policy. */
static bool
holds_at_once(const struct netpol *p)
{
	return p->known ? !informer_len(p->policies) : p->found && !p->pods_synced;
}

int
netpol_pod_set(struct netpol *p, struct str uid, const struct core_v1_pod *pod,
	const struct ip_addr *ips, size_t n_ips)
{
	void *old = NULL;
	if (pod->spec.host_network || !n_ips)
		return 0;
	struct local_pod *l = local_new(pod, ips, n_ips);
	if (!l || map_put(&p->local, uid, l, &old) < 0) {
		local_free(l);
		return -ENOMEM;
	}
	l->holds = old ? ((struct local_pod *)old)->holds : holds_at_once(p);
	p->waiting |= !l->holds;
	local_free(old);
	work_soon(p);
	return 0;
}

void
netpol_pod_del(struct netpol *p, struct str uid)
{
	struct local_pod *l = map_del(&p->local, uid);
	if (l)
		work_soon(p);
	local_free(l);
}

void
netpol_pods_synced(struct netpol *p)
{
	p->pods_synced = true;
	work_soon(p);
}

bool
netpol_holds(const struct netpol *p, struct str uid)
{
	const struct local_pod *l = map_get(&p->local, uid);
	return l && l->holds;
}

void
netpol_stats_get(const struct netpol *p, struct policy_stats *ret)
{
	policy_stats_get(p->kernel, ret);
}

/* ---- life ---- */

int
netpol_new(struct client *c, void (*on_holds)(void *arg, struct str uid), void *arg,
	struct netpol **ret, struct err *e)
{
	struct netpol *p = calloc(1, sizeof(*p));
	if (!p)
		return err_errno(e, -ENOMEM, "network policies");
	p->loop = c->loop;
	p->client = c;
	p->on_holds = on_holds;
	p->arg = arg;
	map_init(&p->local);
	p->work = (struct loop_work){.fn = on_work, .arg = p};
	p->again = (struct loop_timer){.fn = on_again, .arg = p};
	int rc = policy_open(p->loop, NULL, on_kernel_error, NULL, &p->kernel, e);
	if (rc == 0) {
		struct informer_spec spec = {.group = STR("networking.k8s.io"),
			.version = STR("v1"),
			.resource = STR("networkpolicies"),
			.type = SCHEMA_TYPE_OF(networking_v1_network_policy),
			.on_change = on_policy,
			.on_synced = on_synced,
			.arg = p};
		p->found = policy_found_state(p->kernel);
		rc = informer_new(c, &spec, &p->policies);
		if (rc < 0)
			err_errno(e, rc, "watching network policies");
	}
	if (rc < 0) {
		netpol_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void
netpol_free(struct netpol *p)
{
	struct str key;
	void *v;
	if (!p)
		return;
	loop_defer_cancel(&p->work);
	loop_timer_cancel(&p->again);
	informer_free(p->policies);
	choices_forget(p);
	for (size_t pos = 0; map_next(&p->local, &pos, &key, &v);)
		local_free(v);
	map_release(&p->local);
	policy_close(p->kernel);
	free(p);
}
