/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * machine: QEMU guests of a test cluster: see machine.h. */
#include "qemu/machine.h"

#include "base/clock.h"
#include "base/disk.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define QEMU "qemu-system-x86_64"

/* ---- background processes by pid file ---- */

/* start_time: field 22 of /proc/PID/stat, 0 when there is no such process or it is a zombie. */
static uint64_t
start_time(pid_t pid)
{
	char path[64];
	_cleanup_buf_ struct buf b = BUF_INIT;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (disk_read_file(path, 4096, &b) < 0)
		return 0;
	struct str head, rest, word = STR_NONE;
	if (!str_rcut(buf_view(&b), ')', &head, &rest))
		return 0;
	rest = str_trim(rest);
	if (rest.n && (rest.p[0] == 'Z' || rest.p[0] == 'X'))
		return 0;
	for (int i = 0; i < 20; i++)
		if (!str_next(&rest, ' ', &word))
			return 0;
	uint64_t v;
	return str_to_u64(word, &v) < 0 ? 0 : v;
}

pid_t
process_pid(const char *pid_path)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str pid_text, time_text;
	int64_t pid;
	uint64_t started;
	if (disk_read_file(pid_path, 256, &b) < 0 ||
		!str_cut(str_trim(buf_view(&b)), ' ', &pid_text, &time_text) ||
		str_to_i64(pid_text, &pid) < 0 || pid <= 1 || str_to_u64(time_text, &started) < 0)
		return -ESRCH;
	return start_time((pid_t)pid) == started && started ? (pid_t)pid : -ESRCH;
}

pid_t
process_start(const char *const argv[], const char *log_path, int ready_fd, const char *pid_path)
{
	_cleanup_fd_ int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	_cleanup_fd_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int failed[2];
	if (log_fd < 0 || null_fd < 0 || pipe2(failed, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		dup2(null_fd, 0);
		dup2(ready_fd >= 0 ? ready_fd : log_fd, 1);
		dup2(log_fd, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv); /* execvp changes none of them */
		int code = errno;
		ssize_t n = write(failed[1], &code, sizeof(code));
		_exit(n == sizeof(code) ? 127 : 126);
	}
	close(failed[1]);
	int code = 0;
	ssize_t n = pid > 0 ? read(failed[0], &code, sizeof(code)) : 0;
	close(failed[0]);
	if (pid < 0)
		return -EAGAIN;
	if (n == sizeof(code)) {
		waitpid(pid, NULL, 0);
		return -code;
	}
	if (pid_path) {
		char line[64];
		int len = snprintf(line, sizeof(line), "%d %llu\n", (int)pid,
			(unsigned long long)start_time(pid));
		int rc = disk_write_file(pid_path, str_from(line, (size_t)len), 0644);
		if (rc < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return rc;
		}
	}
	return pid;
}

/* pid_wait: 0 when the process is gone, -ETIMEDOUT. Works for processes of others as well. */
static int
pid_wait(pid_t pid, int timeout_ms)
{
	_cleanup_fd_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int rc = poll(&p, 1, timeout_ms);
	if (rc > 0)
		waitpid(pid, NULL, WNOHANG);
	return rc > 0 ? 0 : -ETIMEDOUT;
}

int
process_kill(const char *pid_path, int sig, int timeout_ms)
{
	pid_t pid = process_pid(pid_path);
	if (pid > 0) {
		kill(pid, sig);
		if (pid_wait(pid, timeout_ms) < 0) {
			kill(pid, SIGKILL);
			int rc = pid_wait(pid, 10000);
			if (rc < 0)
				return rc;
		}
	}
	unlink(pid_path);
	return 0;
}

/* ---- which accelerator ---- */

static bool
file_has_word(const char *path, struct str word)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	return disk_read_file(path, 1 << 20, &b) >= 0 && str_find(buf_view(&b), word) >= 0;
}

