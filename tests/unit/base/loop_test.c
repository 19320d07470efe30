/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_test: the order of a turn, timers, messages across threads, tasks, blocking work, and that a
 * simulated world gives the same run for the same seed. */
#include "tests/unit/test.h"

#include "base/loop.c"
#include "base/loop_sim.c"
#include "base/loop_task.c"

#include "base/buf.h"

#include <sys/socket.h>

static char trace[256];
static char letters[] = "abcdefghijklmnopqrstuvwxyz";
#define LETTER(c) (&letters[(c) - 'a'])

static void
note(char c)
{
	size_t n = strlen(trace);
	if (n + 1 < sizeof(trace)) {
		trace[n] = c;
		trace[n + 1] = '\0';
	}
}

static void
note_fd(struct loop_fd *w, uint32_t revents)
{
	(void)revents;
	char c = 0;
	CHECK_INT(read(w->fd, &c, 1), 1);
	note(*(char *)w->arg);
}

static void
note_timer(struct loop_timer *t)
{
	note(*(char *)t->arg);
}

static void
note_work(struct loop_work *w)
{
	note(*(char *)w->arg);
}

static void
note_char(void *arg)
{
	note(*(char *)arg);
}

TEST(turn_has_a_fixed_order)
{
	trace[0] = '\0';
	struct loop *l = loop_new(NULL, "test");
	int io[2], child[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, io) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, child) == 0);
	struct loop_fd a = {.fd = io[0],
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = note_fd,
		.arg = LETTER('i')};
	struct loop_fd b = {.fd = child[0],
		.events = EPOLLIN,
		.prio = LOOP_PRIO_CHILD,
		.fn = note_fd,
		.arg = LETTER('c')};
	CHECK_INT(loop_fd_add(l, &a), 0);
	CHECK_INT(loop_fd_add(l, &b), 0);
	CHECK_INT(write(io[1], "x", 1), 1);
	CHECK_INT(write(child[1], "x", 1), 1);
	struct loop_timer t = {.fn = note_timer, .arg = LETTER('t')};
	loop_timer_set(l, &t, 1);
	struct loop_work w = {.fn = note_work, .arg = LETTER('w')};
	loop_defer(l, &w);
	loop_defer(l, &w);
	CHECK_INT(loop_post(l, note_char, LETTER('m')), 0);
	CHECK_INT(loop_before_wait(l, note_char, LETTER('h')), 0);
	loop_free_later(l, note_char, LETTER('d'));
	CHECK_INT(loop_turn(l, -1), 5);
	CHECK_STR(trace, "cimtwhd");
	CHECK_INT(loop_turn(l, 0), 0);
	loop_fd_del(&a);
	loop_fd_del(&a);
	loop_fd_del(&b);
	loop_free(l);
	for (int i = 0; i < 2; i++) {
		close(io[i]);
		close(child[i]);
	}
}

static struct loop_fd *victim;

static void
kill_victim(struct loop_fd *w, uint32_t revents)
{
	(void)revents;
	note('k');
	loop_fd_del(victim);
	loop_fd_mod(w, 0);
}

TEST(callback_may_delete_a_ready_watcher)
{
	trace[0] = '\0';
	struct loop *l = loop_new(NULL, "test");
	int s[2], r[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, r) == 0);
	struct loop_fd a = {
		.fd = s[0], .events = EPOLLIN, .prio = LOOP_PRIO_CHILD, .fn = kill_victim};
	struct loop_fd b = {.fd = r[0],
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = note_fd,
		.arg = LETTER('b')};
	victim = &b;
	CHECK_INT(loop_fd_add(l, &a), 0);
	CHECK_INT(loop_fd_add(l, &b), 0);
	CHECK_INT(write(s[1], "x", 1), 1);
	CHECK_INT(write(r[1], "x", 1), 1);
	CHECK_INT(loop_turn(l, -1), 1);
	CHECK_STR(trace, "k");
	CHECK_INT(loop_turn(l, 0), 0);
	loop_fd_del(&a);
	loop_free(l);
	for (int i = 0; i < 2; i++) {
		close(s[i]);
		close(r[i]);
	}
}

TEST(fd_that_epoll_refuses)
{
	struct loop *l = loop_new(NULL, "test");
	struct loop_fd a = {.fd = 9999, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = note_fd};
	CHECK_INT(loop_fd_add(l, &a), -EBADF);
	loop_fd_del(&a);
	loop_free(l);
}

