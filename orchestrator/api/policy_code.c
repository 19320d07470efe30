/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * policy_code: the expressions of policies and of webhooks' matchConditions as programs: which variables each may
 * speak of, and what it must end in.
 *
 * A worker compiles what it needs, when it needs it first, and keeps it with the object. What does not compile is no
 * error here: whoever evaluates it hears why.
 * Source: k8s.io/apiserver pkg/admission/plugin/cel (compile.go, composition.go). */
#include "orchestrator/api/policy_int.h"

/* ---- types ----------------------------------------------------------------------------------------- */

/* A field is one of these basic types, or of the row `of`, or a list of either. */
struct field_row {
	const char *name;
	enum cel_kind kind;
	const struct cel_type *const *of;
	bool list;
};
#define PLAIN(name, kind)                                                                          \
	{                                                                                          \
		name, kind, NULL, false                                                            \
	}
#define TEXT(name) PLAIN(name, CEL_STRING)
#define TEXTS(name)                                                                                \
	{                                                                                          \
		name, CEL_STRING, NULL, true                                                       \
	}
#define OF(name, type)                                                                             \
	{                                                                                          \
		name, CEL_DYN, type, false                                                         \
	}
#define LIST(name, type)                                                                           \
	{                                                                                          \
		name, CEL_DYN, type, true                                                          \
	}

static const struct cel_type *
object_type(struct arena *a, const char *name, const struct field_row *rows, size_t n)
{
	struct cel_field *f = ARENA_ARRAY(a, struct cel_field, n);
	for (size_t i = 0; f && i < n; i++) {
		const struct cel_type *t = rows[i].of ? *rows[i].of : cel_type_basic(rows[i].kind);
		if (rows[i].list)
			t = cel_type_list(a, t, 0);
		f[i] = (struct cel_field){str_c(rows[i].name), t};
	}
	return f ? cel_type_object(a, str_c(name), f, n) : NULL;
}

static const struct cel_type *
request_type(struct arena *a)
{
	const struct cel_type *gvk, *gvr, *user, *extra, *text = cel_type_basic(CEL_STRING);
	const struct field_row kind[] = {TEXT("group"), TEXT("version"), TEXT("kind")};
	const struct field_row resource[] = {TEXT("group"), TEXT("version"), TEXT("resource")};
	gvk = object_type(a, "kubernetes.GroupVersionKind", kind, ARRAY_LEN(kind));
	gvr = object_type(a, "kubernetes.GroupVersionResource", resource, ARRAY_LEN(resource));
	extra = cel_type_map(a, text, cel_type_list(a, text, 0), 0);
	const struct field_row info[] = {
		TEXT("username"), TEXT("uid"), TEXTS("groups"), OF("extra", &extra)};
	user = object_type(a, "kubernetes.UserInfo", info, ARRAY_LEN(info));
	const struct field_row all[] = {OF("kind", &gvk), OF("resource", &gvr), TEXT("subResource"),
		OF("requestKind", &gvk), OF("requestResource", &gvr), TEXT("requestSubResource"),
		TEXT("name"), TEXT("namespace"), TEXT("operation"), OF("userInfo", &user),
		PLAIN("dryRun", CEL_BOOL), PLAIN("options", CEL_DYN)};
	return object_type(a, "kubernetes.AdmissionRequest", all, ARRAY_LEN(all));
}

