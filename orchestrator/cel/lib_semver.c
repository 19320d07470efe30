/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_semver: semantic versions. Source: semver.org 2.0; blang/semver v4 (texts); k8s.io/apiserver
 * pkg/cel/library/semverlib.go (normalising). */
#include "orchestrator/cel/lib_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static bool
all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* One of the three numbers: NULL or why it is none. */
static const char *
number(struct arena *a, struct str s, const char *what, uint64_t *ret)
{
	if (!all_digits(s))
		return arena_cstr(a,
			arena_fmt(a, "Invalid character(s) found in %s number \"%.*s\"", what,
				STR_ARG(s)));
	if (s.n > 1 && s.p[0] == '0')
		return arena_cstr(a,
			arena_fmt(a, "%c%s number must not contain leading zeroes \"%.*s\"",
				what[0] - 32, what + 1, STR_ARG(s)));
	return str_to_u64(s, ret) == 0 ? NULL : "strconv.ParseUint: value out of range";
}

/* Dotted identifiers. */
static const char *
identifiers(struct arena *a, struct str s, bool pre)
{
	struct str rest = s, part = STR_NONE;
	while (str_next(&rest, '.', &part)) {
		if (part.n == 0)
			return pre ? "Prerelease is empty" : "Build meta data is empty";
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];
			if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				    (c >= 'A' && c <= 'Z') || c == '-'))
				return arena_cstr(a,
					arena_fmt(a, "Invalid character(s) found in %s \"%.*s\"",
						pre ? "prerelease" : "build meta data",
						STR_ARG(part)));
		}
		if (pre && all_digits(part) && part.n > 1 && part.p[0] == '0')
			return arena_cstr(a,
				arena_fmt(a,
					"Numeric PreRelease version must not contain leading zeroes \"%.*s\"",
					STR_ARG(part)));
	}
	return NULL;
}

static const char *
parse(struct arena *a, struct str s, struct cel_semver *v)
{
	struct str major = STR_NONE, minor = STR_NONE, patch = STR_NONE, rest = STR_NONE;
	*v = (struct cel_semver){.pre = STR_NONE, .build = STR_NONE};
	if (s.n == 0)
		return "Version string empty";
	if (!str_cut(s, '.', &major, &rest) || !str_cut(rest, '.', &minor, &patch))
		return "No Major.Minor.Patch elements found";
	const char *why = number(a, major, "major", &v->major);
	if (!why)
		why = number(a, minor, "minor", &v->minor);
	if (why)
		return why;
	struct str head = patch, tail = STR_NONE;
	if (str_cut(patch, '+', &head, &tail))
		v->build = tail;
	patch = head;
	if (str_cut(patch, '-', &head, &tail))
		v->pre = tail;
	why = number(a, head, "patch", &v->patch);
	if (!why && str_is_set(v->pre))
		why = identifiers(a, v->pre, true);
	return !why && str_is_set(v->build) ? identifiers(a, v->build, false) : why;
}

/* Without "v", with three numbers, without leading zeroes. NULL in *why. */
static struct str
normalise(struct arena *a, struct str s, const char **why)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	if (str_starts(s, STR("v")))
		s = str_sub(s, 1, SIZE_MAX);
	size_t parts = 0;
	struct str rest = s, part = STR_NONE;
	for (; parts < 3 && str_is_set(rest); parts++) {
		if (parts == 2) {
			part = rest;
			rest = STR_NONE;
		} else {
			str_next(&rest, '.', &part);
		}
		size_t zeroes = 0;
		while (part.n > 1 && zeroes < part.n && part.p[zeroes] == '0')
			zeroes++;
		if (parts)
			buf_char(&b, '.');
		struct str left = str_sub(part, zeroes, SIZE_MAX);
		if (zeroes && (left.n == 0 || left.p[0] < '0' || left.p[0] > '9'))
			buf_char(&b, '0');
		buf_str(&b, left);
	}
	if (parts < 3 && (str_find_char(part, '+') >= 0 || str_find_char(part, '-') >= 0))
		*why = "short version cannot contain PreRelease/Build meta data";
	for (; parts < 3; parts++)
		buf_cstr(&b, ".0");
	return buf_view(&b);
}

