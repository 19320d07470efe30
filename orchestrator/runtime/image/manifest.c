/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * manifest: see manifest.h. */
#include "orchestrator/runtime/image/manifest.h"

#include <errno.h>

#include "base/doc.h"
#include "orchestrator/runtime/image/ref.h"

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

const char image_manifest_accept[] = OCI "index.v1+json, " OCI "manifest.v1+json, " DOCKER
					 "distribution.manifest.list.v2+json, " DOCKER
					 "distribution.manifest.v2+json";

enum kind { KIND_UNKNOWN, KIND_INDEX, KIND_MANIFEST, KIND_SCHEMA1 };

static const struct {
	const char *type;
	enum kind kind;
} kinds[] = {
	{OCI "index.v1+json", KIND_INDEX},
	{OCI "manifest.v1+json", KIND_MANIFEST},
	{DOCKER "distribution.manifest.list.v2+json", KIND_INDEX},
	{DOCKER "distribution.manifest.v2+json", KIND_MANIFEST},
	{DOCKER "distribution.manifest.v1+json", KIND_SCHEMA1},
	{DOCKER "distribution.manifest.v1+prettyjws", KIND_SCHEMA1},
};

static const struct {
	const char *type;
	enum image_compression compression;
} layer_types[] = {
	{OCI "layer.v1.tar", IMAGE_PLAIN},
	{OCI "layer.v1.tar+gzip", IMAGE_GZIP},
	{OCI "layer.v1.tar+zstd", IMAGE_ZSTD},
	{OCI "layer.nondistributable.v1.tar", IMAGE_PLAIN},
	{OCI "layer.nondistributable.v1.tar+gzip", IMAGE_GZIP},
	{OCI "layer.nondistributable.v1.tar+zstd", IMAGE_ZSTD},
	{DOCKER "image.rootfs.diff.tar", IMAGE_PLAIN},
	{DOCKER "image.rootfs.diff.tar.gzip", IMAGE_GZIP},
	{DOCKER "image.rootfs.diff.tar.zstd", IMAGE_ZSTD},
	{DOCKER "image.rootfs.foreign.diff.tar.gzip", IMAGE_GZIP},
};

struct str
image_arch(void)
{
#if defined(__x86_64__)
	return STR("amd64");
#elif defined(__aarch64__)
	return STR("arm64");
#else
#error "name of this architecture in image indexes"
#endif
}

static enum kind
kind_of(struct str type)
{
	struct str t = type;
	struct str params = STR_NONE;

	str_cut(type, ';', &t, &params);
	t = str_trim(t);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_eq_nocase(t, str_c(kinds[i].type)))
			return kinds[i].kind;
	return KIND_UNKNOWN;
}

static int
malformed(struct err *e, const char *what)
{
	return err_set(e, -EINVAL, R_INVALID, "malformed image manifest: %s", what);
}

static int
desc_parse(const struct doc *d, struct image_desc *ret, struct err *e)
{
	struct str digest = doc_get_str(d, STR("digest"));
	int64_t size = doc_get_int(d, STR("size"), -1);

	if (!image_digest_ok(digest))
		return malformed(e, "digest");
	if (size < 0 || (uint64_t)size > IMAGE_BLOB_MAX)
		return malformed(e, "size");
	ret->digest = digest;
	ret->size = (uint64_t)size;
	ret->compression = IMAGE_PLAIN;
	return 0;
}

static int
layer_parse(const struct doc *d, struct image_desc *ret, struct err *e)
{
	struct str type = doc_get_str(d, STR("mediaType"));
	int rc = desc_parse(d, ret, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(layer_types); i++) {
		if (str_eq_c(type, layer_types[i].type)) {
			ret->compression = layer_types[i].compression;
			return 0;
		}
	}
	return err_set(e, -EPROTONOSUPPORT, R_INVALID, "unsupported layer type '" STR_FMT "'",
		STR_ARG(type));
}

/* The first linux entry of this architecture; on amd64 an entry of variant v2 or above (wants a newer processor) is not taken. */
static int
index_choose(const struct doc *d, struct str arch, struct image_manifest *ret, struct err *e)
{
	const struct doc *list = doc_get(d, STR("manifests"));

	if (!list || list->type != DOC_LIST)
		return malformed(e, "an index without manifests");
	DOC_EACH (item, list) {
		const struct doc *p = doc_get(item, STR("platform"));
		struct str variant = doc_get_str(p, STR("variant"));

		if (!str_eq(doc_get_str(p, STR("os")), STR("linux")) ||
			!str_eq(doc_get_str(p, STR("architecture")), arch))
			continue;
		if (str_eq(arch, STR("amd64")) && variant.n && !str_eq(variant, STR("v1")))
			continue;
		return desc_parse(item, &ret->chosen, e);
	}
	return err_set(e, -ENOENT, R_NOT_FOUND,
		"no match for platform linux/" STR_FMT " in manifest: not found", STR_ARG(arch));
}

