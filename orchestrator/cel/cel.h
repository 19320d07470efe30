/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel: the Common Expression Language as Kubernetes uses it: rules of custom resources, admission policies,
 * matchConditions. Front door of the folder.
 *
 * Flow: cel_env_new (variables and their types, once) -> cel_compile (parse, check, estimate) -> cel_eval, any
 * number of times, with values in the environment's slots.
 *
 * Invariants: environments, types and programs are immutable once made and may be used by any thread; they live in
 * the arena they were made in. Evaluation never blocks, has no recursion deeper than CEL_MAX_DEPTH, and stops when its
 * budget is spent. Documents are borrowed and never changed.
 * Source: cel-spec (langdef.md); cel-go v0.29 (texts of errors); k8s.io/apiserver pkg/cel (environment, libraries,
 * types of schemas, costs); KEP-2876, KEP-3488, KEP-3716. */
#ifndef ORCHESTRATOR_CEL_CEL_H
#define ORCHESTRATOR_CEL_CEL_H

#include "orchestrator/schema/schema.h"

#define CEL_MAX_DEPTH 250         /* nesting of an expression and of its evaluation */
#define CEL_MAX_SOURCE 100000     /* code points of one expression */
#define CEL_COST_PER_CALL 1000000 /* of one expression: k8s PerCallLimit */
#define CEL_COST_PER_REQUEST                                                                       \
	10000000 /* of all expressions of a policy or object: RuntimeCELCostBudget */
#define CEL_COST_EXPRESSION_MAX 10000000 /* estimate of one rule: StaticEstimatedCostLimit */

/* ---- types ---- */

enum cel_kind {
	CEL_DYN,
	CEL_NULL,
	CEL_BOOL,
	CEL_INT,
	CEL_UINT,
	CEL_DOUBLE,
	CEL_STRING,
	CEL_BYTES,
	CEL_DURATION,
	CEL_TIMESTAMP,
	CEL_LIST,
	CEL_MAP,
	CEL_OBJECT,   /* a message: fields by name */
	CEL_TYPE,     /* the type of a type */
	CEL_OPTIONAL, /* optional_type(T) */
	CEL_OPAQUE, /* of a library: Quantity, URL, IP, CIDR, Semver, Format, Authorizer and its steps */
	CEL_ERROR,  /* of values alone: the evaluation failed here */
	CEL__PARAM, /* private: a variable of the type checker */
};
struct cel_type;
/* cel_type_basic: DYN .. TIMESTAMP, TYPE; static. */
const struct cel_type *cel_type_basic(enum cel_kind kind);
/* The following are arena; NULL = the arena failed. max: most items or bytes it can have, for estimates; 0 = unknown. */
const struct cel_type *cel_type_list(struct arena *a, const struct cel_type *item, uint64_t max);
const struct cel_type *cel_type_map(
	struct arena *a, const struct cel_type *key, const struct cel_type *value, uint64_t max);
/* cel_type_object: a message `name` with these fields; names as expressions write them (escaped: __dot__,
 * __dash__, __slash__, __name__; KEP-2876). */
struct cel_field {
	struct str name;
	const struct cel_type *type;
};
const struct cel_type *cel_type_object(
	struct arena *a, struct str name, const struct cel_field *fields, size_t n);
/* cel_type_structural: of a custom resource's schema node (int-or-string is dyn, formats date-time, duration and byte
 * are their types, x-kubernetes-preserve-unknown-fields without properties is dyn). root: apiVersion, kind and
 * metadata.{name,generateName} are there too. */
const struct cel_type *cel_type_structural(struct arena *a, const struct structural *n, bool root);
/* cel_type_schema: of a built-in type, by its tables. */
const struct cel_type *cel_type_schema(struct arena *a, const struct schema_type *t);
/* cel_type_authorizer: of the variable `authorizer`; static. */
const struct cel_type *cel_type_authorizer(void);
/* cel_type_resource_check: of the variable `authorizer.requestResource`; static. */
const struct cel_type *cel_type_resource_check(void);
/* cel_type_name: as errors write it: "list(string)", "optional_type(int)". arena. */
struct str cel_type_name(struct arena *a, const struct cel_type *t);

/* ---- values ---- */

struct cel_value {
	enum cel_kind kind;
	const struct cel_type
		*type; /* of documents: what it is read as; NULL = what it looks like */
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double d;
		struct str s; /* STRING, BYTES */
		int64_t ns;   /* DURATION */
		struct {
			int64_t sec;
			int32_t nsec,
				offset; /* offset: seconds east, of the text it was read from */
		} time;                 /* TIMESTAMP: Unix */
		const struct doc *doc;  /* LIST, MAP, OBJECT made of a document */
		const void *own;        /* the rest: private to the folder */
	};
	bool from_doc; /* LIST, MAP, OBJECT: doc counts */
};
/* cel_of_doc: d (borrowed) read as t; NULL d = null. Lazy: nothing is copied. */
struct cel_value cel_of_doc(const struct cel_type *t, const struct doc *d);
struct cel_value cel_of_string(struct str s);
struct cel_value cel_of_bool(bool b);
/* cel_of_authorizer: the value of the variable `authorizer`; cel_of_resource_check: of `authorizer.requestResource`: q is
 * borrowed, its verb does not count. Declared by cel_world.authorize below. */
