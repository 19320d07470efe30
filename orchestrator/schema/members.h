/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * members: a map being changed member by member in time that does not depend on its size: small ones are
 * walked, large ones get an index, and what goes is only marked until members_end. For the patches,
 * whose sizes strangers choose. */
#ifndef ORCHESTRATOR_SCHEMA_MEMBERS_H
#define ORCHESTRATOR_SCHEMA_MEMBERS_H

#include "base/hash.h"
#include "orchestrator/schema/schema_int.h"

struct members {
	struct doc *map;
	struct map index;
	bool big, swept;
};

/* members_begin: for `changes` changes of d. 0 or -ENOMEM. End with members_end in every case. */
int members_begin(struct members *ms, struct doc *d, size_t changes);
struct doc *members_get(const struct members *ms, struct str key);
/* members_put: v becomes the member's content, or a new last member. 0 or -ENOMEM. */
int members_put(struct members *ms, struct str key, struct doc *v);
void members_del(struct members *ms, struct str key);
void members_end(struct members *ms);

#endif
