/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa: HorizontalPodAutoscalers: every 15 seconds each has its target's scale read, its metrics asked for one after the
 * other, and the scale set if they want another count. See hpa.h.
 *
 * A look is a run of answers: scale -> a metric -> ... -> scale set -> status written; it owns its memory, and its key is
 * in work until it ends. What is remembered between looks (history) is lost with the process, as upstream's is:
 * windows then begin anew. */
#include "orchestrator/control/hpa.h"

#include "orchestrator/control/custom_kinds.h"

#include <stdlib.h>

#define PERIOD_NS (15 * NS_PER_SEC)
#define TOLERANCE 0.1
#define SCALE_TRIES 5
#define COMPONENT STR("horizontal-pod-autoscaler")

/* What is kept of one autoscaler. */
struct known {
	struct hpa_history history;
	struct arena *a; /* of the selector */
	struct selector selector;
	bool has_selector;
	char *key;
};

struct hpas {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *hpas, *pods;
	struct custom_kinds *customs;
	struct map known; /* key -> struct known */
	struct look *looks;
};

struct look {
	struct hpas *h;
	struct look *next, **prev;
	struct arena *a;
	struct str key;
	const struct informer_obj *o; /* referenced */
	const struct autoscaling_v2_horizontal_pod_autoscaler *hpa;
	struct known *known;
	struct client_call *call;
	struct doc *was, *status;
	/* the target */
	const struct schema_kind *kind;
	struct doc *scale;
	int32_t current, told;
	unsigned tries;
	/* the metrics */
	struct hpa_ask ask;
	struct str selector;
	size_t at, failures;
	struct hpa_metric metric;
	bool fell_back;
	struct hpa_result first_failure;
	struct doc *statuses;
	int32_t proposed; /* by the metric that wants most */
	struct str proposed_by;
	/* the decision */
	int32_t wanted;
	struct str rescale_reason;
};

static void metric_next(struct look *l);

/* ---- conditions and events ---- */

static void
event(struct look *l, const char *type, const char *reason, struct str text)
{
	struct event_ref ref = control_ref(CONTROL_HPAS, l->o);
	client_event(l->h->c, &ref, type, reason, COMPONENT, STR(""), STR_FMT, STR_ARG(text));
}

static void
condition(struct look *l, const char *type, bool is, const char *reason, struct str message)
{
	struct doc *list = doc_ensure_list(l->a, l->status, STR("conditions"));
	struct doc *c = NULL;
	struct str status = str_c(is ? "True" : "False");
	DOC_EACH (x, list)
		if (str_eq_c(doc_get_str(x, STR("type")), type))
			c = x;
	if (!c && list && (c = doc_map(l->a))) {
		doc_set_str(l->a, c, STR("type"), str_c(type));
		doc_append(list, c);
	}
	if (!c)
		return;
	if (!str_eq(doc_get_str(c, STR("status")), status)) {
		char now[40];
		size_t n = rfc3339_format(clock_wall_ns(), 0, now);
		doc_set_str(l->a, c, STR("lastTransitionTime"), arena_str(l->a, str_from(now, n)));
	}
	doc_set_str(l->a, c, STR("status"), status);
	doc_set_str(l->a, c, STR("reason"), str_c(reason));
	doc_set_str(l->a, c, STR("message"), message);
}

static bool
condition_holds(const struct look *l, const char *type)
{
	DOC_EACH (x, doc_get(l->status, STR("conditions")))
		if (str_eq_c(doc_get_str(x, STR("type")), type))
			return str_eq_c(doc_get_str(x, STR("status")), "True");
	return false;
}

/* counts: what the status says of the scale and the metrics. */
static void
counts(struct look *l, int32_t desired)
{
	doc_set(l->status, STR("currentReplicas"), l->current ? doc_int(l->a, l->current) : NULL);
	doc_set_int(l->a, l->status, STR("desiredReplicas"), desired);
	doc_set_int(l->a, l->status, STR("observedGeneration"), l->hpa->metadata.generation);
	doc_set(l->status, STR("currentMetrics"),
		doc_len(l->statuses) ? doc_copy(l->a, l->statuses) : doc_null(l->a));
}

/* ---- the end ---- */

static void
look_free(struct look *l)
{
	client_call_cancel(l->call);
	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	informer_obj_unref(l->o);
	arena_free(l->a);
}

