/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * disruption: says of each PodDisruptionBudget how many of its pods may be taken away now, for the eviction
 * subresource, which spends it (api/eviction.c).
 *
 *   its pods, or it, changed -> how many are wanted -> how many are healthy -> status
 *
 * Where a share or a maximum is given the pods wanted are the replicas of those who own the pods: Deployments are in a
 * cache, anybody else is asked for its scale. When that cannot be known nothing may be disrupted.
 * A pod that was evicted counts as gone from then on, not only from when its deletion is seen; two minutes later it
 * counts again. A pod that says it is to be disrupted, and lives on for two minutes, is told it is not.
 * Source: kube-controller-manager pkg/controller/disruption. */
#include "orchestrator/control/control.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"
#include "kinds/policy_v1.h"

#include <stdlib.h>
#include <string.h>

#define GONE_NS (120 * NS_PER_SEC) /* an eviction without a deletion */
#define STALE_NS (120 * NS_PER_SEC)
#define COMPONENT STR("controllermanager")

struct disruption {
	struct control *ctl;
	struct client *c;
	struct queue *q;     /* of budgets */
	struct queue *stale; /* of pods */
	struct informer *budgets, *pods, *sets, *deployments;
};

/* An owner of pods, and how many it wants. */
struct owner {
	struct str uid;
	int32_t replicas;
	bool known;
};

/* One look at one budget. */
struct look {
	struct disruption *k;
	const struct informer_obj *o;
	struct arena *a;
	struct selector sel;
	struct owner *owners;
	size_t n_owners;
	unsigned calls;
	struct str fault; /* why nothing may be disrupted; "" = all is known */
};

struct scale_call {
	struct look *l;
	size_t owner;
	struct str pod;
};

static const struct policy_v1_pod_disruption_budget *
budget_of(const struct look *l)
{
	return l->o->obj;
}

/* ---- whose pods ---- */

static bool
selects(const struct selector *sel, const struct informer_obj *pod)
{
	const struct core_v1_pod *p = pod->obj;
	return selector_match_pairs(sel, p->metadata.labels, p->metadata.n_labels);
}

static void
add_budgets_of(struct disruption *k, const struct informer_obj *pod)
{
	const struct informer_obj *o;
	struct arena *a = NULL;
	for (size_t pos = 0;
		pod && (o = informer_index_next(k->budgets, INDEX_NS, pod->ns, &pos));) {
		const struct policy_v1_pod_disruption_budget *b = o->obj;
		struct selector sel = {0};
		if (!a && !(a = arena_new(1 << 20)))
			return;
		if (selector_from_struct(a, b->spec.selector, &sel) == 0 && selects(&sel, pod))
			queue_add(k->q, o->key);
	}
	arena_free(a);
}

/* next_pod: of those in the budget's namespace that it selects. */
static const struct core_v1_pod *
next_pod(const struct look *l, size_t *pos)
{
	const struct informer_obj *o;
	while ((o = informer_index_next(l->k->pods, INDEX_NS, l->o->ns, pos)))
		if (selects(&l->sel, o))
			return o->obj;
	return NULL;
}

/* ---- how many there should be ---- */

static void
fault(struct look *l, struct str text)
{
	if (!l->fault.n)
		l->fault = arena_str(l->a, text);
}

static struct owner *
add_owner(struct look *l, struct str uid)
{
	for (size_t i = 0; i < l->n_owners; i++)
		if (str_eq(l->owners[i].uid, uid))
			return NULL;
	struct owner *x = ARENA_PUSH(l->a, l->owners, l->n_owners);
	if (x)
		x->uid = arena_str(l->a, uid);
	return x;
}

/* cached: the owner itself, by name and uid. */
static const void *
cached(struct informer *i, struct arena *a, struct str ns,
	const struct meta_v1_owner_reference *ref)
{
	const struct informer_obj *o = informer_get(
		i, arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(ns), STR_ARG(ref->name)));
	return o && str_eq(o->uid, ref->uid) ? o->obj : NULL;
}

static void look_end(struct look *l);

