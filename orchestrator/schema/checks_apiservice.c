/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_apiservice: APIService: its name says what it is for, and a local one has nothing of a remote one.
 * Source: k8s.io/kube-aggregator pkg/apis/apiregistration/validation. */
#include "orchestrator/schema/checks_int.h"

#include "base/hash.h"

#define GROUP_PRIORITY_MAX 20000
#define VERSION_PRIORITY_MAX 1000

/* check_name: what is not there, and what cannot be a name, has its cause already. */
static void
check_name(const struct schema_spot *s, const struct doc *d, struct str wanted)
{
	static const char *const members[] = {"generateName", "name"};
	struct arena *a = s->errs->a;

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct str name = text(get(d, "metadata"), members[i]);

		if (!name.n || format_check(a, FORMAT_PATH_SEGMENT, name) || str_eq(name, wanted))
			continue;
		INVALID(name,
			arena_fmt(a, "must be `spec.version+\".\"+spec.group`: \"" STR_FMT "\"",
				STR_ARG(wanted))
				.p,
			"metadata.%s", members[i]);
	}
}

static void
check_local(const struct schema_spot *s, const struct doc *spec)
{
	struct buf ca;

	buf_init_arena(&ca, s->errs->a);
	if (text(spec, "caBundle").n && base64_decode(&ca, text(spec, "caBundle")) == 0)
		INVALID(arena_fmt(s->errs->a, "%zu bytes", ca.len),
			"local APIServices may not have a caBundle", "spec.caBundle");
	if (flag(spec, "insecureSkipTLSVerify"))
		INVALID_DOC(get(spec, "insecureSkipTLSVerify"),
			"local APIServices may not have insecureSkipTLSVerify",
			"spec.insecureSkipTLSVerify");
}

static void
check_remote(const struct schema_spot *s, const struct doc *spec, const struct doc *service)
{
	int64_t port = number(service, "port");

	if (!text(service, "namespace").n)
		REQUIRED(NULL, "spec.service.namespace");
	if (!text(service, "name").n)
		REQUIRED(NULL, "spec.service.name");
	if (!is_port(port))
		INVALID_INT(port,
			arena_fmt(s->errs->a, "port is not valid: %s", format_text_port).p,
			"spec.service.port");
	if (flag(spec, "insecureSkipTLSVerify") && text(spec, "caBundle").n)
		INVALID_DOC(get(spec, "insecureSkipTLSVerify"),
			"may not be true if caBundle is present", "spec.insecureSkipTLSVerify");
}

CHECK(apiregistration_v1_api_service)
{
	const struct doc *spec = get(d, "spec"), *service = get(spec, "service");
	struct str group = text(spec, "group"), version = text(spec, "version");
	int64_t of_group = number(spec, "groupPriorityMinimum");
	int64_t of_version = number(spec, "versionPriority");

	(void)old;
	check_name(
		s, d, arena_fmt(s->errs->a, STR_FMT "." STR_FMT, STR_ARG(version), STR_ARG(group)));
	if (!group.n && !str_eq_c(version, "v1"))
		REQUIRED("only v1 may have an empty group and it better be legacy kube",
			"spec.group");
	if (group.n)
		FORMAT(FORMAT_DNS_SUBDOMAIN, group, "spec.group");
	FORMAT(FORMAT_DNS1035_LABEL, version, "spec.version");
	if (of_group <= 0 || of_group > GROUP_PRIORITY_MAX)
		INVALID_INT(of_group, "must be positive and less than 20000",
			"spec.groupPriorityMinimum");
	if (of_version <= 0 || of_version > VERSION_PRIORITY_MAX)
		INVALID_INT(
			of_version, "must be positive and less than 1000", "spec.versionPriority");
	if (service)
		check_remote(s, spec, service);
	else
		check_local(s, spec);
}
