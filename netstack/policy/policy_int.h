/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy, inside: the state its files share. */
#ifndef NETSTACK_POLICY_POLICY_INT_H
#define NETSTACK_POLICY_POLICY_INT_H

#include "base/arena.h"
#include "base/buf.h"
#include "netstack/policy/policy.h"

enum { KEY_MAX = 32 };

/* One element of one set, as the kernel gets it. Ordered by memcmp: set first. */
struct element {
	uint8_t set;                        /* index into policy_sets */
	uint8_t from[KEY_MAX], to[KEY_MAX]; /* to: end of a range, or data, or unused */
};
struct elements {
	struct element *v; /* heap, sorted, none twice */
	size_t n;
};

struct family {
	int family;
	uint8_t nfproto;
	uint32_t saddr, daddr, len; /* of the network header */
	unsigned regs;
	enum nft_type type;
	const char *self;
	const char *pods[POLICY__DIRECTIONS], *allow[POLICY__DIRECTIONS],
		*chain[POLICY__DIRECTIONS];
};
extern const struct family policy_families[2];

enum set_form { SET_PODS, SET_ALLOW, SET_SELF, SET__FORMS };
/* policy_set_index: of element.set. SET_SELF has one for both directions. */
static inline uint8_t
policy_set_index(int f, enum set_form form, enum policy_direction d)
{
	return (uint8_t)(f * 5 + (form == SET_SELF ? 4 : (int)form * 2 + (int)d));
}
enum { POLICY_SETS = 10 };

/* policy_rules_build: sets, chains, rules: everything but elements. policy_elements_send: those of one batch that are
 * added or taken out; all of e are of any sets, in order. policy_elements_flush: takes all out. */
void policy_rules_build(const char *table, struct nl_batch *b);
void policy_elements_send(
	const char *table, struct nl_batch *b, const struct element *e, size_t n, bool add);
void policy_elements_flush(const char *table, struct nl_batch *b);

/* A part of what a group permits; parts do not overlap. */
struct cut {
	struct ip_addr from, to;
	uint8_t proto_from, proto_to;
	uint16_t port_from, port_to;
};
/* policy_cut: the rules of one family as parts that do not overlap (the kernel refuses ranges that do), as few as the
 * order of addresses allows, always the same for the same meaning. arena. 0 or -ENOMEM. */
int policy_cut(
	struct arena *a, const struct policy_group *g, int family, struct cut **ret, size_t *ret_n);

#endif
