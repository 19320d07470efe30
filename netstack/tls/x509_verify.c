/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_verify: is a certificate good for what it is shown for? Contract in x509.h.
 * Place in the flow: tls.c asks about every peer; nothing else decides trust.
 * Invariants: depth and the number of signature checks are bounded, so that a chain built to explode
 * costs no more than a long honest one. A certificate that is understood only in part is refused.
 * Source: RFC 5280 section 6 (without policies and name constraints: those make it invalid here),
 * RFC 6125; the order and words of Go's crypto/x509, which users know. */
#include "netstack/tls/x509_int.h"

#include <errno.h>

#define DEPTH_MAX 8
#define CHECKS_MAX 32

bool
sig_check(const struct tls_pub *pub, int alg, struct str data, struct str sig)
{
	const struct sig_alg *s = sig_alg_get(alg);
	uint8_t hash[64];

	if (!s || s->rsa != (pub->type == TLS_KEY_RSA) ||
		(s->hash == 0) != (pub->type == TLS_KEY_ED25519))
		return false;
	if (s->hash == 0)
		return sig.n == 64 && ed25519_verify(pub->data, data, (const uint8_t *)sig.p);
	crypto_hash(s->hash, data, hash);
	return crypto_verify_hash(pub, s->hash, hash, sig);
}

/* dns_matches: pattern "a.b" or "*.b" (one label); a dot at the end of the name is dropped. */
static bool
dns_matches(struct str pattern, struct str name)
{
	struct str label = STR_NONE, rest = STR_NONE;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || pattern.n == 0)
		return false;
	if (!str_starts(pattern, STR("*.")))
		return str_find_char(pattern, '*') < 0 && str_eq_nocase(pattern, name);
	struct str tail = str_sub(pattern, 2, SIZE_MAX);
	return str_cut(name, '.', &label, &rest) && label.n > 0 && tail.n > 0 &&
		str_find_char(tail, '*') < 0 && str_eq_nocase(tail, rest);
}

bool
x509_san_matches(const struct x509_san *san, struct str name)
{
	struct ip_addr ip;

	if (ip_parse(name, &ip) == 0) {
		for (size_t i = 0; i < san->n_ips; i++)
			if (ip_eq(&san->ips[i], &ip))
				return true;
		return false;
	}
	for (size_t i = 0; i < san->n_dns; i++)
		if (dns_matches(san->dns[i], name))
			return true;
	return false;
}

struct path {
	const struct x509_verify *v;
	unsigned checks;
	const char *why; /* of the best attempt */
	const struct x509_cert *chain[DEPTH_MAX + 1];
};

static const char *
dates_wrong(const struct x509_cert *c, int64_t now_s)
{
	if (now_s < c->not_before_s)
		return "certificate is not yet valid";
	if (now_s > c->not_after_s)
		return "certificate has expired";
	return NULL;
}

/* eku_allows: none of the certificates may exclude what is asked for. */
static bool
eku_allows(const struct x509_cert *c, unsigned eku)
{
	return eku == 0 || !c->has_eku || (c->eku & (eku | X509_EKU_ANY));
}

/* signer_wrong: may c, standing above `below` intermediates, sign certificates? */
static const char *
signer_wrong(const struct path *p, const struct x509_cert *c, unsigned below)
{
	const char *why = dates_wrong(c, p->v->now_s);

	if (why)
		return why;
	if (!c->has_basic || !c->is_ca)
		return "parent certificate cannot sign this kind of certificate";
	if (c->has_ku && !(c->ku & X509_KU_CERT_SIGN))
		return "parent certificate cannot sign this kind of certificate";
	if (c->path_len >= 0 && below > (unsigned)c->path_len)
		return "too many intermediates for path length constraint";
	if (c->unknown_critical)
		return "unhandled critical extension";
	if (!c->pub_ok)
		return "certificate has an unsupported key";
	if (!eku_allows(c, p->v->eku))
		return "certificate specifies an incompatible key usage";
	return NULL;
}

static bool
in_chain(const struct path *p, const struct x509_cert *c, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		if (str_eq(p->chain[i]->der, c->der))
			return true;
	return false;
}

/* step: does parent sign chain[depth - 1]? */
static bool
step(struct path *p, const struct x509_cert *parent, unsigned depth)
{
	const struct x509_cert *child = p->chain[depth - 1];

	if (!str_eq(parent->subject.der, child->issuer.der) || in_chain(p, parent, depth))
		return false;
	const char *why = signer_wrong(p, parent, depth - 1);
	if (!why && p->checks++ >= CHECKS_MAX)
		why = "too many signatures to check";
	if (!why && !sig_check(&parent->pub, child->sig_alg, child->tbs, child->sig))
		why = "certificate signed by unknown authority: signature does not verify";
	if (why)
		p->why = why;
	return !why;
}

/* climb: chain[0 .. depth-1] stands; finds a way to a root. Depth is bounded, so is the recursion. */
static bool
climb(struct path *p, unsigned depth)
{
	const struct x509_verify *v = p->v;

	for (size_t i = 0; i < v->n_roots; i++)
		if (step(p, &v->roots[i], depth))
			return true;
	if (depth >= DEPTH_MAX)
		return false;
	for (size_t i = 0; i < v->n_others && p->checks < CHECKS_MAX; i++) {
		if (!step(p, &v->others[i], depth))
			continue;
		p->chain[depth] = &v->others[i];
		if (climb(p, depth + 1))
			return true;
	}
	return false;
}

static const char *
leaf_wrong(const struct x509_verify *v, const struct x509_cert *leaf)
{
	const char *why = dates_wrong(leaf, v->now_s);

	if (why)
		return why;
	if (leaf->unknown_critical)
		return "unhandled critical extension";
	if (!leaf->pub_ok)
		return "certificate has an unsupported key";
	if (leaf->has_ku && !(leaf->ku & X509_KU_DIGITAL_SIGNATURE))
		return "certificate's key usage does not include digital signature";
	if (!eku_allows(leaf, v->eku))
		return "certificate specifies an incompatible key usage";
	return NULL;
}

int
x509_verify(const struct x509_verify *v, const struct x509_cert *leaf, struct err *e)
{
	struct path p = {.v = v, .chain = {leaf}};
	const char *why = leaf_wrong(v, leaf);
	bool trusted = false;

	if (why)
		return err_set(e, -EACCES, R_UNAUTHORIZED, "%s", why);
	if (v->name.n > 0 && !x509_san_matches(&leaf->san, v->name))
		return err_set(e, -EACCES, R_UNAUTHORIZED,
			"certificate is not valid for '" STR_FMT "'", STR_ARG(v->name));
	for (size_t i = 0; i < v->n_roots && !trusted; i++)
		trusted = str_eq(v->roots[i].der, leaf->der);
	if (!trusted && !climb(&p, 1))
		return err_set(e, -EACCES, R_UNAUTHORIZED, "%s",
			p.why ? p.why : "certificate signed by unknown authority");
	return 0;
}
