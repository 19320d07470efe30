/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pod: Pods: what is set when one is made, what may change afterwards, how long a deletion waits, and the
 * rules a table cannot say. What holds for templates of pods too is in schema/checks_pod.c.
 * Sources: kube-apiserver pkg/registry/core/pod (strategy), pkg/apis/core/validation (ValidatePodSpec,
 * ValidatePodUpdate), pkg/apis/core/v1/helper/qos. */
#include "orchestrator/kinds/kinds_int.h"
#include "orchestrator/kinds/warnings.h"

#include "base/hash.h"
#include "base/ip.h"

/* ---- quality of service ---- */

static int64_t
amount(const struct doc *list, const char *name)
{
	struct str v = doc_get_str(list, str_c(name));
	return v.n ? quantity_milli_of(v, 0) : 0;
}

/* qos_of: Guaranteed: every container limits cpu and memory and asks for just that; BestEffort: nothing
 * is asked for or limited. */
static struct str
qos_of(const struct doc *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const names[] = {"cpu", "memory"};
	bool any = false, all = true;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			const struct doc *res = doc_get(c, S("resources"));
			const struct doc *req = doc_get(res, S("requests")),
					 *lim = doc_get(res, S("limits"));
			for (size_t i = 0; i < ARRAY_LEN(names); i++) {
				int64_t q = amount(req, names[i]), m = amount(lim, names[i]);
				any = any || q || m;
				all = all && m && (q == m || !q);
			}
		}
	}
	return !any ? S("BestEffort") : all ? S("Guaranteed") : S("Burstable");
}

/* ---- create, update ---- */

/* lay_keys: for each key that is a label of the pod: an expression in the selector. */
static void
lay_keys(struct request *r, const struct doc *labels, struct doc *d, const char *member,
	struct str op)
{
	struct doc *sel = doc_get(d, S("labelSelector"));
	DOC_EACH (k, doc_get(d, str_c(member))) {
		const struct doc *label = doc_get(labels, doc_as_str(k));
		struct doc *e = label ? doc_map(r->a) : NULL, *values = e ? doc_list(r->a) : NULL;
		struct doc *list = values && sel ? doc_ensure_list(r->a, sel, S("matchExpressions"))
						 : NULL;
		if (!list)
			continue;
		doc_append(values, doc_str(r->a, doc_as_str(label)));
		doc_set_str(r->a, e, S("key"), doc_as_str(k));
		doc_set_str(r->a, e, S("operator"), op);
		doc_set(e, S("values"), values);
		doc_append(list, e);
	}
}

/* lay_label_keys: matchLabelKeys and mismatchLabelKeys become part of the selectors they stand beside. */
static void
lay_label_keys(struct request *r, const struct doc *obj)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	static const char *const terms[] = {"requiredDuringSchedulingIgnoredDuringExecution",
		"preferredDuringSchedulingIgnoredDuringExecution"};
	const struct doc *labels = doc_get(meta_of(obj), S("labels"));
	const struct doc *spec = doc_get(obj, S("spec")), *affinity = doc_get(spec, S("affinity"));
	DOC_EACH (c, doc_get(spec, S("topologySpreadConstraints")))
		lay_keys(r, labels, c, "matchLabelKeys", S("In"));
	for (size_t i = 0; affinity && i < ARRAY_LEN(kinds) * ARRAY_LEN(terms); i++) {
		const struct doc *kind = doc_get(affinity, str_c(kinds[i / ARRAY_LEN(terms)]));
		bool weighted = i % ARRAY_LEN(terms) == 1;
		DOC_EACH (t, doc_get(kind, str_c(terms[weighted]))) {
			struct doc *term = weighted ? doc_get(t, S("podAffinityTerm")) : t;
			lay_keys(r, labels, term, "matchLabelKeys", S("In"));
			lay_keys(r, labels, term, "mismatchLabelKeys", S("NotIn"));
		}
	}
}

