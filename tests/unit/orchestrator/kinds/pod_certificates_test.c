/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Requests for pods' certificates and bundles of trust anchors through the whole pipeline: what they may say, who may
 * write them, and what may be issued. */
#include "orchestrator/kinds/pod_certificates.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define NOW_S 1700000000LL /* of the fixture's world */
#define CERTS .group = STR("certificates.k8s.io"), .version = STR("v1")

/* An authority, a pod's key, and what is made of them. */
static struct {
	struct tls_key *ca_key, *key, *weak;
	struct buf ca, csr64;
	struct x509_cert *ca_cert;
	struct arena *a;
} pki;

static void
request64(const struct tls_key *k, struct buf *out)
{
	_cleanup_buf_ struct buf pem = BUF_INIT, der = BUF_INIT;
	struct x509_spec none = {0};
	struct str label = STR_NONE;

	CHECK_INT(x509_csr_write(k, &none, &pem), 0);
	struct str rest = buf_view(&pem);
	CHECK(pem_next(&rest, &label, &der));
	buf_clear(out);
	base64_encode(out, buf_view(&der));
}

static void
pki_open(void)
{
	struct x509_spec ca = {.cn = STR("ca"),
		.ca = true,
		.path_len = -1,
		.not_before_s = NOW_S - 3600,
		.not_after_s = NOW_S + 400 * 86400};
	size_t n = 0;

	pki.a = arena_new(0);
	CHECK_INT(tls_key_generate(&pki.ca_key), 0);
	CHECK_INT(tls_key_generate_of(TLS_KEY_ED25519, 0, &pki.key), 0);
	CHECK_INT(x509_issue(&ca, tls_key_pub(pki.ca_key), NULL, pki.ca_key, &pki.ca, NULL), 0);
	CHECK_INT(x509_certs_parse_pem(pki.a, buf_view(&pki.ca), &pki.ca_cert, &n, NULL), 0);
	request64(pki.key, &pki.csr64);
}

static void
pki_close(void)
{
	tls_key_free(pki.ca_key);
	tls_key_free(pki.key);
	buf_release(&pki.ca);
	buf_release(&pki.csr64);
	arena_free(pki.a);
	memset(&pki, 0, sizeof(pki));
}

/* leaf: a certificate for k as JSON text, valid for these seconds. */
static void
leaf(struct buf *json, const struct tls_key *k, int64_t from_s, int64_t life_s)
{
	struct x509_spec s = {
		.cn = STR("pod"), .not_before_s = from_s, .not_after_s = from_s + life_s};
	_cleanup_buf_ struct buf pem = BUF_INIT;

	CHECK_INT(x509_issue(&s, tls_key_pub(k), pki.ca_cert, pki.ca_key, &pem, NULL), 0);
	buf_clear(json);
	doc_json_string(json, buf_view(&pem));
}

/* ---- bundles ---- */

static int
put_bundle(
	struct fixture *f, struct client *c, const char *name, const char *signer, struct str pem)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"signerName\":\"%s\",\"trustBundle\":",
		name, signer);
	doc_json_string(&b, pem);
	buf_cstr(&b, "}}");
	return call(f, c,
		&(struct client_req){CERTS, .verb = CLIENT_CREATE,
			.resource = STR("clustertrustbundles"), .body = buf_view(&b)});
}

TEST(a_trust_bundle_is_called_after_its_signer)
{
	static const struct {
		const char *name, *signer, *says;
	} rows[] = {
		{"plain", "", NULL},
		{"example.com:all:one", "example.com/all", NULL},
		{"test.test:signer-one3:0", "test.test/signer-one3", NULL},
		{"a:b", "",
			"ClusterTrustBundle without signer name must not have \\\":\\\" in its name"},
		{"one", "example.com/all", "must be named with prefix example.com:all:"},
		{"example.com:all:One", "example.com/all", "a lowercase RFC 1123 subdomain"},
		{"x:y:z", "x/y", "should be a domain with at least two segments separated by dots"},
		{"e.com:A_:z", "e.com/A_", "validating label \\\"A_\\\""},
	};
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(put_bundle(&f, f.admin, rows[i].name, rows[i].signer, buf_view(&pki.ca)),
			rows[i].says ? 422 : 201);
		CHECK(!rows[i].says || says(&f, rows[i].says));
	}
	pki_close();
	fx_close(&f);
}

