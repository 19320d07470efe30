/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * spdy_test: two machines in memory, the bytes of a Go client as captured, and bad frames. */
#include "netstack/http/spdy.c"

#include "tests/unit/test.h"

struct peer {
	struct spdy *s;
	struct buf out, log;
	struct spdy_stream *last, *by_id[8];
	int closes, error;
	bool free_on_data, accept;
};

static size_t
peer_send(void *arg, struct str bytes)
{
	struct peer *p = arg;

	buf_str(&p->out, bytes);
	return p->out.len;
}

static void
on_open(void *arg, struct spdy_stream *s, const struct http_headers *h, bool fin)
{
	struct peer *p = arg;

	buf_fmt(&p->log, "open%u", spdy_stream_id(s));
	for (size_t i = 0; i < h->n; i++)
		buf_fmt(&p->log, " " STR_FMT "=" STR_FMT, STR_ARG(h->v[i].name),
			STR_ARG(h->v[i].value));
	buf_cstr(&p->log, fin ? " fin;" : ";");
	p->last = s;
	p->by_id[spdy_stream_id(s) % 8] = s;
	spdy_stream_set(s, p);
	if (p->accept)
		CHECK_INT(spdy_accept(s), 0);
}

static void
on_data(void *arg, struct spdy_stream *s, struct str bytes, bool fin)
{
	struct peer *p = arg;

	CHECK(spdy_stream_get(s) == p);
	buf_fmt(&p->log, "%u:" STR_FMT "%s", spdy_stream_id(s), STR_ARG(bytes), fin ? "$" : "");
	if (p->free_on_data) {
		spdy_free(p->s);
		p->s = NULL;
	}
}

static void
on_gone(void *arg, struct spdy_stream *s, int status)
{
	struct peer *p = arg;

	buf_fmt(&p->log, "gone%u=%d;", spdy_stream_id(s), status);
	p->by_id[spdy_stream_id(s) % 8] = NULL;
}

static void
on_accepted(void *arg, struct spdy_stream *s, const struct http_headers *h)
{
	buf_fmt(&((struct peer *)arg)->log, "accepted%u/%zu;", spdy_stream_id(s), h->n);
}

static void
on_closed(void *arg, int error)
{
	struct peer *p = arg;

	p->closes++;
	p->error = error;
}

static const struct spdy_fns fns = {on_open, on_data, on_gone, on_accepted, on_closed, NULL};

static void
peer_init(struct peer *p, bool client)
{
	*p = (struct peer){.accept = true};
	CHECK_INT(spdy_new(client, &fns, p, peer_send, p, &p->s), 0);
}

static void
peer_free(struct peer *p)
{
	spdy_free(p->s);
	buf_release(&p->out);
	buf_release(&p->log);
}

static void
pass(struct peer *from, struct peer *to, size_t step)
{
	struct buf bytes = from->out;

	from->out = (struct buf)BUF_INIT;
	for (size_t at = 0; at < bytes.len && to->s; at += step)
		spdy_feed(to->s, str_sub(buf_view(&bytes), at, at + step));
	buf_release(&bytes);
}

/* What kubectl's library sends: three streams, a ping, data, FIN, RST, GOAWAY. */
static const uint8_t go_client[] = {
	0x80,
	0x03,
	0x00,
	0x01,
	0x01,
	0x00,
	0x00,
	0x29,
	0x00,
	0x00,
	0x00,
	0x01,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x78,
	0xf9,
	0xe3,
	0xc6,
	0xa7,
	0xc2,
	0x62,
	0x60,
	0x60,
	0x60,
	0x04,
	0xa7,
	0xb3,
	0x92,
	0xa2,
	0xd4,
	0xc4,
	0x5c,
	0x68,
	0x51,
	0xc2,
	0x9a,
	0x0a,
	0x0a,
	0x68,
	0x00,
	0x00,
	0x00,
	0x00,
	0xff,
	0xff,
	0x80,
	0x03,
	0x00,
	0x01,
	0x00,
	0x00,
	0x00,
	0x17,
	0x00,
	0x00,
	0x00,
	0x03,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0xc2,
	0x2e,
	0x55,
	0x5c,
	0x92,
	0x92,
	0x99,
	0x07,
	0x00,
	0x00,
	0x00,
	0xff,
	0xff,
	0x80,
	0x03,
	0x00,
	0x01,
	0x00,
	0x00,
	0x00,
	0x27,
	0x00,
	0x00,
	0x00,
	0x05,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x02,
	0xe5,
	0x29,
	0x0c,
	0x29,
	0xb6,
	0xe2,
	0x92,
	0x94,
	0x7c,
	0x70,
	0xf1,
	0xcd,
	0x9a,
	0x5b,
	0x9a,
	0x53,
	0x92,
	0x09,
	0x2e,
	0x61,
	0x19,
	0x92,
	0x00,
	0x00,
	0x00,
	0x00,
	0xff,
	0xff,
	0x80,
	0x03,
	0x00,
	0x06,
	0x00,
	0x00,
	0x00,
	0x04,
	0x00,
	0x00,
	0x00,
	0x01,
	0x00,
	0x00,
	0x00,
	0x03,
	0x00,
	0x00,
	0x00,
	0x05,
	0x68,
	0x65,
	0x6c,
	0x6c,
	0x6f,
	0x00,
	0x00,
	0x00,
	0x03,
	0x01,
	0x00,
	0x00,
	0x00,
	0x80,
	0x03,
	0x00,
	0x03,
	0x00,
	0x00,
	0x00,
	0x08,
	0x00,
	0x00,
	0x00,
	0x05,
	0x00,
	0x00,
	0x00,
	0x05,
	0x80,
	0x03,
	0x00,
	0x07,
	0x00,
	0x00,
	0x00,
	0x08,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
	0x00,
};

