/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex: regular expressions as RE2 and Go read them, matched in time linear in the text: what the schemas of
 * custom resources and CEL are written in. Groups are grouping only.
 *
 * Understood: literals, . [] [^] | () (?:) (?P<name>) (?<name>) (?ims) ^ $ \A \z \b \B * + ? {n,m} and their lazy
 * forms, \d \s \w \D \S \W, [[:alpha:]], \x{10FFFF} \x7F \012 \Q..\E. Not: \p{Greek} (there are no tables of
 * Unicode here): an error. Case is folded for ASCII only.
 * Invariants: a compiled expression is immutable and may be used by any thread. No backtracking, no recursion
 * over the text; memory is bounded by the length of the program.
 * Source: RE2 syntax; Go regexp/syntax (texts of errors); Thompson's construction. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/arena.h"
#include "base/err.h"

#define REGEX_PROGRAM_MAX 20000 /* instructions of one expression */

struct regex;
/* regex_compile: the expression is arena (the pattern is not needed any more). Errors: -EINVAL (e: "error parsing
 * regexp: missing closing ): `(a`" and alike), -E2BIG more than REGEX_PROGRAM_MAX (e), -ENOMEM. */
int regex_compile(struct arena *a, struct str pattern, const struct regex **ret, struct err *e);
/* regex_match: does it match anywhere in the text? 1 or 0; -E2BIG: more work than is done for one text
 * (the length of both together), -ENOMEM. */
int regex_match(const struct regex *re, struct str text);
/* regex_find: the first match at or behind byte `from`, the leftmost one and of those the one that Go prefers (the
 * first alternative, as much as a greedy repetition takes): bytes [*ret_from, *ret_to). 1, 0 none, -E2BIG, -ENOMEM. */
int regex_find(
	const struct regex *re, struct str text, size_t from, size_t *ret_from, size_t *ret_to);

#endif
