/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * history: see history.h. A revision is a function of the template, so that two syncs that both make it make one:
 * the second is told that it exists, and finds it in the cache a moment later. */
#include "orchestrator/control/history.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_LEN 223 /* of the owner's part */

struct str
history_hash(struct arena *a, struct str text, int32_t collisions)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	struct str salted = collisions ? arena_fmt(a, STR_FMT "%d", STR_ARG(text), collisions)
				       : text;
	char digits[16];
	int n = snprintf(digits, sizeof(digits), "%u", hash_fnv32a(salted));
	for (int i = 0; i < n; i++)
		digits[i] = alphabet[digits[i] % 27];
	return arena_str(a, str_from(digits, (size_t)n));
}

/* patch_doc: {"spec":{"template":{..., "$patch":"replace"}}}, its members by name. */
static struct doc *
patch_doc(struct arena *a, const struct core_v1_pod_template_spec *template)
{
	struct doc *d = doc_map(a), *spec = d ? doc_map(a) : NULL;
	struct doc *t = spec
		? schema_from_struct(a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), template)
		: NULL;
	if (!t)
		return NULL;
	doc_set_str(a, t, STR("$patch"), STR("replace"));
	doc_set(spec, STR("template"), t);
	doc_set(d, STR("spec"), spec);
	doc_sort(d);
	return d;
}

static int
number_order(const void *px, const void *py)
{
	const struct informer_obj *const *ox = px, *const *oy = py;
	const struct apps_v1_controller_revision *x = (*ox)->obj, *y = (*oy)->obj;
	if (x->revision != y->revision)
		return x->revision < y->revision ? -1 : 1;
	if (x->metadata.creation_timestamp != y->metadata.creation_timestamp)
		return x->metadata.creation_timestamp < y->metadata.creation_timestamp ? -1 : 1;
	return str_cmp((*ox)->name, (*oy)->name);
}

/* ---- finding ---- */

static void
adopt(struct history *h, const struct informer_obj *o)
{
	struct workload_sync *s = h->s;
	struct control_path path = {.resource = CONTROL_REVISIONS, .ns = o->ns, .name = o->name};
	struct buf b;
	buf_init_arena(&b, s->a);
	buf_cstr(&b, "{\"metadata\":{\"ownerReferences\":[");
	doc_write_json(&b, control_owner_doc(s->a, s->w->k->resource, s->o));
	buf_fmt(&b, "],\"uid\":\"" STR_FMT "\"}}", STR_ARG(o->uid));
	if (!b.failed)
		batch_write_text(s->b, s->w->c, CLIENT_PATCH_STRATEGIC, &path, buf_view(&b));
}

static void
find(struct history *h)
{
	struct workload_sync *s = h->s;
	const struct informer_obj *o;
	struct selector sel;
	for (size_t pos = 0;
		(o = informer_index_next(h->revisions, INDEX_OWNER, s->o->uid, &pos));) {
		const struct informer_obj **slot = ARENA_PUSH(s->a, h->v, h->n);
		if (slot)
			*slot = o;
	}
	bool none = s->w->k->selector(s->a, s->o->obj, &sel) < 0 || sel.nothing;
	for (size_t pos = 0;
		!none && (o = informer_index_next(h->revisions, INDEX_ORPHAN, s->o->ns, &pos));) {
		const struct meta_v1_object_meta *m = control_meta(CONTROL_REVISIONS, o);
		if (m->deletion_timestamp || !selector_match_pairs(&sel, m->labels, m->n_labels))
			continue;
		adopt(h, o);
		const struct informer_obj **slot = ARENA_PUSH(s->a, h->v, h->n);
		if (slot)
			*slot = o;
	}
	if (h->n)
		qsort(h->v, h->n, sizeof(*h->v), number_order);
}

/* ---- making ---- */

struct making {
	struct workload *w;
	struct control_batch *b;
	const struct informer_obj *o;
	struct informer *revisions;
	struct arena *a;
	struct str key;
	struct doc *data;
	int32_t collisions;
};

