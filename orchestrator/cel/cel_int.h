/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cel_int: what the files of the folder share: nodes of an expression, types from inside, rows of the table of
 * functions, the state of one evaluation.
 *
 * Flow: parse.c (lex.c, macro.c) makes nodes -> check.c (unify.c) gives each its type and its overload -> fold.c makes
 * constants of what is constant -> cost.c estimates -> eval.c walks them. */
#ifndef ORCHESTRATOR_CEL_INT_H
#define ORCHESTRATOR_CEL_INT_H

#include "base/loop.h"
#include "orchestrator/cel/cel.h"

#define CEL_MAX_ISSUES 100
#define CEL_MAX_NODES 200000
#define CEL_MAX_WALK 1600 /* levels of nodes: macros and balanced && add to CEL_MAX_DEPTH */
#define CEL_NO_MAX ((uint64_t)INT64_MAX)
#define CEL_REQUEST_MAX                                                                            \
	(3 * 1024 * 1024) /* bytes of a request: what has no maximum is bounded by it */

/* ---- types ---- */
struct cel_type {
	enum cel_kind kind;
	uint8_t n_params;
	uint8_t list; /* enum structural_list, of lists of custom resources */
	bool preserve;
	bool open;       /* OBJECT: members of any name, of any type */
	struct str name; /* OBJECT, OPAQUE, PARAM */
	uint32_t number; /* PARAM */
	const struct cel_type *params[2];
	const struct cel_field *fields; /* OBJECT; ordered by name */
	size_t n_fields;
	const struct schema_type *schema; /* OBJECT of built-in types: fields come from it */
	const struct structural *node;
	uint64_t max;      /* most elements, CEL_NO_MAX = unknown */
	uint64_t min_size; /* bytes of the smallest JSON form */
};
bool cel_type_same(const struct cel_type *x, const struct cel_type *y);
const struct cel_type *cel_type_field(
	struct arena *a, const struct cel_type *object, struct str name);
const struct cel_type *cel_type_optional(struct arena *a, const struct cel_type *of);
const struct cel_type *cel_type_of_type(struct arena *a, const struct cel_type *of);
const struct cel_type *cel_type_named(struct str name); /* "int", "kubernetes.URL": static; NULL */
extern const struct cel_type cel_types_opaque[];
enum cel_opaque {
	OPAQUE_QUANTITY,
	OPAQUE_URL,
	OPAQUE_IP,
	OPAQUE_CIDR,
	OPAQUE_SEMVER,
	OPAQUE_FORMAT,
	OPAQUE_AUTHORIZER,
	OPAQUE_PATH_CHECK,
	OPAQUE_GROUP_CHECK,
	OPAQUE_RESOURCE_CHECK,
	OPAQUE_DECISION,
	OPAQUE__COUNT
};
/* cel_type_runtime_name: what type(x) prints: "google.protobuf.Timestamp". */
struct str cel_type_runtime_name(const struct cel_type *t);
/* cel_unescape / cel_escape: of names of fields (KEP-2876). */
struct str cel_unescape(struct arena *a, struct str s);
bool cel_escape(struct arena *a, struct str s, struct str *ret);

/* ---- nodes ---- */
enum cel_node_kind {
	NODE_CONST,
	NODE_IDENT,
	NODE_SELECT,
	NODE_TEST, /* has(a.b) */
	NODE_CALL,
	NODE_LIST,
	NODE_MAP,    /* args: key, value, key, value */
	NODE_STRUCT, /* names beside args */
	NODE_FOLD,   /* args: FOLD_* */
};
enum { FOLD_RANGE, FOLD_INIT, FOLD_CONDITION, FOLD_STEP, FOLD_RESULT, FOLD__COUNT };
struct cel_fn;
struct cel_estimate;
struct cel_node {
	enum cel_node_kind kind;
	bool member; /* call: args[0] is the receiver */
	bool append; /* call: its first argument is the accumulator alone: may be changed in place */
	bool bad;    /* a failed parse */
	bool folded; /* call of `in` with a constant list */
	uint32_t at; /* code point of the source */
	uint32_t n;
	struct str name; /* ident, field, function, type */
	struct cel_node **args;
	bool *optional;    /* per element, entry, field; NULL = none */
	struct str *names; /* fields */
	uint32_t *ats;     /* fields, entries: of the colon */
	struct cel_value value;
	struct str accu, iter, iter2;
	/* check */
	const struct cel_type *type;
	const struct cel_fn *const *fns; /* candidates in order of declaration */
	uint32_t n_fns;
	int32_t slot;                  /* ident: of the environment, -1 = local */
	int32_t local;                 /* ident, fold: of the frame */
	const void *regex;             /* a constant pattern, compiled */
	struct cel_estimate *estimate; /* cost.c */
};

