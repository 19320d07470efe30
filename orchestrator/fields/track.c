/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * track: what a write makes of the entries. An update: who writes owns what it changed, and nobody else
 * does. An apply: the manager owns what its configuration names; what it named before and does not now goes
 * out of the object unless somebody else owns it; a field that others own and that changes is a conflict.
 * Source: structured-merge-diff merge/update; util/managedfields/internal (capmanagers, stripmeta,
 * lastappliedmanager, managedfieldsupdater). */
#include "orchestrator/fields/fields_int.h"

#include <stdlib.h>

#define UPDATES_MAX 10

/* What nobody owns: kind, apiVersion and what the server writes into metadata. In order. */
#define NAME(s) .at = {.kind = FIELD_NAME, .name = STR_INIT(s)}, .member = true
static const struct fields nobodys_meta[] = {
	{NAME("clusterName"), .next = &nobodys_meta[1]},
	{NAME("creationTimestamp"), .next = &nobodys_meta[2]},
	{NAME("generation"), .next = &nobodys_meta[3]},
	{NAME("managedFields"), .next = &nobodys_meta[4]},
	{NAME("name"), .next = &nobodys_meta[5]},
	{NAME("namespace"), .next = &nobodys_meta[6]},
	{NAME("resourceVersion"), .next = &nobodys_meta[7]},
	{NAME("selfLink"), .next = &nobodys_meta[8]},
	{NAME("uid")},
};
static const struct fields nobodys_top[] = {
	{NAME("apiVersion"), .next = &nobodys_top[1]},
	{NAME("kind"), .next = &nobodys_top[2]},
	{NAME("metadata"), .first = nobodys_meta},
};
static const struct fields nobodys = {.first = nobodys_top};

/* ---- versions -------------------------------------------------------------------------------------- */

struct changes {
	struct str api_version;
	const struct fields *set, *removed; /* set: added or modified */
};
/* Of each version that entries speak of; at most a few. */
struct versions {
	const struct managed_op *op;
	const struct doc *from, *to;
	struct changes *v;
	size_t n;
};

static int
changes_add(struct versions *c, struct str api_version, const struct managed_view *view)
{
	struct arena *a = c->op->a;
	struct fields_change ch = {0};
	int rc = fields_compare(a, view->type, view->from, view->to, &ch);
	if (rc < 0)
		return rc;
	struct changes *n = ARENA_PUSH(a, c->v, c->n);
	if (!n)
		return -ENOMEM;
	*n = (struct changes){api_version,
		fields_without(a, fields_union(a, ch.modified, ch.added), c->op->reset),
		fields_without(a, ch.removed, c->op->reset)};
	return 0;
}

/* 0; -ENOENT: a version that nobody knows. */
static int
changes_in(struct versions *c, struct str api_version, struct changes *ret)
{
	struct managed_view view = {c->op->type, c->from, c->to};
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->v[i].api_version, api_version)) {
			*ret = c->v[i];
			return 0;
		}
	if (!str_eq(api_version, c->op->api_version) &&
		(!c->op->view ||
			!c->op->view(c->op->arg, c->op->a, api_version, c->from, c->to, &view)))
		return -ENOENT;
	int rc = changes_add(c, api_version, &view);
	if (rc == 0)
		*ret = c->v[c->n - 1];
	return rc;
}

/* ---- entries --------------------------------------------------------------------------------------- */

static void
entry_remove(struct managed *m, size_t i)
{
	memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof(m->v[0]));
	m->n--;
}

static void
entry_set(struct managed_entry *e, const struct fields *set)
{
	if (fields_equal(e->set, set))
		return;
	e->set = set;
	e->text = STR_NONE;
}

/* A copy to be changed: the caller's stays as it is when something fails. */
static int
entries_copy(struct arena *a, const struct managed *m, struct managed *ret)
{
	*ret = (struct managed){0};
	if (m->unread)
		return managed_read(a, m->unread, ret, NULL);
	for (size_t i = 0; i < m->n; i++) {
		struct managed_entry *e = ARENA_PUSH(a, ret->v, ret->n);
		if (!e)
			return -ENOMEM;
		*e = m->v[i];
	}
	return 0;
}

/* Entries of versions that are known no more go. */
static int
drop_unknown(struct versions *c, struct managed *m)
{
	struct changes ch;
	for (size_t i = 0; i < m->n;) {
		int rc = changes_in(c, m->v[i].api_version, &ch);
		if (rc == -ENOENT)
			entry_remove(m, i);
		else if (rc < 0)
			return rc;
		else
			i++;
	}
	return 0;
}

