/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * commit: the stage that makes one store transaction of a write and waits for it; and the reply stage
 * behind it.
 *
 * The transaction has a condition on the object itself (absent, or unchanged since it was read), the
 * conditions of further parts (the namespace is active, an address is free), and all writes. A
 * condition that fails starts the write over with what is there now; preconditions of the client
 * then answer 409 by themselves. An update that changes nothing is not written.
 * Invariant: a reply leaves only after the store's done.
 * Source: architecture.md section 4; k8s.io/apiserver registry/generic/registry (Store.Update,
 * deleteWithoutFinalizers). */
#include "orchestrator/api/convert.h"
#include "orchestrator/schema/attrs.h"

#define MAX_ATTEMPTS 24
#define GENERATE_ATTEMPTS 8

enum { PHASE_PREPARE, PHASE_CONVERTING, PHASE_SUBMITTED, PHASE_DONE };

struct commit_state {
	struct store_txn txn;
	struct request *r;
	struct store_op main_op;
	size_t *cond_parts; /* which part a condition is of; SIZE_MAX = the object itself */
};

/* ---- encoding -------------------------------------------------------------------------------------- */

/* The version it is stored in, and the fields that any version selects by. */
static void
custom_attrs(const struct api_resource *st, const struct doc *d, struct buf *out)
{
	const struct custom *c = st->custom;
	convert_attr(out, st);
	schema_attrs(st->kind, d, out);
	for (size_t i = 0; i < c->n_rows; i++)
		if (&c->rows[i] != st)
			schema_attrs_more(c->rows[i].kind, st->kind, d, out);
}

static int
op_encode(struct request *r, const struct api_resource *res, struct doc *obj, struct store_op *op)
{
	struct doc *d = doc_copy(r->a, obj);
	const struct api_resource *st = res->stored;
	if (!d)
		return -ENOMEM;
	if (!convert_stored(res)) /* else the webhook has done it */
		object_convert(r->a, res, d, true);
	if (res->shares && res->ops->between && schema_default(r->a, st->kind->type, d) < 0)
		return -ENOMEM;
	struct doc *meta = doc_ensure_map(r->a, d, STR("metadata"));
	if (meta)
		doc_set(meta, STR("resourceVersion"), NULL);
	struct buf body, attrs;
	buf_init_arena(&body, r->a);
	buf_init_arena(&attrs, r->a);
	uint32_t off = 0;
	int rc = schema_write(r->a, st->kind->type, d, true, &body, &off);
	if (rc < 0)
		return rc;
	if (st->custom)
		custom_attrs(st, d, &attrs);
	else
		schema_attrs(st->kind, d, &attrs);
	if (body.failed || attrs.failed || arena_failed(r->a))
		return -ENOMEM;
	op->body = buf_view(&body);
	op->attrs = buf_view(&attrs);
	op->rv_offset = off;
	op->schema_id = st->schema_id;
	if (res->ttl_ns)
		op->expires_ns = r->wall_ns + res->ttl_ns;
	return 0;
}

static struct str
splice_rev(struct request *r, struct str body, uint32_t off, uint64_t rev)
{
	if (off == 0)
		return body;
	struct buf b;
	buf_init_arena(&b, r->a);
	buf_reserve(&b, body.n + 24);
	buf_str(&b, str_sub(body, 0, off));
	buf_u64(&b, rev);
	buf_str(&b, str_sub(body, off, SIZE_MAX));
	return buf_view(&b);
}

/* ---- an update that changes nothing ---------------------------------------------------------------- */

struct same_state {
	struct request *r;
	const struct store_op *op;
	struct str body; /* the stored one, when it is the same */
};

/* Are they the same but for the times of managedFields? Those are all of one length. */
static bool
same_but_times(struct str x, struct str y)
{
	static const struct str time = STR_INIT("\"time\":\"");
	size_t i = 0;
	if (x.n != y.n)
		return false;
	for (;;) {
		while (i < x.n && x.p[i] == y.p[i])
			i++;
		if (i == x.n)
			return true;
		/* the first difference: within a time, all of which is passed over */
		size_t from = i, end = i;
		while (from > 0 && x.p[from - 1] != '"')
			from--;
		while (end < x.n && x.p[end] != '"' && y.p[end] != '"')
			end++;
		if (from < time.n || end == x.n || x.p[end] != y.p[end] ||
			!str_eq(str_sub(x, from - time.n, from), time))
			return false;
		i = end;
	}
}

