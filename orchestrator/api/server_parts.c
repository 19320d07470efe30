/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server_parts: what runs in the control role besides the API server, in the order of its start. Each part
 * is a task of its own and meets the API by a direct client like any other user. */
#include "orchestrator/api/api.h"

extern const struct server_part control_part, schedule_part;

const struct server_part *const server_parts[] = {
	&control_part,
	&schedule_part,
	NULL,
};
