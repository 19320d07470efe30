/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/node/grpc.c"

#include "tests/unit/test.h"

#define BYTES(text) str_from(text, sizeof(text) - 1)
/* What a Go server says: its settings, an acknowledgement of ours, a head, the message, trailers. */
#define HELLO                                                                                      \
	"\0\0\6\4\0\0\0\0\0\0\5\0\0\x40\0"                                                         \
	"\0\0\0\4\1\0\0\0\0"
#define HEADS "\0\0\2\1\4\0\0\0\1\x88\x5f"
#define ENDS "\0\0\1\1\5\0\0\0\1\x40"

TEST(a_probe_by_grpc_asks_what_servers_understand)
{
	struct grpc_check g = {0};
	CHECK_INT(grpc_check_begin(&g, STR("10.0.0.1:5000"), STR("x")), 0);
	CHECK_STR(buf_view(&g.out),
		BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		      "\0\0\0\4\0\0\0\0\0"
		      "\0\0\x61\1\4\0\0\0\1"
		      "\x83\x86\4\x1c/grpc.health.v1.Health/Check\1\r10.0.0.1:5000"
		      "\x0f\x10\x10"
		      "application/grpc\x0f\x2b\x0f"
		      "kube-probe/1.37"
		      "\0\2te\x08trailers"
		      "\0\0\x08\0\1\0\0\0\1\0\0\0\0\3\n\1x"));
	grpc_check_release(&g);
}

TEST(a_container_with_a_probe_by_grpc_is_restarted_though_it_serves)
{
	const struct {
		struct str reply;
		int rc;
		const char *status;
	} rows[] = {
		{BYTES(HELLO HEADS "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\1" ENDS), 1, "SERVING"},
		{BYTES(HELLO HEADS "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\2" ENDS), 1, "NOT_SERVING"},
		{BYTES(HELLO HEADS "\0\0\5\0\0\0\0\0\1\0\0\0\0\0" ENDS), 1, "UNKNOWN"},
		/* in two frames, one of them padded */
		{BYTES(HELLO HEADS "\0\0\6\0\0\0\0\0\1\0\0\0\0\2\x08"
				   "\0\0\4\0\x08\0\0\0\1\2\1--" ENDS),
			1, "SERVING"},
		/* trailers alone: the service is unknown */
		{BYTES(HELLO ENDS), 1, NULL},
		{BYTES(HELLO HEADS "\0\0\7\0\0\0\0\0\1\1\0\0\0\2\x08\1" ENDS), 1, NULL},
		{BYTES(HELLO HEADS "\0\0\7\0\0\0\0\0\1\0\0\0\0\2\x08\7" ENDS), 1, NULL},
		{BYTES(HELLO HEADS "\0\0\7\0\0\0\0\0\1\0\0\0\0\3\x08\1" ENDS), 1, NULL},
		{BYTES(HELLO HEADS), 0, NULL},
		{BYTES(HELLO "\0\0\4\3\0\0\0\0\1\0\0\0\7"), -EPROTO, NULL},
		{BYTES(HELLO HEADS "\0\0\2\0\x08\0\0\0\1\2x"), -EPROTO, NULL},
		{BYTES("HTTP/1.1 400 Bad Request\r\n"), -EPROTO, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step <= rows[i].reply.n; step += rows[i].reply.n - 1) {
			struct grpc_check g = {0};
			int rc = grpc_check_begin(&g, STR("a:1"), STR(""));
			buf_clear(&g.out);
			for (size_t at = 0; rc == 0 && at < rows[i].reply.n; at += step)
				rc = grpc_check_feed(&g, str_sub(rows[i].reply, at, at + step));
			const char *status = rc == 1 ? grpc_check_status(&g) : NULL;
			CHECK_INT(rc, rows[i].rc);
			CHECK_STR(
				str_c(status ? status : ""), rows[i].status ? rows[i].status : "");
			if (rc == 1) /* their settings were acknowledged, once */
				CHECK_STR(buf_view(&g.out), BYTES("\0\0\0\4\1\0\0\0\0"));
			grpc_check_release(&g);
		}
}
