/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Faults: a writer process killed at any moment, every Nth write or sync failing, power cuts in which
 * any unsynced sector may be lost, a damaged ring file. What was acknowledged is there; what was not is
 * whole or absent; a watch from before sees everything once, or is told that it cannot (410). */
#include "base/disk_sim.c"
#include "base/rand.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/storage/store/store_util.h"

#define NAMES 7

/* What a writer has been told: shared with its parent. Write i puts name i % NAMES with text i. */
struct ledger {
	_Atomic uint64_t submitted, acked; /* numbers of writes */
	_Atomic uint64_t rev[200000];      /* of write i, when acknowledged */
};

struct writer_state {
	struct fixture *f;
	struct ledger *ledger;
	struct store_txn txn[16];
	struct store_op op[16];
	char name[16][8];
	struct buf body[16];
	bool failed, refused;
	size_t flying;
};

static void submit_next(struct writer_state *w, size_t slot);

static void
on_written(struct store_txn *t)
{
	struct writer_state *w = t->arg;
	size_t slot = (size_t)(t - w->txn);
	w->flying--;
	if (t->result != 0) {
		w->refused = true;
		return;
	}
	uint64_t i = 0;
	str_to_u64(str_sub(buf_view(&w->body[slot]), 2, w->body[slot].len - 1), &i);
	atomic_store(&w->ledger->rev[i], t->rev);
	atomic_fetch_add(&w->ledger->acked, 1);
	if (!w->failed)
		submit_next(w, slot);
}

static void
submit_next(struct writer_state *w, size_t slot)
{
	uint64_t i = atomic_fetch_add(&w->ledger->submitted, 1);
	char text[24];
	if (i >= ARRAY_LEN(w->ledger->rev)) {
		w->failed = true;
		return;
	}
	snprintf(w->name[slot], sizeof(w->name[slot]), "p%u", (unsigned)(i % NAMES));
	snprintf(text, sizeof(text), ",%llu", (unsigned long long)i);
	buf_clear(&w->body[slot]);
	w->op[slot] = put_op(key(w->f->pods, "ns", w->name[slot]), text, &w->body[slot]);
	w->txn[slot] = (struct store_txn){.ops = &w->op[slot],
		.n_ops = 1,
		.reply_to = w->f->loop,
		.done = on_written,
		.arg = w};
	w->flying++;
	store_commit(w->f->s, &w->txn[slot]);
}

/* text_of: the number in a body "{<rev>,<number>}". */
static uint64_t
text_of(struct str body)
{
	struct str head, tail;
	uint64_t i = UINT64_MAX;
	if (str_cut(body, ',', &head, &tail))
		str_to_u64(str_sub(tail, 0, tail.n - 1), &i);
	return i;
}

