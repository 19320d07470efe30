/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * key_test: keys of every type: made here and read by openssl with their requests, made by openssl and read
 * here, with what they signed. */
#include "netstack/tls/key.c"

#include "base/disk.h"
#include "netstack/tls/tls.h"
#include "tests/unit/netstack/run.h"
#include "tests/unit/test.h"

static const struct row {
	enum tls_key_type type;
	unsigned bits;
	const char *says;      /* openssl of the key */
	const char *algorithm; /* openssl: how such a one is made */
	const char *option;
} rows[] = {
	{TLS_KEY_EC_P256, 0, "P-256", "EC", "ec_paramgen_curve:P-256"},
	{TLS_KEY_EC_P384, 0, "P-384", "EC", "ec_paramgen_curve:P-384"},
	{TLS_KEY_EC_P521, 0, "P-521", "EC", "ec_paramgen_curve:P-521"},
	{TLS_KEY_RSA, 3072, "(3072 bit", "RSA", "rsa_keygen_bits:3072"},
	{TLS_KEY_RSA, 4096, "(4096 bit", "RSA", "rsa_keygen_bits:4096"},
	{TLS_KEY_ED25519, 0, "ED25519 Private-Key", "ED25519", NULL},
};

static const char *
path_of(const char *name)
{
	static char path[8][256];
	static int next;
	char *p = path[next++ % 8];

	snprintf(p, 256, "%s/%s", TEST_TMP, name);
	return p;
}

static void
row_made_here(const struct row *r)
{
	struct tls_key *k = NULL, *back = NULL;
	struct x509_spec none = {0};
	struct x509_csr csr;
	struct err e = {0};
	_cleanup_buf_ struct buf pem = BUF_INIT, out = BUF_INIT, req = BUF_INIT;
	const char *key = path_of("k.pem"), *file = path_of("r.pem");
	struct arena *a = arena_new(0);

	CHECK_INT(tls_key_generate_of(r->type, r->bits, &k), 0);
	CHECK_INT(tls_key_write(k, true, &pem), 0);
	CHECK_INT(disk_write_file(key, buf_view(&pem), 0600), 0);
	CHECK_INT(RUN(&out, "openssl", "pkey", "-in", key, "-text", "-noout"), 0);
	CHECK(str_find(buf_view(&out), str_c(r->says)) >= 0);
	if (r->type == TLS_KEY_RSA)
		CHECK_INT(RUN(&out, "openssl", "rsa", "-in", key, "-check", "-noout"), 0);
	CHECK_INT(tls_key_parse(buf_view(&pem), &back, &e), 0);
	CHECK(back && tls_pub_eq(tls_key_pub(back), tls_key_pub(k)));
	/* a request without a name, as for a pod */
	CHECK_INT(x509_csr_write(k, &none, &req), 0);
	CHECK_INT(disk_write_file(file, buf_view(&req), 0600), 0);
	buf_clear(&out);
	CHECK_INT(RUN(&out, "openssl", "req", "-in", file, "-verify", "-noout"), 0);
	CHECK(str_find(buf_view(&out), STR("OK")) >= 0);
	CHECK_INT(x509_csr_parse(a, buf_view(&req), &csr, &e), 0);
	CHECK(tls_pub_eq(&csr.pub, tls_key_pub(k)));
	arena_free(a);
	tls_key_free(back);
	tls_key_free(k);
}

TEST(keys_made_here_are_read_by_openssl)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_made_here(&rows[i]);
}

