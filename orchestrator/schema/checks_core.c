/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_core: what all kinds share (label selectors, conditions, templates of pods) and the smaller kinds of the
 * core group: ConfigMaps, Secrets, nodes, namespaces, limits, quotas, events.
 * Source: k8s.io/apimachinery meta/v1/validation; k8s.io/kubernetes pkg/apis/core/validation. */
#include "orchestrator/schema/checks_int.h"

#include "base/hash.h"
#include "base/ip.h"

/* ---- shared ---- */

static const struct {
	const char *name;
	bool values;
} operators[] = {{"In", true}, {"NotIn", true}, {"Exists", false}, {"DoesNotExist", false}};

CHECK(meta_v1_label_selector)
{
	size_t i = 0;

	(void)old;
	check_pairs(s, get(d, "matchLabels"), "matchLabels");
	DOC_EACH (e, get(d, "matchExpressions")) {
		struct str op = text(e, "operator");
		const struct doc *values = get(e, "values");
		bool known = false;
		size_t k = 0;

		for (size_t o = 0; o < ARRAY_LEN(operators); o++) {
			if (!str_eq_c(op, operators[o].name))
				continue;
			known = true;
			if (operators[o].values && doc_len(values) == 0)
				REQUIRED("must be specified when `operator` is 'In' or 'NotIn'",
					"matchExpressions[%zu].values", i);
			else if (!operators[o].values && doc_len(values) > 0)
				FORBIDDEN("may not be specified when `operator` is 'Exists' or "
					  "'DoesNotExist'",
					"matchExpressions[%zu].values", i);
		}
		if (!known)
			INVALID(op, "not a valid selector operator",
				"matchExpressions[%zu].operator", i);
		FORMAT(FORMAT_QUALIFIED_NAME, text(e, "key"), "matchExpressions[%zu].key", i);
		DOC_EACH (v, values)
			FORMAT(FORMAT_LABEL_VALUE, doc_as_str(v),
				"matchExpressions[%zu].values[%zu]", i, k++);
		i++;
	}
}

static const char text_reason[] =
	"a condition reason must start with alphabetic character, optionally followed by a string of "
	"alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
	"'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for "
	"validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
reason_ok(struct str s)
{
	if (s.n == 0 || !is_letter(s.p[0]) || s.p[s.n - 1] == ',' || s.p[s.n - 1] == ':')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '_' &&
			s.p[i] != ',' && s.p[i] != ':')
			return false;
	return true;
}

static void
check_condition(const struct schema_spot *s, const struct doc *c, size_t i)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};
	struct str reason = text(c, "reason"), message = text(c, "message"),
		   status = text(c, "status");
	int64_t seen = number(c, "observedGeneration");

	if (text(c, "type").n == 0)
		REQUIRED("is required", "conditions[%zu].type", i);
	else
		FORMAT(FORMAT_QUALIFIED_NAME, text(c, "type"), "conditions[%zu].type", i);
	if (status.n == 0)
		REQUIRED("must be set", "conditions[%zu].status", i);
	else if (!one_of(statuses, status))
		UNSUPPORTED(status, statuses, "conditions[%zu].status", i);
	if (seen < 0)
		INVALID_INT(seen, "must be greater than or equal to zero",
			"conditions[%zu].observedGeneration", i);
	if (!text(c, "lastTransitionTime").n)
		REQUIRED("must be set", "conditions[%zu].lastTransitionTime", i);
	if (reason.n == 0)
		REQUIRED("must be set", "conditions[%zu].reason", i);
	else if (!reason_ok(reason))
		INVALID(reason, text_reason, "conditions[%zu].reason", i);
	if (reason.n > 1024)
		schema_err_too_long(s->errs, AT("conditions[%zu].reason", i), 1024);
	if (message.n > 32768)
		schema_err_too_long(s->errs, AT("conditions[%zu].message", i), 32768);
}

void
check_conditions(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *list = get(d, "conditions");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (c, list) {
		check_condition(s, c, i);
		if (!names_add(&seen, text(c, "type"), c))
			DUPLICATE(text(c, "type"), "conditions[%zu]", i);
		i++;
	}
}

