/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pki: the keys and certificates of a control plane, made once and kept in DIR/pki: one cluster CA, and
 * under it the serving certificate, the client certificate towards nodes, the administrator's; a CA of its own for
 * the certificate by which aggregated servers believe who is said to ask; and the key of service account tokens.
 *
 * Invariants: a private key never changes while its file is there; certificates are made again when their
 * third third begins or a wanted name is missing; files of keys are 0600.
 * Source: RFC 5280; Kubernetes PKI certificates and requirements. */
#include "base/disk.h"
#include "netstack/tls/x509.h"
#include "orchestrator/api/api_int.h"

#include <stdlib.h>

#define CA_YEARS 10
#define LEAF_DAYS 365
#define DAY_S 86400
#define FILE_MAX (256 * 1024)

struct pki_job {
	const struct api_pki_spec *spec;
	struct api_pki *p;
	struct tls_key *ca_key;
	struct x509_cert *ca;
	struct err *e;
};

static char *
file_path(struct pki_job *j, const char *name)
{
	return arena_cstr(j->p->a, arena_fmt(j->p->a, "%s/pki/%s", j->spec->dir, name));
}

static int
file_read(struct pki_job *j, const char *name, struct str *ret)
{
	struct buf b;
	buf_init_arena(&b, j->p->a);
	int rc = disk_read_file(file_path(j, name), FILE_MAX, &b);
	if (rc < 0)
		return rc;
	*ret = buf_view(&b);
	return 0;
}

static int
file_write(struct pki_job *j, const char *name, struct str text, bool secret)
{
	int rc = disk_keep_file(file_path(j, name), text, secret ? 0600 : 0644);
	return rc < 0 ? err_errno(j->e, rc, "writing pki/%s", name) : 0;
}

/* The key in a file, made when missing. *ret_key may be NULL. */
static int
key_ensure(struct pki_job *j, const char *name, struct str *ret_pem, struct tls_key **ret_key)
{
	struct tls_key *k = NULL;
	int rc = file_read(j, name, ret_pem);
	if (rc == 0) {
		rc = tls_key_parse(*ret_pem, &k, j->e);
		if (rc < 0)
			return err_wrap(j->e, "pki/%s", name);
	} else if (rc == -ENOENT) {
		struct buf pem;
		buf_init_arena(&pem, j->p->a);
		rc = tls_key_generate(&k);
		if (rc == 0)
			rc = tls_key_write(k, false, &pem);
		if (rc == 0 && !pem.failed)
			rc = file_write(j, name, buf_view(&pem), true);
		*ret_pem = buf_view(&pem);
	} else {
		return err_errno(j->e, rc, "reading pki/%s", name);
	}
	if (rc < 0) {
		tls_key_free(k);
		return rc;
	}
	*ret_key = k;
	return 0;
}

/* May the certificate that is there be kept? */
static bool
cert_good(
	struct pki_job *j, struct str pem, const struct tls_key *key, const struct x509_spec *want)
{
	struct x509_cert *c = NULL;
	size_t n = 0;
	int64_t now = clock_wall_ns() / NS_PER_SEC;
	if (x509_certs_parse_pem(j->p->a, pem, &c, &n, NULL) < 0 || n == 0)
		return false;
	/* An authority that was brought along is used whatever its name: its key tells. */
	if (want->ca)
		return c[0].is_ca && now < c[0].not_after_s &&
			tls_pub_eq(&c[0].pub, tls_key_pub(key));
	if (now > c[0].not_after_s - (c[0].not_after_s - c[0].not_before_s) / 3 ||
		!tls_pub_eq(&c[0].pub, tls_key_pub(key)) || !str_eq(c[0].subject.cn, want->cn))
		return false;
	for (size_t i = 0; i < want->n_dns; i++)
		if (!x509_san_matches(&c[0].san, want->dns[i]))
			return false;
	for (size_t i = 0; i < want->n_ips; i++) {
		char text[IP_TEXT_MAX];
		size_t len = ip_format(&want->ips[i], text);
		if (!x509_san_matches(&c[0].san, str_from(text, len)))
			return false;
	}
	if (!j->ca)
		return true;
	struct x509_verify v = {.roots = j->ca, .n_roots = 1, .now_s = now, .eku = want->eku};
	return x509_verify(&v, &c[0], NULL) == 0;
}

