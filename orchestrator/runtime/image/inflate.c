/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * inflate: see inflate.h. One row of hooks per format. */
#include "orchestrator/runtime/image/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define OUT_BYTES 65536
#define MAGIC_BYTES 4
#define ZSTD_MAX_WINDOW_LOG 27

struct inflate {
	enum image_compression kind;
	inflate_out_fn *out;
	void *arg;
	char magic[MAGIC_BYTES];
	size_t n_magic;
	bool known, done;
	bool padded; /* gzip: zeros came behind a member */
	z_stream z;
	ZSTD_DStream *zs;
	char buf[OUT_BYTES];
};

struct inflate *
inflate_new(enum image_compression hint, inflate_out_fn *out, void *arg)
{
	struct inflate *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->kind = hint;
	f->out = out;
	f->arg = arg;
	return f;
}

void
inflate_free(struct inflate *f)
{
	if (!f)
		return;
	if (f->known && f->kind == IMAGE_GZIP)
		inflateEnd(&f->z);
	ZSTD_freeDStream(f->zs);
	free(f);
}

static int
corrupt(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, R_INVALID, "corrupt layer: %s", what);
}

static int
push_plain(struct inflate *f, struct str in, struct err *e)
{
	while (in.n) {
		struct str part = str_sub(in, 0, OUT_BYTES);
		int rc = f->out(f->arg, part, e);

		if (rc)
			return rc;
		in = str_sub(in, part.n, SIZE_MAX);
	}
	return 0;
}

/* Several gzip members one behind the other are one stream; zeros behind the last are padding, and the end. */
static int
push_gzip(struct inflate *f, struct str in, struct err *e)
{
	f->z.next_in = (Bytef *)(uintptr_t)in.p;
	f->z.avail_in = (uInt)in.n;
	for (;;) {
		int zr = Z_OK;
		size_t n = 0;

		if (f->done) {
			while (f->z.avail_in > 0 && *f->z.next_in == 0) {
				f->padded = true;
				f->z.next_in++;
				f->z.avail_in--;
			}
			if (f->z.avail_in == 0)
				return 0;
			if (f->padded)
				return corrupt(e, "gzip: bytes behind the padding");
			if (inflateReset(&f->z) != Z_OK)
				return corrupt(e, "gzip");
			f->done = false;
		}
		f->z.next_out = (Bytef *)f->buf;
		f->z.avail_out = OUT_BYTES;
		zr = inflate(&f->z, Z_NO_FLUSH);
		n = OUT_BYTES - f->z.avail_out;
		if (zr == Z_MEM_ERROR)
			return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		if (zr != Z_OK && zr != Z_STREAM_END && zr != Z_BUF_ERROR)
			return corrupt(e, "gzip");
		if (n) {
			int rc = f->out(f->arg, str_from(f->buf, n), e);

			if (rc)
				return rc;
		}
		f->done = zr == Z_STREAM_END;
		if (!f->done && f->z.avail_in == 0 && f->z.avail_out > 0)
			return 0;
		if (!f->done && n == 0 && zr == Z_BUF_ERROR)
			return f->z.avail_in ? corrupt(e, "gzip") : 0;
	}
}

static int
push_zstd(struct inflate *f, struct str in, struct err *e)
{
	ZSTD_inBuffer ib = {in.p, in.n, 0};

	for (;;) {
		ZSTD_outBuffer ob = {f->buf, OUT_BYTES, 0};
		size_t r = ZSTD_decompressStream(f->zs, &ob, &ib);

		if (ZSTD_isError(r))
			return corrupt(e, "zstd");
		if (ob.pos) {
			int rc = f->out(f->arg, str_from(f->buf, ob.pos), e);

			if (rc)
				return rc;
		}
		f->done = r == 0;
		/* At the end of a frame nothing is held back; a further call would begin the next one. */
		if (ib.pos == ib.size && (f->done || ob.pos < ob.size))
			return 0;
	}
}

static int
decide(struct inflate *f, struct err *e)
{
	if (f->n_magic >= 2 && memcmp(f->magic, "\x1f\x8b", 2) == 0)
		f->kind = IMAGE_GZIP;
	else if (f->n_magic == 4 && memcmp(f->magic, "\x28\xb5\x2f\xfd", 4) == 0)
		f->kind = IMAGE_ZSTD;
	else if (f->kind != IMAGE_PLAIN)
		return corrupt(e, "neither gzip nor zstd");
	if (f->kind == IMAGE_GZIP && inflateInit2(&f->z, 15 + 16) != Z_OK)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (f->kind == IMAGE_ZSTD) {
		f->zs = ZSTD_createDStream();
		if (!f->zs ||
			ZSTD_isError(ZSTD_DCtx_setParameter(
				f->zs, ZSTD_d_windowLogMax, ZSTD_MAX_WINDOW_LOG)))
			return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	f->known = true;
	return 0;
}

static int
push_known(struct inflate *f, struct str in, struct err *e)
{
	if (in.n == 0)
		return 0;
	switch (f->kind) {
	case IMAGE_PLAIN:
		return push_plain(f, in, e);
	case IMAGE_GZIP:
		return push_gzip(f, in, e);
	case IMAGE_ZSTD:
		return push_zstd(f, in, e);
	}
	return -EINVAL;
}

int
inflate_push(struct inflate *f, struct str bytes, struct err *e)
{
	int rc = 0;

	if (!f->known) {
		size_t n = MAGIC_BYTES - f->n_magic < bytes.n ? MAGIC_BYTES - f->n_magic : bytes.n;

		memcpy(f->magic + f->n_magic, bytes.p, n);
		f->n_magic += n;
		bytes = str_sub(bytes, n, SIZE_MAX);
		if (f->n_magic < MAGIC_BYTES)
			return 0;
		rc = decide(f, e);
		if (!rc)
			rc = push_known(f, str_from(f->magic, f->n_magic), e);
	}
	/* zlib counts in 32 bits. */
	while (!rc && bytes.n) {
		struct str part = str_sub(bytes, 0, 1u << 30);

		rc = push_known(f, part, e);
		bytes = str_sub(bytes, part.n, SIZE_MAX);
	}
	return rc;
}

int
inflate_finish(struct inflate *f, struct err *e)
{
	if (!f->known)
		return corrupt(e, "too short");
	if (f->kind != IMAGE_PLAIN && !f->done)
		return corrupt(e, "unexpected end");
	return 0;
}
