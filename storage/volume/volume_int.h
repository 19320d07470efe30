/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * volume_int: shared within storage/volume. */
#ifndef STORAGE_VOLUME_INT_H
#define STORAGE_VOLUME_INT_H

/* volume_remove_at: name below dir_fd, with everything in it, on that file system only; links are removed,
 * not followed. 0 (also when missing) or -errno. */
int volume_remove_at(int dir_fd, const char *name);

#endif
