/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * patches: patches that are none, of each form; and the same object written from two sides. */
#include "tests/api/badinput/badinput.h"

#include <stdio.h>

#define CM "api/v1/namespaces/default/configmaps/patched"
#define POD "api/v1/namespaces/default/pods/patched"
#define JSON .type = "application/json-patch+json"
#define MERGE .type = "application/merge-patch+json"
#define STRATEGIC .type = "application/strategic-merge-patch+json"
#define OP(more) "[{\"op\":" more "}]"

static const struct ask asks[] = {
	/* JSON patches: what cannot be laid over the object is a 422, what is no patch a 400 */
	ASK("PATCH", CM, "", 400, "BadRequest", NULL, JSON),
	ASK("PATCH", CM, "not json", 400, "BadRequest", NULL, JSON),
	ASK("PATCH", CM, "{\"op\":\"add\"}", 400, "BadRequest", "cannot unmarshal object", JSON),
	ASK("PATCH", CM, "[7]", 400, "BadRequest", NULL, JSON),
	ASK("PATCH", CM, OP("\"frob\",\"path\":\"/data/a\""), 422, "Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"add\",\"value\":1"), 422, "Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"add\",\"path\":\"data\",\"value\":1"), 422, "Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"add\",\"path\":\"/none/a\",\"value\":\"1\""), 422, "Invalid", NULL,
		JSON),
	ASK("PATCH", CM, OP("\"remove\",\"path\":\"/data/none\""), 422, "Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"replace\",\"path\":\"/data/none\",\"value\":\"1\""), 422, "Invalid",
		NULL, JSON),
	ASK("PATCH", CM, OP("\"test\",\"path\":\"/data/a\",\"value\":\"2\""), 422, "Invalid", NULL,
		JSON),
	ASK("PATCH", CM, OP("\"copy\",\"from\":\"/data/none\",\"path\":\"/data/b\""), 422,
		"Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"move\",\"from\":\"/data\",\"path\":\"/data/b\""), 422, "Invalid",
		NULL, JSON),
	ASK("PATCH", POD, OP("\"add\",\"path\":\"/spec/containers/9\",\"value\":{}"), 422,
		"Invalid", NULL, JSON),
	ASK("PATCH", POD, OP("\"add\",\"path\":\"/spec/containers/x\",\"value\":{}"), 422,
		"Invalid", NULL, JSON),
	ASK("PATCH", POD, OP("\"add\",\"path\":\"/spec/containers/-2\",\"value\":{}"), 422,
		"Invalid", NULL, JSON),
	ASK("PATCH", CM, OP("\"replace\",\"path\":\"/metadata/name\",\"value\":\"b\""), 400,
		"BadRequest",
		"the name of the object (b) does not match the name on the URL (patched)", JSON),
	ASK("PATCH", CM, OP("\"add\",\"path\":\"/metadata/labels\",\"value\":{\"a b\":\"c\"}"), 422,
		"Invalid", "name part must consist of", JSON, .cause = "Invalid",
		.field = "metadata.labels"),
	/* merge patches */
	ASK("PATCH", CM, "", 400, "BadRequest", NULL, MERGE),
	ASK("PATCH", CM, "{", 400, "BadRequest", "unexpected end of JSON input", MERGE),
	ASK("PATCH", CM, "[1]", 400, "BadRequest", NULL, MERGE),
	ASK("PATCH", CM, "7", 400, "BadRequest", NULL, MERGE),
	ASK("PATCH", CM, "{\"metadata\":{\"labels\":{\"a b\":\"c\"}}}", 422, "Invalid",
		"name part must consist of", MERGE, .cause = "Invalid", .field = "metadata.labels"),
	ASK("PATCH", CM, "{\"metadata\":{\"name\":\"b\"}}", 400, "BadRequest",
		"the name of the object (b) does not match the name on the URL (patched)", MERGE),
	ASK("PATCH", CM, "{\"metadata\":{\"resourceVersion\":\"1\"}}", 409, "Conflict",
		"Operation cannot be fulfilled on configmaps \"patched\": the object has been modified; please apply your "
		"changes to the latest version and try again",
		MERGE),
	ASK("PATCH", CM, "{\"metadata\":{\"resourceVersion\":\"x\"}}", 500, NULL,
		"strconv.ParseUint: parsing \"x\": invalid syntax", MERGE),
	ASK("PATCH", "api/v1/namespaces/default/configmaps/none", "{}", 404, "NotFound",
		"configmaps \"none\" not found", MERGE),
	/* strategic merge patches */
	ASK("PATCH", POD, "{", 400, "BadRequest", "unexpected end of JSON input", STRATEGIC),
	ASK("PATCH", POD, "[1]", 400, "BadRequest", NULL, STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"containers\":[{\"image\":\"j\"}]}}", 400, NULL,
		"does not contain declared merge key: name", STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"containers\":[7]}}", 400, NULL, NULL, STRATEGIC),
	ASK("PATCH", POD, "{\"$patch\":\"frob\"}", 400, NULL, "frob", STRATEGIC),
	ASK("PATCH", POD, "{\"$patch\":7}", 400, NULL, NULL, STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"containers\":[{\"name\":\"c\",\"$patch\":\"frob\"}]}}", 400,
		NULL, "frob", STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"$retainKeys\":7}}", 400, NULL, NULL, STRATEGIC),
	ASK("PATCH", POD, "{\"metadata\":{\"$deleteFromPrimitiveList/finalizers\":7}}", 400, NULL,
		NULL, STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"$setElementOrder/containers\":7}}", 400, NULL, NULL,
		STRATEGIC),
	ASK("PATCH", POD, "{\"spec\":{\"nodeName\":\"elsewhere\"}}", 422, "Invalid",
		"pod updates may not change fields other than", STRATEGIC, .cause = "Forbidden",
		.field = "spec"),
};

