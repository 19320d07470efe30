/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * load: writers and watchers of ConfigMaps over the real protocol, with the credentials of a kubeconfig,
 * that go on through whatever happens to the server, and write down what they were told (checker.h).
 *
 *   writers   make, change and delete objects of their own and shared ones, each write on condition of the
 *             object's revision; after one without an answer the object is read until there is an answer
 *   watchers  list once, then watch; after a break they go on from the last revision they saw
 *   the end   (SIGTERM or --seconds) a last write, which every watcher must see, then a list
 *
 * Prints the times without an answer. Ends with 1 when it cannot finish within --grace. */
#include "base/loop.h"
#include "base/rand.h"
#include "orchestrator/client/client.h"
#include "tests/fault/access.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITERS_MAX = 64, WATCHERS_MAX = 256, OWN = 5, SHARED = 3, GAPS_MAX = 4096 };
/* Often at first, so that the end of a gap is seen. */
#define RETRY_NS (10 * NS_PER_MS)
#define RETRY_SLOW_NS (50 * NS_PER_MS)
#define RETRY_QUICK 100

struct slot {
	char name[24];
	uint64_t rev; /* as far as this writer knows; 0 = not there */
};

struct load;

struct writer {
	struct load *l;
	unsigned number;
	struct slot slots[OWN + SHARED];
	struct slot *at; /* what is under way is about */
	uint64_t op, read;
	enum client_verb verb;
	bool busy, unsure;
	unsigned tries;
	struct loop_timer next;
};

struct watcher {
	struct load *l;
	unsigned number;
	uint64_t rev; /* 0 = must list */
	unsigned tries;
	struct client_watch *watch;
	bool listing;
	struct loop_timer next;
};

struct load {
	struct loop *loop;
	struct client *client;
	struct arena *a;
	FILE *out;
	const char *ns;
	const char *disk; /* whose length is written down; NULL = none */
	off_t disk_size;
	unsigned n_writers, n_watchers;
	uint64_t pause_ms, seconds, grace_s;
	struct writer writers[WRITERS_MAX];
	struct watcher watchers[WATCHERS_MAX];
	uint64_t ops, reads, answers, strange;
	int64_t gap_since_ns, gaps[GAPS_MAX];
	size_t n_gaps;
	bool ending, last_done, final_asked;
	uint64_t last_rev;
	struct loop_timer end, deadline;
	struct loop_fd signals;
};

/* ---- writing down ---------------------------------------------------------------------------------- */

/* note: one line; before it, how long the recorded disk is, when that changed. */
__attribute__((format(printf, 2, 3))) static void
note(struct load *l, const char *fmt, ...)
{
	struct stat st;
	va_list ap;
	if (l->disk && stat(l->disk, &st) == 0 && st.st_size != l->disk_size) {
		l->disk_size = st.st_size;
		fprintf(l->out, "at %lld\n", (long long)st.st_size);
	}
	va_start(ap, fmt);
	vfprintf(l->out, fmt, ap);
	va_end(ap);
	fputc('\n', l->out);
}

/* heard / unheard: what opens and closes a time without an answer. */
static void
heard(struct load *l)
{
	l->answers++;
	if (l->gap_since_ns && l->n_gaps < GAPS_MAX)
		l->gaps[l->n_gaps++] = clock_mono_ns() - l->gap_since_ns;
	l->gap_since_ns = 0;
}

static void
unheard(struct load *l)
{
	if (!l->gap_since_ns)
		l->gap_since_ns = clock_mono_ns();
}

static const char *
value_text(const struct load *l, uint64_t value)
{
	return value ? arena_fmt(l->a, "%" PRIu64, value).p : "half";
}

static struct client_req
request(const struct load *l, enum client_verb verb)
{
	return (struct client_req){.verb = verb,
		.version = STR("v1"),
		.resource = STR("configmaps"),
		.ns = str_c(l->ns)};
}

static int64_t
retry_ns(unsigned *tries)
{
	return (*tries)++ < RETRY_QUICK ? RETRY_NS : RETRY_SLOW_NS;
}

/* ---- writers --------------------------------------------------------------------------------------- */

static void finish_go_on(struct load *l);
static void writer_read(struct writer *w);

