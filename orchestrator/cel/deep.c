/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * deep: a stack that is deep enough. Expressions nest, and who asks may have a small stack: what may go deep is done on
 * a thread of its own, which is waited for. Invariant: nobody but the caller's own work is on it. */
#include "orchestrator/cel/cel_int.h"

#include <pthread.h>

#ifdef KEELSON_ASAN
#define STACK ((size_t)64 << 20)
#else
#define STACK ((size_t)8 << 20)
#endif

struct work {
	void (*fn)(void *arg);
	void *arg;
};

static void *
run(void *arg)
{
	const struct work *w = arg;
	w->fn(w->arg);
	return NULL;
}

int
cel_deep(void (*fn)(void *arg), void *arg)
{
	struct work w = {fn, arg};
	pthread_attr_t attr;
	pthread_t thread;
	int rc = pthread_attr_init(&attr);
	if (rc == 0)
		rc = pthread_attr_setstacksize(&attr, STACK);
	if (rc == 0)
		rc = pthread_create(&thread, &attr, run, &w);
	pthread_attr_destroy(&attr);
	return rc == 0 ? -pthread_join(thread, NULL) : -rc;
}
