/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * server_main: `keelson server`: a whole control plane as one ordinary process: store, API server and the
 * parts of server_parts. server_run is what the control role of a machine runs too (control_role.c).
 *
 * Order: keys, store, listeners, API server, first objects, parts, ready; the other way round at the end. SIGTERM and
 * SIGINT end it cleanly, and nothing that was acknowledged is lost by any other end. */
#include "base/disk.h"
#include "base/init_proto.h"
#include "base/log.h"
#include "base/options.h"
#include "orchestrator/api/api_int.h"
#include "orchestrator/api/server_int.h"
#include "orchestrator/kinds/kinds.h"

#include <stdio.h>

#define MAX_PARTS 16

struct server {
	const struct server_options *o;
	struct arena *a;
	struct loop *loop;
	struct api_pki pki;
	struct store *store;
	struct api_server *api;
	struct server_context ctx;
	void *parts[MAX_PARTS];
	size_t n_parts;
	struct loop_fd signals;
	struct init_client *init;
	int status;
};

/* ---- starting -------------------------------------------------------------------------------------- */

static struct str
url_of(struct server *s)
{
	if (s->o->server_url.n)
		return s->o->server_url;
	char text[HTTP_ADDR_TEXT];
	struct http_addr at = {0};
	http_addr_parse(str_c(s->o->listen), &at);
	static const uint8_t zero[16];
	if (memcmp(at.ip.b, zero, sizeof(zero)) == 0) /* all addresses: this machine's own */
		ip_parse(at.ip.family == 6 ? STR("::1") : STR("127.0.0.1"), &at.ip);
	at.port = api_server_port(s->api);
	size_t n = http_addr_format(&at, text);
	return arena_fmt(s->a, "https://%.*s", (int)n, text);
}

static int
kubeconfig_write(struct server *s, struct err *e)
{
	struct str text = api_pki_kubeconfig(&s->pki, s->a, url_of(s));
	char *path = arena_cstr(s->a, arena_fmt(s->a, "%s/kubeconfig", s->o->data_dir));
	if (!path)
		return -ENOMEM;
	int rc = disk_keep_file(path, text, 0600);
	return rc < 0 ? err_errno(e, rc, "writing '%s'", path) : 0;
}

/* on_exit_told: other processes' ends are told to roles that start some: not to this one. */
static void
on_exit_told(void *arg, int pid, int status, int64_t at_ns)
{
	(void)arg, (void)pid, (void)status, (void)at_ns;
}

static void
on_ready(void *arg)
{
	struct server *s = arg;
	struct err e = {0};
	int rc = s->o->no_kubeconfig ? 0 : kubeconfig_write(s, &e);
	for (size_t i = 0; rc == 0 && !s->o->api_only && server_parts[i] && i < MAX_PARTS; i++) {
		rc = server_parts[i]->start(&s->ctx, &s->parts[i], &e);
		if (rc < 0)
			err_wrap(&e, "starting %s", server_parts[i]->name);
		else
			s->n_parts++;
	}
	if (rc < 0) {
		log_error("%s", e.msg);
		s->status = 1;
		loop_stop(s->loop, 1);
		return;
	}
	log_info("ready on " STR_FMT, STR_ARG(url_of(s)));
	rc = s->init ? init_ready(s->init) : 0;
	if (rc < 0)
		log_warn("telling PID 1: %s", strerror(-rc));
}

static int
store_start(struct server *s, struct err *e)
{
	char *dir = arena_cstr(s->a, arena_fmt(s->a, "%s/store", s->o->data_dir));
	if (!dir)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	int rc = store_open(&(struct store_config){.dir = dir}, &s->store, e);
	return rc < 0 ? err_wrap(e, "opening the object store") : 0;
}

