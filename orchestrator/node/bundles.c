/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * bundles: ClusterTrustBundles in pods' volumes. The first pod that names one starts the node's watch on all of
 * them (a source may select by labels); a change makes the volumes stale that it is about.
 *
 * What a source gives is every certificate once, in PEM without anything between the blocks. The order says
 * nothing and is another in each pod, so that nobody relies on it; it stays the same as long as the certificates do.
 * Source: kubelet pkg/kubelet/clustertrustbundle; KEP-3257. */
#include "orchestrator/node/node_int.h"

#include "netstack/tls/x509.h"

#include "kinds/certificates_v1.h"

typedef const struct core_v1_cluster_trust_bundle_projection source_t;
typedef const struct certificates_v1_cluster_trust_bundle bundle_t;

#define EACH_SOURCE(p, x)                                                                          \
	for (size_t v_ = 0; v_ < (p)->o->spec.n_volumes; v_++)                                     \
		for (size_t s_ = 0; (p)->o->spec.volumes[v_].projected &&                          \
			s_ < (p)->o->spec.volumes[v_].projected->n_sources;                        \
			s_++)                                                                      \
			if (((x) = (p)->o->spec.volumes[v_]                                        \
					    .projected->sources[s_]                                \
					    .cluster_trust_bundle) != NULL)

/* ---- the watch ---- */

static bool
is_about(source_t *s, const struct informer_obj *o)
{
	bundle_t *b = o->obj;
	return s->name.n ? str_eq(s->name, o->name)
			 : s->signer_name.n && str_eq(s->signer_name, b->spec.signer_name);
}

static void
stale(struct pod *p)
{
	p->volumes_stale = true;
	p->setup = (struct backoff){0}; /* what was missing may be here now */
	pod_sync_later(p);
}

static void
tell(struct node *n, const struct informer_obj *o)
{
	size_t pos = 0;
	void *v = NULL;
	while (map_next(&n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		source_t *s = NULL;
		bool about = false;
		if (!p->o)
			continue;
		EACH_SOURCE(p, s)
		about = about || !o || is_about(s, o);
		if (about)
			stale(p);
	}
}

static void
on_bundle(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct node *n = arg;
	if (informer_synced(n->bundles))
		tell(n, new_ ? new_ : old);
}

static void
on_synced(void *arg)
{
	tell(arg, NULL);
}

bool
bundles_ready(struct pod *p)
{
	struct node *n = p->node;
	struct informer_spec spec = {.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("clustertrustbundles"),
		.type = SCHEMA_TYPE_OF(certificates_v1_cluster_trust_bundle),
		.on_change = on_bundle,
		.on_synced = on_synced,
		.arg = n};
	source_t *s = NULL;
	bool any = false;
	EACH_SOURCE(p, s)
	any = true;
	if (!any)
		return true;
	if (!n->bundles && informer_new(n->api, &spec, &n->bundles) < 0) {
		pod_wake_in(p, NS_PER_SEC);
		return false;
	}
	return informer_synced(n->bundles);
}

/* ---- what a source gives ---- */

struct anchor {
	struct str der;
	uint8_t sum[32]; /* of the pod's uid and der: equal = the same certificate; and the order */
};

static int
anchor_cmp(const void *x, const void *y)
{
	return memcmp(((const struct anchor *)x)->sum, ((const struct anchor *)y)->sum, 32);
}

struct gather {
	struct pod *p;
	struct arena *a;
	struct anchor *v;
	size_t n;
};

/* take: the certificates of one bundle. */
static int
take(struct gather *g, bundle_t *b)
{
	_cleanup_buf_ struct buf der = BUF_INIT, keyed = BUF_INIT;
	struct str rest = b->spec.trust_bundle, label = STR_NONE;
	while (pem_next(&rest, &label, &der)) {
		struct anchor *x = ARENA_PUSH(g->a, g->v, g->n);
		buf_clear(&keyed);
		buf_cstr(&keyed, g->p->uid);
		buf_str(&keyed, buf_view(&der));
		if (!x || keyed.failed)
			return -ENOMEM;
		x->der = arena_str(g->a, buf_view(&der));
		sha256_of(buf_view(&keyed), x->sum);
		buf_clear(&der);
	}
	return 0;
}

static int
take_selected(struct gather *g, source_t *s, struct err *e)
{
	struct selector sel = {0};
	const struct informer_obj *o;
	size_t found = 0;
	int rc = selector_from_struct(g->a, s->label_selector, &sel);
	if (rc < 0)
		return err_set(e, rc, R_UNKNOWN, "while parsing label selector: not valid");
	for (size_t pos = 0; rc == 0 && (o = informer_next(g->p->node->bundles, &pos));) {
		bundle_t *b = o->obj;
		if (!str_eq(b->spec.signer_name, s->signer_name) ||
			!selector_match_pairs(&sel, b->metadata.labels, b->metadata.n_labels))
			continue;
		found++;
		rc = take(g, b);
	}
	if (rc == 0 && !found && !s->optional)
		return err_set(e, -ENOENT, R_UNKNOWN,
			"combination of signerName and labelSelector matched zero "
			"ClusterTrustBundles");
	return rc;
}

int
bundle_read(struct pod *p, source_t *s, struct arena *a, struct str *ret, struct err *e)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct gather g = {.p = p, .a = a};
	int rc = 0;
	if (!p->node->bundles || !informer_synced(p->node->bundles))
		return -EAGAIN;
	if (s->name.n) {
		const struct informer_obj *o = informer_get(p->node->bundles, s->name);
		if (!o && !s->optional)
			return err_set(e, -ENOENT, R_UNKNOWN,
				"while getting ClusterTrustBundle: "
				"clustertrustbundle.certificates.k8s.io \"" STR_FMT "\" not found",
				STR_ARG(s->name));
		rc = o ? take(&g, o->obj) : 0;
	} else if (s->signer_name.n) {
		rc = take_selected(&g, s, e);
	} else {
		return err_set(e, -EINVAL, R_UNKNOWN,
			"ClusterTrustBundle projection requires either name or signerName to be set");
	}
	if (rc < 0)
		return rc;
	if (g.n)
		qsort(g.v, g.n, sizeof(*g.v), anchor_cmp);
	for (size_t i = 0; i < g.n; i++)
		if (i == 0 || anchor_cmp(&g.v[i - 1], &g.v[i]) != 0)
			pem_write(STR("CERTIFICATE"), g.v[i].der, &pem);
	*ret = arena_str(a, buf_view(&pem));
	return pem.failed || arena_failed(a) ? -ENOMEM : 0;
}
