/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * runtime: the front door of the container runtime: images, pod sandboxes, containers, logs, exec.
 * Its one caller is orchestrator/node (the kubelet). It knows no Kubernetes object: plain descriptions
 * in, plain status out.
 *
 * Flow of a pod:   image_pull -> sandbox_create -> (caller configures the network inside the netns)
 *                  -> container_create -> container_start -> event EXITED -> container_remove
 *                  -> sandbox_stop -> (caller takes the network down) -> sandbox_remove.
 *
 * Rules that hold for every function here:
 *  - One loop. All functions are called on it (LOOP_ASSERT) and all callbacks run on it, never before
 *    the function that was given them has returned. Work that may block runs by loop_blocking.
 *  - `done` is called exactly once unless the function itself returned an error; its `e` is NULL on
 *    success, borrowed otherwise. Descriptions (specs) are copied; the caller's memory is free again
 *    when the function returns.
 *  - Sandboxes and containers are named by id (64 lower-case hex digits). Borrowed views
 *    (runtime_container_get ...) are valid until the next turn of the loop.
 *  - Containers are children of PID 1 (or of the subreaper that holds the other end of init_fd), which
 *    also keeps their log pipes and namespaces: this process may be killed at any moment, and
 *    runtime_recover() of the next one finds everything as it was.
 * What the host must offer: cgroup v2 with cpu, memory, pids (io, cpuset when present); a root mount
 * that is shared (mount --make-rshared /) when mount propagation is wanted; Linux >= 6.8
 * (overlayfs lowerdir+, clone3, openat2, cgroup.kill). PID 1 keeps 3 descriptors a sandbox and up to 4
 * a container for us. Source: OCI runtime-spec 1.2, CRI v1 for the semantics; architecture.md 3, 12. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "base/arena.h"
#include "base/err.h"
#include "base/init_proto.h"
#include "base/loop.h"

#include <sys/types.h>

struct http_client;
struct runtime;

#define RUNTIME_ID_LEN 64
#define RUNTIME_DATA_MAX 65536 /* opaque bytes a caller may keep with a sandbox or container */
#define RUNTIME_MAX_MOUNTS 512
#define RUNTIME_MAX_ARGS_BYTES (1 << 20) /* args + env, as execve has it */

/* The general completion. */
typedef void runtime_done_fn(void *arg, const struct err *e);

/* ---- configuration ------------------------------------------------------------------------ */

/* One registry host as it stands in an image reference ("docker.io", "10.0.0.1:5000"; "*" = every host without
 * a row of its own), and where its content is really fetched. Endpoints are tried in order. */
struct runtime_registry_endpoint {
	struct str host;   /* host[:port] to connect to */
	struct str path;   /* prefix in front of "/v2/", mostly "" */
	bool plain_http;   /* http instead of https */
	bool skip_verify;  /* https, but any certificate will do */
	struct str ca_pem; /* trusted roots, PEM; "" = those of runtime_config.ca_pem */
};
struct runtime_registry {
	struct str host;
	const struct runtime_registry_endpoint *endpoints;
	size_t n_endpoints; /* 0 = the host itself over https */
};

enum runtime_event_type {
	RUNTIME_EVENT_EXITED, /* the container's first process has ended and its log is complete */
	RUNTIME_EVENT_OOM, /* the kernel killed a process of a container for memory (it may live on) */
};
struct runtime_event {
	enum runtime_event_type type;
	struct str sandbox_id, container_id;
};

struct runtime_config {
	struct str data_dir; /* on disk: images, container layers, state; "/data/runtime" */
	struct str run_dir;  /* tmpfs, lost at reboot: shm, mount points; "/run/keelson/runtime" */
	struct str cgroup_mount;  /* where cgroup v2 is mounted; "/sys/fs/cgroup" */
	struct str cgroup_parent; /* below it, made when missing; "kubepods" */
	/* true: limits of controllers this kernel does not offer are ignored (an ordinary Linux with
	 * cgroup v1); false: a container that asks for them fails to start. */
	bool allow_missing_controllers;
	int init_fd; /* socket to PID 1 (INIT_FD) */
	/* argv of this executable that ends in runtime_pod_init_main(): PID 1 of pods with
	 * share_pid. {"/proc/self/exe", "pod-init", NULL}; kept (static). */
	const char *const *pod_init_argv;
	struct str seccomp_dir; /* localhost seccomp profiles; "" = none */
	struct str ca_pem;      /* roots for registries without their own, PEM */
	const struct runtime_registry *registries;
	size_t n_registries;
	unsigned max_parallel_pulls; /* layer downloads at a time; 0 = 4 */
	/* The role's HTTP client (same loop, with its resolver), kept until runtime_free; NULL: no pulls. */
	struct http_client *http;
	/* Events; may be NULL. Not called for anything the caller itself removed. */
	void (*on_event)(void *arg, const struct runtime_event *ev);
	void *arg;
};

