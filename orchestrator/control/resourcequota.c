/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resourcequota: counts what a namespace uses of its ResourceQuotas, and says so in their status.
 *
 *   a quota that is new, or whose status lacks something        -> counted at once
 *   an object that is gone, or takes less, in its namespace     -> counted anew
 *   every five minutes                                          -> counted anew
 *
 * What is made is charged by the API server in the transaction that makes it (kinds/admission_quota.c). So a count is
 * right when nobody was charged between the quota that was read and the status that is written: the objects are listed
 * after the former, and the latter is on condition that the quota is still the same.
 * Kinds that a quota names are watched from then on, by their metadata.
 * Source: kube-controller-manager pkg/controller/resourcequota. */
#include "orchestrator/control/control.h"
#include "orchestrator/control/custom_kinds.h"

#include "orchestrator/schema/quota.h"

#include "kinds/core_v1.h"
#include "kinds/meta_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define AGAIN_NS (300 * NS_PER_SEC)
#define SOON_NS (200 * NS_PER_MS) /* what goes goes in numbers */
#define LIST_MAX (256u << 20)

struct watched {
	struct quotas *k;
	struct informer *objects;
};

struct quotas {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *quotas;
	struct custom_kinds *custom;
	struct map watched; /* group/plural -> struct watched */
};

/* One count of one quota. */
struct count {
	struct quotas *k;
	const struct informer_obj *o;
	struct arena *a;
	struct doc *quota;
	struct resource_list hard, used;
	unsigned calls;
	bool failed;
};

struct count_call {
	struct count *n;
	const struct schema_kind *kind;
};

static struct quota_of
of_kind(const struct schema_kind *k)
{
	return (struct quota_of){str_c(k->group), str_c(k->plural)};
}

/* ---- who is to be counted ---- */

static void
add_all(struct quotas *k, struct str ns)
{
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_index_next(k->quotas, INDEX_NS, ns, &pos));)
		queue_add_after(k->q, o->key, SOON_NS);
}

static bool
same_amount(struct str x, struct str y)
{
	struct quantity qx, qy;
	return quantity_parse(x, &qx) == 0 && quantity_parse(y, &qy) == 0 &&
		quantity_cmp(&qx, &qy) == 0;
}

static struct str
value_of(const struct str_pair *list, size_t n, struct str key)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(list[i].key, key))
			return list[i].value;
	return STR_NONE;
}

/* is_counted: its status is about what its spec says, all of it. */
static bool
is_counted(const struct core_v1_resource_quota *q)
{
	const struct core_v1_resource_quota_status *st = &q->status;
	bool whole = q->spec.n_hard == st->n_hard;
	for (size_t i = 0; whole && i < q->spec.n_hard; i++) {
		const struct str_pair *want = &q->spec.hard[i];
		whole = same_amount(want->value, value_of(st->hard, st->n_hard, want->key)) &&
			str_is_set(value_of(st->used, st->n_used, want->key));
	}
	return whole;
}

static void
on_quota(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct quotas *k = arg;
	if (new_ && control_ready(k->ctl) && (!old || !is_counted(new_->obj)))
		queue_add(k->q, new_->key);
}

static bool
has_ended(const struct core_v1_pod *p)
{
	return str_eq(p->status.phase, STR("Failed")) || str_eq(p->status.phase, STR("Succeeded"));
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	const struct core_v1_pod *was = old ? old->obj : NULL, *p = new_ ? new_->obj : NULL;
	if (was &&
		(!p || has_ended(p) != has_ended(was) ||
			p->metadata.generation != was->metadata.generation))
		add_all(arg, old->ns);
}

/* Of Services and claims that change it is not known whether they take less; they change seldom. */
static void
on_other(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)new_;
	if (old)
		add_all(arg, old->ns);
}

static void
on_counted(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct watched *w = arg;
	if (!new_)
		add_all(w->k, old->ns);
}

/* What went before it was watched is counted when the watch has begun. */
static void
on_watched(void *arg)
{
	struct watched *w = arg;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(w->k->quotas, &pos));)
		queue_add_after(w->k->q, o->key, SOON_NS);
}

/* watch: by metadata, unless there is an informer of it anyway. */
static int
watch(struct quotas *k, const struct schema_kind *kind)
{
	char name[640];
	struct str key = str_from(
		name, (size_t)snprintf(name, sizeof(name), "%s/%s", kind->group, kind->plural));
	if (!quota_by_number(of_kind(kind)) || map_get(&k->watched, key))
		return 0;
	struct watched *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->k = k;
	struct informer_spec spec = {.group = str_c(kind->group),
		.version = str_c(kind->version),
		.resource = str_c(kind->plural),
		.type = SCHEMA_TYPE_OF(meta_v1_partial_object_metadata),
		.on_change = on_counted,
		.on_synced = on_watched,
		.arg = w};
	int rc = informer_new(control_reader(k->ctl), &spec, &w->objects);
	if (rc == 0)
		rc = map_put(&k->watched, key, w, NULL);
	if (rc < 0) {
		informer_free(w->objects);
		free(w);
	}
	return rc;
}

