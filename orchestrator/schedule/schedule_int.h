/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * schedule_int: what the files of the scheduler share. */
#ifndef ORCHESTRATOR_SCHEDULE_INT_H
#define ORCHESTRATOR_SCHEDULE_INT_H

#include "base/hash.h"
#include "orchestrator/client/client.h"
#include "orchestrator/schedule/match.h"
#include "orchestrator/schedule/schedule.h"
#include "orchestrator/schema/schema.h"

#include "kinds/core_v1.h"
#include "kinds/storage_v1.h"

#define SCALARS_MAX 8 /* extended resources per node that are counted */
#define SCORE_MAX 100

/* Amounts: what a pod asks for, what a node has, what is taken. */
struct amounts {
	int64_t cpu_mcpu, mem_bytes, disk_bytes, pods;
	struct {
		uint64_t id; /* of the resource's name: hash_fnv64a */
		struct str
			name; /* only in what one pod asks for, borrowed from the pod; else none */
		int64_t n;
	} scalars[SCALARS_MAX];
	size_t n_scalars;
};

struct sched_node;

enum pod_state {
	POD_WAITING,  /* in the active queue */
	POD_BACKOFF,  /* timer runs */
	POD_HOPELESS, /* fits nowhere as things are: waits for a change */
	POD_GATED,    /* scheduling gates: waits for its own update */
	POD_BINDING,  /* assumed on a node, the API has not confirmed it */
	POD_BOUND,
};

struct sched_pod {
	struct scheduler *s;
	const struct informer_obj *obj; /* referenced */
	struct amounts ask, ask_nonzero;
	struct sched_node *node; /* assumed or bound */
	struct sched_pod *node_next, **node_prev;
	enum pod_state state;
	unsigned attempts;
	uint64_t seq;      /* order of arrival */
	int64_t since_ns;  /* when it became hopeless */
	uint32_t wait_for; /* enum change bits that may help */
	struct loop_timer timer;
	struct client_call *call;
	size_t heap_pos;  /* 1-based in the active heap */
	size_t claims_at; /* of volumes_bind_next */
	unsigned claims_left;
};

struct sched_node {
	struct str name; /* of obj, or own when pods came before their node */
	char *own_name;
	const struct informer_obj
		*obj; /* referenced; NULL: pods are bound to it but it is not here */
	struct amounts have, used, used_nonzero;
	struct sched_pod *pods;
};

/* What happened in the cluster, as bits: a hopeless pod names those that may help it. */
enum change {
	CHANGE_NODE_ADDED = 1 << 0,
	CHANGE_NODE_UPDATED = 1 << 1,
	CHANGE_POD_DELETED = 1 << 2,
	CHANGE_POD_ADDED = 1 << 3,
	CHANGE_CLAIM = 1 << 4,
	CHANGE_VOLUME = 1 << 5,
	CHANGE_CLASS = 1 << 6,
};

struct scheduler {
	struct client *c;
	struct arena *a; /* own strings */
	struct str name;
	struct informer *pods_i, *nodes_i, *claims_i, *volumes_i, *classes_i, *namespaces_i;
	struct map pods;  /* key -> sched_pod */
	struct map nodes; /* name -> sched_node */
	struct sched_pod **heap;
	size_t n_heap, cap_heap;
	uint64_t seq;
	struct loop_work turn;
	struct loop_timer flush;
	struct arena *cycle_arena;
	struct scheduler_stats stats;
};

/* One attempt for one pod. */
struct cycle {
	struct scheduler *s;
	struct sched_pod *sp;
	const struct core_v1_pod *pod;
	struct arena *a;
	uint32_t wait_for; /* what could help, collected from the plugins that refused */
	struct sched_node **fit;
	size_t n_fit;
	void *pre[16]; /* a plugin's prepared state, by its row number */
};

/* A plugin: NULL functions are not its business. */
struct plugin {
	const char *name;
	/* prepare: once per cycle. False: the pod cannot be scheduled anywhere; *why says it all. */
	bool (*prepare)(struct cycle *c, size_t row, struct str *why);
	/* filter: NULL = fits, else the reason in upstream's words (static or arena). */
	const char *(*filter)(struct cycle *c, size_t row, const struct sched_node *n);
	/* score: 0..SCORE_MAX, or any number when normalize is given. */
	int64_t (*score)(struct cycle *c, size_t row, const struct sched_node *n);
	void (*normalize)(int64_t *scores, size_t n);
	int64_t weight;
	uint32_t wait_for; /* CHANGE_* bits that may turn a refusal */
};
extern const struct plugin plugins[];
extern const size_t n_plugins;

/* ---- amounts.c ---- */
/* amounts_of_pod: sum of containers, largest of init containers, sidecars, overhead. nonzero: as used
 * for spreading load, 100m and 200 MiB where nothing is asked. */
void amounts_of_pod(const struct core_v1_pod *pod, struct amounts *ask, struct amounts *nonzero);
void amounts_of_list(const struct str_pair *list, size_t n, struct amounts *ret);
void amounts_add(struct amounts *x, const struct amounts *y, int sign);
int64_t amounts_scalar(const struct amounts *x, uint64_t id);

/* ---- cache.c ---- */
struct sched_node *cache_node(struct scheduler *s, struct str name); /* made when missing */
void cache_node_set(struct scheduler *s, const struct informer_obj *obj);
void cache_node_gone(struct scheduler *s, struct str name);
void cache_pod_put(struct sched_pod *p, struct sched_node *n); /* takes its share of the node */
void cache_pod_take(struct sched_pod *p);
void cache_release(struct scheduler *s);

/* ---- plugins in files of their own: spread.c, pod_affinity.c, volumes.c ---- */
bool spread_prepare(struct cycle *c, size_t row, struct str *why);
const char *spread_filter(struct cycle *c, size_t row, const struct sched_node *n);
int64_t spread_score(struct cycle *c, size_t row, const struct sched_node *n);
bool pod_affinity_prepare(struct cycle *c, size_t row, struct str *why);
const char *pod_affinity_filter(struct cycle *c, size_t row, const struct sched_node *n);
int64_t pod_affinity_score(struct cycle *c, size_t row, const struct sched_node *n);
void pod_affinity_normalize(int64_t *scores, size_t n);
bool volumes_prepare(struct cycle *c, size_t row, struct str *why);
const char *volumes_filter(struct cycle *c, size_t row, const struct sched_node *n);

/* volumes_bind_next: the next write that has the pod's claims bound on its node: a volume that is there gets
 * the claim's name, another claim the node's. at: the first of the pod's volumes to look at, 0 at first. 1 = p->call is under
 * way, call again when it is done; 0 = nothing more to write; -errno. */
int volumes_bind_next(struct sched_pod *p, size_t *at, client_done_fn *done);
/* volumes_unbound: how many claims of the pod are not bound to a volume now. */
size_t volumes_unbound(struct scheduler *s, const struct core_v1_pod *pod);

static inline const struct core_v1_pod *
pod_of(const struct sched_pod *p)
{
	return p->obj->obj;
}
/* node_of: only nodes that have their object are filtered and scored. */
static inline const struct core_v1_node *
node_of(const struct sched_node *n)
{
	return n->obj->obj;
}

#endif
