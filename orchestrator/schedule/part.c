/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * part: the scheduler as a row of the control role: a task of its own with a direct client of its own
 * identity. */
#include "orchestrator/api/api.h"
#include "orchestrator/schedule/schedule.h"

#include "base/log.h"

#include <stdlib.h>

struct part {
	struct api_server *api;
	struct loop *loop;
	struct client *client;
	struct scheduler *scheduler;
};

static void
on_start(struct loop *l, void *arg)
{
	struct part *p = arg;
	struct api_identity id = {
		.user = STR("system:kube-scheduler"), .user_agent = STR("kube-scheduler")};
	int rc = api_client_new(p->api, l, &id, &p->client);
	if (rc == 0) {
		struct scheduler_config cfg = {.client = p->client};
		rc = scheduler_new(&cfg, &p->scheduler);
	}
	if (rc < 0)
		log_error("scheduler: starting: %s", strerror(-rc));
}

static void
on_exit_task(struct loop *l, void *arg)
{
	struct part *p = arg;
	(void)l;
	scheduler_free(p->scheduler);
	client_free(p->client);
}

static int
part_start(const struct server_context *ctx, void **ret, struct err *e)
{
	struct part *p = calloc(1, sizeof(*p));
	if (!p)
		return err_errno(e, -ENOMEM, "scheduler");
	p->api = ctx->api;
	int rc = loop_task_start(ctx->world, "scheduler", 0, on_start, on_exit_task, p, &p->loop);
	if (rc < 0) {
		free(p);
		return err_errno(e, rc, "starting the scheduler's task");
	}
	*ret = p;
	return 0;
}

static void
part_stop(void *arg)
{
	struct part *p = arg;
	loop_task_join(p->loop);
	free(p);
}

const struct server_part schedule_part = {"scheduler", part_start, part_stop};
