/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * types: the types of expressions: static ones, parameterised ones, and how they are written. Source: cel-spec; cel-go
 * checker/format.go (names in errors), common/types (names at run time). */
#include "orchestrator/cel/cel_int.h"

#include <assert.h>

#define BASIC(k, smallest) [k] = {.kind = k, .max = CEL_NO_MAX, .min_size = smallest}
static const struct cel_type basics[CEL__PARAM + 1] = {
	BASIC(CEL_DYN, 1),
	BASIC(CEL_NULL, 4),
	BASIC(CEL_BOOL, 4),
	BASIC(CEL_INT, 1),
	BASIC(CEL_UINT, 1),
	BASIC(CEL_DOUBLE, 1),
	BASIC(CEL_STRING, 2),
	BASIC(CEL_BYTES, 2),
	BASIC(CEL_DURATION, 3),
	BASIC(CEL_TIMESTAMP, 21),
	BASIC(CEL_TYPE, 1),
	BASIC(CEL_ERROR, 1),
};
static const char *const kind_names[CEL__PARAM + 1] = {
	[CEL_DYN] = "dyn",
	[CEL_NULL] = "null",
	[CEL_BOOL] = "bool",
	[CEL_INT] = "int",
	[CEL_UINT] = "uint",
	[CEL_DOUBLE] = "double",
	[CEL_STRING] = "string",
	[CEL_BYTES] = "bytes",
	[CEL_DURATION] = "duration",
	[CEL_TIMESTAMP] = "timestamp",
	[CEL_LIST] = "list",
	[CEL_MAP] = "map",
	[CEL_TYPE] = "type",
	[CEL_OPTIONAL] = "optional_type",
	[CEL_ERROR] = "!error!",
};

#define OPAQUE(which, text)                                                                        \
	[which] = {.kind = CEL_OPAQUE,                                                             \
		.name = STR_INIT(text),                                                            \
		.number = which,                                                                   \
		.max = CEL_NO_MAX,                                                                 \
		.min_size = 2}
const struct cel_type cel_types_opaque[] = {
	OPAQUE(OPAQUE_QUANTITY, "kubernetes.Quantity"),
	OPAQUE(OPAQUE_URL, "kubernetes.URL"),
	OPAQUE(OPAQUE_IP, "net.IP"),
	OPAQUE(OPAQUE_CIDR, "net.CIDR"),
	OPAQUE(OPAQUE_SEMVER, "kubernetes.Semver"),
	OPAQUE(OPAQUE_FORMAT, "kubernetes.NamedFormat"),
	OPAQUE(OPAQUE_AUTHORIZER, "kubernetes.authorization.Authorizer"),
	OPAQUE(OPAQUE_PATH_CHECK, "kubernetes.authorization.PathCheck"),
	OPAQUE(OPAQUE_GROUP_CHECK, "kubernetes.authorization.GroupCheck"),
	OPAQUE(OPAQUE_RESOURCE_CHECK, "kubernetes.authorization.ResourceCheck"),
	OPAQUE(OPAQUE_DECISION, "kubernetes.authorization.Decision"),
};
static_assert(ARRAY_LEN(cel_types_opaque) == OPAQUE__COUNT, "a type for each");

const struct cel_type *
cel_type_basic(enum cel_kind kind)
{
	return &basics[kind];
}

const struct cel_type *
cel_type_authorizer(void)
{
	return &cel_types_opaque[OPAQUE_AUTHORIZER];
}

static struct cel_type *
with_params(struct arena *a, enum cel_kind kind, const struct cel_type *x, const struct cel_type *y,
	uint64_t max)
{
	struct cel_type *t = x ? ARENA_NEW(a, struct cel_type) : NULL;
	if (!t)
		return NULL;
	t->kind = kind;
	t->params[0] = x;
	t->params[1] = y;
	t->n_params = y ? 2 : 1;
	t->max = max ? max : CEL_NO_MAX;
	t->min_size = 2;
	return t;
}

