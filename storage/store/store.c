/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * store.c: opening and closing, resources, single reads, figures; see store.h.
 *
 * Opening decides whether history may be trusted: yes when the same boot of the machine left it (a
 * killed process leaves what the page cache holds), or when the store was closed in order; else it
 * begins anew. The state record says which; it is written again only when it changes, so that a role
 * that was killed serves again without a commit.
 * Invariants: one store a folder; numbers of resources are dense from 1.
 * Must not: walk over all objects to open. */
#include "storage/store/store_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A copy must not hand out a revision twice, and its clients' are above any it knows. */
#define RESTORE_JUMP 1000000000u
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* LMDB cannot open a file twice in one process. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *open_stores;

static bool
list_add(struct store *s)
{
	pthread_mutex_lock(&open_lock);
	struct store *other = open_stores;
	while (other && strcmp(other->dir, s->dir) != 0)
		other = other->next_open;
	if (!other) {
		s->next_open = open_stores;
		open_stores = s;
	}
	pthread_mutex_unlock(&open_lock);
	return !other;
}

static void
list_del(struct store *s)
{
	pthread_mutex_lock(&open_lock);
	for (struct store **link = &open_stores; *link; link = &(*link)->next_open) {
		if (*link == s) {
			*link = s->next_open;
			break;
		}
	}
	pthread_mutex_unlock(&open_lock);
}

/* ---- resources ---- */

static struct resource *
resource_add(struct store *s, struct str name, uint32_t num, uint64_t rev)
{
	struct resource *r = calloc(1, sizeof(*r));
	char *copy = malloc(name.n + 1);
	if (!r || !copy || map_put(&s->res_by_name, name, r, NULL) < 0) {
		free(r);
		free(copy);
		return NULL;
	}
	memcpy(copy, name.p, name.n);
	r->num = num;
	r->name = str_from(copy, name.n);
	ring_init(&r->ring, rev);
	atomic_store(&s->res[num], r);
	return r;
}

int
resource_save(struct table *t, MDB_txn *txn, const struct resource *r)
{
	uint8_t le[4] = {(uint8_t)r->num, (uint8_t)(r->num >> 8), (uint8_t)(r->num >> 16),
		(uint8_t)(r->num >> 24)};
	return table_put(txn, t->resources, r->name, str_from((const char *)le, sizeof(le)));
}

int
store_resource(struct store *s, struct str name)
{
	if (name.n == 0 || name.n > STORE_KEY_MAX)
		return -ERANGE;
	pthread_mutex_lock(&s->res_lock);
	struct resource *r = map_get(&s->res_by_name, name);
	uint32_t num = r ? r->num : atomic_load(&s->n_res) + 1;
	int rc = (int)num;
	if (num > STORE_RES_MAX)
		rc = -ENFILE;
	else if (!r && !resource_add(s, name, num, atomic_load(&s->rev)))
		rc = -ENOMEM;
	else if (!r)
		atomic_store(&s->n_res, num);
	pthread_mutex_unlock(&s->res_lock);
	return rc;
}

static int
load_resources(struct store *s, MDB_txn *txn, const struct state *st)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	uint32_t n = 0, highest = 0;
	int rc = mdb_cursor_open(txn, s->table.resources, &cursor);
	if (rc != 0)
		return table_errno(rc);
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		struct reader r = reader_of(table_str(v));
		uint32_t num = reader_le32(&r);
		if (r.bad || num == 0 || num > STORE_RES_MAX || s->res[num]) {
			rc = MDB_CORRUPTED;
			break;
		}
		struct resource *res = resource_add(s, table_str(k), num, st->rev);
		if (!res) {
			rc = ENOMEM;
			break;
		}
		struct reader counts = reader_of(
			str_sub(st->counts, 8 * ((size_t)num - 1), SIZE_MAX));
		res->count = (int64_t)reader_le64(&counts);
		highest = num > highest ? num : highest;
		n++;
	}
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		rc = n == highest ? 0 : MDB_CORRUPTED;
	s->n_res = s->n_saved = highest;
	return table_errno(rc);
}

