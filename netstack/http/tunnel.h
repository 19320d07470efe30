/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * tunnel: makes a tunnel of a wire; private to this folder. The public part is in message.h. */
#ifndef NETSTACK_HTTP_TUNNEL_H
#define NETSTACK_HTTP_TUNNEL_H

#include "netstack/http/wire.h"

/* http_tunnel_new: the wire is taken (also on error); it stays in its list. No event is delivered
 * before http_tunnel_start. -ENOMEM. */
int http_tunnel_new(struct http_wire *w, struct http_tunnel **ret);

#endif
