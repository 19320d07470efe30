/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_certificates: kinds of certificates, and what pods say of theirs; what needs a certificate to be read is
 * in kinds/. Source: k8s.io/kubernetes pkg/apis/certificates/validation, pkg/apis/core/validation. */
#include "orchestrator/schema/checks_int.h"

#define UID_MAX 128
#define ANNOTATIONS_MAX (256 << 10)

/* ---- signers ---- */

/* check_parts: each part of one half of a signer's name between dots; the first bad one is told. */
static size_t
check_parts(const struct schema_spot *s, struct str half, enum schema_format f, const char *at)
{
	const char *why = NULL;
	struct str rest = half, part = STR_NONE;
	size_t n = 0;
	bool bad = false, more = true;

	while (more) {
		/* Also the empty part behind a last dot counts. */
		ptrdiff_t dot = str_find_char(rest, '.');
		part = dot < 0 ? rest : str_sub(rest, 0, (size_t)dot);
		more = dot >= 0;
		rest = more ? str_sub(rest, (size_t)dot + 1, SIZE_MAX) : rest;
		n++;
		if (!bad && (why = format_check(s->errs->a, f, part)) != NULL) {
			bad = true;
			INVALID(half,
				arena_fmt(s->errs->a, "validating label \"" STR_FMT "\": %s",
					STR_ARG(part), why)
					.p,
				"%s", at);
		}
	}
	return n;
}

void
check_signer(const struct schema_spot *s, struct str name, const char *at)
{
	struct str domain = STR_NONE, path = STR_NONE;

	if (name.n == 0) {
		REQUIRED(NULL, "%s", at);
		return;
	}
	if (!str_cut(name, '/', &domain, &path) || str_find_char(path, '/') >= 0) {
		INVALID(name,
			"must be a fully qualified domain and path of the form 'example.com/signer-name'",
			"%s", at);
		return;
	}
	if (domain.n > 253)
		schema_err_too_long(s->errs, AT("%s", at), 253);
	if (check_parts(s, domain, FORMAT_DNS_LABEL, at) < 2)
		INVALID(domain, "should be a domain with at least two segments separated by dots",
			"%s", at);
	check_parts(s, path, FORMAT_DNS_SUBDOMAIN, at);
	if (name.n > 571)
		schema_err_too_long(s->errs, AT("%s", at), 571);
}

bool
signer_is_ours(struct str name)
{
	struct str domain = name, path = STR_NONE;

	str_cut(name, '/', &domain, &path);
	return str_eq_c(domain, "kubernetes.io") || str_ends(domain, STR(".kubernetes.io"));
}

void
check_user_annotations(const struct schema_spot *s, const struct doc *map, const char *at)
{
	size_t bytes = 0;

	DOC_EACH (v, map) {
		struct str key = lower_text(s->errs->a, v->key);
		size_t before = s->errs->n;
		bytes += v->key.n + doc_as_str(v).n;
		if (key.n == 0) {
			REQUIRED(NULL, "%s", at);
			continue;
		}
		FORMAT(FORMAT_QUALIFIED_NAME, key, "%s", at);
		if (s->errs->n == before && str_find_char(key, '/') < 0)
			INVALID(key, "must be a domain-prefixed key (such as \"acme.io/foo\")",
				"%s", at);
	}
	if (bytes > ANNOTATIONS_MAX)
		schema_err_too_long(s->errs, AT("%s", at), ANNOTATIONS_MAX);
}

/* ---- bundles ---- */

/* bundle_prefix: what the names of a signer's bundles begin with: its own, "/" as ":", and a ":". */
static struct str
bundle_prefix(struct arena *a, struct str signer)
{
	struct str all = arena_fmt(a, STR_FMT ":", STR_ARG(signer));
	char *at = (char *)(uintptr_t)all.p;

	for (size_t i = 0; i < all.n; i++)
		if (at[i] == '/')
			at[i] = ':';
	return all;
}

