/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod_certificates: PodCertificateRequests and ClusterTrustBundles: what needs a certificate to be read. A request
 * proves that who asks has the key; once issued, denied or failed its status never changes; what is issued is for
 * that key and lives as long as was asked for.
 * Source: kube-apiserver pkg/apis/certificates/validation, pkg/registry/certificates. */
#include "orchestrator/kinds/kinds_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "netstack/tls/x509.h"

#define REQUEST_MAX (10 << 10)
#define CHAIN_MAX (100 << 10)
#define BUNDLE_MAX (1 << 20)
#define OF_REQUEST S("spec.stubPKCS10Request")
#define OF_CHAIN S("status.certificateChain")

/* fault: an invalid value that is not shown. */
static void
fault(struct request *r, struct str field, const char *why)
{
	schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, field, NULL, str_c(why));
}

/* ---- requests ---- */

/* request_parse: the PKCS#10 request in the spec. -EINVAL malformed or of a key we cannot read, -EACCES signature. */
static int
request_parse(struct request *r, const struct doc *obj, struct x509_csr *ret)
{
	_cleanup_buf_ struct buf der = BUF_INIT;
	struct err e = {0};
	struct str text = doc_get_str(doc_get(obj, S("spec")), S("stubPKCS10Request"));
	if (base64_decode(&der, text) < 0 || der.len == 0 || der.data[0] != 0x30)
		return -EINVAL;
	return x509_csr_parse(r->a, arena_str(r->a, buf_view(&der)), ret, &e);
}

static void
pcr_validate(struct request *r, const struct doc *obj)
{
	struct x509_csr csr;
	size_t n = doc_get_str(doc_get(obj, S("spec")), S("stubPKCS10Request")).n;
	if (n == 0) /* said already */
		return;
	if (n / 4 * 3 > REQUEST_MAX + 2) {
		schema_err_too_long(&r->causes, OF_REQUEST, REQUEST_MAX);
		return;
	}
	int rc = request_parse(r, obj, &csr);
	if (rc == -EACCES)
		fault(r, OF_REQUEST, "invalid signature");
	else if (rc < 0)
		fault(r, OF_REQUEST, "must be a valid PKCS#10 CSR");
	else if (csr.pub.type == TLS_KEY_RSA && csr.pub.n_len != 384 && csr.pub.n_len != 512)
		schema_err_invalid(&r->causes, OF_REQUEST,
			arena_fmt(r->a, "%d-bit modulus", csr.pub.n_len * 8),
			"RSA keys must have modulus size 3072 or 4096");
}

static void
pcr_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	check_immutable(r, S("spec"), doc_get(obj, S("spec")), doc_get(old, S("spec")));
}

static bool
has_condition(const struct doc *status, const char *type)
{
	DOC_EACH (c, doc_get(status, S("conditions")))
		if (str_eq_c(doc_get_str(c, S("type")), type) &&
			str_eq_c(doc_get_str(c, S("status")), "True"))
			return true;
	return false;
}

/* is_final: nothing is to happen any more. */
static bool
is_final(const struct doc *status)
{
	return has_condition(status, "Issued") || has_condition(status, "Denied") ||
		has_condition(status, "Failed");
}

static bool
more_than_conditions(const struct doc *status)
{
	DOC_EACH (m, status)
		if (!str_eq_c(m->key, "conditions") && !doc_is_empty(m))
			return true;
	return false;
}

static bool
same_status(const struct doc *x, const struct doc *y)
{
	return (doc_is_empty(x) && doc_is_empty(y)) || (x && y && doc_equal(x, y));
}

/* ---- what is issued ---- */

