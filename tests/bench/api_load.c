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
#include "base/buf.h"
#include "base/disk.h"
#include "base/doc.h"
#include "base/hash.h"
#include "base/rand.h"
#include "netstack/http/http.h"
#include "tests/bench/figures.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS_MAX 20000
#define POD_CREATES 8 /* under way at a time: as many as there are connections kept */
#define REPLY_MAX ((size_t)256 << 20)

static const char usage[] =
	"usage: api_load [OPTION...] OPERATION... [-- PROGRAM ARGUMENT...]\n"
	"  --kubeconfig FILE   endpoint and credentials; or --server URL --ca FILE --cert FILE --key FILE;\n"
	"                      or --server URL --insecure 1\n"
	"  --pid N             a process of the server, up to eight times\n"
	"  --conns N [16]      --seconds N [3]      --objects N [1000]      --watchers N [200]\n"
	"  --resource configmaps|pods [configmaps]  --image REF  --node NAME  --namespace NS [default]\n"
	"operations: fill create get list update patch watch connect idle clean; ready starts PROGRAM and waits\n"
	"for /readyz; pods starts --objects pods of --image, --conns at a time\n";

/* One connection of the closed loop, or one watch. */
struct slot {
	struct load *l;
	struct http_client *http;
	struct http_fetch *fetch;
	struct http_call *call;
	int64_t began_ns;
	struct buf in; /* pods: an event that is not whole yet */
	bool busy;
};

struct load {
	/* options */
	const char *kubeconfig, *server, *ca, *cert, *key, *resource, *image, *node, *ns;
	unsigned insecure, conns, seconds, objects, watchers;
	unsigned pids[8];
	size_t n_pids;
	char **program;

	struct loop *loop;
	struct arena *a;
	struct tls_ctx *tls;
	struct slot *slots;
	const struct op *op;
	int64_t until_ns;
	size_t left; /* operations that are counted, not timed */
	size_t flying, done, errors, bytes, seq;
	struct samples took;
	/* watches */
	size_t opened, events, cut;
	/* pods: when each was asked for; 0 = running already */
	int64_t *asked_ns;
};

struct op {
	const char *name;
	void (*run)(struct load *l);
	const char *method, *type;
	bool named, body, fresh, counted;
	const char *query;
};

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "api_load: %s: %s\n", what, why);
	exit(1);
}

/* ---- what the server spends ---- */

static int64_t
server_cpu_ns(const struct load *l)
{
	int64_t sum = 0;
	for (size_t i = 0; i < l->n_pids; i++)
		sum += tasks_cpu_ns(l->pids[i]);
	return sum;
}

static uint64_t
server_pss_kib(const struct load *l)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < l->n_pids; i++)
		sum += pss_kib(l->pids[i]);
	return sum;
}

/* ---- one request ---- */

static void
config_map(struct load *l, struct buf *b, const char *name, size_t seq)
{
	static char fill[301];
	memset(fill, 'x', sizeof(fill) - 1);
	buf_fmt(b,
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":"
		"{\"app\":\"load\"}},\"data\":{\"a\":\"%s\",\"n\":\"%zu\",\"t\":\"%lld\"}}",
		name, fill, seq, (long long)clock_mono_ns());
	(void)l;
}