/* ---- issues ---- */
struct cel_compiler {
	struct arena *a;
	const struct cel_env *env;
	struct str source;
	const uint32_t *lines; /* code points where lines begin */
	size_t n_lines;
	size_t n_points;
	struct cel_issue *issues;
	size_t n_issues, more_issues;
	size_t n_nodes;
	size_t n_locals;
	bool failed; /* of memory or of a limit */
	bool stop;   /* parse no further */
};
void cel_issue(struct cel_compiler *c, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct cel_node *cel_node_new(struct cel_compiler *c, enum cel_node_kind kind, uint32_t at);
struct cel_node *cel_node_call(struct cel_compiler *c, uint32_t at, const char *fn, size_t n,
	struct cel_node *x, struct cel_node *y, struct cel_node *z);

/* ---- lexer ---- */
enum cel_token {
	TOKEN_END,
	TOKEN_BAD,
	TOKEN_IDENT,
	TOKEN_ESCAPED, /* `a.b` */
	TOKEN_INT,
	TOKEN_UINT,
	TOKEN_DOUBLE,
	TOKEN_STRING,
	TOKEN_BYTES,
	TOKEN_OP, /* text says which; "in", "true", "false", "null" too */
};
struct cel_lexer {
	struct cel_compiler *c;
	size_t pos;     /* bytes */
	uint32_t point; /* code points */
	enum cel_token token;
	struct str text;
	uint32_t at;
};
void cel_lex(struct cel_lexer *l);
/* cel_unquote: 0 or -EINVAL (*why). */
int cel_unquote(struct arena *a, struct str text, bool bytes, struct str *ret, const char **why);
struct cel_node *cel_parse(struct cel_compiler *c);
/* cel_macro: NULL = not a macro. target may be NULL. */
struct cel_node *cel_macro(struct cel_compiler *c, uint32_t at, struct str name,
	struct cel_node *target, struct cel_node **args, size_t n);

/* ---- functions ---- */
struct cel_eval;
typedef struct cel_value cel_call_fn(struct cel_eval *e, const struct cel_value *args, size_t n);
enum cel_cost {
	COST_ONE,
	/* by overload */
	COST_ARG1,     /* a tenth of the second argument */
	COST_CONVERT,  /* a tenth of the first */
	COST_TO_BYTES, /* the same; the result may be longer */
	COST_TO_STRING,
	COST_QUOTE,
	COST_IN,
	COST_COMPARE,
	COST_CONCAT,
	COST_CONCAT_LIST,
	COST_MATCHES,
	COST_CONTAINS,
	COST_LOGIC,
	COST_CONDITIONAL,
	COST_INDEX_LIST,
	COST_INDEX_MAP,
	COST_FORMAT,
	COST_SETS,
	COST_SETS_EQUIVALENT,
	COST_SLICE,
	COST_RANGE,
	COST_REVERSE,
	COST_FLATTEN,
	COST_DISTINCT,
	COST_SORT,
	COST_SORT_BY,
	/* by name of the function: whichever overload it is */
	COST_NAMED,
	COST_FIXED = COST_NAMED,
	COST_CHECK,
	COST_SELECTOR,
	COST_TRAVERSE,
	COST_PARSE, /* a tenth of the first argument, which is not the receiver */
	COST_URL,   /* the same; the result has its size */
	COST_SAME,  /* a tenth of the receiver, whose size the result has */
	COST_REPLACE,
	COST_SPLIT,
	COST_JOIN,
	COST_FIND,
	COST_CANONICAL,
	COST_CONTAINS_IP,
	COST_CONTAINS_IP_TEXT,
	COST_CONTAINS_CIDR,
	COST_CONTAINS_CIDR_TEXT,
	COST_VALIDATE,
	COST__COUNT
};
struct cel_fn_row {
	const char *name, *id;
	const char *
		signature; /* ".result(receiver, args)" of a member, "result(args)" of a function */
	cel_call_fn *call; /* NULL = the evaluator does it itself */
	enum cel_cost cost;
};
struct cel_fn {
	const struct cel_fn_row *row;
	const struct cel_type *result, *args[4];
	uint8_t n_args;
	bool member;
	uint8_t n_vars; /* its type variables are numbered 0.. */
};
struct cel_fn_group { /* all overloads of one name */
	struct str name;
	const struct cel_fn *const *fns;
	size_t n;
};
/* cel_fns_find: NULL = none of this name. The table is made once, for all threads. */
const struct cel_fn_group *cel_fns_find(struct str name);
struct cel_fn_table {
	const struct cel_fn_row *rows;
	size_t n;
};
extern const struct cel_fn_table cel_fns_std, cel_fns_time, cel_fns_strings, cel_fns_lists,
	cel_fns_sets, cel_fns_regex, cel_fns_url, cel_fns_net, cel_fns_quantity, cel_fns_semver,
	cel_fns_names, cel_fns_patch, cel_fns_authz, cel_fns_optional, cel_fns_compare;

/* ---- environment, program ---- */
struct cel_env {
	struct cel_variable *vars;
	size_t n_vars;
	const struct cel_type **types; /* that messages may be made of */
	size_t n_types;
	bool patches; /* has Object{} and JSONPatch{} */
};
struct cel_program {
	const struct cel_env *env;
	const struct cel_node *root;
	const struct cel_type *type;
	size_t n_locals;
	uint64_t cost_min, cost_max;
	bool *uses;
	unsigned depth;
};
#define CEL_SHALLOW 48              /* levels that any stack has room for */
#define CEL_STACK ((size_t)8 << 20) /* room for CEL_MAX_WALK of them */
/* cel_patch_type: of Object, Object.x and JSONPatch; NULL = another name, or the arena failed. */
const struct cel_type *cel_patch_type(struct arena *a, struct str name);
void cel_check(struct cel_compiler *c, struct cel_node *root);
/* cel_assignable: of unify.c, without variables. */
bool cel_assignable(struct arena *a, const struct cel_type *to, const struct cel_type *from);
int cel_fold(struct cel_compiler *c, struct cel_node *root, struct err *e);
int cel_estimate(struct arena *a, struct cel_program *p, struct cel_node *root);
void cel_validate_literals(struct cel_compiler *c, struct cel_node *root);

/* ---- values ---- */
struct cel_list {
	struct cel_value *items;
	size_t n;
};
struct cel_map {
	struct cel_value *keys, *values;
	size_t n;
	uint32_t *index; /* hash -> position + 1; NULL while it is small */
	size_t n_index;  /* a power of two */
};
struct cel_message {
	const struct cel_type *type;
	struct cel_value *values; /* by the type's fields; kind ERROR with own NULL = not set */
	struct str *names;
	size_t n;
};
struct cel_iter { /* over a LIST or a MAP */
	const struct cel_value *of;
	size_t i;
	const struct doc *at;
};

struct cel_eval {
	struct arena *a;
	const struct cel_program *p;
	struct cel_world *w;
	struct cel_value *locals;
	uint64_t cost, limit;
	unsigned depth;
	int stop; /* -EDQUOT, -ENOMEM, ...: nothing is evaluated any more */
	struct err *err;
	const struct regex *regex; /* of the last pattern (lib_regex.c) */
	struct str pattern;
};

struct cel_value cel_fault(struct cel_eval *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct cel_value cel_no_overload(struct cel_eval *e);
struct str cel_fault_text(const struct cel_value *v);
static inline bool
cel_is_fault(const struct cel_value *v)
{
	return v->kind == CEL_ERROR;
}
struct cel_value cel_null(void);
struct cel_value cel_of_int(int64_t i);
struct cel_value cel_of_uint(uint64_t u);
struct cel_value cel_of_double(double d);
struct cel_value cel_of_bytes(struct str s);
struct cel_value cel_of_ns(int64_t ns);
struct cel_value cel_of_time(int64_t sec, int32_t nsec);
struct cel_value cel_of_type(const struct cel_type *t);
struct cel_value cel_of_opaque(enum cel_opaque what, const void *own);
/* cel_list_of: items (arena) become the list's. */
struct cel_value cel_list_of(struct cel_eval *e, struct cel_value *items, size_t n);
struct cel_value cel_some(struct cel_eval *e, struct cel_value v);
struct cel_value cel_none(void);
bool cel_has_value(const struct cel_value *optional);
struct cel_value cel_unwrap(const struct cel_value *optional);
/* cel_doc_value: a document read as t. */
struct cel_value cel_doc_value(struct cel_eval *e, const struct cel_type *t, const struct doc *d);
/* cel_settle: what cel_of_doc left to be done when there is an arena. */
struct cel_value cel_settle(struct cel_eval *e, struct cel_value v);
size_t cel_size(const struct cel_value *v); /* of STRING (code points), BYTES, LIST, MAP, OBJECT */
struct cel_value cel_list_get(struct cel_eval *e, const struct cel_value *list, size_t i);
/* cel_next: list: value; map: key and value. */
bool cel_next(
	struct cel_eval *e, struct cel_iter *it, struct cel_value *key, struct cel_value *value);
/* cel_map_find: 1 found, 0 not, -1 fault in *ret. */
int cel_map_find(struct cel_eval *e, const struct cel_value *map, const struct cel_value *key,
	struct cel_value *ret);
/* cel_field_find: of OBJECT: 1 set, 0 not. */
int cel_field_find(
	struct cel_eval *e, const struct cel_value *object, struct str name, struct cel_value *ret);
void cel_map_put(
	struct cel_eval *e, struct cel_map *m, struct cel_value key, struct cel_value value);
const struct cel_value *cel_map_at(const struct cel_map *m, const struct cel_value *key);
/* cel_equal: as _==_; true or false, never an error. */
bool cel_equal(struct cel_eval *e, const struct cel_value *x, const struct cel_value *y);
/* cel_compare: <0, 0, >0; 2 = they cannot be compared (NaN: -2 with nothing true). */
#define CEL_UNORDERED 100
int cel_compare(const struct cel_value *x, const struct cel_value *y);
const struct cel_type *cel_value_type(struct cel_eval *e, const struct cel_value *v);
/* cel_matches_kind: may a value stand where t is declared? */
bool cel_value_fits(const struct cel_value *v, const struct cel_type *t);
struct str cel_to_text(struct cel_eval *e, const struct cel_value *v); /* as errors print values */
void cel_put_double(struct buf *b, double d);                          /* strconv 'g', shortest */
/* cel_actual_size: of runtime costs. */
uint64_t cel_actual_size(const struct cel_value *v);
uint64_t cel_call_cost(struct cel_eval *e, const struct cel_node *n, const struct cel_value *args,
	size_t n_args, const struct cel_value *result);
struct cel_value cel_list_add(
	struct cel_eval *e, const struct cel_value *x, const struct cel_value *y);
int cel_eval_cost(struct arena *a, const struct cel_program *p, struct cel_world *w,
	struct cel_value *ret, uint64_t *cost, struct err *err);
struct cel_value cel_run(struct cel_eval *e, const struct cel_node *n);
bool cel_call_fits(const struct cel_fn *fn, const struct cel_value *args, size_t n);

struct cel_value cel_string_format(struct cel_eval *e, const struct cel_value *args, size_t n);

/* cel_format_check: a call of format whose text and list are literal. */
void cel_format_check(struct cel_compiler *c, const struct cel_node *n);

/* ---- times ---- */
bool cel_parse_time(struct str s, struct cel_value *ret);
bool cel_parse_duration(struct str s, int64_t *ret);
void cel_put_time(struct buf *b, const struct cel_value *v);
void cel_put_duration(struct buf *b, int64_t ns); /* seconds: "3600s" as string() has it */

/* ---- opaque values that others make ---- */
bool cel_opaque_equal(const struct cel_value *x, const struct cel_value *y);
uint64_t cel_opaque_size(const struct cel_value *v);
/* runes */
size_t cel_runes(struct str s);
size_t cel_rune_next(struct str s, size_t at, uint32_t *ret);
void cel_rune_put(struct buf *b, uint32_t r);

#endif
