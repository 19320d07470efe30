/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cronjob: a Job whenever the schedule says so. The name of a Job is its CronJob's and the minute it was due, so a
 * due time never has two, whatever is forgotten; status.active lists those that run.
 *
 *   sync: jobs of the CronJob -> old ones deleted, status.active -> is one due? -> created -> status
 *
 * Zones: there is no database of time zones here; those whose offset their name says are known (cron_zone), all
 * others are an UnknownTimeZone, as upstream has it where the database is missing.
 * Source: kube-controller-manager pkg/controller/cronjob. */
#include "orchestrator/control/cronjob.h"

#include "orchestrator/control/job.h"

#include <stdlib.h>

char cron_made[] = "+", cron_gone[] = "-";

void
cron_tell(const struct cron_sync *x, const char *type, const char *reason, struct str text)
{
	struct event_ref ref = control_ref(CONTROL_CRONJOBS, x->o);
	client_event(x->k->c, &ref, type, reason, STR("cronjob-controller"), STR(""), STR_FMT,
		STR_ARG(text));
}

/* ---- the list of those that run ---- */

static struct doc *
in_active(const struct cron_sync *x, struct str member, struct str value)
{
	DOC_EACH (r, x->active)
		if (str_eq(doc_get_str(r, member), value))
			return r;
	return NULL;
}

void
cron_take_off(struct cron_sync *x, struct str uid)
{
	struct doc *r = in_active(x, STR("uid"), uid);
	if (r)
		doc_remove(x->active, r);
}

static void
look_at(struct cron_sync *x, const struct informer_obj *o)
{
	const struct batch_v1_job *j = o->obj;
	const struct batch_v1_job_condition *end = job_ended(j);
	bool listed = in_active(x, STR("uid"), o->uid) != NULL;
	if (listed)
		map_del(&x->k->known, o->uid);
	if (!end) {
		if (!listed && !map_get(&x->k->known, o->uid))
			cron_tell(x, "Warning", "UnexpectedJob",
				arena_fmt(x->a,
					"Saw a job that the controller did not create or forgot: " STR_FMT,
					STR_ARG(o->name)));
		return;
	}
	if (listed) {
		cron_take_off(x, o->uid);
		cron_tell(x, "Normal", "SawCompletedJob",
			arena_fmt(x->a, "Saw completed job: " STR_FMT ", condition: " STR_FMT,
				STR_ARG(o->name), STR_ARG(end->type)));
	}
	int64_t last = 0;
	struct str text = doc_get_str(x->status, STR("lastSuccessfulTime"));
	if (text.n)
		rfc3339_parse(text, &last);
	if (str_eq(end->type, STR("Complete")) && j->status.completion_time > last)
		cron_put_time(
			x->a, x->status, STR("lastSuccessfulTime"), j->status.completion_time);
}

/* ask: is a Job that the cache does not have really gone? */
struct question {
	struct cronjobs *k;
	char *key, *uid;
};

static void
on_asked(void *arg, const struct client_result *r)
{
	struct question *n = arg;
	if (r->e.code && r->e.reason == R_NOT_FOUND) {
		map_put(&n->k->known, str_c(n->uid), cron_gone, NULL);
		queue_add(n->k->q, str_c(n->key));
	}
	free(n->key);
	free(n->uid);
	free(n);
}

static void
ask(struct cron_sync *x, struct str name, struct str uid)
{
	struct control_path path = {.resource = CONTROL_JOBS, .ns = x->o->ns, .name = name};
	struct question *n = calloc(1, sizeof(*n));
	if (!n)
		return;
	n->k = x->k;
	n->key = strndup(x->o->key.p, x->o->key.n);
	n->uid = strndup(uid.p, uid.n);
	if (!n->key || !n->uid ||
		control_write_text(x->k->c, CLIENT_GET, &path, STR(""), on_asked, n) < 0) {
		free(n->key);
		free(n->uid);
		free(n);
	}
}