/* sockets_take: one listener for each worker, as the last process of the role left them with PID 1. */
static int
sockets_take(struct server *s, int *fds, size_t n, struct err *e)
{
	struct init_socket kept[API_WORKERS_MAX];
	struct http_addr at;
	int rc = init_client_new(s->loop, s->o->init_fd, on_exit_told, NULL, &s->init);
	if (rc == 0)
		rc = http_addr_parse(str_c(s->o->listen), &at);
	for (size_t i = 0; i < n; i++)
		snprintf(kept[i].name, sizeof(kept[i].name), INIT_LISTEN "%s/%zu", s->o->listen, i);
	if (rc == 0)
		rc = init_sockets(s->init, kept, n);
	if (rc < 0)
		return err_errno(e, rc, "asking PID 1 for the listeners");
	for (size_t i = 0; i < n; i++) {
		fds[i] = kept[i].fd;
		if (fds[i] >= 0)
			continue;
		rc = http_listen(&at, true, &fds[i], NULL, e);
		if (rc < 0)
			return rc;
		rc = init_fd_put(s->init, str_c(kept[i].name), fds[i]);
		if (rc < 0)
			return err_errno(e, rc, "giving a listener to PID 1");
	}
	return 0;
}

static int
api_start(struct server *s, struct err *e)
{
	const struct server_options *o = s->o;
	struct api_pki_spec spec = {.dir = o->data_dir,
		.server_ips = o->server_ips,
		.n_server_ips = o->n_server_ips,
		.server_names = o->server_names,
		.n_server_names = o->n_server_names,
		.cluster_domain = o->cluster_domain};
	int rc = api_pki_ensure(&spec, &s->pki, e);
	if (rc == 0)
		rc = store_start(s, e);
	if (rc < 0)
		return rc;
	struct api_config cfg = {.store = s->store,
		.listen = o->listen,
		.workers = o->workers,
		.pki = &s->pki,
		.service_cidr4 = o->service_cidr4,
		.service_cidr6 = o->service_cidr6,
		.advertise_ip4 = o->advertise_ip4,
		.advertise_ip6 = o->advertise_ip6,
		.cluster_domain = o->cluster_domain,
		.bootstrap_token = o->bootstrap_token,
		.kinds = &kinds_tables,
		.policy_status = !o->api_only};
	int fds[API_WORKERS_MAX];
	if (o->init_fd) {
		cfg.listen_fds = fds;
		cfg.n_listen_fds = api_workers(o->workers);
		rc = sockets_take(s, fds, cfg.n_listen_fds, e);
		if (rc < 0)
			return rc;
	}
	rc = api_server_new(&cfg, &s->api, e);
	if (rc < 0)
		return rc;
	s->ctx = (struct server_context){.api = s->api,
		.pki = &s->pki,
		.data_dir = o->data_dir,
		.service_cidr4 = o->service_cidr4,
		.service_cidr6 = o->service_cidr6,
		.pod_cidr4 = o->pod_cidr4,
		.pod_cidr6 = o->pod_cidr6,
		.cluster_domain = o->cluster_domain,
		.cluster_dns4 = o->cluster_dns4,
		.cluster_dns6 = o->cluster_dns6,
		.machine = o->machine};
	return api_server_start(s->api, s->loop, on_ready, s);
}

int
server_run(const struct server_options *o)
{
	struct server s = {.o = o};
	struct err e = {0};
	s.a = arena_new(0);
	s.loop = loop_new(NULL, "server");
	if (!s.a || !s.loop)
		return 1;
	int rc = disk_mkdirs(o->data_dir, 0700);
	if (rc < 0)
		err_errno(&e, rc, "making '%s'", o->data_dir);
	else if ((rc = loop_signals_take(s.loop, &s.signals)) < 0)
		err_errno(&e, rc, "taking signals");
	if (rc == 0)
		rc = api_start(&s, &e);
	if (rc < 0) {
		log_error("%s", e.msg);
		s.status = 1;
	} else {
		loop_run(s.loop);
	}
	if (s.api)
		api_server_quiesce(s.api);
	while (s.n_parts > 0) {
		s.n_parts--;
		server_parts[s.n_parts]->stop(s.parts[s.n_parts]);
	}
	if (s.api)
		api_server_stop(s.api);
	if (s.store)
		store_close(s.store);
	api_pki_release(&s.pki);
	if (s.init)
		init_client_free(s.init);
	loop_signals_release(&s.signals);
	loop_turn(s.loop, 0); /* what was to be freed at the end of the last turn */
	loop_free(s.loop);
	arena_free(s.a);
	return s.status;
}

/* ---- options --------------------------------------------------------------------------------------- */

