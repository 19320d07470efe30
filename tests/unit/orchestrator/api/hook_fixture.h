/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_fixture: an API server, its client and a webhook server with a certificate of its own, all on one loop: if
 * anything waited for anything else by holding the loop, nothing would ever answer. The path of a webhook says how it
 * answers. */
#ifndef TEST_HOOK_FIXTURE_H
#define TEST_HOOK_FIXTURE_H

#include "orchestrator/kinds/kinds.h"
#include "tests/unit/netstack/tls/pki.h"
#include "tests/unit/orchestrator/api/fixture.h"
#include "tests/unit/orchestrator/api/hook_server.h"

#define HELD_MAX 8

struct hooks_fixture {
	struct fixture f;
	struct http_server *http;
	struct http_addr bound;
	struct pki_party ca, key;
	struct tls_ctx *tls;
	struct buf ca64, review; /* review: the last one asked, a C string */
	int asked, aborted;
	struct http_req *held[HELD_MAX];
	size_t n_held;
	bool cut; /* the next question is answered by closing the connection */
};

static inline void
hook_aborted(struct http_req *r)
{
	struct hooks_fixture *x = r->arg;
	x->aborted++;
	for (size_t i = 0; i < x->n_held; i++)
		if (x->held[i] == r)
			x->held[i] = x->held[--x->n_held];
	http_drop(r);
}

static inline void
hook_body(struct http_req *r, int error, struct str body)
{
	struct hooks_fixture *x = r->arg;
	if (error) {
		http_drop(r);
		return;
	}
	x->asked++;
	buf_clear(&x->review);
	buf_str(&x->review, body);
	buf_char(&x->review, '\0');
	if (x->cut) {
		x->cut = false;
		http_drop(r);
		return;
	}
	if (!str_ends(r->path, STR("hold")) || x->n_held == HELD_MAX) {
		hook_reply(r, body);
		return;
	}
	http_on_abort(r, hook_aborted);
	x->held[x->n_held++] = r;
}

static inline void
hook_request(void *arg, struct http_req *r)
{
	r->arg = arg;
	http_collect(r, 4 << 20, hook_body);
}

/* release: those that are held get their answer. */
static inline void
release(struct hooks_fixture *x)
{
	for (size_t i = 0; i < x->n_held; i++)
		hook_reply(x->held[i],
			arena_fmt(x->held[i]->arena, "%s",
				x->review.data)); /* of the last; enough where one is held */
	x->n_held = 0;
}

static inline void
hx_open(struct hooks_fixture *x)
{
	static unsigned nth;
	char dir[128];
	struct err e = {0};
	struct str masters = STR("system:masters");
	struct http_addr any = {.ip = ip_v4(0x7f000001)};
	struct http_server_config hc = {.on_request = hook_request, .arg = x};
	*x = (struct hooks_fixture){0};
	x->ca = pki_make(&(struct pki_want){.cn = "hooks", .ca = true}, NULL);
	x->key = pki_make(&(struct pki_want){.cn = "hook",
				  .ips = {"127.0.0.1"},
				  .dns = {"hook.default.svc"},
				  .eku = X509_EKU_SERVER},
		&x->ca);
	struct tls_pair pair = pki_pair(&x->key);
	CHECK_INT(tls_ctx_new(&(struct tls_config){.server = true, .pairs = &pair, .n_pairs = 1},
			  &x->tls, &e),
		0);
	base64_encode(&x->ca64, buf_view(&x->ca.cert));
	buf_char(&x->ca64, '\0');
	snprintf(dir, sizeof(dir), "%s/h%u", TEST_TMP, nth++);
	struct fixture *f = &x->f;
	f->loop = loop_new(NULL, "test");
	hc.loop = f->loop;
	hc.tls = x->tls;
	CHECK_INT(http_listen(&any, false, &hc.listen_fd, &x->bound, &e), 0);
	CHECK_INT(http_server_new(&hc, &x->http), 0);
	CHECK_INT(
		store_open(&(struct store_config){.dir = dir, .no_sync = true}, &f->store, &e), 0);
	CHECK_INT(api_server_new(&(struct api_config){.store = f->store, .kinds = &kinds_tables},
			  &f->s, &e),
		0);
	CHECK_INT(api_server_start(f->s, f->loop, on_ready, f), 0);
	while (!f->ready)
		loop_turn(f->loop, -1);
	CHECK_INT(api_client_new(f->s, f->loop,
			  &(struct api_identity){
				  .user = STR("admin"), .groups = &masters, .n_groups = 1},
			  &f->admin),
		0);
}

