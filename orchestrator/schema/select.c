/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * select: label selectors: text and LabelSelector -> requirements, and matching.
 * Source: k8s.io/apimachinery labels/selector.go (grammar, texts, order), meta/v1 helpers. */
#include "kinds/meta_v1.h"
#include "orchestrator/schema/schema_int.h"
#include "storage/store/store.h"

#include <stdlib.h>

#define MAX_REQS 1024

/* ---- text ---- */

struct lexer {
	struct arena *a;
	struct str s;
	size_t at;
	struct err *e;
};

static bool
is_special(char c)
{
	return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '<' || c == '>';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* next_token: an identifier, or one of = == != ! ( ) , < >; "" at the end. */
static struct str
next_token(struct lexer *l)
{
	size_t from = 0;

	while (l->at < l->s.n && is_blank(l->s.p[l->at]))
		l->at++;
	from = l->at;
	if (from == l->s.n)
		return STR("");
	if (is_special(l->s.p[from])) {
		l->at++;
		if ((l->s.p[from] == '=' || l->s.p[from] == '!') && l->at < l->s.n &&
			l->s.p[l->at] == '=')
			l->at++;
		return str_sub(l->s, from, l->at);
	}
	while (l->at < l->s.n && !is_special(l->s.p[l->at]) && !is_blank(l->s.p[l->at]))
		l->at++;
	return str_sub(l->s, from, l->at);
}

static struct str
peek(struct lexer *l)
{
	size_t at = l->at;
	struct str t = next_token(l);

	l->at = at;
	return t;
}

static bool
is_name(struct str t)
{
	return t.n && !is_special(t.p[0]);
}

static int
wrong(struct lexer *l, struct str found, const char *expected)
{
	return err_set(l->e, -EINVAL, R_BAD_REQUEST,
		"unable to parse requirement: found '" STR_FMT "'%s expected: %s",
		STR_ARG(str_sub(found, 0, 100)), expected[1] == '(' ? "" : ",", expected);
}

/* check: keys and values must be such. */
static int
check(struct lexer *l, const struct selector_req *r)
{
	const char *why = format_check(l->a, FORMAT_QUALIFIED_NAME, r->key);
	int64_t n = 0;

	if (why)
		return err_set(l->e, -EINVAL, R_BAD_REQUEST,
			"unable to parse requirement: <nil>: Invalid value: \"" STR_FMT "\": %s",
			STR_ARG(str_sub(r->key, 0, 100)), why);
	for (size_t i = 0; i < r->n_values; i++) {
		if ((r->op == SELECT_GT || r->op == SELECT_LT) && str_to_i64(r->values[i], &n) != 0)
			return err_set(l->e, -EINVAL, R_BAD_REQUEST,
				"unable to parse requirement: values[%zu]: Invalid value: \"" STR_FMT
				"\": for 'Gt', 'Lt' operators, the value must be an integer",
				i, STR_ARG(str_sub(r->values[i], 0, 100)));
		why = format_check(l->a, FORMAT_LABEL_VALUE, r->values[i]);
		if (why)
			return err_set(l->e, -EINVAL, R_BAD_REQUEST,
				"unable to parse requirement: values[%zu][" STR_FMT
				"]: Invalid value: \"" STR_FMT "\": %s",
				i, STR_ARG(str_sub(r->key, 0, 100)),
				STR_ARG(str_sub(r->values[i], 0, 100)), why);
	}
	return 0;
}

/* parse_set: "(a,b,)": values between parentheses; two commas hold an empty one. */
static int
parse_set(struct lexer *l, struct selector_req *r)
{
	struct str t = next_token(l);
	bool want = true;

	if (!str_eq_c(t, "("))
		return wrong(l, t, "'('");
	for (;;) {
		t = next_token(l);
		if (t.n == 0)
			return wrong(l, t, "',', ')' or identifier");
		if (is_name(t) && want) {
			*ARENA_PUSH(l->a, r->values, r->n_values) = t;
			want = false;
		} else if (str_eq_c(t, ",") || str_eq_c(t, ")")) {
			if (want)
				*ARENA_PUSH(l->a, r->values, r->n_values) = STR("");
			want = true;
			if (str_eq_c(t, ")"))
				return 0;
		} else {
			return wrong(l, t, "',' or ')'");
		}
		if (r->n_values > MAX_REQS)
			return err_set(
				l->e, -EINVAL, R_BAD_REQUEST, "the selector has too many values");
	}
}

static const struct {
	const char *text;
	enum selector_op op;
	bool set;
} operators[] = {
	{"=", SELECT_IN, false},
	{"==", SELECT_IN, false},
	{"!=", SELECT_NOT_IN, false},
	{"in", SELECT_IN, true},
	{"notin", SELECT_NOT_IN, true},
	{">", SELECT_GT, false},
	{"<", SELECT_LT, false},
};

static int
parse_req(struct lexer *l, struct selector_req *r)
{
	struct str t = next_token(l);

	r->op = SELECT_EXISTS;
	if (str_eq_c(t, "!")) {
		r->op = SELECT_NOT_EXISTS;
		t = next_token(l);
	}
	if (!is_name(t))
		return wrong(l, t,
			r->op == SELECT_EXISTS ? "!, identifier, or 'end of string'"
					       : "identifier");
	r->key = t;
	t = peek(l);
	if (r->op == SELECT_NOT_EXISTS || t.n == 0 || str_eq_c(t, ","))
		return check(l, r);
	next_token(l);
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		int rc = 0;

		if (!str_eq_c(t, operators[i].text))
			continue;
		r->op = operators[i].op;
		r->exact = !operators[i].set;
		if (operators[i].set) {
			rc = parse_set(l, r);
			return rc ? rc : check(l, r);
		}
		t = peek(l);
		if (t.n && !is_name(t) && !str_eq_c(t, ","))
			return wrong(l, t, "identifier");
		if (is_name(t))
			next_token(l);
		*ARENA_PUSH(l->a, r->values, r->n_values) = is_name(t) ? t : STR("");
		return check(l, r);
	}
	return wrong(l, t, "in, notin, =, ==, !=, gt, lt");
}

