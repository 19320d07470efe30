/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apiservice_check: one look at one aggregated server:
 *
 *   its Service -> the EndpointSlices of that -> each of a few ready endpoints is asked for the group and version,
 *   at once; the first good answer is enough
 *
 * Invariant: a check ends: what is asked here has no limits of its own to wait for, what is asked there has 5 s.
 * Source: k8s.io/kube-aggregator pkg/controllers/status/remote. */
#include "orchestrator/api/apiservice_control.h"

#include "base/rand.h"

#include <stdlib.h>

struct ask {
	struct apiservice_check *of;
	struct http_fetch *fetch;
	struct str url;
};
struct apiservice_check {
	struct apiservice_way way;
	struct apiservice *x; /* a reference */
	struct arena *a;
	bool ask_it;
	apiservice_state_fn *done;
	void *arg;
	struct client_call *call;
	struct str port_name;
	bool needs_endpoints;
	struct apiservice_state st;
	struct ask asks[APISERVICE_ADDRS_MAX];
	size_t running;
};

static void
check_free(struct apiservice_check *c)
{
	if (c->call)
		client_call_cancel(c->call);
	for (size_t i = 0; i < ARRAY_LEN(c->asks); i++)
		if (c->asks[i].fetch)
			http_fetch_cancel(c->asks[i].fetch);
	apiservice_unref(c->x);
	arena_free(c->a);
	free(c);
}

void
apiservice_check_cancel(struct apiservice_check *c)
{
	if (c)
		check_free(c);
}

static void
end(struct apiservice_check *c, const char *status, const char *reason, struct str message)
{
	c->st.status = status;
	c->st.reason = reason;
	c->st.message = message;
	c->done(c->arg, &c->st);
	check_free(c);
}

static void
passed(struct apiservice_check *c)
{
	end(c, "True", "Passed", STR("all checks passed"));
}

/* ---- asking there ---------------------------------------------------------------------------------- */

int
apiservice_ask(const struct apiservice_way *way, struct apiservice *x, const struct http_addr *at,
	struct str path, struct str accept, struct str etag, http_fetch_fn *done, void *arg,
	struct http_fetch **ret, struct err *e)
{
	struct http_header headers[5] = {{STR("X-Remote-User"), STR("system:kube-aggregator")},
		{STR("X-Remote-Group"), STR("system:masters")}, {STR("User-Agent"), STR("keelson")},
		{STR("Accept"), accept}, {STR("If-None-Match"), etag}};
	struct arena *a = arena_new(0);
	struct http_call_spec spec = {.method = STR("GET"),
		.headers = headers,
		.n_headers = etag.n ? 5 : 4,
		.addr = at,
		.total_ns = APISERVICE_ASK_NS};
	int rc = a ? apiservice_tls(way->s, x, &spec.tls, e)
		   : err_set(e, -ENOMEM, R_UNKNOWN, "out of memory");
	if (rc == 0) {
		spec.url = arena_fmt(a, "https://" STR_FMT "." STR_FMT ".svc:%d" STR_FMT,
			STR_ARG(x->service), STR_ARG(x->service_ns), (int)x->port, STR_ARG(path));
		rc = http_fetch(way->http, &spec, APISERVICE_ANSWER_MAX, done, arg, ret, e);
	}
	arena_free(a);
	return rc;
}

static void
ask_failed(struct ask *k, struct str why)
{
	struct apiservice_check *c = k->of;
	if (--c->running)
		return;
	end(c, "False", "FailedDiscoveryCheck",
		arena_fmt(c->a, "failing or missing response from " STR_FMT ": " STR_FMT,
			STR_ARG(k->url), STR_ARG(why)));
}

static void
on_answer(void *arg, const struct err *e, const struct http_response *resp, struct str body)
{
	struct ask *k = arg;
	struct apiservice_check *c = k->of;
	(void)body;
	k->fetch = NULL;
	bool here = e->code == 0 || e->code == -EFBIG; /* longer than anybody wants to know */
	if (here && resp->status >= 200 && resp->status <= 299)
		passed(c);
	else if (here)
		ask_failed(k,
			arena_fmt(c->a, "bad status from " STR_FMT ": %d", STR_ARG(k->url),
				resp->status));
	else
		ask_failed(k,
			arena_fmt(c->a, "Get \"" STR_FMT "\": %s", STR_ARG(k->url),
				e->code == -ETIMEDOUT ? "context deadline exceeded" : e->msg));
}

