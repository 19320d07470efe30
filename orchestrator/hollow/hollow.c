/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hollow: the nodes. Each is made in the API with addresses, capacity and conditions, made again when somebody
 * deleted it, says of itself again what it is every five minutes or when somebody else spoke for it, and
 * renews its Lease every ten seconds; the beats are spread, so that thousands do not write at once. A node is
 * ready when it has been given a range of pod addresses.
 * Source: KEP-589 (node heartbeats); kubelet node status. */
#include "orchestrator/hollow/hollow_int.h"

#define BEAT_NS (10 * NS_PER_SEC)
#define LEASE_SECONDS 40
#define STATUS_NS (300 * NS_PER_SEC)
#define HOSTS 0xc6120000u /* 198.18.0.0/15: for tests of networks; nobody answers (RFC 2544) */
#define CALLS 4           /* under way at once, of nodes and of leases */
#define POD_CALLS 8
#define VERSION "v1.37.2"

static const struct condition_row {
	const char *type, *reason[2], *message[2]; /* by [is it so] */
} condition_rows[] = {
	{"MemoryPressure", {"KubeletHasSufficientMemory", ""},
		{"kubelet has sufficient memory available", ""}},
	{"DiskPressure", {"KubeletHasNoDiskPressure", ""}, {"kubelet has no disk pressure", ""}},
	{"PIDPressure", {"KubeletHasSufficientPID", ""},
		{"kubelet has sufficient PID available", ""}},
	{"Ready", {"KubeletNotReady", "KubeletReady"},
		{"no pod range was assigned yet", "kubelet is posting ready status"}},
};
enum { CONDITION_READY = 3 };

/* ---- calls ---- */

struct hollow_call {
	struct hollow *h;
	struct queue *q;
	struct hollow_call *next, **prev; /* of those under way */
	struct client_call *call;
	struct str key;
	char text[]; /* of key */
};

static void
call_free(struct hollow_call *x)
{
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	free(x);
}

static void
on_answer(void *arg, const struct client_result *r)
{
	struct hollow_call *x = arg;
	/* Objects that are not there, or there already, are no failure: the watches tell. */
	bool failed = (r->http < 200 || r->http > 299) && r->http != 404 && r->http != 409;
	if (failed)
		log_warn(STR_FMT ": %s", STR_ARG(x->key), r->e.msg);
	queue_done(x->q, x->key, failed);
	call_free(x);
}

/* call_start: done frees it and ends the key. */
static void
call_start(struct hollow *h, struct queue *q, struct str key, const struct client_req *req,
	client_done_fn *done)
{
	struct hollow_call *x = malloc(sizeof(*x) + key.n);
	if (!x) {
		queue_done(q, key, true);
		return;
	}
	*x = (struct hollow_call){.h = h,
		.q = q,
		.next = h->calls,
		.prev = &h->calls,
		.key = str_from(x->text, key.n)};
	memcpy(x->text, key.p, key.n);
	if (x->next)
		x->next->prev = &x->next;
	h->calls = x;
	if (client_call_start(h->c, req, done, x, &x->call) < 0) {
		call_free(x);
		queue_done(q, key, true);
	}
}

void
hollow_call_start(struct hollow *h, struct queue *q, struct str key, const struct client_req *req)
{
	call_start(h, q, key, req, on_answer);
}

/* ---- the object ---- */

static bool
has_range(const struct hollow_node *n)
{
	return n->ranges[0].addr.family || n->ranges[1].addr.family;
}

static void
put_conditions(const struct hollow_node *n, const struct pretended_node *o, struct buf *b)
{
	int64_t now_ns = clock_wall_ns();
	char now[36], since[36];
	rfc3339_format(now_ns, 0, now);
	buf_cstr(b, "\"conditions\":[");
	for (size_t i = 0; i < ARRAY_LEN(condition_rows); i++) {
		const struct condition_row *row = &condition_rows[i];
		bool is = i == CONDITION_READY && has_range(n);
		int64_t since_ns = now_ns;
		for (size_t k = 0; o && k < o->status.n_conditions; k++)
			if (str_eq_c(o->status.conditions[k].type, row->type) &&
				str_eq_c(o->status.conditions[k].status, is ? "True" : "False"))
				since_ns = o->status.conditions[k].last_transition_time;
		rfc3339_format(since_ns, 0, since);
		buf_fmt(b,
			"%s{\"type\":\"%s\",\"status\":\"%s\",\"lastHeartbeatTime\":\"%s\","
			"\"lastTransitionTime\":\"%s\",\"reason\":\"%s\",\"message\":\"%s\"}",
			i ? "," : "", row->type, is ? "True" : "False", now, since, row->reason[is],
			row->message[is]);
	}
	buf_char(b, ']');
}

static void
put_amounts(const struct hollow *h, struct buf *b, const char *name)
{
	buf_fmt(b,
		",\"%s\":{\"cpu\":\"%u\",\"memory\":\"%uMi\",\"pods\":\"%u\",\"ephemeral-storage\":"
		"\"%uGi\"}",
		name, h->cfg.cpus, h->cfg.memory_mib, h->cfg.pods, h->cfg.disk_gib);
}