/* trial_boot: does a guest with this kernel print anything within 3 s? */
static bool
trial_boot(const char *kernel, const char *tmp_dir)
{
	char log[600];
	int out[2];
	if (pipe2(out, O_CLOEXEC) < 0)
		return false;
	snprintf(log, sizeof(log), "%s/kvm-probe.log", tmp_dir);
	const char *argv[] = {QEMU, "-M", "microvm", "-accel", "kvm", "-cpu", "host", "-m", "128",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel",
		kernel, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1", NULL};
	pid_t pid = process_start(argv, log, out[1], NULL);
	close(out[1]);
	struct pollfd p = {.fd = out[0], .events = POLLIN};
	bool alive = pid > 0 && poll(&p, 1, 3000) > 0 && (p.revents & POLLIN);
	close(out[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return alive;
}

enum backend
machine_backend(enum backend wanted, const char *kernel, const char *tmp_dir, const char **why)
{
	*why = "as asked";
	if (wanted != BACKEND_AUTO)
		return wanted;
	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		*why = "/dev/kvm cannot be opened";
		return BACKEND_TCG;
	}
	if (access("/sys/module/kvm_pvm", F_OK) == 0 ||
		(!file_has_word("/proc/cpuinfo", STR(" svm")) &&
			!file_has_word("/proc/cpuinfo", STR(" vmx")))) {
		*why = "/dev/kvm is not hardware virtualisation (kvm_pvm)";
		return BACKEND_TCG;
	}
	if (!trial_boot(kernel, tmp_dir)) {
		*why = "a trial boot under KVM printed nothing within 3 s";
		return BACKEND_TCG;
	}
	*why = "a trial boot under KVM worked";
	return BACKEND_KVM;
}

/* ---- QEMU ---- */

/* tsc_at: the counter and the time at which it stood so: the closest pair of a few. */
static uint64_t
tsc_at(int64_t *ret_ns)
{
	uint64_t ticks = 0;
	int64_t best_ns = INT64_MAX;
	for (int i = 0; i < 16; i++) {
		int64_t from_ns = clock_mono_ns();
		uint64_t t = __rdtsc();
		int64_t took_ns = clock_mono_ns() - from_ns;
		if (took_ns >= best_ns)
			continue;
		best_ns = took_ns;
		ticks = t;
		*ret_ns = from_ns + took_ns / 2;
	}
	return ticks;
}

/* tsc_khz: the host's counter, which is the guest's under TCG. Measured: /proc/cpuinfo tells how fast a core runs
 * just now, which is another thing where frequencies change. */
static unsigned
tsc_khz(void)
{
	static unsigned khz;
	if (!khz) {
		int64_t from_ns = 0, to_ns = 0;
		uint64_t from = tsc_at(&from_ns);
		poll(NULL, 0, 50);
		uint64_t to = tsc_at(&to_ns);
		khz = (unsigned)((double)(to - from) * 1e6 / (double)(to_ns - from_ns));
	}
	return khz;
}

#define ARGS_MAX 64
struct args {
	const char *v[ARGS_MAX];
	size_t n;
	struct arena *a;
};

static void
arg_add(struct args *x, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str s = arena_vfmt(x->a, fmt, ap);
	va_end(ap);
	BUG_ON(x->n + 1 >= ARGS_MAX);
	x->v[x->n++] = s.p;
	x->v[x->n] = NULL;
}

static void
disk_args(struct args *x, const struct machine_spec *m)
{
	const char *cache = "cache.direct=off,cache.no-flush=off";
	if (!m->disk)
		return;
	arg_add(x, "-blockdev");
	arg_add(x, "driver=file,node-name=%s,filename=%s,%s,discard=unmap",
		m->record ? "disk-file" : "disk0", m->disk, cache);
	if (m->record) {
		arg_add(x, "-blockdev");
		arg_add(x, "driver=file,node-name=record,filename=%s,%s", m->record, cache);
		arg_add(x, "-blockdev");
		arg_add(x,
			"driver=blklogwrites,node-name=disk0,file=disk-file,log=record,discard=unmap");
	}
	arg_add(x, "-device");
	arg_add(x, "virtio-blk-device,drive=disk0,serial=data,write-cache=on");
}

static void
qemu_args(struct args *x, const struct machine_spec *m)
{
	const uint8_t *c = m->mac;
	arg_add(x, QEMU);
	arg_add(x, "-name");
	arg_add(x, "%s", m->name);
	arg_add(x, "-M");
	arg_add(x, "microvm,rtc=on");
	arg_add(x, "-accel");
	arg_add(x, m->backend == BACKEND_KVM ? "kvm" : "tcg,thread=multi,tb-size=256");
	arg_add(x, "-cpu");
	arg_add(x, m->backend == BACKEND_KVM ? "host" : "max");
	arg_add(x, "-smp");
	arg_add(x, "%u", m->cpus);
	arg_add(x, "-m");
	arg_add(x, "%u", m->mem_mib);
	arg_add(x, "-nodefaults");
	arg_add(x, "-no-user-config");
	arg_add(x, "-display");
	arg_add(x, "none");
	arg_add(x, "-kernel");
	arg_add(x, "%s", m->kernel);
	arg_add(x, "-initrd");
	arg_add(x, "%s", m->initrd);
	arg_add(x, "-append");
	char tsc[64] = "";
	/* Reliable: a microvm has no other clock; the kernel's watchdog would compare with timer ticks, which TCG
	 * loses on a busy host, and take those for its time. */
	if (m->backend == BACKEND_TCG)
		snprintf(tsc, sizeof(tsc), " tsc_early_khz=%u tsc=reliable no_timer_check",
			tsc_khz());
	arg_add(x, "console=ttyS0 quiet panic=5 reboot=t%s%s%s", tsc, m->append ? " " : "",
		m->append ? m->append : "");
	arg_add(x, "-chardev");
	arg_add(x,
		"socket,id=console,path=%s/%s.console,server=on,wait=off,logfile=%s/console.log,"
		"logappend=on",
		m->run_dir, m->name, m->dir);
	arg_add(x, "-serial");
	arg_add(x, "chardev:console");
	arg_add(x, "-qmp");
	arg_add(x, "unix:%s/%s.qmp,server=on,wait=off", m->run_dir, m->name);
	arg_add(x, "-netdev");
	arg_add(x, "stream,id=net0,server=off,addr.type=unix,addr.path=%s/%s.sock", m->run_dir,
		m->name);
	arg_add(x, "-device");
	arg_add(x, "virtio-net-device,netdev=net0,mac=%02x:%02x:%02x:%02x:%02x:%02x", c[0], c[1],
		c[2], c[3], c[4], c[5]);
	arg_add(x, "-device");
	arg_add(x, "virtio-rng-device");
	disk_args(x, m);
}

static struct str
pid_file(struct arena *a, const char *dir)
{
	return arena_fmt(a, "%s/pid", dir);
}

int
machine_start(const struct machine_spec *m, struct err *e)
{
	struct args x = {.a = arena_new(1 << 20)};
	if (!x.a)
		return err_errno(e, -ENOMEM, "starting machine '%s'", m->name);
	int rc = 0;
	_cleanup_fd_ int record = -1;
	if (machine_pid(m->dir) > 0) {
		rc = err_set(e, -EALREADY, R_UNKNOWN, "machine '%s' runs already", m->name);
	} else if (m->record &&
		(record = open(m->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0) {
		rc = err_errno(e, -errno, "making '%s'", m->record);
	} else {
		qemu_args(&x, m);
		pid_t pid = process_start(
			x.v, arena_fmt(x.a, "%s/qemu.log", m->dir).p, -1, pid_file(x.a, m->dir).p);
		if (pid < 0)
			rc = err_errno(e, (int)pid, "starting " QEMU " for machine '%s'", m->name);
	}
	arena_free(x.a);
	return rc;
}

pid_t
machine_pid(const char *dir)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/pid", dir);
	return process_pid(path);
}

int
machine_kill(const char *dir)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/pid", dir);
	return process_kill(path, SIGKILL, 10000);
}

int
machine_wait_end(const char *dir, int timeout_ms)
{
	pid_t pid = machine_pid(dir);
	int rc = pid > 0 ? pid_wait(pid, timeout_ms) : 0;
	if (rc == 0) {
		char path[600];
		snprintf(path, sizeof(path), "%s/pid", dir);
		unlink(path);
	}
	return rc;
}

/* qmp_line: waits for one line with `want` in it. */
static int
qmp_line(int fd, struct str want)
{
	char data[4096];
	size_t n = 0;
	int64_t until = clock_mono_ns() + 5 * NS_PER_SEC;
	while (n < sizeof(data)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = (until - clock_mono_ns()) / NS_PER_MS;
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return -ETIMEDOUT;
		ssize_t got = read(fd, data + n, sizeof(data) - n);
		if (got <= 0)
			return -EPIPE;
		n += (size_t)got;
		if (str_find(str_from(data, n), want) >= 0)
			return 0;
	}
	return -E2BIG;
}

int
machine_powerdown(const char *run_dir, const char *name, struct err *e)
{
	static const char caps[] = "{\"execute\":\"qmp_capabilities\"}\n";
	static const char down[] = "{\"execute\":\"system_powerdown\"}\n";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.qmp", run_dir, name);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_errno(e, -errno, "connecting to QMP of '%s'", name);
	int rc = qmp_line(fd, STR("\"QMP\""));
	if (rc == 0 && write(fd, caps, sizeof(caps) - 1) > 0)
		rc = qmp_line(fd, STR("\"return\""));
	if (rc == 0 && write(fd, down, sizeof(down) - 1) > 0)
		rc = qmp_line(fd, STR("\"return\""));
	return rc < 0 ? err_errno(e, rc, "power button of '%s'", name) : 0;
}