/* collides: the name is taken by another template, or somebody else's revision. */
static bool
collides(const struct making *m)
{
	const struct informer_obj *there = informer_get(m->revisions, m->key);
	const struct meta_v1_owner_reference *owner = there
		? control_owner(control_meta(CONTROL_REVISIONS, there))
		: NULL;
	return there &&
		(!owner || !str_eq(owner->uid, m->o->uid) ||
			!doc_equal(history_revision(there)->data, m->data));
}

static void
on_made(void *arg, const struct client_result *r)
{
	struct making *m = arg;
	char body[80];
	if (r->e.code && r->e.reason == R_ALREADY_EXISTS && collides(m)) {
		int n = snprintf(body, sizeof(body), "{\"status\":{\"collisionCount\":%d}}",
			m->collisions + 1);
		struct control_path path = {.resource = m->w->k->resource,
			.ns = m->o->ns,
			.name = m->o->name,
			.subresource = STR("status"),
			.onto = m->o};
		batch_write_text(
			m->b, m->w->c, CLIENT_PATCH_MERGE, &path, str_from(body, (size_t)n));
	}
	if (!r->e.code)
		queue_add(m->w->q, m->o->key);
	batch_done(m->b, r);
	informer_obj_unref(m->o);
	arena_free(m->a);
}

static struct doc *
revision_doc(struct history *h, const struct core_v1_pod_template_spec *template, struct doc *data,
	struct str name, struct str label, struct str hash, int64_t number)
{
	struct arena *a = h->s->a;
	const struct meta_v1_object_meta *om = control_meta(h->s->w->k->resource, h->s->o);
	struct doc *d = doc_map(a), *meta = doc_map(a), *labels = doc_map(a), *notes = doc_map(a);
	struct doc *owners = doc_list(a);
	if (!d || !meta || !labels || !notes || !owners)
		return NULL;
	for (size_t i = 0; i < template->metadata.n_labels; i++)
		doc_set_str(a, labels, template->metadata.labels[i].key,
			template->metadata.labels[i].value);
	doc_set_str(a, labels, label, hash);
	for (size_t i = 0; i < om->n_annotations; i++)
		doc_set_str(a, notes, om->annotations[i].key, om->annotations[i].value);
	doc_append(owners, control_owner_doc(a, h->s->w->k->resource, h->s->o));
	doc_set_str(a, meta, STR("name"), name);
	doc_set(meta, STR("labels"), labels);
	doc_set(meta, STR("annotations"), notes);
	doc_set(meta, STR("ownerReferences"), owners);
	doc_set(d, STR("metadata"), meta);
	doc_set(d, STR("data"), data);
	doc_set_int(a, d, STR("revision"), number);
	return arena_failed(a) ? NULL : d;
}

static void
make(struct history *h, const struct core_v1_pod_template_spec *template, struct doc *data,
	struct str label, int32_t collisions)
{
	struct workload_sync *s = h->s;
	struct buf text;
	buf_init_arena(&text, s->a);
	doc_write_json(&text, data);
	struct str hash = history_hash(s->a, buf_view(&text), collisions);
	struct str name = arena_fmt(s->a, STR_FMT "-" STR_FMT,
		STR_ARG(str_sub(s->o->name, 0, NAME_MAX_LEN)), STR_ARG(hash));
	struct control_path path = {.resource = CONTROL_REVISIONS, .ns = s->o->ns};
	int64_t number = h->n ? history_revision(h->v[h->n - 1])->revision + 1 : 1;
	struct doc *copy = doc_copy(s->a, data);
	struct doc *d = copy ? revision_doc(h, template, copy, name, label, hash, number) : NULL;
	struct arena *a = d ? arena_new(1 << 22) : NULL;
	struct making *m = a ? ARENA_NEW(a, struct making) : NULL;
	if (m)
		*m = (struct making){.w = s->w,
			.b = s->b,
			.o = informer_obj_ref(s->o),
			.revisions = h->revisions,
			.a = a,
			.key = arena_fmt(a, STR_FMT "/" STR_FMT, STR_ARG(s->o->ns), STR_ARG(name)),
			.data = doc_copy(a, data),
			.collisions = collisions};
	if (m && control_write(s->w->c, CLIENT_CREATE, &path, d, on_made, m) == 0) {
		s->b->left++;
		return;
	}
	s->b->failed = true;
	if (m)
		informer_obj_unref(m->o);
	arena_free(a);
}

