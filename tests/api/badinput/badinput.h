/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * badinput: `make suite-badinput`: what is wrong with a request, each line a test with the one right answer,
 * against a `keelson server` of its own over TLS. The parts: main.c (groups, counting), server.c (the process
 * under test), client.c (connections and answers), and one file a group.
 *
 * Invariants: one thread, blocking with deadlines; the seed of what is random is printed. After every
 * group the server must be alive, serve, and hold no more descriptors than before. */
#ifndef TESTS_API_BADINPUT_H
#define TESTS_API_BADINPUT_H

#include "base/doc.h"

/* ---- counting: main.c ---- */

/* check: one test; fmt is its name, then what was seen when it failed (printed only then). */
bool check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t now_ms(void);
/* poll_wait: between two looks at a condition with a deadline. remove_tree: with all below it. */
void poll_wait(int ms);
void remove_tree(const char *dir);

/* ---- the process under test: server.c ---- */

struct server {
	const char *program; /* of keelson */
	char dir[256];       /* --data-dir */
	int pid, port;
	struct arena *a; /* of the credentials */
	struct str ca, cert, key;
	struct tls_ctx *tls;
	struct conn *conn; /* kept alive between calls */
};
/* server_start: a fresh or an existing data directory; port 0 = any. false: said why. */
bool server_start(struct server *s, const char *program, const char *dir, int port);
/* server_end: by a signal; waits for the end. false: it did not end within 20 s. */
bool server_end(struct server *s, int sig);
bool server_alive(const struct server *s);
int server_fds(const struct server *s);

/* ---- connections and answers: client.c ---- */

struct conn {
	int fd;
	struct tls_conn *tls; /* NULL = plain */
	struct buf in;        /* plain bytes that came and were not taken */
	bool eof, broken;
};
/* conn_open: connected, and with tls shaken hands. NULL: said why. conn_free: NULL is allowed. */
struct conn *conn_open(struct server *s, bool tls);
void conn_free(struct conn *c);
/* conn_send: all of it, unless the other side has closed (false). */
bool conn_send(struct conn *c, struct str bytes);
/* conn_wait: until there are more bytes, the end, or the deadline. False: nothing came. */
bool conn_wait(struct conn *c, int64_t deadline_ms);

struct answer {
	int http; /* 0 = none came */
	struct str head, body;
	const struct doc *doc; /* of the body, when it is JSON */
	bool closed;           /* the server closed behind it */
};
/* conn_answer: the next answer on a connection; to_end: also whether it is closed afterwards. arena. */
void conn_answer(struct arena *a, struct conn *c, bool to_end, struct answer *ret);
/* answer_header: value of the nth header of that name, STR_NONE = not there. */
struct str answer_header(const struct answer *an, const char *name, size_t nth);
struct str answer_reason(const struct answer *an);
struct str answer_message(const struct answer *an);

struct call {
	const char *method, *path; /* path without the first slash */
	const char *type;          /* Content-Type; NULL = application/json */
	const char *headers;       /* further ones, each with \r\n */
	struct str body;
};
/* call: over the kept connection (opened again when it was closed). */
void call(struct arena *a, struct server *s, const struct call *c, struct answer *ret);
/* get_ok: GET of the path is 200. */
bool get_ok(struct server *s, const char *path);
/* says: the answer has status and reason, and its message has the text in it. One test. */
bool says(const struct answer *an, int http, const char *reason, const char *text, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* A request and its one answer; NULLs are not looked at. ASK's last argument may have members behind it. */
struct ask {
	const char *method, *path, *body;
	int http;
	const char *reason,
		*text; /* text: somewhere in the message of the Status, or in the body */
	const char *type, *headers; /* as of struct call */
	const char *cause, *field;  /* FieldValue<cause> at the field */
};
#define ASK(m, p, b, h, r, ...)                                                                    \
	{                                                                                          \
		.method = m, .path = p, .body = b, .http = h, .reason = r, .text = __VA_ARGS__     \
	}
void ask_all(struct server *s, const struct ask *asks, size_t n);
/* cause_is: one of FieldValue<reason> at the field. One test. */
bool cause_is(const struct answer *an, const char *reason, const char *field, const char *name);
/* repeated: n times a text. nested: open n times, then middle, then close n times. arena. */
struct str repeated(struct arena *a, const char *text, size_t n);
struct str nested(
	struct arena *a, const char *open, const char *middle, const char *close, size_t n);

/* ---- groups ---- */

void group_wire(struct server *s);
void group_bodies(struct server *s);
void group_patches(struct server *s);
void group_options(struct server *s);
void group_limits(struct server *s);
/* make_large: objects for lists of 30 MB, in the namespace large. */
void make_large(struct server *s);
/* slow_start: the slow clients begin, in a process of their own; slow_stop: they end, if they are still there. */
void slow_start(struct server *s);
void slow_stop(void);
void group_slow(struct server *s);
void group_kill(struct server *own); /* with a server of its own, beside */
void group_disk(struct server *own); /* likewise */

void group_validation(struct server *s);

#endif
