/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * user: who a container runs as, out of the image's /etc/passwd and /etc/group. Total functions over the files' bytes;
 * malformed lines are skipped. Source: passwd(5), group(5); OCI image-spec config "User". */
#ifndef RUNTIME_USER_H
#define RUNTIME_USER_H

#include "base/arena.h"
#include "base/err.h"

struct user_want {
	struct str user;       /* of the image: "", "uid", "name", "uid:gid", "name:group" ... */
	bool has_uid, has_gid; /* win over `user` */
	uint32_t uid, gid;
	const uint32_t *groups;
	size_t n_groups;
	bool strict; /* no supplemental groups from the image */
};

struct user_found {
	uint32_t uid, gid;
	uint32_t *groups; /* arena, without duplicates, at most 4,096 */
	size_t n_groups;
	struct str home; /* "/" when unknown; borrows passwd */
};

/* user_resolve: Errors: -EINVAL with the texts `unable to find user foo: no matching entries in passwd
 * file`, `unable to find group bar: no matching entries in group file`; -ENOMEM. */
int user_resolve(struct arena *a, struct str passwd, struct str group, const struct user_want *want,
	struct user_found *ret, struct err *e);

#endif
