/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch: the stage that answers a WATCH: what is there now as ADDED (when asked for), then events from the
 * store's hub as they are committed, bookmarks, and a clean end after timeoutSeconds.
 *
 * A watch holds no queue: it takes the next event when the client has read enough of what was written.
 * The object of an event is encoded once for all watchers (store_event_slot); a selector sees objects
 * enter (ADDED) and leave (DELETED with the last state that matched). Events of custom resources that a webhook
 * converts are gathered, as many as there are up to LATE_MAX, and sent when its one answer is there.
 * Invariants: after begin, everything is said in the stream (errors as ERROR events); the stream ends
 * exactly once; the store watch is closed before the request is over.
 * Source: Kubernetes API concepts (watch, bookmarks); KEP-956, KEP-3157. */
#include "orchestrator/api/convert.h"

#include "base/rand.h"

#include <inttypes.h>

#define BOOKMARK_NS (60 * NS_PER_SEC)
#define EVENTS_A_TURN 256
#define PIECE_BYTES (1024 * 1024)
#define LATE_MAX 64

/* An event that waits for its conversion: indices into the items. */
struct late {
	enum store_event_kind kind;
	size_t now, before; /* before: of a selector, SIZE_MAX = none */
	uint64_t rev;
};
enum watch_phase { WATCH_INITIAL, WATCH_INITIAL_END, WATCH_LIVE };

struct watch_state {
	struct stream stream;
	struct request *r;
	struct selection sel;
	struct store_watch *sw;
	enum watch_phase phase;
	struct arena *scratch;
	struct buf buf;   /* heap; one event */
	struct buf piece; /* heap; encoded objects of the initial list, each behind its length */
	struct str list_next;
	uint64_t list_rev;
	bool headers_sent; /* table: columns are in the first event only */
	bool blocked, over, taking, initial_bookmark;
	struct loop_work work;
	struct loop_timer end, bookmark;
	int64_t end_ns;
	/* of custom resources that a webhook converts */
	bool asks;
	struct arena *late_a; /* of one question and all it is about */
	struct late *late;
	size_t n_late;
	struct convert_item *items;
	size_t n_items;
	struct conversion *conversion; /* under way */
};

/* ---- the end --------------------------------------------------------------------------------------- */

static void
watch_over(struct watch_state *ws)
{
	if (ws->over)
		return;
	ws->over = true;
	struct request *r = ws->r;
	stream_del(&ws->stream);
	if (ws->conversion)
		conversion_cancel(ws->conversion);
	ws->conversion = NULL;
	loop_defer_cancel(&ws->work);
	loop_timer_cancel(&ws->end);
	loop_timer_cancel(&ws->bookmark);
	if (ws->sw)
		store_watch_close(ws->sw);
	ws->sw = NULL;
	atomic_fetch_sub(&r->server->watchers, 1);
	r->on_gone = NULL;
	r->sink->ops->end(r);
}

static void
watch_release(void *arg)
{
	struct watch_state *ws = arg;
	buf_release(&ws->buf);
	buf_release(&ws->piece);
	arena_free(ws->scratch);
	arena_free(ws->late_a);
}

static void
watch_gone(struct request *r)
{
	watch_over(r->stage_state);
}

static void
watch_stop(struct stream *st)
{
	watch_over(CONTAINER_OF(st, struct watch_state, stream));
}

static void
watch_error(struct watch_state *ws, const struct status_spec *st)
{
	struct str s = status_json(ws->scratch, st);
	ws->r->sink->ops->event(ws->r, "ERROR", str_trim(s));
	arena_clear(ws->scratch);
	watch_over(ws);
}

static void
watch_expired(struct watch_state *ws, uint64_t from)
{
	struct str msg = arena_fmt(ws->scratch,
		"too old resource version: %" PRIu64 " (%" PRIu64 ")", from,
		store_oldest(ws->r->server->store));
	watch_error(ws,
		&(struct status_spec){
			.http = 410, .reason = R_EXPIRED, .message = msg, .no_details = true});
}

