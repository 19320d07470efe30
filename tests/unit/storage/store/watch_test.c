/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Watches: each event once and in order, whatever chain, ring or history it comes from; who is woken;
 * what falls out of the window. */
#include "storage/store/watch.c"

#include "base/rand.h"
#include "tests/unit/storage/store/store_util.h"

TEST(live_events_of_one_resource)
{
	struct fixture f;
	struct collector c;
	fx_open(&f, (struct store_config){0});
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.pods}), 0);
	fx_put(&f, key(f.pods, "ns", "a"), "");
	fx_put(&f, key(f.maps, "ns", "a"), "");
	fx_put(&f, key(f.pods, "ns", "a"), "");
	fx_delete(&f, key(f.pods, "ns", "a"));
	collect_wait(&f, &c, 3);
	CHECK_STR(trimmed(&c.text), "+ns/a=2 ~ns/a=4 -ns/a=5");
	fx_put(&f, key(f.maps, "ns", "a"), "");
	CHECK_INT(store_watch_cursor(c.w), 6); /* advances without events */
	collect_close(&c);
	fx_close(&f);
}

TEST(chains_see_what_is_theirs)
{
	struct fixture f;
	struct collector all, ns, name, name_ns, n1, n2, n1_in_b;
	fx_open(&f, (struct store_config){0});
	struct str field = STR("spec.nodeName");
	CHECK_INT(collect_open(&f, &all, (struct store_watch_spec){.res = f.pods}), 0);
	CHECK_INT(
		collect_open(&f, &ns, (struct store_watch_spec){.res = f.pods, .ns = STR("a")}), 0);
	CHECK_INT(
		collect_open(&f, &name, (struct store_watch_spec){.res = f.pods, .name = STR("x")}),
		0);
	CHECK_INT(
		collect_open(&f, &name_ns,
			(struct store_watch_spec){.res = f.pods, .ns = STR("b"), .name = STR("x")}),
		0);
	CHECK_INT(collect_open(&f, &n1,
			  (struct store_watch_spec){
				  .res = f.pods, .field = field, .value = STR("n1")}),
		0);
	CHECK_INT(collect_open(&f, &n2,
			  (struct store_watch_spec){
				  .res = f.pods, .field = field, .value = STR("n2")}),
		0);
	CHECK_INT(
		collect_open(&f, &n1_in_b,
			(struct store_watch_spec){
				.res = f.pods, .ns = STR("b"), .field = field, .value = STR("n1")}),
		0);
	fx_put_field(&f, key(f.pods, "a", "x"), "", "spec.nodeName", "n1"); /* 2 */
	fx_put_field(&f, key(f.pods, "b", "x"), "", "spec.nodeName", "n1"); /* 3 */
	fx_put_field(&f, key(f.pods, "b", "y"), "", "spec.nodeName", "n2"); /* 4 */
	fx_put_field(
		&f, key(f.pods, "b", "x"), "", "spec.nodeName", "n2"); /* 5: leaves n1, enters n2 */
	fx_put_field(&f, key(f.pods, "a", "x"), "", "spec.nodeName", "n1"); /* 6 */
	fx_delete(&f, key(f.pods, "a", "x"));                               /* 7 */
	fx_put_field(&f, key(f.pods, "c", "z"), "", "other", "n1");         /* 8 */
	collect_wait(&f, &all, 7);
	CHECK_STR(trimmed(&all.text), "+a/x=2 +b/x=3 +b/y=4 ~b/x=5 ~a/x=6 -a/x=7 +c/z=8");
	CHECK_STR(trimmed(&ns.text), "+a/x=2 ~a/x=6 -a/x=7");
	CHECK_STR(trimmed(&name.text), "+a/x=2 +b/x=3 ~b/x=5 ~a/x=6 -a/x=7");
	CHECK_STR(trimmed(&name_ns.text), "+b/x=3 ~b/x=5");
	CHECK_STR(trimmed(&n1.text), "+a/x=2 +b/x=3 ~b/x=5 ~a/x=6 -a/x=7");
	CHECK_STR(trimmed(&n2.text), "+b/y=4 ~b/x=5");
	CHECK_STR(trimmed(&n1_in_b.text), "+b/x=3 ~b/x=5");
	CHECK_INT(store_watch_cursor(n2.w), 8);
	struct collector *close[] = {&all, &ns, &name, &name_ns, &n1, &n2, &n1_in_b};
	for (size_t i = 0; i < ARRAY_LEN(close); i++)
		collect_close(close[i]);
	fx_close(&f);
}