struct cel_authz;
struct cel_value cel_of_authorizer(void);
struct cel_value cel_of_resource_check(const struct cel_authz *q);
/* cel_to_doc: a value as a document (bytes as base64, times and durations as their texts). arena. 0; -EINVAL it has
 * no form there (e), -E2BIG, -ENOMEM. */
int cel_to_doc(struct arena *a, const struct cel_value *v, struct doc **ret, struct err *e);

/* ---- environment ---- */

struct cel_variable {
	struct str name; /* dots allowed: "variables.foo" is one slot; or one object for them all */
	const struct cel_type *type;
};
struct cel_env;
/* cel_env_new: slots are numbered in the order given. Libraries: all that a v1.37 API server has (strings 2, sets, lists,
 * regex, URLs, quantity, IP, CIDR, format, semver, authorizer, optionals, two-variable comprehensions). arena.
 * NULL = the arena failed. */
const struct cel_env *cel_env_new(struct arena *a, const struct cel_variable *vars, size_t n);
/* cel_env_types: the same with messages that expressions may make: "JSONPatch{op: 'add', path: '/a'}". types are
 * cel_type_object or cel_type_schema's. */
const struct cel_env *cel_env_types(struct arena *a, const struct cel_variable *vars, size_t n,
	const struct cel_type *const *types, size_t n_types);

/* ---- compiling ---- */

struct cel_program;
struct cel_issue {
	struct str text; /* "undeclared reference to 'x' (in container '')" */
	uint32_t line,
		column; /* 1-based; column in code points, counted from 0 as cel-go prints it plus 1 */
};
/* cel_compile: want (NULL = any) is the type the result must have. source is borrowed. 0; -EINVAL (issues, at most 100, and e: as
 * upstream prints them: "ERROR: <input>:1:2: ...\n | source\n | .^", joined by newlines), -E2BIG, -ENOMEM. */
int cel_compile(struct arena *a, const struct cel_env *env, struct str source,
	const struct cel_type *want, const struct cel_program **ret, struct err *e);
/* cel_compile_text: the same; *text (arena, may be NULL) is all of what e would say, which holds 511 bytes.
 * -EDOM: it is well typed and yet cannot be planned: upstream's "program instantiation failed: " goes before it. */
int cel_compile_text(struct arena *a, const struct cel_env *env, struct str source,
	const struct cel_type *want, const struct cel_program **ret, struct str *text,
	struct err *e);
const struct cel_type *cel_result_type(const struct cel_program *p);
/* cel_uses: does the expression read this slot? (authorizer, oldSelf, ...) */
bool cel_uses(const struct cel_program *p, size_t slot);
/* cel_cost_max: the estimate of the worst cost of one evaluation, UINT64_MAX = without bound. */
uint64_t cel_cost_max(const struct cel_program *p);

/* ---- evaluation ---- */

/* One question of the authorizer library; "" and false where the expression did not say. */
struct cel_authz {
	struct str service_account_ns, service_account; /* "" = the request's own user */
	struct str path;                                /* a path, or a resource: */
	struct str group, resource, subresource, namespace, name, verb;
	struct str field_selector, label_selector;
};
struct cel_world {
	struct cel_value *slots; /* as many as the environment has */
	/* slot i is wanted and of kind CEL_ERROR with own == NULL: lazily made. NULL = there are none. 0 or -errno (e). */
	int (*make)(void *arg, size_t slot, struct cel_value *ret, struct err *e);
	/* NULL = there is no authorizer. *allowed and *reason (arena of cel_eval). 0 or -errno (e). */
	int (*authorize)(void *arg, const struct cel_authz *q, bool *allowed, struct str *reason,
		struct err *e);
	void *arg;
	int64_t now_ns; /* wall time; for certificates and the like; expressions cannot see it */
	uint64_t *
		budget; /* cost that is left for all; lowered. NULL = only CEL_COST_PER_CALL counts */
};
/* cel_eval: a (scratch) keeps the result. 0; -EINVAL the evaluation failed (e: "no such key: x", "index out of bounds: 3",
 * "no such overload", ...), -EDQUOT the budget is spent (e: "validation failed due to running out of cost budget, ..."
 * or "operation cancelled: actual cost limit exceeded"), -ENOMEM. */
int cel_eval(struct arena *a, const struct cel_program *p, struct cel_world *w,
	struct cel_value *ret, struct err *e);

/* ---- rules of custom resources ---- */

/* cel_rules_install: from here on x-kubernetes-validations are compiled, checked and evaluated where schemas of custom
 * resources are (structural_rules of schema_structural.h). Once, before there are threads. */
void cel_rules_install(void);

#include "orchestrator/cel/cel_admission.h"

#endif
