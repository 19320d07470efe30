/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * quantity: amounts of resources as text and as numbers, and int-or-percent.
 * A quantity is held in nano units in 128 bits; values past 2^63-1 units are cut to that, finer ones
 * than nano are rounded away from zero: what upstream does with both.
 * Source: k8s.io/apimachinery api/resource (grammar in quantity.go's comment, canonical form). */
#include "orchestrator/schema/schema.h"

#define NANO ((__int128)1000000000)
#define MAX_NANO ((__int128)INT64_MAX * NANO)

const char quantity_error_text[] =
	"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/* Suffixes: value = digits * 10^ten * 2^two. */
static const struct suffix {
	const char *text;
	int8_t ten;
	uint8_t two;
	uint8_t format;
} suffixes[] = {
	{"", 0, 0, QUANTITY_SI},
	{"n", -9, 0, QUANTITY_SI},
	{"u", -6, 0, QUANTITY_SI},
	{"m", -3, 0, QUANTITY_SI},
	{"k", 3, 0, QUANTITY_SI},
	{"M", 6, 0, QUANTITY_SI},
	{"G", 9, 0, QUANTITY_SI},
	{"T", 12, 0, QUANTITY_SI},
	{"P", 15, 0, QUANTITY_SI},
	{"E", 18, 0, QUANTITY_SI},
	{"Ki", 0, 10, QUANTITY_BINARY},
	{"Mi", 0, 20, QUANTITY_BINARY},
	{"Gi", 0, 30, QUANTITY_BINARY},
	{"Ti", 0, 40, QUANTITY_BINARY},
	{"Pi", 0, 50, QUANTITY_BINARY},
	{"Ei", 0, 60, QUANTITY_BINARY},
};

/* suffix_of: exponent of 10 and of 2 and the format. */
static int
suffix_of(struct str s, int *ten, int *two, enum quantity_format *format)
{
	int64_t exp = 0;

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (str_eq_c(s, suffixes[i].text)) {
			*ten = suffixes[i].ten;
			*two = suffixes[i].two;
			*format = (enum quantity_format)suffixes[i].format;
			return 0;
		}
	}
	if (s.n < 2 || (s.p[0] != 'e' && s.p[0] != 'E'))
		return -EINVAL;
	s = str_sub(s, s.p[1] == '+' ? 2 : 1, SIZE_MAX);
	if (s.n == 0 || s.n > 6 || str_to_i64(s, &exp) != 0)
		return -EINVAL;
	*ten = (int)exp;
	*two = 0;
	*format = QUANTITY_EXPONENT;
	return 0;
}

/* saturate: a * b, at most MAX_NANO. Both are >= 0. */
static __int128
mul_sat(__int128 a, __int128 b)
{
	return b != 0 && a > MAX_NANO / b ? MAX_NANO : a * b;
}

static __int128
pow_ten(int n)
{
	__int128 v = 1;

	while (n-- > 0)
		v = mul_sat(v, 10);
	return v;
}

/* scale: digits * 10^ten in nano, rounded up. `frac` digits stood behind the point. */
static __int128
scale(__int128 digits, int frac, int ten, int two)
{
	int exp = 9 + ten - frac;

	if (digits == 0)
		return 0;
	/* binary first while it cannot overflow: the division then loses nothing */
	if (two && exp < 0 && digits < ((__int128)1 << 60)) {
		digits <<= two;
		two = 0;
	}
	if (exp >= 0) {
		digits = mul_sat(digits, pow_ten(exp));
	} else {
		__int128 by = exp < -37 ? 0 : 1;

		for (int i = 0; by && i < -exp; i++)
			by *= 10;
		digits = by == 0 ? 1 : digits / by + (digits % by != 0);
	}
	return two ? mul_sat(digits, (__int128)1 << two) : digits > MAX_NANO ? MAX_NANO : digits;
}

