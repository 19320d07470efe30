/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * loop_signals: how a program that is a loop is told to end; see loop.h. Source: signalfd(2). */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void
on_signal(struct loop_fd *w, uint32_t events)
{
	(void)events;
	struct signalfd_siginfo si;
	if (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		loop_stop(w->arg, 0);
}

int
loop_signals_take(struct loop *l, struct loop_fd *w)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	*w = (struct loop_fd){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.prio = LOOP_PRIO_SIGNAL,
		.fn = on_signal,
		.arg = l};
	int rc = w->fd < 0 ? -errno : loop_fd_add(l, w);
	if (rc < 0)
		loop_signals_release(w);
	return rc;
}

void
loop_signals_release(struct loop_fd *w)
{
	if (w->loop)
		loop_fd_del(w);
	if (w->fn && w->fd >= 0)
		close(w->fd);
	*w = (struct loop_fd){0};
}
