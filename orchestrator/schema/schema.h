/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema: the kinds as data, and everything that comes from their tables. Front door of the folder: it
 * includes the parts below, so that others include only this.
 *
 *   schema.h           types, fields, kinds, lookup
 *   schema_object.h    decode, prune, default, validate, order; structs
 *   schema_errors.h    causes of a 422 and how they are worded
 *   schema_value.h     quantities, int-or-string, names and their formats
 *   schema_select.h    label and field selectors, attributes of stored values
 *   schema_patch.h     JSON patch, JSON merge patch, strategic merge patch
 *   cron.h             schedules of CronJobs
 *   schema_structural.h  schemas of custom resources
 *   schema_table.h     the columns of `kubectl get`
 *   schema_publish.h   discovery documents and OpenAPI
 *
 * Flow: the kind files (kinds/ *.schema) are compiled on the build host (compile/) into const tables and C
 * structs (gen/kinds/<group>_<version>.h). A body becomes a document: schema_decode (syntax, strict
 * checks, types, pruning) -> schema_default -> kinds' own code -> schema_validate -> schema_order
 * (members in declared order, zero values written or dropped) -> doc_write_json = the canonical body.
 * Controllers read schema_to_struct and write schema_from_struct.
 *
 * Invariants: tables are const and shared by all threads; a custom resource becomes the same tables at
 * run time, so every function takes the schema, kind or type it works on, never a global. All functions
 * are total over their input and never block; failures are in the arena's flag or in the result.
 * Sources: architecture.md section 5; k8s.io/apimachinery (behaviour); wire formats of Kubernetes 1.37. */
#ifndef ORCHESTRATOR_SCHEMA_SCHEMA_H
#define ORCHESTRATOR_SCHEMA_SCHEMA_H

#include "base/doc.h"

/* ---- values as C structs see them ---- */
struct str_pair { /* map<string,string>, map<string,Quantity>, map<string,bytes> */
	struct str key, value;
};
struct str_list_pair { /* map<string, list<string>> */
	struct str key;
	struct str *values;
	size_t n_values;
};
struct i64_pair { /* map<string,Time> */
	struct str key;
	int64_t value;
};
struct doc_pair { /* maps of free values */
	struct str key;
	struct doc *value;
};
struct int_or_str {
	bool has;    /* false: absent */
	bool is_str; /* s counts, else i */
	int32_t i;
	struct str s;
};

/* ---- tables ---- */
enum schema_form {
	SCHEMA_STRING,
	SCHEMA_BOOL,
	SCHEMA_INT32,
	SCHEMA_INT64,
	SCHEMA_DOUBLE,
	SCHEMA_BYTES,     /* base64 in JSON, decoded in structs */
	SCHEMA_QUANTITY,  /* canonical text */
	SCHEMA_TIME,      /* "2026-01-02T03:04:05Z"; int64 wall ns in structs, 0 = absent */
	SCHEMA_MICROTIME, /* the same with 6 digits */
	SCHEMA_DURATION,  /* Go duration text; int64 ns in structs */
	SCHEMA_INTSTR,
	SCHEMA_ANY,    /* any JSON value; protobuf: a message holding JSON text */
	SCHEMA_OBJECT, /* any JSON object (RawExtension, FieldsV1) */
	SCHEMA_STRUCT,
	SCHEMA_OR_BOOL,    /* an object of `type` or a bool (CRD schemas) */
	SCHEMA_OR_LIST,    /* an object of `type` or a list of them */
	SCHEMA_OR_STRINGS, /* an object of `type` or a list of strings */
	SCHEMA_FORM__COUNT
};
enum schema_shape { SCHEMA_ONE, SCHEMA_LIST, SCHEMA_MAP, SCHEMA_MAP_OF_LISTS };
enum schema_emit {
	SCHEMA_OMITEMPTY, /* zero values are dropped; structs without pointer are always written */
	SCHEMA_ALWAYS,    /* zero values are written: "", 0, false, null for lists and maps */
	SCHEMA_OMITZERO,  /* as OMITEMPTY, and a struct without members is dropped */
};
enum schema_field_flags {
	SCHEMA_PTR = 1 << 0,       /* absent and zero differ */
	SCHEMA_REQUIRED = 1 << 1,  /* in OpenAPI's `required` */
	SCHEMA_NEEDED = 1 << 2,    /* validation: absent or empty is "Required value" */
	SCHEMA_IMMUTABLE = 1 << 3, /* validation: may not change on update */
	SCHEMA_OFF = 1 << 4,     /* behind a feature gate that is off: dropped by schema_default */
	SCHEMA_WRAPPED = 1 << 5, /* protobuf wraps the list in a message {1: items} */
	SCHEMA_INLINED = 1 << 6, /* stands in a nested message in protobuf (schema_type.inlines) */
	SCHEMA_OPEN_ENUM = 1 << 7,    /* known values of an open set */
	SCHEMA_CHECKED_ENUM = 1 << 8, /* validation: other values are "Unsupported value" */
	SCHEMA_EMBEDDED = 1 << 9,     /* struct: held in place rather than by pointer */
	SCHEMA_UNCHECKED = 1 << 10,   /* validation does not look into it */
	SCHEMA_UNHELD = 1 << 11,      /* structs made of documents leave it empty */
};
enum schema_list { SCHEMA_LIST_PLAIN, SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };
enum schema_patch_strategy {
	SCHEMA_PATCH_MERGE = 1 << 0,
	SCHEMA_PATCH_RETAIN_KEYS = 1 << 1,
	SCHEMA_PATCH_REPLACE = 1 << 2
};

