/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * arena.c: see arena.h. Release build: bump allocation in chunks of growing size; each thread keeps a
 * few spare chunks of each size, because musl's allocator gives pages back on every free. Sanitizer
 * build: one malloc per block, freed on clear, so that the sanitizer knows every boundary and finds
 * every stale slice. Invariants: used <= cap but for what alignment takes; blocks do not move; hooks run before memory goes.
 * Must not: abort, or keep more than spare_max chunks of a size per thread. */
#include "base/arena.h"

#include "base/arena_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CAP ((size_t)256 << 20)
#define ALIGN 16

#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_PER_MALLOC 1
#elif defined(KEELSON_ASAN)
#define BLOCK_PER_MALLOC 1
#else
#define BLOCK_PER_MALLOC 0
#endif

struct hook {
	struct hook *next;
	void (*fn)(void *arg);
	void *arg;
};

/* A chunk (release) or a block (sanitizer); the bytes follow it. */
struct chunk {
	struct chunk *next, *prev;
	size_t size; /* bytes behind this header */
	size_t pad;
};

struct arena {
	struct chunk *chunks; /* newest first */
	struct chunk *first;  /* release: the chunk this struct itself lives in */
	char *cur, *end;      /* free part of the newest chunk */
	char *last;           /* newest block, may grow in place */
	struct hook *hooks;
	size_t used, cap;
	size_t next_size; /* least size of the next chunk */
	bool failed;
};

static void *
arena_fail(struct arena *a)
{
	a->failed = true;
	return NULL;
}

static bool
arena_charge(struct arena *a, size_t n)
{
	if (a->failed || a->used > a->cap || n > a->cap - a->used)
		return false;
	a->used += n;
	return true;
}

static void
arena_run_hooks(struct arena *a)
{
	while (a->hooks) {
		struct hook h = *a->hooks;
		a->hooks = h.next;
		h.fn(h.arg);
	}
}

#if BLOCK_PER_MALLOC

void
arena_thread_end(void)
{
}

struct arena *
arena_new(size_t cap_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));
	if (a)
		a->cap = cap_bytes ? cap_bytes : DEFAULT_CAP;
	return a;
}

struct arena *
arena_new_fit(size_t bytes)
{
	(void)bytes;
	return arena_new(0);
}

void
arena_clear(struct arena *a)
{
	arena_run_hooks(a);
	while (a->chunks) {
		struct chunk *c = a->chunks;
		a->chunks = c->next;
		free(c);
	}
	a->used = 0;
	a->failed = false;
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_clear(a);
	free(a);
}

void *
arena_alloc_raw(struct arena *a, size_t n, size_t align)
{
	(void)align;
	if (!arena_charge(a, n))
		return arena_fail(a);
	struct chunk *c = malloc(sizeof(*c) + n);
	if (!c)
		return arena_fail(a);
	*c = (struct chunk){.next = a->chunks, .size = n};
	if (c->next)
		c->next->prev = c;
	a->chunks = c;
	return c + 1;
}

void *
arena_grow(struct arena *a, void *p, size_t old, size_t want)
{
	if (!p)
		return arena_alloc_raw(a, want, ALIGN);
	if (want <= old)
		return p;
	void *q = arena_alloc_raw(a, want, ALIGN);
	if (!q)
		return NULL;
	memcpy(q, p, old);
	struct chunk *c = (struct chunk *)p - 1;
	*(c->prev ? &c->prev->next : &a->chunks) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	return q;
}

#else

/* Sizes of chunks, header included; an arena starts with the smallest. Blocks that do not fit into
 * the largest get a chunk of their own. */
static const size_t chunk_sizes[] = {4096, 32768, 262144};
static const unsigned spare_max[] = {64, 16, 4};
#define N_SIZES ARRAY_LEN(chunk_sizes)

static _Thread_local struct {
	struct chunk *head;
	unsigned n;
} spare[N_SIZES];

static struct chunk *
chunk_get(size_t want)
{
	size_t k = 0;
	while (k < N_SIZES && chunk_sizes[k] - sizeof(struct chunk) < want)
		k++;
	struct chunk *c = k < N_SIZES ? spare[k].head : NULL;
	if (c) {
		spare[k].head = c->next;
		spare[k].n--;
		return c;
	}
	size_t size = k < N_SIZES ? chunk_sizes[k] : sizeof(*c) + want;
	c = malloc(size);
	if (c)
		c->size = size - sizeof(*c);
	return c;
}

static void
chunk_put(struct chunk *c)
{
	for (size_t k = 0; k < N_SIZES; k++) {
		if (c->size + sizeof(*c) == chunk_sizes[k] && spare[k].n < spare_max[k]) {
			c->next = spare[k].head;
			spare[k].head = c;
			spare[k].n++;
			return;
		}
	}
	free(c);
}

void
arena_thread_end(void)
{
	for (size_t k = 0; k < N_SIZES; k++) {
		while (spare[k].head) {
			struct chunk *c = spare[k].head;
			spare[k].head = c->next;
			free(c);
		}
		spare[k].n = 0;
	}
}

/* arena_rewind: all of the first chunk behind the arena itself is free again. */
static void
arena_rewind(struct arena *a)
{
	a->cur = (char *)a + ((sizeof(*a) + ALIGN - 1) & ~(size_t)(ALIGN - 1));
	a->end = (char *)(a->first + 1) + a->first->size;
	a->last = NULL;
	a->next_size = a->first->size * 2;
	a->used = 0;
	a->failed = false;
}

