/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * admission_pod: what is added to a pod that is created: service account and its token, priority,
 * tolerations of node failure. Sources: plugin/pkg/admission/serviceaccount, priority,
 * defaulttolerationseconds. */
#include "orchestrator/kinds/kinds_int.h"

#include "base/rand.h"

#define ACCOUNT_TRIES 10
#define ACCOUNT_PAUSE_NS (150 * NS_PER_MS)
#define TOKEN_PATH "/var/run/secrets/kubernetes.io/serviceaccount"

/* ---- ServiceAccount ---- */

static bool
mounts_token(const struct doc *container)
{
	DOC_EACH (m, doc_get(container, S("volumeMounts")))
		if (str_eq_c(doc_get_str(m, S("mountPath")), TOKEN_PATH))
			return true;
	return false;
}

static void
mount_token(struct arena *a, struct doc *containers, struct str volume, bool *used)
{
	DOC_EACH (c, containers) {
		if (mounts_token(c))
			continue;
		struct doc *m = doc_map(a), *list = doc_ensure_list(a, c, S("volumeMounts"));
		if (!m || !list)
			return;
		doc_set_str(a, m, S("name"), volume);
		doc_set_bool(a, m, S("readOnly"), true);
		doc_set_str(a, m, S("mountPath"), S(TOKEN_PATH));
		doc_append(list, m);
		*used = true;
	}
}

static const char token_volume[] =
	"{\"projected\":{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":"
	"\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":"
	"\"ca.crt\"}]}},{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":"
	"\"v1\",\"fieldPath\":\"metadata.namespace\"}}]}}],\"defaultMode\":420}}";

static void
add_token(struct request *r, struct doc *spec)
{
	char suffix[8];
	bool used = false, there = false;
	struct doc *v = NULL;
	rand_suffix(suffix, 5);
	struct str name = arena_fmt(r->a, "kube-api-access-%s", suffix);
	DOC_EACH (have, doc_get(spec, S("volumes"))) {
		if (there || !str_starts(doc_get_str(have, S("name")), S("kube-api-access-")))
			continue;
		name = doc_get_str(have, S("name"));
		there = true;
	}
	mount_token(r->a, doc_get(spec, S("initContainers")), name, &used);
	mount_token(r->a, doc_get(spec, S("containers")), name, &used);
	if (!used || there || doc_parse_json(r->a, str_c(token_volume), NULL, &v, NULL) < 0)
		return;
	doc_set_str(r->a, v, S("name"), name);
	struct doc *volumes = doc_ensure_list(r->a, spec, S("volumes"));
	if (volumes)
		doc_append(volumes, v);
}

static bool
automount(const struct doc *spec, const struct doc *account)
{
	const struct doc *own = doc_get(spec, S("automountServiceAccountToken"));
	if (own && own->type == DOC_BOOL)
		return own->b;
	return doc_get_bool(account, S("automountServiceAccountToken"), true);
}

/* account_read: the account; the default one of a new namespace is made by its controller, which may be
 * a moment behind: it is looked for ten times. */
static enum step
account_read(struct request *r, struct str name, struct doc **ret)
{
	unsigned *tries = r->stage_state ? r->stage_state : ARENA_NEW(r->a, unsigned);
	int rc = request_read(r, S(""), S("serviceaccounts"), r->ns, name, ret);
	if (rc == 0)
		return STEP_NEXT;
	if (tries && str_eq(name, S("default")) && ++*tries < ACCOUNT_TRIES) {
		r->stage_state = tries;
		return request_pause(r, ACCOUNT_PAUSE_NS);
	}
	return request_fail_forbidden(r,
		"error looking up service account " STR_FMT "/" STR_FMT
		": serviceaccount \"" STR_FMT "\" not found",
		STR_ARG(r->ns), STR_ARG(name), STR_ARG(name));
}

enum step
admit_service_account(struct request *r)
{
	struct doc *spec = doc_ensure_map(r->a, r->obj, S("spec")), *account = NULL;
	struct str mirror = doc_get_str(
		doc_get(meta_of(r->obj), S("annotations")), S("kubernetes.io/config.mirror"));
	if (!spec)
		return STEP_NEXT;
	if (str_is_set(mirror)) {
		if (doc_get_str(spec, S("serviceAccountName")).n)
			return request_fail_forbidden(
				r, "a mirror pod may not reference service accounts");
		return STEP_NEXT;
	}
	if (!doc_get_str(spec, S("serviceAccountName")).n)
		doc_set_str(r->a, spec, S("serviceAccountName"), S("default"));
	struct str name = doc_get_str(spec, S("serviceAccountName"));
	doc_set_str(r->a, spec, S("serviceAccount"), name);
	enum step got = account_read(r, name, &account);
	if (got != STEP_NEXT)
		return got;
	if (automount(spec, account))
		add_token(r, spec);
	const struct doc *secrets = doc_get(account, S("imagePullSecrets"));
	if (!doc_is_empty(secrets) && doc_is_empty(doc_get(spec, S("imagePullSecrets"))))
		doc_set(spec, S("imagePullSecrets"), doc_copy(r->a, secrets));
	return STEP_NEXT;
}

