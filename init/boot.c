/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * boot: see boot.h. What is mounted and what is set are two tables.
 * Sources: Linux Documentation/filesystems/ramfs-rootfs-initramfs.rst, admin-guide/cgroup-v2.rst,
 * admin-guide/sysctl; kubelet's expected kernel settings (KernelDefaults). */
#include "init/boot.h"

#include "base/disk.h"
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVICE_WAIT_NS (10 * NS_PER_SEC)

struct boot_mount {
	const char *type, *at;
	unsigned long flags;
	const char *options;
	bool optional; /* a kernel without it boots all the same */
};

static const struct boot_mount mounts[] = {
	{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
	{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false},
	{"devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=755", false},
	{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", false},
	{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", false},
	{"mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
	{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755,size=25%", false},
	{"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=10%", false},
	{"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"nsdelegate,memory_recursiveprot", false},
	{"securityfs", "/sys/kernel/security", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
	{"efivarfs", "/sys/firmware/efi/efivars", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, true},
};

struct setting {
	const char *path, *value;
};

/* Below /proc/sys. The first five are what upstream's kubelet insists on. */
static const struct setting settings[] = {
	{"vm/overcommit_memory", "1"},
	{"kernel/panic", "10"},
	{"kernel/panic_on_oops", "1"},
	{"kernel/keys/root_maxkeys", "1000000"},
	{"kernel/keys/root_maxbytes", "25000000"},
	{"vm/max_map_count", "262144"},
	{"kernel/pid_max", "4194304"},
	{"kernel/printk", "4 4 1 7"},
	{"kernel/yama/ptrace_scope", "1"},
	{"fs/inotify/max_user_instances", "8192"},
	{"fs/inotify/max_user_watches", "524288"},
	{"fs/aio-max-nr", "1048576"},
	{"fs/protected_hardlinks", "1"},
	{"fs/protected_symlinks", "1"},
	{"net/core/somaxconn", "4096"},
	{"net/ipv4/ip_forward", "1"},
	{"net/ipv4/ping_group_range", "0 2147483647"},
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	/* 2: also while this machine forwards. */
	{"net/ipv6/conf/all/accept_ra", "2"},
	{"net/ipv6/conf/default/accept_ra", "2"},
	{"net/ipv6/conf/all/forwarding", "1"},
};

static int
mount_at(const char *source, const char *at, const char *type, unsigned long flags,
	const char *options, struct err *e)
{
	if (mount(source, at, type, flags, options) == 0)
		return 0;
	return err_errno(e, -errno, "mounting '%s' at '%s'",
		type             ? type
			: source ? source
				 : "",
		at);
}

/* The kernel's first root has no parent, and pivot_root refuses to leave such a one. So the root is
 * bound to itself, the bind is moved on top, and that is where this process goes on. */
static int
root_rebind(struct err *e)
{
	int rc = mount_at("/", "/mnt", NULL, MS_BIND, NULL, e);
	if (rc < 0)
		return rc;
	if (chdir("/mnt") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
		chdir("/") < 0)
		return err_errno(e, -errno, "moving the root");
	return 0;
}

static int
file_write(const char *path, const char *value)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* Every controller that is there is handed down to the root's children. */
static int
cgroup_delegate(struct err *e)
{
	_cleanup_buf_ struct buf have = BUF_INIT;
	int rc = disk_read_file("/sys/fs/cgroup/cgroup.controllers", 4096, &have);
	if (rc < 0)
		return err_errno(e, rc, "reading the control groups' controllers");
	if (mkdir(BOOT_CGROUP_ROOT, 0755) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "making '%s'", BOOT_CGROUP_ROOT);
	struct str rest = str_trim(buf_view(&have)), name;
	while (str_next(&rest, ' ', &name)) {
		char word[64];
		snprintf(word, sizeof(word), "+" STR_FMT, STR_ARG(name));
		rc = file_write("/sys/fs/cgroup/cgroup.subtree_control", word);
		if (rc == 0)
			rc = file_write(BOOT_CGROUP_ROOT "/cgroup.subtree_control", word);
		if (rc < 0)
			log_warn("control group controller " STR_FMT ": %s", STR_ARG(name),
				strerror(-rc));
	}
	return 0;
}

int
boot_mounts(struct err *e)
{
	int rc = root_rebind(e);
	for (size_t i = 0; i < ARRAY_LEN(mounts) && rc == 0; i++) {
		const struct boot_mount *m = &mounts[i];
		if (!m->optional && mkdir(m->at, 0755) < 0 && errno != EEXIST)
			return err_errno(e, -errno, "making '%s'", m->at);
		rc = mount_at(
			m->type, m->at, m->type, m->flags, m->options, m->optional ? NULL : e);
		if (rc < 0 && m->optional)
			rc = 0;
	}
	if (rc == 0)
		rc = mount_at(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL, e);
	/* Volumes that containers mount are to be seen here when they ask for it. */
	if (rc == 0)
		rc = mount_at(NULL, "/", NULL, MS_REC | MS_SHARED, NULL, e);
	return rc < 0 ? rc : cgroup_delegate(e);
}

void
boot_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < 3; i++)
		if (fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

void
boot_settings(struct str name)
{
	struct rlimit files = {1 << 20, 1 << 20};
	char path[128];
	if (sethostname(name.p, name.n) < 0)
		log_warn("host name '" STR_FMT "': %s", STR_ARG(name), strerror(errno));
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_warn("limit of open files: %s", strerror(errno));
	umask(022);
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		snprintf(path, sizeof(path), "/proc/sys/%s", settings[i].path);
		int rc = file_write(path, settings[i].value);
		if (rc < 0)
			log_warn("setting %s: %s", settings[i].path, strerror(-rc));
	}
	reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del comes as SIGINT */
}

/* device_wait: until the node is in /dev or the time is over. The watch stands before the first look. */
static int
device_wait(const char *path)
{
	int64_t deadline_ns = clock_mono_ns() + DEVICE_WAIT_NS;
	_cleanup_fd_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE | IN_ATTRIB) < 0)
		return -errno;
	for (;;) {
		struct stat st;
		char events[4096];
		struct pollfd p = {watch, POLLIN, 0};
		int64_t left_ms = (deadline_ns - clock_mono_ns()) / NS_PER_MS;
		if (stat(path, &st) == 0)
			return S_ISBLK(st.st_mode) ? 0 : -ENOTBLK;
		if (left_ms <= 0)
			return -ENODEV;
		if (poll(&p, 1, (int)left_ms) > 0 && read(watch, events, sizeof(events)) < 0 &&
			errno != EAGAIN)
			return -errno;
	}
}

static int
data_dirs(struct err *e)
{
	static const struct {
		const char *dir, *at;
	} binds[] = {{BOOT_DATA "/var", "/var"}, {BOOT_DATA "/opt", "/opt"}};
	for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
		if (mkdir(binds[i].dir, 0755) < 0 && errno != EEXIST)
			return err_errno(e, -errno, "making '%s'", binds[i].dir);
		int rc = mount_at(binds[i].dir, binds[i].at, NULL, MS_BIND, NULL, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
boot_data(struct str dev, struct err *e)
{
	char path[256];
	int rc;
	if (dev.n == 0) {
		log_warn("no data disk: everything is lost when this machine ends");
		rc = mount_at(
			"tmpfs", BOOT_DATA, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=75%", e);
		return rc < 0 ? rc : data_dirs(e);
	}
	if (!str_copy_c(dev, path, sizeof(path)))
		return err_set(e, -EINVAL, R_INVALID, "the data disk's name is too long");
	rc = device_wait(path);
	if (rc < 0)
		return err_errno(e, rc, "waiting for the data disk '%s'", path);
	if (mount(path, BOOT_DATA, "ext4", MS_NOATIME | MS_NOSUID | MS_NODEV, "errors=remount-ro") <
		0) {
		rc = -errno;
		if (rc == -EINVAL)
			return err_set(e, rc, R_INVALID,
				"the data disk '%s' holds no ext4 file system; make one with 'mke2fs -t "
				"ext4' elsewhere, this machine does not",
				path);
		return err_errno(e, rc, "mounting the data disk '%s'", path);
	}
	return data_dirs(e);
}

void
boot_end(enum stop_kind kind)
{
	static const char *const last_at[] = {"/opt", "/var", BOOT_DATA};
	sync();
	for (size_t i = 0; i < ARRAY_LEN(last_at); i++) {
		/* Something may still hold it: then it is at least clean and read-only. */
		if (umount2(last_at[i], UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
			mount(NULL, last_at[i], NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
	sync();
	log_info("%s", kind == STOP_POWEROFF ? "power off" : "reboot");
	reboot(kind == STOP_POWEROFF ? RB_POWER_OFF : RB_AUTOBOOT);
	log_error("reboot: %s", strerror(errno));
}
