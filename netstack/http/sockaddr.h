/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * sockaddr: between struct http_addr and the kernel's forms; private to this folder. */
#ifndef NETSTACK_HTTP_SOCKADDR_H
#define NETSTACK_HTTP_SOCKADDR_H

#include "netstack/http/message.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* http_sockaddr: fills out, returns its length. http_addr_of: IPv4-mapped addresses become IPv4. */
socklen_t http_sockaddr(const struct http_addr *a, struct sockaddr_storage *out);
struct http_addr http_addr_of(const struct sockaddr_storage *s);

#endif