static void
on_scale(void *arg, const struct client_result *r)
{
	struct scale_call *c = arg;
	struct look *l = c->l;
	struct owner *x = &l->owners[c->owner];
	struct doc *d = NULL;
	if (r->e.code && r->http != 404)
		fault(l, str_c(r->e.msg));
	if (!r->e.code && doc_parse_json(l->a, arena_str(l->a, r->body), NULL, &d, NULL) == 0 &&
		str_eq(doc_get_str(doc_get(d, STR("metadata")), STR("uid")), x->uid)) {
		x->replicas = (int32_t)doc_get_int(doc_get(d, STR("spec")), STR("replicas"), 0);
		x->known = true;
	}
	if (!x->known)
		fault(l,
			arena_fmt(l->a, "found no controllers for pod \"" STR_FMT "\"",
				STR_ARG(c->pod)));
	if (--l->calls == 0)
		look_end(l);
}

static const struct schema_kind *
scaled_kind(struct look *l, const struct meta_v1_owner_reference *ref, struct str pod)
{
	struct str group, version;
	schema_api_version_split(ref->api_version, &group, &version);
	const struct schema_kind *k = schema_kind_find(schema_builtin(), group, version, ref->kind);
	for (size_t i = 0; k && i < k->n_subs; i++)
		if (!strcmp(k->subs[i].name, "scale"))
			return k;
	if (k)
		fault(l,
			arena_fmt(l->a, "%s%s%s does not implement the scale subresource",
				k->plural, k->group[0] ? "." : "", k->group));
	else
		fault(l,
			arena_fmt(l->a, "found no controllers for pod \"" STR_FMT "\"",
				STR_ARG(pod)));
	return NULL;
}

static void
ask_scale(struct look *l, struct owner *x, const struct meta_v1_owner_reference *ref,
	const struct core_v1_pod *pod)
{
	const struct schema_kind *k = scaled_kind(l, ref, pod->metadata.name);
	struct scale_call *c = k ? ARENA_NEW(l->a, struct scale_call) : NULL;
	if (!c)
		return;
	*c = (struct scale_call){l, (size_t)(x - l->owners), arena_str(l->a, pod->metadata.name)};
	struct client_req req = {.verb = CLIENT_GET,
		.group = str_c(k->group),
		.version = str_c(k->version),
		.resource = str_c(k->plural),
		.ns = l->o->ns,
		.name = ref->name,
		.subresource = STR("scale")};
	if (client_call_start(l->k->c, &req, on_scale, c, NULL) == 0)
		l->calls++;
	else
		fault(l, STR("out of memory"));
}

static void
find_owner(struct look *l, const struct core_v1_pod *pod)
{
	const struct meta_v1_owner_reference *ref = control_owner(&pod->metadata);
	const struct apps_v1_replica_set *set = ref &&
			control_is_kind(CONTROL_REPLICASETS, ref->api_version, ref->kind)
		? cached(l->k->sets, l->a, l->o->ns, ref)
		: NULL;
	const struct meta_v1_owner_reference *above = set ? control_owner(&set->metadata) : NULL;
	const struct apps_v1_deployment *d = above &&
			control_is_kind(CONTROL_DEPLOYMENTS, above->api_version, above->kind)
		? cached(l->k->deployments, l->a, l->o->ns, above)
		: NULL;
	struct owner *x = ref ? add_owner(l, d ? d->metadata.uid : ref->uid) : NULL;
	if (!x)
		return;
	x->known = d || set;
	if (x->known)
		x->replicas = d ? d->spec.replicas : set->spec.replicas;
	else
		ask_scale(l, x, ref, pod);
}

/* wants_owners: a number of pods that stay is said by itself, anything else is a part of what is wanted. */
static bool
wants_owners(const struct policy_v1_pod_disruption_budget *b)
{
	return b->spec.max_unavailable.has || b->spec.min_available.is_str;
}

/* ---- what is said ---- */

static int64_t
disrupted_at(const struct policy_v1_pod_disruption_budget *b, struct str pod)
{
	for (size_t i = 0; i < b->status.n_disrupted_pods; i++)
		if (str_eq(b->status.disrupted_pods[i].key, pod))
			return b->status.disrupted_pods[i].value;
	return 0;
}

