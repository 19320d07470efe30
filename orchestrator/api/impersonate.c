/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * impersonate: the stage that lets one user act as another: Impersonate-User, -Group, -Uid, -Extra-*;
 * each of them needs the verb `impersonate` on what is taken.
 *
 * Invariant: without Impersonate-User the other headers are an error; the user who asked stays in
 * r->real_user.
 * Source: Kubernetes authentication (user impersonation). */
#include "orchestrator/api/api_int.h"

#define EXTRA_PREFIX "Impersonate-Extra-"

static bool
may(struct request *r, const char *group, const char *resource, struct str sub, struct str ns,
	struct str name, enum step *ret)
{
	struct authz_attrs at = {.verb = STR("impersonate"),
		.is_resource = true,
		.group = str_c(group),
		.version = STR("v1"),
		.resource = str_c(resource),
		.subresource = sub,
		.ns = ns,
		.name = name,
		.user = &r->user};
	struct str why = STR("");
	if (request_authorize(r, &at, &why))
		return true;
	struct str text = forbidden_text(r->a, &at, why);
	*ret = request_fail_status(r,
		&(struct status_spec){.http = 403,
			.reason = R_FORBIDDEN,
			.name = name,
			.group = str_c(group),
			.kind = str_c(resource),
			.message = arena_fmt(r->a, "%s%s%s \"" STR_FMT "\" is forbidden: " STR_FMT,
				resource, group[0] ? "." : "", group, STR_ARG(name),
				STR_ARG(text))});
	return false;
}

struct wanted {
	struct str user, uid;
	struct str *groups;
	size_t n_groups;
	struct user_extra *extra;
	size_t n_extra;
	bool any;
};

void
user_extra_add(
	struct arena *a, struct user_extra **list, size_t *n, struct str key, struct str value)
{
	struct str decoded = key;
	struct buf low;
	buf_init_arena(&low, a);
	if (http_url_decode(a, key, false, &decoded) < 0)
		decoded = key;
	for (size_t i = 0; i < decoded.n; i++) {
		char c = decoded.p[i];
		buf_char(&low, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
	}
	struct user_extra *x = NULL;
	for (size_t i = 0; i < *n; i++)
		if (str_eq((*list)[i].key, buf_view(&low)))
			x = &(*list)[i];
	if (!x && (x = ARENA_PUSH(a, *list, *n)) != NULL)
		*x = (struct user_extra){.key = buf_view(&low)};
	if (!x)
		return;
	struct str *v = (struct str *)(uintptr_t)(const void *)x->values;
	struct str *slot = ARENA_PUSH(a, v, x->n_values);
	if (slot)
		*slot = value;
	x->values = v;
}

static void
wanted_read(struct request *r, struct wanted *w)
{
	const struct http_headers *h = &r->sink->http->headers;
	struct str prefix = STR(EXTRA_PREFIX);
	for (size_t i = 0; i < h->n; i++) {
		struct str name = h->v[i].name, value = h->v[i].value;
		if (str_eq_nocase(name, STR("Impersonate-User"))) {
			w->user = value;
		} else if (str_eq_nocase(name, STR("Impersonate-Uid"))) {
			w->uid = value;
		} else if (str_eq_nocase(name, STR("Impersonate-Group"))) {
			struct str *g = ARENA_PUSH(r->a, w->groups, w->n_groups);
			if (g)
				*g = value;
		} else if (name.n > prefix.n && str_eq_nocase(str_sub(name, 0, prefix.n), prefix)) {
			user_extra_add(r->a, &w->extra, &w->n_extra,
				str_sub(name, prefix.n, SIZE_MAX), value);
		} else {
			continue;
		}
		w->any = true;
	}
}

static bool
all_allowed(struct request *r, const struct wanted *w, bool account, struct str ns, struct str name,
	enum step *ret)
{
	struct str none = STR("");
	if (account ? !may(r, "", "serviceaccounts", none, ns, name, ret)
		    : !may(r, "", "users", none, none, w->user, ret))
		return false;
	for (size_t i = 0; i < w->n_groups; i++)
		if (!may(r, "", "groups", none, none, w->groups[i], ret))
			return false;
	if (w->uid.n && !may(r, "authentication.k8s.io", "uids", none, none, w->uid, ret))
		return false;
	for (size_t i = 0; i < w->n_extra; i++)
		for (size_t v = 0; v < w->extra[i].n_values; v++)
			if (!may(r, "authentication.k8s.io", "userextras", w->extra[i].key, none,
				    w->extra[i].values[v], ret))
				return false;
	return true;
}

static void
group_ensure(struct request *r, struct wanted *w, struct str group)
{
	for (size_t i = 0; i < w->n_groups; i++)
		if (str_eq(w->groups[i], group))
			return;
	struct str *g = ARENA_PUSH(r->a, w->groups, w->n_groups);
	if (g)
		*g = group;
}

enum step
stage_impersonate(struct request *r)
{
	if (!r->sink->http)
		return STEP_NEXT;
	struct wanted w = {0};
	wanted_read(r, &w);
	if (!w.any)
		return STEP_NEXT;
	if (w.user.n == 0)
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: requested impersonation without impersonating a user");
	struct user as = {.name = w.user};
	struct str ns = STR(""), name = STR("");
	bool account = user_service_account(&as, &ns, &name);
	enum step st = STEP_NEXT;
	if (!all_allowed(r, &w, account, ns, name, &st))
		return st;
	if (account && w.n_groups == 0) {
		group_ensure(r, &w, STR("system:serviceaccounts"));
		group_ensure(
			r, &w, arena_fmt(r->a, "system:serviceaccounts:" STR_FMT, STR_ARG(ns)));
	}
	if (str_eq(w.user, STR("system:anonymous")))
		group_ensure(r, &w, STR("system:unauthenticated"));
	else
		group_ensure(r, &w, STR("system:authenticated"));
	r->real_user = r->user;
	r->user = (struct user){.name = w.user,
		.uid = w.uid,
		.groups = w.groups,
		.n_groups = w.n_groups,
		.extra = w.extra,
		.n_extra = w.n_extra};
	return STEP_NEXT;
}
