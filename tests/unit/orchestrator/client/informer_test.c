/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * informer_test: consumers of one cache. */
#include "orchestrator/client/informer.c"

#include "kinds/projections_v1.h"
#include "tests/unit/test.h"

static void
count_synced(void *arg)
{
	++*(unsigned *)arg;
}

static void
no_change(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	(void)arg, (void)old, (void)new_;
}

/* With nine controllers that look at pods none of them started: "Out of memory". */
TEST(a_ninth_consumer_is_no_failure)
{
	struct informer i = {0};
	unsigned synced = 0;
	map_init(&i.objects);
	for (int k = 0; k < 20; k++)
		CHECK_INT(informer_add_handler(&i, no_change, count_synced, &synced), 0);
	CHECK_INT(synced, 0);
	tell_synced(&i);
	CHECK_INT(synced, 20);
	CHECK_INT(informer_add_handler(&i, no_change, count_synced, &synced), 0);
	CHECK_INT(synced, 21);
	tell_synced(&i);
	CHECK_INT(synced, 21);
	free(i.handlers);
	map_release(&i.objects);
}

/* Read as whole metadata, the members of a projection were anything: the first object ended the program. */
TEST(an_object_may_be_kept_as_a_projection)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	CHECK_INT(doc_parse_json(a,
			  STR("{\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\","
			      "\"resourceVersion\":\"17\"},\"spec\":{\"nodeName\":\"n\"}}"),
			  NULL, &d, NULL),
		0);
	struct informer_obj *o = obj_make(&schema_type_pod_summary, a, d);
	CHECK(o != NULL);
	CHECK_STR(o->key, "ns/p");
	CHECK_STR(o->uid, "u");
	CHECK_INT(o->rv, 17);
	CHECK_STR(((const struct pod_summary *)o->obj)->spec.node_name, "n");
	arena_free(a);
}
