/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex: see regex.h. pattern -> tree (regex_parse.c) -> program -> all states at once over the text. Repetitions are
 * written out, so the program's limit bounds them. */
#include "base/regex_int.h"

#include <errno.h>
#include <stdlib.h>

#define STEPS_MAX 200000000 /* states visited for one text */

enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_ASSERT, OP_MATCH };
struct inst {
	uint8_t op, assert;
	bool late; /* SPLIT: y is preferred */
	uint32_t x, y;
	const struct set *set;
};
struct regex {
	struct inst *prog;
	uint32_t n;
};

/* ---- the program ----------------------------------------------------------------------------------- */

struct emitter {
	struct arena *a;
	struct inst *prog;
	size_t n;
	bool large;
};

static uint32_t
put(struct emitter *m, enum op op, uint32_t x, uint32_t y)
{
	uint32_t at = (uint32_t)m->n;
	if (m->n >= REGEX_PROGRAM_MAX) {
		m->large = true;
		return 0;
	}
	struct inst *i = ARENA_PUSH(m->a, m->prog, m->n);
	if (i)
		*i = (struct inst){.op = (uint8_t)op, .x = x, .y = y};
	else
		m->large = true;
	return i ? at : 0;
}

static void emit(struct emitter *m, const struct node *n);

static void
emit_alt(struct emitter *m, const struct node *n)
{
	uint32_t ends = UINT32_MAX; /* jumps to the end, chained through y */
	for (const struct node *c = n->first; c && !m->large; c = c->next) {
		uint32_t split = c->next ? put(m, OP_SPLIT, (uint32_t)m->n + 1, 0) : 0;
		emit(m, c);
		if (!c->next || m->large)
			break;
		uint32_t jump = put(m, OP_JUMP, 0, ends);
		if (m->large)
			break;
		ends = jump;
		m->prog[split].y = (uint32_t)m->n;
	}
	while (ends != UINT32_MAX && !m->large) {
		uint32_t next = m->prog[ends].y;
		m->prog[ends].x = (uint32_t)m->n;
		ends = next;
	}
}

static void
emit_repeat(struct emitter *m, const struct node *n)
{
	uint32_t skips = UINT32_MAX;
	for (int i = 0; i < n->min && !m->large; i++)
		emit(m, n->first);
	if (n->max < 0) {
		uint32_t split = put(m, OP_SPLIT, (uint32_t)m->n + 1, 0);
		emit(m, n->first);
		put(m, OP_JUMP, split, 0);
		if (!m->large) {
			m->prog[split].y = (uint32_t)m->n;
			m->prog[split].late = n->lazy;
		}
		return;
	}
	for (int i = n->min; i < n->max && !m->large; i++) {
		uint32_t split = put(m, OP_SPLIT, (uint32_t)m->n + 1, skips);
		skips = split;
		emit(m, n->first);
	}
	while (skips != UINT32_MAX && !m->large) {
		uint32_t next = m->prog[skips].y;
		m->prog[skips].y = (uint32_t)m->n;
		m->prog[skips].late = n->lazy;
		skips = next;
	}
}

static void
emit(struct emitter *m, const struct node *n)
{
	if (m->large)
		return;
	switch (n->kind) {
	case NODE_EMPTY:
		return;
	case NODE_SET: {
		uint32_t at = put(m, OP_SET, 0, 0);
		if (!m->large)
			m->prog[at].set = n->set;
		return;
	}
	case NODE_CAT:
		for (const struct node *c = n->first; c; c = c->next)
			emit(m, c);
		return;
	case NODE_ALT:
		emit_alt(m, n);
		return;
	case NODE_REPEAT:
		emit_repeat(m, n);
		return;
	case NODE_LINE_BEGIN:
	case NODE_LINE_END:
	case NODE_TEXT_BEGIN:
	case NODE_TEXT_END:
	case NODE_WORD:
	case NODE_NO_WORD: {
		uint32_t at = put(m, OP_ASSERT, 0, 0);
		if (!m->large)
			m->prog[at].assert = (uint8_t)n->kind;
		return;
	}
	}
}

