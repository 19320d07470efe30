/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hash.c: see hash.h. SipHash-1-3 under a key of the process for maps, FNV-1a for stable names,
 * BearSSL for SHA-2. Invariants of struct map: entries are in rising seq; index holds entry number + 1,
 * 0 = free, GONE = deleted; every live entry has one index slot; index is never more than half full.
 * Must not: expose hash_bytes values on a wire or disk (the key changes with the process).
 * Source: RFC 4648; SipHash (Aumasson, Bernstein); Fowler-Noll-Vo. */
#include "base/hash.h"

#include "base/rand.h"

#include <assert.h>
#include <bearssl_hash.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- keyed hash ---- */

static uint64_t sip_key[2];
static pthread_once_t sip_once = PTHREAD_ONCE_INIT;

/* A seeded process keeps a fixed key, so that a replay cannot differ through it. */
static void
sip_setup(void)
{
	sip_key[0] = 0x0706050403020100ULL;
	sip_key[1] = 0x0f0e0d0c0b0a0908ULL;
	if (!rand_is_seeded())
		rand_bytes(sip_key, sizeof(sip_key));
}

#define ROTL(x, k) ((x) << (k) | (x) >> (64 - (k)))
#define SIP_ROUND(a, b, c, d)                                                                      \
	do {                                                                                       \
		a += b, b = ROTL(b, 13) ^ a, a = ROTL(a, 32);                                      \
		c += d, d = ROTL(d, 16) ^ c;                                                       \
		a += d, d = ROTL(d, 21) ^ a;                                                       \
		c += b, b = ROTL(b, 17) ^ c, c = ROTL(c, 32);                                      \
	} while (0)

uint64_t
hash_bytes(const void *p, size_t n)
{
	pthread_once(&sip_once, sip_setup);
	uint64_t a = sip_key[0] ^ 0x736f6d6570736575ULL, b = sip_key[1] ^ 0x646f72616e646f6dULL;
	uint64_t c = sip_key[0] ^ 0x6c7967656e657261ULL, d = sip_key[1] ^ 0x7465646279746573ULL;
	const uint8_t *in = p;
	uint64_t word = 0;
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, in + i, 8);
		d ^= word;
		SIP_ROUND(a, b, c, d);
		a ^= word;
	}
	word = (uint64_t)n << 56;
	for (size_t k = 0; i + k < n; k++)
		word |= (uint64_t)in[i + k] << 8 * k;
	d ^= word;
	SIP_ROUND(a, b, c, d);
	a ^= word;
	c ^= 0xff;
	for (int k = 0; k < 3; k++)
		SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

uint32_t
hash_fnv32a(struct str s)
{
	uint32_t h = 2166136261U;
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619U;
	return h;
}

uint64_t
hash_fnv64a(struct str s)
{
	uint64_t h = 14695981039346656037ULL;
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 1099511628211ULL;
	return h;
}

/* ---- SHA-2 ---- */

static_assert(sizeof(br_sha256_context) <= sizeof(struct sha256), "struct sha256 is too small");

void
sha256_init(struct sha256 *h)
{
	br_sha256_init((br_sha256_context *)h->state);
}

void
sha256_add(struct sha256 *h, const void *p, size_t n)
{
	if (n)
		br_sha256_update((br_sha256_context *)h->state, p, n);
}

void
sha256_sum(const struct sha256 *h, uint8_t out[32])
{
	br_sha256_out((const br_sha256_context *)h->state, out);
}

void
sha256_of(struct str s, uint8_t out[32])
{
	struct sha256 h;
	sha256_init(&h);
	sha256_add(&h, s.p, s.n);
	sha256_sum(&h, out);
}

void
sha512_of(struct str s, uint8_t out[64])
{
	br_sha512_context h;
	br_sha512_init(&h);
	if (s.n)
		br_sha512_update(&h, s.p, s.n);
	br_sha512_out(&h, out);
}

/* ---- text encodings ---- */

static const char hex_digits[] = "0123456789abcdef";
static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
hex_encode(struct buf *b, struct str s)
{
	char *out = buf_reserve(b, s.n * 2);
	if (!out)
		return;
	for (size_t i = 0; i < s.n; i++) {
		out[2 * i] = hex_digits[(unsigned char)s.p[i] >> 4];
		out[2 * i + 1] = hex_digits[s.p[i] & 15];
	}
	buf_commit(b, s.n * 2);
}