static const char *
parse_any(struct cel_eval *e, const struct cel_value *args, size_t n, struct cel_semver *v)
{
	const char *why = NULL;
	struct str s = args[0].s;
	if (n > 1 && args[1].b)
		s = normalise(e->a, s, &why);
	return why ? why : parse(e->a, s, v);
}

FN(to_semver)
{
	struct cel_semver *v = ARENA_NEW(e->a, struct cel_semver);
	const char *why = v ? parse_any(e, args, n, v) : "out of memory";
	return why ? cel_fault(e, "%s", why) : cel_of_opaque(OPAQUE_SEMVER, v);
}

FN(is_semver)
{
	struct cel_semver v;
	return cel_of_bool(!parse_any(e, args, n, &v));
}

static int
compare_part(struct str x, struct str y)
{
	uint64_t u = 0, w = 0;
	bool dx = all_digits(x), dy = all_digits(y);
	if (dx && dy && str_to_u64(x, &u) == 0 && str_to_u64(y, &w) == 0)
		return (u > w) - (u < w);
	if (dx != dy)
		return dx ? -1 : 1;
	int c = str_cmp(x, y);
	return (c > 0) - (c < 0);
}

int
cel_semver_compare(const struct cel_semver *x, const struct cel_semver *y)
{
	const uint64_t a[] = {x->major, x->minor, x->patch}, b[] = {y->major, y->minor, y->patch};
	for (size_t i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] > b[i] ? 1 : -1;
	bool px = str_is_set(x->pre), py = str_is_set(y->pre);
	if (!px || !py)
		return (int)py - (int)px;
	struct str rx = x->pre, ry = y->pre, one = STR_NONE, two = STR_NONE;
	for (;;) {
		bool mx = str_next(&rx, '.', &one), my = str_next(&ry, '.', &two);
		if (!mx || !my)
			return (int)mx - (int)my;
		int c = compare_part(one, two);
		if (c)
			return c;
	}
}

FN(greater)
{
	(void)e;
	return cel_of_bool(cel_semver_compare(args[0].own, args[1].own) > 0);
}

FN(less)
{
	(void)e;
	return cel_of_bool(cel_semver_compare(args[0].own, args[1].own) < 0);
}

FN(compare_to)
{
	(void)e;
	return cel_of_int(cel_semver_compare(args[0].own, args[1].own));
}

static const struct cel_semver *
version_of(const struct cel_value *v)
{
	return v->own;
}

FN(major)
{
	(void)e;
	return cel_of_int((int64_t)version_of(&args[0])->major);
}

FN(minor)
{
	(void)e;
	return cel_of_int((int64_t)version_of(&args[0])->minor);
}

FN(patch)
{
	(void)e;
	return cel_of_int((int64_t)version_of(&args[0])->patch);
}

#define V "kubernetes.Semver"
static const struct cel_fn_row rows[] = {
	{"semver", "string_to_semver", V "(string)", to_semver, COST_PARSE},
	{"semver", "string_bool_to_semver", V "(string, bool)", to_semver, COST_PARSE},
	{"isSemver", "is_semver_string", "bool(string)", is_semver, COST_PARSE},
	{"isSemver", "is_semver_string_bool", "bool(string, bool)", is_semver, COST_PARSE},
	{"isGreaterThan", "semver_is_greater_than", ".bool(" V ", " V ")", greater, COST_FIXED},
	{"isLessThan", "semver_is_less_than", ".bool(" V ", " V ")", less, COST_FIXED},
	{"compareTo", "semver_compare_to", ".int(" V ", " V ")", compare_to, COST_FIXED},
	{"major", "semver_major", ".int(" V ")", major, COST_FIXED},
	{"minor", "semver_minor", ".int(" V ")", minor, COST_FIXED},
	{"patch", "semver_patch", ".int(" V ")", patch, COST_FIXED},
};
const struct cel_fn_table cel_fns_semver = {rows, ARRAY_LEN(rows)};
