/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * namespace: empties a namespace that is being deleted, then lets it go.
 *
 *   deleting: deletecollection of pods -> count what is left -> nothing: the same of every namespaced kind, then
 *                                                              finalize
 *                                     -> something: say what in the status, again later
 *
 * Pods go first: what they run must not outlive the rules it is kept by (NetworkPolicies, say: KEP-5080). What
 * is left goes in its own time (pods and their grace, finalizers): each deletion seen, or a second, brings the
 * next round. Source: kube-controller-manager pkg/controller/namespace. */
#include "orchestrator/control/control.h"
#include "orchestrator/control/custom_kinds.h"

#include "kinds/core_v1.h"

#include <errno.h>
#include <stdlib.h>

#define AGAIN_NS NS_PER_SEC

struct namespace_controller {
	struct control *ctl;
	struct client *c;
	struct queue *q;
	struct informer *namespaces, *pods;
	struct custom_kinds *custom;
};

enum round_step { PODS_DELETED, PODS_COUNTED, ALL_DELETED, ALL_COUNTED };

/* One round for one namespace. */
struct round {
	struct namespace_controller *k;
	char *name;
	unsigned calls;
	size_t left;
	enum round_step step; /* under way */
	bool failed;
	struct buf left_text, error_text;
};

static void round_next(struct round *r);

static bool
in_namespaces(const struct schema_kind *k)
{
	uint32_t need = SCHEMA_DELETECOLLECTION | SCHEMA_LIST_VERB;
	return k->namespaced && (k->flags & SCHEMA_KIND_SERVED) &&
		(k->flags & SCHEMA_KIND_STORED) && (k->verbs & need) == need &&
		(!k->storage_group || !strcmp(k->storage_group, k->group)) &&
		(!k->storage_version || !strcmp(k->storage_version, k->version));
}

struct round_call {
	struct round *r;
	const struct schema_kind *kind;
};

static void
count_left(struct round_call *c, struct str body)
{
	struct round *r = c->r;
	struct arena *a = arena_new(64u << 20);
	struct doc *d = NULL;
	if (a && doc_parse_json(a, body, NULL, &d, NULL) == 0) {
		size_t n = doc_len(doc_get(d, STR("items")));
		int64_t more = doc_get_int(
			doc_get(d, STR("metadata")), STR("remainingItemCount"), 0);
		if (n) {
			r->left += n + (size_t)more;
			buf_fmt(&r->left_text, "%s%s%s%s has %zu resource instances",
				r->left_text.len ? ", " : "", c->kind->plural,
				c->kind->group[0] ? "." : "", c->kind->group, n + (size_t)more);
		}
	}
	arena_free(a);
}

static void
on_call(void *arg, const struct client_result *res)
{
	struct round_call *c = arg;
	struct round *r = c->r;
	if (res->e.code && res->http != 404 && res->http != 405) {
		r->failed = true;
		buf_fmt(&r->error_text, "%s%s", r->error_text.len ? ", " : "", res->e.msg);
	} else if (!res->e.code && (r->step == PODS_COUNTED || r->step == ALL_COUNTED)) {
		count_left(c, res->body);
	}
	free(c);
	if (--r->calls == 0)
		round_next(r);
}

static bool
is_pods(const struct schema_kind *k)
{
	return !k->group[0] && !strcmp(k->plural, "pods");
}

static void
kind_start(struct round *r, const struct schema_kind *kind, enum client_verb verb)
{
	struct round_call *c = malloc(sizeof(*c));
	if (!c) {
		r->failed = true;
		return;
	}
	*c = (struct round_call){r, kind};
	struct client_req req = {.verb = verb,
		.group = str_c(kind->group),
		.version = str_c(kind->version),
		.resource = str_c(kind->plural),
		.ns = str_c(r->name),
		.limit = verb == CLIENT_LIST ? 1 : 0};
	int rc = client_call_start(r->k->c, &req, on_call, c, NULL);
	if (rc == 0) {
		r->calls++;
		return;
	}
	/* the definition of a custom kind may have just gone, and its objects before it */
	r->failed = r->failed || rc != -EINVAL || !kind->custom;
	free(c);
}

