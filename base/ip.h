/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ip: IP addresses and prefixes as values, and their text forms. No sockets, no resolver.
 * Source: RFC 4291, RFC 5952 (text of IPv6), RFC 4632 (prefixes). */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/str.h"

/* An address; {0} is "none". b holds 4 or 16 bytes in network order, the rest is zero (so that two
 * addresses can be compared by memcmp). */
struct ip_addr {
	uint8_t family; /* 0 = none, 4, 6 */
	uint8_t b[16];
};

/* A prefix; bits beyond len may be set (an interface address is written this way too). */
struct ip_prefix {
	struct ip_addr addr;
	uint8_t len; /* 0..32 or 0..128 */
};

#define IP_TEXT_MAX 64 /* any address or prefix as text, NUL included */

static inline bool
ip_is_set(const struct ip_addr *a)
{
	return a->family != 0;
}

static inline size_t
ip_size(const struct ip_addr *a)
{
	return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

static inline bool
ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

/* ip_v4: from host-order bits; ip_from_bytes: 4 or 16 bytes in network order, else {0}. */
struct ip_addr ip_v4(uint32_t host_order);
struct ip_addr ip_from_bytes(const void *p, size_t n);
/* ip_parse: "10.0.0.1" (four decimal parts, no leading zeros), or RFC 4291 text without a zone.
 * IPv4-mapped text stays IPv6. 0 or -EINVAL. */
int ip_parse(struct str s, struct ip_addr *ret);
/* ip_format: RFC 5952 text, NUL-terminated; returns the length. {0} gives "". */
size_t ip_format(const struct ip_addr *a, char out[IP_TEXT_MAX]);
/* ip_prefix_parse: "10.0.0.0/24". 0 or -EINVAL (host bits may be set: callers that forbid it ask
 * ip_prefix_is_masked). */
int ip_prefix_parse(struct str s, struct ip_prefix *ret);
size_t ip_prefix_format(const struct ip_prefix *p, char out[IP_TEXT_MAX]);
/* ip_prefix_masked: the same prefix with its host bits cleared. */
struct ip_prefix ip_prefix_masked(const struct ip_prefix *p);
bool ip_prefix_is_masked(const struct ip_prefix *p);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
/* ip_host_prefix: a/32 or a/128. */
struct ip_prefix ip_host_prefix(const struct ip_addr *a);
/* ip_add: the address n further on (wraps around within its family). */
struct ip_addr ip_add(const struct ip_addr *a, uint64_t n);
/* ip_before: the address before (wraps around within its family). */
struct ip_addr ip_before(const struct ip_addr *a);
/* ip_prefix_last: the highest address of the prefix. */
struct ip_addr ip_prefix_last(const struct ip_prefix *p);
bool ip_is_loopback(const struct ip_addr *a);
bool ip_is_unspecified(const struct ip_addr *a);
/* ip_is_global_unicast: neither unspecified, loopback, link-local, multicast nor 255.255.255.255; private ones are
 * (as Go's net.IP.IsGlobalUnicast). */
bool ip_is_global_unicast(const struct ip_addr *a);

#endif
