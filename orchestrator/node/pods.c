/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pods: the pods of this node: from the API's watch and from what the runtime had when this process
 * started; their lives from the first word of them to the last.
 *
 * Start: recover the runtime -> the watch delivers pods, each adopts its sandbox and containers -> when it
 * has synced, what belongs to no pod any more is taken down. */
#include "orchestrator/node/node_int.h"

#include "orchestrator/nodenet/nodenet.h"
#include "orchestrator/schedule/match.h"

#include "storage/volume/volume.h"

#include <dirent.h>

/* ---- small questions ---- */

const struct core_v1_container *
ctr_spec(const struct ctr *c)
{
	const struct core_v1_pod *o = c->pod->o;
	if (!o)
		return NULL;
	for (size_t i = 0; c->kind == CTR_EPHEMERAL && i < o->spec.n_ephemeral_containers; i++)
		if (str_eq_c(o->spec.ephemeral_containers[i].name, c->name))
			return ephemeral_spec(&o->spec, i);
	if (c->kind == CTR_EPHEMERAL)
		return NULL;
	const struct core_v1_container *v = c->kind == CTR_INIT ? o->spec.init_containers
								: o->spec.containers;
	size_t n = c->kind == CTR_INIT ? o->spec.n_init_containers : o->spec.n_containers;
	for (size_t i = 0; i < n; i++)
		if (str_eq_c(v[i].name, c->name))
			return &v[i];
	return NULL;
}

bool
ctr_is_sidecar(const struct ctr *c)
{
	const struct core_v1_container *s = c->kind == CTR_INIT ? ctr_spec(c) : NULL;
	return s && str_eq(s->restart_policy, STR("Always"));
}

bool
ctr_state(const struct ctr *c, struct runtime_container *ret)
{
	return c->id[0] && runtime_container_get(c->pod->node->rt, str_c(c->id), ret) == 0;
}

bool
ctr_running(const struct ctr *c)
{
	struct runtime_container rc;
	return ctr_state(c, &rc) && rc.state == RUNTIME_CONTAINER_RUNNING;
}

bool
ctr_log_run(const struct ctr *c, bool previous, struct runtime_container *ret)
{
	bool has = ctr_state(c, ret);
	/* One that has ended and waits for its next run is the previous one already. */
	bool waits = has && ret->state == RUNTIME_CONTAINER_EXITED && c->reason[0];
	if (previous ? waits : has)
		return true;
	return c->old[0] && runtime_container_get(c->pod->node->rt, str_c(c->old), ret) == 0;
}

void
ctr_last_set(struct ctr_last *l, const struct runtime_container *rc, const char *message)
{
	*l = (struct ctr_last){.has = true,
		.exit_code = rc->exit_code,
		.signal = rc->signal,
		.started_ns = rc->started_ns,
		.finished_ns = rc->finished_ns};
	str_copy_c(rc->id, l->id, sizeof(l->id));
	snprintf(l->reason, sizeof(l->reason), "%s", rc->reason ? rc->reason : "");
	snprintf(l->message, sizeof(l->message), "%s", message);
}

struct pod *
pod_find(struct node *n, struct str ns, struct str name)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		if (!p->gone && str_eq_c(ns, p->ns) && str_eq_c(name, p->name))
			return p;
	}
	return NULL;
}

struct ctr *
pod_ctr(struct pod *p, struct str name)
{
	for (size_t i = 0; i < p->n_ctrs; i++)
		if (str_eq_c(name, p->ctrs[i].name))
			return &p->ctrs[i];
	for (struct ctr *c = p->ephemerals; c; c = c->next)
		if (str_eq_c(name, c->name))
			return c;
	return NULL;
}

void
pod_log_dir(const struct pod *p, char out[NODE_PATH])
{
	snprintf(out, NODE_PATH, "/var/log/pods/%s_%s_%s", p->ns, p->name, p->uid);
}

struct str
pod_hostname(const struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	if (s->host_network)
		return p->node->name;
	struct str h = s->hostname_override.n ? s->hostname_override
		: s->hostname.n               ? s->hostname
					      : str_c(p->name);
	h = str_sub(h, 0, 63);
	while (h.n && (h.p[h.n - 1] == '-' || h.p[h.n - 1] == '.'))
		h.n--;
	return h;
}

