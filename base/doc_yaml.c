/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc_yaml.c: a YAML stream to trees. The stream is cut into documents at its marker lines (which YAML
 * allows nowhere else), libyaml turns one document into events, a stack turns those into the tree.
 * Values resolve as in the yaml library of kubectl and the API server (1.1 booleans, octal ints,
 * merge keys in place), so that the same file means the same here.
 * Invariants: no recursion over input; depth and nodes, copies of aliases included, are bounded while
 * building. Must not: read a tag as a type to construct; accept another encoding than UTF-8.
 * Source: YAML 1.1/1.2; go.yaml.in/yaml/v2 resolve.go, decode.go; sigs.k8s.io/yaml. */
#include "base/doc.h"

#include "base/doc_int.h"
#include "base/hash.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <yaml.h>

/* ---- the stream ---- */

static bool
is_blank_line(struct str line)
{
	line = str_trim(line);
	return line.n == 0 || line.p[0] == '#';
}

static bool
is_marker(struct str line, struct str marker)
{
	return str_starts(line, marker) &&
		(line.n == 3 || line.p[3] == ' ' || line.p[3] == '\t' || line.p[3] == '\r');
}

/* stream_next: takes the text of the next document off *rest, its marker line included; *lines counts
 * the lines taken in front of it. False at the end. */
static bool
stream_next(struct str *rest, struct str *ret_text)
{
	struct str at = *rest, text = *rest;
	bool content = false, opened = false;
	while (at.n > 0) {
		struct str line, after;
		if (!str_cut(at, '\n', &line, &after))
			after = str_sub(at, at.n, SIZE_MAX);
		if (is_marker(line, STR("---"))) {
			if (content || opened)
				break;
			opened = true;
			content = !is_blank_line(str_sub(line, 3, SIZE_MAX));
		} else if (is_marker(line, STR("..."))) {
			at = after;
			if (content || opened)
				break;
		} else if (!is_blank_line(line) && (opened || line.p[0] != '%')) {
			content = true;
		}
		at = after;
	}
	*ret_text = str_sub(text, 0, text.n - at.n);
	*rest = at;
	return content || opened;
}

/* ---- scalars ---- */

/* plain_number: without underscores, in `room`. STR_NONE when it is too long for a number. */
static struct str
plain_number(struct str s, char *room, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '_')
			continue;
		if (n == size)
			return STR_NONE;
		room[n++] = s.p[i];
	}
	return str_from(room, n);
}

/* digits_of_base: all of s in base 2, 8 or 16. 0, -EINVAL, -ERANGE. */
static int
digits_of_base(struct str s, unsigned bits, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = 0;
		if (str_to_u64_hex(str_sub(s, i, i + 1), &digit) < 0 || digit >> bits)
			return -EINVAL;
		if (v >> (64 - bits))
			return -ERANGE;
		v = v << bits | digit;
	}
	*ret = v;
	return 0;
}

/* resolve_int: Go's ParseInt(s, 0, 64): 0x, 0o, 0b, and a leading 0 is octal. What only fits into
 * uint64 becomes a double, as doc.h says. */
static bool
resolve_int(struct str s, struct doc *d)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	bool sign = negative || (s.n > 0 && s.p[0] == '+');
	struct str digits = str_sub(s, sign, SIZE_MAX);
	uint64_t v = 0;
	int rc = -EINVAL;
	char kind = digits.n >= 2 && digits.p[0] == '0' ? digits.p[1] : '\0';
	if (kind == 'x' || kind == 'X')
		rc = digits_of_base(str_sub(digits, 2, SIZE_MAX), 4, &v);
	else if (kind == 'o' || kind == 'O')
		rc = digits_of_base(str_sub(digits, 2, SIZE_MAX), 3, &v);
	else if (kind == 'b' || kind == 'B')
		rc = digits_of_base(str_sub(digits, 2, SIZE_MAX), 1, &v);
	else if (kind)
		rc = digits_of_base(str_sub(digits, 1, SIZE_MAX), 3, &v);
	else
		rc = str_to_u64(digits, &v);
	if (rc < 0 || (negative && v > (uint64_t)INT64_MAX + 1) || (s.p[0] == '+' && v > INT64_MAX))
		return false;
	if (!negative && v > INT64_MAX) {
		d->type = DOC_DOUBLE;
		d->d = (double)v;
		return true;
	}
	d->type = DOC_INT;
	d->i = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool
resolve_number(struct str s, struct doc *d)
{
	char room[512];
	struct str plain = plain_number(s, room, sizeof(room));
	if (plain.n == 0)
		return false;
	bool dot = plain.p[0] == '.';
	if (!dot && resolve_int(plain, d))
		return true;
	double v = 0;
	if (str_to_double(plain, &v) < 0)
		return false;
	d->type = DOC_DOUBLE;
	d->d = v;
	return true;
}

static const struct {
	struct str text;
	enum doc_type type;
	bool b;
	double d;
} words[] = {
	{STR_INIT("y"), DOC_BOOL, true, 0},
	{STR_INIT("Y"), DOC_BOOL, true, 0},
	{STR_INIT("yes"), DOC_BOOL, true, 0},
	{STR_INIT("Yes"), DOC_BOOL, true, 0},
	{STR_INIT("YES"), DOC_BOOL, true, 0},
	{STR_INIT("true"), DOC_BOOL, true, 0},
	{STR_INIT("True"), DOC_BOOL, true, 0},
	{STR_INIT("TRUE"), DOC_BOOL, true, 0},
	{STR_INIT("on"), DOC_BOOL, true, 0},
	{STR_INIT("On"), DOC_BOOL, true, 0},
	{STR_INIT("ON"), DOC_BOOL, true, 0},
	{STR_INIT("n"), DOC_BOOL, false, 0},
	{STR_INIT("N"), DOC_BOOL, false, 0},
	{STR_INIT("no"), DOC_BOOL, false, 0},
	{STR_INIT("No"), DOC_BOOL, false, 0},
	{STR_INIT("NO"), DOC_BOOL, false, 0},
	{STR_INIT("false"), DOC_BOOL, false, 0},
	{STR_INIT("False"), DOC_BOOL, false, 0},
	{STR_INIT("FALSE"), DOC_BOOL, false, 0},
	{STR_INIT("off"), DOC_BOOL, false, 0},
	{STR_INIT("Off"), DOC_BOOL, false, 0},
	{STR_INIT("OFF"), DOC_BOOL, false, 0},
	{STR_INIT(""), DOC_NULL, false, 0},
	{STR_INIT("~"), DOC_NULL, false, 0},
	{STR_INIT("null"), DOC_NULL, false, 0},
	{STR_INIT("Null"), DOC_NULL, false, 0},
	{STR_INIT("NULL"), DOC_NULL, false, 0},
	{STR_INIT(".nan"), DOC_DOUBLE, false, NAN},
	{STR_INIT(".NaN"), DOC_DOUBLE, false, NAN},
	{STR_INIT(".NAN"), DOC_DOUBLE, false, NAN},
	{STR_INIT(".inf"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT(".Inf"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT(".INF"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT("+.inf"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT("+.Inf"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT("+.INF"), DOC_DOUBLE, false, INFINITY},
	{STR_INIT("-.inf"), DOC_DOUBLE, false, -INFINITY},
	{STR_INIT("-.Inf"), DOC_DOUBLE, false, -INFINITY},
	{STR_INIT("-.INF"), DOC_DOUBLE, false, -INFINITY},
};

bool
yaml_resolve(struct str s, struct doc *d)
{
	for (size_t i = 0; s.n <= 5 && i < ARRAY_LEN(words); i++) {
		if (!str_eq(words[i].text, s))
			continue;
		d->type = words[i].type;
		if (d->type == DOC_BOOL)
			d->b = words[i].b;
		else if (d->type == DOC_DOUBLE)
			d->d = words[i].d;
		return true;
	}
	return s.n > 0 && s.n < 512 && strchr("+-.0123456789", s.p[0]) && resolve_number(s, d);
}

/* ---- events to tree ---- */

struct frame {
	struct doc *node;
	struct str
		key; /* of a map: the key that waits for its value; .p == NULL: a key comes next */
	bool merge;  /* that key was << */
};

struct yaml {
	struct arena *a;
	struct err *e;
	struct doc_limits lim;
	struct frame stack[DOC_MAX_WALK];
	size_t depth, nodes;
	struct map anchors; /* name -> node */
	struct doc *root;
	bool empty; /* nothing but an implied null */
};

static int
yaml_fail(struct yaml *y, int code, const char *text)
{
	return err_set(y->e, code, code == -ENOMEM ? R_REQUEST_ENTITY_TOO_LARGE : R_BAD_REQUEST,
		"yaml: %s", text);
}

static int
yaml_fail_line(struct yaml *y, uint32_t line, const char *text)
{
	return err_set(y->e, -EINVAL, R_BAD_REQUEST, "yaml: line %u: %s", line, text);
}

static struct doc *
yaml_node(struct yaml *y, enum doc_type type, uint32_t line, int *ret_rc)
{
	if (++y->nodes > y->lim.max_nodes) {
		*ret_rc = yaml_fail(
			y, -E2BIG, "document contains excessive aliasing or too many values");
		return NULL;
	}
	struct doc *d = arena_alloc(y->a, sizeof(*d));
	if (!d) {
		*ret_rc = yaml_fail(y, -ENOMEM, "document needs too much memory");
		return NULL;
	}
	d->type = type;
	d->line = line;
	return d;
}

static int
yaml_remember(struct yaml *y, const yaml_char_t *anchor, struct doc *d)
{
	if (!anchor || map_put(&y->anchors, str_c((const char *)anchor), d, NULL) == 0)
		return 0;
	return yaml_fail(y, -ENOMEM, "document needs too much memory");
}

/* copy_into: a copy of `from` under the limits; the tree is followed with a stack, not by recursion. */
static struct doc *
yaml_copy(struct yaml *y, const struct doc *from, size_t depth, int *ret_rc)
{
	struct {
		const struct doc *next;
		struct doc *to;
	} stack[DOC_MAX_WALK];
	size_t n = 0;
	struct doc *top = NULL;
	const struct doc *at = from;
	for (;;) {
		struct doc *d = yaml_node(y, at->type, at->line, ret_rc);
		if (!d)
			return NULL;
		struct doc keep = *at;
		keep.next = NULL;
		bool parent = at->type == DOC_LIST || at->type == DOC_MAP;
		if (parent) {
			keep.first = keep.last = NULL;
			keep.n = 0;
		}
		*d = keep;
		if (n)
			doc_append(stack[n - 1].to, d);
		else
			top = d;
		if (parent && at->first) {
			if (depth + n >= y->lim.max_depth) {
				*ret_rc = yaml_fail(y, -E2BIG, "document is nested too deep");
				return NULL;
			}
			stack[n].next = at->first;
			stack[n++].to = d;
		}
		while (n && !stack[n - 1].next)
			n--;
		if (!n)
			return top;
		at = stack[n - 1].next;
		stack[n - 1].next = at->next;
	}
}

/* yaml_shallow: d once more, what is below it shared; d itself when it is nobody else's. */
static struct doc *
yaml_shallow(struct yaml *y, struct doc *d, bool own, int *ret_rc)
{
	struct doc *copy = own ? d : yaml_node(y, d->type, d->line, ret_rc);
	if (copy && copy != d)
		*copy = *d;
	return copy;
}

/* yaml_merge: the value of << is a map or a list of maps; members are added in place, so that what
 * stands later wins; of a list the earlier maps win, so it is gone through backwards. Unless v is the map's own (the
 * copy an alias stands for), an anchor may be on it, and an alias may want it as it is: then it stays whole. */
static int
yaml_merge(struct yaml *y, struct doc *map, struct doc *v, bool own)
{
	struct doc *maps = v->type == DOC_MAP ? v : NULL;
	bool bad = v->type != DOC_MAP && v->type != DOC_LIST;
	int rc = 0;
	v->next = NULL;
	for (struct doc *m = v->type == DOC_LIST ? v->first : NULL; m;) {
		struct doc *next = m->next;
		struct doc *one = yaml_shallow(y, m, own, &rc);
		if (!one)
			return rc;
		bad = bad || m->type != DOC_MAP;
		one->next = maps;
		maps = one;
		m = next;
	}
	if (bad)
		return yaml_fail(
			y, -EINVAL, "map merge requires map or sequence of maps as the value");
	for (; maps; maps = maps->next) {
		for (struct doc *m = maps->first; m;) {
			struct doc *next = m->next;
			struct doc *one = yaml_shallow(y, m, own, &rc);
			if (!one)
				return rc;
			one->dup = false;
			doc_append(map, one);
			m = next;
		}
	}
	return 0;
}

/* yaml_place: d is complete (or an open map or list): into its parent. */
static void
yaml_place(struct yaml *y, struct doc *d)
{
	if (y->depth == 0) {
		y->root = d;
		return;
	}
	struct frame *up = &y->stack[y->depth - 1];
	if (up->node->type == DOC_MAP) {
		d->key = up->key;
		up->key = STR_NONE;
	}
	doc_append(up->node, d);
}

/* yaml_key: a scalar where a key is due. Keys that are no strings become strings, as kubectl has it. */
static int
yaml_key(struct yaml *y, struct frame *up, const struct doc *d, bool merge)
{
	char text[40] = "";
	up->merge = merge;
	switch (d->type) {
	case DOC_STR:
		up->key = d->s;
		return 0;
	case DOC_BOOL:
		up->key = d->b ? STR("true") : STR("false");
		return 0;
	case DOC_INT:
		up->key = arena_fmt(y->a, "%lld", (long long)d->i);
		break;
	case DOC_DOUBLE:
		for (int precision = 1; precision <= 9; precision++) {
			snprintf(text, sizeof(text), "%.*g", precision, (double)(float)d->d);
			if (strtof(text, NULL) == (float)d->d)
				break;
		}
		if (!isfinite(d->d))
			snprintf(text, sizeof(text), "%s",
				isnan(d->d)        ? ".nan"
					: d->d < 0 ? "-.inf"
						   : ".inf");
		up->key = arena_str(y->a, str_c(text));
		break;
	case DOC_NULL:
	case DOC_LIST:
	case DOC_MAP:
		return yaml_fail_line(y, d->line, "unsupported map key of type: null");
	}
	return up->key.p ? 0 : yaml_fail(y, -ENOMEM, "document needs too much memory");
}

static bool
key_is_due(const struct yaml *y)
{
	return y->depth && y->stack[y->depth - 1].node->type == DOC_MAP &&
		!y->stack[y->depth - 1].key.p;
}

enum tag_kind {
	TAG_NONE,
	TAG_STR,
	TAG_BINARY,
	TAG_BOOL,
	TAG_INT,
	TAG_FLOAT,
	TAG_NULL,
	TAG_TIMESTAMP,
	TAG_MERGE,
	TAG_OTHER
};

static enum tag_kind
tag_of(const yaml_char_t *tag)
{
	static const struct {
		const char *name;
		enum tag_kind kind;
	} tags[] = {{"str", TAG_STR}, {"binary", TAG_BINARY}, {"bool", TAG_BOOL}, {"int", TAG_INT},
		{"float", TAG_FLOAT}, {"null", TAG_NULL}, {"timestamp", TAG_TIMESTAMP},
		{"merge", TAG_MERGE}};
	struct str s = str_c((const char *)tag), prefix = STR("tag:yaml.org,2002:");
	if (!s.p || s.n == 0)
		return TAG_NONE;
	for (size_t i = 0; str_starts(s, prefix) && i < ARRAY_LEN(tags); i++)
		if (str_eq_c(str_sub(s, prefix.n, SIZE_MAX), tags[i].name))
			return tags[i].kind;
	return TAG_OTHER;
}

/* yaml_tagged: an explicit tag must fit what the text resolves to; a float may be written as an int. */
static int
yaml_tagged(struct yaml *y, enum tag_kind tag, struct doc *d)
{
	static const enum tag_kind of_type[] = {[DOC_NULL] = TAG_NULL,
		[DOC_BOOL] = TAG_BOOL,
		[DOC_INT] = TAG_INT,
		[DOC_DOUBLE] = TAG_FLOAT,
		[DOC_STR] = TAG_STR};
	if (of_type[d->type] == tag || (tag == TAG_TIMESTAMP && d->type == DOC_STR))
		return 0;
	if (tag == TAG_FLOAT && d->type == DOC_INT) {
		d->type = DOC_DOUBLE;
		d->d = (double)d->i;
		return 0;
	}
	return yaml_fail_line(y, d->line, "cannot decode the value as what its tag says");
}

static int
yaml_scalar(struct yaml *y, const yaml_event_t *ev, uint32_t line)
{
	struct str raw = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
	enum tag_kind tag = tag_of(ev->data.scalar.tag);
	bool implicit = ev->data.scalar.plain_implicit;
	int rc = 0;
	struct doc *d = yaml_node(y, DOC_STR, line, &rc);
	if (!d)
		return rc;
	bool merge = str_eq(raw, STR("<<")) && (implicit || tag == TAG_MERGE);
	bool resolvable = implicit ? tag == TAG_NONE : tag >= TAG_BOOL && tag <= TAG_TIMESTAMP;
	struct buf bytes = {.a = y->a};
	if (tag == TAG_BINARY) {
		if (base64_decode(&bytes, raw) < 0 || !str_is_utf8(buf_view(&bytes)))
			return yaml_fail_line(
				y, line, "!!binary value contains invalid base64 data");
		raw = buf_view(&bytes);
	}
	if (!resolvable || !yaml_resolve(raw, d)) {
		d->type = DOC_STR;
		d->s = arena_str(y->a, raw);
		if (!d->s.p)
			return yaml_fail(y, -ENOMEM, "document needs too much memory");
	}
	if (resolvable && tag != TAG_NONE && (rc = yaml_tagged(y, tag, d)) < 0)
		return rc;
	if ((rc = yaml_remember(y, ev->data.scalar.anchor, d)) < 0)
		return rc;
	if (key_is_due(y))
		return yaml_key(y, &y->stack[y->depth - 1], d, merge);
	if (d->type == DOC_DOUBLE && !isfinite(d->d))
		return yaml_fail_line(y, line,
			isnan(d->d)        ? "unsupported value: NaN"
				: d->d < 0 ? "unsupported value: -Inf"
					   : "unsupported value: +Inf");
	if (y->depth == 0)
		y->empty = implicit && raw.n == 0;
	yaml_place(y, d);
	return 0;
}

/* yaml_settle: a value has been completed: a merge key takes it apart. own: no anchor can be on it. */
static int
yaml_settle(struct yaml *y, bool own)
{
	struct frame *up = y->depth ? &y->stack[y->depth - 1] : NULL;
	if (!up || up->node->type != DOC_MAP || !up->merge || up->key.p)
		return 0;
	up->merge = false;
	struct doc *v = up->node->last;
	doc_remove(up->node, v);
	return yaml_merge(y, up->node, v, own);
}

static int
yaml_open(struct yaml *y, enum doc_type type, const yaml_char_t *anchor, uint32_t line)
{
	int rc = 0;
	if (key_is_due(y))
		return yaml_fail_line(y, line, "invalid map key");
	if (y->depth >= y->lim.max_depth)
		return err_set(y->e, -E2BIG, R_BAD_REQUEST,
			"yaml: document is nested deeper than %zu levels", y->lim.max_depth);
	struct doc *d = yaml_node(y, type, line, &rc);
	if (!d || (rc = yaml_remember(y, anchor, d)) < 0)
		return rc;
	yaml_place(y, d);
	y->stack[y->depth++] = (struct frame){.node = d};
	return 0;
}

static int
yaml_close(struct yaml *y)
{
	struct doc *d = y->stack[--y->depth].node;
	if (d->type == DOC_MAP && d->n > 1 && doc_mark_dups(d) < 0)
		return yaml_fail(y, -ENOMEM, "document needs too much memory");
	return yaml_settle(y, false);
}

static int
yaml_alias(struct yaml *y, const yaml_event_t *ev, uint32_t line)
{
	struct str name = str_c((const char *)ev->data.alias.anchor);
	struct doc *from = map_get(&y->anchors, name);
	char text[128];
	if (!from) {
		snprintf(text, sizeof(text), "unknown anchor '%.64s' referenced", name.p);
		return yaml_fail(y, -EINVAL, text);
	}
	for (size_t i = 0; i < y->depth; i++) {
		if (y->stack[i].node != from)
			continue;
		snprintf(text, sizeof(text), "anchor '%.64s' value contains itself", name.p);
		return yaml_fail(y, -EINVAL, text);
	}
	if (key_is_due(y)) {
		if (from->type == DOC_LIST || from->type == DOC_MAP)
			return yaml_fail_line(y, line, "invalid map key");
		return yaml_key(y, &y->stack[y->depth - 1], from, false);
	}
	int rc = 0;
	struct doc *d = yaml_copy(y, from, y->depth, &rc);
	if (!d)
		return rc;
	d->key = STR_NONE;
	d->dup = false;
	yaml_place(y, d);
	return yaml_settle(y, true);
}

/* yaml_event: 1 = go on, 0 = the document is complete, or negative errno. */
static int
yaml_event(struct yaml *y, const yaml_event_t *ev)
{
	uint32_t line = (uint32_t)ev->start_mark.line + 1;
	int rc = 0;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		rc = yaml_scalar(y, ev, line);
		if (rc == 0)
			rc = yaml_settle(y, false);
		break;
	case YAML_ALIAS_EVENT:
		rc = yaml_alias(y, ev, line);
		break;
	case YAML_SEQUENCE_START_EVENT:
		rc = yaml_open(y, DOC_LIST, ev->data.sequence_start.anchor, line);
		break;
	case YAML_MAPPING_START_EVENT:
		rc = yaml_open(y, DOC_MAP, ev->data.mapping_start.anchor, line);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		rc = yaml_close(y);
		break;
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		break;
	}
	return rc < 0 ? rc : 1;
}

/* syntax_error: libyaml's own words with the line, as the Go library prints them. */
static int
syntax_error(struct yaml *y, const yaml_parser_t *p)
{
	size_t line = p->problem_mark.line;
	if (p->error == YAML_MEMORY_ERROR)
		return yaml_fail(y, -ENOMEM, "document needs too much memory");
	if (line && p->error == YAML_SCANNER_ERROR)
		line++;
	if (!line)
		line = p->context_mark.line;
	const char *text = p->problem ? p->problem : "unknown problem parsing YAML content";
	return line ? yaml_fail_line(y, (uint32_t)line, text) : yaml_fail(y, -EINVAL, text);
}

static int
parse_document(struct yaml *y, struct str text)
{
	yaml_parser_t p;
	if (!yaml_parser_initialize(&p))
		return yaml_fail(y, -ENOMEM, "document needs too much memory");
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text.p, text.n);
	int rc = 1;
	while (rc > 0) {
		yaml_event_t ev;
		if (!yaml_parser_parse(&p, &ev)) {
			rc = syntax_error(y, &p);
			break;
		}
		rc = yaml_event(y, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	return rc;
}

int
doc_parse_yaml(struct arena *a, struct str *rest, const struct doc_limits *lim, struct doc **ret,
	struct err *e)
{
	struct str text;
	if (str_starts(*rest, STR("\xef\xbb\xbf")))
		*rest = str_sub(*rest, 3, SIZE_MAX);
	while (stream_next(rest, &text)) {
		if (str_starts(str_trim(text), STR("{")) &&
			doc_parse_json(a, text, lim, ret, NULL) == 0)
			return 0;
		struct yaml *y = ARENA_NEW(a, struct yaml);
		if (!y)
			return err_set(e, -ENOMEM, R_REQUEST_ENTITY_TOO_LARGE,
				"yaml: document needs too much memory");
		y->a = a;
		y->e = e;
		y->lim = doc_limits_of(lim);
		int rc = parse_document(y, text);
		map_release(&y->anchors);
		if (rc < 0)
			return rc;
		if (!y->root || y->empty)
			continue;
		*ret = y->root;
		return 0;
	}
	return -ENODATA;
}