TEST(timers_fire_in_order_of_deadline_then_arming)
{
	trace[0] = '\0';
	struct loop *l = loop_new(NULL, "test");
	struct loop_timer t[26] = {0};
	for (int i = 0; i < 26; i++) {
		t[i] = (struct loop_timer){.fn = note_timer, .arg = &letters[i]};
		loop_timer_set(
			l, &t[i], 100 - i / 2 * 2); /* pairs with one deadline, later pairs first */
	}
	for (int i = 0; i < 26; i += 6)
		loop_timer_cancel(&t[i]);
	loop_timer_cancel(&t[0]);
	CHECK(!loop_timer_is_set(&t[0]));
	CHECK(loop_timer_is_set(&t[1]));
	loop_timer_set(l, &t[1], 1);
	CHECK_INT(loop_turn(l, -1), 21);
	CHECK_STR(trace, "bzwxuvtqropnklijhefcd");
	loop_free(l);
}

static void
again(struct loop_timer *t)
{
	note('a');
	loop_timer_set(t->loop, t, 0);
}

static void
again_work(struct loop_work *w)
{
	note('w');
	loop_defer(w->loop, w);
}

TEST(what_arms_itself_waits_for_the_next_turn)
{
	trace[0] = '\0';
	struct loop *l = loop_new(NULL, "test");
	struct loop_timer t = {.fn = again};
	struct loop_work w = {.fn = again_work}, x = {.fn = note_work, .arg = LETTER('x')};
	loop_timer_set(l, &t, 0);
	loop_defer(l, &w);
	loop_defer(l, &x);
	loop_defer_cancel(&x);
	loop_turn(l, -1);
	loop_turn(l, -1);
	CHECK_STR(trace, "awaw");
	loop_timer_cancel(&t);
	loop_defer(l, &x);
	loop_defer_cancel(&w);
	loop_defer_cancel(&x);
	CHECK_INT(loop_turn(l, 0), 0);
	loop_free(l);
}

TEST(timer_sleeps_about_as_long_as_it_should)
{
	trace[0] = '\0';
	struct loop *l = loop_new(NULL, "test");
	struct loop_timer t = {.fn = note_timer, .arg = LETTER('t')};
	int64_t from = clock_mono_ns();
	loop_timer_after(l, &t, 3 * NS_PER_MS);
	while (trace[0] == '\0')
		loop_turn(l, -1);
	int64_t took = clock_mono_ns() - from;
	CHECK(took >= 3 * NS_PER_MS && took < 2 * NS_PER_SEC);
	loop_free(l);
}

/* ---- threads ---- */

struct pair {
	struct loop *here, *there;
	int sum, want;
	bool began, ended;
};

static void
pong(void *arg)
{
	struct pair *p = arg;
	LOOP_ASSERT(p->here);
	if (++p->sum == p->want)
		loop_stop(p->here, 7);
}

static void
ping(void *arg)
{
	struct pair *p = arg;
	LOOP_ASSERT(p->there);
	loop_post(p->here, pong, p);
}

static void
task_main(struct loop *l, void *arg)
{
	LOOP_ASSERT(l);
	((struct pair *)arg)->began = true;
}

static void
task_exit(struct loop *l, void *arg)
{
	LOOP_ASSERT(l);
	((struct pair *)arg)->ended = true;
}

TEST(messages_to_a_task_and_back)
{
	struct pair p = {.here = loop_new(NULL, "here"), .want = 10000};
	CHECK_INT(loop_task_start(NULL, "there", 0, task_main, task_exit, &p, &p.there), 0);
	CHECK_STR(loop_name(p.there), "there");
	for (int i = 0; i < p.want; i++)
		CHECK_INT(loop_post(p.there, ping, &p), 0);
	CHECK_INT(loop_run(p.here), 7);
	CHECK_INT(p.sum, p.want);
	loop_task_join(p.there);
	CHECK(p.began && p.ended);
	loop_free(p.here);
}

static atomic_int worked;

static void
work_slowly(void *arg)
{
	(void)arg;
	atomic_fetch_add(&worked, 1);
}

TEST(blocking_work_comes_back)
{
	struct pair p = {.here = loop_new(NULL, "here"), .want = 100};
	for (int i = 0; i < p.want; i++)
		CHECK_INT(loop_blocking(p.here, work_slowly, pong, &p), 0);
	CHECK_INT(loop_run(p.here), 7);
	CHECK_INT(worked, 100);
	CHECK_INT(loop_blocking(p.here, work_slowly, pong, &p), 0);
	loop_free(p.here); /* waits for it */
	CHECK_INT(worked, 101);
}

/* ---- the simulated world ---- */

static void
sim_tick(struct loop_timer *t)
{
	struct pair *p = t->arg;
	if (p->sum++ < 5)
		loop_timer_after(t->loop, t, NS_PER_SEC);
}

