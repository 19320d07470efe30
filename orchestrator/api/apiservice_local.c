/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_local: the APIServices of what this server serves itself, one a group and version; their priorities, which
 * give the order of /apis; and what aggregated servers must know to believe this one
 * (ConfigMap kube-system/extension-apiserver-authentication).
 * Source: k8s.io/kubernetes pkg/controlplane/apiserver (aggregator), cmd/kube-apiserver/app (aggregator),
 * pkg/controlplane/controller/clusterauthenticationtrust. */
#include "netstack/tls/x509.h"
#include "orchestrator/api/apiservice.h"

#define AUTH_CONFIG "extension-apiserver-authentication"

/* What is not here is served without an APIService. */
static const struct {
	const char *group, *version;
	int of_group, of_version;
} priorities[] = {
	{"", "v1", 18000, 1},
	{"apps", "v1", 17800, 15},
	{"events.k8s.io", "v1", 17750, 15},
	{"authentication.k8s.io", "v1", 17700, 15},
	{"authorization.k8s.io", "v1", 17600, 15},
	{"autoscaling", "v2", 17500, 30},
	{"autoscaling", "v1", 17500, 15},
	{"batch", "v1", 17400, 15},
	{"certificates.k8s.io", "v1", 17300, 15},
	{"certificates.k8s.io", "v1beta1", 17300, 9},
	{"networking.k8s.io", "v1", 17200, 15},
	{"policy", "v1", 17100, 15},
	{"rbac.authorization.k8s.io", "v1", 17000, 15},
	{"storage.k8s.io", "v1", 16800, 15},
	{"admissionregistration.k8s.io", "v1", 16700, 15},
	{"admissionregistration.k8s.io", "v1beta1", 16700, 12},
	{"admissionregistration.k8s.io", "v1alpha1", 16700, 9},
	{"apiextensions.k8s.io", "v1", 16700, 15},
	{"scheduling.k8s.io", "v1", 16600, 15},
	{"scheduling.k8s.io", "v1beta1", 16600, 9},
	{"scheduling.k8s.io", "v1alpha3", 16600, 3},
	{"coordination.k8s.io", "v1", 16500, 15},
	{"coordination.k8s.io", "v1beta1", 16500, 13},
	{"coordination.k8s.io", "v1alpha2", 16500, 12},
	{"node.k8s.io", "v1", 16300, 15},
	{"discovery.k8s.io", "v1", 16200, 15},
	{"resource.k8s.io", "v1", 16200, 21},
	{"resource.k8s.io", "v1beta2", 16200, 15},
	{"resource.k8s.io", "v1beta1", 16200, 9},
	{"resource.k8s.io", "v1alpha3", 16200, 1},
	{"flowcontrol.apiserver.k8s.io", "v1", 16100, 21},
	{"internal.apiserver.k8s.io", "v1alpha1", 16000, 9},
	{"storagemigration.k8s.io", "v1", 15800, 15},
	{"storagemigration.k8s.io", "v1beta1", 15800, 9},
	{"lifecycle.k8s.io", "v1alpha1", 15700, 1},
};

bool
apiservice_priority(struct str group, struct str version, int *ret_group, int *ret_version)
{
	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		if (!str_eq_c(group, priorities[i].group) ||
			!str_eq_c(version, priorities[i].version))
			continue;
		*ret_group = priorities[i].of_group;
		*ret_version = priorities[i].of_version;
		return true;
	}
	return false;
}

struct doc *
apiservice_local(struct arena *a, struct str group, struct str version, const char *managed)
{
	int of_group = APISERVICE_CUSTOM_GROUP, of_version = APISERVICE_CUSTOM_VERSION;
	bool builtin = apiservice_priority(group, version, &of_group, &of_version);
	struct doc *d = NULL;
	if (!builtin && strcmp(managed, APISERVICE_ALWAYS) != 0)
		return NULL;
	struct str text = arena_fmt(a,
		"{\"apiVersion\":\"apiregistration.k8s.io/v1\",\"kind\":\"APIService\",\"metadata\":{"
		"\"name\":\"" STR_FMT "." STR_FMT "\",\"labels\":{\"" APISERVICE_MANAGED
		"\":\"%s\"}},\"spec\":{%s" STR_FMT "%s\"version\":\"" STR_FMT
		"\",\"groupPriorityMinimum\":%d,\"versionPriority\":%d}}",
		STR_ARG(version), STR_ARG(group), managed, group.n ? "\"group\":\"" : "",
		STR_ARG(group), group.n ? "\"," : "", STR_ARG(version), of_group, of_version);
	return doc_parse_json(a, text, NULL, &d, NULL) == 0 ? d : NULL;
}

bool
apiservice_is_managed(const struct doc *d, bool *ret_on_start)
{
	struct str how = doc_get_str(doc_get(meta_of(d), STR("labels")), STR(APISERVICE_MANAGED));
	*ret_on_start = str_eq_c(how, APISERVICE_ON_START);
	return *ret_on_start || str_eq_c(how, APISERVICE_ALWAYS);
}

