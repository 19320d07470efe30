/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_device: claims of devices, classes of them and taints on them. What a selector's expression says is not looked
 * at here.
 * Source: k8s.io/kubernetes pkg/apis/resource/validation (behaviour, texts). */
#include "orchestrator/schema/checks_device.h"

#define SELECTOR_MAX (10 * 1024)
#define PARAMETERS_MAX (10 * 1024)
#define POOL_MAX 253
#define ID_MAX 32
#define CONDITIONS_MAX 8
#define NO_REQUEST                                                                                 \
	"must be the name of a request in the claim or the name of a request and a subrequest "    \
	"separated by '/'"

/* ---- names ---- */

void
check_pool(const struct schema_spot *s, struct str name, const char *at)
{
	struct str rest = name, part = STR_NONE;

	if (name.n == 0)
		REQUIRED(NULL, "%s", at);
	if (name.n > POOL_MAX)
		schema_err_too_long(s->errs, AT("%s", at), POOL_MAX);
	while (name.n && str_next(&rest, '/', &part))
		FORMAT(FORMAT_DNS_SUBDOMAIN, part, "%s", at);
}

static void
check_identifier(const struct schema_spot *s, struct str id, const char *at)
{
	if (id.n > ID_MAX)
		schema_err_too_long(s->errs, AT("%s", at), ID_MAX);
	FORMAT(FORMAT_C_IDENTIFIER, id, "%s", at);
}

void
check_attribute_name(const struct schema_spot *s, struct str name, const char *at)
{
	struct str domain = STR_NONE, id = STR_NONE;

	if (!str_cut(name, '/', &domain, &id)) {
		check_identifier(s, name, at);
		return;
	}
	if (str_find_char(id, '/') >= 0)
		return; /* as upstream has it */
	if (domain.n)
		check_driver(s, domain, at);
	else
		INVALID(domain, "the domain must not be empty", "%s", at);
	if (id.n)
		check_identifier(s, id, at);
	else
		INVALID(id, "the name must not be empty", "%s", at);
}

static void
check_full_name(const struct schema_spot *s, struct str name, const char *at)
{
	check_attribute_name(s, name, at);
	if (str_find_char(name, '/') < 0)
		INVALID(name,
			"a fully qualified name must be a domain and a name separated by a slash",
			"%s", at);
}

/* ---- taints ---- */

CHECK(resource_v1_device_taint)
{
	(void)old;
	FORMAT(FORMAT_QUALIFIED_NAME, text(d, "key"), "key");
	FORMAT(FORMAT_LABEL_VALUE, text(d, "value"), "value");
}

CHECK(resource_v1_device_taint_selector)
{
	(void)old;
	if (get(d, "driver"))
		check_driver(s, text(d, "driver"), "driver");
	if (get(d, "pool"))
		check_pool(s, text(d, "pool"), "pool");
	if (get(d, "device"))
		FORMAT(FORMAT_DNS_LABEL, text(d, "device"), "device");
}

CHECK(resource_v1_device_toleration)
{
	(void)old;
	if (text(d, "key").n)
		FORMAT(FORMAT_QUALIFIED_NAME, text(d, "key"), "key");
	if (is(d, "operator", "Exists") && text(d, "value").n)
		INVALID(text(d, "value"), "must be empty for operator `Exists`", "value");
	else if (is(d, "operator", "Equal"))
		FORMAT(FORMAT_LABEL_VALUE, text(d, "value"), "value");
}

/* ---- selectors and settings ---- */

CHECK(resource_v1_device_selector)
{
	const struct doc *cel = get(d, "cel");

	(void)old;
	if (!cel)
		REQUIRED(NULL, "cel");
	if (text(cel, "expression").n > SELECTOR_MAX)
		schema_err_too_long(s->errs, AT("cel.expression"), SELECTOR_MAX);
}

