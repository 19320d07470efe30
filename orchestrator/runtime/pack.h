/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pack: plain C structs to bytes and back by tables of fields (protobuf wire format, so that fields can
 * come and go). Used for state files and for deep copies: what unpack gives lies in one arena.
 * Zero values are not written. Unpack is a total function: state files may be torn by a power cut. */
#ifndef RUNTIME_PACK_H
#define RUNTIME_PACK_H

#include "base/arena.h"
#include "base/buf.h"

enum pack_kind {
	PACK_STR,  /* struct str */
	PACK_BOOL, /* bool */
	PACK_32,   /* int, enum, int32_t, uint32_t */
	PACK_64,   /* int64_t, uint64_t */
	PACK_STRS, /* const struct str * and size_t */
	PACK_32S,  /* const uint32_t * and size_t */
	PACK_MSG,  /* an embedded struct */
	PACK_MSGS, /* pointer to structs and size_t */
};

struct pack_table;
struct pack_field {
	uint8_t number; /* never reused */
	uint8_t kind;
	uint16_t at;   /* offset of the value or pointer */
	uint16_t n_at; /* offset of the count */
	const struct pack_table *sub;
};
struct pack_table {
	size_t size;
	size_t n;
	const struct pack_field *fields;
};

#define PACK_FIELD(num, k, type, member)                                                           \
	{                                                                                          \
		num, k, offsetof(type, member), 0, NULL                                            \
	}
#define PACK_ARRAY(num, k, type, member, count)                                                    \
	{                                                                                          \
		num, k, offsetof(type, member), offsetof(type, count), NULL                        \
	}
#define PACK_SUB(num, type, member, table)                                                         \
	{                                                                                          \
		num, PACK_MSG, offsetof(type, member), 0, table                                    \
	}
#define PACK_SUBS(num, type, member, count, table)                                                 \
	{                                                                                          \
		num, PACK_MSGS, offsetof(type, member), offsetof(type, count), table               \
	}

/* pack_put: appends p, a struct of the table's type. Tables nest at most 4 deep. */
void pack_put(struct buf *b, const struct pack_table *t, const void *p);
/* pack_get: fills *p (of the table's size) from bytes; strings and arrays are arena copies. Unknown fields are
 * skipped. 0, -EINVAL, -ENOMEM. */
int pack_get(struct arena *a, const struct pack_table *t, struct str bytes, void *p);

#endif
