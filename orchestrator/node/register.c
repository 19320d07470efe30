/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * register: the Node object and its Lease. The object is made once and its own labels, addresses and
 * status kept right; the status is written when it changed and every 5 minutes; the heartbeat is the Lease
 * in kube-node-lease, every 10 s. When the API has given the node its pod ranges, the pod network is
 * configured. Source: Kubernetes node heartbeats (KEP-589, KEP-9), node status. */
#include "orchestrator/node/node_int.h"
#include "orchestrator/nodenet/nodenet.h"

#include <sys/statvfs.h>

#define BEAT_NS (10 * NS_PER_SEC)
#define LEASE_SECONDS 40
#define STATUS_NS (300 * NS_PER_SEC)
#define STATUS_IMAGES 50

/* Upstream's hard eviction thresholds: memory.available, nodefs.available, nodefs.inodesFree. */
#define INODES_SHORT_PART 20 /* 5 % */

enum { NODE_MEMORY, NODE_DISK, NODE_PIDS, NODE_READY };
/* By [is it so]. */
static const struct {
	const char *type, *reason[2], *message[2], *event[2];
} node_conds[] = {
	[NODE_MEMORY] = {"MemoryPressure",
		{"KubeletHasSufficientMemory", "KubeletHasInsufficientMemory"},
		{"kubelet has sufficient memory available",
			"kubelet has insufficient memory available"},
		{"NodeHasSufficientMemory", "NodeHasInsufficientMemory"}},
	[NODE_DISK] = {"DiskPressure", {"KubeletHasNoDiskPressure", "KubeletHasDiskPressure"},
		{"kubelet has no disk pressure", "kubelet has disk pressure"},
		{"NodeHasNoDiskPressure", "NodeHasDiskPressure"}},
	[NODE_PIDS] = {"PIDPressure", {"KubeletHasSufficientPID", "KubeletHasInsufficientPID"},
		{"kubelet has sufficient PID available", "kubelet has insufficient PID available"},
		{"NodeHasSufficientPID", "NodeHasInsufficientPID"}},
	[NODE_READY] = {"Ready", {"KubeletNotReady", "KubeletReady"},
		{"container runtime network not ready: no pod range was assigned yet",
			"kubelet is posting ready status"},
		{"NodeNotReady", "NodeReady"}},
};

static struct client_req
node_req(struct node *n, enum client_verb verb, const char *sub, struct str body)
{
	return (struct client_req){.verb = verb,
		.version = STR("v1"),
		.resource = STR("nodes"),
		.name = n->name,
		.subresource = str_c(sub),
		.body = body};
}

/* ---- parts of the object ---- */

static void
put_member(struct buf *b, bool *first, struct str key, struct str value)
{
	buf_cstr(b, *first ? "" : ",");
	*first = false;
	doc_json_string(b, key);
	buf_char(b, ':');
	doc_json_string(b, value);
}

static void
put_labels(struct node *n, struct buf *b, bool all)
{
	bool first = true;
	buf_char(b, '{');
	put_member(b, &first, STR("kubernetes.io/hostname"), n->name);
	put_member(b, &first, STR("kubernetes.io/os"), STR("linux"));
	put_member(b, &first, STR("kubernetes.io/arch"), STR("amd64"));
	put_member(b, &first, STR("beta.kubernetes.io/os"), STR("linux"));
	put_member(b, &first, STR("beta.kubernetes.io/arch"), STR("amd64"));
	for (size_t i = 0; all && i < n->cfg->n_labels; i++)
		put_member(b, &first, n->cfg->labels[i].key, n->cfg->labels[i].value);
	buf_char(b, '}');
}

static bool
has_amount(const struct str_pair *list, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i].key, name))
			return true;
	return false;
}

/* is_extended: example.com/dongle: somebody said so of this node. */
static bool
is_extended(struct str name)
{
	struct str domain, rest;
	return str_cut(name, '/', &domain, &rest) && !str_ends(domain, STR("kubernetes.io"));
}

/* put_extended: what somebody gave the node as capacity pods may have; of what is no capacity any more, nothing. */
static void
put_extended(struct node *n, struct buf *b)
{
	const struct informer_obj *self = n->self ? informer_get(n->self, n->name) : NULL;
	const struct core_v1_node_status *s = self
		? &((const struct core_v1_node *)self->obj)->status
		: NULL;
	for (size_t i = 0; s && i < s->n_capacity; i++) {
		if (!is_extended(s->capacity[i].key))
			continue;
		buf_char(b, ',');
		doc_json_string(b, s->capacity[i].key);
		buf_char(b, ':');
		doc_json_string(b, s->capacity[i].value);
	}
	for (size_t i = 0; s && i < s->n_allocatable; i++) {
		struct str name = s->allocatable[i].key;
		if (!is_extended(name) || has_amount(s->capacity, s->n_capacity, name))
			continue;
		buf_char(b, ',');
		doc_json_string(b, name);
		buf_cstr(b, ":null");
	}
}

