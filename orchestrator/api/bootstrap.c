/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap: the objects every cluster has, made at the first start and completed at each later one:
 * namespaces, RBAC defaults, priority classes, the service `kubernetes` with its endpoints, APIServices. They go
 * through the pipeline like any other write, by a direct client in system:masters.
 *
 * Order: namespaces first, all others together behind them (one group commit), then the workers start. Where the
 * namespaces are there already the workers start first: the others are there too, as far as nobody took them
 * away and no version came that has more, and a server that was killed serves again the sooner.
 * Invariant: what is there and complete is not written again.
 * Source: k8s.io/kubernetes pkg/controlplane (system namespaces, kubernetes service),
 * pkg/apis/scheduling (system priority classes). */
#include "orchestrator/api/apiservice_control.h"
#include "orchestrator/api/crd_control.h"
#include "orchestrator/api/policy_control.h"

#include "base/ip.h"
#include "base/log.h"

#include <stdlib.h>

struct job {
	struct str group, resource, ns, name;
	struct doc *obj;
	struct str sub;
	bool update;
	struct bootstrap *b;
	struct job *next;
};
struct bootstrap {
	struct api_server *s;
	struct arena *a;
	struct client *client;
	struct job *jobs, **last;
	size_t running;
	int phase;
	bool serves; /* the workers run */
	struct loop_work work;
};

/* ---- jobs ------------------------------------------------------------------------------------------ */

/* What is stored under a job's key: a tree in b->a, or NULL. */
static struct doc *
stored(struct bootstrap *b, const struct job *j)
{
	const struct api_resource *res = api_resource_find(b->s, j->group, STR(""), j->resource);
	struct store_value v;
	if (!res || res->store_res == API_NO_STORE ||
		store_get(b->s->store, (struct store_key){res->store_res, j->ns, j->name}, b->a,
			&v) < 0)
		return NULL;
	return object_parse(b->a, res, v.body);
}

/* job_add: NULL: there is nothing to do. */
static struct job *
job_add(struct bootstrap *b, const char *group, const char *resource, struct str ns,
	struct doc *obj, bool (*merge)(struct arena *a, struct doc *have, const struct doc *want))
{
	struct job *j = obj ? ARENA_NEW(b->a, struct job) : NULL;
	if (!j || !api_resource_find(b->s, str_c(group), STR(""), str_c(resource)))
		return NULL;
	*j = (struct job){.group = str_c(group),
		.resource = str_c(resource),
		.ns = ns,
		.obj = obj,
		.name = doc_get_str(meta_of(obj), STR("name")),
		.b = b};
	struct doc *have = stored(b, j);
	if (have) {
		if (!merge || !merge(b->a, have, obj))
			return NULL;
		j->update = true;
		j->obj = have;
	}
	*b->last = j;
	b->last = &j->next;
	return j;
}

static void bootstrap_next(struct bootstrap *b);

static void
job_done(void *arg, const struct client_result *res)
{
	struct job *j = arg;
	struct bootstrap *b = j->b;
	if (res->http >= 400 && res->http != 409 && !atomic_load(&b->s->stopping))
		log_error("first objects: %.*s '%.*s': %s", STR_ARG(j->resource), STR_ARG(j->name),
			res->e.msg);
	b->running--;
	if (b->running == 0)
		loop_defer(b->s->start_loop, &b->work);
}

static void
job_start(struct bootstrap *b, struct job *j)
{
	struct buf body;
	const struct api_resource *res = api_resource_find(b->s, j->group, STR(""), j->resource);
	buf_init_arena(&body, b->a);
	doc_write_json(&body, j->obj);
	struct client_req q = {.verb = j->update ? CLIENT_UPDATE : CLIENT_CREATE,
		.group = j->group,
		.version = res->version,
		.resource = j->resource,
		.ns = j->ns,
		.name = j->update ? j->name : STR(""),
		.subresource = j->sub,
		.body = buf_view(&body)};
	if (!body.failed && client_call_start(b->client, &q, job_done, j, NULL) == 0)
		b->running++;
	else
		log_error("first objects: cannot make %.*s '%.*s'", STR_ARG(j->resource),
			STR_ARG(j->name));
}

static struct doc *
json(struct bootstrap *b, struct str text)
{
	struct doc *d = NULL;
	struct err e = {0};
	if (doc_parse_json(b->a, text, NULL, &d, &e) < 0)
		BUG_ON(!arena_failed(b->a));
	return d;
}

/* ---- what there is --------------------------------------------------------------------------------- */

