/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * What clients are told of pods and templates. */
#include "orchestrator/kinds/warnings.c"

#include "tests/unit/test.h"

/* told: what a write of this object says, its warnings joined by "|". */
static const char *
told(const struct kind_ops *ops, const char *json, const char *old_json)
{
	static char out[4096];
	struct arena *a = arena_new(0);
	struct request r = {.a = a};
	struct doc *d = NULL, *old = NULL;
	size_t n = 0;
	CHECK_INT(doc_parse_json(a, str_c(json), NULL, &d, NULL), 0);
	if (old_json)
		CHECK_INT(doc_parse_json(a, str_c(old_json), NULL, &old, NULL), 0);
	ops->warn(&r, d, old);
	out[0] = 0;
	for (size_t i = 0; i < r.n_warnings; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s" STR_FMT, i ? "|" : "",
			STR_ARG(r.warnings[i]));
	arena_free(a);
	return out;
}

#define POD(spec) "{\"metadata\":{\"name\":\"p\"},\"spec\":{" spec "}}"

TEST(a_pod_whose_parts_get_in_each_others_way_is_told)
{
	static const struct {
		const char *pod, *warning;
	} rows[] = {
		{POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"), ""},
		{POD("\"nodeSelector\":{\"beta.kubernetes.io/os\":\"linux\"}"),
			"spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
			"\"kubernetes.io/os\" instead"},
		{POD("\"topologySpreadConstraints\":[{\"topologyKey\":\"k\"}]"),
			"spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results "
			"in matching no pod"},
		{POD("\"volumes\":[{\"name\":\"v\",\"storageos\":{}}]"),
			"spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+"},
		{POD("\"imagePullSecrets\":[{\"name\":\"s\"},{\"name\":\"s\"},{}]"),
			"spec.imagePullSecrets[1].name: duplicate name \"s\"|"
			"spec.imagePullSecrets[2].name: invalid empty name \"\""},
		{POD("\"containers\":[{\"resources\":{\"limits\":{\"memory\":\"100m\"}}}]"),
			"spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is "
			"invalid, must be an integer"},
		{POD("\"containers\":[{\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
		     "{\"name\":\"A\",\"value\":\"$(A)2\"}]}]"),
			""},
		{POD("\"initContainers\":[{\"env\":[{\"name\":\"A\",\"value\":\"1\"},"
		     "{\"name\":\"A\",\"value\":\"2\"}]}]"),
			"spec.initContainers[0].env[1]: hides previous definition of \"A\", which may be "
			"dropped when using apply"},
		{POD("\"terminationGracePeriodSeconds\":-1"),
			"spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid "
			"and will be treated as 1"},
		{POD("\"affinity\":{\"podAffinity\":{"
		     "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"podAffinityTerm\":{}}]}}"),
			"spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]."
			"podAffinityTerm.labelSelector: a null labelSelector results in matching no pod"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(str_c(told(&pod_ops, rows[i].pod, NULL)), rows[i].warning);
}

TEST(ports_of_one_pod_are_compared_over_its_containers)
{
	static const char pod[] = POD(
		"\"containers\":[{\"ports\":[{\"name\":\"a\",\"containerPort\":80,\"protocol\":\"TCP\"}]},"
		"{\"ports\":[{\"name\":\"a\",\"containerPort\":80,\"protocol\":\"TCP\"},"
		"{\"containerPort\":80,\"protocol\":\"UDP\"},"
		"{\"containerPort\":80,\"hostPort\":8,\"protocol\":\"TCP\"}]}]");
	CHECK_STR(str_c(told(&pod_ops, pod, NULL)),
		"spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]|"
		"spec.containers[1].ports[2]: overlapping port definition with "
		"spec.containers[0].ports[0]|"
		"spec.containers[1].ports[2]: overlapping port definition with "
		"spec.containers[1].ports[0]|"
		"spec.containers[1].ports[0]: duplicate port name \"a\" with "
		"spec.containers[0].ports[0], services and probes that select ports by name will use "
		"spec.containers[0].ports[0]");
}

#define DEPLOYMENT(name, generation)                                                               \
	"{\"metadata\":{\"name\":\"" name "\",\"generation\":" generation                          \
	"},\"spec\":{\"template\":{\"spec\":{\"terminationGracePeriodSeconds\":-1}}}}"

TEST(a_template_is_looked_at_when_it_is_new)
{
	static const char negative[] =
		"spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are "
		"invalid and will be treated as 1";
	CHECK_STR(str_c(told(&deployment_ops, DEPLOYMENT("d", "1"), NULL)), negative);
	CHECK_STR(
		str_c(told(&deployment_ops, DEPLOYMENT("d", "2"), DEPLOYMENT("d", "1"))), negative);
	CHECK_STR(str_c(told(&deployment_ops, DEPLOYMENT("d", "2"), DEPLOYMENT("d", "2"))), "");
	CHECK_STR(str_c(told(&deployment_ops, DEPLOYMENT("a.b", "2"), DEPLOYMENT("a.b", "2"))), "");
	CHECK_STR(str_c(told(&cronjob_ops,
			  "{\"metadata\":{\"name\":\"a.b\"},\"spec\":{\"schedule\":\"* * * * *\"}}",
			  NULL)),
		"metadata.name: this is used in Pod names and hostnames, which can result in surprising "
		"behavior; a DNS label is recommended: [must not contain dots]");
}
