/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * eval: an expression's value. A walk over the nodes that counts what it costs as it goes; && and || take in errors
 * when the other side decides. Source: cel-spec langdef.md (evaluation); cel-go interpreter (attributes, costs). */
#include "orchestrator/cel/cel_int.h"

/* What a chain of selections has come to. */
struct reach {
	struct cel_value v;
	bool optional; /* something before was: what is missing is no error, and the end is optional */
	bool done;     /* an error, or none: the rest of the chain is passed over */
};

static void resolve(struct cel_eval *e, const struct cel_node *n, struct reach *r);

/* Adds to the cost; false = the limit is passed and everything stops. */
static bool
spend(struct cel_eval *e, uint64_t cost)
{
	e->cost = cost > UINT64_MAX - e->cost ? UINT64_MAX : e->cost + cost;
	if (e->cost > e->limit && !e->stop)
		e->stop = -EDQUOT;
	return e->stop == 0;
}

static struct cel_value
stopped(void)
{
	static const struct str text = STR_INIT("operation cancelled: actual cost limit exceeded");
	return (struct cel_value){.kind = CEL_ERROR, .own = &text};
}

/* ---- names ---- */

static struct cel_value
read_slot(struct cel_eval *e, size_t slot)
{
	struct cel_value *v = &e->w->slots[slot];
	if (v->kind == CEL_ERROR && !v->own && e->w->make) {
		struct err why = {0};
		int rc = e->w->make(e->w->arg, slot, v, &why);
		if (rc < 0) {
			if (rc == -ENOMEM)
				e->stop = rc;
			*v = cel_fault(e, "%s", why.msg);
		}
	}
	if (v->kind == CEL_ERROR && !v->own)
		return cel_fault(
			e, "no such attribute(s): %.*s", STR_ARG(e->p->env->vars[slot].name));
	return cel_settle(e, *v);
}

/* Accumulators are made when they are first read: a bound value that nobody reads costs nothing. */
static struct cel_value
read_local(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value *v = &e->locals[n->local];
	if (v->kind == CEL__PARAM) {
		const struct cel_node *fold = v->own;
		*v = (struct cel_value){.kind = CEL_NULL};
		struct cel_value made = cel_run(e, fold->args[FOLD_INIT]);
		*v = made;
	}
	return *v;
}

static bool
is_named(const struct cel_node *n, const char *fn)
{
	return n->kind == NODE_CALL && str_eq_c(n->name, fn);
}

static bool
is_index(const struct cel_node *n)
{
	return is_named(n, "_[_]") || is_named(n, "_[?_]") || is_named(n, "_?._");
}

static bool
is_attribute(const struct cel_node *n)
{
	return n->kind == NODE_IDENT || n->kind == NODE_SELECT || n->kind == NODE_TEST ||
		is_index(n) || is_named(n, "_?_:_");
}

/* ---- chains ---- */

static void
fail(struct reach *r, struct cel_value fault)
{
	r->v = fault;
	r->optional = false;
	r->done = true;
}

static struct cel_value
no_key(struct cel_eval *e, const struct cel_value *key)
{
	struct str text = cel_to_text(e, key);
	return cel_fault(e, "no such key: %.*s", STR_ARG(text));
}

/* The index a number stands for; false = none (fault). */
static bool
index_of(struct cel_eval *e, const struct cel_value *v, int64_t *ret, struct cel_value *fault)
{
	if (v->kind == CEL_INT) {
		*ret = v->i;
		return true;
	}
	if (v->kind == CEL_UINT && v->u <= (uint64_t)INT64_MAX) {
		*ret = (int64_t)v->u;
		return true;
	}
	if (v->kind == CEL_DOUBLE && v->d >= -9.2e18 && v->d <= 9.2e18 &&
		v->d == (double)(int64_t)v->d) {
		*ret = (int64_t)v->d;
		return true;
	}
	struct str text = cel_to_text(e, v), type = cel_type_runtime_name(cel_value_type(e, v));
	*fault = v->kind == CEL_DOUBLE || v->kind == CEL_UINT
		? cel_fault(e, "unsupported index value %.*s in list", STR_ARG(text))
		: cel_fault(e, "unsupported index type '%.*s' in list", STR_ARG(type));
	return false;
}

