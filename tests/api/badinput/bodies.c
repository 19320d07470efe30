/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * bodies: bodies that are no objects: depth, aliases, characters, types, numbers, fields nobody knows or that stand
 * twice, protobuf that is none; and those that would take long to read. */
#include "tests/api/badinput/badinput.h"

#include "base/rand.h"

#include <stdio.h>

#define CMS "api/v1/namespaces/default/configmaps"
#define PODS "api/v1/namespaces/default/pods"
#define YAML .type = "application/yaml"
#define DRY "?dryRun=All"

/* ---- syntax ---- */

static const struct ask syntax[] = {
	ASK("POST", CMS, "", 400, "BadRequest", NULL),
	ASK("POST", CMS, "{", 400, "BadRequest", "unexpected end of JSON input"),
	ASK("POST", CMS, "{}}", 400, "BadRequest", "invalid character '}' after top-level value"),
	ASK("POST", CMS, "{\"a\":}", 400, "BadRequest",
		"invalid character '}' looking for beginning of value"),
	ASK("POST", CMS, "{\"a\" 1}", 400, "BadRequest", "invalid character '1' after object key"),
	ASK("POST", CMS, "{\"a\":1,}", 400, "BadRequest",
		"invalid character '}' looking for beginning of object key string"),
	ASK("POST", CMS, "{'a':1}", 400, "BadRequest",
		"invalid character '\\'' looking for beginning of object key string"),
	ASK("POST", CMS, "{\"a\":[1 2]}", 400, "BadRequest",
		"invalid character '2' after array element"),
	ASK("POST", CMS, "not json", 400, "BadRequest",
		"invalid character 'o' in literal null (expecting 'u')"),
	ASK("POST", CMS, "\xef\xbb\xbf{}", 400, "BadRequest", "looking for beginning of value"),
	ASK("POST", CMS, "[]", 400, "BadRequest", "cannot unmarshal array"),
	ASK("POST", CMS, "7", 400, "BadRequest", "cannot unmarshal number"),
	ASK("POST", CMS, "\"x\"", 400, "BadRequest", "cannot unmarshal string"),
	ASK("POST", CMS, "null", 422, "Invalid", "name or generateName is required"),
	ASK("POST", CMS, "{\"a\":01}", 400, "BadRequest",
		"invalid character '1' after object key:value pair"),
	ASK("POST", CMS, "{\"a\":.5}", 400, "BadRequest",
		"invalid character '.' looking for beginning of value"),
	ASK("POST", CMS, "{\"a\":+1}", 400, "BadRequest",
		"invalid character '+' looking for beginning of value"),
	ASK("POST", CMS, "{\"a\":1e}", 400, "BadRequest", "in exponent of numeric literal"),
	ASK("POST", CMS, "{\"a\":NaN}", 400, "BadRequest",
		"invalid character 'N' looking for beginning of value"),
	ASK("POST", CMS, "{\"a\":tru}", 400, "BadRequest",
		"invalid character '}' in literal true (expecting 'e')"),
	ASK("POST", CMS, "{\"a\":\"\\q\"}", 400, "BadRequest",
		"invalid character 'q' in string escape code"),
	ASK("POST", CMS, "{\"a\":\"\\u12x4\"}", 400, "BadRequest",
		"in \\u hexadecimal character escape"),
	ASK("POST", CMS, "{\"a\":\"b\nc\"}", 400, "BadRequest",
		"invalid character '\\n' in string literal"),
	ASK("POST", CMS, "{/* */}", 400, "BadRequest",
		"looking for beginning of object key string"),
	ASK("POST", CMS, "a: b: c", 400, "BadRequest",
		"mapping values are not allowed in this context", YAML),
	ASK("POST", CMS, "a: [1, 2", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "a: \"b", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "\ta: b", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "a: *none", 400, "BadRequest", "none", YAML),
	ASK("POST", CMS, "a: &a [*a]", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "a: !!frob x", 422, "Invalid", "name or generateName is required", YAML),
	ASK("POST", CMS, "? [a]\n: b", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "- a\n- b", 400, "BadRequest", NULL, YAML),
	ASK("POST", CMS, "{\"kind\":\"Frob\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\"}}",
		400, "BadRequest", "Frob"),
	ASK("POST", CMS,
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"v9\",\"metadata\":{\"name\":\"x\"}}", 400,
		"BadRequest", "v9"),
	ASK("POST", CMS,
		"{\"kind\":\"ConfigMap\",\"apiVersion\":\"a/b/c\",\"metadata\":{\"name\":\"x\"}}",
		400, "BadRequest", "a/b/c"),
	ASK("POST", CMS, "{\"kind\":7,\"metadata\":{\"name\":\"x\"}}", 400, "BadRequest", "kind"),
};

