/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * options: what a query asks for and what it names: selectors, pages, versions, dry runs, names. */
#include "tests/api/badinput/badinput.h"

#define CMS "api/v1/namespaces/default/configmaps"
#define CM(name) "{\"metadata\":{\"name\":\"" name "\"}}"
#define LIST(query, text) ASK("GET", CMS "?" query, NULL, 400, "BadRequest", text)
#define LIST_INVALID(query, c, f)                                                                  \
	ASK("GET", CMS "?" query, NULL, 422, "Invalid", NULL, .cause = c, .field = f)
#define OPTION(method, path, body, c, f)                                                           \
	ASK(method, path, body, 422, "Invalid", NULL, .cause = c, .field = f)

static const struct ask asks[] = {
	ASK("POST", CMS, CM("o"), 201, NULL, NULL),
	/* selectors */
	LIST("labelSelector=a%3D%3D%3Db", "unable to parse requirement"),
	LIST("labelSelector=a,,b", "found ','"),
	LIST("labelSelector=a%20in%20b", "found 'b'"),
	LIST("labelSelector=a%20in%20(b", "unable to parse requirement"),
	LIST("labelSelector=!", "found ''"),
	LIST("labelSelector=a%20gt%20b", "found 'gt'"),
	LIST("labelSelector=a%3Eb", "for 'Gt', 'Lt' operators, the value must be an integer"),
	LIST("labelSelector=a%20b%3Dc", "found 'b'"),
	LIST("labelSelector=-%2Fa%3Db", "prefix part a lowercase RFC 1123 subdomain"),
	LIST("labelSelector=a%3Db%20c", "found 'c'"),
	LIST("labelSelector=a%3D-", "a valid label must be an empty string or consist of"),
	LIST("labelSelector=a%3D%ff", NULL),
	LIST("fieldSelector=frob%3D1",
		"\"frob\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
	LIST("fieldSelector=metadata.name",
		"invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
	LIST("fieldSelector=metadata.name%3Ea", "can't understand"),
	LIST("fieldSelector=metadata.name%3D%5C", NULL),
	/* pages and versions */
	LIST("continue=bad", "continue key is not valid"),
	LIST("continue=%25", "continue key is not valid"),
	LIST("continue=e30", "continue key is not valid"),
	LIST("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiIn0",
		"continue key is not valid"),
	LIST("resourceVersion=abc", "Invalid value: \"abc\": strconv.ParseUint"),
	LIST("resourceVersion=-1", "Invalid value: \"-1\": strconv.ParseUint"),
	LIST("resourceVersion=99999999999999999999",
		"Invalid value: \"99999999999999999999\": strconv.ParseUint"),
	LIST("limit=x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
	LIST("limit=9223372036854775808", "9223372036854775808"),
	LIST("timeoutSeconds=1.5", "strconv.ParseInt: parsing \"1.5\": invalid syntax"),
	LIST_INVALID("resourceVersionMatch=Exact", "Forbidden", "resourceVersionMatch"),
	LIST_INVALID("resourceVersionMatch=Frob&resourceVersion=1", "NotSupported",
		"resourceVersionMatch"),
	LIST_INVALID("resourceVersionMatch=Exact&resourceVersion=0", "Forbidden",
		"resourceVersionMatch"),
	LIST_INVALID("resourceVersionMatch=Exact&resourceVersion=1&continue=x", "Forbidden",
		"resourceVersionMatch"),
	LIST_INVALID("sendInitialEvents=true", "Forbidden", "sendInitialEvents"),
	LIST_INVALID("watch=1&sendInitialEvents=true", "Forbidden", "resourceVersionMatch"),
	LIST_INVALID("watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", "NotSupported",
		"resourceVersionMatch"),
	ASK("GET", CMS "?resourceVersion=9000000000000000000", NULL, 504, "Timeout",
		"Too large resource version"),
	ASK("GET", CMS "/x?resourceVersion=9000000000000000000", NULL, 504, "Timeout",
		"Too large resource version"),
	/* what a write asks for */
	OPTION("POST", CMS "?dryRun=Some", CM("o"), "NotSupported", "dryRun"),
	OPTION("POST", CMS "?dryRun=All&dryRun=Some", CM("o"), "NotSupported", "dryRun"),
	OPTION("PUT", CMS "/o?dryRun=all", CM("o"), "NotSupported", "dryRun"),
	OPTION("DELETE", CMS "/o?dryRun=true", NULL, "NotSupported", "dryRun"),
	OPTION("DELETE", CMS "/o", "{\"dryRun\":[\"Some\"]}", "NotSupported", "dryRun"),
	OPTION("POST", CMS "?fieldValidation=Frob", CM("o"), "NotSupported", "fieldValidation"),
	OPTION("POST",
		CMS
		"?fieldManager=mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
		"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
		CM("o"), "TooLong", "fieldManager"),
	OPTION("DELETE", CMS "/o?propagationPolicy=Frob", NULL, "NotSupported",
		"propagationPolicy"),
	OPTION("DELETE", CMS "/o", "{\"propagationPolicy\":\"Frob\"}", "NotSupported",
		"propagationPolicy"),
	OPTION("DELETE", CMS "/o", "{\"propagationPolicy\":\"Orphan\",\"orphanDependents\":true}",
		"Invalid", "propagationPolicy"),
	ASK("DELETE", CMS "/o?gracePeriodSeconds=x", NULL, 400, "BadRequest", "invalid syntax"),
	ASK("DELETE", CMS "/o", "{\"gracePeriodSeconds\":\"1\"}", 400, "BadRequest",
		"gracePeriodSeconds of type int64"),
	ASK("DELETE", CMS "/o", "not json", 400, "BadRequest",
		"invalid character 'o' in literal null"),
	ASK("PATCH", CMS "/o?force=true", "{}", 422, "Invalid",
		"may not be specified for non-apply patch", .type = "application/merge-patch+json",
		.cause = "Forbidden", .field = "force"),
	/* names */
	ASK("POST", CMS, CM(""), 422, "Invalid", "name or generateName is required",
		.cause = "Required", .field = "metadata.name"),
	ASK("POST", CMS, CM("UPPER"), 422, "Invalid", "a lowercase RFC 1123 subdomain",
		.cause = "Invalid", .field = "metadata.name"),
	ASK("POST", CMS, CM("a/b"), 422, "Invalid", NULL, .cause = "Invalid",
		.field = "metadata.name"),
	ASK("POST", CMS, CM(".."), 422, "Invalid", NULL, .cause = "Invalid",
		.field = "metadata.name"),
	ASK("POST", CMS, CM("-a"), 422, "Invalid", NULL, .cause = "Invalid",
		.field = "metadata.name"),
	ASK("POST", CMS, CM("a\\u0000b"), 422, "Invalid", NULL, .cause = "Invalid",
		.field = "metadata.name"),
	ASK("POST", CMS, CM("a\\u00e9"), 422, "Invalid", NULL, .cause = "Invalid",
		.field = "metadata.name"),
	ASK("POST", CMS, "{\"metadata\":{\"generateName\":\"-\"}}", 422, "Invalid", NULL,
		.cause = "Invalid", .field = "metadata.generateName"),
	ASK("POST", CMS, "{\"metadata\":{\"name\":\"o\",\"namespace\":\"kube-system\"}}", 400,
		"BadRequest",
		"the namespace of the provided object does not match the namespace sent on the request"),
	ASK("POST", "api/v1/namespaces/none/configmaps", CM("o"), 404, "NotFound",
		"namespaces \"none\" not found"),
	ASK("PUT", CMS "/o", CM("p"), 400, "BadRequest",
		"the name of the object (p) does not match the name on the URL (o)"),
	ASK("GET", CMS "/none", NULL, 404, "NotFound", "configmaps \"none\" not found"),
	ASK("DELETE", CMS "/none", NULL, 404, "NotFound", "configmaps \"none\" not found"),
	ASK("POST", "api/v1/namespaces", CM("a.b"), 422, "Invalid", "must not contain dots",
		.cause = "Invalid", .field = "metadata.name"),
	ASK("POST", "api/v1/namespaces/default/services",
		"{\"metadata\":{\"name\":\"a.b\"},\"spec\":{\"ports\":[{\"port\":80}]}}", 422,
		"Invalid", "must not contain dots", .cause = "Invalid", .field = "metadata.name"),
};

/* check_class: what a pod's class says of preemption is not for the pod to say. */
static void
check_class(struct server *s)
{
	static const struct ask rows[] = {
		ASK("POST", "api/v1/namespaces/default/pods?dryRun=All",
			"{\"metadata\":{\"name\":\"o\"},\"spec\":{\"preemptionPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\"}]}}",
			403, "Forbidden",
			"the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission "
			"controller computed PreemptLowerPriority from the given PriorityClass name"),
		ASK("POST", "api/v1/namespaces/default/pods?dryRun=All",
			"{\"metadata\":{\"name\":\"o\"},\"spec\":{\"priority\":7,\"containers\":[{\"name\":\"c\",\"image\":\"i\"}"
			"]}}",
			403, "Forbidden",
			"the integer value of priority (7) must not be provided in pod spec"),
		ASK("POST", "api/v1/namespaces/default/pods?dryRun=All",
			"{\"metadata\":{\"name\":\"o\"},\"spec\":{\"priorityClassName\":\"none\",\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\"}]}}",
			403, "Forbidden", "no PriorityClass with name none was found"),
		ASK("POST", "api/v1/namespaces/default/pods?dryRun=All",
			"{\"metadata\":{\"name\":\"o\"},\"spec\":{\"serviceAccountName\":\"none\",\"containers\":[{\"name\":\"c\","
			"\"image\":\"i\"}]}}",
			403, "Forbidden", "serviceaccount \"none\" not found"),
	};

	ask_all(s, rows, ARRAY_LEN(rows));
}

void
group_options(struct server *s)
{
	ask_all(s, asks, ARRAY_LEN(asks));
	check_class(s);
}
