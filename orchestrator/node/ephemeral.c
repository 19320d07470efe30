/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ephemeral: containers that are added to a running pod for looking into it. They come with an update of the
 * object, are started as soon as there is a sandbox, once, and end with the pod; what becomes of them changes nothing
 * about the pod: neither phase nor conditions nor whether it is done.
 *
 * Invariant: they stand in a list of their own, so that the pod's other containers keep their places in memory.
 * Source: Kubernetes ephemeral containers (KEP-277); kubelet computePodActions. */
#include "orchestrator/node/node_int.h"

#include <assert.h>

/* Whoever looks at a container's description looks at an ephemeral one's through the same members. */
#define SAME(member)                                                                               \
	static_assert(offsetof(struct core_v1_ephemeral_container, member) ==                      \
			offsetof(struct core_v1_container, member),                                \
		"an ephemeral container begins as a container does")
SAME(name);
SAME(image);
SAME(env);
SAME(resources);
SAME(volume_mounts);
SAME(lifecycle);
SAME(security_context);
SAME(tty);

const struct core_v1_container *
ephemeral_spec(const struct core_v1_pod_spec *s, size_t i)
{
	return (const struct core_v1_container *)&s->ephemeral_containers[i];
}

int
ephemeral_target(const struct ctr *c, struct str *ret_id, struct err *e)
{
	const struct core_v1_pod_spec *s = &c->pod->o->spec;
	for (size_t i = 0; c->kind == CTR_EPHEMERAL && i < s->n_ephemeral_containers; i++) {
		const struct core_v1_ephemeral_container *x = &s->ephemeral_containers[i];
		if (!str_eq_c(x->name, c->name) || !x->target_container_name.n)
			continue;
		const struct ctr *target = pod_ctr(c->pod, x->target_container_name);
		if (!target || !ctr_running(target))
			return err_set(e, -ENOENT, R_UNKNOWN,
				"unable to find target container " STR_FMT,
				STR_ARG(x->target_container_name));
		*ret_id = str_c(target->id);
	}
	return 0;
}

void
ephemerals_take(struct pod *p)
{
	const struct core_v1_pod_spec *s = &p->o->spec;
	for (size_t i = 0; i < s->n_ephemeral_containers; i++) {
		struct str name = ephemeral_spec(s, i)->name;
		struct ctr **end = &p->ephemerals;
		while (*end && !str_eq_c(name, (*end)->name))
			end = &(*end)->next;
		struct ctr *c = *end ? NULL : calloc(1, sizeof(*c));
		if (!c)
			continue;
		*c = (struct ctr){.pod = p, .kind = CTR_EPHEMERAL, .name = strndup(name.p, name.n)};
		if (!c->name) {
			free(c);
			return; /* the next look at the object tries again */
		}
		*end = c;
		if (p->sandbox[0])
			ctr_adopt(c, str_c(p->sandbox));
	}
}

void
ephemerals_sync(struct pod *p)
{
	int64_t now_ns = clock_mono_ns();
	for (struct ctr *c = p->ephemerals; c; c = c->next) {
		struct runtime_container rc;
		if (c->op != CTR_IDLE || ctr_state(c, &rc))
			continue; /* it runs, or it has: once is all */
		if (c->retry_ns > now_ns)
			pod_wake_in(p, c->retry_ns - now_ns);
		else
			ctr_pull(c);
	}
}

bool
ephemerals_stop(struct pod *p, int64_t grace_ns)
{
	bool all = true;
	for (struct ctr *c = p->ephemerals; c; c = c->next) {
		ctr_pull_cancel(c);
		if (ctr_running(c))
			ctr_stop(c, grace_ns);
		all = all && !ctr_running(c) && c->op == CTR_IDLE;
	}
	return all;
}

void
ephemerals_free(struct pod *p)
{
	while (p->ephemerals) {
		struct ctr *c = p->ephemerals;
		p->ephemerals = c->next;
		ctr_release(c);
		free(c);
	}
}