/* extended_differ: has somebody changed the node's capacity since it was last told? */
static bool
extended_differ(const struct core_v1_node_status *s)
{
	for (size_t i = 0; i < s->n_capacity; i++)
		if (is_extended(s->capacity[i].key) &&
			!has_amount(s->allocatable, s->n_allocatable, s->capacity[i].key))
			return true;
	for (size_t i = 0; i < s->n_allocatable; i++)
		if (is_extended(s->allocatable[i].key) &&
			!has_amount(s->capacity, s->n_capacity, s->allocatable[i].key))
			return true;
	return false;
}

/* put_resources: what there is; allocatable: less what pods may not have. */
static void
put_resources(struct node *n, struct buf *b, const char *name, bool allocatable)
{
	const struct node_facts *f = &n->facts;
	int64_t memory = allocatable ? facts_memory_for_pods(f) : f->memory_bytes;
	int64_t disk = allocatable ? facts_disk_for_pods(f) : f->disk_bytes;
	buf_fmt(b,
		"\"%s\":{\"cpu\":\"%lld\",\"memory\":\"%lldKi\",\"pods\":\"%lld\",\"ephemeral-storage\":"
		"\"%lldKi\"",
		name, (long long)f->cpus, (long long)memory / 1024, (long long)f->pods,
		(long long)disk / 1024);
	for (size_t i = 0; i < ARRAY_LEN(f->huge); i++) {
		const struct node_huge *h = &f->huge[i];
		if (h->name)
			buf_fmt(b, ",\"hugepages-%s\":\"%lld%s\"", h->name,
				(long long)(h->n * h->bytes / 1024), h->n ? "Ki" : "");
	}
	if (allocatable)
		put_extended(n, b);
	buf_char(b, '}');
}

static bool
disk_pressure(const char *path)
{
	struct statvfs v;
	return statvfs(path, &v) == 0 &&
		((v.f_blocks && v.f_bavail * DISK_SHORT_PART < v.f_blocks) ||
			(v.f_files && v.f_ffree * INODES_SHORT_PART < v.f_files));
}

static void
put_conditions(struct node *n, struct buf *b, int64_t now_ns)
{
	bool is[] = {
		[NODE_MEMORY] = facts_memory_available() < MEMORY_SHORT_BYTES,
		[NODE_DISK] = disk_pressure(n->dir),
		[NODE_PIDS] = false,
		[NODE_READY] = podnet_is_configured(n->net),
	};
	char now[36], since[36];
	rfc3339_format(now_ns, 0, now);
	buf_cstr(b, "\"conditions\":[");
	for (size_t i = 0; i < ARRAY_LEN(node_conds); i++) {
		if (n->cond_is[i] != is[i])
			n->cond_since_ns[i] = now_ns;
		n->cond_is[i] = is[i];
		rfc3339_format(n->cond_since_ns[i], 0, since);
		buf_fmt(b,
			"%s{\"type\":\"%s\",\"status\":\"%s\",\"lastHeartbeatTime\":\"%s\","
			"\"lastTransitionTime\":\"%s\",\"reason\":\"%s\",\"message\":\"%s\"}",
			i ? "," : "", node_conds[i].type, is[i] ? "True" : "False", now, since,
			node_conds[i].reason[is[i]], node_conds[i].message[is[i]]);
	}
	buf_char(b, ']');
}

static void
put_images(struct node *n, struct buf *b)
{
	struct arena *a = arena_new(8 << 20);
	struct runtime_image *v = NULL;
	size_t nv = 0;
	buf_cstr(b, "\"images\":[");
	if (a && runtime_image_list(n->rt, a, &v, &nv) == 0) {
		for (size_t i = 0; i < nv && i < STATUS_IMAGES; i++) {
			bool first = true;
			buf_cstr(b, i ? ",{\"names\":[" : "{\"names\":[");
			for (size_t k = 0; k < v[i].n_repo_digests + v[i].n_repo_tags && k < 5;
				k++) {
				buf_cstr(b, first ? "" : ",");
				first = false;
				doc_json_string(b,
					k < v[i].n_repo_digests
						? v[i].repo_digests[k]
						: v[i].repo_tags[k - v[i].n_repo_digests]);
			}
			buf_fmt(b, "],\"sizeBytes\":%llu}", (unsigned long long)v[i].size_bytes);
		}
	}
	buf_char(b, ']');
	arena_free(a);
}

