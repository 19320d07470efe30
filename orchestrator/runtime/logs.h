/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * logs: from the containers' output pipes into their log files, so that no line is lost or written
 * twice when this process is killed at any point.
 *
 *   container -> pipe A -> (splice) -> pipe B "in flight" -> copy -> log file -> B is emptied
 *
 * PID 1 keeps the ends of every A and of the one B. A batch leaves A and enters B in one system call; a
 * journal (a shared mapping of a file in run_dir, so it outlives us) says whose batch it is, with which
 * time and at which place of the file it stands. The next process finds B not empty, writes the same bytes
 * to the same place, and goes on. Loop only; writes to log files go to the page cache. */
#ifndef RUNTIME_LOGS_H
#define RUNTIME_LOGS_H

#include "base/loop.h"
#include "orchestrator/runtime/log_format.h"

struct log_journal {
	uint32_t active;
	uint32_t stream;
	int64_t at_ns;
	uint64_t offset;
	char id[RUNTIME_ID_LEN + 8];
};

struct log_pump {
	struct loop *loop;
	int in_flight[2]; /* B: read, write */
	int copy[2];
	struct log_journal *journal;
	char *bytes; /* one batch */
	struct buf lines;
};

/* The log file of one container. */
struct log_file {
	int fd; /* -1: output is thrown away */
	char *path;
	uint64_t size, max_bytes;
	uint32_t max_files;
};

/* One output stream of a container; embedded. */
struct log_source {
	struct loop_fd w;
	struct log_pump *pump;
	struct log_file *file;
	const char *id;
	enum runtime_stream stream;
	bool open;
	/* Every batch, after it is in the file (attach). May be NULL. */
	void (*on_output)(void *arg, enum runtime_stream s, struct str bytes);
	void (*on_eof)(void *arg, enum runtime_stream s);
	void *arg;
};

/* log_pump_open: run_dir holds the journal. b: what PID 1 kept of the last process (taken), or NULL.
 * 0 or -errno. */
int log_pump_open(struct log_pump *p, struct loop *l, int run_dir, const int b[2]);
void log_pump_close(struct log_pump *p);
/* log_pump_pending: id of the container whose batch is in flight, or NULL; log_pump_replay: write it to file
 * (NULL: throw it away). Before any source is opened. */
const char *log_pump_pending(const struct log_pump *p);
int log_pump_replay(struct log_pump *p, struct log_file *f);

int log_file_open(struct log_file *f, struct str path, uint64_t max_bytes, uint32_t max_files);
void log_file_close(struct log_file *f);
int log_file_reopen(struct log_file *f);

/* log_source_open: starts reading fd (taken, made non-blocking). 0 or -errno. */
int log_source_open(struct log_source *s, struct log_pump *p, struct log_file *f, int fd);
void log_source_close(struct log_source *s);

#endif
