/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The store's contract on one store: conditions, revisions, lists now and then, paging beside a writer,
 * time to live, restart, backup, full map. */
#include "storage/store/store.c"

#include "base/rand.h"
#include "tests/unit/storage/store/store_util.h"

TEST(put_get_delete)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	CHECK_INT(store_rev(f.s), 1);
	struct store_key a = key(f.pods, "ns", "a");
	CHECK_STR(fx_get(&f, a), "");
	CHECK_INT(fx_put(&f, a, ",x"), 2);
	CHECK_STR(fx_get(&f, a), "{2,x}");
	CHECK_INT(fx_put(&f, a, ",y"), 3);
	CHECK_STR(fx_get(&f, a), "{3,y}");
	CHECK_INT(store_count(f.s, f.pods, STR_NONE), 1);
	CHECK_INT(fx_delete(&f, a), 4);
	CHECK_STR(fx_get(&f, a), "");
	CHECK_INT(store_count(f.s, f.pods, STR_NONE), 0);
	CHECK_INT(fx_delete(&f, a), 4); /* nothing to delete: no revision */
	CHECK_INT(store_rev(f.s), 4);
	fx_close(&f);
}

TEST(empty_transaction_takes_no_revision)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	struct store_txn t = {0};
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_INT(t.rev, 1);
	CHECK_INT(store_rev(f.s), 1);
	fx_close(&f);
}

TEST(conditions_on_several_keys)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	struct store_key ns = key(f.maps, "", "ns"), ip = key(f.maps, "", "10.0.0.1"),
			 pod = key(f.pods, "ns", "a");
	uint64_t rev = fx_put(&f, ns, "");
	struct store_cond conds[] = {
		{.key = ns, .kind = STORE_REV_IS, .rev = rev},
		{.key = ip, .kind = STORE_ABSENT},
		{.key = ns, .kind = STORE_EXISTS},
	};
	struct buf b1 = BUF_INIT, b2 = BUF_INIT;
	struct store_op ops[] = {put_op(pod, ",1", &b1), put_op(ip, ",2", &b2)};
	struct store_txn t = {.conds = conds, .n_conds = 3, .ops = ops, .n_ops = 2};
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_INT(t.rev, rev + 1);
	CHECK_STR(fx_get(&f, pod), "{3,1}");
	CHECK_STR(fx_get(&f, ip), "{3,2}"); /* one revision for both */
	/* Each condition alone fails, and then nothing is written. */
	CHECK_INT(fx_commit(&f, &t), -ESTALE);
	CHECK_INT(t.failed_cond, 1);
	conds[1].kind = STORE_EXISTS;
	conds[2] = (struct store_cond){.key = pod, .kind = STORE_REV_IS, .rev = rev};
	CHECK_INT(fx_commit(&f, &t), -ESTALE);
	CHECK_INT(t.failed_cond, 2);
	conds[0].rev++;
	CHECK_INT(fx_commit(&f, &t), -ESTALE);
	CHECK_INT(t.failed_cond, 0);
	conds[0] = (struct store_cond){
		.key = key(f.pods, "ns", "none"), .kind = STORE_REV_IS, .rev = 0};
	CHECK_INT(fx_commit(&f, &t), -ESTALE);
	CHECK_INT(store_rev(f.s), rev + 1);
	CHECK_STR(fx_get(&f, pod), "{3,1}");
	buf_release(&b1);
	buf_release(&b2);
	fx_close(&f);
}

static void
count_done(struct store_txn *t)
{
	++*(size_t *)t->arg;
}

/* Submitted while the writer is at work, they come in groups: each has its own revision all the same,
 * and sees what those before it did. */