/* ---- open ---- */

static void
find_boot_id(struct store *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct str id = str_c(s->cfg.boot_id);
	if (!str_is_set(id) && s->cfg.world)
		id = STR("simulated");
	if (!str_is_set(id) && disk_read_file(BOOT_ID_FILE, 64, &b) == 0)
		id = str_trim(buf_view(&b));
	str_copy_c(id, s->boot_id, sizeof(s->boot_id));
}

static uint64_t
count_now(void *arg, uint32_t num)
{
	struct resource *r = resource_get(arg, num);
	return r ? (uint64_t)atomic_load(&r->count) : 0;
}

static int
write_state(struct store *s, uint32_t flags)
{
	MDB_txn *txn = NULL;
	struct state st = {
		.flags = flags,
		.rev = atomic_load(&s->rev),
		.history = s->history.st,
		.n_counts = s->n_saved,
	};
	memcpy(st.boot_id, s->boot_id, sizeof(st.boot_id));
	int rc = table_write(&s->table, &txn);
	if (rc < 0)
		return rc;
	rc = state_put(&s->table, txn, &st, count_now, s);
	if (rc < 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return table_errno(mdb_txn_commit(txn));
}

static int
path_of(const struct store *s, const char *name, struct buf *b)
{
	buf_cstr(b, s->dir);
	buf_char(b, '/');
	buf_cstr(b, name);
	buf_char(b, '\0');
	return b->failed ? -ENOMEM : 0;
}

/* load: state, resources, history. */
static int
load(struct store *s)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	MDB_txn *txn = NULL;
	struct state st = {.rev = 1};
	int rc = table_read(&s->table, &txn);
	if (rc < 0)
		return rc;
	rc = state_get(&s->table, txn, &st);
	bool fresh = rc == -ENOENT;
	if (rc == 0 || fresh)
		rc = load_resources(s, txn, &st);
	if (rc == 0)
		rc = path_of(s, "history", &path);
	table_read_end(&s->table, txn);
	if (rc < 0)
		return rc;
	bool same_boot = s->boot_id[0] != '\0' && strcmp(s->boot_id, st.boot_id) == 0;
	bool trusted = !fresh && !(st.flags & STATE_BACKUP) &&
		(same_boot || (st.flags & STATE_CLEAN));
	if (st.flags & STATE_BACKUP)
		st.rev += RESTORE_JUMP;
	s->rev = st.rev;
	rc = history_open(&s->history, path.data, &s->cfg, &st.history, trusted, st.rev);
	if (rc < 0)
		return rc;
	if (!same_boot || st.flags || s->history.epoch != st.history.epoch)
		rc = write_state(s, 0);
	/* Once and for all: the folder is synced with it, and so the names of our files. */
	buf_clear(&path);
	if (rc == 0 && (rc = path_of(s, "format", &path)) == 0 && !disk_exists(path.data))
		rc = disk_write_file(path.data, STR("keelson store 1\n"), 0600);
	return rc;
}

static void
release(struct store *s)
{
	for (uint32_t i = 1; i <= STORE_RES_MAX; i++) {
		struct resource *r = s->res[i];
		if (!r)
			continue;
		ring_release(&r->ring);
		free((void *)(uintptr_t)r->name.p);
		free(r);
	}
	map_release(&s->res_by_name);
	pthread_mutex_destroy(&s->res_lock);
	if (s->history.file)
		history_close(&s->history);
	if (s->table.env)
		table_close(&s->table);
	free(s->dir);
	free(s);
}

static int
open_all(struct store *s, struct err *e)
{
	int rc = disk_mkdirs(s->dir, 0700);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", s->dir);
	find_boot_id(s);
	rc = table_open(&s->table, s->dir, false, &s->cfg);
	if (rc == 0)
		rc = load(s);
	if (rc == -EUCLEAN)
		return err_set(e, rc, R_INTERNAL_ERROR, "the store in '%s' is damaged", s->dir);
	if (rc < 0)
		return err_errno(e, rc, "opening the store in '%s'", s->dir);
	hub_init(&s->hub, &s->cfg, s->rev);
	counts_init(&s->counts, s->rev);
	s->next_expiry_ns = 1; /* the first walk finds out */
	rc = writer_start(s, e);
	if (rc < 0) {
		hub_release(s);
		counts_release(&s->counts);
	}
	return rc;
}

