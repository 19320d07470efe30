/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * doc: a document as a tree in an arena: what JSON, YAML and protobuf bodies become, what patches and
 * defaults change, what is encoded again. Nodes are mutable; strings are slices (of the input when no
 * escape had to be undone, so the input must live as long as the tree). Members keep their order.
 * Duplicate members are kept by the parser (dup flag on the later one), so that strict field checks
 * can name them; doc_get finds the last. Source: RFC 8259, YAML 1.2 (libyaml: 1.1 syntax, core schema). */
#ifndef BASE_DOC_H
#define BASE_DOC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define DOC_MAX_DEPTH 64 /* default of the parsers, which take at most DOC_MAX_WALK */
#define DOC_MAX_WALK 256 /* depth that writers, doc_copy and doc_equal follow */

enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_DOUBLE, DOC_STR, DOC_LIST, DOC_MAP };

struct doc {
	enum doc_type type;
	bool dup;       /* a member of the same name stands before this one */
	bool dups;      /* of a DOC_MAP: may have members with dup set (doc_get must see all) */
	bool raw;       /* of a DOC_STR: its text is the JSON of a value that nobody looked into */
	uint32_t line;  /* 1-based line within its YAML document; 0 = unknown */
	struct str key; /* name within a DOC_MAP */
	struct doc *next; /* sibling */
	union {
		bool b;
		int64_t i; /* integers outside int64 become DOC_DOUBLE */
		double d;
		struct str s;
		struct {
			struct doc *first, *last;
			size_t n;
		};
	};
};

struct doc_limits {
	size_t max_depth; /* 0 = DOC_MAX_DEPTH */
	size_t max_nodes; /* 0 = 1,000,000; also stops YAML alias bombs */
	/* JSON: members `skip` of members `skip_of` are left out of the tree; NULL = none */
	const char *skip_of, *skip;
};

/* doc_parse_json: one value, nothing but blanks behind it. The tree is arena and borrows text.
 * Errors: -EINVAL (e: "invalid character 'x' looking for beginning of value" or alike, with offset),
 * -E2BIG depth or nodes, -ENOMEM. */
int doc_parse_json(struct arena *a, struct str text, const struct doc_limits *lim, struct doc **ret,
	struct err *e);
/* doc_parse_yaml: the next document of a stream: *rest is advanced past it; -ENODATA at the end.
 * Documents of nothing but blanks and comments are passed over. A JSON text is YAML. Aliases are
 * copied and count against max_nodes; merge keys are resolved. Errors as above ("yaml: line 3: ..."). */
int doc_parse_yaml(struct arena *a, struct str *rest, const struct doc_limits *lim,
	struct doc **ret, struct err *e);
/* doc_write_json: compact, members in order, encoding/json's forms of strings and numbers, but
 * < > & stay as they are (SetEscapeHTML(false)); bytes that are not UTF-8 become U+FFFD. A tree deeper
 * than DOC_MAX_WALK makes b fail. */
void doc_write_json(struct buf *b, const struct doc *d);
/* doc_write_json_pretty: `indent` blanks a level, as kubectl's -o json (4) prints it. */
void doc_write_json_pretty(struct buf *b, const struct doc *d, int indent);
/* doc_write_yaml: block style, keys in order. */
void doc_write_yaml(struct buf *b, const struct doc *d);
/* doc_json_string: one string with its quotes and escapes. */
void doc_json_string(struct buf *b, struct str s);

/* Makers: arena; NULL when the arena failed. Strings are kept as given (not copied). */
struct doc *doc_null(struct arena *a);
struct doc *doc_bool(struct arena *a, bool v);
struct doc *doc_int(struct arena *a, int64_t v);
struct doc *doc_double(struct arena *a, double v);
struct doc *doc_str(struct arena *a, struct str s);
struct doc *doc_list(struct arena *a);
struct doc *doc_map(struct arena *a);
/* doc_raw: a value as the text of its JSON (kept, not checked): it is copied and written as it is and
 * equals only the same text. doc_expand: every raw value below d becomes its tree. 0 or as doc_parse_json. */
struct doc *doc_raw(struct arena *a, struct str json);
int doc_expand(struct arena *a, struct doc *d);
/* doc_copy: deep copy into a, strings copied too. The copy has no key and no sibling. NULL = the
 * arena failed or the tree is deeper than DOC_MAX_WALK. */
