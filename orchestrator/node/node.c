/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * node: the main of the role: opens what the kernel and the disk hold, takes the containers back, joins,
 * then runs its loop. See node.h. */
#include "orchestrator/node/node.h"

#include "base/disk.h"
#include "orchestrator/node/node_int.h"
#include "orchestrator/nodenet/nodenet.h"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

/* ---- names of registries, by the system's resolver on a helper thread ---- */

struct lookup {
	struct loop *loop;
	struct http_resolve *q; /* NULL: no longer wanted */
	struct lookup *next, **prev;
	char host[256];
	struct ip_addr ips[8];
	size_t n;
	int error;
};

static struct lookup *lookups;

int
host_lookup(const char *host, struct ip_addr *ret, size_t max)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
	int rc = getaddrinfo(host, NULL, &hints, &all);
	size_t n = 0;
	if (rc != 0)
		return rc == EAI_AGAIN ? -EAGAIN : -ENOENT;
	for (struct addrinfo *i = all; i && n < max; i = i->ai_next) {
		struct ip_addr *a = &ret[n];
		if (i->ai_family == AF_INET) {
			a->family = 4;
			memcpy(a->b, &((struct sockaddr_in *)(void *)i->ai_addr)->sin_addr, 4);
		} else if (i->ai_family == AF_INET6) {
			a->family = 6;
			memcpy(a->b, &((struct sockaddr_in6 *)(void *)i->ai_addr)->sin6_addr, 16);
		}
		n += a->family != 0;
	}
	freeaddrinfo(all);
	return (int)n;
}

static void
lookup_run(void *arg)
{
	struct lookup *x = arg;
	int rc = host_lookup(x->host, x->ips, ARRAY_LEN(x->ips));
	x->error = rc < 0 ? rc : 0;
	x->n = rc < 0 ? 0 : (size_t)rc;
}

static void
lookup_done(void *arg)
{
	struct lookup *x = arg;
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	if (x->q)
		http_resolved(x->q, x->error, x->ips, x->n);
	free(x);
}

static void
lookup_start(void *arg, struct str host, struct http_resolve *q)
{
	struct node *n = arg;
	struct lookup *x = calloc(1, sizeof(*x));
	if (!x || !str_copy_c(host, x->host, sizeof(x->host))) {
		free(x);
		http_resolved(q, -ENOENT, NULL, 0);
		return;
	}
	x->q = q;
	x->next = lookups;
	x->prev = &lookups;
	if (lookups)
		lookups->prev = &x->next;
	lookups = x;
	if (loop_blocking(n->loop, lookup_run, lookup_done, x) < 0) {
		x->error = -ENOMEM;
		lookup_done(x);
	}
}

static void
lookup_cancel(void *arg, struct http_resolve *q)
{
	(void)arg;
	for (struct lookup *x = lookups; x; x = x->next)
		if (x->q == q)
			x->q = NULL;
}

/* ---- start ---- */

static int
open_runtime(struct node *n, const char *data, struct err *e)
{
	static const char *const pod_init[] = {"/proc/self/exe", "pod-init", NULL};
	const struct machine_config *c = n->cfg;
	char dir[220];
	struct runtime_registry *reg = calloc(c->n_registries + 1, sizeof(*reg));
	struct runtime_registry_endpoint *ep = calloc(c->n_registries + 1, sizeof(*ep));
	if (!reg || !ep)
		return err_errno(e, -ENOMEM, "container runtime");
	for (size_t i = 0; i < c->n_registries; i++) {
		ep[i] = (struct runtime_registry_endpoint){.host = c->registries[i].prefix,
			.path = STR(""),
			.plain_http = c->registries[i].plain_http,
			.ca_pem = c->registries[i].ca};
		reg[i] = (struct runtime_registry){c->registries[i].prefix, &ep[i], 1};
	}
	snprintf(dir, sizeof(dir), "%s/runtime", data);
	struct runtime_config cfg = {.data_dir = str_c(dir),
		.run_dir = STR("/run/keelson/runtime"),
		.cgroup_mount = STR("/sys/fs/cgroup"),
		.cgroup_parent = STR("kubepods"),
		.allow_missing_controllers = getenv("KEELSON_CONFIG") != NULL,
		.init_fd = INIT_FD,
		.pod_init_argv = pod_init,
		.registries = reg,
		.n_registries = c->n_registries,
		.http = n->http,
		.on_event = pods_on_runtime,
		.arg = n};
	int rc = runtime_new(n->loop, &cfg, &n->rt, e);
	free(reg);
	free(ep);
	if (rc < 0)
		return rc;
	/* Who asks the node API while no process of ours serves waits for the next one. */
	n->listener = (struct init_socket){.name = INIT_LISTEN "node-api"};
	rc = init_sockets(runtime_init(n->rt), &n->listener, 1);
	if (rc < 0)
		return err_errno(e, rc, "asking PID 1 for the node API's listener");
	struct err late = {0};
	if (runtime_recover(n->rt, &late) < 0)
		log_warn("taking containers back: %s", late.msg);
	return 0;
}