TEST(a_trust_bundle_holds_certificates_of_authorities_once_each)
{
	struct fixture f;
	_cleanup_buf_ struct buf twice = BUF_INIT, other = BUF_INIT, pem = BUF_INIT;
	struct x509_spec s = {
		.cn = STR("pod"), .not_before_s = NOW_S, .not_after_s = NOW_S + 86400};
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	CHECK_INT(x509_issue(&s, tls_key_pub(pki.key), pki.ca_cert, pki.ca_key, &pem, NULL), 0);
	buf_fmt(&twice, STR_FMT "text between\n" STR_FMT, STR_ARG(buf_view(&pki.ca)),
		STR_ARG(buf_view(&pki.ca)));
	pem_write(STR("CERTIFICATE REQUEST"), STR("x"), &other);
	const struct {
		struct str pem;
		const char *says;
	} rows[] = {
		{STR("x"), "at least one trust anchor must be provided"},
		{buf_view(&twice), "duplicate trust anchor (indices [0 1])"},
		{buf_view(&other), "entry 0 has bad block type: CERTIFICATE REQUEST"},
		{buf_view(&pem), "entry 0 does not have the CA bit set"},
		{STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
			"entry 0 does not parse as X.509"},
		{buf_view(&pki.ca), NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(put_bundle(&f, f.admin, "b", "", rows[i].pem), rows[i].says ? 422 : 201);
		CHECK(!rows[i].says || says(&f, rows[i].says));
	}
	/* the signer stays */
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_PATCH_MERGE,
				  .resource = STR("clustertrustbundles"), .name = STR("b"),
				  .body = STR("{\"spec\":{\"trustBundle\":\"x\"}}")}),
		422);
	pki_close();
	fx_close(&f);
}

/* As Go makes one of an empty template: serial 0, valid in the first second of the year 1 only, Ed25519. */
TEST(an_authority_of_the_year_1_is_an_anchor)
{
	static const char pem[] =
		"-----BEGIN CERTIFICATE-----\n"
		"MIIBAjCBtaADAgECAgEAMAUGAytlcDAPMQ0wCwYDVQQDEwRyb290MCIYDzAwMDEw\n"
		"MTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMA8xDTALBgNVBAMTBHJvb3QwKjAF\n"
		"BgMrZXADIQDPbJN0XMW0e7uX29zdj9QhvlLdsTbUkLpf507YReHYYqMyMDAwDwYD\n"
		"VR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUHY8Ng9doFcjCYIccgxNlznABHGMwBQYD\n"
		"K2VwA0EAn9SNSq7JDm1CBOtSk1fsYr6GPH3WIGz9X2LordnBswJuGBrycPnrqRUL\n"
		"DnMVHEDLOSsIDr3r/IFqBYwDVSWqBQ==\n"
		"-----END CERTIFICATE-----\n";
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(put_bundle(&f, f.admin, "test.test:signer-one:0", "test.test/signer-one",
			  str_c(pem)),
		201);
	fx_close(&f);
}