/* step_start: the call of this step for each kind it is about. */
static void
step_start(struct round *r, enum round_step step)
{
	const struct schema *s = schema_builtin();
	const struct schema_kind *kind = NULL;
	bool pods = step == PODS_DELETED || step == PODS_COUNTED;
	enum client_verb verb = step == PODS_DELETED || step == ALL_DELETED
		? CLIENT_DELETE_COLLECTION
		: CLIENT_LIST;
	r->step = step;
	r->calls = 1;
	if (!custom_kinds_synced(r->k->custom))
		r->failed = true;
	for (size_t i = 0; i < s->n_kinds; i++)
		if (in_namespaces(s->kinds[i]) && (!pods || is_pods(s->kinds[i])))
			kind_start(r, s->kinds[i], verb);
	for (size_t pos = 0; !pods && (kind = custom_kinds_next(r->k->custom, &pos));)
		if (kind->namespaced)
			kind_start(r, kind, verb);
	if (--r->calls == 0)
		round_next(r);
}

static void
round_end(struct round *r, bool again)
{
	if (again)
		queue_add_after(r->k->q, str_c(r->name), AGAIN_NS);
	queue_done(r->k->q, str_c(r->name), false);
	buf_release(&r->left_text);
	buf_release(&r->error_text);
	free(r->name);
	free(r);
}

static void
on_finalized(void *arg, const struct client_result *res)
{
	round_end(arg, res->e.code != 0 && res->http != 404);
}

static void
finalize(struct round *r)
{
	struct control_path path = {.resource = CONTROL_NAMESPACES,
		.name = str_c(r->name),
		.subresource = STR("finalize")};
	const struct informer_obj *o = informer_get(r->k->namespaces, str_c(r->name));
	struct arena *a = arena_new(1 << 20);
	struct doc *d = o && a ? schema_from_struct(a, control_type(CONTROL_NAMESPACES), o->obj)
			       : NULL;
	struct doc *spec = d ? doc_ensure_map(a, d, STR("spec")) : NULL;
	struct doc *kept = spec ? doc_list(a) : NULL;
	if (!kept) {
		arena_free(a);
		round_end(r, o != NULL);
		return;
	}
	DOC_EACH (f, doc_get(spec, STR("finalizers")))
		if (!str_eq_c(doc_as_str(f), "kubernetes"))
			doc_append(kept, doc_str(a, f->s));
	doc_set(spec, STR("finalizers"), kept);
	int rc = control_write(r->k->c, CLIENT_UPDATE, &path, d, on_finalized, r);
	arena_free(a);
	if (rc < 0)
		round_end(r, true);
}

static void
on_said(void *arg, const struct client_result *res)
{
	(void)res;
	round_end(arg, true);
}

static void
put_condition(struct buf *b, const char *type, bool on, const char *reason, const char *off_reason,
	struct str text, const char *off_text, const char *now)
{
	buf_fmt(b,
		"{\"type\":\"%s\",\"status\":\"%s\",\"lastTransitionTime\":\"%s\",\"reason\":\"%s\","
		"\"message\":",
		type, on ? "True" : "False", now, on ? reason : off_reason);
	doc_json_string(b, on ? text : str_c(off_text));
	buf_char(b, '}');
}

