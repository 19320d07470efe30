/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * deployment_status: what a Deployment's status says: counts, and the conditions Available, Progressing,
 * ReplicaFailure with upstream's reasons and texts (kubectl rollout status reads them). */
#include "orchestrator/control/deployment.h"

struct counts {
	int32_t replicas, updated, ready, available, unavailable, terminating;
};

static void
add_set(struct counts *k, const struct apps_v1_replica_set *rs)
{
	k->replicas += rs->status.replicas;
	k->ready += rs->status.ready_replicas;
	k->available += rs->status.available_replicas;
	k->terminating += rs->status.terminating_replicas;
}

static struct counts
count(const struct rollout *x)
{
	struct counts k = {0};
	int32_t wanted = 0;
	for (size_t i = 0; i < x->n_olds; i++) {
		add_set(&k, x->olds[i].rs);
		wanted += x->olds[i].rs->spec.replicas;
	}
	if (x->now) {
		add_set(&k, x->now->rs);
		k.updated = x->now->rs->status.replicas;
		wanted += x->now->rs->spec.replicas;
	}
	k.unavailable = wanted > k.available ? wanted - k.available : 0;
	return k;
}

bool
rollout_complete(const struct rollout *x)
{
	struct counts k = count(x);
	return x->now && k.updated == x->d->spec.replicas && k.replicas == x->d->spec.replicas &&
		k.available == x->d->spec.replicas &&
		x->d->status.observed_generation >= x->d->metadata.generation;
}

static const struct apps_v1_deployment_condition *
condition(const struct apps_v1_deployment *d, struct str type)
{
	for (size_t i = 0; i < d->status.n_conditions; i++)
		if (str_eq(d->status.conditions[i].type, type))
			return &d->status.conditions[i];
	return NULL;
}

struct wanted {
	struct str type;
	bool on, present;
	struct str status, reason, message;
	bool touch; /* lastUpdateTime moves although nothing else does */
};

static void
put_condition(struct buf *b, const struct rollout *x, const struct wanted *w, bool *first)
{
	const struct apps_v1_deployment_condition *was = condition(x->d, w->type);
	char update[40], transition[40];
	int64_t now = clock_wall_ns();
	bool same_status = was && str_eq(was->status, w->status);
	bool same = same_status && str_eq(was->reason, w->reason) && !w->touch;
	rfc3339_format(same ? was->last_update_time : now, 0, update);
	rfc3339_format(same_status ? was->last_transition_time : now, 0, transition);
	buf_fmt(b,
		"%s{\"type\":\"" STR_FMT "\",\"status\":\"" STR_FMT "\",\"lastUpdateTime\":\"%s\","
		"\"lastTransitionTime\":\"%s\",\"reason\":\"" STR_FMT "\",\"message\":",
		*first ? "" : ",", STR_ARG(w->type), STR_ARG(w->status), update, transition,
		STR_ARG(w->reason));
	doc_json_string(b, w->message);
	buf_char(b, '}');
	*first = false;
}

static struct wanted
want_available(const struct rollout *x, const struct counts *k)
{
	int32_t surge, unavailable;
	rollout_bounds(x->d, &surge, &unavailable);
	bool ok = k->available >= x->d->spec.replicas - unavailable;
	return (struct wanted){.type = STR("Available"),
		.present = true,
		.status = ok ? STR("True") : STR("False"),
		.reason = ok ? STR("MinimumReplicasAvailable") : STR("MinimumReplicasUnavailable"),
		.message = ok ? STR("Deployment has minimum availability.")
			      : STR("Deployment does not have minimum availability.")};
}

static bool
progressing(const struct rollout *x, const struct counts *k)
{
	const struct apps_v1_deployment_status *st = &x->d->status;
	return k->updated > st->updated_replicas ||
		k->replicas - k->updated < st->replicas - st->updated_replicas ||
		k->ready > st->ready_replicas || k->available > st->available_replicas;
}

