/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server_int: what `keelson server` and the control role have in common. Private to api. */
#ifndef ORCHESTRATOR_API_SERVER_INT_H
#define ORCHESTRATOR_API_SERVER_INT_H

#include "orchestrator/api/api.h"

struct server_options {
	const char *data_dir;
	const char *listen;
	unsigned workers;
	struct str service_cidr4, service_cidr6, pod_cidr4, pod_cidr6;
	struct str cluster_dns4, cluster_dns6, cluster_domain;
	struct str machine; /* name of the node it runs on; "" = an ordinary process */
	struct str advertise_ip4, advertise_ip6;
	struct str server_url;      /* of the kubeconfig; "" = the listener's */
	struct str bootstrap_token; /* "" = none: registered at start */
	const struct str *server_ips, *server_names;
	size_t n_server_ips, n_server_names;
	bool no_kubeconfig;
	bool api_only; /* no part runs: objects stay as clients left them */
	int init_fd; /* to PID 1, which keeps the listeners and is told when all parts run; 0 = nobody is */
};
/* server_run: opens the store, serves, runs all parts until a signal ends it. Returns the exit status. */
int server_run(const struct server_options *o);

#endif
