/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lib_authz: questions to the authoriser, put together step by step. The answer comes from cel_world.authorize.
 * Source: k8s.io/apiserver pkg/cel/library/authz.go; KEP-3488. */
#include "orchestrator/cel/lib_int.h"

#define FN(name)                                                                                   \
	static struct cel_value name(struct cel_eval *e, const struct cel_value *args,             \
		size_t n __attribute__((unused)))

static struct cel_authz *
copy(struct cel_eval *e, const struct cel_value *v)
{
	struct cel_authz *q = ARENA_NEW(e->a, struct cel_authz);
	if (q && v->own)
		*q = *(const struct cel_authz *)v->own;
	return q;
}

static struct cel_value
memory(struct cel_eval *e)
{
	e->stop = -ENOMEM;
	return cel_fault(e, "out of memory");
}

/* The question with one more word of it said. */
static struct cel_value
say(struct cel_eval *e, const struct cel_value *args, enum cel_opaque as, size_t offset)
{
	struct cel_authz *q = copy(e, &args[0]);
	if (!q)
		return memory(e);
	*(struct str *)(void *)((char *)q + offset) = args[1].s;
	return cel_of_opaque(as, q);
}

#define SAY(as, member) say(e, args, as, offsetof(struct cel_authz, member))

FN(path)
{
	if (str_trim(args[1].s).n == 0)
		return cel_fault(e, "path must not be empty");
	return SAY(OPAQUE_PATH_CHECK, path);
}

FN(group)
{
	return SAY(OPAQUE_GROUP_CHECK, group);
}

FN(resource)
{
	if (str_trim(args[1].s).n == 0)
		return cel_fault(e, "resource must not be empty");
	return SAY(OPAQUE_RESOURCE_CHECK, resource);
}

FN(subresource)
{
	return SAY(OPAQUE_RESOURCE_CHECK, subresource);
}

FN(namespace)
{
	return SAY(OPAQUE_RESOURCE_CHECK, namespace);
}

FN(name)
{
	return SAY(OPAQUE_RESOURCE_CHECK, name);
}

FN(field_selector)
{
	return SAY(OPAQUE_RESOURCE_CHECK, field_selector);
}

FN(label_selector)
{
	return SAY(OPAQUE_RESOURCE_CHECK, label_selector);
}

FN(service_account)
{
	struct cel_authz *q = copy(e, &args[0]);
	if (!q)
		return memory(e);
	if (format_check(e->a, FORMAT_DNS_SUBDOMAIN, args[2].s))
		return cel_fault(e, "Invalid service account name");
	if (format_check(e->a, FORMAT_DNS_LABEL, args[1].s))
		return cel_fault(e, "Invalid service account namespace");
	q->service_account_ns = args[1].s;
	q->service_account = args[2].s;
	return cel_of_opaque(OPAQUE_AUTHORIZER, q);
}

FN(check)
{
	struct cel_authz *q = copy(e, &args[0]);
	struct cel_decision *d = ARENA_NEW(e->a, struct cel_decision);
	struct err why = {0};
	if (!q || !d)
		return memory(e);
	if (!e->w->authorize)
		return cel_fault(e, "no authorizer");
	q->verb = args[1].s;
	d->reason = STR("");
	int rc = e->w->authorize(e->w->arg, q, &d->allowed, &d->reason, &why);
	if (rc == -ENOMEM)
		return memory(e);
	if (rc < 0) {
		d->allowed = false;
		d->errored = true;
		d->error = arena_str(e->a, str_c(why.msg));
	}
	return cel_of_opaque(OPAQUE_DECISION, d);
}

static const struct cel_decision *
decision_of(const struct cel_value *v)
{
	return v->own;
}

FN(allowed)
{
	(void)e;
	return cel_of_bool(decision_of(&args[0])->allowed);
}

FN(reason)
{
	(void)e;
	return cel_of_string(decision_of(&args[0])->reason);
}

FN(error)
{
	(void)e;
	return cel_of_string(
		decision_of(&args[0])->errored ? decision_of(&args[0])->error : STR(""));
}

FN(errored)
{
	(void)e;
	return cel_of_bool(decision_of(&args[0])->errored);
}

#define A "kubernetes.authorization.Authorizer"
#define P "kubernetes.authorization.PathCheck"
#define G "kubernetes.authorization.GroupCheck"
#define R "kubernetes.authorization.ResourceCheck"
#define D "kubernetes.authorization.Decision"
static const struct cel_fn_row rows[] = {
	{"path", "authorizer_path", "." P "(" A ", string)", path, COST_FIXED},
	{"group", "authorizer_group", "." G "(" A ", string)", group, COST_FIXED},
	{"serviceAccount", "authorizer_serviceaccount", "." A "(" A ", string, string)",
		service_account, COST_FIXED},
	{"resource", "groupcheck_resource", "." R "(" G ", string)", resource, COST_FIXED},
	{"subresource", "resourcecheck_subresource", "." R "(" R ", string)", subresource,
		COST_FIXED},
	{"namespace", "resourcecheck_namespace", "." R "(" R ", string)", namespace, COST_FIXED},
	{"name", "resourcecheck_name", "." R "(" R ", string)", name, COST_FIXED},
	{"fieldSelector", "authorizer_fieldselector", "." R "(" R ", string)", field_selector,
		COST_SELECTOR},
	{"labelSelector", "authorizer_labelselector", "." R "(" R ", string)", label_selector,
		COST_SELECTOR},
	{"check", "pathcheck_check", "." D "(" P ", string)", check, COST_CHECK},
	{"check", "resourcecheck_check", "." D "(" R ", string)", check, COST_CHECK},
	{"allowed", "decision_allowed", ".bool(" D ")", allowed, COST_FIXED},
	{"reason", "decision_reason", ".string(" D ")", reason, COST_FIXED},
	{"error", "decision_error", ".string(" D ")", error, COST_FIXED},
	{"errored", "decision_errored", ".bool(" D ")", errored, COST_FIXED},
};
const struct cel_fn_table cel_fns_authz = {rows, ARRAY_LEN(rows)};

const struct cel_type *
cel_type_resource_check(void)
{
	return &cel_types_opaque[OPAQUE_RESOURCE_CHECK];
}

struct cel_value
cel_of_authorizer(void)
{
	return cel_of_opaque(OPAQUE_AUTHORIZER, NULL);
}

struct cel_value
cel_of_resource_check(const struct cel_authz *q)
{
	return cel_of_opaque(OPAQUE_RESOURCE_CHECK, q);
}
