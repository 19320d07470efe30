/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * authz: the authorize stage: a union of authorizers, asked in order: system:masters, the Node
 * authorizer, RBAC. Direct clients enter the pipeline here.
 *
 * Invariant: the decision is made from what the store holds now (see cache.c).
 * Source: Kubernetes authorization overview; texts of k8s.io/apiserver responsewriters. */
#include "orchestrator/api/apiservice.h"

enum decision
authorize(struct request *r, struct api_worker *w, struct arena *a, const struct authz_attrs *at,
	struct str *ret_why)
{
	if (w->s->cfg.authorize_always || user_in_group(at->user, STR("system:masters")))
		return ALLOW;
	struct str node = user_node(at->user);
	if (str_is_set(node)) {
		enum decision d = node_authorize(r, w, a, at, node, ret_why);
		if (d != NO_OPINION)
			return d;
	}
	return rbac_allows(w, a, at, ret_why) ? ALLOW : NO_OPINION;
}

bool
request_authorize(struct request *r, const struct authz_attrs *attrs, struct str *why)
{
	return authorize(r, r->worker, r->a, attrs, why) == ALLOW;
}

bool
request_may(struct request *r, const struct authz_attrs *attrs, struct str *why)
{
	struct authz_attrs at = *attrs;
	at.user = &r->user;
	return request_authorize(r, &at, why);
}

struct authz_attrs
request_attrs(struct request *r)
{
	struct authz_attrs at = {.user = &r->user, .verb = str_c(verb_name(r->verb))};
	if (r->foreign && r->foreign->is_resource)
		return foreign_attrs(r);
	if (!r->res) {
		struct buf b;
		buf_init_arena(&b, r->a);
		for (size_t i = 0; i < r->method.n; i++) {
			char c = r->method.p[i];
			buf_char(&b, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
		}
		at.verb = buf_view(&b);
		at.path = r->path;
		return at;
	}
	at.is_resource = true;
	at.group = r->res->group;
	at.version = r->res->version;
	at.resource = r->res->plural;
	at.subresource = r->sub ? r->sub->name : STR("");
	at.ns = r->ns;
	at.name = r->name;
	at.field_selector = r->opt.field_selector;
	at.label_selector = r->opt.label_selector;
	/* a request that came as a query: its options are parsed later */
	if (r->raw_query.n && at.field_selector.n == 0)
		at.field_selector = http_query_get(r->a, r->raw_query, STR("fieldSelector"));
	if (r->raw_query.n && at.label_selector.n == 0)
		at.label_selector = http_query_get(r->a, r->raw_query, STR("labelSelector"));
	return at;
}

/* `User "bob" cannot list resource "pods" in API group "" in the namespace "default"` */
struct str
forbidden_text(struct arena *a, const struct authz_attrs *at, struct str why)
{
	struct buf b;
	buf_init_arena(&b, a);
	buf_fmt(&b, "User \"" STR_FMT "\" cannot " STR_FMT " ", STR_ARG(at->user->name),
		STR_ARG(at->verb));
	if (!at->is_resource) {
		buf_fmt(&b, "path \"" STR_FMT "\"", STR_ARG(at->path));
	} else {
		buf_fmt(&b, "resource \"" STR_FMT "%s" STR_FMT "\" in API group \"" STR_FMT "\"",
			STR_ARG(at->resource), at->subresource.n ? "/" : "",
			STR_ARG(at->subresource), STR_ARG(at->group));
		if (at->ns.n)
			buf_fmt(&b, " in the namespace \"" STR_FMT "\"", STR_ARG(at->ns));
		else
			buf_cstr(&b, " at the cluster scope");
	}
	if (why.n)
		buf_fmt(&b, ": " STR_FMT, STR_ARG(why));
	return buf_view(&b);
}

enum step
stage_authorize(struct request *r)
{
	struct authz_attrs at = request_attrs(r);
	struct str why = STR("");
	if (authorize(r, r->worker, r->a, &at, &why) == ALLOW) {
		/* WebSocket upgrades are GETs: they need what the POST needs */
		bool streams = r->sub && r->sub->connect && r->res == r->server->pods &&
			(r->sub->verbs & VERB_BIT(VERB_CREATE)) && r->verb == VERB_GET &&
			!str_eq(r->sub->name, STR("proxy"));
		at.verb = STR("create");
		why = STR("");
		if (!streams || authorize(r, r->worker, r->a, &at, &why) == ALLOW)
			return STEP_NEXT;
	}
	struct str text = forbidden_text(r->a, &at, why);
	return request_fail_forbidden(r, STR_FMT, STR_ARG(text));
}
