/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * convert: which objects of a custom resource must go through the webhook of their definition, the question, and
 * stages that wait for its answer: see convert.h.
 *
 * Source: apiextensions-apiserver pkg/apiserver/conversion, customresource_handler.go (behaviour). */
#include "orchestrator/api/convert.h"

#include "base/rand.h"
#include "orchestrator/fields/fields.h"

#define CALL_NS (30 * NS_PER_SEC)
#define ATTR_VERSION 'v'

/* ---- what is stored -------------------------------------------------------------------------------- */

void
convert_attr(struct buf *attrs, const struct api_resource *stored)
{
	store_attr_put(attrs, ATTR_VERSION, stored->version, STR(""));
}

static struct str
version_in(struct str attrs)
{
	struct str key = STR_NONE, v = STR_NONE;
	char kind = 0;
	while (store_attr_next(&attrs, &kind, &key, &v))
		if (kind == ATTR_VERSION)
			return key;
	return STR_NONE;
}

const struct api_resource *
convert_written(const struct api_resource *res, struct str attrs)
{
	struct str version = version_in(attrs);
	const struct custom *c = res->custom;
	if (!c || !str_is_set(version))
		return res->stored;
	for (size_t i = 0; i < c->n_rows; i++)
		if (str_eq(c->rows[i].version, version))
			return &c->rows[i];
	return NULL;
}

bool
convert_asks(const struct api_resource *res, const struct store_value *v)
{
	return convert_hooked(res) && convert_written(res, v->attrs) != res;
}

struct convert_item
convert_item_body(struct arena *a, const struct api_resource *from, struct str body)
{
	struct convert_item it = {.from = from};
	struct doc *d = NULL;
	struct str managed = STR_NONE;
	const struct schema_type *t = from->kind->type;
	bool cut = managed_cut(a, body, &managed, &body);
	if (schema_decode(a, t, body, SCHEMA_JSON, &d, NULL, NULL) < 0 ||
		schema_default(a, t, d) < 0)
		return it;
	struct doc *meta = cut ? doc_ensure_map(a, d, STR("metadata")) : NULL;
	if (meta)
		doc_set(meta, STR("managedFields"), doc_raw(a, arena_str(a, managed)));
	schema_set_gvk(a, d, from->kind);
	it.doc = arena_failed(a) ? NULL : d;
	return it;
}

struct convert_item
convert_item_of(struct arena *a, const struct api_resource *res, const struct store_value *v)
{
	const struct api_resource *from = convert_written(res, v->attrs);
	struct convert_item it = convert_item_body(a, from ? from : res->stored, v->body);
	it.from = from;
	if (!from && it.doc)
		doc_set_str(a, it.doc, STR("apiVersion"),
			arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(res->group),
				STR_ARG(version_in(v->attrs))));
	return it;
}

bool
convert_selects(struct arena *a, const struct selection *sel, const struct api_resource *res,
	const struct doc *d)
{
	struct buf b;
	if (sel->labels.n == 0 && !sel->labels.nothing && sel->fields.n == 0 &&
		!sel->fields.nothing)
		return true;
	buf_init_arena(&b, a);
	schema_attrs(res->kind, d, &b);
	return !b.failed && selection_match(sel, buf_view(&b));
}

bool
convert_may_select(const struct selection *sel, struct str attrs)
{
	for (size_t i = 0; i < sel->fields.n; i++)
		if (!str_starts(sel->fields.reqs[i].key, STR("metadata.")))
			return true;
	return selector_match_attrs(&sel->fields, 'f', attrs);
}

/* ---- one question ---------------------------------------------------------------------------------- */

static void
failed(struct conversion *c, struct str why)
{
	c->error = why;
	c->over = true;
}

/* The first that is sent: errors name its kind. */
static const struct doc *
first_sent(const struct conversion *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->items[i].from != c->to)
			return c->items[i].doc;
	return NULL;
}

static void
failed_hook(struct conversion *c, const char *verb, struct str why)
{
	const struct doc *d = first_sent(c);
	failed(c,
		arena_fmt(c->a, "conversion webhook for " STR_FMT ", Kind=" STR_FMT " %s" STR_FMT,
			STR_ARG(doc_get_str(d, STR("apiVersion"))),
			STR_ARG(doc_get_str(d, STR("kind"))), verb, STR_ARG(why)));
}

/* take: all or nothing. */
static void
take(struct conversion *c, const struct doc *list)
{
	struct doc **out = ARENA_ARRAY(c->a, struct doc *, c->asked);
	const struct schema_type *t = c->to->kind->type;
	struct str version = schema_api_version(c->a, c->to->kind->group, c->to->kind->version);
	struct str why = STR_NONE;
	const struct doc *answer = list->first;
	size_t at = 0;
	for (size_t i = 0; out && i < c->n; i++) {
		struct convert_item *it = &c->items[i];
		if (it->from == c->to)
			continue;
		ptrdiff_t index = c->asked > 1 ? (ptrdiff_t)at : -1;
		if (convert_answer_take(c->a, version, index, it->doc, answer, &out[at], &why) <
			0) {
			failed_hook(c, "", why);
			return;
		}
		structural_drop_nulls(t->structural, out[at]);
		if (structural_prune(c->a, t->structural, out[at], true, NULL) < 0 ||
			schema_order(c->a, t, out[at]) < 0) {
			failed(c, STR("out of memory"));
			return;
		}
		schema_set_gvk(c->a, out[at], c->to->kind);
		at++;
		answer = answer->next;
	}
	if (!out || arena_failed(c->a)) {
		failed(c, STR("out of memory"));
		return;
	}
	for (size_t i = 0, k = 0; i < c->n; i++) {
		if (c->items[i].from == c->to)
			continue;
		c->items[i] = (struct convert_item){c->to, out[k++]};
	}
}

