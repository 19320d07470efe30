/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * validate_meta: what every object's metadata must be, and what of it may change.
 * Source: k8s.io/apimachinery api/validation ValidateObjectMetaAccessor and ...Update (behaviour, texts). */
#include "orchestrator/schema/validate_int.h"

#define ANNOTATIONS_MAX (256u * 1024)

static void
check_name(const struct schema_kind *k, const struct doc *meta, struct schema_errors *errs)
{
	enum schema_format f = (enum schema_format)k->name_format;
	struct str name = doc_get_str(meta, STR("name")),
		   prefix = doc_get_str(meta, STR("generateName"));
	struct str masked = prefix;

	if (prefix.n) {
		if (f != FORMAT_PATH_SEGMENT && prefix.n > 1 && prefix.p[prefix.n - 1] == '-')
			masked = arena_fmt(
				errs->a, STR_FMT "a", STR_ARG(str_sub(prefix, 0, prefix.n - 2)));
		if (format_check(errs->a, f, masked))
			schema_err_invalid(errs, STR("metadata.generateName"), prefix,
				format_check(errs->a, f, masked));
	}
	if (name.n == 0)
		schema_err_required(errs, STR("metadata.name"), "name or generateName is required");
	else
		schema_err_format(errs, STR("metadata.name"), f, name);
}

static void
check_namespace(const struct schema_kind *k, const struct doc *meta, struct schema_errors *errs)
{
	struct str ns = doc_get_str(meta, STR("namespace"));

	if (!k->namespaced && ns.n)
		schema_err_forbidden(errs, STR("metadata.namespace"), "not allowed on this type");
	if (k->namespaced && ns.n == 0)
		schema_err_required(errs, STR("metadata.namespace"), NULL);
	if (k->namespaced && ns.n)
		schema_err_format(errs, STR("metadata.namespace"), FORMAT_DNS_LABEL, ns);
}

static struct str
lower(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; p && i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	return str_from(p, p ? s.n : 0);
}

void
schema_validate_labels(const struct doc *labels, struct str path, struct schema_errors *errs)
{
	DOC_EACH (m, labels) {
		schema_err_format(errs, path, FORMAT_QUALIFIED_NAME, m->key);
		schema_err_format(errs, path, FORMAT_LABEL_VALUE, doc_as_str(m));
	}
}

void
schema_validate_annotations(
	const struct doc *annotations, struct str path, struct schema_errors *errs)
{
	size_t total = 0;

	DOC_EACH (m, annotations) {
		const char *why = format_check(
			errs->a, FORMAT_QUALIFIED_NAME, lower(errs->a, m->key));

		if (why)
			schema_err_invalid(errs, path, m->key, why);
		total += m->key.n + doc_as_str(m).n;
	}
	if (total > ANNOTATIONS_MAX)
		schema_err_too_long(errs, path, ANNOTATIONS_MAX);
}

static void
check_owners(const struct doc *owners, struct schema_errors *errs)
{
	static const char *const must[] = {"apiVersion", "kind", "name", "uid"};
	struct str path = STR("metadata.ownerReferences"), controller = STR_NONE, at = STR_NONE;
	size_t i = 0;

	DOC_EACH (o, owners) {
		struct str kind = doc_get_str(o, STR("kind")),
			   version = doc_get_str(o, STR("apiVersion"));

		at = schema_path_index(errs, path, i++);
		for (size_t j = 0; j < ARRAY_LEN(must); j++)
			if (doc_get_str(o, str_c(must[j])).n == 0)
				schema_err_required(errs,
					schema_path_child(errs, at, str_c(must[j])),
					"must not be empty");
		if (str_find_char(version, '/') != str_rfind_char(version, '/') ||
			str_ends(version, STR("/")))
			schema_err_invalid(errs, schema_path_child(errs, at, STR("apiVersion")),
				version, "must be <group>/<version> or <version>");
		if (str_eq_c(kind, "Event") && str_eq_c(version, "v1"))
			schema_error_add(errs, SCHEMA_CAUSE_INVALID, at, o,
				STR("/v1, Kind=Event is disallowed from being an owner"));
		if (!doc_get_bool(o, STR("controller"), false))
			continue;
		struct str me = arena_fmt(errs->a, STR_FMT "/" STR_FMT, STR_ARG(kind),
			STR_ARG(doc_get_str(o, STR("name"))));

		if (str_is_set(controller))
			schema_error_fmt(errs, SCHEMA_CAUSE_INVALID, path, owners,
				"Only one reference can have Controller set to true. Found \"true\" in references "
				"for " STR_FMT " and " STR_FMT,
				STR_ARG(controller), STR_ARG(me));
		else
			controller = me;
	}
}

/* Kinds whose finalizers need no domain in front. */
static const struct {
	const char *group, *kind; /* NULL: all of the group */
} plain_finalizers[] = {
	{"", "Event"},
	{"events.k8s.io", "Event"},
	{"coordination.k8s.io", "Lease"},
	{"node.k8s.io", "RuntimeClass"},
	{"policy", "PodDisruptionBudget"},
	{"admissionregistration.k8s.io", NULL},
	{"apiextensions.k8s.io", NULL},
	{"apiregistration.k8s.io", NULL},
};