TEST(who_vouches_in_a_signers_name_needs_leave)
{
	static const char role[] =
		"{\"metadata\":{\"name\":\"bundles\"},\"rules\":[{\"apiGroups\":[\"certificates.k8s.io\"],"
		"\"resources\":[\"clustertrustbundles\"],\"verbs\":[\"*\"]}]}";
	static const char leave[] =
		"{\"metadata\":{\"name\":\"signer\"},\"rules\":[{\"apiGroups\":[\"certificates.k8s.io\"],"
		"\"resources\":[\"signers\"],\"resourceNames\":[\"e.com/*\"],\"verbs\":[\"attest\"]}]}";
	static const char binding[] =
		"{\"metadata\":{\"name\":\"%s\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\","
		"\"kind\":\"ClusterRole\",\"name\":\"%s\"},\"subjects\":[{\"kind\":\"User\",\"apiGroup\":"
		"\"rbac.authorization.k8s.io\",\"name\":\"ann\"}]}";
	struct fixture f;
	const char *roles[] = {role, leave}, *names[] = {"bundles", "signer"};
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	struct client *ann = client_as(&f, "ann", "");
	for (size_t i = 0; i < 2; i++) {
		char body[500];
		CHECK_INT(call(&f, f.admin,
				  &(struct client_req){.group = STR("rbac.authorization.k8s.io"),
					  .version = STR("v1"),
					  .verb = CLIENT_CREATE,
					  .resource = STR("clusterroles"),
					  .body = str_c(roles[i])}),
			201);
		if (i == 1) {
			CHECK_INT(put_bundle(&f, ann, "e.com:s:one", "e.com/s", buf_view(&pki.ca)),
				403);
			CHECK(says(
				&f, "user not permitted to attest for signerName \\\"e.com/s\\\""));
			CHECK_INT(put_bundle(&f, ann, "plain", "", buf_view(&pki.ca)), 201);
		}
		snprintf(body, sizeof(body), binding, names[i], names[i]);
		CHECK_INT(call(&f, f.admin,
				  &(struct client_req){.group = STR("rbac.authorization.k8s.io"),
					  .version = STR("v1"),
					  .verb = CLIENT_CREATE,
					  .resource = STR("clusterrolebindings"),
					  .body = str_c(body)}),
			201);
	}
	CHECK_INT(put_bundle(&f, ann, "e.com:s:one", "e.com/s", buf_view(&pki.ca)), 201);
	client_free(ann);
	pki_close();
	fx_close(&f);
}

/* ---- requests ---- */

static const struct wish {
	const char *signer, *pod, *pod_uid, *account, *account_uid, *node, *node_uid, *more, *csr;
} usual = {"e.com/s", "p1", "u", "default", "u", "n1", "u", "", NULL};

static int
put_request(struct fixture *f, struct client *c, const char *name, const struct wish *w)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"signerName\":\"%s\",\"podName\":\"%s\","
		"\"podUID\":\"%s\",\"serviceAccountName\":\"%s\",\"serviceAccountUID\":\"%s\","
		"\"nodeName\":\"%s\",\"nodeUID\":\"%s\",%s\"stubPKCS10Request\":\"%s\"}}",
		name, w->signer, w->pod, w->pod_uid, w->account, w->account_uid, w->node,
		w->node_uid, w->more, w->csr ? w->csr : pki.csr64.data);
	return call(f, c,
		&(struct client_req){CERTS, .verb = CLIENT_CREATE,
			.resource = STR("podcertificaterequests"), .ns = STR("default"),
			.body = buf_view(&b)});
}

