/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * warnings: what is allowed in a pod, in the template of pods or in a Service, and is hardly meant: the client is told, and
 * nothing is refused. Of a template on create and when its object has a new generation, of a pod on create.
 * Source: k8s.io/kubernetes pkg/api/pod/warnings.go, pkg/api/node/util.go, pkg/api/{job,service}/warnings.go (behaviour, texts). */
#include "orchestrator/kinds/warnings.h"

#include "base/hash.h"

/* Where is being looked: the path in front of the pod ("" or "spec.template."). */
struct look {
	struct request *r;
	const char *at;
	const struct doc *meta, *spec;
};

static const struct {
	const char *label, *text;
} old_labels[] =
	{
		{"beta.kubernetes.io/arch",
			"deprecated since v1.14; use \"kubernetes.io/arch\" instead"},
		{"beta.kubernetes.io/os",
			"deprecated since v1.14; use \"kubernetes.io/os\" instead"},
		{"failure-domain.beta.kubernetes.io/region",
			"deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"},
		{"failure-domain.beta.kubernetes.io/zone",
			"deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"},
		{"beta.kubernetes.io/instance-type",
			"deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"},
		{"app.kubernetes.io/created-by", "deprecated since v1.9"},
		{"scheduler.alpha.kubernetes.io/preferAvoidPods",
			"deprecated since v1.22; use Taints and Tolerations instead"},
		{"node-role.kubernetes.io/master",
			"use \"node-role.kubernetes.io/control-plane\" instead"},
},
  old_annotations[] =
	  {
		  {"scheduler.alpha.kubernetes.io/critical-pod",
			  "non-functional in v1.16+; use the \"priorityClassName\" field instead"},
		  {"security.alpha.kubernetes.io/sysctls",
			  "non-functional in v1.11+; use the \"sysctls\" field instead"},
		  {"security.alpha.kubernetes.io/unsafe-sysctls",
			  "non-functional in v1.11+; use the \"sysctls\" field instead"},
},
  old_volumes[] = {
	  {"photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
	  {"gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
	  {"scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
	  {"flocker", "deprecated in v1.22, non-functional in v1.25+"},
	  {"storageos", "deprecated in v1.22, non-functional in v1.25+"},
	  {"quobyte", "deprecated in v1.22, non-functional in v1.25+"},
	  {"glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
	  {"cephfs", "deprecated in v1.28, non-functional in v1.31+"},
	  {"rbd", "deprecated in v1.28, non-functional in v1.31+"},
};
static const char *const container_lists[] = {
	"initContainers", "containers", "ephemeralContainers"};

static const struct doc *
member(const struct doc *d, const char *name)
{
	return doc_get(d, str_c(name));
}

static const char *
old_label(struct str label)
{
	for (size_t i = 0; i < ARRAY_LEN(old_labels); i++)
		if (str_eq_c(label, old_labels[i].label))
			return old_labels[i].text;
	return NULL;
}

/* ---- places ---- */

static void
warn_term(const struct look *l, const struct doc *term, const char *path)
{
	size_t i = 0;
	DOC_EACH (x, member(term, "matchExpressions")) {
		struct str key = doc_get_str(x, S("key"));
		if (old_label(key))
			request_warn(l->r, "%s%s.matchExpressions[%zu].key: " STR_FMT " is %s",
				l->at, path, i, STR_ARG(key), old_label(key));
		i++;
	}
}

static void
warn_places(const struct look *l)
{
	static const char required[] =
		"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
	static const char preferred[] =
		"spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution";
	const struct doc *node = member(member(l->spec, "affinity"), "nodeAffinity");
	size_t i = 0;
	DOC_EACH (x, member(l->spec, "nodeSelector"))
		if (old_label(x->key))
			request_warn(l->r, "%sspec.nodeSelector[" STR_FMT "]: %s", l->at,
				STR_ARG(x->key), old_label(x->key));
	DOC_EACH (t,
		member(member(node, "requiredDuringSchedulingIgnoredDuringExecution"),
			"nodeSelectorTerms"))
		warn_term(l, t, arena_fmt(l->r->a, "%s.nodeSelectorTerms[%zu]", required, i++).p);
	i = 0;
	DOC_EACH (t, member(node, "preferredDuringSchedulingIgnoredDuringExecution"))
		warn_term(l, member(t, "preference"),
			arena_fmt(l->r->a, "%s[%zu].preference", preferred, i++).p);
	i = 0;
	DOC_EACH (t, member(l->spec, "topologySpreadConstraints")) {
		struct str key = doc_get_str(t, S("topologyKey"));
		if (old_label(key))
			request_warn(l->r,
				"%sspec.topologySpreadConstraints[%zu].topologyKey: " STR_FMT
				" is %s",
				l->at, i, STR_ARG(key), old_label(key));
		if (!member(t, "labelSelector"))
			request_warn(l->r,
				"%sspec.topologySpreadConstraints[%zu].labelSelector: a null "
				"labelSelector results in matching no pod",
				l->at, i);
		i++;
	}
}

static void
warn_affinities(const struct look *l)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		const struct doc *of = member(member(l->spec, "affinity"), kinds[k]);
		size_t i = 0;
		DOC_EACH (t, member(of, "requiredDuringSchedulingIgnoredDuringExecution")) {
			if (!member(t, "labelSelector"))
				request_warn(l->r,
					"%sspec.affinity.%s.requiredDuringSchedulingIgnoredDuringExecution"
					"[%zu].labelSelector: a null labelSelector results in matching no "
					"pod",
					l->at, kinds[k], i);
			i++;
		}
		i = 0;
		DOC_EACH (t, member(of, "preferredDuringSchedulingIgnoredDuringExecution")) {
			if (!member(member(t, "podAffinityTerm"), "labelSelector"))
				request_warn(l->r,
					"%sspec.affinity.%s.preferredDuringSchedulingIgnoredDuringExecution"
					"[%zu].podAffinityTerm.labelSelector: a null labelSelector results "
					"in matching no pod",
					l->at, kinds[k], i);
			i++;
		}
	}
}

/* ---- what is no more ---- */

static void
warn_annotation(
	const struct look *l, const struct doc *annotations, struct str key, const char *text)
{
	if (doc_get(annotations, key))
		request_warn(
			l->r, "%smetadata.annotations[" STR_FMT "]: %s", l->at, STR_ARG(key), text);
}

static void
warn_old(const struct look *l)
{
	const struct doc *annotations = member(l->meta, "annotations");
	size_t i = 0;
	for (size_t k = 0; k < ARRAY_LEN(old_annotations); k++)
		warn_annotation(
			l, annotations, str_c(old_annotations[k].label), old_annotations[k].text);
	DOC_EACH (v, member(l->spec, "volumes")) {
		for (size_t k = 0; k < ARRAY_LEN(old_volumes); k++)
			if (member(v, old_volumes[k].label))
				request_warn(l->r, "%sspec.volumes[%zu].%s: %s", l->at, i,
					str_eq_c(str_c(old_volumes[k].label), "storageos")
						? "storageOS"
						: old_volumes[k].label,
					old_volumes[k].text);
		i++;
	}
}

/* ---- twice the same ---- */

/* warn_twice: the items of a list whose member `name` an earlier one has. */
static void
warn_twice(const struct look *l, const char *list, const char *name)
{
	struct map seen;
	size_t i = 0;
	map_init(&seen);
	DOC_EACH (x, member(l->spec, list)) {
		struct str v = doc_get_str(x, str_c(name));
		if (map_get(&seen, v))
			request_warn(l->r, "%sspec.%s[%zu].%s: duplicate %s \"" STR_FMT "\"", l->at,
				list, i, name, name, STR_ARG(v));
		map_put(&seen, v, x, NULL);
		i++;
	}
	map_release(&seen);
}

/* ---- containers ---- */

static void
warn_bytes(const struct look *l, const struct doc *amounts, const char *name, const char *path)
{
	struct str v = doc_get_str(amounts, str_c(name));
	struct quantity q = {0};
	if (v.n && quantity_parse(v, &q) == 0 && q.nano % 1000000000 != 0)
		request_warn(l->r,
			"%s%s[%s]: fractional byte value \"" STR_FMT
			"\" is invalid, must be an integer",
			l->at, path, name, STR_ARG(v));
}

static void
warn_fraction(const struct look *l, const struct doc *amounts, const char *path)
{
	warn_bytes(l, amounts, "memory", path);
	warn_bytes(l, amounts, "ephemeral-storage", path);
}

/* hides: a variable that does not build on the one it replaces. */
static bool
hides(struct request *r, const struct doc *env)
{
	struct str v = doc_get_str(env, S("value"));
	struct str ref = arena_fmt(r->a, "$(" STR_FMT ")", STR_ARG(doc_get_str(env, S("name"))));
	return member(env, "valueFrom") || str_eq(v, ref) || str_find(v, ref) < 0;
}

static void
warn_env(const struct look *l, const struct doc *c, const char *path)
{
	struct map seen;
	size_t i = 0;
	map_init(&seen);
	DOC_EACH (x, member(c, "env")) {
		struct str name = doc_get_str(x, S("name"));
		if (map_get(&seen, name) && hides(l->r, x))
			request_warn(l->r,
				"%s%s.env[%zu]: hides previous definition of \"" STR_FMT
				"\", which may be dropped when using apply",
				l->at, path, i, STR_ARG(name));
		map_put(&seen, name, x, NULL);
		i++;
	}
	map_release(&seen);
}

static void
warn_containers(const struct look *l)
{
	const struct doc *annotations = member(l->meta, "annotations");
	const char *moved = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
	if (!member(member(l->spec, "securityContext"), "seccompProfile"))
		warn_annotation(
			l, annotations, S("seccomp.security.alpha.kubernetes.io/pod"), moved);
	for (size_t k = 0; k < ARRAY_LEN(container_lists); k++) {
		size_t i = 0;
		DOC_EACH (c, member(l->spec, container_lists[k])) {
			struct arena *a = l->r->a;
			const char *path = arena_fmt(a, "spec.%s[%zu]", container_lists[k], i++).p;
			struct str key = arena_fmt(a,
				"container.seccomp.security.alpha.kubernetes.io/" STR_FMT,
				STR_ARG(doc_get_str(c, S("name"))));
			if (!member(member(c, "securityContext"), "seccompProfile"))
				warn_annotation(l, annotations, key, moved);
			warn_fraction(l, member(member(c, "resources"), "limits"),
				arena_fmt(a, "%s.resources.limits", path).p);
			warn_fraction(l, member(member(c, "resources"), "requests"),
				arena_fmt(a, "%s.resources.requests", path).p);
			warn_env(l, c, path);
		}
	}
}

/* ---- ports ---- */

struct port {
	const struct doc *d;
	const char *path;
};

/* port_clash: in which way y, which comes later, gets in the way of x; NULL = in none. */
static const char *
port_clash(const struct doc *x, const struct doc *y)
{
	int64_t hx = doc_get_int(x, S("hostPort"), 0), hy = doc_get_int(y, S("hostPort"), 0);
	struct str ix = doc_get_str(x, S("hostIP")), iy = doc_get_str(y, S("hostIP"));
	if (doc_get_int(x, S("containerPort"), 0) != doc_get_int(y, S("containerPort"), 0) ||
		!str_eq(doc_get_str(x, S("protocol")), doc_get_str(y, S("protocol"))))
		return NULL;
	if (hx == hy && str_eq(ix, iy))
		return "duplicate";
	if (hx == 0 || hy == 0)
		return "overlapping";
	return hx == hy && (ix.n == 0) != (iy.n == 0) ? "dangerously ambiguous" : NULL;
}

static void
warn_ports(const struct look *l)
{
	struct port *ports = NULL;
	size_t n = 0;
	for (size_t k = 0; k < ARRAY_LEN(container_lists); k++) {
		size_t i = 0;
		DOC_EACH (c, member(l->spec, container_lists[k])) {
			size_t p = 0;
			DOC_EACH (x, member(c, "ports")) {
				struct port *slot = ARENA_PUSH(l->r->a, ports, n);
				if (!slot)
					return;
				*slot = (struct port){x,
					arena_fmt(l->r->a, "%sspec.%s[%zu].ports[%zu]", l->at,
						container_lists[k], i, p++)
						.p};
			}
			i++;
		}
	}
	for (size_t y = 0; y < n; y++)
		for (size_t x = 0; x < y; x++)
			if (port_clash(ports[x].d, ports[y].d))
				request_warn(l->r, "%s: %s port definition with %s", ports[y].path,
					port_clash(ports[x].d, ports[y].d), ports[x].path);
	for (size_t y = 0; y < n; y++) {
		struct str name = doc_get_str(ports[y].d, S("name"));
		for (size_t x = 0; x < y && name.n; x++)
			if (str_eq(name, doc_get_str(ports[x].d, S("name")))) {
				request_warn(l->r,
					"%s: duplicate port name \"" STR_FMT
					"\" with %s, services and probes that select ports by name will "
					"use %s",
					ports[y].path, STR_ARG(name), ports[x].path, ports[x].path);
				break;
			}
	}
}

/* ---- the whole ---- */

void
warn_pod(struct request *r, const char *at, const struct doc *meta, const struct doc *spec)
{
	const struct look l = {r, at, meta, spec};
	size_t i = 0;
	warn_places(&l);
	warn_old(&l);
	warn_twice(&l, "hostAliases", "ip");
	warn_twice(&l, "imagePullSecrets", "name");
	DOC_EACH (x, member(spec, "imagePullSecrets")) {
		if (!doc_get_str(x, S("name")).n)
			request_warn(r,
				"%sspec.imagePullSecrets[%zu].name: invalid empty name \"\"", at,
				i);
		i++;
	}
	warn_fraction(&l, member(spec, "overhead"), "spec.overhead");
	warn_containers(&l);
	warn_ports(&l);
	if (doc_get_int(spec, S("terminationGracePeriodSeconds"), 0) < 0)
		request_warn(r,
			"%sspec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid "
			"and will be treated as 1",
			at);
	warn_affinities(&l);
}

void
warn_name(struct request *r, const struct doc *obj, const char *used_in)
{
	const char *faults[FORMAT_FAULTS_MAX];
	size_t n = format_faults(r->a, FORMAT_DNS_LABEL, meta_str(obj, "name"), faults);
	struct buf b;
	buf_init_arena(&b, r->a);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%s", i ? " " : "", faults[i]);
	if (n)
		request_warn(r,
			"metadata.name: this is used in %s, which can result in surprising behavior; a DNS "
			"label is recommended: [" STR_FMT "]",
			used_in, STR_ARG(buf_view(&b)));
}

/* same_generation: nothing that is wanted changed. */
static bool
same_generation(const struct doc *obj, const struct doc *old)
{
	return old &&
		doc_get_int(meta_of(obj), S("generation"), 0) ==
		doc_get_int(meta_of(old), S("generation"), 0);
}

static void
warn_template(struct request *r, const char *at, const struct doc *template)
{
	warn_pod(r, at, meta_of(template), member(template, "spec"));
}

static const char in_names[] = "Pod names and hostnames";

/* Those whose pods have their name in front. */
void
warn_workload(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!old)
		warn_name(r, obj, in_names);
	if (!same_generation(obj, old))
		warn_template(r, "spec.template.", member(member(obj, "spec"), "template"));
}

void
warn_daemonset(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!same_generation(obj, old))
		warn_template(r, "spec.template.", member(member(obj, "spec"), "template"));
}

