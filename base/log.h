/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * log: one line per event to stderr (the console or PID 1's log pipe): time, level, role, message,
 * key=value. Only loop callbacks, controllers and main log; libraries return errors. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* log_setup: role is static and printed on each line; level = least level printed. */
void log_setup(const char *role, enum log_level level);
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* log_capture: lines go to fn instead of stderr (tests, simulation); NULL restores. */
void log_capture(void (*fn)(void *arg, const char *line), void *arg);
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

#endif
