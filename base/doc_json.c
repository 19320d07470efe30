/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_json.c: JSON to tree and back. yyjson reads into its flat array of values (in a scratch block of
 * the thread), one pass turns that into the tree; strings point into one copy of the text in the
 * arena. The writer is ours, so that bytes are encoding/json's.
 * Invariants: depth and nodes are checked before a node is made; no recursion over input while
 * reading, at most DOC_MAX_WALK deep while writing. Must not: keep more scratch than SCRATCH_KEEP.
 * Source: RFC 8259; Go encoding/json for number and string forms and for error texts. */
#include "base/doc.h"

#include "base/doc_int.h"
#include "base/hash.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

#define DEFAULT_NODES 1000000
#define SCRATCH_KEEP ((size_t)1 << 20)
#define PAIRWISE_MAX 16
#define NODES_PER_LOT 64

struct doc_limits
doc_limits_of(const struct doc_limits *lim)
{
	struct doc_limits l = lim ? *lim : (struct doc_limits){0};
	if (l.max_depth == 0)
		l.max_depth = DOC_MAX_DEPTH;
	if (l.max_depth > DOC_MAX_WALK)
		l.max_depth = DOC_MAX_WALK;
	if (l.max_nodes == 0)
		l.max_nodes = DEFAULT_NODES;
	return l;
}

/* ---- duplicates ---- */

static int
mark_dups_hashed(struct doc *map)
{
	size_t cap = 64;
	while (cap < map->n * 2)
		cap *= 2;
	struct doc **slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (struct doc *d = map->first; d; d = d->next) {
		size_t at = hash_bytes(d->key.p, d->key.n) & (cap - 1);
		while (slots[at] && !str_eq(slots[at]->key, d->key))
			at = (at + 1) & (cap - 1);
		if (slots[at])
			d->dup = map->dups = true;
		slots[at] = d;
	}
	free(slots);
	return 0;
}

int
doc_mark_dups(struct doc *map)
{
	if (map->n > PAIRWISE_MAX)
		return mark_dups_hashed(map);
	uint64_t seen = 0; /* one bit of 64 a name: most names need no comparison at all */
	for (struct doc *d = map->first; d; d = d->next) {
		unsigned char ends[2] = {0};
		if (d->key.n) {
			ends[0] = (unsigned char)d->key.p[0];
			ends[1] = (unsigned char)d->key.p[d->key.n - 1];
		}
		uint64_t bit = (uint64_t)1 << ((d->key.n * 7 + ends[0] + ends[1] * 3U) & 63);
		for (const struct doc *m = map->first; (seen & bit) && m != d; m = m->next)
			if (m->key.n == d->key.n && str_eq(m->key, d->key))
				d->dup = map->dups = true;
		seen |= bit;
	}
	return 0;
}

/* ---- reading ---- */

/* One block a thread, lent to yyjson for its value array; larger or second blocks are malloc's. */
static _Thread_local struct {
	void *block;
	size_t size;
	bool lent;
} scratch;

static void *
scratch_malloc(void *ctx, size_t size)
{
	(void)ctx;
	if (scratch.lent || size > SCRATCH_KEEP)
		return malloc(size);
	if (scratch.size < size) {
		size_t want = size < 65536 ? 65536 : size;
		free(scratch.block);
		scratch.block = malloc(want);
		scratch.size = scratch.block ? want : 0;
	}
	scratch.lent = scratch.block != NULL;
	return scratch.block;
}

static void
scratch_free(void *ctx, void *p)
{
	(void)ctx;
	if (p == scratch.block)
		scratch.lent = false;
	else
		free(p);
}

static void *
scratch_realloc(void *ctx, void *p, size_t old, size_t size)
{
	(void)ctx;
	if (p != scratch.block)
		return realloc(p, size);
	if (size <= scratch.size)
		return p;
	void *q = malloc(size);
	if (!q)
		return NULL;
	memcpy(q, p, old < size ? old : size);
	scratch.lent = false;
	return q;
}

