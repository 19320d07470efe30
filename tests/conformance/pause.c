/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * pause: what the image of that name runs: nothing, until it is told to end; as process 1 of a shared namespace it
 * reaps. A program of the tests' images, static. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int
main(void)
{
	sigset_t wanted;
	int got = 0;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	while (got != SIGINT && got != SIGTERM) {
		sigwait(&wanted, &got);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return 0;
}
