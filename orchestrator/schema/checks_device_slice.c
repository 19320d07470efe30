/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_device_slice: devices that a driver offers: where they are, what they are like, how much they have, and what of
 * what they share they take.
 * Source: k8s.io/kubernetes pkg/apis/resource/validation (behaviour, texts); semver.org 2.0.0. */
#include "orchestrator/schema/checks_device.h"

#include "base/regex.h"

#define DEVICES_MAX 128
#define DEVICES_MAX_ADVANCED 64 /* with taints, counters */
#define PROPERTIES_MAX 32       /* attributes and capacities of a device */
#define VALUE_MAX 64
#define TAINTS_MAX 16
#define OPTIONS_MAX 10
#define ONE_PLACE                                                                                  \
	"exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is "      \
	"required"
#define ONE_PLACE_OF_DEVICE                                                                        \
	"exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "               \
	"`perDeviceNodeSelection` is set to true in the ResourceSlice spec"

static const char text_true[] = "must be either unset or set to true";

/* ---- attributes ---- */

#define NUMBER "(0|[1-9][0-9]*)"
#define BEFORE "(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
static const char semver[] = "^" NUMBER "\\." NUMBER "\\." NUMBER "(-" BEFORE "(\\." BEFORE
			     ")*)?(\\+[0-9a-zA-Z-]+(\\.[0-9a-zA-Z-]+)*)?$";

static void
check_version(const struct schema_spot *s, struct str v, const char *at)
{
	const struct regex *re = NULL;
	struct err e = {0};

	if (regex_compile(s->errs->a, str_c(semver), &re, &e) == 0 && regex_match(re, v) != 1)
		INVALID(v, "must be a string compatible with semver.org spec 2.0.0", "%s.version",
			at);
	if (v.n > VALUE_MAX)
		schema_err_too_long(s->errs, AT("%s.version", at), VALUE_MAX);
}

static void
check_attribute(const struct schema_spot *s, const struct doc *v, const char *at)
{
	static const char *const forms[] = {"int", "bool", "string", "version", NULL};
	size_t n = count_members(v, forms);

	if (text(v, "string").n > VALUE_MAX)
		schema_err_too_long(s->errs, AT("%s.string", at), VALUE_MAX);
	if (get(v, "version"))
		check_version(s, text(v, "version"), at);
	if (n == 0)
		INVALID(STR(""),
			"must specify one of: `int`, `bool`, `string`, `version`, `ints`, `bools`, "
			"`strings`, `versions`",
			"%s", at);
	else if (n > 1)
		INVALID_DOC(v, "exactly one value must be specified", "%s", at);
}

/* ---- how much ---- */

static int
cmp(const struct doc *x, const struct doc *y)
{
	struct quantity a = {0}, b = {0};

	quantity_parse(doc_as_str(x), &a);
	quantity_parse(doc_as_str(y), &b);
	return quantity_cmp(&a, &b);
}

static bool
is_positive(const struct doc *x)
{
	struct quantity q = {0};

	return quantity_parse(doc_as_str(x), &q) == 0 && q.nano > 0;
}

/* against: "<said>: <amount>", as upstream ends a comparison. */
static const char *
against(struct arena *a, const char *said, const struct doc *amount)
{
	return arena_fmt(a, "%s: " STR_FMT, said, STR_ARG(doc_as_str(amount))).p;
}

static void
check_options(const struct schema_spot *s, const struct doc *policy, const struct doc *most,
	const char *at)
{
	const struct doc *standard = get(policy, "default"), *list = get(policy, "validValues");
	const struct doc *before = NULL;
	bool found = false;
	size_t i = 0;

	if (!standard) {
		REQUIRED("required when validValues is defined", "%s.default", at);
		return;
	}
	if (doc_len(list) > OPTIONS_MAX) {
		schema_err_too_many(s->errs, AT("%s.validValues", at), doc_len(list), OPTIONS_MAX);
		return;
	}
	DOC_EACH (x, list) {
		if (before && cmp(before, x) > 0)
			INVALID_DOC(x, "values must be sorted in ascending order",
				"%s.validValues[%zu]", at, i);
		if (before && cmp(before, x) == 0)
			DUPLICATE(doc_as_str(x), "%s.validValues[%zu]", at, i);
		if (cmp(x, most) > 0)
			INVALID_DOC(x,
				against(s->errs->a, "option is larger than capacity value", most),
				"%s.validValues[%zu]", at, i);
		found = found || cmp(x, standard) == 0;
		before = x;
		i++;
	}
	if (!found)
		INVALID_DOC(standard, "default value is not valid according to the requestPolicy",
			"%s.validValues", at);
}

