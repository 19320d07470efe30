/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * defaults_core: defaults of the core group that depend on other members. Each function is named after its
 * type (the kind files mark it `hook`) and runs after the type's own `= value` defaults and before those
 * of its members. A hook is idempotent: objects are defaulted on every decode.
 * Source: k8s.io/kubernetes pkg/apis/core/v1/defaults.go (behaviour). */
#include "orchestrator/schema/defaults_int.h"

/* A member that is absent, null or zero gets v. */
static void
set_if_zero(struct arena *a, struct doc *d, struct str key, struct str v)
{
	if (doc_is_zero(doc_get(d, key)))
		doc_set_str(a, d, key, v);
}

/* image_is_latest: no digest and no tag, or the tag "latest". */
static bool
image_is_latest(struct str image)
{
	struct str rest = STR_NONE, digest = STR_NONE, last = STR_NONE, tag = STR_NONE,
		   dir = STR_NONE;

	if (image.n == 0)
		return false;
	str_cut(image, '@', &rest, &digest);
	str_rcut(rest, '/', &dir, &last);
	if (str_cut(last, ':', &rest, &tag))
		return str_eq_c(tag, "latest");
	return !str_is_set(digest);
}

void
schema_hook_core_v1_container(struct arena *a, struct doc *d)
{
	bool latest = image_is_latest(doc_get_str(d, STR("image")));

	set_if_zero(a, d, STR("imagePullPolicy"), latest ? STR("Always") : STR("IfNotPresent"));
}

void
schema_hook_core_v1_ephemeral_container(struct arena *a, struct doc *d)
{
	schema_hook_core_v1_container(a, d);
}

void
schema_hook_core_v1_image_volume_source(struct arena *a, struct doc *d)
{
	bool latest = image_is_latest(doc_get_str(d, STR("reference")));

	set_if_zero(a, d, STR("pullPolicy"), latest ? STR("Always") : STR("IfNotPresent"));
}

void
schema_hook_core_v1_volume(struct arena *a, struct doc *d)
{
	DOC_EACH (m, d)
		if (!str_eq_c(m->key, "name") && m->type == DOC_MAP)
			return;
	doc_set(d, STR("emptyDir"), doc_map(a));
}

/* fill_from: members of `from` that `to` has not. */
static void
fill_from(struct arena *a, struct doc *to, const struct doc *from)
{
	DOC_EACH (m, from) {
		struct doc *v = doc_get(to, m->key) ? NULL : doc_copy(a, m);

		if (v)
			doc_set(to, m->key, v);
	}
}

void
schema_hook_core_v1_limit_range_item(struct arena *a, struct doc *d)
{
	struct doc *into = NULL;

	if (!str_eq_c(doc_get_str(d, STR("type")), "Container"))
		return;
	if (!doc_is_zero(doc_get(d, STR("max"))) && (into = doc_ensure_map(a, d, STR("default"))))
		fill_from(a, into, doc_get(d, STR("max")));
	if (doc_is_zero(doc_get(d, STR("default"))) && doc_is_zero(doc_get(d, STR("min"))))
		return;
	into = doc_ensure_map(a, d, STR("defaultRequest"));
	if (into) {
		fill_from(a, into, doc_get(d, STR("default")));
		fill_from(a, into, doc_get(d, STR("min")));
	}
}

void
schema_hook_core_v1_namespace(struct arena *a, struct doc *d)
{
	struct str name = doc_get_str(doc_get(d, STR("metadata")), STR("name"));
	struct doc *meta = doc_get(d, STR("metadata")), *labels = NULL;

	if (name.n == 0)
		return;
	labels = doc_ensure_map(a, meta, STR("labels"));
	if (labels)
		doc_set_str(a, labels, STR("kubernetes.io/metadata.name"), name);
}

void
schema_hook_core_v1_node_status(struct arena *a, struct doc *d)
{
	struct doc *capacity = doc_get(d, STR("capacity"));

	if (doc_is_zero(capacity) || doc_get(d, STR("allocatable")))
		return;
	doc_set(d, STR("allocatable"), doc_copy(a, capacity));
}