TEST(revision_per_transaction_within_a_group)
{
	enum { N = 500 };
	struct fixture f;
	fx_open(&f, (struct store_config){.group_max = 64});
	struct store_key k = key(f.maps, "ns", "counter"), lock = key(f.maps, "ns", "lock");
	static struct store_txn t[N];
	static struct store_cond cond[N];
	static struct store_op op[N];
	size_t done = 0, won = 0;
	uint64_t last = 0;
	memset(t, 0, sizeof(t));
	for (size_t i = 0; i < N; i++) {
		bool fight = i % 5 == 0; /* one in five wants to be the first to make the lock */
		cond[i] = (struct store_cond){.key = lock, .kind = STORE_ABSENT};
		op[i] = (struct store_op){.kind = STORE_PUT,
			.key = fight ? lock : k,
			.body = STR("{}"),
			.rv_offset = 1};
		t[i] = (struct store_txn){.conds = &cond[i],
			.n_conds = fight,
			.ops = &op[i],
			.n_ops = 1,
			.reply_to = f.loop,
			.done = count_done,
			.arg = &done};
		store_commit(f.s, &t[i]);
	}
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (done < N && clock_mono_ns() < end)
		loop_turn(f.loop, NS_PER_SEC);
	CHECK_INT(done, N);
	for (size_t i = 0; i < N; i++) {
		if (t[i].n_conds && t[i].result == -ESTALE)
			continue;
		CHECK_INT(t[i].result, 0);
		won += t[i].n_conds;
		CHECK(last == 0 || t[i].rev == last + 1);
		last = t[i].rev;
	}
	CHECK_INT(won, 1);
	CHECK_INT(last, store_rev(f.s));
	struct store_stats st;
	store_stats(f.s, &st);
	CHECK_INT(st.commits, N);
	CHECK(st.groups >= 500 / 64 && st.groups < N);
	CHECK_INT(st.objects, 2);
	fx_close(&f);
}

TEST(refused_before_anything_is_written)
{
	static char long_name[2000];
	static struct store_op many[5000];
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	memset(long_name, 'x', sizeof(long_name));
	struct store_op ops[] = {
		{.kind = STORE_PUT, .key = key(f.pods, "ns", "a"), .body = STR("{}")},
		{.kind = STORE_PUT,
			.key = {f.pods, STR("ns"), str_from(long_name, 1894)},
			.body = STR("{}")},
	};
	struct store_txn t = {.ops = ops, .n_ops = 2};
	CHECK_INT(fx_commit(&f, &t), -ERANGE);
	CHECK_STR(fx_get(&f, ops[0].key), "");
	ops[1].key.name.n = 1893;
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_STR(fx_get(&f, ops[1].key), "{}");
	ops[1].key.res = 99;
	CHECK_INT(fx_commit(&f, &t), -ERANGE);
	ops[1].key.res = f.pods;
	ops[1].rv_offset = 3;
	CHECK_INT(fx_commit(&f, &t), -ERANGE);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = ops[0];
	t = (struct store_txn){.ops = many, .n_ops = STORE_OPS_MAX + 1};
	CHECK_INT(fx_commit(&f, &t), -E2BIG);
	t.n_ops = STORE_OPS_MAX;
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_INT(store_rev(f.s), 3);
	fx_close(&f);
}

TEST(delete_publishes_the_given_or_the_stored_state)
{
	struct fixture f;
	struct collector c;
	fx_open(&f, (struct store_config){0});
	struct store_key a = key(f.pods, "ns", "a");
	fx_put_field(&f, a, ",old", "spec.nodeName", "n1");
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.pods}), 0);
	fx_delete(&f, a);
	fx_put_field(&f, a, ",old", "spec.nodeName", "n1");
	struct store_op op = {
		.kind = STORE_DELETE, .key = a, .body = STR("{,last}"), .rv_offset = 1};
	struct store_txn t = {.ops = &op, .n_ops = 1};
	store_watch_close(c.w);
	struct store_watch_spec spec = {
		.res = f.pods, .from_rev = 2, .loop = f.loop, .wake = collect_wake, .arg = &c};
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_INT(store_watch_open(f.s, &spec, &c.w), 0);
	int error = 0;
	const struct store_event *ev = store_watch_take(c.w, &error);
	CHECK(ev != NULL);
	CHECK_INT(ev->kind, STORE_DELETED);
	CHECK_STR(ev->value.body, "{3,old}");
	CHECK_STR(ev->prev_body, "{2,old}");
	CHECK(ev->value.attrs.n > 0 && str_eq(ev->value.attrs, ev->prev_attrs));
	store_event_unref(ev);
	store_event_unref(store_watch_take(c.w, &error));
	ev = store_watch_take(c.w, &error);
	CHECK(ev != NULL);
	CHECK_STR(ev->value.body, "{5,last}");
	CHECK_STR(ev->prev_body, "{4,old}");
	CHECK(str_eq(ev->value.attrs, ev->prev_attrs));
	store_event_unref(ev);
	collect_close(&c);
	fx_close(&f);
}

