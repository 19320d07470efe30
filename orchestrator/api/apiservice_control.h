/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_control: the functions beside the server that keep APIServices, and what they ask other servers. All of it
 * runs on the loop the server was started on. Private to the folder. */
#ifndef ORCHESTRATOR_API_APISERVICE_CONTROL_H
#define ORCHESTRATOR_API_APISERVICE_CONTROL_H

#include "orchestrator/api/apiservice.h"
#include "orchestrator/client/client.h"

#define APISERVICE_ANSWER_MAX ((size_t)4 << 20) /* of another server's document */
#define APISERVICE_ASK_NS (5 * NS_PER_SEC)
#define APISERVICE_ADDRS_MAX 5

/* apiservice_control_new: runs on l with client c (borrowed, in system:masters); returns owned. -ENOMEM. */
struct apiservice_control;
int apiservice_control_new(
	struct api_server *s, struct client *c, struct loop *l, struct apiservice_control **ret);
void apiservice_control_free(struct apiservice_control *k);

/* What it takes to ask. */
struct apiservice_way {
	struct api_server *s;
	struct client *c;
	struct http_client *http;
};

/* ---- apiservice_check.c ---- */

/* How it stands with a remote one. */
struct apiservice_state {
	const char *status, *reason; /* of the condition */
	struct str message;
	struct http_addr addrs[APISERVICE_ADDRS_MAX]; /* where it may be asked, in no order */
	size_t n_addrs;
};
typedef void apiservice_state_fn(void *arg, const struct apiservice_state *st);
/* apiservice_check_start: where it is (ask = false), and whether it answers there (ask = true); done runs once, never
 * within this call; what it is given is valid until it returns. 0 or -ENOMEM. */
struct apiservice_check;
int apiservice_check_start(const struct apiservice_way *way, struct apiservice *x, bool ask,
	apiservice_state_fn *done, void *arg, struct apiservice_check **ret);
void apiservice_check_cancel(struct apiservice_check *c);
/* apiservice_endpoints: of an EndpointSliceList, those of a port that are ready, any few of them. found: there is
 * a slice at all. */
void apiservice_endpoints(struct arena *a, const struct doc *list, struct str port_name,
	struct apiservice_state *st, bool *ret_found);
/* apiservice_ask: a GET under the aggregator's own name. As http_fetch. */
int apiservice_ask(const struct apiservice_way *way, struct apiservice *x,
	const struct http_addr *at, struct str path, struct str accept, struct str etag,
	http_fetch_fn *done, void *arg, struct http_fetch **ret, struct err *e);

/* ---- apiservice_fetch.c ---- */
struct apiservice_fetcher;
struct apiservice_fetcher *apiservice_fetcher_new(const struct apiservice_way *way, struct loop *l);
void apiservice_fetcher_free(struct apiservice_fetcher *f);
/* apiservice_fetcher_put: x (a reference is taken) is there, or has changed. _del: no more. _keep: those `keeps` is
 * false for are no more. */
void apiservice_fetcher_put(struct apiservice_fetcher *f, struct apiservice *x);
void apiservice_fetcher_del(struct apiservice_fetcher *f, struct str name);
void apiservice_fetcher_keep(
	struct apiservice_fetcher *f, bool (*keeps)(void *arg, struct str name), void *arg);

#endif