CHECK(core_v1_pod_template_spec)
{
	const struct doc *meta = get(d, "metadata");

	(void)old;
	check_pairs(s, get(meta, "labels"), "metadata.labels");
	if (!doc_is_empty(get(meta, "annotations")))
		schema_validate_annotations(get(meta, "annotations"), AT("annotations"), s->errs);
	if (!doc_is_empty(get(get(d, "spec"), "ephemeralContainers")))
		FORBIDDEN("ephemeral containers not allowed in pod template",
			"spec.ephemeralContainers");
}

/* ---- ConfigMap, Secret ---- */

#define DATA_MAX (1 << 20)

/* check_keys: names of data; the bytes of all values. */
static size_t
check_keys(const struct schema_spot *s, const struct doc *data, const char *member, bool encoded)
{
	size_t total = 0;

	DOC_EACH (m, data) {
		struct str v = doc_as_str(m);

		FORMAT(FORMAT_CONFIG_KEY, m->key, "%s[" STR_FMT "]", member, STR_ARG(m->key));
		if (!encoded)
			total += v.n;
		else
			total += v.n / 4 * 3 - str_ends(v, STR("=")) - str_ends(v, STR("=="));
	}
	return total;
}

static void
check_frozen(const struct schema_spot *s, const struct doc *d, const struct doc *old,
	const char *const *members)
{
	static const char why[] = "field is immutable when `immutable` is set";

	if (!flag(old, "immutable"))
		return;
	if (!flag(d, "immutable"))
		FORBIDDEN(why, "immutable");
	for (; *members; members++)
		if (differs(get(d, *members), get(old, *members)))
			FORBIDDEN(why, "%s", *members);
}

CHECK(core_v1_config_map)
{
	static const char *const frozen[] = {"data", "binaryData", NULL};
	const struct doc *data = get(d, "data"), *binary = get(d, "binaryData");
	struct names taken = keys_of(s->errs->a, binary);
	size_t total = check_keys(s, data, "data", false);

	total += check_keys(s, binary, "binaryData", true);
	DOC_EACH (m, data)
		if (names_find(&taken, m->key))
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
				AT("data[" STR_FMT "]", STR_ARG(m->key)),
				doc_str(s->errs->a, m->key),
				"duplicate of key present in binaryData");
	if (total > DATA_MAX)
		schema_err_too_long(s->errs, STR("[]"), DATA_MAX); /* the object as a whole */
	check_frozen(s, d, old, frozen);
}

/* What a type of Secret must have: all of the keys, or one (any); json: the value is a JSON object. */
static const struct {
	const char *type;
	const char *keys[3];
	bool any, json;
} secret_types[] = {
	{"kubernetes.io/dockercfg", {".dockercfg"}, false, true},
	{"kubernetes.io/dockerconfigjson", {".dockerconfigjson"}, false, true},
	{"kubernetes.io/basic-auth", {"username", "password"}, true, false},
	{"kubernetes.io/ssh-auth", {"ssh-privatekey"}, false, false},
	{"kubernetes.io/tls", {"tls.crt", "tls.key"}, false, false},
};

static void
check_json(const struct schema_spot *s, struct str value, const char *key)
{
	struct buf plain = BUF_INIT;
	struct doc *parsed = NULL;
	struct err e = {0};

	if (base64_decode(&plain, value) == 0 &&
		doc_parse_json(s->errs->a, buf_view(&plain), NULL, &parsed, &e) != 0)
		INVALID(STR("<secret contents redacted>"), arena_fmt(s->errs->a, "%s", e.msg).p,
			"data[%s]", key);
	buf_release(&plain);
}

static void
check_secret_type(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *data = get(d, "data");

	for (size_t i = 0; i < ARRAY_LEN(secret_types); i++) {
		bool some = false;

		if (!is(d, "type", secret_types[i].type))
			continue;
		for (const char *const *k = secret_types[i].keys; *k; k++)
			some |= get(data, *k) != NULL;
		for (const char *const *k = secret_types[i].keys; *k; k++) {
			if (get(data, *k) == NULL && !(secret_types[i].any && some))
				REQUIRED(NULL, "data[%s]", *k);
			else if (secret_types[i].json)
				check_json(s, text(data, *k), *k);
		}
	}
}

#define ACCOUNT "kubernetes.io/service-account.name"

