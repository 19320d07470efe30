/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_storage: classes of volumes, attachments, and what drivers say of themselves, their nodes and their room.
 * Source: k8s.io/kubernetes pkg/apis/storage/validation (behaviour, texts). */
#include "orchestrator/schema/checks_int.h"

#define PARAMETERS_MAX 512
#define PARAMETERS_BYTES (256 * 1024)
#define NODE_ID_MAX 192
#define TOKEN_MIN_S 600
#define TOKEN_MAX_S (1LL << 32)

/* ---- classes ---- */

/* check_parameters: too many are not looked at one by one. */
static void
check_parameters(const struct schema_spot *s, const struct doc *parameters, bool needed)
{
	size_t total = 0;

	if (doc_len(parameters) > PARAMETERS_MAX) {
		schema_err_too_long(s->errs, AT("parameters"), PARAMETERS_MAX);
		return;
	}
	DOC_EACH (p, parameters) {
		if (p->key.n == 0)
			INVALID(p->key, "field can not be empty.", "parameters");
		total += p->key.n + doc_as_str(p).n;
	}
	if (total > PARAMETERS_BYTES)
		schema_err_too_long(s->errs, AT("parameters"), PARAMETERS_BYTES);
	if (needed && doc_len(parameters) == 0)
		REQUIRED("must contain at least one key/value pair", "parameters");
}

/* same_term: two terms that say the same of the same keys, in whatever order. */
static bool
same_term(struct arena *a, const struct doc *x, const struct doc *y)
{
	const struct doc *of_y = get(y, "matchLabelExpressions");
	struct names keys = names_of(a, of_y, "key");

	if (doc_len(get(x, "matchLabelExpressions")) != doc_len(of_y))
		return false;
	DOC_EACH (e, get(x, "matchLabelExpressions")) {
		const struct doc *other = names_find(&keys, text(e, "key"));

		if (!other || doc_len(get(e, "values")) != doc_len(get(other, "values")))
			return false;
		DOC_EACH (v, get(e, "values"))
			if (!has_text(get(other, "values"), doc_as_str(v)))
				return false;
	}
	return true;
}

/* check_topologies: upstream begins with as many empty terms as there are, so that an empty one repeats each. */
static void
check_topologies(const struct schema_spot *s, const struct doc *list)
{
	size_t i = 0;

	DOC_EACH (term, list) {
		size_t n = doc_len(get(term, "matchLabelExpressions")) ? 0 : doc_len(list);

		DOC_EACH (before, list) {
			if (before == term)
				break;
			n += same_term(s->errs->a, term, before);
		}
		while (n--)
			DUPLICATE(STR(""), "allowedTopologies[%zu].matchLabelExpressions", i);
		i++;
	}
}

CHECK(storage_v1_storage_class)
{
	static const char *const policies[] = {"Delete", "Retain", NULL};
	struct str policy = text(d, "reclaimPolicy");

	(void)old;
	if (text(d, "provisioner").n)
		FORMAT(FORMAT_QUALIFIED_NAME, lower_text(s->errs->a, text(d, "provisioner")),
			"provisioner");
	check_parameters(s, get(d, "parameters"), false);
	if (policy.n && !one_of(policies, policy))
		UNSUPPORTED(policy, policies, "reclaimPolicy");
	check_topologies(s, get(d, "allowedTopologies"));
}

CHECK(core_v1_topology_selector_term)
{
	const struct doc *list = get(d, "matchLabelExpressions");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	(void)old;
	DOC_EACH (e, list) {
		if (!names_add(&seen, text(e, "key"), e))
			DUPLICATE(text(e, "key"), "matchLabelExpressions[%zu].key", i);
		FORMAT(FORMAT_QUALIFIED_NAME, text(e, "key"), "matchLabelExpressions[%zu].key", i);
		i++;
	}
}

CHECK(storage_v1_volume_attributes_class)
{
	static const char *const members[] = {"driverName", "parameters", NULL};

	for (const char *const *m = members; old && *m; m++)
		if (!doc_equal(get(d, *m), get(old, *m)))
			FORBIDDEN(arena_fmt(s->errs->a, "updates to %s are forbidden.", *m).p, "%s",
				*m);
	if (text(d, "driverName").n)
		FORMAT(FORMAT_QUALIFIED_NAME, lower_text(s->errs->a, text(d, "driverName")),
			"driverName");
	else
		REQUIRED(NULL, "driverName");
	check_parameters(s, get(d, "parameters"), true);
}

/* ---- attachments ---- */

CHECK(storage_v1_volume_attachment_spec)
{
	static const char one[] =
		"must specify exactly one of inlineVolumeSpec and persistentVolumeName";
	const struct doc *source = get(d, "source"), *name = get(source, "persistentVolumeName");
	bool inlined = get(source, "inlineVolumeSpec");

	(void)old;
	if (text(d, "attacher").n)
		check_driver(s, text(d, "attacher"), "attacher");
	else
		REQUIRED(NULL, "attacher");
	if (!inlined && name == NULL)
		REQUIRED(one, "source");
	else if (inlined && name) {
		schema_errors_drop(s->errs, AT("source.inlineVolumeSpec"));
		FORBIDDEN(one, "source");
	} else if (name && doc_as_str(name).n == 0)
		REQUIRED("must specify non empty persistentVolumeName",
			"source.persistentVolumeName");
	FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, "nodeName"), "nodeName");
	if (name)
		FORMAT(FORMAT_DNS_SUBDOMAIN, doc_as_str(name), "source.persistentVolumeName");
}

