/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tar_fuzz: any bytes as a layer: inflated (gzip, zstd or plain), then read as tar. The bytes are
 * offered whole and in pieces (the first byte says how large): both must see the same. */
#include <errno.h>

#include "orchestrator/runtime/image/inflate.h"
#include "orchestrator/runtime/image/tar.h"

#define PLAIN_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t entries, ends, bytes, hash;
	struct tar *tar;
	uint64_t plain;
};

static int
on_entry(void *arg, const struct tar_entry *t)
{
	struct sum *s = arg;

	s->entries++;
	BUG_ON(t->name.n == 0 || t->name.n > TAR_NAME_MAX || t->link.n > TAR_NAME_MAX);
	s->hash = s->hash * 31 + t->size + t->mode + t->type + t->name.n;
	return 0;
}

static int
on_data(void *arg, uint64_t at, struct str bytes)
{
	struct sum *s = arg;

	s->bytes += bytes.n;
	for (size_t i = 0; i < bytes.n; i++)
		s->hash += (at + i) * (uint8_t)bytes.p[i];
	return 0;
}

static int
on_end(void *arg)
{
	struct sum *s = arg;

	s->ends++;
	BUG_ON(s->ends > s->entries);
	return 0;
}

static const struct tar_ops ops = {on_entry, on_data, on_end};

static int
on_plain(void *arg, struct str plain, struct err *e)
{
	struct sum *s = arg;

	s->plain += plain.n;
	if (s->plain > PLAIN_MAX) /* what is bounded by the disk elsewhere */
		return err_set(e, -ENOSPC, R_INVALID, "enough");
	return tar_push(s->tar, plain, e);
}

static int
run(struct str in, size_t piece, struct sum *s)
{
	struct inflate *f = inflate_new(IMAGE_PLAIN, on_plain, s);
	struct err e = {0};
	int rc = 0;

	s->tar = tar_new(&ops, s);
	BUG_ON(!f || !s->tar);
	while (!rc && in.n) {
		struct str part = str_sub(in, 0, piece);

		rc = inflate_push(f, part, &e);
		in = str_sub(in, part.n, SIZE_MAX);
	}
	if (!rc)
		rc = inflate_finish(f, &e);
	if (!rc)
		rc = tar_finish(s->tar, &e);
	BUG_ON(rc && !e.msg[0]);
	inflate_free(f);
	tar_free(s->tar);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole = {0};
	struct sum parts = {0};
	struct str in = str_from((const char *)data, size);
	size_t piece = size ? (size_t)data[0] + 1 : 1;
	int a = 0;
	int b = 0;

	if (size < 2)
		return 0;
	in = str_sub(in, 1, SIZE_MAX);
	a = run(in, in.n, &whole);
	b = run(in, piece, &parts);
	/* A stream that breaks may have delivered more or less before; one that is whole is the same. */
	BUG_ON((a == 0) != (b == 0));
	if (!a)
		BUG_ON(whole.entries != parts.entries || whole.bytes != parts.bytes ||
			whole.hash != parts.hash);
	return 0;
}
