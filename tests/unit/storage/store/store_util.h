/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store_util.h: what the tests of the store share: a store in a folder of its own, commits that are
 * waited for, watches that collect. Every wait has a deadline (WAIT_NS) after which the test fails. */
#ifndef STORE_UTIL_H
#define STORE_UTIL_H

#include "storage/store/store.h"

#include <stdatomic.h>

#include "tests/unit/test.h"

#define WAIT_NS (30 * NS_PER_SEC)

struct fixture {
	struct store *s;
	struct loop *loop;
	struct store_config cfg;
	char dir[128];
	uint32_t pods, maps;
};

static inline void
fx_reopen(struct fixture *f)
{
	struct err e = {0};
	if (store_open(&f->cfg, &f->s, &e) < 0)
		TEST_FAIL_("%s", e.msg);
	f->pods = (uint32_t)store_resource(f->s, STR("/pods"));
	f->maps = (uint32_t)store_resource(f->s, STR("/configmaps"));
}

/* fx_open: a new store; cfg's fields that are set count. */
static inline void
fx_open(struct fixture *f, struct store_config cfg)
{
	static int number;
	*f = (struct fixture){.cfg = cfg};
	snprintf(f->dir, sizeof(f->dir), "%s/s%d", TEST_TMP, number++);
	f->cfg.dir = f->dir;
	f->loop = loop_new(cfg.world, "test");
	CHECK(f->loop != NULL);
	fx_reopen(f);
}

static inline void
fx_close(struct fixture *f)
{
	store_close(f->s);
	while (!f->cfg.world && loop_turn(f->loop, 0) > 0) {}
	loop_free(f->loop);
}

static inline struct store_key
key(uint32_t res, const char *ns, const char *name)
{
	return (struct store_key){res, str_c(ns), str_c(name)};
}

/* ---- commits ---- */

static inline void
txn_done(struct store_txn *t)
{
	*(bool *)t->arg = true;
}

/* fx_commit: result of the transaction; t->rev is set. */
static inline int
fx_commit(struct fixture *f, struct store_txn *t)
{
	bool done = false;
	t->reply_to = f->loop;
	t->done = txn_done;
	t->arg = &done;
	store_commit(f->s, t);
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (!done && clock_mono_ns() < end)
		loop_turn(f->loop, NS_PER_SEC);
	CHECK(done);
	return t->result;
}

/* body "{<text>}" whose revision stands behind the brace */
static inline struct store_op
put_op(struct store_key k, const char *text, struct buf *b)
{
	buf_char(b, '{');
	buf_cstr(b, text);
	buf_char(b, '}');
	return (struct store_op){.kind = STORE_PUT, .key = k, .body = buf_view(b), .rv_offset = 1};
}

static inline uint64_t
fx_put(struct fixture *f, struct store_key k, const char *text)
{
	struct buf b = BUF_INIT;
	struct store_op op = put_op(k, text, &b);
	struct store_txn t = {.ops = &op, .n_ops = 1};
	int rc = fx_commit(f, &t);
	buf_release(&b);
	CHECK_INT(rc, 0);
	return t.rev;
}

/* fx_put_field: with one indexed field. */
static inline uint64_t
fx_put_field(struct fixture *f, struct store_key k, const char *text, const char *field,
	const char *value)
{
	struct buf b = BUF_INIT, attrs = BUF_INIT;
	struct store_op op = put_op(k, text, &b);
	store_attr_put(&attrs, 'l', STR("app"), STR("web"));
	store_attr_put(&attrs, 'f', str_c(field), str_c(value));
	op.attrs = buf_view(&attrs);
	struct store_txn t = {.ops = &op, .n_ops = 1};
	int rc = fx_commit(f, &t);
	buf_release(&b);
	buf_release(&attrs);
	CHECK_INT(rc, 0);
	return t.rev;
}

static inline uint64_t
fx_delete(struct fixture *f, struct store_key k)
{
	struct store_op op = {.kind = STORE_DELETE, .key = k};
	struct store_txn t = {.ops = &op, .n_ops = 1};
	CHECK_INT(fx_commit(f, &t), 0);
	return t.rev;
}

