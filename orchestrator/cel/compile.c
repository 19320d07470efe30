/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * compile: from the text of an expression to a program: parse, check, estimate, fold; and how what is wrong is told.
 * Source: cel-go common/errors.go (form of the texts), cel/validator.go (literals). */
#include "orchestrator/cel/cel_int.h"

#define SNIPPET_MAX 16384

const struct cel_env *
cel_env_types(struct arena *a, const struct cel_variable *vars, size_t n,
	const struct cel_type *const *types, size_t n_types)
{
	struct cel_env *env = ARENA_NEW(a, struct cel_env);
	struct cel_variable *own = ARENA_ARRAY(a, struct cel_variable, n);
	const struct cel_type **own_types = ARENA_ARRAY(a, const struct cel_type *, n_types);
	if (!env || !own || !own_types)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		own[i] = vars[i];
		own[i].name = arena_str(a, vars[i].name);
	}
	for (size_t i = 0; i < n_types; i++)
		own_types[i] = types[i];
	*env = (struct cel_env){.vars = own, .n_vars = n, .types = own_types, .n_types = n_types};
	return env;
}

const struct cel_env *
cel_env_new(struct arena *a, const struct cel_variable *vars, size_t n)
{
	return cel_env_types(a, vars, n, NULL, 0);
}

/* ---- issues ---- */

void
cel_issue(struct cel_compiler *c, uint32_t at, const char *fmt, ...)
{
	if (c->n_issues >= CEL_MAX_ISSUES) {
		c->more_issues++;
		return;
	}
	struct cel_issue *i = ARENA_PUSH(c->a, c->issues, c->n_issues);
	if (!i) {
		c->failed = c->stop = true;
		return;
	}
	va_list ap;
	va_start(ap, fmt);
	i->text = arena_vfmt(c->a, fmt, ap);
	va_end(ap);
	i->line = at; /* an offset until cel_issue_place makes line and column of it */
}

static void
place(struct cel_compiler *c, struct cel_issue *i)
{
	uint32_t at = i->line, line = 1, column = 0, point = 0;
	if (at == UINT32_MAX) {
		i->line = UINT32_MAX;
		i->column = 0;
		return;
	}
	uint32_t r = 0;
	for (size_t p = 0; p < c->source.n && point < at; point++) {
		p += cel_rune_next(c->source, p, &r);
		column++;
		if (r == '\n') {
			line++;
			column = 0;
		}
	}
	i->line = line;
	i->column = column + 1;
}

static void
sort_issues(struct cel_compiler *c)
{
	for (size_t i = 1; i < c->n_issues; i++) {
		struct cel_issue x = c->issues[i];
		size_t k = i;
		while (k &&
			((int32_t)c->issues[k - 1].line > (int32_t)x.line ||
				(c->issues[k - 1].line == x.line &&
					c->issues[k - 1].column > x.column))) {
			c->issues[k] = c->issues[k - 1];
			k--;
		}
		c->issues[k] = x;
	}
}

static struct str
line_of(struct str source, uint32_t line)
{
	struct str rest = source, part = STR_NONE;
	for (uint32_t i = 0; i < line; i++)
		if (!str_next(&rest, '\n', &part))
			return STR_NONE;
	return part;
}

static void
put_issue(struct buf *b, struct str source, const struct cel_issue *i)
{
	buf_fmt(b, "ERROR: <input>:%d:%u: ", (int)(int32_t)i->line, i->column);
	buf_str(b, i->text);
	struct str line = i->line == UINT32_MAX ? STR_NONE : line_of(source, i->line);
	if (!str_is_set(line) || line.n > SNIPPET_MAX)
		return;
	buf_cstr(b, "\n | ");
	for (size_t k = 0; k < line.n; k++)
		buf_char(b, line.p[k] == '\t' ? ' ' : line.p[k]);
	buf_cstr(b, "\n | ");
	size_t p = 0, n = 1;
	uint32_t r = 0;
	for (uint32_t k = 1; k < i->column && p < line.n; k++) {
		n = cel_rune_next(line, p, &r);
		p += n;
		buf_cstr(b, n > 1 ? "\xef\xbc\x8e" : ".");
	}
	n = p < line.n ? cel_rune_next(line, p, &r) : 1;
	buf_cstr(b, n > 1 ? "\xef\xbc\xbe" : "^");
}

static struct str
issues_text(struct cel_compiler *c)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, c->a);
	for (size_t i = 0; i < c->n_issues; i++)
		place(c, &c->issues[i]);
	sort_issues(c);
	for (size_t i = 0; i < c->n_issues; i++) {
		if (i)
			buf_char(&b, '\n');
		put_issue(&b, c->source, &c->issues[i]);
	}
	if (c->more_issues)
		buf_fmt(&b, "\n%zu more errors were truncated", c->more_issues);
	return buf_view(&b);
}

