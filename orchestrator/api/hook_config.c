/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_config: webhook configurations as compact rows, and admission policies (policy_config.c), kept by each worker for
 * itself and brought up to the store's present before each use: what is configured holds for the first request after
 * its write was acknowledged.
 *
 * Invariant: an object is counted: it lives as long as the cache or a request that took it. All of one worker
 * runs on its loop. */
#include "orchestrator/api/policy_int.h"

#include <assert.h>
#include <stdlib.h>

struct hook_kept {
	struct cache *cache;
	struct hook_item *(*make)(struct str name, struct str body);
	struct hook_item **v; /* heap, by name */
	size_t n;
};
struct hook_cache {
	struct http_client *http;
	struct hook_kept kinds[HOOK_KIND__COUNT];
};

/* ---- one configuration ----------------------------------------------------------------------------- */

static void
item_unref(void *arg)
{
	struct hook_item *it = arg;
	if (--it->refs)
		return;
	if (it->drop)
		it->drop(it);
	arena_free(it->a);
}

static void
config_drop(struct hook_item *it)
{
	struct hook_config *c = CONTAINER_OF(it, struct hook_config, item);
	for (size_t i = 0; i < c->n_hooks; i++)
		tls_ctx_unref(c->hooks[i].tls);
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

void
hook_rules_read(struct arena *a, const struct doc *list, struct hook_rule **ret, size_t *ret_n)
{
	struct hook_rule *v = ARENA_ARRAY(a, struct hook_rule, doc_len(list));
	size_t n = 0;
	DOC_EACH (d, list) {
		struct str scope = doc_get_str(d, STR("scope"));
		if (!v)
			break;
		v[n++] = (struct hook_rule){.operations = texts(a, doc_get(d, STR("operations"))),
			.groups = texts(a, doc_get(d, STR("apiGroups"))),
			.versions = texts(a, doc_get(d, STR("apiVersions"))),
			.resources = texts(a, doc_get(d, STR("resources"))),
			.names = texts(a, doc_get(d, STR("resourceNames"))),
			.cluster_only = str_eq(scope, STR("Cluster")),
			.namespaced_only = str_eq(scope, STR("Namespaced"))};
	}
	*ret = v;
	*ret_n = n;
}

void
hook_scope_selectors(struct arena *a, const struct doc *d, struct hook_scope *sc)
{
	if (selector_from_doc(a, doc_get(d, STR("namespaceSelector")), &sc->namespaces) < 0)
		sc->namespaces = (struct selector){.nothing = true};
	if (selector_from_doc(a, doc_get(d, STR("objectSelector")), &sc->objects) < 0)
		sc->objects = (struct selector){.nothing = true};
	sc->equivalent = !str_eq(doc_get_str(d, STR("matchPolicy")), STR("Exact"));
}

static void
where(struct arena *a, const struct doc *c, struct hook *h)
{
	const struct doc *service = doc_get(c, STR("service"));
	struct buf pem;
	h->url = doc_get_str(c, STR("url"));
	h->service_ns = doc_get_str(service, STR("namespace"));
	h->service = doc_get_str(service, STR("name"));
	h->path = doc_get_str(service, STR("path"));
	h->port = doc_get_int(service, STR("port"), 443);
	buf_init_arena(&pem, a);
	if (base64_decode(&pem, doc_get_str(c, STR("caBundle"))) == 0)
		h->ca_pem = buf_view(&pem);
}

static void
hook_fill(struct hook_config *c, const struct doc *d, size_t i, struct hook *h)
{
	struct str effects = doc_get_str(d, STR("sideEffects"));
	struct arena *a = c->item.a;
	h->of = c;
	h->name = doc_get_str(d, STR("name"));
	h->id = arena_fmt(
		a, STR_FMT "/" STR_FMT "/%zu", STR_ARG(c->item.name), STR_ARG(h->name), i);
	hook_rules_read(a, doc_get(d, STR("rules")), &h->scope.rules, &h->scope.n_rules);
	where(a, doc_get(d, STR("clientConfig")), h);
	hook_scope_selectors(a, d, &h->scope);
	h->ignore_failure = str_eq(doc_get_str(d, STR("failurePolicy")), STR("Ignore"));
	h->may_reinvoke = str_eq(doc_get_str(d, STR("reinvocationPolicy")), STR("IfNeeded"));
	h->no_side_effects = str_eq(effects, STR("None")) || str_eq(effects, STR("NoneOnDryRun"));
	if (doc_len(doc_get(d, STR("matchConditions"))))
		h->conditions = policy_code_new(a, d);
	h->timeout_ns = doc_get_int(d, STR("timeoutSeconds"), 0) * NS_PER_SEC;
	DOC_EACH (v, doc_get(d, STR("admissionReviewVersions"))) {
		if (h->review)
			break;
		h->review = str_eq(doc_as_str(v), STR("v1"))    ? "v1"
			: str_eq(doc_as_str(v), STR("v1beta1")) ? "v1beta1"
								: NULL;
	}
}

static struct hook_item *
config_new(struct str name, struct str body)
{
	struct arena *a = arena_new(0);
	struct hook_config *c = a ? ARENA_NEW(a, struct hook_config) : NULL;
	struct doc *d = NULL;
	if (!c || doc_parse_json(a, arena_str(a, body), NULL, &d, NULL) < 0) {
		arena_free(a);
		return NULL;
	}
	const struct doc *list = doc_get(d, STR("webhooks"));
	*c = (struct hook_config){.item = {
					  .a = a,
					  .refs = 1,
					  .name = arena_str(a, name),
					  .drop = config_drop,
				  }};
	c->hooks = ARENA_ARRAY(a, struct hook, doc_len(list));
	DOC_EACH (w, list)
		if (c->hooks) {
			hook_fill(c, w, c->n_hooks, &c->hooks[c->n_hooks]);
			c->n_hooks++;
		}
	if (!arena_failed(a))
		return &c->item;
	arena_free(a);
	return NULL;
}

/* ---- keeping --------------------------------------------------------------------------------------- */

/* place: where name is, or belongs. */
static size_t
place(const struct hook_kept *k, struct str name)
{
	size_t i = 0;
	while (i < k->n && str_cmp(k->v[i]->name, name) < 0)
		i++;
	return i;
}

static void
kind_del(void *arg, struct store_key key)
{
	struct hook_kept *k = arg;
	size_t i = place(k, key.name);
	if (i == k->n || !str_eq(k->v[i]->name, key.name))
		return;
	item_unref(k->v[i]);
	memmove(&k->v[i], &k->v[i + 1], (--k->n - i) * sizeof(struct hook_item *));
}

static void
kind_put(void *arg, struct store_key key, struct str body)
{
	struct hook_kept *k = arg;
	kind_del(arg, key);
	struct hook_item *it = k->make(key.name, body);
	struct hook_item **v = it ? realloc(k->v, (k->n + 1) * sizeof(*v)) : NULL;
	if (!v) {
		if (it)
			item_unref(it);
		return;
	}
	k->v = v;
	size_t i = place(k, key.name);
	memmove(&v[i + 1], &v[i], (k->n++ - i) * sizeof(struct hook_item *));
	v[i] = it;
}

static void
kind_reset(void *arg)
{
	struct hook_kept *k = arg;
	for (size_t i = 0; i < k->n; i++)
		item_unref(k->v[i]);
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
	for (size_t i = 0; i < HOOK_KIND__COUNT; i++) {
		cache_free(hc->kinds[i].cache);
		kind_reset(&hc->kinds[i]);
	}
	free(hc);
}

static struct hook_cache *
cache_of(struct api_worker *w)
{
	static const struct {
		struct str resource;
		struct hook_item *(*make)(struct str name, struct str body);
	} rows[] = {
		[HOOK_MUTATING] = {STR_INIT("mutatingwebhookconfigurations"), config_new},
		[HOOK_VALIDATING] = {STR_INIT("validatingwebhookconfigurations"), config_new},
		[HOOK_MUTATING_POLICY] = {STR_INIT("mutatingadmissionpolicies"), policy_new},
		[HOOK_MUTATING_BINDING] = {STR_INIT("mutatingadmissionpolicybindings"),
			policy_binding_new},
		[HOOK_VALIDATING_POLICY] = {STR_INIT("validatingadmissionpolicies"), policy_new},
		[HOOK_VALIDATING_BINDING] = {STR_INIT("validatingadmissionpolicybindings"),
			policy_binding_new},
	};
	static_assert(ARRAY_LEN(rows) == HOOK_KIND__COUNT, "a row each");
	if (w->hooks)
		return w->hooks;
	struct hook_cache *hc = calloc(1, sizeof(*hc));
	for (size_t i = 0; hc && i < HOOK_KIND__COUNT; i++) {
		struct hook_kept *k = &hc->kinds[i];
		k->make = rows[i].make;
		k->cache = cache_new(w,
			api_resource_find(w->s, STR("admissionregistration.k8s.io"), STR("v1"),
				rows[i].resource),
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
hook_items_take(struct request *r, enum hook_kind kind, struct hook_item ***ret, size_t *ret_n)
{
	struct hook_cache *hc = cache_of(r->worker);
	struct hook_kept *k = hc ? &hc->kinds[kind] : NULL;
	int rc = k ? cache_sync(k->cache) : -ENOMEM;
	struct hook_item **out = rc == 0 ? ARENA_ARRAY(r->a, struct hook_item *, k->n) : NULL;
	for (size_t i = 0; rc == 0 && i < k->n; i++) {
		rc = out ? arena_on_clear(r->a, item_unref, k->v[i]) : -ENOMEM;
		if (rc < 0)
			break;
		k->v[i]->refs++;
		out[i] = k->v[i];
	}
	if (rc < 0)
		return rc;
	*ret = out;
	*ret_n = k->n;
	return 0;
}

int
hooks_take(struct request *r, bool mutating, struct hook ***ret, size_t *ret_n)
{
	struct hook_item **items = NULL;
	struct hook **out = NULL;
	size_t n_items = 0, n = 0;
	int rc = hook_items_take(r, mutating ? HOOK_MUTATING : HOOK_VALIDATING, &items, &n_items);
	for (size_t i = 0; rc == 0 && i < n_items; i++) {
		struct hook_config *c = CONTAINER_OF(items[i], struct hook_config, item);
		for (size_t j = 0; j < c->n_hooks; j++) {
			struct hook **slot = ARENA_PUSH(r->a, out, n);
			if (!slot)
				return -ENOMEM;
			*slot = &c->hooks[j];
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
	if (!h->tls && h->ca_pem.n == 0)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"tls: failed to verify certificate: clientConfig has no caBundle, and there are "
			"no roots of the system");
	if (!h->tls) {
		int rc = tls_ctx_new(&(struct tls_config){.ca_pem = h->ca_pem}, &h->tls, e);
		if (rc < 0)
			return rc;
	}
	*ret = h->tls;
	return 0;
}
