/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * Stands before the kernel's header of this name, which cannot be read beside the C library's: so
 * linux/kernel.h and the library's <sys/sysinfo.h> may be included together. */
#include <sys/sysinfo.h>