/* check_settings: what a driver is told, at the member `at`. */
static void
check_settings(const struct schema_spot *s, const struct doc *d, const char *at)
{
	const struct doc *opaque = get(d, "opaque"), *parameters = get(opaque, "parameters");
	struct buf b;

	if (!opaque) {
		REQUIRED(NULL, "%sopaque", at);
		return;
	}
	if (text(opaque, "driver").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, lower_text(s->errs->a, text(opaque, "driver")),
			"%sopaque.driver", at);
	if (!parameters || parameters->type == DOC_NULL) {
		REQUIRED(NULL, "%sopaque.parameters", at);
		return;
	}
	buf_init_arena(&b, s->errs->a);
	doc_write_json(&b, parameters);
	if (b.len > PARAMETERS_MAX)
		schema_err_too_long(s->errs, AT("%sopaque.parameters", at), PARAMETERS_MAX);
	else if (parameters->type != DOC_MAP)
		INVALID(STR("<value omitted>"), "must be a valid JSON object",
			"%sopaque.parameters", at);
}

CHECK(resource_v1_device_class_configuration)
{
	if (!old || !doc_equal(d, old))
		check_settings(s, d, "");
}

CHECK(resource_v1_device_class_spec)
{
	const struct doc *name = get(d, "extendedResourceName");

	(void)old;
	if (!name)
		return;
	if (str_find_char(doc_as_str(name), '/') < 0)
		INVALID_DOC(name,
			"a name must be a domain-prefixed path, such as 'example.com/my-prop'",
			"extendedResourceName");
	FORMAT(FORMAT_QUALIFIED_NAME, doc_as_str(name), "extendedResourceName");
}

/* ---- requests ---- */

static void
check_amount(const struct schema_spot *s, const struct doc *d, const char *at)
{
	int64_t n = number(d, "count");

	if (is(d, "allocationMode", "All") && n != 0)
		INVALID_INT(n, "must not be specified when allocationMode is 'All'", "%scount", at);
	else if (is(d, "allocationMode", "ExactCount") && n <= 0)
		INVALID_INT(n, "must be greater than zero", "%scount", at);
}

CHECK(resource_v1_device_sub_request)
{
	(void)old;
	FORMAT(FORMAT_DNS_LABEL, text(d, "name"), "name");
	check_amount(s, d, "");
}

CHECK(resource_v1_device_request)
{
	static const char one[] = "exactly one of `exactly` or `firstAvailable` is required";
	const struct doc *exactly = get(d, "exactly"), *first = get(d, "firstAvailable");
	struct str class = text(exactly, "deviceClassName");

	(void)old;
	FORMAT(FORMAT_DNS_LABEL, text(d, "name"), "name");
	if (exactly && doc_len(first))
		INVALID_DOC(doc_null(s->errs->a),
			arena_fmt(s->errs->a, "%s, but multiple fields are set", one).p, "%s", "");
	else if (!exactly && !doc_len(first))
		REQUIRED(one, "%s", "");
	else if (exactly) {
		if (class.n)
			FORMAT(FORMAT_DNS_SUBDOMAIN, class, "exactly.deviceClassName");
		else
			REQUIRED(NULL, "exactly.deviceClassName");
		check_amount(s, exactly, "exactly.");
	}
}

/* find_request: the request, or the request and its part, that a name "r" or "r/s" is of. */
static bool
find_request(const struct doc *claim, struct str name)
{
	struct str head = name, tail = STR_NONE;
	bool two = str_cut(name, '/', &head, &tail);

	DOC_EACH (r, get(claim, "requests")) {
		if (!str_eq(text(r, "name"), two ? head : name))
			continue;
		if (!two)
			return true;
		DOC_EACH (part, get(r, "firstAvailable"))
			if (str_eq(text(part, "name"), tail))
				return true;
	}
	return false;
}

/* check_request_ref: one name; list: the names of a member. */
static void
check_request_ref(
	const struct schema_spot *s, const struct doc *claim, struct str name, const char *at)
{
	struct str rest = name, part = STR_NONE;
	size_t n = 0;

	while (str_next(&rest, '/', &part))
		n++;
	if (n > 2) {
		INVALID(name, NO_REQUEST, "%s", at);
		return;
	}
	rest = name;
	while (str_next(&rest, '/', &part))
		FORMAT(FORMAT_DNS_LABEL, part, "%s", at);
	if (!find_request(claim, name))
		INVALID(name, NO_REQUEST, "%s", at);
}

