/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls_test: connections in memory, and with openssl over sockets. Each gap of the TLS library has a test
 * here that fails without what closes it: verifiers, invalid shown as none, resumption, EKU, IP
 * addresses, weak suites, entropy, idle memory. */
#include "netstack/tls/tls.c"

#include "base/disk.h"
#include "base/rand.h"
#include "tests/unit/netstack/run.h"
#include "tests/unit/netstack/tls/pki.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct pki_party ca, foreign, server_cert, client_cert;

static void
setup(void)
{
	if (ca.x)
		return;
	ca = pki_make(&(struct pki_want){.cn = "test-ca", .ca = true}, NULL);
	foreign = pki_make(&(struct pki_want){.cn = "test-ca", .ca = true}, NULL);
	server_cert = pki_make(&(struct pki_want){.cn = "server",
				       .dns = {"server.test"},
				       .ips = {"127.0.0.1", "::1"},
				       .eku = X509_EKU_SERVER},
		&ca);
	client_cert = pki_make(&(struct pki_want){.cn = "alice",
				       .orgs = {"system:masters", "dev:team-a", "ops"},
				       .eku = X509_EKU_CLIENT},
		&ca);
	CHECK(ca.x && foreign.x && server_cert.x && client_cert.x);
}

static struct tls_ctx *
ctx_make(bool server, const struct pki_party *own, enum tls_client_auth auth,
	const struct pki_party *root)
{
	struct tls_pair pair = own ? pki_pair(own) : (struct tls_pair){0};
	struct tls_config cfg = {.server = server,
		.pairs = &pair,
		.n_pairs = own ? 1 : 0,
		.ca_pem = root ? buf_view(&root->cert) : STR_NONE,
		.client_auth = auth};
	struct tls_ctx *c = NULL;
	struct err e = {0};

	int r = tls_ctx_new(&cfg, &c, &e);
	CHECK_STR(e.msg, "");
	CHECK_INT(r, 0);
	return c;
}

/* move: bytes from one end to the other, at most `step` at a time. False: nothing to move. */
static bool
move(struct tls_conn *from, struct tls_conn *to, size_t step)
{
	struct str out = str_sub(tls_wire(from), 0, step);
	char *copy = malloc(out.n + 1);

	if (out.n == 0) {
		free(copy);
		return false;
	}
	memcpy(copy, out.p, out.n);
	tls_feed(to, copy, out.n);
	tls_wire_sent(from, out.n);
	free(copy);
	return true;
}

static void
settle(struct tls_conn *a, struct tls_conn *b, size_t step)
{
	for (int i = 0; i < 1000000; i++) {
		bool moved = move(a, b, step);
		moved |= move(b, a, step);
		if (!moved)
			return;
	}
	CHECK(false);
}

struct pair {
	struct tls_ctx *sctx, *cctx;
	struct tls_conn *s, *c;
};

static struct pair
connect_pair(enum tls_client_auth auth, const struct pki_party *client_own, const char *name,
	size_t step)
{
	struct pair p = {0};

	setup();
	p.sctx = ctx_make(true, &server_cert, auth, &ca);
	p.cctx = ctx_make(false, client_own, TLS_CLIENT_NONE, &ca);
	CHECK_INT(tls_server_new(p.sctx, &p.s), 0);
	CHECK_INT(tls_client_new(p.cctx, str_c(name), &p.c), 0);
	settle(p.c, p.s, step);
	return p;
}

static void
pair_free(struct pair *p)
{
	tls_conn_free(p->s);
	tls_conn_free(p->c);
	tls_ctx_unref(p->sctx);
	tls_ctx_unref(p->cctx);
}

static void
say(struct tls_conn *from, struct tls_conn *to, struct str text, size_t step)
{
	struct str parts[3] = {
		str_sub(text, 0, text.n / 3), STR_INIT(""), str_sub(text, text.n / 3, SIZE_MAX)};

	CHECK_INT(tls_write(from, parts, 3), 0);
	settle(from, to, step);
	CHECK(str_eq(tls_readable(to), text));
	tls_consume(to, text.n);
	CHECK_INT(tls_readable(to).n, 0);
}

