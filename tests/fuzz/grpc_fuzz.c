/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * grpc_fuzz: any bytes as the reply of a health check, cut anywhere. Holds: what is kept and what is said stay
 * bounded by what came. */
#include "base/err.h"
#include "orchestrator/node/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grpc_check g = {0};
	struct str all = str_from((const char *)data, size);
	int rc = grpc_check_begin(&g, STR("10.0.0.1:80"), STR("x"));
	size_t begun = g.out.len;
	for (size_t at = 0; rc == 0 && at < size;) {
		size_t n = data[at] % 64 + 1;
		rc = grpc_check_feed(&g, str_sub(all, at, at + n));
		at += n;
	}
	BUG_ON(rc == 1 && grpc_check_status(&g) && g.message.len < 5);
	BUG_ON(g.message.len > size || g.in.len > size || g.out.len > begun + 2 * size + 9);
	grpc_check_release(&g);
	return 0;
}
