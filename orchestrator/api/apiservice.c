/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice: one APIService as it is used, and the table of those with a service that each worker keeps for itself,
 * brought up to the store's present before each look into it. See apiservice.h. */
#include "orchestrator/api/apiservice.h"

#include <stdlib.h>

struct apiservices {
	struct cache *cache;
	struct map by_name; /* "v1.example.com" -> struct apiservice, remote ones only */
};

/* ---- one ------------------------------------------------------------------------------------------- */

static bool
is_available(const struct doc *d)
{
	DOC_EACH (c, doc_get(doc_get(d, STR("status")), STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), "Available"))
			return str_eq_c(doc_get_str(c, STR("status")), "True");
	return false;
}

struct apiservice *
apiservice_new(struct str body)
{
	struct arena *a = arena_new(0);
	struct apiservice *x = a ? ARENA_NEW(a, struct apiservice) : NULL;
	struct doc *d = NULL;
	if (!x || doc_parse_json(a, arena_str(a, body), NULL, &d, NULL) < 0) {
		arena_free(a);
		return NULL;
	}
	const struct doc *spec = doc_get(d, STR("spec")), *service = doc_get(spec, STR("service"));
	struct buf ca;
	buf_init_arena(&ca, a);
	*x = (struct apiservice){.refs = 1,
		.a = a,
		.name = doc_get_str(meta_of(d), STR("name")),
		.group = doc_get_str(spec, STR("group")),
		.version = doc_get_str(spec, STR("version")),
		.remote = service && service->type == DOC_MAP,
		.service_ns = doc_get_str(service, STR("namespace")),
		.service = doc_get_str(service, STR("name")),
		.port = doc_get_int(service, STR("port"), 443),
		.insecure = doc_get_bool(spec, STR("insecureSkipTLSVerify"), false),
		.available = is_available(d),
		.of_group = (int)doc_get_int(spec, STR("groupPriorityMinimum"), 0),
		.of_version = (int)doc_get_int(spec, STR("versionPriority"), 0)};
	if (base64_decode(&ca, doc_get_str(spec, STR("caBundle"))) == 0)
		x->ca_pem = buf_view(&ca);
	/* its own group is always answered here */
	if (str_eq_c(x->group, APISERVICE_GROUP))
		x->remote = false;
	if (!arena_failed(a) && x->name.n)
		return x;
	arena_free(a);
	return NULL;
}

void
apiservice_unref(void *p)
{
	struct apiservice *x = p;
	if (!x || --x->refs)
		return;
	tls_ctx_unref(x->tls);
	arena_free(x->a);
}

bool
apiservice_same_way(const struct apiservice *x, const struct apiservice *y)
{
	return x->remote == y->remote && str_eq(x->service_ns, y->service_ns) &&
		str_eq(x->service, y->service) && x->port == y->port &&
		x->insecure == y->insecure && str_eq(x->ca_pem, y->ca_pem);
}

void
apiservice_tls_share(struct apiservice *to, const struct apiservice *from)
{
	if (from && from->tls && !to->tls && apiservice_same_way(to, from))
		to->tls = tls_ctx_ref(from->tls);
}

int
apiservice_tls(struct api_server *s, struct apiservice *x, struct tls_ctx **ret, struct err *e)
{
	struct tls_pair pair = {s->front_proxy.cert_pem, s->front_proxy.key_pem};
	if (!x->tls && !x->insecure && !x->ca_pem.n)
		return err_set(e, -EINVAL, R_UNKNOWN,
			"tls: failed to verify certificate: the APIService has no caBundle, and there "
			"are no roots of the system");
	if (!x->tls) {
		int rc = tls_ctx_new(&(struct tls_config){.pairs = &pair,
					     .n_pairs = pair.cert_pem.n ? 1 : 0,
					     .ca_pem = x->insecure ? STR("") : x->ca_pem,
					     .insecure = x->insecure},
			&x->tls, e);
		if (rc < 0)
			return rc;
	}
	*ret = x->tls;
	return 0;
}

/* ---- the table of a worker ------------------------------------------------------------------------- */

static void
on_del(void *arg, struct store_key key)
{
	struct apiservices *t = arg;
	apiservice_unref(map_del(&t->by_name, key.name));
}

static void
on_put(void *arg, struct store_key key, struct str body)
{
	struct apiservices *t = arg;
	struct apiservice *x = apiservice_new(body), *old = map_get(&t->by_name, key.name);
	if (x && x->remote)
		apiservice_tls_share(x, old);
	on_del(arg, key);
	if (x && (!x->remote || map_put(&t->by_name, x->name, x, NULL) < 0))
		apiservice_unref(x);
}

static void
on_reset(void *arg)
{
	struct apiservices *t = arg;
	size_t pos = 0;
	struct str name;
	void *v;
	while (map_next(&t->by_name, &pos, &name, &v))
		apiservice_unref(v);
	map_release(&t->by_name);
	map_init(&t->by_name);
}

static struct apiservices *
table(struct api_worker *w)
{
	static const struct cache_fns fns = {on_put, on_del, on_reset};
	struct apiservices *t = w->apiservices;
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return NULL;
		map_init(&t->by_name);
		t->cache = cache_new(w,
			api_resource_find(
				w->s, STR(APISERVICE_GROUP), STR("v1"), STR("apiservices")),
			&fns, t);
		w->apiservices = t;
	}
	return t->cache && cache_sync(t->cache) == 0 ? t : NULL;
}

void
apiservices_free(struct api_worker *w)
{
	struct apiservices *t = w->apiservices;
	if (!t)
		return;
	w->apiservices = NULL;
	cache_free(t->cache);
	on_reset(t);
	map_release(&t->by_name);
	free(t);
}

struct apiservice *
apiservice_find(struct api_worker *w, struct str group, struct str version)
{
	char key[512];
	struct apiservices *t = table(w);
	if (!t || map_len(&t->by_name) == 0 || version.n + group.n + 1 > sizeof(key))
		return NULL;
	memcpy(key, version.p, version.n);
	key[version.n] = '.';
	if (group.n)
		memcpy(key + version.n + 1, group.p, group.n);
	return map_get(&t->by_name, str_from(key, version.n + 1 + group.n));
}