static inline void
hx_close(struct hooks_fixture *x)
{
	struct fixture *f = &x->f;
	client_free(f->admin);
	api_server_quiesce(f->s);
	api_server_stop(f->s);
	http_server_free(x->http);
	store_close(f->store);
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, 0);
	loop_free(f->loop);
	tls_ctx_unref(x->tls);
	pki_free(&x->ca);
	pki_free(&x->key);
	buf_release(&x->ca64);
	buf_release(&x->review);
	buf_release(&f->body);
}

/* until: turns the loop until *what reaches n. */
static inline void
until(struct hooks_fixture *x, const size_t *what, size_t n)
{
	while (*what < n)
		loop_turn(x->f.loop, -1);
}

static inline struct client_call *
ask(struct hooks_fixture *x, const struct client_req *q)
{
	struct client_call *c = NULL;
	x->f.answered = false;
	CHECK_INT(client_call_start(x->f.admin, q, on_done, &x->f, &c), 0);
	return c;
}

static inline int
answer(struct hooks_fixture *x)
{
	while (!x->f.answered)
		loop_turn(x->f.loop, -1);
	return x->f.http;
}

static inline int
hcall(struct hooks_fixture *x, const struct client_req *q)
{
	ask(x, q);
	return answer(x);
}

#define HOOKS .group = STR("admissionregistration.k8s.io"), .version = STR("v1")

/* rules of most tests */
#define ON_CM(ops)                                                                                  \
	"\"rules\":[{\"apiGroups\":[\"\"],\"apiVersions\":[\"v1\"],\"resources\":[\"configmaps\"]," \
	"\"operations\":[" ops "]}]"

/* hook: a configuration `name` with one webhook that answers as `path`; more: its other members. */
static inline int
hook_at(struct hooks_fixture *x, bool mutating, const char *name, const char *path,
	const char *more, unsigned port, const char *ca)
{
	struct buf b = BUF_INIT;
	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"%s\"},\"webhooks\":[{\"name\":\"%s.example.com\","
		"\"clientConfig\":{\"url\":\"https://127.0.0.1:%u%s\"%s%s%s},\"sideEffects\":\"None\","
		"\"admissionReviewVersions\":[\"v1\"],%s}]}",
		name, name, port, path, ca ? ",\"caBundle\":\"" : "", ca ? ca : "", ca ? "\"" : "",
		more);
	int http = hcall(x,
		&(struct client_req){HOOKS, .verb = CLIENT_CREATE,
			.resource = mutating ? STR("mutatingwebhookconfigurations")
					     : STR("validatingwebhookconfigurations"),
			.body = buf_view(&b)});
	buf_release(&b);
	return http;
}

static inline int
hook(struct hooks_fixture *x, bool mutating, const char *name, const char *path, const char *more)
{
	return hook_at(x, mutating, name, path, more, x->bound.port, x->ca64.data);
}

static inline int
unhook(struct hooks_fixture *x, bool mutating, const char *name)
{
	return hcall(x,
		&(struct client_req){HOOKS, .verb = CLIENT_DELETE, .name = str_c(name),
			.resource = mutating ? STR("mutatingwebhookconfigurations")
					     : STR("validatingwebhookconfigurations")});
}

static inline int
make_cm(struct hooks_fixture *x, const char *meta)
{
	char body[256];
	snprintf(body, sizeof(body), "{\"metadata\":{%s},\"data\":{\"k\":\"v\"}}", meta);
	return hcall(x, &(struct client_req){CM, .verb = CLIENT_CREATE, .body = str_c(body)});
}

static inline bool
told(const struct hooks_fixture *x, const char *text)
{
	if (x->review.data && strstr(x->review.data, text))
		return true;
	printf("     review: %s\n", x->review.data ? x->review.data : "none");
	return false;
}

#endif
