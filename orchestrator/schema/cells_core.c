/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cells_core: cells of the core group (and of both shapes of Event) that no path can say.
 * Source: k8s.io/kubernetes pkg/printers/internalversion (behaviour). */
#include "orchestrator/schema/cells_int.h"

#define CELL(name) static struct doc *name(struct arena *a, const struct doc *obj, int64_t now_ns)
#define UNUSED_NOW (void)now_ns

static const struct doc *
spec(const struct doc *obj)
{
	return doc_get(obj, STR("spec"));
}

static const struct doc *
status(const struct doc *obj)
{
	return doc_get(obj, STR("status"));
}

static bool
deleting(const struct doc *obj)
{
	return doc_get(doc_get(obj, STR("metadata")), STR("deletionTimestamp")) != NULL;
}

/* either: a member under its core or its events.k8s.io name. */
static struct str
either(const struct doc *obj, const char *x, const char *y)
{
	struct str s = doc_as_str(doc_path(obj, str_c(x)));

	return s.n ? s : doc_as_str(doc_path(obj, str_c(y)));
}

CELL(component_status)
{
	UNUSED_NOW;
	DOC_EACH (c, doc_get(obj, STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), "Healthy"))
			return doc_str(a,
				str_eq_c(doc_get_str(c, STR("status")), "True") ? STR("Healthy")
										: STR("Unhealthy"));
	return doc_str(a, STR("Unknown"));
}

static struct doc *
component_member(struct arena *a, const struct doc *obj, struct str member)
{
	DOC_EACH (c, doc_get(obj, STR("conditions")))
		if (str_eq_c(doc_get_str(c, STR("type")), "Healthy"))
			return doc_str(a, doc_get_str(c, member));
	return doc_str(a, STR(""));
}

CELL(component_message)
{
	UNUSED_NOW;
	return component_member(a, obj, STR("message"));
}

CELL(component_error)
{
	UNUSED_NOW;
	return component_member(a, obj, STR("error"));
}

static void
endpoint(struct arena *a, struct buf *b, struct str ip, const struct doc *port)
{
	bool v6 = str_find_char(ip, ':') >= 0;

	if (port == NULL)
		cell_add(b, ",", ip);
	else
		cell_add(b, ",",
			arena_fmt(a, "%s" STR_FMT "%s:%lld", v6 ? "[" : "", STR_ARG(ip),
				v6 ? "]" : "", (long long)doc_get_int(port, STR("port"), 0)));
}

CELL(endpoints_endpoints)
{
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	if (doc_len(doc_get(obj, STR("subsets"))) == 0)
		return doc_str(a, STR("<none>"));
	DOC_EACH (s, doc_get(obj, STR("subsets"))) {
		const struct doc *ports = doc_get(s, STR("ports")), *port = doc_index(ports, 0);

		do {
			DOC_EACH (e, doc_get(s, STR("addresses")))
				if (n++ < 3)
					endpoint(a, &b, doc_get_str(e, STR("ip")), port);
			port = port ? port->next : NULL;
		} while (port);
	}
	cell_more(&b, n, 3);
	return cell_text(a, &b, "");
}

CELL(event_first_seen)
{
	struct str t = either(obj, "firstTimestamp", "deprecatedFirstTimestamp");

	return doc_str(a, cell_age(a, t.n ? t : doc_get_str(obj, STR("eventTime")), now_ns));
}

CELL(event_last_seen)
{
	struct str t = either(obj, "series.lastObservedTime", "lastTimestamp");

	if (t.n == 0)
		t = doc_get_str(obj, STR("deprecatedLastTimestamp"));
	return t.n ? doc_str(a, cell_age(a, t, now_ns)) : event_first_seen(a, obj, now_ns);
}

CELL(event_object)
{
	struct str kind = cell_lower(a, either(obj, "involvedObject.kind", "regarding.kind"));
	struct str name = either(obj, "involvedObject.name", "regarding.name");

	UNUSED_NOW;
	return name.n ? cell_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(kind), STR_ARG(name))
		      : doc_str(a, kind);
}

CELL(event_subobject)
{
	UNUSED_NOW;
	return doc_str(a, either(obj, "involvedObject.fieldPath", "regarding.fieldPath"));
}

CELL(event_source)
{
	struct str component = either(obj, "source.component", "deprecatedSource.component");
	struct str host = either(obj, "source.host", "deprecatedSource.host");

	UNUSED_NOW;
	if (component.n == 0)
		component = either(obj, "reportingComponent", "reportingController");
	if (host.n == 0)
		host = doc_get_str(obj, STR("reportingInstance"));
	return host.n ? cell_fmt(a, STR_FMT ", " STR_FMT, STR_ARG(component), STR_ARG(host))
		      : doc_str(a, component);
}