/* The text of managedFields, and what stands before and behind it. */
static bool
managed_split(struct str s, struct str *ret_before, struct str *ret_managed, struct str *ret_behind)
{
	static const struct str name = STR_INIT(",\"managedFields\":[");
	ptrdiff_t at = str_find(s, name);
	ptrdiff_t end = at < 0 ? -1 : str_find(str_sub(s, (size_t)at, SIZE_MAX), STR("}]}"));
	if (end < 0)
		return false;
	*ret_before = str_sub(s, 0, (size_t)at);
	*ret_managed = str_sub(s, (size_t)at, (size_t)(at + end));
	*ret_behind = str_sub(s, (size_t)(at + end), SIZE_MAX);
	return true;
}

static bool
same_body(struct str x, struct str y)
{
	struct str xb, xm, xe, yb, ym, ye;
	if (str_eq(x, y))
		return true;
	return x.n == y.n && managed_split(x, &xb, &xm, &xe) && managed_split(y, &yb, &ym, &ye) &&
		str_eq(xb, yb) && str_eq(xe, ye) && same_but_times(xm, ym);
}

static void
same_check(void *arg, const struct store_value *v)
{
	struct same_state *ss = arg;
	uint32_t off = ss->op->rv_offset;
	if (v->rev != ss->r->old_rev || v->rv_offset != off || off == 0 || off > v->body.n)
		return;
	struct str tail = str_sub(v->body, off, SIZE_MAX);
	ptrdiff_t quote = str_find_char(tail, '"');
	if (quote < 0 || !str_eq(str_sub(v->body, 0, off), str_sub(ss->op->body, 0, off)) ||
		!same_body(str_sub(tail, (size_t)quote, SIZE_MAX),
			str_sub(ss->op->body, off, SIZE_MAX)))
		return;
	ss->body = arena_str(ss->r->a, v->body);
}

/* ---- preparing ------------------------------------------------------------------------------------- */

/* A deleted object that nothing holds any more goes with this write. */
static bool
is_finalized(const struct request *r, const struct doc *obj)
{
	const struct doc *meta = meta_of(obj);
	if (!doc_get_str(meta, STR("deletionTimestamp")).n ||
		doc_len(doc_get(meta, STR("finalizers"))) ||
		doc_get_int(meta, STR("deletionGracePeriodSeconds"), 0) > 0)
		return false;
	return r->res != r->server->namespaces ||
		doc_len(doc_get(doc_get(obj, STR("spec")), STR("finalizers"))) == 0;
}

static enum step
commit_failed(struct request *r, int rc)
{
	if (rc == -ENOMEM || rc == -E2BIG)
		return request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "the object is too large");
	if (rc == -ERANGE)
		return request_fail(r, R_INVALID, "the name and namespace are too long together");
	if (rc == -ENOSPC)
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: the disk of the object store is full");
	return request_fail(
		r, R_INTERNAL_ERROR, "Internal error occurred: the store failed (%d)", rc);
}

static int
part_op(struct request *r, const struct commit_part *p, struct store_key key, struct store_op *op)
{
	*op = (struct store_op){.kind = p->del ? STORE_DELETE : STORE_PUT, .key = key};
	if (p->del)
		return 0;
	if (!p->obj) {
		op->body = STR("{}");
		return 0;
	}
	const struct api_resource *res = api_resource_find(
		r->server, p->group, STR(""), p->resource);
	return res ? op_encode(r, res, p->obj, op) : -EINVAL;
}