/* A chain is made when its first watcher comes; what it missed is taken from the ring, or from history
 * when that is short. */
TEST(chains_opened_behind)
{
	for (size_t events = 0; events <= 3; events += 3) {
		struct fixture f;
		struct collector name, ns, node;
		fx_open(&f, (struct store_config){.no_sync = true, .hub_events = events});
		fx_put_field(&f, key(f.pods, "a", "x"), "", "node", "n1"); /* 2 */
		fx_put_field(&f, key(f.pods, "b", "x"), "", "node", "n1"); /* 3 */
		fx_put_field(&f, key(f.pods, "a", "y"), "", "node", "n2"); /* 4 */
		fx_put_field(&f, key(f.pods, "a", "x"), "", "node", "n2"); /* 5 */
		fx_delete(&f, key(f.pods, "b", "x"));                      /* 6 */
		struct store_watch_spec spec = {.res = f.pods, .from_rev = 2, .name = STR("x")};
		CHECK_INT(collect_open(&f, &name, spec), 0);
		spec = (struct store_watch_spec){.res = f.pods, .from_rev = 2, .ns = STR("a")};
		CHECK_INT(collect_open(&f, &ns, spec), 0);
		spec = (struct store_watch_spec){
			.res = f.pods, .from_rev = 2, .field = STR("node"), .value = STR("n1")};
		CHECK_INT(collect_open(&f, &node, spec), 0);
		collect_wait(&f, &node, 3); /* woken, without anything new */
		CHECK_STR(trimmed(&name.text), "+b/x=3 ~a/x=5 -b/x=6");
		CHECK_STR(trimmed(&ns.text), "+a/y=4 ~a/x=5");
		CHECK_STR(trimmed(&node.text), "+b/x=3 ~a/x=5 -b/x=6");
		fx_delete(&f, key(f.pods, "a", "x")); /* 7: was n2 before and after */
		collect_wait(&f, &name, 4);
		CHECK_STR(trimmed(&name.text), "+b/x=3 ~a/x=5 -b/x=6 -a/x=7");
		CHECK_STR(trimmed(&ns.text), "+a/y=4 ~a/x=5 -a/x=7");
		CHECK_INT(node.n, 3);
		CHECK_INT(store_watch_cursor(node.w), 7);
		collect_close(&name);
		collect_close(&ns);
		collect_close(&node);
		fx_close(&f);
	}
}

TEST(nobody_is_woken_for_what_is_not_theirs)
{
	enum { N = 500 };
	struct fixture f;
	static struct collector c[N];
	fx_open(&f, (struct store_config){0});
	for (int i = 0; i < N; i++) {
		char node[16];
		snprintf(node, sizeof(node), "n%d", i);
		CHECK_INT(collect_open(&f, &c[i],
				  (struct store_watch_spec){.res = f.pods,
					  .field = STR("spec.nodeName"),
					  .value = str_c(node)}),
			0);
	}
	struct store_stats st;
	store_stats(f.s, &st);
	CHECK_INT(st.watchers, N);
	for (int i = 0; i < 20; i++)
		fx_put_field(&f, key(f.pods, "a", "x"), "", "spec.nodeName", "n7");
	collect_wait(&f, &c[7], 20);
	CHECK_INT(c[7].n, 20);
	for (int i = 0; i < N; i++) {
		CHECK(i == 7 || c[i].wakes == 0);
		CHECK_INT(store_watch_cursor(c[i].w), 21);
		collect_close(&c[i]);
	}
	fx_close(&f);
}

