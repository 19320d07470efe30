/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client: the calls of client.h, handed to the transport. */
#include "orchestrator/client/client.h"

int
client_call_start(struct client *c, const struct client_req *req, client_done_fn *done, void *arg,
	struct client_call **ret_call)
{
	LOOP_ASSERT(c->loop);
	return c->ops->call(c, req, done, arg, ret_call);
}

void
client_call_cancel(struct client_call *call)
{
	if (call)
		call->c->ops->cancel(call);
}

int
client_watch_start(struct client *c, const struct client_req *req,
	const struct client_watch_fns *fns, void *arg, struct client_watch **ret)
{
	LOOP_ASSERT(c->loop);
	return c->ops->watch(c, req, fns, arg, ret);
}

void
client_watch_stop(struct client_watch *w)
{
	if (w)
		w->c->ops->watch_stop(w);
}

void
client_free(struct client *c)
{
	if (!c)
		return;
	client_events_forget();
	c->ops->free(c);
}
