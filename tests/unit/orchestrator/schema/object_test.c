/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * object_test: bodies become documents as a Go server would read and write them: strict checks, type
 * errors, canonical scalars, defaults, order, structs, protobuf. Expected texts are upstream's. */
#include "tests/unit/test.h"

#include "kinds/apps_v1.h"
#include "kinds/core_v1.h"
#include "kinds/projections_v1.h"
#include "orchestrator/schema/schema.h"

static struct arena *a;
static struct schema_strict strict;
static struct err e;

static const struct schema_kind *
kind(const char *group, const char *name)
{
	return schema_kind_find(schema_builtin(), str_c(group), STR("v1"), str_c(name));
}

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
	memset(&strict, 0, sizeof(strict));
	memset(&e, 0, sizeof(e));
}

static struct doc *
decode(const struct schema_kind *k, const char *json)
{
	struct doc *d = NULL;

	fresh();
	return schema_decode(a, k->type, str_c(json), SCHEMA_JSON, &d, &strict, &e) == 0 ? d : NULL;
}

static struct str
text(const struct doc *d)
{
	struct buf b;

	buf_init_arena(&b, a);
	doc_write_json(&b, d);
	return buf_view(&b);
}

/* full: decode, default, order. */
static struct str
full(const struct schema_kind *k, const char *json)
{
	struct doc *d = decode(k, json);

	if (d == NULL)
		return str_c(e.msg);
	if (schema_default(a, k->type, d) != 0 || schema_order(a, k->type, d) != 0)
		return STR("failed");
	return text(d);
}

TEST(kinds_are_found_by_every_name)
{
	const struct schema *s = schema_builtin();

	CHECK(kind("apps", "Deployment") != NULL);
	CHECK(kind("", "Pod") != NULL);
	CHECK(schema_resource_find(s, STR("apps"), STR(""), STR("deployments")) ==
		kind("apps", "Deployment"));
	CHECK(schema_resource_find(s, STR("apps"), STR("v2"), STR("deployments")) == NULL);
	CHECK_STR(schema_resource_any(s, STR("deploy"))->kind, "Deployment");
	CHECK_STR(schema_resource_any(s, STR("po"))->kind, "Pod");
	CHECK_STR(schema_resource_any(s, STR("hpa"))->version, "v2");
	CHECK_STR(schema_resource_any(s, STR("ev"))->group, "");
	CHECK(schema_type_find(s, STR("meta"), STR("v1"), STR("Status")) != NULL);
	CHECK(schema_field_at(kind("", "Pod")->type, STR("spec.containers.env.name")) != NULL);
	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];

		CHECK(schema_kind_find(s, str_c(k->group), str_c(k->version), str_c(k->kind)) == k);
		for (size_t j = 0; j < k->type->n_fields; j++)
			CHECK(schema_field_find(k->type, schema_field_name(&k->type->fields[j])) ==
				&k->type->fields[j]);
	}
}

TEST(unknown_and_duplicate_fields_are_named)
{
	struct doc *d = decode(kind("", "Pod"),
		"{\"kind\":\"Pod\",\"spec\":{\"foo\":1,\"containers\":[{\"name\":\"a\"},"
		"{\"name\":\"b\",\"Image\":\"x\",\"name\":\"c\"}],\"nodeSelector\":{\"k\":\"1\",\"k\":\"2\"}}}");

	CHECK(d != NULL);
	CHECK_INT(strict.n, 4);
	CHECK_STR(schema_strict_join(a, &strict),
		"strict decoding error: unknown field \"spec.foo\", unknown field "
		"\"spec.containers[1].Image\", duplicate field \"spec.containers[1].name\", duplicate field "
		"\"spec.nodeSelector.k\"");
	CHECK_STR(text(d),
		"{\"kind\":\"Pod\",\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"c\"}],"
		"\"nodeSelector\":{\"k\":\"2\"}}}");
}

