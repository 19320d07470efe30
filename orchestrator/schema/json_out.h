/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_out: writes JSON piece by piece; commas and quotes are its business. For documents that are made
 * from tables and never held as a tree. key NULL: an item of a list (or the whole text). */
#ifndef ORCHESTRATOR_SCHEMA_JSON_OUT_H
#define ORCHESTRATOR_SCHEMA_JSON_OUT_H

#include "base/doc.h"

/* Embedded by callers: {.b = out}. */
struct json_out {
	struct buf *b;
	bool comma; /* the next value needs one in front */
};

void json_object(struct json_out *j, const char *key);
void json_list(struct json_out *j, const char *key);
void json_end_object(struct json_out *j);
void json_end_list(struct json_out *j);
void json_str(struct json_out *j, const char *key, const char *value);
void json_text(struct json_out *j, const char *key, struct str value);
void json_bool(struct json_out *j, const char *key, bool value);
void json_raw(struct json_out *j, const char *key, const char *json);

#endif
