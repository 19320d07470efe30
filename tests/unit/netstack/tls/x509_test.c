/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * x509_test: keys, requests, certificates: made here and read by openssl, made by openssl and read here,
 * and every rule of x509_verify broken once. */
#include "netstack/tls/x509_verify.c"

#include "base/clock.h"
#include "base/disk.h"
#include "base/hash.h"
#include "tests/unit/netstack/run.h"
#include "tests/unit/test.h"

#define DAY (24 * 3600)

static int64_t
now_s(void)
{
	return clock_wall_ns() / NS_PER_SEC;
}

/* A certificate with its key. */
struct party {
	struct tls_key *key;
	struct buf pem;
	struct x509_cert *cert;
};

static struct arena *arena;

static struct party
issue(const struct x509_spec *spec, const struct party *by)
{
	struct party p = {0};
	struct err e = {0};
	size_t n = 0;

	if (!arena)
		arena = arena_new(0);
	CHECK_INT(tls_key_generate(&p.key), 0);
	int r = x509_issue(
		spec, tls_key_pub(p.key), by ? by->cert : NULL, by ? by->key : p.key, &p.pem, &e);
	CHECK_STR(e.msg, "");
	CHECK_INT(r, 0);
	CHECK_INT(x509_certs_parse_pem(arena, buf_view(&p.pem), &p.cert, &n, &e), 0);
	CHECK_INT(n, 1);
	return p;
}

static void
party_free(struct party *p)
{
	tls_key_free(p->key);
	buf_release(&p->pem);
}

static struct x509_spec
ca_spec(const char *cn)
{
	return (struct x509_spec){.cn = str_c(cn),
		.not_before_s = now_s() - DAY,
		.not_after_s = now_s() + 3650 * DAY,
		.ca = true,
		.path_len = -1};
}

static struct x509_spec
leaf_spec(const char *cn, unsigned eku)
{
	return (struct x509_spec){.cn = str_c(cn),
		.not_before_s = now_s() - 60,
		.not_after_s = now_s() + 365 * DAY,
		.eku = eku};
}

static const char *
path_of(const char *name)
{
	static char path[16][256];
	static int next;
	char *p = path[next++ % 16];

	snprintf(p, 256, "%s/%s", TEST_TMP, name);
	return p;
}

static const char *
write_to(const char *name, const struct buf *b)
{
	const char *p = path_of(name);

	CHECK_INT(disk_write_file(p, buf_view(b), 0600), 0);
	return p;
}

static int
verify(const struct party *root, const struct x509_cert *leaf, unsigned eku, const char *name,
	int64_t at, struct err *e)
{
	struct x509_verify v = {
		.roots = root->cert, .n_roots = 1, .now_s = at, .eku = eku, .name = str_c(name)};
	*e = (struct err){0};
	return x509_verify(&v, leaf, e);
}

TEST(issued_certificate_says_what_was_asked)
{
	struct str orgs[] = {STR_INIT("system:masters"), STR_INIT("dev:team-a"), STR_INIT("ops")};
	struct str dns[] = {STR_INIT("node-1"), STR_INIT("*.pods.test")};
	struct ip_addr ips[] = {ip_v4(0x0a000001), {0}};
	CHECK_INT(ip_parse(STR("fd00::1"), &ips[1]), 0);
	struct x509_spec cs = ca_spec("kubernetes"), ls = leaf_spec("alice", X509_EKU_CLIENT);
	ls.orgs = orgs;
	ls.n_orgs = 3;
	ls.dns = dns;
	ls.n_dns = 2;
	ls.ips = ips;
	ls.n_ips = 2;
	struct party ca = issue(&cs, NULL), leaf = issue(&ls, &ca);
	const struct x509_cert *c = leaf.cert;

	CHECK_STR(c->subject.cn, "alice");
	CHECK_INT(c->subject.n_orgs, 3);
	CHECK_STR(c->subject.orgs[0], "system:masters");
	CHECK_STR(c->subject.orgs[1], "dev:team-a");
	CHECK_STR(c->subject.orgs[2], "ops");
	CHECK_STR(c->issuer.cn, "kubernetes");
	CHECK_INT(c->san.n_dns, 2);
	CHECK_STR(c->san.dns[1], "*.pods.test");
	CHECK_INT(c->san.n_ips, 2);
	CHECK(ip_eq(&c->san.ips[1], &ips[1]));
	CHECK_INT(c->eku, X509_EKU_CLIENT);
	CHECK_INT(c->ku, X509_KU_DIGITAL_SIGNATURE);
	CHECK(c->has_basic && !c->is_ca);
	CHECK_INT(c->ski.n, 20);
	CHECK(str_eq(c->aki, ca.cert->ski));
	CHECK_INT(c->serial.n, 16);
	CHECK_INT(c->not_after_s, ls.not_after_s);
	CHECK(ca.cert->is_ca && (ca.cert->ku & X509_KU_CERT_SIGN));
	party_free(&leaf);
	party_free(&ca);
}

