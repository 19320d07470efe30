/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * image_manifest_fuzz: any bytes as a manifest or index, an image configuration, a seccomp profile, a
 * state file. */
#include "orchestrator/runtime/image/manifest.h"
#include "orchestrator/runtime/image/ref.h"
#include "orchestrator/runtime/seccomp.h"
#include "orchestrator/runtime/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct str in = str_from((const char *)data, size);
	struct image_manifest m = {0};
	struct image_config c = {0};
	struct container_rec r = {0};
	struct buf prog = BUF_INIT;
	struct err e = {0};

	BUG_ON(!a);
	if (image_manifest_parse(a, in, STR_NONE, STR("amd64"), &m, &e) == 0) {
		BUG_ON(m.is_index ? !image_digest_ok(m.chosen.digest)
				  : !image_digest_ok(m.config.digest) ||
					m.n_layers > IMAGE_MAX_LAYERS);
		for (size_t i = 0; i < m.n_layers; i++)
			BUG_ON(!image_digest_ok(m.layers[i].digest));
	} else {
		BUG_ON(!e.msg[0]);
	}
	if (image_config_parse(a, in, &c, &e) == 0)
		for (size_t i = 0; i < c.n_diff_ids; i++)
			BUG_ON(!image_digest_ok(c.diff_ids[i]));
	seccomp_from_json(a, in, &prog, &e);
	state_parse(a, &state_container_table, in, &r);
	pack_get(a, &state_container_table, in, &r);
	buf_release(&prog);
	arena_free(a);
	return 0;
}
