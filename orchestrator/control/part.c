/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * part: the controllers as a row of the control role: one task, a direct client for each identity. */
#include "orchestrator/api/api.h"
#include "orchestrator/control/addons.h"
#include "orchestrator/control/control.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct part {
	struct server_context ctx;
	struct loop *loop;
	struct control *ctl;
	struct client *masters; /* makes the addons */
	struct addons *addons;
};

static int
make_client(void *arg, struct loop *l, const char *name, struct client **ret)
{
	struct part *p = arg;
	char user[120];
	if (name[0])
		snprintf(user, sizeof(user), "system:serviceaccount:kube-system:%s", name);
	else
		snprintf(user, sizeof(user), "system:kube-controller-manager");
	struct api_identity id = {.user = str_c(user), .user_agent = str_c(name)};
	return api_client_new(p->ctx.api, l, &id, ret);
}

static void
on_start(struct loop *l, void *arg)
{
	struct part *p = arg;
	static const struct str group = STR_INIT("system:masters");
	struct api_identity id = {
		.user = STR("system:keelson-addons"), .groups = &group, .n_groups = 1};
	int rc = control_new(l, controllers, &p->ctx, make_client, p, &p->ctl);
	if (rc == 0)
		rc = api_client_new(p->ctx.api, l, &id, &p->masters);
	if (rc == 0)
		rc = addons_new(p->masters, &p->ctx, &p->addons);
	if (rc < 0)
		log_error("controllers: starting: %s", strerror(-rc));
}

static void
on_end(struct loop *l, void *arg)
{
	struct part *p = arg;
	(void)l;
	addons_free(p->addons);
	client_free(p->masters);
	control_free(p->ctl);
}

static int
part_start(const struct server_context *ctx, void **ret, struct err *e)
{
	struct part *p = calloc(1, sizeof(*p));
	if (!p)
		return err_errno(e, -ENOMEM, "controllers");
	p->ctx = *ctx;
	int rc = loop_task_start(ctx->world, "controllers", 0, on_start, on_end, p, &p->loop);
	if (rc < 0) {
		free(p);
		return err_errno(e, rc, "starting the controllers' task");
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

const struct server_part control_part = {"controllers", part_start, part_stop};