static void
unwatch(struct quotas *k, const struct schema_kind *kind)
{
	char name[640];
	struct watched *w = map_del(&k->watched,
		str_from(name,
			(size_t)snprintf(name, sizeof(name), "%s/%s", kind->group, kind->plural)));
	if (!w)
		return;
	informer_free(w->objects);
	free(w);
}

/* ---- counting ---- */

static void
count_end(struct count *n, bool failed)
{
	struct quotas *k = n->k;
	if (!failed)
		queue_add_after(k->q, n->o->key, AGAIN_NS);
	queue_done(k->q, n->o->key, failed);
	informer_obj_unref(n->o);
	arena_free(n->a);
	free(n);
}

static void
on_written(void *arg, const struct client_result *r)
{
	struct count *n = arg;
	/* Somebody was charged meanwhile: soon again, as often as it takes. */
	if (r->http == 409)
		queue_add_after(n->k->q, n->o->key, SOON_NS);
	count_end(n, r->e.code != 0 && r->http != 404 && r->http != 409);
}

static void
count_write(struct count *n)
{
	struct arena *a = n->a;
	const struct doc *was = doc_get(n->quota, STR("status"));
	struct resource_list hard = {.a = a}, used = {.a = a};
	struct control_path path = {.resource = CONTROL_QUOTAS,
		.ns = n->o->ns,
		.name = n->o->name,
		.subresource = STR("status")};
	resource_list_add_doc(&hard, doc_get(was, STR("hard")));
	resource_list_add_doc(&used, doc_get(was, STR("used")));
	/* What nobody can count stays as it is. */
	for (size_t i = 0; i < used.n; i++)
		if (resource_list_get(&n->hard, used.v[i].name) &&
			!resource_list_get(&n->used, used.v[i].name))
			resource_list_set(&n->used, used.v[i].name, used.v[i].q);
	if (n->failed || arena_failed(a)) {
		count_end(n, true);
		return;
	}
	if (was && resource_list_equal(&hard, &n->hard) && resource_list_equal(&used, &n->used)) {
		count_end(n, false);
		return;
	}
	struct doc *st = doc_map(a);
	if (st) {
		doc_set(st, STR("hard"), resource_list_doc(a, &n->hard));
		doc_set(st, STR("used"), resource_list_doc(a, &n->used));
		doc_set(n->quota, STR("status"), st);
	}
	if (control_write(n->k->c, CLIENT_UPDATE, &path, n->quota, on_written, n) < 0)
		count_end(n, true);
}

static void
count_items(struct count *n, struct quota_of of, struct arena *a, const struct doc *list)
{
	const struct doc *spec = doc_get(n->quota, STR("spec"));
	int64_t now_ns = clock_wall_ns();
	DOC_EACH (item, doc_get(list, STR("items"))) {
		struct resource_list takes = {.a = a};
		if (!quota_matches(of, spec, item))
			continue;
		quota_usage(&takes, of, item, now_ns);
		for (size_t i = 0; i < takes.n; i++)
			if (resource_list_get(&n->hard, takes.v[i].name))
				resource_list_add(&n->used, takes.v[i].name, &takes.v[i].q);
	}
}

/* count_number: as many as the list has and would have. */
static void
count_number(struct count *n, struct quota_of of, const struct doc *list)
{
	int64_t more = doc_get_int(doc_get(list, STR("metadata")), STR("remainingItemCount"), 0);
	int64_t there = (int64_t)doc_len(doc_get(list, STR("items"))) + more;
	struct quantity q = quantity_of(there, QUANTITY_SI);
	for (size_t i = 0; i < n->hard.n; i++)
		if (quota_counts(of, n->hard.v[i].name))
			resource_list_set(&n->used, n->hard.v[i].name, q);
}

static void
on_list(void *arg, const struct client_result *r)
{
	struct count_call *c = arg;
	struct count *n = c->n;
	struct quota_of of = of_kind(c->kind);
	struct arena *a = arena_new(LIST_MAX);
	struct doc *d = NULL;
	if (r->e.code || !a || doc_parse_json(a, r->body, NULL, &d, NULL) < 0)
		n->failed = true;
	else if (quota_by_number(of))
		count_number(n, of, d);
	else
		count_items(n, of, a, d);
	arena_free(a);
	free(c);
	if (--n->calls == 0)
		count_write(n);
}

static int
count_list(struct count *n, const struct schema_kind *kind)
{
	struct count_call *c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct count_call){n, kind};
	struct client_req req = {.verb = CLIENT_LIST,
		.group = str_c(kind->group),
		.version = str_c(kind->version),
		.resource = str_c(kind->plural),
		.ns = n->o->ns,
		.limit = quota_by_number(of_kind(kind)) ? 1 : 0};
	int rc = client_call_start(n->k->c, &req, on_list, c, NULL);
	if (rc < 0)
		free(c);
	else
		n->calls++;
	return rc;
}