static void
raise(struct history *h, const struct informer_obj *o, int64_t number)
{
	struct control_path path = {.resource = CONTROL_REVISIONS, .ns = o->ns, .name = o->name};
	struct str body = arena_fmt(h->s->a,
		"{\"metadata\":{\"resourceVersion\":\"" STR_FMT "\"},\"revision\":%lld}",
		STR_ARG(history_revision(o)->metadata.resource_version), (long long)number);
	if (body.n)
		batch_write_text(h->s->b, h->s->w->c, CLIENT_PATCH_MERGE, &path, body);
}

void
history_look(struct history *h, struct workload_sync *s, struct informer *revisions,
	const struct core_v1_pod_template_spec *template, struct str label, int32_t collisions)
{
	struct doc *data = patch_doc(s->a, template);
	*h = (struct history){.s = s, .revisions = revisions};
	find(h);
	for (size_t i = 0; data && i < h->n; i++)
		if (doc_equal(history_revision(h->v[i])->data, data))
			h->now = h->v[i];
	int64_t last = h->n ? history_revision(h->v[h->n - 1])->revision : 0;
	if (!data)
		s->b->failed = true;
	else if (!h->now)
		make(h, template, data, label, collisions);
	else if (h->now != h->v[h->n - 1] && history_revision(h->now)->revision <= last)
		raise(h, h->now, last + 1);
}

/* ---- what else is asked ---- */

const struct informer_obj *
history_name(const struct history *h, struct str name)
{
	for (size_t i = 0; i < h->n; i++)
		if (str_eq(h->v[i]->name, name))
			return h->v[i];
	return NULL;
}

const struct informer_obj *
history_same(const struct history *h, size_t *pos)
{
	while (h->now && *pos < h->n) {
		const struct informer_obj *o = h->v[(*pos)++];
		if (o != h->now &&
			doc_equal(history_revision(o)->data, history_revision(h->now)->data))
			return o;
	}
	return NULL;
}

const struct core_v1_pod_template_spec *
history_template(struct history *h, const struct informer_obj *o)
{
	const struct doc *t = doc_at(history_revision(o)->data, "spec.template");
	struct core_v1_pod_template_spec *spec = ARENA_NEW(
		h->s->a, struct core_v1_pod_template_spec);
	if (!t || !spec ||
		schema_to_struct(h->s->a, SCHEMA_TYPE_OF(core_v1_pod_template_spec), t, spec) < 0)
		return NULL;
	return spec;
}

void
history_delete(struct history *h, const struct informer_obj *o)
{
	struct control_path path = {.resource = CONTROL_REVISIONS, .ns = o->ns, .name = o->name};
	struct str body = arena_fmt(
		h->s->a, "{\"preconditions\":{\"uid\":\"" STR_FMT "\"}}", STR_ARG(o->uid));
	if (body.n)
		batch_write_text(h->s->b, h->s->w->c, CLIENT_DELETE, &path, body);
}

void
history_truncate(struct history *h, int32_t limit, bool live_too,
	bool (*live)(void *arg, const struct informer_obj *o), void *arg)
{
	size_t n = 0, keep = limit > 0 ? (size_t)limit : 0;
	for (size_t i = 0; i < h->n; i++)
		n += h->v[i] != h->now && (live_too || !live(arg, h->v[i]));
	for (size_t i = 0; i < h->n && n > keep; i++)
		if (h->v[i] != h->now && !live(arg, h->v[i])) {
			history_delete(h, h->v[i]);
			n--;
		}
}

static void
on_revision(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct workload *w = arg;
	const struct informer_obj *o;
	(void)old;
	if (!new_ || !control_ready(w->ctl) || control_owner(control_meta(CONTROL_REVISIONS, new_)))
		return;
	for (size_t pos = 0; (o = informer_index_next(w->owners, INDEX_NS, new_->ns, &pos));)
		queue_add(w->q, o->key);
}

int
history_watch(struct workload *w, struct informer **ret)
{
	*ret = control_informer(w->ctl, CONTROL_REVISIONS);
	return *ret ? informer_add_handler(*ret, on_revision, NULL, w) : -ENOMEM;
}
