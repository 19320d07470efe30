/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * checks_batch: Jobs and CronJobs.
 * Source: k8s.io/kubernetes pkg/apis/batch/validation, pkg/registry/batch/job (what a status may become). */
#include "orchestrator/schema/checks_int.h"
#include "orchestrator/schema/cron.h"

#define INDEXED_MAX 100000 /* pods at a time, failed indexes */
#define MANY_COMPLETIONS 100000
#define MANY_LIMIT 10000
#define RULES_MAX 20

static bool
is_indexed(const struct doc *spec)
{
	return is(spec, "completionMode", "Indexed");
}

/* ---- failures ---- */

static void
check_exit_codes(const struct schema_spot *s, const struct doc *codes,
	const struct names *containers, const char *at)
{
	static const char *const operators[] = {"In", "NotIn", NULL};
	const struct doc *values = get(codes, "values"), *name = get(codes, "containerName");
	struct names seen = names_new(s->errs->a, doc_len(values));
	int64_t last = INT64_MIN;
	bool ordered = true;
	size_t i = 0;

	if (!text(codes, "operator").n)
		REQUIRED("valid values: [\"In\" \"NotIn\"]", "%s.operator", at);
	else if (!one_of(operators, text(codes, "operator")))
		UNSUPPORTED(text(codes, "operator"), operators, "%s.operator", at);
	if (name && names_find(containers, doc_as_str(name)) == NULL)
		INVALID(doc_as_str(name),
			"must be one of the container or initContainer names in the pod template",
			"%s.containerName", at);
	if (doc_is_empty(values))
		INVALID_DOC(values ? values : doc_list(s->errs->a),
			"at least one value is required", "%s.values", at);
	else if (doc_len(values) > 255)
		schema_err_too_many(s->errs, AT("%s.values", at), doc_len(values), 255);
	DOC_EACH (v, values) {
		int64_t n = doc_as_int(v, 0);
		struct str key = arena_fmt(s->errs->a, "%lld", (long long)n);

		if (n == 0 && is(codes, "operator", "In"))
			INVALID_INT(
				n, "must not be 0 for the In operator", "%s.values[%zu]", at, i);
		if (!names_add(&seen, key, v))
			schema_error_add(s->errs, SCHEMA_CAUSE_DUPLICATE,
				AT("%s.values[%zu]", at, i), v, STR(""));
		ordered &= last <= n;
		last = n;
		i++;
	}
	if (!ordered)
		INVALID_DOC(values, "must be ordered", "%s.values", at);
}

static void
check_patterns(const struct schema_spot *s, const struct doc *list, const char *at)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};
	size_t i = 0;

	if (doc_len(list) > RULES_MAX)
		schema_err_too_many(s->errs, AT("%s", at), doc_len(list), RULES_MAX);
	DOC_EACH (c, list) {
		FORMAT(FORMAT_QUALIFIED_NAME, text(c, "type"), "%s[%zu].type", at, i);
		if (!one_of(statuses, text(c, "status")))
			UNSUPPORTED(text(c, "status"), statuses, "%s[%zu].status", at, i);
		i++;
	}
}

static void
check_failure_policy(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
	const struct doc *rules = get(get(spec, "podFailurePolicy"), "rules");
	const struct doc *pod = get(get(spec, "template"), "spec");
	struct names containers = names_new(
		s->errs->a, doc_len(get(pod, "containers")) + doc_len(get(pod, "initContainers")));
	size_t i = 0;

	DOC_EACH (c, get(pod, "containers"))
		names_add(&containers, text(c, "name"), c);
	DOC_EACH (c, get(pod, "initContainers"))
		names_add(&containers, text(c, "name"), c);
	if (doc_len(rules) > RULES_MAX)
		schema_err_too_many(
			s->errs, AT("podFailurePolicy.rules"), doc_len(rules), RULES_MAX);
	DOC_EACH (r, rules) {
		const char *at = arena_fmt(s->errs->a, "podFailurePolicy.rules[%zu]", i++).p;
		const struct doc *codes = get(r, "onExitCodes"), *conds = get(r, "onPodConditions");
		struct str action = text(r, "action");

		if (action.n == 0)
			REQUIRED("valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
				"%s.action", at);
		else if (!one_of(actions, action))
			UNSUPPORTED(action, actions, "%s.action", at);
		else if (str_eq_c(action, "FailIndex") && !get(spec, "backoffLimitPerIndex"))
			INVALID(action, "requires the backoffLimitPerIndex to be set", "%s.action",
				at);
		if (codes)
			check_exit_codes(s, codes, &containers,
				arena_fmt(s->errs->a, "%s.onExitCodes", at).p);
		check_patterns(s, conds, arena_fmt(s->errs->a, "%s.onPodConditions", at).p);
		if (codes && doc_len(conds))
			INVALID_DOC(NULL,
				"specifying both OnExitCodes and OnPodConditions is not supported",
				"%s", at);
		else if (!codes && !doc_len(conds))
			INVALID_DOC(NULL,
				"specifying one of OnExitCodes and OnPodConditions is required",
				"%s", at);
	}
}

