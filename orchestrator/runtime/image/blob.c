/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * blob: one download. Bytes from the network gather in `in`; a helper thread writes and hashes `out`
 * meanwhile; the call is paused when the disk is slower. See fetch.h.
 *
 *   QUEUED -> OPENING (hash what is already there) -> LOADING <-> WAITING (back-off) -> DONE | FAILED */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/runtime/fsutil.h"
#include "orchestrator/runtime/image/fetch_int.h"
#include "orchestrator/runtime/image/ref.h"

#define WRITE_BYTES (256u << 10)
#define PAUSE_BYTES (4u << 20)
#define MAX_TRIES 6 /* in a row without a byte of progress */
#define MAX_REDIRECTS 5
#define STALL_NS (60 * NS_PER_SEC)

enum blob_state { QUEUED, OPENING, LOADING, WAITING, DONE, FAILED };

struct blob {
	struct image_fetcher *f;
	struct arena *a;
	enum blob_state state;
	struct str digest;
	uint64_t size, have; /* have: written and hashed */
	struct image_source src;
	struct image_waiter *users;
	struct blob *next_queued;
	int fd;
	struct sha256 hash;
	struct http_call *call;
	struct str url;
	struct str location; /* where a redirect points */
	unsigned redirects, tries;
	bool counted; /* in f->active */
	bool working; /* a helper thread has it */
	bool calling; /* users are being called */
	bool paused, restarted, progress;
	bool stream_end;
	struct buf in, out;
	int rc;         /* of the helper thread */
	struct err err; /* of the stream, then of the blob */
	struct loop_timer timer;
};

static void load(struct blob *b);
static void queue_run(struct image_fetcher *f);

static void
ingest_path(const struct blob *b, char out[static 96])
{
	snprintf(out, 96, "ingest/" STR_FMT, STR_ARG(str_sub(b->digest, 7, SIZE_MAX)));
}

static void
queue_remove(struct blob *b)
{
	struct blob **at = &b->f->queue;

	for (; *at; at = &(*at)->next_queued) {
		if (*at == b) {
			*at = b->next_queued;
			return;
		}
	}
}

/* Nobody wants it and no thread works on it. */
static void
blob_free(struct blob *b)
{
	struct image_fetcher *f = b->f;
	char path[96];

	if (b->state == DONE || (b->state == FAILED && b->err.code == -EBADMSG)) {
		ingest_path(b, path);
		unlinkat(f->store->dir, path, 0);
	}
	cleanup_fd(&b->fd);
	buf_release(&b->in);
	buf_release(&b->out);
	tls_ctx_unref(b->src.tls);
	arena_free(b->a);
	image_fetcher_idle(f);
}

static void
stop(struct blob *b)
{
	if (b->call)
		http_call_cancel(TAKE_PTR(b->call));
	loop_timer_cancel(&b->timer);
	if (b->state == QUEUED)
		queue_remove(b);
	if (b->counted) {
		b->counted = false;
		b->f->active--;
	}
}

static void
finish(struct blob *b, enum blob_state state)
{
	struct image_fetcher *f = b->f;
	bool dead = f->dead;

	stop(b);
	b->state = state;
	b->calling = true;
	image_waiters_call(&b->users, state == FAILED ? &b->err : NULL);
	b->calling = false;
	/* A failed download is not remembered: the next pull starts anew (and resumes). */
	if (state == FAILED && map_get(&f->blobs, b->digest) == b)
		map_del(&f->blobs, b->digest);
	if (!b->users) {
		if (map_get(&f->blobs, b->digest) == b)
			map_del(&f->blobs, b->digest);
		blob_free(b);
	}
	if (!dead)
		queue_run(f);
}

static void
fail(struct blob *b)
{
	finish(b, FAILED);
}

static void
again(struct loop_timer *t)
{
	load(t->arg);
}