static int
by_key(const void *x, const void *y)
{
	return str_cmp(
		((const struct selector_req *)x)->key, ((const struct selector_req *)y)->key);
}

int
selector_parse(struct arena *a, struct str s, struct selector *ret, struct err *e)
{
	struct lexer l = {a, s, 0, e};
	struct selector out = {0};

	if (peek(&l).n == 0) {
		*ret = out;
		return 0;
	}
	for (;;) {
		struct selector_req *r = ARENA_PUSH(a, out.reqs, out.n);
		struct str t = STR_NONE;
		int rc = 0;

		if (r == NULL || arena_failed(a))
			return -ENOMEM;
		if (out.n > MAX_REQS)
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"the selector has too many requirements");
		rc = parse_req(&l, r);
		if (rc != 0)
			return rc;
		t = next_token(&l);
		if (t.n == 0)
			break;
		if (!str_eq_c(t, ","))
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"found '" STR_FMT "', expected: ',' or 'end of string'",
				STR_ARG(str_sub(t, 0, 100)));
		t = peek(&l);
		if (!is_name(t) && !str_eq_c(t, "!"))
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"found '" STR_FMT "', expected: identifier after ','",
				STR_ARG(str_sub(t, 0, 100)));
	}
	if (arena_failed(a))
		return -ENOMEM;
	qsort(out.reqs, out.n, sizeof(*out.reqs), by_key);
	*ret = out;
	return 0;
}

static const struct {
	const char *text, *word;
} op_words[] = {
	[SELECT_IN] = {"In", " in "},
	[SELECT_NOT_IN] = {"NotIn", " notin "},
	[SELECT_EXISTS] = {"Exists", ""},
	[SELECT_NOT_EXISTS] = {"DoesNotExist", ""},
	[SELECT_GT] = {"Gt", ">"},
	[SELECT_LT] = {"Lt", "<"},
};

