/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * err.c: see err.h. Invariants: msg always ends in NUL and is never cut inside a UTF-8 character; a
 * NULL error is accepted everywhere. Must not: allocate, log, touch errno.
 * Source: apimachinery metav1.StatusReason and api/errors for names and HTTP codes. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
	const char *name;
	int http;
} reasons[] = {
	[R_UNKNOWN] = {"", 500},
	[R_UNAUTHORIZED] = {"Unauthorized", 401},
	[R_FORBIDDEN] = {"Forbidden", 403},
	[R_NOT_FOUND] = {"NotFound", 404},
	[R_ALREADY_EXISTS] = {"AlreadyExists", 409},
	[R_CONFLICT] = {"Conflict", 409},
	[R_GONE] = {"Gone", 410},
	[R_INVALID] = {"Invalid", 422},
	[R_SERVER_TIMEOUT] = {"ServerTimeout", 500},
	[R_TIMEOUT] = {"Timeout", 504},
	[R_TOO_MANY_REQUESTS] = {"TooManyRequests", 429},
	[R_BAD_REQUEST] = {"BadRequest", 400},
	[R_METHOD_NOT_ALLOWED] = {"MethodNotAllowed", 405},
	[R_NOT_ACCEPTABLE] = {"NotAcceptable", 406},
	[R_REQUEST_ENTITY_TOO_LARGE] = {"RequestEntityTooLarge", 413},
	[R_UNSUPPORTED_MEDIA_TYPE] = {"UnsupportedMediaType", 415},
	[R_INTERNAL_ERROR] = {"InternalError", 500},
	[R_EXPIRED] = {"Expired", 410},
	[R_SERVICE_UNAVAILABLE] = {"ServiceUnavailable", 503},
};
static_assert(ARRAY_LEN(reasons) == R__COUNT, "one row per reason");

/* trim_utf8: when the text was cut, drop a character that lost its tail. */
static void
trim_utf8(char *msg, size_t size)
{
	size_t n = size - 1;
	while (n > 0 && ((unsigned char)msg[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0 && (unsigned char)msg[n - 1] >= 0xc0 &&
		!str_is_utf8(str_from(msg + n - 1, size - n)))
		msg[n - 1] = '\0';
}

__attribute__((format(printf, 2, 0))) static void
err_vprint(struct err *e, const char *fmt, va_list ap)
{
	int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	if (n < 0)
		e->msg[0] = '\0';
	else if ((size_t)n >= sizeof(e->msg))
		trim_utf8(e->msg, sizeof(e->msg));
}

int
err_set(struct err *e, int code, enum reason reason, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list ap;
	va_start(ap, fmt);
	err_vprint(e, fmt, ap);
	va_end(ap);
	e->code = code;
	e->reason = reason;
	return code;
}

/* err_append: text behind what is there, cut at the end of the buffer. */
static void
err_append(struct err *e, const char *text)
{
	size_t n = strlen(e->msg);
	if (!str_copy_c(str_c(text), e->msg + n, sizeof(e->msg) - n))
		trim_utf8(e->msg, sizeof(e->msg));
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return 0;
	char inner[sizeof(e->msg)];
	memcpy(inner, e->msg, sizeof(inner));
	va_list ap;
	va_start(ap, fmt);
	err_vprint(e, fmt, ap);
	va_end(ap);
	err_append(e, ": ");
	err_append(e, inner);
	return e->code;
}

int
err_errno(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list ap;
	va_start(ap, fmt);
	err_vprint(e, fmt, ap);
	va_end(ap);
	e->code = code;
	e->reason = R_UNKNOWN;
	err_append(e, ": ");
	err_append(e, strerror(-code));
	return code;
}

void
err_clear(struct err *e)
{
	if (!e)
		return;
	e->code = 0;
	e->reason = R_UNKNOWN;
	e->msg[0] = '\0';
}

const char *
reason_name(enum reason r)
{
	return (unsigned)r < R__COUNT ? reasons[r].name : "";
}

int
reason_http(enum reason r)
{
	return (unsigned)r < R__COUNT ? reasons[r].http : 500;
}

enum reason
reason_from_name(struct str name)
{
	for (unsigned r = R_UNKNOWN + 1; r < R__COUNT; r++)
		if (str_eq_c(name, reasons[r].name))
			return (enum reason)r;
	return R_UNKNOWN;
}

enum reason
reason_from_http(int status)
{
	static const enum reason assumed[] = {
		R_UNAUTHORIZED,
		R_FORBIDDEN,
		R_NOT_FOUND,
		R_CONFLICT,
		R_GONE,
		R_INVALID,
		R_TIMEOUT,
		R_TOO_MANY_REQUESTS,
		R_BAD_REQUEST,
		R_METHOD_NOT_ALLOWED,
		R_NOT_ACCEPTABLE,
		R_REQUEST_ENTITY_TOO_LARGE,
		R_UNSUPPORTED_MEDIA_TYPE,
		R_SERVICE_UNAVAILABLE,
	};
	for (size_t i = 0; i < ARRAY_LEN(assumed); i++)
		if (reasons[assumed[i]].http == status)
			return assumed[i];
	return status >= 500 ? R_INTERNAL_ERROR : R_UNKNOWN;
}

void
bug_abort(const char *what, const char *file, int line)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "BUG: %s at %s:%d\n", what, file, line);
	if (n > 0)
		(void)!write(STDERR_FILENO, text,
			(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	abort();
}

void
cleanup_fd(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	close(*fd);
	errno = saved;
}

void
cleanup_free(void *p)
{
	void *block = NULL;
	memcpy(&block, p, sizeof(block));
	free(block);
}