/* look_end: the status, if it is another; the key comes again in its time. */
static void
look_end(struct look *l)
{
	struct hpas *h = l->h;
	queue_add_after(h->q, l->key, PERIOD_NS);
	if (doc_equal(l->was, l->status) || arena_failed(l->a)) {
		queue_done(h->q, l->key, false);
		look_free(l);
		return;
	}
	struct control_batch *b = batch_new(h->q, l->key);
	if (b) {
		batch_write_status(b, h->c, CONTROL_HPAS, l->o, l->status);
		batch_close(b);
	}
	look_free(l);
}

/* no_scale: the target, or its scale, is not there. */
static void
no_scale(struct look *l, struct str why)
{
	event(l, "Warning", "FailedGetScale", why);
	condition(l, "AbleToScale", false, "FailedGetScale",
		arena_fmt(l->a,
			"the HPA controller was unable to get the target's current scale: " STR_FMT,
			STR_ARG(why)));
	look_end(l);
}

static struct str
answer_text(struct arena *a, const struct client_result *r, struct str resource)
{
	static const struct str nothing = STR_INIT(
		"the server could not find the requested resource");
	struct str said = str_c(r->e.msg);
	if (said.n && !str_eq(said, nothing))
		return arena_str(a, said);
	return arena_fmt(a, "the server %s (get " STR_FMT ")",
		r->http == 503           ? "is currently unable to handle the request"
			: r->http == 404 ? "could not find the requested resource"
					 : "rejected our request for an unknown reason",
		STR_ARG(resource));
}

/* ---- setting the scale ---- */

static struct client_req
scale_req(const struct look *l, enum client_verb verb, struct str body)
{
	return (struct client_req){.verb = verb,
		.group = str_c(l->kind->group),
		.version = str_c(l->kind->version),
		.resource = str_c(l->kind->plural),
		.ns = l->o->ns,
		.name = l->hpa->spec.scale_target_ref.name,
		.subresource = STR("scale"),
		.body = body};
}

static void scale_put(struct look *l);

static void
scale_refused(struct look *l, struct str why)
{
	event(l, "Warning", "FailedRescale",
		arena_fmt(l->a, "New size: %d; reason: " STR_FMT "; error: " STR_FMT, l->wanted,
			STR_ARG(l->rescale_reason), STR_ARG(why)));
	condition(l, "AbleToScale", false, "FailedUpdateScale",
		arena_fmt(l->a,
			"the HPA controller was unable to update the target scale: " STR_FMT,
			STR_ARG(why)));
	counts(l, l->hpa->status.desired_replicas);
	look_end(l);
}

static void
on_scale_again(void *arg, const struct client_result *r)
{
	struct look *l = arg;
	struct doc *d = NULL;
	l->call = NULL;
	if (!r->e.code && doc_parse_json(l->a, arena_str(l->a, r->body), NULL, &d, NULL) == 0)
		l->scale = d;
	scale_put(l);
}

static bool
about_external(const struct look *l)
{
	for (size_t i = 0; i < l->hpa->spec.n_metrics; i++)
		if (l->hpa->spec.metrics[i].object || l->hpa->spec.metrics[i].external)
			return true;
	return false;
}

static int32_t
least(const struct look *l)
{
	return l->hpa->spec.has_min_replicas ? l->hpa->spec.min_replicas : 1;
}

static void
scale_done(struct look *l)
{
	char now[40];
	bool zero = l->current > 0 && l->wanted == 0 && least(l) == 0 && about_external(l);
	condition(l, "AbleToScale", true, "SucceededRescale",
		arena_fmt(l->a, "the HPA controller was able to update the target scale to %d",
			l->wanted));
	event(l, "Normal", "SuccessfulRescale",
		arena_fmt(l->a, "New size: %d; reason: " STR_FMT, l->wanted,
			STR_ARG(l->rescale_reason)));
	hpa_history_done(
		&l->known->history, l->hpa->spec.behavior, l->current, l->wanted, clock_wall_ns());
	condition(l, "ScaledToZero", zero, zero ? "ScaledToZero" : "NotScaledToZero",
		zero ? STR("the HPA controller scaled the workload to zero")
		     : STR("the HPA controller did not scale the workload to zero"));
	counts(l, l->wanted);
	size_t n = rfc3339_format(clock_wall_ns(), 0, now);
	doc_set_str(l->a, l->status, STR("lastScaleTime"), arena_str(l->a, str_from(now, n)));
	look_end(l);
}

