/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * options: the stage that parses what a query asks for, checks it, and reads DeleteOptions of a body.
 *
 * Invariant: r->opt is complete behind this stage; direct clients fill it themselves.
 * Source: meta/v1 ListOptions, CreateOptions, UpdateOptions, PatchOptions, DeleteOptions and their
 * validation (k8s.io/apimachinery meta/internalversion/validation, meta/v1/validation). */
#include "orchestrator/api/api_int.h"

enum option_form { OPT_STR, OPT_I64, OPT_BOOL, OPT_TRI };

#define O(field) offsetof(struct options, field)
static const struct {
	const char *name;
	enum option_form form;
	size_t offset;
} query_options[] = {
	{"labelSelector", OPT_STR, O(label_selector)},
	{"fieldSelector", OPT_STR, O(field_selector)},
	{"resourceVersion", OPT_STR, O(resource_version)},
	{"resourceVersionMatch", OPT_STR, O(resource_version_match)},
	{"continue", OPT_STR, O(continue_token)},
	{"limit", OPT_I64, O(limit)},
	{"timeoutSeconds", OPT_I64, O(timeout_s)},
	{"allowWatchBookmarks", OPT_BOOL, O(allow_bookmarks)},
	{"sendInitialEvents", OPT_TRI, O(send_initial_events)},
	{"includeObject", OPT_STR, O(include_object)},
	{"pretty", OPT_BOOL, O(pretty)},
	{"fieldManager", OPT_STR, O(field_manager)},
	{"fieldValidation", OPT_STR, O(field_validation)},
	{"gracePeriodSeconds", OPT_I64, O(grace_s)},
	{"propagationPolicy", OPT_STR, O(propagation)},
};

static bool
is_true(struct str v)
{
	return !str_eq(v, STR("false")) && !str_eq(v, STR("0"));
}

static int
option_set(struct request *r, size_t i, struct str v, struct err *e)
{
	char *at = (char *)&r->opt + query_options[i].offset;
	int64_t n = 0;
	switch (query_options[i].form) {
	case OPT_STR:
		*(struct str *)(void *)at = v;
		return 0;
	case OPT_BOOL:
		*(bool *)at = is_true(v);
		return 0;
	case OPT_TRI:
		*(int *)(void *)at = is_true(v);
		return 0;
	case OPT_I64:
		if (v.n == 0)
			return 0;
		if (str_to_i64(v, &n) < 0)
			return err_set(e, -EINVAL, R_BAD_REQUEST,
				"strconv.ParseInt: parsing \"" STR_FMT "\": invalid syntax",
				STR_ARG(v));
		*(int64_t *)(void *)at = n;
		return 0;
	}
	return 0;
}

static void
dry_run_take(struct request *r, struct str v)
{
	struct options *o = &r->opt;
	o->dry_run = true;
	o->dry_runs = o->dry_runs ? o->dry_runs : doc_list(r->a);
	if (o->dry_runs)
		doc_append(o->dry_runs, doc_str(r->a, v));
}

static void
check_dry_run(struct request *r)
{
	bool good = true;
	DOC_EACH (v, r->opt.dry_runs)
		good &= str_eq_c(doc_as_str(v), "All");
	if (!good)
		schema_error_add(&r->causes, SCHEMA_CAUSE_NOT_SUPPORTED, STR("dryRun"),
			r->opt.dry_runs, STR("supported values: \"All\""));
}

int
options_parse_query(struct request *r, struct err *e)
{
	struct str rest = r->raw_query, k, v;
	bool given[ARRAY_LEN(query_options)] = {0};
	if (rest.n == 0)
		return 0;
	for (;;) {
		int rc = http_query_next(r->a, &rest, &k, &v);
		if (rc == 0)
			return 0;
		if (rc == -EINVAL)
			continue;
		if (rc < 0)
			return err_set(e, rc, R_REQUEST_ENTITY_TOO_LARGE, "the query is too large");
		if (str_eq(k, STR("dryRun")) && v.n) {
			dry_run_take(r, v);
		} else if (str_eq(k, STR("force")) && v.n) {
			r->opt.force_set = true;
			r->opt.force = is_true(v);
		} else if (str_eq(k, STR("orphanDependents")) && v.n) {
			r->opt.orphan_dependents_set = true;
			r->opt.orphan_dependents = is_true(v);
		}
		for (size_t i = 0; i < ARRAY_LEN(query_options); i++) {
			/* The first counts, as it does for the authorizers. */
			if (given[i] || !str_eq_c(k, query_options[i].name))
				continue;
			given[i] = true;
			rc = option_set(r, i, v, e);
			if (rc < 0)
				return rc;
		}
	}
}