/* ---- one event ------------------------------------------------------------------------------------- */

static void
encode_plain(void *arg, const struct store_event *ev, struct buf *out)
{
	head_write(out, arg, ev->value.body);
}

static void
encode_partial(void *arg, const struct store_event *ev, struct buf *out)
{
	const struct api_resource *res = arg;
	struct arena *a = arena_new(0);
	struct doc *d = a ? object_parse(a, res, ev->value.body) : NULL;
	struct doc *p = d ? schema_partial(a, d, "v1") : NULL;
	if (p)
		doc_write_json(out, p);
	arena_free(a);
}

/* The object of an event in the watcher's form; ws->scratch and ws->buf are its memory. */
static struct str
watch_form_doc(struct watch_state *ws, struct doc *d)
{
	struct request *r = ws->r;
	const struct negotiated *n = r->accept;
	struct doc *x = d;
	buf_clear(&ws->buf);
	if (!d)
		return STR_NONE;
	if (n->as == AS_TABLE) {
		const struct doc *one = d;
		struct doc *lm = doc_map(ws->scratch);
		struct str rv = doc_get_str(meta_of(d), STR("resourceVersion"));
		if (lm && rv.n)
			doc_set_str(ws->scratch, lm, STR("resourceVersion"), rv);
		x = schema_table(ws->scratch, r->res->kind, &one, 1, lm, n->include,
			!ws->headers_sent, n->as_version, clock_wall_ns());
		ws->headers_sent = true;
	} else if (n->as == AS_PARTIAL || n->as == AS_PARTIAL_LIST) {
		x = schema_partial(ws->scratch, d, n->as_version);
	}
	if (x)
		doc_write_json(&ws->buf, x);
	return x && !ws->buf.failed ? buf_view(&ws->buf) : STR_NONE;
}

static struct str
watch_form(struct watch_state *ws, struct str body, bool plain)
{
	struct request *r = ws->r;
	if (r->accept->as != AS_OBJECT || !plain)
		return watch_form_doc(ws, object_parse(ws->scratch, r->res, body));
	buf_clear(&ws->buf);
	head_write(&ws->buf, r->res, body);
	return ws->buf.failed ? STR_NONE : buf_view(&ws->buf);
}

static size_t
watch_emit(struct watch_state *ws, const char *type, struct str object)
{
	if (!str_is_set(object))
		return 0;
	return ws->r->sink->ops->event(ws->r, type, object);
}

/* The state before the event with the event's revision in it: what a selector's DELETED carries. */
static struct str
prev_with_rev(struct watch_state *ws, const struct store_event *ev)
{
	struct str b = ev->prev_body;
	if (ev->prev_rv_offset == 0 || ev->prev_rv_offset > b.n)
		return b;
	struct str tail = str_sub(b, ev->prev_rv_offset, SIZE_MAX);
	ptrdiff_t quote = str_find_char(tail, '"');
	struct buf out;
	buf_init_arena(&out, ws->scratch);
	buf_str(&out, str_sub(b, 0, ev->prev_rv_offset));
	buf_u64(&out, ev->rev);
	buf_str(&out, quote < 0 ? tail : str_sub(tail, (size_t)quote, SIZE_MAX));
	return buf_view(&out);
}

static const char *const event_types[] = {"ADDED", "MODIFIED", "DELETED"};