/* requests_from_limits: what has a limit and no request requests its limit. */
static void
requests_from_limits(struct arena *a, struct doc *containers)
{
	DOC_EACH (c, containers) {
		struct doc *resources = doc_get(c, STR("resources"));
		struct doc *limits = doc_get(resources, STR("limits")), *requests = NULL;

		if (doc_is_zero(limits))
			continue;
		requests = doc_ensure_map(a, resources, STR("requests"));
		if (requests)
			fill_from(a, requests, limits);
	}
}

static void
host_ports(struct arena *a, struct doc *containers)
{
	DOC_EACH (c, containers)
		DOC_EACH (p, doc_get(c, STR("ports")))
			if (p->type == DOC_MAP && doc_get_int(p, STR("hostPort"), 0) == 0)
				doc_set_int(a, p, STR("hostPort"),
					doc_get_int(p, STR("containerPort"), 0));
}

static bool
sidecar(const struct doc *init)
{
	return str_eq_c(doc_get_str(init, STR("restartPolicy")), "Always");
}

static void
add_request(struct quantity *sum, const struct doc *c, struct str resource, bool *any)
{
	struct quantity q = {0};
	struct str s = doc_get_str(
		doc_get(doc_get(c, STR("resources")), STR("requests")), resource);

	if (quantity_parse(s, &q) != 0)
		return;
	quantity_add(sum, &q);
	*any = true;
}

/* sum_requests: what the containers of a pod request of one resource: the larger of what runs together
 * and what a single init container needs beside the sidecars before it. */
static bool
sum_requests(const struct doc *spec, struct str resource, struct quantity *ret)
{
	struct quantity run = {0}, side = {0}, most = {0};
	bool any = false;

	DOC_EACH (c, doc_get(spec, STR("containers")))
		add_request(&run, c, resource, &any);
	DOC_EACH (c, doc_get(spec, STR("initContainers"))) {
		struct quantity with = side;

		add_request(sidecar(c) ? &side : &with, c, resource, &any);
		if (sidecar(c))
			with = side;
		if (quantity_cmp(&with, &most) > 0)
			most = with;
	}
	quantity_add(&run, &side);
	*ret = quantity_cmp(&most, &run) > 0 ? most : run;
	return any;
}

/* pod_level: requests of the pod as a whole from its limits and its containers. */
static void
pod_level(struct arena *a, struct doc *spec)
{
	struct doc *resources = doc_get(spec, STR("resources"));
	struct doc *limits = doc_get(resources, STR("limits")), *requests = NULL;

	if (doc_is_zero(limits))
		return;
	requests = doc_ensure_map(a, resources, STR("requests"));
	DOC_EACH (m, limits) {
		struct quantity sum = {0};
		char text[64];

		if (requests == NULL || doc_get(requests, m->key))
			continue;
		if (!str_starts(m->key, STR("hugepages-")) && sum_requests(spec, m->key, &sum))
			doc_set_str(a, requests, m->key,
				arena_str(a, str_from(text, quantity_write(&sum, text))));
		else
			doc_set(requests, m->key, doc_copy(a, m));
	}
}

void
schema_hook_core_v1_pod(struct arena *a, struct doc *d)
{
	struct doc *spec = doc_get(d, STR("spec")), *grace = NULL;

	if (spec == NULL || spec->type != DOC_MAP)
		return;
	requests_from_limits(a, doc_get(spec, STR("containers")));
	requests_from_limits(a, doc_get(spec, STR("initContainers")));
	pod_level(a, spec);
	if (doc_get(spec, STR("enableServiceLinks")) == NULL)
		doc_set_bool(a, spec, STR("enableServiceLinks"), true);
	if (doc_get_bool(spec, STR("hostNetwork"), false)) {
		host_ports(a, doc_get(spec, STR("containers")));
		host_ports(a, doc_get(spec, STR("initContainers")));
	}
	grace = doc_get(spec, STR("terminationGracePeriodSeconds"));
	if (grace && doc_as_int(grace, 0) < 0)
		doc_set_int(a, spec, STR("terminationGracePeriodSeconds"), 1);
}

