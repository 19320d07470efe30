/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * parse: from tokens to nodes: a recursive descent with a depth limit. The first error of syntax ends it; macros are
 * expanded as their calls are read. Source: cel-spec langdef.md (grammar); cel-go parser (positions, texts). */
#include "orchestrator/cel/cel_int.h"

struct parser {
	struct cel_compiler *c;
	struct cel_lexer l;
	unsigned depth;
};

static struct cel_node *parse_expr(struct parser *p);

struct cel_node *
cel_node_new(struct cel_compiler *c, enum cel_node_kind kind, uint32_t at)
{
	static struct cel_node none;
	struct cel_node *n = c->n_nodes++ < CEL_MAX_NODES ? ARENA_NEW(c->a, struct cel_node) : NULL;
	if (!n) {
		c->failed = c->stop = true;
		n = &none; /* nobody looks at it: failed is asked first */
		return n;
	}
	n->kind = kind;
	n->at = at;
	n->slot = -1;
	n->local = -1;
	return n;
}

struct cel_node *
cel_node_call(struct cel_compiler *c, uint32_t at, const char *fn, size_t n, struct cel_node *x,
	struct cel_node *y, struct cel_node *z)
{
	struct cel_node *call = cel_node_new(c, NODE_CALL, at);
	struct cel_node **args = ARENA_ARRAY(c->a, struct cel_node *, 3);
	if (c->failed || !args) {
		c->failed = c->stop = true;
		return call;
	}
	args[0] = x;
	args[1] = y;
	args[2] = z;
	call->name = str_c(fn);
	call->args = args;
	call->n = (uint32_t)n;
	return call;
}

static bool
is_op(const struct parser *p, const char *op)
{
	return p->l.token == TOKEN_OP && str_eq_c(p->l.text, op);
}

static bool
accept(struct parser *p, const char *op)
{
	if (!is_op(p, op))
		return false;
	cel_lex(&p->l);
	return true;
}

static struct cel_node *
bad_node(struct parser *p)
{
	struct cel_node *n = cel_node_new(p->c, NODE_CONST, p->l.at);
	if (!p->c->failed)
		n->bad = true;
	return n;
}

static struct str
shown(const struct parser *p)
{
	return p->l.token == TOKEN_END ? STR("<EOF>") : p->l.text;
}

static struct cel_node *
unexpected(struct parser *p, const char *wanted)
{
	if (!p->c->stop)
		cel_issue(p->c, p->l.at, "Syntax error: mismatched input '%.*s' expecting %s",
			STR_ARG(shown(p)), wanted);
	p->c->stop = true;
	return bad_node(p);
}

/* Is the token behind the one at hand `op`? */
static bool
ahead(const struct parser *p, const char *op)
{
	struct cel_compiler quiet = *p->c;
	struct cel_lexer l = p->l;
	l.c = &quiet;
	quiet.n_issues = CEL_MAX_ISSUES;
	cel_lex(&l);
	return l.token == TOKEN_OP && str_eq_c(l.text, op);
}

/* May what is at hand stand behind the token `op`? Then that is said to be missing. */
static bool
follows(const struct parser *p, const char *op)
{
	static const char *const behind[] = {")", "]", "}", ",", ":", "?", ".", "[",
		"==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", "in"};
	bool operand = p->l.token != TOKEN_OP && p->l.token != TOKEN_END;
	if (op[0] == ':')
		return operand || is_op(p, "[") || is_op(p, "{") || is_op(p, "(") ||
			is_op(p, "-") || is_op(p, "!");
	if (p->l.token == TOKEN_END)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(behind); i++)
		if (is_op(p, behind[i]))
			return true;
	return false;
}

static bool
expect(struct parser *p, const char *op, const char *wanted)
{
	if (accept(p, op))
		return true;
	if (!p->c->stop && p->l.token != TOKEN_END && ahead(p, op))
		cel_issue(p->c, p->l.at, "Syntax error: extraneous input '%.*s' expecting %s",
			STR_ARG(shown(p)), wanted);
	else if (!p->c->stop && wanted[0] != '{' && follows(p, op))
		cel_issue(p->c, p->l.at, "Syntax error: missing '%s' at '%.*s'", op,
			STR_ARG(shown(p)));
	else
		unexpected(p, wanted);
	p->c->stop = true;
	return false;
}

