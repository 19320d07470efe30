/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * wire: sockets and TLS engines joined; contracts in wire.h.
 * Place in the flow: loop -> here -> server.c, client.c, tunnel.c.
 * Invariants: callbacks may free the wire: after each one `dead` is asked before it is touched again
 * (memory lives until the end of the turn). One read of at most 32 KiB and four reads a wake-up, so
 * that one busy peer does not hold the loop. */
#include "netstack/http/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (32 * 1024)
#define READS_A_TURN 4
#define SEAL_BYTES (16 * 1024)  /* TLS: collected this much: a record is full */
#define PUSH_BYTES (128 * 1024) /* TLS: sealed this much of a large write: it goes out at once */
#define PUSH_PARTS 8
#define LINGER_BYTES (1024 * 1024) /* thrown away at most after the end */

static _Thread_local uint8_t scratch[READ_BYTES];

static void wire_on_fd(struct loop_fd *lw, uint32_t revents);
static void wire_on_work(struct loop_work *work);

static void
list_remove(struct http_wire *w)
{
	if (!w->list)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		w->list->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->prev = w->next = NULL;
	w->list = NULL;
}

void
http_wire_list_set(struct http_wire *w, struct http_wire_list *list)
{
	list_remove(w);
	if (!list)
		return;
	w->list = list;
	w->next = list->first;
	if (w->next)
		w->next->prev = w;
	list->first = w;
}

void
http_wire_list_release(struct http_wire_list *list)
{
	while (list->first) {
		struct http_wire *w = list->first;
		list_remove(w);
		if (w->finishing)
			http_wire_free(w);
	}
}

/* events_wanted: what epoll shall watch for now; 0 = nothing, so the descriptor is taken out (hang-ups
 * are always reported and would spin). */
static uint32_t
events_wanted(const struct http_wire *w)
{
	uint32_t ev = 0;

	if (w->is_broken)
		return 0;
	if (w->connecting)
		return EPOLLOUT;
	if (!w->eof && (!w->paused || w->finishing || (w->tls && !w->ready)))
		ev |= EPOLLIN;
	else if (!w->eof && w->watch_gone)
		ev |= EPOLLRDHUP;
	size_t unsent = w->tls ? tls_wire(w->tls).n : w->out.len - w->out_off;
	if (unsent > 0)
		ev |= EPOLLOUT;
	return ev;
}

static void
watch(struct http_wire *w)
{
	uint32_t ev = events_wanted(w);

	if (w->dead)
		return;
	if (ev == 0) {
		if (w->watched)
			loop_fd_del(&w->w);
		w->watched = false;
	} else if (!w->watched) {
		w->w.events = ev;
		w->watched = loop_fd_add(w->loop, &w->w) == 0;
	} else if (w->w.events != ev) {
		loop_fd_mod(&w->w, ev);
	}
}

static void
wire_release(void *p)
{
	struct http_wire *w = p;

	tls_conn_free(w->tls);
	buf_release(&w->in);
	buf_release(&w->out);
	free(w);
}

void
http_wire_free(struct http_wire *w)
{
	if (!w || w->dead)
		return;
	w->dead = true;
	list_remove(w);
	if (w->watched)
		loop_fd_del(&w->w);
	w->watched = false;
	if (w->w.fd >= 0)
		close(w->w.fd);
	w->w.fd = -1;
	loop_defer_cancel(&w->work);
	loop_timer_cancel(&w->linger);
	loop_free_later(w->loop, wire_release, w);
}

/* fail: the transport is over; tells the owner once. */
static void
fail(struct http_wire *w, int code, const char *what)
{
	struct err e = {0};

	if (w->is_broken || w->dead)
		return;
	w->is_broken = true;
	if (w->tls && tls_error(w->tls, &e) < 0 && code == -EPROTO)
		code = e.code;
	else
		err_errno(&e, code, "%s", what);
	watch(w);
	if (w->finishing) {
		http_wire_free(w);
		return;
	}
	w->ops->broken(w->arg, &e);
}

static void
work_later(struct http_wire *w)
{
	if (!w->dead)
		loop_defer(w->loop, &w->work);
}

/* socket_setup: small writes leave at once; and a peer that lost its power is found out within 45 s, or by
 * the first probe when it is up again: a watch waits for events, and sends nothing that would be missed. */
