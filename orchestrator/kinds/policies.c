/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policies: admission policies and their bindings: names that are not to be had, and that who makes a policy speak of
 * params may read them himself. The rest is in the schema; api/policy_*.c obeys them.
 * Source: k8s.io/kubernetes pkg/registry/admissionregistration (strategy.go, authz.go of each kind). */
#include "orchestrator/kinds/kinds_int.h"

#define GROUP "admissionregistration.k8s.io"
#define STATIC_NAME                                                                                   \
	"names ending with \".static.k8s.io\" are reserved for static manifest-based configurations " \
	"and cannot be managed via the API"

static bool
is_static(const struct doc *obj)
{
	return str_ends(meta_str(obj, "name"), S(".static.k8s.io"));
}

void
check_static_name(struct request *r, const struct doc *obj)
{
	if (is_static(obj))
		schema_err_invalid(
			&r->causes, S("metadata.name"), meta_str(obj, "name"), STATIC_NAME);
}

void
warn_static_name(struct request *r, const struct doc *obj)
{
	if (is_static(obj))
		request_warn(r, "metadata.name: " STATIC_NAME);
}

static void
warn(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (old)
		warn_static_name(r, obj);
}

/* ---- who may --------------------------------------------------------------------------------------- */

/* user_text: as Go prints the user: &{name uid [groups] map[key:[values]]}. */
static struct str
user_text(struct request *r)
{
	const struct user *u = &r->user;
	struct buf b;
	buf_init_arena(&b, r->a);
	buf_fmt(&b, "&{" STR_FMT " " STR_FMT " [", STR_ARG(u->name), STR_ARG(u->uid));
	for (size_t i = 0; i < u->n_groups; i++)
		buf_fmt(&b, "%s" STR_FMT, i ? " " : "", STR_ARG(u->groups[i]));
	buf_cstr(&b, "] map[");
	for (size_t i = 0; i < u->n_extra; i++) {
		buf_fmt(&b, "%s" STR_FMT ":[", i ? " " : "", STR_ARG(u->extra[i].key));
		for (size_t k = 0; k < u->extra[i].n_values; k++)
			buf_fmt(&b, "%s" STR_FMT, k ? " " : "", STR_ARG(u->extra[i].values[k]));
		buf_char(&b, ']');
	}
	buf_cstr(&b, "]}");
	return buf_view(&b);
}

/* What a paramKind means; "*" where it cannot be told. */
struct meant {
	struct str group, version, resource;
	bool no_version, no_resource;
};

static struct meant
meaning(struct request *r, const struct doc *kind)
{
	struct meant m = {S("*"), S("*"), S("*"), false, false};
	struct str version = doc_get_str(kind, S("apiVersion")), rest;
	if (!kind)
		return m;
	if (str_cut(version, '/', &rest, &rest) && str_find_char(rest, '/') >= 0) {
		m.no_version = true;
		return m;
	}
	schema_api_version_split(version, &m.group, &m.version);
	struct str plural = request_resource_of_kind(r, version, doc_get_str(kind, S("kind")));
	if (str_is_set(plural))
		m.resource = plural;
	else
		m.no_resource = true;
	return m;
}

static const struct doc *
spec_map(const struct doc *obj, const char *name)
{
	const struct doc *d = doc_get(doc_get(obj, S("spec")), str_c(name));
	return d && d->type == DOC_MAP ? d : NULL;
}

static void
policy_may(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *kind = spec_map(obj, "paramKind");
	if (r->causes.n || !kind || (old && doc_equal(kind, spec_map(old, "paramKind"))))
		return;
	struct meant m = meaning(r, kind);
	if (request_may(r,
		    &(struct authz_attrs){.verb = S("get"),
			    .is_resource = true,
			    .group = m.group,
			    .version = m.version,
			    .resource = m.resource,
			    .ns = S("*"),
			    .name = S("*")},
		    NULL))
		return;
	schema_err_forbidden(&r->causes, S("spec.paramKind"),
		arena_fmt(r->a,
			"user " STR_FMT
			" must have \"get\" permission on all objects of the referenced paramKind "
			"(kind=" STR_FMT ", apiVersion=" STR_FMT ")",
			STR_ARG(user_text(r)), STR_ARG(doc_get_str(kind, S("kind"))),
			STR_ARG(doc_get_str(kind, S("apiVersion"))))
			.p);
}