/* runtime_new: opens data_dir and run_dir (made when missing), enables cgroup controllers, reads the
 * image index. Starts nothing. Returns owned.
 * Errors: -ENOMEM, -ENOTSOCK (init_fd), -errno of the directories; e says which. */
int runtime_new(
	struct loop *l, const struct runtime_config *cfg, struct runtime **ret, struct err *e);
/* runtime_recover: once, right after runtime_new and before any other call: takes the descriptors
 * back from PID 1, reads the state files, asks for the exit records of what ended meanwhile
 * (their EXITED events come later, from the loop), throws away what was half made. Containers of an earlier boot become
 * EXITED with reason "Unknown", code 255. Blocks at most a few ms per 100 containers.
 * Errors: -ETIMEDOUT PID 1 does not answer, -errno; what could be recovered is there nevertheless. */
int runtime_recover(struct runtime *rt, struct err *e);
/* runtime_free: lets go of everything and stops nothing: containers run on. No callback comes after. Must not be
 * called from within a callback of this module. */
void runtime_free(struct runtime *rt);
/* runtime_init: the connection to PID 1, borrowed (init_ready, init_power). Exits that belong to no
 * container or exec go nowhere. */
struct init_client *runtime_init(struct runtime *rt);
/* runtime_info: facts for node status. */
struct runtime_info {
	const char *name; /* "keelson" */
	struct str version;
	bool cpu, memory, pids, cpuset, io, hugetlb; /* controllers that are there */
};
struct runtime_info runtime_info(struct runtime *rt);
/* runtime_pod_init_main: main of the process that config.pod_init_argv starts: PID 1 of a shared process
 * namespace: reaps, ends at SIGTERM. Never returns. */
_Noreturn void runtime_pod_init_main(void);

/* ---- images ------------------------------------------------------------------------------- */

/* What a container needs to know of its image's configuration; borrowed views of the store. */
struct runtime_image {
	struct str id;               /* "sha256:<hex>" of the configuration */
	const struct str *repo_tags; /* "docker.io/library/busybox:1.36" */
	size_t n_repo_tags;
	const struct str *repo_digests; /* "docker.io/library/busybox@sha256:..." */
	size_t n_repo_digests;
	uint64_t size_bytes; /* on disk, shared layers counted fully */
	int64_t pulled_ns;   /* wall */
	int64_t used_ns;     /* a container was last created from it; wall */
	bool in_use;         /* a container exists */
	bool pinned;
	struct str user; /* "", "1000", "1000:1000", "nginx", "nginx:nginx" */
	const struct str *entrypoint, *cmd, *env; /* env as "K=V" */
	size_t n_entrypoint, n_cmd, n_env;
	struct str workdir;
	struct str stop_signal;    /* "" or "SIGQUIT" */
	const struct str *volumes; /* paths the image declares */
	size_t n_volumes;
};

/* runtime_image_ref_normalize: "busybox" -> "docker.io/library/busybox:latest" (digest references stay).
 * arena. Errors: -EINVAL, e: "invalid reference format" and alike. Source: distribution/reference. */
int runtime_image_ref_normalize(struct arena *a, struct str ref, struct str *ret, struct err *e);

/* runtime_image_find: by reference (any form) or id. The view is arena. 0 or -ENOENT, -EINVAL. */
int runtime_image_find(
	struct runtime *rt, struct str ref, struct arena *a, struct runtime_image *ret);
/* runtime_image_list: all, oldest pull first. arena. */
int runtime_image_list(
	struct runtime *rt, struct arena *a, struct runtime_image **ret, size_t *ret_n);