static size_t
watch_event(struct watch_state *ws, const struct store_event *ev)
{
	struct request *r = ws->r;
	bool selects = r->opt.label_selector.n || r->opt.field_selector.n;
	enum store_event_kind kind = ev->kind;
	bool use_prev = false;
	if (selects) {
		struct str now = ev->value.attrs;
		bool after = ev->kind != STORE_DELETED && selection_match(&ws->sel, now);
		bool before = ev->kind != STORE_ADDED && selection_match(&ws->sel, ev->prev_attrs);
		if (!after && !before)
			return 0;
		if (ev->kind == STORE_MODIFIED) {
			kind = after && before ? STORE_MODIFIED
				: after        ? STORE_ADDED
					       : STORE_DELETED;
			use_prev = !after;
		}
	}
	const struct negotiated *n = r->accept;
	bool plain = value_plain(r->res, &ev->value);
	if (!use_prev && plain && n->as == AS_OBJECT)
		return watch_emit(ws, event_types[kind],
			store_event_slot(
				ev, 0, encode_plain, (void *)(uintptr_t)(const void *)r->res));
	if (!use_prev && plain && n->as != AS_TABLE && n->as_version[2] == '\0')
		return watch_emit(ws, event_types[kind],
			store_event_slot(
				ev, 1, encode_partial, (void *)(uintptr_t)(const void *)r->res));
	struct store_value v = ev->value;
	if (use_prev)
		v.body = prev_with_rev(ws, ev);
	struct str body = value_body(ws->scratch, r->res, &v);
	size_t q = str_is_set(body) ? watch_emit(ws, event_types[kind], watch_form(ws, body, plain))
				    : 0;
	arena_clear(ws->scratch);
	return q;
}

static void
watch_bookmark(struct watch_state *ws, uint64_t rev, bool initial_end)
{
	struct buf b;
	buf_init_arena(&b, ws->scratch);
	const struct api_resource *res = ws->r->res;
	const struct negotiated *n = ws->r->accept;
	if (n->as == AS_PARTIAL || n->as == AS_PARTIAL_LIST)
		buf_fmt(&b,
			"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",",
			n->as_version);
	else
		buf_str(&b, res->head);
	buf_fmt(&b, "\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"%s}}", rev,
		initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
	struct str obj = buf_view(&b);
	struct doc *d = NULL;
	/* an empty object of the kind: what is always written is there */
	if (n->as == AS_OBJECT && doc_parse_json(ws->scratch, obj, NULL, &d, NULL) == 0 &&
		schema_order(ws->scratch, res->kind->type, d) == 0) {
		buf_clear(&b);
		doc_write_json(&b, d);
		obj = buf_view(&b);
	}
	if (n->as == AS_TABLE && doc_parse_json(ws->scratch, obj, NULL, &d, NULL) == 0) {
		const struct doc *one = d;
		struct doc *lm = doc_map(ws->scratch);
		doc_set_str(ws->scratch, lm, STR("resourceVersion"),
			arena_fmt(ws->scratch, "%" PRIu64, rev));
		struct doc *t = schema_table(ws->scratch, res->kind, &one, 1, lm, n->include,
			!ws->headers_sent, n->as_version, clock_wall_ns());
		ws->headers_sent = true;
		buf_clear(&ws->buf);
		doc_write_json(&ws->buf, t);
		obj = buf_view(&ws->buf);
	}
	watch_emit(ws, "BOOKMARK", obj);
	arena_clear(ws->scratch);
}

/* ---- what a webhook converts ----------------------------------------------------------------------- */

static void watch_late_done(struct conversion *c);
static void watch_late_end(struct watch_state *ws);

/* late_clear: room for the next question. False: no memory. */
static bool
late_clear(struct watch_state *ws)
{
	if (!ws->late_a)
		ws->late_a = arena_new(0);
	else
		arena_clear(ws->late_a);
	ws->late = NULL;
	ws->items = NULL;
	ws->n_late = ws->n_items = 0;
	return ws->late_a != NULL;
}

/* late_item: its index; SIZE_MAX = damaged or no memory. */
static size_t
late_item(struct watch_state *ws, const struct store_value *v)
{
	struct store_value own = *v;
	own.body = arena_str(ws->late_a, v->body);
	struct convert_item it = convert_item_of(ws->late_a, ws->r->res, &own);
	struct convert_item *slot = it.doc ? ARENA_PUSH(ws->late_a, ws->items, ws->n_items) : NULL;
	if (!slot)
		return SIZE_MAX;
	*slot = it;
	return ws->n_items - 1;
}