/* ---- programs ---- */

/* What is read, and how deep it goes. */
static void
note_uses(const struct cel_node *n, struct cel_program *p, unsigned depth)
{
	if (depth > p->depth)
		p->depth = depth;
	if (depth > CEL_MAX_WALK)
		return;
	if (n->kind == NODE_IDENT && n->slot >= 0)
		p->uses[n->slot] = true;
	for (size_t i = 0; i < n->n; i++)
		note_uses(n->args[i], p, depth + 1);
}

static int
make(struct cel_compiler *c, struct cel_node *root, const struct cel_program **ret, struct err *e)
{
	struct cel_program *p = ARENA_NEW(c->a, struct cel_program);
	bool *uses = ARENA_ARRAY(c->a, bool, c->env->n_vars);
	if (!p || !uses)
		return -ENOMEM;
	*p = (struct cel_program){.env = c->env,
		.root = root,
		.type = root->type,
		.n_locals = c->n_locals,
		.uses = uses};
	note_uses(root, p, 0);
	int rc = cel_estimate(c->a, p, root);
	if (rc == 0)
		rc = cel_fold(c, root, e);
	if (rc == 0)
		*ret = p;
	return rc;
}

static int
not_wanted(struct cel_compiler *c, const struct cel_type *want, struct str *text, struct err *e)
{
	*text = arena_fmt(c->a, "must evaluate to %.*s", STR_ARG(cel_type_name(c->a, want)));
	return err_set(e, -EINVAL, R_INVALID, STR_FMT, STR_ARG(*text));
}

static int
compile(struct cel_compiler *c, const struct cel_type *want, const struct cel_program **ret,
	struct str *text, struct err *e)
{
	size_t points = cel_runes(c->source);
	struct cel_node *root = NULL;
	if (points > CEL_MAX_SOURCE)
		cel_issue(c, UINT32_MAX,
			"expression code point size exceeds limit: size: %zu, limit %d", points,
			CEL_MAX_SOURCE);
	else
		root = cel_parse(c);
	if (c->n_issues == 0 && !c->failed)
		cel_check(c, root);
	if (c->n_issues == 0 && !c->failed)
		cel_validate_literals(c, root);
	if (c->n_issues) {
		*text = issues_text(c);
		return err_set(e, -EINVAL, R_INVALID, STR_FMT, STR_ARG(*text));
	}
	if (c->failed)
		return err_set(e, arena_failed(c->a) ? -ENOMEM : -E2BIG, R_INVALID,
			"expression is too complex");
	if (want && want->kind != CEL_DYN && !cel_assignable(c->a, want, root->type))
		return not_wanted(c, want, text, e);
	struct err why = {0};
	int rc = make(c, root, ret, &why);
	if (rc == -EDOM)
		*text = arena_fmt(c->a, "%s", why.msg);
	return rc < 0 ? err_set(e, rc, R_INVALID, "%s",
				rc == -EDOM ? why.msg : "expression is too complex")
		      : 0;
}

struct job {
	struct cel_compiler c;
	const struct cel_type *want;
	const struct cel_program **ret;
	struct str text;
	struct err *e;
	int rc;
};

static void
job_run(void *arg)
{
	struct job *j = arg;
	j->rc = compile(&j->c, j->want, j->ret, &j->text, j->e);
}

int
cel_compile_text(struct arena *a, const struct cel_env *env, struct str source,
	const struct cel_type *want, const struct cel_program **ret, struct str *text,
	struct err *e)
{
	struct job j = {.c = {.a = a, .env = env, .source = source},
		.want = want,
		.ret = ret,
		.text = STR(""),
		.e = e};
	if (source.n <= CEL_SHALLOW)
		job_run(&j);
	else if (loop_call_deep(CEL_STACK, job_run, &j) < 0)
		return err_set(e, -ENOMEM, R_INTERNAL_ERROR, "out of memory");
	if (text && j.rc < 0)
		*text = j.text.n ? j.text : STR("expression is too complex");
	return j.rc;
}

int
cel_compile(struct arena *a, const struct cel_env *env, struct str source,
	const struct cel_type *want, const struct cel_program **ret, struct err *e)
{
	return cel_compile_text(a, env, source, want, ret, NULL, e);
}

const struct cel_type *
cel_result_type(const struct cel_program *p)
{
	return p->type;
}

bool
cel_uses(const struct cel_program *p, size_t slot)
{
	return slot < p->env->n_vars && p->uses[slot];
}

uint64_t
cel_cost_max(const struct cel_program *p)
{
	return p->cost_max;
}