static void
answered(struct conversion *c)
{
	const struct doc *list = NULL;
	struct str why = STR_NONE;
	c->over = true;
	if (str_is_set(c->post.why)) {
		failed_hook(c, "failed: ", c->post.why);
		return;
	}
	if (convert_answer_parse(
		    c->a, c->post.answer, c->uid, c->to->custom->hook->review, &list, &why) < 0)
		failed_hook(c, "failed: ", why);
	else if (doc_len(list) != c->asked)
		failed_hook(c, "",
			arena_fmt(c->a, "returned %zu objects, expected %zu", doc_len(list),
				c->asked));
	else
		take(c, list);
}

static void
on_posted(struct hook_post *p)
{
	struct conversion *c = p->arg;
	answered(c);
	c->done(c);
}

static bool
versions_known(struct conversion *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->items[i].from)
			continue;
		failed(c,
			arena_fmt(c->a,
				"request to convert CR from an invalid group/version: " STR_FMT,
				STR_ARG(doc_get_str(c->items[i].doc, STR("apiVersion")))));
		return false;
	}
	return true;
}

void
conversion_start(struct conversion *c)
{
	const struct custom_hook *h = c->to->custom->hook;
	char uid[37];
	if (!versions_known(c))
		return;
	if (!first_sent(c)) {
		c->over = true;
		return;
	}
	if (!h->review) {
		failed(c, STR("no supported conversion review versions"));
		return;
	}
	rand_uuid(uid);
	c->uid = arena_str(c->a, str_c(uid));
	request_init(&c->own, c->r->worker, c->a, NULL);
	c->post = (struct hook_post){.r = &c->own,
		.to = &h->to,
		.tls = h->tls,
		.url = hook_target_url(c->a, &h->to, CALL_NS),
		.body = convert_review_write(
			c->a, h->review, c->uid, c->to, c->items, c->n, &c->asked),
		.agent = "kube-apiserver",
		.end_ns = loop_now_ns(c->r->loop) + CALL_NS,
		.done = on_posted,
		.arg = c};
	if (!h->tls) {
		c->post.why = arena_fmt(
			c->a, "Post \"" STR_FMT "\": %s", STR_ARG(c->post.url), h->tls_error.msg);
		answered(c);
	} else if (hook_post_start(&c->post) < 0) {
		answered(c);
	}
}

void
conversion_cancel(struct conversion *c)
{
	hook_post_cancel(&c->post);
	c->over = true;
}

/* ---- a stage that waits ---------------------------------------------------------------------------- */

static void
wait_over(struct convert_wait *w)
{
	stream_del(&w->stream);
	w->c.r->on_gone = NULL;
}

static void
wait_cancel(struct convert_wait *w)
{
	w->gone = true;
	conversion_cancel(&w->c);
	wait_over(w);
	request_resume(w->c.r, true);
}

static void
on_gone(struct request *r)
{
	wait_cancel(r->stage_state);
}

static void
on_stop(struct stream *st)
{
	wait_cancel(CONTAINER_OF(st, struct convert_wait, stream));
}

static void
on_converted(struct conversion *c)
{
	struct convert_wait *w = c->arg;
	wait_over(w);
	request_resume(c->r, true);
}

enum step
convert_fail(struct request *r, struct str error)
{
	return request_fail_status(
		r, &(struct status_spec){.http = 500, .no_details = true, .message = error});
}

enum step
convert_take(struct request *r, struct convert_wait *w)
{
	if (w->gone)
		return request_fail(r, R_TIMEOUT,
			"Timeout: request did not complete within requested timeout - context canceled");
	return str_is_set(w->c.error) ? convert_fail(r, w->c.error) : STEP_NEXT;
}

enum step
convert_ask(struct request *r, struct arena *a, const struct api_resource *to,
	struct convert_item *items, size_t n, struct convert_wait **ret)
{
	struct convert_wait *w = ARENA_NEW(r->a, struct convert_wait);
	if (!w)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
	w->c = (struct conversion){
		.a = a, .r = r, .to = to, .items = items, .n = n, .done = on_converted, .arg = w};
	conversion_start(&w->c);
	if (w->c.over)
		return convert_take(r, w);
	*ret = w;
	r->stage_state = w;
	r->on_gone = on_gone;
	stream_add(&w->stream, r, on_stop);
	return STEP_WAIT;
}
