/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  hash_test: known answers, encodings both ways, the map against churn. */
#include "tests/unit/test.h"

#include "base/hash.c"

static struct str
hex_of(struct arena *a, const void *p, size_t n)
{
	struct buf b = {.a = a};
	hex_encode(&b, str_from(p, n));
	return buf_view(&b);
}

TEST(known_answers)
{
	struct arena *a = arena_new(0);
	uint8_t sum[64];
	sha256_of(STR("abc"), sum);
	CHECK_STR(hex_of(a, sum, 32),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_of(STR_NONE, sum);
	CHECK_STR(hex_of(a, sum, 4), "e3b0c442");
	struct sha256 h;
	sha256_init(&h);
	sha256_add(&h, "a", 1);
	sha256_sum(&h, sum);
	CHECK_STR(hex_of(a, sum, 4), "ca978112");
	sha256_add(&h, "bc", 2);
	sha256_sum(&h, sum);
	CHECK_STR(hex_of(a, sum, 4), "ba7816bf");
	sha512_of(STR("abc"), sum);
	CHECK_STR(hex_of(a, sum, 8), "ddaf35a193617aba");
	CHECK_INT(hash_fnv32a(STR("foobar")), 0xbf9cf968);
	CHECK(hash_fnv64a(STR("foobar")) == 0x85944171f73967e8ULL);
	arena_free(a);
}

TEST(siphash_known_answers)
{
	rand_set_seed(1); /* the fixed key 00..0f of the paper */
	uint8_t in[16];
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	CHECK(hash_bytes(in, 0) == 0xabac0158050fc4dcULL);
	CHECK(hash_bytes(in, 7) != hash_bytes(in, 8));
	CHECK(hash_bytes(in, 8) == hash_bytes(in, 8));
}

TEST(encodings_both_ways)
{
	static const struct {
		const char *raw, *b64, *url, *hex;
	} rows[] = {
		{"", "", "", ""},
		{"f", "Zg==", "Zg", "66"},
		{"fo", "Zm8=", "Zm8", "666f"},
		{"foo", "Zm9v", "Zm9v", "666f6f"},
		{"foob", "Zm9vYg==", "Zm9vYg", "666f6f62"},
		{"\xff\xef\xbe", "/+++", "_---", "ffefbe"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = BUF_INIT;
		base64_encode(&b, str_c(rows[i].raw));
		CHECK_STR(buf_view(&b), rows[i].b64);
		buf_clear(&b);
		base64url_encode(&b, str_c(rows[i].raw));
		CHECK_STR(buf_view(&b), rows[i].url);
		buf_clear(&b);
		hex_encode(&b, str_c(rows[i].raw));
		CHECK_STR(buf_view(&b), rows[i].hex);
		buf_clear(&b);
		CHECK_INT(base64_decode(&b, str_c(rows[i].b64)), 0);
		CHECK_STR(buf_view(&b), rows[i].raw);
		buf_clear(&b);
		CHECK_INT(base64url_decode(&b, str_c(rows[i].url)), 0);
		CHECK_STR(buf_view(&b), rows[i].raw);
		buf_clear(&b);
		CHECK_INT(hex_decode(&b, str_c(rows[i].hex)), 0);
		CHECK_STR(buf_view(&b), rows[i].raw);
		buf_release(&b);
	}
}

TEST(decoders_refuse_and_leave_the_buffer)
{
	struct buf b = BUF_INIT;
	buf_cstr(&b, "x");
	static const char *const bad[] = {"Zg", "Zg=", "Zg===", "Z", "Zm8",
		"Zg==Zg==", "Z=g=", "Zm9v=", "Zm9v ", "Zm-_", "===="};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(base64_decode(&b, str_c(bad[i])), -EINVAL);
	CHECK_INT(base64url_decode(&b, STR("Z")), -EINVAL);
	CHECK_INT(base64url_decode(&b, STR("Zg=")), -EINVAL);
	CHECK_INT(base64url_decode(&b, STR("Zm+/")), -EINVAL);
	CHECK_INT(hex_decode(&b, STR("0")), -EINVAL);
	CHECK_INT(hex_decode(&b, STR("0g")), -EINVAL);
	CHECK_STR(buf_view(&b), "x");
	CHECK_INT(base64_decode(&b, STR("Zm\r\n9v\nZg==\n")), 0);
	CHECK_INT(base64url_decode(&b, STR("Zg==")), 0);
	CHECK_INT(hex_decode(&b, STR("4A")), 0);
	CHECK_STR(buf_view(&b), "xfooffJ");
	buf_release(&b);
}

TEST(map_put_get_del)
{
	struct map m;
	map_init(&m);
	int one = 1, two = 2;
	void *old = &two;
	CHECK(map_get(&m, STR("a")) == NULL);
	CHECK(map_del(&m, STR("a")) == NULL);
	CHECK_INT(map_put(&m, STR("a"), &one, &old), 0);
	CHECK(old == NULL);
	CHECK_INT(map_put(&m, STR("a"), &two, &old), 0);
	CHECK(old == &one);
	CHECK_INT(map_put(&m, STR(""), &one, NULL), 0);
	CHECK(map_get(&m, STR("")) == &one);
	CHECK(map_del(&m, STR("a")) == &two);
	CHECK(map_get(&m, STR("a")) == NULL);
	CHECK_INT(map_len(&m), 1);
	map_release(&m);
	CHECK_INT(map_len(&m), 0);
}

TEST(map_survives_churn_and_keeps_order)
{
	struct map m;
	map_init(&m);
	static char live[500];
	struct arena *a = arena_new(0);
	uint64_t x = 1;
	for (int i = 0; i < 100000; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		unsigned k = (unsigned)(x >> 33) % 500;
		char key[16];
		snprintf(key, sizeof(key), "key-%u", k);
		if (x >> 63) {
			CHECK_INT(map_put(&m, str_c(key), &live[k], NULL), 0);
			live[k] = 1;
		} else {
			CHECK((map_del(&m, str_c(key)) != NULL) == live[k]);
			live[k] = 0;
		}
	}
	size_t n = 0, pos = 0;
	struct str key;
	void *value;
	while (map_next(&m, &pos, &key, &value)) {
		CHECK(*(char *)value == 1);
		CHECK(map_get(&m, key) == value);
		n++;
	}
	CHECK_INT(n, map_len(&m));
	for (int k = 0; k < 500; k++)
		n -= (size_t)live[k];
	CHECK_INT(n, 0);
	map_release(&m);
	char text[] = "zyxabc";
	for (int i = 0; i < 6; i++)
		map_put(&m, str_from(text + i, 1), text + i, NULL);
	pos = 0;
	for (int i = 0; i < 6; i++) {
		CHECK(map_next(&m, &pos, NULL, &value));
		CHECK(value == text + i);
	}
	CHECK(!map_next(&m, &pos, NULL, &value));
	CHECK(!map_next(&m, &pos, NULL, &value));
	map_release(&m);
	arena_free(a);
}

TEST(map_may_change_while_it_is_walked)
{
	struct map m;
	map_init(&m);
	char key[16];
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "%d", i);
		map_put(&m, str_c(key), &m, NULL);
	}
	size_t pos = 0, seen = 0;
	struct str k;
	while (map_next(&m, &pos, &k, NULL)) {
		uint64_t v = 0;
		CHECK_INT(str_to_u64(k, &v), 0);
		if (v < 100)
			seen++;
		map_del(&m, k);
		snprintf(key, sizeof(key), "%d", (int)(1000 + v)); /* forces rebuilds */
		if (v < 100)
			map_put(&m, str_c(key), &m, NULL);
	}
	CHECK_INT(seen, 100);
	CHECK_INT(map_len(&m), 0);
	map_release(&m);
}