static void
socket_setup(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 15},
		{IPPROTO_TCP, TCP_KEEPINTVL, 5},
		{IPPROTO_TCP, TCP_KEEPCNT, 6},
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int
http_wire_new(struct loop *l, int fd, bool connecting, struct tls_conn *tls,
	const struct http_wire_ops *ops, void *arg, struct http_wire_list *list,
	struct http_wire **ret)
{
	struct http_wire *w = calloc(1, sizeof(*w));

	if (!w) {
		close(fd);
		tls_conn_free(tls);
		return -ENOMEM;
	}
	w->loop = l;
	w->tls = tls;
	w->ops = ops;
	w->arg = arg;
	w->connecting = connecting;
	w->read_ns = w->sent_ns = loop_now_ns(l);
	w->w = (struct loop_fd){.fd = fd, .prio = LOOP_PRIO_IO, .fn = wire_on_fd, .arg = w};
	w->work = (struct loop_work){.fn = wire_on_work, .arg = w};
	http_wire_list_set(w, list);
	w->w.events = connecting ? EPOLLOUT : EPOLLIN;
	socket_setup(fd);
	int r = loop_fd_add(l, &w->w);
	if (r < 0) {
		http_wire_free(w);
		return r;
	}
	w->watched = true;
	work_later(w);
	*ret = w;
	return 0;
}

void
http_wire_own(struct http_wire *w, const struct http_wire_ops *ops, void *arg)
{
	w->ops = ops;
	w->arg = arg;
}

static struct str
input(const struct http_wire *w)
{
	if (w->tls)
		return tls_readable(w->tls);
	return str_sub(buf_view(&w->in), w->in_off, SIZE_MAX);
}

size_t
http_wire_pending(const struct http_wire *w)
{
	return input(w).n;
}

static void
input_take(struct http_wire *w, size_t n)
{
	if (w->tls) {
		tls_consume(w->tls, n);
		return;
	}
	w->in_off += n;
	if (w->in_off >= w->in.len) {
		buf_clear(&w->in);
		w->in_off = 0;
	} else if (w->in_off > w->in.len / 2) {
		buf_consume(&w->in, w->in_off);
		w->in_off = 0;
	}
}

/* offer: gives the owner what is there. False: the wire is dead. */
static bool
offer(struct http_wire *w)
{
	while (!w->dead && !w->paused && w->ready && !w->is_broken) {
		struct str in = input(w);
		if (in.n == 0)
			break;
		size_t n = w->finishing ? in.n : w->ops->data(w->arg, in);
		if (w->dead)
			return false;
		if (n == 0)
			break;
		input_take(w, n);
	}
	return !w->dead;
}

/* tell_eof: once, after all input was offered (or at once for an owner that only watches). */
static void
tell_eof(struct http_wire *w)
{
	if (!w->eof || w->eof_told || w->dead || !w->ready || w->is_broken)
		return;
	if (w->paused && !w->watch_gone && !w->finishing)
		return;
	w->eof_told = true;
	if (!w->finishing)
		w->ops->eof(w->arg);
}

/* became_ready: the handshake (if any) is over. */
static void
became_ready(struct http_wire *w)
{
	if (w->ready || w->connecting || (w->tls && !tls_established(w->tls)))
		return;
	w->ready = true;
	if (!w->finishing)
		w->ops->established(w->arg);
}

/* take_plain: one read offered straight from the scratch bytes when nothing is left from before. */
static bool
take_plain(struct http_wire *w, size_t n)
{
	struct str fresh = str_from((const char *)scratch, n);

	if (w->finishing) {
		w->lingered += n;
		return true;
	}
	if (w->in.len == 0 && !w->paused && w->ready) {
		size_t taken = w->ops->data(w->arg, fresh);
		if (w->dead)
			return false;
		fresh = str_sub(fresh, taken, SIZE_MAX);
		if (fresh.n == 0)
			return true;
		buf_str(&w->in, fresh);
		return taken == 0 || offer(w);
	}
	buf_str(&w->in, fresh);
	return offer(w);
}

/* is_plain_http: the first bytes of a client that does not speak TLS. */
static bool
is_plain_http(struct str bytes)
{
	static const char *const starts[] = {
		"GET /", "HEAD ", "POST ", "PUT /", "DELET", "PATCH", "OPTIO"};

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (str_starts(bytes, str_c(starts[i])))
			return true;
	return false;
}