struct runtime_pull;
struct runtime_pull_spec {
	struct str ref;
	/* Contents of .dockerconfigjson (and legacy .dockercfg) Secrets, tried in order where they name the
	 * registry; then without credentials. */
	const struct str *docker_configs;
	size_t n_docker_configs;
};
/* runtime_image_pull: fetch, verify, unpack. Pulls of the same content share the work; a pull that was
 * cut continues where it was. Is not a question of policy: it asks the registry also when the image is present.
 * done(arg, image_id, size_bytes, e): id "sha256:..." borrowed; e->code on failure: -EACCES credentials
 * refused, -ENOENT no such image, -EBADMSG digest or format, -ENOSPC, -ETIMEDOUT, others; texts are
 * those users know from kubectl describe ("failed to pull and unpack image ...: not found").
 * Returns 0 and the handle (borrowed until done), -EINVAL (e) bad reference, -ENOMEM. */
int runtime_image_pull(struct runtime *rt, const struct runtime_pull_spec *spec,
	void (*done)(void *arg, struct str image_id, uint64_t size_bytes, const struct err *e),
	void *arg, struct runtime_pull **ret, struct err *e);
/* runtime_image_pull_cancel: done will not be called; partial downloads stay for the next try. */
void runtime_image_pull_cancel(struct runtime_pull *p);
/* runtime_image_open_to: may the image that is here by this name be used without a question to its registry?
 * Yes when it was not pulled, or was got from that repository without credentials or with some of these. Only
 * sums of credentials are kept. Source: KEP-2535 (policy NeverVerifyPreloadedImages). */
bool runtime_image_open_to(struct runtime *rt, const struct runtime_pull_spec *spec);
/* runtime_image_remove: by reference (only that name goes while others remain) or id (all names).
 * Layers no other image needs are removed from disk before done. done's e: -ENOENT, -EBUSY in use. */
int runtime_image_remove(struct runtime *rt, struct str ref, runtime_done_fn *done, void *arg);
/* runtime_image_pin: never offered to garbage collection. 0, -ENOENT. */
int runtime_image_pin(struct runtime *rt, struct str ref, bool pinned);
/* runtime_image_import: unpack an OCI image layout or docker-save tar file from disk (images baked into
 * the node image). The names come from its annotations / repositories. As pull otherwise. */
int runtime_image_import(struct runtime *rt, struct str path,
	void (*done)(void *arg, struct str image_id, uint64_t size_bytes, const struct err *e),
	void *arg);

struct runtime_fs_usage {
	uint64_t capacity_bytes, available_bytes,
		used_bytes; /* used: by images / containers only */
	uint64_t inodes, inodes_free;
	struct str mountpoint;
};
/* runtime_image_fs / runtime_container_fs: the file system of images / of writable layers. Sizes of
 * images come from the index (no disk walk). 0 or -errno. */
int runtime_image_fs(struct runtime *rt, struct runtime_fs_usage *ret);
int runtime_container_fs(struct runtime *rt, struct runtime_fs_usage *ret);

/* ---- limits ------------------------------------------------------------------------------- */

/* cgroup v2 values; 0 = not set (memory, cpu: no limit). */
struct runtime_limits {
	int64_t memory_bytes;      /* memory.max */
	int64_t memory_min_bytes;  /* memory.min */
	int64_t memory_high_bytes; /* memory.high */
	int64_t swap_bytes;        /* memory.swap.max; 0 with memory_bytes set = no swap */
	int64_t cpu_shares;        /* 2..262144 as CRI has it; becomes cpu.weight */
	int64_t cpu_quota_us;      /* cpu.max quota; -1 or 0 = max */
	int64_t cpu_period_us;     /* 0 = 100000 */
	int64_t pids;              /* pids.max; 0 or -1 = max */
	struct str cpuset_cpus, cpuset_mems;
};

enum runtime_qos { RUNTIME_QOS_GUARANTEED, RUNTIME_QOS_BURSTABLE, RUNTIME_QOS_BEST_EFFORT };

/* runtime_qos_limits: limits of kubepods (GUARANTEED), kubepods/burstable, kubepods/besteffort. */
int runtime_qos_limits(
	struct runtime *rt, enum runtime_qos qos, const struct runtime_limits *lim, struct err *e);