TEST(bytes_come_through_both_ways_at_any_cut)
{
	static char big[100000];
	const size_t steps[] = {1, 5, 1000, 1 << 20};

	rand_bytes(big, sizeof(big));
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct pair p = connect_pair(TLS_CLIENT_NONE, NULL, "server.test", steps[i]);
		CHECK(tls_established(p.s) && tls_established(p.c));
		CHECK_STR(tls_conn_alpn(p.s), "http/1.1");
		CHECK_STR(tls_conn_alpn(p.c), "http/1.1");
		CHECK_STR(tls_conn_sni(p.s), "server.test");
		say(p.c, p.s, STR("GET"), steps[i]);
		say(p.s, p.c, str_from(big, sizeof(big)), steps[i]);
		say(p.c, p.s, str_from(big, 16385), steps[i]);
		tls_close(p.c);
		settle(p.c, p.s, steps[i]);
		CHECK(tls_peer_closed(p.s));
		CHECK_INT(tls_write(p.c, &(struct str)STR_INIT("x"), 1), -EPIPE);
		pair_free(&p);
	}
}

/* Without the verifiers set the library refuses every client certificate (its error 27). */
TEST(gap_verifiers_client_certificate_gives_cn_and_all_orgs)
{
	struct pair p = connect_pair(TLS_CLIENT_REQUIRED, &client_cert, "server.test", 1 << 20);
	const struct tls_peer *peer = tls_conn_peer(p.s);

	CHECK(tls_established(p.s));
	CHECK_INT(peer->state, TLS_PEER_VALID);
	CHECK_STR(peer->cn, "alice");
	CHECK_INT(peer->n_orgs, 3);
	CHECK_STR(peer->orgs[0], "system:masters");
	CHECK_STR(peer->orgs[1], "dev:team-a");
	CHECK_STR(peer->orgs[2], "ops");
	CHECK_INT(peer->serial.n, 32);
	CHECK_INT(peer->not_after_s, client_cert.x->not_after_s);
	CHECK_STR(tls_conn_peer(p.c)->cn, "server");
	pair_free(&p);
}

/* A certificate of the one CA is never taken for one of the other: proxies may say who asks, users may not. */
TEST(a_server_tells_its_two_authorities_of_clients_apart)
{
	setup();
	struct pki_party proxies = pki_make(&(struct pki_want){.cn = "proxies", .ca = true}, NULL);
	struct pki_party proxy = pki_make(
		&(struct pki_want){.cn = "proxy", .eku = X509_EKU_CLIENT}, &proxies);
	struct pki_party other = pki_make(
		&(struct pki_want){.cn = "other", .eku = X509_EKU_CLIENT}, &foreign);
	const struct {
		const struct pki_party *own;
		enum tls_peer_state state;
		bool proxy;
	} rows[] = {
		{&client_cert, TLS_PEER_VALID, false},
		{&proxy, TLS_PEER_VALID, true},
		{&other, TLS_PEER_INVALID, false},
		{NULL, TLS_PEER_NONE, false},
	};
	struct tls_pair pair = pki_pair(&server_cert);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = {0};
		struct err e = {0};
		CHECK_INT(tls_ctx_new(&(struct tls_config){.server = true,
					      .pairs = &pair,
					      .n_pairs = 1,
					      .ca_pem = buf_view(&ca.cert),
					      .proxy_ca_pem = buf_view(&proxies.cert),
					      .client_auth = TLS_CLIENT_OPTIONAL},
				  &p.sctx, &e),
			0);
		p.cctx = ctx_make(false, rows[i].own, TLS_CLIENT_NONE, &ca);
		CHECK_INT(tls_server_new(p.sctx, &p.s), 0);
		CHECK_INT(tls_client_new(p.cctx, STR("server.test"), &p.c), 0);
		settle(p.c, p.s, 1 << 20);
		CHECK(tls_established(p.s));
		CHECK_INT(tls_conn_peer(p.s)->state, rows[i].state);
		CHECK_INT(tls_conn_peer(p.s)->proxy, rows[i].proxy);
		pair_free(&p);
	}
	pki_free(&proxies);
	pki_free(&proxy);
	pki_free(&other);
}