/* ---- success ---- */

/* count_indexes: "1,3-5" of indexes below `end`: how many; < 0: not such a list, *why says what is wrong. */
static int64_t
count_indexes(struct arena *a, struct str s, int64_t end, struct str *why)
{
	struct str part = STR_NONE;
	int64_t n = 0, last = -1;

	while (str_next(&s, ',', &part)) {
		struct str from_text = part, to_text = STR_NONE;
		int64_t from = 0, to = 0;
		bool range = str_cut(part, '-', &from_text, &to_text);

		if (str_to_i64(from_text, &from) != 0 || (range && str_to_i64(to_text, &to) != 0)) {
			*why = arena_fmt(a,
				"cannot convert string to integer for index: \"" STR_FMT "\"",
				STR_ARG(from_text));
			return -1;
		}
		if (!range)
			to = from;
		if (from >= end || to >= end) {
			*why = arena_fmt(a, "too large index: \"%lld\"",
				(long long)(from >= end ? from : to));
			return -1;
		}
		if (from <= last || to < from) {
			*why = arena_fmt(a, "non-increasing order, previous: %lld, current: %lld",
				(long long)last, (long long)from);
			return -1;
		}
		n += to - from + 1;
		last = to;
	}
	return n;
}

static void
check_success_rule(
	const struct schema_spot *s, const struct doc *r, int64_t completions, const char *at)
{
	const struct doc *count = get(r, "succeededCount"), *indexes = get(r, "succeededIndexes");
	int64_t most = completions, n = doc_as_int(count, 0);
	struct str why = STR_NONE;

	if (!count && !indexes)
		REQUIRED("at least one of succeededCount or succeededIndexes must be specified",
			"%s", at);
	if (indexes) {
		struct str list = doc_as_str(indexes);

		if (list.n > 65536)
			schema_err_too_long(s->errs, AT("%s.succeededIndexes", at), 65536);
		most = count_indexes(s->errs->a, list, completions, &why);
		if (most < 0)
			INVALID(list,
				arena_fmt(s->errs->a, "error parsing succeededIndexes: " STR_FMT,
					STR_ARG(why))
					.p,
				"%s.succeededIndexes", at);
	}
	if (!count)
		return;
	if (n < 0)
		INVALID_INT(n, format_text_not_negative, "%s.succeededCount", at);
	if (n > completions)
		schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("%s.succeededCount", at), count,
			"must be less than or equal to %lld (the number of specified completions)",
			(long long)completions);
	if (indexes && most >= 0 && n > most)
		schema_error_fmt(s->errs, SCHEMA_CAUSE_INVALID, AT("%s.succeededCount", at), count,
			"must be less than or equal to %lld (the number of indexes in the specified "
			"succeededIndexes field)",
			(long long)most);
}

