/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_fit: see volume_fit.h. */
#include "orchestrator/schema/volume_fit.h"

#include "kinds/core_v1.h"

static int64_t
storage(const struct str_pair *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].key, STR("storage")))
			return quantity_value_of(v[i].value, 0);
	return 0;
}

int64_t
volume_bytes(const struct core_v1_persistent_volume *pv)
{
	return storage(pv->spec.capacity, pv->spec.n_capacity);
}

int64_t
claim_bytes(const struct core_v1_persistent_volume_claim *c)
{
	return storage(c->spec.resources.requests, c->spec.resources.n_requests);
}

bool
volume_names(
	const struct core_v1_persistent_volume *pv, const struct core_v1_persistent_volume_claim *c)
{
	const struct core_v1_object_reference *r = pv->spec.claim_ref;
	const struct meta_v1_object_meta *m = &c->metadata;
	return r && str_eq(r->name, m->name) && str_eq(r->namespace, m->namespace) &&
		(!r->uid.n || str_eq(r->uid, m->uid));
}

static bool
access_fits(
	const struct core_v1_persistent_volume *pv, const struct core_v1_persistent_volume_claim *c)
{
	for (size_t i = 0; i < c->spec.n_access_modes; i++) {
		bool found = false;
		for (size_t k = 0; k < pv->spec.n_access_modes; k++)
			found = found || str_eq(pv->spec.access_modes[k], c->spec.access_modes[i]);
		if (!found)
			return false;
	}
	return true;
}

static struct str
mode_of(struct str mode)
{
	return mode.n ? mode : STR("Filesystem");
}

bool
volume_fits(const struct core_v1_persistent_volume *pv,
	const struct core_v1_persistent_volume_claim *c, const struct selector *sel)
{
	if (pv->metadata.deletion_timestamp || volume_bytes(pv) < claim_bytes(c) ||
		!str_eq(mode_of(pv->spec.volume_mode), mode_of(c->spec.volume_mode)))
		return false;
	if (pv->spec.claim_ref)
		return volume_names(pv, c);
	return str_eq(pv->spec.storage_class_name, c->spec.storage_class_name) &&
		access_fits(pv, c) &&
		selector_match_pairs(sel, pv->metadata.labels, pv->metadata.n_labels);
}

int
claim_selector(
	struct arena *a, const struct core_v1_persistent_volume_claim *c, struct selector *ret)
{
	*ret = (struct selector){0};
	return c->spec.selector ? selector_from_struct(a, c->spec.selector, ret) : 0;
}

bool
claim_is_of_pod(const struct core_v1_persistent_volume_claim *c, const struct core_v1_pod *pod)
{
	for (size_t i = 0; i < c->metadata.n_owner_references; i++) {
		const struct meta_v1_owner_reference *r = &c->metadata.owner_references[i];
		if (r->controller && str_eq(r->uid, pod->metadata.uid))
			return true;
	}
	return false;
}

bool
volume_smaller(
	const struct core_v1_persistent_volume *v, const struct core_v1_persistent_volume *best)
{
	return !best || volume_bytes(v) < volume_bytes(best);
}
