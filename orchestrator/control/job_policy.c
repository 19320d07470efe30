/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job_policy: what the end of a pod means for its Job: does it count, does it end the Job, when may the next pod
 * begin; and whether enough indexes have succeeded. */
#include "orchestrator/control/job.h"

#define WAIT_MIN_NS (10 * NS_PER_SEC)
#define WAIT_MAX_NS (600 * NS_PER_SEC)

bool
job_replaces_ended(const struct batch_v1_job *j)
{
	return str_eq(j->spec.pod_replacement_policy, STR("Failed"));
}

bool
job_pod_failed(const struct batch_v1_job *j, const struct core_v1_pod *p)
{
	if (str_eq(p->status.phase, STR("Failed")))
		return true;
	return !job_replaces_ended(j) && pod_is_terminating(p);
}

/* ---- failures ---- */

static const struct core_v1_container_status *
exited(const struct core_v1_container_status *v, size_t n,
	const struct batch_v1_pod_failure_policy_on_exit_codes_requirement *want)
{
	for (size_t i = 0; i < n; i++) {
		const struct core_v1_container_state_terminated *t = v[i].state.terminated;
		if (!t || !t->exit_code ||
			(want->container_name.p && !str_eq(want->container_name, v[i].name)))
			continue;
		bool named = false;
		for (size_t k = 0; k < want->n_values; k++)
			named = named || want->values[k] == t->exit_code;
		if (named == str_eq(want->operator, STR("In")))
			return &v[i];
	}
	return NULL;
}

static const struct core_v1_pod_condition *
has_condition(const struct core_v1_pod *p, const struct batch_v1_pod_failure_policy_rule *r)
{
	for (size_t i = 0; i < p->status.n_conditions; i++)
		for (size_t k = 0; k < r->n_on_pod_conditions; k++)
			if (str_eq(p->status.conditions[i].type, r->on_pod_conditions[k].type) &&
				str_eq(p->status.conditions[i].status,
					r->on_pod_conditions[k].status))
				return &p->status.conditions[i];
	return NULL;
}

struct str
job_failure(struct arena *a, const struct batch_v1_job *j, const struct core_v1_pod *p,
	struct str *ret_message)
{
	const struct batch_v1_pod_failure_policy *policy = j->spec.pod_failure_policy;
	for (size_t i = 0; policy && i < policy->n_rules; i++) {
		const struct batch_v1_pod_failure_policy_rule *r = &policy->rules[i];
		const struct core_v1_container_status *c = NULL;
		const struct core_v1_pod_condition *k = NULL;
		if (r->on_exit_codes) {
			c = exited(p->status.container_statuses, p->status.n_container_statuses,
				r->on_exit_codes);
			if (!c)
				c = exited(p->status.init_container_statuses,
					p->status.n_init_container_statuses, r->on_exit_codes);
		} else {
			k = has_condition(p, r);
		}
		if (!c && !k)
			continue;
		if (ret_message && str_eq(r->action, STR("FailJob")))
			*ret_message = c
				? arena_fmt(a,
					  "Container " STR_FMT " for pod " STR_FMT "/" STR_FMT
					  " failed with exit code %d matching " STR_FMT
					  " rule at index %zu",
					  STR_ARG(c->name), STR_ARG(p->metadata.namespace),
					  STR_ARG(p->metadata.name), c->state.terminated->exit_code,
					  STR_ARG(r->action), i)
				: arena_fmt(a,
					  "Pod " STR_FMT "/" STR_FMT " has condition " STR_FMT
					  " matching " STR_FMT " rule at index %zu",
					  STR_ARG(p->metadata.namespace), STR_ARG(p->metadata.name),
					  STR_ARG(k->type), STR_ARG(r->action), i);
		return r->action;
	}
	return STR("");
}

bool
job_failure_counts(const struct batch_v1_job *j, const struct core_v1_pod *p)
{
	return !str_eq(job_failure(NULL, j, p, NULL), STR("Ignore"));
}

/* ---- success ---- */

int
job_success(struct arena *a, const struct batch_v1_job *j, struct intervals done)
{
	const struct batch_v1_success_policy *policy = j->spec.success_policy;
	for (size_t i = 0; policy && done.n && i < policy->n_rules; i++) {
		const struct batch_v1_success_policy_rule *r = &policy->rules[i];
		int32_t have = intervals_total(done), need = r->succeeded_count;
		if (r->succeeded_indexes.p) {
			struct intervals named = intervals_parse(
				a, r->succeeded_indexes, j->spec.completions);
			if (!named.n)
				continue;
			have = intervals_common(named, done);
			if (!r->has_succeeded_count)
				need = intervals_total(named);
		} else if (!r->has_succeeded_count) {
			continue;
		}
		if (have >= need)
			return (int)i;
	}
	return -1;
}

/* ---- time ---- */

static bool
is_sidecar(const struct core_v1_pod *p, struct str name)
{
	for (size_t i = 0; i < p->spec.n_init_containers; i++)
		if (str_eq(p->spec.init_containers[i].name, name))
			return str_eq(p->spec.init_containers[i].restart_policy, STR("Always"));
	return false;
}

/* containers_ns: when the last container ended; 0 = some have not. */
static int64_t
containers_ns(const struct core_v1_pod *p)
{
	const struct {
		const struct core_v1_container_status *v;
		size_t n;
		bool init;
	} lists[] = {{p->status.container_statuses, p->status.n_container_statuses, false},
		{p->status.init_container_statuses, p->status.n_init_container_statuses, true}};
	int64_t last = 0;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < lists[l].n; i++) {
			const struct core_v1_container_status *c = &lists[l].v[i];
			if (lists[l].init && !is_sidecar(p, c->name))
				continue;
			if (!c->state.terminated || !c->state.terminated->finished_at)
				return 0;
			if (c->state.terminated->finished_at > last)
				last = c->state.terminated->finished_at;
		}
	return last;
}

int64_t
job_finished_ns(const struct core_v1_pod *p)
{
	int64_t at = containers_ns(p);
	for (size_t i = 0; !at && i < p->status.n_conditions; i++)
		if (str_eq(p->status.conditions[i].type, STR("Ready")) &&
			str_eq(p->status.conditions[i].status, STR("False")))
			at = p->status.conditions[i].last_transition_time;
	if (!at && p->metadata.deletion_timestamp)
		at = p->metadata.deletion_timestamp -
			p->metadata.deletion_grace_period_seconds * NS_PER_SEC;
	return at ? at : p->metadata.creation_timestamp;
}

int64_t
job_wait_ns(int32_t failures, int64_t failed_ns)
{
	int64_t wait = WAIT_MIN_NS;
	if (failures <= 0)
		return 0;
	for (int32_t i = 1; i < failures && wait < WAIT_MAX_NS; i++)
		wait = wait * 2 > WAIT_MAX_NS ? WAIT_MAX_NS : wait * 2;
	int64_t left = failed_ns + wait - clock_wall_ns();
	return left > 0 ? left : 0;
}
