/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * certificates: requests of nodes are approved and signed.
 *
 *   kubernetes.io/kube-apiserver-client-kubelet  a joining node (SubjectAccessReview: may it create
 *                                                `nodeclient`), a node renewing its own (`selfnodeclient`)
 *   kubernetes.io/kubelet-serving                a node's own name, and only addresses its Node object has;
 *                                                never one of the Services' ranges, whatever it says it has
 *   kubernetes.io/kube-apiserver-client          signed when somebody approved it
 *
 * What is asked for is checked again before signing: subject, usages, names. A serving request is looked
 * at again whenever its Node changes. Old requests go after an hour (issued) or a day (others).
 * Sources: kube-controller-manager pkg/controller/certificates (approver, signer, cleaner); certificates v1
 * API, "Kubernetes signers". */
#include "orchestrator/control/control.h"

#include "netstack/tls/x509.h"
#include "orchestrator/api/api.h"

#include "kinds/certificates_v1.h"
#include "kinds/core_v1.h"

#include <stdio.h>
#include <stdlib.h>

#define YEAR_S (365LL * 86400)
#define BACKDATE_S 300
#define ISSUED_NS (3600 * NS_PER_SEC)
#define OTHERS_NS (24 * 3600 * NS_PER_SEC)

struct certificates {
	struct control *ctl;
	const struct server_context *ctx;
	struct client *c;
	struct queue *q;
	struct informer *requests, *nodes;
	struct arena *a; /* the authority */
	struct x509_cert *ca;
	struct tls_key *ca_key;
};

typedef const struct certificates_v1_certificate_signing_request request_t;

/* ---- what is asked for ---- */

static bool
in_list(const struct str *v, size_t n, struct str s)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i], s))
			return true;
	return false;
}

/* usages_are: the extended one, and of others only what a key is used for in TLS; a node's request (node) names
 * "digital signature" too. */
static bool
usages_are(request_t *r, struct str extended, bool node)
{
	bool signature = false, ext = false;
	for (size_t i = 0; i < r->spec.n_usages; i++) {
		struct str u = r->spec.usages[i];
		if (str_eq(u, STR("digital signature")))
			signature = true;
		else if (str_eq(u, extended))
			ext = true;
		else if (!str_eq(u, STR("key encipherment")))
			return false;
	}
	return ext && (signature || !node);
}

/* is_node_subject: CN=system:node:NAME, O=system:nodes. */
static bool
is_node_subject(const struct x509_csr *csr)
{
	return str_starts(csr->subject.cn, STR("system:node:")) && csr->subject.n_orgs == 1 &&
		str_eq(csr->subject.orgs[0], STR("system:nodes"));
}

static bool
client_request(request_t *r, const struct x509_csr *csr)
{
	return is_node_subject(csr) && usages_are(r, STR("client auth"), true) && !csr->san.n_dns &&
		!csr->san.n_ips && !csr->san.n_emails && !csr->san.n_uris && !csr->san.other;
}

static bool
node_has_ip(const struct core_v1_node *n, const struct ip_addr *ip)
{
	for (size_t i = 0; i < n->status.n_addresses; i++) {
		struct ip_addr have;
		if (ip_parse(n->status.addresses[i].address, &have) == 0 && ip_eq(&have, ip))
			return true;
	}
	return false;
}

/* is_service_ip: of the Services' ranges: a server there would be believed to be the API. */
static bool
is_service_ip(const struct certificates *k, const struct ip_addr *ip)
{
	const struct str ranges[] = {k->ctx->service_cidr4, k->ctx->service_cidr6};
	struct ip_prefix p;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (ranges[i].n && ip_prefix_parse(ranges[i], &p) == 0 &&
			ip_prefix_contains(&p, ip))
			return true;
	return false;
}

/* serving_request: by the node itself, for its own name and addresses that its Node object has. */
static bool
serving_request(struct certificates *k, request_t *r, const struct x509_csr *csr)
{
	struct str name = str_sub(csr->subject.cn, sizeof("system:node:") - 1, SIZE_MAX);
	const struct informer_obj *o = name.n ? informer_get(k->nodes, name) : NULL;
	if (!o || !is_node_subject(csr) || !usages_are(r, STR("server auth"), true) ||
		!str_eq(r->spec.username, csr->subject.cn) ||
		!in_list(r->spec.groups, r->spec.n_groups, STR("system:nodes")) ||
		csr->san.n_emails || csr->san.n_uris || csr->san.other ||
		csr->san.n_dns + csr->san.n_ips == 0)
		return false;
	for (size_t i = 0; i < csr->san.n_ips; i++)
		if (!node_has_ip(o->obj, &csr->san.ips[i]) || is_service_ip(k, &csr->san.ips[i]))
			return false;
	for (size_t i = 0; i < csr->san.n_dns; i++)
		if (!str_eq_nocase(csr->san.dns[i], name))
			return false;
	return true;
}