static void
row_of_openssl(const struct row *r)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *key_at = path_of("ok.pem"), *req_at = path_of("or.pem");
	struct arena *a = arena_new(0);
	struct tls_key *k = NULL;
	struct x509_csr csr;
	struct err e = {0};
	_cleanup_buf_ struct buf text = BUF_INIT;

	CHECK_INT(r->option ? RUN(&out, "openssl", "genpkey", "-algorithm", r->algorithm,
				      "-pkeyopt", r->option, "-out", key_at)
			    : RUN(&out, "openssl", "genpkey", "-algorithm", r->algorithm, "-out",
				      key_at),
		0);
	CHECK_INT(RUN(&out, "openssl", "req", "-new", "-key", key_at, "-subj", "/CN=x", "-out",
			  req_at),
		0);
	CHECK_INT(disk_read_file(key_at, 1 << 16, &text), 0);
	CHECK_INT(tls_key_parse(buf_view(&text), &k, &e), 0);
	CHECK_STR(e.msg, "");
	buf_clear(&text);
	CHECK_INT(disk_read_file(req_at, 1 << 16, &text), 0);
	CHECK_INT(x509_csr_parse(a, buf_view(&text), &csr, &e), 0);
	CHECK_STR(e.msg, "");
	CHECK(k && tls_pub_eq(&csr.pub, tls_key_pub(k)));
	CHECK_INT(csr.pub.type, r->type);
	tls_key_free(k);
	arena_free(a);
}

TEST(keys_and_requests_of_openssl_are_read)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_of_openssl(&rows[i]);
}

TEST(certificates_are_signed_with_every_key)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x509_spec spec = {.cn = STR("ca"),
			.ca = true,
			.path_len = -1,
			.not_before_s = 1000,
			.not_after_s = 1LL << 32};
		struct tls_key *k = NULL;
		struct x509_cert *c = NULL;
		struct err e = {0};
		size_t n = 0;
		struct arena *a = arena_new(0);
		_cleanup_buf_ struct buf pem = BUF_INIT, out = BUF_INIT;
		const char *file = path_of("ca.pem");
		CHECK_INT(tls_key_generate_of(rows[i].type, rows[i].bits ? 2048 : 0, &k), 0);
		CHECK_INT(x509_issue(&spec, tls_key_pub(k), NULL, k, &pem, &e), 0);
		CHECK_INT(x509_certs_parse_pem(a, buf_view(&pem), &c, &n, &e), 0);
		CHECK(n == 1 && c[0].pub_ok);
		CHECK(n == 1 && sig_check(&c[0].pub, c[0].sig_alg, c[0].tbs, c[0].sig));
		CHECK_INT(disk_write_file(file, buf_view(&pem), 0600), 0);
		CHECK_INT(RUN(&out, "openssl", "verify", "-CAfile", file, file), 0);
		tls_key_free(k);
		arena_free(a);
	}
}

TEST(rsa_of_sizes_out_of_range_is_not_made)
{
	struct tls_key *k = NULL;

	CHECK_INT(tls_key_generate_of(TLS_KEY_RSA, 1024, &k), -EINVAL);
	CHECK_INT(tls_key_generate_of(TLS_KEY_RSA, 8192, &k), -EINVAL);
	CHECK(k == NULL);
}

TEST(sec1_is_for_ec_only)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct tls_key *k = NULL;

	CHECK_INT(tls_key_generate_of(TLS_KEY_ED25519, 0, &k), 0);
	CHECK_INT(tls_key_write(k, false, &pem), -ENOTSUP);
	CHECK_INT(tls_jws_sign(k, STR("x"), &pem), -EINVAL);
	CHECK_INT(pem.len, 0);
	tls_key_free(k);
}

TEST(keys_of_ed25519_are_not_taken_for_tls)
{
	struct x509_spec spec = {.cn = STR("x"), .not_before_s = 1000, .not_after_s = 1LL << 32};
	_cleanup_buf_ struct buf cert = BUF_INIT, key = BUF_INIT;
	struct tls_key *k = NULL;
	struct tls_ctx *ctx = NULL;
	struct err e = {0};

	CHECK_INT(tls_key_generate_of(TLS_KEY_ED25519, 0, &k), 0);
	CHECK_INT(x509_issue(&spec, tls_key_pub(k), NULL, k, &cert, &e), 0);
	CHECK_INT(tls_key_write(k, true, &key), 0);
	struct tls_pair pair = {buf_view(&cert), buf_view(&key)};
	struct tls_config cfg = {.server = true, .pairs = &pair, .n_pairs = 1};
	CHECK_INT(tls_ctx_new(&cfg, &ctx, &e), -EINVAL);
	CHECK_STR(e.msg, "keys of Ed25519 are not for TLS here");
	tls_key_free(k);
}
