/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * inflate_test: streams whole and in pieces of every size give the same, to the last byte. */
#include "orchestrator/runtime/image/inflate.c"

#include "base/buf.h"
#include "tests/unit/test.h"

/* "x" as one gzip member (RFC 1952) with a stored block. */
#define GZIP_X "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x01\0\xfe\xffx\x83\x16\xdc\x8c\x01\0\0\0"
/* 65,536 times "z" as one zstd frame (RFC 8878): its size, and a last block that is a run. */
#define ZSTD_64K "\x28\xb5\x2f\xfd\xa0\0\0\x01\0\x03\0\x08z"

static int
keep(void *arg, struct str plain, struct err *e)
{
	(void)e;
	buf_str(arg, plain);
	return 0;
}

/* inflated: in, by pieces; the result of the first call that fails, or of the end. */
static int
inflated(struct str in, size_t piece, struct buf *out)
{
	struct inflate *f = inflate_new(IMAGE_GZIP, keep, out);
	struct err e = {0};
	int rc = 0;
	buf_clear(out);
	while (!rc && in.n) {
		struct str part = str_sub(in, 0, piece);
		rc = inflate_push(f, part, &e);
		in = str_sub(in, part.n, SIZE_MAX);
	}
	if (!rc)
		rc = inflate_finish(f, &e);
	CHECK(!rc || e.msg[0]);
	inflate_free(f);
	return rc;
}

TEST(gzip_members_and_padding_are_one_stream_whatever_the_pieces)
{
	static const struct {
		struct str in;
		const char *out; /* NULL: corrupt */
	} rows[] = {
		{STR_INIT(GZIP_X), "x"},
		{STR_INIT(GZIP_X GZIP_X), "xx"},
		{STR_INIT(GZIP_X "\0\0\0\0\0"), "x"},
		{STR_INIT(GZIP_X "\0\0" GZIP_X), NULL},
		{STR_INIT(GZIP_X "\0\0y"), NULL},
		{STR_INIT(GZIP_X "y"), NULL},
	};
	struct buf out = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= rows[i].in.n; piece++) {
			CHECK_INT(inflated(rows[i].in, piece, &out), rows[i].out ? 0 : -EBADMSG);
			if (rows[i].out)
				CHECK_STR(buf_view(&out), rows[i].out);
		}
	}
	buf_release(&out);
}

TEST(a_zstd_frame_that_ends_with_a_full_piece_of_output_is_complete)
{
	static const struct str one = STR_INIT(ZSTD_64K), two = STR_INIT(ZSTD_64K ZSTD_64K);
	struct buf out = BUF_INIT;
	for (size_t piece = 1; piece <= two.n; piece++) {
		CHECK_INT(inflated(one, piece, &out), 0);
		CHECK_INT(out.len, OUT_BYTES);
		CHECK_INT(inflated(two, piece, &out), 0);
		CHECK_INT(out.len, 2 * OUT_BYTES);
		CHECK_INT(inflated(str_sub(two, 0, two.n - 1), piece, &out), -EBADMSG);
	}
	buf_release(&out);
}