static void
put_node(const struct hollow_node *n, struct buf *b)
{
	const char *const labels[] = {"kubernetes.io/os\":\"linux",
		"beta.kubernetes.io/os\":\"linux", "kubernetes.io/arch\":\"amd64",
		"beta.kubernetes.io/arch\":\"amd64"};
	char ip[IP_TEXT_MAX];
	ip_format(&n->ip, ip);
	buf_fmt(b,
		"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" STR_FMT
		"\",\"labels\":{\"kubernetes.io/hostname\":\"" STR_FMT "\"",
		STR_ARG(n->name), STR_ARG(n->name));
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		buf_fmt(b, ",\"%s\"", labels[i]);
	buf_cstr(b, "}},\"status\":{");
	put_conditions(n, NULL, b);
	put_amounts(n->h, b, "capacity");
	put_amounts(n->h, b, "allocatable");
	buf_fmt(b,
		",\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"%s\"},{\"type\":\"Hostname\","
		"\"address\":\"" STR_FMT "\"}],\"nodeInfo\":{\"machineID\":\"" STR_FMT
		"\",\"systemUUID\":\"" STR_FMT "\",\"bootID\":\"" STR_FMT
		"\",\"kernelVersion\":\"none\","
		"\"osImage\":\"hollow\",\"containerRuntimeVersion\":\"hollow://" VERSION
		"\",\"kubeletVersion\":\"" VERSION "\",\"kubeProxyVersion\":\"\","
		"\"operatingSystem\":\"linux\",\"architecture\":\"amd64\"}}}",
		ip, STR_ARG(n->name), STR_ARG(n->name), STR_ARG(n->name), STR_ARG(n->name));
}

static struct client_req
node_req(const struct hollow_node *n, enum client_verb verb, const char *sub, struct str body)
{
	return (struct client_req){.verb = verb,
		.version = STR("v1"),
		.resource = STR("nodes"),
		.name = verb == CLIENT_CREATE ? STR("") : n->name,
		.subresource = str_c(sub),
		.body = body};
}

static bool
says_ready(const struct pretended_node *o)
{
	for (size_t i = 0; i < o->status.n_conditions; i++)
		if (str_eq(o->status.conditions[i].type, STR("Ready")))
			return str_eq(o->status.conditions[i].status, STR("True"));
	return false;
}

static void
node_sync(void *arg, struct str key)
{
	struct hollow *h = arg;
	struct hollow_node *n = map_get(&h->by_name, key);
	const struct informer_obj *o = informer_get(h->node_cache, key);
	int64_t now_ns = clock_mono_ns();
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct client_req req;
	if (!o) {
		put_node(n, &b);
		req = node_req(n, CLIENT_CREATE, "", buf_view(&b));
	} else if (n->told_ns && now_ns - n->told_ns < STATUS_NS &&
		says_ready(o->obj) == has_range(n)) {
		queue_done(h->node_q, key, false);
		return;
	} else {
		buf_cstr(&b, "{\"status\":{");
		put_conditions(n, o->obj, &b);
		buf_cstr(&b, "}}");
		n->told_ns = now_ns;
		req = node_req(n, CLIENT_PATCH_STRATEGIC, "status", buf_view(&b));
	}
	hollow_call_start(h, h->node_q, key, &req);
}

static void
range_take(struct hollow_node *n, const struct pretended_node *o)
{
	bool had = has_range(n);
	size_t pos = 0;
	for (size_t i = 0; i < o->spec.n_pod_cidrs && i < ARRAY_LEN(n->ranges); i++)
		if (ip_prefix_parse(o->spec.pod_cidrs[i], &n->ranges[i]) < 0)
			n->ranges[i] = (struct ip_prefix){0};
	if (had || !has_range(n))
		return;
	/* Pods that waited for it. */
	for (const struct informer_obj *p; (p = informer_next(n->h->pod_cache, &pos));)
		if (str_eq(((const struct pretended_pod *)p->obj)->spec.node_name, n->name))
			queue_add(n->h->pod_q, p->key);
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct hollow *h = arg;
	struct hollow_node *n = map_get(&h->by_name, new_ ? new_->name : old->name);
	if (!n)
		return;
	if (new_)
		range_take(n, new_->obj);
	else
		n->told_ns = 0;
	bool ready = new_ && says_ready(new_->obj);
	h->n_ready += (size_t)ready - (size_t)n->ready;
	if (ready && !n->ready && h->n_ready == h->cfg.nodes)
		log_info("all %u nodes are ready", h->cfg.nodes);
	n->ready = ready;
	queue_add(h->node_q, n->name);
}

/* ---- heartbeat ---- */

static struct client_req
lease_req(enum client_verb verb, struct str name, struct str body)
{
	return (struct client_req){.verb = verb,
		.group = STR("coordination.k8s.io"),
		.version = STR("v1"),
		.resource = STR("leases"),
		.ns = STR("kube-node-lease"),
		.name = name,
		.body = body};
}