static const struct cel_type *
namespace_type(struct arena *a)
{
	const struct cel_type *spec, *condition, *status, *meta, *pairs,
		*text = cel_type_basic(CEL_STRING);
	const struct field_row in_spec[] = {TEXTS("finalizers")};
	const struct field_row in_condition[] = {TEXT("status"), TEXT("type"),
		PLAIN("lastTransitionTime", CEL_TIMESTAMP), TEXT("message"), TEXT("reason")};
	pairs = cel_type_map(a, text, text, 0);
	const struct field_row in_meta[] = {TEXT("name"), TEXT("generateName"), TEXT("namespace"),
		OF("labels", &pairs), OF("annotations", &pairs), TEXT("UID"),
		PLAIN("creationTimestamp", CEL_TIMESTAMP),
		PLAIN("deletionGracePeriodSeconds", CEL_INT),
		PLAIN("deletionTimestamp", CEL_TIMESTAMP), PLAIN("generation", CEL_INT),
		TEXT("resourceVersion"), TEXTS("finalizers")};
	spec = object_type(a, "kubernetes.NamespaceSpec", in_spec, ARRAY_LEN(in_spec));
	condition = object_type(
		a, "kubernetes.NamespaceCondition", in_condition, ARRAY_LEN(in_condition));
	const struct field_row in_status[] = {LIST("conditions", &condition), TEXT("phase")};
	status = object_type(a, "kubernetes.NamespaceStatus", in_status, ARRAY_LEN(in_status));
	meta = object_type(a, "kubernetes.NamespaceMetadata", in_meta, ARRAY_LEN(in_meta));
	const struct field_row all[] = {
		OF("metadata", &meta), OF("spec", &spec), OF("status", &status)};
	return object_type(a, "kubernetes.Namespace", all, ARRAY_LEN(all));
}

/* What others see of a variable: lists, maps and simple values as they are, the rest as anything. */
static const struct cel_type *
variable_type(struct arena *a, const struct policy_expr *x)
{
	static const char *const plain[] = {"bool", "bytes", "double", "duration", "int", "null",
		"string", "timestamp", "uint"};
	const struct cel_type *t = x->program ? cel_result_type(x->program) : NULL;
	struct str name = t ? cel_type_name(a, t) : STR("");
	if (str_starts(name, STR("list(")) || str_starts(name, STR("map(")))
		return t;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_eq_c(name, plain[i]))
			return t;
	return cel_type_basic(CEL_DYN);
}

/* ---- environments ---------------------------------------------------------------------------------- */

static void
add_variables(struct arena *a, const struct policy_exprs *vars, struct cel_variable *slots)
{
	struct cel_field *f = ARENA_ARRAY(a, struct cel_field, vars->n);
	for (size_t i = 0; f && i < vars->n; i++) {
		const struct policy_expr *x = &vars->v[i];
		f[i] = (struct cel_field){x->name, variable_type(a, x)};
		slots[POLICY_VARIABLE + i] = (struct cel_variable){
			arena_fmt(a, "variables." STR_FMT, STR_ARG(x->name)), f[i].type};
	}
	slots[POLICY_VARIABLES] = (struct cel_variable){STR("variables"),
		f ? cel_type_object(a, STR("kubernetes.variables"), f, vars->n) : NULL};
}

const struct cel_env *
policy_env(struct arena *a, struct policy_types *types, unsigned flags,
	const struct policy_exprs *variables)
{
	const struct cel_type *dyn = cel_type_basic(CEL_DYN);
	size_t n = POLICY_VARIABLE + (flags & POLICY_HAS_VARIABLES ? variables->n : 0);
	struct cel_variable *slots = ARENA_ARRAY(a, struct cel_variable, n);
	if (!types->request)
		types->request = request_type(a);
	if (!types->namespace)
		types->namespace = namespace_type(a);
	if (!slots || !types->request || !types->namespace)
		return NULL;
	for (size_t i = 0; i < n; i++)
		slots[i] = (struct cel_variable){STR(""), dyn};
	const struct cel_type *object = types->object ? types->object : dyn;
	slots[POLICY_OBJECT] = (struct cel_variable){STR("object"), object};
	slots[POLICY_OLD_OBJECT] = (struct cel_variable){STR("oldObject"), object};
	slots[POLICY_NAMESPACE] = (struct cel_variable){STR("namespaceObject"), types->namespace};
	slots[POLICY_REQUEST] = (struct cel_variable){STR("request"), types->request};
	if (flags & POLICY_HAS_PARAMS)
		slots[POLICY_PARAMS] = (struct cel_variable){
			STR("params"), types->params ? types->params : dyn};
	if (flags & POLICY_HAS_AUTHORIZER) {
		slots[POLICY_AUTHORIZER] = (struct cel_variable){
			STR("authorizer"), cel_type_authorizer()};
		if (!(flags & POLICY_FOR_TYPES))
			slots[POLICY_REQUEST_RESOURCE] = (struct cel_variable){
				STR("authorizer.requestResource"), cel_type_resource_check()};
	}
	if (flags & POLICY_HAS_VARIABLES)
		add_variables(a, variables, slots);
	if (arena_failed(a))
		return NULL;
	return flags & POLICY_HAS_PATCHES ? cel_env_patches(a, slots, n) : cel_env_new(a, slots, n);
}

