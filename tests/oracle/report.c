/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * report: what a comparison comes to: the table by kind, the differences of each kind as a readable file, the
 * causes by how often they are met, the list of what differs with its cause, and the states: one letter a unit (E equal,
 * D different, X not served), one line a case, run lengths before letters. A file of states that is committed
 * is the ratchet: no unit may stand worse than it says there. */
#include "base/disk.h"
#include "tests/oracle/compare.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_MAX 2000
#define CAUSES_SHOWN 40
#define WORSE_SHOWN 30

struct kind_row {
	struct str name;
	size_t n[VERDICT__COUNT];
	struct buf diff;
};
struct cause_row {
	struct str cause, example;
	size_t n;
};
struct report {
	struct arena *a;    /* until the end */
	struct arena *step; /* of one step */
	struct kind_row *kinds;
	size_t n_kinds;
	struct cause_row *causes;
	size_t n_causes;
	struct buf states, worse, list;
	struct str known_text;
	size_t n_worse, n_held, n_better;
};

/* ---- known states ---------------------------------------------------------------------------------- */

/* The line of a case in a file of states; STR_NONE when it has none. */
static struct str
known_line(const struct report *r, struct str name)
{
	struct str rest = r->known_text, line, head, states;
	while (str_next(&rest, '\n', &line))
		if (str_rcut(line, ' ', &head, &states) && str_eq(head, name))
			return states;
	return STR_NONE;
}

/* The next letter of run lengths; 0 at the end. */
static char
states_next(struct str *s, size_t *run)
{
	if (*run == 0) {
		while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
			*run = *run * 10 + (size_t)(s->p[0] - '0');
			*s = str_sub(*s, 1, SIZE_MAX);
		}
		*run = *run ? *run : 1;
	}
	if (s->n == 0)
		return 0;
	char c = s->p[0];
	if (--*run == 0)
		*s = str_sub(*s, 1, SIZE_MAX);
	return c;
}

static enum verdict
verdict_of(char letter)
{
	const char *at = letter ? strchr(verdict_letters, letter) : NULL;
	return at ? (enum verdict)(at - verdict_letters) : MISSING;
}

/* ---- gathering ------------------------------------------------------------------------------------- */

static struct kind_row *
kind_row(struct report *r, struct str case_name)
{
	struct str kind, rest;
	str_cut(case_name, '/', &kind, &rest);
	for (size_t i = 0; i < r->n_kinds; i++)
		if (str_eq(r->kinds[i].name, kind))
			return &r->kinds[i];
	struct kind_row *k = ARENA_PUSH(r->a, r->kinds, r->n_kinds);
	if (k)
		k->name = kind;
	return k;
}

static void
cause_count(struct report *r, const struct unit *u, struct str example)
{
	for (size_t i = 0; i < r->n_causes; i++)
		if (str_eq(r->causes[i].cause, u->cause)) {
			r->causes[i].n++;
			return;
		}
	struct cause_row *c = ARENA_PUSH(r->a, r->causes, r->n_causes);
	if (c)
		*c = (struct cause_row){arena_str(r->a, u->cause), arena_str(r->a, example), 1};
}

static void
show_value(struct buf *b, char sign, struct str v)
{
	if (str_is_set(v))
		buf_fmt(b, "  %c " STR_FMT "%s\n", sign, STR_ARG(str_sub(v, 0, SHOWN_MAX)),
			v.n > SHOWN_MAX ? " ..." : "");
}

static void
show_unit(struct buf *b, struct str id, const struct oracle_step *s, const struct unit *u)
{
	buf_fmt(b, "=== " STR_FMT " (%c)\n" STR_FMT " " STR_FMT "\n", STR_ARG(id),
		verdict_letters[u->verdict], STR_ARG(s->method), STR_ARG(s->target));
	for (size_t i = 0; i < s->n_headers; i++)
		buf_fmt(b, STR_FMT "\n", STR_ARG(s->headers[i]));
	if (s->body.n)
		buf_fmt(b, STR_FMT "\n", STR_ARG(str_sub(s->body, 0, SHOWN_MAX)));
	for (size_t i = 0; i < u->n_points; i++) {
		buf_fmt(b, STR_FMT "\n", STR_ARG(u->points[i].where));
		show_value(b, '-', u->points[i].theirs);
		show_value(b, '+', u->points[i].ours);
	}
	buf_char(b, '\n');
}

