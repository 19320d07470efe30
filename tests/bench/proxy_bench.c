/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Figures of the service proxy against this kernel: loading 10,000 Services of 10 endpoints, changing an
 * endpoint, adding and removing a Service, taking over. Needs root; works in a network namespace of its
 * own. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "netstack/proxy/proxy.h"

enum { SERVICES = 10000, ENDPOINTS = 10, ROUNDS = 2000 };

static void
must(int code, const struct err *e)
{
	if (code >= 0)
		return;
	fprintf(stderr, "%s\n", e->msg);
	exit(1);
}

static void
service(struct proxy *p, uint32_t i, uint32_t n, uint32_t first)
{
	struct ip_addr ip = ip_v4(0x0a600000 + i);
	struct proxy_endpoint eps[64];
	struct proxy_service s = {
		.proto = 6,
		.port = 80,
		.cluster_ips = &ip,
		.n_cluster_ips = 1,
		.endpoints = eps,
		.n_endpoints = n,
	};
	struct err e = {0};
	char name[32];

	for (uint32_t k = 0; k < n; k++)
		eps[k] = (struct proxy_endpoint){
			ip_v4(0x0af40000 + i * 16 + first + k), 8080, PROXY_EP_READY};
	snprintf(name, sizeof(name), "ns/s%u:http", i);
	must(proxy_service_set(p, str_c(name), &s), &e);
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* n endpoints before and `m` after, at one service each round. */
static void
change(struct proxy *p, const char *what, uint32_t n, uint32_t m, uint32_t first)
{
	static int64_t took[ROUNDS];
	struct err e = {0};

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t at = i * 3;
		int64_t start = 0;

		service(p, at, n, 0);
		must(proxy_flush(p, &e), &e);
		start = clock_mono_ns();
		service(p, at, m, first);
		must(proxy_flush(p, &e), &e);
		took[i] = clock_mono_ns() - start;
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	printf("%-28s p50 %6.1f us   p99 %6.1f us\n", what, (double)took[ROUNDS / 2] / 1e3,
		(double)took[ROUNDS * 99 / 100] / 1e3);
}

int
main(void)
{
	struct proxy *p = NULL;
	struct err e = {0};
	int64_t start = 0;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("not run: needs root for a network namespace\n");
		return 0;
	}
	must(proxy_open(NULL, NULL, NULL, NULL, &p, &e), &e);
	start = clock_mono_ns();
	must(proxy_sync(p, &e), &e);
	printf("%-28s %8.1f ms\n", "chains, no service", (double)(clock_mono_ns() - start) / 1e6);
	start = clock_mono_ns();
	for (uint32_t i = 0; i < SERVICES; i++)
		service(p, i, ENDPOINTS, 0);
	must(proxy_flush(p, &e), &e);
	printf("%-28s %8.1f ms\n", "10,000 x 10 loaded", (double)(clock_mono_ns() - start) / 1e6);
	start = clock_mono_ns();
	must(proxy_sync(p, &e), &e);
	printf("%-28s %8.1f ms\n", "taken over", (double)(clock_mono_ns() - start) / 1e6);
	change(p, "an endpoint replaced", ENDPOINTS, ENDPOINTS, 1);
	change(p, "10 -> 11 endpoints", ENDPOINTS, ENDPOINTS + 1, 0);
	change(p, "40 -> 41 endpoints", 40, 41, 0);
	must(proxy_remove(p, &e), &e);
	proxy_close(p);
	return 0;
}
