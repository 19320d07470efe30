/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * api_load: load for any Kubernetes API server, over TLS with a client certificate, as a closed loop: each of
 * --conns connections has one request under way, and the next begins when it is answered. One line of
 * NAME=VALUE words for each operation; what the server spent is read from its processes (--pid), so that the
 * cost of this program does not count. Rates are of a machine that this program shares; CPU is comparable.
 *
 *   api_load [OPTION...] OPERATION... [-- PROGRAM ARGUMENT...]        operations: see ops[] and usage[] below
 *
 * Must not: judge; tests/bench/api.sh and its like know floors and targets. */
#include "tests/bench/load.h"

#include "base/disk.h"
#include "base/doc.h"
#include "base/hash.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS_MAX 20000

static const char usage[] =
	"usage: api_load [OPTION...] OPERATION... [-- PROGRAM ARGUMENT...]\n"
	"  --kubeconfig FILE   endpoint and credentials; or --server URL --ca FILE --cert FILE --key FILE;\n"
	"                      or --server URL --insecure 1\n"
	"  --pid N             a process of the server, up to eight times\n"
	"  --conns N [16]      --seconds N [3]      --objects N [1000]      --watchers N [200]\n"
	"  --resource configmaps|pods [configmaps]  --image REF  --node NAME  --namespace NS [default]\n"
	"operations: fill create get list listall page update patch contend watch connect idle clean; page asks a list\n"
	"by 500s until its end, contend reads an object and writes it on condition of its version; ready starts PROGRAM\n"
	"and waits for /readyz; pods starts --objects pods of --image, --conns at a time\n";

/* ---- the start of a server ---- */

struct starting {
	struct load *l;
	struct http_client *http;
	struct loop_timer again;
	bool ready;
};

static void ready_ask(struct loop_timer *t);

static void
on_ready_answer(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct starting *st = arg;
	(void)body;
	st->ready = !e->code && resp->status == 200;
	if (!st->ready)
		loop_timer_after(st->l->loop, &st->again, NS_PER_MS / 2);
}

static void
ready_ask(struct loop_timer *t)
{
	struct starting *st = t->arg;
	_cleanup_buf_ struct buf url = BUF_INIT;
	buf_fmt(&url, "%s/readyz", st->l->server);
	struct http_call_spec spec = {
		.method = STR("GET"), .url = buf_view(&url), .tls = st->l->tls};
	if (http_fetch(st->http, &spec, LOAD_REPLY_MAX, on_ready_answer, st, NULL, NULL) < 0)
		load_die("ready", "no request");
}

/* From fork to the first 200 of /readyz, and what the process spent until then. Ends it by SIGTERM. */
static void
run_ready(struct load *l)
{
	struct http_client_config c = {.loop = l->loop};
	struct starting st = {.l = l};
	if (!l->program[0] || http_client_new(&c, &st.http) < 0)
		load_die("ready", "-- PROGRAM is needed");
	st.again = (struct loop_timer){.fn = ready_ask, .arg = &st};
	int64_t wall = clock_mono_ns();
	pid_t pid = fork();
	if (pid == 0) {
		execv(l->program[0], l->program);
		_exit(127);
	}
	ready_ask(&st.again);
	while (!st.ready && waitpid(pid, NULL, WNOHANG) == 0 &&
		clock_mono_ns() - wall < 60 * NS_PER_SEC)
		loop_turn(l->loop, 10 * NS_PER_MS);
	wall = clock_mono_ns() - wall;
	int64_t cpu = tasks_cpu_ns((unsigned)pid);
	printf("ready ok=%d wall_ms=%.1f cpu_ms=%.1f pss_kib=%llu\n", st.ready, (double)wall / 1e6,
		(double)cpu / 1e6, (unsigned long long)pss_kib((unsigned)pid));
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	loop_timer_cancel(&st.again);
	http_client_free(st.http);
	loop_turn(l->loop, 0);
}

#define JSON "application/json"
static const struct op ops[] = {
	{"fill", .run = run_closed, .method = "POST", .type = JSON, .body = true, .counted = true},
	{"create", .run = run_closed, .method = "POST", .type = JSON, .body = true},
	{"get", .run = run_closed, .method = "GET", .named = true},
	{"list", .run = run_closed, .method = "GET", .query = "?labelSelector=app%3Dload"},
	{"listall", .run = run_closed, .method = "GET"},
	{"page", .run = run_closed, .method = "GET", .query = "?limit=500", .more = load_page},
	{"contend", .run = run_closed, .method = "GET", .named = true, .more = load_contend},
	{"update", .run = run_closed, .method = "PUT", .type = JSON, .named = true, .body = true},
	{"patch", .run = run_closed, .method = "PATCH", .type = "application/merge-patch+json",
		.named = true, .body = true},
	{"connect", .run = run_closed, .method = "GET", .fresh = true},
	{"clean", .run = run_closed, .method = "DELETE", .counted = true,
		.query = "?labelSelector=app%3Dload"},
	{"watch", .run = run_watch},
	{"idle", .run = run_idle},
	{"pods", .run = run_pods},
	{"ready", .run = run_ready},
};

/* ---- options ---- */