/* With an image it shall run; without, it is as large as a real one and nobody schedules it. */
static void
pod(struct load *l, struct buf *b, const char *name, size_t seq)
{
	buf_fmt(b,
		"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":"
		"\"load\"},\"annotations\":{\"n\":\"%zu\"}},\"spec\":{\"terminationGracePeriodSeconds\":0,"
		"\"automountServiceAccountToken\":false,",
		name, seq);
	if (l->node)
		buf_fmt(b, "\"nodeName\":\"%s\",", l->node);
	if (l->image) {
		buf_fmt(b, "\"containers\":[{\"name\":\"c\",\"image\":\"%s\",", l->image);
		buf_cstr(b, "\"imagePullPolicy\":\"IfNotPresent\"}]}}");
		return;
	}
	buf_cstr(b, "\"schedulerName\":\"none\",\"containers\":[");
	for (int i = 0; i < 2; i++)
		buf_fmt(b,
			"%s{\"name\":\"c%d\",\"image\":\"registry.test/team/app:v1.%d\",\"args\":[\"--port\","
			"\"80%d\",\"--verbose\"],\"ports\":[{\"name\":\"http\",\"containerPort\":80%d}],"
			"\"env\":[{\"name\":\"A\",\"value\":\"one\"},{\"name\":\"POD\",\"valueFrom\":"
			"{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}}],\"resources\":{\"requests\":"
			"{\"cpu\":\"100m\",\"memory\":\"64Mi\"},\"limits\":{\"memory\":\"128Mi\"}},"
			"\"readinessProbe\":{\"httpGet\":{\"path\":\"/ready\",\"port\":\"http\"}}}",
			i ? "," : "", i, i, i, i);
	buf_cstr(b, "]}}");
}

static void
object_put(struct load *l, struct buf *b, const char *name, size_t seq)
{
	if (strcmp(l->resource, "pods") == 0)
		pod(l, b, name, seq);
	else
		config_map(l, b, name, seq);
}

static void slot_next(struct slot *s);

static void
on_done(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct slot *s = arg;
	struct load *l = s->l;
	bool there = !e->code && l->op->counted && resp->status == 409;
	s->busy = false;
	l->flying--;
	l->done++;
	l->bytes += body.n;
	if (e->code || (resp->status >= 300 && !there)) {
		if (l->errors++ == 0)
			fprintf(stderr, "api_load: %s: %s%.*s\n", l->op->name, e->msg,
				(int)(body.n < 300 ? body.n : 300), body.n ? body.p : "");
	}
	if (l->opened == 0) /* among watches their own delay is what counts */
		sample_add(&l->took, clock_mono_ns() - s->began_ns);
	slot_next(s);
}

static void
slot_next(struct slot *s)
{
	struct load *l = s->l;
	const struct op *op = l->op;
	_cleanup_buf_ struct buf url = BUF_INIT, body = BUF_INIT;
	char name[48];
	struct err e = {0};
	if (op->counted ? l->left == 0 : clock_mono_ns() >= l->until_ns)
		return;
	l->left -= op->counted;
	size_t seq = l->seq++;
	bool new_ = op->method[0] == 'P' && op->method[1] == 'O';
	if (new_ && !op->counted)
		snprintf(name, sizeof(name), "c-%d-%zu", getpid(), seq);
	else
		snprintf(name, sizeof(name), "o-%zu", op->counted ? seq : rand_below(l->objects));
	buf_cstr(&url, l->server);
	if (op->fresh)
		buf_cstr(&url, "/version");
	else
		buf_fmt(&url, "/api/v1/namespaces/%s/%s%s%s%s", l->ns, l->resource,
			op->named ? "/" : "", op->named ? name : "", op->query ? op->query : "");
	if (op->body && strcmp(op->method, "PATCH") == 0)
		buf_fmt(&body, "{\"metadata\":{\"annotations\":{\"n\":\"%zu\"}}}", seq);
	else if (op->body)
		object_put(l, &body, name, seq);
	struct http_header h[] = {
		{STR("Accept"), STR("application/json")}, {STR("Content-Type"), str_c(op->type)}};
	struct http_call_spec spec = {.method = str_c(op->method),
		.url = buf_view(&url),
		.tls = l->tls,
		.headers = h,
		.n_headers = op->type ? 2 : 1,
		.body = buf_view(&body),
		.fresh = op->fresh};
	s->began_ns = clock_mono_ns();
	if (http_fetch(s->http, &spec, REPLY_MAX, on_done, s, &s->fetch, &e) < 0)
		die(op->name, e.msg);
	s->busy = true;
	l->flying++;
}

/* ---- the closed loop ---- */