/* ---- types ---- */

#define CM(more) "{\"metadata\":{\"name\":\"types\"}," more "}"
#define POD(more) "{\"metadata\":{\"name\":\"types\"},\"spec\":{" more "}}"
#define CONTAINER(more) POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"," more "}]")
#define GOT(what, where, type)                                                                     \
	"json: cannot unmarshal " what " into Go struct field " where " of type " type
#define BAD(path, body, text) ASK("POST", path DRY, body, 400, "BadRequest", text)

static const struct ask types[] = {
	BAD(CMS, CM("\"data\":{\"a\":1}"), GOT("number", "ConfigMap.data", "string")),
	BAD(CMS, CM("\"data\":{\"a\":true}"), GOT("bool", "ConfigMap.data", "string")),
	BAD(CMS, CM("\"data\":{\"a\":[]}"), GOT("array", "ConfigMap.data", "string")),
	BAD(CMS, CM("\"data\":{\"a\":{}}"), GOT("object", "ConfigMap.data", "string")),
	BAD(CMS, CM("\"data\":\"a\""), GOT("string", "ConfigMap.data", "map[string]string")),
	BAD(CMS, CM("\"data\":[]"), GOT("array", "ConfigMap.data", "map[string]string")),
	BAD(CMS, CM("\"data\":7"), GOT("number", "ConfigMap.data", "map[string]string")),
	BAD(CMS, CM("\"immutable\":\"yes\""), GOT("string", "ConfigMap.immutable", "bool")),
	BAD(CMS, CM("\"immutable\":1"), GOT("number", "ConfigMap.immutable", "bool")),
	BAD(CMS, CM("\"binaryData\":{\"a\":\"%\"}"), "illegal base64 data at input byte 0"),
	BAD(CMS, "{\"metadata\":7}", GOT("number", "ConfigMap.metadata", "v1.ObjectMeta")),
	BAD(CMS, "{\"metadata\":{\"name\":7}}",
		GOT("number", "ObjectMeta.metadata.name", "string")),
	BAD(CMS, "{\"metadata\":{\"labels\":{\"a\":7}}}",
		GOT("number", "ObjectMeta.metadata.labels", "string")),
	BAD(CMS, "{\"metadata\":{\"finalizers\":\"a\"}}",
		GOT("string", "ObjectMeta.metadata.finalizers", "[]string")),
	BAD(CMS, "{\"metadata\":{\"creationTimestamp\":\"yesterday\"}}",
		"cannot parse \"yesterday\""),
	BAD(CMS, "{\"metadata\":{\"generation\":\"1\"}}",
		GOT("string", "ObjectMeta.metadata.generation", "int64")),
	BAD(PODS, POD("\"containers\":{}"),
		GOT("object", "PodSpec.spec.containers", "[]v1.Container")),
	BAD(PODS, POD("\"containers\":[7]"),
		GOT("number", "PodSpec.spec.containers", "v1.Container")),
	BAD(PODS, POD("\"hostNetwork\":\"true\""),
		GOT("string", "PodSpec.spec.hostNetwork", "bool")),
	BAD(PODS, POD("\"terminationGracePeriodSeconds\":\"1\""),
		GOT("string", "PodSpec.spec.terminationGracePeriodSeconds", "int64")),
	BAD(PODS, POD("\"terminationGracePeriodSeconds\":1.5"),
		GOT("number 1.5", "PodSpec.spec.terminationGracePeriodSeconds", "int64")),
	BAD(PODS, POD("\"terminationGracePeriodSeconds\":9223372036854775808"),
		"cannot unmarshal number 92233720368547"),
	BAD(PODS, POD("\"terminationGracePeriodSeconds\":1e400"), "number"),
	BAD(PODS, POD("\"priority\":2147483648"),
		GOT("number 2147483648", "PodSpec.spec.priority", "int32")),
	BAD(PODS, POD("\"priority\":-2147483649"),
		GOT("number -2147483649", "PodSpec.spec.priority", "int32")),
	BAD(PODS, CONTAINER("\"ports\":[{\"containerPort\":\"80\"}]"),
		"containerPort of type int32"),
	BAD(PODS, CONTAINER("\"ports\":[{\"containerPort\":4294967376}]"), "4294967376"),
	BAD(PODS, CONTAINER("\"resources\":{\"limits\":{\"cpu\":\"much\"}}"),
		"quantities must match the regular expression"),
	BAD(PODS, CONTAINER("\"resources\":{\"limits\":{\"cpu\":true}}"),
		"quantities must match the regular expression"),
	BAD(PODS, CONTAINER("\"livenessProbe\":{\"httpGet\":{\"port\":true}}"), "cannot unmarshal"),
	BAD(PODS, CONTAINER("\"livenessProbe\":{\"httpGet\":{\"port\":1.5}}"), "cannot unmarshal"),
	BAD(PODS, CONTAINER("\"livenessProbe\":{\"httpGet\":{\"port\":2147483648}}"), "2147483648"),
	BAD(PODS, POD("\"nodeSelector\":{\"a\":null,\"b\":7}"),
		GOT("number", "PodSpec.spec.nodeSelector", "string")),
	BAD("api/v1/namespaces/default/secrets", CM("\"data\":{\"a\":\"a\"}"),
		"illegal base64 data at input byte 0"),
	BAD("api/v1/namespaces/default/secrets", CM("\"data\":{\"a\":7}"),
		GOT("number", "Secret.data", "[]uint8")),
};

