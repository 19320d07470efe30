/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa_metric: one metric of an autoscaler: a row for each type says what is asked, and a function what the answer comes
 * to. See hpa.h. Source: pkg/controller/podautoscaler (horizontal.go, metrics/client.go); k8s.io/metrics pkg/client. */
#include "orchestrator/control/hpa.h"

#include "netstack/http/http.h"

#define RESOURCE_API "metrics.k8s.io"
#define CUSTOM_API "custom.metrics.k8s.io"
#define EXTERNAL_API "external.metrics.k8s.io"

/* ---- what is asked ---- */

static struct str
selector_of(struct arena *a, const struct meta_v1_label_selector *ls)
{
	struct selector s = {0};
	if (!ls || selector_from_struct(a, ls, &s) < 0)
		return STR("");
	return selector_write(a, &s);
}

static void
query(struct buf *b, char *sep, const char *name, struct str value)
{
	if (!value.n)
		return;
	buf_fmt(b, "%c%s=", *sep, name);
	http_url_encode(b, value, false);
	*sep = '&';
}

/* path_of: "/apis/GROUP/VERSION/namespaces/NS/part/part..." */
static struct str
path_of(struct arena *a, const char *group, const char *version, struct str ns,
	const struct str *parts, size_t n, struct str labels, struct str metric_labels)
{
	struct buf b;
	char sep = '?';
	buf_init_arena(&b, a);
	buf_fmt(&b, "/apis/%s/%s/namespaces/", group, version);
	http_url_encode(&b, ns, true);
	for (size_t i = 0; i < n; i++) {
		buf_char(&b, '/');
		http_url_encode(&b, parts[i], true);
	}
	query(&b, &sep, "labelSelector", labels);
	query(&b, &sep, "metricLabelSelector", metric_labels);
	return buf_view(&b);
}

static void
ask_custom(struct arena *a, struct str ns, const struct str *parts, size_t n, struct str labels,
	const struct meta_v1_label_selector *metric_labels, struct hpa_metric *ret)
{
	struct str wanted = selector_of(a, metric_labels);
	ret->path = path_of(a, CUSTOM_API, "v1beta2", ns, parts, n, labels, wanted);
	ret->fallback = path_of(a, CUSTOM_API, "v1beta1", ns, parts, n, labels, wanted);
	ret->resource = arena_fmt(
		a, STR_FMT "." CUSTOM_API " " STR_FMT, STR_ARG(parts[0]), STR_ARG(parts[1]));
}

void
hpa_metric_ask(struct arena *a, const struct autoscaling_v2_metric_spec *m, struct str ns,
	struct str pods, struct str object_resource, struct hpa_metric *ret)
{
	*ret = (struct hpa_metric){.path = STR(""), .fallback = STR("")};
	if (m->resource || m->container_resource) {
		const struct str parts[] = {STR("pods")};
		ret->path = path_of(a, RESOURCE_API, "v1beta1", ns, parts, 1, pods, STR(""));
		ret->resource = STR("pods." RESOURCE_API);
	} else if (m->pods) {
		const struct str parts[] = {STR("pods"), STR("*"), m->pods->metric.name};
		ask_custom(a, ns, parts, 3, pods, m->pods->metric.selector, ret);
	} else if (m->object && str_eq_c(object_resource, "namespaces")) {
		const struct str parts[] = {STR("metrics"), m->object->metric.name};
		ask_custom(a, ns, parts, 2, STR(""), m->object->metric.selector, ret);
	} else if (m->object) {
		const struct str parts[] = {
			object_resource, m->object->described_object.name, m->object->metric.name};
		ask_custom(a, ns, parts, 3, STR(""), m->object->metric.selector, ret);
	} else if (m->external) {
		const struct str parts[] = {m->external->metric.name};
		ret->path = path_of(a, EXTERNAL_API, "v1beta1", ns, parts, 1,
			selector_of(a, m->external->metric.selector), STR(""));
		ret->resource = arena_fmt(
			a, STR_FMT "." EXTERNAL_API, STR_ARG(m->external->metric.name));
	}
}

/* ---- what the answer comes to ---- */

struct look {
	struct hpa_ask *q;
	const struct autoscaling_v2_metric_spec *m;
	struct str ns;
	const struct doc *list;
	struct str failure;
	struct hpa_result *ret;
};

