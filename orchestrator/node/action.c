/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * action: one check or hook in or at a container: a command, an HTTP GET, a TCP connection, gRPC's health check,
 * a pause.
 * Bounded by its timeout. Source: kubelet pkg/probe, lifecycle handlers (what counts as success). */
#include "orchestrator/node/grpc.h"
#include "orchestrator/node/node_int.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_MAX 1024
#define BODY_MAX 10240

struct action {
	struct ctr *c;
	action_done_fn *done;
	void *arg;
	struct loop_timer timer;
	struct loop_work work; /* a result that is known at once */
	struct runtime_exec *exec;
	struct http_fetch *fetch;
	struct loop_fd sock; /* fd -1 = none */
	struct http_addr at; /* whom it asks, and what; "" = not by HTTP */
	char url[600];
	char command[300]; /* "" = no command */
	int64_t timeout_ns;
	struct buf out;
	struct grpc_check grpc;
	bool sleeping, ok, hook, by_grpc;
	char text[OUTPUT_MAX + 200];
};

static void
action_free(void *p)
{
	struct action *x = p;
	buf_release(&x->out);
	grpc_check_release(&x->grpc);
	free(x);
}

static void
action_quit(struct action *x)
{
	struct loop *l = x->c->pod->node->loop;
	loop_timer_cancel(&x->timer);
	loop_defer_cancel(&x->work);
	if (x->exec)
		runtime_exec_close(TAKE_PTR(x->exec), true);
	if (x->fetch)
		http_fetch_cancel(TAKE_PTR(x->fetch));
	if (x->sock.loop)
		loop_fd_del(&x->sock);
	cleanup_fd(&x->sock.fd);
	x->sock.fd = -1;
	loop_free_later(l, action_free, x);
}

static void
finish(struct action *x, bool ok, const char *text)
{
	action_done_fn *done = x->done;
	void *arg = x->arg;
	if (text != x->text)
		snprintf(x->text, sizeof(x->text), "%s", text);
	action_quit(x);
	done(arg, ok, x->text);
}

void
action_cancel(struct action *x)
{
	if (x)
		action_quit(x);
}

static void
on_timer(struct loop_timer *t)
{
	struct action *x = t->arg;
	struct err e = {.code = -ETIMEDOUT};
	char took[40];
	duration_format(x->timeout_ns, took);
	if (x->command[0])
		snprintf(x->text, sizeof(x->text), "command timed out: \"%s\" timed out after %s",
			x->command, took);
	else if (x->by_grpc)
		snprintf(x->text, sizeof(x->text), "timeout: health rpc did not complete within %s",
			took);
	else
		probe_text(x->text, sizeof(x->text), x->url[0] ? x->url : NULL, &x->at.ip,
			x->at.port, &e);
	finish(x, x->sleeping, x->sleeping ? "" : x->text);
}

static void
on_known(struct loop_work *w)
{
	struct action *x = w->arg;
	finish(x, x->ok, x->text);
}

static int
known(struct action *x, bool ok, const char *text)
{
	x->ok = ok;
	snprintf(x->text, sizeof(x->text), "%s", text);
	loop_defer(x->c->pod->node->loop, &x->work);
	return 0;
}

/* ---- command ---- */

static bool
on_output(void *arg, enum runtime_stream s, struct str bytes)
{
	struct action *x = arg;
	(void)s;
	buf_str(&x->out,
		str_sub(bytes, 0,
			OUTPUT_MAX - (x->out.len < OUTPUT_MAX ? x->out.len : OUTPUT_MAX)));
	return true;
}

static void
on_ended(void *arg, int exit_code, const struct err *e)
{
	struct action *x = arg;
	x->exec = NULL;
	if (e && e->code)
		snprintf(x->text, sizeof(x->text), "%s", e->msg);
	else
		snprintf(x->text, sizeof(x->text), STR_FMT, STR_ARG(buf_view(&x->out)));
	finish(x, exit_code == 0 && !(e && e->code), x->text);
}

static int
start_exec(struct action *x, const struct core_v1_exec_action *s)
{
	static const struct runtime_exec_ops ops = {.on_output = on_output, .on_end = on_ended};
	struct err e = {0};
	struct runtime_exec_spec spec = {.container_id = str_c(x->c->id),
		.argv = s->command,
		.n_argv = s->n_command,
		.use_stdout = true,
		.use_stderr = true};
	_cleanup_buf_ struct buf words = BUF_INIT;
	for (size_t i = 0; i < s->n_command; i++)
		buf_fmt(&words, "%s" STR_FMT, i ? " " : "", STR_ARG(s->command[i]));
	str_copy_c(buf_view(&words), x->command, sizeof(x->command));
	int rc = runtime_exec_start(x->c->pod->node->rt, &spec, &ops, x, &x->exec, &e);
	return rc < 0 ? known(x, false, e.msg) : 0;
}

