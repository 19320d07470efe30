/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * decode: a body in one of the three encodings -> a conformed document.
 * Source: k8s.io/apimachinery runtime/serializer (what is asked of a body, and in which order). */
#include "orchestrator/schema/schema_int.h"

static int
parse(struct arena *a, struct str body, enum schema_media media, struct doc **ret, struct err *e)
{
	struct doc_limits lim = {0};
	int r = 0;

	if (media == SCHEMA_JSON)
		return doc_parse_json(a, body, &lim, ret, e);
	r = doc_parse_yaml(a, &body, &lim, ret, e);
	return r;
}

int
schema_decode(struct arena *a, const struct schema_type *t, struct str body,
	enum schema_media media, struct doc **ret, struct schema_strict *strict, struct err *e)
{
	struct str version = STR_NONE, kind = STR_NONE, raw = STR_NONE;
	struct doc *d = NULL;
	int r = 0;

	if (body.n == 0)
		return err_set(e, -ENODATA, R_BAD_REQUEST, "EOF");
	if (media == SCHEMA_PROTOBUF) {
		r = schema_proto_envelope(body, &version, &kind, &raw, e);
		if (r == 0)
			r = schema_proto_parse(a, t, raw, &d, e);
	} else {
		r = parse(a, body, media, &d, e);
	}
	if (r != 0)
		return r;
	if (d == NULL || d->type == DOC_NULL) { /* "null" decodes to an empty object in Go */
		d = doc_map(a);
		if (d == NULL)
			return -ENOMEM;
	}
	if (version.n)
		doc_set_str(a, d, STR("apiVersion"), version);
	if (kind.n)
		doc_set_str(a, d, STR("kind"), kind);
	r = schema_conform(a, t, d, strict, e);
	if (r == 0)
		*ret = d;
	return r;
}

int
schema_decode_gvk(struct arena *a, struct str body, enum schema_media media,
	struct str *ret_api_version, struct str *ret_kind, struct err *e)
{
	struct str raw = STR_NONE;
	struct doc *d = NULL;
	int r = 0;

	if (media == SCHEMA_PROTOBUF)
		return schema_proto_envelope(body, ret_api_version, ret_kind, &raw, e);
	r = parse(a, body, media, &d, e);
	if (r != 0)
		return r;
	*ret_api_version = doc_get_str(d, STR("apiVersion"));
	*ret_kind = doc_get_str(d, STR("kind"));
	return 0;
}
