/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * apply_fuzz: server-side apply with hostile objects. The input is three JSON texts in lines: a Pod as it is
 * stored, its managedFields, and what is applied. Applying the same again must change nothing, and the one who
 * applied must own what it named. */
#include "orchestrator/fields/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct schema_type *
pod(void)
{
	return schema_kind_find(schema_builtin(), STR(""), STR("v1"), STR("Pod"))->type;
}

static struct doc *
read_doc(struct arena *a, struct str text)
{
	struct doc *d = NULL;
	if (doc_parse_json(a, text, NULL, &d, NULL) < 0 || d->type != DOC_MAP ||
		schema_dedupe(a, d, NULL) < 0)
		return NULL;
	return d;
}

static void
item_found(void *arg, struct str path)
{
	*(bool *)arg = *(bool *)arg || str_find_char(path, '[') >= 0;
}

/* Does an item that the configuration names get another step when its object is written, because a key that it lacks
 * has a value of nothing ("containerPort":0)? Then it is another item each time, for upstream too; validation refuses
 * such objects. */
static bool
item_renamed(struct arena *a, const struct doc *config)
{
	struct doc *written = doc_copy(a, config);
	bool renamed = false;
	if (!written || schema_order(a, pod(), written) < 0)
		return true;
	fields_each(a, fields_minus(a, fields_of(a, pod(), config), fields_of(a, pod(), written)),
		item_found, &renamed);
	return renamed;
}

static void
apply(struct arena *a, struct doc *live, struct managed *m, const struct doc *config)
{
	struct managed_op op = {.a = a,
		.type = pod(),
		.manager = STR("fuzz"),
		.api_version = STR("v1"),
		.now = STR("2026-01-01T00:00:00Z")};
	struct managed_applied done = {0}, next = {0};
	if (item_renamed(a, config))
		return;
	if (managed_apply(&op, m, live, config, false, &done, NULL) == -EEXIST)
		managed_conflict_message(a, &done);
	if (managed_apply(&op, m, live, config, true, &done, NULL) < 0)
		return;
	struct doc *obj = done.obj ? done.obj : live;
	struct doc *raw = managed_write(a, m);
	struct managed read = {0};
	int rc = managed_read(a, raw, &read, NULL);
	if (arena_failed(a))
		return;
	BUG_ON(rc < 0 || read.n != m->n);
	rc = managed_apply(&op, &read, obj, config, false, &next, NULL);
	if (arena_failed(a))
		return;
	BUG_ON(rc < 0 || next.obj);
	op.manager = STR("other");
	managed_update(&op, &read, obj, live);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(64u << 20);
	struct str one, two, three, rest;
	struct doc *live = NULL, *config = NULL, *list = NULL;
	struct managed m = {0};
	struct str why;
	if (a && str_cut(str_from((const char *)data, size), '\n', &one, &rest) &&
		str_cut(rest, '\n', &two, &three) && (live = read_doc(a, one)) &&
		(config = read_doc(a, three)) && doc_parse_json(a, two, NULL, &list, NULL) == 0 &&
		schema_conform(a, pod(), live, NULL, NULL) == 0 &&
		schema_order(a, pod(), live) == 0 && fields_check(a, pod(), config, &why) == 0 &&
		managed_read(a, list, &m, NULL) == 0)
		apply(a, live, &m, config);
	arena_free(a);
	return 0;
}
