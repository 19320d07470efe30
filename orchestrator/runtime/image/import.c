/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * import: images out of a tar file on this disk: an OCI image layout, or what `docker save` writes.
 * A helper thread unpacks the file into tmp/, checks every digest, unpacks the layers; then the loop
 * adds the images to the store. The file is trusted no more than a registry.
 * Source: OCI image-spec 1.1 image-layout.md; Docker image spec v1.2 "Combined Image JSON". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/doc.h"
#include "base/rand.h"
#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/image/extract.h"
#include "orchestrator/runtime/image/inflate.h"
#include "orchestrator/runtime/image/layer.h"
#include "orchestrator/runtime/image/pull.h"
#include "orchestrator/runtime/image/ref.h"

#define MAX_IMAGES 256
#define ARCHIVE_MAX (64ull << 30)
#define READ_CHUNK 262144

struct found {
	struct image_new n;
	uint64_t *bytes; /* of each layer */
};

struct import {
	struct image_store *s;
	struct arena *a;
	char *path;
	image_pulled_fn *done;
	void *arg;
	struct found *images;
	size_t n_images, at;
	struct err err;
	int dir; /* the unpacked archive */
	char tmp[64];
};

/* ---- helper thread ---- */

struct source {
	struct tar *tar;
	struct extract *x;
};

static int
on_plain(void *arg, struct str plain, struct err *e)
{
	struct source *s = arg;
	int rc = tar_push(s->tar, plain, e);

	if (rc && extract_err(s->x)->code == rc && e)
		*e = *extract_err(s->x);
	return rc;
}

static int
archive_unpack(struct import *m, struct err *e)
{
	_cleanup_fd_ int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = malloc(READ_CHUNK);
	struct source s = {0};
	struct inflate *f = NULL;
	ssize_t n = 0;
	int rc = 0;

	if (fd < 0)
		return err_errno(e, -errno, "opening '%s'", m->path);
	s.x = extract_new(m->dir, NULL, 0, ARCHIVE_MAX, 100000);
	s.tar = s.x ? tar_new(&extract_tar_ops, s.x) : NULL;
	f = s.tar ? inflate_new(IMAGE_PLAIN, on_plain, &s) : NULL;
	if (!f || !buf)
		rc = err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	while (!rc && (n = read(fd, buf, READ_CHUNK)) > 0)
		rc = inflate_push(f, str_from(buf, (size_t)n), e);
	if (!rc && n < 0)
		rc = err_errno(e, -errno, "reading '%s'", m->path);
	if (!rc)
		rc = inflate_finish(f, e);
	if (!rc)
		rc = tar_finish(s.tar, e);
	inflate_free(f);
	tar_free(s.tar);
	extract_free(s.x);
	return rc;
}

/* A file of the archive, whole; want: its digest, or STR_NONE. */
static int
file_read(struct import *m, const char *name, size_t max, struct str want, struct str *ret,
	struct err *e)
{
	_cleanup_fd_ int fd = fs_open_in(m->dir, name, O_RDONLY);
	struct buf b;
	struct stat st = {0};
	uint8_t sum[32];
	struct buf hex;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, -errno, "image archive: '%s'", name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return err_set(e, -EBADMSG, R_INVALID, "image archive: '%s' is too large", name);
	buf_init_arena(&b, m->a);
	while (buf_reserve(&b, 65536) && (n = read(fd, buf_reserve(&b, 65536), 65536)) > 0 &&
		b.len <= max)
		buf_commit(&b, (size_t)n);
	if (b.failed || n < 0)
		return err_set(e, n < 0 ? -EIO : -ENOMEM, R_INTERNAL_ERROR,
			"image archive: cannot read '%s'", name);
	sha256_of(buf_view(&b), sum);
	buf_init_arena(&hex, m->a);
	buf_cstr(&hex, "sha256:");
	hex_encode(&hex, str_from((char *)sum, sizeof(sum)));
	if (str_is_set(want) && !str_eq(buf_view(&hex), want))
		return err_set(e, -EBADMSG, R_INVALID, "image archive: '%s' has digest " STR_FMT,
			name, STR_ARG(buf_view(&hex)));
	*ret = buf_view(&b);
	return 0;
}

static const char *
blob_path(struct import *m, struct str digest)
{
	return arena_cstr(m->a,
		arena_fmt(m->a, "blobs/sha256/" STR_FMT, STR_ARG(str_sub(digest, 7, SIZE_MAX))));
}