static void
prepare_create(struct request *r, struct doc *obj)
{
	struct doc *st = doc_map(r->a), *spec = doc_get(obj, S("spec"));
	if (!st)
		return;
	lay_label_keys(r, obj);
	doc_set_str(r->a, st, S("phase"), S("Pending"));
	doc_set_str(r->a, st, S("qosClass"), qos_of(spec));
	if (doc_len(doc_get(spec, S("schedulingGates")))) {
		struct doc *list = doc_ensure_list(r->a, st, S("conditions")), *c = doc_map(r->a);
		if (list && c) {
			doc_set_str(r->a, c, S("type"), S("PodScheduled"));
			doc_set_str(r->a, c, S("status"), S("False"));
			doc_set_str(r->a, c, S("reason"), S("SchedulingGated"));
			doc_set_str(r->a, c, S("message"),
				S("Scheduling is blocked due to non-empty scheduling gates"));
			doc_append(list, c);
		}
	}
	doc_set(obj, S("status"), st);
}

static void
prepare_update(struct request *r, struct doc *obj, const struct doc *old)
{
	keep_member(r->a, obj, old, S("status"));
}

/* keep_observed: a writer that knows of no observedGeneration does not take one away; of conditions of one type
 * the first keeps the first's. */
static void
keep_observed(struct request *r, struct doc *st, const struct doc *was)
{
	static const struct str member = STR_INIT("observedGeneration");
	struct map seen;
	if (!doc_get_int(st, member, 0))
		keep_member(r->a, st, was, member);
	map_init(&seen);
	DOC_EACH (c, doc_get(st, S("conditions"))) {
		struct str type = doc_get_str(c, S("type"));
		struct doc *last = map_get(&seen, type), *o = last ? last->next : NULL;
		if (!last)
			o = doc_index(doc_get(was, S("conditions")), 0);
		while (o && !str_eq(doc_get_str(o, S("type")), type))
			o = o->next;
		if (!o)
			continue;
		if (!doc_get_int(c, member, 0))
			keep_member(r->a, c, o, member);
		map_put(&seen, type, o, NULL);
	}
	map_release(&seen);
}

static void
prepare_status(struct request *r, struct doc *obj, const struct doc *old)
{
	struct doc *st = doc_ensure_map(r->a, obj, S("status"));
	if (st)
		keep_observed(r, st, doc_get(old, S("status")));
	if (st && !doc_get(st, S("qosClass")))
		keep_member(r->a, st, doc_get(old, S("status")), S("qosClass"));
	/* Of two first addresses that differ the older member's counts. */
	struct str ip = doc_get_str(st, S("podIP"));
	const struct doc *first = doc_index(doc_get(st, S("podIPs")), 0);
	if (st && ip.n && first && !str_eq(doc_get_str(first, S("ip")), ip)) {
		struct doc *list = doc_list(r->a), *one = doc_map(r->a);
		if (list && one) {
			doc_set_str(r->a, one, S("ip"), ip);
			doc_append(list, one);
			doc_set(st, S("podIPs"), list);
		}
	}
	/* A node says where the pod runs; nobody takes that back. */
	if (st && !doc_get(st, S("nominatedNodeName")))
		keep_member(r->a, st, doc_get(old, S("status")), S("nominatedNodeName"));
}

/* ---- validation: what the checks of the schema (checks_pod.c) cannot see: what was, and who asks ---- */

static const char *const lists[] = {"containers", "initContainers"};

static bool
is_sub(struct request *r, const char *name)
{
	return str_eq_c(request_subresource(r), name);
}

static void
check_images(struct request *r, const struct doc *spec)
{
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		size_t i = 0;
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			struct str image = doc_get_str(c, S("image"));
			if (str_trim(image).n != image.n)
				schema_err_invalid(&r->causes,
					schema_path(&r->causes, "spec.%s[%zu].image", lists[l], i),
					image, "must not have leading or trailing whitespace");
			i++;
		}
	}
}

