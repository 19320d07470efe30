/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules: the rules of custom resources (x-kubernetes-validations), compiled when a definition is served, and what a
 * definition must be for its rules to be accepted: well typed, and cheap enough at worst.
 *
 * Source: apiextensions-apiserver pkg/apiserver/schema/cel (compilation.go), pkg/apis/apiextensions/validation
 * (behaviour and texts); KEP-2876. */
#include "orchestrator/cel/rules_int.h"

#include <stdio.h>

#define COST_OF_ALL 100000000 /* of all rules of one schema: StaticEstimatedCRDCostLimit */
#define MAX_LEVELS 64

/* ---- compiling ---- */

static const struct doc *
rules_of(const struct structural *n)
{
	const struct doc *d = doc_get(n->source, STR("x-kubernetes-validations"));
	return doc_len(d) ? d : NULL;
}

static bool
has_rules(const struct structural *n, unsigned depth)
{
	if (!n || depth > MAX_LEVELS)
		return false;
	if (rules_of(n) || has_rules(n->items, depth + 1) || has_rules(n->additional, depth + 1))
		return true;
	for (size_t i = 0; i < n->n_props; i++)
		if (has_rules(n->props[i].node, depth + 1))
			return true;
	return false;
}

static struct str
why_of(struct arena *a, int rc, const char *invalid, const char *planned, struct str text)
{
	return arena_fmt(a, "%s%.*s", rc == -EDOM ? planned : invalid, STR_ARG(text));
}

static int
compile_rule(struct arena *a, const struct cel_type *self, const struct doc *d, struct cel_rule *r)
{
	struct str rule = doc_get_str(d, STR("rule")),
		   message = doc_get_str(d, STR("messageExpression"));
	struct str text = STR("");
	r->source = d;
	r->optional_old = doc_get_bool(d, STR("optionalOldSelf"), false);
	const struct cel_variable vars[] = {{STR("self"), self},
		{STR("oldSelf"), r->optional_old ? cel_type_optional(a, self) : self}};
	const struct cel_env *env = vars[1].type ? cel_env_new(a, vars, 2) : NULL;
	if (!env)
		return -ENOMEM;
	if (str_trim(rule).n == 0)
		return 0;
	int rc = cel_compile_text(a, env, rule, NULL, &r->program, &text, NULL);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		r->error = why_of(
			a, rc, "compilation failed: ", "program instantiation failed: ", text);
		return 0;
	}
	if (cel_result_type(r->program)->kind != CEL_BOOL) {
		r->error = STR("cel expression must evaluate to a bool");
		return 0;
	}
	r->uses_old = cel_uses(r->program, 1);
	if (message.n == 0)
		return 0;
	rc = cel_compile_text(a, env, message, NULL, &r->message, &text, NULL);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		r->message = NULL;
		r->message_error = why_of(a, rc, "messageExpression compilation failed: ",
			"messageExpression instantiation failed: ", text);
	} else if (cel_result_type(r->message)->kind != CEL_STRING) {
		r->message = NULL;
		r->message_error = STR("messageExpression must evaluate to a string");
	}
	return 0;
}

static int compile_node(struct arena *a, const struct structural *n, const struct cel_type *t,
	unsigned depth, const struct cel_rules **ret);

static const struct cel_type *
item_type(struct arena *a, const struct structural *n, const struct cel_type *t, enum cel_kind kind)
{
	if (t && t->kind == kind)
		return t->params[t->n_params - 1];
	return cel_type_structural(a, n, n->embedded);
}

static int
compile_props(struct arena *a, const struct structural *n, const struct cel_type *t, unsigned depth,
	struct cel_rules *out)
{
	struct cel_rules_prop *props = ARENA_ARRAY(a, struct cel_rules_prop, n->n_props);
	if (!props)
		return -ENOMEM;
	out->props = props;
	for (size_t i = 0; i < n->n_props; i++) {
		const struct structural_prop *p = &n->props[i];
		struct str name = STR_NONE;
		const struct cel_rules *child = NULL;
		const struct cel_type *of = NULL;
		if (!has_rules(p->node, depth))
			continue;
		if (t && t->kind == CEL_OBJECT && cel_escape(a, p->name, &name))
			of = cel_type_field(a, t, name);
		else
			of = cel_type_structural(a, p->node, p->node->embedded);
		if (!of)
			continue; /* what has no type has no rules */
		int rc = compile_node(a, p->node, of, depth + 1, &child);
		if (rc < 0)
			return rc;
		if (child)
			props[out->n_props++] = (struct cel_rules_prop){p->name, child};
	}
	return 0;
}

