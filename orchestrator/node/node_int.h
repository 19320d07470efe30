/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node_int: what the files of this folder share: the node, its pods and their containers.
 *
 * Life of a struct pod: made when the API (or a sandbox found at the start) names it, freed by pod_free_if_done
 * when it is gone from the API, nothing of it is left on this machine, and no operation is under way
 * (pod.ops). Every asynchronous operation raises ops and ends in pod_op_end, which syncs the pod again:
 * pod_sync looks at what is and starts what is missing, so it may be called at any time. */
#ifndef ORCHESTRATOR_NODE_INT_H
#define ORCHESTRATOR_NODE_INT_H

#include "base/hash.h"
#include "base/init_proto.h"
#include "base/log.h"
#include "netstack/http/http.h"
#include "netstack/podnet/podnet.h"
#include "orchestrator/client/client.h"
#include "orchestrator/machine/machine.h"
#include "orchestrator/node/rules.h"

#include <stdio.h>
#include <stdlib.h>

#define NODE_VERSION "v1.37.2"
#define NODE_PORT 10250
#define NODE_PATH 512

struct addresses;
struct local_volumes;
struct join;
struct serve;
struct nodenet;
struct object_watch;
struct pod_cert;
struct pod;
struct ctr;
struct action;

/* What the machine is: facts.c; ips and uplink: addresses.c. */
struct node_facts {
	int64_t cpus, memory_bytes, disk_bytes, pods;
	struct node_huge {
		const char *name; /* as in "hugepages-2Mi"; NULL: the kernel has no such pages */
		int64_t bytes, n;
	} huge[2];
	struct ip_addr ips[2]; /* one of each family, IPv4 first */
	size_t n_ips;
	char uplink[16];
	char machine_id[33], boot_id[37], system_uuid[37], kernel[65];
};

/* What pods wait for, when others are before them. */
enum pod_queue {
	QUEUE_TURN,   /* to be started */
	QUEUE_STATUS, /* to be told of */
	QUEUE__COUNT
};

struct node {
	struct loop *loop;
	const struct machine_config *cfg;
	struct str name;
	char dir[200]; /* state of this folder: credentials, volumes */
	char run[200]; /* files of pods that a reboot may lose */
	struct node_facts facts;
	struct http_client *http;
	struct tls_ctx *probe_tls; /* any certificate will do */
	struct runtime *rt;
	struct podnet *net;
	struct addresses *addresses;
	struct join *join;
	struct client *api; /* NULL until the node has credentials */
	struct informer *pod_informer, *services, *self;
	struct informer *bundles,
		*requests; /* bundles.c, pod_certificates.c; NULL until a pod needs them */
	struct map pods;   /* uid -> struct pod */
	struct pod *queues[QUEUE__COUNT]; /* pod_start.c */
	unsigned turns, patching;         /* pods being started, being told of */
	struct map objects;               /* "secrets/ns/name" -> struct object_watch */
	struct init_socket listener;      /* of the node API; fd -1 = not open yet */
	struct serve *serve;
	struct nodenet *nodenet;
	struct local_volumes *local_volumes;
	/* register.c */
	struct loop_timer beat, status_timer;
	struct loop_work status_work;
	struct client_call *beat_call, *status_call;
	char uid[64];
	bool registered, start_told, status_busy, status_again;
	struct buf status_sent;
	int64_t status_at_ns;
	struct loop_timer evict_timer, image_gc_timer;
	int64_t cond_since_ns[4];
	signed char cond_is[4]; /* -1 unknown */
};

/* ---- pods ---- */

enum ctr_kind { CTR_INIT, CTR_MAIN, CTR_EPHEMERAL };
enum ctr_op { CTR_IDLE, CTR_PULLING, CTR_CREATING, CTR_STARTING, CTR_HOOK, CTR_STOPPING };

struct probe {
	struct ctr *ctr;
	enum probe_kind kind;
	struct probe_count count;
	struct loop_timer timer;
	struct action *run;
	bool armed;
};

/* The end of an earlier run. */
struct ctr_last {
	bool has;
	char id[RUNTIME_ID_LEN + 1];
	int exit_code, signal;
	char reason[40], message[4097];
	int64_t started_ns, finished_ns;
};