static void
check_request_refs(const struct schema_spot *s, const struct doc *claim, const struct doc *list,
	const char *at)
{
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (r, list) {
		const char *here = arena_fmt(s->errs->a, "%s[%zu]", at, i++).p;

		check_request_ref(s, claim, doc_as_str(r), here);
		if (!names_add(&seen, doc_as_str(r), r))
			DUPLICATE(doc_as_str(r), "%s", here);
	}
}

CHECK(resource_v1_device_claim)
{
	struct names seen = names_new(s->errs->a, doc_len(get(d, "requests")));
	struct arena *a = s->errs->a;
	size_t i = 0;

	if (old)
		return; /* a spec never changes */
	DOC_EACH (r, get(d, "requests")) {
		if (!names_add(&seen, text(r, "name"), r))
			DUPLICATE(text(r, "name"), "requests[%zu]", i);
		i++;
	}
	i = 0;
	DOC_EACH (c, get(d, "constraints")) {
		const char *at = arena_fmt(a, "constraints[%zu]", i++).p;

		check_request_refs(s, d, get(c, "requests"), arena_fmt(a, "%s.requests", at).p);
		if (get(c, "matchAttribute"))
			check_full_name(s, text(c, "matchAttribute"),
				arena_fmt(a, "%s.matchAttribute", at).p);
		else if (get(c, "distinctAttribute"))
			check_full_name(s, text(c, "distinctAttribute"),
				arena_fmt(a, "%s.distinctAttribute", at).p);
		else
			REQUIRED("exactly one of \"matchAttribute\" or \"distinctAttribute\" is "
				 "required, but multiple fields are set",
				"%s", at);
	}
	i = 0;
	DOC_EACH (c, get(d, "config")) {
		const char *at = arena_fmt(a, "config[%zu]", i++).p;

		check_request_refs(s, d, get(c, "requests"), arena_fmt(a, "%s.requests", at).p);
		check_settings(s, c, arena_fmt(a, "%s.", at).p);
	}
}

/* ---- what was given ---- */

void
check_binding(const struct schema_spot *s, const struct doc *d, const char *at)
{
	static const char *const members[] = {"bindingConditions", "bindingFailureConditions"};
	const struct doc *lists[2];
	struct arena *a = s->errs->a;

	for (size_t k = 0; k < 2; k++) {
		struct names seen = {0};
		size_t i = 0;

		lists[k] = get(d, members[k]);
		seen = names_new(a, doc_len(lists[k]));
		DOC_EACH (c, lists[k]) {
			FORMAT(FORMAT_QUALIFIED_NAME, doc_as_str(c), "%s%s[%zu]", at, members[k],
				i);
			if (!names_add(&seen, doc_as_str(c), c))
				DUPLICATE(doc_as_str(c), "%s%s[%zu]", at, members[k], i);
			if (k && has_text(lists[0], doc_as_str(c)))
				INVALID_DOC(c,
					"bindingFailureConditions must not overlap with bindingConditions",
					"%s%s[%zu]", at, members[k], i);
			i++;
		}
	}
	for (size_t k = 0; k < 2; k++)
		if (doc_len(lists[k]) == 0 && doc_len(lists[1 - k]) > 0)
			INVALID_DOC(lists[k] ? lists[k] : doc_null(a),
				arena_fmt(
					a, "%s are required to use %s", members[k], members[1 - k])
					.p,
				"%s%s", at, members[k]);
}

/* device_key: what a result and a status of the same device have in common. arena. */
static struct str
device_key(struct arena *a, const struct doc *d)
{
	return arena_fmt(a, STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT, STR_ARG(text(d, "driver")),
		STR_ARG(text(d, "pool")), STR_ARG(text(d, "device")), STR_ARG(text(d, "shareID")));
}

