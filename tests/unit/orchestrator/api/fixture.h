/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fixture: an API server in a simulated world, direct clients of it on one loop: a call runs the world until its
 * answer is there. To be included behind a .c of orchestrator/api or orchestrator/kinds. */
#ifndef TEST_API_FIXTURE_H
#define TEST_API_FIXTURE_H

#include "orchestrator/api/kind.h"
#include "tests/unit/test.h"

#include <stdio.h>

struct fixture {
	struct world *w;
	struct loop *loop;
	struct store *store;
	struct api_server *s;
	struct client *admin;
	bool ready;
	/* the last answer */
	bool answered;
	int http;
	struct err e;
	struct buf body;
};

static inline void
on_ready(void *arg)
{
	((struct fixture *)arg)->ready = true;
}

static inline bool
is_ready(void *arg)
{
	return ((struct fixture *)arg)->ready;
}

static inline bool
is_answered(void *arg)
{
	return ((struct fixture *)arg)->answered;
}

static inline struct client *
client_as(struct fixture *f, const char *user, const char *group)
{
	struct str groups[] = {str_c(group)};
	struct client *c = NULL;
	CHECK_INT(api_client_new(f->s, f->loop,
			  &(struct api_identity){.user = str_c(user),
				  .groups = groups,
				  .n_groups = group[0] ? 1 : 0},
			  &c),
		0);
	return c;
}

static inline void
fx_open_with(struct fixture *f, uint64_t seed, const struct kind_tables *kinds)
{
	static unsigned nth;
	char dir[128];
	struct err e = {0};
	*f = (struct fixture){0};
	snprintf(dir, sizeof(dir), "%s/s%u", TEST_TMP, nth++);
	f->w = world_new(seed, 1700000000 * NS_PER_SEC);
	f->loop = loop_new(f->w, "test");
	CHECK_INT(store_open(&(struct store_config){.dir = dir, .world = f->w, .no_sync = true},
			  &f->store, &e),
		0);
	CHECK_INT(api_server_new(&(struct api_config){.store = f->store,
					 .world = f->w,
					 .kinds = kinds,
					 .service_cidr4 = STR("10.96.0.0/16")},
			  &f->s, &e),
		0);
	CHECK_INT(api_server_start(f->s, f->loop, on_ready, f), 0);
	CHECK_INT(world_run(f->w, INT64_MAX, is_ready, f), 0);
	f->admin = client_as(f, "admin", "system:masters");
}

static inline void
fx_open(struct fixture *f, uint64_t seed)
{
	fx_open_with(f, seed, NULL);
}

static inline void
fx_close(struct fixture *f)
{
	client_free(f->admin);
	api_server_quiesce(f->s);
	api_server_stop(f->s);
	world_run(f->w, clock_mono_ns() + NS_PER_SEC, NULL, NULL);
	store_close(f->store);
	loop_free(f->loop);
	world_free(f->w);
	buf_release(&f->body);
}

static inline void
on_done(void *arg, const struct client_result *r)
{
	struct fixture *f = arg;
	f->answered = true;
	f->http = r->http;
	f->e = r->e;
	buf_clear(&f->body);
	buf_str(&f->body, r->body);
	buf_char(&f->body, '\0');
}

/* call: the status; the body stays in f->body as a C string. */
static inline int
call(struct fixture *f, struct client *c, const struct client_req *q)
{
	f->answered = false;
	CHECK_INT(client_call_start(c, q, on_done, f, NULL), 0);
	CHECK_INT(world_run(f->w, INT64_MAX, is_answered, f), 0);
	return f->http;
}

static inline bool
says(const struct fixture *f, const char *text)
{
	if (strstr(f->body.data, text))
		return true;
	printf("     answer: %s\n", f->body.data);
	return false;
}

#define CORE .group = STR(""), .version = STR("v1")
#define CM CORE, .resource = STR("configmaps"), .ns = STR("default")

static inline void
pod_on(struct fixture *f, const char *name, const char *node, const char *secret)
{
	char body[512];
	snprintf(body, sizeof(body),
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\",\"containers\":[{"
		"\"name\":\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"v\",\"secret\":{"
		"\"secretName\":\"%s\"}}]}}",
		name, node, secret);
	CHECK_INT(call(f, f->admin,
			  &(struct client_req){CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
				  .ns = STR("default"), .body = str_c(body)}),
		201);
}

static inline int
write_as(struct fixture *f, struct client *c, enum client_verb verb, const char *resource,
	const char *ns, const char *name, const char *sub, const char *body)
{
	return call(f, c,
		&(struct client_req){CORE, .verb = verb, .resource = str_c(resource),
			.ns = str_c(ns), .name = str_c(name), .subresource = str_c(sub),
			.body = str_c(body)});
}

/* create_cm: a ConfigMap with these members of metadata (JSON). */
static inline int
create_cm(struct fixture *f, const char *meta)
{
	char body[512];
	snprintf(body, sizeof(body), "{\"metadata\":{%s}}", meta);
	return call(
		f, f->admin, &(struct client_req){CM, .verb = CLIENT_CREATE, .body = str_c(body)});
}

#endif
