/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * custom: the resources that CustomResourceDefinitions add. Private to the folder.
 *
 * Each worker keeps a table of its own, fed from the definitions in the store (cache.c) before each look into it:
 * what is Established is served to every request that comes after the write was acknowledged. What stands in the
 * tables is shared: a `struct custom` is one definition as it is served (rows, kinds, schemas of all its versions),
 * made once for all workers, immutable, and counted by reference: by each table that has it, and by each request
 * that uses one of its rows, until the request's memory goes. A definition that changes is a new struct custom; watches
 * that stand on the old one are ended, so that it goes soon.
 *
 * Invariants: a row found is good until the worker's loop turns, unless the request has pinned it. */
#ifndef ORCHESTRATOR_API_CUSTOM_H
#define ORCHESTRATOR_API_CUSTOM_H

#include "orchestrator/api/api_int.h"

struct custom_hook;

/* Those there are, by what they were made from. It outlives the server when a request does. */
struct custom_pool {
	atomic_flag lock;
	size_t refs; /* the server's, and one of each struct custom; under the lock, like all that follows */
	struct map by_key;
};
struct custom_pool *custom_pool_new(void); /* NULL = no memory */
void custom_pool_unref(struct custom_pool *p);

struct custom {
	unsigned refs; /* under the pool's lock */
	struct custom_pool *pool;
	struct arena *a;
	struct str key;            /* of the server's pool: what it was made from */
	struct str name;           /* of the definition: "crontabs.stable.example.com" */
	struct api_resource *rows; /* one a version, in the order of the definition */
	size_t n_rows;
	struct custom_hook
		*hook; /* converts; NULL = versions differ in apiVersion only: see convert.h */
};
/* Where the numbers of a scale subresource are: member paths; "" = no selector. */
struct custom_scale {
	struct str spec_replicas, status_replicas, selector;
};

/* custom_resource_find: as api_resource_find, for direct clients and requests of worker w; unserved versions too when
 * `all`. */
const struct api_resource *custom_resource_find(
	struct api_worker *w, struct str group, struct str version, struct str plural, bool all);
/* custom_pin: the row stays as long as the arena is not cleared. 0 or -ENOMEM. Built-in rows: nothing to do. */
int custom_pin(struct arena *a, const struct api_resource *res);
/* custom_list: those of w's table, ordered by name, with a reference each; heap. 0 or -errno. */
int custom_list(struct api_worker *w, struct custom ***ret, size_t *ret_n);
void custom_list_free(struct custom **list, size_t n);
void customs_free(struct api_worker *w);
/* custom_better: the version that is preferred of those that are served, not deprecated and newer than res; NULL. */
const struct api_resource *custom_better(const struct api_resource *res);

/* custom_make: a definition's stored body -> owned, with one reference; NULL = no memory, or nothing to serve. */
struct custom *custom_make(struct api_server *s, struct str name, struct str key, struct str body);
void custom_drop(struct custom *c); /* frees it; nobody has it any more */
/* custom_convert: an object of another version of the definition as one of `to`: what that does not know goes, the rest
 * stays as it is. In place. */
void custom_convert(struct arena *a, const struct api_resource *to, struct doc *d);
/* custom_row_fill: what a row of resources.c has, for a kind made here. 0 or -errno. */
int custom_row_fill(struct api_server *s, struct arena *a, const struct schema_kind *k,
	struct api_resource *res);

#endif