static void
check_success_policy(const struct schema_spot *s, const struct doc *spec)
{
	const struct doc *policy = get(spec, "successPolicy"), *rules = get(policy, "rules");
	size_t i = 0;

	if (policy == NULL)
		return;
	if (!is_indexed(spec)) {
		INVALID_DOC(policy, "requires indexed completion mode", "successPolicy");
		return;
	}
	if (doc_is_empty(rules))
		REQUIRED("at least one rules must be specified when the successPolicy is specified",
			"successPolicy.rules");
	if (doc_len(rules) > RULES_MAX)
		schema_err_too_many(s->errs, AT("successPolicy.rules"), doc_len(rules), RULES_MAX);
	DOC_EACH (r, rules)
		check_success_rule(s, r, number(spec, "completions"),
			arena_fmt(s->errs->a, "successPolicy.rules[%zu]", i++).p);
}

/* ---- Jobs ---- */

static void
check_indexed(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const only[] = {"backoffLimitPerIndex", "maxFailedIndexes", NULL};
	const struct doc *failed = get(spec, "maxFailedIndexes");
	int64_t completions = number(spec, "completions"), at_a_time = number(spec, "parallelism");
	int64_t most = doc_as_int(failed, 0);
	bool many = completions > MANY_COMPLETIONS && get(spec, "backoffLimitPerIndex");

	if (!is_indexed(spec)) {
		for (const char *const *o = only; *o; o++)
			if (get(spec, *o))
				INVALID_DOC(get(spec, *o), "requires indexed completion mode", "%s",
					*o);
		return;
	}
	if (!get(spec, "completions"))
		REQUIRED("when completion mode is Indexed", "completions");
	if (at_a_time > INDEXED_MAX)
		INVALID_INT(at_a_time,
			"must be less than or equal to 100000 when completion mode is Indexed",
			"parallelism");
	if (failed && get(spec, "completions") && most > completions)
		INVALID_DOC(
			failed, "must be less than or equal to completions", "maxFailedIndexes");
	if (most > INDEXED_MAX)
		INVALID_DOC(failed, "must be less than or equal to 100000", "maxFailedIndexes");
	if (!many)
		return;
	if (!failed)
		REQUIRED("must be specified when completions is above 100000", "maxFailedIndexes");
	if (at_a_time > MANY_LIMIT)
		INVALID_INT(at_a_time,
			"must be less than or equal to 10000 when completions are above 100000 and used "
			"with backoff limit per index",
			"parallelism");
	if (most > MANY_LIMIT)
		INVALID_DOC(failed,
			"must be less than or equal to 10000 when completions are above 100000 and used "
			"with backoff limit per index",
			"maxFailedIndexes");
}

/* path_ok: "example.com/path": a domain, and something behind the slash. */
static void
check_managed_by(const struct schema_spot *s, struct str name)
{
	struct str domain = STR_NONE, path = STR_NONE;

	if (name.n > 63)
		schema_err_too_long(s->errs, AT("managedBy"), 63);
	if (!str_cut(name, '/', &domain, &path) || path.n == 0) {
		INVALID(name, "must be a domain-prefixed path (such as \"acme.io/foo\")",
			"managedBy");
		return;
	}
	FORMAT(FORMAT_DNS_SUBDOMAIN, domain, "managedBy");
}

static void
check_restart(const struct schema_spot *s, const struct doc *spec)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	struct str policy = text(get(get(spec, "template"), "spec"), "restartPolicy");

	if (policy.n == 0 || str_eq_c(policy, "Always"))
		REQUIRED("valid values: \"OnFailure\", \"Never\"", "template.spec.restartPolicy");
	else if (!one_of(policies, policy))
		UNSUPPORTED(policy, policies, "template.spec.restartPolicy");
	else if (get(spec, "podFailurePolicy") && !str_eq_c(policy, "Never"))
		INVALID(policy, "only \"Never\" is supported when podFailurePolicy is specified",
			"template.spec.restartPolicy");
}

