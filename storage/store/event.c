/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * event.c: events: one block each, shared by all watchers and never changed but for its slots.
 * Invariants: every slice of pub points into rec; a slot is set once. */
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdlib.h>

struct slot {
	size_t n;
	char data[];
};

struct event *
event_new(size_t rec_n)
{
	struct event *ev = malloc(sizeof(*ev) + rec_n);
	if (!ev)
		return NULL;
	memset(ev, 0, sizeof(*ev));
	if (rec_n >= 8)
		memset(ev->rec + rec_n - 8, 0, 8);
	ev->refs = 1;
	ev->rec_n = rec_n;
	ev->in = ev->in_few;
	ev->cap_in = EVENT_CHAINS;
	return ev;
}

int
event_fill(struct event *ev, const struct history_record *r)
{
	struct store_event *pub = &ev->pub;
	struct store_value old = {0};
	if (key_unpack(r->key, &pub->key) < 0 || value_unpack(r->value, &pub->value) < 0)
		return -EIO;
	if (r->old.n > 0 && value_unpack(r->old, &old) < 0)
		return -EIO;
	pub->kind = r->kind;
	pub->rev = ORD_REV(r->ord);
	pub->prev_body = old.body;
	pub->prev_rv_offset = old.rv_offset;
	pub->prev_attrs = old.attrs;
	ev->ord = r->ord;
	return 0;
}

int
event_copy(const struct history_record *r, struct event **ret)
{
	struct event *ev = event_new(r->bytes.n);
	if (!ev)
		return -ENOMEM;
	memcpy(ev->rec, r->bytes.p, r->bytes.n);
	struct history_record own = *r;
	const char *to = (const char *)ev->rec;
	own.bytes.p = to;
	own.key.p = to + (r->key.p - r->bytes.p);
	own.value.p = to + (r->value.p - r->bytes.p);
	own.old.p = to + (r->old.p - r->bytes.p);
	int rc = event_fill(ev, &own);
	if (rc < 0)
		store_event_unref(&ev->pub);
	else
		*ret = ev;
	return rc;
}

const struct store_event *
store_event_ref(const struct store_event *pub)
{
	atomic_fetch_add_explicit(&event_of(pub)->refs, 1, memory_order_relaxed);
	return pub;
}

void
store_event_unref(const struct store_event *pub)
{
	if (!pub)
		return;
	struct event *ev = event_of(pub);
	if (atomic_fetch_sub_explicit(&ev->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < EVENT_SLOTS; i++)
		free(atomic_load(&ev->slots[i]));
	if (ev->in != ev->in_few)
		free(ev->in);
	free(ev);
}

struct str
store_event_slot(const struct store_event *pub, unsigned slot,
	void (*make)(void *arg, const struct store_event *ev, struct buf *out), void *arg)
{
	BUG_ON(slot >= EVENT_SLOTS);
	struct event *ev = event_of(pub);
	struct slot *s = atomic_load(&ev->slots[slot]);
	if (!s) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		make(arg, pub, &out);
		s = out.failed ? NULL : malloc(sizeof(*s) + out.len);
		if (!s)
			return STR_NONE;
		s->n = out.len;
		if (out.len > 0)
			memcpy(s->data, out.data, out.len);
		struct slot *other = NULL;
		if (!atomic_compare_exchange_strong(&ev->slots[slot], &other, s)) {
			free(s);
			s = other;
		}
	}
	return str_from(s->data, s->n);
}
