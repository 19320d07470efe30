/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod: what a pretending node says of a pod: that it is being created, that it runs and is ready, that it has
 * ended; and, once its deletion was asked for and its end was told, that it is gone. Containers start at once,
 * end a moment after they are told to, and end by themselves only where annotations say so.
 * Source: kubelet status_manager, generateAPIPodStatus (order of what is told, reasons). */
#include "orchestrator/hollow/hollow_int.h"

#define ANNOTATION "hollow.keelson.dev/"
#define FIRST_SLOT 2 /* the first address is the gateway's */
#define STOP_NS (2 * NS_PER_SEC)

static int
annotation(const struct pretended_pod *p, struct str name, uint64_t *ret)
{
	for (size_t i = 0; i < p->metadata.n_annotations; i++)
		if (str_eq(p->metadata.annotations[i].key, name))
			return str_to_u64(p->metadata.annotations[i].value, ret);
	return -ENOENT;
}

/* exits: the containers end by themselves, and the pod lets them. */
static bool
exits(const struct pretended_pod *p, uint64_t *ret_code, int64_t *ret_at_ns)
{
	uint64_t seconds = 0;
	bool never = str_eq(p->spec.restart_policy, STR("Never"));
	if (annotation(p, STR(ANNOTATION "exit-code"), ret_code) < 0 || *ret_code > 255)
		return false;
	annotation(p, STR(ANNOTATION "run-seconds"), &seconds);
	*ret_at_ns = p->status.start_time + (int64_t)(seconds % 1000000) * NS_PER_SEC;
	return never || (str_eq(p->spec.restart_policy, STR("OnFailure")) && *ret_code == 0);
}

static const struct pretended_pod_status_conditions *
condition(const struct pretended_pod *p, const char *type)
{
	for (size_t i = 0; i < p->status.n_conditions; i++)
		if (str_eq_c(p->status.conditions[i].type, type))
			return &p->status.conditions[i];
	return NULL;
}

static bool
condition_is(const struct pretended_pod *p, const char *type, const char *status)
{
	const struct pretended_pod_status_conditions *c = condition(p, type);
	return c && str_eq_c(c->status, status);
}

/* stopped_at: when containers that were asked to end have done so. Times of the API are whole seconds: in the
 * second after the one that follows, or when their grace is over. */
static int64_t
stopped_at(const struct pretended_pod *p)
{
	int64_t grace_ns = p->metadata.deletion_grace_period_seconds * NS_PER_SEC;
	return p->metadata.deletion_timestamp - (grace_ns > STOP_NS ? grace_ns - STOP_NS : 0);
}

enum hollow_stage
hollow_pod_next(const struct pretended_pod *p, int64_t now_ns, int64_t *ret_wait_ns)
{
	uint64_t code = 0;
	int64_t at_ns = 0;
	bool over = str_eq(p->status.phase, STR("Succeeded")) ||
		str_eq(p->status.phase, STR("Failed"));
	*ret_wait_ns = 0;
	if (p->metadata.deletion_timestamp && (over || !p->status.start_time))
		return HOLLOW_GONE;
	if (p->metadata.deletion_timestamp) {
		at_ns = stopped_at(p);
		if (at_ns <= now_ns)
			return HOLLOW_ENDED;
		*ret_wait_ns = at_ns - now_ns;
		return HOLLOW_NOTHING;
	}
	if (over)
		return HOLLOW_NOTHING;
	if (!p->status.start_time)
		return HOLLOW_CREATING;
	if (!str_eq(p->status.phase, STR("Running")))
		return HOLLOW_RUNNING;
	if (exits(p, &code, &at_ns)) {
		if (at_ns <= now_ns)
			return HOLLOW_ENDED;
		*ret_wait_ns = at_ns - now_ns;
	}
	bool told = p->status.observed_generation == p->metadata.generation &&
		condition_is(p, "Ready", "True");
	return told ? HOLLOW_NOTHING : HOLLOW_RUNNING;
}

/* ---- the status ---- */