static int
compile_node(struct arena *a, const struct structural *n, const struct cel_type *t, unsigned depth,
	const struct cel_rules **ret)
{
	struct cel_rules *out = has_rules(n, depth) ? ARENA_NEW(a, struct cel_rules) : NULL;
	if (!out)
		return arena_failed(a) ? -ENOMEM : 0;
	int rc = 0;
	const struct doc *list = rules_of(n);
	out->node = n;
	out->type = t;
	out->rules = ARENA_ARRAY(a, struct cel_rule, doc_len(list));
	if (!out->rules)
		return -ENOMEM;
	DOC_EACH (d, list) {
		if (rc == 0 && t)
			rc = compile_rule(a, t, d, &out->rules[out->n_rules++]);
	}
	if (rc == 0)
		rc = compile_props(a, n, t, depth, out);
	if (rc == 0 && has_rules(n->items, depth))
		rc = compile_node(
			a, n->items, item_type(a, n->items, t, CEL_LIST), depth + 1, &out->items);
	if (rc == 0 && has_rules(n->additional, depth))
		rc = compile_node(a, n->additional, item_type(a, n->additional, t, CEL_MAP),
			depth + 1, &out->additional);
	*ret = out;
	return rc;
}

static int
compile(struct arena *a, const struct structural *root, const void **ret)
{
	const struct cel_rules *rules = NULL;
	*ret = NULL;
	if (!has_rules(root, 0))
		return 0;
	int rc = compile_node(a, root, cel_type_structural(a, root, true), 0, &rules);
	*ret = rules;
	return rc;
}

/* ---- the path that a rule names ---- */

/* 'it\'s' without its quotes; STR_NONE = no such text. */
static struct str
unquoted(struct arena *a, struct str s)
{
	static const char from[] = "abfnrtv'\\", to[] = "\a\b\f\n\r\t\v'\\";
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1]
			? memchr(from, s.p[i + 1], sizeof(from) - 1)
			: NULL;
		if (s.p[i] == '\\' && !at)
			return STR_NONE;
		buf_char(&b, at ? to[at - from] : s.p[i]);
		i += at != NULL;
	}
	return buf_view(&b);
}

/* The end of a name or of a quoted text at the beginning of s. */
static size_t
word_size(struct str s)
{
	size_t i = 0;
	if (s.n && s.p[0] == '\'') {
		for (i = 1; i < s.n; i++)
			if (s.p[i] == '\'' && s.p[i - 1] != '\\')
				return i + 1;
		return 0;
	}
	while (i < s.n && !strchr(".[]", s.p[i]))
		i++;
	return i;
}

struct str
cel_rule_path(struct arena *a, const struct structural *n, struct str path)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, a);
	while (path.n) {
		bool bracket = path.p[0] == '[';
		struct str rest = str_sub(path, 1, SIZE_MAX);
		size_t size = word_size(rest);
		struct str name = str_sub(rest, 0, size);
		if ((!bracket && path.p[0] != '.') || size == 0)
			return STR_NONE;
		path = str_sub(rest, size, SIZE_MAX);
		if (bracket) {
			if (name.n < 2 || name.p[0] != '\'' || path.n == 0 || path.p[0] != ']')
				return STR_NONE;
			name = unquoted(a, str_sub(name, 1, name.n - 1));
			path = str_sub(path, 1, SIZE_MAX);
			if (!str_is_set(name))
				return STR_NONE;
		}
		if (n->n_props) {
			n = structural_prop_find(n, name);
			if (b.len)
				buf_char(&b, '.');
			buf_str(&b, name);
		} else {
			n = n->additional;
			buf_fmt(&b, "[%.*s]", STR_ARG(name));
		}
		if (!n)
			return STR_NONE;
	}
	return b.len ? buf_view(&b) : STR("");
}