/* bundle_name_fault: NULL = good; else what is wrong, and *ret_rest may be checked as a subdomain instead. */
static const char *
bundle_name_fault(struct arena *a, struct str name, struct str signer, struct str *ret_rest)
{
	*ret_rest = name;
	if (!signer.n)
		return str_find_char(name, ':') >= 0
			? "ClusterTrustBundle without signer name must not have \":\" in its name"
			: NULL;
	struct str prefix = bundle_prefix(a, signer);
	if (!str_starts(name, prefix))
		return arena_fmt(a,
			"ClusterTrustBundle for signerName " STR_FMT
			" must be named with prefix " STR_FMT,
			STR_ARG(signer), STR_ARG(prefix))
			.p;
	*ret_rest = str_sub(name, prefix.n, SIZE_MAX);
	return NULL;
}

/* A name of a bundle with a signer begins with the signer's; the rest is what names are elsewhere. */
CHECK(certificates_v1_cluster_trust_bundle)
{
	const struct doc *meta = get(d, "metadata");
	struct str name = text(meta, "name"), signer = text(get(d, "spec"), "signerName");
	struct str rest = STR_NONE;

	(void)old;
	if (name.n == 0 || (signer.n == 0 && str_find_char(name, ':') < 0))
		return;
	schema_errors_drop(s->errs, STR("metadata.name"));
	const char *why = bundle_name_fault(s->errs->a, name, signer, &rest);
	if (why) {
		INVALID(name, why, "metadata.name");
		return;
	}
	if (str_starts(text(meta, "generateName"), bundle_prefix(s->errs->a, signer)))
		schema_errors_drop(s->errs, STR("metadata.generateName"));
	FORMAT(FORMAT_DNS_SUBDOMAIN, rest, "metadata.name");
}

CHECK(certificates_v1_cluster_trust_bundle_spec)
{
	(void)old;
	if (text(d, "signerName").n)
		check_signer(s, text(d, "signerName"), "signerName");
}

/* bundle_named: the name in a volume's source; one with a ":" is of the signer that stands before the last. */
static void
bundle_named(const struct schema_spot *s, struct str name, const char *at)
{
	struct arena *a = s->errs->a;
	struct str signer = STR_NONE, rest = STR_NONE;
	size_t colon = name.n;

	while (colon > 0 && name.p[colon - 1] != ':')
		colon--;
	if (colon > 0) {
		signer = arena_str(a, str_sub(name, 0, colon - 1));
		char *p = (char *)(uintptr_t)signer.p;
		for (size_t i = 0; i < signer.n; i++)
			if (p[i] == ':')
				p[i] = '/';
	}
	const char *why = bundle_name_fault(a, name, signer, &rest);
	if (!why)
		why = format_check(a, FORMAT_DNS_SUBDOMAIN, rest);
	if (why)
		INVALID(name, arena_fmt(a, "not a valid clustertrustbundlename: %s", why).p,
			"%s.name", at);
}

void
check_trust_bundle(const struct schema_spot *s, const struct doc *b, const char *at)
{
	const struct doc *name = get(b, "name"), *signer = get(b, "signerName");

	if (name && signer) {
		INVALID_DOC(b, "only one of name and signerName may be used", "%s", at);
	} else if (name) {
		if (!doc_as_str(name).n)
			REQUIRED("must be a valid object name", "%s.name", at);
		bundle_named(s, doc_as_str(name), at);
		if (get(b, "labelSelector"))
			INVALID_DOC(get(b, "labelSelector"),
				"labelSelector must be unset if name is specified",
				"%s.labelSelector", at);
	} else if (signer) {
		if (!doc_as_str(signer).n)
			REQUIRED("must be a valid signer name", "%s.signerName", at);
		check_signer(s, doc_as_str(signer), arena_fmt(s->errs->a, "%s.signerName", at).p);
	} else {
		REQUIRED("either name or signerName must be specified", "%s", at);
	}
	if (!text(b, "path").n)
		REQUIRED(NULL, "%s.path", at);
	check_local_path(s, text(b, "path"), arena_fmt(s->errs->a, "%s.path", at).p);
}

