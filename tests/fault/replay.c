/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * replay: what a power cut may leave of a disk whose writes were recorded (keelctl cluster start
 * --record-disk). The log is cut at random places; each time everything up to the last flush before the cut
 * is on the disk, and of each later write all, nothing, or some of its sectors. A command decides whether
 * the result is good.
 *
 *   DISK     as it was when the recording began; becomes what is certain, and moves on with the cuts
 *   COPY     DISK with a subset of the writes that are not: made anew for each cut
 *   COMMAND  run with COPY and the cut's position (bytes of the log) behind its words; 0 = good
 *
 * Source: Linux admin-guide/device-mapper/log-writes.rst; QEMU 7.2 block/blklogwrites. */
#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC 0x6a736677736872ULL
enum { SECTOR = 512, LOG_FLUSH = 1, LOG_FUA = 2, LOG_DISCARD = 4, CUTS_MAX = 10000 };

struct write {
	uint64_t sector, n, flags;
	size_t data; /* where in the log */
	size_t end;  /* where the next entry begins */
};

struct replay {
	struct str log;
	struct arena *a;
	struct write *writes;
	size_t n_writes;
	size_t certain; /* writes that are on `disk` */
	int disk;
	off_t size;
	const char *copy;
	char **command;
	int n_words;
	size_t kept, torn, lost; /* of the last cut */
};

/* log_read: entries until the log ends: a machine that was killed did not close it. */
static int
log_read(struct replay *r)
{
	struct reader head = reader_of(r->log);
	uint64_t magic = reader_le64(&head);
	reader_le64(&head); /* version */
	reader_le64(&head); /* entries: of the last time it was told */
	if (head.bad || magic != MAGIC || reader_le32(&head) != SECTOR)
		return -EINVAL;
	for (size_t at = SECTOR;;) {
		struct reader e = reader_of(str_sub(r->log, at, at + SECTOR));
		struct write w = {
			.sector = reader_le64(&e), .n = reader_le64(&e), .flags = reader_le64(&e)};
		w.data = at + SECTOR;
		w.end = w.data + (w.flags & LOG_DISCARD ? 0 : w.n * SECTOR);
		if (e.bad || w.end > r->log.n || (w.n == 0 && w.flags == 0))
			return 0;
		if ((off_t)((w.sector + w.n) * SECTOR) > r->size)
			return -ERANGE;
		struct write *slot = ARENA_PUSH(r->a, r->writes, r->n_writes);
		if (!slot)
			return -ENOMEM;
		*slot = w;
		at = w.end;
	}
}

static void
sectors_put(const struct replay *r, int fd, const struct write *w, uint64_t from, uint64_t n)
{
	struct str data = str_sub(r->log, w->data + from * SECTOR, w->data + (from + n) * SECTOR);
	/* What is discarded may read as anything; it stays. */
	if (w->flags & LOG_DISCARD || n == 0)
		return;
	BUG_ON(pwrite(fd, data.p, data.n, (off_t)((w->sector + from) * SECTOR)) != (ssize_t)data.n);
}

/* copy_make: the file's data without its holes. */
static int
copy_make(const struct replay *r)
{
	int to = open(r->copy, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0 || ftruncate(to, r->size) < 0)
		return -errno;
	for (off_t at = 0; (at = lseek(r->disk, at, SEEK_DATA)) >= 0;) {
		off_t end = lseek(r->disk, at, SEEK_HOLE), out = at;
		while (at < end) {
			ssize_t n = copy_file_range(r->disk, &at, to, &out, (size_t)(end - at), 0);
			if (n <= 0)
				return -EIO;
		}
	}
	return to;
}

static bool
chance(unsigned percent)
{
	return rand_below(100) < percent;
}