/* Unpacks the layers of one image whose blobs are files of the archive. */
static int
layers_unpack(struct import *m, const struct image_config *c, const char *const *files,
	const enum image_compression *compression, size_t n, struct found *out, struct err *e)
{
	struct str *chains = layer_chain_ids(m->a, c->diff_ids, n);
	struct str *below = ARENA_ARRAY(m->a, struct str, n);

	out->bytes = ARENA_ARRAY(m->a, uint64_t, n);
	if (!chains || !below || !out->bytes)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	for (size_t i = 0; i < n; i++) {
		_cleanup_fd_ int blob = fs_open_in(m->dir, files[i], O_RDONLY);
		struct layer_unpack u = {.data_dir = m->s->dir,
			.blob = blob,
			.compression = compression[i],
			.diff_id = c->diff_ids[i],
			.chain = chains[i],
			.below = below,
			.n_below = i};
		int rc = 0;

		if (blob < 0)
			return err_errno(e, -errno, "image archive: '%s'", files[i]);
		for (size_t k = 0; k < i; k++)
			below[k] = chains[i - 1 - k];
		rc = layer_unpack_run(&u, &out->bytes[i], e);
		if (rc)
			return rc;
	}
	out->n.layers = chains;
	out->n.n_layers = n;
	return 0;
}

static int
config_check(
	struct import *m, struct str text, size_t n_layers, struct image_config *ret, struct err *e)
{
	int rc = image_config_parse(m->a, text, ret, e);

	if (!rc && ret->n_diff_ids != n_layers)
		rc = err_set(e, -EBADMSG, R_INVALID, "image archive: wrong number of layers");
	return rc;
}

static void
name_add(struct import *m, struct found *f, struct str name)
{
	struct str norm = STR_NONE;
	struct str *list = NULL;

	if (!name.n || runtime_image_ref_normalize(m->a, name, &norm, NULL))
		return;
	list = ARENA_ARRAY(m->a, struct str, f->n.n_names + 1);
	if (!list)
		return;
	for (size_t i = 0; i < f->n.n_names; i++)
		list[i] = f->n.names[i];
	list[f->n.n_names++] = norm;
	f->n.names = list;
}

static int
oci_image(struct import *m, struct str digest, struct str name, struct err *e)
{
	struct str text = STR_NONE;
	struct image_manifest im = {0};
	struct image_config cfg = {0};
	struct found *f = NULL;
	const char **files = NULL;
	enum image_compression *comp = NULL;
	struct str top = digest;
	int rc = 0;

	for (int depth = 0;; depth++) {
		rc = file_read(m, blob_path(m, digest), IMAGE_MANIFEST_MAX, digest, &text, e);
		if (!rc)
			rc = image_manifest_parse(m->a, text, STR_NONE, image_arch(), &im, e);
		if (rc)
			return rc;
		if (!im.is_index)
			break;
		if (depth)
			return err_set(e, -EBADMSG, R_INVALID, "image archive: index in an index");
		digest = im.chosen.digest;
	}
	rc = file_read(
		m, blob_path(m, im.config.digest), IMAGE_CONFIG_MAX, im.config.digest, &text, e);
	if (!rc)
		rc = config_check(m, text, im.n_layers, &cfg, e);
	if (rc)
		return rc;
	files = ARENA_ARRAY(m->a, const char *, im.n_layers);
	comp = ARENA_ARRAY(m->a, enum image_compression, im.n_layers);
	f = m->n_images < MAX_IMAGES ? ARENA_PUSH(m->a, m->images, m->n_images) : NULL;
	if (!files || !comp || !f)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	for (size_t i = 0; i < im.n_layers; i++) {
		files[i] = blob_path(m, im.layers[i].digest);
		comp[i] = im.layers[i].compression;
	}
	*f = (struct found){.n = {.id = im.config.digest, .config_text = text}};
	name_add(m, f, name);
	if (f->n.n_names) {
		struct str *d = ARENA_NEW(m->a, struct str);
		struct image_ref r = {0};

		if (d && image_ref_parse(m->a, f->n.names[0], &r, NULL) == 0) {
			*d = arena_cat(
				m->a, (struct str[]){image_ref_name(m->a, &r), STR("@"), top}, 3);
			f->n.digests = d;
			f->n.n_digests = 1;
		}
	}
	return layers_unpack(m, &cfg, files, comp, im.n_layers, f, e);
}

