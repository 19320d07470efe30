/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * token_request: POST .../serviceaccounts/NAME/token: issues a token for a service account, bound to a
 * pod, secret or node when asked.
 *
 * Source: authentication.k8s.io/v1 TokenRequest; KEP-1205, KEP-4193;
 * k8s.io/kubernetes pkg/registry/core/serviceaccount/storage/token.go. */
#include "orchestrator/api/api_int.h"

#include "base/rand.h"

#define MIN_SECONDS 600
#define MAX_SECONDS (1LL << 32)

struct bound {
	struct str kind, name, uid;
	struct str node, node_uid;
};

static void
ref_write(struct buf *b, const char *member, struct str name, struct str uid)
{
	buf_fmt(b, ",\"%s\":{\"name\":", member);
	doc_json_string(b, name);
	if (uid.n) {
		buf_cstr(b, ",\"uid\":");
		doc_json_string(b, uid);
	}
	buf_char(b, '}');
}

static enum step
bound_find(struct request *r, const struct doc *ref, struct bound *ret)
{
	static const struct {
		struct str kind, resource;
		bool namespaced;
	} kinds[] = {
		{STR_INIT("Pod"), STR_INIT("pods"), true},
		{STR_INIT("Secret"), STR_INIT("secrets"), true},
		{STR_INIT("Node"), STR_INIT("nodes"), false},
	};
	if (!ref || ref->type != DOC_MAP)
		return STEP_NEXT;
	struct str kind = doc_get_str(ref, STR("kind")), name = doc_get_str(ref, STR("name"));
	struct str uid = doc_get_str(ref, STR("uid"));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct doc *obj = NULL;
		if (!str_eq(kind, kinds[i].kind))
			continue;
		const struct api_resource *res = api_resource_find(
			r->server, STR(""), STR("v1"), kinds[i].resource);
		if (object_read(r, res, kinds[i].namespaced ? r->ns : STR(""), name, &obj, NULL) <
			0)
			return request_fail_not_found(r, res ? res : r->res, name);
		struct str real = doc_get_str(meta_of(obj), STR("uid"));
		if (uid.n && !str_eq(uid, real))
			return request_fail_conflict(r, name,
				arena_cstr(r->a,
					arena_fmt(r->a,
						"the UID in the bound object reference (" STR_FMT
						") does not match the UID in record. The object might have "
						"been deleted and then recreated",
						STR_ARG(uid))));
		*ret = (struct bound){.kind = kind, .name = name, .uid = real};
		if (i == 0) {
			struct str sa = doc_get_str(
				doc_get(obj, STR("spec")), STR("serviceAccountName"));
			if (!str_eq(sa, r->name))
				return request_fail(r, R_BAD_REQUEST,
					"cannot bind token for serviceaccount \"" STR_FMT
					"\" to pod running with different serviceaccount name.",
					STR_ARG(r->name));
			ret->node = doc_get_str(doc_get(obj, STR("spec")), STR("nodeName"));
			struct doc *node = NULL;
			if (ret->node.n &&
				request_read(r, STR(""), STR("nodes"), STR(""), ret->node, &node) ==
					0)
				ret->node_uid = doc_get_str(meta_of(node), STR("uid"));
		}
		return STEP_NEXT;
	}
	return request_fail(
		r, R_BAD_REQUEST, "cannot bind token to object of type " STR_FMT, STR_ARG(kind));
}

