/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * play.h: plays on virtual time: store, API server and the controllers of a table, and on demand nodes that pretend
 * and the scheduler. A play is a table of steps: each asks the API one thing, when the step before it is answered
 * and its time is over. */
#ifndef PLAY_H
#define PLAY_H

#include "tests/unit/test.h"

#include "orchestrator/api/api.h"
#include "orchestrator/control/control.h"
#include "orchestrator/hollow/hollow.h"
#include "orchestrator/kinds/kinds.h"
#include "orchestrator/schedule/schedule.h"
#include "storage/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct act {
	enum client_verb verb;
	/* "pods", "pods/status"; its group is in play_groups. "v2:x": of this version; "metrics.k8s.io:pods": of v1beta1
	 * of this group. */
	const char *resource;
	const char *ns, *name;
	const char *body; /* "%s": the uid of what `uid_of` made */
	int uid_of;       /* a step before; -1: none */
	int http;         /* what it must be answered; 0: anything */
	/* and what the answer must hold: texts between '|'; "!x": not; "3*x": so often */
	const char *holds;
	int64_t wait_s; /* afterwards; AT_ONCE: the next step does not even wait for the answer */
};
#define AT_ONCE (-1)

static const char *const play_groups[][2] = {{"apps", "deployments"}, {"apps", "replicasets"},
	{"apps", "daemonsets"}, {"apps", "statefulsets"}, {"apps", "controllerrevisions"},
	{"autoscaling", "horizontalpodautoscalers"}, {"batch", "jobs"}, {"batch", "cronjobs"},
	{"policy", "poddisruptionbudgets"}, {"scheduling.k8s.io", "priorityclasses"},
	{"discovery.k8s.io", "endpointslices"}, {"example.com", "foos"},
	{"apiextensions.k8s.io", "customresourcedefinitions"}};

struct scene {
	struct world *w;
	struct loop *l;
	struct store *store;
	struct api_server *api;
	struct server_context ctx;
	struct client *c, *scheduler_client;
	struct control *ctl;
	const struct controller *const *table;
	struct hollow *hollow;
	struct scheduler *scheduler;
	unsigned nodes;
	const struct act *acts;
	size_t n, at, answered;
	char uid[64][40];
	struct loop_timer next;
	bool bad, done;
};

static void play_answer(void *arg, const struct client_result *r);

static void
play_next(struct loop_timer *t)
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
	bool all = x->verb == CLIENT_GET && !x->name[0];
	struct client_req req = {.verb = all ? CLIENT_LIST : x->verb,
		.version = STR("v1"),
		.ns = str_c(x->ns),
		.name = str_c(x->name),
		.body = buf_view(&body)};
	struct str group, resource;
	bool foreign = str_cut(str_c(x->resource), ':', &group, &resource);
	bool of_group = foreign && str_find_char(group, '.') >= 0;
	if (foreign)
		req.version = of_group ? STR("v1beta1") : group;
	if (of_group)
		req.group = group;
	str_cut(foreign ? resource : str_c(x->resource), '/', &req.resource, &req.subresource);
	for (size_t i = 0; !of_group && i < ARRAY_LEN(play_groups); i++)
		if (str_eq_c(req.resource, play_groups[i][1]))
			req.group = str_c(play_groups[i][0]);
	CHECK_INT(client_call_start(s->c, &req, play_answer, s, NULL), 0);
	s->at++;
	if (x->wait_s == AT_ONCE)
		play_next(t);
}

static bool
play_holds(struct str body, const char *what)
{
	struct str rest = str_c(what), part, count, text;
	while (what && str_next(&rest, '|', &part)) {
		int64_t want = -1, n = 0;
		if (str_starts(part, STR("!")))
			want = 0, text = str_sub(part, 1, SIZE_MAX);
		else if (!str_cut(part, '*', &count, &text) || str_to_i64(count, &want) < 0)
			text = part;
		struct str at = body;
		for (ptrdiff_t i; (i = str_find(at, text)) >= 0; n++)
			at = str_sub(at, (size_t)i + text.n, SIZE_MAX);
		if (want < 0 ? n == 0 : n != want) {
			printf("     not so: " STR_FMT "\n", STR_ARG(part));
			return false;
		}
	}
	return true;
}

