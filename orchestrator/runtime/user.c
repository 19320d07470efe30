/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * user: see user.h. */
#include "orchestrator/runtime/user.h"

#include <errno.h>

#define MAX_GROUPS 4096

struct line {
	struct str name, extra, home;
	uint32_t id, gid;
};

static bool
id_parse(struct str s, uint32_t *ret)
{
	uint64_t v = 0;

	if (str_to_u64(s, &v) || v > 0x7fffffff)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* name:x:id:rest... of both files; false: not such a line. passwd has gid, gecos, home in the rest. */
static bool
line_parse(struct str text, bool passwd, struct line *ret)
{
	struct str f[7] = {{0}};
	struct str rest = text;
	size_t n = 0;

	while (n < ARRAY_LEN(f) && str_next(&rest, ':', &f[n]))
		n++;
	if (n < 3 || f[0].n == 0 || !id_parse(str_trim(f[2]), &ret->id))
		return false;
	ret->name = f[0];
	ret->gid = 0;
	if (passwd && (n < 4 || !id_parse(str_trim(f[3]), &ret->gid)))
		return false;
	ret->extra = n > 3 ? f[3] : STR("");
	ret->home = passwd && n > 5 ? f[5] : STR("");
	return true;
}

/* The first line whose name is `name`, or (by_id) whose id is `id`. */
static bool
find(struct str file, bool passwd, struct str name, bool by_id, uint32_t id, struct line *ret)
{
	struct str rest = file;
	struct str text = STR_NONE;
	struct line l = {0};

	while (str_next(&rest, '\n', &text)) {
		if (!line_parse(text, passwd, &l))
			continue;
		if (by_id ? l.id == id : str_eq(l.name, name)) {
			*ret = l;
			return true;
		}
	}
	return false;
}

static void
group_add(struct arena *a, struct user_found *u, uint32_t gid)
{
	uint32_t *p = NULL;

	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups >= MAX_GROUPS)
		return;
	p = ARENA_PUSH(a, u->groups, u->n_groups);
	if (p)
		*p = gid;
}

/* Groups of /etc/group that list the user as a member. */
static void
groups_of_member(struct arena *a, struct str group, struct str name, struct user_found *u)
{
	struct str rest = group;
	struct str text = STR_NONE;
	struct line l = {0};

	while (name.n && str_next(&rest, '\n', &text)) {
		struct str members = STR_NONE;
		struct str m = STR_NONE;

		if (!line_parse(text, false, &l))
			continue;
		members = l.extra;
		while (str_next(&members, ',', &m))
			if (str_eq(str_trim(m), name))
				group_add(a, u, l.id);
	}
}

static int
group_resolve(struct str group, struct str text, uint32_t *ret, struct err *e)
{
	struct line l = {0};

	if (find(group, false, text, false, 0, &l)) {
		*ret = l.id;
		return 0;
	}
	if (id_parse(text, ret))
		return 0;
	return err_set(e, -EINVAL, R_INVALID,
		"unable to find group " STR_FMT ": no matching entries in group file",
		STR_ARG(text));
}

int
user_resolve(struct arena *a, struct str passwd, struct str group, const struct user_want *want,
	struct user_found *ret, struct err *e)
{
	struct user_found u = {.home = STR("/")};
	struct str name = STR_NONE;
	struct str group_text = STR_NONE;
	struct line l = {0};
	bool known = false;
	int rc = 0;

	str_cut(want->user, ':', &name, &group_text);
	if (want->has_uid) {
		u.uid = want->uid;
		known = find(passwd, true, STR_NONE, true, u.uid, &l);
		group_text = STR_NONE; /* runAsUser makes the image's "user:group" void */
	} else if (name.n == 0) {
		known = find(passwd, true, STR_NONE, true, 0, &l);
	} else if (find(passwd, true, name, false, 0, &l)) {
		known = true;
		u.uid = l.id;
	} else if (id_parse(name, &u.uid)) {
		known = find(passwd, true, STR_NONE, true, u.uid, &l);
	} else {
		return err_set(e, -EINVAL, R_INVALID,
			"unable to find user " STR_FMT ": no matching entries in passwd file",
			STR_ARG(name));
	}
	if (known) {
		u.gid = l.gid;
		if (l.home.n)
			u.home = l.home;
	}
	if (want->has_gid)
		u.gid = want->gid;
	else if (group_text.n)
		rc = group_resolve(group, group_text, &u.gid, e);
	if (rc)
		return rc;
	group_add(a, &u, u.gid);
	for (size_t i = 0; i < want->n_groups; i++)
		group_add(a, &u, want->groups[i]);
	if (!want->strict && known)
		groups_of_member(a, group, l.name, &u);
	if (arena_failed(a))
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "no memory");
	*ret = u;
	return 0;
}
