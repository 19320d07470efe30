/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * arena: memory that dies together. A request, a loop turn, a decoded object has one arena; nothing in
 * it is freed alone. In the sanitizer build (KEELSON_ASAN) every block is a malloc of its own and
 * cleared blocks are poisoned, so that a stale slice is found.
 *
 * Failure: an arena has a cap (bytes). An allocation beyond it, or when the system has no memory, sets
 * the sticky flag `failed` and gives NULL. Callers of arena_alloc check for NULL or use the helpers below, all of which pass NULL on (a NULL
 * slice of size 0). The stage that owns the arena asks arena_failed() once and answers 413/503. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

#include <stdarg.h>

struct arena;

/* arena_new: returns owned; cap_bytes 0 = 256 MiB. NULL only when the system has no memory. */
struct arena *arena_new(size_t cap_bytes);
/* arena_new_fit: for what is kept long: takes no more than it needs to hand out `bytes` bytes (as arena_used
 * counts them); more than that may be had, for the price of a whole chunk. */
struct arena *arena_new_fit(size_t bytes);
/* arena_free: runs the hooks (last first), frees all. NULL is allowed. */
void arena_free(struct arena *a);
/* arena_clear: as arena_free, but the arena can be used again; `failed` is reset. */
void arena_clear(struct arena *a);
/* arena_alloc: n zeroed bytes aligned to 16; n = 0 gives a valid pointer. arena; NULL = failed. */
void *arena_alloc(struct arena *a, size_t n);
/* arena_alloc_raw: not zeroed, aligned to `align` (power of two <= 16). arena; NULL = failed. */
void *arena_alloc_raw(struct arena *a, size_t n, size_t align);
/* arena_grow: a block of old bytes becomes `want` bytes (in place when it was the last). arena. */
void *arena_grow(struct arena *a, void *p, size_t old, size_t want);
/* arena_on_clear: call fn(arg) when the arena is cleared or freed (close an fd, put a reference). */
int arena_on_clear(struct arena *a, void (*fn)(void *arg), void *arg);
bool arena_failed(const struct arena *a);
/* arena_used: bytes handed out since the last clear, and what lay between them for their alignment. */
size_t arena_used(const struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), sizeof(type), (n)))

/* arena_array: size * n zeroed bytes, NULL on overflow (and failed). */
void *arena_array(struct arena *a, size_t size, size_t n);
/* arena_str: a copy of s (NUL-terminated behind its end for convenience). STR_NONE stays STR_NONE. */
struct str arena_str(struct arena *a, struct str s);
/* arena_cstr: a copy of s as a C string; NULL = failed. */
char *arena_cstr(struct arena *a, struct str s);
/* arena_fmt: printf into the arena, NUL-terminated. STR_NONE = failed. */
struct str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* arena_cat: the parts one behind the other. */
struct str arena_cat(struct arena *a, const struct str *parts, size_t n);

/* ARENA_PUSH: append one element to a (ptr, count) pair, growing by doubling: the capacity is the next
 * power of two of the count, so none is stored. Gives a pointer to the new zeroed element or NULL. */
#define ARENA_PUSH(a, ptr, count)                                                                  \
	((typeof(ptr))arena_push((a), (void **)&(ptr), &(count), sizeof(*(ptr))))
void *arena_push(struct arena *a, void **ptr, size_t *count, size_t size);

#endif