static void
put_facts(struct node *n, struct buf *b, const char *addresses)
{
	const struct node_facts *f = &n->facts;
	put_resources(n, b, "capacity", false);
	buf_char(b, ',');
	put_resources(n, b, "allocatable", true);
	buf_fmt(b, ",\"addresses\":[%s", addresses);
	for (size_t i = 0; i < f->n_ips; i++) {
		char text[IP_TEXT_MAX];
		ip_format(&f->ips[i], text);
		buf_fmt(b, "{\"type\":\"InternalIP\",\"address\":\"%s\"},", text);
	}
	buf_fmt(b, "{\"type\":\"Hostname\",\"address\":\"" STR_FMT "\"}],", STR_ARG(n->name));
	buf_fmt(b, "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":%d}},", NODE_PORT);
	buf_fmt(b,
		"\"nodeInfo\":{\"machineID\":\"%s\",\"systemUUID\":\"%s\",\"bootID\":\"%s\","
		"\"kernelVersion\":\"%s\",\"osImage\":\"Keelson\",\"containerRuntimeVersion\":"
		"\"keelson://1.37.2\",\"kubeletVersion\":\"" NODE_VERSION "\",\"kubeProxyVersion\":"
		"\"\",\"operatingSystem\":\"linux\",\"architecture\":\"amd64\"},",
		f->machine_id, f->system_uuid, f->boot_id, f->kernel);
	put_images(n, b);
}

/* ---- status ---- */

static struct event_ref
node_ref(struct node *n)
{
	return (struct event_ref){.api_version = STR("v1"),
		.kind = STR("Node"),
		.name = n->name,
		.uid = str_c(n->uid)};
}

void
node_event(struct node *n, const char *type, const char *reason, const char *fmt, ...)
{
	struct event_ref ref = node_ref(n);
	char text[500];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	client_event(n->api, &ref, type, reason, STR("kubelet"), n->name, "%s", text);
}

/* started: told once by each process. */
static void
started(struct node *n)
{
	struct event_ref ref = node_ref(n);
	if (!n->start_told)
		client_event(n->api, &ref, "Normal", "Starting", STR("kubelet"), n->name,
			"Starting kubelet.");
	n->start_told = true;
}

static void
on_status(void *arg, const struct client_result *r)
{
	struct node *n = arg;
	n->status_call = NULL;
	n->status_busy = false;
	if (r->http != 200) {
		log_warn("node status: %s", r->e.msg);
		buf_clear(&n->status_sent);
		loop_timer_after(n->loop, &n->status_timer, 2 * NS_PER_SEC);
	}
	if (n->status_again)
		register_status_later(n);
}

static void
status_write(struct loop_work *w)
{
	struct node *n = w->arg;
	int64_t now_ns = clock_wall_ns();
	if (!n->registered || n->status_busy) {
		n->status_again = n->status_busy;
		return;
	}
	n->status_again = false;
	_cleanup_buf_ struct buf facts = BUF_INIT, conds = BUF_INIT, body = BUF_INIT;
	/* Those of earlier times go; conditions of others stay. */
	put_facts(n, &facts, "{\"$patch\":\"replace\"},");
	signed char was[4];
	memcpy(was, n->cond_is, sizeof(was));
	put_conditions(n, &conds, now_ns);
	for (size_t i = 0; i < ARRAY_LEN(node_conds); i++) {
		const char *event = node_conds[i].event[n->cond_is[i] != 0];
		bool news = i != NODE_READY || n->cond_is[i] || was[i] >= 0; /* not yet is none */
		if (news && was[i] != n->cond_is[i])
			node_event(n, "Normal", event, "Node " STR_FMT " status is now: %s",
				STR_ARG(n->name), event);
	}
	bool same = memcmp(was, n->cond_is, sizeof(was)) == 0 &&
		str_eq(buf_view(&facts), buf_view(&n->status_sent));
	if (same && now_ns - n->status_at_ns < STATUS_NS - NS_PER_SEC)
		return;
	buf_clear(&n->status_sent);
	buf_str(&n->status_sent, buf_view(&facts));
	n->status_at_ns = now_ns;
	buf_fmt(&body, "{\"status\":{" STR_FMT "," STR_FMT "}}", STR_ARG(buf_view(&conds)),
		STR_ARG(buf_view(&facts)));
	struct client_req q = node_req(n, CLIENT_PATCH_STRATEGIC, "status", buf_view(&body));
	int rc = client_call_start(n->api, &q, on_status, n, &n->status_call);
	n->status_busy = rc == 0;
	loop_timer_after(n->loop, &n->status_timer, rc == 0 ? STATUS_NS : NS_PER_SEC);
}

