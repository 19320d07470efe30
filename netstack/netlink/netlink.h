/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * netlink: the kernel's network configuration protocol. Front door of this folder: messages as bytes
 * (encoders append to a batch, decoders are total functions over slices), and a socket that sends one
 * batch and collects its errors by message, or watches notifications on a loop. Links, addresses and
 * routes are in rtnl.h, packet rules in nft.h, connection tracking in conntrack.h; this header
 * brings them all. Nothing here knows Kubernetes.
 *
 * Flow: nl_batch -> encoders (rt_*, nft_*, ct_*) -> nl_commit, one sendmsg for the whole batch.
 * The kernel works synchronously inside sendmsg, so nl_commit and nl_dump never wait for anything
 * and may be called on a loop.
 * Must not: allocate per message outside the batch's buffer, trust a length the kernel sent.
 * Source: RFC 3549; kernel Documentation/userspace-api/netlink/intro.rst; linux/netlink.h. */
#ifndef NETSTACK_NETLINK_NETLINK_H
#define NETSTACK_NETLINK_NETLINK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/loop.h"

/* ---- encoding ---- */

enum { NL_ALLOW_MAX = 16 };

/* A message whose failure with `code` is not a failure of the batch. */
struct nl_allow {
	uint32_t index;
	int code; /* negative errno */
};

/* One sendmsg worth of messages. Embedded by callers; nl_batch_init, then encoders, then nl_commit,
 * then nl_batch_clear or nl_batch_release. Invariants: n messages, each aligned to 4; failure is
 * sticky in out.failed (no memory, or a nest over 64 KB) and nl_commit refuses the batch. */
struct nl_batch {
	struct buf out;
	uint32_t n;    /* messages begun */
	size_t msg_at; /* offset of the message being written */
	struct nl_allow allow[NL_ALLOW_MAX];
	uint32_t n_allow;
	bool transaction; /* between nft_begin and nft_end: two border messages */
	/* an open element list (nft_elems_begin) */
	size_t elems_at;
	char elems_table[32], elems_set[32];
	uint16_t elems_type, elems_flags;
};

void nl_batch_init(struct nl_batch *b);
void nl_batch_init_arena(struct nl_batch *b, struct arena *a);
void nl_batch_release(struct nl_batch *b);
void nl_batch_clear(struct nl_batch *b);
void cleanup_nl_batch(struct nl_batch *b);
#define _cleanup_nl_batch_ __attribute__((cleanup(cleanup_nl_batch)))

/* nl_msg_begin: starts a message; NLM_F_REQUEST is added. The payload header (struct rtmsg ...) follows
 * by nl_put, attributes after it. nl_msg_end fills in the length. */
void nl_msg_begin(struct nl_batch *b, uint16_t type, uint16_t flags);
void nl_put(struct nl_batch *b, const void *p, size_t n);
void nl_msg_end(struct nl_batch *b);
/* nl_allow_error: the last message may fail with `code` (deleting what may be gone: -ENOENT). At most
 * NL_ALLOW_MAX a batch; more makes the batch fail. No use for nf_tables: there a batch is atomic. */
void nl_allow_error(struct nl_batch *b, int code);

/* Attributes of the open message: payload padded to 4. */
void nl_attr(struct nl_batch *b, uint16_t type, const void *p, size_t n);
void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v);
void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v); /* host order */
void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v); /* host order */
void nl_attr_be16(struct nl_batch *b, uint16_t type, uint16_t v);
void nl_attr_be32(struct nl_batch *b, uint16_t type, uint32_t v);
void nl_attr_be64(struct nl_batch *b, uint16_t type, uint64_t v);
void nl_attr_cstr(struct nl_batch *b, uint16_t type, const char *z); /* with its NUL */
/* nl_nest_begin: opens a nested attribute (the flag NLA_F_NESTED is added where `nested` says so:
 * rtnetlink wants it absent in old attributes, nf_tables present). Returns its place for nl_nest_end. */
size_t nl_nest_begin(struct nl_batch *b, uint16_t type);
void nl_nest_end(struct nl_batch *b, size_t at);

/* ---- decoding: total functions; borrow the input ---- */

