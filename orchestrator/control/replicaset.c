/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * replicaset: as many pods as spec.replicas says, each owned by its ReplicaSet or, in the older form of the
 * same thing, ReplicationController: two rows for one sync.
 * Source: kube-controller-manager pkg/controller/replicaset, replication. */
#include "orchestrator/control/workload.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

#include <stddef.h>

#define FAILURE STR("ReplicaFailure")

/* What a sync looks at of either kind. */
struct set {
	int32_t replicas, min_ready_s;
	const struct core_v1_pod_template_spec *template;
	const struct meta_v1_object_meta *meta;
	const struct schema_type *status_type;
	const void *status;
	bool tells_terminating;
};

static struct set
set_of(const struct workload_sync *s)
{
	if (s->w->k->resource == CONTROL_RCS) {
		const struct core_v1_replication_controller *rc = s->o->obj;
		return (struct set){rc->spec.replicas, rc->spec.min_ready_seconds,
			rc->spec.template, &rc->metadata,
			SCHEMA_TYPE_OF(core_v1_replication_controller_status), &rc->status, false};
	}
	const struct apps_v1_replica_set *rs = s->o->obj;
	return (struct set){rs->spec.replicas, rs->spec.min_ready_seconds, &rs->spec.template,
		&rs->metadata, SCHEMA_TYPE_OF(apps_v1_replica_set_status), &rs->status, true};
}

/* ---- status ---- */

struct counts {
	int32_t replicas, labeled, ready, available, terminating;
	int64_t check_in_ns;
};

static void
count(const struct workload_sync *s, const struct set *set, struct counts *k)
{
	const struct meta_v1_object_meta *tm = &set->template->metadata;
	for (size_t i = 0; i < s->n_pods; i++) {
		const struct core_v1_pod *p = s->pods[i]->obj;
		int64_t in;
		if (!pod_is_active(p)) {
			k->terminating += pod_is_terminating(p);
			continue;
		}
		bool all = true;
		for (size_t l = 0; l < tm->n_labels; l++)
			all = all &&
				str_eq(control_label(&p->metadata, tm->labels[l].key),
					tm->labels[l].value);
		k->replicas++;
		k->labeled += all;
		k->ready += pod_is_ready(p);
		k->available += pod_is_available(p, set->min_ready_s, &in);
		if (in && (!k->check_in_ns || in < k->check_in_ns))
			k->check_in_ns = in;
	}
}

static void
write_status(struct workload_sync *s, const struct set *set, const struct counts *k)
{
	struct arena *a = s->a;
	struct doc *was = schema_from_struct(a, set->status_type, set->status);
	struct doc *d = was ? doc_copy(a, was) : NULL;
	if (!d)
		return;
	doc_set_int(a, d, STR("replicas"), k->replicas);
	const struct {
		struct str name;
		int32_t n;
	} optional[] = {{STR("fullyLabeledReplicas"), k->labeled}, {STR("readyReplicas"), k->ready},
		{STR("availableReplicas"), k->available}};
	for (size_t i = 0; i < ARRAY_LEN(optional); i++)
		doc_set(d, optional[i].name, optional[i].n ? doc_int(a, optional[i].n) : NULL);
	if (set->tells_terminating)
		doc_set_int(a, d, STR("terminatingReplicas"), k->terminating);
	doc_set_int(a, d, STR("observedGeneration"), set->meta->generation);
	struct doc *failure = workload_condition(d, FAILURE);
	if (s->error && !failure)
		workload_set_condition(
			a, d, FAILURE, true, STR("FailedCreate"), arena_str(a, str_c(s->error)));
	else if (!s->error && failure)
		doc_remove(doc_get(d, STR("conditions")), failure);
	if (doc_len(doc_get(d, STR("conditions"))) == 0)
		doc_set(d, STR("conditions"), NULL);
	if (!doc_equal(was, d))
		batch_write_status(s->b, s->w->c, s->w->k->resource, s->o, d);
}

/* ---- sync ---- */

static void
create(struct workload_sync *s, const struct set *set, size_t n)
{
	struct doc *d = workload_pod(s, set->template);
	struct doc **v = ARENA_ARRAY(s->a, struct doc *, n);
	for (size_t i = 0; v && i < n; i++)
		v[i] = d;
	if (d && v)
		workload_create(s, v, n);
}

static void
sync_set(struct workload_sync *s)
{
	struct set set = set_of(s);
	struct counts k = {0};
	size_t n, want = set.replicas > 0 ? (size_t)set.replicas : 0;
	const struct informer_obj **active = workload_active(s, &n);
	if (!set.template || !active)
		return;
	if (!set.meta->deletion_timestamp && s->met) {
		if (n < want)
			create(s, &set, want - n);
		else
			workload_content(s);
		if (n > want) {
			workload_victims(s->a, active, n);
			workload_delete(s, active, n - want, false);
		}
	}
	count(s, &set, &k);
	write_status(s, &set, &k);
	if (k.check_in_ns)
		queue_add_after(s->w->q, s->o->key, k.check_in_ns);
}

/* ---- the rows ---- */

static int
set_selector(struct arena *a, const void *owner, struct selector *ret)
{
	return selector_from_struct(
		a, ((const struct apps_v1_replica_set *)owner)->spec.selector, ret);
}

static int
rc_selector(struct arena *a, const void *owner, struct selector *ret)
{
	const struct core_v1_replication_controller *rc = owner;
	int rc_ = selector_from_map(a, rc->spec.selector, rc->spec.n_selector, ret);
	ret->nothing = rc->spec.n_selector == 0;
	return rc_;
}

static const struct workload_kind set_kind = {.resource = CONTROL_REPLICASETS,
	.component = "replicaset-controller",
	.selector = set_selector,
	.sync = sync_set};
static const struct workload_kind rc_kind = {.resource = CONTROL_RCS,
	.component = "replication-controller",
	.selector = rc_selector,
	.sync = sync_set};

static int
set_start(struct control *ctl, struct client *c, void **ret)
{
	return workload_start(&set_kind, ctl, c, ret);
}

static int
rc_start(struct control *ctl, struct client *c, void **ret)
{
	return workload_start(&rc_kind, ctl, c, ret);
}

const struct controller replicaset_controller = {
	"replicaset-controller", set_start, workload_ready, workload_stop};
const struct controller replication_controller = {
	"replication-controller", rc_start, workload_ready, workload_stop};
