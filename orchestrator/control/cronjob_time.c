/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cronjob_time: which time of a schedule is due, zones, and how times are written. Pure.
 * Source: kube-controller-manager pkg/controller/cronjob (mostRecentScheduleTime); IANA tz database, file etcetera. */
#include "orchestrator/control/cronjob.h"

#define LATE_NS (100 * NS_PER_MS) /* clocks are not that exact */
#define MANY 100

/* ---- zones ---- */

int
cron_zone(struct str name, int64_t *ret_s)
{
	static const char *const utc[] = {"", "UTC", "UCT", "GMT", "GMT0", "GMT+0", "GMT-0",
		"Greenwich", "Universal", "Zulu"};
	bool etc = str_starts(name, STR("Etc/"));
	struct str rest = etc ? str_sub(name, 4, SIZE_MAX) : name;
	*ret_s = 0;
	for (size_t i = etc ? 1 : 0; i < ARRAY_LEN(utc); i++)
		if (str_eq_c(rest, utc[i]))
			return 0;
	if (!etc || !str_starts(rest, STR("GMT")) || rest.n < 5 || rest.n > 6)
		return -ENOENT;
	/* What is west of Greenwich has a plus here; the zones are -14 to +12. */
	int64_t hours;
	bool west = rest.p[3] == '+';
	if ((!west && rest.p[3] != '-') || rest.p[4] == '0' ||
		str_to_i64(str_sub(rest, 4, SIZE_MAX), &hours) < 0 || hours < 1 ||
		hours > (west ? 12 : 14))
		return -ENOENT;
	*ret_s = (west ? -hours : hours) * 3600;
	return 0;
}

/* next: as cron_next, for a time of UTC. */
static int64_t
next(const struct cron *c, int64_t s, int64_t zone_s)
{
	int64_t t = cron_next(c, s + zone_s);
	return t ? t - zone_s : 0;
}

/* ---- what is due ---- */

/* recent: the newest time after `from` that is not after now; 0 = none. *ret_missed: about how many there were. */
static int64_t
recent(const struct cron *c, int64_t from, int64_t zone_s, int64_t now, int64_t *ret_missed,
	bool *ret_never)
{
	int64_t t1 = next(c, from, zone_s), t2 = t1 ? next(c, t1, zone_s) : 0, last = 0;
	*ret_missed = 0;
	*ret_never = !t1 || !t2;
	if (*ret_never || now < t1)
		return 0;
	if (now < t2)
		return t1;
	/* From a place that is not long before now; the distance of times may vary. */
	int64_t n = (now - t1) / (t2 - t1) + 1;
	*ret_missed = n;
	for (int64_t t = next(c, t1 + (n - 2) * (t2 - t1), zone_s); t && t <= now;
		t = next(c, t, zone_s))
		last = t;
	return last;
}

struct cron_due
cron_due(const struct cron *c, const struct batch_v1_cron_job *cj, int64_t zone_s, int64_t now_ns)
{
	int64_t now = now_ns / NS_PER_SEC, missed, ignored;
	int64_t from = (cj->status.last_schedule_time ? cj->status.last_schedule_time
						      : cj->metadata.creation_timestamp) /
		NS_PER_SEC;
	int64_t since = from;
	struct cron_due d = {0};
	bool never;
	if (cj->spec.has_starting_deadline_seconds &&
		now - cj->spec.starting_deadline_seconds > since)
		since = now - cj->spec.starting_deadline_seconds;
	d.due_s = recent(c, since, zone_s, now, &missed, &d.never);
	d.many = missed > MANY;
	int64_t last = recent(c, from, zone_s, now, &ignored, &never);
	if (!last)
		last = never || ignored ? now : from;
	int64_t then = next(c, last, zone_s);
	/* Nothing for five years: look again in a day. */
	d.next_ns = then ? then * NS_PER_SEC + LATE_NS : now_ns + 86400 * NS_PER_SEC;
	return d;
}

/* ---- texts ---- */

struct str
cron_zone_time(struct arena *a, int64_t s, int64_t zone_s)
{
	char text[40];
	size_t n = rfc3339_format_sec(s + zone_s, 0, 0, text);
	int64_t hours = (zone_s < 0 ? -zone_s : zone_s) / 3600;
	if (!zone_s)
		return arena_str(a, str_from(text, n));
	return arena_fmt(
		a, "%.*s%c%02lld:00", (int)n - 1, text, zone_s < 0 ? '-' : '+', (long long)hours);
}

struct str
cron_http_date(struct arena *a, int64_t s)
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t day = s / 86400, second = s % 86400;
	struct civil d = civil_from_days(day);
	return arena_fmt(a, "%.3s, %02u %.3s %lld %02d:%02d:%02d UTC", days + day % 7 * 3, d.day,
		months + (d.month - 1) * 3, (long long)d.year, (int)(second / 3600),
		(int)(second / 60 % 60), (int)(second % 60));
}

void
cron_put_time(struct arena *a, struct doc *d, struct str member, int64_t wall_ns)
{
	char text[40];
	rfc3339_format(wall_ns, 0, text);
	doc_set_str(a, d, member, arena_str(a, str_c(text)));
}