/* The same of an RSA key: the library has a verifier for each kind. */
TEST(gap_verifiers_rsa_client_certificate)
{
	struct buf key = BUF_INIT;
	struct pki_party rsa = {.arena = arena_new(0)};
	struct x509_spec spec = {.cn = STR("rita"), .eku = X509_EKU_CLIENT};
	size_t n = 0;

	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	setup();
	spec.not_before_s = client_cert.x->not_before_s;
	spec.not_after_s = client_cert.x->not_after_s;
	CHECK_INT(RUN(&key, "openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt",
			  "rsa_keygen_bits:2048"),
		0);
	rsa.key_pem = key;
	CHECK_INT(tls_key_parse(buf_view(&key), &rsa.key, NULL), 0);
	CHECK_INT(x509_issue(&spec, tls_key_pub(rsa.key), ca.x, ca.key, &rsa.cert, NULL), 0);
	CHECK_INT(x509_certs_parse_pem(rsa.arena, buf_view(&rsa.cert), &rsa.x, &n, NULL), 0);
	struct pair p = connect_pair(TLS_CLIENT_REQUIRED, &rsa, "server.test", 1 << 20);
	CHECK(tls_established(p.s));
	CHECK_STR(tls_conn_peer(p.s)->cn, "rita");
	pair_free(&p);
	pki_free(&rsa);
}

/* A certificate is no secret: whoever shows one has to sign with its key. */
TEST(names_come_only_with_proof_of_the_key)
{
	const enum tls_client_auth auths[] = {TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(auths); i++) {
		struct pair p = {.sctx = ctx_make(true, &server_cert, auths[i], &ca),
			.cctx = ctx_make(false, &client_cert, TLS_CLIENT_NONE, &ca)};
		tls_key_free(p.cctx->pairs[0].key);
		CHECK_INT(tls_key_generate(&p.cctx->pairs[0].key), 0);
		CHECK_INT(tls_server_new(p.sctx, &p.s), 0);
		CHECK_INT(tls_client_new(p.cctx, STR("server.test"), &p.c), 0);
		settle(p.c, p.s, 1 << 20);
		CHECK(!tls_established(p.s));
		CHECK_INT(tls_error(p.s, NULL), -EPROTO);
		CHECK_INT(tls_conn_peer(p.s)->cn.n, 0);
		CHECK_INT(tls_conn_peer(p.s)->n_orgs, 0);
		pair_free(&p);
	}
}

/* The first message of a client says what it would take: RFC 5246 7.4.1.2. */
TEST(gap_weak_suites_and_versions_are_not_offered)
{
	static const uint16_t good[] = {0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9};
	struct tls_conn *c = NULL;

	setup();
	struct tls_ctx *ctx = ctx_make(false, NULL, TLS_CLIENT_NONE, &ca);
	CHECK_INT(tls_client_new(ctx, STR("server.test"), &c), 0);
	struct reader r = reader_of(tls_wire(c));
	reader_bytes(&r, 5 + 4);
	CHECK_INT(reader_be16(&r), 0x0303);
	reader_bytes(&r, 32);
	CHECK_INT(reader_u8(&r), 0); /* no session to resume */
	size_t n = reader_be16(&r) / 2, found = 0;
	for (size_t i = 0; i < n; i++) {
		uint16_t suite = reader_be16(&r);
		bool known = suite == 0x00ff; /* no renegotiation: a signal, no suite */
		for (size_t k = 0; k < ARRAY_LEN(good); k++)
			found += suite == good[k], known |= suite == good[k];
		CHECK(known);
	}
	CHECK(!r.bad);
	CHECK_INT(found, ARRAY_LEN(good));
	tls_conn_free(c);
	tls_ctx_unref(ctx);
}

