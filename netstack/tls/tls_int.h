/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls_int: what ctx.c (what connections share), handshake.c (the library's engine) and tls.c (records
 * afterwards) share; private to this folder.
 *
 * The library's engine lives only as long as the handshake: then its two record contexts (keys and
 * sequence numbers) move into the connection, and records are opened and sealed by tls.c in whatever
 * buffer they are in. */
#ifndef NETSTACK_TLS_TLS_INT_H
#define NETSTACK_TLS_TLS_INT_H

#include "netstack/tls/tls.h"
#include "netstack/tls/x509_int.h"

struct own_cert {
	br_x509_certificate *chain; /* arena */
	size_t n;
	struct x509_cert leaf;
	struct tls_key *key;
	unsigned issuer_key; /* BR_KEYTYPE_*: of the leaf's signature */
};

struct tls_ctx {
	int refs; /* atomic */
	struct arena *arena;
	bool server, insecure;
	enum tls_client_auth client_auth;
	struct own_cert *pairs;
	size_t n_pairs;
	struct x509_cert *roots, *proxy_roots;
	size_t n_roots, n_proxy_roots;
	br_x500_name *ca_names; /* server: told to clients */
	size_t n_ca_names;
};

union tls_rec_in {
	const br_sslrec_in_class *vtable;
	br_sslrec_gcm_context gcm;
	br_sslrec_chapol_context chapol;
};
union tls_rec_out {
	const br_sslrec_out_class *vtable;
	br_sslrec_gcm_context gcm;
	br_sslrec_chapol_context chapol;
};

struct tls_handshake;

/* A peer's names in one block. */
struct tls_names;

struct tls_conn {
	struct tls_ctx *ctx;
	struct tls_handshake *hs; /* NULL once established */
	union tls_rec_in in;
	union tls_rec_out out;
	struct buf partial; /* an incomplete record, header included */
	struct buf plain;   /* received */
	struct buf wire;    /* to be sent */
	size_t plain_off, wire_off;
	struct tls_peer peer;
	struct str *names; /* heap: orgs array, then the bytes of all names */
	struct str sni;    /* in names' block too */
	int error;         /* sticky, negative errno */
	uint8_t odd;       /* records that should not come, so far */
	bool alpn, established, peer_closed, closed;
	char *message; /* heap, or NULL (then it was memory that failed); for tls_error */
};

/* ---- handshake.c ---- */
int tls_handshake_new(struct tls_conn *c, struct str name);
void tls_handshake_free(struct tls_handshake *h);
/* handshake_feed: takes bytes off *in until the handshake is over (c->established: record contexts and
 * peer are set and c->hs is gone) or failed (c->error). */
void tls_handshake_feed(struct tls_conn *c, struct str *in);
/* handshake_bytes: bytes held, of which only those used are memory (handshake.c). */
size_t tls_handshake_bytes(void);

void tls_fail(struct tls_conn *c, int error, const char *text);
/* tls_peer_set: names copied out of a verified certificate. 0, -ENOMEM. */
int tls_peer_set(struct tls_conn *c, enum tls_peer_state state, const struct x509_cert *leaf,
	const char *why, struct str sni);

#endif
