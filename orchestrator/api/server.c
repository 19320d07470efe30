/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server: makes, starts and stops the API server: tables, listeners, workers.
 *
 * A worker is a task with a loop, an HTTP server on the shared address and caches of its own. A loop that
 * has a direct client is a worker without listeners.
 * Invariants: the server's tables do not change after api_server_new; workers are only added.
 * Source: architecture.md section 3. */
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/custom.h"

#include "netstack/tls/x509.h"
#include "orchestrator/cel/cel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define WORKER_STACK (1024 * 1024)

/* ---- workers --------------------------------------------------------------------------------------- */

static void
workers_lock(struct api_server *s)
{
	while (atomic_flag_test_and_set_explicit(&s->workers_lock, memory_order_acquire))
		;
}

static void
workers_unlock(struct api_server *s)
{
	atomic_flag_clear_explicit(&s->workers_lock, memory_order_release);
}

struct api_worker *
api_worker_for(struct api_server *s, struct loop *l)
{
	struct api_worker *w = NULL;
	workers_lock(s);
	for (size_t i = 0; i < s->n_workers; i++)
		if (s->workers[i]->loop == l)
			w = s->workers[i];
	workers_unlock(s);
	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->s = s;
	w->loop = l;
	workers_lock(s);
	struct api_worker **more = realloc(s->workers, (s->n_workers + 1) * sizeof(*more));
	if (more) {
		s->workers = more;
		more[s->n_workers++] = w;
	}
	workers_unlock(s);
	if (!more) {
		free(w);
		return NULL;
	}
	return w;
}

static void
streams_stop(struct api_worker *w)
{
	while (w->streams) {
		struct stream *st = w->streams;
		st->stop(st);
		if (w->streams == st)
			stream_del(st);
	}
}

void
api_worker_free(struct api_worker *w)
{
	streams_stop(w);
	for (size_t i = 0; i < w->n_http; i++)
		http_server_free(w->http[i]);
	w->n_http = 0;
	node_proxy_free(w);
	rbac_cache_free(w->rbac);
	node_graph_free(w->graph);
	token_cache_free(w->tokens);
	hook_cache_free(w->hooks);
	customs_free(w);
	arena_free(w->scratch);
	w->rbac = NULL;
	w->graph = NULL;
	w->tokens = NULL;
	w->hooks = NULL;
	w->scratch = NULL;
}

unsigned
api_workers(unsigned wanted)
{
	long n = wanted ? (long)wanted : sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > API_WORKERS_MAX ? API_WORKERS_MAX : (unsigned)n;
}

/* On the worker's own thread, first. Each has a listener of its own, which the kernel shares connections out to;
 * where there are fewer, several have the same; where there are more, one has several. */
static void
worker_main(struct loop *l, void *arg)
{
	struct api_server *s = arg;
	struct api_worker *w = api_worker_for(s, l);
	size_t nth = atomic_fetch_add(&s->n_tasks, 1);
	for (size_t i = nth % s->n_listen_fds; w && i < s->n_listen_fds;
		i += api_workers(s->cfg.workers)) {
		struct http_server_config hc = {.loop = l,
			.tls = s->tls,
			.on_request = http_on_request,
			.arg = w,
			.listen_fd = fcntl(s->listen_fds[i], F_DUPFD_CLOEXEC, 3)};
		if (hc.listen_fd < 0 || http_server_new(&hc, &w->http[w->n_http]) < 0)
			continue;
		w->n_http++;
	}
}

static void
worker_exit(struct loop *l, void *arg)
{
	struct api_worker *w = api_worker_for(arg, l);
	if (w)
		api_worker_free(w);
}

/* ---- new ------------------------------------------------------------------------------------------- */

static struct str
or_default(struct arena *a, struct str s, const char *dflt)
{
	return s.n ? arena_str(a, s) : str_c(dflt);
}

static int
listen_open(struct api_server *s, struct err *e)
{
	if (s->cfg.n_listen_fds > API_LISTENERS_MAX)
		return err_set(e, -EINVAL, R_UNKNOWN, "too many listening sockets");
	for (size_t i = 0; i < s->cfg.n_listen_fds; i++)
		s->listen_fds[s->n_listen_fds++] = s->cfg.listen_fds[i];
	if (s->n_listen_fds)
		return http_listen_addr(s->listen_fds[0], &s->bound, e);
	if (!s->cfg.listen)
		return 0;
	if (http_addr_parse(str_c(s->cfg.listen), &s->bound) < 0)
		return err_set(e, -EINVAL, R_UNKNOWN, "'%s' is no address and port", s->cfg.listen);
	for (unsigned i = 0; i < api_workers(s->cfg.workers); i++) {
		int rc = http_listen(&s->bound, true, &s->listen_fds[i], &s->bound, e);
		if (rc < 0)
			return err_wrap(e, "listening on %s", s->cfg.listen);
		s->n_listen_fds++;
	}
	return 0;
}

