/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tls: connections: the handshake first (handshake.c), then records opened and sealed here; contract in
 * tls.h.
 * Place in the flow: netstack/http's wires feed bytes and take bytes.
 * Invariants: an error is sticky; records are opened where they lie when they came whole; a peer may
 * send few messages that mean nothing to us (warnings, renegotiation), then it is cut off. Nothing but
 * alerts and application data is understood after the handshake.
 * Source: RFC 5246 sections 6 and 7.2. */
#include "netstack/tls/tls_int.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define VERSION 0x0303u
#define HEADER 5
#define RECORD_MAX 16384
#define OVERHEAD 24 /* at most, besides the header */
#define ODD_MAX 8

enum { REC_ALERT = 21, REC_HANDSHAKE = 22, REC_DATA = 23 };
enum { ALERT_WARNING = 1, ALERT_FATAL = 2 };
enum {
	ALERT_CLOSE = 0,
	ALERT_UNEXPECTED = 10,
	ALERT_BAD_MAC = 20,
	ALERT_OVERFLOW = 22,
	ALERT_NO_RENEGOTIATION = 100
};

void
tls_fail(struct tls_conn *c, int error, const char *text)
{
	if (c->error)
		return;
	c->error = error;
	c->message = strdup(text);
}

static int
conn_new(struct tls_ctx *ctx, struct str name, struct tls_conn **ret)
{
	struct tls_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ctx = tls_ctx_ref(ctx);
	c->peer.why = "";
	int r = tls_handshake_new(c, name);
	if (r < 0) {
		tls_conn_free(c);
		return r;
	}
	struct str none = STR("");
	tls_handshake_feed(c, &none);
	*ret = c;
	return 0;
}

int
tls_server_new(struct tls_ctx *ctx, struct tls_conn **ret)
{
	BUG_ON(!ctx->server);
	return conn_new(ctx, STR(""), ret);
}

int
tls_client_new(struct tls_ctx *ctx, struct str name, struct tls_conn **ret)
{
	BUG_ON(ctx->server);
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > 253 || str_find_char(name, '\0') >= 0)
		return -EINVAL;
	return conn_new(ctx, name, ret);
}

void
tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	tls_handshake_free(c->hs);
	buf_release(&c->partial);
	buf_release(&c->plain);
	buf_release(&c->wire);
	free(c->names);
	free(c->message);
	tls_ctx_unref(c->ctx);
	explicit_bzero(c, sizeof(*c));
	free(c);
}

/* ---- the peer's names -------------------------------------------------------------------------- */

