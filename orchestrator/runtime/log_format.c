/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * log_format: see log_format.h. */
#include "orchestrator/runtime/log_format.h"

#include <errno.h>

#include "base/clock.h"

static const char *const stream_names[] = {
	[RUNTIME_STDOUT] = "stdout",
	[RUNTIME_STDERR] = "stderr",
};

void
log_format_add(struct buf *b, int64_t wall_ns, enum runtime_stream s, struct str text)
{
	char time[48];
	struct str stamp = str_from(time, rfc3339_format(wall_ns, 9, time));

	while (text.n) {
		ptrdiff_t end = str_find_char(text, '\n');
		size_t n = end < 0 ? text.n : (size_t)end;
		bool whole = end >= 0;

		if (n > LOG_LINE_MAX) {
			n = LOG_LINE_MAX;
			whole = false;
		}
		buf_str(b, stamp);
		buf_char(b, ' ');
		buf_cstr(b, stream_names[s]);
		buf_cstr(b, whole ? " F " : " P ");
		buf_str(b, str_sub(text, 0, n));
		buf_char(b, '\n');
		text = str_sub(text, n + whole, SIZE_MAX);
	}
}

int
log_format_parse(struct str line, struct log_entry *ret)
{
	struct log_entry l = {0};
	struct str rest = line;
	struct str part = STR_NONE;

	if (!str_next(&rest, ' ', &l.time) || rfc3339_parse(l.time, &l.at_ns))
		return -EINVAL;
	if (!str_next(&rest, ' ', &part))
		return -EINVAL;
	if (str_eq_c(part, stream_names[RUNTIME_STDOUT]))
		l.stream = RUNTIME_STDOUT;
	else if (str_eq_c(part, stream_names[RUNTIME_STDERR]))
		l.stream = RUNTIME_STDERR;
	else
		return -EINVAL;
	if (!str_next(&rest, ' ', &part))
		return -EINVAL;
	/* Tags are joined by ':'; the first says whether the line is whole. */
	str_cut(part, ':', &part, &(struct str){0});
	if (!str_eq_c(part, "F") && !str_eq_c(part, "P"))
		return -EINVAL;
	l.partial = str_eq_c(part, "P");
	l.text = str_is_set(rest) ? rest : STR("");
	*ret = l;
	return 0;
}