static void
on_scale_put(void *arg, const struct client_result *r)
{
	struct look *l = arg;
	l->call = NULL;
	if (!r->e.code) {
		scale_done(l);
		return;
	}
	struct client_req req = scale_req(l, CLIENT_GET, STR(""));
	bool again = r->http == 409 && ++l->tries < SCALE_TRIES;
	if (again && client_call_start(l->h->c, &req, on_scale_again, l, &l->call) == 0)
		return;
	scale_refused(l, answer_text(l->a, r, str_c(l->kind->plural)));
}

static void
scale_put(struct look *l)
{
	_cleanup_buf_ struct buf body = BUF_INIT;
	doc_set_int(l->a, doc_ensure_map(l->a, l->scale, STR("spec")), STR("replicas"), l->wanted);
	doc_write_json(&body, l->scale);
	struct client_req req = scale_req(l, CLIENT_UPDATE, buf_view(&body));
	int rc = body.failed ? -ENOMEM
			     : client_call_start(l->h->c, &req, on_scale_put, l, &l->call);
	if (rc < 0)
		scale_refused(l, str_c(strerror(-rc)));
}

/* ---- the decision ---- */

static void
decide(struct look *l, int32_t wanted, struct str why)
{
	l->wanted = wanted;
	l->rescale_reason = why;
	if (wanted != l->current) {
		scale_put(l);
		return;
	}
	counts(l, l->current);
	look_end(l);
}

static void
limit_and_decide(struct look *l)
{
	const struct autoscaling_v2_horizontal_pod_autoscaler_spec *spec = &l->hpa->spec;
	int32_t proposed = l->proposed > 0 ? l->proposed : 0;
	struct str why = STR("");
	struct hpa_verdict v;
	if (proposed > l->current)
		why = arena_fmt(l->a, STR_FMT " above target", STR_ARG(l->proposed_by));
	else if (proposed < l->current)
		why = STR("All metrics below target");
	hpa_limit(&l->known->history, spec, l->current, proposed, clock_wall_ns(), &v);
	condition(l, "AbleToScale", true, v.able_reason, str_c(v.able_message));
	condition(l, "ScalingLimited", v.limited, v.limit_reason, str_c(v.limit_message));
	if (l->current == 0 && least(l) != 0 && condition_holds(l, "ScaledToZero") &&
		v.replicas < least(l)) {
		v.replicas = least(l);
		why = why.n ? why : STR("Current number of replicas below Spec.MinReplicas");
	}
	decide(l, v.replicas, why);
}

/* not_computed: no count came of the metrics: everything stays. */
static void
not_computed(struct look *l, struct str why)
{
	counts(l, l->hpa->status.desired_replicas);
	event(l, "Warning", "FailedComputeMetricsReplicas", why);
	look_end(l);
}

static void
metrics_done(struct look *l)
{
	size_t n = l->hpa->spec.n_metrics;
	if (l->failures && (l->failures == n || l->proposed < l->current)) {
		condition(l, "ScalingActive", false, l->first_failure.reason.p,
			arena_fmt(l->a, "the HPA was unable to compute the replica count: " STR_FMT,
				STR_ARG(l->first_failure.cause)));
		not_computed(l,
			arena_fmt(l->a,
				"invalid metrics (%zu invalid out of %zu), first error is: " STR_FMT,
				l->failures, n, STR_ARG(l->first_failure.why)));
		return;
	}
	condition(l, "ScalingActive", true, "ValidMetricFound",
		arena_fmt(l->a,
			"the HPA was able to successfully calculate a replica count from " STR_FMT,
			STR_ARG(l->proposed_by)));
	limit_and_decide(l);
}

/* ---- pods and selectors ---- */

static void
wrong_selector(struct look *l, const char *event_reason, const char *reason, struct str said,
	struct str why)
{
	event(l, "Warning", event_reason, why);
	condition(l, "ScalingActive", false, reason, said);
	not_computed(l, why);
}

/* selector_keep: of this autoscaler, for the looks of the others. */
static bool
selector_keep(struct look *l)
{
	struct known *k = l->known;
	struct err e = {0};
	k->has_selector = false;
	arena_clear(k->a);
	if (selector_parse(k->a, arena_str(k->a, l->selector), &k->selector, &e) < 0) {
		struct str why = arena_fmt(l->a,
			"couldn't convert selector into a corresponding internal selector object: "
			"%s",
			e.msg);
		wrong_selector(l, "InvalidSelector", "InvalidSelector", why, why);
		return false;
	}
	k->has_selector = true;
	return true;
}