/* The same; one token too many before `close` is called extraneous. */
static struct cel_node *
unexpected_before(struct parser *p, const char *close, const char *wanted)
{
	if (p->c->stop || p->l.token == TOKEN_END || !ahead(p, close))
		return unexpected(p, wanted);
	cel_issue(p->c, p->l.at, "Syntax error: extraneous input '%.*s' expecting %s",
		STR_ARG(shown(p)), wanted);
	p->c->stop = true;
	return bad_node(p);
}

static bool
push(struct parser *p, struct cel_node *of, struct cel_node *arg)
{
	size_t n = of->n;
	struct cel_node **slot = ARENA_PUSH(p->c->a, of->args, n);
	if (!slot) {
		p->c->failed = p->c->stop = true;
		return false;
	}
	*slot = arg;
	of->n = (uint32_t)n;
	return true;
}

static bool
push_bool(struct parser *p, bool **list, size_t n, bool v)
{
	bool *slot = ARENA_PUSH(p->c->a, *list, n);
	if (!slot) {
		p->c->failed = p->c->stop = true;
		return false;
	}
	*slot = v;
	return true;
}

static const char operand_wanted[] =
	"{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
	"STRING, BYTES, IDENTIFIER}";

static const char argument_wanted[] =
	"{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
	"STRING, BYTES, IDENTIFIER}";

static const char index_wanted[] =
	"{'[', '{', '(', '.', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
	"STRING, BYTES, IDENTIFIER}";

/* May an expression begin here? */
static bool
starts(const struct parser *p)
{
	static const char *const ops[] = {"[", "{", "(", ".", "-", "!", "true", "false", "null"};
	if (p->l.token != TOKEN_OP)
		return p->l.token != TOKEN_END && p->l.token != TOKEN_ESCAPED;
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (is_op(p, ops[i]))
			return true;
	return false;
}

/* ---- literals ---- */

static struct cel_node *
number(struct parser *p, bool minus, uint32_t at)
{
	struct cel_node *n = cel_node_new(p->c, NODE_CONST, at);
	struct str s = p->l.text;
	enum cel_token token = p->l.token;
	cel_lex(&p->l);
	if (p->c->failed)
		return n;
	bool hex = str_starts(s, STR("0x"));
	if (token == TOKEN_DOUBLE) {
		double d = 0;
		if (str_to_double(s, &d) < 0 || d > 1.7976931348623157e308)
			cel_issue(p->c, at, "invalid double literal");
		n->value = cel_of_double(minus ? -d : d);
		return n;
	}
	uint64_t u = 0;
	if (token == TOKEN_UINT)
		s = str_sub(s, 0, s.n - 1);
	int rc = hex ? str_to_u64_hex(str_sub(s, 2, SIZE_MAX), &u) : str_to_u64(s, &u);
	if (token == TOKEN_UINT) {
		if (rc < 0)
			cel_issue(p->c, at, "invalid uint literal");
		n->value = cel_of_uint(u);
		return n;
	}
	if (rc < 0 || u > (uint64_t)INT64_MAX + minus)
		cel_issue(p->c, at, "invalid int literal");
	n->value = cel_of_int(minus ? (int64_t)(0 - u) : (int64_t)u);
	return n;
}

static struct cel_node *
text(struct parser *p)
{
	struct cel_node *n = cel_node_new(p->c, NODE_CONST, p->l.at);
	bool bytes = p->l.token == TOKEN_BYTES;
	struct str s = STR("");
	const char *why = "";
	int rc = cel_unquote(p->c->a, str_sub(p->l.text, bytes, SIZE_MAX), bytes, &s, &why);
	if (rc == -EINVAL)
		cel_issue(p->c, p->l.at, "%s", why);
	else if (rc < 0)
		p->c->failed = p->c->stop = true;
	cel_lex(&p->l);
	if (!p->c->failed)
		n->value = bytes ? cel_of_bytes(s) : cel_of_string(s);
	return n;
}

/* ---- primaries ---- */

static struct cel_node *
list(struct parser *p)
{
	struct cel_node *n = cel_node_new(p->c, NODE_LIST, p->l.at);
	cel_lex(&p->l);
	if (is_op(p, ",") && ahead(p, "]"))
		cel_lex(&p->l);
	while (!p->c->stop && !is_op(p, "]")) {
		bool optional = accept(p, "?");
		struct cel_node *item = parse_expr(p);
		if (p->c->stop || !push_bool(p, &n->optional, n->n, optional) || !push(p, n, item))
			return n;
		if (!accept(p, ",") && !is_op(p, "]"))
			return unexpected_before(p, "]", "{']', ','}");
	}
	accept(p, "]");
	return n;
}

