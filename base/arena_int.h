/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * arena_int: what the thread code of base/ must tell the arena; nobody else includes this. */
#ifndef BASE_ARENA_INT_H
#define BASE_ARENA_INT_H

/* arena_thread_end: gives the calling thread's spare chunks back to the system. Call it last. */
void arena_thread_end(void);

#endif
