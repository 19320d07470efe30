/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules: what the kubelet decides, as pure functions: service class, limits, back-off, probes, phases,
 * variables, and the files of a pod. No I/O, no clock of its own: times come in.
 * Source: Kubernetes kubelet (behaviour); pod lifecycle and DNS documentation of Kubernetes. */
#ifndef ORCHESTRATOR_NODE_RULES_H
#define ORCHESTRATOR_NODE_RULES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "orchestrator/runtime/runtime.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"

/* ---- resources ---- */
const char *qos_name(enum runtime_qos q); /* "Guaranteed"; static */
enum runtime_qos pod_qos(const struct core_v1_pod_spec *s);
/* resource_milli / resource_units: value of a row such as "cpu" or "memory"; absent = -1. */
int64_t resource_milli(const struct str_pair *v, size_t n, const char *name);
int64_t resource_units(const struct str_pair *v, size_t n, const char *name);
/* container_limits: cgroup values of one container; pod_limits: of the pod's cgroup. */
struct runtime_limits container_limits(const struct core_v1_container *c);
struct runtime_limits pod_limits(const struct core_v1_pod_spec *s);
/* memory_volume_bytes: how large an emptyDir of medium Memory is: what the pod or the machine may have of
 * memory, and no more than its sizeLimit (0 = none). */
int64_t memory_volume_bytes(
	const struct core_v1_pod_spec *s, int64_t limit_bytes, int64_t node_bytes);
/* pod_fs_user: the user all containers run as by their description; -1 = none, or several. */
int64_t pod_fs_user(const struct core_v1_pod_spec *s);
/* token_renew_at: when a token got now is to be asked for anew: at 80 % of its life, after a day at most. */
int64_t token_renew_at(int64_t now_ns, int64_t until_ns);
/* pod_request: what the scheduler counts for a pod, in thousandths: cpu, or memory, or ephemeral-storage. */
int64_t pod_request(const struct core_v1_pod_spec *s, const char *name);
/* empty_dir_limit: bytes an emptyDir on the disk may have; 0 = no limit, or not such a volume. */
int64_t empty_dir_limit(const struct core_v1_volume *v);
/* pod_is_critical: the node goes on with it whatever it uses. */
bool pod_is_critical(const struct core_v1_pod_spec *s);
/* oom_score: -997 Guaranteed, 1000 BestEffort, between them by the requested share of memory. */
int oom_score(
	const struct core_v1_pod_spec *s, const struct core_v1_container *c, int64_t node_bytes);

/* ---- admission: admit.c ---- */
struct admit_room {
	int64_t cpu_milli, memory_bytes, disk_bytes, pods; /* what pods may have of the machine */
	int64_t used_cpu_milli, used_memory_bytes, used_disk_bytes, used_pods;
	bool port_taken;                 /* another pod has a host port that this one wants */
	const struct core_v1_node *node; /* labels and taints; NULL: not known yet, not looked at */
};
/* Why not: status.reason ("OutOfcpu"), and the text. */
struct admit_no {
	char reason[40], message[250];
};
void admit_use(struct admit_room *room, const struct core_v1_pod_spec *s); /* a pod that is there */
/* pod_admit: false = the pod is refused; *no says why (untouched otherwise). */
bool pod_admit(
	const struct core_v1_pod_spec *s, const struct admit_room *room, struct admit_no *no);

/* ---- back-off ---- */
struct backoff {
	int64_t delay_ns; /* of the next wait; 0 = none yet */
	int64_t until_ns; /* not before */
};
#define BACKOFF_BASE_NS (10 * NS_PER_SEC)
#define BACKOFF_MAX_NS (300 * NS_PER_SEC)
#define BACKOFF_RESET_NS (600 * NS_PER_SEC)
/* backoff_fail: something failed now: waits 10 s, 20 s ... 300 s. backoff_left: how long still, 0 = go. */
void backoff_fail(struct backoff *b, int64_t now_ns);
int64_t backoff_left(const struct backoff *b, int64_t now_ns);

/* ---- probes ---- */
enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE__COUNT };
struct probe_count {
	int run;    /* results of one kind in a row */
	bool last;  /* that kind */
	bool value; /* what the container is taken for */
};
enum probe_verdict { PROBE_SAME, PROBE_UP, PROBE_DOWN };
/* probe_count_init: readiness and startup begin as false, liveness as true. */
void probe_count_init(struct probe_count *p, enum probe_kind k);
/* probe_count_add: a result; PROBE_UP / _DOWN when a threshold is reached (liveness and startup: DOWN each
 * time it is reached, since the container is to be ended). */
enum probe_verdict probe_count_add(
	struct probe_count *p, bool ok, int32_t success_threshold, int32_t failure_threshold);

/* probe_text: why a connection failed, as users know it: `Get "http://10.0.0.1:80/": dial tcp 10.0.0.1:80:
 * connect: connection refused`. url NULL: of a TCP probe. */
void probe_text(char *out, size_t size, const char *url, const struct ip_addr *ip, uint16_t port,
	const struct err *e);

/* ---- variables ---- */
typedef struct str var_lookup_fn(void *arg, struct str name); /* STR_NONE = unknown */
/* var_expand: $(NAME) by lookup, unknown ones stay, $$ is one $. arena. */
struct str var_expand(struct arena *a, struct str s, var_lookup_fn *lookup, void *arg);
/* sub_path_check: a path below a volume, as expanded: relative, and never upwards. -EINVAL. */
int sub_path_check(struct str sub, struct err *e);
/* service_env_name: "my-svc" -> "MY_SVC". arena. */
struct str service_env_name(struct arena *a, struct str name);

/* pairs_same: do two lists of labels or annotations say the same in the same order? */
bool pairs_same(const struct str_pair *a, size_t n_a, const struct str_pair *b, size_t n_b);

/* ---- files ---- */
void hosts_write(struct buf *b, const struct core_v1_pod_spec *s, struct str hostname,
	struct str fqdn, const struct ip_addr *ips, size_t n_ips);
/* hosts_write_node: of a pod in the node's network; host = content of the machine's own file. */
void hosts_write_node(struct buf *b, const struct core_v1_pod_spec *s, struct str host);
/* resolv_write: host = content of the machine's own resolv.conf. */
void resolv_write(struct buf *b, const struct core_v1_pod_spec *s, struct str ns, struct str domain,
	const struct ip_addr *dns, size_t n_dns, struct str host);

/* ---- phase ---- */
struct phase_in {
	bool restarts; /* runs again on its own (sidecar) */
	bool init;
	bool created; /* has existed */
	bool running, exited;
	bool again; /* ended in order to be started again */
	int exit_code;
};
/* pod_phase: "Pending", "Running", "Succeeded", "Failed"; static. restart_policy as in the spec. terminating:
 * nothing will be started any more. */
const char *pod_phase(
	const struct phase_in *v, size_t n, struct str restart_policy, bool terminating);
/* condition_lost: does the API hold another value of a condition than the one that stands here? */
bool condition_lost(const struct core_v1_pod_status *s, struct str type, bool is);
/* kill_restarts: is a container that failed a probe started again, even when it ends with 0? */
bool kill_restarts(struct str policy, bool sidecar);
/* restart_wanted: is an ended container to be started again? */
bool restart_wanted(struct str policy, bool sidecar, bool init, int exit_code);

#endif
