/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * amounts: what pods ask for and nodes have, as numbers. Source: kube-scheduler noderesources/fit,
 * component-helpers resource.PodRequests (init containers, sidecars, overhead). */
#include "orchestrator/schedule/schedule_int.h"

#define DEFAULT_MCPU 100
#define DEFAULT_MEM (200ll << 20)

static int64_t *
scalar_slot(struct amounts *x, uint64_t id)
{
	for (size_t i = 0; i < x->n_scalars; i++)
		if (x->scalars[i].id == id)
			return &x->scalars[i].n;
	if (x->n_scalars == SCALARS_MAX)
		return NULL;
	x->scalars[x->n_scalars].id = id;
	x->scalars[x->n_scalars].name = STR_NONE;
	x->scalars[x->n_scalars].n = 0;
	return &x->scalars[x->n_scalars++].n;
}

int64_t
amounts_scalar(const struct amounts *x, uint64_t id)
{
	for (size_t i = 0; i < x->n_scalars; i++)
		if (x->scalars[i].id == id)
			return x->scalars[i].n;
	return 0;
}

/* names_take: what one container's amounts call their scalars goes on to the pod's. */
static void
names_take(struct amounts *x, const struct amounts *from)
{
	for (size_t i = 0; i < from->n_scalars; i++)
		for (size_t k = 0; k < x->n_scalars; k++)
			if (x->scalars[k].id == from->scalars[i].id && from->scalars[i].name.n)
				x->scalars[k].name = from->scalars[i].name;
}

void
amounts_of_list(const struct str_pair *list, size_t n, struct amounts *ret)
{
	*ret = (struct amounts){0};
	for (size_t i = 0; i < n; i++) {
		struct str name = list[i].key, value = list[i].value;
		if (str_eq(name, STR("cpu"))) {
			ret->cpu_mcpu = quantity_milli_of(value, 0);
		} else if (str_eq(name, STR("memory"))) {
			ret->mem_bytes = quantity_value_of(value, 0);
		} else if (str_eq(name, STR("ephemeral-storage"))) {
			ret->disk_bytes = quantity_value_of(value, 0);
		} else if (str_eq(name, STR("pods"))) {
			ret->pods = quantity_value_of(value, 0);
		} else {
			int64_t *slot = scalar_slot(ret, hash_fnv64a(name));
			if (slot) {
				*slot = quantity_value_of(value, 0);
				ret->scalars[ret->n_scalars - 1].name = name;
			}
		}
	}
}

void
amounts_add(struct amounts *x, const struct amounts *y, int sign)
{
	x->cpu_mcpu += sign * y->cpu_mcpu;
	x->mem_bytes += sign * y->mem_bytes;
	x->disk_bytes += sign * y->disk_bytes;
	x->pods += sign * y->pods;
	for (size_t i = 0; i < y->n_scalars; i++) {
		int64_t *slot = scalar_slot(x, y->scalars[i].id);
		if (slot)
			*slot += sign * y->scalars[i].n;
	}
}

static void
amounts_max(struct amounts *x, const struct amounts *y)
{
#define MAX_OF(f) x->f = x->f > y->f ? x->f : y->f
	MAX_OF(cpu_mcpu);
	MAX_OF(mem_bytes);
	MAX_OF(disk_bytes);
#undef MAX_OF
	for (size_t i = 0; i < y->n_scalars; i++) {
		int64_t *slot = scalar_slot(x, y->scalars[i].id);
		if (slot && *slot < y->scalars[i].n)
			*slot = y->scalars[i].n;
	}
}

static void
container_ask(const struct core_v1_container *c, struct amounts *ask, struct amounts *nonzero)
{
	amounts_of_list(c->resources.requests, c->resources.n_requests, ask);
	*nonzero = *ask;
	if (!nonzero->cpu_mcpu)
		nonzero->cpu_mcpu = DEFAULT_MCPU;
	if (!nonzero->mem_bytes)
		nonzero->mem_bytes = DEFAULT_MEM;
}

void
amounts_of_pod(const struct core_v1_pod *pod, struct amounts *ret_ask, struct amounts *ret_nonzero)
{
	struct amounts ask = {0}, nonzero = {0}, one, one_nz;
	struct amounts init = {0}, init_nz = {0}, side = {0}, side_nz = {0};
	for (size_t i = 0; i < pod->spec.n_containers; i++) {
		container_ask(&pod->spec.containers[i], &one, &one_nz);
		amounts_add(&ask, &one, 1);
		names_take(&ask, &one);
		amounts_add(&nonzero, &one_nz, 1);
	}
	/* A sidecar runs beside what starts after it; an ordinary init container beside sidecars only. */
	for (size_t i = 0; i < pod->spec.n_init_containers; i++) {
		const struct core_v1_container *c = &pod->spec.init_containers[i];
		container_ask(c, &one, &one_nz);
		amounts_add(&one, &side, 1);
		amounts_add(&one_nz, &side_nz, 1);
		amounts_max(&init, &one);
		amounts_max(&init_nz, &one_nz);
		names_take(&init, &one);
		if (str_eq(c->restart_policy, STR("Always"))) {
			side = one;
			side_nz = one_nz;
		}
	}
	amounts_add(&ask, &side, 1);
	amounts_add(&nonzero, &side_nz, 1);
	amounts_max(&ask, &init);
	names_take(&ask, &init);
	amounts_max(&nonzero, &init_nz);
	amounts_of_list(pod->spec.overhead, pod->spec.n_overhead, &one);
	amounts_add(&ask, &one, 1);
	amounts_add(&nonzero, &one, 1);
	ask.pods = nonzero.pods = 1;
	*ret_ask = ask;
	*ret_nonzero = nonzero;
}
