/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * auth: registry credentials out of .dockerconfigjson and .dockercfg. A total function over the bytes.
 * Source: docker config.json "auths"; kubelet's matching of its keys (globs per host label, path prefix). */
#ifndef RUNTIME_IMAGE_AUTH_H
#define RUNTIME_IMAGE_AUTH_H

#include "base/arena.h"
#include "base/err.h"

struct image_auth {
	struct str username, password;
};

/* image_auth_find: the credentials `config` has for domain/path; the most specific key wins. arena.
 * 0 found, -ENOENT none, -EINVAL not such a file (e), -ENOMEM. */
int image_auth_find(struct arena *a, struct str config, struct str domain, struct str path,
	struct image_auth *ret, struct err *e);

#endif
