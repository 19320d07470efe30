/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crypto: chooses the primitives once, and joins P-256 (p256.c) with the library's other curves;
 * contracts in crypto.h.
 * Must not: ask the CPU or the system for anything after the first call. */
#include "netstack/tls/crypto.h"

#include <pthread.h>

static struct tls_crypto chosen;

/* ---- curves behind one vtable ---- */

static const unsigned char *
ec_generator(int curve, size_t *len)
{
	return br_ec_all_m31.generator(curve, len);
}

static const unsigned char *
ec_order(int curve, size_t *len)
{
	return br_ec_all_m31.order(curve, len);
}

static size_t
ec_xoff(int curve, size_t *len)
{
	return br_ec_all_m31.xoff(curve, len);
}

static uint32_t
ec_mul(unsigned char *g, size_t g_len, const unsigned char *x, size_t x_len, int curve)
{
	if (curve == BR_EC_secp256r1)
		return g_len == 65 ? p256_mul(g, x, x_len) : 0;
	if (curve == BR_EC_curve25519)
		return g_len == 32 ? x25519_mul(g, x, x_len) : 0;
	return br_ec_all_m31.mul(g, g_len, x, x_len, curve);
}

static size_t
ec_mulgen(unsigned char *r, const unsigned char *x, size_t x_len, int curve)
{
	if (curve == BR_EC_secp256r1)
		return p256_mulgen(r, x, x_len) ? 65 : 0;
	if (curve == BR_EC_curve25519)
		return x25519_mulgen(r, x, x_len) ? 32 : 0;
	return br_ec_all_m31.mulgen(r, x, x_len, curve);
}

static uint32_t
ec_muladd(unsigned char *a, const unsigned char *b, size_t len, const unsigned char *x,
	size_t x_len, const unsigned char *y, size_t y_len, int curve)
{
	return br_ec_all_m31.muladd(a, b, len, x, x_len, y, y_len, curve);
}

/* ---- ECDSA behind the library's function types ---- */

static size_t
ecdsa_sign(const br_ec_impl *impl, const br_hash_class *hf, const void *hash,
	const br_ec_private_key *sk, void *sig)
{
	uint8_t raw[160] = {0};

	if (sk->curve != BR_EC_secp256r1 || sk->xlen != 32)
		return br_ecdsa_i31_sign_asn1(&br_ec_all_m31, hf, hash, sk, sig);
	(void)impl;
	if (!p256_scalar_ok(sk->x))
		return 0;
	p256_sign(sk->x, hf, hash, raw);
	size_t n = br_ecdsa_raw_to_asn1(raw, 64);
	memcpy(sig, raw, n);
	return n;
}

static uint32_t
ecdsa_verify(const br_ec_impl *impl, const void *hash, size_t hash_len, const br_ec_public_key *pk,
	const void *sig, size_t sig_len)
{
	uint8_t raw[160] = {0}, full[64] = {0};

	(void)impl;
	if (pk->curve != BR_EC_secp256r1)
		return br_ecdsa_i31_vrfy_asn1(&br_ec_all_m31, hash, hash_len, pk, sig, sig_len);
	if (pk->qlen != 65 || sig_len > sizeof(raw))
		return 0;
	memcpy(raw, sig, sig_len);
	/* r and s come back with a common length, leading zeros gone from the longer one. */
	size_t n = br_ecdsa_asn1_to_raw(raw, sig_len);
	if (n == 0 || n > 64)
		return 0;
	memcpy(full + 32 - n / 2, raw, n / 2);
	memcpy(full + 64 - n / 2, raw + n / 2, n / 2);
	return p256_verify(pk->q, hash, hash_len, full);
}

static void
choose(void)
{
	p256_init();
	chosen.ec = (br_ec_impl){
		.supported_curves = (1u << BR_EC_secp256r1) | (1u << BR_EC_secp384r1) |
			(1u << BR_EC_secp521r1) | (1u << BR_EC_curve25519),
		.generator = ec_generator,
		.order = ec_order,
		.xoff = ec_xoff,
		.mul = ec_mul,
		.mulgen = ec_mulgen,
		.muladd = ec_muladd,
	};
	chosen.sign = ecdsa_sign;
	chosen.verify = ecdsa_verify;
	chosen.aes = br_aes_x86ni_ctr_get_vtable();
	chosen.fast_aes = chosen.aes != NULL;
	if (!chosen.aes)
		chosen.aes = &br_aes_ct64_ctr_vtable;
	chosen.ghash = br_ghash_pclmul_get();
	if (!chosen.ghash)
		chosen.ghash = br_ghash_ctmul64;
	chosen.chacha = br_chacha20_sse2_get();
	if (!chosen.chacha)
		chosen.chacha = br_chacha20_ct_run;
	chosen.poly = br_poly1305_ctmulq_get();
	if (!chosen.poly)
		chosen.poly = br_poly1305_ctmul_run;
	chosen.rsa_verify = br_rsa_pkcs1_vrfy_get_default();
	chosen.rsa_sign = br_rsa_pkcs1_sign_get_default();
}