/* 1 found (*ret), 0 absent, -1 fault (*ret). */
static int
qualify(struct cel_eval *e, const struct cel_value *of, const struct cel_value *key, bool test,
	struct cel_value *ret)
{
	int64_t i = 0;
	switch (of->kind) {
	case CEL_LIST:
		if (!index_of(e, key, &i, ret))
			return -1;
		if (i >= 0 && (uint64_t)i < cel_size(of)) {
			*ret = cel_list_get(e, of, (size_t)i);
			return 1;
		}
		if (!test) {
			struct str text = cel_to_text(e, key);
			*ret = cel_fault(e, "index out of bounds: %.*s", STR_ARG(text));
		}
		return 0;
	case CEL_MAP: {
		int found = cel_map_find(e, of, key, ret);
		if (found == 0 && !test)
			*ret = no_key(e, key);
		return found;
	}
	case CEL_OBJECT: {
		int found = key->kind == CEL_STRING ? cel_field_find(e, of, key->s, ret) : 0;
		if (found == 0 && !test)
			*ret = no_key(e, key);
		return found;
	}
	case CEL_DYN:
	case CEL_NULL:
	case CEL_BOOL:
	case CEL_INT:
	case CEL_UINT:
	case CEL_DOUBLE:
	case CEL_STRING:
	case CEL_BYTES:
	case CEL_DURATION:
	case CEL_TIMESTAMP:
	case CEL_TYPE:
	case CEL_OPTIONAL:
	case CEL_OPAQUE:
	case CEL_ERROR:
	case CEL__PARAM:
		break;
	}
	if (!test)
		*ret = no_key(e, key);
	return 0;
}

static struct cel_value
finish(struct cel_eval *e, const struct reach *r)
{
	return r->optional && !r->done ? cel_some(e, r->v) : r->v;
}

/* The value of an index: an attribute is read without the cost of a name. */
static struct cel_value
read_key(struct cel_eval *e, const struct cel_node *n)
{
	if (n->kind == NODE_CONST)
		return n->value;
	if (!is_attribute(n))
		return cel_run(e, n);
	struct reach r = {.done = false};
	resolve(e, n, &r);
	return finish(e, &r);
}

/* One step: r->v[key]. */
static void
step(struct cel_eval *e, struct reach *r, const struct cel_value *key, bool optional, bool test)
{
	struct cel_value out = cel_null();
	r->optional = r->optional || optional;
	bool lenient = r->optional || test;
	if (cel_is_fault(key)) {
		spend(e, 1);
		fail(r, *key);
		return;
	}
	int found = qualify(e, &r->v, key, lenient, &out);
	if (found > 0 || !lenient || (test && !r->optional) || found < 0)
		spend(e, 1);
	if (found > 0 && cel_is_fault(&out))
		found = -1;
	if (found < 0 || (found == 0 && !lenient)) {
		fail(r, out);
	} else if (test && !r->optional) {
		r->v = cel_of_bool(found > 0);
	} else if (found == 0) {
		fail(r, cel_none());
	} else {
		r->v = out;
	}
}

static void
base(struct cel_eval *e, const struct cel_node *n, struct reach *r)
{
	if (n->kind == NODE_IDENT)
		r->v = n->slot >= 0 ? read_slot(e, (size_t)n->slot) : read_local(e, n);
	else
		r->v = cel_run(e, n);
	if (cel_is_fault(&r->v))
		r->done = true;
}

static void
unwrap(struct reach *r)
{
	if (r->done || r->v.kind != CEL_OPTIONAL)
		return;
	if (!cel_has_value(&r->v)) {
		r->done = true;
		return;
	}
	r->v = cel_unwrap(&r->v);
	r->optional = true;
}

