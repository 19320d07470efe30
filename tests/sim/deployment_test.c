/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The simulated world from end to end: store, API server and the Deployment controllers run on virtual
 * time from one seed, with a node that makes pods ready after a random while. A rollout and an update go
 * through, and the same seed gives the same log of everything that was seen, byte for byte. */
#include "tests/unit/test.h"

#include "base/log.h"
#include "base/rand.h"
#include "orchestrator/api/api.h"
#include "orchestrator/control/control.h"
#include "orchestrator/kinds/kinds.h"
#include "storage/store/store.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct controller deployment_controller, replicaset_controller;
static const struct controller *const table[] = {
	&deployment_controller, &replicaset_controller, NULL};

struct scene {
	struct world *w;
	struct loop *l;
	struct store *store;
	struct api_server *api;
	struct server_context ctx;
	struct client *c;
	struct control *ctl;
	struct informer *pods, *sets, *deployments;
	struct buf log;
	int64_t start_ns;
	bool updated, done;
};

static void
say(struct scene *s, const char *what, const struct informer_obj *o)
{
	if (!o)
		return;
	buf_fmt(&s->log, "%lld %s " STR_FMT " %llu\n",
		(long long)((clock_mono_ns() - s->start_ns) / NS_PER_US), what, STR_ARG(o->key),
		(unsigned long long)o->rv);
}

static void
on_written(void *arg, const struct client_result *r)
{
	struct scene *s = arg;
	if (r->e.code)
		buf_fmt(&s->log, "refused: %s\n", r->e.msg);
}

/* A pod that has been told to run: becomes ready after 0.2 to 3 s. */
struct start {
	struct loop_timer t;
	struct scene *s;
	char name[120];
};

static void
on_start(struct loop_timer *t)
{
	struct start *k = t->arg;
	char now[40], body[400];
	rfc3339_format(clock_wall_ns(), 0, now);
	int n = snprintf(body, sizeof(body),
		"{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
		"\"lastTransitionTime\":\"%s\"}]}}",
		now);
	struct client_req req = {.verb = CLIENT_PATCH_STRATEGIC,
		.version = STR("v1"),
		.resource = STR("pods"),
		.ns = STR("default"),
		.name = str_c(k->name),
		.subresource = STR("status"),
		.body = str_from(body, (size_t)n)};
	CHECK_INT(client_call_start(k->s->c, &req, on_written, k->s, NULL), 0);
	free(k);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scene *s = arg;
	say(s, !old ? "pod+" : new_ ? "pod=" : "pod-", new_ ? new_ : old);
	if (old || !new_)
		return;
	struct start *k = calloc(1, sizeof(*k));
	k->s = s;
	str_copy_c(new_->name, k->name, sizeof(k->name));
	k->t = (struct loop_timer){.fn = on_start, .arg = k};
	loop_timer_after(s->l, &k->t, (int64_t)(200 + rand_below(2800)) * NS_PER_MS);
}

static void
on_set(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	say(arg, !old ? "set+" : new_ ? "set=" : "set-", new_ ? new_ : old);
}