CHECK(core_v1_secret)
{
	static const char *const frozen[] = {"data", NULL};
	const struct doc *notes = get(get(d, "metadata"), "annotations");

	if (check_keys(s, get(d, "data"), "data", true) > DATA_MAX)
		schema_err_too_long(s->errs, AT("data"), DATA_MAX);
	if (is(d, "type", "kubernetes.io/service-account-token") && !text(notes, ACCOUNT).n)
		REQUIRED(NULL, "metadata.annotations[" ACCOUNT "]");
	check_secret_type(s, d);
	check_immutable_member(s, d, old, "type");
	check_frozen(s, d, old, frozen);
}

/* ---- namespaces, nodes ---- */

CHECK(core_v1_namespace)
{
	static const char *const plain[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
	bool dying = text(get(d, "metadata"), "deletionTimestamp").n > 0;
	struct str phase = text(get(d, "status"), "phase");

	(void)old;
	DOC_EACH (f, get(get(d, "spec"), "finalizers")) {
		struct str name = doc_as_str(f);

		FORMAT(FORMAT_QUALIFIED_NAME, name, "spec.finalizers");
		if (str_find_char(name, '/') < 0 && !one_of(plain, name))
			INVALID(name,
				"name is neither a standard finalizer name nor is it fully "
				"qualified",
				"spec.finalizers");
	}
	if (!dying && phase.n && !str_eq_c(phase, "Active"))
		INVALID(phase, "may only be 'Active' if `deletionTimestamp` is empty",
			"status.Phase");
}

static void
check_taints(const struct schema_spot *s, const struct doc *taints)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	struct names seen = names_new(s->errs->a, doc_len(taints));
	size_t i = 0;

	DOC_EACH (t, taints) {
		struct str effect = text(t, "effect"), value = text(t, "value");
		const char *why = format_check(s->errs->a, FORMAT_LABEL_VALUE, value);
		struct str key = arena_fmt(
			s->errs->a, STR_FMT " " STR_FMT, STR_ARG(text(t, "key")), STR_ARG(effect));

		FORMAT(FORMAT_QUALIFIED_NAME, text(t, "key"), "metadata.taints[%zu].key", i);
		if (why)
			INVALID(value, why, "metadata.taints[%zu].value", i);
		if (effect.n == 0)
			REQUIRED(NULL, "metadata.taints[%zu].effect", i);
		else if (!one_of(effects, effect))
			UNSUPPORTED(effect, effects, "metadata.taints[%zu].effect", i);
		if (!names_add(&seen, key, t))
			schema_error_add(s->errs, SCHEMA_CAUSE_DUPLICATE,
				AT("metadata.taints[%zu]", i), t,
				STR("taints must be unique by key and effect pair"));
		i++;
	}
}

static void
check_pod_cidrs(const struct schema_spot *s, const struct doc *now, const struct doc *was)
{
	const struct doc *cidrs = get(now, "podCIDRs"), *before = get(was, "podCIDRs");
	unsigned have[2] = {0, 0};
	size_t i = 0;

	DOC_EACH (c, cidrs) {
		struct ip_prefix p = {0};

		FORMAT(FORMAT_CIDR, doc_as_str(c), "spec.podCIDRs[%zu]", i++);
		if (ip_prefix_parse(doc_as_str(c), &p) == 0)
			have[p.addr.family == 6]++;
	}
	if (i == 0 && text(now, "podCIDR").n)
		FORMAT(FORMAT_CIDR, text(now, "podCIDR"), "spec.podCIDRs[0]");
	if (have[0] > 1 || have[1] > 1 || i > 2)
		INVALID_DOC(cidrs, "may specify no more than one CIDR for each IP family",
			"spec.podCIDRs");
	if (!doc_is_empty(before) && !doc_equal(cidrs, before))
		FORBIDDEN("node updates may not change podCIDR except from \"\" to valid",
			"spec.podCIDRs");
}

/* is_feature: segments of letters and digits between slashes, the first in UpperCamelCase. */
static bool
is_feature(struct str name)
{
	struct str rest = name, part = STR_NONE;

	if (!name.n || name.p[0] < 'A' || name.p[0] > 'Z' || name.p[name.n - 1] == '/')
		return false;
	while (str_next(&rest, '/', &part)) {
		if (!part.n)
			return false;
		for (size_t i = 0; i < part.n; i++)
			if (!(part.p[i] >= '0' && part.p[i] <= '9') &&
				!((part.p[i] | 32) >= 'a' && (part.p[i] | 32) <= 'z'))
				return false;
	}
	return true;
}