static bool
selects(const struct known *k, const struct core_v1_pod *p)
{
	return k->has_selector &&
		selector_match_pairs(&k->selector, p->metadata.labels, p->metadata.n_labels);
}

/* pods_take: the selected ones; one that another autoscaler selects too: that one. */
static const struct known *
pods_take(struct look *l)
{
	const struct known *other = NULL;
	const struct informer_obj *o;
	struct str ns = arena_fmt(l->a, STR_FMT "/", STR_ARG(l->o->ns));
	l->ask.pods = (struct hpa_pods){0};
	for (size_t pos = 0; (o = informer_index_next(l->h->pods, INDEX_NS, l->o->ns, &pos));) {
		const struct core_v1_pod *p = o->obj;
		struct str key;
		void *v;
		if (!selects(l->known, p))
			continue;
		const struct core_v1_pod **slot = ARENA_PUSH(l->a, l->ask.pods.v, l->ask.pods.n);
		if (slot)
			*slot = p;
		for (size_t at = 0; !other && map_next(&l->h->known, &at, &key, &v);)
			if (v != l->known && str_starts(key, ns) && selects(v, p))
				other = v;
	}
	return other;
}

/* ---- metrics ---- */

static const struct schema_kind *
kind_find(struct hpas *h, struct str api_version, struct str kind)
{
	const struct schema *s = schema_builtin();
	const struct schema_kind *k;
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	for (size_t i = 0; i < s->n_kinds; i++)
		if ((s->kinds[i]->flags & SCHEMA_KIND_SERVED) &&
			str_eq_c(group, s->kinds[i]->group) && str_eq_c(kind, s->kinds[i]->kind))
			return schema_resource_find(s, group, STR_NONE, str_c(s->kinds[i]->plural));
	for (size_t pos = 0; (k = custom_kinds_next(h->customs, &pos));)
		if (str_eq_c(group, k->group) && str_eq_c(kind, k->kind))
			return k;
	return NULL;
}

static struct str
no_kind(struct arena *a, struct str api_version, struct str kind)
{
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	return arena_fmt(a, "no matches for kind \"" STR_FMT "\" in group \"" STR_FMT "\"",
		STR_ARG(kind), STR_ARG(group));
}

/* metric_over: what the metric comes to; then the next. list: NULL = why not. */
static void
metric_over(struct look *l, const struct doc *list, struct str why)
{
	const struct autoscaling_v2_metric_spec *m = &l->hpa->spec.metrics[l->at++];
	struct hpa_result r;
	l->ask.now_ns = clock_wall_ns();
	pods_take(l); /* as they are now: the cache went on while the answer was under way */
	hpa_metric_answer(&l->ask, m, l->o->ns, list, why, &r);
	struct doc *status = r.status && !r.why.n ? r.status : doc_map(l->a);
	if (r.why.n) {
		event(l, "Warning", r.reason.p, r.cause);
		if (!l->failures++)
			l->first_failure = r;
		doc_set_str(l->a, status, STR("type"), STR(""));
	} else if (l->proposed <= 0 || r.proposal.replicas > l->proposed) {
		l->proposed = r.proposal.replicas;
		l->proposed_by = r.name;
	}
	doc_append(l->statuses, status);
	metric_next(l);
}

static void
on_metric(void *arg, const struct client_result *r)
{
	struct look *l = arg;
	struct doc *d = NULL;
	l->call = NULL;
	if (r->http == 404 && l->metric.fallback.n && !l->fell_back) {
		struct client_req req = {.verb = CLIENT_GET, .raw = l->metric.fallback};
		l->fell_back = true;
		if (client_call_start(l->h->c, &req, on_metric, l, &l->call) == 0)
			return;
	}
	if (r->e.code || r->http != 200)
		metric_over(l, NULL, answer_text(l->a, r, l->metric.resource));
	else if (doc_parse_json(l->a, arena_str(l->a, r->body), NULL, &d, NULL) < 0)
		metric_over(l, NULL, STR("the answer is no JSON"));
	else
		metric_over(l, d, STR(""));
}