/* ---- lists ---- */

TEST(list_in_order_with_limits)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	const char *names[][2] = {{"b", "x"}, {"a", "y"}, {"a", "x"}, {"a-b", "x"}, {"c", "x"}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		fx_put(&f, key(f.pods, names[i][0], names[i][1]), "");
	fx_put(&f, key(f.maps, "a", "z"), "");
	struct buf all = fx_list(&f, f.pods, "", 0, 0);
	CHECK_STR(trimmed(&all), "a/x={4} a/y={3} a-b/x={5} b/x={2} c/x={6}");
	for (size_t page = 1; page < 7; page++) {
		struct buf paged = fx_list(&f, f.pods, "", 0, page);
		CHECK_STR(trimmed(&paged), trimmed(&all));
		buf_release(&paged);
	}
	buf_release(&all);
	struct buf ns = fx_list(&f, f.pods, "a", 0, 1);
	CHECK_STR(trimmed(&ns), "a/x={4} a/y={3}");
	buf_release(&ns);
	ns = fx_list(&f, f.pods, "none", 0, 0);
	CHECK_INT(ns.len, 0);
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 2);
	CHECK_INT(store_count(f.s, f.pods, STR("none")), 0);
	/* fn stops: what it was called with counts. And bytes count. */
	struct arena *a = arena_new(0);
	struct listing l = {.stop_at = 2};
	uint64_t rev = 0;
	struct str more;
	struct store_range r = {.res = f.pods};
	CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), 0);
	CHECK_INT(l.n, 2);
	CHECK_INT(rev, 7);
	r.start = more;
	r.max_bytes = 4;
	l.stop_at = 0;
	CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), 0);
	CHECK_INT(l.n, 4);
	r.start = more;
	CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), 0);
	CHECK(!str_is_set(more)); /* the limit is reached by the last: complete */
	CHECK_STR(trimmed(&l.text), "a/x={4} a/y={3} a-b/x={5} b/x={2} c/x={6}");
	buf_release(&l.text);
	arena_free(a);
	fx_close(&f);
}

TEST(list_start_is_not_trusted)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	fx_put(&f, key(f.pods, "a", "x"), "");
	static char long_start[3000];
	const struct str bad[] = {
		STR("x"),
		str_from("\0\0\0\2a\0x", 7),
		str_from("\0\0\0\1b\0x", 7),
		str_from("\0\0\0\1a", 5),
		str_from("\0\0\0\1a\0x\0", 8),
		str_from(long_start, sizeof(long_start)),
	};
	struct arena *a = arena_new(0);
	struct listing l = {0};
	uint64_t rev = 0;
	struct str more;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_range r = {.res = f.pods, .ns = STR("a"), .start = bad[i]};
		CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), -EINVAL);
	}
	struct store_range r = {.res = f.pods, .ns = str_from("a\0b", 3)};
	CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), -EINVAL);
	r = (struct store_range){.res = f.pods, .rev = 3};
	CHECK_INT(store_list(f.s, &r, a, list_add_item, &l, &rev, &more), -ERANGE);
	arena_free(a);
	fx_close(&f);
}