void
pod_event(struct pod *p, const struct ctr *c, const char *type, const char *reason, const char *fmt,
	...)
{
	char text[1024], field[160];
	va_list ap;
	if (!p->ref || !p->node->api)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct event_ref ref = {.api_version = STR("v1"),
		.kind = STR("Pod"),
		.ns = str_c(p->ns),
		.name = str_c(p->name),
		.uid = str_c(p->uid),
		.resource_version = p->o->metadata.resource_version};
	if (c) {
		static const char *const lists[] = {[CTR_INIT] = "initContainers",
			[CTR_MAIN] = "containers",
			[CTR_EPHEMERAL] = "ephemeralContainers"};
		snprintf(field, sizeof(field), "spec.%s{%s}", lists[c->kind], c->name);
		ref.field_path = str_c(field);
	}
	client_event(p->node->api, &ref, type, reason, STR("kubelet"), p->node->name, "%s", text);
}

void
pod_take_host_ips(struct pod *p)
{
	p->n_ips = p->node->facts.n_ips;
	memcpy(p->ips, p->node->facts.ips, sizeof(p->ips));
}

/* ---- lives ---- */

void
ctr_release(struct ctr *c)
{
	probes_stop(c);
	action_cancel(c->action);
	free(c->name);
	free(c->applied);
}

static void
pod_free(struct pod *p)
{
	loop_timer_cancel(&p->wake);
	loop_timer_cancel(&p->patch_timer);
	loop_timer_cancel(&p->token_timer);
	p->gone = true;
	pod_turn_look(p);
	pod_queue_drop(p, QUEUE_STATUS);
	loop_defer_cancel(&p->work);
	map_del(&p->node->pods, str_c(p->uid));
	local_volumes_look(p->node);
	pod_volumes_free(p);
	pod_certificates_free(p);
	objects_release(p);
	for (size_t i = 0; i < p->n_ctrs; i++)
		ctr_release(&p->ctrs[i]);
	ephemerals_free(p);
	if (p->ref)
		informer_obj_unref(p->ref);
	if (p->alloc)
		informer_obj_unref(p->alloc);
	buf_release(&p->sent);
	free(p->ctrs);
	free(p->uid);
	free(p->ns);
	free(p->name);
	free(p);
}

static void
on_work(struct loop_work *w)
{
	struct pod *p = w->arg;
	if (p->gone && p->cleaned && p->ops == 0)
		pod_free(p);
	else
		pod_sync(p);
}

void
pod_sync_later(struct pod *p)
{
	loop_defer(p->node->loop, &p->work);
}

static void
on_wake(struct loop_timer *t)
{
	pod_sync_later(t->arg);
}

static void
on_token_due(struct loop_timer *t)
{
	struct pod *p = t->arg;
	p->volumes_stale = true;
	pod_sync_later(p);
}

void
pod_wake_in(struct pod *p, int64_t delay_ns)
{
	int64_t at_ns = loop_now_ns(p->node->loop) + delay_ns;
	if (!loop_timer_is_set(&p->wake) || p->wake.at_ns > at_ns)
		loop_timer_set(p->node->loop, &p->wake, at_ns);
}

void
pod_op_begin(struct pod *p)
{
	p->ops++;
}

void
pod_op_end(struct pod *p)
{
	BUG_ON(p->ops == 0);
	p->ops--;
	pod_sync_later(p);
}

static struct pod *
pod_new(struct node *n, struct str uid, struct str ns, struct str name)
{
	struct pod *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->node = n;
	p->uid = strndup(uid.p, uid.n);
	p->ns = strndup(ns.p, ns.n);
	p->name = strndup(name.p, name.n);
	p->work = (struct loop_work){.fn = on_work, .arg = p};
	p->wake = (struct loop_timer){.fn = on_wake, .arg = p};
	p->token_timer = (struct loop_timer){.fn = on_token_due, .arg = p};
	p->phase = "Pending";
	pod_mark(p, MARK_SEEN);
	if (!p->uid || !p->ns || !p->name || map_put(&n->pods, uid, p, NULL) < 0) {
		free(p->uid);
		free(p->ns);
		free(p->name);
		free(p);
		return NULL;
	}
	return p;
}

/* ---- adoption ---- */

void
ctr_adopt(struct ctr *c, struct str sandbox)
{
	struct node *n = c->pod->node;
	struct runtime_container rc, best = {0}, before = {0};
	size_t pos = 0;
	while (runtime_container_next(n->rt, sandbox, &pos, &rc)) {
		if (!str_eq_c(rc.name, c->name))
			continue;
		if (!best.id.n || rc.attempt >= best.attempt) {
			before = best;
			best = rc;
		} else if (!before.id.n || rc.attempt > before.attempt) {
			before = rc;
		}
	}
	if (before.id.n) {
		str_copy_c(before.id, c->old, sizeof(c->old));
		ctr_last_set(&c->last, &before, "");
	}
	if (!best.id.n)
		return;
	str_copy_c(best.id, c->id, sizeof(c->id));
	str_copy_c(best.image_id, c->image_id, sizeof(c->image_id));
	c->attempt = best.attempt + 1;
	for (uint32_t i = 0; i < best.attempt && c->restart_delay_ns < BACKOFF_MAX_NS; i++)
		c->restart_delay_ns = c->restart_delay_ns ? c->restart_delay_ns * 2
							  : BACKOFF_BASE_NS;
	c->hook_ran = true;
	if (best.state == RUNTIME_CONTAINER_RUNNING)
		probes_start(c);
}