struct str
selector_write(struct arena *a, const struct selector *s)
{
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < s->n; i++) {
		const struct selector_req *r = &s->reqs[i];
		bool set = !r->exact && (r->op == SELECT_IN || r->op == SELECT_NOT_IN);

		buf_cstr(&b, i ? "," : "");
		buf_cstr(&b, r->op == SELECT_NOT_EXISTS ? "!" : "");
		buf_str(&b, r->key);
		if (r->exact && r->op == SELECT_IN)
			buf_char(&b, '=');
		else if (r->exact && r->op == SELECT_NOT_IN)
			buf_cstr(&b, "!=");
		else
			buf_cstr(&b, op_words[r->op].word);
		buf_cstr(&b, set ? "(" : "");
		for (size_t j = 0; j < r->n_values; j++) {
			buf_cstr(&b, j ? "," : "");
			buf_str(&b, r->values[j]);
		}
		buf_cstr(&b, set ? ")" : "");
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

/* ---- LabelSelector ---- */

static int
op_of(struct str word, enum selector_op *ret)
{
	for (size_t i = 0; i <= SELECT_NOT_EXISTS; i++) {
		if (str_eq_c(word, op_words[i].text)) {
			*ret = (enum selector_op)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
add_equal(struct arena *a, struct selector *s, struct str key, struct str value)
{
	struct selector_req *r = ARENA_PUSH(a, s->reqs, s->n);

	if (r == NULL)
		return -ENOMEM;
	r->key = key;
	r->op = SELECT_IN;
	r->exact = true;
	r->values = ARENA_NEW(a, struct str);
	if (r->values == NULL)
		return -ENOMEM;
	r->values[0] = value;
	r->n_values = 1;
	return 0;
}

static int
values_ok(const struct selector_req *r)
{
	bool set = r->op == SELECT_IN || r->op == SELECT_NOT_IN;

	return set == (r->n_values > 0) ? 0 : -EINVAL;
}

static int
by_value(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void
finish(struct selector *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->reqs[i].n_values > 1)
			qsort(s->reqs[i].values, s->reqs[i].n_values, sizeof(struct str), by_value);
	if (s->n > 1)
		qsort(s->reqs, s->n, sizeof(*s->reqs), by_key);
}

int
selector_from_doc(struct arena *a, const struct doc *ls, struct selector *ret)
{
	struct selector out = {.nothing = ls == NULL || ls->type != DOC_MAP};

	DOC_EACH (m, doc_get(ls, STR("matchLabels")))
		if (add_equal(a, &out, m->key, doc_as_str(m)) != 0)
			return -ENOMEM;
	DOC_EACH (x, doc_get(ls, STR("matchExpressions"))) {
		struct selector_req *r = ARENA_PUSH(a, out.reqs, out.n);

		if (r == NULL)
			return -ENOMEM;
		r->key = doc_get_str(x, STR("key"));
		if (op_of(doc_get_str(x, STR("operator")), &r->op) != 0)
			return -EINVAL;
		DOC_EACH (v, doc_get(x, STR("values"))) {
			struct str *value = ARENA_PUSH(a, r->values, r->n_values);

			if (value == NULL)
				return -ENOMEM;
			*value = doc_as_str(v);
		}
		if (values_ok(r) != 0)
			return -EINVAL;
	}
	finish(&out);
	*ret = out;
	return 0;
}

int
selector_from_struct(struct arena *a, const struct meta_v1_label_selector *ls, struct selector *ret)
{
	struct selector out = {.nothing = ls == NULL};

	for (size_t i = 0; ls && i < ls->n_match_labels; i++)
		if (add_equal(a, &out, ls->match_labels[i].key, ls->match_labels[i].value) != 0)
			return -ENOMEM;
	for (size_t i = 0; ls && i < ls->n_match_expressions; i++) {
		const struct meta_v1_label_selector_requirement *x = &ls->match_expressions[i];
		struct selector_req *r = ARENA_PUSH(a, out.reqs, out.n);

		if (r == NULL)
			return -ENOMEM;
		r->key = x->key;
		if (op_of(x->operator, & r->op) != 0)
			return -EINVAL;
		r->values = ARENA_ARRAY(a, struct str, x->n_values);
		if (r->values == NULL)
			return -ENOMEM;
		if (x->n_values)
			memcpy(r->values, x->values, x->n_values * sizeof(struct str));
		r->n_values = x->n_values;
		if (values_ok(r) != 0)
			return -EINVAL;
	}
	finish(&out);
	*ret = out;
	return 0;
}

int
selector_from_map(struct arena *a, const struct str_pair *pairs, size_t n, struct selector *ret)
{
	struct selector out = {0};

	for (size_t i = 0; i < n; i++)
		if (add_equal(a, &out, pairs[i].key, pairs[i].value) != 0)
			return -ENOMEM;
	finish(&out);
	*ret = out;
	return 0;
}

/* ---- matching ---- */

static bool
has_value(const struct selector_req *r, struct str v)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (str_eq(r->values[i], v))
			return true;
	return false;
}

/* match_req: value is STR_NONE when the object has no such label. */
static bool
match_req(const struct selector_req *r, struct str value)
{
	bool there = str_is_set(value);
	int64_t have = 0, want = 0;

	switch (r->op) {
	case SELECT_IN:
		return there && has_value(r, value);
	case SELECT_NOT_IN:
		return !there || !has_value(r, value);
	case SELECT_EXISTS:
		return there;
	case SELECT_NOT_EXISTS:
		return !there;
	case SELECT_GT:
	case SELECT_LT:
		if (!there || r->n_values != 1 || str_to_i64(value, &have) != 0 ||
			str_to_i64(r->values[0], &want) != 0)
			return false;
		return r->op == SELECT_GT ? have > want : have < want;
	}
	return false;
}

/* present: an empty value is still a value. */
static struct str
present(struct str s)
{
	return s.p ? s : STR("");
}

bool
selector_match_pairs(const struct selector *s, const struct str_pair *labels, size_t n)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct str value = STR_NONE;

		for (size_t j = 0; j < n; j++)
			if (str_eq(labels[j].key, s->reqs[i].key))
				value = present(labels[j].value);
		if (!match_req(&s->reqs[i], value))
			return false;
	}
	return true;
}

bool
selector_match_doc(const struct selector *s, const struct doc *labels)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct doc *v = doc_get(labels, s->reqs[i].key);

		if (!match_req(&s->reqs[i], v ? present(doc_as_str(v)) : STR_NONE))
			return false;
	}
	return true;
}

bool
selector_match_attrs(const struct selector *s, char kind, struct str attrs)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct str rest = attrs, key = STR_NONE, v = STR_NONE;
		struct str value = kind == 'f' ? STR("")
					       : STR_NONE; /* a field that is not there is "" */
		char k = 0;

		while (store_attr_next(&rest, &k, &key, &v)) {
			if (k == kind && str_eq(key, s->reqs[i].key)) {
				value = present(v);
				break;
			}
		}
		if (!match_req(&s->reqs[i], value))
			return false;
	}
	return true;
}

struct str
selector_single(const struct selector *s, struct str key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->reqs[i].op == SELECT_IN && s->reqs[i].n_values == 1 &&
			str_eq(s->reqs[i].key, key))
			return s->reqs[i].values[0];
	return STR_NONE;
}