TEST(world_runs_on_virtual_time)
{
	struct world *w = world_new(1, 1700000000 * NS_PER_SEC);
	CHECK_INT(clock_wall_ns(), 1700000000 * NS_PER_SEC);
	struct loop *l = loop_new(w, "sim");
	struct pair p = {0};
	struct loop_timer t = {.fn = sim_tick, .arg = &p};
	int64_t from = clock_mono_ns();
	loop_timer_after(l, &t, 3600 * NS_PER_SEC);
	CHECK_INT(world_run(w, from + 60 * NS_PER_SEC, NULL, NULL), -ETIME);
	CHECK_INT(clock_mono_ns() - from, 60 * NS_PER_SEC);
	CHECK_INT(p.sum, 0);
	CHECK_INT(world_run(w, INT64_MAX, NULL, NULL), 0);
	CHECK_INT(p.sum, 6);
	CHECK_INT(clock_wall_ns(), (1700000000 + 3605) * NS_PER_SEC);
	struct loop_fd f = {.fd = 0};
	CHECK_INT(loop_fd_add(l, &f), -ENOSYS);
	loop_free(l);
	world_free(w);
	CHECK(clock_wall_ns() > (1700000000 + 3605) * NS_PER_SEC);
}

struct player {
	struct loop *loop, *next;
	struct player *peer;
	struct loop_timer timer;
	struct buf *log;
	int id, moves;
};

static void
sim_move(void *arg)
{
	struct player *p = arg;
	LOOP_ASSERT(p->loop);
	buf_fmt(p->log, "%lld %d %d\n", (long long)clock_mono_ns(), p->id, p->moves);
	if (p->moves++ < 20) {
		loop_timer_after(p->loop, &p->timer, (int64_t)rand_below(1000));
		loop_post(p->peer->loop, sim_move, p->peer);
	}
}

static void
sim_timer(struct loop_timer *t)
{
	sim_move(t->arg);
}

static void
sim_play(uint64_t seed, struct buf *log)
{
	struct world *w = world_new(seed, 0);
	struct player p[5] = {0};
	for (int i = 0; i < 5; i++) {
		p[i] = (struct player){.loop = loop_new(w, "player"),
			.peer = &p[(i + 1) % 5],
			.log = log,
			.id = i,
			.timer = {.fn = sim_timer, .arg = &p[i]}};
		CHECK_INT(loop_post(p[i].loop, sim_move, &p[i]), 0);
	}
	CHECK_INT(world_run(w, INT64_MAX, NULL, NULL), 0);
	for (int i = 0; i < 5; i++)
		loop_free(p[i].loop);
	world_free(w);
}

TEST(world_replays_byte_for_byte)
{
	struct buf x = BUF_INIT, y = BUF_INIT, z = BUF_INIT;
	sim_play(42, &x);
	sim_play(42, &y);
	sim_play(43, &z);
	CHECK(x.len > 500);
	CHECK_STR(buf_view(&x), buf_view(&y));
	CHECK(!str_eq(buf_view(&x), buf_view(&z)));
	buf_release(&x);
	buf_release(&y);
	buf_release(&z);
}

static bool
began(void *arg)
{
	return ((struct pair *)arg)->began;
}

static void
spin(struct loop_work *w)
{
	loop_defer(w->loop, w);
}

TEST(world_tasks_blocking_and_spinning)
{
	struct world *w = world_new(7, 0);
	struct pair p = {.here = loop_new(w, "here"), .want = 1};
	CHECK_INT(loop_task_start(w, "task", 0, task_main, task_exit, &p, &p.there), 0);
	CHECK(!p.began);
	CHECK_INT(world_run(w, INT64_MAX, began, &p), 0);
	CHECK(p.began && !p.ended);
	worked = 0;
	CHECK_INT(loop_blocking(p.here, work_slowly, pong, &p), 0);
	CHECK_INT(worked, 1);
	CHECK_INT(p.sum, 0);
	CHECK_INT(world_run(w, INT64_MAX, NULL, NULL), 0);
	CHECK_INT(p.sum, 1);
	loop_task_join(p.there);
	CHECK(p.ended);
	loop_free(p.here);
	struct loop *l = loop_new(w, "spin");
	struct loop_work work = {.fn = spin};
	loop_defer(l, &work);
	CHECK_INT(world_run(w, clock_mono_ns() + 100 * NS_PER_US, NULL, NULL), -ETIME);
	loop_defer_cancel(&work);
	loop_free(l);
	world_free(w);
}
