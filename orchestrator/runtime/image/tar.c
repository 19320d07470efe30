/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tar: see tar.h. States: a block of 512 bytes is collected (header, old sparse extension, PAX 1.0
 * sparse map) or a run of `left` bytes passes through (metadata, data), then padding to 512. */
#include "orchestrator/runtime/image/tar.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"

#define BLOCK 512u
#define MAX_SIZE (1ull << 60)

enum state { ST_HEADER, ST_META, ST_GNU_SPARSE, ST_PAX_SPARSE, ST_DATA, ST_PAD, ST_END };

struct segment {
	uint64_t at, n;
};

/* What PAX headers and long names said about the next entry. */
struct extra {
	struct arena *a;
	struct str name, link, sparse_name;
	bool has_size, has_uid, has_gid, has_mtime, has_real;
	uint64_t size, real_size;
	uint32_t uid, gid;
	int64_t mtime_ns;
	unsigned sparse_major, sparse_minor;
	bool sparse;
	struct tar_xattr *xattrs;
	size_t n_xattrs;
	struct segment *map;
	size_t n_map;
	bool map_open; /* an offset without its length (PAX 0.0) */
};

struct tar {
	const struct tar_ops *ops;
	void *arg;
	enum state st;
	int failed;
	unsigned zero_blocks;
	char block[BLOCK];
	size_t have;
	uint64_t left; /* bytes of META or DATA still to come */
	uint64_t pad;
	char meta_type;
	struct buf meta;
	struct extra next;
	struct tar_entry entry;
	bool in_entry;
	/* data */
	size_t seg;
	uint64_t seg_done;
	uint64_t data_at;
	bool sparse;
	uint64_t sparse_want; /* PAX 1.0: entries of the map, SIZE_MAX = not read yet */
	struct buf sparse_text;
};

struct tar *
tar_new(const struct tar_ops *ops, void *arg)
{
	struct tar *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ops = ops;
	t->arg = arg;
	t->next.a = arena_new(16u << 20);
	if (!t->next.a) {
		free(t);
		return NULL;
	}
	t->meta.max = TAR_META_MAX;
	t->sparse_text.max = TAR_META_MAX;
	return t;
}

void
tar_free(struct tar *t)
{
	if (!t)
		return;
	arena_free(t->next.a);
	buf_release(&t->meta);
	buf_release(&t->sparse_text);
	free(t);
}

static int
bad(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, R_INVALID, "malformed tar: %s", what);
}

static void
extra_reset(struct tar *t)
{
	struct arena *a = t->next.a;

	arena_clear(a);
	t->next = (struct extra){.a = a};
}

/* ---- numbers and strings of a header ---- */

/* Octal with blanks around, or base-256 with the top bit set. */
static bool
number(struct str f, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((uint8_t)f.p[0] & 0x80) {
		if ((uint8_t)f.p[0] & 0x40)
			return false; /* negative */
		v = (uint8_t)f.p[0] & 0x3f;
		for (i = 1; i < f.n; i++) {
			if (v >> 55)
				return false;
			v = v << 8 | (uint8_t)f.p[i];
		}
		*ret = v;
		return true;
	}
	while (i < f.n && f.p[i] == ' ')
		i++;
	for (; i < f.n && f.p[i] >= '0' && f.p[i] <= '7'; i++) {
		if (v >> 60)
			return false;
		v = v << 3 | (uint64_t)(f.p[i] - '0');
	}
	for (; i < f.n; i++)
		if (f.p[i] != ' ' && f.p[i] != '\0')
			return false;
	*ret = v;
	return true;
}

static struct str
field(const struct tar *t, size_t at, size_t n)
{
	return str_from(t->block + at, n);
}

static struct str
text(struct str f)
{
	ptrdiff_t end = str_find_char(f, '\0');

	return end < 0 ? f : str_sub(f, 0, (size_t)end);
}

static bool
checksum_ok(const struct tar *t, uint64_t want)
{
	uint64_t sum = 0;
	int64_t sum_signed = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		char c = i >= 148 && i < 156 ? ' ' : t->block[i];

		sum += (uint8_t)c;
		sum_signed += (signed char)c;
	}
	return sum == want || sum_signed == (int64_t)want;
}

