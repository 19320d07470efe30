/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_crd: what a CustomResourceDefinition must be besides its schemas (checks_crd_schema.c): names, versions,
 * columns, subresources, selectable fields, conversion, approval of groups that belong to Kubernetes.
 *
 * A write that leaves spec alone is not looked at again (status is written often, schemas are large).
 * Source: apiextensions-apiserver pkg/apis/apiextensions/validation (behaviour and texts), pkg/apihelpers. */
#include "orchestrator/schema/checks_crd_int.h"
#include "orchestrator/schema/schema_structural.h"

#define SELECTABLE_MAX 8

static const char *
format_fault(const struct schema_spot *s, struct str name)
{
	return format_check(s->errs->a, FORMAT_DNS1035_LABEL, name);
}

/* ---- names ---- */

static void
check_name_list(
	const struct schema_spot *s, const struct doc *names, const char *at, const char *list)
{
	size_t i = 0;

	DOC_EACH (x, get(names, list)) {
		const char *bad = format_fault(s, doc_as_str(x));

		if (bad)
			INVALID(doc_as_str(x), bad, "%s.%s[%zu]", at, list, i);
		i++;
	}
}

static void
check_names(const struct schema_spot *s, const struct doc *names, const char *at)
{
	static const char *const plain[] = {"plural", "singular"},
				 *const mixed[] = {"kind", "listKind"};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct str v = text(names, plain[i]);

		if (v.n && format_fault(s, v))
			INVALID(v, format_fault(s, v), "%s.%s", at, plain[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(mixed); i++) {
		struct str v = text(names, mixed[i]);
		const char *bad = v.n ? format_fault(s, lower_text(s->errs->a, v)) : NULL;

		if (bad)
			INVALID(v,
				arena_fmt(s->errs->a,
					"may have mixed case, but should otherwise match: %s", bad)
					.p,
				"%s.%s", at, mixed[i]);
	}
	check_name_list(s, names, at, "shortNames");
	if (text(names, "kind").n && str_eq(text(names, "kind"), text(names, "listKind")))
		INVALID(text(names, "listKind"), "kind and listKind may not be the same",
			"%s.listKind", at);
	check_name_list(s, names, at, "categories");
}

static void
check_group(const struct schema_spot *s, struct str group)
{
	const char *bad = group.n ? format_check(s->errs->a, FORMAT_DNS_SUBDOMAIN, group) : NULL;

	if (group.n && bad)
		INVALID(group, bad, "spec.group");
	else if (group.n && str_find_char(group, '.') < 0)
		INVALID(group, "should be a domain with at least one dot", "spec.group");
}

/* ---- one version ---- */

static void
check_json_path(const struct schema_spot *s, struct str path, struct str at)
{
	if (path.n && path.p[0] != '.')
		schema_err_invalid(s->errs, at, path, "must be a simple json path starting with .");
}

static void
check_columns(const struct schema_spot *s, const struct doc *v, size_t version)
{
	static const char *const types[] = {"integer", "number", "string", "boolean", "date", NULL};
	static const char *const formats[] = {
		"int32", "int64", "float", "double", "byte", "date", "date-time", "password", NULL};
	size_t i = 0;

	DOC_EACH (c, get(v, "additionalPrinterColumns")) {
		struct str at = AT("spec.versions[%zu].additionalPrinterColumns[%zu]", version, i);
		struct str type = text(c, "type"), format = text(c, "format");

		if (type.n && !one_of(types, type))
			INVALID(type, "must be one of boolean,date,integer,number,string",
				STR_FMT ".type", STR_ARG(at));
		if (format.n && !one_of(formats, format))
			INVALID(format,
				"must be one of "
				"byte,date,date-time,double,float,int32,int64,password",
				STR_FMT ".format", STR_ARG(at));
		if (text(c, "jsonPath").n == 0)
			REQUIRED(NULL, STR_FMT ".JSONPath", STR_ARG(at));
		check_json_path(s, text(c, "jsonPath"), AT(STR_FMT ".JSONPath", STR_ARG(at)));
		i++;
	}
}

static void
check_scale(const struct schema_spot *s, const struct doc *v, size_t version)
{
	static const struct {
		const char *name, *under, *why;
	} paths[] = {
		{"specReplicasPath", ".spec.", "should be a json path under .spec"},
		{"statusReplicasPath", ".status.", "should be a json path under .status"},
		{"labelSelectorPath", NULL, "should be a json path under either .spec or .status"},
	};
	const struct doc *scale = get(get(v, "subresources"), "scale");

	for (size_t i = 0; scale && i < ARRAY_LEN(paths); i++) {
		struct str path = text(scale, paths[i].name);
		struct str at = AT(
			"spec.versions[%zu].subresources.scale.%s", version, paths[i].name);
		bool under = paths[i].under
			? str_starts(path, str_c(paths[i].under))
			: str_starts(path, STR(".spec.")) || str_starts(path, STR(".status."));

		if (path.n == 0)
			continue; /* the field's own rule */
		if (path.p[0] != '.')
			check_json_path(s, path, at);
		else if (!under)
			schema_err_invalid(s->errs, at, path, paths[i].why);
	}
}

/* The schema a simple path leads to: members only. NULL = none. */
static const struct doc *
schema_at(const struct doc *schema, struct str path)
{
	struct str rest = str_sub(path, 1, SIZE_MAX), part;

	if (path.n < 2 || path.p[0] != '.')
		return NULL;
	while (schema && str_next(&rest, '.', &part))
		schema = part.n ? doc_get(get(schema, "properties"), part) : NULL;
	return schema;
}

static void
check_selectable(const struct schema_spot *s, const struct doc *v, size_t version)
{
	const struct doc *list = get(v, "selectableFields"),
			 *schema = get(get(v, "schema"), "openAPIV3Schema");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0, n = 0;

	DOC_EACH (f, list) {
		struct str at = AT(
			"spec.versions[%zu].selectableFields[%zu].jsonPath", version, i++);
		struct str path = text(f, "jsonPath");
		const struct doc *target = schema_at(schema, path);

		if (path.n == 0)
			continue;
		if (target == NULL) {
			schema_err_invalid(s->errs, at, path,
				arena_fmt(s->errs->a,
					"is an invalid path: does not refer to a valid field")
					.p);
			continue;
		}
		if (str_starts(path, STR(".metadata")))
			schema_err_invalid(
				s->errs, at, path, "must not point to fields in metadata");
		if (!is(target, "type", "string") && !is(target, "type", "boolean") &&
			!is(target, "type", "integer"))
			schema_err_invalid(s->errs, at, path,
				"must point to a field of type string, boolean or integer. Enum string "
				"fields and strings with formats are allowed.");
		if (names_add(&seen, path, f))
			n++;
		else
			schema_err_duplicate(s->errs, at, path);
	}
	if (n > SELECTABLE_MAX)
		schema_err_too_many(s->errs, AT("spec.versions[%zu].selectableFields", version), n,
			SELECTABLE_MAX);
}

static void
check_deprecation(const struct schema_spot *s, const struct doc *v, size_t version)
{
	const struct doc *w = get(v, "deprecationWarning");
	const char *why = NULL;

	if (w == NULL || w->type != DOC_STR)
		return;
	if (!flag(v, "deprecated"))
		why = "can only be set for deprecated versions";
	else if (w->s.n > 256)
		why = "must be <= 256 characters long";
	else if (w->s.n == 0)
		why = "must not be an empty string";
	for (size_t i = 0; why == NULL && i < w->s.n; i++)
		if ((unsigned char)w->s.p[i] < ' ' || w->s.p[i] == 0x7f)
			why = arena_fmt(s->errs->a,
				"must only contain printable UTF-8 characters; non-printable character "
				"found at index %zu",
				i)
				      .p;
	if (why)
		INVALID(w->s, why, "spec.versions[%zu].deprecationWarning", version);
}

static void
check_versions(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *versions = get(spec, "versions");
	struct names seen = names_new(s->errs->a, doc_len(versions));
	size_t i = 0, storage = 0;
	bool unique = true;

	DOC_EACH (v, versions) {
		const struct doc *schema = get(get(v, "schema"), "openAPIV3Schema");
		bool status = get(get(v, "subresources"), "status") != NULL;

		storage += flag(v, "storage");
		unique = names_add(&seen, text(v, "name"), v) && unique;
		check_deprecation(s, v, i);
		if (schema == NULL || schema->type != DOC_MAP)
			REQUIRED(NULL, "spec.versions[%zu].schema.openAPIV3Schema", i);
		else
			crd_check_schema(schema, status,
				AT("spec.versions[%zu].schema.openAPIV3Schema", i), s->errs);
		check_scale(s, v, i);
		check_columns(s, v, i);
		check_selectable(s, v, i);
		i++;
	}
	if (!unique)
		INVALID_DOC(versions, "must contain unique version names", "spec.versions");
	if (storage != 1)
		INVALID_DOC(versions ? versions : doc_null(s->errs->a),
			"must have exactly one version marked as storage version", "spec.versions");
}

/* ---- conversion ---- */

static void
check_review_versions(const struct schema_spot *s, const struct doc *list)
{
	size_t i = 0;
	bool known = false;

	if (doc_len(list) == 0)
		REQUIRED(NULL, "spec.conversion.conversionReviewVersions");
	DOC_EACH (v, list) {
		const char *bad = format_fault(s, doc_as_str(v));

		if (bad)
			INVALID(doc_as_str(v), bad, "spec.conversion.conversionReviewVersions[%zu]",
				i);
		for (const struct doc *o = list->first; o != v; o = o->next)
			if (doc_equal(o, v))
				INVALID(doc_as_str(v), "duplicate version",
					"spec.conversion.conversionReviewVersions[%zu]", i);
		known = known || str_eq_c(doc_as_str(v), "v1") ||
			str_eq_c(doc_as_str(v), "v1beta1");
		i++;
	}
	if (doc_len(list) && !known)
		INVALID_DOC(list, "must include at least one of v1, v1beta1",
			"spec.conversion.conversionReviewVersions");
}

static void
check_conversion(const struct schema_spot *s, const struct doc *c)
{
	const struct doc *hook = get(c, "webhook"), *client = get(hook, "clientConfig");

	if (!is(c, "strategy", "Webhook")) {
		if (client)
			FORBIDDEN("should not be set when strategy is not set to Webhook",
				"spec.conversion.webhookClientConfig");
		if (doc_len(get(hook, "conversionReviewVersions")))
			FORBIDDEN("should not be set when strategy is not set to Webhook",
				"spec.conversion.conversionReviewVersions");
		return;
	}
	if (client == NULL)
		REQUIRED("required when strategy is set to Webhook",
			"spec.conversion.webhookClientConfig");
	else if ((get(client, "url") != NULL) == (get(client, "service") != NULL))
		REQUIRED("exactly one of url or service is required",
			"spec.conversion.webhookClientConfig");
	else if (get(client, "url") && !str_starts(text(client, "url"), STR("https://")))
		INVALID(text(client, "url"),
			"'https' is the only allowed URL scheme; desired format: "
			"https://host[/path]",
			"spec.conversion.webhookClientConfig.url");
	check_review_versions(s, get(hook, "conversionReviewVersions"));
}

/* ---- groups of Kubernetes ---- */

enum approval { APPROVAL_INVALID, APPROVED, BYPASSED, MISSING };
#define APPROVAL "api-approved.kubernetes.io"

static enum approval
approval_of(const struct doc *d)
{
	struct str v = doc_get_str(get(get(d, "metadata"), "annotations"), STR(APPROVAL));
	ptrdiff_t at = str_find(v, STR("://"));

	if (v.n == 0)
		return MISSING;
	if (str_starts(v, STR("unapproved")))
		return BYPASSED;
	return at > 0 && (size_t)at + 3 < v.n ? APPROVED : APPROVAL_INVALID;
}

static void
check_approval(const struct schema_spot *s, const struct doc *d, const struct doc *old)
{
	struct str group = text(get(d, "spec"), "group");
	struct str v = doc_get_str(get(get(d, "metadata"), "annotations"), STR(APPROVAL));
	bool theirs = str_eq_c(group, "k8s.io") || str_ends(group, STR(".k8s.io")) ||
		str_eq_c(group, "kubernetes.io") || str_ends(group, STR(".kubernetes.io"));
	enum approval now = approval_of(d);

	if (!theirs || (old && approval_of(old) == now))
		return;
	if (now == MISSING)
		REQUIRED("protected groups must have approval annotation \"" APPROVAL
			 "\", see https://github.com/kubernetes/enhancements/pull/1111",
			"metadata.annotations[" APPROVAL "]");
	if (now == APPROVAL_INVALID)
		INVALID(v,
			"protected groups must have approval annotation \"" APPROVAL
			"\" with either a URL or a reason starting with \"unapproved\", see "
			"https://github.com/kubernetes/enhancements/pull/1111",
			"metadata.annotations[" APPROVAL "]");
}

/* ---- the definition ---- */

static bool
is_established(const struct doc *d)
{
	DOC_EACH (c, get(get(d, "status"), "conditions"))
		if (is(c, "type", "Established"))
			return is(c, "status", "True");
	return false;
}

static void
check_stored(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *stored = get(get(d, "status"), "storedVersions");
	const struct doc *versions = get(get(d, "spec"), "versions");
	struct names known = names_of(s->errs->a, versions, "name");
	size_t i = 0;

	if (doc_len(stored) == 0) {
		INVALID_DOC(stored && stored->type == DOC_LIST ? stored : doc_null(s->errs->a),
			"must have at least one stored version", "status.storedVersions");
		return;
	}
	DOC_EACH (v, versions)
		if (flag(v, "storage") && !has_text(stored, text(v, "name")))
			INVALID_DOC(stored,
				arena_fmt(s->errs->a, "must have the storage version " STR_FMT,
					STR_ARG(text(v, "name")))
					.p,
				"status.storedVersions");
	DOC_EACH (x, stored) {
		struct str v = doc_as_str(x);

		if (!names_find(&known, v))
			INVALID(v,
				arena_fmt(s->errs->a,
					"missing from spec.versions; " STR_FMT
					" was previously a storage version, and must remain in "
					"spec.versions until a storage migration ensures no data remains "
					"persisted in " STR_FMT " and removes " STR_FMT
					" from status.storedVersions",
					STR_ARG(v), STR_ARG(v), STR_ARG(v))
					.p,
				"status.storedVersions[%zu]", i);
		i++;
	}
}

static void
check_kept(const struct schema_spot *s, const struct doc *spec, const struct doc *old, bool served)
{
	static const struct {
		const char *outer, *inner, *path;
		bool served;
	} kept[] = {
		{"scope", NULL, "spec.scope", true},
		{"names", "kind", "spec.names.kind", true},
		{"group", NULL, "spec.group", false},
		{"names", "plural", "spec.names.plural", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const struct doc *x = get(spec, kept[i].outer), *y = get(old, kept[i].outer);

		if (kept[i].inner) {
			x = get(x, kept[i].inner);
			y = get(y, kept[i].inner);
		}
		if ((served || !kept[i].served) && differs(x, y))
			INVALID_DOC(x ? x : doc_null(s->errs->a), format_text_immutable, "%s",
				kept[i].path);
	}
}

CHECK(apiextensions_v1_custom_resource_definition)
{
	static const char *const needed[] = {"plural", "singular", "kind", "listKind"};
	const struct doc *spec = get(d, "spec"), *names = get(spec, "names"),
			 *was = get(old, "spec");
	struct str name = text(get(d, "metadata"), "name");

	check_names(s, get(get(d, "status"), "acceptedNames"), "status.acceptedNames");
	if (was && doc_equal(spec, was)) {
		check_approval(s, d, old);
		return;
	}
	if (old == NULL && name.n &&
		!str_eq(name,
			arena_fmt(s->errs->a, STR_FMT "." STR_FMT, STR_ARG(text(names, "plural")),
				STR_ARG(text(spec, "group")))))
		INVALID(name, "must be spec.names.plural+\".\"+spec.group", "metadata.name");
	check_group(s, text(spec, "group"));
	check_versions(s, spec);
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (text(names, needed[i]).n == 0)
			REQUIRED(NULL, "spec.names.%s", needed[i]);
	check_names(s, names, "spec.names");
	if (flag(spec, "preserveUnknownFields") && !flag(was, "preserveUnknownFields"))
		INVALID_DOC(get(spec, "preserveUnknownFields"),
			"cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
			"spec.versions[*].schema instead",
			"spec.preserveUnknownFields");
	check_conversion(s, get(spec, "conversion"));
	if (was)
		check_kept(s, spec, was, is_established(old));
	check_stored(s, d);
	check_approval(s, d, old);
}