static void
check_invalid(const struct pki_party *own, const char *why)
{
	struct pair p = connect_pair(TLS_CLIENT_OPTIONAL, own, "server.test", 1 << 20);
	const struct tls_peer *peer = tls_conn_peer(p.s);

	CHECK(tls_established(p.s) && tls_established(p.c));
	CHECK_INT(peer->state, TLS_PEER_INVALID);
	CHECK_STR(peer->why, why);
	CHECK_INT(peer->cn.n, 0);
	CHECK_INT(peer->n_orgs, 0);
	CHECK_INT(peer->serial.n, 0);
	say(p.c, p.s, STR("still served: the API answers 401"), 1 << 20);
	pair_free(&p);
	p = connect_pair(TLS_CLIENT_REQUIRED, own, "server.test", 1 << 20);
	CHECK(!tls_established(p.s));
	CHECK_INT(tls_error(p.s, NULL), -EACCES);
	CHECK(tls_error(p.c, NULL) < 0);
	pair_free(&p);
}

TEST(gap_invalid_is_not_none_and_has_no_names)
{
	setup();
	struct pki_party bad = pki_make(
		&(struct pki_want){.cn = "bad", .orgs = {"system:masters"}, .eku = X509_EKU_CLIENT},
		&foreign);
	struct pki_party old = pki_make(
		&(struct pki_want){
			.cn = "old", .eku = X509_EKU_CLIENT, .from_s = -7200, .to_s = -3600},
		&ca);
	struct pki_party self = pki_make(
		&(struct pki_want){.cn = "self", .eku = X509_EKU_CLIENT}, NULL);

	check_invalid(&bad, "certificate signed by unknown authority: signature does not verify");
	check_invalid(&old, "certificate has expired");
	check_invalid(&self, "certificate signed by unknown authority");
	pki_free(&bad);
	pki_free(&old);
	pki_free(&self);
	struct pair p = connect_pair(TLS_CLIENT_OPTIONAL, NULL, "server.test", 1 << 20);
	CHECK_INT(tls_conn_peer(p.s)->state, TLS_PEER_NONE);
	CHECK(tls_established(p.s));
	pair_free(&p);
	p = connect_pair(TLS_CLIENT_REQUIRED, NULL, "server.test", 1 << 20);
	CHECK(!tls_established(p.s));
	pair_free(&p);
}

TEST(gap_eku_of_a_server_is_no_client)
{
	setup();
	check_invalid(&server_cert, "certificate specifies an incompatible key usage");
}

TEST(gap_ip_addresses_are_matched)
{
	const struct {
		const char *name;
		int error;
	} rows[] = {
		{"127.0.0.1", 0},
		{"::1", 0},
		{"0:0:0:0:0:0:0:1", 0},
		{"server.test", 0},
		{"SERVER.test.", 0},
		{"127.0.0.2", -EACCES},
		{"other.test", -EACCES},
		{"server", -EACCES},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p = connect_pair(TLS_CLIENT_NONE, NULL, rows[i].name, 1 << 20);
		CHECK_INT(tls_error(p.c, NULL), rows[i].error);
		CHECK_INT(tls_established(p.c), rows[i].error == 0);
		pair_free(&p);
	}
}

