/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control: shared informers, identities and the life of the controllers: see control.h. */
#include "orchestrator/control/control.h"

#include "base/log.h"

#include "kinds/apps_v1.h"
#include "kinds/autoscaling_v2.h"
#include "kinds/batch_v1.h"
#include "kinds/certificates_v1.h"
#include "kinds/coordination_v1.h"
#include "kinds/core_v1.h"
#include "kinds/discovery_v1.h"
#include "kinds/policy_v1.h"
#include "kinds/storage_v1.h"

#include <stdlib.h>

static void index_owner(const struct informer_obj *o, informer_put_fn *put, void *ctx);
static void index_ns(const struct informer_obj *o, informer_put_fn *put, void *ctx);
static void index_pod_node(const struct informer_obj *o, informer_put_fn *put, void *ctx);
static void index_orphan(const struct informer_obj *o, informer_put_fn *put, void *ctx);

typedef void index_fn(const struct informer_obj *o, informer_put_fn *put, void *ctx);

#define CORE "", "v1", "v1"
#define APPS "apps", "v1", "apps/v1"
#define BATCH "batch", "v1", "batch/v1"

static const struct resource_row {
	const char *group, *version, *api_version, *resource, *kind;
	const struct schema_type *type;
	index_fn *indexes[4];
} rows[CONTROL__COUNT] = {
	[CONTROL_PODS] = {CORE, "pods", "Pod", SCHEMA_TYPE_OF(core_v1_pod),
		{index_owner, index_ns, index_pod_node, index_orphan}},
	[CONTROL_NODES] = {CORE, "nodes", "Node", SCHEMA_TYPE_OF(core_v1_node), {0}},
	[CONTROL_NAMESPACES] = {CORE, "namespaces", "Namespace", SCHEMA_TYPE_OF(core_v1_namespace),
		{0}},
	[CONTROL_SERVICES] = {CORE, "services", "Service", SCHEMA_TYPE_OF(core_v1_service),
		{NULL, index_ns}},
	[CONTROL_ENDPOINTS] = {CORE, "endpoints", "Endpoints", SCHEMA_TYPE_OF(core_v1_endpoints),
		{0}},
	[CONTROL_ENDPOINTSLICES] = {"discovery.k8s.io", "v1", "discovery.k8s.io/v1",
		"endpointslices", "EndpointSlice", SCHEMA_TYPE_OF(discovery_v1_endpoint_slice),
		{index_owner, index_ns}},
	[CONTROL_SERVICEACCOUNTS] = {CORE, "serviceaccounts", "ServiceAccount",
		SCHEMA_TYPE_OF(core_v1_service_account), {NULL, index_ns}},
	[CONTROL_CONFIGMAPS] = {CORE, "configmaps", "ConfigMap", SCHEMA_TYPE_OF(core_v1_config_map),
		{0}},
	[CONTROL_SECRETS] = {CORE, "secrets", "Secret", SCHEMA_TYPE_OF(core_v1_secret), {0}},
	[CONTROL_RCS] = {CORE, "replicationcontrollers", "ReplicationController",
		SCHEMA_TYPE_OF(core_v1_replication_controller), {NULL, index_ns}},
	[CONTROL_REPLICASETS] = {APPS, "replicasets", "ReplicaSet",
		SCHEMA_TYPE_OF(apps_v1_replica_set), {index_owner, index_ns}},
	[CONTROL_DEPLOYMENTS] = {APPS, "deployments", "Deployment",
		SCHEMA_TYPE_OF(apps_v1_deployment), {NULL, index_ns}},
	[CONTROL_DAEMONSETS] = {APPS, "daemonsets", "DaemonSet", SCHEMA_TYPE_OF(apps_v1_daemon_set),
		{NULL, index_ns}},
	[CONTROL_STATEFULSETS] = {APPS, "statefulsets", "StatefulSet",
		SCHEMA_TYPE_OF(apps_v1_stateful_set), {NULL, index_ns}},
	[CONTROL_REVISIONS] = {APPS, "controllerrevisions", "ControllerRevision",
		SCHEMA_TYPE_OF(apps_v1_controller_revision),
		{index_owner, NULL, NULL, index_orphan}},
	[CONTROL_JOBS] = {BATCH, "jobs", "Job", SCHEMA_TYPE_OF(batch_v1_job),
		{index_owner, index_ns}},
	[CONTROL_CRONJOBS] = {BATCH, "cronjobs", "CronJob", SCHEMA_TYPE_OF(batch_v1_cron_job), {0}},
	[CONTROL_LEASES] = {"coordination.k8s.io", "v1", "coordination.k8s.io/v1", "leases",
		"Lease", SCHEMA_TYPE_OF(coordination_v1_lease), {0}},
	[CONTROL_PVS] = {CORE, "persistentvolumes", "PersistentVolume",
		SCHEMA_TYPE_OF(core_v1_persistent_volume), {0}},
	[CONTROL_PVCS] = {CORE, "persistentvolumeclaims", "PersistentVolumeClaim",
		SCHEMA_TYPE_OF(core_v1_persistent_volume_claim), {NULL, index_ns}},
	[CONTROL_STORAGECLASSES] = {"storage.k8s.io", "v1", "storage.k8s.io/v1", "storageclasses",
		"StorageClass", SCHEMA_TYPE_OF(storage_v1_storage_class), {0}},
	[CONTROL_CSRS] = {"certificates.k8s.io", "v1", "certificates.k8s.io/v1",
		"certificatesigningrequests", "CertificateSigningRequest",
		SCHEMA_TYPE_OF(certificates_v1_certificate_signing_request), {0}},
	[CONTROL_PCRS] = {"certificates.k8s.io", "v1", "certificates.k8s.io/v1",
		"podcertificaterequests", "PodCertificateRequest",
		SCHEMA_TYPE_OF(certificates_v1_pod_certificate_request), {0}},
	[CONTROL_BUNDLES] = {"certificates.k8s.io", "v1", "certificates.k8s.io/v1",
		"clustertrustbundles", "ClusterTrustBundle",
		SCHEMA_TYPE_OF(certificates_v1_cluster_trust_bundle), {0}},
	[CONTROL_PDBS] = {"policy", "v1", "policy/v1", "poddisruptionbudgets",
		"PodDisruptionBudget", SCHEMA_TYPE_OF(policy_v1_pod_disruption_budget),
		{NULL, index_ns}},
	[CONTROL_QUOTAS] = {CORE, "resourcequotas", "ResourceQuota",
		SCHEMA_TYPE_OF(core_v1_resource_quota), {NULL, index_ns}},
	[CONTROL_HPAS] = {"autoscaling", "v2", "autoscaling/v2", "horizontalpodautoscalers",
		"HorizontalPodAutoscaler", SCHEMA_TYPE_OF(autoscaling_v2_horizontal_pod_autoscaler),
		{0}},
};