/* What changed or went is no more any other's; `self`: the index of an entry that is left alone. */
static int
others_lose(struct versions *c, struct managed *m, size_t self)
{
	struct arena *a = c->op->a;
	struct changes ch;
	for (size_t i = 0; i < m->n; i++) {
		if (i == self)
			continue;
		int rc = changes_in(c, m->v[i].api_version, &ch);
		if (rc < 0)
			return rc;
		if (!fields_meet(a, m->v[i].set, ch.set) &&
			!fields_meet(a, m->v[i].set, ch.removed))
			continue;
		entry_set(&m->v[i],
			fields_minus(a, fields_minus(a, m->v[i].set, ch.set), ch.removed));
	}
	return 0;
}

static void
drop_empty(struct managed *m)
{
	for (size_t i = 0; i < m->n;)
		if (m->v[i].set)
			i++;
		else
			entry_remove(m, i);
}

/* ---- a bound for entries of updates ---------------------------------------------------------------- */

static int
older(const void *x, const void *y)
{
	const struct managed_entry *p = *(const struct managed_entry *const *)x;
	const struct managed_entry *q = *(const struct managed_entry *const *)y;
	int c = str_cmp(p->time, q->time);
	c = c ? c : str_cmp(p->manager, q->manager);
	c = c ? c : str_cmp(p->api_version, q->api_version);
	return c ? c : str_cmp(p->subresource, q->subresource);
}

/* The entry that others of its version are joined to: an old one that is called so from then on. */
static struct managed_entry *
bucket_of(struct managed_entry **v, size_t n, const struct managed_entry *e)
{
	for (size_t i = 0; i < n; i++)
		if (v[i]->set && str_eq(v[i]->api_version, e->api_version))
			return v[i];
	return NULL;
}

/* The oldest entries of updates become one for each version until there are few enough. */
static int
cap_updates(struct arena *a, struct managed *m)
{
	struct managed_entry **v = ARENA_ARRAY(a, struct managed_entry *, m->n);
	size_t n = 0, left = 0;
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].applied)
			v[n++] = &m->v[i];
	if (n <= UPDATES_MAX)
		return 0;
	qsort(v, n, sizeof(v[0]), older);
	left = n;
	for (size_t i = 1; i < n && left > UPDATES_MAX; i++) {
		struct managed_entry *bucket = bucket_of(v, i, v[i]);
		if (!bucket)
			continue;
		bucket->manager = STR("ancient-changes");
		bucket->subresource = STR_NONE;
		bucket->time = v[i]->time;
		entry_set(bucket, fields_union(a, bucket->set, v[i]->set));
		v[i]->set = NULL;
		left--;
	}
	drop_empty(m);
	return 0;
}

/* ---- update ---------------------------------------------------------------------------------------- */

static struct managed_entry
entry_of(const struct managed_op *op, bool applied)
{
	return (struct managed_entry){.manager = op->manager.n ? op->manager : STR("unknown"),
		.api_version = op->api_version,
		.subresource = op->subresource,
		.applied = applied};
}

/* What the writer had stays its own but for what went; what it changed is added. */
static int
writer_gains(const struct managed_op *op, struct managed *m, const struct fields *gained,
	const struct fields *removed)
{
	struct managed_entry self = entry_of(op, false);
	size_t i = managed_find(m, &self);
	if (i == m->n && !gained)
		return 0;
	if (i == m->n) {
		struct managed_entry *e = ARENA_PUSH(op->a, m->v, m->n);
		if (!e)
			return -ENOMEM;
		*e = self;
	}
	struct managed_entry *e = &m->v[i];
	const struct fields *had = fields_minus(op->a, e->set, removed);
	if (gained)
		e->time = op->now;
	entry_set(e, fields_union(op->a, had, gained));
	return 0;
}

int
managed_update(const struct managed_op *op, struct managed *m, const struct doc *from,
	const struct doc *to)
{
	struct versions c = {.op = op, .from = from, .to = to};
	struct managed_entry self = entry_of(op, false);
	struct managed out;
	struct changes own;
	int rc = changes_in(&c, op->api_version, &own);
	if (rc < 0)
		return rc;
	if (!own.set && !own.removed)
		return 0;
	rc = entries_copy(op->a, m, &out);
	if (rc == 0)
		rc = drop_unknown(&c, &out);
	if (rc == 0)
		rc = others_lose(&c, &out, managed_find(&out, &self));
	if (rc == 0)
		rc = writer_gains(op, &out, fields_minus(op->a, own.set, &nobodys), own.removed);
	if (rc < 0)
		return rc;
	drop_empty(&out);
	rc = cap_updates(op->a, &out);
	if (rc == 0)
		*m = out;
	return rc == 0 && arena_failed(op->a) ? -ENOMEM : rc;
}