/* pod_adopt_sandbox: the newest sandbox of this pod is its own, others go. */
static void
pod_adopt_sandbox(struct pod *p)
{
	struct node *n = p->node;
	struct runtime_sandbox s;
	struct podnet_pod net;
	size_t pos = 0;
	while (runtime_sandbox_next(n->rt, &pos, &s)) {
		if (!str_eq_c(s.pod_uid, p->uid))
			continue;
		if (!p->sandbox[0] || s.attempt >= p->sandbox_attempt) {
			str_copy_c(s.id, p->sandbox, sizeof(p->sandbox));
			p->sandbox_attempt = s.attempt;
		}
	}
	if (p->sandbox[0])
		for (size_t i = 0; i < p->n_ctrs; i++)
			ctr_adopt(&p->ctrs[i], str_c(p->sandbox));
	bool ready = runtime_sandbox_get(n->rt, str_c(p->sandbox), &s) == 0 &&
		s.state == RUNTIME_SANDBOX_READY;
	if (ready && s.host_network) {
		p->net_up = true;
		pod_take_host_ips(p);
	} else if (ready && podnet_pod_get(n->net, p->uid, &net) == 0) {
		p->net_up = true;
		if (net.v4.family)
			p->ips[p->n_ips++] = net.v4;
		if (net.v6.family)
			p->ips[p->n_ips++] = net.v6;
	}
}

static int
pod_ctrs_make(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	p->ctrs = calloc(s->n_init_containers + s->n_containers, sizeof(*p->ctrs));
	if (!p->ctrs)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_init_containers + s->n_containers; i++) {
		struct ctr *c = &p->ctrs[p->n_ctrs];
		bool init = i < s->n_init_containers;
		struct str name = init ? s->init_containers[i].name
				       : s->containers[i - s->n_init_containers].name;
		*c = (struct ctr){.pod = p,
			.kind = init ? CTR_INIT : CTR_MAIN,
			.name = strndup(name.p, name.n)};
		if (!c->name)
			return -ENOMEM;
		p->n_ctrs++;
	}
	return 0;
}

static void
pod_take(struct pod *p, const struct informer_obj *o)
{
	const struct informer_obj *old = p->ref;
	p->ref = informer_obj_ref(o);
	p->o = o->obj;
	if (old)
		informer_obj_unref(old);
}

void
pod_room(const struct pod *p, struct admit_room *ret)
{
	const struct node_facts *f = &p->node->facts;
	struct node *n = p->node;
	const struct informer_obj *self = n->self ? informer_get(n->self, n->name) : NULL;
	void *v = NULL;
	*ret = (struct admit_room){.cpu_milli = f->cpus * 1000,
		.memory_bytes = facts_memory_for_pods(f),
		.disk_bytes = facts_disk_for_pods(f),
		.pods = f->pods,
		.node = self ? self->obj : NULL};
	for (size_t pos = 0; map_next(&p->node->pods, &pos, NULL, &v);) {
		const struct pod *x = v;
		if (x == p || !x->o || x->finished || x->gone || x->end_reason[0])
			continue;
		admit_use(ret, pod_allocated(x));
		ret->port_taken = ret->port_taken || host_ports_clash(&p->o->spec, &x->o->spec);
	}
}

