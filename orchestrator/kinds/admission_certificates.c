/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_certificates: who may approve and sign requests, and vouch for bundles in a signer's name.
 * Source: plugin/pkg/admission/certificates. */
#include "orchestrator/kinds/kinds_int.h"

#include "base/hash.h"
#include "netstack/tls/x509.h"

bool
may_signer(struct request *r, const char *verb, struct str signer)
{
	struct str domain, rest;
	struct authz_attrs at = {.user = &r->user,
		.verb = str_c(verb),
		.is_resource = true,
		.group = S("certificates.k8s.io"),
		.version = S("v1"),
		.resource = S("signers"),
		.name = signer};
	if (request_may(r, &at, NULL))
		return true;
	if (!str_cut(signer, '/', &domain, &rest))
		return false;
	at.name = arena_fmt(r->a, STR_FMT "/*", STR_ARG(domain));
	return request_may(r, &at, NULL);
}

static struct str
signer_of(const struct doc *csr)
{
	return doc_get_str(doc_get(csr, S("spec")), S("signerName"));
}

enum step
admit_certificate_approval(struct request *r)
{
	struct str signer = signer_of(r->old);
	if (r->old && !may_signer(r, "approve", signer))
		return request_fail_forbidden(r,
			"user not permitted to approve requests with signerName \"" STR_FMT "\"",
			STR_ARG(signer));
	return STEP_NEXT;
}

enum step
admit_certificate_signing(struct request *r)
{
	const struct doc *now = doc_get(r->obj, S("status")), *was = doc_get(r->old, S("status"));
	if (!r->old ||
		(doc_equal(doc_get(now, S("certificate")), doc_get(was, S("certificate"))) &&
			doc_len(doc_get(now, S("conditions"))) ==
				doc_len(doc_get(was, S("conditions")))))
		return STEP_NEXT;
	if (!may_signer(r, "sign", signer_of(r->old)))
		return request_fail_forbidden(r,
			"user not permitted to sign requests with signerName \"" STR_FMT "\"",
			STR_ARG(signer_of(r->old)));
	return STEP_NEXT;
}

enum step
admit_certificate_subject(struct request *r)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct x509_csr csr;
	struct str text = doc_get_str(doc_get(r->obj, S("spec")), S("request"));
	if (!str_eq_c(signer_of(r->obj), "kubernetes.io/kube-apiserver-client") ||
		base64_decode(&pem, text) < 0 ||
		x509_csr_parse(r->a, buf_view(&pem), &csr, NULL) < 0)
		return STEP_NEXT; /* what cannot be read is refused by validation */
	for (size_t i = 0; i < csr.subject.n_orgs; i++)
		if (str_eq_c(csr.subject.orgs[i], "system:masters"))
			return request_fail_forbidden(r,
				"use of kubernetes.io/kube-apiserver-client signer with system:masters group "
				"is not allowed");
	return STEP_NEXT;
}

/* without_gc: the object but for what the garbage collector changes. */
static struct doc *
without_gc(struct request *r, const struct doc *obj)
{
	static const char *const gone[] = {
		"ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"};
	struct doc *d = doc_copy(r->a, obj);
	for (size_t i = 0; d && i < ARRAY_LEN(gone); i++)
		doc_set(meta_of(d), str_c(gone[i]), NULL);
	return d;
}

enum step
admit_bundle_attest(struct request *r)
{
	struct str signer = signer_of(r->obj);
	if (!signer.n || (r->old && doc_equal(without_gc(r, r->obj), without_gc(r, r->old))) ||
		may_signer(r, "attest", signer))
		return STEP_NEXT;
	return request_fail_forbidden(
		r, "user not permitted to attest for signerName \"" STR_FMT "\"", STR_ARG(signer));
}