bool
apiservice_local_merge(struct arena *a, struct doc *have, const struct doc *want)
{
	bool on_start;
	const struct doc *spec = doc_get(want, STR("spec"));
	if (!apiservice_is_managed(have, &on_start) || doc_equal(doc_get(have, STR("spec")), spec))
		return false;
	doc_set(have, STR("spec"), doc_copy(a, spec));
	return true;
}

void
apiservice_local_each(
	struct api_server *s, struct arena *a, void (*fn)(void *arg, struct doc *obj), void *arg)
{
	for (size_t i = 0; i < s->schema->n_groups; i++) {
		const struct schema_group_version *g = &s->schema->groups[i];
		if (!schema_version_served(s->schema, g) || strcmp(g->group, APISERVICE_GROUP) == 0)
			continue;
		struct doc *d = apiservice_local(
			a, str_c(g->group), str_c(g->version), APISERVICE_ON_START);
		if (d)
			fn(arg, d);
	}
}

/* ---- what aggregated servers read -------------------------------------------------------------------- */

/* Lists in JSON: what we send; what others (another control plane's) have put there stays. */
static const struct {
	const char *key, *list;
} auth_lists[] = {
	{"requestheader-allowed-names", "[\"" FRONT_PROXY_NAME "\"]"},
	{"requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"},
	{"requestheader-group-headers", "[\"X-Remote-Group\"]"},
	{"requestheader-uid-headers", "[\"X-Remote-Uid\"]"},
	{"requestheader-username-headers", "[\"X-Remote-User\"]"},
};

struct doc *
front_proxy_config(struct api_server *s, struct arena *a)
{
	struct doc *d = doc_map(a), *meta = doc_map(a), *data = doc_map(a);
	if (!d || !meta || !data || !s->front_proxy.ca_pem.n)
		return NULL;
	doc_set_str(a, d, STR("apiVersion"), STR("v1"));
	doc_set_str(a, d, STR("kind"), STR("ConfigMap"));
	doc_set_str(a, meta, STR("name"), STR(AUTH_CONFIG));
	doc_set_str(a, meta, STR("namespace"), STR("kube-system"));
	doc_set(d, STR("metadata"), meta);
	doc_set_str(a, data, STR("client-ca-file"), s->front_proxy.client_ca_pem);
	doc_set_str(a, data, STR("requestheader-client-ca-file"), s->front_proxy.ca_pem);
	for (size_t i = 0; i < ARRAY_LEN(auth_lists); i++)
		doc_set_str(a, data, str_c(auth_lists[i].key), str_c(auth_lists[i].list));
	doc_set(d, STR("data"), data);
	return d;
}

/* bundle: the certificates of `have` that are still good, and ours. */
static struct str
bundle(struct arena *a, struct str have, struct str own)
{
	struct x509_cert *c = NULL, *o = NULL;
	size_t n = 0, n_own = 0;
	int64_t now_s = clock_wall_ns() / NS_PER_SEC;
	struct buf b;
	buf_init_arena(&b, a);
	if (x509_certs_parse_pem(a, own, &o, &n_own, NULL) < 0 || n_own == 0 ||
		x509_certs_parse_pem(a, have, &c, &n, NULL) < 0)
		return own;
	bool there = false;
	for (size_t i = 0; i < n; i++) {
		there = there || str_eq(c[i].der, o[0].der);
		if (now_s <= c[i].not_after_s)
			pem_write(STR("CERTIFICATE"), c[i].der, &b);
	}
	if (there && n)
		return b.failed ? have : buf_view(&b);
	buf_str(&b, own);
	return b.failed ? own : buf_view(&b);
}

/* texts_add: a list of texts in JSON with ours at its end. */
static struct str
texts_add(struct arena *a, struct str have, struct str own)
{
	struct doc *h = NULL, *o = NULL;
	struct buf b;
	if (doc_parse_json(a, have, NULL, &h, NULL) < 0 || h->type != DOC_LIST ||
		doc_parse_json(a, own, NULL, &o, NULL) < 0)
		return own;
	DOC_EACH (x, o)
		if (!doc_list_has(h, doc_as_str(x)))
			doc_append(h, doc_copy(a, x));
	buf_init_arena(&b, a);
	doc_write_json(&b, h);
	return b.failed ? own : buf_view(&b);
}

bool
front_proxy_config_merge(struct arena *a, struct doc *have, const struct doc *want)
{
	struct doc *data = doc_ensure_map(a, have, STR("data"));
	bool changed = false;
	DOC_EACH (w, doc_get(want, STR("data"))) {
		struct str old = doc_get_str(data, w->key), own = doc_as_str(w), now;
		now = !old.n                             ? own
			: str_ends(w->key, STR("-file")) ? bundle(a, old, own)
							 : texts_add(a, old, own);
		if (!data || str_eq(old, now))
			continue;
		doc_set_str(a, data, w->key, now);
		changed = true;
	}
	return changed;
}
