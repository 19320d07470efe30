/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Quotas through the whole pipeline: who is charged, who is refused in which words, and that many at once never get
 * more than there is. The controller's part, what was counted, is written here. */
#include "orchestrator/kinds/admission_quota.c"

#include "orchestrator/api/api_int.h"
#include "tests/unit/orchestrator/api/fixture.h"

#define POD(name, res)                                                                                    \
	"{\"metadata\":{\"name\":\"" name                                                                 \
	"\"},\"spec\":{\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\",\"image\":" \
	"\"i\",\"resources\":{" res "}}]}}"
#define SERVICE(name, type)                                                                        \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"type\":\"" type                         \
	"\",\"ports\":[{\"name\":\"a\",\"port\":1},{\"name\":\"b\",\"port\":2}]}}"
#define CLAIM(name, class, size)                                                                          \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"storageClassName\":\"" class                   \
		"\",\"accessModes\":[\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"" size \
		"\"}}}}"

static void
open_server(struct fixture *f, uint64_t seed)
{
	fx_open_with(f, seed, &kinds_tables);
	CHECK_INT(write_as(f, f->admin, CLIENT_CREATE, "serviceaccounts", "default", "", "",
			  "{\"metadata\":{\"name\":\"default\"}}"),
		201);
}

/* quota: with what its status says (NULL: it was not counted yet). */
static void
quota(struct fixture *f, const char *spec, const char *hard, const char *used)
{
	char body[1024];
	snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"q\"},\"spec\":{%s\"hard\":{%s}}}",
		spec, hard);
	CHECK_INT(write_as(f, f->admin, CLIENT_CREATE, "resourcequotas", "default", "", "", body),
		201);
	snprintf(body, sizeof(body), "{\"status\":{\"hard\":{%s},\"used\":{%s}}}", hard,
		used ? used : "");
	CHECK_INT(write_as(f, f->admin, CLIENT_PATCH_MERGE, "resourcequotas", "default", "q",
			  "status", body),
		200);
}

static void
quota_is(struct fixture *f, const char *used)
{
	CHECK_INT(write_as(f, f->admin, CLIENT_GET, "resourcequotas", "default", "q", "", ""), 200);
	CHECK(says(f, used));
}

TEST(what_is_made_is_charged_and_what_is_too_much_is_refused)
{
	static const struct {
		const char *spec, *hard, *used, *resource, *body, *says, *then;
	} rows[] = {
		{"", "\"pods\":\"1\",\"requests.cpu\":\"1\"",
			"\"pods\":\"0\",\"requests.cpu\":\"0\"", "pods",
			POD("p", "\"requests\":{\"cpu\":\"600m\"}"), NULL,
			"\"used\":{\"pods\":\"1\",\"requests.cpu\":\"600m\"}"},
		{"", "\"pods\":\"2\",\"cpu\":\"1\"", "\"pods\":\"1\",\"cpu\":\"500m\"", "pods",
			POD("p", "\"requests\":{\"cpu\":\"600m\"}"),
			"pods \\\"p\\\" is forbidden: exceeded quota: q, requested: cpu=600m, used: "
			"cpu=500m, limited: cpu=1",
			"\"used\":{\"cpu\":\"500m\",\"pods\":\"1\"}"},
		{"", "\"requests.example.com/dongle\":\"3\"",
			"\"requests.example.com/dongle\":\"1\"", "pods",
			POD("p", "\"limits\":{\"example.com/dongle\":\"2\"}"), NULL,
			"\"used\":{\"requests.example.com/dongle\":\"3\"}"},
		{"", "\"memory\":\"1Gi\",\"limits.cpu\":\"1\"",
			"\"memory\":\"0\",\"limits.cpu\":\"0\"", "pods", POD("p", ""),
			"failed quota: q: must specify limits.cpu for: c; memory for: c", NULL},
		{"", "\"pods\":\"1\"", NULL, "pods", POD("p", ""),
			"status unknown for quota: q, resources: pods", NULL},
		{"\"scopes\":[\"BestEffort\"],", "\"pods\":\"0\"", "\"pods\":\"0\"", "pods",
			POD("p", "\"requests\":{\"cpu\":\"1m\"}"), NULL,
			"\"used\":{\"pods\":\"0\"}"},
		{"\"scopes\":[\"BestEffort\"],", "\"pods\":\"0\"", "\"pods\":\"0\"", "pods",
			POD("p", ""),
			"exceeded quota: q, requested: pods=1, used: pods=0, limited: "
			"pods=0",
			NULL},
		{"\"scopeSelector\":{\"matchExpressions\":[{\"scopeName\":\"PriorityClass\","
		 "\"operator\":\"In\",\"values\":[\"system-node-critical\"]}]},",
			"\"pods\":\"0\"", "\"pods\":\"0\"", "pods", POD("p", ""), NULL,
			"\"used\":{\"pods\":\"0\"}"},
		{"", "\"services\":\"5\",\"services.nodeports\":\"3\",\"services.loadbalancers\":\"1\"",
			"\"services\":\"0\",\"services.nodeports\":\"0\",\"services.loadbalancers\":\"0\"",
			"services", SERVICE("s", "LoadBalancer"), NULL,
			"\"used\":{\"services\":\"1\",\"services.loadbalancers\":\"1\",\"services."
			"nodeports\":\"2\"}"},
		{"", "\"count/configmaps\":\"1\",\"configmaps\":\"1\"",
			"\"count/configmaps\":\"0\",\"configmaps\":\"0\"", "configmaps",
			"{\"metadata\":{\"name\":\"c\"}}", NULL,
			"\"used\":{\"configmaps\":\"1\",\"count/configmaps\":\"1\"}"},
		{"", "\"count/configmaps\":\"1\"", "\"count/configmaps\":\"1\"", "configmaps",
			"{\"metadata\":{\"name\":\"c\"}}",
			"configmaps \\\"c\\\" is forbidden: exceeded quota: q, requested: "
			"count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1",
			NULL},
		{"",
			"\"requests.storage\":\"3Gi\",\"gold.storageclass.storage.k8s.io/"
			"requests.storage\":\"2Gi\",\"persistentvolumeclaims\":\"9\"",
			"\"requests.storage\":\"0\",\"gold.storageclass.storage.k8s.io/"
			"requests.storage\":\"0\",\"persistentvolumeclaims\":\"0\"",
			"persistentvolumeclaims", CLAIM("k", "gold", "1Gi"), NULL,
			"\"used\":{\"gold.storageclass.storage.k8s.io/requests.storage\":\"1Gi\","
			"\"persistentvolumeclaims\":\"1\",\"requests.storage\":\"1Gi\"}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture f;
		open_server(&f, 1 + i);
		quota(&f, rows[i].spec, rows[i].hard, rows[i].used);
		CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, rows[i].resource, "default", "", "",
				  rows[i].body),
			rows[i].says ? 403 : 201);
		CHECK(!rows[i].says || says(&f, rows[i].says));
		if (rows[i].then)
			quota_is(&f, rows[i].then);
		fx_close(&f);
	}
}

