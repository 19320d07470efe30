/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control: how the control role gets from root to serving: its folder and the cluster's authority are
 * laid where the API server looks for them, then the fence is entered, then the API server takes over.
 * Must not: read anything from the network. Source: docs/machine-config.md; architecture.md section 3. */
#include "init/boot.h"
#include "init/commands.h"

#include "base/disk.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONTROL_DIR BOOT_DATA "/control"
enum { CONTROL_UID = 900, API_PORT = 6443 };

/* owned: makes the folder if it must, and gives it to the role. */
static int
owned_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "making '%s'", path);
	if (chown(path, CONTROL_UID, CONTROL_UID) < 0)
		return err_errno(e, -errno, "giving away '%s'", path);
	return 0;
}

static int
owned_file(const char *path, struct str text, struct err *e)
{
	int rc = disk_keep_file(path, text, 0600);
	if (rc == 0 && chown(path, CONTROL_UID, CONTROL_UID) < 0)
		rc = -errno;
	return rc < 0 ? err_errno(e, rc, "writing '%s'", path) : 0;
}

int
control_prepare(const struct machine_config *c, struct err *e)
{
	int rc = owned_dir(CONTROL_DIR, e);
	if (rc == 0)
		rc = owned_dir(CONTROL_DIR "/pki", e);
	if (rc == 0)
		rc = owned_file(CONTROL_DIR "/pki/ca.crt", c->cluster.ca, e);
	return rc < 0 ? rc : owned_file(CONTROL_DIR "/pki/ca.key", c->cluster.ca_key, e);
}

int
control_fence(struct err *e)
{
	static const char *const write_paths[] = {CONTROL_DIR, NULL};
	/* What may be read besides: the resolver's servers, facts about processors and memory, and which boot
	 * this is: without it the store throws its history away. */
	static const char *const read_paths[] = {"/run", "/proc/self", "/proc/meminfo",
		"/sys/devices/system/cpu", "/proc/sys/kernel/random/boot_id", NULL};
	static const uint16_t ports[] = {API_PORT};
	static const int more[] = {SYS_bind, SYS_connect};
	struct rlimit core = {0, 0};
	const struct sandbox s = {
		.uid = CONTROL_UID,
		.gid = CONTROL_UID,
		.write_paths = write_paths,
		.read_paths = read_paths,
		.bind_ports = ports,
		.n_bind_ports = ARRAY_LEN(ports),
		.inet_sockets = true,
		.more_calls = more,
		.n_more_calls = ARRAY_LEN(more),
	};
	setrlimit(RLIMIT_CORE, &core);
	return sandbox_enter(&s, e);
}