static void
warn_statefulset(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = member(obj, "spec");
	size_t i = 0;
	const struct look l = {r, "", NULL, NULL};
	warn_daemonset(r, obj, old);
	DOC_EACH (c, member(spec, "volumeClaimTemplates")) {
		const struct doc *res = member(member(c, "spec"), "resources");
		const char *path =
			arena_fmt(r->a, "spec.volumeClaimTemplates[%zu].Spec.resources", i++).p;
		warn_bytes(&l, member(res, "requests"), "storage",
			arena_fmt(r->a, "%s.requests", path).p);
		warn_bytes(
			&l, member(res, "limits"), "storage", arena_fmt(r->a, "%s.limits", path).p);
	}
	if (doc_get_int(spec, S("revisionHistoryLimit"), 0) < 0)
		request_warn(r,
			"spec.revisionHistoryLimit: a negative value retains all historical revisions; a "
			"value >= 0 is recommended");
}

static void
warn_podtemplate(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!same_generation(obj, old))
		warn_template(r, "template.", member(obj, "template"));
}

static void
warn_job_spec(struct request *r, const struct doc *spec, const char *at)
{
	if (str_eq_c(doc_get_str(spec, S("completionMode")), "Indexed") &&
		doc_get_int(spec, S("completions"), 0) > 100000 &&
		doc_get_int(spec, S("parallelism"), 0) > 10000)
		request_warn(r,
			"%s: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism "
			"higher than 10^4, Kubernetes might not be able to track completedIndexes when a big "
			"number of indexes fail",
			at);
	warn_template(r, arena_fmt(r->a, "%s.template.", at).p, member(spec, "template"));
}

