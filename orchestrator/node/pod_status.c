/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_status: what the API is told of a pod: phase, conditions, container statuses, addresses. Made whole
 * from what is, compared with what was last sent, sent as a strategic merge patch (conditions of others
 * stay). One patch at a time, and few of all pods: who has to wait says in the end only what is newest. When the phase is final the pod is finished.
 * Source: Kubernetes pod status; kubelet generateAPIPodStatus, status manager (reasons and messages). */
#include "orchestrator/node/node_int.h"

#include "base/disk.h"

#define MESSAGE_MAX 4096
#define LOG_MESSAGE_MAX 2048
#define RETRY_NS NS_PER_SEC
#define PATCHES_MAX 4 /* of all pods, under way at a time */

static const char *const cond_types[COND__COUNT] = {[COND_SANDBOX] = "PodReadyToStartContainers",
	[COND_INITIALIZED] = "Initialized",
	[COND_READY] = "Ready",
	[COND_CONTAINERS] = "ContainersReady",
	[COND_SCHEDULED] = "PodScheduled"};

/* ---- what was ---- */

static const struct core_v1_container_status *
status_of(const struct ctr *c)
{
	const struct core_v1_pod_status *s = &c->pod->o->status;
	const struct core_v1_container_status *v = c->kind == CTR_INIT ? s->init_container_statuses
								       : s->container_statuses;
	size_t n = c->kind == CTR_INIT ? s->n_init_container_statuses : s->n_container_statuses;
	for (size_t i = 0; i < n; i++)
		if (str_eq_c(v[i].name, c->name))
			return &v[i];
	return NULL;
}

static void
last_take(struct ctr_last *l, const struct core_v1_container_state_terminated *t)
{
	*l = (struct ctr_last){.has = true,
		.exit_code = t->exit_code,
		.signal = t->signal,
		.started_ns = t->started_at,
		.finished_ns = t->finished_at};
	ptrdiff_t at = str_find(t->container_id, STR("://"));
	str_copy_c(str_sub(t->container_id, at < 0 ? 0 : (size_t)at + 3, SIZE_MAX), l->id,
		sizeof(l->id));
	str_copy_c(t->reason, l->reason, sizeof(l->reason));
	str_copy_c(t->message, l->message, sizeof(l->message));
}

void
pod_status_start(struct pod *p)
{
	const struct core_v1_pod_status *s = &p->o->status;
	p->started_ns = s->start_time;
	for (size_t i = 0; i < COND__COUNT; i++) {
		p->conds[i].type = cond_types[i];
		for (size_t k = 0; k < s->n_conditions; k++)
			if (str_eq_c(s->conditions[k].type, cond_types[i])) {
				p->conds[i].is = str_eq(s->conditions[k].status, STR("True"));
				p->conds[i].since_ns = s->conditions[k].last_transition_time;
			}
	}
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		const struct core_v1_container_status *was = status_of(c);
		if (!was)
			continue;
		if (c->id[0] && was->resources)
			ctr_applied(c, was->resources);
		if (!c->id[0] && was->container_id.n) {
			c->attempt = (uint32_t)was->restart_count + 1;
			if (was->state.terminated)
				last_take(&c->last, was->state.terminated);
		}
		if (!c->last.has && was->last_state.terminated)
			last_take(&c->last, was->last_state.terminated);
	}
	if (str_eq(s->phase, STR("Succeeded")) || str_eq(s->phase, STR("Failed"))) {
		p->finished = true;
		p->phase = s->phase.p[0] == 'S' ? "Succeeded" : "Failed";
	}
	/* Ready where it was: a restart of this process is no failure. The probes tell anew. */
	for (size_t i = 0; i < p->n_ctrs; i++) {
		const struct core_v1_container_status *was = status_of(&p->ctrs[i]);
		if (was && ctr_running(&p->ctrs[i]) && was->ready && p->ctrs[i].probes[0].ctr) {
			p->ctrs[i].started = p->ctrs[i].ready = true;
			p->ctrs[i].probes[PROBE_READINESS].count.value = true;
		}
	}
}

