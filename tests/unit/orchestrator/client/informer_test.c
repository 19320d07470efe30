/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * informer_test: consumers of one cache. */
#include "orchestrator/client/informer.c"

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
