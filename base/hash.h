/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hash: hash functions, text encodings of bytes, and one hash map for all. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/buf.h"

/* hash_bytes: 64 bit, keyed by a per-process random key (a peer cannot choose collisions). */
uint64_t hash_bytes(const void *p, size_t n);
/* hash_fnv32a: FNV-1a 32 bit: stable, for names (pod-template-hash, stored things). */
uint32_t hash_fnv32a(struct str s);
uint64_t hash_fnv64a(struct str s);

struct sha256 {
	uint64_t state[32];
};
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_sum(const struct sha256 *h, uint8_t out[32]);
void sha256_of(struct str s, uint8_t out[32]);
void sha512_of(struct str s, uint8_t out[64]);

/* Encoders append to b. Decoders append to b: 0 or -EINVAL. */
void hex_encode(struct buf *b, struct str s);
int hex_decode(struct buf *b, struct str s);
void base64_encode(struct buf *b, struct str s);    /* RFC 4648 section 4, padded */
void base64url_encode(struct buf *b, struct str s); /* section 5, without padding */
int base64_decode(struct buf *b, struct str s);     /* padded; CR and LF are skipped */
int base64url_decode(struct buf *b, struct str s);  /* padding optional */

/* struct map: string key -> pointer, open addressing, heap. The map owns copies of its keys; values
 * are the caller's. Iteration order is insertion order (deterministic: simulation depends on it). */
struct map_entry {
	struct str key;
	void *value;
	uint64_t hash;
	uint64_t seq; /* rising in insertion order: positions survive compaction */
};
struct map {
	struct map_entry *entries; /* insertion order; key.p == NULL: deleted */
	uint32_t *index;
	size_t n_entries, n_live, cap_entries, cap_index;
	uint64_t next_seq;
};
void map_init(struct map *m);
void map_release(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL = absent */
/* map_put: value replaces; the old one (or NULL) in *ret_old (may be NULL). 0 or -ENOMEM. */
int map_put(struct map *m, struct str key, void *value, void **ret_old);
void *map_del(struct map *m, struct str key); /* the removed value or NULL */
static inline size_t
map_len(const struct map *m)
{
	return m->n_live;
}
/* map_next: iterate: *pos starts at 0; false at the end. Deleting the current entry is allowed;
 * putting new keys while iterating is allowed (they may be seen). */
bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value);

#endif
