/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * scale: autoscaling/v1 Scale as a view of objects with spec.replicas. Reads make one; writes go through
 * the common stages, which change spec.replicas of the object (meta.c).
 *
 * Source: Kubernetes autoscaling/v1 Scale; pkg/registry/apps/deployment/storage. */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/custom.h"

static void
copy(struct request *r, struct doc *to, const struct doc *from, struct str key)
{
	const struct doc *v = doc_get(from, key);
	if (v)
		doc_set(to, key, doc_copy(r->a, v));
}

/* The selector as text: of a LabelSelector, or of a map of labels (ReplicationController). */
static struct str
selector_text(struct request *r, const struct doc *obj)
{
	const struct doc *sel = doc_get(doc_get(obj, STR("spec")), STR("selector"));
	struct selector s = {0};
	if (doc_get(sel, STR("matchLabels")) || doc_get(sel, STR("matchExpressions"))) {
		if (selector_from_doc(r->a, sel, &s) < 0)
			return STR("");
		return selector_write(r->a, &s);
	}
	struct str_pair *pairs = NULL;
	size_t n = 0;
	DOC_EACH (x, sel) {
		struct str_pair *p = ARENA_PUSH(r->a, pairs, n);
		if (p)
			*p = (struct str_pair){x->key, doc_as_str(x)};
	}
	if (n == 0 || selector_from_map(r->a, pairs, n, &s) < 0)
		return STR("");
	return selector_write(r->a, &s);
}

/* The value at a member path: "spec.replicas". */
static const struct doc *
member_at(const struct doc *d, struct str path)
{
	struct str part;
	while (d && str_next(&path, '.', &part))
		d = doc_get(d, part);
	return d;
}

static void
member_set(struct request *r, struct doc *d, struct str path, int64_t v)
{
	struct str part, rest = path;
	while (d && str_next(&rest, '.', &part)) {
		if (rest.n == 0) {
			doc_set_int(r->a, d, part, v);
			return;
		}
		d = doc_ensure_map(r->a, d, part);
	}
}

/* Where the numbers are: custom resources say it, the others have them in the same place. */
static const struct custom_scale *
paths_of(const struct request *r)
{
	static const struct custom_scale usual = {
		STR_INIT("spec.replicas"), STR_INIT("status.replicas"), STR_INIT("")};
	return r->res->scale ? r->res->scale : &usual;
}

struct doc *
scale_of(struct request *r, const struct doc *obj)
{
	const struct custom_scale *at = paths_of(r);
	static const struct str kept[] = {STR_INIT("name"), STR_INIT("namespace"), STR_INIT("uid"),
		STR_INIT("resourceVersion"), STR_INIT("creationTimestamp")};
	struct doc *d = doc_map(r->a), *meta = doc_map(r->a), *spec = doc_map(r->a),
		   *status = doc_map(r->a);
	if (!d || !meta || !spec || !status)
		return NULL;
	doc_set_str(r->a, d, STR("kind"), STR("Scale"));
	doc_set_str(r->a, d, STR("apiVersion"), STR("autoscaling/v1"));
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		copy(r, meta, meta_of(obj), kept[i]);
	doc_set(d, STR("metadata"), meta);
	int64_t want = doc_as_int(member_at(obj, at->spec_replicas), 0);
	if (want)
		doc_set_int(r->a, spec, STR("replicas"), want);
	doc_set(d, STR("spec"), spec);
	doc_set_int(
		r->a, status, STR("replicas"), doc_as_int(member_at(obj, at->status_replicas), 0));
	struct str text = r->res->scale ? doc_as_str(member_at(obj, at->selector))
					: selector_text(r, obj);
	if (text.n)
		doc_set_str(r->a, status, STR("selector"), text);
	doc_set(d, STR("status"), status);
	return arena_failed(r->a) ? NULL : d;
}

void
scale_apply(struct request *r, struct doc *obj, const struct doc *scale)
{
	member_set(r, obj, paths_of(r)->spec_replicas,
		doc_get_int(doc_get(scale, STR("spec")), STR("replicas"), 0));
}