/* subset: of the writes behind the last flush, each with the cut's own likelihood. */
static void
subset(struct replay *r, int fd, size_t cut)
{
	static const unsigned likely[] = {0, 10, 50, 90, 100};
	unsigned percent = likely[rand_below(ARRAY_LEN(likely))];
	r->kept = r->torn = r->lost = 0;
	for (size_t i = r->certain; i < cut; i++) {
		const struct write *w = &r->writes[i];
		if (w->flags & LOG_FUA || chance(percent)) {
			sectors_put(r, fd, w, 0, w->n);
			r->kept++;
		} else if (chance(20)) {
			for (uint64_t k = 0; k < w->n; k++)
				if (chance(50))
					sectors_put(r, fd, w, k, 1);
			r->torn++;
		} else {
			r->lost++;
		}
	}
}

static int
command_run(const struct replay *r, size_t position)
{
	char text[24];
	char **argv = calloc((size_t)r->n_words + 3, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%zu", position);
	memcpy(argv, r->command, (size_t)r->n_words * sizeof(*argv));
	argv[r->n_words] = (char *)(uintptr_t)r->copy;
	argv[r->n_words + 1] = text;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	free(argv);
	return status;
}

/* cut_try: the disk as a cut before write `cut` may leave it. */
static int
cut_try(struct replay *r, size_t cut)
{
	size_t flushed = cut;
	while (flushed > r->certain && !(r->writes[flushed - 1].flags & LOG_FLUSH))
		flushed--;
	for (; r->certain < flushed; r->certain++)
		sectors_put(r, r->disk, &r->writes[r->certain], 0, r->writes[r->certain].n);
	int fd = copy_make(r);
	if (fd < 0)
		return fd;
	subset(r, fd, cut);
	close(fd);
	return command_run(r, r->writes[cut - 1].end);
}

static int
order(const void *x, const void *y)
{
	size_t a = *(const size_t *)x, b = *(const size_t *)y;
	return a < b ? -1 : a > b;
}

static int
map_log(struct replay *r, const char *path)
{
	struct stat st;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	r->log = str_from(p, (size_t)st.st_size);
	return 0;
}

static const char usage[] =
	"usage: replay LOG DISK COPY SEED CUTS FROM COMMAND...\n\n"
	"Tries CUTS cuts at random places of LOG behind its first FROM bytes.\n";

int
main(int argc, char **argv)
{
	static struct replay r;
	static size_t cuts[CUTS_MAX];
	uint64_t seed, n, from;
	struct stat st;
	if (argc < 8 || str_to_u64(str_c(argv[4]), &seed) < 0 ||
		str_to_u64(str_c(argv[5]), &n) < 0 || str_to_u64(str_c(argv[6]), &from) < 0 ||
		n > CUTS_MAX) {
		fputs(usage, stderr);
		return 2;
	}
	rand_set_seed(seed);
	r.copy = argv[3];
	r.command = argv + 7;
	r.n_words = argc - 7;
	r.a = arena_new(0);
	r.disk = open(argv[2], O_RDWR | O_CLOEXEC);
	int rc = r.disk < 0 || fstat(r.disk, &st) < 0 ? -errno : map_log(&r, argv[1]);
	r.size = rc < 0 ? 0 : st.st_size;
	if (rc == 0)
		rc = log_read(&r);
	size_t first = 0, good = 0;
	while (first < r.n_writes && r.writes[first].end <= from)
		first++;
	if (rc < 0 || first == r.n_writes) {
		fprintf(stderr, "replay: %s\n", rc < 0 ? strerror(-rc) : "nothing was written");
		return 2;
	}
	for (size_t i = 0; i < n; i++)
		cuts[i] = first + 1 + rand_below(r.n_writes - first);
	qsort(cuts, n, sizeof(cuts[0]), order);
	for (size_t i = 0; i < n; i++) {
		rc = cut_try(&r, cuts[i]);
		good += rc == 0;
		if (rc != 0)
			printf("FAIL cut %zu of %zu (seed %" PRIu64
			       "): after write %zu of %zu; %zu writes "
			       "certain, of the rest %zu kept, %zu torn, %zu lost\n",
				i + 1, (size_t)n, seed, cuts[i], r.n_writes, r.certain, r.kept,
				r.torn, r.lost);
		if (rc < 0)
			break;
	}
	printf("%zu of %zu cuts left a good disk (%zu writes recorded)\n", good, (size_t)n,
		r.n_writes);
	return good != n;
}