static struct ledger *
ledger_new(void)
{
	struct ledger *l = mmap(
		NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(l != MAP_FAILED);
	return l;
}

/* verify: events of (from, now] name every acknowledged write of that range once, in order of their
 * revisions, without a gap; and each object is the newest. ret_seen: writes found, acknowledged or not. */
static void
verify(struct fixture *f, const struct ledger *l, uint64_t from)
{
	static uint64_t rev_of[ARRAY_LEN(l->rev)];
	struct store_watch_spec spec = {.res = f->pods, .from_rev = from, .loop = f->loop};
	struct collector none = {0};
	uint64_t newest[NAMES] = {0}, last = from;
	int error = 0;
	const struct store_event *ev;
	memset(rev_of, 0, sizeof(rev_of));
	spec.wake = collect_wake;
	spec.arg = &none;
	CHECK_INT(store_watch_open(f->s, &spec, &none.w), 0);
	while ((ev = store_watch_take(none.w, &error)) != NULL) {
		uint64_t i = text_of(ev->value.body), rev = ev->rev;
		bool right = i < ARRAY_LEN(rev_of) && rev_of[i] == 0 && rev == last + 1;
		store_event_unref(ev);
		CHECK(right);
		rev_of[i] = last = rev;
		newest[i % NAMES] = rev;
	}
	CHECK_INT(error, 0);
	CHECK_INT(last, store_rev(f->s));
	for (uint64_t i = 0; i < ARRAY_LEN(rev_of); i++) {
		uint64_t acked = atomic_load(&l->rev[i]);
		CHECK(acked <= from || rev_of[i] == acked);
	}
	for (unsigned i = 0; i < NAMES; i++) {
		struct arena *a = arena_new(0);
		char name[8];
		struct store_value v = {0};
		snprintf(name, sizeof(name), "p%u", i);
		int rc = store_get(f->s, key(f->pods, "ns", name), a, &v);
		bool right = newest[i] == 0 ? rc == -ENOENT || v.rev <= from
					    : rc == 0 && v.rev == newest[i];
		arena_free(a);
		CHECK(right);
	}
	collect_close(&none);
}

/* verify_objects: each is the newest acknowledged one, or a later one that was not acknowledged. */
static void
verify_objects(struct fixture *f, const struct ledger *l)
{
	uint64_t newest[NAMES] = {0};
	for (uint64_t i = 0; i < atomic_load(&l->submitted); i++) {
		uint64_t rev = atomic_load(&l->rev[i]);
		CHECK(rev <= store_rev(f->s));
		if (rev > newest[i % NAMES])
			newest[i % NAMES] = rev;
	}
	for (unsigned i = 0; i < NAMES; i++) {
		struct arena *a = arena_new(0);
		char name[8];
		struct store_value v = {0};
		snprintf(name, sizeof(name), "p%u", i);
		int rc = store_get(f->s, key(f->pods, "ns", name), a, &v);
		uint64_t text = rc == 0 ? text_of(v.body) : 0;
		arena_free(a);
		CHECK(newest[i] == 0 || rc == 0);
		if (rc < 0)
			continue;
		CHECK(v.rev >= newest[i] && v.rev <= store_rev(f->s));
		CHECK(text % NAMES == i && text < atomic_load(&l->submitted));
		CHECK(atomic_load(&l->rev[text]) == 0 || atomic_load(&l->rev[text]) == v.rev);
	}
}

/* ---- kill -9 ---- */

static void
child_main(struct fixture *f, struct ledger *l, int slots)
{
	static struct writer_state w;
	struct err e;
	w.f = f;
	w.ledger = l;
	f->loop = loop_new(NULL, "child");
	if (!f->loop || store_open(&f->cfg, &f->s, &e) < 0)
		_exit(3);
	f->pods = (uint32_t)store_resource(f->s, STR("/pods"));
	for (int i = 0; i < slots; i++)
		submit_next(&w, (size_t)i);
	loop_run(f->loop);
	_exit(4);
}

/* await_acks: until the writer has been told of `goal` writes. Each is a sync, which on a disk that others keep
 * busy takes a quarter of a second: to be slow is no failure, to get nowhere for WAIT_NS is. */
static bool
await_acks(const struct ledger *l, uint64_t goal)
{
	uint64_t seen = 0;
	int64_t end = clock_mono_ns() + WAIT_NS;
	for (;;) {
		uint64_t acked = atomic_load(&l->acked);
		int64_t now = clock_mono_ns();
		if (acked >= goal)
			return true;
		if (acked != seen)
			end = now + WAIT_NS;
		if (now > end)
			return false;
		seen = acked;
		sched_yield();
	}
}

TEST(killed_writer_loses_nothing_and_history_goes_on)
{
	struct fixture f;
	struct ledger *l = ledger_new();
	uint64_t from[3] = {1, 1, 1};
	rand_set_seed((uint64_t)(11));
	fx_open(&f, (struct store_config){.history_bytes = 64 << 20});
	for (int round = 0; round < 25; round++) {
		/* The first page of a list that goes on behind the kill. */
		struct listing pages = {.stop_at = 2};
		struct arena *arena = arena_new(0);
		struct store_range range = {.res = f.pods};
		struct buf whole = fx_list(&f, f.pods, "", 0, 0);
		CHECK_INT(store_list(f.s, &range, arena, list_add_item, &pages, &range.rev,
				  &range.start),
			0);
		store_close(f.s);
		uint64_t goal = atomic_load(&l->acked) + (uint64_t)(int)rand_below(1u << 30) % 300 +
			1;
		fflush(stdout);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child_main(&f, l, round % 2 ? 16 : 1);
		bool enough = await_acks(l, goal);
		CHECK_INT(kill(pid, SIGKILL), 0);
		int status = 0;
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		CHECK(enough);
		fx_reopen(&f);
		CHECK_INT(store_oldest(f.s), 1);
		verify(&f, l, 1);
		verify(&f, l, from[round % 3]);
		from[round % 3] = store_rev(f.s);
		pages.stop_at = 0;
		range.max_items = 2;
		while (str_is_set(range.start)) {
			uint64_t rev = 0;
			CHECK_INT(store_list(f.s, &range, arena, list_add_item, &pages, &rev,
					  &range.start),
				0);
		}
		CHECK(str_eq(buf_view(&pages.text), buf_view(&whole)));
		buf_release(&pages.text);
		buf_release(&whole);
		arena_free(arena);
	}
	fx_close(&f);
	munmap(l, sizeof(*l));
}

/* The ring turns over many times between and during the kills: what the window still has is exact. */
TEST(killed_writer_with_a_small_ring)
{
	struct fixture f;
	struct ledger *l = ledger_new();
	rand_set_seed((uint64_t)(12));
	fx_open(&f, (struct store_config){.history_bytes = 8 * 4096});
	for (int round = 0; round < 25; round++) {
		store_close(f.s);
		uint64_t goal = atomic_load(&l->acked) + (uint64_t)(int)rand_below(1u << 30) % 300 +
			1;
		fflush(stdout);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			child_main(&f, l, round % 2 ? 16 : 3);
		bool enough = await_acks(l, goal);
		CHECK_INT(kill(pid, SIGKILL), 0);
		CHECK_INT(waitpid(pid, NULL, 0), pid);
		CHECK(enough);
		fx_reopen(&f);
		uint64_t oldest = store_oldest(f.s);
		CHECK(oldest < store_rev(f.s));
		CHECK(round < 12 || oldest > 1);
		verify(&f, l, oldest);
	}
	fx_close(&f);
	munmap(l, sizeof(*l));
}

/* ---- the Nth call fails ---- */

struct failing {
	_Atomic long at; /* fails when it gets to 0 */
	int error;
	enum disk_op op;
	bool for_good;
	_Atomic long failed;
};

static int
fail_hook(void *arg, enum disk_op op, int fd, off_t at, size_t n)
{
	struct failing *x = arg;
	(void)fd, (void)at, (void)n;
	if (op != x->op)
		return 0;
	long left = atomic_fetch_sub(&x->at, 1);
	if (left == 0 || (left < 0 && x->for_good)) {
		atomic_fetch_add(&x->failed, 1);
		return x->error;
	}
	return 0;
}

static size_t failed_stores;

/* one_failure: writes go on, 8 in flight, while the Nth call fails; then the store is opened again, and
 * what was acknowledged is there. Gives whether something failed at all. */
static bool
one_failure(enum disk_op op, long nth, int error, bool for_good)
{
	struct fixture f;
	struct ledger *l = ledger_new();
	struct failing x = {.at = nth, .error = error, .op = op, .for_good = for_good};
	static struct writer_state w;
	memset(&w, 0, sizeof(w));
	fx_open(&f, (struct store_config){.history_bytes = 8 * 4096});
	fx_put(&f, key(f.maps, "ns", "x"), ""); /* resources have their rows */
	uint64_t from = store_rev(f.s);
	w.f = &f;
	w.ledger = l;
	disk_set_hooks(fail_hook, &x);
	for (size_t i = 0; i < 8; i++)
		submit_next(&w, i);
	int64_t end = clock_mono_ns() + WAIT_NS;
	while (!w.refused && atomic_load(&l->acked) < 60 && clock_mono_ns() < end)
		loop_turn(f.loop, NS_PER_SEC);
	w.failed = true;
	while (w.flying > 0 && clock_mono_ns() < end)
		loop_turn(f.loop, NS_PER_SEC);
	CHECK_INT(w.flying, 0);
	CHECK(w.refused || atomic_load(&l->acked) >= 60);
	disk_set_hooks(NULL, NULL);
	/* A failed write of LMDB's root: nothing more is read, until it is opened again. */
	struct store_txn none = {0};
	failed_stores += store_failed(f.s);
	if (store_failed(f.s))
		CHECK_INT(fx_commit(&f, &none), -EIO);
	else
		verify(&f, l, store_oldest(f.s) > from ? store_oldest(f.s) : from);
	store_close(f.s);
	fx_reopen(&f);
	/* History may have begun anew, with the write that failed; objects are all there. */
	uint64_t oldest = store_oldest(f.s);
	verify(&f, l, oldest > from ? oldest : from);
	verify_objects(&f, l);
	fx_put(&f, key(f.pods, "ns", "after"), "");
	fx_close(&f);
	for (size_t i = 0; i < 16; i++)
		buf_release(&w.body[i]);
	munmap(l, sizeof(*l));
	return atomic_load(&x.failed) > 0;
}

TEST(nth_sync_fails)
{
	for (long n = 0; n < 6; n++) {
		CHECK(one_failure(DISK_SYNC, n, -EIO, false));
		CHECK(one_failure(DISK_SYNC, n, -EIO, true));
	}
}

TEST(nth_write_fails)
{
	for (long n = 0; n < 14; n++) {
		CHECK(one_failure(DISK_WRITE, n, -EIO, false));
		CHECK(one_failure(DISK_WRITE, n, -ENOSPC, false));
		CHECK(one_failure(DISK_WRITE, n, n % 2 ? -EIO : -ENOSPC, true));
	}
	CHECK(failed_stores > 0);
}

static int
ring_fails(void *arg, enum disk_op op, int fd, off_t at, size_t n)
{
	char link[64], path[256] = {0};
	(void)at, (void)n;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t got = readlink(link, path, sizeof(path) - 1);
	bool ring = got > 8 && strcmp(path + got - 8, "/history") == 0;
	*(size_t *)arg += ring && op == DISK_WRITE;
	return ring ? -ENOSPC : 0;
}

/* The cache cannot be written: writes go on, old revisions are gone, live watchers see all. */
TEST(unwritable_ring_costs_only_history)
{
	struct fixture f;
	struct collector c;
	size_t hits = 0;
	fx_open(&f, (struct store_config){0});
	uint64_t first = fx_put(&f, key(f.pods, "ns", "a"), "");
	CHECK_INT(collect_open(&f, &c, (struct store_watch_spec){.res = f.pods}), 0);
	disk_set_hooks(ring_fails, &hits);
	for (int i = 0; i < 10; i++)
		fx_put(&f, key(f.pods, "ns", "a"), "");
	disk_set_hooks(NULL, NULL);
	CHECK_INT(hits, 10);
	collect_wait(&f, &c, 10);
	CHECK_INT(c.n, 10);
	CHECK_INT(c.error, 0);
	struct listing l = {0};
	CHECK_INT(fx_list_pages(&f, f.pods, "", &first, 0, &l), -ESTALE);
	CHECK_INT(store_oldest(f.s), store_rev(f.s));
	uint64_t again = store_rev(f.s);
	fx_put(&f, key(f.pods, "ns", "a"), "");
	struct buf then = fx_list(&f, f.pods, "", again, 0);
	CHECK_STR(trimmed(&then), "ns/a={12}");
	buf_release(&then);
	collect_close(&c);
	fx_close(&f);
}

/* ---- power cuts ---- */

static struct {
	_Atomic long at;
	pthread_mutex_t lock;
} cut = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* cut_hook: at the Nth write or sync the power goes: what was not synced is lost or not, sector by
 * sector, and the process is no more. */
static int
cut_hook(void *arg, enum disk_op op, int fd, off_t at, size_t n)
{
	if (atomic_fetch_sub(&cut.at, 1) <= 0) {
		pthread_mutex_lock(&cut.lock);
		_exit(disk_sim_power_cut() < 0 ? 5 : 0);
	}
	return before(arg, op, fd, at, n);
}

static void
cut_child(struct fixture *f, struct ledger *l, int slots, uint64_t seed, long at)
{
	rand_set_seed(seed);
	atomic_store(&cut.at, at);
	disk_set_hooks(cut_hook, NULL);
	child_main(f, l, slots);
}

TEST(power_cut_loses_nothing_acknowledged)
{
	struct fixture f;
	struct ledger *l = ledger_new();
	char boot[32];
	uint64_t last = 0;
	fx_open(&f, (struct store_config){.history_bytes = 8 * 4096});
	rand_set_seed((uint64_t)(21));
	for (int round = 0; round < 80; round++) {
		store_close(f.s);
		snprintf(boot, sizeof(boot), "boot %d", round);
		f.cfg.boot_id = boot;
		long at = (int)rand_below(1u << 30) % (round % 2 ? 30 : 200);
		fflush(stdout);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			cut_child(&f, l, round % 3 ? 8 : 1, (uint64_t)round + 1, at);
		int status = 0;
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status));
		CHECK_INT(WEXITSTATUS(status), 0);
		snprintf(boot, sizeof(boot), "after %d", round);
		fx_reopen(&f);
		CHECK(store_rev(f.s) >= last);
		verify_objects(&f, l);
		last = store_rev(f.s);
		CHECK_INT(fx_put(&f, key(f.maps, "ns", "x"), ""), last + 1);
		verify(&f, l, store_rev(f.s));
		last++;
	}
	CHECK(atomic_load(&l->acked) > 1000);
	fx_close(&f);
	munmap(l, sizeof(*l));
}

