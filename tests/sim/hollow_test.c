/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Pretending nodes against the API server and the controllers of nodes, on virtual time: they become ready and
 * stay so, their pods run, end and go, and a node that somebody deleted comes back. */
#include "tests/unit/test.h"

#include "orchestrator/api/api.h"
#include "orchestrator/control/control.h"
#include "orchestrator/hollow/hollow.h"
#include "orchestrator/kinds/kinds.h"
#include "storage/store/store.h"

#include "kinds/core_v1.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct controller node_ipam_controller, node_lifecycle_controller;
static const struct controller *const table[] = {
	&node_ipam_controller, &node_lifecycle_controller, NULL};

enum { NODES = 3 };
#define QUIET_NS (180 * NS_PER_SEC) /* longer than it takes to write a silent node off */

struct scene {
	struct world *w;
	struct loop *l;
	struct store *store;
	struct api_server *api;
	struct server_context ctx;
	struct client *c;
	struct control *ctl;
	struct hollow *hollow;
	struct informer *pods, *nodes;
	struct loop_timer quiet;
	bool made, lost, ran, succeeded, deleted, gone, node_gone, node_back, quiet_over;
};

static void
on_written(void *arg, const struct client_result *r)
{
	struct scene *s = arg;
	if (r->e.code)
		printf("     refused: %s\n", r->e.msg);
	s->lost = s->lost || r->e.code;
}

static void
ask(struct scene *s, enum client_verb verb, const char *resource, const char *ns, const char *name,
	const char *body)
{
	struct client_req req = {.verb = verb,
		.version = STR("v1"),
		.resource = str_c(resource),
		.ns = str_c(ns),
		.name = str_c(name),
		.body = str_c(body)};
	CHECK_INT(client_call_start(s->c, &req, on_written, s, NULL), 0);
}

#define POD(name, policy, annotations)                                                             \
	"{\"metadata\":{\"name\":\"" name "\",\"annotations\":{" annotations                       \
	"}},\"spec\":{\"nodeName\":\"n-2\",\"restartPolicy\":\"" policy                            \
	"\",\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\",\"image\":"     \
	"\"i\"}]}}"

static void
on_quiet(struct loop_timer *t)
{
	struct scene *s = t->arg;
	s->quiet_over = true;
	ask(s, CLIENT_DELETE, "nodes", "", "n-3", "");
}

static bool
node_is_ready(const struct informer_obj *o)
{
	const struct core_v1_node *n = o->obj;
	for (size_t i = 0; i < n->status.n_conditions; i++)
		if (str_eq(n->status.conditions[i].type, STR("Ready")))
			return str_eq(n->status.conditions[i].status, STR("True"));
	return false;
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scene *s = arg;
	size_t pos = 0, ready = 0;
	for (const struct informer_obj *o; (o = informer_next(s->nodes, &pos));)
		ready += node_is_ready(o);
	s->node_gone = s->node_gone || (old && !new_);
	s->lost = s->lost || (s->made && !s->node_gone && ready < NODES);
	s->node_back = s->node_gone && ready == NODES;
	if (ready < NODES || s->made)
		return;
	s->made = true;
	ask(s, CLIENT_CREATE, "pods", "default", "", POD("stays", "Always", ""));
	ask(s, CLIENT_CREATE, "pods", "default", "",
		POD("ends", "Never",
			"\"hollow.keelson.dev/exit-code\":\"0\","
			"\"hollow.keelson.dev/run-seconds\":\"20\""));
	s->quiet = (struct loop_timer){.fn = on_quiet, .arg = s};
	loop_timer_after(s->l, &s->quiet, QUIET_NS);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scene *s = arg;
	const struct core_v1_pod *p = (new_ ? new_ : old)->obj;
	if (str_eq(p->metadata.name, STR("ends"))) {
		s->succeeded = s->succeeded || str_eq(p->status.phase, STR("Succeeded"));
		return;
	}
	if (!new_)
		s->gone = true;
	else if (pod_is_ready(p) && !s->ran) {
		s->ran = str_starts(p->status.pod_ip, STR("10.244.")) &&
			str_eq(p->status.host_ip, STR("198.18.0.2"));
		ask(s, CLIENT_DELETE, "pods", "default", "stays", "");
	}
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
	struct hollow_config hc = {.name = "n",
		.nodes = NODES,
		.cpus = 1,
		.memory_mib = 1024,
		.pods = 10,
		.disk_gib = 1};
	CHECK_INT(api_client_new(s->api, s->l, &id, &s->c), 0);
	s->ctx = (struct server_context){
		.api = s->api, .world = s->w, .pod_cidr4 = STR("10.244.0.0/16")};
	CHECK_INT(control_new(s->l, table, &s->ctx, make_client, s, &s->ctl), 0);
	struct informer_spec pods = {.version = STR("v1"),
		.resource = STR("pods"),
		.type = SCHEMA_TYPE_OF(core_v1_pod),
		.on_change = on_pod,
		.arg = s};
	struct informer_spec nodes = {.version = STR("v1"),
		.resource = STR("nodes"),
		.type = SCHEMA_TYPE_OF(core_v1_node),
		.on_change = on_node,
		.arg = s};
	CHECK_INT(informer_new(s->c, &pods, &s->pods), 0);
	CHECK_INT(informer_new(s->c, &nodes, &s->nodes), 0);
	ask(s, CLIENT_CREATE, "serviceaccounts", "default", "",
		"{\"metadata\":{\"name\":\"default\"}}");
	CHECK_INT(hollow_new(s->l, s->c, &hc, &s->hollow), 0);
}

static bool
is_done(void *arg)
{
	struct scene *s = arg;
	return s->lost || (s->node_back && s->gone);
}

/* run: in a process of its own: a world is one per process. */
static int
run(const char *dir)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err e = {0};
	s->w = world_new(7, 1700000000 * NS_PER_SEC);
	s->l = loop_new(s->w, "test");
	struct store_config sc = {.dir = dir, .world = s->w, .no_sync = true};
	int rc = store_open(&sc, &s->store, &e);
	struct api_config ac = {.store = s->store, .world = s->w, .kinds = &kinds_tables};
	if (rc == 0)
		rc = api_server_new(&ac, &s->api, &e);
	if (rc == 0)
		rc = api_server_start(s->api, s->l, on_ready, s);
	if (rc == 0)
		rc = world_run(s->w, clock_mono_ns() + 600 * NS_PER_SEC, is_done, s);
	hollow_free(s->hollow);
	const struct {
		const char *what;
		bool is;
	} rows[] = {{"it ran to the end", rc == 0}, {"all nodes became ready", s->made},
		{"nothing was refused, and no node was written off", !s->lost},
		{"nodes stayed ready while nothing happened", s->quiet_over},
		{"a pod ran with addresses of its node", s->ran},
		{"a pod ended by its annotation", s->succeeded}, {"a deleted pod went", s->gone},
		{"a deleted node came back", s->node_back}};
	size_t bad = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].is)
			printf("     not so: %s\n", rows[i].what);
		bad += !rows[i].is;
	}
	fflush(stdout);
	return bad ? 1 : 0;
}

TEST(pretending_nodes_live_as_real_ones_do)
{
	char dir[200];
	int status = -1;
	snprintf(dir, sizeof(dir), "%s", TEST_TMP);
	pid_t pid = fork();
	if (pid == 0)
		_exit(run(dir));
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}