/* ---- network ---- */

/* port_of: a number, or the name of one of the container's ports; 0 = unknown. */
static uint16_t
port_of(const struct ctr *c, const struct int_or_str *v)
{
	const struct core_v1_container *s = ctr_spec(c);
	int64_t n = 0;
	if (!v->is_str)
		return (uint16_t)v->i;
	for (size_t i = 0; s && i < s->n_ports; i++)
		if (str_eq(s->ports[i].name, v->s))
			return (uint16_t)s->ports[i].container_port;
	return str_to_i64(v->s, &n) == 0 && n > 0 && n < 65536 ? (uint16_t)n : 0;
}

static void
on_fetched(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct action *x = arg;
	x->fetch = NULL;
	bool big = e && e->code == -EFBIG && resp;
	if (e && e->code && !big) {
		probe_text(x->text, sizeof(x->text), x->url, &x->at.ip, x->at.port, e);
		finish(x, false, x->text);
		return;
	}
	(void)body;
	snprintf(x->text, sizeof(x->text), "HTTP probe failed with statuscode: %d", resp->status);
	finish(x, x->hook || (resp->status >= 200 && resp->status < 400), x->text);
}

static int
start_http(struct action *x, const struct core_v1_http_get_action *s, int64_t timeout_ns)
{
	struct pod *p = x->c->pod;
	struct http_header h[34];
	size_t n = 0;
	struct err e = {0};
	char text[IP_TEXT_MAX] = "";
	_cleanup_buf_ struct buf url = BUF_INIT;
	bool tls = str_eq_nocase(s->scheme, STR("HTTPS")), agent = false, accept = false;
	struct http_addr at = {.port = port_of(x->c, &s->port)};
	if (s->host.n)
		ip_parse(s->host, &at.ip);
	else if (p->n_ips)
		at.ip = p->ips[0];
	if (at.ip.family)
		ip_format(&at.ip, text);
	buf_fmt(&url, "%s://", tls ? "https" : "http");
	if (at.ip.family == 6)
		buf_fmt(&url, "[%s]", text);
	else if (text[0])
		buf_cstr(&url, text);
	else
		buf_str(&url, s->host);
	buf_fmt(&url, ":%u%s" STR_FMT, at.port, s->path.n && s->path.p[0] == '/' ? "" : "/",
		STR_ARG(s->path));
	x->at = at;
	str_copy_c(buf_view(&url), x->url, sizeof(x->url));
	for (size_t i = 0; i < s->n_http_headers && n < 32; i++) {
		h[n++] = (struct http_header){s->http_headers[i].name, s->http_headers[i].value};
		agent = agent || str_eq_nocase(s->http_headers[i].name, STR("User-Agent"));
		accept = accept || str_eq_nocase(s->http_headers[i].name, STR("Accept"));
	}
	if (!agent)
		h[n++] = (struct http_header){STR("User-Agent"),
			x->hook ? STR("kube-lifecycle/1.37") : STR("kube-probe/1.37")};
	if (!accept)
		h[n++] = (struct http_header){STR("Accept"), STR("*/*")};
	struct http_call_spec spec = {.method = STR("GET"),
		.url = buf_view(&url),
		.tls = p->node->probe_tls,
		.headers = h,
		.n_headers = n,
		.addr = at.ip.family ? &at : NULL,
		.total_ns = timeout_ns,
		.fresh = true};
	int rc = http_fetch(p->node->http, &spec, BODY_MAX, on_fetched, x, &x->fetch, &e);
	return rc < 0 ? known(x, false, e.msg) : 0;
}