CELL(event_message)
{
	UNUSED_NOW;
	return doc_str(a, str_trim(either(obj, "message", "note")));
}

CELL(event_count)
{
	const struct doc *series = doc_get(obj, STR("series"));
	int64_t n = doc_get_int(obj, STR("count"), doc_get_int(obj, STR("deprecatedCount"), 0));

	UNUSED_NOW;
	if (series)
		return doc_int(a, doc_get_int(series, STR("count"), 0));
	return doc_int(a, n ? n : 1);
}

CELL(node_status)
{
	const struct doc *ready = cell_condition(obj, "Ready");
	bool is = str_eq_c(doc_get_str(ready, STR("status")), "True");

	UNUSED_NOW;
	return cell_fmt(a, "%s%s", ready ? (is ? "Ready" : "NotReady") : "Unknown",
		doc_get_bool(spec(obj), STR("unschedulable"), false) ? ",SchedulingDisabled" : "");
}

CELL(node_roles)
{
	struct str *roles = NULL, prefix = STR("node-role.kubernetes.io/");
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	DOC_EACH (l, doc_get(doc_get(obj, STR("metadata")), STR("labels"))) {
		struct str role = STR_NONE, *at = NULL;

		if (str_starts(l->key, prefix))
			role = str_sub(l->key, prefix.n, SIZE_MAX);
		else if (str_eq_c(l->key, "kubernetes.io/role"))
			role = doc_as_str(l);
		at = role.n ? ARENA_PUSH(a, roles, n) : NULL;
		if (at)
			*at = role;
	}
	n = cell_sorted(roles, n);
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++)
		cell_add(&b, ",", roles[i]);
	return cell_text(a, &b, "<none>");
}

static struct doc *
node_address(struct arena *a, const struct doc *obj, const char *type)
{
	DOC_EACH (x, doc_get(status(obj), STR("addresses")))
		if (str_eq_c(doc_get_str(x, STR("type")), type))
			return doc_str(a, doc_get_str(x, STR("address")));
	return doc_str(a, STR("<none>"));
}

CELL(node_internal_ip)
{
	UNUSED_NOW;
	return node_address(a, obj, "InternalIP");
}

CELL(node_external_ip)
{
	UNUSED_NOW;
	return node_address(a, obj, "ExternalIP");
}

CELL(node_kernel_version)
{
	const struct doc *info = doc_get(status(obj), STR("nodeInfo"));
	struct str kernel = doc_get_str(info, STR("kernelVersion"));
	struct str arch = doc_get_str(info, STR("architecture"));

	UNUSED_NOW;
	if (kernel.n == 0)
		kernel = STR("<unknown>");
	return arch.n ? cell_fmt(a, STR_FMT " (" STR_FMT ")", STR_ARG(kernel), STR_ARG(arch))
		      : doc_str(a, kernel);
}

static struct doc *
modes(struct arena *a, const struct doc *list)
{
	static const char *const known[][2] = {{"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"},
		{"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
	struct buf b;

	buf_init_arena(&b, a);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		bool has = false;

		DOC_EACH (m, list)
			has |= str_eq_c(doc_as_str(m), known[i][0]);
		if (has)
			cell_add(&b, ",", str_c(known[i][1]));
	}
	return cell_text(a, &b, "");
}

CELL(pv_access_modes)
{
	UNUSED_NOW;
	return modes(a, doc_get(spec(obj), STR("accessModes")));
}

CELL(pv_claim)
{
	const struct doc *ref = doc_get(spec(obj), STR("claimRef"));

	UNUSED_NOW;
	if (ref == NULL)
		return doc_str(a, STR(""));
	return cell_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(doc_get_str(ref, STR("namespace"))),
		STR_ARG(doc_get_str(ref, STR("name"))));
}

CELL(phase_or_terminating)
{
	UNUSED_NOW;
	return doc_str(
		a, deleting(obj) ? STR("Terminating") : doc_get_str(status(obj), STR("phase")));
}

CELL(storage_class)
{
	struct str s = doc_as_str(doc_path(
		obj, STR("metadata.annotations[volume.beta.kubernetes.io/storage-class]")));

	UNUSED_NOW;
	return doc_str(a, s.n ? s : doc_get_str(spec(obj), STR("storageClassName")));
}

CELL(pvc_capacity)
{
	UNUSED_NOW;
	if (doc_get_str(spec(obj), STR("volumeName")).n == 0)
		return doc_str(a, STR(""));
	struct str s = doc_get_str(doc_get(status(obj), STR("capacity")), STR("storage"));
	return doc_str(a, s.n ? s : STR("0"));
}

