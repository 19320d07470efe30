/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Stands before the kernel's header of this name, which cannot be read beside the C library's: so
 * linux/pidfd.h, linux/eventpoll.h and the library's <fcntl.h> may be included together. */
#include <fcntl.h>
