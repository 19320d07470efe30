/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_device: what checks_device.c (claims) and checks_device_slice.c (offers) share. */
#ifndef ORCHESTRATOR_SCHEMA_CHECKS_DEVICE_H
#define ORCHESTRATOR_SCHEMA_CHECKS_DEVICE_H

#include "orchestrator/schema/checks_int.h"

/* check_pool: subdomains between slashes. check_attribute_name: [domain/]C identifier. Both at the member `at`. */
void check_pool(const struct schema_spot *s, struct str name, const char *at);
void check_attribute_name(const struct schema_spot *s, struct str name, const char *at);
/* check_binding: conditions for and against binding a pod, of the object whose path (with a dot at its end) is `at`. */
void check_binding(const struct schema_spot *s, const struct doc *d, const char *at);

#endif