static void
conditional(struct cel_eval *e, const struct cel_node *n, struct reach *r)
{
	struct cel_value c = cel_run(e, n->args[0]);
	if (c.kind != CEL_BOOL) {
		fail(r, cel_is_fault(&c) ? c : cel_no_overload(e));
		return;
	}
	const struct cel_node *branch = n->args[c.b ? 1 : 2];
	if (is_attribute(branch)) {
		resolve(e, branch, r);
		return;
	}
	base(e, branch, r);
}

/* The chain that ends in n, without the cost of its name. */
static void
resolve(struct cel_eval *e, const struct cel_node *n, struct reach *r)
{
	if (e->depth >= CEL_MAX_WALK || e->stop) {
		fail(r, stopped());
		e->stop = e->stop ? e->stop : -E2BIG;
		return;
	}
	e->depth++;
	if (is_named(n, "_?_:_")) {
		conditional(e, n, r);
	} else if (n->kind == NODE_SELECT || n->kind == NODE_TEST || is_index(n)) {
		const struct cel_node *of = n->args[0];
		if (is_attribute(of))
			resolve(e, of, r);
		else
			base(e, of, r);
		if (!r->optional)
			unwrap(r);
		if (!r->done) {
			struct cel_value key = n->kind == NODE_CALL ? read_key(e, n->args[1])
								    : cel_of_string(n->name);
			step(e, r, &key, is_named(n, "_[?_]") || is_named(n, "_?._"),
				n->kind == NODE_TEST);
		}
	} else {
		base(e, n, r);
	}
	e->depth--;
}

static struct cel_value
run_attribute(struct cel_eval *e, const struct cel_node *n)
{
	struct reach r = {.done = false};
	resolve(e, n, &r);
	const struct cel_node *first = n;
	while (first->kind == NODE_SELECT || first->kind == NODE_TEST || is_index(first))
		first = first->args[0];
	if (!is_named(first, "_?_:_") && n->kind != NODE_TEST && !spend(e, 1))
		return stopped();
	if (n->kind == NODE_TEST && !cel_is_fault(&r.v) && (r.optional || r.v.kind == CEL_OPTIONAL))
		return cel_of_bool(!(r.v.kind == CEL_OPTIONAL && !cel_has_value(&r.v)));
	return finish(e, &r);
}

/* ---- calls ---- */

static struct cel_value
run_logic(struct cel_eval *e, const struct cel_node *n, bool decides)
{
	struct cel_value fault = cel_null();
	bool failed = false;
	for (size_t i = 0; i < n->n; i++) {
		struct cel_value v = cel_run(e, n->args[i]);
		if (v.kind == CEL_BOOL && v.b == decides)
			return v;
		if (v.kind != CEL_BOOL && !failed) {
			fault = cel_is_fault(&v) ? v : cel_no_overload(e);
			failed = true;
		}
		if (e->stop)
			return stopped();
	}
	return failed ? fault : cel_of_bool(!decides);
}

static struct cel_value
run_or(struct cel_eval *e, const struct cel_node *n, bool value)
{
	struct cel_value v = cel_run(e, n->args[0]);
	if (cel_is_fault(&v))
		return v;
	if (v.kind != CEL_OPTIONAL)
		return cel_no_overload(e);
	if (!cel_has_value(&v))
		return cel_run(e, n->args[1]);
	return value ? cel_unwrap(&v) : v;
}

static struct cel_value
dispatch(struct cel_eval *e, const struct cel_node *n, const struct cel_value *args)
{
	if (str_eq_c(n->name, "@not_strictly_false"))
		return cel_of_bool(args[0].kind != CEL_BOOL || args[0].b);
	for (size_t i = 0; i < n->n; i++)
		if (cel_is_fault(&args[i]))
			return args[i];
	for (size_t i = 0; i < n->n_fns; i++)
		if (cel_call_fits(n->fns[i], args, n->n) && n->fns[i]->row->call)
			return n->fns[i]->row->call(e, args, n->n);
	return str_eq_c(n->name, "size") ? cel_fault(e, "no such overload: size")
					 : cel_no_overload(e);
}

