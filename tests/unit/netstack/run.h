/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * run.h: runs another program in a test and keeps what it prints (interoperation with openssl, curl). */
#ifndef TEST_RUN_H
#define TEST_RUN_H

#include "base/buf.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_ARGS_MAX 40

/* run_start: argv ends with NULL; *ret_out reads both of its outputs. Returns the pid, -1. */
static inline pid_t
run_start(const char *const *argv, int *ret_out, int *ret_in)
{
	int out[2], in[2];

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*ret_out = out[0];
	if (ret_in)
		*ret_in = in[1];
	else
		close(in[1]);
	return pid;
}

/* run: to its end; its exit status, output appended to b. */
static inline int
run_v(struct buf *b, const char *const *argv)
{
	int fd = -1, status = 0;
	char bytes[1024];
	ssize_t n = 0;
	pid_t pid = run_start(argv, &fd, NULL);

	while (pid > 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(b, bytes, (size_t)n);
	close(fd);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(b, ...) run_v((b), (const char *const[]){__VA_ARGS__, NULL})

/* run_have: is the program installed? */
static inline bool
run_have(const char *name)
{
	const char *path = getenv("PATH");
	struct str rest = str_c(path ? path : "/usr/bin"), dir = STR_NONE;
	char full[512];

	while (str_next(&rest, ':', &dir)) {
		snprintf(full, sizeof(full), STR_FMT "/%s", STR_ARG(dir), name);
		if (access(full, X_OK) == 0)
			return true;
	}
	return false;
}

#endif
