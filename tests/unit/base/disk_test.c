/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 *  disk_test: whole files, files at offsets, hooks, and what a power cut leaves. */
#include "tests/unit/test.h"

#include "base/disk.c"
#include "base/disk_sim.c"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *
path_of(const char *name)
{
	static char path[200];
	snprintf(path, sizeof(path), "%s/%s", TEST_TMP, name);
	return path;
}

TEST(whole_files)
{
	struct buf b = BUF_INIT;
	CHECK_INT(disk_read_file(path_of("none"), 100, &b), -ENOENT);
	CHECK_INT(disk_mkdirs(path_of("a/b/c"), 0700), 0);
	CHECK_INT(disk_mkdirs(path_of("a/b/c"), 0700), 0);
	CHECK_INT(disk_write_file(path_of("a/b/c/f"), STR("one"), 0600), 0);
	CHECK_INT(disk_write_file(path_of("a/b/c/f"), STR("three"), 0644), 0);
	struct stat st;
	CHECK(stat(path_of("a/b/c/f"), &st) == 0);
	CHECK_INT(st.st_mode & 0777, 0644);
	CHECK(disk_exists(path_of("a/b/c/f")));
	CHECK(!disk_exists(path_of("a/b/c/f.new")));
	buf_cstr(&b, "x");
	CHECK_INT(disk_read_file(path_of("a/b/c/f"), 4, &b), -EFBIG);
	CHECK_STR(buf_view(&b), "x");
	CHECK_INT(disk_read_file(path_of("a/b/c/f"), 5, &b), 0);
	CHECK_STR(buf_view(&b), "xthree");
	CHECK_INT(disk_mkdirs(path_of("a/b/c/f"), 0700), -ENOTDIR);
	CHECK_INT(disk_unlink(path_of("a/b/c/f")), 0);
	CHECK_INT(disk_unlink(path_of("a/b/c/f")), -ENOENT);
	CHECK_INT(disk_write_file(path_of("no/f"), STR("x"), 0600), -ENOENT);
	buf_release(&b);
}

/* A role that started again rewrote and synced half a dozen files that were as it wanted them. */
TEST(a_file_that_is_right_is_not_written_again)
{
	struct stat was, is;
	CHECK_INT(disk_keep_file(path_of("k"), STR("one"), 0600), 0);
	CHECK(stat(path_of("k"), &was) == 0);
	CHECK_INT(disk_keep_file(path_of("k"), STR("one"), 0600), 0);
	CHECK(stat(path_of("k"), &is) == 0);
	CHECK_INT(is.st_ino, was.st_ino);
	static const struct {
		struct str content;
		mode_t mode;
	} others[] = {{STR_INIT("two"), 0600}, {STR_INIT("tw"), 0600}, {STR_INIT("twos"), 0600},
		{STR_INIT(""), 0600}, {STR_INIT(""), 0644}};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct buf b = BUF_INIT;
		CHECK_INT(disk_keep_file(path_of("k"), others[i].content, others[i].mode), 0);
		CHECK_INT(disk_read_file(path_of("k"), 100, &b), 0);
		CHECK_STR(buf_view(&b), others[i].content);
		CHECK(stat(path_of("k"), &is) == 0);
		CHECK_INT(is.st_mode & 0777, others[i].mode);
		buf_release(&b);
	}
	CHECK_INT(disk_keep_file(path_of("no/k"), STR("x"), 0600), -ENOENT);
}

TEST(offsets)
{
	struct disk_file *f = NULL;
	CHECK_INT(disk_open(path_of("none"), O_RDWR, 0, &f), -ENOENT);
	CHECK_INT(disk_open(path_of("f"), O_RDWR | O_CREAT, 0600, &f), 0);
	static char text[] = "ab";
	struct iovec iov[200];
	for (int i = 0; i < 200; i++)
		iov[i] = (struct iovec){text, i % 3 ? 2 : 0};
	CHECK_INT(disk_pwritev(f, iov, 200, 5), 0);
	CHECK_INT(disk_size(f), 5 + 133 * 2);
	char back[400];
	CHECK_INT(disk_pread(f, back, sizeof(back), 0), 271);
	CHECK(memcmp(back, "\0\0\0\0\0abab", 9) == 0);
	CHECK_INT(disk_pread(f, back, 2, 1000), 0);
	CHECK_INT(disk_truncate(f, 10), 0);
	CHECK_INT(disk_size(f), 10);
	CHECK_INT(disk_sync(f), 0);
	disk_close(f);
	disk_close(NULL);
}

