/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * message: header tables and the texts of replies; see message.h.
 * Place in the flow: used by both machines (server, client) and by handlers.
 * Must not: allocate; every function works on slices. Source: RFC 9110 sections 5 and 15. */
#include "netstack/http/message.h"

struct str
http_headers_get(const struct http_headers *h, struct str name)
{
	size_t pos = 0;
	struct str value = STR_NONE;

	return http_headers_next(h, name, &pos, &value) ? value : STR_NONE;
}

bool
http_headers_next(const struct http_headers *h, struct str name, size_t *pos, struct str *ret)
{
	while (*pos < h->n) {
		const struct http_header *v = &h->v[(*pos)++];
		if (str_eq_nocase(v->name, name)) {
			*ret = v->value;
			return true;
		}
	}
	return false;
}

bool
http_headers_has_token(const struct http_headers *h, struct str name, struct str token)
{
	size_t pos = 0;
	struct str value = STR_NONE;

	while (http_headers_next(h, name, &pos, &value)) {
		struct str item = STR_NONE;
		while (http_token_next(&value, &item))
			if (str_eq_nocase(item, token))
				return true;
	}
	return false;
}

bool
http_token_next(struct str *rest, struct str *ret)
{
	while (rest->n > 0) {
		size_t i = 0;
		bool quoted = false;
		for (; i < rest->n; i++) {
			char c = rest->p[i];
			if (quoted && c == '\\' && i + 1 < rest->n)
				i++;
			else if (c == '"')
				quoted = !quoted;
			else if (c == ',' && !quoted)
				break;
		}
		struct str item = str_trim(str_sub(*rest, 0, i));
		*rest = str_sub(*rest, i + 1 < rest->n ? i + 1 : rest->n, SIZE_MAX);
		if (item.n > 0) {
			*ret = item;
			return true;
		}
	}
	return false;
}

static const struct {
	int status;
	const char *text;
} status_texts[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Request Entity Too Large"},
	{414, "Request URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Requested Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Entity"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *
http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return "";
}
