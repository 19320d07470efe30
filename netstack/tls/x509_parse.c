/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_parse: certificates and requests from DER; contracts in x509.h.
 * Place in the flow: tls.c hands over what peers send; signers hand over requests.
 * Invariants: total functions; every list is bounded (LIST_MAX); an extension twice, a time in another
 * form, a trailing byte make the whole thing malformed. Nothing is trusted here: x509_verify decides.
 * Source: RFC 5280 sections 4.1, 4.2; RFC 2986; RFC 5480. */
#include "netstack/tls/x509_int.h"

#include <errno.h>

#define LIST_MAX 256

static const struct sig_alg sig_algs[] = {
	{STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"), br_sha256_ID, false},
	{STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"), br_sha384_ID, false},
	{STR_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x04"), br_sha512_ID, false},
	{STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), br_sha256_ID, true},
	{STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), br_sha384_ID, true},
	{STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), br_sha512_ID, true},
	{STR_INIT("\x2b\x65\x70"), 0, false},
};

const struct sig_alg *
sig_alg_get(int id)
{
	return id > 0 && (size_t)id <= ARRAY_LEN(sig_algs) ? &sig_algs[id - 1] : NULL;
}

bool
sig_alg_read(struct str *in, int *ret_id, struct str *ret_whole)
{
	struct str body = STR_NONE, oid = STR_NONE;
	uint8_t tag = 0;

	if (der_peek(*in) != DER_SEQ || !der_next(in, &tag, &body, ret_whole) ||
		!der_take(&body, DER_OID, &oid))
		return false;
	*ret_id = 0;
	for (size_t i = 0; i < ARRAY_LEN(sig_algs); i++) {
		bool null = str_eq(body, STR("\x05\x00"));
		if (str_eq(sig_algs[i].oid, oid) && (body.n == 0 || (sig_algs[i].rsa && null)))
			*ret_id = (int)i + 1;
	}
	return true;
}

/* ---- public keys ---- */

static int
rsa_read(struct str key, struct tls_pub *ret)
{
	struct str seq = STR_NONE, n = STR_NONE, e = STR_NONE;

	if (!der_take(&key, DER_SEQ, &seq) || key.n > 0 || !der_uint(&seq, &n) ||
		!der_uint(&seq, &e) || seq.n > 0)
		return -1;
	if (n.n > 512 || e.n > 8)
		return 0;
	ret->type = TLS_KEY_RSA;
	ret->n_len = (uint16_t)n.n;
	ret->e_len = (uint16_t)e.n;
	memcpy(ret->data, n.p, n.n);
	memcpy(ret->data + n.n, e.p, e.n);
	return crypto_pub_ok(ret);
}

static const struct {
	struct str oid;
	enum tls_key_type type;
} curves[] = {
	{STR_INIT("\x2a\x86\x48\xce\x3d\x03\x01\x07"), TLS_KEY_EC_P256},
	{STR_INIT("\x2b\x81\x04\x00\x22"), TLS_KEY_EC_P384},
	{STR_INIT("\x2b\x81\x04\x00\x23"), TLS_KEY_EC_P521},
};

static int
ec_read(struct str params, struct str key, struct tls_pub *ret)
{
	struct str oid = STR_NONE;

	if (!der_take(&params, DER_OID, &oid) || params.n > 0 || key.n > 133)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		if (!str_eq(curves[i].oid, oid))
			continue;
		ret->type = curves[i].type;
		ret->n_len = (uint16_t)key.n;
		memcpy(ret->data, key.p, key.n);
		return crypto_pub_ok(ret);
	}
	return 0;
}

static int
ed25519_read(struct str params, struct str key, struct tls_pub *ret)
{
	if (params.n > 0 || key.n != 32)
		return 0;
	ret->type = TLS_KEY_ED25519;
	ret->n_len = 32;
	memcpy(ret->data, key.p, 32);
	return crypto_pub_ok(ret);
}

