/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission: namespaces, storage and nodes. Sources: apiserver plugin/namespace/lifecycle;
 * plugin/pkg/admission/{storage,nodetaint,noderestriction}. */
#include "orchestrator/kinds/kinds_int.h"

#include "orchestrator/kinds/local_volume.h"

/* ---- NamespaceLifecycle ---- */

static bool
is_review(const struct request *r)
{
	return str_eq_c(request_resource(r), "localsubjectaccessreviews");
}

enum step
admit_namespace_lifecycle(struct request *r)
{
	static const char *const kept[] = {"default", "kube-system", "kube-public"};
	bool namespaces = str_eq_c(request_resource(r), "namespaces") && !request_group(r).n;
	struct doc *ns = NULL;
	if (namespaces) {
		for (size_t i = 0; request_op(r) == ADMIT_DELETE && i < ARRAY_LEN(kept); i++)
			if (str_eq_c(r->name, kept[i]))
				return request_fail_forbidden(
					r, "this namespace may not be deleted");
		return STEP_NEXT;
	}
	if (!r->ns.n || request_op(r) == ADMIT_DELETE || is_review(r))
		return STEP_NEXT;
	if (request_read(r, S(""), S("namespaces"), S(""), r->ns, &ns) < 0)
		return request_fail(
			r, R_NOT_FOUND, "namespaces \"" STR_FMT "\" not found", STR_ARG(r->ns));
	if (request_op(r) == ADMIT_CREATE && !r->sub && is_deleting(ns))
		return request_fail_forbidden(r,
			"unable to create new content in namespace " STR_FMT
			" because it is being terminated",
			STR_ARG(r->ns));
	/* The namespace must still be there when the object is written. */
	struct commit_part *p = request_op(r) == ADMIT_CREATE ? request_part(r) : NULL;
	if (p) {
		p->resource = S("namespaces");
		p->name = r->ns;
		p->has_cond = true;
		p->cond = STORE_EXISTS;
	}
	return STEP_NEXT;
}

/* ---- storage ---- */

struct default_storage {
	struct doc *found;
};

static bool
find_default_class(void *arg, struct doc *obj)
{
	struct default_storage *x = arg;
	const struct doc *notes = doc_get(meta_of(obj), S("annotations"));
	bool is = str_eq_c(
		doc_get_str(notes, S("storageclass.kubernetes.io/is-default-class")), "true");
	/* the newest default wins */
	if (is &&
		(!x->found ||
			str_cmp(meta_str(obj, "creationTimestamp"),
				meta_str(x->found, "creationTimestamp")) > 0))
		x->found = obj;
	return true;
}

enum step
admit_default_storage_class(struct request *r)
{
	struct doc *spec = doc_ensure_map(r->a, r->obj, S("spec"));
	struct default_storage x = {0};
	const struct doc *notes = doc_get(meta_of(r->obj), S("annotations"));
	if (!spec || doc_get(spec, S("storageClassName")) ||
		doc_get(notes, S("volume.beta.kubernetes.io/storage-class")))
		return STEP_NEXT;
	request_each(r, S("storage.k8s.io"), S("storageclasses"), S(""), find_default_class, &x);
	if (x.found)
		doc_set_str(r->a, spec, S("storageClassName"), meta_str(x.found, "name"));
	return STEP_NEXT;
}

enum step
admit_storage_protection(struct request *r)
{
	bool claim = str_eq_c(request_resource(r), "persistentvolumeclaims");
	struct doc *list = doc_ensure_list(
		r->a, doc_ensure_map(r->a, r->obj, S("metadata")), S("finalizers"));
	list_add(r->a, list,
		claim ? S("kubernetes.io/pvc-protection") : S("kubernetes.io/pv-protection"));
	return STEP_NEXT;
}

/* ---- nodes ---- */

