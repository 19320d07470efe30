/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * resource_list: see resource_list.h. */
#include "orchestrator/schema/resource_list.h"

#include <string.h>

/* place: where name stands, or would. */
static size_t
place(const struct resource_list *l, struct str name, bool *ret_there)
{
	size_t i = 0;
	int order = 1;
	while (i < l->n && (order = str_cmp(l->v[i].name, name)) < 0)
		i++;
	*ret_there = i < l->n && order == 0;
	return i;
}

const struct quantity *
resource_list_get(const struct resource_list *l, struct str name)
{
	bool there;
	size_t i = place(l, name, &there);
	return there ? &l->v[i].q : NULL;
}

void
resource_list_set(struct resource_list *l, struct str name, struct quantity q)
{
	bool there;
	size_t i = place(l, name, &there);
	if (there) {
		l->v[i].q = q;
		return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct resource_amount *v = ARENA_ARRAY(l->a, struct resource_amount, cap);
		if (!v)
			return;
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	memmove(&l->v[i + 1], &l->v[i], (l->n - i) * sizeof(*l->v));
	l->v[i] = (struct resource_amount){name, q};
	l->n++;
}

void
resource_list_add(struct resource_list *l, struct str name, const struct quantity *q)
{
	const struct quantity *have = resource_list_get(l, name);
	struct quantity sum = have ? *have : *q;
	if (have)
		quantity_add(&sum, q);
	resource_list_set(l, name, sum);
}

void
resource_list_add_doc(struct resource_list *l, const struct doc *d)
{
	DOC_EACH (m, d) {
		struct quantity q = {0};
		if (quantity_parse(doc_as_str(m), &q) == 0)
			resource_list_add(l, m->key, &q);
	}
}

void
resource_list_add_list(struct resource_list *l, const struct resource_list *from)
{
	for (size_t i = 0; i < from->n; i++)
		resource_list_add(l, from->v[i].name, &from->v[i].q);
}

void
resource_list_max(struct resource_list *l, const struct resource_list *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct quantity *have = resource_list_get(l, from->v[i].name);
		if (!have || quantity_cmp(have, &from->v[i].q) < 0)
			resource_list_set(l, from->v[i].name, from->v[i].q);
	}
}

bool
resource_list_equal(const struct resource_list *x, const struct resource_list *y)
{
	bool same = x->n == y->n;
	for (size_t i = 0; same && i < x->n; i++)
		same = str_eq(x->v[i].name, y->v[i].name) &&
			quantity_cmp(&x->v[i].q, &y->v[i].q) == 0;
	return same;
}

struct str
quantity_text(struct arena *a, const struct quantity *q)
{
	char text[48];
	size_t n = quantity_write(q, text);
	return arena_str(a, str_from(text, n));
}

struct doc *
resource_list_doc(struct arena *a, const struct resource_list *l)
{
	struct doc *d = doc_map(a);
	for (size_t i = 0; d && i < l->n; i++)
		doc_set_str(a, d, l->v[i].name, quantity_text(a, &l->v[i].q));
	return d;
}

struct str
resource_list_text(const struct resource_list *l, const struct resource_list *of)
{
	struct buf b;
	buf_init_arena(&b, l->a);
	for (size_t i = 0; i < l->n; i++)
		if (!of || resource_list_get(of, l->v[i].name))
			buf_fmt(&b, "%s" STR_FMT "=" STR_FMT, b.len ? "," : "",
				STR_ARG(l->v[i].name), STR_ARG(quantity_text(l->a, &l->v[i].q)));
	return buf_view(&b);
}

/* ---- pods ---- */

bool
pod_sum_of_pod(struct str name)
{
	return str_eq_c(name, "cpu") || str_eq_c(name, "memory") ||
		str_starts(name, STR("hugepages-"));
}

static const struct doc *
status_of(const struct doc *pod, struct str name)
{
	static const struct str lists[] = {
		STR_INIT("containerStatuses"), STR_INIT("initContainerStatuses")};
	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		DOC_EACH (c, doc_get(doc_get(pod, STR("status")), lists[l]))
			if (str_eq(doc_get_str(c, STR("name")), name))
				return c;
	return NULL;
}

static struct resource_list
container_sum(struct arena *a, const struct doc *pod, const struct doc *container,
	struct str member, unsigned flags)
{
	struct resource_list sum = {.a = a};
	const struct doc *st = flags & POD_SUM_STATUS
		? status_of(pod, doc_get_str(container, STR("name")))
		: NULL;
	const struct doc *have[] = {doc_get(doc_get(st, STR("resources")), member),
		str_eq_c(member, "requests") ? doc_get(st, STR("allocatedResources")) : NULL};
	resource_list_add_doc(&sum, doc_get(doc_get(container, STR("resources")), member));
	for (size_t i = 0; i < ARRAY_LEN(have); i++) {
		struct resource_list had = {.a = a};
		resource_list_add_doc(&had, have[i]);
		resource_list_max(&sum, &had);
	}
	return sum;
}

static void
add_overhead(struct resource_list *ret, const struct doc *overhead, bool limits)
{
	struct resource_list more = {.a = ret->a};
	resource_list_add_doc(&more, overhead);
	for (size_t i = 0; i < more.n; i++) {
		const struct quantity *have = resource_list_get(ret, more.v[i].name);
		if (!limits || (have && !quantity_is_zero(have)))
			resource_list_add(ret, more.v[i].name, &more.v[i].q);
	}
}

void
pod_sum(struct resource_list *ret, const struct doc *pod, struct str member, unsigned flags)
{
	struct arena *a = ret->a;
	const struct doc *spec = doc_get(pod, STR("spec"));
	struct resource_list first = {.a = a}, beside = {.a = a};
	DOC_EACH (c, doc_get(spec, STR("containers"))) {
		struct resource_list one = container_sum(a, pod, c, member, flags);
		resource_list_add_list(ret, &one);
	}
	DOC_EACH (c, doc_get(spec, STR("initContainers"))) {
		struct resource_list one = container_sum(a, pod, c, member, flags);
		if (str_eq_c(doc_get_str(c, STR("restartPolicy")), "Always")) {
			resource_list_add_list(ret, &one);
			resource_list_add_list(&beside, &one);
			resource_list_max(&first, &beside);
		} else {
			resource_list_add_list(&one, &beside);
			resource_list_max(&first, &one);
		}
	}
	resource_list_max(ret, &first);
	struct resource_list whole = {.a = a};
	resource_list_add_doc(&whole, doc_get(doc_get(spec, STR("resources")), member));
	for (size_t i = 0; i < whole.n; i++)
		if (pod_sum_of_pod(whole.v[i].name))
			resource_list_set(ret, whole.v[i].name, whole.v[i].q);
	if (flags & POD_SUM_OVERHEAD)
		add_overhead(ret, doc_get(spec, STR("overhead")), str_eq_c(member, "limits"));
}