/* ---- sandboxes ---------------------------------------------------------------------------- */

struct runtime_pair {
	struct str name, value;
};

struct runtime_sandbox_spec {
	struct str pod_uid; /* names the cgroup "pod<uid>"; [a-zA-Z0-9_.-], 1..128 bytes */
	struct str pod_name, pod_namespace;
	uint32_t attempt;
	struct str hostname; /* <= 63 bytes; "" = the host's */
	bool host_network, host_pid, host_ipc;
	bool share_pid; /* shareProcessNamespace: containers see each other, own small init */
	enum runtime_qos qos;
	struct runtime_limits limits;       /* of the pod's cgroup */
	const struct runtime_pair *sysctls; /* namespaced ones only ("net.*", "kernel.shm*", ...) */
	size_t n_sysctls;
	int64_t shm_bytes; /* 0 = 64 MiB */
	struct str data;   /* opaque, kept over restarts, <= RUNTIME_DATA_MAX */
};

enum runtime_sandbox_state {
	RUNTIME_SANDBOX_READY,
	RUNTIME_SANDBOX_NOT_READY, /* stopped, or lost (reboot, init of a shared pid namespace died) */
};

struct runtime_sandbox {
	struct str id, pod_uid, pod_name, pod_namespace;
	uint32_t attempt;
	enum runtime_sandbox_state state;
	int64_t created_ns; /* wall */
	bool host_network, host_pid, host_ipc, share_pid;
	struct str data;
	struct str cgroup_path; /* "/kubepods/burstable/pod..." below the cgroup mount */
};

/* runtime_sandbox_create: pod cgroup, namespaces (net, ipc, uts as wanted; loopback up, sysctls set),
 * shm. The id is returned at once (copied to ret_id, NUL-terminated). After done the caller configures
 * the network inside runtime_sandbox_netns() before it starts containers.
 * Errors at once: -EINVAL (e), -ENOMEM. */
int runtime_sandbox_create(struct runtime *rt, const struct runtime_sandbox_spec *spec,
	char ret_id[RUNTIME_ID_LEN + 1], runtime_done_fn *done, void *arg, struct err *e);
/* runtime_sandbox_netns: descriptor of the pod's network namespace, borrowed until the sandbox is
 * stopped; the host's own namespace with host_network. -ENOENT, -ESTALE (not ready). */
int runtime_sandbox_netns(struct runtime *rt, struct str id);
/* runtime_sandbox_get: borrowed view. 0 or -ENOENT. */
int runtime_sandbox_get(struct runtime *rt, struct str id, struct runtime_sandbox *ret);
/* runtime_sandbox_next: iterate: *pos starts at 0. Removing the current one is allowed. */
bool runtime_sandbox_next(struct runtime *rt, size_t *pos, struct runtime_sandbox *ret);
/* runtime_sandbox_set_data: replaces the opaque bytes; on disk when it returns. 0, -ENOENT, -E2BIG, -errno. */
int runtime_sandbox_set_data(struct runtime *rt, struct str id, struct str data);
/* runtime_sandbox_set_limits: of the pod's cgroup. */
int runtime_sandbox_set_limits(
	struct runtime *rt, struct str id, const struct runtime_limits *lim, struct err *e);
/* runtime_sandbox_stop: kills what still runs in it (SIGKILL; stop containers gracefully before), lets
 * the namespaces go. Idempotent. runtime_sandbox_remove: stop, remove its containers (exited ones, their
 * files too), cgroup, files. Log files stay: they are the caller's. */
int runtime_sandbox_stop(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg);
int runtime_sandbox_remove(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg);

/* ---- containers --------------------------------------------------------------------------- */

enum runtime_propagation {
	RUNTIME_PROPAGATION_PRIVATE,
	RUNTIME_PROPAGATION_HOST_TO_CONTAINER, /* rslave */
	RUNTIME_PROPAGATION_BIDIRECTIONAL,     /* rshared; the source must be on a shared mount */
};

struct runtime_mount {
	struct str source; /* absolute path on the host, a directory, file or socket; must exist */
	/* Path below source, resolved so that no symbolic link leads out of source (race-free); ""
	 * = source itself. Missing directories of it are made (with source's mode) when sub_create. */
	struct str sub;
	bool sub_create;
	struct str target; /* absolute path in the container; made when missing */
	bool read_only;
	bool recursive_read_only; /* also the mounts below it */
	bool noexec;
	enum runtime_propagation propagation;
	struct str image; /* instead of source: the root of this (present) image, read-only */
};