/* say: what is still there, for `kubectl get ns -o yaml`; only when it differs from what is said. */
static void
say(struct round *r)
{
	const struct informer_obj *o = informer_get(r->k->namespaces, str_c(r->name));
	struct control_path path = {.resource = CONTROL_NAMESPACES,
		.name = str_c(r->name),
		.subresource = STR("status"),
		.onto = o};
	const struct core_v1_namespace *ns = o ? o->obj : NULL;
	_cleanup_buf_ struct buf left = BUF_INIT, b = BUF_INIT;
	char now[40];
	buf_fmt(&left, "Some resources are remaining: " STR_FMT, STR_ARG(buf_view(&r->left_text)));
	bool known = false;
	for (size_t i = 0; ns && i < ns->status.n_conditions; i++)
		known = known || str_eq(ns->status.conditions[i].message, buf_view(&left));
	if (!ns || (known && !r->failed)) {
		round_end(r, ns != NULL);
		return;
	}
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_cstr(&b, "{\"status\":{\"conditions\":[");
	put_condition(&b, "NamespaceDeletionContentFailure", r->failed, "ContentDeletionFailed",
		"ContentDeleted", buf_view(&r->error_text),
		"All content successfully deleted, may be waiting on finalization", now);
	buf_char(&b, ',');
	put_condition(&b, "NamespaceContentRemaining", r->left > 0, "SomeResourcesRemain",
		"ContentRemoved", buf_view(&left), "All content successfully removed", now);
	buf_cstr(&b, "]}}");
	if (b.failed ||
		control_write_text(r->k->c, CLIENT_PATCH_MERGE, &path, buf_view(&b), on_said, r) <
			0)
		round_end(r, true);
}

static void
round_next(struct round *r)
{
	bool counted = r->step == PODS_COUNTED || r->step == ALL_COUNTED;
	if (counted && (r->left || r->failed))
		say(r);
	else if (r->step == ALL_COUNTED)
		finalize(r);
	else
		step_start(r, r->step + 1);
}

static void
on_key(void *arg, struct str key)
{
	struct namespace_controller *k = arg;
	const struct informer_obj *o = informer_get(k->namespaces, key);
	const struct core_v1_namespace *ns = o ? o->obj : NULL;
	bool ours = false;
	for (size_t i = 0; ns && i < ns->spec.n_finalizers; i++)
		ours = ours || str_eq(ns->spec.finalizers[i], STR("kubernetes"));
	struct round *r = ours && ns->metadata.deletion_timestamp ? calloc(1, sizeof(*r)) : NULL;
	if (!r) {
		queue_done(k->q, key, false);
		return;
	}
	r->k = k;
	r->name = strndup(key.p, key.n);
	if (!r->name) {
		free(r);
		queue_done(k->q, key, true);
		return;
	}
	step_start(r, PODS_DELETED);
}

static void
on_namespace(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct namespace_controller *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl) &&
		control_meta(CONTROL_NAMESPACES, new_)->deletion_timestamp)
		queue_add(k->q, new_->key);
}

static void
on_pod(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct namespace_controller *k = arg;
	const struct informer_obj *ns = new_ || !control_ready(k->ctl)
		? NULL
		: informer_get(k->namespaces, old->ns);
	if (ns && control_meta(CONTROL_NAMESPACES, ns)->deletion_timestamp)
		queue_add(k->q, ns->key);
}

static void
namespace_ready(void *self)
{
	struct namespace_controller *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; (o = informer_next(k->namespaces, &pos));)
		on_namespace(k, NULL, o);
}

static void
namespace_stop(void *self)
{
	struct namespace_controller *k = self;
	custom_kinds_free(k->custom);
	queue_free(k->q);
	free(k);
}

static int
namespace_start(struct control *ctl, struct client *c, void **ret)
{
	struct namespace_controller *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->c = c;
	k->q = queue_new(control_loop(ctl), "namespace", 4, on_key, k);
	k->namespaces = control_informer(ctl, CONTROL_NAMESPACES);
	k->pods = control_informer(ctl, CONTROL_PODS);
	*ret = k;
	if (!k->q || !k->namespaces || !k->pods ||
		informer_add_handler(k->namespaces, on_namespace, NULL, k) < 0 ||
		informer_add_handler(k->pods, on_pod, NULL, k) < 0)
		return -ENOMEM;
	return custom_kinds_new(control_reader(ctl), NULL, NULL, &k->custom);
}

const struct controller namespace_controller = {
	"namespace-controller", namespace_start, namespace_ready, namespace_stop};
