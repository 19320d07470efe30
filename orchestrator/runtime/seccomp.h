/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: profiles as tables, compiled to classic BPF. A program is made in the parent (this allocates), the
 * child only loads it. Per call the kernel walks a binary tree over ranges of numbers, and its own bitmap skips
 * even that for calls that are always allowed.
 * Source: seccomp(2), OCI runtime-spec 1.2 config-linux "Seccomp". */
#ifndef RUNTIME_SECCOMP_H
#define RUNTIME_SECCOMP_H

#include "base/buf.h"
#include "base/err.h"

struct seccomp_name {
	const char *name;
	uint16_t nr;
};
/* Sorted by name. */
extern const struct seccomp_name seccomp_names[];
extern const size_t seccomp_n_names;
extern const uint32_t seccomp_native_arch;

/* Calls that are allowed when the bounding set holds cap; -1 = always. */
struct seccomp_group {
	int cap;
	const char *const *names;
	size_t n_names;
};
extern const struct seccomp_group seccomp_groups[];
extern const size_t seccomp_n_groups;

/* seccomp_number: of a call's name, or -1. */
int seccomp_number(struct str name);
/* seccomp_default: appends the program (struct sock_filter[]) of the runtime's profile for a container with this
 * bounding set (bit per capability). 0 or -ENOMEM. */
int seccomp_default(struct arena *a, uint64_t caps, struct buf *ret_prog);
/* seccomp_from_json: the same for a profile in OCI form. Unknown names are skipped, as everywhere.
 * Errors: -EINVAL (e), -E2BIG more than 4,096 instructions, -ENOMEM. */
int seccomp_from_json(struct arena *a, struct str json, struct buf *ret_prog, struct err *e);

#endif
