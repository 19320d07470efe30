/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * commands: where PID 1's floor hands over to the Kubernetes part. A part that is not linked into this
 * program (a small image, a test) is a null symbol here, and its role says so and fails. */
#include "init/commands.h"

#include "base/log.h"
#include "init/role.h"

#include <stddef.h>

#define PART __attribute__((weak))
PART int server_main(int argc, char **argv);
PART int hollow_main(int argc, char **argv);
PART _Noreturn void runtime_pod_init_main(void);
PART int control_role_main(const struct machine_config *c);
PART int node_role_main(const struct machine_config *c);
PART int dns_role_prepare(const struct machine_config *c, struct err *e);
PART int dns_role_main(const struct machine_config *c);

static int
absent(const char *part)
{
	log_error("this program was linked without the %s", part);
	return 1;
}

int
cmd_server(int argc, char **argv)
{
	return server_main ? server_main(argc, argv) : absent("API server");
}

int
cmd_hollow(int argc, char **argv)
{
	return hollow_main ? hollow_main(argc, argv) : absent("hollow nodes");
}

int
cmd_pod_init(int argc, char **argv)
{
	(void)argc, (void)argv;
	if (runtime_pod_init_main)
		runtime_pod_init_main();
	return absent("container runtime");
}

int
role_control_main(const struct machine_config *c)
{
	struct err e = {0};
	if (!control_role_main)
		return absent("API server");
	if (control_prepare(c, &e) < 0 || control_fence(&e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return control_role_main(c);
}

int
role_node_main(const struct machine_config *c)
{
	return node_role_main ? node_role_main(c) : absent("kubelet");
}

int
role_dns_main(const struct machine_config *c)
{
	struct err e = {0};
	if (!dns_role_main || !dns_role_prepare)
		return absent("name server");
	if (dns_role_prepare(c, &e) < 0 || dns_fence(&e) < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	return dns_role_main(c);
}