/* ---- requests ---- */

#define SECONDS_MIN 600

CHECK(certificates_v1_certificate_signing_request_spec)
{
	int64_t seconds = doc_get_int(d, STR("expirationSeconds"), SECONDS_MIN);

	if (old == NULL)
		check_signer(s, text(d, "signerName"), "signerName");
	if (seconds < SECONDS_MIN)
		INVALID_INT(seconds,
			"may not specify a duration less than 600 seconds (10 minutes)",
			"expirationSeconds");
}

CHECK(certificates_v1_certificate_signing_request_condition)
{
	static const char *const any[] = {"False", "True", "Unknown", NULL},
				 *const yes[] = {"True", NULL};
	static const char *const decisions[] = {"Approved", "Denied", "Failed", NULL};
	const char *const *allowed = one_of(decisions, text(d, "type")) ? yes : any;

	(void)old;
	if (!text(d, "type").n)
		REQUIRED(NULL, "type");
	if (!text(d, "status").n)
		REQUIRED(NULL, "status");
	else if (!one_of(allowed, text(d, "status")))
		UNSUPPORTED(text(d, "status"), allowed, "status");
}

int64_t
signer_longest_s(struct str signer)
{
	return signer_is_ours(signer) ? 24 * 3600 : 91 * 24 * 3600;
}

/* The spec never changes: it is looked at once. */
CHECK(certificates_v1_pod_certificate_request_spec)
{
	static const char *const names[] = {"podName", "serviceAccountName", "nodeName"};
	static const char *const uids[] = {"podUID", "serviceAccountUID", "nodeUID"};
	int64_t seconds = number(d, "maxExpirationSeconds"),
		longest = signer_longest_s(text(d, "signerName"));

	if (old)
		return;
	check_signer(s, text(d, "signerName"), "signerName");
	check_user_annotations(s, get(d, "unverifiedUserAnnotations"), "unverifiedUserAnnotations");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str uid = text(d, uids[i]);
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, names[i]), "%s", names[i]);
		if (uid.n == 0)
			INVALID(uid, "must not be empty", "%s", uids[i]);
		if (uid.n > UID_MAX)
			schema_err_too_long(s->errs, AT("%s", uids[i]), UID_MAX);
	}
	if (seconds < 3600 || seconds > longest)
		INVALID_INT(seconds,
			arena_fmt(
				s->errs->a, "must be in the range [3600, %lld]", (long long)longest)
				.p,
			"maxExpirationSeconds");
	if (!text(d, "stubPKCS10Request").n)
		schema_error_add(s->errs, SCHEMA_CAUSE_INVALID, AT("%s", ""), NULL,
			STR("exactly one of (stubPKCS10Request) or (pkixPublicKey, "
			    "proofOfPossession) must be set"));
}

CHECK(certificates_v1_pod_certificate_request_status)
{
	static const char *const known[] = {"Issued", "Denied", "Failed", NULL};
	static const char *const is_true[] = {"True", NULL};
	size_t i = 0, n_known = 0;

	(void)old;
	DOC_EACH (c, get(d, "conditions")) {
		if (!one_of(known, text(c, "type")))
			UNSUPPORTED(text(c, "type"), known, "conditions[%zu].type", i);
		else if (n_known++ > 0)
			INVALID(text(c, "type"),
				"There may be at most one condition with type \"Issued\", \"Denied\", or "
				"\"Failed\"",
				"conditions[%zu].type", i);
		if (one_of(known, text(c, "type")) && !is(c, "status", "True"))
			UNSUPPORTED(text(c, "status"), is_true, "conditions[%zu].status", i);
		i++;
	}
	check_conditions(s, d);
}