static void
namespaces(struct bootstrap *b)
{
	static const char *const names[] = {
		"default", "kube-system", "kube-public", "kube-node-lease"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		job_add(b, "", "namespaces", STR(""),
			json(b,
				arena_fmt(b->a,
					"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{"
					"\"name\":\"%s\"}}",
					names[i])),
			NULL);
}

static void
priority_classes(struct bootstrap *b)
{
	static const struct {
		const char *name, *text;
		int value;
	} classes[] = {
		{"system-node-critical",
			"For system critical pods that must not be moved from their node.",
			2000001000},
		{"system-cluster-critical",
			"For system critical pods that must run in the cluster, but can be moved.",
			2000000000},
	};
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		job_add(b, "scheduling.k8s.io", "priorityclasses", STR(""),
			json(b,
				arena_fmt(b->a,
					"{\"apiVersion\":\"scheduling.k8s.io/v1\",\"kind\":"
					"\"PriorityClass\",\"metadata\":{\"name\":\"%s\"},\"value\":%d,"
					"\"description\":\"%s\"}",
					classes[i].name, classes[i].value, classes[i].text)),
			NULL);
}

static void
rbac_object(void *arg, const char *resource, struct str ns, struct doc *obj)
{
	job_add(arg, "rbac.authorization.k8s.io", resource, ns, obj, rbac_bootstrap_merge);
}

/* ---- service kubernetes ---------------------------------------------------------------------------- */

/* The first address of a range: the service's own. */
static bool
first_ip(struct str cidr, char out[IP_TEXT_MAX], bool *ret_v6)
{
	struct ip_prefix p;
	if (cidr.n == 0 || ip_prefix_parse(cidr, &p) < 0)
		return false;
	p = ip_prefix_masked(&p);
	p.addr.b[ip_size(&p.addr) - 1] |= 1;
	ip_format(&p.addr, out);
	*ret_v6 = p.addr.family == 6;
	return true;
}

/* Endpoints may not be loopback or unspecified addresses: then there are none. */
static bool
advertised(struct bootstrap *b, bool v6, char out[IP_TEXT_MAX])
{
	struct str given = v6 ? b->s->cfg.advertise_ip6 : b->s->cfg.advertise_ip4;
	struct ip_addr ip = b->s->bound.ip, any = {.family = v6 ? 6 : 4}, lo6 = any;
	if (given.n && ip_parse(given, &ip) < 0)
		return false;
	lo6.b[15] = 1;
	if (ip.family != (v6 ? 6 : 4) || ip_eq(&ip, &any) || (v6 && ip_eq(&ip, &lo6)) ||
		(!v6 && ip.b[0] == 127))
		return false;
	ip_format(&ip, out);
	return true;
}

/* Address and port changed: the whole object is replaced but for its metadata. */
static bool
replace_spec(struct arena *a, struct doc *have, const struct doc *want)
{
	static const struct str parts[] = {
		STR_INIT("subsets"), STR_INIT("endpoints"), STR_INIT("ports")};
	bool changed = false;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct doc *w = doc_get(want, parts[i]), *h = doc_get(have, parts[i]);
		if (!w || doc_equal(w, h))
			continue;
		doc_set(have, parts[i], doc_copy(a, w));
		changed = true;
	}
	return changed;
}