static enum step
invalid_options(struct request *r, const char *kind)
{
	struct str msg = schema_errors_message(&r->causes);
	return request_fail_status(r,
		&(struct status_spec){.http = 422,
			.reason = R_INVALID,
			.group = STR("meta.k8s.io"),
			.kind = str_c(kind),
			.errors = &r->causes,
			.message = arena_fmt(r->a, "%s.meta.k8s.io \"\" is invalid: " STR_FMT, kind,
				STR_ARG(msg))});
}

/* An unsupported value whose supported ones are listed as upstream lists them. */
static void
unsupported(struct request *r, struct str field, struct str value, const char *supported)
{
	schema_error_fmt(&r->causes, SCHEMA_CAUSE_NOT_SUPPORTED, field, doc_str(r->a, value),
		"supported values: %s", supported);
}

/* meta/internalversion/validation.ValidateListOptions */
static void
check_list(struct request *r)
{
	struct options *o = &r->opt;
	struct schema_errors *errs = &r->causes;
	struct str match = o->resource_version_match;
	bool watch = r->verb == VERB_WATCH;
	if (watch && o->send_initial_events >= 0) {
		if (!str_eq(match, STR("NotOlderThan")))
			schema_err_forbidden(errs, STR("resourceVersionMatch"),
				"sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
		if (match.n && !str_eq(match, STR("NotOlderThan")))
			schema_err_unsupported(errs, STR("resourceVersionMatch"), match,
				(const char *const[]){"NotOlderThan", NULL});
		return;
	}
	if (o->send_initial_events >= 0) {
		schema_err_forbidden(
			errs, STR("sendInitialEvents"), "sendInitialEvents is forbidden for list");
		return;
	}
	if (match.n == 0)
		return;
	if (watch) {
		schema_err_forbidden(errs, STR("resourceVersionMatch"),
			"resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
		return;
	}
	if (o->resource_version.n == 0)
		schema_err_forbidden(errs, STR("resourceVersionMatch"),
			"resourceVersionMatch is forbidden unless resourceVersion is provided");
	if (o->continue_token.n)
		schema_err_forbidden(errs, STR("resourceVersionMatch"),
			"resourceVersionMatch is forbidden when continue is provided");
	if (!str_eq(match, STR("Exact")) && !str_eq(match, STR("NotOlderThan")))
		unsupported(
			r, STR("resourceVersionMatch"), match, "\"Exact\", \"NotOlderThan\", \"\"");
	if (str_eq(match, STR("Exact")) && str_eq(o->resource_version, STR("0")))
		schema_err_forbidden(errs, STR("resourceVersionMatch"),
			"resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
}

void
manager_check(struct request *r, struct str path, struct str name)
{
	if (name.n > MANAGER_MAX)
		schema_err_too_long(&r->causes, path, MANAGER_MAX);
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (c >= 0x20 && c != 0x7f)
			continue;
		schema_error_fmt(&r->causes, SCHEMA_CAUSE_INVALID, path, doc_str(r->a, name),
			"invalid character U+%04X (at position %zu)", c, i);
		break;
	}
}

static void
check_write(struct request *r)
{
	static const char *const modes[] = {"", "Ignore", "Strict", "Warn"};
	struct options *o = &r->opt;
	bool known = false;
	for (size_t i = 0; i < 4; i++)
		known = known || str_eq_c(o->field_validation, modes[i]);
	if (!known)
		unsupported(r, STR("fieldValidation"), o->field_validation,
			"\"\", \"Ignore\", \"Strict\", \"Warn\"");
	check_dry_run(r);
	if (o->field_validation.n == 0)
		o->field_validation = STR("Warn");
	if (request_is_apply(r) && o->field_manager.n == 0)
		schema_err_required(&r->causes, STR("fieldManager"), "is required for apply patch");
	manager_check(r, STR("fieldManager"), o->field_manager);
	if (o->force_set && r->body_media != MEDIA_PATCH_APPLY)
		schema_err_forbidden(
			&r->causes, STR("force"), "may not be specified for non-apply patch");
}

/* meta/v1/validation.ValidateDeleteOptions */
static enum step
check_delete(struct request *r)
{
	struct options *o = &r->opt;
	if (o->orphan_dependents_set && o->propagation.n)
		schema_err_invalid(&r->causes, STR("propagationPolicy"), o->propagation,
			"orphanDependents and deletionPropagation cannot be both set");
	if (o->propagation.n && !str_eq(o->propagation, STR("Orphan")) &&
		!str_eq(o->propagation, STR("Background")) &&
		!str_eq(o->propagation, STR("Foreground")))
		unsupported(r, STR("propagationPolicy"), o->propagation,
			"\"Foreground\", \"Background\", \"Orphan\", \"nil\"");
	check_dry_run(r);
	if (o->orphan_dependents_set && o->propagation.n == 0)
		o->propagation = o->orphan_dependents ? STR("Orphan") : STR("Background");
	if (r->causes.n)
		return invalid_options(r, "DeleteOptions");
	return STEP_NEXT;
}

static void
delete_options_take(struct request *r, const struct doc *d)
{
	struct options *o = &r->opt;
	/* a body says it all: what the query says does not count beside it */
	o->grace_s = -1;
	o->dry_run = o->orphan_dependents_set = o->orphan_dependents = false;
	o->dry_runs = NULL;
	o->propagation = STR("");
	const struct doc *g = doc_get(d, STR("gracePeriodSeconds"));
	if (g && g->type != DOC_NULL)
		o->grace_s = doc_as_int(g, -1);
	struct str p = doc_get_str(d, STR("propagationPolicy"));
	if (p.n)
		o->propagation = p;
	const struct doc *od = doc_get(d, STR("orphanDependents"));
	if (od && od->type == DOC_BOOL) {
		o->orphan_dependents_set = true;
		o->orphan_dependents = od->b;
	}
	const struct doc *pre = doc_get(d, STR("preconditions"));
	o->precondition_uid = doc_get_str(pre, STR("uid"));
	o->precondition_rv = doc_get_str(pre, STR("resourceVersion"));
	DOC_EACH (x, doc_get(d, STR("dryRun"))) {
		dry_run_take(r, doc_as_str(x));
	}
}

enum step
options_parse_delete(struct request *r)
{
	if (str_trim(r->body).n == 0)
		return check_delete(r);
	static const struct {
		enum media media;
		enum schema_media form;
	} forms[] = {{MEDIA_JSON, SCHEMA_JSON}, {MEDIA_YAML, SCHEMA_YAML},
		{MEDIA_PROTOBUF, SCHEMA_PROTOBUF}};
	const struct schema_type *t = schema_type_find(
		r->server->schema, STR("meta"), STR("v1"), STR("DeleteOptions"));
	for (size_t i = 0; t && i < ARRAY_LEN(forms); i++) {
		if (forms[i].media != r->body_media)
			continue;
		struct doc *d = NULL;
		struct err e = {0};
		int rc = schema_decode(r->a, t, r->body, forms[i].form, &d, NULL, &e);
		if (rc < 0 && forms[i].form == SCHEMA_JSON &&
			str_find(str_c(e.msg), STR(" (offset ")) >= 0)
			return request_fail(r, R_BAD_REQUEST,
				"couldn't get version/kind; json parse error: " STR_FMT,
				STR_ARG(json_fault(&e)));
		if (rc < 0)
			return request_fail_err(r, &e);
		struct str kind = doc_get_str(d, STR("kind"));
		if (kind.n && !str_eq_c(kind, "DeleteOptions"))
			return request_fail(r, R_BAD_REQUEST,
				"no kind \"" STR_FMT "\" is registered for version \"" STR_FMT
				"\" in scheme \"pkg/runtime/scheme.go:111\"",
				STR_ARG(kind), STR_ARG(doc_get_str(d, STR("apiVersion"))));
		delete_options_take(r, d);
		return check_delete(r);
	}
	return request_fail(r, R_UNSUPPORTED_MEDIA_TYPE,
		"the body of the request was in an unknown format - accepted media types include: "
		"application/json, application/yaml, application/vnd.kubernetes.protobuf");
}

static const unsigned one_verbs = VERB_BIT(VERB_GET) | VERB_BIT(VERB_UPDATE) |
	VERB_BIT(VERB_PATCH) | VERB_BIT(VERB_DELETE);

/* Is the name but what a field selector asks for? */
static bool
is_collection(const struct request *r)
{
	return r->verb == VERB_LIST || r->verb == VERB_WATCH || r->verb == VERB_DELETECOLLECTION;
}

/* Whoever uses what will go away one day is told, whatever comes of the request. */
static void
warn_deprecated(struct request *r)
{
	static const struct {
		const char *resource, *text; /* of core */
	} rows[] = {
		{"endpoints",
			"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 "
			"EndpointSlice"},
		{"componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"},
	};
	for (size_t i = 0; r->sink->http && r->res->group.n == 0 && i < ARRAY_LEN(rows); i++)
		if (str_eq_c(r->res->plural, rows[i].resource))
			request_warn(r, "%s", rows[i].text);
}

static bool
verb_allowed(const struct request *r)
{
	unsigned have = r->sub ? r->sub->verbs : r->res->verbs;
	bool write = VERB_BIT(r->verb) & (VERB_BIT(VERB_UPDATE) | VERB_BIT(VERB_PATCH));
	if (r->sink->http && r->verb == VERB_CREATE && r->name.n && !r->sub)
		return false; /* one creates in a collection */
	if (write && r->name.n == 0)
		return false; /* and changes one object */
	if (r->sink->http && r->res->kind->namespaced && r->ns.n == 0 && r->verb != VERB_LIST &&
		r->verb != VERB_WATCH)
		return false; /* over all namespaces one only looks */
	return have & VERB_BIT(r->verb);
}

static enum step
include_object(struct request *r)
{
	struct str inc = r->opt.include_object;
	if (r->accept->as != AS_TABLE || inc.n == 0 || str_eq(inc, STR("Metadata")))
		return STEP_NEXT;
	struct negotiated *n = ARENA_NEW(r->a, struct negotiated);
	if (!n)
		return STEP_NEXT; /* the failed arena is answered with the reply */
	*n = *r->accept;
	r->accept = n;
	if (str_eq(inc, STR("Object")))
		n->include = SCHEMA_INCLUDE_OBJECT;
	else if (str_eq(inc, STR("None")))
		n->include = SCHEMA_INCLUDE_NONE;
	else
		return request_fail(r, R_BAD_REQUEST,
			"Unable to convert to Table as requested: includeObject: Invalid value: "
			"\"" STR_FMT "\": must be 'Metadata', 'Object', 'None', or empty",
			STR_ARG(inc));
	return STEP_NEXT;
}

enum step
stage_options(struct request *r)
{
	if (r->sink->http && !r->sub && r->name.n && !(r->res->verbs & one_verbs) &&
		!is_collection(r))
		return request_not_found_path(r); /* nothing is kept under a name */
	if (!verb_allowed(r))
		return request_fail_method(r);
	warn_deprecated(r);
	struct err e = {0};
	if ((r->sink->http || r->raw_query.n) && !(r->sub && r->sub->connect)) {
		int rc = options_parse_query(r, &e);
		if (rc < 0)
			return request_fail_err(r, &e);
	}
	if (r->verb == VERB_LIST || r->verb == VERB_WATCH || r->verb == VERB_DELETECOLLECTION)
		check_list(r);
	if (r->causes.n)
		return invalid_options(r, "ListOptions");
	if (r->verb == VERB_CREATE || r->verb == VERB_UPDATE || r->verb == VERB_PATCH)
		check_write(r);
	if (r->causes.n)
		return invalid_options(r,
			r->verb == VERB_CREATE           ? "CreateOptions"
				: r->verb == VERB_UPDATE ? "UpdateOptions"
							 : "PatchOptions");
	if (include_object(r) == STEP_REPLY)
		return STEP_REPLY;
	if (r->verb == VERB_DELETE || r->verb == VERB_DELETECOLLECTION)
		return options_parse_delete(r);
	return STEP_NEXT;
}