int
regex_compile(struct arena *a, struct str pattern, const struct regex **ret, struct err *e)
{
	struct node *root = NULL;
	int rc = regex_parse(a, pattern, &root, e);
	if (rc < 0)
		return rc;
	struct emitter m = {.a = a};
	emit(&m, root);
	put(&m, OP_MATCH, 0, 0);
	if (arena_failed(a))
		return -ENOMEM;
	if (m.large)
		return err_set(e, -E2BIG, R_INVALID,
			"error parsing regexp: expression too large: `" STR_FMT "`",
			STR_ARG(str_sub(pattern, 0, 100)));
	struct regex *re = ARENA_NEW(a, struct regex);
	if (!re)
		return -ENOMEM;
	*re = (struct regex){m.prog, (uint32_t)m.n};
	*ret = re;
	return 0;
}

/* ---- matching -------------------------------------------------------------------------------------- */

struct states {
	uint32_t *list, *place; /* list[place[s]] == s: s is in it */
	uint32_t n;
};

static bool
is_word(uint32_t c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		(c >= 'a' && c <= 'z');
}

struct spot {
	bool begin, end;
	uint32_t before, after;
};

static bool
asserted(const struct inst *i, const struct spot *at)
{
	bool left = !at->begin && is_word(at->before), right = !at->end && is_word(at->after);
	switch ((enum node_kind)i->assert) {
	case NODE_TEXT_BEGIN:
		return at->begin;
	case NODE_TEXT_END:
		return at->end;
	case NODE_LINE_BEGIN:
		return at->begin || at->before == '\n';
	case NODE_LINE_END:
		return at->end || at->after == '\n';
	case NODE_WORD:
		return left != right;
	case NODE_NO_WORD:
		return left == right;
	case NODE_EMPTY:
	case NODE_SET:
	case NODE_CAT:
	case NODE_ALT:
	case NODE_REPEAT:
		break;
	}
	return false;
}

static bool
in_ranges(const struct set *s, uint32_t c)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c < s->ranges[mid].lo)
			hi = mid;
		else if (c > s->ranges[mid].hi)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

static bool
in_set(const struct set *s, uint32_t c)
{
	bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
	return in_ranges(s, c) || (s->fold && letter && in_ranges(s, c ^ 32));
}

static bool
add_one(struct states *st, uint32_t s)
{
	uint32_t at = st->place[s];
	if (at < st->n && st->list[at] == s)
		return false;
	st->place[s] = st->n;
	st->list[st->n++] = s;
	return true;
}

/* A state and all that is reached from it without a character; true: the end is. stack: as long as the program. */
static bool
add(const struct regex *re, struct states *st, uint32_t s, const struct spot *at, uint32_t *stack)
{
	uint32_t n = 0;
	if (!add_one(st, s))
		return false;
	stack[n++] = s;
	while (n) {
		uint32_t cur = stack[--n];
		const struct inst *i = &re->prog[cur];
		uint32_t next[2] = {i->x, i->y};
		size_t k = 0;
		if (i->op == OP_MATCH)
			return true;
		if (i->op == OP_SPLIT)
			k = 2;
		else if (i->op == OP_JUMP)
			k = 1;
		else if (i->op == OP_ASSERT && asserted(i, at)) {
			next[0] = cur + 1;
			k = 1;
		}
		for (size_t j = 0; j < k; j++)
			if (add_one(st, next[j]))
				stack[n++] = next[j];
	}
	return false;
}

int
regex_match(const struct regex *re, struct str text)
{
	uint32_t *mem = calloc((size_t)re->n * 5 + 5, sizeof(*mem));
	if (!mem)
		return -ENOMEM;
	struct states now = {mem, mem + re->n, 0}, then = {mem + 2 * re->n, mem + 3 * re->n, 0};
	uint32_t *stack = mem + 4 * re->n;
	uint64_t steps = 0;
	struct str rest = text;
	struct spot at = {.begin = true};
	size_t len = rest.n ? regex_rune(rest, &at.after) : 0;
	int rc = 0;
	at.end = rest.n == 0;
	for (;;) {
		if (add(re, &now, 0, &at, stack)) {
			rc = 1;
			break;
		}
		steps += now.n;
		if (rest.n == 0 || steps > STEPS_MAX) {
			rc = rest.n ? -E2BIG : 0;
			break;
		}
		uint32_t c = at.after;
		rest = str_sub(rest, len, SIZE_MAX);
		at = (struct spot){.before = c, .end = rest.n == 0};
		len = rest.n ? regex_rune(rest, &at.after) : 0;
		then.n = 0;
		for (uint32_t k = 0; k < now.n && rc == 0; k++) {
			const struct inst *i = &re->prog[now.list[k]];
			if (i->op == OP_SET && in_set(i->set, c) &&
				add(re, &then, now.list[k] + 1, &at, stack))
				rc = 1;
		}
		if (rc)
			break;
		struct states swap = now;
		now = then;
		then = swap;
	}
	free(mem);
	return rc;
}