void
schema_hook_core_v1_pod_spec(struct arena *a, struct doc *d)
{
	struct str name = doc_get_str(d, STR("serviceAccountName"));

	if (name.n == 0)
		name = doc_get_str(d, STR("serviceAccount"));
	if (name.n) {
		doc_set_str(a, d, STR("serviceAccountName"), name);
		doc_set_str(a, d, STR("serviceAccount"), name);
	}
}

void
schema_hook_core_v1_pod_status(struct arena *a, struct doc *d)
{
	struct doc *ips = doc_get(d, STR("podIPs")), *one = NULL;
	struct str ip = doc_get_str(d, STR("podIP")),
		   first = doc_get_str(doc_index(ips, 0), STR("ip"));

	if (ip.n == 0 && first.n)
		doc_set_str(a, d, STR("podIP"), first);
	if (ip.n == 0 || str_eq(ip, first))
		return;
	ips = doc_list(a);
	one = doc_map(a);
	if (ips == NULL || one == NULL)
		return;
	doc_set_str(a, one, STR("ip"), ip);
	doc_append(ips, one);
	doc_set(d, STR("podIPs"), ips);
}

void
schema_hook_core_v1_replication_controller(struct arena *a, struct doc *d)
{
	struct doc *spec = doc_get(d, STR("spec")), *meta = doc_get(d, STR("metadata"));
	struct doc *labels = doc_get(
		doc_get(doc_get(spec, STR("template")), STR("metadata")), STR("labels"));

	if (doc_is_zero(labels))
		return;
	if (doc_is_zero(doc_get(spec, STR("selector"))))
		doc_set(spec, STR("selector"), doc_copy(a, labels));
	if (meta && doc_is_zero(doc_get(meta, STR("labels"))))
		doc_set(meta, STR("labels"), doc_copy(a, labels));
}

void
schema_hook_core_v1_service(struct arena *a, struct doc *d)
{
	struct doc *status = doc_get(d, STR("status"));

	if (!str_eq_c(doc_get_str(doc_get(d, STR("spec")), STR("type")), "LoadBalancer"))
		return;
	DOC_EACH (i, doc_get(doc_get(status, STR("loadBalancer")), STR("ingress")))
		if (doc_get_str(i, STR("ip")).n && doc_get(i, STR("ipMode")) == NULL)
			doc_set_str(a, i, STR("ipMode"), STR("VIP"));
}

void
schema_hook_core_v1_service_port(struct arena *a, struct doc *d)
{
	if (doc_is_zero(doc_get(d, STR("targetPort"))))
		doc_set_int(a, d, STR("targetPort"), doc_get_int(d, STR("port"), 0));
}

static void
session_affinity(struct arena *a, struct doc *d)
{
	struct str affinity = doc_get_str(d, STR("sessionAffinity"));
	struct doc *config = NULL, *ip = NULL;

	if (str_eq_c(affinity, "None"))
		doc_set(d, STR("sessionAffinityConfig"), NULL);
	if (!str_eq_c(affinity, "ClientIP"))
		return;
	config = doc_ensure_map(a, d, STR("sessionAffinityConfig"));
	ip = config ? doc_ensure_map(a, config, STR("clientIP")) : NULL;
	if (ip && doc_get(ip, STR("timeoutSeconds")) == NULL)
		doc_set_int(a, ip, STR("timeoutSeconds"), 10800);
}

void
schema_hook_core_v1_service_spec(struct arena *a, struct doc *d)
{
	struct str type = doc_get_str(d, STR("type"));
	bool cluster = str_eq_c(type, "ClusterIP"), node = str_eq_c(type, "NodePort");
	bool balancer = str_eq_c(type, "LoadBalancer");

	session_affinity(a, d);
	if ((cluster || node || balancer) && doc_get(d, STR("internalTrafficPolicy")) == NULL)
		doc_set_str(a, d, STR("internalTrafficPolicy"), STR("Cluster"));
	if (node || balancer || (cluster && !doc_is_zero(doc_get(d, STR("externalIPs")))))
		set_if_zero(a, d, STR("externalTrafficPolicy"), STR("Cluster"));
	if (balancer && doc_get(d, STR("allocateLoadBalancerNodePorts")) == NULL)
		doc_set_bool(a, d, STR("allocateLoadBalancerNodePorts"), true);
}