/* ---- apply ----------------------------------------------------------------------------------------- */

/* What the manager named before and does not name now goes, but for what others own, and for what was never
 * taken out because nobody named it. */
static struct doc *
prune(const struct managed_op *op, struct doc *merged, const struct managed *m,
	const struct fields *last)
{
	struct arena *a = op->a;
	const struct schema_type *t = op->type;
	const struct fields *owned = NULL, *named = fields_with_parents(a, t, last);
	const struct fields *all = fields_with_parents(a, t, fields_of(a, t, merged));
	struct doc *d = fields_take_out(a, t, merged, named);
	for (size_t i = 0; i < m->n; i++)
		owned = fields_union(a, owned, m->v[i].set);
	const struct fields *keep = d ? fields_with_parents(a, t, fields_of(a, t, d)) : NULL;
	keep = fields_union(a, keep, fields_with_parents(a, t, owned));
	d = d ? fields_take_out(a, t, merged, fields_minus(a, all, keep)) : NULL;
	keep = d ? fields_with_parents(a, t, fields_of(a, t, d)) : NULL;
	return d ? fields_take_out(a, t, merged, fields_meet(a, fields_minus(a, all, keep), named))
		 : NULL;
}

/* As upstream's messages name an entry. */
static struct str
manager_text(struct arena *a, const struct managed_entry *e)
{
	struct buf b;
	buf_init_arena(&b, a);
	doc_json_string(&b, e->manager);
	if (e->subresource.n) {
		buf_cstr(&b, " with subresource ");
		doc_json_string(&b, e->subresource);
	}
	if (!e->applied)
		buf_fmt(&b, " using " STR_FMT, STR_ARG(e->api_version));
	return buf_view(&b);
}

struct collect {
	const struct managed_op *op;
	struct managed_applied *ret;
	struct str manager;
};

static void
collect_path(void *arg, struct str path)
{
	struct collect *c = arg;
	struct managed_conflict *n = ARENA_PUSH(c->op->a, c->ret->conflicts, c->ret->n_conflicts);
	if (n)
		*n = (struct managed_conflict){c->manager, path};
}

struct clash {
	const struct managed_entry *entry;
	const struct fields *set;
};

static int
clash_cmp(const void *x, const void *y)
{
	const struct managed_entry *p = ((const struct clash *)x)->entry,
				   *q = ((const struct clash *)y)->entry;
	int c = str_cmp(p->manager, q->manager);
	c = c ? c : p->applied == q->applied ? 0 : p->applied ? -1 : 1;
	c = c ? c : str_cmp(p->api_version, q->api_version);
	return c ? c : str_cmp(p->subresource, q->subresource);
}

/* clashes: what of the change others own; `allowed` does not count. Gives how many entries. */
static int
clashes(struct versions *c, const struct managed *m, size_t self, const struct fields *allowed,
	struct managed_applied *ret)
{
	struct arena *a = c->op->a;
	struct clash *v = NULL;
	size_t n = 0;
	struct changes ch;
	for (size_t i = 0; i < m->n; i++) {
		if (i == self)
			continue;
		int rc = changes_in(c, m->v[i].api_version, &ch);
		if (rc < 0)
			return rc;
		const struct fields *both = fields_meet(a, m->v[i].set, ch.set);
		both = fields_minus(a, both, allowed);
		struct clash *one = both ? ARENA_PUSH(a, v, n) : NULL;
		if (one)
			*one = (struct clash){&m->v[i], both};
	}
	if (n > 1)
		qsort(v, n, sizeof(*v), clash_cmp);
	for (size_t i = 0; i < n; i++) {
		struct collect col = {c->op, ret, manager_text(a, v[i].entry)};
		fields_each(a, v[i].set, collect_path, &col);
	}
	return ret->n_conflicts ? -EEXIST : arena_failed(a) ? -ENOMEM : 0;
}

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* What kubectl applied from its own side before and what still is so: it may take that over. */
static const struct fields *
applied_by_client(const struct managed_op *op, const struct doc *live)
{
	struct arena *a = op->a;
	const struct doc *meta = doc_get(live, STR("metadata"));
	struct str text = doc_get_str(doc_get(meta, STR("annotations")), STR(LAST_APPLIED));
	struct doc *last = NULL;
	struct fields_change ch;
	struct str why;
	if (text.n == 0 || doc_parse_json(a, text, NULL, &last, NULL) < 0 ||
		!str_eq(doc_get_str(last, STR("apiVersion")), op->api_version) ||
		fields_check(a, op->type, last, &why) < 0 ||
		fields_compare(a, op->type, last, live, &ch) < 0)
		return NULL;
	const struct fields *f = fields_of(a, op->type, last);
	f = fields_minus(a, f, ch.modified);
	return fields_minus(a, fields_minus(a, f, ch.added), ch.removed);
}

