/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * check: the history checker as a program: reads histories (checker.h says what they are) one behind the
 * other, prints what cannot be and a sum, and ends with 1 when there was a fault. */
#include "tests/fault/checker.h"

#include "base/disk.h"

#include <inttypes.h>
#include <stdio.h>

static const char usage[] =
	"usage: check [--relists] [--cut] [--until POSITION] HISTORY [MORE...]\n\n"
	"  --relists   watchers may have had to list anew\n"
	"  --cut       the history stops in the middle\n"
	"  --until     of HISTORY only what was known when the recorded disk was so long\n";

enum { FILES_MAX = 8 };

int
main(int argc, char **argv)
{
	struct checker_options o = {0};
	struct checker_sum sum = {0};
	uint64_t until = UINT64_MAX;
	const char *files[FILES_MAX];
	struct buf texts[FILES_MAX] = {0};
	int n = 0, i = 1;
	for (; i < argc && n < FILES_MAX; i++) {
		struct str word = str_c(argv[i]);
		if (str_eq_c(word, "--relists"))
			o.relists = true;
		else if (str_eq_c(word, "--cut"))
			o.cut = true;
		else if (str_eq_c(word, "--until") && i + 1 < argc &&
			str_to_u64(str_c(argv[i + 1]), &until) == 0)
			i++;
		else if (!str_starts(word, STR("-")))
			files[n++] = argv[i];
		else
			break;
	}
	struct checker *c = i == argc && n ? checker_new() : NULL;
	if (!c) {
		fputs(usage, stderr);
		return 2;
	}
	for (int k = 0; k < n; k++) {
		int rc = disk_read_file(files[k], (size_t)4 << 30, &texts[k]);
		if (rc < 0) {
			fprintf(stderr, "check: %s: %s\n", files[k], strerror(-rc));
			return 2;
		}
		checker_read(c, buf_view(&texts[k]), k == 0 ? until : UINT64_MAX);
	}
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t faults = checker_judge(c, &o, &out, &sum);
	fwrite(out.data, 1, out.len, stdout);
	printf("%zu writes: %zu acknowledged, %zu unanswered, %zu refused; %zu changes, %zu watchers, "
	       "%zu lists anew; %zu faults\n",
		sum.writes, sum.acked, sum.open, sum.refused, sum.changes, sum.watchers,
		sum.relists, faults);
	checker_free(c);
	for (int k = 0; k < n; k++)
		buf_release(&texts[k]);
	return faults != 0;
}