void
warn_job(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!old)
		warn_name(r, obj, in_names);
	if (!same_generation(obj, old))
		warn_job_spec(r, member(obj, "spec"), "spec");
}

static void
warn_cronjob(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = member(obj, "spec");
	if (!old)
		warn_name(r, obj, in_names);
	if (!same_generation(obj, old))
		warn_job_spec(
			r, member(member(spec, "jobTemplate"), "spec"), "spec.jobTemplate.spec");
	if (str_find(doc_get_str(spec, S("schedule")), S("TZ")) >= 0)
		request_warn(r,
			"cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
			"https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more "
			"details");
}

const struct kind_ops statefulset_ops = {
	.group = "apps", .resource = "statefulsets", .warn = warn_statefulset};
const struct kind_ops replicaset_ops = {
	.group = "apps", .resource = "replicasets", .warn = warn_workload};
const struct kind_ops replicationcontroller_ops = {
	.group = "", .resource = "replicationcontrollers", .warn = warn_workload};
const struct kind_ops podtemplate_ops = {
	.group = "", .resource = "podtemplates", .warn = warn_podtemplate};
const struct kind_ops cronjob_ops = {
	.group = "batch", .resource = "cronjobs", .warn = warn_cronjob};

/* ---- Services ---- */

static void
warn_headless(struct request *r, const struct doc *spec)
{
	if (doc_get_str(spec, S("loadBalancerIP")).n)
		request_warn(r, "spec.loadBalancerIP is ignored for headless services");
	if (doc_len(member(spec, "externalIPs")))
		request_warn(r, "spec.externalIPs is ignored for headless services");
	if (!str_eq_c(doc_get_str(spec, S("sessionAffinity")), "None"))
		request_warn(r, "spec.SessionAffinity is ignored for headless services");
}

