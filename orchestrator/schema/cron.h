/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cron: are schedules of CronJobs well written?
 * Source: github.com/robfig/cron v3 (what upstream reads schedules with): behaviour, texts. */
#ifndef ORCHESTRATOR_SCHEMA_CRON_H
#define ORCHESTRATOR_SCHEMA_CRON_H

#include "base/arena.h"

/* cron_fault: what is wrong with a schedule: five fields of lists of ranges with steps, or @daily and the like,
 * or "@every 1h"; NULL: nothing. arena. */
const char *cron_fault(struct arena *a, struct str s);

#endif