/* ---- state ---- */

static bool
has_condition(request_t *r, const char *type)
{
	for (size_t i = 0; i < r->status.n_conditions; i++)
		if (str_eq_c(r->status.conditions[i].type, type))
			return true;
	return false;
}

static struct control_path
path_of(const struct informer_obj *o, const char *sub)
{
	return (struct control_path){
		.resource = CONTROL_CSRS, .name = o->name, .subresource = str_c(sub), .onto = o};
}

static void
approve(struct certificates *k, struct control_batch *b, const struct informer_obj *o,
	const char *text)
{
	char now[40];
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct control_path path = path_of(o, "approval");
	rfc3339_format(clock_wall_ns(), 0, now);
	buf_fmt(&body,
		"{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\",\"reason\":"
		"\"AutoApproved\",\"message\":\"%s\",\"lastUpdateTime\":\"%s\","
		"\"lastTransitionTime\":\"%s\"}]}}",
		text, now, now);
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
}

/* An approval that waits for what the authorizer says of the requester. */
struct review {
	struct certificates *k;
	struct control_batch *b;
	const struct informer_obj *o;
	bool self;
};

static int review_send(struct review *v);

static void
on_review(void *arg, const struct client_result *res)
{
	static const char self_text[] =
		"Auto approving self kubelet client certificate after SubjectAccessReview.";
	static const char client_text[] =
		"Auto approving kubelet client certificate after SubjectAccessReview.";
	struct review *v = arg;
	struct arena *a = arena_new(1 << 20);
	struct doc *d = NULL;
	bool allowed = !res->e.code && a && doc_parse_json(a, res->body, NULL, &d, NULL) == 0 &&
		doc_get_bool(doc_get(d, STR("status")), STR("allowed"), false);
	arena_free(a);
	struct control_batch *b = v->b;
	if (allowed) {
		approve(v->k, b, v->o, v->self ? self_text : client_text);
	} else if (!res->e.code && v->self) {
		v->self = false; /* perhaps it may have a node's first certificate */
		if (review_send(v) == 0) {
			batch_done(b, res);
			return;
		}
		b->failed = true;
	}
	informer_obj_unref(v->o);
	free(v);
	batch_done(b, res);
}

static int
review_send(struct review *v)
{
	request_t *r = v->o->obj;
	_cleanup_buf_ struct buf body = BUF_INIT;
	buf_cstr(&body,
		"{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SubjectAccessReview\","
		"\"spec\":{\"user\":");
	doc_json_string(&body, r->spec.username);
	buf_cstr(&body, ",\"uid\":");
	doc_json_string(&body, r->spec.uid);
	buf_cstr(&body, ",\"groups\":[");
	for (size_t i = 0; i < r->spec.n_groups; i++) {
		buf_cstr(&body, i ? "," : "");
		doc_json_string(&body, r->spec.groups[i]);
	}
	buf_fmt(&body,
		"],\"resourceAttributes\":{\"group\":\"certificates.k8s.io\",\"resource\":"
		"\"certificatesigningrequests\",\"verb\":\"create\",\"version\":\"*\","
		"\"subresource\":\"%s\"}}}",
		v->self ? "selfnodeclient" : "nodeclient");
	struct client_req req = {.verb = CLIENT_CREATE,
		.group = STR("authorization.k8s.io"),
		.version = STR("v1"),
		.resource = STR("subjectaccessreviews"),
		.body = buf_view(&body)};
	int rc = body.failed ? -ENOMEM : client_call_start(v->k->c, &req, on_review, v, NULL);
	v->b->left += rc == 0;
	return rc;
}

