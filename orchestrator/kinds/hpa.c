/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * hpa: HorizontalPodAutoscalers as autoscaling/v1 shows them: stored are those of v2; what v1 has no member for is text in
 * annotations, in v1's own forms, and comes back from there. Wrong text in an annotation is passed over.
 * Source: pkg/apis/autoscaling/v1 (conversion.go, defaults.go). */
#include "orchestrator/kinds/kinds_int.h"

#define NOTE(name) STR_INIT("autoscaling.alpha.kubernetes.io/" name)

enum {
	NOTE_METRICS,
	NOTE_BEHAVIOR,
	NOTE_CURRENT,
	NOTE_CONDITIONS,
	NOTE_DOWN,
	NOTE_UP,
	NOTE__COUNT
};
static const struct str notes[NOTE__COUNT] = {
	[NOTE_METRICS] = NOTE("metrics"),
	[NOTE_BEHAVIOR] = NOTE("behavior"),
	[NOTE_CURRENT] = NOTE("current-metrics"),
	[NOTE_CONDITIONS] = NOTE("conditions"),
	[NOTE_DOWN] = NOTE("scale-down-tolerance"),
	[NOTE_UP] = NOTE("scale-up-tolerance"),
};

/* A member of a metric in both versions, in the order of v1. */
enum { ALWAYS = 1 }; /* an amount that v1 shows as "0" where there is none, and v2 has as such */
struct metric_member {
	const char *old, *path,
		*name; /* v1's; the member of v2 it stands in ("" = none); its name there */
	int always;
};
struct metric_form {
	const char *type, *member; /* "Resource", "resource" */
	struct metric_member v[6];
};

static const struct metric_form spec_forms[] = {
	{"Object", "object",
		{{"target", "", "describedObject", 0}, {"metricName", "metric", "name", 0},
			{"targetValue", "target", "value", ALWAYS},
			{"selector", "metric", "selector", 0},
			{"averageValue", "target", "averageValue", 0}}},
	{"Pods", "pods",
		{{"metricName", "metric", "name", 0},
			{"targetAverageValue", "target", "averageValue", ALWAYS},
			{"selector", "metric", "selector", 0}}},
	{"Resource", "resource",
		{{"name", "", "name", 0},
			{"targetAverageUtilization", "target", "averageUtilization", 0},
			{"targetAverageValue", "target", "averageValue", 0}}},
	{"ContainerResource", "containerResource",
		{{"name", "", "name", 0},
			{"targetAverageUtilization", "target", "averageUtilization", 0},
			{"targetAverageValue", "target", "averageValue", 0},
			{"container", "", "container", 0}}},
	{"External", "external",
		{{"metricName", "metric", "name", 0}, {"metricSelector", "metric", "selector", 0},
			{"targetValue", "target", "value", 0},
			{"targetAverageValue", "target", "averageValue", 0}}},
};

static const struct metric_form status_forms[] = {
	{"Object", "object",
		{{"target", "", "describedObject", 0}, {"metricName", "metric", "name", 0},
			{"currentValue", "current", "value", ALWAYS},
			{"selector", "metric", "selector", 0},
			{"averageValue", "current", "averageValue", 0}}},
	{"Pods", "pods",
		{{"metricName", "metric", "name", 0},
			{"currentAverageValue", "current", "averageValue", ALWAYS},
			{"selector", "metric", "selector", 0}}},
	{"Resource", "resource",
		{{"name", "", "name", 0},
			{"currentAverageUtilization", "current", "averageUtilization", 0},
			{"currentAverageValue", "current", "averageValue", ALWAYS}}},
	{"ContainerResource", "containerResource",
		{{"name", "", "name", 0},
			{"currentAverageUtilization", "current", "averageUtilization", 0},
			{"currentAverageValue", "current", "averageValue", ALWAYS},
			{"container", "", "container", 0}}},
	{"External", "external",
		{{"metricName", "metric", "name", 0}, {"metricSelector", "metric", "selector", 0},
			{"currentValue", "current", "value", ALWAYS},
			{"currentAverageValue", "current", "averageValue", 0}}},
};
_Static_assert(ARRAY_LEN(spec_forms) == ARRAY_LEN(status_forms), "one form for each type");

