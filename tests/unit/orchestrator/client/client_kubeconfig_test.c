/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What a kubeconfig says: which context counts, and where credentials may stand. */
#include "orchestrator/client/client_kubeconfig.c"
#include "tests/unit/test.h"

#define HEAD                                                                                       \
	"apiVersion: v1\nkind: Config\ncurrent-context: two\n"                                     \
	"contexts:\n- {name: one, context: {cluster: a, user: x}}\n"                               \
	"- {name: two, context: {cluster: b, user: y}}\n"                                          \
	"clusters:\n- {name: a, cluster: {server: 'https://a'}}\n"
#define TAIL                                                                                       \
	"- {name: b, cluster: {server: 'https://b:1', certificate-authority-data: Y2E=}}\n"        \
	"users:\n- {name: y, user: {client-certificate-data: Y2VydA==, client-key: "

static int
read_text(const char *text, struct client_https_config *c, struct err *e)
{
	static struct arena *a; /* what c points into lives until the next call */
	arena_free(a);
	a = arena_new(0);
	return client_kubeconfig_read(a, str_c(text), c, e);
}

TEST(the_current_context_counts)
{
	struct client_https_config c;
	struct err e = {0};
	char text[1000];
	snprintf(text, sizeof(text), "%s/key", TEST_TMP);
	CHECK_INT(disk_write_file(text, STR("secret"), 0600), 0);
	snprintf(text, sizeof(text), HEAD TAIL "'%s/key', token: t}}\n", TEST_TMP);
	CHECK_INT(read_text(text, &c, &e), 0);
	CHECK_STR(c.server, "https://b:1");
	CHECK_STR(c.ca_pem, "ca");
	CHECK_STR(c.cert_pem, "cert");
	CHECK_STR(c.key_pem, "secret");
	CHECK_STR(c.token, "t");
	CHECK_INT(read_text("clusters: []\n", &c, &e), -EINVAL); /* frees the first */
}

TEST(what_is_missing_is_told)
{
	struct client_https_config c;
	struct err e = {0};
	CHECK_INT(read_text(HEAD, &c, &e), -EINVAL);
	CHECK_STR(e.msg, "the current context names no server");
	CHECK_INT(read_text(HEAD TAIL "/no/such/file}}\n", &c, &e), -ENOENT);
	CHECK_STR(e.msg, "reading client-key: No such file or directory");
	CHECK_INT(read_text("clusters: []\n", &c, &e), -EINVAL);
}