/* ---- what a definition must be ---- */

struct costly {
	struct str path;
	uint64_t cost;
};
struct check {
	struct schema_errors *errs;
	struct arena *a;
	uint64_t total;
	struct costly most[4];
	size_t n_most;
};
/* Where in the schema: how often at most (UINT64_MAX = without bound) and why old values have no match there. */
struct place {
	struct str path;
	uint64_t times;
	bool bounded;
	struct str uncorrelated; /* STR_NONE = they have */
};

static uint64_t
times(uint64_t cost, uint64_t n)
{
	return cost && n > UINT64_MAX / cost ? UINT64_MAX : cost * n;
}

static void
over_budget(struct check *c, struct str path, const char *what, uint64_t cost, uint64_t limit)
{
	double factor = (double)cost / (double)limit;
	char text[40] = "more than 100x";
	if (factor <= 100)
		snprintf(text, sizeof(text), factor < 1.5 ? "%fx" : "%.1fx", factor);
	schema_error_fmt(c->errs, SCHEMA_CAUSE_FORBIDDEN, path, NULL,
		"%s exceeds budget by factor of %s (try simplifying the rule, or adding maxItems, maxProperties, and "
		"maxLength where arrays, maps, and strings are declared)",
		what, text);
}

static void
observe(struct check *c, struct str path, uint64_t cost)
{
	c->total = cost > UINT64_MAX - c->total ? UINT64_MAX : c->total + cost;
	if (cost < COST_OF_ALL / 100)
		return;
	size_t at = c->n_most;
	while (at && c->most[at - 1].cost < cost) {
		if (at < ARRAY_LEN(c->most))
			c->most[at] = c->most[at - 1];
		at--;
	}
	if (at < ARRAY_LEN(c->most))
		c->most[at] = (struct costly){path, cost};
	c->n_most += c->n_most < ARRAY_LEN(c->most);
}

/* The rule as upstream shows it: its Go struct as JSON. */
static struct doc *
rule_shown(struct arena *a, const struct doc *d)
{
	static const struct {
		const char *shown, *name;
		bool text;
	} members[] = {{"Rule", "rule", true}, {"Message", "message", true},
		{"MessageExpression", "messageExpression", true}, {"Reason", "reason", false},
		{"FieldPath", "fieldPath", true}, {"OptionalOldSelf", "optionalOldSelf", false}};
	struct doc *map = doc_map(a);
	struct buf raw = BUF_INIT, b = BUF_INIT;
	buf_init_arena(&raw, a);
	buf_init_arena(&b, a);
	for (size_t i = 0; map && i < ARRAY_LEN(members); i++) {
		const struct doc *m = doc_get(d, str_c(members[i].name));
		struct doc *v = m         ? doc_copy(a, m)
			: members[i].text ? doc_str(a, STR(""))
					  : doc_null(a);
		if (v)
			doc_set(map, str_c(members[i].shown), v);
	}
	doc_write_json(&raw, map);
	for (size_t i = 0; i < raw.len; i++)
		if (strchr("<>&", raw.data[i]) && raw.data[i])
			buf_fmt(&b, "\\u%04x", (unsigned)(uint8_t)raw.data[i]);
		else
			buf_char(&b, raw.data[i]);
	return doc_raw(a, buf_view(&b));
}

