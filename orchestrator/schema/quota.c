/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * quota: see quota.h. Pods, Services and claims have a row of their own; everything else is counted. */
#include "orchestrator/schema/quota.h"

#include "base/clock.h"

#define CLASS_SUFFIX ".storageclass.storage.k8s.io/"

static bool
one_of(const char *const *list, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_c(name, list[i]))
			return true;
	return false;
}

static void
put(struct resource_list *ret, struct str name, int64_t n)
{
	struct quantity q = quantity_of(n, QUANTITY_SI);
	resource_list_add(ret, name, &q);
}

/* A scope, or what a scopeSelector wants of one. */
struct scope {
	struct str name, op;
	const struct doc *values;
};

/* selects: is a name (of a class, say; "" = none) what the scope wants? */
static bool
selects(const struct scope *want, struct str name)
{
	bool in = false;
	DOC_EACH (v, want->values)
		in = in || (name.n && str_eq(doc_as_str(v), name));
	if (str_eq_c(want->op, "In"))
		return in;
	if (str_eq_c(want->op, "NotIn"))
		return !in;
	return str_eq_c(want->op, "DoesNotExist") ? !name.n : name.n > 0;
}

/* ---- pods ---- */

static const char *const pod_names[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu",
	"requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
	"limits.ephemeral-storage", "pods"};

static bool
is_native(struct str name)
{
	return str_find_char(name, '/') < 0 || str_find(name, STR("kubernetes.io/")) >= 0;
}

static bool
pod_counts(struct str name)
{
	return one_of(pod_names, ARRAY_LEN(pod_names), name) ||
		str_starts(name, STR("hugepages-")) ||
		str_starts(name, STR("requests.hugepages-")) ||
		(str_starts(name, STR("requests.")) && !is_native(name));
}

void
quota_compute(struct resource_list *ret, const struct resource_list *requests,
	const struct resource_list *limits)
{
	static const struct {
		const char *name, *request, *limit;
	} plain[] = {{"cpu", "requests.cpu", "limits.cpu"},
		{"memory", "requests.memory", "limits.memory"},
		{"ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		const struct quantity *q = resource_list_get(requests, str_c(plain[i].name));
		const struct quantity *m = resource_list_get(limits, str_c(plain[i].name));
		if (q) {
			resource_list_add(ret, str_c(plain[i].name), q);
			resource_list_add(ret, str_c(plain[i].request), q);
		}
		if (m)
			resource_list_add(ret, str_c(plain[i].limit), m);
	}
	for (size_t i = 0; i < requests->n; i++) {
		struct str name = requests->v[i].name;
		bool pages = str_starts(name, STR("hugepages-"));
		if (pages)
			resource_list_add(ret, name, &requests->v[i].q);
		if (pages || (!is_native(name) && !str_starts(name, STR("requests."))))
			resource_list_add(ret,
				arena_fmt(ret->a, "requests." STR_FMT, STR_ARG(name)),
				&requests->v[i].q);
	}
}

/* is_charged: not one that has ended, or should have by now. */
static bool
is_charged(const struct doc *pod, int64_t now_ns)
{
	struct str phase = doc_get_str(doc_get(pod, STR("status")), STR("phase"));
	const struct doc *meta = doc_get(pod, STR("metadata"));
	const struct doc *grace = doc_get(meta, STR("deletionGracePeriodSeconds"));
	int64_t at_ns = 0;
	if (str_eq_c(phase, "Failed") || str_eq_c(phase, "Succeeded"))
		return false;
	return !grace || rfc3339_parse(doc_get_str(meta, STR("deletionTimestamp")), &at_ns) < 0 ||
		now_ns <= at_ns + doc_as_int(grace, 0) * NS_PER_SEC;
}

static void
pod_usage(struct resource_list *ret, const struct doc *pod, int64_t now_ns)
{
	struct resource_list requests = {.a = ret->a}, limits = {.a = ret->a};
	if (!is_charged(pod, now_ns))
		return;
	pod_sum(&requests, pod, STR("requests"), POD_SUM_STATUS | POD_SUM_OVERHEAD);
	pod_sum(&limits, pod, STR("limits"), POD_SUM_STATUS | POD_SUM_OVERHEAD);
	put(ret, STR("pods"), 1);
	quota_compute(ret, &requests, &limits);
}

bool
quota_has_deadline(const struct doc *pod)
{
	return doc_get_int(doc_get(pod, STR("spec")), STR("activeDeadlineSeconds"), -1) >= 0;
}

static bool
crosses(const struct doc *term)
{
	return doc_len(doc_get(term, STR("namespaces"))) || doc_get(term, STR("namespaceSelector"));
}

static bool
crosses_namespaces(const struct doc *pod)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	const struct doc *affinity = doc_get(doc_get(pod, STR("spec")), STR("affinity"));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct doc *k = doc_get(affinity, str_c(kinds[i]));
		DOC_EACH (t, doc_get(k, STR("requiredDuringSchedulingIgnoredDuringExecution")))
			if (crosses(t))
				return true;
		DOC_EACH (t, doc_get(k, STR("preferredDuringSchedulingIgnoredDuringExecution")))
			if (crosses(doc_get(t, STR("podAffinityTerm"))))
				return true;
	}
	return false;
}