/* ---- programs -------------------------------------------------------------------------------------- */

/* What an expression must end in; none: in anything. */
static const char *const ends[][3] = {
	[SCHEMA_EXPR_CONDITION] = {"bool"},
	[SCHEMA_EXPR_VARIABLE] = {NULL},
	[SCHEMA_EXPR_VALIDATION] = {"bool"},
	[SCHEMA_EXPR_MESSAGE] = {"string"},
	[SCHEMA_EXPR_AUDIT] = {"string", "null_type"},
	[SCHEMA_EXPR_APPLY] = {"Object"},
	[SCHEMA_EXPR_JSON_PATCH] = {"list(JSONPatch)"},
};

/* type_text: the name that Go prints, which is not always the language's. */
static struct str
type_text(struct arena *a, const struct cel_type *t)
{
	static const struct {
		const char *name, *text;
	} others[] = {{"null", "null_type"}, {"timestamp", "google.protobuf.Timestamp"},
		{"duration", "google.protobuf.Duration"}};
	struct str name = cel_type_name(a, t);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_eq_c(name, others[i].name))
			return str_c(others[i].text);
	return name;
}

/* ends_wrong: the text, or "". */
static struct str
ends_wrong(struct arena *a, enum schema_expression_use use, const struct cel_type *t)
{
	const char *const *want = ends[use];
	struct str got = type_text(a, t);
	for (size_t i = 0; want[i]; i++)
		if (str_eq_c(got, want[i]))
			return STR("");
	if (!want[0])
		return STR("");
	if (!want[1])
		return arena_fmt(a, "must evaluate to %s but got " STR_FMT, want[0], STR_ARG(got));
	return arena_fmt(a, "must evaluate to one of [%s %s] but got " STR_FMT, want[0], want[1],
		STR_ARG(got));
}

int
policy_compile(struct arena *a, const struct cel_env *env, enum schema_expression_use use,
	struct policy_expr *x)
{
	const struct cel_program *p = NULL;
	struct str text = STR("");
	int rc = env ? cel_compile_text(a, env, x->source, NULL, &p, &text, NULL) : -ENOMEM;
	if (rc == -ENOMEM || arena_failed(a))
		return -ENOMEM;
	if (rc < 0) {
		x->why = arena_fmt(a, "%s failed: " STR_FMT,
			rc == -EDOM ? "program instantiation" : "compilation", STR_ARG(text));
		return arena_failed(a) ? -ENOMEM : 0;
	}
	x->why = ends_wrong(a, use, cel_result_type(p));
	x->program = x->why.n ? NULL : p;
	return 0;
}

/* ---- the expressions of an object ------------------------------------------------------------------ */

struct policy_code *
policy_code_new(struct arena *a, const struct doc *from)
{
	struct policy_code *c = ARENA_NEW(a, struct policy_code);
	if (c)
		*c = (struct policy_code){.a = a, .from = from};
	return c;
}

static bool
collect(struct policy_code *c, const char *list, const char *name, const char *source,
	struct policy_exprs *ret)
{
	const struct doc *d = doc_get(c->from, str_c(list));
	*ret = (struct policy_exprs){.v = ARENA_ARRAY(c->a, struct policy_expr, doc_len(d))};
	DOC_EACH (x, d) {
		if (!ret->v)
			return false;
		struct str text = doc_get_str(x, str_c(source));
		ret->v[ret->n++] = (struct policy_expr){
			.name = doc_get_str(x, str_c(name)), .source = text.n ? text : STR("")};
		c->managed = c->managed || str_find(text, STR("managedFields")) >= 0;
	}
	return true;
}