static void
check_grace(struct request *r, const struct doc *spec)
{
	int64_t grace = doc_get_int(spec, S("terminationGracePeriodSeconds"), 0);
	if (grace < 0)
		schema_err_invalid_int(&r->causes, S("spec.terminationGracePeriodSeconds"), grace,
			format_text_not_negative);
}

static void
validate_create(struct request *r, const struct doc *obj)
{
	const struct doc *spec = doc_get(obj, S("spec"));
	check_images(r, spec);
	check_grace(r, spec);
	if (doc_len(doc_get(spec, S("ephemeralContainers"))))
		schema_err_forbidden(
			&r->causes, S("spec.ephemeralContainers"), "cannot be set on create");
	if (doc_get_str(spec, S("nodeName")).n && doc_len(doc_get(spec, S("schedulingGates"))))
		schema_err_forbidden(&r->causes, S("spec.nodeName"),
			"cannot be set until all schedulingGates have been cleared");
}

static const char text_fields[] =
	"pod updates may not change fields other than `spec.containers[*].image`,"
	"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
	"existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
	"previously negative)\n";

/* mask: a copy of `now` with the old values of all that may change. */
static struct doc *
mask(struct request *r, const struct doc *now, const struct doc *old)
{
	struct doc *d = doc_copy(r->a, now);
	for (size_t l = 0; d && l < ARRAY_LEN(lists); l++) {
		const struct doc *was = doc_index(doc_get(old, str_c(lists[l])), 0);
		DOC_EACH (x, doc_get(d, str_c(lists[l]))) {
			if (was)
				keep_member(r->a, x, was, S("image"));
			was = was ? was->next : NULL;
		}
	}
	keep_member(r->a, d, old, S("activeDeadlineSeconds"));
	keep_member(r->a, d, old, S("tolerations"));
	if (doc_get_int(old, S("terminationGracePeriodSeconds"), 0) < 0)
		keep_member(r->a, d, old, S("terminationGracePeriodSeconds"));
	keep_member(r->a, d, old, S("schedulingGates"));
	if (doc_len(doc_get(old, S("schedulingGates")))) {
		keep_member(r->a, d, old, S("nodeSelector"));
		keep_member(r->a, d, old, S("affinity"));
	}
	return d;
}

/* same_count: containers come and go with their pod only. */
static bool
same_count(struct request *r, const struct doc *spec, const struct doc *was, const char *why)
{
	bool same = true;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		if (doc_len(doc_get(spec, str_c(lists[l]))) ==
			doc_len(doc_get(was, str_c(lists[l]))))
			continue;
		schema_err_forbidden(&r->causes, schema_path(&r->causes, "spec.%s", lists[l]), why);
		same = false;
	}
	return same;
}

static bool
check_deadline(struct request *r, const struct doc *spec, const struct doc *was)
{
	const struct doc *now = doc_get(spec, S("activeDeadlineSeconds"));
	const struct doc *before = doc_get(was, S("activeDeadlineSeconds"));
	struct str path = S("spec.activeDeadlineSeconds");
	if (!now && before)
		schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, path, doc_null(r->a),
			S("must not update from a positive integer to nil value"));
	if (!now || !before || doc_as_int(now, 0) <= doc_as_int(before, 0))
		return true;
	schema_error_add(&r->causes, SCHEMA_CAUSE_INVALID, path, now,
		S("must be less than or equal to previous value"));
	return false;
}

/* toleration_key: all of it but how long. */
static struct str
toleration_key(struct request *r, const struct doc *t)
{
	return arena_fmt(r->a, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT,
		STR_ARG(doc_get_str(t, S("key"))), STR_ARG(doc_get_str(t, S("operator"))),
		STR_ARG(doc_get_str(t, S("value"))), STR_ARG(doc_get_str(t, S("effect"))));
}

