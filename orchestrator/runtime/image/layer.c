/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * layer: see layer.h. */
#include "orchestrator/runtime/image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/rand.h"
#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/image/extract.h"
#include "orchestrator/runtime/image/inflate.h"

#define READ_CHUNK 262144
#define LAYER_MAX_BYTES (64ull << 30)
#define LAYER_MAX_INODES 4000000u

struct run {
	struct tar *tar;
	struct extract *x;
	struct sha256 hash;
};

struct str *
layer_chain_ids(struct arena *a, const struct str *diff_ids, size_t n)
{
	struct str *ids = ARENA_ARRAY(a, struct str, n ? n : 1);
	struct buf hex;

	for (size_t i = 0; ids && i < n; i++) {
		uint8_t sum[32];

		if (i == 0) {
			ids[0] = arena_str(a, str_sub(diff_ids[0], 7, SIZE_MAX));
			continue;
		}
		sha256_of(arena_cat(a,
				  (struct str[]){STR("sha256:"), ids[i - 1], STR(" "), diff_ids[i]},
				  4),
			sum);
		buf_init_arena(&hex, a);
		hex_encode(&hex, str_from((char *)sum, sizeof(sum)));
		ids[i] = buf_view(&hex);
	}
	return arena_failed(a) ? NULL : ids;
}

bool
layer_present(int data_dir, struct str chain)
{
	char path[LAYER_HEX + 16];

	snprintf(path, sizeof(path), "layers/" STR_FMT, STR_ARG(chain));
	return faccessat(data_dir, path, F_OK, 0) == 0;
}

static int
on_plain(void *arg, struct str plain, struct err *e)
{
	struct run *r = arg;
	int rc = 0;

	sha256_add(&r->hash, plain.p, plain.n);
	rc = tar_push(r->tar, plain, e);
	if (rc && extract_err(r->x)->code == rc && e)
		*e = *extract_err(r->x);
	return rc;
}

static int
pump(struct run *r, const struct layer_unpack *u, struct inflate *f, struct err *e)
{
	_cleanup_free_ char *buf = malloc(READ_CHUNK);
	ssize_t n = 0;
	int rc = 0;

	if (!buf)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	while (!rc && (n = read(u->blob, buf, READ_CHUNK)) > 0) {
		if (u->cancel && *u->cancel)
			return err_set(e, -ECANCELED, R_UNKNOWN, "cancelled");
		rc = inflate_push(f, str_from(buf, (size_t)n), e);
	}
	if (n < 0)
		return err_errno(e, -errno, "reading layer");
	if (!rc)
		rc = inflate_finish(f, e);
	if (!rc)
		rc = tar_finish(r->tar, e);
	return rc;
}

static int
check_diff_id(struct run *r, struct str want, struct err *e)
{
	uint8_t sum[32];
	char buf[80] = "sha256:";

	sha256_sum(&r->hash, sum);
	for (size_t i = 0; i < 32; i++)
		snprintf(buf + 7 + 2 * i, 3, "%02x", sum[i]);
	if (str_eq_c(want, buf))
		return 0;
	return err_set(e, -EBADMSG, R_INVALID,
		"layer content has digest %s, the image configuration says " STR_FMT, buf,
		STR_ARG(want));
}

static int
unpack_into(const struct layer_unpack *u, int root, uint64_t *ret_bytes, struct err *e)
{
	int lowers[IMAGE_MAX_LAYERS];
	size_t n = 0;
	struct statvfs vfs = {0};
	struct run r = {0};
	struct inflate *f = NULL;
	uint64_t room = LAYER_MAX_BYTES;
	int rc = 0;

	if (fstatvfs(root, &vfs) == 0 && (uint64_t)vfs.f_bavail * vfs.f_frsize < room)
		room = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	for (size_t i = 0; i < u->n_below && i < IMAGE_MAX_LAYERS; i++) {
		char path[LAYER_HEX + 16];

		snprintf(path, sizeof(path), "layers/" STR_FMT, STR_ARG(u->below[i]));
		lowers[n] = openat(u->data_dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (lowers[n] < 0)
			rc = err_errno(e, -errno, "opening the layer below");
		else
			n++;
	}
	sha256_init(&r.hash);
	r.x = extract_new(root, lowers, n, room, LAYER_MAX_INODES);
	r.tar = r.x ? tar_new(&extract_tar_ops, r.x) : NULL;
	f = r.tar ? inflate_new(u->compression, on_plain, &r) : NULL;
	if (!rc && !f)
		rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (!rc)
		rc = pump(&r, u, f, e);
	if (!rc)
		rc = check_diff_id(&r, u->diff_id, e);
	if (!rc)
		rc = extract_finish(r.x, e);
	if (!rc)
		*ret_bytes = extract_bytes(r.x);
	inflate_free(f);
	tar_free(r.tar);
	extract_free(r.x);
	for (size_t i = 0; i < n; i++)
		close(lowers[i]);
	return rc;
}

int
layer_unpack_run(const struct layer_unpack *u, uint64_t *ret_bytes, struct err *e)
{
	char tmp[64];
	char final[LAYER_HEX + 16];
	_cleanup_fd_ int root = -1;
	uint64_t bytes = 0;
	int rc = 0;

	if (layer_present(u->data_dir, u->chain)) {
		*ret_bytes = 0;
		return 0;
	}
	snprintf(tmp, sizeof(tmp), "tmp/%016llx", (unsigned long long)rand_u64());
	snprintf(final, sizeof(final), "layers/" STR_FMT, STR_ARG(u->chain));
	if (mkdirat(u->data_dir, tmp, 0755))
		return err_errno(e, -errno, "making a folder for the layer");
	root = openat(u->data_dir, tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = root < 0 ? err_errno(e, -errno, "opening the layer's folder")
		      : unpack_into(u, root, &bytes, e);
	/* A tar without "./" says nothing of the root's mode; 0755 is what everybody expects. */
	if (!rc && syncfs(root))
		rc = err_errno(e, -errno, "writing the layer to disk");
	if (!rc && renameat(u->data_dir, tmp, u->data_dir, final)) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			rc = err_errno(e, -errno, "keeping the layer");
		else
			bytes = 0;
	}
	if (rc || bytes == 0)
		fs_remove_tree(u->data_dir, tmp);
	if (!rc) {
		_cleanup_fd_ int layers = openat(
			u->data_dir, "layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (layers < 0 || fsync(layers))
			rc = err_errno(e, -errno, "writing the layer to disk");
		else
			*ret_bytes = bytes;
	}
	return rc;
}
