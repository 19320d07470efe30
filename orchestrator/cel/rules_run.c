/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules_run: does an object keep the rules of its schema? Values are walked with what stood in their place; what was
 * wrong before and did not change is let pass. All rules of one object share a budget, and their memory is given back
 * rule by rule. Source: apiextensions-apiserver pkg/apiserver/schema/cel/validation.go; KEP-2876, KEP-4008. */
#include "orchestrator/cel/rules_int.h"

#define SCRATCH (64u << 20)
#define MESSAGE_MAX (5 * 1024)
#define OUT_OF_BUDGET                                                                              \
	"validation failed due to running out of cost budget, no further validation rules will be run"

/* What an update changes: the value beside what stood in its place, where there is such a thing, and the same of the
 * nearest value around it that has it. */
struct change {
	bool known, around;
	const struct doc *now, *was, *now_around, *was_around;
};
struct run {
	struct schema_errors *errs;
	struct arena *scratch;
	uint64_t budget;
	bool stop;
};
struct spot {
	struct str path;
	const struct doc *d, *old;
	struct change change;
};

static bool
unchanged(const struct change *c)
{
	if (c->known)
		return c->was && doc_equal(c->was, c->now);
	return c->around && c->was_around && doc_equal(c->was_around, c->now_around);
}

static struct str
shown(struct str path)
{
	return path.n ? path : STR("<nil>");
}

static struct str
type_of(const struct structural *n)
{
	return doc_get_str(n->source, STR("type"));
}

static struct str
rule_shown(const struct cel_rule *r)
{
	struct str message = doc_get_str(r->source, STR("message"));
	return str_trim(message.n ? message : doc_get_str(r->source, STR("rule")));
}