void
doc_thread_end(void)
{
	free(scratch.block);
	scratch.block = NULL;
	scratch.size = 0;
}

/* fill: the value of one node that is no container. */
static void
fill(struct doc *d, yyjson_val *v)
{
	switch (unsafe_yyjson_get_type(v)) {
	case YYJSON_TYPE_BOOL:
		d->type = DOC_BOOL;
		d->b = unsafe_yyjson_get_bool(v);
		break;
	case YYJSON_TYPE_NUM:
		d->type = DOC_INT;
		if (unsafe_yyjson_get_subtype(v) == YYJSON_SUBTYPE_REAL) {
			d->type = DOC_DOUBLE;
			d->d = unsafe_yyjson_get_real(v);
		} else if (unsafe_yyjson_get_subtype(v) == YYJSON_SUBTYPE_UINT &&
			unsafe_yyjson_get_uint(v) > INT64_MAX) {
			d->type = DOC_DOUBLE;
			d->d = (double)unsafe_yyjson_get_uint(v);
		} else {
			d->i = unsafe_yyjson_get_sint(v);
		}
		break;
	case YYJSON_TYPE_STR:
		d->type = DOC_STR;
		d->s = str_from(unsafe_yyjson_get_str(v), unsafe_yyjson_get_len(v));
		break;
	default:
		d->type = DOC_NULL;
		break;
	}
}

struct level {
	struct doc *parent;
	size_t left; /* members or items still to come */
};

struct builder {
	struct arena *a;
	struct doc_limits lim;
	struct doc *spare; /* nodes are taken from the arena in lots */
	size_t n_spare, n_nodes;
	size_t depth;
	struct level stack[DOC_MAX_WALK];
};

/* node_new: a zeroed node; *left is how many values may still come. */
static inline struct doc *
node_new(struct builder *b, size_t left)
{
	if (b->n_spare == 0) {
		b->n_spare = left < NODES_PER_LOT ? left : NODES_PER_LOT;
		b->spare = arena_alloc_raw(
			b->a, b->n_spare * sizeof(struct doc), _Alignof(struct doc));
		if (!b->spare)
			return NULL;
	}
	b->n_spare--;
	struct doc *d = b->spare++;
	*d = (struct doc){0};
	return d;
}

static int
too_big(struct err *e)
{
	return err_set(e, -ENOMEM, R_REQUEST_ENTITY_TOO_LARGE, "document needs too much memory");
}

/* build_one: the value at v (with its key in front of it in a map) into the tree. */
static int
build_one(struct builder *b, yyjson_val **v, const yyjson_val *end, struct doc **ret, struct err *e)
{
	struct level *up = b->depth ? &b->stack[b->depth - 1] : NULL;
	struct str key = STR_NONE;
	if (up && up->parent->type == DOC_MAP) {
		key = str_from(unsafe_yyjson_get_str(*v), unsafe_yyjson_get_len(*v));
		(*v)++;
		if (b->lim.skip && str_eq_c(key, b->lim.skip) &&
			str_eq_c(up->parent->key, b->lim.skip_of)) {
			*v = unsafe_yyjson_get_next(*v);
			up->left--;
			return 0;
		}
	}
	if (++b->n_nodes > b->lim.max_nodes)
		return err_set(e, -E2BIG, R_BAD_REQUEST, "document has more than %zu values",
			b->lim.max_nodes);
	struct doc *d = node_new(b, (size_t)(end - *v));
	if (!d)
		return too_big(e);
	d->key = key;
	if (up) {
		*(up->parent->last ? &up->parent->last->next : &up->parent->first) = d;
		up->parent->last = d;
		up->parent->n++;
		up->left--;
	} else {
		*ret = d;
	}
	if (unsafe_yyjson_is_ctn(*v)) {
		d->type = unsafe_yyjson_is_obj(*v) ? DOC_MAP : DOC_LIST;
		if (b->depth == b->lim.max_depth)
			return err_set(e, -E2BIG, R_BAD_REQUEST,
				"document is nested deeper than %zu levels", b->lim.max_depth);
		b->stack[b->depth++] = (struct level){d, unsafe_yyjson_get_len(*v)};
	} else {
		fill(d, *v);
	}
	(*v)++;
	return 0;
}