/* Found by fuzzing: the number was cast before it was looked at. */
TEST(a_number_beyond_all_integers_is_refused)
{
	CHECK(decode(kind("apps", "Deployment"), "{\"spec\":{\"replicas\":3e+300}}") == NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal number 3e+300 into Go struct field "
		"DeploymentSpec.spec.replicas of type int32");
	CHECK(decode(kind("apps", "Deployment"),
		      "{\"spec\":{\"replicas\":366666666666666666666666}}") == NULL);
	CHECK(decode(kind("apps", "Deployment"), "{\"spec\":{\"replicas\":1e2}}") != NULL);
}

TEST(type_errors_are_worded_as_go_does)
{
	CHECK(decode(kind("apps", "Deployment"), "{\"spec\":{\"replicas\":\"3\"}}") == NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of "
		"type int32");
	CHECK(decode(kind("apps", "Deployment"), "{\"spec\":{\"replicas\":3000000000}}") == NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal number 3000000000 into Go struct field "
		"DeploymentSpec.spec.replicas of type int32");
	CHECK(decode(kind("", "Pod"),
		      "{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"a\",\"value\":1}]}]}}") ==
		NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value "
		"of type string");
	CHECK(decode(kind("", "Pod"), "{\"metadata\":{\"labels\":[]}}") == NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type "
		"map[string]string");
	CHECK(decode(kind("", "Pod"), "{\"spec\":{\"containers\":{}}}") == NULL);
	CHECK_STR(e.msg,
		"json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type "
		"[]v1.Container");
	CHECK(decode(kind("", "Pod"), "[]") == NULL);
	CHECK_STR(e.msg, "json: cannot unmarshal array into Go value of type v1.Pod");
	CHECK(decode(kind("", "Secret"), "{\"data\":{\"a\":\"!\"}}") == NULL);
	CHECK(decode(kind("", "Pod"),
		      "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"x\"}}}]}}") ==
		NULL);
	CHECK_STR(e.msg,
		"quantities must match the regular expression "
		"'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

TEST(scalars_become_canonical)
{
	CHECK_STR(
		full(kind("", "ConfigMap"),
			"{\"metadata\":{\"name\":\"c\",\"creationTimestamp\":null,\"labels\":{\"b\":\"1\",\"a\":null},"
			"\"deletionTimestamp\":\"2026-01-02T03:04:05.678+01:00\"},\"data\":{}}"),
		"{\"metadata\":{\"name\":\"c\",\"deletionTimestamp\":\"2026-01-02T02:04:05Z\","
		"\"labels\":{\"a\":\"\",\"b\":\"1\"}}}");
	CHECK_STR(
		full(kind("", "ResourceQuota"),
			"{\"spec\":{\"hard\":{\"cpu\":\"1000m\",\"memory\":0.5,\"pods\":10,\"x\":\"1.0001\"}}}"),
		"{\"metadata\":{},\"spec\":{\"hard\":{\"cpu\":\"1\",\"memory\":\"500m\",\"pods\":\"10\","
		"\"x\":\"1001m\"}},\"status\":{}}");
	CHECK_STR(full(kind("", "Secret"), "{\"data\":{\"a\":\"YQ==\",\"b\":null},\"type\":\"\"}"),
		"{\"metadata\":{},\"data\":{\"a\":\"YQ==\",\"b\":\"\"},\"type\":\"Opaque\"}");
}

TEST(emit_rules_write_and_drop_zero_values)
{
	CHECK_STR(full(kind("rbac.authorization.k8s.io", "ClusterRole"),
			  "{\"metadata\":{\"name\":\"r\"}}"),
		"{\"metadata\":{\"name\":\"r\"},\"rules\":null}");
	CHECK_STR(full(kind("", "Node"), "{\"spec\":{\"unschedulable\":false}}"),
		"{\"metadata\":{},\"spec\":{},\"status\":{\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":0}},"
		"\"nodeInfo\":{\"machineID\":\"\",\"systemUUID\":\"\",\"bootID\":\"\",\"kernelVersion\":\"\","
		"\"osImage\":\"\",\"containerRuntimeVersion\":\"\",\"kubeletVersion\":\"\",\"kubeProxyVersion\":\"\","
		"\"operatingSystem\":\"\",\"architecture\":\"\"}}}");
	CHECK_STR(full(kind("", "Event"), "{\"involvedObject\":{},\"metadata\":{\"name\":\"e\"}}"),
		"{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{},\"source\":{},\"firstTimestamp\":null,"
		"\"lastTimestamp\":null,\"eventTime\":null,\"reportingComponent\":\"\",\"reportingInstance\":\"\"}");
}

