/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * host: what a test of the runtime runs on: this test program is a child subreaper with the real keeper
 * of PID 1 (init/keeper), and forks the role under test, whose containers become its children. The role may be
 * killed at a chosen moment (it says init_ready) and another started on the same keeper.
 * Needs root, cgroup v2 and overlayfs; host_why_not says what is missing. */
#ifndef RUNTIME_TEST_HOST_H
#define RUNTIME_TEST_HOST_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/hash.h"
#include "base/init_proto.h"
#include "init/keeper.c"
#include "orchestrator/runtime/runtime.h"
#include "tests/unit/test.h"

static struct keeper host_keeper;
static bool host_keeper_on, host_was_ready;
static int host_sigfd = -1;
static char host_cgroup_mount[256];

/* PID 1 of a pod that shares its process namespace is this program, in an empty root. */
__attribute__((constructor)) static void
host_pod_init(void)
{
	if (getpid() == 1 && access("/proc", F_OK) && access("/tmp", F_OK))
		runtime_pod_init_main();
}

/* Roles end by _exit: this is the test program's own end. */
__attribute__((destructor)) static void
host_cgroups_remove(void)
{
	static const char *const below[] = {
		"/kubepods/burstable", "/kubepods/besteffort", "/kubepods", ""};

	for (size_t i = 0; host_keeper_on && i < ARRAY_LEN(below); i++) {
		char path[400];

		snprintf(path, sizeof(path), "%s/keelson-test-%d%s", host_cgroup_mount,
			(int)getpid(), below[i]);
		rmdir(path);
	}
}

static const char *
host_why_not(void)
{
	FILE *f = NULL;
	char line[1024];

	if (geteuid() != 0)
		return "needs root";
	f = fopen("/proc/self/mounts", "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *dir = strchr(line, ' ');
		char *type = dir ? strchr(dir + 1, ' ') : NULL;

		if (type && strncmp(type + 1, "cgroup2 ", 8) == 0) {
			*type = '\0';
			snprintf(host_cgroup_mount, sizeof(host_cgroup_mount), "%s", dir + 1);
		}
	}
	if (f)
		fclose(f);
	if (!host_cgroup_mount[0])
		return "needs cgroup v2";
	if (access("/bin/busybox", X_OK))
		return "needs /bin/busybox (static)";
	return NULL;
}

#define HOST_NEEDED()                                                                              \
	do {                                                                                       \
		const char *why_ = host_why_not();                                                 \
		if (why_)                                                                          \
			SKIP("%s", why_);                                                          \
	} while (0)

static void
host_on_ready(void *arg, unsigned role)
{
	(void)arg;
	(void)role;
	host_was_ready = true;
}

static void
host_open(void)
{
	sigset_t set;

	if (host_keeper_on)
		return;
	host_keeper_on = true;
	(void)TEST_TMP; /* one folder for all roles */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	host_sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	keeper_init(&host_keeper);
	host_keeper.on_ready = host_on_ready;
}

/* Collects the dead; the status of `role` in *ret. */
static bool
host_reap(int role, int *ret)
{
	struct signalfd_siginfo info;
	bool ended = false;
	int status = 0;
	int pid = 0;

	while (read(host_sigfd, &info, sizeof(info)) > 0)
		continue;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == role) {
			*ret = status;
			ended = true;
		} else {
			keeper_exited(&host_keeper, pid, status, clock_wall_ns());
		}
	}
	return ended;
}

/* Runs scenario in a role of its own until it ends (its CHECKs fail this test), or, with kill_on_ready, until
 * it says init_ready: then it gets SIGKILL. False: it failed or took longer than a minute. */