static struct cel_node *
map(struct parser *p)
{
	struct cel_node *n = cel_node_new(p->c, NODE_MAP, p->l.at);
	cel_lex(&p->l);
	if (is_op(p, ",") && ahead(p, "}"))
		cel_lex(&p->l);
	while (!p->c->stop && !is_op(p, "}")) {
		bool optional = accept(p, "?");
		struct cel_node *key = parse_expr(p);
		if (p->c->stop || !expect(p, ":", "':'"))
			return n;
		struct cel_node *value = parse_expr(p);
		if (p->c->stop || !push_bool(p, &n->optional, n->n / 2, optional) ||
			!push(p, n, key) || !push(p, n, value))
			return n;
		if (!accept(p, ",") && !is_op(p, "}"))
			return unexpected_before(p, "}", "{'}', ','}");
	}
	accept(p, "}");
	return n;
}

/* A name behind a point or before a colon; STR_NONE and an issue = none. */
static struct str
field_name(struct parser *p)
{
	if (p->l.token != TOKEN_IDENT && p->l.token != TOKEN_ESCAPED) {
		unexpected(p, "{IDENTIFIER, ESC_IDENTIFIER}");
		return STR_NONE;
	}
	struct str s = p->l.text;
	if (p->l.token == TOKEN_ESCAPED)
		s = str_sub(s, 1, s.n - 1);
	cel_lex(&p->l);
	return s;
}

/* "Name{field: value}": the brace is at hand. */
static struct cel_node *
message(struct parser *p, struct str name)
{
	struct cel_node *n = cel_node_new(p->c, NODE_STRUCT, p->l.at);
	if (p->c->failed)
		return n;
	n->name = name;
	cel_lex(&p->l);
	while (!p->c->stop && !is_op(p, "}")) {
		bool optional = accept(p, "?");
		if (n->n == 0 && !optional && p->l.token != TOKEN_IDENT &&
			p->l.token != TOKEN_ESCAPED)
			return unexpected(p, "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}");
		struct str field = field_name(p);
		uint32_t at = p->l.at;
		if (p->c->stop || !expect(p, ":", "':'"))
			return n;
		struct cel_node *value = parse_expr(p);
		size_t i = n->n, k = n->n;
		struct str *slot = p->c->stop ? NULL : ARENA_PUSH(p->c->a, n->names, i);
		uint32_t *where = slot ? ARENA_PUSH(p->c->a, n->ats, k) : NULL;
		if (!where || !push_bool(p, &n->optional, n->n, optional) || !push(p, n, value)) {
			p->c->failed |= !p->c->stop;
			p->c->stop = true;
			return n;
		}
		*slot = field;
		*where = at;
		if (!accept(p, ",") && !is_op(p, "}"))
			return unexpected_before(p, "}", "{'}', ','}");
	}
	accept(p, "}");
	return n;
}

/* Arguments up to the closing parenthesis; the opening one is behind. */
static struct cel_node *
call(struct parser *p, uint32_t at, struct str name, struct cel_node *target)
{
	struct cel_node *n = cel_node_new(p->c, NODE_CALL, at);
	if (p->c->failed)
		return n;
	n->name = name;
	n->member = target != NULL;
	if (target && !push(p, n, target))
		return n;
	if (!is_op(p, ")") && !starts(p)) {
		if (!p->c->stop && is_op(p, ",") && ahead(p, ")"))
			cel_issue(p->c, p->l.at, "Syntax error: extraneous input ',' expecting %s",
				argument_wanted);
		else
			unexpected(p, argument_wanted);
		p->c->stop = true;
		return n;
	}
	if (!is_op(p, ")"))
		do {
			struct cel_node *arg = parse_expr(p);
			if (p->c->stop || !push(p, n, arg))
				return n;
		} while (accept(p, ","));
	if (!expect(p, ")", ahead(p, ")") || follows(p, ")") ? "')'" : "{')', ','}"))
		return n;
	size_t skip = target != NULL;
	struct cel_node *m = cel_macro(
		p->c, at, name, target, n->n > skip ? n->args + skip : NULL, n->n - skip);
	return m ? m : n;
}

static bool
reserved(struct str s)
{
	static const char *const words[] = {"as", "break", "const", "continue", "else", "for",
		"function", "if", "import", "let", "loop", "package", "namespace", "return", "var",
		"void", "while"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq_c(s, words[i]))
			return true;
	return false;
}