struct doc *doc_copy(struct arena *a, const struct doc *d);
/* doc_lend: the same, but strings are d's own: for a tree that is changed and does not outlive d. */
struct doc *doc_lend(struct arena *a, const struct doc *d);

/* Access; every function accepts NULL documents and wrong types and then gives "absent". */
struct doc *doc_get(const struct doc *map, struct str key);
/* doc_at: path of names and indices: "spec.containers[0].image"; a name with dots is written
 * ["app.kubernetes.io/name"] in brackets with quotes. NULL when absent. For tests and rare spots. */
struct doc *doc_at(const struct doc *d, const char *path);
struct doc *doc_index(const struct doc *list, size_t i);
struct str doc_as_str(const struct doc *d);              /* STR_NONE unless a string */
int64_t doc_as_int(const struct doc *d, int64_t absent); /* also a double without fraction */
bool doc_as_bool(const struct doc *d, bool absent);
struct str doc_get_str(const struct doc *map, struct str key);
int64_t doc_get_int(const struct doc *map, struct str key, int64_t absent);
bool doc_get_bool(const struct doc *map, struct str key, bool absent);
size_t doc_len(const struct doc *d);    /* members or items; 0 for the rest */
bool doc_is_empty(const struct doc *d); /* NULL, null, "", [] or {} */
/* doc_equal: deep; maps without regard to order; 1 and 1.0 are equal. */
bool doc_equal(const struct doc *x, const struct doc *y);
#define DOC_EACH(item, parent)                                                                     \
	for (struct doc *item =                                                                    \
			(parent) && ((parent)->type == DOC_LIST || (parent)->type == DOC_MAP)      \
			? (parent)->first                                                          \
			: NULL;                                                                    \
		item; item = item->next)

/* DOC_EACH: the item at hand may be removed (doc_remove, doc_set with NULL), not put elsewhere.
 *
 * Change. `v` must be in no other tree. doc_set replaces the member in place or appends (key is kept
 * as given); doc_set with v == NULL removes. */
void doc_set(struct doc *map, struct str key, struct doc *v);
void doc_append(struct doc *list, struct doc *v);
void doc_remove(struct doc *parent, struct doc *child);
/* doc_insert: before position i (i == n: at the end). */
void doc_insert(struct doc *list, size_t i, struct doc *v);
/* doc_replace: the node takes over the content (type and value) of `with`, keeping key and place. */
void doc_replace(struct doc *node, const struct doc *with);
/* doc_sort: the members of d and of all maps below it by name, as Go writes its maps; equal names keep their
 * order. No deeper than DOC_MAX_WALK. */
void doc_sort(struct doc *d);
/* doc_sort_members: those of d alone. */
void doc_sort_members(struct doc *d);
/* doc_ensure_map: the member as a map, made when absent or null. NULL = arena failed or wrong type. */
struct doc *doc_ensure_map(struct arena *a, struct doc *map, struct str key);
struct doc *doc_ensure_list(struct arena *a, struct doc *map, struct str key);
void doc_set_str(struct arena *a, struct doc *map, struct str key, struct str v);
void doc_set_int(struct arena *a, struct doc *map, struct str key, int64_t v);
void doc_set_bool(struct arena *a, struct doc *map, struct str key, bool v);

/* ---- protobuf wire format (encoding only; messages are described in orchestrator/schema) ---- */
enum proto_wire { PROTO_VARINT = 0, PROTO_I64 = 1, PROTO_LEN = 2, PROTO_I32 = 5 };
struct proto_field {
	uint32_t number;
	enum proto_wire wire;
	uint64_t value;   /* VARINT, I64, I32 */
	struct str bytes; /* LEN */
};
/* proto_next: the next field of a message; 1, 0 at the end, -EINVAL malformed (groups, wire 3/4/6/7,
 * number 0, length past the end). Source: protobuf encoding. */
int proto_next(struct reader *r, struct proto_field *ret);
void proto_put_varint(struct buf *b, uint32_t number, uint64_t v);
void proto_put_bytes(struct buf *b, uint32_t number, struct str s);
void proto_put_double(struct buf *b, uint32_t number, double v);

#endif