/* The stream broke: what came is written, then it goes on from there, later. */
static void
retry_or_fail(struct blob *b)
{
	bool final = b->err.code == -EACCES || b->err.code == -ENOENT || b->err.code == -EBADMSG;

	b->tries = b->progress ? 1 : b->tries + 1;
	b->progress = false;
	if (final || b->tries >= MAX_TRIES) {
		fail(b);
		return;
	}
	b->state = WAITING;
	b->timer.fn = again;
	b->timer.arg = b;
	loop_timer_after(b->f->loop, &b->timer, (250 * NS_PER_MS) << b->tries);
}

static void
verify(struct blob *b)
{
	uint8_t sum[32];
	char text[IMAGE_DIGEST_LEN + 1] = "sha256:";

	sha256_sum(&b->hash, sum);
	for (size_t i = 0; i < 32; i++)
		snprintf(text + 7 + 2 * i, 3, "%02x", sum[i]);
	if (str_eq_c(b->digest, text)) {
		finish(b, DONE);
		return;
	}
	if (!b->restarted) {
		/* What an earlier try had left may be what is wrong: once from the start. */
		b->restarted = true;
		b->have = 0;
		sha256_init(&b->hash);
		load(b);
		return;
	}
	err_set(&b->err, -EBADMSG, R_INVALID,
		"unexpected commit digest %s, expected " STR_FMT ": failed precondition", text,
		STR_ARG(b->digest));
	fail(b);
}

/* ---- writing ---- */

static void
write_work(void *arg)
{
	struct blob *b = arg;
	size_t done = 0;

	b->rc = 0;
	while (done < b->out.len) {
		ssize_t n = pwrite(
			b->fd, b->out.data + done, b->out.len - done, (off_t)(b->have + done));

		if (n < 0) {
			b->rc = -errno;
			return;
		}
		done += (size_t)n;
	}
	sha256_add(&b->hash, b->out.data, b->out.len);
}

static void write_next(struct blob *b);

static bool
thread_ended(struct blob *b)
{
	b->working = false;
	b->f->busy--;
	if (b->users)
		return false;
	blob_free(b);
	return true;
}

static void
write_done(void *arg)
{
	struct blob *b = arg;

	if (thread_ended(b))
		return;
	if (b->rc) {
		err_errno(&b->err, b->rc, "writing layer " STR_FMT, STR_ARG(b->digest));
		fail(b);
		return;
	}
	b->have += b->out.len;
	b->progress = true;
	buf_clear(&b->out);
	if (b->paused && b->in.len < PAUSE_BYTES / 2 && b->call) {
		b->paused = false;
		http_call_pause(b->call, false);
	}
	write_next(b);
}