/* What an update takes more is charged; what it takes less comes back when it is counted anew. */
TEST(an_update_is_charged_with_the_difference)
{
	struct fixture f;
	open_server(&f, 1);
	quota(&f, "", "\"services\":\"5\",\"services.nodeports\":\"3\"",
		"\"services\":\"0\",\"services.nodeports\":\"0\"");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "services", "default", "", "",
			  SERVICE("s", "ClusterIP")),
		201);
	quota_is(&f, "\"used\":{\"services\":\"1\",\"services.nodeports\":\"0\"}");
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_MERGE, "services", "default", "s", "",
			  "{\"spec\":{\"type\":\"NodePort\"}}"),
		200);
	quota_is(&f, "\"used\":{\"services\":\"1\",\"services.nodeports\":\"2\"}");
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_MERGE, "services", "default", "s", "",
			  "{\"spec\":{\"type\":\"ClusterIP\"}}"),
		200);
	quota_is(&f, "\"used\":{\"services\":\"1\",\"services.nodeports\":\"2\"}");
	fx_close(&f);
}

TEST(a_pod_of_another_size_is_charged_with_what_is_more)
{
	struct fixture f;
	open_server(&f, 1);
	quota(&f, "", "\"requests.cpu\":\"1\"", "\"requests.cpu\":\"0\"");
	CHECK_INT(write_as(&f, f.admin, CLIENT_CREATE, "pods", "default", "", "",
			  POD("p", "\"requests\":{\"cpu\":\"500m\"}")),
		201);
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_STRATEGIC, "pods", "default", "p", "resize",
			  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{"
			  "\"cpu\":\"1001m\"}}}]}}"),
		403);
	CHECK(says(&f,
		"requested: requests.cpu=501m, used: requests.cpu=500m, limited: "
		"requests.cpu=1"));
	CHECK_INT(write_as(&f, f.admin, CLIENT_PATCH_STRATEGIC, "pods", "default", "p", "resize",
			  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{"
			  "\"cpu\":\"900m\"}}}]}}"),
		200);
	quota_is(&f, "\"used\":{\"requests.cpu\":\"900m\"}");
	fx_close(&f);
}

enum { AT_ONCE = 60, ALLOWED = 40 };

struct crowd {
	size_t made, refused, others;
};

static void
on_made(void *arg, const struct client_result *r)
{
	struct crowd *x = arg;
	x->made += r->http == 201;
	x->refused += r->http == 403;
	x->others += r->http != 201 && r->http != 403;
}

static bool
all_answered(void *arg)
{
	const struct crowd *x = arg;
	return x->made + x->refused + x->others == AT_ONCE;
}

TEST(of_many_at_once_as_many_get_through_as_there_is_room_for)
{
	struct crowd x = {0};
	struct fixture f;
	open_server(&f, 1);
	quota(&f, "", "\"count/configmaps\":\"40\"", "\"count/configmaps\":\"0\"");
	for (int i = 0; i < AT_ONCE; i++) {
		char body[80];
		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"c%d\"}}", i);
		CHECK_INT(client_call_start(f.admin,
				  &(struct client_req){
					  CM, .verb = CLIENT_CREATE, .body = str_c(body)},
				  on_made, &x, NULL),
			0);
	}
	CHECK_INT(world_run(f.w, INT64_MAX, all_answered, &x), 0);
	CHECK_INT(x.made, ALLOWED);
	CHECK_INT(x.refused, AT_ONCE - ALLOWED);
	quota_is(&f, "\"used\":{\"count/configmaps\":\"40\"}");
	fx_close(&f);
}

TEST(a_dry_run_is_not_charged)
{
	struct fixture f;
	open_server(&f, 1);
	quota(&f, "", "\"count/configmaps\":\"1\"", "\"count/configmaps\":\"0\"");
	CHECK_INT(call(&f, f.admin,
			  &(struct client_req){CM, .verb = CLIENT_CREATE, .dry_run = true,
				  .body = STR("{\"metadata\":{\"name\":\"c\"}}")}),
		201);
	quota_is(&f, "\"used\":{\"count/configmaps\":\"0\"}");
	fx_close(&f);
}
