/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  str_test: slices and the bounded reader. */
#include "tests/unit/test.h"

#include "base/str.c"

TEST(compare_and_search)
{
	CHECK(str_cmp(STR("a"), STR("b")) < 0);
	CHECK(str_cmp(STR("ab"), STR("a")) > 0);
	CHECK(str_cmp(STR("\xff"), STR("a")) > 0);
	CHECK_INT(str_cmp(STR_NONE, STR("")), 0);
	CHECK(str_eq(STR_NONE, STR("")));
	CHECK(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
	CHECK(!str_eq_nocase(STR("a["), STR("a{")));
	CHECK(str_starts(STR("abc"), STR("ab")));
	CHECK(!str_starts(STR("a"), STR("ab")));
	CHECK(str_ends(STR("abc"), STR("bc")));
	CHECK(str_ends(STR_NONE, STR_NONE));
	CHECK_INT(str_find(STR("hello"), STR("ll")), 2);
	CHECK_INT(str_find(STR("hello"), STR("lll")), -1);
	CHECK_INT(str_find(STR_NONE, STR("x")), -1);
	CHECK_INT(str_find_char(STR("hello"), 'l'), 2);
	CHECK_INT(str_rfind_char(STR("hello"), 'l'), 3);
	CHECK_INT(str_find_char(STR_NONE, 'x'), -1);
}

TEST(cut_next_trim_sub)
{
	struct str head, tail, rest = STR("a,,b"), part;
	CHECK(str_cut(STR("k=v=w"), '=', &head, &tail));
	CHECK_STR(head, "k");
	CHECK_STR(tail, "v=w");
	CHECK(!str_cut(STR("k"), '=', &head, &tail));
	CHECK(!str_is_set(tail));
	CHECK(str_rcut(STR("k=v=w"), '=', &head, &tail));
	CHECK_STR(head, "k=v");
	CHECK(!str_rcut(STR("k"), '=', &head, &tail));
	CHECK(!str_is_set(head));
	CHECK_STR(tail, "k");
	CHECK(str_next(&rest, ',', &part));
	CHECK_STR(part, "a");
	CHECK(str_next(&rest, ',', &part));
	CHECK_STR(part, "");
	CHECK(str_next(&rest, ',', &part));
	CHECK_STR(part, "b");
	CHECK(!str_next(&rest, ',', &part));
	rest = STR("");
	CHECK(str_next(&rest, ',', &part));
	CHECK(!str_next(&rest, ',', &part));
	CHECK_STR(str_trim(STR(" \t\r\n x y \n")), "x y");
	CHECK_STR(str_trim(STR(" ")), "");
	CHECK_STR(str_sub(STR("hello"), 1, 3), "el");
	CHECK_STR(str_sub(STR("hello"), 3, SIZE_MAX), "lo");
	CHECK_STR(str_sub(STR("hello"), 9, 3), "");
	CHECK(!str_is_set(str_sub(STR_NONE, 0, 3)));
}

TEST(numbers)
{
	int64_t i = 7;
	uint64_t u = 7;
	double d = 7;
	CHECK_INT(str_to_i64(STR("-9223372036854775808"), &i), 0);
	CHECK(i == INT64_MIN);
	CHECK_INT(str_to_i64(STR("9223372036854775807"), &i), 0);
	CHECK(i == INT64_MAX);
	CHECK_INT(str_to_i64(STR("9223372036854775808"), &i), -ERANGE);
	CHECK_INT(str_to_i64(STR("-9223372036854775809"), &i), -ERANGE);
	CHECK_INT(str_to_i64(STR("+1"), &i), -EINVAL);
	CHECK_INT(str_to_i64(STR("-"), &i), -EINVAL);
	CHECK_INT(str_to_i64(STR("1 "), &i), -EINVAL);
	CHECK(i == INT64_MAX);
	CHECK_INT(str_to_u64(STR("18446744073709551615"), &u), 0);
	CHECK(u == UINT64_MAX);
	CHECK_INT(str_to_u64(STR("18446744073709551616"), &u), -ERANGE);
	CHECK_INT(str_to_u64(STR("99999999999999999999999x"), &u), -EINVAL);
	CHECK_INT(str_to_u64(STR_NONE, &u), -EINVAL);
	CHECK_INT(str_to_u64_hex(STR("fFfFfFfFfFfFfFfF"), &u), 0);
	CHECK(u == UINT64_MAX);
	CHECK_INT(str_to_u64_hex(STR("10000000000000000"), &u), -ERANGE);
	CHECK_INT(str_to_u64_hex(STR("g"), &u), -EINVAL);
	CHECK_INT(str_to_u64_hex(STR(":"), &u), -EINVAL);
	CHECK_INT(str_to_double(STR("-1.5e3"), &d), 0);
	CHECK(d == -1500);
	CHECK_INT(str_to_double(STR(".5"), &d), 0);
	CHECK_INT(str_to_double(STR("5."), &d), 0);
	static const char *const bad[] = {
		"", ".", "e5", "1e", "0x1", "inf", "nan", " 1", "1 ", "--1", "1.2.3"};
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		CHECK_INT(str_to_double(str_c(bad[k]), &d), -EINVAL);
	CHECK_INT(str_to_double(STR("1e999"), &d), -ERANGE);
	CHECK(d == 5);
}

TEST(utf8)
{
	static const char *const good[] = {"", "abc", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		"12345678\xc3\xa9"
		"12345678"};
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
		"\xe2\x82", "\xf0\x9f\x98", "12345678\xff", "\xe2\x28\xa1"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(str_is_utf8(str_c(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!str_is_utf8(str_c(bad[i])));
	CHECK(str_is_utf8(STR_NONE));
}

TEST(copy_c_says_when_it_cuts)
{
	char out[4];
	CHECK(str_copy_c(STR("abc"), out, sizeof(out)));
	CHECK_STR(out, "abc");
	CHECK(!str_copy_c(STR("abcd"), out, sizeof(out)));
	CHECK_STR(out, "abc");
	CHECK(str_copy_c(STR_NONE, out, 1));
	CHECK_STR(out, "");
}

TEST(reader_reads_and_stays_bad)
{
	struct reader r = reader_of(
		STR("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\xac\x02"));
	CHECK_INT(reader_u8(&r), 1);
	CHECK_INT(reader_be16(&r), 0x0203);
	CHECK_INT(reader_le16(&r), 0x0504);
	CHECK_INT(reader_be32(&r), 0x06070809);
	CHECK_STR(reader_bytes(&r, 3), "\x0a\x0b\x0c");
	CHECK_INT(reader_varint(&r), 300);
	CHECK(!r.bad);
	CHECK(str_is_set(reader_bytes(&r, 0)));
	CHECK_INT(reader_le32(&r), 0);
	CHECK(r.bad);
	CHECK(!str_is_set(reader_bytes(&r, 0)));
	r = reader_of(STR(
		"\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04"));
	CHECK(reader_be64(&r) == 0x0102030405060708ULL);
	CHECK(reader_le64(&r) == 0x0807060504030201ULL);
	CHECK(reader_le32(&r) == 0x04030201U);
	r = reader_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	CHECK(reader_varint(&r) == UINT64_MAX && !r.bad);
	r = reader_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
	CHECK(reader_varint(&r) == 0 && r.bad);
	r = reader_of(STR("\x80"));
	CHECK(reader_varint(&r) == 0 && r.bad);
	r = reader_of(STR_NONE);
	CHECK(reader_u8(&r) == 0 && r.bad);
}