/* The accumulator takes one more item: nobody else has it. */
static struct cel_value
run_append(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value accu = cel_run(e, n->args[0]);
	struct cel_value item = cel_run(e, n->args[1]);
	if (cel_is_fault(&accu) || cel_is_fault(&item) || e->stop) {
		spend(e, 1);
		return cel_is_fault(&accu) ? accu : item;
	}
	const struct cel_list *more = item.own;
	const struct cel_list *old = accu.own;
	struct cel_value *items = old->items;
	size_t count = old->n;
	struct cel_value *slot = more->n ? ARENA_PUSH(e->a, items, count) : NULL;
	if (more->n && !slot) {
		e->stop = -ENOMEM;
		return stopped();
	}
	if (slot)
		*slot = more->items[0];
	return spend(e, 1) ? cel_list_of(e, items, count) : stopped();
}

static struct cel_value
run_insert(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value args[3];
	for (size_t i = 0; i < n->n; i++)
		args[i] = cel_run(e, n->args[i]);
	spend(e, 1);
	for (size_t i = 0; i < n->n; i++)
		if (cel_is_fault(&args[i]))
			return args[i];
	if (e->stop || args[0].kind != CEL_MAP)
		return e->stop ? stopped() : cel_no_overload(e);
	struct cel_map *m = ARENA_NEW(e->a, struct cel_map);
	if (!m) {
		e->stop = -ENOMEM;
		return stopped();
	}
	*m = *(const struct cel_map *)args[0].own;
	struct cel_value k = args[1], v = args[2];
	struct cel_iter it = {.of = &args[1]};
	if (n->n == 2 && args[1].kind != CEL_MAP)
		return cel_no_overload(e);
	for (bool more = n->n == 3 || cel_next(e, &it, &k, &v); more;
		more = n->n == 2 && cel_next(e, &it, &k, &v)) {
		if (cel_map_at(m, &k)) {
			struct str text = cel_to_text(e, &k);
			return cel_fault(
				e, "insert failed: key %.*s already exists", STR_ARG(text));
		}
		cel_map_put(e, m, k, v);
	}
	return (struct cel_value){.kind = CEL_MAP, .own = m};
}

#define MAX_ARGS 4
static struct cel_value
run_call(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value args[MAX_ARGS];
	if (n->n > MAX_ARGS)
		return cel_no_overload(e);
	for (size_t i = 0; i < n->n; i++) {
		args[i] = cel_run(e, n->args[i]);
		if (e->stop)
			return stopped();
		if (n->n > 2 && cel_is_fault(&args[i]))
			return args[i];
	}
	struct cel_value v = dispatch(e, n, args);
	uint64_t cost = n->folded ? 0 : cel_call_cost(e, n, args, n->n, &v);
	return spend(e, cost) ? v : stopped();
}

static struct cel_value
run_any_call(struct cel_eval *e, const struct cel_node *n)
{
	if (is_attribute(n))
		return run_attribute(e, n);
	if (str_eq_c(n->name, "_&&_"))
		return run_logic(e, n, false);
	if (str_eq_c(n->name, "_||_"))
		return run_logic(e, n, true);
	if (n->member && str_eq_c(n->name, "or"))
		return run_or(e, n, false);
	if (n->member && str_eq_c(n->name, "orValue"))
		return run_or(e, n, true);
	if (n->append)
		return n->name.p[0] == '_' ? run_append(e, n) : run_insert(e, n);
	return run_call(e, n);
}

/* ---- literals ---- */

