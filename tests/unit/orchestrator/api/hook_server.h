/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_server: how the webhooks of tests answer, of admission and of conversion: the path says it. */
#ifndef TEST_HOOK_SERVER_H
#define TEST_HOOK_SERVER_H

#include "base/doc.h"
#include "base/hash.h"
#include "netstack/http/http.h"

/* What a path answers: members of the response, and a JSON patch. */
static const struct {
	const char *path, *response, *patch;
} hook_paths[] = {
	{"/allow", "\"allowed\":true", NULL},
	{"/hold", "\"allowed\":true", NULL},
	{"/deny",
		"\"allowed\":false,\"status\":{\"message\":\"not on Mondays\",\"code\":403,\"reason\":\"Forbidden\"}",
		NULL},
	{"/deny-plain", "\"allowed\":false", NULL},
	{"/deny-oddly", "\"allowed\":false,\"status\":{\"reason\":\"Odd\\\"\",\"code\":7}", NULL},
	{"/warn", "\"allowed\":true,\"warnings\":[\"mind the gap\"]", NULL},
	{"/label", "\"allowed\":true",
		"[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"hooked\":\"yes\"}}]"},
	{"/data", "\"allowed\":true", "[{\"op\":\"add\",\"path\":\"/data/more\",\"value\":\"x\"}]"},
	{"/rename", "\"allowed\":true",
		"[{\"op\":\"replace\",\"path\":\"/metadata/name\",\"value\":\"other\"},"
		"{\"op\":\"add\",\"path\":\"/metadata/uid\",\"value\":\"made-up\"}]"},
	{"/replicas", "\"allowed\":true",
		"[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":7}]"},
	{"/volume", "\"allowed\":true",
		"[{\"op\":\"add\",\"path\":\"/spec/initContainers\",\"value\":[{\"name\":\"i\",\"image\":\"i\"}]}]"},
	{"/sidecar", "\"allowed\":true",
		"[{\"op\":\"add\",\"path\":\"/spec/containers/-\",\"value\":{\"name\":\"sidecar\","
		"\"image\":\"i\"}}]"},
	{"/wrong-type", "\"allowed\":true", "[{\"op\":\"add\",\"path\":\"/data\",\"value\":7}]"},
	{"/nowhere", "\"allowed\":true", "[{\"op\":\"remove\",\"path\":\"/spec/none\"}]"},
};

/* ---- conversion ---- */

/* One object between v1 (hostPort) and v2 (host, port). */
static inline void
hook_convert_one(struct arena *a, struct doc *o, struct str version)
{
	struct str host = STR(""), port = STR("");
	doc_set_str(a, o, STR("apiVersion"), version);
	if (str_ends(version, STR("/v1"))) {
		doc_set_str(a, o, STR("hostPort"),
			arena_fmt(a, STR_FMT ":" STR_FMT, STR_ARG(doc_get_str(o, STR("host"))),
				STR_ARG(doc_get_str(o, STR("port")))));
		doc_set(o, STR("host"), NULL);
		doc_set(o, STR("port"), NULL);
		return;
	}
	str_cut(doc_get_str(o, STR("hostPort")), ':', &host, &port);
	doc_set_str(a, o, STR("host"), host);
	doc_set_str(a, o, STR("port"), port);
	doc_set(o, STR("hostPort"), NULL);
}

/* What a path does besides. */
static const struct {
	const char *path, *result;
	const char *member, *value; /* of each object's metadata */
	bool lose;                  /* one object too few */
} hook_converts[] = {
	{"/convert", "Success", NULL, NULL, false},
	{"/convert-hold", "Success", NULL, NULL, false},
	{"/convert-fail", "Failure", NULL, NULL, false},
	{"/convert-rename", "Success", "name", "other", false},
	{"/convert-uid", "Success", "resourceVersion", "9999", false},
	{"/convert-lose", "Success", NULL, NULL, true},
};

static inline bool
hook_convert(struct http_req *r, const struct doc *request)
{
	struct arena *a = r->arena;
	struct doc *list = doc_get(request, STR("objects"));
	size_t i = 0;
	struct buf b;
	while (i < ARRAY_LEN(hook_converts) && !str_eq_c(r->path, hook_converts[i].path))
		i++;
	if (i == ARRAY_LEN(hook_converts))
		return false;
	DOC_EACH (o, list) {
		struct doc *meta = doc_get(o, STR("metadata"));
		hook_convert_one(a, o, doc_get_str(request, STR("desiredAPIVersion")));
		if (hook_converts[i].member)
			doc_set_str(a, meta, str_c(hook_converts[i].member),
				str_c(hook_converts[i].value));
		struct doc *notes = doc_ensure_map(a, meta, STR("annotations"));
		if (notes)
			doc_set_str(a, notes, STR("converted"), STR("yes"));
	}
	if (hook_converts[i].lose && list->first)
		doc_remove(list, list->first);
	buf_init_arena(&b, a);
	buf_fmt(&b,
		"{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\","
		"\"response\":{\"uid\":\"" STR_FMT "\",\"result\":{\"status\":\"%s\"%s},"
		"\"convertedObjects\":",
		STR_ARG(doc_get_str(request, STR("uid"))), hook_converts[i].result,
		hook_converts[i].result[0] == 'F' ? ",\"message\":\"not today\"" : "");
	doc_write_json(&b, list);
	buf_cstr(&b, "}}");
	http_reply(r, 200, STR("application/json"), buf_view(&b));
	return true;
}

static inline void
hook_reply(struct http_req *r, struct str review)
{
	struct doc *d = NULL;
	if (doc_parse_json(r->arena, review, NULL, &d, NULL) < 0) {
		http_reply(r, 400, STR("text/plain"), STR("no JSON"));
		return;
	}
	struct str uid = doc_get_str(doc_get(d, STR("request")), STR("uid"));
	struct buf b;
	if (hook_convert(r, doc_get(d, STR("request"))))
		return;
	buf_init_arena(&b, r->arena);
	if (str_eq(r->path, STR("/error"))) {
		http_reply(r, 500, STR("text/plain"), STR("boom"));
		return;
	}
	if (str_eq(r->path, STR("/redirect"))) {
		http_set_header(r, STR("Location"), STR("/allow"));
		http_reply(r, 307, STR("text/plain"), STR(""));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(hook_paths); i++) {
		if (!str_eq_c(r->path, hook_paths[i].path))
			continue;
		buf_fmt(&b,
			"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
			"\"response\":{\"uid\":\"" STR_FMT "\",%s",
			STR_ARG(uid), hook_paths[i].response);
		if (hook_paths[i].patch) {
			buf_cstr(&b, ",\"patchType\":\"JSONPatch\",\"patch\":\"");
			base64_encode(&b, str_c(hook_paths[i].patch));
			buf_char(&b, '"');
		}
		buf_cstr(&b, "}}");
		http_reply(r, 200, STR("application/json"), buf_view(&b));
		return;
	}
	http_reply(r, 404, STR("text/plain"), STR("no such webhook"));
}

#endif
