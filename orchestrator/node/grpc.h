/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * grpc: as much of HTTP/2 and gRPC as one health check needs, as a state machine without I/O: what is to be sent,
 * what the reply came to.
 *
 * Header blocks of the reply are not read: a reply that has a message says all in it, one that has none has failed,
 * and its code would only be for the event's text. Frames are bounded by what was never raised (16 KiB), the message
 * by MESSAGE_MAX.
 * Source: RFC 9113; RFC 7541; gRPC over HTTP2; grpc.health.v1; protobuf's wire format. */
#ifndef ORCHESTRATOR_NODE_GRPC_H
#define ORCHESTRATOR_NODE_GRPC_H

#include "base/buf.h"

struct grpc_check {
	struct buf out;     /* to be sent; the caller takes it out */
	struct buf in;      /* the frame that is not whole yet */
	struct buf message; /* of the reply */
};

/* grpc_check_begin: the request is in g->out. authority: "10.0.0.1:80"; service: "" = the server as a whole. Errors:
 * -EMSGSIZE: a name that long is not asked for. grpc_check_release in any case. */
int grpc_check_begin(struct grpc_check *g, struct str authority, struct str service);
/* grpc_check_feed: total over any bytes; adds to g->out what they ask for. 0: more is to come; 1: that was the reply;
 * -EPROTO: it is none, or it was refused. */
int grpc_check_feed(struct grpc_check *g, struct str bytes);
/* grpc_check_status: "SERVING", "NOT_SERVING" ... of a reply that is over; NULL: it has no such message. Static. */
const char *grpc_check_status(const struct grpc_check *g);
void grpc_check_release(struct grpc_check *g);

#endif