/* from_rev: what is later, once; from the ring or, when the ring is short, from history. */
static void
resume_everywhere(struct store_config cfg, bool expect_history)
{
	enum { N = 120 };
	struct fixture f;
	struct collector live, c;
	fx_open(&f, cfg);
	rand_set_seed(5);
	CHECK_INT(collect_open(&f, &live, (struct store_watch_spec){.res = f.pods}), 0);
	for (int i = 0; i < N; i++) {
		char name[8];
		snprintf(name, sizeof(name), "p%u", (unsigned)rand_below(9));
		if (rand_below(4) == 0)
			fx_delete(&f, key(f.pods, "ns", name));
		else
			fx_put(&f, key(rand_below(4) ? f.pods : f.maps, "ns", name), "");
	}
	uint64_t last = store_rev(f.s);
	struct store_stats st;
	store_stats(f.s, &st);
	CHECK((st.events < 20) == expect_history);
	loop_turn(f.loop, 0);
	collect_take(&live);
	CHECK(!live.disorder);
	for (uint64_t from = 1; from <= last; from += 7) {
		CHECK_INT(collect_open(&f, &c,
				  (struct store_watch_spec){.res = f.pods, .from_rev = from}),
			0);
		collect_take(&c);
		CHECK_INT(c.error, 0);
		/* What it saw is the tail of what the live one saw, and all later than from. */
		CHECK(str_ends(buf_view(&live.text), buf_view(&c.text)));
		struct buf before = {.data = live.text.data, .len = live.text.len - c.text.len};
		struct str all = trimmed(&before), part, head;
		ptrdiff_t at = str_rfind_char(all, '=');
		if (at >= 0) {
			uint64_t rev = 0;
			CHECK_INT(str_to_u64(str_sub(all, (size_t)at + 1, SIZE_MAX), &rev), 0);
			CHECK(rev <= from);
		}
		if (c.text.len > 0 && str_cut(buf_view(&c.text), ' ', &head, &part)) {
			uint64_t rev = 0;
			str_cut(head, '=', &part, &head);
			CHECK_INT(str_to_u64(head, &rev), 0);
			CHECK(rev > from);
		}
		CHECK_INT(store_watch_cursor(c.w), last);
		collect_close(&c);
	}
	collect_close(&live);
	fx_close(&f);
}

TEST(resume_from_the_ring)
{
	resume_everywhere((struct store_config){.no_sync = true}, false);
}

TEST(resume_from_history)
{
	resume_everywhere((struct store_config){.no_sync = true, .hub_events = 4}, true);
	resume_everywhere((struct store_config){.no_sync = true, .hub_bytes = 3000}, true);
}

/* A watcher that does not take falls out of the ring, goes on from history, and out of that with 410. */
TEST(ring_then_history_then_expired)
{
	struct fixture f;
	struct collector slow, gone;
	static char big[1001];
	struct loop *idle = loop_new(NULL, "idle"); /* never turned: its watchers are never woken */
	memset(big, 'x', sizeof(big) - 1);
	fx_open(&f,
		(struct store_config){
			.no_sync = true, .hub_events = 8, .history_bytes = 8 * 65536});
	struct store_watch_spec spec = {.res = f.pods, .loop = idle};
	CHECK_INT(collect_open(&f, &slow, spec), 0);
	CHECK_INT(collect_open(&f, &gone, spec), 0);
	for (int i = 0; i < 100; i++)
		fx_put(&f, key(f.pods, "ns", "a"), big);
	CHECK_INT(slow.wakes, 0);
	CHECK(slow.w->ord < f.s->res[f.pods]->ring.all.floor);
	int error = 0;
	const struct store_event *ev = store_watch_take(slow.w, &error);
	CHECK(ev != NULL);
	CHECK_INT(ev->rev, 2);
	CHECK(slow.w->cursor.buf != NULL); /* from history */
	store_event_unref(ev);
	collect_take(&slow);
	CHECK_INT(slow.n, 99);
	CHECK_INT(slow.last_rev, 101);
	CHECK(!slow.disorder);
	CHECK(slow.w->cursor.buf == NULL); /* back in the ring: nothing is held */
	for (int i = 0; i < 1000; i++)
		fx_put(&f, key(f.pods, "ns", "a"), big);
	CHECK(store_oldest(f.s) > 101);
	collect_take(&gone);
	CHECK_INT(gone.error, -ESTALE);
	CHECK_INT(gone.n, 0);
	CHECK(store_watch_take(gone.w, &error) == NULL);
	CHECK_INT(error, -ESTALE); /* and so it stays */
	collect_take(&slow);
	CHECK_INT(slow.error, -ESTALE);
	collect_close(&slow);
	collect_close(&gone);
	/* At the edge of the window. */
	spec.from_rev = store_oldest(f.s);
	CHECK_INT(collect_open(&f, &slow, spec), 0);
	collect_take(&slow);
	CHECK_INT(slow.error, 0);
	CHECK_INT(slow.n, store_rev(f.s) - spec.from_rev);
	spec.from_rev--;
	CHECK_INT(collect_open(&f, &gone, spec), -ESTALE);
	collect_close(&slow);
	fx_close(&f);
	loop_free(idle);
}

