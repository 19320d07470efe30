/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * The maker of disks after a power cut, on a log written by hand: what was flushed is always there, what was
 * not is there in all its states, and nothing of behind the cut is. */
int replay_main(int argc, char **argv);
#define main replay_main
#include "tests/fault/replay.c"
#undef main

#include "tests/unit/test.h"

enum { SECTORS = 16 };

/* entry: write `n` sectors of `byte` at `sector`; n 0 = a flush. */
static void
entry(struct buf *b, uint64_t sector, uint64_t n, char byte)
{
	const uint64_t head[] = {sector, n, n ? 0 : LOG_FLUSH, 0};
	size_t begin = b->len;
	buf_add(b, head, sizeof(head)); /* little endian, as all machines this runs on */
	while (b->len < begin + SECTOR)
		buf_char(b, 0);
	for (size_t i = 0; i < n * SECTOR; i++)
		buf_char(b, byte);
}

static void
log_begin(struct buf *b)
{
	const uint64_t head[] = {MAGIC, 1, 0, SECTOR};
	buf_add(b, head, sizeof(head));
	while (b->len < SECTOR)
		buf_char(b, 0);
}

static void
open_all(struct replay *r, struct buf *log, const char *name)
{
	static char copy[128], disk[128];
	snprintf(disk, sizeof(disk), "%s/%s", TEST_TMP, name);
	snprintf(copy, sizeof(copy), "%s/copy", TEST_TMP);
	*r = (struct replay){.log = buf_view(log),
		.a = arena_new(0),
		.copy = copy,
		.size = SECTORS * SECTOR,
		.disk = open(disk, O_RDWR | O_CREAT | O_TRUNC, 0600)};
	CHECK(r->disk >= 0 && ftruncate(r->disk, r->size) == 0);
}

static char
sector_of(const char *path, unsigned n)
{
	char data[SECTOR];
	_cleanup_fd_ int fd = open(path, O_RDONLY);
	CHECK(pread(fd, data, sizeof(data), n * SECTOR) == SECTOR);
	for (size_t i = 1; i < SECTOR; i++)
		CHECK(data[i] == data[0]);
	return data[0] ? data[0] : '.';
}

TEST(what_was_flushed_stays_and_the_rest_is_any_subset)
{
	struct buf log = BUF_INIT;
	struct replay r;
	char ok[] = "true";
	char *command[] = {ok};
	bool seen[128] = {0}, torn = false;
	log_begin(&log);
	entry(&log, 0, 1, 'a');
	entry(&log, 1, 1, 'b');
	entry(&log, 0, 0, 0);
	entry(&log, 1, 1, 'c');
	entry(&log, 2, 4, 'd');
	entry(&log, 1, 1, 'e');
	entry(&log, 8, 1, 'f'); /* behind the cut */
	for (unsigned seed = 1; seed < 60; seed++) {
		open_all(&r, &log, "disk");
		r.command = command;
		r.n_words = 1;
		rand_set_seed(seed);
		CHECK_INT(log_read(&r), 0);
		CHECK_INT(r.n_writes, 7);
		CHECK_INT(cut_try(&r, 6), 0);
		CHECK_INT(r.certain, 3);
		CHECK_INT(sector_of(r.copy, 0), 'a');
		CHECK_INT(sector_of(r.copy, 8), '.');
		seen[(int)sector_of(r.copy, 1)] = true;
		seen[(int)sector_of(r.copy, 2)] = true;
		torn |= sector_of(r.copy, 2) != sector_of(r.copy, 3);
		close(r.disk);
		arena_free(r.a);
	}
	CHECK(seen['b'] && seen['c'] && seen['e'] && seen['d'] && seen['.'] && torn);
	buf_release(&log);
}

TEST(a_log_ends_where_its_machine_was_killed)
{
	struct buf log = BUF_INIT;
	struct replay r;
	log_begin(&log);
	entry(&log, 0, 1, 'a');
	entry(&log, 0, 0, 0);
	entry(&log, 3, 2, 'b');
	log.len -= SECTOR; /* its data is not whole */
	open_all(&r, &log, "disk2");
	CHECK_INT(log_read(&r), 0);
	CHECK_INT(r.n_writes, 2);
	arena_free(r.a);
	entry(&log, SECTORS, 1, 'x');
	log.data[SECTOR] = 0x7f; /* an entry beyond the disk */
	open_all(&r, &log, "disk3");
	CHECK_INT(log_read(&r), -ERANGE);
	arena_free(r.a);
	log.data[0] = 0;
	open_all(&r, &log, "disk4");
	CHECK_INT(log_read(&r), -EINVAL);
	arena_free(r.a);
	buf_release(&log);
}
