/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cluster_pki: what a cluster needs before it has an API: its authority, an administrator, and the token
 * by which nodes join. Everything else is issued by the cluster itself.
 * Sources: kubeadm's certificate layout; RFC 5280; kubeconfig v1. */
#include "qemu/cluster.h"

#include "base/clock.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/rand.h"
#include "netstack/tls/x509.h"

#include <stdio.h>

#define YEAR_S (365LL * 86400)

static int
pki_write(const struct cluster *c, const char *name, struct str content, mode_t mode, struct err *e)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/pki/%s", c->dir, name);
	int rc = disk_write_file(path, content, mode);
	return rc < 0 ? err_errno(e, rc, "writing '%s'", path) : 0;
}

static int
pki_read(const struct cluster *c, const char *name, struct buf *b)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/pki/%s", c->dir, name);
	return disk_read_file(path, 1 << 16, b);
}

/* issue: a new key and a certificate for it; issuer NULL = self-signed by that key. */
static int
issue(const struct cluster *c, const char *name, const struct x509_spec *spec,
	const struct x509_cert *issuer, const struct tls_key *issuer_key, struct err *e)
{
	char file[64];
	struct tls_key *key = NULL;
	_cleanup_buf_ struct buf cert = BUF_INIT, key_pem = BUF_INIT;
	int rc = tls_key_generate(&key);
	if (rc < 0)
		return err_errno(e, rc, "making the key of '%s'", name);
	rc = x509_issue(spec, tls_key_pub(key), issuer, issuer ? issuer_key : key, &cert, e);
	if (rc == 0)
		rc = tls_key_write(key, false, &key_pem);
	tls_key_free(key);
	if (rc == 0) {
		snprintf(file, sizeof(file), "%s.key", name);
		rc = pki_write(c, file, buf_view(&key_pem), 0600, e);
	}
	if (rc == 0) {
		snprintf(file, sizeof(file), "%s.crt", name);
		rc = pki_write(c, file, buf_view(&cert), 0644, e);
	}
	return rc;
}

static int
ca_ensure(const struct cluster *c, int64_t now_s, struct err *e)
{
	_cleanup_buf_ struct buf have = BUF_INIT;
	if (pki_read(c, "ca.crt", &have) == 0)
		return 0;
	struct x509_spec spec = {.cn = STR("keelson-ca"),
		.not_before_s = now_s - 300,
		.not_after_s = now_s + 10 * YEAR_S,
		.ca = true,
		.path_len = -1};
	return issue(c, "ca", &spec, NULL, NULL, e);
}

static int
admin_ensure(const struct cluster *c, int64_t now_s, struct err *e)
{
	static const struct str masters = STR_INIT("system:masters");
	_cleanup_buf_ struct buf have = BUF_INIT, ca_pem = BUF_INIT, key_pem = BUF_INIT;
	if (pki_read(c, "admin.crt", &have) == 0)
		return 0;
	int rc = pki_read(c, "ca.crt", &ca_pem);
	if (rc == 0)
		rc = pki_read(c, "ca.key", &key_pem);
	if (rc < 0)
		return err_errno(e, rc, "reading the cluster's authority");
	struct arena *a = arena_new(1 << 20);
	struct x509_cert *ca = NULL;
	struct tls_key *ca_key = NULL;
	size_t n = 0;
	rc = a ? x509_certs_parse_pem(a, buf_view(&ca_pem), &ca, &n, e) : -ENOMEM;
	if (rc == 0)
		rc = tls_key_parse(buf_view(&key_pem), &ca_key, e);
	if (rc == 0) {
		struct x509_spec spec = {.cn = STR("kubernetes-admin"),
			.orgs = &masters,
			.n_orgs = 1,
			.not_before_s = now_s - 300,
			.not_after_s = now_s + YEAR_S,
			.eku = X509_EKU_CLIENT};
		rc = issue(c, "admin", &spec, &ca[0], ca_key, e);
	}
	tls_key_free(ca_key);
	arena_free(a);
	return rc;
}

static int
token_ensure(const struct cluster *c, struct err *e)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	_cleanup_buf_ struct buf have = BUF_INIT;
	char token[6 + 1 + 16];
	if (pki_read(c, "token", &have) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(token); i++)
		token[i] = i == 6 ? '.' : alphabet[rand_below(sizeof(alphabet) - 1)];
	return pki_write(c, "token", str_from(token, sizeof(token)), 0600, e);
}

int
cluster_pki_ensure(const struct cluster *c, struct err *e)
{
	char path[600];
	int64_t now_s = clock_wall_ns() / NS_PER_SEC;
	snprintf(path, sizeof(path), "%s/pki", c->dir);
	int rc = disk_mkdirs(path, 0700);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", path);
	rc = ca_ensure(c, now_s, e);
	if (rc == 0)
		rc = admin_ensure(c, now_s, e);
	return rc == 0 ? token_ensure(c, e) : rc;
}

int
cluster_kubeconfig_write(const struct cluster *c, const char *path, struct err *e)
{
	_cleanup_buf_ struct buf ca = BUF_INIT, cert = BUF_INIT, key = BUF_INIT, out = BUF_INIT;
	if (pki_read(c, "ca.crt", &ca) < 0 || pki_read(c, "admin.crt", &cert) < 0 ||
		pki_read(c, "admin.key", &key) < 0)
		return err_set(e, -ENOENT, R_UNKNOWN, "no keys in '%s/pki'", c->dir);
	buf_fmt(&out,
		"apiVersion: v1\nkind: Config\nclusters:\n- name: keelson\n  cluster:\n"
		"    server: https://127.0.0.1:%u\n    certificate-authority-data: ",
		c->api_port);
	base64_encode(&out, buf_view(&ca));
	buf_cstr(&out, "\nusers:\n- name: admin\n  user:\n    client-certificate-data: ");
	base64_encode(&out, buf_view(&cert));
	buf_cstr(&out, "\n    client-key-data: ");
	base64_encode(&out, buf_view(&key));
	buf_cstr(&out,
		"\ncontexts:\n- name: keelson\n  context:\n    cluster: keelson\n    user: admin\n"
		"current-context: keelson\n");
	int rc = out.failed ? -ENOMEM : disk_write_file(path, buf_view(&out), 0600);
	return rc < 0 ? err_errno(e, rc, "writing '%s'", path) : 0;
}
