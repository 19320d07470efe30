/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cron: schedules of CronJobs: are they well written, and when is it time?
 * Source: github.com/robfig/cron v3 (what upstream reads schedules with): behaviour, texts. */
#ifndef ORCHESTRATOR_SCHEMA_CRON_H
#define ORCHESTRATOR_SCHEMA_CRON_H

#include "base/arena.h"

enum cron_field { CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON__COUNT };
struct cron {
	uint64_t bits[CRON__COUNT]; /* of each field: the values that match */
	bool star[CRON__COUNT];     /* the field says "*": see cron_next */
	int64_t every_s;            /* > 0: "@every": nothing else counts */
};

/* cron_parse: what is wrong with a schedule: five fields of lists of ranges with steps, or @daily and the like,
 * or "@every 1h"; NULL: nothing, and *ret is filled. arena. */
const char *cron_parse(struct arena *a, struct str s, struct cron *ret);

/* cron_next: the first time after `after_s`, both seconds since the epoch on the clock the schedule is meant for; 0:
 * none within five years. Day of month and weekday: one of them is enough, unless one is "*". */
int64_t cron_next(const struct cron *c, int64_t after_s);

#endif
