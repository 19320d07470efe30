/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * statefulset: what the files of the StatefulSet controller share: statefulset.c (which pods, revisions, status),
 * statefulset_walk.c (what is done to them, in which order), statefulset_pod.c (what a pod looks like),
 * statefulset_claims.c (their volume claims).
 * Source: kube-controller-manager pkg/controller/statefulset; KEP-961 (maxUnavailable), KEP-1847 (retention of
 * claims), KEP-3335 (start ordinal). */
#ifndef ORCHESTRATOR_CONTROL_STATEFULSET_H
#define ORCHESTRATOR_CONTROL_STATEFULSET_H

#include "orchestrator/control/history.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

/* Informers beside those of the frame: workload.more. */
struct stateful_controller {
	struct informer *claims, *revisions;
};

/* A place of the set. */
struct stateful_place {
	int32_t ordinal;
	const struct informer_obj *pod;      /* NULL: it is empty */
	const struct informer_obj *revision; /* which a pod that is made here gets */
};

/* One sync. */
struct stateful_sync {
	struct workload_sync *s;
	struct arena *a;
	const struct apps_v1_stateful_set *set;
	struct informer *claims;
	struct history h;
	const struct informer_obj *current; /* the revision that the last complete rollout had */
	int32_t start;                      /* the first ordinal */
	struct stateful_place *places;
	size_t n_places;
	const struct informer_obj *
		*condemned; /* pods beyond the places, the highest ordinal first */
	size_t n_condemned;
	/* what is to be done */
	const struct informer_obj **go;
	size_t n_go;
	struct doc **make;
	size_t n_make;
};

/* stateful_ordinal: of a pod's name; -1: the name has none. *ret_parent (may be NULL): what stands before it. */
int32_t stateful_ordinal(struct str name, struct str *ret_parent);
bool stateful_in_range(const struct stateful_sync *x, int32_t ordinal);
/* stateful_available: and wakes the set when a ready pod will be. */
bool stateful_available(const struct stateful_sync *x, const struct informer_obj *pod);

/* ---- statefulset_walk.c ---- */
void stateful_walk(struct stateful_sync *x);

/* ---- statefulset_pod.c ---- */
struct doc *stateful_pod(struct stateful_sync *x, const struct stateful_place *p); /* arena */
struct str stateful_pod_name(const struct stateful_sync *x, int32_t ordinal);      /* arena */
/* stateful_identify: a pod that lacks the labels of its place gets them. */
void stateful_identify(struct stateful_sync *x, const struct informer_obj *pod);

/* ---- statefulset_claims.c ---- */
/* The name of a claim; arena. */
struct str stateful_claim_name(const struct stateful_sync *x,
	const struct core_v1_persistent_volume_claim *t, int32_t ordinal);
/* stateful_claims: all claims of a place are there; those that are missing are made. */
bool stateful_claims(struct stateful_sync *x, int32_t ordinal);
/* stateful_claims_stale: one still belongs to a pod of this name that is gone, and goes with it. */
bool stateful_claims_stale(const struct stateful_sync *x, int32_t ordinal);
/* stateful_claims_own: the claims of a pod get the owners that the retention policy wants. */
void stateful_claims_own(struct stateful_sync *x, const struct informer_obj *pod);

#endif
