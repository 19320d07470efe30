/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * status: failures as meta/v1 Status objects, with the texts clients look for, and Warning headers.
 * Stages and kinds answer through the request_fail functions; nothing else makes a Status.
 *
 * Invariant: one answer a request; a Status is JSON unless YAML was negotiated.
 * Source: k8s.io/apimachinery api/errors (texts), meta/v1 Status; RFC 7234 section 5.5 (Warning). */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/hook_int.h"

#include <stdio.h>

static void
member(struct buf *b, bool *first, const char *name, struct str value)
{
	if (value.n == 0)
		return;
	buf_fmt(b, "%s\"%s\":", *first ? "" : ",", name);
	doc_json_string(b, value);
	*first = false;
}

static void
details_write(struct buf *b, const struct status_spec *st)
{
	bool first = true;
	buf_cstr(b, ",\"details\":{");
	member(b, &first, "name", st->name);
	member(b, &first, "group", st->group);
	member(b, &first, "kind", st->kind);
	member(b, &first, "uid", st->uid);
	const struct doc *causes = st->causes;
	if (!causes && st->errors && st->errors->n)
		causes = schema_errors_causes(st->errors);
	if (causes) {
		buf_fmt(b, "%s\"causes\":", first ? "" : ",");
		doc_write_json(b, causes);
		first = false;
	}
	if (st->retry_s > 0)
		buf_fmt(b, "%s\"retryAfterSeconds\":%d", first ? "" : ",", st->retry_s);
	buf_char(b, '}');
}

struct str
status_json(struct arena *a, const struct status_spec *st)
{
	struct buf b;
	buf_init_arena(&b, a);
	buf_cstr(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{");
	if (st->continue_token.n) {
		buf_cstr(&b, "\"continue\":");
		doc_json_string(&b, st->continue_token);
	}
	buf_fmt(&b, "},\"status\":\"%s\"", st->success ? "Success" : "Failure");
	if (st->message.n) {
		buf_cstr(&b, ",\"message\":");
		doc_json_string(&b, st->message);
	}
	const char *reason = st->reason_text ? st->reason_text
		: st->reason != R_UNKNOWN    ? reason_name(st->reason)
					     : "";
	if (reason[0] && !st->success)
		buf_fmt(&b, ",\"reason\":\"%s\"", reason);
	if (!st->no_details)
		details_write(&b, st);
	if (!st->success || st->http == 201)
		buf_fmt(&b, ",\"code\":%d", st->http);
	buf_cstr(&b, "}\n");
	return b.failed
		? STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		      "\"Failure\",\"message\":\"the request needs too much memory\",\"reason\":"
		      "\"RequestEntityTooLarge\",\"code\":413}\n")
		: buf_view(&b);
}

/* ---- the reply path ------------------------------------------------------------------------------ */

void
request_warnings_send(struct request *r)
{
	for (size_t i = 0; i < r->n_warnings; i++) {
		struct buf b;
		buf_init_arena(&b, r->a);
		buf_cstr(&b, "299 - \"");
		for (size_t j = 0; j < r->warnings[i].n; j++) {
			char c = r->warnings[i].p[j];
			if (c == '"' || c == '\\')
				buf_char(&b, '\\');
			buf_char(&b, c == '\n' || c == '\r' ? ' ' : c);
		}
		buf_char(&b, '"');
		if (!b.failed)
			r->sink->ops->header(r, STR("Warning"), buf_view(&b));
	}
	r->n_warnings = 0;
}

enum step
request_reply_bytes(struct request *r, int http, struct str media_type, struct str body)
{
	request_warnings_send(r);
	if (arena_failed(r->a) && (http < 400 || http >= 500)) { /* whatever failed: that is why */
		http = 413;
		media_type = STR("application/json");
		body = STR(
			"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
			"\"Failure\",\"message\":\"the request needs too much memory\",\"reason\":"
			"\"RequestEntityTooLarge\",\"code\":413}\n");
	}
	request_over(r, http);
	r->sink->ops->reply(r, http, media_type, body);
	return STEP_REPLY;
}

static enum step
status_send(struct request *r, int http, struct str body)
{
	struct doc *d = NULL;
	if (r->accept->media == MEDIA_YAML && doc_parse_json(r->a, body, NULL, &d, NULL) == 0) {
		struct buf b;
		buf_init_arena(&b, r->a);
		doc_sort(d);
		doc_write_yaml(&b, d);
		if (!b.failed)
			return request_reply_bytes(r, http, STR("application/yaml"), buf_view(&b));
	}
	return request_reply_bytes(r, http, STR("application/json"), body);
}

enum step
request_fail_status(struct request *r, const struct status_spec *st)
{
	if (st->retry_s > 0)
		r->sink->ops->header(r, STR("Retry-After"), arena_fmt(r->a, "%d", st->retry_s));
	return status_send(r, st->http, status_json(r->a, st));
}

enum step
request_fail_doc(struct request *r, int http, const struct doc *status)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	doc_write_json(&b, status);
	buf_char(&b, '\n');
	return status_send(r, http, buf_view(&b));
}