static void
copy_to(struct arena *a, struct doc *to, const char *name, const struct doc *v)
{
	if (v && v->type != DOC_NULL)
		doc_set(to, str_c(name), doc_copy(a, v));
}

static struct doc *
map_of(const struct doc *d, const char *name)
{
	struct doc *m = doc_get(d, str_c(name));
	return m && m->type == DOC_MAP ? m : NULL;
}

/* ---- one metric ---- */

static struct doc *
metric_to_old(struct arena *a, const struct metric_form *forms, const struct doc *m)
{
	struct doc *out = doc_map(a);
	doc_set_str(a, out, S("type"), doc_get_str(m, S("type")));
	for (size_t i = 0; i < ARRAY_LEN(spec_forms); i++) {
		const struct metric_form *f = &forms[i];
		const struct doc *from = map_of(m, f->member);
		struct doc *to = from ? doc_map(a) : NULL;
		for (size_t k = 0; to && k < ARRAY_LEN(f->v) && f->v[k].old; k++) {
			const struct metric_member *x = &f->v[k];
			const struct doc *in = x->path[0] ? map_of(from, x->path) : from;
			copy_to(a, to, x->old, doc_get(in, str_c(x->name)));
			if (x->always && !doc_get(to, str_c(x->old)))
				doc_set_str(a, to, str_c(x->old), S("0"));
		}
		if (to)
			doc_set(out, str_c(f->member), to);
	}
	return out;
}

/* target_type: v1 does not say of what type a target is: its members do. */
static void
target_type(struct arena *a, const struct metric_form *f, struct doc *target)
{
	const struct doc *average = doc_get(target, S("averageValue"));
	const struct doc *value = doc_get(target, S("value"));
	const char *type = "AverageValue";
	bool object = str_eq_c(S("Object"), f->type);
	if (object && !average)
		type = "Value";
	else if (object && value && quantity_value_of(doc_as_str(value), 0) == 0)
		doc_set(target, S("value"), NULL);
	else if (!object && str_eq_c(S("External"), f->type) && value)
		type = "Value";
	else if (doc_get(target, S("averageUtilization")))
		type = "Utilization";
	doc_set_str(a, target, S("type"), str_c(type));
}

static struct doc *
metric_to_new(struct arena *a, const struct metric_form *forms, const struct doc *m)
{
	struct doc *out = doc_map(a);
	doc_set_str(a, out, S("type"), doc_get_str(m, S("type")));
	for (size_t i = 0; i < ARRAY_LEN(spec_forms); i++) {
		const struct metric_form *f = &forms[i];
		const struct doc *from = map_of(m, f->member);
		struct doc *to = from ? doc_map(a) : NULL;
		for (size_t k = 0; to && k < ARRAY_LEN(f->v) && f->v[k].old; k++) {
			const struct metric_member *x = &f->v[k];
			struct doc *in = x->path[0] ? doc_ensure_map(a, to, str_c(x->path)) : to;
			copy_to(a, in, x->name, doc_get(from, str_c(x->old)));
			if (in && x->always && !doc_get(in, str_c(x->name)))
				doc_set_str(a, in, str_c(x->name), S("0"));
		}
		struct doc *target = to ? map_of(to, "target") : NULL;
		if (target)
			target_type(a, f, target);
		if (to)
			doc_set(out, str_c(f->member), to);
	}
	return out;
}

/* ---- annotations ---- */

/* note_put: as Go writes JSON: what HTML would take for its own is escaped. */
static void
note_put(struct arena *a, struct doc *meta, int note, const struct doc *v)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	struct buf out;
	buf_init_arena(&out, a);
	doc_write_json(&raw, v);
	struct str text = buf_view(&raw);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '<' || text.p[i] == '>' || text.p[i] == '&')
			buf_fmt(&out, "\\u%04x", (unsigned)text.p[i]);
		else
			buf_char(&out, text.p[i]);
	}
	struct doc *list = raw.failed || out.failed ? NULL
						    : doc_ensure_map(a, meta, S("annotations"));
	if (list)
		doc_set_str(a, list, notes[note], buf_view(&out));
}

