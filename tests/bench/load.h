/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * load: the parts of api_load: slots (connections) that ask one thing after the other, watches, pods.
 *
 * Place in the flow: api_load.c reads options and runs operations; load_loop.c holds the closed loop, load_watch.c
 * what watches. All runs on one loop, in one thread; what cannot go on ends the program with a word (die). */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "base/buf.h"
#include "netstack/http/http.h"
#include "tests/bench/figures.h"

#define LOAD_REPLY_MAX ((size_t)256 << 20)

/* One connection of the closed loop, or one watch. */
struct slot {
	struct load *l;
	struct http_client *http;
	struct http_fetch *fetch;
	struct http_call *call;
	int64_t began_ns;
	struct buf in; /* pods: an event that is not whole yet */
	unsigned step; /* requests of this operation that were answered */
	bool busy;
};

struct load {
	/* options */
	const char *kubeconfig, *server, *ca, *cert, *key, *resource, *image, *node, *ns;
	unsigned insecure, conns, seconds, objects, watchers;
	unsigned pids[8];
	size_t n_pids;
	char **program;

	struct loop *loop;
	struct arena *a;
	struct tls_ctx *tls;
	struct slot *slots;
	const struct op *op;
	int64_t until_ns;
	size_t left; /* operations that are counted, not timed */
	size_t flying, done, errors, conflicts, bytes, seq;
	struct samples took;
	/* watches */
	size_t opened, events, cut;
	/* pods: when each was asked for; 0 = running already */
	int64_t *asked_ns;
};

struct op {
	const char *name;
	void (*run)(struct load *l);
	const char *method, *type;
	bool named, body, fresh, counted;
	const char *query;
	/* more: of operations of several requests: looks at an answer (2xx) and asks the next one by load_ask, or
	 * returns false when the operation is done. */
	bool (*more)(struct slot *s, struct str body);
};

/* load_die: says what failed and why, and ends the program. */
_Noreturn void load_die(const char *what, const char *why);

/* load_cpu_ns, load_pss_kib: of all processes of the server. */
int64_t load_cpu_ns(const struct load *l);
uint64_t load_pss_kib(const struct load *l);

/* load_pod: appends a Pod as JSON. With an image it shall run; without, it is as large as a real one and nobody
 * schedules it. */
void load_pod(struct load *l, struct buf *b, const char *name, size_t seq);

/* load_slots_open: n slots with a connection each; load_slots_close ends them. */
void load_slots_open(struct load *l, size_t n);
void load_slots_close(struct load *l, size_t n);
/* load_drive: slots from..from+n have a request of l->op under way until time or count is over. */
void load_drive(struct load *l, size_t from, size_t n);
/* load_ask: one request of s; path begins with '/'. type NULL: no body. */
void load_ask(
	struct slot *s, const char *method, const char *type, struct str path, struct str body);

/* run_closed: l->op by --conns slots, and its line; run_idle: idle connections and what they hold. */
void run_closed(struct load *l);
void run_idle(struct load *l);
/* run_watch: --watchers watch all while --conns slots update; run_pods: create to Running as a watch sees it. */
void run_watch(struct load *l);
void run_pods(struct load *l);
/* load_contend, load_page: see ops[]: a read and a write on its version; the pages of a list. */
bool load_contend(struct slot *s, struct str body);
bool load_page(struct slot *s, struct str body);

#endif
