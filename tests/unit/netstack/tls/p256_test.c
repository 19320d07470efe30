/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * p256_test: our P-256, ECDSA and X25519 against the TLS library's own, both ways, and the variants for
 * CPUs with and without BMI2/ADX against each other. */
#include "netstack/tls/p256.c"

#include "base/rand.h"
#include "tests/unit/test.h"

static const br_ec_impl *theirs = &br_ec_all_m31;

static void
random_scalar(uint8_t k[32])
{
	do
		rand_bytes(k, 32);
	while (!p256_scalar_ok(k));
}

/* with both variants */
static void
both(void (*fn)(void))
{
	p256_init();
	fn();
	ops = &alt;
	fn();
	p256_init();
}

static void
mul_agrees(void)
{
	for (int i = 0; i < 20; i++) {
		uint8_t k[32], l[32], ours[65], other[65];
		random_scalar(k);
		random_scalar(l);
		CHECK_INT(p256_mulgen(ours, k, 32), 1);
		CHECK_INT(theirs->mulgen(other, k, 32, BR_EC_secp256r1), 65);
		CHECK(memcmp(ours, other, 65) == 0);
		CHECK(p256_point_ok(ours));
		CHECK_INT(p256_mul(ours, l, 32), 1);
		CHECK_INT(theirs->mul(other, 65, l, 32, BR_EC_secp256r1), 1);
		CHECK(memcmp(ours, other, 65) == 0);
	}
}

TEST(mul_and_mulgen_agree_with_the_library)
{
	both(mul_agrees);
}

static void
x25519_agrees(void)
{
	for (int i = 0; i < 20; i++) {
		uint8_t k[32], ours[32], other[32];
		rand_bytes(k, 32);
		CHECK_INT(x25519_mulgen(ours, k, 32), 1);
		CHECK_INT(theirs->mulgen(other, k, 32, BR_EC_curve25519), 32);
		CHECK(memcmp(ours, other, 32) == 0);
		rand_bytes(k, 32);
		CHECK_INT(x25519_mul(ours, k, 32), 1);
		CHECK_INT(theirs->mul(other, 32, k, 32, BR_EC_curve25519), 1);
		CHECK(memcmp(ours, other, 32) == 0);
	}
}

TEST(x25519_agrees_with_the_library)
{
	both(x25519_agrees);
}

TEST(x25519_refuses_points_of_low_order)
{
	uint8_t point[32] = {0}, k[32];

	rand_bytes(k, 32);
	CHECK_INT(x25519_mul(point, k, 32), 0);
	memset(point, 0, 32);
	point[0] = 1;
	CHECK_INT(x25519_mul(point, k, 32), 0);
}

static void
signatures_cross(void)
{
	static const br_hash_class *const hf[] = {
		&br_sha256_vtable, &br_sha384_vtable, &br_sha512_vtable};
	for (int i = 0; i < 24; i++) {
		const br_hash_class *h = hf[i % 3];
		size_t n = (h->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
		uint8_t k[32], point[65], hash[64], sig[64], other[64];
		random_scalar(k);
		rand_bytes(hash, sizeof(hash));
		p256_mulgen(point, k, 32);
		br_ec_public_key pk = {BR_EC_secp256r1, point, 65};
		br_ec_private_key sk = {BR_EC_secp256r1, k, 32};
		p256_sign(k, h, hash, sig);
		/* Both follow RFC 6979: the same bytes. */
		CHECK_INT(br_ecdsa_i31_sign_raw(theirs, h, hash, &sk, other), 64);
		CHECK(memcmp(sig, other, 64) == 0);
		CHECK_INT(br_ecdsa_i31_vrfy_raw(theirs, hash, n, &pk, sig, 64), 1);
		CHECK(p256_verify(point, hash, n, other));
		for (int bit = 0; bit < 8; bit++) {
			sig[(i * 8 + bit) % 64] ^= (uint8_t)(1 << bit);
			CHECK(!p256_verify(point, hash, n, sig));
			sig[(i * 8 + bit) % 64] ^= (uint8_t)(1 << bit);
		}
		hash[0] ^= 1;
		CHECK(!p256_verify(point, hash, n, sig));
	}
}

TEST(signatures_verify_crosswise_and_tampered_ones_fail)
{
	both(signatures_cross);
}

TEST(points_off_the_curve_are_refused)
{
	uint8_t k[32], point[65];

	random_scalar(k);
	p256_mulgen(point, k, 32);
	for (size_t at = 1; at < 65; at += 7) {
		uint8_t bad[65];
		memcpy(bad, point, 65);
		bad[at] ^= 0x10;
		CHECK(!p256_point_ok(bad));
		CHECK_INT(p256_mul(bad, k, 32), 0);
	}
	point[0] = 3;
	CHECK(!p256_point_ok(point));
	memset(point, 0, 65);
	point[0] = 4;
	CHECK(!p256_point_ok(point));
	memset(point + 1, 0xff, 64);
	CHECK(!p256_point_ok(point));
}

TEST(signature_values_out_of_range_are_refused)
{
	uint8_t k[32], point[65], hash[32], sig[64], bad[64];

	random_scalar(k);
	rand_bytes(hash, 32);
	p256_mulgen(point, k, 32);
	p256_sign(k, &br_sha256_vtable, hash, sig);
	CHECK(p256_verify(point, hash, 32, sig));
	memcpy(bad, sig, 64);
	memset(bad, 0, 32);
	CHECK(!p256_verify(point, hash, 32, bad));
	memcpy(bad, sig, 64);
	memset(bad + 32, 0, 32);
	CHECK(!p256_verify(point, hash, 32, bad));
	memcpy(bad, sig, 64);
	store(bad + 32, N);
	CHECK(!p256_verify(point, hash, 32, bad));
	CHECK(!p256_scalar_ok(bad + 32));
}

/* The addition of s2n promises nothing when both points are equal: with the key 1 and a hash chosen as
 * r, u1*G equals u2*Q; with the key n-1 they are opposite. */
TEST(verification_survives_equal_and_opposite_points)
{
	uint8_t k[32] = {0}, one[32] = {0}, point[65], rpoint[65], sig[64], hash[32];
	uint64_t r[4], s[4], nonce[4], x[4], t[4];

	one[31] = 1;
	p256_mulgen(point, one, 32); /* Q = G */
	random_scalar(k);
	p256_mulgen(rpoint, k, 32);
	load(x, rpoint + 1);
	bignum_mod_n256_4(r, x);
	store(hash, r); /* e = r, so u1 = u2 */
	load(nonce, k);
	/* s = (e + r * 1) / k */
	bignum_modadd(4, s, r, r, N);
	inv_n(t, nonce);
	mul_n(s, s, t);
	store(sig, r);
	store(sig + 32, s);
	CHECK(p256_verify(point, hash, 32, sig));
	br_ec_public_key pk = {BR_EC_secp256r1, point, 65};
	CHECK_INT(br_ecdsa_i31_vrfy_raw(theirs, hash, 32, &pk, sig, 64), 1);
	/* Q = -G: the sum is the point at infinity, whatever s is. */
	uint64_t y[4];
	load(y, point + 33);
	bignum_neg_p256(y, y);
	store(point + 33, y);
	CHECK(p256_point_ok(point));
	CHECK(!p256_verify(point, hash, 32, sig));
}
