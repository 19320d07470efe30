/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * get: the stage that answers a GET of one object. The common case copies the stored bytes behind
 * kind and apiVersion.
 *
 * Invariant: what it reads is at least as new as every write acknowledged before the request came. */
#include "orchestrator/api/convert.h"

struct get_state {
	struct request *r;
	struct buf out;
	struct str body; /* not plain: a copy in today's form */
	bool found, plain, asks;
	struct convert_item item; /* of one that a webhook converts */
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
	st->asks = convert_asks(r->res, v);
	if (st->asks)
		st->item = convert_item_of(r->a, r->res, &own);
	else
		st->body = value_body(r->a, r->res, &own);
}

static enum step
fail_damaged(struct request *r)
{
	return request_fail(
		r, R_INTERNAL_ERROR, "Internal error occurred: a stored object cannot be read");
}

/* The object itself, or what its Scale is. */
static enum step
reply_tree(struct request *r, struct doc *d)
{
	if (d && r->sub && str_eq(r->sub->name, STR("scale")))
		d = scale_of(r, d);
	return d ? request_reply_doc(r, 200, d) : fail_damaged(r);
}

/* The value went to a webhook; its answer is here. */
static enum step
get_converted(struct request *r)
{
	struct convert_wait *w = r->stage_state;
	enum step st = convert_take(r, w);
	return st == STEP_NEXT ? reply_tree(r, w->c.items[0].doc) : st;
}

static enum step
get_asks(struct request *r, const struct convert_item *item)
{
	struct convert_item *own = ARENA_NEW(r->a, struct convert_item);
	struct convert_wait *w = NULL;
	if (!own || !item->doc)
		return fail_damaged(r);
	*own = *item;
	enum step st = convert_ask(r, r->a, r->res, own, 1, &w);
	return st == STEP_NEXT ? reply_tree(r, own->doc) : st;
}

enum step
stage_get(struct request *r)
{
	if (r->res->store_res == API_NO_STORE)
		return request_not_found_path(r);
	if (r->stage_state && r->stage_state != r)
		return get_converted(r);
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
	if (st.asks)
		return get_asks(r, &st.item);
	if (!str_is_set(st.body))
		return fail_damaged(r);
	if (r->sub && str_eq(r->sub->name, STR("scale")))
		return reply_tree(r, object_parse(r->a, r->res, st.body));
	return reply_stored(r, 200, st.body);
}
