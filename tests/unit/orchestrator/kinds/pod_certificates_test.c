/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and bundles of them through the whole pipeline: names. */
#include "orchestrator/kinds/certificates.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

TEST(a_trust_bundle_is_called_after_its_signer)
{
	static const struct {
		const char *name, *signer, *says;
	} rows[] = {
		{"plain", "", NULL},
		{"example.com:all:one", "example.com/all", NULL},
		{"a:b", "",
			"ClusterTrustBundle without signer name must not have \\\":\\\" in its name"},
		{"one", "example.com/all", "must be named with prefix example.com:all:"},
		{"example.com:all:One", "example.com/all", "a lowercase RFC 1123 subdomain"},
	};
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[300];
		snprintf(body, sizeof(body),
			"{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"signerName\":\"%s\","
			"\"trustBundle\":\"x\"}}",
			rows[i].name, rows[i].signer);
		CHECK_INT(call(&f, f.admin,
				  &(struct client_req){.group = STR("certificates.k8s.io"),
					  .version = STR("v1"),
					  .verb = CLIENT_CREATE,
					  .resource = STR("clustertrustbundles"),
					  .body = str_c(body)}),
			rows[i].says ? 422 : 201);
		CHECK(!rows[i].says || says(&f, rows[i].says));
	}
	fx_close(&f);
}