static bool
pod_in_scope(const struct scope *want, const struct doc *pod)
{
	struct str scope = want->name;
	const struct doc *spec = doc_get(pod, STR("spec"));
	bool best = str_eq_c(
		doc_get_str(doc_get(pod, STR("status")), STR("qosClass")), "BestEffort");
	if (str_eq_c(scope, "Terminating") || str_eq_c(scope, "NotTerminating"))
		return quota_has_deadline(pod) == str_eq_c(scope, "Terminating");
	if (str_eq_c(scope, "BestEffort") || str_eq_c(scope, "NotBestEffort"))
		return best == str_eq_c(scope, "BestEffort");
	if (str_eq_c(scope, "PriorityClass"))
		return selects(want, doc_get_str(spec, STR("priorityClassName")));
	return str_eq_c(scope, "CrossNamespacePodAffinity") && crosses_namespaces(pod);
}

/* ---- Services ---- */

static bool
service_counts(struct str name)
{
	static const char *const names[] = {
		"services", "services.nodeports", "services.loadbalancers"};
	return one_of(names, ARRAY_LEN(names), name);
}

static void
service_usage(struct resource_list *ret, const struct doc *service, int64_t now_ns)
{
	const struct doc *spec = doc_get(service, STR("spec"));
	struct str type = doc_get_str(spec, STR("type"));
	bool balanced = str_eq_c(type, "LoadBalancer");
	bool all = str_eq_c(type, "NodePort") ||
		(balanced && doc_get_bool(spec, STR("allocateLoadBalancerNodePorts"), true));
	int64_t ports = 0;
	(void)now_ns;
	/* Ports are not given yet: what is wanted counts. */
	DOC_EACH (p, all || balanced ? doc_get(spec, STR("ports")) : NULL)
		ports += all || doc_get_int(p, STR("nodePort"), 0) != 0;
	put(ret, STR("services"), 1);
	put(ret, STR("services.nodeports"), ports);
	put(ret, STR("services.loadbalancers"), balanced);
}

/* ---- claims ---- */

static const char *const claim_names[] = {"persistentvolumeclaims", "requests.storage"};

static bool
claim_counts(struct str name)
{
	ptrdiff_t at = str_find(name, STR(CLASS_SUFFIX));
	if (at >= 0)
		name = str_sub(name, (size_t)at + sizeof(CLASS_SUFFIX) - 1, SIZE_MAX);
	return one_of(claim_names, ARRAY_LEN(claim_names), name);
}

static void
claim_usage(struct resource_list *ret, const struct doc *claim, int64_t now_ns)
{
	const struct doc *spec = doc_get(claim, STR("spec")), *st = doc_get(claim, STR("status"));
	const struct doc *notes = doc_get(doc_get(claim, STR("metadata")), STR("annotations"));
	struct str class = doc_get_str(notes, STR("volume.beta.kubernetes.io/storage-class"));
	struct quantity size = {0}, given = {0};
	(void)now_ns;
	if (!str_is_set(class))
		class = doc_get_str(spec, STR("storageClassName"));
	bool sized = quantity_parse(
			     doc_get_str(doc_get(doc_get(spec, STR("resources")), STR("requests")),
				     STR("storage")),
			     &size) == 0;
	if (sized &&
		quantity_parse(doc_get_str(doc_get(st, STR("allocatedResources")), STR("storage")),
			&given) == 0 &&
		quantity_cmp(&given, &size) > 0)
		size = given;
	size = quantity_of(quantity_value(&size), size.format); /* whole bytes */
	put(ret, STR("persistentvolumeclaims"), 1);
	if (sized)
		resource_list_add(ret, STR("requests.storage"), &size);
	if (!class.n)
		return;
	put(ret, arena_fmt(ret->a, STR_FMT CLASS_SUFFIX "persistentvolumeclaims", STR_ARG(class)),
		1);
	if (sized)
		resource_list_add(ret,
			arena_fmt(ret->a, STR_FMT CLASS_SUFFIX "requests.storage", STR_ARG(class)),
			&size);
}

