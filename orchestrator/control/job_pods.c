/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * job_pods: how many pods of a Job there should be, which go when there are too many, and what a new one
 * looks like. One sync makes pods or deletes them, not both. */
#include "orchestrator/control/job.h"

#include <stdlib.h>

#define AT_ONCE 500
#define PREFIX_MAX 58 /* of generated names */

/* ---- those that go ---- */

static int
index_order(const void *px, const void *py)
{
	const struct informer_obj *const *x = px, *const *y = py;
	int32_t ix = job_index((*x)->obj), iy = job_index((*y)->obj);
	return ix != iy ? (ix < iy ? -1 : 1) : 0;
}

/* surplus: of an indexed Job, pods without a valid index, and all but one of those with the same, go whatever
 * the number; they are moved to the front. Returns how many. */
static size_t
surplus(struct job_sync *x, const struct informer_obj **v, size_t n)
{
	const struct informer_obj **go = ARENA_ARRAY(x->a, const struct informer_obj *, n);
	const struct informer_obj **stay = ARENA_ARRAY(x->a, const struct informer_obj *, n);
	size_t n_go = 0, n_stay = 0;
	if (!go || !stay)
		return 0;
	qsort(v, n, sizeof(*v), index_order);
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i; k < n && job_index(v[k]->obj) == job_index(v[i]->obj);)
			k++;
		workload_victims(x->a, v + i, k - i);
		for (size_t m = i; m < k; m++)
			if (m + 1 == k && job_index_valid(x, v[m]->obj))
				stay[n_stay++] = v[m];
			else
				go[n_go++] = v[m];
	}
	memcpy(v, go, n_go * sizeof(*v));
	memcpy(v + n_go, stay, n_stay * sizeof(*v));
	return n_go;
}

static bool
remove_pods(struct job_sync *x, size_t at_least)
{
	size_t n = x->n_active;
	const struct informer_obj **v = ARENA_ARRAY(x->a, const struct informer_obj *, n);
	if (!v || !n)
		return false;
	memcpy(v, x->active, n * sizeof(*v));
	size_t go = x->indexed ? surplus(x, v, n) : 0;
	if (go < at_least) {
		workload_victims(x->a, v + go, n - go);
		go = at_least;
	}
	workload_delete(x->s, v, go, true);
	return go > 0;
}

/* ---- new ones ---- */

static void
put_index_env(struct arena *a, struct doc *spec, struct str list)
{
	DOC_EACH (c, doc_get(spec, list)) {
		struct doc *env = doc_ensure_list(a, c, STR("env"));
		bool there = false;
		DOC_EACH (e, env)
			there = there ||
				str_eq(doc_get_str(e, STR("name")), STR("JOB_COMPLETION_INDEX"));
		struct doc *e = there || !env ? NULL : doc_map(a);
		if (!e)
			continue;
		doc_set_str(a, e, STR("name"), STR("JOB_COMPLETION_INDEX"));
		doc_set_str(a,
			doc_ensure_map(a, doc_ensure_map(a, e, STR("valueFrom")), STR("fieldRef")),
			STR("fieldPath"),
			STR("metadata.labels['batch.kubernetes.io/job-completion-index']"));
		doc_append(env, e);
	}
}

static void
put_failures(struct job_sync *x, struct doc *notes, int32_t index)
{
	const struct informer_obj *before = job_held(x, index);
	const struct core_v1_pod *p = before ? before->obj : NULL;
	int32_t failed = 0, ignored = 0;
	if (p) {
		failed = job_index_failures(p, false);
		ignored = job_index_failures(p, true) - failed;
		if (job_failure_counts(x->j, p))
			failed++;
		else
			ignored++;
	}
	doc_set_str(x->a, notes, JOB_INDEX_FAILURES, arena_fmt(x->a, "%d", failed));
	if (ignored)
		doc_set_str(x->a, notes, JOB_INDEX_IGNORED, arena_fmt(x->a, "%d", ignored));
}

