/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * clock: the only source of time above base/. Real by default; a simulated world (base/loop.h)
 * replaces it for every loop of that world. Nanoseconds in int64_t: until the year 2262. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS 1000000LL
#define NS_PER_US 1000LL

/* clock_mono_ns: monotonic, for deadlines and durations. clock_wall_ns: since the Unix epoch. */
int64_t clock_mono_ns(void);
int64_t clock_wall_ns(void);
/* clock_set_source: functions used instead of the kernel's by this whole process (simulation, tests);
 * NULL restores. The wall clock follows the mono one plus a fixed offset in a simulation. */
struct clock_source {
	int64_t (*mono_ns)(void *arg);
	int64_t (*wall_ns)(void *arg);
	void *arg;
};
void clock_set_source(const struct clock_source *src);

/* rfc3339_format: "2026-11-23T23:09:03Z" (digits = 0), or with 3, 6 or 9 fractional digits. out holds
 * >= 36 bytes; returns the length. */
size_t rfc3339_format(int64_t wall_ns, int digits, char *out);
/* rfc3339_parse: any offset, any number of fractional digits; times that nanoseconds do not reach are the first or
 * the last they do. 0 or -EINVAL. Source: RFC 3339. */
int rfc3339_parse(struct str s, int64_t *ret_wall_ns);
/* The same of seconds since the Unix epoch and nanoseconds beyond them: years 0 to 9999. */
size_t rfc3339_format_sec(int64_t sec, int64_t ns, int digits, char *out);
int rfc3339_parse_sec(struct str s, int64_t *ret_sec, int64_t *ret_ns);
/* Dates of the Gregorian calendar and days since the Unix epoch. month and day from 1. */
struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
};
int64_t days_from_civil(struct civil c);
struct civil civil_from_days(int64_t days);
/* duration_parse: Go's time.ParseDuration ("1h15m30.5s", "100ms"). 0 or -EINVAL. */
int duration_parse(struct str s, int64_t *ret_ns);
/* duration_format: Go's Duration.String ("1m30s", "1.5s", "100ms", "0s"); out >= 40 bytes. */
size_t duration_format(int64_t ns, char *out);

#endif
