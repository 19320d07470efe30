/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pull: a reference becomes an image: resolve, manifest, configuration, layers, index. One struct
 * runtime_pull per call of runtime_image_pull; also the import of images from a file. Loop only. */
#ifndef RUNTIME_IMAGE_PULL_H
#define RUNTIME_IMAGE_PULL_H

#include "orchestrator/runtime/image/fetch.h"

typedef void image_pulled_fn(
	void *arg, struct str image_id, uint64_t size_bytes, const struct err *e);

/* image_pull_start, image_pull_cancel: see runtime_image_pull. */
int image_pull_start(struct image_fetcher *f, const struct runtime_pull_spec *spec,
	image_pulled_fn *done, void *arg, struct runtime_pull **ret, struct err *e);
void image_pull_cancel(struct runtime_pull *p);
/* image_open_to: see runtime_image_open_to. */
bool image_open_to(struct image_store *s, const struct runtime_pull_spec *spec);
/* image_pulls_drop: all that are under way end here without a word; only before image_fetcher_free. */
void image_pulls_drop(struct image_fetcher *f);
/* image_import_start: see runtime_image_import. */
int image_import_start(struct image_store *s, struct str path, image_pulled_fn *done, void *arg);

#endif