static void
check_features(const struct schema_spot *s, const struct doc *list)
{
	size_t i = 0;

	DOC_EACH (f, list) {
		if (!is_feature(doc_as_str(f)))
			INVALID(doc_as_str(f),
				arena_fmt(s->errs->a,
					"invalid feature name \"" STR_FMT
					"\": must start with an UpperCamelCase segment, with subsequent "
					"segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), "
					"and contain only alphanumeric characters and slashes",
					STR_ARG(doc_as_str(f)))
					.p,
				"status.declaredFeatures[%zu]", i);
		i++;
	}
}

CHECK(core_v1_node)
{
	static const char *const lists[] = {"capacity", "allocatable", NULL};
	const struct doc *now = get(d, "spec"), *was = get(old, "spec"), *st = get(d, "status");
	struct names seen = names_new(s->errs->a, doc_len(get(st, "addresses")));
	size_t i = 0;

	check_taints(s, get(now, "taints"));
	check_pod_cidrs(s, now, was);
	check_features(s, get(st, "declaredFeatures"));
	for (const char *const *l = lists; *l; l++)
		DOC_EACH (q, get(st, *l)) {
			struct quantity v = {0};

			if (quantity_parse(doc_as_str(q), &v) != 0)
				continue;
			if (v.nano < 0)
				INVALID(doc_as_str(q), format_text_not_negative,
					"status.%s." STR_FMT, *l, STR_ARG(q->key));
			if (resource_is_integer(q->key) && v.nano % 1000000000 != 0)
				INVALID(doc_as_str(q), "must be an integer", "status.%s." STR_FMT,
					*l, STR_ARG(q->key));
		}
	if (old == NULL)
		return;
	DOC_EACH (a, get(st, "addresses")) {
		struct str key = arena_fmt(s->errs->a, STR_FMT " " STR_FMT,
			STR_ARG(text(a, "type")), STR_ARG(text(a, "address")));

		if (!names_add(&seen, key, a))
			schema_error_add(s->errs, SCHEMA_CAUSE_DUPLICATE,
				AT("status.addresses[%zu]", i), a, STR(""));
		i++;
	}
	if (text(was, "providerID").n && !str_eq(text(now, "providerID"), text(was, "providerID")))
		INVALID_DOC(doc_null(s->errs->a),
			text(now, "providerID").n ? "field cannot be modified once set"
						  : "field cannot be cleared once set",
			"spec.providerID");
	if (!str_eq(text(now, "externalID"), text(was, "externalID")))
		FORBIDDEN("may not be updated", "spec.externalID");
}

/* ---- limits ---- */

static bool
amount(const struct names *n, struct str key, struct quantity *ret)
{
	const struct doc *d = names_find(n, key);

	return d && quantity_parse(doc_as_str(d), ret) == 0;
}

/* The amounts of one item, and what must not be greater than what. */
static const char *const bounds[] = {"min", "defaultRequest", "default", "max"};
static const struct {
	unsigned less, more, at, shown; /* of bounds */
	const char *less_name, *more_name;
} order[] = {
	{0, 3, 0, 0, "min", "max"},
	{0, 1, 1, 1, "min", "default request"},
	{1, 3, 1, 1, "default request", "max"},
	{1, 2, 1, 1, "default request", "default limit"},
	{0, 2, 2, 0, "min", "default"},
	{2, 3, 2, 3, "default", "max"},
};

static void
check_bounds(const struct schema_spot *s, const struct doc *d, const struct names *by_key)
{
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		DOC_EACH (q, get(d, bounds[order[i].less])) {
			struct quantity x = {0}, y = {0};
			char less[64] = "", more[64] = "";
			const struct doc *shown = names_find(&by_key[order[i].shown], q->key);

			if (!amount(&by_key[order[i].less], q->key, &x) ||
				!amount(&by_key[order[i].more], q->key, &y) ||
				quantity_cmp(&x, &y) <= 0)
				continue;
			less[quantity_write(&x, less)] = '\0';
			more[quantity_write(&y, more)] = '\0';
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
				AT("%s[" STR_FMT "]", bounds[order[i].at], STR_ARG(q->key)), shown,
				"%s value %s is greater than %s value %s", order[i].less_name, less,
				order[i].more_name, more);
		}
	}
}