/* pod_judge: one that has not begun anywhere is taken, or has failed. */
static void
pod_judge(struct pod *p)
{
	struct admit_room room;
	struct admit_no no;
	if (p->o->status.start_time || p->sandbox[0] || p->finished ||
		p->o->metadata.deletion_timestamp)
		return;
	pod_room(p, &room);
	if (pod_admit(&p->o->spec, &room, &no))
		return;
	p->stopping = true;
	snprintf(p->end_reason, sizeof(p->end_reason), "%s", no.reason);
	snprintf(p->end_message, sizeof(p->end_message), "Pod was rejected: %s", no.message);
	pod_event(p, NULL, "Warning", p->end_reason, "%s", no.message);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct node *n = arg;
	struct pod *p = old ? map_get(&n->pods, old->uid) : NULL;
	if (p && (!new_ || !str_eq(old->uid, new_->uid))) {
		p->gone = true;
		pod_sync_later(p);
	}
	if (!new_)
		return;
	p = map_get(&n->pods, new_->uid);
	if (p) {
		pod_take(p, new_);
		ephemerals_take(p);
		pod_status_seen(p);
		if (old) {
			const struct meta_v1_object_meta
				*was = &((const struct core_v1_pod *)old->obj)->metadata;
			const struct meta_v1_object_meta *now = &p->o->metadata;
			if (!pairs_same(was->labels, was->n_labels, now->labels, now->n_labels) ||
				!pairs_same(was->annotations, was->n_annotations, now->annotations,
					now->n_annotations))
				p->volumes_stale = true; /* the downward API shows them */
		}
		pod_sync_later(p);
		return;
	}
	p = pod_new(n, new_->uid, new_->ns, new_->name);
	if (!p)
		return;
	pod_take(p, new_);
	if (pod_ctrs_make(p) < 0) {
		p->gone = p->cleaned = true;
		pod_sync_later(p);
		return;
	}
	pod_adopt_sandbox(p);
	ephemerals_take(p);
	pod_status_start(p);
	pod_judge(p);
	pod_sync_later(p);
}

/* ---- what nobody claims ---- */

static void
stray_network(void *arg, const struct podnet_pod *net)
{
	struct node *n = arg;
	if (!map_get(&n->pods, str_c(net->key)))
		podnet_pod_release(n->net, net->key, NULL);
}

static void
stray_dirs(struct node *n, const char *base)
{
	char path[NODE_PATH];
	snprintf(path, sizeof(path), "%s/pods", base);
	DIR *d = opendir(path);
	struct dirent *x;
	while (d && (x = readdir(d)) != NULL) {
		if (x->d_name[0] == '.' || map_get(&n->pods, str_c(x->d_name)))
			continue;
		struct pod *p = pod_new(n, str_c(x->d_name), STR("_"), STR("_"));
		if (p) {
			p->gone = p->stopping = true;
			pod_sync_later(p);
		}
	}
	if (d)
		closedir(d);
}

/* hostports_take_over: those of pods that run on are set before the rules of an earlier process go. */
static void
hostports_take_over(struct node *n)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		if (p->o && p->net_up && !p->ports_open)
			hostports_open(p);
	}
	if (n->nodenet)
		nodenet_pods_synced(n->nodenet);
}

static void
on_synced(void *arg)
{
	struct node *n = arg;
	struct runtime_sandbox s;
	size_t pos = 0;
	while (runtime_sandbox_next(n->rt, &pos, &s)) {
		if (map_get(&n->pods, s.pod_uid))
			continue;
		struct pod *p = pod_new(n, s.pod_uid, s.pod_namespace, s.pod_name);
		if (!p)
			continue;
		p->gone = p->stopping = true;
		pod_adopt_sandbox(p);
		pod_sync_later(p);
	}
	stray_dirs(n, n->dir);
	podnet_pods(n->net, stray_network, n);
	hostports_take_over(n);
}

/* ---- events ---- */

void
pods_on_runtime(void *arg, const struct runtime_event *ev)
{
	struct node *n = arg;
	struct runtime_sandbox s;
	if (runtime_sandbox_get(n->rt, ev->sandbox_id, &s) < 0)
		return;
	struct pod *p = map_get(&n->pods, s.pod_uid);
	if (p && ev->type == RUNTIME_EVENT_EXITED)
		pod_sync_later(p);
}

void
pods_network_ready(struct node *n)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&n->pods, &pos, NULL, &v))
		pod_sync_later(v);
}

void
pods_addresses_changed(struct node *n)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		if (p->o && p->o->spec.host_network && p->net_up)
			pod_take_host_ips(p);
		pod_sync_later(p);
	}
}

int
pods_start(struct node *n)
{
	_cleanup_buf_ struct buf sel = BUF_INIT;
	buf_fmt(&sel, "spec.nodeName=" STR_FMT, STR_ARG(n->name));
	struct informer_spec pods = {.version = STR("v1"),
		.resource = STR("pods"),
		.field_selector = buf_view(&sel),
		.type = SCHEMA_TYPE_OF(core_v1_pod),
		.on_change = on_pod,
		.on_synced = on_synced,
		.arg = n};
	struct informer_spec services = {.version = STR("v1"),
		.resource = STR("services"),
		.type = SCHEMA_TYPE_OF(core_v1_service)};
	int rc = informer_new(n->api, &services, &n->services);
	return rc < 0 ? rc : informer_new(n->api, &pods, &n->pod_informer);
}
