/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * addons: see addons.h. A table of manifests; words in braces are filled in from the machine's
 * configuration, and a row that needs one that is absent is left out. */
#include "orchestrator/control/addons.h"

#include "base/buf.h"
#include "base/log.h"
#include "orchestrator/api/api.h"

#include <stdlib.h>

#define RETRY_NS (2 * NS_PER_SEC)
#define LABEL_RETRY_NS (NS_PER_SEC / 2)
#define RBAC "rbac.authorization.k8s.io"
#define BINDING(name, role, subject)                                                               \
	{                                                                                          \
		RBAC, "clusterrolebindings", "",                                                   \
			"{\"metadata\":{\"name\":\"" name "\"},\"roleRef\":{\"apiGroup\":\"" RBAC  \
			"\",\"kind\":\"ClusterRole\",\"name\":\"" role                             \
			"\"},\"subjects\":[{\"apiGroup\":\"" RBAC "\"," subject "}]}"              \
	}
#define GROUP(name) "\"kind\":\"Group\",\"name\":\"" name "\""
#define USER(name) "\"kind\":\"User\",\"name\":\"" name "\""

static const struct addon {
	const char *group, *resource, *ns, *body;
} rows[] = {
	/* A joining node asks for its certificate, and renews it. */
	BINDING("keelson:node-bootstrapper", "system:node-bootstrapper",
		GROUP("system:bootstrappers")),
	BINDING("keelson:approve-node-client",
		"system:certificates.k8s.io:certificatesigningrequests:nodeclient",
		GROUP("system:bootstrappers")),
	BINDING("keelson:approve-self-node-client",
		"system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
		GROUP("system:nodes")),
	/* Pod network, service proxy and DNS of every node read Services and Nodes. */
	BINDING("keelson:node-proxier", "system:node-proxier", GROUP("system:nodes")),
	/* The API server speaks to kubelets (logs, exec). */
	BINDING("keelson:kubelet-api-admin", "system:kubelet-api-admin",
		USER("kube-apiserver-kubelet-client")),
	/* Serving certificates are approved for a node's own addresses. */
	{RBAC, "clusterroles", "",
		"{\"metadata\":{\"name\":\"keelson:kubelet-serving-approver\"},\"rules\":[{\"apiGroups\":["
		"\"certificates.k8s.io\"],\"resources\":[\"signers\"],\"resourceNames\":["
		"\"kubernetes.io/kubelet-serving\"],\"verbs\":[\"approve\"]}]}"},
	{RBAC, "clusterrolebindings", "",
		"{\"metadata\":{\"name\":\"keelson:kubelet-serving-approver\"},\"roleRef\":{\"apiGroup\":\"" RBAC
		"\",\"kind\":\"ClusterRole\",\"name\":\"keelson:kubelet-serving-approver\"},\"subjects\":[{"
		"\"kind\":\"ServiceAccount\",\"namespace\":\"kube-system\",\"name\":\"certificate-controller\"}]}"},
	/* Directories of the node a pod runs on. */
	{"storage.k8s.io", "storageclasses", "",
		"{\"metadata\":{\"name\":\"local\",\"annotations\":{"
		"\"storageclass.kubernetes.io/is-default-class\":\"true\"}},\"provisioner\":"
		"\"keelson.dev/local\",\"reclaimPolicy\":\"Delete\",\"volumeBindingMode\":"
		"\"WaitForFirstConsumer\"}"},
	{"", "services", "kube-system",
		"{\"metadata\":{\"name\":\"kube-dns\",\"labels\":{\"k8s-app\":\"kube-dns\","
		"\"kubernetes.io/cluster-service\":\"true\",\"kubernetes.io/name\":\"CoreDNS\"}},\"spec\":{"
		"\"clusterIP\":\"{dns4}\",\"clusterIPs\":[\"{dns4}\"],\"ports\":[{\"name\":\"dns\",\"port\":53,"
		"\"protocol\":\"UDP\"},{\"name\":\"dns-tcp\",\"port\":53,\"protocol\":\"TCP\"}]}}"},
};

