/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * sh: /bin/sh of the image busybox: busybox's own shell, whose messages specs compare, but where it would drop
 * something: Debian's does not pass on variables that no shell could name, as "data-1" (later ones do), and specs look
 * for them. Then it is bash. */
#include <ctype.h>
#include <stdbool.h>
#include <unistd.h>

extern char **environ;

static bool
nameable(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return *s == '=';
}

int
main(int argc, char **argv)
{
	const char *shell = "/bin/busybox";
	(void)argc;
	for (char **e = environ; *e; e++)
		if (!nameable(*e))
			shell = "/bin/bash";
	execv(shell, argv);
	return 127;
}
