/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * arch/cc.h: what lwIP wants to know of the compiler and the platform (NO_SYS: one loop, no threads).
 * Whoever links liblwip.a provides lwip_port_rand and lwip_port_assert, and sys_now (milliseconds). */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#define LWIP_TIMEVAL_PRIVATE 0
#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_PLATFORM_DIAG(x)                                                                      \
	do {                                                                                       \
	} while (0)
#define LWIP_PLATFORM_ASSERT(x) lwip_port_assert(x, __FILE__, __LINE__)
#define LWIP_RAND() lwip_port_rand()

uint32_t lwip_port_rand(void);
_Noreturn void lwip_port_assert(const char *what, const char *file, int line);

#endif
