/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume: what a pod's volumes are made of on the node: directories, tmpfs, files from API objects that
 * change atomically, and mounts of the kernel's NFS client. It knows no Kubernetes objects: its caller
 * (orchestrator/node) brings names and contents. Sub-paths are bound by orchestrator/runtime.
 *
 * All calls block (disk, mounts, a server that does not answer): run them through loop_blocking. Each is
 * idempotent, so that a node killed half-way does it again. Paths are absolute.
 * Sources: kubelet volume plugins and pkg/volume/util (AtomicWriter), KEP-695 (fsGroup change policy);
 * mount(2), nfs(5). */
#ifndef STORAGE_VOLUME_VOLUME_H
#define STORAGE_VOLUME_VOLUME_H

#include "base/err.h"

#include <sys/types.h>

/* Nobody's group: fs_group arguments that ask for no change of ownership. */
#define VOLUME_NO_GROUP ((int64_t)-1)

/* ---- emptyDir ---- */
/* volume_empty_dir: dir (made 0777) on the disk, or a tmpfs (1777) when memory: of at most size_bytes (0 =
 * half of the machine's memory). fs_group: owner group and setgid. An existing one is left as its users made
 * it: content, mode and owner. */
int volume_empty_dir(
	const char *dir, bool memory, int64_t size_bytes, int64_t fs_group, struct err *e);
/* volume_usage: bytes of disk blocks below dir (not crossing mounts); -errno. */
int64_t volume_usage(const char *dir);

/* ---- hostPath ---- */
/* volume_host_path: path is of the wanted type ("" = anything, made as a directory when missing, Directory, DirectoryOrCreate, File,
 * FileOrCreate, Socket, CharDevice, BlockDevice); the OrCreate ones make it. Errors: -ENOENT, -EINVAL:
 * "hostPath type check failed: /x is not a directory". */
int volume_host_path(const char *path, struct str type, struct err *e);

/* ---- files from objects (configMap, secret, projected, downwardAPI) ---- */
struct volume_file {
	struct str path; /* relative, "/" allowed, no ".." part, not beginning with ".." */
	struct str content;
	mode_t mode;
	uid_t uid; /* owner; 0 = who makes it */
};
/* volume_files_path_ok: may a file be called this? */
bool volume_files_path_ok(struct str path);
/* volume_files_write: makes dir hold exactly these files: dir/name -> ..data/name -> ..TIMESTAMP/name; an
 * update writes a new folder and renames the ..data link, so readers see all old or all new files.
 * Nothing is written when nothing changed: *ret_changed (may be NULL). memory: dir is a tmpfs
 * (secrets never reach the disk). */
int volume_files_write(const char *dir, const struct volume_file *v, size_t n, bool memory,
	int64_t fs_group, bool *ret_changed, struct err *e);

/* ---- mounts ---- */
struct volume_nfs {
	struct str server; /* numeric address */
	struct str path;   /* exported path */
	bool read_only;
	const struct str *options; /* mountOptions: "nfsvers=4.1", "hard", ... */
	size_t n_options;
};
/* volume_nfs_mount: the kernel's client, without helper programs: vers=4.2 and, where the server knows less,
 * 4.1, 4.0 (an option nfsvers= or vers= fixes it). Done already = 0.
 * Errors: -ETIMEDOUT, -ECONNREFUSED, -EACCES, -EINVAL (option); e names server and path. */
int volume_nfs_mount(const char *dir, const struct volume_nfs *n, struct err *e);
/* volume_local_dir: the directory of a node-local volume; create: made when missing (0777).
 * Errors: -ENOENT "path "/x" does not exist", -ENOTDIR. */
int volume_local_dir(const char *path, bool create, struct err *e);
/* volume_is_mount: is dir a mount point? */
bool volume_is_mount(const char *dir);

/* ---- for all ---- */
/* volume_set_group: everything below dir gets the group, rw for it, and setgid on folders. root_only:
 * nothing when dir itself is right already (OnRootMismatch). */
int volume_set_group(const char *dir, int64_t fs_group, bool root_only, struct err *e);
/* volume_teardown: unmounts dir and what is mounted below it, and removes dir with its content on this
 * file system. Never follows a link, never crosses into another file system. Missing = 0. */
int volume_teardown(const char *dir, struct err *e);

#endif
