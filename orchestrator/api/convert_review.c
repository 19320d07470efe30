/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * convert_review: ConversionReviews as bytes: see convert.h. A webhook's answer is outside input.
 *
 * Invariant: what is taken has the kind, name, namespace and uid of what was sent, and all else of its metadata.
 * Source: apiextensions-apiserver pkg/apiserver/conversion (webhook_converter.go). */
#include "orchestrator/api/convert.h"

#define REVIEW_GROUP "apiextensions.k8s.io/"
#define SAID_MAX 1024 /* of what an answer says of itself */

/* ---- the question ---------------------------------------------------------------------------------- */

struct str
convert_review_write(struct arena *a, const char *review, struct str uid,
	const struct api_resource *to, const struct convert_item *items, size_t n,
	size_t *ret_asked)
{
	struct buf b;
	size_t asked = 0;
	buf_init_arena(&b, a);
	buf_fmt(&b,
		"{\"kind\":\"ConversionReview\",\"apiVersion\":\"" REVIEW_GROUP
		"%s\",\"request\":{\"uid\":\"" STR_FMT "\",\"desiredAPIVersion\":\"" STR_FMT
		"/" STR_FMT "\",\"objects\":[",
		review, STR_ARG(uid), STR_ARG(to->group), STR_ARG(to->version));
	for (size_t i = 0; i < n; i++) {
		if (items[i].from == to)
			continue;
		if (asked++)
			buf_char(&b, ',');
		doc_write_json(&b, items[i].doc);
	}
	buf_cstr(&b,
		"]},\"response\":{\"uid\":\"\",\"convertedObjects\":null,\"result\":{\"metadata\":{}}"
		"}}");
	*ret_asked = asked;
	return b.failed || arena_failed(a) ? STR_NONE : buf_view(&b);
}

/* ---- the answer ------------------------------------------------------------------------------------ */

static int
wrong(struct str *why, struct str text)
{
	*why = text;
	return -EINVAL;
}

static struct str
said(struct str s)
{
	return str_sub(s, 0, SAID_MAX);
}

static int
check_result(struct arena *a, const struct doc *resp, struct str *why)
{
	const struct doc *result = doc_get(resp, STR("result"));
	struct str status = doc_get_str(result, STR("status"));
	struct str message = doc_get_str(result, STR("message"));
	if (str_eq(status, STR("Success")))
		return 0;
	if (message.n)
		return wrong(why, said(message));
	return wrong(why,
		arena_fmt(a, "response.result.status was '" STR_FMT "', not 'Success'",
			STR_ARG(said(status))));
}

/* v1 says of which question it is the answer, and what it is. */
static int
check_envelope(struct arena *a, const struct doc *all, struct str *why)
{
	struct str version = doc_get_str(all, STR("apiVersion")),
		   kind = doc_get_str(all, STR("kind"));
	if (str_eq(version, STR(REVIEW_GROUP "v1")) && str_eq(kind, STR("ConversionReview")))
		return 0;
	return wrong(why,
		arena_fmt(a,
			"expected webhook response of " REVIEW_GROUP
			"v1, Kind=ConversionReview, got " STR_FMT ", Kind=" STR_FMT,
			STR_ARG(version.n ? said(version) : STR("/")), STR_ARG(said(kind))));
}

int
convert_answer_parse(struct arena *a, struct str body, struct str uid, const char *review,
	const struct doc **ret, struct str *why)
{
	bool v1 = strcmp(review, "v1") == 0;
	struct doc *all = NULL;
	struct err e = {0};
	if (doc_parse_json(a, body, NULL, &all, &e) < 0)
		return wrong(why, arena_str(a, json_fault(&e)));
	if (all->type != DOC_MAP)
		return wrong(why, STR("the answer is no ConversionReview"));
	const struct doc *resp = doc_get(all, STR("response"));
	struct str got = doc_get_str(resp, STR("uid"));
	int rc = v1 ? check_envelope(a, all, why) : 0;
	if (rc < 0)
		return rc;
	if (!resp || resp->type != DOC_MAP)
		return wrong(why, STR("no response provided"));
	if (v1 && !str_eq(got, uid))
		return wrong(why,
			arena_fmt(a, "expected response.uid=\"" STR_FMT "\", got \"" STR_FMT "\"",
				STR_ARG(uid), STR_ARG(said(got))));
	rc = check_result(a, resp, why);
	if (rc < 0)
		return rc;
	const struct doc *list = doc_get(resp, STR("convertedObjects"));
	*ret = list && list->type == DOC_LIST ? list : doc_list(a);
	return *ret ? 0 : wrong(why, STR("out of memory"));
}

/* ---- one object ------------------------------------------------------------------------------------ */