static struct cel_value
bad_optional(struct cel_eval *e, const struct cel_value *v)
{
	struct str type = cel_type_runtime_name(cel_value_type(e, v));
	return cel_fault(e, "cannot initialize optional list element from non-optional value %.*s",
		STR_ARG(type));
}

static struct cel_value
run_list(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value *items = ARENA_ARRAY(e->a, struct cel_value, n->n);
	size_t count = 0;
	if (!items) {
		e->stop = -ENOMEM;
		return stopped();
	}
	for (size_t i = 0; i < n->n; i++) {
		struct cel_value v = cel_run(e, n->args[i]);
		if (e->stop)
			return stopped();
		if (cel_is_fault(&v)) {
			spend(e, 10);
			return v;
		}
		if (n->optional && n->optional[i]) {
			if (v.kind != CEL_OPTIONAL)
				return bad_optional(e, &v);
			if (!cel_has_value(&v))
				continue;
			v = cel_unwrap(&v);
		}
		items[count++] = v;
	}
	return spend(e, 10) ? cel_list_of(e, items, count) : stopped();
}

static struct cel_value
run_map(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_map *m = ARENA_NEW(e->a, struct cel_map);
	if (!m) {
		e->stop = -ENOMEM;
		return stopped();
	}
	for (size_t i = 0; i < n->n; i += 2) {
		struct cel_value k = cel_run(e, n->args[i]);
		struct cel_value v = cel_is_fault(&k) ? k : cel_run(e, n->args[i + 1]);
		if (e->stop)
			return stopped();
		if (cel_is_fault(&v)) {
			spend(e, 30);
			return v;
		}
		if (n->optional && n->optional[i / 2]) {
			if (v.kind != CEL_OPTIONAL)
				return bad_optional(e, &v);
			if (!cel_has_value(&v))
				continue;
			v = cel_unwrap(&v);
		}
		cel_map_put(e, m, k, v);
	}
	return spend(e, 30) ? (struct cel_value){.kind = CEL_MAP, .own = m} : stopped();
}

static struct cel_value
run_struct(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_message *m = ARENA_NEW(e->a, struct cel_message);
	struct cel_value *values = ARENA_ARRAY(e->a, struct cel_value, n->n);
	struct str *names = ARENA_ARRAY(e->a, struct str, n->n);
	if (!m || !values || !names) {
		e->stop = -ENOMEM;
		return stopped();
	}
	*m = (struct cel_message){.type = n->type, .values = values, .names = names};
	for (size_t i = 0; i < n->n; i++) {
		struct cel_value v = cel_run(e, n->args[i]);
		if (cel_is_fault(&v) || e->stop) {
			spend(e, 40);
			return e->stop ? stopped() : v;
		}
		if (n->optional && n->optional[i]) {
			if (v.kind != CEL_OPTIONAL)
				return bad_optional(e, &v);
			if (!cel_has_value(&v))
				continue;
			v = cel_unwrap(&v);
		}
		names[m->n] = n->names[i];
		values[m->n++] = v;
	}
	if (!spend(e, 40))
		return stopped();
	return (struct cel_value){.kind = CEL_OBJECT, .type = n->type, .own = m};
}

/* ---- folds ---- */

static bool
is_bind(const struct cel_node *n)
{
	const struct cel_node *c = n->args[FOLD_CONDITION];
	return c->kind == NODE_CONST && c->value.kind == CEL_BOOL && !c->value.b;
}