/* ---- Priority ---- */

struct default_class {
	struct doc *found;
};

static bool
find_default(void *arg, struct doc *obj)
{
	struct default_class *x = arg;
	bool is = doc_get_bool(obj, S("globalDefault"), false);
	if (is &&
		(!x->found ||
			doc_get_int(obj, S("value"), 0) < doc_get_int(x->found, S("value"), 0)))
		x->found = obj;
	return true;
}

enum step
admit_priority(struct request *r)
{
	struct doc *spec = doc_ensure_map(r->a, r->obj, S("spec")), *class = NULL;
	struct str name = doc_get_str(spec, S("priorityClassName"));
	if (!spec)
		return STEP_NEXT;
	if (request_op(r) == ADMIT_UPDATE) {
		keep_member(r->a, spec, doc_get(r->old, S("spec")), S("priority"));
		keep_member(r->a, spec, doc_get(r->old, S("spec")), S("preemptionPolicy"));
		return STEP_NEXT;
	}
	if (name.n &&
		request_read(r, S("scheduling.k8s.io"), S("priorityclasses"), S(""), name, &class) <
			0)
		return request_fail_forbidden(
			r, "no PriorityClass with name " STR_FMT " was found", STR_ARG(name));
	if (!name.n) {
		struct default_class x = {0};
		request_each(
			r, S("scheduling.k8s.io"), S("priorityclasses"), S(""), find_default, &x);
		class = x.found;
		if (class)
			doc_set_str(r->a, spec, S("priorityClassName"), meta_str(class, "name"));
	}
	int64_t value = doc_get_int(class, S("value"), 0);
	const struct doc *own = doc_get(spec, S("priority"));
	if (own && own->type == DOC_INT && own->i != value)
		return request_fail_forbidden(r,
			"the integer value of priority (%lld) must not be provided in pod spec; priority "
			"admission controller computed %lld from the given PriorityClass name",
			(long long)own->i, (long long)value);
	doc_set_int(r->a, spec, S("priority"), value);
	struct str policy = doc_get_str(class, S("preemptionPolicy"));
	struct str own_policy = doc_get_str(spec, S("preemptionPolicy"));
	if (!policy.n)
		policy = S("PreemptLowerPriority");
	if (own_policy.n && !str_eq(own_policy, policy))
		return request_fail_forbidden(r,
			"the string value of PreemptionPolicy (" STR_FMT
			") must not be provided in pod spec; priority admission controller computed " STR_FMT
			" from the given PriorityClass name",
			STR_ARG(own_policy), STR_ARG(policy));
	doc_set_str(r->a, spec, S("preemptionPolicy"), policy);
	return STEP_NEXT;
}

enum step
admit_priority_class(struct request *r)
{
	struct default_class x = {0};
	if (!doc_get_bool(r->obj, S("globalDefault"), false))
		return STEP_NEXT;
	request_each(r, S("scheduling.k8s.io"), S("priorityclasses"), S(""), find_default, &x);
	if (x.found && !str_eq(meta_str(x.found, "name"), meta_str(r->obj, "name")))
		return request_fail_forbidden(r,
			"PriorityClass " STR_FMT
			" is already marked as default. Only one default can exist",
			STR_ARG(meta_str(x.found, "name")));
	return STEP_NEXT;
}

/* ---- DefaultTolerationSeconds ---- */

static bool
tolerated(const struct doc *list, struct str key)
{
	DOC_EACH (t, list) {
		struct str have = doc_get_str(t, S("key")), effect = doc_get_str(t, S("effect"));
		if ((str_eq(have, key) || !have.n) && (str_eq_c(effect, "NoExecute") || !effect.n))
			return true;
	}
	return false;
}

enum step
admit_default_tolerations(struct request *r)
{
	static const struct str keys[] = {STR_INIT("node.kubernetes.io/not-ready"),
		STR_INIT("node.kubernetes.io/unreachable")};
	struct doc *spec = doc_ensure_map(r->a, r->obj, S("spec"));
	struct doc *list = spec ? doc_ensure_list(r->a, spec, S("tolerations")) : NULL;
	for (size_t i = 0; list && i < ARRAY_LEN(keys); i++) {
		struct doc *t = tolerated(list, keys[i]) ? NULL : doc_map(r->a);
		if (!t)
			continue;
		doc_set_str(r->a, t, S("key"), keys[i]);
		doc_set_str(r->a, t, S("operator"), S("Exists"));
		doc_set_str(r->a, t, S("effect"), S("NoExecute"));
		doc_set_int(r->a, t, S("tolerationSeconds"), 300);
		doc_append(list, t);
	}
	return STEP_NEXT;
}