/* Does "a.b.c{" stand here (at the name)? The lexer is a value: looking ahead is going on with a copy. */
static bool
message_ahead(const struct parser *p, struct str *name)
{
	struct cel_compiler quiet = *p->c;
	struct cel_lexer l = p->l;
	l.c = &quiet;
	quiet.n_issues = quiet.more_issues = CEL_MAX_ISSUES;
	size_t from = l.pos - l.text.n;
	for (;;) {
		if (l.token != TOKEN_IDENT)
			return false;
		size_t to = l.pos;
		cel_lex(&l);
		if (l.token == TOKEN_OP && str_eq_c(l.text, "{")) {
			*name = str_sub(quiet.source, from, to);
			return true;
		}
		if (l.token != TOKEN_OP || !str_eq_c(l.text, "."))
			return false;
		cel_lex(&l);
	}
}

static struct str
dotted(struct parser *p, bool dot, struct str name)
{
	return dot ? arena_fmt(p->c->a, ".%.*s", STR_ARG(name)) : name;
}

/* A name without its blanks: "a . b". */
static struct str
squeezed(struct parser *p, struct str s)
{
	struct buf b = BUF_INIT;
	buf_init_arena(&b, p->c->a);
	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n\f", s.p[i]))
			buf_char(&b, s.p[i]);
	return buf_view(&b);
}

static struct cel_node *
named(struct parser *p)
{
	uint32_t at = p->l.at;
	bool dot = accept(p, ".");
	if (p->l.token != TOKEN_IDENT)
		return dot && p->l.token == TOKEN_OP && p->l.text.n > 1
			? unexpected(p, "IDENTIFIER")
			: unexpected(p, dot ? "IDENTIFIER" : operand_wanted);
	struct str name = STR_NONE;
	if (message_ahead(p, &name)) {
		while (!is_op(p, "{"))
			cel_lex(&p->l);
		return message(p, dotted(p, dot, squeezed(p, name)));
	}
	name = p->l.text;
	uint32_t name_at = p->l.at;
	cel_lex(&p->l);
	if (reserved(name)) {
		cel_issue(p->c, at, "reserved identifier: %.*s", STR_ARG(name));
		struct cel_node *n = bad_node(p);
		if (accept(p, "("))
			call(p, at, name, NULL);
		return n;
	}
	if (is_op(p, "(")) {
		uint32_t open = p->l.at;
		cel_lex(&p->l);
		return call(p, open, dotted(p, dot, name), NULL);
	}
	struct cel_node *n = cel_node_new(p->c, NODE_IDENT, name_at);
	if (!p->c->failed)
		n->name = dotted(p, dot, name);
	return n;
}

static bool deeper(struct parser *p);

static struct cel_node *
primary(struct parser *p)
{
	switch (p->l.token) {
	case TOKEN_INT:
	case TOKEN_UINT:
	case TOKEN_DOUBLE:
		return number(p, false, p->l.at);
	case TOKEN_STRING:
	case TOKEN_BYTES:
		return text(p);
	case TOKEN_IDENT:
		return named(p);
	case TOKEN_OP:
		break;
	case TOKEN_END:
	case TOKEN_BAD:
	case TOKEN_ESCAPED:
		return unexpected(p, operand_wanted);
	}
	if (is_op(p, "true") || is_op(p, "false") || is_op(p, "null")) {
		struct cel_node *n = cel_node_new(p->c, NODE_CONST, p->l.at);
		if (!p->c->failed)
			n->value = is_op(p, "null") ? cel_null() : cel_of_bool(is_op(p, "true"));
		cel_lex(&p->l);
		return n;
	}
	if (accept(p, "(")) {
		struct cel_node *n = parse_expr(p);
		if (!p->c->stop)
			expect(p, ")", "')'");
		return n;
	}
	if (is_op(p, "["))
		return list(p);
	if (is_op(p, "{"))
		return map(p);
	if (is_op(p, "."))
		return named(p);
	struct cel_lexer next = p->l;
	struct cel_compiler quiet = *p->c;
	next.c = &quiet;
	quiet.n_issues = CEL_MAX_ISSUES;
	cel_lex(&next);
	struct parser after = {.c = p->c, .l = next};
	if (p->c->stop || !starts(&after) || p->c->n_issues >= CEL_MAX_ISSUES)
		return unexpected(p, operand_wanted);
	/* one token too many: it is passed over */
	cel_issue(p->c, p->l.at, "Syntax error: extraneous input '%.*s' expecting %s",
		STR_ARG(shown(p)), operand_wanted);
	cel_lex(&p->l);
	return deeper(p) ? primary(p) : bad_node(p);
}