const struct cel_type *
cel_type_list(struct arena *a, const struct cel_type *item, uint64_t max)
{
	return with_params(a, CEL_LIST, item, NULL, max);
}

const struct cel_type *
cel_type_map(
	struct arena *a, const struct cel_type *key, const struct cel_type *value, uint64_t max)
{
	return value ? with_params(a, CEL_MAP, key, value, max) : NULL;
}

const struct cel_type *
cel_type_optional(struct arena *a, const struct cel_type *of)
{
	return with_params(a, CEL_OPTIONAL, of, NULL, 0);
}

const struct cel_type *
cel_type_of_type(struct arena *a, const struct cel_type *of)
{
	return with_params(a, CEL_TYPE, of, NULL, 0);
}

const struct cel_type *
cel_type_object(struct arena *a, struct str name, const struct cel_field *fields, size_t n)
{
	struct cel_type *t = ARENA_NEW(a, struct cel_type);
	struct cel_field *own = ARENA_ARRAY(a, struct cel_field, n);
	if (!t || !own)
		return NULL;
	for (size_t i = 0; i < n; i++) { /* ordered as they come in */
		size_t at = i;
		while (at && str_cmp(own[at - 1].name, fields[i].name) > 0) {
			own[at] = own[at - 1];
			at--;
		}
		own[at] = fields[i];
	}
	t->kind = CEL_OBJECT;
	t->name = arena_str(a, name);
	t->fields = own;
	t->n_fields = n;
	t->max = CEL_NO_MAX;
	t->min_size = 2;
	return t;
}

bool
cel_type_same(const struct cel_type *x, const struct cel_type *y)
{
	for (unsigned depth = 0; depth < CEL_MAX_DEPTH; depth++) {
		if (x == y)
			return true;
		if (x->kind != y->kind || x->n_params != y->n_params || x->number != y->number)
			return false;
		if (x->kind == CEL_OBJECT)
			return x->schema ? x->schema == y->schema : str_eq(x->name, y->name);
		if (x->n_params == 0)
			return true;
		if (x->n_params == 2 && !cel_type_same(x->params[0], y->params[0]))
			return false;
		x = x->params[x->n_params - 1];
		y = y->params[y->n_params - 1];
	}
	return false;
}

static void
put_name(struct buf *b, const struct cel_type *t, unsigned depth)
{
	if (t->kind == CEL_OBJECT || t->kind == CEL_OPAQUE || t->kind == CEL__PARAM)
		buf_str(b, t->name);
	else
		buf_cstr(b, kind_names[t->kind]);
	if (t->n_params == 0 || depth > CEL_MAX_DEPTH)
		return;
	buf_char(b, '(');
	for (size_t i = 0; i < t->n_params; i++) {
		if (i)
			buf_cstr(b, ", ");
		put_name(b, t->params[i], depth + 1);
	}
	buf_char(b, ')');
}

struct str
cel_type_name(struct arena *a, const struct cel_type *t)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	put_name(&b, t, 0);
	return b.failed ? STR("") : buf_view(&b);
}

struct str
cel_type_runtime_name(const struct cel_type *t)
{
	switch (t->kind) {
	case CEL_DURATION:
		return STR("google.protobuf.Duration");
	case CEL_TIMESTAMP:
		return STR("google.protobuf.Timestamp");
	case CEL_NULL:
		return STR("null_type");
	case CEL_OBJECT:
	case CEL_OPAQUE:
	case CEL__PARAM:
		return t->name;
	case CEL_DYN:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_LIST:
	case CEL_MAP:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_ERROR:
		break;
	}
	return str_c(kind_names[t->kind]);
}

/* Types that are identifiers in expressions. */
static const struct cel_type *
static_list(void)
{
	static const struct cel_type t = {
		.kind = CEL_LIST, .n_params = 1, .params = {&basics[CEL_DYN]}, .max = CEL_NO_MAX};
	return &t;
}

