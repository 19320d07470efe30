/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * publish_test: discovery and OpenAPI are valid JSON, complete, and say what clients look for. */
#include "tests/unit/test.h"

#include "orchestrator/schema/schema.h"

static struct arena *a;
static struct buf out;

static struct doc *
parsed(void)
{
	struct doc *d = NULL;
	static struct err e;

	if (out.failed || doc_parse_json(a, buf_view(&out), NULL, &d, &e) != 0) {
		printf("     %s\n", e.msg);
		return NULL;
	}
	return d;
}

static void
fresh(void)
{
	arena_free(a);
	a = arena_new(0);
	buf_init_arena(&out, a);
}

static const struct doc *
named(const struct doc *list, const char *key, const char *name)
{
	DOC_EACH (x, list)
		if (str_eq_c(doc_get_str(x, str_c(key)), name))
			return x;
	return NULL;
}

TEST(aggregated_discovery)
{
	const struct doc *d = NULL, *r = NULL, *sub = NULL;

	fresh();
	schema_discovery_aggregated(schema_builtin(), true, "v2", &out);
	d = parsed();
	CHECK_STR(doc_get_str(d, STR("apiVersion")), "apidiscovery.k8s.io/v2");
	CHECK_INT(doc_len(doc_get(d, STR("items"))), 1);
	r = named(doc_at(d, "items[0].versions[0].resources"), "resource", "pods");
	CHECK_STR(doc_as_str(doc_at(r, "responseKind.kind")), "Pod");
	CHECK_STR(doc_as_str(doc_at(r, "shortNames[0]")), "po");
	CHECK_STR(doc_as_str(doc_at(r, "categories[0]")), "all");
	CHECK_STR(doc_get_str(r, STR("scope")), "Namespaced");
	CHECK_INT(doc_len(doc_get(r, STR("verbs"))), 8);
	sub = named(doc_get(r, STR("subresources")), "subresource", "eviction");
	CHECK_STR(doc_as_str(doc_at(sub, "responseKind.group")), "policy");
	fresh();
	schema_discovery_aggregated(schema_builtin(), false, "v2beta1", &out);
	d = parsed();
	CHECK_STR(doc_get_str(d, STR("apiVersion")), "apidiscovery.k8s.io/v2beta1");
	CHECK_STR(doc_as_str(doc_at(d, "items[0].metadata.name")), "apiregistration.k8s.io");
	CHECK_STR(doc_as_str(doc_at(d, "items[1].metadata.name")), "apps");
	r = NULL;
	DOC_EACH (g, doc_get(d, STR("items"))) {
		if (str_eq_c(doc_as_str(doc_at(g, "metadata.name")), "autoscaling"))
			r = g;
	}
	CHECK_STR(doc_as_str(doc_at(r, "versions[0].version")), "v2");
}

TEST(legacy_discovery)
{
	const struct doc *d = NULL, *r = NULL;

	fresh();
	schema_discovery_versions(schema_builtin(), STR("10.0.0.1:6443"), &out);
	CHECK_STR(doc_as_str(doc_at(parsed(), "versions[0]")), "v1");
	fresh();
	schema_discovery_groups(schema_builtin(), &out);
	CHECK_STR(
		doc_as_str(doc_at(parsed(), "groups[1].preferredVersion.groupVersion")), "apps/v1");
	fresh();
	CHECK_INT(schema_discovery_group(schema_builtin(), STR("apps"), &out), 0);
	CHECK_STR(doc_as_str(doc_at(parsed(), "versions[0].groupVersion")), "apps/v1");
	CHECK_INT(schema_discovery_group(schema_builtin(), STR("nope"), &out), -ENOENT);
	CHECK_INT(schema_discovery_group(schema_builtin(), STR(""), &out), -ENOENT);
	fresh();
	CHECK_INT(schema_discovery_resources(schema_builtin(), STR(""), STR("v1"), &out), 0);
	d = parsed();
	r = named(doc_get(d, STR("resources")), "name", "pods/eviction");
	CHECK_STR(doc_get_str(r, STR("group")), "policy");
	CHECK_STR(doc_get_str(r, STR("version")), "v1");
	CHECK_STR(doc_get_str(r, STR("kind")), "Eviction");
	r = named(doc_get(d, STR("resources")), "name", "pods");
	CHECK_STR(doc_get_str(r, STR("storageVersionHash")), "xPOwRZ+Yhw8=");
	CHECK(named(doc_get(d, STR("resources")), "name", "serviceaccounts/token") != NULL);
	CHECK_INT(schema_discovery_resources(schema_builtin(), STR("apps"), STR("v9"), &out),
		-ENOENT);
}

/* refs: every $ref below d names a schema that is there. */
static bool
refs(const struct doc *d, const char *prefix, const struct doc *schemas)
{
	DOC_EACH (m, d) {
		if (str_eq_c(m->key, "$ref") &&
			m->type == DOC_STR && /* there is a member of this name */
			(!str_starts(doc_as_str(m), str_c(prefix)) ||
				!doc_get(schemas,
					str_sub(doc_as_str(m), strlen(prefix), SIZE_MAX)))) {
			printf("     " STR_FMT "\n", STR_ARG(doc_as_str(m)));
			return false;
		}
		if (!refs(m, prefix, schemas))
			return false;
	}
	return true;
}