void
warn_service(struct request *r, const struct doc *obj, const struct doc *old)
{
	static const char hints[] = "service.kubernetes.io/topology-aware-hints";
	const struct doc *spec = member(obj, "spec");
	struct str type = doc_get_str(spec, S("type"));
	bool outside = str_eq_c(type, "ExternalName"), ips = doc_len(member(spec, "externalIPs"));
	bool headless = str_eq_c(type, "ClusterIP") &&
		str_eq_c(doc_get_str(spec, S("clusterIP")), "None");
	(void)old;
	if (member(member(meta_of(obj), "annotations"), hints))
		request_warn(r,
			"annotation %s is deprecated, please use service.kubernetes.io/topology-mode "
			"instead",
			hints);
	if (headless)
		warn_headless(r, spec);
	else if (ips && !outside)
		request_warn(r,
			"spec.externalIPs is deprecated and may no longer be implemented in some "
			"clusters");
	if (outside && ips)
		request_warn(r, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
	if (!outside && doc_get_str(spec, S("externalName")).n)
		request_warn(
			r, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
	if (str_eq_c(doc_get_str(spec, S("trafficDistribution")), "PreferClose"))
		request_warn(r,
			"spec.trafficDistribution: \"PreferClose\" is deprecated; use "
			"\"PreferSameZone\"");
}

void
warn_endpointslice(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (!old && str_eq_c(doc_get_str(obj, S("addressType")), "FQDN"))
		request_warn(r, "spec.addressType: FQDN endpoints are deprecated");
}

/* ---- drivers ---- */

static void
warn_csidriver(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = member(obj, "spec"), *was = member(old, "spec");
	const struct doc *tokens = member(spec, "tokenRequests");
	if (doc_len(tokens) && !member(spec, "serviceAccountTokenInSecrets") &&
		!doc_equal(tokens, member(was, "tokenRequests")))
		request_warn(r,
			"spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set "
			"to true to prevent possible logging of tokens in volume attributes");
}

const struct kind_ops csidriver_ops = {
	.group = "storage.k8s.io", .resource = "csidrivers", .warn = warn_csidriver};