/* on_renewed: a Lease that is not there yet, or no more, is made. */
static void
on_renewed(void *arg, const struct client_result *r)
{
	struct hollow_call *x = arg;
	struct hollow *h = x->h;
	const struct informer_obj *node = informer_get(h->node_cache, x->key);
	_cleanup_buf_ struct buf b = BUF_INIT;
	char now[36];
	if (r->http != 404 || !node) {
		on_answer(x, r);
		return;
	}
	rfc3339_format(clock_wall_ns(), 6, now);
	buf_fmt(&b,
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
		"\"" STR_FMT
		"\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"" STR_FMT
		"\",\"uid\":\"" STR_FMT "\"}]},\"spec\":{\"holderIdentity\":\"" STR_FMT
		"\",\"leaseDurationSeconds\":%d,\"renewTime\":\"%s\"}}",
		STR_ARG(x->key), STR_ARG(x->key), STR_ARG(node->uid), STR_ARG(x->key),
		LEASE_SECONDS, now);
	struct client_req req = lease_req(CLIENT_CREATE, STR(""), buf_view(&b));
	hollow_call_start(h, x->q, x->key, &req);
	call_free(x);
}

static void
lease_sync(void *arg, struct str key)
{
	struct hollow *h = arg;
	char now[36], body[128];
	rfc3339_format(clock_wall_ns(), 6, now);
	snprintf(body, sizeof(body), "{\"spec\":{\"renewTime\":\"%s\"}}", now);
	struct client_req req = lease_req(CLIENT_PATCH_MERGE, key, str_c(body));
	call_start(h, h->lease_q, key, &req, on_renewed);
}

static void
on_beat(struct loop_timer *t)
{
	struct hollow_node *n = t->arg;
	loop_timer_after(n->h->loop, t, BEAT_NS);
	queue_add(n->h->lease_q, n->name);
	queue_add(n->h->node_q, n->name);
}

/* ---- all of them ---- */

static void
on_nodes_known(void *arg)
{
	struct hollow *h = arg;
	for (unsigned i = 0; i < h->cfg.nodes; i++) {
		queue_add(h->node_q, h->nodes[i].name);
		loop_timer_after(
			h->loop, &h->nodes[i].beat, BEAT_NS * (int64_t)(i + 1) / h->cfg.nodes);
	}
}

static int
nodes_make(struct hollow *h)
{
	size_t pos = 0;
	void *at;
	for (unsigned i = 0; i < h->cfg.nodes; i++) {
		struct hollow_node *n = &h->nodes[i];
		char name[64];
		int len = snprintf(name, sizeof(name), "%s-%u", h->cfg.name, i + 1);
		*n = (struct hollow_node){
			.h = h, .ip = ip_v4(HOSTS + i + 1), .beat = {.fn = on_beat, .arg = n}};
		if (map_put(&h->by_name, str_from(name, (size_t)len), n, NULL) < 0)
			return -ENOMEM;
	}
	for (struct str key; map_next(&h->by_name, &pos, &key, &at);)
		((struct hollow_node *)at)->name = key;
	return 0;
}

int
hollow_new(struct loop *l, struct client *c, const struct hollow_config *cfg, struct hollow **ret)
{
	struct hollow *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	*h = (struct hollow){.loop = l, .c = c, .cfg = *cfg};
	map_init(&h->by_name);
	map_init(&h->slots);
	h->nodes = calloc(cfg->nodes, sizeof(*h->nodes));
	h->node_q = queue_new(l, "nodes", CALLS, node_sync, h);
	h->lease_q = queue_new(l, "leases", CALLS, lease_sync, h);
	h->pod_q = queue_new(l, "pods", POD_CALLS, hollow_pod_sync, h);
	struct informer_spec nodes = {.version = STR("v1"),
		.resource = STR("nodes"),
		.type = SCHEMA_TYPE_OF(pretended_node),
		.on_change = on_node,
		.on_synced = on_nodes_known,
		.arg = h};
	struct informer_spec pods = {.version = STR("v1"),
		.resource = STR("pods"),
		.field_selector = STR("spec.nodeName!="),
		.type = SCHEMA_TYPE_OF(pretended_pod),
		.on_change = hollow_on_pod,
		.arg = h};
	if (!h->nodes || !h->node_q || !h->lease_q || !h->pod_q || nodes_make(h) < 0 ||
		informer_new(c, &pods, &h->pod_cache) < 0 ||
		informer_new(c, &nodes, &h->node_cache) < 0) {
		hollow_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

void
hollow_free(struct hollow *h)
{
	if (!h)
		return;
	if (h->node_cache)
		informer_free(h->node_cache);
	if (h->pod_cache)
		informer_free(h->pod_cache);
	for (unsigned i = 0; h->nodes && i < h->cfg.nodes; i++)
		loop_timer_cancel(&h->nodes[i].beat);
	while (h->calls) {
		client_call_cancel(h->calls->call);
		call_free(h->calls);
	}
	queue_free(h->node_q);
	queue_free(h->lease_q);
	queue_free(h->pod_q);
	map_release(&h->by_name);
	map_release(&h->slots);
	free(h->nodes);
	free(h);
}