struct case_states {
	struct buf *out;
	char last;
	size_t run;
};

static void
state_put(struct case_states *s, char letter)
{
	if (letter == s->last) {
		s->run++;
		return;
	}
	if (s->run > 1)
		buf_fmt(s->out, "%zu", s->run);
	if (s->run)
		buf_char(s->out, s->last);
	s->last = letter;
	s->run = 1;
}

static void
hold(struct report *r, struct str id, const struct oracle_step *s, const struct unit *u, char was)
{
	enum verdict known = verdict_of(was);
	if (known == SAME)
		r->n_held++;
	if (u->verdict < known)
		r->n_better++;
	if (u->verdict == SAME || known != SAME)
		return;
	r->n_worse++;
	if (r->n_worse <= WORSE_SHOWN)
		show_unit(&r->worse, id, s, u);
}

static void
case_compare(struct report *r, const struct oracle_case *x, const struct oracle_case *y)
{
	struct kind_row *k = kind_row(r, x->name);
	struct case_states states = {.out = &r->states};
	struct str known = known_line(r, x->name);
	size_t run = 0;
	buf_fmt(&r->states, STR_FMT " ", STR_ARG(x->name));
	for (size_t i = 0; i < x->n_steps; i++) {
		struct units us = compare_step(r->step, &x->steps[i], &y->steps[i]);
		for (size_t n = 0; n < us.n; n++) {
			const struct unit *u = &us.v[n];
			struct str id = arena_fmt(r->step, STR_FMT "/" STR_FMT "%s" STR_FMT,
				STR_ARG(x->name), STR_ARG(x->steps[i].name),
				str_is_set(u->part) ? "#" : "", STR_ARG(u->part));
			k->n[u->verdict]++;
			state_put(&states, verdict_letters[u->verdict]);
			if (r->known_text.n)
				hold(r, id, &x->steps[i], u, states_next(&known, &run));
			if (u->verdict == SAME)
				continue;
			show_unit(&k->diff, id, &x->steps[i], u);
			cause_count(r, u, id);
			buf_fmt(&r->list, STR_FMT "\t" STR_FMT "\n", STR_ARG(id),
				STR_ARG(u->cause));
		}
		arena_clear(r->step);
	}
	state_put(&states, 0);
	buf_char(&r->states, '\n');
}

/* ---- output ---------------------------------------------------------------------------------------- */

static int
by_count(const void *x, const void *y)
{
	const struct cause_row *p = x, *q = y;
	return p->n < q->n ? 1 : p->n > q->n ? -1 : str_cmp(p->cause, q->cause);
}

static int
by_name(const void *x, const void *y)
{
	return str_cmp(((const struct kind_row *)x)->name, ((const struct kind_row *)y)->name);
}

static void
row_print(struct str name, const size_t n[VERDICT__COUNT])
{
	size_t all = 0;
	for (size_t i = 0; i < VERDICT__COUNT; i++)
		all += n[i];
	printf("%-34.*s %8zu %8zu %8zu %8zu\n", STR_ARG(name), all, n[SAME], n[DIFFERENT],
		n[MISSING]);
}

static void
table_print(struct report *r)
{
	size_t sum[VERDICT__COUNT] = {0};
	qsort(r->kinds, r->n_kinds, sizeof(r->kinds[0]), by_name);
	printf("%-34s %8s %8s %8s %8s\n", "kind", "compared", "equal", "differs", "missing");
	for (size_t i = 0; i < r->n_kinds; i++) {
		row_print(r->kinds[i].name, r->kinds[i].n);
		for (size_t k = 0; k < VERDICT__COUNT; k++)
			sum[k] += r->kinds[i].n[k];
	}
	row_print(STR("all"), sum);
}