TEST(frames_of_a_go_client)
{
	const size_t steps[] = {1, 7, 4096};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct peer p;
		struct str all = str_from((const char *)go_client, sizeof(go_client));
		peer_init(&p, false);
		for (size_t at = 0; at < all.n; at += steps[i])
			spdy_feed(p.s, str_sub(all, at, at + steps[i]));
		struct str log = buf_view(&p.log);
		CHECK(str_starts(
			log, STR("open1 streamtype=error fin;open3 streamtype=stdin;open5 ")));
		CHECK(str_find(log, STR("streamtype=stdout")) > 0);
		CHECK(str_find(log, STR("multi=a multi=b")) > 0);
		CHECK(str_find(log, STR("3:$")) > 0 || str_find(log, STR("3:hello$")) > 0);
		CHECK(str_find(log, STR("gone5=5;")) > 0);
		CHECK(str_ends(log, STR("gone3=0;gone1=0;")));
		CHECK_INT(p.closes, 1);
		CHECK_INT(p.error, 0);
		/* Three replies and the ping's answer went out. */
		CHECK(str_find(buf_view(&p.out), STR("\x80\x03\0\x06\0\0\0\x04\0\0\0\x01")) > 0);
		peer_free(&p);
	}
}

TEST(streams_both_ways)
{
	const size_t steps[] = {1, 5, 1000, 1 << 20};
	static char big[200000];

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct peer c, s;
		struct spdy_stream *st = NULL;
		const struct http_header h[] = {{STR_INIT("StreamType"), STR_INIT("data")},
			{STR_INIT("port"), STR_INIT("80")}};
		peer_init(&c, true);
		peer_init(&s, false);
		for (int k = 0; k < 50; k++) {
			CHECK_INT(spdy_open(c.s, h, 2, false, &st), 0);
			spdy_stream_set(st, &c);
			pass(&c, &s, steps[i]);
			pass(&s, &c, steps[i]);
			char want[128];
			snprintf(want, sizeof(want), "open%d streamtype=data port=80;", 2 * k + 1);
			CHECK_STR(buf_view(&s.log), want);
			snprintf(want, sizeof(want), "accepted%d/0;", 2 * k + 1);
			CHECK_STR(buf_view(&c.log), want);
			buf_clear(&s.log);
			buf_clear(&c.log);
			spdy_write(st, STR("GET"), true);
			pass(&c, &s, steps[i]);
			spdy_write(s.last, k == 0 ? str_from(big, sizeof(big)) : STR("OK"), false);
			spdy_write(s.last, STR(""), true);
			CHECK(str_ends(buf_view(&s.log), STR("=-1;")));
			pass(&s, &c, steps[i]);
			CHECK(str_ends(buf_view(&c.log), STR("=-1;")));
			CHECK_INT(spdy_streams(c.s), 0);
			CHECK_INT(spdy_streams(s.s), 0);
			buf_clear(&s.log);
			buf_clear(&c.log);
		}
		CHECK_INT(spdy_open(c.s, h, 2, false, &st), 0);
		pass(&c, &s, steps[i]);
		spdy_reset(s.last, 5);
		pass(&s, &c, steps[i]);
		CHECK(str_ends(buf_view(&c.log), STR("gone101=5;")));
		spdy_goaway(c.s);
		pass(&c, &s, steps[i]);
		CHECK_INT(s.closes, 1);
		spdy_feed_eof(c.s);
		CHECK_INT(c.closes, 1);
		peer_free(&c);
		peer_free(&s);
	}
}