static void
writer_rest(struct writer *w)
{
	struct load *l = w->l;
	w->busy = false;
	w->tries = 0;
	if (l->ending) {
		finish_go_on(l);
		return;
	}
	uint64_t ms = l->pause_ms ? rand_below(2 * l->pause_ms + 1) : 0;
	loop_timer_after(l->loop, &w->next, (int64_t)ms * NS_PER_MS);
}

static uint64_t
rev_of(struct load *l, struct str body)
{
	struct doc *d = NULL;
	uint64_t rev = 0;
	if (doc_parse_json(l->a, body, NULL, &d, NULL) == 0)
		str_to_u64(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")), &rev);
	arena_clear(l->a);
	return rev;
}

/* strange: an answer that no fault explains: 401, 403, 422 ... */
static void
strange(struct load *l, const struct client_result *r)
{
	if (r->http == 404 || r->http == 409 || r->http == 429)
		return;
	if (l->strange++ < 20)
		fprintf(stderr, "load: %d %s\n", r->http, r->e.msg);
}

static void
on_written(void *arg, const struct client_result *r)
{
	struct writer *w = arg;
	struct load *l = w->l;
	if (r->http >= 200 && r->http < 300) {
		w->at->rev = w->verb == CLIENT_DELETE ? 0 : rev_of(l, r->body);
		note(l, "done %" PRIu64 " %" PRIu64, w->op, w->at->rev);
		heard(l);
		writer_rest(w);
	} else if (r->http >= 400 && r->http < 500) {
		note(l, "none %" PRIu64 " %d", w->op, r->http);
		heard(l);
		strange(l, r);
		if (r->http == 429)
			writer_rest(w);
		else
			writer_read(w);
	} else {
		note(l, "open %" PRIu64 " %d", w->op, r->http ? r->http : r->e.code);
		unheard(l);
		w->unsure = true;
		loop_timer_after(l->loop, &w->next, retry_ns(&w->tries));
	}
}

static void
on_read(void *arg, const struct client_result *r)
{
	struct writer *w = arg;
	struct load *l = w->l;
	struct doc *d = NULL;
	struct access_object s = {0};
	if (r->http != 200 && r->http != 404) {
		unheard(l);
		w->unsure = true;
		if (r->http >= 400 && r->http < 500)
			strange(l, r);
		loop_timer_after(l->loop, &w->next, retry_ns(&w->tries));
		return;
	}
	if (r->http == 200 && doc_parse_json(l->a, r->body, NULL, &d, NULL) == 0)
		access_object_read(d, &s);
	w->at->rev = s.rev;
	if (r->http == 404)
		note(l, "gone %" PRIu64, w->read);
	else
		note(l, "saw %" PRIu64 " %" PRIu64 " %s", w->read, s.rev, value_text(l, s.value));
	arena_clear(l->a);
	heard(l);
	w->unsure = false;
	writer_rest(w);
}

static void
writer_read(struct writer *w)
{
	struct client_req q = request(w->l, CLIENT_GET);
	w->busy = true;
	w->read = ++w->l->reads;
	q.name = str_c(w->at->name);
	note(w->l, "ask %" PRIu64 " %s", w->read, w->at->name);
	BUG_ON(client_call_start(w->l->client, &q, on_read, w, NULL) < 0);
}

static void
writer_write(struct writer *w, enum client_verb verb)
{
	static const char *const names[CLIENT_VERB__COUNT] = {
		[CLIENT_CREATE] = "create", [CLIENT_UPDATE] = "update", [CLIENT_DELETE] = "delete"};
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct client_req q = request(w->l, verb);
	w->busy = true;
	w->verb = verb;
	w->op = ++w->l->ops;
	if (verb != CLIENT_CREATE)
		q.name = str_c(w->at->name);
	if (verb == CLIENT_DELETE)
		buf_fmt(&body,
			"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"preconditions\":"
			"{\"resourceVersion\":\"%" PRIu64 "\"}}",
			w->at->rev);
	else
		access_object_write(&body, w->l->ns, w->at->name, w->op, w->at->rev);
	q.body = buf_view(&body);
	note(w->l, "send %" PRIu64 " %s %s %" PRIu64, w->op, names[verb], w->at->name, w->at->rev);
	BUG_ON(client_call_start(w->l->client, &q, on_written, w, NULL) < 0);
}

static void
on_writer(struct loop_timer *t)
{
	struct writer *w = t->arg;
	if (w->unsure) {
		writer_read(w);
		return;
	}
	if (w->l->ending) {
		writer_rest(w);
		return;
	}
	w->at = &w->slots[rand_below(ARRAY_LEN(w->slots))];
	writer_write(w,
		w->at->rev == 0             ? CLIENT_CREATE
			: rand_below(4) > 0 ? CLIENT_UPDATE
					    : CLIENT_DELETE);
}

/* ---- watchers -------------------------------------------------------------------------------------- */

static void
watcher_again(struct watcher *w)
{
	loop_timer_after(w->l->loop, &w->next, retry_ns(&w->tries));
}

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	static const char kinds[] = {
		[CLIENT_ADDED] = 'A', [CLIENT_MODIFIED] = 'M', [CLIENT_DELETED] = 'D'};
	struct watcher *w = arg;
	struct load *l = w->l;
	struct doc *d = NULL;
	struct access_object s = {0};
	w->tries = 0;
	if (doc_parse_json(l->a, object, NULL, &d, NULL) < 0) {
		note(l, "event %u ? unreadable 0 half", w->number);
	} else if (ev == CLIENT_BOOKMARK) {
		access_object_read(d, &s);
		note(l, "mark %u %" PRIu64, w->number, s.rev);
	} else if (access_object_read(d, &s)) {
		note(l, "event %u %c " STR_FMT " %" PRIu64 " %s", w->number, kinds[ev],
			STR_ARG(s.name), s.rev, value_text(l, s.value));
	}
	if (s.rev)
		w->rev = s.rev;
	arena_clear(l->a);
	if (l->last_done)
		finish_go_on(l);
}

