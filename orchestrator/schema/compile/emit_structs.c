/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * emit_structs: one C header for each group and version: a struct for each type, in an order in which
 * what is held in place is complete before it is used, and the declaration of its table. */
#include "orchestrator/schema/compile/model.h"

/* C type of one value as a list element (and of a plain member). */
static void
value_type(struct buf *out, const struct cfield *f)
{
	switch (f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
		buf_cstr(out, "struct str ");
		break;
	case SCHEMA_BOOL:
		buf_cstr(out, "bool ");
		break;
	case SCHEMA_INT32:
		buf_cstr(out, "int32_t ");
		break;
	case SCHEMA_INT64:
	case SCHEMA_TIME:
	case SCHEMA_MICROTIME:
	case SCHEMA_DURATION:
		buf_cstr(out, "int64_t ");
		break;
	case SCHEMA_DOUBLE:
		buf_cstr(out, "double ");
		break;
	case SCHEMA_INTSTR:
		buf_cstr(out, "struct int_or_str ");
		break;
	case SCHEMA_ANY:
	case SCHEMA_OBJECT:
	case SCHEMA_OR_BOOL:
	case SCHEMA_OR_LIST:
	case SCHEMA_OR_STRINGS:
		buf_cstr(out, "struct doc *");
		break;
	case SCHEMA_STRUCT:
		buf_fmt(out, "struct " STR_FMT " ", STR_ARG(f->type->cname));
		break;
	case SCHEMA_FORM__COUNT:
		break;
	}
}

static bool
has_flag(const struct cfield *f)
{
	return (f->flags & SCHEMA_PTR) && f->shape == SCHEMA_ONE &&
		(f->form == SCHEMA_BOOL || f->form == SCHEMA_INT32 || f->form == SCHEMA_INT64 ||
			f->form == SCHEMA_DOUBLE || f->form == SCHEMA_DURATION);
}

static void
map_type(struct buf *out, const struct ctype *t, const struct cfield *f)
{
	switch (f->form) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_QUANTITY:
		buf_cstr(out,
			f->shape == SCHEMA_MAP ? "struct str_pair *" : "struct str_list_pair *");
		break;
	case SCHEMA_TIME:
		buf_cstr(out, "struct i64_pair *");
		break;
	case SCHEMA_STRUCT:
		buf_fmt(out, "struct " STR_FMT "_pair *", STR_ARG(f->type->cname));
		break;
	case SCHEMA_ANY:
	case SCHEMA_OR_STRINGS:
		buf_cstr(out, "struct doc_pair *");
		break;
	default:
		die(t->file, f->line, "a map of this form has no C type yet");
	}
}

static void
emit_member(struct buf *out, const struct ctype *t, const struct cfield *f)
{
	buf_char(out, '\t');
	switch (f->shape) {
	case SCHEMA_ONE:
		value_type(out, f);
		if (f->form == SCHEMA_STRUCT && (f->flags & SCHEMA_PTR))
			buf_char(out, '*');
		break;
	case SCHEMA_LIST:
		value_type(out, f);
		buf_char(out, '*');
		break;
	case SCHEMA_MAP:
	case SCHEMA_MAP_OF_LISTS:
		map_type(out, t, f);
		break;
	}
	buf_str(out, f->member);
	buf_cstr(out, ";");
	if (f->description.n)
		buf_fmt(out, " /* " STR_FMT " */", STR_ARG(f->description));
	buf_char(out, '\n');
	if (f->shape != SCHEMA_ONE)
		buf_fmt(out, "\tsize_t n_" STR_FMT ";\n", STR_ARG(f->member));
	else if (has_flag(f))
		buf_fmt(out, "\tbool has_" STR_FMT ";\n", STR_ARG(f->member));
}

