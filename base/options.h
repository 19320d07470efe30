/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * options: what a program is told on its command line, as a table: one row an option, read into a struct.
 * "--name value" and "--name=value" are the same. For commands whose arguments are all options. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/err.h"

#include <stdio.h>

enum option_form {
	OPTION_CSTR, /* const char * */
	OPTION_TEXT, /* struct str */
	OPTION_UINT, /* unsigned, at most `max` */
	OPTION_FLAG, /* bool; takes no value */
};
struct option_row {
	const char *name, *value, *help; /* "--workers", "N", one line */
	enum option_form form;
	size_t offset; /* in the struct that is filled */
	unsigned max;
};

/* options_parse: argv[1..] into `into`, which holds the defaults; keeps pointers into argv. 0, or -EINVAL (e:
 * which argument is wrong). options_help: a line a row. */
int options_parse(
	const struct option_row *rows, size_t n, int argc, char **argv, void *into, struct err *e);
void options_help(const struct option_row *rows, size_t n, FILE *to);

#endif