static void
on_watch_end(void *arg, const struct client_result *r)
{
	struct watcher *w = arg;
	w->watch = NULL;
	if (r->http == 410) {
		note(w->l, "lost %u", w->number);
		w->rev = 0;
	} else if (r->http >= 400 && r->http < 500) {
		strange(w->l, r);
	}
	watcher_again(w);
}

static void
items_note(struct load *l, unsigned number, const struct client_result *r, uint64_t *ret_rev)
{
	struct doc *d = NULL;
	*ret_rev = 0;
	if (doc_parse_json(l->a, r->body, NULL, &d, NULL) < 0)
		return;
	str_to_u64(doc_get_str(doc_get(d, STR("metadata")), STR("resourceVersion")), ret_rev);
	note(l, "list %u %" PRIu64, number, *ret_rev);
	DOC_EACH (item, doc_get(d, STR("items"))) {
		struct access_object s;
		if (access_object_read(item, &s))
			note(l, "item %u " STR_FMT " %" PRIu64 " %s", number, STR_ARG(s.name),
				s.rev, value_text(l, s.value));
	}
	note(l, "listed %u", number);
	arena_clear(l->a);
}

static void
on_listed(void *arg, const struct client_result *r)
{
	struct watcher *w = arg;
	w->listing = false;
	if (r->http == 200)
		items_note(w->l, w->number, r, &w->rev);
	else if (r->http >= 400 && r->http < 500)
		strange(w->l, r);
	watcher_again(w);
}

/* on_watcher: half of them select by the label that all objects have; watches end after some seconds, as
 * real ones do, and go on. */
