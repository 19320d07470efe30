/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * container_spec: from a description and an image to what really runs: checks, argv, env, signal. Pure. */
#ifndef RUNTIME_CONTAINER_SPEC_H
#define RUNTIME_CONTAINER_SPEC_H

#include "orchestrator/runtime/image/store.h"
#include "orchestrator/runtime/state.h"

/* container_spec_check: what can be said without looking at disk or image. 0 or -EINVAL (e). */
int container_spec_check(const struct runtime_container_spec *s, struct err *e);
/* container_spec_resolve: fills argv, env, cwd, caps and stop_signal of rec from rec->spec and the image.
 * arena. Errors: -EINVAL (e: "no command specified", capability, signal), -ENOMEM. */
int container_spec_resolve(struct arena *a, struct container_rec *rec,
	const struct image_config *img, struct str hostname, struct err *e);
/* container_env_add: one more variable unless it is set. 0, -ENOMEM. */
int container_env_add(
	struct arena *a, struct container_rec *rec, const char *name, struct str value);
/* container_signal: "SIGTERM", "term", "15", "SIGRTMIN+3"; -EINVAL. */
int container_signal(struct str name);

#endif
