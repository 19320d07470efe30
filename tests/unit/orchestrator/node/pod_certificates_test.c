/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * A pod's certificate from its key to its renewal, with a real API server and a signer that does what the test says. */
#include "orchestrator/node/pod_certificates.c"

#include "tests/unit/orchestrator/node/certs_world.h"

#define SOURCE                                                                                     \
	"{\"podCertificate\":{\"signerName\":\"e.com/s\",\"keyType\":\"%s\",\"keyPath\":\"k\","    \
	"\"maxExpirationSeconds\":7200,\"userAnnotations\":{\"e.com/a\":\"b\"}}}"

struct signer {
	struct certs_world x;
	struct tls_key *key;
	struct buf ca;
	struct x509_cert *cert;
};

static void
signer_open(struct signer *s, const char *key_type)
{
	char source[400];
	size_t n = 0;

	snprintf(source, sizeof(source), SOURCE, key_type);
	cw_open(&s->x, source, "");
	s->ca = (struct buf)BUF_INIT;
	s->key = cw_authority("signer", &s->ca);
	CHECK_INT(x509_certs_parse_pem(s->x.a, buf_view(&s->ca), &s->cert, &n, NULL), 0);
	pod_certificates_want(&s->x.p);
	cw_pass(&s->x, 5);
}

static void
signer_close(struct signer *s)
{
	tls_key_free(s->key);
	buf_release(&s->ca);
	cw_close(&s->x);
}

/* pending: the i-th request of the pod as a document; NULL = there are fewer. */
static struct doc *
pending(struct signer *s, size_t i)
{
	struct doc *d = NULL;

	CHECK_INT(call(&s->x.f, s->x.f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_LIST,
				  .resource = STR("podcertificaterequests"), .ns = STR("default")}),
		200);
	CHECK_INT(
		doc_parse_json(s->x.a, arena_str(s->x.a, str_c(s->x.f.body.data)), NULL, &d, NULL),
		0);
	DOC_EACH (r, doc_get(d, STR("items")))
		if (doc_is_empty(doc_get(doc_get(r, STR("status")), STR("conditions"))) && i-- == 0)
			return r;
	return NULL;
}

static struct str
spec_of(const struct doc *r, const char *member)
{
	return doc_get_str(doc_get(r, STR("spec")), str_c(member));
}

static int
status_put(struct signer *s, const struct doc *r, const struct buf *body)
{
	return call(&s->x.f, s->x.f.admin,
		&(struct client_req){CERTS, .verb = CLIENT_PATCH_MERGE,
			.resource = STR("podcertificaterequests"), .ns = STR("default"),
			.name = doc_get_str(doc_get(r, STR("metadata")), STR("name")),
			.subresource = STR("status"), .body = buf_view(body)});
}

static void
condition_put(struct buf *b, const char *type)
{
	char now[40];

	rfc3339_format(clock_wall_ns(), 0, now);
	buf_fmt(b,
		"\"conditions\":[{\"type\":\"%s\",\"status\":\"True\",\"reason\":\"Because\",\"message\":"
		"\"of this\",\"lastTransitionTime\":\"%s\"}]",
		type, now);
}

/* issue: a certificate for two hours, to be refreshed after one; with words around it. */
static void
issue(struct signer *s, const struct doc *r)
{
	char at[3][40];
	int64_t now_s = clock_wall_ns() / NS_PER_SEC;
	struct x509_spec spec = {
		.cn = STR("pod"), .not_before_s = now_s, .not_after_s = now_s + 7200};
	_cleanup_buf_ struct buf der = BUF_INIT, pem = BUF_INIT, b = BUF_INIT;
	struct x509_csr csr;
	struct err e = {0};

	CHECK_INT(base64_decode(&der, spec_of(r, "stubPKCS10Request")), 0);
	CHECK_INT(x509_csr_parse(s->x.a, buf_view(&der), &csr, &e), 0);
	CHECK_STR(e.msg, "");
	CHECK(csr.subject.cn.n == 0 && csr.san.n_dns == 0);
	buf_cstr(&pem, "a remark\n");
	CHECK_INT(x509_issue(&spec, &csr.pub, s->cert, s->key, &pem, NULL), 0);
	for (int i = 0; i < 3; i++)
		rfc3339_format((now_s + 3600 * i) * NS_PER_SEC, 0, at[i]);
	buf_cstr(&b, "{\"status\":{\"certificateChain\":");
	doc_json_string(&b, buf_view(&pem));
	buf_fmt(&b, ",\"notBefore\":\"%s\",\"beginRefreshAt\":\"%s\",\"notAfter\":\"%s\",", at[0],
		at[1], at[2]);
	condition_put(&b, "Issued");
	buf_cstr(&b, "}}");
	CHECK_INT(status_put(s, r, &b), 200);
	cw_pass(&s->x, 5);
}