/* Hidden resources are registered at first use: at start by the kinds that have them. */
static int
part_key(struct request *r, const struct commit_part *p, struct store_key *ret)
{
	const struct api_resource *res = api_resource_find(
		r->server, p->group, STR(""), p->resource);
	int n = 0;
	if (res && res->store_res != API_NO_STORE) {
		n = (int)res->store_res;
	} else {
		n = store_resource(r->server->store,
			arena_fmt(r->a, STR_FMT "/" STR_FMT, STR_ARG(p->group),
				STR_ARG(p->resource)));
		if (n < 0)
			return n;
	}
	*ret = (struct store_key){(uint32_t)n, p->ns, p->name};
	return 0;
}

static int
txn_build(struct commit_state *cs)
{
	struct request *r = cs->r;
	size_t n = r->n_parts + 1, n_conds = 0, n_ops = 0;
	struct store_cond *conds = ARENA_ARRAY(r->a, struct store_cond, n);
	struct store_op *ops = ARENA_ARRAY(r->a, struct store_op, n);
	cs->cond_parts = ARENA_ARRAY(r->a, size_t, n);
	if (!conds || !ops || !cs->cond_parts)
		return -ENOMEM;
	struct store_key key = request_key(r);
	cs->cond_parts[n_conds] = SIZE_MAX;
	conds[n_conds++] = (struct store_cond){
		.key = key, .kind = r->created ? STORE_ABSENT : STORE_REV_IS, .rev = r->old_rev};
	ops[n_ops++] = cs->main_op;
	for (size_t i = 0; i < r->n_parts; i++) {
		const struct commit_part *p = &r->parts[i];
		struct store_key pk;
		int rc = part_key(r, p, &pk);
		if (rc < 0)
			return rc;
		if (p->has_cond) {
			cs->cond_parts[n_conds] = i;
			conds[n_conds++] = (struct store_cond){
				.key = pk, .kind = p->cond, .rev = p->rev};
		}
		if (!p->put && !p->del)
			continue;
		rc = part_op(r, p, pk, &ops[n_ops++]);
		if (rc < 0)
			return rc;
	}
	cs->txn.conds = conds;
	cs->txn.n_conds = n_conds;
	cs->txn.ops = ops;
	cs->txn.n_ops = n_ops;
	return arena_failed(r->a) ? -ENOMEM : 0;
}

static void
commit_done(struct store_txn *t)
{
	struct commit_state *cs = t->arg;
	cs->r->plugin = PHASE_DONE;
	commit_ended(cs->r->server);
	request_resume(cs->r, true);
}

/* What would be created has no revision yet: the member is left out. */
static struct str
without_rev(struct request *r, struct str body, uint32_t off)
{
	static const struct str member = STR_INIT(",\"resourceVersion\":\"");
	if (off < member.n || !str_eq(str_sub(body, off - member.n, off), member))
		return body;
	return arena_cat(r->a,
		(struct str[]){str_sub(body, 0, off - member.n), str_sub(body, off + 1, SIZE_MAX)},
		2);
}

/* Dry run: what the store would have said about the object itself. */
static enum step
dry_run(struct request *r, struct commit_state *cs)
{
	struct store_value v;
	bool there = store_get(r->server->store, request_key(r), r->a, &v) == 0;
	if (r->created && there)
		return request_fail_exists(r, r->name);
	struct str body = cs->main_op.body;
	r->reply_body = r->removed && !body.n ? STR_NONE
		: r->created && !r->old_rev
		? without_rev(r, body, cs->main_op.rv_offset)
		: splice_rev(r, body, cs->main_op.rv_offset, r->old_rev);
	return STEP_NEXT;
}

/* The object as it is to be stored, by the webhook of its definition. */
static enum step
commit_convert(struct request *r, struct doc **ret)
{
	struct convert_wait *w = r->stage_state;
	struct convert_item *item = NULL;
	enum step st = STEP_NEXT;
	if (r->plugin == PHASE_CONVERTING) {
		st = convert_take(r, w);
		*ret = w->c.items[0].doc;
		r->plugin = PHASE_PREPARE;
		r->stage_state = NULL;
		return st;
	}
	item = ARENA_NEW(r->a, struct convert_item);
	if (!item)
		return commit_failed(r, -ENOMEM);
	*item = (struct convert_item){r->res, r->obj};
	st = convert_ask(r, r->a, r->res->stored, item, 1, &w);
	if (st == STEP_WAIT)
		r->plugin = PHASE_CONVERTING;
	*ret = item->doc;
	return st;
}

