/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rand.c: see rand.h. Real: every draw is a getrandom(2), nothing is buffered, so that a fork cannot
 * repeat numbers. Seeded: xoshiro256** (Blackman, Vigna), one stream per process.
 * Must not: be used seeded by more than one thread (a simulated world has one). */
#include "base/rand.h"

#include "base/err.h"

#include <errno.h>
#include <sys/random.h>

static bool seeded;
static uint64_t state[4];

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t
stream_next(void)
{
	uint64_t out = rotl(state[1] * 5, 7) * 9;
	uint64_t t = state[1] << 17;
	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = rotl(state[3], 45);
	return out;
}

void
rand_set_seed(uint64_t seed)
{
	for (size_t i = 0; i < ARRAY_LEN(state); i++) { /* splitmix64 */
		seed += 0x9e3779b97f4a7c15ULL;
		uint64_t z = seed;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
		state[i] = z ^ z >> 31;
	}
	seeded = true;
}

bool
rand_is_seeded(void)
{
	return seeded;
}

void
rand_bytes(void *out, size_t n)
{
	uint8_t *p = out;
	while (n > 0 && seeded) {
		uint64_t v = stream_next();
		size_t k = n < sizeof(v) ? n : sizeof(v);
		memcpy(p, &v, k);
		p += k;
		n -= k;
	}
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		BUG_ON(got < 0 && errno != EINTR);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

uint64_t
rand_u64(void)
{
	uint64_t v = 0;
	rand_bytes(&v, sizeof(v));
	return v;
}

uint64_t
rand_below(uint64_t n)
{
	BUG_ON(n == 0);
	uint64_t least = (0 - n) % n; /* 2^64 mod n: below it the draw would be biased */
	uint64_t v = rand_u64();
	while (v < least)
		v = rand_u64();
	return v % n;
}

void
rand_uuid(char out[37])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t b[16];
	rand_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	size_t at = 0;
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		out[at++] = hex[b[i] >> 4];
		out[at++] = hex[b[i] & 15];
	}
	out[at] = '\0';
}

void
rand_suffix(char *out, size_t n)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[rand_below(sizeof(alphabet) - 1)];
	out[n] = '\0';
}
