/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * seccomp: rules -> sorted -> segments of equal verdict -> a binary tree of jumps -> struct
 * sock_filter[]. Foreign architectures (32-bit calls, x32) get ENOSYS: this kernel runs none.
 * A profile is input from outside: a total function from bytes to a program, bounded in rules and
 * instructions. */
#include "orchestrator/runtime/seccomp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>

#include "base/doc.h"

#define MAX_RULES 8192
#define MAX_CONDS 6
#define X32_BIT 0x40000000u
#define ALLOW SECCOMP_RET_ALLOW
#define DENY (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)
/* Flags of clone that make namespaces: NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET. */
#define CLONE_NEW_ANY 0x7e020000u

enum cond_op { OP_NE, OP_LT, OP_LE, OP_EQ, OP_GE, OP_GT, OP_MASKED_EQ, OP__COUNT };

static const char *const op_names[OP__COUNT] = {
	[OP_NE] = "SCMP_CMP_NE",
	[OP_LT] = "SCMP_CMP_LT",
	[OP_LE] = "SCMP_CMP_LE",
	[OP_EQ] = "SCMP_CMP_EQ",
	[OP_GE] = "SCMP_CMP_GE",
	[OP_GT] = "SCMP_CMP_GT",
	[OP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

struct cond {
	uint8_t arg;
	uint8_t op;
	uint64_t value, value2; /* MASKED_EQ: mask, wanted */
};

struct rule {
	int nr;
	uint32_t order; /* of appearance: the first matching rule of a call wins */
	uint32_t action;
	uint8_t n_conds;
	struct cond conds[MAX_CONDS];
};

struct segment {
	uint32_t start;        /* first number */
	uint32_t action;       /* when n_rules == 0 */
	size_t first, n_rules; /* into the sorted rules */
};

struct compiler {
	struct arena *a;
	struct rule *rules;
	size_t n_rules;
	struct segment *segs;
	size_t n_segs;
	struct sock_filter *code;
	size_t n_code;
	uint32_t fallback;
	bool failed;
};

int
seccomp_number(struct str name)
{
	size_t lo = 0;
	size_t hi = seccomp_n_names;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(name, str_c(seccomp_names[mid].name));

		if (c == 0)
			return seccomp_names[mid].nr;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}

static struct rule *
rule_add(struct compiler *c, int nr, uint32_t action)
{
	struct rule *r = NULL;

	if (nr < 0 || c->failed)
		return NULL;
	if (c->n_rules >= MAX_RULES) {
		c->failed = true;
		return NULL;
	}
	r = ARENA_PUSH(c->a, c->rules, c->n_rules);
	if (!r) {
		c->failed = true;
		return NULL;
	}
	r->nr = nr;
	r->action = action;
	r->order = (uint32_t)c->n_rules;
	return r;
}

static void
rule_cond(struct rule *r, uint8_t arg, enum cond_op op, uint64_t value, uint64_t value2)
{
	if (r && r->n_conds < MAX_CONDS)
		r->conds[r->n_conds++] = (struct cond){arg, (uint8_t)op, value, value2};
}

static int
rule_order(const void *x, const void *y)
{
	const struct rule *a = x;
	const struct rule *b = y;

	if (a->nr != b->nr)
		return a->nr < b->nr ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* ---- segments ---- */

static void
segment_put(struct compiler *c, uint32_t start, uint32_t action, size_t first, size_t n)
{
	struct segment *last = c->n_segs ? &c->segs[c->n_segs - 1] : NULL;
	struct segment *s = NULL;

	if (last && last->start == start) {
		*last = (struct segment){start, action, first, n};
		return;
	}
	if (last && n == 0 && last->n_rules == 0 && last->action == action)
		return;
	s = ARENA_PUSH(c->a, c->segs, c->n_segs);
	if (!s) {
		c->failed = true;
		return;
	}
	*s = (struct segment){start, action, first, n};
}

static void
segments_make(struct compiler *c)
{
	segment_put(c, 0, c->fallback, 0, 0);
	for (size_t i = 0; i < c->n_rules && !c->failed;) {
		size_t n = 1;
		uint32_t nr = (uint32_t)c->rules[i].nr;

		while (i + n < c->n_rules && c->rules[i + n].nr == c->rules[i].nr)
			n++;
		if (c->rules[i].n_conds == 0)
			segment_put(c, nr, c->rules[i].action, 0, 0);
		else
			segment_put(c, nr, 0, i, n);
		segment_put(c, nr + 1, c->fallback, 0, 0);
		i += n;
	}
}

/* ---- code ---- */

static void
emit(struct compiler *c, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	struct sock_filter *f = NULL;

	if (c->failed)
		return;
	if (c->n_code >= BPF_MAXINSNS || jt > 255 || jf > 255) {
		c->failed = true;
		return;
	}
	f = ARENA_PUSH(c->a, c->code, c->n_code);
	if (!f) {
		c->failed = true;
		return;
	}
	*f = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void
emit_ret(struct compiler *c, uint32_t action)
{
	emit(c, BPF_RET | BPF_K, action, 0, 0);
}

static void
emit_load(struct compiler *c, size_t offset)
{
	emit(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* One 64-bit comparison in halves. A jump of 255 stands for "condition false", patched by the caller; the end of
 * the code is "true". `left` of an instruction: how many of this condition's follow it. */
#define FALSE_JUMP 255

static void
emit_cond(struct compiler *c, const struct cond *k)
{
	size_t lo = offsetof(struct seccomp_data, args) + 8 * (size_t)k->arg;
	size_t hi = lo + 4;
	uint32_t vh = (uint32_t)(k->value >> 32);
	uint32_t vl = (uint32_t)k->value;
	uint16_t jeq = BPF_JMP | BPF_JEQ | BPF_K;
	uint16_t jgt = BPF_JMP | BPF_JGT | BPF_K;
	uint16_t jge = BPF_JMP | BPF_JGE | BPF_K;

	emit_load(c, hi);
	switch ((enum cond_op)k->op) {
	case OP_EQ:
		emit(c, jeq, vh, 0, FALSE_JUMP);
		emit_load(c, lo);
		emit(c, jeq, vl, 0, FALSE_JUMP);
		return;
	case OP_NE:
		emit(c, jeq, vh, 0, 2);
		emit_load(c, lo);
		emit(c, jeq, vl, FALSE_JUMP, 0);
		return;
	case OP_GE:
	case OP_GT:
		emit(c, jgt, vh, 3, 0);
		emit(c, jeq, vh, 0, FALSE_JUMP);
		emit_load(c, lo);
		emit(c, k->op == OP_GE ? jge : jgt, vl, 0, FALSE_JUMP);
		return;
	case OP_LT:
	case OP_LE:
		emit(c, jgt, vh, FALSE_JUMP, 0);
		emit(c, jeq, vh, 0, 2);
		emit_load(c, lo);
		emit(c, k->op == OP_LT ? jge : jgt, vl, FALSE_JUMP, 0);
		return;
	case OP_MASKED_EQ:
		emit(c, BPF_ALU | BPF_AND | BPF_K, vh, 0, 0);
		emit(c, jeq, (uint32_t)(k->value2 >> 32), 0, FALSE_JUMP);
		emit_load(c, lo);
		emit(c, BPF_ALU | BPF_AND | BPF_K, vl, 0, 0);
		emit(c, jeq, (uint32_t)k->value2, 0, FALSE_JUMP);
		return;
	case OP__COUNT:
		break;
	}
	c->failed = true;
}

static void
emit_rule(struct compiler *c, const struct rule *r)
{
	size_t from = c->n_code;

	for (size_t i = 0; i < r->n_conds; i++)
		emit_cond(c, &r->conds[i]);
	emit_ret(c, r->action);
	if (c->failed)
		return;
	for (size_t i = from; i < c->n_code; i++) {
		struct sock_filter *f = &c->code[i];
		uint8_t out = (uint8_t)(c->n_code - i - 1);

		if (BPF_CLASS(f->code) != BPF_JMP)
			continue;
		if (f->jt == FALSE_JUMP)
			f->jt = out;
		if (f->jf == FALSE_JUMP)
			f->jf = out;
	}
}

static void
emit_segment(struct compiler *c, const struct segment *s)
{
	if (s->n_rules == 0) {
		emit_ret(c, s->action);
		return;
	}
	for (size_t i = 0; i < s->n_rules; i++)
		emit_rule(c, &c->rules[s->first + i]);
	emit_ret(c, c->fallback);
}

/* The tree over segments [lo, hi): depth is log2 of at most MAX_RULES * 2 + 1. */
static void
emit_tree(struct compiler *c, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2;
	size_t at = c->n_code;
	size_t left = 0;

	if (c->failed)
		return;
	if (hi - lo == 1) {
		emit_segment(c, &c->segs[lo]);
		return;
	}
	emit(c, BPF_JMP | BPF_JGE | BPF_K, c->segs[mid].start, 0, 0);
	emit_tree(c, lo, mid);
	left = c->n_code - at - 1;
	if (left > 255) { /* too far for a conditional jump: one that always jumps in between */
		emit_ret(c, 0);
		if (c->failed)
			return;
		memmove(&c->code[at + 2], &c->code[at + 1], left * sizeof(*c->code));
		c->code[at + 1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)left};
		c->code[at].jf = 1;
	} else if (!c->failed) {
		c->code[at].jt = (uint8_t)left;
	}
	emit_tree(c, mid, hi);
}

static int
compile(struct compiler *c, struct buf *ret_prog)
{
	if (c->failed)
		return arena_failed(c->a) ? -ENOMEM : -E2BIG;
	if (c->n_rules)
		qsort(c->rules, c->n_rules, sizeof(*c->rules), rule_order);
	segments_make(c);
	emit_load(c, offsetof(struct seccomp_data, arch));
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, seccomp_native_arch, 1, 0);
	emit_ret(c, NOSYS);
	emit_load(c, offsetof(struct seccomp_data, nr));
	emit(c, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	emit_ret(c, NOSYS);
	if (!c->failed)
		emit_tree(c, 0, c->n_segs);
	if (c->failed)
		return arena_failed(c->a) ? -ENOMEM : -E2BIG;
	buf_add(ret_prog, c->code, c->n_code * sizeof(*c->code));
	return ret_prog->failed ? -ENOMEM : 0;
}

/* ---- the runtime's profile ---- */

int
seccomp_default(struct arena *a, uint64_t caps, struct buf *ret_prog)
{
	static const uint32_t personalities[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
	struct compiler c = {.a = a, .fallback = DENY};

	for (size_t g = 0; g < seccomp_n_groups; g++) {
		const struct seccomp_group *row = &seccomp_groups[g];

		if (row->cap >= 0 && !(caps >> row->cap & 1))
			continue;
		for (size_t i = 0; i < row->n_names; i++)
			rule_add(&c, seccomp_number(str_c(row->names[i])), ALLOW);
	}
	rule_cond(
		rule_add(&c, seccomp_number(STR("socket")), ALLOW), 0, OP_NE, 40 /* AF_VSOCK */, 0);
	for (size_t i = 0; i < ARRAY_LEN(personalities); i++)
		rule_cond(rule_add(&c, seccomp_number(STR("personality")), ALLOW), 0, OP_EQ,
			personalities[i], 0);
	if (!(caps >> CAP_SYS_ADMIN & 1)) {
		rule_cond(rule_add(&c, seccomp_number(STR("clone")), ALLOW), 0, OP_MASKED_EQ,
			CLONE_NEW_ANY, 0);
		rule_add(&c, seccomp_number(STR("clone3")), NOSYS);
	}
	return compile(&c, ret_prog);
}

/* ---- profiles from outside ---- */

static const struct {
	const char *name;
	uint32_t action;
	bool has_errno;
} actions[] = {
	{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, false},
	{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, true},
	{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, false},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, false},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, false},
	{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP, false},
	{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE, true},
	{"SCMP_ACT_LOG", SECCOMP_RET_LOG, false},
};

static int
action_parse(struct str name, int64_t errno_ret, uint32_t *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (!str_eq_c(name, actions[i].name))
			continue;
		*ret = actions[i].action;
		if (actions[i].has_errno)
			*ret |= (uint32_t)errno_ret & 0xfff;
		return 0;
	}
	return err_set(e, -EINVAL, R_INVALID, "seccomp profile: unknown action '" STR_FMT "'",
		STR_ARG(name));
}

static int
cond_parse(const struct doc *d, struct cond *ret, struct err *e)
{
	struct str op = doc_get_str(d, STR("op"));
	int64_t index = doc_get_int(d, STR("index"), -1);

	if (index < 0 || index > 5)
		return err_set(
			e, -EINVAL, R_INVALID, "seccomp profile: argument index out of range");
	for (size_t i = 0; i < OP__COUNT; i++) {
		if (!str_eq_c(op, op_names[i]))
			continue;
		*ret = (struct cond){(uint8_t)index, (uint8_t)i,
			(uint64_t)doc_get_int(d, STR("value"), 0),
			(uint64_t)doc_get_int(d, STR("valueTwo"), 0)};
		return 0;
	}
	return err_set(e, -EINVAL, R_INVALID, "seccomp profile: unknown operator '" STR_FMT "'",
		STR_ARG(op));
}

/* As libseccomp's users know it: conditions on different arguments are joined by AND; when one
 * argument is named twice each condition is a rule of its own (OR). */
static int
entry_add(struct compiler *c, const struct doc *d, struct str name, uint32_t action, struct err *e)
{
	const struct doc *args = doc_get(d, STR("args"));
	struct cond conds[MAX_CONDS];
	size_t n = 0;
	unsigned seen[6] = {0};
	bool twice = false;
	int nr = seccomp_number(name);
	struct rule *r = NULL;

	if (nr < 0)
		return 0;
	DOC_EACH (item, args) {
		int rc = 0;

		if (n == MAX_CONDS)
			return err_set(
				e, -EINVAL, R_INVALID, "seccomp profile: too many arguments");
		rc = cond_parse(item, &conds[n], e);
		if (rc)
			return rc;
		if (seen[conds[n].arg]++)
			twice = true;
		n++;
	}
	if (!twice)
		r = rule_add(c, nr, action);
	for (size_t i = 0; i < n; i++) {
		if (twice)
			r = rule_add(c, nr, action);
		rule_cond(r, conds[i].arg, (enum cond_op)conds[i].op, conds[i].value,
			conds[i].value2);
	}
	return 0;
}

int
seccomp_from_json(struct arena *a, struct str json, struct buf *ret_prog, struct err *e)
{
	struct doc *d = NULL;
	struct compiler c = {.a = a};
	int64_t def_errno = 0;
	int rc = doc_parse_json(a, json, NULL, &d, e);

	if (rc) {
		err_wrap(e, "seccomp profile");
		return rc;
	}
	def_errno = doc_get_int(d, STR("defaultErrnoRet"), EPERM);
	rc = action_parse(doc_get_str(d, STR("defaultAction")), def_errno, &c.fallback, e);
	if (rc)
		return rc;
	DOC_EACH (item, doc_get(d, STR("syscalls"))) {
		uint32_t action = 0;

		rc = action_parse(doc_get_str(item, STR("action")),
			doc_get_int(item, STR("errnoRet"), EPERM), &action, e);
		if (rc)
			return rc;
		if (str_is_set(doc_get_str(item, STR("name"))))
			rc = entry_add(&c, item, doc_get_str(item, STR("name")), action, e);
		DOC_EACH (name, doc_get(item, STR("names"))) {
			if (!rc)
				rc = entry_add(&c, item, doc_as_str(name), action, e);
		}
		if (rc)
			return rc;
	}
	rc = compile(&c, ret_prog);
	if (rc)
		return err_set(e, rc, R_INVALID, "seccomp profile: %s",
			rc == -E2BIG ? "too large" : "no memory");
	return 0;
}
