/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * switch: ports on unix sockets, learning by source address, faults between chosen ports. A machine
 * that does not read loses frames once FABRIC_QUEUE_MAX bytes wait for it, as a wire would. */
#include "qemu/fabric/fabric.h"

#include "base/rand.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A frame on its way over a slow link. */
struct delayed {
	struct loop_timer timer;
	struct fabric *f;
	unsigned to;
	size_t n;
	uint8_t frame[];
};

static void
port_close(struct fabric_port *p)
{
	if (p->fd < 0)
		return;
	loop_fd_del(&p->w);
	close(p->fd);
	p->fd = -1;
	buf_clear(&p->in);
	buf_clear(&p->out);
}

static void
port_flush(struct fabric_port *p)
{
	while (p->out.len) {
		ssize_t n = send(p->fd, p->out.data, p->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			port_close(p);
			return;
		}
		buf_consume(&p->out, (size_t)n);
	}
	loop_fd_mod(&p->w, EPOLLIN | (p->out.len ? EPOLLOUT : 0u));
}

/* port_take: whole frames out of the input buffer. False when the peer broke the framing. */
static bool
port_take(struct fabric_port *p)
{
	size_t at = 0;
	while (p->in.len - at >= 4) {
		struct reader r = reader_of(str_from(p->in.data + at, p->in.len - at));
		uint32_t n = reader_be32(&r);
		if (n > FABRIC_FRAME_MAX)
			return false;
		if (p->in.len - at - 4 < n)
			break;
		p->rx++;
		if (n >= 14)
			switch_frame(p->f, p->index, (const uint8_t *)p->in.data + at + 4, n);
		if (p->fd < 0)
			return true;
		at += 4 + n;
	}
	buf_consume(&p->in, at);
	return true;
}

static void
on_port(struct loop_fd *w, uint32_t revents)
{
	struct fabric_port *p = w->arg;
	if (revents & EPOLLOUT)
		port_flush(p);
	if (p->fd < 0 || !(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	for (int round = 0; round < 8; round++) {
		char *at = buf_reserve(&p->in, 1 << 16);
		ssize_t n = at ? recv(p->fd, at, 1 << 16, MSG_DONTWAIT) : 0;
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			port_close(p);
			return;
		}
		buf_commit(&p->in, (size_t)n);
		if (!port_take(p)) {
			port_close(p);
			return;
		}
		if (p->fd < 0)
			return;
	}
}

static void
on_connect(struct loop_fd *w, uint32_t revents)
{
	struct fabric_port *p = w->arg;
	(void)revents;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	port_close(p); /* a machine started again takes its port over */
	int size = 1 << 20;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->fd = fd;
	p->w = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_port, .arg = p};
	if (loop_fd_add(p->f->loop, &p->w) < 0) {
		close(fd);
		p->fd = -1;
	}
}

int
switch_port_add(struct fabric *f, const char *name)
{
	if (f->n_ports >= FABRIC_PORTS_MAX)
		return -ENOSPC;
	struct fabric_port *p = &f->ports[f->n_ports];
	*p = (struct fabric_port){.fd = -1, .f = f, .index = f->n_ports};
	p->listener.fd = -1;
	str_copy_c(str_c(name), p->name, sizeof(p->name));
	if (f->n_ports == FABRIC_GATEWAY)
		return (int)f->n_ports++;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", f->dir, name);
	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(sa.sun_path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 4) < 0)
		return -errno;
	p->listener = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_ACCEPT, .fn = on_connect, .arg = p};
	int rc = loop_fd_add(f->loop, &p->listener);
	if (rc < 0)
		return rc;
	(void)TAKE_FD(fd);
	return (int)f->n_ports++;
}

int
switch_port_find(const struct fabric *f, struct str name)
{
	for (unsigned i = 0; i < f->n_ports; i++)
		if (str_eq_c(name, f->ports[i].name))
			return (int)i;
	return -ENOENT;
}

static void
port_send(struct fabric *f, unsigned to, const uint8_t *frame, size_t n)
{
	struct fabric_port *p = &f->ports[to];
	if (to == FABRIC_GATEWAY) {
		gateway_frame(f, frame, n);
		return;
	}
	if (p->fd < 0 || p->out.len > FABRIC_QUEUE_MAX) {
		p->dropped++;
		return;
	}
	bool idle = p->out.len == 0;
	buf_be32(&p->out, (uint32_t)n);
	buf_add(&p->out, frame, n);
	p->tx++;
	if (idle)
		port_flush(p);
}

static void
on_delayed(struct loop_timer *t)
{
	struct delayed *d = t->arg;
	port_send(d->f, d->to, d->frame, d->n);
	free(d);
}

static void
link_send(struct fabric *f, unsigned from, unsigned to, const uint8_t *frame, size_t n)
{
	const struct fabric_link *l = &f->links[from][to];
	if (l->cut || (l->drop_percent && rand_below(100) < l->drop_percent)) {
		f->ports[to].dropped++;
		return;
	}
	if (!l->delay_ms) {
		port_send(f, to, frame, n);
		return;
	}
	struct delayed *d = malloc(sizeof(*d) + n);
	if (!d)
		return;
	*d = (struct delayed){.f = f, .to = to, .n = n};
	memcpy(d->frame, frame, n);
	d->timer = (struct loop_timer){.fn = on_delayed, .arg = d};
	loop_timer_after(f->loop, &d->timer, (int64_t)l->delay_ms * NS_PER_MS);
}

static struct fabric_mac *
mac_slot(struct fabric *f, const uint8_t *mac, bool make)
{
	uint32_t h = hash_fnv32a(str_from((const char *)mac, 6));
	struct fabric_mac *victim = NULL;
	for (unsigned i = 0; i < 8; i++) {
		struct fabric_mac *m = &f->macs[(h + i) % ARRAY_LEN(f->macs)];
		if (m->used && !memcmp(m->mac, mac, 6))
			return m;
		if (!victim && !m->used)
			victim = m;
	}
	if (!make)
		return NULL;
	return victim ? victim : &f->macs[h % ARRAY_LEN(f->macs)];
}

void
switch_frame(struct fabric *f, unsigned from, const uint8_t *frame, size_t n)
{
	if (n < 14)
		return;
	if (!(frame[6] & 1)) {
		struct fabric_mac *m = mac_slot(f, frame + 6, true);
		memcpy(m->mac, frame + 6, 6);
		m->port = (uint8_t)from;
		m->used = true;
	}
	const struct fabric_mac *dst = frame[0] & 1 ? NULL : mac_slot(f, frame, false);
	if (dst) {
		if (dst->port != from)
			link_send(f, from, dst->port, frame, n);
		return;
	}
	for (unsigned i = 0; i < f->n_ports; i++)
		if (i != from)
			link_send(f, from, i, frame, n);
}

void
switch_release(struct fabric *f)
{
	for (unsigned i = 1; i < f->n_ports; i++) {
		struct fabric_port *p = &f->ports[i];
		port_close(p);
		buf_release(&p->in);
		buf_release(&p->out);
		loop_fd_del(&p->listener);
		close(p->listener.fd);
	}
	f->n_ports = 0;
}