/* fx_get: body, or "" when absent; static buffer. */
static inline const char *
fx_get(struct fixture *f, struct store_key k)
{
	static char text[4096];
	struct arena *a = arena_new(0);
	struct store_value v;
	int rc = store_get(f->s, k, a, &v);
	text[0] = '\0';
	if (rc == 0)
		str_copy_c(v.body, text, sizeof(text));
	arena_free(a);
	CHECK(rc == 0 || rc == -ENOENT);
	return text;
}

/* ---- lists ---- */

struct listing {
	struct buf text; /* "ns/name=body " ... */
	size_t n, stop_at;
};

static inline bool
list_add_item(void *arg, struct store_key k, const struct store_value *v)
{
	struct listing *l = arg;
	buf_str(&l->text, k.ns);
	buf_char(&l->text, '/');
	buf_str(&l->text, k.name);
	buf_char(&l->text, '=');
	buf_str(&l->text, v->body);
	buf_char(&l->text, ' ');
	l->n++;
	return l->stop_at == 0 || l->n < l->stop_at;
}

/* fx_list_pages: the whole range in pages of `page`, all at one revision (0 = the first page's). */
static inline int
fx_list_pages(struct fixture *f, uint32_t res, const char *ns, uint64_t *rev, size_t page,
	struct listing *l)
{
	struct arena *a = arena_new(0);
	struct store_range r = {.res = res, .ns = str_c(ns), .rev = *rev, .max_items = page};
	int rc = 0;
	do {
		uint64_t at = 0;
		struct str more = STR_NONE;
		rc = store_list(f->s, &r, a, list_add_item, l, &at, &more);
		r.start = more;
		r.rev = *rev = at;
	} while (rc == 0 && str_is_set(r.start));
	arena_free(a);
	return rc;
}

/* fx_list: text of a list; the caller releases it. */
static inline struct buf
fx_list(struct fixture *f, uint32_t res, const char *ns, uint64_t rev, size_t page)
{
	struct listing l = {0};
	int rc = fx_list_pages(f, res, ns, &rev, page, &l);
	if (rc < 0)
		buf_release(&l.text);
	CHECK_INT(rc, 0);
	return l.text;
}

static inline struct str
trimmed(struct buf *b)
{
	return str_trim(buf_view(b));
}

/* ---- watches ---- */

struct collector {
	struct store_watch *w;
	struct buf text; /* "+ns/name=rev ~... -... " */
	size_t n, wakes;
	uint64_t last_rev;
	bool disorder;
	int error;
};

static inline void
collect_take(struct collector *c)
{
	const struct store_event *ev;
	while ((ev = store_watch_take(c->w, &c->error)) != NULL) {
		buf_char(&c->text, "+~-"[ev->kind]);
		buf_str(&c->text, ev->key.ns);
		buf_char(&c->text, '/');
		buf_str(&c->text, ev->key.name);
		buf_char(&c->text, '=');
		buf_u64(&c->text, ev->rev);
		buf_char(&c->text, ' ');
		c->n++;
		c->disorder |= ev->rev < c->last_rev || ev->value.rev != ev->rev;
		c->last_rev = ev->rev;
		store_event_unref(ev);
	}
}

static inline void
collect_wake(void *arg)
{
	struct collector *c = arg;
	c->wakes++;
	collect_take(c);
}

static inline int
collect_open(struct fixture *f, struct collector *c, struct store_watch_spec spec)
{
	*c = (struct collector){0};
	if (!spec.loop)
		spec.loop = f->loop;
	spec.wake = collect_wake;
	spec.arg = c;
	return store_watch_open(f->s, &spec, &c->w);
}

static inline void
collect_wait(struct fixture *f, struct collector *c, size_t n)
{
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (c->n < n && c->error == 0 && clock_mono_ns() < end)
		loop_turn(f->loop, 100 * NS_PER_MS);
}

static inline void
collect_close(struct collector *c)
{
	store_watch_close(c->w);
	buf_release(&c->text);
}

#endif