static int
oci_layout(struct import *m, struct str index, struct err *e)
{
	struct doc *d = NULL;
	int rc = doc_parse_json(m->a, index, NULL, &d, e);

	if (rc) {
		err_wrap(e, "image archive: index.json");
		return rc;
	}
	DOC_EACH (item, doc_get(d, STR("manifests"))) {
		const struct doc *notes = doc_get(item, STR("annotations"));
		struct str name = doc_get_str(notes, STR("io.containerd.image.name"));
		struct str digest = doc_get_str(item, STR("digest"));

		if (!name.n)
			name = doc_get_str(notes, STR("org.opencontainers.image.ref.name"));
		if (!image_digest_ok(digest))
			return err_set(e, -EBADMSG, R_INVALID, "image archive: index.json: digest");
		rc = oci_image(m, digest, name, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int
docker_image(struct import *m, const struct doc *d, struct err *e)
{
	const struct doc *layers = doc_get(d, STR("Layers"));
	size_t n = doc_len(layers);
	const char **files = NULL;
	enum image_compression *comp = NULL;
	struct found *f = NULL;
	struct str text = STR_NONE;
	struct image_config cfg = {0};
	struct buf id;
	uint8_t sum[32];
	size_t i = 0;
	int rc = 0;

	if (n > IMAGE_MAX_LAYERS || m->n_images >= MAX_IMAGES)
		return err_set(e, -EBADMSG, R_INVALID, "image archive: too many layers");
	rc = file_read(m, arena_cstr(m->a, doc_get_str(d, STR("Config"))), IMAGE_CONFIG_MAX,
		STR_NONE, &text, e);
	if (!rc)
		rc = config_check(m, text, n, &cfg, e);
	if (rc)
		return rc;
	files = ARENA_ARRAY(m->a, const char *, n);
	comp = ARENA_ARRAY(m->a, enum image_compression, n);
	f = ARENA_PUSH(m->a, m->images, m->n_images);
	if (!files || !comp || !f)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	DOC_EACH (item, layers) {
		files[i] = arena_cstr(m->a, doc_as_str(item));
		comp[i++] = IMAGE_PLAIN;
	}
	sha256_of(text, sum);
	buf_init_arena(&id, m->a);
	buf_cstr(&id, "sha256:");
	hex_encode(&id, str_from((char *)sum, sizeof(sum)));
	*f = (struct found){.n = {.id = buf_view(&id), .config_text = text}};
	DOC_EACH (item, doc_get(d, STR("RepoTags")))
		name_add(m, f, doc_as_str(item));
	return layers_unpack(m, &cfg, files, comp, n, f, e);
}

static void
import_work(void *arg)
{
	struct import *m = arg;
	struct str text = STR_NONE;
	struct doc *d = NULL;
	int rc = 0;

	snprintf(m->tmp, sizeof(m->tmp), "tmp/import-%016llx", (unsigned long long)rand_u64());
	if (mkdirat(m->s->dir, m->tmp, 0700)) {
		err_errno(&m->err, -errno, "making a folder for the archive");
		return;
	}
	m->dir = openat(m->s->dir, m->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = m->dir < 0 ? err_errno(&m->err, -errno, "opening the archive's folder")
			: archive_unpack(m, &m->err);
	if (!rc && file_read(m, "index.json", IMAGE_MANIFEST_MAX, STR_NONE, &text, NULL) == 0) {
		rc = oci_layout(m, text, &m->err);
	} else if (!rc) {
		rc = file_read(m, "manifest.json", IMAGE_MANIFEST_MAX, STR_NONE, &text, &m->err);
		if (!rc)
			rc = doc_parse_json(m->a, text, NULL, &d, &m->err);
		DOC_EACH (item, d) {
			if (!rc)
				rc = docker_image(m, item, &m->err);
		}
	}
	if (!rc && m->n_images == 0)
		err_set(&m->err, -ENOENT, R_NOT_FOUND, "image archive '%s' holds no image",
			m->path);
	cleanup_fd(&m->dir);
	fs_remove_tree(m->s->dir, m->tmp);
}

/* ---- loop ---- */

static void add_next(struct import *m);

static void
added(void *arg, const struct err *e)
{
	struct import *m = arg;

	if (e)
		m->err = *e;
	add_next(m);
}

static void
holds(struct import *m, const struct found *f, bool take)
{
	for (size_t i = 0; i < f->n.n_layers; i++) {
		struct image_layer *l = image_layer_ensure(m->s, f->n.layers[i]);

		if (!l)
			continue;
		l->holds = take ? l->holds + 1 : l->holds - (l->holds > 0);
		if (take && f->bytes[i])
			l->bytes = f->bytes[i];
	}
}

static void
add_next(struct import *m)
{
	struct str id = STR_NONE;
	const struct image *i = NULL;

	if (!m->err.code && m->at < m->n_images) {
		struct found *f = &m->images[m->at++];

		holds(m, f, true);
		if (image_store_add(m->s, &f->n, added, m) == 0)
			return;
		err_set(&m->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	}
	for (size_t k = 0; k < m->at; k++)
		holds(m, &m->images[k], false);
	if (!m->err.code && m->n_images)
		id = m->images[0].n.id;
	i = id.n ? image_store_get(m->s, id) : NULL;
	if (m->err.code)
		err_wrap(&m->err, "importing '%s'", m->path);
	m->done(m->arg, id, i ? image_bytes(m->s, i) : 0, m->err.code ? &m->err : NULL);
	arena_free(m->a);
}

static void
import_done(void *arg)
{
	struct import *m = arg;

	if (image_store_idle(m->s))
		add_next(m);
	else
		arena_free(m->a);
}

int
image_import_start(struct image_store *s, struct str path, image_pulled_fn *done, void *arg)
{
	struct arena *a = arena_new(256u << 20);
	struct import *m = a ? ARENA_NEW(a, struct import) : NULL;

	if (m) {
		*m = (struct import){.s = s,
			.a = a,
			.path = arena_cstr(a, path),
			.done = done,
			.arg = arg,
			.dir = -1};
		if (m->path && loop_blocking(s->loop, import_work, import_done, m) == 0) {
			s->busy++;
			return 0;
		}
	}
	arena_free(a);
	return -ENOMEM;
}