/* Random writes; at each revision the list is noted, and must read the same later. */
TEST(list_at_every_old_revision)
{
	enum { N = 150 };
	struct fixture f;
	static struct buf at[N];
	uint64_t revs[N];
	fx_open(&f, (struct store_config){.no_sync = true});
	rand_set_seed(3);
	for (size_t i = 0; i < N; i++) {
		char name[8], ns[8];
		snprintf(name, sizeof(name), "p%u", (unsigned)rand_below(12));
		snprintf(ns, sizeof(ns), "n%u", (unsigned)rand_below(3));
		struct store_key k = key(f.pods, ns, name);
		if (rand_below(3) == 0)
			fx_delete(&f, k);
		else
			fx_put(&f, k, rand_below(2) ? "" : ",a longer one");
		fx_put(&f, key(f.maps, "x", "other"), "");
		revs[i] = store_rev(f.s);
		at[i] = fx_list(&f, f.pods, "", 0, 0);
	}
	for (size_t i = 0; i < N; i++) {
		for (size_t page = 0; page < 8; page += 3) {
			struct buf then = fx_list(&f, f.pods, "", revs[i], page);
			CHECK_STR(buf_view(&then), buf_view(&at[i]));
			buf_release(&then);
		}
		struct buf ns = fx_list(&f, f.pods, "n1", revs[i], 2);
		CHECK(ns.len == 0 || str_find(buf_view(&at[i]), buf_view(&ns)) >= 0);
		buf_release(&ns);
	}
	for (size_t i = 0; i < N; i++)
		buf_release(&at[i]);
	fx_close(&f);
}

struct churn {
	struct fixture *f;
	struct store_txn t;
	struct store_op op;
	struct buf body;
	char name[16];
	atomic_bool stop;
	atomic_size_t commits;
	struct loop *loop;
	bool over;
};

static void
churn_next(struct store_txn *t)
{
	struct churn *c = t->arg;
	atomic_fetch_add(&c->commits, 1);
	if (atomic_load(&c->stop)) {
		c->over = true;
		return;
	}
	uint64_t x = atomic_load(&c->commits) * 2654435761u;
	snprintf(c->name, sizeof(c->name), "p%04u", (unsigned)(x % 1300));
	buf_clear(&c->body);
	c->op = put_op(key(c->f->pods, "ns", c->name), ",changed meanwhile", &c->body);
	if (x % 7 == 0)
		c->op = (struct store_op){.kind = STORE_DELETE, .key = c->op.key};
	*t = (struct store_txn){
		.ops = &c->op, .n_ops = 1, .reply_to = c->loop, .done = churn_next, .arg = c};
	store_commit(c->f->s, t);
}

static void
churn_main(struct loop *l, void *arg)
{
	struct churn *c = arg;
	c->loop = l;
	c->t.arg = c;
	churn_next(&c->t);
}

static void
churn_end(struct loop *l, void *arg)
{
	struct churn *c = arg;
	atomic_store(&c->stop, true);
	while (!c->over)
		loop_turn(l, NS_PER_SEC);
	buf_release(&c->body);
}

/* A thousand objects in pages of 50 while a writer on another thread changes, makes and deletes some of
 * them: exactly the first page's snapshot, several times. */
TEST(paging_beside_a_writer_is_exact)
{
	struct fixture f;
	struct churn c = {.f = &f};
	struct loop *task = NULL;
	fx_open(&f, (struct store_config){.no_sync = true});
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p%04d", i);
		fx_put(&f, key(f.pods, "ns", name), ",first");
	}
	CHECK_INT(loop_task_start(NULL, "churn", 0, churn_main, churn_end, &c, &task), 0);
	for (int round = 0; round < 10; round++) {
		struct arena *a = arena_new(0);
		struct listing whole = {0}, pages = {0};
		struct store_range r = {.res = f.pods};
		uint64_t rev = 0;
		struct str more;
		size_t before = atomic_load(&c.commits);
		CHECK_INT(store_list(f.s, &r, a, list_add_item, &whole, &rev, &more), 0);
		r.max_items = 50;
		r.rev = rev;
		do {
			/* Each page sees a later writer. */
			size_t seen = atomic_load(&c.commits);
			while (atomic_load(&c.commits) == seen)
				sched_yield();
			CHECK_INT(store_list(f.s, &r, a, list_add_item, &pages, &rev, &more), 0);
			CHECK_INT(rev, r.rev);
			r.start = more;
		} while (str_is_set(more));
		CHECK(atomic_load(&c.commits) > before + 10);
		CHECK(pages.n > 800);
		CHECK(str_eq(buf_view(&pages.text), buf_view(&whole.text)));
		buf_release(&whole.text);
		buf_release(&pages.text);
		arena_free(a);
	}
	loop_task_join(task);
	fx_close(&f);
}

