/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * caps: see caps.h. */
#include "orchestrator/runtime/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>

static const char *const names[CAP_LAST_CAP + 1] = {
	[CAP_CHOWN] = "CHOWN",
	[CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
	[CAP_FOWNER] = "FOWNER",
	[CAP_FSETID] = "FSETID",
	[CAP_KILL] = "KILL",
	[CAP_SETGID] = "SETGID",
	[CAP_SETUID] = "SETUID",
	[CAP_SETPCAP] = "SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "NET_BROADCAST",
	[CAP_NET_ADMIN] = "NET_ADMIN",
	[CAP_NET_RAW] = "NET_RAW",
	[CAP_IPC_LOCK] = "IPC_LOCK",
	[CAP_IPC_OWNER] = "IPC_OWNER",
	[CAP_SYS_MODULE] = "SYS_MODULE",
	[CAP_SYS_RAWIO] = "SYS_RAWIO",
	[CAP_SYS_CHROOT] = "SYS_CHROOT",
	[CAP_SYS_PTRACE] = "SYS_PTRACE",
	[CAP_SYS_PACCT] = "SYS_PACCT",
	[CAP_SYS_ADMIN] = "SYS_ADMIN",
	[CAP_SYS_BOOT] = "SYS_BOOT",
	[CAP_SYS_NICE] = "SYS_NICE",
	[CAP_SYS_RESOURCE] = "SYS_RESOURCE",
	[CAP_SYS_TIME] = "SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
	[CAP_MKNOD] = "MKNOD",
	[CAP_LEASE] = "LEASE",
	[CAP_AUDIT_WRITE] = "AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
	[CAP_SETFCAP] = "SETFCAP",
	[CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "MAC_ADMIN",
	[CAP_SYSLOG] = "SYSLOG",
	[CAP_WAKE_ALARM] = "WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "AUDIT_READ",
	[CAP_PERFMON] = "PERFMON",
	[CAP_BPF] = "BPF",
	[CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

#define BIT(c) ((uint64_t)1 << (c))

uint64_t
caps_default(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
		BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
		BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
		BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

uint64_t
caps_all(void)
{
	static uint64_t all;

	/* What this process can hand on: the kernel's set, less what the bounding set has lost. */
	if (!all) {
		uint64_t set = 0;

		for (int c = 0; c < 63; c++)
			if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
				set |= BIT(c);
		all = set;
	}
	return all;
}

int
caps_parse(struct str name, uint64_t *ret, struct err *e)
{
	struct str n = name;

	if (n.n > 4 && str_eq_nocase(str_sub(n, 0, 4), STR("CAP_")))
		n = str_sub(n, 4, SIZE_MAX);
	if (str_eq_nocase(n, STR("ALL"))) {
		*ret = caps_all();
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq_nocase(n, str_c(names[i]))) {
			*ret = BIT(i);
			return 0;
		}
	}
	return err_set(e, -EINVAL, R_INVALID, "unknown capability \"" STR_FMT "\"", STR_ARG(name));
}

int
caps_resolve(bool privileged, const struct str *add, size_t n_add, const struct str *drop,
	size_t n_drop, uint64_t *ret, struct err *e)
{
	uint64_t all = caps_all();
	uint64_t set = privileged ? all : caps_default();
	uint64_t single_add = 0;
	uint64_t single_drop = 0;

	for (size_t i = 0; i < n_add + n_drop; i++) {
		bool adding = i < n_add;
		uint64_t bits = 0;
		int rc = caps_parse(adding ? add[i] : drop[i - n_add], &bits, e);

		if (rc)
			return rc;
		if (bits == all)
			set = adding ? all : 0;
		else if (adding)
			single_add |= bits;
		else
			single_drop |= bits;
	}
	*ret = ((set | single_add) & ~single_drop) & all;
	return 0;
}
