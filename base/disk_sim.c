/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * disk_sim.c: a disk that loses what was not flushed. The files are real ones (LMDB maps them); the old
 * content of every sector written since its file's last sync is kept, and a power cut puts back what the
 * coin says. Invariants: files are told apart by device and inode; a write through an O_DSYNC descriptor
 * is durable for its own sectors only. Must not: be on in a product; it is for tests and simulation.
 * Source: experiments with recorded disks: after a cut any subset of unsynced sectors may have arrived. */
#include "base/disk.h"
#include "base/hash.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

struct sector {
	off_t number;
	char old[SECTOR];
};

struct sim_file {
	struct sim_file *next;
	dev_t dev;
	ino_t ino;
	int fd; /* our own, open for reading and writing */
	off_t synced_size;
	struct map dirty; /* sector number, 8 bytes -> struct sector */
};

static pthread_mutex_t sim_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sim_file *sim_files;

static void
file_clean(struct sim_file *f)
{
	size_t pos = 0;
	void *value = NULL;
	while (map_next(&f->dirty, &pos, NULL, &value))
		free(value);
	map_release(&f->dirty);
}

/* file_of: what is known of the file behind fd, made when it is new. */
static struct sim_file *
file_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	for (struct sim_file *f = sim_files; f; f = f->next)
		if (f->dev == st.st_dev && f->ino == st.st_ino)
			return f;
	char path[64] = "/proc/self/fd/";
	struct buf number = BUF_INIT;
	buf_u64(&number, (uint64_t)fd);
	str_copy_c(buf_view(&number), path + strlen(path), 20);
	buf_release(&number);
	struct sim_file *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->fd = open(path, O_RDWR | O_CLOEXEC);
	if (f->fd < 0) {
		free(f);
		return NULL;
	}
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->synced_size = st.st_size;
	f->next = sim_files;
	sim_files = f;
	return f;
}

static int
remember(struct sim_file *f, off_t number)
{
	struct str key = {(const char *)&number, sizeof(number)};
	if (map_get(&f->dirty, key))
		return 0;
	struct sector *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->number = number;
	if (pread(f->fd, s->old, SECTOR, number * SECTOR) < 0 ||
		map_put(&f->dirty, key, s, NULL) < 0) {
		free(s);
		return -EIO;
	}
	return 0;
}

static int
on_write(struct sim_file *f, int fd, off_t at, size_t n)
{
	bool durable = fcntl(fd, F_GETFL) & O_DSYNC;
	int rc = 0;
	for (off_t s = at / SECTOR; rc == 0 && n && s <= (at + (off_t)n - 1) / SECTOR; s++) {
		if (durable)
			free(map_del(&f->dirty, str_from((const char *)&s, sizeof(s))));
		else
			rc = remember(f, s);
	}
	if (durable && at + (off_t)n > f->synced_size)
		f->synced_size = at + (off_t)n;
	return rc;
}

static int
before(void *arg, enum disk_op op, int fd, off_t at, size_t n)
{
	(void)arg;
	pthread_mutex_lock(&sim_lock);
	struct stat st = {0};
	struct sim_file *f = file_of(fd);
	int rc = f ? 0 : -EIO;
	if (f && op == DISK_WRITE) {
		rc = on_write(f, fd, at, n);
	} else if (f) {
		file_clean(f);
		if (fstat(fd, &st) == 0)
			f->synced_size = st.st_size;
	}
	pthread_mutex_unlock(&sim_lock);
	return rc;
}

int
disk_sim_start(void)
{
	disk_set_hooks(before, NULL);
	return 0;
}

static int
file_cut(struct sim_file *f)
{
	size_t pos = 0;
	void *value = NULL;
	struct stat st;
	while (map_next(&f->dirty, &pos, NULL, &value)) {
		const struct sector *s = value;
		if (rand_below(2) && pwrite(f->fd, s->old, SECTOR, s->number * SECTOR) != SECTOR)
			return -EIO;
	}
	if (fstat(f->fd, &st) < 0)
		return -EIO;
	bool shrink = st.st_size > f->synced_size && rand_below(2);
	if (shrink && ftruncate(f->fd, f->synced_size) < 0)
		return -EIO;
	file_clean(f);
	return 0;
}

int
disk_sim_power_cut(void)
{
	int rc = 0;
	pthread_mutex_lock(&sim_lock);
	for (struct sim_file *f = sim_files; f && rc == 0; f = f->next)
		rc = file_cut(f);
	pthread_mutex_unlock(&sim_lock);
	return rc;
}

void
disk_sim_stop(void)
{
	disk_set_hooks(NULL, NULL);
	while (sim_files) {
		struct sim_file *f = sim_files;
		sim_files = f->next;
		file_clean(f);
		close(f->fd);
		free(f);
	}
}
