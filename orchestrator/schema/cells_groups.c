/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * cells_groups: cells of the named groups that no path can say; see cells_core.c.
 * Source: k8s.io/kubernetes pkg/printers/internalversion (behaviour). */
#include "base/clock.h"
#include "orchestrator/schema/cells_int.h"

#define CELL(name) static struct doc *name(struct arena *a, const struct doc *obj, int64_t now_ns)
#define UNUSED_NOW (void)now_ns

static struct str
text_at(const struct doc *obj, const char *path)
{
	return doc_as_str(doc_path(obj, str_c(path)));
}

static struct str
dotted(struct arena *a, struct str x, struct str y)
{
	return y.n ? arena_fmt(a, STR_FMT "." STR_FMT, STR_ARG(x), STR_ARG(y)) : x;
}

/* subject_names: names of the subjects of one kind. */
static struct doc *
subject_names(struct arena *a, const struct doc *obj, const char *kind, bool with_ns)
{
	struct buf b;

	buf_init_arena(&b, a);
	DOC_EACH (s, doc_get(obj, STR("subjects"))) {
		struct str name = doc_get_str(s, STR("name"));

		if (!str_eq_c(doc_get_str(s, STR("kind")), kind))
			continue;
		if (with_ns)
			name = arena_fmt(a, STR_FMT "/" STR_FMT,
				STR_ARG(doc_get_str(s, STR("namespace"))), STR_ARG(name));
		cell_add(&b, ", ", name);
	}
	return cell_text(a, &b, "");
}

CELL(subject_users)
{
	UNUSED_NOW;
	return subject_names(a, obj, "User", false);
}

CELL(subject_groups)
{
	UNUSED_NOW;
	return subject_names(a, obj, "Group", false);
}

CELL(subject_service_accounts)
{
	UNUSED_NOW;
	return subject_names(a, obj, "ServiceAccount", true);
}

CELL(param_ref)
{
	const struct doc *ref = doc_path(obj, STR("spec.paramRef"));
	struct str name = doc_get_str(ref, STR("name")), ns = doc_get_str(ref, STR("namespace"));
	struct selector s;

	UNUSED_NOW;
	if (name.n)
		return cell_fmt(
			a, STR_FMT "/" STR_FMT, STR_ARG(ns.n ? ns : STR("*")), STR_ARG(name));
	if (doc_get(ref, STR("selector")) &&
		selector_from_doc(a, doc_get(ref, STR("selector")), &s) == 0)
		return doc_str(a, s.n ? selector_write(a, &s) : STR("<none>"));
	return doc_str(a, STR("<unset>"));
}

CELL(api_service_service)
{
	const struct doc *service = doc_get(doc_get(obj, STR("spec")), STR("service"));

	UNUSED_NOW;
	if (!service)
		return doc_str(a, STR("Local"));
	return cell_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(doc_get_str(service, STR("namespace"))),
		STR_ARG(doc_get_str(service, STR("name"))));
}

CELL(api_service_available)
{
	const struct doc *c = cell_condition(obj, "Available");
	struct str status = doc_get_str(c, STR("status")), why = doc_get_str(c, STR("reason"));

	UNUSED_NOW;
	if (!c)
		return doc_str(a, STR("Unknown"));
	if (str_eq_c(status, "True") || !why.n)
		return doc_str(a, status);
	return cell_fmt(a, STR_FMT " (" STR_FMT ")", STR_ARG(status), STR_ARG(why));
}

CELL(crd_versions)
{
	struct str *list = NULL;
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (v, doc_path(obj, STR("spec.versions"))) {
		struct str *at = doc_get_bool(v, STR("served"), false) ? ARENA_PUSH(a, list, n)
								       : NULL;

		if (at)
			*at = arena_fmt(a, STR_FMT "%s", STR_ARG(doc_get_str(v, STR("name"))),
				doc_get_bool(v, STR("storage"), false) ? "(storage)" : "");
	}
	n = cell_sorted(list, n);
	for (size_t i = 0; i < n; i++)
		cell_add(&b, ",", list[i]);
	return cell_text(a, &b, "");
}

CELL(crd_established)
{
	UNUSED_NOW;
	return doc_bool(a, cell_condition_is(obj, "Established", "True"));
}