static struct doc *
note_get(struct arena *a, const struct doc *meta, int note, enum doc_type type)
{
	struct doc *d = NULL;
	struct str text = doc_get_str(doc_get(meta, S("annotations")), notes[note]);
	if (!str_is_set(text) || doc_parse_json(a, text, NULL, &d, NULL) < 0 || d->type != type)
		return NULL;
	DOC_EACH (x, type == DOC_LIST ? d : NULL)
		if (x->type != DOC_MAP)
			return NULL;
	return d;
}

static void
notes_drop(struct doc *meta)
{
	struct doc *list = doc_get(meta, S("annotations"));
	bool some = false;
	for (size_t i = 0; i < NOTE__COUNT; i++) {
		some = some || doc_get(list, notes[i]);
		doc_set(list, notes[i], NULL);
	}
	if (some && doc_len(list) == 0)
		doc_set(meta, S("annotations"), NULL);
}

/* Members of a behavior as they stand in the annotation: Go's names, nulls included. */
static const struct {
	const char *name, *go;
	bool nullable;
} rule_members[] = {{"stabilizationWindowSeconds", "StabilizationWindowSeconds", true},
	{"selectPolicy", "SelectPolicy", true}, {"policies", "Policies", true},
	{"tolerance", "Tolerance", true}},
  policy_members[] = {{"type", "Type", false}, {"value", "Value", false},
	  {"periodSeconds", "PeriodSeconds", false}};

static struct doc *
policies_renamed(struct arena *a, const struct doc *list, bool to_go)
{
	struct doc *out = doc_list(a);
	DOC_EACH (p, list) {
		struct doc *x = doc_map(a);
		for (size_t i = 0; i < ARRAY_LEN(policy_members); i++) {
			const char *from = to_go ? policy_members[i].name : policy_members[i].go;
			copy_to(a, x, to_go ? policy_members[i].go : policy_members[i].name,
				doc_get(p, str_c(from)));
		}
		doc_append(out, x);
	}
	return out;
}

static struct doc *
rules_renamed(struct arena *a, const struct doc *rules, bool to_go)
{
	struct doc *out = doc_map(a);
	if (!rules || rules->type != DOC_MAP)
		return to_go ? doc_null(a) : NULL;
	for (size_t i = 0; i < ARRAY_LEN(rule_members); i++) {
		struct str from = str_c(to_go ? rule_members[i].name : rule_members[i].go);
		struct str to = str_c(to_go ? rule_members[i].go : rule_members[i].name);
		const struct doc *v = doc_get(rules, from);
		if (v && v->type == DOC_LIST)
			doc_set(out, to, policies_renamed(a, v, to_go));
		else if (v && v->type != DOC_NULL)
			doc_set(out, to, doc_copy(a, v));
		else if (to_go)
			doc_set(out, to, doc_null(a));
	}
	return out;
}

static struct doc *
behavior_renamed(struct arena *a, const struct doc *b, bool to_go)
{
	static const struct str plain[] = {STR_INIT("scaleUp"), STR_INIT("scaleDown")},
				go[] = {STR_INIT("ScaleUp"), STR_INIT("ScaleDown")};
	struct doc *out = doc_map(a);
	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		struct doc *x = rules_renamed(a, doc_get(b, to_go ? plain[i] : go[i]), to_go);
		if (x)
			doc_set(out, to_go ? go[i] : plain[i], x);
	}
	return out;
}

/* ---- the object ---- */

static bool
is_cpu(const struct doc *m)
{
	return str_eq_c(doc_get_str(m, S("type")), "Resource") &&
		str_eq_c(doc_get_str(doc_get(m, S("resource")), S("name")), "cpu");
}