int
pub_read(struct str *in, struct tls_pub *ret)
{
	struct str seq = STR_NONE, alg = STR_NONE, oid = STR_NONE, key = STR_NONE;
	struct tls_pub pub = {0};
	int r = 0;

	if (!der_take(in, DER_SEQ, &seq) || !der_take(&seq, DER_SEQ, &alg) ||
		!der_take(&alg, DER_OID, &oid) || !der_bits(&seq, &key) || seq.n > 0)
		return -1;
	if (str_eq(oid, OID_RSA))
		r = rsa_read(key, &pub);
	else if (str_eq(oid, OID_EC_KEY))
		r = ec_read(alg, key, &pub);
	else if (str_eq(oid, OID_ED25519))
		r = ed25519_read(alg, key, &pub);
	if (r == 1)
		*ret = pub;
	return r;
}

/* ---- names ---- */

/* text_read: a string of a name as UTF-8. Kinds that are not (BMPString...) do not count as names. */
static bool
text_read(struct str *in, struct str *ret)
{
	uint8_t tag = 0;
	struct str s = STR_NONE;

	if (!der_next(in, &tag, &s, NULL))
		return false;
	bool known = tag == DER_UTF8 || tag == DER_PRINTABLE || tag == DER_IA5 || tag == DER_T61;
	*ret = known && str_is_utf8(s) && str_find_char(s, '\0') < 0 ? s : STR_NONE;
	return true;
}

bool
name_read(struct arena *a, struct str *in, struct x509_name *ret)
{
	struct x509_name name = {0};
	struct str seq = STR_NONE, *orgs = NULL;
	uint8_t tag = 0;
	size_t seen = 0;

	if (der_peek(*in) != DER_SEQ || !der_next(in, &tag, &seq, &name.der))
		return false;
	name.cn = STR("");
	while (seq.n > 0) {
		struct str set = STR_NONE;
		if (!der_take(&seq, DER_SET, &set) || set.n == 0)
			return false;
		while (set.n > 0) {
			struct str attr = STR_NONE, oid = STR_NONE, text = STR_NONE;
			if (++seen > LIST_MAX || !der_take(&set, DER_SEQ, &attr) ||
				!der_take(&attr, DER_OID, &oid) || !text_read(&attr, &text) ||
				attr.n > 0)
				return false;
			bool is_cn = str_eq(oid, OID_CN), is_o = str_eq(oid, OID_O);
			if (!is_cn && !is_o) {
				name.other = true;
				continue;
			}
			if (!str_is_set(text))
				return false; /* an identity in a form we would read differently */
			if (is_cn) {
				name.cn = text;
				continue;
			}
			struct str *o = ARENA_PUSH(a, orgs, name.n_orgs);
			if (!o)
				return false;
			*o = text;
		}
	}
	name.orgs = orgs;
	*ret = name;
	return true;
}

/* ---- extensions ---- */

static bool
push(struct arena *a, const struct str **list, size_t *n, struct str s)
{
	struct str *v = (struct str *)(uintptr_t)*list;
	struct str *at = *n < LIST_MAX * 4 ? ARENA_PUSH(a, v, *n) : NULL;

	if (!at)
		return false;
	*at = s;
	*list = v;
	return true;
}

static bool
san_read(struct arena *a, struct str in, struct x509_ext *x)
{
	struct x509_san *san = &x->san;
	struct ip_addr *ips = NULL;
	struct str seq = STR_NONE;

	if (!der_take(&in, DER_SEQ, &seq) || in.n > 0)
		return false;
	while (seq.n > 0) {
		uint8_t tag = 0;
		struct str s = STR_NONE;
		bool ok = true;
		if (!der_next(&seq, &tag, &s, NULL))
			return false;
		if ((tag == 0x81 || tag == 0x82 || tag == 0x86) &&
			(str_find_char(s, '\0') >= 0 || !str_is_utf8(s)))
			return false;
		if (tag == 0x81) {
			ok = push(a, &san->emails, &san->n_emails, s);
		} else if (tag == 0x82) {
			ok = push(a, &san->dns, &san->n_dns, s);
		} else if (tag == 0x86) {
			ok = push(a, &san->uris, &san->n_uris, s);
		} else if (tag == 0x87) {
			struct ip_addr ip = ip_from_bytes(s.p, s.n);
			struct ip_addr *at = ip.family && san->n_ips < LIST_MAX * 4
				? ARENA_PUSH(a, ips, san->n_ips)
				: NULL;
			if (!at)
				return false;
			*at = ip;
		} else {
			san->other = true;
		}
		if (!ok)
			return false;
	}
	san->ips = ips;
	return true;
}

