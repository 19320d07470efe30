/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * http: the front door of netstack/http: one server and one client, HTTP/1.1, WebSocket and SPDY/3.1.
 *
 * Place in the flow: sockets -> tls -> here -> handlers; and callers -> here -> tls -> sockets.
 * Invariants: a request is a stream of its own; nothing above equates it with a connection (HTTP/2 will
 * carry many on one). Everything of one server or client runs on one loop; nothing blocks.
 * Source: RFC 9110, RFC 9112, RFC 6455, SPDY draft 3.1. */
#ifndef NETSTACK_HTTP_HTTP_H
#define NETSTACK_HTTP_HTTP_H

#include "netstack/http/client.h"
#include "netstack/http/message.h"
#include "netstack/http/server.h"
#include "netstack/http/spdy.h"
#include "netstack/http/websocket.h"

#endif