struct runtime_device {
	struct str source; /* device node on the host */
	struct str target; /* path in the container */
	bool read, write, mknod;
};

struct runtime_rlimit {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

enum runtime_seccomp {
	RUNTIME_SECCOMP_DEFAULT, /* the runtime's profile */
	RUNTIME_SECCOMP_UNCONFINED,
	RUNTIME_SECCOMP_LOCALHOST, /* a JSON profile below config.seccomp_dir */
};

struct runtime_container_spec {
	struct str sandbox_id;
	struct str name;  /* of the container in its pod */
	uint32_t attempt; /* restart count */
	struct str image; /* reference or id; must be present */
	/* What runs: command replaces the image's entrypoint (and its cmd), args its cmd. Values are final:
	 * $(VAR) was expanded by the caller. */
	const struct str *command, *args;
	size_t n_command, n_args;
	const struct str *env; /* "K=V", on top of the image's */
	size_t n_env;
	struct str cwd; /* "" = the image's, else "/" */

	/* User: has_uid wins over the image's user; gid: has_gid, else the primary group in the
	 * image's /etc/passwd, else 0. */
	bool has_uid, has_gid;
	uint32_t uid, gid;
	const uint32_t *groups; /* supplemental, besides those of /etc/group in the image */
	size_t n_groups;
	bool groups_strict; /* supplementalGroupsPolicy Strict: none from the image */

	const struct runtime_mount
		*mounts; /* in order of mounting after sorting by depth of target */
	size_t n_mounts;
	const struct runtime_device *devices;
	size_t n_devices;

