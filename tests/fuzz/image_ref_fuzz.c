/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * image_ref_fuzz: any bytes as an image reference (what is taken stays itself when taken again), as
 * registry credentials, as passwd and group files, as a log line. */
#include <errno.h>

#include "orchestrator/runtime/image/auth.h"
#include "orchestrator/runtime/image/ref.h"
#include "orchestrator/runtime/log_format.h"
#include "orchestrator/runtime/runtime.h"
#include "orchestrator/runtime/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct str in = str_from((const char *)data, size);
	struct str once = STR_NONE;
	struct str twice = STR_NONE;
	struct image_auth auth = {STR_NONE, STR_NONE};
	struct user_want want = {.user = STR("app:app")};
	struct user_found found = {0};
	struct log_entry line = {0};
	struct err e = {0};

	BUG_ON(!a);
	if (runtime_image_ref_normalize(a, in, &once, &e) == 0) {
		BUG_ON(runtime_image_ref_normalize(a, once, &twice, &e));
		BUG_ON(!str_eq(once, twice));
	} else {
		BUG_ON(!e.msg[0]);
	}
	image_auth_find(a, in, STR("registry.example"), STR("team/app"), &auth, NULL);
	user_resolve(a, in, in, &want, &found, NULL);
	want.user = in;
	user_resolve(a, STR("root:x:0:0::/:\n"), STR("root:x:0:\n"), &want, &found, NULL);
	if (log_format_parse(in, &line) == 0)
		BUG_ON(line.text.n > in.n || !line.stream);
	arena_free(a);
	return 0;
}
