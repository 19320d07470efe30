/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_samples: answers of the metrics APIs as numbers. They come from servers of others: what has another form is left
 * out. See hpa.h. Source: k8s.io/metrics (metrics, custom_metrics, external_metrics types). */
#include "orchestrator/control/hpa.h"

#define WINDOW_NS (60 * NS_PER_SEC) /* where a value does not say of which time it is */

static struct hpa_sample *
sample_new(struct arena *a, const struct doc *d, struct hpa_samples *ret)
{
	struct hpa_sample x = {.window_ns = WINDOW_NS};
	rfc3339_parse(doc_get_str(d, STR("timestamp")), &x.at_ns);
	duration_parse(doc_get_str(d, STR("window")), &x.window_ns);
	int64_t seconds = doc_get_int(d, STR("windowSeconds"), -1);
	if (seconds >= 0 && seconds < INT32_MAX)
		x.window_ns = seconds * NS_PER_SEC;
	struct hpa_sample *slot = ARENA_PUSH(a, ret->v, ret->n);
	if (slot)
		*slot = x;
	return slot;
}

void
hpa_samples_resource(struct arena *a, const struct doc *list, struct str resource,
	struct str container, struct hpa_samples *ret, bool *ret_any)
{
	const struct doc *items = doc_get(list, STR("items"));
	*ret_any = doc_len(items) > 0;
	DOC_EACH (pod, items) {
		int64_t sum = 0;
		size_t found = 0, lacking = 0;
		DOC_EACH (c, doc_get(pod, STR("containers"))) {
			if (container.n && !str_eq(doc_get_str(c, STR("name")), container))
				continue;
			struct quantity q;
			struct str v = doc_get_str(doc_get(c, STR("usage")), resource);
			if (!str_is_set(v) || quantity_parse(v, &q) < 0)
				lacking++;
			else
				sum = hpa_sum(sum, quantity_milli(&q));
			found++;
		}
		struct hpa_sample *s = found && !lacking ? sample_new(a, pod, ret) : NULL;
		if (!s)
			continue;
		s->pod = doc_get_str(doc_get(pod, STR("metadata")), STR("name"));
		s->milli = sum;
	}
}

void
hpa_samples_values(struct arena *a, const struct doc *list, struct hpa_samples *ret)
{
	DOC_EACH (x, doc_get(list, STR("items"))) {
		struct quantity q;
		if (quantity_parse(doc_get_str(x, STR("value")), &q) < 0)
			continue;
		struct hpa_sample *s = sample_new(a, x, ret);
		if (!s)
			return;
		s->pod = doc_get_str(doc_get(x, STR("describedObject")), STR("name"));
		s->milli = quantity_milli(&q);
	}
}