TEST(deployment_defaults_reach_the_pod_template)
{
	CHECK_STR(
		full(kind("apps", "Deployment"),
			"{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"spec\":{\"containers\":"
			"[{\"name\":\"c\",\"image\":\"nginx\",\"ports\":[{\"containerPort\":80}],\"livenessProbe\":"
			"{\"httpGet\":{\"port\":80}}}],\"volumes\":[{\"name\":\"v\"}]}}}}"),
		"{\"metadata\":{},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":"
		"{\"metadata\":{},\"spec\":{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}],\"containers\":[{\"name\":"
		"\"c\",\"image\":\"nginx\",\"ports\":[{\"containerPort\":80,\"protocol\":\"TCP\"}],\"resources\":{},"
		"\"livenessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":80,\"scheme\":\"HTTP\"},"
		"\"timeoutSeconds\":1,\"periodSeconds\":10,\"successThreshold\":1,\"failureThreshold\":3},"
		"\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\","
		"\"imagePullPolicy\":\"Always\"}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,"
		"\"dnsPolicy\":\"ClusterFirst\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\"}},"
		"\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"25%\","
		"\"maxSurge\":\"25%\"}},\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},\"status\":{}}");
}

TEST(pod_defaults_are_more_than_its_templates)
{
	struct doc *d = decode(kind("", "Pod"),
		"{\"spec\":{\"hostNetwork\":true,\"serviceAccountName\":\"x\",\"containers\":[{\"name\":\"c\","
		"\"image\":\"r/nginx:1@sha256:00\",\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":"
		"{\"cpu\":\"1\"}}}]}}");

	CHECK(d != NULL);
	CHECK_INT(schema_default(a, kind("", "Pod")->type, d), 0);
	CHECK_STR(doc_as_str(doc_at(d, "spec.serviceAccount")), "x");
	CHECK(doc_as_bool(doc_at(d, "spec.enableServiceLinks"), false));
	CHECK_INT(doc_as_int(doc_at(d, "spec.containers[0].ports[0].hostPort"), 0), 80);
	CHECK_STR(doc_as_str(doc_at(d, "spec.containers[0].resources.requests.cpu")), "1");
	CHECK_STR(doc_as_str(doc_at(d, "spec.containers[0].imagePullPolicy")), "IfNotPresent");
}

TEST(service_defaults)
{
	CHECK_STR(full(kind("", "Service"),
			  "{\"spec\":{\"ports\":[{\"port\":80}],\"type\":\"NodePort\"}}"),
		"{\"metadata\":{},\"spec\":{\"ports\":[{\"protocol\":\"TCP\",\"port\":80,\"targetPort\":80}],"
		"\"type\":\"NodePort\",\"sessionAffinity\":\"None\",\"externalTrafficPolicy\":\"Cluster\","
		"\"internalTrafficPolicy\":\"Cluster\"},\"status\":{\"loadBalancer\":{}}}");
}

