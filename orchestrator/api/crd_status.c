/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * crd_status: what the status of a CustomResourceDefinition should be: which of the names it asks for are its own,
 * whether it is served, and whether its schemas and its group are in order. crd_control.c writes it.
 *
 * Invariant: a function of the definitions there are; nothing is written here.
 * Source: apiextensions-apiserver pkg/controller/status, establish, nonstructuralschema, apiapproval (behaviour,
 * texts); pkg/apihelpers (SetCRDCondition). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/crd_control.h"

struct doc *
crd_condition(const struct doc *crd, const char *type)
{
	DOC_EACH (c, doc_get(doc_get(crd, STR("status")), STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), type))
			return c;
	return NULL;
}

bool
crd_condition_is(const struct doc *crd, const char *type, const char *status)
{
	return str_eq_c(doc_get_str(crd_condition(crd, type), STR("status")), status);
}

void
crd_condition_set(struct arena *a, struct doc *crd, int64_t wall_ns, const char *type,
	const char *status, const char *reason, struct str text)
{
	struct doc *st = doc_ensure_map(a, crd, STR("status"));
	struct doc *list = st ? doc_ensure_list(a, st, STR("conditions")) : NULL;
	struct doc *c = crd_condition(crd, type);
	char time[40];
	if (!list || (!c && !(c = doc_map(a))))
		return;
	bool fresh = doc_len(c) == 0;
	if (fresh || !str_eq_c(doc_get_str(c, STR("status")), status)) {
		size_t n = rfc3339_format(wall_ns, 0, time);
		doc_set_str(a, c, STR("lastTransitionTime"), arena_str(a, str_from(time, n)));
	}
	doc_set_str(a, c, STR("type"), str_c(type));
	doc_set_str(a, c, STR("status"), str_c(status));
	doc_set_str(a, c, STR("reason"), str_c(reason));
	doc_set_str(a, c, STR("message"), text);
	if (fresh)
		doc_append(list, c);
}

/* ---- names ----------------------------------------------------------------------------------------- */

struct naming {
	struct arena *a;
	const struct map *all; /* name -> definition's document */
	const struct doc *crd;
	struct str group, own; /* the definition's group and name */
	const char *reason;    /* NULL: no conflict so far */
	struct str text;
};

/* Is the name one of what another definition of the group has been given? */
static bool
used(const struct naming *n, struct str name, bool kinds)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(n->all, &pos, &key, &v)) {
		const struct doc *other = ((const struct kept_doc *)v)->d;
		const struct doc *names = doc_get(
			doc_get(other, STR("status")), STR("acceptedNames"));
		if (!str_eq(doc_get_str(doc_get(other, STR("spec")), STR("group")), n->group))
			continue;
		if (kinds) {
			if (str_eq(doc_get_str(names, STR("kind")), name) ||
				str_eq(doc_get_str(names, STR("listKind")), name))
				return true;
		} else if (str_eq(doc_get_str(names, STR("plural")), name) ||
			str_eq(doc_get_str(names, STR("singular")), name) ||
			doc_list_has(doc_get(names, STR("shortNames")), name)) {
			return true;
		}
	}
	return false;
}

static void
conflict(struct naming *n, const char *reason, struct str name)
{
	n->reason = reason;
	n->text = arena_fmt(n->a, "\"" STR_FMT "\" is already in use", STR_ARG(name));
}

static void
take_short_names(struct naming *n, struct doc *accepted, const struct doc *wanted)
{
	const struct doc *have = doc_get(accepted, STR("shortNames"));
	const struct doc *want = doc_get(wanted, STR("shortNames"));
	struct buf b;
	size_t bad = 0;
	if (doc_equal(have, want))
		return;
	buf_init_arena(&b, n->a);
	DOC_EACH (x, want) {
		if (doc_list_has(have, doc_as_str(x)) || !used(n, doc_as_str(x), false))
			continue;
		buf_fmt(&b, "%s\"" STR_FMT "\" is already in use", bad++ ? ", " : "",
			STR_ARG(doc_as_str(x)));
	}
	if (bad) {
		n->reason = "ShortNamesConflict";
		n->text = bad > 1 ? arena_fmt(n->a, "[" STR_FMT "]", STR_ARG(buf_view(&b)))
				  : buf_view(&b);
		return;
	}
	doc_set(accepted, STR("shortNames"), want ? doc_copy(n->a, want) : NULL);
}

static void
take_name(struct naming *n, struct doc *accepted, const struct doc *wanted, struct str member,
	const char *reason, bool kinds)
{
	struct str want = doc_get_str(wanted, member), have = doc_get_str(accepted, member);
	if (!str_eq(want, have) && used(n, want, kinds))
		conflict(n, reason, want);
	else
		doc_set_str(n->a, accepted, member, want);
}

