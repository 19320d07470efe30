/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crypto: the primitives this folder uses, chosen once for this machine. Private to this folder: it is
 * the only header here that names the TLS library.
 *
 * Invariants: P-256 and X25519 are s2n-bignum's (the plain variants where the CPU has BMI2 and ADX, the
 * _alt ones otherwise); points from outside are checked to be on the curve here, since s2n does not.
 * The AES and GHASH variants are looked up once: CPUID traps in a virtual machine, and the library's
 * own setters execute it for every connection. */
#ifndef NETSTACK_TLS_CRYPTO_H
#define NETSTACK_TLS_CRYPTO_H

#include "netstack/tls/x509.h"

#include <bearssl.h>

struct tls_crypto {
	br_ec_impl ec;
	br_ecdsa_sign sign; /* DER signatures, RFC 6979 nonces */
	br_ecdsa_vrfy verify;
	const br_block_ctr_class *aes;
	br_ghash ghash;
	br_chacha20_run chacha;
	br_poly1305_run poly;
	br_rsa_pkcs1_vrfy rsa_verify;
	br_rsa_pkcs1_sign rsa_sign;
	bool fast_aes;
};

/* tls_crypto: static; safe from any thread. */
const struct tls_crypto *tls_crypto(void);

/* ---- P-256 (p256.c) ---- */
struct p256_ops;      /* which variants of s2n-bignum */
void p256_init(void); /* called once by tls_crypto */
/* Scalars: 32 bytes, big-endian. Points: 65 bytes, uncompressed. 1 = good, 0 = refused. */
uint32_t p256_mul(uint8_t point[65], const uint8_t *scalar, size_t n);
uint32_t p256_mulgen(uint8_t point[65], const uint8_t *scalar, size_t n);
bool p256_point_ok(const uint8_t point[65]);
bool p256_scalar_ok(const uint8_t scalar[32]); /* 1 .. n-1 */
/* hash: at least 1 byte, cut to 32. sig: r || s. key: a good scalar. */
void p256_sign(
	const uint8_t key[32], const br_hash_class *hf, const uint8_t *hash, uint8_t sig[64]);
bool p256_verify(
	const uint8_t point[65], const uint8_t *hash, size_t hash_len, const uint8_t sig[64]);
uint32_t x25519_mul(uint8_t point[32], const uint8_t *scalar, size_t n);
uint32_t x25519_mulgen(uint8_t out[32], const uint8_t *scalar, size_t n);

/* ---- Ed25519 (ed25519.c): seed and public key 32 bytes, signature 64, over the message itself ---- */
void ed25519_pub(uint8_t pub[32], const uint8_t seed[32]);
bool ed25519_point_ok(const uint8_t pub[32]);
/* ed25519_sign: pub is the seed's, always: another one would give the key away. */
void ed25519_sign(const uint8_t seed[32], const uint8_t pub[32], struct str msg, uint8_t sig[64]);
bool ed25519_verify(const uint8_t pub[32], struct str msg, const uint8_t sig[64]);

/* ---- helpers (crypto.c) ---- */
/* The library's structs have pointers without const; it does not write through them. */
static inline unsigned char *
crypto_unconst(const void *p)
{
	return (unsigned char *)(uintptr_t)p;
}
/* crypto_hash: id is br_sha256_ID.. br_sha512_ID; returns the length. */
size_t crypto_hash(int id, struct str data, uint8_t out[64]);
const br_hash_class *crypto_hash_class(int id);
const unsigned char *crypto_hash_oid(int id); /* length, then the OID's bytes */
int crypto_curve(enum tls_key_type t);        /* BR_EC_secp256r1... */
/* crypto_verify_hash: a signature in DER (EC) or PKCS#1 v1.5 (RSA) over a hash; Ed25519 signs no hashes: false. */
bool crypto_verify_hash(
	const struct tls_pub *pub, int hash_id, const uint8_t *hash, struct str sig);
/* crypto_pub_ok: sizes, and but for RSA that the point is on its curve. */
bool crypto_pub_ok(const struct tls_pub *pub);

/* The private key behind x509.h. */
struct tls_key {
	struct tls_pub pub;
	uint8_t x[66]; /* EC: big-endian, as long as the curve's order; Ed25519: the seed */
	size_t x_len;
	br_rsa_private_key rsa; /* RSA: pointers into rsa_data */
	uint8_t rsa_data[3 * 512];
};
/* crypto_sign_hash: DER (EC) or PKCS#1 (RSA) signature into out (>= 520 bytes); its length, 0 = failed (Ed25519
 * always). */
size_t crypto_sign_hash(const struct tls_key *k, int hash_id, const uint8_t *hash, uint8_t *out);
int crypto_key_hash(
	const struct tls_pub *p); /* the hash a key of this size signs with; 0 Ed25519 */

#endif