static void
kubernetes_service(struct bootstrap *b)
{
	char vip[IP_TEXT_MAX], ip[IP_TEXT_MAX];
	bool v6 = false;
	struct str cidr = b->s->cfg.service_cidr4.n ? b->s->cfg.service_cidr4
						    : b->s->cfg.service_cidr6;
	unsigned port = b->s->bound.port ? b->s->bound.port : 6443;
	if (!first_ip(cidr, vip, &v6))
		return;
	const char *family = v6 ? "IPv6" : "IPv4";
	job_add(b, "", "services", STR("default"),
		json(b,
			arena_fmt(b->a,
				"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":"
				"\"kubernetes\",\"namespace\":\"default\",\"labels\":{\"component\":"
				"\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":{\"type\":"
				"\"ClusterIP\",\"clusterIP\":\"%s\",\"clusterIPs\":[\"%s\"],"
				"\"ipFamilies\":[\"%s\"],\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{"
				"\"name\":\"https\",\"port\":443,\"protocol\":\"TCP\",\"targetPort\":%u}],"
				"\"sessionAffinity\":\"None\"}}",
				vip, vip, family, port)),
		NULL);
	if (!advertised(b, v6, ip))
		return;
	job_add(b, "", "endpoints", STR("default"),
		json(b,
			arena_fmt(b->a,
				"{\"apiVersion\":\"v1\",\"kind\":\"Endpoints\",\"metadata\":{\"name\":"
				"\"kubernetes\",\"namespace\":\"default\",\"labels\":{"
				"\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}},\"subsets\":[{"
				"\"addresses\":[{\"ip\":\"%s\"}],\"ports\":[{\"name\":\"https\","
				"\"port\":%u,\"protocol\":\"TCP\"}]}]}",
				ip, port)),
		replace_spec);
	job_add(b, "discovery.k8s.io", "endpointslices", STR("default"),
		json(b,
			arena_fmt(b->a,
				"{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
				"\"metadata\":{\"name\":\"kubernetes\",\"namespace\":\"default\","
				"\"labels\":{\"kubernetes.io/service-name\":\"kubernetes\"}},"
				"\"addressType\":\"%s\",\"endpoints\":[{\"addresses\":[\"%s\"],"
				"\"conditions\":{\"ready\":true}}],\"ports\":[{\"name\":\"https\","
				"\"port\":%u,\"protocol\":\"TCP\"}]}",
				family, ip, port)),
		replace_spec);
}

/* ---- ServiceCIDR kubernetes --------------------------------------------------------------------------- */

static bool
make_ready(struct arena *a, struct doc *have, const struct doc *want)
{
	struct doc *st = doc_ensure_map(a, have, STR("status"));
	if (!st || doc_len(doc_get(st, STR("conditions"))))
		return false;
	doc_set(st, STR("conditions"),
		doc_copy(a, doc_get(doc_get(want, STR("status")), STR("conditions"))));
	return true;
}

/* service_cidr: the ranges as an object; with `ready`, which it is as soon as it is there. */
static void
service_cidr(struct bootstrap *b, bool ready)
{
	const struct str cidrs[] = {b->s->cfg.service_cidr4, b->s->cfg.service_cidr6};
	struct doc *list = doc_list(b->a), *d;
	char now[40];
	rfc3339_format(clock_wall_ns(), 0, now);
	d = json(b,
		arena_fmt(b->a,
			"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"ServiceCIDR\","
			"\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{},\"status\":{\"conditions\":[{"
			"\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"%s\",\"reason\":"
			"\"\",\"message\":\"Kubernetes default Service CIDR is ready\"}]}}",
			now));
	for (size_t i = 0; list && i < ARRAY_LEN(cidrs); i++)
		if (cidrs[i].n)
			doc_append(list, doc_str(b->a, cidrs[i]));
	if (!d || !doc_len(list))
		return;
	doc_set(doc_get(d, STR("spec")), STR("cidrs"), list);
	struct job *j = job_add(
		b, "networking.k8s.io", "servicecidrs", STR(""), d, ready ? make_ready : NULL);
	if (j && ready)
		j->sub = STR("status");
}

/* ---- the token nodes join with --------------------------------------------------------------------- */

static void
bootstrap_token(struct bootstrap *b)
{
	struct str id, secret;
	struct str token = b->s->cfg.bootstrap_token;
	if (!str_cut(token, '.', &id, &secret) || id.n != 6 || secret.n != 16)
		return;
	for (size_t i = 0; i < token.n; i++) {
		char c = token.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && i != 6)
			return;
	}
	job_add(b, "", "secrets", STR("kube-system"),
		json(b,
			arena_fmt(b->a,
				"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":"
				"\"bootstrap-token-" STR_FMT
				"\",\"namespace\":\"kube-system\"},\"type\":"
				"\"bootstrap.kubernetes.io/token\",\"stringData\":{\"token-id\":\"" STR_FMT
				"\",\"token-secret\":\"" STR_FMT
				"\",\"usage-bootstrap-authentication\":"
				"\"true\",\"usage-bootstrap-signing\":\"true\"}}",
				STR_ARG(id), STR_ARG(id), STR_ARG(secret))),
		NULL);
}

/* ---- running --------------------------------------------------------------------------------------- */

static void
local_apiservice(void *arg, struct doc *obj)
{
	job_add(arg, APISERVICE_GROUP, "apiservices", STR(""), obj, apiservice_local_merge);
}

static void
aggregation(struct bootstrap *b)
{
	apiservice_local_each(b->s, b->a, local_apiservice, b);
	job_add(b, "", "configmaps", STR("kube-system"), front_proxy_config(b->s, b->a),
		front_proxy_config_merge);
}

static void
run_jobs(struct bootstrap *b)
{
	struct job *j = b->jobs;
	b->jobs = NULL;
	b->last = &b->jobs;
	for (; j; j = j->next)
		job_start(b, j);
}

