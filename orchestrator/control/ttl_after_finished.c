/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ttl_after_finished: a Job that has ended is deleted spec.ttlSecondsAfterFinished later, with its pods.
 * Source: kube-controller-manager pkg/controller/ttlafterfinished (KEP-592). */
#include "orchestrator/control/job.h"

#include "kinds/batch_v1.h"

#include <stdlib.h>

struct ttl {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *jobs;
};

static void
on_key(void *arg, struct str key)
{
	struct ttl *t = arg;
	const struct informer_obj *o = informer_get(t->jobs, key);
	const struct batch_v1_job *j = o ? o->obj : NULL;
	const struct batch_v1_job_condition *ended = j && j->spec.has_ttl_seconds_after_finished
		? job_ended(j)
		: NULL;
	if (!ended || j->metadata.deletion_timestamp) {
		queue_done(t->q, key, false);
		return;
	}
	int64_t left = ended->last_transition_time +
		j->spec.ttl_seconds_after_finished * NS_PER_SEC - clock_wall_ns();
	if (left > 0) {
		queue_add_after(t->q, key, left);
		queue_done(t->q, key, false);
		return;
	}
	struct control_batch *b = batch_new(t->q, key);
	if (!b)
		return;
	struct control_path path = {.resource = CONTROL_JOBS, .ns = o->ns, .name = o->name};
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_fmt(&body,
		"{\"propagationPolicy\":\"Foreground\",\"preconditions\":{\"uid\":\"" STR_FMT
		"\",\"resourceVersion\":\"" STR_FMT "\"}}",
		STR_ARG(o->uid), STR_ARG(j->metadata.resource_version));
	batch_write_text(b, t->c, CLIENT_DELETE, &path, buf_view(&body));
	batch_close(b);
}

static void
on_job(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct ttl *t = arg;
	(void)old;
	if (new_)
		queue_add(t->q, new_->key);
}

static void
ttl_stop(void *self)
{
	struct ttl *t = self;
	queue_free(t->q);
	free(t);
}

static int
ttl_start(struct control *ctl, struct client *c, void **ret)
{
	struct ttl *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->ctl = ctl;
	t->c = c;
	t->q = queue_new(control_loop(ctl), "ttl-after-finished", 16, on_key, t);
	t->jobs = control_informer(ctl, CONTROL_JOBS);
	*ret = t;
	if (!t->q || !t->jobs || informer_add_handler(t->jobs, on_job, NULL, t) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller ttl_after_finished_controller = {
	"ttl-after-finished-controller", ttl_start, NULL, ttl_stop};
