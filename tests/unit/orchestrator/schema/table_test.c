/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * table_test: what `kubectl get` shows. */
#include "tests/unit/test.h"

#include "base/clock.h"
#include "orchestrator/schema/cells_int.h"
#include "orchestrator/schema/schema.h"

static struct arena *a;
#define NOW (1767323045LL * NS_PER_SEC) /* 2026-01-02T03:04:05Z */
#define MADE "\"creationTimestamp\":\"2026-01-02T03:02:05Z\""

static struct str
cells(const char *group, const char *version, const char *name, const char *json)
{
	const struct schema_kind *k = schema_kind_find(
		schema_builtin(), str_c(group), str_c(version), str_c(name));
	struct doc *d = NULL, *row = NULL;
	struct buf b;

	arena_free(a);
	a = arena_new(0);
	if (k == NULL || doc_parse_json(a, str_c(json), NULL, &d, NULL) != 0)
		return STR("bad test");
	row = schema_table_row(a, k, d, SCHEMA_INCLUDE_NONE, "v1", NOW);
	buf_init_arena(&b, a);
	doc_write_json(&b, doc_get(row, STR("cells")));
	return buf_view(&b);
}

TEST(durations_read_as_kubectl_writes_them)
{
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {{-2, "<invalid>"}, {-1, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"},
		{121, "2m1s"}, {599, "9m59s"}, {600, "10m"}, {10799, "179m"}, {10800, "3h"},
		{10860, "3h1m"}, {28799, "7h59m"}, {28800, "8h"}, {172799, "47h"}, {172800, "2d"},
		{176400, "2d1h"}, {691199, "7d23h"}, {691200, "8d"}, {63071999, "729d"},
		{63072000, "2y"}, {63158400, "2y1d"}, {252288000, "8y"}, {252374400, "8y"}};
	char out[32];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		human_duration(rows[i].s * NS_PER_SEC, out);
		CHECK_STR(out, rows[i].text);
	}
}

TEST(every_cell_function_of_the_kind_files_exists)
{
	const struct schema *s = schema_builtin();
	const struct schema_cell *const tables[] = {cells_core, cells_pod, cells_groups};
	const size_t sizes[] = {n_cells_core, n_cells_pod, n_cells_groups};
	size_t used = 0;

	for (size_t i = 0; i < s->n_kinds; i++) {
		for (size_t j = 0; j < s->kinds[i]->n_columns; j++) {
			const char *cell = s->kinds[i]->columns[j].cell;
			bool found = cell[0] != '@';

			for (size_t t = 0; t < 3; t++)
				for (size_t c = 0; c < sizes[t]; c++)
					found |= strcmp(cell + 1, tables[t][c].name) == 0;
			if (!found)
				printf("     %s\n", cell);
			CHECK(found);
			used++;
		}
	}
	CHECK(used > 300);
}