CELL(controller_revision_controller)
{
	UNUSED_NOW;
	DOC_EACH (o, doc_path(obj, STR("metadata.ownerReferences"))) {
		struct str group = STR_NONE, version = STR_NONE;

		if (!doc_get_bool(o, STR("controller"), false))
			continue;
		schema_api_version_split(doc_get_str(o, STR("apiVersion")), &group, &version);
		return cell_fmt(a, STR_FMT "/" STR_FMT,
			STR_ARG(cell_lower(a, dotted(a, doc_get_str(o, STR("kind")), group))),
			STR_ARG(doc_get_str(o, STR("name"))));
	}
	return doc_str(a, STR("<none>"));
}

/* ---- autoscaling, batch ---- */

static struct str
value_or(const struct doc *d, const char *path, const char *none)
{
	struct str s = text_at(d, path);

	return s.n ? s : str_c(none);
}

/* metric_part: "current/target" of one metric: by average value, by utilization, or by value. */
static struct str
metric_part(struct arena *a, const struct doc *spec, const struct doc *status, bool resource)
{
	const struct doc *target = doc_get(spec, STR("target")),
			 *current = doc_get(status, STR("current"));
	const struct doc *have = doc_get(current, STR("averageUtilization"));
	const struct doc *want = doc_get(target, STR("averageUtilization"));
	struct str left = STR("<unknown>"), right = STR("<auto>");

	if (doc_get(target, STR("averageValue")))
		return arena_fmt(a, STR_FMT "/" STR_FMT,
			STR_ARG(value_or(current, "averageValue", "<unknown>")),
			STR_ARG(doc_get_str(target, STR("averageValue"))));
	if (!resource)
		return arena_fmt(a, STR_FMT "/" STR_FMT,
			STR_ARG(value_or(current, "value", "<unknown>")),
			STR_ARG(value_or(target, "value", "0")));
	if (have)
		left = arena_fmt(a, "%lld%%", (long long)doc_as_int(have, 0));
	if (want)
		right = arena_fmt(a, "%lld%%", (long long)doc_as_int(want, 0));
	return arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(left), STR_ARG(right));
}

static const struct {
	const char *type, *member;
	bool resource, suffix;
} metrics[] = {
	{"External", "external", false, true},
	{"Pods", "pods", false, false},
	{"Object", "object", false, true},
	{"Resource", "resource", true, false},
	{"ContainerResource", "containerResource", true, false},
};

CELL(hpa_targets)
{
	const struct doc *list = doc_path(obj, STR("spec.metrics"));
	const struct doc *seen = doc_path(obj, STR("status.currentMetrics"));
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (m, list) {
		const struct doc *status = doc_index(seen, n);

		if (n++ >= 2)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
			const struct doc *source = doc_get(m, str_c(metrics[i].member));
			struct str part = STR_NONE;

			if (!str_eq_c(doc_get_str(m, STR("type")), metrics[i].type))
				continue;
			part = metric_part(a, source, doc_get(status, str_c(metrics[i].member)),
				metrics[i].resource);
			if (metrics[i].resource)
				part = arena_fmt(a, STR_FMT ": " STR_FMT,
					STR_ARG(doc_get_str(source, STR("name"))), STR_ARG(part));
			else if (metrics[i].suffix && doc_path(source, STR("target.averageValue")))
				part = arena_fmt(a, STR_FMT " (avg)", STR_ARG(part));
			cell_add(&b, ", ", part);
		}
	}
	cell_more(&b, n, 2);
	return cell_text(a, &b, "<none>");
}

CELL(cronjob_suspend)
{
	const struct doc *s = doc_path(obj, STR("spec.suspend"));

	UNUSED_NOW;
	return doc_str(a,
		s == NULL                       ? STR("<unset>")
			: doc_as_bool(s, false) ? STR("True")
						: STR("False"));
}

CELL(job_status)
{
	static const char *const order[] = {
		"Complete", "Failed", "", "Suspended", "FailureTarget", "SuccessCriteriaMet"};

	UNUSED_NOW;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (order[i][0] == 0 && doc_path(obj, STR("metadata.deletionTimestamp")))
			return doc_str(a, STR("Terminating"));
		if (order[i][0] && cell_condition_is(obj, order[i], "True"))
			return doc_str(a, str_c(order[i]));
	}
	return doc_str(a, STR("Running"));
}

CELL(job_completions)
{
	const struct doc *wanted = doc_path(obj, STR("spec.completions"));
	long long done = doc_as_int(doc_path(obj, STR("status.succeeded")), 0);
	long long parallel = doc_as_int(doc_path(obj, STR("spec.parallelism")), 0);

	UNUSED_NOW;
	if (wanted)
		return cell_fmt(a, "%lld/%lld", done, (long long)doc_as_int(wanted, 0));
	return parallel > 1 ? cell_fmt(a, "%lld/1 of %lld", done, parallel)
			    : cell_fmt(a, "%lld/1", done);
}

