/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * certificates: CertificateSigningRequests: who asks is written by the server; the request itself never
 * changes; approval and signing go through their subresources.
 * Source: kube-apiserver pkg/registry/certificates, pkg/apis/certificates/validation. */
#include "orchestrator/kinds/kinds_int.h"

#include "base/hash.h"
#include "netstack/tls/x509.h"

static void
csr_create(struct request *r, struct doc *obj)
{
	struct doc *spec = doc_ensure_map(r->a, obj, S("spec")), *groups = doc_list(r->a);
	if (!spec || !groups)
		return;
	doc_set_str(r->a, spec, S("username"), r->user.name);
	if (r->user.uid.n)
		doc_set_str(r->a, spec, S("uid"), r->user.uid);
	else
		doc_set(spec, S("uid"), NULL);
	for (size_t i = 0; i < r->user.n_groups; i++)
		doc_append(groups, doc_str(r->a, r->user.groups[i]));
	doc_set(spec, S("groups"), groups);
	struct doc *extra = r->user.n_extra ? doc_map(r->a) : NULL;
	for (size_t i = 0; extra && i < r->user.n_extra; i++) {
		struct doc *values = doc_list(r->a);
		for (size_t k = 0; values && k < r->user.extra[i].n_values; k++)
			doc_append(values, doc_str(r->a, r->user.extra[i].values[k]));
		doc_set(extra, r->user.extra[i].key, values);
	}
	doc_set(spec, S("extra"), extra);
	doc_set(obj, S("status"), NULL);
}

static void
csr_update(struct request *r, struct doc *obj, const struct doc *old)
{
	keep_member(r->a, obj, old, S("spec"));
	struct doc *st = doc_ensure_map(r->a, obj, S("status"));
	const struct doc *was = doc_get(old, S("status"));
	if (st && str_eq_c(request_subresource(r), "approval"))
		keep_member(r->a, st, was, S("certificate"));
	else if (!request_subresource(r).n)
		keep_member(r->a, obj, old, S("status"));
}

static void
csr_validate(struct request *r, const struct doc *obj)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct schema_errors *errs = &r->causes;
	const struct doc *spec = doc_get(obj, S("spec"));
	struct str text = doc_get_str(spec, S("request")),
		   signer = doc_get_str(spec, S("signerName"));
	struct x509_csr csr;
	struct err e = {0};
	struct str domain, path;
	if (base64_decode(&pem, text) < 0 || x509_csr_parse(r->a, buf_view(&pem), &csr, &e) < 0)
		schema_err_invalid(errs, S("spec.request"), text,
			e.msg[0] ? arena_cstr(r->a, str_c(e.msg))
				 : "PEM block type must be CERTIFICATE REQUEST");
	if (doc_is_empty(doc_get(spec, S("usages"))))
		schema_err_required(errs, S("spec.usages"), "usages must be specified");
	if (!signer.n)
		schema_err_required(errs, S("spec.signerName"), NULL);
	else if (str_eq_c(signer, "kubernetes.io/legacy-unknown"))
		schema_err_invalid(errs, S("spec.signerName"), signer,
			"the legacy signerName is not allowed via this API version");
	else if (!str_cut(signer, '/', &domain, &path) || !path.n)
		schema_err_invalid(errs, S("spec.signerName"), signer,
			"must be a fully qualified domain and path of the form 'example.com/signer-name'");
}

static void
csr_validate_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	bool approved = false, denied = false;
	(void)old;
	DOC_EACH (c, doc_get(doc_get(obj, S("status")), S("conditions"))) {
		approved = approved || str_eq_c(doc_get_str(c, S("type")), "Approved");
		denied = denied || str_eq_c(doc_get_str(c, S("type")), "Denied");
	}
	if (approved && denied)
		schema_err_invalid(&r->causes, S("status.conditions"), S("Denied"),
			"Approved and Denied conditions are mutually exclusive");
}

const struct kind_ops csr_ops = {.group = "certificates.k8s.io",
	.resource = "certificatesigningrequests",
	.prepare_create = csr_create,
	.prepare_update = csr_update,
	.prepare_status = csr_update,
	.validate_create = csr_validate,
	.validate_update = csr_validate_update,
	.validate_status = csr_validate_update};
