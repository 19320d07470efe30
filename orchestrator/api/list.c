/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * list: the stage that answers a LIST: pages by limit and continue, a consistent revision over all pages,
 * selectors on the attributes beside each value, and every form of answer. A list without a limit is
 * read and sent in pieces that fit a core's cache, with back-pressure; no read transaction outlives a piece.
 * What is answered as a whole is made in one buffer: what stands before the items is put in front of them at the
 * end, into room that was left there. Custom resources that a webhook converts are read in pieces too, each converted by
 * one question, and sent when all are there.
 *
 * Continue tokens: base64url of {"v":"meta.k8s.io/v1","rv":N,"start":S,"n":consumed}; S is the store's
 * position in base64url; rv -1 goes on at the present (inconsistent).
 * Source: Kubernetes API concepts (chunking, resourceVersion semantics); KEP-365, KEP-1904. */
#include "orchestrator/api/convert.h"

#include <inttypes.h>

#define PIECE_BYTES (1024 * 1024)
#define STREAM_BYTES (128 * 1024)
#define HEAD_ROOM 2048
#define GUESS_ITEMS 16 /* after so many, what the rest will take is known well enough */
#define GUESS_MAX (1024 * 1024)
#define COLLECTED_MAX ((size_t)32 << 20)

enum step
selection_parse(struct request *r, struct selection *ret)
{
	struct err e = {0};
	*ret = (struct selection){0};
	if (r->opt.label_selector.n &&
		selector_parse(r->a, r->opt.label_selector, &ret->labels, &e) < 0)
		return request_fail_err(r, &e);
	if (r->opt.field_selector.n &&
		field_selector_parse(r->a, r->res->kind, r->opt.field_selector, &ret->fields, &e) <
			0)
		return request_fail_err(r, &e);
	return STEP_NEXT;
}

bool
selection_match(const struct selection *s, struct str attrs)
{
	return (s->labels.n == 0 && !s->labels.nothing) ||
			selector_match_attrs(&s->labels, 'l', attrs)
		? (s->fields.n == 0 && !s->fields.nothing) ||
			selector_match_attrs(&s->fields, 'f', attrs)
		: false;
}

/* Values of an older definition lack what the present one selects by. */
bool
selection_match_value(struct arena *scratch, const struct selection *s,
	const struct api_resource *res, const struct store_value *v)
{
	if (!res->custom || s->fields.n == 0 || v->schema_id == res->stored->schema_id)
		return selection_match(s, v->attrs);
	struct str body = value_body(scratch, res, v);
	struct doc *d = str_is_set(body) ? object_parse(scratch, res, body) : NULL;
	return d && convert_selects(scratch, s, res, d);
}

/* ---- revisions of the future ----------------------------------------------------------------------- */

enum step
rev_wait(struct request *r, uint64_t want)
{
	if (!r->stage_state) {
		r->stage_state = r; /* has waited */
		return request_pause(r, 3 * NS_PER_SEC);
	}
	struct doc *causes = NULL;
	doc_parse_json(r->a,
		STR("[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource "
		    "version\"}]"),
		NULL, &causes, NULL);
	return request_fail_status(r,
		&(struct status_spec){.http = 504,
			.reason = R_TIMEOUT,
			.causes = causes,
			.retry_s = 1,
			.message = arena_fmt(r->a,
				"Too large resource version: %" PRIu64 ", current: %" PRIu64, want,
				store_rev(r->server->store))});
}

/* ---- forms ----------------------------------------------------------------------------------------- */

void
form_item(struct request *r, struct arena *scratch, struct str body, bool plain, struct buf *out)
{
	const struct negotiated *n = r->accept;
	if (n->as == AS_OBJECT && plain) {
		buf_str(out, body);
		return;
	}
	form_item_doc(r, scratch, object_parse(scratch, r->res, body), out);
}

