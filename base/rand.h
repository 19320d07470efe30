/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rand: the only source of randomness above base/. getrandom(2), or a seeded stream in a simulation. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/str.h"

/* rand_bytes: cryptographic unless a seed was set. */
void rand_bytes(void *out, size_t n);
uint64_t rand_u64(void);
/* rand_below: uniform in [0, n), n > 0. */
uint64_t rand_below(uint64_t n);
/* rand_set_seed: this process draws from a reproducible stream from now on (simulation, tests). */
void rand_set_seed(uint64_t seed);
bool rand_is_seeded(void);
/* rand_uuid: RFC 4122 version 4 in lower-case text, 36 bytes + NUL. */
void rand_uuid(char out[37]);
/* rand_suffix: n letters of upstream's generateName alphabet "bcdfghjklmnpqrstvwxz2456789" + NUL. */
void rand_suffix(char *out, size_t n);

#endif
