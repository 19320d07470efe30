/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * regex_test: what matches, what does not, what is refused with Go's words, and that nothing takes long. */
#include "tests/unit/test.h"

#include "base/regex.c"

static const struct {
	const char *pattern, *yes[5], *no[5];
} rows[] = {
	{"", {"", "x"}, {NULL}},
	{"abc", {"abc", "xabcx"}, {"ab", "", "acb"}},
	{"^abc$", {"abc"}, {"xabc", "abcx", "abc\n"}},
	{"^a|b$", {"ax", "xb"}, {"xa", "bx"}},
	{"^(a|b)*$", {"", "abba"}, {"abc"}},
	{"^a+b?c*$", {"a", "aab", "abcc"}, {"b", "abbc", ""}},
	{"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", {"a", "a-b", "web-1"}, {"-a", "a-", "A"}},
	{"^x{3}$", {"xxx"}, {"xx", "xxxx"}},
	{"^x{2,}$", {"xx", "xxxxx"}, {"x"}},
	{"^x{1,3}$", {"x", "xxx"}, {"", "xxxx"}},
	{"^x{0}y$", {"y"}, {"xy"}},
	{"^(ab){2}$", {"abab"}, {"ab", "ababab"}},
	{"^x{,3}$", {"x{,3}"}, {"xxx"}},
	{"^{$", {"{"}, {"x"}},
	{"^a.c$",
		{"abc",
			"a\xc3\xa9"
			"c"},
		{"a\nc", "ac"}},
	{"(?s)^a.c$", {"a\nc"}, {"ac"}},
	{"(?i)^abc$", {"ABC", "aBc"}, {"abd"}},
	{"^(?i:a)b$", {"Ab"}, {"aB"}},
	{"(?i)^[^a]$", {"b", "B"}, {"a", "A"}},
	{"(?m)^b$", {"a\nb\nc"}, {"a b"}},
	{"(?mi-s)^B$", {"a\nb"}, {"c"}},
	{"\\d+\\.\\d+", {"v1.2"}, {"1."}},
	{"^\\w+$", {"a_1"}, {"a-1"}},
	{"^\\S+\\s\\D$", {"ab c"}, {"ab 1", "abc"}},
	{"\\bfoo\\b", {"a foo b", "foo"}, {"afoo", "foob"}},
	{"o\\B", {"foo", "of"}, {"o"}},
	{"\\Aab\\z", {"ab"}, {"ab\n", "xab"}},
	{"^[^abc]$", {"d", "\n"}, {"a", "c", ""}},
	{"^[]a]$", {"]", "a"}, {"b"}},
	{"^[a\\]b]$", {"]", "b"}, {"\\"}},
	{"^[a-]$", {"a", "-"}, {"b"}},
	{"^[[:alpha:]_][[:^digit:]]$", {"aa", "_x"}, {"1a", "a1"}},
	{"^[\\d\\-x]$", {"5", "-", "x"}, {"y"}},
	{"^[^\\D]$", {"5"}, {"x"}},
	{"^\\x41\\x{42}\\103$", {"ABC"}, {"abc"}},
	{"^\\Qa.b\\E.$", {"a.bx"}, {"axbx"}},
	{"^(?P<x>a)(?<y>b)$", {"ab"}, {"a"}},
	{"^a*?b+?$", {"aab", "b"}, {"a"}},
	{"^\xc3\xa9+$", {"\xc3\xa9\xc3\xa9"}, {"e"}},
	{"^.$", {"\xf0\x9f\x98\x80", "\xff"}, {"ab"}},
	{"^(|a)+$", {"", "aa"}, {"b"}},
	{"^(a*)*$", {"", "aaa"}, {"b"}},
	{"a||b", {"", "zzz"}, {NULL}},
	{"^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+$", {"1h", "1.5h30m"}, {"1", "h"}},
	{"^\\*$", {"*"}, {"a"}},
	{"^[\\w.]+@[\\w]+\\.[a-z]{2,4}$", {"a.b@c.de"}, {"a@b", "@c.de"}},
};

TEST(patterns_match_what_they_say)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct err e = {0};
		const struct regex *re = NULL;
		if (regex_compile(a, str_c(rows[i].pattern), &re, &e) != 0)
			TEST_FAIL_("%s: %s", rows[i].pattern, e.msg);
		for (size_t k = 0; k < 5 && rows[i].yes[k]; k++)
			if (regex_match(re, str_c(rows[i].yes[k])) != 1)
				TEST_FAIL_(
					"%s does not match '%s'", rows[i].pattern, rows[i].yes[k]);
		for (size_t k = 0; k < 5 && rows[i].no[k]; k++)
			if (regex_match(re, str_c(rows[i].no[k])) != 0)
				TEST_FAIL_("%s matches '%s'", rows[i].pattern, rows[i].no[k]);
		arena_free(a);
	}
}

