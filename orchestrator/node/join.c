/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * join: the node's credentials. With the bootstrap token it asks for a client certificate; with that it is
 * system:node:<name>, asks for its serving certificate, and renews both at 70 to 90 % of their life.
 *
 *   client.pem there and good ---------------------------------------------> ready
 *   else: new key -> CertificateSigningRequest -> watch it -> certificate -> client.pem -> ready
 *
 * A certificate and its key are one file, replaced as a whole: no crash leaves half of a pair.
 * Invariant: a key never leaves the machine. Must not: give up: every failure is tried again.
 * Source: Kubernetes TLS bootstrapping; certificates.k8s.io/v1 (signers, usages). */
#include "orchestrator/node/node_int.h"

#include "base/disk.h"
#include "base/rand.h"
#include "netstack/tls/x509.h"
#include "orchestrator/nodenet/nodenet.h"

#define RETRY_MIN_NS (200 * NS_PER_MS)
#define RETRY_MAX_NS (10 * NS_PER_SEC)
#define ANSWER_NS (120 * NS_PER_SEC) /* how long a request may go unanswered */

struct cert {
	struct join *join;
	bool serving;
	const char *file, *signer;
	struct tls_key *key; /* of the request under way */
	char name[80];       /* of the request */
	struct client_call *call;
	struct client_watch *watch;
	struct loop_timer timer; /* retry, give-up, renewal */
	int64_t delay_ns;
	bool have;
};

struct join {
	struct node *n;
	struct client *boot; /* by the bootstrap token */
	struct cert client, serving;
	void (*ready)(struct node *n);
};

static void cert_ask(struct cert *c);

static void
cert_path(const struct cert *c, char out[NODE_PATH])
{
	snprintf(out, NODE_PATH, "%s/pki/%s", c->join->n->dir, c->file);
}

static void
on_timer(struct loop_timer *t)
{
	struct cert *c = t->arg;
	if (c->watch)
		client_watch_stop(TAKE_PTR(c->watch));
	if (c->call)
		client_call_cancel(TAKE_PTR(c->call));
	cert_ask(c);
}

static void
cert_ask_later(struct cert *c)
{
	c->delay_ns = c->delay_ns ? c->delay_ns * 2 : RETRY_MIN_NS;
	if (c->delay_ns > RETRY_MAX_NS)
		c->delay_ns = RETRY_MAX_NS;
	loop_timer_after(c->join->n->loop, &c->timer, c->delay_ns);
}

static void
cert_retry(struct cert *c, const char *why)
{
	log_warn("%s certificate: %s", c->serving ? "serving" : "client", why);
	cert_ask_later(c);
}

/* names_all: is the certificate for the node's name and for all of its addresses? */
static bool
names_all(const struct node *n, const struct x509_cert *v)
{
	bool name = false;
	size_t ips = 0;
	for (size_t i = 0; i < v->san.n_dns; i++)
		name = name || str_eq_nocase(v->san.dns[i], n->name);
	for (size_t i = 0; i < n->facts.n_ips; i++) {
		bool has = false;
		for (size_t k = 0; k < v->san.n_ips; k++)
			has = has || ip_eq(&v->san.ips[k], &n->facts.ips[i]);
		ips += has;
	}
	return name && ips == n->facts.n_ips;
}

/* cert_use: takes pem (certificate and key) into use. */
static int
cert_use(struct cert *c, struct str pem, struct err *e)
{
	struct join *j = c->join;
	struct node *n = j->n;
	struct arena *a = arena_new(1 << 20);
	struct x509_cert *v = NULL;
	size_t nv = 0;
	int64_t now_s = clock_wall_ns() / NS_PER_SEC;
	int rc = a ? x509_certs_parse_pem(a, pem, &v, &nv, e) : -ENOMEM;
	if (rc == 0 && (v[0].not_after_s <= now_s || v[0].not_before_s > now_s + 300))
		rc = err_set(e, -EINVAL, R_UNKNOWN, "not valid now");
	int64_t life_s = rc == 0 ? v[0].not_after_s - v[0].not_before_s : 0;
	int64_t renew_s = rc == 0 ? v[0].not_before_s + life_s * 7 / 10 +
			(int64_t)rand_below((uint64_t)(life_s / 5) + 1)
				  : 0;
	bool all = rc == 0 && (!c->serving || names_all(n, &v[0]));
	arena_free(a);
	if (rc < 0)
		return rc;
	if (c->serving) {
		rc = serve_start(n, pem, pem, e);
	} else if (n->api) {
		rc = client_https_set_credentials(n->api, pem, pem, STR(""), e);
	} else {
		struct client_https_config cfg = {.server = n->cfg->cluster.endpoint,
			.ca_pem = n->cfg->cluster.ca,
			.cert_pem = pem,
			.key_pem = pem,
			.user_agent = STR("kubelet/" NODE_VERSION " (linux/amd64) keelson")};
		rc = client_https_new(n->loop, &cfg, &n->api, e);
	}
	if (rc < 0)
		return rc;
	if (!c->serving && nodenet_dns_credentials(pem, e) < 0)
		log_warn("%s", e->msg);
	bool first = !c->have;
	c->have = true;
	if (all) {
		int64_t wait_s = renew_s > now_s ? renew_s - now_s : 1;
		c->delay_ns = 0;
		loop_timer_after(n->loop, &c->timer, wait_s * NS_PER_SEC);
	} else {
		cert_ask_later(c); /* it serves until one with the node's addresses is there */
	}
	if (first && !c->serving)
		j->ready(n);
	return 0;
}

