/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_subs: binding a pod to a node: it changes the pod by the common commit stage; a conflict starts it over
 * with what is there then.
 *
 * Source: Kubernetes API: Binding; k8s.io/kubernetes pkg/registry/core/pod/storage (storage.go). */
#include "orchestrator/api/api_int.h"

/* ---- binding --------------------------------------------------------------------------------------- */

static void
merge_strings(struct request *r, struct doc *meta, const struct doc *from, struct str key)
{
	const struct doc *add = doc_get(meta_of(from), key);
	if (doc_len(add) == 0)
		return;
	struct doc *to = doc_ensure_map(r->a, meta, key);
	DOC_EACH (x, add)
		if (to)
			doc_set_str(r->a, to, x->key, doc_as_str(x));
}

static void
pod_scheduled(struct request *r, struct doc *pod)
{
	struct doc *status = doc_ensure_map(r->a, pod, STR("status"));
	struct doc *list = status ? doc_ensure_list(r->a, status, STR("conditions")) : NULL;
	if (!list)
		return;
	struct doc *c = NULL;
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("type")), STR("PodScheduled")))
			c = x;
	if (!c && (c = doc_map(r->a)) != NULL) {
		doc_set_str(r->a, c, STR("type"), STR("PodScheduled"));
		doc_append(list, c);
	}
	if (!c)
		return;
	char text[40];
	size_t n = rfc3339_format(r->wall_ns, 0, text);
	doc_set_str(r->a, c, STR("status"), STR("True"));
	doc_set_str(r->a, c, STR("lastTransitionTime"), arena_str(r->a, str_from(text, n)));
	doc_set(c, STR("reason"), NULL);
	doc_set(c, STR("message"), NULL);
	doc_set(c, STR("observedGeneration"), NULL);
	doc_set(status, STR("nominatedNodeName"), NULL); /* it is over */
}

static enum step
bind_refused(struct request *r, const char *why)
{
	return request_fail_conflict(r, r->name, why);
}

static enum step
bind_check(struct request *r, const struct doc *binding, const struct doc *pod, struct str node)
{
	struct str kind = doc_get_str(doc_get(binding, STR("target")), STR("kind"));
	const struct doc *spec = doc_get(pod, STR("spec"));
	struct str uid = doc_get_str(meta_of(binding), STR("uid"));
	if (kind.n && !str_eq(kind, STR("Node")))
		schema_err_unsupported(&r->causes, STR("target.kind"), kind,
			(const char *const[]){"Node", "<empty>", NULL});
	if (node.n == 0)
		schema_err_required(&r->causes, STR("target.name"), NULL);
	if (r->causes.n)
		return request_fail_invalid(r);
	if (uid.n && !str_eq(uid, doc_get_str(meta_of(pod), STR("uid"))))
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"Precondition failed: UID in precondition: " STR_FMT
					", UID in object meta: " STR_FMT,
					STR_ARG(uid),
					STR_ARG(doc_get_str(meta_of(pod), STR("uid"))))));
	if (doc_get_str(meta_of(pod), STR("deletionTimestamp")).n)
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT
					" is being deleted, cannot be assigned to a host",
					STR_ARG(r->name))));
	struct str now = doc_get_str(spec, STR("nodeName"));
	if (now.n)
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT " is already assigned to node \"" STR_FMT
					"\"",
					STR_ARG(r->name), STR_ARG(now))));
	if (doc_len(doc_get(spec, STR("schedulingGates"))))
		return bind_refused(r,
			arena_cstr(r->a,
				arena_fmt(r->a,
					"pod " STR_FMT " has non-empty .spec.schedulingGates",
					STR_ARG(r->name))));
	return STEP_NEXT;
}

enum step
serve_binding(struct request *r)
{
	const struct doc *binding = r->obj;
	if (!r->sub) { /* the old form: POST .../bindings; the commit is of the pod */
		r->name = doc_get_str(meta_of(binding), STR("name"));
		r->res = r->server->pods;
		r->sub = api_subresource_find(r->res, STR("binding"));
	}
	struct doc *pod = NULL;
	int rc = object_read(r, r->server->pods, r->ns, r->name, &pod, &r->old_rev);
	if (rc == -ENOENT)
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	struct str node = doc_get_str(doc_get(binding, STR("target")), STR("name"));
	enum step st = bind_check(r, binding, pod, node);
	if (st != STEP_NEXT)
		return st;
	r->old = pod;
	r->obj = doc_copy(r->a, pod);
	struct doc *spec = doc_ensure_map(r->a, r->obj, STR("spec"));
	struct doc *meta = doc_ensure_map(r->a, r->obj, STR("metadata"));
	if (!spec || !meta)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	doc_set_str(r->a, spec, STR("nodeName"), node);
	merge_strings(r, meta, binding, STR("annotations"));
	merge_strings(r, meta, binding, STR("labels"));
	pod_scheduled(r, r->obj);
	r->reply_success = true;
	r->stage = STAGE_COMMIT - 1;
	return STEP_NEXT;
}
