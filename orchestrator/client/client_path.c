/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_path: see client_path.h. */
#include "orchestrator/client/client_path.h"

#include "netstack/http/http.h"

#include "kinds/meta_v1.h"

#include <stdio.h>

static const struct verb_row {
	const char *method, *content_type;
} verbs[CLIENT_VERB__COUNT] = {
	[CLIENT_GET] = {"GET", ""},
	[CLIENT_LIST] = {"GET", ""},
	[CLIENT_CREATE] = {"POST", "application/json"},
	[CLIENT_UPDATE] = {"PUT", "application/json"},
	[CLIENT_PATCH_STRATEGIC] = {"PATCH", "application/strategic-merge-patch+json"},
	[CLIENT_PATCH_MERGE] = {"PATCH", "application/merge-patch+json"},
	[CLIENT_PATCH_JSON] = {"PATCH", "application/json-patch+json"},
	[CLIENT_DELETE] = {"DELETE", "application/json"},
	[CLIENT_DELETE_COLLECTION] = {"DELETE", "application/json"},
	[CLIENT_WATCH] = {"GET", ""},
};

const char *
client_path_method(enum client_verb v)
{
	return verbs[v].method;
}

const char *
client_path_content_type(enum client_verb v)
{
	return verbs[v].content_type;
}

static void
segment(struct buf *b, struct str s)
{
	buf_char(b, '/');
	http_url_encode(b, s, true);
}

static void
query_str(struct buf *b, char *sep, const char *name, struct str value)
{
	if (!value.n)
		return;
	buf_char(b, *sep);
	*sep = '&';
	buf_cstr(b, name);
	buf_char(b, '=');
	http_url_encode(b, value, false);
}

static void
query_num(struct buf *b, char *sep, const char *name, uint32_t value)
{
	char text[16];
	if (value)
		query_str(b, sep, name,
			str_from(text, (size_t)snprintf(text, sizeof(text), "%u", value)));
}

static void
query_bool(struct buf *b, char *sep, const char *name, bool value)
{
	if (value)
		query_str(b, sep, name, STR("true"));
}

void
client_path_put(struct buf *b, const struct client_req *req)
{
	char sep = '?';
	bool watch = req->verb == CLIENT_WATCH;
	if (req->raw.n) {
		buf_str(b, req->raw);
		return;
	}
	if (req->group.n) {
		buf_cstr(b, "/apis");
		segment(b, req->group);
	} else {
		buf_cstr(b, "/api");
	}
	segment(b, req->version);
	if (req->ns.n) {
		buf_cstr(b, "/namespaces");
		segment(b, req->ns);
	}
	segment(b, req->resource);
	if (req->name.n && !watch)
		segment(b, req->name);
	if (req->subresource.n)
		segment(b, req->subresource);
	query_bool(b, &sep, "watch", watch);
	if (watch && req->name.n && !req->field_selector.n) {
		char text[300];
		int n = snprintf(text, sizeof(text), "metadata.name=" STR_FMT, STR_ARG(req->name));
		query_str(b, &sep, "fieldSelector", str_from(text, (size_t)n));
	}
	query_str(b, &sep, "labelSelector", req->label_selector);
	query_str(b, &sep, "fieldSelector", req->field_selector);
	query_str(b, &sep, "resourceVersion", req->resource_version);
	query_str(b, &sep, "resourceVersionMatch", req->resource_version_match);
	query_num(b, &sep, "limit", req->limit);
	query_str(b, &sep, "continue", req->continue_token);
	query_bool(b, &sep, "sendInitialEvents", req->send_initial_events);
	query_bool(b, &sep, "allowWatchBookmarks", req->allow_bookmarks);
	query_num(b, &sep, "timeoutSeconds", req->timeout_s);
	query_str(b, &sep, "fieldManager", req->field_manager);
	if (req->dry_run)
		query_str(b, &sep, "dryRun", STR("All"));
}

void
client_finalizers(struct buf *b, const struct meta_v1_object_meta *m, struct str name, bool wanted)
{
	bool first = true;
	buf_fmt(b, "{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\",\"finalizers\":[",
		STR_ARG(m->resource_version));
	for (size_t i = 0; i < m->n_finalizers; i++) {
		if (str_eq(m->finalizers[i], name))
			continue;
		buf_cstr(b, first ? "" : ",");
		doc_json_string(b, m->finalizers[i]);
		first = false;
	}
	if (wanted) {
		buf_cstr(b, first ? "" : ",");
		doc_json_string(b, name);
	}
	buf_cstr(b, "]}}");
}