/* Answers come in later turns: `running` is complete before the first. */
static void
ask_all(struct apiservice_check *c)
{
	struct apiservice *x = c->x;
	struct err e = {0};
	struct str path = x->group.n ? arena_fmt(c->a, "/apis/" STR_FMT "/" STR_FMT,
					       STR_ARG(x->group), STR_ARG(x->version))
				     : arena_fmt(c->a, "/api/" STR_FMT, STR_ARG(x->version));
	for (size_t i = 0; i < c->st.n_addrs; i++) {
		struct ask *k = &c->asks[i];
		char at[HTTP_ADDR_TEXT] = "";
		http_addr_format(&c->st.addrs[i], at);
		k->of = c;
		k->url = arena_fmt(c->a, "https://%s" STR_FMT, at, STR_ARG(path));
		if (apiservice_ask(&c->way, x, &c->st.addrs[i], path, STR("application/json"),
			    STR(""), on_answer, k, &k->fetch, &e) == 0)
			c->running++;
	}
	if (c->running == 0)
		end(c, "False", "FailedDiscoveryCheck",
			arena_fmt(c->a,
				"failing or missing response from " STR_FMT ": Get \"" STR_FMT
				"\": %s",
				STR_ARG(c->asks[0].url), STR_ARG(c->asks[0].url), e.msg));
}

/* ---- endpoints ------------------------------------------------------------------------------------- */

static bool
may_ask(struct str text, int64_t port, struct http_addr *ret)
{
	if (port < 1 || port > 65535 || ip_parse(text, &ret->ip) < 0 ||
		!ip_is_global_unicast(&ret->ip))
		return false;
	ret->port = (uint16_t)port;
	return true;
}

/* Reservoir: of many each is as likely as the others. */
static void
address_add(struct apiservice_state *st, const struct http_addr *at, uint64_t *seen)
{
	size_t i = st->n_addrs;
	for (size_t k = 0; k < st->n_addrs; k++)
		if (ip_eq(&st->addrs[k].ip, &at->ip) && st->addrs[k].port == at->port)
			return;
	++*seen;
	if (i < APISERVICE_ADDRS_MAX)
		st->n_addrs++;
	else if ((i = rand_below(*seen)) >= APISERVICE_ADDRS_MAX)
		return;
	st->addrs[i] = *at;
}

void
apiservice_endpoints(struct arena *a, const struct doc *list, struct str port_name,
	struct apiservice_state *st, bool *ret_found)
{
	uint64_t seen = 0;
	(void)a;
	*ret_found = false;
	DOC_EACH (slice, doc_get(list, STR("items"))) {
		int64_t port = 0;
		*ret_found = true;
		DOC_EACH (p, doc_get(slice, STR("ports")))
			if (str_eq(doc_get_str(p, STR("name")), port_name))
				port = doc_get_int(p, STR("port"), 0);
		DOC_EACH (x, doc_get(slice, STR("endpoints"))) {
			struct http_addr at = {0};
			struct str ip = doc_as_str(doc_index(doc_get(x, STR("addresses")), 0));
			if (doc_get_bool(doc_get(x, STR("conditions")), STR("ready"), true) &&
				may_ask(ip, port, &at))
				address_add(st, &at, &seen);
		}
	}
}

static void
on_slices(void *arg, const struct client_result *res)
{
	struct apiservice_check *c = arg;
	struct apiservice *x = c->x;
	struct doc *list = NULL;
	bool found = false;
	c->call = NULL;
	if (res->http != 200 ||
		doc_parse_json(c->a, arena_str(c->a, res->body), NULL, &list, NULL) < 0) {
		end(c, "Unknown", "EndpointsAccessError",
			arena_fmt(c->a,
				"service/" STR_FMT " in \"" STR_FMT
				"\" cannot be checked due to: %s",
				STR_ARG(x->service), STR_ARG(x->service_ns), res->e.msg));
		return;
	}
	apiservice_endpoints(c->a, list, c->port_name, &c->st, &found);
	if (!found && c->needs_endpoints)
		end(c, "False", "EndpointsNotFound",
			arena_fmt(c->a,
				"cannot find endpointslices for service/" STR_FMT " in \"" STR_FMT
				"\"",
				STR_ARG(x->service), STR_ARG(x->service_ns)));
	else if (!c->st.n_addrs && c->needs_endpoints)
		end(c, "False", "MissingEndpoints",
			arena_fmt(c->a,
				"endpointslices for service/" STR_FMT " in \"" STR_FMT
				"\" have no addresses with port name \"" STR_FMT "\"",
				STR_ARG(x->service), STR_ARG(x->service_ns),
				STR_ARG(c->port_name)));
	else if (!c->st.n_addrs)
		end(c, "False", "FailedDiscoveryCheck",
			arena_fmt(c->a, "no endpoints available for service \"" STR_FMT "\"",
				STR_ARG(x->service)));
	else if (c->ask_it)
		ask_all(c);
	else
		passed(c);
}

