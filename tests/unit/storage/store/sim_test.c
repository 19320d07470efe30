/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The store in a simulated world: writers, watchers that come and go, lists at old revisions, expiry and
 * a restart, on virtual time from one seed. Everything that is seen goes to a log: the same seed gives
 * the same log byte for byte, another seed another one; and what is seen is right under every seed. */
#include "storage/store/writer.c"

#include "base/rand.h"
#include "tests/unit/storage/store/store_util.h"

#define WRITERS 3
#define WATCHERS 4
#define NAMES 6
#define START_NS (1000 * NS_PER_SEC)

struct sim;

struct sim_writer {
	struct sim *sim;
	struct loop *loop;
	struct loop_timer timer;
	struct store_txn txn;
	struct store_op op;
	struct store_cond cond;
	struct buf body;
	char name[8];
	bool busy;
};

struct sim_watcher {
	struct sim *sim;
	struct loop *loop;
	struct loop_timer timer;
	struct store_watch *w;
	uint64_t revs[NAMES]; /* what it believes of each name */
	uint64_t at;
};

struct sim {
	struct world *world;
	struct fixture f;
	struct buf log;
	struct sim_writer writer[WRITERS];
	struct sim_watcher watcher[WATCHERS];
	bool ending;
	size_t acked, refused, listed;
};

static void
say(struct sim *s, const char *who, unsigned n, const char *what, struct str name, uint64_t rev)
{
	buf_fmt(&s->log, "%lld %s%u %s " STR_FMT " %llu\n", (long long)clock_mono_ns(), who, n,
		what, STR_ARG(name), (unsigned long long)rev);
}

/* ---- writers: random puts and deletes, half of them under a condition ---- */

static void
sim_pause(struct sim_writer *w)
{
	w->busy = false;
	loop_timer_after(w->loop, &w->timer, (int64_t)rand_below(20 * NS_PER_MS));
}

static void
on_sim_write(struct store_txn *t)
{
	struct sim_writer *w = t->arg;
	struct sim *s = w->sim;
	unsigned n = (unsigned)(w - s->writer);
	say(s, "writer", n, t->result == 0 ? "wrote" : "refused", str_c(w->name), t->rev);
	*(t->result == 0 ? &s->acked : &s->refused) += 1;
	sim_pause(w);
}

static void
on_sim_write_time(struct loop_timer *timer)
{
	struct sim_writer *w = timer->arg;
	struct sim *s = w->sim;
	if (s->ending)
		return;
	snprintf(w->name, sizeof(w->name), "p%u", (unsigned)rand_below(NAMES));
	struct store_key k = key(s->f.pods, "ns", w->name);
	buf_clear(&w->body);
	w->op = put_op(k, ",x", &w->body);
	if (rand_below(4) == 0)
		w->op = (struct store_op){.kind = STORE_DELETE, .key = k};
	else if (rand_below(8) == 0)
		w->op.expires_ns = clock_wall_ns() + (int64_t)rand_below(10 * NS_PER_SEC);
	w->cond = (struct store_cond){.key = k, .kind = STORE_ABSENT};
	w->txn = (struct store_txn){.ops = &w->op,
		.n_ops = 1,
		.conds = &w->cond,
		.n_conds = rand_below(2),
		.reply_to = w->loop,
		.done = on_sim_write,
		.arg = w};
	w->busy = true;
	store_commit(s->f.s, &w->txn);
}

/* ---- watchers: keep a picture of all objects by list and watch, and are cut now and then ---- */

static bool
sim_item(void *arg, struct store_key k, const struct store_value *v)
{
	struct sim_watcher *w = arg;
	w->revs[(k.name.p[1] - '0') % NAMES] = v->rev;
	return true;
}

static void
sim_list(struct sim_watcher *w)
{
	struct arena *a = arena_new(0);
	struct store_range r = {.res = w->sim->f.pods, .max_items = 2};
	struct str more = STR_NONE;
	memset(w->revs, 0, sizeof(w->revs));
	do {
		BUG_ON(store_list(w->sim->f.s, &r, a, sim_item, w, &w->at, &more) != 0);
		r.start = more;
		r.rev = w->at;
	} while (str_is_set(more));
	arena_free(a);
	w->sim->listed++;
	say(w->sim, "watcher", (unsigned)(w - w->sim->watcher), "listed", STR("all"), w->at);
}

static void
on_sim_wake(void *arg)
{
	struct sim_watcher *w = arg;
	const struct store_event *ev;
	int error = 0;
	while ((ev = store_watch_take(w->w, &error)) != NULL) {
		uint64_t *known = &w->revs[(ev->key.name.p[1] - '0') % NAMES];
		/* The picture fits: nothing was missed between the list and this. */
		BUG_ON(ev->rev <= w->at || (*known == 0) != (ev->kind == STORE_ADDED));
		w->at = ev->rev;
		*known = ev->kind == STORE_DELETED ? 0 : ev->rev;
		say(w->sim, "watcher", (unsigned)(w - w->sim->watcher), "saw", ev->key.name,
			ev->rev);
		store_event_unref(ev);
	}
	BUG_ON(error != 0);
}

