/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Limit ranges through the whole pipeline: defaults, and who is refused in which words. */
#include "orchestrator/kinds/admission_limits.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define POD(name, res)                                                                                    \
	"{\"metadata\":{\"name\":\"" name                                                                 \
	"\"},\"spec\":{\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\",\"image\":" \
	"\"i\",\"resources\":{" res "}}]}}"
#define RANGE(name, limit)                                                                         \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"limits\":[{" limit "}]}}"
#define CLAIM(size)                                                                                    \
	"{\"metadata\":{\"name\":\"k\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{" \
	"\"requests\":{\"storage\":\"" size "\"}}}}"

static void
open_with(struct fixture *f, uint64_t seed, const char *range)
{
	fx_open_with(f, seed, &kinds_tables);
	CHECK_INT(write_as(f, f->admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	CHECK_INT(
		write_as(f, f->admin, CLIENT_CREATE, "limitranges", "default", "", "", range), 201);
}

TEST(containers_get_the_defaults_of_the_namespace)
{
	struct fixture f;
	open_with(&f, 1,
		RANGE("l",
			"\"type\":\"Container\",\"default\":{\"memory\":\"500Mi\",\"cpu\":\"500m\"},"
			"\"defaultRequest\":{\"cpu\":\"100m\",\"memory\":\"200Mi\"}"));
	CHECK_INT(
		write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "", POD("a", "")), 201);
	CHECK(says(&f,
		"\"kubernetes.io/limit-ranger\":\"LimitRanger plugin set: cpu, memory request "
		"for container c; cpu, memory limit for container c\""));
	CHECK(says(&f,
		"\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"500Mi\"},\"requests\":"
		"{\"cpu\":\"100m\",\"memory\":\"200Mi\"}}"));
	CHECK(says(&f, "\"qosClass\":\"Burstable\""));
	/* A limit alone is also the request. */
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "",
			  POD("b", "\"limits\":{\"cpu\":\"300m\"}")),
		201);
	CHECK(says(&f,
		"\"resources\":{\"limits\":{\"cpu\":\"300m\",\"memory\":\"500Mi\"},\"requests\":"
		"{\"cpu\":\"300m\",\"memory\":\"200Mi\"}}"));
	CHECK(says(&f,
		"LimitRanger plugin set: memory request for container c; memory limit for "
		"container c"));
	fx_close(&f);
}

TEST(what_is_too_much_or_too_little_is_refused)
{
	static const char head[] = "is forbidden: ";
	static const struct {
		const char *range, *resource, *body, *says; /* says NULL: it is let in */
	} rows[] = {
		{RANGE("l",
			 "\"type\":\"Container\",\"min\":{\"cpu\":\"50m\"},\"max\":{\"cpu\":\"500m\"}"),
			"pods", POD("p", "\"requests\":{\"cpu\":\"10m\"}"),
			"minimum cpu usage per Container is 50m, but request is 10m"},
		{RANGE("l",
			 "\"type\":\"Container\",\"max\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"},"
			 "\"default\":{\"memory\":\"1Gi\"}"),
			"pods", POD("p", "\"limits\":{\"cpu\":\"0.6\",\"memory\":\"2Gi\"}"),
			"[maximum cpu usage per Container is 500m, but limit is 600m, maximum memory "
			"usage per Container is 1Gi, but limit is 2Gi]"},
		{RANGE("l", "\"type\":\"Container\",\"maxLimitRequestRatio\":{\"cpu\":\"2\"}"),
			"pods", POD("p", "\"limits\":{\"cpu\":\"5\"},\"requests\":{\"cpu\":\"2\"}"),
			"cpu max limit to request ratio per Container is 2, but provided ratio is "
			"2.500000"},
		{RANGE("l", "\"type\":\"Container\",\"maxLimitRequestRatio\":{\"cpu\":\"2\"}"),
			"pods", POD("p", ""),
			"cpu max limit to request ratio per Container is 2, but no request is specified "
			"or request is 0"},
		{RANGE("l", "\"type\":\"Pod\",\"max\":{\"cpu\":\"1\"}"), "pods", POD("p", ""),
			"maximum cpu usage per Pod is 1.  No limit is specified"},
		{RANGE("l", "\"type\":\"Pod\",\"max\":{\"cpu\":\"1\"}"), "pods",
			POD("p", "\"limits\":{\"cpu\":\"1\"}"), NULL},
		{RANGE("l",
			 "\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":\"1Gi\"},\"max\":{"
			 "\"storage\":\"2Gi\"}"),
			"persistentvolumeclaims", CLAIM("3Gi"),
			"maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"},
		{RANGE("l", "\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":\"1Gi\"}"),
			"persistentvolumeclaims", CLAIM("1Mi"),
			"minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;
		open_with(&f, 2 + i, rows[i].range);
		CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, rows[i].resource, "default", "", "",
				  rows[i].body),
			rows[i].says ? 403 : 201);
		CHECK(!rows[i].says || (says(&f, head) && says(&f, rows[i].says)));
		fx_close(&f);
	}
}