static int
self_applies(const struct managed_op *op, struct managed *m, const struct doc *config,
	const struct fields **ret_last, size_t *ret_self)
{
	struct managed_entry self = entry_of(op, true);
	size_t i = managed_find(m, &self);
	*ret_last = i < m->n ? m->v[i].set : NULL;
	*ret_self = i;
	if (i < m->n) {
		self.time = m->v[i].time;
		self.text = m->v[i].text;
		self.set = m->v[i].set;
	} else if (!ARENA_PUSH(op->a, m->v, m->n)) {
		return -ENOMEM;
	}
	m->v[i] = self;
	entry_set(&m->v[i], fields_without(op->a, fields_of(op->a, op->type, config), op->reset));
	return 0;
}

static int
apply_to(struct versions *c, struct managed *out, size_t self, bool force,
	struct managed_applied *ret)
{
	bool kubectl = str_eq_c(c->op->manager, "kubectl");
	int rc = force ? 0 : clashes(c, out, self, NULL, ret);
	if (rc == -EEXIST && kubectl) {
		ret->n_conflicts = 0;
		ret->conflicts = NULL;
		rc = clashes(c, out, self, applied_by_client(c->op, c->from), ret);
	}
	return rc < 0 ? rc : others_lose(c, out, self);
}

int
managed_apply(const struct managed_op *op, struct managed *m, const struct doc *live,
	const struct doc *config, bool force, struct managed_applied *ret, struct err *e)
{
	struct arena *a = op->a;
	struct managed out;
	struct managed_applied applied = {0};
	const struct fields *last = NULL;
	size_t self = 0;
	struct doc *merged = fields_merge(a, op->type, live, config);
	int rc = merged ? entries_copy(a, m, &out) : -ENOMEM;
	if (rc == 0) {
		struct versions unchanged = {.op = op, .from = live, .to = live};
		rc = drop_unknown(&unchanged, &out);
	}
	if (rc == 0)
		rc = self_applies(op, &out, config, &last, &self);
	if (rc == 0 && last)
		merged = prune(op, merged, &out, last);
	if (rc == 0 && (!merged || schema_order(a, op->type, merged) < 0))
		rc = -ENOMEM;
	struct versions c = {.op = op, .from = live, .to = merged};
	if (rc == 0)
		rc = apply_to(&c, &out, self, force, &applied);
	if (rc < 0) {
		*ret = applied;
		return rc == -EINVAL ? err_set(e, rc, R_UNKNOWN, "failed to compare objects") : rc;
	}
	if (!doc_equal(live, merged)) {
		applied.obj = merged;
		out.v[self].time = op->now;
	}
	entry_set(&out.v[self], fields_minus(a, out.v[self].set, &nobodys));
	drop_empty(&out);
	if (arena_failed(a))
		return -ENOMEM;
	*m = out;
	*ret = applied;
	return 0;
}

struct str
managed_conflict_message(struct arena *a, const struct managed_applied *r)
{
	struct buf b;
	buf_init_arena(&b, a);
	if (r->n_conflicts == 1)
		return arena_fmt(a,
			"Apply failed with 1 conflict: conflict with " STR_FMT ": " STR_FMT,
			STR_ARG(r->conflicts[0].manager), STR_ARG(r->conflicts[0].path));
	buf_fmt(&b, "Apply failed with %zu conflicts: ", r->n_conflicts);
	for (size_t i = 0; i < r->n_conflicts; i++) {
		const struct managed_conflict *c = &r->conflicts[i];
		if (i == 0 || !str_eq(c->manager, c[-1].manager))
			buf_fmt(&b, "%sconflicts with " STR_FMT ":", i ? "\n" : "",
				STR_ARG(c->manager));
		buf_fmt(&b, "\n- " STR_FMT, STR_ARG(c->path));
	}
	return buf_view(&b);
}
