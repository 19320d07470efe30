/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * kinds: front door: what no table can say about a kind (one file per kind or family) and the built-in
 * admission plugins, as the tables that api/kind.h asks for.
 * Invariants: functions of their request alone: no state of their own, no I/O but request_read and its
 * like. Sources: kube-apiserver pkg/registry, pkg/apis/core/validation (behaviour and wording), plugin/pkg/admission. */
#ifndef ORCHESTRATOR_KINDS_KINDS_H
#define ORCHESTRATOR_KINDS_KINDS_H

#include "orchestrator/api/kind.h"

/* Everything there is; for struct api_config. */
extern const struct kind_tables kinds_tables;

#endif
