/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hook_server: how the admission webhooks of tests answer: the path says it. */
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
