/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * members: see members.h. A member that went has its dup flag set (parsed trees have been freed of
 * repeated members before). */
#include "orchestrator/schema/members.h"

#define SMALL 4096 /* member visits that are not worth an index */

int
members_begin(struct members *ms, struct doc *d, size_t changes)
{
	*ms = (struct members){.map = d};
	map_init(&ms->index);
	if ((d->n + changes) <= 64 || (d->n + changes) * changes <= SMALL)
		return 0;
	ms->big = true;
	DOC_EACH (m, d)
		if (map_put(&ms->index, m->key, m, NULL) != 0)
			return -ENOMEM;
	return 0;
}

struct doc *
members_get(const struct members *ms, struct str key)
{
	return ms->big ? map_get(&ms->index, key) : doc_get(ms->map, key);
}

int
members_put(struct members *ms, struct str key, struct doc *v)
{
	struct doc *have = NULL;

	if (!ms->big) {
		doc_set(ms->map, key, v);
		return 0;
	}
	have = map_get(&ms->index, key);
	if (have) {
		doc_replace(have, v);
		return 0;
	}
	v->key = key;
	v->dup = false;
	doc_append(ms->map, v);
	return map_put(&ms->index, key, v, NULL);
}

void
members_del(struct members *ms, struct str key)
{
	struct doc *have = NULL;

	if (!ms->big) {
		doc_set(ms->map, key, NULL);
		return;
	}
	have = map_del(&ms->index, key);
	if (have) {
		have->dup = true;
		ms->swept = true;
	}
}

void
members_end(struct members *ms)
{
	struct doc *kept = NULL, *next = NULL, *d = ms->map;

	map_release(&ms->index);
	for (struct doc *m = ms->swept ? d->first : NULL; m; m = next) {
		next = m->next;
		if (!m->dup) {
			kept = m;
			continue;
		}
		*(kept ? &kept->next : &d->first) = next;
		if (d->last == m)
			d->last = kept;
		d->n--;
	}
	ms->swept = false;
}
