/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Runtime classes through the whole pipeline: what a pod gets of its class, and when it is refused. */
#include "orchestrator/kinds/admission_class.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define POD(more)                                                                                           \
	"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"automountServiceAccountToken\":false,\"containers\":[{" \
	"\"name\":\"c\",\"image\":\"i\"}]" more "}}"

static int
make_class(struct fixture *f, const char *body)
{
	return call(f, f->admin,
		&(struct client_req){.group = STR("node.k8s.io"),
			.version = STR("v1"),
			.verb = CLIENT_CREATE,
			.resource = STR("runtimeclasses"),
			.body = str_c(body)});
}

static int
try_pod(struct fixture *f, const char *body)
{
	return call(f, f->admin,
		&(struct client_req){CORE, .verb = CLIENT_CREATE, .resource = STR("pods"),
			.ns = STR("default"), .body = str_c(body), .dry_run = true});
}

TEST(a_pod_gets_what_its_runtime_class_says_or_is_refused)
{
	static const char class[] =
		"{\"metadata\":{\"name\":\"heavy\"},\"handler\":\"h\",\"overhead\":{\"podFixed\":{\"cpu\":"
		"\"10m\"}},\"scheduling\":{\"nodeSelector\":{\"foo\":\"bar\"},\"tolerations\":[{\"key\":"
		"\"t\",\"operator\":\"Exists\"},{\"key\":\"u\",\"operator\":\"Equal\",\"value\":\"1\"}]}}";
	static const struct {
		const char *pod;
		int http;
		const char *says;
	} rows[] = {
		{POD(",\"runtimeClassName\":\"gone\""), 403,
			"pods \\\"p\\\" is forbidden: pod rejected: RuntimeClass \\\"gone\\\" not found"},
		{POD(",\"runtimeClassName\":\"heavy\""), 201, "\"overhead\":{\"cpu\":\"10m\"}"},
		{POD(",\"runtimeClassName\":\"heavy\",\"nodeSelector\":{\"a\":\"b\"}"), 201,
			"\"nodeSelector\":{\"a\":\"b\",\"foo\":\"bar\"}"},
		{POD(",\"runtimeClassName\":\"heavy\",\"overhead\":{\"cpu\":\"0.01\"}"), 201,
			"\"overhead\":{\"cpu\":\"10m\"}"},
		{POD(",\"runtimeClassName\":\"heavy\",\"overhead\":{\"cpu\":\"11m\"}"), 403,
			"Pod's Overhead doesn't match RuntimeClass's defined Overhead"},
		{POD(",\"overhead\":{\"cpu\":\"11m\"}"), 403,
			"Pod Overhead set without corresponding RuntimeClass defined Overhead"},
		{POD(",\"runtimeClassName\":\"heavy\",\"nodeSelector\":{\"foo\":\"x\"}"), 403,
			"conflict: runtimeClass.scheduling.nodeSelector[foo] = bar; "
			"pod.spec.nodeSelector[foo] = x"},
		/* the class's toleration is wider than the pod's, which is dropped */
		{POD(",\"runtimeClassName\":\"heavy\",\"tolerations\":[{\"key\":\"t\",\"operator\":"
		     "\"Equal\",\"value\":\"2\"},{\"key\":\"v\",\"operator\":\"Exists\"}]"),
			201,
			"\"tolerations\":[{\"key\":\"v\",\"operator\":\"Exists\"},{\"key\":\"node.kubernetes."
			"io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
			"\"tolerationSeconds\":300},{\"key\":\"node.kubernetes.io/unreachable\","
			"\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300},{"
			"\"key\":\"t\",\"operator\":\"Exists\"},{\"key\":\"u\",\"operator\":\"Equal\","
			"\"value\":\"1\"}]"},
	};
	struct fixture f;
	fx_open_with(&f, 1, &kinds_tables);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	CHECK_INT(make_class(&f, class), 201);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(try_pod(&f, rows[i].pod), rows[i].http);
		CHECK(says(&f, rows[i].says));
	}
	fx_close(&f);
}

TEST(tolerations_that_an_update_leaves_out_come_back)
{
	struct fixture f;
	fx_open_with(&f, 2, &kinds_tables);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "", POD("")), 201);
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_MERGE, "pods", "default", "p", "",
			  "{\"spec\":{\"tolerations\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}}"),
		200);
	CHECK(says(&f,
		"\"tolerations\":[{\"key\":\"a\",\"operator\":\"Exists\"},{\"key\":\"node."
		"kubernetes.io/not-ready\""));
	fx_close(&f);
}
