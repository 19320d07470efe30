/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_pod_status: what a node or a scheduler says of a pod must be about what its spec names: claims, containers and
 * what they ask for.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (behaviour, texts). */
#include "orchestrator/schema/checks_int.h"

#define UID_MAX 4294967295
#define GID_MAX 2147483647
#define MESSAGE_MAX 1024 /* of a device's health */

/* ---- claims ---- */

static void
check_claims(const struct schema_spot *s, const struct doc *list, const struct doc *wanted)
{
	struct names claims = names_of(s->errs->a, wanted, "name");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (x, list) {
		struct str name = text(x, "name");

		if (!names_find(&claims, name))
			INVALID(name, "must match the name of an entry in `spec.resourceClaims`",
				"status.resourceClaimStatuses[%zu].name", i);
		if (!names_add(&seen, name, x))
			DUPLICATE(name, "status.resourceClaimStatuses[%zu].name", i);
		if (get(x, "resourceClaimName"))
			FORMAT(FORMAT_DNS_SUBDOMAIN, text(x, "resourceClaimName"),
				"status.resourceClaimStatuses[%zu].resourceClaimName", i);
		i++;
	}
}

static const struct doc *
container_named(const struct doc *spec, struct str name)
{
	static const char *const lists[] = {"containers", "initContainers", NULL};

	for (const char *const *l = lists; *l; l++)
		DOC_EACH (c, get(spec, *l))
			if (str_eq(text(c, "name"), name))
				return c;
	return NULL;
}

#define EXTENDED "status.extendedResourceClaimStatus"

static void
check_mapping(const struct schema_spot *s, const struct doc *m, const struct doc *spec, size_t i)
{
	struct str container = text(m, "containerName"), resource = text(m, "resourceName");
	const struct doc *c = container_named(spec, container);

	if (!c)
		INVALID(container,
			"must match the name of an entry in spec.initContainers.name or "
			"spec.containers.name",
			EXTENDED ".requestMappings[%zu].containerName", i);
	else if (!doc_get(get(get(c, "resources"), "requests"), resource))
		INVALID(resource,
			"must match the extended resource name of an entry in "
			"spec.initContainers.resources.requests or spec.containers.resources.requests",
			EXTENDED ".requestMappings[%zu].resourceName", i);
	FORMAT(FORMAT_DNS_LABEL, text(m, "requestName"), EXTENDED ".requestName");
}

static void
check_extended(const struct schema_spot *s, const struct doc *st, const struct doc *spec)
{
	const struct doc *list = get(st, "requestMappings");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	if (doc_len(list) == 0)
		REQUIRED("at least one request mapping is required", EXTENDED ".requestMappings");
	DOC_EACH (m, list) {
		static const char *const members[] = {
			"containerName", "resourceName", "requestName", NULL};
		struct str key = arena_fmt(s->errs->a, STR_FMT "/" STR_FMT "/" STR_FMT,
			STR_ARG(text(m, members[0])), STR_ARG(text(m, members[1])),
			STR_ARG(text(m, members[2])));

		check_mapping(s, m, spec, i);
		if (!names_add(&seen, key, m))
			for (const char *const *x = members; *x; x++)
				DUPLICATE(text(m, *x), EXTENDED ".requestMappings[%zu].%s", i, *x);
		i++;
	}
	if (text(st, "resourceClaimName").n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, text(st, "resourceClaimName"),
			EXTENDED ".resourceClaimName");
	else
		REQUIRED(NULL, EXTENDED ".resourceClaimName");
}

/* ---- containers ---- */

static void
check_id(const struct schema_spot *s, int64_t id, int64_t most, const char *at)
{
	if (id < 0 || id > most)
		INVALID_INT(id,
			arena_fmt(s->errs->a, "must be between 0 and %lld, inclusive",
				(long long)most)
				.p,
			"%s", at);
}

static void
check_users(const struct schema_spot *s, const struct doc *list, const char *name, bool windows)
{
	struct arena *a = s->errs->a;
	size_t i = 0;

	DOC_EACH (c, list) {
		const char *at = arena_fmt(a, "status.%s[%zu].user.linux", name, i++).p;
		const struct doc *user = get(get(c, "user"), "linux");
		size_t k = 0;

		if (!user)
			continue;
		if (windows) {
			FORBIDDEN("cannot be set for a windows pod", "%s", at);
			continue;
		}
		check_id(s, number(user, "uid"), UID_MAX, arena_fmt(a, "%s.uid", at).p);
		check_id(s, number(user, "gid"), GID_MAX, arena_fmt(a, "%s.gid", at).p);
		DOC_EACH (g, get(user, "supplementalGroups"))
			check_id(s, doc_as_int(g, 0), GID_MAX,
				arena_fmt(a, "%s.supplementalGroups[%zu]", at, k++).p);
	}
}

static void
check_health(const struct schema_spot *s, const struct doc *allocated, const char *at)
{
	static const char *const known[] = {"Healthy", "Unhealthy", "Unknown", NULL};
	const struct doc *list = get(allocated, "resources");
	struct names seen = names_new(s->errs->a, doc_len(list));
	size_t i = 0;

	DOC_EACH (x, list) {
		const struct doc *message = get(x, "message");

		if (!one_of(known, text(x, "health")))
			UNSUPPORTED(text(x, "health"), known, "%s.resources[%zu].health", at, i);
		if (message && !doc_as_str(message).n)
			REQUIRED("must be non-empty if specified", "%s.resources[%zu].message", at,
				i);
		else if (doc_as_str(message).n > MESSAGE_MAX)
			schema_err_too_long(
				s->errs, AT("%s.resources[%zu].message", at, i), MESSAGE_MAX);
		if (!names_add(&seen, text(x, "resourceID"), x))
			DUPLICATE(text(x, "resourceID"), "%s.resources[%zu].resourceID", at, i);
		i++;
	}
}

static void
check_allocated(const struct schema_spot *s, const struct doc *list, const char *name)
{
	size_t i = 0;

	DOC_EACH (c, list) {
		size_t k = 0;

		DOC_EACH (x, get(c, "allocatedResourcesStatus"))
			check_health(s, x,
				arena_fmt(s->errs->a,
					"status.%s[%zu].allocatedResourcesStatus[%zu]", name, i,
					k++)
					.p);
		i++;
	}
}

CHECK(core_v1_pod)
{
	static const char *const lists[] = {
		"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses", NULL};
	const struct doc *spec = get(d, "spec"), *st = get(d, "status");
	const struct doc *extended = get(st, "extendedResourceClaimStatus");
	bool windows = is(get(spec, "os"), "name", "windows");
	size_t i = 0;

	if (!old || doc_equal(st, get(old, "status")))
		return;
	check_claims(s, get(st, "resourceClaimStatuses"), get(spec, "resourceClaims"));
	if (extended)
		check_extended(s, extended, spec);
	for (const char *const *l = lists; *l; l++)
		check_users(s, get(st, *l), *l, windows);
	check_allocated(s, get(st, lists[0]), lists[0]);
	check_allocated(s, get(st, lists[1]), lists[1]);
	DOC_EACH (c, get(st, lists[2])) {
		if (doc_len(get(c, "allocatedResourcesStatus")))
			FORBIDDEN("must not be specified in container status",
				"status.%s[%zu].allocatedResourcesStatus", lists[2], i);
		i++;
	}
}
