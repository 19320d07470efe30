/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checker_read: lines of a history into tables; and what is wrong with a line where it stands: a watcher's
 * order, a list or bookmark that goes back, an answer to what was not asked. See checker.h. */
#include "tests/fault/checker_int.h"

#include <inttypes.h>

#define WORDS_MAX 7

struct line {
	struct str w[WORDS_MAX];
	size_t n;
};

void
checker_fault(struct checker *c, size_t line, const char *fmt, ...)
{
	va_list ap;
	if (++c->n_faults > 100)
		return;
	va_start(ap, fmt);
	struct str text = arena_vfmt(c->a, fmt, ap);
	va_end(ap);
	buf_fmt(&c->faults, "line %zu: " STR_FMT "\n", line, STR_ARG(text));
}

static uint64_t
number(struct checker *c, const struct line *l, size_t i)
{
	uint64_t v = 0;
	if (str_to_u64(l->w[i], &v) < 0)
		checker_fault(c, c->line, "'" STR_FMT "' is no number", STR_ARG(l->w[i]));
	return v;
}

/* value_of: which write an object is of; 0 = of none as a whole. */
static uint64_t
value_of(struct checker *c, const struct line *l, size_t i)
{
	uint64_t v;
	if (str_to_u64(l->w[i], &v) == 0 && v > 0)
		return v;
	checker_fault(c, c->line, "an object is there half: '" STR_FMT "'", STR_ARG(l->w[i]));
	return 0;
}

static struct name *
name_of(struct checker *c, struct str text)
{
	struct name *n = map_get(&c->names, text);
	if (n)
		return n;
	n = ARENA_NEW(c->a, struct name);
	BUG_ON(!n || map_put(&c->names, text, n, NULL) < 0);
	n->text = text;
	n->ops_end = &n->ops;
	n->changes_end = &n->changes;
	return n;
}

static struct op *
op_of(struct checker *c, uint64_t id)
{
	if (id > 0 && id <= c->n_ops)
		return c->ops[id - 1];
	checker_fault(c, c->line, "write %" PRIu64 " was never sent", id);
	return NULL;
}

static struct viewer *
reader_of_number(struct checker *c, const struct line *l)
{
	uint64_t n = number(c, l, 1);
	for (size_t i = 0; i < c->n_readers; i++)
		if (c->readers[i]->number == n)
			return c->readers[i];
	struct viewer *r = ARENA_NEW(c->a, struct viewer);
	struct viewer **slot = ARENA_PUSH(c->a, c->readers, c->n_readers);
	BUG_ON(!r || !slot);
	r->number = n;
	*slot = r;
	return r;
}

static void
sight(struct checker *c, uint64_t rev, char kind, struct name *name, uint64_t value)
{
	if (value == 0)
		return;
	struct op *op = op_of(c, value);
	if (!op)
		return;
	struct change *s = ARENA_PUSH(c->a, c->seen, c->n_seen);
	BUG_ON(!s);
	*s = (struct change){.rev = rev,
		.value = value,
		.name = name,
		.kind = kind                    ? kind
			: op->kind == OP_CREATE ? 'A'
						: 'M',
		.line = c->line};
}

static void
rise(struct checker *c, uint64_t rev)
{
	if (rev > c->high)
		c->high = rev;
}

/* ---- writes ---- */

static void
on_send(struct checker *c, const struct line *l)
{
	static const char *const kinds[OP__COUNT] = {
		[OP_CREATE] = "create", [OP_UPDATE] = "update", [OP_DELETE] = "delete"};
	struct op *op = ARENA_NEW(c->a, struct op);
	struct op **slot = ARENA_PUSH(c->a, c->ops, c->n_ops);
	BUG_ON(!op || !slot);
	*slot = op;
	*op = (struct op){.id = number(c, l, 1),
		.kind = OP__COUNT,
		.name = name_of(c, l->w[3]),
		.base = number(c, l, 4),
		.high = c->high,
		.line = c->line};
	for (int k = 0; k < OP__COUNT; k++)
		if (str_eq_c(l->w[2], kinds[k]))
			op->kind = (enum op_kind)k;
	if (op->id != c->n_ops || op->kind == OP__COUNT)
		checker_fault(c, c->line, "writes are numbered from 1 and have a kind");
	*op->name->ops_end = op;
	op->name->ops_end = &op->next;
}

