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
#include "kinds/policy_v1.h"
#include "kinds/storage_v1.h"

#define SCALARS_MAX 8 /* extended resources per node that are counted */
#define SCORE_MAX 100
#define SCHED_COMPONENT STR("default-scheduler")

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
	int64_t since_ns;  /* when its last attempt failed */
	uint32_t wait_for; /* enum change bits that may help */
	struct loop_timer timer;
	struct client_call *call;
	/* The node where room is being made for it; on that node's list. */
	struct sched_node *nominated;
	struct sched_pod *nominated_next, **nominated_prev;
	unsigned evicting; /* victims whose deletion is not answered yet: no turn until then */
	bool woken, evict_failed; /* meanwhile: something changed that may help; one stayed */
	size_t heap_pos;          /* 1-based in the active heap */
	size_t claims_at;         /* of volumes_bind_next */
	unsigned claims_left;
};

struct sched_node {
	struct str name; /* of obj, or own when pods came before their node */
	char *own_name;
	const struct informer_obj
		*obj; /* referenced; NULL: pods are bound to it but it is not here */
	struct amounts have, used, used_nonzero;
	struct sched_pod *pods;
	struct sched_pod *nominated; /* pods for which room is made here: not in `used` */
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
	struct informer *pods_i, *nodes_i, *claims_i, *volumes_i, *classes_i, *namespaces_i,
		*budgets_i;
	struct map pods;  /* key -> sched_pod */
	struct map nodes; /* name -> sched_node */
	struct sched_pod **heap;
	size_t n_heap, cap_heap;
	uint64_t seq;
	struct loop_work turn;
	struct loop_timer flush;
	struct arena *cycle_arena;
	struct eviction *evictions; /* under way: evict.c */
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
	struct sched_node **helpable; /* did not fit, but might with fewer pods */
	size_t n_helpable;
	void *pre[16]; /* a plugin's prepared state, by its row number */
	/* What a filter says besides its reason: further ones; that no pod that goes would help. */
	const char *also[SCALARS_MAX + 4];
	size_t n_also;
	bool unresolvable;
};

/* Reasons and how many nodes gave each. */
struct reasons {
	struct {
		const char *text;
		size_t n;
	} * v;
	size_t n;
};

/* A plugin: NULL functions are not its business. */
struct plugin {
	const char *name;
	/* prepare: once per cycle. False: the pod cannot be scheduled anywhere; *why says it all. */
	bool (*prepare)(struct cycle *c, size_t row, struct str *why);
	/* filter: NULL = fits, else the reason in upstream's words (static or arena). */
	const char *(*filter)(struct cycle *c, size_t row, const struct sched_node *n);
	/* moved: the prepared state, as if p had come to n (sign 1), or gone from it (-1). NULL where
	 * filter looks at the node's pods itself. */
	void (*moved)(struct cycle *c, size_t row, const struct sched_pod *p,
		const struct sched_node *n, int sign);
	/* score: 0..SCORE_MAX, or any number when normalize is given. */
	int64_t (*score)(struct cycle *c, size_t row, const struct sched_node *n);
	void (*normalize)(int64_t *scores, size_t n);
	int64_t weight;
	uint32_t wait_for; /* CHANGE_* bits that may turn a refusal */
	bool unresolvable; /* whom it refuses no pod that goes would help */
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
/* cache_nominate: room is made for the pod on the node of this name; "" = nowhere any more. */
void cache_nominate(struct sched_pod *p, struct str name);
void cache_release(struct scheduler *s);

/* ---- queue.c ---- */
void sched_queue_add(struct sched_pod *p);               /* its turn comes as soon as may be */
void sched_queue_remove(struct sched_pod *p);            /* from the heap, if it is there */
struct sched_pod *sched_queue_take(struct scheduler *s); /* whose turn it is; NULL = nobody waits */
/* sched_queue_backoff: its turn comes when its back-off since the last attempt is over. */
void sched_queue_backoff(struct sched_pod *p);
/* sched_queue_changed: hopeless pods that CHANGE_* bits may help go through their back-off to another attempt. */
void sched_queue_changed(struct scheduler *s, uint32_t what);
void sched_queue_on_backoff(struct loop_timer *t); /* of a pod's timer */
void sched_queue_on_flush(
	struct loop_timer *t); /* of the scheduler's: nobody waits for ever; goes on by itself */

/* ---- filter.c ---- */
/* filter_node: NULL = the pod fits there, with the pods of at least its priority that are nominated to the
 * node and without them; else the reason. c->also, unresolvable and wait_for say more. */
const char *filter_node(struct cycle *c, struct sched_node *n);
/* filter_all: c->fit and c->helpable; reasons of the others. False = it fits nowhere. */
bool filter_all(struct cycle *c, struct reasons *reasons, size_t *n_nodes);
/* cycle_pod_put, cycle_pod_take: as cache_pod_*, and the plugins' states go along. Each put is undone. */
void cycle_pod_put(struct cycle *c, struct sched_pod *p, struct sched_node *n);
void cycle_pod_take(struct cycle *c, struct sched_pod *p);
void reasons_add(struct arena *a, struct reasons *r, const char *text, size_t n);
/* reasons_text: "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) ...". arena. */
struct str reasons_text(struct arena *a, struct reasons *r, size_t n_nodes);

/* ---- preempt.c ---- */
struct preemption {
	struct sched_node *node;    /* NULL: it does not help */
	struct sched_pod **victims; /* most important first */
	size_t n_victims;
	size_t violating; /* victims whose disruption budgets do not let them go */
	bool keep;        /* what was nominated before stays so: its victims are still going */
	struct str why;   /* for the pod's condition; arena */
};
/* preempt_find: where the pod would fit if pods of lower priority went, and which. arena of the cycle. */
void preempt_find(struct cycle *c, struct preemption *ret);

/* ---- evict.c ---- */
/* preempt_act: victims get their condition and are deleted; nominations of less important pods for the node
 * end. The pod has no turn until all is answered. */
void preempt_act(struct sched_pod *p, const struct preemption *what);
void preempt_release(struct scheduler *s);

/* ---- bind.c ---- */
void bind_start(struct sched_pod *p);
void bind_failed(struct sched_pod *p, const char *why);
/* bind_claims_changed: assumed pods whose volumes are all bound now go on; others give up in time. */
void bind_claims_changed(struct scheduler *s);

/* ---- schedule.c ---- */
struct event_ref sched_pod_ref(const struct sched_pod *p); /* borrows from the pod's object */

/* ---- plugins in files of their own: spread.c, pod_affinity.c, volumes.c ---- */
bool spread_prepare(struct cycle *c, size_t row, struct str *why);
const char *spread_filter(struct cycle *c, size_t row, const struct sched_node *n);
void spread_moved(struct cycle *c, size_t row, const struct sched_pod *p,
	const struct sched_node *n, int sign);
int64_t spread_score(struct cycle *c, size_t row, const struct sched_node *n);
bool pod_affinity_prepare(struct cycle *c, size_t row, struct str *why);
const char *pod_affinity_filter(struct cycle *c, size_t row, const struct sched_node *n);
void pod_affinity_moved(struct cycle *c, size_t row, const struct sched_pod *p,
	const struct sched_node *n, int sign);
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