static struct wanted
want_progressing(struct rollout *x, const struct counts *k)
{
	const struct apps_v1_deployment_condition *was = condition(x->d, STR("Progressing"));
	struct str set = x->now ? x->now->o->name : x->o->name;
	const char *what = x->now ? "ReplicaSet" : "Deployment";
	struct wanted w = {.type = STR("Progressing"), .present = true, .status = STR("True")};
	if (was)
		w = (struct wanted){STR("Progressing"), true, true, was->status, was->reason,
			was->message, false};
	/* 0 or the largest number: no deadline */
	bool deadline = x->d->spec.has_progress_deadline_seconds &&
		x->d->spec.progress_deadline_seconds != INT32_MAX;
	if (!deadline) {
		w.present = false;
		return w;
	}
	bool complete = x->now && k->updated == x->d->spec.replicas &&
		k->replicas == x->d->spec.replicas && k->available == x->d->spec.replicas;
	if (complete) {
		w.status = STR("True");
		w.reason = STR("NewReplicaSetAvailable");
		w.message = arena_fmt(x->a, "%s \"" STR_FMT "\" has successfully progressed.", what,
			STR_ARG(set));
		return w;
	}
	if (x->d->spec.paused) {
		if (!was || !str_eq(was->reason, STR("ProgressDeadlineExceeded"))) {
			w.status = STR("Unknown");
			w.reason = STR("DeploymentPaused");
			w.message = STR("Deployment is paused");
		}
		return w;
	}
	if (!was || progressing(x, k) || str_eq(was->reason, STR("DeploymentPaused")) ||
		(str_eq(was->reason, STR("NewReplicaSetAvailable")) && x->now)) {
		bool created = !was;
		w.status = STR("True");
		w.reason = created ? STR("NewReplicaSetCreated") : STR("ReplicaSetUpdated");
		w.message = created
			? arena_fmt(x->a, "Created new replica set \"" STR_FMT "\"", STR_ARG(set))
			: arena_fmt(x->a, "%s \"" STR_FMT "\" is progressing.", what, STR_ARG(set));
		w.touch = progressing(x, k);
		x->check_in_ns = x->d->spec.progress_deadline_seconds * NS_PER_SEC;
		return w;
	}
	if (str_eq(was->reason, STR("ProgressDeadlineExceeded")))
		return w;
	int64_t left = was->last_update_time + x->d->spec.progress_deadline_seconds * NS_PER_SEC -
		clock_wall_ns();
	if (left > 0) {
		x->check_in_ns = left;
		return w;
	}
	w.status = STR("False");
	w.reason = STR("ProgressDeadlineExceeded");
	w.message = arena_fmt(
		x->a, "%s \"" STR_FMT "\" has timed out progressing.", what, STR_ARG(set));
	return w;
}

static struct wanted
want_failure(const struct rollout *x, struct str set_error)
{
	struct wanted w = {.type = STR("ReplicaFailure"),
		.status = STR("True"),
		.reason = STR("FailedCreate"),
		.message = set_error};
	w.present = set_error.n > 0;
	for (size_t i = 0; !w.present && i <= x->n_olds; i++) {
		const struct rollout_set *s = i == 0 ? x->now : &x->olds[i - 1];
		for (size_t k = 0; s && k < s->rs->status.n_conditions; k++) {
			const struct apps_v1_replica_set_condition *c = &s->rs->status
										 .conditions[k];
			if (!str_eq(c->type, STR("ReplicaFailure")))
				continue;
			w.present = true;
			w.reason = c->reason;
			w.message = c->message;
		}
	}
	return w;
}

static bool
same_condition(const struct rollout *x, const struct wanted *w)
{
	const struct apps_v1_deployment_condition *was = condition(x->d, w->type);
	if (!w->present)
		return !was;
	return was && !w->touch && str_eq(was->status, w->status) &&
		str_eq(was->reason, w->reason) && str_eq(was->message, w->message);
}

void
rollout_status(struct rollout *x, struct str set_error)
{
	struct counts k = count(x);
	const struct apps_v1_deployment_status *st = &x->d->status;
	const struct wanted w[] = {
		want_available(x, &k), want_progressing(x, &k), want_failure(x, set_error)};
	bool same = st->observed_generation == x->d->metadata.generation &&
		st->replicas == k.replicas && st->updated_replicas == k.updated &&
		st->ready_replicas == k.ready && st->available_replicas == k.available &&
		st->unavailable_replicas == k.unavailable && st->has_terminating_replicas &&
		st->terminating_replicas == k.terminating;
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		same = same && same_condition(x, &w[i]);
	if (same)
		return;
	struct buf b;
	bool first = true;
	buf_init_arena(&b, x->a);
	buf_fmt(&b,
		"{\"metadata\":{\"uid\":\"" STR_FMT "\"},\"status\":{\"observedGeneration\":%lld,"
		"\"replicas\":%d,\"updatedReplicas\":%d,\"readyReplicas\":%d,\"availableReplicas\":%d,"
		"\"unavailableReplicas\":%d,\"terminatingReplicas\":%d,\"conditions\":[",
		STR_ARG(x->o->uid), (long long)x->d->metadata.generation, k.replicas, k.updated,
		k.ready, k.available, k.unavailable, k.terminating);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		if (w[i].present)
			put_condition(&b, x, &w[i], &first);
	buf_cstr(&b, "]}}");
	struct control_path path = {.resource = CONTROL_DEPLOYMENTS,
		.ns = x->o->ns,
		.name = x->o->name,
		.subresource = STR("status"),
		.onto = x->o};
	if (!b.failed)
		batch_write_text(x->b, x->dc->c, CLIENT_PATCH_MERGE, &path, buf_view(&b));
}