TEST(openssl_accepts_what_is_issued_strictly)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	struct str dns[] = {STR_INIT("server.test")};
	struct ip_addr ips[] = {ip_v4(0x7f000001)};
	struct x509_spec cs = ca_spec("kubernetes"), ms = ca_spec("between");
	struct x509_spec ls = leaf_spec("server", X509_EKU_SERVER);
	ms.path_len = 0;
	ls.dns = dns;
	ls.n_dns = 1;
	ls.ips = ips;
	ls.n_ips = 1;
	struct party ca = issue(&cs, NULL), mid = issue(&ms, &ca), leaf = issue(&ls, &mid);
	struct buf out = BUF_INIT, key = BUF_INIT, pkcs8 = BUF_INIT;
	const char *cap = write_to("ca.pem", &ca.pem), *midp = write_to("mid.pem", &mid.pem);
	const char *leafp = write_to("leaf.pem", &leaf.pem);

	int r = RUN(&out, "openssl", "verify", "-x509_strict", "-CAfile", cap, "-untrusted", midp,
		"-purpose", "sslserver", "-verify_hostname", "server.test", leafp);
	CHECK(str_find(buf_view(&out), STR("OK")) > 0);
	CHECK_INT(r, 0);
	CHECK_INT(tls_key_write(leaf.key, false, &key), 0);
	CHECK_INT(tls_key_write(leaf.key, true, &pkcs8), 0);
	buf_clear(&out);
	CHECK_INT(
		RUN(&out, "openssl", "ec", "-check", "-noout", "-in", write_to("k.pem", &key)), 0);
	CHECK_INT(
		RUN(&out, "openssl", "pkey", "-check", "-noout", "-in", write_to("k8.pem", &pkcs8)),
		0);
	/* And back: both forms are the same key. */
	struct tls_key *a = NULL, *b = NULL;
	CHECK_INT(tls_key_parse(buf_view(&key), &a, NULL), 0);
	CHECK_INT(tls_key_parse(buf_view(&pkcs8), &b, NULL), 0);
	CHECK(tls_pub_eq(tls_key_pub(a), tls_key_pub(leaf.key)));
	CHECK(tls_pub_eq(tls_key_pub(b), tls_key_pub(leaf.key)));
	tls_key_free(a);
	tls_key_free(b);
	buf_release(&out);
	buf_release(&key);
	buf_release(&pkcs8);
	party_free(&leaf);
	party_free(&mid);
	party_free(&ca);
}

TEST(request_is_read_by_openssl_and_back)
{
	struct str orgs[] = {STR_INIT("system:nodes")}, dns[] = {STR_INIT("n1")};
	struct ip_addr ips[] = {ip_v4(0x0a000002)};
	struct x509_spec s = {.cn = STR_INIT("system:node:n1"),
		.orgs = orgs,
		.n_orgs = 1,
		.dns = dns,
		.n_dns = 1,
		.ips = ips,
		.n_ips = 1};
	struct tls_key *k = NULL;
	struct buf pem = BUF_INIT, out = BUF_INIT;
	struct x509_csr csr = {0};
	struct err e = {0};
	struct arena *a = arena_new(0);

	CHECK_INT(tls_key_generate(&k), 0);
	CHECK_INT(x509_csr_write(k, &s, &pem), 0);
	CHECK_INT(x509_csr_parse(a, buf_view(&pem), &csr, &e), 0);
	CHECK_STR(csr.subject.cn, "system:node:n1");
	CHECK_INT(csr.subject.n_orgs, 1);
	CHECK_STR(csr.subject.orgs[0], "system:nodes");
	CHECK_STR(csr.san.dns[0], "n1");
	CHECK(ip_eq(&csr.san.ips[0], &ips[0]));
	CHECK(tls_pub_eq(&csr.pub, tls_key_pub(k)));
	/* One changed byte in the signed part: refused. */
	char *bytes = arena_cstr(a, csr.der);
	bytes[csr.der.n / 3] ^= 1;
	CHECK(x509_csr_parse(a, str_from(bytes, csr.der.n), &csr, &e) < 0);
	if (run_have("openssl")) {
		CHECK_INT(RUN(&out, "openssl", "req", "-verify", "-noout", "-text", "-in",
				  write_to("csr.pem", &pem)),
			0);
		CHECK(str_find(buf_view(&out), STR("system:node:n1")) > 0);
		CHECK(str_find(buf_view(&out), STR("IP Address:10.0.0.2")) > 0);
	}
	tls_key_free(k);
	arena_free(a);
	buf_release(&pem);
	buf_release(&out);
}

