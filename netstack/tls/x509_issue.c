/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_issue: certificates and requests written; contracts in x509.h.
 * Place in the flow: the cluster's CA at bootstrap, the certificate signers, nodes that join.
 * Invariants: what is issued passes strict checkers: version 3, subject and authority key ids, critical
 * basic constraints and key usage, a random positive serial.
 * Source: RFC 5280 sections 4.1 and 4.2, RFC 2986. */
#include "netstack/tls/x509_int.h"

#include "base/hash.h"
#include "base/rand.h"

#include <errno.h>

void
sig_alg_write(const struct tls_key *k, struct buf *b)
{
	size_t from = b->len;
	bool rsa = k->pub.type == TLS_KEY_RSA;

	for (int id = 1; sig_alg_get(id); id++) {
		const struct sig_alg *s = sig_alg_get(id);
		if (s->rsa == rsa && s->hash == crypto_key_hash(&k->pub)) {
			der_put(b, DER_OID, s->oid);
			break;
		}
	}
	if (rsa)
		der_put(b, DER_NULL, STR(""));
	der_wrap(b, from, DER_SEQ);
}

int
sig_write(const struct tls_key *k, struct str data, struct buf *b)
{
	uint8_t hash[64], sig[520];
	int hash_id = crypto_key_hash(&k->pub);

	size_t n = 64;
	if (k->pub.type == TLS_KEY_ED25519) {
		ed25519_sign(k->x, k->pub.data, data, sig);
	} else {
		crypto_hash(hash_id, data, hash);
		n = crypto_sign_hash(k, hash_id, hash, sig);
	}
	if (n == 0)
		return -EINVAL;
	sig_alg_write(k, b);
	size_t from = b->len;
	buf_char(b, 0);
	buf_add(b, sig, n);
	der_wrap(b, from, DER_BITS);
	return 0;
}

static void
attr_write(struct buf *b, struct str oid, struct str value)
{
	size_t from = b->len;

	der_put(b, DER_OID, oid);
	der_put(b, DER_UTF8, value);
	der_wrap(b, from, DER_SEQ);
}

/* name_write: the O values, one RDN each, then CN. */
static void
name_write(struct buf *b, const struct x509_spec *s)
{
	size_t all = b->len;

	for (size_t i = 0; i < s->n_orgs; i++) {
		size_t from = b->len;
		attr_write(b, OID_O, s->orgs[i]);
		der_wrap(b, from, DER_SET);
	}
	if (s->cn.n > 0) {
		size_t from = b->len;
		attr_write(b, OID_CN, s->cn);
		der_wrap(b, from, DER_SET);
	}
	der_wrap(b, all, DER_SEQ);
}

/* ext_write: b holds the extension's value from `from` on. */
static void
ext_write(struct buf *b, size_t from, struct str oid, bool critical)
{
	_cleanup_buf_ struct buf head = BUF_INIT;

	der_wrap(b, from, DER_OCTETS);
	der_put(&head, DER_OID, oid);
	if (critical)
		der_put(&head, DER_BOOL, STR("\xff"));
	if (head.failed || !buf_reserve(b, head.len)) {
		b->failed = true;
		return;
	}
	buf_commit(b, head.len);
	memmove(b->data + from + head.len, b->data + from, b->len - from - head.len);
	memcpy(b->data + from, head.data, head.len);
	der_wrap(b, from, DER_SEQ);
}

static void
san_write(struct buf *b, const struct x509_spec *s, bool critical)
{
	size_t from = b->len;

	if (s->n_dns + s->n_ips == 0)
		return;
	for (size_t i = 0; i < s->n_dns; i++)
		der_put(b, 0x82, s->dns[i]);
	for (size_t i = 0; i < s->n_ips; i++)
		der_put(b, 0x87, str_from((const char *)s->ips[i].b, ip_size(&s->ips[i])));
	der_wrap(b, from, DER_SEQ);
	ext_write(b, from, OID_SAN, critical);
}