static void
make(struct server *s)
{
	static const struct ask objects[] = {
		ASK("POST", "api/v1/namespaces/default/configmaps",
			"{\"metadata\":{\"name\":\"patched\"},\"data\":{\"a\":\"1\"}}", 201, NULL,
			NULL),
		ASK("POST", "api/v1/namespaces/default/pods",
			"{\"metadata\":{\"name\":\"patched\"},\"spec\":{\"schedulingGates\":[{\"name\":\"wait\"}],"
			"\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
			201, NULL, NULL),
	};

	ask_all(s, objects, ARRAY_LEN(objects));
}

/* check_types: a patch that leaves what is no such object. */
static void
check_types(struct server *s)
{
	static const struct ask wrong[] = {
		ASK("PATCH", CM, OP("\"add\",\"path\":\"/data/a\",\"value\":7"), 0, NULL, NULL,
			JSON),
		ASK("PATCH", CM, OP("\"replace\",\"path\":\"\",\"value\":7"), 0, NULL, NULL, JSON),
		ASK("PATCH", CM, "{\"data\":{\"a\":7}}", 0, NULL, NULL, MERGE),
		ASK("PATCH", CM, "{\"data\":7}", 0, NULL, NULL, MERGE),
		ASK("PATCH", CM, "{\"kind\":\"Secret\"}", 0, NULL, NULL, MERGE),
		ASK("PATCH", CM, "{\"apiVersion\":\"apps/v1\"}", 0, NULL, NULL, MERGE),
		ASK("PATCH", CM, "{\"data\":{\"a\":7}}", 0, NULL, NULL, STRATEGIC),
		ASK("PATCH", CM "?fieldValidation=Strict", "{\"frob\":1}", 0, NULL, NULL, MERGE),
		ASK("PATCH", CM "?fieldValidation=Strict", "{\"frob\":1}", 0, NULL, NULL,
			STRATEGIC),
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct arena *a = arena_new(0);
		struct answer an;

		call(a, s,
			&(struct call){
				"PATCH", wrong[i].path, wrong[i].type, NULL, str_c(wrong[i].body)},
			&an);
		check((an.http == 400 && str_eq_c(answer_reason(&an), "BadRequest")) ||
				(an.http == 422 && str_eq_c(answer_reason(&an), "Invalid")),
			"%s: %d " STR_FMT, wrong[i].body, an.http, STR_ARG(an.body));
		arena_free(a);
	}
}

