/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cronjob_jobs: creating and deleting the Jobs of a CronJob. The status of a sync that creates one is written when
 * its uid is known. */
#include "orchestrator/control/cronjob.h"

#include "orchestrator/control/job.h"

#include <stdlib.h>

/* ---- deleting ---- */

void
cron_delete_job(struct cron_sync *x, struct str name, struct str uid)
{
	struct control_path path = {.resource = CONTROL_JOBS, .ns = x->o->ns, .name = name};
	struct str body = arena_fmt(x->a,
		"{\"propagationPolicy\":\"Background\",\"preconditions\":{\"uid\":\"" STR_FMT
		"\"}}",
		STR_ARG(uid));
	if (batch_write_text(x->b, x->k->c, CLIENT_DELETE, &path, body) < 0)
		return;
	cron_tell(x, "Normal", "SuccessfulDelete",
		arena_fmt(x->a, "Deleted job " STR_FMT, STR_ARG(name)));
	cron_take_off(x, uid);
}

static int
start_order(const void *px, const void *py)
{
	const struct informer_obj *const *ox = px, *const *oy = py;
	const struct batch_v1_job *x = (*ox)->obj, *y = (*oy)->obj;
	int64_t sx = x->status.start_time ? x->status.start_time : INT64_MAX;
	int64_t sy = y->status.start_time ? y->status.start_time : INT64_MAX;
	return sx != sy ? (sx < sy ? -1 : 1) : str_cmp((*ox)->name, (*oy)->name);
}

/* forget_old: of those that ended this way, the oldest go. */
void
cron_forget_old(struct cron_sync *x, const char *end, bool limited, int32_t limit)
{
	const struct informer_obj **v = NULL, *o;
	size_t n = 0, keep = limit > 0 ? (size_t)limit : 0;
	for (size_t pos = 0;
		limited && (o = informer_index_next(x->k->jobs, INDEX_OWNER, x->o->uid, &pos));) {
		const struct batch_v1_job *j = o->obj;
		if (!job_condition(j, end) || j->metadata.deletion_timestamp)
			continue;
		const struct informer_obj **slot = ARENA_PUSH(x->a, v, n);
		if (slot)
			*slot = o;
	}
	if (n > keep)
		qsort(v, n, sizeof(*v), start_order);
	for (size_t i = 0; n > keep && i < n - keep; i++)
		cron_delete_job(x, v[i]->name, v[i]->uid);
}

/* ---- creating ---- */

struct creation {
	struct cronjobs *k;
	struct arena *a;
	struct control_batch *b;
	const struct informer_obj *o;
	struct doc *status;
	bool differs; /* the status, already */
	struct str name;
	int64_t due_s;
};