static enum step
fail_simple(struct request *r, enum reason reason, struct str msg)
{
	return request_fail_status(r,
		&(struct status_spec){.http = reason_http(reason),
			.reason = reason,
			.message = msg,
			.no_details = true});
}

enum step
request_fail(struct request *r, enum reason reason, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str msg = arena_vfmt(r->a, fmt, ap);
	va_end(ap);
	return fail_simple(r, reason, msg);
}

enum step
request_fail_err(struct request *r, const struct err *e)
{
	enum reason reason = e->reason;
	if (reason == R_UNKNOWN)
		reason = e->code == -E2BIG ? R_REQUEST_ENTITY_TOO_LARGE : R_INTERNAL_ERROR;
	struct str msg = arena_str(r->a, str_c(e->msg));
	if (reason == R_INTERNAL_ERROR)
		msg = arena_fmt(r->a, "Internal error occurred: %s", e->msg);
	return fail_simple(r, reason, msg);
}

static struct status_spec
spec_for(struct request *r, const struct api_resource *res, enum reason reason, struct str name)
{
	struct status_spec st = {.http = reason_http(reason), .reason = reason, .name = name};
	if (!res)
		res = r->res;
	if (res) {
		st.group = res->group;
		st.kind = res->plural;
	}
	return st;
}

enum step
request_fail_not_found(struct request *r, const struct api_resource *res, struct str name)
{
	struct status_spec st = spec_for(r, res, R_NOT_FOUND, name);
	const struct api_resource *of = res ? res : r->res;
	st.message = arena_fmt(r->a, STR_FMT " \"" STR_FMT "\" not found",
		STR_ARG(of->group_plural), STR_ARG(name));
	return request_fail_status(r, &st);
}

enum step
request_not_found_path(struct request *r)
{
	return request_fail_status(r,
		&(struct status_spec){.http = 404,
			.reason = R_NOT_FOUND,
			.message = STR("the server could not find the requested resource")});
}

enum step
request_fail_revision(struct request *r, struct str rv)
{
	return request_fail_status(r,
		&(struct status_spec){.http = 500,
			.no_details = true,
			.message = arena_fmt(r->a,
				"resourceVersion: Invalid value: \"" STR_FMT
				"\": strconv.ParseUint: parsing \"" STR_FMT "\": invalid syntax",
				STR_ARG(rv), STR_ARG(rv))});
}

enum step
request_fail_method(struct request *r)
{
	return request_fail_status(r,
		&(struct status_spec){.http = 405,
			.reason = R_METHOD_NOT_ALLOWED,
			.message = STR("the server does not allow this method on the requested "
				       "resource")});
}