/* check_stale: a write with a version that is not the last is a conflict; the object stays as it is. */
static void
check_stale(struct server *s)
{
	static const char text[] =
		"Operation cannot be fulfilled on configmaps \"patched\": the object has been modified; please apply your "
		"changes to the latest version and try again";
	struct arena *a = arena_new(0);
	struct answer first, an;
	struct str old = STR_NONE;

	call(a, s, &(struct call){.method = "GET", .path = CM}, &first);
	old = doc_as_str(doc_at(first.doc, "metadata.resourceVersion"));
	call(a, s,
		&(struct call){"PATCH", CM, "application/merge-patch+json", NULL,
			STR("{\"data\":{\"a\":\"2\"}}")},
		&an);
	says(&an, 200, NULL, "\"a\":\"2\"", "a patch");
	call(a, s, &(struct call){.method = "PUT", .path = CM, .body = first.body}, &an);
	says(&an, 409, "Conflict", text, "a PUT of an old version");
	check(str_eq_c(doc_as_str(doc_at(an.doc, "details.name")), "patched") &&
			str_eq_c(doc_as_str(doc_at(an.doc, "details.kind")), "configmaps"),
		"details of a conflict: " STR_FMT, STR_ARG(an.body));
	call(a, s,
		&(struct call){"PATCH", CM, "application/merge-patch+json", NULL,
			arena_fmt(a,
				"{\"metadata\":{\"resourceVersion\":\"" STR_FMT
				"\"},\"data\":{\"a\":\"3\"}}",
				STR_ARG(old))},
		&an);
	says(&an, 409, "Conflict", text, "a patch of an old version");
	call(a, s,
		&(struct call){.method = "DELETE",
			.path = CM,
			.body = arena_fmt(a,
				"{\"preconditions\":{\"resourceVersion\":\"" STR_FMT "\"}}",
				STR_ARG(old))},
		&an);
	says(&an, 409, "Conflict", "Operation cannot be fulfilled on",
		"a delete of an old version");
	call(a, s,
		&(struct call){.method = "DELETE",
			.path = CM,
			.body = STR(
				"{\"preconditions\":{\"uid\":\"00000000-0000-4000-8000-000000000000\"}}")},
		&an);
	says(&an, 409, "Conflict", "Operation cannot be fulfilled on",
		"a delete of another object");
	call(a, s, &(struct call){.method = "GET", .path = CM}, &an);
	says(&an, 200, NULL, "\"a\":\"2\"", "what conflicted changed nothing");
	arena_free(a);
}

/* check_many: as many operations as are taken, and one more. */
static void
check_many(struct server *s)
{
	for (int more = 0; more < 2; more++) {
		struct arena *a = arena_new(0);
		struct answer an;
		struct buf b;

		buf_init_arena(&b, a);
		for (int i = 0; i < 10000 + more; i++)
			buf_fmt(&b, "%c{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"%d\"}",
				i ? ',' : '[', i);
		buf_char(&b, ']');
		call(a, s,
			&(struct call){
				"PATCH", CM, "application/json-patch+json", NULL, buf_view(&b)},
			&an);
		if (more)
			says(&an, 413, "RequestEntityTooLarge", "10000", "10,001 operations");
		else
			says(&an, 200, NULL, "\"b\":\"9999\"", "10,000 operations");
		arena_free(a);
	}
}

/* check_copies: operations that double a value 40 times would fill the memory. */
static void
check_copies(struct server *s)
{
	struct arena *a = arena_new(0);
	int64_t begin = now_ms();
	struct answer an;
	struct buf b;

	buf_init_arena(&b, a);
	buf_cstr(
		&b, "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"a\":\"x\"}}");
	for (int i = 0; i < 40; i++)
		buf_fmt(&b,
			",{\"op\":\"copy\",\"from\":\"/metadata\",\"path\":\"/metadata/annotations/a%d\"}",
			i);
	buf_char(&b, ']');
	call(a, s, &(struct call){"PATCH", CM, "application/json-patch+json", NULL, buf_view(&b)},
		&an);
	check(an.http == 413 || an.http == 400 || an.http == 422,
		"a patch that doubles 40 times: %d " STR_FMT, an.http,
		STR_ARG(str_sub(an.body, 0, 300)));
	check(now_ms() - begin < 10000, "a patch that doubles 40 times took %lld ms",
		(long long)(now_ms() - begin));
	arena_free(a);
}

void
group_patches(struct server *s)
{
	make(s);
	ask_all(s, asks, ARRAY_LEN(asks));
	check_types(s);
	check_stale(s);
	check_many(s);
	check_copies(s);
}
