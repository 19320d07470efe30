/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * request: what kinds and admission plugins may ask of a request's route: see request.h. */
#include "orchestrator/api/request.h"

#include "orchestrator/api/api_int.h"

struct str
request_group(const struct request *r)
{
	return r->res ? r->res->group : STR_NONE;
}

struct str
request_resource(const struct request *r)
{
	return r->res ? r->res->plural : STR_NONE;
}

struct str
request_subresource(const struct request *r)
{
	return r->sub ? r->sub->name : STR("");
}

const struct api_ranges *
request_ranges(struct request *r)
{
	static const struct api_ranges none;
	const struct str text[2] = {r->server->cfg.service_cidr4, r->server->cfg.service_cidr6};
	struct api_ranges *k = ARENA_NEW(r->a, struct api_ranges);
	for (size_t i = 0; k && i < ARRAY_LEN(text); i++)
		if (!text[i].n || ip_prefix_parse(text[i], &k->service[i]) < 0)
			k->service[i] = (struct ip_prefix){0};
	return k ? k : &none;
}
