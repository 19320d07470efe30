/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * negotiate: the stage that picks the form of the answer from Accept, and what makes that form: JSON
 * (stored bytes with kind and apiVersion in front), YAML, Table, PartialObjectMetadata.
 *
 * Invariant: request bodies may be JSON, YAML or protobuf; answers are JSON or YAML, which every client
 * that asks for protobuf names as its second choice.
 * Source: RFC 9110 section 12.5.1; Kubernetes API concepts (alternate representations, tables). */
#include "orchestrator/api/api_int.h"

const struct negotiated negotiated_json = {MEDIA_JSON, AS_OBJECT, "v1", SCHEMA_INCLUDE_METADATA};

static const struct {
	const char *type;
	enum media media;
} media_types[] = {
	{"application/json", MEDIA_JSON},
	{"application/yaml", MEDIA_YAML},
	{"application/vnd.kubernetes.protobuf", MEDIA_PROTOBUF},
	{"application/json-patch+json", MEDIA_PATCH_JSON},
	{"application/merge-patch+json", MEDIA_PATCH_MERGE},
	{"application/strategic-merge-patch+json", MEDIA_PATCH_STRATEGIC},
	{"application/apply-patch+yaml", MEDIA_PATCH_APPLY},
};

enum media
media_of(struct str content_type)
{
	if (content_type.n == 0)
		return MEDIA_JSON;
	struct http_media m;
	if (http_media_parse(content_type, &m) < 0)
		return MEDIA_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(media_types); i++)
		if (str_eq_nocase(m.type, str_c(media_types[i].type)))
			return media_types[i].media;
	return MEDIA_OTHER;
}

/* One clause of Accept: true when an answer of that form can be made. */
static bool
clause_accepts(const struct http_media *m, struct negotiated *n)
{
	*n = negotiated_json;
	if (http_media_matches(m, STR("application/json")))
		n->media = MEDIA_JSON;
	else if (http_media_matches(m, STR("application/yaml")))
		n->media = MEDIA_YAML;
	else
		return false;
	struct str as = http_media_param(m, STR("as"));
	struct str g = http_media_param(m, STR("g")), v = http_media_param(m, STR("v"));
	if (!str_is_set(as))
		return !str_is_set(g) && !str_is_set(v);
	static const struct {
		const char *as;
		enum as_form form;
	} forms[] = {
		{"Table", AS_TABLE},
		{"PartialObjectMetadata", AS_PARTIAL},
		{"PartialObjectMetadataList", AS_PARTIAL_LIST},
	};
	if (!str_eq(g, STR("meta.k8s.io")))
		return false;
	if (str_eq(v, STR("v1")))
		n->as_version = "v1";
	else if (str_eq(v, STR("v1beta1")))
		n->as_version = "v1beta1";
	else
		return false;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (str_eq_c(as, forms[i].as)) {
			n->as = forms[i].form;
			return true;
		}
	return false;
}

enum step
stage_negotiate(struct request *r)
{
	if (!r->sink->http || r->verb == VERB_NONE)
		return STEP_NEXT; /* paths negotiate by themselves */
	struct http_media *clauses = NULL;
	size_t n = 0;
	if (http_accept_parse(r->a, &r->sink->http->headers, &clauses, &n) < 0)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "the request is too large");
	struct negotiated *out = ARENA_NEW(r->a, struct negotiated);
	if (!out)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "the request is too large");
	bool streams = r->sub && r->sub->connect;
	/* What answers a question is no row of a table. */
	bool tables = r->verb != VERB_CREATE || !(r->sub ? r->sub->serve : r->res->serve_virtual);
	for (size_t i = 0; i < n; i++) {
		if (!clause_accepts(&clauses[i], out) || (out->as == AS_TABLE && !tables))
			continue;
		r->accept = out;
		return STEP_NEXT;
	}
	if (streams)
		return STEP_NEXT;
	bool known = false;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 3; k++)
			known |= http_media_matches(&clauses[i], str_c(media_types[k].type));
	if (!known)
		return request_fail_status(r,
			&(struct status_spec){.http = 406,
				.reason = R_NOT_ACCEPTABLE,
				.message = STR("406: Not Acceptable\n\nAvailable representations: "
					       "application/json, application/yaml, "
					       "application/vnd.kubernetes.protobuf")});
	return request_fail(r, R_NOT_ACCEPTABLE,
		"only the following media types are accepted: application/json, application/yaml, "
		"application/vnd.kubernetes.protobuf");
}