static struct str
may_not(struct request *r, bool mutating, const struct doc *policy, const struct meant *m,
	struct str name, struct str verb)
{
	static const char all[] = "permission for all groups, versions and resources";
	const struct doc *kind = spec_map(policy, "paramKind");
	struct str who = user_text(r);
	if (!policy)
		return arena_fmt(r->a,
			"unable to get policy " STR_FMT
			" to determine minimum required permissions and user " STR_FMT
			" does not have \"" STR_FMT "\" %s",
			STR_ARG(name), STR_ARG(who), STR_ARG(verb), all);
	if (m->no_version || m->no_resource)
		return arena_fmt(r->a,
			"unable to %s paramKind &{" STR_FMT " " STR_FMT
			"} to determine minimum required permissions and user " STR_FMT
			" does not have \"" STR_FMT "\" %s",
			m->no_version ? "parse" : "resolve",
			STR_ARG(doc_get_str(kind, S("apiVersion"))),
			STR_ARG(doc_get_str(kind, S("kind"))), STR_ARG(who), STR_ARG(verb), all);
	/* upstream mixes them up for bindings of mutating policies */
	struct str first = mutating ? verb : who, second = mutating ? who : verb;
	return arena_fmt(r->a,
		"user " STR_FMT " does not have \"" STR_FMT
		"\" permission on the object referenced by paramRef",
		STR_ARG(first), STR_ARG(second));
}

static void
binding_may(struct request *r, bool mutating, const struct doc *obj, const struct doc *old)
{
	const struct doc *ref = spec_map(obj, "paramRef");
	struct str policies = mutating ? S("mutatingadmissionpolicies")
				       : S("validatingadmissionpolicies");
	struct str name = doc_get_str(doc_get(obj, S("spec")), S("policyName"));
	struct doc *policy = NULL;
	bool same = old && doc_equal(ref, spec_map(old, "paramRef")) &&
		str_eq(name, doc_get_str(doc_get(old, S("spec")), S("policyName")));
	if (r->causes.n || !ref || same)
		return;
	if (request_read(r, S(GROUP), policies, S(""), name, &policy) < 0)
		policy = NULL;
	struct meant m = meaning(r, spec_map(policy, "paramKind"));
	struct str at = doc_get_str(ref, S("name"));
	struct str verb = at.n ? S("get") : S("list");
	if (request_may(r,
		    &(struct authz_attrs){.verb = verb,
			    .is_resource = true,
			    .group = m.group,
			    .version = m.version,
			    .resource = m.resource,
			    .ns = doc_get_str(ref, S("namespace")),
			    .name = at},
		    NULL))
		return;
	schema_err_forbidden(&r->causes, S("spec.paramRef"),
		arena_cstr(r->a, may_not(r, mutating, policy, &m, name, verb)));
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static void
policy_create(struct request *r, const struct doc *obj)
{
	check_static_name(r, obj);
	policy_may(r, obj, NULL);
}

static void
binding_create(struct request *r, const struct doc *obj)
{
	check_static_name(r, obj);
	binding_may(
		r, str_eq(request_resource(r), S("mutatingadmissionpolicybindings")), obj, NULL);
}

static void
binding_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	binding_may(r, str_eq(request_resource(r), S("mutatingadmissionpolicybindings")), obj, old);
}

const struct kind_ops mutating_policies_ops = {
	.group = GROUP,
	.resource = "mutatingadmissionpolicies",
	.validate_create = policy_create,
	.validate_update = policy_may,
	.warn = warn,
};
const struct kind_ops validating_policies_ops = {
	.group = GROUP,
	.resource = "validatingadmissionpolicies",
	.validate_create = policy_create,
	.validate_update = policy_may,
	.warn = warn,
};
const struct kind_ops mutating_policy_bindings_ops = {
	.group = GROUP,
	.resource = "mutatingadmissionpolicybindings",
	.validate_create = binding_create,
	.validate_update = binding_update,
	.warn = warn,
};
const struct kind_ops validating_policy_bindings_ops = {
	.group = GROUP,
	.resource = "validatingadmissionpolicybindings",
	.validate_create = binding_create,
	.validate_update = binding_update,
	.warn = warn,
};