/* check_step: what is between the least and x is a multiple of the step. */
static void
check_step(const struct schema_spot *s, const struct doc *x, const struct doc *least,
	const struct doc *step, const char *at)
{
	struct quantity v = {0}, min = {0}, by = {0};

	if (quantity_parse(doc_as_str(x), &v) != 0 ||
		quantity_parse(doc_as_str(least), &min) != 0 ||
		quantity_parse(doc_as_str(step), &by) != 0 || by.nano <= 0)
		return;
	if ((v.nano - min.nano) % by.nano != 0)
		INVALID_DOC(x,
			arena_fmt(s->errs->a,
				"value is not a multiple of a given step (" STR_FMT
				") from (" STR_FMT ")",
				STR_ARG(doc_as_str(step)), STR_ARG(doc_as_str(least)))
				.p,
			"%s.step", at);
}

static void
check_range(const struct schema_spot *s, const struct doc *policy, const struct doc *capacity,
	const char *policy_at)
{
	const struct doc *standard = get(policy, "default"), *range = get(policy, "validRange");
	const struct doc *least = get(range, "min"), *most = get(range, "max");
	const struct doc *step = get(range, "step");
	struct arena *a = s->errs->a;
	const char *at = arena_fmt(a, "%s.validRange", policy_at).p;

	if (!standard) {
		REQUIRED("required when validRange is defined", "%s.default", policy_at);
		return;
	}
	if (!least) {
		REQUIRED("required when validRange is defined", "%s.min", at);
		return;
	}
	if (cmp(least, capacity) > 0)
		INVALID_DOC(least, against(a, "min is larger than capacity value", capacity),
			"%s.min", at);
	if (cmp(standard, least) < 0)
		INVALID_DOC(
			standard, against(a, "default is less than min", least), "%s.default", at);
	if (most && cmp(least, most) > 0)
		INVALID_DOC(least, against(a, "min is larger than max", most), "%s.max", at);
	if (most && cmp(most, capacity) > 0)
		INVALID_DOC(most, against(a, "max is larger than capacity value", capacity),
			"%s.max", at);
	if (most && cmp(standard, most) > 0)
		INVALID_DOC(
			standard, against(a, "default is more than max", most), "%s.default", at);
	if (!step)
		return;
	if (!is_positive(step)) {
		INVALID_DOC(step, "must be greater than zero", "%s.step", at);
		return;
	}
	check_step(s, standard, least, step, at);
	if (most)
		check_step(s, most, least, step, at);
}

static void
check_capacity(const struct schema_spot *s, const struct doc *c, bool shared, const char *at)
{
	const struct doc *policy = get(c, "requestPolicy");
	bool options = doc_len(get(policy, "validValues")) > 0, range = get(policy, "validRange");
	const char *here = arena_fmt(s->errs->a, "%s.requestPolicy", at).p;

	if (!policy)
		return;
	if (!shared)
		FORBIDDEN("allowMultipleAllocations must be true", "%s", here);
	else if (options && range)
		FORBIDDEN("exactly one policy can be specified, cannot specify \"validValues\" and "
			  "\"validRange\" at the same time",
			"%s", here);
	else if (options)
		check_options(s, policy, get(c, "value"), here);
	else if (range)
		check_range(s, policy, get(c, "value"), here);
}

/* ---- devices ---- */

/* places_of: which of the members that say where something is, are set; NULL-terminated names. arena. */
static struct str
places_of(const struct schema_spot *s, const struct doc *d, const char *const *members,
	size_t *ret_n, const char *at)
{
	struct buf b;

	*ret_n = 0;
	buf_init_arena(&b, s->errs->a);
	for (; *members; members++) {
		const struct doc *v = get(d, *members);

		if (v && v->type == DOC_BOOL && !doc_as_bool(v, false)) {
			INVALID_DOC(v, text_true, "%s%s", at, *members);
			continue;
		}
		if (v && !(v->type == DOC_STR && !v->s.n))
			buf_fmt(&b, "%s`%s`", (*ret_n)++ ? ", " : "", *members);
	}
	return buf_view(&b);
}

static void
check_place(const struct schema_spot *s, const struct doc *d, const char *at)
{
	static const char *const members[] = {"nodeName", "nodeSelector", "allNodes", NULL};
	const struct doc *name = get(d, "nodeName");
	const char *here = at[0] ? arena_fmt(s->errs->a, "%.*s", (int)strlen(at) - 1, at).p : "";
	size_t n = 0;

	if (name && doc_as_str(name).n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, doc_as_str(name), "%snodeName", at);
	else if (name)
		INVALID_DOC(name, "must not be empty", "%snodeName", at);
	struct str set = places_of(s, d, members, &n, at);
	if (n == 0)
		REQUIRED(ONE_PLACE_OF_DEVICE, "%s", here);
	else if (n > 1)
		INVALID(arena_fmt(s->errs->a, "{" STR_FMT "}", STR_ARG(set)), ONE_PLACE_OF_DEVICE,
			"%s", here);
}