static void
check_rule(struct check *c, const struct cel_rules *n, const struct cel_rule *r,
	const struct place *at, size_t i)
{
	struct str base = arena_fmt(
		c->a, "%.*s.x-kubernetes-validations[%zu]", STR_ARG(at->path), i);
	struct str rule = schema_path_child(c->errs, base, STR("rule"));
	struct str message = schema_path_child(c->errs, base, STR("messageExpression"));
	uint64_t most = CEL_REQUEST_MAX / (n->type->min_size + 1);
	bool good = r->program && !str_is_set(r->error);
	uint64_t cost = good ? times(cel_cost_max(r->program), at->bounded ? at->times : most) : 0;
	if (cost > CEL_COST_EXPRESSION_MAX)
		over_budget(c, rule, "estimated rule cost", cost, CEL_COST_EXPRESSION_MAX);
	observe(c, rule, cost);
	if (str_is_set(r->error))
		schema_error_add(
			c->errs, SCHEMA_CAUSE_INVALID, rule, rule_shown(c->a, r->source), r->error);
	if (str_is_set(r->message_error)) {
		schema_error_add(c->errs, SCHEMA_CAUSE_INVALID, message,
			rule_shown(c->a, r->source), r->message_error);
	} else if (r->message) {
		cost = cel_cost_max(r->message);
		if (cost > CEL_COST_EXPRESSION_MAX)
			over_budget(c, message, "estimated messageExpression cost", cost,
				CEL_COST_EXPRESSION_MAX);
		observe(c, message, cost);
	}
	const struct doc *optional = doc_get(r->source, STR("optionalOldSelf"));
	if (r->uses_old && str_is_set(at->uncorrelated))
		schema_error_fmt(c->errs, SCHEMA_CAUSE_INVALID, rule,
			doc_get(r->source, STR("rule")),
			"oldSelf cannot be used on the uncorrelatable portion of the schema within %.*s",
			STR_ARG(at->uncorrelated));
	else if (!r->uses_old && optional && optional->type == DOC_BOOL)
		schema_error_add(c->errs, SCHEMA_CAUSE_INVALID,
			schema_path_child(c->errs, base, STR("optionalOldSelf")), optional,
			STR("may not be set if oldSelf is not used in rule"));
	struct str path = doc_get_str(r->source, STR("fieldPath"));
	if (path.n && !str_is_set(cel_rule_path(c->a, n->node, path)))
		schema_err_invalid(c->errs, schema_path_child(c->errs, base, STR("fieldPath")),
			path, "must be a valid path");
}

/* The place one level down: `max` bounds how many there are of it. */
static struct place
below(const struct place *at, struct str path, bool many, const struct doc *max)
{
	struct place p = *at;
	p.path = path;
	if (many && !max)
		p.bounded = false;
	else if (many)
		p.times = times(
			at->times, (uint64_t)(doc_as_int(max, 0) > 0 ? doc_as_int(max, 0) : 0));
	return p;
}

static void
check_node(struct check *c, const struct cel_rules *n, const struct place *at)
{
	const struct structural_values *v = n->node->values;
	for (size_t i = 0; n->type && i < n->n_rules; i++)
		check_rule(c, n, &n->rules[i], at, i);
	if (n->additional) {
		struct place p = below(at,
			schema_path_child(c->errs, at->path, STR("additionalProperties")), true,
			v ? v->max_properties : NULL);
		check_node(c, n->additional, &p);
	}
	for (size_t i = 0; i < n->n_props; i++) {
		struct str props = schema_path_child(c->errs, at->path, STR("properties"));
		struct place p = below(
			at, schema_path_key(c->errs, props, n->props[i].name), false, NULL);
		check_node(c, n->props[i].rules, &p);
	}
	if (n->items) {
		struct place p = below(at, schema_path_child(c->errs, at->path, STR("items")), true,
			v ? v->max_items : NULL);
		if (n->node->list != STRUCTURAL_LIST_MAP)
			p.uncorrelated = at->path;
		check_node(c, n->items, &p);
	}
}

static void
check(const struct structural *root, struct str path, struct schema_errors *errs)
{
	const struct cel_rules *rules = root->rules;
	struct check c = {.errs = errs, .a = errs->a};
	struct place at = {path, 1, true, STR_NONE};
	if (!rules)
		return;
	check_node(&c, rules, &at);
	if (c.total <= COST_OF_ALL)
		return;
	for (size_t i = 0; i < c.n_most; i++)
		schema_err_forbidden(errs, c.most[i].path,
			"contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema");
	over_budget(&c, path,
		"x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
		c.total, COST_OF_ALL);
}

void
cel_rules_install(void)
{
	static const struct structural_rules ops = {compile, check, cel_rules_validate};
	structural_rules = &ops;
}