static bool
late_add(struct watch_state *ws, enum store_event_kind kind, const struct store_value *now,
	const struct store_value *before, uint64_t rev)
{
	struct late l = {.kind = kind,
		.now = late_item(ws, now),
		.before = before ? late_item(ws, before) : SIZE_MAX,
		.rev = rev};
	struct late *slot = l.now == SIZE_MAX ? NULL : ARENA_PUSH(ws->late_a, ws->late, ws->n_late);
	if (slot)
		*slot = l;
	return slot != NULL;
}

/* late_event: an object comes into what is selected, changes, or leaves it. */
static void
late_event(struct watch_state *ws, const struct late *l)
{
	const struct api_resource *res = ws->r->res;
	struct doc *now = ws->items[l->now].doc;
	struct doc *prev = l->before == SIZE_MAX ? NULL : ws->items[l->before].doc;
	enum store_event_kind kind = l->kind;
	bool after = convert_selects(ws->scratch, &ws->sel, res, now);
	bool before = prev && convert_selects(ws->scratch, &ws->sel, res, prev);
	if (kind == STORE_MODIFIED && prev)
		kind = after ? (before ? STORE_MODIFIED : STORE_ADDED) : STORE_DELETED;
	if (!after && before && kind == STORE_DELETED) {
		now = prev;
		doc_set_str(ws->late_a, meta_of(now), STR("resourceVersion"),
			arena_fmt(ws->late_a, "%" PRIu64, l->rev));
	}
	if (after || before)
		watch_emit(ws, event_types[kind], watch_form_doc(ws, now));
	arena_clear(ws->scratch);
}

static void
late_emit(struct watch_state *ws)
{
	for (size_t i = 0; i < ws->n_late && !ws->over; i++)
		late_event(ws, &ws->late[i]);
	late_clear(ws);
}

/* late_ask: true: the answer is awaited; else it is there, or the watch is over. */
static bool
late_ask(struct watch_state *ws)
{
	struct conversion *c = ARENA_NEW(ws->late_a, struct conversion);
	if (!c) {
		watch_error(
			ws, &(struct status_spec){.http = 500, .message = STR("out of memory")});
		return false;
	}
	*c = (struct conversion){.a = ws->late_a,
		.r = ws->r,
		.to = ws->r->res,
		.items = ws->items,
		.n = ws->n_items,
		.done = watch_late_done,
		.arg = ws};
	ws->conversion = c;
	conversion_start(c);
	if (!c->over)
		return true;
	watch_late_end(ws);
	return false;
}

static void
watch_late_end(struct watch_state *ws)
{
	struct conversion *c = ws->conversion;
	ws->conversion = NULL;
	if (str_is_set(c->error))
		watch_error(ws,
			&(struct status_spec){
				.http = 500, .message = c->error, .no_details = true});
	else
		late_emit(ws);
}

/* What is there now goes out by late_emit too. */
static bool
initial_late(struct watch_state *ws, const struct store_value *v)
{
	if (!convert_may_select(&ws->sel, v->attrs))
		return true;
	return late_add(ws, STORE_ADDED, v, NULL, 0);
}

/* late_take: the next events, all of which are converted by one question. */
static bool
late_take(struct watch_state *ws, int *ret_error)
{
	bool selects = ws->sel.labels.n || ws->sel.fields.n, good = late_clear(ws);
	while (good && ws->n_late < LATE_MAX) {
		const struct store_event *ev = store_watch_take(ws->sw, ret_error);
		if (!ev)
			break;
		struct store_value prev = {.body = arena_str(ws->late_a, ev->prev_body),
			.attrs = arena_str(ws->late_a, ev->prev_attrs)};
		bool before = selects && ev->kind == STORE_MODIFIED;
		good = late_add(ws, ev->kind, &ev->value, before ? &prev : NULL, ev->rev);
		store_event_unref(ev);
	}
	return good;
}