static void
check_tolerations(struct request *r, const struct doc *spec, const struct doc *was)
{
	struct map have;
	struct doc *now = doc_get(spec, S("tolerations"));
	if (doc_equal(now, doc_get(was, S("tolerations"))))
		return;
	map_init(&have);
	DOC_EACH (t, now)
		map_put(&have, toleration_key(r, t), t, NULL);
	DOC_EACH (t, doc_get(was, S("tolerations"))) {
		if (map_get(&have, toleration_key(r, t)))
			continue;
		schema_err_forbidden(&r->causes, S("spec.tolerations"),
			"existing toleration can not be modified except its tolerationSeconds");
		break;
	}
	map_release(&have);
}

static void
check_gates(struct request *r, const struct doc *spec, const struct doc *was)
{
	struct map had;
	size_t i = 0;
	map_init(&had);
	DOC_EACH (h, doc_get(was, S("schedulingGates")))
		map_put(&had, doc_get_str(h, S("name")), h, NULL);
	DOC_EACH (g, doc_get(spec, S("schedulingGates"))) {
		struct str name = doc_get_str(g, S("name"));
		if (!map_get(&had, name))
			schema_error_fmt(&r->causes, SCHEMA_CAUSE_FORBIDDEN,
				schema_path(&r->causes, "spec.schedulingGates[%zu].name", i), NULL,
				"only deletion is allowed, but found new scheduling gate '" STR_FMT
				"'",
				STR_ARG(name));
		i++;
	}
	map_release(&had);
}

static bool
is_resizable(struct str resource)
{
	return str_eq_c(resource, "cpu") || str_eq_c(resource, "memory");
}

/* others_of: amounts without those that can be changed in place. */
static struct doc *
others_of(struct request *r, const struct doc *amounts)
{
	struct doc *d = amounts ? doc_copy(r->a, amounts) : doc_map(r->a);
	DOC_EACH (q, d)
		if (is_resizable(q->key))
			doc_remove(d, q);
	return d;
}

/* lost: cpu or memory of old that now has not; other amounts must be the same. */
static bool
lost(const struct doc *now, const struct doc *old)
{
	return (doc_get(old, S("cpu")) && !doc_get(now, S("cpu"))) ||
		(doc_get(old, S("memory")) && !doc_get(now, S("memory")));
}

static void
validate_resize(struct request *r, const struct doc *spec, const struct doc *was)
{
	static const char *const parts[] = {"requests", "limits"};
	struct schema_errors *errs = &r->causes;
	bool others = true;
	if (!str_eq(qos_of(spec), qos_of(was)))
		schema_err_invalid(errs, S("spec"), STR(""),
			"Pod QOS Class may not change as a result of resizing");
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct doc *o = doc_index(doc_get(was, str_c(lists[l])), 0);
		size_t i = 0;
		DOC_EACH (c, doc_get(spec, str_c(lists[l]))) {
			const struct doc *now = doc_get(c, S("resources"));
			const struct doc *old = doc_get(o, S("resources"));
			for (size_t k = 0; o && k < ARRAY_LEN(parts); k++) {
				const struct doc *x = doc_get(now, str_c(parts[k]));
				const struct doc *y = doc_get(old, str_c(parts[k]));
				if (lost(x, y))
					schema_error_fmt(errs, SCHEMA_CAUSE_FORBIDDEN,
						schema_path(errs, "spec.%s[%zu].resources.%s",
							lists[l], i, parts[k]),
						NULL, "resource %s cannot be removed", parts[k]);
				others = others && doc_equal(others_of(r, x), others_of(r, y));
			}
			o = o ? o->next : NULL;
			i++;
		}
	}
	if (!others)
		schema_err_forbidden(errs, S("spec"), "only cpu and memory resources are mutable");
}