static bool
block_is_zero(const struct tar *t)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (t->block[i])
			return false;
	return true;
}

/* ---- PAX records ---- */

static bool
pax_time(struct str v, int64_t *ret)
{
	struct str whole = STR_NONE;
	struct str frac = STR_NONE;
	int64_t s = 0;
	int64_t ns = 0;

	str_cut(v, '.', &whole, &frac);
	if (str_to_i64(whole, &s) || s > 9000000000ll || s < -9000000000ll)
		return false;
	for (size_t i = 0; i < 9; i++) {
		char c = i < frac.n ? frac.p[i] : '0';

		if (c < '0' || c > '9')
			return false;
		ns = ns * 10 + (c - '0');
	}
	*ret = s * NS_PER_SEC + (whole.n && whole.p[0] == '-' ? -ns : ns);
	return true;
}

static bool
map_push(struct extra *x, uint64_t at, uint64_t n)
{
	struct segment *s = NULL;

	if (x->n_map >= TAR_SPARSE_MAX || at > MAX_SIZE || n > MAX_SIZE)
		return false;
	if (x->n_map && at < x->map[x->n_map - 1].at + x->map[x->n_map - 1].n)
		return false;
	s = ARENA_PUSH(x->a, x->map, x->n_map);
	if (!s)
		return false;
	*s = (struct segment){at, n};
	return true;
}