CELL(job_duration)
{
	struct str start = text_at(obj, "status.startTime"),
		   end = text_at(obj, "status.completionTime");
	int64_t from = 0, to = now_ns;

	if (rfc3339_parse(start, &from) != 0)
		return doc_str(a, STR(""));
	if (end.n && rfc3339_parse(end, &to) != 0)
		return doc_str(a, STR(""));
	return doc_str(a, cell_duration(a, to - from));
}

/* ---- certificates ---- */

CELL(csr_duration)
{
	const struct doc *s = doc_path(obj, STR("spec.expirationSeconds"));

	UNUSED_NOW;
	return doc_str(a, s ? cell_duration(a, doc_as_int(s, 0) * NS_PER_SEC) : STR("<none>"));
}

CELL(csr_condition)
{
	bool approved = cell_condition(obj, "Approved"), denied = cell_condition(obj, "Denied");

	UNUSED_NOW;
	return cell_fmt(a, "%s%s%s",
		denied             ? "Denied"
			: approved ? "Approved"
				   : "Pending",
		cell_condition(obj, "Failed") ? ",Failed" : "",
		text_at(obj, "status.certificate").n ? ",Issued" : "");
}

CELL(pcr_state)
{
	struct str found = STR("Pending");

	UNUSED_NOW;
	DOC_EACH (c, doc_path(obj, STR("status.conditions"))) {
		struct str type = doc_get_str(c, STR("type"));

		if (str_eq_c(type, "Issued") || str_eq_c(type, "Denied") ||
			str_eq_c(type, "Failed"))
			found = type;
	}
	return doc_str(a, found);
}

/* ---- discovery, networking ---- */

CELL(endpoint_slice_ports)
{
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (p, doc_get(obj, STR("ports"))) {
		const struct doc *port = doc_get(p, STR("port"));
		struct str name = doc_get_str(p, STR("name"));

		if (n++ >= 3)
			continue;
		if (port)
			cell_add(&b, ",", arena_fmt(a, "%lld", (long long)doc_as_int(port, 0)));
		else
			cell_add(&b, ",", name.n ? name : STR("*"));
	}
	cell_more(&b, n, 3);
	return cell_text(a, &b, "<unset>");
}

CELL(endpoint_slice_endpoints)
{
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (e, doc_get(obj, STR("endpoints")))
		DOC_EACH (s, doc_get(e, STR("addresses")))
			if (n++ < 3)
				cell_add(&b, ",", doc_as_str(s));
	cell_more(&b, n, 3);
	return cell_text(a, &b, "<unset>");
}

CELL(flow_schema_missing_level)
{
	struct str s = doc_get_str(cell_condition(obj, "Dangling"), STR("status"));

	UNUSED_NOW;
	return doc_str(a, s.n ? s : STR("?"));
}

CELL(ip_address_parent)
{
	const struct doc *ref = doc_path(obj, STR("spec.parentRef"));
	struct str ns = doc_get_str(ref, STR("namespace"));

	UNUSED_NOW;
	if (ref == NULL)
		return doc_str(a, STR("<none>"));
	return cell_fmt(a, STR_FMT "%s" STR_FMT "/" STR_FMT,
		STR_ARG(cell_lower(a,
			dotted(a, doc_get_str(ref, STR("resource")),
				doc_get_str(ref, STR("group"))))),
		ns.n ? "/" : "", STR_ARG(ns), STR_ARG(doc_get_str(ref, STR("name"))));
}

CELL(ingress_hosts)
{
	const struct doc *rules = doc_path(obj, STR("spec.rules"));
	size_t n = 0;
	bool more = false;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (r, rules) {
		struct str host = doc_get_str(r, STR("host"));

		if (n == 3)
			more = true;
		else if (host.n)
			cell_add(&b, ",", host), n++;
	}
	if (more)
		cell_more(&b, doc_len(rules), 3);
	return cell_text(a, &b, "*");
}

