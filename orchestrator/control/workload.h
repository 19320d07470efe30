/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * workload: the frame of the controllers that keep pods: which pods are whose (adopting, releasing), creating
 * and deleting them. A controller is a row (struct workload_kind) and its sync.
 *
 *   change of owner or pod -> queue -> pods claimed -> sync: workload_create, workload_delete, status
 *
 * Expectations: what was created or deleted and is not yet seen in the cache is remembered by name; until
 * all of it has been seen (or five minutes have passed) an owner only waits, so a slow cache never makes
 * a pod twice. Creation starts slowly (1, 2, 4, ...), so that a quota that refuses one refuses few;
 * what was refused is tried again after a time that doubles.
 * Source: kube-controller-manager controller_utils (expectations, ActivePodsWithRanks), controller_ref_manager. */
#ifndef ORCHESTRATOR_CONTROL_WORKLOAD_H
#define ORCHESTRATOR_CONTROL_WORKLOAD_H

#include "orchestrator/control/control.h"

#include "base/hash.h"

#include "kinds/core_v1.h"

struct workload;
struct workload_sync;

struct workload_kind {
	enum control_resource resource; /* of the owners */
	const char *component;          /* in events */
	const char *finalizer;          /* which its pods carry; NULL = none */
	bool named;                     /* its pods have fixed names: events word it so */
	size_t memory;                  /* what it remembers of an owner; zeroed at first */
	/* selector: which pods are its; member (may be NULL): what else must be so. */
	int (*selector)(struct arena *a, const void *owner, struct selector *ret);
	bool (*member)(const struct informer_obj *owner, const struct core_v1_pod *pod);
	void (*sync)(struct workload_sync *s);
	/* changed: of an owner; forget: what hangs on the memory. Both may be NULL. */
	void (*changed)(struct workload *w, const struct informer_obj *old,
		const struct informer_obj *new_);
	void (*forget)(void *memory);
};

struct workload {
	const struct workload_kind *k;
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *owners, *pods;
	struct map states; /* uid of the owner -> struct workload_state */
	void *more;        /* the kind's own; freed with this */
};

/* One sync of one owner. */
struct workload_sync {
	struct workload *w;
	struct arena *a;
	struct control_batch *b;
	const struct informer_obj *o;
	const struct informer_obj **pods; /* all that it owns, also those that have ended */
	size_t n_pods;
	bool met;          /* all that was done is in the cache: more may be done */
	const char *error; /* why the last creation was refused; NULL = it was not */
	void *memory;
};

/* workload_start, _ready, _stop: of struct controller; self is a struct workload. */
int workload_start(
	const struct workload_kind *k, struct control *ctl, struct client *c, void **ret);
void workload_ready(void *self);
void workload_stop(void *self);

/* workload_active: those of the pods that pod_is_active. arena. */
const struct informer_obj **workload_active(const struct workload_sync *s, size_t *ret_n);
/* workload_victims: orders pods: those that may rather go stand first. */
void workload_victims(struct arena *a, const struct informer_obj **pods, size_t n);

/* workload_pod: a pod of the template, owned, with a generated name. arena; NULL = failed. */
struct doc *workload_pod(
	const struct workload_sync *s, const struct core_v1_pod_template_spec *template);
/* workload_create: as many of the n pods as the slow start lets (the same document may stand for several);
 * nothing while what was refused is waited for. Once a sync, when met. */
void workload_create(struct workload_sync *s, struct doc *const *pods, size_t n);
/* workload_content: nothing is missing: forgets what was refused. */
void workload_content(struct workload_sync *s);
/* workload_delete: at most 500. release: the finalizer goes before the pod. When met. */
void workload_delete(
	struct workload_sync *s, const struct informer_obj *const *pods, size_t n, bool release);
/* workload_release: takes the kind's finalizer off a pod. */
int workload_release(
	struct workload *w, const struct informer_obj *pod, client_done_fn *done, void *arg);
bool workload_has_finalizer(const struct workload *w, const struct core_v1_pod *p);

/* workload_condition: among the conditions of a status document, the one of this type; NULL = none. */
struct doc *workload_condition(const struct doc *status, struct str type);
/* workload_set_condition: it is so from now on: the condition, or NULL when it was so already. What is absent and
 * not `on` stays absent. */
struct doc *workload_set_condition(struct arena *a, struct doc *status, struct str type, bool on,
	struct str reason, struct str message);

#endif