static struct str
amount(struct arena *a, int64_t milli, struct str resource)
{
	char text[48];
	struct quantity q = quantity_of_milli(
		milli, str_eq_c(resource, "memory") ? QUANTITY_BINARY : QUANTITY_SI);
	return arena_str(a, str_from(text, quantity_write(&q, text)));
}

/* status_new: {"type": ..., member: {...}}; the member's map. */
static struct doc *
status_new(struct look *l, const char *member)
{
	struct arena *a = l->q->a;
	struct doc *d = doc_map(a), *in = doc_map(a);
	doc_set_str(a, d, STR("type"), l->m->type);
	doc_set(d, str_c(member), in);
	l->ret->status = d;
	return in;
}

static void
put_identity(struct look *l, struct doc *d, const struct autoscaling_v2_metric_identifier *id)
{
	struct arena *a = l->q->a;
	struct doc *m = doc_map(a);
	doc_set_str(a, m, STR("name"), id->name);
	if (id->selector)
		doc_set(m, STR("selector"),
			schema_from_struct(
				a, SCHEMA_TYPE_OF(meta_v1_label_selector), id->selector));
	doc_set(d, STR("metric"), m);
}

static void
put_current(struct look *l, struct doc *d, const char *member, struct str value)
{
	struct doc *c = doc_map(l->q->a);
	doc_set_str(l->q->a, c, str_c(member), value);
	doc_set(d, STR("current"), c);
}

/* failed: cause is what the condition tells; what is returned may say more before it. */
static void
failed(struct look *l, const char *reason, struct str cause, struct str before)
{
	l->ret->reason = str_c(reason);
	l->ret->cause = cause;
	l->ret->why = arena_fmt(l->q->a, STR_FMT STR_FMT, STR_ARG(before), STR_ARG(cause));
}

/* listed: NULL = the answer has values; else why not, beginning with what was asked for. */
static struct str
not_listed(struct look *l, const char *api, bool any)
{
	struct arena *a = l->q->a;
	if (!l->list)
		return arena_fmt(a, "unable to fetch metrics from %s metrics API: " STR_FMT, api,
			STR_ARG(l->failure));
	if (!any)
		return arena_fmt(a, "no metrics returned from %s metrics API", api);
	return STR_NONE;
}

static void
by_resource(struct look *l)
{
	const struct autoscaling_v2_container_resource_metric_source *c = l->m->container_resource;
	const struct autoscaling_v2_metric_target *t = c ? &c->target : &l->m->resource->target;
	struct hpa_ask *q = l->q;
	struct arena *a = q->a;
	bool any = false, share = !str_is_set(t->average_value) || !t->average_value.n;
	const char *reason = c ? "FailedGetContainerResourceMetric" : "FailedGetResourceMetric";
	q->resource = c ? c->name : l->m->resource->name;
	q->container = c ? c->container : STR("");
	struct str outer = c ? arena_fmt(a, "failed to get " STR_FMT " container metric value: ",
				       STR_ARG(q->container))
			     : arena_fmt(a, "failed to get " STR_FMT " resource metric value: ",
				       STR_ARG(q->resource));
	if (share && !t->has_average_utilization) {
		failed(l, reason,
			STR("invalid resource metric source: neither an average utilization target "
			    "nor an average value (usage) target was set"),
			outer);
		return;
	}
	hpa_samples_resource(a, l->list, q->resource, q->container, &q->samples, &any);
	struct str why = not_listed(l, "resource", any);
	if (str_is_set(why))
		why = arena_fmt(a, "unable to get metrics for resource " STR_FMT ": " STR_FMT,
			STR_ARG(q->resource), STR_ARG(why));
	else if (share)
		hpa_by_share(q, t->average_utilization, &l->ret->proposal, &why);
	else
		hpa_by_average(q, quantity_milli_of(t->average_value, 0), &l->ret->proposal, &why);
	if (str_is_set(why)) {
		failed(l, reason,
			arena_fmt(a, "failed to get " STR_FMT " %s: " STR_FMT, STR_ARG(q->resource),
				share ? "utilization" : "usage", STR_ARG(why)),
			outer);
		return;
	}
	l->ret->name = arena_fmt(a, STR_FMT " %s%s", STR_ARG(q->resource),
		c && share ? "container resource" : "resource",
		share ? " utilization (percentage of request)" : "");
	struct doc *d = status_new(l, c ? "containerResource" : "resource");
	doc_set_str(a, d, STR("name"), q->resource);
	if (c)
		doc_set_str(a, d, STR("container"), c->container);
	put_current(l, d, "averageValue", amount(a, l->ret->proposal.milli, q->resource));
	if (share)
		doc_set_int(a, doc_get(d, STR("current")), STR("averageUtilization"),
			l->ret->proposal.percent);
}