CELL(ingress_address)
{
	struct str *list = NULL;
	size_t n = 0;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	DOC_EACH (i, doc_path(obj, STR("status.loadBalancer.ingress"))) {
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
	return cell_text(a, &b, "");
}

CELL(ingress_ports)
{
	UNUSED_NOW;
	return doc_str(a, doc_len(doc_path(obj, STR("spec.tls"))) ? STR("80, 443") : STR("80"));
}

static struct doc *
default_name(struct arena *a, const struct doc *obj, bool is_default)
{
	return cell_fmt(a, STR_FMT "%s", STR_ARG(text_at(obj, "metadata.name")),
		is_default ? " (default)" : "");
}

CELL(ingress_class_name)
{
	UNUSED_NOW;
	return default_name(a, obj,
		str_eq_c(
			text_at(obj,
				"metadata.annotations[ingressclass.kubernetes.io/is-default-class]"),
			"true"));
}

CELL(ingress_class_parameters)
{
	const struct doc *p = doc_path(obj, STR("spec.parameters"));

	UNUSED_NOW;
	if (p == NULL)
		return doc_str(a, STR("<none>"));
	return cell_fmt(a, STR_FMT "/" STR_FMT,
		STR_ARG(dotted(a, doc_get_str(p, STR("kind")), doc_get_str(p, STR("apiGroup")))),
		STR_ARG(doc_get_str(p, STR("name"))));
}

/* ---- resource, storage ---- */

CELL(resource_claim_state)
{
	bool deleted = doc_path(obj, STR("metadata.deletionTimestamp")) != NULL;
	bool allocated = doc_path(obj, STR("status.allocation")) != NULL;
	struct buf b;

	UNUSED_NOW;
	buf_init_arena(&b, a);
	if (deleted)
		cell_add(&b, ",", STR("deleted"));
	if (!allocated && !deleted)
		cell_add(&b, ",", STR("pending"));
	if (allocated)
		cell_add(&b, ",", STR("allocated"));
	if (allocated && doc_len(doc_path(obj, STR("status.reservedFor"))))
		cell_add(&b, ",", STR("reserved"));
	return cell_text(a, &b, "");
}

CELL(storage_class_name)
{
	static const char *const paths[] = {
		"metadata.annotations[storageclass.kubernetes.io/is-default-class]",
		"metadata.annotations[storageclass.beta.kubernetes.io/is-default-class]"};

	UNUSED_NOW;
	return default_name(a, obj,
		str_eq_c(text_at(obj, paths[0]), "true") ||
			str_eq_c(text_at(obj, paths[1]), "true"));
}

CELL(migration_resource)
{
	UNUSED_NOW;
	return doc_str(a,
		dotted(a, text_at(obj, "spec.resource.resource"),
			text_at(obj, "spec.resource.group")));
}

CELL(migration_status)
{
	struct str found = STR("Unknown");

	UNUSED_NOW;
	DOC_EACH (c, doc_path(obj, STR("status.conditions"))) {
		struct str type = doc_get_str(c, STR("type"));

		if (str_eq_c(doc_get_str(c, STR("status")), "True") &&
			(str_eq_c(type, "Running") || str_eq_c(type, "Failed") ||
				str_eq_c(type, "Succeeded")))
			found = type;
	}
	return doc_str(a, found);
}

const struct schema_cell cells_groups[] = {
	{"api_service_available", api_service_available},
	{"api_service_service", api_service_service},
	{"controller_revision_controller", controller_revision_controller},
	{"crd_established", crd_established},
	{"crd_versions", crd_versions},
	{"cronjob_suspend", cronjob_suspend},
	{"csr_condition", csr_condition},
	{"csr_duration", csr_duration},
	{"endpoint_slice_endpoints", endpoint_slice_endpoints},
	{"endpoint_slice_ports", endpoint_slice_ports},
	{"flow_schema_missing_level", flow_schema_missing_level},
	{"hpa_targets", hpa_targets},
	{"ingress_address", ingress_address},
	{"ingress_class_name", ingress_class_name},
	{"ingress_class_parameters", ingress_class_parameters},
	{"ingress_hosts", ingress_hosts},
	{"ingress_ports", ingress_ports},
	{"ip_address_parent", ip_address_parent},
	{"job_completions", job_completions},
	{"job_duration", job_duration},
	{"job_status", job_status},
	{"migration_resource", migration_resource},
	{"migration_status", migration_status},
	{"param_ref", param_ref},
	{"pcr_state", pcr_state},
	{"resource_claim_state", resource_claim_state},
	{"storage_class_name", storage_class_name},
	{"subject_groups", subject_groups},
	{"subject_service_accounts", subject_service_accounts},
	{"subject_users", subject_users},
};
const size_t n_cells_groups = ARRAY_LEN(cells_groups);
