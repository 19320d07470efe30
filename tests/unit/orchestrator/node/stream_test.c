/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/node/stream.c"

#include "tests/unit/test.h"

#define OK "{\"metadata\":{},\"status\":\"Success\"}"
#define THREE                                                                                      \
	"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero "  \
	"exit code: exit code 3\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{"       \
	"\"reason\":\"ExitCode\",\"message\":\"3\"}]}}"
#define FAILED                                                                                     \
	"{\"metadata\":{},\"status\":\"Failure\",\"message\":\"no \\\"x\\\"\","                    \
	"\"reason\":\"InternalError\",\"code\":500}"

TEST(clients_of_old_protocols_take_a_success_for_output)
{
	const struct err none = {0}, bad = {.code = -ENOENT, .msg = "no \"x\""};
	const struct {
		bool json;
		int code;
		const struct err *e;
		const char *text;
	} rows[] = {
		{true, 0, NULL, OK},
		{true, 0, &none, OK},
		{true, 3, NULL, THREE},
		{true, 1, &bad, FAILED},
		{false, 0, NULL, ""},
		{false, 3, NULL, "command terminated with non-zero exit code: exit code 3"},
		{false, 1, &bad, "no \"x\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		status_write(&b, rows[i].json, rows[i].code, rows[i].e);
		CHECK_STR(buf_view(&b), rows[i].text);
	}
}