/* Mutations have their expressions in a member of their own for each type. */
static bool
collect_mutations(struct policy_code *c)
{
	const struct doc *d = doc_get(c->from, STR("mutations"));
	c->mutations = (struct policy_exprs){
		.v = ARENA_ARRAY(c->a, struct policy_expr, doc_len(d))};
	DOC_EACH (m, d) {
		if (!c->mutations.v)
			return false;
		struct str type = doc_get_str(m, STR("patchType"));
		const struct doc *own = doc_get(m,
			str_eq(type, STR("JSONPatch")) ? STR("jsonPatch")
						       : STR("applyConfiguration"));
		struct str text = doc_get_str(own, STR("expression"));
		c->mutations.v[c->mutations.n++] = (struct policy_expr){
			.name = type, .source = text.n ? text : STR("")};
		c->managed = c->managed || str_find(text, STR("managedFields")) >= 0;
	}
	return true;
}

static int
compile_all(struct policy_code *c, const struct cel_env *env, enum schema_expression_use use,
	struct policy_exprs *list)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < list->n; i++)
		if (list->v[i].source.n)
			rc = policy_compile(c->a, env, use, &list->v[i]);
	return rc;
}

/* Each variable knows those before it. */
static int
compile_variables(struct policy_code *c, struct policy_types *types, unsigned flags)
{
	struct policy_exprs known = {.v = c->variables.v};
	int rc = 0;
	for (; rc == 0 && known.n < c->variables.n; known.n++)
		rc = policy_compile(c->a, policy_env(c->a, types, flags, &known),
			SCHEMA_EXPR_VARIABLE, &c->variables.v[known.n]);
	return rc;
}

static int
compile_mutations(struct policy_code *c, const struct cel_env *env)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->mutations.n; i++) {
		struct policy_expr *x = &c->mutations.v[i];
		rc = policy_compile(c->a, env,
			str_eq(x->name, STR("JSONPatch")) ? SCHEMA_EXPR_JSON_PATCH
							  : SCHEMA_EXPR_APPLY,
			x);
	}
	return rc;
}

static int
compile(struct policy_code *c)
{
	const struct doc *kind = doc_get(c->from, STR("paramKind"));
	struct policy_types types = {0};
	unsigned flags = POLICY_HAS_AUTHORIZER;
	if (c->policy)
		flags |= POLICY_HAS_VARIABLES;
	if (kind && kind->type == DOC_MAP)
		flags |= POLICY_HAS_PARAMS;
	int rc = compile_variables(c, &types, flags);
	const struct cel_env *env = policy_env(c->a, &types, flags, &c->variables);
	if (rc == 0)
		rc = compile_all(c, env, SCHEMA_EXPR_CONDITION, &c->conditions);
	if (rc == 0)
		rc = compile_all(c, env, SCHEMA_EXPR_VALIDATION, &c->validations);
	if (rc == 0)
		rc = compile_all(c, env, SCHEMA_EXPR_AUDIT, &c->audits);
	if (rc == 0 && c->messages.n)
		rc = compile_all(c,
			policy_env(c->a, &types, flags & ~(unsigned)POLICY_HAS_AUTHORIZER,
				&c->variables),
			SCHEMA_EXPR_MESSAGE, &c->messages);
	if (rc == 0 && c->mutations.n)
		rc = compile_mutations(
			c, policy_env(c->a, &types, flags | POLICY_HAS_PATCHES, &c->variables));
	return rc;
}

bool
policy_code_collect(struct policy_code *c)
{
	bool ok = collect(c, "matchConditions", "name", "expression", &c->conditions);
	if (c->policy)
		ok = ok && collect(c, "variables", "name", "expression", &c->variables) &&
			collect(c, "validations", "", "expression", &c->validations) &&
			collect(c, "validations", "", "messageExpression", &c->messages) &&
			collect(c, "auditAnnotations", "key", "valueExpression", &c->audits) &&
			collect_mutations(c);
	return ok;
}

int
policy_code_ready(struct policy_code *c)
{
	if (c->compiled)
		return 0;
	int rc = policy_code_collect(c) ? compile(c) : -ENOMEM;
	c->compiled = rc == 0;
	return rc;
}