static const struct server_options defaults = {
	.listen = "127.0.0.1:6443",
	.service_cidr4 = STR_INIT("10.96.0.0/16"),
	.service_cidr6 = STR_INIT("fd00:10:96::/112"),
	.pod_cidr4 = STR_INIT("10.244.0.0/16"),
	.pod_cidr6 = STR_INIT("fd00:10:244::/48"),
	.cluster_dns4 = STR_INIT("10.96.0.10"),
	.cluster_dns6 = STR_INIT("fd00:10:96::a"),
	.cluster_domain = STR_INIT("cluster.local"),
};

#define O(field) offsetof(struct server_options, field)
static const struct option_row options[] = {
	{"--data-dir", "DIR", "where keys and objects live; made when missing", OPTION_CSTR,
		O(data_dir), 0},
	{"--listen", "ADDR:PORT", "address to serve on [127.0.0.1:6443]; port 0 = any", OPTION_CSTR,
		O(listen), 0},
	{"--workers", "N", "serving threads [one a processor, at most 8]", OPTION_UINT, O(workers),
		64},
	{"--service-cidr", "CIDR", "addresses of services, IPv4 [10.96.0.0/16]", OPTION_TEXT,
		O(service_cidr4), 0},
	{"--service-cidr6", "CIDR", "the same, IPv6 [fd00:10:96::/112]", OPTION_TEXT,
		O(service_cidr6), 0},
	{"--pod-cidr", "CIDR", "addresses of pods, IPv4 [10.244.0.0/16]", OPTION_TEXT, O(pod_cidr4),
		0},
	{"--pod-cidr6", "CIDR", "the same, IPv6 [fd00:10:244::/48]", OPTION_TEXT, O(pod_cidr6), 0},
	{"--cluster-dns", "IP", "address of the cluster's name server [10.96.0.10]", OPTION_TEXT,
		O(cluster_dns4), 0},
	{"--cluster-domain", "NAME", "domain of service names [cluster.local]", OPTION_TEXT,
		O(cluster_domain), 0},
	{"--advertise", "IP", "address that pods reach this server by [the machine's]", OPTION_TEXT,
		O(advertise_ip4), 0},
	{"--server-url", "URL", "address in the kubeconfig [the listener's]", OPTION_TEXT,
		O(server_url), 0},
	{"--bootstrap-token", "TOKEN", "lets nodes join: 6 and 16 letters, a dot between",
		OPTION_TEXT, O(bootstrap_token), 0},
	{"--api-only", "", "no controllers and no scheduler: objects stay as clients left them",
		OPTION_FLAG, O(api_only), 0},
};

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: keelson server --data-dir DIR [options]\n\n"
		"A Kubernetes API server with its controllers and scheduler, as one ordinary process.\n"
		"Writes DIR/kubeconfig and logs one line when it is ready.\n\n");
	options_help(options, ARRAY_LEN(options), to);
}

/* advertise: who serves on a loopback address, or on all, says where the machine is found otherwise: Endpoints can name
 * nothing else. */
static void
advertise(struct server_options *o, char text[2][IP_TEXT_MAX])
{
	struct http_addr at = {0};
	struct ip_addr ip;
	struct str *const to[] = {&o->advertise_ip4, &o->advertise_ip6};
	if (http_addr_parse(str_c(o->listen), &at) < 0 ||
		(ip_is_set(&at.ip) && !ip_is_loopback(&at.ip) && !ip_is_unspecified(&at.ip)))
		return;
	for (uint8_t i = 0; i < ARRAY_LEN(to); i++)
		if (!to[i]->n && http_own_ip(i ? 6 : 4, &ip) == 0)
			*to[i] = str_from(text[i], ip_format(&ip, text[i]));
}

int
server_main(int argc, char **argv)
{
	struct server_options o = defaults;
	char own[2][IP_TEXT_MAX];
	struct err e = {0};
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (options_parse(options, ARRAY_LEN(options), argc, argv, &o, &e) == 0 && !o.data_dir)
		err_set(&e, -EINVAL, R_BAD_REQUEST, "--data-dir is needed");
	if (e.code) {
		fprintf(stderr, "keelson server: %s\n", e.msg);
		usage(stderr);
		return 2;
	}
	advertise(&o, own);
	log_setup("server", LOG_INFO);
	return server_run(&o);
}