static const struct option_row {
	const char *name;
	size_t at;
	bool number;
} option_rows[] = {
	{"--kubeconfig", offsetof(struct load, kubeconfig), false},
	{"--server", offsetof(struct load, server), false},
	{"--ca", offsetof(struct load, ca), false},
	{"--cert", offsetof(struct load, cert), false},
	{"--key", offsetof(struct load, key), false},
	{"--insecure", offsetof(struct load, insecure), true},
	{"--resource", offsetof(struct load, resource), false},
	{"--image", offsetof(struct load, image), false},
	{"--node", offsetof(struct load, node), false},
	{"--namespace", offsetof(struct load, ns), false},
	{"--conns", offsetof(struct load, conns), true},
	{"--seconds", offsetof(struct load, seconds), true},
	{"--objects", offsetof(struct load, objects), true},
	{"--watchers", offsetof(struct load, watchers), true},
};

static int
option_take(struct load *l, const char *name, const char *value)
{
	uint64_t n = 0;
	if (strcmp(name, "--pid") == 0 && l->n_pids < ARRAY_LEN(l->pids) &&
		str_to_u64(str_c(value), &n) == 0) {
		l->pids[l->n_pids++] = (unsigned)n;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
		char *at = (char *)l + option_rows[i].at;
		if (strcmp(name, option_rows[i].name) != 0)
			continue;
		if (!option_rows[i].number)
			*(const char **)(void *)at = value;
		else if (str_to_u64(str_c(value), &n) < 0 || n > SLOTS_MAX)
			return -EINVAL;
		else
			*(unsigned *)(void *)at = (unsigned)n;
		return 0;
	}
	return -EINVAL;
}

/* named: the entry of a kubeconfig's list with that name; its member `what`. */
static const struct doc *
named(const struct doc *list, struct str name, struct str what)
{
	DOC_EACH (x, list)
		if (str_eq(doc_get_str(x, STR("name")), name))
			return doc_get(x, what);
	return NULL;
}

static struct str
decoded(struct load *l, const struct doc *d, struct str key)
{
	struct buf b;
	buf_init_arena(&b, l->a);
	if (base64_decode(&b, doc_get_str(d, key)) < 0)
		load_die("kubeconfig", "a certificate that is no base64");
	return buf_view(&b);
}

static struct str
file_of(struct load *l, const char *path)
{
	struct buf b;
	buf_init_arena(&b, l->a);
	if (path && disk_read_file(path, 1 << 20, &b) < 0)
		load_die(path, strerror(errno));
	return buf_view(&b);
}

static void
credentials(struct load *l)
{
	struct str ca = file_of(l, l->ca), cert = file_of(l, l->cert), key = file_of(l, l->key);
	struct doc *d = NULL;
	struct err e = {0};
	if (l->kubeconfig) {
		struct str text = file_of(l, l->kubeconfig);
		if (doc_parse_yaml(l->a, &text, NULL, &d, &e) < 0)
			load_die(l->kubeconfig, e.msg);
		const struct doc *ctx = named(doc_get(d, STR("contexts")),
			doc_get_str(d, STR("current-context")), STR("context"));
		const struct doc *cluster = named(doc_get(d, STR("clusters")),
			doc_get_str(ctx, STR("cluster")), STR("cluster"));
		const struct doc *user = named(
			doc_get(d, STR("users")), doc_get_str(ctx, STR("user")), STR("user"));
		l->server = arena_cstr(l->a, doc_get_str(cluster, STR("server")));
		ca = decoded(l, cluster, STR("certificate-authority-data"));
		cert = decoded(l, user, STR("client-certificate-data"));
		key = decoded(l, user, STR("client-key-data"));
	}
	if (!l->server)
		load_die("options", "neither --kubeconfig nor --server");
	struct tls_pair pair = {cert, key};
	struct tls_config tc = {
		.pairs = &pair, .n_pairs = cert.n ? 1 : 0, .ca_pem = ca, .insecure = l->insecure};
	if (tls_ctx_new(&tc, &l->tls, &e) < 0)
		load_die("credentials", e.msg);
}

static void
op_run(struct load *l, const struct op *op)
{
	l->op = op;
	l->flying = l->done = l->errors = l->conflicts = l->bytes = l->seq = l->opened = l->events =
		l->cut = 0;
	l->took.n = 0;
	unsigned conns = l->conns, objects = l->objects;
	const char *resource = l->resource;
	if (strcmp(op->name, "clean") == 0)
		l->objects = l->conns = 1; /* one request does it */
	op->run(l);
	fflush(stdout);
	l->conns = conns;
	l->objects = objects;
	l->resource = resource;
}

int
main(int argc, char **argv)
{
	static struct load l = {.conns = 16,
		.seconds = 3,
		.objects = 1000,
		.watchers = 200,
		.resource = "configmaps",
		.ns = "default"};
	const struct op *todo[32];
	size_t n = 0;
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		bool option = argv[i][0] == '-';
		const struct op *op = NULL;
		for (size_t k = 0; k < ARRAY_LEN(ops); k++)
			if (strcmp(argv[i], ops[k].name) == 0)
				op = &ops[k];
		if (option && i + 1 < argc && option_take(&l, argv[i], argv[i + 1]) == 0)
			i++;
		else if (op && n < ARRAY_LEN(todo))
			todo[n++] = op;
		else {
			fputs(usage, stderr);
			return 2;
		}
	}
	l.program = i < argc ? argv + i + 1 : argv + argc;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	l.a = arena_new(0);
	l.loop = loop_new(NULL, "load");
	if (!l.a || !l.loop)
		load_die("start", "out of memory");
	credentials(&l);
	for (size_t k = 0; k < n; k++)
		op_run(&l, todo[k]);
	tls_ctx_unref(l.tls);
	loop_free(l.loop);
	arena_free(l.a);
	free(l.took.ns);
	return 0;
}