static bool
take_tls(struct http_wire *w, size_t n)
{
	static const char plain[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
				    "Client sent an HTTP request to an HTTPS server.\n";
	int r = tls_feed(w->tls, scratch, n);

	if (r < 0 && !w->ready && tls_is_server(w->tls) &&
		is_plain_http(str_from((const char *)scratch, n))) {
		(void)!send(w->w.fd, plain, sizeof(plain) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		fail(w, -EPROTO, "plain HTTP on a port of TLS");
		return false;
	}
	became_ready(w);
	if (w->dead)
		return false;
	if (w->finishing) {
		w->lingered += n;
		tls_consume(w->tls, tls_readable(w->tls).n);
	}
	if (!offer(w))
		return false;
	if (r < 0) {
		work_later(w); /* an alert may be waiting: it is sent before the wire breaks */
		w->eof = true;
		return true;
	}
	if (tls_peer_closed(w->tls))
		w->eof = true;
	return true;
}

static void
read_some(struct http_wire *w)
{
	for (int i = 0; i < READS_A_TURN && !w->eof && !w->dead && !w->is_broken; i++) {
		if (w->paused && !w->finishing && w->ready)
			break;
		ssize_t n = read(w->w.fd, scratch, sizeof(scratch));
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				fail(w, -errno, "reading");
			return;
		}
		if (n == 0) {
			w->eof = true;
			if (!w->ready)
				fail(w, -ECONNRESET, "peer closed during the handshake");
			return;
		}
		w->read_ns = loop_now_ns(w->loop);
		if (!(w->tls ? take_tls(w, (size_t)n) : take_plain(w, (size_t)n)))
			return;
		if (w->in.failed) {
			fail(w, -ENOMEM, "reading");
			return;
		}
		if (w->lingered > LINGER_BYTES) {
			http_wire_free(w);
			return;
		}
		if ((size_t)n < sizeof(scratch))
			break;
	}
}

/* seal: collected plain bytes become records. */
static void
seal(struct http_wire *w)
{
	if (!w->tls || w->out.len == 0 || !w->ready)
		return;
	struct str all = buf_view(&w->out);
	tls_write(w->tls, &all, 1);
	buf_clear(&w->out);
	if (w->out.cap > SEAL_BYTES * 2)
		buf_release(&w->out);
}

/* send_out: what is ready, as far as the socket takes it. The bytes sent, or -errno. */
static ssize_t
send_out(struct http_wire *w)
{
	ssize_t sent = 0;

	for (;;) {
		struct str out = w->tls ? tls_wire(w->tls)
					: str_sub(buf_view(&w->out), w->out_off, SIZE_MAX);
		if (out.n == 0)
			break;
		ssize_t n = send(w->w.fd, out.p, out.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		sent += n;
		if (w->tls) {
			tls_wire_sent(w->tls, (size_t)n);
		} else {
			w->out_off += (size_t)n;
			if (w->out_off == w->out.len) {
				buf_clear(&w->out);
				w->out_off = 0;
			}
		}
	}
	if (sent > 0)
		w->sent_ns = loop_now_ns(w->loop);
	return sent;
}

static void
flush(struct http_wire *w)
{
	if (w->connecting || w->is_broken || w->dead)
		return;
	seal(w);
	if (w->shut && !w->shut_done && w->tls && w->ready)
		tls_close(w->tls);
	ssize_t sent = send_out(w);
	bool pushed = w->pushed;
	w->pushed = false;
	if (sent < 0)
		fail(w, (int)sent, "writing");
	else if ((sent > 0 || pushed) && !w->finishing)
		w->ops->sent(w->arg);
}

/* after: what every wake-up ends with. */
static void
after(struct http_wire *w)
{
	if (w->dead)
		return;
	flush(w);
	if (w->dead)
		return;
	if (w->tls && tls_error(w->tls, NULL) < 0 && !w->is_broken)
		fail(w, -EPROTO, "TLS");
	if (w->out.failed)
		fail(w, -ENOMEM, "writing");
	if (w->dead)
		return;
	if (w->shut && !w->shut_done && w->ready && http_wire_queued(w) == 0) {
		shutdown(w->w.fd, SHUT_WR);
		w->shut_done = true;
	}
	tell_eof(w);
	if (!w->dead && w->finishing && w->eof && http_wire_queued(w) == 0)
		http_wire_free(w);
	watch(w);
}

static void
connected(struct http_wire *w)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(w->w.fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error) {
		fail(w, -error, "connecting");
		return;
	}
	w->connecting = false;
	w->read_ns = w->sent_ns = loop_now_ns(w->loop);
	became_ready(w);
}

static void
wire_on_fd(struct loop_fd *lw, uint32_t revents)
{
	struct http_wire *w = lw->arg;

	if (w->dead || w->is_broken)
		return;
	if (w->connecting) {
		if (revents & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			connected(w);
		after(w);
		return;
	}
	if (revents & (EPOLLIN | EPOLLERR | EPOLLHUP))
		read_some(w);
	if (w->dead || w->is_broken)
		return;
	if (w->paused && w->watch_gone && (revents & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)))
		w->eof = true;
	else if (w->paused && (revents & (EPOLLERR | EPOLLHUP)) && w->watched) {
		/* Both ends are shut or reset, and input may be left: looked at again on resume. */
		loop_fd_del(&w->w);
		w->watched = false;
		if (http_wire_queued(w) > 0)
			fail(w, -ECONNRESET, "writing");
		return;
	}
	after(w);
}

static void
wire_on_work(struct loop_work *work)
{
	struct http_wire *w = work->arg;

	if (w->dead)
		return;
	became_ready(w);
	if (w->dead)
		return;
	if (w->kicked) {
		w->kicked = false;
		if (!offer(w))
			return;
	}
	after(w);
}

/* write_large: sealed piece by piece; all but the last go out as they come while the socket takes them, so that
 * records are sent out of the cache they were made in. What fails here fails again at the end of the turn. */
static void
write_large(struct http_wire *w, const struct str *parts, size_t n)
{
	size_t off = 0;

	while (n > 0) {
		struct str piece[PUSH_PARTS];
		size_t k = 0, room = PUSH_BYTES;
		for (; n > 0 && room > 0 && k < ARRAY_LEN(piece); k++) {
			piece[k] = str_sub(
				*parts, off, parts->n - off > room ? off + room : SIZE_MAX);
			room -= piece[k].n;
			off += piece[k].n;
			if (off == parts->n) {
				parts++;
				n--;
				off = 0;
			}
		}
		tls_write(w->tls, piece, k);
		bool blocked = w->watched && (w->w.events & EPOLLOUT);
		if (n > 0 && !blocked && send_out(w) > 0)
			w->pushed = true;
	}
}

size_t
http_wire_write(struct http_wire *w, const struct str *parts, size_t n)
{
	size_t bytes = 0;

	if (w->is_broken || w->dead || w->shut || w->finishing)
		return 0;
	for (size_t i = 0; i < n; i++)
		bytes += parts[i].n;
	if (http_wire_queued(w) == 0)
		w->sent_ns = loop_now_ns(w->loop);
	if (w->tls && w->ready && w->out.len + bytes > SEAL_BYTES) {
		seal(w);
		write_large(w, parts, n);
	} else {
		if (!w->tls && w->out_off > SEAL_BYTES && w->out_off > w->out.len / 2) {
			buf_consume(&w->out, w->out_off);
			w->out_off = 0;
		}
		for (size_t i = 0; i < n; i++)
			buf_str(&w->out, parts[i]);
	}
	work_later(w);
	return http_wire_queued(w);
}

size_t
http_wire_queued(const struct http_wire *w)
{
	return w->out.len - w->out_off + (w->tls ? tls_wire(w->tls).n : 0);
}

void
http_wire_pause(struct http_wire *w, bool paused, bool watch_gone)
{
	bool resumed = w->paused && !paused;

	w->paused = paused;
	w->watch_gone = watch_gone;
	if (resumed)
		http_wire_kick(w);
	else
		work_later(w);
}

void
http_wire_kick(struct http_wire *w)
{
	w->kicked = true;
	work_later(w);
}

void
http_wire_shutdown(struct http_wire *w)
{
	if (w->finishing)
		return;
	w->shut = true;
	work_later(w);
}

static void
linger_over(struct loop_timer *t)
{
	http_wire_free(t->arg);
}

void
http_wire_finish(struct http_wire *w, int64_t limit_ns)
{
	if (w->dead || w->finishing)
		return;
	if (w->is_broken || !w->list || !w->ready) {
		http_wire_free(w);
		return;
	}
	w->finishing = w->shut = true;
	w->paused = false;
	w->linger = (struct loop_timer){.fn = linger_over, .arg = w};
	loop_timer_after(w->loop, &w->linger, limit_ns);
	http_wire_kick(w);
}

void
http_wire_idle(struct http_wire *w)
{
	if (w->in.len == 0)
		buf_release(&w->in);
	if (w->out.len == 0)
		buf_release(&w->out);
	if (w->tls)
		tls_conn_idle(w->tls);
}