TEST(client_refuses_foreign_expired_and_client_certificates)
{
	setup();
	struct pki_party bad[] = {
		pki_make(&(struct pki_want){.cn = "x", .dns = {"server.test"}}, &foreign),
		pki_make(
			&(struct pki_want){
				.cn = "x", .dns = {"server.test"}, .from_s = -99, .to_s = -1},
			&ca),
		pki_make(
			&(struct pki_want){
				.cn = "x", .dns = {"server.test"}, .eku = X509_EKU_CLIENT},
			&ca),
		pki_make(&(struct pki_want){.cn = "server.test"}, &ca),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct tls_ctx *s = ctx_make(true, &bad[i], TLS_CLIENT_NONE, NULL);
		struct tls_ctx *c = ctx_make(false, NULL, TLS_CLIENT_NONE, &ca);
		struct tls_conn *sc = NULL, *cc = NULL;
		CHECK_INT(tls_server_new(s, &sc), 0);
		CHECK_INT(tls_client_new(c, STR("server.test"), &cc), 0);
		settle(cc, sc, 1 << 20);
		CHECK_INT(tls_error(cc, NULL), -EACCES);
		CHECK(tls_error(sc, NULL) < 0); /* it was told by an alert */
		tls_conn_free(sc);
		tls_conn_free(cc);
		tls_ctx_unref(s);
		tls_ctx_unref(c);
		pki_free(&bad[i]);
	}
}

TEST(server_picks_its_certificate_by_sni)
{
	setup();
	struct pki_party wild = pki_make(
		&(struct pki_want){.cn = "wild", .dns = {"*.apps.test"}}, &ca);
	struct tls_pair pairs[2] = {pki_pair(&server_cert), pki_pair(&wild)};
	struct tls_config cfg = {.server = true, .pairs = pairs, .n_pairs = 2};
	struct tls_ctx *s = NULL, *c = ctx_make(false, NULL, TLS_CLIENT_NONE, &ca);
	const char *const names[] = {"a.apps.test", "server.test", "127.0.0.1"};

	CHECK_INT(tls_ctx_new(&cfg, &s, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		struct tls_conn *sc = NULL, *cc = NULL;
		CHECK_INT(tls_server_new(s, &sc), 0);
		CHECK_INT(tls_client_new(c, str_c(names[i]), &cc), 0);
		settle(cc, sc, 1 << 20);
		CHECK_INT(tls_error(cc, NULL), 0);
		CHECK_STR(tls_conn_peer(cc)->cn, i == 0 ? "wild" : "server");
		tls_conn_free(sc);
		tls_conn_free(cc);
	}
	tls_ctx_unref(s);
	tls_ctx_unref(c);
	pki_free(&wild);
}

TEST(ctx_refuses_what_does_not_fit)
{
	setup();
	struct tls_pair pair = {buf_view(&server_cert.cert), buf_view(&client_cert.key_pem)};
	struct tls_config cfg = {.server = true, .pairs = &pair, .n_pairs = 1};
	struct tls_ctx *c = NULL;
	struct err e = {0};

	CHECK_INT(tls_ctx_new(&cfg, &c, &e), -EINVAL);
	CHECK_STR(e.msg, "private key does not match the certificate's public key");
	cfg.n_pairs = 0;
	CHECK_INT(tls_ctx_new(&cfg, &c, &e), -EINVAL);
	pair.key_pem = STR("nothing");
	cfg.n_pairs = 1;
	CHECK_INT(tls_ctx_new(&cfg, &c, &e), -EINVAL);
	CHECK(c == NULL);
}

TEST(idle_connection_keeps_little)
{
	struct pair p = connect_pair(TLS_CLIENT_REQUIRED, &client_cert, "server.test", 1 << 20);

	for (int i = 0; i < 20; i++) {
		say(p.c, p.s, STR("request"), 1 << 20);
		tls_conn_idle(p.s);
		CHECK(tls_conn_bytes(p.s) < 1200);
		say(p.s, p.c, STR("reply"), 7);
	}
	printf("     %zu bytes\n", tls_conn_bytes(p.s));
	pair_free(&p);
}

TEST(changed_records_break_the_connection_for_good)
{
	struct pair p = connect_pair(TLS_CLIENT_NONE, NULL, "server.test", 1 << 20);
	struct str text = STR("hello");
	char copy[200];

	CHECK_INT(tls_write(p.c, &text, 1), 0);
	struct str out = tls_wire(p.c);
	CHECK(out.n < sizeof(copy));
	memcpy(copy, out.p, out.n);
	copy[out.n - 1] ^= 1;
	CHECK_INT(tls_feed(p.s, copy, out.n), -EPROTO);
	CHECK_INT(tls_readable(p.s).n, 0);
	CHECK(tls_wire(p.s).n > 0); /* the alert */
	memcpy(copy, out.p, out.n);
	CHECK_INT(tls_feed(p.s, copy, out.n), -EPROTO);
	CHECK_INT(tls_write(p.s, &text, 1), -EPROTO);
	settle(p.s, p.c, 1 << 20);
	CHECK_INT(tls_error(p.c, NULL), -EPROTO);
	pair_free(&p);
}

TEST(rubbish_is_an_error_never_a_connection)
{
	struct tls_ctx *s = NULL;

	setup();
	s = ctx_make(true, &server_cert, TLS_CLIENT_OPTIONAL, &ca);
	for (int i = 0; i < 200; i++) {
		uint8_t bytes[512];
		struct tls_conn *c = NULL;
		CHECK_INT(tls_server_new(s, &c), 0);
		rand_bytes(bytes, sizeof(bytes));
		bytes[0] = 22;
		bytes[1] = 3;
		bytes[2] = (uint8_t)(i % 4);
		bytes[3] = 0;
		bytes[4] = 200;
		bytes[5] = 1;
		tls_feed(c, bytes, sizeof(bytes));
		CHECK(!tls_established(c));
		CHECK(tls_error(c, NULL) < 0);
		tls_conn_free(c);
	}
	tls_ctx_unref(s);
}

/* ---- openssl ---- */

static const char *
save(const char *name, struct str s)
{
	static char path[8][256];
	static int at;
	char *p = path[at++ % 8];

	snprintf(p, 256, "%s/%s", TEST_TMP, name);
	CHECK_INT(disk_write_file(p, s, 0600), 0);
	return p;
}

/* serve: one blocking connection: handshake, then "hello" to whoever speaks, until the peer ends. */
static bool
serve_one(int lfd, struct tls_ctx *ctx, struct tls_conn **ret)
{
	struct tls_conn *c = NULL;
	int fd = accept(lfd, NULL, NULL);
	struct timeval limit = {10, 0};
	char buf[2048];

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	CHECK_INT(tls_server_new(ctx, &c), 0);
	bool said = false;
	for (;;) {
		struct str out = tls_wire(c);
		while (out.n > 0) {
			ssize_t n = send(fd, out.p, out.n, MSG_NOSIGNAL);
			if (n <= 0)
				break;
			tls_wire_sent(c, (size_t)n);
			out = tls_wire(c);
		}
		if (said || tls_error(c, NULL) < 0)
			break;
		if (tls_established(c)) {
			struct str hello = STR("hello\n");
			tls_write(c, &hello, 1);
			tls_close(c);
			said = true;
			continue;
		}
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		tls_feed(c, buf, (size_t)n);
	}
	close(fd);
	*ret = c;
	return said;
}

static int
listen_any(char port[8])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	snprintf(port, 8, "%u", ntohs(a.sin_port));
	return fd;
}

