/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schema_structural: the schemas of custom resources: what spec.versions[].schema.openAPIV3Schema of a
 * CustomResourceDefinition says, as nodes that are made once and then only read. Part of schema.h.
 *
 * Flow: structural_compile when the definition is served -> schema_type.structural of the kind's type, from which
 * schema_conform (prunes), schema_default, schema_validate and schema_order do for a custom resource what the
 * tables do for other kinds. metadata, kind and apiVersion are the server's: the nodes never see them at the root.
 *
 * Invariants: nodes are immutable and may be read by any thread; they live in the arena they were made in. Walks
 * stop at SCHEMA_MAX_WALK levels. Rules in CEL (x-kubernetes-validations) are kept in `source`; what is done about them
 * is done by orchestrator/cel, which is above this folder: structural_rules.
 * Source: k8s.io/apiextensions-apiserver pkg/apiserver/schema, kube-openapi pkg/validation (texts); KEP-598. */
#ifndef ORCHESTRATOR_SCHEMA_STRUCTURAL_H
#define ORCHESTRATOR_SCHEMA_STRUCTURAL_H

#include "base/regex.h"
#include "orchestrator/schema/schema.h"

enum structural_types { /* bits */
	STRUCTURAL_STRING = 1 << 0,
	STRUCTURAL_INTEGER = 1 << 1,
	STRUCTURAL_NUMBER = 1 << 2,
	STRUCTURAL_BOOLEAN = 1 << 3,
	STRUCTURAL_ARRAY = 1 << 4,
	STRUCTURAL_OBJECT = 1 << 5,
};
enum structural_list { STRUCTURAL_LIST_ATOMIC, STRUCTURAL_LIST_SET, STRUCTURAL_LIST_MAP };

struct schema_strict;
struct schema_errors;
struct structural_format; /* structural_formats.c */
struct structural_prop {
	struct str name;
	const struct structural *node;
};
struct structural_list_of {
	const struct structural **nodes;
	size_t n;
};
/* What only nodes with conditions on values have. */
struct structural_values {
	const struct doc *enums, *required, *minimum, *maximum, *multiple_of;
	const struct doc *min_length, *max_length, *min_items, *max_items;
	const struct doc *min_properties, *max_properties;
	struct str pattern;
	const struct regex *regex;
	bool above_minimum, below_maximum; /* exclusive */
	struct structural_list_of all_of, any_of, one_of;
	const struct structural *not_;
};
struct structural {
	const struct doc *source; /* JSONSchemaProps, as stored */
	uint8_t types;            /* 0 = any */
	uint8_t list;             /* enum structural_list */
	bool nullable, preserve, embedded, int_or_string;
	bool closed;                         /* additionalProperties: false */
	bool any_additional;                 /* additionalProperties: true, or a schema */
	bool defaults;                       /* something here or below has a default */
	const struct structural_prop *props; /* ordered by name */
	size_t n_props;
	const struct structural *items, *additional;
	const struct doc *dflt;     /* NULL = none */
	const struct doc *map_keys; /* of a STRUCTURAL_LIST_MAP */
	const struct structural_format *format;
	struct str format_name;
	const struct structural_values *values; /* NULL = none */
	const void *rules; /* of the root: as structural_rules made them; NULL = none */
};

/* structural_compile: a JSONSchemaProps document (borrowed for the life of a) -> its root node. What is wrong with
 * it is left out (validation has refused it). 0, -ENOMEM, -E2BIG nested too deeply. */
int structural_compile(struct arena *a, const struct doc *schema, const struct structural **ret);
/* structural_prop_find: NULL = none of this name. */
const struct structural *structural_prop_find(const struct structural *n, struct str name);
/* structural_types_of: "string" -> its bit; 0 = unknown. */
unsigned structural_types_of(struct str name);
/* structural_format_known: a format of strings that is checked. */
bool structural_format_known(struct str name);

/* crd_is_structural: a schema of a definition is structural. crd_structure: why it is not, as causes at `path`. */
bool crd_is_structural(struct arena *a, const struct doc *schema);
void crd_structure(const struct doc *schema, struct str path, struct schema_errors *errs);

/* What is done about rules in CEL. NULL until the folder above has put itself in (cel_rules_install, before there are
 * threads): then rules are kept and nothing else.
 *   compile   all rules of a schema, when it is made (arena of the nodes); *ret NULL = it has none. 0, -ENOMEM
 *   check     the rules of a definition's schema, which is good otherwise, at `path`: as causes
 *   validate  an object; old NULL = it is new; as causes */
struct structural_rules {
	int (*compile)(struct arena *a, const struct structural *root, const void **ret);
	void (*check)(const struct structural *root, struct str path, struct schema_errors *errs);
	void (*validate)(const void *rules, const struct doc *d, const struct doc *old,
		struct schema_errors *errs);
};
extern const struct structural_rules *structural_rules;

/* structural_prune: members the schema does not know go; `strict` (may be NULL) is told of each, below `path`. root:
 * d is an object of a kind, whose metadata, kind and apiVersion stay. 0, -ENOMEM, -E2BIG. */
int structural_prune(struct arena *a, const struct structural *n, struct doc *d, bool root,
	struct schema_strict *strict);
/* structural_default: fills in defaults; a null where none may be and a default is goes too. 0, -ENOMEM, -E2BIG. */
int structural_default(struct arena *a, const struct structural *n, struct doc *d);
/* structural_drop_nulls: a null where none may be, without a default, goes: as upstream does before pruning. */
void structural_drop_nulls(const struct structural *n, struct doc *d);

/* structural_validate: the conditions on values, at `path` ("" = the object). old (may be NULL): what stood there:
 * what did not change is not looked at again (KEP-4008). */
void structural_validate(const struct structural *n, const struct doc *d, const struct doc *old,
	struct str path, struct schema_errors *errs);
/* structural_validate_lists: sets without repetitions, maps with distinct keys. */
void structural_validate_lists(
	const struct structural *n, const struct doc *d, struct schema_errors *errs);
/* structural_validate_embedded: kind, apiVersion and metadata of embedded resources below d. */
void structural_validate_embedded(
	const struct structural *n, const struct doc *d, struct schema_errors *errs);

#endif
