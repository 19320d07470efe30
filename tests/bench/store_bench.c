/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store_bench: figures of the store on this machine's disk: puts by how many are in flight (that makes
 * the group), gets, lists, and publishing to many watchers of which one is meant. CPU is of the whole
 * process. Values have the size of a small ConfigMap or a pod. An argument names the folder. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage/store/store.h"
#include "tests/bench/figures.h"

#define OBJECTS 20000
#define FLIGHT_MAX 256

struct bench {
	struct store *s;
	struct loop *loop;
	uint32_t res;
	struct str body, attrs;
	size_t left, flying;
	struct {
		struct store_txn txn;
		struct store_op op;
		char name[16];
	} slot[FLIGHT_MAX];
};

static double
cpu_now(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double
wall_now(void)
{
	return (double)clock_mono_ns() / 1e3;
}

static void
die(const char *what)
{
	fprintf(stderr, "store_bench: %s\n", what);
	exit(1);
}

static void
put_next(struct bench *b, size_t i)
{
	static size_t seq;
	if (b->left == 0)
		return;
	b->left--;
	b->flying++;
	snprintf(b->slot[i].name, sizeof(b->slot[i].name), "o%06zu", seq++ * 7919 % OBJECTS);
	b->slot[i].op.key = (struct store_key){b->res, STR("default"), str_c(b->slot[i].name)};
	store_commit(b->s, &b->slot[i].txn);
}

static void
on_put(struct store_txn *t)
{
	struct bench *b = t->arg;
	if (t->result != 0)
		die("a put failed");
	b->flying--;
	for (size_t i = 0; i < FLIGHT_MAX; i++)
		if (t == &b->slot[i].txn)
			put_next(b, i);
}

static void
puts_of(struct bench *b, size_t n, size_t flight, const char *what, const char *target)
{
	struct store_stats before, after;
	store_stats(b->s, &before);
	double cpu = cpu_now(), wall = wall_now();
	b->left = n;
	for (size_t i = 0; i < flight; i++) {
		b->slot[i].op = (struct store_op){
			.kind = STORE_PUT, .body = b->body, .attrs = b->attrs, .rv_offset = 30};
		b->slot[i].txn = (struct store_txn){.ops = &b->slot[i].op,
			.n_ops = 1,
			.reply_to = b->loop,
			.done = on_put,
			.arg = b};
		put_next(b, i);
	}
	while (b->flying > 0)
		loop_turn(b->loop, -1);
	cpu = cpu_now() - cpu;
	wall = wall_now() - wall;
	store_stats(b->s, &after);
	figure(what, cpu / (double)n, "us CPU", "<=", "-", target, false);
	printf("%.0f a second, groups of %.1f\n", (double)n / wall * 1e6,
		(double)(after.commits - before.commits) / (double)(after.groups - before.groups));
}

static void
gets_of(struct bench *b, size_t n)
{
	struct arena *a = arena_new(0);
	double cpu = cpu_now();
	for (size_t i = 0; i < n; i++) {
		char name[16];
		struct store_value v;
		snprintf(name, sizeof(name), "o%06zu", i * 7919 % OBJECTS);
		arena_clear(a);
		if (store_get(b->s, (struct store_key){b->res, STR("default"), str_c(name)}, a,
			    &v) != 0)
			die("a get failed");
	}
	figure("get, body copied", (cpu_now() - cpu) / (double)n, "us CPU", "<=", "-", "-", false);
	arena_free(a);
}

static bool
copy_item(void *arg, struct store_key key, const struct store_value *v)
{
	struct buf *out = arg;
	(void)key;
	buf_str(out, v->body);
	return true;
}

static void
lists_of(struct bench *b, uint64_t rev, const char *what)
{
	struct buf out = BUF_INIT;
	double best = 1e18;
	for (int round = 0; round < 5; round++) {
		struct arena *a = arena_new(0);
		struct store_range r = {.res = b->res, .rev = rev};
		struct str more;
		uint64_t at = 0;
		buf_clear(&out);
		double cpu = cpu_now();
		int rc = store_list(b->s, &r, a, copy_item, &out, &at, &more);
		cpu = cpu_now() - cpu;
		if (rc < 0)
			die("a list failed");
		best = cpu < best ? cpu : best;
		arena_free(a);
	}
	figure(what, best / OBJECTS, "us CPU", "<=", "-", "5", false);
	buf_release(&out);
}

static void
count_wake(void *arg)
{
	struct store_watch *w = *(struct store_watch **)arg;
	const struct store_event *ev;
	int error = 0;
	while ((ev = store_watch_take(w, &error)) != NULL)
		store_event_unref(ev);
}

static void
watchers_of(struct bench *b, size_t n, size_t puts, bool all, const char *what)
{
	struct store_watch **w = calloc(n, sizeof(*w));
	if (!w)
		die("no memory");
	for (size_t i = 0; i < n; i++) {
		char node[16];
		snprintf(node, sizeof(node), "n%zu", i);
		struct store_watch_spec spec = {
			.res = b->res, .loop = b->loop, .wake = count_wake, .arg = &w[i]};
		if (!all) {
			spec.field = STR("spec.nodeName");
			spec.value = str_c(node);
		}
		if (store_watch_open(b->s, &spec, &w[i]) < 0)
			die("a watch failed");
	}
	puts_of(b, puts, 64, what, "-");
	while (loop_turn(b->loop, 0) > 0) {}
	for (size_t i = 0; i < n; i++)
		store_watch_close(w[i]);
	free(w);
}

int
main(int argc, char **argv)
{
	static struct bench b;
	char dir[] = "/tmp/store-bench.XXXXXX", path[300];
	static char text[3000];
	struct buf attrs = BUF_INIT;
	struct err e;
	if (argc < 2 && !mkdtemp(dir))
		die("no folder");
	const char *where = argc > 1 ? argv[1] : dir;
	struct store_config cfg = {.dir = where};
	memset(text, 'x', sizeof(text));
	store_attr_put(&attrs, 'l', STR("app"), STR("web"));
	store_attr_put(&attrs, 'f', STR("spec.nodeName"), STR("n7"));
	store_attr_put(&attrs, 'f', STR("status.phase"), STR("Running"));
	b.attrs = buf_view(&attrs);
	b.loop = loop_new(NULL, "bench");
	if (store_open(&cfg, &b.s, &e) < 0)
		die(e.msg);
	b.res = (uint32_t)store_resource(b.s, STR("/pods"));

	b.body = str_from(text, 3000);
	puts_of(&b, OBJECTS, 256, "an object of 3,000 B made, 256 in flight", "-");
	uint64_t rev = store_rev(b.s);
	gets_of(&b, 300000);
	lists_of(&b, 0, "list of 20,000, copied: an object");
	puts_of(&b, 1000, 1, "update 3,000 B, 1 in flight", "250");
	puts_of(&b, 5000, 10, "update 3,000 B, 10 in flight", "78");
	lists_of(&b, rev, "list as of 6,000 updates ago: an object");
	puts_of(&b, 20000, 256, "update 3,000 B, 256 in flight", "55");
	b.body = str_from(text, 400);
	puts_of(&b, OBJECTS, 256, "update to 400 B, 256 in flight", "-");
	puts_of(&b, 2000, 1, "update 400 B, 1 in flight", "-");
	puts_of(&b, 10000, 10, "update 400 B, 10 in flight", "-");
	puts_of(&b, 20000, 64, "update 400 B, 64 in flight", "-");
	watchers_of(&b, 5000, 20000, false, "the same, 5,000 watch other nodes");
	watchers_of(&b, 100, 5000, true, "the same, 100 watch all of it");

	double wall = wall_now();
	store_close(b.s);
	double closed = wall_now();
	if (store_open(&cfg, &b.s, &e) < 0)
		die(e.msg);
	figure("open with 20,000 objects", (wall_now() - closed) / 1e3, "ms", "<=", "-", "50",
		true);
	figure("close", (closed - wall) / 1e3, "ms", "<=", "-", "-", true);
	store_close(b.s);
	loop_free(b.loop);
	buf_release(&attrs);
	static const char *const files[] = {"data.mdb", "lock.mdb", "history", "format"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", where, files[i]);
		disk_unlink(path);
	}
	if (argc < 2)
		rmdir(dir);
	return 0;
}