static struct doc *
indexed_pod(struct job_sync *x, const struct doc *plain, int32_t index)
{
	struct arena *a = x->a;
	struct doc *d = doc_copy(a, plain), *meta = doc_get(d, STR("metadata"));
	struct str text = arena_fmt(a, "%d", index), name = x->s->o->name;
	struct doc *notes = d ? doc_ensure_map(a, meta, STR("annotations")) : NULL;
	if (!notes)
		return NULL;
	doc_set_str(a, notes, JOB_INDEX, text);
	doc_set_str(a, doc_ensure_map(a, meta, STR("labels")), JOB_INDEX, text);
	doc_set_str(a, doc_get(d, STR("spec")), STR("hostname"),
		arena_fmt(a, STR_FMT "-%d", STR_ARG(name), index));
	struct str cut = str_sub(name, 0, PREFIX_MAX - text.n - 2);
	doc_set_str(
		a, meta, STR("generateName"), arena_fmt(a, STR_FMT "-%d-", STR_ARG(cut), index));
	if (x->j->spec.has_backoff_limit_per_index)
		put_failures(x, notes, index);
	return d;
}

static int64_t
index_wait_ns(const struct job_sync *x, int32_t index)
{
	const struct informer_obj *before = job_held(x, index);
	return before ? job_wait_ns(job_index_failures(before->obj, true) + 1,
				job_finished_ns(before->obj))
		      : 0;
}

/* ripe: of the pending indexes those whose time has come; else the Job waits for the first. */
static size_t
ripe(struct job_sync *x, int32_t *v, size_t n)
{
	int64_t first = 0;
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t wait = index_wait_ns(x, v[i]);
		if (!wait)
			v[k++] = v[i];
		else if (!first || wait < first)
			first = wait;
	}
	if (!k && first)
		queue_add_after(x->s->w->q, x->s->o->key, first);
	return k;
}

static void
create_pods(struct job_sync *x, size_t n)
{
	struct doc *d = workload_pod(x->s, &x->j->spec.template);
	int32_t *indexes = NULL;
	if (x->indexed) {
		indexes = job_pending(x, n, &n);
		n = x->j->spec.has_backoff_limit_per_index ? ripe(x, indexes, n) : n;
	}
	struct doc **v = ARENA_ARRAY(x->a, struct doc *, n);
	if (!d || !v || arena_failed(x->a))
		return;
	if (x->indexed) {
		put_index_env(x->a, doc_get(d, STR("spec")), STR("initContainers"));
		put_index_env(x->a, doc_get(d, STR("spec")), STR("containers"));
	}
	for (size_t i = 0; i < n; i++)
		v[i] = x->indexed ? indexed_pod(x, d, indexes[i]) : d;
	workload_create(x->s, v, n);
}

void
job_pods(struct job_sync *x)
{
	const struct batch_v1_job_spec *spec = &x->j->spec;
	int64_t active = (int64_t)x->n_active, want = spec->parallelism, wait;
	if (spec->suspend) {
		remove_pods(x, x->n_active);
		return;
	}
	if (!spec->has_completions && x->succeeded > 0)
		want = active;
	else if (spec->has_completions && spec->completions - x->succeeded < want)
		want = spec->completions - x->succeeded;
	want = want < 0 ? 0 : want;
	if (remove_pods(x, active > want ? (size_t)(active - want) : 0))
		return;
	int64_t n = want - active - (job_replaces_ended(x->j) ? x->terminating : 0);
	if (n <= 0) {
		workload_content(x->s);
		return;
	}
	wait = spec->has_backoff_limit_per_index ? 0 : job_wait_ns(x->m->failures, x->m->failed_ns);
	if (wait)
		queue_add_after(x->s->w->q, x->s->o->key, wait);
	else
		create_pods(x, n > AT_ONCE ? AT_ONCE : (size_t)n);
}