static void
read_file(const char *path, struct buf *b)
{
	buf_clear(b);
	CHECK_INT(disk_read_file(path, 1 << 20, b), 0);
}

static void
openssl_chain(const char *alg, const char *opt)
{
	struct buf out = BUF_INIT, ca = BUF_INIT, leaf = BUF_INIT, key = BUF_INIT, csr = BUF_INIT;
	struct x509_cert *cc = NULL, *lc = NULL;
	struct arena *a = arena_new(0);
	struct err e = {0};
	struct tls_key *k = NULL;
	struct x509_csr req = {0};
	size_t n = 0;
	const char *ext = path_of("ext");
	char *cak = arena_cstr(a, str_c(path_of("ca.key"))),
	     *cac = arena_cstr(a, str_c(path_of("ca.crt")));
	char *lk = arena_cstr(a, str_c(path_of("l.key"))),
	     *lr = arena_cstr(a, str_c(path_of("l.csr")));
	char *lcert = arena_cstr(a, str_c(path_of("l.crt")));

	CHECK_INT(disk_write_file(ext,
			  STR("subjectAltName=DNS:a.test,IP:127.0.0.1\n"
			      "extendedKeyUsage=clientAuth\n"),
			  0600),
		0);
	CHECK_INT(RUN(&out, "openssl", "req", "-x509", "-newkey", alg, "-pkeyopt", opt, "-nodes",
			  "-keyout", cak, "-out", cac, "-subj", "/CN=ca", "-days", "30"),
		0);
	CHECK_INT(RUN(&out, "openssl", "req", "-newkey", alg, "-pkeyopt", opt, "-nodes", "-keyout",
			  lk, "-out", lr, "-subj", "/O=one/O=two/CN=bob"),
		0);
	CHECK_INT(RUN(&out, "openssl", "x509", "-req", "-in", lr, "-CA", cac, "-CAkey", cak,
			  "-days", "9", "-extfile", ext, "-out", lcert),
		0);
	read_file(cac, &ca);
	read_file(lcert, &leaf);
	read_file(lk, &key);
	read_file(lr, &csr);
	CHECK_INT(x509_certs_parse_pem(a, buf_view(&ca), &cc, &n, &e), 0);
	CHECK_INT(x509_certs_parse_pem(a, buf_view(&leaf), &lc, &n, &e), 0);
	struct x509_verify v = {
		.roots = cc, .n_roots = 1, .now_s = now_s(), .eku = X509_EKU_CLIENT};
	int r = x509_verify(&v, lc, &e);
	CHECK_STR(e.msg, "");
	CHECK_INT(r, 0);
	CHECK_STR(lc->subject.cn, "bob");
	CHECK_INT(lc->subject.n_orgs, 2);
	CHECK_INT(x509_csr_parse(a, buf_view(&csr), &req, &e), 0);
	CHECK_INT(tls_key_parse(buf_view(&key), &k, &e), 0);
	CHECK(tls_pub_eq(tls_key_pub(k), &lc->pub));
	/* A token signed with it verifies, one over another text does not. */
	struct buf sig = BUF_INIT;
	CHECK_INT(tls_jws_sign(k, STR("head.body"), &sig), 0);
	struct str alg_name = str_c(tls_pub_jws_alg(tls_key_pub(k)));
	CHECK_INT(tls_jws_verify(&lc->pub, alg_name, STR("head.body"), buf_view(&sig)), 0);
	CHECK(tls_jws_verify(&lc->pub, alg_name, STR("head.bodY"), buf_view(&sig)) < 0);
	CHECK(tls_jws_verify(&lc->pub, STR("none"), STR("head.body"), buf_view(&sig)) < 0);
	/* Its public half survives being written and read. */
	struct buf pub = BUF_INIT;
	struct tls_pub p = {0};
	tls_pub_write_pem(&lc->pub, &pub);
	CHECK_INT(tls_pub_parse(buf_view(&pub), &p, &e), 0);
	CHECK(tls_pub_eq(&p, &lc->pub));
	CHECK_INT(
		RUN(&out, "openssl", "pkey", "-pubin", "-noout", "-in", write_to("pub.pem", &pub)),
		0);
	/* A wrong CA of the same name. */
	cc->pub.data[40] ^= 1;
	CHECK(x509_verify(&v, lc, &e) < 0);
	buf_release(&sig);
	buf_release(&pub);
	tls_key_free(k);
	arena_free(a);
	buf_release(&out);
	buf_release(&ca);
	buf_release(&leaf);
	buf_release(&key);
	buf_release(&csr);
}

