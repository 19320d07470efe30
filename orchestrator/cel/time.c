/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * time: timestamps and durations: their texts, their parts, and the functions over them. Zones are offsets ("+02:00")
 * and UTC: there is no database of zones here. Source: RFC 3339; Go time.ParseDuration; cel-spec (getFullYear ..). */
#include "base/clock.h"
#include "orchestrator/cel/cel_int.h"

#define SECOND 1000000000
#define DAY 86400
#define MIN_SEC (-62135596800) /* 0001-01-01T00:00:00Z */
#define MAX_SEC 253402300799   /* 9999-12-31T23:59:59Z */

struct calendar {
	int64_t year;
	int month, day, hour, minute, second, weekday, yearday;
};

static struct calendar
calendar_of(int64_t sec)
{
	int64_t days = sec / DAY, rest = sec % DAY;
	if (rest < 0) {
		rest += DAY;
		days--;
	}
	struct civil date = civil_from_days(days);
	struct calendar c = {.year = date.year,
		.day = (int)date.day,
		.month = (int)date.month,
		.hour = (int)(rest / 3600),
		.minute = (int)(rest / 60 % 60),
		.second = (int)(rest % 60)};
	c.weekday = (int)(((days % 7) + 11) % 7);
	c.yearday = (int)(days - days_from_civil((struct civil){c.year, 1, 1}));
	return c;
}

static bool
digits(struct str *s, size_t n, int *ret)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		if (i >= s->n || s->p[i] < '0' || s->p[i] > '9')
			return false;
	if (str_to_u64(str_sub(*s, 0, n), &v) < 0)
		return false;
	*ret = (int)v;
	*s = str_sub(*s, n, SIZE_MAX);
	return true;
}

static bool
mark(struct str *s, const char *any)
{
	if (s->n == 0 || !strchr(any, s->p[0]))
		return false;
	*s = str_sub(*s, 1, SIZE_MAX);
	return true;
}

