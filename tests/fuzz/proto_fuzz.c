/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proto_fuzz: any bytes as a protobuf message: the fields lie inside the input, and what is malformed
 * stays refused. Messages inside of messages are followed three deep. */
#include "base/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
follow(struct str text, int depth)
{
	struct reader r = reader_of(text);
	struct proto_field f = {0};
	int rc = 1;
	while ((rc = proto_next(&r, &f)) == 1) {
		BUG_ON(f.number == 0 || f.number >= 1U << 29);
		if (f.wire != PROTO_LEN)
			continue;
		BUG_ON(f.bytes.n > text.n ||
			(f.bytes.n &&
				(f.bytes.p < text.p || f.bytes.p + f.bytes.n > text.p + text.n)));
		if (depth < 3)
			follow(f.bytes, depth + 1);
	}
	BUG_ON(rc < 0 && proto_next(&r, &f) >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	follow(str_from((const char *)data, size), 0);
	return 0;
}