int
hex_decode(struct buf *b, struct str s)
{
	if (s.n % 2)
		return -EINVAL;
	char *out = buf_reserve(b, s.n / 2);
	if (!out)
		return 0; /* sticky in b */
	for (size_t i = 0; i < s.n; i += 2) {
		int high = hex_digit(s.p[i]), low = hex_digit(s.p[i + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		out[i / 2] = (char)(high << 4 | low);
	}
	buf_commit(b, s.n / 2);
	return 0;
}

static void
encode64(struct buf *b, struct str s, const char *alphabet, bool pad)
{
	char *out = buf_reserve(b, s.n / 3 * 4 + 4);
	if (!out)
		return;
	const unsigned char *in = (const unsigned char *)s.p;
	size_t at = 0, i = 0;
	for (; i + 3 <= s.n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
		out[at++] = alphabet[v >> 18];
		out[at++] = alphabet[v >> 12 & 63];
		out[at++] = alphabet[v >> 6 & 63];
		out[at++] = alphabet[v & 63];
	}
	size_t rest = s.n - i;
	if (rest) {
		uint32_t v = (uint32_t)in[i] << 16 | (rest == 2 ? (uint32_t)in[i + 1] << 8 : 0);
		out[at++] = alphabet[v >> 18];
		out[at++] = alphabet[v >> 12 & 63];
		if (rest == 2)
			out[at++] = alphabet[v >> 6 & 63];
		for (size_t k = rest; pad && k < 3; k++)
			out[at++] = '=';
	}
	buf_commit(b, at);
}

void
base64_encode(struct buf *b, struct str s)
{
	encode64(b, s, base64_std, true);
}

void
base64url_encode(struct buf *b, struct str s)
{
	encode64(b, s, base64_url, false);
}

static int
value64(unsigned char c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == (unsigned char)c62 ? 62 : c == (unsigned char)c63 ? 63 : -1;
}

static int
decode64(struct buf *b, struct str s, const char *alphabet, bool pad_needed, bool skip_newlines)
{
	char *out = buf_reserve(b, s.n / 4 * 3 + 3);
	if (!out)
		return 0; /* sticky in b */
	size_t at = 0, digits = 0, pads = 0;
	uint32_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (skip_newlines && (c == '\r' || c == '\n'))
			continue;
		if (c == '=') {
			pads++;
			continue;
		}
		int bits = value64(c, alphabet[62], alphabet[63]);
		if (bits < 0 || pads)
			return -EINVAL;
		v = v << 6 | (uint32_t)bits;
		if (++digits % 4 == 0) {
			out[at++] = (char)(v >> 16);
			out[at++] = (char)(v >> 8);
			out[at++] = (char)v;
			v = 0;
		}
	}
	size_t rest = digits % 4, pads_due = rest ? 4 - rest : 0;
	if (rest == 1 || (pads != pads_due && (pad_needed || pads)))
		return -EINVAL;
	if (rest >= 2)
		out[at++] = (char)(rest == 2 ? v >> 4 : v >> 10);
	if (rest == 3)
		out[at++] = (char)(v >> 2);
	buf_commit(b, at);
	return 0;
}

int
base64_decode(struct buf *b, struct str s)
{
	return decode64(b, s, base64_std, true, true);
}

int
base64url_decode(struct buf *b, struct str s)
{
	return decode64(b, s, base64_url, false, false);
}

/* ---- map ---- */

#define GONE UINT32_MAX
#define MAP_FIRST 8

void
map_init(struct map *m)
{
	*m = (struct map){0};
}

static void
entry_clear(struct map_entry *e)
{
	free((void *)(uintptr_t)e->key.p);
	e->key = STR_NONE;
	e->value = NULL;
}

void
map_release(struct map *m)
{
	for (size_t i = 0; i < m->n_entries; i++)
		entry_clear(&m->entries[i]);
	free(m->entries);
	free(m->index);
	map_init(m);
}

/* map_slot: the index slot of key, or SIZE_MAX. */
static size_t
map_slot(const struct map *m, struct str key, uint64_t hash)
{
	if (m->cap_index == 0)
		return SIZE_MAX;
	size_t mask = m->cap_index - 1;
	for (size_t at = hash & mask; m->index[at] != 0; at = (at + 1) & mask) {
		if (m->index[at] == GONE)
			continue;
		const struct map_entry *e = &m->entries[m->index[at] - 1];
		if (e->hash == hash && str_eq(e->key, key))
			return at;
	}
	return SIZE_MAX;
}

void *
map_get(const struct map *m, struct str key)
{
	if (m->n_live == 0)
		return NULL;
	size_t at = map_slot(m, key, hash_bytes(key.p, key.n));
	return at == SIZE_MAX ? NULL : m->entries[m->index[at] - 1].value;
}

static void
map_index_add(struct map *m, size_t entry)
{
	size_t mask = m->cap_index - 1;
	size_t at = m->entries[entry].hash & mask;
	while (m->index[at] != 0)
		at = (at + 1) & mask;
	m->index[at] = (uint32_t)entry + 1;
}

/* map_rebuild: closes the gaps and makes room for as many entries again as live. */
static int
map_rebuild(struct map *m)
{
	size_t cap = MAP_FIRST;
	while (cap < m->n_live * 2)
		cap *= 2;
	if (cap > UINT32_MAX / 4)
		return -ENOMEM;
	uint32_t *index = calloc(cap * 2, sizeof(*index));
	struct map_entry *entries = malloc(cap * sizeof(*entries));
	if (!index || !entries) {
		free(index);
		free(entries);
		return -ENOMEM;
	}
	size_t n = 0;
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].key.p)
			entries[n++] = m->entries[i];
	free(m->entries);
	free(m->index);
	m->entries = entries;
	m->index = index;
	m->n_entries = n;
	m->cap_entries = cap;
	m->cap_index = cap * 2;
	for (size_t i = 0; i < n; i++)
		map_index_add(m, i);
	return 0;
}