TEST(defaulting_and_ordering_again_changes_nothing)
{
	const struct schema *s = schema_builtin();

	for (size_t i = 0; i < s->n_kinds; i++) {
		const struct schema_kind *k = s->kinds[i];
		struct str once = full(k, "{\"metadata\":{\"name\":\"x\"}}"), twice = STR_NONE;
		struct arena *keep = arena_new(0);
		char *copy = arena_cstr(keep, once);

		twice = full(k, copy);
		CHECK_STR(twice, copy);
		CHECK_INT(strict.n, 0);
		arena_free(keep);
	}
}

TEST(stored_form_has_a_place_for_the_revision)
{
	struct doc *d = decode(kind("", "ConfigMap"),
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\",\"uid\":\"u\","
		"\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"}},\"data\":{\"k\":\"v\"}}");
	struct buf b;
	uint32_t at = 0;

	CHECK(d != NULL);
	buf_init_arena(&b, a);
	buf_cstr(&b, "xx");
	CHECK_INT(schema_write(a, kind("", "ConfigMap")->type, d, true, &b, &at), 0);
	CHECK_STR(str_sub(buf_view(&b), 2, SIZE_MAX),
		"{\"metadata\":{\"name\":\"c\",\"uid\":\"u\",\"resourceVersion\":\"\",\"labels\":{\"a\":\"b\"}},"
		"\"data\":{\"k\":\"v\"}}");
	CHECK_STR(str_sub(buf_view(&b), 2 + at - 1, 2 + at + 1), "\"\"");
}

TEST(structs_hold_what_documents_say)
{
	struct doc *d = decode(kind("", "Pod"),
		"{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"labels\":{\"a\":\"b\"},\"creationTimestamp\":"
		"\"2026-01-02T03:04:05Z\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"K\",\"name\":\"o\","
		"\"uid\":\"u\",\"controller\":true}]},\"spec\":{\"priority\":0,\"containers\":[{\"name\":\"c\","
		"\"stdin\":true,\"resources\":{\"limits\":{\"cpu\":\"2\"}},\"livenessProbe\":{\"tcpSocket\":{\"port\":"
		"\"web\"}},\"command\":[\"x\",\"y\"]}]},\"status\":{\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}");
	struct core_v1_pod p;
	struct doc *back = NULL;

	CHECK(d != NULL);
	CHECK_INT(schema_to_struct(a, SCHEMA_TYPE_OF(core_v1_pod), d, &p), 0);
	CHECK_STR(p.metadata.name, "p");
	CHECK_INT(p.metadata.n_labels, 1);
	CHECK_STR(p.metadata.labels[0].value, "b");
	CHECK(p.metadata.creation_timestamp == 1767323045LL * 1000000000);
	CHECK(p.metadata.owner_references[0].controller &&
		p.metadata.owner_references[0].has_controller);
	CHECK(p.spec.has_priority && p.spec.priority == 0);
	CHECK(!p.spec.has_active_deadline_seconds);
	CHECK(p.spec.containers[0].stdin_);
	CHECK_INT(p.spec.containers[0].n_command, 2);
	CHECK_STR(p.spec.containers[0].resources.limits[0].key, "cpu");
	CHECK(p.spec.containers[0].liveness_probe->tcp_socket->port.is_str);
	CHECK(p.spec.containers[0].readiness_probe == NULL);
	CHECK_STR(p.status.pod_ips[0].ip, "10.0.0.1");
	back = schema_from_struct(a, SCHEMA_TYPE_OF(core_v1_pod), &p);
	CHECK(back != NULL);
	CHECK_INT(schema_order(a, kind("", "Pod")->type, d), 0);
	CHECK_STR(text(back), text(d));
}

