/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ed25519_test: the vectors of RFC 8032, and what a verifier must refuse. openssl is asked in key_test.c. */
#include "netstack/tls/ed25519.c"

#include "base/hash.h"
#include "base/rand.h"
#include "tests/unit/test.h"

/* RFC 8032 section 7.1. */
static const struct vector {
	const char *seed, *pub, *msg, *sig;
} vectors[] = {
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void
unhex(const char *hex, uint8_t *out, size_t *ret_n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	CHECK_INT(hex_decode(&b, str_c(hex)), 0);
	memcpy(out, b.data ? b.data : "", b.len);
	*ret_n = b.len;
}

TEST(vectors_of_rfc_8032)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t seed[64], pub[64], msg[64], sig[64], got[64];
		size_t n = 0, n_msg = 0;
		unhex(vectors[i].seed, seed, &n);
		unhex(vectors[i].pub, pub, &n);
		unhex(vectors[i].msg, msg, &n_msg);
		unhex(vectors[i].sig, sig, &n);
		ed25519_pub(got, seed);
		CHECK(memcmp(got, pub, 32) == 0);
		CHECK(ed25519_point_ok(pub));
		ed25519_sign(seed, pub, bytes(msg, n_msg), got);
		CHECK(memcmp(got, sig, 64) == 0);
		CHECK(ed25519_verify(pub, bytes(msg, n_msg), sig));
	}
}

TEST(what_was_changed_anywhere_is_refused)
{
	uint8_t seed[32], pub[32], sig[64];
	struct str msg = STR("a message");

	rand_bytes(seed, sizeof(seed));
	ed25519_pub(pub, seed);
	ed25519_sign(seed, pub, msg, sig);
	CHECK(ed25519_verify(pub, msg, sig));
	CHECK(!ed25519_verify(pub, STR("a massage"), sig));
	for (size_t i = 0; i < 64; i++) {
		sig[i] ^= 0x10;
		CHECK(!ed25519_verify(pub, msg, sig));
		sig[i] ^= 0x10;
	}
	for (size_t i = 0; i < 32; i++) {
		pub[i] ^= 1;
		CHECK(!ed25519_verify(pub, msg, sig));
		pub[i] ^= 1;
	}
}

/* S + N says the same by arithmetic, and is not a signature. */
TEST(signature_has_one_form)
{
	uint8_t seed[32] = {7}, pub[32], sig[64];
	uint64_t s[4], carry = 0;

	ed25519_pub(pub, seed);
	ed25519_sign(seed, pub, STR("x"), sig);
	memcpy(s, sig + 32, 32);
	for (int i = 0; i < 4; i++) {
		unsigned __int128 sum = (unsigned __int128)s[i] + N[i] + carry;
		s[i] = (uint64_t)sum;
		carry = (uint64_t)(sum >> 64);
	}
	CHECK_INT(carry, 0);
	CHECK(ed25519_verify(pub, STR("x"), sig));
	memcpy(sig + 32, s, 32);
	CHECK(!ed25519_verify(pub, STR("x"), sig));
}

TEST(what_is_no_point_is_refused)
{
	/* y = 2: x^2 is no square; y = p + 1 is not reduced. */
	uint8_t none[32] = {2}, big[32];

	memset(big, 0xff, sizeof(big));
	big[0] = 0xee;
	big[31] = 0x7f;
	CHECK(!ed25519_point_ok(none));
	CHECK(!ed25519_point_ok(big));
}
