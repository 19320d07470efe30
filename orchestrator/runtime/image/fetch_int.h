/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fetch_int: what fetch.c and blob.c share. */
#ifndef RUNTIME_IMAGE_FETCH_INT_H
#define RUNTIME_IMAGE_FETCH_INT_H

#include "orchestrator/runtime/image/fetch.h"

void image_waiter_add(struct image_waiter **list, struct image_waiter *w, void *job);
void image_waiter_remove(struct image_waiter **list, struct image_waiter *w);
/* image_waiters_call: every waiter once; they may leave while being called, the list itself must not die. */
void image_waiters_call(struct image_waiter **list, const struct err *e);
/* image_fetcher_idle: frees a dead fetcher for which nothing works any more. */
void image_fetcher_idle(struct image_fetcher *f);

#endif
