/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_match: what a request is to admission webhooks, and which of them are asked about it: rules by operation,
 * group, version, resource, name and scope; selectors of namespace and object; resources that are the same under another
 * group or version.
 *
 * Invariant: changes nothing of the request.
 * Source: k8s.io/apiserver admission/plugin/webhook/{generic,predicates}. */
#include "orchestrator/api/convert.h"

/* ---- the request ----------------------------------------------------------------------------------- */

const char *
hook_operation(const struct request *r)
{
	switch (request_op(r)) {
	case ADMIT_CREATE:
		return "CREATE";
	case ADMIT_UPDATE:
		return "UPDATE";
	case ADMIT_DELETE:
		return "DELETE";
	case ADMIT_CONNECT:
		break;
	}
	return "CONNECT";
}

struct str
hook_namespace(const struct request *r)
{
	if (r->res == r->server->namespaces)
		return r->name;
	return r->res->kind->namespaced ? r->ns : STR("");
}

bool
hook_exempt(const struct request *r)
{
	static const char *const kinds[] = {"ValidatingWebhookConfiguration",
		"MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy",
		"MutatingAdmissionPolicyBinding"};
	if (r->sub && str_eq(r->sub->name, STR("log"))) /* a read */
		return true;
	if (!str_eq(r->res->group, STR("admissionregistration.k8s.io")))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eq_c(str_c(r->res->kind->kind), kinds[i]))
			return true;
	return false;
}

/* The members of a connect request's options stand in its query. */
static struct doc *
connect_options(struct request *r)
{
	const struct schema_type *t = r->sub->schema->type;
	struct doc *d = doc_map(r->a);
	for (size_t i = 0; d && i < t->n_fields; i++) {
		const struct schema_field *f = &t->fields[i];
		struct str name = schema_field_name(f), rest = r->raw_query, k, v;
		int rc = 0;
		while (rest.n && (rc = http_query_next(r->a, &rest, &k, &v)) != 0) {
			int64_t n = 0;
			if (rc < 0 || !str_eq(k, name))
				continue;
			if (f->shape == SCHEMA_LIST) {
				struct doc *list = doc_ensure_list(r->a, d, name);
				bool number = f->form == SCHEMA_INT32 && str_to_i64(v, &n) == 0;
				if (list)
					doc_append(
						list, number ? doc_int(r->a, n) : doc_str(r->a, v));
			} else if (f->form == SCHEMA_BOOL) {
				bool on = str_eq(v, STR("true")) || str_eq(v, STR("1"));
				doc_set_bool(r->a, d, name, on);
			} else {
				doc_set_str(r->a, d, name, v);
			}
		}
		if (str_eq(name, STR("path")) && r->subpath.n)
			doc_set_str(r->a, d, name, r->subpath);
	}
	return d;
}

static bool
is_scale(const struct request *r)
{
	return r->sub && str_eq(r->sub->name, STR("scale"));
}

enum step
hook_view(struct request *r, struct hook_view *ret)
{
	const struct schema_subresource *ss = r->sub ? r->sub->schema : NULL;
	bool own = ss && (!r->sub->main_object || is_scale(r));
	struct hook_view v = {.res = r->res};
	v.type = own ? ss->type : r->res->kind->type;
	v.group = own ? str_c(ss->group) : r->res->group;
	v.version = own ? str_c(ss->version) : r->res->version;
	v.kind = str_c(own ? ss->kind : r->res->kind->kind);
	if (r->sub && r->sub->connect) {
		v.obj = ss ? connect_options(r) : doc_map(r->a);
	} else if (is_scale(r)) {
		v.obj = r->obj ? scale_of(r, r->obj) : NULL;
		v.old = r->old ? scale_of(r, r->old) : NULL;
	} else {
		v.obj = request_op(r) == ADMIT_DELETE ? NULL : r->obj;
		v.old = r->old;
	}
	if (v.obj) {
		doc_set_str(r->a, v.obj, STR("kind"), v.kind);
		doc_set_str(r->a, v.obj, STR("apiVersion"),
			schema_api_version(
				r->a, arena_cstr(r->a, v.group), arena_cstr(r->a, v.version)));
		if (schema_order(r->a, v.type, v.obj) < 0)
			return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	}
	if (arena_failed(r->a))
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*ret = v;
	return STEP_NEXT;
}

static struct doc *
convert(struct request *r, const struct doc *d, const struct api_resource *from,
	const struct api_resource *to)
{
	struct doc *copy = d ? doc_copy(r->a, d) : NULL;
	if (!copy)
		return NULL;
	object_convert(r->a, from, copy, true);
	schema_set_gvk(r->a, copy, to->kind);
	object_convert(r->a, to, copy, false);
	return schema_order(r->a, to->kind->type, copy) < 0 ? NULL : copy;
}

