/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * limits: the sizes of docs/limits.md that a client can meet, each from both sides: what is just allowed, and what is
 * not. Those of heads and bodies are in wire.c, of depth in bodies.c, of patches in patches.c, of time in slow.c. */
#include "tests/api/badinput/badinput.h"

#include <stdio.h>

#define LARGE "api/v1/namespaces/large/configmaps"
#define N_LARGE 30 /* of 1 MB */
#define LARGE_BYTES (1000 * 1000)
#define DATA_MAX (1 << 20)

/* make_large: more in lists than an answer may hold at once. */
void
make_large(struct server *s)
{
	struct arena *a = arena_new(0);
	struct str text = repeated(a, "0123456789", LARGE_BYTES / 10);
	struct answer an;

	call(a, s,
		&(struct call){.method = "POST",
			.path = "api/v1/namespaces",
			.body = STR("{\"metadata\":{\"name\":\"large\"}}")},
		&an);
	says(&an, 201, NULL, NULL, "a namespace");
	for (int i = 0; i < N_LARGE; i++) {
		struct arena *one = arena_new(0);

		call(one, s,
			&(struct call){.method = "POST",
				.path = LARGE,
				.body = arena_fmt(one,
					"{\"metadata\":{\"name\":\"l%d\"},\"data\":{\"a\":\"" STR_FMT
					"\"}}",
					i, STR_ARG(text))},
			&an);
		says(&an, 201, NULL, NULL, "a large object");
		arena_free(one);
	}
	arena_free(a);
}

