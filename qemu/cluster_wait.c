/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cluster_wait: until a cluster that was started answers and its nodes are Ready: as a client of the API,
 * with the administrator's certificate, watching nodes. */
#include "qemu/cluster.h"

#include "base/disk.h"
#include "base/loop.h"
#include "orchestrator/client/client.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"

#include <stdio.h>

struct wait {
	struct loop *loop;
	const struct cluster *c;
	struct client *client;
	struct informer *nodes;
	struct loop_timer deadline;
	int64_t start_ns;
	unsigned ready;
	bool said_api;
};

static void
say(const struct wait *w, const char *fmt, ...)
{
	va_list ap;
	printf("%7.2f s  ", (double)(clock_mono_ns() - w->start_ns) / NS_PER_SEC);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static bool
is_ready(const struct informer_obj *o)
{
	const struct core_v1_node *n = o ? o->obj : NULL;
	for (size_t i = 0; n && i < n->status.n_conditions; i++)
		if (str_eq(n->status.conditions[i].type, STR("Ready")))
			return str_eq(n->status.conditions[i].status, STR("True"));
	return false;
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct wait *w = arg;
	bool was = is_ready(old), is = is_ready(new_);
	if (!old && new_ && !is)
		say(w, "%.*s has joined", STR_ARG(new_->name));
	if (is != was)
		say(w, "%.*s is %s", STR_ARG((new_ ? new_ : old)->name), is ? "Ready" : "NotReady");
	w->ready += (unsigned)is - (unsigned)was;
	if (w->ready >= w->c->n_nodes)
		loop_stop(w->loop, 0);
}

static void
on_synced(void *arg)
{
	struct wait *w = arg;
	if (!w->said_api)
		say(w, "the API answers");
	w->said_api = true;
}

static void
on_deadline(struct loop_timer *t)
{
	struct wait *w = t->arg;
	loop_stop(w->loop, -ETIMEDOUT);
}

static int
client_make(struct wait *w, struct err *e)
{
	static const char *const names[3] = {"ca.crt", "admin.crt", "admin.key"};
	struct buf pem[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	char path[600], server[64];
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(pem); i++) {
		snprintf(path, sizeof(path), "%s/pki/%s", w->c->dir, names[i]);
		rc = disk_read_file(path, 1 << 16, &pem[i]);
		if (rc < 0)
			err_errno(e, rc, "reading '%s'", path);
	}
	snprintf(server, sizeof(server), "https://127.0.0.1:%u", w->c->api_port);
	struct client_https_config cfg = {.server = str_c(server),
		.ca_pem = buf_view(&pem[0]),
		.cert_pem = buf_view(&pem[1]),
		.key_pem = buf_view(&pem[2]),
		.user_agent = STR("keelctl")};
	if (rc == 0)
		rc = client_https_new(w->loop, &cfg, &w->client, e);
	for (size_t i = 0; i < ARRAY_LEN(pem); i++)
		buf_release(&pem[i]);
	return rc;
}

int
cluster_wait_ready(const struct cluster *c, int timeout_s, int64_t start_ns, struct err *e)
{
	struct wait w = {.c = c, .start_ns = start_ns, .loop = loop_new(NULL, "wait")};
	if (!w.loop)
		return err_errno(e, -ENOMEM, "waiting for the cluster");
	struct informer_spec spec = {.version = STR("v1"),
		.resource = STR("nodes"),
		.type = SCHEMA_TYPE_OF(core_v1_node),
		.on_change = on_node,
		.on_synced = on_synced,
		.arg = &w};
	int rc = client_make(&w, e);
	if (rc == 0)
		rc = informer_new(w.client, &spec, &w.nodes);
	if (rc == 0) {
		w.deadline = (struct loop_timer){.fn = on_deadline, .arg = &w};
		loop_timer_after(w.loop, &w.deadline, timeout_s * NS_PER_SEC);
		rc = loop_run(w.loop);
		loop_timer_cancel(&w.deadline);
		if (rc < 0)
			err_set(e, rc, R_TIMEOUT,
				"%u of %u nodes are Ready after %d s (see %s/*/console.log)",
				w.ready, c->n_nodes, timeout_s, c->dir);
		else
			say(&w, "%u of %u nodes are Ready", w.ready, c->n_nodes);
	}
	informer_free(w.nodes);
	client_free(w.client);
	loop_turn(w.loop, 0);
	loop_free(w.loop);
	return rc;
}