static void
drop_missing(struct cron_sync *x)
{
	DOC_EACH (r, x->active) {
		struct str name = doc_get_str(r, STR("name")), uid = doc_get_str(r, STR("uid"));
		struct str key = arena_fmt(
			x->a, STR_FMT "/" STR_FMT, STR_ARG(x->o->ns), STR_ARG(name));
		const struct informer_obj *o = informer_get(x->k->jobs, key);
		if (o && str_eq(o->uid, uid))
			continue;
		if (map_get(&x->k->known, uid) != cron_gone) {
			ask(x, name, uid);
			continue;
		}
		map_del(&x->k->known, uid);
		doc_remove(x->active, r);
		cron_tell(x, "Normal", "MissingJob",
			arena_fmt(x->a, "Active job went missing: " STR_FMT, STR_ARG(name)));
	}
}

/* ---- sync ---- */

/* due: starts the Job that is due; false = there is none. Sets when to look again. was: the status as cached. */
static bool
due(struct cron_sync *x, const struct doc *was)
{
	const struct batch_v1_cron_job_spec *spec = &x->cj->spec;
	int64_t now = clock_wall_ns();
	struct cron_due d = cron_due(&x->cron, x->cj, x->zone_s, now);
	queue_add_after(x->k->q, x->o->key, d.next_ns - now);
	if (d.never)
		cron_tell(x, "Warning", "InvalidSchedule",
			arena_fmt(x->a,
				"invalid schedule: " STR_FMT
				" : time difference between two schedules is less than 1 second",
				STR_ARG(spec->schedule)));
	if (!d.due_s)
		return false;
	if (d.many)
		cron_tell(x, "Warning", "TooManyMissedTimes",
			STR("too many missed start times. Set or decrease "
			    ".spec.startingDeadlineSeconds or check clock skew"));
	if (spec->has_starting_deadline_seconds &&
		(d.due_s + spec->starting_deadline_seconds) * NS_PER_SEC < now) {
		cron_tell(x, "Warning", "MissSchedule",
			arena_fmt(x->a, "Missed scheduled time to start a job: " STR_FMT,
				STR_ARG(cron_http_date(x->a, d.due_s))));
		return false;
	}
	struct str name = arena_fmt(
		x->a, STR_FMT "-%lld", STR_ARG(x->o->name), (long long)d.due_s / 60);
	if (in_active(x, STR("name"), name) ||
		x->cj->status.last_schedule_time == d.due_s * NS_PER_SEC)
		return false;
	if (str_eq(spec->concurrency_policy, STR("Forbid")) && doc_len(x->active)) {
		cron_tell(x, "Normal", "JobAlreadyActive",
			STR("Not starting job because prior execution is running and concurrency "
			    "policy is Forbid"));
		return false;
	}
	if (str_eq(spec->concurrency_policy, STR("Replace")))
		DOC_EACH (r, x->active)
			cron_delete_job(x, doc_get_str(r, STR("name")), doc_get_str(r, STR("uid")));
	cron_create_job(x, name, d.due_s, !doc_equal(was, x->status));
	return true;
}

/* may_start: nothing is against a Job of this CronJob, but that none may be due. */
static bool
may_start(struct cron_sync *x)
{
	const struct batch_v1_cron_job_spec *spec = &x->cj->spec;
	if (x->cj->metadata.deletion_timestamp)
		return false;
	if (cron_zone(spec->time_zone, &x->zone_s) < 0) {
		cron_tell(x, "Warning", "UnknownTimeZone",
			arena_fmt(x->a,
				"invalid timeZone: \"" STR_FMT "\": unknown time zone " STR_FMT,
				STR_ARG(spec->time_zone), STR_ARG(spec->time_zone)));
		return false;
	}
	if (spec->suspend)
		return false;
	const char *why = cron_parse(x->a, spec->schedule, &x->cron);
	if (why)
		cron_tell(x, "Warning", "UnparseableSchedule",
			arena_fmt(x->a, "unparseable schedule: \"" STR_FMT "\" : %s",
				STR_ARG(spec->schedule), why));
	return !why;
}