TEST(chains_and_keys_of_openssl_are_read)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	openssl_chain("ec", "ec_paramgen_curve:P-256");
	openssl_chain("ec", "ec_paramgen_curve:P-384");
	openssl_chain("ec", "ec_paramgen_curve:P-521");
	openssl_chain("rsa", "rsa_keygen_bits:2048");
}

/* The library's own arithmetic refuses to compute the modulus of a key this long. */
TEST(rsa_key_of_4096_bits_is_read)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	struct buf out = BUF_INIT, sig = BUF_INIT;
	struct tls_key *k = NULL;
	const char *p = path_of("rsa4096.pem");

	CHECK_INT(RUN(&out, "openssl", "genrsa", "-out", p, "4096"), 0);
	read_file(p, &out);
	CHECK_INT(tls_key_parse(buf_view(&out), &k, NULL), 0);
	CHECK_INT(tls_key_pub(k)->n_len, 512);
	CHECK_INT(tls_jws_sign(k, STR("a.b"), &sig), 0);
	CHECK_INT(tls_jws_verify(tls_key_pub(k), STR("RS256"), STR("a.b"), buf_view(&sig)), 0);
	tls_key_free(k);
	buf_release(&out);
	buf_release(&sig);
}

TEST(each_rule_of_verification_refuses)
{
	struct str dns[] = {STR_INIT("s.test"), STR_INIT("*.w.test")};
	struct ip_addr ips[] = {ip_v4(0x7f000001)};
	struct x509_spec cs = ca_spec("ca"), ls = leaf_spec("x", X509_EKU_SERVER);
	struct err e = {0};
	ls.dns = dns;
	ls.n_dns = 2;
	ls.ips = ips;
	ls.n_ips = 1;
	struct party ca = issue(&cs, NULL), other = issue(&cs, NULL), leaf = issue(&ls, &ca);

	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "s.test", now_s(), &e), 0);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "S.Test.", now_s(), &e), 0);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "127.0.0.1", now_s(), &e), 0);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "a.w.test", now_s(), &e), 0);
	/* the gap "EKU is not checked" */
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_CLIENT, "", now_s(), &e), -EACCES);
	CHECK_STR(e.msg, "certificate specifies an incompatible key usage");
	/* names */
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "t.test", now_s(), &e), -EACCES);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "127.0.0.2", now_s(), &e), -EACCES);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "a.b.w.test", now_s(), &e), -EACCES);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "w.test", now_s(), &e), -EACCES);
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "x", now_s(), &e), -EACCES);
	/* dates */
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "", now_s() + 400 * DAY, &e), -EACCES);
	CHECK_STR(e.msg, "certificate has expired");
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "", now_s() - 3600, &e), -EACCES);
	CHECK_STR(e.msg, "certificate is not yet valid");
	/* a foreign CA of the same name */
	CHECK_INT(verify(&other, leaf.cert, X509_EKU_SERVER, "", now_s(), &e), -EACCES);
	/* a leaf is no CA */
	struct x509_spec sub = leaf_spec("sub", X509_EKU_SERVER);
	leaf.cert->is_ca = true; /* so that x509_issue agrees */
	struct party child = issue(&sub, &leaf);
	leaf.cert->is_ca = false;
	struct x509_verify v = {.roots = ca.cert,
		.n_roots = 1,
		.others = leaf.cert,
		.n_others = 1,
		.now_s = now_s()};
	CHECK_INT(x509_verify(&v, child.cert, &e), -EACCES);
	CHECK_STR(e.msg, "parent certificate cannot sign this kind of certificate");
	/* unknown critical extensions */
	leaf.cert->unknown_critical = true;
	CHECK_INT(verify(&ca, leaf.cert, X509_EKU_SERVER, "", now_s(), &e), -EACCES);
	party_free(&child);
	party_free(&leaf);
	party_free(&other);
	party_free(&ca);
}