static bool
basic_read(struct arena *a, struct str in, struct x509_ext *x)
{
	struct str seq = STR_NONE, v = STR_NONE;

	(void)a;
	x->path_len = -1;
	if (!der_take(&in, DER_SEQ, &seq) || in.n > 0)
		return false;
	x->has_basic = true;
	if (der_peek(seq) == DER_BOOL) {
		if (!der_take(&seq, DER_BOOL, &v) || v.n != 1 || (uint8_t)v.p[0] != 0xff)
			return false;
		x->is_ca = true;
	}
	if (der_peek(seq) == DER_INT) {
		if (!der_uint(&seq, &v) || v.n != 1 || !x->is_ca)
			return false;
		x->path_len = (uint8_t)v.p[0];
	}
	return seq.n == 0;
}

static bool
ku_read(struct arena *a, struct str in, struct x509_ext *x)
{
	struct str v = STR_NONE;

	(void)a;
	if (!der_take(&in, DER_BITS, &v) || in.n > 0 || v.n < 1 || v.n > 3 || (uint8_t)v.p[0] > 7)
		return false;
	x->has_ku = true;
	for (size_t bit = 0; bit < (v.n - 1) * 8 && bit < 9; bit++)
		if ((uint8_t)v.p[1 + bit / 8] & (0x80 >> (bit % 8)))
			x->ku |= 1u << bit;
	return true;
}

static bool
eku_read(struct arena *a, struct str in, struct x509_ext *x)
{
	struct str seq = STR_NONE, oid = STR_NONE;

	(void)a;
	if (!der_take(&in, DER_SEQ, &seq) || in.n > 0 || seq.n == 0)
		return false;
	x->has_eku = true;
	while (seq.n > 0) {
		if (!der_take(&seq, DER_OID, &oid))
			return false;
		x->eku |= str_eq(oid, OID_EKU_SERVER) ? X509_EKU_SERVER
			: str_eq(oid, OID_EKU_CLIENT) ? X509_EKU_CLIENT
			: str_eq(oid, OID_EKU_ANY)    ? X509_EKU_ANY
						      : X509_EKU_OTHER;
	}
	return true;
}

static bool
ski_read(struct arena *a, struct str in, struct x509_ext *x)
{
	(void)a;
	return der_take(&in, DER_OCTETS, &x->ski) && in.n == 0;
}

static bool
aki_read(struct arena *a, struct str in, struct x509_ext *x)
{
	struct str seq = STR_NONE;

	(void)a;
	if (!der_take(&in, DER_SEQ, &seq) || in.n > 0)
		return false;
	if (der_peek(seq) == 0x80)
		return der_take(&seq, 0x80, &x->aki);
	return true;
}

static const struct {
	struct str oid;
	bool (*read)(struct arena *a, struct str value, struct x509_ext *x);
} extensions[] = {
	{STR_INIT("\x55\x1d\x0e"), ski_read},
	{STR_INIT("\x55\x1d\x0f"), ku_read},
	{STR_INIT("\x55\x1d\x11"), san_read},
	{STR_INIT("\x55\x1d\x13"), basic_read},
	{STR_INIT("\x55\x1d\x23"), aki_read},
	{STR_INIT("\x55\x1d\x25"), eku_read},
};