static void
write_next(struct blob *b)
{
	struct buf full = b->in;

	if (b->working)
		return;
	if (b->in.failed) {
		err_set(&b->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
		fail(b);
		return;
	}
	if (b->in.len && (b->in.len >= WRITE_BYTES || b->stream_end)) {
		b->in = b->out;
		b->out = full;
		if (loop_blocking(b->f->loop, write_work, write_done, b)) {
			err_set(&b->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
			fail(b);
			return;
		}
		b->working = true;
		b->f->busy++;
		return;
	}
	if (!b->stream_end || b->in.len)
		return;
	if (b->err.code || b->have < b->size) {
		if (!b->err.code)
			err_set(&b->err, -ECONNRESET, R_UNKNOWN, "download was cut short");
		retry_or_fail(b);
		return;
	}
	verify(b);
}

/* ---- the call ---- */

static void
stream_over(struct blob *b)
{
	b->stream_end = true;
	write_next(b);
}

static bool
range_ok(struct blob *b, const struct http_response *resp)
{
	struct str v = http_headers_get(&resp->headers, STR("Content-Range"));
	struct str from = STR_NONE;
	struct str rest = STR_NONE;
	uint64_t at = 0;

	return str_starts(v, STR("bytes ")) &&
		str_cut(str_sub(v, 6, SIZE_MAX), '-', &from, &rest) && str_to_u64(from, &at) == 0 &&
		at == b->have;
}

static void
status_err(struct blob *b, int status)
{
	int code = status == 401 || status == 403 ? -EACCES : status == 404 ? -ENOENT : -EIO;

	err_set(&b->err, code, R_UNKNOWN,
		"fetching layer " STR_FMT " from " STR_FMT ": unexpected status code %d %s",
		STR_ARG(b->digest), STR_ARG(b->src.host), status, http_status_text(status));
}

static void
on_head(void *arg, const struct http_response *resp)
{
	struct blob *b = arg;
	struct str to = http_headers_get(&resp->headers, STR("Location"));

	switch (resp->status) {
	case 200:
		if (b->have) { /* no ranges here: from the start */
			b->have = 0;
			sha256_init(&b->hash);
		}
		return;
	case 206:
		if (!range_ok(b, resp))
			err_set(&b->err, -EPROTO, R_UNKNOWN, "registry sent a wrong range");
		return;
	case 416:
		b->have = 0;
		sha256_init(&b->hash);
		status_err(b, resp->status);
		return;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		if (to.n && b->redirects < MAX_REDIRECTS) {
			b->location = arena_str(b->a, to);
			return;
		}
		break;
	default:
		break;
	}
	status_err(b, resp->status);
}

static void
on_data(void *arg, struct str bytes)
{
	struct blob *b = arg;

	if (b->err.code || b->location.n)
		return;
	if (b->have + b->out.len + b->in.len + bytes.n > b->size) {
		err_set(&b->err, -EBADMSG, R_INVALID, "layer " STR_FMT " is larger than announced",
			STR_ARG(b->digest));
		return;
	}
	buf_add(&b->in, bytes.p, bytes.n);
	if (b->in.len >= PAUSE_BYTES && b->working) {
		b->paused = true;
		http_call_pause(b->call, true);
	}
	if (b->in.len >= WRITE_BYTES && !b->in.failed)
		write_next(b);
}

static void
on_end(void *arg, const struct err *e)
{
	struct blob *b = arg;

	b->call = NULL;
	if (b->location.n) {
		struct http_url to = {0};
		struct http_url from = {0};
		struct str loc = b->location;

		b->location = STR_NONE;
		b->redirects++;
		if (loc.p[0] == '/')
			loc = arena_cat(b->a, (struct str[]){b->src.base, loc}, 2);
		if (http_url_parse(loc, &to) || http_url_parse(b->url, &from)) {
			err_set(&b->err, -EPROTO, R_UNKNOWN, "registry redirects to nowhere");
		} else {
			/* Credentials are for the host they were given for. */
			if (!str_eq_nocase(to.host, from.host) || to.port != from.port)
				b->src.authorization = STR("");
			b->url = loc;
			load(b);
			return;
		}
	}
	if (e && e->code && !b->err.code)
		b->err = *e;
	stream_over(b);
}

static void
load(struct blob *b)
{
	static const struct http_call_fns fns = {.head = on_head, .data = on_data, .end = on_end};
	struct http_header h[2] = {{STR_NONE, STR_NONE}};
	size_t n = 0;
	char range[48];
	struct http_call_spec spec = {.method = STR("GET"),
		.url = b->url,
		.tls = b->src.tls,
		.headers = h,
		.head_ns = STALL_NS,
		.stall_ns = STALL_NS};

	b->state = LOADING;
	b->err = (struct err){0};
	b->stream_end = false;
	b->paused = false;
	buf_clear(&b->in);
	if (b->have == b->size) {
		stream_over(b);
		return;
	}
	if (b->src.authorization.n)
		h[n++] = (struct http_header){STR("Authorization"), b->src.authorization};
	if (b->have) {
		snprintf(range, sizeof(range), "bytes=%llu-", (unsigned long long)b->have);
		h[n++] = (struct http_header){STR("Range"), str_c(range)};
	}
	spec.n_headers = n;
	if (http_call_start(b->f->http, &spec, &fns, b, &b->call, &b->err)) {
		b->call = NULL;
		retry_or_fail(b);
	}
}

/* ---- opening ---- */

static void
open_work(void *arg)
{
	struct blob *b = arg;
	char path[96];
	char chunk[4096];
	struct stat st = {0};
	ssize_t n = 0;

	ingest_path(b, path);
	b->rc = 0;
	b->fd = openat(b->f->store->dir, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->fd < 0 || fstat(b->fd, &st)) {
		b->rc = -errno;
		return;
	}
	if ((uint64_t)st.st_size > b->size) {
		if (ftruncate(b->fd, 0))
			b->rc = -errno;
		return;
	}
	while ((n = pread(b->fd, chunk, sizeof(chunk), (off_t)b->have)) > 0) {
		sha256_add(&b->hash, chunk, (size_t)n);
		b->have += (uint64_t)n;
	}
	b->rc = n < 0 ? -errno : 0;
}

static void
open_done(void *arg)
{
	struct blob *b = arg;

	if (thread_ended(b))
		return;
	if (b->rc) {
		err_errno(&b->err, b->rc, "opening a file for layer " STR_FMT, STR_ARG(b->digest));
		fail(b);
		return;
	}
	b->restarted = b->have == 0;
	load(b);
}

static void
queue_run(struct image_fetcher *f)
{
	while (f->queue && f->active < f->max_active) {
		struct blob *b = f->queue;

		f->queue = b->next_queued;
		b->state = OPENING;
		b->counted = true;
		f->active++;
		if (loop_blocking(f->loop, open_work, open_done, b)) {
			err_set(&b->err, -ENOMEM, R_INTERNAL_ERROR, "no memory");
			fail(b);
			return;
		}
		b->working = true;
		f->busy++;
	}
}

/* ---- users ---- */

static void
queue_later(void *arg)
{
	struct image_fetcher *f = arg;

	f->busy--;
	if (!f->dead)
		queue_run(f);
	image_fetcher_idle(f);
}

static void
already_there(struct loop_timer *t)
{
	struct blob *b = t->arg;

	finish(b, DONE);
}

int
image_blob_want(struct image_fetcher *f, const struct image_source *src, const struct image_desc *d,
	struct image_waiter *w)
{
	struct blob *b = map_get(&f->blobs, d->digest);
	struct blob **tail = &f->queue;
	struct arena *a = NULL;

	if (b) {
		image_waiter_add(&b->users, w, b);
		if (b->state == DONE) {
			b->timer.fn = already_there;
			b->timer.arg = b;
			loop_timer_after(f->loop, &b->timer, 0);
		}
		return 0;
	}
	a = arena_new(0);
	b = a ? ARENA_NEW(a, struct blob) : NULL;
	if (!b) {
		arena_free(a);
		return -ENOMEM;
	}
	*b = (struct blob){
		.f = f, .a = a, .digest = arena_str(a, d->digest), .size = d->size, .fd = -1};
	b->src = (struct image_source){.base = arena_str(a, src->base),
		.host = arena_str(a, src->host),
		.path = arena_str(a, src->path),
		.authorization = arena_str(a, src->authorization)};
	b->url = arena_fmt(a, STR_FMT "/v2/" STR_FMT "/blobs/" STR_FMT, STR_ARG(src->base),
		STR_ARG(src->path), STR_ARG(d->digest));
	sha256_init(&b->hash);
	if (arena_failed(a) || map_put(&f->blobs, d->digest, b, NULL)) {
		arena_free(a);
		return -ENOMEM;
	}
	if (loop_post(f->loop, queue_later, f)) {
		map_del(&f->blobs, d->digest);
		arena_free(a);
		return -ENOMEM;
	}
	f->busy++;
	b->src.tls = src->tls ? tls_ctx_ref(src->tls) : NULL;
	while (*tail)
		tail = &(*tail)->next_queued;
	*tail = b;
	image_waiter_add(&b->users, w, b);
	return 0;
}

void
image_blob_put(struct image_waiter *w)
{
	struct blob *b = w->job;

	w->job = NULL;
	if (!b)
		return;
	image_waiter_remove(&b->users, w);
	if (b->users || b->calling)
		return;
	stop(b);
	if (map_get(&b->f->blobs, b->digest) == b)
		map_del(&b->f->blobs, b->digest);
	if (!b->working)
		blob_free(b);
}