/* ---- the initial list ------------------------------------------------------------------------------ */

/* Objects are only encoded while the store is read; clients hear of them afterwards. */
static bool
initial_item(void *arg, struct store_key key, const struct store_value *v)
{
	(void)key;
	struct watch_state *ws = arg;
	struct request *r = ws->r;
	if (v->expires_ns && v->expires_ns <= r->wall_ns)
		return true;
	if (ws->asks)
		return initial_late(ws, v);
	if (!selection_match_value(ws->scratch, &ws->sel, r->res, v)) {
		arena_clear(ws->scratch);
		return true;
	}
	struct str body = value_body(ws->scratch, r->res, v);
	struct str obj = str_is_set(body) ? watch_form(ws, body, value_plain(r->res, v)) : STR_NONE;
	if (str_is_set(obj)) {
		buf_be32(&ws->piece, (uint32_t)obj.n);
		buf_str(&ws->piece, obj);
	}
	arena_clear(ws->scratch);
	return !ws->piece.failed;
}

static void
initial_emit(struct watch_state *ws)
{
	struct reader rd = reader_of(buf_view(&ws->piece));
	while (rd.n > 0 && !ws->over) {
		uint32_t n = reader_be32(&rd);
		watch_emit(ws, "ADDED", reader_bytes(&rd, n));
	}
}

static int watch_open(struct watch_state *ws, uint64_t from);

/* A piece of what is there now. The store watch is opened at the list's revision with the first. */
static void
initial_piece(struct watch_state *ws)
{
	struct request *r = ws->r;
	struct store_range range = {.res = r->res->store_res,
		.ns = r->res->kind->namespaced ? r->ns : STR(""),
		.rev = ws->list_rev,
		.start = ws->list_next,
		.max_bytes = PIECE_BYTES};
	struct str next = STR_NONE;
	uint64_t rev = 0;
	buf_clear(&ws->piece);
	if (ws->asks && !late_clear(ws))
		ws->piece.failed = true;
	int rc = store_list(r->server->store, &range, r->a, initial_item, ws, &rev, &next);
	if (rc == 0 && ws->piece.failed)
		rc = -ENOMEM;
	if (rc == 0 && !ws->sw) {
		ws->list_rev = rev;
		rc = watch_open(ws, rev);
	}
	if (rc < 0) {
		watch_expired(ws, ws->list_rev);
		return;
	}
	ws->list_next = next;
	initial_emit(ws);
	if (ws->over)
		return;
	if (!str_is_set(next))
		buf_release(&ws->piece);
	if (!str_is_set(next))
		ws->phase = WATCH_INITIAL_END;
	if (ws->asks)
		late_ask(ws);
}

/* ---- going on -------------------------------------------------------------------------------------- */

static void watch_go_on(struct watch_state *ws);

static void
watch_drained(struct request *r)
{
	struct watch_state *ws = r->stage_state;
	ws->blocked = false;
	watch_go_on(ws);
}

static void
watch_work(struct loop_work *w)
{
	watch_go_on(w->arg);
}

static void
watch_wake(void *arg)
{
	watch_go_on(arg);
}

static bool
watch_must_wait(struct watch_state *ws)
{
	if (ws->over || ws->r->sink->ops->queued(ws->r) <= HTTP_QUEUE_HIGH)
		return ws->over;
	ws->blocked = true;
	ws->r->sink->ops->on_drain(ws->r, watch_drained);
	return true;
}