/* ---- the message of an end ---- */

static void
tail_of_log(struct ctr *c, const struct runtime_container *rc)
{
	_cleanup_buf_ struct buf b = BUF_INIT, text = BUF_INIT;
	(void)c;
	char path[NODE_PATH];
	if (!str_copy_c(rc->log_path, path, sizeof(path)) || disk_read_file(path, 1 << 20, &b) < 0)
		return;
	/* Lines of a CRI log: time, stream, tag, text. */
	struct str rest = str_sub(buf_view(&b), b.len > 65536 ? b.len - 65536 : 0, SIZE_MAX), line,
		   word;
	while (str_next(&rest, '\n', &line)) {
		bool ok = str_cut(line, ' ', &word, &line) && str_cut(line, ' ', &word, &line) &&
			str_cut(line, ' ', &word, &line);
		if (!ok)
			continue;
		buf_str(&text, line);
		if (str_eq(word, STR("F")))
			buf_char(&text, '\n');
	}
	struct str all = buf_view(&text);
	str_copy_c(str_sub(all, all.n > LOG_MESSAGE_MAX ? all.n - LOG_MESSAGE_MAX : 0, SIZE_MAX),
		c->message, sizeof(c->message));
}

static void
message_read(struct ctr *c, const struct runtime_container *rc)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct core_v1_container *s = ctr_spec(c);
	char path[NODE_PATH];
	if (c->message_read)
		return;
	c->message_read = true;
	c->message[0] = 0;
	if (rc->message.n) {
		str_copy_c(rc->message, c->message, sizeof(c->message));
		return;
	}
	ctr_termination_path(c, rc->attempt, path);
	if (disk_read_file(path, 1 << 20, &b) == 0 && b.len)
		str_copy_c(str_sub(buf_view(&b), 0, MESSAGE_MAX), c->message, sizeof(c->message));
	else if (s && rc->exit_code &&
		str_eq(s->termination_message_policy, STR("FallbackToLogsOnError")))
		tail_of_log(c, rc);
}

/* ---- containers ---- */

static void
put_time(struct buf *b, const char *name, int64_t ns)
{
	char text[36];
	rfc3339_format(ns, 0, text);
	buf_fmt(b, ",\"%s\":\"%s\"", name, text);
}

static void
put_text(struct buf *b, const char *name, struct str v)
{
	if (!v.n)
		return;
	buf_fmt(b, ",\"%s\":", name);
	doc_json_string(b, v);
}

static void
put_terminated(struct buf *b, const struct ctr_last *l)
{
	buf_fmt(b, "{\"terminated\":{\"exitCode\":%d", l->exit_code);
	if (l->signal)
		buf_fmt(b, ",\"signal\":%d", l->signal);
	put_text(b, "reason", str_c(l->reason));
	put_text(b, "message", str_c(l->message));
	put_time(b, "startedAt", l->started_ns ? l->started_ns : l->finished_ns);
	put_time(b, "finishedAt", l->finished_ns);
	buf_fmt(b, ",\"containerID\":\"keelson://%s\"}}", l->id);
}

const char *
ctr_waiting_reason(const struct ctr *c)
{
	bool inits = c->pod->ctrs[0].kind == CTR_INIT; /* they stand first */
	return c->reason[0] ? c->reason : inits ? "PodInitializing" : "ContainerCreating";
}

static void
put_waiting(struct buf *b, const struct ctr *c)
{
	buf_fmt(b, "{\"waiting\":{\"reason\":\"%s\"", ctr_waiting_reason(c));
	put_text(b, "message", str_c(c->detail));
	buf_cstr(b, "}}");
}

/* digest_of: the repo digest that ref asks for; of an image with several the first where ref names none. */
static struct str
digest_of(const struct runtime_image *img, struct str ref)
{
	struct str name, digest;
	bool named = str_cut(ref, '@', &name, &digest);
	for (size_t i = 0; named && i < img->n_repo_digests; i++)
		if (str_ends(img->repo_digests[i], digest))
			return img->repo_digests[i];
	return img->repo_digests[0];
}