CHECK(batch_v1_job_spec)
{
	static const char *const counts[] = {"parallelism", "completions", "activeDeadlineSeconds",
		"backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
		"maxFailedIndexes", NULL};
	static const char *const replacements[] = {"Failed", "TerminatingOrFailed", NULL};
	static const char *const fixed[] = {"selector", "completionMode", "podFailurePolicy",
		"backoffLimitPerIndex", "managedBy", "successPolicy", NULL};
	static const char *const failed_only[] = {"Failed", NULL};
	static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
	const char *const *known = replacements;

	check_not_negative(s, d, counts);
	if (get(d, "completionMode") && !one_of(modes, text(d, "completionMode")))
		UNSUPPORTED(text(d, "completionMode"), modes, "completionMode");
	if (get(d, "maxFailedIndexes") && !get(d, "backoffLimitPerIndex"))
		REQUIRED("when maxFailedIndexes is specified", "backoffLimitPerIndex");
	if (get(d, "managedBy"))
		check_managed_by(s, text(d, "managedBy"));
	check_indexed(s, d);
	check_failure_policy(s, d);
	check_success_policy(s, d);
	if (get(d, "podFailurePolicy"))
		known = failed_only;
	if (get(d, "podReplacementPolicy") && !one_of(known, text(d, "podReplacementPolicy")))
		UNSUPPORTED(text(d, "podReplacementPolicy"), known, "podReplacementPolicy");
	check_restart(s, d);
	for (const char *const *f = fixed; *f; f++)
		check_immutable_member(s, d, old, *f);
}

#define UID_LABEL "batch.kubernetes.io/controller-uid"
#define NAME_LABEL "batch.kubernetes.io/job-name"

static void
check_label(const struct schema_spot *s, const struct doc *labels, const char *key, struct str want)
{
	const struct doc *have = get(labels, key);

	if (have == NULL)
		REQUIRED(arena_fmt(s->errs->a, "must be '" STR_FMT "'", STR_ARG(want)).p,
			"spec.template.metadata.labels[%s]", key);
	else if (!str_eq(doc_as_str(have), want))
		INVALID_DOC(labels, arena_fmt(s->errs->a, "must be '" STR_FMT "'", STR_ARG(want)).p,
			"spec.template.metadata.labels[%s]", key);
}

/* check_generated: labels and selector are the ones the server makes. */
static void
check_generated(const struct schema_spot *s, const struct doc *d, const struct doc *spec)
{
	const struct doc *labels = get(get(get(spec, "template"), "metadata"), "labels");
	struct str uid = text(get(d, "metadata"), "uid"), name = text(get(d, "metadata"), "name");
	struct doc *want = doc_map(s->errs->a);
	struct selector sel;

	check_label(s, labels, "controller-uid", uid);
	check_label(s, labels, "job-name", name);
	check_label(s, labels, UID_LABEL, uid);
	check_label(s, labels, NAME_LABEL, name);
	if (want == NULL)
		return;
	doc_set_str(s->errs->a, want, STR("controller-uid"), uid);
	doc_set_str(s->errs->a, want, STR("job-name"), name);
	doc_set_str(s->errs->a, want, STR(UID_LABEL), uid);
	doc_set_str(s->errs->a, want, STR(NAME_LABEL), name);
	if (selector_from_doc(s->errs->a, get(spec, "selector"), &sel) == 0 &&
		!selector_match_doc(&sel, want))
		INVALID_DOC(
			get(spec, "selector"), "`selector` not auto-generated", "spec.selector");
}

CHECK(batch_v1_job)
{
	const struct doc *spec = get(d, "spec"), *was = get(old, "spec"),
			 *sel = get(spec, "selector");
	const struct doc *labels = get(get(get(spec, "template"), "metadata"), "labels");
	const struct doc *completions = get(spec, "completions");
	struct str name = text(get(d, "metadata"), "name");
	struct selector parsed;

	if (sel == NULL)
		REQUIRED(NULL, "spec.selector");
	else if (old == NULL && !flag(spec, "manualSelector"))
		check_generated(s, d, spec);
	if (sel && selector_from_doc(s->errs->a, sel, &parsed) == 0 &&
		!selector_match_doc(&parsed, labels))
		INVALID_DOC(labels ? labels : doc_map(s->errs->a),
			"`selector` does not match template `labels`",
			"spec.template.metadata.labels");
	if (is_indexed(spec) && doc_as_int(completions, 0) > 0) {
		struct str host = arena_fmt(s->errs->a, STR_FMT "-%lld", STR_ARG(name),
			(long long)doc_as_int(completions, 1) - 1);

		if (format_check(s->errs->a, FORMAT_DNS_LABEL, host))
			INVALID(name,
				arena_fmt(s->errs->a,
					"will not able to create pod with invalid DNS label: " STR_FMT,
					STR_ARG(host))
					.p,
				"metadata.name");
	}
	if (was == NULL || !differs(completions, get(was, "completions")))
		return;
	if (!is_indexed(spec))
		INVALID_DOC(completions ? completions : doc_null(s->errs->a), format_text_immutable,
			"spec.completions");
	else if (completions && !doc_equal(completions, get(spec, "parallelism")))
		INVALID_DOC(completions, "can only be modified in tandem with spec.parallelism",
			"spec.completions");
}

