/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * load_watch: what watches: all watch and some write; pods from their creation until a watch sees them run. */
#include "tests/bench/load.h"

#include "base/doc.h"

#define POD_CREATES 8 /* under way at a time: as many as there are connections kept */

/* ---- watches ---- */

static void
on_watch_head(void *arg, const struct http_response *resp)
{
	struct slot *s = arg;
	if (resp->status != 200)
		load_die("watch", http_status_text(resp->status));
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
		load_die("watch", e.msg);
}

/* Everybody watches all; --conns connections update as fast as they can. */
void
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
	load_slots_open(l, n + l->conns);
	for (size_t i = 0; i < n; i++)
		watch_start(&l->slots[i], &fns,
			"&sendInitialEvents=false&resourceVersionMatch="
			"NotOlderThan&allowWatchBookmarks=true&labelSelector=app%3Dload");
	while (l->opened + l->cut < n)
		loop_turn(l->loop, -1);
	l->op = &update;
	int64_t cpu = load_cpu_ns(l), wall = clock_mono_ns();
	load_drive(l, n, l->conns);
	size_t want = (l->done - l->errors) * n;
	int64_t until = clock_mono_ns() + 5 * NS_PER_SEC;
	while (l->events < want && clock_mono_ns() < until)
		loop_turn(l->loop, 10 * NS_PER_MS);
	cpu = load_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	double events = l->events ? (double)l->events : 1;
	printf("watch watchers=%zu conns=%u writes=%zu n=%zu lost=%zd errors=%zu cut=%zu rate=%.0f "
	       "cpu_us=%.2f p50_us=%.0f p99_us=%.0f\n",
		n, l->conns, l->done, l->events, (ssize_t)want - (ssize_t)l->events, l->errors,
		l->cut, events * 1e9 / (double)wall, (double)cpu / events / 1e3,
		percentile_us(&l->took, 50), percentile_us(&l->took, 99));
	load_slots_close(l, n + l->conns);
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
		load_die("a pod", e->code ? e->msg : body.n ? body.p : "no answer");
}

static void
pod_ask(struct load *l, struct slot *s, size_t i)
{
	_cleanup_buf_ struct buf url = BUF_INIT, body = BUF_INIT;
	struct http_header h = {STR("Content-Type"), STR("application/json")};
	char name[32];
	struct err e = {0};
	snprintf(name, sizeof(name), "o-%zu", i);
	load_pod(l, &body, name, i);
	buf_fmt(&url, "%s/api/v1/namespaces/%s/pods", l->server, l->ns);
	struct http_call_spec spec = {.method = STR("POST"),
		.url = buf_view(&url),
		.tls = l->tls,
		.headers = &h,
		.n_headers = 1,
		.body = buf_view(&body)};
	l->asked_ns[i] = clock_mono_ns();
	l->flying++;
	if (http_fetch(s->http, &spec, LOAD_REPLY_MAX, on_pod_made, s, NULL, &e) < 0)
		load_die("a pod", e.msg);
}

/* Create to Running as a watch sees it: --conns pods are on their way at a time. */
void
run_pods(struct load *l)
{
	static const struct http_call_fns fns = {
		.head = on_watch_head, .data = on_pod_data, .end = on_watch_end};
	if (!l->image)
		load_die("pods", "--image is needed");
	l->resource = "pods";
	l->asked_ns = calloc(l->objects, sizeof(*l->asked_ns));
	load_slots_open(l, 2);
	watch_start(&l->slots[0], &fns, "&labelSelector=app%3Dload");
	while (!l->opened && !l->cut)
		loop_turn(l->loop, -1);
	int64_t cpu = load_cpu_ns(l), wall = clock_mono_ns();
	for (size_t asked = 0; l->events < l->objects;) {
		while (asked < l->objects && asked - l->events < l->conns &&
			l->flying < POD_CREATES)
			pod_ask(l, &l->slots[1], asked++);
		loop_turn(l->loop, NS_PER_SEC);
		if (l->cut || clock_mono_ns() - wall > (int64_t)l->seconds * NS_PER_SEC)
			break;
	}
	cpu = load_cpu_ns(l) - cpu;
	wall = clock_mono_ns() - wall;
	qsort(l->took.ns, l->took.n, sizeof(*l->took.ns), by_value);
	printf("pods conns=%u n=%zu wanted=%u wall_ms=%.1f cpu_ms=%.1f p50_us=%.0f p99_us=%.0f\n",
		l->conns, l->events, l->objects, (double)wall / 1e6, (double)cpu / 1e6,
		percentile_us(&l->took, 50), percentile_us(&l->took, 99));
	load_slots_close(l, 2);
	free(l->asked_ns);
}
