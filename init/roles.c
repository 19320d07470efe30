/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * roles: the table. See role.h. */
#include "init/role.h"

#include "base/init_proto.h"

#include <linux/capability.h>
#include <string.h>

#define MAY(op) (1u << (op))
#define MAY_SERVE MAY(INIT_READY)
#define MAY_KEEP (MAY(INIT_FD_PUT) | MAY(INIT_FD_DEL) | MAY(INIT_FD_LIST))
#define MAY_WAIT (MAY(INIT_EXIT_QUERY) | MAY(INIT_EXIT_FORGET))

static bool
wants_all(const struct machine_config *c)
{
	(void)c;
	return true;
}

static bool
wants_control(const struct machine_config *c)
{
	return c->control;
}

static bool
wants_node(const struct machine_config *c)
{
	return c->node;
}

const struct role roles[ROLE__COUNT] = {
	[ROLE_NETWORK] =
		{
			.name = "network",
			.does = "brings the machine's own interface up: static addresses or a lease",
			.main = role_network_main,
			.wanted = wants_all,
			.restart = ROLE_ON_FAILURE,
			.gates = true,
			.may = MAY_SERVE,
			.caps = CAP_BIT(CAP_NET_ADMIN) | CAP_BIT(CAP_NET_RAW) |
				CAP_BIT(CAP_SYS_TIME),
			.memory_max_bytes = 64u << 20,
		},
	[ROLE_CONTROL] =
		{
			.name = "control",
			.does = "the API server, the controllers and the scheduler",
			.main = role_control_main,
			.wanted = wants_control,
			.restart = ROLE_ALWAYS,
			.may = MAY_SERVE | MAY_KEEP,
			.caps = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_SETPCAP) |
				CAP_BIT(CAP_CHOWN) |
				CAP_BIT(CAP_DAC_OVERRIDE), /* until the fence */
			.oom_score_adj = -998,
		},
	[ROLE_NODE] =
		{
			.name = "node",
			.does = "the kubelet, the container runtime, volumes, the pod network",
			.main = role_node_main,
			.wanted = wants_node,
			.restart = ROLE_ALWAYS,
			.wants_exits = true,
			.may = MAY_SERVE | MAY_KEEP | MAY_WAIT | MAY(INIT_POWER),
			.caps = ~0ULL,
			.oom_score_adj = -999,
		},
	[ROLE_DNS] =
		{
			.name = "dns",
			.does = "the cluster's name server on this machine",
			.main = role_dns_main,
			.wanted = wants_node,
			.restart = ROLE_ALWAYS,
			.may = MAY_SERVE | MAY_KEEP,
			.caps = CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | CAP_BIT(CAP_SETPCAP) |
				CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_NET_ADMIN),
			.memory_max_bytes = 256u << 20,
			.oom_score_adj = -997,
		},
};

const struct role *
role_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}