static void
check_results(const struct schema_spot *s, const struct doc *claim, const struct doc *devices)
{
	struct arena *a = s->errs->a;
	size_t i = 0;

	DOC_EACH (r, get(devices, "results")) {
		const char *at = arena_fmt(a, "status.allocation.devices.results[%zu].", i++).p;

		check_request_ref(s, claim, text(r, "request"), arena_fmt(a, "%srequest", at).p);
		FORMAT(FORMAT_DNS_LABEL, text(r, "device"), "%sdevice", at);
		check_binding(s, r, at);
	}
	i = 0;
	DOC_EACH (c, get(devices, "config")) {
		const char *at = arena_fmt(a, "status.allocation.devices.config[%zu].", i++).p;

		check_request_refs(s, claim, get(c, "requests"), arena_fmt(a, "%srequests", at).p);
		check_settings(s, c, at);
	}
}

static void
check_device_status(
	const struct schema_spot *s, const struct doc *d, const struct names *given, const char *at)
{
	struct arena *a = s->errs->a;
	struct doc *shown = doc_map(a);

	check_driver(s, text(d, "driver"), arena_fmt(a, "%s.driver", at).p);
	check_pool(s, text(d, "pool"), arena_fmt(a, "%s.pool", at).p);
	FORMAT(FORMAT_DNS_LABEL, text(d, "device"), "%s.device", at);
	if (shown && !names_find(given, device_key(a, d))) {
		static const char *const members[][2] = {{"Driver", "driver"}, {"Pool", "pool"},
			{"Device", "device"}, {"ShareID", "shareID"}};

		for (size_t i = 0; i < ARRAY_LEN(members); i++)
			doc_set_str(a, shown, str_c(members[i][0]), text(d, members[i][1]));
		INVALID_DOC(shown, "must be an allocated device in the claim", "%s", at);
	}
	if (doc_len(get(d, "conditions")) > CONDITIONS_MAX)
		schema_err_too_many(s->errs, AT("%s.conditions", at), doc_len(get(d, "conditions")),
			CONDITIONS_MAX);
}

static void
check_reserved(
	const struct schema_spot *s, const struct doc *now, const struct doc *was, bool dying)
{
	const struct doc *list = get(now, "reservedFor");
	static const char *const members[] = {"resource", "name", "uid", NULL};
	size_t i = 0, added = 0;

	DOC_EACH (r, list) {
		bool known = false;

		for (const char *const *m = members; *m; m++)
			if (!text(r, *m).n)
				REQUIRED(NULL, "status.reservedFor[%zu].%s", i, *m);
		DOC_EACH (o, get(was, "reservedFor"))
			known = known || doc_equal(o, r);
		added += !known;
		i++;
	}
	if (i && !get(now, "allocation"))
		FORBIDDEN("may not be specified when `allocated` is not set", "status.reservedFor");
	else if (dying && added)
		FORBIDDEN("new entries may not be added while `deallocationRequested` or "
			  "`deletionTimestamp` are set",
			"status.reservedFor");
}

CHECK(resource_v1_resource_claim)
{
	const struct doc *now = get(d, "status"), *was = get(old, "status");
	const struct doc *given = get(now, "allocation"), *before = get(was, "allocation");
	const struct doc *results = get(get(given, "devices"), "results");
	struct names keys = names_new(s->errs->a, doc_len(results));
	size_t i = 0;

	if (!old || doc_equal(now, was))
		return;
	check_reserved(s, now, was, text(get(d, "metadata"), "deletionTimestamp").n > 0);
	DOC_EACH (r, results)
		names_add(&keys, device_key(s->errs->a, r), r);
	DOC_EACH (x, get(now, "devices"))
		check_device_status(
			s, x, &keys, arena_fmt(s->errs->a, "status.devices[%zu]", i++).p);
	if (given && before && !doc_equal(given, before))
		INVALID_DOC(given, format_text_immutable, "status.allocation");
	else if (given && !before)
		check_results(s, get(get(d, "spec"), "devices"), get(given, "devices"));
}
