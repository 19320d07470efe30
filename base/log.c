/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * log.c: see log.h. One line is one write(2), so that lines of several threads and roles do not mix.
 * Invariants: a line holds no control characters (text of peers cannot forge lines or move a
 * terminal's cursor) and at most LINE_MAX_BYTES. Must not: allocate or block on anything but stderr. */
#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
static_assert(ARRAY_LEN(level_names) == LOG_ERROR + 1, "one name per level");

static const char *log_role = "keelson";
static enum log_level log_least = LOG_INFO;
static void (*capture_fn)(void *arg, const char *line);
static void *capture_arg;

void
log_setup(const char *role, enum log_level level)
{
	log_role = role;
	log_least = level;
}

void
log_capture(void (*fn)(void *arg, const char *line), void *arg)
{
	capture_fn = fn;
	capture_arg = arg;
}

void
log_at(enum log_level level, const char *fmt, ...)
{
	if (level < log_least)
		return;
	char line[LINE_MAX_BYTES];
	size_t n = rfc3339_format(clock_wall_ns(), 3, line);
	n += (size_t)snprintf(line + n, sizeof(line) - n, " %s %s ", level_names[level], log_role);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
	va_end(ap);
	size_t end = m < 0 ? n : n + (size_t)m;
	if (end > sizeof(line) - 2)
		end = sizeof(line) - 2;
	for (size_t i = n; i < end; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[end] = '\0';
	if (capture_fn) {
		capture_fn(capture_arg, line);
		return;
	}
	line[end] = '\n';
	(void)!write(STDERR_FILENO, line, end + 1);
}
