/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_int: what values of the libraries hold, for the files that make and compare them. */
#ifndef ORCHESTRATOR_CEL_LIB_INT_H
#define ORCHESTRATOR_CEL_LIB_INT_H

#include "base/ip.h"
#include "orchestrator/cel/cel_int.h"

struct cel_url {
	struct str text, scheme, host, path, query;
};
struct cel_semver {
	uint64_t major, minor, patch;
	struct str pre, build;
};
struct cel_format {
	const char *name, *shown;
	uint64_t size; /* of the expression that it stands for, as costs have it */
	/* NULL = good; items (arena) as *ret. n: how many. */
	size_t (*faults)(struct arena *a, struct str s, bool prefix, struct str *out, size_t most);
	bool prefix;
};
struct cel_quantity {
	struct quantity q;
	bool whole; /* an integer as upstream keeps them */
};
struct cel_decision {
	bool allowed;
	struct str reason, error;
	bool errored;
};
/* cel_url_parse: STR_NONE and *u, or why it is none. cel_url_fault: the same as Go's error, STR_NONE = good. */
struct str cel_url_parse(struct arena *a, struct str text, struct cel_url *u);
struct str cel_url_fault(struct arena *a, struct str text);
int cel_semver_compare(const struct cel_semver *x, const struct cel_semver *y);

#endif
