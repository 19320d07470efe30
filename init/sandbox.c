/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * sandbox: see sandbox.h. The system call filter is a flat list of numbers: the kernel turns such
 * verdicts into a bitmap, about 60 ns a call whatever the length of the list. Only clone is looked at
 * more closely: threads yes, processes no. */
#include "init/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPS_MAX = 64, CALLS_MAX = 128 };

/* What any role with a loop, threads, sockets it was given and files below its folders needs. */
/* Not in the headers of Debian 12's musl. */
enum { NR_epoll_pwait2 = 441 };

static const int common_calls[] = {SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64,
	SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_close, SYS_fstat, SYS_newfstatat, SYS_stat,
	SYS_lstat, SYS_statx, SYS_lseek, SYS_fcntl, SYS_open, SYS_openat, SYS_unlink, SYS_unlinkat,
	SYS_rename, SYS_renameat, SYS_mkdir, SYS_mkdirat, SYS_rmdir, SYS_getdents64, SYS_access,
	SYS_faccessat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_fchmod,
	SYS_chmod, SYS_flock, SYS_dup, SYS_dup3, SYS_pipe2, SYS_mmap, SYS_munmap, SYS_mprotect,
	SYS_mremap, SYS_madvise, SYS_msync, SYS_brk, SYS_epoll_create1, SYS_epoll_ctl,
	SYS_epoll_wait, SYS_epoll_pwait, NR_epoll_pwait2, SYS_statfs, SYS_fstatfs, SYS_poll,
	SYS_ppoll, SYS_eventfd2, SYS_timerfd_create, SYS_timerfd_settime, SYS_signalfd4,
	SYS_accept4, SYS_listen, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_recvmmsg,
	SYS_sendmmsg, SYS_getsockopt, SYS_setsockopt, SYS_getsockname, SYS_getpeername,
	SYS_shutdown, SYS_socketpair, SYS_ioctl, SYS_futex, SYS_set_robust_list,
	SYS_get_robust_list, SYS_set_tid_address, SYS_rseq, SYS_membarrier, SYS_sched_yield,
	SYS_sched_getaffinity, SYS_getcpu, SYS_gettid, SYS_getpid, SYS_getuid, SYS_geteuid,
	SYS_getgid, SYS_getegid, SYS_tgkill, SYS_tkill, SYS_clock_gettime, SYS_clock_getres,
	SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom, SYS_rt_sigaction,
	SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall, SYS_getrusage,
	SYS_sysinfo, SYS_uname, SYS_prctl, SYS_prlimit64, SYS_getrlimit, SYS_exit, SYS_exit_group};

static int
bounding_keep(uint64_t caps)
{
	for (int cap = 0; cap < CAPS_MAX; cap++)
		if (!(caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
			errno != EINVAL)
			return -errno;
	return 0;
}

int
sandbox_caps_keep(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	int rc = bounding_keep(caps);
	if (rc < 0)
		return rc;
	/* What this process does not have itself it cannot keep. */
	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t keep = (uint32_t)(caps >> (32 * i));
		data[i].permitted &= keep;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int
user_drop(const struct sandbox *s)
{
	if (setgroups(0, NULL) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
		setresuid(s->uid, s->uid, s->uid) < 0)
		return -errno;
	return 0;
}

/* Numbers that older headers do not have. */
#define FS_TRUNCATE (1ULL << 14)
#define NET_BIND_TCP (1ULL << 0)
#define SCOPE_ALL 3ULL /* abstract unix sockets and signals of processes outside */

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                   \
	(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG |     \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                     \
		LANDLOCK_ACCESS_FS_REMOVE_DIR)
struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};
struct net_port_attr {
	uint64_t allowed_access, port;
};
enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

static int
path_allow(int ruleset, const char *path, uint64_t access)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	if (fd < 0)
		return -errno;
	int rc = (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	if (rc < 0 && errno == EINVAL) { /* a file: rights of folders do not apply */
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE |
			LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
		rc = (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
	}
	return rc < 0 ? -errno : 0;
}

/* The kernel names the ABI it has; rights it does not know yet must not be asked for. */
static int
landlock_enter(const struct sandbox *s, struct err *e)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
	if (abi < 0)
		return err_errno(e, -errno, "landlock");
	static const uint8_t fs_bits[] = {
		0, 13, 14, 15, 15, 16}; /* of ABI 1, 2, 3, 4, 5 and later */
	struct ruleset_attr attr = {
		.handled_access_fs = (1ULL << fs_bits[abi < 5 ? abi : 5]) - 1,
		.handled_access_net = abi >= 4 ? NET_BIND_TCP : 0,
		.scoped = abi >= 6 ? SCOPE_ALL : 0,
	};
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	_cleanup_fd_ int set = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (set < 0)
		return err_errno(e, -errno, "making the landlock rules");
	for (size_t i = 0; s->write_paths && s->write_paths[i]; i++) {
		int rc = path_allow(set, s->write_paths[i], FS_WRITE & attr.handled_access_fs);
		if (rc < 0)
			return err_errno(e, rc, "allowing to write below '%s'", s->write_paths[i]);
	}
	for (size_t i = 0; s->read_paths && s->read_paths[i]; i++) {
		int rc = path_allow(set, s->read_paths[i], FS_READ);
		if (rc < 0)
			return err_errno(e, rc, "allowing to read '%s'", s->read_paths[i]);
	}
	for (size_t i = 0; attr.handled_access_net && i < s->n_bind_ports; i++) {
		struct net_port_attr port = {NET_BIND_TCP, s->bind_ports[i]};
		if (syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &port, 0) < 0)
			return err_errno(e, -errno, "allowing port %u", s->bind_ports[i]);
	}
	if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
		return err_errno(e, -errno, "entering landlock");
	return 0;
}

static int
filter_enter(const struct sandbox *s, struct err *e)
{
	struct sock_filter f[2 * CALLS_MAX + 24];
	size_t n = 0, n_common = ARRAY_LEN(common_calls);
	BUG_ON(n_common + s->n_more_calls > CALLS_MAX);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n_common + s->n_more_calls; i++) {
		int nr = i < n_common ? common_calls[i] : s->more_calls[i - n_common];
		f[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	if (s->inet_sockets) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4);
		f[n++] = (struct sock_filter)BPF_STMT(
			BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		f[n++] = (struct sock_filter)BPF_STMT(
			BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	}
	/* A thread shares the address space; anything else of clone is a process. */
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	BUG_ON(n > ARRAY_LEN(f));
	struct sock_fprog prog = {(unsigned short)n, f};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
		return err_errno(e, -errno, "installing the system call filter");
	return 0;
}

int
sandbox_enter(const struct sandbox *s, struct err *e)
{
	/* The bounding set needs a capability to be dropped, so: it first, the user next; the other
	 * sets go with the user. */
	int rc = bounding_keep(0);
	if (rc == 0)
		rc = sandbox_caps_keep(CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID));
	if (rc < 0)
		return err_errno(e, rc, "dropping capabilities");
	rc = user_drop(s);
	if (rc < 0)
		return err_errno(e, rc, "becoming user %u", (unsigned)s->uid);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, -errno, "prctl");
	rc = landlock_enter(s, e);
	return rc < 0 ? rc : filter_enter(s, e);
}