static void
watch_take(struct watch_state *ws)
{
	for (size_t i = 0; i < EVENTS_A_TURN; i++) {
		int error = 0;
		const struct store_event *ev = store_watch_take(ws->sw, &error);
		if (!ev) {
			if (error < 0)
				watch_expired(ws, store_watch_cursor(ws->sw));
			return;
		}
		size_t q = watch_event(ws, ev);
		store_event_unref(ev);
		if (ws->over || (q > HTTP_QUEUE_HIGH && watch_must_wait(ws)))
			return;
	}
	loop_defer(ws->r->loop, &ws->work);
}

/* One question at a time; what comes meanwhile waits in the store. */
static void
watch_take_late(struct watch_state *ws)
{
	int error = 0;
	bool good = late_take(ws, &error);
	if (!good)
		watch_error(
			ws, &(struct status_spec){.http = 500, .message = STR("out of memory")});
	else if (error < 0)
		watch_expired(ws, store_watch_cursor(ws->sw));
	else if (ws->n_late && !late_ask(ws) && !ws->over)
		loop_defer(ws->r->loop, &ws->work);
}

static void
watch_late_done(struct conversion *c)
{
	struct watch_state *ws = c->arg;
	watch_late_end(ws);
	watch_go_on(ws);
}

static void
watch_go_on(struct watch_state *ws)
{
	if (ws->over || ws->blocked || ws->taking || ws->conversion)
		return;
	ws->taking = true;
	if (ws->phase == WATCH_INITIAL) {
		initial_piece(ws);
		if (!ws->over && ws->phase == WATCH_INITIAL && !ws->conversion &&
			!watch_must_wait(ws))
			loop_defer(ws->r->loop, &ws->work);
	}
	if (!ws->over && ws->phase == WATCH_INITIAL_END && !ws->conversion) {
		ws->phase = WATCH_LIVE;
		if (ws->initial_bookmark)
			watch_bookmark(ws, ws->list_rev, true);
	}
	if (!ws->over && ws->phase == WATCH_LIVE && !watch_must_wait(ws))
		(ws->asks ? watch_take_late : watch_take)(ws);
	ws->taking = false;
}

static void
watch_end_timer(struct loop_timer *t)
{
	watch_over(t->arg);
}

static void
watch_bookmark_timer(struct loop_timer *t)
{
	struct watch_state *ws = t->arg;
	if (ws->phase == WATCH_LIVE && !ws->blocked && !ws->conversion)
		watch_bookmark(ws, store_watch_cursor(ws->sw), false);
	if (ws->over)
		return;
	/* one shortly before the end, so that the next watch starts where this one was */
	int64_t now = loop_now_ns(ws->r->loop), next = now + BOOKMARK_NS;
	int64_t last = ws->end_ns - 2 * NS_PER_SEC;
	if (now < last && next > last)
		next = last;
	loop_timer_set(ws->r->loop, &ws->bookmark, next);
}

static int
watch_open(struct watch_state *ws, uint64_t from)
{
	struct request *r = ws->r;
	struct store_watch_spec spec = {.res = r->res->store_res,
		.ns = r->res->kind->namespaced ? r->ns : STR(""),
		.from_rev = from,
		.loop = r->loop,
		.wake = watch_wake,
		.arg = ws,
		.name = STR(""),
		.field = STR(""),
		.value = STR("")};
	struct str name = selector_single(&ws->sel.fields, STR("metadata.name"));
	struct str node = selector_single(&ws->sel.fields, STR("spec.nodeName"));
	if (str_is_set(name)) {
		spec.name = name;
	} else if (str_is_set(node) && node.n && r->res == r->server->pods) {
		spec.field = STR("spec.nodeName");
		spec.value = node;
	}
	return store_watch_open(r->server->store, &spec, &ws->sw);
}