/* dns_check: names that some clients would read in ways of their own. */
static void
dns_check(struct request *r, struct str name)
{
	if (name.n == 0)
		schema_err_invalid(&r->causes, OF_CHAIN, name,
			"leaf certificate should not contain empty DNSName");
	if (str_find(name, S("..")) >= 0)
		schema_err_invalid(&r->causes, OF_CHAIN, name,
			"leaf certificate's DNSName should not contain '..'");
	if (str_starts(name, S(".")) || str_ends(name, S(".")))
		schema_err_invalid(&r->causes, OF_CHAIN, name,
			"leaf certificate's DNSName should not start or end with '.'");
}

static void
email_check(struct request *r, struct str mail)
{
	ptrdiff_t at = str_find_char(mail, '@');
	if (at <= 0 || (size_t)at + 1 == mail.n || str_find_char(mail, ' ') >= 0 ||
		str_find_char(str_sub(mail, (size_t)at + 1, SIZE_MAX), '@') >= 0)
		schema_err_invalid(&r->causes, OF_CHAIN, mail,
			"leaf certificate should not contain invalid EmailAddress");
}

struct times {
	bool has_before, has_after, has_refresh;
	int64_t before_s, after_s, refresh_s;
};

static bool
time_of(const struct doc *status, const char *member, int64_t *ret_s)
{
	int64_t ns = 0;
	if (rfc3339_parse(doc_get_str(status, str_c(member)), &ns) < 0)
		return false;
	*ret_s = ns / NS_PER_SEC;
	return true;
}

static bool
times_read(struct request *r, const struct doc *status, struct times *t)
{
	t->has_before = time_of(status, "notBefore", &t->before_s);
	t->has_after = time_of(status, "notAfter", &t->after_s);
	t->has_refresh = time_of(status, "beginRefreshAt", &t->refresh_s);
	if (!t->has_before)
		schema_err_required(&r->causes, S("status.notBefore"),
			"must be present and consistent with the issued certificate");
	if (!t->has_after)
		schema_err_required(&r->causes, S("status.notAfter"),
			"must be present and consistent with the issued certificate");
	if (!t->has_refresh)
		schema_err_required(&r->causes, S("status.beginRefreshAt"),
			"must be present and in the range [notbefore+10min, notafter-10min]");
	return r->causes.n == 0;
}

/* times_fault: the first thing wrong with when a certificate is valid; *ret_field where. NULL = nothing. */
static const char *
times_fault(struct request *r, const struct doc *obj, const struct x509_cert *leaf,
	const struct times *t, struct str *ret_field)
{
	int64_t now_s = r->wall_ns / NS_PER_SEC, life_s = leaf->not_after_s - leaf->not_before_s;
	int64_t most_s = doc_get_int(doc_get(obj, S("spec")), S("maxExpirationSeconds"), 0);
	*ret_field = S("status.notBefore");
	if (t->before_s != leaf->not_before_s)
		return "must be set to the NotBefore time encoded in the leaf certificate";
	if (t->before_s <= now_s - 300 || t->before_s >= now_s + 300)
		return "must be set to within 5 minutes of kube-apiserver's current time";
	*ret_field = S("status.notAfter");
	if (t->after_s != leaf->not_after_s)
		return "must be set to the NotAfter time encoded in the leaf certificate";
	*ret_field = OF_CHAIN;
	if (life_s < 3600)
		return "leaf certificate lifetime must be >= 1 hour";
	if (life_s > most_s)
		return arena_fmt(r->a,
			"leaf certificate lifetime must be <= spec.maxExpirationSeconds (%lld)",
			(long long)most_s)
			.p;
	*ret_field = S("status.beginRefreshAt");
	if (t->refresh_s < t->before_s + 600)
		return "must be at least 10 minutes after status.notBefore";
	if (t->refresh_s > t->after_s - 600)
		return "must be at least 10 minutes before status.notAfter";
	return NULL;
}