static void
review(struct certificates *k, struct control_batch *b, const struct informer_obj *o,
	const struct x509_csr *csr)
{
	request_t *r = o->obj;
	struct review *v = calloc(1, sizeof(*v));
	if (!v) {
		b->failed = true;
		return;
	}
	*v = (struct review){k, b, informer_obj_ref(o), str_eq(r->spec.username, csr->subject.cn)};
	if (review_send(v) < 0) {
		b->failed = true;
		informer_obj_unref(o);
		free(v);
	}
}

/* ---- signing ---- */

static const struct signer {
	const char *name;
	unsigned eku;
} signers[] = {
	{"kubernetes.io/kube-apiserver-client-kubelet", X509_EKU_CLIENT},
	{"kubernetes.io/kubelet-serving", X509_EKU_SERVER},
	{"kubernetes.io/kube-apiserver-client", X509_EKU_CLIENT},
};

static void
fail(struct certificates *k, struct control_batch *b, const struct informer_obj *o, const char *why)
{
	char now[40];
	_cleanup_buf_ struct buf body = BUF_INIT;
	struct control_path path = path_of(o, "status");
	request_t *r = o->obj;
	struct arena *a = arena_new(1 << 20);
	struct doc *all = a ? doc_list(a) : NULL, *d = all ? doc_map(a) : NULL;
	rfc3339_format(clock_wall_ns(), 0, now);
	for (size_t i = 0; d && i < r->status.n_conditions; i++)
		doc_append(all,
			schema_from_struct(a,
				SCHEMA_TYPE_OF(
					certificates_v1_certificate_signing_request_condition),
				&r->status.conditions[i]));
	if (d) {
		doc_set_str(a, d, STR("type"), STR("Failed"));
		doc_set_str(a, d, STR("status"), STR("True"));
		doc_set_str(a, d, STR("reason"), STR("SignerValidationFailure"));
		doc_set_str(a, d, STR("message"), str_c(why));
		doc_set_str(a, d, STR("lastUpdateTime"), str_c(now));
		doc_set_str(a, d, STR("lastTransitionTime"), str_c(now));
		doc_append(all, d);
		buf_cstr(&body, "{\"status\":{\"conditions\":");
		doc_write_json(&body, all);
		buf_cstr(&body, "}}");
		if (!body.failed)
			batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
	}
	arena_free(a);
}

static void
sign(struct certificates *k, struct control_batch *b, const struct informer_obj *o,
	const struct signer *s, const struct x509_csr *csr)
{
	request_t *r = o->obj;
	int64_t now_s = clock_wall_ns() / NS_PER_SEC, life_s = YEAR_S;
	struct err e = {0};
	_cleanup_buf_ struct buf pem = BUF_INIT, body = BUF_INIT;
	struct control_path path = path_of(o, "status");
	if (r->spec.has_expiration_seconds && r->spec.expiration_seconds >= 600 &&
		r->spec.expiration_seconds < life_s)
		life_s = r->spec.expiration_seconds;
	struct x509_spec spec = {.cn = csr->subject.cn,
		.orgs = csr->subject.orgs,
		.n_orgs = csr->subject.n_orgs,
		.dns = csr->san.dns,
		.n_dns = csr->san.n_dns,
		.ips = csr->san.ips,
		.n_ips = csr->san.n_ips,
		.not_before_s = now_s - BACKDATE_S,
		.not_after_s = now_s + life_s,
		.eku = s->eku,
		.ku = X509_KU_DIGITAL_SIGNATURE};
	if (spec.not_after_s > k->ca[0].not_after_s)
		spec.not_after_s = k->ca[0].not_after_s;
	if (x509_issue(&spec, &csr->pub, &k->ca[0], k->ca_key, &pem, &e) < 0) {
		fail(k, b, o, e.msg);
		return;
	}
	buf_cstr(&body, "{\"status\":{\"certificate\":\"");
	base64_encode(&body, buf_view(&pem));
	buf_cstr(&body, "\"}}");
	if (!body.failed)
		batch_write_text(b, k->c, CLIENT_PATCH_MERGE, &path, buf_view(&body));
}