static bool
host_run(void (*scenario)(void), bool kill_on_ready)
{
	int64_t until = clock_mono_ns() + 60 * NS_PER_SEC;
	int sock[2];
	int status = 0;
	int role = 0;
	bool ended = false;
	bool killed = false;

	host_open();
	host_was_ready = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return false;
	fflush(stdout);
	role = fork();
	if (role == 0) {
		dup2(sock[1], INIT_FD);
		if (setjmp(test_end) == 0) {
			scenario();
			fflush(stdout);
			_exit(0);
		}
		fflush(stdout);
		_exit(1);
	}
	close(sock[1]);
	fcntl(sock[0], F_SETFL, O_NONBLOCK);
	keeper_connect(&host_keeper, 0, sock[0], true, ~0u);
	while (!ended && clock_mono_ns() < until) {
		bool more = keeper_flush(&host_keeper, 0);
		struct pollfd p[2] = {
			{sock[0], POLLIN | (more ? POLLOUT : 0), 0}, {host_sigfd, POLLIN, 0}};

		poll(p, 2, 1000);
		while (keeper_receive(&host_keeper, 0) == 1)
			continue;
		if (kill_on_ready && host_was_ready && !killed) {
			kill(role, SIGKILL);
			killed = true;
		}
		ended = host_reap(role, &status);
	}
	if (!ended) {
		printf("     the role did not end in time\n");
		kill(role, SIGKILL);
		waitpid(role, &status, 0);
	}
	/* What it sent before it died counts. */
	while (keeper_receive(&host_keeper, 0) == 1)
		continue;
	keeper_disconnect(&host_keeper, 0);
	close(sock[0]);
	if (!ended)
		return false;
	return killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#define HOST_RUN(fn) CHECK(host_run(fn, false))

/* ---- inside the role ---- */

static struct loop *L;
static struct runtime *RT;
static char host_exited[RUNTIME_ID_LEN + 1];
static unsigned host_ooms;

static void
host_event(void *arg, const struct runtime_event *ev)
{
	(void)arg;
	if (ev->type == RUNTIME_EVENT_EXITED)
		str_copy_c(ev->container_id, host_exited, sizeof(host_exited));
	else
		host_ooms++;
}

/* Turns the loop until cond is true; fails after 20 s. */
#define AWAIT(cond)                                                                                \
	do {                                                                                       \
		int64_t until_ = clock_mono_ns() + 20 * NS_PER_SEC;                                \
		while (!(cond) && clock_mono_ns() < until_)                                        \
			loop_turn(L, 100 * NS_PER_MS);                                             \
		CHECK(cond);                                                                       \
	} while (0)

struct result {
	bool done;
	struct err e;
};

static void
on_result(void *arg, const struct err *e)
{
	struct result *r = arg;

	r->done = true;
	if (e)
		r->e = *e;
}

#define OK(r)                                                                                      \
	do {                                                                                       \
		AWAIT((r).done);                                                                   \
		if ((r).e.code)                                                                    \
			TEST_FAIL_("failed: %s", (r).e.msg);                                       \
	} while (0)

/* The runtime on folders of this test program; recovered. */
static void
host_runtime(void)
{
	static const char *const init_argv[] = {"/proc/self/exe", NULL};
	static char data[128];
	static char run[128];
	static char parent[64];
	struct err e = {0};
	struct runtime_config cfg = {.allow_missing_controllers = true,
		.init_fd = INIT_FD,
		.pod_init_argv = init_argv,
		.on_event = host_event};

	snprintf(data, sizeof(data), "%s/data", TEST_TMP);
	snprintf(run, sizeof(run), "%s/run", TEST_TMP);
	snprintf(parent, sizeof(parent), "keelson-test-%d/kubepods", (int)getppid());
	cfg.data_dir = str_c(data);
	cfg.run_dir = str_c(run);
	cfg.cgroup_mount = str_c(host_cgroup_mount);
	cfg.cgroup_parent = str_c(parent);
	cfg.seccomp_dir = str_c(TEST_TMP);
	L = loop_new(NULL, "node");
	CHECK(L != NULL);
	if (runtime_new(L, &cfg, &RT, &e))
		TEST_FAIL_("runtime_new: %s", e.msg);
	if (runtime_recover(RT, &e))
		TEST_FAIL_("runtime_recover: %s", e.msg);
}

/* ---- images: a small tar writer and `docker save` archives ---- */

static void
tar_entry_add(struct buf *b, const char *name, char type, const char *link, unsigned mode,
	unsigned uid, unsigned gid, struct str data)
{
	char h[512] = {0};
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", mode);
	snprintf(h + 108, 8, "%07o", uid);
	snprintf(h + 116, 8, "%07o", gid);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)data.n);
	snprintf(h + 136, 12, "%011o", 1700000000u);
	memset(h + 148, ' ', 8);
	h[156] = type;
	if (link)
		snprintf(h + 157, 100, "%s", link);
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	buf_add(b, h, 512);
	buf_str(b, data);
	memset(h, 0, sizeof(h));
	buf_add(b, h, (512 - data.n % 512) % 512);
}

static void
tar_end(struct buf *b)
{
	char zero[1024] = {0};

	buf_add(b, zero, sizeof(zero));
}