/* ---- the service ----------------------------------------------------------------------------------- */

static const struct doc *
port_of(const struct doc *service, int64_t port)
{
	DOC_EACH (p, doc_get(doc_get(service, STR("spec")), STR("ports")))
		if (doc_get_int(p, STR("port"), 0) == port)
			return p;
	return NULL;
}

static void
on_service(void *arg, const struct client_result *res)
{
	struct apiservice_check *c = arg;
	struct apiservice *x = c->x;
	struct doc *d = NULL;
	c->call = NULL;
	if (res->http == 404) {
		end(c, "False", "ServiceNotFound",
			arena_fmt(c->a, "service/" STR_FMT " in \"" STR_FMT "\" is not present",
				STR_ARG(x->service), STR_ARG(x->service_ns)));
		return;
	}
	if (res->http != 200 ||
		doc_parse_json(c->a, arena_str(c->a, res->body), NULL, &d, NULL) < 0) {
		end(c, "Unknown", "ServiceAccessError",
			arena_fmt(c->a,
				"service/" STR_FMT " in \"" STR_FMT
				"\" cannot be checked due to: %s",
				STR_ARG(x->service), STR_ARG(x->service_ns), res->e.msg));
		return;
	}
	struct str type = doc_get_str(doc_get(d, STR("spec")), STR("type"));
	const struct doc *port = port_of(d, x->port);
	c->needs_endpoints = !type.n || str_eq_c(type, "ClusterIP");
	if (!port && c->needs_endpoints) {
		end(c, "False", "ServicePortError",
			arena_fmt(c->a,
				"service/" STR_FMT " in \"" STR_FMT
				"\" is not listening on port %d",
				STR_ARG(x->service), STR_ARG(x->service_ns), (int)x->port));
		return;
	}
	if (!port) {
		end(c, "False", "FailedDiscoveryCheck",
			arena_fmt(c->a, "no service port %d found for service \"" STR_FMT "\"",
				(int)x->port, STR_ARG(x->service)));
		return;
	}
	c->port_name = doc_get_str(port, STR("name"));
	struct client_req q = {.verb = CLIENT_LIST,
		.group = STR("discovery.k8s.io"),
		.version = STR("v1"),
		.resource = STR("endpointslices"),
		.ns = x->service_ns,
		.label_selector = arena_fmt(
			c->a, "kubernetes.io/service-name=" STR_FMT, STR_ARG(x->service))};
	if (client_call_start(c->way.c, &q, on_slices, c, &c->call) < 0)
		end(c, "Unknown", "EndpointsAccessError", STR("out of memory"));
}

int
apiservice_check_start(const struct apiservice_way *way, struct apiservice *x, bool ask,
	apiservice_state_fn *done, void *arg, struct apiservice_check **ret)
{
	struct apiservice_check *c = calloc(1, sizeof(*c));
	struct client_req q = {.verb = CLIENT_GET,
		.version = STR("v1"),
		.group = STR(""),
		.resource = STR("services"),
		.ns = x->service_ns,
		.name = x->service};
	if (!c || !(c->a = arena_new(0))) {
		free(c);
		return -ENOMEM;
	}
	c->way = *way;
	c->x = x;
	x->refs++;
	c->ask_it = ask;
	c->done = done;
	c->arg = arg;
	int rc = client_call_start(way->c, &q, on_service, c, &c->call);
	if (rc < 0) {
		c->call = NULL;
		check_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}