static void
put_time(struct buf *b, const char *name, int64_t ns)
{
	char text[36];
	rfc3339_format(ns, 0, text);
	buf_fmt(b, "\"%s\":\"%s\"", name, text);
}

static void
put_conditions(struct buf *b, const struct pretended_pod *p, enum hollow_stage stage, bool good,
	int64_t now_ns)
{
	bool created = stage == HOLLOW_CREATING, runs = stage == HOLLOW_RUNNING;
	const char *why = created ? "ContainersNotReady" : good ? "PodCompleted" : "PodFailed";
	const struct {
		const char *type;
		bool is;
		const char *reason;
	} rows[] = {{"PodReadyToStartContainers", runs, NULL},
		{"Initialized", !created || !p->spec.n_init_containers, "ContainersNotInitialized"},
		{"Ready", runs, why}, {"ContainersReady", runs, why}, {"PodScheduled", true, NULL}};
	buf_cstr(b, "\"conditions\":[");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *status = rows[i].is ? "True" : "False";
		const struct pretended_pod_status_conditions *was = condition(p, rows[i].type);
		bool same = was && str_eq_c(was->status, status);
		buf_fmt(b, "%s{\"type\":\"%s\",\"status\":\"%s\",\"observedGeneration\":%lld,",
			i ? "," : "", rows[i].type, status, (long long)p->metadata.generation);
		put_time(b, "lastTransitionTime", same ? was->last_transition_time : now_ns);
		if (!rows[i].is && rows[i].reason)
			buf_fmt(b, ",\"reason\":\"%s\"}", rows[i].reason);
		else
			buf_cstr(b, ",\"reason\":null,\"message\":null}");
	}
	buf_char(b, ']');
}

/* put_id: the same container has the same id whenever it is spoken of. */
static void
put_id(struct buf *b, const struct pretended_pod *p, struct str name)
{
	struct sha256 h;
	uint8_t sum[32];
	sha256_init(&h);
	sha256_add(&h, p->metadata.uid.p, p->metadata.uid.n);
	sha256_add(&h, name.p, name.n);
	sha256_sum(&h, sum);
	buf_cstr(b, "\"hollow://");
	hex_encode(b, str_from((const char *)sum, sizeof(sum)));
	buf_char(b, '"');
}

static void
put_container(struct buf *b, const struct pretended_pod *p, struct str name, struct str image,
	enum hollow_stage stage, bool ready, unsigned code, int64_t now_ns)
{
	bool runs = stage == HOLLOW_RUNNING, ended = stage == HOLLOW_ENDED;
	buf_cstr(b, "{\"name\":");
	doc_json_string(b, name);
	buf_cstr(b, ",\"image\":");
	doc_json_string(b, image);
	buf_cstr(b, ",\"imageID\":");
	doc_json_string(b, runs || ended ? image : STR(""));
	buf_fmt(b, ",\"restartCount\":0,\"started\":%s,\"ready\":%s,", runs ? "true" : "false",
		ready ? "true" : "false");
	if (runs || ended) {
		buf_cstr(b, "\"containerID\":");
		put_id(b, p, name);
		buf_char(b, ',');
	}
	buf_cstr(b, "\"lastState\":{},\"state\":{");
	if (runs) {
		buf_cstr(b, "\"running\":{");
		put_time(b, "startedAt", p->status.start_time);
	} else if (ended) {
		buf_fmt(b,
			"\"terminated\":{\"exitCode\":%u,\"reason\":\"%s\",\"containerID\":", code,
			code ? "Error" : "Completed");
		put_id(b, p, name);
		buf_char(b, ',');
		put_time(b, "startedAt", p->status.start_time);
		buf_char(b, ',');
		put_time(b, "finishedAt", now_ns);
	} else {
		buf_fmt(b, "\"waiting\":{\"reason\":\"%s\"",
			p->spec.n_init_containers ? "PodInitializing" : "ContainerCreating");
	}
	buf_cstr(b, "}}}");
}