int
quantity_parse(struct str s, struct quantity *ret)
{
	bool negative = false, point = false, any = false, sticky = false;
	__int128 digits = 0;
	int frac = 0, over = 0, ten = 0, two = 0;
	size_t i = 0;
	struct quantity q = {0};

	if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
		negative = s.p[i++] == '-';
	for (; i < s.n && (s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9')); i++) {
		if (s.p[i] == '.') {
			if (point)
				return -EINVAL;
			point = true;
			continue;
		}
		any = true;
		if (digits >
			(((__int128)1 << 120) - 10) / 10) { /* beyond any use: keep the magnitude */
			sticky |= s.p[i] != '0';
			over += !point;
			continue;
		}
		digits = digits * 10 + (s.p[i] - '0');
		frac += point;
	}
	if (!any || over > 1000 || suffix_of(str_sub(s, i, SIZE_MAX), &ten, &two, &q.format) != 0)
		return -EINVAL;
	q.nano = scale(digits + sticky, frac, ten + over, two);
	if (negative)
		q.nano = -q.nano;
	*ret = q;
	return 0;
}

static size_t
put_int(__int128 v, char *out)
{
	char tmp[48];
	size_t n = 0, at = 0;
	bool negative = v < 0;

	if (negative)
		v = -v;
	do {
		tmp[n++] = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	if (negative)
		out[at++] = '-';
	while (n)
		out[at++] = tmp[--n];
	out[at] = 0;
	return at;
}

static size_t
put_suffix(char *out, size_t n, const char *suffix)
{
	size_t len = strlen(suffix);

	memcpy(out + n, suffix, len + 1);
	return n + len;
}

/* write_binary: powers of 1024; false when the value has a fraction or is below 1024 (upstream then
 * writes it as a plain decimal). */
static size_t
write_binary(__int128 nano, char *out)
{
	static const char *const names[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	__int128 v = nano / NANO;
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(names) && v != 0 && v % 1024 == 0) {
		v /= 1024;
		i++;
	}
	return put_suffix(out, put_int(v, out), names[i]);
}

size_t
quantity_write(const struct quantity *q, char *out)
{
	static const char *const names[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
	__int128 v = q->nano, abs = v < 0 ? -v : v;
	size_t i = 0;

	if (v == 0)
		return put_suffix(out, 0, "0");
	if (q->format == QUANTITY_BINARY && abs >= 1024 * NANO && abs % NANO == 0)
		return write_binary(v, out);
	while (i + 1 < ARRAY_LEN(names) && v % 1000 == 0) {
		v /= 1000;
		i++;
	}
	if (q->format == QUANTITY_EXPONENT) {
		size_t n = put_int(v, out);
		int exp = ((int)i - 3) * 3;

		if (exp == 0)
			return n;
		out[n++] = 'e';
		return n + put_int(exp, out + n);
	}
	return put_suffix(out, put_int(v, out), names[i]);
}

struct str
quantity_canonical(struct arena *a, struct str s)
{
	struct quantity q = {0};
	char out[64];
	size_t n = 0;

	if (quantity_parse(s, &q) != 0)
		return STR_NONE;
	n = quantity_write(&q, out);
	if (str_eq(s, str_from(out, n)))
		return s;
	return arena_str(a, str_from(out, n));
}

int
quantity_cmp(const struct quantity *x, const struct quantity *y)
{
	return x->nano < y->nano ? -1 : x->nano > y->nano;
}

static __int128
clamp(__int128 v)
{
	return v > MAX_NANO ? MAX_NANO : v < -MAX_NANO ? -MAX_NANO : v;
}

void
quantity_add(struct quantity *x, const struct quantity *y)
{
	if (x->nano == 0)
		x->format = y->format;
	x->nano = clamp(x->nano + y->nano);
}

void
quantity_sub(struct quantity *x, const struct quantity *y)
{
	if (x->nano == 0)
		x->format = y->format;
	x->nano = clamp(x->nano - y->nano);
}

/* up: v / by, away from zero as upstream's rounding up of a scale is. */
static int64_t
up(__int128 v, __int128 by)
{
	__int128 r = v / by;

	if (v % by != 0)
		r += v < 0 ? -1 : 1;
	return r > INT64_MAX ? INT64_MAX : r < INT64_MIN ? INT64_MIN : (int64_t)r;
}

int64_t
quantity_value(const struct quantity *q)
{
	return up(q->nano, NANO);
}

int64_t
quantity_milli(const struct quantity *q)
{
	return up(q->nano, 1000000);
}

struct quantity
quantity_of(int64_t units, enum quantity_format f)
{
	return (struct quantity){clamp((__int128)units * NANO), f};
}

struct quantity
quantity_of_milli(int64_t milli, enum quantity_format f)
{
	return (struct quantity){clamp((__int128)milli * 1000000), f};
}

int64_t
quantity_value_of(struct str s, int64_t bad)
{
	struct quantity q = {0};

	return quantity_parse(s, &q) == 0 ? quantity_value(&q) : bad;
}

int64_t
quantity_milli_of(struct str s, int64_t bad)
{
	struct quantity q = {0};

	return quantity_parse(s, &q) == 0 ? quantity_milli(&q) : bad;
}

bool
percent_ok(struct str s)
{
	if (s.n < 2 || s.p[s.n - 1] != '%')
		return false;
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

int
intstr_scaled(const struct int_or_str *v, int32_t total, bool round_up, int32_t *ret)
{
	int64_t percent = 0, n = 0;

	if (!v->is_str) {
		*ret = v->i;
		return 0;
	}
	if (!percent_ok(v->s) || str_to_i64(str_sub(v->s, 0, v->s.n - 1), &percent) != 0 ||
		percent > INT32_MAX)
		return -EINVAL;
	n = percent * total;
	n = round_up ? (n + 99) / 100 : n / 100;
	*ret = n > INT32_MAX ? INT32_MAX : (int32_t)n;
	return 0;
}
