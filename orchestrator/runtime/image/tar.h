/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tar: a tar stream as a state machine: bytes are pushed in as they come, entries and their data come
 * out by callbacks. No I/O, no trust: everything is bounded, nothing is interpreted as a path of this
 * machine (unpack.c does that). Knows ustar, GNU (long names, base-256 numbers, old sparse), PAX (names,
 * sizes, ids, times, xattrs, sparse 0.0, 0.1, 1.0).
 * Source: POSIX.1-2017 pax, GNU tar manual "Basic Tar Format", "Sparse Formats". */
#ifndef RUNTIME_IMAGE_TAR_H
#define RUNTIME_IMAGE_TAR_H

#include "base/arena.h"
#include "base/err.h"

#define TAR_NAME_MAX 4096
#define TAR_META_MAX (1u << 20) /* bytes of one PAX header or long name */
#define TAR_SPARSE_MAX 65536    /* segments of a file */
#define TAR_XATTRS_MAX 64

enum tar_type {
	TAR_FILE,
	TAR_HARDLINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_DIR,
	TAR_FIFO,
};

struct tar_xattr {
	struct str name, value;
};

/* Borrowed until the callback returns. */
struct tar_entry {
	enum tar_type type;
	struct str name, link; /* as written; no NUL inside */
	uint32_t mode, uid, gid;
	uint32_t major, minor;
	int64_t mtime_ns;
	uint64_t size; /* of the file as it shall be (sparse: with its holes) */
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
};

/* A callback's negative result ends the parse and is returned by tar_push. */
struct tar_ops {
	int (*on_entry)(void *arg, const struct tar_entry *t);
	int (*on_data)(void *arg, uint64_t at, struct str bytes); /* of the last TAR_FILE */
	int (*on_end)(void *arg); /* of each entry, after its data */
};

struct tar;

/* tar_new: ops are kept (static). Returns owned or NULL (no memory). */
struct tar *tar_new(const struct tar_ops *ops, void *arg);
void tar_free(struct tar *t);
/* tar_push: consumes all of bytes. Errors are sticky: -EBADMSG malformed (e), -E2BIG over a bound,
 * -ENOMEM, or the callback's. Bytes behind the end marker are ignored. */
int tar_push(struct tar *t, struct str bytes, struct err *e);
/* tar_finish: the stream has ended. -EBADMSG when in the middle of an entry. */
int tar_finish(struct tar *t, struct err *e);

#endif
