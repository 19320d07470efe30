/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job_index: sets of completion indexes, and which indexes of a Job succeeded, failed, or want a pod. */
#include "orchestrator/control/job.h"

#include <stdlib.h>

/* ---- sets ---- */

static void
push(struct arena *a, struct intervals *x, struct interval i)
{
	struct interval *last = x->n ? &x->v[x->n - 1] : NULL;
	if (last && i.first <= last->last + 1) {
		last->last = i.last > last->last ? i.last : last->last;
		return;
	}
	struct interval *slot = ARENA_PUSH(a, x->v, x->n);
	if (slot)
		*slot = i;
}

static int
to_index(struct str s, int32_t *ret)
{
	int64_t v;
	if (str_to_i64(s, &v) < 0 || v < 0 || v >= INT32_MAX)
		return -EINVAL;
	*ret = (int32_t)v;
	return 0;
}

struct intervals
intervals_parse(struct arena *a, struct str s, int32_t below)
{
	struct intervals x = {0};
	struct str part, first, last;
	while (s.n && str_next(&s, ',', &part)) {
		struct interval i;
		bool range = str_cut(part, '-', &first, &last);
		if (to_index(first, &i.first) < 0)
			continue;
		if (i.first >= below)
			break;
		i.last = i.first;
		if (range && to_index(last, &i.last) < 0)
			continue;
		i.last = i.last >= below ? below - 1 : i.last;
		if (i.last >= i.first && (!x.n || i.first > x.v[x.n - 1].last))
			push(a, &x, i);
	}
	return x;
}

static int
index_order(const void *px, const void *py)
{
	int32_t x = *(const int32_t *)px, y = *(const int32_t *)py;
	return x < y ? -1 : x > y;
}

struct intervals
intervals_of(struct arena *a, int32_t *v, size_t n)
{
	struct intervals x = {0};
	if (n)
		qsort(v, n, sizeof(*v), index_order);
	for (size_t i = 0; i < n; i++)
		push(a, &x, (struct interval){v[i], v[i]});
	return x;
}

struct intervals
intervals_merge(struct arena *a, struct intervals x, struct intervals y)
{
	struct intervals z = {0};
	size_t i = 0, k = 0;
	while (i < x.n || k < y.n) {
		bool first = k == y.n || (i < x.n && x.v[i].first < y.v[k].first);
		push(a, &z, first ? x.v[i++] : y.v[k++]);
	}
	return z;
}

struct str
intervals_text(struct arena *a, struct intervals x)
{
	struct buf b;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < x.n; i++) {
		buf_fmt(&b, "%s%d", i ? "," : "", x.v[i].first);
		if (x.v[i].last > x.v[i].first)
			buf_fmt(&b, "%c%d", x.v[i].last == x.v[i].first + 1 ? ',' : '-',
				x.v[i].last);
	}
	return buf_view(&b);
}

int32_t
intervals_total(struct intervals x)
{
	int32_t n = 0;
	for (size_t i = 0; i < x.n; i++)
		n += x.v[i].last - x.v[i].first + 1;
	return n;
}

bool
intervals_have(struct intervals x, int32_t index)
{
	size_t lo = 0, hi = x.n;
	while (hi > lo) {
		size_t mid = lo + (hi - lo) / 2;
		if (x.v[mid].last >= index)
			hi = mid;
		else
			lo = mid + 1;
	}
	return hi < x.n && x.v[hi].first <= index;
}

int32_t
intervals_common(struct intervals x, struct intervals y)
{
	int32_t n = 0;
	for (size_t i = 0, k = 0; i < x.n && k < y.n;) {
		int32_t first = x.v[i].first > y.v[k].first ? x.v[i].first : y.v[k].first;
		int32_t last = x.v[i].last < y.v[k].last ? x.v[i].last : y.v[k].last;
		n += last >= first ? last - first + 1 : 0;
		if (x.v[i].last <= last)
			i++;
		else
			k++;
	}
	return n;
}

/* ---- of pods ---- */

int32_t
job_index(const struct core_v1_pod *p)
{
	int32_t v;
	return to_index(control_annotation(&p->metadata, JOB_INDEX), &v) < 0 ? -1 : v;
}

bool
job_index_valid(const struct job_sync *x, const struct core_v1_pod *p)
{
	int32_t i = job_index(p);
	return i >= 0 && i < x->completions;
}

int32_t
job_index_failures(const struct core_v1_pod *p, bool ignored)
{
	int32_t n = 0, more = 0;
	if (to_index(control_annotation(&p->metadata, JOB_INDEX_FAILURES), &n) < 0)
		n = 0;
	if (ignored && to_index(control_annotation(&p->metadata, JOB_INDEX_IGNORED), &more) < 0)
		more = 0;
	return n + more;
}

