/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cronjob: what the files of the CronJob controller share: cronjob.c (sync, what runs), cronjob_jobs.c
 * (creating and deleting Jobs), cronjob_time.c (is one due?). */
#ifndef ORCHESTRATOR_CONTROL_CRONJOB_H
#define ORCHESTRATOR_CONTROL_CRONJOB_H

#include "base/hash.h"
#include "orchestrator/control/control.h"

#include "kinds/batch_v1.h"

struct cronjobs {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *crons, *jobs;
	struct map known; /* uid of a Job -> cron_made: not yet in a status seen;
			   * cron_gone: in one, and not in the API */
};

/* One sync. */
struct cron_sync {
	struct cronjobs *k;
	struct arena *a;
	struct control_batch *b;
	const struct informer_obj *o;
	const struct batch_v1_cron_job *cj;
	struct doc *status, *active; /* as it will be */
	struct cron cron;
	int64_t zone_s;
};

/* What is known of Jobs before the caches show it: values of `known`. */
extern char cron_made[], cron_gone[];

/* cron_tell: an event of the CronJob. cron_take_off: from the active list. */
void cron_tell(const struct cron_sync *x, const char *type, const char *reason, struct str text);
void cron_take_off(struct cron_sync *x, struct str uid);

/* ---- cronjob_jobs.c ---- */
void cron_delete_job(struct cron_sync *x, struct str name, struct str uid);
/* cron_forget_old: of the Jobs that ended so ("Complete", "Failed"), the oldest beyond the limit go. */
void cron_forget_old(struct cron_sync *x, const char *end, bool limited, int32_t limit);
/* cron_create_job: and its place in the status, which is written then; differs: it would be written anyway. */
void cron_create_job(struct cron_sync *x, struct str name, int64_t due_s, bool differs);

/* ---- cronjob_time.c ---- */
/* What the schedule says now. */
struct cron_due {
	int64_t due_s;   /* the newest time that has come since the last Job; 0 = none */
	int64_t next_ns; /* when to look again, wall */
	bool many;       /* more than 100 were missed */
	bool never;      /* the schedule names no time */
};
struct cron_due cron_due(
	const struct cron *c, const struct batch_v1_cron_job *cj, int64_t zone_s, int64_t now_ns);

/* cron_zone: seconds east of UTC of a zone whose name says it: UTC and its other names, Etc/GMT+5. "": UTC. Errors:
 * -ENOENT any other. */
int cron_zone(struct str name, int64_t *ret_s);

/* Texts, arena: "2026-11-30T08:30:00-05:00"; "Mon, 30 Nov 2026 08:30:00 UTC". */
struct str cron_zone_time(struct arena *a, int64_t s, int64_t zone_s);
struct str cron_http_date(struct arena *a, int64_t s);
void cron_put_time(struct arena *a, struct doc *d, struct str member, int64_t wall_ns);

#endif