enum step
admit_taint_node(struct request *r)
{
	struct doc *spec = doc_ensure_map(r->a, r->obj, S("spec"));
	struct doc *list = spec ? doc_ensure_list(r->a, spec, S("taints")) : NULL;
	DOC_EACH (t, list)
		if (str_eq_c(doc_get_str(t, S("key")), "node.kubernetes.io/not-ready") &&
			str_eq_c(doc_get_str(t, S("effect")), "NoSchedule"))
			return STEP_NEXT;
	struct doc *t = list ? doc_map(r->a) : NULL;
	if (t) {
		doc_set_str(r->a, t, S("key"), S("node.kubernetes.io/not-ready"));
		doc_set_str(r->a, t, S("effect"), S("NoSchedule"));
		doc_append(list, t);
	}
	return STEP_NEXT;
}

static struct str
pod_node(const struct doc *pod)
{
	return doc_get_str(doc_get(pod, S("spec")), S("nodeName"));
}

/* Labels below these suffixes are for kubelets to set only when listed. */
static bool
label_allowed(struct str key)
{
	static const char *const ours[] = {"kubernetes.io/hostname", "kubernetes.io/os",
		"kubernetes.io/arch", "node.kubernetes.io/instance-type",
		"topology.kubernetes.io/region", "topology.kubernetes.io/zone",
		"beta.kubernetes.io/os", "beta.kubernetes.io/arch",
		"beta.kubernetes.io/instance-type", "failure-domain.beta.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone"};
	struct str prefix, name;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_eq_c(key, ours[i]))
			return true;
	if (!str_cut(key, '/', &prefix, &name))
		return true;
	if (str_eq_c(prefix, "kubelet.kubernetes.io") ||
		str_ends(prefix, S(".kubelet.kubernetes.io")) ||
		str_eq_c(prefix, "node.kubernetes.io") ||
		str_ends(prefix, S(".node.kubernetes.io")))
		return true;
	if (str_eq_c(prefix, "node-restriction.kubernetes.io") ||
		str_ends(prefix, S(".node-restriction.kubernetes.io")))
		return false;
	return !(str_eq_c(prefix, "kubernetes.io") || str_ends(prefix, S(".kubernetes.io")) ||
		str_eq_c(prefix, "k8s.io") || str_ends(prefix, S(".k8s.io")));
}

static enum step
restrict_node(struct request *r, struct str node)
{
	struct str name = r->name.n ? r->name : meta_str(r->obj, "name");
	if (!str_eq(name, node))
		return request_fail_forbidden(r,
			"node \"" STR_FMT "\" is not allowed to modify node \"" STR_FMT "\"",
			STR_ARG(node), STR_ARG(name));
	if (request_op(r) == ADMIT_DELETE || r->sub)
		return STEP_NEXT;
	const struct doc *labels = doc_get(meta_of(r->obj), S("labels"));
	const struct doc *had = doc_get(meta_of(r->old), S("labels"));
	DOC_EACH (l, labels)
		if (!label_allowed(l->key) && !doc_equal(l, doc_get(had, l->key)))
			return request_fail_forbidden(r,
				"is not allowed to %s the following labels: " STR_FMT,
				r->old ? "modify" : "set", STR_ARG(l->key));
	if (r->old &&
		!doc_equal(doc_get(doc_get(r->obj, S("spec")), S("taints")),
			doc_get(doc_get(r->old, S("spec")), S("taints"))))
		return request_fail_forbidden(
			r, "node \"" STR_FMT "\" is not allowed to modify taints", STR_ARG(node));
	return STEP_NEXT;
}