static void
check_ratios(const struct schema_spot *s, const struct doc *d, const struct names *by_key)
{
	DOC_EACH (r, get(d, "maxLimitRequestRatio")) {
		struct quantity ratio = {0}, min = {0}, max = {0};

		check_resource(s, r, "maxLimitRequestRatio", USE_ANY);
		if (quantity_parse(doc_as_str(r), &ratio) != 0)
			continue;
		if (ratio.nano < 1000000000)
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
				AT("maxLimitRequestRatio[" STR_FMT "]", STR_ARG(r->key)), r,
				"ratio " STR_FMT " is less than 1", STR_ARG(doc_as_str(r)));
		if (!amount(&by_key[0], r->key, &min) || !amount(&by_key[3], r->key, &max) ||
			min.nano <= 0)
			continue;
		double most = (double)max.nano / (double)min.nano;

		if ((double)ratio.nano / 1e9 > most)
			schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID,
				AT("maxLimitRequestRatio[" STR_FMT "]", STR_ARG(r->key)), r,
				"ratio " STR_FMT " is greater than max/min = %f",
				STR_ARG(doc_as_str(r)), most);
	}
}

CHECK(core_v1_limit_range_item)
{
	static const char *const unset[] = {"default", "defaultRequest", NULL};
	static const char *const types[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
	struct str type = text(d, "type");
	struct names by_key[ARRAY_LEN(bounds)];
	bool pod = str_eq_c(type, "Pod");

	(void)old;
	if (format_check(s->errs->a, FORMAT_QUALIFIED_NAME, type))
		FORMAT(FORMAT_QUALIFIED_NAME, type, "type");
	else if (str_find_char(type, '/') < 0 && !one_of(types, type))
		INVALID(type, "must be a standard limit type or fully qualified", "type");
	for (const char *const *u = unset; *u && pod; u++)
		if (!doc_is_empty(get(d, *u)))
			FORBIDDEN("may not be specified when `type` is 'Pod'", "%s", *u);
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		by_key[i] = keys_of(s->errs->a, get(d, bounds[i]));
		DOC_EACH (q, get(d, bounds[i]))
			check_resource(s, q, bounds[i],
				pod || str_eq_c(type, "Container") ? USE_CONTAINER : USE_ANY);
	}
	if (str_eq_c(type, "PersistentVolumeClaim") && !get(get(d, "min"), "storage") &&
		!get(get(d, "max"), "storage"))
		REQUIRED(
			"either minimum or maximum storage value is required, but neither was provided",
			"limits");
	check_bounds(s, d, by_key);
	check_ratios(s, d, by_key);
}

CHECK(core_v1_limit_range_spec)
{
	const struct doc *limits = get(d, "limits");
	struct names seen = names_new(s->errs->a, doc_len(limits));
	size_t i = 0;

	(void)old;
	DOC_EACH (l, limits) {
		if (!names_add(&seen, text(l, "type"), l))
			DUPLICATE(text(l, "type"), "limits[%zu].type", i);
		i++;
	}
}

/* ---- quotas ---- */

static const char *const scopes[] = {"BestEffort", "CrossNamespacePodAffinity", "NotBestEffort",
	"NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass", NULL};
static const char *const pod_scopes[] = {"CrossNamespacePodAffinity", "NotBestEffort",
	"NotTerminating", "PriorityClass", "Terminating", NULL};
static const char *const scopes_that_exist[] = {"BestEffort", "CrossNamespacePodAffinity",
	"NotBestEffort", "NotTerminating", "Terminating", NULL};
static const char *const pod_resources[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu",
	"requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
	"limits.ephemeral-storage", "pods", NULL};
static const char *const other_resources[] = {"resourcequotas", "services",
	"replicationcontrollers", "secrets", "configmaps", "services.nodeports",
	"services.loadbalancers", NULL};
static const char *const volume_resources[] = {"requests.storage", "persistentvolumeclaims", NULL};

