/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * patch: JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on documents, and making the latter.
 * Source: the RFCs; texts and the negative indices of github.com/evanphx/json-patch. */
#include "orchestrator/schema/members.h"

#define MAX_OPERATIONS 10000
/* "copy" can double a document each time: the sum of what is copied is bounded. */
#define MAX_COPIED (3u * 1024 * 1024)

struct patcher {
	struct arena *a;
	struct err *e;
	struct doc *root;
	size_t copied;
};

/* A place: the container and what is meant in it. */
struct target {
	struct doc *parent; /* NULL: the document itself */
	struct str key;     /* member, or index text */
	struct doc *value;  /* NULL: not there */
	size_t index;       /* of a list; n for "-" */
};

static int invalid(struct patcher *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int
invalid(struct patcher *p, const char *fmt, ...)
{
	va_list ap;
	struct str s = STR_NONE;

	va_start(ap, fmt);
	s = arena_vfmt(p->a, fmt, ap);
	va_end(ap);
	return err_set(p->e, -EINVAL, R_INVALID, STR_FMT, STR_ARG(s));
}

/* unescape: ~1 is /, ~0 is ~. */
static struct str
unescape(struct arena *a, struct str s)
{
	struct buf b;

	if (str_find_char(s, '~') < 0)
		return s;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '~' && i + 1 < s.n && (s.p[i + 1] == '0' || s.p[i + 1] == '1'))
			buf_char(&b, s.p[++i] == '0' ? '~' : '/');
		else
			buf_char(&b, s.p[i]);
	}
	return buf_view(&b);
}

static int
find_in(struct patcher *p, struct doc *in, struct str key, bool adding, struct target *t)
{
	int64_t i = 0;

	t->parent = in;
	t->key = key;
	t->value = NULL;
	if (in->type == DOC_MAP) {
		t->value = doc_get(in, key);
		return 0;
	}
	if (in->type != DOC_LIST)
		return -ENOENT;
	if (str_eq_c(key, "-")) {
		t->index = in->n;
		return 0;
	}
	if (str_to_i64(key, &i) != 0)
		return invalid(p,
			"value was not a proper array index: '" STR_FMT
			"': invalid index referenced",
			STR_ARG(key));
	if (i < 0)
		i += (int64_t)in->n + (adding ? 1 : 0);
	if (i < 0 || i > (int64_t)in->n || (!adding && i == (int64_t)in->n))
		return invalid(p,
			"Unable to access invalid index: " STR_FMT ": invalid index referenced",
			STR_ARG(key));
	t->index = (size_t)i;
	t->value = doc_index(in, t->index);
	return 0;
}

/* find: where a pointer leads. -ENOENT: a container on the way is missing. */
static int
find(struct patcher *p, struct str path, bool adding, struct target *t)
{
	struct doc *at = p->root;
	struct str rest = STR_NONE, part = STR_NONE;

	*t = (struct target){.value = p->root};
	if (path.n == 0)
		return 0;
	if (path.p[0] != '/')
		return -ENOENT;
	rest = str_sub(path, 1, SIZE_MAX);
	for (;;) {
		bool last = !str_cut(rest, '/', &part, &rest);
		int r = find_in(p, at, unescape(p->a, part), adding && last, t);

		if (r != 0)
			return r;
		if (last)
			return 0;
		if (t->value == NULL)
			return -ENOENT;
		at = t->value;
	}
}

static void
put(struct patcher *p, const struct target *t, struct doc *v)
{
	if (t->parent == NULL)
		p->root = v;
	else if (t->parent->type == DOC_MAP)
		doc_set(t->parent, t->key, v);
	else
		doc_insert(t->parent, t->index, v);
}

static int
op_add(struct patcher *p, struct str path, const struct doc *value)
{
	struct target t;
	struct doc *v = NULL;
	int r = find(p, path, true, &t);

	if (r == -ENOENT)
		return invalid(p,
			"add operation does not apply: doc is missing path: \"" STR_FMT
			"\": missing value",
			STR_ARG(path));
	if (r != 0)
		return invalid(p, "error in add for path: '" STR_FMT "': %s", STR_ARG(path),
			p->e ? p->e->msg : "");
	v = value ? doc_copy(p->a, value) : doc_null(p->a);
	if (v == NULL)
		return -ENOMEM;
	put(p, &t, v);
	return 0;
}

