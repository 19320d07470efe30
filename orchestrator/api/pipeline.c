/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pipeline: the ordered table of stages and the machine that runs a request through it.
 *
 *   bytes -> route -> authenticate -> audit -> impersonate -> flow control -> authorize -> negotiate
 *     -> non-resource paths | subresources and reviews | get, list, watch
 *     -> decode, default -> load -> patch -> metadata -> namespace -> admit (mutate) -> default again
 *     -> strategy -> escalation -> validate -> admit (validate) -> commit -> reply
 *
 * Invariants: a stage that returned WAIT is entered again (request_resume again = true) or passed
 * over (false); one that returned REPLY has given exactly one answer. A stage never runs inside
 * another one: a resume during a stage is remembered until the stage has returned.
 * Source: architecture.md section 4. */
#include "orchestrator/api/policy_int.h"

#include "base/rand.h"

#include <assert.h>

#define V VERB_BIT
#define V_WRITES (V(VERB_CREATE) | V(VERB_UPDATE) | V(VERB_PATCH))
#define V_ALL_RES (~(unsigned)V(VERB_NONE))

/* clang-format off */
const struct stage api_stages[STAGE__COUNT] = {
	[STAGE_ROUTE]            = {"route",            0,                             stage_route},
	[STAGE_AUTHENTICATE]     = {"authenticate",     0,                             stage_authenticate},
	[STAGE_AUDIT]            = {"audit",            0,                             stage_audit},
	[STAGE_IMPERSONATE]      = {"impersonate",      0,                             stage_impersonate},
	[STAGE_FLOW]             = {"flow",             0,                             stage_flow},
	[STAGE_AUTHORIZE]        = {"authorize",        0,                             stage_authorize},
	[STAGE_NEGOTIATE]        = {"negotiate",        0,                             stage_negotiate},
	[STAGE_PATHS]            = {"paths",            V(VERB_NONE),                  stage_paths},
	[STAGE_BODY]             = {"body",             V_ALL_RES,                     stage_body},
	[STAGE_OPTIONS]          = {"options",          V_ALL_RES,                     stage_options},
	[STAGE_CONNECT_ADMIT]    = {"connect",          V_ALL_RES,                     stage_connect_admit},
	[STAGE_SERVE]            = {"serve",            V_ALL_RES,                     stage_serve},
	[STAGE_GET]              = {"get",              V(VERB_GET),                   stage_get},
	[STAGE_LIST]             = {"list",             V(VERB_LIST),                  stage_list},
	[STAGE_WATCH]            = {"watch",            V(VERB_WATCH),                 stage_watch},
	[STAGE_DELETECOLLECTION] = {"deletecollection", V(VERB_DELETECOLLECTION),      stage_deletecollection},
	[STAGE_DECODE]           = {"decode",           V_WRITES,                      stage_decode},
	[STAGE_LOAD]             = {"load",             V_WRITES | V(VERB_DELETE),     stage_load},
	[STAGE_PATCH]            = {"patch",            V(VERB_PATCH),                 stage_patch},
	[STAGE_META]             = {"meta",             V_WRITES,                      stage_meta},
	[STAGE_NAMESPACE]        = {"namespace",        V_WRITES,                      stage_namespace},
	[STAGE_ADMIT_MUTATE]     = {"admit-mutate",     V_WRITES | V(VERB_DELETE),     stage_admit_mutate},
	[STAGE_DEFAULT]          = {"default",          V_WRITES,                      stage_default},
	[STAGE_STRATEGY]         = {"strategy",         V_WRITES,                      stage_strategy},
	[STAGE_ESCALATION]       = {"escalation",       V_WRITES,                      stage_escalation},
	[STAGE_VALIDATE]         = {"validate",         V_WRITES,                      stage_validate},
	[STAGE_ADMIT_VALIDATE]   = {"admit-validate",   V_WRITES | V(VERB_DELETE),     stage_admit_validate},
	[STAGE_DELETE]           = {"delete",           V(VERB_DELETE),                stage_delete},
	[STAGE_COMMIT]           = {"commit",           V_WRITES | V(VERB_DELETE),     stage_commit},
	[STAGE_REPLY]            = {"reply",            V_WRITES | V(VERB_DELETE),     stage_reply},
};
/* clang-format on */