/* ext_one: one Extension. */
static bool
ext_one(struct arena *a, struct str ext, struct x509_ext *x, uint32_t *seen)
{
	struct str oid = STR_NONE, v = STR_NONE;
	bool critical = false;

	if (!der_take(&ext, DER_OID, &oid))
		return false;
	if (der_peek(ext) == DER_BOOL) {
		if (!der_take(&ext, DER_BOOL, &v) || v.n != 1)
			return false;
		critical = v.p[0] != 0;
	}
	if (!der_take(&ext, DER_OCTETS, &v) || ext.n > 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		if (!str_eq(extensions[i].oid, oid))
			continue;
		if (*seen & (1u << i))
			return false;
		*seen |= 1u << i;
		return extensions[i].read(a, v, x);
	}
	/* Name constraints bind whoever ignores them too. */
	if (critical || str_eq(oid, OID_NAME_CONSTRAINTS))
		x->unknown_critical = true;
	return true;
}

bool
ext_read(struct arena *a, struct str in, struct x509_ext *ret)
{
	struct x509_ext x = {.path_len = -1};
	struct str ext = STR_NONE;
	uint32_t seen = 0;
	size_t n = 0;

	while (in.n > 0)
		if (++n > LIST_MAX || !der_take(&in, DER_SEQ, &ext) || !ext_one(a, ext, &x, &seen))
			return false;
	*ret = x;
	return true;
}

/* ---- certificates ---- */

static bool
tbs_read(struct arena *a, struct str tbs, struct x509_cert *c, struct str *ret_alg)
{
	struct str v = STR_NONE, validity = STR_NONE;
	struct x509_ext x = {.path_len = -1};
	int version = 0, alg = 0, pub = 0;

	if (der_peek(tbs) == 0xa0) {
		struct str n = STR_NONE;
		if (!der_take(&tbs, 0xa0, &v) || !der_uint(&v, &n) || v.n > 0 || n.n != 1 ||
			(uint8_t)n.p[0] > 2)
			return false;
		version = n.p[0];
	}
	if (!der_take(&tbs, DER_INT, &c->serial) || c->serial.n == 0 || c->serial.n > 32)
		return false;
	if (!sig_alg_read(&tbs, &alg, ret_alg) || !name_read(a, &tbs, &c->issuer) ||
		!der_take(&tbs, DER_SEQ, &validity) || !der_time(&validity, &c->not_before_s) ||
		!der_time(&validity, &c->not_after_s) || validity.n > 0 ||
		!name_read(a, &tbs, &c->subject) || (pub = pub_read(&tbs, &c->pub)) < 0)
		return false;
	c->pub_ok = pub == 1;
	for (uint8_t tag = 0x81; tag <= 0x82; tag++)
		if (der_peek(tbs) == tag && !der_take(&tbs, tag, &v))
			return false;
	if (der_peek(tbs) == 0xa3) {
		struct str list = STR_NONE;
		if (version != 2 || !der_take(&tbs, 0xa3, &v) || !der_take(&v, DER_SEQ, &list) ||
			v.n > 0 || !ext_read(a, list, &x))
			return false;
	}
	c->san = x.san;
	c->has_basic = x.has_basic;
	c->is_ca = x.is_ca;
	c->path_len = x.path_len;
	c->has_ku = x.has_ku;
	c->has_eku = x.has_eku;
	c->ku = x.ku;
	c->eku = x.eku;
	c->ski = x.ski;
	c->aki = x.aki;
	c->unknown_critical = x.unknown_critical;
	c->sig_alg = alg;
	return tbs.n == 0;
}

int
x509_cert_parse(struct arena *a, struct str der, struct x509_cert *ret, struct err *e)
{
	struct x509_cert c = {.der = der};
	struct str in = der, cert = STR_NONE, tbs = STR_NONE, alg_in = STR_NONE, alg_out = STR_NONE;
	uint8_t tag = 0;
	int alg = 0;

	bool ok = der_take(&in, DER_SEQ, &cert) && in.n == 0 && der_peek(cert) == DER_SEQ &&
		der_next(&cert, &tag, &tbs, &c.tbs) && tbs_read(a, tbs, &c, &alg_in) &&
		sig_alg_read(&cert, &alg, &alg_out) && der_bits(&cert, &c.sig) && cert.n == 0 &&
		str_eq(alg_in, alg_out);
	if (arena_failed(a))
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (!ok)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "malformed certificate");
	*ret = c;
	return 0;
}