/* grpc_send: what the check wants sent; it is far less than a new connection takes at once. */
static bool
grpc_send(struct action *x)
{
	struct str out = buf_view(&x->grpc.out);
	bool ok = !out.n || send(x->sock.fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
	buf_clear(&x->grpc.out);
	return ok;
}

static void
on_grpc(struct loop_fd *w, uint32_t revents)
{
	struct action *x = w->arg;
	char bytes[4096];
	ssize_t n = read(w->fd, bytes, sizeof(bytes));
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int rc = n > 0 ? grpc_check_feed(&x->grpc, str_from(bytes, (size_t)n)) : -ECONNRESET;
	if (rc == 0 && grpc_send(x))
		return;
	const char *status = rc == 1 ? grpc_check_status(&x->grpc) : NULL;
	bool ok = status && strcmp(status, "SERVING") == 0;
	if (ok)
		snprintf(x->text, sizeof(x->text), "service healthy");
	else if (status)
		snprintf(x->text, sizeof(x->text), "service unhealthy (responded with \"%s\")",
			status);
	else
		snprintf(x->text, sizeof(x->text), "error: health rpc probe failed: %s",
			n == 0           ? "the connection ended"
				: n < 0  ? strerror(errno)
				: rc < 0 ? "the reply is not gRPC, or the call was refused"
					 : "the service has no health check by this name");
	finish(x, ok, x->text);
}

static void
on_connect(struct loop_fd *w, uint32_t revents)
{
	struct action *x = w->arg;
	int err = 0;
	socklen_t n = sizeof(err);
	(void)revents;
	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &n);
	if (x->by_grpc && err == 0 && grpc_send(x)) {
		loop_fd_del(w);
		w->events = EPOLLIN;
		w->fn = on_grpc;
		if (loop_fd_add(x->c->pod->node->loop, w) == 0)
			return;
		err = ENOMEM;
	}
	struct err e = {.code = -err};
	snprintf(e.msg, sizeof(e.msg), "connect: %s", strerror(err));
	probe_text(x->text, sizeof(x->text), NULL, &x->at.ip, x->at.port, &e);
	finish(x, err == 0 && !x->by_grpc, x->text);
}

/* dial: on_connect has its result, unless it is known. */
static int
dial(struct action *x, struct ip_addr ip, uint16_t port)
{
	struct pod *p = x->c->pod;
	struct sockaddr_storage sa = {0};
	socklen_t len = 0;
	if (ip.family == 4) {
		struct sockaddr_in *v4 = (void *)&sa;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip.b, 4);
		len = sizeof(*v4);
	} else if (ip.family == 6) {
		struct sockaddr_in6 *v6 = (void *)&sa;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, ip.b, 16);
		len = sizeof(*v6);
	} else {
		return known(x, false, "no address to connect to");
	}
	x->at = (struct http_addr){.ip = ip, .port = port};
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return known(x, false, strerror(errno));
	x->sock = (struct loop_fd){
		.fd = fd, .events = EPOLLOUT, .prio = LOOP_PRIO_IO, .fn = on_connect, .arg = x};
	if (connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return known(x, false, strerror(errno));
	return loop_fd_add(p->node->loop, &x->sock) < 0 ? known(x, false, "no memory") : 0;
}

static int
start_tcp(struct action *x, const struct core_v1_tcp_socket_action *s)
{
	struct pod *p = x->c->pod;
	struct ip_addr ip = {0};
	if (s->host.n)
		ip_parse(s->host, &ip);
	else if (p->n_ips)
		ip = p->ips[0];
	return dial(x, ip, port_of(x->c, &s->port));
}

static int
start_grpc(struct action *x, const struct core_v1_grpc_action *s)
{
	struct pod *p = x->c->pod;
	struct http_addr at = {
		.ip = p->n_ips ? p->ips[0] : (struct ip_addr){0}, .port = (uint16_t)s->port};
	char authority[HTTP_ADDR_TEXT];
	x->by_grpc = true;
	http_addr_format(&at, authority);
	if (grpc_check_begin(&x->grpc, str_c(authority), s->service) < 0)
		return known(x, false, "error: the name of the service is too long");
	return dial(x, at.ip, at.port);
}

int
action_start(struct ctr *c, const struct action_spec *s, action_done_fn *done, void *arg,
	struct action **ret)
{
	struct action *x = calloc(1, sizeof(*x));
	struct loop *l = c->pod->node->loop;
	int64_t wait_ns = s->timeout_ns;
	if (!x)
		return -ENOMEM;
	x->c = c;
	x->timeout_ns = s->timeout_ns;
	x->done = done;
	x->arg = arg;
	x->hook = s->hook;
	x->sock.fd = -1;
	x->timer = (struct loop_timer){.fn = on_timer, .arg = x};
	x->work = (struct loop_work){.fn = on_known, .arg = x};
	x->out.max = 2 * OUTPUT_MAX;
	if (s->exec)
		start_exec(x, s->exec);
	else if (s->http)
		start_http(x, s->http, wait_ns);
	else if (s->tcp)
		start_tcp(x, s->tcp);
	else if (s->grpc)
		start_grpc(x, s->grpc);
	else if (s->sleep) {
		x->sleeping = true;
		if (!wait_ns || s->sleep->seconds * NS_PER_SEC < wait_ns)
			wait_ns = s->sleep->seconds * NS_PER_SEC;
	} else {
		known(x, false, "this kind of check is not supported");
	}
	if (wait_ns || x->sleeping)
		loop_timer_after(l, &x->timer, wait_ns);
	*ret = x;
	return 0;
}
