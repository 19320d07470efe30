/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * p256: P-256, ECDSA on it, and X25519, by s2n-bignum's verified assembly.
 * Place in the flow: crypto.c puts these behind the TLS library's vtables and behind x509.
 * Invariants: every point from outside passes p256_point_ok before it meets s2n, which checks nothing;
 * secret scalars only meet constant-time code (scalarmul, scalarmulbase, modinv, montmul, modadd);
 * verification works on public values and may branch. Numbers are four 64-bit words, least first.
 * Source: SEC 1; FIPS 186-4; RFC 6979 (nonces); RFC 7748. */
#include "netstack/tls/crypto.h"
#include "netstack/tls/p256_table.h"

#include <cpuid.h>
#include <s2n-bignum.h>

static const uint64_t P[4] = {0xffffffffffffffff, 0x00000000ffffffff, 0, 0xffffffff00000001};
static const uint64_t N[4] = {
	0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000};
static const uint64_t B[4] = {
	0x3bce3c3e27d2604b, 0x651d06b0cc53b0f6, 0xb3ebbd55769886bc, 0x5ac635d8aa3a93e7};
/* 2^512 mod N: brings a product of montmul back from its 1/2^256. */
static const uint64_t N_RR[4] = {
	0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59, 0x66e12d94f3d95620};

/* The variants that differ by CPU. */
struct p256_ops {
	void (*mul)(
		uint64_t z[4], const uint64_t x[4], const uint64_t y[4]); /* Montgomery, mod P */
	void (*sqr)(uint64_t z[4], const uint64_t x[4]);
	void (*to_mont)(uint64_t z[4], const uint64_t x[4]);
	void (*scalarmul)(uint64_t res[8], const uint64_t k[4], const uint64_t p[8]);
	void (*jscalarmul)(uint64_t res[12], const uint64_t k[4], const uint64_t p[12]);
	void (*basemul)(uint64_t res[8], const uint64_t k[4], uint64_t bits, const uint64_t *table);
	void (*mixadd)(uint64_t r[12], const uint64_t p[12], const uint64_t q[8]);
	void (*jdouble)(uint64_t r[12], const uint64_t p[12]);
	void (*x25519)(uint8_t r[32], const uint8_t k[32], const uint8_t u[32]);
	void (*x25519base)(uint8_t r[32], const uint8_t k[32]);
};

static const struct p256_ops plain = {
	bignum_montmul_p256,
	bignum_montsqr_p256,
	bignum_tomont_p256,
	p256_scalarmul,
	p256_montjscalarmul,
	p256_scalarmulbase,
	p256_montjmixadd,
	p256_montjdouble,
	curve25519_x25519_byte,
	curve25519_x25519base_byte,
};
static const struct p256_ops alt = {
	bignum_montmul_p256_alt,
	bignum_montsqr_p256_alt,
	bignum_tomont_p256_alt,
	p256_scalarmul_alt,
	p256_montjscalarmul_alt,
	p256_scalarmulbase_alt,
	p256_montjmixadd_alt,
	p256_montjdouble_alt,
	curve25519_x25519_byte_alt,
	curve25519_x25519base_byte_alt,
};
static const struct p256_ops *ops = &alt;

void
p256_init(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_BMI2) && (b & bit_ADX))
		ops = &plain;
}

static void
load(uint64_t z[4], const uint8_t be[32])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v = 0;
		memcpy(&v, be + 8 * (3 - i), 8);
		z[i] = __builtin_bswap64(v);
	}
}

static void
store(uint8_t be[32], const uint64_t z[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v = __builtin_bswap64(z[i]);
		memcpy(be + 8 * (3 - i), &v, 8);
	}
}

static bool
is_zero(const uint64_t x[4])
{
	return (x[0] | x[1] | x[2] | x[3]) == 0;
}