struct running {
	const struct controller *k;
	struct client *client;
	void *self;
};

struct control {
	struct loop *loop;
	const struct server_context *ctx;
	struct client *reader;
	struct informer *informers[CONTROL__COUNT];
	struct running *running;
	size_t n_running;
	bool started, ready;
};

/* ---- informers ---- */

const struct meta_v1_object_meta *
control_meta(enum control_resource r, const struct informer_obj *o)
{
	const struct schema_field *f = schema_field_find(rows[r].type, STR("metadata"));
	BUG_ON(!f);
	return (const void *)((const char *)o->obj + f->offset);
}

static const struct meta_v1_object_meta *
meta_of(const struct informer_obj *o)
{
	/* All kinds here begin alike: apiVersion, kind, metadata. */
	return &((const struct core_v1_pod *)o->obj)->metadata;
}

static void
index_owner(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	const struct meta_v1_owner_reference *owner = control_owner(meta_of(o));
	if (owner)
		put(ctx, owner->uid);
}

static void
index_ns(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	put(ctx, o->ns);
}

static void
index_pod_node(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	put(ctx, ((const struct core_v1_pod *)o->obj)->spec.node_name);
}

static void
index_orphan(const struct informer_obj *o, informer_put_fn *put, void *ctx)
{
	if (!control_owner(meta_of(o)))
		put(ctx, o->ns);
}

