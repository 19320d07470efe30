/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checker: decides whether a history of writes, watches and lists can be that of a store which loses
 * nothing. A history is text, one line a fact, in the order in which its one writer (load.c) learned them:
 *
 *   send OP create|update|delete NAME BASE   a write leaves; OP counts from 1; BASE: the revision of the
 *                                            object it is conditional on (0 of a create)
 *   done OP REV                              it was acknowledged (REV 0: the reply named none)
 *   none OP CODE                             it was refused, so it was not done
 *   open OP WHY                              no answer: done or not, but not half
 *   ask READ NAME                            a read leaves
 *   saw READ REV VALUE | gone READ           its answer
 *   look READER                              a list leaves; readers are watchers 1.., and 0 for plain lists
 *   list READER REV, item READER NAME REV VALUE ..., listed READER
 *   event READER A|M|D NAME REV VALUE        seen by a watch that goes on from the reader's last revision
 *   mark READER REV                          a bookmark
 *   lost READER                              the watch cannot go on (410); a list follows
 *   at POSITION                              how much of the server's disk had been recorded by now
 *
 * VALUE is the OP that wrote the object, or anything else when the object is not whole.
 * What is held: every acknowledged write is there; a revision is one change; a write sent after a
 * revision was known has a higher one; a watcher sees each change once, in order, across reconnections;
 * a list is the state as of its revision; an unanswered write is there for all or for nobody. Where no
 * watcher saw a stretch of revisions whole, changes by unanswered writes may be hidden in it. */
#ifndef TESTS_FAULT_CHECKER_H
#define TESTS_FAULT_CHECKER_H

#include "base/buf.h"

struct checker;

struct checker_options {
	bool relists; /* a watcher may have had to list anew: history does not outlive a power cut */
	bool cut; /* the history stops in the middle: watchers need not have seen its last change */
};

struct checker_sum {
	size_t writes, acked, open, refused, changes, watchers, relists;
};

/* checker_new: returns owned; NULL = no memory. */
struct checker *checker_new(void);
void checker_free(struct checker *c);
/* checker_read: takes a history, or the next part of one, up to the first "at" beyond `until` (UINT64_MAX =
 * whole). text is borrowed until checker_free. */
void checker_read(struct checker *c, struct str text, uint64_t until);
/* checker_judge: once, after all was read: faults as lines (the first hundred). Returns their number. */
size_t checker_judge(struct checker *c, const struct checker_options *o, struct buf *out,
	struct checker_sum *ret);

#endif