static struct cel_value
run_fold(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value range = cel_run(e, n->args[FOLD_RANGE]), key, value;
	bool two = str_is_set(n->iter2);
	if (cel_is_fault(&range))
		return range;
	bool list = range.kind == CEL_LIST;
	if (!list && range.kind != CEL_MAP && range.kind != CEL_OBJECT) {
		struct str type = cel_type_runtime_name(cel_value_type(e, &range));
		return cel_fault(e, "got '%.*s', expected iterable type", STR_ARG(type));
	}
	struct cel_value *locals = &e->locals[n->local];
	struct cel_value kept[3] = {locals[0], locals[1], locals[2]};
	locals[0] = (struct cel_value){.kind = CEL__PARAM, .own = n};
	struct cel_iter it = {.of = &range};
	while (!is_bind(n) && !e->stop && cel_next(e, &it, &key, &value)) {
		locals[1] = list && !two ? value : key;
		locals[2] = value;
		struct cel_value go = cel_run(e, n->args[FOLD_CONDITION]);
		if (go.kind == CEL_BOOL && !go.b)
			break;
		struct cel_value next = cel_run(e, n->args[FOLD_STEP]);
		locals[0] = next;
	}
	struct cel_value v = e->stop ? stopped() : cel_run(e, n->args[FOLD_RESULT]);
	for (size_t i = 0; i < 3; i++)
		locals[i] = kept[i];
	return v;
}

struct cel_value
cel_run(struct cel_eval *e, const struct cel_node *n)
{
	struct cel_value v = stopped();
	if (e->stop)
		return v;
	if (e->depth >= CEL_MAX_WALK) {
		e->stop = -E2BIG;
		return v;
	}
	e->depth++;
	switch (n->kind) {
	case NODE_CONST:
		v = n->value;
		break;
	case NODE_IDENT:
	case NODE_SELECT:
	case NODE_TEST:
		v = run_attribute(e, n);
		break;
	case NODE_CALL:
		v = run_any_call(e, n);
		break;
	case NODE_LIST:
		v = run_list(e, n);
		break;
	case NODE_MAP:
		v = run_map(e, n);
		break;
	case NODE_STRUCT:
		v = run_struct(e, n);
		break;
	case NODE_FOLD:
		v = run_fold(e, n);
		break;
	}
	e->depth--;
	return v;
}

struct evaluation {
	struct cel_eval *e;
	const struct cel_node *root;
	struct cel_value v;
};

static void
evaluate(void *arg)
{
	struct evaluation *ev = arg;
	ev->v = cel_run(ev->e, ev->root);
}

int
cel_eval_cost(struct arena *a, const struct cel_program *p, struct cel_world *w,
	struct cel_value *ret, uint64_t *cost, struct err *err)
{
	struct cel_eval e = {.a = a, .p = p, .w = w, .limit = CEL_COST_PER_CALL, .err = err};
	e.locals = ARENA_ARRAY(a, struct cel_value, p->n_locals);
	if (!e.locals)
		return err_set(err, -ENOMEM, R_INTERNAL_ERROR, "out of memory");
	struct evaluation ev = {&e, p->root, cel_null()};
	if (p->depth <= CEL_SHALLOW)
		evaluate(&ev);
	else if (loop_call_deep(CEL_STACK, evaluate, &ev) < 0)
		e.stop = -ENOMEM;
	struct cel_value v = ev.v;
	*cost = e.cost;
	if (e.stop == -EDQUOT)
		return err_set(
			err, e.stop, R_INVALID, "operation cancelled: actual cost limit exceeded");
	if (e.stop)
		return err_set(err, e.stop, R_INTERNAL_ERROR,
			e.stop == -E2BIG ? "expression is nested too deeply" : "out of memory");
	if (cel_is_fault(&v))
		return err_set(err, -EINVAL, R_INVALID, STR_FMT, STR_ARG(cel_fault_text(&v)));
	*ret = v;
	return 0;
}

int
cel_eval(struct arena *a, const struct cel_program *p, struct cel_world *w, struct cel_value *ret,
	struct err *e)
{
	uint64_t cost = 0;
	int rc = cel_eval_cost(a, p, w, ret, &cost, e);
	if (!w->budget)
		return rc;
	if (cost > *w->budget) {
		*w->budget = 0;
		return err_set(e, -EDQUOT, R_INVALID,
			"validation failed due to running out of cost budget, no further validation rules will be run");
	}
	*w->budget -= cost;
	return rc;
}