static void
names_set(struct naming *n, struct doc *crd)
{
	const struct doc *wanted = doc_get(doc_get(crd, STR("spec")), STR("names"));
	struct doc *status = doc_ensure_map(n->a, crd, STR("status"));
	struct doc *accepted = status ? doc_ensure_map(n->a, status, STR("acceptedNames")) : NULL;
	const struct doc *categories = doc_get(wanted, STR("categories"));
	if (!accepted)
		return;
	take_name(n, accepted, wanted, STR("plural"), "PluralConflict", false);
	take_name(n, accepted, wanted, STR("singular"), "SingularConflict", false);
	take_short_names(n, accepted, wanted);
	take_name(n, accepted, wanted, STR("kind"), "KindConflict", true);
	take_name(n, accepted, wanted, STR("listKind"), "ListKindConflict", true);
	doc_set(accepted, STR("categories"), categories ? doc_copy(n->a, categories) : NULL);
}

/* ---- other conditions ------------------------------------------------------------------------------ */

static void
structure_set(struct arena *a, struct doc *crd, int64_t wall_ns)
{
	struct schema_errors errs = {.a = a};
	size_t i = 0;
	DOC_EACH (v, doc_get(doc_get(crd, STR("spec")), STR("versions"))) {
		const struct doc *s = doc_get(doc_get(v, STR("schema")), STR("openAPIV3Schema"));
		if (s && !crd_is_structural(a, s))
			crd_structure(s,
				arena_fmt(a, "spec.versions[%zu].schema.openAPIV3Schema", i),
				&errs);
		i++;
	}
	if (doc_get_bool(doc_get(crd, STR("spec")), STR("preserveUnknownFields"), false))
		schema_error_add(&errs, SCHEMA_CAUSE_INVALID, STR("spec.preserveUnknownFields"),
			doc_bool(a, true), STR("must be false"));
	struct doc *have = crd_condition(crd, "NonStructuralSchema");
	if (errs.n)
		crd_condition_set(a, crd, wall_ns, "NonStructuralSchema", "True", "Violations",
			schema_errors_message(&errs));
	else if (have)
		doc_remove(doc_get(doc_get(crd, STR("status")), STR("conditions")), have);
}

#define APPROVAL "api-approved.kubernetes.io"
#define SEE "see https://github.com/kubernetes/enhancements/pull/1111"

static void
approval_set(struct arena *a, struct doc *crd, int64_t wall_ns)
{
	static const char type[] = "KubernetesAPIApprovalPolicyConformant";
	struct str group = doc_get_str(doc_get(crd, STR("spec")), STR("group"));
	struct str v = doc_get_str(doc_get(meta_of(crd), STR("annotations")), STR(APPROVAL));
	ptrdiff_t host = str_find(v, STR("://"));
	if (!str_eq_c(group, "k8s.io") && !str_ends(group, STR(".k8s.io")) &&
		!str_eq_c(group, "kubernetes.io") && !str_ends(group, STR(".kubernetes.io")))
		return;
	if (v.n == 0)
		crd_condition_set(a, crd, wall_ns, type, "False", "MissingAnnotation",
			STR("protected groups must have approval annotation \"" APPROVAL
			    "\", " SEE));
	else if (str_starts(v, STR("unapproved")))
		crd_condition_set(a, crd, wall_ns, type, "False", "UnapprovedAnnotation",
			arena_fmt(a, "not approved: \"" STR_FMT "\"", STR_ARG(v)));
	else if (host > 0 && (size_t)host + 3 < v.n)
		crd_condition_set(a, crd, wall_ns, type, "True", "ApprovedAnnotation",
			arena_fmt(a, "approved in " STR_FMT, STR_ARG(v)));
	else
		crd_condition_set(a, crd, wall_ns, type, "False", "InvalidAnnotation",
			STR("protected groups must have approval annotation \"" APPROVAL
			    "\" with either a URL or a reason starting with \"unapproved\", " SEE));
}

void
crd_status_set(struct arena *a, const struct map *all, struct doc *crd, int64_t wall_ns)
{
	const struct doc *spec = doc_get(crd, STR("spec"));
	struct naming n = {.a = a,
		.all = all,
		.crd = crd,
		.group = doc_get_str(spec, STR("group")),
		.own = doc_get_str(meta_of(crd), STR("name"))};
	names_set(&n, crd);
	crd_condition_set(a, crd, wall_ns, "NamesAccepted", n.reason ? "False" : "True",
		n.reason ? n.reason : "NoConflicts", n.reason ? n.text : STR("no conflicts found"));
	if (crd_condition_is(crd, "Established", "True")) {
		/* once served it stays so */
	} else if (n.reason) {
		crd_condition_set(a, crd, wall_ns, "Established", "False", "NotAccepted",
			STR("not all names are accepted"));
	} else {
		crd_condition_set(a, crd, wall_ns, "Established", "True", "InitialNamesAccepted",
			STR("the initial names have been accepted"));
	}
	structure_set(a, crd, wall_ns);
	approval_set(a, crd, wall_ns);
}
