/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * wire: one connected socket on a loop, with or without TLS: bytes in to its owner, bytes out from it.
 * Private to this folder: server, client and tunnels stand on it; a connection that is upgraded hands
 * its wire over.
 *
 * Invariants: input that the owner did not take stays here and is offered again with what follows;
 * output is collected during a turn and sent at its end, large writes with TLS as they are sealed. A wire is
 * freed at the end of the turn in which wire_free was called; no callback runs after that call. */
#ifndef NETSTACK_HTTP_WIRE_H
#define NETSTACK_HTTP_WIRE_H

#include "netstack/http/message.h"

struct http_wire;

struct http_wire_ops {
	/* established: connected, and the TLS handshake is over. Once. */
	void (*established)(void *arg);
	/* data: all input not yet taken; returns how much of it is taken now. Not called while paused. */
	size_t (*data)(void *arg, struct str bytes);
	/* eof: the peer sends no more; everything before was offered. Once. */
	void (*eof)(void *arg);
	/* sent: bytes went out. */
	void (*sent)(void *arg);
	/* broken: the transport failed, in or out. Once; the owner frees the wire. */
	void (*broken)(void *arg, const struct err *e);
};

/* All wires of one server or client; tunnels leave the list. */
struct http_wire_list {
	struct http_wire *first;
};

struct http_wire {
	struct loop *loop;
	struct loop_fd w;
	struct tls_conn *tls; /* NULL = plain */
	const struct http_wire_ops *ops;
	void *arg;
	struct http_wire_list *list;
	struct http_wire *prev, *next;
	struct buf in; /* plain: input not taken; with TLS it stays in the engine */
	size_t in_off;
	struct buf out; /* not yet sealed (TLS), or not yet sent (plain) */
	size_t out_off;
	struct loop_work work;
	struct loop_timer linger;
	int64_t read_ns; /* loop time of the last input */
	int64_t sent_ns; /* loop time of the last output, or since when something waits to go out */
	size_t lingered;
	struct http_addr remote;
	bool watched, connecting, ready, paused, watch_gone, eof, eof_told, is_broken, dead, kicked;
	bool finishing, shut, shut_done;
	bool pushed; /* bytes went out since the owner was told */
};

/* http_wire_new: fd is taken (also on error), non-blocking; connecting: a connect is under way. tls is
 * taken too (NULL = plain). Errors: -ENOMEM, -errno. */
int http_wire_new(struct loop *l, int fd, bool connecting, struct tls_conn *tls,
	const struct http_wire_ops *ops, void *arg, struct http_wire_list *list,
	struct http_wire **ret);
void http_wire_own(struct http_wire *w, const struct http_wire_ops *ops, void *arg);
/* http_wire_list_set: move to another list (NULL = none). */
void http_wire_list_set(struct http_wire *w, struct http_wire_list *list);
/* http_wire_list_release: the list ends: lingering wires are freed, others are taken out of it. */
void http_wire_list_release(struct http_wire_list *list);
void http_wire_free(struct http_wire *w); /* NULL allowed */
/* http_wire_finish: the wire is its owner's no more: what is queued is sent, then the sending side is
 * shut, input is thrown away until the peer closes or limit_ns passed; then it frees itself. */
void http_wire_finish(struct http_wire *w, int64_t limit_ns);
/* http_wire_shutdown: no more output after what is queued. */
void http_wire_shutdown(struct http_wire *w);
/* http_wire_write: returns the bytes queued. Nothing happens on a broken wire. */
size_t http_wire_write(struct http_wire *w, const struct str *parts, size_t n);
size_t http_wire_queued(const struct http_wire *w);
/* http_wire_pause: no more data callbacks. watch_gone: the peer's end is still told (eof), though
 * input may be left. */
void http_wire_pause(struct http_wire *w, bool paused, bool watch_gone);
void http_wire_kick(struct http_wire *w); /* offer what is left once more, later in this turn */
size_t http_wire_pending(const struct http_wire *w); /* input not taken */
void http_wire_idle(struct http_wire *w);            /* give buffers back */

#endif