static void
emit_struct(struct buf *out, struct ctype *t)
{
	if (t->emitted)
		return;
	if (t->in_progress)
		die(t->file, t->line, "a type holds itself in place: use a pointer (?)");
	t->in_progress = true;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct cfield *f = &t->fields[i];

		if (f->form == SCHEMA_STRUCT && (f->flags & SCHEMA_EMBEDDED) &&
			str_eq(f->type->label, t->label) && str_eq(f->type->version, t->version))
			emit_struct(out, f->type);
	}
	t->in_progress = false;
	t->emitted = true;
	buf_cstr(out, "\n");
	if (t->description.n)
		buf_fmt(out, "/* " STR_FMT " */\n", STR_ARG(t->description));
	buf_fmt(out, "struct " STR_FMT " {\n", STR_ARG(t->cname));
	for (size_t i = 0; i < t->n_fields; i++)
		emit_member(out, t, &t->fields[i]);
	if (t->n_fields == 0)
		buf_cstr(out, "\tchar nothing;\n");
	buf_cstr(out, "};\n");
	buf_fmt(out, "extern const struct schema_type schema_type_" STR_FMT ";\n",
		STR_ARG(t->cname));
}

/* emit_pairs: {key, value} of maps whose values are structs; declared where first used. */
static void
emit_pairs(struct model *m, struct buf *out, struct str label, struct str version)
{
	for (size_t i = 0; i < m->n_types; i++) {
		struct ctype *t = m->types[i];
		bool used = false;

		if (!str_eq(t->label, label) || !str_eq(t->version, version))
			continue;
		for (size_t j = 0; j < m->n_types && !used; j++)
			for (size_t k = 0; k < m->types[j]->n_fields; k++) {
				const struct cfield *f = &m->types[j]->fields[k];

				used |= f->type == t && f->form == SCHEMA_STRUCT &&
					f->shape == SCHEMA_MAP;
			}
		if (!used)
			continue;
		buf_fmt(out,
			"\nstruct " STR_FMT "_pair {\n\tstruct str key;\n\tstruct " STR_FMT
			" value;\n};\n",
			STR_ARG(t->cname), STR_ARG(t->cname));
		buf_fmt(out,
			"_Static_assert(offsetof(struct " STR_FMT
			"_pair, value) == 16, \"pair\");\n",
			STR_ARG(t->cname));
	}
}

/* emit_includes: other groups' headers whose structs are held in place or listed here. */
static void
emit_includes(struct model *m, struct buf *out, struct str label, struct str version)
{
	struct str *seen = NULL;
	size_t n = 0;

	for (size_t i = 0; i < m->n_types; i++) {
		const struct ctype *t = m->types[i];

		if (!str_eq(t->label, label) || !str_eq(t->version, version))
			continue;
		for (size_t j = 0; j < t->n_fields; j++) {
			const struct ctype *u = t->fields[j].type;
			struct str inc = STR_NONE;
			bool known = false;

			if (u == NULL || (str_eq(u->label, label) && str_eq(u->version, version)))
				continue;
			inc = arena_fmt(
				m->a, STR_FMT "_" STR_FMT, STR_ARG(u->label), STR_ARG(u->version));
			for (size_t k = 0; k < n; k++)
				known |= str_eq(seen[k], inc);
			if (known)
				continue;
			*ARENA_PUSH(m->a, seen, n) = inc;
			buf_fmt(out, "#include \"kinds/" STR_FMT ".h\"\n", STR_ARG(inc));
		}
	}
}

void
emit_structs(struct model *m, struct str label, struct str version, struct buf *out)
{
	buf_fmt(out,
		"/* Made by the schema compiler from kinds/" STR_FMT "_" STR_FMT
		".schema: do not edit. */\n",
		STR_ARG(label), STR_ARG(version));
	buf_fmt(out,
		"#ifndef KINDS_" STR_FMT "_" STR_FMT "_H\n#define KINDS_" STR_FMT "_" STR_FMT
		"_H\n\n",
		STR_ARG(label), STR_ARG(version), STR_ARG(label), STR_ARG(version));
	buf_cstr(out, "#include \"orchestrator/schema/schema.h\"\n");
	emit_includes(m, out, label, version);
	for (size_t i = 0; i < m->n_types; i++)
		if (str_eq(m->types[i]->label, label) && str_eq(m->types[i]->version, version))
			emit_struct(out, m->types[i]);
	emit_pairs(m, out, label, version);
	buf_cstr(out, "\n#endif\n");
}