static void
slots_open(struct load *l, size_t n)
{
	struct http_client_config c = {.loop = l->loop};
	l->slots = calloc(n, sizeof(*l->slots));
	for (size_t i = 0; l->slots && i < n; i++) {
		l->slots[i] = (struct slot){.l = l, .in = BUF_INIT};
		if (http_client_new(&c, &l->slots[i].http) < 0)
			die("connections", "out of memory");
	}
}

static void
slots_close(struct load *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		http_client_free(l->slots[i].http);
		buf_release(&l->slots[i].in);
	}
	free(l->slots);
	loop_turn(l->loop, 0);
}

/* drive: every slot has a request under way until time or count is over. */
static void
drive(struct load *l, size_t from, size_t n)
{
	l->until_ns = clock_mono_ns() + l->seconds * NS_PER_SEC;
	for (size_t i = from; i < from + n; i++)
		slot_next(&l->slots[i]);
	while (l->flying > 0)
		loop_turn(l->loop, -1);
}

static void
run_closed(struct load *l)
{
	slots_open(l, l->conns);
	l->left = l->objects;
	int64_t cpu = server_cpu_ns(l), wall = clock_mono_ns();
	drive(l, 0, l->conns);
	cpu = server_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	double n = l->done ? (double)l->done : 1;
	printf("%s resource=%s conns=%u n=%zu errors=%zu rate=%.0f cpu_us=%.2f p50_us=%.0f p99_us=%.0f "
	       "bytes=%.0f\n",
		l->op->name, l->resource, l->conns, l->done, l->errors, n * 1e9 / (double)wall,
		(double)cpu / n / 1e3, percentile_us(&l->took, 50), percentile_us(&l->took, 99),
		(double)l->bytes / n);
	slots_close(l, l->conns);
}

/* ---- watches ---- */

static void
on_watch_head(void *arg, const struct http_response *resp)
{
	struct slot *s = arg;
	if (resp->status != 200)
		die("watch", http_status_text(resp->status));
	s->l->opened++;
}

/* Events are counted by their line ends; when each was written stands in its data. */
static void
on_watch_data(void *arg, struct str bytes)
{
	static const struct str mark = STR_INIT("\"t\":\"");
	struct slot *s = arg;
	int64_t now = clock_mono_ns(), then = 0;
	ptrdiff_t at;
	for (struct str rest = bytes; (at = str_find_char(rest, '\n')) >= 0;
		rest = str_sub(rest, (size_t)at + 1, SIZE_MAX))
		s->l->events++;
	for (struct str rest = bytes, word, tail; (at = str_find(rest, mark)) >= 0;) {
		rest = str_sub(rest, (size_t)at + mark.n, SIZE_MAX);
		if (str_cut(rest, '"', &word, &tail) && str_to_i64(word, &then) == 0)
			sample_add(&s->l->took, now - then);
	}
}

static void
on_watch_end(void *arg, const struct err *e)
{
	struct slot *s = arg;
	(void)e;
	s->call = NULL;
	s->l->cut++;
}

static void
watch_start(struct slot *s, const struct http_call_fns *fns, const char *query)
{
	_cleanup_buf_ struct buf url = BUF_INIT;
	struct load *l = s->l;
	struct err e = {0};
	buf_fmt(&url, "%s/api/v1/namespaces/%s/%s?watch=1%s", l->server, l->ns, l->resource, query);
	struct http_call_spec spec = {.method = STR("GET"), .url = buf_view(&url), .tls = l->tls};
	if (http_call_start(s->http, &spec, fns, s, &s->call, &e) < 0)
		die("watch", e.msg);
}