TEST(future_revision_waits)
{
	struct fixture f;
	struct collector c;
	fx_open(&f, (struct store_config){0});
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.pods, .from_rev = 4}), 0);
	CHECK_INT(store_watch_cursor(c.w), 4);
	for (int i = 0; i < 5; i++)
		fx_put(&f, key(f.pods, "ns", "a"), "");
	collect_wait(&f, &c, 2);
	CHECK_STR(trimmed(&c.text), "~ns/a=5 ~ns/a=6");
	collect_close(&c);
	CHECK_INT(collect_open(
			  &f, &c, (struct store_watch_spec){.res = f.pods, .from_rev = UINT64_MAX}),
		0);
	fx_put(&f, key(f.pods, "ns", "a"), "");
	collect_take(&c);
	CHECK_INT(c.n, 0);
	collect_close(&c);
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = 77}), -EINVAL);
	fx_close(&f);
}

/* Several events of one revision: a cursor that stands between them does not claim the revision, and
 * goes on with the rest, also from history. */
TEST(cursor_inside_of_a_transaction)
{
	struct fixture f;
	struct collector c;
	struct loop *idle = loop_new(NULL, "idle");
	fx_open(&f, (struct store_config){.no_sync = true, .hub_events = 2});
	struct store_op op[5];
	char name[5][4];
	for (size_t i = 0; i < 5; i++) {
		snprintf(name[i], sizeof(name[i]), "p%zu", i);
		op[i] = (struct store_op){
			.kind = STORE_PUT, .key = key(f.pods, "ns", name[i]), .body = STR("{}")};
	}
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.pods, .loop = idle}), 0);
	struct store_txn t = {.ops = op, .n_ops = 5};
	CHECK_INT(fx_commit(&f, &t), 0);
	int error = 0;
	for (size_t i = 0; i < 5; i++) {
		CHECK_INT(store_watch_cursor(c.w), 1);
		const struct store_event *ev = store_watch_take(c.w, &error);
		CHECK(ev != NULL);
		CHECK_STR(ev->key.name, name[i]);
		CHECK_INT(ev->rev, 2);
		CHECK_STR(ev->value.body, "{}");
		store_event_unref(ev);
	}
	CHECK_INT(store_watch_cursor(c.w), 2);
	CHECK(store_watch_take(c.w, &error) == NULL);
	CHECK_INT(error, 0);
	/* The same key twice in one transaction. */
	op[1].key = op[0].key;
	op[2] = (struct store_op){.kind = STORE_DELETE, .key = op[0].key};
	t.n_ops = 3;
	CHECK_INT(fx_commit(&f, &t), 0);
	collect_take(&c);
	CHECK_STR(trimmed(&c.text), "~ns/p0=3 ~ns/p0=3 -ns/p0=3");
	collect_close(&c);
	fx_close(&f);
	loop_free(idle);
}

