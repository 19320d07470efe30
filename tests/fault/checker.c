/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checker: the judgement over a whole history: see checker.h. Sightings are merged into changes, changes
 * chained by object, and then each rule is one function. */
#include "tests/fault/checker_int.h"

#include <inttypes.h>
#include <stdlib.h>

struct checker *
checker_new(void)
{
	struct checker *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->a = arena_new((size_t)4 << 30);
	if (!c->a) {
		free(c);
		return NULL;
	}
	map_init(&c->names);
	return c;
}

void
checker_free(struct checker *c)
{
	if (!c)
		return;
	map_release(&c->names);
	buf_release(&c->faults);
	arena_free(c->a);
	free(c);
}

/* ---- what is known of (from, to] ---- */

static int
stretch_order(const void *x, const void *y)
{
	const struct stretch *a = x, *b = y;
	return a->from < b->from ? -1 : a->from > b->from;
}

static void
cover(struct checker *c)
{
	for (size_t i = 0; i < c->n_readers; i++)
		for (size_t k = 0; k < c->readers[i]->n_stretches; k++) {
			struct stretch *s = ARENA_PUSH(c->a, c->covered, c->n_covered);
			BUG_ON(!s);
			*s = c->readers[i]->stretches[k];
		}
	if (c->n_covered)
		qsort(c->covered, c->n_covered, sizeof(*c->covered), stretch_order);
	size_t n = 0;
	for (size_t i = 0; i < c->n_covered; i++) {
		struct stretch s = c->covered[i], *last = n ? &c->covered[n - 1] : NULL;
		if (last && s.from <= last->to)
			last->to = s.to > last->to ? s.to : last->to;
		else
			c->covered[n++] = s;
	}
	c->n_covered = n;
}

/* is_covered: a watcher, or several taking over from each other, saw all changes of (from, to]. */
static bool
is_covered(const struct checker *c, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < c->n_covered; i++)
		if (c->covered[i].from <= from && to <= c->covered[i].to)
			return true;
	return false;
}

/* may_hide: between from and to the object may have changed without anybody seeing it. */
static bool
may_hide(const struct checker *c, const struct name *n, uint64_t from, uint64_t to)
{
	if (is_covered(c, from, to))
		return false;
	for (const struct op *op = n->ops; op; op = op->next)
		if (op->rev == 0 && op->state != OP_NONE && op->high < to)
			return true;
	return false;
}

/* ---- changes ---- */

