/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_out: see json_out.h. */
#include "orchestrator/schema/json_out.h"

static void
begin(struct json_out *j, const char *key)
{
	if (j->comma)
		buf_char(j->b, ',');
	if (key) {
		doc_json_string(j->b, str_c(key));
		buf_char(j->b, ':');
	}
	j->comma = true;
}

void
json_object(struct json_out *j, const char *key)
{
	begin(j, key);
	buf_char(j->b, '{');
	j->comma = false;
}

void
json_list(struct json_out *j, const char *key)
{
	begin(j, key);
	buf_char(j->b, '[');
	j->comma = false;
}

void
json_end_object(struct json_out *j)
{
	buf_char(j->b, '}');
	j->comma = true;
}

void
json_end_list(struct json_out *j)
{
	buf_char(j->b, ']');
	j->comma = true;
}

void
json_text(struct json_out *j, const char *key, struct str value)
{
	begin(j, key);
	doc_json_string(j->b, value);
}

void
json_str(struct json_out *j, const char *key, const char *value)
{
	json_text(j, key, str_c(value));
}

void
json_bool(struct json_out *j, const char *key, bool value)
{
	json_raw(j, key, value ? "true" : "false");
}

void
json_raw(struct json_out *j, const char *key, const char *json)
{
	begin(j, key);
	buf_cstr(j->b, json);
}