/* ---- time ---- */

TEST(time_to_live)
{
	struct world *w = world_new(7, 1000 * NS_PER_SEC);
	struct fixture f;
	struct collector c;
	fx_open(&f, (struct store_config){.world = w, .no_sync = true});
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.maps}), 0);
	static struct store_txn t[600];
	static struct store_op op[600];
	static char name[600][8];
	size_t done = 0;
	for (size_t i = 0; i < 600; i++) {
		snprintf(name[i], sizeof(name[i]), "e%03zu", i);
		/* 500 of them for a minute, the others for two; the last for ever. */
		int64_t ttl = i < 500 ? 60 : 120;
		op[i] = (struct store_op){.kind = STORE_PUT,
			.key = key(f.maps, "ns", name[i]),
			.body = STR("{}"),
			.expires_ns = i == 599 ? 0 : clock_wall_ns() + ttl * NS_PER_SEC};
		t[i] = (struct store_txn){.ops = &op[i],
			.n_ops = 1,
			.reply_to = f.loop,
			.done = count_done,
			.arg = &done};
		store_commit(f.s, &t[i]);
	}
	CHECK_INT(world_run(w, 59 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(done, 600);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), 600);
	/* One gets a longer life, one is deleted and made anew without an end. */
	op[0].expires_ns = 0;
	op[1].expires_ns += 30 * NS_PER_SEC;
	store_commit(f.s, &t[0]);
	store_commit(f.s, &t[1]);
	CHECK_INT(world_run(w, 70 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), 102);
	CHECK_INT(world_run(w, 100 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), 101);
	/* A restart in between. */
	collect_take(&c);
	CHECK_INT(c.n, 602 + 499);
	CHECK(!c.disorder);
	collect_close(&c);
	store_close(f.s);
	fx_reopen(&f);
	CHECK_INT(world_run(w, 200 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), 2);
	struct buf left = fx_list(&f, f.maps, "", 0, 0);
	CHECK_STR(trimmed(&left), "ns/e000={} ns/e599={}");
	buf_release(&left);
	/* Nothing to wait for is left but the window: the world comes to rest. */
	CHECK_INT(world_run(w, 10000 * NS_PER_SEC, NULL, NULL), 0);
	CHECK_INT(store_oldest(f.s), store_rev(f.s));
	fx_close(&f);
	world_free(w);
}

static bool
is_true(void *arg)
{
	return *(bool *)arg;
}

static uint64_t
put_in_world(struct world *w, struct fixture *f, const char *name)
{
	bool done = false;
	struct store_op op = {
		.kind = STORE_PUT, .key = key(f->maps, "ns", name), .body = STR("{}")};
	struct store_txn t = {
		.ops = &op, .n_ops = 1, .reply_to = f->loop, .done = txn_done, .arg = &done};
	store_commit(f->s, &t);
	CHECK_INT(world_run(w, INT64_MAX, is_true, &done), 0);
	CHECK_INT(t.result, 0);
	return t.rev;
}