/* build: yyjson's array is the tree in pre-order (a key in front of its value), so one pass does it. */
static int
build(struct arena *a, yyjson_doc *in, const struct doc_limits *lim, struct doc **ret,
	struct err *e)
{
	struct builder b;
	b.a = a;
	b.lim = *lim;
	b.n_spare = b.n_nodes = b.depth = 0;
	yyjson_val *v = yyjson_doc_get_root(in);
	const yyjson_val *end = v + yyjson_doc_get_val_count(in);
	struct doc *root = NULL;
	do {
		int rc = build_one(&b, &v, end, &root, e);
		if (rc < 0)
			return rc;
		while (b.depth && b.stack[b.depth - 1].left == 0) {
			struct doc *done = b.stack[--b.depth].parent;
			if (done->type == DOC_MAP && done->n > 1 && doc_mark_dups(done) < 0)
				return too_big(e);
		}
	} while (b.depth);
	*ret = root;
	return 0;
}

int
doc_parse_json(struct arena *a, struct str text, const struct doc_limits *lim, struct doc **ret,
	struct err *e)
{
	struct doc_limits limits = doc_limits_of(lim);
	char *copy = text.n < SIZE_MAX - 8 ? arena_alloc_raw(a, text.n + YYJSON_PADDING_SIZE, 1)
					   : NULL;
	if (!copy)
		return too_big(e);
	if (text.n)
		memcpy(copy, text.p, text.n);
	memset(copy + text.n, 0, YYJSON_PADDING_SIZE);
	const yyjson_alc alc = {scratch_malloc, scratch_realloc, scratch_free, NULL};
	yyjson_read_err why = {0};
	yyjson_doc *in = text.n ? yyjson_read_opts(copy, text.n, YYJSON_READ_INSITU, &alc, &why)
				: NULL;
	if (in) {
		int rc = build(a, in, &limits, ret, e);
		yyjson_doc_free(in);
		return rc;
	}
	if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return too_big(e);
	char room[128];
	ptrdiff_t at = json_explain(text, room, sizeof(room));
	if (at < 0)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "%s (offset %zu)",
			why.msg ? why.msg : "invalid JSON", why.pos);
	return err_set(e, -EINVAL, R_BAD_REQUEST, "%s (offset %td)", room, at);
}

/* ---- writing ---- */

/* Bytes that may stand in a string as they are: not below 0x20, no quote, no backslash, ASCII. */
static const char plain[256] = {[0x20 ... 0x21] = 1, [0x23 ... 0x5b] = 1, [0x5d ... 0x7f] = 1};

/* word_plain: all 8 bytes are plain. The usual carries-free zero-byte tests on 64 bits. */
static inline bool
word_plain(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
	uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';
	uint64_t bad = w | (w - ones * 0x20) | (quote - ones) | (slash - ones);
	return (bad & high) == 0;
}

