/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * load_loop: the closed loop: a slot asks, and asks again when it is answered. */
#include "tests/bench/load.h"

#include "base/rand.h"

#include <unistd.h>

void
load_die(const char *what, const char *why)
{
	fprintf(stderr, "api_load: %s: %s\n", what, why);
	exit(1);
}

/* ---- what the server spends ---- */

int64_t
load_cpu_ns(const struct load *l)
{
	int64_t sum = 0;
	for (size_t i = 0; i < l->n_pids; i++)
		sum += tasks_cpu_ns(l->pids[i]);
	return sum;
}

uint64_t
load_pss_kib(const struct load *l)
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

void
load_pod(struct load *l, struct buf *b, const char *name, size_t seq)
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
		/* One that ends would be started again while others begin. */
		buf_cstr(b,
			"\"imagePullPolicy\":\"IfNotPresent\","
			"\"command\":[\"sleep\",\"1000000\"]}]}}");
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
		load_pod(l, b, name, seq);
	else
		config_map(l, b, name, seq);
}

static void slot_next(struct slot *s);
static void on_done(
	void *arg, const struct err *e, const struct http_response *resp, struct str body);

void
load_ask(struct slot *s, const char *method, const char *type, struct str path, struct str body)
{
	_cleanup_buf_ struct buf url = BUF_INIT;
	struct load *l = s->l;
	struct err e = {0};
	buf_cstr(&url, l->server);
	buf_str(&url, path);
	struct http_header h[] = {
		{STR("Accept"), STR("application/json")}, {STR("Content-Type"), str_c(type)}};
	struct http_call_spec spec = {.method = str_c(method),
		.url = buf_view(&url),
		.tls = l->tls,
		.headers = h,
		.n_headers = type ? 2 : 1,
		.body = body,
		.fresh = l->op->fresh};
	if (http_fetch(s->http, &spec, LOAD_REPLY_MAX, on_done, s, &s->fetch, &e) < 0)
		load_die(l->op->name, e.msg);
	s->busy = true;
	l->flying++;
}

/* metadata_of: the value of a string member of an object's or a list's metadata, by the mark before it: both servers
 * write metadata before all else that is long. */
static struct str
metadata_of(struct str body, struct str mark)
{
	struct str value, rest;
	ptrdiff_t at = str_find(str_sub(body, 0, 4096), mark);
	if (at < 0 || !str_cut(str_sub(body, (size_t)at + mark.n, SIZE_MAX), '"', &value, &rest))
		return STR("");
	return value;
}

bool
load_contend(struct slot *s, struct str body)
{
	_cleanup_buf_ struct buf path = BUF_INIT, next = BUF_INIT;
	struct load *l = s->l;
	struct str name = metadata_of(body, STR("\"name\":\""));
	struct str version = metadata_of(body, STR("\"resourceVersion\":\""));
	if (s->step++ > 0)
		return false;
	buf_fmt(&path, "/api/v1/namespaces/%s/%s/" STR_FMT, l->ns, l->resource, STR_ARG(name));
	buf_fmt(&next,
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" STR_FMT
		"\",\"resourceVersion\":\"" STR_FMT
		"\",\"labels\":{\"app\":\"load\"}},\"data\":{\"n\":\"%zu\"}}",
		STR_ARG(name), STR_ARG(version), l->seq);
	load_ask(s, "PUT", "application/json", buf_view(&path), buf_view(&next));
	return true;
}

bool
load_page(struct slot *s, struct str body)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct load *l = s->l;
	struct str token = metadata_of(body, STR("\"continue\":\""));
	if (token.n == 0)
		return false;
	buf_fmt(&path, "/api/v1/namespaces/%s/%s%s&continue=" STR_FMT, l->ns, l->resource,
		l->op->query, STR_ARG(token));
	load_ask(s, l->op->method, l->op->type, buf_view(&path), STR(""));
	return true;
}

