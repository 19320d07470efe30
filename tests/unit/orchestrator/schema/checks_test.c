/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_test: what the fields of an object say of each other. The rules one by one are the table of
 * tests/api/facts/validation.txt, which the suite badinput asks a server about; here is one of each kind, and what
 * the table cannot say: that good objects have no causes. */
#include "tests/unit/test.h"

#include "orchestrator/schema/schema.h"

static struct arena *a;

/* causes: of obj, that was `old` (NULL: a new one). */
static const char *
causes(const char *group, const char *name, const char *obj, const char *old)
{
	const struct schema_kind *k = NULL;
	struct schema_strict strict = {0};
	struct doc *d = NULL, *o = NULL;
	struct schema_errors errs = {0};
	struct err e = {0};

	arena_free(a);
	a = arena_new(0);
	errs.a = a;
	k = schema_kind_find(schema_builtin(), str_c(group), STR("v1"), str_c(name));
	if (!k || schema_decode(a, k->type, str_c(obj), SCHEMA_YAML, &d, &strict, &e) != 0 ||
		(old && schema_decode(a, k->type, str_c(old), SCHEMA_YAML, &o, &strict, &e) != 0))
		return "no such object";
	schema_default(a, k->type, d);
	if (o)
		schema_default(a, k->type, o);
	schema_validate(k, d, o, &errs);
	return arena_cstr(a, schema_errors_message(&errs));
}

#define META "metadata: {name: x, namespace: d}\n"
#define POD(spec) META "spec: {containers: [{name: c, image: i}], " spec "}"
#define CONTAINER(more) META "spec: {containers: [{name: c, image: i, " more "}]}"
#define DEPLOYMENT(spec)                                                                           \
	META "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, "     \
	     "spec: {containers: [{name: c, image: i}]}}, " spec "}"

TEST(good_objects_have_no_causes)
{
	CHECK_STR(causes("", "Pod", POD("hostNetwork: true"), NULL), "");
	CHECK_STR(causes("apps", "Deployment", DEPLOYMENT("replicas: 2"), NULL), "");
	CHECK_STR(causes("", "ConfigMap", META "data: {a: b}\nbinaryData: {c: ZA==}", NULL), "");
	CHECK_STR(causes("", "Service", META "spec: {ports: [{port: 80}]}", NULL), "");
	CHECK_STR(
		causes("batch", "CronJob",
			META
			"spec: {schedule: '0 0 1-5/2 jan,feb sun', jobTemplate: {spec: {template: "
			"{spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}",
			NULL),
		"");
}

#define ADMISSION "admissionregistration.k8s.io"
#define CLUSTER "metadata: {name: x}\n"
#define MATCH                                                                                            \
	"matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], " \
	"resources: [pods]}]}, "
#define POLICY(spec) CLUSTER "spec: {" MATCH spec "}"

TEST(admission_policies_are_checked_in_upstreams_order)
{
	const char *kind = "ValidatingAdmissionPolicy";
	CHECK_STR(causes(ADMISSION, kind, POLICY("validations: [{expression: 'true'}]"), NULL), "");
	CHECK_STR(causes(ADMISSION, kind, CLUSTER, NULL),
		"[spec.matchConstraints: Required value, spec.validations: Required value: validations "
		"or auditAnnotations must contain at least one item, spec.auditAnnotations: Required "
		"value: validations or auditAnnotations must contain at least one item]");
	CHECK_STR(
		causes(ADMISSION, kind,
			POLICY("failurePolicy: Maybe, paramKind: {apiVersion: a/b/c, kind: A_b}, "
			       "variables: [{name: in, expression: ' '}], validations: [{expression: '', "
			       "message: ' ', reason: Gone}]"),
			NULL),
		"[spec.failurePolicy: Unsupported value: \"Maybe\": supported values: \"Fail\", "
		"\"Ignore\", spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected "
		"GroupVersion string: a/b/c, spec.paramKind.kind: Invalid value: \"A_b\": may have mixed "
		"case, but should otherwise match: a DNS-1035 label must consist of lower case "
		"alphanumeric characters or '-', start with an alphabetic character, and end with an "
		"alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
		"'[a-z]([-a-z0-9]*[a-z0-9])?'), spec.variables[0].name: Invalid value: \"in\": must be a "
		"valid CEL identifier, spec.variables[0].expression: Required value: expression is not "
		"specified, spec.validations[0].expression: Required value: expression is not specified, "
		"spec.validations[0].message: Invalid value: \" \": must be non-empty if specified, "
		"spec.validations[0].reason: Unsupported value: \"Gone\": supported values: "
		"\"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"]");
	CHECK_STR(causes(ADMISSION, kind,
			  CLUSTER
			  "spec: {matchConstraints: {objectSelector: {matchLabels: {'-': b}}, "
			  "resourceRules: [{resourceNames: [a, a/b, a]}]}, validations: "
			  "[{expression: 'true'}]}",
			  NULL),
		"[spec.matchConstraints.objectSelector.matchLabels: Invalid value: \"-\": name part must "
		"consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
		"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
		"validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'), "
		"spec.matchConstraints.resourceRules[0].resourceNames[1]: Invalid value: \"a/b\": may "
		"not contain '/', spec.matchConstraints.resourceRules[0].resourceNames[2]: Duplicate "
		"value: \"a\", spec.matchConstraints.resourceRules[0].operations: Required value, "
		"spec.matchConstraints.resourceRules[0].apiGroups: Required value, "
		"spec.matchConstraints.resourceRules[0].apiVersions: Required value, "
		"spec.matchConstraints.resourceRules[0].resources: Required value]");
}

