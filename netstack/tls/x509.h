/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509: private and public keys, certificates and certificate requests: made, printed, parsed, checked.
 *
 * Place in the flow: the cluster's CA, the signers of CertificateSigningRequests, joining nodes, service
 * account tokens, and tls.c, which asks x509_verify about every peer.
 * Invariants: parsers are total functions over DER (bounded depth, count, size); nothing is trusted
 * before x509_verify said so. New keys of the cluster are ECDSA on P-256; RSA (2048..4096 bit), P-384,
 * P-521 and Ed25519 keys are read and, for pods, made.
 * Source: RFC 5280, RFC 2986 (PKCS#10), RFC 5915 (SEC1 keys), RFC 5208 (PKCS#8), RFC 7468 (PEM),
 * RFC 7515/7518 (JWS, JWK), RFC 6125. */
#ifndef NETSTACK_TLS_X509_H
#define NETSTACK_TLS_X509_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"

/* ---- keys ------------------------------------------------------------------------------------ */

enum tls_key_type {
	TLS_KEY_EC_P256,
	TLS_KEY_EC_P384,
	TLS_KEY_EC_P521,
	TLS_KEY_RSA,
	TLS_KEY_ED25519, /* keys, requests and certificates; no TLS, no tokens */
};

struct tls_key; /* a private key with its public half; immutable, heap */

/* tls_key_generate: P-256. Returns owned. -ENOMEM. */
int tls_key_generate(struct tls_key **ret);
/* tls_key_generate_of: of any type; rsa_bits (2048..4096) for RSA only, which takes up to some seconds of a CPU:
 * not on a loop. Returns owned. -ENOMEM, -EINVAL. */
int tls_key_generate_of(enum tls_key_type type, unsigned rsa_bits, struct tls_key **ret);
/* tls_key_parse: PEM (the first private key block in it) or DER; SEC1, PKCS#8, PKCS#1; not encrypted.
 * Returns owned. Errors: -EINVAL, -ENOMEM. */
int tls_key_parse(struct str text, struct tls_key **ret, struct err *e);
void tls_key_free(struct tls_key *k); /* wiped; NULL is allowed */
/* tls_key_write: appends "EC PRIVATE KEY" PEM (SEC1; of others than EC -ENOTSUP), or PKCS#8 "PRIVATE KEY" of any
 * key. What passes through memory here is wiped; pem is the caller's to wipe. */
int tls_key_write(const struct tls_key *k, bool pkcs8, struct buf *pem);

/* A public key by value: EC: the uncompressed point in data; RSA: modulus, then exponent; Ed25519: 32 bytes. */
#define TLS_PUB_MAX 640
struct tls_pub {
	enum tls_key_type type;
	uint16_t n_len; /* length of the point; RSA: of the modulus (no leading zero) */
	uint16_t e_len; /* RSA: length of the exponent */
	uint8_t data[TLS_PUB_MAX];
};
const struct tls_pub *tls_key_pub(const struct tls_key *k); /* borrow */
bool tls_pub_eq(const struct tls_pub *a, const struct tls_pub *b);
/* tls_pub_parse: PEM "PUBLIC KEY", "RSA PUBLIC KEY" or "CERTIFICATE" (first block), or DER of a
 * SubjectPublicKeyInfo. Also takes a private key's PEM (its public half). -EINVAL. */
int tls_pub_parse(struct str text, struct tls_pub *ret, struct err *e);
void tls_pub_write_der(const struct tls_pub *p, struct buf *der); /* SubjectPublicKeyInfo */
void tls_pub_write_pem(const struct tls_pub *p, struct buf *pem);
/* tls_pub_kid: upstream's key id of service account keys: base64url(SHA-256(SPKI DER)). */
void tls_pub_kid(const struct tls_pub *p, struct buf *out);
/* tls_pub_write_jwk: {"use":"sig","kty":"EC","kid":...,"crv":...,"alg":...,"x":...,"y":...}. */
void tls_pub_write_jwk(const struct tls_pub *p, struct buf *json);
const char *tls_pub_jws_alg(
	const struct tls_pub *p); /* "ES256", "ES384", "ES512", "RS256"; "" Ed25519 */

/* tls_jws_sign: signature over msg in JWS form (EC: r||s of fixed size; RSA: PKCS#1 v1.5 SHA-256),
 * raw bytes appended to sig (at most 512). 0 or -EINVAL (Ed25519 too). */
int tls_jws_sign(const struct tls_key *k, struct str msg, struct buf *sig);
/* tls_jws_verify: alg is the header's; it must be the one of the key's type. 0 or -EACCES. */
int tls_jws_verify(const struct tls_pub *p, struct str alg, struct str msg, struct str sig);

/* ---- certificates ------------------------------------------------------------------------------ */

enum { /* extended key usage, bits */
	X509_EKU_SERVER = 1,
	X509_EKU_CLIENT = 2,
	X509_EKU_ANY = 4,
	X509_EKU_OTHER = 8,
};
enum { /* key usage, bits in the order of RFC 5280 */
	X509_KU_DIGITAL_SIGNATURE = 1 << 0,
	X509_KU_CONTENT_COMMITMENT = 1 << 1,
	X509_KU_KEY_ENCIPHERMENT = 1 << 2,
	X509_KU_DATA_ENCIPHERMENT = 1 << 3,
	X509_KU_KEY_AGREEMENT = 1 << 4,
	X509_KU_CERT_SIGN = 1 << 5,
	X509_KU_CRL_SIGN = 1 << 6,
	X509_KU_ENCIPHER_ONLY = 1 << 7,
	X509_KU_DECIPHER_ONLY = 1 << 8,
};

struct x509_name {
	struct str der;         /* the whole Name */
	struct str cn;          /* the last CN */
	const struct str *orgs; /* every O in order */
	size_t n_orgs;
	bool other; /* attributes besides CN and O are there */
};

/* Names a certificate is for. */
struct x509_san {
	const struct str *dns;
	size_t n_dns;
	const struct ip_addr *ips;
	size_t n_ips;
	const struct str *emails;
	size_t n_emails;
	const struct str *uris;
	size_t n_uris;
	bool other; /* other kinds of names are there */
};

/* A parsed certificate: slices borrow the DER, arrays are arena. */
struct x509_cert {
	struct str der, tbs;
	struct str serial; /* bytes of the integer */
	struct x509_name issuer, subject;
	int64_t not_before_s, not_after_s;
	struct tls_pub pub;
	bool pub_ok; /* false: a kind of key we cannot use */
	struct x509_san san;
	bool has_basic, is_ca;
	int path_len; /* -1 = no limit */
	bool has_ku, has_eku;
	unsigned ku, eku;
	struct str ski, aki;
	bool unknown_critical; /* an extension marked critical that is not understood */
	int sig_alg;           /* internal */
	struct str sig;
};

/* x509_cert_parse: exactly one certificate. Errors: -EINVAL (e), -ENOMEM. Fuzz: x509_fuzz.c. */
int x509_cert_parse(struct arena *a, struct str der, struct x509_cert *ret, struct err *e);
/* x509_certs_parse_pem: all CERTIFICATE blocks in order (others are skipped), at most 1024; none at
 * all is -EINVAL. DER is copied into a. */
int x509_certs_parse_pem(
	struct arena *a, struct str pem, struct x509_cert **ret, size_t *ret_n, struct err *e);
/* x509_san_matches: name is a DNS name (exact, or one-label wildcard; any case) or the text of an IP
 * address (compared with iPAddress entries only). The CN is never looked at. */
bool x509_san_matches(const struct x509_san *san, struct str name);

struct x509_verify {
	const struct x509_cert *roots;
	size_t n_roots;
	const struct x509_cert *others; /* intermediates the peer sent, in any order */
	size_t n_others;
	int64_t now_s; /* clock_wall_ns() / NS_PER_SEC */
	unsigned eku;  /* X509_EKU_SERVER or _CLIENT, required when the leaf has an EKU; 0 = any */
	struct str name; /* must match the leaf's SAN; empty = not checked */
};
/* x509_verify: a path of at most 8 from leaf to a root: signatures, names, dates, basic constraints,
 * path lengths, key usage, critical extensions, EKU, name. 0, or -EACCES with e saying the first
 * thing that is wrong in Go's words where they exist ("certificate signed by unknown authority").
 * A leaf that is itself one of the roots is accepted (self-signed serving certificates). */
int x509_verify(const struct x509_verify *v, const struct x509_cert *leaf, struct err *e);

/* ---- requests and issuing ---------------------------------------------------------------------- */

struct x509_csr {
	struct str der, info;
	struct x509_name subject;
	struct tls_pub pub;
	struct x509_san san;
	bool has_ku, has_eku, has_basic, is_ca;
	unsigned ku, eku;
};
/* x509_csr_parse: PKCS#10, PEM or DER; its signature by its own key is checked.
 * Errors: -EINVAL (e), -EACCES signature wrong, -ENOMEM. */
int x509_csr_parse(struct arena *a, struct str text, struct x509_csr *ret, struct err *e);

/* What a request or certificate shall say. All slices are borrowed. */
struct x509_spec {
	struct str cn;
	const struct str *orgs;
	size_t n_orgs;
	const struct str *dns;
	size_t n_dns;
	const struct ip_addr *ips;
	size_t n_ips;
	/* certificates only */
	int64_t not_before_s, not_after_s;
	bool ca;
	int path_len; /* ca: -1 = no limit */
	unsigned eku; /* X509_EKU_* */
	unsigned ku;  /* 0 = digitalSignature (leaf), + keyCertSign and cRLSign (CA) */
};
/* x509_csr_write: appends "CERTIFICATE REQUEST" PEM signed by k. 0 or -EINVAL. */
int x509_csr_write(const struct tls_key *k, const struct x509_spec *spec, struct buf *pem);
/* x509_issue: appends one "CERTIFICATE" PEM for pub: serial of 127 random bits, SKI, AKI, basic
 * constraints, KU, EKU, SAN as spec says. issuer = NULL: self-signed with key. not_after is cut to
 * the issuer's. Errors: -EINVAL (e: nothing to sign with, key is not the issuer's...), -ENOMEM. */
int x509_issue(const struct x509_spec *spec, const struct tls_pub *pub,
	const struct x509_cert *issuer, const struct tls_key *key, struct buf *pem, struct err *e);

/* ---- PEM --------------------------------------------------------------------------------------- */

/* pem_next: the next block of *rest; its label (borrowed) and decoded bytes appended to b. Text
 * between blocks is skipped. True when one was found; a broken block is skipped too. */
bool pem_next(struct str *rest, struct str *ret_label, struct buf *b);
void pem_write(struct str label, struct str der, struct buf *b); /* lines of 64 */

#endif