TEST(bad_frames_end_the_connection)
{
	static const struct str rows[] = {
		STR_INIT("\x80\x02\0\x06\0\0\0\x04\0\0\0\x01"), /* version 2 */
		STR_INIT("\x80\x03\0\x01\0\xff\xff\xff"),       /* control frame too long */
		STR_INIT("\x80\x03\0\x01\0\0\0\x04\0\0\0\x01"), /* SYN_STREAM cut */
		STR_INIT("\x80\x03\0\x01\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0rubb"),
		STR_INIT("\x80\x03\0\x06\0\0\0\x02\0\0"),       /* PING cut */
		STR_INIT("\x80\x03\0\x03\0\0\0\x04\0\0\0\x01"), /* RST cut */
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct peer p;
		peer_init(&p, false);
		CHECK_INT(spdy_feed(p.s, rows[i]), -EPROTO);
		CHECK_INT(p.closes, 1);
		CHECK_INT(p.error, -EPROTO);
		CHECK_INT(spdy_feed(p.s, rows[i]), -EPROTO);
		peer_free(&p);
	}
}

TEST(ids_must_grow_and_be_odd_and_late_frames_are_dropped)
{
	struct peer c, s;
	struct spdy_stream *st = NULL;
	const struct http_header h = {STR_INIT("a"), STR_INIT("b")};

	peer_init(&c, true);
	peer_init(&s, false);
	CHECK_INT(spdy_open(c.s, &h, 1, false, &st), 0);
	pass(&c, &s, 4096);
	/* Data for a stream never opened, unknown frame types, window updates: nothing. */
	buf_clear(&s.log);
	CHECK_INT(
		spdy_feed(s.s,
			STR("\0\0\0\x09\0\0\0\x02hi"
			    "\x80\x03\0\x55\0\0\0\x01x\x80\x03\0\x09\0\0\0\x08\0\0\0\x01\0\0\x10\0")),
		0);
	CHECK_STR(buf_view(&s.log), "");
	c.s->next_id = 1; /* the same id again */
	CHECK_INT(spdy_open(c.s, &h, 1, false, &st), 0);
	pass(&c, &s, 4096);
	CHECK_INT(s.error, -EPROTO);
	peer_free(&c);
	peer_free(&s);
	peer_init(&c, true);
	peer_init(&s, false);
	c.s->next_id = 2; /* even: the server's */
	CHECK_INT(spdy_open(c.s, &h, 1, false, &st), 0);
	pass(&c, &s, 4096);
	CHECK_INT(s.error, -EPROTO);
	peer_free(&c);
	peer_free(&s);
}

TEST(streams_and_header_blocks_are_bounded)
{
	struct peer c, s;
	struct spdy_stream *st = NULL;
	static char value[60000];
	struct http_header h[2] = {
		{STR_INIT("a"), {value, 100}}, {STR_INIT("b"), {value, sizeof(value)}}};

	memset(value, 'v', sizeof(value));
	peer_init(&c, true);
	peer_init(&s, false);
	s.accept = false;
	for (int i = 0; i < STREAMS_MAX + 10; i++) {
		CHECK_INT(spdy_open(c.s, h, 1, false, &st), 0);
		spdy_stream_set(st, &c);
		pass(&c, &s, 1 << 20);
		pass(&s, &c, 1 << 20);
		buf_clear(&s.log);
	}
	CHECK_INT(spdy_streams(s.s), STREAMS_MAX);
	CHECK(str_find(buf_view(&c.log), STR("=3;")) > 0); /* refused */
	/* A block that unpacks to more than 64 KiB. */
	h[0].value = str_from(value, 10000);
	CHECK_INT(spdy_open(c.s, h, 2, false, &st), 0);
	pass(&c, &s, 1 << 20);
	CHECK_INT(s.error, -EPROTO);
	peer_free(&c);
	peer_free(&s);
}

TEST(machine_freed_in_its_own_callback)
{
	struct peer c, s;
	struct spdy_stream *st = NULL;

	peer_init(&c, true);
	peer_init(&s, false);
	CHECK_INT(spdy_open(c.s, NULL, 0, false, &st), 0);
	s.free_on_data = true;
	spdy_write(st, STR("abc"), false);
	spdy_write(st, STR("def"), true);
	pass(&c, &s, 4096);
	CHECK(str_ends(buf_view(&s.log), STR("1:abc")));
	CHECK_INT(s.closes, 0);
	peer_free(&c);
	peer_free(&s);
}
