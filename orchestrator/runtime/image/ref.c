/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ref: see ref.h. */
#include "orchestrator/runtime/image/ref.h"

#include <errno.h>

#include "orchestrator/runtime/runtime.h"

#define MAX_NAME 255
#define MAX_TAG 128

static bool
is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool
all_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_hex(s.p[i]))
			return false;
	return true;
}

bool
image_digest_ok(struct str s)
{
	return s.n == IMAGE_DIGEST_LEN && str_starts(s, STR("sha256:")) &&
		all_hex(str_sub(s, 7, SIZE_MAX));
}

/* [a-z0-9]+ joined by one '.', one or two '_', or any number of '-'. */
static bool
component_ok(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t sep = 0;

		if (!is_lower_alnum(s.p[i]))
			return false;
		while (i < s.n && is_lower_alnum(s.p[i]))
			i++;
		if (i == s.n)
			return true;
		if (s.p[i] == '.') {
			i++;
			continue;
		}
		while (i + sep < s.n && s.p[i + sep] == s.p[i] && (s.p[i] == '_' || s.p[i] == '-'))
			sep++;
		if (sep == 0 || (s.p[i] == '_' && sep > 2))
			return false;
		i += sep;
	}
	return false;
}

static bool
path_ok(struct str path)
{
	struct str rest = path;
	struct str part = STR_NONE;

	if (path.n == 0)
		return false;
	while (str_next(&rest, '/', &part))
		if (!component_ok(part))
			return false;
	return true;
}

static bool
port_ok(struct str s)
{
	uint64_t v = 0;

	return s.n > 0 && s.n <= 5 && str_to_u64(s, &v) == 0 && v > 0 && v < 65536;
}

/* Host names as DNS labels of any case, IPv6 in brackets; with an optional port. */
static bool
domain_ok(struct str d)
{
	struct str host = d;
	struct str port = STR_NONE;
	struct str label = STR_NONE;

	if (d.n && d.p[0] == '[') {
		ptrdiff_t end = str_find_char(d, ']');

		if (end < 2)
			return false;
		for (size_t i = 1; i < (size_t)end; i++)
			if (!is_hex(d.p[i]) && d.p[i] != ':' && d.p[i] != '.' &&
				!(d.p[i] >= 'A' && d.p[i] <= 'F'))
				return false;
		port = str_sub(d, (size_t)end + 1, SIZE_MAX);
		return port.n == 0 || (port.p[0] == ':' && port_ok(str_sub(port, 1, SIZE_MAX)));
	}
	if (str_cut(d, ':', &host, &port) && !port_ok(port))
		return false;
	if (host.n == 0)
		return false;
	while (str_next(&host, '.', &label)) {
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_lower_alnum(label.p[i]) && !is_upper(label.p[i]) &&
				label.p[i] != '-')
				return false;
	}
	return true;
}

static bool
tag_ok(struct str t)
{
	if (t.n == 0 || t.n > MAX_TAG || t.p[0] == '.' || t.p[0] == '-')
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (!is_lower_alnum(t.p[i]) && !is_upper(t.p[i]) && t.p[i] != '_' &&
			t.p[i] != '.' && t.p[i] != '-')
			return false;
	return true;
}

/* "docker.io" is what has neither a dot, a colon, capitals nor the name "localhost" in front of its slash. */
static void
domain_split(struct str name, struct str *ret_domain, struct str *ret_path)
{
	struct str head = STR_NONE;
	struct str tail = STR_NONE;
	bool has = str_cut(name, '/', &head, &tail);
	bool upper = false;

	for (size_t i = 0; has && i < head.n; i++)
		upper = upper || is_upper(head.p[i]);
	if (has &&
		(str_find_char(head, '.') >= 0 || str_find_char(head, ':') >= 0 || upper ||
			str_eq(head, STR("localhost")))) {
		*ret_domain = str_eq(head, STR("index.docker.io")) ? STR("docker.io") : head;
		*ret_path = tail;
		return;
	}
	*ret_domain = STR("docker.io");
	*ret_path = name;
}

static int
bad(struct err *e)
{
	return err_set(e, -EINVAL, R_INVALID, "invalid reference format");
}

int
image_ref_parse(struct arena *a, struct str s, struct image_ref *ret, struct err *e)
{
	struct image_ref r = {0};
	struct str name = s;
	struct str head = STR_NONE;
	struct str tail = STR_NONE;

	if (s.n == 0 || s.n > MAX_NAME + MAX_TAG + 200)
		return bad(e);
	if (str_cut(name, '@', &head, &tail)) {
		if (!str_starts(tail, STR("sha256:")) && str_find_char(tail, ':') > 0)
			return err_set(e, -EINVAL, R_INVALID, "unsupported digest algorithm");
		if (!image_digest_ok(tail))
			return bad(e);
		r.digest = tail;
		name = head;
	}
	if (str_rcut(name, ':', &head, &tail) && str_find_char(tail, '/') < 0 &&
		str_find_char(tail, ']') < 0) {
		if (!tag_ok(tail))
			return bad(e);
		r.tag = tail;
		name = head;
	}
	if (name.n == 64 && all_hex(name))
		return err_set(e, -EINVAL, R_INVALID,
			"invalid repository name, cannot specify 64-byte hexadecimal strings");
	domain_split(name, &r.domain, &r.path);
	for (size_t i = 0; i < r.path.n; i++)
		if (is_upper(r.path.p[i]))
			return err_set(e, -EINVAL, R_INVALID,
				"invalid reference format: repository name (" STR_FMT
				") must be lowercase",
				STR_ARG(r.path));
	if (!domain_ok(r.domain) || !path_ok(r.path))
		return bad(e);
	if (str_eq(r.domain, STR("docker.io")) && str_find_char(r.path, '/') < 0)
		r.path = arena_cat(a, (struct str[]){STR("library/"), r.path}, 2);
	/* As a whole, what was added counted: the canonical name must be one itself. */
	if (r.domain.n + 1 + r.path.n > MAX_NAME)
		return bad(e);
	if (!str_is_set(r.tag) && !str_is_set(r.digest))
		r.tag = STR("latest");
	r.domain = arena_str(a, r.domain);
	r.path = arena_str(a, r.path);
	r.tag = arena_str(a, r.tag);
	r.digest = arena_str(a, r.digest);
	if (arena_failed(a))
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	*ret = r;
	return 0;
}

struct str
image_ref_name(struct arena *a, const struct image_ref *r)
{
	return arena_cat(a, (struct str[]){r->domain, STR("/"), r->path}, 3);
}

struct str
image_ref_string(struct arena *a, const struct image_ref *r)
{
	bool tag = r->tag.n > 0;
	bool digest = r->digest.n > 0;

	return arena_cat(a,
		(struct str[]){r->domain, STR("/"), r->path, tag ? STR(":") : STR(""),
			tag ? r->tag : STR(""), digest ? STR("@") : STR(""),
			digest ? r->digest : STR("")},
		7);
}

int
runtime_image_ref_normalize(struct arena *a, struct str ref, struct str *ret, struct err *e)
{
	struct image_ref r = {0};
	int rc = image_ref_parse(a, ref, &r, e);

	if (rc)
		return rc;
	*ret = image_ref_string(a, &r);
	return arena_failed(a) ? err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory") : 0;
}
