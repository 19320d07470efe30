/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pack: see pack.h. The one place that turns offsets of a table into pointers. */
#include "orchestrator/runtime/pack.h"

#include <errno.h>

#include "base/doc.h"

#define MAX_ITEMS 65536

static const void *
member(const void *p, size_t at)
{
	return (const char *)p + at;
}

static void *
member_rw(void *p, size_t at)
{
	return (char *)p + at;
}

#define READ(type, p, at) (*(typeof(type) const *)member((p), (at)))
#define WRITE(type, p, at) (*(type *)member_rw((p), (at)))

static void
put_msg(struct buf *b, uint32_t number, const struct pack_table *t, const void *p)
{
	struct buf sub = BUF_INIT;

	pack_put(&sub, t, p);
	if (sub.failed)
		b->failed = true;
	proto_put_bytes(b, number, buf_view(&sub));
	buf_release(&sub);
}

static void
put_field(struct buf *b, const struct pack_field *f, const void *p)
{
	size_t n = 0;

	switch ((enum pack_kind)f->kind) {
	case PACK_STR:
		if (READ(struct str, p, f->at).n)
			proto_put_bytes(b, f->number, READ(struct str, p, f->at));
		return;
	case PACK_BOOL:
		if (READ(bool, p, f->at))
			proto_put_varint(b, f->number, 1);
		return;
	case PACK_32:
		if (READ(uint32_t, p, f->at))
			proto_put_varint(b, f->number, READ(uint32_t, p, f->at));
		return;
	case PACK_64:
		if (READ(uint64_t, p, f->at))
			proto_put_varint(b, f->number, READ(uint64_t, p, f->at));
		return;
	case PACK_STRS:
		n = READ(size_t, p, f->n_at);
		for (size_t i = 0; i < n; i++)
			proto_put_bytes(b, f->number, READ(const struct str *, p, f->at)[i]);
		return;
	case PACK_32S:
		n = READ(size_t, p, f->n_at);
		for (size_t i = 0; i < n; i++)
			proto_put_varint(b, f->number, READ(const uint32_t *, p, f->at)[i]);
		return;
	case PACK_MSG:
		put_msg(b, f->number, f->sub, member(p, f->at));
		return;
	case PACK_MSGS:
		n = READ(size_t, p, f->n_at);
		for (size_t i = 0; i < n; i++)
			put_msg(b, f->number, f->sub,
				member(READ(const void *, p, f->at), i * f->sub->size));
		return;
	}
}

void
pack_put(struct buf *b, const struct pack_table *t, const void *p)
{
	for (size_t i = 0; i < t->n; i++)
		put_field(b, &t->fields[i], p);
}

/* One more element behind the array whose pointer and count stand in p. */
static void *
push(struct arena *a, void *p, const struct pack_field *f, size_t size)
{
	void *list = WRITE(void *, p, f->at);
	size_t n = WRITE(size_t, p, f->n_at);
	void *item = NULL;

	if (n >= MAX_ITEMS)
		return NULL;
	item = arena_push(a, &list, &n, size);
	if (!item)
		return NULL;
	WRITE(void *, p, f->at) = list;
	WRITE(size_t, p, f->n_at) = n;
	return item;
}

static bool
wire_ok(const struct pack_field *f, enum proto_wire w)
{
	bool number = f->kind == PACK_BOOL || f->kind == PACK_32 || f->kind == PACK_64 ||
		f->kind == PACK_32S;

	return w == (number ? PROTO_VARINT : PROTO_LEN);
}

static int
get_field(struct arena *a, const struct pack_field *f, const struct proto_field *v, void *p)
{
	void *item = NULL;

	switch ((enum pack_kind)f->kind) {
	case PACK_STR:
		WRITE(struct str, p, f->at) = arena_str(a, v->bytes);
		return 0;
	case PACK_BOOL:
		WRITE(bool, p, f->at) = v->value != 0;
		return 0;
	case PACK_32:
		WRITE(uint32_t, p, f->at) = (uint32_t)v->value;
		return 0;
	case PACK_64:
		WRITE(uint64_t, p, f->at) = v->value;
		return 0;
	case PACK_STRS:
		item = push(a, p, f, sizeof(struct str));
		if (!item)
			return -ENOMEM;
		*(struct str *)item = arena_str(a, v->bytes);
		return 0;
	case PACK_32S:
		item = push(a, p, f, sizeof(uint32_t));
		if (!item)
			return -ENOMEM;
		*(uint32_t *)item = (uint32_t)v->value;
		return 0;
	case PACK_MSG:
		return pack_get(a, f->sub, v->bytes, member_rw(p, f->at));
	case PACK_MSGS:
		item = push(a, p, f, f->sub->size);
		return item ? pack_get(a, f->sub, v->bytes, item) : -ENOMEM;
	}
	return -EINVAL;
}

int
pack_get(struct arena *a, const struct pack_table *t, struct str bytes, void *p)
{
	struct reader r = reader_of(bytes);
	struct proto_field v = {0};
	int rc = 0;

	memset(p, 0, t->size);
	while ((rc = proto_next(&r, &v)) > 0) {
		for (size_t i = 0; i < t->n; i++) {
			const struct pack_field *f = &t->fields[i];

			if (f->number != v.number)
				continue;
			if (!wire_ok(f, v.wire))
				return -EINVAL;
			rc = get_field(a, f, &v, p);
			if (rc)
				return rc;
		}
	}
	if (rc < 0)
		return rc;
	return arena_failed(a) ? -ENOMEM : 0;
}