static struct arena *
arena_in(struct chunk *c, size_t cap)
{
	if (!c)
		return NULL;
	struct arena *a = (struct arena *)(c + 1);
	*a = (struct arena){.first = c, .cap = cap};
	arena_rewind(a);
	return a;
}

struct arena *
arena_new(size_t cap_bytes)
{
	return arena_in(chunk_get(sizeof(struct arena)), cap_bytes ? cap_bytes : DEFAULT_CAP);
}

struct arena *
arena_new_fit(size_t bytes)
{
	/* the arena itself lies in front, aligned */
	size_t size = sizeof(struct arena) + ALIGN + bytes;
	struct chunk *c = bytes < DEFAULT_CAP ? malloc(sizeof(*c) + size) : NULL;
	if (c)
		c->size = size;
	return arena_in(c, DEFAULT_CAP);
}

void
arena_clear(struct arena *a)
{
	arena_run_hooks(a);
	while (a->chunks) {
		struct chunk *c = a->chunks;
		a->chunks = c->next;
		chunk_put(c);
	}
	arena_rewind(a);
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_clear(a);
	chunk_put(a->first);
}

/* arena_refill: room for n bytes in a new chunk. The rest of the old one stays unused, unless the
 * block is so large that it gets a chunk of its own and the old one goes on. */
static char *
arena_refill(struct arena *a, size_t n)
{
	size_t largest = chunk_sizes[N_SIZES - 1] - sizeof(struct chunk);
	bool own = n > largest / 4;
	size_t want = own || a->next_size < n ? n : a->next_size;
	struct chunk *c = chunk_get(want);
	if (!c)
		return NULL;
	c->next = a->chunks;
	a->chunks = c;
	char *p = (char *)(c + 1);
	if (own)
		return p;
	a->next_size = c->size * 2 < largest ? c->size * 2 : largest;
	a->cur = p + n;
	a->end = p + c->size;
	a->last = p;
	return p;
}

void *
arena_alloc_raw(struct arena *a, size_t n, size_t align)
{
	if (!arena_charge(a, n))
		return arena_fail(a);
	char *p = a->cur + (-(uintptr_t)a->cur & (align - 1));
	if (p <= a->end && n <= (size_t)(a->end - p)) {
		a->used += (size_t)(p - a->cur);
		a->cur = p + n;
		a->last = p;
		return p;
	}
	p = arena_refill(a, n);
	return p ? p : arena_fail(a);
}

void *
arena_grow(struct arena *a, void *p, size_t old, size_t want)
{
	if (!p)
		return arena_alloc_raw(a, want, ALIGN);
	if (want <= old)
		return p;
	if (p == a->last && want <= (size_t)(a->end - a->last)) {
		if (!arena_charge(a, want - old))
			return arena_fail(a);
		a->cur = a->last + want;
		return p;
	}
	void *q = arena_alloc_raw(a, want, ALIGN);
	if (q)
		memcpy(q, p, old);
	return q;
}

#endif

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = arena_alloc_raw(a, n, ALIGN);
	if (p)
		memset(p, 0, n);
	return p;
}

int
arena_on_clear(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct hook *h = arena_alloc_raw(a, sizeof(*h), ALIGN);
	if (!h)
		return -ENOMEM;
	*h = (struct hook){a->hooks, fn, arg};
	a->hooks = h;
	return 0;
}

bool
arena_failed(const struct arena *a)
{
	return a->failed;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

void *
arena_array(struct arena *a, size_t size, size_t n)
{
	size_t bytes = 0;
	if (__builtin_mul_overflow(size, n, &bytes))
		return arena_fail(a);
	return arena_alloc(a, bytes);
}

struct str
arena_str(struct arena *a, struct str s)
{
	if (!s.p)
		return STR_NONE;
	char *p = arena_alloc_raw(a, s.n + 1, 1);
	if (!p)
		return STR_NONE;
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){p, s.n};
}

char *
arena_cstr(struct arena *a, struct str s)
{
	char *p = arena_alloc_raw(a, s.n + 1, 1);
	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str
arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	char *p = n >= 0 ? arena_alloc_raw(a, (size_t)n + 1, 1) : arena_fail(a);
	if (p && (size_t)n < sizeof(small))
		memcpy(p, small, (size_t)n + 1);
	else if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p ? (struct str){p, (size_t)n} : STR_NONE;
}

struct str
arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str s = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return s;
}

struct str
arena_cat(struct arena *a, const struct str *parts, size_t n)
{
	size_t sum = 1;
	for (size_t i = 0; i < n; i++) {
		if (__builtin_add_overflow(sum, parts[i].n, &sum)) {
			arena_fail(a);
			return STR_NONE;
		}
	}
	char *p = arena_alloc_raw(a, sum, 1);
	if (!p)
		return STR_NONE;
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(p + at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	p[at] = '\0';
	return (struct str){p, at};
}

void *
arena_push(struct arena *a, void **ptr, size_t *count, size_t size)
{
	size_t n = *count;
	if ((n & (n - 1)) == 0) { /* 0 or a power of two: full */
		size_t bytes = 0;
		if (__builtin_mul_overflow(n ? 2 * n : 1, size, &bytes))
			return arena_fail(a);
		void *p = n ? arena_grow(a, *ptr, n * size, bytes)
			    : arena_alloc_raw(a, bytes, ALIGN);
		if (!p)
			return NULL;
		*ptr = p;
	}
	*count = n + 1;
	return memset((char *)*ptr + n * size, 0, size);
}