static int
file_put(struct report *r, const char *dir, struct str name, struct str text)
{
	char *path = arena_cstr(r->a, arena_fmt(r->a, "%s/" STR_FMT, dir, STR_ARG(name)));
	return path ? disk_write_file(path, text, 0644) : -ENOMEM;
}

static int
files_write(struct report *r, const char *dir)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int rc = disk_mkdirs(dir, 0755);
	qsort(r->causes, r->n_causes, sizeof(r->causes[0]), by_count);
	for (size_t i = 0; i < r->n_causes; i++)
		buf_fmt(&b, "%6zu  " STR_FMT "   e.g. " STR_FMT "\n", r->causes[i].n,
			STR_ARG(r->causes[i].cause), STR_ARG(r->causes[i].example));
	if (rc == 0)
		rc = file_put(r, dir, STR("causes"), buf_view(&b));
	if (rc == 0)
		rc = file_put(r, dir, STR("states"), buf_view(&r->states));
	if (rc == 0)
		rc = file_put(r, dir, STR("list"), buf_view(&r->list));
	for (size_t i = 0; rc == 0 && i < r->n_kinds; i++)
		rc = file_put(r, dir, arena_fmt(r->a, STR_FMT ".diff", STR_ARG(r->kinds[i].name)),
			buf_view(&r->kinds[i].diff));
	return rc;
}

static bool
cases_match(const struct oracle_corpus *x, const struct oracle_corpus *y)
{
	bool same = x->n_cases == y->n_cases;
	for (size_t i = 0; same && i < x->n_cases; i++)
		same = str_eq(x->cases[i].name, y->cases[i].name) &&
			x->cases[i].n_steps == y->cases[i].n_steps;
	return same;
}

static int
verdict_print(struct report *r)
{
	printf("\nmost frequent causes:\n");
	for (size_t i = 0; i < r->n_causes && i < CAUSES_SHOWN; i++)
		printf("%6zu  " STR_FMT "\n", r->causes[i].n, STR_ARG(r->causes[i].cause));
	if (r->known_text.n == 0)
		return 0;
	if (r->n_worse)
		printf("\nwas equal, and is no more:\n\n" STR_FMT, STR_ARG(buf_view(&r->worse)));
	if (r->n_better)
		printf("%zu are better than is held: make oracle-hold\n", r->n_better);
	printf("%zu passed, %zu failed, 0 skipped\n", r->n_held - r->n_worse, r->n_worse);
	return r->n_worse != 0;
}

int
oracle_compare(const struct oracle_corpus *theirs, const struct oracle_corpus *ours,
	const char *dir, const char *known)
{
	struct report r = {.a = arena_new((size_t)4 << 30), .step = arena_new((size_t)4 << 30)};
	struct buf text = BUF_INIT;
	int rc = r.a && r.step ? 0 : -ENOMEM;
	if (rc == 0 && known && (rc = disk_read_file(known, (size_t)64 << 20, &text)) == 0)
		r.known_text = buf_view(&text);
	if (rc == 0 && !cases_match(theirs, ours)) {
		fprintf(stderr, "oracle: the two are answers to different questions\n");
		rc = -EINVAL;
	}
	for (size_t i = 0; rc == 0 && i < theirs->n_cases; i++)
		case_compare(&r, &theirs->cases[i], &ours->cases[i]);
	if (rc == 0)
		rc = files_write(&r, dir);
	if (rc == 0) {
		table_print(&r);
		rc = verdict_print(&r);
	} else {
		fprintf(stderr, "oracle: %s\n", strerror(-rc));
		rc = 1;
	}
	for (size_t i = 0; i < r.n_kinds; i++)
		buf_release(&r.kinds[i].diff);
	buf_release(&r.states);
	buf_release(&r.worse);
	buf_release(&r.list);
	buf_release(&text);
	arena_free(r.step);
	arena_free(r.a);
	return rc;
}
