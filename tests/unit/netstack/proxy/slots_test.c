/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints over slots: shares are even, changes are small. */
#include "netstack/proxy/slots.c"

#include "base/rand.h"
#include "tests/unit/test.h"

static struct ep
ep_of(uint32_t i)
{
	return (struct ep){ip_v4(0x0a000000 + i), 80};
}

/* Moves the set to the endpoints of `list` (sorted); gives how many slots differ. */
static uint32_t
move_to(struct epset *s, const uint32_t *list, uint32_t n)
{
	struct epset now = {.sid = 1, .n = n, .n_slots = slots_count(n)};
	uint32_t changed = 0, *have = calloc(n + 1, sizeof(*have)), min = UINT32_MAX, max = 0;

	now.eps = calloc(n + 1, sizeof(*now.eps));
	now.slots = calloc(now.n_slots + 1, sizeof(*now.slots));
	for (uint32_t i = 0; i < n; i++)
		now.eps[i] = ep_of(list[i]);
	CHECK_INT(slots_assign(s, now.eps, n, now.slots), 0);
	for (uint32_t i = 0; i < now.n_slots; i++) {
		CHECK(now.slots[i] < n);
		have[now.slots[i]]++;
		changed += i >= s->n_slots ||
			ep_cmp(&s->eps[s->slots[i]], &now.eps[now.slots[i]]) != 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		min = have[i] < min ? have[i] : min;
		max = have[i] > max ? have[i] : max;
	}
	CHECK(n == 0 || (min >= 1 && max - min <= 1));
	free(have);
	epset_release(s);
	*s = now;
	return changed;
}

TEST(each_of_a_few_has_one_slot)
{
	const uint32_t five[] = {1, 2, 3, 4, 5}, four[] = {1, 2, 4, 5}, six[] = {0, 1, 2, 3, 4, 5};
	struct epset s = {0};

	CHECK_INT(move_to(&s, five, 5), 5);
	CHECK_INT(s.n_slots, 5);
	CHECK_INT(move_to(&s, four, 4), 1); /* the last moves into the hole */
	CHECK_INT(s.n_slots, 4);
	CHECK_INT(move_to(&s, six, 6), 2);
	CHECK_INT(move_to(&s, six, 6), 0);
	CHECK_INT(move_to(&s, six, 0), 0);
	CHECK_INT(s.n_slots, 0);
	epset_release(&s);
}

TEST(many_share_slots_evenly_and_move_little)
{
	uint32_t list[200];
	struct epset s = {0};

	for (uint32_t i = 0; i < 200; i++)
		list[i] = i;
	move_to(&s, list, 33);
	CHECK_INT(s.n_slots, 1024);
	CHECK(move_to(&s, list, 34) <= 32);
	CHECK(move_to(&s, list + 1, 33) <= 34);
	CHECK(move_to(&s, list, 128) <= 1024);
	CHECK_INT(s.n_slots, 1024);
	move_to(&s, list, 129);
	CHECK_INT(s.n_slots, 8192);
	CHECK(move_to(&s, list, 130) <= 64);
	epset_release(&s);
}

TEST(random_changes_keep_the_shares_even)
{
	struct epset s = {0};
	uint32_t list[120];

	rand_set_seed(3);
	for (unsigned round = 0; round < 400; round++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < 120; i++)
			if (rand_below(round % 2 ? 2 : 6) == 0)
				list[n++] = i;
		move_to(&s, list, n);
	}
	epset_release(&s);
}

TEST(counts_of_slots)
{
	CHECK_INT(slots_count(0), 0);
	CHECK_INT(slots_count(32), 32);
	CHECK_INT(slots_count(33), 1024);
	CHECK_INT(slots_count(1024), 8192);
	CHECK_INT(slots_count(8192), 65536);
}