static bool
pax_id(struct str v, uint32_t *ret)
{
	uint64_t n = 0;

	if (str_to_u64(v, &n) || n > 0xfffffffe)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool
pax_sparse_map(struct extra *x, struct str v)
{
	struct str rest = v;
	struct str part = STR_NONE;
	uint64_t at = 0;
	uint64_t n = 0;

	while (rest.n) {
		if (!str_next(&rest, ',', &part) || str_to_u64(part, &at) ||
			!str_next(&rest, ',', &part) || str_to_u64(part, &n) || !map_push(x, at, n))
			return false;
	}
	x->sparse = true;
	return true;
}

enum pax_key {
	PAX_PATH,
	PAX_LINKPATH,
	PAX_SIZE,
	PAX_UID,
	PAX_GID,
	PAX_MTIME,
	PAX_SPARSE_MAJOR,
	PAX_SPARSE_MINOR,
	PAX_SPARSE_NAME,
	PAX_SPARSE_REALSIZE,
	PAX_SPARSE_SIZE,
	PAX_SPARSE_MAP,
	PAX_SPARSE_OFFSET,
	PAX_SPARSE_NUMBYTES,
	PAX__COUNT
};

static const char *const pax_keys[PAX__COUNT] = {
	[PAX_PATH] = "path",
	[PAX_LINKPATH] = "linkpath",
	[PAX_SIZE] = "size",
	[PAX_UID] = "uid",
	[PAX_GID] = "gid",
	[PAX_MTIME] = "mtime",
	[PAX_SPARSE_MAJOR] = "GNU.sparse.major",
	[PAX_SPARSE_MINOR] = "GNU.sparse.minor",
	[PAX_SPARSE_NAME] = "GNU.sparse.name",
	[PAX_SPARSE_REALSIZE] = "GNU.sparse.realsize",
	[PAX_SPARSE_SIZE] = "GNU.sparse.size",
	[PAX_SPARSE_MAP] = "GNU.sparse.map",
	[PAX_SPARSE_OFFSET] = "GNU.sparse.offset",
	[PAX_SPARSE_NUMBYTES] = "GNU.sparse.numbytes",
};

/* One record; unknown keys are skipped. */
static bool
pax_apply(struct extra *x, struct str key, struct str value)
{
	static const struct str xattr = STR_INIT("SCHILY.xattr.");
	uint64_t v = 0;
	size_t k = 0;

	if (str_starts(key, xattr)) {
		struct tar_xattr *xa = NULL;

		if (x->n_xattrs >= TAR_XATTRS_MAX)
			return false;
		xa = ARENA_PUSH(x->a, x->xattrs, x->n_xattrs);
		if (!xa)
			return false;
		xa->name = arena_str(x->a, str_sub(key, xattr.n, SIZE_MAX));
		xa->value = arena_str(x->a, value);
		return true;
	}
	while (k < PAX__COUNT && !str_eq_c(key, pax_keys[k]))
		k++;
	switch ((enum pax_key)k) {
	case PAX_PATH:
		x->name = arena_str(x->a, value);
		return true;
	case PAX_LINKPATH:
		x->link = arena_str(x->a, value);
		return true;
	case PAX_SPARSE_NAME:
		x->sparse_name = arena_str(x->a, value);
		return true;
	case PAX_SIZE:
		x->has_size = true;
		return str_to_u64(value, &x->size) == 0 && x->size <= MAX_SIZE;
	case PAX_UID:
		x->has_uid = true;
		return pax_id(value, &x->uid);
	case PAX_GID:
		x->has_gid = true;
		return pax_id(value, &x->gid);
	case PAX_MTIME:
		x->has_mtime = true;
		return pax_time(value, &x->mtime_ns);
	case PAX_SPARSE_MAJOR:
	case PAX_SPARSE_MINOR:
		if (str_to_u64(value, &v) || v > 9)
			return false;
		if (k == PAX_SPARSE_MAJOR)
			x->sparse_major = (unsigned)v;
		else
			x->sparse_minor = (unsigned)v;
		x->sparse = true;
		return true;
	case PAX_SPARSE_REALSIZE:
	case PAX_SPARSE_SIZE:
		x->has_real = true;
		return str_to_u64(value, &x->real_size) == 0 && x->real_size <= MAX_SIZE;
	case PAX_SPARSE_MAP:
		return pax_sparse_map(x, value);
	case PAX_SPARSE_OFFSET:
		x->sparse = true;
		x->map_open = true;
		return str_to_u64(value, &v) == 0 && map_push(x, v, 0);
	case PAX_SPARSE_NUMBYTES:
		if (!x->map_open || str_to_u64(value, &v) || v > MAX_SIZE)
			return false;
		x->map_open = false;
		x->map[x->n_map - 1].n = v;
		return true;
	case PAX__COUNT:
		break;
	}
	return true;
}

/* "<length> <key>=<value>\n" one behind the other. */
static int
pax_parse(struct tar *t, struct str body, bool apply, struct err *e)
{
	struct str rest = body;

	while (rest.n) {
		struct str len = STR_NONE;
		struct str tail = STR_NONE;
		struct str key = STR_NONE;
		struct str value = STR_NONE;
		struct str rec = STR_NONE;
		uint64_t n = 0;

		if (rest.p[0] == '\0')
			break; /* padding some writers leave */
		if (!str_cut(rest, ' ', &len, &tail) || str_to_u64(len, &n) || n > rest.n ||
			n < len.n + 3)
			return bad(e, "PAX record length");
		rec = str_sub(rest, len.n + 1, (size_t)n);
		if (rec.p[rec.n - 1] != '\n' ||
			!str_cut(str_sub(rec, 0, rec.n - 1), '=', &key, &value))
			return bad(e, "PAX record");
		if (apply && !pax_apply(&t->next, key, value))
			return bad(e, "PAX value");
		rest = str_sub(rest, (size_t)n, SIZE_MAX);
	}
	if (arena_failed(t->next.a))
		return err_set(e, -E2BIG, R_INVALID, "tar: PAX headers too large");
	return 0;
}

/* ---- entries ---- */

static int
entry_begin(struct tar *t, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < t->next.n_map; i++)
		if (t->next.map[i].at + t->next.map[i].n > t->entry.size)
			return bad(e, "sparse map beyond the end");
	t->in_entry = true;
	t->seg = 0;
	t->seg_done = 0;
	t->data_at = 0;
	rc = t->ops->on_entry(t->arg, &t->entry);
	if (rc)
		return rc;
	t->st = ST_DATA;
	return 0;
}

static int
entry_finish(struct tar *t)
{
	int rc = t->in_entry ? t->ops->on_end(t->arg) : 0;

	t->in_entry = false;
	extra_reset(t);
	t->sparse = false;
	return rc;
}

