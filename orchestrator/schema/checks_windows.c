/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_windows: what a pod says to nodes of Windows: its credentials, its user, and whether it is a process of the
 * host. No node here is one, but manifests are for several clusters.
 * Source: k8s.io/kubernetes pkg/apis/core/validation (behaviour, texts). */
#include "orchestrator/schema/checks_int.h"

#include "base/regex.h"

#define CREDENTIALS_MAX (64 * 1024)
#define DOMAIN_MAX 256
#define USER_MAX 104

/* ---- the options ---- */

static bool
like(struct arena *a, struct str s, const char *pattern)
{
	const struct regex *re = NULL;
	struct err e = {0};

	return regex_compile(a, str_c(pattern), &re, &e) == 0 && regex_match(re, s) == 1;
}

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static void
check_account(const struct schema_spot *s, struct str whole, struct str domain, bool has_domain,
	struct str user)
{
	struct arena *a = s->errs->a;

	if (domain.n >= DOMAIN_MAX)
		INVALID(whole,
			arena_fmt(a, "runAsUserName's Domain length must be under %d characters",
				DOMAIN_MAX)
				.p,
			"runAsUserName");
	if (has_domain && !like(a, domain, "^[^\\\\/:\\*\\?\"<>|\\.][^\\\\/:\\*\\?\"<>|]{0,14}$") &&
		!like(a, domain,
			"^[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?"
			"(\\.[a-zA-Z0-9]([a-zA-Z0-9\\-]{0,61}[a-zA-Z0-9])?)*$"))
		INVALID(whole,
			"runAsUserName's Domain doesn't match the NetBios nor the DNS format",
			"runAsUserName");
	if (user.n == 0)
		INVALID(whole, "runAsUserName's User cannot be empty", "runAsUserName");
	else if (user.n > USER_MAX)
		INVALID(whole,
			arena_fmt(a,
				"runAsUserName's User length must not be longer than %d characters",
				USER_MAX)
				.p,
			"runAsUserName");
	if (like(a, user, "^[. ]+$"))
		INVALID(whole, "runAsUserName's User cannot contain only periods or spaces",
			"runAsUserName");
	if (like(a, user, "[\"/\\\\:;|=,\\+\\*\\?<>@\\[\\]]"))
		INVALID(whole,
			"runAsUserName's User cannot contain the following characters: "
			"\"/\\:;|=,+*?<>@[]",
			"runAsUserName");
}

static void
check_user(const struct schema_spot *s, struct str whole)
{
	struct str first = STR_NONE, second = STR_NONE;
	bool two = str_cut(whole, '\\', &first, &second);

	if (whole.n == 0)
		INVALID(whole, "runAsUserName cannot be an empty string", "runAsUserName");
	else if (has_control(whole))
		INVALID(whole, "runAsUserName cannot contain control characters", "runAsUserName");
	else if (two && str_find_char(second, '\\') >= 0)
		INVALID(whole, "runAsUserName cannot contain more than one backslash",
			"runAsUserName");
	else
		check_account(s, whole, two ? first : STR(""), two, two ? second : whole);
}

CHECK(core_v1_windows_security_context_options)
{
	const struct doc *name = get(d, "gmsaCredentialSpecName"), *user = get(d, "runAsUserName");
	const struct doc *credentials = get(d, "gmsaCredentialSpec");
	size_t n = doc_as_str(credentials).n;

	(void)old;
	if (name)
		FORMAT(FORMAT_DNS_SUBDOMAIN, doc_as_str(name), "gmsaCredentialSpecName");
	if (credentials && n == 0)
		INVALID_DOC(credentials, "gmsaCredentialSpec cannot be an empty string",
			"gmsaCredentialSpec");
	else if (n > CREDENTIALS_MAX)
		INVALID_DOC(credentials,
			arena_fmt(s->errs->a, "gmsaCredentialSpec size must be under %d KiB",
				CREDENTIALS_MAX / 1024)
				.p,
			"gmsaCredentialSpec");
	if (user)
		check_user(s, doc_as_str(user));
}

/* ---- processes of the host ---- */

void
check_host_process(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const lists[] = {
		"initContainers", "containers", "ephemeralContainers", NULL};
	const struct doc *all = get(
		get(get(spec, "securityContext"), "windowsOptions"), "hostProcess");
	size_t n = 0, n_host = 0;

	for (const char *const *l = lists; *l; l++) {
		size_t i = 0;

		DOC_EACH (c, get(spec, *l)) {
			const struct doc *own = get(
				get(get(c, "securityContext"), "windowsOptions"), "hostProcess");

			if (all && own && !doc_equal(all, own))
				INVALID_DOC(own,
					arena_fmt(s->errs->a,
						"pod hostProcess value must be identical if both are "
						"specified, was %s",
						doc_as_bool(all, false) ? "true" : "false")
						.p,
					"%s[%zu].securityContext.windowsOptions.hostProcess", *l,
					i);
			n_host += doc_as_bool(own ? own : all, false);
			n++;
			i++;
		}
	}
	if (n_host && n_host != n)
		INVALID(STR(""),
			"If pod contains any hostProcess containers then all containers must be "
			"HostProcess containers",
			"%s", "");
	if (n_host && !flag(spec, "hostNetwork"))
		INVALID_DOC(doc_bool(s->errs->a, false),
			"hostNetwork must be true if pod contains any hostProcess containers",
			"hostNetwork");
}