/* Everybody watches all; --conns connections update as fast as they can. */
static void
run_watch(struct load *l)
{
	static const struct http_call_fns fns = {
		.head = on_watch_head, .data = on_watch_data, .end = on_watch_end};
	static const struct op update = {.name = "watch",
		.method = "PUT",
		.type = "application/json",
		.named = true,
		.body = true};
	size_t n = l->watchers;
	slots_open(l, n + l->conns);
	for (size_t i = 0; i < n; i++)
		watch_start(&l->slots[i], &fns,
			"&sendInitialEvents=false&resourceVersionMatch="
			"NotOlderThan&allowWatchBookmarks=true&labelSelector=app%3Dload");
	while (l->opened + l->cut < n)
		loop_turn(l->loop, -1);
	l->op = &update;
	int64_t cpu = server_cpu_ns(l), wall = clock_mono_ns();
	drive(l, n, l->conns);
	size_t want = (l->done - l->errors) * n;
	int64_t until = clock_mono_ns() + 5 * NS_PER_SEC;
	while (l->events < want && clock_mono_ns() < until)
		loop_turn(l->loop, 10 * NS_PER_MS);
	cpu = server_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	double events = l->events ? (double)l->events : 1;
	printf("watch watchers=%zu conns=%u writes=%zu n=%zu lost=%zd errors=%zu cut=%zu rate=%.0f "
	       "cpu_us=%.2f p50_us=%.0f p99_us=%.0f\n",
		n, l->conns, l->done, l->events, (ssize_t)want - (ssize_t)l->events, l->errors,
		l->cut, events * 1e9 / (double)wall, (double)cpu / events / 1e3,
		percentile_us(&l->took, 50), percentile_us(&l->took, 99));
	slots_close(l, n + l->conns);
}

/* ---- idle connections ---- */

static void
run_idle(struct load *l)
{
	static const struct op get = {
		.name = "idle", .method = "GET", .named = true, .counted = true};
	uint64_t before = server_pss_kib(l);
	slots_open(l, l->conns);
	l->op = &get;
	l->left = l->conns;
	drive(l, 0, l->conns);
	/* what a turn of the server gives back */
	int64_t until = clock_mono_ns() + NS_PER_SEC;
	while (clock_mono_ns() < until)
		loop_turn(l->loop, 100 * NS_PER_MS);
	double kib = (double)server_pss_kib(l) - (double)before;
	printf("idle conns=%u errors=%zu kib=%.2f\n", l->conns, l->errors, kib / l->conns);
	slots_close(l, l->conns);
}

/* ---- pods ---- */

static void
pod_event(struct load *l, struct str line)
{
	struct arena *a = arena_new(0);
	struct doc *d = NULL;
	uint64_t i = 0;
	if (a && doc_parse_json(a, line, NULL, &d, NULL) == 0) {
		struct doc *o = doc_get(d, STR("object"));
		struct str name = doc_get_str(doc_get(o, STR("metadata")), STR("name"));
		struct str phase = doc_get_str(doc_get(o, STR("status")), STR("phase"));
		if (str_starts(name, STR("o-")) && str_eq(phase, STR("Running")) &&
			str_to_u64(str_sub(name, 2, SIZE_MAX), &i) == 0 && i < l->objects &&
			l->asked_ns[i]) {
			sample_add(&l->took, clock_mono_ns() - l->asked_ns[i]);
			l->asked_ns[i] = 0;
			l->events++;
		}
	}
	arena_free(a);
}

static void
on_pod_data(void *arg, struct str bytes)
{
	struct slot *s = arg;
	struct str line, rest;
	buf_str(&s->in, bytes);
	size_t at = 0;
	while (str_cut(str_sub(buf_view(&s->in), at, SIZE_MAX), '\n', &line, &rest)) {
		pod_event(s->l, line);
		at += line.n + 1;
	}
	buf_consume(&s->in, at);
}

static void
on_pod_made(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct slot *s = arg;
	s->l->flying--;
	if (e->code || resp->status != 201)
		die("a pod", e->code ? e->msg : body.n ? body.p : "no answer");
}