/* A revision is gone when the window has passed since it was replaced, also when nobody writes. */
TEST(window_of_time)
{
	struct world *w = world_new(8, 1000 * NS_PER_SEC);
	struct fixture f;
	fx_open(&f,
		(struct store_config){.world = w, .no_sync = true, .history_ns = 100 * NS_PER_SEC});
	uint64_t a = put_in_world(w, &f, "a");
	int64_t t0 = clock_mono_ns();
	world_run(w, t0 + 30 * NS_PER_SEC, NULL, NULL);
	uint64_t b = put_in_world(w, &f, "a");
	CHECK_INT(store_oldest(f.s), 1);
	world_run(w, t0 + 95 * NS_PER_SEC, NULL, NULL);
	CHECK_INT(store_oldest(f.s), 1);
	world_run(w, t0 + 120 * NS_PER_SEC, NULL, NULL);
	CHECK_INT(store_oldest(f.s), a);
	struct buf then = fx_list(&f, f.maps, "", a, 0);
	CHECK_STR(trimmed(&then), "ns/a={}");
	buf_release(&then);
	uint64_t c = put_in_world(w, &f, "a"), d = put_in_world(w, &f, "a");
	CHECK_INT(world_run(w, t0 + 225 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(store_oldest(f.s), c); /* b's end is more than the window ago */
	CHECK(b < c);
	CHECK_INT(world_run(w, t0 + 400 * NS_PER_SEC, NULL, NULL), 0);
	CHECK_INT(store_oldest(f.s), d);
	struct listing l = {0};
	uint64_t rev = a;
	CHECK_INT(fx_list_pages(&f, f.maps, "", &rev, 0, &l), -ESTALE);
	fx_close(&f);
	world_free(w);
}

/* ---- restart, copies, limits ---- */

TEST(restart_keeps_all)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	uint64_t first = fx_put(&f, key(f.pods, "ns", "a"), ",1");
	fx_put(&f, key(f.maps, "ns", "b"), ",2");
	uint64_t last = fx_put(&f, key(f.pods, "ns", "a"), ",3");
	uint32_t pods = f.pods, maps = f.maps;
	for (int i = 0; i < 3; i++) {
		store_close(f.s);
		fx_reopen(&f);
		CHECK_INT(f.pods, pods);
		CHECK_INT(f.maps, maps);
		CHECK_INT(store_rev(f.s), last);
		CHECK_INT(store_oldest(f.s), 1);
		CHECK_INT(store_count(f.s, f.pods, STR_NONE), 1);
		CHECK_STR(fx_get(&f, key(f.pods, "ns", "a")), "{4,3}");
		struct buf then = fx_list(&f, f.pods, "", first, 0);
		CHECK_STR(trimmed(&then), "ns/a={2,1}");
		buf_release(&then);
	}
	CHECK_INT(fx_put(&f, key(f.pods, "ns", "a"), ""), last + 1);
	fx_close(&f);
}

static void
copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	char path[256];
	struct buf file = BUF_INIT;
	snprintf(path, sizeof(path), "%s/%s", from_dir, name);
	CHECK_INT(disk_read_file(path, 1 << 28, &file), 0);
	snprintf(path, sizeof(path), "%s/%s", to_dir, name);
	CHECK_INT(disk_write_file(path, buf_view(&file), 0600), 0);
	buf_release(&file);
}

TEST(history_survives_a_boot_only_when_closed_in_order)
{
	struct fixture f;
	char dir[160];
	fx_open(&f, (struct store_config){.boot_id = "one"});
	snprintf(dir, sizeof(dir), "%s-copy", f.dir);
	CHECK_INT(disk_mkdirs(dir, 0700), 0);
	fx_put(&f, key(f.pods, "ns", "a"), ",1");
	fx_put(&f, key(f.pods, "ns", "a"), ",2");
	store_close(f.s);
	f.cfg.boot_id = "two";
	fx_reopen(&f);
	CHECK_INT(store_oldest(f.s), 1);
	fx_put(&f, key(f.pods, "ns", "a"), ",3");
	/* The files as they are now are what a killed process leaves. */
	struct fixture g = f;
	g.cfg.dir = dir;
	copy_file(f.dir, dir, "data.mdb");
	copy_file(f.dir, dir, "history");
	fx_reopen(&g);
	CHECK_INT(store_oldest(g.s), 1);
	store_close(g.s);
	/* Another boot without a close: only what LMDB has counts. */
	copy_file(f.dir, dir, "data.mdb");
	g.cfg.boot_id = "three";
	fx_reopen(&g);
	CHECK_INT(store_rev(g.s), 4);
	CHECK_INT(store_oldest(g.s), 4);
	CHECK_STR(fx_get(&g, key(g.pods, "ns", "a")), "{4,3}");
	store_close(g.s);
	fx_close(&f);
}

