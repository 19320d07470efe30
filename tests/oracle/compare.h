/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * compare: two answers to one step, point by point. Private to this folder. */
#ifndef TESTS_ORACLE_COMPARE_H
#define TESTS_ORACLE_COMPARE_H

#include "tests/oracle/oracle.h"

/* How a unit stands, worst last: a later one may not follow an earlier one (states, known). */
enum verdict { SAME, DIFFERENT, MISSING, VERDICT__COUNT };
extern const char verdict_letters[VERDICT__COUNT + 1];

struct point {
	struct str where;        /* "status", "header Warning", "body.spec.replicas" */
	struct str theirs, ours; /* STR_NONE = absent */
};
/* One thing that is counted: a step, or a part of its body. */
struct unit {
	struct str part; /* STR_NONE = the step, without its parts */
	enum verdict verdict;
	const struct point *points;
	size_t n_points;
	struct str cause; /* what it is counted under */
};
struct units {
	struct unit *v;
	size_t n;
};
/* compare_step: the step's units in the order of their answer. arena. */
struct units compare_step(
	struct arena *a, const struct oracle_step *theirs, const struct oracle_step *ours);

#endif
