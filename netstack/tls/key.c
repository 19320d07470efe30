/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * key: private and public keys: made, read, written, used for tokens; contracts in x509.h.
 * Place in the flow: service account tokens (JWS), the issuing of certificates, own identities of tls.c.
 * Invariants: a private key's memory is wiped before it is freed; its public half is computed from it,
 * never believed.
 * Source: RFC 5915, RFC 5208, RFC 8017 (PKCS#1), RFC 7515, RFC 7518. */
#include "netstack/tls/x509_int.h"

#include "base/hash.h"
#include "base/rand.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* The longest private key in DER: RSA of 4096 bits: two numbers of 512 bytes, five of 256. */
#define KEY_DER_MAX 2560

static int
ec_finish(struct tls_key *k)
{
	br_ec_private_key sk = {crypto_curve(k->pub.type), k->x, k->x_len};
	uint8_t point[BR_EC_KBUF_PUB_MAX_SIZE];
	size_t n = br_ec_compute_pub(&tls_crypto()->ec, NULL, point, &sk);

	if (n == 0 || n > sizeof(k->pub.data))
		return -EINVAL;
	memcpy(k->pub.data, point, n);
	k->pub.n_len = (uint16_t)n;
	return crypto_pub_ok(&k->pub) ? 0 : -EINVAL;
}

/* ---- making ---- */

/* rng: chance in the form the library asks for. */
static void
rng_generate(const br_prng_class **ctx, void *out, size_t n)
{
	(void)ctx;
	rand_bytes(out, n);
}

static const br_prng_class rng_vtable = {sizeof(br_prng_class *), NULL, rng_generate, NULL};

static int
ec_generate(struct tls_key *k, unsigned bits)
{
	const br_prng_class *rng = &rng_vtable;
	br_ec_private_key sk;

	(void)bits;
	if (k->pub.type == TLS_KEY_EC_P256) {
		k->x_len = 32;
		do
			rand_bytes(k->x, 32);
		while (!p256_scalar_ok(k->x));
	} else {
		k->x_len = br_ec_keygen(&rng, &br_ec_all_m31, &sk, k->x, crypto_curve(k->pub.type));
	}
	return ec_finish(k);
}

static int
ed25519_generate(struct tls_key *k, unsigned bits)
{
	(void)bits;
	k->x_len = k->pub.n_len = 32;
	rand_bytes(k->x, 32);
	ed25519_pub(k->pub.data, k->x);
	return 0;
}

static int
rsa_generate(struct tls_key *k, unsigned bits)
{
	const br_prng_class *rng = &rng_vtable;
	uint8_t pub[BR_RSA_KBUF_PUB_SIZE(4096)];
	br_rsa_public_key pk;

	static_assert(BR_RSA_KBUF_PRIV_SIZE(4096) <= sizeof(k->rsa_data), "room for a key");
	if (bits < 2048 || bits > 4096 || bits % 8 ||
		!br_rsa_keygen_get_default()(&rng, &k->rsa, k->rsa_data, &pk, pub, bits, 65537))
		return -EINVAL;
	k->pub.n_len = (uint16_t)pk.nlen;
	k->pub.e_len = (uint16_t)pk.elen;
	memcpy(k->pub.data, pk.n, pk.nlen);
	memcpy(k->pub.data + pk.nlen, pk.e, pk.elen);
	return crypto_pub_ok(&k->pub) ? 0 : -EINVAL;
}

int
tls_key_generate_of(enum tls_key_type type, unsigned rsa_bits, struct tls_key **ret)
{
	static int (*const makers[])(struct tls_key * k, unsigned bits) = {
		[TLS_KEY_EC_P256] = ec_generate,
		[TLS_KEY_EC_P384] = ec_generate,
		[TLS_KEY_EC_P521] = ec_generate,
		[TLS_KEY_RSA] = rsa_generate,
		[TLS_KEY_ED25519] = ed25519_generate,
	};
	struct tls_key *k = calloc(1, sizeof(*k));

	tls_crypto();
	if (!k)
		return -ENOMEM;
	k->pub.type = type;
	int r = makers[type](k, rsa_bits);
	if (r < 0) {
		tls_key_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int
tls_key_generate(struct tls_key **ret)
{
	return tls_key_generate_of(TLS_KEY_EC_P256, 0, ret);
}

void
tls_key_free(struct tls_key *k)
{
	if (!k)
		return;
	explicit_bzero(k, sizeof(*k));
	free(k);
}

/* ---- reading ---- */

static const struct {
	int curve;
	enum tls_key_type type;
	size_t len;
} curves[] = {
	{BR_EC_secp256r1, TLS_KEY_EC_P256, 32},
	{BR_EC_secp384r1, TLS_KEY_EC_P384, 48},
	{BR_EC_secp521r1, TLS_KEY_EC_P521, 66},
};

static int
ec_take(struct tls_key *k, const br_ec_private_key *sk)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		struct str x = str_from((const char *)sk->x, sk->xlen);
		if (curves[i].curve != sk->curve)
			continue;
		while (x.n > curves[i].len && x.p[0] == 0)
			x = str_sub(x, 1, SIZE_MAX);
		if (x.n == 0 || x.n > curves[i].len)
			return -EINVAL;
		k->pub.type = curves[i].type;
		k->x_len = curves[i].len;
		memcpy(k->x + k->x_len - x.n, x.p, x.n);
		if (k->pub.type == TLS_KEY_EC_P256 && !p256_scalar_ok(k->x))
			return -EINVAL;
		return ec_finish(k);
	}
	return -EINVAL;
}

/* part: a number of an RSA key moves into the key's own memory. */
static int
part(struct tls_key *k, size_t *at, const unsigned char *p, size_t n, unsigned char **ret)
{
	if (n > sizeof(k->rsa_data) - *at)
		return -EINVAL;
	*ret = k->rsa_data + *at;
	memcpy(*ret, p, n);
	*at += n;
	return 0;
}

/* modulus: n = p * q, big-endian, without leading zeros. The library's own refuses 4096 bits. */
static size_t
modulus(const br_rsa_private_key *sk, uint8_t out[512])
{
	uint8_t all[520] = {0};
	size_t n = sk->plen + sk->qlen, skip = 0;

	if (n > sizeof(all))
		return 0;
	for (size_t i = sk->plen; i-- > 0;) {
		uint32_t carry = 0;
		for (size_t j = sk->qlen; j-- > 0;) {
			carry += (uint32_t)sk->p[i] * sk->q[j] + all[i + j + 1];
			all[i + j + 1] = (uint8_t)carry;
			carry >>= 8;
		}
		all[i] = (uint8_t)carry;
	}
	while (skip < n && all[skip] == 0)
		skip++;
	n -= skip;
	if (n <= 512)
		memcpy(out, all + skip, n);
	return n;
}

/* exponent: the public exponent in the DER of a key; the library can compute it only when p or q is 3
 * mod 4. PKCS#8 or PKCS#1. */
static bool
exponent(struct str der, struct str *ret_e)
{
	struct str seq = STR_NONE, v = STR_NONE, in = der;

	if (!der_take(&in, DER_SEQ, &seq) || !der_uint(&seq, &v))
		return false;
	if (der_peek(seq) == DER_SEQ) {
		if (!der_take(&seq, DER_SEQ, &v) || !der_take(&seq, DER_OCTETS, &in) ||
			!der_take(&in, DER_SEQ, &seq) || !der_uint(&seq, &v))
			return false;
	}
	return der_uint(&seq, &v) && der_uint(&seq, ret_e) && ret_e->n <= 8;
}

/* rsa_agrees: what the key signs, its public half verifies. */
static bool
rsa_agrees(const struct tls_key *k)
{
	uint8_t hash[32] = {1}, sig[520];
	size_t n = crypto_sign_hash(k, br_sha256_ID, hash, sig);

	return n > 0 && crypto_verify_hash(&k->pub, br_sha256_ID, hash, str_from((char *)sig, n));
}

static int
rsa_take(struct tls_key *k, const br_rsa_private_key *sk, struct str der)
{
	size_t at = 0;
	struct str e = STR_NONE;

	k->pub.type = TLS_KEY_RSA;
	k->rsa = *sk;
	if (part(k, &at, sk->p, sk->plen, &k->rsa.p) < 0 ||
		part(k, &at, sk->q, sk->qlen, &k->rsa.q) < 0 ||
		part(k, &at, sk->dp, sk->dplen, &k->rsa.dp) < 0 ||
		part(k, &at, sk->dq, sk->dqlen, &k->rsa.dq) < 0 ||
		part(k, &at, sk->iq, sk->iqlen, &k->rsa.iq) < 0 || !exponent(der, &e))
		return -EINVAL;
	size_t n = modulus(&k->rsa, k->pub.data);
	if (n < 256 || n > 512)
		return -EINVAL;
	memcpy(k->pub.data + n, e.p, e.n);
	k->pub.n_len = (uint16_t)n;
	k->pub.e_len = (uint16_t)e.n;
	return crypto_pub_ok(&k->pub) && rsa_agrees(k) ? 0 : -EINVAL;
}

/* What stands before the seed in the PKCS#8 form of an Ed25519 key (RFC 8410). */
#define ED25519_PKCS8 STR("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")

static void
ed25519_take(struct tls_key *k, struct str seed)
{
	k->pub.type = TLS_KEY_ED25519;
	k->x_len = k->pub.n_len = 32;
	memcpy(k->x, seed.p, 32);
	ed25519_pub(k->pub.data, k->x);
}

static int
key_parse_der(struct str der, struct tls_key **ret, struct err *e)
{
	struct tls_key *k = calloc(1, sizeof(*k));
	br_skey_decoder_context d;
	int r = -EINVAL;

	tls_crypto();
	if (!k)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (der.n == ED25519_PKCS8.n + 32 && str_starts(der, ED25519_PKCS8)) {
		ed25519_take(k, str_sub(der, ED25519_PKCS8.n, SIZE_MAX));
		*ret = k;
		return 0;
	}
	br_skey_decoder_init(&d);
	br_skey_decoder_push(&d, der.p, der.n);
	if (br_skey_decoder_last_error(&d) == 0) {
		if (br_skey_decoder_key_type(&d) == BR_KEYTYPE_EC)
			r = ec_take(k, br_skey_decoder_get_ec(&d));
		else if (br_skey_decoder_key_type(&d) == BR_KEYTYPE_RSA)
			r = rsa_take(k, br_skey_decoder_get_rsa(&d), der);
	}
	explicit_bzero(&d, sizeof(d));
	if (r < 0) {
		tls_key_free(k);
		return err_set(e, -EINVAL, R_BAD_REQUEST, "malformed or unsupported private key");
	}
	*ret = k;
	return 0;
}

int
tls_key_parse(struct str text, struct tls_key **ret, struct err *e)
{
	struct str rest = text, label = STR_NONE;
	struct buf b = BUF_INIT;
	int r = -EINVAL;
	bool found = false;

	if (der_peek(text) == DER_SEQ)
		return key_parse_der(text, ret, e);
	while (!found && pem_next(&rest, &label, &b)) {
		found = str_eq(label, STR("EC PRIVATE KEY")) || str_eq(label, STR("PRIVATE KEY")) ||
			str_eq(label, STR("RSA PRIVATE KEY"));
		if (found)
			r = key_parse_der(buf_view(&b), ret, e);
		if (b.cap > 0)
			explicit_bzero(b.data, b.cap);
		buf_clear(&b);
	}
	buf_release(&b);
	return found ? r : err_set(e, -EINVAL, R_BAD_REQUEST, "no private key in PEM");
}

/* rsa_pkcs8: its length; 0: the library cannot compute the private exponent. */
static size_t
rsa_pkcs8(const struct tls_key *k, uint8_t der[KEY_DER_MAX])
{
	uint8_t d[512];
	uint32_t e = 0;
	br_rsa_public_key pk = {crypto_unconst(k->pub.data), k->pub.n_len,
		crypto_unconst(k->pub.data + k->pub.n_len), k->pub.e_len};

	if (pk.elen > 4)
		return 0;
	for (size_t i = 0; i < pk.elen; i++)
		e = e << 8 | pk.e[i];
	size_t n = br_rsa_compute_privexp_get_default()(d, &k->rsa, e);
	if (n > 0)
		n = br_encode_rsa_pkcs8_der(der, &k->rsa, &pk, d, n);
	explicit_bzero(d, sizeof(d));
	return n;
}

static size_t
ec_der(const struct tls_key *k, bool pkcs8, uint8_t der[KEY_DER_MAX])
{
	br_ec_private_key sk = {crypto_curve(k->pub.type), crypto_unconst(k->x), k->x_len};
	br_ec_public_key pk = {sk.curve, crypto_unconst(k->pub.data), k->pub.n_len};

	return pkcs8 ? br_encode_ec_pkcs8_der(der, &sk, &pk) : br_encode_ec_raw_der(der, &sk, &pk);
}

int
tls_key_write(const struct tls_key *k, bool pkcs8, struct buf *pem)
{
	uint8_t der[KEY_DER_MAX];
	bool ec = k->pub.type != TLS_KEY_RSA && k->pub.type != TLS_KEY_ED25519;
	size_t n = 0;

	if (!pkcs8 && !ec)
		return -ENOTSUP;
	if (k->pub.type == TLS_KEY_ED25519) {
		n = ED25519_PKCS8.n + 32;
		memcpy(der, ED25519_PKCS8.p, ED25519_PKCS8.n);
		memcpy(der + ED25519_PKCS8.n, k->x, 32);
	} else {
		n = ec ? ec_der(k, pkcs8, der) : rsa_pkcs8(k, der);
	}
	if (n == 0)
		return -ENOTSUP;
	/* Room for all of it first, so that no copy is left behind. */
	buf_reserve(pem, n * 2 + 128);
	pem_write(
		pkcs8 ? STR("PRIVATE KEY") : STR("EC PRIVATE KEY"), str_from((char *)der, n), pem);
	explicit_bzero(der, sizeof(der));
	return pem->failed ? -ENOMEM : 0;
}

/* ---- public keys ---- */

const struct tls_pub *
tls_key_pub(const struct tls_key *k)
{
	return &k->pub;
}

bool
tls_pub_eq(const struct tls_pub *a, const struct tls_pub *b)
{
	return a->type == b->type && a->n_len == b->n_len && a->e_len == b->e_len &&
		memcmp(a->data, b->data, (size_t)a->n_len + a->e_len) == 0;
}

static int
pub_from_der(struct str der, struct tls_pub *ret)
{
	struct str in = der;

	return pub_read(&in, ret) == 1 && in.n == 0 ? 0 : -EINVAL;
}

/* pub_from_block: one PEM block that may hold a public key. -ENOENT: of another kind. */
static int
pub_from_block(struct str label, struct str der, struct tls_pub *ret)
{
	int r = -ENOENT;

	if (str_eq(label, STR("PUBLIC KEY"))) {
		r = pub_from_der(der, ret);
	} else if (str_eq(label, STR("CERTIFICATE"))) {
		struct arena *a = arena_new(0);
		struct x509_cert c = {0};
		r = a ? x509_cert_parse(a, der, &c, NULL) : -ENOMEM;
		if (r == 0 && c.pub_ok)
			*ret = c.pub;
		else if (r == 0)
			r = -EINVAL;
		arena_free(a);
	} else if (str_eq(label, STR("RSA PUBLIC KEY"))) {
		/* PKCS#1: wrapped into what pub_read knows. */
		_cleanup_buf_ struct buf b = BUF_INIT;
		buf_str(&b, STR("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"));
		der_wrap(&b, 0, DER_SEQ);
		size_t from = b.len;
		buf_char(&b, 0);
		buf_str(&b, der);
		der_wrap(&b, from, DER_BITS);
		der_wrap(&b, 0, DER_SEQ);
		r = b.failed ? -ENOMEM : pub_from_der(buf_view(&b), ret);
	} else if (str_ends(label, STR("PRIVATE KEY"))) {
		struct tls_key *k = NULL;
		r = key_parse_der(der, &k, NULL);
		if (r == 0)
			*ret = k->pub;
		tls_key_free(k);
	}
	return r;
}

int
tls_pub_parse(struct str text, struct tls_pub *ret, struct err *e)
{
	struct str rest = text, label = STR_NONE;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = -ENOENT;

	tls_crypto();
	if (der_peek(text) == DER_SEQ)
		r = pub_from_der(text, ret);
	while (r == -ENOENT && pem_next(&rest, &label, &b)) {
		r = pub_from_block(label, buf_view(&b), ret);
		buf_clear(&b);
	}
	return r < 0 ? err_set(e, -EINVAL, R_BAD_REQUEST, "no usable public key") : 0;
}

void
tls_pub_write_der(const struct tls_pub *p, struct buf *der)
{
	size_t all = der->len, from = der->len;
	struct str n = str_from((const char *)p->data, p->n_len);

	if (p->type == TLS_KEY_RSA) {
		der_put(der, DER_OID, OID_RSA);
		der_put(der, DER_NULL, STR(""));
		der_wrap(der, from, DER_SEQ);
		size_t bits = der->len;
		buf_char(der, 0);
		from = der->len;
		der_put_uint(der, n);
		der_put_uint(der, str_from((const char *)p->data + p->n_len, p->e_len));
		der_wrap(der, from, DER_SEQ);
		der_wrap(der, bits, DER_BITS);
	} else if (p->type == TLS_KEY_ED25519) {
		der_put(der, DER_OID, OID_ED25519);
		der_wrap(der, from, DER_SEQ);
		size_t bits = der->len;
		buf_char(der, 0);
		buf_str(der, n);
		der_wrap(der, bits, DER_BITS);
	} else {
		der_put(der, DER_OID, OID_EC_KEY);
		der_put(der, DER_OID,
			p->type == TLS_KEY_EC_P256           ? OID_P256
				: p->type == TLS_KEY_EC_P384 ? OID_P384
							     : OID_P521);
		der_wrap(der, from, DER_SEQ);
		size_t bits = der->len;
		buf_char(der, 0);
		buf_str(der, n);
		der_wrap(der, bits, DER_BITS);
	}
	der_wrap(der, all, DER_SEQ);
}

void
tls_pub_write_pem(const struct tls_pub *p, struct buf *pem)
{
	_cleanup_buf_ struct buf der = BUF_INIT;

	tls_pub_write_der(p, &der);
	pem_write(STR("PUBLIC KEY"), buf_view(&der), pem);
}

void
tls_pub_kid(const struct tls_pub *p, struct buf *out)
{
	_cleanup_buf_ struct buf der = BUF_INIT;
	uint8_t sum[32];

	tls_pub_write_der(p, &der);
	sha256_of(buf_view(&der), sum);
	base64url_encode(out, str_from((char *)sum, 32));
}

static const struct {
	const char *alg, *crv;
	size_t half; /* of the signature in JWS form */
	int hash;
} jws[] = {
	[TLS_KEY_EC_P256] = {"ES256", "P-256", 32, br_sha256_ID},
	[TLS_KEY_EC_P384] = {"ES384", "P-384", 48, br_sha384_ID},
	[TLS_KEY_EC_P521] = {"ES512", "P-521", 66, br_sha512_ID},
	[TLS_KEY_RSA] = {"RS256", "", 0, br_sha256_ID},
	[TLS_KEY_ED25519] = {"", "", 0, 0}, /* not for tokens, as upstream */
};

const char *
tls_pub_jws_alg(const struct tls_pub *p)
{
	return jws[p->type].alg;
}

static void
jwk_member(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, ",\"%s\":\"", name);
	base64url_encode(b, value);
	buf_char(b, '"');
}