	/* Names with or without "CAP_", any case; "ALL". */
	const struct str *caps_add, *caps_drop;
	size_t n_caps_add, n_caps_drop;
	bool privileged;
	bool no_new_privs;
	bool read_only_rootfs;
	bool unmasked_proc; /* procMount: Unmasked */
	/* Container of the same sandbox whose processes it sees, and which must run when it starts; "" = its own. */
	struct str pids_of;
	enum runtime_seccomp seccomp;
	struct str seccomp_profile; /* LOCALHOST: path below config.seccomp_dir */
	struct runtime_limits limits;
	int oom_score_adj; /* -1000..1000 */
	bool tty, open_stdin, stdin_once;
	const struct runtime_rlimit *rlimits;
	size_t n_rlimits;
	struct str stop_signal; /* "" = the image's, else SIGTERM */
	/* Files of the pod, written by the caller, mounted read-write at the usual place; "" = none. */
	struct str hosts_path, resolv_conf_path, hostname_path;
	struct str termination_path;   /* path inside the container; "" = none */
	struct str termination_source; /* the host file mounted there, made by the caller */
	struct str log_path;    /* absolute; directories are made. "" = output is thrown away */
	int64_t log_max_bytes;  /* 0 = 10 MiB */
	uint32_t log_max_files; /* 0 = 5, the current one counted */
	struct str data;        /* opaque, kept over restarts, <= RUNTIME_DATA_MAX */
};

enum runtime_container_state {
	RUNTIME_CONTAINER_CREATED,
	RUNTIME_CONTAINER_RUNNING,
	RUNTIME_CONTAINER_EXITED,
};

struct runtime_container {
	struct str id, sandbox_id, name;
	uint32_t attempt;
	struct str image; /* as asked for */
	struct str image_id;
	enum runtime_container_state state;
	int64_t created_ns, started_ns, finished_ns; /* wall; 0 = not yet */
	int exit_code;                               /* 0..255; 128 + signal */
	int signal;                                  /* that killed it, or 0 */
	bool oom_killed;
	const char *
		reason; /* "Completed", "Error", "OOMKilled", "StartError", "Unknown"; "" while it lives */
	struct str message; /* of StartError */
	int pid;            /* on the host, while RUNNING */
	uint32_t uid, gid;  /* resolved user (valid after create) */
	bool tty, open_stdin, stdin_once;
	struct str log_path, data;
};

/* runtime_container_create: checks the description, resolves image and user, writes the state, makes
 * directories. ret_id at once. done's e: -ENOENT the image is not present, -EINVAL ("unable to find user
 * foo: no matching entries in passwd file"), -errno. (kubelet: CreateContainerError.)
 * Errors at once: -EINVAL (e), -ENOENT no such sandbox, -ENOMEM. */
int runtime_container_create(struct runtime *rt, const struct runtime_container_spec *spec,
	char ret_id[RUNTIME_ID_LEN + 1], runtime_done_fn *done, void *arg, struct err *e);
/* runtime_container_start: done without error when the program has been executed. On error the
 * container is EXITED with reason "StartError", code 128 (126/127 where exec said so) and the same
 * message: `exec: "foo": executable file not found in $PATH` and alike; no EXITED event.
 * (kubelet: RunContainerError.) Errors at once: -ENOENT, -EINVAL not CREATED. */
int runtime_container_start(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg);
/* runtime_container_stop: stop signal, after grace_ns SIGKILL to all its processes; done when it has
 * ended (at once if it has). A second call may shorten the grace. grace_ns 0 = kill. */
int runtime_container_stop(
	struct runtime *rt, struct str id, int64_t grace_ns, runtime_done_fn *done, void *arg);
/* runtime_container_signal: to its first process. 0, -ENOENT, -ESRCH not running. */
int runtime_container_signal(struct runtime *rt, struct str id, int signal);
/* runtime_container_remove: of a CREATED or EXITED one (-EBUSY while it runs): writable layer, state. */
int runtime_container_remove(struct runtime *rt, struct str id, runtime_done_fn *done, void *arg);
int runtime_container_get(struct runtime *rt, struct str id, struct runtime_container *ret);
/* runtime_container_next: iterate over all, or those of one sandbox (STR_NONE = all); *pos starts at 0. */
bool runtime_container_next(
	struct runtime *rt, struct str sandbox_id, size_t *pos, struct runtime_container *ret);
int runtime_container_set_data(struct runtime *rt, struct str id, struct str data);
int runtime_container_set_limits(
	struct runtime *rt, struct str id, const struct runtime_limits *lim, struct err *e);

/* ---- statistics --------------------------------------------------------------------------- */

struct runtime_stats {
	int64_t at_ns; /* wall */
	uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns, cpu_throttled_ns;
	uint64_t memory_usage_bytes;
	uint64_t memory_working_set_bytes; /* usage - inactive_file */
	uint64_t memory_rss_bytes;         /* anon */
	uint64_t memory_limit_bytes;       /* 0 = none */
	uint64_t memory_page_faults, memory_major_page_faults, swap_bytes;
	uint64_t pids, oom_kills;
};
/* Read a handful of cgroup files now. 0, -ENOENT; values of missing controllers are 0. */
int runtime_container_stats(struct runtime *rt, struct str id, struct runtime_stats *ret);
int runtime_sandbox_stats(struct runtime *rt, struct str id, struct runtime_stats *ret);
/* runtime_root_stats: of the whole node (cgroup root) and of kubepods. */
int runtime_root_stats(struct runtime *rt, bool kubepods, struct runtime_stats *ret);
/* runtime_container_disk_usage: bytes and inodes of the writable layer, by a walk in a helper thread. */
int runtime_container_disk_usage(struct runtime *rt, struct str id,
	void (*done)(void *arg, uint64_t bytes, uint64_t inodes, const struct err *e), void *arg);

/* ---- streams: exec, attach, logs, port-forward ------------------------------------------- */

enum runtime_stream { RUNTIME_STDOUT = 1, RUNTIME_STDERR = 2 };

/* A running stream; owned by the runtime, named by the caller until on_end or _close. */
struct runtime_exec;
struct runtime_exec_spec {
	struct str container_id;
	const struct str *argv;
	size_t n_argv;
	bool tty, use_stdin, use_stdout,
		use_stderr;  /* a stream that is not wanted is /dev/null; tty joins out and err */
	uint16_t cols, rows; /* first size of a tty; 0 = 80 x 24 */
};
struct runtime_exec_ops {
	/* Output. Return false to pause reading (then call runtime_exec_resume). */
	bool (*on_output)(void *arg, enum runtime_stream s, struct str bytes);
	/* The program has ended and all output was delivered. e == NULL: exit_code as a shell has it;
	 * else it could not be started (texts as container_start; exit_code 126 or 127). The handle is gone after it. */
	void (*on_end)(void *arg, int exit_code, const struct err *e);
	/* More stdin is welcome (after runtime_exec_write took less than given). May be NULL. */
	void (*on_writable)(void *arg);
};
/* runtime_exec_start: a process of its own in the container's namespaces and cgroup, with its user,
 * environment, capabilities and filter. Errors at once: -ENOENT, -ESRCH not running ("container not
 * running"), -EINVAL, -ENOMEM. */
int runtime_exec_start(struct runtime *rt, const struct runtime_exec_spec *spec,
	const struct runtime_exec_ops *ops, void *arg, struct runtime_exec **ret, struct err *e);
/* runtime_exec_write: bytes for stdin; returns how many were taken (0..n), or -EPIPE. */
ssize_t runtime_exec_write(struct runtime_exec *x, struct str bytes);
void runtime_exec_close_stdin(struct runtime_exec *x);
void runtime_exec_resume(struct runtime_exec *x);
void runtime_exec_resize(struct runtime_exec *x, uint16_t cols, uint16_t rows);
/* runtime_exec_close: no more callbacks; kill = the process gets SIGKILL (timeouts, lost clients). */
void runtime_exec_close(struct runtime_exec *x, bool kill);

struct runtime_attach;
struct runtime_attach_spec {
	struct str container_id;
	bool use_stdin, use_stdout, use_stderr;
};
/* runtime_attach_start: output from now on (any number of clients), input to the container's stdin when
 * it has one; with stdin_once it is closed when the first client that has stdin goes. ops as of exec;
 * on_end when the container has ended (its exit code). A client that pauses longer than 1 MiB of output loses
 * what lies between (a container is never held up by a watcher).
 * Errors: -ENOENT, -ESRCH, -ENOMEM. */
int runtime_attach_start(struct runtime *rt, const struct runtime_attach_spec *spec,
	const struct runtime_exec_ops *ops, void *arg, struct runtime_attach **ret, struct err *e);
ssize_t runtime_attach_write(struct runtime_attach *x, struct str bytes);
void runtime_attach_close_stdin(struct runtime_attach *x);
void runtime_attach_resume(struct runtime_attach *x);
void runtime_attach_resize(struct runtime_attach *x, uint16_t cols, uint16_t rows);
void runtime_attach_close(struct runtime_attach *x);

struct runtime_log;
struct runtime_log_spec {
	struct str path; /* the log file (container.log_path) */
	struct str
		container_id; /* follow ends when this one has ended; STR_NONE = at the end of file */
	int64_t tail_lines;   /* -1 = all */
	int64_t since_ns;     /* wall; lines at or after; 0 = all */
	int64_t limit_bytes; /* 0 = no limit */
	bool follow, timestamps;
	bool only_stdout, only_stderr; /* neither = both */
};
struct runtime_log_ops {
	/* Text as `kubectl logs` prints it. false = pause until runtime_log_resume. */
	bool (*on_data)(void *arg, struct str bytes);
	/* e NULL: complete. The handle is gone after it. */
	void (*on_end)(void *arg, const struct err *e);
};
/* runtime_log_open: reads a CRI log file, follows it through rotations by inotify.
 * Errors at once: -ENOENT (no such file and nothing to follow), -ENOMEM, -errno. */
int runtime_log_open(struct runtime *rt, const struct runtime_log_spec *spec,
	const struct runtime_log_ops *ops, void *arg, struct runtime_log **ret, struct err *e);
void runtime_log_resume(struct runtime_log *r);
void runtime_log_close(struct runtime_log *r);
/* runtime_log_reopen: closes and opens the container's log file (an outside rotation moved it). */
int runtime_log_reopen(struct runtime *rt, struct str container_id);

/* runtime_port_connect: a connected, non-blocking TCP socket to localhost:port inside the pod's network
 * namespace, IPv4 first, then IPv6. done(arg, fd, e): fd is the callee's. 0, -ENOENT, -ESTALE, -ENOMEM. */
int runtime_port_connect(struct runtime *rt, struct str sandbox_id, uint16_t port,
	void (*done)(void *arg, int fd, const struct err *e), void *arg);

#endif