static int
keys_load(struct api_server *s, struct err *e)
{
	const struct api_pki *p = s->cfg.pki;
	if (!p)
		return s->n_listen_fds ? err_set(e, -EINVAL, R_UNKNOWN, "a listener needs keys")
				       : 0;
	int rc = tls_key_parse(p->sa_key, &s->sa_key, e);
	if (rc < 0)
		return err_wrap(e, "service account key");
	struct buf kid;
	buf_init_arena(&kid, s->a);
	tls_pub_kid(tls_key_pub(s->sa_key), &kid);
	s->sa_kid = buf_view(&kid);
	struct tls_pair server = {p->server_cert, p->server_key};
	rc = tls_ctx_new(&(struct tls_config){.server = true,
				 .pairs = &server,
				 .n_pairs = 1,
				 .ca_pem = p->ca_cert,
				 .client_auth = TLS_CLIENT_OPTIONAL},
		&s->tls, e);
	if (rc < 0)
		return err_wrap(e, "serving certificate");
	struct tls_pair kubelet = {p->kubelet_client_cert, p->kubelet_client_key};
	rc = tls_ctx_new(
		&(struct tls_config){.pairs = &kubelet, .n_pairs = 1, .ca_pem = p->ca_cert},
		&s->kubelet_tls, e);
	if (rc < 0)
		return err_wrap(e, "kubelet client certificate");
	return tls_ctx_new(&(struct tls_config){.insecure = true}, &s->pod_tls, e);
}

static void
server_free(struct api_server *s)
{
	for (size_t i = 0; i < s->n_listen_fds; i++)
		close(s->listen_fds[i]);
	for (int i = 0; i < 2; i++)
		if (s->stop_pipe[i] > 0)
			close(s->stop_pipe[i]);
	for (size_t i = 0; i < s->n_workers; i++)
		free(s->workers[i]);
	free(s->workers);
	api_docs_unref(s->custom_docs);
	api_docs_free(s->docs);
	tls_ctx_unref(s->tls);
	tls_ctx_unref(s->kubelet_tls);
	tls_ctx_unref(s->pod_tls);
	tls_key_free(s->sa_key);
	map_release(&s->by_path);
	custom_pool_unref(s->customs);
	arena_free(s->a);
	free(s);
}

static void
config_take(struct api_server *s, const struct api_config *cfg)
{
	s->cfg = *cfg;
	s->store = cfg->store;
	s->schema = schema_builtin();
	s->kinds = cfg->kinds;
	s->cfg.service_cidr4 = arena_str(s->a, cfg->service_cidr4);
	s->cfg.service_cidr6 = arena_str(s->a, cfg->service_cidr6);
	s->cfg.bootstrap_token = arena_str(s->a, cfg->bootstrap_token);
	s->cfg.advertise_ip4 = arena_str(s->a, cfg->advertise_ip4);
	s->cfg.advertise_ip6 = arena_str(s->a, cfg->advertise_ip6);
	s->cluster_domain = or_default(s->a, cfg->cluster_domain, "cluster.local");
	s->sa_issuer = cfg->sa_issuer.n ? arena_str(s->a, cfg->sa_issuer)
					: arena_fmt(s->a, "https://kubernetes.default.svc." STR_FMT,
						  STR_ARG(s->cluster_domain));
	ip_prefix_parse(s->cfg.service_cidr4, &s->ranges.service[0]);
	ip_prefix_parse(s->cfg.service_cidr6, &s->ranges.service[1]);
	if (!s->cfg.max_readonly_inflight)
		s->cfg.max_readonly_inflight = 400;
	if (!s->cfg.max_mutating_inflight)
		s->cfg.max_mutating_inflight = 200;
}

int
api_server_new(const struct api_config *cfg, struct api_server **ret, struct err *e)
{
	struct api_server *s = calloc(1, sizeof(*s));
	if (!s || !(s->a = arena_new(0)) || !(s->customs = custom_pool_new())) {
		if (s)
			arena_free(s->a);
		free(s);
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	}
	cel_rules_install();
	atomic_flag_clear(&s->workers_lock);
	map_init(&s->by_path);
	config_take(s, cfg);
	int rc = pipe2(s->stop_pipe, O_CLOEXEC) < 0 ? -errno : listen_open(s, e);
	if (rc == 0)
		rc = keys_load(s, e);
	if (rc == 0)
		rc = api_resources_build(s, e);
	if (rc == 0)
		rc = api_docs_new(s);
	if (rc < 0) {
		if (e && !e->code)
			err_errno(e, rc, "making the API server");
		server_free(s);
		return rc;
	}
	s->cfg.pki = NULL;
	*ret = s;
	return 0;
}

