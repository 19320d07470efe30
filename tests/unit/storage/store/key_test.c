/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Packed keys: order, limits, total unpacking. */
#include "storage/store/key.c"

#include "base/rand.h"
#include "tests/unit/test.h"

static struct key_buf
packed(uint32_t res, const char *ns, const char *name)
{
	struct key_buf k = {0};
	struct store_key in = {res, str_c(ns), str_c(name)};
	CHECK_INT(key_pack(&in, &k), 0);
	return k;
}

TEST(order_is_resource_namespace_name)
{
	static const struct {
		uint32_t res;
		const char *ns, *name;
	} rows[] = {
		{1, "", ""},
		{1, "", "a"},
		{1, "", "b"},
		{1, "a", "z"},
		{1, "a", "zz"},
		{1, "a-b", "a"},
		{1, "aa", "a"},
		{1, "b", ""},
		{2, "", "a"},
		{255, "x", "y"},
		{256, "", ""},
		{65536, "a", "a"},
	};
	for (size_t i = 1; i < ARRAY_LEN(rows); i++) {
		struct key_buf a = packed(rows[i - 1].res, rows[i - 1].ns, rows[i - 1].name);
		struct key_buf b = packed(rows[i].res, rows[i].ns, rows[i].name);
		CHECK(str_cmp(key_view(&a), key_view(&b)) < 0);
		struct store_key k;
		CHECK_INT(key_unpack(key_view(&b), &k), 0);
		CHECK_INT(k.res, rows[i].res);
		CHECK_STR(k.ns, rows[i].ns);
		CHECK_STR(k.name, rows[i].name);
	}
}

TEST(limits)
{
	static char long_name[STORE_KEY_MAX + 1];
	struct key_buf k;
	memset(long_name, 'x', sizeof(long_name));
	struct store_key in = {1, STR("ns"), str_from(long_name, STORE_KEY_MAX - 7)};
	CHECK_INT(key_pack(&in, &k), 0);
	CHECK_INT(k.n, STORE_KEY_MAX);
	in.name.n++;
	CHECK_INT(key_pack(&in, &k), -ERANGE);
	in = (struct store_key){1, str_from("a\0b", 3), STR("n")};
	CHECK_INT(key_pack(&in, &k), -ERANGE);
	in = (struct store_key){1, STR("n"), str_from("\0", 1)};
	CHECK_INT(key_pack(&in, &k), -ERANGE);
	in = (struct store_key){1, str_from(long_name, SIZE_MAX), STR("n")};
	CHECK_INT(key_pack(&in, &k), -ERANGE);
	CHECK_INT(key_prefix(1, str_from(long_name, STORE_KEY_MAX), &k), -ERANGE);
}

TEST(prefix_holds_what_is_in_it)
{
	struct key_buf all, ns, in = packed(7, "kube", "x"), out = packed(7, "kube-system", "x");
	CHECK_INT(key_prefix(7, STR_NONE, &all), 0);
	CHECK_INT(key_prefix(7, STR("kube"), &ns), 0);
	CHECK(str_starts(key_view(&in), key_view(&all)));
	CHECK(str_starts(key_view(&out), key_view(&all)));
	CHECK(str_starts(key_view(&in), key_view(&ns)));
	CHECK(!str_starts(key_view(&out), key_view(&ns)));
}

TEST(unpack_is_total)
{
	struct store_key k;
	CHECK_INT(key_unpack(STR_NONE, &k), -EINVAL);
	CHECK_INT(key_unpack(str_from("\0\0\0\1", 4), &k), -EINVAL);
	CHECK_INT(key_unpack(str_from("\0\0\0\1ns", 6), &k), -EINVAL);
	CHECK_INT(key_unpack(str_from("\0\0\0\1ns\0a\0b", 10), &k), -EINVAL);
	rand_set_seed(1);
	for (int i = 0; i < 20000; i++) {
		char raw[24];
		size_t n = (size_t)rand_below(sizeof(raw));
		rand_bytes(raw, n);
		if (i % 2)
			raw[rand_below(sizeof(raw))] = 0;
		if (key_unpack(str_from(raw, n), &k) == 0) {
			struct key_buf again;
			CHECK_INT(key_pack(&k, &again), 0);
			CHECK_STR(key_view(&again), str_from(raw, n));
		}
	}
}
