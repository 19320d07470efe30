/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes and attributes: the revision's splice, total unpacking. */
#include "storage/store/value.c"

#include "base/rand.h"
#include "tests/unit/test.h"

static struct str
packed(const struct value_parts *p, uint64_t rev, uint8_t *out, size_t size)
{
	size_t n = value_size(p, rev);
	CHECK(n <= size);
	value_pack(p, rev, out);
	return str_from((const char *)out, n);
}

TEST(revision_is_spliced_in_and_replaced)
{
	uint8_t out[256], again[256];
	struct store_op op = {
		.body = STR("{\"rv\":\"\",\"x\":1}"),
		.attrs = STR("abc"),
		.rv_offset = 7,
		.schema_id = 12,
		.flags = STORE_OLD_SCHEMA,
		.expires_ns = 77,
	};
	struct value_parts p;
	struct store_value v;
	CHECK_INT(value_parts_of_op(&op, &p), 0);
	struct str env = packed(&p, 999, out, sizeof(out));
	CHECK_INT(value_unpack(env, &v), 0);
	CHECK_STR(v.body, "{\"rv\":\"999\",\"x\":1}");
	CHECK_STR(v.attrs, "abc");
	CHECK_INT(v.rev, 999);
	CHECK_INT(v.rv_offset, 7);
	CHECK_INT(v.schema_id, 12);
	CHECK_INT(v.flags, STORE_OLD_SCHEMA);
	CHECK_INT(v.expires_ns, 77);
	value_parts_of_old(&v, &p);
	CHECK_INT(value_unpack(packed(&p, 1000, again, sizeof(again)), &v), 0);
	CHECK_STR(v.body, "{\"rv\":\"1000\",\"x\":1}");
	value_parts_of_old(&v, &p);
	CHECK_INT(value_unpack(packed(&p, REV_MAX, out, sizeof(out)), &v), 0);
	CHECK_INT(v.rev, REV_MAX);
}

TEST(no_splice_without_an_offset)
{
	uint8_t out[64];
	struct value_parts p;
	struct store_value v;
	struct store_op op = {.body = STR("{}")};
	CHECK_INT(value_parts_of_op(&op, &p), 0);
	CHECK_INT(value_unpack(packed(&p, 5, out, sizeof(out)), &v), 0);
	CHECK_STR(v.body, "{}");
	value_parts_of_old(&v, &p);
	CHECK_INT(value_unpack(packed(&p, 6, out, sizeof(out)), &v), 0);
	CHECK_STR(v.body, "{}");
	CHECK_INT(v.rev, 6);
	op = (struct store_op){0};
	CHECK_INT(value_parts_of_op(&op, &p), 0);
	CHECK_INT(value_unpack(packed(&p, 5, out, sizeof(out)), &v), 0);
	CHECK_INT(v.body.n, 0);
}

TEST(bad_operations)
{
	struct value_parts p;
	struct store_op op = {.body = STR("{}"), .rv_offset = 3};
	CHECK_INT(value_parts_of_op(&op, &p), -ERANGE);
	op = (struct store_op){.body = str_from("", STORE_BODY_MAX + 1)};
	CHECK_INT(value_parts_of_op(&op, &p), -E2BIG);
}

TEST(unpack_is_total)
{
	uint8_t good[96];
	struct store_op op = {.body = STR("{\"rv\":\"\"}"), .attrs = STR("attrs"), .rv_offset = 7};
	struct value_parts p;
	struct store_value v;
	CHECK_INT(value_parts_of_op(&op, &p), 0);
	struct str env = packed(&p, 12345, good, sizeof(good));
	for (size_t n = 0; n < env.n - 2; n++)
		CHECK_INT(value_unpack(str_from(env.p, n), &v), -EIO);
	rand_set_seed(2);
	for (int i = 0; i < 100000; i++) {
		uint8_t bad[96];
		memcpy(bad, good, env.n);
		for (uint64_t k = rand_below(4) + 1; k > 0; k--)
			bad[rand_below(VALUE_HEAD)] = (uint8_t)rand_u64();
		if (value_unpack(str_from((const char *)bad, env.n), &v) < 0)
			continue;
		CHECK(v.body.n + v.attrs.n + VALUE_HEAD == env.n);
		value_parts_of_old(&v, &p);
		CHECK(p.head.n + p.tail.n <= v.body.n);
	}
}

TEST(attributes)
{
	struct buf b = BUF_INIT;
	char kind = 0;
	struct str k, v;
	store_attr_put(&b, 'l', STR("app"), STR("web"));
	store_attr_put(&b, 'f', STR("spec.nodeName"), STR(""));
	struct str rest = buf_view(&b);
	CHECK(store_attr_next(&rest, &kind, &k, &v));
	CHECK_INT(kind, 'l');
	CHECK_STR(k, "app");
	CHECK_STR(v, "web");
	CHECK(store_attr_next(&rest, &kind, &k, &v));
	CHECK_INT(kind, 'f');
	CHECK_STR(k, "spec.nodeName");
	CHECK_INT(v.n, 0);
	CHECK(!store_attr_next(&rest, &kind, &k, &v));
	for (size_t n = 1; n < b.len; n++) {
		rest = str_from(b.data, n);
		while (store_attr_next(&rest, &kind, &k, &v))
			CHECK(rest.p >= b.data && rest.p + rest.n <= b.data + n);
	}
	static char huge[70000];
	store_attr_put(&b, 'l', STR("app"), str_from(huge, sizeof(huge)));
	CHECK(b.failed);
	buf_release(&b);
}