/* Caches keep structs, not the documents they came from. */
TEST(an_own_struct_needs_nothing_of_its_document)
{
	static const char json[] =
		"{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"
		"\"name\":\"c\",\"args\":[\"x\"],\"livenessProbe\":{\"httpGet\":{\"port\":\"web\"}}}]}}";
	char copy[sizeof(json)];
	struct arena *other = arena_new(0);
	struct core_v1_pod p;
	struct doc *d = NULL;

	fresh();
	memcpy(copy, json, sizeof(json));
	CHECK_INT(doc_parse_json(other, str_from(copy, sizeof(json) - 1), NULL, &d, NULL), 0);
	CHECK_INT(schema_own_struct(a, SCHEMA_TYPE_OF(core_v1_pod), d, &p), 0);
	arena_free(other);
	memset(copy, 'z', sizeof(copy));
	CHECK_STR(p.metadata.name, "p");
	CHECK_STR(p.metadata.labels[0].key, "app");
	CHECK_STR(p.metadata.labels[0].value, "web");
	CHECK_STR(p.spec.containers[0].args[0], "x");
	CHECK_STR(p.spec.containers[0].liveness_probe->http_get->port.s, "web");
}

static void
message(struct buf *out, uint32_t number, const struct buf *in)
{
	proto_put_bytes(out, number, buf_view(in));
}

TEST(protobuf_bodies_are_read)
{
	struct buf body, unknown, type, pod, meta, spec, container, port, probe, handler, tcp, ios,
		res, entry, quantity;
	struct buf *all[] = {&body, &unknown, &type, &pod, &meta, &spec, &container, &port, &probe,
		&handler, &tcp, &ios, &res, &entry, &quantity};
	struct doc *d = NULL;

	fresh();
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_init_arena(all[i], a);
	proto_put_bytes(&type, 1, STR("v1"));
	proto_put_bytes(&type, 2, STR("Pod"));
	message(&unknown, 1, &type);
	proto_put_bytes(&meta, 1, STR("p"));
	proto_put_bytes(&meta, 2, STR(""));
	proto_put_bytes(&entry, 1, STR("a"));
	proto_put_bytes(&entry, 2, STR("b"));
	message(&meta, 11, &entry);
	message(&pod, 1, &meta);
	proto_put_bytes(&container, 1, STR("c"));
	proto_put_varint(&port, 3, 80);
	message(&container, 6, &port);
	proto_put_varint(&ios, 1, 1);
	proto_put_varint(&ios, 2, 0);
	proto_put_bytes(&ios, 3, STR("web"));
	message(&tcp, 1, &ios);
	message(&handler, 3, &tcp);
	message(&probe, 1, &handler);
	proto_put_varint(&probe, 3, 5);
	message(&container, 10, &probe);
	proto_put_bytes(&quantity, 1, STR("1000m"));
	buf_clear(&entry);
	proto_put_bytes(&entry, 1, STR("cpu"));
	message(&entry, 2, &quantity);
	message(&res, 1, &entry);
	message(&container, 8, &res);
	message(&spec, 2, &container);
	proto_put_varint(&spec, 4, (uint64_t)-1);
	message(&pod, 2, &spec);
	message(&unknown, 2, &pod);
	buf_add(&body, "k8s\0", 4);
	buf_str(&body, buf_view(&unknown));
	CHECK_INT(schema_decode(a, kind("", "Pod")->type, buf_view(&body), SCHEMA_PROTOBUF, &d,
			  &strict, &e),
		0);
	CHECK_INT(strict.n, 0);
	CHECK_INT(schema_order(a, kind("", "Pod")->type, d), 0);
	CHECK_STR(text(d),
		"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"b\"}},"
		"\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{\"containerPort\":80}],\"resources\":{"
		"\"limits\":{\"cpu\":\"1\"}},\"livenessProbe\":{\"tcpSocket\":{\"port\":\"web\"},"
		"\"timeoutSeconds\":5}}],\"terminationGracePeriodSeconds\":-1},\"status\":{}}");
	CHECK(schema_decode(a, kind("", "Pod")->type, str_sub(buf_view(&body), 0, body.len - 3),
		      SCHEMA_PROTOBUF, &d, &strict, &e) == -EINVAL);
}