static void
validate_ephemeral(struct request *r, const struct doc *spec, const struct doc *was)
{
	DOC_EACH (o, doc_get(was, S("ephemeralContainers"))) {
		struct str name = doc_get_str(o, S("name"));
		const struct doc *now = NULL;
		DOC_EACH (c, doc_get(spec, S("ephemeralContainers")))
			if (str_eq(doc_get_str(c, S("name")), name))
				now = c;
		if (now && doc_equal(now, o))
			continue;
		schema_error_fmt(&r->causes, SCHEMA_CAUSE_FORBIDDEN, S("spec.ephemeralContainers"),
			NULL, "existing ephemeral containers \"" STR_FMT "\" may not be %s\n",
			STR_ARG(name), now ? "changed" : "removed");
	}
}

static void
validate_update(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = doc_get(obj, S("spec")), *was = doc_get(old, S("spec"));
	check_images(r, spec);
	check_grace(r, spec);
	if (is_sub(r, "resize")) {
		validate_resize(r, spec, was);
		return;
	}
	if (is_sub(r, "ephemeralcontainers")) {
		validate_ephemeral(r, spec, was);
		return;
	}
	if (!same_count(r, spec, was, "pod updates may not add or remove containers") ||
		!check_deadline(r, spec, was))
		return;
	check_tolerations(r, spec, was);
	check_gates(r, spec, was);
	if (!doc_equal(mask(r, spec, was), was))
		schema_err_forbidden(&r->causes, S("spec"), text_fields);
}

/* ---- what a pod has come to ---- */

static const char *const own_conditions[] = {"PodScheduled", "Ready", "Initialized"};

static void
check_conditions(struct request *r, const struct doc *st)
{
	size_t i = 0;
	DOC_EACH (c, doc_get(st, S("conditions"))) {
		int64_t seen = doc_get_int(c, S("observedGeneration"), 0);
		struct str type = doc_get_str(c, S("type"));
		bool own = false;
		for (size_t k = 0; k < ARRAY_LEN(own_conditions); k++)
			own = own || str_eq_c(type, own_conditions[k]);
		if (seen < 0)
			schema_err_invalid_int(&r->causes,
				schema_path(
					&r->causes, "status.conditions[%zu].observedGeneration", i),
				seen, "must be a non-negative integer");
		if (!own)
			schema_err_format(&r->causes,
				schema_path(&r->causes, "status.conditions[%zu].Type", i),
				FORMAT_QUALIFIED_NAME, type);
		i++;
	}
}

/* may_restart: a container that has ended with this code may run again. */
static bool
may_restart(const struct doc *spec, struct str name, int64_t code)
{
	struct str policy = doc_get_str(spec, S("restartPolicy"));
	DOC_EACH (c, doc_get(spec, S("containers"))) {
		if (!str_eq(doc_get_str(c, S("name")), name))
			continue;
		if (doc_len(doc_get(c, S("restartPolicyRules"))))
			return true; /* by rules of its own: the node judges them */
		if (doc_get(c, S("restartPolicy")))
			policy = doc_get_str(c, S("restartPolicy"));
	}
	return str_eq_c(policy, "Always") || (str_eq_c(policy, "OnFailure") && code != 0);
}

static void
check_states(struct request *r, const struct doc *obj, const struct doc *old)
{
	const struct doc *spec = doc_get(old, S("spec"));
	size_t i = 0;
	DOC_EACH (o, doc_get(doc_get(old, S("status")), S("containerStatuses"))) {
		const struct doc *end = doc_get(doc_get(o, S("state")), S("terminated"));
		struct str name = doc_get_str(o, S("name"));
		DOC_EACH (c, doc_get(doc_get(obj, S("status")), S("containerStatuses"))) {
			if (!end || !str_eq(doc_get_str(c, S("name")), name))
				continue;
			if (!doc_get(doc_get(c, S("state")), S("terminated")) &&
				!may_restart(spec, name, doc_get_int(end, S("exitCode"), 0)))
				schema_err_forbidden(&r->causes,
					schema_path(&r->causes,
						"status.containerStatuses[%zu].state", i),
					"may not be transitioned to non-terminated state");
			break;
		}
		i++;
	}
}