static int
op_remove(struct patcher *p, struct str path)
{
	struct target t;
	int r = find(p, path, false, &t);

	if (r == -ENOENT)
		return invalid(p,
			"remove operation does not apply: doc is missing path: \"" STR_FMT
			"\": missing value",
			STR_ARG(path));
	if (r != 0 || t.value == NULL || t.parent == NULL)
		return invalid(p,
			"error in remove for path: '" STR_FMT
			"': Unable to remove nonexistent key: " STR_FMT ": missing value",
			STR_ARG(path), STR_ARG(t.key));
	doc_remove(t.parent, t.value);
	return 0;
}

static int
op_replace(struct patcher *p, struct str path, const struct doc *value)
{
	struct target t;
	struct doc *v = NULL;
	int r = find(p, path, false, &t);

	if (r == -ENOENT)
		return invalid(p,
			"replace operation does not apply: doc is missing path: " STR_FMT
			": missing value",
			STR_ARG(path));
	if (r != 0 || t.value == NULL)
		return invalid(p,
			"replace operation does not apply: doc is missing key: " STR_FMT
			": missing value",
			STR_ARG(path));
	v = value ? doc_copy(p->a, value) : doc_null(p->a);
	if (v == NULL)
		return -ENOMEM;
	if (t.parent == NULL)
		p->root = v;
	else
		doc_replace(t.value, v);
	return 0;
}

static int
op_test(struct patcher *p, struct str path, const struct doc *value)
{
	struct target t;
	int r = find(p, path, false, &t);
	const struct doc *have = r == 0 ? t.value : NULL;

	if (r == -ENOENT)
		return invalid(
			p, "test operation for path: '" STR_FMT "': missing value", STR_ARG(path));
	if (have == NULL && (value == NULL || value->type == DOC_NULL))
		return 0;
	if (have == NULL || value == NULL || !doc_equal(have, value))
		return invalid(p, "testing value " STR_FMT " failed: test failed", STR_ARG(path));
	return 0;
}

/* weight: about the bytes of a tree; SIZE_MAX / 2 when it is deeper than documents may be. */
static size_t
weight(const struct doc *d, size_t depth)
{
	size_t n = sizeof(*d) + d->key.n + (d->type == DOC_STR ? d->s.n : 0);

	if (depth > DOC_MAX_DEPTH)
		return SIZE_MAX / 2;
	DOC_EACH (m, d) {
		size_t w = weight(m, depth + 1);

		n = w > SIZE_MAX / 2 - n ? SIZE_MAX / 2 : n + w;
	}
	return n;
}

static int
op_copy(struct patcher *p, struct str from, struct str path, bool move)
{
	struct target t;
	struct doc *v = NULL;
	const char *what = move ? "move" : "copy";
	int r = find(p, from, false, &t);

	if (r != 0 || t.value == NULL)
		return invalid(p, "error in %s for path: '" STR_FMT "': missing value", what,
			STR_ARG(from));
	v = doc_copy(p->a, t.value);
	if (v == NULL)
		return -ENOMEM;
	if (move && t.parent)
		doc_remove(t.parent, t.value);
	if (!move && (p->copied += weight(v, 0)) > MAX_COPIED)
		return err_set(p->e, -E2BIG, R_REQUEST_ENTITY_TOO_LARGE,
			"the size of what is copied by the patch is too large");
	return op_add(p, path, v);
}

static int
apply(struct patcher *p, const struct doc *op)
{
	struct str name = doc_get_str(op, STR("op")), path = doc_get_str(op, STR("path"));
	const struct doc *value = doc_get(op, STR("value"));

	if (!str_is_set(path))
		return invalid(p, "operation missing path field: missing value");
	if (str_eq_c(name, "add"))
		return op_add(p, path, value);
	if (str_eq_c(name, "remove"))
		return op_remove(p, path);
	if (str_eq_c(name, "replace"))
		return op_replace(p, path, value);
	if (str_eq_c(name, "test"))
		return op_test(p, path, value);
	if (str_eq_c(name, "move"))
		return op_copy(p, doc_get_str(op, STR("from")), path, true);
	if (str_eq_c(name, "copy"))
		return op_copy(p, doc_get_str(op, STR("from")), path, false);
	return invalid(p, "Unexpected kind: " STR_FMT, STR_ARG(name));
}