struct counts {
	int32_t healthy, wanted, expected, allowed;
	size_t n_disrupted;    /* that are still to go */
	int64_t again_ns;      /* when the first of these counts again; 0 = none */
	struct doc *disrupted; /* name -> when it was evicted */
	bool any, unmanaged;
};

static void
count_pods(struct look *l, struct counts *n, int64_t now_ns)
{
	const struct policy_v1_pod_disruption_budget *b = budget_of(l);
	const struct core_v1_pod *p;
	char text[40];
	n->disrupted = doc_map(l->a);
	for (size_t pos = 0; (p = next_pod(l, &pos));) {
		int64_t at = disrupted_at(b, p->metadata.name), over = at + GONE_NS;
		n->any = true;
		n->unmanaged = n->unmanaged || !control_owner(&p->metadata);
		if (!wants_owners(b))
			n->expected++;
		if (p->metadata.deletion_timestamp)
			continue;
		if (!at || over < now_ns) {
			n->healthy += pod_is_ready(p);
			continue;
		}
		rfc3339_format(at, 0, text);
		if (n->disrupted)
			doc_set_str(l->a, n->disrupted, arena_str(l->a, p->metadata.name),
				arena_str(l->a, str_c(text)));
		n->n_disrupted++;
		if (!n->again_ns || over < n->again_ns)
			n->again_ns = over;
	}
}

static void
count_wanted(struct look *l, struct counts *n)
{
	const struct policy_v1_pod_disruption_budget *b = budget_of(l);
	const struct int_or_str *max = &b->spec.max_unavailable, *min = &b->spec.min_available;
	int32_t share = 0;
	for (size_t i = 0; i < l->n_owners; i++)
		n->expected += l->owners[i].replicas;
	const struct int_or_str *said = max->has ? max : min->has ? min : NULL;
	if (said && intstr_scaled(said, n->expected, true, &share) < 0)
		fault(l, STR("invalid value for IntOrString"));
	n->wanted = max->has ? n->expected - share : share;
	if (n->wanted < 0)
		n->wanted = 0;
	n->allowed = n->healthy - n->wanted;
	if (n->expected <= 0 || n->allowed < 0)
		n->allowed = 0;
}

static const struct meta_v1_condition *
condition_of(const struct policy_v1_pod_disruption_budget *b)
{
	for (size_t i = 0; i < b->status.n_conditions; i++)
		if (str_eq_c(b->status.conditions[i].type, "DisruptionAllowed"))
			return &b->status.conditions[i];
	return NULL;
}

static const char *
reason_for(bool allowed, struct str fault_text)
{
	return fault_text.n ? "SyncFailed" : allowed ? "SufficientPods" : "InsufficientPods";
}

/* is_said: the status is just that. */
static bool
is_said(const struct look *l, const struct counts *n)
{
	const struct policy_v1_pod_disruption_budget *b = budget_of(l);
	const struct meta_v1_condition *c = condition_of(b);
	bool same = b->status.disruptions_allowed == n->allowed && c &&
		str_eq_c(c->status, n->allowed ? "True" : "False") &&
		str_eq_c(c->reason, reason_for(n->allowed > 0, l->fault)) &&
		str_eq(c->message, l->fault);
	if (l->fault.n)
		return same;
	for (size_t i = 0; same && i < b->status.n_disrupted_pods; i++)
		same = doc_get(n->disrupted, b->status.disrupted_pods[i].key) != NULL;
	return same && b->status.current_healthy == n->healthy &&
		b->status.desired_healthy == n->wanted && b->status.expected_pods == n->expected &&
		b->status.observed_generation == b->metadata.generation &&
		b->status.n_disrupted_pods == n->n_disrupted;
}