const struct tls_crypto *
tls_crypto(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, choose);
	return &chosen;
}

/* ---- hashes ---- */

static const struct {
	int id;
	const br_hash_class *class;
	const unsigned char *oid;
} hashes[] = {
	{br_sha256_ID, &br_sha256_vtable, (const unsigned char *)BR_HASH_OID_SHA256},
	{br_sha384_ID, &br_sha384_vtable, (const unsigned char *)BR_HASH_OID_SHA384},
	{br_sha512_ID, &br_sha512_vtable, (const unsigned char *)BR_HASH_OID_SHA512},
};

const br_hash_class *
crypto_hash_class(int id)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
		if (hashes[i].id == id)
			return hashes[i].class;
	return NULL;
}

const unsigned char *
crypto_hash_oid(int id)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
		if (hashes[i].id == id)
			return hashes[i].oid;
	return NULL;
}

size_t
crypto_hash(int id, struct str data, uint8_t out[64])
{
	const br_hash_class *c = crypto_hash_class(id);
	br_hash_compat_context ctx;

	BUG_ON(!c);
	c->init(&ctx.vtable);
	c->update(&ctx.vtable, data.p, data.n);
	c->out(&ctx.vtable, out);
	return (c->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
}

static size_t
hash_len(int id)
{
	const br_hash_class *c = crypto_hash_class(id);

	return c ? (c->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK : 0;
}

/* ---- keys ---- */

static const struct {
	int curve;
	size_t point, scalar;
	int hash;
} kinds[] = {
	[TLS_KEY_EC_P256] = {BR_EC_secp256r1, 65, 32, br_sha256_ID},
	[TLS_KEY_EC_P384] = {BR_EC_secp384r1, 97, 48, br_sha384_ID},
	[TLS_KEY_EC_P521] = {BR_EC_secp521r1, 133, 66, br_sha512_ID},
	[TLS_KEY_RSA] = {0, 0, 0, br_sha256_ID},
	[TLS_KEY_ED25519] = {0, 32, 32, 0},
};

int
crypto_curve(enum tls_key_type t)
{
	return kinds[t].curve;
}

int
crypto_key_hash(const struct tls_pub *p)
{
	return kinds[p->type].hash;
}

bool
crypto_pub_ok(const struct tls_pub *pub)
{
	if (pub->type == TLS_KEY_RSA)
		return pub->n_len >= 256 && pub->n_len <= 512 && pub->e_len >= 1 &&
			pub->e_len <= 8 && (pub->data[0] != 0) && (pub->data[pub->n_len - 1] & 1);
	if (pub->n_len != kinds[pub->type].point)
		return false;
	if (pub->type == TLS_KEY_ED25519)
		return ed25519_point_ok(pub->data);
	if (pub->data[0] != 4)
		return false;
	if (pub->type == TLS_KEY_EC_P256)
		return p256_point_ok(pub->data);
	/* The library refuses points off the curve: a product by 1 asks it. */
	uint8_t point[133];
	const unsigned char one = 1;
	memcpy(point, pub->data, pub->n_len);
	return br_ec_all_m31.mul(point, pub->n_len, &one, 1, kinds[pub->type].curve) == 1;
}

bool
crypto_verify_hash(const struct tls_pub *pub, int hash_id, const uint8_t *hash, struct str sig)
{
	const struct tls_crypto *c = tls_crypto();
	size_t n = hash_len(hash_id);
	uint8_t got[64] = {0};

	if (n == 0 || sig.n == 0 || pub->type == TLS_KEY_ED25519)
		return false;
	if (pub->type != TLS_KEY_RSA) {
		br_ec_public_key pk = {
			crypto_curve(pub->type), crypto_unconst(pub->data), pub->n_len};
		return c->verify(&c->ec, hash, n, &pk, sig.p, sig.n) == 1;
	}
	br_rsa_public_key pk = {crypto_unconst(pub->data), pub->n_len,
		crypto_unconst(pub->data + pub->n_len), pub->e_len};
	if (sig.n > 512 ||
		!c->rsa_verify(
			(const unsigned char *)sig.p, sig.n, crypto_hash_oid(hash_id), n, &pk, got))
		return false;
	return memcmp(got, hash, n) == 0;
}

size_t
crypto_sign_hash(const struct tls_key *k, int hash_id, const uint8_t *hash, uint8_t *out)
{
	const struct tls_crypto *c = tls_crypto();

	if (k->pub.type == TLS_KEY_ED25519)
		return 0;
	if (k->pub.type == TLS_KEY_RSA) {
		if (!c->rsa_sign(crypto_hash_oid(hash_id), hash, hash_len(hash_id), &k->rsa, out))
			return 0;
		return k->pub.n_len;
	}
	br_ec_private_key sk = {crypto_curve(k->pub.type), crypto_unconst(k->x), k->x_len};
	return c->sign(&c->ec, crypto_hash_class(hash_id), hash, &sk, out);
}
