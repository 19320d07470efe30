/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * query: what the paths and queries of the node API say. Total functions from bytes to options, without
 * I/O. Source: kubelet server; PodLogOptions validation; url.Values conversion of apimachinery. */
#include "orchestrator/streaming/streaming_int.h"

/* One pair at a time; false at the end. Broken escapes are skipped, as Go does. */
static bool
pair(struct arena *a, struct str *rest, struct str *key, struct str *value)
{
	while (str_is_set(*rest) && rest->n) {
		int rc = http_query_next(a, rest, key, value);
		if (rc == 1)
			return true;
		if (rc == 0 || rc == -ENOMEM)
			return false;
	}
	return false;
}

/* Absent = false; present, and neither "false" nor "0" = true. */
static bool
flag(struct arena *a, struct str query, const char *key)
{
	struct str v = http_query_get(a, query, str_c(key));
	return str_is_set(v) && !str_eq_nocase(v, STR("false")) && !str_eq(v, STR("0"));
}

/* A whole number of at least `min`: *ret stays when absent. */
static int
number(struct arena *a, struct str query, const char *key, int64_t min, int64_t *ret)
{
	struct str v = http_query_get(a, query, str_c(key));
	int64_t n = 0;
	if (v.n == 0)
		return 0;
	if (str_to_i64(v, &n) < 0)
		return -EINVAL;
	if (n < min)
		return -ERANGE;
	*ret = n;
	return 0;
}

static int
since(struct arena *a, struct str query, int64_t now_ns, int64_t *ret)
{
	struct str at = http_query_get(a, query, STR("sinceTime"));
	int64_t seconds = 0, ns = 0;
	int rc = number(a, query, "sinceSeconds", 1, &seconds);
	if (rc < 0)
		return rc;
	if (at.n && rfc3339_parse(at, &ns) < 0)
		return -EINVAL;
	if (at.n && seconds)
		return -ERANGE;
	if (seconds && seconds < now_ns / NS_PER_SEC)
		ns = now_ns - seconds * NS_PER_SEC;
	*ret = ns;
	return 0;
}

int
query_logs(struct arena *a, struct str query, int64_t now_ns, struct logs_query *ret)
{
	struct logs_query q = {.follow = flag(a, query, "follow"),
		.timestamps = flag(a, query, "timestamps"),
		.previous = flag(a, query, "previous"),
		.tail_lines = -1};
	struct str stream = http_query_get(a, query, STR("stream"));
	int rc = number(a, query, "tailLines", 0, &q.tail_lines);
	if (rc == 0)
		rc = number(a, query, "limitBytes", 1, &q.limit_bytes);
	if (rc == 0)
		rc = since(a, query, now_ns, &q.since_ns);
	if (rc < 0)
		return rc;
	q.only_stdout = str_eq(stream, STR("Stdout"));
	q.only_stderr = str_eq(stream, STR("Stderr"));
	bool one = q.only_stdout || q.only_stderr;
	if ((stream.n && !one && !str_eq(stream, STR("All"))) || (one && q.tail_lines >= 0))
		return -ERANGE;
	*ret = q;
	return 0;
}

/* The API server says "input=1"; clients that talk to a node may use the API's own names. */
static const struct {
	const char *name;
	size_t at;
} stream_flags[] = {
	{"input", offsetof(struct exec_query, use_stdin)},
	{"stdin", offsetof(struct exec_query, use_stdin)},
	{"output", offsetof(struct exec_query, use_stdout)},
	{"stdout", offsetof(struct exec_query, use_stdout)},
	{"error", offsetof(struct exec_query, use_stderr)},
	{"stderr", offsetof(struct exec_query, use_stderr)},
	{"tty", offsetof(struct exec_query, tty)},
};

int
query_exec(struct arena *a, struct str query, struct exec_query *ret)
{
	struct exec_query q = {0};
	struct str *argv = NULL, key, value;
	while (pair(a, &query, &key, &value)) {
		if (str_eq(key, STR("command"))) {
			struct str *v = ARENA_PUSH(a, argv, q.n_argv);
			if (v)
				*v = value;
			continue;
		}
		bool yes = str_eq(value, STR("1")) || str_eq(value, STR("true"));
		for (size_t i = 0; yes && i < ARRAY_LEN(stream_flags); i++)
			if (str_eq_c(key, stream_flags[i].name))
				*(bool *)((char *)&q + stream_flags[i].at) = true;
	}
	if (arena_failed(a))
		return -ENOMEM;
	if (q.tty)
		q.use_stderr = false; /* a terminal has one output */
	if (!q.use_stdin && !q.use_stdout && !q.use_stderr)
		return -EINVAL;
	q.argv = argv;
	*ret = q;
	return 0;
}

int
query_target(struct str path, bool with_container, bool with_uid, struct query_target *ret)
{
	struct str part[4], item;
	size_t n = 0, min = with_container ? 3 : 2;
	while (str_next(&path, '/', &item)) {
		if (n == ARRAY_LEN(part) || item.n == 0)
			return -ENOENT;
		part[n++] = item;
	}
	if (n < min || n > min + with_uid)
		return -ENOENT;
	*ret = (struct query_target){.ns = part[0],
		.pod = part[1],
		.uid = n > min ? part[2] : STR(""),
		.container = with_container ? part[n - 1] : STR("")};
	return 0;
}
