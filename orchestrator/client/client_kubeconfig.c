/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * client_kubeconfig: a client as a kubeconfig's current context says: server, authority, and a certificate
 * or a token of the user. Credentials stand in the file or in files it names.
 * Source: Kubernetes kubeconfig (v1). */
#include "orchestrator/client/client.h"

#include "base/disk.h"
#include "base/hash.h"

#include <stdio.h>

#define FILE_MAX ((size_t)1 << 20)

/* named: `what` of the item of a list of that name; NULL = there is none. */
static const struct doc *
named(const struct doc *list, struct str name, const char *what)
{
	DOC_EACH (item, list)
		if (str_eq(doc_get_str(item, STR("name")), name))
			return doc_get(item, str_c(what));
	return NULL;
}

/* material: NAME-data in base64, or the content of the file NAME. "" when neither is there. */
static int
material(struct arena *a, const struct doc *d, const char *name, struct str *ret, struct err *e)
{
	struct buf b;
	char key[64];
	buf_init_arena(&b, a);
	snprintf(key, sizeof(key), "%s-data", name);
	struct str text = doc_get_str(d, str_c(key)), path = doc_get_str(d, str_c(name));
	int rc = text.n  ? base64_decode(&b, text)
		: path.n ? disk_read_file(arena_cstr(a, path), FILE_MAX, &b)
			 : 0;
	if (rc < 0)
		return err_errno(e, rc, "reading %s", text.n ? key : name);
	*ret = buf_view(&b);
	return 0;
}

int
client_kubeconfig_read(
	struct arena *a, struct str text, struct client_https_config *ret, struct err *e)
{
	struct doc *d = NULL;
	int rc = doc_parse_yaml(a, &text, NULL, &d, e);
	if (rc < 0)
		return rc;
	struct client_https_config c = {0};
	const struct doc *context = named(
		doc_get(d, STR("contexts")), doc_get_str(d, STR("current-context")), "context");
	const struct doc *cluster = named(
		doc_get(d, STR("clusters")), doc_get_str(context, STR("cluster")), "cluster");
	const struct doc *user = named(
		doc_get(d, STR("users")), doc_get_str(context, STR("user")), "user");
	c.server = doc_get_str(cluster, STR("server"));
	c.token = doc_get_str(user, STR("token"));
	if (!c.server.n)
		return err_set(e, -EINVAL, R_INVALID, "the current context names no server");
	const struct {
		const struct doc *of;
		const char *name;
		struct str *to;
	} rows[] = {{cluster, "certificate-authority", &c.ca_pem},
		{user, "client-certificate", &c.cert_pem}, {user, "client-key", &c.key_pem}};
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++)
		rc = material(a, rows[i].of, rows[i].name, rows[i].to, e);
	if (rc == 0)
		*ret = c;
	return rc;
}

int
client_kubeconfig_new(struct loop *l, const char *path, struct str server, const char *user_agent,
	struct client **ret, struct err *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct client_https_config c;
	struct arena *a = arena_new(0);
	int rc = a ? disk_read_file(path, FILE_MAX, &text) : -ENOMEM;
	if (rc < 0)
		err_errno(e, rc, "reading '%s'", path);
	else if ((rc = client_kubeconfig_read(a, buf_view(&text), &c, e)) < 0)
		err_wrap(e, "'%s'", path);
	if (rc == 0) {
		c.user_agent = str_c(user_agent);
		if (server.n)
			c.server = server;
		rc = client_https_new(l, &c, ret, e);
	}
	arena_free(a);
	return rc;
}