static void
put_ips(struct buf *b, const char *one, const char *many, const struct ip_addr *ips, size_t n)
{
	char text[IP_TEXT_MAX];
	bool first = true;
	for (size_t i = 0; i < n; i++) {
		if (!ip_is_set(&ips[i]))
			continue;
		ip_format(&ips[i], text);
		if (first)
			buf_fmt(b, ",\"%s\":\"%s\",\"%s\":[{\"ip\":\"%s\"}", one, text, many, text);
		else
			buf_fmt(b, ",{\"ip\":\"%s\"}", text);
		first = false;
	}
	if (!first)
		buf_char(b, ']');
}

void
hollow_pod_status(struct buf *b, const struct pretended_pod *p, enum hollow_stage stage,
	const struct ip_addr *host, const struct ip_addr ips[2], int64_t now_ns)
{
	static const char *const phases[] = {
		[HOLLOW_CREATING] = "Pending", [HOLLOW_RUNNING] = "Running"};
	uint64_t code = 0;
	int64_t at_ns;
	/* Who is asked to end does so in good order. */
	if (p->metadata.deletion_timestamp || !exits(p, &code, &at_ns))
		code = 0;
	buf_cstr(b, "{\"metadata\":{\"uid\":");
	doc_json_string(b, p->metadata.uid);
	buf_fmt(b, "},\"status\":{\"phase\":\"%s\",\"observedGeneration\":%lld,",
		stage != HOLLOW_ENDED ? phases[stage]
			: code        ? "Failed"
				      : "Succeeded",
		(long long)p->metadata.generation);
	put_time(b, "startTime", p->status.start_time ? p->status.start_time : now_ns);
	buf_char(b, ',');
	put_conditions(b, p, stage, code == 0, now_ns);
	put_ips(b, "hostIP", "hostIPs", host, 1);
	if (stage != HOLLOW_CREATING)
		put_ips(b, "podIP", "podIPs", ips, 2);
	/* Init containers have done their work when the others run; sidecars go on beside them. */
	for (size_t i = 0; i < p->spec.n_init_containers; i++) {
		const struct pretended_pod_spec_init_containers *c = &p->spec.init_containers[i];
		bool stays = str_eq(c->restart_policy, STR("Always"));
		buf_cstr(b, i ? "," : ",\"initContainerStatuses\":[");
		put_container(b, p, c->name, c->image,
			stage == HOLLOW_RUNNING && !stays ? HOLLOW_ENDED : stage,
			stage == HOLLOW_RUNNING, 0, now_ns);
	}
	buf_cstr(b,
		p->spec.n_init_containers ? "],\"containerStatuses\":["
					  : ",\"containerStatuses\":[");
	for (size_t i = 0; i < p->spec.n_containers; i++) {
		const struct pretended_pod_spec_containers *c = &p->spec.containers[i];
		buf_cstr(b, i ? "," : "");
		put_container(b, p, c->name, c->image, stage, stage == HOLLOW_RUNNING,
			(unsigned)code, now_ns);
	}
	buf_cstr(b, "]}}");
}

/* ---- addresses ---- */

static void
slot_mark(struct hollow_node *n, unsigned slot, bool used)
{
	uint8_t bit = (uint8_t)(1u << (slot % 8));
	if (used)
		n->used[slot / 8] |= bit;
	else
		n->used[slot / 8] &= (uint8_t)~bit;
}

/* slot_hold: the pod has this address; slot_release: nobody has it any more. */
static void
slot_hold(struct hollow_node *n, const struct pretended_pod *p, unsigned slot)
{
	if (map_put(&n->h->slots, p->metadata.uid, (void *)(uintptr_t)slot, NULL) == 0)
		slot_mark(n, slot, true);
}

static void
slot_release(struct hollow_node *n, const struct pretended_pod *p)
{
	uintptr_t slot = (uintptr_t)map_del(&n->h->slots, p->metadata.uid);
	if (slot)
		slot_mark(n, (unsigned)slot, false);
}