TEST(path_length_bounds_the_chain)
{
	struct x509_spec cs = ca_spec("ca"), m1 = ca_spec("m1"), m2 = ca_spec("m2");
	struct x509_spec ls = leaf_spec("x", 0);
	struct err e = {0};
	m1.path_len = 0;
	struct party ca = issue(&cs, NULL), a = issue(&m1, &ca), b = issue(&m2, &a),
		     leaf = issue(&ls, &b);
	struct party near = issue(&ls, &a);
	struct x509_cert others[2] = {*b.cert, *a.cert};
	struct x509_verify v = {
		.roots = ca.cert, .n_roots = 1, .others = others, .n_others = 2, .now_s = now_s()};

	CHECK_INT(x509_verify(&v, leaf.cert, &e), -EACCES);
	CHECK_STR(e.msg, "too many intermediates for path length constraint");
	CHECK_INT(x509_verify(&v, near.cert, &e), 0);
	party_free(&near);
	party_free(&leaf);
	party_free(&b);
	party_free(&a);
	party_free(&ca);
}

TEST(certificate_cut_or_changed_anywhere_never_verifies)
{
	struct x509_spec cs = ca_spec("ca"), ls = leaf_spec("x", X509_EKU_CLIENT);
	struct party ca = issue(&cs, NULL), leaf = issue(&ls, &ca);
	struct arena *a = arena_new(0);
	struct err e = {0};

	for (size_t i = 0; i < leaf.cert->der.n; i++) {
		struct x509_cert c = {0};
		arena_clear(a);
		char *bytes = arena_cstr(a, leaf.cert->der);
		CHECK(x509_cert_parse(a, str_from(bytes, i), &c, &e) < 0);
		bytes[i] ^= 0x41;
		if (x509_cert_parse(a, str_from(bytes, leaf.cert->der.n), &c, &e) == 0)
			CHECK(verify(&ca, &c, X509_EKU_CLIENT, "", now_s(), &e) < 0);
	}
	arena_free(a);
	party_free(&leaf);
	party_free(&ca);
}

TEST(es256_token_and_jwk)
{
	struct tls_key *k = NULL;
	struct buf sig = BUF_INIT, jwk = BUF_INIT, kid = BUF_INIT;

	CHECK_INT(tls_key_generate(&k), 0);
	CHECK_INT(tls_jws_sign(k, STR("a.b"), &sig), 0);
	CHECK_INT(sig.len, 64);
	CHECK_INT(tls_jws_verify(tls_key_pub(k), STR("ES256"), STR("a.b"), buf_view(&sig)), 0);
	CHECK(tls_jws_verify(tls_key_pub(k), STR("RS256"), STR("a.b"), buf_view(&sig)) < 0);
	CHECK(tls_jws_verify(tls_key_pub(k), STR("ES256"), STR("a.c"), buf_view(&sig)) < 0);
	CHECK(tls_jws_verify(tls_key_pub(k), STR("ES256"), STR("a.b"),
		      str_sub(buf_view(&sig), 0, 63)) < 0);
	tls_pub_write_jwk(tls_key_pub(k), &jwk);
	tls_pub_kid(tls_key_pub(k), &kid);
	CHECK_INT(kid.len, 43);
	CHECK(str_starts(buf_view(&jwk), STR("{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"")));
	CHECK(str_find(buf_view(&jwk), buf_view(&kid)) > 0);
	CHECK(str_find(buf_view(&jwk), STR("\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"")) > 0);
	tls_key_free(k);
	buf_release(&sig);
	buf_release(&jwk);
	buf_release(&kid);
}

TEST(pem_blocks_are_found_between_rubbish)
{
	struct str rest = STR_INIT(
		"rubbish\n-----BEGIN A-----\nAAEC\n-----END A-----\nmore\n"
		"-----BEGIN B-----\n!!\n-----END B-----\n-----BEGIN C-----\nAA==\n-----END C-----\n"
		"-----BEGIN D-----\nAA==\n-----END E-----\n");
	struct str label = STR_NONE;
	struct buf b = BUF_INIT;

	CHECK(pem_next(&rest, &label, &b));
	CHECK_STR(label, "A");
	CHECK_INT(b.len, 3);
	CHECK(pem_next(&rest, &label, &b));
	CHECK_STR(label, "C");
	CHECK_INT(b.len, 4);
	CHECK(!pem_next(&rest, &label, &b));
	buf_release(&b);
}
