/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns: the fence of the name server: it holds its listening sockets already, reads its credentials and the
 * resolvers, opens UDP and TCP connections of its own, and makes files without a name (memfd), for PID 1 to keep.
 * Source: architecture.md section 3. */
#include "init/commands.h"
#include "init/sandbox.h"

#include "orchestrator/nodenet/dns_role.h"

#include <sys/resource.h>
#include <sys/syscall.h>

int
dns_fence(struct err *e)
{
	/* resolv.conf is replaced, so it is its folder that is allowed; who may read what there, the owners of
	 * the files say. */
	static const char *const read_paths[] = {"/run", "/proc/self", "/etc", NULL};
	static const int more[] = {SYS_bind, SYS_connect, SYS_memfd_create};
	struct rlimit core = {0, 0};
	const struct sandbox s = {
		.uid = DNS_ROLE_UID,
		.gid = DNS_ROLE_UID,
		.read_paths = read_paths,
		.inet_sockets = true,
		.more_calls = more,
		.n_more_calls = ARRAY_LEN(more),
	};
	setrlimit(RLIMIT_CORE, &core);
	return sandbox_enter(&s, e);
}