static bool
plain_finalizers_ok(const struct schema_kind *k)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_finalizers); i++)
		if (strcmp(k->group, plain_finalizers[i].group) == 0 &&
			(plain_finalizers[i].kind == NULL ||
				strcmp(k->kind, plain_finalizers[i].kind) == 0))
			return true;
	return k->custom;
}

static void
check_finalizers(
	const struct schema_kind *k, const struct doc *finalizers, struct schema_errors *errs)
{
	static const char *const standard[] = {"orphan", "foregroundDeletion", "kubernetes"};
	struct str path = STR("metadata.finalizers");
	bool orphan = false, foreground = false, plain_ok = plain_finalizers_ok(k);
	size_t n = 0;

	DOC_EACH (f, finalizers)
		schema_err_format(errs, path, FORMAT_QUALIFIED_NAME, doc_as_str(f));
	DOC_EACH (f, finalizers) {
		bool known = plain_ok || str_find_char(doc_as_str(f), '/') >= 0;

		for (size_t i = 0; i < ARRAY_LEN(standard); i++)
			known |= str_eq_c(doc_as_str(f), standard[i]);
		if (!known)
			schema_err_invalid(errs, schema_path_index(errs, path, n), doc_as_str(f),
				"name is neither a standard finalizer name nor is it fully qualified");
		n++;
		orphan |= str_eq_c(doc_as_str(f), "orphan");
		foreground |= str_eq_c(doc_as_str(f), "foregroundDeletion");
	}
	if (orphan && foreground)
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, path, finalizers,
			STR("finalizer orphan and foregroundDeletion cannot be both set"));
}

static bool
has_item(const struct doc *list, struct str s)
{
	DOC_EACH (item, list)
		if (str_eq(doc_as_str(item), s))
			return true;
	return false;
}

static void
check_new_finalizers(const struct doc *now, const struct doc *was, struct schema_errors *errs)
{
	struct buf b;

	buf_init_arena(&b, errs->a);
	DOC_EACH (f, now) {
		if (has_item(was, doc_as_str(f)))
			continue;
		buf_cstr(&b, b.len ? ", " : "");
		doc_json_string(&b, doc_as_str(f));
	}
	if (b.len)
		schema_error_fmt(errs, SCHEMA_CAUSE_FORBIDDEN, STR("metadata.finalizers"), NULL,
			"no new finalizers can be added if the object is being deleted, found new finalizers "
			"[]string{" STR_FMT "}",
			STR_ARG(buf_view(&b)));
}

static void
check_update(const struct doc *now, const struct doc *was, struct schema_errors *errs)
{
	static const char *const fixed[] = {"name", "namespace", "uid", "creationTimestamp",
		"deletionTimestamp", "deletionGracePeriodSeconds"};
	int64_t generation = doc_get_int(now, STR("generation"), 0);

	if (doc_get(was, STR("deletionTimestamp")))
		check_new_finalizers(
			doc_get(now, STR("finalizers")), doc_get(was, STR("finalizers")), errs);
	if (generation < doc_get_int(was, STR("generation"), 0))
		schema_err_invalid_int(
			errs, STR("metadata.generation"), generation, "must not be decremented");
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		const struct doc *v = doc_get(now, str_c(fixed[i])),
				 *old = doc_get(was, str_c(fixed[i]));

		if (!(doc_is_zero(v) && doc_is_zero(old)) && !doc_equal(v, old))
			schema_error_add(errs, SCHEMA_CAUSE_INVALID,
				schema_path(errs, "metadata.%s", fixed[i]),
				v ? v : doc_null(errs->a), str_c(format_text_immutable));
	}
}

void
schema_validate_metadata(const struct schema_kind *k, const struct doc *obj, const struct doc *old,
	struct schema_errors *errs)
{
	const struct doc *meta = doc_get(obj, STR("metadata"));
	const struct doc *was = doc_get(old, STR("metadata"));

	if (!(k->flags & SCHEMA_KIND_STORED))
		return;
	if (old) {
		check_update(meta, was, errs);
	} else {
		check_name(k, meta, errs);
		check_namespace(k, meta, errs);
	}
	check_finalizers(k, doc_get(meta, STR("finalizers")), errs);
	if (doc_get_int(meta, STR("generation"), 0) < 0)
		schema_err_invalid_int(errs, STR("metadata.generation"),
			doc_get_int(meta, STR("generation"), 0), format_text_not_negative);
	schema_validate_labels(doc_get(meta, STR("labels")), STR("metadata.labels"), errs);
	schema_validate_annotations(
		doc_get(meta, STR("annotations")), STR("metadata.annotations"), errs);
	check_owners(doc_get(meta, STR("ownerReferences")), errs);
}