void
form_item_doc(struct request *r, struct arena *scratch, struct doc *d, struct buf *out)
{
	const struct negotiated *n = r->accept;
	struct doc *x = d;
	if (n->as == AS_TABLE && d)
		x = schema_table_row(
			scratch, r->res->kind, d, n->include, n->as_version, r->wall_ns);
	else if (d && (n->as == AS_PARTIAL_LIST || n->as == AS_PARTIAL))
		x = schema_partial(scratch, d, n->as_version);
	if (!d || !x)
		out->failed = true;
	else
		doc_write_json(out, x);
}

static void
list_head(struct request *r, struct buf *b, uint64_t rev, struct str cont, int64_t remaining)
{
	const struct negotiated *n = r->accept;
	const struct schema_kind *k = r->res->kind;
	if (n->as == AS_TABLE)
		buf_fmt(b, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\"", n->as_version);
	else if (n->as == AS_PARTIAL_LIST || n->as == AS_PARTIAL)
		buf_fmt(b,
			"{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\"",
			n->as_version);
	else
		buf_fmt(b, "{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\"", k->list_kind, k->group,
			k->group[0] ? "/" : "", k->version);
	buf_fmt(b, ",\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", rev);
	if (cont.n)
		buf_fmt(b, ",\"continue\":\"" STR_FMT "\"", STR_ARG(cont));
	if (remaining >= 0)
		buf_fmt(b, ",\"remainingItemCount\":%" PRId64, remaining);
	buf_char(b, '}');
	if (n->as == AS_TABLE) {
		buf_cstr(b, ",\"columnDefinitions\":");
		doc_write_json(b, schema_table_columns(r->a, k));
		buf_cstr(b, ",\"rows\":[");
	} else {
		buf_cstr(b, ",\"items\":[");
	}
}

/* ---- the list -------------------------------------------------------------------------------------- */

struct list_state {
	struct request *r;
	struct selection sel;
	struct arena *scratch;
	struct buf items; /* heap; HEAD_ROOM, then those of this piece */
	struct str next;  /* position; STR_NONE = complete */
	uint64_t rev;
	int64_t count;    /* sent by this request */
	int64_t consumed; /* matched by earlier pages */
	bool streaming, over;
	struct loop_work work;
	/* of custom resources that a webhook converts */
	bool asks;
	struct store_range range;
	struct convert_item *late; /* of this piece; scratch, like what they become */
	size_t n_late;
	struct list_collected *collected; /* NULL: the list is what is answered */
	void *of;                         /* of list_collect */
};

static void
list_release(void *arg)
{
	struct list_state *ls = arg;
	loop_defer_cancel(&ls->work);
	buf_release(&ls->items);
	arena_free(ls->scratch);
}

/* Kept until the piece is converted. */
static bool
list_item_late(struct list_state *ls, const struct store_value *v)
{
	struct store_value own = *v;
	if (!convert_may_select(&ls->sel, v->attrs))
		return true;
	struct convert_item *slot = ARENA_PUSH(ls->scratch, ls->late, ls->n_late);
	own.body = arena_str(ls->scratch, v->body);
	if (slot)
		*slot = convert_item_of(ls->scratch, ls->r->res, &own);
	if (!slot || !slot->doc)
		ls->items.failed = true;
	return !ls->items.failed &&
		(ls->r->opt.limit <= 0 || ls->count + (int64_t)ls->n_late < ls->r->opt.limit);
}

static void
items_begin(struct list_state *ls)
{
	buf_clear(&ls->items);
	if (buf_reserve(&ls->items, HEAD_ROOM))
		buf_commit(&ls->items, HEAD_ROOM);
}

static struct str
items_view(const struct list_state *ls)
{
	return str_sub(buf_view(&ls->items), HEAD_ROOM, SIZE_MAX);
}

