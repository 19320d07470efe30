/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * fetch: a call whose reply is collected; contract in client.h.
 * Place in the flow: callers that want a whole answer (probes, tokens, small API requests). */
#include "netstack/http/client_int.h"

#include <errno.h>
#include <stdlib.h>

struct http_fetch {
	struct http_call *call;
	struct loop *loop;
	struct http_response resp;
	struct buf body;
	size_t max;
	http_fetch_fn *done;
	void *arg;
};

static void
fetch_release(void *p)
{
	struct http_fetch *f = p;

	buf_release(&f->body);
	free(f);
}

static void
fetch_over(struct http_fetch *f, const struct err *e)
{
	loop_free_later(f->loop, fetch_release, f);
	f->done(f->arg, e, &f->resp, buf_view(&f->body));
}

static void
fetch_head(void *arg, const struct http_response *resp)
{
	struct http_fetch *f = arg;

	f->resp = *resp;
}

static void
fetch_data(void *arg, struct str bytes)
{
	struct http_fetch *f = arg;
	struct err e = {0};

	if (bytes.n <= f->max - f->body.len) {
		buf_str(&f->body, bytes);
		if (!f->body.failed)
			return;
	}
	http_call_cancel(f->call);
	err_set(&e, -EFBIG, R_UNKNOWN, "reply is longer than %zu bytes", f->max);
	fetch_over(f, &e);
}

static void
fetch_end(void *arg, const struct err *e)
{
	fetch_over(arg, e);
}

static const struct http_call_fns fetch_fns = {
	.head = fetch_head,
	.data = fetch_data,
	.end = fetch_end,
};

int
http_fetch(struct http_client *c, const struct http_call_spec *spec, size_t max_bytes,
	http_fetch_fn *done, void *arg, struct http_fetch **ret, struct err *e)
{
	struct http_fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	f->loop = c->loop;
	f->max = max_bytes;
	f->done = done;
	f->arg = arg;
	int r = http_call_start(c, spec, &fetch_fns, f, &f->call, e);
	if (r < 0) {
		free(f);
		return r;
	}
	if (ret)
		*ret = f;
	return 0;
}

void
http_fetch_cancel(struct http_fetch *f)
{
	http_call_cancel(f->call);
	loop_free_later(f->loop, fetch_release, f);
}