/* ---- operators ---- */

static bool
deeper(struct parser *p)
{
	if (p->depth++ < CEL_MAX_DEPTH)
		return true;
	if (!p->c->stop)
		cel_issue(
			p->c, UINT32_MAX, "expression recursion limit exceeded: %d", CEL_MAX_DEPTH);
	p->c->stop = true;
	return false;
}

/* ".name", ".?name", ".name(", "[", "[?" behind an operand. */
static struct cel_node *
suffix(struct parser *p, struct cel_node *n)
{
	uint32_t at = p->l.at;
	if (accept(p, "[")) {
		bool optional = accept(p, "?");
		if (!optional && !starts(p))
			return unexpected(p, index_wanted);
		struct cel_node *index = parse_expr(p);
		if (p->c->stop || !expect(p, "]", "']'"))
			return n;
		return cel_node_call(p->c, at, optional ? "_[?_]" : "_[_]", 2, n, index, NULL);
	}
	accept(p, ".");
	bool optional = accept(p, "?");
	uint32_t name_at = p->l.at;
	bool plain = p->l.token == TOKEN_IDENT;
	if (!plain && !optional && p->l.token != TOKEN_ESCAPED) {
		bool word = is_op(p, "true") || is_op(p, "false") || is_op(p, "null");
		if (!p->c->stop)
			cel_issue(p->c, p->l.at,
				word ? "Syntax error: mismatched input '%.*s' expecting IDENTIFIER"
				     : "Syntax error: no viable alternative at input '.%.*s'",
				STR_ARG(p->l.text));
		p->c->stop = true;
		return n;
	}
	struct str name = field_name(p);
	if (p->c->stop)
		return n;
	if (plain && !optional && is_op(p, "(")) {
		uint32_t open = p->l.at;
		cel_lex(&p->l);
		return call(p, open, name, n);
	}
	if (optional) {
		struct cel_node *field = cel_node_new(p->c, NODE_CONST, name_at);
		if (!p->c->failed)
			field->value = cel_of_string(name);
		return cel_node_call(p->c, at, "_?._", 2, n, field, NULL);
	}
	struct cel_node *s = cel_node_new(p->c, NODE_SELECT, at);
	if (p->c->failed)
		return s;
	s->name = name;
	push(p, s, n);
	return s;
}

static struct cel_node *
member(struct parser *p, struct cel_node *n)
{
	unsigned depth = p->depth;
	while (!p->c->stop && (is_op(p, ".") || is_op(p, "[")))
		if (deeper(p))
			n = suffix(p, n);
	p->depth = depth;
	return n;
}

static bool
is_number(const struct parser *p)
{
	return p->l.token == TOKEN_INT || p->l.token == TOKEN_DOUBLE;
}

static struct cel_node *
unary(struct parser *p)
{
	uint32_t at = p->l.at;
	const char *op = is_op(p, "!") ? "!" : is_op(p, "-") ? "-" : NULL;
	if (!op)
		return member(p, primary(p));
	size_t n = 0;
	uint32_t last = at;
	while (is_op(p, op)) {
		last = p->l.at;
		cel_lex(&p->l);
		n++;
	}
	struct cel_node *of = NULL;
	if (op[0] == '-' && n == 1 && is_number(p)) { /* the sign is the number's */
		of = member(p, number(p, true, last));
		n = 0;
	} else if (op[0] == '-' && is_op(p, "!")) {
		if (!p->c->stop)
			cel_issue(
				p->c, p->l.at, "Syntax error: no viable alternative at input '-!'");
		p->c->stop = true;
		of = bad_node(p);
	} else if (op[0] == '!' && p->l.token == TOKEN_END) {
		cel_issue(p->c, p->l.at, "Syntax error: extraneous input '<EOF>' expecting %s",
			operand_wanted);
		p->c->stop = true;
		of = bad_node(p);
	} else if (op[0] == '!' && is_op(p, "-")) {
		uint32_t sign = p->l.at;
		cel_lex(&p->l);
		of = is_number(p) ? member(p, number(p, true, sign))
				  : unexpected(p, "{NUM_FLOAT, NUM_INT}");
	} else {
		of = member(p, primary(p));
	}
	if (n % 2 == 0 || p->c->stop)
		return of;
	return cel_node_call(p->c, at, op[0] == '!' ? "!_" : "-_", 1, of, NULL, NULL);
}