/* s_client: openssl with these further arguments; its output. */
static bool
s_client(struct tls_ctx *ctx, struct buf *out, struct tls_conn **ret, const char *const *more)
{
	char port[8], to[32];
	const char *argv[32] = {"openssl", "s_client", "-connect", to};
	size_t n = 4;
	int lfd = listen_any(port), fd = -1, in = -1, status = 0;
	char bytes[1024];
	ssize_t got = 0;

	snprintf(to, sizeof(to), "127.0.0.1:%s", port);
	while (*more)
		argv[n++] = *more++;
	pid_t pid = run_start(argv, &fd, &in);
	CHECK(pid > 0);
	bool said = serve_one(lfd, ctx, ret);
	close(in);
	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(out, bytes, (size_t)got);
	close(fd);
	close(lfd);
	waitpid(pid, &status, 0);
	return said;
}

#define S_CLIENT(ctx, out, ret, ...)                                                               \
	s_client((ctx), (out), (ret), (const char *const[]){__VA_ARGS__, NULL})

TEST(openssl_connects_with_each_good_suite_and_curve)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	setup();
	static const char *const good[][2] = {
		{"ECDHE-ECDSA-AES128-GCM-SHA256", "X25519:P-256"},
		{"ECDHE-ECDSA-AES256-GCM-SHA384", "P-256"},
		{"ECDHE-ECDSA-CHACHA20-POLY1305", "P-256"},
		{"ECDHE-ECDSA-AES128-GCM-SHA256", "P-384:P-256"},
	};
	struct tls_ctx *ctx = ctx_make(true, &server_cert, TLS_CLIENT_OPTIONAL, &ca);
	const char *cap = save("ca.pem", buf_view(&ca.cert));
	const char *crt = save("c.pem", buf_view(&client_cert.cert));
	const char *key = save("c.key", buf_view(&client_cert.key_pem));

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct buf out = BUF_INIT;
		struct tls_conn *c = NULL;
		CHECK(S_CLIENT(ctx, &out, &c, "-tls1_2", "-cipher", good[i][0], "-curves",
			good[i][1], "-CAfile", cap, "-verify_return_error", "-verify_ip",
			"127.0.0.1", "-cert", crt, "-key", key, "-alpn", "h2,http/1.1"));
		CHECK(str_find(buf_view(&out), STR("Verify return code: 0 (ok)")) >= 0);
		CHECK(str_find(buf_view(&out), str_c(good[i][0])) >= 0);
		CHECK(str_find(buf_view(&out), STR("ALPN protocol: http/1.1")) >= 0);
		CHECK(str_find(buf_view(&out), STR("hello")) >= 0);
		CHECK_INT(tls_conn_peer(c)->state, TLS_PEER_VALID);
		CHECK_STR(tls_conn_peer(c)->cn, "alice");
		tls_conn_free(c);
		buf_release(&out);
	}
	tls_ctx_unref(ctx);
}

