/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * queue: a keyed work queue for one loop: deduplicated, delayed, rate-limited, as client-go's
 * workqueue: a key added while it is being worked on runs once more afterwards.
 * Source: client-go util/workqueue (item exponential back-off 5 ms .. 1000 s). */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include "base/hash.h"
#include "base/loop.h"

struct queue;

/* queue_new: fn(arg, key) is called on loop l, at most `parallel` keys in work at a time; fn must end
 * in exactly one queue_done for that key, at once or later. Returns owned. */
struct queue *queue_new(struct loop *l, const char *name, unsigned parallel,
	void (*fn)(void *arg, struct str key), void *arg);
void queue_free(struct queue *q);
/* queue_add: now; queue_add_after: not before delay (the earliest of several wins). Key is copied. */
void queue_add(struct queue *q, struct str key);
void queue_add_after(struct queue *q, struct str key, int64_t delay_ns);
/* queue_done: failed = false forgets the failures of the key; true adds it again after its back-off. */
void queue_done(struct queue *q, struct str key, bool failed);
/* queue_set_backoff: base and cap of the exponential back-off (default 5 ms, 1000 s). */
void queue_set_backoff(struct queue *q, int64_t base_ns, int64_t cap_ns);
size_t queue_len(const struct queue *q); /* waiting, delayed and in work */

#endif
