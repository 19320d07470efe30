/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The machine configuration's decoder over any bytes. */
#include "orchestrator/machine/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct machine_config c;
	struct err e = {0};
	if (a)
		(void)machine_config_parse(a, str_from((const char *)data, size), &c, &e);
	arena_free(a);
	return 0;
}