static void
sync_cron(struct cron_sync *x)
{
	const struct batch_v1_cron_job_spec *spec = &x->cj->spec;
	const struct informer_obj *o;
	struct doc *was = schema_from_struct(
		x->a, SCHEMA_TYPE_OF(batch_v1_cron_job_status), &x->cj->status);
	x->status = was ? doc_copy(x->a, was) : NULL;
	x->active = x->status ? doc_ensure_list(x->a, x->status, STR("active")) : NULL;
	if (!x->active) {
		x->b->failed = true;
		return;
	}
	cron_forget_old(x, "Complete", spec->has_successful_jobs_history_limit,
		spec->successful_jobs_history_limit);
	cron_forget_old(
		x, "Failed", spec->has_failed_jobs_history_limit, spec->failed_jobs_history_limit);
	for (size_t pos = 0; (o = informer_index_next(x->k->jobs, INDEX_OWNER, x->o->uid, &pos));)
		look_at(x, o);
	drop_missing(x);
	if (may_start(x) && due(x, was))
		return; /* the status is written when the Job is there */
	if (doc_len(x->active) == 0)
		doc_set(x->status, STR("active"), NULL);
	if (!doc_equal(was, x->status))
		batch_write_status(x->b, x->k->c, CONTROL_CRONJOBS, x->o, x->status);
}

static void
on_key(void *arg, struct str key)
{
	struct cronjobs *k = arg;
	const struct informer_obj *o = informer_get(k->crons, key);
	if (!o) {
		queue_done(k->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(k->q, key);
	if (!b)
		return;
	struct cron_sync x = {
		.k = k, .a = arena_new(1 << 24), .b = b, .o = informer_obj_ref(o), .cj = o->obj};
	if (x.a)
		sync_cron(&x);
	else
		b->failed = true;
	arena_free(x.a);
	informer_obj_unref(o);
	batch_close(b);
}

/* ---- changes, life ---- */

static void
on_cron(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct cronjobs *k = arg;
	if (control_ready(k->ctl))
		queue_add(k->q, (new_ ? new_ : old)->key);
}

static void
on_job(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct cronjobs *k = arg;
	if (!control_ready(k->ctl))
		return;
	for (int i = 0; i < 2; i++) {
		const struct informer_obj *o = i ? new_ : old;
		const struct meta_v1_owner_reference *owner = o
			? control_owner(control_meta(CONTROL_JOBS, o))
			: NULL;
		_cleanup_buf_ struct buf key = BUF_INIT;
		if (!owner || !str_eq(owner->kind, STR("CronJob")))
			continue;
		buf_fmt(&key, STR_FMT "/" STR_FMT, STR_ARG(o->ns), STR_ARG(owner->name));
		queue_add(k->q, buf_view(&key));
	}
	if (!new_)
		map_del(&k->known, old->uid);
}

static void
cron_ready(void *self)
{
	struct cronjobs *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->crons, &pos));)
		queue_add(k->q, o->key);
}

static void
cron_stop(void *self)
{
	struct cronjobs *k = self;
	queue_free(k->q);
	map_release(&k->known);
	free(k);
}

static int
cron_start(struct control *ctl, struct client *c, void **ret)
{
	struct cronjobs *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	map_init(&k->known);
	k->q = queue_new(control_loop(ctl), "cronjob", 5, on_key, k);
	k->crons = control_informer(ctl, CONTROL_CRONJOBS);
	k->jobs = control_informer(ctl, CONTROL_JOBS);
	*ret = k;
	if (!k->q || !k->crons || !k->jobs ||
		informer_add_handler(k->crons, on_cron, NULL, k) < 0 ||
		informer_add_handler(k->jobs, on_job, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller cronjob_controller = {
	"cronjob-controller", cron_start, cron_ready, cron_stop};