/* slot_take: the pod's own, or the next that is free, the one freed last coming last. 0 = none is. */
static unsigned
slot_take(struct hollow_node *n, const struct pretended_pod *p)
{
	uintptr_t had = (uintptr_t)map_get(&n->h->slots, p->metadata.uid);
	if (had)
		return (unsigned)had;
	for (unsigned i = 0; i < HOLLOW_SLOTS; i++) {
		unsigned slot = n->next_slot++ % HOLLOW_SLOTS;
		if (slot < FIRST_SLOT || slot == HOLLOW_SLOTS - 1 ||
			n->used[slot / 8] & 1u << (slot % 8))
			continue;
		slot_hold(n, p, slot);
		return slot;
	}
	return 0;
}

static bool
addresses(struct hollow_node *n, const struct pretended_pod *p, struct ip_addr ips[2])
{
	ips[0] = p->spec.host_network ? n->ip : (struct ip_addr){0};
	ips[1] = (struct ip_addr){0};
	if (p->spec.host_network)
		return true;
	unsigned slot = slot_take(n, p);
	for (size_t f = 0; slot && f < ARRAY_LEN(n->ranges); f++) {
		struct ip_prefix range = ip_prefix_masked(&n->ranges[f]);
		if (range.addr.family)
			ips[f] = ip_add(&range.addr, slot);
	}
	if (!ip_is_set(&ips[0])) {
		ips[0] = ips[1];
		ips[1] = (struct ip_addr){0};
	}
	return ip_is_set(&ips[0]);
}

/* ---- the queue ---- */

void
hollow_on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct hollow *h = arg;
	const struct informer_obj *o = new_ ? new_ : old;
	const struct pretended_pod *p = o->obj;
	struct hollow_node *n = map_get(&h->by_name, p->spec.node_name);
	struct ip_addr ip;
	if (!n)
		return;
	bool over = str_eq(p->status.phase, STR("Succeeded")) ||
		str_eq(p->status.phase, STR("Failed"));
	if (!new_ || over)
		slot_release(n, p);
	else if (!p->spec.host_network && p->status.n_pod_ips &&
		!map_get(&h->slots, p->metadata.uid) && ip_parse(p->status.pod_ips[0].ip, &ip) == 0)
		slot_hold(n, p, ip.b[ip_size(&ip) - 1]);
	if (new_)
		queue_add(h->pod_q, new_->key);
}

static struct client_req
pod_req(const struct pretended_pod *p, enum client_verb verb, const char *sub, struct str body)
{
	return (struct client_req){.verb = verb,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = p->metadata.namespace,
		.name = p->metadata.name,
		.subresource = str_c(sub),
		.body = body};
}

void
hollow_pod_sync(void *arg, struct str key)
{
	struct hollow *h = arg;
	const struct informer_obj *o = informer_get(h->pod_cache, key);
	const struct pretended_pod *p = o ? o->obj : NULL;
	struct hollow_node *n = p ? map_get(&h->by_name, p->spec.node_name) : NULL;
	struct ip_addr ips[2] = {{0}};
	_cleanup_buf_ struct buf b = BUF_INIT;
	int64_t now_ns = clock_wall_ns(), wait_ns = 0;
	enum hollow_stage stage = n ? hollow_pod_next(p, now_ns, &wait_ns) : HOLLOW_NOTHING;
	struct client_req req;
	if (wait_ns)
		queue_add_after(h->pod_q, key, wait_ns); /* when key is done it is no more */
	if (stage == HOLLOW_NOTHING ||
		(stage == HOLLOW_RUNNING && !addresses(n, p, ips))) { /* the range will come */
		queue_done(h->pod_q, key, false);
	} else if (stage == HOLLOW_GONE) {
		buf_fmt(&b,
			"{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
			"\"preconditions\":{\"uid\":\"" STR_FMT "\"}}",
			STR_ARG(p->metadata.uid));
		req = pod_req(p, CLIENT_DELETE, "", buf_view(&b));
		hollow_call_start(h, h->pod_q, key, &req);
	} else {
		if (stage == HOLLOW_ENDED && p->status.n_pod_ips)
			addresses(n, p, ips);
		hollow_pod_status(&b, p, stage, &n->ip, ips, now_ns);
		req = pod_req(p, CLIENT_PATCH_STRATEGIC, "status", buf_view(&b));
		hollow_call_start(h, h->pod_q, key, &req);
	}
}