TEST(pods)
{
	CHECK_STR(
		cells("", "v1", "Pod",
			"{\"metadata\":{\"name\":\"p\"," MADE
			"},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\"}]},"
			"\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}],\"containerStatuses\":[{"
			"\"name\":\"c\",\"ready\":true,\"restartCount\":3,\"state\":{\"running\":{}},\"lastState\":{"
			"\"terminated\":{\"finishedAt\":\"2026-01-02T03:03:05Z\"}}}]}}"),
		"[\"p\",\"1/1\",\"Running\",\"3 (60s ago)\",\"2m\",\"10.0.0.1\",\"n1\",\"<none>\",\"<none>\"]");
	CHECK_STR(
		cells("", "v1", "Pod",
			"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"initContainers\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
			"\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{"
			"\"name\":\"a\",\"state\":{\"terminated\":{\"exitCode\":0}}},{\"name\":\"b\",\"restartCount\":1,"
			"\"state\":{\"running\":{}}}],\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"waiting\":{"
			"\"reason\":\"PodInitializing\"}}}]}}"),
		"[\"p\",\"0/1\",\"Init:1/2\",\"1\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
	CHECK_STR(
		cells("", "v1", "Pod",
			"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"phase\":"
			"\"Running\",\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":2,\"state\":{\"waiting\":{"
			"\"reason\":\"CrashLoopBackOff\"}}}]}}"),
		"[\"p\",\"0/1\",\"CrashLoopBackOff\",\"2\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
	CHECK_STR(
		cells("", "v1", "Pod",
			"{\"metadata\":{\"name\":\"p\",\"deletionTimestamp\":\"2026-01-02T03:04:05Z\"},\"spec\":{"
			"\"containers\":[{\"name\":\"c\"}],\"readinessGates\":[{\"conditionType\":\"x\"}]},\"status\":{\"phase\":"
			"\"Running\"}}"),
		"[\"p\",\"0/1\",\"Terminating\",\"0\",\"<unknown>\",\"<none>\",\"<none>\",\"<none>\",\"0/1\"]");
}

TEST(workloads_and_services)
{
	CHECK_STR(
		cells("apps", "v1", "Deployment",
			"{\"metadata\":{\"name\":\"d\"," MADE
			"},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{"
			"\"app\":\"d\"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":"
			"\"b\",\"image\":\"y\"}]}}},\"status\":{\"readyReplicas\":1}}"),
		"[\"d\",\"1/3\",0,0,\"2m\",\"a,b\",\"x,y\",\"app=d\"]");
	CHECK_STR(
		cells("", "v1", "Service",
			"{\"metadata\":{\"name\":\"s\"," MADE
			"},\"spec\":{\"type\":\"NodePort\",\"clusterIPs\":[\"10.1.1.1\"],"
			"\"ports\":[{\"port\":80,\"nodePort\":30080,\"protocol\":\"TCP\"},{\"port\":53,\"protocol\":\"UDP\"}],"
			"\"selector\":{\"b\":\"2\",\"a\":\"1\"}}}"),
		"[\"s\",\"NodePort\",\"10.1.1.1\",\"<none>\",\"80:30080/TCP,53/UDP\",\"2m\",\"a=1,b=2\"]");
	CHECK_STR(cells("", "v1", "Service",
			  "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"LoadBalancer\"}}"),
		"[\"s\",\"LoadBalancer\",\"<none>\",\"<pending>\",\"<none>\",\"<unknown>\",\"<none>\"]");
	CHECK_STR(
		cells("", "v1", "Endpoints",
			"{\"metadata\":{\"name\":\"e\"},\"subsets\":[{\"addresses\":[{\"ip\":\"1.1.1.1\"},{\"ip\":\"1.1.1.2\"}],"
			"\"ports\":[{\"port\":1},{\"port\":2}]}]}"),
		"[\"e\",\"1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more...\",\"<unknown>\"]");
	CHECK_STR(cells("policy", "v1", "PodDisruptionBudget",
			  "{\"metadata\":{\"name\":\"p\"," MADE "},\"spec\":{\"minAvailable\":1}}"),
		"[\"p\",\"1\",\"N/A\",0,\"2m\"]");
	CHECK_STR(
		cells("autoscaling", "v2", "HorizontalPodAutoscaler",
			"{\"metadata\":{\"name\":\"h\"," MADE
			"},\"spec\":{\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":"
			"\"d\"},\"maxReplicas\":5,\"metrics\":[{\"type\":\"Resource\",\"resource\":{\"name\":\"cpu\",\"target\":{"
			"\"averageUtilization\":80}}}]}}"),
		"[\"h\",\"Deployment/d\",\"cpu: <unknown>/80%\",\"<unset>\",5,0,\"2m\"]");
}

TEST(nodes_configuration_events_storage)
{
	CHECK_STR(
		cells("", "v1", "Node",
			"{\"metadata\":{\"name\":\"n\"," MADE
			",\"labels\":{\"node-role.kubernetes.io/worker\":\"\","
			"\"node-role.kubernetes.io/control-plane\":\"\"}},\"spec\":{\"unschedulable\":true},\"status\":{"
			"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"addresses\":[{\"type\":\"InternalIP\","
			"\"address\":\"10.0.0.2\"}],\"nodeInfo\":{\"kubeletVersion\":\"v1.37.2\",\"kernelVersion\":\"6.12\","
			"\"architecture\":\"amd64\"}}}"),
		"[\"n\",\"Ready,SchedulingDisabled\",\"control-plane,worker\",\"2m\",\"v1.37.2\",\"10.0.0.2\",\"<none>\","
		"\"<unknown>\",\"6.12 (amd64)\",\"<unknown>\"]");
	CHECK_STR(cells("", "v1", "ConfigMap",
			  "{\"metadata\":{\"name\":\"c\"," MADE
			  "},\"data\":{\"a\":\"\",\"b\":\"\"},\"binaryData\":{\"c\":\"\"}}"),
		"[\"c\",3,\"2m\"]");
	CHECK_STR(
		cells("", "v1", "Event",
			"{\"metadata\":{\"name\":\"e\"},\"type\":\"Normal\",\"reason\":\"Pulled\",\"message\":\" hi \","
			"\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\"},\"source\":{\"component\":\"kubelet\",\"host\":\"n\"},"
			"\"firstTimestamp\":\"2026-01-02T03:02:05Z\",\"count\":4}"),
		"[\"2m\",\"Normal\",\"Pulled\",\"pod/p\",\"\",\"kubelet, n\",\"hi\",\"2m\",4,\"e\"]");
	CHECK_STR(
		cells("", "v1", "PersistentVolumeClaim",
			"{\"metadata\":{\"name\":\"c\"," MADE
			"},\"spec\":{\"volumeName\":\"v\",\"storageClassName\":\"s\","
			"\"volumeMode\":\"Filesystem\"},\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"1Gi\"},"
			"\"accessModes\":[\"ReadWriteMany\",\"ReadWriteOnce\"]}}"),
		"[\"c\",\"Bound\",\"v\",\"1Gi\",\"RWO,RWX\",\"s\",\"<unset>\",\"2m\",\"Filesystem\"]");
	CHECK_STR(cells("storage.k8s.io", "v1", "StorageClass",
			  "{\"metadata\":{\"name\":\"s\"," MADE
			  ",\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":"
			  "\"true\"}},\"provisioner\":\"x\"}"),
		"[\"s (default)\",\"x\",\"Delete\",\"Immediate\",false,\"2m\"]");
	CHECK_STR(cells("rbac.authorization.k8s.io", "v1", "ClusterRole",
			  "{\"metadata\":{\"name\":\"r\"," MADE "}}"),
		"[\"r\",\"2026-01-02T03:02:05Z\"]");
	CHECK_STR(
		cells("rbac.authorization.k8s.io", "v1", "RoleBinding",
			"{\"metadata\":{\"name\":\"r\"," MADE
			"},\"roleRef\":{\"kind\":\"Role\",\"name\":\"x\"},\"subjects\":[{"
			"\"kind\":\"ServiceAccount\",\"namespace\":\"n\",\"name\":\"s\"},{\"kind\":\"User\",\"name\":\"u\"}]}"),
		"[\"r\",\"Role/x\",\"2m\",\"u\",\"\",\"n/s\"]");
}

TEST(whole_tables)
{
	struct doc *d = NULL, *t = NULL;
	struct buf b;

	arena_free(a);
	a = arena_new(0);
	CHECK_INT(
		doc_parse_json(a,
			STR("{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\"}}"),
			NULL, &d, NULL),
		0);
	t = schema_table(a,
		schema_kind_find(schema_builtin(), STR(""), STR("v1"), STR("Namespace")),
		(const struct doc *const *)&d, 1, NULL, SCHEMA_INCLUDE_METADATA, true, "v1", NOW);
	buf_init_arena(&b, a);
	doc_write_json(&b, t);
	CHECK_STR(buf_view(&b),
		"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},\"columnDefinitions\":[{\"name\":"
		"\"Name\",\"type\":\"string\",\"format\":\"name\",\"description\":\"the name: unique within its namespace and "
		"kind\",\"priority\":0},{\"name\":\"Status\",\"type\":\"string\",\"format\":\"\",\"description\":\"step in its "
		"life\",\"priority\":0},{\"name\":\"Age\",\"type\":\"string\",\"format\":\"\",\"description\":\"when it was "
		"made\",\"priority\":0}],\"rows\":[{\"cells\":[\"n\",\"\",\"<unknown>\"],\"object\":{\"kind\":"
		"\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"name\":\"n\"}}}]}");
}