static void
on_watcher(struct loop_timer *t)
{
	static const struct client_watch_fns fns = {.event = on_event, .end = on_watch_end};
	struct watcher *w = t->arg;
	if (w->rev == 0) {
		struct client_req q = request(w->l, CLIENT_LIST);
		note(w->l, "look %u", w->number);
		w->listing = true;
		BUG_ON(client_call_start(w->l->client, &q, on_listed, w, NULL) < 0);
		return;
	}
	char from[24];
	struct client_req q = request(w->l, CLIENT_WATCH);
	int n = snprintf(from, sizeof(from), "%" PRIu64, w->rev);
	q.resource_version = str_from(from, (size_t)n);
	q.allow_bookmarks = true;
	q.timeout_s = (uint32_t)(3 + rand_below(20));
	q.label_selector = w->number % 2 ? STR("load=yes") : STR("");
	BUG_ON(client_watch_start(w->l->client, &q, &fns, w, &w->watch) < 0);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void
on_final(void *arg, const struct client_result *r)
{
	struct load *l = arg;
	uint64_t rev = 0;
	if (r->http == 200)
		items_note(l, 0, r, &rev);
	l->final_asked = false;
	if (rev)
		loop_stop(l->loop, 0);
	else
		loop_timer_after(l->loop, &l->end, RETRY_SLOW_NS);
}

/* finish_go_on: what is next of: all writers at rest, a last write, all watchers past it, a list. */
static void
finish_go_on(struct load *l)
{
	struct writer *first = &l->writers[0];
	for (unsigned i = 0; i < l->n_writers; i++)
		if (l->writers[i].busy || l->writers[i].unsure)
			return;
	if (!l->last_done && first->at && strcmp(first->at->name, "load-last") == 0 &&
		first->at->rev) {
		l->last_done = true;
		l->last_rev = first->at->rev;
	}
	if (!l->last_done) {
		first->at = &first->slots[0];
		snprintf(first->at->name, sizeof(first->at->name), "load-last");
		first->at->rev = 0;
		writer_write(first, CLIENT_CREATE);
		return;
	}
	for (unsigned i = 0; i < l->n_watchers; i++)
		if (l->watchers[i].rev < l->last_rev)
			return;
	if (l->final_asked)
		return;
	l->final_asked = true;
	struct client_req q = request(l, CLIENT_LIST);
	note(l, "look 0");
	BUG_ON(client_call_start(l->client, &q, on_final, l, NULL) < 0);
}

static void
finish(struct load *l)
{
	if (l->ending)
		return;
	l->ending = true;
	loop_timer_after(l->loop, &l->deadline, (int64_t)l->grace_s * NS_PER_SEC);
	for (unsigned i = 0; i < l->n_writers; i++)
		if (!l->writers[i].busy && !l->writers[i].unsure)
			loop_timer_cancel(&l->writers[i].next);
	finish_go_on(l);
}

static void
on_end(struct loop_timer *t)
{
	struct load *l = t->arg;
	if (l->ending)
		finish_go_on(l);
	else
		finish(l);
}

static void
on_deadline(struct loop_timer *t)
{
	struct load *l = t->arg;
	for (unsigned i = 0; i < l->n_writers; i++)
		if (l->writers[i].busy || l->writers[i].unsure)
			fprintf(stderr, "load: writer %u has no answer about '%s'\n", i + 1,
				l->writers[i].at->name);
	for (unsigned i = 0; i < l->n_watchers; i++)
		if (l->watchers[i].rev < l->last_rev)
			fprintf(stderr, "load: watcher %u is at %" PRIu64 " of %" PRIu64 "\n",
				i + 1, l->watchers[i].rev, l->last_rev);
	loop_stop(l->loop, 1);
}

static void
on_signal(struct loop_fd *w, uint32_t events)
{
	struct signalfd_siginfo si;
	(void)events;
	if (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		finish(w->arg);
}

/* ---- starting -------------------------------------------------------------------------------------- */

static void
begin(struct load *l)
{
	for (unsigned i = 0; i < l->n_writers; i++) {
		struct writer *w = &l->writers[i];
		*w = (struct writer){.l = l, .number = i + 1, .next = {.fn = on_writer, .arg = w}};
		for (unsigned k = 0; k < OWN + SHARED; k++)
			snprintf(w->slots[k].name, sizeof(w->slots[k].name), "load-%u-%u",
				k < OWN ? i + 1 : 0, k);
		loop_timer_after(l->loop, &w->next, 0);
	}
	for (unsigned i = 0; i < l->n_watchers; i++) {
		struct watcher *w = &l->watchers[i];
		*w = (struct watcher){
			.l = l, .number = i + 1, .next = {.fn = on_watcher, .arg = w}};
		loop_timer_after(l->loop, &w->next, 0);
	}
	puts("loading");
	if (l->seconds)
		loop_timer_after(l->loop, &l->end, (int64_t)l->seconds * NS_PER_SEC);
}

static void namespace_make(struct load *l);

static void
on_namespace_timer(struct loop_timer *t)
{
	namespace_make(t->arg);
}

static void
on_namespace(void *arg, const struct client_result *r)
{
	struct load *l = arg;
	static struct loop_timer again;
	if (r->http == 201 || r->http == 409) {
		begin(l);
		return;
	}
	again.fn = on_namespace_timer;
	again.arg = l;
	loop_timer_after(l->loop, &again, RETRY_SLOW_NS);
}

static void
namespace_make(struct load *l)
{
	struct client_req q = {
		.verb = CLIENT_CREATE, .version = STR("v1"), .resource = STR("namespaces")};
	q.body = arena_fmt(l->a,
		"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
		l->ns);
	BUG_ON(client_call_start(l->client, &q, on_namespace, l, NULL) < 0);
}

static void
summary(struct load *l)
{
	printf("%" PRIu64 " writes, %" PRIu64 " answers", l->ops, l->answers);
	if (l->n_gaps) {
		char times[80];
		access_times(l->gaps, l->n_gaps, times, sizeof(times));
		printf("; %zu times without an answer: %s", l->n_gaps, times);
	}
	if (l->strange)
		printf("; %" PRIu64 " strange answers", l->strange);
	putchar('\n');
}

static const char usage[] =
	"usage: load --kubeconfig FILE --out HISTORY [options]\n\n"
	"  --namespace N a new one [load]\n"
	"  --seed N      of what is written when [1]\n"
	"  --writers N   [4]\n"
	"  --watchers N  [4]\n"
	"  --pause MS    a writer's mean time between an answer and the next write [20]\n"
	"  --seconds N   how long to write [until SIGTERM]\n"
	"  --grace N     seconds to finish in [120]\n"
	"  --disk FILE   its length is written down too\n";

int
main(int argc, char **argv)
{
	static struct load l = {
		.ns = "load", .n_writers = 4, .n_watchers = 4, .pause_ms = 20, .grace_s = 120};
	const char *kubeconfig = NULL, *out = NULL;
	uint64_t seed = 1, writers = 4, watchers = 4;
	const struct {
		const char *name;
		const char **text;
		uint64_t *number;
	} options[] = {
		{"--kubeconfig", &kubeconfig, NULL},
		{"--out", &out, NULL},
		{"--namespace", &l.ns, NULL},
		{"--disk", &l.disk, NULL},
		{"--seed", NULL, &seed},
		{"--writers", NULL, &writers},
		{"--watchers", NULL, &watchers},
		{"--pause", NULL, &l.pause_ms},
		{"--seconds", NULL, &l.seconds},
		{"--grace", NULL, &l.grace_s},
	};
	bool bad = argc % 2 == 0;
	for (int i = 1; i + 1 < argc && !bad; i += 2) {
		size_t k = 0;
		while (k < ARRAY_LEN(options) && strcmp(options[k].name, argv[i]) != 0)
			k++;
		bad = k == ARRAY_LEN(options);
		if (!bad && options[k].text)
			*options[k].text = argv[i + 1];
		else if (!bad)
			bad = str_to_u64(str_c(argv[i + 1]), options[k].number) < 0;
	}
	if (bad || !kubeconfig || !out || writers < 1 || writers > WRITERS_MAX ||
		watchers > WATCHERS_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	l.n_writers = (unsigned)writers;
	l.n_watchers = (unsigned)watchers;
	setvbuf(stdout, NULL, _IOLBF, 0);
	struct err e = {0};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l.a = arena_new(0);
	l.loop = loop_new(NULL, "load");
	l.out = fopen(out, "we");
	l.end = (struct loop_timer){.fn = on_end, .arg = &l};
	l.deadline = (struct loop_timer){.fn = on_deadline, .arg = &l};
	l.signals = (struct loop_fd){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.prio = LOOP_PRIO_SIGNAL,
		.fn = on_signal,
		.arg = &l};
	if (!l.a || !l.loop || !l.out || loop_fd_add(l.loop, &l.signals) < 0 ||
		client_kubeconfig_new(l.loop, kubeconfig, STR(""), "fault", &l.client, &e) < 0) {
		fprintf(stderr, "load: %s\n", e.code ? e.msg : strerror(errno));
		return 2;
	}
	rand_set_seed(seed);
	namespace_make(&l);
	int rc = loop_run(l.loop);
	if (fclose(l.out) != 0)
		rc = 1;
	summary(&l);
	return rc || l.strange;
}
