/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pull: see pull.h. The steps call each other by callbacks in this order:
 *
 *   endpoint_next -> manifest (with each credential in turn) -> [index: the manifest for this machine]
 *   -> configuration -> layers: downloads side by side, unpacking in order -> store -> done */
#include "orchestrator/runtime/image/pull.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "orchestrator/runtime/image/auth.h"
#include "orchestrator/runtime/image/layer.h"
#include "orchestrator/runtime/image/ref.h"

#define MAX_AUTHS 32
#define MAX_REDIRECTS 5
#define FETCH_NS (60 * NS_PER_SEC)
#define AHEAD 4 /* blobs asked for before the layer that is next */

struct pull_layer {
	struct image_waiter blob, unpack;
	struct image_desc desc;
	struct str chain;
	bool wanted, here; /* the blob */
	struct runtime_pull *p;
};

struct runtime_pull {
	struct image_fetcher *f;
	struct runtime_pull *next; /* of the fetcher */
	struct arena *a;
	image_pulled_fn *done;
	void *arg;
	struct image_ref ref;
	struct str text; /* the reference, canonical */
	struct image_registry *reg;
	size_t endpoint;
	struct image_source src;
	struct str auths[MAX_AUTHS + 1]; /* Authorization values; the last is "" */
	size_t n_auths, auth;
	struct http_fetch *fetch;
	void (*then)(struct runtime_pull *p, struct str body, struct str type);
	struct str url, want; /* want: digest the body must have, or STR_NONE */
	size_t max_bytes;
	unsigned redirects;
	struct str no_auth_for; /* a redirect led to another host */
	bool resolving;         /* other endpoints and credentials may still be tried */
	struct str manifest_digest, top_digest, config_text;
	bool from_index;
	struct image_manifest m;
	struct image_config config;
	struct str *chains;
	struct pull_layer *layers;
	size_t at; /* first layer that is not there yet */
	bool holding;
	bool begun, cancelled;
	struct err err;
};

static void manifest_get(struct runtime_pull *p, struct str reference);
static void layers_step(struct runtime_pull *p);
static void fetch_begin(struct runtime_pull *p);

/* ---- ends ---- */

static void
holds(struct runtime_pull *p, bool take)
{
	for (size_t i = 0; i < p->m.n_layers && p->chains; i++) {
		struct image_layer *l = image_layer_ensure(p->f->store, p->chains[i]);

		if (l)
			l->holds = take ? l->holds + 1 : l->holds - (l->holds > 0);
	}
	p->holding = take;
}

static void
pull_free(void *arg)
{
	struct runtime_pull *p = arg;

	arena_free(p->a);
}