/* GNU's old format: 4 segments in the header, 21 in each extension block. */
static bool
gnu_sparse_read(struct tar *t, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str f = field(t, at + i * 24, 24);
		uint64_t off = 0;
		uint64_t len = 0;

		if (f.p[0] == '\0')
			return true;
		if (!number(str_sub(f, 0, 12), &off) || !number(str_sub(f, 12, 24), &len) ||
			!map_push(&t->next, off, len))
			return false;
	}
	return true;
}

static struct str
header_name(struct tar *t)
{
	struct str name = text(field(t, 0, 100));
	struct str prefix = text(field(t, 345, 155));

	/* ustar only: GNU uses the prefix's place for times and sparse maps. */
	if (memcmp(t->block + 257, "ustar\0", 6) == 0 && prefix.n)
		return arena_cat(t->next.a, (struct str[]){prefix, STR("/"), name}, 3);
	return arena_str(t->next.a, name);
}

static const struct {
	char flag;
	enum tar_type type;
} types[] = {
	{'0', TAR_FILE},
	{'\0', TAR_FILE},
	{'7', TAR_FILE},
	{'S', TAR_FILE},
	{'1', TAR_HARDLINK},
	{'2', TAR_SYMLINK},
	{'3', TAR_CHAR},
	{'4', TAR_BLOCK},
	{'5', TAR_DIR},
	{'6', TAR_FIFO},
};

static bool
type_of(char flag, enum tar_type *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].flag == flag) {
			*ret = types[i].type;
			return true;
		}
	}
	return false;
}

static bool
name_ok(struct str s)
{
	return s.n <= TAR_NAME_MAX && str_find_char(s, '\0') < 0;
}

/* Fills t->entry from the header block and what came before it. */
static int
entry_fill(struct tar *t, char flag, uint64_t stored, struct err *e)
{
	struct extra *x = &t->next;
	struct tar_entry *n = &t->entry;
	uint64_t v[6] = {0};
	static const struct {
		size_t at, n;
	} f[6] = {{100, 8}, {108, 8}, {116, 8}, {136, 12}, {329, 8}, {337, 8}};

	for (size_t i = 0; i < 6; i++)
		if (!number(field(t, f[i].at, f[i].n), &v[i]))
			return bad(e, "number in header");
	if (v[1] > 0xfffffffe || v[2] > 0xfffffffe)
		return bad(e, "user or group id");
	*n = (struct tar_entry){.mode = (uint32_t)v[0] & 07777,
		.uid = x->has_uid ? x->uid : (uint32_t)v[1],
		.gid = x->has_gid ? x->gid : (uint32_t)v[2],
		.mtime_ns = x->has_mtime ? x->mtime_ns
					 : (int64_t)(v[3] < 9000000000ull ? v[3] : 0) * NS_PER_SEC,
		.major = (uint32_t)v[4],
		.minor = (uint32_t)v[5],
		.size = stored,
		.xattrs = x->xattrs,
		.n_xattrs = x->n_xattrs};
	type_of(flag, &n->type);
	n->name = str_is_set(x->sparse_name) ? x->sparse_name
		: str_is_set(x->name)        ? x->name
					     : header_name(t);
	n->link = str_is_set(x->link) ? x->link : arena_str(x->a, text(field(t, 157, 100)));
	if (n->name.n == 0 || !name_ok(n->name) || !name_ok(n->link))
		return bad(e, "name");
	/* Old archives say "directory" by a slash at the end. */
	if (n->type == TAR_FILE && n->name.p[n->name.n - 1] == '/')
		n->type = TAR_DIR;
	if (arena_failed(x->a))
		return err_set(e, -E2BIG, R_INVALID, "tar: header too large");
	return 0;
}