static void
check_ready(void *arg)
{
	struct control *ctl = arg;
	if (ctl->ready || !ctl->started)
		return;
	for (size_t i = 0; i < CONTROL__COUNT; i++)
		if (ctl->informers[i] && !informer_synced(ctl->informers[i]))
			return;
	ctl->ready = true;
	for (size_t i = 0; i < ctl->n_running; i++)
		if (ctl->running[i].k->ready)
			ctl->running[i].k->ready(ctl->running[i].self);
}

static void
on_nothing(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)arg;
	(void)old;
	(void)new_;
}

struct informer *
control_informer(struct control *ctl, enum control_resource r)
{
	const struct resource_row *row = &rows[r];
	if (ctl->informers[r])
		return ctl->informers[r];
	struct informer_spec spec = {.group = str_c(row->group),
		.version = str_c(row->version),
		.resource = str_c(row->resource),
		.type = row->type,
		.on_change = on_nothing,
		.on_synced = check_ready,
		.arg = ctl};
	if (informer_new(ctl->reader, &spec, &ctl->informers[r]) < 0)
		return NULL;
	for (unsigned i = 0; i < ARRAY_LEN(row->indexes); i++)
		if (row->indexes[i])
			informer_add_index(ctl->informers[r], i, row->indexes[i]);
	return ctl->informers[r];
}

const struct schema_type *
control_type(enum control_resource r)
{
	return rows[r].type;
}

bool
control_ready(const struct control *ctl)
{
	return ctl->ready;
}

struct loop *
control_loop(const struct control *ctl)
{
	return ctl->loop;
}

const struct server_context *
control_context(const struct control *ctl)
{
	return ctl->ctx;
}

struct client *
control_reader(struct control *ctl)
{
	return ctl->reader;
}

/* ---- life ---- */

int
control_new(struct loop *l, const struct controller *const *table, const struct server_context *ctx,
	int (*make_client)(void *arg, struct loop *l, const char *name, struct client **ret),
	void *arg, struct control **ret)
{
	size_t n = 0;
	while (table[n])
		n++;
	struct control *ctl = calloc(1, sizeof(*ctl));
	if (!ctl)
		return -ENOMEM;
	ctl->loop = l;
	ctl->ctx = ctx;
	ctl->running = calloc(n + 1, sizeof(*ctl->running));
	int rc = ctl->running ? make_client(arg, l, "", &ctl->reader) : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct running *r = &ctl->running[i];
		r->k = table[i];
		rc = make_client(arg, l, table[i]->name, &r->client);
		if (rc == 0)
			rc = table[i]->start(ctl, r->client, &r->self);
		ctl->n_running = i + 1;
	}
	if (rc < 0) {
		control_free(ctl);
		return rc;
	}
	ctl->started = true;
	check_ready(ctl);
	*ret = ctl;
	return 0;
}

void
control_free(struct control *ctl)
{
	if (!ctl)
		return;
	for (size_t i = ctl->n_running; i-- > 0;)
		if (ctl->running[i].self)
			ctl->running[i].k->stop(ctl->running[i].self);
	for (size_t i = 0; i < CONTROL__COUNT; i++)
		informer_free(ctl->informers[i]);
	for (size_t i = ctl->n_running; i-- > 0;)
		client_free(ctl->running[i].client);
	client_free(ctl->reader);
	free(ctl->running);
	free(ctl);
}

/* ---- writes ---- */