enum step
request_fail_exists(struct request *r, struct str name)
{
	struct status_spec st = spec_for(r, NULL, R_ALREADY_EXISTS, name);
	st.message = arena_fmt(r->a, STR_FMT " \"" STR_FMT "\" already exists",
		STR_ARG(r->res->group_plural), STR_ARG(name));
	return request_fail_status(r, &st);
}

enum step
request_fail_conflict(struct request *r, struct str name, const char *why)
{
	struct status_spec st = spec_for(r, NULL, R_CONFLICT, name);
	st.message = arena_fmt(r->a,
		"Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT "\": %s",
		STR_ARG(r->res->group_plural), STR_ARG(name), why);
	return request_fail_status(r, &st);
}

struct status_spec
request_forbidden_spec(struct request *r, struct str why)
{
	struct str name = r->name;
	if (name.n == 0 && r->obj)
		name = doc_get_str(meta_of(r->obj), STR("name"));
	struct status_spec st = spec_for(r, NULL, R_FORBIDDEN, name);
	if (!r->res)
		st.message = arena_fmt(r->a, "forbidden: " STR_FMT, STR_ARG(why));
	else if (name.n)
		st.message = arena_fmt(r->a, STR_FMT " \"" STR_FMT "\" is forbidden: " STR_FMT,
			STR_ARG(r->res->group_plural), STR_ARG(name), STR_ARG(why));
	else
		st.message = arena_fmt(r->a, STR_FMT " is forbidden: " STR_FMT,
			STR_ARG(r->res->group_plural), STR_ARG(why));
	return st;
}

enum step
request_fail_forbidden(struct request *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str why = arena_vfmt(r->a, fmt, ap);
	va_end(ap);
	struct status_spec st = request_forbidden_spec(r, why);
	return request_fail_status(r, &st);
}

enum step
request_fail_invalid(struct request *r)
{
	struct str name = r->name;
	if (r->obj)
		name = doc_get_str(meta_of(r->obj), STR("name"));
	if (name.n == 0)
		name = r->name;
	struct status_spec st = {.http = 422,
		.reason = R_INVALID,
		.name = name,
		.group = r->res->group,
		.kind = str_c(r->res->kind->kind),
		.errors = &r->causes};
	if (r->sub && r->sub->schema && !r->sub->main_object) {
		st.group = str_c(r->sub->schema->group);
		st.kind = str_c(r->sub->schema->kind);
	}
	struct str gk = st.group.n
		? arena_fmt(r->a, STR_FMT "." STR_FMT, STR_ARG(st.kind), STR_ARG(st.group))
		: st.kind;
	struct str what = schema_errors_message(&r->causes);
	st.message = arena_fmt(r->a, STR_FMT " \"" STR_FMT "\" is invalid: " STR_FMT, STR_ARG(gk),
		STR_ARG(name), STR_ARG(what));
	return request_fail_status(r, &st);
}

enum step
request_fail_retry(struct request *r, enum reason reason, int seconds, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str msg = arena_vfmt(r->a, fmt, ap);
	va_end(ap);
	return request_fail_status(r,
		&(struct status_spec){.http = reason_http(reason),
			.reason = reason,
			.message = msg,
			.retry_s = seconds});
}

enum step
request_success_status(struct request *r, int http, struct str uid)
{
	struct status_spec st = spec_for(r, NULL, R_UNKNOWN, r->name);
	st.http = http;
	st.success = true;
	st.uid = uid;
	st.no_details = r->sub != NULL;
	return request_fail_status(r, &st);
}

void
request_warn(struct request *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str msg = arena_vfmt(r->a, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < r->n_warnings; i++)
		if (str_eq(r->warnings[i], msg))
			return;
	if (r->n_warnings >= 64 || msg.n > 4096)
		return;
	struct str *w = ARENA_PUSH(r->a, r->warnings, r->n_warnings);
	if (w)
		*w = msg;
}