TEST(openapi_documents_are_whole)
{
	struct arena *keep = arena_new(0);
	struct str path = STR_NONE;
	size_t n = 0;

	for (; (path = schema_openapi_v3_path(keep, schema_builtin(), n)).n; n++) {
		const struct doc *d = NULL;

		fresh();
		CHECK_INT(schema_openapi_v3(schema_builtin(), path, &out), 0);
		d = parsed();
		CHECK(d != NULL);
		CHECK(refs(d, "#/components/schemas/", doc_at(d, "components.schemas")));
		CHECK(out.len < 3000000);
	}
	CHECK(n >= 18);
	arena_free(keep);
	CHECK_INT(schema_openapi_v3(schema_builtin(), STR("apis/nope/v1"), &out), -ENOENT);
}

TEST(openapi_says_what_kubectl_looks_for)
{
	const struct doc *d = NULL, *x = NULL;

	fresh();
	CHECK_INT(schema_openapi_v3(schema_builtin(), STR("apis/apps/v1"), &out), 0);
	d = parsed();
	x = doc_get(doc_get(d, STR("paths")),
		STR("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"));
	CHECK_STR(doc_as_str(doc_at(x, "patch[\"x-kubernetes-group-version-kind\"].kind")),
		"Deployment");
	CHECK_STR(doc_as_str(doc_at(x, "patch[\"x-kubernetes-action\"]")), "patch");
	CHECK(named(doc_at(x, "patch.parameters"), "name", "fieldValidation") != NULL);
	CHECK(doc_at(x, "patch.requestBody.content[\"application/strategic-merge-patch+json\"]") !=
		NULL);
	d = doc_at(d, "components.schemas");
	x = doc_get(d, STR("io.k8s.api.core.v1.PodSpec"));
	CHECK_STR(doc_as_str(doc_at(x, "properties.containers[\"x-kubernetes-patch-merge-key\"]")),
		"name");
	CHECK_STR(doc_as_str(doc_at(x, "properties.containers[\"x-kubernetes-patch-strategy\"]")),
		"merge");
	CHECK_STR(doc_as_str(doc_at(x, "properties.containers.items[\"$ref\"]")),
		"#/components/schemas/io.k8s.api.core.v1.Container");
	CHECK_STR(doc_as_str(doc_at(x, "properties.nodeSelector[\"x-kubernetes-map-type\"]")),
		"atomic");
	CHECK_STR(doc_as_str(doc_at(x, "required[0]")), "containers");
	x = doc_get(d, STR("io.k8s.api.apps.v1.Deployment"));
	CHECK_STR(doc_as_str(doc_at(x, "[\"x-kubernetes-group-version-kind\"][0].group")), "apps");
	CHECK(doc_get(d, STR("io.k8s.api.apps.v1.DeploymentList")) != NULL);
	CHECK(doc_get(d, STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")) != NULL);
}

static struct str
hash(void *arg, struct str path)
{
	(void)arg;
	return str_eq_c(path, "api/v1") ? STR("CORE") : STR("X");
}

TEST(openapi_index_and_version_two)
{
	struct reader r;
	struct proto_field f;
	int n = 0, got = 0;

	fresh();
	schema_openapi_v3_index(schema_builtin(), hash, NULL, &out);
	CHECK_STR(doc_as_str(doc_at(parsed(), "paths[\"api/v1\"].serverRelativeURL")),
		"/openapi/v3/api/v1?hash=CORE");
	fresh();
	schema_openapi_v2_proto(schema_builtin(), &out);
	r = reader_of(buf_view(&out));
	while ((got = proto_next(&r, &f)) == 1)
		n++;
	CHECK_INT(got, 0);
	CHECK_INT(n, 4);
	CHECK(out.len < 3000000);
	fresh();
	schema_openapi_v2_json(schema_builtin(), &out);
	CHECK_STR(doc_get_str(parsed(), STR("swagger")), "2.0");
	CHECK(out.len < 3000000);
}

TEST(openapi_version_two_defines_all_kinds)
{
	const struct doc *d = NULL, *x = NULL;

	fresh();
	schema_openapi_v2_json(schema_builtin(), &out);
	d = doc_get(parsed(), STR("definitions"));
	CHECK(refs(d, "#/definitions/", d));
	x = doc_get(d, STR("io.k8s.api.authentication.v1.TokenReview"));
	CHECK_STR(doc_as_str(doc_at(x, "[\"x-kubernetes-group-version-kind\"][0].kind")),
		"TokenReview");
	CHECK_STR(doc_as_str(doc_at(x, "properties.metadata[\"$ref\"]")),
		"#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
	CHECK(doc_at(x, "properties.metadata.allOf") == NULL);
	x = doc_get(d, STR("io.k8s.apimachinery.pkg.util.intstr.IntOrString"));
	CHECK_STR(doc_get_str(x, STR("type")), "string");
	/* members of a schema that are called like keywords of one stay */
	x = doc_get(
		d, STR("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"));
	CHECK(doc_at(x, "properties.default") != NULL);
	CHECK(doc_at(x, "properties.allOf.type") != NULL);
}