static enum step
restrict_pod(struct request *r, struct str node)
{
	const struct doc *pod = r->old;
	struct doc *found = NULL;
	if (request_op(r) == ADMIT_CREATE && !r->sub) {
		const struct doc *notes = doc_get(meta_of(r->obj), S("annotations"));
		if (!doc_get(notes, S("kubernetes.io/config.mirror")))
			return request_fail_forbidden(r,
				"pod does not have \"kubernetes.io/config.mirror\" annotation, node \"" STR_FMT
				"\" can only create mirror pods",
				STR_ARG(node));
		if (!str_eq(pod_node(r->obj), node))
			return request_fail_forbidden(r,
				"node \"" STR_FMT
				"\" can only create pods with spec.nodeName set to itself",
				STR_ARG(node));
		return STEP_NEXT;
	}
	if (!pod && request_read(r, S(""), S("pods"), r->ns, r->name, &found) == 0)
		pod = found;
	if (pod && !str_eq(pod_node(pod), node))
		return request_fail_forbidden(r,
			"node \"" STR_FMT "\" can only %s pods with spec.nodeName set to itself",
			STR_ARG(node),
			request_op(r) == ADMIT_DELETE ? "delete"
				: r->sub              ? "update status for"
						      : "update");
	return STEP_NEXT;
}

/* restrict_token: a node asks for tokens only of pods that run on it. */
static enum step
restrict_token(struct request *r, struct str node)
{
	const struct doc *ref = doc_get(doc_get(r->obj, S("spec")), S("boundObjectRef"));
	struct doc *pod = NULL;
	if (!str_eq_c(doc_get_str(ref, S("kind")), "Pod") || !doc_get_str(ref, S("name")).n)
		return request_fail_forbidden(r,
			"node \"" STR_FMT "\" can only create tokens bound to pods", STR_ARG(node));
	if (!doc_get_str(ref, S("uid")).n)
		return request_fail_forbidden(
			r, "node requested token with a pod binding without a uid");
	if (request_read(r, S(""), S("pods"), r->ns, doc_get_str(ref, S("name")), &pod) < 0 ||
		!str_eq(pod_node(pod), node) ||
		!str_eq(meta_str(pod, "uid"), doc_get_str(ref, S("uid"))))
		return request_fail_forbidden(
			r, "node requested token bound to a pod scheduled on a different node");
	return STEP_NEXT;
}

static enum step
restrict_own_name(struct request *r, struct str node)
{
	struct str name = r->name.n ? r->name : meta_str(r->obj, "name");
	if (str_eq(name, node))
		return STEP_NEXT;
	return request_fail_forbidden(
		r, "can only access resource with the same name as the requesting node");
}

static enum step
restrict_lease(struct request *r, struct str node)
{
	if (!str_eq_c(r->ns, "kube-node-lease"))
		return request_fail_forbidden(
			r, "can only access leases in the \"kube-node-lease\" system namespace");
	return restrict_own_name(r, node);
}

/* meta_without: a copy of the metadata whose finalizers lack ours; and without what every update changes. */
static struct doc *
meta_without(struct request *r, const struct doc *obj)
{
	struct doc *m = doc_copy(r->a, meta_of(obj)), *list = doc_get(m, S("finalizers"));
	DOC_EACH (f, list)
		if (str_eq_c(doc_as_str(f), LOCAL_VOLUME_FINALIZER))
			doc_remove(list, f);
	if (m && doc_is_empty(list))
		doc_set(m, S("finalizers"), NULL);
	doc_set(m, S("resourceVersion"), NULL);
	doc_set(m, S("managedFields"), NULL);
	return m;
}

/* restrict_volume: of a node-local volume of its own, a node takes off the finalizer that waits for it. */
static enum step
restrict_volume(struct request *r, struct str node)
{
	const struct doc *labels = doc_get(meta_of(r->old), S("labels"));
	const struct doc *was = meta_without(r, r->old), *is = meta_without(r, r->obj);
	if (was && is && request_op(r) == ADMIT_UPDATE && !r->sub && doc_equal(was, is) &&
		doc_equal(doc_get(r->old, S("spec")), doc_get(r->obj, S("spec"))) &&
		str_eq(doc_get_str(labels, S(LOCAL_VOLUME_NODE)), node))
		return STEP_NEXT;
	return request_fail_forbidden(r,
		"node \"" STR_FMT "\" can only remove the finalizer \"" LOCAL_VOLUME_FINALIZER
		"\" of its own volumes",
		STR_ARG(node));
}