static enum step
commit_prepare(struct request *r)
{
	const struct kind_ops *ops = r->res->ops;
	struct doc *stored = r->obj;
	enum step converted = STEP_NEXT;
	r->removed = !r->obj || (!r->created && is_finalized(r, r->obj));
	if (convert_stored(r->res) && r->removed)
		stored = NULL; /* it is gone as it was stored last */
	else if (convert_stored(r->res))
		converted = commit_convert(r, &stored);
	if (converted != STEP_NEXT)
		return converted;
	if (ops->before_commit && (!r->sub || r->removed || r->sub->serve)) {
		enum step st = ops->before_commit(r, r->removed ? NULL : r->obj, r->old);
		if (st != STEP_NEXT)
			return st;
		if (r->causes.n)
			return request_fail_invalid(r);
	}
	struct commit_state *cs = ARENA_NEW(r->a, struct commit_state);
	if (!cs)
		return commit_failed(r, -ENOMEM);
	cs->r = r;
	cs->main_op.key = request_key(r);
	cs->main_op.kind = r->removed ? STORE_DELETE : STORE_PUT;
	int rc = stored ? op_encode(r, r->res, stored, &cs->main_op) : 0;
	if (rc < 0)
		return commit_failed(r, rc);
	if (r->opt.dry_run)
		return dry_run(r, cs);
	struct same_state same = {.r = r, .op = &cs->main_op};
	if (!r->created && !r->removed && r->n_parts == 0 && r->res->ttl_ns == 0)
		store_borrow(r->server->store, cs->main_op.key, same_check, &same);
	if (str_is_set(same.body)) {
		r->reply_body = same.body;
		return STEP_NEXT;
	}
	if (atomic_load(&r->server->stopping))
		return request_fail_retry(
			r, R_SERVICE_UNAVAILABLE, 1, "the server is shutting down");
	rc = txn_build(cs);
	if (rc < 0)
		return commit_failed(r, rc);
	cs->txn.reply_to = r->loop;
	cs->txn.done = commit_done;
	cs->txn.arg = cs;
	r->stage_state = cs;
	r->plugin = PHASE_SUBMITTED;
	atomic_fetch_add(&r->server->commits, 1);
	store_commit(r->server->store, &cs->txn);
	return STEP_WAIT;
}

/* ---- done ------------------------------------------------------------------------------------------ */

static enum step
commit_conflict(struct request *r, struct commit_state *cs)
{
	size_t part = cs->txn.failed_cond < cs->txn.n_conds ? cs->cond_parts[cs->txn.failed_cond]
							    : SIZE_MAX;
	struct str generate = r->obj ? doc_get_str(meta_of(r->obj), STR("generateName")) : STR("");
	if (part == SIZE_MAX && r->created && r->verb == VERB_CREATE) {
		bool again = generate.n && str_starts(r->name, generate) &&
			r->attempts < GENERATE_ATTEMPTS;
		if (!again)
			return request_fail_exists(r, r->name);
		r->name = STR("");
	}
	if (r->attempts >= MAX_ATTEMPTS)
		return request_fail_conflict(r, r->name,
			"the object has been modified; please apply your changes to the latest version "
			"and try again");
	if (part != SIZE_MAX && r->parts[part].conflict) {
		enum step st = r->parts[part].conflict(r, &r->parts[part]);
		if (st == STEP_REPLY)
			return st;
	}
	if (r->created && r->verb == VERB_CREATE && r->res == r->server->namespaces)
		r->ns = STR("");
	return request_restart(r);
}

