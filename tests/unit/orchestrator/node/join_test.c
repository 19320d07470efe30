/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The node's certificates: is one good for the node as it is now? */
#include "orchestrator/node/join.c"

#include "tests/unit/test.h"

static bool
good_for(struct node *n, const struct x509_spec *spec, struct arena *a)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct tls_key *key = NULL;
	struct x509_cert *v = NULL;
	size_t nv = 0;
	CHECK_INT(tls_key_generate(&key), 0);
	CHECK_INT(x509_issue(spec, tls_key_pub(key), NULL, key, &pem, NULL), 0);
	CHECK_INT(x509_certs_parse_pem(a, buf_view(&pem), &v, &nv, NULL), 0);
	tls_key_free(key);
	return names_all(n, &v[0]);
}

TEST(a_serving_certificate_without_an_address_of_the_node_is_not_good_any_more)
{
	struct arena *a = arena_new(1 << 20);
	struct ip_addr v4 = {4, {10, 77, 0, 11}}, v6 = {6, {0xfd, 0x77, [15] = 0x11}};
	struct ip_addr both[2] = {v6, v4}, other[2] = {v4, {6, {0xfd, 0x77, [15] = 0x12}}};
	struct node n = {.name = STR("node-1"), .facts = {.ips = {v4, v6}, .n_ips = 2}};
	struct x509_spec spec = {.cn = STR("system:node:node-1"),
		.dns = &n.name,
		.n_dns = 1,
		.ips = both,
		.n_ips = 2,
		.not_after_s = 1 << 30,
		.eku = X509_EKU_SERVER};
	CHECK(good_for(&n, &spec, a));
	spec.ips = &v4;
	spec.n_ips = 1;
	CHECK(!good_for(&n, &spec, a));
	n.facts.n_ips = 1;
	CHECK(good_for(&n, &spec, a));
	n.facts.n_ips = 2;
	spec.ips = other;
	spec.n_ips = 2;
	CHECK(!good_for(&n, &spec, a));
	spec.ips = both;
	spec.n_dns = 0;
	CHECK(!good_for(&n, &spec, a));
	arena_free(a);
}

TEST(an_address_that_the_certificate_names_already_asks_for_nothing)
{
	struct ip_addr v4 = {4, {10, 77, 0, 11}}, v6 = {6, {0xfd, 0x77, [15] = 0x11}},
		       both[2] = {v4, v6};
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct node n = {.name = STR("node-1"),
		.loop = loop_new(NULL, "test"),
		.facts = {.ips = {v4}, .n_ips = 1}};
	struct join j = {.n = &n,
		.serving = {.join = &j, .serving = true, .file = "serving.pem", .have = true}};
	struct x509_spec spec = {.cn = STR("x"),
		.dns = &n.name,
		.n_dns = 1,
		.ips = both,
		.n_ips = 2,
		.not_after_s = 1 << 30};
	struct tls_key *key = NULL;
	char path[NODE_PATH];
	n.join = &j;
	j.serving.timer = (struct loop_timer){.fn = on_timer, .arg = &j.serving};
	snprintf(n.dir, sizeof(n.dir), "%s", TEST_TMP);
	snprintf(path, sizeof(path), "%s/pki", n.dir);
	CHECK_INT(disk_mkdirs(path, 0700), 0);
	CHECK_INT(tls_key_generate(&key), 0);
	CHECK_INT(x509_issue(&spec, tls_key_pub(key), NULL, key, &pem, NULL), 0);
	tls_key_free(key);
	cert_path(&j.serving, path);
	CHECK_INT(disk_write_file(path, buf_view(&pem), 0600), 0);
	/* as after a reboot: IPv6 comes back */
	n.facts.ips[1] = v6;
	n.facts.n_ips = 2;
	join_addresses_changed(&n);
	CHECK(!loop_timer_is_set(&j.serving.timer));
	n.facts.ips[1].b[15] = 0x12;
	join_addresses_changed(&n);
	CHECK(loop_timer_is_set(&j.serving.timer));
	loop_timer_cancel(&j.serving.timer);
	loop_free(n.loop);
}
