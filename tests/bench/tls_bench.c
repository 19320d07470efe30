/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls_bench: handshakes a second in memory and the server's CPU for each, with and without a client
 * certificate; records sealed and opened; bytes an idle connection keeps. */
#include "netstack/tls/tls.h"

#include "base/clock.h"
#include "tests/bench/figures.h"
#include "tests/unit/netstack/tls/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static char scratch[64 * 1024];

static bool
move(struct tls_conn *from, struct tls_conn *to, int64_t *cpu_to)
{
	struct str out = str_sub(tls_wire(from), 0, sizeof(scratch));

	if (out.n == 0)
		return false;
	memcpy(scratch, out.p, out.n);
	tls_wire_sent(from, out.n);
	int64_t at = cpu_ns();
	tls_feed(to, scratch, out.n);
	if (cpu_to)
		*cpu_to += cpu_ns() - at;
	return true;
}

static void
handshakes(
	const char *name, const char *target, struct tls_ctx *server, struct tls_ctx *client, int n)
{
	int64_t cpu = 0;
	size_t idle = 0;

	for (int i = 0; i < n; i++) {
		struct tls_conn *s = NULL, *c = NULL;
		int64_t at = cpu_ns();
		BUG_ON(tls_server_new(server, &s) < 0);
		cpu += cpu_ns() - at;
		BUG_ON(tls_client_new(client, STR("a.test"), &c) < 0);
		while (move(c, s, &cpu) | move(s, c, NULL))
			;
		BUG_ON(!tls_established(s) || !tls_established(c));
		tls_conn_idle(s);
		idle = tls_conn_bytes(s);
		tls_conn_free(s);
		tls_conn_free(c);
	}
	char what[80];
	snprintf(what, sizeof(what), "handshake, %s: CPU of the server", name);
	figure(what, (double)cpu / n / 1e6, "ms", "<=", "-", target, false);
	snprintf(what, sizeof(what), "the same: kept while idle");
	figure(what, (double)idle, "B", "<=", "4096", "1024", false);
}

static void
records(struct tls_ctx *server, struct tls_ctx *client)
{
	struct tls_conn *s = NULL, *c = NULL;
	static char block[16384];
	struct str part = str_from(block, sizeof(block));
	int64_t sealing = 0, opening = 0;
	const int n = 20000;

	BUG_ON(tls_server_new(server, &s) < 0 || tls_client_new(client, STR("a.test"), &c) < 0);
	while (move(c, s, NULL) | move(s, c, NULL))
		;
	for (int i = 0; i < n; i++) {
		int64_t at = cpu_ns();
		tls_write(s, &part, 1);
		sealing += cpu_ns() - at;
		while (move(s, c, &opening))
			;
		tls_consume(c, tls_readable(c).n);
	}
	double mb = (double)n * sizeof(block) / 1e6;
	figure("records of 16 KiB, AES-128-GCM: sealed", mb * 1e9 / (double)sealing, "MB/s CPU",
		">=", "-", "2000", false);
	figure("the same: opened", mb * 1e9 / (double)opening, "MB/s CPU", ">=", "-", "2000",
		false);
	tls_conn_free(s);
	tls_conn_free(c);
}

int
main(void)
{
	struct pki_party ca = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	struct pki_party own = pki_make(&(struct pki_want){.cn = "s", .dns = {"a.test"}}, &ca);
	struct pki_party me = pki_make(
		&(struct pki_want){.cn = "alice", .orgs = {"system:masters"}}, &ca);
	struct tls_pair sp = pki_pair(&own), cp = pki_pair(&me);
	struct tls_config sc = {.server = true,
		.pairs = &sp,
		.n_pairs = 1,
		.ca_pem = buf_view(&ca.cert),
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct tls_config with = {.pairs = &cp, .n_pairs = 1, .ca_pem = buf_view(&ca.cert)};
	struct tls_config without = {.ca_pem = buf_view(&ca.cert)};
	struct tls_ctx *s = NULL, *cw = NULL, *co = NULL;

	BUG_ON(tls_ctx_new(&sc, &s, NULL) < 0 || tls_ctx_new(&with, &cw, NULL) < 0 ||
		tls_ctx_new(&without, &co, NULL) < 0);
	handshakes("no client certificate", "-", s, co, 2000);
	handshakes("client certificate", "0.45", s, cw, 2000);
	records(s, co);
	return 0;
}
