/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * runtime_int: the insides the files of this folder share. Objects: struct runtime owns sandboxes and
 * containers by id; a container owns its launch, streams and followers. Helper threads get a struct job that
 * lives until its end; objects are freed only when no job holds them (busy == 0).
 * Names in PID 1's store: "s/<id>/<net|ipc|uts|pid>", "c/<id>/<in|out|err|tty>", "log/<0|1>". */
#ifndef RUNTIME_INT_H
#define RUNTIME_INT_H

#include "base/hash.h"
#include "orchestrator/runtime/image/fetch.h"
#include "orchestrator/runtime/image/pull.h"
#include "orchestrator/runtime/launch.h"
#include "orchestrator/runtime/logs.h"
#include "orchestrator/runtime/runtime.h"

/* ---- work in a helper thread ---- */
struct job {
	struct runtime *rt;
	void (*work)(struct job *j);
	/* dead: the runtime is going away: free what the job holds, call nobody. */
	void (*done)(struct job *j, bool dead);
};
/* job_start: 0 or -ENOMEM (done is not called). */
int job_start(struct runtime *rt, struct job *j);
/* rt_done_later: calls done from the loop, later. e may be NULL. 0 or -ENOMEM. */
int rt_done_later(struct runtime *rt, runtime_done_fn *done, void *arg, const struct err *e);

/* A completion somebody waits for. */
struct waiter {
	struct waiter *next;
	runtime_done_fn *done;
	void *arg;
};
int waiter_add(struct waiter **list, runtime_done_fn *done, void *arg);
void waiters_end(struct waiter **list, const struct err *e);

/* ---- exits ---- */
struct pid_watch {
	int pid;
	void (*fn)(struct pid_watch *w, int status, int64_t at_ns);
	void *arg;
	bool on;
};
/* pid_watch_start: fn runs once when PID 1 says that pid has ended, also if that was long ago. */
int pid_watch_start(struct runtime *rt, struct pid_watch *w);
void pid_watch_stop(struct runtime *rt, struct pid_watch *w, bool forget);
/* pid_start_time: field 22 of /proc/<pid>/stat; 0 = no such process. */
uint64_t pid_start_time(int pid);

/* ---- inotify ---- */
struct file_watch {
	int wd; /* -1 = off */
	bool due;
	void (*fn)(struct file_watch *w, uint32_t mask, struct str name);
	void *arg;
	struct file_watch *next;
};
/* file_watch_add: path watched for mask; 0 or -errno. file_watch_del: never called again. */
int file_watch_add(struct runtime *rt, struct file_watch *w, const char *path, uint32_t mask);
void file_watch_del(struct runtime *rt, struct file_watch *w);

/* ---- objects ---- */
struct sandbox {
	struct runtime *rt;
	struct arena *a;
	struct sandbox_rec rec;
	char *data; /* of rec.spec.data once it was replaced */
	int ns[NS__COUNT];
	struct pid_watch init;
	bool creating, removing;
	unsigned containers, busy;
	struct file_watch events; /* cgroup.events while being stopped or removed */
	struct waiter *stopped, *removed;
};

struct outlet {
	struct loop_fd w;
	int fd;
	bool armed;
	void (*on_writable)(void *arg);
	void *arg;
};

struct container {
	struct runtime *rt;
	struct arena *a;
	struct container_rec rec;
	char *data;
	struct sandbox *sandbox;
	bool creating, starting, ending, removing;
	unsigned busy;
	/* start */
	struct launch *launch;
	struct loop_fd sock;
	runtime_done_fn *start_done;
	void *start_arg;
	bool told_to_go;
	struct err start_err; /* the start has failed; its process is about to end */
	/* running */
	int pidfd, stdin_fd, tty_fd;
	struct pid_watch watch;
	bool exited; /* the process has; `ending` until the log is complete */
	int status;
	struct log_file log;
	struct log_source out, err;
	struct loop_timer drain, stop, lost;
	struct waiter *stopping, *removed;
	struct file_watch oom, events;
	struct runtime_attach *attached;
	struct runtime_exec *execs;
	bool stdin_claimed;
};