static struct op *
answered(struct checker *c, const struct line *l, enum op_state state)
{
	struct op *op = op_of(c, number(c, l, 1));
	if (op && op->state != OP_SENT)
		checker_fault(c, c->line, "write %" PRIu64 " is answered twice", op->id);
	if (op) {
		op->state = state;
		op->done_line = c->line;
	}
	return op;
}

static void
on_done(struct checker *c, const struct line *l)
{
	struct op *op = answered(c, l, OP_DONE);
	uint64_t rev = number(c, l, 2);
	if (!op || rev == 0)
		return;
	sight(c, rev, 0, op->name, op->id);
	rise(c, rev);
	if (rev > op->name->acked)
		op->name->acked = rev;
}

static void
on_none(struct checker *c, const struct line *l)
{
	answered(c, l, OP_NONE);
}

static void
on_open(struct checker *c, const struct line *l)
{
	answered(c, l, OP_OPEN);
}

/* ---- reads ---- */

static void
on_ask(struct checker *c, const struct line *l)
{
	struct read *r = ARENA_PUSH(c->a, c->reads, c->n_reads);
	BUG_ON(!r);
	*r = (struct read){.name = name_of(c, l->w[2]), .line = c->line};
	r->acked = r->name->acked;
	if (number(c, l, 1) != c->n_reads)
		checker_fault(c, c->line, "reads are numbered from 1");
}

static struct read *
read_answered(struct checker *c, const struct line *l)
{
	uint64_t id = number(c, l, 1);
	if (id == 0 || id > c->n_reads || c->reads[id - 1].answered) {
		checker_fault(c, c->line, "an answer to no read");
		return NULL;
	}
	struct read *r = &c->reads[id - 1];
	r->answered = true;
	r->reply_line = c->line;
	return r;
}

static void
on_saw(struct checker *c, const struct line *l)
{
	struct read *r = read_answered(c, l);
	uint64_t rev = number(c, l, 2);
	if (!r)
		return;
	r->rev = rev;
	sight(c, rev, 0, r->name, value_of(c, l, 3));
	rise(c, rev);
}

static void
on_gone(struct checker *c, const struct line *l)
{
	read_answered(c, l);
}

static void
on_look(struct checker *c, const struct line *l)
{
	struct viewer *r = reader_of_number(c, l);
	r->look_high = c->high;
	r->look_line = c->line;
}

static void
on_list(struct checker *c, const struct line *l)
{
	struct viewer *r = reader_of_number(c, l);
	uint64_t rev = number(c, l, 2);
	struct list *list = ARENA_PUSH(c->a, c->lists, c->n_lists);
	BUG_ON(!list);
	*list = (struct list){.reader = r, .rev = rev, .line = c->line, .look_line = r->look_line};
	if (rev < r->look_high)
		checker_fault(c, c->line,
			"a list goes back: it is of %" PRIu64 ", and %" PRIu64
			" was known when it was asked for",
			rev, r->look_high);
	rise(c, rev);
	r->cursor = rev;
	r->listing = true;
	if (r->number == 0)
		return;
	if (r->begun)
		c->relists++;
	r->begun = true;
	struct stretch *s = ARENA_PUSH(c->a, r->stretches, r->n_stretches);
	BUG_ON(!s);
	*s = (struct stretch){rev, rev};
}

static void
on_item(struct checker *c, const struct line *l)
{
	struct viewer *r = reader_of_number(c, l);
	struct list *list = c->n_lists ? &c->lists[c->n_lists - 1] : NULL;
	if (!r->listing || list->reader != r) {
		checker_fault(c, c->line, "an item of no list");
		return;
	}
	struct item *it = ARENA_PUSH(c->a, list->items, list->n_items);
	BUG_ON(!it);
	*it = (struct item){name_of(c, l->w[2]), number(c, l, 3), value_of(c, l, 4)};
	if (it->rev > list->rev)
		checker_fault(c, c->line, "an item of %" PRIu64 " in a list of %" PRIu64, it->rev,
			list->rev);
	sight(c, it->rev, 0, it->name, it->value);
}

