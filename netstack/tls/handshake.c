/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * handshake: the TLS library's engine, from the first byte to the Finished messages, and the checks it
 * leaves out.
 * Place in the flow: tls.c feeds it; at the end it leaves the record contexts and the peer behind.
 * Invariants, each one a trap of the library as it comes: the signature verifiers are set; the suites
 * are ECDHE with AEAD only; chains are judged by x509_verify (EKU, IP addresses, dates, criticals),
 * never by the library; an invalid client certificate is told apart from none, and its names go
 * nowhere; no session cache; entropy comes from base/rand and the library looks for none of its own.
 * Source: RFC 5246, RFC 8422. */
#include "netstack/tls/tls_int.h"

#include "base/clock.h"
#include "base/rand.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHAIN_CERTS_MAX 8
#define CHAIN_BYTES_MAX (64 * 1024)

/* The peer's chain as it comes, behind the library's X.509 interface. */
struct chain {
	const br_x509_class *vtable;
	struct tls_handshake *h;
	struct arena *arena; /* from when it is judged */
	struct buf certs[CHAIN_CERTS_MAX];
	size_t n, bytes;
	bool too_big, proxy;
	struct x509_cert parsed[CHAIN_CERTS_MAX];
	br_x509_pkey pkey;
	enum tls_peer_state state;
	struct err e;
};

struct policy {
	const br_ssl_server_policy_class *vtable;
	struct tls_handshake *h;
	const struct own_cert *own;
};

struct tls_handshake {
	struct tls_ctx *ctx;
	union {
		br_ssl_server_context server;
		br_ssl_client_context client;
	};
	br_ssl_engine_context *eng;
	struct chain chain;
	struct policy policy;
	br_ec_private_key ec_key; /* client: own key in the library's form */
	char name[256];           /* client: what the certificate must be for */
	unsigned char ibuf[BR_SSL_BUFSIZE_INPUT], obuf[BR_SSL_BUFSIZE_OUTPUT];
};

size_t
tls_handshake_bytes(void)
{
	return sizeof(struct tls_handshake);
}

/* ---- the peer's chain ---------------------------------------------------------------------------- */

static struct chain *
chain_of(const br_x509_class *const *ctx)
{
	return (struct chain *)(uintptr_t)ctx; /* its first member */
}

static void
chain_start(const br_x509_class **ctx, const char *server_name)
{
	struct chain *c = chain_of(ctx);

	(void)server_name;
	c->n = c->bytes = 0;
	c->too_big = c->proxy = false;
	c->state = TLS_PEER_NONE;
}

static void
chain_start_cert(const br_x509_class **ctx, uint32_t length)
{
	struct chain *c = chain_of(ctx);

	c->bytes += length;
	if (c->n == CHAIN_CERTS_MAX || c->bytes > CHAIN_BYTES_MAX) {
		c->too_big = true;
		return;
	}
	buf_clear(&c->certs[c->n]);
	c->n++;
}

static void
chain_append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct chain *c = chain_of(ctx);

	if (!c->too_big)
		buf_add(&c->certs[c->n - 1], p, n);
}

static void
chain_end_cert(const br_x509_class **ctx)
{
	(void)ctx;
}

/* peer_key_set: the leaf's key in the library's form. */
static void
peer_key_set(struct chain *c, const struct tls_pub *pub)
{
	if (pub->type == TLS_KEY_RSA) {
		c->pkey.key_type = BR_KEYTYPE_RSA;
		c->pkey.key.rsa = (br_rsa_public_key){crypto_unconst(pub->data), pub->n_len,
			crypto_unconst(pub->data + pub->n_len), pub->e_len};
	} else {
		c->pkey.key_type = BR_KEYTYPE_EC;
		c->pkey.key.ec = (br_ec_public_key){
			crypto_curve(pub->type), crypto_unconst(pub->data), pub->n_len};
	}
}

