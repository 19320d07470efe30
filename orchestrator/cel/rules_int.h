/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * rules_int: compiled rules of custom resources, as a tree that follows the schema where it has rules.
 * rules.c makes it, rules_run.c runs it. */
#ifndef ORCHESTRATOR_CEL_RULES_INT_H
#define ORCHESTRATOR_CEL_RULES_INT_H

#include "orchestrator/cel/cel_int.h"

struct cel_rule {
	const struct doc *source;          /* ValidationRule */
	const struct cel_program *program; /* NULL = empty, or error */
	const struct cel_program *message; /* NULL = none, or message_error */
	struct str error, message_error;   /* STR_NONE = none */
	bool uses_old, optional_old;
};
struct cel_rules;
struct cel_rules_prop {
	struct str name;
	const struct cel_rules *rules;
};
struct cel_rules {
	const struct structural *node;
	const struct cel_type *type; /* NULL = it cannot be typed: its rules are left out */
	struct cel_rule *rules;
	size_t n_rules;
	const struct cel_rules_prop *props; /* those that have rules in them */
	size_t n_props;
	const struct cel_rules *items, *additional;
};
/* cel_rule_path: a fieldPath of a rule as causes write paths, "" = the value itself; STR_NONE = the schema has no such
 * place. arena. */
struct str cel_rule_path(struct arena *a, const struct structural *n, struct str path);
void cel_rules_validate(
	const void *rules, const struct doc *d, const struct doc *old, struct schema_errors *errs);

#endif
