/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_fit: does a persistent volume fit a claim? What the binder and the scheduler have to agree on. And
 * whose claims are of which pod.
 * Source: component-helpers storage/volume (FindMatchingVolume). */
#ifndef ORCHESTRATOR_SCHEMA_VOLUME_FIT_H
#define ORCHESTRATOR_SCHEMA_VOLUME_FIT_H

#include "orchestrator/schema/schema_select.h"

struct core_v1_persistent_volume;
struct core_v1_persistent_volume_claim;
struct core_v1_pod;

int64_t volume_bytes(const struct core_v1_persistent_volume *pv);
int64_t claim_bytes(const struct core_v1_persistent_volume_claim *c);
/* volume_names: is the volume kept for this claim (spec.claimRef)? */
bool volume_names(const struct core_v1_persistent_volume *pv,
	const struct core_v1_persistent_volume_claim *c);
/* volume_fits: it is free, and of the class, mode, access and size the claim wants, with labels that match
 * sel (of claim_selector); or it is kept for this claim and large enough. Not: where it may be used. */
bool volume_fits(const struct core_v1_persistent_volume *pv,
	const struct core_v1_persistent_volume_claim *c, const struct selector *sel);
/* claim_selector: of spec.selector; everything where there is none. arena. -EINVAL, -ENOMEM. */
int claim_selector(
	struct arena *a, const struct core_v1_persistent_volume_claim *c, struct selector *ret);
/* claim_is_of_pod: was it made for an ephemeral volume of this pod? */
bool claim_is_of_pod(
	const struct core_v1_persistent_volume_claim *c, const struct core_v1_pod *pod);
/* volume_smaller: is v the better choice than best (NULL = none yet)? */
bool volume_smaller(
	const struct core_v1_persistent_volume *v, const struct core_v1_persistent_volume *best);

#endif