uint16_t
api_server_port(const struct api_server *s)
{
	return s->bound.port;
}

/* ---- start and stop -------------------------------------------------------------------------------- */

int
api_server_start(struct api_server *s, struct loop *loop, void (*ready)(void *arg), void *arg)
{
	s->start_loop = loop;
	s->start_ready = ready;
	s->start_arg = arg;
	return bootstrap_start(s);
}

/* bootstrap.c calls this when the first objects are there. */
int
server_serve(struct api_server *s)
{
	unsigned n = s->n_listen_fds ? api_workers(s->cfg.workers) : 0;
	for (unsigned i = 0; i < n; i++) {
		int rc = loop_task_start(s->cfg.world, "api", WORKER_STACK, worker_main,
			worker_exit, s, &s->task_loops[i]);
		if (rc < 0)
			return rc;
	}
	atomic_store(&s->ready, true);
	if (s->start_ready)
		s->start_ready(s->start_arg);
	return 0;
}

/* Whoever ends says so through a pipe, so that stopping waits for it and not for a time. */
static void
stop_tell(struct api_server *s)
{
	char byte = 0;
	ssize_t n = write(s->stop_pipe[1], &byte, 1);
	(void)n;
}

static void
on_told(struct loop_fd *w, uint32_t events)
{
	char byte;
	(void)events;
	if (read(w->fd, &byte, 1) == 1)
		*(bool *)w->arg = true;
}

/* stop_wait: the loop goes on turning meanwhile: what is awaited may be an answer on it. */
static void
stop_wait(struct api_server *s)
{
	bool told = false;
	struct loop_fd w = {.fd = s->stop_pipe[0],
		.events = EPOLLIN,
		.prio = LOOP_PRIO_IO,
		.fn = on_told,
		.arg = &told};
	int64_t until_ns = clock_mono_ns() + 10 * NS_PER_SEC, left_ns;
	if (loop_fd_add(s->start_loop, &w) < 0)
		return;
	while (!told && (left_ns = until_ns - clock_mono_ns()) > 0)
		loop_turn(s->start_loop, left_ns);
	loop_fd_del(&w);
}

void
commit_ended(struct api_server *s)
{
	if (atomic_fetch_sub(&s->commits, 1) == 1 && atomic_load(&s->stopping))
		stop_tell(s);
}

static bool
commits_over(void *arg)
{
	struct api_server *s = arg;
	return atomic_load(&s->commits) == 0;
}

void
api_server_quiesce(struct api_server *s)
{
	if (atomic_exchange(&s->stopping, true))
		return;
	/* one count of our own, so that the last commit's end is told exactly once */
	atomic_fetch_add(&s->commits, 1);
	commit_ended(s);
	if (s->cfg.world)
		world_run(s->cfg.world, INT64_MAX, commits_over, s);
	else
		stop_wait(s);
}

static void
http_stopped(void *arg)
{
	struct api_worker *w = arg;
	if (--w->n_http_open == 0)
		stop_tell(w->s);
}

static void
worker_stop(void *arg)
{
	struct api_worker *w = arg;
	streams_stop(w);
	w->n_http_open = w->n_http;
	for (size_t i = 0; i < w->n_http; i++)
		http_server_stop(w->http[i], http_stopped, w);
	if (w->n_http == 0)
		stop_tell(w->s);
}

void
api_server_stop(struct api_server *s)
{
	api_server_quiesce(s);
	for (size_t i = 0; i < API_WORKERS_MAX; i++) {
		struct api_worker *w = s->task_loops[i] ? api_worker_for(s, s->task_loops[i])
							: NULL;
		if (w && loop_post(w->loop, worker_stop, w) == 0)
			stop_wait(s);
	}
	for (size_t i = 0; i < API_WORKERS_MAX; i++)
		if (s->task_loops[i])
			loop_task_join(s->task_loops[i]);
	bootstrap_stop(s);
	/* what is left belongs to loops of direct clients, which have ended or are this one */
	for (size_t i = 0; i < s->n_workers; i++)
		api_worker_free(s->workers[i]);
	server_free(s);
}