TEST(yaml_bodies_are_read)
{
	struct doc *d = NULL;

	fresh();
	CHECK_INT(
		schema_decode(a, kind("", "ConfigMap")->type,
			STR("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: \"1\"\n"),
			SCHEMA_YAML, &d, &strict, &e),
		0);
	CHECK_STR(doc_as_str(doc_at(d, "data.a")), "1");
}

static struct str
causes(const struct schema_kind *k, const char *json, const char *old)
{
	struct schema_errors errs = {0};
	struct doc *d = decode(k, json), *o = NULL;

	if (d == NULL)
		return str_c(e.msg);
	errs.a = a;
	if (old && doc_parse_json(a, str_c(old), NULL, &o, &e) != 0)
		return str_c(e.msg);
	schema_default(a, k->type, d);
	if (o)
		schema_default(a, k->type, o);
	schema_validate(k, d, o, &errs);
	return schema_errors_message(&errs);
}

TEST(rules_of_the_kind_files_give_causes)
{
	CHECK_STR(
		causes(kind("apps", "Deployment"),
			"{\"metadata\":{\"name\":\"A\",\"namespace\":\"d\"},\"spec\":{\"replicas\":-1}}",
			NULL),
		"[metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case "
		"alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
		"'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
		"[a-z0-9])?)*'), spec.replicas: Invalid value: -1: must be greater than or equal to 0, "
		"spec.selector: Required value, spec.template.spec.containers: Required value, "
		"spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`]");
	CHECK_STR(
		causes(kind("", "Pod"),
			"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"labels\":{\"a b\":\"c\"}},\"spec\":"
			"{\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"terminationMessagePolicy\":\"x\"}]}}",
			NULL),
		"[metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', "
		"'_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  "
		"or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), "
		"spec.containers[0].terminationMessagePolicy: Unsupported value: \"x\": supported values: "
		"\"File\", \"FallbackToLogsOnError\"]");
	CHECK_STR(
		causes(kind("apps", "ReplicaSet"),
			"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":"
			"{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":"
			"[{\"name\":\"c\",\"image\":\"i\"}]}}}}",
			"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{\"selector\":{\"matchLabels\":"
			"{\"a\":\"c\"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}"),
		"spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable");
}

TEST(projections_are_filled_by_the_same_walk)
{
	struct doc *d = decode(kind("", "Pod"),
		"{\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"nodeName\":\"n\",\"volumes\":[{"
		"\"name\":\"v\"}],\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":80}]}]},"
		"\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
	struct pod_summary p;

	CHECK(d != NULL);
	CHECK_INT(schema_to_struct(a, SCHEMA_TYPE_OF(pod_summary), d, &p), 0);
	CHECK_STR(p.metadata.labels[0].key, "a");
	CHECK_STR(p.spec.node_name, "n");
	CHECK_INT(p.spec.containers[0].ports[0].container_port, 80);
	CHECK_STR(p.status.conditions[0].status, "True");
	CHECK(sizeof(struct pod_summary) < sizeof(struct core_v1_pod) / 2);
}