/* put_escape: the special character at s.p[0]; returns how many bytes it took. */
static size_t
put_escape(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	static const char names[] = {['"'] = '"',
		['\\'] = '\\',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['\b'] = 'b',
		['\f'] = 'f'};
	unsigned char c = (unsigned char)s.p[0];
	if (c < 0x80) {
		if (c < sizeof(names) && names[c]) {
			char two[2] = {'\\', names[c]};
			buf_add(b, two, 2);
		} else {
			char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
			buf_add(b, six, 6);
		}
		return 1;
	}
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	struct str rune = str_sub(s, 0, n);
	if (rune.n < n || !str_is_utf8(rune)) {
		buf_add(b, "\\ufffd", 6);
		return 1;
	}
	if (n == 3 && c == 0xe2 && (unsigned char)s.p[1] == 0x80 &&
		((unsigned char)s.p[2] & 0xfe) == 0xa8)
		buf_add(b, (unsigned char)s.p[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
	else
		buf_str(b, rune);
	return n;
}

/* copy_plain: s to out when all of it is plain; out has room for s. By words, the last one overlapping
 * the one before, because musl's memcpy costs more than most strings here are worth. */
static inline bool
copy_plain(char *out, struct str s)
{
	uint64_t w = 0;
	if (s.n < 4) {
		bool good = true;
		for (size_t i = 0; i < s.n; i++) {
			out[i] = s.p[i];
			good &= plain[(unsigned char)s.p[i]];
		}
		return good;
	}
	if (s.n < 8) {
		uint32_t head, tail;
		memcpy(&head, s.p, 4);
		memcpy(&tail, s.p + s.n - 4, 4);
		memcpy(out, &head, 4);
		memcpy(out + s.n - 4, &tail, 4);
		return word_plain(head | (uint64_t)tail << 32);
	}
	for (size_t i = 0; i + 8 < s.n; i += 8) {
		memcpy(&w, s.p + i, 8);
		if (!word_plain(w))
			return false;
		memcpy(out + i, &w, 8);
	}
	memcpy(&w, s.p + s.n - 8, 8);
	memcpy(out + s.n - 8, &w, 8);
	return word_plain(w);
}

/* put_string: s in quotes at out when it is plain; the end, or NULL when it is not. */
static inline char *
put_string(char *out, struct str s)
{
	*out = '"';
	if (!copy_plain(out + 1, s))
		return NULL;
	out[s.n + 1] = '"';
	return out + s.n + 2;
}

void
doc_json_string(struct buf *b, struct str s)
{
	char *out = buf_reserve(b, s.n + 2);
	if (!out)
		return;
	if (put_string(out, s)) {
		buf_commit(b, s.n + 2);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		while (i < s.n && plain[(unsigned char)s.p[i]])
			i++;
		buf_add(b, s.p + from, i - from);
		if (i < s.n)
			i += put_escape(b, str_sub(s, i, SIZE_MAX));
	}
	buf_char(b, '"');
}

/* put_scientific: d.ddde+x as encoding/json has it: one digit at least, sign always. */
static void
put_scientific(struct buf *b, const char *digits, size_t n, int64_t exponent)
{
	buf_char(b, digits[0]);
	if (n > 1) {
		buf_char(b, '.');
		buf_add(b, digits + 1, n - 1);
	}
	buf_char(b, 'e');
	if (exponent >= 0)
		buf_char(b, '+');
	buf_i64(b, exponent);
}

static void
put_zeros(struct buf *b, int64_t n)
{
	for (; n > 0; n--)
		buf_char(b, '0');
}

void
doc_put_double(struct buf *b, double v)
{
	if (!isfinite(v)) {
		buf_cstr(b, "null");
		return;
	}
	char text[40] = "";
	/* The shortest that reads back; only subnormal numbers have fewer than 15 sure digits. */
	for (int precision = fabs(v) < 2.3e-308 ? 0 : 14; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	char digits[24];
	size_t n = 0;
	const char *p = text;
	if (*p == '-') {
		buf_char(b, '-');
		p++;
	}
	for (; *p && *p != 'e'; p++)
		if (*p != '.' && n < sizeof(digits))
			digits[n++] = *p;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	int64_t exponent = 0; /* printed with its sign and at least two digits */
	if (p[0] == 'e' && str_to_i64(str_c(p + 2), &exponent) == 0 && p[1] == '-')
		exponent = -exponent;
	if (v != 0 && (fabs(v) < 1e-6 || fabs(v) >= 1e21)) {
		put_scientific(b, digits, n, exponent);
	} else if (exponent < 0) {
		buf_cstr(b, "0.");
		put_zeros(b, -exponent - 1);
		buf_add(b, digits, n);
	} else {
		size_t whole = n < (size_t)exponent + 1 ? n : (size_t)exponent + 1;
		buf_add(b, digits, whole);
		put_zeros(b, exponent + 1 - (int64_t)whole);
		if (n > whole) {
			buf_char(b, '.');
			buf_add(b, digits + whole, n - whole);
		}
	}
}

static void
newline(struct buf *b, int indent, unsigned depth)
{
	if (indent < 0)
		return;
	size_t n = (size_t)indent * depth + 1;
	char *p = buf_reserve(b, n);
	if (!p)
		return;
	p[0] = '\n';
	memset(p + 1, ' ', n - 1);
	buf_commit(b, n);
}

/* write_key: "key": in one piece when it is plain. */
static void
write_key(struct buf *b, struct str key, bool blank)
{
	char *out = buf_reserve(b, key.n + 4);
	char *end = out ? put_string(out, key) : NULL;
	if (end) {
		*end++ = ':';
		if (blank)
			*end++ = ' ';
		buf_commit(b, (size_t)(end - out));
		return;
	}
	doc_json_string(b, key);
	buf_add(b, ": ", blank ? 2 : 1);
}

/* write_plain: a member or item whose value is a plain string, a bool or null, in one piece; false (and nothing
 * written) for any other. These are most of what there is, and a call for each of its parts costs more than they do. */
static bool
write_plain(struct buf *b, const struct doc *d, bool map, bool first)
{
	bool word = d->type == DOC_NULL || d->type == DOC_BOOL;
	if (!word && (d->type != DOC_STR || d->raw))
		return false;
	size_t room = (word ? 5 : d->s.n + 2) + (map ? d->key.n + 4 : 1);
	char *start = buf_reserve(b, room), *out = start;
	if (!out)
		return true;
	if (!first)
		*out++ = ',';
	if (map) {
		out = put_string(out, d->key);
		if (!out)
			return false;
		*out++ = ':';
	}
	if (word) {
		const char *text = d->type == DOC_NULL ? "null" : d->b ? "true" : "false";
		memcpy(out, text, 5); /* of a fixed length: no call */
		out += text[4] ? 5 : 4;
	} else {
		out = put_string(out, d->s);
		if (!out)
			return false;
	}
	buf_commit(b, (size_t)(out - start));
	return true;
}

static void
write_at(struct buf *b, const struct doc *d, int indent, unsigned depth)
{
	if (depth >= DOC_MAX_WALK) {
		b->failed = true;
		return;
	}
	switch (d ? d->type : DOC_NULL) {
	case DOC_NULL:
		buf_add(b, "null", 4);
		return;
	case DOC_BOOL:
		buf_add(b, d->b ? "true" : "false", d->b ? 4 : 5);
		return;
	case DOC_INT:
		buf_i64(b, d->i);
		return;
	case DOC_DOUBLE:
		doc_put_double(b, d->d);
		return;
	case DOC_STR:
		if (d->raw)
			buf_str(b, d->s);
		else
			doc_json_string(b, d->s);
		return;
	case DOC_LIST:
	case DOC_MAP:
		break;
	}
	bool map = d->type == DOC_MAP;
	buf_char(b, map ? '{' : '[');
	for (const struct doc *child = d->first; child; child = child->next) {
		if (indent < 0 && write_plain(b, child, map, child == d->first))
			continue;
		if (child != d->first)
			buf_char(b, ',');
		newline(b, indent, depth + 1);
		if (map)
			write_key(b, child->key, indent >= 0);
		write_at(b, child, indent, depth + 1);
	}
	if (d->first)
		newline(b, indent, depth);
	buf_char(b, map ? '}' : ']');
}

void
doc_write_json(struct buf *b, const struct doc *d)
{
	write_at(b, d, -1, 0);
}

void
doc_write_json_pretty(struct buf *b, const struct doc *d, int indent)
{
	write_at(b, d, indent < 0 ? 0 : indent, 0);
}
