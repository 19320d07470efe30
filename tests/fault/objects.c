/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * objects: opens an object store that no server has open (after a power cut, say) and writes what the load
 * left in it as a list of a history (checker.h). */
#include "storage/store/store.h"
#include "tests/fault/access.h"

#include <inttypes.h>
#include <stdio.h>

static bool
on_object(void *arg, struct store_key key, const struct store_value *v)
{
	struct arena *a = arg;
	struct doc *d = NULL;
	struct access_object o = {0};
	struct str body = arena_str(a, v->body);
	if (doc_parse_json(a, body, NULL, &d, NULL) < 0)
		printf("item 0 " STR_FMT " %" PRIu64 " half\n", STR_ARG(key.name), v->rev);
	else if (!access_object_read(d, &o))
		return true;
	else if (o.value && o.rev == v->rev && str_eq(o.name, key.name))
		printf("item 0 " STR_FMT " %" PRIu64 " %" PRIu64 "\n", STR_ARG(o.name), o.rev,
			o.value);
	else
		printf("item 0 " STR_FMT " %" PRIu64 " half\n", STR_ARG(key.name), v->rev);
	return true;
}

int
main(int argc, char **argv)
{
	struct store *s = NULL;
	struct err e = {0};
	struct arena *a = arena_new(0);
	if (argc != 3) {
		fputs("usage: objects STORE-FOLDER NAMESPACE\n", stderr);
		return 2;
	}
	int rc = a ? store_open(&(struct store_config){.dir = argv[1]}, &s, &e) : -ENOMEM;
	if (rc < 0) {
		fprintf(stderr, "objects: %s\n", e.msg);
		return 1;
	}
	int res = store_resource(s, STR("/configmaps"));
	uint64_t rev = 0;
	struct str next = STR_NONE;
	printf("look 0\nlist 0 %" PRIu64 "\n", store_rev(s));
	if (res > 0) {
		const struct store_range range = {.res = (uint32_t)res, .ns = str_c(argv[2])};
		rc = store_list(s, &range, a, on_object, a, &rev, &next);
	}
	puts("listed 0");
	store_close(s);
	arena_free(a);
	return res <= 0 || rc < 0 || next.n > 0;
}