/* leaf_check: the first certificate of the chain. */
static void
leaf_check(struct request *r, const struct doc *obj, const struct x509_cert *leaf)
{
	const struct doc *status = doc_get(obj, S("status"));
	struct str chain = doc_get_str(status, S("certificateChain")), field = STR_NONE;
	struct x509_csr csr;
	struct times t = {0};
	for (size_t i = 0; i < leaf->san.n_dns; i++)
		dns_check(r, leaf->san.dns[i]);
	for (size_t i = 0; i < leaf->san.n_emails; i++)
		email_check(r, leaf->san.emails[i]);
	if (request_parse(r, r->old, &csr) < 0) {
		fault(r, OF_REQUEST, "must be a valid PKCS#10 CSR");
		return;
	}
	if (!leaf->pub_ok || !tls_pub_eq(&leaf->pub, &csr.pub)) {
		schema_err_invalid(&r->causes, OF_CHAIN, chain,
			"leaf certificate was not issued to the requested public key");
		return;
	}
	if (!times_read(r, status, &t))
		return;
	const char *why = times_fault(r, obj, leaf, &t, &field);
	const struct doc *value = why && str_eq(field, OF_CHAIN)
		? doc_int(r->a, (leaf->not_after_s - leaf->not_before_s) * NS_PER_SEC)
		: doc_get(status, str_sub(field, sizeof("status.") - 1, SIZE_MAX));
	if (why)
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, field, value, str_c(why));
}

/* chain_check: only certificates; the first one as leaf_check says. */
static void
chain_check(struct request *r, const struct doc *obj)
{
	struct str chain = doc_get_str(doc_get(obj, S("status")), S("certificateChain"));
	struct str rest = chain, label = STR_NONE;
	_cleanup_buf_ struct buf der = BUF_INIT;
	struct x509_cert c;
	struct err e = {0};
	size_t n = 0;
	if (chain.n > CHAIN_MAX) {
		schema_err_too_long(&r->causes, OF_CHAIN, CHAIN_MAX);
		return;
	}
	for (; pem_next(&rest, &label, &der); n++) {
		const char *why = NULL;
		if (!str_eq_c(label, "CERTIFICATE"))
			why = n ? "issued certificate chain must consist entirely of CERTFICATE PEM blocks"
				: "issued certificate chain must consist entirely of CERTIFICATE PEM blocks";
		else if (x509_cert_parse(r->a, arena_str(r->a, buf_view(&der)), &c, &e) < 0)
			why = n ? "intermediate certificate does not parse as valid X.509"
				: "leaf certificate does not parse as valid X.509";
		else if (n == 0)
			leaf_check(r, obj, &c);
		if (why)
			schema_err_invalid(&r->causes, OF_CHAIN, chain, why);
		if (r->causes.n)
			return;
		buf_clear(&der);
	}
	if (n == 0)
		schema_err_invalid(&r->causes, OF_CHAIN, chain,
			"issued certificate chain must contain at least one certificate");
}

