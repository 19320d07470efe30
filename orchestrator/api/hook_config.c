/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_config: webhook configurations as compact rows, kept by each worker for itself and brought up to the store's
 * present before each use: a configuration holds for the first request after its write was acknowledged.
 *
 * Invariant: a configuration is counted: it lives as long as the cache or a request that took it. All of one worker
 * runs on its loop. */
#include "orchestrator/api/hook_int.h"

#include <stdlib.h>

enum { MUTATING, VALIDATING, N_KINDS };

struct hook_kind {
	struct hook_cache *hc;
	struct cache *cache;
	bool mutating;
	struct hook_config **v; /* heap, by name */
	size_t n;
};
struct hook_cache {
	struct http_client *http;
	struct hook_kind kinds[N_KINDS];
};

/* ---- one configuration ----------------------------------------------------------------------------- */

static void
config_unref(void *arg)
{
	struct hook_config *c = arg;
	if (--c->refs)
		return;
	for (size_t i = 0; i < c->n_hooks; i++)
		tls_ctx_unref(c->hooks[i].tls);
	arena_free(c->a);
}

static struct hook_texts
texts(struct arena *a, const struct doc *list)
{
	struct hook_texts t = {.v = ARENA_ARRAY(a, struct str, doc_len(list))};
	DOC_EACH (x, list)
		if (t.v)
			t.v[t.n++] = doc_as_str(x);
	return t;
}

static void
rules(struct arena *a, const struct doc *list, struct hook *h)
{
	h->rules = ARENA_ARRAY(a, struct hook_rule, doc_len(list));
	DOC_EACH (d, list) {
		if (!h->rules)
			return;
		struct str scope = doc_get_str(d, STR("scope"));
		h->rules[h->n_rules++] = (struct hook_rule){
			.operations = texts(a, doc_get(d, STR("operations"))),
			.groups = texts(a, doc_get(d, STR("apiGroups"))),
			.versions = texts(a, doc_get(d, STR("apiVersions"))),
			.resources = texts(a, doc_get(d, STR("resources"))),
			.cluster_only = str_eq(scope, STR("Cluster")),
			.namespaced_only = str_eq(scope, STR("Namespaced"))};
	}
}

static void
hook_fill(struct hook_config *c, const struct doc *d, size_t i, struct hook *h)
{
	struct str effects = doc_get_str(d, STR("sideEffects"));
	h->of = c;
	h->name = doc_get_str(d, STR("name"));
	h->id = arena_fmt(c->a, STR_FMT "/" STR_FMT "/%zu", STR_ARG(c->name), STR_ARG(h->name), i);
	rules(c->a, doc_get(d, STR("rules")), h);
	h->to = hook_target_of(c->a, doc_get(d, STR("clientConfig")));
	if (selector_from_doc(c->a, doc_get(d, STR("namespaceSelector")), &h->namespaces) < 0)
		h->namespaces = (struct selector){.nothing = true};
	if (selector_from_doc(c->a, doc_get(d, STR("objectSelector")), &h->objects) < 0)
		h->objects = (struct selector){.nothing = true};
	h->ignore_failure = str_eq(doc_get_str(d, STR("failurePolicy")), STR("Ignore"));
	h->equivalent = !str_eq(doc_get_str(d, STR("matchPolicy")), STR("Exact"));
	h->may_reinvoke = str_eq(doc_get_str(d, STR("reinvocationPolicy")), STR("IfNeeded"));
	h->no_side_effects = str_eq(effects, STR("None")) || str_eq(effects, STR("NoneOnDryRun"));
	h->conditions = doc_len(doc_get(d, STR("matchConditions"))) > 0;
	h->timeout_ns = doc_get_int(d, STR("timeoutSeconds"), 0) * NS_PER_SEC;
	DOC_EACH (v, doc_get(d, STR("admissionReviewVersions"))) {
		if (h->review)
			break;
		h->review = str_eq(doc_as_str(v), STR("v1"))    ? "v1"
			: str_eq(doc_as_str(v), STR("v1beta1")) ? "v1beta1"
								: NULL;
	}
}

static struct hook_config *
config_new(struct str name, struct str body, bool mutating)
{
	struct arena *a = arena_new(0);
	struct hook_config *c = a ? ARENA_NEW(a, struct hook_config) : NULL;
	struct doc *d = NULL;
	if (!c || doc_parse_json(a, arena_str(a, body), NULL, &d, NULL) < 0) {
		arena_free(a);
		return NULL;
	}
	const struct doc *list = doc_get(d, STR("webhooks"));
	*c = (struct hook_config){
		.a = a, .refs = 1, .name = arena_str(a, name), .mutating = mutating};
	c->hooks = ARENA_ARRAY(a, struct hook, doc_len(list));
	DOC_EACH (w, list)
		if (c->hooks) {
			hook_fill(c, w, c->n_hooks, &c->hooks[c->n_hooks]);
			c->n_hooks++;
		}
	if (!arena_failed(a))
		return c;
	arena_free(a);
	return NULL;
}

