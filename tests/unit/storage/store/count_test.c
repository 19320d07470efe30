/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * How many objects a namespace has: as it is walked at first, and as the writer keeps it from then on. */
#include "storage/store/count.c"

#include "tests/unit/storage/store/store_util.h"

TEST(count_follows_what_is_written)
{
	struct fixture f;
	fx_open(&f, (struct store_config){0});
	fx_put(&f, key(f.pods, "a", "x"), "");
	fx_put(&f, key(f.pods, "a-b", "x"), "");
	fx_put(&f, key(f.maps, "a", "x"), "");
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 1);
	CHECK_INT(map_len(&f.s->counts.by_prefix), 1);
	fx_put(&f, key(f.pods, "a", "y"), "");
	fx_put(&f, key(f.pods, "a", "y"), ",changed");
	fx_put(&f, key(f.pods, "a-b", "y"), "");
	fx_put(&f, key(f.maps, "a", "y"), "");
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 2);
	CHECK_INT(store_count(f.s, f.pods, STR("a-b")), 2);
	CHECK_INT(store_count(f.s, f.maps, STR("a")), 2);
	fx_delete(&f, key(f.pods, "a", "x"));
	fx_delete(&f, key(f.pods, "a", "x")); /* is gone already */
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 1);
	/* A namespace without objects is not kept, and counts again when it has some. */
	fx_delete(&f, key(f.pods, "a", "y"));
	CHECK_INT(map_len(&f.s->counts.by_prefix), 2);
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 0);
	fx_put(&f, key(f.pods, "a", "z"), "");
	CHECK_INT(store_count(f.s, f.pods, STR("a")), 1);
	store_close(f.s);
	fx_reopen(&f);
	CHECK_INT(store_count(f.s, f.pods, STR("a-b")), 2);
	fx_close(&f);
}

#define WRITES 400

static void
written(struct store_txn *t)
{
	++*(size_t *)t->arg;
}

/* Snapshots and events overlap in every way; what is kept in the end is right all the same. */
TEST(count_beside_a_writer)
{
	static struct store_op ops[WRITES];
	static struct store_txn txns[WRITES];
	static char names[WRITES][8];
	struct fixture f;
	struct key_buf prefix;
	size_t done = 0;
	fx_open(&f, (struct store_config){.group_max = 3, .no_sync = true});
	CHECK_INT(key_prefix(f.pods, STR("a"), &prefix), 0);
	for (size_t i = 0; i < WRITES; i++) {
		/* of four: two made, one changed, one deleted */
		snprintf(names[i], sizeof(names[i]), "n%zu", i % 4 < 2 ? i : i - 2);
		struct store_key k = key(f.pods, "a", names[i]);
		ops[i] = (struct store_op){.kind = i % 4 == 3 ? STORE_DELETE : STORE_PUT,
			.key = k,
			.body = i % 4 == 3 ? STR("") : STR("{}"),
			.attrs = STR_NONE};
		txns[i] = (struct store_txn){.ops = &ops[i],
			.n_ops = 1,
			.reply_to = f.loop,
			.done = written,
			.arg = &done};
		store_commit(f.s, &txns[i]);
	}
	int64_t end = clock_mono_ns() + WAIT_NS;
	for (size_t round = 0; done < WRITES && clock_mono_ns() < end; round++) {
		store_count(f.s, f.pods, STR("a"));
		if (round % 3 == 2) { /* forgotten: the next one walks again */
			pthread_mutex_lock(&f.s->counts.lock);
			struct ns_count *n = map_get(&f.s->counts.by_prefix, key_view(&prefix));
			if (n && !n->walking)
				forget(&f.s->counts, key_view(&prefix));
			pthread_mutex_unlock(&f.s->counts.lock);
		}
		loop_turn(f.loop, 0);
	}
	CHECK_INT(done, WRITES);
	CHECK_INT(store_count(f.s, f.pods, STR("a")), WRITES / 4);
	CHECK_INT(store_count(f.s, f.pods, STR_NONE), WRITES / 4);
	fx_close(&f);
}