static int
cert_ensure(struct pki_job *j, const char *base, struct x509_spec *spec, struct str *ret_cert,
	struct str *ret_key)
{
	struct tls_key *key = NULL;
	char crt[64], keyname[64];
	struct buf pem;
	buf_init_arena(&pem, j->p->a);
	str_copy_c(arena_fmt(j->p->a, "%s.crt", base), crt, sizeof(crt));
	str_copy_c(arena_fmt(j->p->a, "%s.key", base), keyname, sizeof(keyname));
	int rc = key_ensure(j, keyname, ret_key, &key);
	if (rc < 0)
		return rc;
	if (file_read(j, crt, ret_cert) == 0 && cert_good(j, *ret_cert, key, spec)) {
		rc = 0;
	} else {
		/* a clock that is a little behind elsewhere must not refuse us */
		spec->not_before_s = clock_wall_ns() / NS_PER_SEC - 300;
		spec->not_after_s = spec->not_before_s +
			(int64_t)DAY_S * (spec->ca ? CA_YEARS * 365 : LEAF_DAYS);
		rc = x509_issue(spec, tls_key_pub(key), spec->ca ? NULL : j->ca,
			spec->ca ? key : j->ca_key, &pem, j->e);
		if (rc == 0 && pem.failed)
			rc = -ENOMEM;
		*ret_cert = buf_view(&pem);
		if (rc == 0)
			rc = file_write(j, crt, *ret_cert, false);
	}
	if (rc == 0 && spec->ca) {
		size_t n = 0;
		j->ca_key = key;
		return x509_certs_parse_pem(j->p->a, *ret_cert, &j->ca, &n, j->e);
	}
	tls_key_free(key);
	return rc;
}

/* ---- the set --------------------------------------------------------------------------------------- */

static void
push_name(struct arena *a, struct str **list, size_t *n, struct str s)
{
	struct str *slot = ARENA_PUSH(a, *list, *n);
	if (slot)
		*slot = s;
}