static void
sync_request(struct certificates *k, struct control_batch *b, const struct informer_obj *o)
{
	request_t *r = o->obj;
	const struct signer *s = NULL;
	struct x509_csr csr;
	struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(signers); i++)
		if (str_eq_c(r->spec.signer_name, signers[i].name))
			s = &signers[i];
	if (!a || !s || r->status.certificate.n || has_condition(r, "Denied") ||
		has_condition(r, "Failed") || x509_csr_parse(a, r->spec.request, &csr, NULL) < 0) {
		arena_free(a);
		return;
	}
	bool kubelet_client = s == &signers[0], serving = s == &signers[1];
	bool right = kubelet_client ? client_request(r, &csr)
		: serving           ? serving_request(k, r, &csr)
				    : usages_are(r, STR("client auth"), false) &&
			!in_list(csr.subject.orgs, csr.subject.n_orgs, STR("system:masters"));
	if (has_condition(r, "Approved")) {
		if (right)
			sign(k, b, o, s, &csr);
		else
			fail(k, b, o, "the request is not what its signer signs");
	} else if (right && kubelet_client) {
		review(k, b, o, &csr);
	} else if (right && serving) {
		approve(k, b, o,
			"Auto approving kubelet serving certificate for the node's own addresses.");
	}
	arena_free(a);
}

static void
on_key(void *arg, struct str key)
{
	struct certificates *k = arg;
	const struct informer_obj *o = informer_get(k->requests, key);
	struct control_batch *b = o ? batch_new(k->q, key) : NULL;
	if (!o)
		queue_done(k->q, key, false);
	if (!b)
		return;
	request_t *r = o->obj;
	int64_t life = r->status.certificate.n ? ISSUED_NS : OTHERS_NS;
	int64_t left = r->metadata.creation_timestamp + life - clock_wall_ns();
	if (left <= 0) {
		struct control_path path = {.resource = CONTROL_CSRS, .name = o->name};
		batch_write_text(b, k->c, CLIENT_DELETE, &path, STR_NONE);
	} else {
		queue_add_after(k->q, key, left);
		sync_request(k, b, o);
	}
	batch_close(b);
}

/* ---- changes ---- */

static void
on_request(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct certificates *k = arg;
	(void)old;
	if (new_ && control_ready(k->ctl))
		queue_add(k->q, new_->key);
}

static void
on_node(void *arg, const struct informer_obj *old, const struct informer_obj *new_)
{
	struct certificates *k = arg;
	const struct informer_obj *o;
	(void)old;
	for (size_t pos = 0;
		new_ && control_ready(k->ctl) && (o = informer_next(k->requests, &pos));) {
		request_t *r = o->obj;
		if (!r->status.certificate.n &&
			str_eq_c(r->spec.signer_name, "kubernetes.io/kubelet-serving"))
			queue_add(k->q, o->key);
	}
}

static void
certificates_ready(void *self)
{
	struct certificates *k = self;
	const struct informer_obj *o;
	for (size_t pos = 0; k->q && (o = informer_next(k->requests, &pos));)
		queue_add(k->q, o->key);
}

static void
certificates_stop(void *self)
{
	struct certificates *k = self;
	if (k->q)
		queue_free(k->q);
	tls_key_free(k->ca_key);
	arena_free(k->a);
	free(k);
}

static int
authority(struct certificates *k, const struct api_pki *pki)
{
	size_t n = 0;
	k->a = arena_new(1 << 20);
	if (!k->a)
		return -ENOMEM;
	int rc = x509_certs_parse_pem(k->a, arena_str(k->a, pki->ca_cert), &k->ca, &n, NULL);
	return rc < 0 ? rc : tls_key_parse(pki->ca_key, &k->ca_key, NULL);
}

static int
certificates_start(struct control *ctl, struct client *c, void **ret)
{
	const struct server_context *ctx = control_context(ctl);
	struct certificates *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->ctl = ctl;
	k->ctx = ctx;
	k->c = c;
	*ret = k;
	if (!ctx || !ctx->pki) /* nothing to sign with: a simulated cluster */
		return 0;
	int rc = authority(k, ctx->pki);
	if (rc < 0)
		return rc;
	k->q = queue_new(control_loop(ctl), "certificates", 8, on_key, k);
	k->requests = control_informer(ctl, CONTROL_CSRS);
	k->nodes = control_informer(ctl, CONTROL_NODES);
	if (!k->q || !k->requests || !k->nodes ||
		informer_add_handler(k->requests, on_request, NULL, k) < 0 ||
		informer_add_handler(k->nodes, on_node, NULL, k) < 0)
		return -ENOMEM;
	return 0;
}

const struct controller certificates_controller = {
	"certificate-controller", certificates_start, certificates_ready, certificates_stop};