static const struct cel_type *
static_map(void)
{
	static const struct cel_type t = {.kind = CEL_MAP,
		.n_params = 2,
		.params = {&basics[CEL_DYN], &basics[CEL_DYN]},
		.max = CEL_NO_MAX};
	return &t;
}

static const struct cel_type *
static_optional(void)
{
	static const struct cel_type t = {.kind = CEL_OPTIONAL,
		.n_params = 1,
		.params = {&basics[CEL_DYN]},
		.max = CEL_NO_MAX};
	return &t;
}

const struct cel_type *
cel_type_named(struct str name)
{
	static const struct {
		const char *name;
		enum cel_kind kind;
	} known[] = {{"bool", CEL_BOOL}, {"int", CEL_INT}, {"uint", CEL_UINT},
		{"double", CEL_DOUBLE}, {"string", CEL_STRING}, {"bytes", CEL_BYTES},
		{"null_type", CEL_NULL}, {"type", CEL_TYPE},
		{"google.protobuf.Timestamp", CEL_TIMESTAMP},
		{"google.protobuf.Duration", CEL_DURATION}};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq_c(name, known[i].name))
			return &basics[known[i].kind];
	if (str_eq_c(name, "list"))
		return static_list();
	if (str_eq_c(name, "map"))
		return static_map();
	if (str_eq_c(name, "optional_type"))
		return static_optional();
	for (size_t i = 0; i < OPAQUE__COUNT; i++)
		if (str_eq(name, cel_types_opaque[i].name))
			return &cel_types_opaque[i];
	return NULL;
}

/* ---- names of fields ---- */

static const struct {
	char c;
	const char *escaped;
} escapes[] = {{'.', "__dot__"}, {'-', "__dash__"}, {'/', "__slash__"}};

static const char *const reserved[] = {"true", "false", "null", "in", "as", "break", "const",
	"continue", "else", "for", "function", "if", "import", "let", "loop", "package",
	"namespace", "return", "var", "void", "while"};

struct str
cel_unescape(struct arena *a, struct str s)
{
	if (str_find(s, STR("__")) < 0)
		return s;
	if (str_starts(s, STR("__")) && str_ends(s, STR("__")) && s.n > 4)
		for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
			if (str_eq_c(str_sub(s, 2, s.n - 2), reserved[i]))
				return str_sub(s, 2, s.n - 2);
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n;) {
		struct str rest = str_sub(s, i, SIZE_MAX);
		size_t n = 0;
		for (size_t k = 0; k < ARRAY_LEN(escapes) && !n; k++)
			if (str_starts(rest, str_c(escapes[k].escaped))) {
				buf_char(&b, escapes[k].c);
				n = strlen(escapes[k].escaped);
			}
		if (!n && str_starts(rest, STR("__underscores__"))) {
			buf_cstr(&b, "__");
			n = 15;
		}
		if (!n) {
			buf_char(&b, s.p[i]);
			n = 1;
		}
		i += n;
	}
	return buf_view(&b);
}

bool
cel_escape(struct arena *a, struct str s, struct str *ret)
{
	if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq_c(s, reserved[i])) {
			*ret = arena_fmt(a, "__%s__", reserved[i]);
			return str_is_set(*ret);
		}
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		size_t k = 0;
		while (k < ARRAY_LEN(escapes) && escapes[k].c != c)
			k++;
		if (k < ARRAY_LEN(escapes)) {
			buf_cstr(&b, escapes[k].escaped);
		} else if (c == '_' && i + 1 < s.n && s.p[i + 1] == '_') {
			buf_cstr(&b, "__underscores__");
			i++;
		} else if (c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z')) {
			buf_char(&b, c);
		} else {
			return false;
		}
	}
	*ret = buf_view(&b);
	return !b.failed;
}