TEST(only_one_may_have_it)
{
	struct fixture f;
	struct store *other = NULL;
	struct err e = {0};
	fx_open(&f, (struct store_config){0});
	CHECK_INT(store_open(&f.cfg, &other, &e), -EBUSY);
	CHECK(e.msg[0] != '\0');
	fx_close(&f);
}

TEST(damaged_file_is_said)
{
	char dir[128], path[160];
	struct store *s = NULL;
	struct err e = {0};
	snprintf(dir, sizeof(dir), "%s/damaged", TEST_TMP);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	CHECK_INT(disk_mkdirs(dir, 0700), 0);
	static char junk[8192];
	memset(junk, 'j', sizeof(junk));
	CHECK_INT(disk_write_file(path, str_from(junk, sizeof(junk)), 0600), 0);
	struct store_config cfg = {.dir = dir};
	CHECK_INT(store_open(&cfg, &s, &e), -EUCLEAN);
	CHECK(strstr(e.msg, "damaged") != NULL);
}

TEST(full_map_is_refused_cleanly)
{
	struct fixture f;
	static char big[100001];
	size_t n = 0;
	fx_open(&f, (struct store_config){.map_bytes = 4 << 20, .no_sync = true});
	memset(big, 'x', sizeof(big) - 1);
	uint64_t rev = 0;
	for (;; n++) {
		char name[16];
		struct buf b = BUF_INIT;
		snprintf(name, sizeof(name), "m%zu", n);
		struct store_op op = put_op(key(f.maps, "ns", name), big, &b);
		struct store_txn t = {.ops = &op, .n_ops = 1};
		int rc = fx_commit(&f, &t);
		buf_release(&b);
		if (rc == -ENOSPC)
			break;
		CHECK_INT(rc, 0);
		CHECK(n < 100);
		rev = t.rev;
	}
	CHECK(n > 10);
	CHECK_INT(store_rev(f.s), rev);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), n);
	/* In a group with others, the small ones pass and the large one does not. */
	static struct store_txn t[9];
	static struct store_op op[9];
	static char name[9][8];
	size_t done = 0;
	for (size_t i = 0; i < 9; i++) {
		snprintf(name[i], sizeof(name[i]), "s%zu", i);
		op[i] = (struct store_op){.kind = STORE_PUT,
			.key = key(f.pods, "ns", name[i]),
			.body = i == 4 ? str_from(big, 100000) : STR("{}")};
		t[i] = (struct store_txn){.ops = &op[i],
			.n_ops = 1,
			.reply_to = f.loop,
			.done = count_done,
			.arg = &done};
		store_commit(f.s, &t[i]);
	}
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (done < 9 && clock_mono_ns() < end)
		loop_turn(f.loop, NS_PER_SEC);
	CHECK_INT(done, 9);
	for (size_t i = 0; i < 9; i++)
		CHECK_INT(t[i].result, i == 4 ? -ENOSPC : 0);
	/* Deleting works and makes room. */
	fx_delete(&f, key(f.maps, "ns", "m0"));
	fx_delete(&f, key(f.maps, "ns", "m1"));
	fx_put(&f, key(f.pods, "ns", "s0"), "");
	fx_put(&f, key(f.maps, "ns", "again"), big);
	store_close(f.s);
	fx_reopen(&f);
	CHECK_INT(store_count(f.s, f.maps, STR_NONE), n - 1);
	CHECK_INT(store_count(f.s, f.pods, STR_NONE), 8);
	fx_close(&f);
}

