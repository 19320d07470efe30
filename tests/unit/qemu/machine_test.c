/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What QEMU is told about a guest's clock. */
#include "qemu/machine.c"

#include "tests/unit/test.h"

static const char *
command_line(enum backend b, struct arena *a)
{
	struct args x = {.a = a};
	struct machine_spec m = {.name = "n",
		.dir = "/d",
		.run_dir = "/r",
		.kernel = "k",
		.initrd = "i",
		.mem_mib = 512,
		.cpus = 1,
		.backend = b};
	qemu_args(&x, &m);
	for (size_t i = 0; i + 1 < x.n; i++)
		if (strcmp(x.v[i], "-append") == 0)
			return x.v[i + 1];
	return "";
}

TEST(a_guest_under_tcg_keeps_its_time_on_a_busy_host)
{
	struct arena *a = arena_new(1 << 20);
	CHECK(strstr(command_line(BACKEND_TCG, a), " tsc=reliable ") != NULL);
	CHECK(strstr(command_line(BACKEND_KVM, a), "tsc") == NULL);
	arena_free(a);
}

TEST(the_counters_frequency_is_measured)
{
	int64_t from_ns = 0, to_ns = 0;
	double khz = tsc_khz();
	uint64_t from = tsc_at(&from_ns);
	poll(NULL, 0, 200);
	uint64_t to = tsc_at(&to_ns);
	double again = (double)(to - from) * 1e6 / (double)(to_ns - from_ns);
	CHECK(khz > 100000);
	CHECK(again > khz * 0.999 && again < khz * 1.001);
}
