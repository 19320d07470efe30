/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * flow: the flow control stage: at most so many requests in flight, reading and writing counted apart;
 * beyond that 429 with Retry-After. Watches and streams hold a seat only until they are open.
 *
 * Exempt: system:masters, and the control plane's own clients, so that a flood of others never stops
 * the machinery that would end it; nodes, whose leases must come through.
 * Source: kube-apiserver --max-requests-inflight; KEP-1040 (exempt level). */
#include "orchestrator/api/api_int.h"

enum { SEAT_READONLY = 1, SEAT_MUTATING = 2 };

enum step
stage_flow(struct request *r)
{
	struct api_server *s = r->server;
	if (!r->sink->http || user_in_group(&r->user, STR("system:masters")) ||
		user_in_group(&r->user, STR("system:nodes")))
		return STEP_NEXT;
	if (!r->res || (r->sub && r->sub->connect))
		return STEP_NEXT;
	unsigned reads = VERB_BIT(VERB_GET) | VERB_BIT(VERB_LIST) | VERB_BIT(VERB_WATCH);
	int seat = reads & VERB_BIT(r->verb) ? SEAT_READONLY : SEAT_MUTATING;
	uint64_t max = seat == SEAT_READONLY ? s->cfg.max_readonly_inflight
					     : s->cfg.max_mutating_inflight;
	if (atomic_fetch_add(&s->inflight[seat - 1], 1) >= max) {
		atomic_fetch_sub(&s->inflight[seat - 1], 1);
		atomic_fetch_add(&s->rejected, 1);
		return request_fail_retry(
			r, R_TOO_MANY_REQUESTS, 1, "Too many requests, please try again later.");
	}
	r->seat = seat;
	return STEP_NEXT;
}
