/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * access: what the programs of the fault suite share: the objects that are written, and how times are told. */
#ifndef TESTS_FAULT_ACCESS_H
#define TESTS_FAULT_ACCESS_H

#include "orchestrator/client/client.h"

/* access_times: "p50 1.2 ms, max 3.4 ms"; sorts. out holds >= 80 bytes. */
void access_times(int64_t *ns, size_t n, char *out, size_t size);

/* An object of the load: which write it is of stands in it twice, with bytes between that follow from it. */
struct access_object {
	struct str name;
	uint64_t rev, value; /* value 0: not whole */
};
/* access_object_write: the ConfigMap of write `op`; rev 0 = no resourceVersion in it. */
void access_object_write(
	struct buf *b, const char *ns, const char *name, uint64_t op, uint64_t rev);
/* access_object_read: false = none of the load's (the namespace's own). */
bool access_object_read(const struct doc *d, struct access_object *ret);

#endif
