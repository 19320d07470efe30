/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_params: the objects that a binding gives to its policy's expressions as `params`, read as they are now.
 * Source: k8s.io/apiserver pkg/admission/plugin/policy/generic (CollectParams). */
#include "orchestrator/api/custom.h"
#include "orchestrator/api/policy_int.h"

static const struct api_resource *
custom_kind(struct request *r, struct str group, struct str version, struct str kind)
{
	struct custom **list = NULL;
	size_t n = 0;
	struct str plural = STR("");
	if (group.n == 0 || custom_list(r->worker, &list, &n) < 0)
		return NULL;
	for (size_t i = 0; i < n && plural.n == 0; i++)
		for (size_t k = 0; k < list[i]->n_rows; k++) {
			const struct api_resource *row = &list[i]->rows[k];
			if (str_eq(row->group, group) && str_eq_c(kind, row->kind->kind))
				plural = arena_str(r->a, row->plural);
		}
	custom_list_free(list, n);
	return plural.n ? request_resource_find(r, group, version, plural) : NULL;
}

const struct api_resource *
policy_kind_find(struct request *r, struct str api_version, struct str kind)
{
	const struct api_server *s = r->server;
	struct str group, version;
	schema_api_version_split(api_version, &group, &version);
	for (size_t i = 0; i < s->n_resources; i++) {
		const struct api_resource *res = &s->resources[i];
		if (str_eq(res->group, group) && str_eq(res->version, version) &&
			str_eq_c(kind, res->kind->kind) && res->store_res != API_NO_STORE)
			return res;
	}
	return custom_kind(r, group, version, kind);
}

struct str
request_resource_of_kind(struct request *r, struct str api_version, struct str kind)
{
	const struct api_resource *res = policy_kind_find(r, api_version, kind);
	return res ? res->plural : STR_NONE;
}

/* ---- one binding's --------------------------------------------------------------------------------- */

struct picked {
	struct request *r;
	struct selector labels;
	struct doc **v;
	size_t n;
};

static bool
pick(void *arg, struct doc *obj)
{
	struct picked *p = arg;
	if (!selector_match_doc(&p->labels, doc_get(meta_of(obj), STR("labels"))))
		return true;
	struct doc **slot = ARENA_PUSH(p->r->a, p->v, p->n);
	if (slot)
		*slot = obj;
	return slot != NULL;
}

static int
wrong(struct str *why, const char *text)
{
	*why = str_c(text);
	return -EINVAL;
}

/* where: the namespace they are in. */
static int
where(struct request *r, const struct api_resource *res, const struct doc *ref, struct str *ret,
	struct str *why)
{
	struct str ns = doc_get_str(ref, STR("namespace"));
	*ret = STR("");
	if (!res->kind->namespaced && ns.n)
		return wrong(why,
			"paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
	if (!res->kind->namespaced)
		return 0;
	*ret = ns.n ? ns : hook_namespace(r);
	if (ret->n == 0)
		return wrong(why,
			"cannot use namespaced paramRef in policy binding that matches cluster-scoped "
			"resources");
	return 0;
}

static int
find(struct request *r, const struct api_resource *res, const struct doc *ref, struct str ns,
	struct picked *out)
{
	struct str name = doc_get_str(ref, STR("name"));
	const struct doc *selector = doc_get(ref, STR("selector"));
	if (name.n) {
		struct doc *d = NULL, **slot;
		int rc = object_read(r, res, ns, name, &d, NULL);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
		slot = ARENA_PUSH(r->a, out->v, out->n);
		if (!slot)
			return -ENOMEM;
		*slot = d;
		return 0;
	}
	int rc = selector_from_doc(r->a, selector, &out->labels);
	return rc < 0 ? rc : resource_each(r, res, ns, pick, out);
}

int
policy_params(struct request *r, const struct policy *p, const struct policy_binding *b,
	struct doc ***ret, size_t *ret_n, struct str *why)
{
	struct picked out = {.r = r};
	struct str ns;
	const struct doc *ref = b->param_ref;
	if (!p->has_params || !ref) { /* one turn, with null */
		*ret = ARENA_NEW(r->a, struct doc *);
		*ret_n = 1;
		return *ret ? 0 : -ENOMEM;
	}
	const struct api_resource *res = policy_kind_find(r, p->param_api_version, p->param_kind);
	if (!res)
		return wrong(why, "paramKind is not known");
	int rc = where(r, res, ref, &ns, why);
	if (rc == 0)
		rc = find(r, res, ref, ns, &out);
	if (rc < 0)
		return rc;
	if (out.n == 0 && str_eq(doc_get_str(ref, STR("parameterNotFoundAction")), STR("Deny")))
		return wrong(why,
			"no params found for policy binding with `Deny` parameterNotFoundAction");
	*ret = out.v;
	*ret_n = out.n;
	return 0;
}
