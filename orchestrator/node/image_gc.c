/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * image_gc: images that nobody needs go when the disk fills: every five minutes, from 85 % of it in use, those unused
 * longest, until 80 % are. None goes that a container is made from, that is pinned, or that was pulled or used within the
 * last two minutes.
 * Source: kubelet image_gc_manager (thresholds, periods, texts of events). */
#include "orchestrator/node/node_int.h"

#include <stdlib.h>

#define PERIOD_NS (300 * NS_PER_SEC)
#define AGE_MIN_NS (120 * NS_PER_SEC)
enum { HIGH_PERCENT = 85, LOW_PERCENT = 80 };

/* One round: the images that go, by id. */
struct round {
	struct node *n;
	struct arena *a;
	struct str *ids;
	size_t n_ids, at;
};

static int64_t
last_used(const struct runtime_image *i)
{
	return i->used_ns > i->pulled_ns ? i->used_ns : i->pulled_ns;
}

static int
by_use(const void *x, const void *y)
{
	int64_t a = last_used(x), b = last_used(y);
	return a < b ? -1 : a > b;
}

/* bytes_to_free: 0 below the high threshold. */
static uint64_t
bytes_to_free(const struct runtime_fs_usage *fs)
{
	uint64_t free_low = fs->capacity_bytes / 100 * (100 - LOW_PERCENT);
	uint64_t free_high = fs->capacity_bytes / 100 * (100 - HIGH_PERCENT);
	return fs->available_bytes <= free_high ? free_low - fs->available_bytes : 0;
}

/* choose: puts the images that go to the front of v, and says how many; *ret_bytes: what that frees. */
static size_t
choose(struct runtime_image *v, size_t n, uint64_t want, int64_t now_ns, uint64_t *ret_bytes)
{
	size_t kept = 0, chosen = 0;
	for (size_t i = 0; i < n; i++)
		if (!v[i].in_use && !v[i].pinned && now_ns - last_used(&v[i]) >= AGE_MIN_NS)
			v[kept++] = v[i];
	qsort(v, kept, sizeof(*v), by_use);
	for (*ret_bytes = 0; chosen < kept && *ret_bytes < want; chosen++)
		*ret_bytes += v[chosen].size_bytes;
	return chosen;
}

static void
round_end(struct round *r)
{
	loop_timer_after(r->n->loop, &r->n->image_gc_timer, PERIOD_NS);
	arena_free(r->a);
}

static void round_next(struct round *r);

static void
on_removed(void *arg, const struct err *e)
{
	struct round *r = arg;
	struct str id = r->ids[r->at++];
	if (e && e->code)
		log_warn("image " STR_FMT ": %s", STR_ARG(id), e->msg);
	else
		log_info("image " STR_FMT " removed: the disk is full", STR_ARG(id));
	round_next(r);
}

static void
round_next(struct round *r)
{
	while (r->at < r->n_ids) {
		int rc = runtime_image_remove(r->n->rt, r->ids[r->at], on_removed, r);
		if (rc == 0)
			return;
		log_warn("image " STR_FMT ": %s", STR_ARG(r->ids[r->at]), strerror(-rc));
		r->at++;
	}
	round_end(r);
}

/* round_fill: the images of this round. 0 or -errno. */
static int
round_fill(struct round *r)
{
	struct runtime_fs_usage fs = {0};
	struct runtime_image *v = NULL;
	uint64_t bytes = 0;
	size_t n = 0;
	int rc = runtime_image_fs(r->n->rt, &fs);
	uint64_t want = rc == 0 ? bytes_to_free(&fs) : 0;
	if (!want)
		return rc;
	rc = runtime_image_list(r->n->rt, r->a, &v, &n);
	if (rc < 0)
		return rc;
	n = choose(v, n, want, clock_wall_ns(), &bytes);
	r->ids = ARENA_ARRAY(r->a, struct str, n + 1);
	for (size_t i = 0; r->ids && i < n; i++)
		r->ids[r->n_ids++] = arena_str(r->a, v[i].id);
	if (bytes < want)
		node_event(r->n, "Warning", "FreeDiskSpaceFailed",
			"Failed to garbage collect required amount of images. Attempted to free %llu "
			"bytes, but only found %llu bytes eligible to free.",
			(unsigned long long)want, (unsigned long long)bytes);
	return arena_failed(r->a) ? -ENOMEM : 0;
}

static void
on_timer(struct loop_timer *t)
{
	struct node *n = t->arg;
	struct arena *a = arena_new(8 << 20);
	struct round *r = a ? ARENA_NEW(a, struct round) : NULL;
	if (!r) {
		arena_free(a);
		loop_timer_after(n->loop, t, PERIOD_NS);
		return;
	}
	*r = (struct round){.n = n, .a = a};
	int rc = round_fill(r);
	if (rc < 0) {
		log_warn("images nobody needs: %s", strerror(-rc));
		r->n_ids = 0;
	}
	round_next(r);
}

void
image_gc_start(struct node *n)
{
	n->image_gc_timer = (struct loop_timer){.fn = on_timer, .arg = n};
	loop_timer_after(n->loop, &n->image_gc_timer, PERIOD_NS);
}