/* A header of a real entry: find out how its data is laid out, then begin it. */
static int
entry_header(struct tar *t, char flag, uint64_t stored, struct err *e)
{
	struct extra *x = &t->next;
	int rc = entry_fill(t, flag, stored, e);
	bool file = false;

	if (rc)
		return rc;
	file = t->entry.type == TAR_FILE;
	/* Links and directories have no data even where writers give a size. */
	t->left = file ? stored : 0;
	t->pad = (BLOCK - t->left % BLOCK) % BLOCK;
	if (!file) {
		t->entry.size = 0;
		return entry_begin(t, e);
	}
	if (flag == 'S') {
		if (!number(field(t, 483, 12), &t->entry.size) || !gnu_sparse_read(t, 386, 4))
			return bad(e, "sparse header");
		t->sparse = true;
		if (t->block[482]) {
			t->st = ST_GNU_SPARSE;
			return 0;
		}
		return entry_begin(t, e);
	}
	if (x->sparse) {
		t->sparse = true;
		if (x->map_open || !x->has_real)
			return bad(e, "sparse header");
		t->entry.size = x->real_size;
		if (x->sparse_major == 1) {
			t->sparse_want = UINT64_MAX;
			buf_clear(&t->sparse_text);
			t->st = ST_PAX_SPARSE;
			return 0;
		}
	}
	return entry_begin(t, e);
}

static int
header(struct tar *t, struct err *e)
{
	uint64_t sum = 0;
	uint64_t size = 0;
	char flag = t->block[156];
	enum tar_type type = TAR_FILE;

	if (block_is_zero(t)) {
		if (++t->zero_blocks == 2)
			t->st = ST_END;
		return 0;
	}
	t->zero_blocks = 0;
	if (!number(field(t, 148, 8), &sum) || !checksum_ok(t, sum))
		return bad(e, "header checksum");
	if (!number(field(t, 124, 12), &size) || size > MAX_SIZE)
		return bad(e, "size");
	if (flag == 'x' || flag == 'g' || flag == 'L' || flag == 'K') {
		if (size > TAR_META_MAX)
			return err_set(e, -E2BIG, R_INVALID, "tar: extended header too large");
		t->meta_type = flag;
		t->left = size;
		t->pad = (BLOCK - size % BLOCK) % BLOCK;
		buf_clear(&t->meta);
		t->st = ST_META;
		return 0;
	}
	if (t->next.has_size)
		size = t->next.size;
	if (!type_of(flag, &type)) {
		/* Volume labels and alike: skipped with their data. */
		extra_reset(t);
		t->left = size;
		t->pad = (BLOCK - size % BLOCK) % BLOCK;
		t->st = ST_DATA;
		return 0;
	}
	return entry_header(t, flag, size, e);
}

static int
meta_done(struct tar *t, struct err *e)
{
	struct str body = buf_view(&t->meta);

	if (t->meta.failed)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	switch (t->meta_type) {
	case 'L':
		t->next.name = arena_str(t->next.a, text(body));
		return 0;
	case 'K':
		t->next.link = arena_str(t->next.a, text(body));
		return 0;
	case 'g': /* global: nothing an image layer needs (git writes its commit here) */
		return pax_parse(t, body, false, e);
	default:
		return pax_parse(t, body, true, e);
	}
}

/* PAX 1.0: decimal numbers, one a line: count, then offset and length of each; padded to the block. */
static int
pax_sparse_block(struct tar *t, struct err *e)
{
	struct str rest = STR_NONE;
	struct str line = STR_NONE;
	uint64_t v[2] = {0};
	uint64_t count = 0;
	uint64_t lines = 0;

	if (t->left < BLOCK)
		return bad(e, "sparse map");
	t->left -= BLOCK;
	buf_add(&t->sparse_text, t->block, BLOCK);
	if (t->sparse_text.failed)
		return err_set(e, -E2BIG, R_INVALID, "tar: sparse map too large");
	rest = buf_view(&t->sparse_text);
	for (size_t i = 0; i < rest.n; i++)
		lines += rest.p[i] == '\n';
	if (t->sparse_want == UINT64_MAX && lines) {
		str_next(&rest, '\n', &line);
		if (str_to_u64(line, &t->sparse_want) || t->sparse_want > TAR_SPARSE_MAX)
			return bad(e, "sparse map");
		rest = buf_view(&t->sparse_text);
	}
	if (t->sparse_want == UINT64_MAX || lines < 1 + 2 * t->sparse_want)
		return 0;
	str_next(&rest, '\n', &line);
	for (count = 0; count < t->sparse_want; count++) {
		for (size_t k = 0; k < 2; k++) {
			str_next(&rest, '\n', &line);
			if (str_to_u64(line, &v[k]))
				return bad(e, "sparse map");
		}
		if (!map_push(&t->next, v[0], v[1]))
			return bad(e, "sparse map");
	}
	return entry_begin(t, e);
}