/* Image names as the status shows them: a repo digest where there is one. */
static void
put_image(struct buf *b, const struct ctr *c, const struct core_v1_container *s)
{
	struct arena *a = arena_new(1 << 20);
	struct runtime_image img = {0};
	struct str name = s ? s->image : STR(""), id = str_c(c->image_id);
	if (a && id.n && runtime_image_find(c->pod->node->rt, id, a, &img) == 0) {
		if (img.n_repo_digests)
			id = digest_of(&img, name);
		if (img.n_repo_tags)
			name = img.repo_tags[0];
	}
	buf_cstr(b, ",\"image\":");
	doc_json_string(b, name);
	buf_cstr(b, ",\"imageID\":");
	doc_json_string(b, c->id[0] || c->last.has ? id : STR(""));
	arena_free(a);
}

static void
put_ctr(struct buf *b, struct ctr *c)
{
	struct runtime_container rc;
	const struct core_v1_container *s = ctr_spec(c);
	struct ctr_last now = {0};
	bool has = ctr_state(c, &rc), running = has && rc.state == RUNTIME_CONTAINER_RUNNING;
	bool exited = has && rc.state == RUNTIME_CONTAINER_EXITED, again = false;
	bool init_done = false;
	if (exited) {
		message_read(c, &rc);
		ctr_last_set(&now, &rc, c->message);
		again = c->reason[0] && !c->pod->stopping;
		init_done = c->kind == CTR_INIT && !ctr_is_sidecar(c) && rc.exit_code == 0;
	}
	const struct ctr_last *last = exited && again ? &now : &c->last;
	uint32_t count = has ? rc.attempt : c->attempt;
	buf_fmt(b, "{\"name\":\"%s\",\"state\":", c->name);
	if (running) {
		buf_cstr(b, "{\"running\":{\"startedAt\":");
		char text[36];
		rfc3339_format(rc.started_ns, 0, text);
		buf_fmt(b, "\"%s\"}}", text);
	} else if (exited && !again) {
		put_terminated(b, &now);
	} else if (!has && last->has && c->pod->stopping) {
		put_terminated(b, last);
	} else {
		put_waiting(b, c);
	}
	buf_cstr(b, ",\"lastState\":");
	if (last->has && !(exited && !again && strcmp(last->id, now.id) == 0))
		put_terminated(b, last);
	else
		buf_cstr(b, "{}");
	/* Nobody waits for an ephemeral one: it is never ready. */
	bool ready = running && c->ready && c->kind != CTR_EPHEMERAL;
	buf_fmt(b, ",\"ready\":%s,\"restartCount\":%u", ready || init_done ? "true" : "false",
		count);
	put_image(b, c, s);
	if (c->id[0] || last->has)
		buf_fmt(b, ",\"containerID\":\"keelson://%s\"", c->id[0] ? c->id : last->id);
	if (c->applied && c->kind != CTR_EPHEMERAL)
		buf_cstr(b, c->applied);
	if (c->kind != CTR_EPHEMERAL)
		buf_fmt(b, ",\"started\":%s", running && c->started ? "true" : "false");
	buf_char(b, '}');
}

static void
put_ctrs(struct buf *b, struct pod *p, enum ctr_kind k, const char *name)
{
	bool first = true;
	for (size_t i = 0; i < p->n_ctrs; i++) {
		if (p->ctrs[i].kind != k)
			continue;
		if (first)
			buf_fmt(b, ",\"%s\":[", name);
		else
			buf_char(b, ',');
		first = false;
		put_ctr(b, &p->ctrs[i]);
	}
	if (!first)
		buf_char(b, ']');
}

static void
put_ephemerals(struct buf *b, struct pod *p)
{
	for (struct ctr *c = p->ephemerals; c; c = c->next) {
		buf_cstr(b, c == p->ephemerals ? ",\"ephemeralContainerStatuses\":[" : ",");
		put_ctr(b, c);
	}
	if (p->ephemerals)
		buf_char(b, ']');
}

