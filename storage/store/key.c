/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * key.c: packed keys. Invariant: the byte order of packed keys is the order (resource, namespace,
 * name), because the NUL that ends the namespace is below every byte a namespace may hold.
 * Must not: accept a NUL inside a part. */
#include "storage/store/store_int.h"

#include <errno.h>

static bool
has_nul(struct str s)
{
	return s.n > 0 && memchr(s.p, 0, s.n) != NULL;
}

static void
key_add(struct key_buf *k, struct str s)
{
	if (s.n > 0)
		memcpy(k->p + k->n, s.p, s.n);
	k->n += s.n;
}

static void
key_begin(struct key_buf *k, uint32_t res)
{
	k->p[0] = (uint8_t)(res >> 24);
	k->p[1] = (uint8_t)(res >> 16);
	k->p[2] = (uint8_t)(res >> 8);
	k->p[3] = (uint8_t)res;
	k->n = 4;
}

int
key_pack(const struct store_key *k, struct key_buf *ret)
{
	if (k->ns.n > STORE_KEY_MAX || k->name.n > STORE_KEY_MAX ||
		5 + k->ns.n + k->name.n > STORE_KEY_MAX || has_nul(k->ns) || has_nul(k->name))
		return -ERANGE;
	key_begin(ret, k->res);
	key_add(ret, k->ns);
	key_add(ret, str_from("", 1));
	key_add(ret, k->name);
	return 0;
}

int
key_prefix(uint32_t res, struct str ns, struct key_buf *ret)
{
	if (ns.n > STORE_KEY_MAX - 5 || has_nul(ns))
		return -ERANGE;
	key_begin(ret, res);
	if (ns.n > 0) {
		key_add(ret, ns);
		key_add(ret, str_from("", 1));
	}
	return 0;
}

int
key_unpack(struct str packed, struct store_key *ret)
{
	struct reader r = reader_of(packed);
	uint32_t res = reader_be32(&r);
	struct str rest = {(const char *)r.p, r.n}, ns, name;
	if (r.bad || !str_cut(rest, '\0', &ns, &name) || has_nul(name))
		return -EINVAL;
	*ret = (struct store_key){res, ns, name};
	return 0;
}
