/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What sources of ClusterTrustBundles give: by name and by signer, what is missing, what changes; and the files that
 * become of it. */
#include "orchestrator/node/bundles.c"

#include "tests/unit/orchestrator/node/certs_world.h"

#define BY_NAME(name, more)                                                                        \
	"{\"clusterTrustBundle\":{\"name\":\"" name "\",\"path\":\"ca\"" more "}}"
#define BY_SIGNER(more)                                                                            \
	"{\"clusterTrustBundle\":{\"signerName\":\"e.com/s\",\"path\":\"ca\"" more "}}"

static void
put(struct certs_world *x, enum client_verb verb, const char *name, const char *signer,
	const char *labels, const struct buf *pem)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_fmt(&b,
		"{\"metadata\":{\"name\":\"%s\",\"labels\":%s},\"spec\":{\"signerName\":\"%s\","
		"\"trustBundle\":",
		name, labels, signer);
	doc_json_string(&b, buf_view(pem));
	buf_cstr(&b, "}}");
	CHECK_INT(call(&x->f, x->f.admin,
			  &(struct client_req){CERTS, .verb = verb,
				  .resource = STR("clustertrustbundles"),
				  .name = verb == CLIENT_CREATE ? STR("") : str_c(name),
				  .body = buf_view(&b)}),
		verb == CLIENT_CREATE ? 201 : 200);
}

/* world: three authorities: one of no signer, two of e.com/s of which one is alive; the third is in both of these. */
static struct buf ca[3];

static void
world(struct certs_world *x, const char *source)
{
	cw_open(x, source, "");
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&ca[i]);
		tls_key_free(cw_authority("ca", &ca[i]));
	}
	_cleanup_buf_ struct buf two = BUF_INIT;
	buf_cstr(&two, "a remark\n");
	buf_str(&two, buf_view(&ca[2]));
	buf_str(&two, buf_view(&ca[1]));
	put(x, CLIENT_CREATE, "plain", "", "{\"alive\":\"yes\"}", &ca[0]);
	put(x, CLIENT_CREATE, "e.com:s:one", "e.com/s", "{\"alive\":\"yes\"}", &ca[1]);
	put(x, CLIENT_CREATE, "e.com:s:two", "e.com/s", "{}", &two);
	CHECK(!bundles_ready(&x->p));
	cw_pass(x, 3);
	CHECK(bundles_ready(&x->p));
}

static void
done(struct certs_world *x)
{
	for (size_t i = 0; i < 3; i++)
		buf_release(&ca[i]);
	cw_close(x);
}

static int
read_it(struct certs_world *x, struct str *ret, struct err *e)
{
	*e = (struct err){0};
	return bundle_read(&x->p,
		x->p.o->spec.volumes[0].projected->sources[0].cluster_trust_bundle, x->a, ret, e);
}

/* has: which of the three are in it, each once. */
static unsigned
has(struct str pem)
{
	unsigned found = 0;
	size_t n = 0;

	for (unsigned i = 0; i < 3; i++)
		if (str_find(pem, buf_view(&ca[i])) >= 0) {
			found |= 1u << i;
			n += ca[i].len;
		}
	CHECK_INT(pem.n, n);
	return found;
}

TEST(sources_select_by_name_and_by_signer_with_labels)
{
	static const struct {
		const char *source;
		int rc;
		unsigned has;
		const char *says;
	} rows[] = {
		{BY_NAME("plain", ""), 0, 1, ""},
		{BY_NAME("e.com:s:one", ""), 0, 2, ""},
		{BY_NAME("none", ""), -ENOENT, 0,
			"while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "
			"\"none\" not found"},
		{BY_NAME("none", ",\"optional\":true"), 0, 0, ""},
		{BY_SIGNER(",\"labelSelector\":{}"), 0, 6, ""},
		{BY_SIGNER(",\"labelSelector\":{\"matchLabels\":{\"alive\":\"yes\"}}"), 0, 2, ""},
		{BY_SIGNER(",\"optional\":true"), 0, 0, ""},
		{BY_SIGNER(""), -ENOENT, 0,
			"combination of signerName and labelSelector matched zero "
			"ClusterTrustBundles"},
		{BY_SIGNER(
			 ",\"optional\":false,\"labelSelector\":{\"matchLabels\":{\"alive\":\"no\"}}"),
			-ENOENT, 0,
			"combination of signerName and labelSelector matched zero "
			"ClusterTrustBundles"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct certs_world x;
		struct str pem = STR(""), again = STR("");
		struct err e;
		world(&x, rows[i].source);
		CHECK_INT(read_it(&x, &pem, &e), rows[i].rc);
		CHECK_STR(e.msg, rows[i].says);
		if (rows[i].rc == 0) {
			CHECK_INT(has(pem), rows[i].has);
			CHECK_INT(read_it(&x, &again, &e), 0);
			CHECK(str_eq(pem, again)); /* the order is no other one each time */
		}
		done(&x);
	}
}

TEST(a_change_reaches_the_volumes_that_it_is_about)
{
	struct certs_world x;
	struct str pem = STR("");
	struct err e;
	world(&x, BY_NAME("none", ""));
	CHECK_INT(read_it(&x, &pem, &e), -ENOENT);
	x.p.volumes_stale = false;
	put(&x, CLIENT_CREATE, "other", "", "{}", &ca[0]);
	cw_pass(&x, 3);
	CHECK(!x.p.volumes_stale);
	x.p.setup.until_ns = INT64_MAX;
	put(&x, CLIENT_CREATE, "none", "", "{}", &ca[0]);
	cw_pass(&x, 3);
	CHECK(x.p.volumes_stale && x.p.setup.until_ns == 0);
	CHECK_INT(read_it(&x, &pem, &e), 0);
	CHECK_INT(has(pem), 1);
	x.p.volumes_stale = false;
	put(&x, CLIENT_PATCH_MERGE, "none", "", "{}", &ca[1]);
	cw_pass(&x, 3);
	CHECK(x.p.volumes_stale);
	CHECK_INT(read_it(&x, &pem, &e), 0);
	CHECK_INT(has(pem), 2);
	done(&x);
}

TEST(a_label_may_take_a_bundle_away)
{
	struct certs_world x;
	struct str pem = STR("");
	struct err e;
	world(&x, BY_SIGNER(",\"labelSelector\":{\"matchLabels\":{\"alive\":\"yes\"}}"));
	x.p.volumes_stale = false;
	put(&x, CLIENT_PATCH_MERGE, "e.com:s:one", "e.com/s", "{\"alive\":\"no\"}", &ca[1]);
	cw_pass(&x, 3);
	CHECK(x.p.volumes_stale);
	CHECK_INT(read_it(&x, &pem, &e), -ENOENT);
	done(&x);
}

TEST(a_pod_without_such_a_source_starts_no_watch)
{
	struct certs_world x;
	cw_open(&x, "{\"secret\":{\"name\":\"s\"}}", "");
	CHECK(bundles_ready(&x.p));
	CHECK(x.n.bundles == NULL);
	cw_close(&x);
}
