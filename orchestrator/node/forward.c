/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * forward: port-forward of the node API: SPDY streams in pairs (error, data) of one requestid, each data
 * stream joined to a connection inside the pod's network; on plain SPDY/3.1 or inside a WebSocket.
 * Source: Kubernetes port-forward protocol; KEP-4006. */
#include "orchestrator/node/node_int.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 4096

struct forward {
	struct node *n;
	struct spdy *spdy;
	char sandbox[RUNTIME_ID_LEN + 1];
	struct joint *joints;
	bool over;
};

/* One local connection of the client. */
struct joint {
	struct forward *f;
	struct joint *next;
	char id[40];
	uint16_t port;
	struct spdy_stream *error, *data;
	struct loop_fd sock;
	struct buf out; /* for the pod */
	bool out_eof, in_eof, connecting, shut;
};

static void
joint_close(struct joint *j)
{
	if (j->sock.loop)
		loop_fd_del(&j->sock);
	cleanup_fd(&j->sock.fd);
	j->sock.fd = -1;
}

/* joint_drop: no longer known to the forward; freed when no connect is under way. */
static void
joint_drop(struct joint *j)
{
	joint_close(j);
	if (j->f) {
		struct joint **at = &j->f->joints;
		while (*at && *at != j)
			at = &(*at)->next;
		if (*at)
			*at = j->next;
		if (j->error)
			spdy_stream_set(j->error, NULL);
		if (j->data)
			spdy_stream_set(j->data, NULL);
	}
	j->f = NULL;
	j->error = j->data = NULL;
	if (j->connecting)
		return; /* on_connected frees it */
	buf_release(&j->out);
	free(j);
}

static void
joint_fail(struct joint *j, const char *text)
{
	struct spdy_stream *data = j->data;
	if (j->error)
		spdy_write(j->error, str_c(text), true);
	joint_drop(j);
	if (data)
		spdy_reset(data, 5);
}

static void
joint_events(struct joint *j)
{
	uint32_t ev = (j->in_eof ? 0 : EPOLLIN) | (j->out.len ? EPOLLOUT : 0);
	if (j->sock.loop)
		loop_fd_mod(&j->sock, ev);
}

static void
joint_done(struct joint *j)
{
	if (!j->in_eof || !j->shut)
		return;
	if (j->error)
		spdy_write(j->error, STR(""), true);
	joint_drop(j);
}

static void
joint_write(struct joint *j)
{
	while (j->out.len && j->sock.fd >= 0) {
		ssize_t n = send(j->sock.fd, j->out.data, j->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		buf_consume(&j->out, n < 0 ? j->out.len : (size_t)n);
	}
	if (j->out_eof && j->out.len == 0 && !j->shut && j->sock.fd >= 0) {
		shutdown(j->sock.fd, SHUT_WR);
		j->shut = true;
	}
	spdy_pause(j->f->spdy, j->out.len > HTTP_QUEUE_HIGH);
	joint_events(j);
}

static void
on_sock(struct loop_fd *w, uint32_t revents)
{
	struct joint *j = w->arg;
	char bytes[READ_BYTES];
	if (revents & EPOLLOUT)
		joint_write(j);
	if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) || j->in_eof)
		return;
	ssize_t n = recv(j->sock.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		size_t queued = spdy_write(j->data, str_from(bytes, (size_t)n), false);
		if (queued > HTTP_QUEUE_HIGH)
			loop_fd_mod(&j->sock, j->out.len ? EPOLLOUT : 0);
		return;
	}
	j->in_eof = true;
	if (j->data)
		spdy_write(j->data, STR(""), true);
	joint_events(j);
	if (n < 0)
		j->shut = true;
	joint_done(j);
}

static void
on_connected(void *arg, int fd, const struct err *e)
{
	struct joint *j = arg;
	j->connecting = false;
	if (!j->f) {
		cleanup_fd(&fd);
		buf_release(&j->out);
		free(j);
		return;
	}
	if (e && e->code) {
		char text[700];
		snprintf(text, sizeof(text),
			"an error occurred forwarding %u -> %u: error forwarding port %u: %s",
			j->port, j->port, j->port, e->msg);
		joint_fail(j, text);
		return;
	}
	j->sock = (struct loop_fd){
		.fd = fd, .events = EPOLLIN, .prio = LOOP_PRIO_IO, .fn = on_sock, .arg = j};
	if (loop_fd_add(j->f->n->loop, &j->sock) < 0)
		joint_fail(j, "no memory");
	else
		joint_write(j);
}