static void
check_device(const struct schema_spot *s, const struct doc *d, bool own_places, size_t i)
{
	struct arena *a = s->errs->a;
	const struct doc *attributes = get(d, "attributes"), *capacity = get(d, "capacity");
	const char *at = arena_fmt(a, "devices[%zu].", i).p;
	size_t n = doc_len(attributes) + doc_len(capacity);

	FORMAT(FORMAT_DNS_LABEL, text(d, "name"), "%sname", at);
	if (n > PROPERTIES_MAX)
		INVALID_INT((int64_t)n,
			arena_fmt(a,
				"the total number of attributes and capacities must not exceed %d",
				PROPERTIES_MAX)
				.p,
			"devices[%zu]", i);
	DOC_EACH (x, attributes) {
		check_attribute_name(s, x->key, arena_fmt(a, "%sattributes", at).p);
		check_attribute(
			s, x, arena_fmt(a, "%sattributes[" STR_FMT "]", at, STR_ARG(x->key)).p);
	}
	DOC_EACH (x, capacity) {
		check_attribute_name(s, x->key, arena_fmt(a, "%scapacity", at).p);
		check_capacity(s, x, flag(d, "allowMultipleAllocations"),
			arena_fmt(a, "%scapacity[" STR_FMT "]", at, STR_ARG(x->key)).p);
	}
	if (doc_len(get(d, "taints")) > TAINTS_MAX)
		schema_err_too_many(
			s->errs, AT("%staints", at), doc_len(get(d, "taints")), TAINTS_MAX);
	if (own_places)
		check_place(s, d, at);
	else if (get(d, "nodeName") || get(d, "nodeSelector") || get(d, "allNodes"))
		INVALID_DOC(doc_null(a),
			"`nodeName`, `nodeSelector` and `allNodes` can only be set if "
			"`perDeviceNodeSelection` is set to true in the ResourceSlice spec",
			"devices[%zu]", i);
	check_binding(s, d, at);
}

/* ---- the slice ---- */

static void
check_where(const struct schema_spot *s, const struct doc *d)
{
	static const char *const members[] = {
		"nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection", NULL};
	const struct doc *name = get(d, "nodeName"), *selector = get(d, "nodeSelector");
	size_t n = 0;

	if (name && doc_as_str(name).n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, doc_as_str(name), "nodeName");
	else if (name)
		INVALID_DOC(name, "must be either unset or set to a non-empty string", "nodeName");
	if (selector && doc_len(get(selector, "nodeSelectorTerms")) != 1)
		INVALID_DOC(get(selector, "nodeSelectorTerms"),
			"must have exactly one node selector term",
			"nodeSelector.nodeSelectorTerms");
	struct str set = places_of(s, d, members, &n, "");
	if (n == 0)
		REQUIRED(ONE_PLACE, "%s", "");
	else if (n > 1)
		INVALID(arena_fmt(s->errs->a, "{" STR_FMT "}", STR_ARG(set)),
			ONE_PLACE ", but multiple fields are set", "%s", "");
}

static bool
is_advanced(const struct doc *devices)
{
	DOC_EACH (x, devices)
		if (doc_len(get(x, "taints")) || doc_len(get(x, "consumesCounters")))
			return true;
	return false;
}

CHECK(resource_v1_resource_slice_spec)
{
	const struct doc *pool = get(d, "pool"), *devices = get(d, "devices");
	struct names seen = names_new(s->errs->a, doc_len(devices));
	size_t i = 0, most = is_advanced(devices) ? DEVICES_MAX_ADVANCED : DEVICES_MAX;

	check_driver(s, text(d, "driver"), "driver");
	check_pool(s, text(pool, "name"), "pool.name");
	if (number(pool, "resourceSliceCount") <= 0)
		INVALID_INT(number(pool, "resourceSliceCount"), "must be greater than zero",
			"pool.resourceSliceCount");
	if (number(pool, "generation") < 0)
		INVALID_INT(number(pool, "generation"), "must be greater than or equal to zero",
			"pool.generation");
	if (old && !str_eq(text(pool, "name"), text(get(old, "pool"), "name")))
		INVALID(text(pool, "name"), format_text_immutable, "pool.name");
	check_immutable_member(s, d, old, "driver");
	check_immutable_member(s, d, old, "nodeName");
	check_where(s, d);
	if (get(d, "sharedCounters") && devices)
		INVALID(STR(""), "only one of `sharedCounters` or `devices` is allowed", "%s", "");
	if (doc_len(devices) > most) {
		schema_err_too_many(s->errs, AT("devices"), doc_len(devices), most);
		return;
	}
	DOC_EACH (x, devices)
		check_device(s, x, flag(d, "perDeviceNodeSelection"), i++);
	i = 0;
	DOC_EACH (x, devices) {
		if (!names_add(&seen, text(x, "name"), x))
			DUPLICATE(text(x, "name"), "devices[%zu]", i);
		i++;
	}
}