/* ---- phase and conditions ---- */

static const char *
phase_now(struct pod *p)
{
	struct phase_in v[256];
	size_t n = 0;
	if (p->finished)
		return p->phase;
	if (p->end_reason[0])
		return "Failed";
	for (size_t i = 0; i < p->n_ctrs && n < ARRAY_LEN(v); i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		bool has = ctr_state(c, &rc);
		v[n++] = (struct phase_in){.restarts = ctr_is_sidecar(c),
			.init = c->kind == CTR_INIT,
			.created = has || c->last.has,
			.running = has && rc.state == RUNTIME_CONTAINER_RUNNING,
			.exited = has && rc.state == RUNTIME_CONTAINER_EXITED,
			.again = c->again,
			.exit_code = has ? rc.exit_code : 0};
	}
	return pod_phase(v, n, p->o->spec.restart_policy, p->stopping);
}

static void
put_cond(struct buf *b, struct pod *p, size_t k, bool is, const char *reason, struct str message)
{
	struct pod_cond *c = &p->conds[k];
	if (!c->since_ns || c->is != is)
		c->since_ns = clock_wall_ns();
	c->is = is;
	buf_fmt(b, "%s{\"type\":\"%s\",\"status\":\"%s\"", k ? "," : "", cond_types[k],
		is ? "True" : "False");
	buf_fmt(b, ",\"observedGeneration\":%lld", (long long)p->generation);
	buf_cstr(b, ",\"lastProbeTime\":null");
	put_time(b, "lastTransitionTime", c->since_ns);
	if (!is && reason) {
		put_text(b, "reason", str_c(reason));
		if (message.n)
			put_text(b, "message", message);
		else
			buf_cstr(b, ",\"message\":null");
	} else {
		/* A member that is not named would keep its old value. */
		buf_cstr(b, ",\"reason\":null,\"message\":null");
	}
	buf_char(b, '}');
}

static bool
gates_open(const struct pod *p, struct buf *why)
{
	const struct core_v1_pod *o = p->o;
	for (size_t i = 0; i < o->spec.n_readiness_gates; i++) {
		bool is = false, there = false;
		struct str type = o->spec.readiness_gates[i].condition_type;
		for (size_t k = 0; k < o->status.n_conditions; k++)
			if (str_eq(o->status.conditions[k].type, type)) {
				there = true;
				is = str_eq(o->status.conditions[k].status, STR("True"));
			}
		if (is)
			continue;
		if (there)
			buf_fmt(why,
				"the status of pod readiness gate \"" STR_FMT
				"\" is not \"True\", but False",
				STR_ARG(type));
		else
			buf_fmt(why,
				"corresponding condition of pod readiness gate \"" STR_FMT
				"\" does not exist.",
				STR_ARG(type));
		return false;
	}
	return true;
}

