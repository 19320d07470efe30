/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * proxy, inside: what its files share. Names of kernel objects, numbers that rules and elements agree
 * on, and the state. chains.c writes the fixed rules, slots.c spreads endpoints over slots, fronts.c
 * owns the addresses, service.c turns a description into sets and differences, sync.c sends. */
#ifndef NETSTACK_PROXY_PROXY_INT_H
#define NETSTACK_PROXY_PROXY_INT_H

#include "base/hash.h"
#include "netstack/proxy/proxy.h"

/* ---- numbers shared by rules and elements ---- */

enum {
	CLASS_REJECT = 0x1000000, /* nobody behind it at all */
	CLASS_DROP = 0x1000001,   /* somebody, but not for this policy */
	SLOTS_EXACT = 32,         /* up to so many endpoints one slot each */

	FRONT_MASQ = 1,     /* always masqueraded: external, Cluster policy */
	FRONT_KEEP = 2,     /* source kept: external, Local policy; host ports */
	FRONT_FIREWALL = 4, /* only from the listed ranges */

	AFFINITY_ENTRIES = 1 << 20,
};

/* slots_classes: slot counts above SLOTS_EXACT, each for up to an eighth as many endpoints. */
extern const uint32_t slots_classes[3];

/* Per family: how its packets are read and what its sets are called. */
struct family {
	int family; /* 4, 6 */
	uint8_t nfproto;
	uint32_t saddr, daddr, len; /* in the network header */
	unsigned regs;              /* registers an address takes */
	uint32_t ct_dst;            /* NFT_CT_DST_IP or _IP6 */
	enum nft_type type;
	const char *side[2];  /* maps of front ends: inside, outside; also the names of chains */
	const char *times[2]; /* verdict maps */
	const char *ep, *aff, *alive, *hairpin, *firewall, *inside, *services, *post;
};
extern const struct family families[2];
enum { INSIDE, OUTSIDE };

static inline const struct family *
family_of(int family)
{
	return &families[family == 6];
}
static inline unsigned
family_index(int family)
{
	return family == 6;
}

/* ---- endpoints over slots ---- */

struct ep {
	struct ip_addr addr;
	uint16_t port;
};

/* The endpoints of one family and policy of a service. Embedded; {0} = does not exist. */
struct epset {
	uint32_t sid;   /* 0 = does not exist */
	uint32_t class; /* slots, or CLASS_* */
	struct ep *eps; /* sorted, unique */
	uint32_t n;
	uint32_t *slots; /* slot -> index in eps */
	uint32_t n_slots;
	uint32_t affinity_s;
};

int ep_cmp(const void *a, const void *b);
/* slots_count: how many slots n endpoints get. */
uint32_t slots_count(uint32_t n);
/* slots_assign: fills new_slots (slots_count(n_new) of them) so that each endpoint has its share and as few
 * slots as possible differ from the old ones. Both lists of endpoints are sorted and unique.
 * 0 or -ENOMEM. */
int slots_assign(const struct epset *old, const struct ep *eps, uint32_t n, uint32_t *new_slots);
void epset_release(struct epset *s);

/* ---- state ---- */

/* A front end: address, protocol, port; the key of proxy.fronts. */
struct front_key {
	struct ip_addr addr;
	uint8_t proto;
	uint16_t port;
} __attribute__((packed));

struct svc;
struct front {
	struct front_key key;
	struct svc *owner;
	uint32_t sid[2]; /* INSIDE, OUTSIDE */
	uint32_t flags;
	bool wanted;        /* mark of front_claim */
	struct front *next; /* of the owner */
};

enum { SET_CLUSTER, SET_LOCAL };

struct svc {
	char *key; /* of proxy.services: "s" or "h" and the name */
	bool is_hostport;
	struct proxy_service want; /* its arrays are in block */
	void *block;
	struct ip_addr host_ip; /* is_hostport */
	struct front *fronts;
	struct epset sets[2][2];  /* family, SET_* */
	struct ip_addr *hairpins; /* local endpoint addresses counted in proxy.hairpins */
	size_t n_hairpins;
	bool conflict; /* a front end belongs to another service */
};

struct proxy {
	struct loop *loop;
	struct nl_sock sock;
	char table[32];
	bool found;        /* the table is there as this program makes it */
	bool damaged;      /* the kernel refused something: do not trust what is there */
	bool live, synced; /* live: the kernel mirrors the memory, changes are sent */
	void (*on_error)(void *arg, const struct err *e);
	void *arg;
	struct map services; /* "s" or "h" + name -> struct svc */
	struct map fronts;   /* front_key -> struct front */
	struct map hairpins; /* address -> count (uintptr_t) */
	struct map sids;     /* number -> struct svc */
	uint32_t *times;     /* affinity timeouts that have chains */
	size_t n_times;
	struct ip_prefix *inside, *cidrs;
	size_t n_inside, n_cidrs;
	struct ip_addr *nodes;
	size_t n_nodes;
	struct nl_batch batch; /* open transaction; n == 0: nothing yet */
	struct loop_work work;
	struct loop_timer retry;
	int64_t retry_ns;
	uint64_t layout; /* fingerprint of the fixed part, kept with the table */
	size_t n_conflicts;
	bool udp_dirty[2];      /* connections of the family may be stale */
	struct map udp_removed; /* front_key of removed UDP front ends */
	struct proxy_stats stats;
};

/* chains.c */
void chains_build(const struct proxy *p, struct nl_batch *b);
void chains_flush_data(const struct proxy *p, struct nl_batch *b);
void chains_ranges(const struct proxy *p, struct nl_batch *b);
void chains_time_add(const struct proxy *p, struct nl_batch *b, uint32_t seconds);

/* service.c: everything a service has in the kernel, for a batch from scratch. */
void svc_emit_all(struct proxy *p, struct nl_batch *b, struct svc *s);
int svc_apply(struct proxy *p, struct svc *s);
void svc_free(struct proxy *p, struct svc *s);

/* fronts.c */
int fronts_apply(struct proxy *p, struct svc *s);
void fronts_drop(struct proxy *p, struct svc *s);
void front_emit(const struct proxy *p, struct nl_batch *b, const struct front *f, bool add);
void fronts_reclaim(struct proxy *p);
int hairpins_apply(struct proxy *p, struct svc *s);
void hairpin_emit(const struct proxy *p, struct nl_batch *b, const struct ip_addr *a, bool add);

/* sync.c: the batch changes go to; NULL when changes only collect in memory. */
struct nl_batch *proxy_batch(struct proxy *p);
void proxy_udp_changed(struct proxy *p, int family);
/* proxy_init: before all else. proxy_sync_init: asks what an earlier process left. */
void proxy_init(struct proxy *p);
int proxy_sync_init(struct proxy *p, struct err *e);

#endif
