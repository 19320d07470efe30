/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * evict: pods that use more of the disk than they said: every ten seconds a helper thread adds up the
 * emptyDir volumes that have a sizeLimit; a pod with one above it is ended with a second of grace and is
 * Failed, reason Evicted. Volumes of medium Memory need no look: their tmpfs ends at the limit.
 * Source: kubelet eviction manager, localStorageEviction (period, texts). */
#include "orchestrator/node/node_int.h"

#include "storage/volume/volume.h"

#define PERIOD_NS (10 * NS_PER_SEC)
#define GRACE_NS NS_PER_SEC

struct row {
	struct str uid, volume, limit;
	int64_t limit_bytes;
	const char *dir;
	bool over;
};

struct look {
	struct node *n;
	struct arena *a;
	struct row *rows;
	size_t n_rows;
};

static void
pod_rows(struct look *x, struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	for (size_t i = 0; i < s->n_volumes; i++) {
		int64_t bytes = empty_dir_limit(&s->volumes[i]);
		struct row *r = bytes > 0 ? ARENA_PUSH(x->a, x->rows, x->n_rows) : NULL;
		if (r)
			*r = (struct row){.uid = arena_str(x->a, str_c(p->uid)),
				.volume = arena_str(x->a, s->volumes[i].name),
				.limit = arena_str(x->a, s->volumes[i].empty_dir->size_limit),
				.limit_bytes = bytes,
				.dir = arena_fmt(x->a, "%s/pods/%s/volumes/" STR_FMT, p->node->dir,
					p->uid, STR_ARG(s->volumes[i].name))
					       .p};
	}
}

static void
look_run(void *arg)
{
	struct look *x = arg;
	for (size_t i = 0; i < x->n_rows; i++)
		x->rows[i].over = volume_usage(x->rows[i].dir) > x->rows[i].limit_bytes;
}

static void
look_done(void *arg)
{
	struct look *x = arg;
	struct node *n = x->n;
	for (size_t i = 0; i < x->n_rows; i++) {
		const struct row *r = &x->rows[i];
		struct pod *p = r->over ? map_get(&n->pods, r->uid) : NULL;
		if (p && !p->stopping)
			pod_evict(p, GRACE_NS,
				"Usage of EmptyDir volume \"" STR_FMT
				"\" exceeds the limit \"" STR_FMT "\". ",
				STR_ARG(r->volume), STR_ARG(r->limit));
	}
	arena_free(x->a);
	loop_timer_after(n->loop, &n->evict_timer, PERIOD_NS);
}

static void
on_timer(struct loop_timer *t)
{
	struct node *n = t->arg;
	struct arena *a = arena_new(8 << 20);
	struct look *x = a ? ARENA_NEW(a, struct look) : NULL;
	size_t pos = 0;
	void *v = NULL;
	loop_timer_after(n->loop, t, PERIOD_NS);
	if (!x) {
		arena_free(a);
		return;
	}
	*x = (struct look){.n = n, .a = a};
	while (map_next(&n->pods, &pos, NULL, &v)) {
		struct pod *p = v;
		if (p->o && p->volumes_ready && !p->stopping && !pod_is_critical(&p->o->spec))
			pod_rows(x, p);
	}
	if (!x->n_rows || arena_failed(a) || loop_blocking(n->loop, look_run, look_done, x) < 0) {
		arena_free(a);
		return;
	}
	loop_timer_cancel(t); /* the next period begins when this look is over */
}

void
evict_start(struct node *n)
{
	n->evict_timer = (struct loop_timer){.fn = on_timer, .arg = n};
	loop_timer_after(n->loop, &n->evict_timer, PERIOD_NS);
}