static void
on_deployment(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct scene *s = arg;
	const struct apps_v1_deployment *d = new_ ? new_->obj : NULL;
	say(s, !old ? "deployment+" : new_ ? "deployment=" : "deployment-", new_ ? new_ : old);
	if (!d || d->status.observed_generation < d->metadata.generation ||
		d->status.updated_replicas != 3 || d->status.replicas != 3 ||
		d->status.available_replicas != 3)
		return;
	if (s->updated) {
		s->done = true;
		return;
	}
	s->updated = true;
	struct client_req req = {.verb = CLIENT_PATCH_STRATEGIC,
		.group = STR("apps"),
		.version = STR("v1"),
		.resource = STR("deployments"),
		.ns = STR("default"),
		.name = STR("web"),
		.body = STR(
			"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":"
			"\"two\"}]}}}}")};
	CHECK_INT(client_call_start(s->c, &req, on_written, s, NULL), 0);
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
	CHECK_INT(control_new(s->l, table, &s->ctx, make_client, s, &s->ctl), 0);
	struct informer_spec pods = {.version = STR("v1"),
		.resource = STR("pods"),
		.type = SCHEMA_TYPE_OF(core_v1_pod),
		.on_change = on_pod,
		.arg = s};
	struct informer_spec sets = {.group = STR("apps"),
		.version = STR("v1"),
		.resource = STR("replicasets"),
		.type = SCHEMA_TYPE_OF(apps_v1_replica_set),
		.on_change = on_set,
		.arg = s};
	struct informer_spec deployments = {.group = STR("apps"),
		.version = STR("v1"),
		.resource = STR("deployments"),
		.type = SCHEMA_TYPE_OF(apps_v1_deployment),
		.on_change = on_deployment,
		.arg = s};
	CHECK_INT(informer_new(s->c, &pods, &s->pods), 0);
	CHECK_INT(informer_new(s->c, &sets, &s->sets), 0);
	CHECK_INT(informer_new(s->c, &deployments, &s->deployments), 0);
	struct client_req account = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("serviceaccounts"),
		.ns = STR("default"),
		.body = STR("{\"metadata\":{\"name\":\"default\"}}")};
	struct client_req web = {.verb = CLIENT_CREATE,
		.group = STR("apps"),
		.version = STR("v1"),
		.resource = STR("deployments"),
		.ns = STR("default"),
		.body = STR(
			"{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":3,\"selector\":{"
			"\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},"
			"\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"one\"}]}}}}")};
	CHECK_INT(client_call_start(s->c, &account, on_written, s, NULL), 0);
	CHECK_INT(client_call_start(s->c, &web, on_written, s, NULL), 0);
}

static bool
is_done(void *arg)
{
	return ((struct scene *)arg)->done;
}

/* run: one life of the world; its log goes to fd. In a process of its own: a world is one per process. */
static int
run(uint64_t seed, const char *dir, int fd)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err e = {0};
	s->w = world_new(seed, 1700000000 * NS_PER_SEC);
	s->l = loop_new(s->w, "test");
	s->start_ns = clock_mono_ns();
	struct store_config sc = {.dir = dir, .world = s->w, .no_sync = true};
	if (store_open(&sc, &s->store, &e) < 0) {
		fprintf(stderr, "store: %s\n", e.msg);
		return 2;
	}
	struct api_config ac = {.store = s->store, .world = s->w, .kinds = &kinds_tables};
	if (api_server_new(&ac, &s->api, &e) < 0 ||
		api_server_start(s->api, s->l, on_ready, s) < 0) {
		fprintf(stderr, "api: %s\n", e.msg);
		return 2;
	}
	int rc = world_run(s->w, s->start_ns + 600 * NS_PER_SEC, is_done, s);
	buf_fmt(&s->log, "end %d %s\n", rc, s->done ? "done" : "not done");
	for (size_t at = 0; at < s->log.len;) {
		ssize_t n = write(fd, s->log.data + at, s->log.len - at);
		if (n <= 0)
			return 2;
		at += (size_t)n;
	}
	return s->done ? 0 : 1;
}

static int
life(uint64_t seed, struct buf *log)
{
	char dir[] = "/tmp/keelson-sim-XXXXXX", command[80];
	int p[2], status = -1;
	if (!mkdtemp(dir) || pipe(p) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		_exit(run(seed, dir, p[1]));
	}
	close(p[1]);
	for (;;) {
		char *at = buf_reserve(log, 65536);
		ssize_t n = at ? read(p[0], at, 65536) : 0;
		if (n <= 0)
			break;
		buf_commit(log, (size_t)n);
	}
	close(p[0]);
	waitpid(pid, &status, 0);
	static const char *const files[] = {"data.mdb", "lock.mdb", "history", "history.ring"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(command, sizeof(command), "%s/%s", dir, files[i]);
		unlink(command);
	}
	rmdir(dir);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_rollout_on_virtual_time_replays_from_its_seed)
{
	_cleanup_buf_ struct buf one = BUF_INIT, two = BUF_INIT, other = BUF_INIT;
	CHECK_INT(life(42, &one), 0);
	CHECK_INT(life(42, &two), 0);
	CHECK_INT(life(43, &other), 0);
	CHECK(one.len > 500);
	CHECK(str_eq(buf_view(&one), buf_view(&two)));
	CHECK(!str_eq(buf_view(&one), buf_view(&other)));
}