CELL(pvc_access_modes)
{
	UNUSED_NOW;
	if (doc_get_str(spec(obj), STR("volumeName")).n == 0)
		return doc_str(a, STR(""));
	return modes(a, doc_get(status(obj), STR("accessModes")));
}

static struct doc *
quota(struct arena *a, const struct doc *obj, bool limits)
{
	const struct doc *hard = doc_get(status(obj), STR("hard")),
			 *used = doc_get(status(obj), STR("used"));
	struct str *names = NULL;
	size_t n = 0;
	struct buf b;

	DOC_EACH (m, hard) {
		struct str *at = str_starts(m->key, STR("limits.")) == limits
			? ARENA_PUSH(a, names, n)
			: NULL;

		if (at)
			*at = m->key;
	}
	n = cell_sorted(names, n);
	buf_init_arena(&b, a);
	for (size_t i = 0; i < n; i++) {
		struct str have = doc_get_str(used, names[i]);

		cell_add(&b, ", ",
			arena_fmt(a, STR_FMT ": " STR_FMT "/" STR_FMT, STR_ARG(names[i]),
				STR_ARG(have.n ? have : STR("0")),
				STR_ARG(doc_get_str(hard, names[i]))));
	}
	return cell_text(a, &b, "");
}

CELL(quota_requests)
{
	UNUSED_NOW;
	return quota(a, obj, false);
}

CELL(quota_limits)
{
	UNUSED_NOW;
	return quota(a, obj, true);
}

static void
add_texts(struct buf *b, const struct doc *list)
{
	DOC_EACH (x, list)
		cell_add(b, ",", doc_as_str(x));
}

CELL(service_external_ip)
{
	struct str type = doc_get_str(spec(obj), STR("type")), *list = NULL;
	const struct doc *external = doc_get(spec(obj), STR("externalIPs"));
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	if (str_eq_c(type, "ExternalName"))
		return doc_str(a, doc_get_str(spec(obj), STR("externalName")));
	if (!str_eq_c(type, "LoadBalancer")) {
		add_texts(&b, external);
		return cell_text(a, &b, "<none>");
	}
	DOC_EACH (i, doc_get(doc_get(status(obj), STR("loadBalancer")), STR("ingress"))) {
		struct str s = doc_get_str(i, STR("ip")), *at = NULL;

		if (s.n == 0)
			s = doc_get_str(i, STR("hostname"));
		at = s.n ? ARENA_PUSH(a, list, n) : NULL;
		if (at)
			*at = s;
	}
	n = cell_sorted(list, n);
	for (size_t i = 0; i < n; i++)
		cell_add(&b, ",", list[i]);
	add_texts(&b, external);
	return cell_text(a, &b, "<pending>");
}

CELL(service_ports)
{
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (p, doc_get(spec(obj), STR("ports"))) {
		long long port = doc_get_int(p, STR("port"), 0),
			  node = doc_get_int(p, STR("nodePort"), 0);
		struct str proto = doc_get_str(p, STR("protocol"));

		cell_add(&b, ",",
			node ? arena_fmt(a, "%lld:%lld/" STR_FMT, port, node, STR_ARG(proto))
			     : arena_fmt(a, "%lld/" STR_FMT, port, STR_ARG(proto)));
	}
	return cell_text(a, &b, "<none>");
}

const struct schema_cell cells_core[] = {
	{"component_error", component_error},
	{"component_message", component_message},
	{"component_status", component_status},
	{"endpoints_endpoints", endpoints_endpoints},
	{"event_count", event_count},
	{"event_first_seen", event_first_seen},
	{"event_last_seen", event_last_seen},
	{"event_message", event_message},
	{"event_object", event_object},
	{"event_source", event_source},
	{"event_subobject", event_subobject},
	{"node_external_ip", node_external_ip},
	{"node_internal_ip", node_internal_ip},
	{"node_kernel_version", node_kernel_version},
	{"node_roles", node_roles},
	{"node_status", node_status},
	{"phase_or_terminating", phase_or_terminating},
	{"pv_access_modes", pv_access_modes},
	{"pv_claim", pv_claim},
	{"pvc_access_modes", pvc_access_modes},
	{"pvc_capacity", pvc_capacity},
	{"quota_limits", quota_limits},
	{"quota_requests", quota_requests},
	{"service_external_ip", service_external_ip},
	{"service_ports", service_ports},
	{"storage_class", storage_class},
};
const size_t n_cells_core = ARRAY_LEN(cells_core);