/* check_ips: a list of addresses whose first is also a member of its own. */
static void
check_ips(struct request *r, const struct doc *st, const char *one, const char *many, bool both)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *list = doc_get(st, str_c(many));
	struct str first = doc_get_str(doc_index(list, 0), S("ip"));
	struct str path = schema_path(errs, "status.%s", many);
	unsigned have[2] = {0, 0};
	size_t i = 0;
	DOC_EACH (x, list) {
		struct ip_addr ip = {0};
		struct str s = doc_get_str(x, S("ip"));
		schema_err_format(errs, schema_path_index(errs, path, i++), FORMAT_IP, s);
		if (ip_parse(s, &ip) == 0)
			have[ip.family == 6]++;
	}
	if (have[0] > 1 || have[1] > 1)
		schema_error_add(errs, SCHEMA_CAUSE_INVALID, path, list,
			S("may specify no more than one IP for each IP family"));
	if (both && (doc_len(list) > 0) != (doc_get_str(st, str_c(one)).n > 0))
		schema_error_fmt(errs, SCHEMA_CAUSE_INVALID, path, list ? list : doc_null(r->a),
			"%s and %s must either both be set or both be unset", one, many);
	else if (doc_len(list) && !str_eq(first, doc_get_str(st, str_c(one))))
		schema_error_fmt(errs, SCHEMA_CAUSE_INVALID,
			schema_path(errs, "status.%s[0].ip", many), doc_str(r->a, first),
			"must be equal to `%s`", one);
}

static void
validate_status(struct request *r, const struct doc *obj, const struct doc *old)
{
	struct schema_errors *errs = &r->causes;
	const struct doc *st = doc_get(obj, S("status")), *was = doc_get(old, S("status"));
	struct str node = doc_get_str(st, S("nominatedNodeName"));
	int64_t seen = doc_get_int(st, S("observedGeneration"), 0);
	check_conditions(r, st);
	if (node.n && !str_eq(node, doc_get_str(was, S("nominatedNodeName")))) {
		schema_err_format(errs, S("status.nominatedNodeName"), FORMAT_DNS_SUBDOMAIN, node);
		if (doc_get_str(doc_get(old, S("spec")), S("nodeName")).n)
			schema_err_forbidden(errs, S("status.nominatedNodeName"),
				"may not be set on pods that are already bound to a node");
	}
	if (seen < 0)
		schema_err_invalid_int(errs, S("status.observedGeneration"), seen,
			"must be a non-negative integer");
	check_immutable(
		r, S("status.qosClass"), doc_get(st, S("qosClass")), doc_get(was, S("qosClass")));
	check_states(r, obj, old);
	check_ips(r, st, "podIP", "podIPs", true);
	check_ips(r, st, "hostIP", "hostIPs", false);
}

/* ---- deletion ---- */

static enum step
before_delete(struct request *r, const struct doc *old, int64_t *grace_s)
{
	const struct doc *spec = doc_get(old, S("spec"));
	struct str phase = doc_get_str(doc_get(old, S("status")), S("phase"));
	(void)r;
	if (*grace_s < 0)
		*grace_s = doc_get_int(spec, S("terminationGracePeriodSeconds"), 30);
	/* Nobody has to end what was never placed, or is over. */
	if (!doc_get_str(spec, S("nodeName")).n || str_eq_c(phase, "Failed") ||
		str_eq_c(phase, "Succeeded"))
		*grace_s = 0;
	return STEP_NEXT;
}

static void
warn(struct request *r, const struct doc *obj, const struct doc *old)
{
	if (old)
		return;
	warn_name(r, obj, "the Pod's hostname");
	warn_pod(r, "", meta_of(obj), doc_get(obj, S("spec")));
}

const struct kind_ops pod_ops = {
	.group = "",
	.resource = "pods",
	.prepare_create = prepare_create,
	.prepare_update = prepare_update,
	.prepare_status = prepare_status,
	.validate_create = validate_create,
	.validate_update = validate_update,
	.validate_status = validate_status,
	.before_delete = before_delete,
	.warn = warn,
};
