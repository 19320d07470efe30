/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * log_format: lines of container logs as CRI has them:
 *   2016-10-06T00:17:09.669794202Z stdout F text\n      (P instead of F: the line goes on in the next entry)
 * Pure functions. Source: Kubernetes design "CRI logging". */
#ifndef RUNTIME_LOG_FORMAT_H
#define RUNTIME_LOG_FORMAT_H

#include "base/buf.h"
#include "orchestrator/runtime/runtime.h"

#define LOG_LINE_MAX 16384 /* bytes of text in one entry; longer lines are cut into parts */

/* log_format_add: text of a stream as entries, all with this time. What does not end in a newline is written at
 * once as a part (P), so that nothing waits in memory. */
void log_format_add(struct buf *b, int64_t wall_ns, enum runtime_stream s, struct str text);

struct log_entry {
	struct str time; /* as written */
	int64_t at_ns;
	enum runtime_stream stream;
	bool partial;
	struct str text;
};
/* log_format_parse: one line without its newline. 0 or -EINVAL. Slices borrow. */
int log_format_parse(struct str line, struct log_entry *ret);

#endif