/* cpu_share: the member a metric about shares of cpu has; NULL = it is not one. part: target or current. */
static const struct doc *
cpu_share(const struct doc *m, const char *part)
{
	const struct doc *in = is_cpu(m) ? map_of(doc_get(m, S("resource")), part) : NULL;
	return doc_get(in, S("averageUtilization"));
}

static struct doc *
cpu_metric(struct arena *a, const char *part, const struct doc *share)
{
	struct doc *m = doc_map(a), *r = doc_map(a), *t = doc_map(a);
	doc_set_str(a, m, S("type"), S("Resource"));
	doc_set_str(a, r, S("name"), S("cpu"));
	if (str_eq_c(S("target"), part))
		doc_set_str(a, t, S("type"), S("Utilization"));
	doc_set(t, S("averageUtilization"), share ? doc_copy(a, share) : doc_int(a, 80));
	doc_set(r, str_c(part), t);
	doc_set(m, S("resource"), r);
	return m;
}

static void
copy_members(struct arena *a, struct doc *to, const struct doc *from, const char *const *names)
{
	for (; *names; names++)
		copy_to(a, to, *names, doc_get(from, str_c(*names)));
}

static const char *const spec_members[] = {"scaleTargetRef", "minReplicas", "maxReplicas", NULL};
static const char *const status_members[] = {
	"observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas", NULL};

static void
spec_to_old(struct arena *a, struct doc *d, struct doc *meta, const struct doc *spec)
{
	struct doc *out = doc_map(a), *others = doc_list(a);
	const struct doc *share = NULL;
	copy_members(a, out, spec, spec_members);
	DOC_EACH (m, doc_get(spec, S("metrics"))) {
		const struct doc *s = cpu_share(m, "target");
		share = share ? share : s;
		if (!s)
			doc_append(others, metric_to_old(a, spec_forms, m));
	}
	copy_to(a, out, "targetCPUUtilizationPercentage", share);
	if (doc_len(others))
		note_put(a, meta, NOTE_METRICS, others);
	if (map_of(spec, "behavior"))
		note_put(a, meta, NOTE_BEHAVIOR,
			behavior_renamed(a, doc_get(spec, S("behavior")), true));
	doc_set(d, S("spec"), out);
}

static void
status_to_old(struct arena *a, struct doc *d, struct doc *meta, const struct doc *status)
{
	struct doc *out = doc_map(a), *metrics = doc_list(a), *conditions = doc_list(a);
	copy_members(a, out, status, status_members);
	DOC_EACH (m, doc_get(status, S("currentMetrics"))) {
		copy_to(a, out, "currentCPUUtilizationPercentage", cpu_share(m, "current"));
		doc_append(metrics, metric_to_old(a, status_forms, m));
	}
	DOC_EACH (c, doc_get(status, S("conditions"))) {
		static const char *const behind[] = {
			"reason", "message", "observedGeneration", NULL};
		struct doc *x = doc_map(a);
		const struct doc *since = doc_get(c, S("lastTransitionTime"));
		doc_set_str(a, x, S("type"), doc_get_str(c, S("type")));
		doc_set_str(a, x, S("status"), doc_get_str(c, S("status")));
		doc_set(x, S("lastTransitionTime"), since ? doc_copy(a, since) : doc_null(a));
		copy_members(a, x, c, behind);
		doc_append(conditions, x);
	}
	if (doc_len(metrics))
		note_put(a, meta, NOTE_CURRENT, metrics);
	if (doc_len(conditions))
		note_put(a, meta, NOTE_CONDITIONS, conditions);
	doc_set(d, S("status"), out);
}