int
schema_patch_json(struct arena *a, const struct doc *obj, const struct doc *patch, struct doc **ret,
	struct err *e)
{
	struct patcher p = {a, e, NULL, 0};

	if (patch->type != DOC_LIST)
		return err_set(e, -EINVAL, R_BAD_REQUEST,
			"json: cannot unmarshal object into Go value of type jsonpatch.Patch");
	if (patch->n > MAX_OPERATIONS)
		return err_set(e, -E2BIG, R_REQUEST_ENTITY_TOO_LARGE,
			"The allowed maximum operations in a JSON patch is %d, got %zu",
			MAX_OPERATIONS, patch->n);
	DOC_EACH (op, patch)
		if (op->type != DOC_MAP)
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"json: cannot unmarshal value into Go value of type jsonpatch.Operation");
	p.root = doc_copy(a, obj);
	if (p.root == NULL)
		return -ENOMEM;
	DOC_EACH (op, patch) {
		int r = apply(&p, op);

		if (r != 0)
			return r;
	}
	if (weight(p.root, 0) >= SIZE_MAX / 2)
		return invalid(&p, "the document becomes nested too deeply");
	if (arena_failed(a))
		return -ENOMEM;
	*ret = p.root;
	return 0;
}

static int merge_into(struct arena *a, struct doc *to, const struct doc *patch, size_t depth);

static int
merge_one(struct arena *a, struct members *to, const struct doc *m, size_t depth)
{
	struct doc *have = NULL, *v = NULL;
	int r = 0;

	if (m->type == DOC_NULL) {
		members_del(to, m->key);
		return 0;
	}
	if (m->type != DOC_MAP) {
		v = doc_copy(a, m);
		return v ? members_put(to, arena_str(a, m->key), v) : -ENOMEM;
	}
	have = members_get(to, m->key);
	if (have && have->type == DOC_MAP)
		return merge_into(a, have, m, depth + 1);
	v = doc_map(a);
	r = v ? merge_into(a, v, m, depth + 1) : -ENOMEM;
	return r == 0 ? members_put(to, arena_str(a, m->key), v) : r;
}

/* merge_into: RFC 7386 MergePatch(target, patch). */
static int
merge_into(struct arena *a, struct doc *to, const struct doc *patch, size_t depth)
{
	struct members ms;
	int r = depth > SCHEMA_MAX_WALK ? -E2BIG : 0;

	if (r == 0)
		r = members_begin(&ms, to, patch->n);
	else
		return r;
	for (const struct doc *m = patch->first; r == 0 && m; m = m->next)
		r = merge_one(a, &ms, m, depth);
	members_end(&ms);
	return r;
}

int
schema_patch_merge(struct arena *a, const struct doc *obj, const struct doc *patch,
	struct doc **ret, struct err *e)
{
	struct doc *d = NULL;
	int r = 0;

	if (patch->type != DOC_MAP)
		return err_set(e, -EINVAL, R_BAD_REQUEST, "the patch is not a JSON object");
	d = doc_copy(a, obj);
	if (d == NULL)
		return -ENOMEM;
	r = merge_into(a, d, patch, 0);
	if (r == 0)
		*ret = d;
	return r;
}

struct doc *
schema_patch_make(struct arena *a, const struct doc *from, const struct doc *to)
{
	struct doc *patch = doc_map(a);

	if (patch == NULL)
		return NULL;
	DOC_EACH (m, from) {
		if (m->type != DOC_NULL && doc_get(to, m->key) == NULL)
			doc_set(patch, m->key, doc_null(a));
	}
	DOC_EACH (m, to) {
		const struct doc *was = doc_get(from, m->key);
		struct doc *v = NULL;

		if (was && m->type == DOC_MAP && was->type == DOC_MAP)
			v = schema_patch_make(a, was, m);
		else if (was == NULL || !doc_equal(was, m))
			v = doc_copy(a, m);
		if (v)
			doc_set(patch, m->key, v);
	}
	return patch->n ? patch : NULL;
}