static bool
is_equal(const uint64_t x[4], const uint64_t y[4])
{
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

static bool
is_less(const uint64_t x[4], const uint64_t y[4])
{
	uint64_t borrow = 0;

	for (int i = 0; i < 4; i++)
		borrow = (uint64_t)(((unsigned __int128)x[i] - y[i] - borrow) >> 64) & 1;
	return borrow;
}

/* scalar_load: big-endian bytes, at most 32. */
static bool
scalar_load(uint64_t z[4], const uint8_t *p, size_t n)
{
	uint8_t full[32] = {0};

	if (n > 32)
		return false;
	memcpy(full + 32 - n, p, n);
	load(z, full);
	return true;
}

/* point_load: on the curve, else false. affine holds plain coordinates. */
static bool
point_load(uint64_t affine[8], const uint8_t point[65])
{
	uint64_t x[4], y[4], l[4], r[4], t[4], b[4];

	if (point[0] != 4)
		return false;
	load(affine, point + 1);
	load(affine + 4, point + 33);
	if (!is_less(affine, P) || !is_less(affine + 4, P))
		return false;
	/* y^2 = x^3 - 3x + b, in Montgomery form */
	ops->to_mont(x, affine);
	ops->to_mont(y, affine + 4);
	ops->to_mont(b, B);
	ops->sqr(l, y);
	ops->sqr(r, x);
	ops->mul(r, r, x);
	bignum_add_p256(t, x, x);
	bignum_add_p256(t, t, x);
	bignum_sub_p256(r, r, t);
	bignum_add_p256(r, r, b);
	return is_equal(l, r);
}

static uint32_t
point_store(uint8_t point[65], const uint64_t affine[8])
{
	if (is_zero(affine) && is_zero(affine + 4))
		return 0;
	point[0] = 4;
	store(point + 1, affine);
	store(point + 33, affine + 4);
	return 1;
}

bool
p256_point_ok(const uint8_t point[65])
{
	uint64_t affine[8];

	return point_load(affine, point);
}

bool
p256_scalar_ok(const uint8_t scalar[32])
{
	uint64_t k[4];

	load(k, scalar);
	return !is_zero(k) && is_less(k, N);
}

uint32_t
p256_mul(uint8_t point[65], const uint8_t *scalar, size_t n)
{
	uint64_t affine[8], k[4], res[8];

	if (!scalar_load(k, scalar, n) || !point_load(affine, point))
		return 0;
	ops->scalarmul(res, k, affine);
	return point_store(point, res);
}

uint32_t
p256_mulgen(uint8_t point[65], const uint8_t *scalar, size_t n)
{
	uint64_t k[4], res[8];

	if (!scalar_load(k, scalar, n))
		return 0;
	ops->basemul(res, k, P256_TABLE_BITS, p256_table);
	return point_store(point, res);
}

/* mul_n: z = x * y mod N. */
static void
mul_n(uint64_t z[4], const uint64_t x[4], const uint64_t y[4])
{
	uint64_t t[4];

	bignum_montmul(4, t, x, y, N);
	bignum_montmul(4, z, t, N_RR, N);
}

static void
inv_n(uint64_t z[4], const uint64_t x[4])
{
	uint64_t t[12];

	bignum_modinv(4, z, x, N, t);
}

/* hash_to_n: the leftmost 256 bits, mod N. */
static void
hash_to_n(uint64_t e[4], const uint8_t *hash, size_t n)
{
	uint64_t v[4];

	scalar_load(v, hash, n < 32 ? n : 32);
	bignum_mod_n256_4(e, v);
}

void
p256_sign(const uint8_t key[32], const br_hash_class *hf, const uint8_t *hash, uint8_t sig[64])
{
	uint64_t d[4], e[4], k[4], r[4], s[4], point[8];
	uint8_t seed[64], nonce[32];
	size_t hash_len = (hf->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
	br_hmac_drbg_context drbg;

	load(d, key);
	hash_to_n(e, hash, hash_len);
	memcpy(seed, key, 32);
	store(seed + 32, e);
	br_hmac_drbg_init(&drbg, hf, seed, sizeof(seed));
	do {
		br_hmac_drbg_generate(&drbg, nonce, sizeof(nonce));
		load(k, nonce);
		if (is_zero(k) || !is_less(k, N))
			continue;
		ops->basemul(point, k, P256_TABLE_BITS, p256_table);
		bignum_mod_n256_4(r, point);
		if (is_zero(r))
			continue;
		mul_n(s, r, d);
		bignum_modadd(4, s, s, e, N);
		inv_n(k, k);
		mul_n(s, s, k);
		if (!is_zero(s))
			break;
	} while (true);
	store(sig, r);
	store(sig + 32, s);
	explicit_bzero(d, sizeof(d));
	explicit_bzero(k, sizeof(k));
	explicit_bzero(seed, sizeof(seed));
	explicit_bzero(nonce, sizeof(nonce));
	explicit_bzero(&drbg, sizeof(drbg));
}

/* add_base: sum = q + (x, y) in Montgomery form; the addition of s2n promises nothing for equal
 * points. False: the sum is the point at infinity. */
static bool
add_base(uint64_t sum[12], const uint64_t q[12], const uint64_t plain_xy[8])
{
	uint64_t base[8], zz[4], u[4];

	if (is_zero(plain_xy) && is_zero(plain_xy + 4)) {
		memcpy(sum, q, 96);
		return !is_zero(q + 8);
	}
	ops->to_mont(base, plain_xy);
	ops->to_mont(base + 4, plain_xy + 4);
	if (is_zero(q + 8)) {
		const uint64_t one[4] = {1, 0, 0, 0};
		memcpy(sum, base, 64);
		ops->to_mont(sum + 8, one);
		return true;
	}
	ops->sqr(zz, q + 8);
	ops->mul(u, base, zz);
	if (is_equal(u, q)) {
		ops->mul(zz, zz, q + 8);
		ops->mul(u, base + 4, zz);
		if (!is_equal(u, q + 4))
			return false;
		ops->jdouble(sum, q);
		return true;
	}
	ops->mixadd(sum, q, base);
	return true;
}

/* x_is: the affine x of a Jacobian point, mod N, is r: compared as r * z^2, also for r + N. */
static bool
x_is(const uint64_t point[12], const uint64_t r[4])
{
	uint64_t zz[4], m[4], more[4];

	ops->sqr(zz, point + 8);
	ops->to_mont(m, r);
	ops->mul(m, m, zz);
	if (is_equal(m, point))
		return true;
	unsigned __int128 carry = 0;
	for (int i = 0; i < 4; i++) {
		carry += (unsigned __int128)r[i] + N[i];
		more[i] = (uint64_t)carry;
		carry >>= 64;
	}
	if (carry || !is_less(more, P))
		return false;
	ops->to_mont(m, more);
	ops->mul(m, m, zz);
	return is_equal(m, point);
}

bool
p256_verify(const uint8_t point[65], const uint8_t *hash, size_t hash_len, const uint8_t sig[64])
{
	uint64_t r[4], s[4], e[4], w[4], u1[4], u2[4], q[12], affine[8], base[8], sum[12];
	const uint64_t one[4] = {1, 0, 0, 0};

	load(r, sig);
	load(s, sig + 32);
	if (is_zero(r) || is_zero(s) || !is_less(r, N) || !is_less(s, N) ||
		!point_load(affine, point))
		return false;
	hash_to_n(e, hash, hash_len);
	inv_n(w, s);
	mul_n(u1, e, w);
	mul_n(u2, r, w);
	ops->to_mont(q, affine);
	ops->to_mont(q + 4, affine + 4);
	ops->to_mont(q + 8, one);
	ops->jscalarmul(q, u2, q);
	ops->basemul(base, u1, P256_TABLE_BITS, p256_table);
	return add_base(sum, q, base) && !is_zero(sum + 8) && x_is(sum, r);
}

uint32_t
x25519_mul(uint8_t point[32], const uint8_t *scalar, size_t n)
{
	uint8_t k[32] = {0}, out[32], any = 0;

	if (n > 32)
		return 0;
	memcpy(k, scalar, n);
	ops->x25519(out, k, point);
	explicit_bzero(k, sizeof(k));
	memcpy(point, out, 32);
	for (int i = 0; i < 32; i++)
		any |= out[i];
	return any != 0; /* a point of low order gives nothing secret */
}

uint32_t
x25519_mulgen(uint8_t out[32], const uint8_t *scalar, size_t n)
{
	uint8_t k[32] = {0};

	if (n > 32)
		return 0;
	memcpy(k, scalar, n);
	ops->x25519base(out, k);
	explicit_bzero(k, sizeof(k));
	return 1;
}
