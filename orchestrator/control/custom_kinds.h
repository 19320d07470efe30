/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom_kinds: the kinds of custom resources there are, for controllers that look at every kind.
 *
 * A kind is the version its objects are stored in, with what it takes to name it: group, version, kind, plural,
 * scope. It stays in memory once it was seen, so whoever holds one need not care when its definition goes; one that
 * comes again is the same. Invariant: on the loop of the client only. */
#ifndef ORCHESTRATOR_CONTROL_CUSTOM_KINDS_H
#define ORCHESTRATOR_CONTROL_CUSTOM_KINDS_H

#include "orchestrator/client/client.h"
#include "orchestrator/schema/schema.h"

struct custom_kinds;
/* custom_kinds_new: on_kind (may be NULL) is told of each kind that comes (there) and goes. */
int custom_kinds_new(struct client *c,
	void (*on_kind)(void *arg, const struct schema_kind *k, bool there), void *arg,
	struct custom_kinds **ret);
void custom_kinds_free(struct custom_kinds *k);
/* custom_kinds_synced: the kinds that were there at the beginning have been told. */
bool custom_kinds_synced(const struct custom_kinds *k);
/* custom_kinds_next: those that are there; *pos starts at 0. NULL at the end. */
const struct schema_kind *custom_kinds_next(const struct custom_kinds *k, size_t *pos);

#endif