static void
put_condition(struct look *l, struct doc *st, bool allowed, int64_t seen, int64_t now_ns)
{
	const struct meta_v1_condition *was = condition_of(budget_of(l));
	struct doc *list = doc_ensure_list(l->a, st, STR("conditions")), *c = NULL;
	const char *value = allowed ? "True" : "False";
	char now[40];
	DOC_EACH (x, list)
		if (str_eq_c(doc_get_str(x, STR("type")), "DisruptionAllowed"))
			c = x;
	if (!c && list && (c = doc_map(l->a)) != NULL) {
		doc_set_str(l->a, c, STR("type"), STR("DisruptionAllowed"));
		doc_append(list, c);
	}
	if (!c)
		return;
	rfc3339_format(now_ns, 0, now);
	if (!was || !str_eq_c(was->status, value))
		doc_set_str(l->a, c, STR("lastTransitionTime"), arena_str(l->a, str_c(now)));
	doc_set_str(l->a, c, STR("status"), str_c(value));
	doc_set_str(l->a, c, STR("reason"), str_c(reason_for(allowed, l->fault)));
	doc_set_str(l->a, c, STR("message"), l->fault);
	doc_set_int(l->a, c, STR("observedGeneration"), seen);
}

static void
look_free(struct look *l, bool failed)
{
	queue_done(l->k->q, l->o->key, failed);
	informer_obj_unref(l->o);
	arena_free(l->a);
	free(l);
}

static void
on_said(void *arg, const struct client_result *r)
{
	look_free(arg, r->e.code != 0 && r->http != 404);
}

/* tell: events for people. */
static void
tell(const struct look *l, const struct counts *n)
{
	struct event_ref ref = control_ref(CONTROL_PDBS, l->o);
	if (!n->any)
		client_event(l->k->c, &ref, "Normal", "NoPods", COMPONENT, STR(""),
			"No matching pods found");
	if (n->unmanaged && wants_owners(budget_of(l)))
		client_event(l->k->c, &ref, "Warning", "UnmanagedPods", COMPONENT, STR(""),
			"Pods selected by this PodDisruptionBudget were found to be unmanaged. As a "
			"result, the status of the PDB cannot be calculated correctly, which may "
			"result in undefined behavior. To account for these pods please set "
			"\".spec.minAvailable\" field of the PDB to an integer value.");
	if (l->fault.n)
		client_event(l->k->c, &ref, "Warning", "CalculateExpectedPodCountFailed", COMPONENT,
			STR(""), "Failed to calculate the number of expected pods: " STR_FMT,
			STR_ARG(l->fault));
}

static void
say(struct look *l, const struct counts *n, int64_t now_ns)
{
	const struct policy_v1_pod_disruption_budget *b = budget_of(l);
	struct control_path path = {.resource = CONTROL_PDBS,
		.ns = l->o->ns,
		.name = l->o->name,
		.subresource = STR("status")};
	struct doc *d = schema_from_struct(l->a, control_type(CONTROL_PDBS), b);
	struct doc *st = d ? doc_ensure_map(l->a, d, STR("status")) : NULL;
	int64_t seen = l->fault.n ? b->status.observed_generation : b->metadata.generation;
	if (!st) {
		look_free(l, true);
		return;
	}
	doc_set_int(l->a, st, STR("disruptionsAllowed"), n->allowed);
	put_condition(l, st, n->allowed > 0, seen, now_ns);
	if (!l->fault.n) {
		doc_set_int(l->a, st, STR("currentHealthy"), n->healthy);
		doc_set_int(l->a, st, STR("desiredHealthy"), n->wanted);
		doc_set_int(l->a, st, STR("expectedPods"), n->expected);
		doc_set_int(l->a, st, STR("observedGeneration"), seen);
		doc_set(st, STR("disruptedPods"), n->n_disrupted ? n->disrupted : NULL);
	}
	if (control_write(l->k->c, CLIENT_UPDATE, &path, d, on_said, l) < 0)
		look_free(l, true);
}

/* look_end: all owners have answered. */
static void
look_end(struct look *l)
{
	struct counts n = {0};
	int64_t now_ns = clock_wall_ns();
	count_pods(l, &n, now_ns);
	count_wanted(l, &n);
	if (l->fault.n)
		n.allowed = 0;
	if (n.again_ns)
		queue_add_after(l->k->q, l->o->key, n.again_ns - now_ns + NS_PER_SEC);
	if (arena_failed(l->a)) {
		look_free(l, true);
	} else if (is_said(l, &n)) {
		look_free(l, false);
	} else {
		tell(l, &n);
		say(l, &n, now_ns);
	}
}