/* What only some fields have. */
struct schema_rules {
	const char *dflt; /* JSON text; applied where the field is absent (zero if no PTR) */
	const char *const *enums;     /* NULL-terminated */
	const char *merge_key;        /* strategic merge patch: NULL = none */
	const char *const *list_keys; /* SCHEMA_LIST_MAP: NULL-terminated */
	uint8_t patch;                /* SCHEMA_PATCH_* */
	uint8_t list;                 /* enum schema_list */
	bool map_atomic;              /* maps and structs: x-kubernetes-map-type atomic */
	bool map_granular;            /* the same, granular: though the type is atomic */
	bool has_min, has_max;
	uint8_t format;                 /* enum schema_format (schema_value.h); 0 = none */
	int64_t min, max;               /* numbers */
	uint32_t max_items, max_length; /* 0 = no limit */
};

struct schema_type;
struct schema_spot;
struct structural; /* schema_structural.h */
struct schema_field {
	const char *name;                 /* JSON name, NUL, a line of description, NUL */
	const struct schema_type *type;   /* STRUCT and OR_* forms */
	const struct schema_rules *rules; /* NULL = none */
	uint8_t name_len;
	uint8_t form, shape, emit;
	uint16_t flags;
	uint16_t number; /* protobuf; 0 = none here (see SCHEMA_INLINED) */
	uint16_t offset; /* in the C struct */
	uint16_t aux;    /* offset of has_x or n_x; 0 = none */
};
struct schema_inline {
	uint16_t number;
	const struct schema_type *type; /* its fields are also fields of the outer type */
};
struct schema_type {
	const char *name;            /* "DeploymentSpec" */
	const char *group, *version; /* "apps", "v1"; core: ""; package types: "meta" */
	const char *description;
	const struct schema_field *fields; /* declared order = order of JSON members */
	const uint16_t *by_name;           /* indices sorted by name (byte order) */
	const uint16_t *by_number;         /* indices of numbered fields sorted by number */
	const struct schema_inline *inlines;
	uint16_t n_fields, n_numbers, n_inlines;
	uint16_t size; /* of the C struct; 0 = none (run-time types) */
	/* defaults that `= value` cannot say: after the type's own, before those of its members */
	void (*hook)(struct arena *a, struct doc *d);
	/* validation beyond the rules of the fields; old: what stood in its place, NULL = nothing */
	void (*check)(const struct schema_spot *s, const struct doc *d, const struct doc *old);
	bool map_atomic;
	bool defaults;         /* something below it has a default: schema_default must walk it */
	bool preserve_unknown; /* run-time types: unknown members stay */
	/* custom resources: all but apiVersion, kind and metadata is as this says */
	const struct structural *structural;
	bool root; /* has kind and apiVersion */
};