struct binary {
	const char *op, *fn;
};
static const struct binary times_ops[] = {{"*", "_*_"}, {"/", "_/_"}, {"%", "_%_"}};
static const struct binary plus_ops[] = {{"+", "_+_"}, {"-", "_-_"}};
static const struct binary relations[] = {{"<", "_<_"}, {"<=", "_<=_"}, {">=", "_>=_"},
	{">", "_>_"}, {"==", "_==_"}, {"!=", "_!=_"}, {"in", "@in"}};

static const char *
binary_at(const struct parser *p, const struct binary *ops, size_t n)
{
	if (p->l.token == TOKEN_OP)
		for (size_t i = 0; i < n; i++)
			if (str_eq_c(p->l.text, ops[i].op))
				return ops[i].fn;
	return NULL;
}

static struct cel_node *
binaries(struct parser *p, int level)
{
	static const struct {
		const struct binary *ops;
		size_t n;
	} levels[] = {{relations, ARRAY_LEN(relations)}, {plus_ops, ARRAY_LEN(plus_ops)},
		{times_ops, ARRAY_LEN(times_ops)}};
	if (level == ARRAY_LEN(levels))
		return unary(p);
	unsigned depth = p->depth;
	struct cel_node *n = binaries(p, level + 1);
	const char *fn = NULL;
	while (!p->c->stop && (fn = binary_at(p, levels[level].ops, levels[level].n))) {
		if (!deeper(p))
			break;
		uint32_t at = p->l.at;
		cel_lex(&p->l);
		n = cel_node_call(p->c, at, fn, 2, n, binaries(p, level + 1), NULL);
	}
	p->depth = depth;
	return n;
}

/* Terms of && or || as a balanced tree, so that many of them are not deep. */
static struct cel_node *
balanced(struct parser *p, const char *fn, struct cel_node **terms, const uint32_t *ats, size_t lo,
	size_t hi)
{
	size_t mid = (lo + hi + 1) / 2;
	struct cel_node *x = mid == lo ? terms[mid] : balanced(p, fn, terms, ats, lo, mid - 1);
	struct cel_node *y = mid == hi ? terms[mid + 1] : balanced(p, fn, terms, ats, mid + 1, hi);
	return cel_node_call(p->c, ats[mid], fn, 2, x, y, NULL);
}

static struct cel_node *
logic(struct parser *p, bool or)
{
	struct cel_node *first = or ? logic(p, false) : binaries(p, 0);
	const char *op = or ? "||" : "&&";
	if (p->c->stop || !is_op(p, op))
		return first;
	struct cel_node **terms = NULL, **slot = NULL;
	uint32_t *ats = NULL;
	size_t n = 0, n_ats = 0;
	slot = ARENA_PUSH(p->c->a, terms, n);
	if (slot)
		*slot = first;
	while (slot && !p->c->stop && is_op(p, op)) {
		uint32_t *at = ARENA_PUSH(p->c->a, ats, n_ats);
		if (at)
			*at = p->l.at;
		cel_lex(&p->l);
		struct cel_node *next = or ? logic(p, false) : binaries(p, 0);
		slot = at ? ARENA_PUSH(p->c->a, terms, n) : NULL;
		if (slot)
			*slot = next;
	}
	if (!slot)
		p->c->failed = p->c->stop = true;
	return p->c->stop ? first : balanced(p, or ? "_||_" : "_&&_", terms, ats, 0, n - 2);
}

static struct cel_node *
parse_expr(struct parser *p)
{
	unsigned depth = p->depth;
	if (!deeper(p))
		return bad_node(p);
	struct cel_node *n = logic(p, true);
	uint32_t at = p->l.at;
	if (!p->c->stop && accept(p, "?")) {
		struct cel_node *yes = logic(p, true), *no = NULL;
		if (!p->c->stop && expect(p, ":", "':'")) {
			no = parse_expr(p);
			n = cel_node_call(p->c, at, "_?_:_", 3, n, yes, no);
		}
	}
	p->depth = depth;
	return n;
}

struct cel_node *
cel_parse(struct cel_compiler *c)
{
	struct parser p = {.c = c, .l = {.c = c}};
	cel_lex(&p.l);
	struct cel_node *n = parse_expr(&p);
	if (!c->stop && p.l.token != TOKEN_END) {
		struct cel_lexer next = p.l;
		cel_lex(&next);
		cel_issue(c, p.l.at, "Syntax error: %s input '%.*s' expecting <EOF>",
			next.token == TOKEN_END ? "extraneous" : "mismatched", STR_ARG(p.l.text));
	}
	return n;
}
