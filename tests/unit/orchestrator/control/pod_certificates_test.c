/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The controllers of pods' certificates, each under its own account, on virtual time: requests go in time, and there is
 * one bundle with the API server's authority whatever others do to it. */
#include "orchestrator/control/pod_certificates.c"

#include "netstack/tls/x509.h"
#include "orchestrator/api/api_int.h"
#include "orchestrator/kinds/kinds.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define CERTS .group = STR("certificates.k8s.io"), .version = STR("v1")

static const struct controller *const table[] = {
	&pod_certificate_cleaner_controller, &trust_bundle_publisher_controller, NULL};

static int
make_client(void *arg, struct loop *l, const char *name, struct client **ret)
{
	struct fixture *f = arg;
	char user[120];

	(void)l;
	snprintf(user, sizeof(user), "system:serviceaccount:kube-system:%s", name);
	*ret = name[0] ? client_as(f, user, "system:serviceaccounts")
		       : client_as(f, "system:kube-controller-manager", "");
	return 0;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static void
pass(struct fixture *f, int64_t seconds)
{
	world_run(f->w, clock_mono_ns() + seconds * NS_PER_SEC, never, NULL);
}

static struct tls_key *
authority(struct buf *pem)
{
	struct tls_key *k = NULL;
	struct x509_spec s = {.cn = STR("kubernetes"),
		.ca = true,
		.path_len = -1,
		.not_before_s = 1600000000,
		.not_after_s = 2000000000};

	CHECK_INT(tls_key_generate(&k), 0);
	CHECK_INT(x509_issue(&s, tls_key_pub(k), NULL, k, pem, NULL), 0);
	return k;
}

TEST(a_request_goes_a_quarter_of_an_hour_after_it_was_made)
{
	struct fixture f;
	struct control *ctl = NULL;
	struct server_context ctx = {0};
	struct tls_key *k = NULL;
	struct x509_spec none = {0};
	struct str label = STR_NONE;
	_cleanup_buf_ struct buf pem = BUF_INIT, der = BUF_INIT, b = BUF_INIT;
	struct client_req get = {CERTS, .verb = CLIENT_GET,
		.resource = STR("podcertificaterequests"), .ns = STR("default"), .name = STR("r")};
	fx_open_with(&f, 1, &kinds_tables);
	ctx.api = f.s;
	ctx.world = f.w;
	CHECK_INT(tls_key_generate(&k), 0);
	CHECK_INT(x509_csr_write(k, &none, &pem), 0);
	struct str rest = buf_view(&pem);
	CHECK(pem_next(&rest, &label, &der));
	buf_cstr(&b,
		"{\"metadata\":{\"name\":\"r\"},\"spec\":{\"signerName\":\"e.com/s\",\"podName\":\"p\","
		"\"podUID\":\"u\",\"serviceAccountName\":\"a\",\"serviceAccountUID\":\"u\",\"nodeName\":\"n\","
		"\"nodeUID\":\"u\",\"stubPKCS10Request\":\"");
	base64_encode(&b, buf_view(&der));
	buf_cstr(&b, "\"}}");
	CHECK_INT(control_new(f.loop, table, &ctx, make_client, &f, &ctl), 0);
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_CREATE,
				  .resource = STR("podcertificaterequests"), .ns = STR("default"),
				  .body = buf_view(&b)}),
		201);
	pass(&f, 880);
	CHECK_INT(call(&f, f.admin, &get), 200);
	pass(&f, 60);
	CHECK_INT(call(&f, f.admin, &get), 404);
	control_free(ctl);
	tls_key_free(k);
	fx_close(&f);
}

/* bundles: how many of the API server's signer there are; the first one's name. */
static size_t
bundles(struct fixture *f, char name[100])
{
	size_t n = 0;

	CHECK_INT(call(f, f->admin,
			  &(struct client_req){CERTS, .verb = CLIENT_LIST,
				  .resource = STR("clustertrustbundles"),
				  .field_selector = STR("spec.signerName=" SIGNER)}),
		200);
	for (const char *at = f->body.data; (at = strstr(at, "\"name\":\"" BUNDLE_PREFIX)); at++)
		if (n++ == 0)
			snprintf(name, 100, "%.*s", (int)strcspn(at + 8, "\""), at + 8);
	return n;
}

TEST(the_authority_of_the_api_server_is_one_bundle)
{
	struct fixture f;
	struct control *ctl = NULL;
	struct api_pki pki = {0};
	_cleanup_buf_ struct buf ca = BUF_INIT, other = BUF_INIT, b = BUF_INIT;
	char name[100] = "", again[100] = "";
	fx_open_with(&f, 1, &kinds_tables);
	tls_key_free(authority(&ca));
	tls_key_free(authority(&other));
	pki.ca_cert = buf_view(&ca);
	struct server_context ctx = {.api = f.s, .world = f.w, .pki = &pki};
	CHECK_INT(control_new(f.loop, table, &ctx, make_client, &f, &ctl), 0);
	pass(&f, 10);
	CHECK_INT(bundles(&f, name), 1);
	CHECK_INT(strlen(name), sizeof(BUNDLE_PREFIX) - 1 + 24);
	/* somebody writes something else into it, and makes another one */
	buf_cstr(&b,
		"{\"metadata\":{\"name\":\"" BUNDLE_PREFIX
		"aa\"},\"spec\":{\"signerName\":\"" SIGNER "\",\"trustBundle\":");
	doc_json_string(&b, buf_view(&other));
	buf_cstr(&b, "}}");
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CERTS, .verb = CLIENT_CREATE,
				  .resource = STR("clustertrustbundles"), .body = buf_view(&b)}),
		201);
	buf_clear(&b);
	buf_cstr(&b, "{\"spec\":{\"trustBundle\":");
	doc_json_string(&b, buf_view(&other));
	buf_cstr(&b, "}}");
	struct client_req q = {CERTS, .verb = CLIENT_PATCH_MERGE,
		.resource = STR("clustertrustbundles"), .name = str_c(name), .body = buf_view(&b)};
	CHECK_INT(call(&f, f.admin, &q), 200);
	pass(&f, 10);
	CHECK_INT(bundles(&f, again), 1);
	CHECK_STR(again, name);
	buf_clear(&b);
	doc_json_string(&b, buf_view(&ca));
	buf_char(&b, '\0');
	CHECK(says(&f, b.data));
	/* or takes it away */
	q.verb = CLIENT_DELETE;
	q.body = STR("");
	CHECK_INT(call(&f, f.admin, &q), 200);
	pass(&f, 10);
	CHECK_INT(bundles(&f, again), 1);
	CHECK_STR(again, name);
	control_free(ctl);
	fx_close(&f);
}
