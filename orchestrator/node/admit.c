/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admit: may this machine run a pod that is new to it? Pods that name their node themselves have met no
 * scheduler, and no scheduler looks at kernel parameters. A pod that is refused has failed for good.
 * Source: kubelet lifecycle/predicate.go, sysctl/allowlist.go (reasons and texts). */
#include "orchestrator/node/rules.h"

#include "orchestrator/schedule/match.h"

#include <stdio.h>

static bool
refuse(struct admit_no *no, const char *reason)
{
	snprintf(no->reason, sizeof(no->reason), "%s", reason);
	return false;
}

/* ---- kernel parameters ---- */

enum { SHARED_IPC, SHARED_NETWORK };

static const struct sysctl_row {
	const char *name;
	int shared; /* what a pod that shares it with the host may not set it for */
} sysctl_rows[] = {
	{"kernel.shm_rmid_forced", SHARED_IPC},
	{"net.ipv4.ip_local_port_range", SHARED_NETWORK},
	{"net.ipv4.tcp_syncookies", SHARED_NETWORK},
	{"net.ipv4.ping_group_range", SHARED_NETWORK},
	{"net.ipv4.ip_unprivileged_port_start", SHARED_NETWORK},
	{"net.ipv4.ip_local_reserved_ports", SHARED_NETWORK},
	{"net.ipv4.tcp_keepalive_time", SHARED_NETWORK},
	{"net.ipv4.tcp_fin_timeout", SHARED_NETWORK},
	{"net.ipv4.tcp_keepalive_intvl", SHARED_NETWORK},
	{"net.ipv4.tcp_keepalive_probes", SHARED_NETWORK},
	{"net.ipv4.tcp_rmem", SHARED_NETWORK},
	{"net.ipv4.tcp_wmem", SHARED_NETWORK},
	{"net.ipv4.tcp_slow_start_after_idle", SHARED_NETWORK},
	{"net.ipv4.tcp_notsent_lowat", SHARED_NETWORK},
};

static const struct sysctl_row *
sysctl_row(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctl_rows); i++)
		if (str_eq_c(name, sysctl_rows[i].name))
			return &sysctl_rows[i];
	return NULL;
}

static bool
sysctls_admit(const struct core_v1_pod_spec *s, struct admit_no *no)
{
	static const char *const kinds[] = {[SHARED_IPC] = "IPC", [SHARED_NETWORK] = "Network"};
	const struct core_v1_pod_security_context *sc = s->security_context;
	for (size_t i = 0; sc && i < sc->n_sysctls; i++) {
		struct str name = sc->sysctls[i].name;
		const struct sysctl_row *row = sysctl_row(name);
		bool shared = row && (row->shared == SHARED_IPC ? s->host_ipc : s->host_network);
		if (row && !shared)
			continue;
		if (shared)
			snprintf(no->message, sizeof(no->message),
				"forbidden sysctl: \"" STR_FMT
				"\" not allowed with host %s enabled",
				STR_ARG(name), kinds[row->shared]);
		else
			snprintf(no->message, sizeof(no->message),
				"forbidden sysctl: \"" STR_FMT "\" not allowlisted", STR_ARG(name));
		return refuse(no, "SysctlForbidden");
	}
	return true;
}

/* ---- room ---- */

static bool
room_admits(const struct core_v1_pod_spec *s, const struct admit_room *room, struct admit_no *no)
{
	const struct {
		const char *name, *reason;
		int64_t want, used, all;
	} rows[] = {
		{"pods", "OutOfpods", 1, room->used_pods, room->pods},
		{"cpu", "OutOfcpu", pod_request(s, "cpu"), room->used_cpu_milli, room->cpu_milli},
		{"memory", "OutOfmemory", pod_request(s, "memory") / 1000, room->used_memory_bytes,
			room->memory_bytes},
		{"ephemeral-storage", "OutOfephemeral-storage",
			pod_request(s, "ephemeral-storage") / 1000, room->used_disk_bytes,
			room->disk_bytes},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].want == 0 || rows[i].want <= rows[i].all - rows[i].used)
			continue;
		snprintf(no->message, sizeof(no->message),
			"Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: "
			"%lld",
			rows[i].name, (long long)rows[i].want, (long long)rows[i].used,
			(long long)rows[i].all);
		return refuse(no, rows[i].reason);
	}
	return true;
}

void
admit_use(struct admit_room *room, const struct core_v1_pod_spec *s)
{
	room->used_pods++;
	room->used_cpu_milli += pod_request(s, "cpu");
	room->used_memory_bytes += pod_request(s, "memory") / 1000;
	room->used_disk_bytes += pod_request(s, "ephemeral-storage") / 1000;
}

/* ---- what else the scheduler would have looked at ---- */

static bool
tolerates_node(const struct core_v1_pod_spec *s, const struct core_v1_node *n)
{
	for (size_t i = 0; i < n->spec.n_taints; i++)
		if (str_eq_c(n->spec.taints[i].effect, "NoExecute") &&
			!tolerates(s->tolerations, s->n_tolerations, &n->spec.taints[i]))
			return false;
	return true;
}

static bool
place_admits(const struct core_v1_pod_spec *s, const struct admit_room *room, struct admit_no *no)
{
	const struct {
		const char *name, *text;
		bool fails;
	} rows[] = {
		{"NodeAffinity", "node(s) didn't match Pod's node affinity/selector",
			room->node && !match_pod_node(s, room->node)},
		{"NodePorts", "node(s) didn't have free ports for the requested pod ports",
			room->port_taken},
		{"TaintToleration", "node(s) had taints that the pod didn't tolerate",
			room->node && !tolerates_node(s, room->node)},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].fails)
			continue;
		snprintf(no->message, sizeof(no->message), "Predicate %s failed: %s", rows[i].name,
			rows[i].text);
		return refuse(no, rows[i].name);
	}
	return true;
}

bool
pod_admit(const struct core_v1_pod_spec *s, const struct admit_room *room, struct admit_no *no)
{
	return room_admits(s, room, no) && place_admits(s, room, no) && sysctls_admit(s, no);
}
