/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservices: APIServices without a service are what this server serves itself: available as soon as they are there.
 * The rest is in the schema; api/apiservice_*.c obeys them.
 * Source: k8s.io/kube-aggregator pkg/registry/apiservice. */
#include "orchestrator/kinds/kinds_int.h"

static void
apiservice_create(struct request *r, struct doc *obj)
{
	struct doc *status = doc_ensure_map(r->a, obj, S("status")), *list, *c;
	char now[40];
	if (doc_get(doc_get(obj, S("spec")), S("service")))
		return;
	list = doc_list(r->a);
	c = doc_map(r->a);
	if (!status || !list || !c)
		return;
	rfc3339_format(r->wall_ns, 0, now);
	doc_set_str(r->a, c, S("type"), S("Available"));
	doc_set_str(r->a, c, S("status"), S("True"));
	doc_set_str(r->a, c, S("lastTransitionTime"), arena_str(r->a, str_c(now)));
	doc_set_str(r->a, c, S("reason"), S("Local"));
	doc_set_str(r->a, c, S("message"), S("Local APIServices are always available"));
	doc_append(list, c);
	doc_set(status, S("conditions"), list);
}

const struct kind_ops apiservice_ops = {
	.group = "apiregistration.k8s.io",
	.resource = "apiservices",
	.prepare_create = apiservice_create,
};
