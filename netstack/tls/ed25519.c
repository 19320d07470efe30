/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ed25519: Ed25519 by s2n-bignum's verified arithmetic; contracts in crypto.h.
 * Place in the flow: keys of pods' certificates, requests and certificates that others signed with it. The
 * TLS engine does not speak it.
 * Invariants: secrets meet constant-time code only; a point from outside is decoded, and so found on the
 * curve, before it is used. One pass serves any CPU: the _alt variants, and for the base point the double
 * multiplication with a zero for the other half, which saves two tables of 48 KiB for a rare thing.
 * Numbers are four 64-bit words, least first.
 * Source: RFC 8032 section 5.1. */
#include "netstack/tls/crypto.h"

#include <s2n-bignum.h>

/* The order of the base point. */
static const uint64_t N[4] = {0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000};

/* hash_of: SHA-512 over up to three pieces. */
static void
hash_of(uint8_t out[64], struct str x, struct str y, struct str z)
{
	br_sha512_context c;

	br_sha512_init(&c);
	br_sha512_update(&c, x.p, x.n);
	br_sha512_update(&c, y.p, y.n);
	br_sha512_update(&c, z.p, z.n);
	br_sha512_out(&c, out);
	explicit_bzero(&c, sizeof(c));
}

static struct str
bytes(const uint8_t *p, size_t n)
{
	return str_from((const char *)p, n);
}

/* reduce: 64 bytes, least first, modulo N. */
static void
reduce(uint64_t z[4], const uint8_t hash[64])
{
	uint64_t wide[8];

	memcpy(wide, hash, sizeof(wide));
	bignum_mod_n25519(z, 8, wide);
	explicit_bzero(wide, sizeof(wide));
}

/* base_mul: k * B, encoded. */
static void
base_mul(uint8_t out[32], const uint64_t k[4])
{
	/* The neutral element (0, 1). */
	static const uint64_t none[4] = {0}, neutral[8] = {0, 0, 0, 0, 1};
	uint64_t point[8];

	edwards25519_scalarmuldouble_alt(point, none, neutral, k);
	edwards25519_encode(out, point);
}

/* expand: the seed's scalar, and what nonces are made with. */
static void
expand(const uint8_t seed[32], uint64_t scalar[4], uint8_t prefix[32])
{
	uint8_t h[64];

	hash_of(h, bytes(seed, 32), STR(""), STR(""));
	h[0] &= 0xf8;
	h[31] = (h[31] & 0x7f) | 0x40;
	memcpy(scalar, h, 32);
	memcpy(prefix, h + 32, 32);
	explicit_bzero(h, sizeof(h));
}

void
ed25519_pub(uint8_t pub[32], const uint8_t seed[32])
{
	uint64_t a[4];
	uint8_t prefix[32];

	expand(seed, a, prefix);
	base_mul(pub, a);
	explicit_bzero(a, sizeof(a));
	explicit_bzero(prefix, sizeof(prefix));
}

bool
ed25519_point_ok(const uint8_t pub[32])
{
	uint64_t point[8];

	return edwards25519_decode_alt(point, pub) == 0;
}

void
ed25519_sign(const uint8_t seed[32], const uint8_t pub[32], struct str msg, uint8_t sig[64])
{
	uint64_t a[4], r[4], k[4], s[4];
	uint8_t prefix[32], h[64];

	expand(seed, a, prefix);
	hash_of(h, bytes(prefix, 32), msg, STR(""));
	reduce(r, h);
	base_mul(sig, r);
	hash_of(h, bytes(sig, 32), bytes(pub, 32), msg);
	reduce(k, h);
	bignum_madd_n25519_alt(s, k, a, r);
	memcpy(sig + 32, s, 32);
	explicit_bzero(a, sizeof(a));
	explicit_bzero(r, sizeof(r));
	explicit_bzero(prefix, sizeof(prefix));
	explicit_bzero(h, sizeof(h));
}

bool
ed25519_verify(const uint8_t pub[32], struct str msg, const uint8_t sig[64])
{
	uint64_t s[4], k[4], point[8], sum[8];
	uint8_t h[64], r[32];
	uint64_t borrow = 0;

	memcpy(s, sig + 32, 32);
	for (int i = 0; i < 4; i++)
		borrow = (uint64_t)(((unsigned __int128)s[i] - N[i] - borrow) >> 64) & 1;
	if (!borrow || edwards25519_decode_alt(point, pub) != 0)
		return false;
	hash_of(h, bytes(sig, 32), bytes(pub, 32), msg);
	reduce(k, h);
	bignum_neg_p25519(point, point);
	edwards25519_scalarmuldouble_alt(sum, k, point, s);
	edwards25519_encode(r, sum);
	return memcmp(r, sig, 32) == 0;
}
