/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_object: bodies to documents, documents to structs, and back, by the tables. Part of schema.h.
 *
 * Source: k8s.io/apimachinery runtime/serializer/json (strict decoding), sigs.k8s.io/json (case-sensitive,
 * texts of type errors), encoding/json (what is written), protobuf wire format with gogo's inlining. */
#ifndef ORCHESTRATOR_SCHEMA_OBJECT_H
#define ORCHESTRATOR_SCHEMA_OBJECT_H

#include "orchestrator/schema/schema.h"

enum schema_media { SCHEMA_JSON, SCHEMA_YAML, SCHEMA_PROTOBUF };

/* What strict checking found: texts `unknown field "spec.foo"`, `duplicate field "spec.bar"`, in order of
 * appearance, at most 100. For fieldValidation=Strict the message is
 * "strict decoding error: " + the texts joined by ", "; for Warn each is a warning of its own. */
struct schema_strict {
	struct str *texts; /* arena */
	size_t n;
};
/* schema_strict_join: the message for Strict. arena. */
struct str schema_strict_join(struct arena *a, const struct schema_strict *st);

/* schema_decode: body -> document of type t: syntax, then schema_conform. The tree borrows body.
 * strict may be NULL (not asked for). Kind and apiVersion stay as sent: see schema_decode_gvk.
 * An empty body is -ENODATA. Errors: -EINVAL (e: R_BAD_REQUEST and Go's text of the syntax or type
 * error, without "Pod in version ... cannot be handled as a Pod: " in front), -E2BIG, -ENOMEM. */
int schema_decode(struct arena *a, const struct schema_type *t, struct str body,
	enum schema_media media, struct doc **ret, struct schema_strict *strict, struct err *e);
/* schema_decode_gvk: apiVersion and kind a body names, without decoding the rest; STR_NONE = not named.
 * Protobuf: of the envelope. JSON and YAML: of the top level. 0 or -EINVAL (e). */
int schema_decode_gvk(struct arena *a, struct str body, enum schema_media media,
	struct str *ret_api_version, struct str *ret_kind, struct err *e);
/* schema_proto_parse: the message `raw` (without envelope) of type t -> document, in declared order,
 * zero values of optional fields dropped. schema_proto_envelope: "k8s\0" + Unknown; raw borrows body. */
int schema_proto_parse(struct arena *a, const struct schema_type *t, struct str raw,
	struct doc **ret, struct err *e);
int schema_proto_envelope(struct str body, struct str *ret_api_version, struct str *ret_kind,
	struct str *ret_raw, struct err *e);
/* schema_is_proto: body begins with the envelope's magic. */
bool schema_is_proto(struct str body);

/* schema_conform: makes d what decoding it into Go's type and encoding it again would give: unknown
 * and duplicate members go (named in strict), null members of scalars go, wrong types are errors,
 * quantities, times and base64 become canonical. Members stay where they are (see schema_order).
 * preserve_unknown keeps unknown members (reading an object of a newer schema).
 * Errors: -EINVAL (e: "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas
 * of type int32" and alike), -ENOMEM. */
int schema_conform(struct arena *a, const struct schema_type *t, struct doc *d,
	struct schema_strict *strict, struct err *e);
/* schema_prune: removes members the type does not know; counts them. */
size_t schema_prune(const struct schema_type *t, struct doc *d);

/* schema_dedupe: of members of one name the last stays, everywhere below d, whatever its type (patches);
 * strict may be NULL. 0 or -ENOMEM. */
int schema_dedupe(struct arena *a, struct doc *d, struct schema_strict *strict);

/* schema_default: every default of every type met below d (templates too): `= value` of the kind files,
 * then the hook of the type. Idempotent. Fields behind gates that are off are dropped.
 * Defaults that hold on create only are the kinds' business. 0 or -ENOMEM. */
int schema_default(struct arena *a, const struct schema_type *t, struct doc *d);
/* schema_default_sent: the same, but fields behind gates that are off stay: who set them counts as their owner
 * before they go. */
int schema_default_sent(struct arena *a, const struct schema_type *t, struct doc *d);
/* A type marked `hook` in its kind file has a function schema_hook_<struct name>(a, d) for what `= value`
 * cannot say (defaults_*.c): d is a DOC_MAP of that type whose own `= value` defaults are applied;
 * those of its members come afterwards. */

/* schema_order: canonical form: members in declared order, maps sorted by key, zero values written or
 * dropped by the emit rules; kind and apiVersion first. In place. 0 or -ENOMEM. */
int schema_order(struct arena *a, const struct schema_type *t, struct doc *d);
/* schema_write: schema_order on d, then compact JSON as Go writes it, HTML characters escaped as Go
 * does for wire bodies. body: without kind and apiVersion (stored form) when `stored`; *ret_rv_offset (may be
 * NULL) is where the text of metadata.resourceVersion stands or, when it has none, where it must
 * be spliced in between quotes that are written empty. 0 or -ENOMEM. */
int schema_write(struct arena *a, const struct schema_type *t, struct doc *d, bool stored,
	struct buf *out, uint32_t *ret_rv_offset);
/* schema_set_gvk: kind and apiVersion as first members. */
void schema_set_gvk(struct arena *a, struct doc *d, const struct schema_kind *k);

/* schema_validate: what the kind files say: needed, min, max, lengths, formats, closed sets, immutable
 * (old != NULL: update), name format, ObjectMeta rules (names, labels, annotations, owner references,
 * finalizers). Adds causes to errs; code in kinds/ adds its own (the same cause twice is kept once). */
void schema_validate(const struct schema_kind *k, const struct doc *obj, const struct doc *old,
	struct schema_errors *errs);
/* schema_validate_type: the same for a part at `path`. */
void schema_validate_type(const struct schema_type *t, const struct doc *d, const struct doc *old,
	struct str path, struct schema_errors *errs);
/* schema_validate_labels / _annotations: the same rules for a map elsewhere (pod templates). */
void schema_validate_labels(const struct doc *labels, struct str path, struct schema_errors *errs);
void schema_validate_annotations(
	const struct doc *annotations, struct str path, struct schema_errors *errs);

/* ---- structs ---- */
/* schema_to_struct: d -> *out, a struct of t->size bytes (zeroed first). Everything is in a, strings are
 * slices of the tree's strings (so the text must live as long; schema_parse_struct copies nothing
 * either). Unknown members and members of the wrong type are ignored: decode first if it matters.
 * Errors: -EINVAL t has no struct, -ENOMEM. */
int schema_to_struct(struct arena *a, const struct schema_type *t, const struct doc *d, void *out);
/* schema_own_struct: the same with the strings copied into a: nothing of d is needed any more. */
int schema_own_struct(struct arena *a, const struct schema_type *t, const struct doc *d, void *out);
/* schema_parse_struct: JSON text -> struct; *ret is arena and points into text. Errors: also -EINVAL
 * syntax (e). */
int schema_parse_struct(
	struct arena *a, const struct schema_type *t, struct str json, void **ret, struct err *e);
/* schema_from_struct: *in -> a new document with the emit rules applied (canonical order); strings are
 * borrowed. NULL = arena failed. */
struct doc *schema_from_struct(struct arena *a, const struct schema_type *t, const void *in);
/* SCHEMA_TYPE_OF: the type of a generated struct: &schema_type_core_v1_pod. Declared by gen headers. */
#define SCHEMA_TYPE_OF(name) (&schema_type_##name)

#endif
