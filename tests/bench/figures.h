/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * figures.h: what load programs read of other processes (CPU, memory), samples with their percentiles, and rows of
 * the table of `make bench`. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "base/buf.h"
#include "base/disk.h"
#include "base/err.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct samples {
	int64_t *ns;
	size_t n, cap;
};

/* tasks_cpu_ns: of all threads of a process, by the scheduler's own count. */
static inline int64_t
tasks_cpu_ns(unsigned pid)
{
	char path[300];
	int64_t sum = 0;
	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct str first, rest;
		uint64_t ns = 0;
		snprintf(path, sizeof(path), "/proc/%u/task/%.20s/schedstat", pid, e->d_name);
		if (e->d_name[0] == '.' || disk_read_file(path, 4096, &text) < 0)
			continue;
		str_cut(buf_view(&text), ' ', &first, &rest);
		str_to_u64(first, &ns);
		sum += (int64_t)ns;
	}
	closedir(d);
	return sum;
}

static inline uint64_t
pss_kib(unsigned pid)
{
	char path[64];
	_cleanup_buf_ struct buf text = BUF_INIT;
	uint64_t kib = 0;
	snprintf(path, sizeof(path), "/proc/%u/smaps_rollup", pid);
	if (disk_read_file(path, 1 << 16, &text) < 0)
		return 0;
	struct str rest = buf_view(&text), line, number, unit;
	while (str_next(&rest, '\n', &line))
		if (str_starts(line, STR("Pss:"))) {
			str_cut(str_trim(str_sub(line, 4, SIZE_MAX)), ' ', &number, &unit);
			str_to_u64(number, &kib);
		}
	return kib;
}

/* figure: a row as tests/bench/lib.sh has them (there: row); floor and target are "-" where nothing was set. wall: a time
 * on the wall, or made of one: under load it is not judged. */
static inline void
figure(const char *what, double value, const char *unit, const char *cmp, const char *floor,
	const char *target, bool wall)
{
	int digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
	printf("row|%s|%.*f|%s|%s|%s|%s|%s\n", what, digits, value, unit, cmp, floor, target,
		wall ? "wall" : "");
}

/* figure_missing: the row of what could not be measured, and why. */
static inline void
figure_missing(const char *what, const char *unit, const char *cmp, const char *floor,
	const char *target, const char *why)
{
	printf("row|%s|-|%s|%s|%s|%s|%s\n", what, unit, cmp, floor, target, why);
}

static inline void
sample_add(struct samples *s, int64_t ns)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 4096;
		s->ns = realloc(s->ns, s->cap * sizeof(*s->ns));
		BUG_ON(!s->ns);
	}
	s->ns[s->n++] = ns;
}

static inline int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* percentile_us: of sorted samples. */
static inline double
percentile_us(const struct samples *s, size_t percent)
{
	return s->n ? (double)s->ns[(s->n - 1) * percent / 100] / 1e3 : 0;
}

#endif