/* mounts_signer: a volume of the pod wants a certificate of this signer. */
static bool
mounts_signer(const struct doc *pod, struct str signer)
{
	DOC_EACH (v, doc_get(doc_get(pod, S("spec")), S("volumes")))
		DOC_EACH (s, doc_get(doc_get(v, S("projected")), S("sources")))
			if (str_eq(doc_get_str(doc_get(s, S("podCertificate")), S("signerName")),
				    signer))
				return true;
	return false;
}

/* may_request_signer: somebody gave the node leave to ask for certificates of this signer for the account. RBAC has no
 * resources with slashes: ":" stands for them, as in names of bundles. */
static bool
may_request_signer(struct request *r, struct str signer, struct str account)
{
	struct str resource = arena_str(r->a, signer);
	for (size_t i = 0; i < resource.n; i++)
		if (resource.p[i] == '/')
			((char *)(uintptr_t)resource.p)[i] = ':';
	struct authz_attrs at = {.user = &r->user,
		.verb = S("request-serviceaccounts-podcertificate-signer"),
		.is_resource = true,
		.group = S("certificates.k8s.io"),
		.version = S("v1"),
		.resource = resource,
		.ns = r->ns,
		.name = account};
	return request_may(r, &at, NULL);
}

/* An object that a request for a pod's certificate names with a uid, and the words for another one than is there. */
struct named {
	const char *resource, *single; /* "pods", "pod" */
	const char *name, *uid;        /* members of the spec */
	const char *what, *wants, *has, *end;
};

static const struct named named_node = {"nodes", "node", "nodeName", "nodeUID", "node",
	"names node UID \"", "\", inconsistent with the running node (\"", "\")"};
static const struct named named_pod = {"pods", "pod", "podName", "podUID", "pod",
	"contains pod UID (\"", "\") which differs from running pod \"", "\""};
static const struct named named_account = {"serviceaccounts", "serviceaccount",
	"serviceAccountName", "serviceAccountUID", "service account",
	"names service account UID \"", "\", which differs from the running service account (\"",
	"\")"};

/* read_named: NULL after an answer: what was just made may not be here yet, so it is no refusal for good. */
static struct doc *
read_named(struct request *r, const struct named *x, const struct doc *spec, enum step *ret)
{
	struct str name = doc_get_str(spec, str_c(x->name)), uid = doc_get_str(spec, str_c(x->uid));
	bool node = x == &named_node;
	struct str shown = node
		? name
		: arena_fmt(r->a, STR_FMT "/" STR_FMT, STR_ARG(r->ns), STR_ARG(name));
	struct doc *d = NULL;
	if (request_read(r, S(""), str_c(x->resource), node ? S("") : r->ns, name, &d) < 0) {
		*ret = request_fail(r, R_UNKNOWN,
			"while retrieving %s \"" STR_FMT
			"\" named in the PodCertificateRequest: %s \"" STR_FMT "\" not found",
			x->what, STR_ARG(shown), x->single, STR_ARG(name));
		return NULL;
	}
	if (str_eq(meta_str(d, "uid"), uid))
		return d;
	*ret = request_fail(r, R_UNKNOWN,
		"PodCertificateRequest for pod \"" STR_FMT "/" STR_FMT "\" %s" STR_FMT "%s" STR_FMT
		"%s",
		STR_ARG(r->ns), STR_ARG(doc_get_str(spec, S("podName"))), x->wants, STR_ARG(uid),
		x->has, STR_ARG(meta_str(d, "uid")), x->end);
	return NULL;
}

/* restrict_certificate: a node asks for certificates only of pods that run on it, as what they are, and only of signers
 * that they name. */