static void
refuse(struct signer *s, const struct doc *r, const char *type)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_cstr(&b, "{\"status\":{");
	condition_put(&b, type);
	buf_cstr(&b, "}}");
	CHECK_INT(status_put(s, r, &b), 200);
	cw_pass(&s->x, 5);
}

/* credentials: the key's public half, when key and chain fit. */
static struct tls_pub
credentials(struct signer *s)
{
	struct str key = STR_NONE, chain = STR_NONE;
	struct tls_key *k = NULL;
	struct x509_cert *c = NULL;
	struct tls_pub pub = {0};
	struct err e = {0};
	size_t n = 0;

	CHECK_INT(pod_certificate_get(&s->x.p, STR("v"), 0, &key, &chain, &e), 0);
	CHECK_STR(e.msg, "");
	CHECK(str_starts(key, STR("-----BEGIN PRIVATE KEY-----\n")));
	CHECK(str_starts(chain, STR("-----BEGIN CERTIFICATE-----\n")));
	CHECK_INT(tls_key_parse(key, &k, &e), 0);
	CHECK_INT(x509_certs_parse_pem(s->x.a, chain, &c, &n, &e), 0);
	CHECK(k && n == 1 && tls_pub_eq(&c[0].pub, tls_key_pub(k)));
	if (k)
		pub = *tls_key_pub(k);
	tls_key_free(k);
	return pub;
}

static bool
told(struct signer *s, const char *text)
{
	cw_pass(&s->x, 5);
	CHECK_INT(
		write_as(&s->x.f, s->x.f.admin, CLIENT_LIST, "events", "default", "", "", ""), 200);
	return strstr(s->x.f.body.data, text) != NULL;
}

TEST(the_request_says_which_pod_and_the_answer_becomes_key_and_chain)
{
	struct signer s;
	struct str key = STR_NONE, chain = STR_NONE;
	struct err e = {0};
	signer_open(&s, "ECDSAP384");
	struct doc *r = pending(&s, 0);
	CHECK(r != NULL && pending(&s, 1) == NULL);
	const struct doc *owner = doc_get(doc_get(r, STR("metadata")), STR("ownerReferences"));
	DOC_EACH (o, owner)
		CHECK_STR(doc_get_str(o, STR("uid")), s.x.p.uid);
	CHECK_INT(doc_len(owner), 1);
	CHECK(str_starts(doc_get_str(doc_get(r, STR("metadata")), STR("name")), STR("req-")));
	CHECK_STR(spec_of(r, "podUID"), s.x.p.uid);
	CHECK_STR(spec_of(r, "nodeUID"), s.x.n.uid);
	CHECK_STR(spec_of(r, "serviceAccountName"), "default");
	CHECK_STR(spec_of(r, "serviceAccountUID"),
		cw_uid(&s.x, "serviceaccounts", "default", "default"));
	CHECK_STR(doc_get_str(doc_get(doc_get(r, STR("spec")), STR("unverifiedUserAnnotations")),
			  STR("e.com/a")),
		"b");
	CHECK_INT(doc_get_int(doc_get(r, STR("spec")), STR("maxExpirationSeconds"), 0), 7200);
	/* nobody signs: the start waits, and says so after a while */
	CHECK_INT(pod_certificate_get(&s.x.p, STR("v"), 0, &key, &chain, &e), -EBUSY);
	CHECK_STR(e.msg, "credential bundle is not issued yet");
	s.x.p.volumes_stale = false;
	issue(&s, r);
	CHECK(s.x.p.volumes_stale && s.x.syncs > 0);
	CHECK_INT(credentials(&s).type, TLS_KEY_EC_P384);
	CHECK_INT(s.x.p.ops, 0);
	signer_close(&s);
}