static void
metric_next(struct look *l)
{
	if (l->at == l->hpa->spec.n_metrics) {
		metrics_done(l);
		return;
	}
	const struct autoscaling_v2_metric_spec *m = &l->hpa->spec.metrics[l->at];
	struct str object = STR("");
	if (m->object) {
		const struct autoscaling_v2_cross_version_object_reference
			*o = &m->object->described_object;
		const struct schema_kind *k = kind_find(l->h, o->api_version, o->kind);
		if (!k) {
			metric_over(l, NULL, no_kind(l->a, o->api_version, o->kind));
			return;
		}
		object = k->group[0] ? arena_fmt(l->a, "%s.%s", k->plural, k->group)
				     : str_c(k->plural);
	}
	l->fell_back = false;
	hpa_metric_ask(l->a, m, l->o->ns, l->selector, object, &l->metric);
	struct client_req req = {.verb = CLIENT_GET, .raw = l->metric.path};
	if (!l->metric.path.n)
		metric_over(l, NULL, STR(""));
	else if (client_call_start(l->h->c, &req, on_metric, l, &l->call) < 0)
		metric_over(l, NULL, STR("out of memory"));
}

static void
metrics_begin(struct look *l)
{
	const struct known *other;
	struct str own_ns, own, other_ns, name;
	l->ask.a = l->a;
	l->ask.current = l->current;
	l->ask.told = l->told;
	if (!l->selector.n) {
		wrong_selector(l, "SelectorRequired", "InvalidSelector",
			STR("the HPA target's scale is missing a selector"),
			STR("selector is required"));
		return;
	}
	if (!selector_keep(l))
		return;
	if ((other = pods_take(l))) {
		str_cut(l->key, '/', &own_ns, &own);
		str_cut(str_c(other->key), '/', &other_ns, &name);
		struct str why = arena_fmt(l->a,
			"pods by selector " STR_FMT
			" are controlled by more than one HPA (e.g. [{" STR_FMT " " STR_FMT
			"} {" STR_FMT " " STR_FMT "}])",
			STR_ARG(l->selector), STR_ARG(own), STR_ARG(own_ns), STR_ARG(name),
			STR_ARG(other_ns));
		wrong_selector(l, "AmbiguousSelector", "AmbiguousSelector", why, why);
		return;
	}
	metric_next(l);
}

/* ---- the scale ---- */

static void
on_scale(void *arg, const struct client_result *r)
{
	struct look *l = arg;
	l->call = NULL;
	if (r->e.code) {
		no_scale(l, answer_text(l->a, r, str_c(l->kind->plural)));
		return;
	}
	if (doc_parse_json(l->a, arena_str(l->a, r->body), NULL, &l->scale, NULL) < 0) {
		no_scale(l, STR("the answer is no JSON"));
		return;
	}
	const struct doc *status = doc_get(l->scale, STR("status"));
	l->current = (int32_t)doc_get_int(doc_get(l->scale, STR("spec")), STR("replicas"), 0);
	l->told = (int32_t)doc_get_int(status, STR("replicas"), 0);
	l->selector = doc_get_str(status, STR("selector"));
	condition(l, "AbleToScale", true, "SucceededGetScale",
		STR("the HPA controller was able to get the target's current scale"));
	hpa_history_begin(&l->known->history, l->current, clock_wall_ns());
	if (l->current == 0) {
		bool zeroed = condition_holds(l, "ScaledToZero");
		if (zeroed && (least(l) != 0 || about_external(l))) {
			metrics_begin(l);
			return;
		}
		condition(l, "ScalingActive", false, "ScalingDisabled",
			STR("scaling is disabled since the replica count of the target is zero"));
		decide(l, 0, STR(""));
	} else if (l->current > l->hpa->spec.max_replicas) {
		decide(l, l->hpa->spec.max_replicas,
			STR("Current number of replicas above Spec.MaxReplicas"));
	} else if (l->current < least(l)) {
		decide(l, least(l), STR("Current number of replicas below Spec.MinReplicas"));
	} else {
		metrics_begin(l);
	}
}

static void
scale_get(struct look *l)
{
	const struct autoscaling_v2_cross_version_object_reference *t = &l->hpa->spec
										 .scale_target_ref;
	l->kind = kind_find(l->h, t->api_version, t->kind);
	if (!l->kind) {
		no_scale(l, no_kind(l->a, t->api_version, t->kind));
		return;
	}
	struct client_req req = scale_req(l, CLIENT_GET, STR(""));
	if (client_call_start(l->h->c, &req, on_scale, l, &l->call) < 0)
		no_scale(l, STR("the server could not find the requested resource"));
}

