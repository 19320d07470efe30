/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * sandbox: the fence around an unprivileged role: its own user, no capabilities, Landlock over the
 * paths it works in, a system call filter. Entered by the role itself after it has opened what it was
 * given and before it serves; there is no way back.
 * Invariants: the filter kills the process and never answers an errno: a library that is told EPERM
 * where it expects success may write nonsense. Rules hold for all threads, present and future.
 * Sources: Linux landlock(7), seccomp(2), capabilities(7). */
#ifndef INIT_SANDBOX_H
#define INIT_SANDBOX_H

#include "base/err.h"

#include <sys/types.h>

#define CAP_BIT(cap) (1ULL << (cap))

struct sandbox {
	uid_t uid;
	gid_t gid;
	const char *const *write_paths; /* folders read, written and made below; NULL-terminated */
	const char *const *read_paths;  /* files or folders only read; NULL-terminated */
	const uint16_t *bind_ports;     /* TCP ports that may still be bound */
	size_t n_bind_ports;
	bool inet_sockets;     /* may make IPv4 and IPv6 sockets (and no others) */
	const int *more_calls; /* system calls besides the common set */
	size_t n_more_calls;
};

/* sandbox_enter: all of it, in the only order that works. On failure the process must end: it may be
 * fenced in part. Errors: -errno; e says which step. A kernel without Landlock is an error. */
int sandbox_enter(const struct sandbox *s, struct err *e);
/* sandbox_caps_keep: drops every other capability from the bounding, permitted and effective sets; for
 * roles that stay root. 0 or -errno. Async-signal-safe: used between fork and exec. */
int sandbox_caps_keep(uint64_t caps);

#endif