struct runtime {
	struct loop *loop;
	struct arena *a;
	struct runtime_config cfg;
	char *data_path, *run_path;
	int state_dir, containers_dir, run_dir;
	struct str boot_id;
	struct init_client *init;
	struct cgroups cgroups;
	struct launch_env env;
	struct image_store *store;
	struct image_fetcher *fetcher;
	struct log_pump pump;
	struct map sandboxes, containers, pids;
	int inotify;
	struct loop_fd inotify_w;
	struct file_watch *watches;
	unsigned busy;
	bool dead;
	struct runtime_log *logs; /* open readers */
};

struct sandbox *sandbox_find(struct runtime *rt, struct str id);
struct container *container_find(struct runtime *rt, struct str id);
/* sandbox_adopt, container_adopt: of recovery: the object of a state file. NULL = no memory. */
struct sandbox *sandbox_new(struct runtime *rt, struct arena *a);
struct container *container_new(struct runtime *rt, struct arena *a);
void sandbox_free(struct sandbox *s);
void container_free(struct container *c);
/* data_replace: *own (allocated) and *ret (a view of it) become a copy of data. Errors: -E2BIG, -ENOMEM. */
int data_replace(char **own, struct str data, struct str *ret);
int sandbox_save(struct sandbox *s);
int container_save(struct container *c);
/* sandbox_container_gone: one of its containers was removed. */
void sandbox_container_gone(struct sandbox *s);
void sandbox_init_watch(struct sandbox *s);
/* container_kill_all: SIGKILL to all in its cgroup. */
void container_kill_all(struct container *c);
bool container_live(const struct container *c);
/* container_streams_adopt: reads the pipes again. */
int container_streams_open(struct container *c, int out, int err);
/* container_watch: exit, OOM. */
int container_watch(struct container *c);
/* container_ended: its process ended (status of waitid), or nobody knows how (known = false). */
void container_ended(struct container *c, bool known, int status, int64_t at_ns);
void container_cgroup_remove(struct container *c);
/* container_start_settle: the process of a start has ended: reads what it still said. True: it did run and
 * this is a normal end; false: the start has failed and was finished as such. */
bool container_start_settle(struct container *c);
/* container_start_over: nothing of a failed start is left open: EXITED, StartError. */
void container_start_over(struct container *c);
/* container_images_count: +1 or -1 container for its image and those it mounts. */
void container_images_count(struct container *c, int by);
/* rt_fd_name: the name in PID 1's store. */
struct str rt_fd_name(char out[INIT_NAME_MAX], char kind, struct str id, const char *what);
int rt_fd_keep(struct runtime *rt, char kind, struct str id, const char *what, int fd);
void rt_fd_drop(struct runtime *rt, char kind, struct str id, const char *what);
void rt_event(struct runtime *rt, enum runtime_event_type type, const struct container *c);
void rt_random_id(char out[RUNTIME_ID_LEN + 1]);
extern const char *const rt_ns_names[NS__COUNT];

/* ---- streams ---- */
void outlet_init(
	struct outlet *o, struct loop *l, int fd, void (*on_writable)(void *arg), void *arg);
/* outlet_write: bytes taken, or -EPIPE. outlet_close: closes fd. */
ssize_t outlet_write(struct outlet *o, struct runtime *rt, struct str bytes);
void outlet_close(struct outlet *o);
void attach_output(struct container *c, enum runtime_stream s, struct str bytes);
void attach_end(struct container *c);
void exec_container_gone(struct container *c);
void log_readers_container_ended(struct runtime *rt, struct str id);
void log_readers_close(struct runtime *rt);
/* sock_receive: one report from a child. 1, 0 nothing yet, -EPIPE end; *ret_fd the terminal or -1. */
int sock_receive(int sock, struct child_report *r, int *ret_fd);

#endif