TEST(a_request_for_a_certificate_proves_that_the_key_is_there)
{
	struct fixture f;
	_cleanup_buf_ struct buf weak = BUF_INIT, forged = BUF_INIT;
	char small[] = "bm9uZQ==";
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	buf_char(&pki.csr64, '\0');
	CHECK_INT(tls_key_generate_of(TLS_KEY_RSA, 2048, &pki.weak), 0);
	request64(pki.weak, &weak);
	buf_char(&weak, '\0');
	tls_key_free(pki.weak);
	/* the last letter but one of the signature is another */
	buf_cstr(&forged, pki.csr64.data);
	char *at = forged.data + forged.len - 6;
	*at = *at == 'A' ? 'B' : 'A';
	buf_char(&forged, '\0');
	struct wish rows[] = {usual, usual, usual, usual, usual, usual, usual, usual, usual};
	const char *texts[] = {
		"RSA keys must have modulus size 3072 or 4096",
		"spec.stubPKCS10Request: Invalid value: invalid signature",
		"spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR",
		"spec.podUID: Invalid value: \\\"\\\": must not be empty",
		"must be in the range [3600, 7862400]",
		"must be in the range [3600, 86400]",
		"must be a domain-prefixed key (such as \\\"acme.io/foo\\\")",
		"exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set",
		NULL,
	};
	rows[0].csr = weak.data;
	rows[1].csr = forged.data;
	rows[2].csr = small;
	rows[3].pod_uid = "";
	rows[4].more = "\"maxExpirationSeconds\":7862401,";
	rows[5].more = "\"maxExpirationSeconds\":90000,";
	rows[5].signer = "kubernetes.io/s";
	rows[6].more = "\"unverifiedUserAnnotations\":{\"plain\":\"v\"},";
	rows[7].csr = "";
	rows[8].more = "\"unverifiedUserAnnotations\":{\"e.com/Key\":\"v\"},";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(put_request(&f, f.admin, "r", &rows[i]), texts[i] ? 422 : 201);
		CHECK(!texts[i] || says(&f, texts[i]));
	}
	CHECK(says(&f, "\"maxExpirationSeconds\":86400"));
	/* what was asked for stays */
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_PATCH_MERGE,
				  .resource = STR("podcertificaterequests"), .ns = STR("default"),
				  .name = STR("r"),
				  .body = STR("{\"spec\":{\"maxExpirationSeconds\":3600}}")}),
		422);
	CHECK(says(&f, "field is immutable"));
	pki_close();
	fx_close(&f);
}

/* ---- status ---- */

struct issue {
	const char *type;  /* of the condition */
	const char *chain; /* JSON; NULL = none */
	int64_t before_s, refresh_s, after_s;
};

static int
issue_as(struct fixture *f, struct client *c, const char *name, const struct issue *x)
{
	char at[3][40];
	_cleanup_buf_ struct buf b = BUF_INIT;

	rfc3339_format(x->before_s * NS_PER_SEC, 0, at[0]);
	rfc3339_format(x->refresh_s * NS_PER_SEC, 0, at[1]);
	rfc3339_format(x->after_s * NS_PER_SEC, 0, at[2]);
	buf_fmt(&b,
		"{\"status\":{\"conditions\":[{\"type\":\"%s\",\"status\":\"True\",\"reason\":\"R\","
		"\"message\":\"m\",\"lastTransitionTime\":\"2023-11-14T22:13:20Z\"}]",
		x->type);
	if (x->chain)
		buf_fmt(&b,
			",\"certificateChain\":%s,\"notBefore\":\"%s\",\"beginRefreshAt\":\"%s\","
			"\"notAfter\":\"%s\"",
			x->chain, at[0], at[1], at[2]);
	buf_cstr(&b, "}}");
	return call(f, c,
		&(struct client_req){CERTS, .verb = CLIENT_PATCH_MERGE,
			.resource = STR("podcertificaterequests"), .ns = STR("default"),
			.name = str_c(name), .subresource = STR("status"), .body = buf_view(&b)});
}