/* ---- what a Job has come to ---- */

static bool
has_condition(const struct doc *st, const char *type)
{
	DOC_EACH (c, get(st, "conditions"))
		if (is(c, "type", type) && is(c, "status", "True"))
			return true;
	return false;
}

/* What may not be true together, or not without. */
static const struct {
	const char *type, *other;
	bool with; /* the fault is: with the other; else: without it */
	const char *text;
} condition_rules[] = {
	{"Complete", "Failed", true, "cannot set Complete=True and Failed=true conditions"},
	{"Complete", "FailureTarget", true,
		"cannot set Complete=True and FailureTarget=true conditions"},
	{"Failed", "FailureTarget", false,
		"cannot set Failed=True condition without the FailureTarget=true condition"},
	{"Complete", "SuccessCriteriaMet", false,
		"cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
	{"SuccessCriteriaMet", "Failed", true,
		"cannot set SuccessCriteriaMet=True and Failed=true conditions"},
	{"SuccessCriteriaMet", "FailureTarget", true,
		"cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
};
static const char *const lasting[] = {
	"Failed", "Complete", "FailureTarget", "SuccessCriteriaMet", NULL};

static void
check_job_conditions(const struct schema_spot *s, const struct doc *d, const struct doc *old)
{
	for (size_t i = 0; i < ARRAY_LEN(condition_rules); i++)
		if (has_condition(d, condition_rules[i].type) &&
			has_condition(d, condition_rules[i].other) == condition_rules[i].with)
			INVALID_DOC(NULL, condition_rules[i].text, "conditions");
	for (const char *const *l = lasting; *l; l++)
		if (has_condition(old, *l) && !has_condition(d, *l))
			INVALID_DOC(NULL,
				arena_fmt(s->errs->a, "cannot disable the %s%s=True condition",
					l == &lasting[3] ? "" : "terminal ", *l)
					.p,
				"conditions");
}

static void
check_uncounted(const struct schema_spot *s, const struct doc *pods)
{
	static const char *const lists[] = {"succeeded", "failed", NULL};
	struct names seen = names_new(
		s->errs->a, doc_len(get(pods, lists[0])) + doc_len(get(pods, lists[1])));

	for (const char *const *l = lists; *l; l++) {
		size_t i = 0;

		DOC_EACH (p, get(pods, *l)) {
			if (doc_as_str(p).n == 0)
				INVALID(doc_as_str(p), "must not be empty",
					"uncountedTerminatedPods.%s[%zu]", *l, i);
			else if (!names_add(&seen, doc_as_str(p), p))
				DUPLICATE(doc_as_str(p), "uncountedTerminatedPods.%s[%zu]", *l, i);
			i++;
		}
	}
}

static void
check_finished(const struct schema_spot *s, const struct doc *d)
{
	const struct doc *pods = get(d, "uncountedTerminatedPods");

	if (!has_condition(d, "Complete") && !has_condition(d, "Failed"))
		return;
	if (number(d, "active") > 0)
		INVALID_INT(number(d, "active"), "active>0 is invalid for finished job", "active");
	if (number(d, "terminating") > 0)
		INVALID_INT(number(d, "terminating"), "terminating>0 is invalid for finished job",
			"terminating");
	if (!get(d, "startTime"))
		REQUIRED("startTime is required for finished job", "startTime");
	if (doc_len(get(pods, "succeeded")) + doc_len(get(pods, "failed")))
		INVALID_DOC(pods, "must be empty for finished job", "uncountedTerminatedPods");
}

CHECK(batch_v1_job_status)
{
	static const char *const counters[] = {
		"active", "succeeded", "failed", "ready", "terminating", NULL};
	static const char *const rising[] = {"failed", "succeeded", NULL};
	const struct doc *end = get(d, "completionTime"), *ended = get(old, "completionTime");
	bool complete = has_condition(d, "Complete");

	if (old == NULL || doc_equal(d, old))
		return; /* what stands there already is not judged again */
	check_not_negative(s, d, counters);
	check_uncounted(s, get(d, "uncountedTerminatedPods"));
	check_job_conditions(s, d, old);
	check_finished(s, d);
	if (end && !complete)
		INVALID_DOC(end,
			"cannot set completionTime when there is no Complete=True condition",
			"completionTime");
	if (!end && complete)
		REQUIRED("completionTime is required for Complete jobs", "completionTime");
	/* Times are in one form: their texts compare as they do. */
	if (end && get(d, "startTime") && str_cmp(doc_as_str(end), text(d, "startTime")) < 0)
		INVALID_DOC(end, "must be equal to or after `startTime`", "completionTime");
	if (end && ended && !doc_equal(end, ended))
		INVALID_DOC(end, format_text_immutable, "completionTime");
	for (const char *const *r = rising; *r; r++)
		if (number(d, *r) < number(old, *r))
			INVALID_INT(number(d, *r),
				arena_fmt(s->errs->a, "cannot decrease the %s counter", *r).p, "%s",
				*r);
}

/* ---- CronJobs ---- */

static bool
zone_ok(struct str zone)
{
	struct str part = STR_NONE;

	while (str_next(&zone, '/', &part)) {
		if (part.n == 0 || part.n > 14 || part.p[0] == '-' || str_eq_c(part, ".") ||
			str_eq_c(part, ".."))
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];

			if (!(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z') &&
				strchr(".-_+", c) == NULL)
				return false;
		}
	}
	return true;
}

CHECK(batch_v1_cron_job_spec)
{
	struct str schedule = text(d, "schedule"), zone = text(d, "timeZone");
	bool zoned = str_find(schedule, STR("TZ")) >= 0;
	bool was_zoned = str_find(text(old, "schedule"), STR("TZ")) >= 0;
	const char *why = NULL;
	struct cron parsed;

	if (schedule.n && !zoned)
		why = cron_parse(s->errs->a, schedule, &parsed);
	if (why)
		INVALID(schedule, why, "schedule");
	if (zoned && !was_zoned)
		INVALID(schedule,
			"cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
			"schedule");
	else if (zoned && get(d, "timeZone"))
		INVALID(schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule",
			"schedule");
	if (get(d, "timeZone") == NULL || doc_equal(get(d, "timeZone"), get(old, "timeZone")))
		return;
	if (zone.n == 0)
		INVALID(zone, "timeZone must be nil or non-empty string", "timeZone");
	else if (!zone_ok(zone))
		INVALID(zone, arena_fmt(s->errs->a, "unknown time zone " STR_FMT, STR_ARG(zone)).p,
			"timeZone");
	else if (str_eq_nocase(zone, STR("local")))
		INVALID(zone,
			"timeZone must be an explicit time zone as defined in "
			"https://www.iana.org/time-zones",
			"timeZone");
}

CHECK(batch_v1_cron_job)
{
	struct str name = text(get(d, "metadata"), "name");

	if (old == NULL && name.n > 52)
		INVALID(name, "must be no more than 52 characters", "metadata.name");
}

CHECK(batch_v1_job_template_spec)
{
	static const char *const unset[] = {"nil", "false", NULL};
	const struct doc *spec = get(d, "spec");

	(void)old;
	if (flag(spec, "manualSelector"))
		schema_error_fmt(s->errs, SCHEMA_CAUSE_NOT_SUPPORTED, AT("spec.manualSelector"),
			get(spec, "manualSelector"), "supported values: \"%s\", \"%s\"", unset[0],
			unset[1]);
	if (get(spec, "selector"))
		INVALID_DOC(get(spec, "selector"), "`selector` will be auto-generated",
			"spec.selector");
}
