/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Pages that come through a proxy: which links are changed, however the bytes are cut. */
#include "orchestrator/api/proxy_html.c"

#include "tests/unit/test.h"

#define P "/api/v1/namespaces/n/pods/p/proxy"

/* made: the page, given in pieces of n bytes. */
static const char *
made(const char *page, size_t n)
{
	static struct buf out;
	struct proxy_html h = {
		.prefix = STR(P), .host = STR("api:6443"), .backend = STR("10.0.0.1:80")};
	struct str rest = str_c(page);
	buf_clear(&out);
	for (; rest.n; rest = str_sub(rest, n, SIZE_MAX))
		proxy_html_data(&h, str_sub(rest, 0, n), &out);
	proxy_html_end(&h, &out);
	proxy_html_release(&h);
	buf_char(&out, 0);
	return out.data;
}

TEST(links_of_a_page_lead_through_the_proxy)
{
	static const struct {
		const char *page, *want;
	} rows[] = {
		{"<a href=\"/rewriteme\">test</a>", "<a href=\"" P "/rewriteme\">test</a>"},
		{"<A HREF='/x/'>", "<A HREF='" P "/x/'>"},
		{"<img src=/i.png alt=\"/i\">", "<img src=" P "/i.png alt=\"/i\">"},
		{"<img longdesc = \"/d\"\n src=\"/s\"/>",
			"<img longdesc = \"" P "/d\"\n src=\"" P "/s\"/>"},
		{"<form action=\"/f?a=>\"><p title=\"/no\">",
			"<form action=\"" P "/f?a=>\"><p title=\"/no\">"},
		{"<a href=\"rel\"><a href=\"//host/x\"><a href=\"#x\"><a href>",
			"<a href=\"rel\"><a href=\"//host/x\"><a href=\"#x\"><a href>"},
		{"<a href=\"" P "/there\">", "<a href=\"" P "/there\">"},
		{"<a href=\"http://10.0.0.1:80/x\"><a href=\"https://api:6443/x\"><a href=\"https://else/x\">",
			"<a href=\"" P "/x\"><a href=\"https://api:6443" P
			"/x\"><a href=\"https://else/x\">"},
		{"a < b <3 <!-- <a href=\"/c\"> --> <a href='/d'>",
			"a < b <3 <!-- <a href=\"/c\"> --> <a href='" P "/d'>"},
		{"<script src=\"/s.js\">if (a<b) x='<a href=\"/q\">'</script><a href=\"/z\">",
			"<script src=\"" P
			"/s.js\">if (a<b) x='<a href=\"/q\">'</script><a href=\"" P "/z\">"},
		{"<a href=\"/cut", "<a href=\"/cut"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t n = 1; n < 12; n++)
			CHECK_STR(made(rows[i].page, n), rows[i].want);
}

TEST(a_tag_without_an_end_is_not_held_for_ever)
{
	static char page[2 * HTML_TAG_MAX];
	memset(page, 'x', sizeof(page) - 1);
	memcpy(page, "<a href=\"", 9);
	CHECK_STR(made(page, 4096), page);
}

TEST(where_an_answer_says_that_something_is)
{
	struct proxy_html h = {.prefix = STR(P), .host = STR("api"), .backend = STR("b")};
	struct buf b = BUF_INIT;
	proxy_html_link(&h, STR("/login"), &b);
	CHECK_STR(buf_view(&b), P "/login");
	buf_release(&b);
}