int
hook_view_as(struct request *r, const struct hook_view *v, const struct api_resource *res,
	struct hook_view *ret)
{
	struct hook_view out = *v;
	out.res = res;
	if (res != v->res && !is_scale(r)) { /* a Scale is the same in all of them */
		out.type = res->kind->type;
		out.group = res->group;
		out.version = res->version;
		out.kind = str_c(res->kind->kind);
		out.obj = convert(r, v->obj, v->res, res);
		out.old = convert(r, v->old, v->res, res);
	}
	if (arena_failed(r->a))
		return -ENOMEM;
	*ret = out;
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------------- */

static bool
any_or(const struct hook_texts *t, struct str s)
{
	for (size_t i = 0; i < t->n; i++)
		if (str_eq(t->v[i], STR("*")) || str_eq(t->v[i], s))
			return true;
	return false;
}

static bool
resource_matches(const struct hook_texts *t, struct str resource, struct str sub)
{
	for (size_t i = 0; i < t->n; i++) {
		struct str res, of = STR("");
		if (!str_cut(t->v[i], '/', &res, &of))
			of = STR("");
		if ((str_eq(res, STR("*")) || str_eq(res, resource)) &&
			(str_eq(of, STR("*")) || str_eq(of, sub)))
			return true;
	}
	return false;
}

static bool
name_matches(const struct hook_texts *t, struct str name)
{
	for (size_t i = 0; i < t->n; i++)
		if (str_eq(t->v[i], name))
			return true;
	return t->n == 0;
}

static bool
rule_matches(const struct hook_rule *rule, const struct request *r, const struct api_resource *res)
{
	bool cluster = r->res == r->server->namespaces || hook_namespace(r).n == 0;
	if ((rule->cluster_only && !cluster) || (rule->namespaced_only && cluster))
		return false;
	return any_or(&rule->operations, str_c(hook_operation(r))) &&
		any_or(&rule->groups, res->group) && any_or(&rule->versions, res->version) &&
		resource_matches(&rule->resources, res->plural, r->sub ? r->sub->name : STR("")) &&
		name_matches(&rule->names, r->name);
}

/* The first of the resources with the same objects that the rule names. */
static const struct api_resource *
same_objects(const struct request *r, const struct hook_rule *rule, const struct api_resource *rows,
	size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (&rows[i] != r->res && rows[i].stored == r->res->stored &&
			rows[i].store_res != API_NO_STORE && rule_matches(rule, r, &rows[i]) &&
			(!r->sub || api_subresource_find(&rows[i], r->sub->name)))
			return &rows[i];
	return NULL;
}

static const struct api_resource *
rules_find(struct request *r, const struct hook_rule *rules, size_t n, bool equivalent)
{
	const struct api_server *s = r->server;
	const struct custom *c = r->res->custom;
	for (size_t i = 0; i < n; i++)
		if (rule_matches(&rules[i], r, r->res))
			return r->res;
	bool own_body = r->sub && !r->sub->main_object;
	for (size_t i = 0; equivalent && !own_body && i < n; i++) {
		const struct api_resource *res = same_objects(
			r, &rules[i], c ? c->rows : s->resources, c ? c->n_rows : s->n_resources);
		if (res)
			return res;
	}
	return NULL;
}

const struct api_resource *
hook_wanted(struct request *r, const struct hook_scope *sc)
{
	if (rules_find(r, sc->excluded, sc->n_excluded, sc->equivalent))
		return NULL;
	if (sc->any && sc->n_rules == 0)
		return r->res;
	return rules_find(r, sc->rules, sc->n_rules, sc->equivalent);
}

/* ---- selectors ------------------------------------------------------------------------------------- */

static bool
everything(const struct selector *s)
{
	return s->n == 0 && !s->nothing;
}

static const struct doc *
labels_of(const struct doc *obj)
{
	return doc_get(meta_of(obj), STR("labels"));
}

/* namespace_matches: < 0: there is no such namespace. */
static int
namespace_matches(struct request *r, const struct hook_scope *sc, const struct hook_view *v)
{
	struct str name = hook_namespace(r);
	struct doc *ns = NULL;
	enum admission_op op = request_op(r);
	bool itself = r->res == r->server->namespaces && !r->sub &&
		(op == ADMIT_CREATE || op == ADMIT_UPDATE);
	if (everything(&sc->namespaces) || (name.n == 0 && r->res != r->server->namespaces))
		return 1;
	if (itself)
		return selector_match_doc(&sc->namespaces, labels_of(v->obj));
	int rc = object_read(r, r->server->namespaces, STR(""), name, &ns, NULL);
	return rc < 0 ? rc : selector_match_doc(&sc->namespaces, labels_of(ns));
}

static bool
object_matches(const struct hook_scope *sc, const struct hook_view *v)
{
	if (everything(&sc->objects))
		return true;
	return (meta_of(v->obj) && selector_match_doc(&sc->objects, labels_of(v->obj))) ||
		(meta_of(v->old) && selector_match_doc(&sc->objects, labels_of(v->old)));
}

int
hook_chooses(struct request *r, const struct hook_scope *sc, const struct hook_view *v)
{
	int in = namespace_matches(r, sc, v);
	return in != 0 && object_matches(sc, v) ? in : 0;
}

enum step
hook_selects(struct request *r, const struct hook_scope *sc, const struct hook_view *v, bool *ret)
{
	int in = hook_chooses(r, sc, v);
	*ret = in > 0;
	if (in == -ENOENT)
		return request_fail_not_found(r, r->server->namespaces, hook_namespace(r));
	if (in < 0)
		return request_fail_err(
			r, &(struct err){.code = in, .msg = "reading the store failed"});
	return STEP_NEXT;
}