/* ---- forms --------------------------------------------------------------------------------------- */

struct str
tree_bytes(struct request *r, const struct doc *d, struct str *ret_type)
{
	struct buf b;
	buf_init_arena(&b, r->a);
	if (r->accept->media == MEDIA_YAML) {
		struct doc *sorted = doc_copy(r->a, d);
		if (!sorted || doc_expand(r->a, sorted) < 0)
			return STR_NONE;
		doc_sort(sorted);
		doc_write_yaml(&b, sorted);
		*ret_type = STR("application/yaml");
	} else {
		struct doc *whole = r->opt.pretty ? doc_copy(r->a, d) : NULL;
		if (r->opt.pretty && (!whole || doc_expand(r->a, whole) < 0))
			return STR_NONE;
		if (whole)
			doc_write_json_pretty(&b, whole, 2);
		else
			doc_write_json(&b, d);
		buf_char(&b, '\n');
		*ret_type = STR("application/json");
	}
	return b.failed ? STR_NONE : buf_view(&b);
}

struct str
form_object(struct request *r, struct doc *d, struct str *ret_type)
{
	const struct negotiated *n = r->accept;
	struct doc *out = d;
	if (n->as == AS_TABLE) {
		const struct doc *one = d;
		struct doc *lm = doc_map(r->a);
		struct str rv = doc_get_str(meta_of(d), STR("resourceVersion"));
		if (lm && rv.n)
			doc_set_str(r->a, lm, STR("resourceVersion"), rv);
		out = schema_table(r->a, r->res ? r->res->kind : NULL, &one, 1, lm, n->include,
			true, n->as_version, r->wall_ns);
	} else if (n->as == AS_PARTIAL) {
		out = schema_partial(r->a, d, n->as_version);
	}
	return out ? tree_bytes(r, out, ret_type) : STR_NONE;
}

enum step
request_reply_doc(struct request *r, int http, struct doc *d)
{
	if (r->accept->as == AS_PARTIAL_LIST)
		return request_fail(r, R_NOT_ACCEPTABLE,
			"only the following media types are accepted: application/json, "
			"application/yaml, application/vnd.kubernetes.protobuf");
	struct str type = STR("application/json");
	struct str kind = doc_get_str(d, STR("kind"));
	/* Answers of subresources and reviews are what they are; a table shows the resource's kind. */
	if (r->accept->as != AS_OBJECT && r->res && !str_eq_c(kind, r->res->kind->kind)) {
		struct negotiated *n = ARENA_NEW(r->a, struct negotiated);
		if (n) {
			*n = (struct negotiated){r->accept->media, AS_OBJECT, "v1", 0};
			r->accept = n;
		}
	}
	struct str body = form_object(r, d, &type);
	return request_reply_bytes(r, http, type, body);
}

void
head_write(struct buf *b, const struct api_resource *res, struct str body)
{
	buf_str(b, res->head);
	buf_str(b, body.n > 1 ? str_sub(body, 1, SIZE_MAX) : STR("}"));
}

enum step
reply_stored(struct request *r, int http, struct str body)
{
	const struct negotiated *n = r->accept;
	if (n->media == MEDIA_JSON && n->as == AS_OBJECT && !r->opt.pretty && !r->res->shares) {
		struct buf b;
		buf_init_arena(&b, r->a);
		buf_reserve(&b, r->res->head.n + body.n + 2);
		head_write(&b, r->res, body);
		buf_char(&b, '\n');
		return request_reply_bytes(r, http, STR("application/json"), buf_view(&b));
	}
	struct doc *d = object_parse(r->a, r->res, body);
	if (!d)
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: a stored object cannot be read");
	return request_reply_doc(r, http, d);
}