static void
leave(struct runtime_pull *p)
{
	for (struct runtime_pull **at = &p->f->pulls; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	if (p->fetch)
		http_fetch_cancel(TAKE_PTR(p->fetch));
	for (size_t i = 0; p->layers && i < p->m.n_layers; i++) {
		image_layer_leave(&p->layers[i].unpack);
		image_blob_put(&p->layers[i].blob);
	}
	if (p->holding)
		holds(p, false);
}

static void
end(struct runtime_pull *p, struct str id)
{
	const struct image *i = id.n ? image_store_get(p->f->store, id) : NULL;
	uint64_t bytes = i ? image_bytes(p->f->store, i) : 0;
	struct err e = p->err;

	leave(p);
	if (!i && !e.code)
		err_set(&e, -EIO, R_INTERNAL_ERROR, "image vanished");
	if (e.code)
		err_wrap(&e, "failed to pull and unpack image \"" STR_FMT "\"", STR_ARG(p->text));
	if (!p->cancelled)
		p->done(p->arg, id, bytes, e.code ? &e : NULL);
	loop_free_later(p->f->loop, pull_free, p);
}

static void
fail(struct runtime_pull *p)
{
	end(p, STR_NONE);
}

static void
fail_oom(struct runtime_pull *p)
{
	err_set(&p->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	fail(p);
}

void
image_pull_cancel(struct runtime_pull *p)
{
	p->cancelled = true;
	/* The first and the last step cannot be called back: they free. */
	if (!p->begun || (p->at == p->m.n_layers && p->holding))
		return;
	leave(p);
	loop_free_later(p->f->loop, pull_free, p);
}

/* ---- asking the registry ---- */

/* Mirrors and credentials are tried one after the other until the manifest is there. */
static bool
endpoint_next(struct runtime_pull *p)
{
	struct image_endpoint *ep = NULL;
	const struct runtime_registry_endpoint *c = NULL;

	if (p->endpoint >= p->reg->n_endpoints)
		return false;
	ep = &p->reg->endpoints[p->endpoint++];
	c = &ep->conf;
	if (image_endpoint_tls(p->f, ep, &p->err))
		return endpoint_next(p);
	p->auth = 0;
	p->src = (struct image_source){.host = c->host, .path = p->ref.path, .tls = ep->tls};
	p->src.base = arena_cat(p->a,
		(struct str[]){c->plain_http ? STR("http://") : STR("https://"), c->host, c->path},
		3);
	manifest_get(p, p->ref.digest.n ? p->ref.digest : p->ref.tag);
	return true;
}

static void
status_err(struct runtime_pull *p, const struct http_response *r)
{
	struct str challenge = http_headers_get(&r->headers, STR("WWW-Authenticate"));

	if (r->status == 401 && str_starts(challenge, STR("Bearer ")))
		err_set(&p->err, -EACCES, R_FORBIDDEN,
			"failed to resolve reference \"" STR_FMT
			"\": registry asks for token authentication, which is not supported",
			STR_ARG(p->text));
	else if (r->status == 401 || r->status == 403)
		err_set(&p->err, -EACCES, R_FORBIDDEN,
			"failed to resolve reference \"" STR_FMT
			"\": pull access denied, repository does not exist or may require "
			"authorization: authorization failed: %d %s",
			STR_ARG(p->text), r->status, http_status_text(r->status));
	else if (r->status == 404)
		err_set(&p->err, -ENOENT, R_NOT_FOUND,
			"failed to resolve reference \"" STR_FMT "\": " STR_FMT ": not found",
			STR_ARG(p->text), STR_ARG(p->text));
	else
		err_set(&p->err, -EIO, R_UNKNOWN,
			"failed to resolve reference \"" STR_FMT
			"\": unexpected status from GET request to " STR_FMT ": %d %s",
			STR_ARG(p->text), STR_ARG(p->url), r->status, http_status_text(r->status));
}

static void
digest_of(struct runtime_pull *p, struct str body, struct str *ret)
{
	struct buf b;
	uint8_t sum[32];

	sha256_of(body, sum);
	buf_init_arena(&b, p->a);
	buf_cstr(&b, "sha256:");
	hex_encode(&b, str_from((char *)sum, sizeof(sum)));
	*ret = buf_view(&b);
}

/* The next credential, the next endpoint, or the end. */
static void
try_next(struct runtime_pull *p, bool denied)
{
	if (p->resolving && denied && p->auth + 1 < p->n_auths) {
		p->auth++;
		manifest_get(p, p->ref.digest.n ? p->ref.digest : p->ref.tag);
		return;
	}
	if (p->resolving && endpoint_next(p))
		return;
	fail(p);
}

static bool
redirected(struct runtime_pull *p, const struct http_response *r)
{
	struct str to = http_headers_get(&r->headers, STR("Location"));
	struct http_url from_url = {0};
	struct http_url to_url = {0};
	bool moved = r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 ||
		r->status == 308;

	if (!moved || !to.n || p->redirects++ >= MAX_REDIRECTS)
		return false;
	to = to.p[0] == '/' ? arena_cat(p->a, (struct str[]){p->src.base, to}, 2)
			    : arena_str(p->a, to);
	if (http_url_parse(to, &to_url) || http_url_parse(p->url, &from_url))
		return false;
	if (!str_eq_nocase(to_url.host, from_url.host) || to_url.port != from_url.port)
		p->no_auth_for = to;
	p->url = to;
	fetch_begin(p);
	return true;
}

static void
fetched(void *arg, const struct err *e, const struct http_response *r, struct str body)
{
	struct runtime_pull *p = arg;
	struct str digest = STR_NONE;
	struct str announced = STR_NONE;

	p->fetch = NULL;
	if (e && e->code) {
		err_set(&p->err, e->code, R_UNKNOWN,
			"failed to resolve reference \"" STR_FMT
			"\": failed to do request: Get \"" STR_FMT "\": %s",
			STR_ARG(p->text), STR_ARG(p->url), e->msg);
		try_next(p, false);
		return;
	}
	if (redirected(p, r))
		return;
	if (r->status != 200) {
		status_err(p, r);
		try_next(p, p->err.code == -EACCES);
		return;
	}
	digest_of(p, body, &digest);
	announced = http_headers_get(&r->headers, STR("Docker-Content-Digest"));
	if (!str_is_set(p->want) && image_digest_ok(announced))
		p->want = announced;
	if (str_is_set(p->want) && !str_eq(digest, p->want)) {
		err_set(&p->err, -EBADMSG, R_INVALID,
			"unexpected commit digest " STR_FMT ", expected " STR_FMT
			": failed precondition",
			STR_ARG(digest), STR_ARG(p->want));
		try_next(p, false);
		return;
	}
	p->err = (struct err){0};
	p->manifest_digest = digest;
	p->then(p, arena_str(p->a, body),
		arena_str(p->a, http_headers_get(&r->headers, STR("Content-Type"))));
}

static void
fetch_begin(struct runtime_pull *p)
{
	struct http_header h[2] = {{STR("Accept"), str_c(image_manifest_accept)}};
	struct http_call_spec spec = {.method = STR("GET"),
		.url = p->url,
		.tls = p->src.tls,
		.headers = h,
		.n_headers = 1,
		.head_ns = FETCH_NS,
		.total_ns = FETCH_NS};
	struct err e = {0};

	if (p->src.authorization.n && !str_eq(p->no_auth_for, p->url))
		h[spec.n_headers++] = (struct http_header){
			STR("Authorization"), p->src.authorization};
	if (http_fetch(p->f->http, &spec, p->max_bytes, fetched, p, &p->fetch, &e)) {
		p->fetch = NULL;
		p->err = e;
		fail(p);
	}
}

static void
get(struct runtime_pull *p, const char *kind, struct str reference, struct str want,
	size_t max_bytes, void (*then)(struct runtime_pull *p, struct str body, struct str type))
{
	p->then = then;
	p->want = want;
	p->max_bytes = max_bytes;
	p->redirects = 0;
	p->no_auth_for = STR_NONE;
	p->url = arena_fmt(p->a, STR_FMT "/v2/" STR_FMT "/%s/" STR_FMT, STR_ARG(p->src.base),
		STR_ARG(p->src.path), kind, STR_ARG(reference));
	if (arena_failed(p->a))
		fail_oom(p);
	else
		fetch_begin(p);
}

/* ---- manifest and configuration ---- */

static void
on_config(struct runtime_pull *p, struct str body, struct str type)
{
	(void)type;
	p->config_text = body;
	if (image_config_parse(p->a, body, &p->config, &p->err)) {
		fail(p);
		return;
	}
	if (p->config.architecture.n && !str_eq(p->config.architecture, image_arch())) {
		err_set(&p->err, -ENOENT, R_NOT_FOUND,
			"image is for " STR_FMT ", this machine is " STR_FMT
			": no match for platform in manifest: not found",
			STR_ARG(p->config.architecture), STR_ARG(image_arch()));
		fail(p);
		return;
	}
	if (p->config.n_diff_ids != p->m.n_layers) {
		err_set(&p->err, -EBADMSG, R_INVALID, "malformed image: %zu layers, %zu diff ids",
			p->m.n_layers, p->config.n_diff_ids);
		fail(p);
		return;
	}
	p->chains = layer_chain_ids(p->a, p->config.diff_ids, p->m.n_layers);
	p->layers = ARENA_ARRAY(p->a, struct pull_layer, p->m.n_layers + 1);
	if (!p->chains || !p->layers) {
		fail_oom(p);
		return;
	}
	for (size_t i = 0; i < p->m.n_layers; i++)
		p->layers[i] = (struct pull_layer){
			.desc = p->m.layers[i], .chain = p->chains[i], .p = p};
	holds(p, true);
	layers_step(p);
}

static void
on_manifest(struct runtime_pull *p, struct str body, struct str type)
{
	int rc = image_manifest_parse(p->a, body, type, image_arch(), &p->m, &p->err);

	if (!p->from_index)
		p->top_digest = p->manifest_digest;
	if (!rc && p->m.is_index && p->from_index)
		rc = err_set(&p->err, -EBADMSG, R_INVALID, "malformed image: index in an index");
	if (rc) {
		p->m = (struct image_manifest){0};
		fail(p);
		return;
	}
	p->resolving = false;
	if (p->m.is_index) {
		p->from_index = true;
		get(p, "manifests", p->m.chosen.digest, p->m.chosen.digest, IMAGE_MANIFEST_MAX,
			on_manifest);
		return;
	}
	get(p, "blobs", p->m.config.digest, p->m.config.digest, IMAGE_CONFIG_MAX, on_config);
}

static void
manifest_get(struct runtime_pull *p, struct str reference)
{
	p->src.authorization = p->auths[p->auth];
	get(p, "manifests", reference, p->ref.digest, IMAGE_MANIFEST_MAX, on_manifest);
}

/* ---- layers ---- */

static void
stored(void *arg, const struct err *e)
{
	struct runtime_pull *p = arg;

	if (e)
		p->err = *e;
	end(p, e ? STR_NONE : p->m.config.digest);
}

/* image_key: see struct image, of what was got with this Authorization. */
static struct str
image_key(struct arena *a, const struct image_ref *ref, struct str authorization)
{
	struct str name = image_ref_name(a, ref);
	uint8_t sum[32];
	struct buf b;

	if (!authorization.n)
		return name;
	sha256_of(authorization, sum);
	buf_init_arena(&b, a);
	buf_str(&b, name);
	buf_char(&b, ' ');
	hex_encode(&b, str_from((char *)sum, sizeof(sum)));
	return buf_view(&b);
}

static void
store(struct runtime_pull *p)
{
	struct str name = image_ref_name(p->a, &p->ref);
	struct str tag = p->ref.tag.n
		? arena_cat(p->a, (struct str[]){name, STR(":"), p->ref.tag}, 3)
		: STR_NONE;
	struct str digest = arena_cat(p->a, (struct str[]){name, STR("@"), p->top_digest}, 3);
	struct str key = image_key(p->a, &p->ref, p->auths[p->auth]);
	struct image_new n = {.id = p->m.config.digest,
		.config_text = p->config_text,
		.names = &tag,
		.n_names = tag.n > 0,
		.digests = &digest,
		.n_digests = 1,
		.keys = &key,
		.n_keys = 1,
		.layers = p->chains,
		.n_layers = p->m.n_layers};

	if (arena_failed(p->a) || image_store_add(p->f->store, &n, stored, p))
		fail_oom(p);
}

static void
on_blob(struct image_waiter *w, const struct err *e)
{
	struct pull_layer *l = CONTAINER_OF(w, struct pull_layer, blob);
	struct runtime_pull *p = l->p;

	if (e) {
		p->err = *e;
		fail(p);
		return;
	}
	l->here = true;
	layers_step(p);
}

static void
on_unpacked(struct image_waiter *w, const struct err *e)
{
	struct pull_layer *l = CONTAINER_OF(w, struct pull_layer, unpack);

	if (e) {
		l->p->err = *e;
		fail(l->p);
		return;
	}
	layers_step(l->p);
}

static bool
unpack_begin(struct runtime_pull *p, struct pull_layer *l)
{
	struct str *below = ARENA_ARRAY(p->a, struct str, p->at);
	struct image_layer_spec s = {.digest = l->desc.digest,
		.compression = l->desc.compression,
		.diff_id = p->config.diff_ids[p->at],
		.chain = l->chain,
		.below = below,
		.n_below = p->at};

	for (size_t i = 0; below && i < p->at; i++)
		below[i] = p->chains[p->at - 1 - i];
	l->unpack.fn = on_unpacked;
	return below && image_layer_want(p->f, &s, &l->unpack) == 0;
}

static void
layers_step(struct runtime_pull *p)
{
	struct pull_layer *l = NULL;
	unsigned ahead = 0;

	while (p->at < p->m.n_layers && layer_present(p->f->store->dir, p->chains[p->at]) &&
		!image_layer_working(p->f, p->chains[p->at])) {
		image_blob_put(&p->layers[p->at].blob);
		p->at++;
	}
	if (p->at == p->m.n_layers) {
		store(p);
		return;
	}
	for (size_t i = p->at; i < p->m.n_layers && ahead < AHEAD; i++) {
		l = &p->layers[i];
		if (layer_present(p->f->store->dir, l->chain))
			continue;
		ahead++;
		if (l->wanted)
			continue;
		l->blob.fn = on_blob;
		if (image_blob_want(p->f, &p->src, &l->desc, &l->blob)) {
			fail_oom(p);
			return;
		}
		l->wanted = true;
	}
	l = &p->layers[p->at];
	if (l->unpack.job)
		return;
	if ((l->here || image_layer_working(p->f, l->chain)) && !unpack_begin(p, l))
		fail_oom(p);
}

/* ---- start ---- */

static size_t
auths_collect(struct arena *a, const struct image_ref *ref, const struct runtime_pull_spec *spec,
	struct str out[static MAX_AUTHS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_docker_configs && n < MAX_AUTHS; i++) {
		struct image_auth auth = {STR_NONE, STR_NONE};
		struct buf b;

		/* A Secret that cannot be read is as none: the registry's answer tells the user. */
		if (image_auth_find(
			    a, spec->docker_configs[i], ref->domain, ref->path, &auth, NULL))
			continue;
		buf_init_arena(&b, a);
		buf_cstr(&b, "Basic ");
		base64_encode(&b,
			arena_cat(a, (struct str[]){auth.username, STR(":"), auth.password}, 3));
		out[n++] = buf_view(&b);
	}
	out[n++] = STR("");
	return n;
}

bool
image_open_to(struct image_store *s, const struct runtime_pull_spec *spec)
{
	const struct image *i = image_store_find(s, spec->ref);
	struct arena *a = arena_new(0);
	struct image_ref ref = {0};
	struct str keys[MAX_AUTHS + 1];
	size_t n = 0;
	bool open = false;

	if (i && a && image_ref_parse(a, spec->ref, &ref, NULL) == 0) {
		n = auths_collect(a, &ref, spec, keys);
		for (size_t k = 0; k < n; k++)
			keys[k] = image_key(a, &ref, keys[k]);
		open = !arena_failed(a) && image_store_open_to(i, keys, n);
	}
	arena_free(a);
	return open;
}

static void
begin(void *arg)
{
	struct runtime_pull *p = arg;

	if (p->cancelled) {
		if (p->f)
			leave(p);
		arena_free(p->a);
		return;
	}
	p->begun = true;
	p->resolving = true;
	if (!p->f->http)
		err_set(&p->err, -ENETDOWN, R_UNKNOWN, "no network");
	if (!p->f->http || !endpoint_next(p))
		fail(p);
}

int
image_pull_start(struct image_fetcher *f, const struct runtime_pull_spec *spec,
	image_pulled_fn *done, void *arg, struct runtime_pull **ret, struct err *e)
{
	struct arena *a = arena_new(64u << 20);
	struct runtime_pull *p = a ? ARENA_NEW(a, struct runtime_pull) : NULL;
	int rc = 0;

	if (!p) {
		arena_free(a);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	*p = (struct runtime_pull){.f = f, .a = a, .done = done, .arg = arg};
	rc = image_ref_parse(a, spec->ref, &p->ref, e);
	if (rc) {
		arena_free(a);
		return rc;
	}
	p->text = image_ref_string(a, &p->ref);
	p->n_auths = auths_collect(a, &p->ref, spec, p->auths);
	p->reg = image_fetcher_registry(f, p->ref.domain);
	if (arena_failed(a) || !p->reg || loop_post(f->loop, begin, p)) {
		arena_free(a);
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	p->next = f->pulls;
	f->pulls = p;
	*ret = p;
	return 0;
}

void
image_pulls_drop(struct image_fetcher *f)
{
	for (struct runtime_pull *p = f->pulls, *next = NULL; p; p = next) {
		next = p->next;
		p->cancelled = true;
		/* Its first step is posted already and frees it. */
		if (!p->begun) {
			p->f = NULL;
			continue;
		}
		leave(p);
		loop_free_later(f->loop, pull_free, p);
	}
	f->pulls = NULL;
}