/* ---- keeping --------------------------------------------------------------------------------------- */

/* place: where name is, or belongs. */
static size_t
place(const struct hook_kind *k, struct str name)
{
	size_t i = 0;
	while (i < k->n && str_cmp(k->v[i]->name, name) < 0)
		i++;
	return i;
}

static void
kind_del(void *arg, struct store_key key)
{
	struct hook_kind *k = arg;
	size_t i = place(k, key.name);
	if (i == k->n || !str_eq(k->v[i]->name, key.name))
		return;
	config_unref(k->v[i]);
	memmove(&k->v[i], &k->v[i + 1], (--k->n - i) * sizeof(struct hook_config *));
}

static void
kind_put(void *arg, struct store_key key, struct str body)
{
	struct hook_kind *k = arg;
	kind_del(arg, key);
	struct hook_config *c = config_new(key.name, body, k->mutating);
	struct hook_config **v = c ? realloc(k->v, (k->n + 1) * sizeof(*v)) : NULL;
	if (!v) {
		if (c)
			config_unref(c);
		return;
	}
	k->v = v;
	size_t i = place(k, key.name);
	memmove(&v[i + 1], &v[i], (k->n++ - i) * sizeof(struct hook_config *));
	v[i] = c;
}

static void
kind_reset(void *arg)
{
	struct hook_kind *k = arg;
	for (size_t i = 0; i < k->n; i++)
		config_unref(k->v[i]);
	free(k->v);
	k->v = NULL;
	k->n = 0;
}

static const struct cache_fns kind_fns = {kind_put, kind_del, kind_reset};

void
hook_cache_free(struct hook_cache *hc)
{
	if (!hc)
		return;
	if (hc->http)
		http_client_free(hc->http);
	for (size_t i = 0; i < N_KINDS; i++) {
		cache_free(hc->kinds[i].cache);
		kind_reset(&hc->kinds[i]);
	}
	free(hc);
}

static struct hook_cache *
cache_of(struct api_worker *w)
{
	static const struct str resources[N_KINDS] = {
		[MUTATING] = STR_INIT("mutatingwebhookconfigurations"),
		[VALIDATING] = STR_INIT("validatingwebhookconfigurations"),
	};
	if (w->hooks)
		return w->hooks;
	struct hook_cache *hc = calloc(1, sizeof(*hc));
	for (size_t i = 0; hc && i < N_KINDS; i++) {
		struct hook_kind *k = &hc->kinds[i];
		k->hc = hc;
		k->mutating = i == MUTATING;
		k->cache = cache_new(w,
			api_resource_find(
				w->s, STR("admissionregistration.k8s.io"), STR("v1"), resources[i]),
			&kind_fns, k);
		if (!k->cache) {
			hook_cache_free(hc);
			return NULL;
		}
	}
	w->hooks = hc;
	return hc;
}

/* ---- for requests ---------------------------------------------------------------------------------- */

int
hooks_take(struct request *r, bool mutating, struct hook ***ret, size_t *ret_n)
{
	struct hook_cache *hc = cache_of(r->worker);
	struct hook_kind *k = hc ? &hc->kinds[mutating ? MUTATING : VALIDATING] : NULL;
	struct hook **out = NULL;
	size_t n = 0;
	int rc = k ? cache_sync(k->cache) : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < k->n; i++) {
		rc = arena_on_clear(r->a, config_unref, k->v[i]);
		if (rc < 0)
			break;
		k->v[i]->refs++;
		for (size_t j = 0; j < k->v[i]->n_hooks; j++) {
			struct hook **slot = ARENA_PUSH(r->a, out, n);
			if (!slot)
				return -ENOMEM;
			*slot = &k->v[i]->hooks[j];
		}
	}
	if (rc < 0)
		return rc;
	*ret = out;
	*ret_n = n;
	return 0;
}

struct http_client *
hooks_client(struct request *r)
{
	struct hook_cache *hc = cache_of(r->worker);
	if (hc && !hc->http &&
		http_client_new(&(struct http_client_config){.loop = r->loop}, &hc->http) < 0)
		return NULL;
	return hc ? hc->http : NULL;
}

int
hook_tls(struct hook *h, struct tls_ctx **ret, struct err *e)
{
	int rc = h->tls ? 0 : hook_target_tls(&h->to, &h->tls, e);
	if (rc == 0)
		*ret = h->tls;
	return rc;
}