static void
close_both(void *arg)
{
	struct collector *c = arg;
	c[0].wakes++;
	for (int i = 0; i < 2; i++) {
		store_watch_close(c[i].w);
		c[i].w = NULL;
	}
}

TEST(closing_from_within_a_wake)
{
	struct fixture f;
	struct collector c[2] = {0};
	fx_open(&f, (struct store_config){0});
	for (int i = 0; i < 2; i++) {
		struct store_watch_spec spec = {
			.res = f.pods, .loop = f.loop, .wake = close_both, .arg = c};
		CHECK_INT(store_watch_open(f.s, &spec, &c[i].w), 0);
	}
	fx_put(&f, key(f.pods, "ns", "a"), "");
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (c[0].w && clock_mono_ns() < end)
		loop_turn(f.loop, NS_PER_SEC);
	CHECK(c[0].w == NULL && c[1].w == NULL);
	while (loop_turn(f.loop, 0) > 0) {}
	CHECK_INT(c[0].wakes, 1);
	struct store_stats st;
	store_stats(f.s, &st);
	CHECK_INT(st.watchers, 0);
	fx_close(&f);
}

static void
make_text(void *arg, const struct store_event *ev, struct buf *out)
{
	++*(int *)arg;
	buf_str(out, STR("encoded "));
	buf_str(out, ev->key.name);
}

static void
make_fail(void *arg, const struct store_event *ev, struct buf *out)
{
	(void)arg, (void)ev;
	out->failed = true;
}

TEST(slots_are_made_once)
{
	struct fixture f;
	int made = 0, error = 0;
	struct store_watch *w[2];
	fx_open(&f, (struct store_config){0});
	for (int i = 0; i < 2; i++) {
		static struct collector none;
		struct store_watch_spec spec = {
			.res = f.pods, .loop = f.loop, .wake = close_both, .arg = &none};
		struct loop *idle = loop_new(NULL, "idle");
		spec.loop = idle;
		CHECK_INT(store_watch_open(f.s, &spec, &w[i]), 0);
	}
	fx_put(&f, key(f.pods, "ns", "a"), "");
	const struct store_event *a = store_watch_take(w[0], &error),
				 *b = store_watch_take(w[1], &error);
	CHECK(a != NULL && a == b); /* shared */
	CHECK(!str_is_set(store_event_slot(a, 0, make_fail, NULL)));
	CHECK_STR(store_event_slot(a, 0, make_text, &made), "encoded a");
	CHECK_STR(store_event_slot(b, 0, make_text, &made), "encoded a");
	CHECK_INT(made, 1);
	CHECK_STR(store_event_slot(b, 3, make_text, &made), "encoded a");
	CHECK_INT(made, 2);
	store_event_unref(a);
	CHECK_STR(store_event_slot(b, 0, make_text, &made), "encoded a");
	store_event_unref(b);
	for (int i = 0; i < 2; i++) {
		struct loop *idle = w[i]->spec.loop;
		store_watch_close(w[i]);
		loop_free(idle);
	}
	fx_close(&f);
}

/* ---- many threads ---- */

#define READERS 3
#define WATCHES 12
#define PUTS 3000

struct reader_task {
	struct fixture *f;
	struct loop *task;
	struct loop_timer timer;
	struct {
		struct reader_task *task;
		struct store_watch *w;
		uint64_t seen; /* sum over names' counters */
		uint64_t last;
		int error;
	} watch[WATCHES];
	atomic_size_t seen_all;
	size_t turn;
	bool bad;
};

static void
thread_take(struct reader_task *r, unsigned i)
{
	const struct store_event *ev;
	while ((ev = store_watch_take(r->watch[i].w, &r->watch[i].error)) != NULL) {
		r->bad |= ev->rev <= r->watch[i].last;
		r->watch[i].last = ev->rev;
		r->watch[i].seen++;
		atomic_fetch_add(&r->seen_all, 1);
		store_event_unref(ev);
	}
	r->bad |= r->watch[i].error != 0;
}

