/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * events: core/v1 Event objects as components write them: the first of a kind is created, the same again
 * within ten minutes raises its count by a patch; a source object that floods is cut off.
 * Per thread, whose clients share the memory of it, and lose it when one of them ends: that costs no more than a
 * second event. What is remembered is bounded. Source: client-go tools/record (EventCorrelator). */
#include "orchestrator/client/client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

#define REMEMBERED 512
#define AGGREGATE_NS (600 * NS_PER_SEC)
#define BURST 25
#define REFILL_NS (300 * NS_PER_SEC)

/* One remembered event: where it is and how often it was seen. */
struct seen {
	uint64_t hash;
	int64_t first_ns, last_ns;
	uint32_t count;
	char ns[64], name[300];
	bool created;
};

/* Tokens of a source object. */
struct source {
	uint64_t hash;
	int64_t filled_ns;
	uint32_t tokens;
};

static _Thread_local struct seen *seen_table;
static _Thread_local struct source *sources;

static bool
source_allows(const struct event_ref *ref, struct str component, int64_t now)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_str(&b, component);
	buf_str(&b, ref->kind);
	buf_str(&b, ref->ns);
	buf_str(&b, ref->name);
	uint64_t h = hash_bytes(b.data, b.len);
	if (!sources)
		sources = calloc(REMEMBERED, sizeof(*sources));
	if (!sources)
		return false;
	struct source *s = &sources[h % REMEMBERED];
	if (s->hash != h)
		*s = (struct source){.hash = h, .filled_ns = now, .tokens = BURST};
	int64_t refills = (now - s->filled_ns) / REFILL_NS;
	if (refills > 0) {
		s->tokens = (uint32_t)(s->tokens + refills > BURST ? BURST : s->tokens + refills);
		s->filled_ns += refills * REFILL_NS;
	}
	if (s->tokens == 0)
		return false;
	s->tokens--;
	return true;
}

static void
member(struct buf *b, const char *name, struct str value)
{
	if (!value.n)
		return;
	if (b->len && b->data[b->len - 1] != '{')
		buf_char(b, ',');
	buf_fmt(b, "\"%s\":", name);
	doc_json_string(b, value);
}

static void
event_body(struct buf *b, const struct seen *s, const struct event_ref *ref, const char *type,
	const char *reason, struct str component, struct str host, struct str message)
{
	char first[40];
	rfc3339_format(s->first_ns, 0, first);
	buf_cstr(b, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{");
	member(b, "name", str_c(s->name));
	member(b, "namespace", str_c(s->ns));
	buf_cstr(b, "},\"involvedObject\":{");
	member(b, "kind", ref->kind);
	member(b, "namespace", ref->ns);
	member(b, "name", ref->name);
	member(b, "uid", ref->uid);
	member(b, "apiVersion", ref->api_version);
	member(b, "resourceVersion", ref->resource_version);
	member(b, "fieldPath", ref->field_path);
	buf_char(b, '}');
	member(b, "reason", str_c(reason));
	member(b, "message", message);
	buf_cstr(b, ",\"source\":{");
	member(b, "component", component);
	member(b, "host", host);
	buf_char(b, '}');
	member(b, "firstTimestamp", str_c(first));
	member(b, "lastTimestamp", str_c(first));
	buf_cstr(b, ",\"count\":1");
	member(b, "type", str_c(type));
	member(b, "reportingComponent", component);
	member(b, "reportingInstance", host);
	buf_char(b, '}');
}

void
client_events_forget(void)
{
	free(seen_table);
	free(sources);
	seen_table = NULL;
	sources = NULL;
}

static void
on_done(void *arg, const struct client_result *r)
{
	/* Events are best effort: a lost one is no failure of its writer. */
	(void)arg;
	(void)r;
}

static struct seen *
seen_slot(struct str identity)
{
	uint64_t h = hash_bytes(identity.p, identity.n);
	if (!seen_table)
		seen_table = calloc(REMEMBERED, sizeof(*seen_table));
	if (!seen_table)
		return NULL;
	struct seen *s = &seen_table[h % REMEMBERED];
	if (s->hash != h)
		*s = (struct seen){.hash = h};
	return s;
}

static void
event_again(struct client *c, struct seen *s)
{
	char last[40], body[120];
	rfc3339_format(s->last_ns, 0, last);
	int n = snprintf(
		body, sizeof(body), "{\"count\":%u,\"lastTimestamp\":\"%s\"}", s->count, last);
	struct client_req req = {.verb = CLIENT_PATCH_MERGE,
		.version = STR("v1"),
		.resource = STR("events"),
		.ns = str_c(s->ns),
		.name = str_c(s->name),
		.body = str_from(body, (size_t)n),
		.late = true};
	client_call_start(c, &req, on_done, NULL, NULL);
}

void
client_event(struct client *c, const struct event_ref *ref, const char *type, const char *reason,
	struct str component, struct str host, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int64_t now = clock_wall_ns();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!source_allows(ref, component, now))
		return;
	_cleanup_buf_ struct buf id = BUF_INIT, body = BUF_INIT;
	buf_fmt(&id, STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT "/%s/%s/%s",
		STR_ARG(component), STR_ARG(ref->kind), STR_ARG(ref->ns), STR_ARG(ref->name),
		STR_ARG(ref->uid), type, reason, text);
	struct seen *s = id.failed ? NULL : seen_slot(buf_view(&id));
	if (!s)
		return;
	if (s->count && now - s->last_ns < AGGREGATE_NS) {
		s->count++;
		s->last_ns = now;
		event_again(c, s);
		return;
	}
	s->count = 1;
	s->first_ns = s->last_ns = now;
	str_copy_c(ref->ns.n ? ref->ns : STR("default"), s->ns, sizeof(s->ns));
	snprintf(s->name, sizeof(s->name), STR_FMT ".%llx",
		(int)(ref->name.n > 240 ? 240 : ref->name.n), ref->name.p ? ref->name.p : "",
		(unsigned long long)now);
	event_body(&body, s, ref, type, reason, component, host, str_c(text));
	struct client_req req = {.verb = CLIENT_CREATE,
		.version = STR("v1"),
		.resource = STR("events"),
		.ns = str_c(s->ns),
		.body = buf_view(&body),
		.late = true};
	if (!body.failed)
		client_call_start(c, &req, on_done, NULL, NULL);
}