struct ctr {
	struct pod *pod;
	struct ctr *next; /* of the ephemeral ones */
	char *name;
	enum ctr_kind kind;
	enum ctr_op op;
	char id[RUNTIME_ID_LEN + 1];  /* of the newest run; "" = none */
	char old[RUNTIME_ID_LEN + 1]; /* of the one before, kept for its log */
	uint32_t attempt;             /* of the next run */
	struct ctr_last last;         /* the run before the newest */
	char message[4097];           /* termination message of the newest */
	bool message_read;
	char reason[40]; /* why it waits; "" = "ContainerCreating" or "PodInitializing" */
	char detail[1024];
	int64_t restart_delay_ns;
	size_t pull_at; /* which of its images; 0 = its own */
	struct backoff pull;
	char pull_image[600], pull_failed[512]; /* what pull is about */
	bool backoff_told;                      /* the BackOff event of the newest end */
	int64_t retry_ns;                       /* after a failed creation: not before; monotonic */
	struct runtime_pull *pulling;
	void *pulling_arg;
	char image_id[80];
	char *applied; /* resources of the newest run, as the status tells them; NULL: unknown */
	bool resize_restart; /* it gets what is allocated by a restart */
	bool started, ready, hook_ran;
	bool kill;  /* to be ended */
	bool again; /* and then started again whatever its exit code */
	char kill_why[300];
	int64_t kill_grace_ns;
	struct probe probes[PROBE__COUNT];
	struct action *action; /* the hook at work */
	int64_t stop_by_ns;    /* when the grace ends */
	bool ending;           /* the runtime has been told */
};

/* What stands in the way of other resources. */
enum pod_resize {
	RESIZE_NONE,
	RESIZE_DEFERRED,   /* others have what it asks for */
	RESIZE_INFEASIBLE, /* more than the machine has */
	RESIZE_UNDER_WAY,
	RESIZE_FAILED
};

struct pod_cond {
	const char *type;
	bool is;
	int64_t since_ns;
};
enum { COND_SANDBOX, COND_INITIALIZED, COND_READY, COND_CONTAINERS, COND_SCHEDULED, COND__COUNT };

/* Steps of a start, in the order in which they mostly end. */
enum pod_mark {
	MARK_SEEN,
	MARK_BEGUN,
	MARK_SANDBOX,
	MARK_VOLUMES,
	MARK_NETWORK,
	MARK_CREATED,
	MARK_STARTED,
	MARK_SENT,
	MARK_TOLD,
	MARK__COUNT
};

struct pod {
	struct node *node;
	const struct informer_obj
		*ref;                /* latest object; NULL: the API never told of it (left over) */
	const struct core_v1_pod *o; /* of ref */
	const struct informer_obj *alloc; /* whose resources it is given; NULL: not looked at yet */
	int64_t generation;               /* of the object that was acted on last */
	char *uid, *ns, *name;
	struct ctr *ctrs; /* init, then main ones */
	size_t n_ctrs;
	struct ctr *ephemerals; /* in the order in which they came */
	unsigned ops;
	struct loop_work work;
	struct loop_timer wake;
	/* what is */
	char sandbox[RUNTIME_ID_LEN + 1];
	uint32_t sandbox_attempt;
	bool sandbox_busy, net_up, ports_open, volumes_busy, volumes_ready, sandbox_down, cleaned,
		cleaning;
	bool volumes_gone; /* of one that has ended */
	bool volumes_stale, files_ready;
	struct backoff setup; /* of sandbox and volumes */
	struct ip_addr ips[2];
	size_t n_ips;
	struct object_watch **objects;
	size_t n_objects;
	struct loop_timer token_timer;
	struct token *tokens;
	struct pod_cert *certs;
	/* what is to be */
	bool gone;     /* deleted in the API */
	bool stopping; /* deletion, deadline or finish: nothing is started any more */
	bool finished; /* phase is final */
	bool removing; /* the last word on it is said: all that is left of it goes, then the object */
	char end_reason[40],
		end_message[300];       /* Failed for a reason of its own (DeadlineExceeded) */
	int64_t stop_by_ns, started_ns; /* started: status.startTime, wall */
	/* resize.c */
	enum pod_resize resize, resize_told;
	bool resize_pod; /* its cgroup is to be set */
	char resize_message[512];
	int64_t resize_since_ns;
	/* status */
	struct pod_cond conds[COND__COUNT];
	const char *phase;
	struct buf sent;
	bool patching, patch_again, deleting;
	/* start */
	struct pod *next[QUEUE__COUNT];
	bool queued[QUEUE__COUNT], turn;
	struct loop_timer turn_timer;
	int64_t marks[MARK__COUNT]; /* monotonic; 0 = not yet */
	uint64_t told_rv;           /* of the object as the last patch left it */
	struct loop_timer patch_timer;
};

