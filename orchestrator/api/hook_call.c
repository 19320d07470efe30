/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_call: one question to one webhook: an AdmissionReview and its answer, by hook_post.c.
 *
 * Invariants: nothing blocks; the call ends with the webhook's timeout, the request's own, or the request.
 * Source: k8s.io/apiserver pkg/util/webhook (client). */
#include "orchestrator/api/hook_int.h"

#include "base/rand.h"

#define REQUEST_NS (34 * NS_PER_SEC) /* what any write has for its webhooks together */

int64_t
hook_deadline_ns(struct request *r)
{
	struct str text = http_query_get(r->a, r->raw_query, STR("timeout"));
	int64_t asked = 0, ns = REQUEST_NS;
	if (text.n && duration_parse(text, &asked) == 0 && asked > 0 && asked < ns)
		ns = asked;
	return r->start_ns + ns;
}

static void
failed(struct hook_call *c, struct str why)
{
	c->result = HOOK_FAILED;
	c->why = why;
	c->over = true;
}

static void
answered(struct hook_call *c)
{
	struct err e = {0};
	c->over = true;
	if (str_is_set(c->post.why)) {
		failed(c,
			arena_fmt(
				c->r->a, "failed to call webhook: " STR_FMT, STR_ARG(c->post.why)));
		return;
	}
	int rc = hook_answer_parse(
		c->r->a, c->post.answer, c->uid, c->h->review, c->mutating, &c->answer, &e);
	c->result = HOOK_ANSWERED;
	if (rc < 0)
		failed(c, arena_str(c->r->a, str_c(e.msg)));
}

static void
on_posted(struct hook_post *p)
{
	struct hook_call *c = p->arg;
	answered(c);
	c->done(c);
}

void
hook_call_start(struct hook_call *c, const struct hook_view *v)
{
	struct request *r = c->r;
	char uid[37];
	struct err e = {0};
	if (r->opt.dry_run && !c->h->no_side_effects) {
		c->result = HOOK_NO_DRYRUN;
		c->over = true;
		return;
	}
	if (!c->h->review) {
		failed(c,
			STR("could not create admission objects: webhook does not accept known "
			    "AdmissionReview versions (v1, v1beta1)"));
		return;
	}
	rand_uuid(uid);
	c->uid = arena_str(r->a, str_c(uid));
	int64_t now = loop_now_ns(r->loop), left = hook_deadline_ns(r) - now;
	if (c->h->timeout_ns && c->h->timeout_ns < left)
		left = c->h->timeout_ns;
	c->post = (struct hook_post){.r = r,
		.to = &c->h->to,
		.url = hook_target_url(r->a, &c->h->to, left),
		.body = hook_review_write(r, c->h, v, c->uid),
		.agent = "kube-apiserver-admission",
		.end_ns = now + left,
		.done = on_posted,
		.arg = c};
	int rc = hook_tls(c->h, &c->post.tls, &e);
	if (rc < 0)
		failed(c,
			arena_fmt(r->a, "failed to call webhook: Post \"" STR_FMT "\": %s",
				STR_ARG(c->post.url), e.msg));
	else if (hook_post_start(&c->post) < 0)
		answered(c);
}

void
hook_call_cancel(struct hook_call *c)
{
	hook_post_cancel(&c->post);
	c->over = true;
}