/* ---- a look ---- */

static double
tolerance(const struct autoscaling_v2_hpa_scaling_rules *r)
{
	struct quantity q;
	if (!r || !r->tolerance.n || quantity_parse(r->tolerance, &q) < 0)
		return TOLERANCE;
	return (double)q.nano / 1e9;
}

static void
known_drop(struct hpas *h, struct str key)
{
	struct known *k = map_del(&h->known, key);
	if (!k)
		return;
	hpa_history_release(&k->history);
	arena_free(k->a);
	free(k->key);
	free(k);
}

static struct known *
known_get(struct hpas *h, struct str key)
{
	struct known *k = map_get(&h->known, key);
	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->a = arena_new(1 << 16);
	k->key = strndup(key.p, key.n);
	if (k->a && k->key && map_put(&h->known, key, k, NULL) == 0)
		return k;
	arena_free(k->a);
	free(k->key);
	free(k);
	return NULL;
}

static void
on_key(void *arg, struct str key)
{
	struct hpas *h = arg;
	const struct informer_obj *o = informer_get(h->hpas, key);
	struct known *k = o ? known_get(h, key) : NULL;
	struct arena *a = k ? arena_new(0) : NULL;
	struct look *l = a ? ARENA_NEW(a, struct look) : NULL;
	if (!l) {
		if (!o)
			known_drop(h, key);
		arena_free(a);
		queue_done(h->q, key, o != NULL);
		return;
	}
	l->h = h;
	l->a = a;
	l->key = arena_str(a, key);
	l->o = informer_obj_ref(o);
	l->hpa = o->obj;
	l->known = k;
	l->next = h->looks;
	l->prev = &h->looks;
	if (l->next)
		l->next->prev = &l->next;
	h->looks = l;
	const struct autoscaling_v2_horizontal_pod_autoscaler_behavior *b = l->hpa->spec.behavior;
	l->ask.tolerance = (struct hpa_tolerance){
		tolerance(b ? b->scale_down : NULL), tolerance(b ? b->scale_up : NULL)};
	l->was = schema_from_struct(a,
		SCHEMA_TYPE_OF(autoscaling_v2_horizontal_pod_autoscaler_status), &l->hpa->status);
	l->status = l->was ? doc_copy(a, l->was) : NULL;
	l->statuses = doc_list(a);
	if (!l->status || arena_failed(a)) {
		queue_done(h->q, key, true);
		look_free(l);
		return;
	}
	scale_get(l);
}

static void
on_hpa(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct hpas *h = arg;
	const struct autoscaling_v2_horizontal_pod_autoscaler *was = old ? old->obj : NULL;
	const struct autoscaling_v2_horizontal_pod_autoscaler *is = new_ ? new_->obj : NULL;
	/* What is written of the status is no reason to look again at once. */
	if (was && is && was->metadata.generation == is->metadata.generation)
		return;
	if (new_)
		queue_add(h->q, new_->key);
	else if (old)
		queue_add(h->q, old->key);
}

static void
hpas_stop(void *self)
{
	struct hpas *h = self;
	struct str key;
	void *v;
	while (h->looks)
		look_free(h->looks);
	queue_free(h->q);
	custom_kinds_free(h->customs);
	for (size_t pos = 0; map_next(&h->known, &pos, &key, &v);)
		known_drop(h, key);
	map_release(&h->known);
	free(h);
}

static int
hpas_start(struct control *ctl, struct client *c, void **ret)
{
	struct hpas *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->ctl = ctl;
	h->c = c;
	map_init(&h->known);
	h->q = queue_new(control_loop(ctl), "hpa", 5, on_key, h);
	h->hpas = control_informer(ctl, CONTROL_HPAS);
	h->pods = control_informer(ctl, CONTROL_PODS);
	*ret = h;
	if (!h->q || !h->hpas || !h->pods)
		return -ENOMEM;
	int rc = custom_kinds_new(control_reader(ctl), NULL, NULL, &h->customs);
	return rc < 0 ? rc : informer_add_handler(h->hpas, on_hpa, NULL, h);
}

const struct controller hpa_controller = {"horizontal-pod-autoscaler", hpas_start, NULL, hpas_stop};