static void
spec_to_new(struct arena *a, struct doc *d, const struct doc *meta, const struct doc *spec)
{
	struct doc *out = doc_map(a), *metrics = doc_list(a);
	const struct doc *share = doc_get(spec, S("targetCPUUtilizationPercentage"));
	const struct doc *behavior = note_get(a, meta, NOTE_BEHAVIOR, DOC_MAP);
	copy_members(a, out, spec, spec_members);
	DOC_EACH (m, note_get(a, meta, NOTE_METRICS, DOC_LIST))
		doc_append(metrics, metric_to_new(a, spec_forms, m));
	if (share || !doc_len(metrics))
		doc_append(metrics, cpu_metric(a, "target", share));
	doc_set(out, S("metrics"), metrics);
	struct doc *b = behavior ? behavior_renamed(a, behavior, false) : NULL;
	if (doc_len(b))
		doc_set(out, S("behavior"), b);
	doc_set(d, S("spec"), out);
}

static void
status_to_new(struct arena *a, struct doc *d, const struct doc *meta, const struct doc *status)
{
	struct doc *out = doc_map(a), *metrics = doc_list(a);
	const struct doc *share = doc_get(status, S("currentCPUUtilizationPercentage"));
	const struct doc *told = note_get(a, meta, NOTE_CURRENT, DOC_LIST);
	struct doc *conditions = note_get(a, meta, NOTE_CONDITIONS, DOC_LIST);
	copy_members(a, out, status, status_members);
	if (!told && share)
		doc_append(metrics, cpu_metric(a, "current", share));
	DOC_EACH (m, told)
		doc_append(metrics, metric_to_new(a, status_forms, m));
	doc_set(out, S("currentMetrics"), told || share ? metrics : doc_null(a));
	if (doc_len(conditions))
		doc_set(out, S("conditions"), conditions);
	doc_set(d, S("status"), out);
}

/* hpa_between: nothing below d's own members is changed: they may be another tree's too. */
static void
hpa_between(struct arena *a, struct doc *d, bool to_stored)
{
	struct doc *own = doc_get(d, S("metadata"));
	struct doc *meta = own ? doc_copy(a, own) : doc_map(a);
	const struct doc *spec = doc_get(d, S("spec")), *status = doc_get(d, S("status"));
	if (!spec && to_stored)
		spec = doc_map(a);
	if (!to_stored)
		notes_drop(meta);
	if (spec)
		(to_stored ? spec_to_new(a, d, meta, spec) : spec_to_old(a, d, meta, spec));
	if (status)
		(to_stored ? status_to_new(a, d, meta, status) : status_to_old(a, d, meta, status));
	if (to_stored)
		notes_drop(meta);
	doc_set(d, S("metadata"), meta);
}

/* ---- what of the annotations a write may change ---- */

static void
note_keep(struct request *r, struct doc *obj, const struct doc *old, int note)
{
	struct doc *meta = doc_ensure_map(r->a, obj, S("metadata"));
	struct str was = doc_get_str(doc_get(meta_of(old), S("annotations")), notes[note]);
	if (str_is_set(was))
		doc_set_str(r->a, doc_ensure_map(r->a, meta, S("annotations")), notes[note], was);
	else
		doc_set(doc_get(meta, S("annotations")), notes[note], NULL);
}

static bool
is_old(const struct doc *obj)
{
	return str_eq_c(doc_get_str(obj, S("apiVersion")), "autoscaling/v1");
}

static void
hpa_create(struct request *r, struct doc *obj)
{
	for (int i = NOTE_CURRENT; is_old(obj) && i <= NOTE_CONDITIONS; i++)
		note_keep(r, obj, NULL, i);
}

static void
hpa_update(struct request *r, struct doc *obj, const struct doc *old)
{
	for (int i = NOTE_CURRENT; is_old(obj) && i <= NOTE_CONDITIONS; i++)
		note_keep(r, obj, old, i);
}

static void
hpa_status(struct request *r, struct doc *obj, const struct doc *old)
{
	for (int i = NOTE_METRICS; is_old(obj) && i <= NOTE_BEHAVIOR; i++)
		note_keep(r, obj, old, i);
}

const struct kind_ops hpa_ops = {.group = "autoscaling",
	.resource = "horizontalpodautoscalers",
	.between = hpa_between,
	.prepare_create = hpa_create,
	.prepare_update = hpa_update,
	.prepare_status = hpa_status};
