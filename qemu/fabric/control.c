/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * control: what a test or keelctl may ask of a running fabric, one line a command: see fabric.h. */
#include "qemu/fabric/fabric.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

struct command {
	const char *name;
	unsigned n_args;
	int (*run)(struct fabric *f, const struct str *args, struct buf *out);
};

static int
link_pair(struct fabric *f, const struct str *args, struct fabric_link **ret_ab,
	struct fabric_link **ret_ba)
{
	int a = switch_port_find(f, args[0]), b = switch_port_find(f, args[1]);
	if (a < 0 || b < 0)
		return -ENOENT;
	*ret_ab = &f->links[a][b];
	*ret_ba = &f->links[b][a];
	return 0;
}

static int
run_cut(struct fabric *f, const struct str *args, struct buf *out)
{
	struct fabric_link *ab, *ba;
	(void)out;
	int rc = link_pair(f, args, &ab, &ba);
	if (rc == 0)
		ab->cut = ba->cut = true;
	return rc;
}

static int
run_heal(struct fabric *f, const struct str *args, struct buf *out)
{
	struct fabric_link *ab, *ba;
	(void)out;
	int rc = link_pair(f, args, &ab, &ba);
	if (rc == 0)
		*ab = *ba = (struct fabric_link){0};
	return rc;
}

static int
run_drop(struct fabric *f, const struct str *args, struct buf *out)
{
	struct fabric_link *ab, *ba;
	uint64_t v;
	(void)out;
	int rc = link_pair(f, args, &ab, &ba);
	if (rc < 0)
		return rc;
	if (str_to_u64(args[2], &v) < 0 || v > 100)
		return -EINVAL;
	ab->drop_percent = ba->drop_percent = (uint8_t)v;
	return 0;
}

static int
run_delay(struct fabric *f, const struct str *args, struct buf *out)
{
	struct fabric_link *ab, *ba;
	uint64_t v;
	(void)out;
	int rc = link_pair(f, args, &ab, &ba);
	if (rc < 0)
		return rc;
	if (str_to_u64(args[2], &v) < 0 || v > 60000)
		return -EINVAL;
	ab->delay_ms = ba->delay_ms = (uint32_t)v;
	return 0;
}

static int
run_forward(struct fabric *f, const struct str *args, struct buf *out)
{
	uint64_t host_port, port;
	if (str_to_u64(args[0], &host_port) < 0 || host_port > 65535 ||
		str_to_u64(args[2], &port) < 0 || port == 0 || port > 65535)
		return -EINVAL;
	int rc = gateway_forward(f, (uint16_t)host_port, args[1], (uint16_t)port);
	if (rc < 0)
		return rc;
	buf_fmt(out, "port %d\n", rc);
	return 0;
}

static int
run_host(struct fabric *f, const struct str *args, struct buf *out)
{
	(void)out;
	char addr[32];
	if (f->n_hosts >= ARRAY_LEN(f->hosts))
		return -ENOSPC;
	struct fabric_host *h = &f->hosts[f->n_hosts];
	if (!str_copy_c(args[0], h->name, sizeof(h->name)) ||
		!str_copy_c(args[1], addr, sizeof(addr)) || inet_pton(AF_INET, addr, h->v4) != 1)
		return -EINVAL;
	f->n_hosts++;
	return 0;
}

static int
run_status(struct fabric *f, const struct str *args, struct buf *out)
{
	(void)args;
	for (unsigned i = 0; i < f->n_ports; i++) {
		const struct fabric_port *p = &f->ports[i];
		bool up = i == FABRIC_GATEWAY || p->fd >= 0;
		buf_fmt(out, "port %s %s rx %llu tx %llu dropped %llu\n", p->name,
			up ? "up" : "down", (unsigned long long)p->rx, (unsigned long long)p->tx,
			(unsigned long long)p->dropped);
	}
	for (unsigned a = 0; a < f->n_ports; a++)
		for (unsigned b = a + 1; b < f->n_ports; b++) {
			const struct fabric_link *l = &f->links[a][b];
			if (l->cut || l->drop_percent || l->delay_ms)
				buf_fmt(out, "link %s %s cut %d drop %u%% delay %ums\n",
					f->ports[a].name, f->ports[b].name, l->cut, l->drop_percent,
					l->delay_ms);
		}
	gateway_status(f, out);
	return 0;
}

static int
run_stop(struct fabric *f, const struct str *args, struct buf *out)
{
	(void)args;
	(void)out;
	loop_stop(f->loop, 0);
	return 0;
}

static const struct command commands[] = {
	{"cut", 2, run_cut},
	{"heal", 2, run_heal},
	{"drop", 3, run_drop},
	{"delay", 3, run_delay},
	{"forward", 3, run_forward},
	{"host", 2, run_host},
	{"status", 0, run_status},
	{"stop", 0, run_stop},
};

void
control_run(struct fabric *f, struct str line, struct buf *out)
{
	struct str rest = str_trim(line), word, args[4];
	size_t n = 0;
	str_next(&rest, ' ', &word);
	while (n < ARRAY_LEN(args) && str_next(&rest, ' ', &args[n]))
		n += args[n].n > 0;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];
		if (!str_eq_c(word, c->name))
			continue;
		if (n != c->n_args) {
			buf_fmt(out, "error: %s takes %u arguments\n", c->name, c->n_args);
			return;
		}
		int rc = c->run(f, args, out);
		if (rc < 0)
			buf_fmt(out, "error: %s\n", strerror(-rc));
		else
			buf_cstr(out, "ok\n");
		return;
	}
	buf_fmt(out, "error: no command '" STR_FMT "'\n", STR_ARG(word));
}

/* ---- the socket: one SOCK_SEQPACKET message is one command, the answer is one message ---- */

struct peer {
	struct loop_fd w;
	struct fabric *f;
};

static void
peer_free(void *p)
{
	free(p);
}

static void
on_peer(struct loop_fd *w, uint32_t revents)
{
	struct peer *p = w->arg;
	char line[LINE_MAX_BYTES];
	(void)revents;
	ssize_t n = recv(w->fd, line, sizeof(line), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		control_run(p->f, str_from(line, (size_t)n), &out);
		if (!out.failed && send(w->fd, out.data, out.len, MSG_NOSIGNAL) >= 0)
			return;
	}
	loop_fd_del(w);
	close(w->fd);
	loop_free_later(p->f->loop, peer_free, p);
}

static void
on_control(struct loop_fd *w, uint32_t revents)
{
	struct fabric *f = w->arg;
	(void)revents;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;
	if (p) {
		p->f = f;
		p->w = (struct loop_fd){
			.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_peer, .arg = p};
	}
	if (fd >= 0 && (!p || loop_fd_add(f->loop, &p->w) < 0)) {
		close(fd);
		free(p);
	}
}

int
control_open(struct fabric *f)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/fabric.ctl", f->dir);
	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(sa.sun_path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 16) < 0)
		return -errno;
	f->control = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_ACCEPT, .fn = on_control, .arg = f};
	int rc = loop_fd_add(f->loop, &f->control);
	if (rc == 0)
		(void)TAKE_FD(fd);
	return rc;
}