/* ---- drivers ---- */

static void
check_tokens(const struct schema_spot *s, const struct doc *list)
{
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (t, list) {
		int64_t n = doc_get_int(t, STR("expirationSeconds"), TOKEN_MIN_S);

		if (!names_add(&seen, text(t, "audience"), t))
			DUPLICATE(text(t, "audience"), "tokenRequests[%zu].audience", i);
		else if (n < TOKEN_MIN_S)
			INVALID_INT(n, "may not specify a duration less than 10 minutes",
				"tokenRequests[%zu].expirationSeconds", i);
		else if (n > TOKEN_MAX_S)
			INVALID_INT(n, "may not specify a duration larger than 2^32 seconds",
				"tokenRequests[%zu].expirationSeconds", i);
		i++;
	}
}

CHECK(storage_v1_csi_driver_spec)
{
	static const char *const policies[] = {"File", "None", "ReadWriteOnceWithFSType", NULL};
	static const char *const modes[] = {"Persistent", "Ephemeral", NULL};
	const struct doc *period = get(d, "nodeAllocatableUpdatePeriodSeconds");
	const struct doc *policy = get(d, "fsGroupPolicy"),
			 *secrets = get(d, "serviceAccountTokenInSecrets");

	if (policy && !one_of(policies, doc_as_str(policy)))
		UNSUPPORTED(doc_as_str(policy), policies, "fsGroupPolicy");
	check_tokens(s, get(d, "tokenRequests"));
	DOC_EACH (mode, get(d, "volumeLifecycleModes"))
		if (!one_of(modes, doc_as_str(mode)))
			UNSUPPORTED(doc_as_str(mode), modes, "volumeLifecycleModes");
	if (period && doc_as_int(period, 0) < 10)
		INVALID_DOC(period, "must be greater than or equal to 10 seconds",
			"nodeAllocatableUpdatePeriodSeconds");
	if (secrets && doc_len(get(d, "tokenRequests")) == 0)
		INVALID_DOC(secrets,
			"serviceAccountTokenInSecrets is set but no tokenRequests are specified",
			"serviceAccountTokenInSecrets");
	if (old && differs(get(d, "attachRequired"), get(old, "attachRequired")))
		INVALID_DOC(get(d, "attachRequired"), format_text_immutable, "attachedRequired");
}

static void
check_node_driver(
	const struct schema_spot *s, const struct doc *driver, struct names *names, size_t i)
{
	struct str name = text(driver, "name"), id = text(driver, "nodeID");
	const struct doc *keys = get(driver, "topologyKeys"),
			 *count = get(get(driver, "allocatable"), "count");
	struct arena *a = s->errs->a;
	struct names seen = names_new(a, doc_len(keys));

	check_driver(s, name, arena_fmt(a, "drivers[%zu].name", i).p);
	if (!id.n)
		REQUIRED(NULL, "drivers[%zu].nodeID", i);
	if (id.n > NODE_ID_MAX)
		INVALID(id, arena_fmt(a, "must be %d characters or less", NODE_ID_MAX).p,
			"drivers[%zu].nodeID", i);
	if (doc_as_int(count, 0) < 0)
		INVALID_DOC(count, format_text_not_negative, "drivers[%zu].allocatable.count", i);
	if (!names_add(names, name, driver))
		DUPLICATE(name, "drivers[%zu].name", i);
	DOC_EACH (key, keys) {
		if (doc_as_str(key).n == 0)
			REQUIRED(NULL, "drivers[%zu]", i);
		if (!names_add(&seen, doc_as_str(key), key))
			DUPLICATE(doc_as_str(key), "drivers[%zu]", i);
		FORMAT(FORMAT_QUALIFIED_NAME, doc_as_str(key), "drivers[%zu]", i);
	}
}

/* same_driver: but for what its node can take. */
static bool
same_driver(const struct doc *x, const struct doc *y)
{
	return str_eq(text(x, "nodeID"), text(y, "nodeID")) &&
		!differs(get(x, "topologyKeys"), get(y, "topologyKeys"));
}

CHECK(storage_v1_csi_node_spec)
{
	const struct doc *list = get(d, "drivers");
	struct names now = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (driver, list)
		check_node_driver(s, driver, &now, i++);
	DOC_EACH (was, get(old, "drivers")) {
		const struct doc *is_now = names_find(&now, text(was, "name"));

		if (is_now && !same_driver(was, is_now)) {
			struct doc *shown = doc_copy(s->errs->a, is_now);

			if (shown)
				doc_set(shown, STR("allocatable"), NULL);
			INVALID_DOC(shown, format_text_immutable, "drivers");
		}
	}
}

CHECK(storage_v1_csi_storage_capacity)
{
	static const char *const members[] = {"nodeTopology", "storageClassName", NULL};
	const struct doc *capacity = get(d, "capacity");
	struct quantity q = {0};

	FORMAT(FORMAT_DNS_SUBDOMAIN, text(d, "storageClassName"), "storageClassName");
	if (capacity && quantity_parse(doc_as_str(capacity), &q) == 0 && q.nano < 0)
		INVALID(doc_as_str(capacity), format_text_not_negative, "capacity");
	for (const char *const *m = members; *m; m++)
		check_immutable_member(s, d, old, *m);
}