int
store_open(const struct store_config *cfg, struct store **ret, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	char *dir = strdup(cfg->dir);
	if (!s || !dir) {
		free(s);
		free(dir);
		return err_errno(e, -ENOMEM, "opening the store");
	}
	s->cfg = *cfg;
	s->dir = dir;
	s->engine = &engine_local;
	pthread_mutex_init(&s->res_lock, NULL);
	map_init(&s->res_by_name);
	bool listed = list_add(s);
	int rc = listed ? open_all(s, e) : err_errno(e, -EBUSY, "opening the store in '%s'", dir);
	if (rc < 0) {
		if (listed)
			list_del(s);
		release(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	writer_stop(s);
	hub_release(s);
	counts_release(&s->counts);
	if (history_sync(&s->history) == 0)
		write_state(s, STATE_CLEAN);
	list_del(s);
	release(s);
}

uint64_t
store_rev(const struct store *s)
{
	return atomic_load(&s->rev);
}

uint64_t
store_oldest(const struct store *s)
{
	return atomic_load(&s->history.oldest);
}

/* ---- single reads ---- */

int
store_borrow(struct store *s, struct store_key key,
	void (*fn)(void *arg, const struct store_value *v), void *arg)
{
	struct key_buf packed;
	struct str raw;
	struct store_value v;
	MDB_txn *txn = NULL;
	if (key_pack(&key, &packed) < 0)
		return -ENOENT;
	if (table_read(&s->table, &txn) < 0)
		return -EIO;
	int rc = table_get(txn, s->table.objects, key_view(&packed), &raw);
	if (rc == 0)
		rc = value_unpack(raw, &v);
	if (rc == 0)
		fn(arg, &v);
	table_read_end(&s->table, txn);
	return rc < 0 && rc != -ENOENT ? -EIO : rc;
}

struct copy {
	struct arena *a;
	struct store_value *ret;
	bool failed;
};

static void
copy_value(void *arg, const struct store_value *v)
{
	struct copy *c = arg;
	char *p = arena_alloc_raw(c->a, v->attrs.n + v->body.n + 1, 1);
	c->failed = !p;
	if (!p)
		return;
	if (v->attrs.n > 0)
		memcpy(p, v->attrs.p, v->attrs.n);
	if (v->body.n > 0)
		memcpy(p + v->attrs.n, v->body.p, v->body.n);
	p[v->attrs.n + v->body.n] = '\0';
	*c->ret = *v;
	c->ret->attrs.p = p;
	c->ret->body.p = p + v->attrs.n;
}

int
store_get(struct store *s, struct store_key key, struct arena *a, struct store_value *ret)
{
	struct copy c = {a, ret, false};
	int rc = store_borrow(s, key, copy_value, &c);
	return rc == 0 && c.failed ? -ENOMEM : rc;
}

bool
store_failed(const struct store *s)
{
	return atomic_load(&s->table.failed);
}

void
store_stats(struct store *s, struct store_stats *ret)
{
	MDB_envinfo info = {0};
	MDB_stat stat = {0};
	struct store_stats st = {
		.commits = atomic_load(&s->n_commits),
		.groups = atomic_load(&s->n_groups),
		.history_bytes = history_bytes(&s->history),
		.watchers = atomic_load(&s->hub.n_watchers),
		.events = atomic_load(&s->hub.n_events),
	};
	for (uint32_t i = 1; i <= atomic_load(&s->n_res); i++)
		st.objects += (uint64_t)atomic_load(&resource_at(s, i)->count);
	mdb_env_info(s->table.env, &info);
	mdb_env_stat(s->table.env, &stat);
	st.bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
	*ret = st;
}