static void
put_conds(struct buf *b, struct pod *p)
{
	_cleanup_buf_ struct buf unready = BUF_INIT, uninit = BUF_INIT, gates = BUF_INIT;
	bool done = strcmp(p->phase, "Succeeded") == 0, began = false;
	bool initialized = true, ready = true;
	for (size_t i = 0; i < p->n_ctrs; i++)
		began = began || (p->ctrs[i].kind == CTR_MAIN && p->ctrs[i].id[0]);
	for (size_t i = 0; i < p->n_ctrs; i++) {
		struct ctr *c = &p->ctrs[i];
		struct runtime_container rc;
		bool has = ctr_state(c, &rc);
		if (c->kind == CTR_INIT) {
			bool good = ctr_is_sidecar(c)
				? c->started
				: has && rc.state == RUNTIME_CONTAINER_EXITED && rc.exit_code == 0;
			if (!good && !began && !done) {
				buf_fmt(&uninit, "%s%s", uninit.len ? " " : "", c->name);
				initialized = false;
			}
			continue;
		}
		if (!(has && rc.state == RUNTIME_CONTAINER_RUNNING && c->ready)) {
			buf_fmt(&unready, "%s%s", unready.len ? " " : "", c->name);
			ready = false;
		}
	}
	_cleanup_buf_ struct buf m1 = BUF_INIT, m2 = BUF_INIT;
	buf_fmt(&m1, "containers with unready status: [" STR_FMT "]", STR_ARG(buf_view(&unready)));
	buf_fmt(&m2, "containers with incomplete status: [" STR_FMT "]",
		STR_ARG(buf_view(&uninit)));
	const char *why = done                    ? "PodCompleted"
		: strcmp(p->phase, "Failed") == 0 ? "PodFailed"
						  : "ContainersNotReady";
	struct str text = strcmp(why, "ContainersNotReady") == 0 ? buf_view(&m1) : STR("");
	bool open = gates_open(p, &gates);
	buf_cstr(b, "\"conditions\":[");
	put_cond(b, p, COND_SANDBOX, p->net_up && !p->sandbox_down, NULL, STR(""));
	put_cond(b, p, COND_INITIALIZED, initialized || done, "ContainersNotInitialized",
		buf_view(&m2));
	if (done)
		put_cond(b, p, COND_READY, false, why, STR(""));
	else if (ready && !open)
		put_cond(b, p, COND_READY, false, "ReadinessGatesNotReady", buf_view(&gates));
	else
		put_cond(b, p, COND_READY, ready, why, text);
	put_cond(b, p, COND_CONTAINERS, ready, why, text);
	put_cond(b, p, COND_SCHEDULED, true, NULL, STR(""));
	resize_put_conds(b, p);
	buf_char(b, ']');
}

static void
put_ips(struct buf *b, const struct pod *p)
{
	const struct node_facts *f = &p->node->facts;
	const struct core_v1_pod_status *was = &p->o->status;
	char text[IP_TEXT_MAX];
	const struct {
		const char *one, *many;
		const struct ip_addr *v;
		size_t n;
		size_t n_was;
	} rows[] = {{"hostIP", "hostIPs", f->ips, f->n_ips, was->n_host_ips},
		{"podIP", "podIPs", p->ips, p->n_ips, was->n_pod_ips}};
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		if (rows[r].n == 0)
			continue;
		ip_format(&rows[r].v[0], text);
		buf_fmt(b, ",\"%s\":\"%s\",\"%s\":[", rows[r].one, text, rows[r].many);
		for (size_t i = 0; i < rows[r].n; i++) {
			ip_format(&rows[r].v[i], text);
			buf_fmt(b, "%s{\"ip\":\"%s\"}", i ? "," : "", text);
		}
		/* The list merges by address: what is no more has to be taken out. */
		for (size_t i = 0; i < rows[r].n_was; i++) {
			struct str ip = r == 0 ? was->host_ips[i].ip : was->pod_ips[i].ip;
			struct ip_addr old;
			bool stays = ip_parse(ip, &old) < 0;
			for (size_t k = 0; k < rows[r].n; k++)
				stays = stays || ip_eq(&old, &rows[r].v[k]);
			if (!stays)
				buf_fmt(b, ",{\"$patch\":\"delete\",\"ip\":\"" STR_FMT "\"}",
					STR_ARG(ip));
		}
		buf_char(b, ']');
	}
}

/* ---- sending ---- */

static void
on_patch_timer(struct loop_timer *t)
{
	pod_sync_later(t->arg);
}