static int
chain_check(struct chain *c)
{
	const struct tls_ctx *ctx = c->h->ctx;
	int r = 0;

	if (c->too_big)
		return err_set(&c->e, -EACCES, R_UNAUTHORIZED, "certificate chain is too long");
	c->arena = arena_new(4 << 20);
	if (!c->arena)
		return err_set(&c->e, -ENOMEM, R_UNKNOWN, "out of memory");
	for (size_t i = 0; i < c->n && r == 0; i++) {
		if (c->certs[i].failed)
			return err_set(&c->e, -ENOMEM, R_UNKNOWN, "out of memory");
		r = x509_cert_parse(c->arena, buf_view(&c->certs[i]), &c->parsed[i], &c->e);
	}
	if (r < 0)
		return r;
	if (c->parsed[0].pub_ok && c->parsed[0].pub.type == TLS_KEY_ED25519)
		c->parsed[0].pub_ok = false; /* the engine does not speak it */
	if (!ctx->server && ctx->insecure)
		return c->parsed[0].pub_ok ? 0
					   : err_set(&c->e, -EACCES, R_UNAUTHORIZED,
						     "certificate has an unsupported key");
	struct x509_verify v = {
		.roots = ctx->roots,
		.n_roots = ctx->n_roots,
		.others = c->parsed + 1,
		.n_others = c->n - 1,
		.now_s = clock_wall_ns() / NS_PER_SEC,
		.eku = ctx->server ? X509_EKU_CLIENT : X509_EKU_SERVER,
		.name = ctx->server ? STR_NONE : str_c(c->h->name),
	};
	r = x509_verify(&v, &c->parsed[0], &c->e);
	if (r == 0 || !ctx->n_proxy_roots)
		return r;
	struct err e = {0};
	v.roots = ctx->proxy_roots;
	v.n_roots = ctx->n_proxy_roots;
	c->proxy = x509_verify(&v, &c->parsed[0], &e) == 0;
	if (c->proxy)
		c->e = e;
	return c->proxy ? 0 : r;
}

static unsigned
chain_end(const br_x509_class **ctx)
{
	struct chain *c = chain_of(ctx);

	if (c->n == 0 && !c->too_big)
		return BR_ERR_X509_EMPTY_CHAIN;
	if (chain_check(c) < 0) {
		c->state = TLS_PEER_INVALID;
		return BR_ERR_X509_NOT_TRUSTED;
	}
	peer_key_set(c, &c->parsed[0].pub);
	c->state = TLS_PEER_VALID;
	return 0;
}

static const br_x509_pkey *
chain_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	struct chain *c = chain_of(ctx);

	if (c->state != TLS_PEER_VALID)
		return NULL;
	if (usages)
		*usages = BR_KEYTYPE_SIGN;
	return &c->pkey;
}

static const br_x509_class chain_vtable = {
	sizeof(struct chain),
	chain_start,
	chain_start_cert,
	chain_append,
	chain_end_cert,
	chain_end,
	chain_pkey,
};

/* ---- the server's choices -------------------------------------------------------------------------- */

static const struct {
	uint16_t suite;
	bool rsa, chacha;
} suites[] = {
	{BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false, false},
	{BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true, false},
	{BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, false, false},
	{BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true, false},
	{BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false, true},
	{BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, true, true},
};

/* own_for: the certificate for the name asked for; the first when none is. */
static const struct own_cert *
own_for(const struct tls_ctx *ctx, struct str name)
{
	for (size_t i = 0; i < ctx->n_pairs && name.n > 0; i++)
		if (x509_san_matches(&ctx->pairs[i].leaf.san, name))
			return &ctx->pairs[i];
	return &ctx->pairs[0];
}

static int
policy_choose(const br_ssl_server_policy_class **pctx, const br_ssl_server_context *cc,
	br_ssl_server_choices *choices)
{
	struct policy *p = (struct policy *)(void *)pctx;
	const char *name = br_ssl_engine_get_server_name(&cc->eng);
	size_t n = 0;
	const br_suite_translated *offered = br_ssl_server_get_client_suites(cc, &n);

	p->own = own_for(p->h->ctx, str_c(name));
	bool rsa = tls_key_pub(p->own->key)->type == TLS_KEY_RSA;
	uint32_t hashes = br_ssl_server_get_client_hashes(cc) >> (rsa ? 0 : 8);
	int hash = hashes & (1u << br_sha256_ID) ? br_sha256_ID
		: hashes & (1u << br_sha384_ID)  ? br_sha384_ID
		: hashes & (1u << br_sha512_ID)  ? br_sha512_ID
						 : 0;
	if (hash == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_LEN(suites); k++) {
			if (suites[k].suite != offered[i][0] || suites[k].rsa != rsa)
				continue;
			choices->cipher_suite = suites[k].suite;
			choices->algo_id = 0xFF00u + (unsigned)hash;
			choices->chain = p->own->chain;
			choices->chain_len = p->own->n;
			return 1;
		}
	}
	return 0;
}