static void
check_data(struct server *s)
{
	static const struct {
		const char *what, *path, *body;
		size_t text; /* that much of text fills it */
		const char *unit;
	} rows[] = {
		{"a ConfigMap", "api/v1/namespaces/default/configmaps?dryRun=All",
			"{\"metadata\":{\"name\":\"full\"},\"data\":{\"a\":\"%s\"}}", DATA_MAX,
			"x"},
		{"a Secret", "api/v1/namespaces/default/secrets?dryRun=All",
			"{\"metadata\":{\"name\":\"full\"},\"stringData\":{\"a\":\"%s\"}}",
			DATA_MAX, "x"},
		{"annotations", "api/v1/namespaces/default/configmaps?dryRun=All",
			"{\"metadata\":{\"name\":\"full\",\"annotations\":{\"a\":\"%s\"}}}",
			256 * 1024 - 1, "x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t more = 0; more < 2; more++) {
			struct arena *a = arena_new(0);
			const char *at = strstr(rows[i].body, "%s");
			struct str text = repeated(a, rows[i].unit, rows[i].text + more);
			struct answer an;
			struct buf b;

			buf_init_arena(&b, a);
			buf_str(&b, str_from(rows[i].body, (size_t)(at - rows[i].body)));
			buf_str(&b, text);
			buf_cstr(&b, at + 2);
			call(a, s,
				&(struct call){.method = "POST",
					.path = rows[i].path,
					.body = buf_view(&b)},
				&an);
			says(&an, more ? 422 : 201, more ? "Invalid" : NULL,
				more ? "Too long: may not be more than" : NULL, "%s %s",
				rows[i].what, more ? "that is too large" : "that is full");
			arena_free(a);
		}
}

/* check_terms: selectors have so many terms and no more. */
static void
check_terms(struct server *s)
{
	static const struct {
		const char *option, *term;
		size_t max;
	} rows[] = {{"labelSelector", "a", 1024}, {"fieldSelector", "metadata.name!=a", 256}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t more = 0; more < 2; more++) {
			struct arena *a = arena_new(0);
			struct answer an;
			struct buf b;

			buf_init_arena(&b, a);
			buf_fmt(&b, "api/v1/namespaces/default/configmaps?%s=", rows[i].option);
			for (size_t k = 0; k < rows[i].max + more; k++)
				buf_fmt(&b, "%s%s", k ? "," : "", rows[i].term);
			buf_char(&b, 0);
			call(a, s, &(struct call){.method = "GET", .path = b.data}, &an);
			says(&an, more ? 400 : 200, more ? "BadRequest" : NULL, NULL,
				"%zu terms of a %s", rows[i].max + more, rows[i].option);
			arena_free(a);
		}
}

/* check_values: a body of many small values; those of a field nobody knows are dropped, yet counted. */
static void
check_values(struct server *s)
{
	for (size_t more = 0; more < 2; more++) {
		struct arena *a = arena_new(0);
		struct answer an;

		call(a, s,
			&(struct call){.method = "POST",
				.path = "api/v1/namespaces/default/configmaps?dryRun=All",
				.body = arena_fmt(a,
					"{\"metadata\":{\"name\":\"many\"},\"frob\":[" STR_FMT
					"0]}",
					STR_ARG(repeated(a, "0,", more ? 1000000 : 500000)))},
			&an);
		says(&an, more ? 413 : 201, more ? "RequestEntityTooLarge" : NULL, NULL,
			"%s values in a body", more ? "more than 1,000,000" : "500,000");
		arena_free(a);
	}
}

/* check_lists: a list of JSON comes piece by piece, however long; what must be whole in memory has pages. */
static void
check_lists(struct server *s)
{
	static const struct {
		const char *what, *query, *accept;
		int http;
	} rows[] = {
		{"a list of 30 MB", "", "application/json", 200},
		{"a page of 2 MB", "?limit=2", "application/json", 200},
		{"a page of 2 MB as YAML", "?limit=2", "application/yaml", 200},
		{"a list of 30 MB as YAML", "", "application/yaml", 413},
		{"a list of 30 MB, pretty", "?pretty=true", "application/json", 413},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct answer an;

		call(a, s,
			&(struct call){"GET", arena_fmt(a, LARGE "%s", rows[i].query).p, NULL,
				arena_fmt(a, "Accept: %s\r\n", rows[i].accept).p, STR("")},
			&an);
		says(&an, rows[i].http, rows[i].http == 413 ? "RequestEntityTooLarge" : NULL, NULL,
			"%s", rows[i].what);
		if (i == 0)
			check(an.body.n > (size_t)N_LARGE * LARGE_BYTES &&
					str_ends(str_trim(an.body), STR("]}")),
				"a list of 30 MB is not whole: %zu bytes", an.body.n);
		arena_free(a);
	}
}

/* ---- requests in flight ---- */

#define READS 400 /* at a time; writes: 200 */
#define CROWD "Impersonate-User: crowd\r\n"

static struct str
waiting_head(struct arena *a, const char *method, const char *path)
{
	return arena_fmt(a, "%s /%s HTTP/1.1\r\nHost: x\r\n" CROWD "Content-Length: 0\r\n\r\n",
		method, path);
}

/* check_flight: reads that wait for a version to come hold their seats; one more is told to come back. */
static void
check_flight(struct server *s)
{
	static const struct ask right = ASK("POST",
		"apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		"{\"metadata\":{\"name\":\"crowd\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
		"\"ClusterRole\",\"name\":\"cluster-admin\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\","
		"\"kind\":\"User\",\"name\":\"crowd\"}]}",
		201, NULL, NULL);
	static const char later[] =
		"api/v1/namespaces/default/configmaps?resourceVersion=9000000000000000000";
	struct arena *a = arena_new(0);
	struct conn *crowd[READS + 50];
	static size_t answers[600];
	size_t retry = 0;
	struct answer an;

	ask_all(s, &right, 1);
	call(a, s,
		&(struct call){.method = "GET",
			.path = "api/v1/namespaces/default/configmaps",
			.headers = CROWD},
		&an);
	says(&an, 200, NULL, NULL, "one of the crowd");
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		crowd[i] = conn_open(s, true);
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++)
		if (crowd[i])
			conn_send(crowd[i], waiting_head(a, "GET", later));
	call(a, s, &(struct call){.method = "GET", .path = "api/v1/namespaces/default/configmaps"},
		&an);
	says(&an, 200, NULL, NULL, "system:masters beside a crowd");
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
		conn_answer(a, crowd[i], false, &an);
		answers[an.http < 600 ? an.http : 0]++;
		if (an.http == 429)
			retry += str_eq_c(answer_header(&an, "Retry-After", 0), "1") &&
				str_eq_c(answer_reason(&an), "TooManyRequests") &&
				str_eq_c(answer_message(&an),
					"Too many requests, please try again later.");
		conn_free(crowd[i]);
	}
	check(answers[504] == READS, "%zu of %zu requests waited, not %d", answers[504],
		ARRAY_LEN(crowd), READS);
	check(answers[429] == ARRAY_LEN(crowd) - READS && retry == answers[429],
		"%zu of %zu requests were told to come back, %zu of them when", answers[429],
		ARRAY_LEN(crowd), retry);
	call(a, s,
		&(struct call){.method = "GET",
			.path = "api/v1/namespaces/default/configmaps",
			.headers = CROWD},
		&an);
	says(&an, 200, NULL, NULL, "the crowd after it");
	arena_free(a);
}

void
group_limits(struct server *s)
{
	check_data(s);
	check_terms(s);
	check_values(s);
	check_lists(s);
	check_flight(s);
}