TEST(what_is_wrong_is_said_as_go_does)
{
	static const struct {
		const char *pattern, *text;
	} bad[] = {
		{"(a", "error parsing regexp: missing closing ): `(a`"},
		{"a)", "error parsing regexp: unexpected ): `a)`"},
		{"*", "error parsing regexp: missing argument to repetition operator: `*`"},
		{"a|+", "error parsing regexp: missing argument to repetition operator: `+`"},
		{"a**", "error parsing regexp: invalid nested repetition operator: `**`"},
		{"[a", "error parsing regexp: missing closing ]: `[a`"},
		{"[z-a]", "error parsing regexp: invalid character class range: `z-a`"},
		{"[[:foo:]]", "error parsing regexp: invalid character class range: `[:foo:]`"},
		{"\\q", "error parsing regexp: invalid escape sequence: `\\q`"},
		{"\\pL", "error parsing regexp: invalid escape sequence: `\\p`"},
		{"a\\", "error parsing regexp: trailing backslash at end of expression: ``"},
		{"a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"},
		{"a{2,1}", "error parsing regexp: invalid repeat count: `{2,1}`"},
		{"(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{"(?P<1 >a)", "error parsing regexp: invalid named capture: `(?P<1 >a)`"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena *a = arena_new(0);
		struct err e = {0};
		const struct regex *re = NULL;
		CHECK_INT(regex_compile(a, str_c(bad[i].pattern), &re, &e), -EINVAL);
		CHECK_STR(e.msg, bad[i].text);
		arena_free(a);
	}
}

TEST(hostile_patterns_cost_little)
{
	struct arena *a = arena_new(16u << 20);
	struct err e = {0};
	const struct regex *re = NULL;
	char text[3001] = "";
	memset(text, 'a', 3000);
	CHECK_INT(regex_compile(a, STR("((a{100}){100}){100}"), &re, &e), -E2BIG);
	CHECK_INT(regex_compile(a, STR("^(a+)+$"), &re, &e), 0);
	text[2999] = 'b';
	CHECK_INT(regex_match(re, str_c(text)), 0);
	CHECK_INT(regex_compile(a, STR("^(a?){500}a{500}$"), &re, &e), 0);
	CHECK_INT(regex_match(re, str_sub(str_c(text), 0, 500)), 1);
	memset(text, '(', 3000);
	CHECK_INT(regex_compile(a, str_c(text), &re, &e), -EINVAL);
	arena_free(a);
}

/* Bytes as Go's FindStringIndex gives them. */
TEST(find_is_leftmost_and_prefers_as_go_does)
{
	static const struct {
		const char *pattern, *text;
		int from, to;
	} cases[] = {
		{"a+", "baaab", 1, 4},
		{"a+?", "baaab", 1, 2},
		{"a*", "baaab", 0, 0},
		{"a|ab", "ab", 0, 1},
		{"ab|a", "ab", 0, 2},
		{"a??b", "aab", 1, 3},
		{"[0-9]+", "v1.25", 1, 2},
		{"x", "abc", -1, 0},
		{"$", "ab", 2, 2},
		{"\\bfoo\\b", "a foo", 2, 5},
		{"(a|b)*c", "xabac", 1, 5},
		{"a{2,3}", "aaaa", 0, 3},
		{"a{2,3}?", "aaaa", 0, 2},
		{"(?:a|ab)(?:c|bcd)", "abcd", 0, 4},
		{".", "\xc3\xa9x", 0, 2},
		{"", "abc", 0, 0},
		{"b", "abab", 1, 2},
		{"(?m)^b", "a\nb", 2, 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new(0);
		const struct regex *re = NULL;
		size_t from = 0, to = 0;
		CHECK_INT(regex_compile(a, str_c(cases[i].pattern), &re, NULL), 0);
		int rc = regex_find(re, str_c(cases[i].text), 0, &from, &to);
		CHECK_INT(rc, cases[i].from >= 0);
		if (rc == 1) {
			CHECK_INT((int)from, cases[i].from);
			CHECK_INT((int)to, cases[i].to);
		}
		arena_free(a);
	}
}

TEST(find_goes_on_from_a_byte)
{
	struct arena *a = arena_new(0);
	const struct regex *re = NULL;
	size_t from = 0, to = 0;
	CHECK_INT(regex_compile(a, STR("\\b[a-z]+"), &re, NULL), 0);
	CHECK_INT(regex_find(re, STR("ab cd"), 1, &from, &to), 1);
	CHECK_INT((int)from, 3); /* a word does not begin in the midst of one */
	CHECK_INT(regex_find(re, STR("ab cd"), 6, &from, &to), 0);
	arena_free(a);
}
