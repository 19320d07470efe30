/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cron_fuzz: schedules of CronJobs. What can be read has a next time that is later, on the minute, and the next
 * one also seen from a second before it. */
#include "orchestrator/schema/cron.h"

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t starts[] = {0, 951782399, 1700000000, 4102444799};
	struct arena *a = arena_new(1u << 20);
	struct cron c;

	if (a == NULL)
		return 0;
	if (cron_parse(a, str_from((const char *)data, size), &c) == NULL)
		for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
			int64_t next = cron_next(&c, starts[i]);

			BUG_ON(next != 0 && next <= starts[i]);
			if (next == 0 || c.every_s)
				continue;
			BUG_ON(next % 60 != 0);
			BUG_ON(cron_next(&c, next - 1) != next);
		}
	arena_free(a);
	return 0;
}
