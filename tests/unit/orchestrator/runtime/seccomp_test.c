/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * seccomp_test: compiled filters are run by a small interpreter of classic BPF against what the tables say. */
#include "orchestrator/runtime/caps.h"
#include "orchestrator/runtime/seccomp.c"
#include "tests/unit/test.h"

static uint32_t
run(const struct buf *prog, const struct seccomp_data *d)
{
	const struct sock_filter *f = (const struct sock_filter *)(const void *)prog->data;
	size_t n = prog->len / sizeof(*f);
	uint32_t a = 0;

	for (size_t i = 0; i < n; i++) {
		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + f[i].k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f[i].k;
			break;
		case BPF_JMP | BPF_JA:
			i += f[i].k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == f[i].k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > f[i].k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= f[i].k ? f[i].jt : f[i].jf;
			break;
		case BPF_RET | BPF_K:
			return f[i].k;
		default:
			TEST_FAIL_("unknown instruction %x", f[i].code);
		}
	}
	TEST_FAIL_("ran off the end");
	return 0;
}

static uint32_t
ask(const struct buf *p, const char *name, uint64_t arg0)
{
	struct seccomp_data d = {
		.nr = seccomp_number(str_c(name)), .arch = seccomp_native_arch, .args = {arg0}};

	CHECK(d.nr >= 0);
	return run(p, &d);
}

TEST(names_are_sorted_and_groups_known)
{
	for (size_t i = 1; i < seccomp_n_names; i++)
		CHECK(strcmp(seccomp_names[i - 1].name, seccomp_names[i].name) < 0);
	for (size_t g = 0; g < seccomp_n_groups; g++)
		for (size_t i = 0; i < seccomp_groups[g].n_names; i++)
			if (seccomp_number(str_c(seccomp_groups[g].names[i])) < 0)
				TEST_FAIL_("unknown call %s", seccomp_groups[g].names[i]);
}

static bool
in_groups(const char *name, uint64_t caps)
{
	for (size_t g = 0; g < seccomp_n_groups; g++) {
		if (seccomp_groups[g].cap >= 0 && !(caps >> seccomp_groups[g].cap & 1))
			continue;
		for (size_t i = 0; i < seccomp_groups[g].n_names; i++)
			if (strcmp(seccomp_groups[g].names[i], name) == 0)
				return true;
	}
	return false;
}

TEST(default_profile_says_what_its_tables_say)
{
	const uint64_t sets[] = {caps_default(), 0, UINT64_MAX};

	for (size_t s = 0; s < 3; s++) {
		struct arena *a = arena_new(0);
		struct buf p = BUF_INIT;
		struct seccomp_data d = {.nr = 0, .arch = 0x40000003};

		CHECK_INT(seccomp_default(a, sets[s], &p), 0);
		for (size_t i = 0; i < seccomp_n_names; i++) {
			const char *n = seccomp_names[i].name;

			if (!strcmp(n, "clone") || !strcmp(n, "clone3") || !strcmp(n, "socket") ||
				!strcmp(n, "personality"))
				continue;
			if ((ask(&p, n, 0) == ALLOW) != in_groups(n, sets[s]))
				TEST_FAIL_("%s with %llx", n, (unsigned long long)sets[s]);
		}
		CHECK(ask(&p, "socket", 2) == ALLOW);
		CHECK(ask(&p, "socket", 40) == DENY);
		CHECK(ask(&p, "personality", 0xffffffff) == ALLOW);
		CHECK(ask(&p, "personality", 1) == DENY);
		CHECK(ask(&p, "clone", 0x11) == ALLOW);
		CHECK(ask(&p, "clone", 0x10000000) == (s == 2 ? ALLOW : DENY));
		CHECK(ask(&p, "clone3", 0) == (s == 2 ? ALLOW : NOSYS));
		CHECK(run(&p, &d) == NOSYS);
		d = (struct seccomp_data){.nr = 0x40000000, .arch = (int)seccomp_native_arch};
		CHECK(run(&p, &d) == NOSYS);
		d.nr = 9999;
		CHECK(run(&p, &d) == DENY);
		arena_free(a);
		buf_release(&p);
	}
}

TEST(profile_from_json_with_every_operator)
{
	static const struct {
		const char *op;
		uint64_t v, v2, yes, no;
	} rows[] = {
		{"SCMP_CMP_EQ", 0x100000005, 0, 0x100000005, 5},
		{"SCMP_CMP_NE", 0x100000005, 0, 5, 0x100000005},
		{"SCMP_CMP_LT", 0x200000000, 0, 0x1ffffffff, 0x200000000},
		{"SCMP_CMP_LE", 0x200000000, 0, 0x200000000, 0x200000001},
		{"SCMP_CMP_GT", 0x200000000, 0, 0x200000001, 0x200000000},
		{"SCMP_CMP_GE", 0x200000000, 0, 0x200000000, 0x1ffffffff},
		{"SCMP_CMP_MASKED_EQ", 0xf0, 0x10, 0x51c, 0x52c},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct buf p = BUF_INIT;
		struct err e = {0};
		struct str j = arena_fmt(a,
			"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
			"\"syscalls\":[{\"names\":[\"read\",\"nosuchcall\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
			"{\"index\":0,\"op\":\"%s\",\"value\":%llu,\"valueTwo\":%llu}]},"
			"{\"names\":[\"write\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"}]}",
			rows[i].op, (unsigned long long)rows[i].v, (unsigned long long)rows[i].v2);

		CHECK_INT(seccomp_from_json(a, j, &p, &e), 0);
		CHECK(ask(&p, "read", rows[i].yes) == ALLOW);
		CHECK(ask(&p, "read", rows[i].no) == (SECCOMP_RET_ERRNO | 38));
		CHECK(ask(&p, "write", 0) == SECCOMP_RET_KILL_PROCESS);
		CHECK(ask(&p, "open", 0) == (SECCOMP_RET_ERRNO | 38));
		arena_free(a);
		buf_release(&p);
	}
}

TEST(bad_profiles_are_refused)
{
	static const char *const rows[] = {"", "{}", "{\"defaultAction\":\"X\"}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"NO\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
		"\"SCMP_ACT_LOG\",\"args\":[{\"index\":9,\"op\":\"SCMP_CMP_EQ\"}]}]}"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct buf p = BUF_INIT;
		struct err e = {0};

		CHECK_INT(seccomp_from_json(a, str_c(rows[i]), &p, &e), -EINVAL);
		arena_free(a);
		buf_release(&p);
	}
}