static int
server_cert(struct pki_job *j)
{
	static const char *const names[] = {
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"};
	struct arena *a = j->p->a;
	struct str *dns = NULL, domain = j->spec->cluster_domain;
	struct ip_addr *ips = NULL, ip;
	size_t n_dns = 0, n_ips = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		push_name(a, &dns, &n_dns, str_c(names[i]));
	push_name(a, &dns, &n_dns,
		arena_fmt(a, "kubernetes.default.svc." STR_FMT,
			STR_ARG(domain.n ? domain : STR("cluster.local"))));
	for (size_t i = 0; i < j->spec->n_server_names; i++)
		push_name(a, &dns, &n_dns, arena_str(a, j->spec->server_names[i]));
	const struct str loopback[] = {STR("127.0.0.1"), STR("::1")};
	for (size_t i = 0; i < 2 + j->spec->n_server_ips; i++) {
		struct str text = i < 2 ? loopback[i] : j->spec->server_ips[i - 2];
		if (ip_parse(text, &ip) < 0)
			return err_set(j->e, -EINVAL, R_UNKNOWN, "'" STR_FMT "' is no IP address",
				STR_ARG(text));
		struct ip_addr *slot = ARENA_PUSH(a, ips, n_ips);
		if (slot)
			*slot = ip;
	}
	struct x509_spec spec = {.cn = STR("kube-apiserver"),
		.dns = dns,
		.n_dns = n_dns,
		.ips = ips,
		.n_ips = n_ips,
		.eku = X509_EKU_SERVER};
	return cert_ensure(j, "server", &spec, &j->p->server_cert, &j->p->server_key);
}

/* front_proxy: with an authority of its own: who is signed by it may speak for everybody. */
static int
front_proxy(struct pki_job *j)
{
	struct api_pki *p = j->p;
	struct x509_spec ca = {.cn = STR("front-proxy-ca"), .ca = true, .path_len = -1};
	struct x509_spec client = {.cn = STR(FRONT_PROXY_NAME), .eku = X509_EKU_CLIENT};
	struct pki_job own = {.spec = j->spec, .p = p, .e = j->e};
	struct str ca_key;
	int rc = cert_ensure(&own, "front-proxy-ca", &ca, &p->front_proxy_ca, &ca_key);
	if (rc == 0)
		rc = cert_ensure(&own, "front-proxy-client", &client, &p->front_proxy_cert,
			&p->front_proxy_key);
	tls_key_free(own.ca_key);
	return rc;
}

static int
set_ensure(struct pki_job *j)
{
	struct api_pki *p = j->p;
	struct x509_spec ca = {.cn = STR("kubernetes"), .ca = true, .path_len = -1};
	struct str masters[] = {STR("system:masters")};
	struct x509_spec kubelet = {
		.cn = STR("kube-apiserver-kubelet-client"), .eku = X509_EKU_CLIENT};
	struct x509_spec admin = {.cn = STR("kubernetes-admin"),
		.orgs = masters,
		.n_orgs = 1,
		.eku = X509_EKU_CLIENT};
	struct tls_key *sa = NULL;
	struct buf pub;
	buf_init_arena(&pub, p->a);
	int rc = disk_mkdirs(file_path(j, ""), 0700);
	if (rc < 0)
		return err_errno(j->e, rc, "making the folder pki");
	rc = cert_ensure(j, "ca", &ca, &p->ca_cert, &p->ca_key);
	if (rc == 0)
		rc = server_cert(j);
	if (rc == 0)
		rc = cert_ensure(j, "kubelet-client", &kubelet, &p->kubelet_client_cert,
			&p->kubelet_client_key);
	if (rc == 0)
		rc = cert_ensure(j, "admin", &admin, &p->admin_cert, &p->admin_key);
	if (rc == 0)
		rc = front_proxy(j);
	if (rc == 0)
		rc = key_ensure(j, "sa.key", &p->sa_key, &sa);
	if (rc == 0) {
		tls_pub_write_pem(tls_key_pub(sa), &pub);
		rc = file_write(j, "sa.pub", buf_view(&pub), false);
	}
	tls_key_free(sa);
	return rc;
}

int
api_pki_ensure(const struct api_pki_spec *spec, struct api_pki *ret, struct err *e)
{
	struct api_pki p = {.a = arena_new(0)};
	struct err none = {0};
	if (!p.a)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	struct pki_job j = {.spec = spec, .p = &p, .e = e ? e : &none};
	int rc = set_ensure(&j);
	tls_key_free(j.ca_key);
	if (rc == 0 && arena_failed(p.a))
		rc = err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (rc < 0) {
		if (j.e->code == 0)
			err_errno(j.e, rc, "making keys and certificates");
		arena_free(p.a);
		return rc;
	}
	*ret = p;
	return 0;
}

void
api_pki_release(struct api_pki *p)
{
	arena_free(p->a);
	*p = (struct api_pki){0};
}

struct str
api_pki_kubeconfig(const struct api_pki *p, struct arena *a, struct str server_url)
{
	const struct str parts[] = {p->ca_cert, p->admin_cert, p->admin_key};
	struct buf b64[3];
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		buf_init_arena(&b64[i], a);
		base64_encode(&b64[i], parts[i]);
	}
	return arena_fmt(a,
		"apiVersion: v1\nkind: Config\nclusters:\n- name: keelson\n  cluster:\n"
		"    server: " STR_FMT "\n    certificate-authority-data: " STR_FMT "\n"
		"users:\n- name: admin\n  user:\n    client-certificate-data: " STR_FMT "\n"
		"    client-key-data: " STR_FMT "\n"
		"contexts:\n- name: keelson\n  context:\n    cluster: keelson\n    user: admin\n"
		"current-context: keelson\n",
		STR_ARG(server_url), STR_ARG(buf_view(&b64[0])), STR_ARG(buf_view(&b64[1])),
		STR_ARG(buf_view(&b64[2])));
}