static void
on_done(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct slot *s = arg;
	struct load *l = s->l;
	bool conflict = !e->code && resp->status == 409 && (l->op->counted || l->op->more);
	s->busy = false;
	l->flying--;
	l->bytes += body.n;
	l->conflicts += conflict;
	if (!e->code && resp->status < 300 && l->op->more && l->op->more(s, body))
		return;
	l->done++;
	if (e->code || (resp->status >= 300 && !conflict)) {
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
	_cleanup_buf_ struct buf path = BUF_INIT, body = BUF_INIT;
	char name[48];
	if (op->counted ? l->left == 0 : clock_mono_ns() >= l->until_ns)
		return;
	l->left -= op->counted;
	size_t seq = l->seq++;
	bool new_ = op->method[0] == 'P' && op->method[1] == 'O';
	if (new_ && !op->counted)
		snprintf(name, sizeof(name), "c-%d-%zu", getpid(), seq);
	else
		snprintf(name, sizeof(name), "o-%zu", op->counted ? seq : rand_below(l->objects));
	if (op->fresh)
		buf_cstr(&path, "/version");
	else
		buf_fmt(&path, "/api/v1/namespaces/%s/%s%s%s%s", l->ns, l->resource,
			op->named ? "/" : "", op->named ? name : "", op->query ? op->query : "");
	if (op->body && strcmp(op->method, "PATCH") == 0)
		buf_fmt(&body, "{\"metadata\":{\"annotations\":{\"n\":\"%zu\"}}}", seq);
	else if (op->body)
		object_put(l, &body, name, seq);
	s->began_ns = clock_mono_ns();
	s->step = 0;
	load_ask(s, op->method, op->type, buf_view(&path), buf_view(&body));
}

/* ---- the closed loop ---- */

void
load_slots_open(struct load *l, size_t n)
{
	struct http_client_config c = {.loop = l->loop};
	l->slots = calloc(n, sizeof(*l->slots));
	for (size_t i = 0; l->slots && i < n; i++) {
		l->slots[i] = (struct slot){.l = l, .in = BUF_INIT};
		if (http_client_new(&c, &l->slots[i].http) < 0)
			load_die("connections", "out of memory");
	}
}

void
load_slots_close(struct load *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		http_client_free(l->slots[i].http);
		buf_release(&l->slots[i].in);
	}
	free(l->slots);
	loop_turn(l->loop, 0);
}

/* drive: every slot has a request under way until time or count is over. */
void
load_drive(struct load *l, size_t from, size_t n)
{
	l->until_ns = clock_mono_ns() + l->seconds * NS_PER_SEC;
	for (size_t i = from; i < from + n; i++)
		slot_next(&l->slots[i]);
	while (l->flying > 0)
		loop_turn(l->loop, -1);
}

void
run_closed(struct load *l)
{
	load_slots_open(l, l->conns);
	l->left = l->objects;
	int64_t cpu = load_cpu_ns(l), wall = clock_mono_ns();
	load_drive(l, 0, l->conns);
	cpu = load_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	double n = l->done ? (double)l->done : 1;
	printf("%s resource=%s conns=%u n=%zu errors=%zu conflicts=%zu rate=%.2f cpu_us=%.2f p50_us=%.0f "
	       "p99_us=%.0f bytes=%.0f\n",
		l->op->name, l->resource, l->conns, l->done, l->errors, l->conflicts,
		n * 1e9 / (double)wall, (double)cpu / n / 1e3, percentile_us(&l->took, 50),
		percentile_us(&l->took, 99), (double)l->bytes / n);
	load_slots_close(l, l->conns);
}

/* ---- idle connections ---- */

/* idle_more: n slots from `from` on ask once, and all rest. Returns the server's PSS then. */
static double
idle_more(struct load *l, size_t from, size_t n)
{
	l->left = n;
	l->seq = 0;
	load_drive(l, from, n);
	/* what a turn of the server gives back */
	int64_t until = clock_mono_ns() + NS_PER_SEC;
	while (clock_mono_ns() < until)
		loop_turn(l->loop, 100 * NS_PER_MS);
	return (double)load_pss_kib(l);
}

/* What a connection keeps: four times --conns of them, of which --conns at a time shake hands, so what the handshakes
 * leave behind counts too. */
void
run_idle(struct load *l)
{
	static const struct op get = {
		.name = "idle", .method = "GET", .named = true, .counted = true};
	size_t all = 4 * l->conns;
	double before = (double)load_pss_kib(l);
	double now = before;
	load_slots_open(l, all);
	l->op = &get;
	for (size_t at = 0; at < all; at += l->conns)
		now = idle_more(l, at, l->conns);
	printf("idle conns=%zu errors=%zu kib=%.2f\n", all, l->errors,
		(now - before) / (double)all);
	load_slots_close(l, all);
}
