/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * certs_world: one node with one pod before a real API server, all on virtual time: the node asks as itself, so its
 * roles count. To be included behind a .c of orchestrator/node. */
#ifndef TEST_CERTS_WORLD_H
#define TEST_CERTS_WORLD_H

#include "netstack/tls/x509.h"
#include "orchestrator/api/api_int.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define CERTS .group = STR("certificates.k8s.io"), .version = STR("v1")

struct certs_world {
	struct fixture f;
	struct node n;
	struct pod p;
	struct arena *a;
	struct informer_obj ref;
	unsigned syncs;
};

static inline void
on_pod_work(struct loop_work *w)
{
	struct pod *p = w->arg;
	((struct certs_world *)(void *)((char *)p - offsetof(struct certs_world, p)))->syncs++;
}

static inline void
on_pod_wake(struct loop_timer *t)
{
	pod_sync_later(t->arg);
}

/* cw_uid: of an object of the core group. arena. */
static inline char *
cw_uid(struct certs_world *x, const char *resource, const char *ns, const char *name)
{
	struct doc *d = NULL;
	CHECK_INT(write_as(&x->f, x->f.admin, CLIENT_GET, resource, ns, name, "", ""), 200);
	CHECK_INT(doc_parse_json(x->a, str_c(x->f.body.data), NULL, &d, NULL), 0);
	return arena_cstr(x->a, doc_get_str(doc_get(d, STR("metadata")), STR("uid")));
}

/* cw_open: sources: of the one projected volume `v`, JSON. */
static inline void
cw_open(struct certs_world *x, const char *sources, const char *pod_more)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	void *o = NULL;

	memset(x, 0, sizeof(*x));
	x->a = arena_new(0);
	fx_open_with(&x->f, 1, &kinds_tables);
	CHECK_INT(write_as(&x->f, x->f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	CHECK_INT(write_as(&x->f, x->f.admin, CLIENT_CREATE, "nodes", "", "", "",
			  "{\"metadata\":{\"name\":\"n1\"}}"),
		201);
	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"p1\"},\"spec\":{\"nodeName\":\"n1\",%s\"containers\":[{"
		"\"name\":\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"v\",\"projected\":{"
		"\"sources\":[%s]}}]}}",
		pod_more, sources);
	buf_char(&b, '\0');
	CHECK_INT(
		write_as(&x->f, x->f.admin, CLIENT_CREATE, "pods", "default", "", "", b.data), 201);
	CHECK_INT(schema_parse_struct(x->a, SCHEMA_TYPE_OF(core_v1_pod),
			  arena_str(x->a, str_c(x->f.body.data)), &o, NULL),
		0);
	x->n = (struct node){.loop = x->f.loop,
		.name = STR("n1"),
		.api = client_as(&x->f, "system:node:n1", "system:nodes")};
	map_init(&x->n.pods);
	x->p = (struct pod){.node = &x->n,
		.o = o,
		.ref = &x->ref,
		.ns = (char *)(uintptr_t) "default",
		.name = (char *)(uintptr_t) "p1"};
	x->p.uid = cw_uid(x, "pods", "default", "p1");
	snprintf(x->n.uid, sizeof(x->n.uid), "%s", cw_uid(x, "nodes", "", "n1"));
	x->p.work = (struct loop_work){.fn = on_pod_work, .arg = &x->p};
	x->p.wake = (struct loop_timer){.fn = on_pod_wake, .arg = &x->p};
	CHECK_INT(map_put(&x->n.pods, str_c(x->p.uid), &x->p, NULL), 0);
}

static inline void
cw_close(struct certs_world *x)
{
	loop_timer_cancel(&x->p.wake);
	loop_defer_cancel(&x->p.work);
	pod_certificates_free(&x->p);
	informer_free(x->n.bundles);
	informer_free(x->n.requests);
	client_free(x->n.api);
	map_release(&x->n.pods);
	arena_free(x->a);
	fx_close(&x->f);
}

static inline bool
cw_never(void *arg)
{
	(void)arg;
	return false;
}

/* cw_pass: time goes by. */
static inline void
cw_pass(struct certs_world *x, int64_t seconds)
{
	world_run(x->f.w, clock_mono_ns() + seconds * NS_PER_SEC, cw_never, NULL);
}

/* cw_authority: a self-signed one, in PEM. */
static inline struct tls_key *
cw_authority(const char *cn, struct buf *pem)
{
	struct tls_key *k = NULL;
	struct x509_spec s = {.cn = str_c(cn),
		.ca = true,
		.path_len = -1,
		.not_before_s = 1600000000,
		.not_after_s = 2000000000};

	CHECK_INT(tls_key_generate(&k), 0);
	CHECK_INT(x509_issue(&s, tls_key_pub(k), NULL, k, pem, NULL), 0);
	return k;
}

#endif