static void
on_patched(void *arg, const struct client_result *r)
{
	struct pod *p = arg;
	struct arena *a = r->http == 200 ? arena_new(4 << 20) : NULL;
	struct doc *d = NULL;
	p->patching = false;
	p->node->patching--;
	if (a && doc_parse_json(a, r->body, NULL, &d, NULL) == 0)
		str_to_u64(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")),
			&p->told_rv);
	arena_free(a);
	if (r->http == 200 && p->marks[MARK_SENT] && !p->marks[MARK_TOLD]) {
		pod_mark(p, MARK_TOLD);
		pod_marks_tell(p);
	}
	pod_status_seen(p);
	bool told = r->http == 200 || r->http == 404 || r->http == 409;
	if (!told)
		log_warn("status of pod %s/%s: %s", p->ns, p->name, r->e.msg);
	/* What is refused as it is would be refused again: it counts as said until there is something else. */
	if (!told && r->http != 422) {
		buf_clear(&p->sent);
		loop_timer_after(p->node->loop, &p->patch_timer, RETRY_NS);
	}
	struct pod *next = NULL;
	while (p->node->patching < PATCHES_MAX && (next = pod_queue_take(p->node, QUEUE_STATUS)))
		pod_status_update(next);
	pod_op_end(p);
}

bool
pod_status_settled(const struct pod *p)
{
	return !p->patching && p->sent.len && !p->patch_again;
}

/* The node was thought lost: its pods were written off as not ready. */
void
pod_status_seen(struct pod *p)
{
	if (p->patching || p->ref->rv <= p->told_rv)
		return; /* on_patched looks again; older than the last word */
	for (size_t i = 0; i < COND__COUNT; i++)
		if (condition_lost(&p->o->status, str_c(cond_types[i]), p->conds[i].is))
			buf_clear(&p->sent);
}

void
pod_status_update(struct pod *p)
{
	if (!p->o || p->gone || p->cleaning || p->cleaned || p->removing || pod_turn_awaited(p) ||
		(p->stopping && p->sandbox_down && !p->sandbox[0] && p->sent.len &&
			p->o->metadata.deletion_timestamp))
		return;
	_cleanup_buf_ struct buf b = BUF_INIT;
	p->phase = phase_now(p);
	buf_fmt(&b, "{\"metadata\":{\"uid\":\"%s\"},\"status\":{", p->uid);
	put_conds(&b, p);
	buf_fmt(&b, ",\"phase\":\"%s\",\"observedGeneration\":%lld,\"qosClass\":\"%s\"", p->phase,
		(long long)p->generation, qos_name(pod_qos(&p->o->spec)));
	put_text(&b, "reason", str_c(p->end_reason));
	put_text(&b, "message", str_c(p->end_message));
	put_time(&b, "startTime", p->started_ns);
	put_ips(&b, p);
	put_ctrs(&b, p, CTR_INIT, "initContainerStatuses");
	put_ctrs(&b, p, CTR_MAIN, "containerStatuses");
	put_ephemerals(&b, p);
	buf_cstr(&b, "}}");
	if (!p->finished &&
		(strcmp(p->phase, "Succeeded") == 0 || strcmp(p->phase, "Failed") == 0)) {
		bool busy = false;
		for (size_t i = 0; i < p->n_ctrs; i++)
			busy = busy || p->ctrs[i].op == CTR_STOPPING;
		if (!busy) {
			p->finished = true;
			pod_sync_later(p);
		}
	}
	p->patch_again = !str_eq(buf_view(&b), buf_view(&p->sent));
	if (!p->patch_again || p->patching || p->turn || b.failed ||
		loop_timer_is_set(&p->patch_timer))
		return;
	if (p->node->patching >= PATCHES_MAX) {
		pod_queue_put(p, QUEUE_STATUS, false);
		return;
	}
	p->patch_timer.fn = on_patch_timer;
	p->patch_timer.arg = p;
	struct client_req q = {.verb = CLIENT_PATCH_STRATEGIC,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = str_c(p->ns),
		.name = str_c(p->name),
		.subresource = STR("status"),
		.body = buf_view(&b)};
	if (client_call_start(p->node->api, &q, on_patched, p, NULL) < 0) {
		loop_timer_after(p->node->loop, &p->patch_timer, RETRY_NS);
		return;
	}
	p->patching = true;
	p->node->patching++;
	if (p->marks[MARK_STARTED] && strcmp(p->phase, "Running") == 0)
		pod_mark(p, MARK_SENT);
	p->patch_again = false;
	buf_clear(&p->sent);
	buf_str(&p->sent, buf_view(&b));
	pod_op_begin(p);
}