static bool
can_be_counted(const struct schema *s, const struct schema_kind *k)
{
	uint32_t need = SCHEMA_LIST_VERB | SCHEMA_WATCH;
	return k->namespaced && (k->flags & SCHEMA_KIND_SERVED) &&
		(k->flags & SCHEMA_KIND_STORED) && (k->verbs & need) == need &&
		schema_resource_find(s, str_c(k->group), STR_NONE, str_c(k->plural)) == k;
}

/* count_kind: names that it takes of begin with nothing; the objects are asked for when they can match. */
static int
count_kind(struct count *n, const struct schema_kind *kind)
{
	struct quota_of of = of_kind(kind);
	const struct doc *spec = doc_get(n->quota, STR("spec"));
	struct quantity none = quantity_of(0, QUANTITY_SI);
	bool meant = false;
	for (size_t i = 0; i < n->hard.n; i++) {
		if (!quota_counts(of, n->hard.v[i].name))
			continue;
		meant = true;
		resource_list_set(&n->used, n->hard.v[i].name, none);
	}
	if (!meant || (quota_by_number(of) && !quota_matches(of, spec, NULL)))
		return 0;
	int rc = watch(n->k, kind);
	return rc < 0 ? rc : count_list(n, kind);
}

static void
on_key(void *arg, struct str key)
{
	struct quotas *k = arg;
	const struct schema *s = schema_builtin();
	const struct informer_obj *o = informer_get(k->quotas, key);
	const struct core_v1_resource_quota *q = o ? o->obj : NULL;
	if (!q || q->metadata.deletion_timestamp) {
		queue_done(k->q, key, false);
		return;
	}
	struct count *n = calloc(1, sizeof(*n));
	struct arena *a = n ? arena_new(64u << 20) : NULL;
	if (!a) {
		free(n);
		queue_done(k->q, key, true);
		return;
	}
	*n = (struct count){.k = k,
		.o = informer_obj_ref(o),
		.a = a,
		.quota = schema_from_struct(a, control_type(CONTROL_QUOTAS), q),
		.hard = {.a = a},
		.used = {.a = a},
		.calls = 1};
	resource_list_add_doc(&n->hard, doc_get(doc_get(n->quota, STR("spec")), STR("hard")));
	n->failed = !n->quota;
	for (size_t i = 0; i < s->n_kinds; i++)
		if (can_be_counted(s, s->kinds[i]) && count_kind(n, s->kinds[i]) < 0)
			n->failed = true;
	const struct schema_kind *custom;
	for (size_t pos = 0; (custom = custom_kinds_next(k->custom, &pos));)
		if (custom->namespaced && count_kind(n, custom) < 0)
			n->failed = true;
	if (--n->calls == 0)
		count_write(n);
}

/* A kind that comes may be one that quotas limit; one that goes is watched no more. */
static void
on_custom(void *arg, const struct schema_kind *kind, bool there)
{
	struct quotas *k = arg;
	const struct informer_obj *o;
	if (!there)
		unwatch(k, kind);
	for (size_t pos = 0; control_ready(k->ctl) && (o = informer_next(k->quotas, &pos));)
		queue_add(k->q, o->key);
}

/* ---- life ---- */

static void
quotas_ready(void *self)
{
	struct quotas *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->quotas, &pos));)
		queue_add(k->q, o->key);
}

static void
quotas_stop(void *self)
{
	struct quotas *k = self;
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&k->watched, &pos, &key, &v);) {
		struct watched *w = v;
		informer_free(w->objects);
		free(w);
	}
	map_release(&k->watched);
	custom_kinds_free(k->custom);
	queue_free(k->q);
	free(k);
}

static int
quotas_start(struct control *ctl, struct client *c, void **ret)
{
	struct quotas *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	map_init(&k->watched);
	k->q = queue_new(control_loop(ctl), "resourcequota", 4, on_key, k);
	k->quotas = control_informer(ctl, CONTROL_QUOTAS);
	struct informer *pods = control_informer(ctl, CONTROL_PODS);
	struct informer *services = control_informer(ctl, CONTROL_SERVICES);
	struct informer *claims = control_informer(ctl, CONTROL_PVCS);
	*ret = k;
	if (!k->q || !k->quotas || !pods || !services || !claims ||
		informer_add_handler(k->quotas, on_quota, NULL, k) < 0 ||
		informer_add_handler(pods, on_pod, NULL, k) < 0 ||
		informer_add_handler(services, on_other, NULL, k) < 0 ||
		informer_add_handler(claims, on_other, NULL, k) < 0)
		return -ENOMEM;
	return custom_kinds_new(control_reader(ctl), on_custom, k, &k->custom);
}

const struct controller resourcequota_controller = {
	"resourcequota-controller", quotas_start, quotas_ready, quotas_stop};
