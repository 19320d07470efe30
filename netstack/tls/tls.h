/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls: TLS 1.2 connections as state machines without I/O: wire bytes in, wire bytes out, plain bytes in
 * and out. The TLS library stays behind this header: no name of it appears here.
 *
 * Place in the flow: sockets -> netstack/http -> here -> netstack/http -> handlers.
 * Invariants: only ECDHE with AES-GCM or ChaCha20-Poly1305 and TLS 1.2; no resumption and no
 * renegotiation (a resumed session would lose the client's certificate). Names of a certificate are
 * delivered only when its chain was valid and the peer proved its key. An idle connection keeps its
 * record keys and its peer's names (about 1 KB), no buffers.
 * Must not: read files, sockets or clocks of its own (base/clock, base/rand).
 * Source: RFC 5246, RFC 5288, RFC 7905, RFC 7301 (ALPN), RFC 6066 (SNI), RFC 6125 (names). */
#ifndef NETSTACK_TLS_TLS_H
#define NETSTACK_TLS_TLS_H

#include "base/err.h"
#include "base/ip.h"

struct tls_ctx;
struct tls_conn;

enum tls_client_auth {
	TLS_CLIENT_NONE,     /* server: no certificate asked for */
	TLS_CLIENT_OPTIONAL, /* asked for; none and invalid ones still connect: see tls_peer.state */
	TLS_CLIENT_REQUIRED, /* the handshake fails without a valid one */
};

/* A certificate chain (PEM, leaf first) with its private key (PEM: SEC1, PKCS#8 or PKCS#1). */
struct tls_pair {
	struct str cert_pem, key_pem;
};

struct tls_config {
	bool server;
	/* Own certificates. A server picks by SNI among the DNS names of the leaves (wildcards match one
	 * label); none matching: the first. A server needs at least one. A client sends the first when
	 * the server asks; n_pairs = 0: none. */
	const struct tls_pair *pairs;
	size_t n_pairs;
	struct str
		ca_pem; /* roots that peers are checked against; a server: for client certificates */
	struct str
		proxy_ca_pem; /* a server: roots of proxies that speak for others (tls_peer.proxy) */
	enum tls_client_auth client_auth;
	bool insecure; /* client: any server certificate is accepted (insecure-skip-tls-verify) */
};

/* tls_ctx_new: everything that connections share; immutable afterwards, so a reload makes a new one
 * and leaves those in use to their connections. All slices are borrowed. Returns owned (one
 * reference; counted atomically, shared by all threads). Errors: -EINVAL (e says what), -ENOMEM. */
int tls_ctx_new(const struct tls_config *cfg, struct tls_ctx **ret, struct err *e);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *c);
void tls_ctx_unref(struct tls_ctx *c); /* NULL is allowed */

/* What is known of the other side's certificate. Names are empty unless state is TLS_PEER_VALID. */
enum tls_peer_state {
	TLS_PEER_NONE,    /* none was presented */
	TLS_PEER_VALID,   /* chain, dates, usage (and name, when we are the client) are good */
	TLS_PEER_INVALID, /* one was presented and is not valid: an API answers 401, not anonymous */
};
struct tls_peer {
	enum tls_peer_state state;
	struct str cn;          /* the last CN of the subject, as UTF-8 */
	const struct str *orgs; /* every O of the subject, in order */
	size_t n_orgs;
	struct str serial;   /* lower-case hex */
	uint8_t sha256[32];  /* of the certificate (DER) */
	int64_t not_after_s; /* since the epoch */
	bool proxy;          /* TLS_PEER_VALID by proxy_ca_pem, and not by ca_pem */
	const char *why;     /* TLS_PEER_INVALID: text, e.g. "certificate has expired"; else "" */
};

/* tls_server_new: one accepted connection. Returns owned; keeps a reference to ctx. -ENOMEM. */
int tls_server_new(struct tls_ctx *ctx, struct tls_conn **ret);
/* tls_client_new: name = DNS name or IP address text that the server's certificate must be for (SAN
 * only; a DNS name is also sent as SNI). Errors: -EINVAL empty or overlong name, -ENOMEM. */
int tls_client_new(struct tls_ctx *ctx, struct str name, struct tls_conn **ret);
void tls_conn_free(struct tls_conn *c); /* NULL is allowed */

/* tls_feed: n bytes came from the wire; they are decrypted in place (p is scribbled over). Everything
 * is taken: the caller bounds what it reads at a time and stops reading while tls_readable is large.
 * 0, or the sticky error of the connection: -EPROTO (tls_error has the text; an alert may be waiting
 * in tls_wire), -EACCES peer certificate refused, -ENOMEM. */
int tls_feed(struct tls_conn *c, void *p, size_t n);
/* tls_wire: bytes to be sent, borrowed until the next call on c; tls_wire_sent drops the first n. */
struct str tls_wire(const struct tls_conn *c);
void tls_wire_sent(struct tls_conn *c, size_t n);
/* tls_readable: plain bytes received; tls_consume drops the first n. */
struct str tls_readable(const struct tls_conn *c);
void tls_consume(struct tls_conn *c, size_t n);
/* tls_write: seals the parts, one behind the other, into records of at most 16 KiB (parts share
 * records). Everything is taken: the caller looks at tls_wire to bound it. -EAGAIN before the end of
 * the handshake, -EPIPE after tls_close, -ENOMEM (then the connection is broken). */
int tls_write(struct tls_conn *c, const struct str *parts, size_t n);
/* tls_close: close_notify is queued; nothing can be written afterwards. */
void tls_close(struct tls_conn *c);

bool tls_is_server(const struct tls_conn *c);
bool tls_established(const struct tls_conn *c); /* the handshake is over, and good */
/* tls_peer_closed: close_notify came; what was received before it can still be read. An end of the
 * transport without it may be an attacker's cut: HTTP tells by its own framing. */
bool tls_peer_closed(const struct tls_conn *c);
int tls_error(
	const struct tls_conn *c, struct err *e); /* 0 or the sticky error; fills e (or NULL) */
/* tls_conn_peer: complete once tls_established; borrowed from c. */
const struct tls_peer *tls_conn_peer(const struct tls_conn *c);
struct str tls_conn_alpn(const struct tls_conn *c); /* "http/1.1" or "" */
struct str tls_conn_sni(const struct tls_conn *c);  /* server: the name asked for, or "" */
/* tls_conn_idle: give buffers back; called when nothing is under way. Harmless at any time. */
void tls_conn_idle(struct tls_conn *c);
/* tls_conn_bytes: heap bytes held by this connection now (figures, tests). */
size_t tls_conn_bytes(const struct tls_conn *c);

#endif
