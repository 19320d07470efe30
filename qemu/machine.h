/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * machine: one QEMU guest of a test cluster: its command line, its life, its QMP socket; and the choice
 * between KVM and TCG, which is made by booting, not by opening the device (a /dev/kvm that opens may
 * still hang stock guests). Blocking calls: this is a command-line tool.
 * A disk is recorded by QEMU's blklogwrites, in the format of the kernel's dm-log-writes.
 * Sources: QEMU 7.2 invocation and QMP reference; docs/system/i386/microvm. */
#ifndef QEMU_MACHINE_H
#define QEMU_MACHINE_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

enum backend { BACKEND_AUTO, BACKEND_KVM, BACKEND_TCG };

struct machine_spec {
	const char *name;
	const char *dir;     /* console.log and pid file stand here */
	const char *run_dir; /* sockets: <name>.sock (fabric), <name>.qmp, <name>.console */
	const char *kernel;
	const char *initrd;
	const char *disk;   /* raw image; NULL = none */
	const char *record; /* every write and flush of the disk goes there too; NULL = none */
	uint8_t mac[6];
	unsigned mem_mib, cpus;
	enum backend backend; /* not AUTO */
	const char *append;   /* further words for the kernel command line; NULL = none */
};

/* machine_start: starts QEMU in the background, detached; its pid goes to <dir>/pid. -EALREADY when it
 * runs. Errors: -errno, -ENOENT no qemu-system-x86_64. */
int machine_start(const struct machine_spec *m, struct err *e);
/* machine_pid: pid of the running QEMU of this folder, or -ESRCH. A pid used again by another process
 * is told apart by its start time. */
pid_t machine_pid(const char *dir);
/* machine_powerdown: ACPI power button by QMP. machine_kill: SIGKILL, as a power cut; waits for the end.
 * 0 (also when it did not run) or -errno. */
int machine_powerdown(const char *run_dir, const char *name, struct err *e);
int machine_kill(const char *dir);
/* machine_wait_end: until the process is gone. 0 or -ETIMEDOUT. */
int machine_wait_end(const char *dir, int timeout_ms);
/* machine_backend: KVM when `wanted` says so or, for AUTO, when a trial boot of `kernel` prints to its
 * console within 3 s; else TCG. *why gets a static text. */
enum backend machine_backend(
	enum backend wanted, const char *kernel, const char *tmp_dir, const char **why);

/* process_start: argv in the background, own session, standard output and error appended to log_path,
 * standard output to `ready_fd` instead when >= 0. Returns the pid or -errno. pid_path (may be NULL) gets
 * "pid start-time". */
pid_t process_start(
	const char *const argv[], const char *log_path, int ready_fd, const char *pid_path);
/* process_pid: the process of a pid file that is still the same one, or -ESRCH. */
pid_t process_pid(const char *pid_path);
/* process_kill: signal, wait until gone (SIGKILL after timeout). */
int process_kill(const char *pid_path, int sig, int timeout_ms);

#endif