/* items_guess: room for the rest of the page at once, so that it is not moved as it grows. */
static void
items_guess(struct list_state *ls, int64_t limit)
{
	size_t each = (ls->items.len - HEAD_ROOM) / GUESS_ITEMS, left = (size_t)limit - GUESS_ITEMS;
	if (each < GUESS_MAX / left)
		buf_reserve(&ls->items, (each + each / 16 + 1) * left);
}

static bool
list_item(void *arg, struct store_key key, const struct store_value *v)
{
	(void)key;
	struct list_state *ls = arg;
	struct request *r = ls->r;
	if (v->expires_ns && v->expires_ns <= r->wall_ns)
		return true;
	if (ls->asks)
		return list_item_late(ls, v);
	if (!selection_match_value(ls->scratch, &ls->sel, r->res, v)) {
		arena_clear(ls->scratch);
		return true;
	}
	if (ls->count)
		buf_char(&ls->items, ',');
	bool plain = value_plain(r->res, v);
	struct str body = plain ? v->body : value_body(ls->scratch, r->res, v);
	if (str_is_set(body))
		form_item(r, ls->scratch, body, plain, &ls->items);
	else
		ls->items.failed = true;
	arena_clear(ls->scratch);
	ls->count++;
	if (r->opt.limit > 0 && ls->count >= r->opt.limit)
		return false;
	if (ls->count == GUESS_ITEMS && r->opt.limit > 0)
		items_guess(ls, r->opt.limit);
	return !ls->items.failed;
}

static struct str
token_write(struct request *r, int64_t rev, struct str next, int64_t consumed)
{
	struct buf pos, json, out;
	buf_init_arena(&pos, r->a);
	buf_init_arena(&json, r->a);
	buf_init_arena(&out, r->a);
	base64url_encode(&pos, next);
	buf_fmt(&json,
		"{\"v\":\"meta.k8s.io/v1\",\"rv\":%" PRId64 ",\"start\":\"" STR_FMT
		"\",\"n\":%" PRId64 "}",
		rev, STR_ARG(buf_view(&pos)), consumed);
	base64url_encode(&out, buf_view(&json));
	return buf_view(&out);
}

static enum step
token_read(struct request *r, struct store_range *range, struct list_state *ls)
{
	struct buf json, pos;
	buf_init_arena(&json, r->a);
	buf_init_arena(&pos, r->a);
	struct doc *d = NULL;
	struct err e = {.msg = "the token is malformed"};
	int64_t rev = 0;
	if (base64url_decode(&json, r->opt.continue_token) < 0 ||
		doc_parse_json(r->a, buf_view(&json), NULL, &d, &e) < 0 ||
		!str_eq(doc_get_str(d, STR("v")), STR("meta.k8s.io/v1")) ||
		base64url_decode(&pos, doc_get_str(d, STR("start"))) < 0 || pos.len == 0)
		return request_fail(r, R_BAD_REQUEST,
			"invalid continue token: continue key is not valid: " STR_FMT,
			STR_ARG(json_fault(&e)));
	if (r->opt.resource_version.n && !str_eq(r->opt.resource_version, STR("0")))
		return request_fail(r, R_BAD_REQUEST,
			"specifying resource version is not allowed when using continue");
	rev = doc_get_int(d, STR("rv"), 0);
	range->start = buf_view(&pos);
	range->rev = rev > 0 ? (uint64_t)rev : 0;
	ls->consumed = doc_get_int(d, STR("n"), 0);
	return STEP_NEXT;
}

static enum step
list_range(struct request *r, struct store_range *range, struct list_state *ls)
{
	struct options *o = &r->opt;
	if (o->continue_token.n)
		return token_read(r, range, ls);
	uint64_t rv = 0;
	if (o->resource_version.n && str_to_u64(o->resource_version, &rv) < 0)
		return request_fail(r, R_BAD_REQUEST,
			"invalid resource version: resourceVersion: Invalid value: \"" STR_FMT
			"\": strconv.ParseUint: parsing \"" STR_FMT "\": invalid syntax",
			STR_ARG(o->resource_version), STR_ARG(o->resource_version));
	if (rv > store_rev(r->server->store))
		return rev_wait(r, rv);
	bool exact = str_eq(o->resource_version_match, STR("Exact")) ||
		(rv && o->limit > 0 && o->resource_version_match.n == 0);
	if (exact)
		range->rev = rv;
	return STEP_NEXT;
}

