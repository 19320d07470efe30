/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_sim.c: the simulated world: all loops in turn on one thread, on virtual time, in an order drawn
 * from the seed. Invariants: nothing here depends on addresses, real time or the kernel, so the same
 * seed gives the same run; virtual time moves only when no loop has anything to do (and, so that a
 * spinning program still ends, by a microsecond a turn after STILL_MAX turns at one instant).
 * Must not: be used by two threads. Source: architecture, "The simulated world". */
#include "base/loop_int.h"
#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>

#define STILL_MAX 100000

static int64_t
world_mono_ns(void *arg)
{
	return ((struct world *)arg)->now_ns;
}

static int64_t
world_wall_ns(void *arg)
{
	struct world *w = arg;
	return w->now_ns + w->wall_offset_ns;
}

struct world *
world_new(uint64_t seed, int64_t wall_ns)
{
	struct world *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->now_ns = NS_PER_SEC; /* not 0, which many take for "never" */
	w->wall_offset_ns = wall_ns - w->now_ns;
	w->clock = (struct clock_source){world_mono_ns, world_wall_ns, w};
	rand_set_seed(seed);
	clock_set_source(&w->clock);
	return w;
}

void
world_free(struct world *w)
{
	if (!w)
		return;
	BUG_ON(w->n_loops != 0);
	clock_set_source(NULL);
	free(w->loops);
	free(w);
}

bool
world_is_simulated(const struct world *w)
{
	return w != NULL;
}

int
world_add(struct world *w, struct loop *l)
{
	if (w->n_loops == w->cap_loops) {
		size_t cap = w->cap_loops ? w->cap_loops * 2 : 16;
		struct loop **loops = realloc(w->loops, cap * sizeof(struct loop *));
		if (!loops)
			return -ENOMEM;
		w->loops = loops;
		w->cap_loops = cap;
	}
	w->loops[w->n_loops++] = l;
	return 0;
}

void
world_del(struct world *w, struct loop *l)
{
	for (size_t i = 0; i < w->n_loops; i++) {
		if (w->loops[i] != l)
			continue;
		memmove(&w->loops[i], &w->loops[i + 1],
			(w->n_loops - i - 1) * sizeof(struct loop *));
		w->n_loops--;
		return;
	}
}

/* world_pick: one of the loops that have something to do now, or NULL and when the next one will. */
static struct loop *
world_pick(struct world *w, int64_t *ret_next_ns)
{
	size_t runnable = 0;
	struct loop *picked = NULL;
	*ret_next_ns = INT64_MAX;
	for (size_t i = 0; i < w->n_loops; i++) {
		struct loop *l = w->loops[i];
		int64_t next = atomic_load(&l->stopped) ? INT64_MAX : loop_next_ns(l);
		if (next < *ret_next_ns)
			*ret_next_ns = next;
		/* Each of n runnable loops is kept with 1/n: one pass, no list. */
		if (next <= w->now_ns && rand_below(++runnable) == 0)
			picked = l;
	}
	return picked;
}

int
world_run(struct world *w, int64_t until_ns, bool (*stop)(void *arg), void *arg)
{
	BUG_ON(w->running);
	for (;;) {
		if (stop && stop(arg))
			return 0;
		int64_t next = 0;
		struct loop *l = world_pick(w, &next);
		if (!l && next == INT64_MAX)
			return 0;
		if (w->now_ns >= until_ns)
			return -ETIME;
		if (!l) {
			w->now_ns = next < until_ns ? next : until_ns;
			w->still = 0;
			continue;
		}
		if (++w->still > STILL_MAX)
			w->now_ns += NS_PER_US;
		loop_turn(l, 0);
	}
}