static bool
claim_in_scope(const struct scope *want, const struct doc *claim)
{
	const struct doc *st = doc_get(claim, STR("status"));
	struct str names[] = {
		doc_get_str(doc_get(claim, STR("spec")), STR("volumeAttributesClassName")),
		doc_get_str(st, STR("currentVolumeAttributesClassName")),
		doc_get_str(doc_get(st, STR("modifyVolumeStatus")),
			STR("targetVolumeAttributesClassName"))};
	bool any = false, in = false;
	if (!str_eq_c(want->name, "VolumeAttributesClass"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		any = any || names[i].n;
		in = in || (names[i].n && selects(want, names[i]));
	}
	return any ? in : selects(want, STR(""));
}

/* ---- all ---- */

static const struct row {
	const char *plural; /* of the core group */
	bool (*counts)(struct str name);
	void (*usage)(struct resource_list *ret, const struct doc *obj, int64_t now_ns);
	bool (*in_scope)(const struct scope *want, const struct doc *obj);
} rows[] = {
	{"pods", pod_counts, pod_usage, pod_in_scope},
	{"services", service_counts, service_usage, NULL},
	{"persistentvolumeclaims", claim_counts, claim_usage, claim_in_scope},
};

/* Resources that are counted by their plain name, too. */
static const char *const plain_names[] = {
	"configmaps", "resourcequotas", "replicationcontrollers", "secrets"};

static const struct row *
row_of(struct quota_of of)
{
	for (size_t i = 0; !of.group.n && i < ARRAY_LEN(rows); i++)
		if (str_eq_c(of.plural, rows[i].plural))
			return &rows[i];
	return NULL;
}

static bool
is_plain(struct quota_of of)
{
	return !of.group.n && one_of(plain_names, ARRAY_LEN(plain_names), of.plural);
}

bool
quota_counts(struct quota_of of, struct str name)
{
	const struct row *row = row_of(of);
	static const struct str prefix = STR_INIT("count/");
	if (str_starts(name, prefix)) {
		struct str rest = str_sub(name, prefix.n, SIZE_MAX), dot;
		if (!str_starts(rest, of.plural))
			return false;
		dot = str_sub(rest, of.plural.n, SIZE_MAX);
		return of.group.n
			? dot.n && dot.p[0] == '.' && str_eq(str_sub(dot, 1, SIZE_MAX), of.group)
			: !dot.n;
	}
	return row ? row->counts(name) : is_plain(of) && str_eq(name, of.plural);
}

bool
quota_by_number(struct quota_of of)
{
	return !row_of(of);
}

static bool
in_scope(const struct row *row, const struct scope *want, const struct doc *obj)
{
	return row && row->in_scope && row->in_scope(want, obj);
}

bool
quota_matches(struct quota_of of, const struct doc *spec, const struct doc *obj)
{
	const struct row *row = row_of(of);
	DOC_EACH (s, doc_get(spec, STR("scopes")))
		if (!in_scope(row, &(struct scope){doc_as_str(s), STR("Exists"), NULL}, obj))
			return false;
	DOC_EACH (m, doc_get(doc_get(spec, STR("scopeSelector")), STR("matchExpressions"))) {
		struct scope want = {doc_get_str(m, STR("scopeName")),
			doc_get_str(m, STR("operator")), doc_get(m, STR("values"))};
		if (!in_scope(row, &want, obj))
			return false;
	}
	return true;
}

void
quota_usage(struct resource_list *ret, struct quota_of of, const struct doc *obj, int64_t now_ns)
{
	const struct row *row = row_of(of);
	put(ret,
		arena_fmt(ret->a, "count/" STR_FMT "%s" STR_FMT, STR_ARG(of.plural),
			of.group.n ? "." : "", STR_ARG(of.group)),
		1);
	if (row)
		row->usage(ret, obj, now_ns);
	else if (is_plain(of))
		put(ret, of.plural, 1);
}
