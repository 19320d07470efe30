/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * boot: from the kernel's hand-over to a machine on which roles can run: the root, file systems, control
 * groups, console, host name, kernel settings, the data disk; and the way back: unmount and power.
 * PID 1 only, before its loop runs (boot_*) and after it has ended (boot_end).
 * Must not: make file systems, run any other program, parse what came from a network. */
#ifndef INIT_BOOT_H
#define INIT_BOOT_H

#include "base/err.h"
#include "init/supervise.h"

#define BOOT_CGROUP_ROOT "/sys/fs/cgroup/keelson"
#define BOOT_DATA "/data"

/* boot_mounts: root (a mount that containers can pivot from, read-only), /proc, /sys, /dev, /run, /tmp,
 * control groups with all controllers handed down. Errors: -errno; e names the mount. */
int boot_mounts(struct err *e);
/* boot_console: standard input, output and error are /dev/console. */
void boot_console(void);
/* boot_settings: host name, resource limits, the table of kernel settings. A setting that this kernel
 * does not have is logged, no error. */
void boot_settings(struct str name);
/* boot_data: mounts the data disk at /data (a tmpfs when dev is ""), waiting up to 10 s for the device;
 * /var and /opt live on it. Errors: -ENODEV the device does not come, -EINVAL no ext4 on it. */
int boot_data(struct str dev, struct err *e);
/* boot_power_button: ends the machine in order when the power button is pressed. None there: nothing. */
void boot_power_button(struct supervisor *sv);
/* boot_end: flushes and unmounts the disk, then reboots or powers off. Does not return as PID 1. */
void boot_end(enum stop_kind kind);

#endif
