/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * caps: capability names and the sets a container gets. Pure functions. Source: capabilities(7). */
#ifndef RUNTIME_CAPS_H
#define RUNTIME_CAPS_H

#include "base/err.h"
#include "base/str.h"

/* caps_default: the set of a container that asks for nothing. */
uint64_t caps_default(void);
/* caps_all: all this kernel knows (/proc/sys/kernel/cap_last_cap, read once). */
uint64_t caps_all(void);
/* caps_parse: "NET_ADMIN", "cap_net_admin", "ALL" -> bits. -EINVAL (e: `unknown capability "FOO"`). */
int caps_parse(struct str name, uint64_t *ret, struct err *e);
/* caps_resolve: start with the default (or all with privileged), add, drop; "ALL" first, single names
 * win over it. 0 or -EINVAL. */
int caps_resolve(bool privileged, const struct str *add, size_t n_add, const struct str *drop,
	size_t n_drop, uint64_t *ret, struct err *e);

#endif