static int seen[2];

static int
refuse(void *arg, enum disk_op op, int fd, off_t at, size_t n)
{
	(void)fd, (void)at, (void)n;
	seen[op]++;
	return op == *(enum disk_op *)arg ? -ENOSPC : 0;
}

/* A disk that takes a part of a write only: LMDB made EIO of it, and who asked was told that the store is broken. */
TEST(a_short_write_says_what_stopped_it)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const struct rlimit small = {8192, 8192};
	char page[4096] = {1};
	struct iovec iov[3] = {{page, 4096}, {page, 4096}, {page, 4096}};
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(path_of("short"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		sigaction(SIGXFSZ, &ignore, NULL);
		if (fd < 0 || setrlimit(RLIMIT_FSIZE, &small) < 0)
			_exit(1);
		if (disk_lmdb_pwritev(fd, iov, 2, 0) != 8192)
			_exit(2);
		errno = 0;
		_exit(disk_lmdb_pwritev(fd, iov, 3, 0) == -1 && errno == EFBIG ? 0 : 3);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

TEST(hooks_fail_every_way_of_writing)
{
	enum disk_op which = DISK_WRITE;
	char x = 'x';
	disk_set_hooks(refuse, &which);
	CHECK_INT(disk_write_file(path_of("h"), STR("x"), 0600), -ENOSPC);
	CHECK(!disk_exists(path_of("h")) && !disk_exists(path_of("h.new")));
	errno = 0;
	CHECK_INT(disk_lmdb_pwrite(1, "x", 1, 0), -1);
	CHECK_INT(errno, ENOSPC);
	CHECK_INT(disk_lmdb_pwritev(1, &(struct iovec){&x, 1}, 1, 0), -1);
	which = DISK_SYNC;
	CHECK_INT(disk_write_file(path_of("h"), STR("x"), 0600), -ENOSPC);
	CHECK_INT(disk_lmdb_fdatasync(1), -1);
	CHECK_INT(seen[DISK_WRITE], 4);
	CHECK_INT(seen[DISK_SYNC], 2);
	disk_set_hooks(NULL, NULL);
	CHECK_INT(disk_write_file(path_of("h"), STR("x"), 0600), 0);
}

static void
put(struct disk_file *f, char c, size_t n, off_t at)
{
	char bytes[4096];
	memset(bytes, c, n);
	CHECK_INT(disk_pwritev(f, &(struct iovec){bytes, n}, 1, at), 0);
}

TEST(power_cut_loses_only_what_was_not_synced)
{
	bool lost = false, kept = false, shrunk = false;
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct disk_file *f = NULL;
		rand_set_seed(seed);
		disk_unlink(path_of("p"));
		CHECK_INT(disk_open(path_of("p"), O_RDWR | O_CREAT, 0600, &f), 0);
		CHECK_INT(disk_sim_start(), 0);
		put(f, 'a', 2048, 0);
		CHECK_INT(disk_sync(f), 0);
		put(f, 'b', 1024, 1024);
		put(f, 'c', 1024, 2048);
		struct disk_file *d = NULL; /* as LMDB's meta page: synced by the write itself */
		CHECK_INT(disk_open(path_of("p"), O_RDWR | O_DSYNC, 0, &d), 0);
		put(d, 'd', 512, 512);
		CHECK_INT(disk_sim_power_cut(), 0);
		char back[4096] = "";
		ssize_t n = disk_pread(f, back, sizeof(back), 0);
		CHECK(n == 2048 || n == 3072);
		shrunk |= n == 2048;
		CHECK(back[0] == 'a' && back[511] == 'a' && back[512] == 'd' && back[1023] == 'd');
		for (int i = 1024; i < n; i++) {
			char old = i < 2048 ? 'a' : '\0';
			char now = i < 2048 ? 'b' : 'c';
			CHECK(back[i] == old || back[i] == now);
			CHECK(i % 512 == 0 || back[i] == back[i - 1]);
			lost |= back[i] == old;
			kept |= back[i] == now;
		}
		disk_close(f);
		disk_close(d);
		disk_sim_stop();
	}
	CHECK(lost && kept && shrunk);
}