/* merged: the cached object with a merge patch applied, as JSON. */
static int
merged(const struct control_path *p, struct str patch, struct buf *out)
{
	const struct resource_row *row = &rows[p->resource];
	struct arena *a = arena_new(64u << 20);
	struct doc *change = NULL, *d = NULL;
	struct doc *have = a ? schema_from_struct(a, row->type, p->onto->obj) : NULL;
	int rc = have ? doc_parse_json(a, patch, NULL, &change, NULL) : -ENOMEM;
	if (rc == 0)
		rc = schema_patch_merge(a, have, change, &d, NULL);
	if (rc == 0) {
		doc_set_str(a, doc_ensure_map(a, d, STR("metadata")), STR("resourceVersion"),
			control_meta(p->resource, p->onto)->resource_version);
		doc_write_json(out, d);
		rc = out->failed || arena_failed(a) ? -ENOMEM : 0;
	}
	arena_free(a);
	return rc;
}

int
control_write_text(struct client *c, enum client_verb verb, const struct control_path *p,
	struct str body, client_done_fn *done, void *arg)
{
	const struct resource_row *row = &rows[p->resource];
	_cleanup_buf_ struct buf whole = BUF_INIT;
	if (p->onto && verb == CLIENT_PATCH_MERGE) {
		int rc = merged(p, body, &whole);
		if (rc < 0)
			return rc;
		verb = CLIENT_UPDATE;
		body = buf_view(&whole);
	}
	struct client_req req = {.verb = verb,
		.group = str_c(row->group),
		.version = str_c(row->version),
		.resource = str_c(row->resource),
		.ns = p->ns,
		.name = p->name,
		.subresource = p->subresource,
		.body = body};
	return client_call_start(c, &req, done, arg, NULL);
}

int
control_write(struct client *c, enum client_verb verb, const struct control_path *p,
	const struct doc *body, client_done_fn *done, void *arg)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	if (body)
		doc_write_json(&b, body);
	if (b.failed)
		return -ENOMEM;
	return control_write_text(c, verb, p, body ? buf_view(&b) : STR_NONE, done, arg);
}

bool
control_ns_ends(const struct client_result *r)
{
	return r->e.code && str_find(str_c(r->e.msg), STR("being terminated")) >= 0;
}

void
control_ignore(void *arg, const struct client_result *r)
{
	(void)arg;
	(void)r;
}

struct control_batch *
batch_new(struct queue *q, struct str key)
{
	struct control_batch *b = calloc(1, sizeof(*b));
	char *copy = b ? strndup(key.p, key.n) : NULL;
	if (!copy) {
		free(b);
		queue_done(q, key, true);
		return NULL;
	}
	*b = (struct control_batch){.q = q, .key = copy, .open = true};
	return b;
}

static void
batch_end(struct control_batch *b)
{
	if (b->open || b->left)
		return;
	queue_done(b->q, str_c(b->key), b->failed);
	free(b->key);
	free(b);
}

void
batch_done(void *arg, const struct client_result *r)
{
	struct control_batch *b = arg;
	b->left--;
	b->failed = b->failed || r->e.code != 0;
	if (r->e.code && r->e.reason == R_FORBIDDEN && !control_ns_ends(r))
		log_warn("%s: %s", b->key, r->e.msg); /* names the controller, and what it lacks */
	batch_end(b);
}

int
batch_write(struct control_batch *b, struct client *c, enum client_verb verb,
	const struct control_path *p, const struct doc *body)
{
	int rc = control_write(c, verb, p, body, batch_done, b);
	b->left += rc == 0;
	b->failed = b->failed || rc < 0;
	return rc;
}

int
batch_write_text(struct control_batch *b, struct client *c, enum client_verb verb,
	const struct control_path *p, struct str body)
{
	int rc = control_write_text(c, verb, p, body, batch_done, b);
	b->left += rc == 0;
	b->failed = b->failed || rc < 0;
	return rc;
}

int
batch_write_status(struct control_batch *b, struct client *c, enum control_resource r,
	const struct informer_obj *o, struct doc *status)
{
	struct arena *a = arena_new(64u << 20);
	struct doc *d = a ? schema_from_struct(a, rows[r].type, o->obj) : NULL;
	struct control_path path = {
		.resource = r, .ns = o->ns, .name = o->name, .subresource = STR("status")};
	_cleanup_buf_ struct buf body = BUF_INIT;
	if (d) {
		doc_set(d, STR("status"), status);
		doc_write_json(&body, d);
	}
	int rc = -ENOMEM;
	if (!d || body.failed || arena_failed(a))
		b->failed = true;
	else
		rc = batch_write_text(b, c, CLIENT_UPDATE, &path, buf_view(&body));
	arena_free(a);
	return rc;
}

