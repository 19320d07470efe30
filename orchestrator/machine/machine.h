/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * machine: the machine configuration: who this machine is, decoded and checked once, the same for every
 * role. PID 1 reads it at boot for mounts and network, each role for its own part, before it drops
 * its privileges (the file holds keys). Front door of this folder; the format is in
 * docs/machine-config.md.
 * Invariant: what machine_config_parse accepts is complete: a role needs no defaults of its own.
 * Must not: change anything. */
#ifndef ORCHESTRATOR_MACHINE_MACHINE_H
#define ORCHESTRATOR_MACHINE_MACHINE_H

#include "base/arena.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/ip.h"

#define MACHINE_CONFIG_PATH "/etc/keelson/machine.yaml"
#define MACHINE_CONFIG_MAX (1 << 20)
#define MACHINE_ADDRS_MAX 16

struct machine_registry {
	struct str prefix; /* host[:port] as it stands in image references */
	struct str ca;     /* PEM; "" = none of its own */
	bool plain_http;
};

struct machine_taint {
	struct str key, value, effect;
};

struct machine_label {
	struct str key, value;
};

struct machine_addrs {
	size_t n;
	struct ip_addr at[MACHINE_ADDRS_MAX];
};

struct machine_prefixes {
	size_t n;
	struct ip_prefix at[MACHINE_ADDRS_MAX];
};

/* All strings are arena. Absent strings are "". */
struct machine_config {
	struct str name; /* DNS-1123 subdomain: host and node name */
	bool control, node;
	struct {
		struct str interface; /* "" = the first Ethernet link */
		bool dhcp;
		struct machine_prefixes addresses;
		struct machine_addrs gateways, nameservers;
	} network;
	struct str data_disk; /* device with an ext4 file system; "" = memory only */
	struct {
		struct str name, endpoint, ca, ca_key, bootstrap_token, dns_domain;
		struct ip_addr dns4, dns6; /* family 0 = none */
		struct ip_prefix pod4, pod6, service4, service6;
		bool admin_kubeconfig;
	} cluster;
	struct machine_registry *registries;
	size_t n_registries;
	struct machine_label *labels;
	size_t n_labels;
	struct machine_taint *taints;
	size_t n_taints;
};

/* machine_config_parse: one YAML document. Unknown and repeated fields are errors. The result is arena
 * and borrows text. Errors: -EINVAL (e names the field), -E2BIG, -ENOMEM. Total over any bytes. */
int machine_config_parse(
	struct arena *a, struct str text, struct machine_config *ret, struct err *e);
/* machine_config_load: reads and parses a file of at most MACHINE_CONFIG_MAX bytes (into the arena).
 * Errors: as above, -ENOENT, -EFBIG, -errno. */
int machine_config_load(
	struct arena *a, const char *path, struct machine_config *ret, struct err *e);

#endif