static void
on_status_timer(struct loop_timer *t)
{
	register_status_later(t->arg);
}

void
register_status_later(struct node *n)
{
	if (n->registered) /* else registering says it all */
		loop_defer(n->loop, &n->status_work);
}

/* ---- heartbeat ---- */

static void
beat_done(void *arg, const struct client_result *r)
{
	struct node *n = arg;
	n->beat_call = NULL;
	if (r->http != 200 && r->http != 201)
		log_warn("lease: %s", r->e.msg);
}

static void
beat_patched(void *arg, const struct client_result *r)
{
	struct node *n = arg;
	n->beat_call = NULL;
	if (r->http != 404) {
		beat_done(arg, r);
		return;
	}
	_cleanup_buf_ struct buf b = BUF_INIT;
	char now[36];
	rfc3339_format(clock_wall_ns(), 6, now);
	buf_fmt(&b,
		"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"
		"\"" STR_FMT
		"\",\"namespace\":\"kube-node-lease\",\"ownerReferences\":[{\"apiVersion\":"
		"\"v1\",\"kind\":\"Node\",\"name\":\"" STR_FMT "\",\"uid\":\"%s\"}]},\"spec\":{"
		"\"holderIdentity\":\"" STR_FMT
		"\",\"leaseDurationSeconds\":%d,\"renewTime\":\"%s\"}}",
		STR_ARG(n->name), STR_ARG(n->name), n->uid, STR_ARG(n->name), LEASE_SECONDS, now);
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("coordination.k8s.io"),
		.version = STR("v1"),
		.resource = STR("leases"),
		.ns = STR("kube-node-lease"),
		.body = buf_view(&b)};
	if (client_call_start(n->api, &q, beat_done, n, &n->beat_call) < 0)
		n->beat_call = NULL;
}

static void
on_beat(struct loop_timer *t)
{
	struct node *n = t->arg;
	char now[36], body[200];
	loop_timer_after(n->loop, t, BEAT_NS);
	register_status_later(n); /* pressure may have changed */
	if (n->beat_call)
		return;
	rfc3339_format(clock_wall_ns(), 6, now);
	int len = snprintf(body, sizeof(body),
		"{\"spec\":{\"leaseDurationSeconds\":%d,\"renewTime\":\"%s\"}}", LEASE_SECONDS,
		now);
	struct client_req q = {.verb = CLIENT_PATCH_MERGE,
		.group = STR("coordination.k8s.io"),
		.version = STR("v1"),
		.resource = STR("leases"),
		.ns = STR("kube-node-lease"),
		.name = n->name,
		.body = str_from(body, (size_t)len)};
	if (client_call_start(n->api, &q, beat_patched, n, &n->beat_call) < 0)
		n->beat_call = NULL;
}

/* ---- the object ---- */

static void node_create(struct node *n);

static void
network_configure(struct node *n, const struct core_v1_node *o)
{
	struct ip_prefix cluster[4];
	struct err e = {0};
	struct podnet_config c = {.cluster_cidrs = cluster, .uplink = n->facts.uplink};
	const struct ip_prefix *all[] = {&n->cfg->cluster.pod4, &n->cfg->cluster.pod6,
		&n->cfg->cluster.service4, &n->cfg->cluster.service6};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i]->addr.family)
			cluster[c.n_cluster_cidrs++] = *all[i];
	for (size_t i = 0; i < o->spec.n_pod_cidrs; i++) {
		struct ip_prefix p;
		if (ip_prefix_parse(o->spec.pod_cidrs[i], &p) == 0)
			*(p.addr.family == 4 ? &c.pod_cidr4 : &c.pod_cidr6) = p;
	}
	if (!c.pod_cidr4.addr.family && !c.pod_cidr6.addr.family)
		return;
	bool was = podnet_is_configured(n->net);
	if (was)
		return;
	if (podnet_configure(n->net, &c, &e) < 0) {
		log_error("pod network: %s", e.msg);
		return;
	}
	log_info("pod network configured on %s", c.uplink);
	register_status_later(n);
	pods_network_ready(n);
	if (n->nodenet)
		nodenet_podnet_configured(n->nodenet);
}

/* conditions_take: what the API holds. A new process goes on from it; where others wrote that this node is
 * silent, it speaks again at once. */