static struct joint *
joint_of(struct forward *f, struct str id, uint16_t port)
{
	struct joint *j = f->joints;
	while (j && !(str_eq_c(id, j->id) && j->port == port))
		j = j->next;
	if (j)
		return j;
	j = calloc(1, sizeof(*j));
	if (!j)
		return NULL;
	*j = (struct joint){.f = f, .next = f->joints, .port = port, .sock = {.fd = -1}};
	str_copy_c(id, j->id, sizeof(j->id));
	f->joints = j;
	return j;
}

static void
on_open(void *arg, struct spdy_stream *st, const struct http_headers *h, bool fin)
{
	struct forward *f = arg;
	struct str type = http_headers_get(h, STR("streamtype"));
	struct str id = http_headers_get(h, STR("requestid"));
	uint64_t port = 0;
	(void)fin;
	bool ok = str_to_u64(http_headers_get(h, STR("port")), &port) == 0 && port > 0 &&
		port < 65536;
	struct joint *j = ok ? joint_of(f, str_is_set(id) ? id : STR(""), (uint16_t)port) : NULL;
	bool data = str_eq(type, STR("data")), error = str_eq(type, STR("error"));
	if (!j || (data && j->data) || (error && j->error) || (!data && !error)) {
		spdy_reset(st, 1);
		return;
	}
	spdy_stream_set(st, j);
	spdy_accept(st);
	*(data ? &j->data : &j->error) = st;
	if (!data)
		return;
	j->connecting = true;
	if (runtime_port_connect(f->n->rt, str_c(f->sandbox), j->port, on_connected, j) < 0) {
		j->connecting = false;
		joint_fail(j, "the pod has no network");
	}
}

static void
on_data(void *arg, struct spdy_stream *st, struct str bytes, bool fin)
{
	struct joint *j = spdy_stream_get(st);
	(void)arg;
	if (!j || st != j->data)
		return;
	buf_str(&j->out, bytes);
	j->out_eof = j->out_eof || fin;
	if (j->sock.fd >= 0) {
		joint_write(j);
		joint_done(j);
	}
}

static void
on_gone(void *arg, struct spdy_stream *st, int status)
{
	struct joint *j = spdy_stream_get(st);
	(void)arg;
	if (!j)
		return;
	if (st == j->error) {
		j->error = NULL;
		return;
	}
	j->data = NULL;
	if (status >= 0 || j->in_eof)
		joint_drop(j);
}

static void
forward_free(void *p)
{
	free(p);
}

static void
on_closed(void *arg, int error)
{
	struct forward *f = arg;
	(void)error;
	while (f->joints)
		joint_drop(f->joints);
	spdy_free(TAKE_PTR(f->spdy));
	loop_free_later(f->n->loop, forward_free, f);
}

static void
on_drain(void *arg)
{
	struct forward *f = arg;
	for (struct joint *j = f->joints; j; j = j->next)
		joint_events(j);
}

static int
open_plain(struct forward *f, struct http_req *r, const struct spdy_fns *fns)
{
	struct http_tunnel *t = NULL;
	bool known = http_headers_has_token(
		&r->headers, STR("X-Stream-Protocol-Version"), STR("portforward.k8s.io"));
	if (!known ||
		!str_eq_nocase(http_headers_get(&r->headers, STR("Upgrade")), STR("SPDY/3.1"))) {
		http_reply(r, 400, STR("text/plain; charset=utf-8"),
			STR("you must specify an upgrade\n"));
		return -EINVAL;
	}
	http_set_header(r, STR("X-Stream-Protocol-Version"), STR("portforward.k8s.io"));
	int rc = http_upgrade(r, STR("SPDY/3.1"), &t);
	if (rc == -EBUSY)
		http_reply(
			r, 400, STR("text/plain; charset=utf-8"), STR("a body is not expected\n"));
	return rc < 0 ? rc : spdy_on_tunnel(t, false, fns, f, &f->spdy);
}

void
serve_port_forward(struct node *n, struct http_req *r, struct pod *p)
{
	static const struct spdy_fns fns = {on_open, on_data, on_gone, NULL, on_closed, on_drain};
	struct forward *f = calloc(1, sizeof(*f));
	int rc;
	if (!f) {
		http_reply(r, 500, STR("text/plain; charset=utf-8"), STR("no memory\n"));
		return;
	}
	f->n = n;
	memcpy(f->sandbox, p->sandbox, sizeof(f->sandbox));
	if (ws_is_upgrade(r)) {
		rc = spdy_ws_accept(r, &fns, f, &f->spdy);
		if (rc == -EINVAL || rc == -EPROTONOSUPPORT)
			http_reply(r, rc == -EINVAL ? 400 : 403, STR("text/plain; charset=utf-8"),
				STR("unable to upgrade: no subprotocol of ours\n"));
	} else {
		rc = open_plain(f, r, &fns);
	}
	if (rc < 0)
		free(f);
}