TEST(backup_beside_a_writer_and_restore)
{
	struct fixture f, g;
	struct churn c = {.f = &f};
	struct loop *task = NULL;
	struct err e = {0};
	char path[200], dir[160];
	fx_open(&f, (struct store_config){.no_sync = true});
	for (int i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "p%04d", i);
		fx_put(&f, key(f.pods, "ns", name), ",first");
	}
	struct store_op ttl = {.kind = STORE_PUT,
		.key = key(f.maps, "ns", "ttl"),
		.body = STR("{}"),
		.expires_ns = clock_wall_ns() + 3600 * NS_PER_SEC};
	struct store_txn t = {.ops = &ttl, .n_ops = 1};
	CHECK_INT(fx_commit(&f, &t), 0);
	CHECK_INT(loop_task_start(NULL, "churn", 0, churn_main, churn_end, &c, &task), 0);
	while (atomic_load(&c.commits) < 20)
		sched_yield();
	snprintf(dir, sizeof(dir), "%s-copy", f.dir);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	CHECK_INT(disk_mkdirs(dir, 0700), 0);
	uint64_t before = store_rev(f.s);
	CHECK_INT(store_backup(f.s, path, &e), 0);
	CHECK_INT(store_backup(f.s, path, &e), -EEXIST);
	uint64_t after = store_rev(f.s);
	loop_task_join(task);
	g = f;
	g.cfg.dir = dir;
	fx_reopen(&g);
	uint64_t rev = store_rev(g.s) - RESTORE_JUMP;
	CHECK(rev >= before && rev <= after);
	CHECK_INT(store_oldest(g.s), store_rev(g.s));
	struct buf then = fx_list(&f, f.pods, "", rev, 0), copy = fx_list(&g, g.pods, "", 0, 0);
	CHECK(str_eq(buf_view(&then), buf_view(&copy)));
	struct listing l = {0};
	uint64_t now = 0;
	CHECK_INT(fx_list_pages(&g, g.pods, "", &now, 0, &l), 0);
	CHECK_INT(store_count(g.s, g.pods, STR_NONE), l.n);
	CHECK_INT(store_count(g.s, g.maps, STR_NONE), 1);
	buf_release(&l.text);
	buf_release(&then);
	buf_release(&copy);
	CHECK_INT(fx_put(&g, key(g.pods, "ns", "new"), ""), rev + RESTORE_JUMP + 1);
	store_close(g.s);
	fx_reopen(&g); /* it jumps once */
	CHECK_INT(store_rev(g.s), rev + RESTORE_JUMP + 1);
	store_close(g.s);
	fx_close(&f);
}

TEST(resources_are_numbered_for_good)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	CHECK_INT(store_resource(f.s, STR("apps/deployments")), 3);
	CHECK_INT(store_resource(f.s, STR("/pods")), f.pods);
	CHECK_INT(store_resource(f.s, STR("")), -ERANGE);
	fx_put(&f, key(3, "ns", "a"), "");
	CHECK_INT(store_resource(f.s, STR("apps/replicasets")), 4); /* while it runs */
	fx_put(&f, key(4, "ns", "a"), "");
	store_close(f.s);
	fx_reopen(&f);
	CHECK_INT(store_resource(f.s, STR("apps/replicasets")), 4);
	CHECK_INT(store_resource(f.s, STR("apps/deployments")), 3);
	for (int i = 5; i <= STORE_RES_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "x/%d", i);
		CHECK_INT(store_resource(f.s, str_c(name)), i);
	}
	CHECK_INT(store_resource(f.s, STR("one/more")), -ENFILE);
	fx_put(&f, key(STORE_RES_MAX, "ns", "a"), "");
	store_close(f.s);
	fx_reopen(&f);
	CHECK_INT(store_resource(f.s, STR("x/4096")), STORE_RES_MAX);
	CHECK_INT(store_count(f.s, STORE_RES_MAX, STR_NONE), 1);
	fx_close(&f);
}

struct sum {
	size_t bytes;
	uint64_t rev;
};

static void
borrow(void *arg, const struct store_value *v)
{
	*(struct sum *)arg = (struct sum){v->body.n, v->rev};
}

TEST(borrow_sees_mapped_bytes)
{
	struct fixture f;
	struct sum got = {0};
	fx_open(&f, (struct store_config){0});
	fx_put(&f, key(f.maps, "ns", "a"), ",abc");
	CHECK_INT(store_borrow(f.s, key(f.maps, "ns", "a"), borrow, &got), 0);
	CHECK_INT(got.bytes, 7);
	CHECK_INT(got.rev, 2);
	CHECK_INT(store_borrow(f.s, key(f.maps, "ns", "b"), borrow, &got), -ENOENT);
	fx_close(&f);
}