enum step
stage_commit(struct request *r)
{
	if (r->plugin == PHASE_PREPARE || r->plugin == PHASE_CONVERTING)
		return commit_prepare(r);
	struct commit_state *cs = r->stage_state;
	if (r->plugin != PHASE_DONE)
		return STEP_WAIT;
	if (cs->txn.result == -ESTALE)
		return commit_conflict(r, cs);
	if (cs->txn.result < 0)
		return commit_failed(r, cs->txn.result);
	if (cs->main_op.body.n)
		r->reply_body = splice_rev(r, cs->main_op.body, cs->main_op.rv_offset, cs->txn.rev);
	if (r->res->ops->after_commit)
		r->res->ops->after_commit(r, r->removed ? NULL : r->obj, r->old);
	return STEP_NEXT;
}

/* ---- reply ----------------------------------------------------------------------------------------- */

/* Resources whose deletion answers the object rather than a Status. */
static const struct {
	const char *group, *plural;
} answer_object[] = {{"", "pods"}, {"", "podtemplates"}, {"", "persistentvolumes"},
	{"", "persistentvolumeclaims"}, {"", "resourcequotas"}, {"", "serviceaccounts"},
	{"", "services"}, {"storage.k8s.io", "storageclasses"}, {"storage.k8s.io", "csidrivers"},
	{"storage.k8s.io", "csinodes"}, {"storage.k8s.io", "volumeattachments"},
	{"storage.k8s.io", "volumeattributesclasses"}, {"resource.k8s.io", "deviceclasses"},
	{"resource.k8s.io", "resourceclaims"}, {"resource.k8s.io", "resourceclaimtemplates"},
	{"resource.k8s.io", "resourceslices"}};

/* The object as it went: a pod goes marked as deleted. */
static struct doc *
last_form(struct request *r)
{
	struct doc *d = doc_copy(r->a, r->old);
	struct doc *meta = d ? doc_ensure_map(r->a, d, STR("metadata")) : NULL;
	if (meta && r->verb == VERB_DELETE && str_eq_c(r->res->plural, "pods") &&
		!doc_get(meta, STR("deletionTimestamp")))
		delete_mark(r, meta, 0, true);
	return d;
}

static enum step
reply_deleted(struct request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(answer_object); i++)
		if (r->old && str_eq_c(r->res->plural, answer_object[i].plural) &&
			str_eq_c(r->res->group, answer_object[i].group))
			return request_reply_doc(r, 200, last_form(r));
	return request_success_status(r, 200, doc_get_str(meta_of(r->old), STR("uid")));
}

/* The object itself, or what its Scale is. */
static enum step
reply_tree(struct request *r, int http, struct doc *d)
{
	if (d && r->sub && str_eq(r->sub->name, STR("scale")))
		d = scale_of(r, d);
	return d ? request_reply_doc(r, http, d)
		 : request_fail(r, R_REQUEST_ENTITY_TOO_LARGE, "out of memory");
}

/* What was stored, back in the request's version: by the webhook that brought it there. */
static enum step
reply_converted(struct request *r, int http)
{
	struct convert_wait *w = r->stage_state;
	struct convert_item *item = w ? w->c.items : ARENA_NEW(r->a, struct convert_item);
	enum step st = STEP_NEXT;
	if (w) {
		st = convert_take(r, w);
	} else if (item) {
		*item = convert_item_body(r->a, r->res->stored, r->reply_body);
		if (item->doc)
			st = convert_ask(r, r->a, r->res, item, 1, &w);
	}
	return st == STEP_NEXT ? reply_tree(r, http, item ? item->doc : NULL) : st;
}

enum step
stage_reply(struct request *r)
{
	int http = r->created || r->reply_success ? 201 : 200;
	if (r->reply_success)
		return request_success_status(r, http, STR(""));
	if (r->obj && r->removed && r->verb != VERB_DELETE && convert_stored(r->res))
		return reply_tree(r, http, r->obj);
	if (!str_is_set(r->reply_body) || (r->verb == VERB_DELETE && r->removed))
		return reply_deleted(r);
	if (convert_stored(r->res))
		return reply_converted(r, http);
	if (r->sub && str_eq(r->sub->name, STR("scale")))
		return reply_tree(r, http, object_parse(r->a, r->res, r->reply_body));
	return reply_stored(r, http, r->reply_body);
}
