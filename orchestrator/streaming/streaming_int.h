/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * streaming_int: what the files of this folder share: the server's object, parsed queries, streams. */
#ifndef ORCHESTRATOR_STREAMING_STREAMING_INT_H
#define ORCHESTRATOR_STREAMING_STREAMING_INT_H

#include "base/doc.h"
#include "base/hash.h"
#include "netstack/http/http.h"
#include "orchestrator/streaming/streaming.h"

#define STREAMING_MESSAGE_MAX (1 << 20)
#define STREAMING_INPUT_HIGH (64 * 1024)    /* more waiting for a program: the client is not read */
#define STREAMING_SETUP_NS (30 * NS_PER_SEC) /* a SPDY client opens its streams within this */
#define STREAMING_LEAVE_NS (30 * NS_PER_SEC) /* a client leaves after the end within this */

/* Everything that outlives its request is in the server's list, so that streaming_free ends it. */
struct upgraded {
	struct upgraded *next, **at;
	void (*stop)(struct upgraded *u);
};

struct streaming {
	struct streaming_config cfg; /* strings: own copies or unused */
	struct arena *a;
	struct http_server *http;
	struct tls_ctx *tls;
	struct map verdicts; /* see access.c */
	struct upgraded *upgraded;
};

void upgraded_add(struct streaming *s, struct upgraded *u, void (*stop)(struct upgraded *u));
void upgraded_del(struct upgraded *u);

/* reply_text: a plain reply; ends the request. */
void reply_text(struct http_req *r, int status, struct str text);
/* reply_err: status of e's reason, its text. */
void reply_err(struct http_req *r, const struct err *e);
/* reply_upgrade: the refusal of a hand-shake that ws_accept and its like did not end: -EINVAL 400,
 * -EPROTONOSUPPORT 403. Nothing for other codes: the request is over. */
void reply_upgrade(struct http_req *r, int code);

/* ---- access.c ---- */

/* access_check: who asks, and may he use one of subs (n of them, best first) of nodes? granted(r, arg)
 * runs at once or later; else the request is answered 401, 403 or 500. Takes r->arg until then. */
void access_check(struct streaming *s, struct http_req *r, const char *const *subs, size_t n_subs,
	void (*granted)(struct http_req *r, void *arg), void *arg);
void access_release(struct streaming *s);

/* ---- query.c: total functions of a raw query ---- */

struct logs_query {
	bool follow, timestamps, previous, only_stdout, only_stderr;
	int64_t tail_lines;  /* -1 = all */
	int64_t limit_bytes; /* 0 = none */
	int64_t since_ns;    /* wall; 0 = all */
};
/* query_logs: 0; -EINVAL a value that is none (400); -ERANGE one that may not be (422). */
int query_logs(struct arena *a, struct str query, int64_t now_ns, struct logs_query *ret);

struct exec_query {
	const struct str *argv; /* arena */
	size_t n_argv;
	bool use_stdin, use_stdout, use_stderr, tty;
};
/* query_exec: 0; -EINVAL no stream is asked for (text as the kubelet's); -ENOMEM. */
int query_exec(struct arena *a, struct str query, struct exec_query *ret);
/* query_target: "ns/pod[/uid][/container]" of a decoded path. -ENOENT another shape. */
struct query_target {
	struct str ns, pod, uid, container;
};
int query_target(struct str path, bool with_container, bool with_uid, struct query_target *ret);

/* ---- logs.c, session*.c, forward.c: authorized requests ---- */
void logs_serve(struct streaming *s, struct http_req *r, const struct query_target *t);
void session_serve(
	struct streaming *s, struct http_req *r, const struct query_target *t, bool attach);
void forward_serve(struct streaming *s, struct http_req *r, const struct query_target *t);

#endif
