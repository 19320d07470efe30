/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cron: faults of schedules, in the order in which upstream finds them, and the times they mean. */
#include "orchestrator/schema/cron.h"

#include "base/buf.h"
#include "base/clock.h"

#include <assert.h>

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
static_assert(ARRAY_LEN(fields) == CRON__COUNT, "one row a field");

static const struct {
	const char *word, *means;
} words[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"}};

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

/* add_range: "*", "5", "1-5", each with "/2" or not. */
static const char *
add_range(struct arena *a, struct str expr, size_t field, struct cron *c)
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
	for (int64_t i = x; i <= y; i += n > max ? max + 1 : n)
		c->bits[field] |= 1ULL << i;
	c->star[field] = c->star[field] || (is_star(from) && n == 1);
	return NULL;
}

/* split: the words of s, at most CRON__COUNT of them; all of them joined by blanks. How many there are. */
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
			if (n < CRON__COUNT)
				ret[n] = word;
			n++;
		}
		i++;
	}
	*joined = b.failed ? STR_NONE : buf_view(&b);
	return n;
}

static const char *
parse_every(struct arena *a, struct str s, struct cron *ret)
{
	int64_t every_ns = 0;

	if (!str_starts(s, STR("@every ")))
		return arena_fmt(a, "unrecognized descriptor: " STR_FMT, STR_ARG(s)).p;
	if (duration_parse(str_sub(s, 7, SIZE_MAX), &every_ns) < 0)
		return arena_fmt(a, "failed to parse duration " STR_FMT ": time: invalid duration",
			STR_ARG(s))
			.p;
	ret->every_s = every_ns < NS_PER_SEC ? 1 : every_ns / NS_PER_SEC;
	return NULL;
}

const char *
cron_parse(struct arena *a, struct str s, struct cron *ret)
{
	struct str field[CRON__COUNT], joined = STR_NONE;

	*ret = (struct cron){0};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq_c(s, words[i].word))
			s = str_c(words[i].means);
	if (str_starts(s, STR("@")))
		return parse_every(a, s, ret);
	size_t n = split(a, s, field, &joined);
	if (n != CRON__COUNT)
		return arena_fmt(a, "expected exactly %d fields, found %zu: [" STR_FMT "]",
			CRON__COUNT, n, STR_ARG(joined))
			.p;
	for (size_t i = 0; i < CRON__COUNT; i++) {
		struct str part = STR_NONE;

		while (str_next(&field[i], ',', &part)) {
			const char *why = part.n ? add_range(a, part, i, ret) : NULL;

			if (why)
				return why;
		}
	}
	return NULL;
}

static bool
has(const struct cron *c, enum cron_field f, int64_t value)
{
	return (c->bits[f] >> value) & 1;
}

static bool
day_matches(const struct cron *c, int64_t day)
{
	struct civil date = civil_from_days(day);
	bool of_month = has(c, CRON_DAY, date.day);
	bool of_week = has(c, CRON_WEEKDAY, ((day + 4) % 7 + 7) % 7); /* day 0 was a Thursday */

	if (!has(c, CRON_MONTH, date.month))
		return false;
	return c->star[CRON_DAY] || c->star[CRON_WEEKDAY] ? of_month && of_week
							  : of_month || of_week;
}

int64_t
cron_next(const struct cron *c, int64_t after_s)
{
	if (c->every_s)
		return after_s + c->every_s;
	if (after_s < 0)
		return 0;
	int64_t minute = after_s / 60 + 1, first = minute / 1440;
	int64_t last_year = civil_from_days(first).year + 5;
	for (int64_t day = first; civil_from_days(day).year <= last_year; day++) {
		if (!day_matches(c, day))
			continue;
		for (int64_t m = day == first ? minute % 1440 : 0; m < 1440; m++)
			if (has(c, CRON_HOUR, m / 60) && has(c, CRON_MINUTE, m % 60))
				return (day * 1440 + m) * 60;
	}
	return 0;
}
