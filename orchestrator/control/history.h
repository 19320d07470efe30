/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * history: the ControllerRevisions of a workload: one for each template it has had, as a strategic merge patch that
 * brings the template back (kubectl rollout history, undo). The one of today's template has the highest
 * number; when an old template comes back its revision gets the next number.
 * Source: kube-controller-manager pkg/controller/history, daemon/update.go, statefulset. */
#ifndef ORCHESTRATOR_CONTROL_HISTORY_H
#define ORCHESTRATOR_CONTROL_HISTORY_H

#include "orchestrator/control/workload.h"

#include "kinds/apps_v1.h"

#define REVISION_LABEL STR("controller-revision-hash") /* of pods */

/* history_hash: letters of upstream's safe alphabet for a text, for names. arena. */
struct str history_hash(struct arena *a, struct str text, int32_t collisions);

struct history {
	struct workload_sync *s;
	struct informer *revisions;
	const struct informer_obj **v; /* by number, the lowest first */
	size_t n;
	const struct informer_obj *now; /* of today's template; NULL = it is being made: wait */
};

/* history_look: finds the revisions of the owner and adopts those without one; makes that of `template`, or
 * raises its number. label: which of its labels holds its hash. */
void history_look(struct history *h, struct workload_sync *s, struct informer *revisions,
	const struct core_v1_pod_template_spec *template, struct str label, int32_t collisions);

static inline const struct apps_v1_controller_revision *
history_revision(const struct informer_obj *o)
{
	return o->obj;
}
/* history_name: the revision of this name; NULL = there is none. */
const struct informer_obj *history_name(const struct history *h, struct str name);
/* history_same: another revision with the same template as `now`; *pos begins at 0. */
const struct informer_obj *history_same(const struct history *h, size_t *pos);
/* history_template: the template of a revision. arena; NULL = it has none. */
const struct core_v1_pod_template_spec *history_template(
	struct history *h, const struct informer_obj *o);
void history_delete(struct history *h, const struct informer_obj *o);
/* history_truncate: all but `now` are old; of the old ones that are not live the lowest go until `limit` are left.
 * live_too: those that are live count against the limit. */
void history_truncate(struct history *h, int32_t limit, bool live_too,
	bool (*live)(void *arg, const struct informer_obj *o), void *arg);

/* history_watch: a revision without owner wakes the owners of its namespace. -ENOMEM. */
int history_watch(struct workload *w, struct informer **ret);

#endif
