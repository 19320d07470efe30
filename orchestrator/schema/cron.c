/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cron: faults of schedules, in the order in which upstream finds them. */
#include "orchestrator/schema/cron.h"

#include "base/buf.h"
#include "base/clock.h"

static const struct {
	int64_t min, max;
	const char *names[13];
} fields[] = {
	{0, 59, {NULL}},
	{0, 23, {NULL}},
	{1, 31, {NULL}},
	{1, 12,
		{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
			NULL}},
	{0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL}},
};
#define N_FIELDS ARRAY_LEN(fields)

static const char *const words[] = {
	"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", NULL};

static bool
is_star(struct str s)
{
	return str_eq_c(s, "*") || str_eq_c(s, "?");
}

/* number_of: a number, or a name of the field; else a fault. */
static const char *
number_of(struct arena *a, struct str s, const char *const *names, int64_t min, int64_t *ret)
{
	for (int64_t i = 0; names && names[i]; i++)
		if (str_eq_nocase(s, str_c(names[i]))) {
			*ret = i + min;
			return NULL;
		}
	if (str_to_i64(s, ret) != 0)
		return arena_fmt(a,
			"failed to parse int from " STR_FMT ": strconv.Atoi: parsing \"" STR_FMT
			"\": invalid syntax",
			STR_ARG(s), STR_ARG(s))
			.p;
	if (*ret < 0)
		return arena_fmt(a, "negative number (%lld) not allowed: " STR_FMT, (long long)*ret,
			STR_ARG(s))
			.p;
	return NULL;
}

/* range_fault: "*", "5", "1-5", each with "/2" or not. */
static const char *
range_fault(struct arena *a, struct str expr, size_t field)
{
	struct str range = expr, step = STR_NONE, from = STR_NONE, to = STR_NONE;
	const char *const *names = fields[field].names;
	int64_t min = fields[field].min, max = fields[field].max, x = min, y = max, n = 1;
	bool stepped = str_cut(expr, '/', &range, &step);
	bool ranged = str_cut(range, '-', &from, &to);
	const char *why = NULL;

	if (!ranged)
		from = range;
	if (!is_star(from)) {
		why = number_of(a, from, names, min, &x);
		if (why == NULL && ranged && str_find_char(to, '-') >= 0)
			why = arena_fmt(a, "too many hyphens: " STR_FMT, STR_ARG(expr)).p;
		if (why == NULL && ranged)
			why = number_of(a, to, names, min, &y);
		if (!ranged && !stepped)
			y = x;
	}
	if (why == NULL && str_find_char(step, '/') >= 0)
		why = arena_fmt(a, "too many slashes: " STR_FMT, STR_ARG(expr)).p;
	if (why == NULL && stepped)
		why = number_of(a, step, NULL, 0, &n);
	if (why)
		return why;
	if (x < min)
		return arena_fmt(a, "beginning of range (%lld) below minimum (%lld): " STR_FMT,
			(long long)x, (long long)min, STR_ARG(expr))
			.p;
	if (y > max)
		return arena_fmt(a, "end of range (%lld) above maximum (%lld): " STR_FMT,
			(long long)y, (long long)max, STR_ARG(expr))
			.p;
	if (x > y)
		return arena_fmt(a,
			"beginning of range (%lld) beyond end of range (%lld): " STR_FMT,
			(long long)x, (long long)y, STR_ARG(expr))
			.p;
	if (n == 0)
		return arena_fmt(
			a, "step of range should be a positive number: " STR_FMT, STR_ARG(expr))
			.p;
	return NULL;
}

static const char *
word_fault(struct arena *a, struct str s)
{
	int64_t every_ns = 0;

	for (const char *const *w = words; *w; w++)
		if (str_eq_c(s, *w))
			return NULL;
	if (!str_starts(s, STR("@every ")))
		return arena_fmt(a, "unrecognized descriptor: " STR_FMT, STR_ARG(s)).p;
	if (duration_parse(str_sub(s, 7, SIZE_MAX), &every_ns) == 0)
		return NULL;
	return arena_fmt(
		a, "failed to parse duration " STR_FMT ": time: invalid duration", STR_ARG(s))
		.p;
}

/* split: the words of s, at most N_FIELDS of them; all of them joined by blanks. How many there are. */
static size_t
split(struct arena *a, struct str s, struct str *ret, struct str *joined)
{
	size_t n = 0, i = 0;
	struct buf b;

	buf_init_arena(&b, a);
	while (i < s.n) {
		size_t from = i;

		while (i < s.n && !(s.p[i] == ' ' || (s.p[i] >= '\t' && s.p[i] <= '\r')))
			i++;
		if (i > from) {
			struct str word = str_sub(s, from, i);

			buf_cstr(&b, n ? " " : "");
			buf_str(&b, word);
			if (n < N_FIELDS)
				ret[n] = word;
			n++;
		}
		i++;
	}
	*joined = b.failed ? STR_NONE : buf_view(&b);
	return n;
}

const char *
cron_fault(struct arena *a, struct str s)
{
	struct str field[N_FIELDS], joined = STR_NONE;
	size_t n = 0;

	if (str_starts(s, STR("@")))
		return word_fault(a, s);
	n = split(a, s, field, &joined);
	if (n != N_FIELDS)
		return arena_fmt(a, "expected exactly %zu fields, found %zu: [" STR_FMT "]",
			N_FIELDS, n, STR_ARG(joined))
			.p;
	for (size_t i = 0; i < N_FIELDS; i++) {
		struct str part = STR_NONE;

		while (str_next(&field[i], ',', &part)) {
			const char *why = part.n ? range_fault(a, part, i) : NULL;

			if (why)
				return why;
		}
	}
	return NULL;
}