static enum step
restrict_certificate(struct request *r, struct str node)
{
	const struct doc *spec = doc_get(r->obj, S("spec"));
	struct str signer = doc_get_str(spec, S("signerName")),
		   account = doc_get_str(spec, S("serviceAccountName")),
		   name = doc_get_str(spec, S("nodeName"));
	struct str shown = arena_fmt(r->a, STR_FMT "/" STR_FMT, STR_ARG(r->ns),
		STR_ARG(doc_get_str(spec, S("podName"))));
	enum step step = STEP_NEXT;
	if (request_op(r) != ADMIT_CREATE)
		return request_fail_forbidden(r, "unexpected operation %s",
			request_op(r) == ADMIT_DELETE ? "DELETE" : "UPDATE");
	if (r->sub)
		return request_fail_forbidden(
			r, "unexpected subresource " STR_FMT, STR_ARG(request_subresource(r)));
	if (!str_eq(name, node))
		return request_fail_forbidden(r,
			"PodCertificateRequest.Spec.NodeName=\"" STR_FMT
			"\", which is not the requesting node \"" STR_FMT "\"",
			STR_ARG(name), STR_ARG(node));
	if (!read_named(r, &named_node, spec, &step))
		return step;
	const struct doc *pod = read_named(r, &named_pod, spec, &step);
	if (!pod)
		return step;
	if (!str_eq(pod_node(pod), node))
		return request_fail_forbidden(r,
			"pod \"" STR_FMT "\" is not running on node \"" STR_FMT
			"\" named in the PodCertificateRequest",
			STR_ARG(shown), STR_ARG(node));
	if (doc_get(doc_get(meta_of(pod), S("annotations")), S("kubernetes.io/config.mirror")))
		return request_fail_forbidden(
			r, "pod \"" STR_FMT "\" is a mirror pod", STR_ARG(shown));
	struct str runs_as = doc_get_str(doc_get(pod, S("spec")), S("serviceAccountName"));
	if (!str_eq(account, runs_as))
		return request_fail_forbidden(r,
			"PodCertificateRequest for pod \"" STR_FMT
			"\" contains serviceAccountName (\"" STR_FMT
			"\") that differs from running pod (\"" STR_FMT "\")",
			STR_ARG(shown), STR_ARG(account), STR_ARG(runs_as));
	if (!read_named(r, &named_account, spec, &step))
		return step;
	if (mounts_signer(pod, signer) || may_request_signer(r, signer, account))
		return STEP_NEXT;
	return request_fail_forbidden(r,
		"pod \"" STR_FMT
		"\" does not mount a podCertificate projected volume for signer \"" STR_FMT "\"",
		STR_ARG(shown), STR_ARG(signer));
}

static const struct restriction {
	const char *group, *resource, *sub; /* sub NULL = any */
	enum step (*check)(struct request *r, struct str node);
} restrictions[] = {
	{"", "nodes", NULL, restrict_node},
	{"", "pods", NULL, restrict_pod},
	{"", "serviceaccounts", "token", restrict_token},
	{"coordination.k8s.io", "leases", NULL, restrict_lease},
	{"storage.k8s.io", "csinodes", NULL, restrict_own_name},
	{"", "persistentvolumes", NULL, restrict_volume},
	{"certificates.k8s.io", "podcertificaterequests", NULL, restrict_certificate},
};

enum step
admit_node_restriction(struct request *r)
{
	struct str node = user_node(&r->user);
	struct str sub = request_subresource(r);
	if (!str_is_set(node))
		return STEP_NEXT;
	for (size_t i = 0; i < ARRAY_LEN(restrictions); i++) {
		const struct restriction *x = &restrictions[i];
		if (str_eq_c(request_group(r), x->group) &&
			str_eq_c(request_resource(r), x->resource) &&
			(!x->sub || str_eq_c(sub, x->sub)))
			return x->check(r, node);
	}
	return STEP_NEXT;
}