void
batch_close(struct control_batch *b)
{
	b->open = false;
	batch_end(b);
}

/* ---- objects ---- */

const struct meta_v1_owner_reference *
control_owner(const struct meta_v1_object_meta *m)
{
	for (size_t i = 0; i < m->n_owner_references; i++)
		if (m->owner_references[i].controller)
			return &m->owner_references[i];
	return NULL;
}

static struct str
pair_get(const struct str_pair *v, size_t n, struct str key)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].key, key))
			return v[i].value.p ? v[i].value : STR("");
	return STR_NONE;
}

struct str
control_annotation(const struct meta_v1_object_meta *m, struct str key)
{
	return pair_get(m->annotations, m->n_annotations, key);
}

struct str
control_label(const struct meta_v1_object_meta *m, struct str key)
{
	return pair_get(m->labels, m->n_labels, key);
}

struct doc *
control_owner_doc(struct arena *a, enum control_resource r, const struct informer_obj *o)
{
	struct doc *d = doc_map(a);
	if (!d)
		return NULL;
	doc_set_str(a, d, STR("apiVersion"), str_c(rows[r].api_version));
	doc_set_str(a, d, STR("kind"), str_c(rows[r].kind));
	doc_set_str(a, d, STR("name"), o->name);
	doc_set_str(a, d, STR("uid"), o->uid);
	doc_set_bool(a, d, STR("controller"), true);
	doc_set_bool(a, d, STR("blockOwnerDeletion"), true);
	return d;
}

bool
control_is_kind(enum control_resource r, struct str api_version, struct str kind)
{
	return str_eq_c(kind, rows[r].kind) && str_eq_c(api_version, rows[r].api_version);
}

struct event_ref
control_ref(enum control_resource r, const struct informer_obj *o)
{
	const struct meta_v1_object_meta *m = meta_of(o);
	return (struct event_ref){.api_version = str_c(rows[r].api_version),
		.kind = str_c(rows[r].kind),
		.ns = m->namespace,
		.name = m->name,
		.uid = m->uid,
		.resource_version = m->resource_version};
}

/* ---- pods ---- */

static bool
pod_has_ended(const struct core_v1_pod *p)
{
	return str_eq(p->status.phase, STR("Succeeded")) || str_eq(p->status.phase, STR("Failed"));
}

bool
pod_is_active(const struct core_v1_pod *p)
{
	return !p->metadata.deletion_timestamp && !pod_has_ended(p);
}

bool
pod_is_terminating(const struct core_v1_pod *p)
{
	return p->metadata.deletion_timestamp && !pod_has_ended(p);
}

int64_t
pod_ready_since_ns(const struct core_v1_pod *p)
{
	for (size_t i = 0; i < p->status.n_conditions; i++) {
		const struct core_v1_pod_condition *k = &p->status.conditions[i];
		if (str_eq(k->type, STR("Ready")))
			return str_eq(k->status, STR("True")) ? k->last_transition_time : 0;
	}
	return 0;
}

bool
pod_is_ready(const struct core_v1_pod *p)
{
	for (size_t i = 0; i < p->status.n_conditions; i++)
		if (str_eq(p->status.conditions[i].type, STR("Ready")))
			return str_eq(p->status.conditions[i].status, STR("True"));
	return false;
}

bool
pod_is_available(const struct core_v1_pod *p, int32_t min_ready_s, int64_t *ret_in_ns)
{
	*ret_in_ns = 0;
	if (!pod_is_ready(p))
		return false;
	if (min_ready_s <= 0)
		return true;
	int64_t left = pod_ready_since_ns(p) + min_ready_s * NS_PER_SEC - clock_wall_ns();
	if (left <= 0)
		return true;
	*ret_in_ns = left;
	return false;
}