int
x509_certs_parse_pem(
	struct arena *a, struct str pem, struct x509_cert **ret, size_t *ret_n, struct err *e)
{
	struct x509_cert *v = NULL;
	struct str rest = pem, label = STR_NONE;
	size_t n = 0;
	_cleanup_buf_ struct buf b = BUF_INIT;

	while (pem_next(&rest, &label, &b)) {
		if (str_eq(label, STR("CERTIFICATE"))) {
			struct str der = arena_str(a, buf_view(&b));
			struct x509_cert *c = n < 1024 ? ARENA_PUSH(a, v, n) : NULL;
			if (!c)
				return err_set(e, -ENOMEM, R_UNKNOWN, "too many certificates");
			int r = x509_cert_parse(a, der, c, e);
			if (r < 0)
				return r;
		}
		buf_clear(&b);
	}
	if (n == 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "no certificate in PEM");
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- requests ---- */

/* attributes_read: the extension request among the attributes. */
static bool
attributes_read(struct arena *a, struct str in, struct x509_csr *c)
{
	struct x509_ext x = {.path_len = -1};
	bool found = false;

	while (in.n > 0) {
		struct str attr = STR_NONE, oid = STR_NONE, set = STR_NONE, list = STR_NONE;
		if (!der_take(&in, DER_SEQ, &attr) || !der_take(&attr, DER_OID, &oid) ||
			!der_take(&attr, DER_SET, &set) || attr.n > 0)
			return false;
		if (!str_eq(oid, OID_EXTENSION_REQUEST))
			continue;
		if (found || !der_take(&set, DER_SEQ, &list) || set.n > 0 || !ext_read(a, list, &x))
			return false;
		found = true;
	}
	c->san = x.san;
	c->has_ku = x.has_ku;
	c->has_eku = x.has_eku;
	c->has_basic = x.has_basic;
	c->is_ca = x.is_ca;
	c->ku = x.ku;
	c->eku = x.eku;
	return true;
}

static int
csr_parse_der(struct arena *a, struct str der, struct x509_csr *ret, struct err *e)
{
	struct x509_csr c = {.der = der};
	struct str in = der, csr = STR_NONE, info = STR_NONE, version = STR_NONE, attrs = STR_NONE;
	struct str whole = STR_NONE, sig = STR_NONE;
	uint8_t tag = 0;
	int alg = 0;

	bool ok = der_take(&in, DER_SEQ, &csr) && in.n == 0 && der_peek(csr) == DER_SEQ &&
		der_next(&csr, &tag, &info, &c.info) && der_uint(&info, &version) &&
		str_eq(version, STR("\0")) && name_read(a, &info, &c.subject) &&
		pub_read(&info, &c.pub) == 1;
	if (ok && info.n > 0)
		ok = der_take(&info, 0xa0, &attrs) && info.n == 0 && attributes_read(a, attrs, &c);
	ok = ok && sig_alg_read(&csr, &alg, &whole) && der_bits(&csr, &sig) && csr.n == 0;
	if (arena_failed(a))
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (!ok)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "malformed certificate request");
	if (!sig_check(&c.pub, alg, c.info, sig))
		return err_set(
			e, -EACCES, R_BAD_REQUEST, "signature of the certificate request is wrong");
	*ret = c;
	return 0;
}

int
x509_csr_parse(struct arena *a, struct str text, struct x509_csr *ret, struct err *e)
{
	struct str rest = text, label = STR_NONE;
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (der_peek(text) == DER_SEQ)
		return csr_parse_der(a, text, ret, e);
	while (pem_next(&rest, &label, &b)) {
		if (str_eq(label, STR("CERTIFICATE REQUEST")) ||
			str_eq(label, STR("NEW CERTIFICATE REQUEST")))
			return csr_parse_der(a, arena_str(a, buf_view(&b)), ret, e);
		buf_clear(&b);
	}
	return err_set(e, -EINVAL, R_BAD_REQUEST, "PEM block type must be CERTIFICATE REQUEST");
}