static void
play_answer(void *arg, const struct client_result *r)
{
	struct scene *s = arg;
	size_t at = s->answered++;
	const struct act *x = &s->acts[at];
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	if ((x->http && r->http != x->http) || !play_holds(r->body, x->holds)) {
		printf("     step %zu: %d " STR_FMT "\n", at, r->http, STR_ARG(r->body));
		s->bad = s->done = true;
	}
	if (doc_parse_json(a, r->body, NULL, &d, NULL) == 0)
		str_copy_c(doc_get_str(doc_get(d, STR("metadata")), STR("uid")), s->uid[at],
			sizeof(s->uid[0]));
	arena_free(a);
	if (x->wait_s != AT_ONCE)
		loop_timer_after(s->l, &s->next, x->wait_s * NS_PER_SEC);
}

static int
play_client(void *arg, struct loop *l, const char *name, struct client **ret)
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

/* play_nodes: node-1, node-2 ... and a scheduler. */
static void
play_nodes(struct scene *s)
{
	struct api_identity id = {.user = STR("system:kube-scheduler")};
	struct hollow_config hc = {.name = "node",
		.nodes = s->nodes,
		.cpus = 4,
		.memory_mib = 8192,
		.pods = 100,
		.disk_gib = 10};
	CHECK_INT(api_client_new(s->api, s->l, &id, &s->scheduler_client), 0);
	struct scheduler_config sc = {.client = s->scheduler_client};
	CHECK_INT(scheduler_new(&sc, &s->scheduler), 0);
	CHECK_INT(hollow_new(s->l, s->c, &hc, &s->hollow), 0);
}

static void
play_ready(void *arg)
{
	static const struct str masters = STR_INIT("system:masters");
	struct scene *s = arg;
	struct api_identity id = {.user = STR("test"), .groups = &masters, .n_groups = 1};
	CHECK_INT(api_client_new(s->api, s->l, &id, &s->c), 0);
	s->ctx = (struct server_context){
		.api = s->api, .world = s->w, .pod_cidr4 = STR("10.244.0.0/16")};
	CHECK_INT(control_new(s->l, s->table, &s->ctx, play_client, s, &s->ctl), 0);
	if (s->nodes)
		play_nodes(s);
	s->next = (struct loop_timer){.fn = play_next, .arg = s};
	loop_timer_after(s->l, &s->next, NS_PER_SEC);
}

static bool
play_done(void *arg)
{
	return ((struct scene *)arg)->done;
}

static int
play_run(const struct controller *const *with, unsigned nodes, const struct act *acts, size_t n,
	const char *dir)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err e = {0};
	s->table = with;
	s->acts = acts;
	s->n = n;
	s->nodes = nodes;
	CHECK(n <= ARRAY_LEN(s->uid));
	s->w = world_new(11, 1700000000 * NS_PER_SEC);
	s->l = loop_new(s->w, "test");
	struct store_config sc = {.dir = dir, .world = s->w, .no_sync = true};
	int rc = store_open(&sc, &s->store, &e);
	struct api_config ac = {.store = s->store,
		.world = s->w,
		.kinds = &kinds_tables,
		.service_cidr4 = STR("10.96.0.0/16")};
	if (rc == 0)
		rc = api_server_new(&ac, &s->api, &e);
	if (rc == 0)
		rc = api_server_start(s->api, s->l, play_ready, s);
	if (rc == 0)
		rc = world_run(s->w, clock_mono_ns() + 7200 * NS_PER_SEC, play_done, s);
	fflush(stdout);
	return rc == 0 && !s->bad ? 0 : 1;
}

/* play: with these controllers, in a process of its own: a world is one per process. 0 = every step was answered as it says. */
static int
play(const struct controller *const *with, unsigned nodes, const struct act *acts, size_t n)
{
	static int count;
	char dir[200];
	int status = -1;
	snprintf(dir, sizeof(dir), "%s/%d", TEST_TMP, count++);
	pid_t pid = fork();
	if (pid == 0)
		_exit(play_run(with, nodes, acts, n, dir));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define PLAY(nodes, acts) CHECK_INT(play(table, (nodes), (acts), ARRAY_LEN(acts)), 0)

/* The first steps of a play with nodes: an account for pods, and time for the nodes to become ready. */
#define PLAY_ACCOUNT                                                                               \
	{                                                                                          \
		CLIENT_CREATE, "serviceaccounts", "default", "",                                   \
			"{\"metadata\":{\"name\":\"default\"}}", -1, 201, NULL, 30                 \
	}

#endif
