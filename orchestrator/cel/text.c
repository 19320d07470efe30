/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * text: values as errors and string() write them. Source: Go strconv ('g', shortest); cel-go common/types. */
#include "orchestrator/cel/cel_int.h"

/* The digits and the exponent of what base/doc printed; the value is 0.digits * 10^point. */
static size_t
shortest(struct arena *a, double d, char *digits, size_t size, int *point)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	const struct doc number = {.type = DOC_DOUBLE, .d = d};
	doc_write_json(&b, &number);
	struct str s = buf_view(&b);
	size_t n = 0;
	int exponent = 0, before = 0;
	bool dot = false, lead = true;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == 'e' || c == 'E') {
			int64_t x = 0;
			struct str rest = str_sub(s, i + 1, SIZE_MAX);
			if (str_starts(rest, STR("+")))
				rest = str_sub(rest, 1, SIZE_MAX);
			exponent = str_to_i64(rest, &x) == 0 ? (int)x : 0;
			break;
		}
		if (c == '.') {
			dot = true;
		} else if (c >= '0' && c <= '9') {
			if (lead && c == '0') {
				before -= dot;
				continue;
			}
			lead = false;
			before += !dot;
			if (n < size)
				digits[n++] = c;
		}
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	*point = before + exponent;
	return n;
}

void
cel_put_double(struct buf *b, double d)
{
	char digits[40];
	int point = 0;
	if (d != d || d - d != 0) {
		buf_cstr(b, d != d ? "NaN" : d > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (__builtin_signbit(d))
		buf_char(b, '-');
	if (d == 0) {
		buf_char(b, '0');
		return;
	}
	size_t n = shortest(b->a, d < 0 ? -d : d, digits, sizeof(digits), &point);
	int exponent = point - 1;
	if (exponent < -4 || exponent >= 6) {
		buf_char(b, digits[0]);
		if (n > 1) {
			buf_char(b, '.');
			buf_add(b, digits + 1, n - 1);
		}
		buf_fmt(b, "e%c%02d", exponent < 0 ? '-' : '+',
			exponent < 0 ? -exponent : exponent);
		return;
	}
	if (point <= 0) {
		buf_cstr(b, "0.");
		for (int i = point; i < 0; i++)
			buf_char(b, '0');
		buf_add(b, digits, n);
		return;
	}
	for (int i = 0; i < point || i < (int)n; i++) {
		if (i == point)
			buf_char(b, '.');
		buf_char(b, i < (int)n ? digits[i] : '0');
	}
}

static void put(struct cel_eval *e, struct buf *b, const struct cel_value *v, unsigned depth);

static void
put_list(struct cel_eval *e, struct buf *b, const struct cel_value *v, unsigned depth)
{
	struct cel_value k, item;
	bool map = v->kind != CEL_LIST;
	buf_char(b, map ? '{' : '[');
	bool first = true;
	for (struct cel_iter it = {.of = v}; cel_next(e, &it, &k, &item); first = false) {
		if (!first)
			buf_cstr(b, ", ");
		if (map) {
			put(e, b, &k, depth + 1);
			buf_cstr(b, ": ");
		}
		put(e, b, &item, depth + 1);
	}
	buf_char(b, map ? '}' : ']');
}

static void
put(struct cel_eval *e, struct buf *b, const struct cel_value *v, unsigned depth)
{
	struct str name = cel_type_runtime_name(cel_value_type(e, v));
	switch (v->kind) {
	case CEL_NULL:
		buf_cstr(b, "null");
		return;
	case CEL_BOOL:
		buf_cstr(b, v->b ? "true" : "false");
		return;
	case CEL_INT:
		buf_i64(b, v->i);
		return;
	case CEL_UINT:
		buf_u64(b, v->u);
		return;
	case CEL_DOUBLE:
		cel_put_double(b, v->d);
		return;
	case CEL_STRING:
	case CEL_BYTES:
		buf_str(b, v->s);
		return;
	case CEL_DURATION:
		cel_put_duration(b, v->ns);
		return;
	case CEL_TIMESTAMP:
		cel_put_time(b, v);
		return;
	case CEL_TYPE:
		buf_str(b, cel_type_runtime_name(v->own));
		return;
	case CEL_LIST:
	case CEL_MAP:
	case CEL_OBJECT:
		if (depth < 32 && (v->kind != CEL_OBJECT || v->from_doc)) {
			put_list(e, b, v, depth);
			return;
		}
		break;
	case CEL_DYN:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	buf_str(b, name);
}

struct str
cel_to_text(struct cel_eval *e, const struct cel_value *v)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, e->a);
	put(e, &b, v, 0);
	return b.failed ? STR("") : buf_view(&b);
}