TEST(custom_kinds_stand_beside_the_built_in_ones)
{
	static const uint16_t order[] = {1, 0, 2};
	static const struct schema_field fields[] = {
		{.name = "kind\0", .name_len = 4, .emit = SCHEMA_OMITEMPTY},
		{.name = "apiVersion\0", .name_len = 10, .emit = SCHEMA_OMITEMPTY},
		{.name = "metadata\0",
			.name_len = 8,
			.form = SCHEMA_STRUCT,
			.type = &schema_type_meta_v1_object_meta,
			.flags = SCHEMA_EMBEDDED},
	};
	static const struct schema_type type = {.name = "Gadget",
		.group = "example.com",
		.version = "v1",
		.description = "",
		.fields = fields,
		.by_name = order,
		.n_fields = 3,
		.preserve_unknown = true,
		.root = true};
	static const char *const none[] = {NULL};
	static const struct schema_kind gadget = {.group = "example.com",
		.version = "v1",
		.kind = "Gadget",
		.list_kind = "GadgetList",
		.plural = "gadgets",
		.singular = "gadget",
		.short_names = none,
		.categories = none,
		.storage_hash = "",
		.storage_group = "example.com",
		.type = &type,
		.flags = SCHEMA_KIND_SERVED | SCHEMA_KIND_STORED,
		.verbs = 0xff,
		.namespaced = true,
		.custom = true};
	static const struct schema_kind *const kinds[] = {&gadget};
	const struct schema *s = NULL;
	struct buf b;

	CHECK_STR(full(&gadget, "{\"spec\":{\"x\":1},\"metadata\":{\"name\":\"g\",\"foo\":1}}"),
		"{\"metadata\":{\"name\":\"g\"},\"spec\":{\"x\":1}}");
	CHECK_INT(strict.n, 1);
	s = schema_extend(a, schema_builtin(), kinds, 1);
	CHECK(schema_kind_find(s, STR("example.com"), STR("v1"), STR("Gadget")) == &gadget);
	CHECK(schema_kind_find(s, STR("apps"), STR("v1"), STR("Deployment")) ==
		kind("apps", "Deployment"));
	CHECK(schema_resource_find(s, STR("example.com"), STR(""), STR("gadgets")) == &gadget);
	CHECK(schema_kind_find(schema_builtin(), STR("example.com"), STR("v1"), STR("Gadget")) ==
		NULL);
	buf_init_arena(&b, a);
	CHECK_INT(schema_discovery_resources(s, STR("example.com"), STR("v1"), &b), 0);
	CHECK(str_find(buf_view(&b), STR("\"gadgets\"")) > 0);
	buf_clear(&b);
	CHECK_INT(schema_openapi_v3(s, STR("apis/example.com/v1"), &b), 0);
}

TEST(a_volume_is_told_before_its_name_and_each_source_says_what_it_lacks)
{
#define WITH_VOLUME(v)                                                                                  \
	"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":{\"containers\":[{\"name\":\"c\"," \
	"\"image\":\"i\"}],\"volumes\":[" v "]}}"
	CHECK_STR(causes(kind("", "Pod"), WITH_VOLUME("{\"iscsi\":{\"iqn\":\"x\",\"lun\":300}}"),
			  NULL),
		"[spec.volumes[0].iscsi.targetPortal: Required value, spec.volumes[0].iscsi.iqn: Invalid value: "
		"\"x\": must be valid format starting with iqn, eui, or naa, spec.volumes[0].iscsi.lun: Invalid "
		"value: 300: must be between 0 and 255, inclusive, spec.volumes[0].name: Required value]");
	CHECK_STR(causes(kind("", "Pod"),
			  WITH_VOLUME("{\"name\":\"v\",\"iscsi\":{\"targetPortal\":\"p\",\"iqn\":"
				      "\"iqn.2026-01.com.example:disk\",\"lun\":0}}"),
			  NULL),
		"");
	CHECK_STR(causes(kind("", "Pod"), WITH_VOLUME("{\"name\":\"v\",\"emptyDir\":{},\"fc\":{}}"),
			  NULL),
		"spec.volumes[0].fc: Forbidden: may not specify more than 1 volume type");
	CHECK_STR(causes(kind("", "Pod"),
			  WITH_VOLUME("{\"name\":\"v\",\"nfs\":{\"server\":\"s\"}}"), NULL),
		"[spec.volumes[0].nfs.path: Required value, spec.volumes[0].nfs.path: Invalid value: \"\": must be "
		"an absolute path]");
	CHECK_STR(
		causes(kind("", "Pod"),
			WITH_VOLUME(
				"{\"name\":\"v\",\"quobyte\":{\"registry\":\"a:1,b\",\"volume\":\"x\"}}"),
			NULL),
		"spec.volumes[0].quobyte.registry: Invalid value: \"a:1,b\": must be a host:port pair or multiple "
		"pairs separated by commas");
#undef WITH_VOLUME
}