static void
by_pods(struct look *l)
{
	struct hpa_ask *q = l->q;
	struct arena *a = q->a;
	const struct autoscaling_v2_pods_metric_source *m = l->m->pods;
	hpa_samples_values(a, l->list, &q->samples);
	struct str why = not_listed(l, "custom", q->samples.n > 0);
	if (str_is_set(why))
		why = arena_fmt(a, "unable to get metric " STR_FMT ": " STR_FMT,
			STR_ARG(m->metric.name), STR_ARG(why));
	else
		hpa_by_average(
			q, quantity_milli_of(m->target.average_value, 0), &l->ret->proposal, &why);
	if (str_is_set(why)) {
		failed(l, "FailedGetPodsMetric", why, STR("failed to get pods metric value: "));
		return;
	}
	l->ret->name = arena_fmt(a, "pods metric " STR_FMT, STR_ARG(m->metric.name));
	struct doc *d = status_new(l, "pods");
	put_identity(l, d, &m->metric);
	put_current(l, d, "averageValue", amount(a, l->ret->proposal.milli, STR("")));
}

/* selector_text: as Go prints a pointer to one. */
static struct str
selector_text(struct arena *a, const struct meta_v1_label_selector *s)
{
	struct buf b;
	if (!s)
		return STR("nil");
	buf_init_arena(&b, a);
	buf_cstr(&b, "&LabelSelector{MatchLabels:map[string]string{");
	for (size_t i = 0; i < s->n_match_labels; i++)
		buf_fmt(&b, STR_FMT ": " STR_FMT ",", STR_ARG(s->match_labels[i].key),
			STR_ARG(s->match_labels[i].value));
	buf_cstr(&b, "},MatchExpressions:[]LabelSelectorRequirement{");
	for (size_t i = 0; i < s->n_match_expressions; i++) {
		const struct meta_v1_label_selector_requirement *r = &s->match_expressions[i];
		buf_fmt(&b,
			"LabelSelectorRequirement{Key:" STR_FMT ",Operator:" STR_FMT ",Values:[",
			STR_ARG(r->key), STR_ARG(r->operator));
		for (size_t k = 0; k < r->n_values; k++)
			buf_fmt(&b, "%s" STR_FMT, k ? " " : "", STR_ARG(r->values[k]));
		buf_cstr(&b, "],},");
	}
	buf_cstr(&b, "},}");
	return buf_view(&b);
}

/* by_target: one value, against the whole or each pod's part of the target. */
static int
by_target(struct look *l, int64_t milli, const struct autoscaling_v2_metric_target *t, bool each,
	struct str *why)
{
	if (!each)
		return hpa_by_value(
			l->q, milli, quantity_milli_of(t->value, 0), &l->ret->proposal, why);
	hpa_by_value_per_pod(
		l->q, milli, quantity_milli_of(t->average_value, 0), &l->ret->proposal);
	return 0;
}