static int
change_order(const void *x, const void *y)
{
	const struct change *a = x, *b = y;
	if (a->rev != b->rev)
		return a->rev < b->rev ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static void
merge(struct checker *c)
{
	if (c->n_seen)
		qsort(c->seen, c->n_seen, sizeof(*c->seen), change_order);
	for (size_t i = 0; i < c->n_seen; i++) {
		struct change *s = &c->seen[i],
			      *last = c->n_changes ? &c->changes[c->n_changes - 1] : NULL;
		if (!last || last->rev != s->rev) {
			struct change *slot = ARENA_PUSH(c->a, c->changes, c->n_changes);
			BUG_ON(!slot);
			*slot = *s;
		} else if (last->name != s->name || last->value != s->value ||
			last->kind != s->kind) {
			checker_fault(c, s->line,
				"revision %" PRIu64 " is %c of '" STR_FMT "' by write %" PRIu64
				", and on line %zu %c of '" STR_FMT "' by write %" PRIu64,
				s->rev, s->kind, STR_ARG(s->name->text), s->value, last->line,
				last->kind, STR_ARG(last->name->text), last->value);
		}
	}
	for (size_t i = 0; i < c->n_changes; i++) {
		struct change *x = &c->changes[i];
		*x->name->changes_end = x;
		x->name->changes_end = &x->next;
	}
}

/* rule_writes: a change that wrote a value is the change of one write, not refused, and of a revision
 * higher than all that was known when it was sent. */
static void
rule_writes(struct checker *c)
{
	for (size_t i = 0; i < c->n_changes; i++) {
		const struct change *x = &c->changes[i];
		struct op *op = c->ops[x->value - 1];
		if (x->kind == 'D')
			continue;
		if (op->name != x->name || op->kind != (x->kind == 'A' ? OP_CREATE : OP_UPDATE)) {
			checker_fault(
				c, x->line, "write %" PRIu64 " is not what is seen of it", op->id);
			continue;
		}
		if (op->rev)
			checker_fault(c, x->line,
				"write %" PRIu64 " was done twice: %" PRIu64 " and %" PRIu64,
				op->id, op->rev, x->rev);
		op->rev = x->rev;
		if (op->state == OP_NONE)
			checker_fault(
				c, x->line, "write %" PRIu64 " was refused, and is there", op->id);
		if (x->rev <= op->high)
			checker_fault(c, x->line,
				"revisions go back: write %" PRIu64 " is %" PRIu64 ", but %" PRIu64
				" was known before",
				op->id, x->rev, op->high);
	}
}

/* deleter: marks the delete that made change x of an object last changed at p->rev. */
static bool
deleter(struct checker *c, const struct change *p, const struct change *x)
{
	struct op *found = NULL;
	for (struct op *op = x->name->ops; op; op = op->next)
		if (op->kind == OP_DELETE && op->base == p->rev && op->state != OP_NONE &&
			(!found || op->state == OP_DONE))
			found = op;
	if (!found)
		return false;
	found->rev = x->rev;
	if (x->rev <= found->high)
		checker_fault(c, x->line,
			"revisions go back: write %" PRIu64 " is %" PRIu64 ", but %" PRIu64
			" was known before",
			found->id, x->rev, found->high);
	return true;
}

/* fits: x can follow p (NULL: the object was not there) with nothing between them. */
static bool
fits(struct checker *c, const struct change *p, const struct change *x)
{
	bool there = p && p->kind != 'D';
	if (x->kind == 'A')
		return !there;
	if (!there)
		return false;
	if (x->kind == 'M')
		return c->ops[x->value - 1]->base == p->rev;
	return x->value == p->value && deleter(c, p, x);
}

/* rule_chains: an object is made, changed on condition of its last revision, deleted. */
static void
rule_chains(struct checker *c)
{
	struct str key;
	void *v;
	for (size_t pos = 0; map_next(&c->names, &pos, &key, &v);) {
		const struct name *n = v;
		const struct change *p = NULL;
		for (const struct change *x = n->changes; x; p = x, x = x->next)
			if (!fits(c, p, x) && !may_hide(c, n, p ? p->rev : 0, x->rev))
				checker_fault(c, x->line,
					"'" STR_FMT "' cannot go from %c of %" PRIu64
					" to %c of %" PRIu64,
					STR_ARG(n->text), p ? p->kind : '-', p ? p->rev : 0,
					x->kind, x->rev);
	}
}

/* next_known: a revision that a delete must be below: of a write sent after it was acknowledged. */
static uint64_t
next_known(const struct checker *c, const struct op *op)
{
	for (size_t i = op->id; i < c->n_ops; i++)
		if (c->ops[i]->line > op->done_line && c->ops[i]->rev)
			return c->ops[i]->rev;
	return c->high;
}

/* rule_deletes: after an acknowledged delete the object's next change is that delete. */
static void
rule_deletes(struct checker *c)
{
	for (size_t i = 0; i < c->n_ops; i++) {
		const struct op *op = c->ops[i];
		if (op->kind != OP_DELETE || op->state != OP_DONE || op->rev)
			continue;
		const struct change *x = op->name->changes;
		while (x && x->rev <= op->base)
			x = x->next;
		if ((x && x->kind == 'M') ||
			is_covered(c, op->base, x ? x->rev : next_known(c, op)))
			checker_fault(c, op->line,
				"acknowledged write %" PRIu64 " (delete of '" STR_FMT "') is lost",
				op->id, STR_ARG(op->name->text));
	}
}

/* ---- watchers ---- */

static void
missed(struct checker *c, const struct viewer *r, const struct stretch *s)
{
	size_t k = 0;
	for (size_t i = 0; i < c->n_changes; i++) {
		const struct change *x = &c->changes[i];
		if (x->rev <= s->from || x->rev > s->to)
			continue;
		while (k < r->n_revs && r->revs[k] < x->rev)
			k++;
		if (k == r->n_revs || r->revs[k] != x->rev)
			checker_fault(c, x->line, "watcher %" PRIu64 " missed revision %" PRIu64,
				r->number, x->rev);
	}
}

static void
rule_watchers(struct checker *c)
{
	uint64_t last = c->n_changes ? c->changes[c->n_changes - 1].rev : 0;
	for (size_t i = 0; i < c->n_readers; i++) {
		const struct viewer *r = c->readers[i];
		if (r->number == 0)
			continue;
		for (size_t k = 0; k < r->n_stretches; k++)
			missed(c, r, &r->stretches[k]);
		if (!c->o->cut && r->cursor < last)
			checker_fault(c, c->line,
				"watcher %" PRIu64 " ended at %" PRIu64 ", before %" PRIu64,
				r->number, r->cursor, last);
		if (!c->o->relists && r->n_stretches > 1)
			checker_fault(c, c->line, "watcher %" PRIu64 " had to list anew %zu times",
				r->number, r->n_stretches - 1);
	}
}

/* ---- lists and reads ---- */

static const struct item *
item_find(const struct list *l, const struct name *n)
{
	for (size_t i = 0; i < l->n_items; i++)
		if (l->items[i].name == n)
			return &l->items[i];
	return NULL;
}

/* back: an object as of `rev` is there to whoever asked on line `asked`, after its delete was acknowledged. */
static void
back(struct checker *c, const struct name *n, uint64_t rev, size_t asked, size_t line)
{
	for (const struct op *op = n->ops; op; op = op->next)
		if (op->kind == OP_DELETE && op->state == OP_DONE && op->base == rev &&
			op->done_line < asked)
			checker_fault(c, line,
				"'" STR_FMT "' of %" PRIu64 " is back: its delete, write %" PRIu64
				", was acknowledged",
				STR_ARG(n->text), rev, op->id);
}

static void
list_judge(struct checker *c, const struct list *l, const struct name *n)
{
	const struct change *x = NULL;
	for (const struct change *k = n->changes; k && k->rev <= l->rev; k = k->next)
		x = k;
	const struct item *it = item_find(l, n);
	bool there = x && x->kind != 'D';
	if (it)
		back(c, n, it->rev, l->look_line, l->line);
	if (it && x && it->rev == x->rev && there)
		return;
	if (it && !there)
		checker_fault(c, l->line,
			"'" STR_FMT "' of %" PRIu64 " is in a list of %" PRIu64
			" although it was deleted at %" PRIu64,
			STR_ARG(n->text), it->rev, l->rev, x ? x->rev : 0);
	else if (it)
		checker_fault(c, l->line,
			"%s of '" STR_FMT "' at %" PRIu64 " is lost: a list of %" PRIu64
			" has it as of %" PRIu64,
			c->ops[x->value - 1]->state == OP_DONE ? "an acknowledged write"
							       : "a seen write",
			STR_ARG(n->text), x->rev, l->rev, it->rev);
	else if (there && !may_hide(c, n, x->rev, l->rev))
		checker_fault(c, l->line,
			"%s of '" STR_FMT "' at %" PRIu64
			" is lost: it is not in a list of %" PRIu64,
			c->ops[x->value - 1]->state == OP_DONE ? "an acknowledged write"
							       : "a seen write",
			STR_ARG(n->text), x->rev, l->rev);
}

static void
rule_lists(struct checker *c)
{
	for (size_t i = 0; i < c->n_lists; i++) {
		struct str key;
		void *v;
		for (size_t pos = 0; map_next(&c->names, &pos, &key, &v);)
			list_judge(c, &c->lists[i], v);
	}
}

/* rule_reads: a read has at least what was acknowledged before it was sent. */
static void
rule_reads(struct checker *c)
{
	for (size_t i = 0; i < c->n_reads; i++) {
		const struct read *r = &c->reads[i];
		bool deleted = false;
		if (r->answered && r->rev)
			back(c, r->name, r->rev, r->line, r->reply_line);
		if (!r->answered || r->rev >= r->acked)
			continue;
		for (const struct op *op = r->name->ops; op && !r->rev; op = op->next)
			deleted |= op->kind == OP_DELETE && op->state != OP_NONE &&
				op->base >= r->acked && op->line < r->reply_line;
		if (!deleted)
			checker_fault(c, r->reply_line,
				"a read of '" STR_FMT "' has %" PRIu64 " although %" PRIu64
				" was acknowledged before",
				STR_ARG(r->name->text), r->rev, r->acked);
	}
}

size_t
checker_judge(struct checker *c, const struct checker_options *o, struct buf *out,
	struct checker_sum *ret)
{
	c->o = o;
	cover(c);
	merge(c);
	rule_writes(c);
	rule_chains(c);
	rule_deletes(c);
	rule_watchers(c);
	rule_lists(c);
	rule_reads(c);
	*ret = (struct checker_sum){
		.writes = c->n_ops, .changes = c->n_changes, .relists = c->relists};
	for (size_t i = 0; i < c->n_ops; i++) {
		ret->acked += c->ops[i]->state == OP_DONE;
		ret->refused += c->ops[i]->state == OP_NONE;
		ret->open += c->ops[i]->state == OP_OPEN || c->ops[i]->state == OP_SENT;
	}
	for (size_t i = 0; i < c->n_readers; i++)
		ret->watchers += c->readers[i]->number != 0;
	if (arena_failed(c->a))
		checker_fault(c, c->line, "the history is too long to be checked");
	buf_str(out, buf_view(&c->faults));
	return c->n_faults;
}