static void
thread_wake(void *arg)
{
	struct reader_task *r = *(struct reader_task **)arg;
	for (unsigned i = 0; i < WATCHES; i++)
		if (arg == &r->watch[i])
			thread_take(r, i);
}

static void
thread_open(struct reader_task *r, unsigned i, uint64_t from)
{
	char name[8];
	snprintf(name, sizeof(name), "p%u", i);
	struct store_watch_spec spec = {.res = r->f->pods,
		.from_rev = from,
		.loop = r->task,
		.wake = thread_wake,
		.arg = &r->watch[i]};
	if (i % 3 == 1)
		spec.name = str_c(name);
	if (i % 3 == 2)
		spec.ns = STR("ns");
	r->bad |= store_watch_open(r->f->s, &spec, &r->watch[i].w) != 0;
}

/* Now and then one of the watches is closed and goes on from its cursor; and there are reads. */
static void
thread_tick(struct loop_timer *t)
{
	struct reader_task *r = t->arg;
	unsigned i = r->turn++ % WATCHES;
	uint64_t at = store_watch_cursor(r->watch[i].w);
	store_watch_close(r->watch[i].w);
	thread_open(r, i, at);
	struct arena *a = arena_new(0);
	struct store_value v;
	int rc = store_get(r->f->s, key(r->f->pods, "ns", "p1"), a, &v);
	r->bad |= rc != 0 && rc != -ENOENT;
	arena_free(a);
	loop_timer_after(r->task, t, NS_PER_MS);
}

static void
thread_begin(void *arg)
{
	struct reader_task *r = arg;
	for (unsigned i = 0; i < WATCHES; i++) {
		r->watch[i].task = r;
		thread_open(r, i, 1);
	}
	r->timer = (struct loop_timer){.fn = thread_tick, .arg = r};
	loop_timer_after(r->task, &r->timer, NS_PER_MS);
}

static void
thread_main(struct loop *l, void *arg)
{
	(void)l, (void)arg;
}

static void
thread_end(struct loop *l, void *arg)
{
	(void)l;
	struct reader_task *r = arg;
	loop_timer_cancel(&r->timer);
	for (unsigned i = 0; i < WATCHES; i++) {
		thread_take(r, i);
		store_watch_close(r->watch[i].w);
	}
}

TEST(threads_each_event_once_in_order)
{
	struct fixture f;
	static struct reader_task r[READERS];
	uint64_t per_name[WATCHES] = {0};
	fx_open(&f, (struct store_config){.no_sync = true, .hub_events = 50});
	memset(r, 0, sizeof(r));
	for (int i = 0; i < READERS; i++) {
		r[i].f = &f;
		CHECK_INT(loop_task_start(
				  NULL, "reader", 0, thread_main, thread_end, &r[i], &r[i].task),
			0);
		CHECK_INT(loop_post(r[i].task, thread_begin, &r[i]), 0);
	}
	rand_set_seed(6);
	for (int i = 0; i < PUTS; i++) {
		char name[8];
		unsigned n = (unsigned)rand_below(WATCHES);
		snprintf(name, sizeof(name), "p%u", n);
		fx_put(&f, key(f.pods, "ns", name), "");
		per_name[n]++;
	}
	size_t want = 0;
	for (unsigned i = 0; i < WATCHES; i++)
		want += i % 3 == 1 ? per_name[i] : PUTS;
	int64_t end = clock_mono_ns() + WAIT_NS;
	for (int i = 0; i < READERS; i++)
		while (atomic_load(&r[i].seen_all) < want && clock_mono_ns() < end)
			sched_yield();
	for (int i = 0; i < READERS; i++)
		loop_task_join(r[i].task);
	for (int i = 0; i < READERS; i++) {
		CHECK(!r[i].bad);
		for (unsigned k = 0; k < WATCHES; k++)
			CHECK_INT(r[i].watch[k].seen, k % 3 == 1 ? per_name[k] : PUTS);
	}
	fx_close(&f);
}