TEST(what_is_issued_is_for_the_key_and_lives_as_asked_for)
{
	struct fixture f;
	_cleanup_buf_ struct buf good = BUF_INIT, other = BUF_INIT, old = BUF_INIT,
				 brief = BUF_INIT, lasting = BUF_INIT;
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	buf_char(&pki.csr64, '\0');
	leaf(&good, pki.key, NOW_S, 86400);
	leaf(&other, pki.ca_key, NOW_S, 86400);
	leaf(&old, pki.key, NOW_S - 600, 86400);
	leaf(&brief, pki.key, NOW_S, 3000);
	leaf(&lasting, pki.key, NOW_S, 90000);
	struct buf *all[] = {&good, &other, &old, &brief, &lasting};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_char(all[i], '\0');
	const struct {
		struct issue x;
		const char *says;
	} rows[] = {
		{{"Granted", NULL, 0, 0, 0},
			"supported values: \\\"Issued\\\", \\\"Denied\\\", \\\"Failed\\\""},
		{{"Issued", "\"\"", NOW_S, NOW_S + 4000, NOW_S + 86400},
			"issued certificate chain must contain at least one certificate"},
		{{"Issued", other.data, NOW_S, NOW_S + 4000, NOW_S + 86400},
			"leaf certificate was not issued to the requested public key"},
		{{"Issued", old.data, NOW_S - 600, NOW_S + 4000, NOW_S - 600 + 86400},
			"must be set to within 5 minutes of kube-apiserver's current time"},
		{{"Issued", brief.data, NOW_S, NOW_S + 2000, NOW_S + 3000},
			"leaf certificate lifetime must be >= 1 hour"},
		{{"Issued", lasting.data, NOW_S, NOW_S + 2000, NOW_S + 90000},
			"leaf certificate lifetime must be <= spec.maxExpirationSeconds (86400)"},
		{{"Issued", good.data, NOW_S + 1, NOW_S + 4000, NOW_S + 86400},
			"must be set to the NotBefore time encoded in the leaf certificate"},
		{{"Issued", good.data, NOW_S, NOW_S + 599, NOW_S + 86400},
			"must be at least 10 minutes after status.notBefore"},
		{{"Issued", good.data, NOW_S, NOW_S + 86400 - 599, NOW_S + 86400},
			"must be at least 10 minutes before status.notAfter"},
		{{"Denied", good.data, NOW_S, NOW_S + 4000, NOW_S + 86400},
			"non-condition status fields must be empty when denying or failing"},
		{{"Issued", good.data, NOW_S, NOW_S + 4000, NOW_S + 86400}, NULL},
		{{"Denied", NULL, 0, 0, 0},
			"immutable after PodCertificateRequest is issued, denied, or failed"},
	};
	CHECK_INT(put_request(&f, f.admin, "r", &usual), 201);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(issue_as(&f, f.admin, "r", &rows[i].x), rows[i].says ? 422 : 200);
		CHECK(!rows[i].says || says(&f, rows[i].says));
	}
	CHECK_INT(put_request(&f, f.admin, "r2", &usual), 201);
	CHECK_INT(issue_as(&f, f.admin, "r2", &(struct issue){"Failed", NULL, 0, 0, 0}), 200);
	pki_close();
	fx_close(&f);
}

TEST(who_issues_needs_the_signers_leave)
{
	static const char role[] =
		"{\"metadata\":{\"name\":\"requests\"},\"rules\":[{\"apiGroups\":[\"certificates.k8s.io\"],"
		"\"resources\":[\"podcertificaterequests/status\"],\"verbs\":[\"*\"]}]}";
	static const char binding[] =
		"{\"metadata\":{\"name\":\"requests\"},\"roleRef\":{\"apiGroup\":"
		"\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"requests\"},\"subjects\":"
		"[{\"kind\":\"User\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"ann\"}]}";
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	buf_char(&pki.csr64, '\0');
	struct client *ann = client_as(&f, "ann", "");
	CHECK_INT(put_request(&f, f.admin, "r", &usual), 201);
	for (size_t i = 0; i < 2; i++)
		CHECK_INT(call(&f, f.admin,
				  &(struct client_req){.group = STR("rbac.authorization.k8s.io"),
					  .version = STR("v1"),
					  .verb = CLIENT_CREATE,
					  .resource = i ? STR("clusterrolebindings")
							: STR("clusterroles"),
					  .body = str_c(i ? binding : role)}),
			201);
	CHECK_INT(issue_as(&f, ann, "r", &(struct issue){"Denied", NULL, 0, 0, 0}), 422);
	CHECK(says(&f,
		"User \\\"ann\\\" is not permitted to \\\"sign\\\" for signer \\\"e.com/s\\\""));
	client_free(ann);
	pki_close();
	fx_close(&f);
}

