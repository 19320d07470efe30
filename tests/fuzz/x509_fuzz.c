/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_fuzz: any bytes as a certificate, a request, a private key, a public key, PEM. What parses is
 * also verified against itself. */
#include "netstack/tls/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	struct arena *a = arena_new(16 << 20);
	struct x509_cert c = {0}, *certs = NULL;
	struct x509_csr csr = {0};
	struct tls_key *k = NULL;
	struct tls_pub pub = {0};
	struct err e = {0};
	size_t n = 0;

	if (x509_cert_parse(a, in, &c, &e) == 0) {
		struct x509_verify v = {.roots = &c,
			.n_roots = 1,
			.others = &c,
			.n_others = 1,
			.now_s = c.not_before_s,
			.name = STR_INIT("a.test")};
		x509_verify(&v, &c, &e);
		x509_san_matches(&c.san, STR("10.0.0.1"));
	}
	if (x509_certs_parse_pem(a, in, &certs, &n, &e) == 0 && n > 1) {
		struct x509_verify v = {.roots = certs + n - 1,
			.n_roots = 1,
			.others = certs,
			.n_others = n - 1,
			.now_s = certs[0].not_before_s};
		x509_verify(&v, certs, &e);
	}
	x509_csr_parse(a, in, &csr, &e);
	if (tls_key_parse(in, &k, &e) == 0)
		tls_key_free(k);
	if (tls_pub_parse(in, &pub, &e) == 0) {
		struct buf b = BUF_INIT;
		struct tls_pub again = {0};
		tls_pub_write_der(&pub, &b);
		BUG_ON(tls_pub_parse(buf_view(&b), &again, &e) < 0 || !tls_pub_eq(&pub, &again));
		buf_release(&b);
	}
	arena_free(a);
	return 0;
}
