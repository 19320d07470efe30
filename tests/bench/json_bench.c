/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * json_bench: a Pod of 5 KB parsed and written: the figure every request stands on. */
#include "base/clock.h"
#include "base/doc.h"
#include "tests/bench/figures.h"

#include <stdio.h>

#define ROUNDS 20000
#define BATCH                                                                                      \
	200 /* the best of many batches: what the code costs, not what the machine is busy with */

static void
make_pod(struct buf *b)
{
	buf_cstr(b,
		"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-7d4b9c6f5-x2x7k\","
		"\"namespace\":\"default\",\"uid\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"labels\":{"
		"\"app.kubernetes.io/name\":\"web\",\"pod-template-hash\":\"7d4b9c6f5\"}},\"spec\":{"
		"\"nodeName\":\"node-1\",\"terminationGracePeriodSeconds\":30,\"containers\":[");
	for (int i = 0; b->len < 4700; i++)
		buf_fmt(b,
			"%s{\"name\":\"container-%d\",\"image\":\"example.org/library/web:1.2.%d\","
			"\"ports\":[{\"containerPort\":%d,\"protocol\":\"TCP\"}],\"env\":[{\"name\":\"MODE\","
			"\"value\":\"a \\\"quoted\\\" value\"},{\"name\":\"NODE\",\"valueFrom\":{\"fieldRef\":{"
			"\"fieldPath\":\"spec.nodeName\"}}}],\"resources\":{\"limits\":{\"cpu\":\"100m\","
			"\"memory\":\"128Mi\"}},\"volumeMounts\":[{\"mountPath\":\"/var/run/secrets\","
			"\"name\":\"token\",\"readOnly\":true}],\"imagePullPolicy\":\"IfNotPresent\"}",
			i ? "," : "", i, i, 8000 + i);
	buf_cstr(b,
		"]},\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\","
		"\"status\":\"True\",\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}]}}");
}

int
main(void)
{
	struct buf pod = BUF_INIT, out = BUF_INIT;
	make_pod(&pod);
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	int64_t parse_ns = 0, write_ns = 0, best_parse_ns = INT64_MAX, best_write_ns = INT64_MAX;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t t0 = clock_mono_ns();
		arena_clear(a);
		if (doc_parse_json(a, buf_view(&pod), NULL, &d, NULL) < 0)
			return 1;
		int64_t t1 = clock_mono_ns();
		buf_clear(&out);
		doc_write_json(&out, d);
		parse_ns += t1 - t0;
		write_ns += clock_mono_ns() - t1;
		if (i % BATCH < BATCH - 1)
			continue;
		best_parse_ns = parse_ns < best_parse_ns ? parse_ns : best_parse_ns;
		best_write_ns = write_ns < best_write_ns ? write_ns : best_write_ns;
		parse_ns = write_ns = 0;
	}
	if (!str_eq(buf_view(&pod), buf_view(&out)))
		return 1;
	figure("a pod of 5 KB: parsed", (double)best_parse_ns / BATCH / 1000, "us", "<=", "-",
		"5.1", true);
	figure("the same: written", (double)best_write_ns / BATCH / 1000, "us", "<=", "-", "3.9",
		true);
	arena_free(a);
	buf_release(&pod);
	buf_release(&out);
	return 0;
}