static void
conditions_take(struct node *n, const struct core_v1_node *o)
{
	for (size_t i = 0; i < o->status.n_conditions; i++) {
		const struct core_v1_node_condition *c = &o->status.conditions[i];
		bool is = str_eq(c->status, STR("True"));
		for (size_t k = 0; k < ARRAY_LEN(node_conds); k++) {
			if (!str_eq_c(c->type, node_conds[k].type))
				continue;
			if (!is && !str_eq(c->status, STR("False"))) {
				n->cond_is[k] = -1;
				register_status_later(n);
			} else if (n->cond_is[k] < 0) {
				n->cond_is[k] = is;
				n->cond_since_ns[k] = c->last_transition_time;
			}
		}
	}
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct node *n = arg;
	(void)old;
	if (!new_) {
		n->registered = false;
		node_create(n);
		return;
	}
	const struct core_v1_node *o = new_->obj;
	str_copy_c(new_->uid, n->uid, sizeof(n->uid));
	conditions_take(n, o);
	network_configure(n, o);
	if (extended_differ(&o->status))
		register_status_later(n);
	if (n->registered)
		return;
	n->registered = true;
	started(n);
	if (o->status.node_info.boot_id.n &&
		!str_eq_c(o->status.node_info.boot_id, n->facts.boot_id))
		node_event(n, "Warning", "Rebooted",
			"Node " STR_FMT " has been rebooted, boot id: %s", STR_ARG(n->name),
			n->facts.boot_id);
	register_status_later(n);
	if (!loop_timer_is_set(&n->beat))
		loop_timer_after(n->loop, &n->beat, 0);
}

static void
on_labels(void *arg, const struct client_result *r)
{
	(void)arg;
	if (r->http != 200)
		log_warn("node labels: %s", r->e.msg);
}

static void
on_created(void *arg, const struct client_result *r)
{
	struct node *n = arg;
	if (r->http == 201 || r->http == 200) {
		log_info("registered as node '" STR_FMT "'", STR_ARG(n->name));
		return; /* the informer brings it */
	}
	if (r->http == 409) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		buf_cstr(&b, "{\"metadata\":{\"labels\":");
		put_labels(n, &b, false);
		buf_cstr(&b, "}}");
		struct client_req q = node_req(n, CLIENT_PATCH_MERGE, "", buf_view(&b));
		if (client_call_start(n->api, &q, on_labels, n, NULL) < 0)
			log_warn("node labels: no memory");
		return;
	}
	log_warn("registering: %s", r->e.msg);
	loop_timer_after(n->loop, &n->status_timer, NS_PER_SEC);
}

static void
node_create(struct node *n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_fmt(&b,
		"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"" STR_FMT
		"\",\"labels\":",
		STR_ARG(n->name));
	put_labels(n, &b, true);
	buf_cstr(&b, "},\"spec\":{\"taints\":[");
	for (size_t i = 0; i < n->cfg->n_taints; i++) {
		const struct machine_taint *t = &n->cfg->taints[i];
		bool first = true;
		buf_cstr(&b, i ? ",{" : "{");
		put_member(&b, &first, STR("key"), t->key);
		put_member(&b, &first, STR("value"), t->value);
		put_member(&b, &first, STR("effect"), t->effect);
		buf_char(&b, '}');
	}
	buf_cstr(&b, "]},\"status\":{");
	put_facts(n, &b, "");
	buf_cstr(&b, "}}");
	struct client_req q = node_req(n, CLIENT_CREATE, "", buf_view(&b));
	q.name = STR("");
	if (client_call_start(n->api, &q, on_created, n, NULL) < 0)
		loop_timer_after(n->loop, &n->status_timer, NS_PER_SEC);
}

static void
on_register_timer(struct loop_timer *t)
{
	struct node *n = t->arg;
	if (n->registered)
		on_status_timer(t);
	else
		node_create(n);
}

void
register_start(struct node *n)
{
	_cleanup_buf_ struct buf sel = BUF_INIT;
	n->beat = (struct loop_timer){.fn = on_beat, .arg = n};
	n->status_timer = (struct loop_timer){.fn = on_register_timer, .arg = n};
	n->status_work = (struct loop_work){.fn = status_write, .arg = n};
	memset(n->cond_is, -1, sizeof(n->cond_is));
	buf_fmt(&sel, "metadata.name=" STR_FMT, STR_ARG(n->name));
	struct informer_spec spec = {.version = STR("v1"),
		.resource = STR("nodes"),
		.field_selector = buf_view(&sel),
		.type = SCHEMA_TYPE_OF(core_v1_node),
		.on_change = on_node,
		.arg = n};
	node_create(n);
	if (informer_new(n->api, &spec, &n->self) < 0)
		log_error("watching the node object: no memory");
}