static void
on_listed(struct checker *c, const struct line *l)
{
	reader_of_number(c, l)->listing = false;
}

/* ---- watches ---- */

/* ordered: false when the watcher has been past this revision. */
static bool
ordered(struct checker *c, struct viewer *r, uint64_t rev, bool bookmark)
{
	if (r->n_stretches == 0) {
		checker_fault(c, c->line, "watcher %" PRIu64 " began with no list", r->number);
		return false;
	}
	if (rev > r->cursor || (bookmark && rev == r->cursor))
		return true;
	bool again = false;
	for (size_t i = 0; i < r->n_revs; i++)
		again |= r->revs[i] == rev;
	checker_fault(c, c->line, "watcher %" PRIu64 " saw revision %" PRIu64 " %s %" PRIu64,
		r->number, rev, again && !bookmark ? "twice, after" : "out of order, after",
		r->cursor);
	return false;
}

static void
on_event(struct checker *c, const struct line *l)
{
	struct viewer *r = reader_of_number(c, l);
	uint64_t rev = number(c, l, 4);
	char kind = l->w[2].n == 1 ? l->w[2].p[0] : '?';
	if (kind != 'A' && kind != 'M' && kind != 'D') {
		checker_fault(c, c->line, "no kind of event: '" STR_FMT "'", STR_ARG(l->w[2]));
		return;
	}
	sight(c, rev, kind, name_of(c, l->w[3]), value_of(c, l, 5));
	rise(c, rev);
	if (!ordered(c, r, rev, false))
		return;
	uint64_t *slot = ARENA_PUSH(c->a, r->revs, r->n_revs);
	BUG_ON(!slot);
	*slot = r->cursor = r->stretches[r->n_stretches - 1].to = rev;
}

static void
on_mark(struct checker *c, const struct line *l)
{
	struct viewer *r = reader_of_number(c, l);
	uint64_t rev = number(c, l, 2);
	rise(c, rev);
	if (ordered(c, r, rev, true))
		r->cursor = r->stretches[r->n_stretches - 1].to = rev;
}

static void
on_lost(struct checker *c, const struct line *l)
{
	reader_of_number(c, l);
}

/* ---- lines ---- */

static const struct row {
	const char *word;
	size_t words;
	void (*fn)(struct checker *c, const struct line *l);
} rows[] = {
	{"send", 5, on_send},
	{"done", 3, on_done},
	{"none", 3, on_none},
	{"open", 3, on_open},
	{"ask", 3, on_ask},
	{"saw", 4, on_saw},
	{"gone", 2, on_gone},
	{"look", 2, on_look},
	{"list", 3, on_list},
	{"item", 5, on_item},
	{"listed", 2, on_listed},
	{"event", 6, on_event},
	{"mark", 3, on_mark},
	{"lost", 2, on_lost},
};

void
checker_read(struct checker *c, struct str text, uint64_t until)
{
	struct str rest = text, one, words;
	while (str_next(&rest, '\n', &one)) {
		struct line l = {0};
		c->line++;
		if (one.n == 0)
			continue;
		if (!str_is_set(rest)) /* its writer died in the middle of it */
			break;
		words = one;
		while (l.n < WORDS_MAX && str_next(&words, ' ', &l.w[l.n]))
			l.n++;
		if (l.n == 2 && str_eq_c(l.w[0], "at")) {
			if (number(c, &l, 1) > until)
				break;
			continue;
		}
		const struct row *row = NULL;
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (str_eq_c(l.w[0], rows[i].word) && l.n == rows[i].words)
				row = &rows[i];
		if (row)
			row->fn(c, &l);
		else
			checker_fault(
				c, c->line, "no line of a history: '" STR_FMT "'", STR_ARG(one));
	}
}
