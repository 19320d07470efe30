/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * power: the power button, which the kernel shows as an input device with one key.
 * Source: linux/input.h, Documentation/input/event-codes.rst. */
#include "init/boot.h"

#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BUTTONS_MAX = 4, DEVICES_MAX = 32 };

static void
on_button(struct loop_fd *w, uint32_t revents)
{
	struct input_event ev;
	ssize_t n;
	(void)revents;
	while ((n = read(w->fd, &ev, sizeof(ev))) == sizeof(ev))
		if (ev.type == EV_KEY && ev.code == KEY_POWER && ev.value == 1)
			supervise_stop(w->arg, STOP_POWEROFF, "power button");
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		loop_fd_del(w);
		close(w->fd);
	}
}

static bool
has_power_key(int fd)
{
	uint8_t keys[KEY_MAX / 8 + 1] = {0};
	return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 &&
		keys[KEY_POWER / 8] >> (KEY_POWER % 8) & 1;
}

void
boot_power_button(struct supervisor *sv)
{
	static struct loop_fd buttons[BUTTONS_MAX];
	size_t n = 0;
	for (int i = 0; i < DEVICES_MAX && n < BUTTONS_MAX; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		struct loop_fd *w = &buttons[n];
		*w = (struct loop_fd){.fd = fd,
			.events = EPOLLIN,
			.prio = LOOP_PRIO_SIGNAL,
			.fn = on_button,
			.arg = sv};
		if (has_power_key(fd) && loop_fd_add(sv->loop, w) == 0)
			n++;
		else
			close(fd);
	}
}