TEST(bindings_of_policies_name_what_they_need)
{
	const char *kind = "ValidatingAdmissionPolicyBinding";
	CHECK_STR(causes(ADMISSION, kind, CLUSTER, NULL),
		"[spec.policyName: Required value, spec.validationActions: Required value]");
	CHECK_STR(
		causes(ADMISSION, kind,
			CLUSTER
			"spec: {policyName: p, validationActions: [Deny, Warn], paramRef: {name: a, "
			"selector: {}, parameterNotFoundAction: Maybe}}",
			NULL),
		"[spec.paramRef.name: Forbidden: name and selector are mutually exclusive, "
		"spec.paramRef.selector: Forbidden: name and selector are mutually exclusive, "
		"spec.paramRef.parameterNotFoundAction: Unsupported value: \"Maybe\": supported values: "
		"\"Deny\", \"Allow\", spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must "
		"not contain both Deny and Warn (repeating the same validation failure information in "
		"the API response and headers serves no purpose)]");
	CHECK_STR(
		causes(ADMISSION, "MutatingAdmissionPolicyBinding",
			CLUSTER
			"spec: {policyName: p, matchResources: {resourceRules: [{apiGroups: [''], "
			"apiVersions: [v1], operations: [DELETE], resources: [pods]}]}}",
			NULL),
		"spec.matchResources.resourceRules.operations: Unsupported value: \"DELETE\": supported "
		"values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"");
}

TEST(policies_that_change_objects_say_how)
{
	const char *kind = "MutatingAdmissionPolicy";
	CHECK_STR(
		causes(ADMISSION, kind,
			POLICY("reinvocationPolicy: Never, mutations: [{patchType: JSONPatch, jsonPatch: "
			       "{expression: '[]'}}]"),
			NULL),
		"");
	CHECK_STR(
		causes(ADMISSION, kind,
			POLICY("mutations: [{patchType: JSONPatch, applyConfiguration: {expression: "
			       "x}}, {patchType: Other}]"),
			NULL),
		"[spec.mutations[0].jsonPatch: Required value: must be specified when patchType is "
		"JSONPatch, spec.mutations[0].applyConfiguration: Invalid value: "
		"\"{applyConfiguration}\": must not be specified when patchType is JSONPatch, "
		"spec.mutations[1].patchType: Unsupported value: \"Other\": supported values: "
		"\"ApplyConfiguration\", \"JSONPatch\", spec.reinvocationPolicy: Required value]");
}

#define STATEFULSET(mounts)                                                                        \
	META "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, "     \
	     "spec: {hostname: Not_Looked_At, containers: [{name: c, image: i, " mounts            \
	     "}]}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: ["         \
	     "ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"                            \
	     "}"

/* "volumeMounts[0].name: Not found" */
TEST(containers_mount_what_a_stateful_set_claims)
{
	CHECK_STR(causes("apps", "StatefulSet",
			  STATEFULSET("volumeMounts: [{name: data, mountPath: /d}]"), NULL),
		"");
	CHECK_STR(causes("apps", "StatefulSet",
			  STATEFULSET("volumeDevices: [{name: data, devicePath: /d}]"), NULL),
		"");
	CHECK_STR(causes("apps", "StatefulSet",
			  STATEFULSET("volumeMounts: [{name: other, mountPath: /d}]"), NULL),
		"spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"other\"");
	CHECK_STR(causes("apps", "StatefulSet", STATEFULSET("volumeMounts: [{name: data}]"), NULL),
		"spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value");
}

TEST(fields_that_contradict_each_other_give_causes)
{
	static const struct {
		const char *group, *kind, *obj, *old, *text;
	} rows[] = {
		{"", "Pod", CONTAINER("volumeMounts: [{name: v, mountPath: /m}]"), NULL,
			"spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
		{"", "Pod", CONTAINER("resources: {limits: {cpu: 1}, requests: {cpu: 2}}"), NULL,
			"spec.containers[0].resources.requests: Invalid value: \"2\": must be less than "
			"or equal to cpu limit of 1"},
		{"", "Pod", POD("volumes: [{name: v, emptyDir: {}, hostPath: {path: /x}}]"), NULL,
			"spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"},
		{"", "Pod", POD("tolerations: [{operator: Equal}]"), NULL,
			"spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists "
			"when `key` is empty, which means \"match all values and all keys\""},
		{"", "Pod", POD("dnsPolicy: None"), NULL,
			"spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is "
			"None"},
		{"", "ConfigMap", META "data: {a: b}\nbinaryData: {a: ZA==}", NULL,
			"data[a]: Invalid value: \"a\": duplicate of key present in binaryData"},
		{"", "ConfigMap", META "data: {a: b}", META "data: {a: c}\nimmutable: true",
			"[immutable: Forbidden: field is immutable when `immutable` is set, data: "
			"Forbidden: field is immutable when `immutable` is set]"},
		{"", "Secret", META "type: kubernetes.io/tls\ndata: {tls.crt: ZA==}", NULL,
			"data[tls.key]: Required value"},
		{"", "Service", META "spec: {ports: [{port: 80}, {name: b, port: 80}]}", NULL,
			"[spec.ports[0].name: Required value, spec.ports[1]: Duplicate value: "
			"{\"name\":\"b\",\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}]"},
		{"apps", "Deployment", DEPLOYMENT("strategy: {type: Recreate, rollingUpdate: {}}"),
			NULL,
			"spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy "
			"`type` is 'Recreate'"},
		{"networking.k8s.io", "IPAddress",
			"metadata: {name: 010.1.1.1}\nspec: {parentRef: {resource: services, name: x}}",
			NULL,
			"metadata.name: Invalid value: \"010.1.1.1\": must not have leading 0s"},
		{"storage.k8s.io", "VolumeAttachment",
			"metadata: {name: x}\nspec: {attacher: d, nodeName: node, source: {}}",
			NULL,
			"spec.source: Required value: must specify exactly one of inlineVolumeSpec and "
			"persistentVolumeName"},
		/* what stands where nothing may is not judged */
		{"", "Pod", POD("initContainers: [{name: d, image: i, livenessProbe: {exec: {}}}]"),
			NULL,
			"spec.initContainers[0].livenessProbe: Forbidden: may not be set for init "
			"containers without restartPolicy=Always"},
		{"", "Pod", POD("volumes: [{name: v, emptyDir: {}, nfs: {}}]"), NULL,
			"spec.volumes[0].nfs: Forbidden: may not specify more than 1 volume type"},
		{"rbac.authorization.k8s.io", "Role",
			META "rules: [{verbs: [get], nonResourceURLs: [/x]}]", NULL,
			"rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot "
			"apply to non-resource URLs"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(causes(rows[i].group, rows[i].kind, rows[i].obj, rows[i].old),
			rows[i].text);
}

TEST(a_new_finalizer_of_an_update_is_checked)
{
	CHECK_STR(causes("", "ConfigMap", "metadata: {name: x, namespace: d, finalizers: ['/']}",
			  META "data: {}"),
		"[metadata.finalizers: Invalid value: \"/\": prefix part must be non-empty, "
		"metadata.finalizers: Invalid value: \"/\": name part must be non-empty, "
		"metadata.finalizers: Invalid value: \"/\": name part must consist of alphanumeric "
		"characters, '-', '_' or '.', and must start and end with an alphanumeric character "
		"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
		"'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')]");
}

#define FLOW "flowcontrol.apiserver.k8s.io"
#define RULES                                                                                      \
	"rules: [{subjects: [{kind: Group, group: {name: g}}], nonResourceRules: [{verbs: ['*'], " \
	"nonResourceURLs: [/healthz, '/x/*']}]}]"

TEST(requests_are_sorted_by_rules_that_say_something)
{
	static const char *const names[] = {"exempt", "catch-all"};
	const char *kind = "FlowSchema";
	CHECK_STR(causes(FLOW, kind,
			  CLUSTER "spec: {priorityLevelConfiguration: {name: l}, " RULES "}", NULL),
		"");
	CHECK_STR(causes(FLOW, kind,
			  CLUSTER
			  "spec: {matchingPrecedence: 1, priorityLevelConfiguration: {name: l}}",
			  NULL),
		"spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have "
		"matchingPrecedence 1");
	CHECK_STR(
		causes(FLOW, kind,
			CLUSTER
			"spec: {priorityLevelConfiguration: {name: l}, rules: [{subjects: "
			"[{kind: ServiceAccount, user: {name: u}}], nonResourceRules: [{verbs: ['*', "
			"get], nonResourceURLs: [x, /a b, //, '/*x', '/**']}]}]}",
			NULL),
		"[spec.rules[0].subjects[0].serviceAccount: Required value: serviceAccount is required "
		"when subject kind is 'ServiceAccount', spec.rules[0].subjects[0].user: Forbidden: user "
		"is forbidden when subject kind is not 'User', spec.rules[0].nonResourceRules[0].verbs: "
		"Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs, "
		"spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"x\": must start "
		"with slash, spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"/a "
		"b\": must not contain white-space, spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: "
		"Invalid value: \"//\": must not contain double slash, "
		"spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: \"/*x\": wildcard "
		"can only do suffix matching, spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: "
		"Invalid value: \"/**\": wildcard can only do suffix matching]");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char obj[200];
		snprintf(obj, sizeof(obj),
			"metadata: {name: %s}\nspec: {priorityLevelConfiguration: {name: l}}",
			names[i]);
		CHECK(strstr(causes(FLOW, kind, obj, NULL), "must equal the fixed value") != NULL);
	}
}

#define LEVEL(spec) CLUSTER "spec: {" spec "}"
#define QUEUES(q, h)                                                                               \
	LEVEL("type: Limited, limited: {limitResponse: {type: Queue, queuing: {queues: " q         \
	      ", handSize: " h "}}}")

TEST(a_priority_level_can_deal_its_hands)
{
	const char *kind = "PriorityLevelConfiguration";
	CHECK_STR(causes(FLOW, kind, QUEUES("64", "8"), NULL), "");
	CHECK_STR(causes(FLOW, kind, QUEUES("4", "8"), NULL),
		"spec.limited.limitResponse.queuing.handSize: Invalid value: 8: should not be greater "
		"than queues (4)");
	CHECK_STR(causes(FLOW, kind, QUEUES("1024", "8"), NULL),
		"spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of "
		"deckSize 1024 and handSize 8 should not be greater than 60");
	CHECK_STR(causes(FLOW, kind, LEVEL("type: Limited"), NULL),
		"spec.limited: Required value: must not be empty when type is Limited");
	CHECK_STR(causes(FLOW, kind,
			  "metadata: {name: exempt}\nspec: {type: Exempt, exempt: "
			  "{lendablePercent: 50}}",
			  NULL),
		"");
	CHECK_STR(causes(FLOW, kind,
			  "metadata: {name: catch-all}\nspec: {type: Limited, limited: "
			  "{nominalConcurrencyShares: 5, limitResponse: {type: Reject}}}",
			  NULL),
		"");
}

#define CSI_NODE(driver) CLUSTER "spec: {drivers: [{name: d, " driver "}]}"
#define TERM "{matchLabelExpressions: [{key: z, values: [a]}]}"

TEST(what_drivers_say_of_storage_stays)
{
	const char *group = "storage.k8s.io";
	CHECK_STR(causes(group, "CSINode", CSI_NODE("nodeID: a, allocatable: {count: 2}"),
			  CSI_NODE("nodeID: a")),
		"");
	CHECK(strstr(causes(group, "CSINode", CSI_NODE("nodeID: b"), CSI_NODE("nodeID: a")),
		      "field is immutable") != NULL);
	CHECK_STR(
		causes(group, "VolumeAttributesClass", CLUSTER "driverName: d\nparameters: {a: c}",
			CLUSTER "driverName: d\nparameters: {a: b}"),
		"parameters: Forbidden: updates to parameters are forbidden.");
	CHECK_STR(causes(group, "StorageClass",
			  CLUSTER "provisioner: p\nallowedTopologies: [" TERM "]", NULL),
		"");
	CHECK_STR(causes(group, "StorageClass",
			  CLUSTER "provisioner: p\nallowedTopologies: [" TERM ", " TERM "]", NULL),
		"allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"");
}

TEST(windows_users_are_looked_at_though_no_node_knows_them)
{
	static const struct {
		const char *user, *why;
	} rows[] = {
		{"me", NULL},
		{"HOST\\me", NULL},
		{"a.example.com\\me", NULL},
		{"a\\b\\c", "runAsUserName cannot contain more than one backslash"},
		{"..", "runAsUserName's User cannot contain only periods or spaces"},
		{"a:b", "runAsUserName's User cannot contain the following characters"},
		{"a?b\\c", "runAsUserName's Domain doesn't match the NetBios nor the DNS format"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char obj[400];
		snprintf(obj, sizeof(obj),
			POD("securityContext: {windowsOptions: {runAsUserName: '%s'}}"),
			rows[i].user);
		const char *got = causes("", "Pod", obj, NULL);
		CHECK(rows[i].why ? strstr(got, rows[i].why) != NULL : !*got);
	}
	CHECK(strstr(causes("", "Pod",
			     POD("securityContext: {windowsOptions: {hostProcess: true}}"), NULL),
		      "hostNetwork must be true if pod contains any hostProcess containers") !=
		NULL);
}