/* index_failed: the failed pod was the last that its index may have. */
static bool
index_failed(const struct job_sync *x, const struct core_v1_pod *p)
{
	if (!job_pod_failed(x->j, p))
		return false;
	if (str_eq(job_failure(x->a, x->j, p, NULL), STR("FailIndex")))
		return true;
	return job_failure_counts(x->j, p) &&
		job_index_failures(p, false) >= x->j->spec.backoff_limit_per_index;
}

/* pod_indexes: of those pods for which `is` says so; room for all. */
static struct intervals
pod_indexes(const struct job_sync *x, const struct informer_obj *const *pods, size_t n_pods,
	bool (*is)(const struct job_sync *x, const struct core_v1_pod *p))
{
	int32_t *v = ARENA_ARRAY(x->a, int32_t, n_pods);
	size_t n = 0;
	for (size_t i = 0; v && i < n_pods; i++)
		if (job_index(pods[i]->obj) >= 0 && (!is || is(x, pods[i]->obj)))
			v[n++] = job_index(pods[i]->obj);
	return intervals_of(x->a, v, n);
}

static bool
newly_done(const struct job_sync *x, const struct core_v1_pod *p)
{
	return job_index_valid(x, p) && str_eq(p->status.phase, STR("Succeeded")) &&
		workload_has_finalizer(x->s->w, p);
}

static bool
newly_lost(const struct job_sync *x, const struct core_v1_pod *p)
{
	return job_index_valid(x, p) && workload_has_finalizer(x->s->w, p) && index_failed(x, p);
}

static bool
is_terminating(const struct job_sync *x, const struct core_v1_pod *p)
{
	(void)x;
	return pod_is_terminating(p);
}

/* hold: of the failed pods of an index that has no other, the last keeps its finalizer until it is replaced. */
static void
hold(struct job_sync *x)
{
	struct intervals active = pod_indexes(x, x->active, x->n_active, NULL);
	for (size_t i = 0; i < x->s->n_pods; i++) {
		const struct core_v1_pod *p = x->s->pods[i]->obj;
		int32_t index = job_index(p);
		if (!workload_has_finalizer(x->s->w, p) || !job_index_valid(x, p) ||
			!job_pod_failed(x->j, p) || intervals_have(x->done, index) ||
			intervals_have(x->lost, index) || intervals_have(active, index))
			continue;
		const struct informer_obj **slot = NULL;
		for (size_t k = 0; k < x->n_held && !slot; k++)
			if (job_index(x->held[k]->obj) == index)
				slot = &x->held[k];
		const struct core_v1_pod *q = slot ? (*slot)->obj : NULL;
		if (q &&
			(job_index_failures(q, true) > job_index_failures(p, true) ||
				job_finished_ns(p) < job_finished_ns(q)))
			continue;
		if (!slot)
			slot = ARENA_PUSH(x->a, x->held, x->n_held);
		if (slot)
			*slot = x->s->pods[i];
	}
}

void
job_indexes(struct job_sync *x)
{
	const struct batch_v1_job_status *st = &x->j->status;
	x->was_done = intervals_parse(x->a, st->completed_indexes, x->completions);
	x->done = intervals_merge(
		x->a, x->was_done, pod_indexes(x, x->s->pods, x->s->n_pods, newly_done));
	if (!x->j->spec.has_backoff_limit_per_index)
		return;
	x->lost = intervals_merge(x->a, intervals_parse(x->a, st->failed_indexes, x->completions),
		pod_indexes(x, x->s->pods, x->s->n_pods, newly_lost));
	hold(x);
}

const struct informer_obj *
job_held(const struct job_sync *x, int32_t index)
{
	for (size_t i = 0; i < x->n_held; i++)
		if (job_index(x->held[i]->obj) == index)
			return x->held[i];
	return NULL;
}

int32_t *
job_pending(struct job_sync *x, size_t n, size_t *ret_n)
{
	struct arena *a = x->a;
	int32_t *v = ARENA_ARRAY(a, int32_t, n), next = 0;
	struct intervals taken = intervals_merge(
		a, x->done, pod_indexes(x, x->active, x->n_active, NULL));
	taken = intervals_merge(a, taken, x->lost);
	if (job_replaces_ended(x->j))
		taken = intervals_merge(
			a, taken, pod_indexes(x, x->s->pods, x->s->n_pods, is_terminating));
	size_t have = 0;
	for (size_t i = 0; v && i <= taken.n; i++) {
		int32_t until = i < taken.n ? taken.v[i].first : x->completions;
		for (; next < until && next < x->completions && have < n; next++)
			v[have++] = next;
		if (i < taken.n && next <= taken.v[i].last)
			next = taken.v[i].last + 1;
	}
	*ret_n = have;
	return v;
}
