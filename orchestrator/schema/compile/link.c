/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * link: completes the model: type texts become forms, shapes and pointers to types; kinds get their list
 * types, roots their kind and apiVersion; fields of inlined types become fields of the outer type (in JSON
 * they are; in protobuf they stand in a nested message, which stays known as an inline); projections
 * become types of their own; everything gets its C name. */
#include "orchestrator/schema/compile/model.h"

#include <ctype.h>
#include <stdlib.h>

static const struct {
	const char *word;
	enum schema_form form;
} scalars[] = {
	{"string", SCHEMA_STRING},
	{"bool", SCHEMA_BOOL},
	{"int32", SCHEMA_INT32},
	{"int64", SCHEMA_INT64},
	{"double", SCHEMA_DOUBLE},
	{"bytes", SCHEMA_BYTES},
	{"Quantity", SCHEMA_QUANTITY},
	{"Time", SCHEMA_TIME},
	{"MicroTime", SCHEMA_MICROTIME},
	{"Duration", SCHEMA_DURATION},
	{"IntOrString", SCHEMA_INTSTR},
	{"any", SCHEMA_ANY},
	{"object", SCHEMA_OBJECT},
};

static const struct {
	const char *suffix;
	enum schema_form form;
} unions[] = {
	{"|bool", SCHEMA_OR_BOOL},
	{"|list", SCHEMA_OR_LIST},
	{"|strings", SCHEMA_OR_STRINGS},
};

/* Words a C member cannot be called: keywords, and macros of the C library and of gnu17. */
static const char *const reserved[] = {
	"auto",
	"bool",
	"break",
	"case",
	"char",
	"const",
	"continue",
	"default",
	"do",
	"double",
	"else",
	"enum",
	"errno",
	"extern",
	"float",
	"for",
	"goto",
	"i386",
	"if",
	"inline",
	"int",
	"linux",
	"long",
	"major",
	"minor",
	"register",
	"restrict",
	"return",
	"short",
	"signed",
	"sizeof",
	"static",
	"stderr",
	"stdin",
	"stdout",
	"struct",
	"switch",
	"typedef",
	"union",
	"unix",
	"unsigned",
	"void",
	"volatile",
	"while",
};

struct str
snake(struct arena *a, struct str s)
{
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], prev = i ? s.p[i - 1] : 0, next = i + 1 < s.n ? s.p[i + 1] : 0;
		bool plural = next == 's' && (i + 2 == s.n || isupper((unsigned char)s.p[i + 2]));

		if (c == '-' || c == '.' || c == '$' || c == '/') {
			buf_char(&b, '_');
			continue;
		}
		if (i && isupper((unsigned char)c) &&
			(islower((unsigned char)prev) || isdigit((unsigned char)prev) ||
				(isupper((unsigned char)prev) && islower((unsigned char)next) &&
					!plural)))
			buf_char(&b, '_');
		buf_char(&b, (char)tolower((unsigned char)c));
	}
	return buf_view(&b);
}

static struct str
member_name(struct arena *a, struct str json)
{
	struct str s = snake(a, json);

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq_c(s, reserved[i]))
			return arena_fmt(a, STR_FMT "_", STR_ARG(s));
	return s;
}

struct ctype *
model_type(const struct model *m, struct str group, struct str version, struct str name)
{
	for (size_t i = 0; i < m->n_types; i++) {
		struct ctype *t = m->types[i];

		if (!t->projection_of && str_eq(t->group, group) && str_eq(t->version, version) &&
			str_eq(t->name, name))
			return t;
	}
	return NULL;
}

/* type_of: "PodSpec" of the same group and version, or "core/v1/PodSpec". */
static struct ctype *
type_of(struct model *m, const struct ctype *from, struct str text, int line)
{
	struct str group = from->group, version = from->version, name = text, rest = STR_NONE;
	struct ctype *t = NULL;

	if (str_cut(text, '/', &group, &rest)) {
		if (!str_cut(rest, '/', &version, &name))
			die(from->file, line, "a type is Name or group/version/Name");
		if (str_eq_c(group, "core"))
			group = STR("");
	} else {
		group = from->group;
	}
	t = model_type(m, group, version, name);
	if (t == NULL)
		die(from->file, line, "unknown type '" STR_FMT "'", STR_ARG(text));
	return t;
}