struct addons {
	struct client *c;
	const struct server_context *ctx;
	struct loop_timer retry;
	struct client_call *call;
	size_t at;
};

static void addons_next(struct addons *x);

/* word: the value of {name}; STR_NONE = not configured. */
static struct str
word(const struct server_context *ctx, struct str name)
{
	const struct {
		const char *name;
		struct str value;
	} words[] = {{"dns4", ctx->cluster_dns4}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_eq_c(name, words[i].name) && words[i].value.n)
			return words[i].value;
	return STR_NONE;
}

/* fill: body with its words filled in; false when one is absent. */
static bool
fill(const struct server_context *ctx, struct str body, struct buf *out)
{
	while (body.n) {
		ptrdiff_t open = str_find_char(body, '{');
		struct str rest = open < 0 ? STR_NONE : str_sub(body, (size_t)open + 1, SIZE_MAX);
		/* A word begins with a letter; every other brace is JSON's. */
		if (open < 0 || !rest.n || rest.p[0] < 'a' || rest.p[0] > 'z') {
			size_t n = open < 0 ? body.n : (size_t)open + 1;
			buf_add(out, body.p, n);
			body = str_sub(body, n, SIZE_MAX);
			continue;
		}
		struct str name, after;
		str_cut(rest, '}', &name, &after);
		struct str value = word(ctx, name);
		if (!value.n)
			return false;
		buf_add(out, body.p, (size_t)open);
		buf_str(out, value);
		body = after;
	}
	return !out->failed;
}

static void
on_labelled(void *arg, const struct client_result *r)
{
	struct addons *x = arg;
	x->call = NULL;
	if (r->e.code) /* it has not joined yet */
		loop_timer_after(x->c->loop, &x->retry, LABEL_RETRY_NS);
}

/* label_machine: the node of this control plane is labelled as one: a node may not say so of itself. */
static void
label_machine(struct addons *x)
{
	struct client_req req = {.verb = CLIENT_PATCH_MERGE,
		.version = STR("v1"),
		.resource = STR("nodes"),
		.name = x->ctx->machine,
		.body = STR(
			"{\"metadata\":{\"labels\":{\"node-role.kubernetes.io/control-plane\":\"\"}}}")};
	if (client_call_start(x->c, &req, on_labelled, x, &x->call) < 0)
		loop_timer_after(x->c->loop, &x->retry, RETRY_NS);
}

static void
on_done(void *arg, const struct client_result *r)
{
	struct addons *x = arg;
	x->call = NULL;
	if (r->e.code && r->http != 409) {
		log_warn("making %s: %s", rows[x->at].resource, r->e.msg);
		loop_timer_after(x->c->loop, &x->retry, RETRY_NS);
		return;
	}
	x->at++;
	addons_next(x);
}

static void
addons_next(struct addons *x)
{
	for (; x->at < ARRAY_LEN(rows); x->at++) {
		const struct addon *row = &rows[x->at];
		_cleanup_buf_ struct buf body = BUF_INIT;
		if (!fill(x->ctx, str_c(row->body), &body))
			continue;
		struct client_req req = {.verb = CLIENT_CREATE,
			.group = str_c(row->group),
			.version = STR("v1"),
			.resource = str_c(row->resource),
			.ns = str_c(row->ns),
			.body = buf_view(&body)};
		if (client_call_start(x->c, &req, on_done, x, &x->call) < 0)
			loop_timer_after(x->c->loop, &x->retry, RETRY_NS);
		return;
	}
	if (x->ctx->machine.n)
		label_machine(x);
}

static void
on_retry(struct loop_timer *t)
{
	addons_next(t->arg);
}

int
addons_new(struct client *c, const struct server_context *ctx, struct addons **ret)
{
	struct addons *x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->c = c;
	x->ctx = ctx;
	x->retry = (struct loop_timer){.fn = on_retry, .arg = x};
	loop_timer_after(c->loop, &x->retry, 0);
	*ret = x;
	return 0;
}

void
addons_free(struct addons *x)
{
	if (!x)
		return;
	loop_timer_cancel(&x->retry);
	client_call_cancel(x->call);
	free(x);
}