/* ---- a damaged ring ---- */

TEST(damaged_ring_is_never_believed)
{
	enum { N = 200, SEG = 8192 }; /* the first segment is number 1 */
	struct fixture f;
	static struct buf at[N];
	char path[160];
	size_t right = 0, gone = 0;
	fx_open(&f,
		(struct store_config){
			.no_sync = true, .boot_id = "same", .history_bytes = 8 * SEG});
	uint64_t first = store_rev(f.s);
	for (int i = 0; i < N; i++) {
		char name[8];
		snprintf(name, sizeof(name), "p%d", i % 5);
		fx_put(&f, key(f.pods, "ns", name), i % 2 ? ",odd" : "");
		at[i] = fx_list(&f, f.pods, "", 0, 0);
	}
	uint64_t last = store_rev(f.s);
	store_close(f.s);
	snprintf(path, sizeof(path), "%s/history", f.dir);
	struct buf good = BUF_INIT;
	CHECK_INT(disk_read_file(path, 1 << 28, &good), 0);
	rand_set_seed((uint64_t)(22));
	for (int round = 0; round < 150; round++) {
		_cleanup_fd_ int fd = open(path, O_RDWR);
		size_t where = SEG + (size_t)(int)rand_below(1u << 30) % (good.len - SEG);
		char bad = (char)(good.data[where] ^ (1 << (int)rand_below(1u << 30) % 8));
		CHECK(fd >= 0 && pwrite(fd, good.data, good.len, 0) == (ssize_t)good.len);
		CHECK(pwrite(fd, &bad, 1, (off_t)where) == 1);
		if (round == 0)
			CHECK_INT(ftruncate(fd, (off_t)good.len / 2), 0);
		fx_reopen(&f);
		CHECK_INT(store_rev(f.s), last);
		for (int i = N - 1; i >= 0; i -= 7) {
			struct listing l = {0};
			uint64_t rev = first + 1 + (uint64_t)i;
			int rc = fx_list_pages(&f, f.pods, "", &rev, 3, &l);
			bool same = rc == 0 && str_eq(buf_view(&l.text), buf_view(&at[i]));
			buf_release(&l.text);
			CHECK(same || rc == -ESTALE);
			*(same ? &right : &gone) += 1;
		}
		struct collector c;
		uint64_t from = store_oldest(f.s);
		CHECK_INT(collect_open(&f, &c,
				  (struct store_watch_spec){.res = f.pods, .from_rev = from}),
			0);
		collect_take(&c);
		CHECK(!c.disorder);
		CHECK(c.error == -ESTALE || c.n == last - from);
		collect_close(&c);
		fx_put(&f, key(f.pods, "ns", "p9"), ""); /* and it works */
		last = store_rev(f.s);
		for (int i = 0; i < 2; i++) {
			struct listing l = {0};
			uint64_t rev = last - 1;
			CHECK_INT(fx_list_pages(&f, f.pods, "", &rev, 0, &l), 0);
			buf_release(&l.text);
		}
		store_close(f.s);
		/* The next round's file: good, and what was put since. */
		struct buf now = BUF_INIT;
		CHECK_INT(disk_read_file(path, 1 << 28, &now), 0);
		if (now.len > good.len)
			buf_add(&good, now.data + good.len, now.len - good.len);
		buf_release(&now);
	}
	CHECK(right > 20 && gone > 20);
	buf_release(&good);
	for (int i = 0; i < N; i++)
		buf_release(&at[i]);
	fx_reopen(&f);
	fx_close(&f);
}
