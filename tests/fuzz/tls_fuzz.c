/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls_fuzz: any bytes at a TLS server or client, during the handshake and after a good one between two
 * ends of ours (then the bytes follow the first record). Holds: no plain byte ever comes out of bytes
 * that no peer sealed; whole and in pieces they end alike. Randomness is seeded, so that an input repeats. */
#include "netstack/tls/tls.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"
#include "tests/unit/netstack/tls/pki.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_ctx *server_ctx, *client_ctx;

static void
setup(void)
{
	static struct pki_party ca, own, me;

	rand_set_seed(1);
	if (server_ctx)
		return;
	ca = pki_make(&(struct pki_want){.cn = "ca", .ca = true}, NULL);
	own = pki_make(&(struct pki_want){.cn = "s", .dns = {"a.test"}}, &ca);
	me = pki_make(&(struct pki_want){.cn = "c", .orgs = {"o"}}, &ca);
	struct tls_pair sp = pki_pair(&own), cp = pki_pair(&me);
	struct tls_config s = {.server = true,
		.pairs = &sp,
		.n_pairs = 1,
		.ca_pem = buf_view(&ca.cert),
		.client_auth = TLS_CLIENT_OPTIONAL};
	struct tls_config c = {.pairs = &cp, .n_pairs = 1, .ca_pem = buf_view(&ca.cert)};
	BUG_ON(tls_ctx_new(&s, &server_ctx, NULL) < 0 || tls_ctx_new(&c, &client_ctx, NULL) < 0);
}

static void
feed(struct tls_conn *c, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n + 1);

	memcpy(copy, p, n);
	tls_feed(c, copy, n);
	free(copy);
}

static bool
move(struct tls_conn *from, struct tls_conn *to)
{
	struct str out = tls_wire(from);

	if (out.n == 0)
		return false;
	feed(to, (const uint8_t *)out.p, out.n);
	tls_wire_sent(from, out.n);
	return true;
}

/* run: how the connection stands behind `flights` honest flights and the bytes: its error, and what it says. */
static int
run(const uint8_t *data, size_t size, unsigned flights, bool at_client, size_t step,
	uint64_t *ret_said)
{
	struct tls_conn *s = NULL, *c = NULL;

	rand_set_seed(1);
	BUG_ON(tls_server_new(server_ctx, &s) < 0 ||
		tls_client_new(client_ctx, STR("a.test"), &c) < 0);
	for (unsigned i = 0; i < flights; i++)
		if (!(i % 2 ? move(s, c) : move(c, s)))
			break;
	struct tls_conn *victim = at_client ? c : s;
	for (size_t at = 0; at < size; at += step)
		feed(victim, data + at, size - at < step ? size - at : step);
	BUG_ON(tls_readable(victim).n > 0);
	int error = tls_error(victim, NULL);
	/* An alert in the clear may be left out when the peer's own comes with what it answers. */
	*ret_said = tls_established(victim)
		? hash_fnv64a(tls_wire(victim)) + 1 + tls_peer_closed(victim)
		: 0;
	move(victim, victim == s ? c : s);
	tls_conn_free(s);
	tls_conn_free(c);
	return error;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole_said = 0, parts_said = 0;

	setup();
	if (size < 3)
		return 0;
	int whole = run(data + 2, size - 2, data[0] % 6, data[0] & 0x80, size, &whole_said);
	int parts = run(data + 2, size - 2, data[0] % 6, data[0] & 0x80, data[1] + 1u, &parts_said);
	BUG_ON(whole != parts || whole_said != parts_said);
	return 0;
}