int
map_put(struct map *m, struct str key, void *value, void **ret_old)
{
	uint64_t hash = hash_bytes(key.p, key.n);
	size_t at = map_slot(m, key, hash);
	if (at != SIZE_MAX) {
		struct map_entry *e = &m->entries[m->index[at] - 1];
		if (ret_old)
			*ret_old = e->value;
		e->value = value;
		return 0;
	}
	if (m->n_entries == m->cap_entries && map_rebuild(m) < 0)
		return -ENOMEM;
	char *copy = malloc(key.n + 1);
	if (!copy)
		return -ENOMEM;
	if (key.n)
		memcpy(copy, key.p, key.n);
	copy[key.n] = '\0';
	m->entries[m->n_entries] = (struct map_entry){
		.key = {copy, key.n}, .value = value, .hash = hash, .seq = ++m->next_seq};
	map_index_add(m, m->n_entries);
	m->n_entries++;
	m->n_live++;
	if (ret_old)
		*ret_old = NULL;
	return 0;
}

void *
map_del(struct map *m, struct str key)
{
	if (m->n_live == 0)
		return NULL;
	size_t at = map_slot(m, key, hash_bytes(key.p, key.n));
	if (at == SIZE_MAX)
		return NULL;
	struct map_entry *e = &m->entries[m->index[at] - 1];
	void *value = e->value;
	m->index[at] = GONE;
	m->n_live--;
	entry_clear(e);
	if (m->n_live == 0) {
		m->n_entries = 0;
		memset(m->index, 0, m->cap_index * sizeof(*m->index));
	}
	return value;
}

/* *pos is the seq of the last entry seen, so that neither gaps nor their closing disturb it. */
bool
map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value)
{
	size_t low = 0, high = m->n_entries;
	while (low < high) { /* first entry with seq > *pos */
		size_t mid = low + (high - low) / 2;
		if (m->entries[mid].seq > *pos)
			high = mid;
		else
			low = mid + 1;
	}
	for (; low < m->n_entries; low++) {
		const struct map_entry *e = &m->entries[low];
		if (!e->key.p)
			continue;
		*pos = e->seq;
		if (ret_key)
			*ret_key = e->key;
		if (ret_value)
			*ret_value = e->value;
		return true;
	}
	*pos = SIZE_MAX;
	return false;
}