static void
on_key(void *arg, struct str key)
{
	struct disruption *k = arg;
	const struct informer_obj *o = informer_get(k->budgets, key);
	struct look *l = o ? calloc(1, sizeof(*l)) : NULL;
	const struct core_v1_pod *p;
	if (!l || !(l->a = arena_new(64u << 20))) {
		free(l);
		queue_done(k->q, key, o != NULL);
		return;
	}
	l->k = k;
	l->o = informer_obj_ref(o);
	l->calls = 1;
	if (selector_from_struct(l->a, budget_of(l)->spec.selector, &l->sel) < 0) {
		l->sel.nothing = true;
		fault(l, STR("invalid selector"));
	}
	for (size_t pos = 0; wants_owners(budget_of(l)) && (p = next_pod(l, &pos));)
		find_owner(l, p);
	if (--l->calls == 0)
		look_end(l);
}

/* ---- pods that were to be disrupted and live ---- */

/* stale_at: when the pod's condition is no more to be believed; 0: it has none that grows old. */
static int64_t
stale_at(const struct core_v1_pod *p)
{
	for (size_t i = 0; pod_is_active(p) && i < p->status.n_conditions; i++) {
		const struct core_v1_pod_condition *c = &p->status.conditions[i];
		if (str_eq_c(c->type, "DisruptionTarget") && str_eq_c(c->status, "True") &&
			!str_eq_c(c->reason, "TerminationByKubelet"))
			return c->last_transition_time + STALE_NS;
	}
	return 0;
}

static void
on_stale(void *arg, struct str key)
{
	struct disruption *k = arg;
	const struct informer_obj *o = informer_get(k->pods, key);
	int64_t at = o ? stale_at(o->obj) : 0, now_ns = clock_wall_ns();
	struct control_batch *b = at && at <= now_ns ? batch_new(k->stale, key) : NULL;
	if (!b) {
		if (at > now_ns)
			queue_add_after(k->stale, key, at - now_ns);
		if (!at || at > now_ns)
			queue_done(k->stale, key, false);
		return;
	}
	struct control_path path = {.resource = CONTROL_PODS,
		.ns = o->ns,
		.name = o->name,
		.subresource = STR("status")};
	_cleanup_buf_ struct buf body = BUF_INIT;
	char now[40];
	rfc3339_format(now_ns, 0, now);
	buf_fmt(&body,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"conditions\":[{\"type\":"
		"\"DisruptionTarget\",\"status\":\"False\",\"lastTransitionTime\":\"%s\",\"reason\":"
		"null,\"message\":null,\"observedGeneration\":%lld}]}}",
		STR_ARG(o->uid), now,
		(long long)((const struct core_v1_pod *)o->obj)->metadata.generation);
	batch_write_text(b, k->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&body));
	batch_close(b);
}

/* ---- life ---- */

static void
on_budget(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct disruption *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		queue_add(k->q, new_->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct disruption *k = arg;
	if (new_ && stale_at(new_->obj))
		queue_add(k->stale, new_->key);
	if (!control_ready(k->ctl))
		return;
	add_budgets_of(k, old);
	add_budgets_of(k, new_);
}

static void
disruption_ready(void *self)
{
	struct disruption *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->budgets, &pos));)
		queue_add(k->q, o->key);
}

static void
disruption_stop(void *self)
{
	struct disruption *k = self;
	queue_free(k->q);
	queue_free(k->stale);
	free(k);
}

static int
disruption_start(struct control *ctl, struct client *c, void **ret)
{
	struct disruption *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "disruption", 4, on_key, k);
	k->stale = queue_new(control_loop(ctl), "disruption-stale", 4, on_stale, k);
	k->budgets = control_informer(ctl, CONTROL_PDBS);
	k->pods = control_informer(ctl, CONTROL_PODS);
	k->sets = control_informer(ctl, CONTROL_REPLICASETS);
	k->deployments = control_informer(ctl, CONTROL_DEPLOYMENTS);
	*ret = k;
	if (!k->q || !k->stale || !k->budgets || !k->pods || !k->sets || !k->deployments ||
		informer_add_handler(k->budgets, on_budget, NULL, k) < 0 ||
		informer_add_handler(k->pods, on_pod, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller disruption_controller = {
	"disruption-controller", disruption_start, disruption_ready, disruption_stop};
