/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * options: see options.h. */
#include "base/options.h"

static int
set(const struct option_row *row, void *into, const char *value)
{
	char *at = (char *)into + row->offset;
	uint64_t n = 0;
	switch (row->form) {
	case OPTION_CSTR:
		*(const char **)(void *)at = value;
		return 0;
	case OPTION_TEXT:
		*(struct str *)(void *)at = str_c(value);
		return 0;
	case OPTION_UINT:
		if (str_to_u64(str_c(value), &n) < 0 || n > row->max)
			return -EINVAL;
		*(unsigned *)(void *)at = (unsigned)n;
		return 0;
	case OPTION_FLAG:
		*(bool *)(void *)at = true;
		return 0;
	}
	return 0;
}

static const struct option_row *
find(const struct option_row *rows, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_c(name, rows[i].name))
			return &rows[i];
	return NULL;
}

int
options_parse(
	const struct option_row *rows, size_t n, int argc, char **argv, void *into, struct err *e)
{
	for (int i = 1; i < argc; i++) {
		struct str name, value;
		bool joined = str_cut(str_c(argv[i]), '=', &name, &value);
		const struct option_row *row = find(rows, n, name);
		if (!row)
			return err_set(e, -EINVAL, R_BAD_REQUEST, "unknown option '%s'", argv[i]);
		bool flag = row->form == OPTION_FLAG;
		if (flag ? joined : !joined && i + 1 >= argc)
			return err_set(e, -EINVAL, R_BAD_REQUEST, "%s needs %s value", row->name,
				flag ? "no" : "a");
		if (set(row, into, flag ? "" : joined ? value.p : argv[++i]) < 0)
			return err_set(e, -EINVAL, R_BAD_REQUEST, "bad value for %s", row->name);
	}
	return 0;
}

void
options_help(const struct option_row *rows, size_t n, FILE *to)
{
	for (size_t i = 0; i < n; i++)
		fprintf(to, "  %-17s %-10s %s\n", rows[i].name, rows[i].value, rows[i].help);
}
