/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * model: what the schema compiler knows while it runs on the build host: parse.c fills it from the kind
 * files, link.c resolves and completes it, emit_structs.c and emit_tables.c write it out. Everything is
 * in one arena that is never freed; any fault ends the program with file:line and a message.
 * It shares the enums of schema.h, so that the tables and the compiler cannot disagree. */
#ifndef ORCHESTRATOR_SCHEMA_COMPILE_MODEL_H
#define ORCHESTRATOR_SCHEMA_COMPILE_MODEL_H

#include "base/buf.h"
#include "orchestrator/schema/schema.h"

struct ctype;

struct cfield {
	struct str name, type_text, description;
	struct str dflt, merge_key, gate;
	struct str *enums, *list_keys;
	size_t n_enums, n_list_keys;
	unsigned number, flags, patch, list, format;
	enum schema_form form;
	enum schema_shape shape;
	int emit; /* -1 = by `required` */
	bool inline_type, map_atomic, map_granular, has_min, has_max;
	int64_t min, max;
	uint32_t max_items, max_length;
	struct ctype *type;
	struct str member; /* C name */
	int line;
};

struct cinline {
	unsigned number;
	struct ctype *type;
};

struct cpath {
	struct str path;
	int line;
};

struct ctype {
	struct str group, version, name, description; /* group as in the tables: "" = core */
	struct str file;
	struct str label; /* "core", "apps" */
	struct str cname; /* "apps_v1_deployment_spec" */
	struct cfield *fields;
	size_t n_fields;
	struct cinline *inlines;
	size_t n_inlines;
	bool root, map_atomic, hook, check, defaults;
	struct ckind *kind;
	struct ctype *projection_of;
	struct cpath *paths; /* of a projection */
	size_t n_paths;
	bool flattened, emitted, pair_used, in_progress;
	int line;
};

struct csub {
	struct str name, type_text;
	unsigned verbs;
	struct ctype *type;
};

struct ccolumn {
	struct str name, type, format, description, cell;
	bool wide;
};

struct cselect {
	struct str label, path, attr;
};

struct ckind {
	struct ctype *type;
	struct str plural, singular, list_kind, hash, storage_group, storage_version;
	struct str *short_names, *categories;
	size_t n_short_names, n_categories;
	struct csub *subs;
	size_t n_subs;
	struct ccolumn *columns;
	size_t n_columns;
	struct cselect *selects;
	size_t n_selects;
	unsigned verbs, flags, name_format;
	bool namespaced;
	bool has_list_type;
};

struct cgroup {
	struct str group, version, label;
	int order; /* 0 = holds types only */
};

struct model {
	struct arena *a;
	struct ctype **types;
	size_t n_types;
	struct cgroup *groups;
	size_t n_groups;
};

/* die: prints "file:line: message" and ends the program. */
_Noreturn void die(struct str file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* model_parse: adds what one kind file says. text must live as long as the model. */
void model_parse(struct model *m, struct str file, struct str text);
/* model_link: resolves types, adds list types, kind and apiVersion, flattens inlined types, makes the
 * types of projections, names C structs and members, sorts. */
void model_link(struct model *m);
/* model_type: exact type or NULL. group as in the tables. */
struct ctype *model_type(
	const struct model *m, struct str group, struct str version, struct str name);
/* emit_structs: the header of one group and version. emit_tables: the one C file of tables. */
void emit_structs(struct model *m, struct str label, struct str version, struct buf *out);
void emit_tables(struct model *m, struct buf *out);
/* quote: s as a C string literal. snake: "podIPs" -> "pod_ips". arena. */
void quote(struct buf *out, struct str s);
struct str snake(struct arena *a, struct str s);

#endif