static int
block_done(struct tar *t, struct err *e)
{
	t->have = 0;
	switch (t->st) {
	case ST_HEADER:
		return header(t, e);
	case ST_GNU_SPARSE:
		if (!gnu_sparse_read(t, 0, 21))
			return bad(e, "sparse header");
		return t->block[504] ? 0 : entry_begin(t, e);
	case ST_PAX_SPARSE:
		return pax_sparse_block(t, e);
	case ST_META:
	case ST_DATA:
	case ST_PAD:
	case ST_END:
		break;
	}
	return 0;
}

/* Data of a file goes to where its segment says. */
static int
data(struct tar *t, struct str chunk, struct err *e)
{
	if (!t->in_entry)
		return 0;
	if (!t->sparse) {
		uint64_t at = t->data_at;

		t->data_at += chunk.n;
		return t->ops->on_data(t->arg, at, chunk);
	}
	while (chunk.n) {
		const struct segment *s = NULL;
		size_t n = 0;
		int rc = 0;

		while (t->seg < t->next.n_map && t->seg_done == t->next.map[t->seg].n) {
			t->seg++;
			t->seg_done = 0;
		}
		if (t->seg == t->next.n_map)
			return bad(e, "data beyond the sparse map");
		s = &t->next.map[t->seg];
		n = s->n - t->seg_done < chunk.n ? (size_t)(s->n - t->seg_done) : chunk.n;
		rc = t->ops->on_data(t->arg, s->at + t->seg_done, str_sub(chunk, 0, n));
		if (rc)
			return rc;
		t->seg_done += n;
		chunk = str_sub(chunk, n, SIZE_MAX);
	}
	return 0;
}

/* Ends of runs: metadata complete, entry complete, padding over. */
static int
advance(struct tar *t, struct err *e)
{
	int rc = 0;

	if (t->st == ST_META && t->left == 0) {
		rc = meta_done(t, e);
		t->st = ST_PAD;
	} else if (t->st == ST_DATA && t->left == 0) {
		rc = entry_finish(t);
		t->st = ST_PAD;
	}
	if (!rc && t->st == ST_PAD && t->pad == 0)
		t->st = ST_HEADER;
	return rc;
}

static size_t
smaller(uint64_t x, size_t y)
{
	return x < y ? (size_t)x : y;
}

int
tar_push(struct tar *t, struct str bytes, struct err *e)
{
	int rc = t->failed;

	if (rc)
		return err_set(e, rc, R_INVALID, "tar: failed before");
	while (!rc && bytes.n && t->st != ST_END) {
		size_t n = 0;

		switch (t->st) {
		case ST_META:
			n = smaller(t->left, bytes.n);
			buf_add(&t->meta, bytes.p, n);
			t->left -= n;
			break;
		case ST_DATA:
			n = smaller(t->left, bytes.n);
			t->left -= n;
			rc = data(t, str_sub(bytes, 0, n), e);
			break;
		case ST_PAD:
			n = smaller(t->pad, bytes.n);
			t->pad -= n;
			break;
		case ST_HEADER:
		case ST_GNU_SPARSE:
		case ST_PAX_SPARSE:
			n = smaller(BLOCK - t->have, bytes.n);
			memcpy(t->block + t->have, bytes.p, n);
			t->have += n;
			if (t->have == BLOCK)
				rc = block_done(t, e);
			break;
		case ST_END:
			break;
		}
		bytes = str_sub(bytes, n, SIZE_MAX);
		if (!rc)
			rc = advance(t, e);
	}
	t->failed = rc;
	return rc;
}

int
tar_finish(struct tar *t, struct err *e)
{
	if (t->failed)
		return err_set(e, t->failed, R_INVALID, "tar: failed before");
	/* Some writers leave the two zero blocks away, or the padding of the last entry. */
	if (t->st == ST_END || (t->st == ST_HEADER && t->have == 0) ||
		(t->st == ST_PAD && !str_is_set(t->next.name)))
		return 0;
	return bad(e, "unexpected end");
}