static void
link_field(struct model *m, const struct ctype *t, struct cfield *f)
{
	struct str s = f->type_text;

	f->member = member_name(m->a, f->name);
	if (str_ends(s, STR("?"))) {
		f->flags |= SCHEMA_PTR;
		s = str_sub(s, 0, s.n - 1);
	}
	f->shape = SCHEMA_ONE;
	if (str_starts(s, STR("{}[]"))) {
		f->shape = SCHEMA_MAP_OF_LISTS;
		s = str_sub(s, 4, SIZE_MAX);
	} else if (str_starts(s, STR("{}"))) {
		f->shape = SCHEMA_MAP;
		s = str_sub(s, 2, SIZE_MAX);
	} else if (str_starts(s, STR("[]"))) {
		f->shape = SCHEMA_LIST;
		s = str_sub(s, 2, SIZE_MAX);
	}
	if (f->emit < 0)
		f->emit = f->flags & SCHEMA_REQUIRED ? SCHEMA_ALWAYS : SCHEMA_OMITEMPTY;
	if (f->number > UINT16_MAX)
		die(t->file, f->line, "protobuf number too large");
	for (size_t i = 0; i < ARRAY_LEN(scalars); i++) {
		if (str_eq_c(s, scalars[i].word)) {
			f->form = scalars[i].form;
			return;
		}
	}
	f->form = SCHEMA_STRUCT;
	for (size_t i = 0; i < ARRAY_LEN(unions); i++) {
		if (str_ends(s, str_c(unions[i].suffix))) {
			f->form = unions[i].form;
			s = str_sub(s, 0, s.n - strlen(unions[i].suffix));
		}
	}
	f->type = type_of(m, t, s, f->line);
	if (f->form == SCHEMA_STRUCT && f->shape == SCHEMA_ONE && !(f->flags & SCHEMA_PTR))
		f->flags |= SCHEMA_EMBEDDED;
}

/* add_list_type: DeploymentList {metadata, items}. */
static void
add_list_type(struct model *m, struct ctype *kind)
{
	struct ctype *t = ARENA_NEW(m->a, struct ctype);
	struct cfield *f = NULL;

	kind->kind->list_kind = arena_fmt(m->a, STR_FMT "List", STR_ARG(kind->name));
	*ARENA_PUSH(m->a, m->types, m->n_types) = t;
	t->file = kind->file;
	t->line = kind->line;
	t->group = kind->group;
	t->version = kind->version;
	t->label = kind->label;
	t->name = kind->kind->list_kind;
	t->root = true;
	t->description = arena_fmt(m->a, "a list of " STR_FMT " objects", STR_ARG(kind->name));
	f = ARENA_PUSH(m->a, t->fields, t->n_fields);
	*f = (struct cfield){.name = STR("metadata"),
		.type_text = STR("meta/v1/ListMeta"),
		.number = 1,
		.emit = -1,
		.line = kind->line,
		.description = STR("revision and place in a paged list")};
	f = ARENA_PUSH(m->a, t->fields, t->n_fields);
	*f = (struct cfield){.name = STR("items"),
		.number = 2,
		.emit = -1,
		.line = kind->line,
		.flags = SCHEMA_REQUIRED,
		.description = STR("the objects"),
		.type_text = arena_fmt(m->a, "[]" STR_FMT, STR_ARG(kind->name))};
}

/* flatten: kind and apiVersion first for roots; inlined fields take the place of their line. */
static void
flatten(struct model *m, struct ctype *t)
{
	struct cfield *out = NULL;
	size_t n = 0;

	if (t->flattened)
		return;
	t->flattened = true;
	if (t->root) {
		*ARENA_PUSH(m->a, out, n) = (struct cfield){.name = STR("kind"),
			.member = STR("kind"),
			.emit = SCHEMA_OMITEMPTY,
			.description = STR(
				"what this object is; the server knows it from the URL too")};
		*ARENA_PUSH(m->a, out, n) = (struct cfield){.name = STR("apiVersion"),
			.member = STR("api_version"),
			.emit = SCHEMA_OMITEMPTY,
			.description = STR("group and version in which the object is written")};
	}
	for (size_t i = 0; i < t->n_fields; i++) {
		struct cfield *f = &t->fields[i];

		if (!f->inline_type) {
			*ARENA_PUSH(m->a, out, n) = *f;
			continue;
		}
		flatten(m, f->type);
		*ARENA_PUSH(m->a, t->inlines, t->n_inlines) = (struct cinline){f->number, f->type};
		for (size_t j = 0; j < f->type->n_fields; j++) {
			struct cfield *in = ARENA_PUSH(m->a, out, n);

			*in = f->type->fields[j];
			in->number = 0;
			in->flags |= SCHEMA_INLINED;
		}
	}
	t->fields = out;
	t->n_fields = n;
}

static struct cfield *
field_named(struct ctype *t, struct str name)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (str_eq(t->fields[i].name, name))
			return &t->fields[i];
	return NULL;
}

/* project: t gets the fields of `of` that paths name; a field named with further members gets a type of
 * its own. Fields keep the declared order. */