void
tls_pub_write_jwk(const struct tls_pub *p, struct buf *b)
{
	struct str n = str_from((const char *)p->data, p->n_len);

	buf_fmt(b, "{\"use\":\"sig\",\"kty\":\"%s\",\"kid\":\"",
		p->type == TLS_KEY_RSA ? "RSA" : "EC");
	tls_pub_kid(p, b);
	if (p->type == TLS_KEY_RSA) {
		buf_fmt(b, "\",\"alg\":\"%s\"", jws[p->type].alg);
		jwk_member(b, "n", n);
		jwk_member(b, "e", str_from((const char *)p->data + p->n_len, p->e_len));
	} else {
		buf_fmt(b, "\",\"crv\":\"%s\",\"alg\":\"%s\"", jws[p->type].crv, jws[p->type].alg);
		jwk_member(b, "x", str_sub(n, 1, 1 + jws[p->type].half));
		jwk_member(b, "y", str_sub(n, 1 + jws[p->type].half, SIZE_MAX));
	}
	buf_char(b, '}');
}

/* ---- tokens ---- */

int
tls_jws_sign(const struct tls_key *k, struct str msg, struct buf *sig)
{
	uint8_t hash[64], raw[520] = {0};
	size_t half = jws[k->pub.type].half;

	if (!jws[k->pub.type].hash)
		return -EINVAL;
	crypto_hash(jws[k->pub.type].hash, msg, hash);
	if (k->pub.type == TLS_KEY_EC_P256) {
		p256_sign(k->x, &br_sha256_vtable, hash, raw);
		buf_add(sig, raw, 64);
		return 0;
	}
	size_t n = crypto_sign_hash(k, jws[k->pub.type].hash, hash, raw);
	if (n > 0 && half > 0) {
		n = br_ecdsa_asn1_to_raw(raw, n);
		if (n == 0 || n > half * 2)
			return -EINVAL;
		for (size_t part_no = 0; part_no < 2; part_no++) {
			for (size_t pad = n / 2; pad < half; pad++)
				buf_char(sig, 0);
			buf_add(sig, raw + part_no * (n / 2), n / 2);
		}
		return 0;
	}
	buf_add(sig, raw, n);
	return n > 0 ? 0 : -EINVAL;
}

int
tls_jws_verify(const struct tls_pub *p, struct str alg, struct str msg, struct str sig)
{
	uint8_t hash[64], der[160] = {0};
	size_t half = jws[p->type].half;

	if (!jws[p->type].hash || !str_eq_c(alg, jws[p->type].alg) ||
		(half > 0 && sig.n != half * 2))
		return -EACCES;
	crypto_hash(jws[p->type].hash, msg, hash);
	if (p->type == TLS_KEY_EC_P256)
		return p256_verify(p->data, hash, 32, (const uint8_t *)sig.p) ? 0 : -EACCES;
	if (half > 0) {
		memcpy(der, sig.p, sig.n);
		sig = str_from((char *)der, br_ecdsa_raw_to_asn1(der, sig.n));
	}
	return crypto_verify_hash(p, jws[p->type].hash, hash, sig) ? 0 : -EACCES;
}