static void broken(struct run *r, const struct cel_rules *n, const struct spot *at, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
static void
broken(struct run *r, const struct cel_rules *n, const struct spot *at, const char *fmt, ...)
{
	struct str type = type_of(n->node);
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vfmt(r->errs->a, fmt, ap);
	va_end(ap);
	schema_error_add(r->errs, SCHEMA_CAUSE_INVALID, shown(at->path),
		doc_str(r->errs->a, str_is_set(type) ? type : STR("")), text);
}

/* ---- messages ---- */

/* The text that the expression makes; STR_NONE = the rule's own words. r->stop: nothing goes on. */
static struct str
message_of(struct run *r, const struct cel_rule *rule, struct cel_world *w)
{
	struct cel_value v;
	struct err e = {0};
	uint64_t cost = 0;
	struct str source = doc_get_str(rule->source, STR("messageExpression"));
	if (!rule->message)
		return STR_NONE;
	int rc = cel_eval_cost(r->scratch, rule->message, w, &v, &cost, &e);
	if (cost > r->budget) {
		r->stop = true;
		return STR(
			"messageExpression evaluation failed due to running out of cost budget, no further "
			"validation rules will be run");
	}
	if (rc == -EDQUOT) {
		r->stop = true;
		return arena_fmt(r->scratch,
			"no further validation rules will be run due to call cost exceeds limit for "
			"messageExpression: \"%.*s\"",
			STR_ARG(source));
	}
	r->budget -= cost;
	if (rc < 0 || v.kind != CEL_STRING)
		return STR_NONE;
	struct str s = str_trim(v.s);
	return s.n == 0 || s.n > MESSAGE_MAX || str_find_char(s, '\n') >= 0 ? STR_NONE : s;
}

static enum schema_cause
cause_of(const struct cel_rule *rule)
{
	static const struct {
		const char *reason;
		enum schema_cause cause;
	} causes[] = {{"FieldValueForbidden", SCHEMA_CAUSE_FORBIDDEN},
		{"FieldValueRequired", SCHEMA_CAUSE_REQUIRED},
		{"FieldValueDuplicate", SCHEMA_CAUSE_DUPLICATE}};
	struct str reason = doc_get_str(rule->source, STR("reason"));
	for (size_t i = 0; i < ARRAY_LEN(causes); i++)
		if (str_eq_c(reason, causes[i].reason))
			return causes[i].cause;
	return SCHEMA_CAUSE_INVALID;
}

static void
failed(struct run *r, const struct cel_rules *n, const struct cel_rule *rule, const struct spot *at,
	struct cel_world *w)
{
	struct arena *a = r->errs->a;
	struct str type = type_of(n->node), path = at->path;
	struct str field = doc_get_str(rule->source, STR("fieldPath"));
	bool pass = !rule->uses_old && unchanged(&at->change);
	struct str text = message_of(r, rule, w);
	bool plain = str_eq_c(type, "object") || str_eq_c(type, "array");
	field = field.n ? cel_rule_path(a, n->node, field) : STR("");
	if (pass)
		return;
	if (field.n)
		path = field.p[0] == '[' || path.n == 0
			? arena_fmt(a, "%.*s%.*s", STR_ARG(path), STR_ARG(field))
			: schema_path_child(r->errs, path, field);
	if (r->stop) {
		schema_error_add(
			r->errs, SCHEMA_CAUSE_INVALID, shown(path), doc_str(a, type), text);
		return;
	}
	if (!str_is_set(text) && doc_get_str(rule->source, STR("message")).n)
		text = rule_shown(rule);
	else if (!str_is_set(text))
		text = arena_fmt(a, "failed rule: %.*s", STR_ARG(rule_shown(rule)));
	enum schema_cause cause = cause_of(rule);
	schema_error_add(r->errs, cause, shown(path), plain ? NULL : at->d,
		cause == SCHEMA_CAUSE_DUPLICATE ? STR("") : text);
}

/* ---- rules ---- */

static void
run_rule(struct run *r, const struct cel_rules *n, const struct cel_rule *rule,
	const struct spot *at)
{
	struct cel_value slots[2], v;
	struct cel_world w = {.slots = slots};
	struct err e = {0};
	uint64_t cost = 0;
	if (str_is_set(rule->error)) {
		broken(r, n, at, "rule compile error: %.*s", STR_ARG(rule->error));
		return;
	}
	if (!rule->program || (rule->uses_old && !at->old && !rule->optional_old))
		return;
	struct cel_eval ev = {.a = r->scratch};
	slots[0] = cel_of_doc(n->type, at->d);
	slots[1] = at->old ? cel_of_doc(n->type, at->old) : (struct cel_value){.kind = CEL_ERROR};
	if (rule->optional_old)
		slots[1] = at->old ? cel_some(&ev, cel_settle(&ev, slots[1])) : cel_none();
	int rc = cel_eval_cost(r->scratch, rule->program, &w, &v, &cost, &e);
	if (rc == -ENOMEM || rc == -E2BIG) {
		broken(r, n, at, "%s evaluating rule: %.*s", e.msg, STR_ARG(rule_shown(rule)));
		return;
	}
	if (cost > r->budget) {
		broken(r, n, at, OUT_OF_BUDGET);
		r->stop = true;
		return;
	}
	r->budget -= cost;
	if (rc == -EDQUOT) {
		broken(r, n, at,
			"'%s': no further validation rules will be run due to call cost exceeds limit for rule: %.*s",
			e.msg, STR_ARG(rule_shown(rule)));
		r->stop = true;
	} else if (rc < 0 && strncmp(e.msg, "no such overload", 16) == 0) {
		broken(r, n, at,
			"'%s': call arguments did not match a supported operator, function or macro signature for rule: %.*s",
			e.msg, STR_ARG(rule_shown(rule)));
	} else if (rc < 0) {
		broken(r, n, at, "%s evaluating rule: %.*s", e.msg, STR_ARG(rule_shown(rule)));
	} else if (v.kind != CEL_BOOL || !v.b) {
		failed(r, n, rule, at, &w);
	}
}

static void run_node(struct run *r, const struct cel_rules *n, const struct spot *at);

static struct change
change_below(const struct change *c, const struct doc *now, const struct doc *was, bool matched)
{
	struct change out = *c;
	if (!c->known)
		return out;
	out.around = true;
	out.now_around = c->now;
	out.was_around = c->was;
	out.known = matched;
	out.now = now;
	out.was = was;
	return out;
}

static void
run_map(struct run *r, const struct cel_rules *n, const struct spot *at)
{
	DOC_EACH (m, at->d) {
		if (r->stop)
			return;
		const struct cel_rules *child = n->additional;
		bool prop = false;
		for (size_t i = 0; i < n->n_props && !prop; i++)
			if (str_eq(n->props[i].name, m->key)) {
				child = n->props[i].rules;
				prop = true;
			}
		if (!child)
			continue;
		const struct doc *old = doc_get(at->old, m->key),
				 *was = doc_get(at->change.was, m->key);
		struct spot s = {.d = m, .old = old && old->type != DOC_NULL ? old : NULL};
		s.path = prop ? schema_path_child(r->errs, at->path, m->key)
			      : schema_path_key(r->errs, at->path, m->key);
		bool matched = at->change.was && at->change.was->type == DOC_MAP;
		s.change = change_below(&at->change, m, was, matched);
		if (!at->change.around &&
			(str_eq_c(m->key, "apiVersion") || str_eq_c(m->key, "kind")))
			s.change = (struct change){.known = false};
		run_node(r, child, &s);
	}
}

/* The item of the old list with the same keys; NULL = none. */
static const struct doc *
same_item(const struct structural *n, const struct doc *list, const struct doc *item)
{
	if (n->list != STRUCTURAL_LIST_MAP || !list || list->type != DOC_LIST ||
		item->type != DOC_MAP)
		return NULL;
	DOC_EACH (old, list) {
		bool same = old->type == DOC_MAP;
		DOC_EACH (key, n->map_keys) {
			const struct doc *x = doc_get(old, doc_as_str(key)),
					 *y = doc_get(item, doc_as_str(key));
			same = same && (x || y ? x && y && doc_equal(x, y) : true);
		}
		if (same)
			return old;
	}
	return NULL;
}

static void
run_list(struct run *r, const struct cel_rules *n, const struct spot *at)
{
	size_t i = 0;
	DOC_EACH (item, at->d) {
		if (r->stop)
			return;
		const struct doc *was = same_item(n->node, at->change.was, item);
		struct spot s = {.d = item, .old = same_item(n->node, at->old, item)};
		s.path = schema_path_index(r->errs, at->path, i++);
		s.change = change_below(&at->change, item, was, was != NULL);
		run_node(r, n->items, &s);
	}
}

static void
run_node(struct run *r, const struct cel_rules *n, const struct spot *at)
{
	if (!at->d || at->d->type == DOC_NULL || r->stop)
		return;
	if (n->n_rules && r->budget == 0) {
		broken(r, n, at, OUT_OF_BUDGET);
		r->stop = true;
		return;
	}
	for (size_t i = 0; n->type && i < n->n_rules && !r->stop; i++) {
		run_rule(r, n, &n->rules[i], at);
		arena_clear(r->scratch);
	}
	if (at->d->type == DOC_LIST && n->items)
		run_list(r, n, at);
	else if (at->d->type == DOC_MAP)
		run_map(r, n, at);
}

void
cel_rules_validate(
	const void *rules, const struct doc *d, const struct doc *old, struct schema_errors *errs)
{
	struct run r = {
		.errs = errs, .scratch = arena_new(SCRATCH), .budget = CEL_COST_PER_REQUEST};
	struct spot at = {.path = STR(""), .d = d, .old = old};
	at.change = (struct change){.known = old != NULL, .now = d, .was = old};
	if (!r.scratch) {
		schema_error_add(
			errs, SCHEMA_CAUSE_INTERNAL, STR("<nil>"), NULL, STR("out of memory"));
		return;
	}
	run_node(&r, rules, &at);
	arena_free(r.scratch);
}