static enum step
list_failed(struct request *r, int rc, const struct store_range *range, const struct list_state *ls)
{
	if (rc == -EINVAL)
		return request_fail(r, R_BAD_REQUEST,
			"continue key is not valid: the continue token is malformed");
	if (rc != -ESTALE && rc != -ERANGE)
		return request_fail_err(
			r, &(struct err){.code = rc, .msg = "listing the store failed"});
	struct status_spec st = {.http = 410, .reason = R_EXPIRED, .no_details = true};
	if (range->start.n) {
		st.message = STR(
			"The provided continue parameter is too old to display a consistent "
			"list result. You can start a new list without the continue parameter, or use "
			"the continue token in this response to retrieve the remainder of the results. "
			"Continuing with the provided token results in an inconsistent list - objects "
			"that were created, modified, or deleted between the time the first chunk was "
			"returned and now may show up in the list.");
		st.continue_token = token_write(r, -1, range->start, ls->consumed);
	} else {
		st.message = STR("The resourceVersion for the provided list is too old.");
	}
	return request_fail_status(r, &st);
}

/* Reads a piece into ls->items. 0 or -errno. */
static int
list_piece(struct list_state *ls, struct store_range *range)
{
	struct str next = STR_NONE;
	uint64_t rev = 0;
	int rc = store_list(ls->r->server->store, range, ls->r->a, list_item, ls, &rev, &next);
	if (rc < 0)
		return rc;
	if (ls->items.failed)
		return -EIO;
	ls->rev = rev;
	ls->next = next;
	range->rev = rev;
	range->start = next;
	return 0;
}

static int64_t
list_remaining(const struct list_state *ls)
{
	const struct request *r = ls->r;
	if (!str_is_set(ls->next) || r->opt.label_selector.n || r->opt.field_selector.n)
		return -1;
	size_t all = store_count(r->server->store, r->res->store_res, r->ns);
	int64_t left = (int64_t)all - ls->consumed - ls->count;
	return left > 0 ? left : -1;
}

/* The whole list in r's form; it lives as long as r->a. -E2BIG. */
static int
list_bytes(struct list_state *ls, struct str *ret_type, struct str *ret)
{
	struct request *r = ls->r;
	struct str cont = STR("");
	if (str_is_set(ls->next))
		cont = token_write(r, (int64_t)ls->rev, ls->next, ls->consumed + ls->count);
	struct buf head;
	buf_init_arena(&head, r->a);
	list_head(r, &head, ls->rev, cont, list_remaining(ls));
	buf_cstr(&ls->items, "]}\n");
	if (head.failed || ls->items.failed)
		return -E2BIG;
	struct str parts[] = {buf_view(&head), items_view(ls)};
	if (head.len <= HEAD_ROOM) {
		memcpy(ls->items.data + HEAD_ROOM - head.len, head.data, head.len);
		*ret = str_sub(buf_view(&ls->items), HEAD_ROOM - head.len, SIZE_MAX);
	} else {
		*ret = arena_cat(r->a, parts, ARRAY_LEN(parts));
	}
	*ret_type = STR("application/json");
	if (!str_is_set(*ret))
		return -E2BIG;
	struct doc *d = NULL;
	if (r->accept->media == MEDIA_JSON && !r->opt.pretty)
		return 0;
	if (doc_parse_json(r->a, *ret, NULL, &d, NULL) < 0)
		return -E2BIG;
	*ret = tree_bytes(r, d, ret_type);
	return str_is_set(*ret) ? 0 : -E2BIG;
}