struct nl_msg {
	uint16_t type, flags;
	uint32_t seq, pid;
	struct str payload;
};
/* nl_msg_next: takes the next message off *rest. False at the end or at a malformed header (then
 * *rest is emptied). */
bool nl_msg_next(struct str *rest, struct nl_msg *ret);
/* nl_attr_next: the same over attributes; type without the nested and byte order flags. */
bool nl_attr_next(struct str *rest, uint16_t *ret_type, struct str *ret_payload);
/* nl_attrs: fills table[type] for types < n_table; absent = STR_NONE; the last of equal ones wins. */
void nl_attrs(struct str attrs, struct str *table, size_t n_table);
/* Typed views of an attribute; a payload of another size gives 0. */
uint8_t nl_get_u8(struct str a);
uint16_t nl_get_u16(struct str a);
uint32_t nl_get_u32(struct str a);
uint32_t nl_get_be32(struct str a);
uint16_t nl_get_be16(struct str a);
/* nl_get_cstr: without the trailing NUL. */
struct str nl_get_cstr(struct str a);

/* ---- sockets ---- */

struct nl_sock {
	int fd;
	uint32_t seq;
};

/* nl_open: protocol NETLINK_ROUTE or NETLINK_NETFILTER, in the caller's network namespace. Large send
 * buffers are forced where privileges allow. Errors: -errno of socket(2). */
int nl_open(struct nl_sock *s, int protocol);
void nl_close(struct nl_sock *s);
void cleanup_nl_sock(struct nl_sock *s);
#define _cleanup_nl_sock_ __attribute__((cleanup(cleanup_nl_sock)))

/* nl_commit: sends the batch and collects the answers. An empty batch is a success. The batch is not
 * cleared. In e: the kernel's own words where it gave some.
 * `ret_index` (may be NULL): the index of the first message that failed.
 * Errors: -errno of the first failed message that was not allowed to; -ENOMEM a failed batch;
 * -ENOBUFS answers lost. rtnetlink carries out the other messages; nf_tables none (a batch there is
 * atomic). */
int nl_commit(struct nl_sock *s, struct nl_batch *b, uint32_t *ret_index, struct err *e);

/* nl_dump: sends the one GET message of the batch (flags NLM_F_DUMP, or a single GET) and calls
 * fn(arg, msg) for each answer; msg is borrowed for the call. fn returns 0 to go on; another value
 * stops the calls and is returned once the dump has been read.
 * Errors: as nl_commit; -EINTR: the dump was inconsistent (something changed): ask again. */
int nl_dump(struct nl_sock *s, struct nl_batch *b, int (*fn)(void *arg, const struct nl_msg *m),
	void *arg, struct err *e);

/* nl_exec_raw: for a forked child that must not allocate: sends `msgs` (what nl_batch_seal made) on a
 * fresh socket of the calling process's network namespace and reads the answers into the stack.
 * 0 or -errno of the first failure. */
int nl_exec_raw(int protocol, const void *msgs, size_t n);
/* nl_batch_seal: numbers the messages from 1 and asks for the last acknowledgement; afterwards
 * b->out holds what nl_exec_raw takes. 0 or -ENOMEM. */
int nl_batch_seal(struct nl_batch *b);

/* A watch of notifications on a loop. Embedded; kept by the loop from start to stop. */
struct nl_monitor {
	struct nl_sock sock;
	struct loop_fd watch;
	void (*on_msg)(void *arg, const struct nl_msg *m); /* borrowed for the call */
	void (*on_lost)(void *arg);                        /* some were lost: dump and compare */
	void *arg;
};
/* nl_monitor_start: groups are RTNLGRP_* numbers. Messages are delivered in the order of the kernel, at
 * most 64 datagrams a turn. Errors: -errno. */
int nl_monitor_start(
	struct nl_monitor *m, struct loop *l, int protocol, const int *groups, size_t n_groups);
void nl_monitor_stop(struct nl_monitor *m);

#include "netstack/netlink/conntrack.h"
#include "netstack/netlink/nft.h"
#include "netstack/netlink/rtnl.h"

#endif