/* scope_fits: may a scope narrow what a quota says of this resource? */
static bool
scope_fits(struct str scope, struct str resource)
{
	if (str_eq_c(scope, "BestEffort"))
		return str_eq_c(resource, "pods");
	if (str_eq_c(scope, "VolumeAttributesClass"))
		return one_of(volume_resources, resource);
	if (one_of(pod_scopes, scope))
		return one_of(pod_resources, resource);
	return true;
}

static bool
scope_clashes(struct str scope, const struct doc *hard)
{
	DOC_EACH (h, hard) {
		bool standard = one_of(pod_resources, h->key) || one_of(other_resources, h->key) ||
			one_of(volume_resources, h->key);

		if (standard && !scope_fits(scope, h->key))
			return true;
	}
	return false;
}

static void
check_scopes(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *list = get(d, "scopes");
	size_t n = 0;

	DOC_EACH (x, list) {
		struct str scope = doc_as_str(x);

		if (!one_of(scopes, scope))
			INVALID_DOC(list, "unsupported scope", "scopes");
		else if (n++ < ARRAY_LEN(scopes) && scope_clashes(scope, get(d, "hard")))
			INVALID_DOC(list, "unsupported scope applied to resource", "scopes");
	}
	if ((has_text(list, STR("BestEffort")) && has_text(list, STR("NotBestEffort"))) ||
		(has_text(list, STR("Terminating")) && has_text(list, STR("NotTerminating"))))
		INVALID_DOC(list, "conflicting scopes", "scopes");
}

static void
check_scope_selector(const struct schema_spot *s, const struct doc *d)
{
	size_t i = 0;

	DOC_EACH (e, get(get(d, "scopeSelector"), "matchExpressions")) {
		struct str scope = text(e, "scopeName"), op = text(e, "operator");
		const struct doc *values = get(e, "values");
		bool some = str_eq_c(op, "In") || str_eq_c(op, "NotIn");
		bool none = str_eq_c(op, "Exists") || str_eq_c(op, "DoesNotExist");

		if (!one_of(scopes, scope))
			INVALID(scope, "unsupported scope",
				"scopeSelector.matchExpressions.scopeName");
		else if (i++ < ARRAY_LEN(scopes) && scope_clashes(scope, get(d, "hard")))
			INVALID_DOC(get(d, "scopeSelector"),
				"unsupported scope applied to resource",
				"scopeSelector.matchExpressions");
		if (one_of(scopes_that_exist, scope) && !str_eq_c(op, "Exists"))
			INVALID(op,
				"must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
				"ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
				"ResourceQuotaScopeNotBestEffort or "
				"ResourceQuotaScopeCrossNamespacePodAffinity",
				"scopeSelector.matchExpressions.operator");
		if (!some && !none)
			INVALID(op, "not a valid selector operator",
				"scopeSelector.matchExpressions.operator");
		if (some && doc_len(values) == 0)
			REQUIRED(
				"must be at least one value when `operator` is 'In' or 'NotIn' for "
				"scope selector",
				"scopeSelector.matchExpressions.values");
		if (none && doc_len(values) > 0)
			INVALID_DOC(values,
				"must be no value when `operator` is 'Exist' or 'DoesNotExist' for "
				"scope selector",
				"scopeSelector.matchExpressions.values");
	}
}

/* same_set: lists of few known words. */
static bool
same_set(const struct doc *x, const struct doc *y)
{
	for (const char *const *w = scopes; *w; w++)
		if (has_text(x, str_c(*w)) != has_text(y, str_c(*w)))
			return false;
	return true;
}

CHECK(core_v1_resource_quota_spec)
{
	DOC_EACH (q, get(d, "hard"))
		check_resource(s, q, "hard", USE_QUOTA);
	check_scopes(s, d);
	check_scope_selector(s, d);
	if (old && !same_set(get(d, "scopes"), get(old, "scopes")))
		INVALID_DOC(get(d, "scopes") ? get(d, "scopes") : doc_null(s->errs->a),
			format_text_immutable, "scopes");
}

CHECK(core_v1_resource_quota_status)
{
	(void)old;
	DOC_EACH (q, get(d, "hard"))
		check_resource(s, q, "hard", USE_QUOTA);
	DOC_EACH (q, get(d, "used"))
		check_resource(s, q, "used", USE_QUOTA);
}