/* ---- unknown and duplicate fields ---- */

#define ODD                                                                                        \
	"{\"metadata\":{\"name\":\"odd\",\"zzz\":1},\"data\":{\"a\":\"1\",\"a\":\"2\"},\"frob\":{\"x\":1}}"
static const char odd_text[] =
	"ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field "
	"\"metadata.zzz\", duplicate field \"data.a\", unknown field \"frob\"";

static void
check_strict(struct server *s)
{
	static const char *const warned[] = {"299 - \"unknown field \\\"metadata.zzz\\\"\"",
		"299 - \"duplicate field \\\"data.a\\\"\"", "299 - \"unknown field \\\"frob\\\"\""};
	static const struct {
		const char *query;
		int http;
		bool warns;
	} rows[] = {{"&fieldValidation=Strict", 400, false}, {"&fieldValidation=Warn", 201, true},
		{"", 201, true}, {"&fieldValidation=", 201, true},
		{"&fieldValidation=Ignore", 201, false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct answer an;
		char path[128];

		snprintf(path, sizeof(path), CMS DRY "%s", rows[i].query);
		call(a, s, &(struct call){.method = "POST", .path = path, .body = STR(ODD)}, &an);
		says(&an, rows[i].http, rows[i].http == 400 ? "BadRequest" : NULL,
			rows[i].http == 400 ? odd_text : "\"data\":{\"a\":\"2\"}",
			"unknown fields, %s", rows[i].query);
		for (size_t w = 0; w < ARRAY_LEN(warned); w++) {
			struct str got = answer_header(&an, "Warning", w);

			check(rows[i].warns ? str_eq_c(got, warned[w]) : !str_is_set(got),
				"warning %zu, %s: " STR_FMT, w, rows[i].query, STR_ARG(got));
		}
		check(!str_is_set(answer_header(&an, "Warning", ARRAY_LEN(warned))),
			"more warnings, %s", rows[i].query);
		check(str_find(an.body, STR("frob")) < 0 || an.http == 400,
			"an unknown field is kept, %s", rows[i].query);
		arena_free(a);
	}
}

/* ---- depth, aliases ---- */

static void
check_depth(struct server *s)
{
	static const struct {
		const char *open, *close, *type;
		size_t n;
		int http;
	} rows[] = {
		{"[", "]", NULL, 40, 201},
		{"[", "]", NULL, 64, 413},
		{"{\"a\":", "}", NULL, 64, 413},
		{"[", "]", NULL, 100000, 413},
		{"{\"a\":", "}", NULL, 100000, 413},
		{"[", "", NULL, 1000000, 400},
		{"[", "]", "application/yaml", 40, 201},
		{"[", "]", "application/yaml", 64, 413},
		{"{a: ", "}", "application/yaml", 100000, 413},
		{"- ", "", "application/yaml", 100000, 400},
		{"? ", "", "application/yaml", 100000, 400},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		struct str deep = nested(a, rows[i].open, "1", rows[i].close, rows[i].n);
		struct str body = arena_fmt(a,
			"{\"metadata\":{\"name\":\"deep\"},\"frob\":" STR_FMT "}", STR_ARG(deep));
		int64_t begin = now_ms();
		struct answer an;

		call(a, s, &(struct call){"POST", CMS DRY, rows[i].type, NULL, body}, &an);
		check(an.http == rows[i].http, "%zu times %s: %d " STR_FMT, rows[i].n, rows[i].open,
			an.http, STR_ARG(str_sub(an.body, 0, 300)));
		check(now_ms() - begin < 10000, "%zu times %s took %lld ms", rows[i].n,
			rows[i].open, (long long)(now_ms() - begin));
		arena_free(a);
	}
}

/* check_bomb: 9 lists, each of 9 times the one before: 9^9 words of nothing. */
static void
check_bomb(struct server *s)
{
	struct arena *a = arena_new(0);
	int64_t begin = now_ms();
	struct answer an;
	struct buf b;

	buf_init_arena(&b, a);
	buf_cstr(&b, "metadata: {name: bomb}\na0: &a0 [x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++)
		buf_fmt(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
			i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	call(a, s, &(struct call){"POST", CMS DRY, "application/yaml", NULL, buf_view(&b)}, &an);
	check(an.http == 400 || an.http == 413, "a bomb of aliases: %d " STR_FMT, an.http,
		STR_ARG(str_sub(an.body, 0, 300)));
	check(now_ms() - begin < 10000, "a bomb of aliases took %lld ms",
		(long long)(now_ms() - begin));
	arena_free(a);
	a = arena_new(0);
	buf_init_arena(&b, a);
	buf_cstr(&b, "metadata: {name: bomb}\nx: &x {");
	for (int i = 0; i < 2000; i++)
		buf_fmt(&b, "k%d: v, ", i);
	buf_cstr(&b, "}\ny:\n");
	for (int i = 0; i < 20000; i++)
		buf_cstr(&b, "- {<<: *x}\n");
	call(a, s, &(struct call){"POST", CMS DRY, "application/yaml", NULL, buf_view(&b)}, &an);
	check(an.http == 400 || an.http == 413, "a bomb of merges: %d " STR_FMT, an.http,
		STR_ARG(str_sub(an.body, 0, 300)));
	arena_free(a);
}

/* ---- characters ---- */

/* Bytes that are no UTF-8 become U+FFFD, as in every Go program; escapes that are half a pair too. */
static void
check_utf8(struct server *s)
{
	static const char *const bad[] = {"\xff", "\xc0\xaf", "\xed\xa0\x80",
		"\xf8\x88\x80\x80\x80", "\xe2\x82", "\xf4\x90\x80\x80"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arena *a = arena_new(0);
		struct answer an;

		call(a, s,
			&(struct call){.method = "POST",
				.path = CMS DRY,
				.body = arena_fmt(a,
					"{\"metadata\":{\"name\":\"utf\"},\"data\":{\"a\":\"<%s>\"}}",
					bad[i])},
			&an);
		check(an.http == 400 ||
				(an.http == 201 && str_find(an.body, STR("<\xef\xbf\xbd")) > 0),
			"bytes %zu that are no UTF-8: %d " STR_FMT, i, an.http, STR_ARG(an.body));
		check(str_find(an.body, str_c(bad[i])) < 0,
			"bytes %zu that are no UTF-8 are given back", i);
		call(a, s,
			&(struct call){"POST", CMS DRY, "application/yaml", NULL,
				arena_fmt(
					a, "metadata: {name: utf}\ndata: {a: \"<%s>\"}\n", bad[i])},
			&an);
		check(an.http == 400, "bytes %zu that are no UTF-8, in YAML: %d " STR_FMT, i,
			an.http, STR_ARG(an.body));
		arena_free(a);
	}
}

/* ---- protobuf ---- */

static void
check_protobuf(struct server *s)
{
	/* ConfigMap {metadata {name "p"}} in its envelope; then what is wrong with it. */
	static const char good[] = "k8s\0\x0a\x0f\x0a\x02v1\x12\x09"
				   "ConfigMap\x12\x05\x0a\x03\x0a\x01p";
	static const struct {
		const char *what;
		struct str bytes;
		int http;
	} rows[] = {
		{"a good one", {good, sizeof(good) - 1}, 201},
		{"no envelope", STR_INIT("{\"metadata\":{\"name\":\"p\"}}"), 400},
		{"half an envelope", {good, 3}, 400},
		{"an envelope cut in the kind", {good, 12}, 400},
		{"an object cut in its name", {good, sizeof(good) - 2}, 400},
		{"nothing behind the prefix", {good, 4}, 422},
		{"a length beyond the end", {"k8s\0\x0a\xff\x7f\x0a\x02v1", 11}, 400},
		{"a length of 2^63", {"k8s\0\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 15},
			400},
		{"a varint without end",
			{"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16}, 400},
		{"field number 0", {"k8s\0\x02\x01x", 7}, 400},
		{"a group that ends nowhere", {"k8s\0\x13\x13\x13", 7}, 400},
		{"a wire type nobody knows", {"k8s\0\x17\x17", 6}, 400},
	};
	struct arena *a = arena_new(0);
	struct answer an;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		call(a, s,
			&(struct call){"POST", CMS DRY, "application/vnd.kubernetes.protobuf", NULL,
				rows[i].bytes},
			&an);
		says(&an, rows[i].http, rows[i].http == 400 ? "BadRequest" : NULL, NULL,
			"protobuf: %s", rows[i].what);
	}
	for (int i = 0; i < 100; i++) {
		char bytes[64];

		memcpy(bytes, good, sizeof(good) - 1);
		for (int n = 0; n < 3; n++)
			rand_bytes(bytes + 4 + rand_below(sizeof(good) - 5), 1);
		call(a, s,
			&(struct call){"POST", CMS DRY, "application/vnd.kubernetes.protobuf", NULL,
				{bytes, sizeof(good) - 1}},
			&an);
		check(an.http == 201 || an.http == 400 || an.http == 422,
			"protobuf with three wrong bytes, %d: %d", i, an.http);
	}
	arena_free(a);
}

/* ---- time ---- */

/* check_long: bodies of 2 MiB that are all of one thing are answered as fast as they are read. */
static void
check_long(struct server *s)
{
	static const struct {
		const char *what, *path, *head, *item, *tail;
	} rows[] = {
		{"keys of data", CMS,
			"{\"metadata\":{\"name\":\"long\"},\"binaryData\":{\"z\":\"\"},\"data\":{\"a\":\"\"",
			",\"k%d\":\"%d\"", "}}"},
		{"unknown fields", CMS, "{\"metadata\":{\"name\":\"long\"}", ",\"k%d\":%d", "}"},
		{"one duplicate field", CMS, "{\"metadata\":{\"name\":\"long\"}",
			",\"data\":{\"k%d\":\"%d\"}", "}"},
		{"labels that are wrong", CMS,
			"{\"metadata\":{\"name\":\"long\",\"labels\":{\"a\":\"\"",
			",\"%d/\":\"%d\"", "}}}"},
		{"owners", CMS, "{\"metadata\":{\"name\":\"long\",\"ownerReferences\":[{}",
			",{\"uid\":\"%d\",\"name\":\"%d\"}", "]}}"},
		{"containers", PODS,
			"{\"metadata\":{\"name\":\"long\"},\"spec\":{\"containers\":[{}",
			",{\"name\":\"c%d\",\"image\":\"%d\"}", "]}}"},
		{"mounts", PODS,
			"{\"metadata\":{\"name\":\"long\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
			"\"volumeMounts\":[{}",
			",{\"name\":\"v%d\",\"mountPath\":\"/%d\"}", "]}]}}"},
		{"variables", PODS,
			"{\"metadata\":{\"name\":\"long\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\","
			"\"env\":[{}",
			",{\"name\":\"v%d\",\"value\":\"%d\"}", "]}]}}"},
		{"tolerations", PODS,
			"{\"metadata\":{\"name\":\"long\"},\"spec\":{\"tolerations\":[{}",
			",{\"key\":\"v%d\",\"value\":\"%d\"}", "]}}"},
		{"ports of a Service", "api/v1/namespaces/default/services",
			"{\"metadata\":{\"name\":\"long\"},\"spec\":{\"ports\":[{}",
			",{\"name\":\"p%d\",\"port\":%d}", "]}}"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new(0);
		int64_t begin = 0;
		struct answer an;
		char path[128];
		struct buf b;

		buf_init_arena(&b, a);
		buf_cstr(&b, rows[i].head);
		for (int k = 0; b.len < 2 << 20; k++) {
			const char *at = rows[i].item;

			for (const char *d = NULL; (d = strstr(at, "%d")); at = d + 2) {
				buf_str(&b, str_from(at, (size_t)(d - at)));
				buf_fmt(&b, "%d", k);
			}
			buf_cstr(&b, at);
		}
		buf_cstr(&b, rows[i].tail);
		snprintf(path, sizeof(path), "%s" DRY, rows[i].path);
		begin = now_ms();
		call(a, s, &(struct call){.method = "POST", .path = path, .body = buf_view(&b)},
			&an);
		check(an.http / 100 == 2 || an.http / 100 == 4, "2 MiB of %s: %d " STR_FMT,
			rows[i].what, an.http, STR_ARG(str_sub(an.body, 0, 300)));
		check(now_ms() - begin < 10000, "2 MiB of %s took %lld ms", rows[i].what,
			(long long)(now_ms() - begin));
		arena_free(a);
	}
}

void
group_bodies(struct server *s)
{
	ask_all(s, syntax, ARRAY_LEN(syntax));
	ask_all(s, types, ARRAY_LEN(types));
	check_strict(s);
	check_depth(s);
	check_bomb(s);
	check_utf8(s);
	check_protobuf(s);
	check_long(s);
}