static void
cert_issued(struct cert *c, struct str cert_pem)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	char path[NODE_PATH];
	struct err e = {0};
	buf_str(&pem, cert_pem);
	if (pem.len && pem.data[pem.len - 1] != '\n')
		buf_char(&pem, '\n');
	int rc = tls_key_write(c->key, false, &pem);
	cert_path(c, path);
	if (rc == 0)
		rc = disk_write_file(path, buf_view(&pem), 0600);
	if (rc == 0)
		rc = cert_use(c, buf_view(&pem), &e);
	tls_key_free(TAKE_PTR(c->key));
	if (rc < 0)
		cert_retry(c, e.msg[0] ? e.msg : strerror(-rc));
}

/* cert_look: a CertificateSigningRequest as it is now; true = decided. */
static bool
cert_look(struct cert *c, struct str object)
{
	struct arena *a = arena_new(1 << 20);
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct doc *d = NULL;
	char why[300] = "";
	if (a && doc_parse_json(a, object, NULL, &d, NULL) == 0) {
		struct doc *status = doc_get(d, STR("status"));
		struct doc *conds = doc_get(status, STR("conditions"));
		DOC_EACH (k, conds) {
			struct str type = doc_get_str(k, STR("type"));
			if (str_eq(type, STR("Denied")) || str_eq(type, STR("Failed")))
				snprintf(why, sizeof(why), "request %s: " STR_FMT, c->name,
					STR_ARG(doc_get_str(k, STR("message"))));
		}
		if (base64_decode(&pem, doc_get_str(status, STR("certificate"))) < 0)
			buf_clear(&pem);
	}
	arena_free(a);
	if (!pem.len && !why[0])
		return false;
	if (c->watch)
		client_watch_stop(TAKE_PTR(c->watch));
	loop_timer_cancel(&c->timer);
	if (pem.len)
		cert_issued(c, buf_view(&pem));
	else
		cert_retry(c, why);
	return true;
}

static void
on_csr_event(void *arg, enum client_event ev, struct str object)
{
	struct cert *c = arg;
	if (ev == CLIENT_ADDED || ev == CLIENT_MODIFIED)
		cert_look(c, object);
	else if (ev == CLIENT_DELETED) {
		client_watch_stop(TAKE_PTR(c->watch));
		cert_retry(c, "the request was deleted");
	}
}

static void
on_csr_end(void *arg, const struct client_result *r)
{
	struct cert *c = arg;
	c->watch = NULL;
	cert_retry(c, r->e.code ? r->e.msg : "the watch of the request ended");
}

static struct client *
cert_client(struct cert *c)
{
	struct join *j = c->join;
	return j->n->api ? j->n->api : j->boot;
}

static void
on_csr_created(void *arg, const struct client_result *r)
{
	struct cert *c = arg;
	c->call = NULL;
	if (r->http != 201 && r->http != 200) {
		cert_retry(c, r->e.msg);
		return;
	}
	_cleanup_buf_ struct buf sel = BUF_INIT;
	buf_fmt(&sel, "metadata.name=%s", c->name);
	struct client_req q = {.verb = CLIENT_WATCH,
		.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("certificatesigningrequests"),
		.field_selector = buf_view(&sel)};
	static const struct client_watch_fns fns = {on_csr_event, on_csr_end};
	int rc = client_watch_start(cert_client(c), &q, &fns, c, &c->watch);
	if (rc < 0)
		cert_retry(c, strerror(-rc));
	else
		loop_timer_after(c->join->n->loop, &c->timer, ANSWER_NS);
}

