/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * err: a user-visible failure: errno, API reason, one line of text. Caller-owned, fixed size, no heap.
 * Born at the failing call, wrapped once per layer that adds a fact ("starting sandbox: ...").
 * Text: lower case, what failed first, subject in single quotes, no full stop (API texts follow
 * upstream's wording instead). Source: apimachinery metav1.StatusReason for the reasons. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>

enum reason {
	R_UNKNOWN, /* not an API reason: internal failures; becomes InternalError at the API */
	R_UNAUTHORIZED,
	R_FORBIDDEN,
	R_NOT_FOUND,
	R_ALREADY_EXISTS,
	R_CONFLICT,
	R_GONE,
	R_INVALID,
	R_SERVER_TIMEOUT,
	R_TIMEOUT,
	R_TOO_MANY_REQUESTS,
	R_BAD_REQUEST,
	R_METHOD_NOT_ALLOWED,
	R_NOT_ACCEPTABLE,
	R_REQUEST_ENTITY_TOO_LARGE,
	R_UNSUPPORTED_MEDIA_TYPE,
	R_INTERNAL_ERROR,
	R_EXPIRED,
	R_SERVICE_UNAVAILABLE,
	R__COUNT
};

struct err {
	int code; /* negative errno, 0 = none */
	enum reason reason;
	char msg[512];
};

/* err_set: fills e (NULL is allowed) and returns `code`, so that `return err_set(...)` reads well. */
int err_set(struct err *e, int code, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* err_wrap: puts "text: " in front of the message; returns e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* err_errno: err_set with the system's text for `code` (negative errno) behind the formatted text. */
int err_errno(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void err_clear(struct err *e);
/* reason_name / reason_http / reason_from_name: "NotFound", 404; unknown name = R_UNKNOWN. */
const char *reason_name(enum reason r);
int reason_http(enum reason r);
enum reason reason_from_name(struct str name);
/* reason_from_http: the reason a client assumes for a bare HTTP status. */
enum reason reason_from_http(int status);

/* BUG_ON: a programming error, the only abort outside main. */
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			bug_abort(#cond, __FILE__, __LINE__);                                      \
	} while (0)
_Noreturn void bug_abort(const char *what, const char *file, int line);

/* Scope-bound cleanup. */
void cleanup_fd(int *fd);   /* close if >= 0 */
void cleanup_free(void *p); /* free(*(void **)p) */
#define _cleanup_fd_ __attribute__((cleanup(cleanup_fd)))
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int _taken = (fd);                                                                 \
		(fd) = -1;                                                                         \
		_taken;                                                                            \
	})
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		typeof(p) _taken = (p);                                                            \
		(p) = NULL;                                                                        \
		_taken;                                                                            \
	})

#endif
