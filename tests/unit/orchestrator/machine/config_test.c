/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The machine configuration: what docs/machine-config.md shows is accepted whole; what is misspelt,
 * repeated or of the wrong form is refused by name. */
#include "orchestrator/machine/config.c"

#include "tests/unit/test.h"

#define HEAD "apiVersion: os.keelson.dev/v1alpha1\nkind: MachineConfig\n"
#define NODE HEAD "name: n1\nroles: [node]\ncluster: {endpoint: 'https://10.0.0.1:6443', ca: x}\n"

static int
parse(const char *text, struct machine_config *c, struct err *e, struct arena *a)
{
	return machine_config_parse(a, str_c(text), c, e);
}

TEST(whole_document)
{
	struct arena *a = arena_new(0);
	struct machine_config c;
	struct err e = {0};
	CHECK_INT(parse(HEAD "name: node-1\n"
			     "roles: [control, node]\n"
			     "network:\n"
			     "  interface: eth0\n"
			     "  dhcp: false\n"
			     "  addresses: [10.77.0.11/24, 'fd77::11/64']\n"
			     "  gateways: [10.77.0.1]\n"
			     "  nameservers: [10.77.0.1, 'fd77::1']\n"
			     "disks: {data: /dev/vda}\n"
			     "cluster:\n"
			     "  name: keelson\n"
			     "  endpoint: https://10.77.0.11:6443\n"
			     "  ca: |\n    cert\n"
			     "  caKey: |\n    key\n"
			     "  bootstrapToken: abcdef.0123456789abcdef\n"
			     "  dnsDomain: cluster.local\n"
			     "  dnsAddresses: [10.96.0.10, 'fd00:10:96::a']\n"
			     "  podCIDRs: [10.244.0.0/16, 'fd00:10:244::/48']\n"
			     "  serviceCIDRs: ['fd00:10:96::/112', 10.96.0.0/16]\n"
			     "registries:\n"
			     "- prefix: registry.test:5000\n"
			     "  ca: pem\n"
			     "- {prefix: other, plainHTTP: true}\n"
			     "node:\n"
			     "  labels: {a: b}\n"
			     "  taints: ['k=v:NoSchedule', 'q:NoExecute']\n",
			  &c, &e, a),
		0);
	CHECK_STR(c.name, "node-1");
	CHECK(c.control && c.node && !c.network.dhcp);
	CHECK_INT(c.network.addresses.n, 2);
	CHECK_INT(c.network.addresses.at[1].len, 64);
	CHECK_INT(c.network.gateways.n, 1);
	CHECK_INT(c.network.nameservers.n, 2);
	CHECK_STR(c.data_disk, "/dev/vda");
	CHECK_STR(c.cluster.ca, "cert\n");
	CHECK_INT(c.cluster.dns6.family, 6);
	CHECK_INT(c.cluster.service4.len, 16);
	CHECK_INT(c.cluster.service6.len, 112);
	CHECK_INT(c.n_registries, 2);
	CHECK(c.registries[1].plain_http);
	CHECK_STR(c.labels[0].value, "b");
	CHECK_INT(c.n_taints, 2);
	CHECK_STR(c.taints[0].value, "v");
	CHECK_STR(c.taints[1].effect, "NoExecute");
	arena_free(a);
}

TEST(defaults_are_filled_in)
{
	struct arena *a = arena_new(0);
	struct machine_config c;
	struct err e = {0};
	CHECK_INT(parse(NODE, &c, &e, a), 0);
	CHECK(c.network.dhcp && !c.control);
	CHECK_STR(c.cluster.dns_domain, "cluster.local");
	CHECK_STR(c.data_disk, "");
	arena_free(a);
}

TEST(wrong_documents_are_refused_by_name)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "empty"},
		{"- a\n", "must be a map"},
		{NODE "disk: x\n", "unknown field 'disk'"},
		{NODE "disks: {date: x}\n", "unknown field 'disks.date'"},
		{NODE "disks: x\n", "'disks' must be a map"},
		{NODE "disks: {data: 1}\n", "'disks.data' must be a string"},
		{NODE "name: n2\n", "'name' must be there once"},
		{NODE "network: {addresses: [10.0.0.1]}\n", "'network.addresses'"},
		{NODE "network: {dhcp: maybe}\n", "true or false"},
		{NODE "node: {taints: ['a=b:Never']}\n", "'node.taints'"},
		{NODE "registries: [{ca: x}]\n", "with a prefix"},
		{NODE "registries: [{prefix: a, url: x}]\n", "prefix, ca, plainHTTP"},
		{HEAD "name: Node\nroles: [node]\n", "lower case"},
		{HEAD "name: m1\nroles: [worker]\n", "'control' and 'node'"},
		{HEAD "name: m1\nroles: [node]\ncluster: {endpoint: 'http://x', ca: yy}\n",
			"https"},
		{HEAD "name: m1\nroles: [control]\ncluster: {ca: yy}\n", "caKey"},
		{"kind: Machine\n", "MachineConfig"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct machine_config c = {.name = STR("untouched")};
		struct err e = {0};
		CHECK_INT(parse(rows[i].text, &c, &e, a), -EINVAL);
		if (!strstr(e.msg, rows[i].says))
			CHECK_STR(e.msg, rows[i].says);
		CHECK_STR(c.name, "untouched");
		arena_free(a);
	}
}