TEST(gap_weak_suites_and_versions_are_refused)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	setup();
	struct tls_ctx *ctx = ctx_make(true, &server_cert, TLS_CLIENT_NONE, NULL);
	static const char *const bad[][2] = {
		{"-tls1_2", "ECDHE-ECDSA-AES128-SHA@SECLEVEL=0"},
		{"-tls1_2", "ECDHE-ECDSA-AES128-SHA256@SECLEVEL=0"},
		{"-tls1_2", "AES128-GCM-SHA256@SECLEVEL=0"},
		{"-tls1_1", "ALL@SECLEVEL=0"},
		{"-tls1_3", "ALL"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf out = BUF_INIT;
		struct tls_conn *c = NULL;
		CHECK(!S_CLIENT(ctx, &out, &c, bad[i][0], "-cipher", bad[i][1]));
		CHECK(tls_error(c, NULL) < 0);
		tls_conn_free(c);
		buf_release(&out);
	}
	tls_ctx_unref(ctx);
}

TEST(gap_sessions_are_not_resumed)
{
	if (!run_have("openssl"))
		SKIP("openssl is not installed");
	setup();
	struct tls_ctx *ctx = ctx_make(true, &server_cert, TLS_CLIENT_OPTIONAL, &ca);
	const char *crt = save("c.pem", buf_view(&client_cert.cert));
	const char *key = save("c.key", buf_view(&client_cert.key_pem));
	char session[256];
	snprintf(session, sizeof(session), "%s/session", TEST_TMP);

	for (int i = 0; i < 2; i++) {
		struct buf out = BUF_INIT;
		struct tls_conn *c = NULL;
		CHECK(S_CLIENT(ctx, &out, &c, "-tls1_2", "-cert", crt, "-key", key,
			i == 0 ? "-sess_out" : "-sess_in", session));
		CHECK(str_find(buf_view(&out), STR("Reused, TLS")) < 0);
		CHECK_STR(tls_conn_peer(c)->cn, "alice");
		tls_conn_free(c);
		buf_release(&out);
	}
	tls_ctx_unref(ctx);
}
