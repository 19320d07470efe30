/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch_fuzz: any bytes as what an API server sends on a watch, cut anywhere (the first byte says how), and as
 * the body of a failure. Holds: the events are the same however the bytes came, and every watch ends at
 * most once. */
#include "netstack/http/http.h"

/* The watch stands on no connection here. */
#define http_call_cancel fuzz_call_cancel
static void
fuzz_call_cancel(struct http_call *call)
{
	(void)call;
}
#include "orchestrator/client/client_https.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t events, bytes, ends;
	int end_code;
};

static void
on_event(void *arg, enum client_event ev, struct str object)
{
	struct seen *s = arg;
	BUG_ON(s->ends > 0 || ev > CLIENT_BOOKMARK);
	s->events++;
	s->bytes += object.n * (s->events + (size_t)ev);
}

static void
on_end(void *arg, const struct client_result *r)
{
	struct seen *s = arg;
	BUG_ON(s->ends > 0);
	s->ends++;
	s->end_code = r->e.code;
}

static struct seen
watch_of(struct loop *l, struct str bytes, size_t step)
{
	static const struct client_watch_fns fns = {on_event, on_end};
	struct https_client c = {.base = {&https_ops, l}};
	struct https_watch *w = calloc(1, sizeof(*w));
	struct seen seen = {0};

	BUG_ON(!w);
	*w = (struct https_watch){
		.base = {&c.base}, .fns = fns, .arg = &seen, .status = 200, .in = BUF_INIT};
	LIST_ADD(c.watches, w);
	for (size_t at = 0; at < bytes.n && !w->stopped; at += step)
		on_watch_data(w, str_sub(bytes, at, step > bytes.n - at ? bytes.n : at + step));
	on_watch_end(w, &(struct err){0});
	BUG_ON(c.watches || seen.ends != 1);
	loop_turn(l, 0);
	return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *l;
	struct str in = str_from((const char *)data, size);

	if (!l)
		l = loop_new(NULL, "fuzz");
	if (size < 2)
		return 0;
	struct str bytes = str_sub(in, 1, SIZE_MAX);
	struct seen whole = watch_of(l, bytes, SIZE_MAX / 2),
		    cut = watch_of(l, bytes, data[0] + 1u);
	BUG_ON(whole.events != cut.events || whole.bytes != cut.bytes ||
		whole.end_code != cut.end_code);
	struct client_result r = {0};
	result_fill(&r, 400 + data[0], bytes, bytes);
	BUG_ON(!r.e.code);
	return 0;
}
