/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * seccomp_default: the profile RuntimeDefault as data: what every container may call, and what it may
 * call besides when it holds a capability. Everything else is EPERM. Rows with conditions (clone,
 * socket, personality, clone3 = ENOSYS) stand in seccomp.c, beside the code that compiles them.
 * io_uring is not in it. Source: what containerd's and Docker's default profiles allow. */
#include "orchestrator/runtime/seccomp.h"

#include <linux/capability.h>

static const char *const base[] = {
	"accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl", "bind", "brk",
	"cachestat", "capget", "capset", "chdir", "chmod", "chown", "clock_adjtime",
	"clock_getres", "clock_gettime", "clock_nanosleep", "close", "close_range", "connect",
	"copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1",
	"epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
	"faccessat", "faccessat2", "fadvise64", "fallocate", "fanotify_mark", "fchdir",
	"fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync",
	"fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
	"fstatfs", "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait", "futex_waitv",
	"futex_wake", "futimesat", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
	"getdents", "getdents64", "getegid", "geteuid", "getgid", "getgroups", "getitimer",
	"getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
	"getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "getsockname",
	"getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "inotify_add_watch",
	"inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
	"io_getevents", "io_pgetevents", "io_setup", "io_submit", "ioctl", "ioprio_get",
	"ioprio_set", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "lchown", "lgetxattr", "link", "linkat", "listen",
	"listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "madvise",
	"map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir",
	"mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "modify_ldt",
	"mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend",
	"mq_unlink", "mremap", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock",
	"munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open",
	"openat", "openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl", "pread64",
	"preadv", "preadv2", "prlimit64", "process_mrelease", "process_vm_readv",
	"process_vm_writev", "pselect6", "ptrace", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readlink", "readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg",
	"remap_file_pages", "removexattr", "rename", "renameat", "renameat2", "restart_syscall",
	"rmdir", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
	"rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
	"sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
	"sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
	"sendfile", "sendmmsg", "sendmsg", "sendto", "set_robust_list", "set_thread_area",
	"set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups", "setitimer",
	"setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit",
	"setsid", "setsockopt", "setuid", "setxattr", "shmat", "shmctl", "shmdt", "shmget",
	"shutdown", "sigaltstack", "signalfd", "signalfd4", "socketpair", "splice", "stat",
	"statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs",
	"sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun",
	"timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
	"timerfd_settime", "times", "tkill", "truncate", "umask", "uname", "unlink", "unlinkat",
	"utime", "utimensat", "utimes", "vfork", "vmsplice", "wait4", "waitid", "write",
	"writev",
};

static const char *const sys_admin[] = {
	"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
	"lookup_dcookie", "mount", "mount_setattr", "move_mount", "open_tree",
	"perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns",
	"syslog", "umount2", "unshare",
};
static const char *const dac_read_search[] = {
	"open_by_handle_at",
};
static const char *const sys_boot[] = {
	"reboot",
};
static const char *const sys_chroot[] = {
	"chroot",
};
static const char *const sys_module[] = {
	"delete_module", "init_module", "finit_module",
};
static const char *const sys_pacct[] = {
	"acct",
};
static const char *const sys_ptrace[] = {
	"kcmp", "pidfd_getfd", "process_madvise",
};
static const char *const sys_rawio[] = {
	"iopl", "ioperm",
};
static const char *const sys_time[] = {
	"settimeofday", "clock_settime",
};
static const char *const sys_tty_config[] = {
	"vhangup",
};
static const char *const sys_nice[] = {
	"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node",
};
static const char *const syslog[] = {
	"syslog",
};
static const char *const bpf[] = {
	"bpf",
};
static const char *const perfmon[] = {
	"perf_event_open",
};

#define ROW(cap, list) {cap, list, ARRAY_LEN(list)}

const struct seccomp_group seccomp_groups[] = {
	ROW(-1, base),
	ROW(CAP_SYS_ADMIN, sys_admin),
	ROW(CAP_DAC_READ_SEARCH, dac_read_search),
	ROW(CAP_SYS_BOOT, sys_boot),
	ROW(CAP_SYS_CHROOT, sys_chroot),
	ROW(CAP_SYS_MODULE, sys_module),
	ROW(CAP_SYS_PACCT, sys_pacct),
	ROW(CAP_SYS_PTRACE, sys_ptrace),
	ROW(CAP_SYS_RAWIO, sys_rawio),
	ROW(CAP_SYS_TIME, sys_time),
	ROW(CAP_SYS_TTY_CONFIG, sys_tty_config),
	ROW(CAP_SYS_NICE, sys_nice),
	ROW(CAP_SYSLOG, syslog),
	ROW(CAP_BPF, bpf),
	ROW(CAP_PERFMON, perfmon),
};

const size_t seccomp_n_groups = ARRAY_LEN(seccomp_groups);
