/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints over slots. The kernel draws a slot at random; up to 32 endpoints have one slot each, more
 * share 1,024, 8,192 or 65,536 slots as evenly as they go in (no endpoint has more than one slot more
 * than another: at most an eighth from the mean). A change moves as few slots as possible: connections
 * do not care, the number of elements sent does. Pure: no kernel, no clock. */
#include <errno.h>
#include <stdlib.h>

#include "netstack/proxy/proxy_int.h"

const uint32_t slots_classes[3] = {1024, 8192, 65536};

int
ep_cmp(const void *a, const void *b)
{
	const struct ep *x = a, *y = b;
	int c = memcmp(x->addr.b, y->addr.b, sizeof(x->addr.b));

	return c != 0 ? c : (int)x->port - (int)y->port;
}

uint32_t
slots_count(uint32_t n)
{
	if (n <= SLOTS_EXACT)
		return n;
	for (size_t i = 0; i < ARRAY_LEN(slots_classes); i++)
		if (n <= slots_classes[i] / 8)
			return slots_classes[i];
	return slots_classes[ARRAY_LEN(slots_classes) - 1];
}

/* Where each old endpoint is in the new list; UINT32_MAX = gone. Both lists are sorted. */
static void
match(const struct epset *old, const struct ep *eps, uint32_t n, uint32_t *where)
{
	uint32_t j = 0;

	for (uint32_t i = 0; i < old->n; i++) {
		int c = 1;

		while (j < n && (c = ep_cmp(&eps[j], &old->eps[i])) < 0)
			j++;
		where[i] = j < n && c == 0 ? j : UINT32_MAX;
	}
}

int
slots_assign(const struct epset *old, const struct ep *eps, uint32_t n, uint32_t *new_slots)
{
	uint32_t total = slots_count(n), share = n > 0 ? total / n : 0,
		 extra = n > 0 ? total % n : 0;
	_cleanup_free_ uint32_t *where = calloc(old->n + 1, sizeof(*where));
	_cleanup_free_ uint32_t *have = calloc(n + 1, sizeof(*have));
	uint32_t j = 0;

	if (where == NULL || have == NULL)
		return -ENOMEM;
	match(old, eps, n, where);
	for (uint32_t i = 0; i < total; i++) {
		uint32_t k = i < old->n_slots ? where[old->slots[i]] : UINT32_MAX;

		new_slots[i] = UINT32_MAX;
		if (k == UINT32_MAX || have[k] > share || (have[k] == share && extra == 0))
			continue;
		extra -= have[k] == share;
		have[k]++;
		new_slots[i] = k;
	}
	/* the rest: first up to the share, then the remainder one each */
	for (uint32_t i = 0; i < total; i++) {
		if (new_slots[i] != UINT32_MAX)
			continue;
		while (j < n && have[j] >= share)
			j++;
		if (j == n)
			break;
		have[j]++;
		new_slots[i] = j;
	}
	j = 0;
	for (uint32_t i = 0; i < total; i++) {
		if (new_slots[i] != UINT32_MAX)
			continue;
		while (have[j] > share)
			j++;
		have[j]++;
		new_slots[i] = j;
	}
	return 0;
}

void
epset_release(struct epset *s)
{
	free(s->eps);
	free(s->slots);
	*s = (struct epset){0};
}