static enum step
list_whole(struct list_state *ls)
{
	struct str type, body;
	if (list_bytes(ls, &type, &body) < 0)
		return request_fail(
			ls->r, R_REQUEST_ENTITY_TOO_LARGE, "the list is too large: use limit");
	return request_reply_bytes(ls->r, 200, type, body);
}

/* ---- a list in pieces ------------------------------------------------------------------------------ */

static void list_go_on(struct request *r);

static void
list_work(struct loop_work *w)
{
	struct list_state *ls = w->arg;
	list_go_on(ls->r);
}

static void
list_end(struct list_state *ls)
{
	ls->over = true;
	request_over(ls->r, 200);
	ls->r->sink->ops->end(ls->r);
}

/* The client sees a body that ends before its JSON does when the revision fell out of the window. */
static void
list_go_on(struct request *r)
{
	struct list_state *ls = r->stage_state;
	if (ls->over)
		return;
	if (r->gone || !str_is_set(ls->next)) {
		if (!r->gone)
			r->sink->ops->write(r, STR("]}\n"));
		list_end(ls);
		return;
	}
	struct store_range range = {.res = r->res->store_res,
		.ns = r->ns,
		.rev = ls->rev,
		.start = ls->next,
		.max_bytes = STREAM_BYTES};
	items_begin(ls);
	if (list_piece(ls, &range) < 0) {
		list_end(ls);
		return;
	}
	if (r->sink->ops->write(r, items_view(ls)) > HTTP_QUEUE_HIGH)
		r->sink->ops->on_drain(r, list_go_on);
	else
		loop_defer(r->loop, &ls->work);
}

static enum step
list_stream(struct list_state *ls)
{
	struct request *r = ls->r;
	struct buf b;
	buf_init_arena(&b, r->a);
	list_head(r, &b, ls->rev, STR(""), -1);
	r->stage_state = ls;
	ls->work = (struct loop_work){.fn = list_work, .arg = ls};
	r->on_gone = list_go_on;
	request_warnings_send(r);
	r->sink->ops->begin(r, 200, STR("application/json"));
	r->sink->ops->write(r, buf_view(&b));
	if (r->sink->ops->write(r, items_view(ls)) > HTTP_QUEUE_HIGH)
		r->sink->ops->on_drain(r, list_go_on);
	else
		loop_defer(r->loop, &ls->work);
	return STEP_REPLY;
}

/* An empty list to read into; NULL = out of memory. */
static struct list_state *
list_new(struct request *r, struct store_range *range)
{
	struct list_state *ls = ARENA_NEW(r->a, struct list_state);
	if (!ls)
		return NULL;
	ls->r = r;
	ls->asks = convert_hooked(r->res);
	*range = (struct store_range){.res = r->res->store_res,
		.ns = r->res->kind->namespaced ? r->ns : STR(""),
		.max_bytes = PIECE_BYTES};
	ls->scratch = arena_new(0);
	if (!ls->scratch || arena_on_clear(r->a, list_release, ls) < 0) {
		arena_free(ls->scratch);
		return NULL;
	}
	items_begin(ls);
	return ls;
}

/* ---- a list that a webhook converts ---------------------------------------------------------------- */

static void
late_take(struct list_state *ls)
{
	for (size_t i = 0; i < ls->n_late; i++) {
		if (!convert_selects(ls->scratch, &ls->sel, ls->r->res, ls->late[i].doc))
			continue;
		const struct doc *meta = meta_of(ls->late[i].doc);
		if (ls->collected && ls->collected->each)
			ls->collected->each(ls->of, doc_get_str(meta, STR("namespace")),
				doc_get_str(meta, STR("name")));
		if (ls->count++)
			buf_char(&ls->items, ',');
		form_item_doc(ls->r, ls->scratch, ls->late[i].doc, &ls->items);
	}
}