static const char *const verb_names[] = {
	[VERB_NONE] = "",
	[VERB_GET] = "get",
	[VERB_LIST] = "list",
	[VERB_WATCH] = "watch",
	[VERB_CREATE] = "create",
	[VERB_UPDATE] = "update",
	[VERB_PATCH] = "patch",
	[VERB_DELETE] = "delete",
	[VERB_DELETECOLLECTION] = "deletecollection",
};
static_assert(ARRAY_LEN(verb_names) == VERB__COUNT, "a name for every verb");

const char *
verb_name(enum verb v)
{
	return verb_names[v];
}

void
request_init(struct request *r, struct api_worker *w, struct arena *a, struct reply_sink *sink)
{
	r->a = a;
	r->server = w->s;
	r->worker = w;
	r->loop = w->loop;
	r->sink = sink;
	r->start_ns = loop_now_ns(w->loop);
	r->wall_ns = clock_wall_ns();
	r->accept = &negotiated_json;
	r->opt.timeout_s = -1;
	r->opt.grace_s = -1;
	r->opt.send_initial_events = -1;
	r->opt.field_validation = STR("Warn");
	r->causes = (struct schema_errors){.a = a, .expression = policy_expression};
	r->restart_at = STAGE_DECODE;
	rand_uuid(r->audit_id);
}

static void
request_run(struct request *r)
{
	r->in_run = true;
	while (!r->done && r->stage < STAGE__COUNT) {
		const struct stage *st = &api_stages[r->stage];
		if (st->verbs && !(st->verbs & VERB_BIT(r->verb))) {
			r->stage++;
			continue;
		}
		r->resumed = false;
		enum step s = st->fn(r);
		if (s == STEP_REPLY)
			break;
		if (s == STEP_WAIT) {
			if (!r->resumed) {
				r->in_run = false;
				return;
			}
			if (r->resumed_again)
				continue;
		}
		r->stage++;
		r->plugin = 0;
		r->stage_state = NULL;
	}
	BUG_ON(r->stage >= STAGE__COUNT);
	r->in_run = false;
}

void
request_start(struct request *r, enum stage_id from)
{
	r->stage = from;
	request_run(r);
}

void
request_resume(struct request *r, bool again)
{
	if (r->in_run) {
		r->resumed = true;
		r->resumed_again = again;
		return;
	}
	if (!again) {
		r->stage++;
		r->plugin = 0;
		r->stage_state = NULL;
	}
	request_run(r);
}

static void
on_pause_over(struct loop_timer *t)
{
	request_resume(t->arg, true);
}

enum step
request_pause(struct request *r, int64_t ns)
{
	struct loop_timer *t = ARENA_NEW(r->a, struct loop_timer);
	if (!t)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	*t = (struct loop_timer){.fn = on_pause_over, .arg = r};
	loop_timer_after(r->loop, t, ns);
	return STEP_WAIT;
}

/* The stage returns what this gives it: NEXT with the stage counter set back. */
enum step
request_restart(struct request *r)
{
	r->attempts++;
	r->old = NULL;
	r->old_rev = 0;
	r->parts = NULL;
	r->n_parts = 0;
	r->hooks = NULL;
	r->causes = (struct schema_errors){.a = r->a, .expression = policy_expression};
	r->created = false;
	r->obj = NULL;
	r->stage = r->restart_at - 1;
	return STEP_NEXT;
}

void
request_client_gone(struct request *r)
{
	r->gone = true;
	void (*fn)(struct request * r) = r->on_gone;
	r->on_gone = NULL;
	if (fn)
		fn(r);
}

void
request_over(struct request *r, int http)
{
	if (r->done)
		return;
	r->done = true;
	struct api_server *s = r->server;
	if (r->seat)
		atomic_fetch_sub(&s->inflight[r->seat - 1], 1);
	r->seat = 0;
	size_t class = http >= 100 && http < 600 ? (size_t)http / 100 : 0;
	atomic_fetch_add_explicit(&s->requests[class], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->verbs[r->verb], 1, memory_order_relaxed);
}

/* ---- streams ------------------------------------------------------------------------------------ */

void
stream_add(struct stream *st, struct request *r, void (*stop)(struct stream *st))
{
	struct api_worker *w = r->worker;
	st->r = r;
	st->stop = stop;
	st->next = w->streams;
	st->prev = &w->streams;
	if (w->streams)
		w->streams->prev = &st->next;
	w->streams = st;
}

void
stream_del(struct stream *st)
{
	if (!st->prev)
		return;
	*st->prev = st->next;
	if (st->next)
		st->next->prev = st->prev;
	st->prev = NULL;
}
