/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ws_int: what websocket.c (frames) and ws_handshake.c share; private. */
#ifndef NETSTACK_HTTP_WS_INT_H
#define NETSTACK_HTTP_WS_INT_H

#include "netstack/http/websocket.h"

/* ws_new_on: a machine that reads from and writes to the tunnel (taken, also on error) and closes it at
 * its end. -ENOMEM. */
int ws_new_on(struct http_tunnel *t, bool client, size_t max_message, const struct ws_fns *fns,
	void *arg, struct ws **ret);

#endif