static void
on_link_gone(void *arg, const char *key)
{
	struct node *n = arg;
	struct pod *p = map_get(&n->pods, str_c(key));
	if (p)
		pod_sync_later(p);
}

static void
on_policies(void *arg, struct str uid)
{
	struct node *n = arg;
	struct pod *p = map_get(&n->pods, uid);
	if (p)
		pod_sync_later(p);
}

static void
on_joined(struct node *n)
{
	register_start(n);
	join_serving(n);
	evict_start(n);
	image_gc_start(n);
	if (pods_start(n) < 0 || local_volumes_start(n) < 0)
		log_error("watching pods and volumes: no memory");
	struct err e = {0};
	struct nodenet_config net = {.client = n->api,
		.cfg = n->cfg,
		.net = n->net,
		.node_ips = n->facts.ips,
		.n_node_ips = n->facts.n_ips,
		.wait_hostports = true,
		.on_policies = on_policies,
		.arg = n};
	if (!n->nodenet && nodenet_new(&net, &n->nodenet, &e) < 0)
		log_error("services and routes: %s", e.msg);
}

static int
node_open(struct node *n, const char *data, struct err *e)
{
	struct http_client_config http = {
		.loop = n->loop, .resolver = {lookup_start, lookup_cancel, n}};
	struct tls_config any = {.insecure = true};
	snprintf(n->dir, sizeof(n->dir), "%s/node", data);
	snprintf(n->run, sizeof(n->run), "/run/keelson/node");
	int rc = disk_mkdirs(n->dir, 0755);
	if (rc == 0)
		rc = disk_mkdirs(n->run, 0755);
	if (rc == 0)
		rc = disk_mkdirs("/var/log/pods", 0755);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", n->dir);
	rc = http_client_new(&http, &n->http);
	if (rc < 0)
		return err_errno(e, rc, "http client");
	facts_read(n);
	rc = tls_ctx_new(&any, &n->probe_tls, e);
	if (rc == 0)
		rc = addresses_start(n, e);
	if (rc == 0)
		rc = podnet_open(n->loop, on_link_gone, n, &n->net, e);
	if (rc == 0)
		rc = open_runtime(n, data, e);
	return rc;
}

int
node_role_main(const struct machine_config *c)
{
	static struct node node;
	struct node *n = &node;
	struct err e = {0};
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	n->cfg = c;
	n->name = c->name;
	n->loop = loop_new(NULL, "node");
	map_init(&n->pods);
	map_init(&n->objects);
	const char *data = getenv("KEELSON_CONFIG") ? "/var/lib/keelson" : "/data";
	int rc = n->loop ? node_open(n, data, &e) : err_errno(&e, -ENOMEM, "loop");
	if (rc == 0)
		rc = join_start(n, on_joined, &e);
	if (rc < 0) {
		log_error("%s", e.msg);
		return 1;
	}
	init_ready(runtime_init(n->rt));
	return loop_run(n->loop) == 0 ? 0 : 1;
}
