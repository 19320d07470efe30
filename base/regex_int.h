/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex_int: the tree between the two halves of regular expressions: regex_parse.c reads a pattern into it, regex.c
 * makes a program of it and runs that. */
#ifndef BASE_REGEX_INT_H
#define BASE_REGEX_INT_H

#include "base/regex.h"

#define RUNE_MAX 0x10ffff

struct range {
	uint32_t lo, hi;
};
struct set {
	struct range *ranges; /* sorted, apart */
	size_t n;
	bool fold;
};
enum node_kind {
	NODE_EMPTY,
	NODE_SET,
	NODE_CAT,
	NODE_ALT,
	NODE_REPEAT,
	NODE_LINE_BEGIN,
	NODE_LINE_END,
	NODE_TEXT_BEGIN,
	NODE_TEXT_END,
	NODE_WORD,
	NODE_NO_WORD,
};
struct node {
	enum node_kind kind;
	struct set *set;
	struct node *first, *last, *next; /* children; sibling */
	int min, max;                     /* REPEAT; max < 0: no end */
	bool lazy;                        /* REPEAT: as few as will do */
};

/* regex_parse: pattern -> tree (arena). Errors as regex_compile's. */
int regex_parse(struct arena *a, struct str pattern, struct node **ret, struct err *e);
/* regex_rune: a rune of UTF-8 (s not empty) and its length; bytes that are none are U+FFFD of length 1. */
size_t regex_rune(struct str s, uint32_t *ret);

#endif
