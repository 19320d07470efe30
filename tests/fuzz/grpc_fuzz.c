/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * grpc_fuzz: any bytes as the reply of a health check, cut anywhere. Holds: what is kept and what is said stay
 * bounded by what came; whole and in pieces give the same. */
#include "base/err.h"
#include "orchestrator/node/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* run: what the reply came to; `cut`: in pieces as long as their first byte says. */
static int
run(struct str in, bool cut, struct grpc_check *g)
{
	int rc = grpc_check_begin(g, STR("10.0.0.1:80"), STR("x"));
	size_t begun = g->out.len;
	for (size_t at = 0; rc == 0 && at < in.n;) {
		size_t n = cut ? (uint8_t)in.p[at] % 64 + 1u : in.n;
		rc = grpc_check_feed(g, str_sub(in, at, at + n));
		at += n;
	}
	BUG_ON(rc == 1 && grpc_check_status(g) && g->message.len < 5);
	BUG_ON(g->message.len > in.n || g->in.len > in.n || g->out.len > begun + 2 * in.n + 9);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grpc_check whole = {0}, parts = {0};
	struct str in = str_from((const char *)data, size);
	BUG_ON(run(in, false, &whole) != run(in, true, &parts));
	BUG_ON(!str_eq(buf_view(&whole.message), buf_view(&parts.message)) ||
		!str_eq(buf_view(&whole.out), buf_view(&parts.out)));
	grpc_check_release(&whole);
	grpc_check_release(&parts);
	return 0;
}