TEST(every_type_of_key_is_made)
{
	static const struct {
		const char *name;
		enum tls_key_type type;
	} rows[] = {
		{"RSA3072", TLS_KEY_RSA},
		{"ECDSAP256", TLS_KEY_EC_P256},
		{"ECDSAP521", TLS_KEY_EC_P521},
		{"ED25519", TLS_KEY_ED25519},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct signer s;
		signer_open(&s, rows[i].name);
		issue(&s, pending(&s, 0));
		CHECK_INT(credentials(&s).type, rows[i].type);
		signer_close(&s);
	}
}

TEST(a_certificate_is_renewed_beside_the_one_in_use)
{
	struct signer s;
	signer_open(&s, "ED25519");
	issue(&s, pending(&s, 0));
	struct tls_pub first = credentials(&s), other;
	cw_pass(&s.x, 3500);
	CHECK(pending(&s, 0) == NULL);
	cw_pass(&s.x, 500); /* an hour and five minutes at most */
	struct doc *r = pending(&s, 0);
	CHECK(r != NULL && pending(&s, 1) == NULL);
	other = credentials(&s);
	CHECK(tls_pub_eq(&first, &other));
	/* nobody signs for long: that is told, and the old one stays */
	cw_pass(&s.x, 900);
	CHECK(told(&s, "PodCertificate refresh overdue"));
	cw_pass(&s.x, 2600);
	CHECK(told(&s, "PodCertificate expired"));
	other = credentials(&s);
	CHECK(tls_pub_eq(&first, &other));
	issue(&s, pending(&s, 0));
	other = credentials(&s);
	CHECK(!tls_pub_eq(&first, &other));
	signer_close(&s);
}

TEST(what_is_denied_or_failed_is_so_for_good)
{
	static const char *const rows[][3] = {
		{"Denied", "denied", "was denied"}, {"Failed", "failed", "failed"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct signer s;
		struct str key = STR_NONE, chain = STR_NONE;
		struct err e = {0};
		char text[200];
		signer_open(&s, "ED25519");
		refuse(&s, pending(&s, 0), rows[i][0]);
		CHECK_INT(pod_certificate_get(&s.x.p, STR("v"), 0, &key, &chain, &e), -EACCES);
		snprintf(text, sizeof(text),
			"PodCertificateRequest was permanently %s: reason=\"Because\" message=\"of "
			"this\"",
			rows[i][1]);
		CHECK_STR(e.msg, text);
		snprintf(text, sizeof(text), "%s, reason=\\\"Because\\\", message=\\\"of this\\\"",
			rows[i][2]);
		CHECK(told(&s, text));
		cw_pass(&s.x, 7200);
		CHECK(pending(&s, 0) == NULL);
		signer_close(&s);
	}
}

TEST(a_request_that_was_deleted_is_made_again)
{
	struct signer s;
	signer_open(&s, "ED25519");
	CHECK_INT(call(&s.x.f, s.x.f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_DELETE,
				  .resource = STR("podcertificaterequests"), .ns = STR("default"),
				  .name = doc_get_str(
					  doc_get(pending(&s, 0), STR("metadata")), STR("name"))}),
		200);
	cw_pass(&s.x, 500);
	CHECK(pending(&s, 0) == NULL);
	cw_pass(&s.x, 600);
	CHECK(pending(&s, 0) != NULL);
	issue(&s, pending(&s, 0));
	credentials(&s);
	signer_close(&s);
}

/* An API that refuses must not be asked without end. */
TEST(refusals_are_tried_again_later_and_later)
{
	struct signer s;
	char source[400];
	snprintf(source, sizeof(source), SOURCE, "ED25519");
	cw_open(&s.x, source, "");
	snprintf(s.x.n.uid, sizeof(s.x.n.uid), "another");
	pod_certificates_want(&s.x.p);
	cw_pass(&s.x, 100);
	CHECK(s.x.p.certs->retry_ns >= 32 * NS_PER_SEC);
	CHECK(!s.x.p.certs->has && s.x.p.certs->new_key.len == 0);
	snprintf(s.x.n.uid, sizeof(s.x.n.uid), "%s", cw_uid(&s.x, "nodes", "", "n1"));
	cw_pass(&s.x, 200);
	CHECK(pending(&s, 0) != NULL);
	cw_close(&s.x);
}