static struct str
place(char **at, struct str s)
{
	struct str out = str_from(*at, s.n);

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

int
tls_peer_set(struct tls_conn *c, enum tls_peer_state state, const struct x509_cert *leaf,
	const char *why, struct str sni)
{
	static const char hex[] = "0123456789abcdef";
	struct tls_peer *p = &c->peer;
	size_t n_orgs = leaf ? leaf->subject.n_orgs : 0;
	size_t why_n = state == TLS_PEER_INVALID ? strlen(why) + 1 : 0;
	size_t bytes = n_orgs * sizeof(struct str) + sni.n + why_n;

	if (leaf)
		bytes += leaf->subject.cn.n + leaf->serial.n * 2;
	for (size_t i = 0; i < n_orgs; i++)
		bytes += leaf->subject.orgs[i].n;
	p->state = state;
	if (bytes == 0)
		return 0;
	c->names = calloc(1, bytes);
	if (!c->names)
		return -ENOMEM;
	char *at = (char *)(c->names + n_orgs);
	c->sni = place(&at, sni);
	if (leaf) {
		p->cn = place(&at, leaf->subject.cn);
		for (size_t i = 0; i < n_orgs; i++)
			c->names[i] = place(&at, leaf->subject.orgs[i]);
		p->orgs = c->names;
		p->n_orgs = n_orgs;
		p->serial = str_from(at, leaf->serial.n * 2);
		for (size_t i = 0; i < leaf->serial.n; i++) {
			*at++ = hex[(uint8_t)leaf->serial.p[i] >> 4];
			*at++ = hex[(uint8_t)leaf->serial.p[i] & 15];
		}
		p->not_after_s = leaf->not_after_s;
		sha256_of(leaf->der, p->sha256);
	}
	if (why_n > 0) {
		memcpy(at, why, why_n);
		p->why = at;
	}
	return 0;
}

/* ---- sealing ------------------------------------------------------------------------------------- */

/* seal: one record of the parts' next n bytes (n <= RECORD_MAX); *part and *off walk on. */
static void
seal(struct tls_conn *c, uint8_t type, const struct str **part, size_t *off, size_t n)
{
	size_t start = HEADER, end = HEADER + OVERHEAD + n;
	char *room = buf_reserve(&c->wire, end);

	if (!room) {
		tls_fail(c, -ENOMEM, "out of memory");
		return;
	}
	c->out.vtable->max_plaintext(&c->out.vtable, &start, &end);
	unsigned char *data = (unsigned char *)room + start;
	for (size_t filled = 0; filled < n;) {
		struct str s = str_sub(**part, *off, SIZE_MAX);
		if (s.n > n - filled)
			s.n = n - filled;
		memcpy(data + filled, s.p, s.n);
		filled += s.n;
		*off += s.n;
		if (*off == (*part)->n && filled < n) {
			do
				(*part)++;
			while ((*part)->n == 0);
			*off = 0;
		}
	}
	size_t len = n;
	unsigned char *rec = c->out.vtable->encrypt(&c->out.vtable, type, VERSION, data, &len);
	BUG_ON(rec != (unsigned char *)room);
	buf_commit(&c->wire, len);
}

static void
alert(struct tls_conn *c, uint8_t level, uint8_t what)
{
	const char bytes[2] = {(char)level, (char)what};
	struct str s = str_from(bytes, 2);
	const struct str *part = &s;
	size_t off = 0;

	if (c->established && !c->closed)
		seal(c, REC_ALERT, &part, &off, 2);
	if (level == ALERT_FATAL || what == ALERT_CLOSE)
		c->closed = true;
}

int
tls_write(struct tls_conn *c, const struct str *parts, size_t n)
{
	size_t all = 0, off = 0;
	const struct str *part = parts;

	if (c->error)
		return c->error;
	if (!c->established)
		return -EAGAIN;
	if (c->closed)
		return -EPIPE;
	for (size_t i = 0; i < n; i++)
		all += parts[i].n;
	if (c->wire_off > 0 && c->wire_off >= c->wire.len / 2) {
		buf_consume(&c->wire, c->wire_off);
		c->wire_off = 0;
	}
	/* Room for all of it at once: what is sealed already is not moved again and again. */
	buf_reserve(&c->wire, all + (all / RECORD_MAX + 1) * (HEADER + OVERHEAD));
	while (all > 0 && !c->error) {
		size_t piece = all < RECORD_MAX ? all : RECORD_MAX;
		while (off == part->n) {
			part++;
			off = 0;
		}
		seal(c, REC_DATA, &part, &off, piece);
		all -= piece;
	}
	return c->error;
}

void
tls_close(struct tls_conn *c)
{
	if (!c->closed)
		alert(c, ALERT_WARNING, ALERT_CLOSE);
}

/* ---- opening ------------------------------------------------------------------------------------- */

static void
fatal(struct tls_conn *c, uint8_t what, const char *text)
{
	alert(c, ALERT_FATAL, what);
	tls_fail(c, -EPROTO, text);
}

/* odd: something harmless that should not come: a few are let pass. */
static void
odd(struct tls_conn *c)
{
	if (++c->odd > ODD_MAX)
		fatal(c, ALERT_UNEXPECTED, "too many unexpected messages");
}

static void
on_alert(struct tls_conn *c, const unsigned char *p, size_t n)
{
	if (n != 2 || (p[0] != ALERT_WARNING && p[0] != ALERT_FATAL)) {
		fatal(c, ALERT_UNEXPECTED, "malformed alert");
	} else if (p[1] == ALERT_CLOSE) {
		c->peer_closed = true;
	} else if (p[0] == ALERT_FATAL) {
		c->closed = true;
		tls_fail(c, -EPROTO, "peer sent a fatal alert");
	} else {
		odd(c);
	}
}

/* open_record: rec is one whole record, opened in place. */
static void
open_record(struct tls_conn *c, unsigned char *rec, size_t n)
{
	size_t len = n - HEADER;
	uint8_t type = rec[0];

	if (!c->in.vtable->check_length(&c->in.vtable, len)) {
		fatal(c, ALERT_OVERFLOW, "record of a bad length");
		return;
	}
	unsigned char *p = c->in.vtable->decrypt(&c->in.vtable, type, VERSION, rec + HEADER, &len);
	if (!p) {
		fatal(c, ALERT_BAD_MAC, "bad record MAC");
		return;
	}
	switch (type) {
	case REC_DATA:
		if (!c->peer_closed)
			buf_add(&c->plain, p, len);
		if (len == 0)
			odd(c);
		break;
	case REC_ALERT:
		on_alert(c, p, len);
		break;
	case REC_HANDSHAKE:
		/* A wish to renegotiate: declined. */
		alert(c, ALERT_WARNING, ALERT_NO_RENEGOTIATION);
		odd(c);
		break;
	default:
		fatal(c, ALERT_UNEXPECTED, "record of an unknown type");
	}
}

/* record_len: of the record that begins here, header included; 0 = the header is not whole yet. */
static size_t
record_len(struct tls_conn *c, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (s.n < HEADER)
		return 0;
	size_t len = (size_t)p[3] << 8 | p[4];
	if (p[1] != (VERSION >> 8) || p[2] != (VERSION & 0xff) || len > RECORD_MAX + OVERHEAD)
		fatal(c, ALERT_OVERFLOW, "malformed record");
	return HEADER + len;
}

/* feed_partial: completes the record that began earlier. Returns the bytes taken. */
static size_t
feed_partial(struct tls_conn *c, struct str in)
{
	size_t taken = 0;

	while (!c->error) {
		size_t want = record_len(c, buf_view(&c->partial));
		if (c->error)
			break;
		if (want > 0 && c->partial.len == want) {
			open_record(c, (unsigned char *)c->partial.data, want);
			buf_clear(&c->partial);
			break;
		}
		size_t n = (want > 0 ? want : HEADER) - c->partial.len;
		if (n > in.n - taken)
			n = in.n - taken;
		if (n == 0)
			break;
		buf_str(&c->partial, str_sub(in, taken, taken + n));
		if (c->partial.failed)
			tls_fail(c, -ENOMEM, "out of memory");
		taken += n;
	}
	return taken;
}

int
tls_feed(struct tls_conn *c, void *p, size_t n)
{
	struct str in = str_from(p, n);

	if (!c->established && !c->error)
		tls_handshake_feed(c, &in);
	while (in.n > 0 && !c->error && c->established && !c->peer_closed) {
		if (c->partial.len > 0) {
			in = str_sub(in, feed_partial(c, in), SIZE_MAX);
			continue;
		}
		size_t want = record_len(c, in);
		if (c->error)
			break;
		if (want == 0 || want > in.n) {
			buf_str(&c->partial, in);
			break;
		}
		open_record(c, (unsigned char *)p + (n - in.n), want);
		in = str_sub(in, want, SIZE_MAX);
	}
	if (c->plain.failed || c->partial.failed || c->wire.failed)
		tls_fail(c, -ENOMEM, "out of memory");
	return c->error;
}

/* ---- views --------------------------------------------------------------------------------------- */

struct str
tls_wire(const struct tls_conn *c)
{
	return str_sub(buf_view(&c->wire), c->wire_off, SIZE_MAX);
}

void
tls_wire_sent(struct tls_conn *c, size_t n)
{
	c->wire_off += n;
	if (c->wire_off < c->wire.len)
		return;
	c->wire_off = 0;
	/* Who waits for the peer's part of the handshake holds little. */
	if (c->established)
		buf_clear(&c->wire);
	else
		buf_release(&c->wire);
}

struct str
tls_readable(const struct tls_conn *c)
{
	return str_sub(buf_view(&c->plain), c->plain_off, SIZE_MAX);
}

void
tls_consume(struct tls_conn *c, size_t n)
{
	c->plain_off += n;
	if (c->plain_off >= c->plain.len) {
		buf_clear(&c->plain);
		c->plain_off = 0;
	} else if (c->plain_off > c->plain.len / 2) {
		buf_consume(&c->plain, c->plain_off);
		c->plain_off = 0;
	}
}

bool
tls_is_server(const struct tls_conn *c)
{
	return c->ctx->server;
}

bool
tls_established(const struct tls_conn *c)
{
	return c->established;
}

bool
tls_peer_closed(const struct tls_conn *c)
{
	return c->peer_closed;
}

int
tls_error(const struct tls_conn *c, struct err *e)
{
	if (c->error && e)
		err_set(e, c->error, R_UNKNOWN, "%s", c->message ? c->message : "out of memory");
	return c->error;
}

const struct tls_peer *
tls_conn_peer(const struct tls_conn *c)
{
	return &c->peer;
}

struct str
tls_conn_alpn(const struct tls_conn *c)
{
	return c->alpn ? STR("http/1.1") : STR("");
}

struct str
tls_conn_sni(const struct tls_conn *c)
{
	return str_is_set(c->sni) ? c->sni : STR("");
}

void
tls_conn_idle(struct tls_conn *c)
{
	if (c->partial.len == 0)
		buf_release(&c->partial);
	if (c->plain.len == 0)
		buf_release(&c->plain);
	if (c->wire.len == 0)
		buf_release(&c->wire);
}

size_t
tls_conn_bytes(const struct tls_conn *c)
{
	size_t names = c->peer.n_orgs * sizeof(struct str) + c->sni.n + c->peer.cn.n +
		c->peer.serial.n;

	for (size_t i = 0; i < c->peer.n_orgs; i++)
		names += c->peer.orgs[i].n;
	return sizeof(*c) + names + c->partial.cap + c->plain.cap + c->wire.cap +
		(c->hs ? tls_handshake_bytes() : 0);
}