static void
sim_watch(struct sim_watcher *w)
{
	struct store_watch_spec spec = {.res = w->sim->f.pods,
		.from_rev = w->at,
		.loop = w->loop,
		.wake = on_sim_wake,
		.arg = w};
	BUG_ON(store_watch_open(w->sim->f.s, &spec, &w->w) != 0);
}

static void
on_sim_cut(struct loop_timer *t)
{
	struct sim_watcher *w = t->arg;
	store_watch_close(w->w);
	w->w = NULL;
	if (w->sim->ending)
		return;
	if (rand_below(2))
		sim_list(w);
	sim_watch(w);
	loop_timer_after(w->loop, t, (int64_t)rand_below(300 * NS_PER_MS));
}

/* ---- a run ---- */

static void
sim_begin(struct sim *s)
{
	s->ending = false;
	for (unsigned i = 0; i < WRITERS; i++)
		sim_pause(&s->writer[i]);
	for (unsigned i = 0; i < WATCHERS; i++) {
		struct sim_watcher *w = &s->watcher[i];
		if (w->at == 0)
			sim_list(w);
		sim_watch(w);
		loop_timer_after(w->loop, &w->timer, (int64_t)rand_below(300 * NS_PER_MS));
	}
}

/* sim_end: lets what is on its way arrive; every watcher then has the same picture. */
static void
sim_end(struct sim *s)
{
	s->ending = true;
	for (unsigned i = 0; i < WATCHERS; i++)
		loop_timer_cancel(&s->watcher[i].timer);
	world_run(s->world, clock_mono_ns() + NS_PER_SEC, NULL, NULL);
	for (unsigned i = 0; i < WATCHERS; i++) {
		struct sim_watcher *w = &s->watcher[i];
		BUG_ON(memcmp(w->revs, s->watcher[0].revs, sizeof(w->revs)) != 0);
		w->at = store_watch_cursor(w->w);
		BUG_ON(w->at != store_rev(s->f.s));
		store_watch_close(w->w);
	}
}

static struct buf
sim_run(uint64_t seed)
{
	static struct sim s;
	memset(&s, 0, sizeof(s));
	s.world = world_new(seed, START_NS);
	fx_open(&s.f,
		(struct store_config){.world = s.world,
			.no_sync = true,
			.hub_events = 16,
			.history_bytes = 1 << 20});
	for (unsigned i = 0; i < WRITERS; i++) {
		s.writer[i] = (struct sim_writer){.sim = &s, .loop = loop_new(s.world, "writer")};
		s.writer[i].timer = (struct loop_timer){
			.fn = on_sim_write_time, .arg = &s.writer[i]};
	}
	for (unsigned i = 0; i < WATCHERS; i++) {
		s.watcher[i] = (struct sim_watcher){
			.sim = &s, .loop = loop_new(s.world, "watcher")};
		s.watcher[i].timer = (struct loop_timer){.fn = on_sim_cut, .arg = &s.watcher[i]};
	}
	for (int part = 0; part < 3; part++) {
		sim_begin(&s);
		world_run(s.world, clock_mono_ns() + 20 * NS_PER_SEC, NULL, NULL);
		sim_end(&s);
		/* The store is opened anew; the watchers go on from where they were. */
		store_close(s.f.s);
		fx_reopen(&s.f);
		buf_fmt(&s.log, "reopened at %llu, %zu written, %zu refused\n",
			(unsigned long long)store_rev(s.f.s), s.acked, s.refused);
	}
	CHECK(s.acked > 3000 && s.refused > 300 && s.listed > 100);
	store_close(s.f.s);
	for (unsigned i = 0; i < WRITERS; i++) {
		loop_timer_cancel(&s.writer[i].timer);
		loop_free(s.writer[i].loop);
		buf_release(&s.writer[i].body);
	}
	for (unsigned i = 0; i < WATCHERS; i++)
		loop_free(s.watcher[i].loop);
	loop_free(s.f.loop);
	world_free(s.world);
	return s.log;
}

TEST(same_seed_same_log)
{
	struct buf one = sim_run(42), again = sim_run(42), other = sim_run(43);
	CHECK(one.len > 100000);
	CHECK(str_eq(buf_view(&one), buf_view(&again)));
	CHECK(!str_eq(buf_view(&one), buf_view(&other)));
	buf_release(&one);
	buf_release(&again);
	buf_release(&other);
}

TEST(right_under_many_seeds)
{
	for (uint64_t seed = 100; seed < 106; seed++) {
		struct buf log = sim_run(seed);
		CHECK(log.len > 100000);
		buf_release(&log);
	}
}
