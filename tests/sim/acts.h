/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * acts: a scene on virtual time: an API server, some controllers, and a client that asks one thing after the other and
 * looks at what it is answered. */
#ifndef TEST_SIM_ACTS_H
#define TEST_SIM_ACTS_H

#include "tests/unit/test.h"

#include "orchestrator/api/api.h"
#include "orchestrator/control/control.h"
#include "orchestrator/kinds/kinds.h"
#include "storage/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The API is asked step by step: the next begins when the last is answered and its time is over. */
struct act {
	enum client_verb verb;
	const char *resource, *ns,
		*name;     /* "group/plural" or the plural alone; "name/subresource" */
	const char *body;  /* "%s": the uid of what `uid_of` made */
	int uid_of;        /* a step before; -1: none */
	int http;          /* what it must be answered; 0: anything */
	const char *holds; /* and what the answer must hold; "!x": what it must not */
	int64_t wait_s;    /* afterwards */
};

struct scene {
	struct world *w;
	struct loop *l;
	struct store *store;
	struct api_server *api;
	struct server_context ctx;
	struct client *c;
	struct control *ctl;
	const struct controller *const *table;
	const struct act *acts;
	size_t n, at;
	char uid[64][40];
	struct loop_timer next;
	bool bad, done;
};

static void on_answer(void *arg, const struct client_result *r);

static void
on_next(struct loop_timer *t)
{
	struct scene *s = t->arg;
	if (s->at == s->n) {
		s->done = true;
		return;
	}
	const struct act *x = &s->acts[s->at];
	_cleanup_buf_ struct buf body = BUF_INIT;
	const char *mark = x->body ? strstr(x->body, "%s") : NULL;
	if (mark) {
		buf_add(&body, x->body, (size_t)(mark - x->body));
		buf_cstr(&body, s->uid[x->uid_of]);
		buf_cstr(&body, mark + 2);
	} else if (x->body) {
		buf_cstr(&body, x->body);
	}
	struct client_req req = {.verb = x->verb,
		.version = STR("v1"),
		.resource = str_c(x->resource),
		.ns = str_c(x->ns),
		.name = str_c(x->name),
		.body = buf_view(&body)};
	if (strchr(x->resource, '/'))
		str_cut(req.resource, '/', &req.group, &req.resource);
	str_cut(req.name, '/', &req.name, &req.subresource);
	CHECK_INT(client_call_start(s->c, &req, on_answer, s, NULL), 0);
}

static void
on_answer(void *arg, const struct client_result *r)
{
	struct scene *s = arg;
	const struct act *x = &s->acts[s->at];
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	bool not = x->holds && x->holds[0] == '!';
	bool held = !x->holds || (str_find(r->body, str_c(x->holds + not )) >= 0) != not ;
	if ((x->http && r->http != x->http) || !held) {
		printf("     step %zu: %d " STR_FMT "\n", s->at, r->http, STR_ARG(r->body));
		s->bad = s->done = true;
	}
	if (doc_parse_json(a, r->body, NULL, &d, NULL) == 0)
		str_copy_c(doc_get_str(doc_get(d, STR("metadata")), STR("uid")), s->uid[s->at],
			sizeof(s->uid[0]));
	arena_free(a);
	s->at++;
	loop_timer_after(s->l, &s->next, x->wait_s * NS_PER_SEC);
}

static int
make_client(void *arg, struct loop *l, const char *name, struct client **ret)
{
	struct scene *s = arg;
	char user[100];
	if (name[0])
		snprintf(user, sizeof(user), "system:serviceaccount:kube-system:%s", name);
	else
		snprintf(user, sizeof(user), "system:kube-controller-manager");
	struct api_identity id = {.user = str_c(user)};
	return api_client_new(s->api, l, &id, ret);
}

static void
on_ready(void *arg)
{
	static const struct str masters = STR_INIT("system:masters");
	struct scene *s = arg;
	struct api_identity id = {.user = STR("test"), .groups = &masters, .n_groups = 1};
	CHECK_INT(api_client_new(s->api, s->l, &id, &s->c), 0);
	s->ctx = (struct server_context){.api = s->api, .world = s->w};
	CHECK_INT(control_new(s->l, s->table, &s->ctx, make_client, s, &s->ctl), 0);
	s->next = (struct loop_timer){.fn = on_next, .arg = s};
	loop_timer_after(s->l, &s->next, NS_PER_SEC);
}

static bool
is_done(void *arg)
{
	return ((struct scene *)arg)->done;
}

static int
run(const struct controller *const *table, const struct act *acts, size_t n, const char *dir)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err e = {0};
	s->table = table;
	s->acts = acts;
	s->n = n;
	s->w = world_new(11, 1700000000 * NS_PER_SEC);
	s->l = loop_new(s->w, "test");
	struct store_config sc = {.dir = dir, .world = s->w, .no_sync = true};
	int rc = store_open(&sc, &s->store, &e);
	struct api_config ac = {.store = s->store, .world = s->w, .kinds = &kinds_tables};
	if (rc == 0)
		rc = api_server_new(&ac, &s->api, &e);
	if (rc == 0)
		rc = api_server_start(s->api, s->l, on_ready, s);
	if (rc == 0)
		rc = world_run(s->w, clock_mono_ns() + 900 * NS_PER_SEC, is_done, s);
	fflush(stdout);
	return rc == 0 && !s->bad ? 0 : 1;
}

/* play: the acts with these controllers at work, in a process of its own: a world is one per process. */
static int
play(const struct controller *const *table, const struct act *acts, size_t n)
{
	static int count;
	char dir[200];
	int status = -1;
	snprintf(dir, sizeof(dir), "%s/%d", TEST_TMP, count++);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run(table, acts, n, dir));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