int
image_manifest_parse(struct arena *a, struct str text, struct str content_type, struct str arch,
	struct image_manifest *ret, struct err *e)
{
	struct image_manifest m = {0};
	struct doc *d = NULL;
	const struct doc *layers = NULL;
	enum kind kind = KIND_UNKNOWN;
	int rc = 0;

	if (text.n > IMAGE_MANIFEST_MAX)
		return malformed(e, "too large");
	rc = doc_parse_json(a, text, NULL, &d, e);
	if (rc) {
		err_wrap(e, "malformed image manifest");
		return rc;
	}
	kind = kind_of(doc_get_str(d, STR("mediaType")));
	if (kind == KIND_UNKNOWN)
		kind = kind_of(content_type);
	if (kind == KIND_UNKNOWN && doc_get_int(d, STR("schemaVersion"), 0) == 2)
		kind = doc_get(d, STR("manifests")) ? KIND_INDEX : KIND_MANIFEST;
	if (kind == KIND_UNKNOWN || kind == KIND_SCHEMA1)
		return err_set(e, -EPROTONOSUPPORT, R_INVALID,
			"unsupported image manifest (Docker schema 1 or unknown media type)");
	if (kind == KIND_INDEX) {
		m.is_index = true;
		rc = index_choose(d, arch, &m, e);
		if (!rc)
			*ret = m;
		return rc;
	}
	rc = desc_parse(doc_get(d, STR("config")), &m.config, e);
	if (rc)
		return rc;
	if (m.config.size > IMAGE_CONFIG_MAX)
		return malformed(e, "configuration too large");
	layers = doc_get(d, STR("layers"));
	if (doc_len(layers) > IMAGE_MAX_LAYERS)
		return malformed(e, "too many layers");
	DOC_EACH (item, layers) {
		struct image_desc *l = ARENA_PUSH(a, m.layers, m.n_layers);

		if (!l)
			return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		rc = layer_parse(item, l, e);
		if (rc)
			return rc;
	}
	*ret = m;
	return 0;
}

static int
strings(struct arena *a, const struct doc *list, struct str **ret, size_t *ret_n)
{
	DOC_EACH (item, list) {
		struct str *s = ARENA_PUSH(a, *ret, *ret_n);

		if (!s)
			return -ENOMEM;
		*s = list->type == DOC_MAP ? item->key : doc_as_str(item);
		if (!str_is_set(*s))
			*s = STR("");
	}
	return 0;
}

int
image_config_parse(struct arena *a, struct str text, struct image_config *ret, struct err *e)
{
	struct image_config c = {0};
	struct doc *d = NULL;
	const struct doc *cfg = NULL;
	int rc = 0;

	if (text.n > IMAGE_CONFIG_MAX)
		return malformed(e, "configuration too large");
	rc = doc_parse_json(a, text, NULL, &d, e);
	if (rc) {
		err_wrap(e, "malformed image configuration");
		return rc;
	}
	cfg = doc_get(d, STR("config"));
	c.architecture = doc_get_str(d, STR("architecture"));
	c.os = doc_get_str(d, STR("os"));
	c.user = doc_get_str(cfg, STR("User"));
	c.workdir = doc_get_str(cfg, STR("WorkingDir"));
	c.stop_signal = doc_get_str(cfg, STR("StopSignal"));
	if (strings(a, doc_get(cfg, STR("Env")), &c.env, &c.n_env) ||
		strings(a, doc_get(cfg, STR("Entrypoint")), &c.entrypoint, &c.n_entrypoint) ||
		strings(a, doc_get(cfg, STR("Cmd")), &c.cmd, &c.n_cmd) ||
		strings(a, doc_get(cfg, STR("Volumes")), &c.volumes, &c.n_volumes) ||
		strings(a, doc_at(d, "rootfs.diff_ids"), &c.diff_ids, &c.n_diff_ids))
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	if (c.n_diff_ids > IMAGE_MAX_LAYERS)
		return malformed(e, "too many layers");
	for (size_t i = 0; i < c.n_diff_ids; i++)
		if (!image_digest_ok(c.diff_ids[i]))
			return malformed(e, "diff id");
	*ret = c;
	return 0;
}