static void
ku_write(struct buf *b, unsigned ku)
{
	size_t from = b->len;
	uint8_t bits[2] = {0};
	int last = 0;

	for (int bit = 0; bit < 9; bit++) {
		if (ku & (1u << bit)) {
			bits[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
			last = bit;
		}
	}
	buf_char(b, (char)(7 - last % 8));
	buf_add(b, bits, last < 8 ? 1 : 2);
	der_wrap(b, from, DER_BITS);
	ext_write(b, from, OID_KU, true);
}

static void
eku_write(struct buf *b, unsigned eku)
{
	size_t from = b->len;

	if (eku & X509_EKU_SERVER)
		der_put(b, DER_OID, OID_EKU_SERVER);
	if (eku & X509_EKU_CLIENT)
		der_put(b, DER_OID, OID_EKU_CLIENT);
	if (eku & X509_EKU_ANY)
		der_put(b, DER_OID, OID_EKU_ANY);
	der_wrap(b, from, DER_SEQ);
	ext_write(b, from, OID_EKU, false);
}

static void
basic_write(struct buf *b, bool ca, int path_len)
{
	size_t from = b->len;
	char n = (char)path_len;

	if (ca) {
		der_put(b, DER_BOOL, STR("\xff"));
		if (path_len >= 0)
			der_put_uint(b, str_from(&n, 1));
	}
	der_wrap(b, from, DER_SEQ);
	ext_write(b, from, OID_BASIC, true);
}

/* key_id: SHA-1 of the key would be the usual one; the first 20 bytes of SHA-256 are as good (RFC 7093). */
static void
key_id(const struct tls_pub *pub, uint8_t out[20])
{
	uint8_t sum[32];
	_cleanup_buf_ struct buf der = BUF_INIT;

	tls_pub_write_der(pub, &der);
	sha256_of(buf_view(&der), sum);
	memcpy(out, sum, 20);
}

static void
key_ids_write(struct buf *b, const struct tls_pub *pub, struct str issuer_id)
{
	uint8_t id[20];
	size_t from = b->len;

	key_id(pub, id);
	der_put(b, DER_OCTETS, str_from((char *)id, 20));
	ext_write(b, from, OID_SKI, false);
	if (!str_is_set(issuer_id))
		issuer_id = str_from((char *)id, 20);
	if (issuer_id.n == 0)
		return;
	from = b->len;
	der_put(b, 0x80, issuer_id);
	der_wrap(b, from, DER_SEQ);
	ext_write(b, from, OID_AKI, false);
}

static void
extensions_write(
	struct buf *b, const struct x509_spec *s, const struct tls_pub *pub, struct str issuer_id)
{
	unsigned ku = s->ku ? s->ku
		: s->ca     ? X509_KU_DIGITAL_SIGNATURE | X509_KU_CERT_SIGN | X509_KU_CRL_SIGN
			    : X509_KU_DIGITAL_SIGNATURE;
	size_t from = b->len;

	ku_write(b, ku);
	if (s->eku)
		eku_write(b, s->eku);
	basic_write(b, s->ca, s->path_len);
	key_ids_write(b, pub, issuer_id);
	san_write(b, s, s->cn.n == 0 && s->n_orgs == 0);
	der_wrap(b, from, DER_SEQ);
	der_wrap(b, from, 0xa3);
}

static void
tbs_write(struct buf *b, const struct x509_spec *s, const struct tls_pub *pub,
	const struct x509_cert *issuer, const struct tls_key *key)
{
	uint8_t serial[16];
	int64_t not_after_s = s->not_after_s;
	size_t from = b->len;

	if (issuer && not_after_s > issuer->not_after_s)
		not_after_s = issuer->not_after_s;
	rand_bytes(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;
	buf_str(b, STR("\xa0\x03\x02\x01\x02")); /* version 3 */
	der_put_uint(b, str_from((char *)serial, sizeof(serial)));
	sig_alg_write(key, b);
	if (issuer)
		buf_str(b, issuer->subject.der);
	else
		name_write(b, s);
	size_t validity = b->len;
	der_put_time(b, s->not_before_s);
	der_put_time(b, not_after_s);
	der_wrap(b, validity, DER_SEQ);
	name_write(b, s);
	tls_pub_write_der(pub, b);
	extensions_write(b, s, pub, issuer ? (issuer->ski.n ? issuer->ski : STR("")) : STR_NONE);
	der_wrap(b, from, DER_SEQ);
}

int
x509_issue(const struct x509_spec *spec, const struct tls_pub *pub, const struct x509_cert *issuer,
	const struct tls_key *key, struct buf *pem, struct err *e)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (issuer && (!issuer->is_ca || !tls_pub_eq(&issuer->pub, &key->pub)))
		return err_set(e, -EINVAL, R_INTERNAL_ERROR,
			"the key is not the one of the issuing certificate");
	if (!issuer && !tls_pub_eq(pub, &key->pub))
		return err_set(e, -EINVAL, R_INTERNAL_ERROR,
			"a self-signed certificate needs its own key");
	if (spec->not_after_s <= spec->not_before_s)
		return err_set(e, -EINVAL, R_INVALID, "certificate would never be valid");
	if (spec->path_len > 127)
		return err_set(e, -EINVAL, R_INVALID, "path length is too large");
	tbs_write(&b, spec, pub, issuer, key);
	_cleanup_buf_ struct buf tbs = BUF_INIT;
	buf_str(&tbs, buf_view(&b));
	if (sig_write(key, buf_view(&tbs), &b) < 0)
		return err_set(e, -EINVAL, R_INTERNAL_ERROR, "signing failed");
	der_wrap(&b, 0, DER_SEQ);
	if (b.failed || tbs.failed)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	pem_write(STR("CERTIFICATE"), buf_view(&b), pem);
	return pem->failed ? err_set(e, -ENOMEM, R_UNKNOWN, "out of memory") : 0;
}

int
x509_csr_write(const struct tls_key *k, const struct x509_spec *s, struct buf *pem)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_str(&b, STR("\x02\x01\x00")); /* version 1 */
	name_write(&b, s);
	tls_pub_write_der(&k->pub, &b);
	size_t attrs = b.len;
	if (s->n_dns + s->n_ips > 0) {
		der_put(&b, DER_OID, OID_EXTENSION_REQUEST);
		size_t set = b.len;
		san_write(&b, s, false);
		der_wrap(&b, set, DER_SEQ);
		der_wrap(&b, set, DER_SET);
		der_wrap(&b, attrs, DER_SEQ);
	}
	der_wrap(&b, attrs, 0xa0);
	der_wrap(&b, 0, DER_SEQ);
	_cleanup_buf_ struct buf info = BUF_INIT;
	buf_str(&info, buf_view(&b));
	if (sig_write(k, buf_view(&info), &b) < 0)
		return -EINVAL;
	der_wrap(&b, 0, DER_SEQ);
	if (b.failed || info.failed)
		return -ENOMEM;
	pem_write(STR("CERTIFICATE REQUEST"), buf_view(&b), pem);
	return pem->failed ? -ENOMEM : 0;
}