/* csr_body: the object that asks. */
static int
csr_body(struct cert *c, struct buf *b)
{
	struct node *n = c->join->n;
	_cleanup_buf_ struct buf pem = BUF_INIT, cn = BUF_INIT;
	buf_fmt(&cn, "system:node:" STR_FMT, STR_ARG(n->name));
	struct str org = STR("system:nodes");
	struct x509_spec spec = {.cn = buf_view(&cn), .orgs = &org, .n_orgs = 1};
	if (c->serving) {
		spec.dns = &n->name;
		spec.n_dns = 1;
		spec.ips = n->facts.ips;
		spec.n_ips = n->facts.n_ips;
	}
	int rc = x509_csr_write(c->key, &spec, &pem);
	char suffix[8];
	rand_suffix(suffix, 5);
	snprintf(c->name, sizeof(c->name), "%s-%.50s-%s", c->serving ? "node-serving" : "node-csr",
		n->facts.machine_id, suffix);
	buf_fmt(b,
		"{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":\"CertificateSigningRequest\","
		"\"metadata\":{\"name\":\"%s\"},\"spec\":{\"signerName\":\"%s\",\"usages\":"
		"[\"digital signature\",\"%s\"],\"request\":\"",
		c->name, c->signer, c->serving ? "server auth" : "client auth");
	base64_encode(b, buf_view(&pem));
	buf_cstr(b, "\"}}");
	return rc < 0 ? rc : b->failed || pem.failed ? -ENOMEM : 0;
}

static void
cert_ask(struct cert *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	tls_key_free(TAKE_PTR(c->key));
	int rc = tls_key_generate(&c->key);
	if (rc == 0)
		rc = csr_body(c, &b);
	struct client_req q = {.verb = CLIENT_CREATE,
		.group = STR("certificates.k8s.io"),
		.version = STR("v1"),
		.resource = STR("certificatesigningrequests"),
		.body = buf_view(&b)};
	if (rc == 0)
		rc = client_call_start(cert_client(c), &q, on_csr_created, c, &c->call);
	if (rc < 0)
		cert_retry(c, strerror(-rc));
}

/* cert_begin: what is on disk, if it is good, else a request. */
static void
cert_begin(struct cert *c)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	char path[NODE_PATH];
	struct err e = {0};
	cert_path(c, path);
	if (disk_read_file(path, 1 << 16, &pem) == 0 && cert_use(c, buf_view(&pem), &e) == 0)
		return;
	cert_ask(c);
}

/* join_serving: once the node has an identity. */
void
join_serving(struct node *n)
{
	cert_begin(&n->join->serving);
}

/* is_kept_good: the certificate on disk is for the node as it is now. */
static bool
is_kept_good(const struct cert *c)
{
	_cleanup_buf_ struct buf pem = BUF_INIT;
	struct arena *a = arena_new(1 << 20);
	struct x509_cert *v = NULL;
	size_t n = 0;
	char path[NODE_PATH];
	cert_path(c, path);
	bool good = a && disk_read_file(path, 1 << 16, &pem) == 0 &&
		x509_certs_parse_pem(a, buf_view(&pem), &v, &n, NULL) == 0 &&
		names_all(c->join->n, &v[0]);
	arena_free(a);
	return good;
}

void
join_addresses_changed(struct node *n)
{
	struct cert *c = n->join ? &n->join->serving : NULL;
	if (c && (c->have ? !is_kept_good(c) : c->name[0] != 0))
		loop_timer_after(n->loop, &c->timer, 0);
}

int
join_start(struct node *n, void (*ready)(struct node *n), struct err *e)
{
	struct join *j = calloc(1, sizeof(*j));
	char dir[NODE_PATH];
	if (!j)
		return err_errno(e, -ENOMEM, "joining");
	*j = (struct join){.n = n, .ready = ready};
	j->client = (struct cert){.join = j,
		.file = "client.pem",
		.signer = "kubernetes.io/kube-apiserver-client-kubelet",
		.timer = {.fn = on_timer, .arg = &j->client}};
	j->serving = (struct cert){.join = j,
		.serving = true,
		.file = "serving.pem",
		.signer = "kubernetes.io/kubelet-serving",
		.timer = {.fn = on_timer, .arg = &j->serving}};
	n->join = j;
	snprintf(dir, sizeof(dir), "%s/pki", n->dir);
	int rc = disk_mkdirs(dir, 0700);
	if (rc < 0)
		return err_errno(e, rc, "making '%s'", dir);
	struct client_https_config cfg = {.server = n->cfg->cluster.endpoint,
		.ca_pem = n->cfg->cluster.ca,
		.token = n->cfg->cluster.bootstrap_token,
		.user_agent = STR("kubelet/" NODE_VERSION)};
	rc = client_https_new(n->loop, &cfg, &j->boot, e);
	if (rc < 0)
		return rc;
	cert_begin(&j->client);
	return 0;
}