enum schema_verb { /* bits */
	SCHEMA_GET = 1 << 0,
	SCHEMA_LIST_VERB = 1 << 1,
	SCHEMA_WATCH = 1 << 2,
	SCHEMA_CREATE = 1 << 3,
	SCHEMA_UPDATE = 1 << 4,
	SCHEMA_PATCH = 1 << 5,
	SCHEMA_DELETE = 1 << 6,
	SCHEMA_DELETECOLLECTION = 1 << 7,
};
struct schema_subresource {
	const char *name;                   /* "scale" */
	const char *group, *version, *kind; /* of its bodies: "autoscaling", "v1", "Scale" */
	const struct schema_type *type;
	uint32_t verbs;
};
struct schema_column {
	const char *name, *type, *format, *description;
	uint8_t priority;
	const char *cell; /* expression or "@function": see schema_table.h */
};
struct schema_selectable {
	const char *label; /* as clients write it */
	const char *path;  /* member path, or "@function"; an alias has the path of what it means */
	const char
		*attr; /* name under which the value is indexed; the label itself but for aliases */
};
enum schema_kind_flags {
	SCHEMA_KIND_SERVED = 1 << 0, /* in discovery and routes */
	SCHEMA_KIND_STORED = 1 << 1, /* has objects in the store (not a review, not a binding) */
	SCHEMA_KIND_STATUS_RESET = 1 << 2, /* status is dropped on create */
	SCHEMA_KIND_GENERATION = 1 << 3,   /* generation is 1 on create */
	SCHEMA_KIND_CREATE_ON_UPDATE = 1 << 4,
	SCHEMA_KIND_NO_UNCONDITIONAL = 1 << 5,  /* an update needs a resourceVersion */
	SCHEMA_KIND_STATUS_ALONE = 1 << 8,      /* a write of status leaves metadata alone */
	SCHEMA_KIND_GENERATION_RAISED = 1 << 6, /* generation is raised when spec changes */
};
struct schema_kind {
	const char *group, *version; /* "" = core */
	const char *kind, *list_kind, *plural, *singular;
	const char *const *short_names; /* NULL-terminated */
	const char *const *categories;  /* NULL-terminated */
	const char *storage_hash;       /* storageVersionHash; "" = none */
	const char *storage_group;   /* where its objects live when not here: events.k8s.io -> "" */
	const char *storage_version; /* in which form: autoscaling/v1 -> "v2"; NULL = its own */
	const struct schema_type *type;
	const struct schema_subresource *subs;
	const struct schema_column *columns; /* none: Name and Created At (custom: Name, Age) */
	const struct schema_selectable *selectables;
	uint16_t n_subs, n_columns, n_selectables;
	uint16_t flags;
	uint32_t verbs;
	uint8_t name_format; /* enum schema_format for metadata.name */
	bool namespaced;
	bool custom; /* made at run time from a CustomResourceDefinition */
};
struct schema_group_version {
	const char *group, *version;
};

/* A set of kinds: the built-in one, or that plus custom ones (immutable snapshots). */
struct schema {
	const struct schema_kind *const *kinds; /* ordered by group, version, kind */
	size_t n_kinds;
	const struct schema_type *const *types; /* ordered by group, version, name */
	size_t n_types;
	const struct schema_group_version *groups; /* in the order of /apis; core first */
	size_t n_groups;
};
/* schema_builtin: static. */
const struct schema *schema_builtin(void);
/* schema_extend: base plus further kinds (borrowed, like base, for the life of the result). arena. */
const struct schema *schema_extend(struct arena *a, const struct schema *base,
	const struct schema_kind *const *kinds, size_t n);

/* ---- lookup: NULL = unknown. group "" = core. O(log n) ---- */
const struct schema_kind *schema_kind_find(
	const struct schema *s, struct str group, struct str version, struct str kind);
/* schema_resource_find: by plural; version "" = the preferred one. */
const struct schema_kind *schema_resource_find(
	const struct schema *s, struct str group, struct str version, struct str plural);
/* schema_resource_any: by plural, singular, short name or kind, in any group (command lines). */
const struct schema_kind *schema_resource_any(const struct schema *s, struct str name);
/* schema_type_find: group "meta", version "v1", name "Status". */
const struct schema_type *schema_type_find(
	const struct schema *s, struct str group, struct str version, struct str name);
const struct schema_subresource *schema_subresource_find(
	const struct schema_kind *k, struct str name);
const struct schema_field *schema_field_find(const struct schema_type *t, struct str name);
const struct schema_field *schema_field_by_number(const struct schema_type *t, uint32_t number);
/* schema_field_at: follows "spec.template.spec" (through lists and maps too). */
const struct schema_field *schema_field_at(const struct schema_type *t, struct str path);
/* schema_version_compare: < 0: a is preferred: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name. */
int schema_version_compare(struct str a, struct str b);
static inline struct str
schema_field_name(const struct schema_field *f)
{
	return (struct str){f->name, f->name_len};
}
static inline const char *
schema_field_description(const struct schema_field *f)
{
	return f->name + f->name_len + 1;
}
/* schema_api_version: "apps/v1", "v1". arena. schema_api_version_split: group and version of it. */
struct str schema_api_version(struct arena *a, const char *group, const char *version);
void schema_api_version_split(
	struct str api_version, struct str *ret_group, struct str *ret_version);

#include "orchestrator/schema/cron.h"
#include "orchestrator/schema/schema_errors.h"
#include "orchestrator/schema/schema_value.h"

#include "orchestrator/schema/schema_object.h"
#include "orchestrator/schema/schema_patch.h"
#include "orchestrator/schema/schema_publish.h"
#include "orchestrator/schema/schema_select.h"
#include "orchestrator/schema/schema_structural.h"
#include "orchestrator/schema/schema_table.h"

#endif
