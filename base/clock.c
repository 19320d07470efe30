/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * clock.c: see clock.h. With loop_sim.c the only file above the C library that asks for the time.
 * Invariants: pure functions but for the two clocks; no time zone data, no locale.
 * Source: RFC 3339; Go package time (ParseDuration, Duration.String); days_from_civil after
 * Howard Hinnant's "chrono-compatible low-level date algorithms". */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

static const struct clock_source *source;

static int64_t
kernel_ns(clockid_t id)
{
	struct timespec ts = {0};
	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

int64_t
clock_mono_ns(void)
{
	return source ? source->mono_ns(source->arg) : kernel_ns(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ns(void)
{
	return source ? source->wall_ns(source->arg) : kernel_ns(CLOCK_REALTIME);
}

void
clock_set_source(const struct clock_source *src)
{
	source = src;
}

/* ---- RFC 3339 ---- */

int64_t
days_from_civil(struct civil c)
{
	int64_t y = c.month <= 2 ? c.year - 1 : c.year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

struct civil
civil_from_days(int64_t days)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned doe = (unsigned)(days - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	struct civil c = {.year = (int64_t)yoe + era * 400,
		.month = mp < 10 ? mp + 3 : mp - 9,
		.day = doy - (153 * mp + 2) / 5 + 1};
	c.year += c.month <= 2;
	return c;
}

/* put_digits: v with exactly n digits. */
static char *
put_digits(char *out, uint64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		out[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return out + n;
}

size_t
rfc3339_format(int64_t wall_ns, int digits, char *out)
{
	int64_t sec = wall_ns / NS_PER_SEC;
	int64_t ns = wall_ns % NS_PER_SEC;
	if (ns < 0) {
		ns += NS_PER_SEC;
		sec--;
	}
	return rfc3339_format_sec(sec, ns, digits, out);
}

size_t
rfc3339_format_sec(int64_t sec, int64_t ns, int digits, char *out)
{
	int64_t days = sec / 86400;
	int64_t rest = sec % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	struct civil c = civil_from_days(days);
	char *p = put_digits(out, (uint64_t)c.year, 4);
	*p++ = '-';
	p = put_digits(p, c.month, 2);
	*p++ = '-';
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_digits(p, (uint64_t)rest / 3600, 2);
	*p++ = ':';
	p = put_digits(p, (uint64_t)rest / 60 % 60, 2);
	*p++ = ':';
	p = put_digits(p, (uint64_t)rest % 60, 2);
	if (digits > 0) {
		char all[9];
		put_digits(all, (uint64_t)ns, 9);
		*p++ = '.';
		for (int i = 0; i < digits && i < 9; i++)
			*p++ = all[i];
	}
	*p++ = 'Z';
	*p = '\0';
	return (size_t)(p - out);
}

/* take_number: exactly n digits at the front of *s, in [least, most]. -1 when not. */
static int64_t
take_number(struct str *s, size_t n, int64_t least, int64_t most)
{
	uint64_t v = 0;
	if (s->n < n || str_to_u64(str_sub(*s, 0, n), &v) < 0 || (int64_t)v < least ||
		(int64_t)v > most)
		return -1;
	*s = str_sub(*s, n, SIZE_MAX);
	return (int64_t)v;
}

static bool
take_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1, SIZE_MAX);
	return true;
}

/* take_fraction: digits behind the point as nanoseconds; what is finer is cut off. -1 = no digit. */
static int64_t
take_fraction(struct str *s)
{
	int64_t ns = 0;
	int64_t unit = NS_PER_SEC / 10;
	size_t i = 0;
	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
		ns += (s->p[i] - '0') * unit;
		unit /= 10;
	}
	*s = str_sub(*s, i, SIZE_MAX);
	return i ? ns : -1;
}

static int
days_in_month(int64_t year, unsigned month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

/* take_offset: "Z" or +hh:mm in seconds; false when neither. */
static bool
take_offset(struct str *s, int64_t *ret_sec)
{
	if (take_char(s, 'Z')) {
		*ret_sec = 0;
		return true;
	}
	int64_t sign = take_char(s, '-') ? -1 : take_char(s, '+') ? 1 : 0;
	int64_t h = sign ? take_number(s, 2, 0, 24) : -1;
	if (h < 0 || !take_char(s, ':'))
		return false;
	int64_t m = take_number(s, 2, 0, 60);
	*ret_sec = sign * (h * 3600 + m * 60);
	return m >= 0;
}

int
rfc3339_parse_sec(struct str s, int64_t *ret_sec, int64_t *ret_ns)
{
	int64_t year = take_number(&s, 4, 0, 9999);
	if (year < 0 || !take_char(&s, '-'))
		return -EINVAL;
	int64_t month = take_number(&s, 2, 1, 12);
	if (month < 0 || !take_char(&s, '-'))
		return -EINVAL;
	int64_t day = take_number(&s, 2, 1, days_in_month(year, (unsigned)month));
	if (day < 0 || !take_char(&s, 'T'))
		return -EINVAL;
	int64_t hour = take_number(&s, 2, 0, 23);
	if (hour < 0 || !take_char(&s, ':'))
		return -EINVAL;
	int64_t minute = take_number(&s, 2, 0, 59);
	if (minute < 0 || !take_char(&s, ':'))
		return -EINVAL;
	int64_t second = take_number(&s, 2, 0, 59);
	if (second < 0)
		return -EINVAL;
	int64_t ns = 0;
	if (take_char(&s, '.') || take_char(&s, ','))
		ns = take_fraction(&s);
	int64_t offset = 0;
	if (ns < 0 || !take_offset(&s, &offset) || s.n != 0)
		return -EINVAL;
	int64_t days = days_from_civil((struct civil){year, (unsigned)month, (unsigned)day});
	*ret_sec = days * 86400 + hour * 3600 + minute * 60 + second - offset;
	*ret_ns = ns;
	return 0;
}

int
rfc3339_parse(struct str s, int64_t *ret_wall_ns)
{
	int64_t sec = 0, ns = 0, total = 0;
	int rc = rfc3339_parse_sec(s, &sec, &ns);
	if (rc < 0)
		return rc;
	if (__builtin_mul_overflow(sec, NS_PER_SEC, &total) ||
		__builtin_add_overflow(total, ns, &total))
		total = sec < 0 ? INT64_MIN : INT64_MAX;
	*ret_wall_ns = total;
	return 0;
}

/* ---- durations ---- */

static const struct {
	struct str name;
	int64_t ns;
} units[] = {
	{STR_INIT("ns"), 1},
	{STR_INIT("us"), NS_PER_US},
	{STR_INIT("\xc2\xb5s"), NS_PER_US},
	{STR_INIT("\xce\xbcs"), NS_PER_US},
	{STR_INIT("ms"), NS_PER_MS},
	{STR_INIT("s"), NS_PER_SEC},
	{STR_INIT("m"), 60 * NS_PER_SEC},
	{STR_INIT("h"), 3600 * NS_PER_SEC},
};

/* take_unit: the unit's name is all up to the next digit or point. 0 = unknown. */
static uint64_t
take_unit(struct str *s)
{
	size_t n = 0;
	while (n < s->n && s->p[n] != '.' && (s->p[n] < '0' || s->p[n] > '9'))
		n++;
	struct str name = str_sub(*s, 0, n);
	*s = str_sub(*s, n, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eq(units[i].name, name))
			return (uint64_t)units[i].ns;
	return 0;
}

/* take_term: one "12.5h" of a duration, added to *sum. Fractions beyond 2^63 are cut, as in Go. */
static bool
take_term(struct str *s, uint64_t *sum)
{
	const uint64_t limit = (uint64_t)1 << 63;
	uint64_t whole = 0, fraction = 0;
	double scale = 1;
	bool any = false, full = false;
	for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = str_sub(*s, 1, SIZE_MAX)) {
		if (whole > limit / 10)
			return false;
		whole = whole * 10 + (uint64_t)(s->p[0] - '0');
		any = true;
	}
	if (take_char(s, '.')) {
		for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = str_sub(*s, 1, SIZE_MAX)) {
			any = true;
			full = full || fraction > (limit - 1) / 10;
			if (full)
				continue;
			fraction = fraction * 10 + (uint64_t)(s->p[0] - '0');
			scale *= 10;
		}
	}
	uint64_t unit = any ? take_unit(s) : 0;
	if (!unit || whole > limit / unit)
		return false;
	whole *= unit;
	if (fraction)
		whole += (uint64_t)((double)fraction * ((double)unit / scale));
	*sum += whole;
	return whole <= limit && *sum <= limit;
}

int
duration_parse(struct str s, int64_t *ret_ns)
{
	bool negative = take_char(&s, '-');
	if (!negative)
		take_char(&s, '+');
	if (str_eq(s, STR("0"))) {
		*ret_ns = 0;
		return 0;
	}
	if (s.n == 0)
		return -EINVAL;
	uint64_t sum = 0;
	while (s.n)
		if (!take_term(&s, &sum))
			return -EINVAL;
	if (!negative && sum > INT64_MAX)
		return -EINVAL;
	*ret_ns = negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return 0;
}

/* put_fraction: v / 10^digits in front of `end`, without trailing zeros; *v becomes the whole part. */
static char *
put_fraction(char *end, uint64_t *v, int digits)
{
	bool print = false;
	for (int i = 0; i < digits; i++) {
		uint64_t digit = *v % 10;
		print = print || digit != 0;
		if (print)
			*--end = (char)('0' + digit);
		*v /= 10;
	}
	if (print)
		*--end = '.';
	return end;
}

static char *
put_whole(char *end, uint64_t v)
{
	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return end;
}

/* put_small: below one second: the largest of ms, us, ns that gives a whole part. */
static char *
put_small(char *p, uint64_t v)
{
	*--p = 's';
	if (v == 0) {
		*--p = '0';
		return p;
	}
	int digits = 0;
	if (v < (uint64_t)NS_PER_US) {
		*--p = 'n';
	} else if (v < (uint64_t)NS_PER_MS) {
		*--p = '\xb5';
		*--p = '\xc2';
		digits = 3;
	} else {
		*--p = 'm';
		digits = 6;
	}
	p = put_fraction(p, &v, digits);
	return put_whole(p, v);
}

size_t
duration_format(int64_t ns, char *out)
{
	char text[40];
	char *end = text + sizeof(text);
	char *p = end;
	uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	if (v < (uint64_t)NS_PER_SEC) {
		p = put_small(p, v);
	} else {
		*--p = 's';
		p = put_fraction(p, &v, 9);
		p = put_whole(p, v % 60);
		v /= 60;
		if (v) {
			*--p = 'm';
			p = put_whole(p, v % 60);
			v /= 60;
			if (v) {
				*--p = 'h';
				p = put_whole(p, v);
			}
		}
	}
	if (ns < 0)
		*--p = '-';
	memcpy(out, p, (size_t)(end - p));
	out[end - p] = '\0';
	return (size_t)(end - p);
}
