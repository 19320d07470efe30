/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * ref_test: image references and registry credentials. */
#include "orchestrator/runtime/image/auth.c"
#include "orchestrator/runtime/image/ref.c"
#include "tests/unit/test.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(references_have_the_known_canonical_form)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"busybox", "docker.io/library/busybox:latest"},
		{"busybox:1.36", "docker.io/library/busybox:1.36"},
		{"team/app", "docker.io/team/app:latest"},
		{"docker.io/busybox", "docker.io/library/busybox:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox:latest"},
		{"localhost/x", "localhost/x:latest"},
		{"localhost:5000/x", "localhost:5000/x:latest"},
		{"10.0.0.1:5000/a/b-c_d.e:v1", "10.0.0.1:5000/a/b-c_d.e:v1"},
		{"[fd00::1]:5000/x:1", "[fd00::1]:5000/x:1"},
		{"x@sha256:" HEX64, "docker.io/library/x@sha256:" HEX64},
		{"x:t@sha256:" HEX64, "docker.io/library/x:t@sha256:" HEX64},
		{"Foo/bar", "Foo/bar:latest"},
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str s = STR_NONE;

		CHECK_INT(runtime_image_ref_normalize(a, str_c(rows[i].in), &s, NULL), 0);
		CHECK_STR(s, rows[i].out);
		/* Canonical already: stays. */
		CHECK_INT(runtime_image_ref_normalize(a, s, &s, NULL), 0);
		CHECK_STR(s, rows[i].out);
	}
	arena_free(a);
}

TEST(bad_references_are_refused)
{
	static const char *const rows[] = {
		"",
		":",
		"@",
		"/x",
		"x/",
		"a//b",
		"x:",
		"x@",
		"x:-t",
		"Busybox",
		"a/B",
		"x..y",
		"a__b___c",
		"-x",
		"x-",
		HEX64,
		"x@sha256:abc",
		"x@md5:" HEX64,
		"host:port/x",
		"host:99999/x",
		"x y",
		"x\n",
		"a.b/",
		"http://x/y",
		"[::g]/x",
		"_x",
		"x@sha512:" HEX64 HEX64,
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str s = STR_NONE;
		struct err e = {0};

		if (runtime_image_ref_normalize(a, str_c(rows[i]), &s, &e) != -EINVAL)
			TEST_FAIL_("'%s' was taken as " STR_FMT, rows[i], STR_ARG(s));
		CHECK(e.msg[0]);
	}
	arena_free(a);
}

/* Found by the fuzzer: short enough as written, too long with what the defaults add. */
TEST(name_too_long_after_defaults_is_refused)
{
	struct arena *a = arena_new(0);
	struct str s = STR_NONE;
	char name[246];

	memset(name, 'e', sizeof(name));
	CHECK_INT(runtime_image_ref_normalize(a, str_from(name, 237), &s, NULL), 0);
	CHECK_INT(runtime_image_ref_normalize(a, s, &s, NULL), 0);
	CHECK_INT(runtime_image_ref_normalize(a, str_from(name, 238), &s, NULL), -EINVAL);
	arena_free(a);
}

TEST(credentials_go_to_the_most_specific_key)
{
	/* user:pass, a:b, c:d */
	static const char config[] = "{\"auths\":{"
				     "\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"},"
				     "\"*.example.com\":{\"username\":\"glob\",\"password\":\"g\"},"
				     "\"reg.example.com\":{\"auth\":\"YTpi\"},"
				     "\"reg.example.com/team\":{\"auth\":\"Yzpk\"},"
				     "\"10.0.0.1:5000\":{\"username\":\"p\",\"password\":\"q\"}}}";
	static const struct {
		const char *domain, *path, *user; /* NULL: none */
	} rows[] = {
		{"docker.io", "library/busybox", "user"},
		{"reg.example.com", "other", "a"},
		{"reg.example.com", "team/app", "c"},
		{"x.example.com", "y", "glob"},
		{"a.b.example.com", "y", NULL},
		{"10.0.0.1:5000", "x", "p"},
		{"10.0.0.1:5001", "x", NULL},
		{"example.com", "y", NULL},
	};
	struct arena *a = arena_new(0);
	struct image_auth auth = {STR_NONE, STR_NONE};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int rc = image_auth_find(
			a, str_c(config), str_c(rows[i].domain), str_c(rows[i].path), &auth, NULL);

		CHECK_INT(rc, rows[i].user ? 0 : -ENOENT);
		if (rows[i].user)
			CHECK_STR(auth.username, rows[i].user);
	}
	/* The old form, and rubbish. */
	CHECK_INT(image_auth_find(
			  a, STR("{\"r\":{\"auth\":\"YTpi\"}}"), STR("r"), STR("x"), &auth, NULL),
		0);
	CHECK_STR(auth.password, "b");
	CHECK_INT(image_auth_find(a, STR("{"), STR("r"), STR("x"), &auth, NULL), -EINVAL);
	CHECK_INT(image_auth_find(
			  a, STR("{\"r\":{\"auth\":\"!!\"}}"), STR("r"), STR("x"), &auth, NULL),
		-EINVAL);
	CHECK_INT(image_auth_find(a, STR("[1]"), STR("r"), STR("x"), &auth, NULL), -ENOENT);
	arena_free(a);
}