/* ---- finding: states in the order in which they are preferred, each with where it began ------------- */

struct threads {
	uint32_t *list, *place;
	size_t *from; /* by place in the list */
	uint32_t n;
};

/* As add, but what is preferred comes first. stack: twice the program. */
static void
follow(const struct regex *re, struct threads *t, uint32_t s, size_t from, const struct spot *at,
	uint32_t *stack)
{
	uint32_t n = 0;
	stack[n++] = s;
	while (n) {
		uint32_t cur = stack[--n];
		const struct inst *i = &re->prog[cur];
		if (t->place[cur] < t->n && t->list[t->place[cur]] == cur)
			continue;
		t->place[cur] = t->n;
		t->list[t->n] = cur;
		t->from[t->n++] = from;
		if (i->op == OP_SPLIT) {
			stack[n++] = i->late ? i->x : i->y;
			stack[n++] = i->late ? i->y : i->x;
		} else if (i->op == OP_JUMP) {
			stack[n++] = i->x;
		} else if (i->op == OP_ASSERT && asserted(i, at)) {
			stack[n++] = cur + 1;
		}
	}
}

struct finder {
	struct threads now, then;
	uint32_t *stack;
	size_t best_from, best_to;
	bool found;
	uint64_t steps;
};

/* The threads over one character; those behind a match are dropped: it is preferred. */
static void
step(const struct regex *re, struct finder *f, uint32_t c, size_t pos, const struct spot *next)
{
	f->then.n = 0;
	for (uint32_t k = 0; k < f->now.n; k++) {
		const struct inst *i = &re->prog[f->now.list[k]];
		if (i->op == OP_MATCH) {
			f->found = true;
			f->best_from = f->now.from[k];
			f->best_to = pos;
			break;
		}
		if (next && i->op == OP_SET && in_set(i->set, c))
			follow(re, &f->then, f->now.list[k] + 1, f->now.from[k], next, f->stack);
	}
	f->steps += f->now.n;
	struct threads swap = f->now;
	f->now = f->then;
	f->then = swap;
}

static int
find(const struct regex *re, struct finder *f, struct str text, size_t pos)
{
	struct spot at = {.begin = pos == 0, .end = pos >= text.n};
	for (size_t back = pos; back && !at.begin; back = 0) {
		size_t p = pos - 1;
		while (p && ((uint8_t)text.p[p] & 0xc0) == 0x80)
			p--;
		regex_rune(str_sub(text, p, SIZE_MAX), &at.before);
	}
	for (;;) {
		struct str rest = str_sub(text, pos, SIZE_MAX);
		size_t len = rest.n ? regex_rune(rest, &at.after) : 0;
		if (!f->found)
			follow(re, &f->now, 0, pos, &at, f->stack);
		if (f->now.n == 0)
			return f->found;
		uint32_t c = at.after;
		struct spot next = {.before = c, .end = pos + len >= text.n};
		if (rest.n && !next.end)
			regex_rune(str_sub(text, pos + len, SIZE_MAX), &next.after);
		step(re, f, c, pos, rest.n ? &next : NULL);
		if (rest.n == 0)
			return f->found;
		if (f->steps > STEPS_MAX)
			return -E2BIG;
		at = next;
		pos += len;
	}
}

int
regex_find(const struct regex *re, struct str text, size_t from, size_t *ret_from, size_t *ret_to)
{
	size_t n = re->n;
	uint32_t *mem = calloc(n * 6 + 6, sizeof(*mem));
	size_t *begins = calloc(n * 2 + 2, sizeof(*begins));
	struct finder f = {.found = false};
	int rc = -ENOMEM;
	if (mem && begins) {
		f.now = (struct threads){mem, mem + n, begins, 0};
		f.then = (struct threads){mem + 2 * n, mem + 3 * n, begins + n, 0};
		f.stack = mem + 4 * n;
		rc = from > text.n ? 0 : find(re, &f, text, from);
	}
	free(mem);
	free(begins);
	if (rc == 1) {
		*ret_from = f.best_from;
		*ret_to = f.best_to;
	}
	return rc;
}