static void
pod_ask(struct load *l, struct slot *s, size_t i)
{
	_cleanup_buf_ struct buf url = BUF_INIT, body = BUF_INIT;
	struct http_header h = {STR("Content-Type"), STR("application/json")};
	char name[32];
	struct err e = {0};
	snprintf(name, sizeof(name), "o-%zu", i);
	pod(l, &body, name, i);
	buf_fmt(&url, "%s/api/v1/namespaces/%s/pods", l->server, l->ns);
	struct http_call_spec spec = {.method = STR("POST"),
		.url = buf_view(&url),
		.tls = l->tls,
		.headers = &h,
		.n_headers = 1,
		.body = buf_view(&body)};
	l->asked_ns[i] = clock_mono_ns();
	l->flying++;
	if (http_fetch(s->http, &spec, REPLY_MAX, on_pod_made, s, NULL, &e) < 0)
		die("a pod", e.msg);
}

/* Create to Running as a watch sees it: --conns pods are on their way at a time. */
static void
run_pods(struct load *l)
{
	static const struct http_call_fns fns = {
		.head = on_watch_head, .data = on_pod_data, .end = on_watch_end};
	if (!l->image)
		die("pods", "--image is needed");
	l->resource = "pods";
	l->asked_ns = calloc(l->objects, sizeof(*l->asked_ns));
	slots_open(l, 2);
	watch_start(&l->slots[0], &fns, "&labelSelector=app%3Dload");
	while (!l->opened && !l->cut)
		loop_turn(l->loop, -1);
	int64_t cpu = server_cpu_ns(l), wall = clock_mono_ns();
	for (size_t asked = 0; l->events < l->objects;) {
		while (asked < l->objects && asked - l->events < l->conns &&
			l->flying < POD_CREATES)
			pod_ask(l, &l->slots[1], asked++);
		loop_turn(l->loop, NS_PER_SEC);
		if (l->cut || clock_mono_ns() - wall > (int64_t)l->seconds * NS_PER_SEC)
			break;
	}
	cpu = server_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	printf("pods conns=%u n=%zu wanted=%u wall_ms=%.1f cpu_ms=%.1f p50_us=%.0f p99_us=%.0f\n",
		l->conns, l->events, l->objects, (double)wall / 1e6, (double)cpu / 1e6,
		percentile_us(&l->took, 50), percentile_us(&l->took, 99));
	slots_close(l, 2);
	free(l->asked_ns);
}

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
	if (http_fetch(st->http, &spec, REPLY_MAX, on_ready_answer, st, NULL, NULL) < 0)
		die("ready", "no request");
}

/* From fork to the first 200 of /readyz, and what the process spent until then. Ends it by SIGTERM. */
static void
run_ready(struct load *l)
{
	struct http_client_config c = {.loop = l->loop};
	struct starting st = {.l = l};
	if (!l->program[0] || http_client_new(&c, &st.http) < 0)
		die("ready", "-- PROGRAM is needed");
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
		die("kubeconfig", "a certificate that is no base64");
	return buf_view(&b);
}

static struct str
file_of(struct load *l, const char *path)
{
	struct buf b;
	buf_init_arena(&b, l->a);
	if (path && disk_read_file(path, 1 << 20, &b) < 0)
		die(path, strerror(errno));
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
			die(l->kubeconfig, e.msg);
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
		die("options", "neither --kubeconfig nor --server");
	struct tls_pair pair = {cert, key};
	struct tls_config tc = {
		.pairs = &pair, .n_pairs = cert.n ? 1 : 0, .ca_pem = ca, .insecure = l->insecure};
	if (tls_ctx_new(&tc, &l->tls, &e) < 0)
		die("credentials", e.msg);
}

static void
op_run(struct load *l, const struct op *op)
{
	l->op = op;
	l->flying = l->done = l->errors = l->bytes = l->seq = l->opened = l->events = l->cut = 0;
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
		die("start", "out of memory");
	credentials(&l);
	for (size_t k = 0; k < n; k++)
		op_run(&l, todo[k]);
	tls_ctx_unref(l.tls);
	loop_free(l.loop);
	arena_free(l.a);
	free(l.took.ns);
	return 0;
}