/* policy_keyx: for key exchanges without forward secrecy: there are none. */
static uint32_t
policy_keyx(const br_ssl_server_policy_class **pctx, unsigned char *data, size_t *len)
{
	(void)pctx, (void)data, (void)len;
	return 0;
}

static size_t
policy_sign(const br_ssl_server_policy_class **pctx, unsigned algo_id, unsigned char *data,
	size_t hv_len, size_t len)
{
	struct policy *p = (struct policy *)(void *)pctx;
	uint8_t hash[64], sig[520];

	if (hv_len > sizeof(hash))
		return 0;
	memcpy(hash, data, hv_len);
	size_t n = crypto_sign_hash(p->own->key, (int)(algo_id & 0xff), hash, sig);
	if (n == 0 || n > len)
		return 0;
	memcpy(data, sig, n);
	return n;
}

static const br_ssl_server_policy_class policy_vtable = {
	sizeof(struct policy),
	policy_choose,
	policy_keyx,
	policy_sign,
};

/* ---- the engine ------------------------------------------------------------------------------------ */

static void
engine_init(struct tls_handshake *h)
{
	const struct tls_crypto *c = tls_crypto();
	br_ssl_engine_context *eng = h->eng;
	uint16_t list[ARRAY_LEN(suites)];
	size_t n = 0;
	uint8_t seed[48];
	static const char *protocols[] = {"http/1.1"};

	/* Without AES in the CPU ChaCha20 is several times faster: it goes first. */
	for (int chacha = 0; chacha < 2; chacha++)
		for (size_t i = 0; i < ARRAY_LEN(suites); i++)
			if (suites[i].chacha == (chacha == c->fast_aes))
				list[n++] = suites[i].suite;
	br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(eng, list, n);
	br_ssl_engine_set_ec(eng, &c->ec);
	br_ssl_engine_set_ecdsa(eng, c->verify);
	br_ssl_engine_set_rsavrfy(eng, c->rsa_verify);
	br_ssl_engine_set_hash(eng, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(eng, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(eng, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
	br_ssl_engine_set_gcm(eng, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
	br_ssl_engine_set_aes_ctr(eng, c->aes);
	br_ssl_engine_set_ghash(eng, c->ghash);
	br_ssl_engine_set_chapol(eng, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(eng, c->chacha);
	br_ssl_engine_set_poly1305(eng, c->poly);
	br_ssl_engine_set_protocol_names(eng, protocols, 1);
	br_ssl_engine_set_x509(eng, &h->chain.vtable);
	br_ssl_engine_set_buffers_bidi(eng, h->ibuf, sizeof(h->ibuf), h->obuf, sizeof(h->obuf));
	rand_bytes(seed, sizeof(seed));
	br_ssl_engine_inject_entropy(eng, seed, sizeof(seed));
	eng->rng_os_rand_done = 1; /* no seeder of the library's own: CPUID, /dev/urandom */
	explicit_bzero(seed, sizeof(seed));
}

static int
server_start(struct tls_handshake *h)
{
	struct tls_ctx *ctx = h->ctx;
	uint32_t flags = BR_OPT_NO_RENEGOTIATION | BR_OPT_ENFORCE_SERVER_PREFERENCES;

	h->eng = &h->server.eng;
	br_ssl_server_zero(&h->server);
	engine_init(h);
	h->policy = (struct policy){.vtable = &policy_vtable, .h = h};
	br_ssl_server_set_policy(&h->server, &h->policy.vtable);
	if (ctx->client_auth != TLS_CLIENT_NONE)
		br_ssl_server_set_trust_anchor_names(&h->server, ctx->ca_names, ctx->n_ca_names);
	if (ctx->client_auth == TLS_CLIENT_OPTIONAL)
		flags |= BR_OPT_TOLERATE_NO_CLIENT_AUTH;
	br_ssl_engine_set_all_flags(h->eng, flags);
	return br_ssl_server_reset(&h->server) ? 0 : -EPROTO;
}

static int
client_start(struct tls_handshake *h)
{
	const struct tls_crypto *c = tls_crypto();
	struct tls_ctx *ctx = h->ctx;
	struct ip_addr ip;

	h->eng = &h->client.eng;
	br_ssl_client_zero(&h->client);
	engine_init(h);
	br_ssl_engine_set_all_flags(h->eng, BR_OPT_NO_RENEGOTIATION);
	if (ctx->n_pairs > 0) {
		const struct own_cert *o = &ctx->pairs[0];
		const struct tls_key *k = o->key;
		if (k->pub.type == TLS_KEY_RSA) {
			br_ssl_client_set_single_rsa(
				&h->client, o->chain, o->n, &k->rsa, c->rsa_sign);
		} else {
			h->ec_key = (br_ec_private_key){
				crypto_curve(k->pub.type), crypto_unconst(k->x), k->x_len};
			br_ssl_client_set_single_ec(&h->client, o->chain, o->n, &h->ec_key,
				BR_KEYTYPE_SIGN, o->issuer_key, &c->ec, c->sign);
		}
	}
	bool is_ip = ip_parse(str_c(h->name), &ip) == 0;
	return br_ssl_client_reset(&h->client, is_ip ? NULL : h->name, 0) ? 0 : -EPROTO;
}

/* memory_get: for a handshake, zero up to the buffers; NULL when memory is short. memory_put gives it back; secrets
 * are wiped. Any thread. */
#ifdef KEELSON_ASAN

/* One block each, so that the sanitizer finds what is stale or too long. */
static struct tls_handshake *
memory_get(void)
{
	return calloc(1, sizeof(struct tls_handshake));
}

static void
memory_put(struct tls_handshake *h)
{
	free(h);
}

#else

/* Pages of its own and not the allocator's, which keeps what a thousand clients at once have used: of two buffers of
 * 16 KiB a handshake touches a little. A few are kept, so that one client after another costs no page faults. */
#define SPARES_MAX 8

static struct {
	pthread_mutex_t lock;
	struct tls_handshake *list[SPARES_MAX];
	size_t n;
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct tls_handshake *
memory_get(void)
{
	struct tls_handshake *h = NULL;

	pthread_mutex_lock(&spares.lock);
	if (spares.n > 0)
		h = spares.list[--spares.n];
	pthread_mutex_unlock(&spares.lock);
	if (h)
		return h;
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return h == MAP_FAILED ? NULL : h;
}

static void
memory_put(struct tls_handshake *h)
{
	explicit_bzero(h, offsetof(struct tls_handshake, ibuf));
	pthread_mutex_lock(&spares.lock);
	if (spares.n < SPARES_MAX)
		spares.list[spares.n++] = TAKE_PTR(h);
	pthread_mutex_unlock(&spares.lock);
	if (h)
		munmap(h, sizeof(*h));
}

#endif

void
tls_handshake_free(struct tls_handshake *h)
{
	if (!h)
		return;
	arena_free(h->chain.arena);
	for (size_t i = 0; i < CHAIN_CERTS_MAX; i++)
		buf_release(&h->chain.certs[i]);
	memory_put(h);
}

int
tls_handshake_new(struct tls_conn *c, struct str name)
{
	struct tls_handshake *h = memory_get();

	if (!h)
		return -ENOMEM;
	h->ctx = c->ctx;
	h->chain.vtable = &chain_vtable;
	h->chain.h = h;
	str_copy_c(name, h->name, sizeof(h->name));
	if ((c->ctx->server ? server_start(h) : client_start(h)) < 0) {
		tls_handshake_free(h);
		return -ENOMEM;
	}
	c->hs = h;
	return 0;
}

/* ---- running it ------------------------------------------------------------------------------------ */

static const struct {
	int code;
	const char *text;
	uint8_t alert; /* what the peer is told, when the library told it nothing */
} reasons[] = {
	{BR_ERR_BAD_VERSION, "record of another protocol version", 70},
	{BR_ERR_UNSUPPORTED_VERSION, "protocol version not supported", 70},
	{BR_ERR_BAD_CIPHER_SUITE, "no common cipher suite", 40},
	{BR_ERR_BAD_HANDSHAKE, "no common parameters", 40},
	{BR_ERR_BAD_SIGNATURE, "the peer's signature is wrong", 51},
	{BR_ERR_NO_CLIENT_AUTH, "client did not send a certificate", 40},
	{BR_ERR_X509_EMPTY_CHAIN, "peer sent no certificate", 40},
	{BR_ERR_BAD_MAC, "bad record MAC", 20},
	{BR_ERR_UNEXPECTED, "unexpected message", 10},
	{BR_ERR_BAD_PARAM, "malformed message", 50},
	{BR_ERR_RECV_FATAL_ALERT + 40, "peer's alert: handshake failure", 0},
	{BR_ERR_RECV_FATAL_ALERT + 42, "peer's alert: bad certificate", 0},
	{BR_ERR_RECV_FATAL_ALERT + 45, "peer's alert: certificate expired", 0},
	{BR_ERR_RECV_FATAL_ALERT + 46, "peer's alert: certificate unknown", 0},
	{BR_ERR_RECV_FATAL_ALERT + 48, "peer's alert: unknown certificate authority", 0},
	{BR_ERR_RECV_FATAL_ALERT + 70, "peer's alert: protocol version not supported", 0},
	{BR_ERR_RECV_FATAL_ALERT + 116, "peer's alert: certificate required", 0},
};

/* tell_peer: an alert in the clear; once records are encrypted the peer finds out by the end. */
static void
tell_peer(struct tls_conn *c, uint8_t alert)
{
	const char rec[7] = {21, 3, 3, 0, 2, 2, (char)alert};

	if (alert && c->hs->eng->out.vtable == &br_sslrec_out_clear_vtable)
		buf_add(&c->wire, rec, sizeof(rec));
}

static void
engine_failed(struct tls_conn *c, bool told)
{
	struct tls_handshake *h = c->hs;
	int code = br_ssl_engine_last_error(h->eng);
	char text[64];

	if (h->chain.state == TLS_PEER_INVALID && code == BR_ERR_X509_NOT_TRUSTED) {
		tell_peer(c, 42);
		tls_fail(c, h->chain.e.code == -ENOMEM ? -ENOMEM : -EACCES, h->chain.e.msg);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].code == code) {
			tell_peer(c, told ? 0 : reasons[i].alert);
			tls_fail(c, -EPROTO, reasons[i].text);
			return;
		}
	}
	if (code)
		snprintf(text, sizeof(text), "TLS handshake failed (%d)", code);
	tls_fail(c, -EPROTO, code ? text : "peer ended the handshake");
}

/* drain: what the engine wants to send moves to the connection. */
static void
drain(struct tls_conn *c)
{
	size_t n = 0;
	unsigned char *p = NULL;

	while ((p = br_ssl_engine_sendrec_buf(c->hs->eng, &n)) != NULL && n > 0) {
		buf_add(&c->wire, p, n);
		br_ssl_engine_sendrec_ack(c->hs->eng, n);
	}
}

/* finish: the handshake is good: keys and peer outlive the engine. */
static void
finish(struct tls_conn *c)
{
	struct tls_handshake *h = c->hs;
	br_ssl_engine_context *eng = h->eng;
	struct chain *ch = &h->chain;
	const char *name = c->ctx->server ? br_ssl_engine_get_server_name(eng) : NULL;
	const char *alpn = br_ssl_engine_get_selected_protocol(eng);

	static_assert(
		sizeof(union tls_rec_in) <= sizeof(eng->in), "record contexts are copied whole");
	memcpy(&c->in, &eng->in, sizeof(c->in));
	memcpy(&c->out, &eng->out, sizeof(c->out));
	c->alpn = alpn && alpn[0];
	const struct x509_cert *leaf = ch->state == TLS_PEER_VALID ? &ch->parsed[0] : NULL;
	c->peer.proxy = leaf && ch->proxy;
	if (tls_peer_set(c, ch->state, leaf, ch->e.msg, str_c(name)) < 0)
		tls_fail(c, -ENOMEM, "out of memory");
	else
		c->established = true;
	c->hs = NULL;
	tls_handshake_free(h);
}

static void
pump(struct tls_conn *c)
{
	size_t before = c->wire.len;

	drain(c);
	unsigned state = br_ssl_engine_current_state(c->hs->eng);
	if (state & BR_SSL_CLOSED)
		engine_failed(c, c->wire.len > before);
	else if (state & BR_SSL_SENDAPP)
		finish(c);
}

void
tls_handshake_feed(struct tls_conn *c, struct str *in)
{
	if (c->hs && in->n == 0)
		pump(c);
	while (c->hs && !c->error && in->n > 0) {
		size_t n = 0;
		unsigned char *p = br_ssl_engine_recvrec_buf(c->hs->eng, &n);
		if (!p || n == 0) {
			pump(c);
			if (c->hs && !c->error)
				tls_fail(c, -EPROTO, "unexpected message");
			break;
		}
		if (n > in->n)
			n = in->n;
		memcpy(p, in->p, n);
		br_ssl_engine_recvrec_ack(c->hs->eng, n);
		*in = str_sub(*in, n, SIZE_MAX);
		pump(c);
	}
}