/* pods.c */
int pods_start(struct node *n);
void pod_sync_later(struct pod *p);
void pod_wake_in(struct pod *p, int64_t delay_ns); /* the earliest of several wins */
void pod_op_begin(struct pod *p);
void pod_op_end(struct pod *p);
/* pod_room: what the machine has, and what the other pods on it are given. */
void pod_room(const struct pod *p, struct admit_room *ret);
struct pod *pod_find(struct node *n, struct str ns, struct str name);
struct ctr *pod_ctr(struct pod *p, struct str name);
void pods_on_runtime(void *arg, const struct runtime_event *ev);
void pods_network_ready(struct node *n);
void pods_addresses_changed(struct node *n);                   /* of the node */
const struct core_v1_container *ctr_spec(const struct ctr *c); /* NULL: no longer in the pod */
bool ctr_is_sidecar(const struct ctr *c);
/* ctr_adopt: takes over what an earlier process made of it in the sandbox. ctr_release: what it owns. */
void ctr_adopt(struct ctr *c, struct str sandbox);
void ctr_release(struct ctr *c);
/* ctr_state: the newest run; false = there is none. */
bool ctr_state(const struct ctr *c, struct runtime_container *ret);
bool ctr_running(const struct ctr *c);
/* ctr_log_run: the run whose log is meant: the newest, or the last that ended. false = there is none. */
bool ctr_log_run(const struct ctr *c, bool previous, struct runtime_container *ret);
void ctr_last_set(struct ctr_last *l, const struct runtime_container *rc, const char *message);
void pod_event(struct pod *p, const struct ctr *c, const char *type, const char *reason,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void pod_log_dir(const struct pod *p, char out[NODE_PATH]);
struct str pod_hostname(const struct pod *p);
void pod_take_host_ips(struct pod *p); /* a pod in the node's network has the node's addresses */

/* pod_sync.c */
void pod_sync(struct pod *p);
void hostports_open(
	struct pod *p); /* of a pod with addresses; p->ports_open tells that it was done */
/* pod_net_release: host ports closed, network given back; of a pod without any a success. */
void pod_net_release(struct pod *p);
void ctr_wait(struct ctr *c, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ctr_image_ready(struct ctr *c); /* from pull.c */
/* pod_start.c */
/* pod_turn_take: may something of it be made now? false: it is synced again when its turn has come. pod_turn_look:
 * gives the turn back when nothing is under way; at the end of each sync. pod_turn_awaited: nothing has begun yet. */
bool pod_turn_take(struct pod *p);
void pod_turn_look(struct pod *p);
bool pod_turn_awaited(const struct pod *p);
/* pod_queue_put: once, at the end or in front. pod_queue_take: the first one out of it, NULL = none. */
void pod_queue_put(struct pod *p, enum pod_queue k, bool front);
struct pod *pod_queue_take(struct node *n, enum pod_queue k);
void pod_queue_drop(struct pod *p, enum pod_queue k);
/* pod_mark: the step has ended now, if it did not before. pod_marks_tell: all of them, to the log. */
void pod_mark(struct pod *p, enum pod_mark m);
void pod_marks_tell(struct pod *p);
/* resize.c */
/* pod_allocated: a description of the pod that has the resources it is given. ctr_resources: a container's of it. */
const struct core_v1_pod_spec *pod_allocated(const struct pod *p);
const struct core_v1_resource_requirements *ctr_resources(const struct ctr *c);
/* ctr_applied: r is what the newest run has. */
void ctr_applied(struct ctr *c, const struct core_v1_resource_requirements *r);
/* resize_look: are the resources that are asked for given? resize_apply: what is given becomes what runs have. */
void resize_look(struct pod *p);
void resize_apply(struct pod *p);
/* resize_restarts: does a change from `was` to what the description says restart the container? */
bool resize_restarts(
	const struct core_v1_container *s, const struct core_v1_resource_requirements *was);
void resize_put_conds(
	struct buf *b, struct pod *p); /* further conditions, each with a comma before it */
/* ephemeral.c */
/* ephemerals_take: those that the object names and that are not known yet. */
void ephemerals_take(struct pod *p);
void ephemerals_sync(struct pod *p);                   /* starts those that never ran */
bool ephemerals_stop(struct pod *p, int64_t grace_ns); /* true: none runs */
void ephemerals_free(struct pod *p);
/* ephemeral_target: the run whose processes c is to see; ret stays as it is when c names none, or is none of these. */
int ephemeral_target(const struct ctr *c, struct str *ret_id, struct err *e);
/* ephemeral_spec: the i-th one's description, as a container's; borrowed. */
const struct core_v1_container *ephemeral_spec(const struct core_v1_pod_spec *s, size_t i);
/* pod_spec.c */
void ctr_create(struct ctr *c);
/* pod_files_write: hosts, resolv.conf, hostname; once the addresses are known. 0 or -errno. */
int pod_files_write(struct pod *p);
void ctr_termination_path(const struct ctr *c, uint32_t attempt, char out[NODE_PATH]);
/* pod_stop.c */
/* pod_evict: it is ended within grace_ns and Failed, reason Evicted; the text is its message and event. */
void pod_evict(struct pod *p, int64_t grace_ns, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* pod_stop: one step towards nothing being there; true when nothing is. */
bool pod_stop(struct pod *p);
void ctr_stop(struct ctr *c, int64_t grace_ns);
/* pod_status.c */
void pod_status_update(struct pod *p);
void pod_status_start(struct pod *p); /* takes over what an earlier process had written */
/* pod_status_seen: a new object came: when others changed what is said here, it is said again. */
void pod_status_seen(struct pod *p);
const char *ctr_waiting_reason(const struct ctr *c); /* of state.waiting; borrowed */
bool pod_status_settled(const struct pod *p);        /* the API knows all */

/* objects.c: ConfigMaps, Secrets and claims that pods refer to, kept by a watch each. */
enum object_kind { OBJECT_CONFIGMAP, OBJECT_SECRET, OBJECT_CLAIM, OBJECT_VOLUME };
/* object_want: pod p needs it from now on. object_get: NULL = not there (or not known yet: *ret_synced). */
int object_want(struct pod *p, enum object_kind k, struct str name);
const void *object_get(struct pod *p, enum object_kind k, struct str name, bool *ret_synced);
void objects_release(struct pod *p);
void pod_objects_want(struct pod *p); /* all that its description names */
bool pod_objects_synced(struct pod *p);

/* bundles.c */
/* bundles_ready: is it known which ClusterTrustBundles there are, or does the pod name none? false: it is synced
 * again when it is. bundle_read: PEM of what a source names; arena. -ENOENT: there is nothing (e as upstream). */
bool bundles_ready(struct pod *p);
int bundle_read(struct pod *p, const struct core_v1_cluster_trust_bundle_projection *s,
	struct arena *a, struct str *ret, struct err *e);
/* pod_certificates.c */
/* pod_certificates_want: begins to get what the pod's volumes name. pod_certificate_get: PEM of the key and its chain;
 * borrowed until the loop's next turn, secret. -EAGAIN on its way, -EBUSY the same for some time already (e),
 * -EACCES denied or failed for good (e). */
void pod_certificates_want(struct pod *p);
int pod_certificate_get(struct pod *p, struct str volume, size_t source, struct str *ret_key,
	struct str *ret_chain, struct err *e);
void pod_certificates_free(struct pod *p);

/* env.c */
struct env_out {
	struct str *v; /* "K=V" */
	size_t n;
	struct map *by_name; /* name -> struct str *, for $(VAR) */
};
/* env_build: the variables of c. arena. -ENOENT (e: CreateContainerConfigError text). */
int env_build(struct ctr *c, const struct core_v1_container *s, struct arena *a,
	struct env_out *ret, struct err *e);
struct str env_lookup(void *env_out, struct str name);
/* field_value: downward API: "metadata.name", "status.podIP" ... arena. -EINVAL. */
int field_value(struct pod *p, struct str path, struct arena *a, struct str *ret, struct err *e);
int resource_value(struct pod *p, const struct core_v1_resource_field_selector *f, struct str own,
	struct arena *a, struct str *ret, struct err *e);

/* volumes.c */
void pod_volumes_setup(struct pod *p); /* volumes_ready, or setup back-off, when it ends */
void pod_volumes_free(struct pod *p);
/* pod_volume_at: where a volume is on this machine; false = unknown. */
struct volume_at {
	char dir[NODE_PATH];
	struct str image; /* instead of dir: a reference */
	bool read_only;   /* for every container */
};
bool pod_volume_at(struct pod *p, struct str name, struct volume_at *ret);

/* local_volumes.c */
int local_volumes_start(struct node *n);
void local_volumes_look(struct node *n); /* a pod may have let go of one */

/* pull.c */
void ctr_pull(struct ctr *c);
void ctr_pull_cancel(struct ctr *c);

/* action.c: what probes and hooks do. done runs once, never within action_start, unless cancelled. */
typedef void action_done_fn(void *arg, bool ok, const char *text);
struct action_spec {
	const struct core_v1_exec_action *exec;
	const struct core_v1_http_get_action *http;
	const struct core_v1_tcp_socket_action *tcp;
	const struct core_v1_sleep_action *sleep;
	int64_t timeout_ns;
	bool hook;                              /* any answer of HTTP is enough */
	const struct core_v1_grpc_action *grpc; /* of a probe */
};
int action_start(struct ctr *c, const struct action_spec *s, action_done_fn *done, void *arg,
	struct action **ret);
void action_cancel(struct action *x);

/* probe.c */
void probes_start(struct ctr *c);
/* probes_quiet: it is being ended: only its readiness is still looked at. */
void probes_quiet(struct ctr *c);
void probes_stop(struct ctr *c);

/* evict.c */
void evict_start(struct node *n);

/* image_gc.c */
void image_gc_start(struct node *n);

/* join.c */
int join_start(struct node *n, void (*ready)(struct node *n), struct err *e);
void join_serving(struct node *n);
/* join_addresses_changed: the serving certificate is asked for again, with the new ones. */
void join_addresses_changed(struct node *n);
/* addresses.c */
/* addresses_start: reads them and keeps watching. Errors: -EADDRNOTAVAIL: there is none; -errno of netlink. */
int addresses_start(struct node *n, struct err *e);
void addresses_stop(struct node *n);
/* node.c */
/* host_lookup: addresses of a name by the system's resolver; blocks. Number found, or -EAGAIN, -ENOENT. */
int host_lookup(const char *host, struct ip_addr *ret, size_t max);
/* facts.c */
void facts_read(struct node *n);
/* Below these, memory and disk count as short. */
#define MEMORY_SHORT_BYTES (100LL << 20)
#define DISK_SHORT_PART 10 /* a tenth */
/* facts_memory_for_pods, facts_disk_for_pods: bytes that pods may have: all but what makes them short, and huge
 * pages, which are taken out of memory. */
static inline int64_t
facts_memory_for_pods(const struct node_facts *f)
{
	int64_t memory = f->memory_bytes - MEMORY_SHORT_BYTES;
	for (size_t i = 0; i < ARRAY_LEN(f->huge); i++)
		memory -= f->huge[i].n * f->huge[i].bytes;
	return memory > 0 ? memory : 0;
}
static inline int64_t
facts_disk_for_pods(const struct node_facts *f)
{
	return f->disk_bytes - f->disk_bytes / DISK_SHORT_PART;
}
int64_t facts_memory_available(void);
/* register.c */
void register_start(struct node *n);
void register_status_later(struct node *n);
/* node_event: an event of the Node; its text is the format's. */
void node_event(struct node *n, const char *type, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* serve.c */
int serve_start(struct node *n, struct str cert_pem, struct str key_pem, struct err *e);
/* stream.c: from serve.c, authorized. */
void serve_exec(struct node *n, struct http_req *r, struct str container_id, bool attach);
void serve_logs(struct node *n, struct http_req *r, struct pod *p, struct ctr *c);
void serve_port_forward(struct node *n, struct http_req *r, struct pod *p);

#endif
