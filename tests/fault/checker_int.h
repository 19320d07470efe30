/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checker_int: what the checker's two halves share: checker_read.c makes this of the lines (and finds what
 * is wrong with a line in its place), checker.c judges the whole. */
#ifndef TESTS_FAULT_CHECKER_INT_H
#define TESTS_FAULT_CHECKER_INT_H

#include "base/err.h"
#include "base/hash.h"
#include "tests/fault/checker.h"

enum op_kind { OP_CREATE, OP_UPDATE, OP_DELETE, OP__COUNT };
enum op_state { OP_SENT, OP_DONE, OP_NONE, OP_OPEN };

struct op {
	uint64_t id, base;
	uint64_t rev;  /* its change; 0 = not known */
	uint64_t high; /* highest revision known when it was sent */
	enum op_kind kind;
	enum op_state state;
	struct name *name;
	struct op *next; /* of the name */
	size_t line, done_line;
};

/* A change of one object, as somebody saw it; and, merged, as it must have been. */
struct change {
	uint64_t rev, value;
	struct name *name;
	char kind; /* A, M, D */
	size_t line;
	struct change *next; /* of the name, by revision */
};

struct name {
	struct str text;
	struct op *ops, **ops_end;
	struct change *changes, **changes_end;
	uint64_t acked; /* highest acknowledged revision so far */
};

/* What a reader followed without a gap: (from, to]. */
struct stretch {
	uint64_t from, to;
};

struct viewer {
	uint64_t number, cursor, look_high;
	size_t look_line;
	uint64_t *revs; /* changes seen */
	size_t n_revs;
	struct stretch *stretches;
	size_t n_stretches;
	bool begun, listing;
};

struct item {
	struct name *name;
	uint64_t rev, value;
};

struct list {
	struct viewer *reader;
	uint64_t rev;
	struct item *items;
	size_t n_items;
	size_t line, look_line;
};

struct read {
	struct name *name;
	uint64_t acked, rev; /* acknowledged when it was sent; seen (0 = gone) */
	bool answered;
	size_t line, reply_line;
};

struct checker {
	struct arena *a;
	struct map names;
	struct op **ops;
	size_t n_ops;
	struct change *seen; /* one entry a sighting */
	size_t n_seen;
	struct change *changes; /* merged, by revision */
	size_t n_changes;
	struct viewer **readers;
	size_t n_readers;
	struct list *lists;
	size_t n_lists;
	struct read *reads;
	size_t n_reads;
	struct stretch *covered; /* what at least one watcher followed, merged, rising */
	size_t n_covered;
	uint64_t high;
	size_t line, relists;
	size_t n_faults;
	struct buf faults;
	const struct checker_options *o;
};

void checker_fault(struct checker *c, size_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
