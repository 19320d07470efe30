/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ctx: what the connections of a listener or a client share: own certificates and roots; contract in
 * tls.h.
 * Place in the flow: made at start and at each reload; connections keep the one they began with.
 * Invariants: immutable after tls_ctx_new; counted atomically, since workers share it. */
#include "netstack/tls/tls_int.h"

#include <errno.h>
#include <stdlib.h>

static void
ctx_free(struct tls_ctx *c)
{
	for (size_t i = 0; i < c->n_pairs; i++)
		tls_key_free(c->pairs[i].key);
	arena_free(c->arena);
	free(c);
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void
tls_ctx_unref(struct tls_ctx *c)
{
	if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
		ctx_free(c);
}

/* pair_load: a chain with its key; the leaf must be for that key. */
static int
pair_load(struct tls_ctx *c, const struct tls_pair *p, struct own_cert *o, struct err *e)
{
	struct x509_cert *certs = NULL;
	size_t n = 0;
	int r = x509_certs_parse_pem(c->arena, p->cert_pem, &certs, &n, e);

	if (r == 0)
		r = tls_key_parse(p->key_pem, &o->key, e);
	if (r < 0)
		return r;
	if (!certs[0].pub_ok || !tls_pub_eq(&certs[0].pub, tls_key_pub(o->key)))
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"private key does not match the certificate's public key");
	if (certs[0].pub.type == TLS_KEY_ED25519)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "keys of Ed25519 are not for TLS here");
	o->chain = ARENA_ARRAY(c->arena, br_x509_certificate, n);
	if (!o->chain)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	for (size_t i = 0; i < n; i++) {
		o->chain[i].data = crypto_unconst(certs[i].der.p);
		o->chain[i].data_len = certs[i].der.n;
	}
	o->n = n;
	o->leaf = certs[0];
	const struct sig_alg *alg = sig_alg_get(o->leaf.sig_alg);
	o->issuer_key = alg && alg->rsa ? BR_KEYTYPE_RSA : BR_KEYTYPE_EC;
	return 0;
}

static int
roots_load(struct tls_ctx *c, const struct tls_config *cfg, struct err *e)
{
	int r = 0;

	if (cfg->ca_pem.n > 0)
		r = x509_certs_parse_pem(c->arena, cfg->ca_pem, &c->roots, &c->n_roots, e);
	if (r == 0 && cfg->proxy_ca_pem.n > 0)
		r = x509_certs_parse_pem(
			c->arena, cfg->proxy_ca_pem, &c->proxy_roots, &c->n_proxy_roots, e);
	if (r < 0)
		return r;
	c->n_ca_names = c->n_roots + c->n_proxy_roots;
	c->ca_names = ARENA_ARRAY(c->arena, br_x500_name, c->n_ca_names);
	if (!c->ca_names)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	for (size_t i = 0; i < c->n_ca_names; i++) {
		const struct x509_cert *root = i < c->n_roots ? &c->roots[i]
							      : &c->proxy_roots[i - c->n_roots];
		c->ca_names[i].data = crypto_unconst(root->subject.der.p);
		c->ca_names[i].len = root->subject.der.n;
	}
	return 0;
}

static int
ctx_fill(struct tls_ctx *c, const struct tls_config *cfg, struct err *e)
{
	int r = 0;

	c->server = cfg->server;
	c->insecure = cfg->insecure;
	c->client_auth = cfg->client_auth;
	if (cfg->server && cfg->n_pairs == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "a TLS server needs a certificate");
	c->pairs = ARENA_ARRAY(c->arena, struct own_cert, cfg->n_pairs);
	if (!c->pairs)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	for (size_t i = 0; i < cfg->n_pairs; i++) {
		c->n_pairs = i + 1;
		r = pair_load(c, &cfg->pairs[i], &c->pairs[i], e);
		if (r < 0)
			return r;
	}
	r = roots_load(c, cfg, e);
	if (r == 0 && cfg->server && cfg->client_auth != TLS_CLIENT_NONE && c->n_roots == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"client certificates are asked for, but no CA is given");
	return r;
}

int
tls_ctx_new(const struct tls_config *cfg, struct tls_ctx **ret, struct err *e)
{
	struct tls_ctx *c = calloc(1, sizeof(*c));
	struct err scratch = {0};

	tls_crypto();
	if (!e)
		e = &scratch;
	if (!c)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	c->refs = 1;
	c->arena = arena_new(0);
	int r = c->arena ? ctx_fill(c, cfg, e) : err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (r < 0) {
		ctx_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
