/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * route: the first stage: method, path and query become verb, resource, namespace, name, subresource,
 * or a non-resource path. Unknown resources under known prefixes are answered only after the
 * authorizer has seen them (a caller without rights learns nothing), so here they stay non-resource paths.
 *
 * Must not: read the body or look at objects.
 * Source: Kubernetes API concepts (resource URIs); k8s.io/apiserver endpoints/request (RequestInfo). */
#include "orchestrator/api/apiservice.h"

#define MAX_PARTS 9

static const struct {
	const char *method;
	enum verb one, many;
} methods[] = {
	{"GET", VERB_GET, VERB_LIST},
	{"POST", VERB_CREATE, VERB_CREATE},
	{"PUT", VERB_UPDATE, VERB_UPDATE},
	{"PATCH", VERB_PATCH, VERB_PATCH},
	{"DELETE", VERB_DELETE, VERB_DELETECOLLECTION},
};
/* What proxies pass on besides. */
static const char *const harmless_methods[] = {"HEAD", "OPTIONS"};

/* Splits "/a/b/c" into at most MAX_PARTS parts; *ret_rest is what stands behind the part `from`. */
static size_t
split(struct str path, struct str parts[MAX_PARTS], size_t ends[MAX_PARTS])
{
	size_t n = 0, at = 0;
	struct str rest = path, part;
	while (n < MAX_PARTS && str_next(&rest, '/', &part)) {
		at += part.n + 1;
		if (part.n == 0)
			continue;
		parts[n] = part;
		ends[n++] = at - 1 > path.n ? path.n : at - 1;
	}
	return n;
}

static bool
query_flag(struct request *r, struct str key)
{
	struct str v = http_query_get(r->a, r->raw_query, key);
	return str_is_set(v) && !str_eq(v, STR("false")) && !str_eq(v, STR("0"));
}

/* fieldSelector metadata.name=x: the one name a list or watch is about, for the authorizers. */
static struct str
selected_name(struct request *r)
{
	struct str sel = http_query_get(r->a, r->raw_query, STR("fieldSelector"));
	struct str rest = sel, term;
	while (sel.n && str_next(&rest, ',', &term)) {
		struct str k, v;
		if (str_cut(term, '=', &k, &v) && str_eq(k, STR("metadata.name"))) {
			if (str_starts(v, STR("=")))
				v = str_sub(v, 1, SIZE_MAX);
			return v;
		}
	}
	return STR_NONE;
}

static enum verb
verb_of(struct str method, bool named, bool proxy)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_eq_c(method, methods[i].method))
			return named ? methods[i].one : methods[i].many;
	for (size_t i = 0; proxy && i < ARRAY_LEN(harmless_methods); i++)
		if (str_eq_c(method, harmless_methods[i]))
			return VERB_GET;
	return VERB_NONE;
}

/* parts[at...] stand behind the version: [watch/] [namespaces/NS/] resource [name [sub [rest]]]. */
static void
route_resource(struct request *r, struct str group, struct str version, struct str *parts,
	size_t *ends, size_t at, size_t n)
{
	struct api_server *s = r->server;
	bool old_watch = at < n && str_eq(parts[at], STR("watch")) && at + 1 < n;
	if (old_watch)
		at++;
	struct str ns = STR("");
	if (at + 2 < n && str_eq(parts[at], STR("namespaces"))) {
		const struct api_resource *inner = request_resource_find(
			r, group, version, parts[at + 2]);
		const struct api_resource *nsres = api_resource_find(s, group, version, parts[at]);
		bool is_sub = nsres && api_subresource_find(nsres, parts[at + 2]);
		if (inner && inner->kind->namespaced) {
			ns = parts[at + 1];
			at += 2;
		} else if (!is_sub) {
			return;
		}
	}
	if (at >= n)
		return;
	const struct api_resource *res = request_resource_find(r, group, version, parts[at]);
	if (!res)
		return;
	struct str name = at + 1 < n ? parts[at + 1] : STR("");
	const struct api_subresource *sub = NULL;
	bool proxy = false;
	if (at + 2 < n) {
		sub = api_subresource_find(res, parts[at + 2]);
		bool deep = at + 3 < n;
		proxy = sub && str_eq(sub->name, STR("proxy"));
		if (!sub || (deep && !proxy))
			return;
		r->subpath = str_sub(r->path, ends[at + 2], SIZE_MAX);
	}
	enum verb v = verb_of(r->method, name.n != 0, proxy);
	r->wrong_method = v == VERB_NONE;
	if (r->wrong_method)
		return;
	if (v == VERB_LIST || (v == VERB_GET && old_watch && !sub)) {
		r->opt.watch = old_watch || query_flag(r, STR("watch"));
		if (r->opt.watch)
			v = VERB_WATCH;
	}
	/* an object of a namespace needs one; a cluster object is never in one */
	if (res->kind->namespaced && ns.n == 0 && name.n != 0)
		return;
	r->res = res;
	r->sub = sub;
	r->ns = ns;
	r->name = name;
	r->verb = v;
	if ((v == VERB_LIST || v == VERB_WATCH || v == VERB_DELETECOLLECTION) && name.n == 0) {
		struct str one = selected_name(r);
		if (str_is_set(one))
			r->name = one;
	}
	/* a namespace is in itself, for the authorizers */
	if (res == s->namespaces && name.n)
		r->ns = name;
}

enum step
stage_route(struct request *r)
{
	struct str parts[MAX_PARTS];
	size_t ends[MAX_PARTS];
	size_t n = str_find(r->path, STR("//")) < 0 ? split(r->path, parts, ends) : 0;
	r->verb = VERB_NONE;
	foreign_route(r, parts, n);
	if (r->foreign)
		return STEP_NEXT;
	if (n >= 3 && str_eq(parts[0], STR("api")))
		route_resource(r, STR(""), parts[1], parts, ends, 2, n);
	else if (n >= 4 && str_eq(parts[0], STR("apis")))
		route_resource(r, parts[1], parts[2], parts, ends, 3, n);
	return STEP_NEXT;
}