/* take_map: labels or annotations of the answer, into meta. */
static int
take_map(struct arena *a, struct doc *meta, const struct doc *from, const char *name,
	struct str *why)
{
	const struct doc *have = doc_get(from, str_c(name)), *had = doc_get(meta, str_c(name));
	struct schema_errors errs = {.a = a};
	if (!have || have->type == DOC_NULL) {
		doc_set(meta, str_c(name), NULL);
		return 0;
	}
	if (have->type != DOC_MAP)
		return wrong(why,
			arena_fmt(a, "invalid metadata.%s of type %s in converted object", name,
				schema_go_type(have)));
	DOC_EACH (m, have)
		if (m->type != DOC_STR)
			return wrong(why,
				arena_fmt(a,
					"metadata.%s[" STR_FMT
					"] must be a string, but is %s in converted object",
					name, STR_ARG(said(m->key)), schema_go_type(m)));
	if (!doc_equal(have, had) && strcmp(name, "labels") == 0)
		schema_validate_labels(have, STR("metadata.labels"), &errs);
	else if (!doc_equal(have, had))
		schema_validate_annotations(have, STR("metadata.annotation"), &errs);
	if (errs.n)
		return wrong(why, schema_errors_message(&errs));
	struct doc *copy = doc_copy(a, have);
	if (!copy)
		return wrong(why, STR("out of memory"));
	doc_set(meta, arena_str(a, str_c(name)), copy);
	return 0;
}

static int
take_meta(struct arena *a, const struct doc *sent, struct doc *out, struct str *why)
{
	const struct doc *got = meta_of(out);
	struct doc *meta = meta_of(sent) ? doc_copy(a, meta_of(sent)) : doc_map(a);
	if (!meta)
		return wrong(why, STR("out of memory"));
	if (!got)
		return wrong(why, STR("missing metadata in converted object"));
	if (got->type != DOC_MAP)
		return wrong(why,
			arena_fmt(a, "invalid metadata of type %s in converted object",
				schema_go_type(got)));
	int rc = take_map(a, meta, got, "labels", why);
	if (rc == 0)
		rc = take_map(a, meta, got, "annotations", why);
	if (rc == 0)
		doc_set(out, STR("metadata"), meta);
	return rc;
}

/* What must be as it was sent, but for the kind: that is told with the version. */
static const struct {
	const char *member, *text;
} kept[] = {{"name", "name"}, {"namespace", "namespace"}, {"uid", "UID"}};

static int
check_kept(struct arena *a, const struct doc *sent, const struct doc *got, struct str *why)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		struct str e = doc_get_str(meta_of(sent), str_c(kept[i].member));
		struct str g = doc_get_str(meta_of(got), str_c(kept[i].member));
		if (!str_eq(e, g))
			return wrong(why,
				arena_fmt(a, "must have the same %s: " STR_FMT " != " STR_FMT,
					kept[i].text, STR_ARG(e), STR_ARG(said(g))));
	}
	return 0;
}

static int
check_gvk(struct arena *a, struct str api_version, const struct doc *sent, const struct doc *got,
	struct str *why)
{
	struct str v = doc_get_str(got, STR("apiVersion")), k = doc_get_str(got, STR("kind"));
	struct str kind = doc_get_str(sent, STR("kind"));
	if (!str_eq(v, api_version))
		return wrong(why,
			arena_fmt(a,
				"invalid groupVersion (expected " STR_FMT ", received " STR_FMT ")",
				STR_ARG(api_version), STR_ARG(said(v))));
	if (!str_eq(k, kind))
		return wrong(why,
			arena_fmt(a, "invalid kind (expected " STR_FMT ", received " STR_FMT ")",
				STR_ARG(kind), STR_ARG(said(k))));
	return 0;
}

/* What is wrong with an object, as upstream introduces it. */
static int
introduce(struct arena *a, ptrdiff_t index, const char *alone, const char *in_list, struct str *why)
{
	*why = index < 0 ? arena_fmt(a, "%s: " STR_FMT, alone, STR_ARG(*why))
			 : arena_fmt(a, "%s at index %td: " STR_FMT, in_list, index, STR_ARG(*why));
	return -EINVAL;
}

int
convert_answer_take(struct arena *a, struct str api_version, ptrdiff_t index,
	const struct doc *sent, const struct doc *answer, struct doc **ret, struct str *why)
{
	struct doc *out = answer->type == DOC_MAP ? doc_copy(a, answer) : NULL;
	struct buf b;
	if (!out || doc_get_str(out, STR("kind")).n == 0) {
		buf_init_arena(&b, a);
		doc_write_json(&b, answer);
		wrong(why,
			arena_fmt(a, "Object 'Kind' is missing in '" STR_FMT "'",
				STR_ARG(said(buf_view(&b)))));
		return introduce(a, index, "returned invalid converted object",
			"returned invalid converted object", why);
	}
	if (check_gvk(a, api_version, sent, out, why) < 0)
		return introduce(a, index, "returned invalid object at index 0",
			"returned invalid converted object", why);
	if (check_kept(a, sent, out, why) < 0)
		return introduce(a, index, "returned invalid object",
			"returned invalid converted object", why);
	if (take_meta(a, sent, out, why) < 0)
		return introduce(a, index, "returned invalid metadata",
			"returned invalid metadata in object", why);
	*ret = out;
	return 0;
}