static struct str
claims_write(struct request *r, const struct doc *sa, const struct doc *audiences,
	const struct bound *bo, int64_t seconds)
{
	struct buf b;
	char jti[37];
	int64_t now = r->wall_ns / NS_PER_SEC;
	buf_init_arena(&b, r->a);
	rand_uuid(jti);
	buf_cstr(&b, "{\"aud\":");
	if (doc_len(audiences)) {
		doc_write_json(&b, audiences);
	} else {
		buf_char(&b, '[');
		doc_json_string(&b, r->server->sa_issuer);
		buf_char(&b, ']');
	}
	buf_fmt(&b, ",\"exp\":%lld,\"iat\":%lld,\"iss\":", (long long)(now + seconds),
		(long long)now);
	doc_json_string(&b, r->server->sa_issuer);
	buf_fmt(&b, ",\"jti\":\"%s\",\"kubernetes.io\":{\"namespace\":", jti);
	doc_json_string(&b, r->ns);
	if (bo->node.n)
		ref_write(&b, "node", bo->node, bo->node_uid);
	if (str_eq(bo->kind, STR("Pod")))
		ref_write(&b, "pod", bo->name, bo->uid);
	else if (str_eq(bo->kind, STR("Secret")))
		ref_write(&b, "secret", bo->name, bo->uid);
	else if (str_eq(bo->kind, STR("Node")))
		ref_write(&b, "node", bo->name, bo->uid);
	ref_write(&b, "serviceaccount", r->name, doc_get_str(meta_of(sa), STR("uid")));
	buf_fmt(&b, "},\"nbf\":%lld,\"sub\":\"system:serviceaccount:" STR_FMT ":" STR_FMT "\"}",
		(long long)now, STR_ARG(r->ns), STR_ARG(r->name));
	return buf_view(&b);
}

static enum step
check_spec(struct request *r, const struct doc *spec, int64_t *ret_seconds)
{
	int64_t s = doc_get_int(spec, STR("expirationSeconds"), 3600);
	if (s < MIN_SECONDS)
		schema_err_invalid_int(&r->causes, STR("spec.expirationSeconds"), s,
			"may not specify a duration less than 10 minutes");
	if (s > MAX_SECONDS)
		schema_err_invalid_int(&r->causes, STR("spec.expirationSeconds"), s,
			"may not specify a duration larger than 2^32 seconds");
	*ret_seconds = s;
	return r->causes.n ? request_fail_invalid(r) : STEP_NEXT;
}

enum step
serve_token(struct request *r)
{
	struct doc *sa = NULL, *out = r->obj;
	struct doc *spec = doc_ensure_map(r->a, out, STR("spec"));
	struct bound bo = {0};
	int64_t seconds = 0;
	int rc = object_read(r, r->res, r->ns, r->name, &sa, NULL);
	if (rc == -ENOENT)
		return request_fail_not_found(r, NULL, r->name);
	if (rc < 0 || !spec)
		return request_fail_err(
			r, &(struct err){.code = -EIO, .msg = "reading the store failed"});
	enum step st = check_spec(r, spec, &seconds);
	if (st == STEP_NEXT)
		st = bound_find(r, doc_get(spec, STR("boundObjectRef")), &bo);
	if (st != STEP_NEXT)
		return st;
	struct doc *audiences = doc_get(spec, STR("audiences"));
	struct str token = token_sign(
		r->server, r->a, claims_write(r, sa, audiences, &bo, seconds));
	if (!str_is_set(token))
		return request_fail(r, R_INTERNAL_ERROR,
			"Internal error occurred: this server has no key to sign tokens with");
	if (!doc_len(audiences)) {
		audiences = doc_ensure_list(r->a, spec, STR("audiences"));
		if (audiences)
			doc_append(audiences, doc_str(r->a, r->server->sa_issuer));
	}
	doc_set_int(r->a, spec, STR("expirationSeconds"), seconds);
	char text[40];
	size_t n = rfc3339_format(r->wall_ns + seconds * NS_PER_SEC, 0, text);
	struct doc *meta = doc_ensure_map(r->a, out, STR("metadata"));
	struct doc *status = doc_map(r->a);
	if (meta && status) {
		doc_set_str(r->a, meta, STR("name"), r->name);
		doc_set_str(r->a, meta, STR("namespace"), r->ns);
		doc_set_str(r->a, status, STR("token"), token);
		doc_set_str(r->a, status, STR("expirationTimestamp"),
			arena_str(r->a, str_from(text, n)));
		doc_set(out, STR("status"), status);
	}
	return request_reply_doc(r, 201, out);
}
