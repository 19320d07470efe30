/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * get: the stage that answers a GET of one object. The common case copies the stored bytes behind
 * kind and apiVersion.
 *
 * Invariant: what it reads is at least as new as every write acknowledged before the request came. */
#include "orchestrator/api/api_int.h"

struct get_state {
	struct request *r;
	struct buf out;
	struct str body; /* not plain: a copy in today's form */
	bool found, plain;
};

static void
get_value(void *arg, const struct store_value *v)
{
	struct get_state *st = arg;
	struct request *r = st->r;
	if (v->expires_ns && v->expires_ns <= r->wall_ns)
		return;
	st->found = true;
	const struct negotiated *n = r->accept;
	st->plain = value_plain(r->res, v) && n->media == MEDIA_JSON && n->as == AS_OBJECT &&
		!r->opt.pretty && !r->sub;
	if (st->plain) {
		buf_reserve(&st->out, r->res->head.n + v->body.n + 2);
		head_write(&st->out, r->res, v->body);
		buf_char(&st->out, '\n');
		return;
	}
	struct store_value own = *v;
	own.body = arena_str(r->a, v->body);
	st->body = value_body(r->a, r->res, &own);
}

enum step
stage_get(struct request *r)
{
	if (r->res->store_res == API_NO_STORE)
		return request_not_found_path(r);
	uint64_t want = 0;
	struct str rv = r->opt.resource_version;
	if (rv.n && str_to_u64(rv, &want) < 0)
		return request_fail_revision(r, rv);
	if (want > store_rev(r->server->store))
		return rev_wait(r, want);
	struct get_state st = {.r = r};
	buf_init_arena(&st.out, r->a);
	int rc = store_borrow(r->server->store, request_key(r), get_value, &st);
	if (rc == -ENOENT || (rc == 0 && !st.found))
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "reading the store failed"});
	if (st.plain)
		return request_reply_bytes(r, 200, STR("application/json"), buf_view(&st.out));
	if (!str_is_set(st.body))
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: a stored object cannot be read");
	if (r->sub && str_eq(r->sub->name, STR("scale"))) {
		struct doc *d = object_parse(r->a, r->res, st.body);
		struct doc *scale = d ? scale_of(r, d) : NULL;
		if (!scale)
			return request_fail(r, R_INTERNAL_ERROR,
				"Internal error occurred: a stored object cannot be read");
		return request_reply_doc(r, 200, scale);
	}
	return reply_stored(r, 200, st.body);
}
