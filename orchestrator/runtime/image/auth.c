/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * auth: see auth.h. */
#include "orchestrator/runtime/image/auth.h"

#include <errno.h>

#include "base/doc.h"
#include "base/hash.h"

/* "*" matches any run of bytes within one label. Iterative: the last star is the only way back. */
static bool
glob(struct str pat, struct str s)
{
	size_t pi = 0;
	size_t si = 0;
	size_t star = SIZE_MAX;
	size_t mark = 0;

	while (si < s.n) {
		if (pi < pat.n && pat.p[pi] == '*') {
			star = pi++;
			mark = si;
		} else if (pi < pat.n && pat.p[pi] == s.p[si]) {
			pi++;
			si++;
		} else if (star != SIZE_MAX) {
			pi = star + 1;
			si = ++mark;
		} else {
			return false;
		}
	}
	while (pi < pat.n && pat.p[pi] == '*')
		pi++;
	return pi == pat.n;
}

static bool
host_match(struct str pat, struct str host)
{
	struct str pl = STR_NONE;
	struct str hl = STR_NONE;

	while (str_is_set(pat) && str_is_set(host)) {
		str_next(&pat, '.', &pl);
		str_next(&host, '.', &hl);
		if (!glob(pl, hl))
			return false;
	}
	return !str_is_set(pat) && !str_is_set(host);
}

static struct str
strip_scheme(struct str key)
{
	static const struct str schemes[] = {STR_INIT("https://"), STR_INIT("http://")};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (str_starts(key, schemes[i]))
			return str_sub(key, schemes[i].n, SIZE_MAX);
	return key;
}

/* How specific the key is for this repository: its length + 1; 0 = does not match. */
static size_t
key_match(struct str key, struct str domain, struct str path)
{
	struct str k = strip_scheme(key);
	struct str host = k;
	struct str prefix = STR_NONE;

	str_cut(k, '/', &host, &prefix);
	if (str_eq(host, STR("index.docker.io")) || str_eq(host, STR("registry-1.docker.io")))
		host = STR("docker.io");
	if (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	if (str_eq(prefix, STR("v1")) || str_eq(prefix, STR("v2")))
		prefix = STR("");
	if (!host_match(host, domain))
		return 0;
	if (prefix.n && !str_starts(path, prefix))
		return 0;
	return k.n + 1;
}

static int
entry_decode(struct arena *a, const struct doc *entry, struct image_auth *ret)
{
	struct str packed = doc_get_str(entry, STR("auth"));
	struct image_auth r = {
		doc_get_str(entry, STR("username")), doc_get_str(entry, STR("password"))};
	struct buf b = BUF_INIT;

	if (r.username.n == 0 && packed.n) {
		buf_init_arena(&b, a);
		if (base64_decode(&b, packed) && (buf_clear(&b), base64url_decode(&b, packed)))
			return -EINVAL;
		if (!str_cut(buf_view(&b), ':', &r.username, &r.password))
			return -EINVAL;
		/* Some writers pad the password with NULs. */
		while (r.password.n && r.password.p[r.password.n - 1] == '\0')
			r.password.n--;
	}
	if (r.username.n == 0)
		return -EINVAL;
	ret->username = arena_str(a, r.username);
	ret->password = arena_str(a, str_is_set(r.password) ? r.password : STR(""));
	return arena_failed(a) ? -ENOMEM : 0;
}

int
image_auth_find(struct arena *a, struct str config, struct str domain, struct str path,
	struct image_auth *ret, struct err *e)
{
	struct doc *d = NULL;
	const struct doc *auths = NULL;
	const struct doc *best = NULL;
	size_t best_len = 0;
	int rc = doc_parse_json(a, config, NULL, &d, e);

	if (rc) {
		err_wrap(e, "reading registry credentials");
		return rc;
	}
	auths = doc_get(d, STR("auths"));
	if (!auths)
		auths = d;
	DOC_EACH (entry, auths) {
		size_t len = entry->type == DOC_MAP ? key_match(entry->key, domain, path) : 0;

		if (len > best_len) {
			best_len = len;
			best = entry;
		}
	}
	if (!best)
		return -ENOENT;
	rc = entry_decode(a, best, ret);
	if (rc)
		return err_set(e, rc, R_INVALID,
			"registry credentials of '" STR_FMT "' cannot be read", STR_ARG(best->key));
	return 0;
}