static void
digest_text(struct str s, char out[72])
{
	uint8_t sum[32];

	sha256_of(s, sum);
	memcpy(out, "sha256:", 8);
	for (size_t i = 0; i < 32; i++)
		snprintf(out + 7 + 2 * i, 3, "%02x", sum[i]);
}

/* An archive of one image with these layers (plain tars); config_json: members of "config". */
static void
image_archive(const char *path, const char *name, const char *config_json, const struct buf *layers,
	size_t n)
{
	struct buf cfg = BUF_INIT;
	struct buf man = BUF_INIT;
	struct buf tar = BUF_INIT;

	buf_fmt(&cfg,
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{%s},\"rootfs\":{"
		"\"type\":\"layers\",\"diff_ids\":[",
		config_json);
	buf_fmt(&man, "[{\"Config\":\"config.json\",\"RepoTags\":[\"%s\"],\"Layers\":[", name);
	for (size_t i = 0; i < n; i++) {
		char d[72];
		char file[32];

		digest_text(buf_view(&layers[i]), d);
		snprintf(file, sizeof(file), "layer%zu.tar", i);
		buf_fmt(&cfg, "%s\"%s\"", i ? "," : "", d);
		buf_fmt(&man, "%s\"%s\"", i ? "," : "", file);
		tar_entry_add(&tar, file, '0', NULL, 0644, 0, 0, buf_view(&layers[i]));
	}
	buf_cstr(&cfg, "]}}");
	buf_cstr(&man, "]}]");
	tar_entry_add(&tar, "config.json", '0', NULL, 0644, 0, 0, buf_view(&cfg));
	tar_entry_add(&tar, "manifest.json", '0', NULL, 0644, 0, 0, buf_view(&man));
	tar_end(&tar);
	CHECK_INT(disk_write_file(path, buf_view(&tar), 0644), 0);
	buf_release(&cfg);
	buf_release(&man);
	buf_release(&tar);
}

/* A layer with busybox, its links, passwd and group. */
static void
busybox_layer(struct buf *b)
{
	static const char *const links[] = {"sh", "cat", "echo", "sleep", "id", "ls", "true",
		"false", "env", "mount", "mknod", "touch", "kill", "hostname", "stty", "dd", "seq",
		"nc", "stat", "readlink", "grep", "ps", "chmod", "pwd", "yes", "head", "wc", "tty",
		"ping", "mkdir", "rm"};
	static const char *const dirs[] = {"bin/", "etc/", "proc/", "sys/", "dev/", "root/"};
	struct buf exe = BUF_INIT;

	CHECK_INT(disk_read_file("/bin/busybox", 16 << 20, &exe), 0);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		tar_entry_add(b, dirs[i], '5', NULL, 0755, 0, 0, STR(""));
	tar_entry_add(b, "tmp/", '5', NULL, 01777, 0, 0, STR(""));
	tar_entry_add(b, "home/app/", '5', NULL, 0755, 1000, 1000, STR(""));
	tar_entry_add(b, "bin/busybox", '0', NULL, 0755, 0, 0, buf_view(&exe));
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		char path[64];

		snprintf(path, sizeof(path), "bin/%s", links[i]);
		tar_entry_add(b, path, '2', "busybox", 0777, 0, 0, STR(""));
	}
	tar_entry_add(b, "etc/passwd", '0', NULL, 0644, 0, 0,
		STR("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"));
	tar_entry_add(b, "etc/group", '0', NULL, 0644, 0, 0,
		STR("root:x:0:\napp:x:1000:\nextra:x:2000:app\n"));
	tar_end(b);
	buf_release(&exe);
}

struct imported {
	bool done;
	char id[80];
	uint64_t bytes;
	struct err e;
};

static void
on_imported(void *arg, struct str id, uint64_t bytes, const struct err *e)
{
	struct imported *r = arg;

	r->done = true;
	r->bytes = bytes;
	str_copy_c(id, r->id, sizeof(r->id));
	if (e)
		r->e = *e;
}

/* "busybox:test" in the store. */
static void
host_image(void)
{
	char path[160];
	struct buf layer = BUF_INIT;
	struct imported r = {0};

	busybox_layer(&layer);
	snprintf(path, sizeof(path), "%s/busybox.tar", TEST_TMP);
	image_archive(path, "busybox:test",
		"\"Env\":[\"PATH=/bin\",\"FROM=image\"],\"Cmd\":[\"/bin/sh\",\"-c\",\"echo from cmd\"]",
		&layer, 1);
	buf_release(&layer);
	CHECK_INT(runtime_image_import(RT, str_c(path), on_imported, &r), 0);
	OK(r);
}

#endif