static void
on_created(void *arg, const struct client_result *r)
{
	struct creation *n = arg;
	struct doc *d = NULL;
	struct str uid = STR_NONE, rv = STR_NONE;
	struct event_ref ref = control_ref(CONTROL_CRONJOBS, n->o);
	struct str who = STR("cronjob-controller");
	struct client_result fine = {0};
	bool theirs = false;
	if (!r->e.code && doc_parse_json(n->a, r->body, NULL, &d, NULL) == 0) {
		uid = doc_get_str(doc_get(d, STR("metadata")), STR("uid"));
		rv = doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion"));
		map_put(&n->k->known, uid, cron_made, NULL);
		client_event(n->k->c, &ref, "Normal", "SuccessfulCreate", who, STR(""),
			"Created job " STR_FMT, STR_ARG(n->name));
	} else if (r->e.reason == R_ALREADY_EXISTS) {
		/* Made before, and not yet, or no more, in the status. */
		const struct informer_obj *o = informer_get(n->k->jobs,
			arena_fmt(n->a, STR_FMT "/" STR_FMT, STR_ARG(n->o->ns), STR_ARG(n->name)));
		const struct meta_v1_owner_reference *owner = o
			? control_owner(control_meta(CONTROL_JOBS, o))
			: NULL;
		theirs = o && !(owner && str_eq(owner->uid, n->o->uid));
		if (o && !theirs) {
			uid = o->uid;
			rv = control_meta(CONTROL_JOBS, o)->resource_version;
		}
	} else if (r->e.code && !control_ns_ends(r)) {
		client_event(n->k->c, &ref, "Warning", "FailedCreate", who, STR(""),
			"Error creating job: %s", r->e.msg);
	}
	struct doc *ref_doc = uid.n ? doc_map(n->a) : NULL;
	if (ref_doc) {
		doc_set_str(n->a, ref_doc, STR("kind"), STR("Job"));
		doc_set_str(n->a, ref_doc, STR("namespace"), n->o->ns);
		doc_set_str(n->a, ref_doc, STR("name"), n->name);
		doc_set_str(n->a, ref_doc, STR("uid"), uid);
		doc_set_str(n->a, ref_doc, STR("apiVersion"), STR("batch/v1"));
		doc_set_str(n->a, ref_doc, STR("resourceVersion"), rv);
		doc_append(doc_ensure_list(n->a, n->status, STR("active")), ref_doc);
		cron_put_time(n->a, n->status, STR("lastScheduleTime"), n->due_s * NS_PER_SEC);
	}
	if (ref_doc || n->differs)
		batch_write_status(n->b, n->k->c, CONTROL_CRONJOBS, n->o, n->status);
	batch_done(n->b, theirs || uid.n ? &fine : r);
	informer_obj_unref(n->o);
	arena_free(n->a);
}

static struct doc *
job_doc(struct cron_sync *x, struct str name, int64_t due_s)
{
	struct arena *a = x->a;
	struct doc *d = schema_from_struct(
		a, SCHEMA_TYPE_OF(batch_v1_job_template_spec), &x->cj->spec.job_template);
	struct doc *meta = d ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	struct doc *fresh = meta ? doc_map(a) : NULL, *owners = fresh ? doc_list(a) : NULL;
	struct doc *notes = owners ? doc_ensure_map(a, meta, STR("annotations")) : NULL;
	if (!notes)
		return NULL;
	doc_set_str(a, notes, STR("batch.kubernetes.io/cronjob-scheduled-timestamp"),
		cron_zone_time(a, due_s, x->zone_s));
	doc_append(owners, control_owner_doc(a, CONTROL_CRONJOBS, x->o));
	doc_set_str(a, fresh, STR("name"), name);
	doc_set(fresh, STR("annotations"), doc_copy(a, notes));
	if (doc_get(meta, STR("labels")))
		doc_set(fresh, STR("labels"), doc_copy(a, doc_get(meta, STR("labels"))));
	doc_set(fresh, STR("ownerReferences"), owners);
	doc_set(d, STR("metadata"), fresh);
	return arena_failed(a) ? NULL : d;
}

void
cron_create_job(struct cron_sync *x, struct str name, int64_t due_s, bool differs)
{
	struct control_path path = {.resource = CONTROL_JOBS, .ns = x->o->ns};
	struct doc *d = job_doc(x, name, due_s);
	struct arena *a = arena_new(1 << 24);
	struct creation *n = d && a ? ARENA_NEW(a, struct creation) : NULL;
	if (!n) {
		x->b->failed = true;
		arena_free(a);
		return;
	}
	*n = (struct creation){.k = x->k,
		.a = a,
		.b = x->b,
		.o = informer_obj_ref(x->o),
		.status = doc_copy(a, x->status),
		.differs = differs,
		.name = arena_str(a, name),
		.due_s = due_s};
	if (control_write(x->k->c, CLIENT_CREATE, &path, d, on_created, n) < 0) {
		x->b->failed = true;
		informer_obj_unref(n->o);
		arena_free(a);
		return;
	}
	x->b->left++;
}