static void
project(struct model *m, struct ctype *t, struct ctype *of)
{
	t->group = of->group;
	t->version = of->version;
	t->flattened = true;
	for (size_t i = 0; i < of->n_fields; i++) {
		struct cfield *f = &of->fields[i], *mine = NULL;
		struct ctype *sub = NULL;

		for (size_t j = 0; j < t->n_paths; j++) {
			struct str head = STR_NONE, rest = STR_NONE;

			str_cut(t->paths[j].path, '.', &head, &rest);
			if (field_named(of, head) == NULL)
				die(t->file, t->paths[j].line, "unknown field '" STR_FMT "'",
					STR_ARG(head));
			if (!str_eq(head, f->name))
				continue;
			if (mine == NULL) {
				mine = ARENA_PUSH(m->a, t->fields, t->n_fields);
				*mine = *f;
			}
			if (!str_is_set(rest))
				continue;
			if (f->type == NULL)
				die(t->file, t->paths[j].line, "'" STR_FMT "' has no members",
					STR_ARG(head));
			if (sub == NULL) {
				sub = ARENA_NEW(m->a, struct ctype);
				sub->file = t->file;
				sub->label = t->label;
				sub->version = t->version;
				sub->name = f->type->name;
				sub->projection_of = f->type;
				sub->cname = arena_fmt(m->a, STR_FMT "_" STR_FMT, STR_ARG(t->cname),
					STR_ARG(snake(m->a, f->name)));
			}
			*ARENA_PUSH(m->a, sub->paths, sub->n_paths) = (struct cpath){
				rest, t->paths[j].line};
		}
		if (sub) {
			project(m, sub, f->type);
			mine->type = sub;
			*ARENA_PUSH(m->a, m->types, m->n_types) = sub;
		}
	}
}

/* mark_defaults: types that have a default, or hold one that has, until nothing changes. */
static void
mark_defaults(struct model *m)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < m->n_types; i++) {
			struct ctype *t = m->types[i];
			bool now = t->hook;

			for (size_t j = 0; j < t->n_fields; j++) {
				const struct cfield *f = &t->fields[j];

				now |= f->dflt.n || (f->flags & SCHEMA_OFF) ||
					(f->type && f->type->defaults);
			}
			changed |= now != t->defaults;
			t->defaults = now;
		}
	}
}

static int
type_cmp(const void *x, const void *y)
{
	const struct ctype *a = *(struct ctype *const *)x, *b = *(struct ctype *const *)y;
	int c = str_cmp(a->group, b->group);

	if (c == 0)
		c = str_cmp(a->version, b->version);
	if (c == 0)
		c = str_cmp(a->name, b->name);
	return c ? c : str_cmp(a->cname, b->cname);
}

static int
group_cmp(const void *x, const void *y)
{
	const struct cgroup *a = x, *b = y;

	return a->order != b->order ? (a->order < b->order ? -1 : 1) : str_cmp(a->group, b->group);
}

static void
link_names(struct model *m)
{
	for (size_t i = 0; i < m->n_types; i++) {
		struct ctype *t = m->types[i];

		if (!t->projection_of)
			t->cname = arena_fmt(m->a, STR_FMT "_" STR_FMT "_" STR_FMT,
				STR_ARG(t->label), STR_ARG(t->version),
				STR_ARG(snake(m->a, t->name)));
		for (size_t j = 0; j < i; j++)
			if (str_eq(m->types[j]->cname, t->cname))
				die(t->file, t->line, "the type '" STR_FMT "' is there already",
					STR_ARG(t->cname));
	}
}

void
model_link(struct model *m)
{
	size_t n = m->n_types;

	for (size_t i = 0; i < n; i++)
		if (m->types[i]->kind && m->types[i]->kind->has_list_type)
			add_list_type(m, m->types[i]);
	link_names(m);
	for (size_t i = 0; i < m->n_types; i++) {
		struct ctype *t = m->types[i];

		for (size_t j = 0; j < t->n_fields; j++)
			link_field(m, t, &t->fields[j]);
		for (size_t j = 0; t->kind && j < t->kind->n_subs; j++)
			t->kind->subs[j].type = type_of(m, t, t->kind->subs[j].type_text, t->line);
	}
	for (size_t i = 0; i < m->n_types; i++)
		flatten(m, m->types[i]);
	n = m->n_types;
	for (size_t i = 0; i < n; i++)
		if (m->types[i]->projection_of)
			project(m, m->types[i], m->types[i]->projection_of);
	for (size_t i = 0; i < m->n_types; i++)
		for (size_t j = 0; j < m->types[i]->n_fields; j++)
			for (size_t k = 0; k < j; k++)
				if (str_eq(m->types[i]->fields[j].name,
					    m->types[i]->fields[k].name))
					die(m->types[i]->file, m->types[i]->fields[j].line,
						"the field stands twice");
	mark_defaults(m);
	qsort(m->types, m->n_types, sizeof(*m->types), type_cmp);
	qsort(m->groups, m->n_groups, sizeof(*m->groups), group_cmp);
}
