/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * watch_list_test: a watch that begins with everything, again and again. */
#include "orchestrator/client/watch_list.c"

#include "tests/unit/test.h"

/* A transport of one watch at a time, whose other side is the test. */
struct fake {
	struct client c;
	struct client_watch w;
	struct client_watch_fns fns;
	void *arg;
	char resource[32];
	unsigned started, refuse;
	bool stopped, send_initial_events;
};
struct owner {
	struct watch_list w;
	struct map docs;
	unsigned begun, events, complete;
};

static int
fake_watch(struct client *c, const struct client_req *req, const struct client_watch_fns *fns,
	void *arg, struct client_watch **ret)
{
	struct fake *f = (struct fake *)c;
	if (f->refuse) {
		f->refuse--;
		return -ENOMEM;
	}
	f->started++;
	f->fns = *fns;
	f->arg = arg;
	f->send_initial_events = req->send_initial_events && req->allow_bookmarks;
	str_copy_c(req->resource, f->resource, sizeof(f->resource));
	f->w.c = c;
	*ret = &f->w;
	return 0;
}

static void
fake_stop(struct client_watch *w)
{
	((struct fake *)w->c)->stopped = true;
}

static void
owner_begin(void *arg)
{
	struct owner *o = arg;
	o->begun++;
	kept_docs_clear(&o->docs);
}

static void
owner_event(void *arg, enum client_event ev, struct str object)
{
	struct owner *o = arg;
	struct kept_doc *x = kept_doc_new(object);
	o->events++;
	CHECK(ev != CLIENT_BOOKMARK);
	if (x && map_put(&o->docs, x->name, x, NULL) < 0)
		kept_doc_free(x);
}

static void
owner_complete(void *arg)
{
	((struct owner *)arg)->complete++;
}

static struct world *world; /* its time is virtual */
static const struct client_ops ops = {.watch = fake_watch, .watch_stop = fake_stop};
static const struct watch_list_fns fns = {owner_begin, owner_event, owner_complete};

static bool
is_started_again(void *arg)
{
	return ((struct fake *)arg)->started == 2;
}

static void
open_all(struct fake *f, struct owner *o)
{
	*f = (struct fake){.c = {.ops = &ops}};
	*o = (struct owner){0};
	map_init(&o->docs);
	if (!world)
		world = world_new(1, 1700000000 * NS_PER_SEC);
	f->c.loop = loop_new(world, "test");
	CHECK(f->c.loop != NULL);
}

static void
close_all(struct fake *f, struct owner *o)
{
	watch_list_stop(&o->w);
	kept_docs_clear(&o->docs);
	loop_free(f->c.loop);
}

TEST(what_is_there_comes_first_and_is_then_complete)
{
	struct fake f;
	struct owner o;
	open_all(&f, &o);
	CHECK(!watch_list_runs(&o.w));
	watch_list_start(&o.w, &f.c, "", "pods", &fns, &o);
	CHECK(watch_list_runs(&o.w));
	CHECK(f.send_initial_events);
	CHECK_STR(str_c(f.resource), "pods");
	f.fns.event(f.arg, CLIENT_ADDED, STR("{\"metadata\":{\"name\":\"a\"}}"));
	CHECK_INT(o.complete, 0);
	CHECK(o.w.initial);
	f.fns.event(f.arg, CLIENT_BOOKMARK, STR("{}"));
	CHECK_INT(o.complete, 1);
	CHECK(!o.w.initial);
	f.fns.event(f.arg, CLIENT_BOOKMARK, STR("{}")); /* where the watch is, no more */
	CHECK_INT(o.complete, 1);
	CHECK_INT(o.events, 1);
	CHECK(map_get(&o.docs, STR("a")) != NULL);
	watch_list_stop(&o.w);
	CHECK(f.stopped);
	CHECK(!watch_list_runs(&o.w));
	close_all(&f, &o);
}

TEST(a_watch_that_ended_begins_with_everything_again)
{
	struct fake f;
	struct owner o;
	const struct client_result gone = {.http = 410};
	open_all(&f, &o);
	watch_list_start(&o.w, &f.c, "", "pods", &fns, &o);
	f.fns.event(f.arg, CLIENT_ADDED, STR("{\"metadata\":{\"name\":\"a\"}}"));
	f.fns.event(f.arg, CLIENT_BOOKMARK, STR("{}"));
	f.refuse = 1; /* nor does the next start */
	f.fns.end(f.arg, &gone);
	CHECK(watch_list_runs(&o.w));
	CHECK_INT(world_run(world, INT64_MAX, is_started_again, &f), 0);
	CHECK_INT(f.refuse, 0);
	CHECK_INT(o.begun, 3);
	CHECK_INT(map_len(&o.docs), 0);
	CHECK(o.w.initial);
	f.fns.event(f.arg, CLIENT_BOOKMARK, STR("{}"));
	CHECK_INT(o.complete, 2);
	close_all(&f, &o);
}

TEST(what_has_no_name_is_not_kept)
{
	CHECK(kept_doc_new(STR("{\"metadata\":{}}")) == NULL);
	CHECK(kept_doc_new(STR("[")) == NULL);
	struct kept_doc *x = kept_doc_new(
		STR("{\"metadata\":{\"name\":\"n\"},\"spec\":{\"x\":1}}"));
	CHECK(x != NULL);
	CHECK_STR(x->name, "n");
	CHECK_INT(doc_get_int(doc_get(x->d, STR("spec")), STR("x"), 0), 1);
	kept_doc_free(x);
	kept_doc_free(NULL);
}