static enum step
late_over(struct list_state *ls)
{
	if (!ls->collected)
		return list_whole(ls);
	ls->collected->rc = list_bytes(ls, &ls->collected->type, &ls->collected->body);
	return STEP_NEXT;
}

/* Piece by piece; WAIT: list_late_more goes on. */
static enum step
list_late(struct list_state *ls, bool converted)
{
	struct request *r = ls->r;
	struct convert_wait *w = NULL;
	for (;;) {
		if (converted)
			late_take(ls);
		if (ls->items.failed || ls->items.len > HEAD_ROOM + COLLECTED_MAX)
			return request_fail(
				r, R_REQUEST_ENTITY_TOO_LARGE, "the list is too large: use limit");
		if (converted &&
			(!str_is_set(ls->next) || (r->opt.limit > 0 && ls->count >= r->opt.limit)))
			return late_over(ls);
		arena_clear(ls->scratch);
		ls->late = NULL;
		ls->n_late = 0;
		struct store_range from = ls->range;
		int rc = list_piece(ls, &ls->range);
		if (rc < 0)
			return list_failed(r, rc, &from, ls);
		enum step st = convert_ask(r, ls->scratch, r->res, ls->late, ls->n_late, &w);
		if (st == STEP_WAIT)
			w->of = ls;
		if (st != STEP_NEXT)
			return st;
		converted = true;
	}
}

static enum step
list_late_more(struct request *r, struct list_state **ret)
{
	struct convert_wait *w = r->stage_state;
	enum step st = convert_take(r, w);
	*ret = w->of;
	return st == STEP_NEXT ? list_late(*ret, true) : st;
}

enum step
list_collect_more(struct request *r, void **ret_of)
{
	struct list_state *ls = NULL;
	enum step st = list_late_more(r, &ls);
	*ret_of = ls->of;
	return st;
}

enum step
list_collect(struct request *r, const struct selection *sel, void *of, struct list_collected *ret)
{
	struct store_range range;
	struct list_state *ls = list_new(r, &range);
	ret->rc = -ENOMEM;
	if (!ls)
		return STEP_NEXT;
	ls->sel = *sel;
	ls->range = range;
	ls->collected = ret;
	ls->of = of;
	if (ls->asks)
		return list_late(ls, false);
	do {
		ret->rc = list_piece(ls, &range);
		if (ret->rc < 0)
			return STEP_NEXT;
		if (ls->items.len > HEAD_ROOM + COLLECTED_MAX) {
			ret->rc = -E2BIG;
			return STEP_NEXT;
		}
	} while (str_is_set(ls->next) && (r->opt.limit <= 0 || ls->count < r->opt.limit));
	return late_over(ls);
}

enum step
stage_list(struct request *r)
{
	if (r->res->store_res == API_NO_STORE)
		return request_not_found_path(r);
	struct store_range range;
	struct list_state *ls = NULL;
	if (r->stage_state && r->stage_state != r)
		return list_late_more(r, &ls);
	ls = list_new(r, &range);
	if (!ls)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	enum step st = selection_parse(r, &ls->sel);
	if (st == STEP_NEXT)
		st = list_range(r, &range, ls);
	if (st != STEP_NEXT)
		return st;
	ls->range = range;
	if (ls->asks)
		return list_late(ls, false);
	bool may_stream = r->opt.limit <= 0 && r->accept->media == MEDIA_JSON && !r->opt.pretty;
	if (may_stream)
		range.max_bytes = STREAM_BYTES;
	struct store_range first = range;
	do {
		int rc = list_piece(ls, &range);
		if (rc < 0)
			return list_failed(r, rc, &first, ls);
		if (may_stream && str_is_set(ls->next))
			return list_stream(ls);
	} while (str_is_set(ls->next) && (r->opt.limit <= 0 || ls->count < r->opt.limit));
	return list_whole(ls);
}
