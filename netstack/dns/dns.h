/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * dns: the cluster's name server: a zone as data, a server over UDP and TCP, forwarding of other names
 * with a small cache. Knows names and addresses, no Kubernetes objects; the caller turns Services and
 * endpoints into struct dns_service.
 *
 *   query -> dns_query_parse -> zone (dns_zone_answer: no allocation, about a microsecond)
 *                            -> cache -> upstream resolvers (random port and id, timeout, TCP on TC)
 *
 * Must not: open listening sockets (they are given), wait, keep more than the stated bounds.
 * Source: RFC 1034, 1035, 2181, 2308 (negative answers), 2782 (SRV), 3597, 5452 (forgery resilience),
 * 6891 (EDNS0), 7766 (TCP), 8482; Kubernetes DNS specification 1.1.0. */
#ifndef NETSTACK_DNS_DNS_H
#define NETSTACK_DNS_DNS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/loop.h"

/* ---- the zone ---- */

struct dns_zone;

struct dns_zone_config {
	const char *domain;                 /* "cluster.local" (no final dot needed) */
	uint32_t ttl_s;                     /* of positive and negative answers; 0 = 5 */
	const struct ip_addr *server_addrs; /* of ns.dns.<domain>; may be none */
	size_t n_server_addrs;
	bool pod_names; /* a-b-c-d.<namespace>.pod.<domain> are answered from the name itself */
};

/* One named port. */
struct dns_port {
	struct str name; /* "" = no SRV record */
	uint8_t proto;   /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t port;
};

/* One ready address behind a headless service. */
struct dns_endpoint {
	struct ip_addr addr;
	struct str hostname;          /* "" = made from the address: 10-0-0-1 */
	const struct dns_port *ports; /* its own port numbers; NULL = the service's */
	size_t n_ports;
};

/* The wanted state of one service. Everything is copied. Exactly one of three kinds:
 *   cluster_ips    A, AAAA, PTR; SRV of named ports
 *   headless       one A/AAAA, PTR and SRV for each endpoint, and <hostname>.<name>
 *   external_name  CNAME */
struct dns_service {
	struct str ns, name;
	const struct ip_addr *cluster_ips;
	size_t n_cluster_ips;
	bool headless;
	const struct dns_port *ports;
	size_t n_ports;
	const struct dns_endpoint
		*endpoints; /* headless only; callers leave out what is not ready */
	size_t n_endpoints;
	struct str external_name; /* host name */
};

/* dns_zone_new: returns owned. -EINVAL: not a domain name. */
int dns_zone_new(const struct dns_zone_config *c, struct dns_zone **ret);
void dns_zone_free(struct dns_zone *z);
/* dns_zone_service_set: replaces all records of (ns, name). Errors: -EINVAL a part is not a valid label
 * (the service is left as it was), -ENOMEM. */
int dns_zone_service_set(struct dns_zone *z, const struct dns_service *s);
/* dns_zone_service_del: an absent one is no error. */
void dns_zone_service_del(struct dns_zone *z, struct str ns, struct str name);
/* dns_zone_services: calls fn for each service; fn may delete that one. */
void dns_zone_services(
	struct dns_zone *z, void (*fn)(void *arg, struct str ns, struct str name), void *arg);
/* dns_zone_reverse: answer NXDOMAIN for reverse names inside the prefix instead of forwarding them.
 * At most 64 prefixes. Errors: -ENOSPC. */
int dns_zone_reverse(struct dns_zone *z, const struct ip_prefix *p);
/* dns_zone_save: all services and their records as bytes at the end of b (b->failed: no memory). dns_zone_load: puts
 * them into a zone without services, of the same domain and the same version of this program (the bytes carry
 * the form's number). Total over any bytes. Errors: -EBADMSG, -ENOMEM; then the zone has no services. */
void dns_zone_save(const struct dns_zone *z, struct buf *b);
int dns_zone_load(struct dns_zone *z, struct str saved);
/* dns_zone_names: owner names held (diagnosis). */
size_t dns_zone_names(const struct dns_zone *z);

/* dns_zone_answer: answers the query in `msg` into out when the zone is responsible for it or the query
 * is malformed; the whole server without sockets and forwarding. Total over any bytes.
 *   tcp  no limit but 64 KB; over UDP the client's EDNS size, 512..1232, else TC
 * Returns 1: answered, out holds ret_n bytes; 2: no answer may be sent (not a query); 0: not ours,
 * forward it; 3: out holds the beginning of an answer, a CNAME whose target must be resolved elsewhere
 * and added. out_size >= 65535. */
int dns_zone_answer(struct dns_zone *z, struct str msg, bool tcp, bool can_forward, uint8_t *out,
	size_t out_size, size_t *ret_n);

/* ---- the server ---- */

struct dns_upstream {
	struct ip_addr addr;
	uint16_t port; /* 0 = 53 */
};

struct dns_server_config {
	struct dns_zone *zone; /* borrowed until dns_server_free; change it on the loop */
	const int *udp_fds;    /* bound, taken */
	size_t n_udp_fds;
	const int *tcp_fds; /* listening, taken */
	size_t n_tcp_fds;
	const struct dns_upstream
		*upstreams; /* copied; none = names outside the zone are refused */
	size_t n_upstreams;
	bool partial; /* the zone may lack names: NXDOMAIN waits for dns_server_complete, no other answer does */
	size_t cache_entries;     /* 0 = 4096 */
	uint32_t cache_max_ttl_s; /* 0 = 30 */
	uint32_t max_inflight;    /* forwarded queries at a time; 0 = 1024 */
	uint32_t max_tcp_clients; /* 0 = 256 */
	int64_t try_timeout_ns;   /* of one upstream; 0 = 2 s */
	unsigned tries;           /* over all upstreams; 0 = 3 */
};

struct dns_server;

/* dns_server_new: serves on loop l from now on. At most 16 descriptors of each kind and 8 upstreams.
 * Needs the system calls socket, connect, bind, sendto/recvfrom/sendmmsg/recvmmsg, accept4, close on
 * top of the loop's own. Errors: -errno; then no descriptor was taken. */
int dns_server_new(
	struct loop *l, const struct dns_server_config *c, struct dns_server **ret, struct err *e);
void dns_server_free(struct dns_server *s);
/* dns_server_upstreams: replaces the upstream resolvers; the cache is emptied. */
int dns_server_upstreams(struct dns_server *s, const struct dns_upstream *u, size_t n);

/* dns_server_complete: of a server that was made `partial`: the zone has all names now, and what waited for that is
 * answered, on this call. Again, or of another server: nothing happens. At most 1024 questions wait; of
 * more, those over UDP get no answer (the client asks again), those over TCP lose their connection. */
void dns_server_complete(struct dns_server *s);

struct dns_stats {
	uint64_t queries, answers, forwarded, cache_hits, timeouts, refused, malformed, tcp_clients,
		dropped;
};
void dns_server_stats(const struct dns_server *s, struct dns_stats *ret);

#endif