/* ---- nodes ---- */

/* uid_of: of an object of the core group. */
static const char *
uid_of(struct fixture *f, const char *resource, const char *ns, const char *name)
{
	static char uids[4][40];
	static unsigned nth;
	char *out = uids[nth++ % 4];
	CHECK_INT(write_as(f, f->admin, CLIENT_GET, resource, ns, name, "", ""), 200);
	const char *at = strstr(f->body.data, "\"uid\":\"");
	CHECK(at != NULL);
	snprintf(out, 40, "%.36s", at ? at + 7 : "");
	return out;
}

TEST(a_node_asks_for_certificates_of_its_own_pods_only)
{
	static const char pod[] =
		"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\",\"containers\":[{\"name\":"
		"\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[{"
		"\"podCertificate\":{\"signerName\":\"e.com/s\",\"keyType\":\"ED25519\",\"keyPath\":\"k\"}}]}}"
		"]}}";
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	pki_open();
	buf_char(&pki.csr64, '\0');
	struct client *n1 = client_as(&f, "system:node:n1", "system:nodes");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	for (int i = 1; i <= 2; i++) {
		char body[500], name[24], node[24];
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(node, sizeof(node), "n%d", i);
		snprintf(body, sizeof(body), pod, name, node);
		CHECK_INT(
			write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "", body), 201);
		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"}}", node);
		CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "nodes", "", "", "", body), 201);
	}
	struct wish good = usual;
	good.pod_uid = uid_of(&f, "pods", "default", "p1");
	good.account_uid = uid_of(&f, "serviceaccounts", "default", "default");
	good.node_uid = uid_of(&f, "nodes", "", "n1");
	struct wish rows[] = {good, good, good, good, good, good};
	const struct {
		int http;
		const char *says;
	} want[] = {
		{403, "which is not the requesting node \\\"n1\\\""},
		{403, "is not running on node \\\"n1\\\""},
		{500, "which differs from the running service account"},
		{403, "that differs from running pod (\\\"default\\\")"},
		{403, "does not mount a podCertificate projected volume for signer \\\"e.com/other\\\""},
		{201, "\"kind\":\"PodCertificateRequest\""},
	};
	rows[0].node = "n2";
	rows[1].pod = "p2";
	rows[1].pod_uid = uid_of(&f, "pods", "default", "p2");
	rows[2].account_uid = "another";
	rows[3].account = "root";
	rows[4].signer = "e.com/other";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(put_request(&f, n1, "r", &rows[i]), want[i].http);
		CHECK(says(&f, want[i].says));
	}
	/* it sees those that name it, and writes no status */
	struct client_req list = {CERTS, .verb = CLIENT_LIST,
		.resource = STR("podcertificaterequests"), .ns = STR("default")};
	CHECK_INT(call(&f, n1, &list), 403);
	CHECK(says(&f, "can only list/watch podcertificaterequests with nodeName field selector"));
	list.field_selector = STR("spec.nodeName=n1");
	CHECK_INT(call(&f, n1, &list), 200);
	list.verb = CLIENT_GET;
	list.field_selector = STR("");
	list.name = STR("r");
	CHECK_INT(call(&f, n1, &list), 200);
	CHECK_INT(issue_as(&f, n1, "r", &(struct issue){"Denied", NULL, 0, 0, 0}), 403);
	struct client *n2 = client_as(&f, "system:node:n2", "system:nodes");
	CHECK_INT(call(&f, n2, &list), 403);
	client_free(n1);
	client_free(n2);
	pki_close();
	fx_close(&f);
}
