/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pki.h: a CA and certificates for tests of TLS and HTTP. */
#ifndef TEST_PKI_H
#define TEST_PKI_H

#include "base/clock.h"
#include "netstack/tls/tls.h"
#include "netstack/tls/x509.h"

struct pki_party {
	struct tls_key *key;
	struct buf cert, key_pem;
	struct arena *arena;
	struct x509_cert *x;
};

struct pki_want {
	const char *cn;
	const char *orgs[4];
	const char *dns[3];
	const char *ips[3];
	unsigned eku;
	bool ca;
	int64_t from_s, to_s; /* offsets to now; 0, 0 = valid for a day */
};

static inline struct tls_pair
pki_pair(const struct pki_party *p)
{
	return (struct tls_pair){buf_view(&p->cert), buf_view(&p->key_pem)};
}

/* pki_make: issued by `by`, or self-signed. Fails by leaving x NULL. */
static inline struct pki_party
pki_make(const struct pki_want *w, const struct pki_party *by)
{
	struct pki_party p = {.arena = arena_new(0)};
	struct str orgs[4], dns[3];
	struct ip_addr ips[3];
	int64_t now = clock_wall_ns() / NS_PER_SEC;
	struct x509_spec s = {.cn = str_c(w->cn),
		.orgs = orgs,
		.dns = dns,
		.ips = ips,
		.ca = w->ca,
		.path_len = -1,
		.eku = w->eku,
		.not_before_s = now - 3600,
		.not_after_s = now + 24 * 3600};
	size_t n = 0;

	if (w->from_s || w->to_s) {
		s.not_before_s = now + w->from_s;
		s.not_after_s = now + w->to_s;
	}
	for (size_t i = 0; i < 4 && w->orgs[i]; i++)
		orgs[s.n_orgs++] = str_c(w->orgs[i]);
	for (size_t i = 0; i < 3 && w->dns[i]; i++)
		dns[s.n_dns++] = str_c(w->dns[i]);
	for (size_t i = 0; i < 3 && w->ips[i]; i++)
		ip_parse(str_c(w->ips[i]), &ips[s.n_ips++]);
	if (tls_key_generate(&p.key) == 0 &&
		x509_issue(&s, tls_key_pub(p.key), by ? by->x : NULL, by ? by->key : p.key, &p.cert,
			NULL) == 0 &&
		tls_key_write(p.key, false, &p.key_pem) == 0)
		x509_certs_parse_pem(p.arena, buf_view(&p.cert), &p.x, &n, NULL);
	return p;
}

static inline void
pki_free(struct pki_party *p)
{
	tls_key_free(p->key);
	buf_release(&p->cert);
	buf_release(&p->key_pem);
	arena_free(p->arena);
}

#endif
