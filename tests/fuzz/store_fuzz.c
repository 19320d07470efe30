/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what the store reads back: keys (a list's start comes from clients), envelopes, attributes,
 * records of the ring file (sealed anew, so that the sum is no obstacle). What is accepted must have all
 * its slices inside of the input. */
#include "storage/store/history_read.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(struct str part, struct str whole)
{
	BUG_ON(part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n));
}

static void
check_value(struct str env)
{
	struct store_value v;
	struct value_parts p;
	if (value_unpack(env, &v) < 0)
		return;
	inside(v.body, env);
	inside(v.attrs, env);
	value_parts_of_old(&v, &p);
	BUG_ON(value_size(&p, v.rev) != env.n);
	char kind = 0;
	struct str rest = v.attrs, key, value;
	while (store_attr_next(&rest, &kind, &key, &value)) {
		inside(key, env);
		inside(value, env);
	}
}

static void
check_key(struct str packed)
{
	struct store_key key;
	struct key_buf again;
	if (key_unpack(packed, &key) == 0 && key_pack(&key, &again) == 0)
		BUG_ON(!str_eq(key_view(&again), packed));
}

static void
check_record(struct str in)
{
	struct history_record rec;
	size_t n = in.n & ~(size_t)7;
	if (n < HISTORY_RECORD)
		return;
	uint8_t *p = malloc(n);
	if (!p)
		return;
	memcpy(p, in.p, n);
	put_le(p, MAGIC, 4);
	put_le(p + 4, n, 4);
	put_le(p + 16, 7, 8);
	put_le(p + 24, 3, 8);
	put_le(p + SUM_AT, record_sum(p, n), 8);
	struct str bytes = str_from((const char *)p, n);
	if (record_parse(bytes, 7, 3, 0, &rec) == 0) {
		struct event *ev = NULL;
		inside(rec.key, bytes);
		inside(rec.value, bytes);
		inside(rec.old, bytes);
		if (event_copy(&rec, &ev) == 0) {
			struct str own = str_from((const char *)ev->rec, ev->rec_n);
			inside(ev->pub.value.body, own);
			inside(ev->pub.prev_attrs, own);
			store_event_unref(&ev->pub);
		}
	}
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	check_key(in);
	check_value(in);
	check_record(in);
	return 0;
}