static void
pcr_validate_status(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *now = doc_get(obj, S("status")), *was = doc_get(old, S("status"));
	struct str signer = doc_get_str(doc_get(old, S("spec")), S("signerName"));
	bool same = same_status(now, was);
	if (r->causes.n)
		return;
	if (is_final(was)) {
		if (!same)
			fault(r, S("status"),
				"immutable after PodCertificateRequest is issued, denied, or failed");
	} else if (has_condition(now, "Denied") || has_condition(now, "Failed")) {
		if (more_than_conditions(now))
			fault(r, S("status"),
				"non-condition status fields must be empty when denying or failing the "
				"PodCertificateRequest");
	} else if (has_condition(now, "Issued")) {
		chain_check(r, obj);
	} else if (!same) {
		fault(r, S("status"),
			"status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"");
	}
	if (!r->causes.n && !same && !may_signer(r, "sign", signer))
		schema_err_forbidden(&r->causes, S("spec.signerName"),
			arena_fmt(r->a,
				"User \"" STR_FMT
				"\" is not permitted to \"sign\" for signer \"" STR_FMT "\"",
				STR_ARG(r->user.name), STR_ARG(signer))
				.p);
}

const struct kind_ops pod_certificate_ops = {.group = "certificates.k8s.io",
	.resource = "podcertificaterequests",
	.validate_create = pcr_validate,
	.validate_update = pcr_update,
	.validate_status = pcr_validate_status};

/* ---- bundles ---- */

/* bundle_block: what is wrong with the i-th block; NULL = nothing. */
static const char *
bundle_block(struct request *r, struct str label, struct str der, size_t i)
{
	struct x509_cert c;
	struct err e = {0};
	if (!str_eq_c(label, "CERTIFICATE"))
		return arena_fmt(r->a, "entry %zu has bad block type: " STR_FMT, i, STR_ARG(label))
			.p;
	if (x509_cert_parse(r->a, der, &c, &e) < 0)
		return arena_fmt(r->a, "entry %zu does not parse as X.509", i).p;
	if (!c.is_ca)
		return arena_fmt(r->a, "entry %zu does not have the CA bit set", i).p;
	return NULL;
}

static void
bundle_fault(struct request *r, struct str why)
{
	schema_err_invalid(
		&r->causes, S("spec.trustBundle"), S("<value omitted>"), arena_cstr(r->a, why));
}

/* One certificate of a bundle, and where it stands. */
struct anchor {
	struct anchor *next; /* further ones that are there more than once, in order */
	struct str at;       /* "0 3" */
	bool again;
};

/* anchors_put: the i-th certificate; *last: where the next one that is there twice is hung on. */
static void
anchors_put(struct request *r, struct map *seen, struct anchor ***last, struct str der, size_t i)
{
	struct anchor *x = map_get(seen, der);
	if (!x) {
		x = ARENA_NEW(r->a, struct anchor);
		if (!x || map_put(seen, der, x, NULL) < 0)
			return;
		x->at = arena_fmt(r->a, "%zu", i);
		return;
	}
	if (!x->again) {
		x->again = true;
		**last = x;
		*last = &x->next;
	}
	x->at = arena_fmt(r->a, STR_FMT " %zu", STR_ARG(x->at), i);
}

static void
bundle_validate(struct request *r, const struct doc *obj)
{
	struct str text = doc_get_str(doc_get(obj, S("spec")), S("trustBundle"));
	struct str rest = text, label = STR_NONE;
	_cleanup_buf_ struct buf der = BUF_INIT;
	struct anchor *twice = NULL, **last = &twice;
	struct map seen;
	size_t n = 0, before = r->causes.n;
	if (text.n > BUNDLE_MAX) {
		schema_err_too_long(&r->causes, S("spec.trustBundle"), BUNDLE_MAX);
		return;
	}
	map_init(&seen);
	for (; pem_next(&rest, &label, &der); n++, buf_clear(&der)) {
		struct str one = arena_str(r->a, buf_view(&der));
		const char *why = bundle_block(r, label, one, n);
		if (why)
			bundle_fault(r, str_c(why));
		else
			anchors_put(r, &seen, &last, one, n);
	}
	map_release(&seen);
	if (r->causes.n > before)
		return;
	if (n == 0)
		bundle_fault(r, S("at least one trust anchor must be provided"));
	for (; twice; twice = twice->next)
		bundle_fault(r,
			arena_fmt(r->a, "duplicate trust anchor (indices [" STR_FMT "])",
				STR_ARG(twice->at)));
}

/* What is not changed is not looked at again: it was good once. */
static void
bundle_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!str_eq(doc_get_str(doc_get(obj, S("spec")), S("trustBundle")),
		    doc_get_str(doc_get(old, S("spec")), S("trustBundle"))))
		bundle_validate(r, obj);
}

const struct kind_ops trust_bundle_ops = {.group = "certificates.k8s.io",
	.resource = "clustertrustbundles",
	.validate_create = bundle_validate,
	.validate_update = bundle_update};