static void
watch_timers(struct watch_state *ws)
{
	struct request *r = ws->r;
	int64_t s = r->opt.timeout_s;
	int64_t ns = s > 0 ? s * NS_PER_SEC
			   : 1800 * NS_PER_SEC + (int64_t)rand_below(1800) * NS_PER_SEC;
	ws->end_ns = loop_now_ns(r->loop) + ns;
	loop_timer_set(r->loop, &ws->end, ws->end_ns);
	if (!r->opt.allow_bookmarks)
		return;
	int64_t first = loop_now_ns(r->loop) + BOOKMARK_NS;
	if (first > ws->end_ns - 2 * NS_PER_SEC)
		first = ws->end_ns - 2 * NS_PER_SEC;
	loop_timer_set(r->loop, &ws->bookmark, first);
}

static struct watch_state *
watch_new(struct request *r)
{
	struct watch_state *ws = ARENA_NEW(r->a, struct watch_state);
	if (!ws)
		return NULL;
	ws->r = r;
	ws->asks = convert_hooked(r->res);
	ws->work = (struct loop_work){.fn = watch_work, .arg = ws};
	ws->end = (struct loop_timer){.fn = watch_end_timer, .arg = ws};
	ws->bookmark = (struct loop_timer){.fn = watch_bookmark_timer, .arg = ws};
	ws->scratch = arena_new(0);
	if (!ws->scratch || arena_on_clear(r->a, watch_release, ws) < 0) {
		arena_free(ws->scratch);
		return NULL;
	}
	return ws;
}

/* Which revision to begin at: 0 = with what is there now. */
static enum step
watch_from(struct request *r, struct watch_state *ws, uint64_t *ret)
{
	struct str rv = r->opt.resource_version;
	uint64_t n = 0;
	if (rv.n && str_to_u64(rv, &n) < 0)
		return request_fail_revision(r, rv);
	if (r->opt.send_initial_events == 1) {
		ws->initial_bookmark = r->opt.allow_bookmarks;
		if (n > store_rev(r->server->store))
			return rev_wait(r, n);
		n = 0;
	} else if (r->opt.send_initial_events == 0 && n == 0) {
		n = store_rev(r->server->store);
	}
	*ret = n;
	return STEP_NEXT;
}

enum step
stage_watch(struct request *r)
{
	if (r->res->store_res == API_NO_STORE)
		return request_not_found_path(r);
	if (!(r->res->verbs & VERB_BIT(VERB_WATCH)))
		return request_fail(
			r, R_METHOD_NOT_ALLOWED, "watch is not supported on this resource");
	if (r->accept->media == MEDIA_YAML) /* it has no frames */
		return request_fail(r, R_NOT_ACCEPTABLE,
			"only the following media types are accepted: application/json, "
			"application/vnd.kubernetes.protobuf");
	struct watch_state *ws = watch_new(r);
	if (!ws)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	enum step st = selection_parse(r, &ws->sel);
	uint64_t from = 0;
	if (st == STEP_NEXT)
		st = watch_from(r, ws, &from);
	if (st != STEP_NEXT)
		return st;
	if (from) {
		int rc = watch_open(ws, from);
		if (rc == -ESTALE)
			return request_fail_status(r,
				&(struct status_spec){.http = 410,
					.reason = R_EXPIRED,
					.no_details = true,
					.message = arena_fmt(r->a,
						"too old resource version: %" PRIu64 " (%" PRIu64
						")",
						from, store_oldest(r->server->store))});
		if (rc < 0)
			return request_fail_err(
				r, &(struct err){.code = rc, .msg = "opening the watch failed"});
		ws->phase = WATCH_LIVE;
	}
	/* the seat is for the work of starting; a watch may last for an hour */
	request_over(r, 200);
	atomic_fetch_add(&r->server->watchers, 1);
	r->stage_state = ws;
	r->on_gone = watch_gone;
	stream_add(&ws->stream, r, watch_stop);
	watch_timers(ws);
	request_warnings_send(r);
	r->sink->ops->begin(r, 200, STR("application/json"));
	if (!ws->over)
		loop_defer(r->loop, &ws->work);
	return STEP_REPLY;
}