/* own_client: a client by which the server meets its own API, under the identity of upstream's loopback. */
static int
own_client(struct api_server *s, struct client **ret)
{
	struct str groups[] = {STR("system:masters")};
	struct api_identity id = {.user = STR("system:apiserver"),
		.groups = groups,
		.n_groups = 1,
		.user_agent = STR("kube-apiserver")};
	return api_client_new(s, s->start_loop, &id, ret);
}

static int
aggregator_start(struct api_server *s)
{
	struct api_identity id = {
		.user = STR(
			"system:serviceaccount:kube-system:clusterrole-aggregation-controller")};
	int rc = api_client_new(s, s->start_loop, &id, &s->aggregator_client);
	return rc < 0 ? rc
		      : api_aggregator_new(s->aggregator_client, s->start_loop, &s->aggregator);
}

static int
crd_control_start(struct api_server *s)
{
	int rc = own_client(s, &s->crd_client);
	return rc < 0 ? rc : crd_control_new(s->crd_client, s->start_loop, &s->crd_control);
}

static int
policy_control_start(struct api_server *s)
{
	struct api_identity id = {.user = STR("system:serviceaccount:kube-system:"
					      "validatingadmissionpolicy-status-controller")};
	int rc = s->cfg.policy_status ? api_client_new(s, s->start_loop, &id, &s->policy_client)
				      : 0;
	return rc < 0 || !s->policy_client
		? rc
		: policy_control_new(s, s->policy_client, s->start_loop, &s->policy_control);
}

static int
apiservices_start(struct api_server *s)
{
	int rc = own_client(s, &s->apiservice_client);
	return rc < 0 ? rc
		      : apiservice_control_new(
				s, s->apiservice_client, s->start_loop, &s->apiservice_control);
}

static void
serve(struct bootstrap *b)
{
	if (!b->serves && server_serve(b->s) < 0)
		log_error("the workers of the API server do not start");
	b->serves = true;
}

static void
bootstrap_next(struct bootstrap *b)
{
	struct api_server *s = b->s;
	if (atomic_load(&s->stopping))
		return;
	b->phase++;
	if (b->phase == 1) {
		namespaces(b);
		if (!b->jobs)
			serve(b);
		run_jobs(b);
	} else if (b->phase == 2) {
		rbac_bootstrap_objects(b->a, rbac_object, b);
		priority_classes(b);
		kubernetes_service(b);
		service_cidr(b, false);
		bootstrap_token(b);
		aggregation(b);
		run_jobs(b);
	} else if (b->phase == 3) {
		service_cidr(b, true);
		run_jobs(b);
	} else {
		if (aggregator_start(s) < 0)
			log_error("cluster role aggregation does not start: out of memory");
		if (crd_control_start(s) < 0)
			log_error("custom resource definitions are not kept: out of memory");
		if (policy_control_start(s) < 0)
			log_error("admission policies are not type-checked: out of memory");
		if (apiservices_start(s) < 0)
			log_error("APIServices are not kept: out of memory");
		serve(b);
		client_free(b->client);
		arena_free(b->a);
		s->bootstrap = NULL;
		free(b);
		return;
	}
	if (b->running == 0)
		loop_defer(s->start_loop, &b->work);
}

static void
bootstrap_work(struct loop_work *w)
{
	bootstrap_next(w->arg);
}

int
bootstrap_start(struct api_server *s)
{
	struct bootstrap *b = calloc(1, sizeof(*b));
	if (!b || !(b->a = arena_new(0)) || own_client(s, &b->client) < 0) {
		if (b)
			arena_free(b->a);
		free(b);
		return -ENOMEM;
	}
	b->s = s;
	b->last = &b->jobs;
	b->work = (struct loop_work){.fn = bootstrap_work, .arg = b};
	s->bootstrap = b;
	loop_defer(s->start_loop, &b->work);
	return 0;
}

/* On start_loop, or after it has ended. */
void
bootstrap_stop(struct api_server *s)
{
	struct bootstrap *b = s->bootstrap;
	api_aggregator_free(s->aggregator);
	client_free(s->aggregator_client);
	s->aggregator = NULL;
	s->aggregator_client = NULL;
	crd_control_free(s->crd_control);
	client_free(s->crd_client);
	s->crd_control = NULL;
	s->crd_client = NULL;
	policy_control_free(s->policy_control);
	client_free(s->policy_client);
	s->policy_control = NULL;
	s->policy_client = NULL;
	apiservice_control_free(s->apiservice_control);
	client_free(s->apiservice_client);
	s->apiservice_control = NULL;
	s->apiservice_client = NULL;
	if (!b)
		return;
	loop_defer_cancel(&b->work);
	client_free(b->client);
	arena_free(b->a);
	free(b);
	s->bootstrap = NULL;
}