static void
by_object(struct look *l)
{
	struct hpa_ask *q = l->q;
	struct arena *a = q->a;
	const struct autoscaling_v2_object_metric_source *m = l->m->object;
	const struct autoscaling_v2_cross_version_object_reference *o = &m->described_object;
	bool each = str_eq_c(m->target.type, "AverageValue");
	struct str outer = STR("failed to get object metric value: "), why = STR_NONE;
	if (each ? !m->target.average_value.n : !m->target.value.n) {
		failed(l, "FailedGetObjectMetric",
			STR("invalid object metric source: neither a value target nor an average "
			    "value target was set"),
			outer);
		return;
	}
	hpa_samples_values(a, l->list, &q->samples);
	if (!l->list)
		why = not_listed(l, "custom", false);
	else if (q->samples.n != 1)
		why = STR("unable to fetch metrics from custom metrics API: the custom metrics API "
			  "server returned no single result");
	if (str_is_set(why))
		why = arena_fmt(a,
			"unable to get metric " STR_FMT " on " STR_FMT " " STR_FMT "/" STR_FMT
			": " STR_FMT,
			STR_ARG(m->metric.name), STR_ARG(o->kind), STR_ARG(l->ns), STR_ARG(o->name),
			STR_ARG(why));
	else
		by_target(l, q->samples.v[0].milli, &m->target, each, &why);
	if (str_is_set(why)) {
		failed(l, "FailedGetObjectMetric", why,
			each ? arena_fmt(a,
				       "failed to get object metric value: failed to get " STR_FMT
				       " object metric: ",
				       STR_ARG(m->metric.name))
			     : outer);
		return;
	}
	l->ret->name = each
		? arena_fmt(a, "external metric " STR_FMT "(" STR_FMT ")", STR_ARG(m->metric.name),
			  STR_ARG(selector_text(a, m->metric.selector)))
		: arena_fmt(
			  a, STR_FMT " metric " STR_FMT, STR_ARG(o->kind), STR_ARG(m->metric.name));
	struct doc *d = status_new(l, "object");
	put_identity(l, d, &m->metric);
	doc_set(d, STR("describedObject"),
		schema_from_struct(
			a, SCHEMA_TYPE_OF(autoscaling_v2_cross_version_object_reference), o));
	put_current(
		l, d, each ? "averageValue" : "value", amount(a, l->ret->proposal.milli, STR("")));
}

static void
by_external(struct look *l)
{
	struct hpa_ask *q = l->q;
	struct arena *a = q->a;
	const struct autoscaling_v2_external_metric_source *m = l->m->external;
	bool each = m->target.average_value.n > 0;
	struct str selector = selector_text(a, m->metric.selector);
	struct str outer = arena_fmt(
		a, "failed to get " STR_FMT " external metric value: ", STR_ARG(m->metric.name));
	if (!each && !m->target.value.n) {
		failed(l, "FailedGetExternalMetric",
			STR("invalid external metric source: neither a value target nor an average "
			    "value target was set"),
			outer);
		return;
	}
	hpa_samples_values(a, l->list, &q->samples);
	struct str why = not_listed(l, "external", q->samples.n > 0);
	int64_t sum = 0;
	for (size_t i = 0; i < q->samples.n; i++)
		if (__builtin_add_overflow(sum, q->samples.v[i].milli, &sum))
			sum = INT64_MAX;
	if (str_is_set(why))
		why = arena_fmt(a,
			"unable to get external metric " STR_FMT "/" STR_FMT "/" STR_FMT
			": " STR_FMT,
			STR_ARG(l->ns), STR_ARG(m->metric.name), STR_ARG(selector), STR_ARG(why));
	else
		by_target(l, sum, &m->target, each, &why);
	if (str_is_set(why)) {
		failed(l, "FailedGetExternalMetric", why,
			arena_fmt(a,
				each ? STR_FMT "failed to get " STR_FMT " external metric: "
				     : STR_FMT "failed to get external metric " STR_FMT ": ",
				STR_ARG(outer), STR_ARG(m->metric.name)));
		return;
	}
	l->ret->name = arena_fmt(a, "external metric " STR_FMT "(" STR_FMT ")",
		STR_ARG(m->metric.name), STR_ARG(selector));
	struct doc *d = status_new(l, "external");
	put_identity(l, d, &m->metric);
	put_current(
		l, d, each ? "averageValue" : "value", amount(a, l->ret->proposal.milli, STR("")));
}

void
hpa_metric_answer(struct hpa_ask *q, const struct autoscaling_v2_metric_spec *m, struct str ns,
	const struct doc *list, struct str failure, struct hpa_result *ret)
{
	struct look l = {q, m, ns, list, failure, ret};
	*ret = (struct hpa_result){.why = STR("")};
	q->resource = q->container = STR("");
	q->samples = (struct hpa_samples){0};
	if (m->resource || m->container_resource)
		by_resource(&l);
	else if (m->pods)
		by_pods(&l);
	else if (m->object)
		by_object(&l);
	else if (m->external)
		by_external(&l);
	else
		failed(&l, "InvalidMetricSourceType",
			arena_fmt(q->a, "unknown metric source type \"" STR_FMT "\"",
				STR_ARG(m->type)),
			STR(""));
}