/* "+02:00" or "02:00": seconds. */
static bool
parse_offset(struct str s, int64_t *ret)
{
	int h = 0, m = 0;
	bool minus = s.n && s.p[0] == '-';
	mark(&s, "+-");
	if (!digits(&s, 2, &h) || !mark(&s, ":") || !digits(&s, 2, &m) || s.n)
		return false;
	*ret = (h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}

static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

bool
cel_parse_time(struct str s, struct cel_value *ret)
{
	int y = 0, mo = 0, d = 0, h = 0, mi = 0, sec = 0;
	int32_t ns = 0;
	int64_t offset = 0;
	if (!digits(&s, 4, &y) || !mark(&s, "-") || !digits(&s, 2, &mo) || !mark(&s, "-") ||
		!digits(&s, 2, &d) || !mark(&s, "T") || !digits(&s, 2, &h) || !mark(&s, ":") ||
		!digits(&s, 2, &mi) || !mark(&s, ":") || !digits(&s, 2, &sec))
		return false;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (mo < 1 || mo > 12 || d < 1 || d > month_days[mo - 1] + (mo == 2 && leap) || h > 23 ||
		mi > 59 || sec > 59)
		return false;
	if (mark(&s, ".,")) {
		int32_t unit = SECOND / 10;
		int one = 0;
		size_t n = 0;
		while (digits(&s, 1, &one)) {
			ns += one * unit;
			unit /= 10;
			n++;
		}
		if (n == 0)
			return false;
	}
	if (!(s.n == 1 && s.p[0] == 'Z') &&
		(s.n == 0 || !strchr("+-", s.p[0]) || !parse_offset(s, &offset)))
		return false;
	int64_t at = days_from_civil((struct civil){y, (unsigned)mo, (unsigned)d}) * DAY +
		h * 3600 + mi * 60 + sec - offset;
	if (at < MIN_SEC || at > MAX_SEC)
		return false;
	*ret = cel_of_time(at, ns);
	ret->time.offset = (int32_t)offset;
	return true;
}

static void
put_fraction(struct buf *b, int64_t ns)
{
	char out[16];
	int n = 9;
	if (ns == 0)
		return;
	while (ns % 10 == 0) {
		ns /= 10;
		n--;
	}
	for (int i = n; i; i--) {
		out[i - 1] = (char)('0' + ns % 10);
		ns /= 10;
	}
	buf_char(b, '.');
	buf_add(b, out, (size_t)n);
}

void
cel_put_time(struct buf *b, const struct cel_value *v)
{
	struct calendar c = calendar_of(v->time.sec + v->time.offset);
	int minutes = v->time.offset < 0 ? -v->time.offset / 60 : v->time.offset / 60;
	buf_fmt(b, "%04d-%02d-%02dT%02d:%02d:%02d", (int)c.year, c.month, c.day, c.hour, c.minute,
		c.second);
	put_fraction(b, v->time.nsec);
	if (minutes)
		buf_fmt(b, "%c%02d:%02d", v->time.offset < 0 ? '-' : '+', minutes / 60,
			minutes % 60);
	else
		buf_char(b, 'Z');
}

void
cel_put_duration(struct buf *b, int64_t ns)
{
	/* as a float64 of seconds prints */
	double whole = (double)(ns / SECOND), part = (double)(ns % SECOND) / 1e9;
	double d = whole + part;
	if (d == (double)(int64_t)d) {
		buf_fmt(b, "%llds", (long long)(int64_t)d);
		return;
	}
	if (ns < 0)
		buf_char(b, '-');
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	buf_fmt(b, "%llu", (unsigned long long)(u / SECOND));
	put_fraction(b, (int64_t)(u % SECOND));
	buf_char(b, 's');
}

bool
cel_parse_duration(struct str s, int64_t *ret)
{
	return duration_parse(s, ret) == 0;
}

/* ---- functions ---- */

enum part { YEAR, MONTH, YEARDAY, MONTHDAY, DATE, WEEKDAY, HOUR, MINUTE, SECONDS, MILLIS };

static struct cel_value
part_of(struct cel_eval *e, const struct cel_value *args, size_t n, enum part which)
{
	int64_t offset = 0;
	if (args[0].kind == CEL_DURATION) {
		int64_t ns = args[0].ns;
		return cel_of_int(which == HOUR    ? ns / SECOND / 3600
				: which == MINUTE  ? ns / SECOND / 60
				: which == SECONDS ? ns / SECOND
						   : ns / 1000000);
	}
	if (n > 1 && args[1].s.n && !str_eq_c(args[1].s, "UTC") &&
		!parse_offset(args[1].s, &offset))
		return cel_fault(e, "unknown time zone %.*s", STR_ARG(args[1].s));
	struct calendar c = calendar_of(args[0].time.sec + offset);
	const int64_t parts[] = {[YEAR] = c.year,
		[MONTH] = c.month - 1,
		[YEARDAY] = c.yearday,
		[MONTHDAY] = c.day - 1,
		[DATE] = c.day,
		[WEEKDAY] = c.weekday,
		[HOUR] = c.hour,
		[MINUTE] = c.minute,
		[SECONDS] = c.second,
		[MILLIS] = args[0].time.nsec / 1000000};
	return cel_of_int(parts[which]);
}

#define PART(fn, which)                                                                            \
	static struct cel_value fn(struct cel_eval *e, const struct cel_value *args, size_t n)     \
	{                                                                                          \
		return part_of(e, args, n, which);                                                 \
	}
PART(get_year, YEAR)
PART(get_month, MONTH)
PART(get_yearday, YEARDAY)
PART(get_monthday, MONTHDAY)
PART(get_date, DATE)
PART(get_weekday, WEEKDAY)
PART(get_hours, HOUR)
PART(get_minutes, MINUTE)
PART(get_seconds, SECONDS)
PART(get_millis, MILLIS)

#define OF_TIME(name, id, zone_id, fn)                                                             \
	{name, id, ".int(timestamp)", fn, COST_ONE},                                               \
	{                                                                                          \
		name, zone_id, ".int(timestamp, string)", fn, COST_ONE                             \
	}
static const struct cel_fn_row rows[] = {
	OF_TIME("getFullYear", "timestamp_to_year", "timestamp_to_year_with_tz", get_year),
	OF_TIME("getMonth", "timestamp_to_month", "timestamp_to_month_with_tz", get_month),
	OF_TIME("getDayOfYear", "timestamp_to_day_of_year", "timestamp_to_day_of_year_with_tz",
		get_yearday),
	OF_TIME("getDayOfMonth", "timestamp_to_day_of_month", "timestamp_to_day_of_month_with_tz",
		get_monthday),
	OF_TIME("getDate", "timestamp_to_day_of_month_1_based",
		"timestamp_to_day_of_month_1_based_with_tz", get_date),
	OF_TIME("getDayOfWeek", "timestamp_to_day_of_week", "timestamp_to_day_of_week_with_tz",
		get_weekday),
	OF_TIME("getHours", "timestamp_to_hours", "timestamp_to_hours_with_tz", get_hours),
	{"getHours", "duration_to_hours", ".int(duration)", get_hours, COST_ONE},
	OF_TIME("getMinutes", "timestamp_to_minutes", "timestamp_to_minutes_with_tz", get_minutes),
	{"getMinutes", "duration_to_minutes", ".int(duration)", get_minutes, COST_ONE},
	OF_TIME("getSeconds", "timestamp_to_seconds", "timestamp_to_seconds_tz", get_seconds),
	{"getSeconds", "duration_to_seconds", ".int(duration)", get_seconds, COST_ONE},
	OF_TIME("getMilliseconds", "timestamp_to_milliseconds", "timestamp_to_milliseconds_with_tz",
		get_millis),
	{"getMilliseconds", "duration_to_milliseconds", ".int(duration)", get_millis, COST_ONE},
};
const struct cel_fn_table cel_fns_time = {rows, ARRAY_LEN(rows)};
